#include "tests/unit/feed_kit.h"

static void set(unsigned from, unsigned to)
{
    kit_ask("EVAL \"for i=%u,%u do redis.call('SET','k:'..i,i) end return 1\" 0", from, to - 1);
}

static bool all_seen(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        if (!kit.seen[i])
            return false;
    return true;
}

static bool is_recorded(void)
{
    return kit.record.after[0] != '\0';
}

START_TEST(writes_before_a_barrier_are_marked)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    for (unsigned round = 0; round < 50; round++) {
        set(round * 100, round * 100 + 100);
        kit_barrier();
        ck_assert_int_eq(kit.barrier_err, 0);
        ck_assert(all_seen(round * 100, round * 100 + 100));
        ck_assert_int_eq(kit.last_db, 0);
    }
    kit_ask("SELECT 11");
    kit_ask("SET \"a__:b c\" 1");
    kit_barrier();
    ck_assert_int_eq(kit.last_db, 11);
    ck_assert_str_eq(kit.last_mark, "a__:b c");
    ck_assert_uint_eq(kit.gap, 0);
    kit_end();
}
END_TEST

START_TEST(a_name_that_is_too_long_is_told)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    kit_ask(
        "EVAL \"redis.call('SET','long'..string.rep('x',3000000),1) redis.call('SET','k:1',1) return 1\" 0");
    kit_barrier();
    ck_assert_uint_eq(kit.long_keys, 1);
    ck_assert_uint_eq(kit.long_length, 3000004);
    ck_assert(strncmp(kit.long_prefix, "longxxxx", 8) == 0);
    ck_assert(kit.seen[1]);
    kit_ask("EVAL \"redis.call('SET','y'..string.rep('x',%u),1) return 1\" 0", (unsigned)KEY_NAME_MAX);
    kit_barrier();
    ck_assert_uint_eq(kit.long_keys, 2);
    ck_assert_uint_eq(kit.long_length, KEY_NAME_MAX + 1);
    ck_assert_int_eq(kit.long_prefix[0], 'y');
    kit_end();
}
END_TEST

START_TEST(flags_are_added_and_put_back)
{
    static const char *const rows[][2] = {{"", "AK"}, {"xE", "AKE"}, {"lK", "AK"}, {"K", "AK"}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        kit_begin(NULL);
        kit_ask("CONFIG SET notify-keyspace-events \"%s\"", rows[i][0]);
        ck_assert_str_eq(kit_flags(), rows[i][0]);
        kit_ready(FEED_NOTIFY);
        ck_assert_str_eq(kit_flags(), rows[i][1]);
        ck_assert_str_eq(kit.record.before, rows[i][0]);
        ck_assert_str_eq(kit.record.after, rows[i][1]);
        ck_assert_uint_eq(strlen(kit.record.run_id), 40);
        ck_assert_uint_eq(kit.records, 2);
        kit_stop();
        ck_assert(kit.put_back);
        ck_assert_str_eq(kit_flags(), rows[i][0]);
        ck_assert_str_eq(kit.record.run_id, "");
        ck_assert_uint_eq(kit.warnings, 0);
        kit_end();
    }
}
END_TEST

START_TEST(flags_that_suffice_are_left_alone)
{
    kit_begin(NULL);
    kit_ask("CONFIG SET notify-keyspace-events KEA");
    kit_ready(FEED_NOTIFY);
    ck_assert_uint_eq(kit.records, 0);
    kit_stop();
    ck_assert(kit.put_back);
    ck_assert_str_eq(kit_flags(), "AKE");
    ck_assert_uint_eq(kit.records, 0);
    kit_end();
}
END_TEST

START_TEST(nothing_is_changed_before_it_is_recorded)
{
    kit_begin(NULL);
    kit.record_err = -ENOSPC;
    kit_feed(FEED_NOTIFY);
    kit_pass(2500000);
    ck_assert(!kit_is_ready());
    ck_assert_str_eq(kit_flags(), "");
    ck_assert_uint_eq(kit.warnings, 1);
    kit.record_err = 0;
    KIT_UNTIL(kit_is_ready);
    ck_assert_str_eq(kit_flags(), "AK");
    kit_end();
}
END_TEST

START_TEST(what_another_set_is_not_put_back)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    kit_ask("CONFIG SET notify-keyspace-events KEA");
    kit_pass(1500000);
    ck_assert_uint_eq(kit.gap, 0);
    kit_stop();
    ck_assert(kit.put_back);
    ck_assert_str_eq(kit_flags(), "AKE");
    ck_assert_uint_eq(kit.warnings, 1);
    ck_assert_str_eq(kit.record.run_id, "");
    kit_end();
}
END_TEST

START_TEST(flags_taken_away_are_a_gap)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    kit_ask("CONFIG SET notify-keyspace-events \"\"");
    kit_expect_gap("somebody set notify-keyspace-events to \"\"");
    ck_assert_str_eq(kit_flags(), "AK");
    kit_ask("CONFIG SET notify-keyspace-events Ex");
    kit_expect_gap("somebody set notify-keyspace-events to \"xE\"");
    ck_assert_str_eq(kit_flags(), "AKE");
    set(0, 10);
    kit_barrier();
    ck_assert(all_seen(0, 10));
    /* the last value that somebody chose */
    kit_stop();
    ck_assert_str_eq(kit_flags(), "xE");
    kit_end();
}
END_TEST

START_TEST(flags_taken_away_before_a_barrier_cancel_it)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    kit_ask("CONFIG SET notify-keyspace-events \"\"");
    kit_barrier();
    ck_assert_int_eq(kit.barrier_err, -ECANCELED);
    kit_end();
}
END_TEST

static void forget_feed(void)
{
    kit.feed = feed_free(kit.feed);
    kit.ready = kit.records = 0;
}

START_TEST(a_later_process_puts_back_what_an_earlier_one_found)
{
    kit_begin(NULL);
    kit_ask("CONFIG SET notify-keyspace-events lE");
    kit_ready(FEED_NOTIFY);
    forget_feed();
    kit_ready(FEED_NOTIFY);
    ck_assert_uint_eq(kit.records, 0);
    ck_assert_str_eq(kit.record.before, "lE");
    kit_stop();
    ck_assert_str_eq(kit_flags(), "lE");
    kit_end();
}
END_TEST

START_TEST(an_intent_that_was_carried_out_is_ours)
{
    kit_begin(NULL);
    kit_ask("CONFIG SET notify-keyspace-events lE");
    kit_ready(FEED_NOTIFY);
    forget_feed();
    kit.record.after[0] = '\0';
    kit_ready(FEED_NOTIFY);
    ck_assert_str_eq(kit.record.before, "lE");
    ck_assert_str_eq(kit.record.after, "AKE");
    kit_stop();
    ck_assert_str_eq(kit_flags(), "lE");
    kit_end();
}
END_TEST

START_TEST(an_intent_that_was_not_carried_out_is_tried_again)
{
    kit_begin(NULL);
    kit_ask("CONFIG SET notify-keyspace-events lE");
    kit_ready(FEED_NOTIFY);
    forget_feed();
    kit.record.after[0] = '\0';
    kit_ask("CONFIG SET notify-keyspace-events lE");
    kit_ready(FEED_NOTIFY);
    ck_assert_str_eq(kit.record.before, "lE");
    ck_assert_str_eq(kit.record.after, "AKE");
    kit_end();
}
END_TEST

static bool is_cleared(void)
{
    return kit.record.run_id[0] == '\0';
}

START_TEST(another_kind_puts_back_at_its_start)
{
    static const enum feed_kind kinds[] = {FEED_TRACKING, FEED_NONE};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        kit_begin(NULL);
        kit_ask("CONFIG SET notify-keyspace-events lE");
        kit_ready(FEED_NOTIFY);
        forget_feed();
        if (i > 0)
            kit.record.after[0] = '\0';
        kit_ready(kinds[i]);
        KIT_UNTIL(is_cleared);
        ck_assert_str_eq(kit_flags(), "lE");
        kit_end();
    }
}
END_TEST

START_TEST(a_restarted_server_has_nothing_of_ours)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    forget_feed();
    kit_server_stop();
    kit_server_start(NULL);
    kit_ask("CONFIG SET notify-keyspace-events lE");
    kit_ready(FEED_NOTIFY);
    ck_assert_str_eq(kit.record.before, "lE");
    kit_stop();
    ck_assert_str_eq(kit_flags(), "lE");
    kit_end();
}
END_TEST

START_TEST(a_source_that_does_not_answer_keeps_the_record)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    kit_server_stop();
    kit_stop();
    ck_assert(!kit.put_back);
    ck_assert(is_recorded());
    ck_assert_uint_eq(kit.warnings, 1);
    kit_end();
}
END_TEST

START_TEST(the_loss_of_a_connection_is_a_gap)
{
    static const char *const roles[] = {"feed", "config"};

    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        kit_kill(roles[i]);
        kit_expect_gap("connection lost: closed by the server");
        set((unsigned)i * 10, (unsigned)i * 10 + 10);
        kit_barrier();
        ck_assert(all_seen((unsigned)i * 10, (unsigned)i * 10 + 10));
    }
    kit_end();
}
END_TEST

START_TEST(what_the_watch_list_has_is_a_gap)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    kit_ask("FLUSHALL");
    kit_expect_gap("flushed");
    kit_ask("SWAPDB 0 1");
    kit_expect_gap("SWAPDB");
    kit_pass(1100000);
    kit_ask("CONFIG RESETSTAT");
    kit_expect_gap("INFO was reset");
    kit_server_stop();
    kit_server_start(NULL);
    kit_expect_gap("");
    ck_assert_str_eq(kit_flags(), "AK");
    kit_end();
}
END_TEST

static bool had_gap(void)
{
    return kit.gap > 0;
}

START_TEST(a_flush_is_heard_at_once)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    kit_pass(500000);
    kit_ask("FLUSHALL");
    ck_assert(kit_within(had_gap, 100000));
    kit_end();
}
END_TEST

START_TEST(a_flush_is_seen_where_tracking_is_refused)
{
    kit_begin(NULL);
    kit_user("~* &* +@all -client|tracking");
    kit_ready(FEED_NOTIFY);
    kit_ask("FLUSHALL");
    kit_expect_gap("flushed");
    kit_end();
}
END_TEST

START_TEST(a_flush_is_seen_where_its_channel_is_refused)
{
    kit_begin(NULL);
    kit_user("~* resetchannels &__keyspace@*__:* +@all");
    kit_ready(FEED_NOTIFY);
    kit_ask("FLUSHALL");
    kit_expect_gap("flushed");
    kit_end();
}
END_TEST

START_TEST(a_refused_pattern_is_told)
{
    kit_begin(NULL);
    kit_user("~* resetchannels &__key* +@all");
    kit_feed(FEED_NOTIFY);
    KIT_UNTIL(kit_is_unusable);
    ck_assert_msg(strstr(kit.why, "ACL SETUSER riot +psubscribe +subscribe +ping &__keyspace@*__:*") != NULL,
                  "%s", kit.why);
    kit_end();
}
END_TEST

START_TEST(a_refused_set_names_the_value)
{
    kit_begin(NULL);
    kit_ask("CONFIG SET notify-keyspace-events xE");
    kit_user("~* &* +@all -config|set");
    kit_feed(FEED_NOTIFY);
    KIT_UNTIL(kit_is_unusable);
    ck_assert_msg(strstr(kit.why, "CONFIG SET notify-keyspace-events is refused (NOPERM") != NULL, "%s",
                  kit.why);
    ck_assert_msg(strstr(kit.why, "set it to \"KAE\"") != NULL, "%s", kit.why);
    ck_assert(is_cleared());
    kit_end();
}
END_TEST

START_TEST(flags_that_cannot_be_read_are_in_doubt)
{
    kit_begin(NULL);
    kit_ask("CONFIG SET notify-keyspace-events KA");
    kit_user("~* &* +@all -config");
    kit_ready(FEED_NOTIFY);
    struct feed_status status;
    feed_status(kit.feed, &status);
    ck_assert_msg(strstr(status.doubt, "(NOPERM") && strstr(status.doubt, "must contain KA"), "%s",
                  status.doubt);
    set(0, 10);
    kit_barrier();
    ck_assert(all_seen(0, 10));
    kit_pass(1500000);
    feed_status(kit.feed, &status);
    ck_assert_str_eq(status.doubt, "");
    kit_end();
}
END_TEST

static void stop_feed(void)
{
    feed_stop(kit.feed, kit_on_stop, NULL);
    kit.on_gap = NULL;
}

START_TEST(it_may_be_freed_or_stopped_in_a_callback)
{
    kit_begin(NULL);
    kit_ready(FEED_NOTIFY);
    kit.on_gap = kit_free_feed;
    kit_ask("CONFIG SET notify-keyspace-events \"\"");
    KIT_UNTIL(kit_is_freed);
    kit.gap = kit.ready = 0;
    kit_ready(FEED_NOTIFY);
    kit.on_gap = stop_feed;
    kit_ask("CONFIG SET notify-keyspace-events lE");
    KIT_UNTIL(kit_had_stop);
    ck_assert(kit.put_back);
    ck_assert_str_eq(kit_flags(), "lE");
    ck_assert(is_cleared());
    kit_end();
}
END_TEST

START_TEST(data_that_changes_unheard_is_no_feed)
{
    kit_begin(NULL);
    kit_user("~* &* +@all -config");
    kit_ready(FEED_NOTIFY);
    for (unsigned i = 0; i < 10 && kit.unusable == 0; i++) {
        kit_ask("SET a %u", i);
        kit_pass(1000000);
    }
    ck_assert_uint_eq(kit.unusable, 1);
    ck_assert_msg(strstr(kit.why, "notify-keyspace-events") != NULL, "%s", kit.why);
    kit_end();
}
END_TEST

UNIT_MAIN("feed/notify", writes_before_a_barrier_are_marked, a_name_that_is_too_long_is_told,
          flags_are_added_and_put_back, flags_that_suffice_are_left_alone,
          nothing_is_changed_before_it_is_recorded, what_another_set_is_not_put_back,
          flags_taken_away_are_a_gap, flags_taken_away_before_a_barrier_cancel_it,
          a_later_process_puts_back_what_an_earlier_one_found, an_intent_that_was_carried_out_is_ours,
          an_intent_that_was_not_carried_out_is_tried_again, another_kind_puts_back_at_its_start,
          a_restarted_server_has_nothing_of_ours, a_source_that_does_not_answer_keeps_the_record,
          the_loss_of_a_connection_is_a_gap, what_the_watch_list_has_is_a_gap, a_flush_is_heard_at_once,
          a_flush_is_seen_where_tracking_is_refused, a_flush_is_seen_where_its_channel_is_refused,
          a_refused_pattern_is_told, a_refused_set_names_the_value, flags_that_cannot_be_read_are_in_doubt,
          it_may_be_freed_or_stopped_in_a_callback, data_that_changes_unheard_is_no_feed)
