/* spot.h - compares given keys, deep, within a budget of time: the check in a cutover's pause.
 *
 * The connections are made ahead, and the names gathered ahead, so that in the pause only the comparing is
 * left. Expiry is frozen by the pause: no tolerance but what the options say, no second look. spot_free() and
 * spot_close() are legal in the callbacks.
 */
#ifndef RIOT_SPOT_H
#define RIOT_SPOT_H

#include "lib/verify/verify.h"

struct spot;
struct spot_report {
    uint64_t names, compared, equal; /* compared: of how many a verdict was reached in the budget */
    uint64_t drift[DRIFT_KINDS];
    uint64_t unknown;
    uint64_t took_us;
    bool lost; /* a connection was lost: the rest was not compared */
    size_t nfindings;
    struct verify_finding findings[8];
};
struct spot_events {
    void (*up)(void *arg);                                       /* all nodes of both sides are connected */
    void (*done)(const struct spot_report *borrowed, void *arg); /* deferred */
};
/* names_max: bytes of names kept at most. */
MUST_CHECK int spot_new(struct loop *l, const struct compare_options *opt, size_t names_max,
                        const struct spot_events *ev, void *arg, struct spot **ret);
struct spot *spot_free(struct spot *s);
bool spot_is_up(const struct spot *s);
/* A key to compare; those given first are compared first, and before those gathered; one given twice is
 * compared once. false: no room. */
bool spot_add(struct spot *s, int db, struct bytes key);
void spot_clear(struct spot *s);
/* Gathers up to `n` names at random from the source's database (RANDOMKEY on each of its nodes), now, before
 * the pause; fn when done. */
MUST_CHECK int spot_gather(struct spot *s, int db, unsigned n, void (*fn)(void *arg), void *arg);
/* Compares from the first, until all are, or budget_us has passed: what is then outstanding is waited for. */
MUST_CHECK int spot_run(struct spot *s, uint64_t budget_us);
void spot_approve(struct spot *s, int side, const char *address,
                  const char *run_id); /* as comparer_approve() */
/* Closes the connections, with nothing outstanding, and makes no new ones. */
void spot_close(struct spot *s);

#endif
