#include <errno.h>

#include "lib/verify/spot.h"
#include "lib/verify/verify_impl.h"
#include "tests/unit/verify_cluster_kit.h"

/* A verify, and a spot check, between clusters, while slots move. A barrier passes in the next turn of the
 * loop, and nothing is ever dirty: what differs was planted. */

static struct verify *verify;
static struct verify_options options;
static struct verify_report report;
static size_t dones;
static struct defer settle_later;
static struct {
    void (*fn)(void *arg);
    void *arg;
} settling;

static bool on_is_dirty(int db, struct bytes key, void *arg)
{
    (void)db, (void)key, (void)arg;
    return false;
}

static void on_mark(int db, struct bytes key, void *arg)
{
    (void)db, (void)key, (void)arg;
}

static void on_settled(void *arg)
{
    (void)arg;
    settling.fn(settling.arg);
}

static int on_settle(void (*fn)(void *fn_arg), void *fn_arg, void *arg)
{
    (void)arg;
    settling.fn = fn;
    settling.arg = fn_arg;
    loop_defer(none.loop, &settle_later, on_settled, NULL);
    return 0;
}

static void on_settle_cancel(void *fn_arg, void *arg)
{
    (void)fn_arg, (void)arg;
    defer_cancel(none.loop, &settle_later);
}

static void on_done(void *arg)
{
    (void)arg;
    dones++;
}

static void approve(int side, const char *address, const char *run_id)
{
    verify_approve(verify, side, address, run_id);
}

static void begin(size_t source_shards, size_t target_shards)
{
    static const int dbs[] = {0};

    sides_begin(source_shards, target_shards);
    options = (struct verify_options){.dbs = dbs, .ndbs = 1, .memory = 8 * MIB};
    compare_options(&options.compare);
}

static void approve_comparer(int side, const char *address, const char *run_id)
{
    comparer_approve(verify->comparer, side, address, run_id);
}

/* Names come when all nodes are up: those of one that is not would be put aside, however slow it shall be. */
static void start(void)
{
    static const struct verify_events events = {.is_dirty = on_is_dirty,
                                                .mark = on_mark,
                                                .settle = on_settle,
                                                .settle_cancel = on_settle_cancel,
                                                .done = on_done};
    dones = 0;
    ck_assert_int_eq(verify_new(none.loop, &options, &events, NULL, &verify), 0);
    approve_all(approve_comparer);
    UNTIL(comparer_is_whole(verify->comparer));
    approve_all(approve);
}

static void finish(enum verify_verdict verdict)
{
    ck_assert_msg(fake_run(&none, &dones, 1, 40000), "it does not end");
    verify_read(verify, &report);
    ck_assert_msg(report.verdict == verdict, "%s (%s), not %s", verify_verdict_name(report.verdict),
                  report.reason, verify_verdict_name(verdict));
    verify = verify_free(verify);
}

static void run(enum verify_verdict verdict)
{
    start();
    finish(verdict);
}

static void end(void)
{
    verify = verify_free(verify);
    sides_end();
}

static void drift_is(uint64_t missing, uint64_t extra, uint64_t type, uint64_t value, uint64_t ttl)
{
    const uint64_t *d = report.drift;
    ck_assert_msg(d[DRIFT_MISSING] == missing && d[DRIFT_EXTRA] == extra && d[DRIFT_TYPE] == type &&
                      d[DRIFT_VALUE] == value && d[DRIFT_TTL] == ttl,
                  "missing %llu, extra %llu, type %llu, value %llu, ttl %llu",
                  (unsigned long long)d[DRIFT_MISSING], (unsigned long long)d[DRIFT_EXTRA],
                  (unsigned long long)d[DRIFT_TYPE], (unsigned long long)d[DRIFT_VALUE],
                  (unsigned long long)d[DRIFT_TTL]);
}

/* 13 are missing, 7 extra, 5 of another type, 17 of another value, 23 expire otherwise. */
static void plant(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key:%zu", i);
        put(0, "SET", key, i >= 100 && i < 117 ? "abcd" : "abce");
        if (i >= 13)
            put(1, i >= 200 && i < 205 ? "LPUSH" : "SET", key, "abce");
        if (i >= 300 && i < 323)
            put(1, "PEXPIREAT", key, "9999999999999");
    }
    for (size_t i = 0; i < 7; i++) {
        char key[32];
        snprintf(key, sizeof(key), "extra:%zu", i);
        put(1, "SET", key, "1");
    }
}

static const size_t shapes[][2] = {{3, 3}, {2, 0}, {0, 3}};

START_TEST(test_planted)
{
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        begin(shapes[i][0], shapes[i][1]);
        plant(1500);
        options.keys = 1500;
        run(VERIFY_DRIFT);
        drift_is(13, 7, 5, 17, 23);
        ck_assert_uint_eq(report.scanned, 1500);
        ck_assert_uint_eq(report.target_scanned, 1494);
        ck_assert_uint_eq(report.compared, 1507);
        ck_assert_uint_eq(report.unstable + report.unknown, 0);
        end();
    }
}
END_TEST

/* All names of the first node are known: there are so few of them that they come at once. */
static void until_first_was_scanned(int side)
{
    UNTIL(verify->pass && (verify->phase == PHASE_TARGET) == side &&
          strcmp(verify->node->endpoint.url.text, address_of(&sides[side], 0)) == 0 &&
          pass_taken(verify->pass) > 0);
}

/* So slowly that the test comes first. */
static void start_slowly(void)
{
    for (unsigned i = 0; i < 60; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key:%u", i);
        put_both("SET", key, "1");
    }
    options.keys_per_s = 50;
    start();
}

/* From a node that is still to come to one that was gone through: its key would be passed by. */
START_TEST(test_a_slot_moves_behind_the_pass)
{
    for (int side = 0; side < 2; side++) {
        begin(2, 2);
        const char *key = key_on(side, 1, "moved");
        put(side, "SET", key, "1");
        start_slowly();
        until_first_was_scanned(side);
        slot_move(&sides[side].c, slot_of(bytes_str(key)), 1, 0);
        verify->rate.per_s = 0;
        finish(VERIFY_DRIFT);
        drift_is(side == 0, side == 1, 0, 0, 0);
        end();
    }
}
END_TEST

/* The same, but it is still being moved when all nodes have been gone through. */
START_TEST(test_a_slot_that_is_moving_at_the_end)
{
    for (int side = 0; side < 2; side++) {
        begin(2, 2);
        const char *key = key_on(side, 1, "moved");
        unsigned slot = slot_of(bytes_str(key));
        put(side, "SET", key, "1");
        start_slowly();
        until_first_was_scanned(side);
        slot_begin(&sides[side].c, slot, 1, 0);
        slot_key(&sides[side].c, key, 1, 0);
        verify->rate.per_s = 0;
        UNTIL(verify->unsurveyed[0]);
        verify_read(verify, &report);
        ck_assert_str_eq(report.waiting,
                         side ? "target: slots are being moved" : "source: slots are being moved");
        slot_end(&sides[side].c, slot, 0);
        finish(VERIFY_DRIFT);
        drift_is(side == 0, side == 1, 0, 0, 0);
        end();
    }
}
END_TEST

/* It neither hangs nor calls that drift. */
START_TEST(test_a_slot_that_moves_without_an_end)
{
    for (int side = 0; side < 2; side++) {
        begin(2, 2);
        const char *key = key_on(side, 1, "moved");
        put_both("SET", key, "1");
        slot_begin(&sides[side].c, slot_of(bytes_str(key)), 1, 0);
        slot_key(&sides[side].c, key, 1, 0);
        start();
        verify->surveys_max = 2;
        verify->dirty_waits_max = 5;
        finish(VERIFY_INCONCLUSIVE);
        drift_is(0, 0, 0, 0, 0);
        ck_assert_msg(strstr(report.reason, side ? "slots of the target were being moved all the time"
                                                 : "slots of the source were being moved all the time"),
                      "%s", report.reason);
        /* The other side's pass has told of the key. */
        ck_assert_uint_eq(report.unstable, 1);
        ck_assert_uint_eq(report.moving, 1);
        ck_assert_ptr_nonnull(strstr(report.reason, "1 key in slots that are being moved, such as moved:"));
        end();
    }
}
END_TEST

/* Slots wander about all the time. Nothing is drift but what is. */
START_TEST(test_no_false_drift)
{
    begin(3, 3);
    plant(1500);
    options.keys_per_s = 1500;
    start();
    for (unsigned i = 0; i < 30; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key:%u", 400 + i);
        int side = i % 2;
        size_t from = node_of(side, key);
        slot_move(&sides[side].c, slot_of(bytes_str(key)), from, (from + 1 + i / 2 % 2) % 3);
        fake_pass(&none, 50);
    }
    finish(VERIFY_DRIFT);
    drift_is(13, 7, 5, 17, 23);
    ck_assert_uint_eq(report.unstable + report.unknown, 0);
    ck_assert_uint_ge(report.compared, 1507);
    end();
}
END_TEST

/* A node that is away is waited for, another process there until it is approved. */
START_TEST(test_a_node_is_restarted)
{
    char run_id[RUN_ID_MAX];

    begin(2, 2);
    plant(1500);
    for (int side = 0; side < 2; side++) {
        struct real *r = &sides[side].c.node[1];
        options.keys_per_s = 3000;
        start();
        UNTIL(verify->pass && pass_taken(verify->pass) > 0);
        ck_assert_str_eq(real_ask(r, "SAVE"), "OK");
        real_kill(r);
        real_start(r);
        UNTIL((verify_read(verify, &report), strstr(report.waiting, "another server answers there") &&
                                                 strstr(report.waiting, address_of(&sides[side], 1))));
        read_run_id(r, run_id);
        verify_approve(verify, side, address_of(&sides[side], 1), run_id);
        finish(VERIFY_DRIFT);
        drift_is(13, 7, 5, 17, 23);
    }
    end();
}
END_TEST

/* The spot check. */

static struct spot *spot;
static struct spot_report checked;
static size_t ups, checks, gathers;

static void on_up(void *arg)
{
    (void)arg;
    ups++;
}

static void on_checked(const struct spot_report *r, void *arg)
{
    (void)arg;
    checked = *r;
    checks++;
}

static void on_gathered(void *arg)
{
    (void)arg;
    gathers++;
}

static void approve_spot(int side, const char *address, const char *run_id)
{
    spot_approve(spot, side, address, run_id);
}

START_TEST(test_spot)
{
    static const struct spot_events events = {.up = on_up, .done = on_checked};

    begin(3, 2);
    plant(1500);
    ups = checks = gathers = 0;
    ck_assert_int_eq(spot_new(none.loop, &options.compare, MIB, &events, NULL, &spot), 0);
    ck_assert_int_eq(spot_run(spot, 1000), -ENOTCONN);
    approve_all(approve_spot);
    fake_until(&none, &ups, 1);
    ck_assert(spot_is_up(spot));
    for (unsigned i = 0; i < 330; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key:%u", i);
        ck_assert(spot_add(spot, 0, bytes_str(key)));
    }
    ck_assert_int_eq(spot_gather(spot, 0, 3000, on_gathered, NULL), 0);
    fake_until(&none, &gathers, 1);
    ck_assert_int_eq(spot_run(spot, 10000000), 0);
    fake_until(&none, &checks, 1);
    ck_assert(!checked.lost);
    ck_assert_uint_eq(checked.compared, checked.names);
    ck_assert_uint_gt(checked.names, 1000);
    ck_assert_uint_eq(checked.drift[DRIFT_MISSING], 13);
    ck_assert_uint_eq(checked.drift[DRIFT_VALUE], 17);
    ck_assert_uint_eq(checked.drift[DRIFT_TYPE], 5);
    ck_assert_uint_eq(checked.drift[DRIFT_TTL], 23);
    /* A node is lost: not all can be compared. */
    real_kill(&sides[1].c.node[1]);
    UNTIL(!spot_is_up(spot));
    ck_assert_int_eq(spot_run(spot, 10000000), -ENOTCONN);
    real_start(&sides[1].c.node[1]);
    spot_free(spot);
    end();
}
END_TEST

UNIT_MAIN("verify/cluster_passes", test_planted, test_a_slot_moves_behind_the_pass,
          test_a_slot_that_is_moving_at_the_end, test_a_slot_that_moves_without_an_end, test_no_false_drift,
          test_a_node_is_restarted, test_spot)
