/* ahead.h - the names of the keys that were copied as the source had them, before its stream has come as far.
 *
 * A copy is read from the source itself, so it may show what the stream has yet to tell. Where the stream is
 * gone on with at another server, which may never have had that, these are the keys to look at again
 * (CORRECTNESS 6). A name leaves once the stream has passed an offset that the source told behind the read:
 * at most two readings later, as long as the stream keeps up. There are two lots of names: the one that is
 * being filled, and the one that waits for its offset.
 */
#ifndef RIOT_AHEAD_H
#define RIOT_AHEAD_H

#include "lib/core/bytes.h"

struct ahead;
MUST_CHECK int ahead_new(size_t bytes, struct ahead **ret); /* of both lots */
struct ahead *ahead_free(struct ahead *a);

void ahead_add(struct ahead *a, int db, struct bytes key);
void ahead_lack(struct ahead *a); /* there are some whose names are not known */
/* The source told this offset, in a reading that began after the one before was handed here, and the stream
 * of that very source was taken up to `at`. */
void ahead_passed(struct ahead *a, uint64_t offset, uint64_t at);
bool ahead_is_whole(const struct ahead *a); /* false: there are more than are here */
void ahead_each(const struct ahead *a, void (*fn)(int db, struct bytes key, void *arg), void *arg);
void ahead_clear(struct ahead *a);

#endif
