/* The way back, from the record of the state file. The primary first: what the others lack does not keep its
 * writers waiting. First the hard fence, read back, then the pause: the other order would refuse writes that
 * should have run. */
#include "daemon/fence_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GRACE_US    1000000  /* that the others may take, once the primary is done, before it is let go */
#define PATIENCE_US 10000000 /* and then, before it is said that they have not answered */
#define LATER_US    500000   /* until what was refused is tried again */

static void settle(struct fence *f);

static bool all_done(const struct fence *f)
{
    return f->round.due == 0;
}

/* What is put back, or not ours any more, is not remembered. */
static void forget(struct fence_node *n)
{
    struct state_cutover *c = fence_record(n->fence);
    struct state_node *r = state_node_find(c, n->address);

    if (r)
        state_node_remove(c, r);
}

static void all_lifted(struct fence *f)
{
    int err = f->left[0] ? -EEXIST : 0;

    if (!f->left[0] && f->was_fenced)
        log_event(f->opt.log, EVENT_FENCE_LIFTED, "writes to %s are let go again, on %zu server%s",
                  fence_whose(f), f->nnodes, f->nnodes == 1 ? "" : "s");
    if (!f->patience_over) {
        fence_answer(f, err, "%s", f->left);
        return;
    }
    fence_end_step(f);
    f->say_lifted = true;
    fence_tell(f);
}

static void name_missing(struct fence *f, char *out, size_t cap)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < f->nnodes && len < cap; i++) {
        const struct fence_node *n = f->nodes[i];
        if (n->due)
            len += (size_t)snprintf(out + len, cap - len, "%s%s (%.60s)", len ? ", " : "", n->address,
                                    n->why[0] ? n->why : "no answer");
    }
}

/* It goes on; but whoever waits need not wait with it. */
static void out_of_patience(struct fence *f)
{
    char names[400];

    f->patience_over = true;
    name_missing(f, names, sizeof(names));
    snprintf(f->why, sizeof(f->why), "%snot put back yet: %.400s%s%.500s",
             f->primary_lifted ? "the primary's writers are free; " : "", names, f->left[0] ? "; " : "",
             f->left);
    f->err = -EHOSTUNREACH;
    f->answered = true;
    fence_tell(f);
}

static void unpaused(struct fence *f)
{
    f->unpaused = true;
    settle(f);
}

/* Of one that is no primary any more, and does not answer: it ends by itself. */
static void give_pause_up(struct fence *f)
{
    fence_pause_forget(f);
    unpaused(f);
}

static void let_go(struct fence *f)
{
    if (f->unpaused)
        return;
    if (!f->pause.ending)
        fence_pause_let_go(f, unpaused);
    if (f->demoted && !f->unpaused)
        fence_wait(f, GRACE_US, give_pause_up);
}

static void on_settle(void *arg)
{
    settle(arg);
}

static bool pause_may_be_ours(struct fence *f)
{
    const struct state_cutover *c = fence_record(f);
    if (c->fence == FENCE_NONE) /* operators may pause writes themselves, instead of a fence */
        return f->pause.on;
    return f->pause.on || c->fence == FENCE_HOLD || c->stage == STAGE_PAUSING || c->stage == STAGE_FENCING ||
           c->stage == STAGE_UNDOING;
}

static void settle(struct fence *f)
{
    if (!f->primary_lifted && !f->demoted)
        return;
    if (!f->unpaused && !pause_may_be_ours(f))
        f->unpaused = true;
    if (!f->unpaused && all_done(f))
        let_go(f);
    else if (!f->unpaused && !f->on_deadline)
        fence_wait(f, GRACE_US, let_go);
    else if (f->unpaused && all_done(f))
        all_lifted(f);
    else if (f->unpaused && !f->patience_over && !f->on_deadline)
        fence_wait(f, PATIENCE_US, out_of_patience);
}

void fence_lift_node_done(struct fence_node *n)
{
    struct fence *f = n->fence;

    forget(n);
    /* If that cannot be written, the next start finds that there is nothing to put back. */
    fence_save(f);
    f->primary_lifted |= n->primary;
    loop_defer(f->loop, &f->settle_later, on_settle, f);
}

/* A server that is busy, or a right that was taken away meanwhile, says nothing of what is there: the record
 * stays, and it is tried until it can be done. */
void fence_lift_node_later(struct fence_node *n)
{
    if (strcmp(n->later, n->why) != 0)
        log_event_fields(
            n->fence->opt.log, EVENT_CUTOVER_UNDOING,
            LOG_FIELDS(LOG_TEXT(ENDPOINT, "source"), LOG_TEXT(ADDRESS, n->address), LOG_TEXT(REASON, n->why)),
            "what was fenced on %s cannot be put back yet, and is tried again: %s", n->address, n->why);
    snprintf(n->later, sizeof(n->later), "%s", n->why);
    timer_set(n->again, LATER_US);
}

void fence_demoted(struct fence *f)
{
    if (f->demoted)
        return;
    f->demoted = true;
    if (f->step == FENCE_LIFTING)
        loop_defer(f->loop, &f->settle_later, on_settle, f);
}

static void lift_node(struct fence_node *n)
{
    fence_hard_of(n->fence->kind)->lift(n);
}

static bool is_changed(const struct fence_node *n)
{
    const struct state_node *r = state_node_find(fence_record(n->fence), n->address);
    return r && r->nsettings > 0 && fence_hard_of(n->fence->kind);
}

void fence_lift_begin(struct fence *f)
{
    f->kind = fence_record(f)->fence;
    f->left[0] = '\0';
    f->primary_lifted = f->unpaused = f->patience_over = false;
    f->was_fenced = pause_may_be_ours(f) || state_settings_count(fence_record(f)) > 0;
    if (fence_nodes_from_record(f) < 0)
        fence_left_alone(f, "not all servers of the record can be connected to");
    /* A note that cannot be written is no reason to leave writers fenced. */
    if (fence_arm(f) < 0)
        f->armed = true;
    fence_round_begin(f, lift_node, is_changed, NULL, 0);
    if (f->demoted)
        loop_defer(f->loop, &f->settle_later, on_settle, f);
}
