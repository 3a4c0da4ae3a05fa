#include "lib/redis/conn_life.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"

#define CONNECT_US  5000000 /* to resolve, and for each address */
#define STEADY_US   3000000 /* a life as long as this was a good one: the back-off begins anew */
#define IN_MIN      (64 * KIB)
#define CALLS_MAX   65536
#define WORDS_MAX   16
#define REPLY_BULK  (32 * MIB) /* the largest are CLIENT LIST, of 90,000 clients then, and FUNCTION DUMP */
#define REPLY_ARRAY MIB
#define REPLY_TOTAL (48 * MIB)

#define BIT(state) (1u << (state))

static const struct {
    const char *name;
    unsigned next;
    uint64_t timeout_us;
} states[] = {
    [CONN_WAITING] = {"waiting", BIT(CONN_RESOLVING) | BIT(CONN_CONNECTING) | BIT(CONN_LOST), 0},
    [CONN_RESOLVING] = {"resolving", BIT(CONN_CONNECTING) | BIT(CONN_LOST), CONNECT_US},
    [CONN_CONNECTING] = {"connecting", BIT(CONN_CONNECTING) | BIT(CONN_SHAKING) | BIT(CONN_LOST), CONNECT_US},
    [CONN_SHAKING] = {"shaking hands", BIT(CONN_UP) | BIT(CONN_LOST), 0},
    [CONN_UP] = {"up", BIT(CONN_LOST), 0},
    [CONN_LOST] = {"lost", BIT(CONN_WAITING), 0},
};
_Static_assert(ARRAY_LEN(states) == CONN_STATES, "each state has its row");

static void set_state(struct conn *c, enum conn_state next)
{
    assert(states[c->state].next & BIT(next));
    if ((c->state == CONN_UP) != (next == CONN_UP))
        c->since_us = loop_now_us(c->loop);
    c->state = next;
    timer_clear(c->timer);
    if (states[next].timeout_us)
        timer_set(c->timer, states[next].timeout_us);
}

static void release(struct conn *c)
{
    c->timer = timer_free(c->timer);
    c->again = timer_free(c->again);
    c->more = timer_free(c->more);
    buf_free(&c->in);
    buf_free(&c->out);
    buf_free(&c->info);
    free(c->calls.at);
    free(c->earlier);
    free(c);
}

void conn_enter(struct conn *c)
{
    c->busy++;
}

void conn_leave(struct conn *c)
{
    if (--c->busy == 0 && c->freed)
        release(c);
}

/* Ends what this life has, and tells nobody. The buffers' memory stays: an `input` may be looking at it. */
static void end_life(struct conn *c)
{
    c->life++;
    c->resolve = resolve_free(c->resolve);
    c->io = io_free(c->io);
    transport_close(&c->transport);
    c->reader = reply_reader_free(c->reader);
    timer_clear(c->timer);
    timer_clear(c->again);
    timer_clear(c->more);
    defer_cancel(c->loop, &c->flush_later);
    defer_cancel(c->loop, &c->kick_later);
    buf_consume(&c->in, buf_len(&c->in));
    buf_consume(&c->out, buf_len(&c->out));
    c->calls.count = 0;
    c->wanted = 0;
    c->paused = c->blocked = c->over = c->raw = c->expecting = false;
}

static void remember_former(struct conn *c)
{
    c->has_former = true;
    c->former.client_id = c->client_id;
    memcpy(c->former.run_id, c->id.run_id, sizeof(c->former.run_id));
}

static void on_down(void *arg)
{
    struct conn *c = arg;

    conn_enter(c);
    uint64_t life = c->life;
    if (c->ev.down)
        c->ev.down(c, c->why, c->was_up, c->arg);
    if (c->life == life) {
        buf_trim(&c->in, CONN_KEEP);
        buf_trim(&c->out, CONN_KEEP);
        set_state(c, CONN_WAITING);
        if (!c->held)
            timer_set(c->timer, backoff_next_us(&c->backoff));
    }
    conn_leave(c);
}

void conn_lose(struct conn *c, const char *format, ...)
{
    if (c->state == CONN_LOST || c->freed)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(c->why, sizeof(c->why), format, args);
    va_end(args);

    c->was_up = c->state == CONN_UP;
    c->by_peer = false;
    if (c->was_up) {
        remember_former(c);
        if (c->answered || loop_now_us(c->loop) - c->since_us >= STEADY_US)
            backoff_reset(&c->backoff);
    }
    end_life(c);
    set_state(c, CONN_LOST);
    loop_defer(c->loop, &c->down_later, on_down, c);
}

static void on_flush(void *arg)
{
    struct conn *c = arg;

    conn_enter(c);
    conn_flush_now(c);
    conn_leave(c);
}

static void on_kick(void *arg)
{
    struct conn *c = arg;

    conn_enter(c);
    uint64_t life = c->life;
    if (buf_len(&c->in) > 0)
        conn_take_input(c);
    if (c->life == life)
        conn_want(c);
    conn_leave(c);
}

static void on_more(void *arg)
{
    struct conn *c = arg;

    conn_enter(c);
    conn_read_some(c);
    conn_leave(c);
}

/* Connecting. */

static void give_up_address(struct conn *c, int err)
{
    bool told = err == -EPROTO && c->transport.ops; /* the kernel has an EPROTO of its own */

    c->connect_err = err;
    snprintf(c->connect_why, sizeof(c->connect_why), "%s", told ? c->transport.ops->why(&c->transport) : "");
    c->io = io_free(c->io);
    transport_close(&c->transport);
    c->wanted = 0;
}

static void on_io(unsigned events, void *arg);

static int open_address(struct conn *c)
{
    const struct url *url = &c->opt.endpoint->url;
    size_t i = c->next_addr++;
    int err = url->path ? transport_unix(url->path, &c->transport)
                        : transport_plain((const struct sockaddr *)&c->found.at[i].addr, c->found.at[i].len,
                                          c->opt.endpoint->timeout_ms, &c->transport);
    if (!err && c->opt.endpoint->tls)
        err = tls_wrap(c->opt.endpoint->tls, url->host, &c->transport);
    return err ? err : io_new(c->loop, c->transport.fd, on_io, c, &c->io);
}

/* The next address that is not refused at once; without one, the life is lost for the last one's reason. */
static void connect_next(struct conn *c)
{
    size_t count = c->opt.endpoint->url.path ? 1 : c->found.count;

    while (c->next_addr < count) {
        int err = open_address(c);
        if (err == 0) {
            set_state(c, CONN_CONNECTING);
            conn_want(c);
            return;
        }
        give_up_address(c, err);
    }
    if (c->connect_why[0])
        conn_lose(c, "%s", c->connect_why);
    else
        conn_lose_errno(c, c->connect_err);
}

static void connect_failed(struct conn *c, int err)
{
    give_up_address(c, err);
    connect_next(c);
}

static void on_resolved(const struct resolved *found, const char *error, void *arg)
{
    struct conn *c = arg;

    conn_enter(c);
    if (error) {
        conn_lose(c, "the name does not resolve: %s", error);
    } else {
        c->found = *found;
        c->resolve = resolve_free(c->resolve);
        connect_next(c);
    }
    conn_leave(c);
}

static void on_opened(struct conn *c)
{
    int err = c->transport.ops->opened(&c->transport);
    if (err == -EAGAIN) {
        conn_want(c);
        return;
    }
    if (err < 0) {
        connect_failed(c, err);
        return;
    }
    err = reply_reader_new(REPLY_BULK, REPLY_ARRAY, REPLY_TOTAL, &c->reader);
    if (err < 0) {
        conn_lose_errno(c, err);
        return;
    }
    set_state(c, CONN_SHAKING);
    conn_want(c);
    conn_shake(c);
}

static void on_io(unsigned events, void *arg)
{
    struct conn *c = arg;

    conn_enter(c);
    uint64_t life = c->life;
    if (c->state == CONN_CONNECTING) {
        on_opened(c);
    } else {
        if (events & IO_WRITE) {
            c->blocked = false;
            conn_flush_now(c);
        }
        if (c->life == life && (events & IO_READ))
            conn_read_some(c);
    }
    conn_leave(c);
}

static void begin_life(struct conn *c)
{
    const struct url *url = &c->opt.endpoint->url;

    c->next_addr = 0;
    c->client_id = 0;
    c->fenced = false;
    c->refusal[0] = '\0';
    if (url->path) {
        connect_next(c);
        return;
    }
    set_state(c, CONN_RESOLVING);
    int err = resolve_new(c->loop, url->host, url->port, on_resolved, c, &c->resolve);
    if (err < 0)
        conn_lose_errno(c, err);
}

static void on_timer(void *arg)
{
    struct conn *c = arg;

    conn_enter(c);
    if (c->state == CONN_WAITING)
        begin_life(c);
    else if (c->state == CONN_RESOLVING)
        conn_lose(c, "the name does not resolve: no answer");
    else if (c->state == CONN_CONNECTING)
        connect_failed(c, c->transport.ops->why(&c->transport)[0] ? -EPROTO : -ETIMEDOUT);
    else
        conn_check_silence(c);
    conn_leave(c);
}

static void on_again(void *arg)
{
    struct conn *c = arg;

    conn_enter(c);
    conn_shake_again(c);
    conn_leave(c);
}

void conn_come_up(struct conn *c)
{
    set_state(c, CONN_UP);
    c->answered = false;
    if (c->ev.up)
        c->ev.up(c, c->arg);
}

/* What the owner calls. */

static int copy_former(struct conn *c)
{
    size_t n = c->opt.nformer;

    c->earlier = n ? malloc(n * sizeof(*c->earlier)) : NULL;
    if (n && !c->earlier)
        return -ENOMEM;
    if (n)
        memcpy(c->earlier, c->opt.former, n * sizeof(*c->earlier));
    c->nearlier = n;
    c->opt.former = NULL;
    return 0;
}

int conn_new(struct loop *l, const struct conn_options *opt, const struct conn_events *ev, void *arg,
             struct conn **ret)
{
    struct conn *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->loop = l;
    c->opt = *opt;
    c->ev = *ev;
    c->arg = arg;
    c->since_us = loop_now_us(l);
    buf_init(&c->in, MAX(opt->in_max, IN_MIN));
    buf_init(&c->out, opt->out_max);
    buf_init(&c->info, MIB);
    backoff_init(&c->backoff, clock_mono_us() ^ (uintptr_t)c);
    int err = copy_former(c);
    if (err == 0)
        err = timer_new(l, on_timer, c, &c->timer);
    if (err == 0)
        err = timer_new(l, on_again, c, &c->again);
    if (err == 0)
        err = timer_new(l, on_more, c, &c->more);
    if (err < 0) {
        release(c);
        return err;
    }
    timer_set(c->timer, 0);
    *ret = c;
    return 0;
}

struct conn *conn_free(struct conn *c)
{
    if (!c || c->freed)
        return NULL;
    c->freed = true;
    end_life(c);
    defer_cancel(c->loop, &c->down_later);
    if (c->busy == 0)
        release(c);
    return NULL;
}

bool conn_is_up(const struct conn *c)
{
    return c->state == CONN_UP && !c->freed;
}

const char *conn_why(const struct conn *c)
{
    return c->why;
}

bool conn_lost_by_peer(const struct conn *c)
{
    return c->by_peer;
}

bool conn_is_fenced(const struct conn *c)
{
    return c->fenced;
}

const struct server_id *conn_server(const struct conn *c)
{
    return c->id_known ? &c->id : NULL;
}

uint64_t conn_client_id(const struct conn *c)
{
    return c->client_id;
}

uint64_t conn_since_us(const struct conn *c)
{
    return c->since_us;
}

uint64_t conn_silent_us(const struct conn *c)
{
    return conn_is_due(c) && !c->paused ? loop_now_us(c->loop) - c->received_us : 0;
}

static int grow_calls(struct conn_calls *q)
{
    size_t cap = q->cap ? q->cap * 2 : 16;
    struct conn_call *at = malloc(cap * sizeof(*at));
    if (!at)
        return -ENOMEM;
    for (size_t i = 0; i < q->count; i++)
        at[i] = q->at[(q->first + i) % q->cap];
    free(q->at);
    *q = (struct conn_calls){.at = at, .cap = cap, .count = q->count};
    return 0;
}

static int ask(struct conn *c, size_t argc, const struct bytes *argv, conn_reply_fn *fn, void *arg)
{
    struct conn_calls *q = &c->calls;
    if (q->count >= CALLS_MAX)
        return -ENOBUFS;
    int err = q->count == q->cap ? grow_calls(q) : 0;
    if (err == 0)
        err = request_append(&c->out, argc, argv);
    if (err < 0)
        return err;
    if (!conn_is_due(c))
        conn_due_begins(c);
    q->at[(q->first + q->count++) % q->cap] = (struct conn_call){fn, arg};
    conn_flush(c);
    return 0;
}

static int ask_words(struct conn *c, conn_reply_fn *fn, void *arg, const char *words)
{
    struct bytes argv[WORDS_MAX], rest = bytes_str(words);
    size_t argc = 0;
    while (rest.len > 0) {
        if (argc == WORDS_MAX)
            return -E2BIG;
        argv[argc++] = bytes_cut(&rest, ' ');
    }
    return ask(c, argc, argv, fn, arg);
}

void conn_ask(struct conn *c, conn_reply_fn *fn, const char *words)
{
    int err = ask_words(c, fn, NULL, words);
    if (err < 0)
        conn_lose_errno(c, err);
}

void conn_ask_argv(struct conn *c, conn_reply_fn *fn, size_t argc, const struct bytes *argv)
{
    int err = ask(c, argc, argv, fn, NULL);
    if (err < 0)
        conn_lose_errno(c, err);
}

int conn_call(struct conn *c, size_t argc, const struct bytes *argv, conn_reply_fn *fn, void *arg)
{
    return conn_is_up(c) && !c->raw ? ask(c, argc, argv, fn, arg) : -ENOTCONN;
}

int conn_call_words(struct conn *c, conn_reply_fn *fn, void *arg, const char *words)
{
    return conn_is_up(c) && !c->raw ? ask_words(c, fn, arg, words) : -ENOTCONN;
}

void conn_raw(struct conn *c)
{
    if (conn_is_up(c))
        c->raw = true;
}

struct buf *conn_out(struct conn *c)
{
    return &c->out;
}

void conn_flush(struct conn *c)
{
    if (conn_is_open(c) && !c->freed)
        loop_defer(c->loop, &c->flush_later, on_flush, c);
}

void conn_expect(struct conn *c, bool answer_due)
{
    if (c->state != CONN_UP)
        return;
    if (answer_due && !conn_is_due(c))
        conn_due_begins(c);
    c->expecting = answer_due;
}

void conn_limit(struct conn *c, size_t in_max, size_t out_high)
{
    c->in.max = MAX(in_max, (size_t)IN_MIN);
    c->opt.out_high = out_high;
    conn_want(c);
}

bool conn_is_full(const struct conn *c)
{
    return buf_len(&c->out) > c->opt.out_high;
}

void conn_read_pause(struct conn *c, bool paused)
{
    if (!conn_is_open(c) || c->paused == paused)
        return;
    c->paused = paused;
    if (!paused)
        c->moved_us = c->received_us = loop_now_us(c->loop);
    conn_want(c);
}

void conn_kick(struct conn *c)
{
    if (conn_is_open(c) && !c->freed)
        loop_defer(c->loop, &c->kick_later, on_kick, c);
}

void conn_reset(struct conn *c, const char *why)
{
    if (c->state != CONN_WAITING)
        conn_lose(c, "%s", why);
}

void conn_move(struct conn *c, const char *why)
{
    backoff_reset(&c->backoff);
    conn_reset(c, why);
    if (c->state == CONN_WAITING && !c->held && !c->freed)
        timer_set(c->timer, 0);
}

void conn_hold(struct conn *c, bool held)
{
    if (c->held == held)
        return;
    c->held = held;
    if (c->state != CONN_WAITING || c->freed)
        return;
    if (held)
        timer_clear(c->timer);
    else
        timer_set(c->timer, 0);
}
