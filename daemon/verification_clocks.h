/* verification_clocks.h - by how much the clocks of two servers differ. Asks TIME a few times on each, over a
 * connection of its own, and trusts the quickest answer. A server that is not there is waited for. */
#ifndef RIOTD_VERIFICATION_CLOCKS_H
#define RIOTD_VERIFICATION_CLOCKS_H

#include "lib/core/loop.h"
#include "lib/redis/endpoint.h"

struct clocks;
/* known: false where a server does not tell its time; else the difference, never below 0, rounded up. */
typedef void clocks_fn(bool known, uint64_t difference_ms, void *arg);
/* The endpoints are borrowed. fn once, from the loop; clocks_free() is legal in it. */
MUST_CHECK int clocks_new(struct loop *l, const struct endpoint *source, const struct endpoint *target,
                          clocks_fn *fn, void *arg, struct clocks **ret);
struct clocks *clocks_free(struct clocks *c);
const char *clocks_waiting(const struct clocks *c); /* "source: connection refused"; "" for nothing */

#endif
