#include <errno.h>

#include "lib/verify/compare.h"
#include "tests/unit/redis_fake.h"

/* Two scripted servers: what real ones do not do, or not when a test wants it. One key at a time. */

#define OLD_INFO "# Server\r\nredis_version:6.2.14\r\nrun_id:aaaa\r\n"

static struct fake fakes[2];
static struct comparer *comparer;
static struct compare_result result;
static size_t ups, downs, answers, losses;
static enum compare_loss loss; /* the last one */
static char why[160];
static bool loose;
static const char *dumped; /* what EXEC comes to, once DUMP was asked for */
static bool held;          /* the target's EXEC is not answered */

static void on_up(void *arg)
{
    (void)arg;
    ups++;
}

static void on_down(int side, const char *text, void *arg)
{
    (void)side, (void)arg;
    downs++;
    snprintf(why, sizeof(why), "%s", text);
}

static void on_result(int db, struct bytes key, uint64_t tag, const struct compare_result *r, void *arg)
{
    (void)db, (void)key, (void)tag, (void)arg;
    result = *r;
    answers++;
}

static void on_lost(int db, struct bytes key, uint64_t tag, enum compare_loss reason, void *arg)
{
    (void)db, (void)key, (void)tag, (void)arg;
    loss = reason;
    losses++;
}

static void rule_both(const char *begins, const char *answer)
{
    fake_rule(&fakes[0], begins, answer);
    fake_rule(&fakes[1], begins, answer);
}

static bool on_line(struct fake_client *k, const char *line)
{
    (void)k;
    if (dumped && strncmp(line, "DUMP", 4) == 0) {
        rule_both("EXEC", dumped);
        dumped = NULL;
    }
    return held && strncmp(line, "EXEC", 4) == 0;
}

static void make(void)
{
    static const struct compare_events events = {
        .up = on_up, .down = on_down, .result = on_result, .lost = on_lost};
    struct compare_options options = {.source = &fakes[0].endpoint,
                                      .target = &fakes[1].endpoint,
                                      .into_db = URL_DB_NONE,
                                      .ttl_tolerance_ms = 5,
                                      .role = "verify",
                                      .loose = loose};

    ck_assert_int_eq(comparer_new(fakes[0].loop, &options, &events, NULL, &comparer), 0);
    for (int side = 0; side < 2; side++) {
        struct endpoint e = {0};
        ck_assert_int_eq(endpoint_node(&fakes[side].endpoint, NULL, 0, &e), 0);
        comparer_approve(comparer, side, e.url.text, "aaaa");
        endpoint_node_clear(&e);
    }
}

static void begin(const char *info)
{
    ups = downs = answers = losses = 0;
    held = false;
    fake_init(&fakes[0]);
    fake_init_in(&fakes[1], fakes[0].loop, "-target");
    fake_bulk(&fakes[0], "INFO server", info);
    fake_bulk(&fakes[1], "INFO server", info);
    fakes[1].hook = on_line;
    rule_both("SELECT", "+OK\r\n");
    rule_both("MULTI", "+OK\r\n");
    rule_both("PEXPIRETIME", "+QUEUED\r\n");
    rule_both("PTTL", "+QUEUED\r\n");
    rule_both("TIME", "+QUEUED\r\n");
    rule_both("DUMP", "+QUEUED\r\n");
    rule_both("EXEC", "*2\r\n:-2\r\n$-1\r\n");
    make();
    fake_until(&fakes[0], &ups, 1);
    (void)fake_log(&fakes[0]);
    (void)fake_log(&fakes[1]);
}

static void end(void)
{
    comparer = comparer_free(comparer);
    fake_done(&fakes[1]);
    fake_done(&fakes[0]);
}

static void ask(bool deep)
{
    answers = losses = 0;
    ck_assert_int_eq(comparer_compare(comparer, 1, BYTES("k"), deep, 0), 0);
    comparer_flush(comparer);
}

static void verdict_is(bool deep, enum compare_verdict v)
{
    ask(deep);
    fake_until(&fakes[0], &answers, 1);
    ck_assert_msg(result.verdict == v, "%s, not %s", compare_verdict_name(result.verdict),
                  compare_verdict_name(v));
    ck_assert_uint_eq(losses, 0);
}

static void is_lost(enum compare_loss reason)
{
    size_t before = ups, down = downs;
    ask(false);
    fake_until(&fakes[0], &losses, 1);
    ck_assert_uint_eq(answers, 0);
    ck_assert_int_eq(loss, reason);
    if (downs > down)
        fake_until(&fakes[0], &ups, before + 1);
}

START_TEST(test_what_is_asked)
{
    begin(FAKE_INFO);
    verdict_is(false, COMPARE_GONE);
    ck_assert_str_eq(fake_log(&fakes[0]), "SELECT 1\nMULTI\nPEXPIRETIME k\nDUMP k\nEXEC\n");
    rule_both("EXEC", "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n7\r\n:-2\r\n$-1\r\n");
    verdict_is(true, COMPARE_GONE);
    ck_assert_str_eq(fake_log(&fakes[0]), "SELECT 1\nMULTI\nTIME\nPEXPIRETIME k\nDUMP k\nEXEC\n");
    end();
}
END_TEST

static void begin_loose(const char *info)
{
    loose = true;
    begin(info);
    rule_both("PEXPIRETIME", ":7\r\n");
    rule_both("MGET", "*1\r\n$5\r\nhello\r\n");
    rule_both("DUMP", "$20\r\n0123456789abcdefghij\r\n");
}

START_TEST(test_loose)
{
    begin_loose(FAKE_INFO);
    verdict_is(false, COMPARE_EQUAL);
    ck_assert_str_eq(fake_log(&fakes[1]), "SELECT 1\nPEXPIRETIME k\nMGET k\n");
    ck_assert_int_eq(result.side[0].type, RDB_STRING);
    ck_assert_uint_eq(result.side[0].bytes, 5);
    fake_rule(&fakes[1], "PEXPIRETIME", ":-1\r\n");
    verdict_is(false, COMPARE_TTL);
    fake_rule(&fakes[1], "MGET", "*1\r\n$5\r\nhellO\r\n");
    verdict_is(false, COMPARE_UNLIKE);
    /* Gone, as both say. */
    fake_rule(&fakes[1], "MGET", "*1\r\n$-1\r\n");
    fake_rule(&fakes[1], "PEXPIRETIME", ":-2\r\n");
    verdict_is(false, COMPARE_MISSING);
    ck_assert_uint_eq(fake_count(&fakes[1], "DUMP"), 0);
    /* There, and no string: both are asked for what it is. */
    fake_rule(&fakes[1], "PEXPIRETIME", ":7\r\n");
    (void)fake_log(&fakes[0]);
    verdict_is(false, COMPARE_EQUAL);
    ck_assert_str_eq(fake_log(&fakes[0]),
                     "SELECT 1\nPEXPIRETIME k\nMGET k\nSELECT 1\nPEXPIRETIME k\nDUMP k\n");
    rule_both("PEXPIRETIME", "+QUEUED\r\n");
    rule_both("DUMP", "+QUEUED\r\n");
    rule_both("EXEC", "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n7\r\n:-2\r\n$-1\r\n");
    verdict_is(true, COMPARE_GONE);
    ck_assert_str_eq(fake_log(&fakes[0]), "SELECT 1\nMULTI\nTIME\nPEXPIRETIME k\nDUMP k\nEXEC\n");
    end();
}
END_TEST

/* TTL and clock are of one time. */
START_TEST(test_loose_old_servers)
{
    begin_loose(OLD_INFO);
    rule_both("MGET", "+QUEUED\r\n");
    rule_both("EXEC", "*4\r\n*2\r\n$1\r\n5\r\n$4\r\n7000\r\n:0\r\n"
                      "*2\r\n$1\r\n5\r\n$4\r\n7900\r\n*1\r\n$5\r\nhello\r\n");
    verdict_is(false, COMPARE_EQUAL);
    ck_assert_str_eq(fake_log(&fakes[0]), "SELECT 1\nMULTI\nTIME\nPTTL k\nTIME\nMGET k\nEXEC\n");
    ck_assert_int_eq(result.side[0].expire_at_ms, 5007);
    end();
}
END_TEST

START_TEST(test_loose_byte_by_byte)
{
    begin_loose(FAKE_INFO);
    fakes[0].dripping = fakes[1].dripping = true;
    verdict_is(false, COMPARE_EQUAL);
    ck_assert_uint_eq(result.side[1].bytes, 5);
    end();
}
END_TEST

/* By DUMP from then on. */
START_TEST(test_strings_refused)
{
    for (int old = 0; old < 2; old++) {
        begin_loose(old ? OLD_INFO : FAKE_INFO);
        fakes[0].hook = on_line;
        if (old) {
            dumped = "*4\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:0\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n"
                     "$20\r\n0123456789abcdefghij\r\n";
            rule_both("PEXPIRETIME", "+QUEUED\r\n");
            rule_both("DUMP", "+QUEUED\r\n");
            rule_both("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
        }
        rule_both("MGET", "-NOPERM this user has no permissions to run the 'mget' command\r\n");
        verdict_is(false, COMPARE_EQUAL);
        ck_assert_uint_eq(fake_count(&fakes[0], "MGET"), 1);
        verdict_is(false, COMPARE_EQUAL);
        ck_assert_uint_eq(fake_count(&fakes[0], "MGET"), 0);
        end();
    }
}
END_TEST

START_TEST(test_strings_not_understood)
{
    static const char *const answers_to_mget[] = {
        "+OK\r\n",      "$5\r\nhello\r\n",     "*0\r\n", "*2\r\n$-1\r\n$-1\r\n",
        "*1\r\n:1\r\n", "*1\r\n*1\r\n$-1\r\n", "*-1\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(answers_to_mget); i++) {
        begin_loose(FAKE_INFO);
        fake_rule(&fakes[i % 2], "MGET", answers_to_mget[i]);
        is_lost(COMPARE_LOST);
        fake_rule(&fakes[i % 2], "MGET", "*1\r\n$5\r\nhello\r\n");
        verdict_is(false, COMPARE_EQUAL);
        fake_rule(&fakes[i % 2], "MGET", "-LOADING Redis is loading the dataset in memory\r\n");
        is_lost(COMPARE_LOST);
        end();
    }
}
END_TEST

START_TEST(test_old_servers)
{
    begin(OLD_INFO);
    rule_both("EXEC",
              "*4\r\n*2\r\n$1\r\n5\r\n$4\r\n7000\r\n:0\r\n*2\r\n$1\r\n5\r\n$4\r\n7900\r\n$5\r\nhello\r\n");
    verdict_is(false, COMPARE_EQUAL);
    ck_assert_str_eq(fake_log(&fakes[0]), "SELECT 1\nMULTI\nTIME\nPTTL k\nTIME\nDUMP k\nEXEC\n");
    /* In its last millisecond, and not for ever. */
    ck_assert_int_eq(result.side[0].expire_at_ms, 5007);
    fake_rule(&fakes[1], "EXEC",
              "*4\r\n*2\r\n$1\r\n5\r\n$4\r\n7000\r\n:-1\r\n*2\r\n$1\r\n5\r\n$4\r\n7900\r\n$5\r\nhello\r\n");
    verdict_is(false, COMPARE_TTL);
    ck_assert_int_eq(result.side[1].expire_at_ms, 0);
    end();
}
END_TEST

/* The server was held up between clock and TTL: read again, and not believed. */
START_TEST(test_torn)
{
    begin(OLD_INFO);
    rule_both("EXEC",
              "*4\r\n*2\r\n$1\r\n5\r\n$4\r\n7000\r\n:9\r\n*2\r\n$1\r\n5\r\n$5\r\n11000\r\n$5\r\nhello\r\n");
    ask(false);
    fake_until(&fakes[0], &losses, 1);
    ck_assert_uint_eq(answers, 0);
    ck_assert_uint_gt(fake_count(&fakes[0], "PTTL k"), 5);
    ck_assert(comparer_is_up(comparer));
    rule_both("EXEC",
              "*4\r\n*2\r\n$1\r\n5\r\n$4\r\n7000\r\n:-1\r\n*2\r\n$1\r\n5\r\n$5\r\n11000\r\n$5\r\nhello\r\n");
    verdict_is(false, COMPARE_EQUAL); /* it does not expire */
    end();
}
END_TEST

START_TEST(test_byte_by_byte)
{
    begin(FAKE_INFO);
    fakes[0].dripping = fakes[1].dripping = true;
    rule_both("EXEC", "*2\r\n:7\r\n$20\r\n0123456789abcdefghij\r\n");
    verdict_is(false, COMPARE_EQUAL);
    ck_assert_int_eq(result.side[1].expire_at_ms, 7);
    ck_assert_uint_eq(result.side[1].bytes, 20);
    end();
}
END_TEST

/* The connection is given up, the key is told as lost, and the next one is read. */
START_TEST(test_not_understood)
{
    static const char *const answers_to_exec[] = {
        "+OK\r\n",
        ":2\r\n",
        "*1\r\n:-1\r\n",
        "*3\r\n:-1\r\n$-1\r\n$-1\r\n",
        "*2\r\n$-1\r\n$-1\r\n",
        "*2\r\n:-1\r\n:-1\r\n",
        "*2\r\n:-1\r\n*1\r\n$1\r\nx\r\n",
        "*2\r\n+x\r\n$-1\r\n",
        "*2\r\n:-1\r\n$-2\r\n",
        "*2147483647\r\n",
        "$99999999999999999999\r\n",
        "hello\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(answers_to_exec); i++) {
        begin(FAKE_INFO);
        fake_rule(&fakes[i % 2], "EXEC", answers_to_exec[i]);
        is_lost(COMPARE_LOST);
        fake_rule(&fakes[i % 2], "EXEC", "*2\r\n:-2\r\n$-1\r\n");
        verdict_is(false, COMPARE_GONE);
        end();
    }
}
END_TEST

START_TEST(test_a_strange_clock)
{
    static const char *const clocks[] = {"*2\r\n$1\r\nx\r\n$1\r\n0\r\n", "*2\r\n$2\r\n-1\r\n$1\r\n0\r\n",
                                         "*2\r\n$19\r\n9223372036854775807\r\n$1\r\n0\r\n",
                                         "*1\r\n$1\r\n5\r\n", ":5\r\n"};
    char exec[160];

    for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
        begin(FAKE_INFO);
        snprintf(exec, sizeof(exec), "*3\r\n%s:-2\r\n$-1\r\n", clocks[i]);
        fake_rule(&fakes[1], "EXEC", exec);
        fake_rule(&fakes[0], "EXEC", "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:-2\r\n$-1\r\n");
        ask(true);
        fake_until(&fakes[0], &losses, 1);
        ck_assert_uint_eq(answers, 0);
        end();
    }
}
END_TEST

START_TEST(test_nobody_asked)
{
    begin(FAKE_INFO);
    fake_send(fake_last(&fakes[1]), "+OK\r\n");
    fake_until(&fakes[0], &downs, 1);
    fake_until(&fakes[0], &ups, 2);
    verdict_is(false, COMPARE_GONE);
    end();
}
END_TEST

START_TEST(test_refusals_that_pass)
{
    static const char *const commands[] = {"SELECT", "MULTI", "PEXPIRETIME", "DUMP", "EXEC"};

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        begin(FAKE_INFO);
        fake_rule(&fakes[0], commands[i], "-LOADING Redis is loading the dataset in memory\r\n");
        if (i < 4)
            fake_rule(&fakes[0], "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
        is_lost(COMPARE_LOST);
        ck_assert_uint_eq(downs, 0);
        end();
    }
}
END_TEST

START_TEST(test_refusals_that_stay)
{
    static const char *const commands[] = {"SELECT", "MULTI", "PEXPIRETIME", "DUMP", "EXEC"};

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        begin(FAKE_INFO);
        fake_rule(&fakes[0], commands[i], "-NOPERM \x01 no\r\n");
        if (i < 4)
            fake_rule(&fakes[0], "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
        verdict_is(false, COMPARE_UNKNOWN);
        ck_assert_str_eq(result.side[0].error, "NOPERM \\x01 no");
        ck_assert_str_eq(result.side[1].error, "");
        end();
    }
}
END_TEST

START_TEST(test_refused_inside)
{
    begin(FAKE_INFO);
    fake_rule(&fakes[1], "EXEC", "*2\r\n:-2\r\n-ERR broken\r\n");
    verdict_is(false, COMPARE_UNKNOWN);
    ck_assert_str_eq(result.side[1].error, "ERR broken");
    fake_rule(&fakes[1], "EXEC", "*2\r\n-ERR broken\r\n$20\r\n0123456789abcdefghij\r\n");
    fake_rule(&fakes[0], "EXEC", "*2\r\n:-1\r\n$20\r\n0123456789abcdefghij\r\n");
    verdict_is(false, COMPARE_UNKNOWN);
    fake_rule(&fakes[1], "EXEC", "*2\r\n:-2\r\n-TRYAGAIN later\r\n");
    is_lost(COMPARE_MOVING);
    fake_rule(&fakes[1], "EXEC", "*-1\r\n");
    verdict_is(false, COMPARE_UNKNOWN);
    end();
}
END_TEST

/* Bytes that are no value: equal if they are the same, else nobody knows. */
START_TEST(test_undecodable)
{
    begin(FAKE_INFO);
    rule_both("EXEC", "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:-1\r\n$20\r\n\x05garbage\x05garbage1234\r\n");
    verdict_is(true, COMPARE_EQUAL);
    fake_rule(&fakes[1], "EXEC",
              "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:-1\r\n$20\r\n\x05garbage\x05garbagX1234\r\n");
    verdict_is(true, COMPARE_EQUAL); /* what differs is the footer */
    fake_rule(&fakes[1], "EXEC",
              "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:-1\r\n$20\r\n\x05garXage\x05garbage1234\r\n");
    verdict_is(true, COMPARE_UNKNOWN);
    ck_assert_str_ne(result.side[0].error, "");
    fake_rule(&fakes[1], "EXEC", "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:-1\r\n$0\r\n\r\n");
    verdict_is(true, COMPARE_UNKNOWN);
    end();
}
END_TEST

/* Both are judged at the later of the two clocks: the one that is first waits. */
START_TEST(test_one_time_for_both)
{
    begin(FAKE_INFO);
    fake_rule(&fakes[0], "EXEC",
              "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:5900\r\n$20\r\n0123456789abcdefghij\r\n");
    held = true;
    ask(true);
    fake_pass(&fakes[0], 50);
    ck_assert_uint_eq(answers, 0);
    fake_send(fake_last(&fakes[1]), "*3\r\n*2\r\n$1\r\n5\r\n$6\r\n900000\r\n:-2\r\n$-1\r\n");
    fake_until(&fakes[0], &answers, 1);
    ck_assert_int_eq(result.verdict, COMPARE_GONE); /* it has expired by the target's clock */
    held = false;
    fake_rule(&fakes[1], "EXEC", "*3\r\n*2\r\n$1\r\n5\r\n$6\r\n800000\r\n:-2\r\n$-1\r\n");
    verdict_is(true, COMPARE_MISSING); /* not yet */
    end();
}
END_TEST

/* A hash whose field f expires at 5500 ms, and one without it. */
#define WITH_FIELD                                                                                           \
    "\x18\x7c\x15\0\0\0\0\0\0\x02\x01\x01"                                                                   \
    "f\x01v\0\x01g\x01w\x0c\0\0\0\0\0\0\0\0\0"
#define WITHOUT_FIELD                                                                                        \
    "\x04\x01\x01"                                                                                           \
    "g\x01w\x0c\0\0\0\0\0\0\0\0\0"

static void answer_hash(int side, unsigned second, struct bytes payload)
{
    struct fake_client *k = fake_last(&fakes[side]);

    ck_assert_int_eq(
        buf_printf(&k->out, "*3\r\n*2\r\n$1\r\n%u\r\n$1\r\n0\r\n:-1\r\n$%zu\r\n", second, payload.len), 0);
    ck_assert_int_eq(buf_append(&k->out, payload.ptr, payload.len), 0);
    fake_send(k, "\r\n");
}

START_TEST(test_fields_that_expire)
{
    for (int first_side = 0; first_side < 2; first_side++)
        for (unsigned second = 5; second < 7; second++) {
            begin(FAKE_INFO);
            fakes[0].hook = on_line;
            held = true;
            ask(true);
            fake_pass(&fakes[0], 20);
            for (int i = 0; i < 2; i++) {
                if (i == first_side)
                    answer_hash(0, 5, BYTES(WITH_FIELD));
                else
                    answer_hash(1, second, BYTES(WITHOUT_FIELD));
                fake_pass(&fakes[0], 20);
            }
            ck_assert_uint_eq(answers, 1);
            ck_assert_str_eq(result.side[0].error, "");
            ck_assert_int_eq(result.verdict, second == 5 ? COMPARE_VALUE : COMPARE_EQUAL);
            end();
        }
}
END_TEST

START_TEST(test_lost_while_the_other_waits)
{
    begin(FAKE_INFO);
    fake_rule(&fakes[0], "EXEC",
              "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:5900\r\n$20\r\n0123456789abcdefghij\r\n");
    fake_rule(&fakes[1], "EXEC", "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:-2\r\n$-1\r\n");
    held = true;
    ask(true);
    fake_pass(&fakes[0], 20);
    fake_drop(fake_last(&fakes[1]));
    fake_until(&fakes[0], &losses, 1);
    fake_until(&fakes[0], &ups, 2);
    held = false;
    verdict_is(true, COMPARE_MISSING);
    /* The target refuses as a whole, and tells no time. */
    fake_rule(&fakes[1], "MULTI", "-NOPERM no\r\n");
    verdict_is(true, COMPARE_UNKNOWN);
    end();
}
END_TEST

/* A value breaks off in the middle. */
START_TEST(test_a_broken_value)
{
    begin(FAKE_INFO);
    fake_rule(&fakes[0], "EXEC", "*2\r\n:-1\r\n$100000\r\nabc");
    ask(false);
    fake_pass(&fakes[0], 20);
    fake_drop(fake_last(&fakes[0]));
    fake_until(&fakes[0], &losses, 1);
    fake_rule(&fakes[0], "EXEC", "*2\r\n:-2\r\n$-1\r\n");
    fake_until(&fakes[0], &ups, 2);
    verdict_is(false, COMPARE_GONE);
    end();
}
END_TEST

START_TEST(test_existence_not_understood)
{
    static const char *const answers_to_exists[] = {"+OK\r\n", "$-1\r\n", "*1\r\n:1\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(answers_to_exists); i++) {
        begin(FAKE_INFO);
        fake_rule(&fakes[0], "EXISTS", answers_to_exists[i]);
        for (int n = 1; n < 3; n++) {
            size_t before = ups;
            losses = 0;
            for (int j = 0; j < n; j++)
                ck_assert_int_eq(comparer_exists(comparer, 0, BYTES("k"), 0), 0);
            comparer_flush(comparer);
            fake_until(&fakes[0], &losses, (size_t)n);
            fake_until(&fakes[0], &ups, before + 1);
        }
        end();
    }
}
END_TEST

/* Silence is a loss after the time-out; waiting for the other side is not. */
START_TEST(test_silence)
{
    begin(FAKE_INFO);
    comparer = comparer_free(comparer);
    fakes[0].endpoint.timeout_ms = fakes[1].endpoint.timeout_ms = 100;
    make();
    fake_until(&fakes[0], &ups, 2);
    rule_both("EXEC", "*3\r\n*2\r\n$1\r\n5\r\n$1\r\n0\r\n:-2\r\n$-1\r\n");
    held = true;
    ask(true);
    fake_until(&fakes[0], &losses, 1);
    ck_assert_str_eq(why, "no answer for 100ms");
    end();
}
END_TEST

UNIT_MAIN("verify/side", test_what_is_asked, test_loose, test_loose_old_servers, test_loose_byte_by_byte,
          test_strings_refused, test_strings_not_understood, test_old_servers, test_torn, test_byte_by_byte,
          test_not_understood, test_a_strange_clock, test_nobody_asked, test_refusals_that_pass,
          test_refusals_that_stay, test_refused_inside, test_undecodable, test_one_time_for_both,
          test_fields_that_expire, test_lost_while_the_other_waits, test_a_broken_value,
          test_existence_not_understood, test_silence)
