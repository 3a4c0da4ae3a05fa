#include <errno.h>

#include "lib/copy/functions.h"
#include "tests/unit/copy_kit.h"
#include "tests/unit/copy_server.h"

/* Two connections, as the watches are, and what became of the copies between them. */
static struct fake fakes[2]; /* [0] has the loop for all */
static struct real reals[2];
static struct conn *conns[2];
static struct functions *functions;
static size_t ups, results;

#define SOURCE 0
#define TARGET 1

static void on_result(enum functions_result result, const char *text, void *arg)
{
    static const char *const names[] = {"equal", "copied", "refused", "lost"};
    ck_assert_ptr_eq(arg, &results);
    ck_assert(!functions_busy(functions));
    ck_assert((text != NULL) == (result == FUNCTIONS_REFUSED));
    results++;
    kit_tell("%s%s%s", names[result], text ? ": " : "", text ? text : "");
}

static void on_up(struct conn *c, void *arg)
{
    (void)c, (void)arg;
    ups++;
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    (void)why, (void)was_up, (void)arg;
    functions_dropped(functions, c);
}

static void connect_to(unsigned side, const struct endpoint *e)
{
    static const struct conn_events events = {.up = on_up, .down = on_down};
    const struct conn_options opt = {
        .endpoint = e, .role = "watch", .in_max = MIB, .out_max = 64 * MIB, .out_high = MIB};
    ck_assert_int_eq(conn_new(fakes[0].loop, &opt, &events, NULL, &conns[side]), 0);
}

static void set_up(bool merge, bool real)
{
    ups = results = 0;
    fake_init(&fakes[0]);
    fake_init_in(&fakes[1], fakes[0].loop, "-target");
    ck_assert_int_eq(functions_new(merge, &functions), 0);
    ck_assert(!functions_busy(functions));
    for (unsigned i = 0; i < 2; i++) {
        if (real)
            real_begin(&reals[i], i == SOURCE ? "source" : "target");
        connect_to(i, real ? &reals[i].endpoint : &fakes[i].endpoint);
    }
    fake_until(&fakes[0], &ups, 2);
}

static void tear_down(void)
{
    for (unsigned i = 0; i < 2; i++)
        conns[i] = conn_free(conns[i]);
    functions = functions_free(functions);
    for (unsigned i = 0; i < 2 && reals[i].pid; i++)
        real_end(&reals[i]);
    memset(reals, 0, sizeof(reals));
    fake_done(&fakes[1]);
    fake_done(&fakes[0]);
    kit_end();
}

static void copy(void)
{
    ck_assert_int_eq(functions_copy(functions, conns[SOURCE], conns[TARGET], on_result, &results), 0);
    ck_assert(functions_busy(functions));
    ck_assert_int_eq(functions_copy(functions, conns[SOURCE], conns[TARGET], on_result, &results), -EBUSY);
}

static void expect(const char *story)
{
    kit_expect(&fakes[0], story);
    ck_assert(!functions_busy(functions));
}

/* With real servers. */

static void load(unsigned side, const char *library, const char *body)
{
    char code[512];
    snprintf(code, sizeof(code), "#!lua name=%s\nredis.register_function('%s_f', function() return '%s' end)",
             library, library, body);
    const struct bytes argv[] = {BYTES("FUNCTION"), BYTES("LOAD"), BYTES("REPLACE"), bytes_str(code)};
    const struct reply *r = real_request(&reals[side], ARRAY_LEN(argv), argv);
    ck_assert_msg(r->type != REPLY_ERROR, "%s", r->text.ptr);
}

static const char *call(const char *library)
{
    return real_ask(&reals[TARGET], "FCALL %s_f 0", library);
}

START_TEST(test_made_equal)
{
    set_up(false, true);
    copy();
    expect("equal\n");
    load(SOURCE, "one", "1");
    load(SOURCE, "two", "2");
    load(TARGET, "other", "0");
    copy();
    expect("copied\n");
    ck_assert_str_eq(call("one"), "1");
    ck_assert_str_eq(call("two"), "2");
    ck_assert_ptr_nonnull(strstr(call("other"), "not found"));
    copy();
    expect("equal\n");
    load(SOURCE, "one", "3");
    copy();
    expect("copied\n");
    ck_assert_str_eq(call("one"), "3");
    real_ask(&reals[SOURCE], "FUNCTION FLUSH");
    copy();
    expect("copied\n");
    ck_assert_ptr_nonnull(strstr(call("one"), "not found"));
    copy();
    expect("equal\n");
    tear_down();
}
END_TEST

/* A server tells its libraries in an order of its own. */
START_TEST(test_order_of_libraries)
{
    char name[16], body[200];

    set_up(false, true);
    memset(body, 'b', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "lib%u", i);
        load(SOURCE, name, i % 2 ? name : body);
    }
    copy();
    expect("copied\n");
    copy();
    expect("equal\n");
    load(TARGET, "lib7", "another");
    copy();
    expect("copied\n");
    ck_assert_str_eq(call("lib7"), "lib7");
    load(TARGET, "lib40", "another");
    copy();
    expect("copied\n");
    tear_down();
}
END_TEST

START_TEST(test_merged)
{
    set_up(true, true);
    load(TARGET, "other", "0");
    copy();
    expect("equal\n"); /* the source has none to add */
    load(SOURCE, "one", "1");
    load(TARGET, "one", "old");
    copy();
    expect("copied\n");
    ck_assert_str_eq(call("one"), "1");
    ck_assert_str_eq(call("other"), "0");
    copy();
    expect("equal\n"); /* what the target has besides is its own */
    tear_down();
}
END_TEST

/* With servers that follow a script. */

#define UNKNOWN "-ERR unknown command 'FUNCTION', with args beginning with: 'DUMP' \r\n"
#define NONE    "$10\r\n0123456789\r\n"

START_TEST(test_old_servers)
{
    set_up(false, false);
    fake_rule(&fakes[SOURCE], "FUNCTION DUMP", UNKNOWN);
    fake_rule(&fakes[TARGET], "FUNCTION DUMP", UNKNOWN);
    copy();
    expect("equal\n");
    fake_rule(&fakes[TARGET], "FUNCTION DUMP", "$15\r\nxxxxx0123456789\r\n");
    copy();
    expect("equal\n"); /* what the target can and the source cannot is left alone */
    fake_rule(&fakes[SOURCE], "FUNCTION DUMP", NONE);
    fake_rule(&fakes[TARGET], "FUNCTION DUMP", UNKNOWN);
    copy();
    expect("equal\n");
    fake_rule(&fakes[SOURCE], "FUNCTION DUMP", "$15\r\nxxxxx0123456789\r\n");
    copy();
    expect("refused: ERR unknown command 'FUNCTION', with args beginning with: 'DUMP' \n");
    tear_down();
}
END_TEST

START_TEST(test_refused)
{
    set_up(false, false);
    fake_rule(&fakes[SOURCE], "FUNCTION DUMP", "-NOPERM dump\r\n");
    copy();
    expect("refused: NOPERM dump\n");
    fake_rule(&fakes[SOURCE], "FUNCTION DUMP", "$15\r\nxxxxx0123456789\r\n");
    fake_rule(&fakes[TARGET], "FUNCTION DUMP", "-NOPERM dump\r\n");
    copy();
    expect("refused: NOPERM dump\n");
    fake_rule(&fakes[TARGET], "FUNCTION DUMP", NONE);
    fake_rule(&fakes[TARGET], "FUNCTION RESTORE", "-ERR DUMP payload version or checksum are wrong\r\n");
    copy();
    expect("refused: ERR DUMP payload version or checksum are wrong\n");
    fake_rule(&fakes[TARGET], "FUNCTION RESTORE", "+OK\r\n");
    copy();
    expect("copied\n");
    fake_rule(&fakes[SOURCE], "FUNCTION DUMP", ":1\r\n");
    copy();
    expect("refused: \n");
    tear_down();
}
END_TEST

START_TEST(test_requests)
{
    for (unsigned merge = 0; merge < 2; merge++) {
        set_up(merge, false);
        fake_rule(&fakes[SOURCE], "FUNCTION DUMP", "$15\r\nxxxxx0123456789\r\n");
        fake_rule(&fakes[TARGET], "FUNCTION DUMP", "$10\r\n9876543210\r\n");
        fake_rule(&fakes[TARGET], "FUNCTION RESTORE", "+OK\r\n");
        (void)fake_log(&fakes[TARGET]);
        copy();
        expect("copied\n");
        ck_assert_str_eq(fake_log(&fakes[TARGET]),
                         merge ? "FUNCTION DUMP\nFUNCTION RESTORE xxxxx0123456789 REPLACE\n"
                               : "FUNCTION DUMP\nFUNCTION RESTORE xxxxx0123456789 FLUSH\n");
        /* Only the footer differs, as it does between versions. */
        fake_rule(&fakes[TARGET], "FUNCTION DUMP", "$15\r\nxxxxx9876543210\r\n");
        copy();
        expect("equal\n");
        tear_down();
    }
}
END_TEST

/* Which connection is lost, while which answer is due. */
START_TEST(test_lost)
{
    static const struct {
        unsigned lost, silent;
        const char *words, *story;
    } cases[] = {
        {SOURCE, SOURCE, "FUNCTION DUMP", "lost\n"},    {TARGET, TARGET, "FUNCTION DUMP", "lost\n"},
        {TARGET, TARGET, "FUNCTION RESTORE", "lost\n"}, {SOURCE, TARGET, "FUNCTION DUMP", ""},
        {SOURCE, TARGET, "FUNCTION RESTORE", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_up(false, false);
        fake_rule(&fakes[SOURCE], "FUNCTION DUMP", "$15\r\nxxxxx0123456789\r\n");
        fake_rule(&fakes[TARGET], "FUNCTION DUMP", NONE);
        fake_rule(&fakes[TARGET], "FUNCTION RESTORE", "+OK\r\n");
        fake_rule(&fakes[cases[i].silent], cases[i].words, FAKE_SILENCE);
        copy();
        fake_pass(&fakes[0], 20);
        conn_reset(conns[cases[i].lost], "a test");
        kit_expect(&fakes[0], cases[i].story);
        ck_assert(functions_busy(functions) == !cases[i].story[0]);
        if (functions_busy(functions)) { /* the other one can still answer */
            fake_send(&fakes[TARGET].clients[0], i == 3 ? "$15\r\nxxxxx0123456789\r\n" : "+OK\r\n");
            expect(i == 3 ? "equal\n" : "copied\n");
        }
        fake_rule(&fakes[cases[i].silent], cases[i].words, "-ERR x\r\n");
        fake_until(&fakes[0], &ups, 3);
        copy();
        expect("refused: ERR x\n");
        tear_down();
    }
}
END_TEST

/* The target was lost while the source was asked. */
START_TEST(test_target_lost_first)
{
    set_up(false, false);
    fake_rule(&fakes[SOURCE], "FUNCTION DUMP", FAKE_SILENCE);
    copy();
    fake_pass(&fakes[0], 20);
    conn_reset(conns[TARGET], "a test");
    fake_send(&fakes[SOURCE].clients[0], NONE);
    expect("lost\n");
    tear_down();
}
END_TEST

/* Another server answers where the target was: it is not the one to write to. */
START_TEST(test_another_target)
{
    set_up(false, false);
    fake_rule(&fakes[SOURCE], "FUNCTION DUMP", FAKE_SILENCE);
    fake_rule(&fakes[TARGET], "FUNCTION DUMP", NONE);
    fake_rule(&fakes[TARGET], "FUNCTION RESTORE", "+OK\r\n");
    copy();
    fake_pass(&fakes[0], 20);
    fake_bulk(&fakes[TARGET], "INFO server", "redis_version:7.0.15\r\nrun_id:bbbb\r\n");
    conn_reset(conns[TARGET], "a test");
    fake_until(&fakes[0], &ups, 3);
    fake_send(&fakes[SOURCE].clients[0], "$15\r\nxxxxx0123456789\r\n");
    expect("lost\n");
    ck_assert_ptr_null(strstr(fake_log(&fakes[TARGET]), "FUNCTION"));
    tear_down();
}
END_TEST

START_TEST(test_not_connected)
{
    set_up(false, false);
    conn_reset(conns[SOURCE], "a test");
    ck_assert_int_eq(functions_copy(functions, conns[SOURCE], conns[TARGET], on_result, &results), -ENOTCONN);
    conn_reset(conns[TARGET], "a test");
    ck_assert_int_eq(functions_copy(functions, conns[SOURCE], conns[TARGET], on_result, &results), -ENOTCONN);
    fake_pass(&fakes[0], 20);
    ck_assert(!functions_busy(functions));
    ck_assert_uint_eq(results, 0);
    tear_down();
}
END_TEST

UNIT_MAIN("copy/functions", test_made_equal, test_order_of_libraries, test_merged, test_old_servers,
          test_refused, test_requests, test_lost, test_target_lost_first, test_another_target,
          test_not_connected)
