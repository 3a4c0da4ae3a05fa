#include "tests/unit/copy_reader_kit.h"

/* The three ways to ask. */

START_TEST(test_plain)
{
    set_up_plain();
    fake_rule(&source, "DUMP a", "$3\r\nxyz\r\n");
    fake_rule(&source, "PEXPIRETIME b", ":1700000000123\r\n");
    fake_rule(&source, "DUMP b", "$0\r\n\r\n");
    fake_rule(&source, "PEXPIRETIME c", ":-2\r\n");
    read_key(0, "a");
    read_key(0, "b");
    read_key(3, "c");
    read_key(3, "d");
    read_key(0, "e");
    ck_assert_uint_eq(reader_outstanding(reader), 5);
    expect("value a 0 xyz\nvalue b 1700000000123 \ngone c\ngone d\ngone e\n");
    ck_assert_str_eq(fake_log(&source), "PEXPIRETIME a\nDUMP a\nPEXPIRETIME b\nDUMP b\n"
                                        "SELECT 3\nPEXPIRETIME c\nDUMP c\nPEXPIRETIME d\nDUMP d\n"
                                        "SELECT 0\nPEXPIRETIME e\nDUMP e\n");
    tear_down();
}
END_TEST

START_TEST(test_multi)
{
    set_up_multi();
    fake_rule(&source, "EXEC", "*2\r\n:17\r\n$3\r\nxyz\r\n");
    read_key(1, "a");
    expect("value a 17 xyz\n");
    ck_assert_str_eq(fake_log(&source), "SELECT 1\nMULTI\nPEXPIRETIME a\nDUMP a\nEXEC\n");
    fake_rule(&source, "EXEC", "*2\r\n:-2\r\n$-1\r\n");
    read_key(1, "b");
    read_key(1, "c");
    expect("gone b\ngone c\n");
    tear_down();
}
END_TEST

START_TEST(test_old)
{
    set_up_old();
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$10\r\n1700000000\r\n$6\r\n123999\r\n:1000\r\n*2\r\n$10\r\n1700000000\r\n$"
              "6\r\n123999\r\n$3\r\nxyz\r\n");
    read_key(1, "a");
    expect("value a 1700000001123 xyz\n");
    ck_assert_str_eq(fake_log(&source), "SELECT 1\nMULTI\nTIME\nPTTL a\nTIME\nDUMP a\nEXEC\n");
    /* In its last millisecond: 0 is not "never". */
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n:0\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n$"
              "1\r\nx\r\n");
    read_key(1, "b");
    expect("value b 1700000000000 x\n");
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n:-1\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n$"
              "1\r\nx\r\n");
    read_key(1, "c");
    expect("value c 0 x\n");
    fake_rule(
        &source, "EXEC",
        "*4\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n:-2\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n$-1\r\n");
    read_key(1, "d");
    expect("gone d\n");
    /* The end of time, and TIME was read a moment later. */
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n:9223372036854775807\r\n*2\r\n$"
              "10\r\n1700000000\r\n$1\r\n0\r\n$1\r\nx\r\n");
    read_key(1, "e");
    expect("value e 9223372036854775807 x\n");
    /* The server was held up before PTTL by more than can be told: read again. Without an expiry it does not
     * matter. */
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$1\r\n1\r\n$1\r\n0\r\n:5\r\n*2\r\n$1\r\n1\r\n$4\r\n3000\r\n$1\r\nx\r\n");
    read_key(1, "f");
    expect("lost f\n");
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$1\r\n1\r\n$1\r\n0\r\n:-1\r\n*2\r\n$1\r\n1\r\n$4\r\n3000\r\n$1\r\nx\r\n");
    read_key(1, "g");
    expect("value g 0 x\n");
    tear_down();
}
END_TEST

/* By GET, beside others by DUMP. What is no string says so, wherever it stands. */
START_TEST(test_strings)
{
    static void (*const set_ups[])(void) = {set_up_plain, set_up_multi, set_up_old};
    static const char *const asked[] = {
        "PEXPIRETIME a\nGET a\nPEXPIRETIME b\nDUMP b\nPEXPIRETIME c\nGET c\nPEXPIRETIME d\nGET d\n",
        "MULTI\nPEXPIRETIME a\nGET a\nEXEC\n",
        "MULTI\nTIME\nPTTL a\nTIME\nGET a\nEXEC\n",
    };
    static const char *const execs[] = {
        NULL, "*2\r\n:5\r\n-WRONGTYPE it is\r\n",
        "*4\r\n*2\r\n$1\r\n1\r\n$1\r\n0\r\n:-1\r\n*2\r\n$1\r\n1\r\n$1\r\n0\r\n-WRONGTYPE it is\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(set_ups); i++) {
        set_ups[i]();
        fake_rule(&source, "GET", i ? "+QUEUED\r\n" : "$-1\r\n");
        fake_rule(&source, "EXEC", execs[i]);
        if (!i) {
            fake_rule(&source, "GET a", "-WRONGTYPE it is\r\n");
            fake_rule(&source, "PEXPIRETIME c", ":5\r\n");
            fake_rule(&source, "GET c", "$2\r\n\r\n\r\n");
        }
        for (const char *name = "abcd"; *name && (!i || *name == 'a'); name++) {
            struct dirty_key *k = kit_key(0, (const char[]){*name, '\0'});
            k->way = *name == 'b' ? WAY_NO_STRING : WAY_STRING;
            ck_assert_int_eq(reader_read(reader, k), 0);
        }
        expect(i ? "failed a WRONGTYPE it is\n"
                 : "failed a WRONGTYPE it is\ngone b\nvalue c 5 \\r\\n\ngone d\n");
        ck_assert_str_eq(fake_log(&source), asked[i]);
        tear_down();
    }
}
END_TEST

static void read_strings(const char *names)
{
    for (; *names; names++) {
        struct dirty_key *k = kit_key(0, (const char[]){*names, '\0'});
        k->way = WAY_STRING;
        ck_assert_int_eq(reader_read(reader, k), 0);
    }
}

START_TEST(test_strings_together)
{
    for (int dripping = 0; dripping < 2; dripping++) {
        set_up(false, ALONE_INFO);
        source.dripping = dripping;
        fake_rule(&source, "PEXPIRETIME b", ":5\r\n");
        fake_rule(&source, "PEXPIRETIME c", ":-2\r\n");
        fake_rule(&source, "PEXPIRETIME e", "-NOPERM no\r\n");
        fake_rule(&source, "MGET", "*6\r\n$1\r\n1\r\n$0\r\n\r\n$-1\r\n$-1\r\n$1\r\n5\r\n$1\r\n6\r\n");
        fake_rule(&source, "GET", "$1\r\n7\r\n");
        read_strings("abcdef");
        ck_assert_uint_eq(reader_outstanding(reader), 6);
        expect("value a 0 1\nvalue b 5 \ngone c\nfailed d WRONGTYPE no string\nfailed e NOPERM no\nvalue f 0 "
               "6\n");
        ck_assert_str_eq(fake_log(&source),
                         "PEXPIRETIME a\nPEXPIRETIME b\nPEXPIRETIME c\nPEXPIRETIME d\nPEXPIRETIME e\n"
                         "PEXPIRETIME f\nMGET a b c d e f\n");
        ck_assert_uint_eq(reader_outstanding(reader), 0);
        read_strings("g"); /* one is none */
        expect("value g 0 7\n");
        ck_assert_str_eq(fake_log(&source), "PEXPIRETIME g\nGET g\n");
        tear_down();
    }
}
END_TEST

/* What was gathered is of the database that it was gathered in. */
START_TEST(test_strings_together_of_each_database)
{
    set_up(false, ALONE_INFO);
    fake_rule(&source, "MGET a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    fake_rule(&source, "GET", "$1\r\n3\r\n");
    read_strings("ab");
    struct dirty_key *k = kit_key(3, "c");
    k->way = WAY_STRING;
    ck_assert_int_eq(reader_read(reader, k), 0);
    expect("value a 0 1\nvalue b 0 2\nvalue c 0 3\n");
    ck_assert_str_eq(fake_log(&source),
                     "PEXPIRETIME a\nPEXPIRETIME b\nMGET a b\nSELECT 3\nPEXPIRETIME c\nGET c\n");
    tear_down();
}
END_TEST

/* Each is to be read again, and goes by itself then. */
START_TEST(test_strings_together_refused)
{
    set_up(false, ALONE_INFO);
    fake_rule(&source, "MGET", "-NOPERM this user has no permissions to run the 'mget' command\r\n");
    fake_rule(&source, "GET", "$1\r\n3\r\n");
    read_strings("ab");
    expect("lost a\nlost b\n");
    (void)fake_log(&source);
    read_strings("ab");
    expect("value a 0 3\nvalue b 0 3\n");
    ck_assert_uint_eq(fake_count(&source, "MGET"), 0);
    tear_down();
}
END_TEST

START_TEST(test_strings_together_not_understood)
{
    static const char *const answers[] = {"+OK\r\n", "*1\r\n$-1\r\n", "*3\r\n$-1\r\n$-1\r\n$-1\r\n",
                                          "*-1\r\n", "$-1\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        set_up(false, ALONE_INFO);
        fake_rule(&source, "MGET", answers[i]);
        read_strings("ab");
        expect("lost a\nlost b\ndown: a reply is not understood\n");
        tear_down();
    }
    set_up(false, ALONE_INFO);
    read_strings("ab");
    reader_reset(reader, "enough");
    expect("lost a\nlost b\ndown: enough\n"); /* before they were asked for */
    tear_down();
}
END_TEST

/* A server that does not say its version is asked as the oldest. */
START_TEST(test_unknown_version)
{
    set_up(false, "# Server\r\nrun_id:aaaa\r\n");
    fake_rule(&source, "DUMP", "+QUEUED\r\n");
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$1\r\n1\r\n$1\r\n0\r\n:-1\r\n*2\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\nx\r\n");
    read_key(0, "a");
    expect("value a 0 x\n");
    tear_down();
}
END_TEST

START_TEST(test_byte_by_byte)
{
    static void (*const set_ups[])(void) = {set_up_plain, set_up_multi, set_up_old};
    static const char *const execs[] = {
        "-ERR EXEC without MULTI\r\n", "*2\r\n:5\r\n$3\r\nabc\r\n",
        "*4\r\n*2\r\n$1\r\n1\r\n$4\r\n5000\r\n:1000\r\n*2\r\n$1\r\n1\r\n$4\r\n5000\r\n$3\r\nabc\r\n"};
    static const char *const stories[] = {"value a 5 abc\ngone b\n", "value a 5 abc\nvalue b 5 abc\n",
                                          "value a 2005 abc\nvalue b 2005 abc\n"};
    for (size_t i = 0; i < ARRAY_LEN(set_ups); i++) {
        set_ups[i]();
        fake_rule(&source, "EXEC", execs[i]);
        if (i == 0) {
            fake_rule(&source, "PEXPIRETIME a", ":5\r\n");
            fake_rule(&source, "DUMP a", "$3\r\nabc\r\n");
        }
        source.dripping = true;
        read_key(2, "a");
        read_key(3, "b");
        expect(stories[i]);
        tear_down();
    }
}
END_TEST

/* Errors, at each step. */

START_TEST(test_errors_plain)
{
    set_up_plain();
    fake_rule(&source, "DUMP", "$1\r\nx\r\n");
    fake_rule(&source, "PEXPIRETIME a", "-LOADING it is\r\n");
    fake_rule(&source, "DUMP a", "-LOADING still\r\n");
    fake_rule(&source, "PEXPIRETIME b", "-NOPERM expiry\r\n");
    fake_rule(&source, "DUMP c", "-NOPERM value\r\n");
    fake_rule(&source, "PEXPIRETIME d", "-\r\n");
    fake_rule(&source, "PEXPIRETIME e", "-NOPERM no value either\r\n");
    fake_rule(&source, "DUMP e", "$-1\r\n");
    for (const char *name = "abcdef"; *name; name++)
        read_key(0, (const char[]){*name, '\0'});
    expect("failed a LOADING it is\nfailed b NOPERM expiry\nfailed c NOPERM value\nfailed d ERR\n"
           "failed e NOPERM no value either\nvalue f 0 x\n");
    ck_assert_uint_eq(downs, 0);
    tear_down();
}
END_TEST

START_TEST(test_errors_multi)
{
    set_up_multi();
    fake_rule(&source, "PEXPIRETIME a", "-NOPERM expiry\r\n");
    fake_rule(&source, "EXEC", "-EXECABORT Transaction discarded\r\n");
    read_key(0, "a");
    read_key(0, "b");
    expect("failed a NOPERM expiry\nfailed b EXECABORT Transaction discarded\n");
    fake_rule(&source, "EXEC", "*-1\r\n");
    read_key(0, "c");
    expect("failed c EXECABORT no reply to EXEC\n");
    fake_rule(&source, "EXEC", "*2\r\n-LOADING x\r\n$1\r\nx\r\n");
    read_key(0, "d");
    expect("failed d LOADING x\n");
    fake_rule(&source, "EXEC", "*2\r\n:-1\r\n-OOM x\r\n");
    read_key(0, "e");
    expect("failed e OOM x\n");
    fake_rule(&source, "EXEC", "*2\r\n:-1\r\n$1\r\nx\r\n");
    read_key(0, "f");
    expect("value f 0 x\n");
    ck_assert_uint_eq(downs, 0);
    tear_down();
}
END_TEST

START_TEST(test_errors_old)
{
    set_up_old();
    fake_rule(&source, "TIME", "-NOPERM time\r\n");
    fake_rule(&source, "EXEC", "-EXECABORT Transaction discarded\r\n");
    read_key(0, "a");
    expect("failed a NOPERM time\n");
    fake_rule(&source, "TIME", "+QUEUED\r\n");
    fake_rule(&source, "EXEC", "*4\r\n-ERR no clock\r\n:5\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\nx\r\n");
    read_key(0, "b");
    expect("failed b ERR no clock\n");
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n-ERR no ttl\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\nx\r\n");
    read_key(0, "c");
    expect("failed c ERR no ttl\n");
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n:5\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n-ERR no value\r\n");
    read_key(0, "d");
    expect("failed d ERR no value\n");
    ck_assert_uint_eq(downs, 0);
    tear_down();
}
END_TEST

/* Without MULTI its commands are run one by one, and answered in full. */
START_TEST(test_multi_refused)
{
    char *value = kit_long_bulk(50000, 50000);

    set_up(true, FAKE_INFO);
    fake_rule(&source, "MULTI", "-NOPERM multi\r\n");
    fake_rule(&source, "DUMP b", value);
    fake_rule(&source, "EXEC", "-ERR EXEC without MULTI\r\n");
    read_key(0, "a");
    read_key(0, "b");
    read_key(0, "c");
    expect("failed a NOPERM multi\nfailed b NOPERM multi\nfailed c NOPERM multi\n");
    tear_down();

    set_up(false, OLD_INFO);
    fake_rule(&source, "MULTI", "-NOPERM multi\r\n");
    fake_rule(&source, "TIME", "*2\r\n$1\r\n1\r\n$1\r\n1\r\n");
    fake_rule(&source, "PTTL", ":-1\r\n");
    fake_rule(&source, "DUMP b", value);
    fake_rule(&source, "EXEC", "-ERR EXEC without MULTI\r\n");
    read_key(0, "a");
    read_key(0, "b");
    expect("failed a NOPERM multi\nfailed b NOPERM multi\n");
    ck_assert_uint_eq(downs, 0);
    free(value);
    tear_down();
}
END_TEST

/* What follows a SELECT that was refused is of another database: none of it may be taken for the key's. */
START_TEST(test_select_refused)
{
    char *value = kit_long_bulk(50000, 50000);

    set_up_plain();
    fake_rule(&source, "DUMP", "$1\r\nx\r\n");
    fake_rule(&source, "DUMP long", value);
    fake_rule(&source, "SELECT 5", "-NOPERM select\r\n");
    read_key(0, "a");
    read_key(5, "b");
    read_key(5, "long");
    read_key(0, "c");
    expect("value a 0 x\nfailed b TRYAGAIN SELECT was refused: NOPERM select\n"
           "failed long TRYAGAIN SELECT was refused: NOPERM select\nvalue c 0 x\n");
    (void)fake_log(&source);
    read_key(0, "d"); /* is it still in database 0? it is asked for again */
    read_key(5, "e");
    expect("value d 0 x\nfailed e TRYAGAIN SELECT was refused: NOPERM select\n");
    ck_assert_str_eq(fake_log(&source), "SELECT 0\nPEXPIRETIME d\nDUMP d\nSELECT 5\nPEXPIRETIME e\nDUMP e\n");
    fake_rule(&source, "SELECT 5", "+OK\r\n");
    read_key(5, "f");
    expect("value f 0 x\n");
    free(value);
    tear_down();
}
END_TEST

/* The target has more databases than the source: there is no key in those. */
START_TEST(test_no_such_database)
{
    char *value = kit_long_bulk(50000, 50000);

    set_up_plain();
    fake_rule(&source, "DUMP", "$1\r\nx\r\n");
    fake_rule(&source, "DUMP b", value);
    fake_rule(&source, "PEXPIRETIME c", "-LOADING x\r\n");
    fake_rule(&source, "SELECT 20", "-ERR DB index is out of range\r\n");
    read_key(20, "a");
    read_key(20, "b");
    read_key(20, "c");
    read_key(0, "d");
    expect("gone a\ngone b\ngone c\nvalue d 0 x\n");
    free(value);
    tear_down();
}
END_TEST

/* Streams of replies that cannot be: the connection is given up, and nobody got another's value. */
START_TEST(test_not_understood)
{
    static const struct {
        void (*set_up)(void);
        const char *begins, *answer;
    } cases[] = {
        {set_up_plain, "PEXPIRETIME", "+OK\r\n"},
        {set_up_plain, "PEXPIRETIME", "*2\r\n:1\r\n:2\r\n"},
        {set_up_plain, "PEXPIRETIME", "$2\r\n-1\r\n"},
        {set_up_plain, "DUMP", ":1\r\n"},
        {set_up_plain, "DUMP", "+OK\r\n"},
        {set_up_plain, "DUMP", "*1\r\n$1\r\nx\r\n"},
        {set_up_plain, "DUMP", "?\r\n"},
        {set_up_plain, "SELECT", ":1\r\n"},
        {set_up_plain, "SELECT", "*0\r\n"},
        {set_up_multi, "MULTI", ":1\r\n"},
        {set_up_multi, "DUMP", "$1\r\nx\r\n"},
        {set_up_multi, "EXEC", "+OK\r\n"},
        {set_up_multi, "EXEC", "*0\r\n"},
        {set_up_multi, "EXEC", "*1\r\n:1\r\n"},
        {set_up_multi, "EXEC", "*3\r\n:1\r\n$1\r\nx\r\n:1\r\n"},
        {set_up_old, "EXEC", "*2\r\n:1\r\n$1\r\nx\r\n"},
        {set_up_old, "EXEC", "*4\r\n:1\r\n:1\r\n$1\r\nx\r\n"},
        {set_up_old, "EXEC", "*4\r\n*1\r\n$1\r\n1\r\n:1\r\n$1\r\nx\r\n"},
        {set_up_old, "EXEC", "*4\r\n*2\r\n$1\r\nx\r\n$1\r\n1\r\n:1\r\n$1\r\nx\r\n"},
        {set_up_old, "EXEC", "*4\r\n*2\r\n$2\r\n-1\r\n$1\r\n1\r\n:1\r\n$1\r\nx\r\n"},
        {set_up_old, "EXEC",
         "*4\r\n*2\r\n$19\r\n9223372036854775807\r\n$1\r\n1\r\n:1\r\n*2\r\n$19\r\n9223372036854775807\r\n$"
         "1\r\n1\r\n$1\r\nx\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cases[i].set_up();
        fake_rule(&source, cases[i].begins, cases[i].answer);
        read_key(1, "a");
        read_key(1, "b");
        expect("lost a\nlost b\ndown: a reply is not understood\n");
        tear_down();
    }
}
END_TEST

START_TEST(test_nobody_asked)
{
    set_up_plain();
    fake_send(fake_last(&source), "+OK\r\n");
    expect("down: a reply is not understood\n");
    fake_until(&source, &ups, 2);
    tear_down();
}
END_TEST

/* At the node that a slot moves to: ASKING lets through one command, or one transaction. */
START_TEST(test_asking)
{
    asking = true;
    set_up_plain();
    fake_rule(&source, "DUMP a", "$3\r\nxyz\r\n");
    fake_rule(&source, "DUMP c", "-MOVED 3 127.0.0.1:1\r\n");
    struct dirty_key *string = kit_key(0, "a"); /* by DUMP all the same, and it is told */
    string->way = WAY_STRING;
    ck_assert_int_eq(reader_read(reader, string), 0);
    ck_assert_int_eq(string->way, WAY_DUMP);
    read_key(0, "b");
    read_key(0, "c");
    expect("value a 0 xyz\ngone b\nfailed c MOVED 3 127.0.0.1:1\n");
    ck_assert_str_eq(fake_log(&source), "ASKING\nPEXPIRETIME a\nASKING\nDUMP a\nASKING\nPEXPIRETIME b\n"
                                        "ASKING\nDUMP b\nASKING\nPEXPIRETIME c\nASKING\nDUMP c\n");
    fake_rule(&source, "ASKING", "-ERR This instance has cluster support disabled\r\n");
    read_key(0, "d");
    expect("failed d ERR This instance has cluster support disabled\n");
    tear_down();

    set_up_multi();
    fake_rule(&source, "EXEC", "*2\r\n:17\r\n$3\r\nxyz\r\n");
    read_key(0, "a");
    expect("value a 17 xyz\n");
    ck_assert_str_eq(fake_log(&source), "ASKING\nMULTI\nPEXPIRETIME a\nDUMP a\nEXEC\n");
    tear_down();

    set_up_old();
    fake_rule(&source, "EXEC",
              "*4\r\n*2\r\n$1\r\n1\r\n$1\r\n0\r\n:-1\r\n*2\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\nx\r\n");
    read_key(0, "a");
    expect("value a 0 x\n");
    ck_assert_str_eq(fake_log(&source), "ASKING\nMULTI\nTIME\nPTTL a\nTIME\nDUMP a\nEXEC\n");
    tear_down();
    asking = false;
}
END_TEST

/* What a redirect inside MULTI makes of EXEC says less than the redirect. */
START_TEST(test_redirected_inside_multi)
{
    static void (*const set_ups[])(void) = {set_up_multi, set_up_old};

    for (size_t i = 0; i < ARRAY_LEN(set_ups); i++) {
        set_ups[i]();
        fake_rule(&source, i ? "PTTL a" : "PEXPIRETIME a", "-ASK 3 127.0.0.1:1\r\n");
        fake_rule(&source, "DUMP", "-MOVED 3 127.0.0.1:1\r\n");
        fake_rule(&source, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
        read_key(0, "a");
        read_key(0, "b");
        expect("failed a ASK 3 127.0.0.1:1\nfailed b MOVED 3 127.0.0.1:1\n");
        tear_down();
    }
}
END_TEST

UNIT_MAIN("copy/reader", test_plain, test_multi, test_old, test_strings, test_strings_together,
          test_strings_together_of_each_database, test_strings_together_refused,
          test_strings_together_not_understood, test_unknown_version, test_byte_by_byte, test_errors_plain,
          test_errors_multi, test_errors_old, test_multi_refused, test_select_refused, test_no_such_database,
          test_not_understood, test_nobody_asked, test_asking, test_redirected_inside_multi)
