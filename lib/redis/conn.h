/* conn.h - one connection to one Redis server, for as long as it is wanted.
 *
 * It connects, shakes hands, and comes back by itself with back-off after any loss, until conn_free(). One
 * life of it:
 *
 *   connect -> AUTH -> CLIENT SETNAME -> CLIENT ID -> INFO server, replication -> `identified`
 *           -> [fence] -> [NO-TOUCH] -> `up`
 *
 * The fence (option `fenced`) is rule R2 across connections: when a former life of this connection may have
 * left requests in the server's socket buffer, they may still be executed after newer ones. So before `up`
 * the former CLIENT ID is killed, or shown absent from CLIENT LIST; so are those of earlier processes (option
 * `former`). Where the server allows neither,
 * conn_is_fenced() is false in this life, and the owner must hold what was outstanding.
 *
 * Two ways of use, chosen in `up`: conn_call() with reply objects, in order; or raw (conn_raw()): the owner
 * appends requests to conn_out() and gets the bytes of replies in `input`. Callbacks run from the loop, never
 * from inside a call made by the owner. conn_free() and conn_reset() are legal in all of them.
 */
#ifndef RIOT_CONN_H
#define RIOT_CONN_H

#include "lib/core/buf.h"
#include "lib/core/loop.h"
#include "lib/redis/endpoint.h"
#include "lib/redis/reply.h"
#include "lib/redis/server.h"

struct conn;

/* A connection of an earlier process, and the server that it led to. */
struct conn_former {
    uint64_t client_id; /* 0: it is not known */
    char run_id[RUN_ID_MAX];
};

struct conn_options {
    const struct endpoint *endpoint; /* borrowed for the connection's life */
    const char *role;                /* "read", "write", "watch", ...: a literal */
    size_t in_max;   /* ceiling of unconsumed input, at least 64 KiB. Input beyond it waits in the kernel */
    size_t out_max;  /* ceiling of the output buffer: appending beyond it is -ENOBUFS */
    size_t out_high; /* above it conn_is_full(); `drained` follows when half of it is reached */
    bool fenced;
    bool no_touch; /* CLIENT NO-TOUCH ON where the server has it, and survives it, so that reads leave LRU and
                      LFU alone */
    size_t nformer; /* copied. Those of other servers than the one that answers are passed over */
    const struct conn_former *former;
};

/* All optional. */
struct conn_events {
    /* Who answers there, and our CLIENT ID (0 where it cannot be known). A negative errno refuses: the
     * connection is closed and tried again later, `down` tells `why`. */
    int (*identified)(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                      void *arg);
    /* Nothing comes from it any more: a former life of this connection, or one of an earlier process. */
    void (*dead)(const struct conn_former *former, void *arg);
    void (*up)(struct conn *c, void *arg);
    /* The connection was lost (was_up), or could not be made. `why` is for people: "connection refused",
     * "closed by the server", "no answer for 20s", "WRONGPASS ...". Calls that were not answered are dropped
     * without their callback having run: before `down` returns, forget them. */
    void (*down)(struct conn *c, const char *why, bool was_up, void *arg);
    /* Raw: returns how many bytes were used; the rest is seen again with what follows. A slice as long as
     * in_max that nothing is used of is a loss ("reply too long"). */
    size_t (*input)(struct conn *c, struct bytes in, void *arg);
    void (*drained)(struct conn *c, void *arg);
};

MUST_CHECK int conn_new(struct loop *l, const struct conn_options *opt, const struct conn_events *ev,
                        void *arg, struct conn **ret);
struct conn *conn_free(struct conn *c);

bool conn_is_up(const struct conn *c);
bool conn_is_fenced(const struct conn *c);
/* Of this life, or of the last; NULL before the first. */
const struct server_id *conn_server(const struct conn *c);
uint64_t conn_client_id(const struct conn *c);
const char *conn_why(const struct conn *c);   /* of the last loss, or failed try; "" there was none */
bool conn_lost_by_peer(const struct conn *c); /* that was the server's close or reset, not ours */
uint64_t conn_since_us(const struct conn *c); /* when the present state (up, or not up) began */
/* For how long an answer has been due without a byte coming; 0: none is due. */
uint64_t conn_silent_us(const struct conn *c);

/* Sends one request; fn gets its reply (borrowed), in order. Nothing was sent on
 * -ENOTCONN (not up, or raw), -ENOBUFS, -ENOMEM. */
typedef void conn_reply_fn(struct conn *c, const struct reply *borrowed, void *arg);
MUST_CHECK int conn_call(struct conn *c, size_t argc, const struct bytes *argv, conn_reply_fn *fn, void *arg);
/* The same from one line of words parted by single blanks: "CONFIG GET databases". At most 16, else -E2BIG.
 */
MUST_CHECK int conn_call_words(struct conn *c, conn_reply_fn *fn, void *arg, const char *words);

/* Raw use, from `up` on for this life, or from a reply's callback on: what follows that reply is `input`. No
 * other call may be due then. */
void conn_raw(struct conn *c);
struct buf *conn_out(struct conn *c); /* append, then conn_flush() */
/* Writes at the end of this turn of the loop: in one go, whatever was appended in it. */
void conn_flush(struct conn *c);
void conn_expect(struct conn *c, bool answer_due); /* raw: arms the time-out while an answer is due */
bool conn_is_full(const struct conn *c);
/* Back-pressure: no bytes are read while paused. Ends with the life. */
void conn_read_pause(struct conn *c, bool paused);
/* Other ceilings than it began with, of what waits to be taken, and of what may wait to be sent before it is
 * full. The hard one of the latter stays. */
void conn_limit(struct conn *c, size_t in_max, size_t out_high);
/* Input that was left unused is offered again (in this turn, deferred): after a pause for back-pressure, or
 * after a change of mind. */
void conn_kick(struct conn *c);

/* Gives this life up: `down` follows (deferred) with that reason, then the next life, fenced if so asked. */
void conn_reset(struct conn *c, const char *why);
/* The endpoint has another address by now: the same, and the next life is not kept waiting. */
void conn_move(struct conn *c, const char *why);
/* No new life while held: used to keep a side quiet. Releasing connects at once. */
void conn_hold(struct conn *c, bool held);

#endif
