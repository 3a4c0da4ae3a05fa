#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/copy/dirty.h"
#include "tests/unit/unit.h"

#define PLENTY   (64 * MIB)
#define TURN     64 /* dirty.c's: keys in a row of one class, or of one database */
#define NO_DB    (-1)
#define LIVE     DIRTY_LIVE
#define SCAN     DIRTY_SCAN
#define NEVER_US UINT64_MAX

static struct dirty *d;
static size_t empty_bytes;

static void set_up(size_t budget)
{
    ck_assert_int_eq(dirty_new((struct hash_seed){1, 2}, budget, &d), 0);
    empty_bytes = dirty_memory(d);
}

static void tear_down(void)
{
    d = dirty_free(d);
}

static void mark(enum dirty_class class, int db, const char *key, uint64_t now_us)
{
    ck_assert_int_eq(dirty_mark(d, class, db, bytes_str(key), now_us), 0);
}

static bool has(int db, const char *key)
{
    return dirty_has(d, db, bytes_str(key));
}

/* Takes the next, which is to be this one; db NO_DB: of any. */
static struct dirty_key *take(int db, const char *key)
{
    struct dirty_key *k = dirty_take(d);
    ck_assert_msg(k != NULL, "nothing instead of %s", key);
    ck_assert_msg(bytes_is(dirty_name(k), key), "%.*s instead of %s", (int)k->len, k->key, key);
    ck_assert(db == NO_DB || k->db == db);
    ck_assert_int_eq(k->place, DIRTY_IN_FLIGHT);
    return k;
}

static void take_none(void)
{
    ck_assert_ptr_null(dirty_take(d));
}

static void expect(size_t queued, size_t scan_queued, size_t in_flight, size_t waiting, size_t failed)
{
    struct dirty_counts c;
    dirty_counts(d, &c);
    ck_assert_uint_eq(c.queued, queued);
    ck_assert_uint_eq(c.scan_queued, scan_queued);
    ck_assert_uint_eq(c.in_flight, in_flight);
    ck_assert_uint_eq(c.waiting, waiting);
    ck_assert_uint_eq(c.failed, failed);
    ck_assert_uint_eq(dirty_pending(&c), queued + in_flight + waiting);
}

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
        struct dirty_key *k = dirty_take(d);
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

static void mark_many(enum dirty_class class, int db, char letter, unsigned count)
{
    char key[16];
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "%c%05u", letter, i);
        mark(class, db, key, 1);
    }
}

/* How many keys come in a row that begin with the same letter, and which. */
static unsigned row(char *ret_letter)
{
    static struct dirty_key *next;
    struct dirty_key *k = next ? next : dirty_take(d);
    unsigned n = 0;

    *ret_letter = k ? k->key[0] : '\0';
    for (; k && k->key[0] == *ret_letter; k = dirty_take(d)) {
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
    static const unsigned counts[] = {TURN, TURN, TURN, TURN, 150 - 2 * TURN, 500 - 2 * TURN};
    set_up(PLENTY);
    mark_many(SCAN, 0, 's', 500);
    mark_many(LIVE, 0, 'l', 150);
    expect_rows("lslsls", counts);
    tear_down();
}
END_TEST

START_TEST(test_databases_take_turns)
{
    static const unsigned counts[] = {TURN, TURN, 10, TURN, 100 - TURN, 200 - 2 * TURN};
    set_up(PLENTY);
    mark_many(LIVE, 0, 'a', 200);
    mark_many(LIVE, 7, 'b', 100);
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
        struct dirty_key *k = dirty_take(d);
        scanned += k->key[0] == 's';
        dirty_done(d, k);
        snprintf(key, sizeof(key), "m%05u", i);
        mark(LIVE, 0, key, 2);
    }
    ck_assert_uint_eq(scanned, 20 * TURN);
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
    while ((k = dirty_take(d))) {
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
    dirty_release_lost(d, 2000, 0, true); /* it was not lost */
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
    while ((k = dirty_take(d)))
        dirty_put_back(d, k, 1000, 1000000);
    for (uint64_t now_us = 1001; now_us < 101000; now_us++)
        ck_assert_uint_eq(dirty_tick(d, now_us), 1001000);
    ck_assert_uint_eq(dirty_tick(d, 1001000), NEVER_US);
    for (; (k = dirty_take(d)); dirty_done(d, k)) {
        snprintf(key, sizeof(key), "k%05u", n++);
        ck_assert(bytes_is(dirty_name(k), key));
    }
    ck_assert_uint_eq(n, 100000);
    tear_down();
}
END_TEST

/* Lost with the connection to the target. */

START_TEST(test_lost_is_held)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 2);
    mark(LIVE, 0, "c", 3);
    struct dirty_key *a = take(0, "a"), *b = take(0, "b");
    mark(LIVE, 0, "b", 4);
    dirty_put_lost(d, a);
    dirty_put_lost(d, b);
    mark(LIVE, 0, "a", 5);
    expect(1, 0, 0, 2, 0);
    ck_assert_uint_eq(dirty_tick(d, NEVER_US - 1), NEVER_US);
    dirty_done(d, take(0, "c"));
    take_none();
    mark(LIVE, 0, "d", 6);
    dirty_release_lost(d, 100, 0, false);
    expect(3, 0, 0, 0, 0);
    a = take(0, "a");
    ck_assert_uint_eq(a->since_us, 1);
    ck_assert(!a->lost && !a->alone && !a->closes);
    dirty_done(d, a);
    dirty_done(d, take(0, "b"));
    dirty_done(d, take(0, "d"));
    take_none();
    tear_down();
}
END_TEST

START_TEST(test_lost_and_not_fenced)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 1);
    mark(LIVE, 0, "c", 1);
    struct dirty_key *a = take(0, "a"), *b = take(0, "b"), *c = take(0, "c");
    dirty_put_lost(d, a);
    dirty_put_lost(d, b);
    dirty_release_lost(d, 100, 1000, false);
    expect(0, 0, 1, 2, 0);
    dirty_put_lost(d, c); /* the next connection, lost in turn */
    ck_assert_uint_eq(dirty_tick(d, 1099), 1100);
    dirty_release_lost(d, 600, 1000, false); /* of the first two, nothing new is known */
    ck_assert_uint_eq(dirty_tick(d, 1099), 1100);
    ck_assert_uint_eq(dirty_tick(d, 1100), 1600);
    dirty_done(d, take(0, "a"));
    dirty_done(d, take(0, "b"));
    take_none();
    ck_assert_uint_eq(dirty_tick(d, 1600), NEVER_US);
    dirty_done(d, take(0, "c"));
    tear_down();
}
END_TEST

static const char *reason;
static char failed_names[256];

static void on_failed(const struct dirty_key *k, void *arg)
{
    (void)arg;
    reason = k->u.reason;
    strncat(failed_names, k->key, MIN(k->len, sizeof(failed_names) - strlen(failed_names) - 1));
}

static const char *failed(void)
{
    failed_names[0] = '\0';
    reason = NULL;
    dirty_each_failed(d, on_failed, NULL);
    return failed_names;
}

/* Takes that key and loses the connection under it. Was it sent alone? */
static bool lose(const char *key, bool blame)
{
    struct dirty_key *k = take(0, key);
    bool alone = k->alone;
    dirty_put_lost(d, k);
    dirty_release_lost(d, 100, 0, blame);
    return alone;
}

/* R10: a key that the target closes the connection on. */
START_TEST(test_blame)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    for (unsigned i = 0; i < 50; i++)
        ck_assert(!lose("a", false));
    for (unsigned i = 0; i < DIRTY_SUSPECT; i++)
        ck_assert(!lose("a", true));
    ck_assert(lose("a", false)); /* nobody's fault, and counts for nothing */
    for (unsigned i = 0; i < DIRTY_GUILTY; i++) {
        expect(1, 0, 0, 0, 0);
        ck_assert(lose("a", true));
    }
    expect(0, 0, 0, 0, 1);
    ck_assert_str_eq(failed(), "a");
    ck_assert_ptr_nonnull(strstr(reason, "closes"));
    tear_down();
}
END_TEST

START_TEST(test_blame_ends_with_success)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    for (unsigned i = 0; i < DIRTY_SUSPECT + DIRTY_GUILTY - 1; i++)
        lose("a", true);
    struct dirty_key *a = take(0, "a");
    ck_assert(a->alone);
    mark(LIVE, 0, "a", 2);
    dirty_done(d, a);
    ck_assert(!lose("a", true));
    ck_assert(!lose("a", true));
    ck_assert(lose("a", true));
    tear_down();
}
END_TEST

/* Of those that were lost together only the guilty one is failed; each may be sent alone for a while. */
START_TEST(test_blame_of_several)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "x", 1);
    mark(LIVE, 0, "b", 1);
    for (unsigned i = 0; i < DIRTY_SUSPECT; i++) {
        struct dirty_key *a = take(0, "a"), *x = take(0, "x"), *b = take(0, "b");
        dirty_put_lost(d, a);
        dirty_put_lost(d, x);
        dirty_put_lost(d, b);
        dirty_release_lost(d, 100, 0, true);
    }
    struct dirty_key *a = take(0, "a");
    ck_assert(a->alone);
    dirty_done(d, a);
    for (unsigned i = 0; i < DIRTY_GUILTY; i++)
        ck_assert(lose("x", true));
    ck_assert_str_eq(failed(), "x");
    struct dirty_key *b = take(0, "b");
    ck_assert(b->alone);
    dirty_done(d, b);
    take_none();
    expect(0, 0, 0, 0, 1);
    tear_down();
}
END_TEST

/* Failed. */

START_TEST(test_failed_until_marked)
{
    set_up(PLENTY);
    mark(SCAN, 0, "a", 1);
    mark(SCAN, 0, "b", 2);
    dirty_fail(d, take(0, "a"), "too large");
    dirty_fail(d, take(0, "b"), "too large");
    expect(0, 0, 0, 0, 2);
    ck_assert_str_eq(failed(), "ab");
    ck_assert_str_eq(reason, "too large");
    ck_assert(has(0, "a"));
    ck_assert_uint_eq(dirty_oldest_us(d), 0);
    take_none();
    mark(LIVE, 0, "a", 9);
    ck_assert_str_eq(failed(), "b");
    ck_assert_uint_eq(dirty_oldest_us(d), 9);
    mark(SCAN, 0, "b", 10);
    expect(2, 1, 0, 0, 0);
    dirty_done(d, take(0, "a"));
    dirty_done(d, take(0, "b"));
    expect(0, 0, 0, 0, 0);
    ck_assert_uint_eq(dirty_memory(d), empty_bytes);
    tear_down();
}
END_TEST

START_TEST(test_failed_are_tried_again)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 2);
    dirty_fail(d, take(0, "a"), "x");
    dirty_fail(d, take(0, "b"), "x");
    dirty_retry_failed(d);
    expect(2, 0, 0, 0, 0);
    dirty_done(d, take(0, "a"));
    dirty_fail(d, take(0, "b"), "y");
    ck_assert_str_eq(failed(), "b");
    ck_assert_str_eq(reason, "y");
    tear_down();
}
END_TEST

/* What was tried is not what it is now. */
START_TEST(test_failed_but_marked_in_flight)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    struct dirty_key *a = take(0, "a");
    mark(LIVE, 0, "a", 2);
    dirty_fail(d, a, "x");
    expect(1, 0, 0, 0, 0);
    dirty_done(d, take(0, "a"));
    take_none();
    tear_down();
}
END_TEST

/* Memory (R9). */

START_TEST(test_budget)
{
    const size_t budget = 256 * KIB;
    unsigned n = 0;
    char key[64];
    int err;

    set_up(budget);
    do {
        snprintf(key, sizeof(key), "a key of a common length %u", n);
        err = dirty_mark(d, LIVE, 0, bytes_str(key), 1);
        n += err == 0;
        ck_assert_uint_le(dirty_memory(d), budget + budget / 4); /* the table may just have grown */
    } while (err == 0);
    ck_assert_int_eq(err, -ENOBUFS);
    ck_assert_uint_gt(n, 1000);
    ck_assert(!has(0, key));
    ck_assert_int_eq(dirty_mark(d, LIVE, 9, BYTES("another"), 1), -ENOBUFS);
    mark(SCAN, 0, "a key of a common length 7", 2); /* it is there */
    struct dirty_key *k = take(0, "a key of a common length 0");
    mark(LIVE, 0, "a key of a common length 0", 2);
    dirty_done(d, k); /* never refused: it has its place */
    for (; (k = dirty_take(d)); dirty_done(d, k))
        ;
    expect(0, 0, 0, 0, 0);
    mark(LIVE, 0, key, 3);
    tear_down();
}
END_TEST

START_TEST(test_budget_moves)
{
    set_up(PLENTY);
    ck_assert_uint_eq(dirty_budget(d), PLENTY);
    mark(LIVE, 0, "a", 1);
    dirty_set_budget(d, 0);
    ck_assert_uint_eq(dirty_budget(d), 0);
    mark(LIVE, 0, "a", 1);
    ck_assert_int_eq(dirty_mark(d, LIVE, 0, BYTES("b"), 1), -ENOBUFS);
    ck_assert_int_eq(dirty_mark(d, LIVE, 1, BYTES("a"), 1), -ENOBUFS);
    dirty_set_budget(d, PLENTY);
    mark(LIVE, 0, "b", 1);
    tear_down();
}
END_TEST

/* Long names cost what they are long. */
START_TEST(test_memory_of_long_names)
{
    static char name[MIB];
    set_up(PLENTY);
    for (unsigned i = 0; i < 10; i++) {
        name[0] = (char)i;
        ck_assert_int_eq(dirty_mark(d, LIVE, 0, bytes_of(name, sizeof(name)), 1), 0);
        ck_assert_uint_ge(dirty_memory(d), empty_bytes + (i + 1) * MIB);
        ck_assert_uint_le(dirty_memory(d), empty_bytes + (i + 1) * (MIB + 8192));
    }
    dirty_clear(d);
    ck_assert_uint_eq(dirty_memory(d), empty_bytes);
    tear_down();
}
END_TEST

START_TEST(test_clear)
{
    set_up(PLENTY);
    for (const char *key = "abcdefg"; *key; key++)
        ck_assert_int_eq(dirty_mark(d, LIVE, 0, bytes_of(key, 1), 1), 0);
    mark(SCAN, 4, "s", 1);
    dirty_settle_begin(d, 2);
    struct dirty_key *a = take(0, "a"), *b = take(0, "b"), *c = take(0, "c"), *e = take(0, "d");
    dirty_fail(d, b, "x");
    dirty_put_back(d, c, 10, 10);
    dirty_put_lost(d, e);
    mark(LIVE, 0, "a", 3);
    dirty_clear(d);
    /* The former connection may still write what was lost on it: it may not be forgotten (R2). */
    expect(0, 0, 1, 1, 0);
    ck_assert(has(0, "a") && has(0, "d") && !has(0, "b") && !has(0, "c") && !has(4, "s"));
    mark(LIVE, 0, "d", 4);
    take_none();
    dirty_release_lost(d, 100, 50, false);
    dirty_clear(d);
    mark(LIVE, 0, "d", 101);
    take_none();
    ck_assert_uint_eq(dirty_tick(d, 150), NEVER_US);
    ck_assert(!dirty_settled(d));
    dirty_done(d, take(0, "d"));
    dirty_done(d, a);
    dirty_done(d, take(0, "a"));
    ck_assert(dirty_settled(d));
    take_none();
    ck_assert_uint_eq(dirty_memory(d), empty_bytes);
    tear_down();
}
END_TEST

/* Settling. */

START_TEST(test_settled)
{
    set_up(PLENTY);
    ck_assert(dirty_settled(d));
    dirty_settle_begin(d, 1);
    ck_assert(dirty_settled(d));
    mark(LIVE, 0, "a", 5);
    mark(SCAN, 0, "b", 5);
    mark(LIVE, 0, "c", 5);
    ck_assert(dirty_settled(d)); /* they came later */
    struct dirty_key *c = take(0, "a");
    dirty_fail(d, take(0, "c"), "x");
    dirty_settle_begin(d, 10);
    ck_assert(!dirty_settled(d));
    dirty_done(d, c);
    mark(LIVE, 0, "a", 11);
    mark(LIVE, 0, "b", 11);
    mark(LIVE, 0, "c", 11);
    dirty_done(d, take(0, "a"));
    ck_assert(!dirty_settled(d));
    dirty_done(d, take(0, "b"));
    ck_assert(dirty_settled(d));
    expect(1, 0, 0, 0, 0);
    tear_down();
}
END_TEST

START_TEST(test_settled_and_marked_in_flight)
{
    set_up(PLENTY);
    mark(LIVE, 0, "before", 1);
    mark(LIVE, 0, "after", 1);
    mark(LIVE, 0, "same", 1);
    struct dirty_key *before = take(0, "before"), *after = take(0, "after"), *same = take(0, "same");
    mark(LIVE, 0, "before", 5);
    mark(LIVE, 0, "same", 10);
    dirty_settle_begin(d, 10);
    mark(LIVE, 0, "before", 11);
    mark(LIVE, 0, "after", 11);
    dirty_done(d, after);
    dirty_done(d, before);
    dirty_done(d, same);
    ck_assert(!dirty_settled(d));
    dirty_done(d, take(0, "after"));
    dirty_done(d, take(0, "before"));
    ck_assert(!dirty_settled(d)); /* in the same microsecond: who knows */
    dirty_done(d, take(0, "same"));
    ck_assert(dirty_settled(d));
    tear_down();
}
END_TEST

START_TEST(test_settled_and_not_copied)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 1);
    mark(LIVE, 0, "c", 1);
    dirty_settle_begin(d, 2);
    dirty_put_back(d, take(0, "a"), 3, 10);
    dirty_put_lost(d, take(0, "b"));
    dirty_put_last(d, take(0, "c"));
    dirty_done(d, take(0, "c"));
    ck_assert_uint_eq(dirty_tick(d, 13), NEVER_US);
    dirty_settle_begin(d, 14);        /* another begins before the first was over */
    dirty_fail(d, take(0, "a"), "x"); /* told, and a blocker: not waited for */
    ck_assert(!dirty_settled(d));
    dirty_release_lost(d, 20, 0, false);
    ck_assert(!dirty_settled(d));
    dirty_done(d, take(0, "b"));
    ck_assert(dirty_settled(d));
    dirty_retry_failed(d);
    ck_assert(dirty_settled(d));
    dirty_settle_begin(d, 30);
    ck_assert(!dirty_settled(d));
    dirty_done(d, take(0, "a"));
    ck_assert(dirty_settled(d));
    tear_down();
}
END_TEST

UNIT_MAIN("copy/dirty", test_once_however_often, test_names_are_binary, test_first_come_first_served,
          test_marked_in_flight, test_marked_in_flight_and_put_back, test_class_of_a_mark_in_flight,
          test_live_mark_of_a_scanned_key, test_classes_take_turns, test_databases_take_turns,
          test_scan_is_not_starved, test_hot_key_goes_behind, test_many_databases, test_put_back_at_once,
          test_put_back_for_a_while, test_put_back_for_ever, test_put_last, test_many_waiting,
          test_lost_is_held, test_lost_and_not_fenced, test_blame, test_blame_ends_with_success,
          test_blame_of_several, test_failed_until_marked, test_failed_are_tried_again,
          test_failed_but_marked_in_flight, test_budget, test_budget_moves, test_memory_of_long_names,
          test_clear, test_settled, test_settled_and_marked_in_flight, test_settled_and_not_copied)
