#include <errno.h>

#include "lib/copy/sweep.h"
#include "tests/unit/copy_kit.h"

static struct fake target; /* and its loop */
static struct fake source;
static struct sweep *sweep;
static size_t source_seen, target_seen;
static void (*on_each_missing)(struct bytes key); /* what the owner does besides */
static bool goes_on;

static void on_missing(int db, struct bytes key, void *arg)
{
    char name[80];
    (void)arg;
    kit_tell("%d %s", db, bytes_escape(key, name, sizeof(name)));
    if (on_each_missing)
        on_each_missing(key);
}

static void on_page(void *arg)
{
    (void)arg;
    kit_tell("page %llu %llu", (unsigned long long)sweep_seen(sweep),
             (unsigned long long)sweep_missing(sweep));
    if (goes_on)
        sweep_next(sweep);
}

static void on_done(void *arg)
{
    (void)arg;
    ck_assert(!sweep_running(sweep));
    kit_tell("done %llu %llu", (unsigned long long)sweep_seen(sweep),
             (unsigned long long)sweep_missing(sweep));
}

static void on_lost(const char *why, void *arg)
{
    (void)arg;
    ck_assert(!sweep_running(sweep));
    kit_tell("lost: %.24s", why);
}

static void on_refused(bool by_source, const char *error, void *arg)
{
    (void)arg;
    kit_tell("refused by %s: %s", by_source ? "source" : "target", error);
}

static int on_source(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                     void *arg)
{
    (void)c, (void)id, (void)client_id, (void)why, (void)arg;
    source_seen++;
    return 0;
}

static int on_target(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                     void *arg)
{
    (void)c, (void)id, (void)client_id, (void)why, (void)arg;
    target_seen++;
    return 0;
}

static void set_up_into(int db)
{
    static const struct sweep_events events = {.missing = on_missing,
                                               .page = on_page,
                                               .done = on_done,
                                               .lost = on_lost,
                                               .refused = on_refused,
                                               .source_identified = on_source,
                                               .target_identified = on_target};
    on_each_missing = NULL;
    goes_on = true;
    source_seen = target_seen = 0;
    fake_init(&target);
    fake_init_in(&source, target.loop, "-source");
    fake_rule(&target, "SELECT", "+OK\r\n");
    fake_rule(&target, "SCAN", "*2\r\n$1\r\n0\r\n*0\r\n");
    fake_rule(&source, "SELECT", "+OK\r\n");
    fake_rule(&source, "EXISTS", ":1\r\n");
    ck_assert_int_eq(
        sweep_new(target.loop, &source.endpoint, &target.endpoint, db, NULL, &events, NULL, &sweep), 0);
    fake_until(&target, &source_seen, 1);
    fake_until(&target, &target_seen, 1);
    fake_pass(&target, 10);
    (void)fake_log(&source);
    (void)fake_log(&target);
}

static void set_up(void)
{
    set_up_into(URL_DB_NONE);
}

static void tear_down(void)
{
    sweep = sweep_free(sweep);
    fake_done(&source);
    fake_done(&target);
    kit_end();
}

static void begin(const int *dbs, size_t ndbs, bool census)
{
    ck_assert_int_eq(sweep_begin(sweep, dbs, ndbs, 100, census), 0);
    ck_assert(sweep_running(sweep) == (ndbs > 0));
    sweep_next(sweep);
}

static void begin_0(void)
{
    begin((const int[]){0}, 1, false);
}

static void expect(const char *story)
{
    kit_expect(&target, story);
}

static void expect_asked(const char *log)
{
    const char *text = fake_log(&source), *asked = text;
    for (const char *at = text; (at = strstr(at, "INFO replication\n")); asked = at)
        at += strlen("INFO replication\n");
    ck_assert_str_eq(asked, log);
}

#define PAGE_ABC "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"

START_TEST(test_missing_are_found)
{
    static const int dbs[] = {2, 0};
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n7\r\n" PAGE_ABC);
    fake_rule(&target, "SCAN 7", "*2\r\n$1\r\n0\r\n*1\r\n$0\r\n\r\n");
    fake_rule(&source, "EXISTS b", ":0\r\n");
    begin(dbs, 2, false);
    expect("2 b\npage 3 1\npage 4 1\n0 b\npage 7 2\ndone 8 2\n");
    expect_asked("SELECT 2\nEXISTS a\nEXISTS b\nEXISTS c\nEXISTS \nSELECT 0\nEXISTS a\nEXISTS b\nEXISTS c\n"
                 "EXISTS \n");
    tear_down();
}
END_TEST

START_TEST(test_census_only_counts)
{
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "EXISTS", ":0\r\n");
    fake_rule(&source, "EXISTS a", ":1\r\n");
    begin((const int[]){0}, 1, true);
    expect("done 3 2\n");
    begin((const int[]){0}, 1, false);
    ck_assert_uint_eq(sweep_seen(sweep) + sweep_missing(sweep), 0);
    expect("0 b\n0 c\ndone 3 2\n");
    tear_down();
}
END_TEST

START_TEST(test_owners_pace)
{
    set_up();
    goes_on = false;
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n7\r\n" PAGE_ABC);
    ck_assert_int_eq(sweep_begin(sweep, (const int[]){0}, 1, 100, false), 0);
    kit_nothing(&target, 20);
    sweep_next(sweep);
    sweep_next(sweep); /* one is enough */
    expect("page 3 0\n");
    kit_nothing(&target, 20);
    sweep_next(sweep);
    expect("done 3 0\n");
    tear_down();
}
END_TEST

START_TEST(test_no_databases)
{
    set_up();
    begin(NULL, 0, false);
    kit_nothing(&target, 20);
    ck_assert(!sweep_running(sweep));
    tear_down();
}
END_TEST

/* The target's one database stands for the source's. */
START_TEST(test_into_one_database)
{
    set_up_into(9);
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "EXISTS c", ":0\r\n");
    begin((const int[]){4}, 1, false);
    expect("4 c\ndone 3 1\n");
    expect_asked("SELECT 4\nEXISTS a\nEXISTS b\nEXISTS c\n");
    ck_assert_str_eq(fake_log(&target), "SELECT 9\nSCAN 0 COUNT 100\n");
    begin(NULL, 0, false);
    ck_assert(!sweep_running(sweep));
    tear_down();
}
END_TEST

START_TEST(test_byte_by_byte)
{
    set_up();
    source.dripping = target.dripping = true;
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "EXISTS c", ":0\r\n");
    begin((const int[]){1}, 1, false);
    expect("1 c\ndone 3 1\n");
    tear_down();
}
END_TEST

/* The source has fewer databases than the target: whatever EXISTS says there is of another one. */
START_TEST(test_no_such_database)
{
    static const int dbs[] = {20, 0};
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "SELECT 20", "-ERR DB index is out of range\r\n");
    begin(dbs, 2, false);
    expect("20 a\n20 b\n20 c\npage 3 3\ndone 6 3\n");
    tear_down();
}
END_TEST

/* Errors and losses: nothing is missing because nobody could be asked. */

START_TEST(test_refused_by_the_source)
{
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "EXISTS b", "-LOADING it is\r\n");
    fake_rule(&source, "EXISTS c", ":0\r\n");
    begin((const int[]){3}, 1, false);
    expect("refused by source: LOADING it is\n");
    fake_rule(&source, "EXISTS b", ":0\r\n");
    kit_nothing(&target, 300);
    expect("3 b\n3 c\ndone 3 2\n");
    expect_asked("SELECT 3\nEXISTS b\nEXISTS c\n"); /* a was answered */
    tear_down();
}
END_TEST

START_TEST(test_select_refused_by_the_source)
{
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "SELECT 3", "-NOPERM x\r\n");
    fake_rule(&source, "EXISTS", ":0\r\n");
    begin((const int[]){3}, 1, false);
    expect("refused by source: NOPERM x\n");
    fake_rule(&source, "SELECT 3", "+OK\r\n");
    fake_rule(&source, "EXISTS", ":1\r\n");
    expect("done 3 0\n");
    tear_down();
}
END_TEST

START_TEST(test_refused_by_the_target)
{
    set_up();
    fake_rule(&target, "SCAN 0", "-LOADING it is\r\n");
    begin_0();
    expect("refused by target: LOADING it is\n");
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    expect("done 3 0\n");
    tear_down();
}
END_TEST

START_TEST(test_not_understood)
{
    static const char *const answers[] = {"+OK\r\n", "$1\r\n1\r\n", "*1\r\n:1\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        set_up();
        fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
        fake_rule(&source, "EXISTS b", answers[i]);
        begin_0();
        fake_until(&target, &source_seen, 2);
        fake_rule(&source, "EXISTS b", ":0\r\n");
        expect("0 b\ndone 3 1\n");
        tear_down();
    }
}
END_TEST

START_TEST(test_source_lost_in_a_page)
{
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "EXISTS b", FAKE_CLOSE);
    begin((const int[]){3}, 1, false);
    fake_until(&target, &source_seen, 2);
    fake_rule(&source, "EXISTS b", ":0\r\n");
    expect("3 b\ndone 3 1\n");
    expect_asked("SELECT 3\nEXISTS b\nEXISTS c\n");
    tear_down();
}
END_TEST

START_TEST(test_source_lost_before_a_page)
{
    set_up();
    fake_drop(fake_last(&source));
    close(source.listener);
    source.accepting = io_free(source.accepting);
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    begin_0();
    kit_nothing(&target, 300);
    ck_assert(sweep_running(sweep));
    fake_listen_unix(&source);
    conn_hold(sweep_source_conn(sweep), true); /* does not wait for the back-off */
    conn_hold(sweep_source_conn(sweep), false);
    expect("done 3 0\n");
    tear_down();
}
END_TEST

START_TEST(test_target_lost_in_a_page)
{
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n7\r\n" PAGE_ABC);
    fake_rule(&target, "SCAN 7", FAKE_CLOSE);
    begin_0();
    expect("page 3 0\n");
    fake_until(&target, &target_seen, 2);
    fake_rule(&target, "SCAN 7", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nd\r\n");
    expect("done 4 0\n");
    tear_down();
}
END_TEST

START_TEST(test_another_target)
{
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n7\r\n" PAGE_ABC);
    fake_rule(&target, "SCAN 7", FAKE_CLOSE);
    fake_rule(&source, "EXISTS", FAKE_SILENCE);
    goes_on = false;
    begin_0();
    fake_pass(&target, 20);
    fake_bulk(&target, "INFO server", "redis_version:7.0.15\r\nrun_id:bbbb\r\n");
    fake_drop(fake_last(&target));
    expect("lost: another server process a\n");
    tear_down();
}
END_TEST

/* Ended, or begun anew, by its owner. */

START_TEST(test_stopped_while_asking)
{
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "EXISTS", FAKE_SILENCE);
    begin_0();
    fake_pass(&target, 20);
    sweep_stop(sweep);
    ck_assert(!sweep_running(sweep));
    /* What is under way there is nobody's answer. */
    ck_assert(fake_run(&target, &source_seen, 2, 60000));
    kit_nothing(&target, 20);
    fake_rule(&source, "EXISTS", ":1\r\n");
    fake_rule(&source, "EXISTS a", ":0\r\n");
    begin_0();
    expect("0 a\ndone 3 1\n");
    tear_down();
}
END_TEST

START_TEST(test_begun_anew_while_asking)
{
    set_up();
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "EXISTS", FAKE_SILENCE);
    fake_rule(&source, "EXISTS a", ":1\r\n");
    begin((const int[]){5, 6}, 2, false);
    fake_pass(&target, 20);
    fake_rule(&source, "EXISTS", ":0\r\n");
    begin((const int[]){1}, 1, true);
    ck_assert(fake_run(&target, &source_seen, 2, 60000));
    expect("done 3 3\n");
    tear_down();
}
END_TEST

static void stop_at_b(struct bytes key)
{
    if (bytes_is(key, "b"))
        sweep_stop(sweep);
}

static void begin_at_b(struct bytes key)
{
    if (!bytes_is(key, "b"))
        return;
    on_each_missing = NULL;
    begin((const int[]){1}, 1, false);
}

/* As an overrun of the dirty set does. */
START_TEST(test_stopped_by_a_missing_key)
{
    set_up();
    on_each_missing = stop_at_b;
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "EXISTS", ":0\r\n");
    begin_0();
    expect("0 a\n0 b\n");
    ck_assert(fake_run(&target, &source_seen, 2, 60000));
    kit_nothing(&target, 20);
    tear_down();
}
END_TEST

START_TEST(test_begun_anew_by_a_missing_key)
{
    set_up();
    on_each_missing = begin_at_b;
    fake_rule(&target, "SCAN 0", "*2\r\n$1\r\n0\r\n" PAGE_ABC);
    fake_rule(&source, "EXISTS", ":0\r\n");
    begin((const int[]){5, 6}, 2, false);
    expect("5 a\n5 b\n1 a\n1 b\n1 c\ndone 3 3\n");
    tear_down();
}
END_TEST

/* More questions than are sent at once. */
START_TEST(test_large_page)
{
    const size_t count = 40, len = 100000;
    char *page = malloc(count * (len + 32) + 64), *name = kit_long_bulk(len, len), *p = page;

    set_up();
    p += sprintf(p, "*2\r\n$1\r\n0\r\n*%zu\r\n", count);
    for (size_t i = 0; i < count; i++)
        p += sprintf(p, "%s", name);
    fake_rule(&target, "SCAN 0", page);
    begin((const int[]){0}, 1, true);
    expect("done 40 0\n");
    free(page);
    free(name);
    tear_down();
}
END_TEST

UNIT_MAIN("copy/sweep", test_missing_are_found, test_census_only_counts, test_owners_pace, test_no_databases,
          test_into_one_database, test_byte_by_byte, test_no_such_database, test_refused_by_the_source,
          test_select_refused_by_the_source, test_refused_by_the_target, test_not_understood,
          test_source_lost_in_a_page, test_source_lost_before_a_page, test_target_lost_in_a_page,
          test_another_target, test_stopped_while_asking, test_begun_anew_while_asking,
          test_stopped_by_a_missing_key, test_begun_anew_by_a_missing_key, test_large_page)
