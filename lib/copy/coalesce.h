/* coalesce.h - how long a live mark waits before its key is read, so that marks of one key fall together.
 *
 * To read a changed key again doubles what a write costs the source. Waiting saves that where keys change
 * again soon, and costs lag where they do not. So the wait follows the load: it is the share of the time in
 * which keys were in flight, squared, of what the user allows; what it saves makes that share less, so it
 * finds its own measure. While few keys are marked in the time that is allowed, there is none.
 *
 * Before a lane is live nobody waits for a change: a pass that gives way to writers (yield.h) lets them rest
 * for COALESCE_PASS_US, unless the user allows none, and as long as there is memory. It is read sooner that
 * way, and what it comes to meanwhile need not be read twice.
 */
#ifndef RIOT_COALESCE_H
#define RIOT_COALESCE_H

#include "lib/core/common.h"

#define COALESCE_WINDOW_US 50000 /* over which the load is measured */
#define COALESCE_PASS_US   10000000
#define COALESCE_FEW       64 /* marks in the time that is allowed: for fewer nothing waits */

struct coalesce {
    uint64_t most_us; /* allowed; 0: nothing ever waits */
    uint64_t wait_us;
    /* Of the present window. */
    uint64_t began_us, busy_us;
    uint64_t marks;         /* told by its begin */
    uint64_t busy_since_us; /* 0: nothing is in flight */
};

/* busy: a key is in flight from now on, until the next call. marks: the feed's, all in all. */
void coalesce_feed(struct coalesce *c, bool busy, uint64_t marks, uint64_t now_us);

#endif
