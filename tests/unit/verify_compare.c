#include <errno.h>

#include "tests/unit/verify_kit.h"

/* Two real servers: each verdict, large values, lost connections. What servers do not do is in verify_side.c.
 */

#define KEYS_MAX 64

static struct comparer *comparer;
static struct compare_options options;
static bool loose;
static size_t ups, downs, answers, losses, rooms;
static struct {
    char key[40];
    int db;
    uint64_t tag;
    struct compare_result result;
} told[KEYS_MAX];
static size_t ntold;

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
    (void)arg;
    answers++;
    if (ntold == KEYS_MAX)
        return;
    snprintf(told[ntold].key, sizeof(told[0].key), "%.*s", (int)MIN(key.len, 39u), key.ptr);
    told[ntold].db = db;
    told[ntold].tag = tag;
    told[ntold++].result = *r;
}

static void on_lost(int db, struct bytes key, uint64_t tag, enum compare_loss why, void *arg)
{
    (void)db, (void)key, (void)tag, (void)arg;
    ck_assert_int_eq(why, COMPARE_LOST);
    losses++;
}

static void on_room(void *arg)
{
    (void)arg;
    rooms++;
}

static const struct compare_events events = {
    .up = on_up, .down = on_down, .result = on_result, .lost = on_lost, .room = on_room};

static void forget(void)
{
    ups = downs = answers = losses = rooms = ntold = 0;
}

static void approve(int side, const char *address, const char *run_id)
{
    comparer_approve(comparer, side, address, run_id);
}

static void make(void)
{
    ck_assert_int_eq(comparer_new(none.loop, &options, &events, NULL, &comparer), 0);
    approve_both(approve);
}

static void begin(void)
{
    servers_begin();
    forget();
    compare_options(&options);
    options.loose = loose;
    make();
    ck_assert(!comparer_is_up(comparer));
    ck_assert_int_eq(comparer_compare(comparer, 0, BYTES("k"), false, 0), -ENOTCONN);
    fake_until(&none, &ups, 1);
    ck_assert(comparer_is_up(comparer));
}

static void end(void)
{
    comparer = comparer_free(comparer);
    servers_end();
}

static const struct compare_result *compare_in(int db, const char *key, bool deep)
{
    forget();
    ck_assert_int_eq(comparer_compare(comparer, db, bytes_str(key), deep, 42), 0);
    comparer_flush(comparer);
    fake_until(&none, &answers, 1);
    ck_assert_str_eq(told[0].key, key);
    ck_assert_int_eq(told[0].db, db);
    ck_assert_uint_eq(told[0].tag, 42);
    ck_assert_uint_eq(comparer_outstanding(comparer), 0);
    return &told[0].result;
}

/* So many keys may be asked for at once, once it is known that they are small. */
static void warm_up(void)
{
    for (int i = 0; i < 60; i++)
        compare_in(0, "nowhere", false);
    forget();
}

static void ask_for(size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(comparer_compare(comparer, 0, BYTES("k"), i % 2, 0), 0);
    comparer_flush(comparer);
}

static void verdict_is(const char *key, bool deep, enum compare_verdict v)
{
    const struct compare_result *r = compare_in(0, key, deep);
    ck_assert_msg(r->verdict == v, "%s: %s, not %s: %s %s", key, compare_verdict_name(r->verdict),
                  compare_verdict_name(v), r->side[0].error, r->side[1].error);
}

/* With quick looks in MULTI, and with loose ones. */
#define IN_BOTH_WAYS(name)                                                                                   \
    START_TEST(test_##name)                                                                                  \
    {                                                                                                        \
        name();                                                                                              \
        loose = true;                                                                                        \
        name();                                                                                              \
    }                                                                                                        \
    END_TEST

static void each_verdict(void)
{
    begin();
    on_both("SET same 1");
    on_both("SET all-same 1");
    on_both("PEXPIREAT all-same 9999999999999");
    real_ask(&source, "SET missing 1");
    real_ask(&target, "SET extra 1");
    real_ask(&source, "SET type 1");
    real_ask(&target, "LPUSH type 1");
    real_ask(&source, "SET value abcd");
    real_ask(&target, "SET value abce");
    real_ask(&source, "PEXPIREAT value 9999999999999");
    on_both("MSET ttl 1 tolerated 1 never 1");
    real_ask(&source, "PEXPIREAT ttl 9999999999999");
    real_ask(&target, "PEXPIREAT ttl 9999999999%s", is_old(&source) ? "000" : "993");
    real_ask(&source, "PEXPIREAT tolerated 9999999999999");
    real_ask(&target, "PEXPIREAT tolerated 9999999999996");
    real_ask(&source, "PEXPIREAT never 9999999999999");
    for (int deep = 0; deep < 2; deep++) {
        verdict_is("same", deep, COMPARE_EQUAL);
        verdict_is("all-same", deep, COMPARE_EQUAL);
        verdict_is("nowhere", deep, COMPARE_GONE);
        verdict_is("missing", deep, COMPARE_MISSING);
        verdict_is("extra", deep, COMPARE_EXTRA);
        verdict_is("type", deep, COMPARE_TYPE);
        verdict_is("value", deep, deep ? COMPARE_VALUE : COMPARE_UNLIKE);
        verdict_is("ttl", deep, COMPARE_TTL);
        verdict_is("tolerated", deep, COMPARE_EQUAL);
        verdict_is("never", deep, COMPARE_TTL);
    }
    end();
}
IN_BOTH_WAYS(each_verdict)

/* Members in unlike order are unlike bytes. */
START_TEST(test_unlike_bytes_of_equal_values)
{
    begin();
    eval(&source, "for i = 1, 2000 do redis.call('SADD', 's', 'm' .. i) end "
                  "for i = 1, 2000 do redis.call('HSET', 'h', 'f' .. i, i) end");
    eval(&target, "for i = 2000, 1, -1 do redis.call('SADD', 's', 'm' .. i) end "
                  "for i = 2000, 1, -1 do redis.call('HSET', 'h', 'f' .. i, i) end");
    verdict_is("s", false, COMPARE_UNLIKE);
    verdict_is("s", true, COMPARE_EQUAL);
    verdict_is("h", true, COMPARE_EQUAL);
    real_ask(&target, "HSET h f77 x");
    verdict_is("h", true, COMPARE_VALUE);
    ck_assert_uint_eq(told[0].result.side[0].digest.elements, 2000);
    end();
}
END_TEST

START_TEST(test_what_is_told_of_a_side)
{
    begin();
    on_both("RPUSH l a b c");
    real_ask(&source, "PEXPIREAT l 9999999999999");
    const struct compare_result *r = compare_in(0, "l", true);
    ck_assert(r->side[0].exists && r->side[1].exists);
    ck_assert_int_ge(r->side[0].expire_at_ms, 9999999999999 - 5);
    ck_assert_int_le(r->side[0].expire_at_ms, 9999999999999 + 5);
    ck_assert_int_eq(r->side[1].expire_at_ms, 0);
    ck_assert_int_eq(r->side[0].type, RDB_LIST);
    ck_assert_uint_eq(r->side[0].digest.elements, 3);
    ck_assert_uint_gt(r->side[0].bytes, 10);
    ck_assert_str_eq(r->side[0].error, "");
    r = compare_in(0, "not", true);
    ck_assert(!r->side[0].exists && !r->side[1].exists);
    end();
}
END_TEST

static void databases(void)
{
    begin();
    real_ask(&source, "SELECT 3");
    real_ask(&source, "SET k 1");
    ck_assert_int_eq(compare_in(3, "k", true)->verdict, COMPARE_MISSING);
    ck_assert_int_eq(compare_in(0, "k", true)->verdict, COMPARE_GONE);
    real_ask(&target, "SELECT 3");
    real_ask(&target, "SET k 1");
    ck_assert_int_eq(compare_in(3, "k", false)->verdict, COMPARE_EQUAL);
    /* No server has this many. */
    ck_assert_int_eq(compare_in(123456, "k", true)->verdict, COMPARE_GONE);
    /* Several, gathered together. */
    forget();
    for (int db = 0; db < 4; db++)
        ck_assert_int_eq(comparer_compare(comparer, db, BYTES("k"), db % 2, (uint64_t)db), 0);
    comparer_flush(comparer);
    fake_until(&none, &answers, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(told[i].result.verdict, told[i].db == 3 ? COMPARE_EQUAL : COMPARE_GONE);
    end();
}
IN_BOTH_WAYS(databases)

START_TEST(test_into_another_database)
{
    begin();
    comparer_free(comparer);
    options.into_db = 5;
    make();
    fake_until(&none, &ups, 2);
    real_ask(&source, "SET k 1");
    ck_assert_int_eq(compare_in(0, "k", true)->verdict, COMPARE_MISSING);
    real_ask(&target, "SELECT 5");
    real_ask(&target, "SET k 1");
    ck_assert_int_eq(compare_in(0, "k", true)->verdict, COMPARE_EQUAL);
    end();
}
END_TEST

static void large_values(void)
{
    static const char fill[] = "redis.call('SET', 'a', string.rep('x', 40 * 1048576)) "
                               "for i = 1, 30 do redis.call('RPUSH', 'l', string.rep('y', 65536)) end";
    begin();
    eval_both(fill);
    verdict_is("a", false, COMPARE_EQUAL);
    verdict_is("a", true, COMPARE_EQUAL);
    verdict_is("l", true, COMPARE_EQUAL);
    real_ask(&target, "SETRANGE a 41943039 y");
    real_ask(&target, "LSET l 29 y");
    verdict_is("a", false, COMPARE_UNLIKE);
    verdict_is("a", true, COMPARE_VALUE);
    verdict_is("l", true, COMPARE_VALUE);
    end();
}
IN_BOTH_WAYS(large_values)

/* Small ones in between, of which each must be told. */
static void many(void)
{
    size_t sent = 0, full = 0;
    char key[32];

    begin();
    eval_both("for i = 1, 20000 do redis.call('SET', 'k' .. i, i) end "
              "for i = 1, 20000, 1000 do redis.call('SET', 'k' .. i, string.rep('z', 300000)) end");
    forget();
    while (sent < 20000) {
        snprintf(key, sizeof(key), "k%zu", sent + 1);
        int err = comparer_compare(comparer, 0, bytes_str(key), sent % 7 == 0, 0);
        if (err) {
            ck_assert_int_eq(err, -ENOBUFS);
            full++;
            fake_until(&none, &rooms, rooms + 1);
            continue;
        }
        sent++;
    }
    comparer_flush(comparer);
    fake_until(&none, &answers, 20000);
    ck_assert_uint_gt(full, 0);
    ck_assert_uint_eq(losses, 0);
    ck_assert_uint_eq(comparer_outstanding(comparer), 0);
    for (size_t i = 0; i < ntold; i++)
        ck_assert_int_eq(told[i].result.verdict, COMPARE_EQUAL);
    end();
}
IN_BOTH_WAYS(many)

START_TEST(test_existence)
{
    begin();
    real_ask(&source, "SET k 1");
    real_ask(&target, "SET x 1");
    forget();
    ck_assert_int_eq(comparer_exists(comparer, 0, BYTES("k"), 1), 0);
    ck_assert_int_eq(comparer_exists(comparer, 0, BYTES("x"), 2), 0);
    ck_assert_int_eq(comparer_exists(comparer, 123456, BYTES("k"), 3), 0);
    comparer_flush(comparer);
    fake_until(&none, &answers, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(told[i].result.verdict, told[i].tag == 1 ? COMPARE_EQUAL : COMPARE_EXTRA);
    end();
}
END_TEST

/* Asked for together, each is still told by itself. */
START_TEST(test_existence_of_many)
{
    char key[16];

    begin();
    real_ask(&source, "MSET k0 1 k1 1 k2 1 k4 1 k5 1");
    for (int n = 3; n <= 6; n += 3) {
        forget();
        for (int i = 0; i < n; i++) {
            snprintf(key, sizeof(key), "k%d", i);
            ck_assert_int_eq(comparer_exists(comparer, 0, bytes_str(key), (uint64_t)i), 0);
        }
        comparer_flush(comparer);
        fake_until(&none, &answers, (size_t)n);
        for (int i = 0; i < n; i++)
            ck_assert_int_eq(told[i].result.verdict == COMPARE_EXTRA, told[i].tag == 3);
        ck_assert_uint_eq(losses, 0);
    }
    end();
}
END_TEST

/* All types, among strings and among others: each is told once, and as it is. */
START_TEST(test_loose_types)
{
    loose = true;
    begin();
    eval_both("for i = 0, 399 do redis.call('SET', i, i) redis.call('PEXPIREAT', i, 9999999999999) "
              "redis.call('RPUSH', 'l' .. i, i) redis.call('HSET', 'h' .. i, 'f', i) end");
    real_ask(&source, "SETRANGE 7 3 x");
    real_ask(&source, "PERSIST 8");
    real_ask(&target, "RPUSH l9 x");
    real_ask(&target, "PERSIST l10");
    for (int i = 0; i < 400; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        verdict_is(key, false, i == 7 ? COMPARE_UNLIKE : i == 8 ? COMPARE_TTL : COMPARE_EQUAL);
        snprintf(key, sizeof(key), "l%d", i);
        verdict_is(key, false, i == 9 ? COMPARE_UNLIKE : COMPARE_EQUAL);
        snprintf(key, sizeof(key), "h%d", i);
        verdict_is(key, false, COMPARE_EQUAL);
    }
    end();
}
END_TEST

/* One key that may not be read costs the others nothing. */
static void a_forbidden_key(void)
{
    char key[32];

    begin();
    warm_up();
    real_ask(&source, "ACL SETUSER default resetkeys ~k*");
    for (int i = 0; i < 8; i++) {
        snprintf(key, sizeof(key), i % 4 == 3 ? "forbidden%d" : "k%d", i);
        ck_assert_int_eq(comparer_compare(comparer, 0, bytes_str(key), i < 4, 0), 0);
    }
    comparer_flush(comparer);
    fake_until(&none, &answers, 8);
    ck_assert_uint_eq(losses, 0);
    for (size_t i = 0; i < 8; i++) {
        bool forbidden = told[i].key[0] == 'f';
        ck_assert_int_eq(told[i].result.verdict == COMPARE_UNKNOWN, forbidden);
        ck_assert_int_eq(strncmp(told[i].result.side[0].error, "NOPERM", 6) == 0, forbidden);
    }
    end();
}
IN_BOTH_WAYS(a_forbidden_key)

START_TEST(test_forbidden_commands)
{
    begin();
    real_ask(&target, "ACL SETUSER default -dump");
    verdict_is("k", false, COMPARE_UNKNOWN);
    ck_assert_int_eq(strncmp(told[0].result.side[1].error, "NOPERM", 6), 0);
    real_ask(&target, "ACL SETUSER default +dump -multi");
    verdict_is("k", true, COMPARE_UNKNOWN);
    ck_assert_int_eq(strncmp(told[0].result.side[1].error, "NOPERM", 6), 0);
    real_ask(&target, "ACL SETUSER default +multi -select");
    verdict_is("k", true, COMPARE_GONE); /* a connection begins in 0 */
    ck_assert_int_eq(compare_in(1, "k", true)->verdict, COMPARE_UNKNOWN);
    real_ask(&target, "ACL SETUSER default +select -time");
    verdict_is("k", true, COMPARE_UNKNOWN);
    verdict_is("k", false, is_old(&target) ? COMPARE_UNKNOWN : COMPARE_GONE);
    real_ask(&target, "ACL SETUSER default +time");
    verdict_is("k", true, COMPARE_GONE);
    real_ask(&source, "ACL SETUSER default -exists");
    forget();
    ck_assert_int_eq(comparer_exists(comparer, 0, BYTES("k"), 1), 0);
    comparer_flush(comparer);
    fake_until(&none, &answers, 1);
    ck_assert_int_eq(told[0].result.verdict, COMPARE_UNKNOWN);
    end();
}
END_TEST

/* Each key is answered once, by a result or as lost; and then it goes on. */
START_TEST(test_a_lost_side)
{
    begin();
    warm_up();
    for (int side = 0; side < 2; side++) {
        struct real *r = side ? &target : &source;
        forget();
        real_ask(r, "CLIENT PAUSE 50"); /* the other side has answered before */
        ask_for(60);
        fake_pass(&none, 20);
        ck_assert_uint_eq(answers, 0);
        conn_reset(comparer_conn(comparer, side), "for a test");
        fake_until(&none, &losses, 60);
        fake_until(&none, &ups, 1);
        ck_assert_uint_eq(answers, 0);
        ck_assert_uint_eq(losses, 60);
        ck_assert_uint_ge(downs, 1);
        verdict_is("k", true, COMPARE_GONE);
    }
    end();
}
END_TEST

START_TEST(test_another_server)
{
    char run_id[RUN_ID_MAX];

    begin();
    const char *address = address_of(&target);
    read_run_id(&target, run_id);
    comparer_approve(comparer, 1, address, run_id);
    verdict_is("k", false, COMPARE_GONE); /* the same one */
    forget();
    comparer_approve(comparer, 1, "redis://elsewhere:1", "another"); /* says nothing of it */
    verdict_is("k", false, COMPARE_GONE);
    forget();
    comparer_approve(comparer, 1, address, "another");
    fake_until(&none, &downs, 3);
    ck_assert(!comparer_is_up(comparer));
    comparer_approve(comparer, 1, address, run_id);
    fake_until(&none, &ups, 1);
    verdict_is("k", false, COMPARE_GONE);
    end();
}
END_TEST

START_TEST(test_freed_at_any_time)
{
    begin();
    warm_up();
    ask_for(60);
    fake_pass(&none, 0);
    ck_assert_int_eq(comparer_compare(comparer, 0, BYTES("gathered"), true, 0), 0);
    end();
}
END_TEST

/* Nothing is written, and nothing but what reads is asked for. */
START_TEST(test_leaves_no_trace)
{
    char before[64], after[64];

    begin();
    real_ask(&source, "SET k 1");
    snprintf(before, sizeof(before), "%.60s", strstr(real_ask(&source, "INFO persistence"), "rdb_changes"));
    verdict_is("k", true, COMPARE_MISSING);
    snprintf(after, sizeof(after), "%.60s", strstr(real_ask(&source, "INFO persistence"), "rdb_changes"));
    ck_assert_str_eq(before, after);
    end();
}
END_TEST

UNIT_MAIN("verify/compare", test_each_verdict, test_unlike_bytes_of_equal_values, test_what_is_told_of_a_side,
          test_databases, test_into_another_database, test_large_values, test_many, test_loose_types,
          test_existence, test_existence_of_many, test_a_forbidden_key, test_forbidden_commands,
          test_a_lost_side, test_another_server, test_freed_at_any_time, test_leaves_no_trace)
