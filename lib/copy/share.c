/* share.c - see share.h. */
#include "lib/copy/share.h"

#include "lib/copy/flights.h"
#include "lib/copy/reader.h"

#define LANE_LEAST (512 * KIB)
/* For each node of the target a value that waits, and one that comes when that is nearly sent. */
#define NODE_LEAST (2 * READER_WHOLE)
/* Buffers need no more, however much there is. */
#define FIXED_MOST  (4 * MIB)
#define RECENT_MOST (256 * KIB)
#define AHEAD_MOST  (2 * MIB)
#define NODE_MOST   MIB
#define CONN_MOST   (256 * KIB)
#define INPUT_LEAST (64 * KIB)
#define FLIGHT_COST 512 /* of a key: its place in the rings, its request, its reply */

uint64_t share_least(size_t nodes)
{
    return LANE_LEAST + (uint64_t)nodes * NODE_LEAST;
}

void share_of(uint64_t memory, size_t nodes, struct share *ret)
{
    nodes = MAX(nodes, (size_t)1);
    size_t rest = (size_t)(MAX(memory, share_least(nodes)) - (uint64_t)nodes * NODE_LEAST);
    size_t fixed = MIN((size_t)FIXED_MOST, rest / 2);

    ret->recent = MIN((size_t)RECENT_MOST, rest / 32);
    ret->ahead = MIN((size_t)AHEAD_MOST, rest / 32);
    ret->dirty = rest - rest / 8 - fixed - ret->recent - ret->ahead;
    ret->node = MIN((size_t)NODE_MOST, READER_WHOLE + fixed / 2 / nodes);
    ret->input = MAX(MIN((size_t)CONN_MOST, fixed / 16), (size_t)INPUT_LEAST);
    ret->output = MIN((size_t)CONN_MOST, fixed / 16);
    ret->window = MIN((size_t)COPY_WINDOW, fixed / FLIGHT_COST);
}
