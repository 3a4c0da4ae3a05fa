/* cutover_prove.c - the steps from the hard fence on: what proves that nothing slipped in, the commit, and
 * the release. */
#include "daemon/cutover_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"

#define SEAL_TRIES       5 /* with the fence none, keys that run out are copied meanwhile */
#define CONFIRM_LEAST_MS 10
#define HOLD_LEAST_US    500000
#define RELEASE_TRIES    3
#define KEYS_CHANGED     "keys that are there have changed"
#define CONFIRM_MOST_MS  30000

/* What is compared. */

void cutover_take_generation(struct cutover *c)
{
    struct lanes *lanes = link_lanes(c->link);

    if (lanes)
        lanes_generation(lanes, &c->base.generation);
}

static bool all_read(const struct cutover *c)
{
    for (size_t i = 0; i < fences_count(c->fences); i++)
        if (!fences_sample(c->fences, i))
            return false;
    return true;
}

static uint64_t target_version(const struct cutover *c)
{
    const struct topology *t = link_topology(c->link, LANE_TARGET);
    const struct topology_map *map = t ? topology_map(t) : NULL;
    return map ? map->version : 0;
}

void cutover_take_counters(struct cutover *c)
{
    size_t n = fences_count(c->fences);
    struct cutover_counters *shards = all_read(c) ? realloc(c->base.shards, n * sizeof(*shards)) : NULL;

    if (!shards)
        return;
    c->base.shards = shards;
    c->base.nshards = n;
    for (size_t i = 0; i < n; i++) {
        const struct watch_sample *s = fences_sample(c->fences, i);
        shards[i] = (struct cutover_counters){.write_calls = s->has_stats ? s->write_calls : WATCH_UNKNOWN,
                                              .rdb_changes = s->rdb_changes,
                                              .last_save = s->last_save};
    }
    c->base.known = true;
    c->base.copied_keys = cutover_link(c)->lane.copied_keys;
    c->base.target_version = target_version(c);
}

bool cutover_cannot_count(const struct cutover *c)
{
    for (size_t i = 0; i < c->base.nshards; i++)
        if (c->base.shards[i].write_calls == WATCH_UNKNOWN)
            return true;
    return !c->base.known;
}

bool cutover_cannot_prove(const struct cutover *c)
{
    for (size_t i = 0; i < fences_count(c->fences); i++) {
        const struct watch_sample *s = fences_sample(c->fences, i);
        bool calls = s && s->has_stats && s->write_calls != WATCH_UNKNOWN;
        bool changes = s && s->rdb_changes != WATCH_UNKNOWN && s->last_save != WATCH_UNKNOWN;
        if (!calls && (!changes || c->status.fence == FENCE_NONE))
            return true;
    }
    return false;
}

static bool same_calls(const struct cutover_counters *was, const struct watch_sample *s)
{
    return s->has_stats && s->write_calls != WATCH_UNKNOWN && s->write_calls == was->write_calls;
}

/* Of two readings of the dirty counter with no save between them. */
static bool same_changes(const struct cutover_counters *was, const struct watch_sample *s)
{
    return s->rdb_changes != WATCH_UNKNOWN && s->last_save != WATCH_UNKNOWN &&
           s->rdb_changes == was->rdb_changes && s->last_save == was->last_save;
}

static bool saved_since(const struct cutover_counters *was, const struct watch_sample *s)
{
    return s->last_save == WATCH_UNKNOWN || s->rdb_changes == WATCH_UNKNOWN || s->last_save != was->last_save;
}

/* With the fence none expiry goes on: what ran out brings marks, and moves the dirty counter. Calls of write
 * commands decide, and that the lanes had to copy no key that is there. */
static const char *none_moved(struct cutover *c, const struct cutover_counters *was,
                              const struct watch_sample *s)
{
    if (!same_calls(was, s))
        return "write commands were called";
    if (cutover_link(c)->lane.copied_keys != c->base.copied_keys)
        return KEYS_CHANGED;
    return NULL;
}

static const char *moved(struct cutover *c, const struct cutover_counters *was, const struct watch_sample *s)
{
    if (c->status.fence == FENCE_NONE)
        return none_moved(c, was, s);
    if (same_changes(was, s))
        return NULL;
    if (!saved_since(was, s))
        return "its count of changes has moved";
    return same_calls(was, s) ? NULL : "whether it took writes since cannot be told";
}

static const char *generation_moved(struct cutover *c)
{
    struct lanes *lanes = link_lanes(c->link);
    struct lane_generation now;

    if (!lanes)
        return "the replication has ended";
    lanes_generation(lanes, &now);
    if (now.gaps != c->base.generation.gaps)
        return "changes may have been missed since the barrier";
    if (now.marks != c->base.generation.marks && c->status.fence != FENCE_NONE)
        return "the feed told of a change after the barrier";
    return NULL;
}

bool cutover_another_source(const struct cutover *c, size_t shard)
{
    const struct lanes *lanes = link_lanes(c->link);
    const char *address = fences_endpoint(c->fences, shard)->url.text;

    return !lanes ||
           strcmp(lanes_approved(lanes, LANE_SOURCE, address), fences_id(c->fences, shard)->run_id) != 0;
}

static const char *became_another(const struct cutover *c, size_t shard, const struct server_id *now)
{
    const struct server_id *was = fences_id(c->fences, shard);

    if (cutover_another_source(c, shard))
        return "the server that is fenced is not the one that is copied from";
    if (strcmp(now->run_id, was->run_id) != 0)
        return "it was restarted or replaced";
    if (now->role != ROLE_PRIMARY)
        return "it is no longer a primary";
    if (strcmp(now->replid, was->replid) != 0)
        return "its replication id has changed";
    return NULL;
}

static const char *shard_moved(struct cutover *c, size_t i)
{
    const struct watch_sample *s = fences_sample(c->fences, i);
    const char *reason = s ? became_another(c, i, &s->id) : "it was not read";

    if (!reason && i >= c->base.nshards)
        reason = "it was not read";
    return reason ? reason : moved(c, &c->base.shards[i], s);
}

const char *cutover_away(const struct lane_status *status)
{
    static const enum lane_condition away[] = {LANE_SOURCE_DOWN,   LANE_TARGET_DOWN,    LANE_SOURCE_SILENT,
                                               LANE_TARGET_SILENT, LANE_SOURCE_LOADING, LANE_TARGET_LOADING};

    for (size_t i = 0; i < ARRAY_LEN(away); i++)
        if (status->conditions[away[i]].on)
            return status->conditions[away[i]].text;
    return NULL;
}

bool cutover_is_advice(enum lane_condition c)
{
    return c == LANE_MEMORY_SHORT || c == LANE_OUT_OF_SCOPE || c == LANE_SLOTS_LEFT;
}

/* By the newest readings; NULL: nothing. */
static const char *what_moved(struct cutover *c, char text[CUTOVER_MOVED_MAX])
{
    const char *reason = fences_changed(c->fences);
    size_t n = fences_count(c->fences);

    if (!reason)
        reason = generation_moved(c);
    if (!reason && target_version(c) != c->base.target_version)
        reason = "the nodes of the target, or which of them own which slots, are others than before";
    for (size_t i = 0; i < n && !reason; i++) {
        reason = shard_moved(c, i);
        if (!reason || n == 1)
            continue;
        snprintf(text, CUTOVER_MOVED_MAX, "%s: %s", fences_endpoint(c->fences, i)->url.text, reason);
        return text;
    }
    return reason;
}

bool cutover_is_still(struct cutover *c, char why[CUTOVER_MOVED_MAX])
{
    char text[CUTOVER_MOVED_MAX];
    const char *reason = what_moved(c, text);

    snprintf(why, CUTOVER_MOVED_MAX, "%s", reason ? reason : "");
    return !reason;
}

/* 8. prove the source: and once more when the target is sealed, since that may take as long as its replicas
 * take to confirm. */

static bool is_proving(const struct cutover *c)
{
    return cutover_in(c, CUTOVER_PROVE_SOURCE) || cutover_in(c, CUTOVER_PROVE_TARGET);
}

static void source_read(int err, const char *why, void *arg)
{
    struct cutover *c = arg;
    char text[CUTOVER_MOVED_MAX];

    if (!is_proving(c))
        return;
    if (err)
        cutover_fail(c, CTL_ROLLED_BACK, "the source cannot be looked at: %s", why);
    else if (!cutover_is_still(c, text))
        cutover_fail(c, CTL_ROLLED_BACK, "the source: %s", text);
    else if (cutover_in(c, CUTOVER_PROVE_SOURCE))
        cutover_done(c, "nothing was written to the source since the barrier");
    else
        cutover_done(c, "it is the same server, with the same data; nothing more is written to it");
}

static void proved(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (!is_proving(c))
        return;
    if (err)
        cutover_fail(c, CTL_ROLLED_BACK, "the fence is not proved: %s", why);
    else
        fences_read(c->fences, source_read, c);
}

void step_prove_source(struct cutover *c)
{
    if (c->status.fence == FENCE_NONE)
        fences_read(c->fences, source_read, c);
    else
        fences_prove(c->fences, proved, c);
}

/* 9. prove and seal the target. */

static uint64_t pause_left_ms(const struct cutover *c)
{
    uint64_t bound_ms = c->opt.max_write_pause_ms;
    uint64_t spent_ms = cutover_paused_ms(c);

    return spent_ms < bound_ms ? bound_ms - spent_ms : 0;
}

static void seal(struct cutover *c);

static void drained_again(void *arg)
{
    struct cutover *c = CONTAINER_OF(arg, struct cutover, drain_tag);

    c->draining = false;
    if (cutover_in(c, CUTOVER_PROVE_TARGET))
        seal(c);
}

/* A key that ran out since has to be deleted there first. */
static void seal_later(struct cutover *c)
{
    if (++c->seal_tries < SEAL_TRIES)
        c->draining = link_drain(c->link, drained_again, &c->drain_tag) == 0;
    if (!c->draining)
        cutover_fail(c, CTL_ROLLED_BACK,
                     "keys change all the time: there is no moment in which all are copied");
}

static void sealed(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    if (!cutover_in(c, CUTOVER_PROVE_TARGET))
        return;
    if (err == -EAGAIN)
        seal_later(c);
    else if (err)
        cutover_fail(c, CTL_ROLLED_BACK, "the target: %s", why);
    else
        step_prove_source(c);
}

static void seal(struct cutover *c)
{
    struct lanes *lanes = link_lanes(c->link);
    const struct lane_confirm confirm = {
        .replicas = (unsigned)c->config->target_wait_replicas,
        .aof = c->config->target_wait_aof,
        /* Less than there is: that it was not confirmed is to be told, and not that it took too long. */
        .timeout_ms = (unsigned)MIN(MAX(pause_left_ms(c) * 3 / 4, (uint64_t)CONFIRM_LEAST_MS),
                                    (uint64_t)CONFIRM_MOST_MS),
    };
    int err = lanes ? lanes_seal(lanes, &confirm, sealed, c) : -ENOTCONN;

    if (err == -EBUSY)
        seal_later(c);
    else if (err)
        cutover_fail(c, CTL_ROLLED_BACK, "the target: %s",
                     err == -ENOTCONN ? "its connection was lost" : strerror(-err));
}

void step_prove_target(struct cutover *c)
{
    if (c->spot)
        spot_close(c->spot);
    if (c->on_seal)
        c->on_seal(c->on_seal_arg);
    if (verification_runs(c->verification))
        cutover_fail(c, CTL_ROLLED_BACK, "a verify was begun, which reads the target");
    else
        seal(c);
}

/* 10. commit: the point of no return. */

/* The counts are those of the barrier, and not newer ones: what slipped in since is to be counted. */
static void write_down(struct cutover *c)
{
    struct state_cutover *state = cutover_state(c);

    if (c->status.fence == FENCE_NONE)
        *state = (struct state_cutover){.began_ms = c->status.began_ms, .fence = FENCE_NONE};
    state->stage = STAGE_COMMITTED;
    state->committed_ms = clock_wall_ms();
    state->lease_ms = c->status.fence == FENCE_HOLD ? c->opt.hold_lease_ms : 0;
    state->write_pause_ms = cutover_paused_ms(c);
    for (size_t i = 0; i < c->base.nshards; i++)
        fences_note_commit(c->fences, i, c->base.shards[i].write_calls);
}

static void kept_waiting(int err, const char *why, void *arg)
{
    struct cutover *c = arg;
    if (err)
        log_event_fields(c->log, EVENT_FENCE_LOST,
                         LOG_FIELDS(LOG_TEXT(FENCE, fence_names[FENCE_HOLD]), LOG_TEXT(REASON, why)),
                         "the write pause of the source cannot be renewed: %s", why);
}

/* Nobody can tell which of the two the disk has: nothing is undone, and nothing goes on. */
static void outcome_unknown(struct cutover *c)
{
    char fenced[200];

    c->outcome_unknown = true;
    cutover_describe_fence(c, fenced, sizeof(fenced));
    snprintf(c->status.failed, sizeof(c->status.failed),
             "whether the commit reached the disk is not known (%.60s). Still fenced: %.180s",
             state_file_path(c->file), fenced[0] ? fenced : "nothing");
    cutover_step_failed(c);
    cutover_let_go(c);
    cutover_set_mode(c, MODE_STUCK);
    log_event_fields(
        c->log, EVENT_CUTOVER_NEEDS_PERSON,
        LOG_FIELDS(LOG_TEXT(FENCE, fence_names[c->status.fence]), LOG_TEXT(FILE, state_file_path(c->file))),
        "%s", c->status.failed);
    link_cutover_failed(c->link, c->status.failed);
    if (c->status.fence == FENCE_HOLD)
        fences_release(c->fences, c->opt.hold_lease_ms, kept_waiting, c);
    operation_end(c->ops, c->operation, "unknown", CTL_NEEDS_PERSON, "%s", c->status.failed);
    c->operation = 0;
}

static void tell_committed(struct cutover *c)
{
    char pause[64] = "";

    if (c->status.has_write_pause)
        snprintf(pause, sizeof(pause), "; writes have waited for %" PRIu64 " ms", c->status.write_pause_ms);
    log_event_fields(c->log, EVENT_CUTOVER_COMMITTED,
                     LOG_FIELDS(LOG_TEXT(FENCE, fence_names[c->status.fence]),
                                LOG_NUMBER(WRITE_PAUSE_MS, cutover_known_pause_ms(c))),
                     "committed: the target owns the data from now on%s", pause);
}

/* Where nothing but the pause keeps the writers away (hold), it must not end while the commit is being
 * written to the disk, and before it is renewed. */
static uint64_t lease_needed_us(struct cutover *c)
{
    return c->status.fence == FENCE_HOLD ? MAX((uint64_t)HOLD_LEAST_US, 3 * state_save_us(c->file)) : 1;
}

static const char *commit_forbidden(struct cutover *c, char text[CUTOVER_MOVED_MAX])
{
    const char *reason = what_moved(c, text); /* they are read each second, also after the proof */

    if (reason || c->status.fence == FENCE_NONE)
        return reason;
    if (!pause_left_ms(c))
        return "writes have waited for longer than the bound";
    if (!fences_is_paused(c->fences))
        return "the write pause did not hold";
    return fences_lease_left_us(c->fences) < lease_needed_us(c) ? "the write pause is about to end" : NULL;
}

/* The disk may have taken longer than the lease, or the process have stood still: where nothing else keeps
 * writers away, they are counted from what was written down. */
static void look_at_pause(struct cutover *c)
{
    c->pause_lapsed = c->status.fence == FENCE_HOLD && !fences_is_paused(c->fences);
}

void step_commit(struct cutover *c)
{
    struct state_cutover *state = cutover_state(c);
    char text[CUTOVER_MOVED_MAX];
    const char *reason = commit_forbidden(c, text);

    if (reason) {
        cutover_fail(c, CTL_ROLLED_BACK, "%s", reason);
        return;
    }
    const struct state_cutover before = *state;
    write_down(c);
    if (cutover_save(c) < 0) {
        if (state_save_unknown(c->file)) {
            outcome_unknown(c);
            return;
        }
        *state = before;
        cutover_fail(c, CTL_ROLLED_BACK, "the state file %s cannot be written", state_file_path(c->file));
        return;
    }
    look_at_pause(c);
    timer_clear(c->bound);
    cutover_note_pause(c);
    cutover_set_mode(c, MODE_RELEASING);
    tell_committed(c);
    cutover_done(c, "the point of no return has passed");
}

/* 11. release. */

static void end_released(struct cutover *c, const char *target, const char *pause)
{
    uint64_t id = c->operation;

    c->operation = 0;
    if (c->pause_lapsed)
        operation_end(c->ops, id, "slipped", CTL_NEEDS_PERSON,
                      "writes go to %.100s from now on; but the pause of the old source ended before it was "
                      "renewed: writes may have slipped in there, see the journal for their number%.60s",
                      target, c->left);
    else
        operation_end(c->ops, id, "ok", CTL_OK, "writes go to %.200s from now on%s%s", target, pause,
                      c->left);
}

/* The operation may have ended by its deadline, when the source did not answer. */
static void tell_released(struct cutover *c)
{
    const char *target = link_endpoint(c->link, LANE_TARGET)->url.text;
    char pause[64] = "";

    if (c->status.has_write_pause)
        snprintf(pause, sizeof(pause), "; writes waited for %" PRIu64 " ms", c->status.write_pause_ms);
    log_event_fields(c->log, EVENT_CUTOVER_RELEASED,
                     LOG_FIELDS(LOG_TEXT(ENDPOINT, "target"), LOG_TEXT(ADDRESS, target),
                                LOG_NUMBER(WRITE_PAUSE_MS, cutover_known_pause_ms(c))),
                     "writes go to %s from now on%s", target, pause);
    if (c->pause_lapsed)
        log_event(
            c->log, EVENT_CUTOVER_NEEDS_PERSON,
            "the write pause, which alone keeps writers from the old source, ended before it was renewed "
            "after the commit: writes that slipped in are not on the target, and are counted from now on");
    end_released(c, target, pause);
}

void cutover_watch_committed(struct cutover *c)
{
    if (c->mode != MODE_RELEASING)
        return;
    if (cutover_in(c, CUTOVER_RELEASE))
        cutover_done(c, "writes go to the target");
    cutover_let_go(c);
    cutover_set_mode(c, MODE_COMMITTED);
    cutover_free_parts(c);
    if (c->fences)
        fences_watch(c->fences, true);
    tell_released(c);
    cutover_ended(c);
}

static void released(int err, const char *why, void *arg)
{
    struct cutover *c = arg;

    /* One that ran out is not renewed, but can be asked for anew. */
    if (err && c->mode == MODE_RELEASING && c->status.fence == FENCE_HOLD) {
        c->pause_lapsed |= !fences_is_paused(c->fences);
        if (c->release_tries++ < RELEASE_TRIES) {
            step_release_again(c);
            return;
        }
    }
    if (err)
        snprintf(c->left, sizeof(c->left), "; the pause of the old source could not be %s: %.200s",
                 c->status.fence == FENCE_HOLD ? "renewed" : "ended", why);
    cutover_watch_committed(c);
}

/* Where nothing was paused, a pause is somebody else's. */
void step_release_again(struct cutover *c)
{
    if (c->status.fence == FENCE_NONE) {
        released(0, "", c);
        return;
    }
    fences_release(c->fences, cutover_state(c)->lease_ms, released, c);
}

void step_release(struct cutover *c)
{
    char reason[120] = "the target owns the data";

    if (c->status.has_write_pause)
        snprintf(reason, sizeof(reason), "the target owns the data; writes waited for %" PRIu64 " ms",
                 c->status.write_pause_ms);
    link_committed(c->link, reason);
    step_release_again(c);
}
