/* cutover_undo.c - the way back: what was fenced is let go, the target is written to again, and the link goes
 * on. Also after a restart, from the state file. */
#include "daemon/cutover_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/clock.h"

#define LATE_US        10000000 /* an undo that is not done by then is told of, and goes on */
#define AGAIN_US       200000
#define LEASE_EXTRA_MS 500
#define RELEASE_US     10000000

static const char *where_writes_go(const struct cutover *c)
{
    if (c->exit_code == CTL_REFUSED)
        return "nothing was changed";
    return c->fenced ? "everything is as it was before, the link goes on"
                     : "nothing was fenced, the link goes on";
}

static void end_operation(struct cutover *c)
{
    uint64_t id = c->operation;

    c->operation = 0;
    if (c->forgotten)
        operation_end(c->ops, id, "forgotten", CTL_NEEDS_PERSON, "%.300s", c->left);
    else if (c->exit_code == CTL_OK)
        operation_end(c->ops, id, "ok", CTL_OK, "it could begin; nothing was changed");
    else if (c->left_alone)
        operation_end(c->ops, id, "needs_person", CTL_NEEDS_PERSON,
                      "undone: %.100s; but not all is as it was: %.200s", c->status.failed, c->left);
    else
        operation_end(c->ops, id, c->exit_code == CTL_REFUSED ? "refused" : "undone", c->exit_code,
                      "%.220s; %s", c->status.failed, where_writes_go(c));
}

static void tell_undone(struct cutover *c)
{
    const struct log_field *fields =
        LOG_FIELDS(LOG_TEXT(REASON, c->status.failed), LOG_NUMBER(WRITE_PAUSE_MS, cutover_known_pause_ms(c)));

    if (c->left_alone)
        log_event_fields(c->log, EVENT_CUTOVER_NEEDS_PERSON, fields,
                         "the cutover was undone: %s; but not all is as it was: %s", c->status.failed,
                         c->left);
    else if (c->exit_code == CTL_REFUSED)
        log_event_fields(c->log, EVENT_CUTOVER_REFUSED, fields,
                         "the cutover was refused: %s; nothing was changed", c->status.failed);
    else if (c->exit_code != CTL_OK)
        log_event_fields(c->log, EVENT_CUTOVER_UNDONE, fields, "the cutover was undone: %s; %s",
                         c->status.failed, where_writes_go(c));
}

/* The record goes last: until then a restart would do all this again. */
static void clear_record(struct cutover *c)
{
    state_cutover_clear(cutover_state(c));
    if (cutover_save(c) < 0)
        return; /* what the file tells of is not there any more: the next start finds nothing to do */
}

/* Writers are free, and whoever asked is told. */
static void go_on(struct cutover *c, enum cutover_mode mode)
{
    bool recovering = c->recovering;

    timer_clear(c->deadline);
    cutover_note_pause(c);
    c->pause_began_us = 0;
    tell_undone(c);
    cutover_set_mode(c, mode);
    if (!recovering)
        link_cutover_undone(c->link, c->exit_code == CTL_OK        ? "the cutover was only looked at"
                                     : c->exit_code == CTL_REFUSED ? "the cutover was refused"
                                                                   : "the cutover was undone");
    else if (!c->ended)
        link_begin(c->link);
    end_operation(c);
    cutover_ended(c);
}

static void undone(struct cutover *c)
{
    if (c->fenced)
        clear_record(c);
    go_on(c, MODE_NONE);
    cutover_free_parts(c);
}

static void lifted(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (c->mode != MODE_UNDOING)
        return;
    if (err && err != -EEXIST && err != -EHOSTUNREACH) {
        operation_text(c->ops, c->operation, "is being undone: %.250s", why);
        timer_set(c->again, AGAIN_US);
        return;
    }
    if (err) {
        c->left_alone = true;
        snprintf(c->left, sizeof(c->left), "%s", why);
    }
    if (err == -EHOSTUNREACH)
        go_on(c, MODE_TRAILING);
    else
        undone(c);
}

void cutover_lifted_late(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (c->mode != MODE_TRAILING)
        return;
    clear_record(c);
    cutover_set_mode(c, MODE_NONE);
    if (err)
        log_event_fields(
            c->log, EVENT_CUTOVER_NEEDS_PERSON, LOG_FIELDS(LOG_TEXT(REASON, c->status.failed)),
            "the cutover is undone, but what somebody else has changed since is left as it is: %s", why);
    else
        log_event_at(c->log, EVENT_CUTOVER_UNDONE, SINK_NOTICE,
                     LOG_FIELDS(LOG_TEXT(REASON, c->status.failed)),
                     "the cutover is undone everywhere by now: what was fenced is as it was before");
    cutover_free_parts(c);
}

static void lift(struct cutover *c)
{
    fences_lift(c->fences, lifted, c);
}

void cutover_lift_again(struct cutover *c)
{
    if (c->mode == MODE_UNDOING)
        lift(c);
}

static void tell_late(struct cutover *c)
{
    char fenced[240];

    cutover_describe_fence(c, fenced, sizeof(fenced));
    log_event(c->log, EVENT_CUTOVER_NEEDS_PERSON,
              "the cutover cannot be undone yet, which is tried on: %s. If that server is gone for good: "
              "riotctl finish --unfence --force",
              fenced);
    operation_end(c->ops, c->operation, "needs_person", CTL_NEEDS_PERSON,
                  "%.80s; what was fenced could not be let go yet, and is tried on: %.110s. If its server is "
                  "gone for good: riotctl finish --unfence --force",
                  c->status.failed, fenced);
    c->operation = 0;
}

/* A lease ends by itself, though nobody answers; the rest does not. That of a hold is long. */
void cutover_undo_late(struct cutover *c)
{
    uint64_t now_us = loop_now_us(c->loop);

    if (c->only_paused && now_us >= c->lease_ends_us) {
        undone(c);
        return;
    }
    tell_late(c);
    if (c->only_paused)
        timer_set(c->deadline, c->lease_ends_us - now_us);
}

/* As many to a line as fit. */
static void name_node(struct cutover *c, const struct state_node *node, const char *what)
{
    char text[400] = "";
    size_t at = 0;

    for (size_t i = 0; i < node->nsettings; i++) {
        const struct state_setting *s = &node->settings[i];
        bool is_value = cutover_state(c)->fence != FENCE_ACL; /* a user's line has hashes of passwords */
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.100s%s%.60s%s", at ? ", " : "", s->name,
                               is_value ? " (was " : "", is_value ? s->before : "", is_value ? ")" : "");
        if (at < sizeof(text) - 200 && i + 1 < node->nsettings)
            continue;
        log_event(c->log, EVENT_CUTOVER_NEEDS_PERSON, "forgotten, and perhaps still fenced: %s on %s: %s",
                  what, node->address, text);
        at = 0;
    }
}

void cutover_name_forgotten(struct cutover *c)
{
    const struct state_cutover *s = cutover_state(c);
    char fenced[240];

    c->forgotten = c->left_alone = true;
    cutover_describe_fence(c, fenced, sizeof(fenced));
    snprintf(c->left, sizeof(c->left), "forgotten, and perhaps still fenced, see the journal for all: %s",
             fenced);
    log_event(c->log, EVENT_CUTOVER_NEEDS_PERSON, "%s", c->left);
    for (size_t i = 0; i < s->nnodes; i++)
        name_node(c, &s->nodes[i], s->fence == FENCE_ACL ? "the right to write of users" : "settings");
}

static void abandon_begin(void *arg)
{
    struct cutover *c = arg;

    if (c->mode == MODE_UNDOING) {
        cutover_name_forgotten(c);
        c->fences = fences_free(c->fences);
        undone(c);
    } else if (c->mode == MODE_TRAILING) {
        cutover_name_forgotten(c);
        clear_record(c);
        cutover_set_mode(c, MODE_NONE);
        end_operation(c);
        cutover_free_parts(c);
    } else if (c->operation) {
        operation_end(c->ops, c->operation, "ok", CTL_OK, "what was fenced was put back meanwhile");
        c->operation = 0;
    }
}

void cutover_abandon(struct cutover *c)
{
    loop_defer(c->loop, &c->undo_later, abandon_begin, c);
}

static void begin_lifting(struct cutover *c)
{
    struct state_cutover *s = cutover_state(c);
    uint64_t lease_us = (s->lease_ms + LEASE_EXTRA_MS) * 1000;

    log_event_fields(c->log, EVENT_CUTOVER_UNDOING, LOG_FIELDS(LOG_TEXT(REASON, c->status.failed)),
                     "the cutover is being undone: %s", c->status.failed);
    /* Originals are written down before they are changed: without any, nothing but a pause can be in force.
     */
    c->only_paused = state_settings_count(s) == 0;
    c->lease_ends_us = loop_now_us(c->loop) + lease_us; /* as the timer counts, or it comes before it */
    timer_set(c->deadline, c->only_paused ? MIN(lease_us, (uint64_t)LATE_US) : LATE_US);
    s->stage = STAGE_UNDOING;
    if (cutover_save(c) < 0)
        operation_text(c->ops, c->operation, "is being undone, though the state file cannot be written");
    lift(c);
}

static void undo_begin(void *arg)
{
    struct cutover *c = arg;
    struct lanes *lanes = link_lanes(c->link);

    if (lanes && c->status.step >= CUTOVER_PROVE_TARGET)
        lanes_unseal(lanes);
    if (!c->fenced) {
        undone(c);
        return;
    }
    begin_lifting(c);
}

/* Whoever found out is on the stack. */
void cutover_undo(struct cutover *c, enum ctl_exit code)
{
    c->exit_code = code;
    cutover_let_go(c);
    cutover_set_mode(c, MODE_UNDOING);
    loop_defer(c->loop, &c->undo_later, undo_begin, c);
}

/* After a restart. */

static void recover_status(struct cutover *c, enum cutover_step last)
{
    const struct state_cutover *s = cutover_state(c);

    memset(&c->status, 0, sizeof(c->status));
    c->status.any = true;
    c->status.step = last;
    c->status.began_ms = s->began_ms;
    c->status.fence = s->fence;
    c->status.has_fence = true;
    c->status.has_write_pause = s->committed_ms && s->fence != FENCE_NONE;
    c->status.write_pause_ms = s->write_pause_ms;
    for (int i = 0; i < CUTOVER_STEPS && s->committed_ms; i++)
        c->status.steps[i].state = STEP_DONE;
}

static void recover_undo(struct cutover *c)
{
    struct state_cutover *s = cutover_state(c);

    recover_status(c, s->stage == STAGE_PAUSING ? CUTOVER_SOFT_FENCE : CUTOVER_HARD_FENCE);
    c->status.steps[c->status.step].state = STEP_FAILED;
    snprintf(c->status.failed, sizeof(c->status.failed), "riotd ended in the middle of a cutover");
    c->recovering = c->fenced = true;
    c->exit_code = CTL_ROLLED_BACK;
    cutover_set_mode(c, MODE_UNDOING);
    link_begin_after_cutover(c->link, true, "a cutover is being undone");
    begin_lifting(c);
}

static void recover_committed(struct cutover *c)
{
    recover_status(c, CUTOVER_RELEASE);
    c->status.steps[CUTOVER_RELEASE].state = STEP_RUNNING;
    c->step_began_us = clock_mono_us();
    cutover_set_mode(c, MODE_RELEASING);
    timer_set(c->deadline, RELEASE_US);
    link_begin_after_cutover(c->link, false, "the target owns the data");
    step_release_again(c);
}

bool cutover_begin(struct cutover *c)
{
    enum cutover_stage stage = cutover_state(c)->stage;

    if (stage == STAGE_NONE)
        return false;
    if (stage == STAGE_FINISHED) {
        recover_status(c, CUTOVER_RELEASE);
        cutover_set_mode(c, MODE_FINISHED);
        link_begin_after_cutover(c->link, false, "finished");
        return true;
    }
    if (cutover_make_fence(c) < 0) {
        snprintf(c->status.failed, sizeof(c->status.failed),
                 "out of memory: what a cutover has fenced stays so");
        cutover_set_mode(c, MODE_STUCK);
        log_event(c->log, EVENT_CUTOVER_NEEDS_PERSON, "%s", c->status.failed);
        link_cutover_failed(c->link, c->status.failed);
        return true;
    }
    if (stage == STAGE_COMMITTED)
        recover_committed(c);
    else
        recover_undo(c);
    return true;
}
