#include "lib/feed/watchlist.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct watch_sample sample(void)
{
    struct watch_sample s = {.has_stats = true,
                             .total_commands = 100,
                             .flushes = 1,
                             .swaps = 2,
                             .group_changes = 3,
                             .function_changes = 4,
                             .id = {.role = ROLE_PRIMARY, .run_id = "run", .replid = "replid"}};
    return s;
}

static struct watchlist_news compare(const struct watch_sample *a, const struct watch_sample *b,
                                     enum watchlist_for what)
{
    struct watchpoint before, now;
    struct watchlist_news news;

    memset(&news, 0xff, sizeof(news));
    watchpoint_take(a, &before);
    watchpoint_take(b, &now);
    watchlist_compare(&before, &now, what, &news);
    return news;
}

#define EXPECT(b, what, text, groups_, functions_)                                                           \
    do {                                                                                                     \
        struct watch_sample a_ = sample();                                                                   \
        struct watchlist_news news_ = compare(&a_, &(b), what);                                              \
        ck_assert_str_eq(news_.gap, text);                                                                   \
        ck_assert_int_eq(news_.groups, groups_);                                                             \
        ck_assert_int_eq(news_.functions, functions_);                                                       \
    } while (0)

START_TEST(no_difference_is_no_news)
{
    struct watch_sample b = sample();
    EXPECT(b, WATCHLIST_FOR_MARKS, "", false, false);
    b.total_commands++;
    b.evicted_keys = b.expired_keys = b.rdb_changes = 7;
    EXPECT(b, WATCHLIST_FOR_MARKS, "", false, false);
}
END_TEST

START_TEST(another_server_is_a_gap_but_for_the_stream)
{
    struct watch_sample b = sample();
    strcpy(b.id.run_id, "other");
    EXPECT(b, WATCHLIST_FOR_MARKS, "the source was restarted or replaced: its run id changed", false, true);
    EXPECT(b, WATCHLIST_FOR_NOTHING, "the source was restarted or replaced: its run id changed", false, true);
    b = sample();
    b.id.role = ROLE_REPLICA;
    EXPECT(b, WATCHLIST_FOR_NOTHING, "the source is now a replica", false, true);
    b = sample();
    strcpy(b.id.replid, "other");
    EXPECT(b, WATCHLIST_FOR_MARKS, "the replication id of the source changed", false, true);
    EXPECT(b, WATCHLIST_FOR_GROUPS, "", true, false);
}
END_TEST

START_TEST(flushes_and_swaps_are_gaps)
{
    struct watch_sample b = sample();
    b.flushes++;
    EXPECT(b, WATCHLIST_FOR_MARKS, "the source was flushed", false, false);
    EXPECT(b, WATCHLIST_FOR_NOTHING, "", false, false);
    b = sample();
    b.swaps += 3;
    EXPECT(b, WATCHLIST_FOR_MARKS, "SWAPDB ran on the source", false, false);
}
END_TEST

START_TEST(groups_and_functions_are_news)
{
    struct watch_sample b = sample();
    b.group_changes++;
    EXPECT(b, WATCHLIST_FOR_MARKS, "", true, false);
    b.function_changes++;
    EXPECT(b, WATCHLIST_FOR_MARKS, "", true, true);
    EXPECT(b, WATCHLIST_FOR_NOTHING, "", true, true);
}
END_TEST

START_TEST(a_counter_that_went_back_is_a_gap)
{
    struct watch_sample b = sample();
    b.total_commands = 99;
    EXPECT(b, WATCHLIST_FOR_MARKS, "INFO of the source: total_commands_processed went back: INFO was reset",
           false, true);
    b = sample();
    b.group_changes = 0;
    EXPECT(b, WATCHLIST_FOR_MARKS, "INFO of the source: calls on consumer groups went back: INFO was reset",
           false, true);
    EXPECT(b, WATCHLIST_FOR_NOTHING, "", false, true);
}
END_TEST

START_TEST(unknown_counters_are_a_gap_when_they_begin_and_end)
{
    struct watch_sample a = sample(), b = sample();
    b.has_stats = false;
    ck_assert_int_ne(compare(&a, &b, WATCHLIST_FOR_MARKS).gap[0], 0);
    ck_assert_int_ne(compare(&b, &a, WATCHLIST_FOR_MARKS).gap[0], 0);
    ck_assert_int_eq(compare(&b, &b, WATCHLIST_FOR_MARKS).gap[0], 0);
    b = sample();
    b.swaps = WATCH_UNKNOWN;
    EXPECT(b, WATCHLIST_FOR_MARKS, "INFO of the source: calls of SWAPDB can no longer be read", false, true);
}
END_TEST

START_TEST(a_data_set_that_is_loaded_is_a_gap)
{
    struct watch_sample a = sample(), b = sample();
    b.loading = true;
    EXPECT(b, WATCHLIST_FOR_MARKS, "the source is loading its data set", false, false);
    ck_assert_int_eq(compare(&b, &a, WATCHLIST_FOR_MARKS).gap[0], 0);
    a.id.role = b.id.role = ROLE_REPLICA;
    b.loading = false;
    b.id.primary_link_up = true;
    ck_assert_int_ne(compare(&a, &b, WATCHLIST_FOR_MARKS).gap[0], 0);
    ck_assert_int_eq(compare(&b, &a, WATCHLIST_FOR_MARKS).gap[0], 0);
}
END_TEST

UNIT_MAIN("feed/watchlist", no_difference_is_no_news, another_server_is_a_gap_but_for_the_stream,
          flushes_and_swaps_are_gaps, groups_and_functions_are_news, a_counter_that_went_back_is_a_gap,
          unknown_counters_are_a_gap_when_they_begin_and_end, a_data_set_that_is_loaded_is_a_gap)
