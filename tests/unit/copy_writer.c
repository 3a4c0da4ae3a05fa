#include <errno.h>

#include "lib/copy/flights.h"
#include "lib/copy/writer.h"
#include "tests/unit/copy_kit.h"

#define OUT_HIGH (64 * KIB)

static struct fake target;
static struct writer *writer;
static size_t ups, downs;
static int refuse;  /* in `identified` */
static bool silent; /* the target answers no more */

static void on_answered(struct dirty_key *k, struct bytes error, uint64_t bytes, bool deleted, void *arg)
{
    char text[100];
    (void)arg;
    kit_tell("%s %s%s %llu %s", deleted ? "deleted" : "restored", kit_name(k), error.len ? "?" : "",
             (unsigned long long)bytes, bytes_escape(error, text, sizeof(text)));
}

static void on_lost(struct dirty_key *k, void *arg)
{
    (void)arg;
    kit_tell("lost %s", kit_name(k));
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    (void)c, (void)arg;
    ck_assert_str_eq(id->run_id, "aaaa");
    ck_assert_uint_eq(client_id, 7);
    *why = "a stranger";
    return refuse;
}

static void on_up(void *arg)
{
    (void)arg;
    ups++;
}

static void on_down(const char *why, bool was_up, void *arg)
{
    (void)arg;
    downs++;
    ck_assert_uint_eq(writer_outstanding(writer), 0);
    ck_assert_uint_eq(writer_outstanding_bytes(writer), 0);
    kit_tell("down%s: %s", was_up ? "" : " before up", why);
}

static void on_room(void *arg)
{
    (void)arg;
    kit_tell("room");
}

static void on_told(int what, size_t n, const int64_t *numbers, struct bytes error, void *arg)
{
    char text[100];
    (void)arg;
    kit_tell("told %d: %zu %lld %lld %s", what, n, n > 0 ? (long long)numbers[0] : -1,
             n > 1 ? (long long)numbers[1] : -1, bytes_escape(error, text, sizeof(text)));
}

static bool on_line(struct fake_client *k, const char *line)
{
    if (silent && strncmp(line, "RESTORE close", 13) == 0)
        fake_drop(k);
    return silent;
}

static void set_up_into(int db)
{
    static const struct writer_events events = {.answered = on_answered,
                                                .lost = on_lost,
                                                .told = on_told,
                                                .identified = on_identified,
                                                .up = on_up,
                                                .down = on_down,
                                                .room = on_room};
    const struct writer_options opt = {.target = &target.endpoint, .into_db = db, .out_high = OUT_HIGH};

    ups = downs = 0;
    refuse = 0;
    silent = false;
    fake_init(&target);
    target.hook = on_line;
    fake_rule(&target, "SELECT", "+OK\r\n");
    fake_rule(&target, "RESTORE", "+OK\r\n");
    fake_rule(&target, "UNLINK", ":1\r\n");
    fake_rule(&target, "CLIENT KILL", ":1\r\n");
    ck_assert_int_eq(writer_new(target.loop, &opt, &events, NULL, &writer), 0);
}

static void set_up(void)
{
    set_up_into(URL_DB_NONE);
    fake_until(&target, &ups, 1);
    ck_assert(writer_is_up(writer) && writer_is_fenced(writer) && !writer_is_full(writer));
    (void)fake_log(&target);
}

static void tear_down(void)
{
    writer = writer_free(writer);
    fake_done(&target);
    kit_end();
}

static void expect(const char *story)
{
    kit_expect(&target, story);
}

static void expect_log(const char *log)
{
    ck_assert_str_eq(fake_log(&target), log);
}

/* Asks for the database until it is there. */
static void select_db(int db)
{
    if (writer_db(writer, db) == WRITER_DB_READY) /* as 0 is at the begin */
        return;
    ck_assert_int_eq(writer_db(writer, db), WRITER_DB_ASKED);
    expect("room\n");
    ck_assert_int_eq(writer_db(writer, db), WRITER_DB_READY);
}

static void restore(int db, const char *name)
{
    ck_assert_int_eq(writer_restore(writer, kit_key(db, name), 0, BYTES("payload")), 0);
}

START_TEST(test_databases_are_asked_for)
{
    set_up();
    select_db(3);
    select_db(0);
    restore(0, "a");
    /* Nothing is sent behind a SELECT that is not answered. */
    ck_assert_int_eq(writer_restore(writer, kit_key(3, "b"), 0, BYTES("payload")), -EPERM);
    ck_assert_int_eq(writer_db(writer, 3), WRITER_DB_ASKED);
    ck_assert_int_eq(writer_restore(writer, kit_key(3, "b"), 0, BYTES("payload")), -EPERM);
    ck_assert_int_eq(writer_delete(writer, kit_key(0, "b")), -EPERM);
    ck_assert_int_eq(writer_db(writer, 0), WRITER_DB_ASKED);
    expect("restored a 7 \nroom\n");
    restore(3, "b");
    ck_assert_int_eq(writer_delete(writer, kit_key(3, "c")), 0);
    ck_assert_uint_eq(writer_outstanding(writer), 2);
    ck_assert_uint_eq(writer_outstanding_bytes(writer), 7);
    expect("restored b 7 \ndeleted c 1 \n");
    select_db(0);
    ck_assert_int_eq(writer_restore(writer, kit_key(0, "d"), 1700000000123, BYTES("pay")), 0);
    expect("restored d 3 \n");
    expect_log(
        "SELECT 3\nSELECT 0\nRESTORE a 0 payload REPLACE\nSELECT 3\nRESTORE b 0 payload REPLACE\nUNLINK c\n"
        "SELECT 0\nRESTORE d 1700000000123 pay REPLACE ABSTTL\n");
    ck_assert_uint_eq(writer_outstanding(writer) + writer_outstanding_bytes(writer), 0);
    tear_down();
}
END_TEST

/* No key goes into another database than its own, whatever SELECT is answered, and whenever. */
START_TEST(test_database_refused)
{
    static const char *const errors[] = {"ERR DB index is out of range", "NOPERM no right", "LOADING wait"};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        char reply[80];
        snprintf(reply, sizeof(reply), "-%s\r\n", errors[i]);
        set_up();
        select_db(20);
        select_db(0);
        fake_rule(&target, "SELECT 20", reply);
        ck_assert_int_eq(writer_db(writer, 20), WRITER_DB_ASKED);
        expect("room\n");
        ck_assert_int_eq(writer_db(writer, 20), WRITER_DB_REFUSED);
        ck_assert_int_eq(writer_db(writer, 20), WRITER_DB_REFUSED);
        ck_assert(bytes_is(writer_db_error(writer), errors[i]));
        ck_assert_int_eq(writer_restore(writer, kit_key(20, "a"), 0, BYTES("payload")), -EPERM);
        ck_assert_int_eq(writer_restore(writer, kit_key(0, "a"), 0, BYTES("payload")), -EPERM);
        writer_db_again(writer);
        fake_rule(&target, "SELECT 20", "+OK\r\n");
        select_db(20);
        restore(20, "b");
        expect("restored b 7 \n");
        ck_assert_uint_eq(downs, 0);
        tear_down();
    }
}
END_TEST

/* What was refused in one life of the connection is asked again in the next. */
START_TEST(test_databases_of_the_next_life)
{
    set_up();
    fake_rule(&target, "SELECT 20", "-ERR DB index is out of range\r\n");
    select_db(0);
    ck_assert_int_eq(writer_db(writer, 20), WRITER_DB_ASKED);
    expect("room\n");
    fake_rule(&target, "SELECT 20", "+OK\r\n");
    fake_drop(fake_last(&target));
    expect("down: closed by the server\n");
    ck_assert_int_eq(writer_db(writer, 20), WRITER_DB_ASKED); /* it is down: nothing is known */
    fake_until(&target, &ups, 2);
    ck_assert_int_eq(writer_restore(writer, kit_key(20, "a"), 0, BYTES("payload")), -EPERM);
    ck_assert_int_eq(writer_db(writer, 0), WRITER_DB_READY); /* as every connection begins */
    select_db(20);
    select_db(0);
    tear_down();
}
END_TEST

START_TEST(test_into_one_database)
{
    set_up_into(9);
    fake_until(&target, &ups, 1);
    (void)fake_log(&target);
    select_db(0);
    ck_assert_int_eq(writer_db(writer, 9), WRITER_DB_READY);
    ck_assert_int_eq(writer_db(writer, 4), WRITER_DB_READY);
    restore(0, "a");
    restore(4, "b");
    expect("restored a 7 \nrestored b 7 \n");
    expect_log("SELECT 9\nRESTORE a 0 payload REPLACE\nRESTORE b 0 payload REPLACE\n");
    tear_down();
}
END_TEST

/* R7: nothing else than OK, or a number for UNLINK, is applied. */
START_TEST(test_answers)
{
    set_up();
    select_db(0);
    fake_rule(&target, "RESTORE a", "-OOM command not allowed\r\n");
    fake_rule(&target, "RESTORE b", ":1\r\n");
    fake_rule(&target, "RESTORE c", "-\r\n");
    fake_rule(&target, "RESTORE d", "$2\r\nOK\r\n");
    fake_rule(&target, "UNLINK e", "-READONLY x\r\n");
    fake_rule(&target, "UNLINK f", "+OK\r\n");
    fake_rule(&target, "UNLINK g", ":0\r\n");
    fake_rule(&target, "UNLINK h", "$-1\r\n");
    for (const char *name = "abcd"; *name; name++)
        restore(0, (const char[]){*name, '\0'});
    for (const char *name = "efgh"; *name; name++)
        ck_assert_int_eq(writer_delete(writer, kit_key(0, (const char[]){*name, '\0'})), 0);
    expect(
        "restored a? 7 OOM command not allowed\nrestored b? 7 ERR not the expected reply\n"
        "restored c? 7 ERR\nrestored d? 7 ERR not the expected reply\ndeleted e? 0 READONLY x\n"
        "deleted f? 0 ERR not the expected reply\ndeleted g 0 \ndeleted h? 0 ERR not the expected reply\n");
    ck_assert_uint_eq(downs, 0);
    tear_down();
}
END_TEST

/* A string goes by SET, and where it is there meanwhile, that is told as RESTORE tells it. */
START_TEST(test_strings)
{
    static const uint8_t theres[] = {THERE_UNASKED, THERE_NOTHING};

    set_up();
    fake_rule(&target, "SET", "+OK\r\n");
    fake_rule(&target, "SET c", "$-1\r\n");
    for (size_t i = 0; i < ARRAY_LEN(theres); i++) {
        for (int64_t expire_at_ms = 0; expire_at_ms < 18; expire_at_ms += 17) {
            struct dirty_key *k = kit_key(0, "a"), *parts = kit_key(0, "b");
            k->way = parts->way = WAY_STRING;
            k->there = parts->there = theres[i];
            ck_assert_int_eq(writer_restore(writer, k, expire_at_ms, BYTES("string")), 0);
            ck_assert_int_eq(writer_restore_begin(writer, parts, expire_at_ms, 6), 0);
            ck_assert_int_eq(writer_restore_part(writer, BYTES("stri")), 0);
            ck_assert_int_eq(writer_restore_part(writer, BYTES("ng")), 0);
            expect("restored a 6 \nrestored b 6 \n");
        }
    }
    struct dirty_key *busy = kit_key(0, "c");
    busy->way = WAY_STRING;
    ck_assert_int_eq(writer_restore(writer, busy, 0, BYTES("")), 0);
    expect("restored c? 0 BUSYKEY the target has a key of that name\n");
    expect_log(
        "SET a string\nSET b string\nSET a string PXAT 17\nSET b string PXAT 17\n"
        "SET a string NX\nSET b string NX\nSET a string NX PXAT 17\nSET b string NX PXAT 17\nSET c \n");
    tear_down();
}
END_TEST

static void set_up_alone(void)
{
    set_up_into(URL_DB_NONE);
    fake_bulk(&target, "INFO server",
              "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:aaaa\r\n");
    fake_rule(&target, "SET", "+OK\r\n");
    fake_rule(&target, "MSET", "+OK\r\n");
    fake_until(&target, &ups, 1);
    (void)fake_log(&target);
}

static void set_string(const char *name, int64_t expire_at_ms)
{
    struct dirty_key *k = kit_key(0, name);
    k->way = WAY_STRING;
    ck_assert_int_eq(writer_restore(writer, k, expire_at_ms, bytes_str(name)), 0);
}

/* What expires goes by itself, and may go ahead of them; what comes behind does not. */
START_TEST(test_strings_together)
{
    const struct bytes wait[] = {BYTES("WAIT"), BYTES("1")};

    set_up_alone();
    set_string("a", 0);
    set_string("b", 5);
    set_string("c", 0);
    ck_assert_uint_eq(writer_outstanding(writer), 3);
    ck_assert_uint_eq(writer_outstanding_bytes(writer), 3);
    ck_assert(!writer_is_idle(writer));
    fake_rule(&target, "WAIT", ":1\r\n");
    ck_assert_int_eq(writer_ask(writer, 7, ARRAY_LEN(wait), wait), 0);
    set_string("d", 0);
    expect("restored b 1 \nrestored a 1 \nrestored c 1 \ntold 7: 1 1 -1 \nrestored d 1 \n");
    expect_log("SET b b PXAT 5\nMSET a a c c\nWAIT 1\nSET d d\n");
    ck_assert(writer_is_idle(writer));
    tear_down();
}
END_TEST

/* All of them are answered so, and then each goes by itself. */
START_TEST(test_strings_together_refused)
{
    set_up_alone();
    fake_rule(&target, "MSET", "-OOM no\r\n");
    set_string("a", 0);
    set_string("b", 0);
    expect("restored a? 1 OOM no\nrestored b? 1 OOM no\n");
    (void)fake_log(&target);
    set_string("c", 0);
    set_string("d", 0);
    expect("restored c 1 \nrestored d 1 \n");
    expect_log("SET c c\nSET d d\n");
    tear_down();
}
END_TEST

START_TEST(test_strings_together_lost)
{
    set_up_alone();
    target.hook = on_line;
    silent = true;
    set_string("a", 0);
    set_string("b", 0);
    fake_pass(&target, 5);
    expect_log("MSET a a b b\n");
    set_string("c", 0);
    set_string("d", 0);
    writer_break(writer, "enough");
    expect("lost a\nlost b\nlost c\nlost d\ndown: enough\n");
    tear_down();
}
END_TEST

START_TEST(test_answers_byte_by_byte)
{
    set_up();
    target.dripping = true;
    select_db(0);
    fake_rule(&target, "RESTORE b", "-ERR Bad data format\r\n");
    restore(0, "a");
    restore(0, "b");
    ck_assert_int_eq(writer_delete(writer, kit_key(0, "c")), 0);
    expect("restored a 7 \nrestored b? 7 ERR Bad data format\ndeleted c 1 \n");
    tear_down();
}
END_TEST

START_TEST(test_not_understood)
{
    static const char *const answers[] = {"*1\r\n+OK\r\n", "?\r\n", "+OK\r\n+OK\r\n+OK\r\n", "$100000\r\nx"};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        set_up();
        select_db(0);
        fake_rule(&target, "RESTORE", answers[i]);
        restore(0, "a");
        expect(i == 2 ? "restored a 7 \ndown: a reply is not understood\n"
                      : "lost a\ndown: a reply is not understood\n");
        tear_down();
    }
    set_up();
    fake_rule(&target, "SELECT", ":1\r\n");
    ck_assert_int_eq(writer_db(writer, 1), WRITER_DB_ASKED);
    expect("down: a reply is not understood\n");
    tear_down();
}
END_TEST

/* Asked behind what was written. */

static int ask(int what, const char *word)
{
    const struct bytes argv[] = {bytes_str(word), BYTES("1")};
    return writer_ask(writer, what, ARRAY_LEN(argv), argv);
}

START_TEST(test_asked)
{
    for (unsigned drips = 0; drips < 2; drips++) {
        set_up();
        target.dripping = drips;
        select_db(0);
        (void)fake_log(&target);
        ck_assert(writer_is_idle(writer));
        fake_rule(&target, "WAIT 1", ":3\r\n");
        fake_rule(&target, "WAITAOF 1", "*2\r\n:1\r\n:-5\r\n");
        fake_rule(&target, "EMPTY 1", "*0\r\n");
        fake_rule(&target, "NO 1", "-ERR no\r\n");
        restore(0, "a");
        ck_assert_int_eq(ask(1, "WAIT"), 0);
        ck_assert_int_eq(ask(2, "WAITAOF"), 0);
        restore(0, "b");
        ck_assert_int_eq(ask(3, "EMPTY"), 0);
        ck_assert_int_eq(ask(4, "NO"), 0);
        ck_assert(!writer_is_idle(writer));
        ck_assert_uint_eq(writer_outstanding(writer), 2);
        expect("restored a 7 \ntold 1: 1 3 -1 \ntold 2: 2 1 -5 \nrestored b 7 \ntold 3: 0 -1 -1 \n"
               "told 4: 0 -1 -1 ERR no\n");
        ck_assert(writer_is_idle(writer));
        expect_log("RESTORE a 0 payload REPLACE\nWAIT 1\nWAITAOF 1\nRESTORE b 0 payload REPLACE\nEMPTY 1\n"
                   "NO 1\n");
        tear_down();
    }
}
END_TEST

START_TEST(test_asked_in_vain)
{
    static const char *const answers[] = {"+OK\r\n", "*3\r\n:1\r\n:1\r\n:1\r\n", "*2\r\n:1\r\n$1\r\n1\r\n",
                                          "*2\r\n*2\r\n:1\r\n:1\r\n:1\r\n", "$-1\r\n"};
    set_up();
    silent = true;
    ck_assert_int_eq(ask(1, "WAIT"), 0);
    fake_pass(&target, 20);
    fake_drop(fake_last(&target));
    expect("down: closed by the server\n");
    ck_assert_int_eq(ask(1, "WAIT"), -ENOTCONN);
    ck_assert(!writer_is_idle(writer));
    tear_down();
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        set_up();
        fake_rule(&target, "WAIT", answers[i]);
        ck_assert_int_eq(ask(1, "WAIT"), 0);
        expect("down: a reply is not understood\n");
        tear_down();
    }
}
END_TEST

/* In parts. */

static void begin(const char *name, int64_t expire_at_ms, uint64_t length)
{
    ck_assert_int_eq(writer_restore_begin(writer, kit_key(0, name), expire_at_ms, length), 0);
}

static void part(const char *bytes)
{
    ck_assert_int_eq(writer_restore_part(writer, bytes_str(bytes)), 0);
}

START_TEST(test_in_parts)
{
    set_up();
    select_db(0);
    (void)fake_log(&target);
    begin("a", 0, 6);
    part("abc");
    fake_pass(&target, 5);
    ck_assert_int_eq(writer_delete(writer, kit_key(0, "x")), -ENOBUFS);
    ck_assert_int_eq(writer_restore(writer, kit_key(0, "x"), 0, BYTES("x")), -ENOBUFS);
    ck_assert_int_eq(writer_restore_begin(writer, kit_key(0, "x"), 0, 1), -ENOBUFS);
    ck_assert_int_eq(writer_db(writer, 1), WRITER_DB_ASKED); /* not now */
    ck_assert_uint_eq(writer_outstanding(writer), 1);
    ck_assert_uint_eq(writer_outstanding_bytes(writer), 6);
    kit_nothing(&target, 10);
    part("de");
    part("f");
    begin("b", 77, 1);
    part("x");
    restore(0, "c");
    expect("restored a 6 \nrestored b 1 \nrestored c 7 \n");
    expect_log("RESTORE a 0 abcdef REPLACE\nRESTORE b 77 x REPLACE ABSTTL\nRESTORE c 0 payload REPLACE\n");
    select_db(1);
    tear_down();
}
END_TEST

START_TEST(test_broken_in_parts)
{
    set_up();
    select_db(0);
    fake_rule(&target, "RESTORE", FAKE_SILENCE);
    restore(0, "a");
    begin("b", 0, 1000);
    part("abc");
    fake_pass(&target, 10);
    (void)fake_log(&target);
    writer_break(writer, "the source was lost");
    ck_assert(!writer_is_up(writer));
    ck_assert_uint_eq(kit.lines, 0); /* never from inside a call */
    ck_assert_int_eq(writer_restore_part(writer, BYTES("def")), -ENOTCONN);
    ck_assert_int_eq(writer_restore(writer, kit_key(0, "x"), 0, BYTES("x")), -ENOTCONN);
    ck_assert_int_eq(writer_delete(writer, kit_key(0, "x")), -ENOTCONN);
    expect("lost a\nlost b\ndown: the source was lost\n");
    fake_until(&target, &ups, 2);
    /* R2: the former connection is dead before the new one is up. */
    ck_assert(writer_is_fenced(writer));
    ck_assert_ptr_nonnull(strstr(fake_log(&target), "CLIENT KILL ID 7\n"));
    fake_rule(&target, "RESTORE", "+OK\r\n");
    select_db(0);
    restore(0, "c");
    expect("restored c 7 \n");
    expect_log("RESTORE c 0 payload REPLACE\n");
    tear_down();
}
END_TEST

/* The target answers what has not been sent in full. */
START_TEST(test_answered_before_the_end)
{
    set_up();
    select_db(0);
    fake_rule(&target, "RESTORE a", FAKE_SILENCE);
    restore(0, "a");
    begin("b", 0, 1000);
    fake_pass(&target, 10);
    fake_send(fake_last(&target), "+OK\r\n");
    expect("restored a 7 \n");
    fake_send(fake_last(&target), "-ERR Protocol error: invalid bulk length\r\n");
    expect("lost b\ndown: a reply is not understood\n");
    tear_down();
}
END_TEST

/* Losses. */

START_TEST(test_lost_in_order)
{
    set_up();
    select_db(1);
    silent = true;
    restore(1, "a");
    restore(1, "b");
    ck_assert_int_eq(writer_delete(writer, kit_key(1, "c")), 0);
    restore(1, "d");
    restore(1, "close");
    expect("lost a\nlost b\nlost c\nlost d\nlost close\ndown: closed by the server\n");
    tear_down();
}
END_TEST

START_TEST(test_lost_before_confirmed)
{
    set_up();
    fake_rule(&target, "SELECT", FAKE_CLOSE);
    ck_assert_int_eq(writer_db(writer, 1), WRITER_DB_ASKED);
    expect("down: closed by the server\n");
    tear_down();
}
END_TEST

START_TEST(test_no_answer)
{
    set_up();
    target.endpoint.timeout_ms = 200;
    select_db(0);
    kit_nothing(&target, 300);
    fake_rule(&target, "RESTORE", FAKE_SILENCE);
    restore(0, "a");
    expect("lost a\ndown: no answer for 200ms\n");
    tear_down();
}
END_TEST

/* Neither KILL nor LIST is allowed: the owner is told that it must wait. */
START_TEST(test_not_fenced)
{
    set_up();
    fake_rule(&target, "CLIENT KILL", "-NOPERM x\r\n");
    fake_rule(&target, "CLIENT LIST", "-NOPERM x\r\n");
    fake_drop(fake_last(&target));
    expect("down: closed by the server\n");
    fake_until(&target, &ups, 2);
    ck_assert(!writer_is_fenced(writer));
    tear_down();
}
END_TEST

START_TEST(test_stranger)
{
    set_up_into(URL_DB_NONE);
    refuse = -EPERM;
    expect("down before up: a stranger\n");
    ck_assert(!writer_is_up(writer));
    ck_assert_int_eq(writer_db(writer, 0), WRITER_DB_ASKED);
    ck_assert_int_eq(writer_delete(writer, kit_key(0, "a")), -ENOTCONN);
    refuse = 0;
    fake_until(&target, &ups, 1);
    tear_down();
}
END_TEST

/* Room. */

START_TEST(test_full_and_room_again)
{
    static char payload[16 * KIB];
    size_t n = 0;

    set_up();
    select_db(0);
    target.deaf = true;
    do {
        for (; !writer_is_full(writer); n++)
            ck_assert_int_eq(writer_restore(writer, kit_key(0, "a"), 0, bytes_of(payload, sizeof(payload))),
                             0);
        fake_pass(&target, 10); /* what the kernel takes */
    } while (!writer_is_full(writer));
    ck_assert_uint_eq(writer_outstanding(writer), n);
    ck_assert_uint_eq(writer_outstanding_bytes(writer), n * sizeof(payload));
    kit_forget();
    kit_nothing(&target, 10);
    /* It is advice: what has to be written still can be. */
    ck_assert_int_eq(writer_delete(writer, kit_key(0, "b")), 0);
    target.deaf = false;
    silent = true;
    ck_assert_int_eq(io_want(fake_last(&target)->io, IO_READ), 0);
    expect("room\n");
    ck_assert(!writer_is_full(writer));
    tear_down();
}
END_TEST

/* Beyond all: refused whole, and what stands in the buffer stays as it is. */
START_TEST(test_no_room_at_all)
{
    static char payload[MIB / 2];
    unsigned n = 0;
    int err = 0;

    set_up();
    select_db(0);
    for (; n < 10 && !err; n++)
        err = writer_restore(writer, kit_key(0, "a"), 0, bytes_of(payload, sizeof(payload)));
    ck_assert_int_eq(err, -ENOBUFS);
    ck_assert_uint_eq(writer_outstanding(writer), n - 1);
    while (kit.lines < n - 1)
        fake_pass(&target, 1);
    fake_pass(&target, 10);
    ck_assert_uint_eq(writer_outstanding(writer), 0);
    ck_assert_uint_eq(downs, 0);
    tear_down();
}
END_TEST

START_TEST(test_ring_is_full)
{
    size_t n = 0;
    int err;

    set_up();
    select_db(0);
    silent = true;
    for (; (err = writer_delete(writer, kit_key(0, "k"))) == 0; n++)
        if (n % 100 == 0)
            fake_pass(&target, 1);
    ck_assert_int_eq(err, -ENOBUFS);
    ck_assert_uint_gt(n, COPY_WINDOW);
    ck_assert_int_eq(writer_db(writer, 2), WRITER_DB_ASKED);
    ck_assert_uint_eq(writer_outstanding(writer), n);
    tear_down();
}
END_TEST

UNIT_MAIN("copy/writer", test_databases_are_asked_for, test_database_refused, test_databases_of_the_next_life,
          test_into_one_database, test_answers, test_strings, test_strings_together,
          test_strings_together_refused, test_strings_together_lost, test_answers_byte_by_byte,
          test_not_understood, test_asked, test_asked_in_vain, test_in_parts, test_broken_in_parts,
          test_answered_before_the_end, test_lost_in_order, test_lost_before_confirmed, test_no_answer,
          test_not_fenced, test_stranger, test_full_and_room_again, test_no_room_at_all, test_ring_is_full)
