/* lane_ask.c - reading a key at the node that its slot is moving to (R5).
 *
 * The owner answers ASK for a key that it has no longer, or never had: the node that takes the slot over
 * knows. The key stays in flight meanwhile. A node is talked to as long as there is something to ask there,
 * and only where the lane of that node approved of the server.
 */
#include "lib/copy/lane_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASKERS_MAX 16       /* nodes at a time; keys of further ones wait */
#define IDLE_US    10000000 /* after so long without a question the connection is given up */

struct asker {
    struct lane *lane;
    struct asker *next;
    struct endpoint endpoint;
    struct reader *reader;
    uint64_t used_us;
};

static bool is_known(const struct asker *a, const struct server_id *id)
{
    struct lane *l = a->lane;
    return id->run_id[0] && strcmp(l->ev.approved(l, a->endpoint.url.text, l->arg), id->run_id) == 0;
}

/* That node's lane may have gone on to another server by now. A former primary that nobody has told yet still
 * answers, and with what it had. */
static void leave_stranger(struct asker *a)
{
    const struct conn *c = reader_conn(a->reader);

    if (conn_is_up(c) && !is_known(a, conn_server(c)))
        reader_reset(a->reader, "another server has taken over from the node that a slot moves to");
}

static int identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                      void *arg)
{
    struct lane *l = arg;
    struct asker *a = l->askers;
    (void)client_id;

    while (a && reader_conn(a->reader) != c)
        a = a->next;
    if (a && is_known(a, id))
        return 0;
    *why = "the node that a slot moves to is not known yet";
    return -EPERM;
}

static struct asker *free_asker(struct asker *a)
{
    reader_free(a->reader);
    endpoint_node_clear(&a->endpoint);
    free(a);
    return NULL;
}

static int new_asker(struct lane *l, const struct topology_node *n, struct asker **ret)
{
    struct reader_events events = lane_reader_events;
    struct asker *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->lane = l;
    events.identified = identified;
    events.gone = lane_key_gone;
    int err = topology_endpoint(l->opt.source_nodes, n, &a->endpoint);
    const struct reader_options opt = {
        .source = &a->endpoint, .atomic = l->opt.feed == FEED_NONE, .asking = true};
    if (!err)
        err = reader_new(l->loop, &opt, &events, l, &a->reader);
    if (err) {
        free_asker(a);
        return err;
    }
    *ret = a;
    return 0;
}

static bool leads_to(const struct asker *a, const struct topology_node *n)
{
    const struct url *u = &a->endpoint.url;
    return u->host && strcmp(u->host, n->host) == 0 && u->port == n->port;
}

static struct asker *asker_of(struct lane *l, const struct topology_node *n)
{
    struct asker *a = l->askers;
    size_t count = 0;

    for (; a && !leads_to(a, n); a = a->next)
        count++;
    if (!a && count < ASKERS_MAX && new_asker(l, n, &a) == 0) {
        a->next = l->askers;
        l->askers = a;
    }
    return a;
}

int lane_ask(struct lane *l, const struct topology_node *n, struct dirty_key *k)
{
    struct asker *a = asker_of(l, n);

    if (!a)
        return -EAGAIN;
    a->used_us = loop_now_us(l->loop);
    leave_stranger(a);
    return reader_read(a->reader, k) < 0 ? -EAGAIN : 0;
}

bool lane_asks_at(const struct lane *l, const char *url)
{
    const struct asker *a = l->askers;

    while (a && strcmp(a->endpoint.url.text, url) != 0)
        a = a->next;
    return a != NULL;
}

void lane_askers_resume(struct lane *l)
{
    for (struct asker *a = l->askers; a; a = a->next)
        reader_resume(a->reader);
}

void lane_askers_reset(struct lane *l, const char *why)
{
    for (struct asker *a = l->askers; a; a = a->next)
        if (reader_outstanding(a->reader))
            reader_reset(a->reader, why);
}

bool lane_askers_in_value(const struct lane *l)
{
    for (const struct asker *a = l->askers; a; a = a->next)
        if (reader_in_value(a->reader))
            return true;
    return false;
}

/* Once a second. */
void lane_askers_tick(struct lane *l)
{
    uint64_t now_us = loop_now_us(l->loop);

    for (struct asker **at = &l->askers, *a; (a = *at);) {
        leave_stranger(a);
        if (reader_outstanding(a->reader) || now_us - a->used_us < IDLE_US) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        free_asker(a);
    }
}

void lane_askers_free(struct lane *l)
{
    while (l->askers) {
        struct asker *a = l->askers;
        l->askers = a->next;
        free_asker(a);
    }
}
