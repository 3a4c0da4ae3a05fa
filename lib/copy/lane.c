/* lane.c - see lane.h. The whole: making and ending it, the servers it may talk to, conditions, status. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/lane_impl.h"
#include "lib/redis/refusal.h"
#include "lib/core/clock.h"

#define TICK_US       1000000
#define LOOK_AGAIN_US 5000000

/* What may follow each. */
#define BIT(p) (1u << (p))
static const unsigned next_phases[] = {
    [LANE_CONNECTING] = BIT(LANE_SCAN) | BIT(LANE_LIVE), /* live at once: it goes on */
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
    [LANE_MEMORY_SHORT] = "memory_short",
    [LANE_OUT_OF_SCOPE] = "out_of_scope",
    [LANE_SOURCE_REPLICA] = "source_replica",
    [LANE_SLOTS_LEFT] = "slots_left",
};
_Static_assert(ARRAY_LEN(condition_codes) == LANE_CONDITIONS, "each condition has its code");

const char *lane_condition_code(enum lane_condition c)
{
    return condition_codes[c];
}

static bool round_is_over(const struct lane *l)
{
    return l->phase == LANE_LIVE || l->phase == LANE_DONE;
}

void lane_set_phase(struct lane *l, enum lane_phase phase)
{
    if (l->phase == phase || !(next_phases[l->phase] & BIT(phase)))
        return;
    l->phase = phase;
    if (round_is_over(l))
        l->gap_us = 0;
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
    const struct endpoint *e = side == LANE_SOURCE ? l->opt.source : l->opt.target;
    char told[sizeof(text)];
    refusal_tell(text, e->side, e->url.user, told, sizeof(told));
    l->refusing[side].last_us = loop_now_us(l->loop);
    lane_condition(l, side == LANE_SOURCE ? LANE_SOURCE_REFUSES : LANE_TARGET_REFUSES, "%s", told);
}

/* Whom the lane talks to. */

/* Those to the source, the watch apart. */
struct source_conn {
    const char *what; /* it is for, in a text */
    struct conn *conn;
};
#define SOURCE_CONNS 4

static void source_conns(struct lane *l, struct source_conn ret[SOURCE_CONNS])
{
    ret[0] = (struct source_conn){"reading", reader_conn(l->reader)};
    ret[1] = (struct source_conn){"SCAN", scanner_conn(l->scanner)};
    ret[2] = (struct source_conn){"EXISTS", sweep_source_conn(l->sweep)};
    ret[3] = (struct source_conn){"XINFO", streams_conn(l->streams)};
}

bool lane_approves(const struct lane *l, const struct server_id *id)
{
    return l->is_approved && strcmp(l->approved, id->run_id) == 0;
}

/* One address leads to two servers. What the watch is connected to decides who is approved, so it connects
 * anew. */
static void look_again(struct lane *l)
{
    struct conn *watch = watch_conn(feed_watch(l->feed));
    uint64_t now_us = loop_now_us(l->loop);

    if (now_us - l->looked_again_us < LOOK_AGAIN_US || !conn_is_up(watch) ||
        !lane_approves(l, conn_server(watch)))
        return;
    l->looked_again_us = now_us;
    conn_reset(watch, "another connection to this address reached another server");
}

int lane_identified(struct lane *l, const struct server_id *id, const char **why)
{
    if (lane_approves(l, id))
        return 0;
    if (l->is_approved && l->feed)
        look_again(l);
    *why = "another server process answers there; it is being looked at";
    return -EPERM;
}

/* A connection to a server that is no longer the one may not go on; one that waits connects at once. */
static void follow_approval(struct lane *l)
{
    struct source_conn conns[SOURCE_CONNS];

    source_conns(l, conns);
    for (size_t i = 0; i < SOURCE_CONNS; i++) {
        struct conn *c = conns[i].conn;
        if (conn_is_up(c) && !lane_approves(l, conn_server(c)))
            conn_reset(c, "the server was replaced");
        conn_hold(c, true);
        conn_hold(c, false);
    }
}

/* Functions may be on their way from there to the target: they end as with a lost connection. */
static void leave_source(struct lane *l, struct feed *feed, const char *why)
{
    struct source_conn conns[SOURCE_CONNS];

    functions_dropped(l->functions, watch_conn(feed_watch(feed)));
    source_conns(l, conns);
    for (size_t i = 0; i < SOURCE_CONNS; i++)
        conn_reset(conns[i].conn, why);
    l->is_approved = l->has_sample = false;
    l->approved[0] = '\0';
}

static int change_feed(struct lane *l, const struct notify_record *recorded, void (*change)(void *arg),
                       void *arg)
{
    const struct notify_record before = l->opt.recorded;

    change(arg);
    l->opt.recorded = *recorded;
    int err = lane_new_feed(l);
    if (!err)
        return 0;
    l->opt.recorded = before;
    change(arg);
    return err;
}

int lane_move(struct lane *l, const struct notify_record *recorded, void (*change)(void *arg), void *arg)
{
    static const char what[] = "the shard has another primary";
    const char *why = recorded->run_id[0] ? "" : lane_why_not_follow(l);
    char reason[sizeof(l->last_gap)];
    struct feed *former = l->feed;

    if (!why) {
        change(arg);
        leave_source(l, l->feed, what);
        feed_move(l->feed, what);
        lane_drains_begin_again(l);
        return 0;
    }
    int err = change_feed(l, recorded, change, arg);
    if (err)
        return err;
    leave_source(l, former, what);
    feed_free(former);
    l->feed_ready = false;
    l->feed_missed = true;
    if (l->barrier == BARRIER_FEED)
        l->barrier = BARRIER_NONE;
    snprintf(reason, sizeof(reason), "%s%s", what, why);
    lane_gap(l, reason);
    return 0;
}

static bool is_source(const struct lane *l, const char *address)
{
    return strcmp(l->opt.source->url.text, address) == 0;
}

const char *lane_approved(const struct lane *l, enum lane_side side, const char *address)
{
    const struct target_node *n = side == LANE_TARGET ? target_find(l->target, address) : NULL;

    if (side == LANE_TARGET)
        return n ? n->approved : "";
    return is_source(l, address) ? l->approved : "";
}

static void approve_source(struct lane *l, const char *run_id)
{
    bool replaced = l->is_approved && strcmp(l->approved, run_id) != 0;

    snprintf(l->approved, sizeof(l->approved), "%s", run_id);
    l->is_approved = true;
    if (replaced)
        lane_follow_source(l, "the source was restarted or replaced");
    follow_approval(l);
}

void lane_approve(struct lane *l, enum lane_side side, const char *address, const char *run_id)
{
    if (side == LANE_TARGET)
        lane_target_approve(l, address, run_id);
    else if (is_source(l, address))
        approve_source(l, run_id);
    lane_advance(l);
}

/* Once a second. */

bool lane_conn_is_down(struct lane *l, const struct conn *c, uint64_t after_us)
{
    return !conn_is_up(c) && loop_now_us(l->loop) - MAX(conn_since_us(c), l->unsealed_us) > after_us;
}

const char *lane_conn_why(const struct conn *c)
{
    return conn_why(c)[0] ? conn_why(c) : "not connected yet";
}

static void look_at_source(struct lane *l)
{
    struct conn *watch = watch_conn(feed_watch(l->feed));
    struct source_conn conns[SOURCE_CONNS];
    uint64_t silent_us = conn_is_up(watch) ? conn_silent_us(watch) : 0;
    bool any = lane_conn_is_down(l, watch, LANE_DOWN_AFTER_US);

    if (any)
        lane_condition(l, LANE_SOURCE_DOWN, "%s", lane_conn_why(watch));
    source_conns(l, conns);
    for (size_t i = 0; !any && i < SOURCE_CONNS; i++) {
        any = lane_conn_is_down(l, conns[i].conn, LANE_PART_DOWN_AFTER_US);
        if (any)
            lane_condition(l, LANE_SOURCE_DOWN, "the connection for %s: %s", conns[i].what,
                           lane_conn_why(conns[i].conn));
    }
    if (!any)
        lane_condition(l, LANE_SOURCE_DOWN, NULL);
    if (silent_us > LANE_SILENT_US)
        lane_condition(l, LANE_SOURCE_SILENT, "no answer for %llu s",
                       (unsigned long long)(silent_us / 1000000));
    else
        lane_condition(l, LANE_SOURCE_SILENT, NULL);
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

    timer_beat(l->tick_timer, TICK_US);
    if (l->stopping)
        return;
    look_at_source(l);
    lane_target_look(l);
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

void lane_share_memory(struct lane *l)
{
    share_of(l->opt.memory, target_count(l->target), &l->share);
    dirty_set_budget(l->dirty, l->share.dirty);
    target_limit(l->target, l->share.node);
    reader_limit(l->reader, l->share.input, l->share.output);
}

/* They stay as they are then: of a share that is others' by now they take a small part. */
static int new_names(struct lane *l)
{
    share_of(l->opt.memory, 1, &l->share);
    int err = recent_new(l->share.recent, &l->recent);
    return err ? err : ahead_new(l->share.ahead, &l->ahead);
}

static int make(struct lane *l, const struct lane_options *opt)
{
    uint64_t now_us = loop_now_us(l->loop);

    int err = copy_options(l, opt);
    if (!err)
        err = dirty_new(hash_seed_random(), 0, &l->dirty);
    if (!err)
        err = new_names(l);
    if (!err)
        err = timer_new(l->loop, tick, l, &l->tick_timer);
    if (!err)
        err = lane_target_new(l);
    if (!err)
        err = lane_copy_new(l);
    if (!err)
        err = lane_round_new(l);
    if (err)
        return err;
    lane_share_memory(l);
    meter_init(&l->copied_meter, 0, now_us);
    meter_init(&l->bytes_meter, 0, now_us);
    meter_init(&l->marks_meter, 0, now_us);
    timer_beat(l->tick_timer, TICK_US);
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
    lane_askers_free(l);
    reader_free(l->reader);
    target_free(l->target);
    functions_free(l->functions);
    timer_free(l->pump_timer);
    timer_free(l->tick_timer);
    dirty_free(l->dirty);
    recent_free(l->recent);
    ahead_free(l->ahead);
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
    if (held && !l->deletes_held)
        l->held_us = loop_now_us(l->loop);
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
    lane_share_memory(l);
    rate_init(&l->keys_rate, keys_per_s, now_us);
    rate_init(&l->bytes_rate, bytes_per_s, now_us);
    lane_advance(l);
    lane_pump_soon(l);
}

void lane_coalesce(struct lane *l, uint64_t most_us)
{
    l->coalesce.most_us = most_us;
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

void lane_server_status(struct watch *w, struct lane_server *ret)
{
    const struct conn *c = watch_conn(w);
    const struct watch_sample *s = watch_last(w);
    const struct server_id *id = conn_server(c);

    ret->up = conn_is_up(c);
    ret->known = s != NULL || id != NULL;
    if (s)
        ret->id = s->id;
    else if (id)
        ret->id = *id;
    ret->round_trip_us = s ? s->round_trip_us : 0;
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

/* What has changed since the feed was cut off, or since a gap, is not known: the oldest of it may be as old
 * as that, until the feed has told it, or a round has read all. */
static void lag_status(struct lane *l, struct lane_status *ret)
{
    uint64_t oldest_us = dirty_oldest_us(l->dirty), now_us = clock_mono_us();

    ret->lag_keys = dirty_pending(&ret->counts);
    ret->lag_ms = oldest_us && now_us > oldest_us ? (now_us - oldest_us) / 1000 : 0;
    ret->lag_ms = MAX(ret->lag_ms, ret->feed.cut_off_us / 1000);
    if (l->gap_us)
        ret->lag_ms = MAX(ret->lag_ms, (loop_now_us(l->loop) - l->gap_us) / 1000);
}

void lane_status(struct lane *l, struct lane_status *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->phase = l->phase;
    ret->round = l->round;
    ret->swept_keys = sweep_seen(l->sweep);
    dirty_counts(l->dirty, &ret->counts);
    progress_status(l, ret);
    ret->in_flight_bytes = target_outstanding_bytes(l->target);
    ret->counts.failed += ret->counts.failed_unnamed;
    ret->memory_bytes = dirty_memory(l->dirty) + target_buffered(l->target);
    ret->memory_limit_bytes = l->opt.memory;
    feed_status(l->feed, &ret->feed);
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
    lane_server_status(feed_watch(l->feed), &ret->server[LANE_SOURCE]);
    lane_target_status(l, ret);
    ret->lag_bytes = lane_lag_bytes(l);
    memcpy(ret->conditions, l->conditions, sizeof(ret->conditions));
}

enum lane_phase lane_phase(const struct lane *l)
{
    return l->phase;
}

const char *lane_name(const struct lane *l)
{
    return l->opt.source->url.text;
}

const struct watch_sample *lane_last_sample(struct lane *l, enum lane_side side, const char *address)
{
    const struct target_node *n = side == LANE_TARGET ? target_find(l->target, address) : NULL;

    if (side == LANE_SOURCE)
        return is_source(l, address) ? watch_last(feed_watch(l->feed)) : NULL;
    return n ? watch_last(n->watch) : NULL;
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
