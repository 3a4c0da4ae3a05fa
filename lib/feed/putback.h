/* putback.h - gives notify-keyspace-events its former value, if the present one is still ours.
 *
 * One conversation over a borrowed connection, which may be lost and come back meanwhile. The struct is the
 * owner's, and must outlive that connection: an answer may come to a conversation that was cancelled. The
 * record itself is the owner's to clear.
 */
#ifndef RIOT_FEED_PUTBACK_H
#define RIOT_FEED_PUTBACK_H

#include "lib/feed/feed.h"
#include "lib/feed/flags.h"

/* The present value is what we set. Where what the server made of it was never read back (`after` is "": we
 * went down in between): that is the case when it holds exactly what we were about to set. Someone else who
 * set the very same flags cannot be told from us. */
bool putback_is_ours(const struct notify_record *rec, const char *present);

/* The value in a reply to CONFIG GET. False: an error, or no such setting; *ret_why says which. */
bool putback_value(const struct reply *r, char *out, size_t cap, struct bytes *ret_why);

/* true: the source holds nothing of ours any more (put back, or no longer ours: told to the sink). false: it
 * may; told too. */
typedef void putback_fn(bool ok, void *arg);

struct putback {
    struct loop *loop;
    const struct sink *sink;
    putback_fn *fn; /* NULL: none runs */
    void *arg;
    struct notify_record rec;
    struct conn *conn;
    struct timer *timer;
    uint64_t until_us; /* 0: no end */
    uint64_t asked_us; /* conn_since_us() of the life in which an answer is due; 0: none is */
    /* Answers due on this connection, in this life, that nobody waits for any more. */
    struct conn *stale_conn;
    uint64_t stale_us;
    unsigned stale;
};

MUST_CHECK int putback_init(struct putback *p, struct loop *l, const struct sink *sink);
void putback_end(struct putback *p); /* once the connections are gone */
/* max_ms: how long it may take, 0 for as long as it needs. */
void putback_start(struct putback *p, struct conn *borrowed, const struct notify_record *rec, uint64_t max_ms,
                   putback_fn *fn, void *arg);
void putback_cancel(struct putback *p);

#endif
