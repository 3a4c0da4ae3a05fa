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

void link_tell_servers(struct link *k)
{
    char source[80], target[80];

    describe(&k->probes[LANE_SOURCE], source, sizeof(source));
    describe(&k->probes[LANE_TARGET], target, sizeof(target));
    log_event(k->log, EVENT_CONNECTED, "both servers answer: the source is %s; the target is %s", source,
              target);
}

void link_tell_feed(struct lane *l, enum feed_kind kind, void *arg)
{
    struct link *k = arg;
    (void)l;

    const char *name = feed_kind_name(kind);
    const struct log_field *fields = LOG_FIELDS(LOG_TEXT(FEED, name));
    if (kind == FEED_NONE)
        log_event_fields(k->log, EVENT_FEED_CHOSEN, fields,
                         "changes on the source are not followed: one pass is made");
    else
        log_event_fields(k->log, EVENT_FEED_CHOSEN, fields,
                         "changes on the source are learned by the feed `%s`", name);
}

void link_tell_waiting(struct link *k, enum lane_side side, const char *why)
{
    const struct endpoint *e = &k->endpoints[side];
    log_event_fields(
        k->log, EVENT_WAITING,
        LOG_FIELDS(LOG_TEXT(ENDPOINT, e->side), LOG_TEXT(ADDRESS, e->url.text), LOG_TEXT(REASON, why)),
        "waiting for the %s at %s: %s", e->side, e->url.text, why);
}

void link_tell_replaced(struct link *k, enum lane_side side, const char *run_id, const char *before)
{
    const struct endpoint *e = &k->endpoints[side];
    log_event_fields(
        k->log, side == LANE_SOURCE ? EVENT_SOURCE_REPLACED : EVENT_TARGET_REPLACED,
        LOG_FIELDS(LOG_TEXT(ENDPOINT, e->side), LOG_TEXT(ADDRESS, e->url.text), LOG_TEXT(RUN_ID, run_id)),
        "the %s was restarted or replaced: run id %s, before %s", e->side, run_id, before);
}

void link_tell_owned(struct link *k)
{
    const struct endpoint *e = &k->endpoints[LANE_TARGET];
    log_event_fields(k->log, EVENT_OWNED,
                     LOG_FIELDS(LOG_TEXT(ENDPOINT, e->side), LOG_TEXT(ADDRESS, e->url.text)),
                     "the target %s is this link's own from now on", e->url.text);
}

/* A pass over all keys, from its scan to its last copy. */

static void pass_begins(struct link *k, const struct lane_status *now)
{
    k->pass_began_us = loop_now_us(k->loop);
    k->before_pass = *now;
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
    lane_status(k->lane, &now);
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
    [LANE_FEED_UNPROVEN] = {EVENT_FEED_UNPROVEN, EVENT_FEED_PROVEN, LANE_SOURCE, "the feed may miss changes",
                            "the feed is in order again"},
};
_Static_assert(ARRAY_LEN(condition_events) == LANE_CONDITIONS, "each condition has its events");

void link_tell_condition(struct lane *l, enum lane_condition c, const char *text, void *arg)
{
    struct link *k = arg;
    const struct endpoint *e = &k->endpoints[condition_events[c].side];
    (void)l;

    if (k->stopping)
        return;
    const struct log_field *fields =
        LOG_FIELDS(LOG_TEXT(CONDITION, lane_condition_code(c)), LOG_TEXT(ENDPOINT, e->side),
                   LOG_TEXT(ADDRESS, e->url.text), LOG_TEXT(REASON, text));
    if (text)
        log_event_fields(k->log, condition_events[c].begins, fields, "%s: %s", condition_events[c].what,
                         text);
    else
        log_event_fields(k->log, condition_events[c].ends, fields, "%s", condition_events[c].over);
}

void link_tell_failed_key(struct lane *l, int db, struct bytes key, const char *reason, void *arg)
{
    struct link *k = arg;
    char name[200];
    (void)l;
    log_event_fields(k->log, EVENT_KEY_FAILED,
                     LOG_FIELDS(LOG_NUMBER(DB, (uint64_t)db),
                                LOG_TEXT(KEY, bytes_escape(key, name, sizeof(name))),
                                LOG_TEXT(REASON, reason)),
                     "the key \"%s\" of database %d cannot be copied: %s", name, db, reason);
}
