/* lanes_place.c - from where all lanes may be gone on with after a restart (CORRECTNESS 6).
 *
 * Each lane has a place of its own, before which all that its feed told has been applied: by the lane itself,
 * as long as no mark went to another. So there is none while a key may be at a node that does not have its
 * slot by the map: the other lane may not have applied what this one told, and after a restart nobody would
 * know that the other's node holds some of the keys (lanes_missed()).
 */
#include "lib/copy/lanes_impl.h"

#include <string.h>

void lanes_place_forget(struct lanes *s)
{
    for (size_t i = 0; i < s->n; i++)
        lane_place_forget(s->at[i]->lane);
}

static const struct topology_map *map_of(struct topology *t)
{
    return t ? topology_map(t) : NULL;
}

/* No slot is on its way from it, or may have come unseen, and no key of another's is at its node. */
static bool is_settled(const struct served *one)
{
    return one->giving == GIVING_NOTHING && !one->confirms && !slot_set_count(&one->others);
}

static bool is_in_place(const struct served *one, const struct topology_map *map)
{
    return one->index < map->nshards && !one->stopping && is_settled(one) &&
           strcmp(one->shard.primary.id, map->shards[one->index].primary.id) == 0;
}

static bool slot_is_in_place(const struct lanes *s, const struct topology_map *map, unsigned slot)
{
    return s->owner[slot] && s->owner[slot]->index == map->owner[slot];
}

static bool concerns(const struct served *one, const struct topology_map *map, unsigned slot)
{
    return one->all->owner[slot] == one || map->owner[slot] == one->index;
}

/* What was read there by ASK is not in its lane's account of what was read ahead of the stream. */
static bool is_asked_at(const struct lanes *s, const struct served *one)
{
    for (size_t i = 0; i < s->n; i++)
        if (lane_asks_at(s->at[i]->lane, one->source.url.text))
            return true;
    return false;
}

bool lanes_is_apart(const struct lanes *s, const struct served *one)
{
    const struct topology_map *map = map_of(s->opt.source);

    if (!map || map->version != s->version || one->index >= map->nshards || !is_settled(one) ||
        is_asked_at(s, one))
        return false;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (concerns(one, map, slot) && (!slot_is_in_place(s, map, slot) || lanes_is_split(s, slot)))
            return false;
    return true;
}

/* When one that was passed on, or given away, cannot be any more, all places are forgotten: so where each
 * lane has one, what waited in any set then has been applied. */
bool lanes_keeps_all(const struct lanes *s, const struct served *one)
{
    if (!is_settled(one))
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (!s->at[i]->lane->keeping.has_applied)
            return false;
    return true;
}

/* The lanes are those of the map, and no slot or key is on its way from one to another. */
static bool all_in_place(const struct lanes *s, const struct topology_map *map)
{
    if (!map)
        return s->n == 1;
    if (map->version != s->version || !map->covered || map->moving || map->nshards != s->n)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (!is_in_place(s->at[i], map))
            return false;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (!slot_is_in_place(s, map, slot))
            return false;
    return true;
}

static bool add_lane(const struct served *one, struct place *p)
{
    struct lane_place l;

    if (!lane_place(one->lane, &l) || !lane_place_targets(one->lane, p->nlanes == 0, p))
        return false;
    memcpy(l.node, one->shard.primary.id, sizeof(l.node));
    return place_add_lane(p, &l) == 0;
}

bool lanes_place(struct lanes *s, struct place *ret)
{
    const struct topology_map *source = map_of(s->opt.source), *target = map_of(s->opt.target);

    *ret = (struct place){.source_map = place_map(source), .target_map = place_map(target)};
    bool is = all_in_place(s, source) && !(target && (target->moving || !target->covered));
    for (size_t i = 0; i < s->n && is; i++)
        is = add_lane(s->at[i], ret);
    if (!is)
        place_clear(ret);
    return is;
}
