/* share.h - how a lane's share of limits.memory is spent.
 *
 * What it needs for its connections grows with the share up to a fixed size; all else is the dirty set's.
 * What one value takes that is streamed, and what the allocator keeps, is what the eighth is for that nobody
 * has.
 */
#ifndef RIOT_SHARE_H
#define RIOT_SHARE_H

#include "lib/core/bytes.h"

struct share {
    size_t dirty;  /* the dirty set */
    size_t recent; /* names of the keys that were copied last */
    size_t ahead;  /* of those that may be ahead of the source's stream */
    size_t node;   /* waits for one node of the target, beyond which nothing more is read for it */
    size_t input;  /* of the reading connection */
    size_t output; /* of the same: requests that wait for the source */
    size_t window; /* keys in flight */
};

/* The least that a lane works in, where the target has so many nodes. */
uint64_t share_least(size_t nodes);
/* Of less than the least, the least. */
void share_of(uint64_t memory, size_t nodes, struct share *ret);

#endif
