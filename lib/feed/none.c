/* none.c - no feed: the source is watched, and nothing is marked. */
#include "lib/feed/kind.h"

static int new_none(struct feed *f, void **ret)
{
    *ret = f;
    return 0;
}

static void nothing(void *k)
{
    (void)k;
}

static void tick(void *k, const struct watch_sample *s)
{
    (void)k;
    (void)s;
}

static void drain(void *k)
{
    feed_kind_drained(k);
}

static void reset(void *k, const char *why)
{
    (void)k;
    (void)why;
}

const struct kind_ops none_ops = {
    .kind = FEED_NONE,
    .new = new_none,
    .close = nothing,
    .free = nothing,
    .tick = tick,
    .drain = drain,
    .reset = reset,
};
