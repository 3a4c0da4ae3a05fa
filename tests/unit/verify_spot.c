#include <errno.h>

#include "lib/core/clock.h"
#include "lib/verify/spot.h"
#include "tests/unit/verify_kit.h"

static struct spot *spot;
static struct compare_options options;
static struct spot_report report;
static size_t ups, dones, gathers;

static void on_up(void *arg)
{
    (void)arg;
    ups++;
}

static void on_done(const struct spot_report *r, void *arg)
{
    (void)arg;
    report = *r;
    dones++;
}

static void on_gathered(void *arg)
{
    (void)arg;
    gathers++;
}

static void approve(int side, const char *address, const char *run_id)
{
    spot_approve(spot, side, address, run_id);
}

static void begin(void)
{
    static const struct spot_events events = {.up = on_up, .done = on_done};

    servers_begin();
    ups = dones = gathers = 0;
    compare_options(&options);
    ck_assert_int_eq(spot_new(none.loop, &options, MIB, &events, NULL, &spot), 0);
    approve_both(approve);
    ck_assert_int_eq(spot_run(spot, 1000), -ENOTCONN);
    ck_assert_int_eq(spot_gather(spot, 0, 10, on_gathered, NULL), -ENOTCONN);
    fake_until(&none, &ups, 1);
    ck_assert(spot_is_up(spot));
}

static void end(void)
{
    spot = spot_free(spot);
    servers_end();
}

static void add(const char *key)
{
    ck_assert(spot_add(spot, 0, bytes_str(key)));
}

static void run(uint64_t budget_us)
{
    dones = 0;
    ck_assert_int_eq(spot_run(spot, budget_us), 0);
    ck_assert_int_eq(spot_run(spot, budget_us), -EBUSY);
    ck_assert_uint_eq(dones, 0);
    fake_until(&none, &dones, 1);
}

START_TEST(test_each_kind)
{
    begin();
    on_both("SET same 1");
    real_ask(&source, "MSET missing 1 value abc type 1 ttl 1");
    real_ask(&target, "MSET extra 1 value abd ttl 1");
    real_ask(&target, "RPUSH type a");
    real_ask(&target, "EXPIRE ttl 1000");
    const char *keys[] = {"same", "missing", "value", "type", "ttl", "extra", "nowhere", "same"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        add(keys[i]);
    run(10000000);
    ck_assert_uint_eq(report.names, 7);
    ck_assert_uint_eq(report.compared, 7);
    ck_assert_uint_eq(report.equal, 2);
    for (int i = 0; i < DRIFT_KINDS; i++)
        ck_assert_uint_eq(report.drift[i], 1);
    ck_assert_uint_eq(report.unknown, 0);
    ck_assert_uint_eq(report.nfindings, 5);
    ck_assert(!report.lost);
    ck_assert_uint_gt(report.took_us, 0);
    run(10000000); /* again, the same */
    ck_assert_uint_eq(report.compared, 7);
    spot_clear(spot);
    run(10000000);
    ck_assert_uint_eq(report.names, 0);
    end();
}
END_TEST

static void add_many(unsigned n)
{
    char key[32];
    for (unsigned i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        (void)spot_add(spot, 0, bytes_str(key));
    }
}

START_TEST(test_budget)
{
    begin();
    eval_both("for i = 0, 2999 do redis.call('SET', 'k' .. i, string.rep(i, 5000)) end");
    add_many(3000);
    run(60000000);
    ck_assert_uint_eq(report.compared, 3000);
    ck_assert_uint_eq(report.equal, 3000);
    run(2000); /* each side has 60 MB to send */
    ck_assert_uint_lt(report.compared, 3000);
    ck_assert(!report.lost);
    ck_assert_uint_eq(report.names, 3000);
    run(0);
    ck_assert_uint_eq(report.compared, 0);
    end();
}
END_TEST

START_TEST(test_room_for_names)
{
    unsigned n = 0;
    char key[32];

    begin();
    do
        snprintf(key, sizeof(key), "k%u", n++);
    while (spot_add(spot, 0, bytes_str(key)));
    ck_assert_uint_gt(n, 1000);
    ck_assert_uint_lt(n, 20000);
    ck_assert(spot_add(spot, 0, BYTES("k0"))); /* is there already */
    spot_clear(spot);
    ck_assert(spot_add(spot, 0, bytes_str(key)));
    end();
}
END_TEST

START_TEST(test_gather)
{
    begin();
    real_ask(&source, "SELECT 2");
    eval(&source, "for i = 0, 2999 do redis.call('SET', 'k' .. i, i) end");
    ck_assert_int_eq(spot_gather(spot, 2, 500, on_gathered, NULL), 0);
    ck_assert_int_eq(spot_gather(spot, 2, 500, on_gathered, NULL), -EBUSY);
    fake_until(&none, &gathers, 1);
    run(10000000);
    ck_assert_uint_gt(report.names, 300);
    ck_assert_uint_le(report.names, 500);
    ck_assert_uint_eq(report.drift[DRIFT_MISSING], report.names);
    spot_clear(spot);
    ck_assert_int_eq(spot_gather(spot, 1, 500, on_gathered, NULL), 0); /* of an empty database */
    fake_until(&none, &gathers, 2);
    ck_assert_int_eq(spot_gather(spot, 99999, 500, on_gathered, NULL), 0); /* of one that is not there */
    fake_until(&none, &gathers, 3);
    run(10000000);
    ck_assert_uint_eq(report.names, 0);
    end();
}
END_TEST

/* Some of them were gathered too. */
START_TEST(test_the_given_ones_come_before_those_gathered)
{
    char key[32];

    begin();
    eval(&source, "for i = 0, 399 do redis.call('SET', 'k' .. i, i) end");
    ck_assert_int_eq(spot_gather(spot, 0, 400, on_gathered, NULL), 0);
    fake_until(&none, &gathers, 1);
    add_many(ARRAY_LEN(report.findings));
    run(10000000);
    ck_assert_uint_gt(report.names, 100);
    ck_assert_uint_eq(report.nfindings, ARRAY_LEN(report.findings));
    for (unsigned i = 0; i < report.nfindings; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        ck_assert_str_eq(report.findings[i].key, key);
    }
    end();
}
END_TEST

START_TEST(test_lost)
{
    begin();
    eval_both("for i = 0, 2999 do redis.call('SET', 'k' .. i, i) end");
    add_many(3000);
    dones = 0;
    ck_assert_int_eq(spot_run(spot, 10000000), 0);
    fake_pass(&none, 1);
    ck_assert_uint_eq(dones, 0);
    real_ask(&target, "CLIENT KILL TYPE normal SKIPME yes");
    fake_until(&none, &dones, 1);
    ck_assert(report.lost);
    ck_assert_uint_lt(report.compared, 3000);
    ck_assert_uint_eq(report.compared, report.equal);
    fake_until(&none, &ups, 2);
    run(10000000);
    ck_assert(!report.lost);
    ck_assert_uint_eq(report.compared, 3000);
    end();
}
END_TEST

START_TEST(test_closed)
{
    begin();
    add("k");
    spot_close(spot);
    ck_assert(!spot_is_up(spot));
    ck_assert_int_eq(spot_run(spot, 1000), -ENOTCONN);
    ck_assert_int_eq(spot_gather(spot, 0, 10, on_gathered, NULL), -ENOTCONN);
    spot_approve(spot, 0, address_of(&source), "x");
    fake_pass(&none, 300);
    ck_assert_ptr_null(strstr(real_ask(&source, "CLIENT LIST"), "riotd"));
    ck_assert_ptr_null(strstr(real_ask(&target, "CLIENT LIST"), "riotd"));
    end();
}
END_TEST

START_TEST(test_closed_in_a_run)
{
    begin();
    add_many(1000);
    ck_assert_int_eq(spot_run(spot, 10000000), 0);
    fake_pass(&none, 0);
    ck_assert_int_eq(spot_gather(spot, 0, 100, on_gathered, NULL), 0);
    spot_close(spot);
    fake_pass(&none, 50);
    end();
}
END_TEST

/* In a pause of all writes, as in a cutover. */
START_TEST(test_in_a_pause)
{
    begin();
    on_both("SET k 1");
    add("k");
    real_ask(&source, "CLIENT PAUSE 5000 WRITE");
    uint64_t from = clock_mono_us();
    run(50000);
    ck_assert_uint_eq(report.equal, 1);
    ck_assert_uint_lt(clock_mono_us() - from, 2000000);
    end();
}
END_TEST

UNIT_MAIN("verify/spot", test_the_given_ones_come_before_those_gathered, test_each_kind, test_budget,
          test_room_for_names, test_gather, test_lost, test_closed, test_closed_in_a_run, test_in_a_pause)
