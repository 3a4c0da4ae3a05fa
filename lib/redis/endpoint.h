/* endpoint.h - one side of the link, as configured: where it is, who we are there, how long we wait. Plain
 * data. */
#ifndef RIOT_ENDPOINT_H
#define RIOT_ENDPOINT_H

#include "lib/redis/tls.h"
#include "lib/redis/url.h"

struct endpoint {
    const char *side; /* "source" or "target", for texts */
    struct url url;
    struct tls *tls;     /* of a rediss:// URL; else NULL */
    char *password;      /* secret: never logged; or NULL */
    unsigned timeout_ms; /* without a byte in either direction while an answer is due */
    char client[80];     /* "riotd:LINK:INSTANCE": connections are named client ":" role */
};

/* Fills what the URL, the password (or NULL) and, for rediss://, the TLS options tell; the rest is the
 * caller's. -EINVAL: why says what is wrong; -ENOMEM. On failure too, endpoint_clear() is to follow. */
#define ENDPOINT_WHY_MAX TLS_WHY_MAX
MUST_CHECK int endpoint_make(struct endpoint *e, const char *url, const char *password,
                             const struct tls_options *tls, char why[ENDPOINT_WHY_MAX]);
void endpoint_clear(struct endpoint *e); /* wipes the password; of a zeroed one: nothing */

/* The same side, user, TLS and time-outs at another address; host NULL: at the same. The password and TLS are
 * borrowed: base is to live longer. -ENOMEM. */
MUST_CHECK int endpoint_node(const struct endpoint *base, const char *host, uint16_t port,
                             struct endpoint *ret);
void endpoint_node_clear(struct endpoint *e); /* of a zeroed one: nothing */

#endif
