/* link.c - see link.h. */
#include "daemon/link_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"

#define KEEP_US       10000000
#define FAIL_BOUND_US 1000000 /* for what was changed on the source to be put back */

#define BIT(s) (1u << (s))
static const struct {
    const char *name;
    unsigned next;
} states[] = {
    [LINK_IDLE] = {"idle", BIT(LINK_CONNECTING) | BIT(LINK_CUTOVER) | BIT(LINK_COMMITTED) |
                               BIT(LINK_FINISHED) | BIT(LINK_FAILED)},
    [LINK_CONNECTING] = {"connecting", BIT(LINK_SNAPSHOT) | BIT(LINK_RESYNC) | BIT(LINK_LIVE) |
                                           BIT(LINK_PAUSED) | BIT(LINK_IDLE) | BIT(LINK_FAILED)},
    [LINK_SNAPSHOT] = {"snapshot", BIT(LINK_LIVE) | BIT(LINK_RESYNC) | BIT(LINK_PAUSED) | BIT(LINK_IDLE) |
                                       BIT(LINK_FAILED)},
    [LINK_RESYNC] = {"resync", BIT(LINK_LIVE) | BIT(LINK_PAUSED) | BIT(LINK_IDLE) | BIT(LINK_FAILED)},
    [LINK_LIVE] = {"live", BIT(LINK_RESYNC) | BIT(LINK_PAUSED) | BIT(LINK_CUTOVER) | BIT(LINK_IDLE) |
                               BIT(LINK_FAILED)},
    [LINK_PAUSED] = {"paused", BIT(LINK_CONNECTING) | BIT(LINK_SNAPSHOT) | BIT(LINK_RESYNC) | BIT(LINK_LIVE) |
                                   BIT(LINK_IDLE) | BIT(LINK_FAILED)},
    [LINK_CUTOVER] = {"cutover", BIT(LINK_CONNECTING) | BIT(LINK_LIVE) | BIT(LINK_RESYNC) |
                                     BIT(LINK_COMMITTED) | BIT(LINK_IDLE) | BIT(LINK_FAILED)},
    [LINK_COMMITTED] = {"committed", BIT(LINK_FINISHED) | BIT(LINK_CONNECTING) | BIT(LINK_FAILED)},
    [LINK_FINISHED] = {"finished", BIT(LINK_CONNECTING)},
    [LINK_FAILED] = {"failed", BIT(LINK_CONNECTING) | BIT(LINK_FINISHED) | BIT(LINK_IDLE)},
};
_Static_assert(ARRAY_LEN(states) == LINK_STATES, "each state has its row");
#undef BIT

const char *link_state_name(enum link_state s)
{
    return states[s].name;
}

enum link_state link_state(const struct link *k)
{
    return k->state;
}

/* The only one to write k->state. */
void link_set_state(struct link *k, enum link_state next, const char *format, ...)
{
    enum link_state from = k->state;
    va_list args;

    if (next == k->state || !(states[k->state].next & (1u << next)))
        return;
    va_start(args, format);
    vsnprintf(k->reason, sizeof(k->reason), format, args);
    va_end(args);
    k->state = next;
    k->since_ms = clock_wall_ms();
    log_set_state(k->log, states[next].name);
    log_event_at(k->log, EVENT_STATE, next == LINK_FAILED ? SINK_ERR : SINK_NOTICE,
                 LOG_FIELDS(LOG_TEXT(FROM, states[from].name), LOG_TEXT(REASON, k->reason)),
                 "the link is %s: %s", states[next].name, k->reason);
    k->ev.changed(k->arg);
}

/* Blockers. */

PRINTF_LIKE(3, 0)
static void vblock(struct link *k, enum blocker b, const char *format, va_list args)
{
    struct link_blocker *one = &k->blockers[b];

    vsnprintf(one->message, sizeof(one->message), format, args);
    if (one->on)
        return;
    one->on = true;
    one->since_ms = clock_wall_ms();
    log_event_fields(k->log, EVENT_BLOCKED, LOG_FIELDS(LOG_TEXT(BLOCKER, blockers[b].code)),
                     "blocked by %s: %s. %s", blockers[b].code, one->message, blockers[b].hint);
    k->ev.changed(k->arg);
}

void link_block(struct link *k, enum blocker b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vblock(k, b, format, args);
    va_end(args);
}

void link_unblock(struct link *k, enum blocker b)
{
    if (!k->blockers[b].on)
        return;
    k->blockers[b].on = false;
    log_event_fields(k->log, EVENT_UNBLOCKED, LOG_FIELDS(LOG_TEXT(BLOCKER, blockers[b].code)),
                     "no longer blocked by %s", blockers[b].code);
    k->ev.changed(k->arg);
}

/* Totals and rounds are the process', not a lane's. */
static void add_totals(struct lane_status *sum, const struct lane_status *one)
{
    sum->round += one->round;
    sum->marks += one->marks;
    sum->copied_keys += one->copied_keys;
    sum->deleted_keys += one->deleted_keys;
    sum->bytes += one->bytes;
    sum->retries += one->retries;
    sum->gaps += one->gaps;
}

static void keep_totals(struct link *k)
{
    struct lane_status last;

    if (!k->lanes)
        return;
    lanes_status(k->lanes, &last);
    add_totals(&k->past, &last);
    if (last.last_gap[0])
        memcpy(k->past.last_gap, last.last_gap, sizeof(k->past.last_gap));
}

/* The lane may be on the stack: it is freed when that has unwound. */
static void free_lane_later(void *arg)
{
    struct link *k = arg;

    keep_totals(k);
    k->lanes = lanes_free(k->lanes);
    link_census_forget(k);
    link_want(k, LANE_SOURCE, false);
    link_want(k, LANE_TARGET, false);
    k->stopping = false;
    k->ev.lane_gone(k->arg);
    if (k->stopped) {
        void (*fn)(void *) = k->stopped;
        k->stopped = NULL;
        fn(k->stopped_arg);
    }
}

void link_drop_lane(struct link *k)
{
    timer_clear(k->keep_timer);
    timer_clear(k->stop_timer);
    link_probe_end(k);
    link_put_back_end(k);
    k->stopping = true;
    loop_defer(k->loop, &k->stop_later, free_lane_later, k);
}

static void stop_done(struct link *k)
{
    if (!k->keep && k->state != LINK_FAILED)
        link_set_state(k, LINK_IDLE, "stopped");
    link_drop_lane(k);
}

static void rest_put_back(bool put_back, void *arg)
{
    struct link *k = arg;
    (void)put_back;
    if (timer_is_set(k->stop_timer))
        stop_done(k);
}

/* What was not put back was told by the feed. What is still on record is of nodes that no lane has to do with
 * any more, since another took over from them. */
static void lanes_stopped(bool put_back, void *arg)
{
    struct link *k = arg;
    bool more = put_back && state_of(k->file)->nnotify > 0;

    if (!timer_is_set(k->stop_timer))
        return;
    if (!more || link_put_back(k, k->stop_bound_us, rest_put_back, k) < 0)
        stop_done(k);
}

static void stop_fired(void *arg)
{
    struct link *k = arg;
    if (state_of(k->file)->nnotify)
        log_event(k->log, EVENT_NOTIFY_NOT_PUT_BACK,
                  "notify-keyspace-events of the source could not be put back in time: the state file "
                  "remembers it");
    stop_done(k);
}

/* What was changed on the source is put back, for at most so long; then the lane is dropped. */
static void end_lane(struct link *k, uint64_t bound_us)
{
    if (!k->lanes) {
        link_drop_lane(k);
        return;
    }
    k->stopping = true;
    k->stop_bound_us = bound_us;
    timer_set(k->stop_timer, bound_us);
    lanes_stop(k->lanes, lanes_stopped, k);
}

void link_fail(struct link *k, enum blocker b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vblock(k, b, format, args);
    va_end(args);
    link_set_state(k, LINK_FAILED, "%s", k->blockers[b].message);
    if (!k->stopping)
        end_lane(k, FAIL_BOUND_US);
}

int link_save(struct link *k)
{
    int err = state_save(k->file);
    if (!err)
        return 0;
    log_event_fields(k->log, EVENT_STATE_FILE_ERROR, LOG_FIELDS(LOG_TEXT(FILE, state_file_path(k->file))),
                     "the state file %s cannot be written: %s", state_file_path(k->file), strerror(-err));
    link_fail(k, BLOCKER_STATE_FILE, "the state file %s cannot be written: %s", state_file_path(k->file),
              strerror(-err));
    return err;
}

/* The lane's words. */

static const char *phase_reason(struct link *k, enum lane_phase phase, unsigned round)
{
    switch (phase) {
    case LANE_LIVE:
        return round ? "the target has all keys; changes follow as they come"
                     : "the source's stream was gone on with where it had been left: no pass over all keys";
    case LANE_GAP:
        return k->reason;
    default:
        return round > 1 ? "all keys are gone through again" : "the first pass over all keys";
    }
}

enum link_state link_state_of_phase(enum lane_phase phase, unsigned round)
{
    static const enum link_state of[] = {
        [LANE_CONNECTING] = LINK_CONNECTING,
        [LANE_SCAN] = LINK_SNAPSHOT,
        [LANE_SWEEP] = LINK_SNAPSHOT,
        [LANE_SETTLING] = LINK_SNAPSHOT,
        [LANE_LIVE] = LINK_LIVE,
        [LANE_DONE] = LINK_IDLE,
        [LANE_GAP] = LINK_RESYNC,
    };
    return of[phase] == LINK_SNAPSHOT && round > 1 ? LINK_RESYNC : of[phase];
}

static void one_pass_done(struct link *k)
{
    link_set_state(k, LINK_IDLE, "one pass was made, without a feed");
    state_of(k->file)->desired = DESIRED_IDLE;
    if (link_save(k) == 0)
        end_lane(k, FAIL_BOUND_US);
}

void link_follow_phase(struct link *k, enum lane_phase phase)
{
    struct lane_status status;

    if (k->stopping || k->pause_wanted)
        return;
    if (k->state == LINK_CUTOVER) { /* it looks for itself, and undoes what it must */
        k->ev.changed(k->arg);
        return;
    }
    lanes_status(k->lanes, &status);
    if (phase == LANE_DONE)
        one_pass_done(k);
    else
        link_set_state(k, link_state_of_phase(phase, status.round), "%s",
                       phase_reason(k, phase, status.round));
    k->ev.changed(k->arg);
}

static void on_phase(enum lane_phase phase, void *arg)
{
    if (phase != LANE_CONNECTING && phase != LANE_LIVE)
        link_place_forget(arg);
    link_tell_pass(arg, phase);
    link_follow_phase(arg, phase);
}

static void on_regrouped(void *arg)
{
    link_place_look(arg);
}

static void on_lanes_changed(void *arg)
{
    struct link *k = arg;

    link_census_lanes_changed(k);
    link_look_at_nodes(k);
    k->ev.changed(k->arg);
}

static void on_gap(struct lane *l, const char *reason, void *arg)
{
    struct link *k = arg;

    link_place_forget(k);
    link_tell_gap(k, l, reason);
    link_doubt_source(k, lane_name(l));
    if (k->state == LINK_SNAPSHOT || k->state == LINK_LIVE)
        link_set_state(k, LINK_RESYNC, "%s", reason);
    else if (k->state == LINK_RESYNC)
        snprintf(k->reason, sizeof(k->reason), "%s", reason);
    else if (k->state == LINK_CUTOVER)
        k->ev.changed(k->arg);
    if (k->config->existing_keys == EXISTING_MERGE && k->state != LINK_CONNECTING)
        link_block(k, BLOCKER_DELETIONS_UNKNOWN,
                   "keys that the source deleted during a gap (%s) cannot be told from the target's own",
                   reason);
}

static void on_feed_unusable(struct lane *l, const char *why, void *arg)
{
    (void)l;
    link_fail(arg, BLOCKER_FEED_UNUSABLE, "%s", why);
}

static int on_record(struct lane *l, const struct notify_record *rec, void *arg)
{
    struct link *k = arg;
    int err = state_notify_set(state_of(k->file), lane_name(l), rec);

    if (err)
        return err;
    return k->stopping ? state_save(k->file) : link_save(k);
}

static int on_writer_id(struct lane *l, const char *run_id, uint64_t client_id, void *arg)
{
    struct link *k = arg;
    (void)l;
    int err = state_connection_add(state_of(k->file), STATE_TARGET, run_id, client_id);
    return err ? err : link_save(k);
}

/* It goes from the file with the next save. */
static void on_writer_dead(struct lane *l, const char *run_id, uint64_t client_id, void *arg)
{
    struct link *k = arg;
    (void)l;
    state_connection_forget(state_of(k->file), STATE_TARGET, run_id, client_id);
}

/* As a lane begins at that address. */
static void recorded(const char *address, struct notify_record *ret, void *arg)
{
    const struct link *k = arg;
    const struct state *s = state_of(k->file);

    *ret = (struct notify_record){.run_id = ""};
    for (size_t i = 0; i < s->nnotify; i++)
        if (strcmp(s->notify[i].address, address) == 0)
            *ret = s->notify[i].record;
}

/* What the targets have in common. */
static void fill_target_options(struct link *k, struct lane_options *opt)
{
    const struct probed_side *targets = &k->probed[LANE_TARGET];

    opt->unswept = true;
    opt->value_max = UINT64_MAX;
    for (size_t i = 0; i < targets->count; i++) {
        const struct probe *p = &targets->at[i].probe;
        opt->unswept &= p->has_keyspace && p->ndbs == 0;
        opt->value_max = MIN(opt->value_max, p->proto_max_bulk_len);
    }
}

/* All that may still write to the target, whichever of its servers they led to. */
static size_t former_writers(const struct state *s, struct conn_former ret[STATE_IDS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < s->nconnections; i++) {
        if (s->connections[i].side != STATE_TARGET || !s->connections[i].client_id)
            continue;
        ret[n].client_id = s->connections[i].client_id;
        snprintf(ret[n++].run_id, sizeof(ret[0].run_id), "%s", s->connections[i].run_id);
    }
    return n;
}

static void fill_options(struct link *k, struct lane_options *opt)
{
    const struct config *c = k->config;

    *opt = (struct lane_options){
        .source = &k->endpoints[LANE_SOURCE],
        .target = &k->endpoints[LANE_TARGET],
        .feed = c->feed,
        .full_sync = c->psync_full_sync,
        .dbs = c->scope.all ? NULL : c->scope.at,
        .ndbs = c->scope.all ? 0 : c->scope.count,
        .into_db = k->into_db,
        .merge = c->existing_keys == EXISTING_MERGE,
        .may_evict = c->allow_eviction,
        .scan_count = (unsigned)c->scan_count,
        .memory = c->limit_memory,
        .keys_per_s = c->limit_keys_per_s,
        .bytes_per_s = c->limit_bytes_per_s,
        .coalesce_us = c->limit_coalesce_ms * 1000,
        .sink = log_sink(k->log),
        .filter = c->filter,
    };
    fill_target_options(k, opt);
    /* Of the feeds that `auto` may choose, only this one names the database. */
    if (opt->merge && opt->feed == FEED_AUTO)
        opt->feed = FEED_NOTIFY;
}

static void approve_probed(struct link *k)
{
    for (enum lane_side side = LANE_SOURCE; side <= LANE_TARGET; side++)
        for (size_t i = 0; i < k->probed[side].count; i++) {
            const struct probed *p = &k->probed[side].at[i];
            lanes_approve(k->lanes, side, p->endpoint.url.text, p->probe.id.run_id);
        }
}

void link_lanes_ready(struct link *k)
{
    static const struct lanes_events events = {
        .phase = on_phase,
        .regrouped = on_regrouped,
        .changed = on_lanes_changed,
        .lane =
            {
                .gap = on_gap,
                .feed_chosen = link_tell_feed,
                .feed_unusable = on_feed_unusable,
                .record = on_record,
                .writer_id = on_writer_id,
                .writer_dead = on_writer_dead,
                .sample = link_sample,
                .condition = link_tell_condition,
                .key_failed = link_tell_failed_key,
                .census = link_census,
            },
    };
    struct lanes_options opt = {
        .source = k->topologies[LANE_SOURCE], .target = k->topologies[LANE_TARGET], .recorded = recorded};

    fill_options(k, &opt.lane);
    opt.place = link_place(k);
    opt.lane.former = k->former;
    opt.lane.nformer = former_writers(state_of(k->file), k->former);
    int err = lanes_new(k->loop, &opt, &events, k, &k->lanes);
    if (err) {
        log_event(k->log, EVENT_INTERNAL_ERROR, "the lanes could not be made: %s", strerror(-err));
        timer_set(k->again, KEEP_US);
        return;
    }
    lanes_hold_deletes(k->lanes, k->held != 0);
    approve_probed(k);
    lanes_pause(k->lanes, k->pause_wanted);
    if (k->pause_wanted)
        link_set_state(k, LINK_PAUSED, "it was paused before riotd was restarted");
    timer_set(k->keep_timer, KEEP_US);
    /* The prober that told of this is on the stack: it goes with the next turn. */
    timer_set(k->again, 0);
}

static void again_fired(void *arg)
{
    struct link *k = arg;
    if (k->lanes)
        link_release_probes(k);
    else if (k->state == LINK_CONNECTING)
        link_probe(k);
}

void link_refresh_blockers(struct link *k, const struct lane_status *status)
{
    size_t failed = status->counts.failed + (size_t)status->long_keys;

    if (failed)
        link_block(k, BLOCKER_FAILED_KEYS, "%zu keys cannot be copied", failed);
    else
        link_unblock(k, BLOCKER_FAILED_KEYS);
    if (status->functions_error[0])
        link_block(k, BLOCKER_FUNCTIONS_REFUSED, "the function libraries cannot be copied: %s",
                   status->functions_error);
    else
        link_unblock(k, BLOCKER_FUNCTIONS_REFUSED);
    link_look_at_info(k);
}

static void keep_fired(void *arg)
{
    struct link *k = arg;
    timer_set(k->keep_timer, KEEP_US);
    if (k->lanes && !k->stopping)
        link_remember(k);
}

/* Making it. */

int link_new(struct loop *loop, const struct link_options *opt, const struct link_events *ev, void *arg,
             struct link **ret)
{
    struct link *k = calloc(1, sizeof(*k));
    if (!k)
        return -ENOMEM;
    k->loop = loop;
    k->config = opt->config;
    k->file = opt->state;
    k->log = opt->log;
    k->ev = *ev;
    k->arg = arg;
    k->into_db = opt->config->target.url.db;
    k->since_ms = clock_wall_ms();
    snprintf(k->reason, sizeof(k->reason), "not started");
    int err = link_make_endpoints(k, opt->passwords);
    if (!err)
        err = link_nodes_begin(k);
    if (!err)
        err = timer_new(loop, again_fired, k, &k->again);
    if (!err)
        err = timer_new(loop, link_map_fired, k, &k->map_timer);
    if (!err)
        err = timer_new(loop, link_slots_fired, k, &k->slots_timer);
    if (!err)
        err = timer_new(loop, keep_fired, k, &k->keep_timer);
    if (!err)
        err = timer_new(loop, stop_fired, k, &k->stop_timer);
    if (err) {
        link_free(k);
        return err;
    }
    log_set_state(k->log, states[k->state].name);
    *ret = k;
    return 0;
}

struct link *link_free(struct link *k)
{
    if (!k)
        return NULL;
    defer_cancel(k->loop, &k->stop_later);
    link_release_probes(k);
    link_put_back_end(k);
    lanes_free(k->lanes);
    link_nodes_end(k);
    link_census_forget(k);
    timer_free(k->map_timer);
    timer_free(k->slots_timer);
    timer_free(k->again);
    timer_free(k->keep_timer);
    timer_free(k->stop_timer);
    for (size_t i = 0; i < ARRAY_LEN(k->endpoints); i++)
        endpoint_clear(&k->endpoints[i]);
    free(k);
    return NULL;
}

/* Steering it. */

static int set_desired(struct link *k, enum state_desired desired, char why[LINK_WHY_MAX])
{
    struct state *s = state_of(k->file);
    enum state_desired before = s->desired;

    s->desired = desired;
    int err = state_save(k->file);
    if (!err)
        return 0;
    s->desired = before;
    return link_refuse(why, -EIO, "the state file %s cannot be written: %s", state_file_path(k->file),
                       strerror(-err));
}

static void connect_servers(struct link *k, const char *reason)
{
    memset(k->blockers, 0, sizeof(k->blockers));
    k->trusted[0] = '\0';
    k->held = 0;
    k->census_pending = false;
    link_set_state(k, LINK_CONNECTING, "%s", reason);
    link_probe(k);
}

int link_start(struct link *k, bool anew, char why[LINK_WHY_MAX])
{
    int err = link_cutover_allows_start(k, anew, why);
    if (err)
        return err;
    if (k->stopping)
        return link_refuse(why, -EPERM, "the link is being stopped: try again in a moment");
    if (k->state != LINK_IDLE && k->state != LINK_FAILED && k->state != LINK_COMMITTED &&
        k->state != LINK_FINISHED)
        return link_refuse(why, -EALREADY, "the link is %s: start works in idle and failed%s",
                           states[k->state].name, k->state == LINK_PAUSED ? "; see resume" : "");
    if (k->lanes)
        return link_refuse(why, -EPERM, "the link is being stopped: try again in a moment");
    err = anew ? link_forget(k, why) : set_desired(k, DESIRED_RUNNING, why);
    if (err)
        return err;
    k->pause_wanted = false;
    connect_servers(k, "started");
    return 0;
}

int link_pause(struct link *k, char why[LINK_WHY_MAX])
{
    if (k->in_cutover)
        return link_refuse_in_cutover(why);
    if (k->state == LINK_PAUSED)
        return 0;
    if (!k->lanes || k->stopping || k->state == LINK_CONNECTING)
        return link_refuse(why, -EPERM, "the link is %s: pause works in snapshot, resync and live",
                           states[k->state].name);
    int err = set_desired(k, DESIRED_PAUSED, why);
    if (err)
        return err;
    k->pause_wanted = true;
    lanes_pause(k->lanes, true);
    link_set_state(k, LINK_PAUSED, "copying rests; changes are still noted");
    return 0;
}

int link_resume(struct link *k, char why[LINK_WHY_MAX])
{
    struct lane_status status;

    if (k->in_cutover)
        return link_refuse_in_cutover(why);
    if (k->state != LINK_PAUSED)
        return link_refuse(why, -EPERM, "the link is %s, not paused", states[k->state].name);
    int err = set_desired(k, DESIRED_RUNNING, why);
    if (err)
        return err;
    k->pause_wanted = false;
    lanes_pause(k->lanes, false);
    lanes_status(k->lanes, &status);
    if (status.gap_pending && status.round)
        link_set_state(k, LINK_RESYNC,
                       "changes were missed during the pause: all keys are gone through again");
    else if (status.phase == LANE_DONE)
        link_follow_phase(k, status.phase);
    else
        link_set_state(k, link_state_of_phase(status.phase, status.round), "resumed; no resync is needed");
    return 0;
}

int link_accept(struct link *k, struct bytes code, char why[LINK_WHY_MAX])
{
    enum blocker b;
    char text[64];

    if (k->in_cutover)
        return link_refuse_in_cutover(why);
    if (!blocker_parse(code, &b))
        return link_refuse(why, -ENOENT, "there is no blocker %s", bytes_escape(code, text, sizeof(text)));
    if (!blockers[b].acceptable)
        return link_refuse(why, -EPERM, "%s cannot be accepted. %s", blockers[b].code, blockers[b].hint);
    if (!k->blockers[b].on || !k->lanes)
        return link_refuse(why, -ENOENT, "%s does not block the link now", blockers[b].code);
    log_event_fields(k->log, EVENT_ACCEPTED, LOG_FIELDS(LOG_TEXT(BLOCKER, blockers[b].code)),
                     "the blocker %s was accepted: %s", blockers[b].code, k->blockers[b].message);
    if (b == BLOCKER_THIN_INFO)
        memcpy(k->trusted, k->blockers[b].message, sizeof(k->trusted));
    link_unblock(k, b);
    if (b == BLOCKER_SOURCE_SHRANK)
        link_trust_source(k);
    if (b == BLOCKER_TARGET_FOREIGN)
        link_trust_target(k);
    return 0;
}

void link_stop(struct link *k, bool keep, uint64_t bound_us, void (*fn)(void *arg), void *arg)
{
    char why[LINK_WHY_MAX];

    if (!keep && set_desired(k, DESIRED_IDLE, why) < 0)
        log_event_fields(k->log, EVENT_STATE_FILE_ERROR, LOG_FIELDS(LOG_TEXT(FILE, state_file_path(k->file))),
                         "%s", why);
    if (!keep) /* a start begins anew: who knows what is done with the target until then */
        link_place_forget(k);
    if (keep && k->lanes && !k->stopping) {
        link_place_keep(k, true);
        link_remember(k);
    }
    k->stopped = fn;
    k->stopped_arg = arg;
    k->keep = keep;
    k->pause_wanted = false;
    if (k->stopping) {
        if (!keep && k->state == LINK_FAILED)
            link_set_state(k, LINK_IDLE, "stopped");
        if (timer_is_set(k->stop_timer))
            timer_set(k->stop_timer, bound_us);
        return;
    }
    if (!k->lanes && !keep)
        link_set_state(k, LINK_IDLE, "stopped");
    end_lane(k, bound_us);
}

void link_begin(struct link *k)
{
    enum state_desired desired = state_of(k->file)->desired;

    if (state_of(k->file)->cutover.stage >= STAGE_COMMITTED) {
        link_begin_after_cutover(k, false, "the state file says so");
        return;
    }
    k->in_cutover = false;
    if (desired == DESIRED_IDLE || (desired == DESIRED_NONE && !k->config->autostart)) {
        link_set_state(k, LINK_IDLE, "a cutover was undone");
        return;
    }
    k->pause_wanted = desired == DESIRED_PAUSED;
    connect_servers(k, desired == DESIRED_NONE ? "started by autostart" : "riotd was started");
}

/* A cutover lifts those of speed. */
void link_limits_changed(struct link *k)
{
    bool lifted = k->state == LINK_CUTOVER;

    if (!k->lanes)
        return;
    lanes_limits(k->lanes, k->config->limit_memory, lifted ? 0 : k->config->limit_keys_per_s,
                 lifted ? 0 : k->config->limit_bytes_per_s);
    lanes_coalesce(k->lanes, lifted ? 0 : k->config->limit_coalesce_ms * 1000);
}

int link_drain(struct link *k, void (*fn)(void *arg), void *arg)
{
    return k->lanes && !k->stopping ? lanes_drain(k->lanes, fn, arg) : -ENOTCONN;
}

void link_drain_cancel(struct link *k, void *arg)
{
    if (k->lanes)
        lanes_drain_cancel(k->lanes, arg);
}

/* Telling of it. */

void link_status(struct link *k, struct link_status *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->state = k->state;
    ret->since_ms = k->since_ms;
    ret->reason = k->reason;
    ret->has_lane = k->lanes != NULL;
    ret->lane.memory_limit_bytes = k->config->limit_memory;
    ret->lane.eta_ms = -1;
    ret->lane.feed.kind = k->config->feed;
    ret->lane.feed.state = "stopped";
    if (k->lanes)
        lanes_status(k->lanes, &ret->lane);
    if (k->lanes && !k->stopping)
        link_refresh_blockers(k, &ret->lane);
    add_totals(&ret->lane, &k->past);
    if (!ret->lane.last_gap[0])
        memcpy(ret->lane.last_gap, k->past.last_gap, sizeof(ret->lane.last_gap));
    memcpy(ret->blockers, k->blockers, sizeof(ret->blockers));
    memcpy(ret->waiting, k->waiting, sizeof(ret->waiting));
    for (size_t i = 0; i < ARRAY_LEN(k->endpoints); i++) {
        ret->endpoints[i] = &k->endpoints[i];
        ret->nodes[i] = &k->nodes[i];
    }
}

void link_each_failed(const struct link *k,
                      void (*fn)(int db, struct bytes key, const char *reason, void *arg), void *arg)
{
    if (k->lanes)
        lanes_each_failed(k->lanes, fn, arg);
}
