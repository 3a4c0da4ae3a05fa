/* conn_life.h - what conn.c (the socket, the two ways of use) and handshake.c (from connected to `up`) share.
 * For these two alone.
 *
 * Whatever may run an owner's callback stands between conn_enter() and conn_leave(), and looks at `life`
 * afterwards: the callback may have given the connection up, or away. Each life has its own number; losing
 * it, in whatever way, counts one on.
 */
#ifndef RIOT_CONN_LIFE_H
#define RIOT_CONN_LIFE_H

#include "lib/core/backoff.h"
#include "lib/redis/conn.h"
#include "lib/redis/transport.h"

#define CONN_WHY_MAX 256
#define CONN_KEEP    MIB /* larger buffers are given back when they are empty */

enum conn_state {
    CONN_WAITING, /* for the back-off to pass, or held */
    CONN_RESOLVING,
    CONN_CONNECTING,
    CONN_SHAKING, /* the handshake's table of steps */
    CONN_UP,
    CONN_LOST, /* `down` is still to be told */
    CONN_STATES,
};

struct conn_call {
    conn_reply_fn *fn;
    void *arg;
};

/* Calls whose answer is due, a ring. */
struct conn_calls {
    struct conn_call *at;
    size_t cap, first, count;
};

struct conn {
    struct loop *loop;
    struct conn_options opt;
    struct conn_events ev;
    void *arg;

    enum conn_state state;
    uint64_t life, since_us;
    unsigned busy; /* frames of ours on the stack */
    bool freed;    /* to be released once they have returned */
    bool held, was_up;
    char why[CONN_WHY_MAX];
    bool by_peer; /* the last life was ended by the server's close or reset */
    struct backoff backoff;
    struct defer down_later, flush_later, kick_later;
    struct timer *timer; /* the back-off, then the time-out */
    struct timer *again; /* the fence's next look */
    struct timer *more;  /* the next turn reads what the transport holds */

    struct resolve *resolve;
    struct resolved found;
    size_t next_addr;
    int connect_err;                     /* of the last address that was tried */
    char connect_why[TRANSPORT_WHY_MAX]; /* the transport's words for it, or "" */
    struct transport transport;
    struct io *io;
    unsigned wanted;

    struct buf in, out;
    bool paused, blocked, over; /* not to be read; the kernel takes no more; above the high mark */
    bool raw, expecting;
    bool answered;        /* bytes came since `up` */
    uint64_t moved_us;    /* when a byte last went either way, or an answer became due */
    uint64_t received_us; /* the same for bytes that came */
    struct reply_reader *reader;
    struct conn_calls calls;

    size_t step; /* of the handshake */
    struct buf info;
    char refusal[CONN_WHY_MAX]; /* the last error in the handshake that was gone on from */
    struct server_id id;
    bool id_known, fenced;
    uint64_t client_id;

    bool has_former; /* a life that may have left requests behind */
    struct conn_former former;
    struct conn_former *earlier; /* of the options: those that are not known to be dead */
    size_t nearlier;
};

void conn_enter(struct conn *c);
void conn_leave(struct conn *c);
void conn_lose(struct conn *c, const char *format, ...) PRINTF_LIKE(2, 3); /* `down` follows, deferred */
/* As conn_call_words(), in whatever state; what cannot be asked is a loss. */
void conn_ask(struct conn *c, conn_reply_fn *fn, const char *words);
void conn_ask_argv(struct conn *c, conn_reply_fn *fn, size_t argc, const struct bytes *argv);
void conn_come_up(struct conn *c);

static inline bool conn_is_open(const struct conn *c)
{
    return c->state == CONN_SHAKING || c->state == CONN_UP;
}

void conn_lose_errno(struct conn *c, int err); /* negative */
void conn_want(struct conn *c);                /* tells the loop what may happen next on the socket */
void conn_read_some(struct conn *c);
void conn_take_input(struct conn *c);
void conn_flush_now(struct conn *c);
bool conn_is_due(const struct conn *c);
void conn_due_begins(struct conn *c);
void conn_check_silence(struct conn *c); /* when the timer fires */

void conn_shake(struct conn *c);       /* from the first step */
void conn_shake_again(struct conn *c); /* `again` has passed */

#endif
