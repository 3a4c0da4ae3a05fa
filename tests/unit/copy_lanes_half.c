#include "tests/unit/copy_lanes_kit.h"

/* Keys of a slot that moves, which are at two nodes, and of which both tell. */

/* R5: a key that is at the node that takes the slot over is not gone. */
START_TEST(test_half_moved_keys_are_read_where_they_are)
{
    begin_servers(2);
    fill(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    for (unsigned i = 0; i < 10; i++)
        real_ask(&source.node[at], "SET {a}%u %u", i, i);
    new_lanes();
    until_live(1);
    slot_begin(&source, slot_of(BYTES("a")), at, to);
    for (unsigned i = 0; i < 4; i++) {
        char key[16];
        snprintf(key, sizeof(key), "{a}%u", i);
        slot_key(&source, key, at, to);
    }
    real_ask(&source.node[to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[to], "SET {a}1 moved"), "OK");
    real_ask(&source.node[to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[to], "DEL {a}2"), "1");
    real_ask(&source.node[at], "SET {a}8 stayed");
    drain();
    for (unsigned i = 0; i < 10; i++)
        if (i != 1 && i != 2 && i != 8) {
            char key[16], value[16];
            snprintf(key, sizeof(key), "{a}%u", i);
            snprintf(value, sizeof(value), "%u", i);
            ck_assert_msg(strcmp(real_ask(&target, "GET %s", key), value) == 0,
                          "a key that moved was taken for gone: %s", key);
        }
    expect("{a}1", "moved");
    expect("{a}2", "");
    expect("{a}8", "stayed");
    ck_assert_msg(owned_by_node("{a}", at), "the slot is still on its way");
    slot_keys(&source, slot_of(BYTES("a")), at, to);
    slot_end(&source, slot_of(BYTES("a")), to);
    UNTIL(owned_by_node("{a}", to));
    drain();
    expect("{a}0", "0");
    expect("{a}1", "moved");
    expect("{a}8", "stayed");
    ck_assert_uint_eq(deleted(), 1);
    ck_assert_str_eq(gaps, ""); /* the owner has said ASK: the keys came one by one */
    end();
}
END_TEST

/* R8: what was deleted at the node that takes a slot over, while its feed was away. */
START_TEST(test_half_moved_keys_that_were_missed)
{
    begin_servers(2);
    fill(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    real_ask(&source.node[at], "SET {a}1 1");
    real_ask(&source.node[at], "SET {a}2 2");
    new_lanes();
    until_live(1);
    slot_begin(&source, slot_of(BYTES("a")), at, to);
    slot_key(&source, "{a}1", at, to);
    slot_key(&source, "{a}2", at, to);
    drain();
    expect("{a}1", "1");
    real_ask(&source.node[to], "CLIENT KILL TYPE pubsub");
    real_ask(&source.node[to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[to], "DEL {a}1"), "1");
    until_live(2);
    drain();
    ck_assert_msg(strcmp(real_ask(&target, "EXISTS {a}1"), "0") == 0,
                  "a deletion was missed, of a key that had moved");
    expect("{a}2", "2");
    end();
}
END_TEST

/* At a node that takes the slot over already. */
static void set_many(size_t node, unsigned n)
{
    static const char script[] =
        "for i = 1, tonumber(ARGV[1]) do redis.call('SET', KEYS[1] .. ':' .. i, i) end";
    char count[16];

    snprintf(count, sizeof(count), "%u", n);
    const struct bytes argv[] = {BYTES("EVAL"), bytes_str(script), BYTES("1"), BYTES("{a}"),
                                 bytes_str(count)};
    real_ask(&source.node[node], "ASKING");
    ck_assert_int_ne(real_request(&source.node[node], ARRAY_LEN(argv), argv)->type, REPLY_ERROR);
}

/* R8: there was no room for what the node told that they had moved to. */
START_TEST(test_half_moved_keys_without_room)
{
    enum { MANY = 40000 };
    char all[16];

    begin(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    lanes_limits(lanes, 16 * MIB, 0, 0);
    slot_begin(&source, slot_of(BYTES("a")), at, to);
    real_ask(&target, "CLIENT PAUSE 20000 WRITE");
    set_many(to, MANY);
    UNTIL(strstr(gaps, "overrun"));
    real_ask(&target, "CLIENT UNPAUSE");
    until_live(2);
    drain();
    snprintf(all, sizeof(all), "%u", KEYS + MANY);
    ck_assert_str_eq(real_ask(&target, "DBSIZE"), all);
    end();
}
END_TEST

/* The same, as what was marked is forgotten before the first pass. */
START_TEST(test_half_moved_keys_before_the_first_pass)
{
    begin_servers(2);
    fill(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    real_ask(&source.node[at], "SET {a}1 1");
    slot_begin(&source, slot_of(BYTES("a")), at, to);
    slot_key(&source, "{a}1", at, to);
    refused = source.node[at].port;
    new_lanes();
    UNTIL(lane_is_dirty(lane_of_node(at)->lane, 0, BYTES("{a}1")));
    lane_gap(lane_of_node(at)->lane, "the source was lost");
    refused = 0;
    until_live(1);
    drain();
    expect("{a}1", "1");
    end();
}
END_TEST

/* R5: nor at one that its lane has left for another server. */
START_TEST(test_a_half_moved_key_is_not_read_at_a_former_primary)
{
    char run_id[RUN_ID_MAX];

    begin_servers(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    real_ask(&source.node[at], "SET {a} old");
    new_lanes();
    until_live(1);
    slot_begin(&source, slot_of(BYTES("a")), at, to);
    slot_key(&source, "{a}", at, to);
    drain();
    refused = source.node[to].port;
    char *approved = lane_of_node(to)->lane->approved;
    memcpy(run_id, approved, sizeof(run_id));
    approved[0] ^= 1;
    real_ask(&source.node[to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[to], "SET {a} new"), "OK");
    UNTIL(lane_is_dirty(lane_of_node(at)->lane, 0, BYTES("{a}")));
    fake_pass(&none, 300);
    expect("{a}", "old");
    memcpy(approved, run_id, sizeof(run_id));
    refused = 0;
    drain();
    expect("{a}", "new");
    end();
}
END_TEST

/* The same, where the other is yet to go on from its place: what it told it does not tell again. */
START_TEST(test_half_moved_keys_before_the_other_goes_on)
{
    struct place place;

    feed = FEED_PSYNC;
    begin(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    UNTIL(lanes_place(lanes, &place));
    end_lanes();
    slot_begin(&source, slot_of(BYTES("a")), at, to);
    real_ask(&source.node[to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[to], "SET {a} new"), "OK");
    former = &place;
    new_lanes();
    lanes_pause(lanes, true);
    UNTIL(lane_is_dirty(lane_of_node(at)->lane, 0, BYTES("{a}")));
    lane_gap(lane_of_node(at)->lane, "the source was lost");
    lane_pause(lane_of_node(at)->lane, false);
    UNTIL(lane_of_node(at)->lane->round);
    lanes_pause(lanes, false);
    until_live(1);
    drain();
    expect("{a}", "new");
    place_clear(&place);
    former = NULL;
    feed = FEED_NOTIFY;
    end();
}
END_TEST

/* The same, where keys of the slot are at two other nodes, as they are where a failover came between. */
START_TEST(test_half_moved_keys_at_several_nodes)
{
    begin(3);
    size_t at = node_of("{a}", 3);
    lane_freeze(lane_of_node(at)->lane, true); /* what is marked stays dirty */
    for (size_t i = 0; i < 3; i++) {
        char key[16];
        snprintf(key, sizeof(key), "{a}%zu", i);
        if (i != at) {
            slot_import(&source, slot_of(BYTES("a")), at, i);
            real_ask(&source.node[i], "ASKING");
            ck_assert_str_eq(real_ask(&source.node[i], "SET %s new", key), "OK");
            UNTIL(lane_is_dirty(lane_of_node(at)->lane, 0, bytes_str(key)));
        }
    }
    dirty_clear(lane_of_node(at)->lane->dirty);
    lane_of_node(at)->lane->dropped = true;
    lane_gap(lane_of_node(at)->lane, "there was no room");
    UNTIL(lane_of_node(at)->lane->phase != LANE_GAP);
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(lane_of_node(i)->lane->gaps,
                      "what this node told was dropped, and it tells it no more");
    end();
}
END_TEST

/* Of a group's state no feed tells, and the node that it moves to did not know of the stream as it looked. */
START_TEST(test_a_half_moved_stream)
{
    begin_servers(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    real_ask(&source.node[at], "XADD {a} 1-1 f v");
    real_ask(&source.node[at], "XGROUP CREATE {a} g 0");
    real_ask(&source.node[at], "XREADGROUP GROUP g c STREAMS {a} >");
    new_lanes();
    until_live(1);
    slot_begin(&source, slot_of(BYTES("a")), at, to);
    slot_key(&source, "{a}", at, to);
    drain();
    real_ask(&source.node[to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[to], "XACK {a} g 1-1"), "1");
    drain();
    ck_assert_msg(strcmp(real_ask(&target, "XACK {a} g 1-1"), "0") == 0,
                  "drained, and what became of a group at the node that its slot moves to is not applied");
    slot_end(&source, slot_of(BYTES("a")), to);
    UNTIL(owned_by_node("{a}", to));
    drain();
    ck_assert_str_eq(real_ask(&target, "XACK {a} g 1-1"), "0");
    end();
}
END_TEST

/* The move of a slot that was given up: one key is brought back, one goes where it is. Then nothing is at two
 * nodes any more, and the streams have places again. */
START_TEST(test_a_move_that_was_given_up)
{
    struct place place;

    feed = FEED_PSYNC;
    begin_servers(2);
    fill(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    unsigned slot = slot_of(BYTES("a"));
    real_ask(&source.node[at], "SET {a}1 1");
    real_ask(&source.node[at], "SET {a}2 2");
    new_lanes();
    until_live(1);
    slot_begin(&source, slot, at, to);
    slot_key(&source, "{a}1", at, to);
    slot_key(&source, "{a}2", at, to);
    drain();
    ck_assert(lanes_is_split(lanes, slot) && !lanes_place(lanes, &place));
    slot_stable(&source, slot, at);
    slot_key(&source, "{a}1", to, at);
    slot_stable(&source, slot, to);
    fake_pass(&none, 5000);
    ck_assert_msg(lanes_is_split(lanes, slot) && !lanes_place(lanes, &place),
                  "a place is kept, and a key is left there");
    slot_import(&source, slot, at, to);
    real_ask(&source.node[to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[to], "DEL {a}2"), "1");
    slot_stable(&source, slot, to);
    UNTIL(!lanes_is_split(lanes, slot));
    ck_assert(!lanes->doubted[slot] && !lanes->asked[slot]);
    UNTIL(lanes_place(lanes, &place));
    place_clear(&place);
    expect("{a}1", "1");
    expect("{a}2", "");
    ck_assert_str_eq(gaps, "");
    feed = FEED_NOTIFY;
    end();
}
END_TEST

/* What is told of a key meanwhile counts, as does a lost feed. */
START_TEST(test_a_node_that_is_heard_of_again_is_not_given_up)
{
    feed = FEED_PSYNC;
    begin(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    unsigned slot = slot_of(BYTES("a"));
    struct looking *look = &lane_of_node(to)->looking;
    slot_begin(&source, slot, at, to);
    set_many(to, 1);
    UNTIL(lanes_is_split(lanes, slot) && slot_set_count(&look->still));
    lanes_stray(lanes, lane_of_node(to)->lane, DIRTY_LIVE, 0, BYTES("{a}:1"));
    ck_assert_msg(!slot_set_count(&look->still), "a key may have come there since");
    UNTIL(slot_set_count(&look->still)); /* looked at anew */
    lane_gap(lane_of_node(to)->lane, "its feed has missed something");
    ck_assert_msg(!slot_set_count(&look->still), "what came there meanwhile is not known");
    real_ask(&source.node[to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[to], "DEL {a}:1"), "1");
    UNTIL(!lanes_is_split(lanes, slot));
    feed = FEED_NOTIFY;
    end();
}
END_TEST

static const struct lane_problem *left_at(size_t node)
{
    return &lane_of_node(node)->lane->conditions[LANE_SLOTS_LEFT];
}

/* Each node is asked by itself, and where it may not be, or an answer is lost, that is told, and tried again.
 */
START_TEST(test_keys_that_were_left_at_several_nodes)
{
    size_t others[2], n = 0;

    feed = FEED_PSYNC;
    begin(3);
    size_t at = node_of("{a}", 3);
    unsigned slot = slot_of(BYTES("a"));
    for (size_t i = 0; i < 3; i++) {
        if (i == at)
            continue;
        others[n++] = i;
        slot_import(&source, slot, at, i);
        set_many(i, 1);
        UNTIL(slot_set_has(&lane_of_node(i)->others, slot));
    }
    ck_assert_str_eq(real_ask(&source.node[others[0]], "ACL SETUSER default -cluster|countkeysinslot"), "OK");
    UNTIL(left_at(others[0])->on);
    ck_assert_msg(strstr(left_at(others[0])->text, "NOPERM"), "%s", left_at(others[0])->text);
    for (size_t i = 0; i < 2; i++) {
        ck_assert(lanes_is_split(lanes, slot));
        real_ask(&source.node[others[i]], "ASKING");
        ck_assert_str_eq(real_ask(&source.node[others[i]], "DEL {a}:1"), "1");
        fake_pass(&none, 100);
        ck_assert_str_eq(real_ask(&source.node[others[i]], "ACL SETUSER default +cluster|countkeysinslot"),
                         "OK");
        lane_of_node(others[i])->looking.step = LOOK_COUNT; /* nobody answers */
        UNTIL(!slot_set_has(&lane_of_node(others[i])->others, slot));
    }
    ck_assert(!lanes_is_split(lanes, slot) && !lanes->doubted[slot]);
    UNTIL(!left_at(others[0])->on);
    ck_assert_str_eq(gaps, "");
    feed = FEED_NOTIFY;
    end();
}
END_TEST

/* As told after a minute: the minute is over. */
#define LEFT_LONG_US 60000000

/* Also where its keys are written all the time, so that nobody counts them; and no longer than it is so. */
START_TEST(test_a_slot_that_stays_half_moved_is_told_of)
{
    feed = FEED_PSYNC;
    begin(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    unsigned slot = slot_of(BYTES("a"));
    struct looking *look = &lane_of_node(to)->looking;
    char named[32];
    snprintf(named, sizeof(named), "slot %u ", slot);
    slot_import(&source, slot, at, to);
    set_many(to, 1);
    UNTIL(lanes_is_split(lanes, slot));
    ck_assert_msg(look->seen_us && look->slot == slot, "a key was told of there, and it was not noted when");
    fake_pass(&none, 500);
    ck_assert_msg(!left_at(to)->on, "told of what may be a move that goes on: %s", left_at(to)->text);
    look->seen_us -= LEFT_LONG_US;
    UNTIL((set_many(to, 1), left_at(to)->on));
    ck_assert_msg(strstr(left_at(to)->text, named), "%s", left_at(to)->text);
    real_ask(&source.node[to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[to], "DEL {a}:1"), "1");
    UNTIL(!slot_set_has(&lane_of_node(to)->others, slot));
    UNTIL(!left_at(to)->on);
    feed = FEED_NOTIFY;
    end();
}
END_TEST

/* R8: keys that were at a node that has left are gone with it, and no feed tells of that. */
START_TEST(test_half_moved_keys_go_with_their_node)
{
    begin_servers(2);
    fill(2);
    size_t at = node_of("{a}", 2);
    unsigned slot = slot_of(BYTES("a"));
    real_ask(&source.node[at], "SET {a}1 1");
    cluster_add(&source);
    cluster_until(&source, "CLUSTER NODES", " connected", 3);
    cluster_until(&source, "CLUSTER INFO", "cluster_state:ok", 1);
    new_lanes();
    until_live(1);
    slot_begin(&source, slot, at, 2);
    slot_key(&source, "{a}1", at, 2);
    drain();
    expect("{a}1", "1");
    slot_stable(&source, slot, at);
    for (size_t i = 0; i < 2; i++)
        ck_assert_str_eq(real_ask(&source.node[i], "CLUSTER FORGET %s", source.id[2]), "OK");
    UNTIL(lanes_count(lanes) == 2);
    drain();
    ck_assert_msg(strcmp(real_ask(&target, "EXISTS {a}1"), "0") == 0,
                  "drained, and the target has a key that is gone with its node");
    ck_assert(!lanes_is_split(lanes, slot) && !lanes->doubted[slot]);
    end();
}
END_TEST

UNIT_MAIN("copy/lanes_half", test_half_moved_keys_are_read_where_they_are,
          test_half_moved_keys_that_were_missed, test_half_moved_keys_without_room,
          test_half_moved_keys_before_the_first_pass, test_a_half_moved_key_is_not_read_at_a_former_primary,
          test_half_moved_keys_before_the_other_goes_on, test_half_moved_keys_at_several_nodes,
          test_a_half_moved_stream, test_a_move_that_was_given_up,
          test_a_node_that_is_heard_of_again_is_not_given_up, test_keys_that_were_left_at_several_nodes,
          test_a_slot_that_stays_half_moved_is_told_of, test_half_moved_keys_go_with_their_node)
