/* sweep.h - the pass over the target that finds keys which the source may no longer have.
 *
 * SCAN on each node of the target, EXISTS on the source (which leaves LRU and LFU alone); a key that the
 * source lacks is `missing`, to be marked by the owner. A census is the same pass, only counted. What the
 * filter leaves out on the target is not looked at; where it is of types, SCAN TYPE and TYPE are asked
 * instead.
 */
#ifndef RIOT_SWEEP_H
#define RIOT_SWEEP_H

#include "lib/rdb/filter.h"
#include "lib/redis/scanner.h"

struct sweep;
struct sweep_events {
    bool (*wanted)(struct bytes key, void *arg); /* is it to be looked at? NULL: all are */
    /* db: of the source. Not in a census. Also of a key that another node of the source has to be asked for,
     * so that it is read there; such a one counts in neither. */
    void (*missing)(int db, struct bytes key, void *arg);
    void (*page)(void *arg); /* ask for the next by sweep_next() */
    void (*done)(void *arg);
    void (*lost)(const char *why, void *arg);
    void (*refused)(bool by_source, const char *error, void *arg);
    int (*source_identified)(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                             void *arg);
    int (*target_identified)(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                             void *arg);
};

/* filter: borrowed; NULL: all keys. */
MUST_CHECK int sweep_new(struct loop *l, const struct endpoint *source, const struct endpoint *target,
                         int into_db, const struct filter *filter, const struct sweep_events *ev, void *arg,
                         struct sweep **ret);
struct sweep *sweep_free(struct sweep *s);
/* In place of that target, for the passes that begin from now on; borrowed. -ENOMEM. */
MUST_CHECK int sweep_targets(struct sweep *s, const struct endpoint *const *targets, size_t n);
/* That one goes away: nothing is connected there any more, and a pass that is to go there ends. True: one
 * did. */
bool sweep_leave(struct sweep *s, const struct endpoint *target);
/* dbs: of the source, copied. The first page comes after sweep_next(). */
MUST_CHECK int sweep_begin(struct sweep *s, const int *dbs, size_t ndbs, unsigned count, bool census);
void sweep_next(struct sweep *s);
void sweep_stop(struct sweep *s);
struct conn *sweep_source_conn(struct sweep *s);
struct conn *sweep_target_conn(struct sweep *s);            /* NULL: there is none just now */
const struct endpoint *sweep_target(const struct sweep *s); /* where that leads */
bool sweep_running(const struct sweep *s);
uint64_t sweep_seen(const struct sweep *s);    /* keys looked at in this pass */
uint64_t sweep_missing(const struct sweep *s); /* of them, not on the source */

#endif
