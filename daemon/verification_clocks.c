#include "daemon/verification_clocks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/core/clock.h"
#include "lib/redis/conn.h"

#define QUESTIONS 5
#define BUFFER    (64 * KIB)

/* One server. */
struct watch {
    struct clocks *owner;
    struct watch *next;
    int side;
    struct endpoint endpoint;
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
    const struct endpoint *endpoints[2];
    struct topology *topologies[2];
    struct topology_listener listeners[2];
    struct watch *watches;
    char waiting[160];
};

static bool is_done(const struct watch *w)
{
    return w->untold || w->answers == QUESTIONS;
}

static bool all_done(const struct clocks *c)
{
    bool any[2] = {false, false};

    for (const struct watch *w = c->watches; w; w = w->next) {
        if (!is_done(w))
            return false;
        any[w->side] = true;
    }
    return any[0] && any[1];
}

static uint64_t apart_us(const struct clocks *c)
{
    uint64_t most = 0;

    for (const struct watch *a = c->watches; a; a = a->next)
        for (const struct watch *b = a->next; b; b = b->next) {
            int64_t apart = a->ahead_us - b->ahead_us;
            if (a->side != b->side)
                most = MAX(most, (uint64_t)(apart < 0 ? -apart : apart));
        }
    return most;
}

static void done(void *arg)
{
    struct clocks *c = arg;
    bool known = true;

    for (const struct watch *w = c->watches; w; w = w->next)
        known &= w->told;
    c->fn(known, known ? (apart_us(c) + 999) / 1000 : 0, c->arg);
}

static void done_unknown(void *arg)
{
    struct clocks *c = arg;
    c->fn(false, 0, c->arg);
}

static void take(struct watch *w, const struct reply *r)
{
    uint64_t now = clock_mono_us(), round_trip = now - w->asked_us;
    int64_t time_us = reply_time_us(r);

    if (!time_us) {
        w->untold = true;
        return;
    }
    if (w->answers++ && round_trip >= w->round_trip_us)
        return;
    w->told = true;
    w->round_trip_us = round_trip;
    w->ahead_us = time_us - (int64_t)(now - round_trip / 2);
}

static void ask(struct watch *w);

static void on_time(struct conn *conn, const struct reply *r, void *arg)
{
    struct watch *w = arg;
    struct clocks *c = w->owner;

    if (reply_is_passing(r)) {
        conn_reset(conn, "the server is busy");
        return;
    }
    take(w, r);
    if (!is_done(w))
        ask(w);
    else if (all_done(c))
        loop_defer(c->loop, &c->done_later, done, c);
}

static void ask(struct watch *w)
{
    w->asked_us = clock_mono_us();
    if (conn_call_words(w->conn, on_time, w, "TIME") < 0)
        conn_reset(w->conn, "TIME could not be asked for: no memory");
}

static void on_up(struct conn *conn, void *arg)
{
    struct watch *w = arg;
    (void)conn;

    if (!is_done(w))
        ask(w);
}

static void on_down(struct conn *conn, const char *why, bool was_up, void *arg)
{
    (void)conn, (void)why, (void)was_up, (void)arg; /* asked for when it is to be told */
}

static int watch_new(struct clocks *c, int side, const struct topology_node *n)
{
    static const struct conn_events events = {.up = on_up, .down = on_down};
    struct watch *w = calloc(1, sizeof(*w));
    int err = w ? 0 : -ENOMEM;

    if (err)
        return err;
    *w = (struct watch){.owner = c, .next = c->watches, .side = side};
    const struct conn_options opt = {.endpoint = &w->endpoint,
                                     .role = "verify-clock",
                                     .in_max = BUFFER,
                                     .out_max = BUFFER,
                                     .out_high = BUFFER};
    err = n ? topology_endpoint(c->topologies[side], n, &w->endpoint)
            : endpoint_node(c->endpoints[side], NULL, 0, &w->endpoint);
    if (err) {
        free(w);
        return err;
    }
    c->watches = w;
    return conn_new(c->loop, &opt, &events, w, &w->conn);
}

static void drop_all(struct clocks *c)
{
    while (c->watches) {
        struct watch *w = c->watches;
        c->watches = w->next;
        conn_free(w->conn);
        endpoint_node_clear(&w->endpoint);
        free(w);
    }
}

static int watch_side(struct clocks *c, int side)
{
    const struct topology_map *m = c->topologies[side] ? topology_map(c->topologies[side]) : NULL;
    int err = c->topologies[side] ? 0 : watch_new(c, side, NULL);

    for (size_t i = 0; m && i < m->nshards && !err; i++)
        if (m->shards[i].nslots)
            err = watch_new(c, side, &m->shards[i].primary);
    return err;
}

static int watch_all(struct clocks *c)
{
    int err = watch_side(c, 0);
    return err ? err : watch_side(c, 1);
}

static void on_changed(void *arg)
{
    struct clocks *c = arg;

    drop_all(c);
    defer_cancel(c->loop, &c->done_later);
    if (watch_all(c) == 0)
        return;
    drop_all(c); /* memory is out: the clocks are not known */
    loop_defer(c->loop, &c->done_later, done_unknown, c);
}

int clocks_new(struct loop *l, const struct endpoint *const endpoints[2],
               struct topology *const topologies[2], clocks_fn *fn, void *arg, struct clocks **ret)
{
    struct clocks *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->loop = l;
    c->fn = fn;
    c->arg = arg;
    for (int i = 0; i < 2; i++) {
        c->endpoints[i] = endpoints[i];
        c->topologies[i] = topologies[i];
        c->listeners[i] = (struct topology_listener){.changed = on_changed, .arg = c};
        if (topologies[i])
            topology_listen(topologies[i], &c->listeners[i]);
    }
    int err = watch_all(c);
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
    for (int i = 0; i < 2; i++)
        if (c->topologies[i])
            topology_unlisten(c->topologies[i], &c->listeners[i]);
    drop_all(c);
    free(c);
    return NULL;
}

const char *clocks_waiting(struct clocks *c)
{
    const struct watch *w = c->watches;

    while (w && (is_done(w) || conn_is_up(w->conn) || !conn_why(w->conn)[0]))
        w = w->next;
    c->waiting[0] = '\0';
    if (w)
        snprintf(c->waiting, sizeof(c->waiting), "%s: %.60s%s%.80s", w->endpoint.side,
                 c->topologies[w->side] ? w->endpoint.url.text : "", c->topologies[w->side] ? ": " : "",
                 conn_why(w->conn));
    return c->waiting;
}
