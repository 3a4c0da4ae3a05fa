/* lanes_follow.c - the lanes follow the nodes of the source: which shard of the map is whose, new lanes,
 * lanes whose shard has another primary, and lanes that end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/lanes_impl.h"

#define AGAIN_US 200000
#define LEFT_US  10000000 /* a former primary is seen as the replica that it has become by then */

/* Matching. */

static size_t shard_of_node(const struct topology_map *map, const char *id)
{
    for (size_t i = 0; i < map->nshards; i++)
        if (strcmp(map->shards[i].primary.id, id) == 0)
            return i;
    return SHARD_NONE;
}

static bool is_taken(const struct lanes *s, size_t index)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i]->index == index)
            return true;
    return false;
}

static size_t shard_of_replicas(const struct lanes *s, const struct served *one,
                                const struct topology_map *map)
{
    for (size_t i = 0; i < one->shard.nreplicas; i++) {
        size_t index = shard_of_node(map, one->shard.replicas[i].id);
        if (index != SHARD_NONE && !is_taken(s, index))
            return index;
    }
    return SHARD_NONE;
}

/* The shard that has most of the slots that the lane has by the map in force. */
static size_t shard_of_slots(const struct lanes *s, const struct served *one, const struct topology_map *map)
{
    unsigned shared[SHARDS_MAX] = {0};
    size_t most = SHARD_NONE;

    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (slot_set_has(&one->slots, slot) && map->owner[slot] < SHARDS_MAX)
            shared[map->owner[slot]]++;
    for (size_t i = 0; i < map->nshards && i < SHARDS_MAX; i++)
        if (shared[i] && !is_taken(s, i) && (most == SHARD_NONE || shared[i] > shared[most]))
            most = i;
    return most;
}

/* What took over is seen before it is that the former primary knows. */
static bool has_handed_over(const struct served *one, const struct topology_map *map)
{
    return one->index != SHARD_NONE && !map->shards[one->index].nslots && slot_set_count(&one->slots);
}

static void match_successors(struct lanes *s, const struct topology_map *map)
{
    for (size_t i = 0; i < s->n; i++) {
        size_t index = has_handed_over(s->at[i], map) ? shard_of_replicas(s, s->at[i], map) : SHARD_NONE;
        if (index != SHARD_NONE && map->shards[index].nslots)
            s->at[i]->index = index;
    }
}

/* The same node; else one that was its replica; else whoever has its slots now. */
static void match(struct lanes *s, const struct topology_map *map)
{
    static size_t (*const by[])(const struct lanes *s, const struct served *one,
                                const struct topology_map *map) = {shard_of_replicas, shard_of_slots};

    for (size_t i = 0; i < s->n; i++)
        s->at[i]->index = s->at[i]->stopping ? SHARD_NONE : shard_of_node(map, s->at[i]->shard.primary.id);
    match_successors(s, map);
    for (size_t b = 0; b < ARRAY_LEN(by); b++)
        for (size_t i = 0; i < s->n; i++)
            if (s->at[i]->index == SHARD_NONE && !s->at[i]->stopping)
                s->at[i]->index = by[b](s, s->at[i], map);
}

/* The lane's endpoint. */

struct change {
    struct served *one;
    struct endpoint *other;
};

static void change_endpoint(void *arg)
{
    const struct change *c = arg;
    struct endpoint was = c->one->source;

    c->one->source = *c->other;
    *c->other = was;
}

/* The former one is in *to then. */
static int move(struct served *one, struct endpoint *to)
{
    struct notify_record recorded;
    struct change c = {one, to};

    lanes_recorded(one->all, to->url.text, &recorded);
    int err = lane_move(one->lane, &recorded, change_endpoint, &c);
    if (err)
        return err;
    one->all->changes++;
    one->looking.seq = 0; /* it may be another watch, whose readings are counted from the first */
    lanes_doubt(one);
    return 0;
}

static int follow_primary(struct served *one, const struct shard *shard)
{
    struct lanes *s = one->all;
    struct endpoint to;
    int err = topology_endpoint(s->opt.source, &shard->primary, &to);

    if (err)
        return err;
    if (strcmp(to.url.text, one->source.url.text) != 0)
        err = move(one, &to);
    endpoint_node_clear(&to);
    if (err)
        return err;
    if (strcmp(one->shard.primary.id, shard->primary.id) != 0) {
        memcpy(one->former, one->shard.primary.id, sizeof(one->former));
        one->moved_us = loop_now_us(s->loop);
    }
    one->shard = *shard;
    return 0;
}

/* By a replica of its own, and has no slots: it is about to become a replica, and no lane reads there. */
static bool was_left(const struct lanes *s, const struct shard *shard)
{
    for (size_t i = 0; i < s->n; i++)
        if (!shard->nslots && strcmp(s->at[i]->former, shard->primary.id) == 0 &&
            loop_now_us(s->loop) - s->at[i]->moved_us < LEFT_US)
            return true;
    return false;
}

/* Nobody's slots go to whom the map says; what happened to them meanwhile is not known. */
static void adopt(struct lanes *s, const struct topology_map *map)
{
    for (size_t i = 0; i < s->n; i++) {
        bool any = false;
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            if (s->owner[slot] || map->owner[slot] != s->at[i]->index || s->at[i]->index == SHARD_NONE)
                continue;
            lanes_own(s->at[i], slot);
            any = true;
        }
        if (!any)
            continue;
        s->at[i]->lane->opt.unswept = false;
        lane_gap(s->at[i]->lane, "slots came that were no node's");
    }
}

/* Ending lanes. */

static void one_stopped(bool put_back, void *arg)
{
    struct served *one = arg;

    (void)put_back;
    one->stopped = true;
    lanes_follow_soon(one->all);
}

/* True: something of it is still to end. */
static bool end_lane(struct served *one)
{
    if (one->stopping || slot_set_count(&one->slots) || !lane_is_still(one->lane))
        return !one->stopped;
    one->stopping = true;
    lane_stop(one->lane, one_stopped, one);
    return true;
}

static bool end_lanes(struct lanes *s)
{
    bool more = false;

    for (size_t i = s->n; i--;) {
        struct served *one = s->at[i];
        if (one->index != SHARD_NONE)
            continue;
        more |= end_lane(one);
        if (!one->stopped || s->n == 1)
            continue;
        lanes_remove(s, one);
        s->changes++;
    }
    return more;
}

static int follow_map(struct lanes *s, const struct topology_map *map)
{
    int err = 0;

    match(s, map);
    for (size_t i = 0; i < s->n && !err; i++)
        if (s->at[i]->index != SHARD_NONE)
            err = follow_primary(s->at[i], &map->shards[s->at[i]->index]);
    for (size_t i = 0; i < map->nshards && !err; i++) {
        if (is_taken(s, i))
            continue;
        if (was_left(s, &map->shards[i]))
            s->later = true;
        else
            err = lanes_add(s, &map->shards[i], i);
    }
    return err;
}

void lanes_follow(struct lanes *s)
{
    const struct topology_map *map = s->opt.source ? topology_map(s->opt.source) : NULL;
    size_t n = s->n;
    uint64_t changes = s->changes;

    if (!map || !map->nshards || s->stopping)
        return;
    if (s->seal.fn || s->seal.done) /* nothing new may reach the target: the end of it comes back here */
        return;
    s->version = map->version;
    s->later = false;
    int err = follow_map(s, map);
    s->behind = err != 0;
    adopt(s, map);
    for (size_t i = 0; i < s->n; i++)
        lanes_give(s->at[i]);
    if (end_lanes(s) || err || s->later)
        timer_set(s->again, AGAIN_US);
    if (n == s->n && changes == s->changes) {
        lanes_drains_look(s); /* it may not be followed later any more */
        return;
    }
    lanes_share_limits(s);
    lanes_drains_begin_again(s);
    lanes_follow_phase(s);
    s->ev.changed(s->arg);
}

static void follow_later(void *arg)
{
    lanes_follow(arg);
}

void lanes_follow_soon(struct lanes *s)
{
    loop_defer(s->loop, &s->follow_later, follow_later, s);
}
