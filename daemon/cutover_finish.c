/* cutover_finish.c - after the commit: the old source is let go of. */
#include "daemon/cutover_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/clock.h"

#define PUT_BACK_US UINT64_C(5000000)
#define LIFT_US     UINT64_C(30000000)

/* It is as before: committed and watched, or failed. */
static void PRINTF_LIKE(4, 5)
    give_up(struct cutover *c, const char *result, enum ctl_exit code, const char *format, ...)
{
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    timer_clear(c->deadline);
    if (c->mode_before == MODE_STUCK && cutover_state(c)->stage == STAGE_UNDOING)
        cutover_state(c)->stage = c->stage_before;
    cutover_set_mode(c, c->mode_before);
    if (c->mode == MODE_COMMITTED && c->fences)
        fences_watch(c->fences, true);
    log_event_fields(c->log, EVENT_FINISH_FAILED, LOG_FIELDS(LOG_TEXT(REASON, text)),
                     "the old source could not be let go of: %s", text);
    operation_end(c->ops, c->operation, result, code, "%s", text);
    c->operation = 0;
    cutover_ended(c);
}

/* It was to stay fenced, and nobody can tell that it is. */
static bool is_in_doubt(const struct cutover *c)
{
    bool stays = !c->unfence && (c->status.fence == FENCE_ACL || c->status.fence == FENCE_MIN_REPLICAS);
    return stays && (c->unseen || c->gone);
}

/* A hold has ended by now, and without a fence there was never anything that kept writers away. */
static const char *source_now(const struct cutover *c)
{
    if (c->status.fence == FENCE_NONE)
        return "was never fenced";
    if (is_in_doubt(c))
        return "does not answer, or takes writes: it is not known to be fenced";
    return c->unfence || c->status.fence == FENCE_HOLD ? "takes writes again" : "stays fenced";
}

static void slipped_text(const struct cutover *c, char *out, size_t cap)
{
    out[0] = '\0';
    if (c->slipped_writes)
        snprintf(out, cap, "; %" PRIu64 " writes slipped in on the old source since the commit",
                 c->slipped_writes);
    else if (c->slipped_unknown)
        snprintf(out, cap, "; whether writes slipped in on the old source is not known");
}

static void end_finished(struct cutover *c)
{
    char slipped[120];
    bool slipped_in = c->status.fence == FENCE_HOLD && (c->slipped_writes || c->slipped_unknown);
    uint64_t id = c->operation;

    timer_clear(c->deadline);
    slipped_text(c, slipped, sizeof(slipped));
    c->operation = 0;
    log_event_fields(
        c->log, EVENT_FINISHED,
        LOG_FIELDS(LOG_TEXT(FENCE, fence_names[c->status.fence]),
                   LOG_NUMBER(SLIPPED_WRITES, c->slipped_unknown ? UINT64_MAX : c->slipped_writes)),
        "riotd has let go of the old source, which %s%s", source_now(c), slipped);
    if (c->forgotten)
        operation_end(c->ops, id, "forgotten", CTL_NEEDS_PERSON, "%.300s", c->left);
    else if (c->left_alone || slipped_in || is_in_doubt(c))
        operation_end(c->ops, id, "needs_person", CTL_NEEDS_PERSON, "finished; the old source %s%s%s%.200s",
                      source_now(c), slipped, c->left_alone ? "; left as it is: " : "",
                      c->left_alone ? c->left : "");
    else
        operation_end(c->ops, id, "ok", CTL_OK, "finished; the old source %s%s", source_now(c), slipped);
    cutover_free_parts(c);
    cutover_ended(c);
}

/* Whether it was committed is not known: what is asked for is that the source takes writes again. */
static void forget(struct cutover *c)
{
    state_cutover_clear(cutover_state(c));
    if (cutover_save(c) < 0) {
        give_up(c, "failed", CTL_FAILED,
                "nothing is fenced any more, but the state file %s cannot be written",
                state_file_path(c->file));
        return;
    }
    c->outcome_unknown = false;
    cutover_set_mode(c, MODE_NONE);
    end_finished(c);
}

static void write_down(struct cutover *c)
{
    struct state_cutover *s = cutover_state(c), before = *s;
    char now[128];

    if (c->mode_before == MODE_STUCK) {
        forget(c);
        return;
    }
    s->stage = STAGE_FINISHED;
    s->finished_ms = clock_wall_ms();
    s->unfenced = c->unfence;
    if (c->unfence) { /* taken out, so that they can be put back */
        s->nodes = NULL;
        s->nnodes = 0;
    }
    if (cutover_save(c) < 0) {
        *s = before;
        give_up(c, "failed", CTL_FAILED, "the state file %s cannot be written", state_file_path(c->file));
        return;
    }
    if (c->unfence)
        state_nodes_clear(&before);
    cutover_set_mode(c, MODE_FINISHED);
    snprintf(now, sizeof(now), "the old source %s", source_now(c));
    link_finished(c->link, now);
    end_finished(c);
}

/* What was let go is not on record any more: the rest is what stays. */
static void give_up_fenced(struct cutover *c, const char *why)
{
    char fenced[160];

    cutover_describe_fence(c, fenced, sizeof(fenced));
    if (fenced[0])
        give_up(c, "failed", CTL_FAILED,
                "still fenced: %s; %.90s. What is not named takes writes again. Once that server is back: "
                "riotctl finish --unfence",
                fenced, why);
    else
        give_up(c, "failed", CTL_FAILED,
                "the old source is still fenced; riotctl finish --unfence tries again: %s", why);
}

/* It would go on until every node has answered. */
static void stop_lifting(struct cutover *c, const char *why)
{
    char text[300]; /* why is the fences', which are made anew */

    snprintf(text, sizeof(text), "%s", why);
    timer_clear(c->deadline);
    if (c->mode_before == MODE_STUCK && c->force) {
        cutover_name_forgotten(c);
        forget(c);
    } else if (cutover_make_fence(c) < 0)
        give_up(c, "failed", CTL_FAILED, "out of memory");
    else
        give_up_fenced(c, text);
}

void cutover_finish_late(struct cutover *c)
{
    stop_lifting(c, "it does not answer");
}

static void unfenced(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (c->mode != MODE_FINISHING)
        return;
    if (err && err != -EEXIST) {
        stop_lifting(c, why);
        return;
    }
    c->left_alone = err != 0;
    if (err)
        snprintf(c->left, sizeof(c->left), "%s", why);
    write_down(c);
}

static void unfence(struct cutover *c)
{
    timer_set(c->deadline, LIFT_US);
    /* Else a crash in the middle of it would be taken for one after the commit, and all be fenced again. */
    if (c->mode_before == MODE_STUCK)
        cutover_state(c)->stage = STAGE_UNDOING;
    if (c->unfence)
        fences_lift(c->fences, unfenced, c);
    else
        write_down(c);
}

static void flags_put_back(bool put_back, void *arg)
{
    struct cutover *c = arg;

    if (c->mode != MODE_FINISHING)
        return;
    if (put_back)
        unfence(c);
    else
        give_up(
            c, "failed", CTL_FAILED,
            "what riotd changed on the old source (notify-keyspace-events) could not be put back: try again "
            "when it answers, or leave it with --force");
}

static void put_back(struct cutover *c)
{
    int err =
        c->force || c->mode_before == MODE_STUCK ? 0 : link_put_back(c->link, PUT_BACK_US, flags_put_back, c);

    if (c->force || c->mode_before == MODE_STUCK)
        unfence(c);
    else if (err)
        give_up(c, "failed", CTL_FAILED, "what riotd changed on the old source cannot be put back: %s",
                strerror(-err));
}

static void hold_ended(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (c->mode != MODE_FINISHING)
        return;
    if (err == -EBUSY)
        give_up(c, "refused", CTL_REFUSED, "%s. They are to be stopped first; or: riotctl finish --force",
                why);
    else if (err)
        give_up(c, "failed", CTL_FAILED, "%s", why);
    else
        put_back(c);
}

/* The pause is what holds the writers: it ends before anything else. */
static void finish_begin(void *arg)
{
    struct cutover *c = arg;

    if (c->mode != MODE_FINISHING)
        return;
    if (c->status.fence == FENCE_HOLD && c->mode_before == MODE_COMMITTED)
        fences_end_hold(c->fences, c->force, hold_ended, c);
    else
        put_back(c);
}

/* A server that is gone for good keeps an undo from its end: a person may let it be. Not while the cutover's
 * own caller still waits for it. */
static bool is_to_abandon(const struct cutover *c, bool unfence_too, bool force)
{
    return unfence_too && force && ((c->mode == MODE_UNDOING && !c->operation) || c->mode == MODE_TRAILING);
}

static int may_finish(struct cutover *c, bool unfence_too, char why[LINK_WHY_MAX])
{
    switch (c->mode) {
    case MODE_COMMITTED:
        return 0;
    case MODE_STUCK:
        return unfence_too
                   ? 0
                   : link_refuse(why, -EPERM,
                                 "whether the target owns the data is not known: finish --unfence lets the "
                                 "source take writes again");
    case MODE_FINISHING:
        return link_refuse(why, -EBUSY, "it is being finished already");
    case MODE_FINISHED:
        if (unfence_too && cutover_state(c)->nnodes && !cutover_state(c)->unfenced)
            return 0;
        return link_refuse(why, -EPERM, "the link is finished%s",
                           unfence_too ? ", and nothing is fenced by it" : "");
    case MODE_NONE:
        return link_refuse(why, -EPERM, "there was no cutover: finish works once the link is committed");
    case MODE_UNDOING:
    case MODE_TRAILING:
        return link_refuse(why, -EBUSY, "what a cutover has fenced is still being put back%s",
                           c->operation
                               ? ""
                               : "; if its server is gone for good: riotctl finish --unfence --force "
                                 "forgets it, and names what may still be fenced");
    case MODE_RELEASING:
        return link_refuse(why, -EBUSY, "the cutover is in its last step: ask again in a moment");
    default:
        return link_refuse(why, -EBUSY, "a cutover is under way");
    }
}

int cutover_finish(struct cutover *c, bool unfence_too, bool force, char why[LINK_WHY_MAX],
                   uint64_t *ret_operation)
{
    bool abandon = is_to_abandon(c, unfence_too, force);
    int err = abandon ? 0 : may_finish(c, unfence_too, why);
    if (err)
        return err;
    if (!c->fences && cutover_make_fence(c) < 0)
        return link_refuse(why, -EBUSY, "out of memory");
    if (operation_begin(c->ops, verbs[VERB_FINISH].name, &c->operation) < 0)
        return link_refuse(why, -EBUSY, OPERATIONS_BUSY);
    *ret_operation = c->operation;
    if (abandon) {
        cutover_abandon(c);
        return 0;
    }
    c->mode_before = c->mode;
    c->stage_before = cutover_state(c)->stage;
    c->unfence = unfence_too;
    c->force = force;
    c->left_alone = c->forgotten = false;
    cutover_set_mode(c, MODE_FINISHING);
    fences_watch(c->fences, false);
    loop_defer(c->loop, &c->next_later, finish_begin, c);
    return 0;
}
