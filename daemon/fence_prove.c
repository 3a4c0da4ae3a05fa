/* Is all as it was when it was probed, and fenced since without a break? */
#include "daemon/fence_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REACH_US 5000000

static bool same(struct fence_node *n)
{
    if (strcmp(n->seen.run_id, n->id.run_id) != 0)
        fence_node_done(n, -ESTALE, "it was restarted or replaced: run id %s, before %s", n->seen.run_id,
                        n->id.run_id);
    else if (n->seen.role != n->id.role)
        fence_node_done(n, -ESTALE, "it has become a %s", server_role_name(n->seen.role));
    else if (strcmp(n->seen.replid, n->id.replid) != 0)
        fence_node_done(n, -ESTALE, "its replication id has changed");
    else
        return true;
    return false;
}

static void on_time(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX];
    (void)c;

    if (!fence_pause_held(n->fence, reply_time_us(r), why))
        fence_node_done(n, -ETIMEDOUT, "%s", why);
    else if (fence_hard_of(n->fence->kind))
        fence_hard_of(n->fence->kind)->check(n);
    else
        fence_node_done(n, 0, "%s", "");
}

static void ask_rest(struct fence_node *n)
{
    if (n->primary && n->connected != n->fence->nnodes - 1)
        fence_node_done(n, -ESTALE, "its replicas are others than before");
    else if (!n->primary && n->connected > 0 && fence_hard_of(n->fence->kind))
        fence_node_done(n, -ESTALE, "it has replicas of its own, which are not fenced");
    else if (n->primary && n->fence->pause.on)
        fence_call(n, on_time, "TIME");
    else if (fence_hard_of(n->fence->kind))
        fence_hard_of(n->fence->kind)->check(n);
    else
        fence_node_done(n, 0, "%s", "");
}

/* What it does not know yet of a failover, of a node that came or left, or of a slot that moved, is told by
 * another one. */
static void on_view(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct fence_view now;
    (void)c;

    fence_view_read(r, &now);
    const char *why = fence_view_changed(&n->view, &now);
    if (why)
        fence_node_done(n, -ESTALE, "%s", why);
    else
        ask_rest(n);
}

static void who_is_known(struct fence_node *n)
{
    if (!same(n))
        return;
    if (n->primary && n->fence->opt.shard)
        fence_call(n, on_view, "CLUSTER NODES");
    else
        ask_rest(n);
}

static void prove_node(struct fence_node *n)
{
    fence_ask_who(n, who_is_known);
}

static void proved(struct fence *f)
{
    const struct fence_node *n = fence_failed_node(f);
    if (n)
        fence_answer(f, n->err, "%s: %s", n->address, n->why);
    else
        fence_answer(f, 0, "%s", "");
}

static bool are_all_known(struct fence *f, const struct watch_sample *s)
{
    const struct watch_replica *replicas;
    size_t n = fence_replicas(f, s, &replicas);
    char address[300];

    if (s->more_replicas || n != f->nnodes - 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *host = replicas[i].host;
        snprintf(address, sizeof(address), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, replicas[i].port);
        if (!fence_node_find(f, address))
            return false;
    }
    return true;
}

static void replicas_are_known(struct fence *f, const char *unreadable)
{
    const struct watch_sample *s = fence_sample(f);

    if (unreadable || !s)
        fence_answer(f, -EACCES, "%s", unreadable ? unreadable : "INFO cannot be read");
    else if (!are_all_known(f, s))
        fence_answer(f, -ESTALE, "the source's replicas are others than before");
    else
        fence_round_begin(f, prove_node, NULL, proved, REACH_US);
}

static void unreachable(struct fence *f)
{
    f->sampled = NULL;
    fence_answer(f, -EHOSTUNREACH, "the source did not answer in time");
}

void fence_prove_begin(struct fence *f)
{
    f->kind = fence_record(f)->fence;
    fence_wait(f, REACH_US, unreachable);
    fence_want_sample(f, replicas_are_known);
}
