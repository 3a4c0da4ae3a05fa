/* cutover.c - see cutover.h. The whole: the table of steps, its one setter, the operation, the status. */
#include "daemon/cutover_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/control/request.h"
#include "lib/core/clock.h"
#include "lib/core/text.h"

#define SECOND_US UINT64_C(1000000)
#define POLL_US   50000
/* SIGTERM: an undo that takes longer is taken up by the next start. */
#define END_US 800000

/* A step without a deadline has one of its own making. Those within the pause end with its bound too. */
static const struct {
    const char *name, *does;
    uint64_t deadline_us;
    void (*begin)(struct cutover *c);
    void (*poll)(struct cutover *c);
} steps[] = {
    [CUTOVER_VALIDATE] = {"validate", "looks for what stands in the way", 10 * SECOND_US, step_validate,
                          NULL},
    [CUTOVER_GATE] = {"gate", "waits until the target is close behind the source", 0, step_gate,
                      step_gate_poll},
    [CUTOVER_SOFT_FENCE] = {"soft_fence", "makes writes to the source wait", 0, step_soft_fence,
                            step_quiet_poll},
    [CUTOVER_BARRIER] = {"barrier", "waits until every change on the source is known", 60 * SECOND_US,
                         step_barrier, NULL},
    [CUTOVER_DRAIN] = {"drain", "waits until the target has every change", 60 * SECOND_US, step_drain, NULL},
    [CUTOVER_VERIFY] = {"verify", "compares what was copied last, and a sample", 60 * SECOND_US, step_verify,
                        NULL},
    [CUTOVER_HARD_FENCE] = {"hard_fence", "makes the source refuse writes", 60 * SECOND_US, step_hard_fence,
                            NULL},
    [CUTOVER_PROVE_SOURCE] = {"prove_source", "proves that nothing was written to the source meanwhile",
                              60 * SECOND_US, step_prove_source, NULL},
    [CUTOVER_PROVE_TARGET] = {"prove_target", "proves that the target has all, and ends copying",
                              60 * SECOND_US, step_prove_target, NULL},
    [CUTOVER_COMMIT] = {"commit", "writes down that the target owns the data", 0, step_commit, NULL},
    [CUTOVER_RELEASE] = {"release",
                         "ends the pause, so that what waits is refused; with the fence hold it stays",
                         10 * SECOND_US, step_release, NULL},
};
_Static_assert(ARRAY_LEN(steps) == CUTOVER_STEPS, "each step has its row");

const char *cutover_step_name(enum cutover_step s)
{
    return steps[s].name;
}

/* What the verb table says holds where nothing is given. */
static uint64_t preset(enum verb_arg_id id)
{
    const struct verb *v = &verbs[VERB_CUTOVER];
    struct request_value value = {0};
    char why[REQUEST_WHY_MAX];

    for (size_t i = 0; i < v->nargs; i++) {
        if (v->args[i].id != id || !v->args[i].preset)
            continue;
        if (request_value_parse(&v->args[i], bytes_str(v->args[i].preset), &value, why) < 0)
            return 0;
    }
    return value.number;
}

void cutover_defaults(struct cutover_options *ret)
{
    *ret = (struct cutover_options){
        .max_lag_ms = preset(ARG_MAX_LAG_MS),
        .stable_for_ms = preset(ARG_STABLE_FOR),
        .max_write_pause_ms = preset(ARG_MAX_WRITE_PAUSE),
        .gate_timeout_ms = preset(ARG_GATE_TIMEOUT),
        .fence = (enum fence_kind)preset(ARG_FENCE),
        .verify = (enum cutover_verify)preset(ARG_VERIFY),
        .verify_budget_ms = preset(ARG_VERIFY_BUDGET),
        .hold_lease_ms = preset(ARG_HOLD_LEASE),
        .quiet_for_ms = preset(ARG_QUIET_FOR),
        .sentinel_down_after_ms = preset(ARG_SENTINEL_DOWN_AFTER),
    };
}

/* What may follow each. */
#define BIT(m) (1u << (m))
static const unsigned next_modes[] = {
    [MODE_NONE] =
        BIT(MODE_STEPS) | BIT(MODE_UNDOING) | BIT(MODE_RELEASING) | BIT(MODE_FINISHED) | BIT(MODE_STUCK),
    [MODE_STEPS] = BIT(MODE_NONE) | BIT(MODE_UNDOING) | BIT(MODE_RELEASING) | BIT(MODE_STUCK),
    [MODE_UNDOING] = BIT(MODE_NONE) | BIT(MODE_TRAILING) | BIT(MODE_STUCK),
    [MODE_TRAILING] = BIT(MODE_NONE),
    [MODE_RELEASING] = BIT(MODE_COMMITTED),
    [MODE_COMMITTED] = BIT(MODE_FINISHING) | BIT(MODE_NONE),
    [MODE_FINISHING] = BIT(MODE_COMMITTED) | BIT(MODE_FINISHED) | BIT(MODE_STUCK) | BIT(MODE_NONE),
    [MODE_FINISHED] = BIT(MODE_STEPS) | BIT(MODE_FINISHING) | BIT(MODE_NONE),
    [MODE_STUCK] = BIT(MODE_FINISHING) | BIT(MODE_STEPS) | BIT(MODE_NONE),
};
_Static_assert(ARRAY_LEN(next_modes) == MODE_COUNT, "each mode has its row");

/* The only one to write c->mode. */
bool cutover_set_mode(struct cutover *c, enum cutover_mode mode)
{
    bool may = next_modes[c->mode] & BIT(mode);

    if (may)
        c->mode = mode;
    return may;
}
#undef BIT

struct state_cutover *cutover_state(struct cutover *c)
{
    return &state_of(c->file)->cutover;
}

int cutover_save(struct cutover *c)
{
    int err = state_save(c->file);
    if (err)
        log_event_fields(c->log, EVENT_STATE_FILE_ERROR, LOG_FIELDS(LOG_TEXT(FILE, state_file_path(c->file))),
                         "the state file %s cannot be written: %s", state_file_path(c->file), strerror(-err));
    return err;
}

const struct link_status *cutover_link(struct cutover *c)
{
    link_status(c->link, c->link_status);
    return c->link_status;
}

bool cutover_in(const struct cutover *c, enum cutover_step step)
{
    return (c->mode == MODE_STEPS || c->mode == MODE_RELEASING) && c->status.step == step &&
           c->status.steps[step].state == STEP_RUNNING;
}

uint64_t cutover_paused_ms(const struct cutover *c)
{
    return c->pause_began_us ? (clock_mono_us() - c->pause_began_us) / 1000 : 0;
}

void cutover_note_pause(struct cutover *c)
{
    if (!c->pause_began_us)
        return;
    c->status.has_write_pause = true;
    c->status.write_pause_ms = cutover_paused_ms(c);
}

uint64_t cutover_known_pause_ms(const struct cutover *c)
{
    return c->status.has_write_pause ? c->status.write_pause_ms : UINT64_MAX;
}

/* Steps. */

static void tell_begin(struct cutover *c)
{
    enum cutover_step step = c->status.step;

    log_event_fields(c->log, EVENT_CUTOVER_STEP,
                     LOG_FIELDS(LOG_TEXT(STEP, steps[step].name), LOG_TEXT(STEP_STATE, "begin")),
                     "cutover step %d of %d: %s: begin: it %s", (int)step + 1, CUTOVER_STEPS,
                     steps[step].name, steps[step].does);
}

static void tell_end(struct cutover *c, const char *how)
{
    enum cutover_step step = c->status.step;
    const char *text = c->status.steps[step].text;
    uint64_t took_ms = c->status.steps[step].took_us / 1000;
    char took[TEXT_MAX];

    log_event_fields(c->log, EVENT_CUTOVER_STEP,
                     LOG_FIELDS(LOG_TEXT(STEP, steps[step].name), LOG_TEXT(STEP_STATE, how),
                                LOG_TEXT(STEP_TEXT, text), LOG_NUMBER(TOOK_MS, took_ms)),
                     "cutover step %d of %d: %s: %s after %s%s%s", (int)step + 1, CUTOVER_STEPS,
                     steps[step].name, how, text_ms(took_ms, took), text[0] ? ": " : "", text);
}

static void vtext(struct cutover *c, const char *format, va_list args) PRINTF_LIKE(2, 0);
static void vtext(struct cutover *c, const char *format, va_list args)
{
    char *text = c->status.steps[c->status.step].text;
    vsnprintf(text, sizeof(c->status.steps[0].text), format, args);
}

void cutover_step_text(struct cutover *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vtext(c, format, args);
    va_end(args);
}

static void begin_step(void *arg)
{
    struct cutover *c = arg;
    enum cutover_step step = c->status.step;

    if (c->mode != MODE_STEPS && c->mode != MODE_RELEASING)
        return;
    c->step_began_us = clock_mono_us();
    c->status.steps[step].state = STEP_RUNNING;
    tell_begin(c);
    operation_text(c->ops, c->operation, "step %d of %d: %s", (int)step + 1, CUTOVER_STEPS, steps[step].name);
    if (steps[step].deadline_us)
        timer_set(c->deadline, steps[step].deadline_us);
    timer_set(c->poll, POLL_US);
    steps[step].begin(c);
}

static void end_step(struct cutover *c, enum cutover_step_state state, const char *what)
{
    enum cutover_step step = c->status.step;

    timer_clear(c->deadline);
    c->status.steps[step].state = state;
    c->status.steps[step].took_us = clock_mono_us() - c->step_began_us;
    tell_end(c, what);
}

static void next_step(struct cutover *c)
{
    if (c->status.step + 1 == CUTOVER_STEPS)
        return;
    c->status.step++;
    loop_defer(c->loop, &c->next_later, begin_step, c);
}

void cutover_done(struct cutover *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vtext(c, format, args);
    va_end(args);
    end_step(c, STEP_DONE, "done");
    next_step(c);
}

void cutover_skip(struct cutover *c, const char *why)
{
    cutover_step_text(c, "%s", why);
    end_step(c, STEP_SKIPPED, "skipped");
    next_step(c);
}

/* A step that waits for its begin fails too: what it was to do cannot be done. */
void cutover_step_failed(struct cutover *c)
{
    defer_cancel(c->loop, &c->next_later);
    if (c->status.steps[c->status.step].state == STEP_WAITING)
        c->step_began_us = clock_mono_us();
    cutover_step_text(c, "%s", c->status.failed);
    end_step(c, STEP_FAILED, "failed");
}

void cutover_fail(struct cutover *c, enum ctl_exit code, const char *format, ...)
{
    va_list args;

    if (c->mode != MODE_STEPS)
        return;
    va_start(args, format);
    vsnprintf(c->status.failed, sizeof(c->status.failed), format, args);
    va_end(args);
    cutover_step_failed(c);
    cutover_undo(c, code);
}

static void deadline_fired(void *arg)
{
    struct cutover *c = arg;
    const char *why = c->status.steps[c->status.step].text; /* what it still waited for */

    if (c->mode == MODE_UNDOING)
        cutover_undo_late(c);
    else if (c->mode == MODE_FINISHING)
        cutover_finish_late(c);
    else if (cutover_in(c, CUTOVER_RELEASE))
        cutover_watch_committed(c);
    else
        cutover_fail(c, c->status.step == CUTOVER_VALIDATE ? CTL_REFUSED : CTL_ROLLED_BACK,
                     "%s was not done in time%s%s", steps[c->status.step].name, why[0] ? ": " : "", why);
}

static void bound_fired(void *arg)
{
    struct cutover *c = arg;
    cutover_fail(c, CTL_ROLLED_BACK, "writes have waited for %" PRIu64 " ms, which is the bound",
                 c->opt.max_write_pause_ms);
}

/* So is another shape of the source: the writers of a primary that is new do not wait. */
static bool shape_changed(struct cutover *c)
{
    const char *why = c->status.step > CUTOVER_GATE ? fences_changed(c->fences) : NULL;

    if (why)
        cutover_fail(c, CTL_ROLLED_BACK, "%s", why);
    return why != NULL;
}

/* A gap in the pause is the end of it, whatever step it is in. */
static bool gap_came(struct cutover *c)
{
    struct lane_generation now;
    struct lanes *lanes = link_lanes(c->link);

    if (!lanes || !c->gaps_matter)
        return false;
    if (shape_changed(c))
        return true;
    lanes_generation(lanes, &now);
    if (now.gaps == c->gaps_before)
        return false;
    cutover_fail(c, CTL_ROLLED_BACK, "changes may have been missed: %s", cutover_link(c)->lane.last_gap);
    return true;
}

static void poll_fired(void *arg)
{
    struct cutover *c = arg;
    enum cutover_step step = c->status.step;

    if (c->mode != MODE_STEPS)
        return;
    timer_set(c->poll, POLL_US);
    if (!gap_came(c) && cutover_in(c, step) && steps[step].poll)
        steps[step].poll(c);
}

/* What it holds. */

static void lapsed(const char *why, void *arg)
{
    struct cutover *c = arg;

    if (c->mode == MODE_RELEASING && c->status.fence == FENCE_HOLD)
        c->pause_lapsed = true;

    /* No lease reaches beyond the bound: both end at once. */
    if (c->mode == MODE_STEPS && clock_mono_us() - c->pause_began_us >= c->opt.max_write_pause_ms * 1000)
        bound_fired(arg);
    cutover_fail(arg, CTL_ROLLED_BACK, "the write pause did not hold: %s", why);
}

static void lost(const char *what, uint64_t writes, void *arg)
{
    struct cutover *c = arg;

    bool known = writes != WATCH_UNKNOWN;
    char slipped[64] = "whether writes slipped in is not known";

    c->gone = true;
    c->slipped_unknown |= !known;
    c->slipped_writes += known ? writes : 0;
    if (known)
        snprintf(slipped, sizeof(slipped), "%" PRIu64 " writes slipped in", writes);
    log_event_fields(c->log, EVENT_FENCE_LOST,
                     LOG_FIELDS(LOG_TEXT(FENCE, fence_names[c->status.fence]), LOG_TEXT(REASON, what),
                                LOG_NUMBER(SLIPPED_WRITES, writes)),
                     "the old source, after the commit: %s; %s", what, slipped);
}

static void fenced_again(void *arg)
{
    struct cutover *c = arg;
    c->gone = false;
    log_event_fields(c->log, EVENT_FENCE_AGAIN, LOG_FIELDS(LOG_TEXT(FENCE, fence_names[c->status.fence])),
                     "the old source is fenced again, on every server of it");
}

static void unwatched(const char *why, void *arg)
{
    struct cutover *c = arg;
    c->unseen = why != NULL;
    if (why)
        log_event_fields(c->log, EVENT_SOURCE_UNWATCHED, LOG_FIELDS(LOG_TEXT(REASON, why)),
                         "the old source cannot be looked at: %s", why);
    else
        log_event(c->log, EVENT_SOURCE_WATCHED, "the old source can be looked at again");
}

int cutover_make_fence(struct cutover *c)
{
    static const struct fence_events events = {.lapsed = lapsed,
                                               .lost = lost,
                                               .again = fenced_again,
                                               .unwatched = unwatched,
                                               .lifted = cutover_lifted_late};
    const struct fences_options opt = {.source = link_endpoint(c->link, LANE_SOURCE),
                                       .topology = link_topology(c->link, LANE_SOURCE),
                                       .state = c->file,
                                       .log = c->log};

    defer_cancel(c->loop, &c->free_later);
    c->fences = fences_free(c->fences);
    c->spot = spot_free(c->spot);
    return fences_new(c->loop, &opt, &events, c, &c->fences);
}

static void free_parts(void *arg)
{
    struct cutover *c = arg;

    c->spot = spot_free(c->spot);
    if (c->mode == MODE_NONE || c->mode == MODE_FINISHED)
        c->fences = fences_free(c->fences);
}

void cutover_free_parts(struct cutover *c)
{
    loop_defer(c->loop, &c->free_later, free_parts, c);
}

void cutover_let_go(struct cutover *c)
{
    defer_cancel(c->loop, &c->next_later);
    timer_clear(c->deadline);
    timer_clear(c->bound);
    timer_clear(c->poll);
    cutover_drop_drains(c);
    cutover_stop_verify(c);
    free(c->dbs);
    c->dbs = NULL;
    c->ndbs = c->gathered = 0;
    c->gathering = false;
    if (c->spot)
        spot_close(c->spot);
}

/* The verbs. */

static int no_return(struct cutover *c, char why[LINK_WHY_MAX], const char *wish)
{
    char when[CLOCK_RFC3339_MAX];

    return link_refuse(why, -EPERM, "the point of no return has passed at %s: the target owns the data%s",
                       clock_rfc3339(cutover_state(c)->committed_ms, when), wish);
}

static int check_mode(struct cutover *c, char why[LINK_WHY_MAX])
{
    switch (c->mode) {
    case MODE_STEPS:
        return link_refuse(why, -EBUSY, "a cutover is under way, in step %s", steps[c->status.step].name);
    case MODE_UNDOING:
        return link_refuse(why, -EBUSY, "a cutover is being undone");
    case MODE_TRAILING:
        return link_refuse(
            why, -EBUSY,
            "the last cutover is not undone everywhere yet: %.200s. If that server is gone for good: riotctl "
            "finish --unfence --force",
            c->left);
    case MODE_RELEASING:
    case MODE_COMMITTED:
    case MODE_FINISHING:
    case MODE_FINISHED:
        if (cutover_state(c)->committed_ms)
            return no_return(c, why, "");
        return 0; /* `start --anew` forgot it */
    default:
        return 0;
    }
}

/* The greatest that makes sense, so that no sum of them overflows. */
#define LONGEST_MS  (UINT64_C(24) * 3600 * 1000)
#define SHORTEST_MS 100

static int check_options(const struct cutover_options *opt, char why[LINK_WHY_MAX])
{
    const struct {
        const char *name;
        uint64_t ms, least;
    } times[] = {
        {"--max-lag-ms", opt->max_lag_ms, 0},
        {"--stable-for", opt->stable_for_ms, 0},
        {"--max-write-pause", opt->max_write_pause_ms, SHORTEST_MS},
        {"--gate-timeout", opt->gate_timeout_ms, SHORTEST_MS},
        {"--verify-budget", opt->verify_budget_ms, 0},
        {"--hold-lease", opt->hold_lease_ms, 10 * SHORTEST_MS},
        {"--quiet-for", opt->quiet_for_ms, SHORTEST_MS},
        {"--sentinel-down-after", opt->sentinel_down_after_ms, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        if (times[i].ms < times[i].least || times[i].ms > LONGEST_MS)
            return link_refuse(why, -EINVAL, "%s is to be from %" PRIu64 " ms to a day", times[i].name,
                               times[i].least);
    if (opt->stable_for_ms >= opt->gate_timeout_ms)
        return link_refuse(why, -EINVAL, "--stable-for is to be shorter than --gate-timeout");
    if (opt->verify_budget_ms >= opt->max_write_pause_ms)
        return link_refuse(why, -EINVAL, "--verify-budget is to be shorter than --max-write-pause");
    return 0;
}

static void reset(struct cutover *c, const struct cutover_options *opt)
{
    memset(&c->status, 0, sizeof(c->status));
    c->base.known = false;
    c->status.any = true;
    c->status.dry_run = opt->dry_run;
    c->status.began_ms = clock_wall_ms();
    c->opt = *opt;
    c->verifying = c->verified = c->gathering = c->fenced = false;
    c->drained = c->quiet_asked = c->gaps_matter = c->recovering = false;
    c->draining = c->settling = false;
    c->stable_since_us = c->pause_began_us = c->quiet_since_us = 0;
    c->spot_runs = c->seal_tries = 0;
    c->slipped_writes = 0;
    c->left[0] = '\0';
    c->unseen = c->gone = false;
    c->slipped_unknown = c->left_alone = c->pause_lapsed = false;
    c->release_tries = 0;
    c->forgotten = c->outcome_unknown = false;
}

static void tell_started(struct cutover *c)
{
    char bound[TEXT_MAX];

    if (c->opt.dry_run)
        log_event(c->log, EVENT_CUTOVER_STARTED,
                  "a cutover is only looked at (--dry-run): nothing is changed");
    else
        log_event(c->log, EVENT_CUTOVER_STARTED, "a cutover begins: writes will wait, for at most %s",
                  text_ms(c->opt.max_write_pause_ms, bound));
}

int cutover_start(struct cutover *c, const struct cutover_options *opt, char why[LINK_WHY_MAX],
                  uint64_t *ret_operation)
{
    int err = check_mode(c, why);
    if (!err)
        err = check_options(opt, why);
    if (err)
        return err;
    if (operation_begin(c->ops, verbs[VERB_CUTOVER].name, &c->operation) < 0)
        return link_refuse(why, -EBUSY, OPERATIONS_BUSY);
    if (!cutover_set_mode(c, MODE_STEPS)) {
        operation_end(c->ops, c->operation, "refused", CTL_REFUSED, "another cutover has not ended");
        c->operation = 0;
        return link_refuse(why, -EBUSY, "another cutover has not ended");
    }
    reset(c, opt);
    tell_started(c);
    loop_defer(c->loop, &c->next_later, begin_step, c);
    *ret_operation = c->operation;
    return 0;
}

void cutover_on_seal(struct cutover *c, void (*fn)(void *arg), void *arg)
{
    c->on_seal = fn;
    c->on_seal_arg = arg;
}

bool cutover_is_sealed(const struct cutover *c)
{
    return c->mode == MODE_RELEASING || (c->mode == MODE_STEPS && c->status.step >= CUTOVER_PROVE_TARGET);
}

int cutover_allows_start(const struct cutover *c, char why[LINK_WHY_MAX])
{
    if (c->mode == MODE_FINISHING)
        return link_refuse(why, -EBUSY, "the old source is being let go of: wait for the end of finish");
    if (c->mode == MODE_RELEASING)
        return link_refuse(why, -EBUSY, "a cutover is about to end: try again in a moment");
    return 0;
}

int cutover_abort(struct cutover *c, char why[LINK_WHY_MAX])
{
    if (c->mode == MODE_UNDOING)
        return 0;
    if (c->mode == MODE_STUCK)
        return link_refuse(why, -EPERM, "%s", c->status.failed);
    if (c->mode != MODE_STEPS) {
        int err = check_mode(c, why);
        return err ? err : link_refuse(why, -EPERM, "no cutover is under way");
    }
    cutover_fail(c, CTL_ROLLED_BACK, "it was aborted");
    return 0;
}

void cutover_ended(struct cutover *c)
{
    void (*fn)(void *arg) = c->ended;

    timer_clear(c->end_timer);
    c->ended = NULL;
    if (fn)
        fn(c->ended_arg);
}

static void again_fired(void *arg)
{
    cutover_lift_again(arg);
}

static void end_fired(void *arg)
{
    cutover_ended(arg);
}

bool cutover_end(struct cutover *c, void (*fn)(void *arg), void *arg)
{
    if (c->mode == MODE_STEPS)
        cutover_fail(c, CTL_ROLLED_BACK, "riotd was asked to end");
    if (c->mode != MODE_UNDOING && c->mode != MODE_RELEASING && c->mode != MODE_FINISHING)
        return false;
    c->ended = fn;
    c->ended_arg = arg;
    timer_set(c->end_timer, END_US);
    return true;
}

void cutover_lane_gone(struct cutover *c)
{
    c->draining = c->settling = false; /* forgotten with it */
    cutover_fail(c, CTL_ROLLED_BACK, "the replication has ended");
}

void cutover_link_changed(struct cutover *c)
{
    enum link_state state = link_state(c->link);

    if (state == LINK_FAILED)
        cutover_fail(c, CTL_ROLLED_BACK, "the link has failed: %s", cutover_link(c)->reason);
    else if (c->mode == MODE_STEPS && gap_came(c))
        return;
    if (state != LINK_CONNECTING ||
        (c->mode != MODE_COMMITTED && c->mode != MODE_FINISHED && c->mode != MODE_STUCK))
        return;
    /* `start --anew`: it is another link from here on. */
    cutover_set_mode(c, MODE_NONE);
    c->outcome_unknown = false;
    memset(&c->status, 0, sizeof(c->status));
    cutover_free_parts(c);
}

/* Telling of it. */

static size_t add(char *out, size_t cap, size_t at, const char *format, ...) PRINTF_LIKE(4, 5);
static size_t add(char *out, size_t cap, size_t at, const char *format, ...)
{
    va_list args;

    if (at >= cap)
        return at;
    va_start(args, format);
    int n = vsnprintf(out + at, cap - at, format, args);
    va_end(args);
    return n < 0 ? at : at + (size_t)n;
}

void cutover_describe_fence(struct cutover *c, char *out, size_t cap)
{
    const struct state_cutover *s = cutover_state(c);
    size_t at = 0;

    out[0] = '\0';
    if (s->fence == FENCE_HOLD && (s->stage == STAGE_FENCING || s->stage == STAGE_COMMITTED))
        at = add(out, cap, at, "writes to the source are paused");
    for (size_t i = 0; i < s->nnodes; i++) {
        const struct state_node *node = &s->nodes[i];
        if (!node->nsettings)
            continue;
        at = add(out, cap, at, "%s%s on %s:", at ? "; " : "", s->fence == FENCE_ACL ? "users" : "settings",
                 node->address);
        for (size_t j = 0; j < node->nsettings; j++)
            at = add(out, cap, at, "%s %s", j ? "," : "", node->settings[j].name);
    }
    if (!at && (s->stage == STAGE_PAUSING || s->stage == STAGE_UNDOING))
        add(out, cap, at, "writes to the source wait, until a lease of %" PRIu64 " ms is over", s->lease_ms);
    else if (at >= cap)
        text_cut(out, cap);
}

static bool is_held(struct cutover *c)
{
    if (c->mode == MODE_COMMITTED)
        return c->fences && fences_is_held(c->fences) && !c->unseen;
    if (c->mode == MODE_RELEASING)
        return true;
    return c->mode == MODE_STEPS && c->status.steps[CUTOVER_HARD_FENCE].state == STEP_DONE;
}

void cutover_status(struct cutover *c, struct cutover_status *ret)
{
    const struct state_cutover *s = cutover_state(c);
    bool committed = s->stage == STAGE_COMMITTED || s->stage == STAGE_FINISHED;

    *ret = c->status;
    ret->running = c->mode == MODE_STEPS || c->mode == MODE_UNDOING || c->mode == MODE_RELEASING;
    ret->undoing = c->mode == MODE_UNDOING;
    if ((c->mode == MODE_STEPS || c->mode == MODE_UNDOING) && c->pause_began_us) {
        ret->has_write_pause = true;
        ret->write_pause_ms = cutover_paused_ms(c);
    }
    if (ret->steps[ret->step].state == STEP_RUNNING)
        ret->steps[ret->step].took_us = clock_mono_us() - c->step_began_us;
    ret->unknown = c->outcome_unknown;
    ret->committed_ms = c->outcome_unknown ? 0 : s->committed_ms;
    ret->finished_ms = s->finished_ms;
    ret->fence_held = is_held(c);
    cutover_describe_fence(c, ret->fence_text, sizeof(ret->fence_text));
    if (committed && !c->outcome_unknown)
        snprintf(ret->target, sizeof(ret->target), "%s", link_endpoint(c->link, LANE_TARGET)->url.text);
}

/* Making it. */

int cutover_new(struct loop *loop, const struct config *config, struct link *link, struct verification *v,
                struct operations *ops, struct state_file *state, struct log *log, struct cutover **ret)
{
    struct cutover *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->loop = loop;
    c->config = config;
    c->link = link;
    c->verification = v;
    c->ops = ops;
    c->file = state;
    c->log = log;
    c->link_status = calloc(1, sizeof(*c->link_status));
    c->report = calloc(1, sizeof(*c->report));
    int err = c->link_status && c->report ? timer_new(loop, deadline_fired, c, &c->deadline) : -ENOMEM;
    if (!err)
        err = timer_new(loop, bound_fired, c, &c->bound);
    if (!err)
        err = timer_new(loop, poll_fired, c, &c->poll);
    if (!err)
        err = timer_new(loop, again_fired, c, &c->again);
    if (!err)
        err = timer_new(loop, end_fired, c, &c->end_timer);
    if (err) {
        cutover_free(c);
        return err;
    }
    *ret = c;
    return 0;
}

struct cutover *cutover_free(struct cutover *c)
{
    if (!c)
        return NULL;
    defer_cancel(c->loop, &c->next_later);
    defer_cancel(c->loop, &c->undo_later);
    defer_cancel(c->loop, &c->free_later);
    spot_free(c->spot);
    fences_free(c->fences);
    timer_free(c->deadline);
    timer_free(c->bound);
    timer_free(c->poll);
    timer_free(c->again);
    timer_free(c->end_timer);
    free(c->dbs);
    free(c->base.shards);
    free(c->link_status);
    free(c->report);
    free(c);
    return NULL;
}
