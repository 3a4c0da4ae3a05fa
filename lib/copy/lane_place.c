/* lane_place.c - from where the source's stream may be gone on with (CORRECTNESS 6).
 *
 * No key has an offset of its own. A place of the stream is noted, with a new epoch of the dirty set; once
 * every key that was in the set then has been applied, everything before that place has been, and the next
 * one is noted. So what is known as applied is at most one such round behind the truth, which costs marks
 * after a restart and nothing else: an older place is as right as a newer one.
 *
 * Where another server goes on with the stream, as after a failover, it has all that was taken of it: but a
 * copy is read from the server, which may be ahead of its stream, and what was so read may be lost. Those
 * keys are known by name (ahead.h), as long as riotd runs, and are read again.
 */
#include <stdio.h>
#include <string.h>

#include "lib/copy/lane_impl.h"

/* Nothing stands beside the dirty set that no mark after the place would bring back. */
static bool may_keep(struct lane *l)
{
    struct dirty_counts counts;

    dirty_counts(l->dirty, &counts);
    return lane_all_marked(l) && !counts.failed && !counts.failed_unnamed && !l->long_keys &&
           !l->deletes_held && !l->deletes_dropped;
}

/* Of the server that is read from: until both have moved to another one, what is read may be ahead of the
 * stream for good. */
static bool place_now(const struct lane *l, struct feed_place *ret)
{
    return feed_place(l->feed, ret) && l->is_approved && strcmp(ret->run_id, l->approved) == 0;
}

/* Of a mark that went to another lane, its own set knows nothing. */
static void tell_applied(struct lane *l)
{
    if (!l->opt.slots || l->ev.keeps_all(l, l->arg))
        feed_applied(l->feed, l->keeping.applied.offset);
}

static bool functions_are_there(struct lane *l)
{
    return !lane_functions_wait(l) && !functions_busy(l->functions);
}

void lane_place_tick(struct lane *l)
{
    struct lane_keeping *k = &l->keeping;
    uint64_t failures = dirty_failures(l->dirty);

    /* What failed meanwhile was not applied, though it may be queued again by now, as a new key. */
    k->noted = k->noted && failures == k->failures;
    if (!may_keep(l)) {
        k->noted = false;
        return;
    }
    if (k->noted && dirty_settled(l->dirty) && functions_are_there(l)) {
        k->applied = k->next;
        k->applied_ndbs = k->next_ndbs;
        k->has_applied = true;
        k->noted = false;
        if (k->applied.offset >= k->asked)
            k->asked = 0;
        tell_applied(l);
    }
    if (!k->noted && place_now(l, &k->next)) {
        k->noted = true;
        k->next_ndbs = l->nscope;
        k->failures = failures;
        dirty_settle_begin(l->dirty, loop_now_us(l->loop));
    }
}

/* Also the place of now, where nothing waits. */
void lane_place_answer(struct lane *l)
{
    lane_place_tick(l);
    if (l->keeping.asked)
        lane_place_tick(l);
}

void lane_place_forget(struct lane *l)
{
    l->keeping = (struct lane_keeping){.noted = false};
}

/* Behind all that was applied, and all that the scans of so many databases found. */
static bool applied(struct lane *l, struct feed_place *ret, size_t *ret_ndbs)
{
    if (!l->keeping.has_applied)
        return false;
    *ret_ndbs = l->nscope;
    if (may_keep(l) && lane_nothing_pending(l) && place_now(l, ret))
        return true;
    *ret = l->keeping.applied;
    *ret_ndbs = l->keeping.applied_ndbs;
    return true;
}

uint64_t lane_lag_bytes(struct lane *l)
{
    const struct watch_sample *s = watch_last(feed_watch(l->feed));
    struct feed_place at;
    size_t ndbs;

    if (!s || !applied(l, &at, &ndbs) || strcmp(s->id.replid, at.replid) != 0)
        return UINT64_MAX;
    return s->id.repl_offset > at.offset ? s->id.repl_offset - at.offset : 0;
}

bool lane_place(struct lane *l, struct lane_place *ret)
{
    struct feed_place at;
    size_t ndbs;

    if (!applied(l, &at, &ndbs) || ndbs > LANE_PLACE_DBS)
        return false;
    *ret = (struct lane_place){.feed = at, .ndbs = ndbs};
    for (size_t i = 0; i < ndbs; i++)
        ret->dbs[i] = l->scope[i].db;
    return true;
}

/* The target's nodes. */

/* Of one without slots, what comes there as slots move to it would be seen by nothing. */
static const struct watch_sample *target_sample(const struct target_node *n)
{
    const struct watch_sample *s = watch_last(n->watch);
    return s && n->nslots && s->has_stats && !s->loading && target_approves(n, &s->id) ? s : NULL;
}

/* Each lane reads each node by itself: of two readings, one may be from before what the other shows, which
 * that other lane alone has made good. */
static bool agrees(const struct lane *l, struct target_place *p, const struct watch_sample *s)
{
    struct target_base base = p->base;

    base.commands = 0;
    p->base.commands = MAX(p->base.commands, s->total_commands);
    return !target_base_differs(&base, s, l->opt.may_evict);
}

static bool add_target(struct place *p, const struct watch_sample *s)
{
    struct target_place t = {.run_id = ""};

    memcpy(t.run_id, s->id.run_id, sizeof(t.run_id));
    target_base_take(&t.base, s);
    return place_add_target(p, &t) == 0;
}

bool lane_place_targets(const struct lane *l, bool first, struct place *p)
{
    size_t count = 0;

    for (const struct target_node *n = target_nodes(l->target); n; n = n->next, count++) {
        const struct watch_sample *s = target_sample(n);
        struct target_place *t = s ? place_of_target(p, s->id.run_id) : NULL;
        bool good = first ? s && !t && add_target(p, s) : t && agrees(l, t, s);
        if (!good)
            return false;
    }
    return count && count == p->ntargets;
}

/* Another server goes on with the stream. */

/* Only of the server that is read from: of another, an offset says nothing of what was read. */
void lane_place_sample(struct lane *l, const struct watch_sample *s)
{
    struct feed_place at;

    if (place_now(l, &at) && lane_approves(l, &s->id) && s->id.run_id[0] &&
        strcmp(s->id.replid, at.replid) == 0)
        ahead_passed(l->ahead, s->id.repl_offset, at.offset);
}

/* Of a slot that was given away since, that lane knows. */
static void read_again(int db, struct bytes key, void *arg)
{
    if (lane_owns(arg, key))
        lane_take_mark(arg, DIRTY_LIVE, db, key);
}

/* In a cluster keys may have been read at the node that their slots were moving to, and what is moving the
 * server that takes over need not know. */
const char *lane_why_not_follow(struct lane *l)
{
    const struct topology_map *map = l->opt.source_nodes ? topology_map(l->opt.source_nodes) : NULL;

    if (!feed_follows(l->feed))
        return "";
    if (map && map->cluster && !l->ev.apart(l, l->arg))
        return ", while slots were moving";
    if (!lane_all_marked(l) || l->seal.step != SEAL_NONE)
        return ", while all keys were being gone through, or copying was about to end";
    if (!ahead_is_whole(l->ahead))
        return ", and more keys were copied just before than are kept by name";
    return NULL;
}

bool lane_follow_source(struct lane *l, const char *what)
{
    const char *why = lane_why_not_follow(l);
    char reason[sizeof(l->last_gap)];

    if (why) {
        snprintf(reason, sizeof(reason), "%s%s", what, why);
        l->feed_missed = true; /* as good as: what other lanes read there is not read again either */
        lane_gap(l, reason);
        return false;
    }
    l->followed_us = loop_now_us(l->loop);
    dirty_mark_flying(l->dirty, loop_now_us(l->loop));
    ahead_each(l->ahead, read_again, l);
    ahead_clear(l->ahead);
    l->functions_wanted = l->functions_moved = l->streams_moved = true;
    l->keeping.noted = false;
    lane_drains_begin_again(l);
    if (l->ev.followed)
        l->ev.followed(l, l->arg);
    lane_advance(l);
    return !l->gap; /* there may have been no room for all of them */
}

/* Going on from a place. */

static const char *node_differs(const struct lane *l, const struct target_node *n)
{
    const struct watch_sample *s = target_sample(n);
    const struct target_place *p = s ? place_of_target(l->opt.places, s->id.run_id) : NULL;

    /* What is not told, now as then, does not show that nothing happened. */
    if (!s || !s->id.replid[0] || (s->evicted_keys == WATCH_UNKNOWN && !l->opt.may_evict))
        return "INFO of the target does not tell what became of it";
    if (!p)
        return "the target was restarted or replaced";
    return target_base_differs(&p->base, s, l->opt.may_evict);
}

static const char *target_differs(const struct lane *l, const struct target_node **which)
{
    const char *what = NULL;

    for (const struct target_node *n = target_nodes(l->target); n && !what; n = n->next) {
        what = node_differs(l, n);
        *which = n;
    }
    return what;
}

/* Named are those that are one of several. */
static void tell_anew(const struct lane *l, const struct target_node *which, const char *why)
{
    bool lanes = l->opt.slots != NULL, nodes = target_nodes(l->target)->next != NULL;

    sink_say(l->opt.sink, SINK_NOTICE, "resync_needed", "all keys%s%.200s are gone through: %s%s%.200s",
             lanes ? " of " : "", lanes ? lane_name(l) : "", why, nodes ? ": " : "",
             nodes ? which->endpoint->url.text : "");
}

static bool was_in_scope(const struct lane *l, int db)
{
    for (size_t i = 0; i < l->opt.place.ndbs; i++)
        if (l->opt.place.dbs[i] == db)
            return true;
    return false;
}

/* A database that has come up since is scanned. Which streams there are is not known, nor whether entries
 * were delivered once more in the meantime. */
static void go_on(struct lane *l)
{
    l->gap = l->feed_missed = l->need_sweep = l->opt.unswept = false;
    for (size_t i = 0; i < l->nscope; i++)
        l->scope[i].scanned = was_in_scope(l, l->scope[i].db);
    l->functions_wanted = l->streams_moved = true;
    streams_lack_some(l->streams);
    l->resumed = l->catching_up = true;
    dirty_settle_begin(l->dirty, loop_now_us(l->loop));
    lane_pump_soon(l);
}

bool lane_resume(struct lane *l)
{
    const struct target_node *which = NULL;

    if (!l->resuming)
        return false;
    l->resuming = false;
    if (!feed_resumed(l->feed))
        return false;
    const char *why = target_differs(l, &which);
    if (why) {
        tell_anew(l, which, why);
        return false;
    }
    go_on(l);
    return true;
}
