/* target_nodes.c - the nodes of a target: how they come and go, who may be written to there, what is seen of
 * each. */
#include "lib/copy/target_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN_US 5000000

/* Whom it may write to. */

bool target_approves(const struct target_node *n, const struct server_id *id)
{
    return n->is_approved && strcmp(n->approved, id->run_id) == 0;
}

/* One address leads to two servers. What the watch is connected to decides who is approved, so it connects
 * anew. */
static void look_again(struct target_node *n)
{
    struct conn *watch = watch_conn(n->watch);
    uint64_t now_us = loop_now_us(n->of->loop);

    if (now_us - n->looked_again_us < LOOK_AGAIN_US || !conn_is_up(watch) ||
        !target_approves(n, conn_server(watch)))
        return;
    n->looked_again_us = now_us;
    conn_reset(watch, "another connection to this address reached another server");
}

int target_identified(struct target_node *n, const struct server_id *id, const char **why)
{
    if (target_approves(n, id))
        return 0;
    if (n->is_approved)
        look_again(n);
    *why = "another server process answers there; it is being looked at";
    return -EPERM;
}

/* A connection to a server that is no longer the one may not go on; one that waits connects at once. */
static void follow_approval(struct target_node *n)
{
    struct conn *c = writer_conn(n->writer);

    if (n->of->closed)
        return;
    if (conn_is_up(c) && !target_approves(n, conn_server(c)))
        conn_reset(c, "the server was replaced");
    conn_hold(c, true);
    conn_hold(c, false);
}

bool target_approve(struct target *t, struct target_node *n, const char *run_id)
{
    bool replaced = n->is_approved && strcmp(n->approved, run_id) != 0;
    (void)t;

    snprintf(n->approved, sizeof(n->approved), "%s", run_id);
    n->is_approved = true;
    if (replaced)
        n->has_base = false;
    follow_approval(n);
    return replaced;
}

/* The writer. */

static void key_answered(struct dirty_key *k, struct bytes error, uint64_t bytes, bool deleted, void *arg)
{
    struct target_node *n = arg;

    if (!error.len && (!deleted || bytes)) {
        n->has_keys = n->writer_wrote = true;
        n->unproved = false; /* what came before in the node's stream is proved with it */
    }
    n->of->ev.answered(n, k, error, bytes, deleted, n->of->arg);
}

static void key_typed(struct dirty_key *k, struct bytes type, struct bytes error, void *arg)
{
    struct target_node *n = arg;
    n->of->ev.typed(n, k, type, error, n->of->arg);
}

static void key_lost(struct dirty_key *k, void *arg)
{
    struct target_node *n = arg;
    n->of->ev.lost(n, k, n->of->arg);
}

static void writer_told(int what, size_t count, const int64_t *numbers, struct bytes error, void *arg)
{
    struct target_node *n = arg;
    n->of->ev.told(what, count, numbers, error, n->of->arg);
}

static int writer_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                             void *arg)
{
    struct target_node *n = arg;
    (void)c;

    int err = target_identified(n, id, why);
    if (!err && client_id) {
        err = n->of->ev.writer_id(id->run_id, client_id, n->of->arg);
        *why = "its CLIENT ID could not be written to the state file";
    }
    return err;
}

static void writer_dead(const struct conn_former *former, void *arg)
{
    struct target_node *n = arg;
    n->of->ev.writer_dead(former, n->of->arg);
}

/* Was it that one connection alone that the server closed, while it lived on? */
static bool closed_for_a_key(const struct target_node *n)
{
    const struct conn *watch = watch_conn(n->watch);
    const struct server_id *id = conn_server(writer_conn(n->writer));
    return n->lost_us && n->lost_by_peer && conn_is_up(watch) && conn_since_us(watch) < n->lost_us &&
           id->run_id[0] && strcmp(id->run_id, n->lost_run_id) == 0;
}

static void writer_up(void *arg)
{
    struct target_node *n = arg;
    struct target *t = n->of;
    /* R2: where the former connection cannot be shown dead, what it may still write is waited for. */
    uint64_t delay_us = writer_is_fenced(n->writer) ? 0 : 2000ull * n->endpoint->timeout_ms;

    /* One of an earlier process: which keys it had under way is not known, so that all of them wait. */
    if (delay_us && !n->came_up)
        n->rests_until_us = loop_now_us(t->loop) + delay_us;
    n->came_up = true;
    t->ev.released(n, delay_us, closed_for_a_key(n), t->arg);
    if (delay_us && !n->closed_clean)
        n->late_until_us = loop_now_us(t->loop) + delay_us;
    n->closed_clean = false;
    n->lost_us = 0;
    t->ev.up(t->arg);
}

static void writer_down(const char *why, bool was_up, void *arg)
{
    struct target_node *n = arg;
    struct target *t = n->of;

    if (t->passing == n)
        t->passing = NULL;
    if (!was_up)
        return;
    n->unproved |= n->writer_wrote;
    n->writer_wrote = false;
    const struct server_id *id = conn_server(writer_conn(n->writer));
    n->lost_us = loop_now_us(t->loop);
    n->lost_by_peer = conn_lost_by_peer(writer_conn(n->writer));
    memcpy(n->lost_run_id, id->run_id, sizeof(n->lost_run_id));
    t->ev.down(n, why, t->arg);
}

static void writer_has_room(void *arg)
{
    struct target_node *n = arg;
    n->of->ev.room(n->of->arg);
}

static int new_writer(struct target_node *n)
{
    static const struct writer_events events = {.answered = key_answered,
                                                .typed = key_typed,
                                                .lost = key_lost,
                                                .told = writer_told,
                                                .identified = writer_identified,
                                                .dead = writer_dead,
                                                .up = writer_up,
                                                .down = writer_down,
                                                .room = writer_has_room};
    const struct target_options *o = &n->of->opt;
    const struct writer_options opt = {.target = n->endpoint,
                                       .into_db = o->into_db,
                                       .out_high = o->out_high,
                                       .nformer = o->nformer,
                                       .former = o->former};
    return writer_new(n->of->loop, &opt, &events, n, &n->writer);
}

/* The watch. */

static bool one_is_unknown(uint64_t a, uint64_t b)
{
    return (a == WATCH_UNKNOWN) != (b == WATCH_UNKNOWN);
}

/* What is never told can prove nothing, and stands against a cutover; it is no gap, or there would be no end
 * of them. What is told at times hides what happened in between. */
static const char *tells_otherwise(const struct target_node *n, const struct watch_sample *s)
{
    if (!n->has_base)
        return NULL;
    if (!s->id.replid[0] == !n->base.replid[0] && !one_is_unknown(s->total_commands, n->base.commands) &&
        !one_is_unknown(s->flushes, n->base.flushes) &&
        (n->of->opt.may_evict || !one_is_unknown(s->evicted_keys, n->base.evicted)))
        return NULL;
    return "INFO of the target does not tell at all times what could be lost there";
}

/* What is gone there without our doing is a gap (R7). */
static const char *difference(const struct target_node *n, const struct watch_sample *s)
{
    if (!n->has_base)
        return NULL;
    if (s->id.role != n->role)
        return "the target's role changed";
    return target_base_differs(&n->base, s, n->of->opt.may_evict);
}

static void take_reading(struct target_node *n, const struct watch_sample *s)
{
    const char *what = tells_otherwise(n, s);

    if (!what)
        what = difference(n, s);
    n->has_base = true;
    n->role = s->id.role;
    target_base_take(&n->base, s);
    if (what)
        n->of->ev.gap(what, n->of->arg);
    else if (s->seq >= n->read_seq)
        n->was_read = true;
}

static void sampled(struct watch *w, const struct watch_sample *s, void *arg)
{
    struct target_node *n = arg;
    struct target *t = n->of;
    (void)w;

    if (s->id.role == ROLE_REPLICA)
        target_refresh(t);
    t->ev.sample(n, s, !target_approves(n, &s->id), t->arg);
    if (s->loading)
        return;
    n->is_known = true;
    if (target_approves(n, &s->id))
        take_reading(n, s);
    t->ev.read(n, s, t->arg);
}

static void unreadable(struct watch *w, const char *why, void *arg)
{
    struct target_node *n = arg;
    (void)w;

    if (n->has_base)
        n->of->ev.gap("INFO of the target cannot be read", n->of->arg);
    n->has_base = false;
    n->of->ev.unreadable(n, why, n->of->arg);
}

static void watch_down(struct watch *w, const char *why, bool was_up, void *arg)
{
    struct target_node *n = arg;
    (void)w;

    n->watch_due = 0;
    n->unproved |= n->watch_wrote;
    n->watch_wrote = false;
    if (was_up)
        target_refresh(n->of);
    if (was_up && n->has_base && !n->approved[0])
        n->of->ev.gap("the target does not tell its run id: it may have been restarted or replaced",
                      n->of->arg);
    n->of->ev.watch_down(n, why, was_up, n->of->arg);
}

static int new_watch(struct target_node *n)
{
    static const struct watch_events events = {
        .sample = sampled, .unreadable = unreadable, .down = watch_down};
    return watch_new(n->of->loop, n->endpoint, "watch", true, &events, n, &n->watch);
}

/* A node. */

static struct target_node *free_node(struct target_node *n)
{
    writer_free(n->writer);
    watch_free(n->watch);
    endpoint_node_clear(&n->own);
    free(n);
    return NULL;
}

static int take_number(struct target *t, struct target_node *n)
{
    size_t i = 0;

    while (i < t->nnumbers && t->by_number[i])
        i++;
    if (i == t->nnumbers) {
        struct target_node **more = realloc(t->by_number, (i + 1) * sizeof(struct target_node *));
        if (!more)
            return -ENOMEM;
        t->by_number = more;
        t->nnumbers++;
    }
    t->by_number[i] = n;
    n->number = (uint16_t)i;
    return 0;
}

static int find_endpoint(struct target_node *n)
{
    const struct target_options *o = &n->of->opt;

    n->endpoint = o->nodes ? &n->own : o->endpoint;
    return o->nodes ? topology_endpoint(o->nodes, &n->where, &n->own) : 0;
}

static void link_node(struct target *t, struct target_node *n)
{
    struct target_node **at = &t->first;

    while (*at)
        at = &(*at)->next;
    *at = n;
}

static int new_node(struct target *t, const struct topology_node *where, struct target_node **ret)
{
    struct target_node *n = calloc(1, sizeof(*n));
    if (!n)
        return -ENOMEM;
    n->of = t;
    n->where = *where;
    int err = find_endpoint(n);
    if (!err)
        err = new_writer(n);
    if (!err)
        err = new_watch(n);
    if (!err)
        err = take_number(t, n);
    if (err) {
        free_node(n);
        return err;
    }
    conn_hold(writer_conn(n->writer), t->closed);
    conn_hold(watch_conn(n->watch), t->closed);
    link_node(t, n);
    *ret = n;
    return 0;
}

/* It executes no more writes: what was on its way there is free, and what it had is where its slots are. */
static void end_node(struct target *t, struct target_node *n)
{
    struct target_node **at = &t->first;

    if (t->passing == n)
        t->passing = NULL;
    writer_abandon(n->writer);
    t->ev.leaves(n, t->arg);
    t->ev.released(n, 0, false, t->arg);
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    t->by_number[n->number] = NULL;
    free_node(n);
}

/* All of them. */

struct target_node *target_at(const struct target *t, const struct topology_node *where)
{
    for (struct target_node *n = t->first; n; n = n->next)
        if (strcmp(n->where.host, where->host) == 0 && n->where.port == where->port)
            return n;
    return NULL;
}

int target_begin_nodes(struct target *t)
{
    const struct topology_node endpoint = {.port = 0};
    struct target_node *n;

    t->covered = true;
    if (t->opt.nodes) {
        target_follow(t);
        return t->incomplete ? -ENOMEM : 0;
    }
    int err = new_node(t, &endpoint, &n);
    if (err)
        return err;
    n->nslots = SLOTS;
    t->only = n;
    return 0;
}

void target_end_nodes(struct target *t)
{
    while (t->first) {
        struct target_node *n = t->first;
        t->first = n->next;
        free_node(n);
    }
    free(t->by_number);
}

/* What became of the nodes by a new map. */
struct change {
    uint16_t number[SHARDS_MAX];     /* of each shard's node */
    unsigned nslots[2 * SHARDS_MAX]; /* by number, of old and new ones: what each has now */
    bool replaced;                   /* one that has slots came, or one that had keys is to go */
    bool moved;
};

/* A cluster may have a primary whose address it does not know. */
static bool is_reachable(const struct topology_map *m, const struct shard *s)
{
    return s->primary.port || !m->cluster;
}

static void find_nodes(struct target *t, const struct topology_map *m, struct change *c)
{
    bool begins = !t->first;

    t->incomplete = false;
    for (size_t i = 0; i < m->nshards; i++) {
        const struct shard *s = &m->shards[i];
        struct target_node *n = target_at(t, &s->primary);
        c->number[i] = NODE_NONE;
        if (!n && is_reachable(m, s)) {
            t->incomplete |= new_node(t, &s->primary, &n) < 0;
            c->replaced |= !begins && s->nslots;
        }
        if (!n)
            continue;
        c->number[i] = n->number;
        c->nslots[n->number] += s->nslots;
    }
}

static void find_owners(struct target *t, const struct topology_map *m, struct change *c)
{
    t->covered = true;
    c->moved = t->moved;
    t->moved = false;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        uint16_t shard = m->owner[slot], number = shard == SHARD_NONE ? NODE_NONE : c->number[shard];
        c->moved |= number != t->owner[slot];
        t->covered &= number != NODE_NONE;
        t->owner[slot] = number;
    }
}

static bool is_primary(const struct target_node *n, const struct topology_map *m, const struct change *c)
{
    for (size_t i = 0; i < m->nshards; i++)
        if (c->number[i] == n->number)
            return true;
    return false;
}

/* One that has none left executes no write of ours any more, and has no keys. */
static void set_slots(struct target_node *n, unsigned nslots)
{
    if (n->nslots && !nslots) {
        n->has_keys = false;
        n->late_until_us = 0;
        n->of->ev.released(n, 0, false, n->of->arg);
    }
    n->nslots = nslots;
}

static void end_others(struct target *t, const struct topology_map *m, struct change *c)
{
    for (struct target_node *n = t->first, *next; n; n = next) {
        next = n->next;
        if (is_primary(n, m, c)) {
            set_slots(n, c->nslots[n->number]);
            continue;
        }
        c->replaced |= target_counts(n);
        end_node(t, n);
    }
}

/* Of one map after the other, many may have been missed. */
void target_follow(struct target *t)
{
    const struct topology_map *m = topology_map(t->opt.nodes);
    struct change c = {.replaced = false};
    bool begins = !t->first;

    if (!m)
        return;
    find_nodes(t, m, &c);
    find_owners(t, m, &c);
    end_others(t, m, &c);
    t->only = t->covered && t->first && !t->first->next ? t->first : NULL;
    if (begins)
        return;
    if (c.moved)
        t->ev.moved(t->arg);
    if (c.replaced)
        t->ev.gap("a node of the target was replaced, or has left", t->arg);
    t->ev.changed(t->arg);
}
