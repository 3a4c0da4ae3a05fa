#include <errno.h>

#include "lib/redis/scanner.h"
#include "tests/unit/copy_kit.h"

static struct fake server;
static struct scanner *scanner;
static size_t identified, pages;
static void (*on_each_key)(struct bytes key); /* what the owner does besides */
static bool goes_on;                          /* asks for the next page at once */

static void on_key(int db, struct bytes key, void *arg)
{
    char name[80];
    (void)arg;
    kit_tell("%d %s", db, bytes_escape(key, name, sizeof(name)));
    if (on_each_key)
        on_each_key(key);
}

static void on_long_key(int db, struct bytes prefix, uint64_t length, void *arg)
{
    (void)arg;
    ck_assert_uint_le(prefix.len, 64);
    kit_tell("%d long %llu %.4s", db, (unsigned long long)length, prefix.ptr);
}

static void on_page(void *arg)
{
    (void)arg;
    pages++;
    kit_tell("page");
    if (goes_on)
        scanner_next(scanner);
}

static void on_done(void *arg)
{
    (void)arg;
    ck_assert(!scanner_running(scanner));
    kit_tell("done");
}

static void on_lost(const char *why, void *arg)
{
    (void)arg;
    ck_assert(!scanner_running(scanner));
    kit_tell("lost: %.24s", why);
}

static void on_refused(const char *error, void *arg)
{
    (void)arg;
    kit_tell("refused: %s", error);
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    (void)c, (void)id, (void)client_id, (void)why, (void)arg;
    identified++;
    return 0;
}

static void set_up(void)
{
    static const struct scanner_events events = {.key = on_key,
                                                 .long_key = on_long_key,
                                                 .page = on_page,
                                                 .done = on_done,
                                                 .lost = on_lost,
                                                 .refused = on_refused,
                                                 .identified = on_identified};
    on_each_key = NULL;
    goes_on = false;
    identified = pages = 0;
    fake_init(&server);
    fake_rule(&server, "SELECT", "+OK\r\n");
    fake_rule(&server, "SCAN", "*2\r\n$1\r\n0\r\n*0\r\n");
    ck_assert_int_eq(scanner_new(server.loop, &server.endpoint, "scan", &events, NULL, &scanner), 0);
}

static void tear_down(void)
{
    scanner = scanner_free(scanner);
    fake_done(&server);
    kit_end();
}

static void begin(const int *dbs, size_t ndbs)
{
    ck_assert_int_eq(scanner_begin(scanner, dbs, ndbs, 100, NULL), 0);
    ck_assert(scanner_running(scanner) == (ndbs > 0));
}

static void begin_0(void)
{
    begin((const int[]){0}, 1);
}

static void expect(const char *story)
{
    kit_expect(&server, story);
}

/* The log without the handshakes. */
static void expect_log(const char *log)
{
    const char *text = fake_log(&server), *asked = text;
    for (const char *at = text; (at = strstr(at, "INFO replication\n")); asked = at)
        at += strlen("INFO replication\n");
    ck_assert_str_eq(asked, log);
}

static void run_id(const char *id)
{
    char info[100];
    snprintf(info, sizeof(info), "redis_version:7.0.15\r\nrun_id:%s\r\n", id);
    fake_bulk(&server, "INFO server", info);
}

START_TEST(test_pages_at_the_owners_pace)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$2\r\n17\r\n*2\r\n$1\r\na\r\n$0\r\n\r\n");
    fake_rule(&server, "SCAN 17", "*2\r\n$1\r\n5\r\n*0\r\n");
    fake_rule(&server, "SCAN 5", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\n\r\nc\r\n");
    begin_0();
    fake_until(&server, &identified, 1);
    kit_nothing(&server, 20);
    scanner_next(scanner);
    expect("0 a\n0 \npage\n");
    kit_nothing(&server, 20);
    expect_log("SCAN 0 COUNT 100\n");
    scanner_next(scanner);
    scanner_next(scanner); /* one is enough */
    expect("page\n");
    scanner_next(scanner);
    expect("0 \\r\\nc\ndone\n");
    expect_log("SCAN 17 COUNT 100\nSCAN 5 COUNT 100\n");
    scanner_next(scanner);
    kit_nothing(&server, 20);
    expect_log("");
    tear_down();
}
END_TEST

START_TEST(test_databases_one_after_the_other)
{
    static const char *const streams[] = {"stream", NULL}, *const several[] = {"set", "hash", NULL};
    static const int dbs[] = {3, 0, 12};
    set_up();
    goes_on = true;
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n9\r\n*1\r\n$1\r\na\r\n");
    fake_rule(&server, "SCAN 9", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n");
    begin(dbs, 3);
    scanner_next(scanner);
    expect("3 a\npage\n3 b\npage\n0 a\npage\n0 b\npage\n12 a\npage\n12 b\ndone\n");
    expect_log("SELECT 3\nSCAN 0 COUNT 100\nSCAN 9 COUNT 100\nSELECT 0\nSCAN 0 COUNT 100\nSCAN 9 COUNT 100\n"
               "SELECT 12\nSCAN 0 COUNT 100\nSCAN 9 COUNT 100\n");
    /* And again, one of them, by type; and by several. */
    ck_assert_int_eq(scanner_begin(scanner, dbs, 1, 7, streams), 0);
    scanner_next(scanner);
    expect("3 a\npage\n3 b\ndone\n");
    expect_log("SELECT 3\nSCAN 0 COUNT 7 TYPE stream\nSCAN 9 COUNT 7 TYPE stream\n");
    ck_assert_int_eq(scanner_begin(scanner, dbs, 2, 7, several), 0);
    scanner_next(scanner);
    expect("3 a\npage\n3 b\npage\n3 a\npage\n3 b\npage\n0 a\npage\n0 b\npage\n0 a\npage\n0 b\ndone\n");
    expect_log("SCAN 0 COUNT 7 TYPE set\nSCAN 9 COUNT 7 TYPE set\nSCAN 0 COUNT 7 TYPE hash\n"
               "SCAN 9 COUNT 7 TYPE hash\nSELECT 0\nSCAN 0 COUNT 7 TYPE set\nSCAN 9 COUNT 7 TYPE set\n"
               "SCAN 0 COUNT 7 TYPE hash\nSCAN 9 COUNT 7 TYPE hash\n");
    tear_down();
}
END_TEST

START_TEST(test_by_a_glob)
{
    char *glob = calloc(1, SCANNER_MATCH_MAX + 2);
    ck_assert_ptr_nonnull(glob);
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    ck_assert_int_eq(scanner_match(scanner, "user:*"), 0);
    begin_0();
    scanner_next(scanner);
    expect("done\n");
    expect_log("SCAN 0 COUNT 100 MATCH user:*\n");
    memset(glob, '*', SCANNER_MATCH_MAX + 1);
    ck_assert_int_eq(scanner_match(scanner, glob), -EINVAL);
    ck_assert_int_eq(scanner_match(scanner, NULL), 0);
    begin_0();
    scanner_next(scanner);
    expect("done\n");
    expect_log("SCAN 0 COUNT 100\n");
    tear_down();
    free(glob);
}
END_TEST

START_TEST(test_no_databases)
{
    set_up();
    begin(NULL, 0);
    scanner_next(scanner);
    kit_nothing(&server, 50);
    begin_0();
    kit_nothing(&server, 20); /* the page that was wanted was of the other pass */
    scanner_next(scanner);
    expect("done\n");
    tear_down();
}
END_TEST

START_TEST(test_byte_by_byte)
{
    set_up();
    fake_rule(&server, "SCAN 0",
              "*2\r\n$20\r\n18446744073709551615\r\n*3\r\n$1\r\na\r\n$0\r\n\r\n$5\r\n\r\n$1\r\r\n");
    server.dripping = true;
    begin((const int[]){1}, 1);
    scanner_next(scanner);
    expect("1 a\n1 \n1 \\r\\n$1\\r\npage\n");
    scanner_next(scanner);
    expect("done\n");
    expect_log("SELECT 1\nSCAN 0 COUNT 100\nSCAN 18446744073709551615 COUNT 100\n");
    tear_down();
}
END_TEST

START_TEST(test_asked_for_before_it_is_connected)
{
    set_up();
    begin_0();
    scanner_next(scanner);
    ck_assert(!conn_is_up(scanner_conn(scanner)));
    expect("done\n");
    tear_down();
}
END_TEST

/* Errors. */

START_TEST(test_refused_and_asked_again)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n");
    fake_rule(&server, "SCAN 7", "-LOADING it is\r\n");
    goes_on = true;
    begin_0();
    scanner_next(scanner);
    expect("0 a\npage\nrefused: LOADING it is\n");
    fake_rule(&server, "SCAN 7", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n");
    (void)fake_log(&server);
    kit_nothing(&server, 300);
    expect("0 b\ndone\n");
    expect_log("SCAN 7 COUNT 100\n");
    tear_down();
}
END_TEST

START_TEST(test_refused_select)
{
    set_up();
    fake_rule(&server, "SELECT 4", "-NOPERM x\r\n");
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$15\r\nof-another-base\r\n");
    begin((const int[]){4}, 1);
    scanner_next(scanner);
    expect("refused: NOPERM x\n");
    ck_assert(scanner_running(scanner));
    fake_rule(&server, "SELECT 4", "+OK\r\n");
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
    expect("4 a\ndone\n");
    tear_down();
}
END_TEST

/* The target has more databases than the source. */
START_TEST(test_no_such_database)
{
    static const int dbs[] = {20, 0, 21};
    set_up();
    goes_on = true;
    fake_rule(&server, "SELECT 20", "-ERR DB index is out of range\r\n");
    fake_rule(&server, "SELECT 21", "-ERR DB index is out of range\r\n");
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n9\r\n*1\r\n$1\r\na\r\n");
    begin(dbs, 3);
    scanner_next(scanner);
    expect("page\n0 a\npage\npage\ndone\n");
    expect_log("SELECT 20\nSCAN 0 COUNT 100\nSELECT 0\nSCAN 0 COUNT 100\nSCAN 9 COUNT 100\n"
               "SELECT 21\nSCAN 0 COUNT 100\n");
    tear_down();
}
END_TEST

START_TEST(test_stopped_while_refused)
{
    set_up();
    fake_rule(&server, "SCAN", "-LOADING it is\r\n");
    begin_0();
    scanner_next(scanner);
    expect("refused: LOADING it is\n");
    scanner_stop(scanner);
    (void)fake_log(&server);
    kit_nothing(&server, 1050);
    expect_log("");
    tear_down();
}
END_TEST

START_TEST(test_not_understood)
{
    static const char *const answers[] = {
        "*3\r\n$1\r\n0\r\n*0\r\n*0\r\n", "*2\r\n$1\r\nx\r\n*0\r\n",        "*2\r\n$1\r\n0\r\n$1\r\nk\r\n",
        "*2\r\n$1\r\n0\r\n*1\r\n:1\r\n", "*2\r\n$1\r\n0\r\n*1\r\n$-1\r\n", "*2\r\n$1\r\n0\r\n*-1\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        set_up();
        fake_rule(&server, "SCAN", answers[i]);
        begin_0();
        scanner_next(scanner);
        fake_until(&server, &identified, 2); /* it was given up, and is tried again */
        ck_assert_uint_eq(kit.lines, 0);
        ck_assert(scanner_running(scanner));
        fake_rule(&server, "SCAN", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
        expect("0 a\ndone\n");
        tear_down();
    }
}
END_TEST

START_TEST(test_nobody_asked)
{
    set_up();
    begin_0();
    fake_until(&server, &identified, 1);
    fake_pass(&server, 10);
    fake_send(fake_last(&server), "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
    fake_until(&server, &identified, 2);
    ck_assert_uint_eq(kit.lines, 0);
    tear_down();
}
END_TEST

/* Losses. */

START_TEST(test_goes_on_with_the_same_process)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n");
    fake_rule(&server, "SCAN 7", FAKE_CLOSE);
    goes_on = true;
    begin((const int[]){2}, 1);
    scanner_next(scanner);
    fake_until(&server, &identified, 2);
    fake_rule(&server, "SCAN 7", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n");
    expect("2 a\npage\n2 b\ndone\n");
    expect_log("SELECT 2\nSCAN 7 COUNT 100\n");
    tear_down();
}
END_TEST

/* In the middle of a page: it comes again as a whole. */
START_TEST(test_lost_in_a_page)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*2\r\n$1\r\na\r\n$1\r\n");
    begin_0();
    scanner_next(scanner);
    expect("0 a\n");
    fake_drop(fake_last(&server));
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    expect("0 a\n0 b\ndone\n");
    tear_down();
}
END_TEST

START_TEST(test_lost_between_pages)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n");
    begin_0();
    scanner_next(scanner);
    expect("0 a\npage\n");
    fake_drop(fake_last(&server));
    fake_until(&server, &identified, 2);
    fake_pass(&server, 20);
    expect_log("");
    scanner_next(scanner);
    expect("done\n");
    expect_log("SCAN 7 COUNT 100\n");
    tear_down();
}
END_TEST

/* A cursor of another process skips keys in silence. */
START_TEST(test_another_process)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n");
    goes_on = true;
    fake_rule(&server, "SCAN 7", FAKE_CLOSE);
    begin_0();
    run_id("aaaa");
    scanner_next(scanner);
    expect("0 a\npage\n");
    run_id("bbbb");
    expect("lost: another server process a\n");
    scanner_next(scanner);
    kit_nothing(&server, 50);
    fake_rule(&server, "SCAN 7", "*2\r\n$1\r\n0\r\n*0\r\n");
    begin_0();
    scanner_next(scanner);
    expect("0 a\npage\ndone\n");
    tear_down();
}
END_TEST

/* Not even asked for: it is told when the other one answers. */
START_TEST(test_another_process_between_pages)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
    begin((const int[]){0, 1}, 2);
    scanner_next(scanner);
    expect("0 a\npage\n");
    run_id("bbbb");
    fake_drop(fake_last(&server));
    expect("lost: another server process a\n");
    tear_down();
}
END_TEST

START_TEST(test_another_process_before_the_first_page)
{
    set_up();
    begin_0();
    fake_until(&server, &identified, 1);
    run_id("bbbb");
    fake_drop(fake_last(&server));
    fake_until(&server, &identified, 2);
    scanner_next(scanner);
    expect("done\n");
    tear_down();
}
END_TEST

/* Whether it is the same process cannot be known. */
START_TEST(test_no_run_id)
{
    set_up();
    fake_bulk(&server, "INFO server", "redis_version:7.0.15\r\n");
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n");
    begin_0();
    fake_until(&server, &identified, 1);
    fake_drop(fake_last(&server));
    scanner_next(scanner);
    expect("0 a\npage\n");
    fake_drop(fake_last(&server));
    expect("lost: another server process a\n");
    tear_down();
}
END_TEST

/* Stopped, or begun anew, while a page is under way. */

START_TEST(test_stopped_in_a_page)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*3\r\n$1\r\na\r\n$1\r\n");
    begin_0();
    scanner_next(scanner);
    expect("0 a\n");
    scanner_stop(scanner);
    ck_assert(!scanner_running(scanner));
    fake_send(fake_last(&server), "b\r\n$1\r\nc\r\n");
    kit_nothing(&server, 30);
    ck_assert_uint_eq(identified, 1);
    scanner_next(scanner);
    kit_nothing(&server, 30);
    tear_down();
}
END_TEST

START_TEST(test_begun_anew_in_a_page)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*3\r\n$1\r\na\r\n$1\r\n");
    begin((const int[]){5, 6}, 2);
    scanner_next(scanner);
    expect("5 a\n");
    begin((const int[]){1}, 1);
    scanner_next(scanner);
    kit_nothing(&server, 20);
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nx\r\n");
    (void)fake_log(&server);
    fake_send(fake_last(&server), "b\r\n$1\r\nc\r\n");
    expect("1 x\ndone\n");
    expect_log("SELECT 1\nSCAN 0 COUNT 100\n");
    tear_down();
}
END_TEST

START_TEST(test_begun_anew_before_the_answer)
{
    static const char *const late[] = {"+OK\r\n*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n", "-ERR x\r\n-ERR y\r\n",
                                       "-ERR DB index is out of range\r\n*2\r\n$1\r\n0\r\n*0\r\n",
                                       "+OK\r\n-LOADING x\r\n", "+OK\r\n*2\r\n$1\r\n0\r\n*0\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(late); i++) {
        set_up();
        fake_rule(&server, "SELECT", FAKE_SILENCE);
        fake_rule(&server, "SCAN", FAKE_SILENCE);
        begin((const int[]){5, 6}, 2);
        scanner_next(scanner);
        fake_until(&server, &identified, 1);
        fake_pass(&server, 10);
        begin((const int[]){1}, 1);
        scanner_next(scanner);
        fake_rule(&server, "SELECT", "+OK\r\n");
        fake_rule(&server, "SCAN", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nx\r\n");
        fake_send(fake_last(&server), late[i]);
        expect("1 x\ndone\n");
        tear_down();
    }
}
END_TEST

/* And then that connection is lost: nothing is stale any more. */
START_TEST(test_begun_anew_and_lost)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*3\r\n$1\r\na\r\n$1\r\n");
    begin((const int[]){5}, 1);
    scanner_next(scanner);
    expect("5 a\n");
    begin((const int[]){1}, 1);
    scanner_next(scanner);
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nx\r\n");
    fake_drop(fake_last(&server));
    expect("1 x\ndone\n");
    tear_down();
}
END_TEST

static void stop_at_b(struct bytes key)
{
    if (bytes_is(key, "b"))
        scanner_stop(scanner);
}

static void begin_at_b(struct bytes key)
{
    if (!bytes_is(key, "b"))
        return;
    on_each_key = NULL;
    begin((const int[]){1}, 1);
    scanner_next(scanner);
}

/* From within its own callback, as an overrun of the dirty set does. */
START_TEST(test_stopped_by_a_key)
{
    set_up();
    on_each_key = stop_at_b;
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    begin_0();
    scanner_next(scanner);
    expect("0 a\n0 b\n");
    kit_nothing(&server, 20);
    on_each_key = NULL;
    begin_0();
    scanner_next(scanner);
    expect("0 a\n0 b\n0 c\npage\n");
    tear_down();
}
END_TEST

START_TEST(test_begun_anew_by_a_key)
{
    set_up();
    on_each_key = begin_at_b;
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    begin((const int[]){5, 6}, 2);
    scanner_next(scanner);
    expect("5 a\n5 b\n1 a\n1 b\n1 c\npage\n");
    /* The last key of a page. */
    on_each_key = begin_at_b;
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n7\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    begin((const int[]){5, 6}, 2);
    scanner_next(scanner);
    expect("5 a\n5 b\n1 a\n1 b\npage\n");
    tear_down();
}
END_TEST

/* Long names. */

START_TEST(test_long_names)
{
    char *edge = kit_long_bulk(KEY_NAME_MAX, KEY_NAME_MAX);
    char *beyond = kit_long_bulk(KEY_NAME_MAX + 1, KEY_NAME_MAX + 1);
    char *page = malloc(3 * MIB);

    set_up();
    snprintf(page, 3 * MIB, "*2\r\n$1\r\n0\r\n*4\r\n$1\r\na\r\n%s%s$1\r\nb\r\n", beyond, edge);
    fake_rule(&server, "SCAN 0", page);
    begin_0();
    scanner_next(scanner);
    expect("0 a\n0 long 1048577 xxxx\n"
           "0 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\n0 b\ndone\n");
    snprintf(page, 3 * MIB, "*2\r\n$1\r\n0\r\n*1\r\n%s", beyond);
    fake_rule(&server, "SCAN 0", page);
    begin_0();
    scanner_next(scanner);
    expect("0 long 1048577 xxxx\ndone\n");
    free(edge);
    free(beyond);
    free(page);
    tear_down();
}
END_TEST

START_TEST(test_stopped_in_a_long_name)
{
    set_up();
    fake_rule(&server, "SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$5000000\r\n");
    begin((const int[]){0, 1, 2, 3}, 4);
    scanner_next(scanner);
    fake_until(&server, &identified, 1);
    fake_pass(&server, 20);
    begin(NULL, 0);
    fake_send(fake_last(&server), "xxxxxxxx");
    kit_nothing(&server, 20);
    tear_down();
}
END_TEST

UNIT_MAIN("copy/scanner", test_pages_at_the_owners_pace, test_databases_one_after_the_other, test_by_a_glob,
          test_no_databases, test_byte_by_byte, test_asked_for_before_it_is_connected,
          test_refused_and_asked_again, test_refused_select, test_no_such_database,
          test_stopped_while_refused, test_not_understood, test_nobody_asked,
          test_goes_on_with_the_same_process, test_lost_in_a_page, test_lost_between_pages,
          test_another_process, test_another_process_between_pages,
          test_another_process_before_the_first_page, test_no_run_id, test_stopped_in_a_page,
          test_begun_anew_in_a_page, test_begun_anew_before_the_answer, test_begun_anew_and_lost,
          test_stopped_by_a_key, test_begun_anew_by_a_key, test_long_names, test_stopped_in_a_long_name)
