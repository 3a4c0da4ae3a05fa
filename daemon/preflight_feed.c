/* preflight_feed.c - which feed the link would have, why not a better one, and whether the source would cut
 * it off, or lose what comes meanwhile. */
#include "daemon/preflight_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/text.h"
#include "lib/feed/flags.h"
#include "lib/feed/receiver.h"

#define MARK_BYTES           120 /* of the source's output buffer, accounted for each, with a key of 69 bytes */
#define SECONDS_LEAST        10
#define SECONDS_TOLD         3600
#define HARD_LEAST           (8 * MIB)
#define BACKLOG_LEAST        MIB /* the servers' default */
#define BREAK_SECONDS_LEAST  60  /* a restart of riotd, or a network that stumbles */
#define TRACKING_SINCE       60000
#define CHANNELS_SINCE       60200
#define SHUTDOWN_WAITS_SINCE 70000

/* What would become of one kind. */
struct view {
    bool usable;
    char why[PREFLIGHT_WHY_MAX]; /* not usable, or in doubt */
    char hint[240];
    char note[160]; /* of a usable one */
};

static void view_psync(const struct preflight_facts *f, struct view *v)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE];
    char size[TEXT_MAX];

    if (s->rights[MAY_PSYNC] == RIGHT_MISSING || s->rights[MAY_REPLCONF] == RIGHT_MISSING) {
        snprintf(v->why, sizeof(v->why), "the source does not know %s",
                 right_rows[s->rights[MAY_PSYNC] == RIGHT_MISSING ? MAY_PSYNC : MAY_REPLCONF].name);
        snprintf(v->hint, sizeof(v->hint),
                 "Use another feed: rename-command, or the service, has taken it away.");
    } else if (right_is_lacking(s, MAY_PSYNC) || right_is_lacking(s, MAY_REPLCONF)) {
        snprintf(v->why, sizeof(v->why), "%s is refused",
                 right_rows[right_is_lacking(s, MAY_PSYNC) ? MAY_PSYNC : MAY_REPLCONF].name);
        snprintf(v->hint, sizeof(v->hint), "On the source: ACL SETUSER %s +psync +replconf", s->user);
    } else if (s->takes_own_writes) {
        snprintf(v->why, sizeof(v->why),
                 "the source is a replica that takes writes of its own, which its stream does not have");
        snprintf(v->hint, sizeof(v->hint),
                 "On the source: CONFIG SET replica-read-only yes. Or use feed: tracking.");
    } else if (s->backlog == PREFLIGHT_UNKNOWN) {
        snprintf(v->why, sizeof(v->why), "INFO replication of the source tells of no backlog");
        snprintf(v->hint, sizeof(v->hint), "Use another feed.");
    } else if (s->backlog == 0 && !f->config->psync_full_sync) {
        snprintf(v->why, sizeof(v->why), "the source has no replication backlog");
        snprintf(v->hint, sizeof(v->hint),
                 "Attach a replica to the source once, or set psync.full_sync: yes, for which it forks, and "
                 "restart riotd.");
    } else if (s->backlog == 0) {
        v->usable = true;
        snprintf(v->why, sizeof(v->why),
                 "the source has no replication backlog: it will fork for a full synchronisation");
        snprintf(v->hint, sizeof(v->hint), "Attach a replica to the source once, and it need not.");
    } else {
        v->usable = true;
        snprintf(v->note, sizeof(v->note), "the stream can be had without a full synchronisation%s%s",
                 s->backlog_size != PREFLIGHT_UNKNOWN ? ", from a backlog of " : "",
                 s->backlog_size != PREFLIGHT_UNKNOWN ? text_size(s->backlog_size, size) : "");
    }
}

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

static void view_of(const struct preflight_facts *f, enum feed_kind k, struct view *v)
{
    *v = (struct view){.usable = false};
    if (k == FEED_PSYNC)
        view_psync(f, v);
    else if (k == FEED_TRACKING)
        view_tracking(&f->side[SIDE_SOURCE], v);
    else
        view_notify(&f->side[SIDE_SOURCE], v);
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

static enum feed_kind decide_one(const struct preflight_facts *f, enum feed_kind k,
                                 struct preflight_report *r)
{
    struct view v;

    view_of(f, k, &v);
    if (v.usable) {
        add_usable(k, &v, "", r);
        return k;
    }
    preflight_add(r, "feed", PREFLIGHT_ERROR, "%s cannot be used: %s", feed_kind_name(k), v.why);
    preflight_hint(r, "%s", v.hint);
    return k;
}

static enum feed_kind decide_auto(const struct preflight_facts *f, struct preflight_report *r)
{
    static const enum feed_kind kinds[] = {FEED_PSYNC, FEED_TRACKING, FEED_NOTIFY};
    char before[240] = "", hint[240] = "";
    struct view v;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t at = strlen(before);
        view_of(f, kinds[i], &v);
        if (v.usable) {
            add_usable(kinds[i], &v, before, r);
            return kinds[i];
        }
        snprintf(before + at, sizeof(before) - at, "%s%s: %s", at ? "; " : "", feed_kind_name(kinds[i]),
                 v.why);
        if (!hint[0] && kinds[i] != FEED_PSYNC) /* what is nearer at hand */
            snprintf(hint, sizeof(hint), "%s", v.hint);
    }
    preflight_add(r, "feed", PREFLIGHT_ERROR, "no feed can be used: %s", before);
    preflight_hint(r, "%s", hint);
    return FEED_NONE;
}

/* Returns the kind that would run. */
static enum feed_kind decide_feed(const struct preflight_facts *f, struct preflight_report *r)
{
    enum feed_kind k = f->config->feed;

    if (k == FEED_NONE) {
        preflight_add(r, "feed", PREFLIGHT_WARNING,
                      "none: one pass over all keys; what changes later is not copied");
        preflight_hint(r, "Set feed: auto for a target that stays in sync.");
        return k;
    }
    if (k == FEED_AUTO && f->config->existing_keys == EXISTING_MERGE)
        return decide_one(f, FEED_NOTIFY, r); /* the one that names the database */
    return k == FEED_AUTO ? decide_auto(f, r) : decide_one(f, k, r);
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

static uint64_t input_bytes(const struct preflight_side *s)
{
    return s->input_kb != PREFLIGHT_UNKNOWN ? s->input_kb * KIB : 0;
}

/* What the source writes to the feed; 0: not known, or nothing. */
static uint64_t bytes_per_s(const struct preflight_facts *f, enum feed_kind k)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE];
    uint64_t rate = f->marks_per_s ? f->marks_per_s : s->ops_per_s;

    if (rate == PREFLIGHT_UNKNOWN || !rate)
        return 0;
    return MAX(rate * MARK_BYTES, k == FEED_PSYNC ? input_bytes(s) : 0);
}

/* How long that is at the present rate; "" where it is long, or not known. */
static void put_seconds(const struct preflight_facts *f, uint64_t seconds, char *out, size_t cap)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE];
    char per_s[TEXT_MAX], ms[TEXT_MAX];

    out[0] = '\0';
    if (seconds < SECONDS_TOLD)
        snprintf(out, cap, ": that is %s at the present %s %s a second", text_ms(seconds * 1000, ms),
                 text_count(f->marks_per_s ? f->marks_per_s : s->ops_per_s, per_s),
                 f->marks_per_s ? "marks" : "commands");
}

/* For how long riotd may read nothing before the source cuts its feed off. */
static uint64_t seconds_of(const struct buffer_limit *b, uint64_t bytes_per_s)
{
    if (!bytes_per_s)
        return UINT64_MAX;
    uint64_t hard = b->hard ? b->hard / bytes_per_s : UINT64_MAX;
    uint64_t soft = b->soft ? b->soft / bytes_per_s + b->soft_s : UINT64_MAX;
    return MIN(hard, soft);
}

static void put_limits(const struct buffer_limit *b, char *out, size_t cap)
{
    char hard[TEXT_MAX], soft[TEXT_MAX];

    text_size(b->hard, hard);
    text_size(b->soft, soft);
    if (b->hard && b->soft)
        snprintf(out, cap, "%s, or %s for %" PRIu64 " s,", hard, soft, b->soft_s);
    else if (b->hard)
        snprintf(out, cap, "%s", hard);
    else
        snprintf(out, cap, "%s for %" PRIu64 " s", soft, b->soft_s);
}

static void decide_output_buffer(const struct preflight_facts *f, enum feed_kind k,
                                 struct preflight_report *r)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE];
    const struct buffer_limit *b = k == FEED_PSYNC ? &s->replica : &s->pubsub;
    const char *whose = k == FEED_PSYNC ? "replica" : "subscriber",
               *class = k == FEED_PSYNC ? "replica" : "pubsub";
    char limits[96], at_rate[128];

    if (!b->told)
        return;
    if (!b->hard && !b->soft) {
        preflight_add(r, "output_buffer", PREFLIGHT_OK, "the source sets no limit to a %s's output buffer",
                      whose);
        return;
    }
    uint64_t seconds = seconds_of(b, bytes_per_s(f, k));
    put_seconds(f, seconds, at_rate, sizeof(at_rate));
    bool low = (b->hard && b->hard < HARD_LEAST) || seconds < SECONDS_LEAST;
    put_limits(b, limits, sizeof(limits));
    preflight_add(r, "output_buffer", low ? PREFLIGHT_WARNING : PREFLIGHT_OK,
                  "the source cuts a %s off that leaves %s unread%s", whose, limits, at_rate);
    if (low)
        preflight_hint(r,
                       "A feed that is cut off is a gap, and a gap is a resync. On the source: CONFIG SET "
                       "client-output-buffer-limit \"%s 256mb 128mb 60\"",
                       class);
}

/* While psync is cut off, or riotd restarts, the source keeps what it is to go on with. */
static void decide_backlog(const struct preflight_facts *f, struct preflight_report *r)
{
    uint64_t size = f->side[SIDE_SOURCE].backlog_size, per_s = bytes_per_s(f, FEED_PSYNC);
    uint64_t seconds = per_s ? size / per_s : UINT64_MAX;
    char text[TEXT_MAX], at_rate[128];

    if (size == PREFLIGHT_UNKNOWN)
        return;
    bool low = size < BACKLOG_LEAST || seconds < BREAK_SECONDS_LEAST;
    put_seconds(f, seconds, at_rate, sizeof(at_rate));
    preflight_add(r, "backlog", low ? PREFLIGHT_WARNING : PREFLIGHT_OK,
                  "the source keeps the last %s of its stream, for when riotd is cut off or restarts%s",
                  text_size(size, text), at_rate);
    if (low)
        preflight_hint(r, "After a longer break all keys are gone through. On the source: CONFIG SET "
                          "repl-backlog-size 256mb, or what is written in the longest break to be bridged");
}

/* riotd reads the stream as a replica does, and is seen as one. */
static void decide_as_replica(const struct preflight_side *s, struct preflight_report *r)
{
    static const char hint[] =
        "It acknowledges all but the last byte of what the target has, so that FAILOVER does not choose it.";
    bool waits = s->probe.id.redis >= SHUTDOWN_WAITS_SINCE;

    if (s->min_replicas != PREFLIGHT_UNKNOWN && s->min_replicas > 0) {
        preflight_add(r, "replica", PREFLIGHT_WARNING,
                      "riotd counts as a replica, and min-replicas-to-write of the source is %" PRIu64,
                      s->min_replicas);
        preflight_hint(r, "Raise it by one while the link runs, or use feed: tracking.");
        return;
    }
    if (s->sentinels != PREFLIGHT_UNKNOWN && s->sentinels > 0) {
        preflight_add(r, "replica", PREFLIGHT_WARNING, "riotd shows as a replica, and Sentinel lists it");
        preflight_hint(r, "%s With feed: tracking it is none.", hint);
        return;
    }
    preflight_add(r, "replica", PREFLIGHT_OK, "the source shows riotd as a replica%s",
                  waits ? ", and its SHUTDOWN waits for it up to shutdown-timeout" : "");
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
    enum feed_kind k = decide_feed(f, r);
    if (f->config->feed == FEED_NONE)
        return;
    decide_commandstats(s, r);
    decide_output_buffer(f, k, r);
    if (k == FEED_PSYNC) {
        decide_backlog(f, r);
        decide_as_replica(s, r);
    }
    decide_idle(s, r);
}
