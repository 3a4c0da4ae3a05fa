/* watchlist.h - what a difference between two readings of the source means (CORRECTNESS 3).
 *
 * Pure: two points in, news out. A point keeps of a reading only what is compared.
 */
#ifndef RIOT_FEED_WATCHLIST_H
#define RIOT_FEED_WATCHLIST_H

#include "lib/redis/watch.h"

struct watchpoint {
    char run_id[RUN_ID_MAX], replid[RUN_ID_MAX];
    enum server_role role;
    bool link_up, loading;
    uint64_t commands, flushes, swaps, groups, functions; /* or WATCH_UNKNOWN */
};

void watchpoint_take(const struct watch_sample *s, struct watchpoint *ret);

#define WATCHLIST_GAP_MAX 160
struct watchlist_news {
    char gap[WATCHLIST_GAP_MAX]; /* "": none */
    bool groups, functions;
};

/* marks: does the feed deliver marks, so that what it cannot see is a gap? Without them only another server
 * is one. A gap says nothing of groups, since its resync copies every stream; functions are not keys, so they
 * are told with it. */
void watchlist_compare(const struct watchpoint *before, const struct watchpoint *now, bool marks,
                       struct watchlist_news *ret);

#endif
