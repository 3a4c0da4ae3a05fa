/* scanner.h - one pass of SCAN over some databases of one server.
 *
 * A page is asked for by scanner_next() only, so its owner sets the pace. Keys come as slices, while the page
 * arrives. A lost connection goes on at the same cursor, but only with the same process behind it: with
 * another run id, a cursor silently skips a quarter of the keys, so the pass is given up (`lost`).
 */
#ifndef RIOT_SCANNER_H
#define RIOT_SCANNER_H

#include "lib/redis/conn.h"

#define SCANNER_MATCH_MAX 4096

struct scanner;
struct scanner_events {
    void (*key)(int db, struct bytes key, void *arg);
    void (*long_key)(int db, struct bytes prefix, uint64_t length, void *arg); /* name beyond KEY_NAME_MAX */
    void (*page)(void *arg);                       /* a page is complete: ask for the next */
    void (*done)(void *arg);                       /* that was the last */
    void (*lost)(const char *why, void *arg);      /* the pass cannot go on */
    void (*refused)(const char *error, void *arg); /* an error reply; asked again by itself after a second */
    int (*identified)(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                      void *arg);
};

MUST_CHECK int scanner_new(struct loop *l, const struct endpoint *e, const char *role,
                           const struct scanner_events *ev, void *arg, struct scanner **ret);
struct scanner *scanner_free(struct scanner *s);

/* Begins a pass over these databases (copied), giving up a present one. types: NULL, or the names of types,
 * ended by NULL and borrowed, each of which a database is gone through for once (SCAN TYPE, 6.0+). The first
 * page comes after scanner_next(). */
MUST_CHECK int scanner_begin(struct scanner *s, const int *dbs, size_t ndbs, unsigned count,
                             const char *const *types);
/* A glob for SCAN MATCH, copied; NULL: none. For the passes begun from now on; -EINVAL: longer than
 * SCANNER_MATCH_MAX. */
MUST_CHECK int scanner_match(struct scanner *s, const char *glob);
void scanner_next(struct scanner *s);
void scanner_stop(struct scanner *s);
struct conn *scanner_conn(struct scanner *s);
bool scanner_running(const struct scanner *s);

#endif
