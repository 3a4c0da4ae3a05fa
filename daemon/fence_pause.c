/* The soft fence: CLIENT PAUSE ... WRITE, a lease.
 *
 * It is counted from before the request is sent, by a clock that also counts suspend. The server counts by
 * its wall clock, so its TIME is asked right before and after: the pause that began not before the first of
 * them has surely not ended while TIME is less than that and the lease; and a clock that ran ahead of ours by
 * more than what the way takes was set, and may have ended it.
 */
#include "daemon/fence_impl.h"
#include "lib/redis/info.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MARGIN_US      100000  /* by which the server's clock may have run ahead */
#define RETRY_US       100000  /* a renewal that was refused for now */
#define ANOTHERS_MS    1000    /* what is left of the pause beyond ours: somebody else's */
#define SINCE_TOLD     80100   /* Valkey: INFO clients tells of the pause */
#define ENDED_AFTER_US 1000000 /* beyond the lease's end, by our clock: it has ended for the server too */

static void plan(struct fence *f);
static void ask(struct fence *f);
static void end_it(struct fence *f);

static void lapse(struct fence *f, const char *why)
{
    struct fence_pause *p = &f->pause;

    if (!p->on || p->lapsed)
        return;
    if (fence_is_watching(f)) {
        p->on = false;
        fence_watch_lapsed(f, why);
        return;
    }
    p->lapsed = true;
    snprintf(f->lapsed_why, sizeof(f->lapsed_why), "%s", why);
    f->say_lapsed = true;
    fence_tell(f);
    plan(f);
}

bool fence_pause_held(struct fence *f, int64_t server_us, char why[FENCE_WHY_MAX])
{
    struct fence_pause *p = &f->pause;
    uint64_t now = fence_now_us();
    int64_t ahead = server_us - p->base_server_us - (int64_t)(now - p->base_us);

    if (!p->on || p->strange)
        snprintf(why, FENCE_WHY_MAX, "writes to the source are not known to wait");
    else if (server_us == 0)
        snprintf(why, FENCE_WHY_MAX, "the answer to TIME is not understood");
    else if (p->lapsed)
        snprintf(why, FENCE_WHY_MAX, "%s", f->lapsed_why);
    else if (now >= p->end_us)
        snprintf(why, FENCE_WHY_MAX, "the pause of the source's writes was not renewed before its end");
    else if (server_us >= p->server_end_us || ahead > MARGIN_US)
        snprintf(why, FENCE_WHY_MAX,
                 "the source's clock ran ahead by %" PRId64
                 " ms: the pause of its writes may have ended before its time",
                 ahead / 1000);
    else
        return true;
    return false;
}

/* Until when the next request may reach. */
static uint64_t next_lease_us(const struct fence_pause *p, uint64_t now)
{
    uint64_t end = p->first_us + p->bound_us;
    if (p->bound_us == 0)
        return p->lease_us;
    return end > now ? MIN(p->lease_us, end - now) : 0;
}

/* Is there still something that a renewal would gain? */
static bool may_renew(const struct fence_pause *p, uint64_t now)
{
    uint64_t lease = next_lease_us(p, now);
    return lease > 0 && now + lease > p->end_us + 1000;
}

static void answer_first(struct fence *f, int err, const char *why)
{
    void (*done)(struct fence *f, int err, const char *why) = f->pause.done;

    f->pause.done = NULL;
    if (done)
        done(f, err, why);
}

/* A lease that is in force goes on until its end; a renewal is asked for again. */
static void refused(struct fence *f)
{
    if (f->pause.first && f->pause.done)
        f->pause.on = false;
    answer_first(f, -EACCES, f->pause.refused);
}

/* It was in force when the second TIME was told: if that was before the end of the lease before, it never
 * ended in between. */
static void granted(struct fence *f)
{
    struct fence_pause *p = &f->pause;
    char why[FENCE_WHY_MAX];
    bool first = p->first || p->strange;

    if (p->before_us == 0 || p->after_us == 0) {
        snprintf(p->refused, sizeof(p->refused), "the answer to TIME is not understood");
        refused(f);
        return;
    }
    if (!first && !fence_pause_held(f, p->after_us, why))
        lapse(f, why);
    p->end_us = p->asked_us + p->asked_ms * 1000;
    p->server_end_us = p->before_us + (int64_t)p->asked_ms * 1000;
    p->base_us = p->asked_us;
    p->base_server_us = p->before_us;
    p->first = p->strange = false;
    if (p->restate)
        return;
    /* The answer may have been so long under way that nothing is left of it. */
    if (fence_pause_held(f, p->after_us, why))
        answer_first(f, 0, "");
    else
        answer_first(f, -ETIMEDOUT, why);
}

static void on_time_after(struct conn *c, const struct reply *r, void *arg)
{
    struct fence *f = ((struct fence_node *)arg)->fence;
    struct fence_pause *p = &f->pause;
    (void)c;

    p->asking = false;
    p->after_us = reply_time_us(r);
    if (p->ending) {
        end_it(f);
        return;
    }
    if (p->refused[0])
        refused(f);
    else
        granted(f);
    if (p->restate && p->on)
        ask(f);
    plan(f);
}

static void on_paused(struct conn *c, const struct reply *r, void *arg)
{
    struct fence *f = ((struct fence_node *)arg)->fence;
    (void)c;

    if (!reply_is_ok(r))
        fence_error(r, f->pause.refused);
}

static void on_time_before(struct conn *c, const struct reply *r, void *arg)
{
    struct fence *f = ((struct fence_node *)arg)->fence;
    (void)c;

    f->pause.before_us = reply_time_us(r);
}

static void ask(struct fence *f)
{
    struct fence_pause *p = &f->pause;
    struct fence_node *n = fence_primary(f);
    char words[64];

    if (p->asking || !n->ready)
        return;
    if (!p->first && strcmp(p->run_id, conn_server(n->conn)->run_id) != 0) {
        lapse(f, "the source was restarted, or replaced, while its writes waited");
        return;
    }
    uint64_t now = fence_now_us();
    if (p->first_us == 0)
        p->first_us = now;
    if (p->first && next_lease_us(p, now) < 1000) {
        p->on = false;
        answer_first(f, -ETIMEDOUT, "the bound of the write pause has passed");
        return;
    }
    snprintf(p->run_id, sizeof(p->run_id), "%s", conn_server(n->conn)->run_id);
    p->restate = false;
    p->asked_us = now;
    p->asked_ms = next_lease_us(p, now) / 1000;
    p->refused[0] = '\0';
    p->before_us = p->after_us = 0;
    snprintf(words, sizeof(words), "CLIENT PAUSE %" PRIu64 " WRITE", p->asked_ms);
    p->asking = fence_call(n, on_time_before, "TIME") && fence_call(n, on_paused, words) &&
                fence_call(n, on_time_after, "TIME");
}

/* The end. */

static void ended(struct fence *f)
{
    struct fence_pause *p = &f->pause;
    void (*fn)(struct fence *f) = p->ended;

    p->on = p->lapsed = p->ending = p->strange = p->asking = p->first = false;
    p->lost_ms = 0;
    p->ended = NULL;
    timer_clear(p->timer);
    if (fn)
        fn(f);
}

static void on_unpaused(struct conn *c, const struct reply *r, void *arg)
{
    struct fence *f = ((struct fence_node *)arg)->fence;
    char why[FENCE_WHY_MAX];
    (void)c;

    f->pause.asking = false;
    if (reply_is_ok(r)) {
        ended(f);
        return;
    }
    log_event(f->opt.log, EVENT_FENCE_LEFT_ALONE,
              "the pause of the source's writes could not be ended, and ends by itself: %s",
              fence_error(r, why));
    if (f->pause.strange)
        ended(f);
    else
        plan(f);
}

static void send_unpause(struct fence *f)
{
    if (fence_call(fence_primary(f), on_unpaused, "CLIENT UNPAUSE"))
        f->pause.asking = true;
}

/* Somebody who paused for longer than we did would be let down. */
static void on_told(struct conn *c, const struct reply *r, void *arg)
{
    struct fence *f = ((struct fence_node *)arg)->fence;
    struct fence_pause *p = &f->pause;
    uint64_t now = fence_now_us(), left;
    uint64_t ours = MAX(p->end_us > now ? (p->end_us - now) / 1000 : 0, p->lost_ms);
    struct bytes info;
    (void)c;

    p->asking = false;
    if (!p->strange && reply_text(r, &info) && info_find_u64(info, "paused_timeout_milliseconds", &left) &&
        left > ours + ANOTHERS_MS) {
        log_event(f->opt.log, EVENT_FENCE_LEFT_ALONE,
                  "somebody else has paused the source's writes, for another %" PRIu64 " ms: left as it is",
                  left);
        ended(f);
        return;
    }
    send_unpause(f);
}

static void end_it(struct fence *f)
{
    struct fence_node *n = fence_primary(f);
    const struct server_id *id = n->ready ? conn_server(n->conn) : NULL;

    if (!id || f->pause.asking)
        return;
    if (id->kind == SERVER_VALKEY && id->own >= SINCE_TOLD)
        f->pause.asking = fence_call(n, on_told, "INFO clients");
    else
        send_unpause(f);
}

void fence_pause_let_go(struct fence *f, void (*fn)(struct fence *f))
{
    struct fence_pause *p = &f->pause;

    p->ending = true;
    p->ended = fn;
    p->done = NULL;
    if (!p->on) { /* of an earlier process, perhaps */
        p->on = p->strange = true;
        p->end_us = UINT64_MAX;
    }
    end_it(f);
    plan(f);
}

/* Time. */

static void on_timer(void *arg)
{
    struct fence *f = arg;
    struct fence_pause *p = &f->pause;
    uint64_t now = fence_now_us();

    if (p->ending && !p->strange && now >= p->end_us + ENDED_AFTER_US) {
        ended(f);
        return;
    }
    if (!p->ending && !p->first && !p->strange && now >= p->end_us)
        lapse(f, p->bound_us && !may_renew(p, now)
                     ? "the bound of the write pause has passed"
                     : "the pause of the source's writes was not renewed before its end");
    if (!p->ending && !p->lapsed && (p->first || p->strange || may_renew(p, now)))
        ask(f);
    plan(f);
}

/* When it is to be looked at next: a renewal, or the end. */
static void plan(struct fence *f)
{
    struct fence_pause *p = &f->pause;
    uint64_t now = fence_now_us(), at = p->end_us;
    uint64_t third = MAX(p->asked_us + p->asked_ms * 1000 / 3, now + 1000);

    timer_clear(p->timer);
    if (!p->on || p->strange || (p->first && !p->refused[0]) || (p->lapsed && !p->ending))
        return;
    if (p->ending)
        at = p->end_us + ENDED_AFTER_US;
    else if (p->refused[0])
        at = p->first ? now + RETRY_US : MIN(at, now + RETRY_US);
    else if (!p->asking && fence_primary(f)->ready && may_renew(p, third))
        at = MIN(at, third);
    timer_set(p->timer, at > now ? at - now : 0);
}

/* In use. */

int fence_pause_init(struct fence *f)
{
    return timer_new(f->loop, on_timer, f, &f->pause.timer);
}

void fence_pause_end(struct fence *f)
{
    f->pause.timer = timer_free(f->pause.timer);
}

void fence_pause_ask(struct fence *f, uint64_t lease_us, uint64_t bound_us,
                     void (*done)(struct fence *f, int err, const char *why))
{
    struct fence_pause *p = &f->pause;
    bool renewed = p->on && !p->lapsed && !p->strange && !p->first;

    p->lease_us = lease_us;
    p->bound_us = bound_us;
    p->done = done;
    p->ending = false;
    p->ended = NULL;
    p->restate = renewed && p->asking; /* what is under way asks for the former terms */
    if (!renewed) {
        p->on = p->first = true;
        p->lapsed = p->strange = false;
        p->first_us = 0;
    }
    ask(f);
    plan(f);
}

void fence_pause_up(struct fence *f)
{
    struct fence_pause *p = &f->pause;

    if (!p->on)
        return;
    if (p->ending)
        end_it(f);
    else if (!p->lapsed)
        ask(f);
    plan(f);
}

void fence_pause_down(struct fence *f)
{
    struct fence_pause *p = &f->pause;

    if (p->asking && !p->ending)
        p->lost_ms = MAX(p->lost_ms, p->asked_ms);
    p->asking = false;
    plan(f);
}

void fence_pause_forget(struct fence *f)
{
    struct fence_pause *p = &f->pause;

    p->done = NULL;
    p->ended = NULL;
}

void fence_pause_drop(struct fence *f)
{
    struct timer *timer = f->pause.timer;

    timer_clear(timer);
    f->pause = (struct fence_pause){.timer = timer};
}

bool fence_is_paused(const struct fence *f)
{
    const struct fence_pause *p = &f->pause;
    return p->on && !p->first && !p->strange && !p->lapsed && fence_now_us() < p->end_us;
}

uint64_t fence_lease_left_us(const struct fence *f)
{
    uint64_t now = fence_now_us();
    return fence_is_paused(f) && f->pause.end_us > now ? f->pause.end_us - now : 0;
}

uint64_t fence_paused_us(const struct fence *f)
{
    const struct fence_pause *p = &f->pause;
    return p->on && !p->strange && p->first_us ? fence_now_us() - p->first_us : 0;
}
