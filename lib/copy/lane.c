/* lane.c - see lane.h. The whole: making and ending it, the servers it may talk to, conditions, status. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/lane_impl.h"
#include "lib/core/clock.h"

#define TICK_US            1000000
#define DOWN_AFTER_US      300000  /* a connection that is back sooner is no condition */
#define PART_DOWN_AFTER_US 1500000 /* the same of one beside the watch: back-off and all */
#define LOOK_AGAIN_US      5000000
#define SILENT_US          1500000   /* longer than two heartbeats apart */
#define FIXED_MEMORY       (4 * MIB) /* of limits.memory: connections' buffers; the rest is the dirty set's */
#define RECENT_MEMORY      (256 * KIB)

/* What may follow each. */
#define BIT(p) (1u << (p))
static const unsigned next_phases[] = {
    [LANE_CONNECTING] = BIT(LANE_SCAN),
    [LANE_SCAN] = BIT(LANE_SWEEP) | BIT(LANE_SETTLING) | BIT(LANE_GAP),
    [LANE_SWEEP] = BIT(LANE_SETTLING) | BIT(LANE_GAP),
    [LANE_SETTLING] = BIT(LANE_LIVE) | BIT(LANE_DONE) | BIT(LANE_GAP),
    [LANE_LIVE] = BIT(LANE_GAP),
    [LANE_DONE] = BIT(LANE_GAP),
    [LANE_GAP] = BIT(LANE_SCAN),
};

static const char *const condition_codes[] = {
    [LANE_SOURCE_DOWN] = "source_down",
    [LANE_TARGET_DOWN] = "target_down",
    [LANE_SOURCE_SILENT] = "source_silent",
    [LANE_TARGET_SILENT] = "target_silent",
    [LANE_SOURCE_LOADING] = "source_loading",
    [LANE_TARGET_LOADING] = "target_loading",
    [LANE_SOURCE_REFUSES] = "source_refuses",
    [LANE_TARGET_REFUSES] = "target_refuses",
    [LANE_OVERRUN] = "overrun",
    [LANE_FEED_UNPROVEN] = "feed_unproven",
};
_Static_assert(ARRAY_LEN(condition_codes) == LANE_CONDITIONS, "each condition has its code");

const char *lane_condition_code(enum lane_condition c)
{
    return condition_codes[c];
}

void lane_set_phase(struct lane *l, enum lane_phase phase)
{
    if (l->phase == phase || !(next_phases[l->phase] & BIT(phase)))
        return;
    l->phase = phase;
    l->ev.phase(l, phase, l->arg);
}

/* Said when it begins and when it ends; its text may change in between without a word. */
void lane_condition(struct lane *l, enum lane_condition c, const char *format, ...)
{
    struct lane_problem *one = &l->conditions[c];

    if (!format) {
        if (one->on) {
            one->on = false;
            l->ev.condition(l, c, NULL, l->arg);
        }
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(one->text, sizeof(one->text), format, args);
    va_end(args);
    if (!one->on) {
        one->on = true;
        one->since_ms = clock_wall_ms();
        l->ev.condition(l, c, one->text, l->arg);
    }
}

void lane_refused(struct lane *l, enum lane_side side, const char *format, ...)
{
    char text[sizeof(l->conditions[0].text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    l->refusing[side].last_us = loop_now_us(l->loop);
    lane_condition(l, side == LANE_SOURCE ? LANE_SOURCE_REFUSES : LANE_TARGET_REFUSES, "%s", text);
}

/* Whom the lane talks to. */

void lane_conns(struct lane *l, struct lane_conn ret[LANE_CONNS])
{
    ret[0] = (struct lane_conn){LANE_SOURCE, "reading", reader_conn(l->reader)};
    ret[1] = (struct lane_conn){LANE_SOURCE, "SCAN", scanner_conn(l->scanner)};
    ret[2] = (struct lane_conn){LANE_SOURCE, "EXISTS", sweep_source_conn(l->sweep)};
    ret[3] = (struct lane_conn){LANE_SOURCE, "XINFO", streams_conn(l->streams)};
    ret[4] = (struct lane_conn){LANE_TARGET, "writing", writer_conn(l->writer)};
    ret[5] = (struct lane_conn){LANE_TARGET, "SCAN", sweep_target_conn(l->sweep)};
}

static struct conn *watch_of(struct lane *l, enum lane_side side)
{
    return watch_conn(side == LANE_SOURCE ? feed_watch(l->feed) : l->target_watch);
}

bool lane_approves(const struct lane *l, enum lane_side side, const struct server_id *id)
{
    return l->is_approved[side] && strcmp(l->approved[side], id->run_id) == 0;
}

/* One address leads to two servers. What the watch is connected to decides who is approved, so it connects
 * anew. */
static void look_again(struct lane *l, enum lane_side side)
{
    struct conn *watch = watch_of(l, side);
    uint64_t now_us = loop_now_us(l->loop);

    if (now_us - l->looked_again_us[side] < LOOK_AGAIN_US || !conn_is_up(watch) ||
        !lane_approves(l, side, conn_server(watch)))
        return;
    l->looked_again_us[side] = now_us;
    conn_reset(watch, "another connection to this address reached another server");
}

int lane_identified(struct lane *l, enum lane_side side, const struct server_id *id, const char **why)
{
    if (lane_approves(l, side, id))
        return 0;
    if (l->is_approved[side] && l->feed)
        look_again(l, side);
    *why = "another server process answers there; it is being looked at";
    return -EPERM;
}

/* A connection to a server that is no longer the one may not go on; one that waits connects at once. */
static void follow_approval(struct lane *l, enum lane_side side)
{
    struct lane_conn conns[LANE_CONNS];

    if (side == LANE_TARGET && l->seal.step == SEALED)
        return;
    lane_conns(l, conns);
    for (size_t i = 0; i < LANE_CONNS; i++) {
        struct conn *c = conns[i].conn;
        if (conns[i].side != side)
            continue;
        if (conn_is_up(c) && !lane_approves(l, side, conn_server(c)))
            conn_reset(c, "the server was replaced");
        conn_hold(c, true);
        conn_hold(c, false);
    }
}

const char *lane_approved(const struct lane *l, enum lane_side side)
{
    return l->approved[side];
}

void lane_approve(struct lane *l, enum lane_side side, const char *run_id)
{
    bool replaced = l->is_approved[side] && strcmp(l->approved[side], run_id) != 0;

    snprintf(l->approved[side], sizeof(l->approved[side]), "%s", run_id);
    l->is_approved[side] = true;
    if (replaced && side == LANE_TARGET)
        l->has_target_base = false;
    if (replaced)
        lane_gap(l, side == LANE_SOURCE ? "the source was restarted or replaced"
                                        : "the target was restarted or replaced");
    follow_approval(l, side);
    lane_advance(l);
}

/* The target's watch. */

static void target_sample(struct watch *w, const struct watch_sample *s, void *arg)
{
    struct lane *l = arg;
    bool stranger = !lane_approves(l, LANE_TARGET, &s->id);
    (void)w;

    lane_condition(l, LANE_TARGET_LOADING, s->loading ? "the target is loading its data" : NULL);
    if (s->id.role == ROLE_REPLICA)
        lane_refused(l, LANE_TARGET, "the target is a replica of %s:%u", s->id.primary_host,
                     (unsigned)s->id.primary_port);
    l->ev.sample(l, LANE_TARGET, s, stranger, l->arg);
    lane_seal_sample(l, s, stranger);
    if (s->loading)
        return;
    if (lane_approves(l, LANE_TARGET, &s->id))
        lane_target_sample(l, s);
    lane_scope_sample(l, LANE_TARGET, s);
}

static void target_unreadable(struct watch *w, const char *why, void *arg)
{
    struct lane *l = arg;
    (void)w;
    if (l->has_target_base)
        lane_gap(l, "INFO of the target cannot be read");
    l->has_target_base = false;
    lane_refused(l, LANE_TARGET, "INFO: %s", why);
}

static void target_down(struct watch *w, const char *why, bool was_up, void *arg)
{
    struct lane *l = arg;

    functions_dropped(l->functions, watch_conn(w));
    l->seal.watch_due = 0;
    if (!was_up)
        return;
    l->unproved |= l->watch_wrote;
    l->watch_wrote = false;
    lane_seal_fail(l, -ENOTCONN, "the connection that watches the target was lost: %s", why);
}

/* Once a second. */

static bool is_down(struct lane *l, const struct conn *c, uint64_t after_us)
{
    return !conn_is_up(c) && loop_now_us(l->loop) - MAX(conn_since_us(c), l->unsealed_us) > after_us;
}

static void look_at_side(struct lane *l, enum lane_side side, enum lane_condition down,
                         enum lane_condition silent)
{
    struct conn *watch = watch_of(l, side);
    struct lane_conn conns[LANE_CONNS];
    uint64_t silent_us = conn_is_up(watch) ? conn_silent_us(watch) : 0;
    bool any = is_down(l, watch, DOWN_AFTER_US);

    if (side == LANE_TARGET && l->seal.step == SEALED) { /* by our own doing */
        lane_condition(l, down, NULL);
        lane_condition(l, silent, NULL);
        return;
    }
    if (any)
        lane_condition(l, down, "%s", conn_why(watch)[0] ? conn_why(watch) : "not connected yet");
    lane_conns(l, conns);
    for (size_t i = 0; !any && i < LANE_CONNS; i++) {
        any = conns[i].side == side && is_down(l, conns[i].conn, PART_DOWN_AFTER_US);
        if (any)
            lane_condition(l, down, "the connection for %s: %s", conns[i].what, conn_why(conns[i].conn));
    }
    if (!any)
        lane_condition(l, down, NULL);
    if (silent_us > SILENT_US)
        lane_condition(l, silent, "no answer for %llu s", (unsigned long long)(silent_us / 1000000));
    else
        lane_condition(l, silent, NULL);
}

static void look_at_feed(struct lane *l)
{
    struct feed_status status;

    feed_status(l->feed, &status);
    if (status.doubt[0])
        lane_condition(l, LANE_FEED_UNPROVEN, "%s", status.doubt);
    else
        lane_condition(l, LANE_FEED_UNPROVEN, NULL);
}

static void tick(void *arg)
{
    struct lane *l = arg;
    uint64_t now_us = loop_now_us(l->loop);

    timer_set(l->tick_timer, TICK_US);
    if (l->stopping)
        return;
    look_at_side(l, LANE_SOURCE, LANE_SOURCE_DOWN, LANE_SOURCE_SILENT);
    look_at_side(l, LANE_TARGET, LANE_TARGET_DOWN, LANE_TARGET_SILENT);
    look_at_feed(l);
    meter_feed(&l->copied_meter, l->copied + l->deleted, now_us);
    meter_feed(&l->bytes_meter, l->bytes, now_us);
    meter_feed(&l->marks_meter, l->marks, now_us);
    lane_copy_tick(l);
    lane_round_tick(l);
}

/* Making and ending it. */

static int copy_options(struct lane *l, const struct lane_options *opt)
{
    l->opt = *opt;
    if (!opt->dbs)
        return 0;
    int *dbs = malloc(MAX(opt->ndbs, (size_t)1) * sizeof(*dbs));
    l->opt.dbs = dbs;
    if (!dbs)
        return -ENOMEM;
    memcpy(dbs, opt->dbs, opt->ndbs * sizeof(*dbs));
    return 0;
}

static size_t dirty_share(uint64_t memory)
{
    return (size_t)(memory - memory / 8 - FIXED_MEMORY - RECENT_MEMORY);
}

static int make(struct lane *l, const struct lane_options *opt)
{
    static const struct watch_events watch_events = {
        .sample = target_sample, .unreadable = target_unreadable, .down = target_down};
    uint64_t now_us = loop_now_us(l->loop);

    int err = copy_options(l, opt);
    if (!err)
        err = dirty_new(hash_seed_random(), dirty_share(opt->memory), &l->dirty);
    if (!err)
        err = recent_new(RECENT_MEMORY, &l->recent);
    if (!err)
        err = timer_new(l->loop, tick, l, &l->tick_timer);
    if (!err)
        err = watch_new(l->loop, opt->target, "watch", true, &watch_events, l, &l->target_watch);
    if (!err)
        err = lane_copy_new(l);
    if (!err)
        err = lane_round_new(l);
    if (err)
        return err;
    meter_init(&l->copied_meter, 0, now_us);
    meter_init(&l->bytes_meter, 0, now_us);
    meter_init(&l->marks_meter, 0, now_us);
    timer_set(l->tick_timer, TICK_US);
    return 0;
}

int lane_new(struct loop *loop, const struct lane_options *opt, const struct lane_events *ev, void *arg,
             struct lane **ret)
{
    struct lane *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->loop = loop;
    l->ev = *ev;
    l->arg = arg;
    int err = make(l, opt);
    if (err) {
        lane_free(l);
        return err;
    }
    *ret = l;
    return 0;
}

struct lane *lane_free(struct lane *l)
{
    if (!l)
        return NULL;
    defer_cancel(l->loop, &l->pump_later);
    defer_cancel(l->loop, &l->advance_later);
    feed_free(l->feed);
    streams_free(l->streams);
    sweep_free(l->sweep);
    scanner_free(l->scanner);
    reader_free(l->reader);
    writer_free(l->writer);
    watch_free(l->target_watch);
    functions_free(l->functions);
    timer_free(l->pump_timer);
    timer_free(l->tick_timer);
    dirty_free(l->dirty);
    recent_free(l->recent);
    free(l->scope);
    free((void *)(uintptr_t)l->opt.dbs);
    free(l);
    return NULL;
}

void lane_stop(struct lane *l, void (*fn)(bool put_back, void *arg), void *arg)
{
    l->stopping = true;
    scanner_stop(l->scanner);
    sweep_stop(l->sweep);
    feed_stop(l->feed, fn, arg);
}

/* Steering it. */

void lane_hold_deletes(struct lane *l, bool held)
{
    l->deletes_held = held;
    if (!held && l->deletes_dropped) {
        l->deletes_dropped = false;
        lane_gap(l, "deletions had been held: what the source lacks is looked for again");
    }
    lane_advance(l);
    lane_pump_soon(l);
}

void lane_pause(struct lane *l, bool paused)
{
    l->paused = paused;
    lane_advance(l);
    lane_pump_soon(l);
}

void lane_limits(struct lane *l, uint64_t memory, uint64_t keys_per_s, uint64_t bytes_per_s)
{
    uint64_t now_us = loop_now_us(l->loop);

    l->opt.memory = memory;
    dirty_set_budget(l->dirty, dirty_share(memory));
    rate_init(&l->keys_rate, keys_per_s, now_us);
    rate_init(&l->bytes_rate, bytes_per_s, now_us);
    lane_advance(l);
    lane_pump_soon(l);
}

void lane_mark(struct lane *l, int db, struct bytes key)
{
    lane_take_mark(l, DIRTY_LIVE, db, key);
}

bool lane_is_dirty(const struct lane *l, int db, struct bytes key)
{
    return dirty_has(l->dirty, db, key);
}

/* Telling of it. */

static void server_status(struct conn *c, const struct watch_sample *s, struct lane_server *ret)
{
    const struct server_id *id = conn_server(c);

    ret->up = conn_is_up(c);
    ret->known = s != NULL || id != NULL;
    if (s)
        ret->id = s->id;
    else if (id)
        ret->id = *id;
    ret->round_trip_us = s ? s->round_trip_us : 0;
}

static bool round_is_over(const struct lane *l)
{
    return l->phase == LANE_LIVE || l->phase == LANE_DONE;
}

/* A scanned key counts once it has left the queue. */
static void progress_status(struct lane *l, struct lane_status *ret)
{
    uint64_t took_us = loop_now_us(l->loop) - l->scan_began_us;
    uint64_t queued = ret->counts.scan_queued;

    if (l->phase != LANE_GAP && l->scanned > queued)
        l->scan_done = MAX(l->scan_done, l->scanned - queued);
    ret->scanned_keys = l->scanned;
    ret->estimated_keys = MAX(l->estimated, l->scanned);
    double part = ret->estimated_keys ? (double)l->scan_done / (double)ret->estimated_keys : 0;
    ret->percent = round_is_over(l) ? 100 : MIN(100 * part, 99.9);
    ret->eta_ms = -1;
    if (l->phase >= LANE_SCAN && l->phase <= LANE_SETTLING && l->scan_done && took_us >= TICK_US)
        ret->eta_ms = (int64_t)((1 / part - 1) * (double)took_us / 1000);
}

static void lag_status(struct lane *l, struct lane_status *ret)
{
    uint64_t oldest_us = dirty_oldest_us(l->dirty), now_us = clock_mono_us();
    ret->lag_keys = dirty_pending(&ret->counts);
    ret->lag_ms = oldest_us && now_us > oldest_us ? (now_us - oldest_us) / 1000 : 0;
}

void lane_status(struct lane *l, struct lane_status *ret)
{
    struct watch *source = feed_watch(l->feed);

    memset(ret, 0, sizeof(*ret));
    ret->phase = l->phase;
    ret->round = l->round;
    ret->swept_keys = sweep_seen(l->sweep);
    dirty_counts(l->dirty, &ret->counts);
    progress_status(l, ret);
    ret->in_flight_bytes = writer_outstanding_bytes(l->writer);
    ret->counts.failed += ret->counts.failed_unnamed;
    ret->memory_bytes = dirty_memory(l->dirty) + buf_len(conn_out(writer_conn(l->writer)));
    ret->memory_limit_bytes = l->opt.memory;
    lag_status(l, ret);
    ret->copied_keys_per_s = l->copied_meter.per_s;
    ret->bytes_per_s = l->bytes_meter.per_s;
    ret->marks_per_s = l->marks_meter.per_s;
    ret->marks = l->marks;
    ret->copied_keys = l->copied;
    ret->deleted_keys = l->deleted;
    ret->bytes = l->bytes;
    ret->retries = l->retries;
    ret->gaps = l->gaps;
    memcpy(ret->last_gap, l->last_gap, sizeof(ret->last_gap));
    ret->long_keys = l->long_keys;
    ret->gap_pending = l->gap;
    memcpy(ret->functions_error, l->functions_error, sizeof(ret->functions_error));
    server_status(watch_conn(source), watch_last(source), &ret->server[LANE_SOURCE]);
    server_status(watch_conn(l->target_watch), watch_last(l->target_watch), &ret->server[LANE_TARGET]);
    feed_status(l->feed, &ret->feed);
    memcpy(ret->conditions, l->conditions, sizeof(ret->conditions));
}

const struct watch_sample *lane_last_sample(struct lane *l, enum lane_side side)
{
    return watch_last(side == LANE_SOURCE ? feed_watch(l->feed) : l->target_watch);
}

struct each_failed {
    void (*fn)(int db, struct bytes key, const char *reason, void *arg);
    void *arg;
};

static void one_failed(const struct dirty_key *k, void *arg)
{
    struct each_failed *each = arg;
    each->fn(k->db, dirty_name(k), k->u.reason, each->arg);
}

void lane_each_failed(const struct lane *l,
                      void (*fn)(int db, struct bytes key, const char *reason, void *arg), void *arg)
{
    struct each_failed each = {fn, arg};
    dirty_each_failed(l->dirty, one_failed, &each);
}
