#include "tests/unit/feed_kit.h"

static void seed(const char *prefix, unsigned from, unsigned to)
{
    ck_assert_str_eq(
        kit_ask("EVAL \"for i=%u,%u do redis.call('SET','%s'..i,i) end return redis.status_reply('OK')\" 0",
                from, to - 1, prefix),
        "OK");
}

static bool all_seen(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        if (!kit.seen[i])
            return false;
    return true;
}

START_TEST(writes_before_a_barrier_are_marked)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    for (unsigned round = 0; round < 50; round++) {
        seed("k:", round * 100, round * 100 + 100);
        kit_barrier();
        ck_assert_int_eq(kit.barrier_err, 0);
        ck_assert(all_seen(round * 100, round * 100 + 100));
    }
    ck_assert_int_eq(kit.last_db, FEED_ANY_DB);
    ck_assert_uint_eq(kit.gap, 0);
    kit_end();
}
END_TEST

START_TEST(a_message_of_100000_keys_comes_whole)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    seed("k:", 0, 100000);
    kit_barrier();
    ck_assert(all_seen(0, 100000));
    kit_end();
}
END_TEST

START_TEST(a_name_that_is_too_long_is_told)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    kit_ask(
        "EVAL \"redis.call('SET','long'..string.rep('x',3000000),1) redis.call('SET','k:1',1) return 1\" 0");
    kit_barrier();
    ck_assert_uint_eq(kit.long_keys, 1);
    ck_assert_uint_eq(kit.long_length, 3000004);
    ck_assert(strncmp(kit.long_prefix, "longxxxx", 8) == 0);
    ck_assert(kit.seen[1]);
    kit_ask("EVAL \"redis.call('SET',string.rep('x',%u),1) return 1\" 0", (unsigned)KEY_NAME_MAX);
    kit_barrier();
    ck_assert_uint_eq(kit.long_keys, 1);
    ck_assert_int_eq(kit.last_mark[0], 'x');
    kit_ask("EVAL \"redis.call('SET',string.rep('x',%u),1) return 1\" 0", (unsigned)KEY_NAME_MAX + 1);
    kit_barrier();
    ck_assert_uint_eq(kit.long_keys, 2);
    ck_assert_uint_eq(kit.long_length, KEY_NAME_MAX + 1);
    kit_end();
}
END_TEST

START_TEST(the_loss_of_a_connection_is_a_gap)
{
    static const char *const roles[] = {"feed", "tracking"};

    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        kit_kill(roles[i]);
        kit_expect_gap("connection lost: closed by the server");
        seed("k:", (unsigned)i * 10, (unsigned)i * 10 + 10);
        kit_barrier();
        ck_assert(all_seen((unsigned)i * 10, (unsigned)i * 10 + 10));
    }
    kit_end();
}
END_TEST

START_TEST(the_watch_may_come_and_go)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    kit_kill("watch");
    kit_pass(1500000);
    ck_assert_uint_eq(kit.gap, 0);
    ck_assert_uint_eq(kit.unreachable, 1);
    kit_barrier();
    ck_assert_int_eq(kit.barrier_err, 0);
    kit_end();
}
END_TEST

START_TEST(what_the_watch_list_has_is_a_gap)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    kit_ask("FLUSHALL");
    kit_expect_gap("flushed");
    kit_ask("FLUSHDB");
    kit_expect_gap("flushed");
    kit_ask("SWAPDB 0 1");
    kit_expect_gap("SWAPDB");
    kit_pass(1100000);
    kit_ask("CONFIG RESETSTAT");
    kit_expect_gap("INFO was reset");
    kit_end();
}
END_TEST

static void stop_listening(void)
{
    feed_free(kit.feed);
    kit.feed = NULL;
    kit.on_gap = NULL;
}

static bool is_gone(void)
{
    return kit.feed == NULL;
}

START_TEST(it_may_be_freed_in_a_callback)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    kit.on_gap = stop_listening;
    ck_assert_int_eq(feed_barrier(kit.feed, kit_on_barrier, NULL), 0);
    kit_ask("FLUSHALL");
    KIT_UNTIL(is_gone);
    ck_assert_uint_eq(kit.barriers, 0);
    kit_end();
}
END_TEST

START_TEST(a_gap_cancels_the_barrier)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    ck_assert_int_eq(feed_barrier(kit.feed, kit_on_barrier, NULL), 0);
    ck_assert_int_eq(feed_barrier(kit.feed, kit_on_barrier, NULL), -EBUSY);
    kit_kill("feed");
    KIT_UNTIL(kit_had_barrier);
    ck_assert_int_eq(kit.barrier_err, -ECANCELED);
    ck_assert_uint_eq(kit.gap, 1);
    ck_assert_int_eq(feed_barrier(kit.feed, kit_on_barrier, NULL), -ENOTCONN);
    KIT_UNTIL(kit_is_ready);
    kit_barrier();
    ck_assert_int_eq(kit.barrier_err, 0);
    kit_end();
}
END_TEST

START_TEST(a_flush_before_a_barrier_is_said_before_its_end)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    kit_ask("SWAPDB 0 1");
    kit.barriers = 0;
    ck_assert_int_eq(feed_barrier(kit.feed, kit_on_barrier, NULL), 0);
    KIT_UNTIL(kit_had_barrier);
    ck_assert_int_eq(kit.barrier_err, -ECANCELED);
    kit_end();
}
END_TEST

static bool had_groups(void)
{
    return kit.groups > 0;
}

START_TEST(groups_are_told)
{
    kit_begin(NULL);
    kit_ask("XADD s 1-1 f v");
    kit_ask("XGROUP CREATE s g 0");
    kit_ready(FEED_TRACKING);
    kit_pass(1500000);
    ck_assert_uint_eq(kit.groups, 0);
    kit_ask("XACK s g 1-1");
    KIT_UNTIL(had_groups);
    ck_assert_uint_eq(kit.gap, 0);
    kit_end();
}
END_TEST

static bool had_functions(void)
{
    return kit.functions > 0;
}

START_TEST(functions_are_told)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    const char *reply =
        kit_ask("FUNCTION LOAD \"#!lua name=l\\nredis.register_function('f', function() return 1 end)\"");
    if (strcmp(reply, "l") == 0)
        KIT_UNTIL(had_functions);
    kit_end();
}
END_TEST

START_TEST(a_restart_is_one_gap)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    kit_server_stop();
    kit_server_start(NULL);
    kit_expect_gap("");
    seed("k:", 0, 10);
    kit_barrier();
    ck_assert(all_seen(0, 10));
    kit_end();
}
END_TEST

START_TEST(a_user_without_rights_is_told_what_is_needed)
{
    kit_begin(NULL);
    kit_user("~* &* +info +client|setname +client|id +subscribe +ping");
    kit_feed(FEED_TRACKING);
    KIT_UNTIL(kit_is_unusable);
    ck_assert_msg(strstr(kit.why, "CLIENT TRACKING is refused (NOPERM") != NULL, "%s", kit.why);
    ck_assert_msg(strstr(kit.why, "ACL SETUSER riot +client|id +client|tracking +client|trackinginfo") !=
                      NULL,
                  "%s", kit.why);
    ck_assert_uint_eq(kit.gap + kit.ready, 0);
    kit_end();
}
END_TEST

START_TEST(a_user_without_the_channel_is_told_so)
{
    kit_begin(NULL);
    kit_user("~* resetchannels +@all");
    kit_feed(FEED_TRACKING);
    KIT_UNTIL(kit_is_unusable);
    ck_assert_msg(strstr(kit.why, "&__redis__:invalidate") != NULL, "%s", kit.why);
    kit_end();
}
END_TEST

START_TEST(trackinginfo_may_be_refused)
{
    kit_begin(NULL);
    kit_user("~* &* +@all -client|trackinginfo -client|getredir -acl");
    kit_ready(FEED_TRACKING);
    kit_barrier();
    ck_assert_int_eq(kit.barrier_err, 0);
    kit_end();
}
END_TEST

static bool had_samples(void)
{
    return kit.samples >= 3;
}

START_TEST(the_source_is_read_each_second)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    kit.samples = 0;
    uint64_t began = clock_mono_us();
    KIT_UNTIL(had_samples);
    ck_assert_uint_gt(clock_mono_us() - began, 1800000);
    kit_end();
}
END_TEST

START_TEST(a_server_that_times_idle_clients_out_is_no_gap)
{
    char *extra[] = {(char *)(uintptr_t)"--timeout", (char *)(uintptr_t)"2", NULL};

    kit_begin(extra);
    kit_ready(FEED_TRACKING);
    kit_pass(5000000);
    ck_assert_uint_eq(kit.gap, 0);
    kit_end();
}
END_TEST

static bool is_silent(void)
{
    return kit.gap > 0;
}

START_TEST(a_server_that_hangs_is_a_gap)
{
    kit_begin(NULL);
    kit.source.timeout_ms = 1500;
    kit_ready(FEED_TRACKING);
    kill(kit.server, SIGSTOP);
    KIT_UNTIL(is_silent);
    ck_assert_msg(strstr(kit.gap_text, "no answer for") != NULL, "%s", kit.gap_text);
    kill(kit.server, SIGCONT);
    kit_expect_gap("no answer for");
    kit_end();
}
END_TEST

START_TEST(stop_has_nothing_to_put_back)
{
    kit_begin(NULL);
    kit_ready(FEED_TRACKING);
    kit_stop();
    ck_assert(kit.put_back);
    seed("k:", 0, 10);
    kit_pass(200000);
    ck_assert_uint_eq(kit.marks, 0);
    kit_end();
}
END_TEST

UNIT_MAIN("feed/tracking", writes_before_a_barrier_are_marked, a_message_of_100000_keys_comes_whole,
          a_name_that_is_too_long_is_told, the_loss_of_a_connection_is_a_gap, the_watch_may_come_and_go,
          what_the_watch_list_has_is_a_gap, it_may_be_freed_in_a_callback, a_gap_cancels_the_barrier,
          a_flush_before_a_barrier_is_said_before_its_end, groups_are_told, functions_are_told,
          a_restart_is_one_gap, a_user_without_rights_is_told_what_is_needed,
          a_user_without_the_channel_is_told_so, trackinginfo_may_be_refused, the_source_is_read_each_second,
          a_server_that_times_idle_clients_out_is_no_gap, a_server_that_hangs_is_a_gap,
          stop_has_nothing_to_put_back)
