/* link_tell.c - what a link tells of its lane and its servers, in the journal. */
#include "daemon/link_impl.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/core/text.h"

static void describe(const struct probe *p, char *out, size_t cap)
{
    snprintf(out, cap, "%s %s, a %s", p->id.kind == SERVER_VALKEY ? "Valkey" : "Redis", p->id.version,
             server_role_name(p->id.role));
}

/* "Redis 7.0.15, a primary", or "a cluster of 3 shards, Redis 7.0.15". */
static void describe_side(const struct link *k, enum lane_side side, char *out, size_t cap)
{
    const struct probed_side *s = &k->probed[side];
    const struct server_id *id = &s->at[0].probe.id;

    if (k->nodes[side].cluster)
        snprintf(out, cap, "a cluster of %zu shard%s, %s %s", s->count, s->count == 1 ? "" : "s",
                 id->kind == SERVER_VALKEY ? "Valkey" : "Redis", id->version);
    else
        describe(&s->at[0].probe, out, cap);
}

/* Another node told of the cluster: nobody would notice until that one is gone too. */
static void tell_url(struct link *k, enum lane_side side)
{
    const char *why = topology_base_why(k->topologies[side]), *name = k->endpoints[side].side;

    if (why[0])
        log_event_fields(k->log, EVENT_CONFIG_WARNING,
                         LOG_FIELDS(LOG_TEXT(ENDPOINT, name), LOG_TEXT(ADDRESS, k->endpoints[side].url.text),
                                    LOG_TEXT(REASON, why)),
                         "nothing is learned at %s (%s): the cluster was found by another of %s.seeds; put a "
                         "node that lives into %s.url",
                         k->endpoints[side].url.text, why, name, name);
}

void link_tell_servers(struct link *k)
{
    char source[100], target[100];

    tell_url(k, LANE_SOURCE);
    tell_url(k, LANE_TARGET);

    describe_side(k, LANE_SOURCE, source, sizeof(source));
    describe_side(k, LANE_TARGET, target, sizeof(target));
    log_event(k->log, EVENT_CONNECTED, "both servers answer: the source is %s; the target is %s", source,
              target);
}

/* NULL where there is one lane: what is said is of the link then. */
const char *link_lane_name(const struct link *k, const struct lane *l)
{
    return k->lanes && k->nodes[LANE_SOURCE].primaries > 1 ? lane_name(l) : NULL;
}

/* "10.0.0.5:6379: " where there are several, for a line about one. Returns out. */
const char *link_lane_prefix(const struct link *k, const struct lane *l, char out[LANE_PREFIX_MAX])
{
    const char *name = link_lane_name(k, l);

    out[0] = '\0';
    if (name)
        snprintf(out, LANE_PREFIX_MAX, "%.200s: ", name);
    return out;
}

/* What keeps the source from a better feed is told here, once. */
static const char *why_not_better(struct lane *l, char *out, size_t cap)
{
    struct lane_status s;
    size_t at = 0;

    lane_status(l, &s);
    out[0] = '\0';
    for (size_t i = 0; i < s.feed.npassed_over && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s`%s`: %s", i ? "; " : "; not by ",
                               feed_kind_name(s.feed.passed_over[i].kind), s.feed.passed_over[i].why);
    return out;
}

void link_tell_feed(struct lane *l, enum feed_kind kind, void *arg)
{
    struct link *k = arg;
    char lane[LANE_PREFIX_MAX], why_not[FEED_KINDS * 220];

    const char *name = feed_kind_name(kind);
    const struct log_field *fields = LOG_FIELDS(LOG_TEXT(LANE, link_lane_name(k, l)), LOG_TEXT(FEED, name));
    link_lane_prefix(k, l, lane);
    if (kind == FEED_NONE)
        log_event_fields(k->log, EVENT_FEED_CHOSEN, fields,
                         "%schanges on the source are not followed: one pass is made", lane);
    else
        log_event_fields(k->log, EVENT_FEED_CHOSEN, fields,
                         "%schanges on the source are learned by the feed `%s`%s", lane, name,
                         why_not_better(l, why_not, sizeof(why_not)));
}

void link_tell_gap(struct link *k, const struct lane *l, const char *reason)
{
    char lane[LANE_PREFIX_MAX];

    log_event_fields(k->log, EVENT_GAP,
                     LOG_FIELDS(LOG_TEXT(LANE, link_lane_name(k, l)), LOG_TEXT(REASON, reason)),
                     "%schanges may have been missed: %s", link_lane_prefix(k, l, lane), reason);
}

void link_tell_waiting(struct link *k, const struct endpoint *e, const char *why)
{
    log_event_fields(
        k->log, EVENT_WAITING,
        LOG_FIELDS(LOG_TEXT(ENDPOINT, e->side), LOG_TEXT(ADDRESS, e->url.text), LOG_TEXT(REASON, why)),
        "waiting for the %s at %s: %s", e->side, e->url.text, why);
}

void link_tell_replaced(struct link *k, enum lane_side side, const char *address, const char *run_id,
                        const char *before)
{
    const char *name = k->endpoints[side].side;
    log_event_fields(
        k->log, side == LANE_SOURCE ? EVENT_SOURCE_REPLACED : EVENT_TARGET_REPLACED,
        LOG_FIELDS(LOG_TEXT(ENDPOINT, name), LOG_TEXT(ADDRESS, address), LOG_TEXT(RUN_ID, run_id)),
        "%s%s was restarted or replaced: run id %s, before %s", k->nodes[side].cluster ? "" : "the ",
        k->nodes[side].cluster ? address : name, run_id, before);
}

void link_tell_owned(struct link *k, const char *address)
{
    log_event_fields(
        k->log, EVENT_OWNED,
        LOG_FIELDS(LOG_TEXT(ENDPOINT, k->endpoints[LANE_TARGET].side), LOG_TEXT(ADDRESS, address)),
        "the target %s is this link's own from now on", address);
}

void link_tell_node(struct link *k, enum lane_side side, const char *address, const char *what)
{
    const char *name = k->endpoints[side].side;
    log_event_fields(k->log, EVENT_NODES_CHANGED,
                     LOG_FIELDS(LOG_TEXT(ENDPOINT, name), LOG_TEXT(ADDRESS, address), LOG_TEXT(REASON, what)),
                     "the %s's cluster has changed: %s %s", name, address, what);
}

void link_tell_slots(struct link *k, enum lane_side side, const char *what)
{
    const char *name = k->endpoints[side].side;
    log_event_fields(k->log, EVENT_SLOTS_MOVED, LOG_FIELDS(LOG_TEXT(ENDPOINT, name), LOG_TEXT(REASON, what)),
                     "slots of the %s have moved: %s", name, what);
}

/* A pass over all keys, from its scan to its last copy. */

/* Before the first pass nothing is copied: what has been is a lane's that began before others could. */
static void pass_begins(struct link *k, const struct lane_status *now)
{
    k->pass_began_us = loop_now_us(k->loop);
    k->before_pass = now->round > 1 ? *now : (struct lane_status){0};
}

static void pass_ends(struct link *k, const struct lane_status *now)
{
    uint64_t took_ms = (loop_now_us(k->loop) - k->pass_began_us) / 1000;
    uint64_t copied = now->copied_keys - k->before_pass.copied_keys;
    uint64_t deleted = now->deleted_keys - k->before_pass.deleted_keys;
    uint64_t bytes = now->bytes - k->before_pass.bytes;
    char keys[TEXT_MAX], gone[TEXT_MAX], size[TEXT_MAX], took[TEXT_MAX];

    k->pass_began_us = 0;
    log_event_fields(k->log, now->round > 1 ? EVENT_RESYNC_DONE : EVENT_SNAPSHOT_DONE,
                     LOG_FIELDS(LOG_NUMBER(COPIED_KEYS, copied), LOG_NUMBER(DELETED_KEYS, deleted),
                                LOG_NUMBER(BYTES, bytes), LOG_NUMBER(TOOK_MS, took_ms)),
                     "%s is complete: %s key%s (%s) copied and %s deleted in %s",
                     now->round > 1 ? "the resync" : "the first pass over all keys", text_count(copied, keys),
                     copied == 1 ? "" : "s", text_size(bytes, size), text_count(deleted, gone),
                     text_ms(took_ms, took));
}

void link_tell_pass(struct link *k, enum lane_phase phase)
{
    struct lane_status now;

    if (k->stopping || (phase != LANE_SCAN && phase != LANE_LIVE && phase != LANE_DONE))
        return;
    lanes_status(k->lanes, &now);
    if (phase == LANE_SCAN)
        pass_begins(k, &now);
    else if (k->pass_began_us)
        pass_ends(k, &now);
}

/* Conditions and keys. */

static const struct {
    enum event_id begins, ends;
    enum lane_side side;
    const char *what, *over;
} condition_events[] = {
    [LANE_SOURCE_DOWN] = {EVENT_SOURCE_LOST, EVENT_SOURCE_BACK, LANE_SOURCE, "the source cannot be reached",
                          "the source can be reached again"},
    [LANE_TARGET_DOWN] = {EVENT_TARGET_LOST, EVENT_TARGET_BACK, LANE_TARGET, "the target cannot be reached",
                          "the target can be reached again"},
    [LANE_SOURCE_SILENT] = {EVENT_SOURCE_LOST, EVENT_SOURCE_BACK, LANE_SOURCE, "the source is silent",
                            "the source answers again"},
    [LANE_TARGET_SILENT] = {EVENT_TARGET_LOST, EVENT_TARGET_BACK, LANE_TARGET, "the target is silent",
                            "the target answers again"},
    [LANE_SOURCE_LOADING] = {EVENT_SOURCE_REFUSES, EVENT_SOURCE_ANSWERS_AGAIN, LANE_SOURCE,
                             "the source is not ready", "the source is ready"},
    [LANE_TARGET_LOADING] = {EVENT_TARGET_REFUSES, EVENT_TARGET_ACCEPTS_AGAIN, LANE_TARGET,
                             "the target is not ready", "the target is ready"},
    [LANE_SOURCE_REFUSES] = {EVENT_SOURCE_REFUSES, EVENT_SOURCE_ANSWERS_AGAIN, LANE_SOURCE,
                             "the source refuses what riotd asks, which is tried again",
                             "the source refuses no longer"},
    [LANE_TARGET_REFUSES] = {EVENT_TARGET_REFUSES, EVENT_TARGET_ACCEPTS_AGAIN, LANE_TARGET,
                             "the target refuses what riotd writes, which is tried again",
                             "the target accepts again"},
    [LANE_OVERRUN] = {EVENT_OVERRUN, EVENT_OVERRUN_ENDED, LANE_TARGET,
                      "changes come faster than they are copied", "there is room for changed keys again"},
    [LANE_FEED_UNPROVEN] = {EVENT_FEED_UNPROVEN, EVENT_FEED_PROVEN, LANE_SOURCE,
                            "it is not known yet whether the feed tells of all changes",
                            "the feed is in order again"},
    [LANE_OUT_OF_SCOPE] = {EVENT_OUT_OF_SCOPE, EVENT_IN_SCOPE, LANE_SOURCE, "nothing is copied",
                           "a key is within the filter"},
    [LANE_SOURCE_REPLICA] = {EVENT_SOURCE_REPLICA, EVENT_SOURCE_PRIMARY, LANE_SOURCE,
                             "the source is a replica", "the source is a primary again"},
    [LANE_SLOTS_LEFT] = {EVENT_SLOTS_LEFT, EVENT_SLOTS_WHOLE, LANE_SOURCE,
                         "a node has keys of a slot that is another's, or may have",
                         "all keys are at the nodes that have their slots"},
    [LANE_MEMORY_SHORT] = {EVENT_MEMORY_SHORT, EVENT_MEMORY_ENOUGH, LANE_SOURCE, "limits.memory is too small",
                           "limits.memory is enough"},
};
_Static_assert(ARRAY_LEN(condition_events) == LANE_CONDITIONS, "each condition has its events");

void link_tell_condition(struct lane *l, enum lane_condition c, const char *text, void *arg)
{
    struct link *k = arg;
    enum lane_side side = condition_events[c].side;
    const struct endpoint *e = &k->endpoints[side];
    char lane[LANE_PREFIX_MAX];

    if (k->stopping)
        return;
    const struct log_field *fields = LOG_FIELDS(
        LOG_TEXT(CONDITION, lane_condition_code(c)), LOG_TEXT(LANE, link_lane_name(k, l)),
        LOG_TEXT(ENDPOINT, e->side), LOG_TEXT(ADDRESS, side == LANE_SOURCE ? lane_name(l) : e->url.text),
        LOG_TEXT(REASON, text));
    link_lane_prefix(k, l, lane);
    if (text)
        log_event_fields(k->log, condition_events[c].begins, fields, "%s%s: %s", lane,
                         condition_events[c].what, text);
    else
        log_event_fields(k->log, condition_events[c].ends, fields, "%s%s", lane, condition_events[c].over);
}

void link_tell_failed_key(struct lane *l, int db, struct bytes key, const char *reason, void *arg)
{
    struct link *k = arg;
    char name[200];
    log_event_fields(k->log, EVENT_KEY_FAILED,
                     LOG_FIELDS(LOG_TEXT(LANE, link_lane_name(k, l)), LOG_NUMBER(DB, (uint64_t)db),
                                LOG_TEXT(KEY, bytes_escape(key, name, sizeof(name))),
                                LOG_TEXT(REASON, reason)),
                     "the key \"%s\" of database %d cannot be copied: %s", name, db, reason);
}
