/* notify.c - marks from keyspace notifications.
 *
 * Flags are added to what is set, never taken away, and what was there before is recorded durably first
 * (CORRECTNESS 7). The flags are read again each second: whoever takes them away silences the feed without a
 * word.
 *
 * Flushes make no notification. The receiver therefore also hears invalidations, of tracking with a prefix
 * that no key has: what comes of it is NULL, at each flush. Where that is refused, commandstats tells of
 * flushes within a second.
 */
#include "lib/feed/kind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/feed/pair.h"
#include "lib/feed/putback.h"

#define PATTERN    "__keyspace@*__:*"
#define CHANNEL    "__keyspace@"
#define PREFIX_LEN 24
#define DEAF_MAX   5 /* readings in which the data changed and nothing was heard, ever */

enum step { STEP_IDLE, STEP_READ, STEP_SET, STEP_CONFIRM, STEP_AGAIN, STEP_LIVE };

struct notify {
    struct feed *feed;
    struct pair *pair;
    enum step step;
    bool quiet; /* closed, or stopped: then only what is put back matters */
    bool blind; /* the flags cannot be read */
    bool told_record;
    bool record_late; /* what was read back is still to be recorded */
    char wanted[NOTIFY_FLAGS_MAX];
    struct notify_record record_next;

    uint64_t reads, read; /* CONFIG GETs sent and answered while live */
    bool draining;
    uint64_t drained_at;

    bool heard; /* an event came, ever */
    unsigned deaf;
    uint64_t changes, groups; /* of the last reading */
};

static unsigned redis_of(struct notify *n)
{
    return conn_server(pair_owner(n->pair))->redis;
}

/* Live: the flags suffice, or that cannot be known. */

static void go_live(struct notify *n)
{
    n->step = STEP_LIVE;
    feed_kind_live(n->feed, pair_run_id(n->pair));
}

static void hear_flushes(struct notify *n)
{
    char prefix[PREFIX_LEN];

    if (pair_is_tracked(n->pair) || !pair_can_track(n->pair) ||
        getrandom(prefix, sizeof(prefix), 0) != sizeof(prefix))
        go_live(n);
    else
        pair_track(n->pair, bytes_of(prefix, sizeof(prefix)));
}

static void flags_are_set(struct notify *n)
{
    if (n->blind)
        feed_kind_doubt(n->feed, NULL);
    n->blind = false;
    if (n->step != STEP_LIVE && !n->quiet)
        hear_flushes(n);
}

static void hear(struct notify *n)
{
    if (!n->heard && n->blind)
        feed_kind_doubt(n->feed, NULL);
    n->heard = true;
}

static void go_blind(struct notify *n, struct bytes why)
{
    char text[96];

    n->blind = true;
    if (!n->heard)
        feed_kind_doubt(n->feed, "%s cannot be read (%s), and no event has come yet: it must contain KA",
                        FLAGS_NAME, bytes_escape(why, text, sizeof(text)));
    if (n->step == STEP_LIVE)
        feed_kind_missed(n->feed, "%s can no longer be read", FLAGS_NAME);
    else
        hear_flushes(n);
}

/* The record */

static int write_record(struct notify *n, const struct notify_record *rec)
{
    int r = feed_set_record(n->feed, rec);

    if (r < 0 && !n->told_record)
        sink_say(feed_sink(n->feed), SINK_WARNING, "notify_record",
                 "what %s of the source was before cannot be written down: %s", FLAGS_NAME, strerror(-r));
    n->told_record = r < 0;
    return r;
}

/* The intent is on disk in any case, and is enough to put the flags back: this may be late. */
static void record_after(struct notify *n, const char *present)
{
    struct notify_record rec = *feed_record(n->feed);

    snprintf(rec.after, sizeof(rec.after), "%s", present);
    n->record_next = rec;
    n->record_late = write_record(n, &rec) < 0;
}

/* A former process of ours was about to set the flags, went down, and they are as it would have set them:
 * they are ours. */
static void adopt(struct notify *n, const char *present)
{
    const struct notify_record *rec = feed_record(n->feed);

    if (rec->run_id[0] == '\0' || rec->after[0] != '\0' || strcmp(rec->run_id, pair_run_id(n->pair)) != 0)
        return;
    if (putback_is_ours(rec, present))
        record_after(n, present);
}

/* Setting */

static void read_flags(struct notify *n, conn_reply_fn *fn)
{
    const struct bytes argv[] = {BYTES("CONFIG"), BYTES("GET"), BYTES(FLAGS_NAME)};

    if (conn_call(pair_owner(n->pair), ARRAY_LEN(argv), argv, fn, n) < 0)
        pair_reset(n->pair, "cannot be asked");
}

static void refuse_set(struct notify *n, struct bytes why)
{
    char text[80];

    feed_kind_unusable(n->feed, "CONFIG SET %s is refused (%s): set it to \"%s\" on the source", FLAGS_NAME,
                       bytes_escape(why, text, sizeof(text)), n->wanted);
}

/* Nothing came of the intent: the present value is not ours. */
static void set_failed(struct notify *n, struct bytes why)
{
    static const struct notify_record none;

    write_record(n, &none);
    if (!n->quiet)
        refuse_set(n, why);
}

static void tell_set(struct notify *n)
{
    const struct notify_record *rec = feed_record(n->feed);

    sink_say(
        feed_sink(n->feed), SINK_NOTICE, "notify_set",
        "%s of the source is set to \"%s\", and was \"%s\" before: it is put back when the link or riotd "
        "ends",
        FLAGS_NAME, n->wanted, rec->before);
}

static void on_confirmed(struct conn *c, const struct reply *r, void *arg)
{
    struct notify *n = arg;
    FEED_HELD(n->feed);
    char present[NOTIFY_FLAGS_MAX];
    struct bytes why;
    (void)c;

    if (n->quiet || n->step != STEP_CONFIRM)
        return;
    if (!putback_value(r, present, sizeof(present), &why)) {
        n->step = STEP_AGAIN;
    } else if (!flags_suffice(present, redis_of(n))) {
        set_failed(n, BYTES("answered OK, but not kept"));
    } else {
        record_after(n, present);
        tell_set(n);
        flags_are_set(n);
    }
}

static void on_set(struct conn *c, const struct reply *r, void *arg)
{
    struct notify *n = arg;
    FEED_HELD(n->feed);
    (void)c;

    if (n->quiet || n->step != STEP_SET)
        return;
    if (reply_is_ok(r)) {
        n->step = STEP_CONFIRM;
        read_flags(n, on_confirmed);
    } else if (pair_is_passing(r)) {
        n->step = STEP_AGAIN;
    } else {
        set_failed(n, r->text);
    }
}

static void send_set(struct notify *n)
{
    const struct bytes argv[] = {BYTES("CONFIG"), BYTES("SET"), BYTES(FLAGS_NAME), bytes_str(n->wanted)};

    n->step = STEP_SET;
    if (conn_call(pair_owner(n->pair), ARRAY_LEN(argv), argv, on_set, n) < 0)
        pair_reset(n->pair, "cannot be asked");
}

/* `before` is what the source goes back to: the last value that somebody else chose. A record that is there
 * already keeps its `before` as long as the present value may be of our making; and ours always suffices, so
 * one that does not is another's choice, made since, and going back to the older one would undo it. */
static void set_flags(struct notify *n, const char *present)
{
    struct notify_record rec = {0};

    if (flags_add(present, n->wanted, sizeof(n->wanted)) < 0 || pair_run_id(n->pair)[0] == '\0') {
        snprintf(n->wanted, sizeof(n->wanted), "KA");
        refuse_set(n, BYTES("what is set now cannot be recorded"));
        return;
    }
    snprintf(rec.run_id, sizeof(rec.run_id), "%s", pair_run_id(n->pair));
    snprintf(rec.before, sizeof(rec.before), "%s", present);
    n->record_late = false;
    if (write_record(n, &rec) < 0)
        n->step = STEP_AGAIN;
    else if (!n->quiet)
        send_set(n);
}

static void judge(struct notify *n, const char *present)
{
    if (flags_suffice(present, redis_of(n))) {
        adopt(n, present);
        flags_are_set(n);
        return;
    }
    if (n->step == STEP_LIVE) {
        n->step = STEP_READ;
        feed_kind_lost(n->feed, "somebody set %s to \"%s\"", FLAGS_NAME, present);
    }
    if (!n->quiet)
        set_flags(n, present);
}

static void finish_drain(struct notify *n)
{
    if (n->step != STEP_LIVE || !n->draining || n->read < n->drained_at)
        return;
    n->draining = false;
    feed_kind_drained(n->feed);
}

static void on_flags(struct conn *c, const struct reply *r, void *arg)
{
    struct notify *n = arg;
    FEED_HELD(n->feed);
    char present[NOTIFY_FLAGS_MAX];
    struct bytes why;
    (void)c;

    n->read++;
    if (n->quiet || (n->step != STEP_READ && n->step != STEP_LIVE))
        return;
    if (pair_is_passing(r)) {
        n->step = n->step == STEP_LIVE ? STEP_LIVE : STEP_AGAIN;
        return;
    }
    if (putback_value(r, present, sizeof(present), &why))
        judge(n, present);
    else
        go_blind(n, why);
    finish_drain(n);
}

static void look(struct notify *n)
{
    n->reads++;
    read_flags(n, on_flags);
}

/* Events of the pair */

static void on_pair_up(void *arg)
{
    struct notify *n = arg;

    n->step = STEP_READ;
    n->reads = n->read = 0;
    n->draining = false;
    look(n);
}

static void on_tracked(void *arg)
{
    go_live(arg);
}

static void on_refused(const char *command, struct bytes error, void *arg)
{
    struct notify *n = arg;
    char text[80];

    if (strncmp(command, "CLIENT", 6) == 0) {
        go_live(n);
        return;
    }
    bytes_escape(error, text, sizeof(text));
    if (bytes_starts(error, "NOPERM"))
        feed_kind_unusable(n->feed, "%s is refused (%s): ACL SETUSER %s +psubscribe +subscribe +ping &%s",
                           command, text, feed_user(n->feed), PATTERN);
    else
        feed_kind_unusable(n->feed, "%s is refused: %s", command, text);
}

static void on_lost(const char *why, void *arg)
{
    struct notify *n = arg;

    n->step = STEP_IDLE;
    n->draining = false;
    feed_kind_lost(n->feed, "%s", why);
}

static void on_pair_drained(void *arg)
{
    struct notify *n = arg;

    if (!n->draining || n->step != STEP_LIVE)
        return;
    if (n->blind) {
        n->drained_at = 0;
        finish_drain(n);
        return;
    }
    look(n);
    n->drained_at = n->reads;
}

/* Messages */

/* "__keyspace@12__:key" */
static bool parse_channel(struct bytes channel, int *ret_db, struct bytes *ret_key)
{
    int64_t db;

    if (!bytes_starts(channel, CHANNEL))
        return false;
    struct bytes rest = bytes_of(channel.ptr + strlen(CHANNEL), channel.len - strlen(CHANNEL));
    if (bytes_to_i64(bytes_cut(&rest, '_'), &db) < 0 || db < 0 || db > URL_DB_MAX ||
        !bytes_starts(rest, "_:"))
        return false;
    *ret_db = (int)db;
    *ret_key = bytes_of(rest.ptr + 2, rest.len - 2);
    return true;
}

static void on_event(struct bytes channel, void *arg)
{
    struct notify *n = arg;
    struct bytes key;
    int db;

    if (!parse_channel(channel, &db, &key))
        return;
    hear(n);
    feed_kind_mark(n->feed, db, key);
}

static void on_long_event(struct bytes prefix, uint64_t length, void *arg)
{
    struct notify *n = arg;
    struct bytes key;
    int db;

    if (!parse_channel(prefix, &db, &key))
        return;
    hear(n);
    feed_kind_long_key(n->feed, db, key, length - (prefix.len - key.len));
}

static void on_flushed(void *arg)
{
    struct notify *n = arg;
    feed_kind_missed(n->feed, "the source was flushed");
}

/* No key has the prefix, and what others publish there is no news. */
static void ignore_key(struct bytes key, void *arg)
{
    (void)key;
    (void)arg;
}

static void ignore_long_key(struct bytes prefix, uint64_t length, void *arg)
{
    (void)prefix;
    (void)length;
    (void)arg;
}

/* The kind */

/* Group state changes the data without an event, so such a reading proves nothing. */
static void listen_for_life(struct notify *n, const struct watch_sample *s)
{
    if (n->heard || !n->blind || n->step != STEP_LIVE || s->rdb_changes == WATCH_UNKNOWN)
        return;
    if (s->rdb_changes > n->changes && s->group_changes == n->groups)
        n->deaf++;
    n->changes = s->rdb_changes;
    n->groups = s->group_changes;
    if (n->deaf > DEAF_MAX)
        feed_kind_unusable(n->feed,
                           "the data changes, but not one keyspace event came: add KA to %s on the source "
                           "(it may not be read)",
                           FLAGS_NAME);
}

static void tick(void *k, const struct watch_sample *s)
{
    struct notify *n = k;

    pair_tick(n->pair);
    if (n->record_late && n->step == STEP_LIVE)
        n->record_late = write_record(n, &n->record_next) < 0;
    if (n->step == STEP_AGAIN) {
        n->step = STEP_READ;
        look(n);
    } else if (n->step == STEP_LIVE && !n->blind && n->reads == n->read) {
        look(n);
    }
    if (s != NULL)
        listen_for_life(n, s);
}

static void drain(void *k)
{
    struct notify *n = k;

    n->draining = true;
    n->drained_at = UINT64_MAX;
    pair_drain(n->pair);
}

static void reset(void *k, const char *why)
{
    struct notify *n = k;

    n->step = STEP_IDLE;
    n->draining = false;
    pair_reset(n->pair, why);
}

static struct conn *quiet(void *k)
{
    struct notify *n = k;

    n->quiet = true;
    pair_close_receiver(n->pair);
    return pair_owner(n->pair);
}

static void close_notify(void *k)
{
    struct notify *n = k;

    n->quiet = true;
    pair_close(n->pair);
}

static void free_notify(void *k)
{
    struct notify *n = k;
    pair_free(n->pair);
    free(n);
}

static int new_notify(struct feed *f, void **ret)
{
    struct notify *n = calloc(1, sizeof(*n));
    const struct receiver_messages messages = {.event = on_event,
                                               .long_event = on_long_event,
                                               .key = ignore_key,
                                               .long_key = ignore_long_key,
                                               .flushed = on_flushed,
                                               .arg = n};
    const struct pair_options opt = {
        .owner_role = "config",
        .owner_fenced =
            true, /* a CONFIG SET that is left behind in a socket must not follow the one that puts back */
        .receiver = {.role = "feed", .pattern = PATTERN, .messages = messages},
    };
    static const struct pair_events events = {.up = on_pair_up,
                                              .tracked = on_tracked,
                                              .refused = on_refused,
                                              .lost = on_lost,
                                              .drained = on_pair_drained};

    if (n == NULL)
        return -ENOMEM;
    n->feed = f;
    n->changes = WATCH_UNKNOWN;
    int r = pair_new(f, &opt, &events, n, &n->pair);
    if (r < 0) {
        free(n);
        return r;
    }
    *ret = n;
    return 0;
}

const struct kind_ops notify_ops = {
    .kind = FEED_NOTIFY,
    .names_db = true,
    .marks = true,
    .new = new_notify,
    .close = close_notify,
    .free = free_notify,
    .tick = tick,
    .drain = drain,
    .reset = reset,
    .quiet = quiet,
};
