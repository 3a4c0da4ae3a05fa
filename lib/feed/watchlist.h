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

/* What the feed needs of it. With marks, what it cannot see is a gap; a gap says nothing of groups, since its
 * resync copies every stream; functions are not keys, so they are told with it. Without marks only another
 * server is a gap. Where the feed sees all (the replication stream) nothing is: it tells by itself whether it
 * goes on. That stream lacks how often entries were delivered (XREADGROUP of a consumer's own history), so
 * groups are told, also when their count cannot be relied on. */
enum watchlist_for { WATCHLIST_FOR_NOTHING, WATCHLIST_FOR_GROUPS, WATCHLIST_FOR_MARKS };
void watchlist_compare(const struct watchpoint *before, const struct watchpoint *now, enum watchlist_for what,
                       struct watchlist_news *ret);

#endif
