/* reader.h - reads keys from the source as they are now, over one connection, pipelined.
 *
 * Each key given to reader_read() is answered exactly once: gone, value (or value_begin and its parts),
 * failed, or lost. It is asked for by the key's `way`: the value is DUMP's payload, or the string itself. A
 * value's bytes are slices of the input buffer, on their way to the target's output buffer; nothing is built
 * of them.
 *
 * Back-pressure: before each value `ready` is asked. While it says no, nothing is read from the source;
 * reader_resume() goes on.
 */
#ifndef RIOT_READER_H
#define RIOT_READER_H

#include "lib/copy/dirty.h"
#include "lib/redis/conn.h"

struct reader;

struct reader_options {
    const struct endpoint *source; /* borrowed */
    /* Expiry and value in one MULTI even where the server has PEXPIRETIME: needed where no later mark mends a
     * torn pair. Before 7.0 it is done always. */
    bool atomic;
    /* Of keys whose slot is moving to this node: ASKING goes before each command. */
    bool asking;
};

struct reader_events {
    bool (*ready)(struct dirty_key *k, void *arg); /* NULL: for the rest of a begun value */
    /* expire_at_ms: unix time in ms, 0 for none. */
    void (*gone)(struct dirty_key *k, void *arg);
    void (*value)(struct dirty_key *k, int64_t expire_at_ms, struct bytes payload, void *arg);
    /* Longer than READER_WHOLE; start: its first bytes, which value_part gives too. False: not wanted, the
     * rest is passed over, and the key is no longer the reader's. */
    bool (*value_begin)(struct dirty_key *k, int64_t expire_at_ms, uint64_t length, struct bytes start,
                        void *arg);
    void (*value_part)(struct bytes part, void *arg);
    void (*value_broken)(const char *why,
                         void *arg); /* no more parts will come; said before the `lost` of the others */
    void (*failed)(struct dirty_key *k, struct bytes error, void *arg);
    void (*lost)(struct dirty_key *k, void *arg); /* not read, and no fault of the key: to be read again */
    int (*identified)(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                      void *arg);
    void (*up)(void *arg);
    void (*down)(const char *why, bool was_up, void *arg); /* after every `lost` */
    void (*room)(void *arg);                               /* requests can be sent again */
};

/* Payloads up to this length are handed on in one piece. */
#define READER_WHOLE (16 * KIB)

MUST_CHECK int reader_new(struct loop *l, const struct reader_options *opt, const struct reader_events *ev,
                          void *arg, struct reader **ret);
struct reader *reader_free(struct reader *r);

bool reader_is_up(const struct reader *r);
bool reader_in_value(const struct reader *r); /* the parts of a value are being handed on */
bool reader_is_full(const struct reader *r);  /* of requests: wait for `room` */
size_t reader_outstanding(const struct reader *r);
struct conn *reader_conn(struct reader *r);

/* -ENOTCONN, -ENOBUFS, -ENOMEM: not sent, the key is still the caller's. Strings are gathered until the turn
 * of the loop ends, and asked for by MGET, after their expiries. If that is refused, each of them is `lost`,
 * and until the next connection each goes by itself. */
MUST_CHECK int reader_read(struct reader *r, struct dirty_key *k);
/* What waits to be taken from it, and to be sent: the latter is when it is full. Never beyond what it began
 * with. */
void reader_limit(struct reader *r, size_t input, size_t output);
void reader_resume(struct reader *r);
/* Gives up all that is outstanding: `lost` for each, then a new connection. */
void reader_reset(struct reader *r, const char *why);

#endif
