#include "tests/unit/copy_lanes_bed.h"

#include <errno.h>

/* A real server into a real cluster. */

static struct real source;
static struct cluster target;
static struct endpoint to;
static size_t sealed, tried;
static int seal_err;
static char gaps[2048]; /* "reason\n" */

static void on_gap(struct lane *l, const char *reason, void *arg)
{
    size_t n = strlen(gaps);
    (void)l, (void)arg;
    snprintf(gaps + n, sizeof(gaps) - n, "%s\n", reason);
}

static void on_sample(struct lane *l, enum lane_side side, const char *address, const struct watch_sample *s,
                      bool stranger, void *arg)
{
    (void)l, (void)arg;
    if (stranger && s->id.role == ROLE_PRIMARY)
        lanes_approve(lanes, side, address, s->id.run_id);
}

static void on_condition(struct lane *l, enum lane_condition c, const char *text, void *arg)
{
    (void)l, (void)arg;
    /* After a failover a map that comes late leaves the old primary in its place for a while. */
    ck_assert_msg(!text || c != LANE_TARGET_REFUSES || strstr(text, "is a replica of"), "refused: %s", text);
}

static void on_changed(void *arg)
{
    (void)arg;
}

static void on_sealed(int err, const char *why, void *arg)
{
    (void)arg, (void)why;
    seal_err = err;
    sealed++;
}

static void begin_servers(size_t n)
{
    lives = calls = known = sealed = tried = 0;
    gaps[0] = '\0';
    fake_init(&none);
    real_begin(&source, "source");
    cluster_begin(&target, n);
    make_endpoint(&target, "target", &to);
}

static void new_lanes(void)
{
    static const struct lanes_events events = {
        .phase = on_phase,
        .regrouped = on_regrouped,
        .changed = on_changed,
        .lane = {LANE_EVENTS_OF_NO_TEST, .gap = on_gap, .record = nothing_recorded, .sample = on_sample,
                 .condition = on_condition, .key_failed = no_key_fails}};

    begin_nodes(&to);
    const struct lanes_options opt = {
        .target = nodes,
        .lane = {LANE_OPTIONS_OF_ALL, .source = &source.endpoint, .target = &to, .feed = FEED_NOTIFY}};
    ck_assert_int_eq(lanes_new(none.loop, &opt, &events, NULL, &lanes), 0);
}

#define KEYS 300
static void fill(const char *value)
{
    for (unsigned i = 0; i < KEYS; i++)
        ck_assert_str_eq(real_ask(&source, "SET key:%u %s%u", i, value, i), "OK");
}

static void begin(size_t n)
{
    begin_servers(n);
    fill("");
    new_lanes();
    fake_until(&none, &lives, 1);
}

static void end(void)
{
    end_lanes();
    endpoint_clear(&to);
    cluster_end(&target);
    real_end(&source);
    fake_done(&none);
    kit_end();
}

static void drain(void)
{
    size_t before = calls;
    ck_assert_int_eq(lanes_drain(lanes, on_called, &calls), 0);
    ck_assert_msg(fake_run(&none, &calls, before + 1, 20000), "not drained: %s", gaps);
}

/* At whichever node has it. */
static const char *value_of(const char *key)
{
    const char *text = "";

    for (size_t i = 0; i < target.n; i++) {
        text = real_ask(&target.node[i], "GET %s", key);
        if (strncmp(text, "MOVED", 5) != 0 && strncmp(text, "ASK", 3) != 0)
            break;
    }
    return text;
}

static void expect_all(const char *value)
{
    for (unsigned i = 0; i < KEYS; i++) {
        char key[32], wanted[64];
        snprintf(key, sizeof(key), "key:%u", i);
        snprintf(wanted, sizeof(wanted), "%s%u", value, i);
        ck_assert_str_eq(value_of(key), wanted);
    }
}

START_TEST(test_each_key_to_its_node)
{
    begin(3);
    expect_all("");
    fill("new");
    real_ask(&source, "DEL key:7");
    drain();
    ck_assert_str_eq(value_of("key:7"), "");
    real_ask(&source, "SET key:7 new7");
    drain();
    expect_all("new");
    ck_assert_str_eq(gaps, "");
    end();
}
END_TEST

/* What the source lacks, on whichever node it is. */
START_TEST(test_all_nodes_are_swept)
{
    begin_servers(3);
    fill("");
    for (unsigned i = 0; i < 30; i++)
        ck_assert_str_eq(real_ask(cluster_of(&target, (char[]){'x', (char)('a' + i % 26), '\0'}, 3),
                                  "SET x%c 1", 'a' + i % 26),
                         "OK");
    new_lanes();
    fake_until(&none, &lives, 1);
    drain();
    size_t left = 0;
    for (size_t i = 0; i < 3; i++)
        left += strtoul(real_ask(&target.node[i], "DBSIZE"), NULL, 10);
    ck_assert_uint_eq(left, KEYS);
    end();
}
END_TEST

/* Every fifth of our keys whose slots node 0 has, from that number on. */
#define EACH_OF_FIFTH(key, from)                                                                             \
    for (unsigned i = (from); i < 40; i += 5)                                                                \
        if (slot_of(bytes_str(numbered(key, i))) < SLOTS / 2)

static const char *numbered(char key[static 32], unsigned i)
{
    snprintf(key, 32, "key:%u", i);
    return key;
}

/* Their slots move to node 1, while they are written. */
static void move_a_fifth(unsigned from)
{
    char key[32];

    EACH_OF_FIFTH(key, from)
    {
        slot_begin(&target, slot_of(bytes_str(key)), 0, 1);
        real_ask(&source, "SET {%s}new 1", key); /* that the owner does not have: ASK */
        real_ask(&source, "SET %s moving%u", key, i);
    }
    drain();
    EACH_OF_FIFTH(key, from)
    {
        slot_keys(&target, slot_of(bytes_str(key)), 0, 1);
        real_ask(&source, "SET %s moved%u", key, i); /* gone from the owner: ASK */
        fake_pass(&none, 5);
        slot_end(&target, slot_of(bytes_str(key)), 1);
        real_ask(&source, "SET %s new%u", key, i);
        tried++;
    }
}

START_TEST(test_slots_move_under_writes)
{
    begin(2);
    for (unsigned i = 0; i < 5; i++)
        move_a_fifth(i);
    ck_assert_uint_gt(tried, 5);
    fill("new");
    drain();
    expect_all("new");
    ck_assert_str_eq(value_of("{key:0}new"), slot_of(BYTES("key:0")) < SLOTS / 2 ? "1" : "");
    ck_assert_str_eq(gaps, "");
    end();
}
END_TEST

/* R7: the replica that took over may lack what was acknowledged. */
START_TEST(test_a_failover_is_a_gap)
{
    begin(3);
    cluster_add(&target);
    cluster_until(&target, "CLUSTER NODES", "connected", 4);
    ck_assert_str_eq(real_ask(&target.node[3], "CLUSTER REPLICATE %s", target.id[0]), "OK");
    for (unsigned i = 0; !strstr(real_ask(&target.node[3], "INFO replication"), "master_link_status:up");
         i++) {
        ck_assert_uint_lt(i, 1000);
        fake_pass(&none, 10);
    }
    ck_assert_str_eq(real_ask(&target.node[3], "CLUSTER FAILOVER TAKEOVER"), "OK");
    fill("new");
    fake_until(&none, &lives, 2);
    drain();
    ck_assert_ptr_nonnull(strstr(gaps, "a node of the target was replaced"));
    expect_all("new");
    end();
}
END_TEST

START_TEST(test_sealed)
{
    static const struct lane_confirm no_proof;

    begin(3);
    drain();
    ck_assert_int_eq(lanes_seal(lanes, &no_proof, on_sealed, NULL), 0);
    fake_until(&none, &sealed, 1);
    ck_assert_int_eq(seal_err, 0);
    for (size_t i = 0; i < 3; i++)
        ck_assert(!strstr(real_ask(&target.node[i], "CLIENT LIST"), ":write"));
    real_ask(&source, "SET key:1 late");
    fake_pass(&none, 1500);
    ck_assert_str_eq(value_of("key:1"), "1");
    lanes_unseal(lanes);
    drain();
    ck_assert_str_eq(value_of("key:1"), "late");
    end();
}
END_TEST

UNIT_MAIN("copy/target_cluster", test_each_key_to_its_node, test_all_nodes_are_swept,
          test_slots_move_under_writes, test_a_failover_is_a_gap, test_sealed)
