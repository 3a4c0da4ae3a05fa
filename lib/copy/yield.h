/* yield.h - how many keys may be asked of the source at once while a pass goes through it.
 *
 * A turn of the source's loop serves what each of its clients has sent. A thousand keys asked at once keep
 * both servers busy, and make everyone who writes meanwhile wait for all of them, each time. Two dozen
 * leave the writers most of each turn, and the copy about half of its speed. So the number follows the marks,
 * which are what the writers do: all at once beside few, fewer in proportion to more, and never under
 * YIELD_LEAST, so that the pass ends. It falls at once and grows by doubling. There is no second state to
 * settle in: the fewer are asked, the faster writers may write, and the fewer are asked then.
 */
#ifndef RIOT_YIELD_H
#define RIOT_YIELD_H

#include "lib/core/common.h"

#define YIELD_WINDOW_US 50000 /* over which marks are counted */
#define YIELD_FREE      500   /* marks a second beside which all may be asked at once */
#define YIELD_LEAST     24

struct yield {
    size_t all;  /* with nobody to yield to */
    size_t most; /* now */
    /* Of the present window. */
    uint64_t began_us, marks;
};

void yield_init(struct yield *y, size_t all, uint64_t now_us);
/* marks: the feed's, all in all. */
void yield_feed(struct yield *y, uint64_t marks, uint64_t now_us);

#endif
