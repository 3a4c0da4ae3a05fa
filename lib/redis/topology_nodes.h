/* topology_nodes.h - reads what CLUSTER NODES answers. For topology.c, and for who asks each node for its own
 * view.
 *
 * The text is believed as a whole or not at all: a line that is not understood, a slot with two owners, an id
 * that comes twice, more nodes than the ceilings of topology.h allow, are refused.
 *
 * https://redis.io/docs/latest/commands/cluster-nodes/
 */
#ifndef RIOT_TOPOLOGY_NODES_H
#define RIOT_TOPOLOGY_NODES_H

#include "lib/redis/topology.h"

#define NODES_MAX     4096 /* lines */
#define NODES_WHY_MAX 160

struct nodes_view {
    /* Without a version. Shards and their replicas stand in the order of their ids, so that two nodes' views
     * can be compared; a failing primary without slots is no shard. */
    struct topology_map map;
    struct slot_set moving; /* slots that the node itself gives away, or takes: others' it does not know */
    bool minority; /* half or more of the primaries with slots are failing, or that node alone thinks so */
};

/* host: that of the node that was asked, which may not know its own. names: host names are wanted rather than
 * addresses. 0 and a view for nodes_clear(); -EBADMSG, -E2BIG and why; -ENOMEM. */
MUST_CHECK int nodes_parse(struct bytes text, const char *host, bool names, struct nodes_view *ret,
                           char why[NODES_WHY_MAX]);
void nodes_clear(struct nodes_view *v); /* of a zeroed one: nothing */

#endif
