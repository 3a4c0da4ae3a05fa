/* link_nodes.c - the nodes of both sides as the topologies tell them: what becomes of them is told, one line
 * a change; a shard that has gone with its keys is looked at. */
#include "daemon/link_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/text.h"

#define SLOTS_TOLD_US 10000000 /* slots that move one by one are told together */
#define LINES_MAX     8        /* of one change; what is more is counted */

const struct link_node *link_node_find(const struct link *k, enum lane_side side, const char *address)
{
    const struct link_nodes *nodes = &k->nodes[side];

    for (size_t i = 0; i < nodes->count; i++)
        if (strcmp(nodes->at[i].address, address) == 0)
            return &nodes->at[i];
    return NULL;
}

static const struct link_node *find_id(const struct link_nodes *nodes, const char *id)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (strcmp(nodes->at[i].id, id) == 0)
            return &nodes->at[i];
    return NULL;
}

/* Reading a map. */

static int add_node(const struct topology *t, const struct topology_node *from, struct link_nodes *ret,
                    struct link_node **ret_node)
{
    struct link_node *n = &ret->at[ret->count];
    struct endpoint e;
    int err = topology_endpoint(t, from, &e);

    if (err)
        return err;
    *n = (struct link_node){.failing = from->failing};
    snprintf(n->address, sizeof(n->address), "%s", e.url.text);
    memcpy(n->id, from->id, sizeof(n->id));
    endpoint_node_clear(&e);
    ret->count++;
    *ret_node = n;
    return 0;
}

static int add_shard(const struct topology *t, const struct shard *shard, size_t index,
                     struct link_nodes *ret)
{
    struct link_node *n;
    int err = add_node(t, &shard->primary, ret, &n);

    if (!err) {
        n->primary = true;
        n->slots = shard->nslots;
        n->shard = index;
        ret->primaries += shard->nslots > 0;
    }
    for (size_t i = 0; i < shard->nreplicas && !err; i++) {
        err = add_node(t, &shard->replicas[i], ret, &n);
        if (!err)
            n->shard = index;
    }
    return err;
}

static int read_map(const struct topology *t, const struct topology_map *map, struct link_nodes *ret)
{
    size_t count = 0;
    int err = 0;

    for (size_t i = 0; i < map->nshards; i++)
        count += 1 + map->shards[i].nreplicas;
    *ret = (struct link_nodes){
        .version = map->version, .cluster = map->cluster, .covered = map->covered, .moving = map->moving};
    ret->at = calloc(MAX(count, (size_t)1), sizeof(*ret->at));
    if (!ret->at)
        return -ENOMEM;
    for (size_t i = 0; i < map->nshards && !err; i++)
        err = add_shard(t, &map->shards[i], i, ret);
    if (err)
        free(ret->at);
    return err;
}

/* What is different. */

static const struct link_node *primary_of(const struct link_nodes *nodes, size_t shard)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->at[i].primary && nodes->at[i].shard == shard)
            return &nodes->at[i];
    return NULL;
}

struct change {
    struct link *link;
    enum lane_side side;
    unsigned lines;
};

static void tell(struct change *c, const struct link_node *n, const char *what)
{
    if (c->lines++ < LINES_MAX)
        link_tell_node(c->link, c->side, n->address, what);
}

static void tell_node(struct change *c, const struct link_nodes *was, const struct link_nodes *is,
                      const struct link_node *n)
{
    const struct link_node *before = find_id(was, n->id);
    const struct link_node *primary = n->primary ? NULL : primary_of(is, n->shard);
    char what[STATE_URL_MAX + 80];

    if (!before && n->primary) {
        snprintf(what, sizeof(what), "joined, a primary with %u slots", n->slots);
        tell(c, n, what);
    } else if (!before) {
        snprintf(what, sizeof(what), "joined, a replica of %s", primary ? primary->address : "nobody");
        tell(c, n, what);
    } else if (n->primary && !before->primary) {
        const struct link_node *former = primary_of(was, before->shard);
        snprintf(what, sizeof(what), "took over from %s, with %u slots",
                 former ? former->address : "a node that is gone", n->slots);
        tell(c, n, what);
    } else if (strcmp(before->address, n->address) != 0) {
        snprintf(what, sizeof(what), "has another address: before, %s", before->address);
        tell(c, n, what);
    }
}

static void tell_changes(struct link *k, enum lane_side side, const struct link_nodes *was,
                         const struct link_nodes *is)
{
    struct change c = {.link = k, .side = side};
    char what[40];

    for (size_t i = 0; i < is->count; i++)
        tell_node(&c, was, is, &is->at[i]);
    for (size_t i = 0; i < was->count; i++)
        if (!find_id(is, was->at[i].id))
            tell(&c, &was->at[i], "left");
    if (c.lines > LINES_MAX) {
        snprintf(what, sizeof(what), "changed in %u more ways", c.lines - LINES_MAX);
        link_tell_node(k, side, k->endpoints[side].url.text, what);
    }
}

/* Slots. */

static void keep_told(const struct link_nodes *was, struct link_nodes *is)
{
    for (size_t i = 0; i < is->count; i++) {
        const struct link_node *before = find_id(was, is->at[i].id);
        /* Of one that took over, joined or left, it was told in its own line. */
        bool same = before && before->primary == is->at[i].primary;
        is->at[i].told_slots = same ? before->told_slots : is->at[i].slots;
    }
}

static size_t describe_moves(const struct link_nodes *nodes, char *out, size_t cap)
{
    size_t moved = 0, at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < nodes->count; i++) {
        const struct link_node *n = &nodes->at[i];
        if (n->slots == n->told_slots)
            continue;
        moved++;
        if (at < cap)
            at += (size_t)snprintf(out + at, cap - at, "%s%.60s has %u, before %u", at ? ", " : "",
                                   n->address, n->slots, n->told_slots);
    }
    return moved;
}

static void tell_slots(struct link *k, enum lane_side side)
{
    struct link_nodes *nodes = &k->nodes[side];
    char text[400];

    if (!describe_moves(nodes, text, sizeof(text)))
        return;
    link_tell_slots(k, side, text);
    for (size_t i = 0; i < nodes->count; i++)
        nodes->at[i].told_slots = nodes->at[i].slots;
}

void link_slots_fired(void *arg)
{
    struct link *k = arg;
    tell_slots(k, LANE_SOURCE);
    tell_slots(k, LANE_TARGET);
}

/* The first at once, what follows soon after it together. */
static void slots_may_have_moved(struct link *k, enum lane_side side)
{
    char text[400];

    if (!describe_moves(&k->nodes[side], text, sizeof(text)) || timer_is_set(k->slots_timer))
        return;
    tell_slots(k, side);
    timer_set(k->slots_timer, SLOTS_TOLD_US);
}

/* All of it. */

void link_follow_nodes(struct link *k, enum lane_side side)
{
    const struct topology_map *map = topology_map(k->topologies[side]);
    struct link_nodes *now = &k->nodes[side], was = *now, is;
    bool first = was.count == 0;

    if (!map || map->version == was.version)
        return;
    if (read_map(k->topologies[side], map, &is) < 0) {
        topology_refresh(k->topologies[side]); /* memory may be there for the next one */
        return;
    }
    keep_told(&was, &is);
    *now = is;
    if (!first && map->cluster) {
        tell_changes(k, side, &was, &is);
        slots_may_have_moved(k, side);
    }
    free(was.at);
}

static void changed(struct link *k, enum lane_side side)
{
    link_follow_nodes(k, side);
    link_probe_map_changed(k, side);
    if (k->lanes && !k->stopping)
        link_look_at_nodes(k);
    k->ev.changed(k->arg);
}

static void source_changed(void *arg)
{
    changed(arg, LANE_SOURCE);
}

static void target_changed(void *arg)
{
    changed(arg, LANE_TARGET);
}

/* Making them, and wanting them. */

int link_nodes_begin(struct link *k)
{
    static void (*const fns[])(void *) = {[LANE_SOURCE] = source_changed, [LANE_TARGET] = target_changed};
    int err = 0;

    for (size_t i = 0; i < ARRAY_LEN(k->topologies) && !err; i++) {
        err = config_topology(k->config, i == LANE_TARGET, k->loop, &k->endpoints[i], &k->topologies[i]);
        k->listeners[i] = (struct topology_listener){.changed = fns[i], .arg = k};
        if (!err)
            topology_listen(k->topologies[i], &k->listeners[i]);
    }
    return err;
}

void link_nodes_end(struct link *k)
{
    for (size_t i = 0; i < ARRAY_LEN(k->topologies); i++) {
        if (k->topologies[i])
            topology_unlisten(k->topologies[i], &k->listeners[i]);
        k->topologies[i] = topology_free(k->topologies[i]);
        free(k->nodes[i].at);
    }
}

void link_want(struct link *k, enum lane_side side, bool wanted)
{
    if (k->wanted[side] != wanted)
        topology_want(k->topologies[side], wanted);
    k->wanted[side] = wanted;
}
