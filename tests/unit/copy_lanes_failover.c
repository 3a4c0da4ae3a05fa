#include "tests/unit/copy_lanes_kit.h"

/* A primary of the source fails over, and its lane's stream goes on at the new one; or that would not be
 * right. */

static const char *key_at(size_t node)
{
    for (unsigned i = 0; i < KEYS; i++)
        if (node_of(key_of(i), 2) == node)
            return key_of(i);
    ck_abort_msg("no key is there");
}

/* The third node is a replica of this one. */
static void begin_with_replica(size_t primary)
{
    feed = FEED_PSYNC;
    begin_servers(2);
    add_replica(primary);
    fill(2);
}

static void fail_over(void)
{
    ck_assert_str_eq(real_ask(&source.node[2], "CLUSTER FAILOVER"), "OK");
}

static void end_all(void)
{
    end();
    feed = FEED_NOTIFY;
}

START_TEST(test_the_stream_goes_on_at_a_replica_that_took_over)
{
    begin_with_replica(0);
    new_lanes();
    until_live(1);
    struct served *moves = lane_of_node(0);
    real_ask(&source.node[0], "SET %s before", key_at(0));
    fail_over();
    UNTIL(lane_of_node(2) != NULL);
    ck_assert_ptr_eq(lane_of_node(2), moves);
    for (unsigned i = 1; i < 50; i++)
        if (node_of(key_of(i), 2) == 0)
            real_ask(&source.node[2], i % 2 ? "SET %s after" : "DEL %s", key_of(i));
    UNTIL(moves->lane->followed_us && moves->lane->is_approved);
    drain();
    for (unsigned i = 1; i < 50; i++)
        if (node_of(key_of(i), 2) == 0)
            expect(key_of(i), i % 2 ? "after" : "");
    ck_assert_str_eq(gaps, "");
    ck_assert_uint_eq(moves->lane->round, 1);
    ck_assert_uint_eq(lanes_count(lanes), 2);
    ck_assert_uint_gt(changes, 0);
    end_all();
}
END_TEST

/* As if it had been read at the former primary, which told nobody else of it. */
START_TEST(test_what_was_copied_ahead_of_the_stream_is_read_again)
{
    begin_with_replica(0);
    new_lanes();
    until_live(1);
    drain();
    struct lane *l = lane_of_node(0)->lane;
    const char *key = key_at(0);
    real_ask(&target, "SET %s lost", key);
    fail_over();
    UNTIL((ahead_add(l->ahead, 0, bytes_str(key)), lane_of_node(2) && l->followed_us && l->is_approved));
    drain();
    expect(key, key + strlen("key:"));
    ck_assert_str_eq(gaps, "");
    end_all();
}
END_TEST

/* The server that takes over has less of the stream than the lane. */
START_TEST(test_a_stream_that_ends_before_the_lane_s_is_not_gone_on_with)
{
    begin_with_replica(0);
    new_lanes();
    until_live(1);
    drain();
    const char *key = key_at(0);
    kill(source.node[2].pid, SIGSTOP);
    real_ask(&source.node[0], "CLIENT KILL TYPE replica");
    real_ask(&source.node[0], "SET %s lost", key);
    UNTIL(strcmp(real_ask(&target, "GET %s", key), "lost") == 0);
    kill(source.node[0].pid, SIGSTOP);
    kill(source.node[2].pid, SIGCONT);
    UNTIL(strcmp(real_ask(&source.node[2], "CLUSTER FAILOVER TAKEOVER"), "OK") == 0);
    UNTIL(lane_of_node(2) != NULL);
    UNTIL(gaps[0] || lane_of_node(2)->lane->followed_us);
    drain();
    expect(key, key + strlen("key:"));
    ck_assert_msg(strstr(gaps, "more was taken of the former primary's stream") != NULL, "%s", gaps);
    kill(source.node[0].pid, SIGCONT);
    end_all();
}
END_TEST

/* R5, R8: what the lane of a slot read by ASK at the node that takes it over, as if that one had told nobody
 * else. */
START_TEST(test_a_half_moved_slot_is_a_gap_for_both)
{
    begin_with_replica(1 - node_of("{a}", 2));
    size_t at = node_of("{a}", 2), to = 1 - at;
    live_half_moved(at, to);
    expect("{a}1", "1");
    real_ask(&target, "SET {a}1 lost");
    fail_over();
    UNTIL(lane_of_node(2) != NULL);
    slot_begin(&source, slot_of(BYTES("a")), at, 2);
    UNTIL(strstr(gaps, "while slots were moving") != NULL || lane_of_node(2)->lane->followed_us);
    fake_pass(&none, 500);
    drain();
    expect("{a}1", "1");
    expect("{a}2", "2");
    slot_keys(&source, slot_of(BYTES("a")), at, 2);
    slot_end(&source, slot_of(BYTES("a")), 2);
    UNTIL(owned_by_node("{a}", 2));
    drain();
    expect("{a}1", "1");
    expect("{a}2", "2");
    end_all();
}
END_TEST

/* Both who has it and who holds some of its keys; once the move was given up, and no key is left there,
 * neither.
 */
START_TEST(test_a_move_that_was_given_up_is_no_hindrance)
{
    begin_with_replica(node_of("{a}", 2));
    size_t at = node_of("{a}", 2), to = 1 - at;
    unsigned slot = slot_of(BYTES("a"));
    real_ask(&source.node[at], "SET {a}1 1");
    new_lanes();
    until_live(1);
    struct served *owner = lane_of_node(at), *other = lane_of_node(to);
    ck_assert(lanes_is_apart(lanes, owner) && lanes_is_apart(lanes, other));
    slot_begin(&source, slot, at, to);
    slot_key(&source, "{a}1", at, to);
    drain();
    ck_assert(lanes_is_split(lanes, slot));
    ck_assert_msg(!lanes_is_apart(lanes, owner), "keys of its slot are at another node");
    ck_assert_msg(!lanes_is_apart(lanes, other), "keys of another's slot are at its node");
    slot_stable(&source, slot, at);
    slot_key(&source, "{a}1", to, at);
    slot_stable(&source, slot, to);
    UNTIL(lanes_is_apart(lanes, owner) && lanes_is_apart(lanes, other));
    drain();
    fail_over();
    UNTIL(lane_of_node(2) && lane_of_node(2)->lane->followed_us && lane_of_node(2)->lane->is_approved);
    real_ask(&source.node[2], "SET {a}1 after");
    drain();
    expect("{a}1", "after");
    ck_assert_str_eq(gaps, "");
    end_all();
}
END_TEST

/* What was deleted last at the former primary, of a slot that was no longer its own, is told by nobody. */
START_TEST(test_slots_that_leave_soon_after_are_gone_through)
{
    begin_with_replica(node_of("{a}", 2));
    size_t at = node_of("{a}", 2), to = 1 - at;
    real_ask(&source.node[at], "SET {a}1 1");
    new_lanes();
    until_live(1);
    drain();
    fail_over();
    UNTIL(lane_of_node(2) && lane_of_node(2)->lane->followed_us && lane_of_node(2)->lane->is_approved);
    drain();
    ck_assert_str_eq(gaps, "");
    real_ask(&target, "SET {a}2 deleted");
    slot_move(&source, slot_of(BYTES("a")), 2, to);
    UNTIL(owned_by_node("{a}", to));
    drain();
    expect("{a}1", "1");
    expect("{a}2", "");
    end_all();
}
END_TEST

START_TEST(test_what_was_read_by_ask_is_not_known_by_name)
{
    feed = FEED_PSYNC;
    begin_servers(2);
    fill(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    real_ask(&source.node[at], "SET {a}1 1");
    new_lanes();
    until_live(1);
    drain();
    ck_assert(ahead_is_whole(lane_of_node(to)->lane->ahead));
    slot_move(&source, slot_of(BYTES("a")), at, to);
    UNTIL(owned_by_node("{a}", to));
    ck_assert_msg(!ahead_is_whole(lane_of_node(to)->lane->ahead),
                  "what was read for the lane before counts as known by name");
    UNTIL(ahead_is_whole(lane_of_node(to)->lane->ahead)); /* the stream has passed it */
    ck_assert_str_eq(gaps, "");
    end_all();
}
END_TEST

UNIT_MAIN("copy/lanes_failover", test_the_stream_goes_on_at_a_replica_that_took_over,
          test_what_was_copied_ahead_of_the_stream_is_read_again,
          test_a_stream_that_ends_before_the_lane_s_is_not_gone_on_with,
          test_a_half_moved_slot_is_a_gap_for_both, test_a_move_that_was_given_up_is_no_hindrance,
          test_slots_that_leave_soon_after_are_gone_through, test_what_was_read_by_ask_is_not_known_by_name)
