/* lanes.c - see lanes.h. Making the lanes, steering them as one, and passing on what they say. */
#include "lib/copy/lanes_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/text.h"

static void tell_soon(struct lanes *s);

/* What the lanes say. */

/* How far each phase is; the whole is as far as its last lane. */
static const uint8_t how_far[] = {
    [LANE_CONNECTING] = 0, [LANE_GAP] = 1,  [LANE_SCAN] = 2, [LANE_SWEEP] = 3,
    [LANE_SETTLING] = 4,   [LANE_DONE] = 5, [LANE_LIVE] = 6,
};

static enum lane_phase least_far(const struct lanes *s)
{
    enum lane_phase least = LANE_LIVE;

    for (size_t i = 0; i < s->n; i++) {
        enum lane_phase phase = s->at[i]->lane->phase;
        if (how_far[phase] < how_far[least])
            least = phase;
    }
    return least;
}

static bool any_pass(const struct lanes *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i]->lane->round)
            return true;
    return false;
}

/* A lane that joins later has the whole begin a pass again, not connect again. The pass of a lane may be over
 * before another has gone on from its place. */
void lanes_follow_phase(struct lanes *s)
{
    enum lane_phase phase = least_far(s);

    if (phase == LANE_CONNECTING && s->phase != LANE_CONNECTING)
        phase = LANE_GAP;
    if (phase == s->phase)
        return;
    bool begins = how_far[s->phase] <= how_far[LANE_GAP] && how_far[phase] > how_far[LANE_GAP];
    bool resumes = s->phase == LANE_CONNECTING && phase == LANE_LIVE && !any_pass(s);
    s->phase = phase;
    s->resumed |= resumes;
    if (begins && !resumes)
        s->round += s->resumed && s->round == 0 ? 2 : 1;
    s->ev.phase(phase, s->arg);
}

static struct served *served_of(const struct lanes *s, const struct lane *l)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i]->lane == l)
            return s->at[i];
    return NULL;
}

static void on_phase(struct lane *l, enum lane_phase phase, void *arg)
{
    struct lanes *s = arg;
    struct served *one = served_of(s, l);

    if (one && phase == LANE_SCAN && l->feed_missed) {
        l->feed_missed = false;
        lanes_missed(one);
    }
    if (one && phase == LANE_SCAN && l->dropped) {
        l->dropped = false;
        lanes_dropped(one);
    }
    lanes_follow_phase(s);
}

static void on_gap(struct lane *l, const char *reason, void *arg)
{
    struct lanes *s = arg;

    struct served *one = served_of(s, l);

    snprintf(s->last_gap, sizeof(s->last_gap), "%s", reason);
    lanes_drains_begin_again(s);
    if (one)
        lanes_gave_up(one);
    s->ev.lane.gap(l, reason, s->arg);
}

static void on_feed_chosen(struct lane *l, enum feed_kind kind, void *arg)
{
    struct lanes *s = arg;
    s->ev.lane.feed_chosen(l, kind, s->arg);
}

static void on_feed_unusable(struct lane *l, const char *why, void *arg)
{
    struct lanes *s = arg;
    s->ev.lane.feed_unusable(l, why, s->arg);
}

static int on_record(struct lane *l, const struct notify_record *rec, void *arg)
{
    struct lanes *s = arg;
    return s->ev.lane.record(l, rec, s->arg);
}

static int on_writer_id(struct lane *l, const char *run_id, uint64_t client_id, void *arg)
{
    struct lanes *s = arg;
    return s->ev.lane.writer_id(l, run_id, client_id, s->arg);
}

static void on_writer_dead(struct lane *l, const char *run_id, uint64_t client_id, void *arg)
{
    struct lanes *s = arg;
    s->ev.lane.writer_dead(l, run_id, client_id, s->arg);
}

static void on_sample(struct lane *l, enum lane_side side, const char *address,
                      const struct watch_sample *sample, bool stranger, void *arg)
{
    struct lanes *s = arg;

    s->ev.lane.sample(l, side, address, sample, stranger, s->arg);
    struct served *one = side == LANE_SOURCE ? served_of(s, l) : NULL;
    if (one)
        lanes_counted(one, sample);
    tell_soon(s);
    if (one && !stranger)
        lanes_left_look(one);
}

static void on_condition(struct lane *l, enum lane_condition c, const char *text, void *arg)
{
    struct lanes *s = arg;
    s->ev.lane.condition(l, c, text, s->arg);
}

static void on_key_failed(struct lane *l, int db, struct bytes key, const char *reason, void *arg)
{
    struct lanes *s = arg;
    s->ev.lane.key_failed(l, db, key, reason, s->arg);
}

static void on_census(struct lane *l, uint64_t seen, uint64_t missing, void *arg)
{
    struct lanes *s = arg;
    s->ev.lane.census(l, seen, missing, s->arg);
}

static void on_stray(struct lane *l, enum dirty_class class, int db, struct bytes key, void *arg)
{
    lanes_stray(arg, l, class, db, key);
}

static bool on_crowded(struct lane *l, void *arg)
{
    const struct served *one = served_of(arg, l);
    return one && lanes_crowded(one);
}

static void on_groups(struct lane *l, void *arg)
{
    struct served *one = served_of(arg, l);
    if (one)
        lanes_groups(one);
}

static void on_unknown(struct lane *l, struct bytes key, void *arg)
{
    (void)l;
    lanes_unknown(arg, key);
}

static void on_redirected(struct lane *l, unsigned slot, bool ask, const char *address, uint64_t since_us,
                          void *arg)
{
    (void)l;
    lanes_redirected(arg, slot, ask, address, since_us);
}

static const char *on_approved(struct lane *l, const char *address, void *arg)
{
    (void)l;
    return lanes_approved(arg, LANE_SOURCE, address);
}

static bool on_apart(struct lane *l, void *arg)
{
    const struct served *one = served_of(arg, l);
    return one && lanes_is_apart(arg, one);
}

static bool on_keeps_all(struct lane *l, void *arg)
{
    const struct served *one = served_of(arg, l);
    return one && lanes_keeps_all(arg, one);
}

static void on_followed(struct lane *l, void *arg)
{
    (void)l;
    lanes_drains_begin_again(arg);
}

static void on_landed(struct lane *l, void *arg)
{
    struct served *one = served_of(arg, l);
    if (one)
        lanes_give(one);
}

/* Making and ending them. */

static uint64_t share(uint64_t limit, size_t n)
{
    return limit ? MAX(limit / n, (uint64_t)1) : 0;
}

void lanes_recorded(struct lanes *s, const char *address, struct notify_record *ret)
{
    *ret = s->opt.lane.recorded;
    if (s->opt.recorded)
        s->opt.recorded(address, ret, s->arg);
}

/* As many as there will be, when a lane is made. */
static size_t lanes_due(const struct lanes *s)
{
    const struct topology_map *map = s->opt.source ? topology_map(s->opt.source) : NULL;
    return MAX(map ? map->nshards : 1, s->n + 1);
}

/* A lane that joins later has none. */
static void fill_place(const struct lanes *s, const struct served *one, struct lane_options *opt)
{
    const struct lane_place *at = s->version ? NULL : place_of_lane(&s->place, one->shard.primary.id);

    opt->places = &s->place;
    if (at)
        opt->place = *at;
}

static void fill_options(struct lanes *s, struct served *one, struct lane_options *opt)
{
    *opt = s->opt.lane;
    opt->memory = s->opt.lane.memory / lanes_due(s);
    opt->source = s->opt.source ? &one->source : s->opt.lane.source;
    opt->source_nodes = s->opt.source;
    opt->slots = &one->slots;
    opt->target_nodes = s->opt.target;
    opt->without_functions = s->n > 0;
    opt->unswept = opt->unswept && !s->round;
    fill_place(s, one, opt);
    lanes_recorded(s, opt->source->url.text, &opt->recorded);
}

static int new_lane(struct lanes *s, struct served *one)
{
    static const struct lane_events events = {
        .phase = on_phase,
        .gap = on_gap,
        .feed_chosen = on_feed_chosen,
        .feed_unusable = on_feed_unusable,
        .record = on_record,
        .writer_id = on_writer_id,
        .writer_dead = on_writer_dead,
        .sample = on_sample,
        .condition = on_condition,
        .key_failed = on_key_failed,
        .census = on_census,
        .stray = on_stray,
        .crowded = on_crowded,
        .groups = on_groups,
        .unknown = on_unknown,
        .redirected = on_redirected,
        .approved = on_approved,
        .apart = on_apart,
        .keeps_all = on_keeps_all,
        .followed = on_followed,
        .landed = on_landed,
    };
    struct lane_options opt;
    int err = s->opt.source ? topology_endpoint(s->opt.source, &one->shard.primary, &one->source) : 0;

    if (err)
        return err;
    fill_options(s, one, &opt);
    return lane_new(s->loop, &opt, &events, s, &one->lane);
}

static struct served *free_served(struct served *one)
{
    lane_free(one->lane);
    endpoint_node_clear(&one->source);
    free(one);
    return NULL;
}

/* Of the servers that are known already, a lane that joins need not be told. */
static void approve_targets(struct lanes *s, struct lane *l)
{
    const struct topology_map *map = s->opt.target ? topology_map(s->opt.target) : NULL;
    struct endpoint e;

    for (size_t i = 0; map && i < map->nshards; i++) {
        if (topology_endpoint(s->opt.target, &map->shards[i].primary, &e) < 0)
            continue;
        const char *run_id = lanes_approved(s, LANE_TARGET, e.url.text);
        if (run_id[0])
            lane_approve(l, LANE_TARGET, e.url.text, run_id);
        endpoint_node_clear(&e);
    }
}

int lanes_add(struct lanes *s, const struct shard *shard, size_t index)
{
    struct served **more = realloc(s->at, (s->n + 1) * sizeof(struct served *));
    struct served *one = more ? calloc(1, sizeof(*one)) : NULL;

    s->at = more ? more : s->at;
    if (!one)
        return -ENOMEM;
    *one = (struct served){.all = s, .shard = *shard, .index = index};
    int err = new_lane(s, one);
    if (err) {
        free_served(one);
        return err;
    }
    lane_hold_deletes(one->lane, s->deletes_held);
    lane_pause(one->lane, s->paused);
    approve_targets(s, one->lane);
    s->at[s->n++] = one;
    return 0;
}

static void keep_past(struct lanes *s, struct lane *l)
{
    struct lane_status *past = &s->past, now;

    lane_status(l, &now);
    past->marks += now.marks;
    past->copied_keys += now.copied_keys;
    past->deleted_keys += now.deleted_keys;
    past->bytes += now.bytes;
    past->retries += now.retries;
    past->gaps += now.gaps;
    s->past_marks += l->told;
}

void lanes_remove(struct lanes *s, struct served *one)
{
    size_t i = 0;

    lanes_missed(one); /* keys of others' slots are gone with the node */
    while (s->at[i] != one)
        i++;
    memmove(&s->at[i], &s->at[i + 1], (s->n - i - 1) * sizeof(struct served *));
    s->n--;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        s->owner[slot] = s->owner[slot] == one ? NULL : s->owner[slot];
        s->asked[slot] = s->asked[slot] == one ? NULL : s->asked[slot];
        if (slot_set_has(&one->others, slot))
            lanes_left_none(one, slot);
    }
    for (i = 0; i < s->n; i++)
        s->at[i]->passed = s->at[i]->passed == one ? NULL : s->at[i]->passed;
    lanes_place_forget(s);
    keep_past(s, one->lane);
    free_served(one);
    if (s->n)
        s->at[0]->lane->opt.without_functions = false;
}

uint64_t lanes_memory_least(size_t lanes, size_t nodes)
{
    return lanes * share_least(nodes);
}

bool lanes_memory_is_short(uint64_t memory, size_t lanes, size_t nodes, char text[LANES_MEMORY_TEXT])
{
    uint64_t least = lanes_memory_least(lanes, nodes);
    char has[TEXT_MAX], needs[TEXT_MAX];

    if (memory >= least)
        return false;
    snprintf(text, LANES_MEMORY_TEXT,
             "limits.memory is %s; %zu shards of the source and %zu of the target need %s, and take it",
             text_size(memory, has), lanes, nodes, text_size_exact(least, needs));
    return true;
}

/* What is of no single lane is told by the first one. */

static void tell_memory(struct lanes *s)
{
    struct lane *first = s->at[0]->lane;
    char text[LANES_MEMORY_TEXT];

    if (lanes_memory_is_short(s->opt.lane.memory, s->n, target_count(first->target), text))
        lane_condition(first, LANE_MEMORY_SHORT, "%s", text);
    else
        lane_condition(first, LANE_MEMORY_SHORT, NULL);
}

/* A filter by which nothing is left is hardly meant. */
static void tell_scope(struct lanes *s)
{
    uint64_t seen = 0, copied = s->past.copied_keys;
    bool over = s->phase == LANE_LIVE || s->phase == LANE_DONE;

    for (size_t i = 0; i < s->n; i++) {
        seen += MAX(s->at[i]->lane->scanned, s->at[i]->lane->estimated);
        copied += s->at[i]->lane->copied;
    }
    if (!s->opt.lane.filter || copied)
        lane_condition(s->at[0]->lane, LANE_OUT_OF_SCOPE, NULL);
    else if (over && seen)
        lane_condition(s->at[0]->lane, LANE_OUT_OF_SCOPE, "filter leaves none of the %ju keys of the source",
                       (uintmax_t)seen);
}

static void tell(void *arg)
{
    tell_memory(arg);
    tell_scope(arg);
}

static void tell_soon(struct lanes *s)
{
    loop_defer(s->loop, &s->tell_later, tell, s);
}

static void target_changed(void *arg)
{
    struct lanes *s = arg;

    s->ev.regrouped(s->arg);
    tell_soon(s);
}

void lanes_share_limits(struct lanes *s)
{
    const struct lane_options *o = &s->opt.lane;

    for (size_t i = 0; i < s->n; i++)
        lane_limits(s->at[i]->lane, o->memory / s->n, share(o->keys_per_s, s->n),
                    share(o->bytes_per_s, s->n));
    tell_soon(s);
}

/* Without a topology, or with a single server, one lane has all. */
static int add_all(struct lanes *s)
{
    static const struct shard alone = {.nslots = SLOTS};
    const struct topology_map *map = s->opt.source ? topology_map(s->opt.source) : NULL;
    int err = map ? 0 : lanes_add(s, &alone, 0);

    for (size_t i = 0; map && i < map->nshards && !err; i++)
        err = lanes_add(s, &map->shards[i], i);
    for (unsigned slot = 0; !err && slot < SLOTS; slot++) {
        size_t i = map ? map->owner[slot] : 0;
        if (i < s->n)
            lanes_own(s->at[i], slot);
    }
    return err || s->n ? err : -ENOTCONN;
}

static void again_fired(void *arg)
{
    lanes_follow(arg);
}

static void topology_changed(void *arg)
{
    struct lanes *s = arg;

    s->ev.regrouped(s->arg);
    lanes_seal_fail(s, -ECANCELED, "the nodes of the source are others, or their slots");
    lanes_follow(s);
}

static void topology_confirmed(void *arg)
{
    lanes_drains_look(arg);
}

int lanes_new(struct loop *loop, const struct lanes_options *opt, const struct lanes_events *ev, void *arg,
              struct lanes **ret)
{
    struct lanes *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->loop = loop;
    s->opt = *opt;
    s->ev = *ev;
    s->arg = arg;
    s->listener =
        (struct topology_listener){.changed = topology_changed, .confirmed = topology_confirmed, .arg = s};
    s->target_listener = (struct topology_listener){.changed = target_changed, .arg = s};
    if (s->opt.source)
        topology_listen(s->opt.source, &s->listener);
    if (s->opt.target)
        topology_listen(s->opt.target, &s->target_listener);
    int err = opt->place ? place_copy(&s->place, opt->place) : 0;
    if (!err)
        err = timer_new(loop, again_fired, s, &s->again);
    if (!err)
        err = add_all(s);
    if (err) {
        lanes_free(s);
        return err;
    }
    if (s->opt.source && topology_map(s->opt.source))
        s->version = topology_map(s->opt.source)->version;
    lanes_share_limits(s);
    *ret = s;
    return 0;
}

struct lanes *lanes_free(struct lanes *s)
{
    if (!s)
        return NULL;
    if (s->opt.source)
        topology_unlisten(s->opt.source, &s->listener);
    if (s->opt.target)
        topology_unlisten(s->opt.target, &s->target_listener);
    defer_cancel(s->loop, &s->follow_later);
    defer_cancel(s->loop, &s->tell_later);
    timer_free(s->again);
    lanes_drains_free(s);
    for (size_t i = 0; i < s->n; i++)
        free_served(s->at[i]);
    free(s->at);
    place_clear(&s->place);
    free(s);
    return NULL;
}

static void one_stopped(bool put_back, void *arg)
{
    struct lanes *s = arg;

    s->put_back &= put_back;
    if (--s->stop_due == 0 && s->stopped)
        s->stopped(s->put_back, s->stopped_arg);
}

void lanes_stop(struct lanes *s, void (*fn)(bool put_back, void *arg), void *arg)
{
    s->stopping = true;
    s->stopped = fn;
    s->stopped_arg = arg;
    s->put_back = true;
    s->stop_due = s->n;
    for (size_t i = 0; i < s->n; i++)
        lane_stop(s->at[i]->lane, one_stopped, s);
}

size_t lanes_count(const struct lanes *s)
{
    return s->n;
}

struct lane *lanes_at(const struct lanes *s, size_t i)
{
    return s->at[i]->lane;
}

/* Steering them. */

void lanes_approve(struct lanes *s, enum lane_side side, const char *address, const char *run_id)
{
    for (size_t i = 0; i < s->n; i++)
        lane_approve(s->at[i]->lane, side, address, run_id);
}

const char *lanes_approved(const struct lanes *s, enum lane_side side, const char *address)
{
    const char *run_id = "";
    for (size_t i = 0; i < s->n && !run_id[0]; i++)
        run_id = lane_approved(s->at[i]->lane, side, address);
    return run_id;
}

void lanes_hold_deletes(struct lanes *s, bool held)
{
    s->deletes_held = held;
    for (size_t i = 0; i < s->n; i++)
        lane_hold_deletes(s->at[i]->lane, held);
}

void lanes_pause(struct lanes *s, bool paused)
{
    s->paused = paused;
    for (size_t i = 0; i < s->n; i++)
        lane_pause(s->at[i]->lane, paused);
}

void lanes_limits(struct lanes *s, uint64_t memory, uint64_t keys_per_s, uint64_t bytes_per_s)
{
    s->opt.lane.memory = memory;
    s->opt.lane.keys_per_s = keys_per_s;
    s->opt.lane.bytes_per_s = bytes_per_s;
    lanes_share_limits(s);
}

void lanes_coalesce(struct lanes *s, uint64_t most_us)
{
    s->opt.lane.coalesce_us = most_us;
    for (size_t i = 0; i < s->n; i++)
        lane_coalesce(s->at[i]->lane, most_us);
}

/* Of a slot that is no lane's nothing is kept: a lane that takes it over begins its pass again. */
void lanes_mark(struct lanes *s, int db, struct bytes key)
{
    struct served *one = lanes_owner(s, key);
    if (one)
        lane_mark(one->lane, db, key);
}

/* What is no lane's differs for no known reason: it counts as about to be copied. */
bool lanes_is_dirty(const struct lanes *s, int db, struct bytes key)
{
    const struct served *one = lanes_owner(s, key);
    return !one || lane_is_dirty(one->lane, db, key);
}

void lanes_retry(struct lanes *s)
{
    for (size_t i = 0; i < s->n; i++)
        lane_retry(s->at[i]->lane);
}
