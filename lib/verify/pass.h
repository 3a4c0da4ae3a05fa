/* pass.h - a pass over the keys of one server: names as SCAN tells them, at the pace at which they are taken.
 * Of this room only.
 *
 * Names that were told and not yet taken are bounded: beyond that, no page is asked for, and nothing is read.
 * When another process of the server answers, the pass begins anew.
 */
#ifndef RIOT_VERIFY_PASS_H
#define RIOT_VERIFY_PASS_H

#include "lib/core/hash.h"
#include "lib/rdb/filter.h"
#include "lib/redis/scanner.h"

struct pass;
struct pass_options {
    const struct endpoint *endpoint; /* borrowed, as dbs and match */
    const char *role, *match;
    const int *dbs;
    size_t ndbs;
    unsigned count;
    const struct filter *filter; /* borrowed; NULL: all */
    struct hash_seed seed;
    uint64_t chosen; /* keys with a hash up to it are taken: UINT64_MAX: all */
};
struct pass_events {
    bool (*approved)(const struct server_id *id, void *arg); /* is it the server to be gone through? */
    void (*names)(void *arg); /* there are names to take, or the pass is over */
    void (*long_name)(int db, struct bytes prefix, uint64_t length, void *arg); /* longer than KEY_NAME_MAX */
    void (*refused)(const char *error,
                    void *arg); /* asked again by itself; NULL: out of memory, it never ends */
};

MUST_CHECK int pass_new(struct loop *l, const struct pass_options *opt, const struct pass_events *ev,
                        void *arg, struct pass **ret);
struct pass *pass_free(struct pass *p);                                     /* not from its callbacks */
bool pass_first(const struct pass *p, int *ret_db, struct bytes *ret_name); /* false: none is there now */
void pass_shift(struct pass *p);
bool pass_is_over(const struct pass *p); /* every name was taken */
void pass_check(struct pass *p);         /* who is approved has changed */
/* Names taken, those not chosen too; and how many keys that is, those too that do not match. */
uint64_t pass_taken(const struct pass *p);
uint64_t pass_visited(const struct pass *p);
struct conn *pass_conn(struct pass *p);

#endif
