#include <errno.h>

#include "lib/copy/streams.h"
#include "tests/unit/copy_kit.h"
#include "tests/unit/copy_server.h"

static struct fake source; /* and the loop, for the real one too */
static struct real real;
static struct streams *streams;
static size_t identified, compared, all; /* all: `changed` told, be it in the story or not */
static bool quiet;

static void on_changed(int db, struct bytes key, void *arg)
{
    (void)arg;
    all++;
    if (!quiet)
        kit_tell("%d %.*s", db, (int)key.len, key.ptr);
}

static void on_compared(void *arg)
{
    (void)arg;
    compared++;
    if (!quiet)
        kit_tell("compared");
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    (void)c, (void)id, (void)client_id, (void)why, (void)arg;
    identified++;
    return 0;
}

static void begin(const struct endpoint *e, size_t budget)
{
    static const struct streams_events events = {
        .changed = on_changed, .compared = on_compared, .identified = on_identified};
    identified = compared = all = 0;
    quiet = false;
    ck_assert_int_eq(streams_new(source.loop, e, (struct hash_seed){1, 2}, budget, &events, NULL, &streams),
                     0);
}

static void set_up_with(size_t budget)
{
    fake_init(&source);
    fake_rule(&source, "SELECT", "+OK\r\n");
    fake_rule(&source, "XINFO GROUPS", "*0\r\n");
    begin(&source.endpoint, budget);
}

static void set_up(void)
{
    set_up_with(MIB);
    fake_until(&source, &identified, 1);
    fake_pass(&source, 10);
    (void)fake_log(&source);
}

static void tear_down(void)
{
    streams = streams_free(streams);
    fake_done(&source);
    kit_end();
}

static void note(int db, const char *name)
{
    streams_note(streams, db, bytes_str(name));
}

static void forget(int db, const char *name)
{
    streams_forget(streams, db, bytes_str(name));
}

static void expect(const char *story)
{
    kit_expect(&source, story);
}

/* The names. */

START_TEST(test_types)
{
    static const unsigned char types[] = {15, 19, 21, 26, 27};
    for (unsigned type = 0; type < 256; type++) {
        char payload = (char)type;
        bool is = streams_is_type(bytes_of(&payload, 1));
        bool wanted = memchr(types, (int)type, sizeof(types)) != NULL;
        ck_assert_msg(is == wanted, "type %u", type);
    }
    ck_assert(!streams_is_type((struct bytes){0}));
}
END_TEST

START_TEST(test_noted_and_forgotten)
{
    set_up();
    forget(0, "never");
    note(0, "a");
    note(0, "a");
    note(1, "a");
    note(0, "b");
    ck_assert_uint_eq(streams_count(streams), 3);
    forget(0, "a");
    forget(0, "a");
    forget(7, "a");
    ck_assert_uint_eq(streams_count(streams), 2);
    streams_mark_all(streams);
    expect("1 a\n0 b\n");
    note(0, "a");
    ck_assert_uint_eq(streams_count(streams), 3);
    streams_mark_all(streams);
    expect("0 a\n1 a\n0 b\n");
    ck_assert(streams_complete(streams));
    tear_down();
}
END_TEST

START_TEST(test_budget)
{
    char name[32];
    unsigned n = 0;

    set_up_with(64 * KIB);
    quiet = true;
    for (; streams_complete(streams); n++) {
        snprintf(name, sizeof(name), "stream:%u", n);
        note(0, name);
        ck_assert_uint_lt(n, 10000);
    }
    ck_assert_uint_gt(n, 100);
    ck_assert_uint_eq(streams_count(streams), n - 1);
    streams_mark_all(streams);
    ck_assert_uint_eq(all, n - 1); /* what is kept is still of use while live */
    note(0, "stream:1");
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "stream:%u", i);
        forget(0, name);
    }
    ck_assert_uint_eq(streams_count(streams), 0);
    ck_assert(!streams_complete(streams)); /* one is missing, and which is not known */
    tear_down();
}
END_TEST

/* They come and go, for ever, and no group is ever used. */
START_TEST(test_passing_streams_need_no_room)
{
    char name[32];

    set_up_with(64 * KIB);
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(name, sizeof(name), "stream:%u", i);
        note(0, name);
        if (i >= 100) {
            snprintf(name, sizeof(name), "stream:%u", i - 100);
            forget(0, name);
        }
    }
    ck_assert(streams_complete(streams));
    ck_assert_uint_eq(streams_count(streams), 100);
    quiet = true;
    streams_mark_all(streams);
    ck_assert_uint_eq(all, 100);
    tear_down();
}
END_TEST

/* Comparisons. */

#define GROUPS(one, two)                                                                                     \
    "*2\r\n*4\r\n$4\r\nname\r\n$2\r\n" one "\r\n$7\r\npending\r\n:0\r\n*4\r\n$4\r\nname\r\n$2\r\n" two       \
    "\r\n$7\r\npending\r\n:0\r\n"

START_TEST(test_asked_for)
{
    set_up();
    fake_rule(&source, "XINFO GROUPS b", GROUPS("g1", "g2"));
    fake_rule(&source, "XINFO CONSUMERS b", "*1\r\n*2\r\n$4\r\nname\r\n$1\r\nc\r\n");
    note(0, "a");
    note(3, "b");
    note(0, "c");
    streams_compare(streams);
    expect("0 a\n3 b\n0 c\ncompared\n"); /* at the first look each is new */
    ck_assert_str_eq(fake_log(&source), "XINFO GROUPS a\nSELECT 3\nXINFO GROUPS b\n"
                                        "XINFO CONSUMERS b g1\nXINFO CONSUMERS b g2\nSELECT 0\n"
                                        "XINFO GROUPS c\n");
    tear_down();
}
END_TEST

START_TEST(test_nothing_to_compare)
{
    set_up();
    streams_compare(streams);
    expect("compared\n");
    note(0, "a");
    streams_compare(streams); /* not again within 5 s, however often it is asked for */
    streams_compare(streams);
    kit_nothing(&source, 300);
    tear_down();
}
END_TEST

START_TEST(test_many_streams)
{
    char name[32];

    set_up();
    quiet = true;
    fake_rule(&source, "XINFO GROUPS", GROUPS("g1", "g2"));
    fake_rule(&source, "XINFO CONSUMERS", "*0\r\n");
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        note(i % 100 / 50, name);
    }
    for (int i = 100; i < 150; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        forget(i % 100 / 50, name);
    }
    source.dripping = true;
    streams_compare(streams);
    fake_until(&source, &compared, 1);
    ck_assert_uint_eq(all, 450);
    tear_down();
}
END_TEST

/* Gone, of another type by now, or no right to ask: told, so that it is copied as it is. */
START_TEST(test_errors)
{
    set_up();
    fake_rule(&source, "XINFO GROUPS a", "-ERR no such key\r\n");
    fake_rule(&source, "XINFO GROUPS b", GROUPS("g1", "g2"));
    fake_rule(&source, "XINFO CONSUMERS b g1", "-NOGROUP x\r\n");
    fake_rule(&source, "XINFO CONSUMERS b g2", ":1\r\n");
    fake_rule(&source, "XINFO GROUPS c", "+OK\r\n");
    fake_rule(&source, "XINFO GROUPS d", "*3\r\n:1\r\n*0\r\n*2\r\n$4\r\nname\r\n*0\r\n");
    note(0, "a");
    note(0, "b");
    note(0, "c");
    note(0, "d");
    streams_compare(streams);
    while (compared == 0)
        fake_pass(&source, 1);
    ck_assert_uint_eq(all, 4);
    tear_down();
}
END_TEST

START_TEST(test_forgotten_meanwhile)
{
    set_up();
    fake_rule(&source, "XINFO GROUPS a", FAKE_SILENCE);
    note(0, "a");
    note(1, "b");
    streams_compare(streams);
    fake_pass(&source, 20);
    forget(0, "a");
    forget(1, "b");
    note(0, "c"); /* and one that came */
    fake_send(fake_last(&source), "*0\r\n");
    expect("0 c\ncompared\n");
    tear_down();
}
END_TEST

START_TEST(test_connection_lost)
{
    set_up();
    fake_rule(&source, "XINFO GROUPS b", GROUPS("g1", "g2"));
    fake_rule(&source, "XINFO CONSUMERS b", FAKE_CLOSE);
    note(0, "a");
    note(5, "b");
    note(5, "c");
    streams_compare(streams);
    fake_until(&source, &identified, 2);
    ck_assert_uint_eq(compared, 0);
    fake_rule(&source, "XINFO CONSUMERS b", "*0\r\n");
    expect("0 a\n5 c\n5 b\ncompared\n"); /* from the first again: a is as it was */
    tear_down();
}
END_TEST

START_TEST(test_not_connected)
{
    set_up_with(MIB);
    note(0, "a");
    streams_compare(streams);
    expect("0 a\ncompared\n");
    tear_down();
}
END_TEST

START_TEST(test_select_refused)
{
    set_up();
    fake_rule(&source, "SELECT 4", "-NOPERM x\r\n");
    note(4, "a");
    streams_compare(streams);
    fake_until(&source, &identified, 2); /* what it said is of another database */
    fake_rule(&source, "SELECT 4", "+OK\r\n");
    expect("4 a\ncompared\n");
    tear_down();
}
END_TEST

/* With a real server: what moves by itself is no change, and what XACK and its like do is. */

static void ask_all(const char *const *lines)
{
    for (; *lines; lines++) {
        const char *answer = real_ask(&real, "%s", *lines);
        ck_assert_msg(strncmp(answer, "ERR", 3) != 0, "%s: %s", *lines, answer);
    }
}

START_TEST(test_real)
{
    static const char *const first[] = {"XADD idle 1-1 f v",
                                        "XGROUP CREATE idle g 0",
                                        "XREADGROUP GROUP g c STREAMS idle >",
                                        "XADD acked 1-1 f v",
                                        "XGROUP CREATE acked g 0",
                                        "XREADGROUP GROUP g c STREAMS acked >",
                                        "XADD read 1-1 f v",
                                        "XGROUP CREATE read g 0",
                                        "XADD claimed 1-1 f v",
                                        "XGROUP CREATE claimed g 0",
                                        "XREADGROUP GROUP g c STREAMS claimed >",
                                        "XADD destroyed 1-1 f v",
                                        "XGROUP CREATE destroyed g 0",
                                        "XADD plain 1-1 f v",
                                        "XADD new 1-1 f v",
                                        "XADD string 1-1 f v",
                                        "XADD created 1-1 f v",
                                        "XGROUP CREATE created g 0",
                                        NULL};
    static const char *const then[] = {"XACK acked g 1-1",
                                       "XREADGROUP GROUP g c STREAMS read >",
                                       "XCLAIM claimed g d 0 1-1",
                                       "XGROUP DESTROY destroyed g",
                                       "XGROUP CREATECONSUMER created g c",
                                       "DEL string",
                                       "SET string x",
                                       NULL};
    static const char *const names[] = {"idle",  "acked", "read",   "claimed", "destroyed",
                                        "plain", "new",   "string", "created"};
    struct bytes argv[] = {BYTES("DUMP"), {NULL, 0}};

    fake_init(&source);
    real_begin(&real, "source");
    begin(&real.endpoint, MIB);
    ask_all(first);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        argv[1] = bytes_str(names[i]);
        ck_assert(streams_is_type(real_request(&real, 2, argv)->text));
        if (strcmp(names[i], "new") != 0)
            note(0, names[i]);
    }
    streams_compare(streams);
    /* Without groups the first reply is the last. */
    expect("0 plain\n0 string\n0 idle\n0 acked\n0 read\n0 claimed\n0 destroyed\n0 created\ncompared\n");
    ask_all(then);
    argv[1] = BYTES("string");
    ck_assert(!streams_is_type(real_request(&real, 2, argv)->text));
    note(0, "new");
    streams_compare(streams);
    fake_pass(&source, 4500);
    kit_nothing(&source, 0);
    while (compared == 1)
        fake_pass(&source, 5);
    expect("0 destroyed\n0 string\n0 new\n0 acked\n0 read\n0 claimed\n0 created\ncompared\n");
    streams = streams_free(streams);
    real_end(&real);
    fake_done(&source);
    kit_end();
}
END_TEST

UNIT_MAIN("copy/streams", test_types, test_noted_and_forgotten, test_budget,
          test_passing_streams_need_no_room, test_asked_for, test_nothing_to_compare, test_many_streams,
          test_errors, test_forgotten_meanwhile, test_connection_lost, test_not_connected,
          test_select_refused, test_real)
