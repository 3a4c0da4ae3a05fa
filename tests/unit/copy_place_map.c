#include "lib/copy/place.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct shard shards[3] = {
    {.primary = {.id = "a"}}, {.primary = {.id = "b"}}, {.primary = {.id = "c"}}};

/* The first half is a's, the rest b's; c has none. */
static struct topology_map whole(void)
{
    struct topology_map m = {.cluster = true, .epoch = 5, .nshards = 3, .shards = shards};

    for (unsigned slot = 0; slot < SLOTS; slot++)
        m.owner[slot] = slot >= SLOTS / 2;
    return m;
}

START_TEST(what_is_no_cluster_has_no_map)
{
    struct topology_map m = whole();

    m.cluster = false;
    ck_assert(place_map(NULL) == 0 && place_map(&m) == 0);
}
END_TEST

START_TEST(any_change_is_another_map)
{
    struct topology_map m = whole();
    uint64_t was = place_map(&m);

    m.version = 9;
    m.moving = true;
    ck_assert(was && place_map(&m) == was);
    for (unsigned slot = 0; slot < SLOTS; slot += SLOTS / 16) {
        m.owner[slot] ^= 1;
        ck_assert(place_map(&m) != was);
        m.owner[slot] = SHARD_NONE;
        ck_assert(place_map(&m) != was);
        m.owner[slot] = slot >= SLOTS / 2;
    }
    ck_assert(place_map(&m) == was);
    m.epoch++; /* as of a slot that went and came back */
    ck_assert(place_map(&m) != was);
    m.epoch--;
    m.nshards--;
    ck_assert(place_map(&m) != was);
}
END_TEST

START_TEST(the_order_of_the_nodes_is_none)
{
    struct topology_map m = whole(), other = whole();
    struct shard turned[3] = {shards[2], shards[1], shards[0]};

    other.shards = turned;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        other.owner[slot] = (uint16_t)(2 - m.owner[slot]);
    ck_assert(place_map(&m) == place_map(&other));
    other.shards = shards; /* others have the slots */
    ck_assert(place_map(&m) != place_map(&other));
}
END_TEST

START_TEST(as_far_is_neither_less_nor_more)
{
    struct place p = {.nlanes = 0}, other;
    struct lane_place a = {.node = "a", .feed = {.offset = 1}}, b = {.node = "b", .feed = {.offset = 2}};

    ck_assert_int_eq(place_add_lane(&p, &a), 0);
    ck_assert_int_eq(place_copy(&other, &p), 0);
    ck_assert(place_is_as_far(&p, &other));
    ck_assert_int_eq(place_add_lane(&other, &b), 0);
    ck_assert(!place_is_as_far(&p, &other) && !place_is_as_far(&other, &p));
    ck_assert_int_eq(place_add_lane(&p, &b), 0);
    ck_assert(place_is_as_far(&p, &other));
    p.lanes[1].feed.offset++;
    ck_assert(!place_is_as_far(&p, &other));
    place_clear(&p);
    place_clear(&other);
}
END_TEST

UNIT_MAIN("copy/place_map", what_is_no_cluster_has_no_map, any_change_is_another_map,
          the_order_of_the_nodes_is_none, as_far_is_neither_less_nor_more)
