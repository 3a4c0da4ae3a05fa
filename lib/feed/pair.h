/* pair.h - the two connections of a feed that live and die together: the receiver, which messages come in on,
 * and the owner, which asks the server questions and for CLIENT TRACKING with the receiver as its target.
 *
 * Tracking ends when either is gone, and the one that is left is not told (facts 1.4). So the loss of either
 * is a loss of both, and both begin anew.
 */
#ifndef RIOT_FEED_PAIR_H
#define RIOT_FEED_PAIR_H

#include "lib/feed/receiver.h"

struct pair;

struct pair_options {
    struct receiver_options receiver;
    const char *owner_role;
    bool owner_fenced;
};

struct pair_events {
    void (*up)(void *arg);      /* the receiver is subscribed, and the owner may be asked */
    void (*tracked)(void *arg); /* the server confirmed pair_track() */
    void (*refused)(const char *command, struct bytes error, void *arg);
    void (*lost)(const char *why, void *arg); /* after `up`; `up` follows */
    void (*drained)(void *arg); /* pair_drain(): all was received, and tracking was in order after it */
};

MUST_CHECK int pair_new(struct feed *f, const struct pair_options *opt, const struct pair_events *ev,
                        void *arg, struct pair **ret);
void pair_close(struct pair *p);
struct pair *pair_free(struct pair *p);
struct conn *pair_owner(struct pair *p);
void pair_close_receiver(struct pair *p); /* the owner stays; no events but replies to its calls */
const char *pair_run_id(struct pair *p);
bool pair_can_track(const struct pair *p); /* invalidations are heard */
bool pair_is_tracked(const struct pair *p);
void pair_track(struct pair *p, struct bytes prefix); /* empty: everything */
void pair_tick(struct pair *p);                       /* heartbeats; what was put off is tried again */
void pair_drain(struct pair *p);
void pair_reset(struct pair *p, const char *why); /* both begin anew; `lost` is not said */

/* Is it an answer that passes by itself, to be asked again later? */
bool pair_is_passing(const struct reply *r);

#endif
