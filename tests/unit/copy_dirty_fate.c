#include "tests/unit/copy_dirty_kit.h"

/* Lost with the connection to the target. */

START_TEST(test_lost_is_held)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 2);
    mark(LIVE, 0, "c", 3);
    struct dirty_key *a = take(0, "a"), *b = take(0, "b");
    mark(LIVE, 0, "b", 4);
    dirty_put_lost(d, a, 0);
    dirty_put_lost(d, b, 0);
    mark(LIVE, 0, "a", 5);
    expect(1, 0, 0, 2, 0);
    ck_assert_uint_eq(dirty_tick(d, NEVER_US - 1), NEVER_US);
    dirty_done(d, take(0, "c"));
    take_none();
    mark(LIVE, 0, "d", 6);
    dirty_release_lost(d, 0, 100, 0, false);
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
    dirty_put_lost(d, a, 0);
    dirty_put_lost(d, b, 0);
    dirty_release_lost(d, 0, 100, 1000, false);
    expect(0, 0, 1, 2, 0);
    dirty_put_lost(d, c, 0); /* the next connection, lost in turn */
    ck_assert_uint_eq(dirty_tick(d, 1099), 1100);
    dirty_release_lost(d, 0, 600, 1000, false); /* of the first two, nothing new is known */
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

/* R2: each node of the target lets go of its own. */
START_TEST(test_lost_at_two_nodes)
{
    set_up(PLENTY);
    mark(LIVE, 0, "a", 1);
    mark(LIVE, 0, "b", 1);
    dirty_put_lost(d, take(0, "a"), 1);
    dirty_put_lost(d, take(0, "b"), 2);
    dirty_release_lost(d, 2, 100, 0, false);
    expect(1, 0, 0, 1, 0);
    dirty_done(d, take(0, "b"));
    take_none();
    dirty_release_lost(d, 1, 100, 0, false);
    dirty_done(d, take(0, "a"));
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
    dirty_put_lost(d, k, 0);
    dirty_release_lost(d, 0, 100, 0, blame);
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
        dirty_put_lost(d, a, 0);
        dirty_put_lost(d, x, 0);
        dirty_put_lost(d, b, 0);
        dirty_release_lost(d, 0, 100, 0, true);
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

struct wanted {
    int db;
    const char *key;
    bool found;
};

static void is_wanted(const struct dirty_key *k, void *arg)
{
    struct wanted *w = arg;
    w->found |= k->db == w->db && bytes_is(dirty_name(k), w->key);
}

/* By name. */
static bool is_failed(int db, const char *key)
{
    struct wanted w = {.db = db, .key = key};
    dirty_each_failed(d, is_wanted, &w);
    return w.found;
}

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
    ck_assert(is_failed(0, "a") && !has(0, "a"));
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

/* However many fail, the others find room; those without a name are counted, until a resync finds them again.
 */
START_TEST(test_many_failed)
{
    struct dirty_counts c;
    char key[32];
    size_t unnamed;

    set_up(256 * KIB);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "a key of a common length %u", i);
        mark(LIVE, 0, key, 1);
        dirty_fail(d, take(0, key), "x");
    }
    dirty_counts(d, &c);
    unnamed = c.failed_unnamed;
    ck_assert_uint_gt(c.failed, 100);
    ck_assert_uint_eq(c.failed + unnamed, 5000);
    ck_assert_uint_eq(dirty_pending(&c), 0);
    ck_assert_uint_le(dirty_memory(d), 256 * KIB / 3);
    ck_assert_uint_eq(dirty_live_memory(d), 0);
    ck_assert(is_failed(0, "a key of a common length 0") && !is_failed(0, key) && !has(0, key));
    mark(LIVE, 0, key, 2); /* as any other */
    ck_assert_uint_gt(dirty_live_memory(d), 0);
    dirty_done(d, take(0, key));
    dirty_retry_failed(d);
    dirty_forget_unnamed(d);
    dirty_counts(d, &c);
    ck_assert_uint_eq(c.queued, 5000 - unnamed);
    ck_assert_uint_eq(c.failed + c.failed_unnamed, 0);
    for (struct dirty_key *k; (k = dirty_take(d, UINT64_MAX));)
        dirty_fail(d, k, "x"); /* and they fit again */
    dirty_counts(d, &c);
    ck_assert_uint_eq(c.failed, 5000 - unnamed);
    ck_assert_uint_eq(c.failed_unnamed, 0);
    dirty_clear(d);
    ck_assert_uint_eq(dirty_live_memory(d), 0);
    ck_assert(!has(0, "a key of a common length 0") && !is_failed(0, "a key of a common length 0"));
    tear_down();
}
END_TEST

/* Memory (R9). */

/* A table that has grown does not keep for ever what the keys need no longer. */
START_TEST(test_memory_is_given_back)
{
    struct dirty_key *k;

    set_up(PLENTY);
    mark_many(LIVE, 0, 'k', 90000);
    ck_assert_uint_gt(dirty_memory(d), 4 * MIB);
    while ((k = dirty_take(d, UINT64_MAX)))
        dirty_done(d, k);
    ck_assert_uint_le(dirty_memory(d), 4 * empty_bytes);
    tear_down();
}
END_TEST

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
    for (; (k = dirty_take(d, UINT64_MAX)); dirty_done(d, k))
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
    dirty_put_lost(d, e, 0);
    mark(LIVE, 0, "a", 3);
    dirty_clear(d);
    /* The former connection may still write what was lost on it: it may not be forgotten (R2). */
    expect(0, 0, 1, 1, 0);
    ck_assert(has(0, "a") && has(0, "d") && !has(0, "b") && !has(0, "c") && !has(4, "s"));
    mark(LIVE, 0, "d", 4);
    take_none();
    dirty_release_lost(d, 0, 100, 50, false);
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
    ck_assert_uint_eq(dirty_failures(d), 0);
    dirty_fail(d, take(0, "c"), "x");
    ck_assert_uint_eq(dirty_failures(d), 1);
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
    dirty_put_lost(d, take(0, "b"), 0);
    dirty_put_last(d, take(0, "c"));
    dirty_done(d, take(0, "c"));
    ck_assert_uint_eq(dirty_tick(d, 13), NEVER_US);
    dirty_settle_begin(d, 14);        /* another begins before the first was over */
    dirty_fail(d, take(0, "a"), "x"); /* told, and a blocker: not waited for */
    ck_assert(!dirty_settled(d));
    dirty_release_lost(d, 0, 20, 0, false);
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

UNIT_MAIN("copy/dirty, what becomes of keys", test_lost_is_held, test_lost_and_not_fenced,
          test_lost_at_two_nodes, test_blame, test_blame_ends_with_success, test_blame_of_several,
          test_failed_until_marked, test_failed_are_tried_again, test_failed_but_marked_in_flight,
          test_many_failed, test_memory_is_given_back, test_budget, test_budget_moves,
          test_memory_of_long_names, test_clear, test_settled, test_settled_and_marked_in_flight,
          test_settled_and_not_copied)
