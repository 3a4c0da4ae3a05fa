#include "tests/unit/verify_run_kit.h"

#define POPULATE                                                                                             \
    "for i = 0, 4999 do local k = 'key:' .. i local m = i % 4 "                                              \
    "if m == 0 then redis.call('SET', k, 'value' .. i) "                                                     \
    "elseif m == 1 then redis.call('RPUSH', k, 'a' .. i, 'b', 'c') "                                         \
    "elseif m == 2 then redis.call('HSET', k, 'f', i, 'g', 'x') "                                            \
    "else redis.call('ZADD', k, i, 'm', 2, 'n') end "                                                        \
    "if i % 3 == 0 then redis.call('PEXPIREAT', k, 9999999990000 + i) end end"

/* 13 are gone, 23 expire otherwise, 17 have another value of the same length, 7 are extra, 5 of another type.
 */
#define INJECT                                                                                               \
    "for i = 0, 12 do redis.call('DEL', 'key:' .. i) end "                                                   \
    "for i = 100, 122 do redis.call('PEXPIREAT', 'key:' .. i, 8888888880000) end "                           \
    "for i = 1, 17 do local k = 'key:' .. (i * 4 + 400) redis.call('SETRANGE', k, 0, 'VALUE') end "          \
    "for i = 1, 7 do redis.call('SET', 'extra:' .. i, i) end "                                               \
    "for i = 1, 5 do local k = 'key:' .. (i + 3000) redis.call('DEL', k) redis.call('SADD', k, 'x') end"

static void inject(void)
{
    eval_both(POPULATE);
    eval(&target, INJECT);
    options.keys = 5000;
    options.target_keys = 4994;
}

START_TEST(test_clean)
{
    begin();
    eval_both(POPULATE);
    run(VERIFY_CLEAN);
    drift_is(0, 0, 0, 0, 0);
    ck_assert_uint_ge(report.scanned, 5000);
    ck_assert_uint_ge(report.target_scanned, 5000);
    ck_assert_uint_ge(report.compared, 5000);
    ck_assert_uint_eq(report.rechecked, 0);
    ck_assert_str_eq(report.reason, "");
    ck_assert(report.percent == 100);
    ck_assert(!report.sampled && !report.at_least);
    ck_assert_uint_eq(settles, 0);
    end();
}
END_TEST

START_TEST(test_nothing_at_all)
{
    begin();
    run(VERIFY_CLEAN);
    options.ndbs = 0;
    run(VERIFY_CLEAN);
    ck_assert(report.percent == 100);
    end();
}
END_TEST

START_TEST(test_injected_drift)
{
    begin();
    inject();
    run(VERIFY_DRIFT);
    drift_is(13, 7, 5, 17, 23);
    ck_assert_uint_eq(report.rechecked, 65);
    ck_assert_uint_eq(report.nfindings, 65);
    ck_assert_uint_eq(report.unstable + report.unknown, 0);
    ck_assert_uint_eq(marks, 0);
    for (size_t i = 0; i < report.nfindings; i++)
        ck_assert_uint_gt(strlen(report.findings[i].what), 10);
    end();
}
END_TEST

static uint64_t exists_asked(void)
{
    const char *stats = real_ask(&source, "INFO commandstats");
    const char *at = strstr(stats, "cmdstat_exists:calls=");
    return at ? strtoull(at + strlen("cmdstat_exists:calls="), NULL, 10) : 0;
}

/* Where both sides have the same names, the source is asked for none again; else for a few, and the one that
 * only the target has is among them. */
START_TEST(test_names_only_the_target_has)
{
    begin();
    eval_both(POPULATE);
    run(VERIFY_CLEAN);
    ck_assert_uint_eq(exists_asked(), 0);
    ck_assert_uint_eq(report.target_scanned, 5000);
    real_ask(&target, "SET extra 1");
    run(VERIFY_DRIFT);
    drift_is(0, 1, 0, 0, 0);
    ck_assert_uint_ge(exists_asked(), 1);
    ck_assert_uint_lt(exists_asked(), 50);
    ck_assert_uint_eq(report.target_scanned, 5001); /* each once, however often it was gone through */
    ck_assert(report.percent == 100);
    end();
}
END_TEST

/* As many keys as the source has: one in the place of another, which is missing. */
START_TEST(test_a_name_in_the_place_of_another)
{
    begin();
    eval_both(POPULATE);
    eval(&target, "redis.call('RENAME', 'key:1', 'key:other')");
    run(VERIFY_DRIFT);
    drift_is(1, 1, 0, 0, 0);
    end();
}
END_TEST

/* Compared when both had it, and deleted on both since. */
START_TEST(test_a_name_that_has_gone_since)
{
    begin();
    eval_both(POPULATE);
    start();
    while (verify->phase == PHASE_SOURCE)
        fake_pass(&none, 1);
    eval_both("redis.call('DEL', 'key:77')");
    finish(VERIFY_CLEAN);
    drift_is(0, 0, 0, 0, 0);
    end();
}
END_TEST

/* Each database is gone through twice: no key may count twice. */
START_TEST(test_a_key_counts_once)
{
    static const int dbs[] = {0, 0, 0};
    begin();
    inject();
    options.dbs = dbs;
    options.ndbs = 3;
    run(VERIFY_DRIFT);
    drift_is(13, 7, 5, 17, 23);
    ck_assert_uint_ge(report.scanned, 15000);
    end();
}
END_TEST

static const char *told_of(const char *key)
{
    for (size_t i = 0; i < report.nfindings; i++)
        if (strcmp(report.findings[i].key, key) == 0)
            return report.findings[i].what;
    return "nothing";
}

START_TEST(test_what_is_told)
{
    begin();
    eval(&source, "redis.call('HSET', 'missing', 'a', 1, 'b', 2) redis.call('SADD', 'type', 1) "
                  "redis.call('HSET', 'value', 'a', 1, 'b', 2) redis.call('RPUSH', 'same', 'a', 'b') "
                  "redis.call('SET', 'ttl', 1) redis.call('PEXPIREAT', 'ttl', 9999999990000) "
                  "redis.call('SET', 'never', 1) "
                  "redis.call('SET', 'l\\0ng', 1)");
    eval(&target, "redis.call('ZADD', 'extra', 1, 'a') redis.call('RPUSH', 'type', 1, 2, 3) "
                  "redis.call('HSET', 'value', 'a', 1) redis.call('RPUSH', 'same', 'a', 'c') "
                  "redis.call('SET', 'ttl', 1) redis.call('PEXPIREAT', 'ttl', 9999999991250) "
                  "redis.call('SET', 'never', 1) redis.call('PEXPIREAT', 'never', 4102444800000)");
    run(VERIFY_DRIFT);
    ck_assert_str_eq(told_of("missing"), "hash of 2 fields on the source, not on the target");
    ck_assert_str_eq(told_of("extra"), "zset of 1 member on the target, not on the source");
    ck_assert_str_eq(told_of("type"), "set of 1 member on the source, list of 3 elements on the target");
    ck_assert_str_eq(told_of("value"), "hash of 2 fields on the source, of 1 field on the target");
    ck_assert_str_eq(told_of("same"), "list of 2 elements on both sides, with unlike contents");
    ck_assert_str_eq(told_of("ttl"), "expires 1250 ms later on the target");
    ck_assert_str_eq(told_of("never"),
                     "expires at 2100-01-01T00:00:00.000Z on the target, never on the source");
    ck_assert_ptr_nonnull(strstr(told_of("l\\x00ng"), "on the source, not on the target"));
    end();
}
END_TEST

START_TEST(test_repair)
{
    begin();
    inject();
    options.repair = true;
    run(VERIFY_CLEAN);
    drift_is(0, 0, 0, 0, 0);
    ck_assert_uint_eq(report.repaired, 65);
    ck_assert_uint_eq(marks, 65);
    ck_assert(report.repair);
    options.repair = false;
    run(VERIFY_CLEAN);
    ck_assert_uint_eq(report.rechecked, 0);
    end();
}
END_TEST

START_TEST(test_repair_that_does_not_help)
{
    begin();
    inject();
    options.repair = true;
    options.rounds = 2;
    copies = false;
    start();
    verify->repair_us = 500000;
    finish(VERIFY_DRIFT);
    drift_is(13, 7, 5, 17, 23);
    ck_assert_uint_eq(report.repaired, 0);
    ck_assert_uint_ge(marks, 65 * 2);
    end();
}
END_TEST

/* Differences that were on their way are none. */

static void copy_late(void)
{
    for (int i = 0; i < 50; i++) {
        char key[24];
        snprintf(key, sizeof(key), "late:%d", i);
        copy_key(0, key);
    }
}

START_TEST(test_copied_before_the_barrier)
{
    begin();
    eval_both(POPULATE);
    eval(&source, "for i = 0, 49 do redis.call('SET', 'late:' .. i, i) end");
    before_settled = copy_late;
    run(VERIFY_CLEAN);
    ck_assert_uint_ge(report.rechecked, 1);
    ck_assert_uint_ge(settles, 1);
    end();
}
END_TEST

static unsigned dirty_asked;

static bool dirty_for_a_while(int db, struct bytes key)
{
    (void)db;
    if (bytes_is(key, "k") && ++dirty_asked == 12)
        copy_key(0, "k");
    return bytes_is(key, "k") && dirty_asked < 12;
}

/* A dirty key is waited for, however many rounds that are. */
START_TEST(test_dirty_keys_wait)
{
    begin();
    real_ask(&source, "SET k 1");
    dirty_asked = 0;
    dirty = dirty_for_a_while;
    options.rounds = 2;
    run(VERIFY_CLEAN);
    ck_assert_uint_ge(dirty_asked, 12);
    end();
}
END_TEST

static bool always_dirty(int db, struct bytes key)
{
    (void)db;
    return bytes_is(key, "k");
}

START_TEST(test_always_dirty)
{
    begin();
    real_ask(&source, "SET k 1");
    dirty = always_dirty;
    start();
    verify->dirty_waits_max = 5;
    finish(VERIFY_INCONCLUSIVE);
    ck_assert_uint_eq(report.unstable, 1);
    drift_is(0, 0, 0, 0, 0);
    ck_assert_str_eq(report.reason, "1 key changed too fast to be read twice, such as k");
    end();
}
END_TEST

/* Dirty before the look, or by the time that it is over: the look does not count. */
static bool dirty_before(int db, struct bytes key)
{
    (void)db, (void)key;
    return in_settled;
}

static bool dirty_after(int db, struct bytes key)
{
    (void)db, (void)key;
    return !in_settled;
}

START_TEST(test_dirty_before_or_after_the_look)
{
    begin();
    real_ask(&source, "SET k 1");
    for (int i = 0; i < 2; i++) {
        dirty = i ? dirty_before : dirty_after;
        start();
        verify->dirty_waits_max = 5;
        finish(VERIFY_INCONCLUSIVE);
        ck_assert_uint_eq(report.unstable, 1);
    }
    end();
}
END_TEST

/* A key that is never the same. */
static void change(void)
{
    real_ask(&source, "INCR k");
}

START_TEST(test_unstable)
{
    begin();
    eval_both(POPULATE);
    real_ask(&source, "SET k 1");
    before_settled = change;
    run(VERIFY_INCONCLUSIVE);
    ck_assert_uint_eq(report.unstable, 1);
    drift_is(0, 0, 0, 0, 0);
    real_ask(&target, "SET extra 1"); /* what is found besides is told all the same */
    run(VERIFY_DRIFT);
    drift_is(0, 1, 0, 0, 0);
    ck_assert_uint_eq(report.unstable, 1);
    end();
}
END_TEST

/* Two values in turn: the same twice in a row is not enough for a key that was seen moving. */
static size_t flips;

static void flip(void)
{
    static const char *const values[] = {"a", "a", "b", "b"};
    real_ask(&source, "SET k %s", values[flips++ % 4]);
}

START_TEST(test_a_flipping_key)
{
    begin();
    real_ask(&source, "SET k b");
    flips = 0;
    before_settled = flip;
    run(VERIFY_INCONCLUSIVE);
    ck_assert_uint_eq(report.unstable, 1);
    end();
}
END_TEST

START_TEST(test_no_barrier_to_be_had)
{
    begin();
    real_ask(&source, "SET k 1");
    settle_error = -ENOTCONN;
    start();
    fake_pass(&none, 600);
    verify_read(verify, &report);
    ck_assert_int_eq(report.verdict, VERIFY_RUNNING);
    ck_assert_uint_eq(report.pending, 1);
    ck_assert_str_ne(report.waiting, "");
    ck_assert(report.percent < 100);
    settle_error = 0;
    finish(VERIFY_DRIFT);
    drift_is(1, 0, 0, 0, 0);
    ck_assert_str_eq(report.waiting, "");
    end();
}
END_TEST

START_TEST(test_stopped)
{
    begin();
    inject();
    verify_free(NULL);
    start();
    verify_stop(verify);
    finish(VERIFY_STOPPED);
    settle_error = -ENOTCONN;
    start();
    while (verify->phase != PHASE_OVER)
        fake_pass(&none, 5);
    verify_stop(verify);
    verify_stop(verify);
    finish(VERIFY_STOPPED);
    ck_assert_uint_ge(report.scanned, 5000);
    ck_assert_str_ne(report.reason, "");
    end();
}
END_TEST

static void stop_it(void)
{
    verify_stop(verify);
}

START_TEST(test_stopped_at_a_barrier)
{
    begin();
    real_ask(&source, "SET k 1");
    before_settled = stop_it;
    run(VERIFY_STOPPED);
    ck_assert_uint_eq(cancels, 0); /* it had passed */
    before_settled = NULL;
    start();
    while (!settle_later.queued && !dones)
        fake_pass(&none, 0);
    end();
}
END_TEST

START_TEST(test_merge)
{
    begin();
    inject();
    options.merge = true;
    run(VERIFY_DRIFT);
    drift_is(13, 0, 5, 17, 23);
    ck_assert_uint_eq(report.target_scanned, 0);
    end();
}
END_TEST

START_TEST(test_sample)
{
    begin();
    eval_both(POPULATE);
    real_ask(&target, "FLUSHALL");
    options.keys = 5000;
    options.sample = 500;
    run(VERIFY_DRIFT);
    ck_assert(report.sampled);
    ck_assert_uint_gt(report.drift[DRIFT_MISSING], 350);
    ck_assert_uint_lt(report.drift[DRIFT_MISSING], 650);
    options.sample = 5000;
    run(VERIFY_DRIFT);
    ck_assert(!report.sampled);
    drift_is(5000, 0, 0, 0, 0);
    end();
}
END_TEST

START_TEST(test_match)
{
    begin();
    inject();
    options.match = "extra:*";
    run(VERIFY_DRIFT);
    drift_is(0, 7, 0, 0, 0);
    options.match = "key:300?";
    run(VERIFY_DRIFT);
    drift_is(0, 0, 5, 0, 0);
    end();
}
END_TEST

START_TEST(test_databases)
{
    static const int dbs[] = {0, 2, 15, 99999};
    begin();
    inject();
    real_ask(&source, "SELECT 2");
    real_ask(&source, "SET k 1");
    real_ask(&target, "SELECT 15");
    real_ask(&target, "SET k 1");
    options.dbs = dbs;
    options.ndbs = ARRAY_LEN(dbs);
    run(VERIFY_DRIFT);
    drift_is(14, 8, 5, 17, 23);
    end();
}
END_TEST

START_TEST(test_into_another_database)
{
    begin();
    real_ask(&source, "MSET a 1 b 2 c 3");
    real_ask(&target, "SELECT 7");
    real_ask(&target, "MSET a 1 b 3 d 4");
    options.compare.into_db = 7;
    run(VERIFY_DRIFT);
    drift_is(1, 1, 0, 1, 0);
    ck_assert_int_eq(report.findings[0].db, 0);
    end();
}
END_TEST

/* What waits for another look has its ceiling; the passes wait then. */
START_TEST(test_memory)
{
    size_t most = 0;

    begin();
    eval(&source, "for i = 1, 20000 do redis.call('SET', 'a rather long name of a key ' .. i, i) end");
    options.memory = 1;
    start();
    while (!dones) {
        fake_pass(&none, 5);
        most = MAX(most, suspects_bytes(verify->suspects) + verify->reserved);
    }
    finish(VERIFY_DRIFT);
    drift_is(20000, 0, 0, 0, 0);
    ck_assert(!report.at_least);
    ck_assert_uint_le(most, MIB / 4);
    ck_assert_uint_gt(most, MIB / 5);
    ck_assert_uint_eq(report.nfindings, VERIFY_SAMPLE_MAX);
    end();
}
END_TEST

/* Beyond what is counted exactly there are more, and nothing is counted twice. */
START_TEST(test_more_than_can_be_counted)
{
    static const int dbs[] = {0, 0};
    begin();
    eval(&source, "for i = 1, 30000 do redis.call('SET', i, i) end");
    options.memory = 1;
    options.dbs = dbs;
    options.ndbs = 2;
    run(VERIFY_DRIFT);
    ck_assert(report.at_least);
    ck_assert_uint_gt(report.drift[DRIFT_MISSING], 20000);
    ck_assert_uint_lt(report.drift[DRIFT_MISSING], 30000);
    end();
}
END_TEST

START_TEST(test_rate)
{
    begin();
    eval_both(POPULATE);
    options.keys_per_s = 10000;
    options.keys = options.target_keys = 5000;
    uint64_t from = clock_mono_us();
    start();
    fake_pass(&none, 500);
    verify_read(verify, &report);
    ck_assert(report.percent > 5 && report.percent < 95);
    finish(VERIFY_CLEAN);
    ck_assert_uint_gt(clock_mono_us() - from, 800000);
    end();
}
END_TEST

/* Whatever is lost meanwhile, the counts are the same. */
START_TEST(test_lost_connections)
{
    begin();
    inject();
    options.keys_per_s = 10000;
    start();
    for (int i = 0; i < 6; i++) {
        fake_pass(&none, 150);
        real_ask(i % 2 ? &source : &target, "CLIENT KILL TYPE normal SKIPME yes");
    }
    finish(VERIFY_DRIFT);
    drift_is(13, 7, 5, 17, 23);
    end();
}
END_TEST

/* Another process of the source: its cursors are others, so the pass begins anew, once it is approved. */
START_TEST(test_a_restarted_source)
{
    char run_id[RUN_ID_MAX];

    begin();
    inject();
    eval_both("for i = 1, 20000 do redis.call('SET', string.rep('n', 100) .. i, i) end");
    options.keys_per_s = 30000;
    start();
    fake_pass(&none, 200);
    real_restart(&source);
    read_run_id(&source, run_id);
    fake_pass(&none, 500);
    verify_read(verify, &report);
    ck_assert_int_eq(strncmp(report.waiting, "source: ", 8), 0);
    verify_approve(verify, 0, address_of(&source), run_id);
    finish(VERIFY_DRIFT);
    drift_is(13, 7, 5, 17, 23);
    end();
}
END_TEST

START_TEST(test_forbidden)
{
    begin();
    inject();
    real_ask(&target, "ACL SETUSER default -dump");
    run(VERIFY_INCONCLUSIVE);
    ck_assert_uint_eq(report.unknown, 5007);
    ck_assert_ptr_nonnull(strstr(report.reason, "target: NOPERM"));
    end();
}
END_TEST

START_TEST(test_a_long_name)
{
    char *name = malloc(KEY_NAME_MAX + 1);
    ck_assert_ptr_nonnull(name);
    memset(name, 'n', KEY_NAME_MAX + 1);
    const struct bytes longest[] = {BYTES("SET"), bytes_of(name, KEY_NAME_MAX), BYTES("1")};
    const struct bytes too_long[] = {BYTES("SET"), bytes_of(name, KEY_NAME_MAX + 1), BYTES("1")};

    begin();
    real_request(&source, 3, longest);
    run(VERIFY_DRIFT);
    drift_is(1, 0, 0, 0, 0);
    real_request(&source, 3, too_long);
    real_request(&target, 3, longest);
    run(VERIFY_INCONCLUSIVE);
    ck_assert_uint_eq(report.unknown, 1);
    real_request(&target, 3, too_long);
    real_ask(&target, "SET extra 1");
    run(VERIFY_DRIFT);
    drift_is(0, 1, 0, 0, 0);
    ck_assert_uint_eq(report.unknown, 2); /* once for each side */
    free(name);
    end();
}
END_TEST

static void expire_one(void)
{
    static unsigned n;
    char key[24];
    snprintf(key, sizeof(key), "live:%u", n++ % 50);
    real_ask(&source, "SET %s %u PX %u", key, n, n % 7 * 20 + 1);
    copy_key(0, key);
}

/* Keys that are written and expire all the time, and are copied: no drift. */
START_TEST(test_no_false_drift)
{
    begin();
    eval_both(POPULATE);
    options.keys_per_s = 20000;
    for (int i = 0; i < 5; i++) {
        start();
        while (!dones) {
            expire_one();
            fake_pass(&none, 1);
        }
        finish(VERIFY_CLEAN);
    }
    end();
}
END_TEST

UNIT_MAIN("verify/verify", test_clean, test_nothing_at_all, test_injected_drift,
          test_names_only_the_target_has, test_a_name_in_the_place_of_another,
          test_a_name_that_has_gone_since, test_a_key_counts_once, test_what_is_told, test_repair,
          test_repair_that_does_not_help, test_copied_before_the_barrier, test_dirty_keys_wait,
          test_always_dirty, test_dirty_before_or_after_the_look, test_unstable, test_a_flipping_key,
          test_no_barrier_to_be_had, test_stopped, test_stopped_at_a_barrier, test_merge, test_sample,
          test_match, test_databases, test_into_another_database, test_memory, test_more_than_can_be_counted,
          test_rate, test_lost_connections, test_a_restarted_source, test_forbidden, test_a_long_name,
          test_no_false_drift)
