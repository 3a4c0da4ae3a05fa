/* receiver.h - the connection that a feed's messages come in on: RESP2, subscribed, read as a stream.
 *
 * Subscribes in each life, one channel after the other, each confirmed before the next; PINGs answer as
 * elements between the messages, and so prove that what the server had sent before was read. A message may
 * hold any number of keys: each is handed on as it comes.
 */
#ifndef RIOT_FEED_RECEIVER_H
#define RIOT_FEED_RECEIVER_H

#include "lib/redis/conn.h"

struct feed;
struct receiver;

#define RECEIVER_INVALIDATIONS "__redis__:invalidate"

/* What the messages say, in the order in which they came. */
struct receiver_messages {
    void (*key)(struct bytes key, void *arg); /* invalidated */
    void (*long_key)(struct bytes prefix, uint64_t length, void *arg);
    void (*flushed)(void *arg);
    void (*event)(struct bytes channel, void *arg); /* a message came on a channel of the pattern */
    void (*long_event)(struct bytes channel_prefix, uint64_t length, void *arg);
    void *arg;
};

struct receiver_options {
    const char *role;
    const char *pattern;       /* PSUBSCRIBE this, which must be allowed; or NULL */
    bool invalidations_needed; /* SUBSCRIBE to invalidations is tried in any case */
    struct receiver_messages messages;
};

struct receiver_events {
    void (*subscribed)(void *arg);
    void (*refused)(const char *channel, struct bytes error, void *arg); /* of one that is needed */
    void (*down)(const char *why, bool was_up, void *arg);
    void (*drained)(void *arg);
};

MUST_CHECK int receiver_new(struct feed *f, const struct receiver_options *opt,
                            const struct receiver_events *ev, void *arg, struct receiver **ret);
void receiver_close(struct receiver *r);            /* at once; no callback runs any more */
struct receiver *receiver_free(struct receiver *r); /* not from within its callbacks */
struct conn *receiver_conn(struct receiver *r);
bool receiver_hears_invalidations(const struct receiver *r);
void receiver_ping(struct receiver *r); /* the heartbeat: one that is not answered in time is a loss */
void receiver_drain(
    struct receiver *r); /* two PINGs, one after the other (CORRECTNESS 4, barrier), then `drained` */

#endif
