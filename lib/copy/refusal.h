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

#endif
