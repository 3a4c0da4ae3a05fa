/* verification_clocks.h - by how much the clocks of both sides' servers differ at the most. Asks TIME a few
 * times on each primary, over a connection of its own, and trusts the quickest answer. A server that is not
 * there is waited for; when the map of a side changes, all are asked anew. */
#ifndef RIOTD_VERIFICATION_CLOCKS_H
#define RIOTD_VERIFICATION_CLOCKS_H

#include "lib/core/loop.h"
#include "lib/redis/endpoint.h"
#include "lib/redis/topology.h"

struct clocks;
/* known: false where a server does not tell its time; else the largest difference between one of the source
 * and one of the target, never below 0, rounded up. */
typedef void clocks_fn(bool known, uint64_t difference_ms, void *arg);
/* Of both sides, borrowed; a topology may be NULL: the endpoint alone. fn once, from the loop; clocks_free()
 * is legal in it. */
MUST_CHECK int clocks_new(struct loop *l, const struct endpoint *const endpoints[2],
                          struct topology *const topologies[2], clocks_fn *fn, void *arg,
                          struct clocks **ret);
struct clocks *clocks_free(struct clocks *c);
const char *clocks_waiting(struct clocks *c); /* "source: connection refused"; "" for nothing */

#endif
