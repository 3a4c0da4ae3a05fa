/* verify.c - see verify.h. The passes over both sides, and the life of the whole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/redis/refusal.h"
#include "lib/verify/verify_impl.h"

#define TICK_US      25000
#define HOLD_US      200000 /* after a key was lost */
#define METER_US     1000000
#define MEMORY_MIN   MIB
#define SEEN_MEMORY  (3 * MIB) /* what VERIFY_EXACT_MAX keys need, while the set grows */
#define REFUSALS_MAX 10        /* of SCAN, a second apart */
#define DIRTY_WAITS  300       /* of 100 ms: then the key is called unstable */
#define REPAIR_US    5000000

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
    v->pass = pass_free(v->pass);
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
    bool doubt = v->r.unstable || v->r.unknown || chose_nothing(v);

    verify_finish(v,
                  v->drifted ? VERIFY_DRIFT
                  : doubt    ? VERIFY_INCONCLUSIVE
                             : VERIFY_CLEAN,
                  chose_nothing(v) ? "no key was chosen: nothing was compared" : "");
    v->r.percent = 100;
    v->r.eta_ms = 0;
    v->r.pending = 0;
}

/* Passes. */

static int db_on_source(const struct verify *v, int db)
{
    return v->phase == PHASE_TARGET && v->opt.compare.into_db != URL_DB_NONE && v->opt.ndbs ? v->dbs[0] : db;
}

static void on_names(void *arg)
{
    struct verify *v = arg;
    v->refusals = 0;
    verify_pump_soon(v);
}

static void on_long_name(int db, struct bytes prefix, uint64_t length, void *arg)
{
    char why[80];
    struct verify *v = arg;

    snprintf(why, sizeof(why), "a name of %llu bytes", (unsigned long long)length);
    report_unknown(v, db_on_source(v, db), prefix, why);
}

static void on_refused(const char *error, void *arg)
{
    struct verify *v = arg;
    char reason[160];
    const char *side = v->phase == PHASE_SOURCE ? "source" : "target";

    if (!error) {
        verify_finish(v, VERIFY_INCONCLUSIVE, "out of memory");
        return;
    }
    if (refusal_is_passing(bytes_str(error)) || ++v->refusals < REFUSALS_MAX)
        return;
    snprintf(reason, sizeof(reason), "the %s refuses SCAN: %.120s", side, error);
    verify_finish(v, v->drifted ? VERIFY_DRIFT : VERIFY_INCONCLUSIVE, reason);
}

static uint64_t chosen(uint64_t sample, uint64_t keys)
{
    double part = keys ? (double)sample / (double)keys : 1;
    return !sample || part >= 1 ? UINT64_MAX : (uint64_t)(part * 0x1p64);
}

static int begin_pass(struct verify *v)
{
    static const struct pass_events events = {
        .names = on_names, .long_name = on_long_name, .refused = on_refused};
    bool source = v->phase == PHASE_SOURCE, into = !source && v->opt.compare.into_db != URL_DB_NONE;
    const struct pass_options opt = {
        .endpoint = source ? v->opt.compare.source : v->opt.compare.target,
        .role = v->role,
        .run_id = v->opt.compare.run_id[source ? 0 : 1],
        .match = v->match,
        .dbs = into ? &v->target_db : v->dbs,
        .ndbs = into ? MIN(v->opt.ndbs, (size_t)1) : v->opt.ndbs,
        .count = v->opt.scan_count,
        .seed = v->seed,
        .chosen = chosen(v->opt.sample, source ? v->opt.keys : v->opt.target_keys),
    };
    return pass_new(v->loop, &opt, &events, v, &v->pass);
}

/* The present one is over, and what it told was read. */
static void end_pass(struct verify *v)
{
    int side = v->phase == PHASE_TARGET;

    v->visited[side] = pass_visited(v->pass);
    *(side ? &v->r.target_scanned : &v->r.scanned) = pass_taken(v->pass);
    v->pass = pass_free(v->pass);
    v->phase = v->phase == PHASE_SOURCE && !v->opt.merge ? PHASE_TARGET : PHASE_OVER;
    if (v->phase == PHASE_TARGET && begin_pass(v) < 0)
        verify_finish(v, VERIFY_INCONCLUSIVE, "out of memory");
}

static bool has_room(const struct verify *v, size_t name_len)
{
    size_t used = suspects_bytes(v->suspects) + v->reserved;
    return !used || used + suspect_cost(name_len) <= v->room;
}

static int ask(struct verify *v, int db, struct bytes name)
{
    if (v->phase == PHASE_SOURCE)
        return comparer_compare(v->comparer, db, name, false, 0);
    return comparer_exists(v->comparer, db_on_source(v, db), name, 0);
}

static void send_names(struct verify *v)
{
    struct bytes name;
    int db;
    uint64_t now = loop_now_us(v->loop);

    while (v->pass && pass_first(v->pass, &db, &name) && has_room(v, name.len) && rate_ready(&v->rate, now)) {
        if (ask(v, db, name) < 0)
            return;
        rate_take(&v->rate, 1);
        v->reading++;
        v->reserved += suspect_cost(name.len);
        pass_shift(v->pass);
    }
}

static void pump(void *arg)
{
    struct verify *v = arg;

    if (!is_running(v) || !comparer_is_up(v->comparer) || loop_now_us(v->loop) < v->hold_us)
        return;
    recheck_send(v);
    send_names(v);
    comparer_flush(v->comparer);
    if (v->pass && !v->reading && pass_is_over(v->pass))
        end_pass(v);
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

/* A database of the target's is kept as the target's. */
static void name_lost(struct verify *v, int db, struct bytes key)
{
    bool into = v->phase == PHASE_TARGET && v->opt.compare.into_db != URL_DB_NONE;

    read_one(v, key);
    if (pass_put_back(v->pass, into ? v->target_db : db, key) < 0)
        verify_finish(v, VERIFY_INCONCLUSIVE, "out of memory");
}

static void on_lost(int db, struct bytes key, uint64_t tag, void *arg)
{
    struct verify *v = arg;

    if (!is_running(v))
        return;
    v->hold_us = loop_now_us(v->loop) + HOLD_US;
    if (tag)
        recheck_lost(v, (struct suspect *)(uintptr_t)tag);
    else
        name_lost(v, db, key);
}

static void on_up(void *arg)
{
    struct verify *v = arg;
    v->down[0][0] = v->down[1][0] = '\0';
    verify_pump_soon(v);
}

static void on_down(int side, const char *why, void *arg)
{
    struct verify *v = arg;
    snprintf(v->down[side], sizeof(v->down[side]), "%s", why);
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
    return err ? err : begin_pass(v);
}

static void begin_report(struct verify *v)
{
    v->r.began_ms = clock_wall_ms();
    v->r.repair = v->opt.repair;
    v->r.keys = v->opt.keys;
    v->r.target_keys = v->opt.merge ? 0 : v->opt.target_keys;
    v->r.sampled = chosen(v->opt.sample, v->opt.keys) != UINT64_MAX ||
                   chosen(v->opt.sample, v->opt.target_keys) != UINT64_MAX;
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
    comparer_free(v->comparer);
    suspects_free(v->suspects);
    seen_free(v->seen);
    free(v->dbs);
    free(v->match);
    free(v);
    return NULL;
}

void verify_stop(struct verify *v)
{
    verify_finish(v, VERIFY_STOPPED, "it was stopped");
}

void verify_approve(struct verify *v, int side, const char *run_id)
{
    snprintf(v->opt.compare.run_id[side], sizeof(v->opt.compare.run_id[side]), "%s", run_id);
    if (!is_running(v))
        return;
    comparer_approve(v->comparer, side, run_id);
    if (v->pass && side == (v->phase == PHASE_TARGET))
        pass_approve(v->pass, run_id);
}
