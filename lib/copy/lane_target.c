/* lane_target.c - what a lane makes of its target's nodes: who may be written to, what is read of them, that
 * they come and go. */
#include "lib/copy/lane_impl.h"

#include <errno.h>

/* Whom it writes to. */

void lane_target_approve(struct lane *l, const char *address, const char *run_id)
{
    struct target_node *n = target_find(l->target, address);
    struct conn *sweeping = sweep_target_conn(l->sweep);

    if (!n)
        return;
    if (target_approve(l->target, n, run_id))
        lane_gap(l, "the target was restarted or replaced");
    if (!sweeping || sweep_target(l->sweep) != n->endpoint || l->seal.step == SEALED)
        return;
    if (conn_is_up(sweeping) && !target_approves(n, conn_server(sweeping)))
        conn_reset(sweeping, "the server was replaced");
    conn_hold(sweeping, true);
    conn_hold(sweeping, false);
}

int lane_target_identified(struct lane *l, const struct endpoint *e, const struct server_id *id,
                           const char **why)
{
    struct target_node *n = target_nodes(l->target);

    while (n && n->endpoint != e)
        n = n->next;
    *why = "it is no node of the target";
    return n ? target_identified(n, id, why) : -EPERM;
}

/* With one node alone, that there are nodes is no concern of the reader's. */
static const char *address_of(const struct lane *l, const struct target_node *n)
{
    return target_nodes(l->target)->next ? n->endpoint->url.text : "the target";
}

/* The writer. */

static void answered(struct target_node *n, struct dirty_key *k, struct bytes error, uint64_t bytes,
                     bool deleted, void *arg)
{
    lane_key_answered(arg, n, k, error, bytes, deleted);
}

static void typed(struct target_node *n, struct dirty_key *k, struct bytes type, struct bytes error,
                  void *arg)
{
    lane_key_typed(arg, n, k, type, error);
}

static void lost(struct target_node *n, struct dirty_key *k, void *arg)
{
    lane_key_write_lost(arg, n, k);
}

static void released(struct target_node *n, uint64_t delay_us, bool blame, void *arg)
{
    struct lane *l = arg;
    dirty_release_lost(l->dirty, n->number, loop_now_us(l->loop), delay_us, blame);
    lane_pump_soon(l);
    lane_advance(l);
}

static int writer_id(const char *run_id, uint64_t client_id, void *arg)
{
    struct lane *l = arg;
    return l->ev.writer_id(l, run_id, client_id, l->arg);
}

static void writer_dead(const struct conn_former *former, void *arg)
{
    struct lane *l = arg;
    l->ev.writer_dead(l, former->run_id, former->client_id, l->arg);
}

static void up(void *arg)
{
    struct lane *l = arg;
    lane_go_on_reading(l);
    lane_advance(l);
}

static void down(struct target_node *n, const char *why, void *arg)
{
    struct lane *l = arg;
    (void)n;
    lane_seal_fail(l, -ENOTCONN, "the connection for writing to the target was lost: %s", why);
    lane_stop_reading(l, "the target's connection was lost");
}

static void room(void *arg)
{
    lane_go_on_reading(arg);
}

static void told(int what, size_t n, const int64_t *numbers, struct bytes error, void *arg)
{
    lane_seal_told(arg, what, n, numbers, error);
}

/* The watch. */

static bool one_is_loading(const struct lane *l)
{
    for (struct target_node *n = target_nodes(l->target); n; n = n->next) {
        const struct watch_sample *s = watch_last(n->watch);
        if (s && s->loading && target_counts(n))
            return true;
    }
    return false;
}

/* Of a cluster the map will tell who took over: it is no condition before the next reading. */
static bool stays_replica(const struct target_node *n)
{
    return !n->where.id[0] || (target_counts(n) && n->has_base && n->role == ROLE_REPLICA);
}

static void sample(struct target_node *n, const struct watch_sample *s, bool stranger, void *arg)
{
    struct lane *l = arg;

    if (one_is_loading(l))
        lane_condition(l, LANE_TARGET_LOADING, "%s is loading its data", address_of(l, n));
    else
        lane_condition(l, LANE_TARGET_LOADING, NULL);
    if (s->id.role == ROLE_REPLICA && stays_replica(n))
        lane_refused(l, LANE_TARGET, "%s is a replica of %s:%u", address_of(l, n), s->id.primary_host,
                     (unsigned)s->id.primary_port);
    l->ev.sample(l, LANE_TARGET, n->endpoint->url.text, s, stranger, l->arg);
    lane_seal_sample(l, n, s, !target_approves(n, &s->id));
}

static void was_read(struct target_node *n, const struct watch_sample *s, void *arg)
{
    struct lane *l = arg;
    (void)n;
    lane_target_was_read(l);
    lane_scope_sample(l, LANE_TARGET, s);
}

static void unreadable(struct target_node *n, const char *why, void *arg)
{
    struct lane *l = arg;

    if (target_nodes(l->target)->next)
        lane_refused(l, LANE_TARGET, "INFO of %s: %s", n->endpoint->url.text, why);
    else
        lane_refused(l, LANE_TARGET, "INFO: %s", why);
}

static void watch_down(struct target_node *n, const char *why, bool was_up, void *arg)
{
    struct lane *l = arg;

    functions_dropped(l->functions, watch_conn(n->watch));
    if (was_up)
        lane_seal_fail(l, -ENOTCONN, "the connection that watches the target was lost: %s", why);
}

/* The nodes. */

static void gap(const char *reason, void *arg)
{
    lane_gap(arg, reason);
}

static void leaves(struct target_node *n, void *arg)
{
    struct lane *l = arg;

    functions_dropped(l->functions, watch_conn(n->watch));
    if (l->functions_to == n)
        l->functions_to = NULL;
    if (sweep_leave(l->sweep, n->endpoint))
        lane_sweep_again(l);
    lane_stop_reading(l, "a node of the target has left");
}

static void moved(void *arg)
{
    lane_sweep_again(arg);
}

/* A slot that had no node may have one; one that comes has no function libraries yet. */
static void changed(void *arg)
{
    struct lane *l = arg;

    lane_seal_fail(l, -ECANCELED, "the nodes of the target are others, or their slots");
    l->functions_wanted = true;
    lane_share_memory(l);
    lane_go_on_reading(l);
    lane_advance(l);
}

int lane_target_new(struct lane *l)
{
    static const struct target_events events = {.answered = answered,
                                                .typed = typed,
                                                .lost = lost,
                                                .released = released,
                                                .writer_id = writer_id,
                                                .writer_dead = writer_dead,
                                                .up = up,
                                                .down = down,
                                                .room = room,
                                                .sample = sample,
                                                .read = was_read,
                                                .unreadable = unreadable,
                                                .watch_down = watch_down,
                                                .told = told,
                                                .gap = gap,
                                                .leaves = leaves,
                                                .changed = changed,
                                                .moved = moved};
    const struct target_options opt = {.endpoint = l->opt.target,
                                       .nodes = l->opt.target_nodes,
                                       .into_db = l->opt.into_db,
                                       .may_evict = l->opt.may_evict,
                                       .nformer = l->opt.nformer,
                                       .former = l->opt.former};
    return target_new(l->loop, &opt, &events, l, &l->target);
}

/* Once a second. */

static bool node_is_down(struct lane *l, struct target_node *n)
{
    const struct conn *watch = watch_conn(n->watch), *writer = writer_conn(n->writer);
    bool several = target_nodes(l->target)->next != NULL;
    const char *address = several ? n->endpoint->url.text : "", *colon = several ? ": " : "";

    if (lane_conn_is_down(l, watch, LANE_DOWN_AFTER_US))
        lane_condition(l, LANE_TARGET_DOWN, "%s%s%s", address, colon, lane_conn_why(watch));
    else if (lane_conn_is_down(l, writer, LANE_PART_DOWN_AFTER_US))
        lane_condition(l, LANE_TARGET_DOWN, "%s%sthe connection for writing: %s", address, colon,
                       lane_conn_why(writer));
    else if (n->rests_until_us)
        lane_condition(
            l, LANE_TARGET_DOWN,
            "%s%swhat an earlier riotd may have under way there can neither be ended nor looked up "
            "(CLIENT KILL, CLIENT LIST): waiting until it must be over",
            address, colon);
    else
        return false;
    return true;
}

static void look_at_connections(struct lane *l)
{
    const struct conn *sweeping = sweep_target_conn(l->sweep);

    for (struct target_node *n = target_nodes(l->target); n; n = n->next)
        if (target_counts(n) && node_is_down(l, n))
            return;
    if (sweeping && lane_conn_is_down(l, sweeping, LANE_PART_DOWN_AFTER_US))
        lane_condition(l, LANE_TARGET_DOWN, "the connection for SCAN: %s", lane_conn_why(sweeping));
    else
        lane_condition(l, LANE_TARGET_DOWN, NULL);
}

static void look_at_silence(struct lane *l)
{
    bool several = target_nodes(l->target)->next != NULL;
    struct target_node *which = NULL;
    uint64_t silent_us = LANE_SILENT_US;

    for (struct target_node *n = target_nodes(l->target); n; n = n->next) {
        const struct conn *watch = watch_conn(n->watch);
        if (!target_counts(n) || !conn_is_up(watch) || conn_silent_us(watch) <= silent_us)
            continue;
        silent_us = conn_silent_us(watch);
        which = n;
    }
    if (which)
        lane_condition(l, LANE_TARGET_SILENT, "%s%sno answer for %llu s",
                       several ? which->endpoint->url.text : "", several ? ": " : "",
                       (unsigned long long)(silent_us / 1000000));
    else
        lane_condition(l, LANE_TARGET_SILENT, NULL);
}

void lane_target_look(struct lane *l)
{
    target_tick(l->target);
    if (l->seal.step == SEALED) { /* by our own doing */
        lane_condition(l, LANE_TARGET_DOWN, NULL);
        lane_condition(l, LANE_TARGET_SILENT, NULL);
        return;
    }
    look_at_connections(l);
    look_at_silence(l);
}

void lane_target_status(struct lane *l, struct lane_status *ret)
{
    struct target_node *n = target_nodes(l->target);

    if (n)
        lane_server_status(n->watch, &ret->server[LANE_TARGET]);
    ret->server[LANE_TARGET].up = target_watch_is_up(l->target);
}
