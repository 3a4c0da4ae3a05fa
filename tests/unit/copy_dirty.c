#include "tests/unit/copy_dirty_kit.h"

START_TEST(test_once_however_often)
{
    set_up(PLENTY);
    take_none();
    for (int i = 0; i < 10; i++)
        mark(LIVE, 0, "a", 1);
    mark(LIVE, 1, "a", 1);
    expect(2, 0, 0, 0, 0);
    ck_assert(has(0, "a") && has(1, "a") && !has(2, "a") && !has(0, "b"));
    dirty_done(d, take(0, "a"));
    dirty_done(d, take(1, "a"));
    take_none();
    expect(0, 0, 0, 0, 0);
    ck_assert_uint_eq(dirty_memory(d), empty_bytes);
    tear_down();
}
END_TEST

START_TEST(test_names_are_binary)
{
    static const struct bytes names[] = {BYTES(""),     BYTES("\0"), BYTES("\0\0"),
                                         BYTES("a\0b"), BYTES("a"),  BYTES("\xff\r\n")};
    set_up(PLENTY);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        ck_assert_int_eq(dirty_mark(d, LIVE, 0, names[i], 1), 0);
    expect(ARRAY_LEN(names), 0, 0, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct dirty_key *k = dirty_take(d, UINT64_MAX);
        ck_assert(bytes_equal(dirty_name(k), names[i]));
        dirty_done(d, k);
    }
    tear_down();
}
END_TEST

START_TEST(test_first_come_first_served)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 2);
    mark(LIVE, 0, "c", 3);
    mark(LIVE, 0, "a", 4);
    ck_assert_uint_eq(dirty_oldest_us(d), 1);
    struct dirty_key *a = take(0, "a"), *b = take(0, "b");
    dirty_done(d, a);
    ck_assert_uint_eq(dirty_oldest_us(d), 2);
    dirty_done(d, b);
    dirty_done(d, take(0, "c"));
    ck_assert_uint_eq(dirty_oldest_us(d), 0);
    tear_down();
}
END_TEST

/* R1 and R2: a mark in flight is another mark, and comes to its turn after the reply, once. */
START_TEST(test_marked_in_flight)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 10);
    struct dirty_key *k = take(0, "a");
    mark(LIVE, 0, "b", 20);
    mark(LIVE, 0, "a", 30);
    mark(SCAN, 0, "a", 40);
    expect(1, 0, 1, 0, 0);
    take(0, "b");
    take_none();
    dirty_done(d, k);
    ck_assert(has(0, "a"));
    ck_assert_uint_eq(dirty_oldest_us(d), 20);
    k = take(0, "a");
    ck_assert_uint_eq(k->since_us, 30);
    ck_assert(!k->again);
    dirty_done(d, k);
    take_none();
    ck_assert(!has(0, "a"));
    tear_down();
}
END_TEST

/* Whatever it waits for: another state of it may be under way. */
START_TEST(test_only_what_is_not_in_the_set_flies)
{
    static const struct bytes key = {"k", 1};

    set_up(PLENTY);
    struct dirty_key *k = dirty_fly(d, 0, key, 10);
    ck_assert_ptr_nonnull(k);
    expect(0, 0, 1, 0, 0);
    ck_assert_uint_eq(dirty_oldest_us(d), 10);
    ck_assert_ptr_null(dirty_fly(d, 0, key, 11));
    ck_assert_ptr_nonnull(dirty_fly(d, 1, key, 11));
    dirty_put_lost(d, k, 0);
    ck_assert_ptr_null(dirty_fly(d, 0, key, 12));
    dirty_release_lost(d, 0, 13, 0, false);
    ck_assert_ptr_null(dirty_fly(d, 0, key, 14));
    dirty_fail(d, take(0, "k"), "it fails");
    ck_assert_ptr_null(dirty_fly(d, 0, key, 15));
    tear_down();
}
END_TEST

START_TEST(test_a_key_that_flew_is_queued_when_it_was_marked)
{
    set_up(PLENTY);
    dirty_settle_begin(d, 5);
    struct dirty_key *k = dirty_fly(d, 0, BYTES("k"), 10);
    dirty_settle_begin(d, 11);
    ck_assert(!dirty_settled(d));
    mark(LIVE, 0, "k", 12);
    dirty_done(d, k);
    ck_assert(dirty_settled(d));
    expect(1, 0, 0, 0, 0);
    dirty_done(d, take(0, "k"));
    ck_assert(!has(0, "k"));
    tear_down();
}
END_TEST

START_TEST(test_without_room_nothing_flies)
{
    set_up(1);
    ck_assert_ptr_null(dirty_fly(d, 0, BYTES("k"), 10));
    expect(0, 0, 0, 0, 0);
    tear_down();
}
END_TEST

START_TEST(test_marked_in_flight_and_put_back)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 10);
    struct dirty_key *k = take(0, "a");
    mark(LIVE, 0, "a", 30);
    dirty_put_back(d, k, 40, 0);
    k = take(0, "a");
    ck_assert_uint_eq(k->since_us, 10); /* no copy has answered the first */
    dirty_done(d, k);
    take_none();
    tear_down();
}
END_TEST

/* The scan's mark of a hot key is no reason to count it as the scan's. */
START_TEST(test_class_of_a_mark_in_flight)
{
    set_up(PLENTY);
    mark(SCAN, 0, "a", 1);
    mark(SCAN, 0, "b", 1);
    struct dirty_key *a = take(0, "a"), *b = take(0, "b");
    mark(LIVE, 0, "a", 2);
    mark(SCAN, 0, "b", 2);
    dirty_put_back(d, a, 3, 0);
    dirty_done(d, b);
    expect(2, 1, 0, 0, 0);
    dirty_done(d, take(0, "a"));
    a = take(0, "b");
    mark(LIVE, 0, "b", 3);
    mark(SCAN, 0, "b", 4);
    dirty_done(d, a);
    expect(1, 0, 0, 0, 0);
    tear_down();
}
END_TEST

START_TEST(test_live_mark_of_a_scanned_key)
{
    set_up(PLENTY);
    mark(SCAN, 0, "a", 1);
    mark(SCAN, 0, "b", 2);
    mark(SCAN, 3, "a", 2);
    expect(3, 3, 0, 0, 0);
    mark(LIVE, 0, "b", 5);
    expect(3, 2, 0, 0, 0);
    mark(SCAN, 0, "b", 6);
    expect(3, 2, 0, 0, 0);
    struct dirty_key *k = take(0, "b");
    ck_assert_uint_eq(k->since_us, 2);
    dirty_done(d, k);
    dirty_done(d, take(0, "a"));
    dirty_done(d, take(3, "a"));
    take_none();
    tear_down();
}
END_TEST

/* How many keys come in a row that begin with the same letter, and which. */
static unsigned row(char *ret_letter)
{
    static struct dirty_key *next;
    struct dirty_key *k = next ? next : dirty_take(d, UINT64_MAX);
    unsigned n = 0;

    *ret_letter = k ? k->key[0] : '\0';
    for (; k && k->key[0] == *ret_letter; k = dirty_take(d, UINT64_MAX)) {
        dirty_done(d, k);
        n++;
    }
    next = k;
    return n;
}

static void expect_rows(const char *letters, const unsigned *counts)
{
    char letter;
    for (; *letters; letters++, counts++) {
        unsigned n = row(&letter);
        ck_assert_msg(letter == *letters && n == *counts, "%u of %c", n, letter);
    }
    ck_assert_uint_eq(row(&letter), 0);
}

/* R12 */
START_TEST(test_classes_take_turns)
{
    static const unsigned counts[] = {TURN, TURN, TURN, TURN, 22, 6 * TURN};
    set_up(PLENTY);
    mark_many(SCAN, 0, 's', 8 * TURN);
    mark_many(LIVE, 0, 'l', 2 * TURN + 22);
    expect_rows("lslsls", counts);
    tear_down();
}
END_TEST

START_TEST(test_databases_take_turns)
{
    static const unsigned counts[] = {TURN, TURN, 10, TURN, 36, 8};
    set_up(PLENTY);
    mark_many(LIVE, 0, 'a', 2 * TURN + 8);
    mark_many(LIVE, 7, 'b', TURN + 36);
    mark_many(LIVE, 3, 'c', 10);
    expect_rows("abcaba", counts);
    tear_down();
}
END_TEST

/* However fast live marks come, every second key is the scan's. */
START_TEST(test_scan_is_not_starved)
{
    unsigned scanned = 0;
    char key[16];

    set_up(PLENTY);
    mark_many(SCAN, 0, 's', 5000);
    mark_many(LIVE, 0, 'l', 1000);
    for (unsigned i = 0; i < 40 * TURN; i++) {
        struct dirty_key *k = dirty_take(d, UINT64_MAX);
        scanned += k->key[0] == 's';
        dirty_done(d, k);
        snprintf(key, sizeof(key), "m%05u", i);
        mark(LIVE, 0, key, 2);
    }
    ck_assert_uint_eq(scanned, 20 * TURN);
    tear_down();
}
END_TEST

/* What was marked later rests, and the scan goes on meanwhile; what rests goes first once it may. */
START_TEST(test_live_marks_rest)
{
    set_up(PLENTY);
    ck_assert_uint_eq(dirty_live_since_us(d), UINT64_MAX);
    mark(LIVE, 3, "a", 10);
    mark(LIVE, 3, "b", 20);
    mark(SCAN, 0, "s", 5);
    mark(SCAN, 0, "t", 5);
    ck_assert_uint_eq(dirty_live_since_us(d), 10);
    ck_assert(bytes_is(dirty_name(dirty_take(d, 9)), "s"));
    struct dirty_key *a = dirty_take(d, 10);
    ck_assert(bytes_is(dirty_name(a), "a"));
    ck_assert_uint_eq(dirty_live_since_us(d), 20);
    ck_assert(bytes_is(dirty_name(dirty_take(d, 19)), "t"));
    ck_assert_ptr_null(dirty_take(d, 19));
    mark(LIVE, 3, "a", 30); /* in flight: it rests from this mark on */
    dirty_done(d, a);
    ck_assert(bytes_is(dirty_name(dirty_take(d, 29)), "b"));
    ck_assert_ptr_null(dirty_take(d, 29));
    ck_assert_uint_eq(dirty_live_since_us(d), 30);
    ck_assert(bytes_is(dirty_name(dirty_take(d, 30)), "a"));
    ck_assert_uint_eq(dirty_live_since_us(d), UINT64_MAX);
    tear_down();
}
END_TEST

/* A database whose keys are all taken does not hide what the next one has. */
START_TEST(test_live_marks_of_databases_rest)
{
    set_up(PLENTY);
    mark(LIVE, 1, "a", 10);
    mark(LIVE, 2, "b", 20);
    ck_assert(bytes_is(dirty_name(dirty_take(d, 15)), "a"));
    ck_assert_uint_eq(dirty_live_since_us(d), 20);
    ck_assert_ptr_null(dirty_take(d, 15));
    ck_assert(bytes_is(dirty_name(dirty_take(d, 20)), "b"));
    tear_down();
}
END_TEST

START_TEST(test_hot_key_goes_behind)
{
    char cold[16];

    set_up(PLENTY);
    mark(LIVE, 0, "hot", 1);
    mark_many(LIVE, 0, 'c', 200);
    for (unsigned i = 0; i < 200; i++) {
        if (i == 0) {
            struct dirty_key *hot = take(0, "hot");
            mark(LIVE, 0, "hot", 2);
            dirty_done(d, hot);
        }
        snprintf(cold, sizeof(cold), "c%05u", i);
        dirty_done(d, take(0, cold));
        mark(LIVE, 0, "hot", 3);
    }
    dirty_done(d, take(0, "hot"));
    take_none();
    tear_down();
}
END_TEST

START_TEST(test_many_databases)
{
    size_t seen[1000] = {0};
    struct dirty_key *k;

    set_up(PLENTY);
    for (int db = 0; db < 1000; db++) {
        mark(db % 2 ? LIVE : SCAN, db, "a", 1);
        mark(LIVE, db, "b", 1);
    }
    while ((k = dirty_take(d, UINT64_MAX))) {
        seen[k->db]++;
        dirty_done(d, k);
    }
    for (int db = 0; db < 1000; db++)
        ck_assert_uint_eq(seen[db], 2);
    expect(0, 0, 0, 0, 0);
    tear_down();
}
END_TEST

/* Not copied. */

START_TEST(test_put_back_at_once)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 2);
    mark(SCAN, 0, "s", 3);
    dirty_put_back(d, take(0, "a"), 5, 0);
    struct dirty_key *a = take(0, "a"), *b = take(0, "b"), *s = take(0, "s");
    dirty_put_back(d, s, 5, 0);
    dirty_put_back(d, b, 5, 0);
    dirty_put_back(d, a, 5, 0);
    expect(3, 1, 0, 0, 0);
    take(0, "a");
    take(0, "b");
    take(0, "s");
    tear_down();
}
END_TEST

START_TEST(test_put_back_for_a_while)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 1);
    mark(LIVE, 0, "c", 1);
    ck_assert_uint_eq(dirty_tick(d, 1000), NEVER_US);
    struct dirty_key *a = take(0, "a"), *b = take(0, "b"), *c = take(0, "c");
    dirty_put_back(d, a, 1000, 300);
    dirty_put_back(d, b, 1000, 100);
    dirty_put_back(d, c, 1000, 300);
    expect(0, 0, 0, 3, 0);
    take_none();
    mark(LIVE, 0, "a", 1050); /* it is looked at when it is due: that answers this mark too */
    expect(0, 0, 0, 3, 0);
    ck_assert_uint_eq(dirty_tick(d, 1099), 1100);
    take_none();
    ck_assert_uint_eq(dirty_tick(d, 1100), 1300);
    expect(1, 0, 0, 2, 0);
    dirty_done(d, take(0, "b"));
    ck_assert_uint_eq(dirty_tick(d, 5000), NEVER_US);
    a = take(0, "a");
    ck_assert_uint_eq(a->since_us, 1);
    dirty_done(d, a);
    dirty_done(d, take(0, "c"));
    take_none();
    tear_down();
}
END_TEST

START_TEST(test_put_back_for_ever)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    dirty_put_back(d, take(0, "a"), 1000, NEVER_US);
    ck_assert_uint_eq(dirty_tick(d, NEVER_US - 1), NEVER_US);
    expect(0, 0, 0, 1, 0);
    dirty_release_lost(d, 0, 2000, 0, true); /* it was not lost */
    expect(0, 0, 0, 1, 0);
    tear_down();
}
END_TEST

START_TEST(test_put_last)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 2);
    struct dirty_key *a = take(0, "a");
    mark(LIVE, 0, "a", 3);
    dirty_put_last(d, a);
    dirty_done(d, take(0, "b"));
    a = take(0, "a");
    ck_assert_uint_eq(a->since_us, 1);
    dirty_done(d, a);
    take_none();
    tear_down();
}
END_TEST

/* Thousands that wait cost nothing while none is due, and those that wait as long come in their order. */
START_TEST(test_many_waiting)
{
    struct dirty_key *k;
    unsigned n = 0;
    char key[16];

    set_up(PLENTY);
    mark_many(LIVE, 0, 'k', 100000);
    while ((k = dirty_take(d, UINT64_MAX)))
        dirty_put_back(d, k, 1000, 1000000);
    uint64_t other = 0;
    for (uint64_t now_us = 1001; now_us < 101000; now_us++)
        other += dirty_tick(d, now_us) != 1001000;
    ck_assert_uint_eq(other, 0);
    ck_assert_uint_eq(dirty_tick(d, 1001000), NEVER_US);
    for (; (k = dirty_take(d, UINT64_MAX)); dirty_done(d, k)) {
        snprintf(key, sizeof(key), "k%05u", n++);
        ck_assert(bytes_is(dirty_name(k), key));
    }
    ck_assert_uint_eq(n, 100000);
    tear_down();
}
END_TEST

/* Keys that become another set's. */

static bool begins_with_x(struct bytes key, const void *of)
{
    (void)of;
    return key.len && key.ptr[0] == 'x';
}

static void note_taken(const struct dirty_key *k, void *arg)
{
    size_t *n = arg;
    ck_assert(begins_with_x(dirty_name(k), NULL));
    ++*n;
}

START_TEST(test_taken_out)
{
    size_t n = 0;

    set_up(PLENTY);
    mark(LIVE, 0, "x-flies", 1);
    mark(LIVE, 0, "x-fails", 1);
    mark(LIVE, 0, "x-lost", 1);
    mark(LIVE, 0, "x-waits", 1);
    mark(LIVE, 0, "y-flies", 1);
    mark(LIVE, 0, "y-waits", 1);
    struct dirty_key *flies = take(0, "x-flies");
    dirty_fail(d, take(0, "x-fails"), "x");
    dirty_put_lost(d, take(0, "x-lost"), 0);
    dirty_put_back(d, take(0, "x-waits"), 1, 100);
    struct dirty_key *other = take(0, "y-flies");
    dirty_put_back(d, take(0, "y-waits"), 1, 100);
    mark(LIVE, 3, "x-queued", 2);
    mark(SCAN, 0, "x-scanned", 2);
    mark(SCAN, 0, "y-scanned", 2);
    dirty_settle_begin(d, 3);
    ck_assert_uint_eq(dirty_busy(d, begins_with_x, NULL), 2);
    dirty_take_out(d, begins_with_x, NULL, note_taken, &n);
    ck_assert_uint_eq(n, 4); /* queued, scanned, waiting, failed */
    ck_assert_uint_eq(dirty_busy(d, begins_with_x, NULL), 2);
    ck_assert(has(0, "y-waits") && has(0, "y-scanned") && has(0, "x-lost") && !has(3, "x-queued"));
    dirty_done(d, flies);
    dirty_done(d, other);
    dirty_release_lost(d, 0, 4, 0, false);
    ck_assert_uint_eq(dirty_busy(d, begins_with_x, NULL), 0);
    dirty_take_out(d, begins_with_x, NULL, note_taken, &n);
    ck_assert_uint_eq(n, 5);
    ck_assert_uint_eq(dirty_tick(d, 1000), NEVER_US);
    dirty_done(d, dirty_take(d, UINT64_MAX));
    dirty_done(d, dirty_take(d, UINT64_MAX));
    take_none();
    ck_assert(dirty_settled(d));
    tear_down();
}
END_TEST

UNIT_MAIN("copy/dirty", test_once_however_often, test_names_are_binary, test_first_come_first_served,
          test_marked_in_flight, test_marked_in_flight_and_put_back, test_class_of_a_mark_in_flight,
          test_live_mark_of_a_scanned_key, test_classes_take_turns, test_databases_take_turns,
          test_scan_is_not_starved, test_live_marks_rest, test_live_marks_of_databases_rest,
          test_hot_key_goes_behind, test_only_what_is_not_in_the_set_flies,
          test_a_key_that_flew_is_queued_when_it_was_marked, test_without_room_nothing_flies,
          test_many_databases, test_put_back_at_once, test_put_back_for_a_while, test_put_back_for_ever,
          test_put_last, test_many_waiting, test_taken_out)
