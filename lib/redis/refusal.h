/* refusal.h - what an error reply for a key means for that key and for the others. */
#ifndef RIOT_REFUSAL_H
#define RIOT_REFUSAL_H

#include "lib/core/bytes.h"

enum refusal {
    REFUSAL_SERVER, /* the server as a whole, for now: loading, out of memory, read-only, no right */
    REFUSAL_KEY,    /* this key, perhaps not for ever */
    REFUSAL_NEVER,  /* this key, as it is: the payload cannot be restored there */
};

enum refusal refusal_of(struct bytes error);

/* Is it the answer to a SELECT beyond the server's `databases`? No key can be there. The scope is what both
 * sides have, so a target with more databases leads to it. */
bool refusal_no_such_db(struct bytes error);

/* Is that command (in small letters) itself refused, whatever its key: by the ACL, or since the server does
 * not know it? */
bool refusal_is_of_command(struct bytes error, const char *command);

/* It says nothing of the question: the server is busy, or not ready (LOADING, BUSY, MASTERDOWN, TRYAGAIN,
 * CLUSTERDOWN). */
bool refusal_is_passing(struct bytes error);

/* A missing right for people: "NOPERM for PEXPIRETIME on the source as user x: " and the server's own words.
 * What is no NOPERM, with something before it or not, stays as it is. Returns out. */
const char *refusal_tell(const char *text, const char *side, const char *user, char *out, size_t cap);

#endif
