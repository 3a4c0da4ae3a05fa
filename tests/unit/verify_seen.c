#include <errno.h>
#include <stdio.h>

#include "lib/verify/seen.h"
#include "lib/verify/suspect.h"
#include "tests/unit/unit.h"

static struct bytes name_of(unsigned n)
{
    static char name[32];
    return bytes_of(name, (size_t)snprintf(name, sizeof(name), "key:%u", n));
}

/* What a verify promises to count exactly fits into what it gives to it. */
START_TEST(test_each_once)
{
    struct seen *s;
    ck_assert_int_eq(seen_new((struct hash_seed){1, 2}, 3 * MIB, 100000, &s), 0);
    for (unsigned n = 0; n < 100000; n++) {
        ck_assert(!seen_has(s, 0, name_of(n)));
        ck_assert_int_eq(seen_add(s, 0, name_of(n)), 0);
        ck_assert_int_eq(seen_add(s, 0, name_of(n / 2)), 0);
    }
    ck_assert_uint_eq(seen_count(s), 100000);
    ck_assert_int_eq(seen_add(s, 0, name_of(100000)), -ENOSPC);
    ck_assert(!seen_has(s, 0, name_of(100000)));
    ck_assert(!seen_has(s, 1, name_of(7))); /* of another database */
    ck_assert_int_eq(seen_add(s, 0, name_of(7)), 0);
    for (unsigned n = 0; n < 100000; n++)
        ck_assert(seen_has(s, 0, name_of(n)));
    seen_free(s);
}
END_TEST

START_TEST(test_less_memory)
{
    struct seen *s;
    unsigned n = 0;
    ck_assert_int_eq(seen_new((struct hash_seed){1, 2}, MIB / 4 * 3, 100000, &s), 0);
    while (seen_add(s, 0, name_of(n)) == 0)
        n++;
    ck_assert_uint_gt(n, 26000);
    ck_assert_uint_lt(n, 32768);
    ck_assert_uint_eq(seen_count(s), n);
    ck_assert(seen_has(s, 0, name_of(n - 1)) && !seen_has(s, 0, name_of(n)));
    seen_free(s);
    seen_free(NULL);
}
END_TEST

START_TEST(test_suspects_in_their_lists)
{
    struct suspects *t;
    struct suspect *one, *two, *three;

    ck_assert_int_eq(suspects_new((struct hash_seed){1, 2}, &t), 0);
    ck_assert_int_eq(suspects_add(t, 0, BYTES("one"), &one), 0);
    ck_assert_int_eq(suspects_add(t, 0, BYTES("two"), &two), 0);
    ck_assert_int_eq(suspects_add(t, 1, BYTES("one"), &three), 0);
    ck_assert_uint_eq(suspects_count(t), 3);
    ck_assert_uint_eq(suspects_bytes(t), 3 * suspect_cost(3));
    ck_assert_ptr_eq(suspects_find(t, 1, BYTES("one")), three);
    ck_assert_ptr_null(suspects_find(t, 1, BYTES("two")));
    ck_assert_ptr_eq(suspects_first(t, SUSPECT_READY), one);
    suspects_move(t, one, SUSPECT_READY, 0); /* to its end */
    ck_assert_ptr_eq(suspects_first(t, SUSPECT_READY), two);
    suspects_move(t, two, SUSPECT_DIRTY, 7);
    ck_assert_ptr_eq(suspects_first(t, SUSPECT_READY), three);
    ck_assert_uint_eq(suspects_first(t, SUSPECT_DIRTY)->due_us, 7);
    suspects_drop(t, three);
    ck_assert_ptr_eq(suspects_first(t, SUSPECT_READY), one);
    suspects_drop(t, one);
    ck_assert_ptr_null(suspects_first(t, SUSPECT_READY));
    ck_assert_uint_eq(suspects_bytes(t), suspect_cost(3));
    suspects_free(t);
    suspects_free(NULL);
}
END_TEST

START_TEST(test_sights)
{
    struct compare_side side = {.exists = true, .type = RDB_SET, .expire_at_ms = 1000, .body = {1, 2}};
    struct sight a = sight_of(&side), b = a;

    ck_assert(sight_same(&a, &b, 0));
    b.expire_at_ms = 1005;
    ck_assert(sight_same(&a, &b, 5) && !sight_same(&a, &b, 4) && !sight_same(&b, &a, 4));
    a.expire_at_ms = 0;
    b.expire_at_ms = 3;
    ck_assert(!sight_same(&a, &b, 5)); /* never is far from soon */
    side.digest = (struct value_digest){.type = RDB_SET, .elements = 2, .sum = {7, 8}};
    a = sight_of(&side);
    side.body.low = 99; /* in another order: the same value */
    b = sight_of(&side);
    ck_assert(sight_same(&a, &b, 0));
    side.digest.sum.low = 9;
    b = sight_of(&side);
    ck_assert(!sight_same(&a, &b, 0));
}
END_TEST

UNIT_MAIN("verify/seen", test_each_once, test_less_memory, test_suspects_in_their_lists, test_sights)
