#include <errno.h>

#include "tests/unit/verify_cluster_kit.h"

/* The comparer between clusters, and between a cluster and a server. */

static struct comparer *comparer;
static struct compare_options options;
static size_t ups, downs, answers, losses, moving, rooms;
static size_t verdicts[COMPARE_VERDICTS];
static struct compare_result last;

static void on_up(void *arg)
{
    (void)arg;
    ups++;
}

static void on_down(int side, const char *why, void *arg)
{
    (void)side, (void)why, (void)arg;
    downs++;
}

static void on_result(int db, struct bytes key, uint64_t tag, const struct compare_result *r, void *arg)
{
    (void)db, (void)key, (void)tag, (void)arg;
    answers++;
    verdicts[r->verdict]++;
    last = *r;
}

static void on_lost(int db, struct bytes key, uint64_t tag, enum compare_loss why, void *arg)
{
    (void)db, (void)key, (void)tag, (void)arg;
    losses++;
    moving += why == COMPARE_MOVING;
}

static void on_room(void *arg)
{
    (void)arg;
    rooms++;
}

static void approve(int side, const char *address, const char *run_id)
{
    comparer_approve(comparer, side, address, run_id);
}

static void forget(void)
{
    ups = downs = answers = losses = moving = rooms = 0;
    memset(verdicts, 0, sizeof(verdicts));
}

static void begin(size_t source_shards, size_t target_shards)
{
    static const struct compare_events events = {
        .up = on_up, .down = on_down, .result = on_result, .lost = on_lost, .room = on_room};

    sides_begin(source_shards, target_shards);
    forget();
    compare_options(&options);
    ck_assert_int_eq(comparer_new(none.loop, &options, &events, NULL, &comparer), 0);
    ck_assert(!comparer_is_up(comparer));
    approve_all(approve);
    UNTIL(comparer_is_whole(comparer));
    ck_assert(comparer_is_up(comparer));
}

static void end(void)
{
    comparer = comparer_free(comparer);
    sides_end();
}

/* 0: deep, 1: quick, 2: is it there? */
static int give(const char *key, int how)
{
    return how == 2 ? comparer_exists(comparer, 0, bytes_str(key), 0)
                    : comparer_compare(comparer, 0, bytes_str(key), how == 0, 0);
}

static void ask(const char *key, int how)
{
    int err;

    while ((err = give(key, how)) == -ENOBUFS) {
        comparer_flush(comparer);
        fake_pass(&none, 1);
    }
    ck_assert_int_eq(err, 0);
}

static enum compare_verdict verdict_of(const char *key, int how)
{
    forget();
    ask(key, how);
    comparer_flush(comparer);
    fake_until(&none, &answers, 1);
    return last.verdict;
}

/* Can it be told now? */
static bool answered(const char *key)
{
    forget();
    if (give(key, 0) < 0)
        return false;
    comparer_flush(comparer);
    UNTIL(answers + losses > 0);
    return answers > 0;
}

/* Six of each ten keys differ, each in another way. */
static void plant(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key:%zu", i);
        bool missing = i % 10 == 1, extra = i % 10 == 2;
        if (!extra)
            put(0, i % 10 == 3 ? "LPUSH" : "SET", key, i % 10 == 4 ? "abcd" : "abce");
        if (!missing)
            put(1, "SET", key, "abce");
        if (i % 10 == 5)
            put(1, "PEXPIREAT", key, "9999999999999");
        if (i % 10 == 6)
            put_both("PEXPIREAT", key, "9999999999999");
    }
}

static void ask_all(size_t n, int how)
{
    forget();
    for (size_t i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key:%zu", i);
        ask(key, how);
    }
    comparer_flush(comparer);
    fake_until(&none, &answers, n);
    ck_assert_uint_eq(losses, 0);
    ck_assert_uint_eq(comparer_outstanding(comparer), 0);
}

static const size_t shapes[][2] = {{3, 2}, {2, 0}, {0, 2}};

START_TEST(test_each_verdict)
{
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        begin(shapes[i][0], shapes[i][1]);
        plant(2000);
        for (int how = 0; how < 2; how++) {
            ask_all(2000, how);
            ck_assert_uint_eq(verdicts[COMPARE_EQUAL], 1000);
            ck_assert_uint_eq(verdicts[COMPARE_MISSING], 200);
            ck_assert_uint_eq(verdicts[COMPARE_EXTRA], 200);
            ck_assert_uint_eq(verdicts[COMPARE_TYPE], 200);
            ck_assert_uint_eq(verdicts[how == 0 ? COMPARE_VALUE : COMPARE_UNLIKE], 200);
            ck_assert_uint_eq(verdicts[COMPARE_TTL], 200);
        }
        ask_all(2000, 2);
        ck_assert_uint_eq(verdicts[COMPARE_EXTRA], 200);
        ck_assert_uint_eq(verdicts[COMPARE_EQUAL], 1800);
        end();
    }
}
END_TEST

/* Keys of one slot are asked for in one MULTI, others are not. */
static unsigned long long calls(int side, const char *command)
{
    unsigned long long sum = 0;

    for (size_t i = 0; i < sides[side].c.n; i++) {
        char name[48];
        snprintf(name, sizeof(name), "cmdstat_%s:calls=", command);
        const char *at = strstr(real_ask(&sides[side].c.node[i], "INFO commandstats"), name);
        sum += at ? strtoull(at + strlen(name), NULL, 10) : 0;
    }
    return sum;
}

START_TEST(test_keys_of_one_slot)
{
    begin(2, 0);
    ask_all(200, 1); /* now it is known that they are small */
    unsigned long long before[2] = {calls(0, "multi"), calls(1, "multi")};
    forget();
    for (int i = 0; i < 30; i++) {
        char key[32];
        snprintf(key, sizeof(key), i < 15 ? "{tag}key:%d" : "key:%d", i);
        ask(key, 1);
    }
    comparer_flush(comparer);
    fake_until(&none, &answers, 30);
    ck_assert_uint_eq(losses, 0);
    /* The first fifteen together; of the others those that came one behind the other are of unlike slots. */
    ck_assert_uint_eq(calls(0, "multi") - before[0], 1 + 15);
    ck_assert_uint_le(calls(1, "multi") - before[1], 2);
    end();
}
END_TEST

/* By a map that is late. It is no verdict, and soon there is one. */
START_TEST(test_a_slot_that_has_moved)
{
    begin(2, 2);
    for (int side = 0; side < 2; side++) {
        const char *key = key_on(side, 0, side ? "t" : "s");
        put_both("SET", key, "1");
        slot_move(&sides[side].c, slot_of(bytes_str(key)), 0, 1);
        for (int how = 0; how < 3 - side; how++) {
            forget();
            ask(key, how);
            comparer_flush(comparer);
            UNTIL(answers + losses == 1);
            ck_assert_uint_eq(losses, moving);
            ck_assert_uint_eq(verdicts[COMPARE_EQUAL], answers);
        }
        uint64_t from = clock_mono_us();
        UNTIL(answered(key));
        ck_assert_uint_lt(clock_mono_us() - from,
                          900000); /* not only when the map is asked for again anyway */
        ck_assert_int_eq(last.verdict, COMPARE_EQUAL);
    }
    end();
}
END_TEST

START_TEST(test_a_slot_that_is_moving)
{
    begin(2, 2);
    for (int side = 0; side < 2; side++) {
        const char *key = key_on(side, 0, side ? "t" : "s");
        unsigned slot = slot_of(bytes_str(key));
        put_both("SET", key, "1");
        slot_begin(&sides[side].c, slot, 0, 1);
        ck_assert_int_eq(verdict_of(key, 0), COMPARE_EQUAL); /* it is still there */
        slot_key(&sides[side].c, key, 0, 1);
        for (int i = 0; i < 30; i++) {
            forget();
            ask(key, i % (3 - side));
            comparer_flush(comparer);
            fake_until(&none, &losses, 1);
            ck_assert_uint_eq(moving, 1);
            ck_assert_uint_eq(answers, 0);
        }
        slot_end(&sides[side].c, slot, 1);
        UNTIL(answered(key));
        ck_assert_int_eq(last.verdict, COMPARE_EQUAL);
    }
    end();
}
END_TEST

/* What is lost is what it was asked for; the others' keys go on, also while it is away. */
START_TEST(test_a_lost_node)
{
    char gone[64], there[64], run_id[RUN_ID_MAX], text[160];

    begin(2, 2);
    for (int side = 0; side < 2; side++) {
        struct real *r = &sides[side].c.node[1];
        snprintf(gone, sizeof(gone), "%s", key_on(side, 1, "k"));
        snprintf(there, sizeof(there), "%s", key_on(side, 0, "k"));
        forget();
        ck_assert_int_eq(kill(r->pid, SIGSTOP), 0);
        for (int i = 0; i < 20; i++) {
            ask(gone, i % 2);
            ask(there, i % 2);
        }
        comparer_flush(comparer);
        fake_until(&none, &answers, 20);
        real_kill(r);
        fake_until(&none, &losses, 20);
        ck_assert_uint_eq(answers, 20);
        ck_assert_uint_eq(moving, 0);
        UNTIL(!comparer_is_whole(comparer));
        ck_assert(comparer_is_up(comparer));
        ck_assert_int_eq(give(gone, 0), -ENOTCONN);
        ck_assert_int_eq(verdict_of(there, 0), COMPARE_GONE);
        UNTIL(comparer_waits(comparer, side, text, sizeof(text)));
        ck_assert_msg(strncmp(text, address_of(&sides[side], 1), strlen(address_of(&sides[side], 1))) == 0,
                      "%s", text);
        ck_assert(!comparer_waits(comparer, !side, text, sizeof(text)));
        /* Another process there is a stranger, until it is told otherwise. */
        real_start(r);
        forget();
        fake_until(&none, &downs, 2);
        ck_assert_int_eq(give(gone, 0), -ENOTCONN);
        read_run_id(r, run_id);
        comparer_approve(comparer, side, address_of(&sides[side], 1), run_id);
        UNTIL(comparer_is_whole(comparer));
        UNTIL(answered(gone));
    }
    end();
}
END_TEST

/* All slots of a node go to another one: it is left, and none of its keys is. */
START_TEST(test_a_node_that_owns_nothing_any_more)
{
    begin(2, 0);
    const char *key = key_on(0, 1, "k");
    put_both("SET", key, "1");
    ask(key, 0); /* under way */
    slot_move(&sides[0].c, slot_of(bytes_str(key)), 1, 0);
    for (unsigned slot = SLOTS / 2; slot < SLOTS; slot++) {
        for (size_t i = 0; i < 2; i++)
            real_ask(&sides[0].c.node[i], "CLUSTER SETSLOT %u NODE %s", slot, sides[0].c.id[0]);
    }
    topology_refresh(sides[0].topology);
    UNTIL(answered(key));
    ck_assert_int_eq(last.verdict, COMPARE_EQUAL);
    UNTIL(!strstr(real_ask(&sides[0].c.node[1], "CLIENT LIST"), "verify"));
    ck_assert(comparer_is_whole(comparer));
    end();
}
END_TEST

UNIT_MAIN("verify/cluster", test_each_verdict, test_keys_of_one_slot, test_a_slot_that_has_moved,
          test_a_slot_that_is_moving, test_a_lost_node, test_a_node_that_owns_nothing_any_more)
