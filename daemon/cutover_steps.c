/* cutover_steps.c - the steps from the question whether it can be done at all to the hard fence. */
#include "daemon/cutover_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/core/text.h"

#define LEASE_MIN_MS   2000
#define SAMPLE_NAMES   256
#define SPOT_NAMES_MAX (384 * KIB) /* the lane's ring of the newest, and the sample */
#define SPOT_RUNS_MAX  3
#define TTL_SLACK_MS   5
#define QUIET_EXTRA_US 10000000
#define SINCE_WAITAOF  70200

/* 1. validate. */

static void plan(struct cutover *c, const char *format, ...) PRINTF_LIKE(2, 3);
static void plan(struct cutover *c, const char *format, ...)
{
    va_list args;

    if (c->status.nplan == ARRAY_LEN(c->status.plan))
        return;
    va_start(args, format);
    vsnprintf(c->status.plan[c->status.nplan++], sizeof(c->status.plan[0]), format, args);
    va_end(args);
}

/* How many a lease outlasts. Each shard writes down twice what it changes, one after the other. */
static uint64_t saves(const struct cutover *c)
{
    return 10 + 2 * (fences_count(c->fences) - 1);
}

/* How long writers wait if riotd dies: long enough that neither a slow disk nor a slow network ends it. */
static uint64_t lease_ms(struct cutover *c)
{
    uint64_t save_ms = saves(c) * state_save_us(c->file) / 1000;
    uint64_t trips_ms = 20ull * c->report->sample.round_trip_us / 1000;

    return MIN(MAX(MAX(save_ms, trips_ms), (uint64_t)LEASE_MIN_MS), c->opt.max_write_pause_ms);
}

static void plan_fence(struct cutover *c)
{
    char bound[TEXT_MAX], lease[TEXT_MAX], quiet[TEXT_MAX];

    if (c->status.fence == FENCE_NONE) {
        plan(c,
             "nothing is fenced: nobody else may write to the source, and for %s nothing may have been "
             "written",
             text_ms_exact(c->opt.quiet_for_ms, quiet));
        return;
    }
    plan(c, "writes wait (CLIENT PAUSE WRITE), with a lease of %s; all is undone if it takes more than %s",
         text_ms_exact(lease_ms(c), lease), text_ms_exact(c->opt.max_write_pause_ms, bound));
    plan(c, "then they are kept away by the fence `%s` on %zu node%s%s", fence_names[c->status.fence],
         c->report->nnodes, c->report->nnodes == 1 ? "" : "s",
         c->opt.fence == FENCE_AUTO ? ", the first that is possible here" : "");
    for (int kind = FENCE_AUTO + 1; c->opt.fence == FENCE_AUTO && kind < (int)c->status.fence; kind++)
        if (!c->report->kinds[kind].allowed)
            plan(c, "not by `%s`: %.150s", fence_names[kind], c->report->kinds[kind].why_not);
    if (c->status.fence == FENCE_HOLD)
        plan(c, "whoever writes to the source waits until riotctl finish, or for %s if riotd dies",
             text_ms_exact(c->opt.hold_lease_ms, lease));
}

static void plan_compare(struct cutover *c)
{
    char budget[TEXT_MAX];

    if (c->opt.verify == CUTOVER_VERIFY_FULL)
        plan(c, "before that both sides are compared in whole");
    if (c->opt.verify != CUTOVER_VERIFY_NONE)
        plan(c, "meanwhile the keys copied last and a sample are compared, for at most %s",
             text_ms_exact(c->opt.verify_budget_ms, budget));
    else
        plan(c, "nothing is compared");
}

static void make_plan(struct cutover *c)
{
    char stable[TEXT_MAX], timeout[TEXT_MAX];
    const struct fence_report *r = c->report;

    plan(c, "the source is %.120s (%s %s)", link_endpoint(c->link, LANE_SOURCE)->url.text,
         server_kind_name(r->id.kind), r->id.version);
    for (size_t i = 0; i < r->nnodes && i < 4; i++)
        plan(c, "its %s: %.150s", r->nodes[i].primary ? "primary" : "replica", r->nodes[i].address);
    if (r->nnodes > 4)
        plan(c, "and %zu %s more", r->nnodes - 4, fences_count(c->fences) == 1 ? "replicas" : "nodes");
    plan(c, "it begins once the lag is at most %" PRIu64 " ms for %s; if not within %s, nothing is done",
         c->opt.max_lag_ms, text_ms_exact(c->opt.stable_for_ms, stable),
         text_ms_exact(c->opt.gate_timeout_ms, timeout));
    plan_fence(c);
    plan_compare(c);
    if (c->config->target_wait_replicas || c->config->target_wait_aof)
        plan(c, "the target confirms it: %" PRIu64 " replicas%s", c->config->target_wait_replicas,
             c->config->target_wait_aof ? ", and its append-only file" : "");
    plan(c, "from then on writes go to %.150s", link_endpoint(c->link, LANE_TARGET)->url.text);
}

/* A pause keeps Sentinel's own PUBLISH waiting too: it takes the source for down. */
static bool sentinel_allows(struct cutover *c)
{
    uint64_t down_after = c->opt.sentinel_down_after_ms;

    if (!c->report->sentinels || c->status.fence == FENCE_NONE)
        return true;
    if (c->status.fence == FENCE_HOLD)
        cutover_fail(c, CTL_REFUSED,
                     "a Sentinel watches the source: it would fail over during the fence hold");
    else if (!down_after)
        cutover_fail(c, CTL_REFUSED,
                     "a Sentinel watches the source, and fails over if the pause is long: give its "
                     "down-after-milliseconds as --sentinel-down-after");
    else if (2 * c->opt.max_write_pause_ms >= down_after)
        cutover_fail(c, CTL_REFUSED,
                     "a Sentinel watches the source: --max-write-pause (%" PRIu64
                     " ms) is to be below half of its down-after-milliseconds (%" PRIu64 ")",
                     c->opt.max_write_pause_ms, down_after);
    else
        return true;
    return false;
}

static bool choose_fence(struct cutover *c)
{
    const struct fence_report *r = c->report;
    enum fence_kind kind = c->opt.fence;

    if (kind == FENCE_AUTO && !r->kinds[FENCE_AUTO].allowed) {
        cutover_fail(c, CTL_REFUSED,
                     "no fence is possible here: %.200s. If nobody else writes to the source: --fence none",
                     r->kinds[FENCE_AUTO].why_not);
        return false;
    }
    if (!r->kinds[kind].allowed) {
        cutover_fail(c, CTL_REFUSED, "the fence `%s` is not possible here: %s", fence_names[kind],
                     r->kinds[kind].why_not);
        return false;
    }
    kind = kind == FENCE_AUTO ? r->chosen : kind;
    if (kind != FENCE_NONE && !r->can_pause) {
        cutover_fail(c, CTL_REFUSED, "writes to the source cannot be made to wait: %s", r->why_no_pause);
        return false;
    }
    c->status.fence = kind;
    c->status.has_fence = true;
    return true;
}

static bool is_primary(struct cutover *c)
{
    for (size_t i = 0; i < fences_count(c->fences); i++) {
        const struct server_id *id = fences_id(c->fences, i);
        if (id->role == ROLE_PRIMARY)
            continue;
        cutover_fail(c, CTL_REFUSED,
                     "source_is_replica: the source at %s is a replica of %s:%u: give the URL of its primary "
                     "in source.url, and restart riotd",
                     fences_endpoint(c->fences, i)->url.text, id->primary_host, (unsigned)id->primary_port);
        return false;
    }
    return true;
}

/* What is fenced and proved on one server while another is copied from proves nothing. */
static bool is_copied_from(struct cutover *c)
{
    for (size_t i = 0; i < fences_count(c->fences); i++) {
        if (!cutover_another_source(c, i))
            continue;
        cutover_fail(c, CTL_REFUSED,
                     "another server answers at %.120s than the one that is copied from: its run id is %s. "
                     "Restart riotd once the name leads to the right one",
                     fences_endpoint(c->fences, i)->url.text, fences_id(c->fences, i)->run_id);
        return false;
    }
    return true;
}

static bool nodes_reached(struct cutover *c)
{
    const struct fence_report *r = c->report;

    for (size_t i = 0; i < r->nnodes; i++) {
        if (r->nodes[i].reached || c->status.fence == FENCE_NONE)
            continue;
        cutover_fail(c, CTL_REFUSED, "the node %.150s of the source cannot be fenced: %s",
                     r->nodes[i].address, r->nodes[i].why);
        return false;
    }
    return true;
}

static bool disk_is_fast_enough(struct cutover *c)
{
    uint64_t save_ms = state_save_us(c->file) / 1000;

    if (c->status.fence == FENCE_NONE || saves(c) * save_ms <= c->opt.max_write_pause_ms)
        return true;
    if (fences_count(c->fences) == 1)
        cutover_fail(c, CTL_REFUSED,
                     "writing the state file took %" PRIu64
                     " ms: --max-write-pause is to be at least ten times that",
                     save_ms);
    else
        cutover_fail(c, CTL_REFUSED,
                     "writing the state file took %" PRIu64 " ms: for %zu shards --max-write-pause is to be "
                     "at least %" PRIu64 " ms",
                     save_ms, fences_count(c->fences), saves(c) * save_ms);
    return false;
}

/* What can be known now need not be found out while writers wait. */
static void can_confirm(enum lane_side side, const char *address, void *arg)
{
    struct cutover *c = arg;
    struct lanes *lanes = link_lanes(c->link);
    const struct watch_sample *s = lanes ? lanes_last_sample(lanes, side, address) : NULL;

    if (!s)
        return;
    if (s->nreplicas < c->config->target_wait_replicas)
        cutover_fail(c, CTL_REFUSED, "target.wait_replicas is %" PRIu64 ", and the target has %zu replicas",
                     c->config->target_wait_replicas, s->nreplicas);
    else if (c->config->target_wait_aof && s->id.redis < SINCE_WAITAOF)
        cutover_fail(c, CTL_REFUSED,
                     "target.wait_aof is set, and the target is %s: WAITAOF came with Redis 7.2",
                     s->id.version);
}

static bool target_can_confirm(struct cutover *c)
{
    link_each_primary(c->link, LANE_TARGET, can_confirm, c);
    return cutover_in(c, CUTOVER_VALIDATE);
}

/* Nor is it when the writers wait, or, with none, have been stopped. */
static bool source_can_tell(struct cutover *c)
{
    if (cutover_cannot_prove(c))
        cutover_fail(c, CTL_REFUSED, "the source does not tell how many writes it runs%s",
                     c->status.fence == FENCE_NONE ? ": that nobody writes cannot be shown"
                                                   : ", nor what has changed: that none slips in cannot be");
    return cutover_in(c, CUTOVER_VALIDATE);
}

static void dry_run_done(struct cutover *c)
{
    const char *away = cutover_away(&cutover_link(c)->lane);

    if (away) {
        cutover_fail(c, CTL_REFUSED, "a server is away: %s", away);
        return;
    }
    cutover_done(c, "it could begin");
    cutover_undo(c, CTL_OK);
}

static void probed(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (!cutover_in(c, CUTOVER_VALIDATE))
        return;
    fences_report(c->fences, c->report);
    if (err) {
        cutover_fail(c, CTL_REFUSED, "%s", why);
        return;
    }
    if (!is_primary(c) || !is_copied_from(c) || !choose_fence(c) || !nodes_reached(c) ||
        !sentinel_allows(c) || !disk_is_fast_enough(c) || !target_can_confirm(c) || !source_can_tell(c))
        return;
    make_plan(c);
    if (c->opt.dry_run)
        dry_run_done(c);
    else
        cutover_done(c, "fence %s", fence_names[c->status.fence]);
}

/* What the last verify found stands until another has looked; full looks by itself. */
static bool drift_is_known(struct cutover *c)
{
    const struct verify_report *r = verification_last(c->verification);

    if (c->opt.verify == CUTOVER_VERIFY_FULL || !r || r->verdict != VERIFY_DRIFT)
        return false;
    cutover_fail(c, CTL_REFUSED,
                 "the last verify found that the sides differ: riotctl verify --repair mends it, "
                 "and cutover --verify full looks again");
    return true;
}

void step_validate(struct cutover *c)
{
    char why[LINK_WHY_MAX];

    if (link_cutover(c->link, why) < 0)
        cutover_fail(c, CTL_REFUSED, "%s", why);
    else if (cutover_link(c)->lane.feed.kind == FEED_NONE)
        cutover_fail(c, CTL_REFUSED, "without a feed nothing tells of changes: there is no cutover");
    else if (verification_runs(c->verification))
        cutover_fail(c, CTL_REFUSED, "a verify is running: wait for its end, or: riotctl verify --stop");
    else if (drift_is_known(c))
        return;
    else if (cutover_make_fence(c) < 0)
        cutover_fail(c, CTL_REFUSED, "out of memory");
    else
        fences_probe(c->fences, probed, c);
}

/* 2. gate. Nothing is fenced yet. */

static void gather_next(void *arg)
{
    struct cutover *c = arg;

    if (!cutover_in(c, CUTOVER_GATE) || !c->gathering)
        return;
    while (c->gathered < c->ndbs) {
        int db = c->dbs[c->gathered++];
        if (spot_gather(c->spot, db, (unsigned)MAX(SAMPLE_NAMES / c->ndbs, (size_t)1), gather_next, c) == 0)
            return;
    }
    c->gathering = false;
}

static void spot_up(void *arg)
{
    struct cutover *c = arg;

    if (!cutover_in(c, CUTOVER_GATE) || c->dbs)
        return;
    c->dbs = link_dbs(c->link, &c->ndbs);
    if (!c->dbs) {
        cutover_fail(c, CTL_ROLLED_BACK, "out of memory");
        return;
    }
    c->ndbs = MIN(c->ndbs, (size_t)SAMPLE_NAMES);
    gather_next(c);
}

static void spot_done(const struct spot_report *r, void *arg);

static void approve_spot(enum lane_side side, const char *address, void *arg)
{
    struct cutover *c = arg;
    struct lanes *lanes = link_lanes(c->link);

    if (lanes)
        spot_approve(c->spot, (int)side, address, lanes_approved(lanes, side, address));
}

static int make_spot(struct cutover *c)
{
    static const struct spot_events events = {.up = spot_up, .done = spot_done};
    int64_t skew = c->report->clock_skew_ms;
    struct compare_options opt = {
        .source = link_endpoint(c->link, LANE_SOURCE),
        .target = link_endpoint(c->link, LANE_TARGET),
        .topology = {link_topology(c->link, LANE_SOURCE), link_topology(c->link, LANE_TARGET)},
        .into_db = link_into_db(c->link),
        .ttl_tolerance_ms = TTL_SLACK_MS + (uint64_t)(skew < 0 ? -skew : skew),
        .role = "spot",
        .filter = c->config->filter,
    };

    c->gathering = true;
    int err = spot_new(c->loop, &opt, SPOT_NAMES_MAX, &events, c, &c->spot);
    for (enum lane_side side = LANE_SOURCE; !err && side <= LANE_TARGET; side++)
        link_each_primary(c->link, side, approve_spot, c);
    return err;
}

static void gate_verified(const struct verify_report *r, void *arg)
{
    struct cutover *c = arg;
    uint64_t drift = 0;

    if (!c->verifying)
        return;
    c->verifying = false;
    if (!cutover_in(c, CUTOVER_GATE))
        return;
    for (size_t i = 0; i < DRIFT_KINDS; i++)
        drift += r->drift[i];
    if (r->verdict == VERIFY_DRIFT)
        cutover_fail(c, CTL_ROLLED_BACK,
                     "the sides differ in %" PRIu64 "%s of %" PRIu64
                     " keys, such as %s (%s). See: riotctl verify --last",
                     drift, r->at_least ? " or more" : "", r->compared,
                     r->nfindings ? r->findings[0].key : "?",
                     r->nfindings ? drift_name(r->findings[0].kind) : "?");
    else if (r->verdict != VERIFY_CLEAN)
        cutover_fail(c, CTL_ROLLED_BACK, "the verify before it was %s: %s", verify_verdict_name(r->verdict),
                     r->reason);
    else {
        c->verified = true;
        timer_set(c->deadline, c->opt.gate_timeout_ms * 1000);
    }
}

/* It takes what it takes: the time-out of the gate begins after it. */
static void verify_all(struct cutover *c)
{
    const struct verification_options opt = {.db = -1, .ttl_tolerance_ms = -1};
    char why[LINK_WHY_MAX];

    timer_clear(c->deadline);
    c->verifying = true;
    if (verification_run(c->verification, &opt, why, gate_verified, c) == 0)
        return;
    c->verifying = false;
    cutover_fail(c, CTL_ROLLED_BACK, "verify: %s", why);
}

void step_gate(struct cutover *c)
{
    struct lanes *lanes = link_lanes(c->link);
    struct lane_generation now;

    if (!lanes) {
        cutover_fail(c, CTL_ROLLED_BACK, "the replication has ended");
        return;
    }
    lanes_generation(lanes, &now);
    c->gaps_before = now.gaps;
    lanes_retry(lanes);
    timer_set(c->deadline, c->opt.gate_timeout_ms * 1000);
    if (c->opt.verify != CUTOVER_VERIFY_NONE && make_spot(c) < 0)
        cutover_fail(c, CTL_ROLLED_BACK, "out of memory");
    else if (c->opt.verify == CUTOVER_VERIFY_FULL) {
        c->gaps_matter = true; /* what was compared before one is compared in vain */
        verify_all(c);
    }
}

void cutover_stop_verify(struct cutover *c)
{
    char why[LINK_WHY_MAX];

    if (!c->verifying)
        return;
    c->verifying = false;
    if (verification_stop(c->verification, why) < 0)
        return; /* it has ended by itself */
}

/* NULL: nothing stands against the pause. */
static const char *not_yet(struct cutover *c, const struct link_status *s)
{
    if (s->lane.phase != LANE_LIVE || s->lane.gap_pending)
        return "the link is not live";
    for (size_t i = 0; i < BLOCKER_COUNT; i++)
        if (s->blockers[i].on)
            return s->blockers[i].message;
    for (enum lane_condition i = 0; i < LANE_CONDITIONS; i++)
        if (s->lane.conditions[i].on && !cutover_is_advice(i))
            return s->lane.conditions[i].text;
    if (s->lane.lag_ms > c->opt.max_lag_ms)
        return "the lag is too long";
    return NULL;
}

static void gate_late(struct cutover *c, const char *why, const struct link_status *s)
{
    cutover_step_text(c, "lag %" PRIu64 " ms, %" PRIu64 " keys: %.100s", s->lane.lag_ms, s->lane.lag_keys,
                      why);
}

void step_gate_poll(struct cutover *c)
{
    const struct link_status *s;
    uint64_t now_us = clock_mono_us();
    char stable[TEXT_MAX];

    if (c->verifying) {
        cutover_step_text(c, "everything is being compared: see riotctl verify --last");
        return;
    }
    s = cutover_link(c);
    const char *why = not_yet(c, s);
    if (why)
        c->stable_since_us = 0;
    else if (!c->stable_since_us)
        c->stable_since_us = now_us;
    uint64_t stable_ms = why ? 0 : (now_us - c->stable_since_us) / 1000;
    if (why)
        gate_late(c, why, s);
    else if (c->spot && (c->gathering || !spot_is_up(c->spot)))
        gate_late(c, "the connections for comparing are being made", s);
    else if (stable_ms < c->opt.stable_for_ms)
        gate_late(c, "not yet for long enough", s);
    else
        cutover_done(c, "lag %" PRIu64 " ms, stable for %s%s", s->lane.lag_ms, text_ms(stable_ms, stable),
                     c->verified ? ", everything was compared" : "");
}

/* 3. soft fence. */

static bool add_name(int db, struct bytes key, void *arg)
{
    struct cutover *c = arg;
    return spot_add(c->spot, db, key);
}

static void start_counting(struct cutover *c)
{
    struct lanes *lanes = link_lanes(c->link);
    struct lane_generation now;

    if (!lanes)
        return;
    lanes_generation(lanes, &now);
    c->gaps_before = now.gaps;
    c->gaps_matter = true;
    if (c->spot)
        lanes_each_recent(lanes, add_name, c);
}

static void paused(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (!cutover_in(c, CUTOVER_SOFT_FENCE))
        return;
    if (err) {
        cutover_fail(c, CTL_ROLLED_BACK, "writes could not be made to wait: %s", why);
        return;
    }
    /* Writers wait since the request was sent, and not while its note was written to the disk. */
    if (fences_paused_us(c->fences))
        c->pause_began_us = clock_mono_us() - fences_paused_us(c->fences);
    cutover_done(c, "writes wait; the lease is %" PRIu64 " ms", cutover_state(c)->lease_ms);
}

static void pause_writes(struct cutover *c)
{
    struct state_cutover *s = cutover_state(c);

    state_nodes_clear(s);
    *s = (struct state_cutover){.stage = STAGE_PAUSING,
                                .fence = c->status.fence,
                                .began_ms = c->status.began_ms,
                                .lease_ms = lease_ms(c)};
    if (fences_note(c->fences) < 0 || cutover_save(c) < 0) {
        state_cutover_clear(s); /* nothing was asked for: a pause that is there is somebody else's */
        cutover_fail(c, CTL_ROLLED_BACK, "the state file %s cannot be written", state_file_path(c->file));
        return;
    }
    c->fenced = true;
    c->pause_began_us = clock_mono_us();
    timer_set(c->bound, c->opt.max_write_pause_ms * 1000);
    fences_pause(c->fences, s->lease_ms, c->opt.max_write_pause_ms, paused, c);
}

/* none: in place of a pause, nothing may have been written for so long. */

static void quiet_began(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (!cutover_in(c, CUTOVER_SOFT_FENCE))
        return;
    if (err) {
        cutover_fail(c, CTL_REFUSED, "the source cannot be looked at: %s", why);
        return;
    }
    cutover_take_counters(c);
    if (cutover_cannot_count(c)) {
        cutover_fail(c, CTL_REFUSED,
                     "the source does not tell how many writes it runs: that nobody writes cannot be shown");
        return;
    }
    c->quiet_since_us = clock_mono_us();
}

static void quiet_drained(void *arg)
{
    struct cutover *c = CONTAINER_OF(arg, struct cutover, drain_tag);

    c->draining = false;
    if (!cutover_in(c, CUTOVER_SOFT_FENCE))
        return;
    cutover_take_generation(c);
    fences_read(c->fences, quiet_began, c);
}

static void prove_quiet(struct cutover *c)
{
    timer_set(c->deadline, c->opt.quiet_for_ms * 1000 + QUIET_EXTRA_US);
    c->draining = link_drain(c->link, quiet_drained, &c->drain_tag) == 0;
    if (!c->draining)
        cutover_fail(c, CTL_REFUSED, "the replication has ended");
}

static void quiet_ended(int err, const char *why, void *arg)
{
    struct cutover *c = arg;
    char text[CUTOVER_MOVED_MAX];

    if (!cutover_in(c, CUTOVER_SOFT_FENCE))
        return;
    if (err)
        cutover_fail(c, CTL_REFUSED, "the source cannot be looked at: %s", why);
    else if (cutover_is_still(c, text))
        cutover_skip(c, "no fence: nothing was written to the source in the time asked for");
    else
        cutover_fail(c, CTL_REFUSED, "somebody still writes to the source: %s", text);
}

void step_quiet_poll(struct cutover *c)
{
    if (!c->quiet_since_us || c->quiet_asked)
        return;
    if (clock_mono_us() - c->quiet_since_us < c->opt.quiet_for_ms * 1000)
        return;
    c->quiet_asked = true;
    fences_read(c->fences, quiet_ended, c);
}

void step_soft_fence(struct cutover *c)
{
    char why[LINK_WHY_MAX];

    /* One that was begun since reads from the target: it would go on past the commit. */
    if (verification_runs(c->verification) && verification_stop(c->verification, why) < 0)
        cutover_step_text(c, "%.100s", why);
    if (!link_lanes(c->link) || fences_changed(c->fences)) { /* in the gate, which may have taken long */
        cutover_fail(c, CTL_ROLLED_BACK, "%s",
                     link_lanes(c->link) ? fences_changed(c->fences) : "the replication has ended");
        return;
    }
    start_counting(c);
    if (c->status.fence == FENCE_NONE)
        prove_quiet(c);
    else
        pause_writes(c);
}

/* 4. barrier, and 5. drain: both are asked for at once, and share one barrier. The counts that prove that
 * nothing was written since are of before it: what was written until then the barrier waits for, and what is
 * written later moves them, though its mark may be on its way for long, as over a connection that was lost.
 */

void step_drain(struct cutover *c)
{
    if (!c->drained || !cutover_in(c, CUTOVER_DRAIN))
        return;
    c->base.copied_keys = cutover_link(c)->lane.copied_keys;
    cutover_done(c, "the target has all that was written");
}

static void barrier_settled(void *arg)
{
    struct cutover *c = CONTAINER_OF(arg, struct cutover, settle_tag);

    c->settling = false;
    if (!cutover_in(c, CUTOVER_BARRIER))
        return;
    cutover_take_generation(c);
    cutover_done(c, "every change that was made has been told");
}

static void all_drained(void *arg)
{
    struct cutover *c = CONTAINER_OF(arg, struct cutover, drain_tag);

    c->draining = false;
    c->drained = true;
    step_drain(c);
}

static void begin_barrier(struct cutover *c)
{
    struct lanes *lanes = link_lanes(c->link);

    c->settling = lanes && lanes_settle(lanes, barrier_settled, &c->settle_tag) == 0;
    c->draining = c->settling && link_drain(c->link, all_drained, &c->drain_tag) == 0;
    if (!c->draining)
        cutover_fail(c, CTL_ROLLED_BACK, "the replication is not live");
}

static void counts_read(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (!cutover_in(c, CUTOVER_BARRIER))
        return;
    if (!err)
        cutover_take_counters(c);
    if (err || !c->base.known)
        cutover_fail(c, CTL_ROLLED_BACK, "the source cannot be looked at: %s", err ? why : "out of memory");
    else
        begin_barrier(c);
}

void step_barrier(struct cutover *c)
{
    c->base.known = false;
    c->drained = false;
    fences_read(c->fences, counts_read, c);
}

void cutover_drop_drains(struct cutover *c)
{
    struct lanes *lanes = link_lanes(c->link);

    if (c->settling && lanes)
        lanes_drain_cancel(lanes, &c->settle_tag);
    if (c->draining)
        link_drain_cancel(c->link, &c->drain_tag);
    c->settling = c->draining = false;
}

/* 6. verify. */

static bool spot_drifted(struct cutover *c, const struct spot_report *r)
{
    uint64_t drift = 0;

    for (size_t i = 0; i < DRIFT_KINDS; i++)
        drift += r->drift[i];
    if (!drift)
        return false;
    /* A key that ran out between the reading of one side and of the other differs once, and not again. */
    if (++c->spot_runs < SPOT_RUNS_MAX && spot_run(c->spot, c->opt.verify_budget_ms * 1000) == 0)
        return true;
    cutover_fail(c, CTL_ROLLED_BACK, "%" PRIu64 " of %" PRIu64 " compared keys differ, such as %s (%s: %s)",
                 drift, r->compared, r->nfindings ? r->findings[0].key : "?",
                 r->nfindings ? drift_name(r->findings[0].kind) : "?",
                 r->nfindings ? r->findings[0].what : "?");
    return true;
}

static void spot_done(const struct spot_report *r, void *arg)
{
    struct cutover *c = arg;
    char unknown[48] = "";

    if (!cutover_in(c, CUTOVER_VERIFY))
        return;
    if (r->lost) {
        cutover_fail(c, CTL_ROLLED_BACK, "a connection for comparing was lost");
        return;
    }
    if (spot_drifted(c, r))
        return;
    if (r->unknown)
        snprintf(unknown, sizeof(unknown), ", %" PRIu64 " cannot be compared", r->unknown);
    cutover_done(c, "%" PRIu64 " of %" PRIu64 " keys compared, all equal%s", r->compared, r->names, unknown);
}

void step_verify(struct cutover *c)
{
    if (!c->spot)
        cutover_skip(c, "not asked for");
    else if (!spot_is_up(c->spot) || spot_run(c->spot, c->opt.verify_budget_ms * 1000) < 0)
        cutover_fail(c, CTL_ROLLED_BACK, "a connection for comparing was lost");
}

/* 7. hard fence. */

static void fence_is_set(int err, const char *why, void *arg)
{
    struct cutover *c = arg;
    char text[160];

    if (!cutover_in(c, CUTOVER_HARD_FENCE))
        return;
    if (err) {
        cutover_fail(c, CTL_ROLLED_BACK, "the fence could not be set: %s", why);
        return;
    }
    cutover_describe_fence(c, text, sizeof(text));
    cutover_done(c, "%s", text);
}

void step_hard_fence(struct cutover *c)
{
    if (c->status.fence == FENCE_NONE) {
        cutover_skip(c, "no fence");
        return;
    }
    /* Written to the disk together with what is there before it is changed. With hold that is nothing, but
     * the lease: what holds over the commit, and a restart right after it, has to be in force before it. */
    cutover_state(c)->stage = STAGE_FENCING;
    fences_hold_lease(c->fences, c->opt.hold_lease_ms);
    fences_set(c->fences, c->status.fence, fence_is_set, c);
}
