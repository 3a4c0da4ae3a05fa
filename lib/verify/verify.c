/* verify.c - see verify.h. Its life, and what the comparer answers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/verify/verify_impl.h"

#define TICK_US     25000
#define METER_US    1000000
#define MEMORY_MIN  MIB
#define SEEN_MEMORY (3 * MIB) /* what VERIFY_EXACT_MAX keys need, while the set grows */
#define DIRTY_WAITS 300       /* of 100 ms: then the key is called unstable */
#define SURVEYS_MAX 60        /* a second apart, with slots that are being moved */
#define REPAIR_US   5000000

static void pump(void *arg);
static void tick(void *arg);

static bool is_running(const struct verify *v)
{
    return v->r.verdict == VERIFY_RUNNING;
}

void verify_pump_soon(struct verify *v)
{
    if (is_running(v))
        loop_defer(v->loop, &v->pump_later, pump, v);
}

/* The end. */

static void free_work(struct verify *v)
{
    timer_clear(v->tick);
    defer_cancel(v->loop, &v->pump_later);
    recheck_end(v);
    passes_end(v);
    v->comparer = comparer_free(v->comparer);
}

static void on_finish(void *arg)
{
    struct verify *v = arg;

    free_work(v);
    v->ev.done(v->arg);
}

static void keep_progress(struct verify *v)
{
    struct verify_report now;

    verify_read(v, &now);
    v->r = now;
}

void verify_finish(struct verify *v, enum verify_verdict verdict, const char *reason)
{
    if (!is_running(v))
        return;
    keep_progress(v);
    report_end(v, verdict, reason);
    loop_defer(v->loop, &v->finish_later, on_finish, v);
}

/* A pattern or a sample that chose no key has shown nothing. */
static bool chose_nothing(const struct verify *v)
{
    return (v->opt.match || v->opt.sample) && !v->r.compared && (v->opt.keys || v->opt.target_keys);
}

static void finish_by_itself(struct verify *v)
{
    bool doubt = v->r.unstable || v->r.unknown || v->unseen || chose_nothing(v);

    verify_finish(v,
                  v->drifted ? VERIFY_DRIFT
                  : doubt    ? VERIFY_INCONCLUSIVE
                             : VERIFY_CLEAN,
                  chose_nothing(v) ? "no key was chosen: nothing was compared" : "");
    v->r.percent = 100;
    v->r.eta_ms = 0;
    v->r.pending = 0;
}

static void pump(void *arg)
{
    struct verify *v = arg;

    if (!is_running(v))
        return;
    if (comparer_is_up(v->comparer)) {
        recheck_send(v);
        passes_send(v);
        comparer_flush(v->comparer);
    }
    passes_go_on(v);
    if (v->phase == PHASE_OVER && suspects_count(v->suspects) == 0)
        finish_by_itself(v);
}

/* Answers. */

static void read_one(struct verify *v, struct bytes key)
{
    v->reading--;
    v->reserved -= suspect_cost(key.len);
}

static void name_compared(struct verify *v, int db, struct bytes key, enum compare_verdict verdict)
{
    read_one(v, key);
    if (verdict != COMPARE_EQUAL && verdict != COMPARE_GONE)
        recheck_add(v, db, key);
    else if (v->phase == PHASE_SOURCE)
        v->r.compared++;
    if (verdict == COMPARE_EQUAL && v->phase == PHASE_SOURCE && v->tally)
        tally_count(v->tally, db, key);
}

static void on_result(int db, struct bytes key, uint64_t tag, const struct compare_result *r, void *arg)
{
    struct verify *v = arg;

    if (!is_running(v))
        return;
    if (tag)
        recheck_looked(v, (struct suspect *)(uintptr_t)tag, r);
    else
        name_compared(v, db, key, r->verdict);
    verify_pump_soon(v);
}

static void on_lost(int db, struct bytes key, uint64_t tag, enum compare_loss why, void *arg)
{
    struct verify *v = arg;

    if (!is_running(v))
        return;
    if (tag) {
        recheck_lost(v, (struct suspect *)(uintptr_t)tag, why);
        return;
    }
    read_one(v, key);
    recheck_add_lost(v, db, key, why);
}

static void on_up(void *arg)
{
    verify_pump_soon(arg);
}

static void on_down(int side, const char *why, void *arg)
{
    (void)side, (void)why, (void)arg; /* asked for when it is to be told */
}

static void on_room(void *arg)
{
    verify_pump_soon(arg);
}

static void tick(void *arg)
{
    struct verify *v = arg;
    uint64_t now = loop_now_us(v->loop);

    timer_set(v->tick, TICK_US);
    if (now - v->metered_us >= METER_US) {
        v->metered_us = now;
        meter_feed(&v->meter, report_visited(v), now);
    }
    recheck_tick(v, now);
    verify_pump_soon(v);
}

/* What the owner calls. */

static int copy_options(struct verify *v, const struct verify_options *opt)
{
    v->opt = *opt;
    snprintf(v->role, sizeof(v->role), "%s", opt->compare.role);
    v->opt.compare.role = v->role;
    v->target_db = opt->compare.into_db;
    v->dbs = malloc(MAX(opt->ndbs, (size_t)1) * sizeof(*v->dbs));
    v->match = opt->match ? strdup(opt->match) : NULL;
    if (!v->dbs || (opt->match && !v->match))
        return -ENOMEM;
    if (opt->ndbs)
        memcpy(v->dbs, opt->dbs, opt->ndbs * sizeof(*v->dbs));
    v->opt.dbs = v->dbs;
    v->opt.match = v->match;
    v->opt.rounds = MAX(opt->rounds ? opt->rounds : VERIFY_ROUNDS_DEFAULT, 2u);
    v->opt.scan_count = opt->scan_count ? opt->scan_count : 1000;
    v->opt.memory = MAX(opt->memory, MEMORY_MIN);
    return 0;
}

static int make_parts(struct verify *v)
{
    static const struct compare_events events = {
        .up = on_up, .down = on_down, .result = on_result, .lost = on_lost, .room = on_room};
    size_t for_seen = MIN(SEEN_MEMORY, v->opt.memory / 4 * 3);

    v->room = v->opt.memory - for_seen;
    int err = seen_new(v->seed, for_seen, VERIFY_EXACT_MAX, &v->seen);
    if (!err)
        err = suspects_new(v->seed, &v->suspects);
    if (!err)
        err = timer_new(v->loop, tick, v, &v->tick);
    if (!err)
        err = comparer_new(v->loop, &v->opt.compare, &events, v, &v->comparer);
    return err ? err : passes_begin(v);
}

static void begin_report(struct verify *v)
{
    v->r.began_ms = clock_wall_ms();
    v->r.repair = v->opt.repair;
    v->r.keys = v->opt.keys;
    v->r.target_keys = v->opt.merge ? 0 : v->opt.target_keys;
    v->r.sampled = passes_are_sampled(v);
    v->r.eta_ms = -1;
}

int verify_new(struct loop *l, const struct verify_options *opt, const struct verify_events *ev, void *arg,
               struct verify **ret)
{
    struct verify *v = calloc(1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    v->loop = l;
    v->ev = *ev;
    v->arg = arg;
    v->seed = hash_seed_random();
    v->dirty_waits_max = DIRTY_WAITS;
    v->surveys_max = SURVEYS_MAX;
    v->repair_us = REPAIR_US;
    v->metered_us = loop_now_us(l);
    rate_init(&v->rate, opt->keys_per_s, v->metered_us);
    meter_init(&v->meter, 0, v->metered_us);
    int err = copy_options(v, opt);
    if (!err)
        err = make_parts(v);
    if (err) {
        verify_free(v);
        return err;
    }
    begin_report(v);
    timer_set(v->tick, 0);
    *ret = v;
    return 0;
}

struct verify *verify_free(struct verify *v)
{
    if (!v)
        return NULL;
    if (v->tick)
        free_work(v);
    defer_cancel(v->loop, &v->finish_later);
    timer_free(v->tick);
    suspects_free(v->suspects);
    seen_free(v->seen);
    tally_free(v->tally);
    free(v->dbs);
    free(v->match);
    free(v);
    return NULL;
}

void verify_stop(struct verify *v)
{
    verify_finish(v, VERIFY_STOPPED, "it was stopped");
}

void verify_approve(struct verify *v, int side, const char *address, const char *run_id)
{
    if (!is_running(v))
        return;
    comparer_approve(v->comparer, side, address, run_id);
    passes_approve(v, side, address, run_id);
}
