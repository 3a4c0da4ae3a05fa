#include "daemon/operation.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"

/* One place. The wait's own part is beside what everybody may see of it. */
struct wait {
    struct operation op;
    struct operations *owner;
    enum wait_for what;
    struct timer *timer; /* the time-out */
    bool draining;       /* the link was asked, and will call */
};

struct operations {
    struct loop *loop;
    struct link *link;
    struct operations_events ev;
    void *arg;
    uint64_t last_id;
    struct defer look_later;
    struct wait at[OPERATIONS_KEPT];
};

static const char *const wait_names[] = {
    [WAIT_FOR_IDLE] = "idle",         [WAIT_FOR_LIVE] = "live",           [WAIT_FOR_DRAINED] = "drained",
    [WAIT_FOR_VERIFIED] = "verified", [WAIT_FOR_COMMITTED] = "committed", [WAIT_FOR_FINISHED] = "finished",
};
_Static_assert(ARRAY_LEN(wait_names) == WAIT_FOR_COUNT, "each condition has its name");

static void PRINTF_LIKE(4, 5)
    end(struct wait *w, const char *result, enum ctl_exit exit_code, const char *format, ...)
{
    va_list args;

    if (w->draining)
        link_drain_cancel(w->owner->link, w);
    w->draining = false;
    timer_clear(w->timer);
    va_start(args, format);
    vsnprintf(w->op.text, sizeof(w->op.text), format, args);
    va_end(args);
    w->op.ended = true;
    w->op.ended_ms = clock_wall_ms();
    w->op.result = result;
    w->op.exit_code = exit_code;
    w->owner->ev.ended(&w->op, w->owner->arg);
}

static void drained(void *arg)
{
    struct wait *w = arg;
    w->draining = false;
    end(w, "ok", CTL_OK, "drained: the target has all that was written before");
}

static void timed_out(void *arg)
{
    struct wait *w = arg;
    end(w, "timeout", CTL_TIMEOUT, "not %s within the time given; the link is %s", wait_names[w->what],
        link_state_name(link_state(w->owner->link)));
}

/* Can it still become true? Not from a state that only a person leads out of. */
static bool is_impossible(const struct wait *w, enum link_state state)
{
    return state == LINK_FAILED || (state == LINK_IDLE && w->what != WAIT_FOR_IDLE);
}

static void look(struct wait *w)
{
    enum link_state state = link_state(w->owner->link);

    if (is_impossible(w, state))
        end(w, "impossible", CTL_IMPOSSIBLE, "the link is %s: it cannot become %s by itself; %s",
            link_state_name(state), wait_names[w->what],
            state == LINK_FAILED ? "riotctl status shows why" : "riotctl start begins it");
    else if (w->what == WAIT_FOR_IDLE && state == LINK_IDLE)
        end(w, "ok", CTL_OK, "the link is idle");
    else if (w->what == WAIT_FOR_LIVE && state == LINK_LIVE)
        end(w, "ok", CTL_OK, "the link is live");
    else if (w->what == WAIT_FOR_DRAINED && !w->draining)
        w->draining = link_drain(w->owner->link, drained, w) == 0;
}

static void look_at_all(void *arg)
{
    struct operations *o = arg;
    for (size_t i = 0; i < OPERATIONS_KEPT; i++)
        if (o->at[i].op.id && !o->at[i].op.ended)
            look(&o->at[i]);
}

void operations_look(struct operations *o)
{
    /* The link may be in the middle of its change. */
    loop_defer(o->loop, &o->look_later, look_at_all, o);
}

/* A lane that has ended forgot its drains. */
void operations_lane_gone(struct operations *o)
{
    for (size_t i = 0; i < OPERATIONS_KEPT; i++)
        o->at[i].draining = false;
    operations_look(o);
}

int operations_new(struct loop *loop, struct link *link, const struct operations_events *ev, void *arg,
                   struct operations **ret)
{
    struct operations *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->loop = loop;
    o->link = link;
    o->ev = *ev;
    o->arg = arg;
    for (size_t i = 0; i < OPERATIONS_KEPT; i++) {
        o->at[i].owner = o;
        int err = timer_new(loop, timed_out, &o->at[i], &o->at[i].timer);
        if (err) {
            operations_free(o);
            return err;
        }
    }
    *ret = o;
    return 0;
}

struct operations *operations_free(struct operations *o)
{
    if (!o)
        return NULL;
    defer_cancel(o->loop, &o->look_later);
    for (size_t i = 0; i < OPERATIONS_KEPT; i++)
        timer_free(o->at[i].timer);
    free(o);
    return NULL;
}

/* A free place, else that of the operation that ended first. */
static struct wait *place(struct operations *o)
{
    struct wait *oldest = NULL;
    for (size_t i = 0; i < OPERATIONS_KEPT; i++) {
        struct wait *w = &o->at[i];
        if (!w->op.id)
            return w;
        if (w->op.ended && (!oldest || w->op.id < oldest->op.id))
            oldest = w;
    }
    return oldest;
}

int operation_wait(struct operations *o, enum wait_for what, uint64_t timeout_ms, uint64_t *ret_id)
{
    struct wait *w = place(o);
    if (!w)
        return -EBUSY;
    w->op =
        (struct operation){.id = ++o->last_id, .verb = verbs[VERB_WAIT].name, .started_ms = clock_wall_ms()};
    w->what = what;
    w->draining = false;
    snprintf(w->op.text, sizeof(w->op.text), "waits for %s", wait_names[what]);
    if (timeout_ms)
        timer_set(w->timer, timeout_ms * 1000);
    *ret_id = w->op.id;
    operations_look(o);
    return 0;
}

void operations_each(const struct operations *o, void (*fn)(const struct operation *borrowed, void *arg),
                     void *arg)
{
    for (uint64_t after = 0;;) {
        const struct operation *next = NULL;
        for (size_t i = 0; i < OPERATIONS_KEPT; i++) {
            const struct operation *op = &o->at[i].op;
            if (op->id > after && (!next || op->id < next->id))
                next = op;
        }
        if (!next)
            return;
        fn(next, arg);
        after = next->id;
    }
}
