#include "tests/unit/feed_kit.h"

#include "lib/feed/kind.h"

static struct feed_status status(void)
{
    struct feed_status s;
    feed_status(kit.feed, &s);
    return s;
}

START_TEST(kinds_have_names)
{
    enum feed_kind k;
    for (unsigned i = 0; i < FEED_KINDS; i++) {
        ck_assert(feed_kind_parse(bytes_str(feed_kind_name((enum feed_kind)i)), &k));
        ck_assert_int_eq((int)k, (int)i);
    }
    ck_assert(!feed_kind_parse(BYTES("Auto"), &k));
    ck_assert(!feed_kind_parse(BYTES(""), &k));
}
END_TEST

START_TEST(the_order_ends)
{
    ck_assert_int_eq(auto_next(FEED_AUTO), FEED_PSYNC);
    ck_assert_int_eq(auto_next(FEED_PSYNC), FEED_TRACKING);
    ck_assert_int_eq(auto_next(FEED_TRACKING), FEED_NOTIFY);
    ck_assert_int_eq(auto_next(FEED_NOTIFY), FEED_AUTO);
}
END_TEST

START_TEST(tracking_is_chosen)
{
    kit_begin(NULL);
    kit_feed(FEED_AUTO);
    ck_assert_int_eq(status().kind, FEED_AUTO);
    ck_assert_str_eq(status().state, "connecting");
    KIT_UNTIL(kit_is_ready);
    ck_assert_uint_eq(kit.chosen, 1);
    ck_assert_int_eq(kit.kind, FEED_TRACKING);
    struct feed_status s = status();
    ck_assert_int_eq(s.kind, FEED_TRACKING);
    ck_assert(!s.names_db);
    ck_assert_uint_eq(s.npassed_over, 1);
    ck_assert_int_eq(s.passed_over[0].kind, FEED_PSYNC);
    ck_assert_str_eq(s.passed_over[0].why, "the source has no replication backlog: attach a replica to it "
                                           "once, or set psync.full_sync: yes, for "
                                           "which it forks, and restart riotd");
    kit_end();
}
END_TEST

START_TEST(notify_is_chosen_where_tracking_is_refused)
{
    kit_begin(NULL);
    kit_user("~* &* +@all -client|tracking");
    kit_ready(FEED_AUTO);
    ck_assert_int_eq(kit.kind, FEED_NOTIFY);
    struct feed_status s = status();
    ck_assert(s.names_db);
    ck_assert_uint_eq(s.npassed_over, 2);
    ck_assert(strstr(s.passed_over[1].why, "CLIENT TRACKING is refused") != NULL);
    kit_end();
}
END_TEST

START_TEST(all_reasons_are_told)
{
    kit_begin(NULL);
    kit_user("~* resetchannels +@all");
    kit_feed(FEED_AUTO);
    KIT_UNTIL(kit_is_unusable);
    ck_assert_uint_eq(kit.unusable, 1);
    ck_assert_uint_eq(kit.chosen + kit.ready + kit.gap, 0);
    ck_assert_msg(strstr(kit.why, "psync: the source has no replication backlog") == kit.why, "%s", kit.why);
    ck_assert_msg(strstr(kit.why, "; tracking: SUBSCRIBE __redis__:invalidate is refused") != NULL, "%s",
                  kit.why);
    ck_assert_msg(strstr(kit.why, "; notify: PSUBSCRIBE") != NULL, "%s", kit.why);
    ck_assert_str_eq(status().state, "unusable");
    kit_end();
}
END_TEST

static bool is_notify(void)
{
    return kit.kind == FEED_NOTIFY && kit_is_ready();
}

START_TEST(a_kind_that_is_no_longer_allowed_is_left)
{
    kit_begin(NULL);
    kit_user("~* &* +@all");
    kit_ready(FEED_AUTO);
    ck_assert_int_eq(kit.kind, FEED_TRACKING);
    kit_ask("ACL SETUSER riot -client|tracking");
    kit_kill("feed");
    KIT_UNTIL(is_notify);
    ck_assert_uint_eq(kit.gap, 1);
    ck_assert_uint_eq(kit.chosen, 2);
    ck_assert_uint_eq(kit.ready, 2);
    kit_end();
}
END_TEST

START_TEST(none_marks_nothing)
{
    kit_begin(NULL);
    kit_ready(FEED_NONE);
    kit_ask("SET a 1");
    kit_ask("FLUSHALL");
    kit_ask("CONFIG RESETSTAT");
    kit_barrier();
    ck_assert_int_eq(kit.barrier_err, 0);
    kit_pass(1500000);
    ck_assert_uint_eq(kit.gap + kit.marks, 0);
    kit_server_stop();
    kit_server_start(NULL);
    kit_expect_gap("run id changed");
    kit_stop();
    ck_assert(kit.put_back);
    kit_end();
}
END_TEST

START_TEST(none_needs_no_info)
{
    kit_begin(NULL);
    kit_user("~* -@all +client +ping");
    kit_ready(FEED_NONE);
    kit_end();
}
END_TEST

START_TEST(refused_info_is_told)
{
    kit_begin(NULL);
    kit_user("~* &* +@all -info");
    kit_feed(FEED_AUTO);
    KIT_UNTIL(kit_is_unusable);
    ck_assert_msg(strstr(kit.why, "ACL SETUSER riot +info") != NULL, "%s", kit.why);
    kit_end();
}
END_TEST

static bool was_unreachable(void)
{
    return kit.unreachable > 0;
}

START_TEST(a_source_that_is_not_there_yet_is_waited_for)
{
    kit_begin(NULL);
    kit_server_stop();
    unlink(kit.socket);
    kit_feed(FEED_AUTO);
    KIT_UNTIL(was_unreachable);
    kit_pass(1000000);
    ck_assert_uint_eq(kit.unreachable, 1);
    kit_server_start(NULL);
    KIT_UNTIL(kit_is_ready);
    ck_assert_uint_eq(kit.gap, 0);
    kit_end();
}
END_TEST

UNIT_MAIN("feed/auto", kinds_have_names, the_order_ends, tracking_is_chosen,
          notify_is_chosen_where_tracking_is_refused, all_reasons_are_told,
          a_kind_that_is_no_longer_allowed_is_left, none_marks_nothing, none_needs_no_info,
          refused_info_is_told, a_source_that_is_not_there_yet_is_waited_for)
