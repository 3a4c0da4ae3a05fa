/* url.h - where an endpoint is.
 *
 *   redis://[user@]host[:port][/db]     rediss://...     unix:///path[?db=N]
 *
 * A password in it is an error, and so is whatever is not understood: nothing is guessed. IPv6 hosts stand in
 * brackets.
 */
#ifndef RIOT_URL_H
#define RIOT_URL_H

#include "lib/core/bytes.h"

#define URL_DB_NONE (-1)
#define URL_DB_MAX  1000000

struct url {
    bool tls;
    char *path; /* of a Unix socket; else NULL */
    char *host; /* else NULL */
    uint16_t port;
    char *user; /* or NULL */
    int db;     /* or URL_DB_NONE */
    char *text; /* as shown to people: normalised, no secret can be in it */
};

/* 0, -EINVAL (why[] says what is wrong, in a sentence without the URL's password), -ENOMEM. */
#define URL_WHY_MAX 160
MUST_CHECK int url_parse(const char *text, struct url *ret, char why[URL_WHY_MAX]);
void url_free(struct url *u);                /* of a zeroed one: nothing */
MUST_CHECK int url_make_text(struct url *u); /* from the other parts. -ENOMEM: there is none */

#endif
