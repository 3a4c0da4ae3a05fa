/* flags.h - the value of notify-keyspace-events as a set of letters. Pure.
 *
 * The server does not give back what it was sent: "KEg$lshzxetd" reads as "AKE". So values are compared as
 * sets, `A` standing for its classes. Source: notify.c of Redis, keyspaceEventsStringToFlags() and its
 * reverse. `d` (module events) came with 6.2.
 */
#ifndef RIOT_FEED_FLAGS_H
#define RIOT_FEED_FLAGS_H

#include "lib/core/bytes.h"

#define FLAGS_NAME "notify-keyspace-events"

/* Is every change of a key told on the keyspace channels? redis: as server_id.redis. */
bool flags_suffice(const char *present, unsigned redis);
bool flags_same(const char *a, const char *b);
/* What is set, with K and A added to it. -ERANGE when it does not fit cap. */
MUST_CHECK int flags_add(const char *present, char *out, size_t cap);

#endif
