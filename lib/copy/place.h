/* place.h - where a link may be gone on with after a restart (CORRECTNESS 6): of each shard of the source a
 * place in its stream, before which everything has been applied, and what the target's nodes were then. It
 * holds only while both sides have the nodes and slots that they had.
 */
#ifndef RIOT_PLACE_H
#define RIOT_PLACE_H

#include "lib/copy/target_base.h"
#include "lib/feed/feed.h"
#include "lib/redis/topology.h"

/* Of a shard of the source, or of the one server that it is. */
#define LANE_PLACE_DBS 64
struct lane_place {
    char node[NODE_ID_MAX]; /* of its primary; "": not a cluster's */
    struct feed_place feed; /* its replid "": there is no place */
    size_t ndbs;
    int dbs[LANE_PLACE_DBS]; /* the scope */
};

struct target_place {
    char run_id[RUN_ID_MAX];
    struct target_base base;
};

struct place {
    uint64_t source_map, target_map; /* place_map() of them */
    size_t nlanes, ntargets;         /* each at most SHARDS_MAX */
    struct lane_place *lanes;
    struct target_place *targets;
};

MUST_CHECK int place_copy(struct place *ret, const struct place *from);
/* No lanes, no targets. */
void place_clear(struct place *p);
/* NULL: none is known of it. */
const struct lane_place *place_of_lane(const struct place *p, const char *node);
struct target_place *place_of_target(const struct place *p, const char *run_id);
/* At the end. -ENOSPC: there are SHARDS_MAX. */
MUST_CHECK int place_add_lane(struct place *p, const struct lane_place *l);
MUST_CHECK int place_add_target(struct place *p, const struct target_place *t);
/* Do all lanes have come as far, neither less nor more? */
bool place_is_as_far(const struct place *p, const struct place *other);

/* Of who has which slot, the same in the next process; of what is no cluster 0. A slot that moved away and
 * back, and a failover, are seen by the configuration epoch, which grows with both. */
uint64_t place_map(const struct topology_map *m);

#endif
