/* recent.h - the names of the keys that the target acknowledged last, in a ring of fixed size.
 *
 * Adding one is a copy of its name; the oldest make room. A key may be in it more than once.
 */
#ifndef RIOT_RECENT_H
#define RIOT_RECENT_H

#include "lib/core/bytes.h"

struct recent;
MUST_CHECK int recent_new(size_t bytes, struct recent **ret);
struct recent *recent_free(struct recent *r);

/* A name that does not fit into the ring at all is left out. */
void recent_add(struct recent *r, int db, struct bytes key);
/* The newest first, until fn returns false. Nothing may be added meanwhile. */
void recent_each(const struct recent *r, bool (*fn)(int db, struct bytes key, void *arg), void *arg);

#endif
