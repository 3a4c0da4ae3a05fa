/* endpoint.h - one side of the link, as configured: where it is, who we are there, how long we wait. Plain
 * data. */
#ifndef RIOT_ENDPOINT_H
#define RIOT_ENDPOINT_H

#include "lib/redis/url.h"

struct endpoint {
    const char *side; /* "source" or "target", for texts */
    struct url url;
    char *password;      /* secret: never logged; or NULL */
    unsigned timeout_ms; /* without a byte in either direction while an answer is due */
    char client[80];     /* "riotd:LINK:INSTANCE": connections are named client ":" role */
};

#endif
