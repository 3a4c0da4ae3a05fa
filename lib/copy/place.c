#include "lib/copy/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/hash.h"

static int add(void **list, size_t *n, const void *one, size_t size)
{
    if (*n == SHARDS_MAX)
        return -ENOSPC;
    char *more = realloc(*list, (*n + 1) * size);
    if (!more)
        return -ENOMEM;
    memcpy(more + *n * size, one, size);
    *list = more;
    ++*n;
    return 0;
}

int place_add_lane(struct place *p, const struct lane_place *l)
{
    void *list = p->lanes;
    int err = add(&list, &p->nlanes, l, sizeof(*l));

    p->lanes = list;
    return err;
}

int place_add_target(struct place *p, const struct target_place *t)
{
    void *list = p->targets;
    int err = add(&list, &p->ntargets, t, sizeof(*t));

    p->targets = list;
    return err;
}

void place_clear(struct place *p)
{
    free(p->lanes);
    free(p->targets);
    *p = (struct place){.nlanes = 0};
}

int place_copy(struct place *ret, const struct place *from)
{
    int err = 0;

    *ret = (struct place){.source_map = from->source_map, .target_map = from->target_map};
    for (size_t i = 0; i < from->nlanes && !err; i++)
        err = place_add_lane(ret, &from->lanes[i]);
    for (size_t i = 0; i < from->ntargets && !err; i++)
        err = place_add_target(ret, &from->targets[i]);
    if (err)
        place_clear(ret);
    return err;
}

const struct lane_place *place_of_lane(const struct place *p, const char *node)
{
    for (size_t i = 0; i < p->nlanes; i++)
        if (strcmp(p->lanes[i].node, node) == 0)
            return &p->lanes[i];
    return NULL;
}

struct target_place *place_of_target(const struct place *p, const char *run_id)
{
    for (size_t i = 0; i < p->ntargets; i++)
        if (strcmp(p->targets[i].run_id, run_id) == 0)
            return &p->targets[i];
    return NULL;
}

bool place_is_as_far(const struct place *p, const struct place *other)
{
    for (size_t i = 0; i < p->nlanes; i++) {
        const struct lane_place *l = place_of_lane(other, p->lanes[i].node);
        if (!l || l->feed.offset != p->lanes[i].feed.offset)
            return false;
    }
    return p->nlanes == other->nlanes;
}

static uint64_t hash_text(uint64_t salt, const char *text)
{
    return hash_bytes((struct hash_seed){.k0 = 1}, salt, bytes_str(text));
}

uint64_t place_map(const struct topology_map *m)
{
    uint64_t sum = 0, nodes = 0;

    if (!m || !m->cluster)
        return 0;
    sum = hash_text(m->epoch, "epoch");
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        uint16_t owner = m->owner[slot];
        if (!slot || owner != m->owner[slot - 1])
            sum = hash_text(sum + slot, owner == SHARD_NONE ? "" : m->shards[owner].primary.id);
    }
    /* Those that have no slot too, in whatever order they are told. */
    for (size_t i = 0; i < m->nshards; i++)
        nodes += hash_text(0, m->shards[i].primary.id);
    return sum ^ nodes;
}
