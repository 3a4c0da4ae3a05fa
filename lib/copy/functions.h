/* functions.h - copies the function libraries (7.0+), when they differ.
 *
 * FUNCTION DUMP on both sides; what differs is restored on the target: FLUSH makes it equal, REPLACE (merge)
 * adds. The two connections are borrowed: they are the watches', so that no further ones are needed.
 */
#ifndef RIOT_FUNCTIONS_H
#define RIOT_FUNCTIONS_H

#include "lib/redis/conn.h"

struct functions;
enum functions_result { FUNCTIONS_EQUAL, FUNCTIONS_COPIED, FUNCTIONS_REFUSED, FUNCTIONS_LOST };
/* text: the error when refused, else NULL. LOST: a connection was lost meanwhile; ask again. */
typedef void functions_fn(enum functions_result result, const char *text, void *arg);

MUST_CHECK int functions_new(bool merge, struct functions **ret);
struct functions *functions_free(
    struct functions *f); /* only while no copy is under way, or after both connections' owners are gone */

/* One at a time: -EBUSY. -ENOTCONN. A server without functions, on both sides, is EQUAL; a source with some
 * and a target that has none is REFUSED. */
MUST_CHECK int functions_copy(struct functions *f, struct conn *source, struct conn *target, functions_fn *fn,
                              void *arg);
bool functions_busy(const struct functions *f);
/* That connection's calls were dropped: a copy that waits for its answer ends with LOST, or will, once it
 * comes to it. To be called from both owners' `down`, and before they free it. */
void functions_dropped(struct functions *f, const struct conn *c);

#endif
