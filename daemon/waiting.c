#include "daemon/waiting.h"

#include <errno.h>
#include <stdlib.h>

struct wait {
    uint64_t id; /* of its operation; 0: a free place */
    struct waiting *owner;
    enum wait_for what;
    struct timer *timer; /* the time-out */
    bool draining;       /* the link was asked, and will call */
};

struct waiting {
    struct loop *loop;
    struct link *link;
    struct verification *verification;
    struct operations *operations;
    struct defer look_later;
    struct wait at[OPERATIONS_KEPT];
};

static const struct {
    const char *name;
    enum link_state state; /* that it holds in; LINK_STATES: it is not a state */
} conditions[] = {
    [WAIT_FOR_IDLE] = {"idle", LINK_IDLE},
    [WAIT_FOR_LIVE] = {"live", LINK_LIVE},
    [WAIT_FOR_DRAINED] = {"drained", LINK_STATES},
    [WAIT_FOR_VERIFIED] = {"verified", LINK_STATES},
    [WAIT_FOR_COMMITTED] = {"committed", LINK_COMMITTED},
    [WAIT_FOR_FINISHED] = {"finished", LINK_FINISHED},
};
_Static_assert(ARRAY_LEN(conditions) == WAIT_FOR_COUNT, "each condition has its row");

/* Its place is free from here on. */
static uint64_t let_go(struct wait *w)
{
    uint64_t id = w->id;

    if (w->draining)
        link_drain_cancel(w->owner->link, w);
    w->draining = false;
    timer_clear(w->timer);
    w->id = 0;
    return id;
}

static void drained(void *arg)
{
    struct wait *w = arg;
    w->draining = false;
    operation_end(w->owner->operations, let_go(w), "ok", CTL_OK,
                  "drained: the target has all that was written before");
}

static void timed_out(void *arg)
{
    struct wait *w = arg;
    operation_end(w->owner->operations, let_go(w), "timeout", CTL_TIMEOUT,
                  "not %s within the time given; the link is %s", conditions[w->what].name,
                  link_state_name(link_state(w->owner->link)));
}

/* Where only a person leads out of, or past the commit. */
static const char *impossible(const struct wait *w, enum link_state state)
{
    bool before_commit = w->what < WAIT_FOR_COMMITTED;

    if (state == LINK_FAILED)
        return "riotctl status shows why";
    if (state == LINK_IDLE && w->what != WAIT_FOR_IDLE)
        return "riotctl start begins it";
    if ((state == LINK_COMMITTED || state == LINK_FINISHED) && before_commit)
        return "the target owns the data";
    return NULL;
}

static bool holds(const struct wait *w, enum link_state state)
{
    if (w->what == WAIT_FOR_VERIFIED)
        return state == LINK_LIVE && verification_holds(w->owner->verification);
    return conditions[w->what].state == state || (w->what == WAIT_FOR_COMMITTED && state == LINK_FINISHED);
}

static void look(struct wait *w)
{
    enum link_state state = link_state(w->owner->link);
    const char *hint = impossible(w, state);

    if (holds(w, state))
        operation_end(w->owner->operations, let_go(w), "ok", CTL_OK, "the link is %s",
                      conditions[w->what].name);
    else if (hint)
        operation_end(w->owner->operations, let_go(w), "impossible", CTL_IMPOSSIBLE,
                      "the link is %s: it cannot become %s by itself; %s", link_state_name(state),
                      conditions[w->what].name, hint);
    else if (w->what == WAIT_FOR_DRAINED && !w->draining)
        w->draining = link_drain(w->owner->link, drained, w) == 0;
}

static void look_at_all(void *arg)
{
    struct waiting *w = arg;
    for (size_t i = 0; i < OPERATIONS_KEPT; i++)
        if (w->at[i].id)
            look(&w->at[i]);
}

void waiting_look(struct waiting *w)
{
    /* The link may be in the middle of its change. */
    loop_defer(w->loop, &w->look_later, look_at_all, w);
}

void waiting_lane_gone(struct waiting *w)
{
    for (size_t i = 0; i < OPERATIONS_KEPT; i++)
        w->at[i].draining = false;
    waiting_look(w);
}

int waiting_new(struct loop *loop, struct link *link, struct verification *v, struct operations *ops,
                struct waiting **ret)
{
    struct waiting *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->loop = loop;
    w->link = link;
    w->verification = v;
    w->operations = ops;
    for (size_t i = 0; i < OPERATIONS_KEPT; i++) {
        w->at[i].owner = w;
        int err = timer_new(loop, timed_out, &w->at[i], &w->at[i].timer);
        if (err) {
            waiting_free(w);
            return err;
        }
    }
    *ret = w;
    return 0;
}

struct waiting *waiting_free(struct waiting *w)
{
    if (!w)
        return NULL;
    defer_cancel(w->loop, &w->look_later);
    for (size_t i = 0; i < OPERATIONS_KEPT; i++)
        timer_free(w->at[i].timer);
    free(w);
    return NULL;
}

int waiting_start(struct waiting *w, enum wait_for what, uint64_t timeout_ms, uint64_t *ret_id)
{
    struct wait *one = w->at;

    while (one < w->at + OPERATIONS_KEPT && one->id)
        one++;
    int err = one == w->at + OPERATIONS_KEPT
                  ? -EBUSY
                  : operation_begin(w->operations, verbs[VERB_WAIT].name, &one->id);
    if (err)
        return err;
    one->what = what;
    operation_text(w->operations, one->id, "waits for %s", conditions[what].name);
    if (timeout_ms)
        timer_set(one->timer, timeout_ms * 1000);
    *ret_id = one->id;
    waiting_look(w);
    return 0;
}
