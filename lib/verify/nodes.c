/* nodes.c - see nodes.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/verify/nodes.h"

#define APPROVED_MAX (4 * SHARDS_MAX) /* of addresses that came and went the oldest is forgotten */

struct approval {
    struct approval *next;
    char run_id[RUN_ID_MAX];
    char address[];
};

struct nodes {
    const struct endpoint *endpoint;
    struct topology *topology;
    struct topology_listener listener;
    struct nodes_events ev;
    void *arg;
    struct approval *approvals; /* the newest first */
    bool by_slot;
    size_t count;
    struct node *at[2 * SHARDS_MAX]; /* those of the former map go after those of the new one came */
    struct node *owner[SLOTS];       /* NULL: nobody */
};

/* Nodes. */

static struct node *find(const struct nodes *s, const char *address)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->at[i]->endpoint.url.text, address) == 0)
            return s->at[i];
    return NULL;
}

static void drop(struct nodes *s, struct node *n)
{
    if (s->ev.left)
        s->ev.left(n, s->arg);
    endpoint_node_clear(&n->endpoint);
    free(n);
}

/* Takes the endpoint over, also when it fails. */
static int add(struct nodes *s, struct endpoint *e, struct node **ret)
{
    struct node *n = s->count < ARRAY_LEN(s->at) ? calloc(1, sizeof(*n)) : NULL;
    int err = n ? 0 : -ENOMEM;

    if (!err) {
        *n = (struct node){.owner = s, .endpoint = *e};
        err = s->ev.came ? s->ev.came(n, s->arg) : 0;
    }
    if (err) {
        endpoint_node_clear(e);
        free(n);
        return err;
    }
    s->at[s->count++] = *ret = n;
    return 0;
}

/* The endpoint is all there is. */
static int begin_alone(struct nodes *s)
{
    struct endpoint e = {0};
    struct node *n;

    int err = endpoint_node(s->endpoint, NULL, 0, &e);
    if (!err)
        err = add(s, &e, &n);
    for (unsigned slot = 0; !err && slot < SLOTS; slot++)
        s->owner[slot] = n;
    return err;
}

/* Following the map. */

/* The node of a shard that owns something. NULL: memory is out, so nobody does for now. */
static struct node *take_shard(struct nodes *s, const struct shard *shard)
{
    struct endpoint e = {0};
    struct node *n;

    if (topology_endpoint(s->topology, &shard->primary, &e) < 0)
        return NULL;
    n = find(s, e.url.text);
    if (n)
        endpoint_node_clear(&e);
    else if (add(s, &e, &n) < 0)
        return NULL;
    n->kept = true;
    return n;
}

static void take_owners(struct nodes *s, const struct topology_map *m, struct node *const *of_shard,
                        struct slot_set *ret_moved)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        struct node *n = m->owner[slot] == SHARD_NONE ? NULL : of_shard[m->owner[slot]];
        if (s->owner[slot] != n)
            slot_set_add(ret_moved, slot);
        s->owner[slot] = n;
    }
}

static void drop_others(struct nodes *s)
{
    for (size_t i = 0; i < s->count;) {
        struct node *n = s->at[i];
        if (n->kept) {
            i++;
            continue;
        }
        s->at[i] = s->at[--s->count];
        drop(s, n);
    }
}

static void follow(void *arg)
{
    struct nodes *s = arg;
    const struct topology_map *m = topology_map(s->topology);
    struct node *of_shard[SHARDS_MAX] = {NULL};
    struct slot_set moved = {0};

    if (!m)
        return;
    s->by_slot = m->cluster;
    for (size_t i = 0; i < s->count; i++)
        s->at[i]->kept = false;
    for (size_t i = 0; i < m->nshards; i++)
        if (m->shards[i].nslots)
            of_shard[i] = take_shard(s, &m->shards[i]);
    take_owners(s, m, of_shard, &moved);
    if (s->ev.moved)
        s->ev.moved(&moved, s->arg);
    drop_others(s);
}

static int begin(struct nodes *s)
{
    if (!s->topology)
        return begin_alone(s);
    s->listener = (struct topology_listener){.changed = follow, .arg = s};
    topology_listen(s->topology, &s->listener);
    follow(s);
    return 0;
}

int nodes_new(const struct endpoint *endpoint, struct topology *topology, const struct nodes_events *ev,
              void *arg, struct nodes **ret)
{
    struct nodes *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->endpoint = endpoint;
    s->topology = topology;
    s->ev = *ev;
    s->arg = arg;
    int err = begin(s);
    if (err) {
        nodes_free(s);
        return err;
    }
    *ret = s;
    return 0;
}

struct nodes *nodes_free(struct nodes *s)
{
    if (!s)
        return NULL;
    if (s->topology)
        topology_unlisten(s->topology, &s->listener);
    while (s->count)
        drop(s, s->at[--s->count]);
    while (s->approvals) {
        struct approval *next = s->approvals->next;
        free(s->approvals);
        s->approvals = next;
    }
    free(s);
    return NULL;
}

bool nodes_by_slot(const struct nodes *s)
{
    return s->by_slot;
}

size_t nodes_count(const struct nodes *s)
{
    return s->count;
}

struct node *nodes_at(const struct nodes *s, size_t i)
{
    return s->at[i];
}

struct node *nodes_owner(const struct nodes *s, unsigned slot)
{
    return s->owner[slot];
}

/* Who may answer. */

static struct approval *find_approval(const struct nodes *s, const char *address)
{
    struct approval *a = s->approvals;

    while (a && strcmp(a->address, address) != 0)
        a = a->next;
    return a;
}

static void forget_oldest(struct nodes *s)
{
    struct approval **at = &s->approvals;

    for (size_t i = 0; *at && i < APPROVED_MAX; i++)
        at = &(*at)->next;
    free(*at);
    *at = NULL;
}

static struct approval *add_approval(struct nodes *s, const char *address)
{
    size_t len = strlen(address) + 1;
    struct approval *a = malloc(sizeof(*a) + len);

    if (!a)
        return NULL; /* nobody is approved there: that node is waited for, and asked about again */
    memcpy(a->address, address, len);
    a->next = s->approvals;
    s->approvals = a;
    forget_oldest(s);
    return a;
}

struct node *nodes_approve(struct nodes *s, const char *address, const char *run_id)
{
    struct approval *a = find_approval(s, address);

    if (!a)
        a = add_approval(s, address);
    if (a)
        snprintf(a->run_id, sizeof(a->run_id), "%s", run_id);
    return find(s, address);
}

bool node_is_approved(const struct node *n, const struct server_id *id)
{
    const struct approval *a = find_approval(n->owner, n->endpoint.url.text);
    return a && strcmp(a->run_id, id->run_id) == 0;
}
