#include "tests/unit/copy_lanes_kit.h"

#include <errno.h>

/* The lanes of a real cluster into a real server. */

START_TEST(test_a_lane_a_primary)
{
    struct lane_status status;

    begin(3);
    ck_assert_uint_eq(lanes_count(lanes), 3);
    expect_all();
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_gt(lane_of_node(i)->lane->copied, 0);
    lanes_status(lanes, &status);
    ck_assert_uint_eq(status.copied_keys, KEYS);
    ck_assert_uint_eq(status.round, 1);
    ck_assert_int_eq(status.phase, LANE_LIVE);
    real_ask(cluster_of(&source, "new", 3), "SET new x");
    real_ask(cluster_of(&source, key_of(7), 3), "DEL %s", key_of(7));
    drain();
    expect("new", "x");
    expect(key_of(7), "");
    ck_assert_str_eq(gaps, "");
    end();
}
END_TEST

/* Slots that move. */

START_TEST(test_a_slot_moves_while_live)
{
    static const enum feed_kind feeds[] = {FEED_NOTIFY, FEED_TRACKING};

    for (size_t f = 0; f < ARRAY_LEN(feeds); f++) {
        feed = feeds[f];
        begin_servers(2);
        fill(2);
        size_t at = node_of("{a}", 2), to = 1 - at;
        for (unsigned i = 0; i < 20; i++)
            real_ask(&source.node[at], "SET {a}%u %u", i, i);
        new_lanes();
        until_live(1);
        slot_move(&source, slot_of(BYTES("a")), at, to);
        real_ask(&source.node[to], "SET {a}1 new");
        real_ask(&source.node[to], "DEL {a}2");
        UNTIL(owned_by_node("{a}", to));
        drain();
        expect("{a}1", "new");
        expect("{a}2", "");
        expect("{a}3", "3");
        ck_assert_uint_eq(deleted(), 1);
        if (watch_last(feed_watch(lane_of_node(to)->lane->feed))->id.own < 80400)
            ck_assert_str_eq(gaps, ""); /* the receiver's feed has told of every key */
        real_ask(&source.node[to], "SET {a}3 later");
        drain();
        expect("{a}3", "later");
        end();
    }
    feed = FEED_NOTIFY;
}
END_TEST

/* R8: of the keys of a slot that moves as a whole nothing is told. */

static const char came[] = "slots came from another node";
static size_t moves_to, taken_by;
static bool has_moved; /* as a whole */

static uint64_t none_moved(void)
{
    return 3;
}

static uint64_t one_moved(void)
{
    return has_moved ? 9 : 3;
}

/* It is counted with the reading that comes when the lane has the slot already. */
static uint64_t one_moved_late(void)
{
    return has_moved && owned_by_node("{a}", taken_by) ? 9 : 3;
}

/* One key of the slot goes, and is asked for where it is. Returns from where. Where keys that are left cannot
 * be counted, nothing else ends what ASK said. */
static size_t begin_moving(size_t n, uint64_t (*counts)(void))
{
    begin_servers(n);
    fill(n);
    size_t at = node_of("{a}", n);
    moves_to = (at + 1) % n;
    has_moved = false;
    slot_moves = counts;
    for (size_t i = 0; i < n; i++)
        ck_assert_str_eq(real_ask(&source.node[i], "ACL SETUSER default -cluster|countkeysinslot"), "OK");
    real_ask(&source.node[at], "SET {a}1 1");
    new_lanes();
    until_live(1);
    slot_begin(&source, slot_of(BYTES("a")), at, moves_to);
    slot_key(&source, "{a}1", at, moves_to);
    drain();
    ck_assert_ptr_eq(lanes->asked[slot_of(BYTES("a"))], lane_of_node(moves_to));
    return at;
}

/* Who had the slot hears that it has moved, and drops what it has of it. */
static void take_over(size_t at, size_t to)
{
    unsigned slot = slot_of(BYTES("a"));
    slot_import(&source, slot, at, to);
    ck_assert_str_eq(real_ask(&source.node[to], "CLUSTER SETSLOT %u NODE %s", slot, source.id[to]), "OK");
}

START_TEST(test_a_slot_moves_as_a_whole_after_a_move_was_given_up)
{
    static const struct {
        enum feed_kind feed;
        uint64_t (*counts)(void);
        bool other; /* than that node takes it over */
    } cases[] = {{FEED_NOTIFY, one_moved, false},
                 {FEED_NOTIFY, one_moved_late, false},
                 {FEED_TRACKING, one_moved_late, false},
                 {FEED_NOTIFY, none_moved, true}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        feed = cases[i].feed;
        size_t at = begin_moving(3, cases[i].counts);
        taken_by = cases[i].other ? 3 - at - moves_to : moves_to;
        slot_stable(&source, slot_of(BYTES("a")), at);
        slot_key(&source, "{a}1", moves_to, at);
        slot_stable(&source, slot_of(BYTES("a")), moves_to);
        drain();
        has_moved = true;
        if (cases[i].counts == one_moved)
            UNTIL(lane_of_node(taken_by)->counted.slot_moves == one_moved());
        take_over(at, taken_by);
        UNTIL(owned_by_node("{a}", taken_by));
        drain();
        ck_assert_msg(strstr(gaps, came) != NULL, "that keys of a whole slot may be missed was not told");
        ck_assert_uint_eq(lane_of_node(taken_by)->confirms, 0);
        expect("{a}1", "");
        end();
    }
    feed = FEED_NOTIFY;
}
END_TEST

START_TEST(test_a_slot_moves_key_by_key_where_it_could_as_a_whole)
{
    size_t at = begin_moving(2, none_moved);
    real_ask(&source.node[moves_to], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[moves_to], "SET {a}1 2"), "OK");
    slot_keys(&source, slot_of(BYTES("a")), at, moves_to);
    slot_end(&source, slot_of(BYTES("a")), moves_to);
    UNTIL(owned_by_node("{a}", moves_to));
    drain();
    ck_assert_uint_eq(lane_of_node(moves_to)->confirms, 0);
    ck_assert_str_eq(gaps, "");
    expect("{a}1", "2");
    end();
}
END_TEST

/* Nobody asked for any of its keys, as it has none. */
START_TEST(test_a_slot_moves_that_was_not_asked_for)
{
    static const struct {
        uint64_t counted_us;
        bool changed, gap;
    } cases[] = {{61000000, false, false}, {61000000, true, true}, {20000000, false, true}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin_servers(2);
        fill(2);
        slot_moves = none_moved;
        new_lanes();
        until_live(1);
        size_t at = node_of("{a}", 2), to = 1 - at;
        unsigned slot = slot_of(BYTES("a"));
        struct counted *counted = &lane_of_node(to)->counted;
        UNTIL(counted->run_id[0]);
        ck_assert(!counted->changed);
        counted->since_us -= cases[i].counted_us;
        counted->changed = cases[i].changed;
        slot_begin(&source, slot, at, to);
        slot_end(&source, slot, to);
        UNTIL(owned_by_node("{a}", to));
        drain();
        ck_assert_msg((strstr(gaps, came) != NULL) == cases[i].gap, "case %zu: '%s'", i, gaps);
        end();
    }
}
END_TEST

/* For how long it counts that the owner said ASK. */
START_TEST(test_what_makes_it_doubtful_that_keys_move_one_by_one)
{
    static const struct {
        const char *what, *run_id;
        uint64_t commands, moves;
        bool holds, changed;
    } cases[] = {{"the next reading", "a", 11, 3, true, false},
                 {"another server", "b", 11, 3, false, false},
                 {"slots moved as a whole", "b", 12, 4, false, true},
                 {"another server, and slots moved before", "a", 13, 4, false, true},
                 {"its counts were set back", "a", 5, 4, false, true},
                 {"it does not tell them", "a", 6, WATCH_UNKNOWN, false, true},
                 {"nor later", "a", 7, WATCH_UNKNOWN, false, true},
                 {"it does again", "a", 8, 4, false, true},
                 {"and once more", "a", 8, 4, true, true}};

    begin(2);
    unsigned slot = slot_of(BYTES("a"));
    struct served *to = lane_of_node(1 - node_of("{a}", 2));
    to->counted = (struct counted){.run_id = "a", .commands = 10, .slot_moves = 3, .since_us = 1};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct watch_sample s = {.total_commands = cases[i].commands, .slot_moves = cases[i].moves};
        uint64_t since_us = to->counted.since_us;
        memcpy(s.id.run_id, cases[i].run_id, 2);
        lanes_redirected(lanes, slot, true, lane_name(to->lane), since_us);
        ck_assert_msg(!lanes->asked[slot], "an older answer counts, before: %s", cases[i].what);
        lanes_redirected(lanes, slot, true, lane_name(to->lane), since_us + 1);
        ck_assert_ptr_eq(lanes->asked[slot], to);
        lanes_counted(to, &s);
        ck_assert_msg((lanes->asked[slot] == to) == cases[i].holds, "%s", cases[i].what);
        ck_assert_msg(to->counted.changed == cases[i].changed, "which slots came is known: %s",
                      cases[i].what);
        lanes->asked[slot] = NULL;
    }
    end();
}
END_TEST

/* R2: a slot changes lanes when nothing of it is in flight. */
static bool both_busy(const char *key)
{
    struct slot_set slots = {0};
    size_t busy = 0;

    slot_set_add(&slots, slot_of(bytes_str(key)));
    for (size_t i = 0; i < lanes->n; i++)
        busy += lane_busy(lanes->at[i]->lane, &slots) > 0;
    return busy > 1;
}

static size_t turns_left;
static void look_for_both(void *arg)
{
    struct timer **timer = arg;
    ck_assert_msg(!both_busy("{a}"), "two lanes have the same key in flight");
    if (turns_left && turns_left--)
        timer_set(*timer, 1000);
}

START_TEST(test_no_two_lanes_have_a_key_in_flight)
{
    struct timer *timer;
    struct slot_set slots = {0};

    begin_servers(2);
    fill(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    real_ask(&source.node[at], "SET {a} old");
    new_lanes();
    until_live(1);
    slot_set_add(&slots, slot_of(BYTES("a")));
    ck_assert_int_eq(timer_new(none.loop, look_for_both, &timer, &timer), 0);
    turns_left = SIZE_MAX;
    timer_set(timer, 1000);
    real_ask(&target, "CLIENT PAUSE 20000 WRITE"); /* what is written is not answered */
    real_ask(&source.node[at], "SET {a} older");
    UNTIL(lane_busy(lane_of_node(at)->lane, &slots));
    slot_move(&source, slot_of(BYTES("a")), at, to);
    real_ask(&source.node[to], "SET {a} new");
    UNTIL(lane_of_node(to)->index == topology_map(nodes)->owner[slot_of(BYTES("a"))]);
    UNTIL(lane_of_node(at)->giving == GIVING_FROZEN || owned_by_node("{a}", to));
    fake_pass(&none, 300);
    ck_assert_msg(owned_by_node("{a}", at), "the slot changed lanes with a key in flight");
    real_ask(&target, "CLIENT UNPAUSE");
    UNTIL(owned_by_node("{a}", to));
    drain();
    expect("{a}", "new");
    timer_free(timer);
    end();
}
END_TEST

/* R9: the limit is the link's, however many lanes share it; where that is too little, it is told. */
START_TEST(test_memory_is_the_links)
{
    struct lane_status s;
    begin(3);
    lanes_limits(lanes, MIB, 0, 0);
    UNTIL((lanes_status(lanes, &s), s.conditions[LANE_MEMORY_SHORT].on));
    lanes_limits(lanes, lanes_memory_least(3, 1), 0, 0);
    UNTIL((lanes_status(lanes, &s), !s.conditions[LANE_MEMORY_SHORT].on));
    ck_assert_uint_eq(lanes->at[2]->lane->opt.memory, lanes_memory_least(1, 1));
    end();
}
END_TEST

static void count(void *arg)
{
    ++*(size_t *)arg;
}

/* R6: a mark may be passed on. */
START_TEST(test_drained_when_all_feeds_have_told)
{
    static const char later[] = "*1\r\n$6\r\nASKING\r\n*3\r\n$3\r\nSET\r\n$3\r\n{a}\r\n$3\r\nnew\r\n";
    char answers[sizeof("+OK\r\n+OK\r\n") - 1];

    begin_servers(2);
    fill(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    real_ask(&source.node[at], "SET {a} old");
    new_lanes();
    until_live(1);
    slot_begin(&source, slot_of(BYTES("a")), at, to);
    slot_key(&source, "{a}", at, to);
    drain();
    lane_freeze(lane_of_node(at)->lane, true); /* what is marked stays dirty */
    kill(source.node[to].pid,
         SIGSTOP); /* it is told of by this feed when that one's barrier has long passed */
    ck_assert_int_eq(write(source.node[to].fd, later, sizeof(later) - 1), sizeof(later) - 1);
    size_t before = calls, own = 0;
    ck_assert_int_eq(lanes_drain(lanes, on_called, &calls), 0);
    ck_assert_int_eq(lane_drain(lane_of_node(to)->lane, count, &own), 0);
    fake_pass(&none, 500);
    kill(source.node[to].pid, SIGCONT);
    fake_until(&none, &own, 1);
    ck_assert_int_eq(read(source.node[to].fd, answers, sizeof(answers)), sizeof(answers));
    ck_assert(lane_is_dirty(lane_of_node(at)->lane, 0, BYTES("{a}")));
    ck_assert_msg(calls == before, "drained, and a mark that was passed on is not applied");
    lane_freeze(lane_of_node(at)->lane, false);
    fake_until(&none, &calls, before + 1);
    expect("{a}", "new");
    end();
}
END_TEST

/* Nodes that come, take over, and go. */

START_TEST(test_a_replica_takes_over)
{
    char address[64];

    begin_servers(2);
    add_replica(0);
    fill(2);
    new_lanes();
    until_live(1);
    ck_assert_uint_eq(lanes_count(lanes), 2);
    struct served *moves = lane_of_node(0), *stays = lane_of_node(1);
    uint64_t stayed = stays->lane->gaps;
    real_ask(cluster_of(&source, key_of(1), 2), "SET %s before", key_of(1));
    ck_assert_str_eq(real_ask(&source.node[2], "CLUSTER FAILOVER"), "OK");
    UNTIL(lane_of_node(2) != NULL);
    ck_assert_ptr_eq(lane_of_node(2), moves);
    snprintf(address, sizeof(address), "redis://127.0.0.1:%u", source.node[2].port);
    ck_assert_str_eq(lane_name(moves->lane), address);
    for (unsigned i = 2; i < 20; i++) {
        struct real *node = cluster_of(&source, key_of(i), 2);
        real_ask(node == &source.node[0] ? &source.node[2] : node, "SET %s after", key_of(i));
    }
    until_live(2);
    drain();
    for (unsigned i = 2; i < 20; i++)
        expect(key_of(i), "after");
    expect(key_of(1), "before");
    ck_assert_uint_eq(stays->lane->gaps, stayed);
    ck_assert_uint_eq(lanes_count(lanes), 2);
    ck_assert_uint_gt(changes, 0);
    end();
}
END_TEST

/* The replica does not know of slots that move: what has moved is gone, until the slot moves again. */
START_TEST(test_a_replica_takes_over_while_a_slot_moves)
{
    begin_servers(2);
    size_t at = node_of("{a}", 2), to = 1 - at;
    add_replica(at);
    live_half_moved(at, to);
    ck_assert_str_eq(real_ask(&source.node[2], "CLUSTER FAILOVER"), "OK");
    UNTIL(lane_of_node(2) != NULL);
    until_live(2);
    drain();
    slot_stable(&source, slot_of(BYTES("a")), to);
    UNTIL(strncmp(real_ask(&source.node[to], "GET {a}1"), "MOVED ", 6) == 0);
    slot_begin(&source, slot_of(BYTES("a")), 2, to);
    slot_keys(&source, slot_of(BYTES("a")), 2, to);
    slot_end(&source, slot_of(BYTES("a")), to);
    UNTIL(owned_by_node("{a}", to));
    drain();
    expect("{a}1", "1");
    expect("{a}2", "2");
    end();
}
END_TEST

static const char *flags_of(size_t node)
{
    const struct bytes argv[] = {BYTES("CONFIG"), BYTES("GET"), BYTES("notify-keyspace-events")};
    const struct reply *r = real_request(&source.node[node], ARRAY_LEN(argv), argv);
    return r->type == REPLY_ARRAY && r->count == 2 && r->at[1]->text.len ? r->at[1]->text.ptr : "";
}

START_TEST(test_a_node_joins_and_leaves)
{
    begin_servers(2);
    fill(2);
    size_t at = node_of("{a}", 2);
    real_ask(&source.node[at], "SET {a}1 1");
    real_ask(&source.node[at], "SET {a}2 2");
    new_lanes();
    until_live(1);
    struct lane_generation before, after;
    lanes_generation(lanes, &before);
    cluster_add(&source);
    refused = source.node[2].port;
    UNTIL(lanes_count(lanes) == 3 && refusals);
    cluster_until(&source, "CLUSTER NODES", " connected", 3);
    cluster_until(&source, "CLUSTER INFO", "cluster_state:ok", 1);
    slot_begin(&source, slot_of(BYTES("a")), at, 2);
    slot_key(&source, "{a}1", at, 2);
    real_ask(&source.node[2], "ASKING");
    ck_assert_str_eq(real_ask(&source.node[2], "SET {a}1 new"), "OK");
    UNTIL(lane_is_dirty(lane_of_node(at)->lane, 0, BYTES("{a}1")));
    fake_pass(&none, 300);
    ck_assert_msg(strcmp(real_ask(&target, "GET {a}1"), "1") == 0, "read at a node that was not approved");
    refused = 0;
    until_live(2);
    drain();
    expect("{a}1", "new");
    ck_assert_str_ne(flags_of(2), "");
    slot_keys(&source, slot_of(BYTES("a")), at, 2);
    slot_end(&source, slot_of(BYTES("a")), 2);
    UNTIL(owned_by_node("{a}", 2));
    slot_move(&source, slot_of(BYTES("a")), 2, at);
    real_ask(&source.node[at], "SET {a}2 back");
    UNTIL(owned_by_node("{a}", at));
    for (size_t i = 0; i < 2; i++)
        ck_assert_str_eq(real_ask(&source.node[i], "CLUSTER FORGET %s", source.id[2]), "OK");
    UNTIL(lanes_count(lanes) == 2);
    ck_assert_str_eq(flags_of(2), "");
    drain();
    expect("{a}1", "new");
    expect("{a}2", "back");
    expect_all();
    lanes_generation(lanes, &after);
    ck_assert_uint_gt(after.gaps, before.gaps);
    end();
}
END_TEST

/* R6: what was written at a node that is not known yet. */
START_TEST(test_drained_when_the_nodes_were_looked_at)
{
    begin(2);
    size_t at = node_of("{a}", 2);
    drain();
    topology_want(nodes, false); /* until it is looked at again */
    cluster_add(&source);
    cluster_until(&source, "CLUSTER NODES", " connected", 3);
    slot_move(&source, slot_of(BYTES("a")), at, 2);
    UNTIL(strcmp(real_ask(&source.node[2], "SET {a} new"), "OK") == 0);
    size_t before = calls;
    ck_assert_int_eq(lanes_drain(lanes, on_called, &calls), 0);
    fake_pass(&none, 500);
    ck_assert_msg(calls == before, "drained, and a node that is not known has a key");
    topology_want(nodes, true);
    fake_until(&none, &calls, before + 1);
    expect("{a}", "new");
    end();
}
END_TEST

/* R6: nor is what was written at one that is known, while no lane follows. */
START_TEST(test_drained_when_the_map_is_followed)
{
    begin(2);
    size_t before = calls;
    lanes->version--; /* as between an answer and its being told */
    ck_assert_int_eq(lanes_drain(lanes, on_called, &calls), 0);
    fake_pass(&none, 500);
    ck_assert_msg(calls == before, "drained, by a map that is not followed");
    lanes->version++;
    lanes->behind = true;
    fake_pass(&none, 1500);
    ck_assert_msg(calls == before, "drained, by a map that is followed in part");
    lanes->behind = false;
    fake_until(&none, &calls, before + 1);
    end();
}
END_TEST

#ifndef __SANITIZE_ADDRESS__
extern void *__libc_calloc(size_t n, size_t size);
static bool memory_is_out;
void *calloc(size_t n, size_t size)
{
    return memory_is_out ? NULL : __libc_calloc(n, size);
}

/* R8: there is no lane without a feed. */
START_TEST(test_a_primary_changes_and_memory_is_out)
{
    const struct notify_record nothing = {.run_id = ""};
    size_t changed = 0;

    begin(2);
    memory_is_out = true;
    ck_assert_int_eq(lane_move(lanes->at[0]->lane, &nothing, count, &changed), -ENOMEM);
    memory_is_out = false;
    ck_assert_uint_eq(changed, 2); /* and back */
    for (unsigned i = 0; i < KEYS; i++)
        real_ask(cluster_of(&source, key_of(i), 2), "SET %s %u", key_of(i), i + 1);
    drain();
    for (unsigned i = 0; i + 1 < KEYS; i++)
        ck_assert_int_eq(atoi(real_ask(&target, "GET %s", key_of(i))), (int)i + 1);
    ck_assert_str_eq(gaps, "");
    end();
}
END_TEST
#else
#define test_a_primary_changes_and_memory_is_out test_drained_when_the_map_is_followed
#endif

/* R13, of all lanes. */

static int seal_err = 1;
static void on_sealed(int err, const char *why, void *arg)
{
    (void)why, (void)arg;
    seal_err = err;
    calls++;
}

static void seal(int err)
{
    static const struct lane_confirm no_proof;
    size_t before = calls;

    ck_assert_int_eq(lanes_seal(lanes, &no_proof, on_sealed, NULL), 0);
    fake_until(&none, &calls, before + 1);
    ck_assert_int_eq(seal_err, err);
}

START_TEST(test_all_are_sealed_as_one)
{
    begin(2);
    size_t at = node_of("{a}", 2);
    drain();
    seal(0);
    real_ask(&source.node[0], "SET %s x", node_of(key_of(0), 2) ? key_of(1) : key_of(0));
    real_ask(&source.node[at], "SET {a} x");
    slot_move(&source, slot_of(BYTES("a")), at, 1 - at); /* nothing follows it now */
    fake_pass(&none, 1500);
    ck_assert_str_eq(real_ask(&target, "EXISTS {a}"), "0");
    ck_assert_msg(owned_by_node("{a}", at), "a slot changed lanes after the seal");
    lanes_unseal(lanes);
    UNTIL(owned_by_node("{a}", 1 - at));
    drain();
    expect("{a}", "x");
    real_ask(&source.node[1 - at], "SET {a} y");
    UNTIL(lanes_is_dirty(lanes, 0, BYTES("{a}")) || strcmp(real_ask(&target, "GET {a}"), "y") == 0);
    drain();
    seal(0);
    end();
}
END_TEST

/* From their places; one that cannot goes through its keys, and ends before or after the other goes on. */
START_TEST(test_passes_of_lanes_that_go_on)
{
    static const struct {
        bool lost, first;
        unsigned rounds;
    } cases[] = {{false, false, 0}, {true, false, 1}, {true, true, 1}};
    struct lane_status status;
    struct place place;

    feed = FEED_PSYNC;
    begin(2);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        UNTIL(lanes_place(lanes, &place));
        end_lanes();
        former = &place;
        bool is_first = strcmp(place.lanes[0].node, source.id[0]) == 0;
        place.lanes[!is_first].feed.replid[0] ^= cases[i].lost;
        refused = cases[i].first ? source.node[1].port : 0;
        new_lanes();
        const struct lane *one = lane_of_node(0)->lane, *other = lane_of_node(1)->lane;
        UNTIL(one->phase == LANE_LIVE);
        ck_assert(!refused || other->phase == LANE_CONNECTING);
        refused = 0;
        until_live(1);
        lanes_status(lanes, &status);
        ck_assert_msg(status.round == cases[i].rounds, "case %zu: %u passes", i, status.round);
        ck_assert(one->round == cases[i].lost && other->round == 0);
        place_clear(&place);
        former = NULL;
    }
    feed = FEED_NOTIFY;
    end();
}
END_TEST

UNIT_MAIN("copy/lanes", test_passes_of_lanes_that_go_on, test_a_lane_a_primary, test_a_slot_moves_while_live,
          test_a_slot_moves_as_a_whole_after_a_move_was_given_up,
          test_a_slot_moves_key_by_key_where_it_could_as_a_whole, test_a_slot_moves_that_was_not_asked_for,
          test_what_makes_it_doubtful_that_keys_move_one_by_one, test_no_two_lanes_have_a_key_in_flight,
          test_memory_is_the_links, test_a_replica_takes_over_while_a_slot_moves,
          test_drained_when_all_feeds_have_told, test_drained_when_the_nodes_were_looked_at,
          test_drained_when_the_map_is_followed, test_a_primary_changes_and_memory_is_out,
          test_a_replica_takes_over, test_a_node_joins_and_leaves, test_all_are_sealed_as_one)
