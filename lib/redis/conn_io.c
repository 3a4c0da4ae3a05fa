#include "lib/redis/conn_life.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/core/text.h"

#define READ_SIZE    (256 * KIB)
#define READS_A_TURN 4 /* then others have their turn */
#define FEED_SIZE    (64 * KIB)
#define SEND_SIZE    MIB

/* As strerror() says it, but as a part of a sentence. */
void conn_lose_errno(struct conn *c, int err)
{
    const char *text = strerror(-err);
    if (c->state == CONN_LOST)
        return;
    if (err == -EPROTO && c->transport.ops && c->transport.ops->why(&c->transport)[0]) {
        conn_lose(c, "%s", c->transport.ops->why(&c->transport));
        return;
    }
    conn_lose(c, "%c%s", tolower((unsigned char)text[0]), text[0] ? text + 1 : "");
    c->by_peer = err == -ECONNRESET || err == -EPIPE;
}

void conn_want(struct conn *c)
{
    unsigned events = c->state == CONN_CONNECTING ? c->transport.wants : 0;
    if (c->blocked)
        events |= IO_WRITE;
    if (conn_is_open(c) && !c->paused && buf_len(&c->in) < c->in.max)
        events |= IO_READ;
    /* What a transport holds already, no socket announces. Not in this turn: a server that is faster than we
     * are would never let it end. */
    if (events & IO_READ && conn_is_open(c) && c->transport.ops->pending(&c->transport) &&
        !timer_is_set(c->more))
        timer_set(c->more, 0);
    if (!c->io || events == c->wanted)
        return;
    c->wanted = events;
    int err = io_want(c->io, events);
    if (err < 0)
        conn_lose_errno(c, err);
}

/* Time-outs. An answer is due, and neither side has moved a byte. The timer is not moved with each byte: it
 * looks when it fires. */

bool conn_is_due(const struct conn *c)
{
    return c->calls.count > 0 || c->expecting;
}

static uint64_t timeout_us(const struct conn *c)
{
    return (uint64_t)c->opt.endpoint->timeout_ms * 1000;
}

void conn_due_begins(struct conn *c)
{
    c->moved_us = c->received_us = loop_now_us(c->loop);
    if (!timer_is_set(c->timer))
        timer_set(c->timer, timeout_us(c));
}

void conn_check_silence(struct conn *c)
{
    char text[TEXT_MAX];
    uint64_t silent = loop_now_us(c->loop) - c->moved_us;

    if (!conn_is_due(c))
        return;
    if (c->paused)
        timer_set(c->timer, timeout_us(c));
    else if (silent < timeout_us(c))
        timer_set(c->timer, timeout_us(c) - silent);
    else
        conn_lose(c, "no answer for %s", text_ms(c->opt.endpoint->timeout_ms, text));
}

/* Writing. */

/* What the server said before it closed explains more than the error: "max number of clients reached". */
static void lose_sending(struct conn *c, int err)
{
    uint64_t life = c->life;
    if (c->state == CONN_SHAKING)
        conn_read_some(c);
    if (c->life == life)
        conn_lose_errno(c, err);
}

/* 0 once all is sent or the kernel takes no more. */
static int send_all(struct conn *c)
{
    while (buf_len(&c->out) > 0 && !c->blocked) {
        size_t n = MIN(buf_len(&c->out), SEND_SIZE);
        ssize_t sent = c->transport.ops->send(&c->transport, buf_bytes(&c->out).ptr, n);
        if (sent < 0 && sent != -EAGAIN)
            return (int)sent;
        c->blocked = sent < (ssize_t)n;
        if (sent > 0) {
            buf_consume(&c->out, (size_t)sent);
            c->moved_us = loop_now_us(c->loop);
        }
    }
    return 0;
}

void conn_flush_now(struct conn *c)
{
    if (buf_len(&c->out) > c->opt.out_high)
        c->over = true;
    int err = send_all(c);
    if (err < 0) {
        lose_sending(c, err);
        return;
    }
    conn_want(c);
    buf_trim(&c->out, MIN((size_t)CONN_KEEP, c->opt.out_high));
    if (c->over && buf_len(&c->out) <= c->opt.out_high / 2 && conn_is_open(c)) {
        c->over = false;
        if (c->ev.drained)
            c->ev.drained(c, c->arg);
    }
}

/* Reading. */

static void answer_call(struct conn *c, const struct reply *reply)
{
    struct conn_calls *q = &c->calls;

    if (q->count == 0) {
        conn_lose(c, "the server sent an answer that was not asked for");
        return;
    }
    struct conn_call call = q->at[q->first];
    q->first = (q->first + 1) % q->cap;
    q->count--;
    if (call.fn)
        call.fn(c, reply, call.arg);
}

static void answer_all(struct conn *c)
{
    uint64_t life = c->life;
    struct reply *reply;
    int err = 0;

    while (c->life == life && !c->raw && (err = reply_reader_next(c->reader, &reply)) == 0) {
        answer_call(c, reply);
        reply_free(reply);
    }
    if (c->life == life && err < 0 && err != -EAGAIN)
        conn_lose(c, "the server sent what is no RESP2, or more than can be taken");
}

static void deliver(struct conn *c)
{
    struct bytes in = buf_bytes(&c->in);
    uint64_t life = c->life;
    size_t used = c->ev.input ? c->ev.input(c, in, c->arg) : in.len;

    if (c->life != life)
        return;
    buf_consume(&c->in, MIN(used, in.len));
    if (used == 0 && in.len >= c->in.max && !c->paused)
        conn_lose(c, "reply too long");
    buf_trim(&c->in, CONN_KEEP);
}

/* The mode may change in a callback: what stands behind that reply is the owner's. */
void conn_take_input(struct conn *c)
{
    uint64_t life = c->life;

    while (c->life == life && !c->raw && buf_len(&c->in) > 0) {
        struct bytes in = buf_bytes(&c->in);
        in.len = MIN(in.len, FEED_SIZE);
        int err = reply_reader_feed(c->reader, in);
        if (err < 0) {
            conn_lose_errno(c, err);
            return;
        }
        answer_all(c);
        if (c->life == life)
            buf_consume(&c->in, in.len - (c->raw ? MIN(reply_reader_left(c->reader), in.len) : 0));
    }
    if (c->life == life && buf_len(&c->in) > 0)
        deliver(c);
}

static void lose_closed(struct conn *c)
{
    bool told = c->state == CONN_SHAKING && c->refusal[0];
    conn_lose(c, "closed by the server%s%s", told ? ": " : "", told ? c->refusal : "");
    c->by_peer = true;
}

/* True: as many bytes came as were asked for, so there may be more. */
static bool read_once(struct conn *c)
{
    size_t n = MIN(c->in.max - buf_len(&c->in), READ_SIZE);
    char *to;
    int err = buf_reserve(&c->in, n, &to);
    if (err < 0) {
        conn_lose_errno(c, err);
        return false;
    }
    ssize_t got = c->transport.ops->recv(&c->transport, to, n);
    if (got == -EAGAIN)
        return false;
    if (got < 0)
        conn_lose_errno(c, (int)got);
    else if (got == 0)
        lose_closed(c);
    if (got <= 0)
        return false;
    buf_commit(&c->in, (size_t)got);
    c->moved_us = c->received_us = loop_now_us(c->loop);
    if (c->state == CONN_UP)
        c->answered = true;
    conn_take_input(c);
    return (size_t)got == n;
}

void conn_read_some(struct conn *c)
{
    uint64_t life = c->life;

    for (int i = 0; i < READS_A_TURN; i++) {
        bool room = !c->paused && buf_len(&c->in) < c->in.max;
        if (!room || !read_once(c) || c->life != life)
            break;
    }
    if (c->life == life)
        conn_want(c);
}
