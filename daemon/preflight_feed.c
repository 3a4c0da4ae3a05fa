/* preflight_feed.c - which feed the link would have, why not a better one, and whether the source would cut
 * it off. */
#include "daemon/preflight_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/text.h"
#include "lib/feed/flags.h"
#include "lib/feed/receiver.h"

#define MARK_BYTES     120 /* of the source's output buffer, accounted for each, with a key of 69 bytes */
#define SECONDS_LEAST  10
#define SECONDS_TOLD   3600
#define HARD_LEAST     (8 * MIB)
#define TRACKING_SINCE 60000
#define CHANNELS_SINCE 60200

/* What would become of one kind. */
struct view {
    bool usable;
    char why[PREFLIGHT_WHY_MAX]; /* not usable, or in doubt */
    char hint[240];
    char note[160]; /* of a usable one */
};

static void view_tracking(const struct preflight_side *s, struct view *v)
{
    bool old = s->probe.id.redis && s->probe.id.redis < CHANNELS_SINCE;

    snprintf(v->hint, sizeof(v->hint),
             "On the source: ACL SETUSER %s +client|id +client|tracking %s +subscribe +ping", s->user,
             old ? "+client|getredir" : "+client|trackinginfo &" RECEIVER_INVALIDATIONS);
    if (s->probe.id.redis && s->probe.id.redis < TRACKING_SINCE) {
        snprintf(v->why, sizeof(v->why), "CLIENT TRACKING came with 6.0");
        snprintf(v->hint, sizeof(v->hint), "Use another feed.");
    } else if (right_is_lacking(s, MAY_SUBSCRIBE)) {
        snprintf(v->why, sizeof(v->why), "%s %s is refused", right_rows[MAY_SUBSCRIBE].name,
                 right_rows[MAY_SUBSCRIBE].args);
    } else if (right_is_lacking(s, MAY_CLIENT_ID) || right_is_lacking(s, MAY_TRACKING)) {
        snprintf(v->why, sizeof(v->why), "CLIENT %s is refused",
                 right_is_lacking(s, MAY_TRACKING) ? "TRACKING" : "ID");
    } else if (s->tracking == RIGHT_DENIED || s->tracking == RIGHT_MISSING) {
        snprintf(v->why, sizeof(v->why), "CLIENT TRACKING is refused: %.160s", s->tracking_why);
    } else if (right_is_lacking(s, MAY_TRACKINGINFO) || right_is_lacking(s, MAY_GETREDIR)) {
        enum right_id id = right_is_lacking(s, MAY_GETREDIR) ? MAY_GETREDIR : MAY_TRACKINGINFO;
        v->usable = true;
        snprintf(v->why, sizeof(v->why), "%s is refused: riotd cannot see whether the source still tracks",
                 right_rows[id].name);
        snprintf(v->hint, sizeof(v->hint), "On the source: ACL SETUSER %s %s", s->user, right_rows[id].rule);
    } else {
        v->usable = true;
        if (s->tracking == RIGHT_UNKNOWN)
            snprintf(v->why, sizeof(v->why), "CLIENT TRACKING could not be tried");
    }
}

static void view_notify(const struct preflight_side *s, struct view *v)
{
    char wanted[NOTIFY_FLAGS_MAX] = "KA";

    if (s->has_flags && flags_add(s->flags, wanted, sizeof(wanted)) < 0)
        snprintf(wanted, sizeof(wanted), "KA");
    if (right_is_lacking(s, MAY_PSUBSCRIBE)) {
        snprintf(v->why, sizeof(v->why), "%s %s is refused", right_rows[MAY_PSUBSCRIBE].name,
                 right_rows[MAY_PSUBSCRIBE].args);
        snprintf(v->hint, sizeof(v->hint), "On the source: ACL SETUSER %s +ping +subscribe %s", s->user,
                 right_rows[MAY_PSUBSCRIBE].rule);
    } else if (!s->has_flags) {
        v->usable = true;
        snprintf(v->why, sizeof(v->why), FLAGS_NAME " of the source cannot be read: it must contain KA");
        snprintf(v->hint, sizeof(v->hint),
                 "Set " FLAGS_NAME
                 " to KA and what it has already, or ACL SETUSER %s +config|get +config|set",
                 s->user);
    } else if (flags_suffice(s->flags, s->probe.id.redis)) {
        v->usable = true;
        snprintf(v->note, sizeof(v->note), FLAGS_NAME " is \"%s\", which suffices", s->flags);
    } else if (right_is_lacking(s, MAY_CONFIG_SET)) {
        snprintf(v->why, sizeof(v->why), FLAGS_NAME " is \"%s\", and CONFIG SET is refused", s->flags);
        snprintf(v->hint, sizeof(v->hint),
                 "Set " FLAGS_NAME " to \"%s\" on the source, or ACL SETUSER %s +config|set", wanted,
                 s->user);
    } else {
        v->usable = true;
        snprintf(v->note, sizeof(v->note), "start sets " FLAGS_NAME ", now \"%s\", to \"%s\"", s->flags,
                 wanted);
    }
}

static void view_of(const struct preflight_side *s, enum feed_kind k, struct view *v)
{
    *v = (struct view){.usable = false};
    if (k == FEED_TRACKING)
        view_tracking(s, v);
    else if (k == FEED_NOTIFY)
        view_notify(s, v);
    else
        snprintf(v->why, sizeof(v->why), "not built yet");
}

/* The kind that is in force, with what there is to say of it. */
static void add_usable(enum feed_kind k, const struct view *v, const char *before, struct preflight_report *r)
{
    const char *more = v->why[0] ? v->why : v->note;

    preflight_add(r, "feed", v->why[0] ? PREFLIGHT_WARNING : PREFLIGHT_OK, "%s%s%s%s%s%s", feed_kind_name(k),
                  more[0] ? ": " : "", more, before[0] ? " (passed over: " : "", before,
                  before[0] ? ")" : "");
    if (v->why[0])
        preflight_hint(r, "%s", v->hint);
}

static void decide_one(const struct preflight_side *s, enum feed_kind k, struct preflight_report *r)
{
    struct view v;

    view_of(s, k, &v);
    if (v.usable) {
        add_usable(k, &v, "", r);
        return;
    }
    preflight_add(r, "feed", PREFLIGHT_ERROR, "%s cannot be used: %s", feed_kind_name(k), v.why);
    preflight_hint(r, "%s", v.hint);
}

static void decide_auto(const struct preflight_side *s, struct preflight_report *r)
{
    static const enum feed_kind kinds[] = {FEED_PSYNC, FEED_TRACKING, FEED_NOTIFY};
    char before[240] = "", hint[240] = "";
    struct view v;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t at = strlen(before);
        view_of(s, kinds[i], &v);
        if (v.usable) {
            add_usable(kinds[i], &v, before, r);
            return;
        }
        snprintf(before + at, sizeof(before) - at, "%s%s: %s", at ? "; " : "", feed_kind_name(kinds[i]),
                 v.why);
        if (!hint[0])
            snprintf(hint, sizeof(hint), "%s", v.hint);
    }
    preflight_add(r, "feed", PREFLIGHT_ERROR, "no feed can be used: %s", before);
    preflight_hint(r, "%s", hint);
}

static void decide_feed(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE];
    enum feed_kind k = f->config->feed;

    if (k == FEED_NONE) {
        preflight_add(r, "feed", PREFLIGHT_WARNING,
                      "none: one pass over all keys; what changes later is not copied");
        preflight_hint(r, "Set feed: auto for a target that stays in sync.");
    } else if (k == FEED_AUTO && f->config->existing_keys == EXISTING_MERGE) {
        decide_one(s, FEED_NOTIFY, r); /* the one that names the database */
    } else if (k == FEED_AUTO) {
        decide_auto(s, r);
    } else {
        decide_one(s, k, r);
    }
}

static void decide_commandstats(const struct preflight_side *s, struct preflight_report *r)
{
    if (s->has_commandstats)
        return;
    preflight_add(
        r, "commandstats", PREFLIGHT_WARNING,
        "INFO commandstats of the source cannot be read: SWAPDB, consumer groups and functions change "
        "unseen");
    preflight_hint(r, "Use a source that tells it, or do without these commands while the link runs.");
}

/* For how long riotd may read nothing before the source cuts its feed off. */
static uint64_t seconds_of(const struct preflight_side *s, uint64_t bytes_per_s)
{
    uint64_t hard = s->pubsub_hard ? s->pubsub_hard / bytes_per_s : UINT64_MAX;
    uint64_t soft = s->pubsub_soft ? s->pubsub_soft / bytes_per_s + s->pubsub_soft_s : UINT64_MAX;
    return MIN(hard, soft);
}

static void put_limits(const struct preflight_side *s, char *out, size_t cap)
{
    char hard[TEXT_MAX], soft[TEXT_MAX];

    text_size(s->pubsub_hard, hard);
    text_size(s->pubsub_soft, soft);
    if (s->pubsub_hard && s->pubsub_soft)
        snprintf(out, cap, "%s, or %s for %" PRIu64 " s,", hard, soft, s->pubsub_soft_s);
    else if (s->pubsub_hard)
        snprintf(out, cap, "%s", hard);
    else
        snprintf(out, cap, "%s for %" PRIu64 " s", soft, s->pubsub_soft_s);
}

static void decide_output_buffer(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE];
    uint64_t rate = f->marks_per_s ? f->marks_per_s : s->ops_per_s, seconds = UINT64_MAX;
    char limits[96], per_s[TEXT_MAX], ms[TEXT_MAX], at_rate[128] = "";

    if (!s->has_pubsub_limit)
        return;
    if (!s->pubsub_hard && !s->pubsub_soft) {
        preflight_add(r, "output_buffer", PREFLIGHT_OK,
                      "the source sets no limit to a subscriber's output buffer");
        return;
    }
    if (rate != PREFLIGHT_UNKNOWN && rate > 0)
        seconds = seconds_of(s, rate * MARK_BYTES);
    if (seconds < SECONDS_TOLD)
        snprintf(at_rate, sizeof(at_rate), ": that is %s at the present %s %s a second",
                 text_ms(seconds * 1000, ms), text_count(rate, per_s), f->marks_per_s ? "marks" : "commands");
    bool low = (s->pubsub_hard && s->pubsub_hard < HARD_LEAST) || seconds < SECONDS_LEAST;
    put_limits(s, limits, sizeof(limits));
    preflight_add(r, "output_buffer", low ? PREFLIGHT_WARNING : PREFLIGHT_OK,
                  "the source cuts a subscriber off that leaves %s unread%s", limits, at_rate);
    if (low)
        preflight_hint(r, "A feed that is cut off is a gap, and a gap is a resync. On the source: CONFIG SET "
                          "client-output-buffer-limit \"pubsub 256mb 128mb 60\"");
}

static void decide_idle(const struct preflight_side *s, struct preflight_report *r)
{
    if (s->idle_timeout_s == PREFLIGHT_UNKNOWN)
        return;
    if (s->idle_timeout_s == 0) {
        preflight_add(r, "idle_timeout", PREFLIGHT_OK, "the source closes no idle connection");
        return;
    }
    preflight_add(r, "idle_timeout", PREFLIGHT_WARNING,
                  "the source closes connections that were idle for %" PRIu64 " s", s->idle_timeout_s);
    preflight_hint(r, "On the source: CONFIG SET timeout 0. A feed whose connection is closed is a gap.");
}

void preflight_decide_feed(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE];

    if (!s->reached || !s->asked)
        return;
    decide_feed(f, r);
    if (f->config->feed == FEED_NONE)
        return;
    decide_commandstats(s, r);
    decide_output_buffer(f, r);
    decide_idle(s, r);
}
