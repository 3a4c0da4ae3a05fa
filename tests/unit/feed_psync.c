#include "tests/unit/feed_kit.h"

#include "lib/core/clock.h"
#include "lib/feed/kind.h"
#include "lib/feed/rdb_skip.h"

/* Its first replica leaves a backlog behind. */
static void give_backlog(void)
{
    int was = kit.client, wait = 0;

    ck_assert(kit_connect());
    ck_assert_str_eq(kit_ask("REPLCONF capa eof"), "OK"); /* no file, which would keep its history */
    ck_assert_int_eq(write(kit.client, "PSYNC ? -1\r\n", 12), 12);
    int replica = kit.client;
    kit.client = was;
    while (strstr(kit_ask("INFO replication"), "repl_backlog_active:1") == NULL) {
        ck_assert_int_lt(wait++, 1000);
        usleep(10000);
    }
    close(replica);
}

static void begin(char *const *extra)
{
    kit_begin(extra);
    give_backlog();
}

static void seed(unsigned from, unsigned to)
{
    ck_assert_str_eq(kit_ask("EVAL \"for i=%u,%u do redis.call('SET','k:'..i,i) end return "
                             "redis.status_reply('OK')\" 0",
                             from, to - 1),
                     "OK");
}

static bool all_seen(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        if (!kit.seen[i])
            return false;
    return true;
}

START_TEST(it_attaches_without_a_full_synchronisation)
{
    struct feed_status s;

    begin(NULL);
    kit_ready(FEED_AUTO);
    ck_assert_int_eq(kit.kind, FEED_PSYNC);
    ck_assert_ptr_nonnull(strstr(kit_ask("INFO stats"), "sync_partial_ok:1\r\n"));
    ck_assert_ptr_nonnull(strstr(kit_ask("INFO replication"), "ip=riotd:")); /* and no address */
    ck_assert_ptr_nonnull(strstr(kit_ask("INFO replication"), "port=0,state=online"));
    feed_status(kit.feed, &s);
    ck_assert_uint_eq(s.npassed_over, 0);
    kit_end();
}
END_TEST

START_TEST(writes_before_a_barrier_are_marked)
{
    begin(NULL);
    kit_ready(FEED_PSYNC);
    for (unsigned round = 0; round < 50; round++) {
        seed(round * 100, round * 100 + 100);
        kit_barrier();
        ck_assert_int_eq(kit.barrier_err, 0);
        ck_assert(all_seen(round * 100, round * 100 + 100));
    }
    ck_assert_uint_eq(kit.gap, 0);
    kit_end();
}
END_TEST

START_TEST(the_database_is_known_once_it_was_selected)
{
    begin(NULL);
    kit_ask("SET a 1");
    kit_ready(FEED_PSYNC);
    kit_ask("SET a 1");
    kit_barrier();
    ck_assert_str_eq(kit.last_mark, "a");
    ck_assert_int_eq(kit.last_db, FEED_ANY_DB);
    kit_ask("SELECT 5");
    kit_ask("SET b 1");
    kit_barrier();
    ck_assert_str_eq(kit.last_mark, "b");
    ck_assert_int_eq(kit.last_db, 5);
    kit_end();
}
END_TEST

/* What it writes is marked; the value is told with it, or not. */
static void expect_value(const char *command, const char *value, bool expires)
{
    size_t values = kit.values, marks = kit.marks;

    kit_ask("%s", command);
    kit_barrier();
    ck_assert_uint_eq(kit.marks, marks + 1);
    ck_assert_msg(kit.values == values + (value != NULL), "%s", command);
    if (value == NULL)
        return;
    ck_assert_str_eq(kit.last_value, value);
    ck_assert(expires == (kit.last_expiry > 0));
}

START_TEST(what_tells_all_that_a_key_is_is_told_in_a_database_that_is_known)
{
    bool absolute;

    begin(NULL);
    kit_ask("SET a 1");
    kit_ready(FEED_PSYNC);
    expect_value("SET a 1", NULL, false); /* in which database? */
    kit_ask("SELECT 5");
    expect_value("SET b 1", "1", false);
    expect_value("SET b 2 XX", "2", false);
    expect_value("SET b 3 KEEPTTL", NULL, false);
    expect_value("APPEND b 3", NULL, false);
    absolute = strstr(kit_ask("INFO server"), "redis_version:6.") == NULL;
    expect_value("SET b 4 EX 1000", absolute ? "4" : NULL, true);
    expect_value("SET b 5", "5", false);
    kit_end();
}
END_TEST

START_TEST(no_backlog_is_told)
{
    kit_begin(NULL);
    kit_feed(FEED_PSYNC);
    KIT_UNTIL(kit_is_unusable);
    ck_assert_ptr_nonnull(strstr(kit.why, "no replication backlog"));
    ck_assert_ptr_nonnull(strstr(kit.why, "psync.full_sync: yes"));
    ck_assert_ptr_nonnull(strstr(kit_ask("INFO stats"), "sync_full:0\r\n"));
    kit_end();
}
END_TEST

/* Its full synchronisation waits for no others. */
static char *const socket_at_once[] = {(char *)(uintptr_t)"--repl-diskless-sync-delay",
                                       (char *)(uintptr_t)"0", NULL};

static void ready_by_full_synchronisation(void)
{
    kit_allow_full_sync = true;
    kit_ready(FEED_PSYNC);
    kit_allow_full_sync = false;
}

START_TEST(a_full_synchronisation_is_made_where_it_is_allowed)
{
    static char *const disk[] = {(char *)(uintptr_t)"--repl-diskless-sync", (char *)(uintptr_t)"no", NULL};

    for (unsigned i = 0; i < 2; i++) {
        kit_begin(i == 0 ? disk : socket_at_once);
        seed(0, 5000);
        ready_by_full_synchronisation();
        seed(5000, 6000);
        kit_barrier();
        ck_assert(all_seen(5000, 6000));
        ck_assert_ptr_nonnull(strstr(kit_ask("INFO stats"), "sync_full:1\r\n"));
        ck_assert_int_eq(kit.last_db, 0);
        kit_end();
    }
}
END_TEST

static unsigned acks(void)
{
    const char *at = strstr(kit_ask("INFO commandstats"), "cmdstat_replconf:calls=");
    return at ? (unsigned)strtoul(strchr(at, '=') + 1, NULL, 10) : 0;
}

static unsigned acks_before;

static bool three_more(void)
{
    return acks() >= acks_before + 3;
}

/* What is written meanwhile waits for an ACK that comes after the source has seen its child end. */
START_TEST(after_a_full_synchronisation_the_stream_begins_soon)
{
    kit_begin(socket_at_once);
    ready_by_full_synchronisation();
    acks_before = acks();
    uint64_t began = clock_mono_us();
    KIT_UNTIL(three_more);
    ck_assert_uint_lt(clock_mono_us() - began, 2000000);
    kit_end();
}
END_TEST

START_TEST(a_refusal_names_the_right)
{
    begin(NULL);
    kit_user("~* +@all -psync");
    kit_feed(FEED_PSYNC);
    KIT_UNTIL(kit_is_unusable);
    ck_assert_msg(strstr(kit.why, "PSYNC is refused") && strstr(kit.why, "ACL SETUSER riot +psync +replconf"),
                  "%s", kit.why);
    kit_end();
}
END_TEST

/* What is written to such a replica goes to none of its own: it would be lost, and nobody would know. */
START_TEST(a_replica_that_takes_writes_of_its_own_is_refused)
{
    begin(NULL);
    kit_ask("REPLICAOF 127.0.0.1 1");
    kit_ask("CONFIG SET replica-read-only no");
    kit_feed(FEED_PSYNC);
    KIT_UNTIL(kit_is_unusable);
    ck_assert_msg(strstr(kit.why, "a replica that takes writes of its own") != NULL, "%s", kit.why);
    kit_end();
}
END_TEST

START_TEST(what_is_of_whole_databases_is_a_gap)
{
    begin(NULL);
    kit_ready(FEED_PSYNC);
    kit_ask("SET a 1");
    kit_ask("FLUSHALL");
    kit_expect_gap("flushed");
    kit_ask("SET a 1");
    kit_ask("FLUSHDB");
    kit_expect_gap("flushed");
    kit_ask("SET a 1");
    kit_ask("SWAPDB 0 1");
    kit_expect_gap("SWAPDB");
    kit_end();
}
END_TEST

START_TEST(what_others_would_miss_is_no_gap)
{
    begin(NULL);
    kit_ready(FEED_PSYNC);
    kit_pass(1100000);
    kit_ask("CONFIG RESETSTAT");
    kit_pass(2200000);
    ck_assert_uint_eq(kit.gap, 0);
    ck_assert_uint_ge(kit.groups, 1); /* how often they were delivered may have changed */
    kit_kill("watch");
    kit_pass(1500000);
    ck_assert_uint_eq(kit.gap, 0);
    kit_barrier();
    ck_assert_int_eq(kit.barrier_err, 0);
    kit_end();
}
END_TEST

START_TEST(functions_are_told)
{
    begin(NULL);
    kit_ready(FEED_PSYNC);
    if (strstr(kit_ask("FUNCTION LIST"), "unknown command") == NULL) {
        char text[200];
        const char *body = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
        int n = snprintf(text, sizeof(text), "*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$%zu\r\n%s\r\n",
                         strlen(body), body);
        ck_assert_str_eq(kit_send(text, (size_t)n), "lib");
        kit_barrier();
        ck_assert_uint_eq(kit.functions, 1);
        ck_assert_uint_eq(kit.gap, 0);
    }
    kit_end();
}
END_TEST

START_TEST(a_lost_connection_goes_on_where_it_was)
{
    begin(NULL);
    kit_ready(FEED_PSYNC);
    kit_ask("SELECT 3");
    for (unsigned i = 0; i < 20; i++) {
        seed(i * 100, i * 100 + 50);
        kit_kill("feed");
        seed(i * 100 + 50, i * 100 + 100);
        kit_barrier();
        ck_assert_int_eq(kit.barrier_err, 0);
        ck_assert(all_seen(i * 100, i * 100 + 100));
        ck_assert_int_eq(kit.last_db, 3);
    }
    ck_assert_uint_eq(kit.gap, 0);
    ck_assert_uint_eq(kit.ready, 1);
    kit_end();
}
END_TEST

START_TEST(what_the_backlog_does_not_hold_any_more_is_a_gap)
{
    static char *const small[] = {(char *)(uintptr_t)"--repl-backlog-size", (char *)(uintptr_t)"1mb", NULL};

    begin(small);
    kit_ready(FEED_PSYNC);
    kit_kill("feed");
    for (unsigned i = 0; i < 4; i++)
        ck_assert_str_eq(kit_ask("EVAL \"redis.call('SET','k:1',string.rep('x',1000000)) return "
                                 "redis.status_reply('OK')\" 0"),
                         "OK");
    kit_expect_gap("the source's backlog (repl-backlog-size) no longer holds what followed");
    ck_assert_ptr_nonnull(strstr(kit_ask("INFO stats"), "sync_partial_err:"));
    seed(0, 100);
    kit_barrier();
    ck_assert(all_seen(0, 100));
    kit_end();
}
END_TEST

static bool has_moved(void)
{
    return kit.moved == 1 && kit_is_ready();
}

START_TEST(another_history_of_which_it_has_all_so_far_is_told_and_no_gap)
{
    begin(NULL);
    kit_ready(FEED_PSYNC);
    kit_ask("REPLICAOF 127.0.0.1 1");
    kit_ask("REPLICAOF NO ONE");
    KIT_UNTIL(has_moved);
    seed(0, 100);
    kit_barrier();
    ck_assert(all_seen(0, 100));
    ck_assert_uint_eq(kit.gap, 0);
    kit_end();
}
END_TEST

/* Before it is ready: the first such reading behind +CONTINUE at the latest. */
static unsigned unheard;
static void move(void)
{
    if (!kit_is_ready())
        unheard += feed_kind_moved(kit.feed);
}

/* A failover between +CONTINUE and readiness: what an earlier process had read ahead is not known any more.
 */
START_TEST(what_moved_before_it_was_ready_was_not_gone_on_with)
{
    begin(NULL);
    for (unsigned moves = 0; moves < 2; moves++) {
        kit_ready(FEED_PSYNC);
        ck_assert(feed_place(kit.feed, &kit.place));
        kit.feed = feed_free(kit.feed);
        kit.ready = 0;
        kit.on_sample = moves ? move : NULL;
        kit_ready(FEED_PSYNC);
        ck_assert_msg(feed_resumed(kit.feed) == !moves, "the place counts as gone on with after a failover");
        kit.feed = feed_free(kit.feed);
        kit.ready = 0;
        kit.on_sample = NULL;
        kit.place = (struct feed_place){.offset = 0};
    }
    ck_assert_uint_eq(unheard, 1);
    ck_assert_uint_eq(kit.moved, 0);
    ck_assert_uint_eq(kit.gap, 0);
    kit_end();
}
END_TEST

static bool is_ready_again(void)
{
    return kit.ready == 2 && kit_is_ready();
}

/* What was applied is of the history that has ended: told to the new one, WAIT there would believe it. */
START_TEST(another_history_is_not_acknowledged_by_what_was_applied_of_the_last)
{
    kit_begin(socket_at_once);
    ready_by_full_synchronisation();
    feed_applied(kit.feed, 1000000000);
    kit_pass(1500000);
    ck_assert_ptr_nonnull(strstr(kit_ask("INFO replication"), "offset=999999999,"));
    kit_server_stop();
    kit_server_start(socket_at_once);
    KIT_UNTIL(is_ready_again);
    kit_pass(1500000);
    ck_assert_ptr_nonnull(strstr(kit_ask("INFO replication"), "offset=0,"));
    kit_end();
}
END_TEST

START_TEST(a_restarted_source_is_a_gap_and_auto_goes_on_with_another_kind)
{
    begin(NULL);
    kit_ready(FEED_AUTO);
    ck_assert_int_eq(kit.kind, FEED_PSYNC);
    kit_server_stop();
    kit_server_start(NULL);
    KIT_UNTIL(kit_had_gap);
    ck_assert_msg(kit.kind == FEED_TRACKING, "%s %s", kit_ask("INFO replication"), kit.gap_text);
    kit_end();
}
END_TEST

static bool is_tracked(void)
{
    return kit.kind == FEED_TRACKING && kit_is_ready();
}

START_TEST(a_command_that_nobody_knows_is_a_gap_and_auto_takes_another_kind)
{
    static char *const renamed[] = {(char *)(uintptr_t)"--rename-command", (char *)(uintptr_t)"SET",
                                    (char *)(uintptr_t)"put", NULL};

    begin(renamed);
    kit_ready(FEED_AUTO);
    ck_assert_int_eq(kit.kind, FEED_PSYNC);
    kit_ask("put a 1");
    KIT_UNTIL(kit_had_gap);
    ck_assert_msg(strstr(kit.gap_text, "what the command put changes"), "%s", kit.gap_text);
    for (unsigned i = 0; i < 100 && !is_tracked(); i++) {
        kit_ask("put a 1");
        kit_pass(50000);
    }
    ck_assert(is_tracked());
    kit_ask("put b 1");
    kit_barrier();
    ck_assert_str_eq(kit.last_mark, "b");
    kit_end();
}
END_TEST

START_TEST(it_may_be_freed_in_a_callback)
{
    begin(NULL);
    kit_ready(FEED_PSYNC);
    kit.on_gap = kit_free_feed;
    ck_assert_int_eq(feed_barrier(kit.feed, kit_on_barrier, NULL), 0);
    kit_ask("SET a 1");
    kit_ask("FLUSHALL");
    KIT_UNTIL(kit_is_freed);
    kit_end();
}
END_TEST

/* The payload of a full synchronisation */

static int skip_in_parts(const char *text, size_t len, size_t part, size_t *ret_used)
{
    struct rdb_skip s;
    int err = -EAGAIN;
    size_t at = 0;

    rdb_skip_init(&s);
    while (at < len && err == -EAGAIN) {
        struct bytes in = bytes_of(text + at, MIN(part, len - at));
        size_t n = in.len;
        err = rdb_skip_feed(&s, &in);
        at += n - in.len;
    }
    *ret_used = at;
    return err;
}

START_TEST(a_payload_is_passed_over_however_it_comes)
{
#define MARK "0123456789abcdef0123456789abcdef01234567"
    static const char length[] = "\n\n$10\r\n0123456789*1\r\n",
                      mark[] = "\n$EOF:" MARK "\r\nREDIS012345" MARK "*1\r\n";
    size_t used;

    for (size_t part = 1; part < sizeof(mark); part++) {
        ck_assert_int_eq(skip_in_parts(length, sizeof(length) - 1, part, &used), 0);
        ck_assert_uint_eq(used, sizeof(length) - 1 - 4);
        ck_assert_int_eq(skip_in_parts(mark, sizeof(mark) - 1, part, &used), 0);
        ck_assert_uint_eq(used, sizeof(mark) - 1 - 4);
    }
    ck_assert_int_eq(skip_in_parts("-ERR no\r\n", 9, 9, &used), -EBADMSG);
    ck_assert_int_eq(skip_in_parts("$x\r\n", 4, 4, &used), -EBADMSG);
    ck_assert_int_eq(skip_in_parts(length, sizeof(length) - 6, 3, &used), -EAGAIN);
}
END_TEST

UNIT_MAIN("feed/psync", it_attaches_without_a_full_synchronisation, writes_before_a_barrier_are_marked,
          the_database_is_known_once_it_was_selected,
          what_tells_all_that_a_key_is_is_told_in_a_database_that_is_known, no_backlog_is_told,
          a_full_synchronisation_is_made_where_it_is_allowed,
          after_a_full_synchronisation_the_stream_begins_soon, a_refusal_names_the_right,
          a_replica_that_takes_writes_of_its_own_is_refused, what_is_of_whole_databases_is_a_gap,
          what_others_would_miss_is_no_gap, functions_are_told, a_lost_connection_goes_on_where_it_was,
          what_the_backlog_does_not_hold_any_more_is_a_gap,
          what_moved_before_it_was_ready_was_not_gone_on_with,
          another_history_of_which_it_has_all_so_far_is_told_and_no_gap,
          another_history_is_not_acknowledged_by_what_was_applied_of_the_last,
          a_restarted_source_is_a_gap_and_auto_goes_on_with_another_kind, it_may_be_freed_in_a_callback,
          a_command_that_nobody_knows_is_a_gap_and_auto_takes_another_kind,
          a_payload_is_passed_over_however_it_comes)
