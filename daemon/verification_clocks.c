#include "daemon/verification_clocks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/core/clock.h"
#include "lib/redis/conn.h"

#define QUESTIONS 5
#define BUFFER    (64 * KIB)

struct clock_side {
    struct clocks *owner;
    const struct endpoint *endpoint;
    struct conn *conn;
    unsigned answers;
    bool told, untold;
    uint64_t asked_us, round_trip_us; /* of the quickest answer */
    int64_t ahead_us; /* of our monotonic clock: only the difference of two of these means something */
};

struct clocks {
    struct loop *loop;
    struct defer done_later;
    clocks_fn *fn;
    void *arg;
    struct clock_side sides[2];
    char waiting[160];
};

static bool is_done(const struct clock_side *s)
{
    return s->untold || s->answers == QUESTIONS;
}

static void done(void *arg)
{
    struct clocks *c = arg;
    const struct clock_side *a = &c->sides[0], *b = &c->sides[1];
    int64_t apart = a->ahead_us - b->ahead_us;
    bool known = a->told && b->told;

    c->fn(known, known ? ((uint64_t)(apart < 0 ? -apart : apart) + 999) / 1000 : 0, c->arg);
}

static void take(struct clock_side *s, const struct reply *r)
{
    uint64_t now = clock_mono_us(), round_trip = now - s->asked_us;
    int64_t time_us = reply_time_us(r);

    if (!time_us) {
        s->untold = true;
        return;
    }
    if (s->answers++ && round_trip >= s->round_trip_us)
        return;
    s->told = true;
    s->round_trip_us = round_trip;
    s->ahead_us = time_us - (int64_t)(now - round_trip / 2);
}

static void ask(struct clock_side *s);

static void on_time(struct conn *conn, const struct reply *r, void *arg)
{
    struct clock_side *s = arg;
    struct clocks *c = s->owner;

    if (reply_is_passing(r)) {
        conn_reset(conn, "the server is busy");
        return;
    }
    take(s, r);
    if (!is_done(s))
        ask(s);
    else if (is_done(&c->sides[0]) && is_done(&c->sides[1]))
        loop_defer(c->loop, &c->done_later, done, c);
}

static void ask(struct clock_side *s)
{
    s->asked_us = clock_mono_us();
    if (conn_call_words(s->conn, on_time, s, "TIME") < 0)
        conn_reset(s->conn, "TIME could not be asked for: no memory");
}

static void on_up(struct conn *conn, void *arg)
{
    struct clock_side *s = arg;
    (void)conn;

    s->owner->waiting[0] = '\0';
    if (!is_done(s))
        ask(s);
}

static void on_down(struct conn *conn, const char *why, bool was_up, void *arg)
{
    struct clock_side *s = arg;
    (void)conn, (void)was_up;

    if (!is_done(s))
        snprintf(s->owner->waiting, sizeof(s->owner->waiting), "%s: %s", s->endpoint->side, why);
}

int clocks_new(struct loop *l, const struct endpoint *source, const struct endpoint *target, clocks_fn *fn,
               void *arg, struct clocks **ret)
{
    static const struct conn_events events = {.up = on_up, .down = on_down};
    const struct endpoint *const endpoints[] = {source, target};
    struct clocks *c = calloc(1, sizeof(*c));
    int err = c ? 0 : -ENOMEM;

    if (err)
        return err;
    c->loop = l;
    c->fn = fn;
    c->arg = arg;
    for (size_t i = 0; !err && i < ARRAY_LEN(c->sides); i++) {
        const struct conn_options opt = {.endpoint = endpoints[i],
                                         .role = "verify-clock",
                                         .in_max = BUFFER,
                                         .out_max = BUFFER,
                                         .out_high = BUFFER};
        c->sides[i].owner = c;
        c->sides[i].endpoint = endpoints[i];
        err = conn_new(l, &opt, &events, &c->sides[i], &c->sides[i].conn);
    }
    if (err) {
        clocks_free(c);
        return err;
    }
    *ret = c;
    return 0;
}

struct clocks *clocks_free(struct clocks *c)
{
    if (!c)
        return NULL;
    defer_cancel(c->loop, &c->done_later);
    for (size_t i = 0; i < ARRAY_LEN(c->sides); i++)
        conn_free(c->sides[i].conn);
    free(c);
    return NULL;
}

const char *clocks_waiting(const struct clocks *c)
{
    return c->waiting;
}
