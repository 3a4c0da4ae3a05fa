#include "daemon/fence_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_US 1000000
#define ROUND_US  (5 * SECOND_US) /* for each node to answer, while writers wait */

uint64_t fence_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

struct state_cutover *fence_record(struct fence *f)
{
    return &state_of(f->opt.state)->cutover;
}

int fence_save(struct fence *f)
{
    int err = state_save(f->opt.state);
    if (err < 0)
        log_event_fields(
            f->opt.log, EVENT_STATE_FILE_ERROR, LOG_FIELDS(LOG_TEXT(FILE, state_file_path(f->opt.state))),
            "the state file %s cannot be written: %s", state_file_path(f->opt.state), strerror(-err));
    return err;
}

const char *fence_whose(const struct fence *f)
{
    return f->opt.shard ? fence_address(f) : "the source";
}

const struct fence_hard *fence_hard_of(enum fence_kind k)
{
    if (k == FENCE_ACL)
        return &fence_acl;
    return k == FENCE_MIN_REPLICAS ? &fence_min_replicas : NULL;
}

void fence_left_alone(struct fence *f, const char *format, ...)
{
    char text[FENCE_WHY_MAX + 320];
    size_t len = strlen(f->left);
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (strstr(f->left, text)) /* what is tried again finds it again */
        return;
    log_event(f->opt.log, EVENT_FENCE_LEFT_ALONE, "%s", text);
    snprintf(f->left + len, sizeof(f->left) - len, "%s%s", len ? "; " : "", text);
}

/* Telling. Everything that the owner hears comes from here. */

static void release(struct fence *f)
{
    fence_pause_end(f);
    fence_watch_end(f);
    f->deadline = timer_free(f->deadline);
    free(f->told);
    free(f->nodes);
    free(f);
}

static void tell_answer(struct fence *f)
{
    fence_fn *fn = f->fn;
    char why[FENCE_TEXT_MAX];

    f->answered = false;
    f->fn = NULL;
    memcpy(why, f->why, sizeof(why));
    if (fn)
        fn(f->err, why, f->fn_arg);
}

static void tell_read(struct fence *f)
{
    fence_fn *fn = f->read_fn;

    f->read_answered = false;
    f->read_fn = NULL;
    if (fn)
        fn(f->read_err, f->read_why, f->read_arg);
}

static bool take(bool *flag)
{
    bool was = *flag;
    *flag = false;
    return was;
}

static void tell(void *arg)
{
    struct fence *f = arg;

    f->busy++;
    if (take(&f->say_lapsed) && f->ev.lapsed)
        f->ev.lapsed(f->lapsed_why, f->arg);
    if (!f->freed && take(&f->say_unwatched) && f->ev.unwatched)
        f->ev.unwatched(f->unwatched_why, f->arg);
    if (!f->freed && take(&f->say_watched) && f->ev.unwatched)
        f->ev.unwatched(NULL, f->arg);
    if (!f->freed && take(&f->say_lost) && f->ev.lost)
        f->ev.lost(f->lost_what, f->lost_writes, f->arg);
    if (!f->freed && take(&f->say_again) && f->ev.again)
        f->ev.again(f->arg);
    if (!f->freed && take(&f->say_empty) && f->ev.hold_empty)
        f->ev.hold_empty(f->arg);
    if (!f->freed && f->read_answered)
        tell_read(f);
    if (!f->freed && f->answered)
        tell_answer(f);
    if (!f->freed && take(&f->say_lifted) && f->ev.lifted)
        f->ev.lifted(f->left[0] ? -EEXIST : 0, f->left, f->arg);
    if (--f->busy == 0 && f->freed)
        release(f);
}

void fence_tell(struct fence *f)
{
    loop_defer(f->loop, &f->tell_later, tell, f);
}

/* Steps. */

void fence_end_step(struct fence *f)
{
    f->step = FENCE_IDLE;
    fence_wait(f, 0, NULL);
}

void fence_begin(struct fence *f, enum fence_step step, fence_fn *fn, void *arg)
{
    f->step = step;
    f->fn = fn;
    f->fn_arg = arg;
    f->answered = false;
}

void fence_answer(struct fence *f, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->why, sizeof(f->why), format, args);
    va_end(args);
    f->err = err;
    f->answered = true;
    fence_end_step(f);
    fence_tell(f);
}

static void on_deadline(void *arg)
{
    struct fence *f = arg;
    void (*fn)(struct fence *f) = f->on_deadline;

    f->on_deadline = NULL;
    if (fn)
        fn(f);
}

void fence_wait(struct fence *f, uint64_t us, void (*fn)(struct fence *f))
{
    f->on_deadline = fn;
    if (fn)
        timer_set(f->deadline, us);
    else
        timer_clear(f->deadline);
}

/* Rounds. */

static void on_round(void *arg)
{
    struct fence *f = arg;
    void (*done)(struct fence *f) = f->round.done;

    f->round.done = NULL;
    if (!f->round.retry)
        fence_wait(f, 0, NULL);
    if (done)
        done(f);
}

/* The nodes that have not answered in time are done, without one. */
static void round_is_late(struct fence *f)
{
    for (size_t i = 0; i < f->nnodes; i++) {
        struct fence_node *n = f->nodes[i];
        const char *why = conn_why(n->conn);
        if (n->due && n->ready)
            conn_reset(n->conn, "no answer in time");
        if (n->due)
            fence_node_done(n, -EHOSTUNREACH, "%s", n->ready || !why[0] ? "no answer in time" : why);
    }
}

void fence_round_begin(struct fence *f, fence_node_fn *begin, bool (*concerns)(const struct fence_node *n),
                       void (*done)(struct fence *f), uint64_t within_us)
{
    f->round = (struct fence_round){.begin = begin, .done = done, .retry = within_us == 0, .due = f->nnodes};
    fence_wait(f, within_us, within_us ? round_is_late : NULL);
    for (size_t i = 0; i < f->nnodes; i++) {
        f->nodes[i]->due = true;
        f->nodes[i]->err = 0;
        f->nodes[i]->why[0] = '\0';
    }
    for (size_t i = 0; i < f->nnodes; i++) {
        if (concerns && !concerns(f->nodes[i]))
            fence_node_done(f->nodes[i], 0, "%s", "");
        else if (f->nodes[i]->ready)
            begin(f->nodes[i]);
    }
}

void fence_round_end(struct fence *f)
{
    f->round = (struct fence_round){.due = 0};
    defer_cancel(f->loop, &f->round_later);
    for (size_t i = 0; i < f->nnodes; i++) {
        struct fence_node *n = f->nodes[i];
        if (n->due && n->ready)
            conn_reset(n->conn, "another step was asked for");
        n->due = false;
    }
}

void fence_node_done(struct fence_node *n, int err, const char *format, ...)
{
    struct fence *f = n->fence;
    va_list args;

    if (!n->due)
        return;
    va_start(args, format);
    vsnprintf(n->why, sizeof(n->why), format, args);
    va_end(args);
    if (f->step == FENCE_LIFTING && err < 0) {
        fence_lift_node_later(n);
        return;
    }
    n->due = false;
    n->err = err;
    if (f->step == FENCE_LIFTING)
        fence_lift_node_done(n);
    if (fence_is_watching(f)) {
        fence_watch_node_done(n);
        return;
    }
    if (--f->round.due == 0)
        loop_defer(f->loop, &f->round_later, on_round, f);
}

const struct fence_node *fence_failed_node(const struct fence *f)
{
    for (size_t i = 0; i < f->nnodes; i++) {
        if (f->nodes[i]->err < 0)
            return f->nodes[i];
    }
    return NULL;
}

/* Readings of INFO, of the primary. */

static void sampled(struct fence *f, const char *unreadable)
{
    void (*fn)(struct fence *f, const char *unreadable) = f->sampled;

    f->sampled = NULL;
    if (fn)
        fn(f, unreadable);
}

static void read_is_over(struct fence *f, int err, const char *why)
{
    f->read_seq = 0;
    f->read_answered = true;
    f->read_err = err;
    snprintf(f->read_why, sizeof(f->read_why), "%s", why);
    fence_tell(f);
}

static void on_sample(struct watch *w, const struct watch_sample *s, void *arg)
{
    struct fence *f = arg;
    (void)w;

    if (f->sampled && s->seq >= f->wanted_seq)
        sampled(f, NULL);
    if (f->read_seq && s->seq >= f->read_seq)
        read_is_over(f, 0, "");
    fence_watch_sample(f, s);
}

static void on_unreadable(struct watch *w, const char *why, void *arg)
{
    struct fence *f = arg;
    (void)w;

    if (f->sampled)
        sampled(f, why);
    if (f->read_seq)
        read_is_over(f, -EIO, why);
}

static int need_watch(struct fence *f)
{
    static const struct watch_events events = {.sample = on_sample, .unreadable = on_unreadable};

    return f->watch ? 0 : watch_new(f->loop, f->opt.source, "fence_info", false, &events, f, &f->watch);
}

void fence_want_sample(struct fence *f, void (*fn)(struct fence *f, const char *unreadable))
{
    f->sampled = fn;
    if (need_watch(f) == 0)
        f->wanted_seq = watch_read(f->watch);
}

const struct watch_sample *fence_sample(const struct fence *f)
{
    return f->watch ? watch_last(f->watch) : NULL;
}

void fence_read(struct fence *f, fence_fn *fn, void *arg)
{
    f->read_fn = fn;
    f->read_arg = arg;
    if (need_watch(f) == 0)
        f->read_seq = watch_read(f->watch);
    else
        read_is_over(f, -ENOMEM, "memory is out");
}

/* Life. */

int fence_new(struct loop *l, const struct fence_options *opt, const struct fence_events *ev, void *arg,
              struct fence **ret)
{
    struct fence *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->loop = l;
    f->opt = *opt;
    f->ev = *ev;
    f->arg = arg;
    f->told = calloc(FENCE_NODES_MAX, sizeof(*f->told));
    int err = f->told ? timer_new(l, on_deadline, f, &f->deadline) : -ENOMEM;
    if (err == 0)
        err = fence_pause_init(f);
    if (err == 0)
        err = fence_watch_init(f);
    if (err == 0)
        err = fence_primary_new(f);
    if (err < 0) {
        release(f);
        return err;
    }
    *ret = f;
    return 0;
}

struct fence *fence_free(struct fence *f)
{
    if (!f || f->freed)
        return NULL;
    f->freed = true;
    fence_nodes_free(f);
    f->watch = watch_free(f->watch);
    defer_cancel(f->loop, &f->round_later);
    defer_cancel(f->loop, &f->settle_later);
    defer_cancel(f->loop, &f->tell_later);
    timer_clear(f->deadline);
    fence_pause_end(f);
    fence_watch_end(f);
    if (f->busy == 0)
        release(f);
    return NULL;
}

void fence_probe(struct fence *f, fence_fn *fn, void *arg)
{
    fence_begin(f, FENCE_PROBING, fn, arg);
    fence_probe_begin(f);
}

void fence_report(const struct fence *f, struct fence_report *ret)
{
    *ret = f->report;
}

/* The soft fence. */

static void paused(struct fence *f, int err, const char *why)
{
    if (err == 0)
        log_event(f->opt.log, EVENT_FENCE_PAUSED, "writes to %s wait from now on", fence_whose(f));
    fence_answer(f, err, "%s", why);
}

void fence_pause(struct fence *f, uint64_t lease_ms, uint64_t bound_ms, fence_fn *fn, void *arg)
{
    fence_begin(f, FENCE_PAUSING, fn, arg);
    if (fence_arm(f) < 0)
        fence_answer(f, -EIO, "the state file cannot be written");
    else
        fence_pause_ask(f, lease_ms * 1000, bound_ms * 1000, paused);
}

static void unpaused(struct fence *f)
{
    fence_answer(f, 0, "%s", "");
}

void fence_unpause(struct fence *f, fence_fn *fn, void *arg)
{
    fence_begin(f, FENCE_UNPAUSING, fn, arg);
    fence_pause_let_go(f, unpaused);
}

/* The hard fence: what is there is written down, durably; then it is changed; then what was read back is
 * written down too. */

static bool round_failed(struct fence *f, const char *doing)
{
    const struct fence_node *n = fence_failed_node(f);
    if (n)
        fence_answer(f, n->err, "%s: %s: %s", n->address, doing, n->why);
    return n != NULL;
}

static void set_done(struct fence *f)
{
    if (round_failed(f, "it cannot be fenced"))
        return;
    if (fence_save(f) < 0) {
        fence_answer(f, -EIO, "the state file cannot be written");
        return;
    }
    log_event_fields(f->opt.log, EVENT_FENCE_SET, LOG_FIELDS(LOG_TEXT(FENCE, fence_names[f->kind])),
                     "writes to %s are refused from now on, by the fence %s, on %zu server%s", fence_whose(f),
                     fence_names[f->kind], f->nnodes, f->nnodes == 1 ? "" : "s");
    fence_answer(f, 0, "%s", "");
}

static void originals_read(struct fence *f)
{
    if (round_failed(f, "what is set now cannot be read"))
        return;
    int err = fence_save(f);
    if (err < 0)
        fence_answer(f, err, "what is set now cannot be written down: %s", strerror(-err));
    else
        fence_round_begin(f, fence_hard_of(f->kind)->set, NULL, set_done, ROUND_US);
}

static int make_record(struct fence *f, enum fence_kind kind)
{
    struct state_node *node;

    fence_record(f)->fence = kind;
    for (size_t i = 0; i < f->nnodes; i++) {
        int err = fence_record_node(f->nodes[i], f->nodes[i]->id.run_id, &node);
        if (err < 0)
            return err;
    }
    return 0;
}

int fence_note(struct fence *f)
{
    struct state_node *node;
    return fence_record_node(fence_primary(f), fence_primary(f)->id.run_id, &node);
}

/* One that was fenced before, and not taken back. */
static const struct state_node *former_node(struct fence *f)
{
    const struct state_cutover *c = fence_record(f);

    for (size_t i = 0; i < c->nnodes; i++) {
        if (c->nodes[i].shard == f->opt.shard && c->nodes[i].nsettings)
            return &c->nodes[i];
    }
    return NULL;
}

/* Hold. */

void fence_hold_lease(struct fence *f, uint64_t lease_ms)
{
    f->hold_lease_ms = lease_ms;
}

static void held(struct fence *f, int err, const char *why)
{
    fence_answer(f, err, "%s", why);
}

/* What holds the writers back over the commit is in force before it. */
static void set_hold(struct fence *f)
{
    if (!fence_is_paused(f)) {
        fence_answer(f, -ETIMEDOUT, "the pause of the source's writes did not hold");
        return;
    }
    fence_record(f)->lease_ms = f->hold_lease_ms;
    if (fence_save(f) < 0)
        fence_answer(f, -EIO, "the state file cannot be written");
    else
        fence_pause_ask(f, f->hold_lease_ms * 1000, 0, held);
}

void fence_set(struct fence *f, enum fence_kind kind, fence_fn *fn, void *arg)
{
    fence_begin(f, FENCE_SETTING, fn, arg);
    f->kind = kind == FENCE_AUTO ? f->report.chosen : kind;
    const struct state_node *former = former_node(f);
    if (former)
        fence_answer(f, -EBUSY, "an earlier fence has not been taken back on %s", former->address);
    else if (f->report.nnodes == 0)
        fence_answer(f, -EINVAL, "the source has not been probed");
    else if (make_record(f, f->kind) < 0)
        fence_answer(f, -ENOMEM, "memory is out");
    else if (fence_arm(f) < 0)
        fence_answer(f, -EIO, "the state file cannot be written");
    else if (f->kind == FENCE_HOLD && f->hold_lease_ms)
        set_hold(f);
    else if (!fence_hard_of(f->kind))
        fence_answer(f, 0, "%s", "");
    else
        fence_round_begin(f, fence_hard_of(f->kind)->read, NULL, originals_read, ROUND_US);
}

void fence_prove(struct fence *f, fence_fn *fn, void *arg)
{
    fence_begin(f, FENCE_PROVING, fn, arg);
    fence_prove_begin(f);
}

/* What was under way ends here; what it sent is dead before anything is put back. */
void fence_lift(struct fence *f, fence_fn *fn, void *arg)
{
    f->sampled = NULL;
    f->read_fn = NULL;
    f->read_seq = 0;
    f->read_answered = f->say_lapsed = f->say_empty = false;
    fence_watch(f, false);
    fence_wait(f, 0, NULL);
    fence_pause_forget(f);
    fence_round_end(f);
    defer_cancel(f->loop, &f->settle_later);
    fence_begin(f, FENCE_LIFTING, fn, arg);
    fence_lift_begin(f);
}

/* After the commit. */

void fence_release(struct fence *f, uint64_t hold_lease_ms, fence_fn *fn, void *arg)
{
    fence_begin(f, FENCE_RELEASING, fn, arg);
    if (fence_record(f)->fence != FENCE_HOLD)
        fence_pause_let_go(f, unpaused);
    else if (fence_arm(f) < 0)
        fence_answer(f, -EIO, "the state file cannot be written");
    else
        fence_pause_ask(f, hold_lease_ms * 1000, 0, held);
}

void fence_end_hold(struct fence *f, bool force, fence_fn *fn, void *arg)
{
    fence_begin(f, FENCE_ENDING_HOLD, fn, arg);
    fence_end_hold_begin(f, force);
}
