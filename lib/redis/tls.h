/* tls.h - TLS for the connections to one endpoint; the only file that knows OpenSSL.
 *
 * TLS 1.2 and up. Files are read when they are named, never during a connection. A transport that was opened
 * plain becomes one over TLS; conn does the rest.
 */
#ifndef RIOT_TLS_H
#define RIOT_TLS_H

#include "lib/redis/transport.h"

enum tls_verify {
    TLS_VERIFY_FULL, /* the chain, and the name of the host or its address */
    TLS_VERIFY_CA,   /* the chain alone */
    TLS_VERIFY_NONE
};

struct tls_options {
    enum tls_verify verify;
    const char *ca_file;              /* NULL: what the system trusts */
    const char *cert_file, *key_file; /* who we are; NULL: nobody in particular */
    const char *server_name;          /* what is asked for and checked; NULL: the host that is connected to */
};

struct tls;
#define TLS_WHY_MAX 200
/* opt is copied. -EINVAL: why names the file and what is wrong with it; -ENOMEM. */
MUST_CHECK int tls_new(const struct tls_options *opt, char why[TLS_WHY_MAX], struct tls **ret);
/* Reads the same files again, and keeps what is in them beside what holds; as tls_new(). Then tls_take()
 * makes it hold, for the connections that begin from now on (those that exist stay as they are), and
 * tls_drop() forgets it. Without something prepared, both do nothing. */
MUST_CHECK int tls_prepare(struct tls *t, char why[TLS_WHY_MAX]);
void tls_take(struct tls *t);
void tls_drop(struct tls *t);
struct tls *tls_free(struct tls *t); /* no transport of it may be left */

/* Of a transport that has just begun to connect to that host, a name or an address. -ENOMEM: it is as it was.
 */
MUST_CHECK int tls_wrap(struct tls *t, const char *host, struct transport *transport);

#endif
