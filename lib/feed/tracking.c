/* tracking.c - marks from CLIENT TRACKING in broadcast mode, redirected to a RESP2 subscriber.
 *
 * The messages name keys but no database. Keys of one command cycle come together and sorted, a flush comes
 * at once and without its database: so it is a gap, and no order to delete anything (facts 2).
 */
#include "lib/feed/kind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/feed/pair.h"

struct tracking {
    struct feed *feed;
    struct pair *pair;
};

static void on_key(struct bytes key, void *arg)
{
    feed_kind_mark(arg, FEED_ANY_DB, key);
}

static void on_long_key(struct bytes prefix, uint64_t length, void *arg)
{
    feed_kind_long_key(arg, FEED_ANY_DB, prefix, length);
}

static void on_flushed(void *arg)
{
    feed_kind_missed(arg, "the source was flushed");
}

static void on_pair_up(void *arg)
{
    struct tracking *t = arg;
    pair_track(t->pair, (struct bytes){0});
}

static void on_tracked(void *arg)
{
    struct tracking *t = arg;
    feed_kind_live(t->feed, pair_run_id(t->pair));
}

static void on_refused(const char *command, struct bytes error, void *arg)
{
    struct tracking *t = arg;
    char text[80];
    const char *rights = strncmp(command, "CLIENT", 6) == 0
                             ? "+client|id +client|tracking +client|trackinginfo"
                             : "+subscribe +ping &" RECEIVER_INVALIDATIONS;

    bytes_escape(error, text, sizeof(text));
    if (bytes_starts(error, "NOPERM"))
        feed_kind_unusable(t->feed, "%s is refused (%s): ACL SETUSER %s %s", command, text,
                           feed_user(t->feed), rights);
    else
        feed_kind_unusable(t->feed, "%s is refused: %s", command, text);
}

static void on_lost(const char *why, void *arg)
{
    struct tracking *t = arg;
    feed_kind_lost(t->feed, "%s", why);
}

static void on_drained(void *arg)
{
    struct tracking *t = arg;
    feed_kind_drained(t->feed);
}

static void free_tracking(void *k)
{
    struct tracking *t = k;
    pair_free(t->pair);
    free(t);
}

static int new_tracking(struct feed *f, void **ret)
{
    const struct pair_options opt = {
        .owner_role = "tracking",
        .receiver = {.role = "feed",
                     .invalidations_needed = true,
                     .messages = {.key = on_key, .long_key = on_long_key, .flushed = on_flushed, .arg = f}},
    };
    static const struct pair_events events = {.up = on_pair_up,
                                              .tracked = on_tracked,
                                              .refused = on_refused,
                                              .lost = on_lost,
                                              .drained = on_drained};
    struct tracking *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return -ENOMEM;
    t->feed = f;
    int r = pair_new(f, &opt, &events, t, &t->pair);
    if (r < 0) {
        free(t);
        return r;
    }
    *ret = t;
    return 0;
}

static void close_tracking(void *k)
{
    struct tracking *t = k;
    pair_close(t->pair);
}

static void tick(void *k, const struct watch_sample *s)
{
    struct tracking *t = k;
    (void)s;
    pair_tick(t->pair);
}

static void drain(void *k)
{
    struct tracking *t = k;
    pair_drain(t->pair);
}

static void reset(void *k, const char *why)
{
    struct tracking *t = k;
    pair_reset(t->pair, why);
}

const struct kind_ops tracking_ops = {
    .kind = FEED_TRACKING,
    .marks = true,
    .new = new_tracking,
    .close = close_tracking,
    .free = free_tracking,
    .tick = tick,
    .drain = drain,
    .reset = reset,
};
