#include <stdio.h>

#include "lib/verify/tally.h"
#include "tests/unit/unit.h"

#define NAMES 50000u

static struct tally *tally;

static struct bytes name_of(unsigned n)
{
    static char name[32];
    return bytes_of(name, (size_t)snprintf(name, sizeof(name), "key:%u", n));
}

static void begin(void)
{
    ck_assert_int_eq(tally_new((struct hash_seed){1, 2}, &tally), 0);
    for (unsigned n = 0; n < NAMES; n++)
        tally_count(tally, 0, name_of(n));
    ck_assert(!tally_all_even(tally));
}

static void tell_all_but(unsigned except)
{
    for (unsigned n = NAMES; n-- > 0;) /* in another order */
        if (n != except)
            tally_tell(tally, 0, name_of(n));
}

/* Of all names, how many may not be the same? */
static unsigned doubtful(void)
{
    unsigned found = 0;
    for (unsigned n = 0; n < NAMES; n++)
        found += !tally_is_even(tally, 0, name_of(n));
    return found;
}

START_TEST(test_the_same_names)
{
    begin();
    tell_all_but(NAMES);
    ck_assert(tally_all_even(tally));
    ck_assert_uint_eq(doubtful(), 0);
    tally_free(tally);
    tally_free(NULL);
}
END_TEST

static void one_is_doubtful(struct bytes name, int db)
{
    ck_assert(!tally_all_even(tally));
    ck_assert(!tally_is_even(tally, db, name));
    ck_assert_uint_lt(doubtful(), 50); /* those of its bucket */
    tally_free(tally);
}

START_TEST(test_one_name_is_counted_only)
{
    begin();
    tell_all_but(77);
    one_is_doubtful(name_of(77), 0);
}
END_TEST

START_TEST(test_one_name_is_told_only)
{
    begin();
    tell_all_but(NAMES);
    tally_tell(tally, 0, BYTES("extra"));
    one_is_doubtful(BYTES("extra"), 0);
}
END_TEST

START_TEST(test_one_name_is_told_twice)
{
    begin();
    tell_all_but(NAMES);
    tally_tell(tally, 0, name_of(5));
    one_is_doubtful(name_of(5), 0);
}
END_TEST

/* A name in the place of another: as many were told as were counted. */
START_TEST(test_another_in_its_place)
{
    begin();
    tell_all_but(77);
    tally_tell(tally, 0, BYTES("extra"));
    ck_assert(!tally_is_even(tally, 0, name_of(77)));
    one_is_doubtful(BYTES("extra"), 0);
}
END_TEST

/* Counted twice, as SCAN may tell a name; and another in the place of the second time. */
START_TEST(test_another_beside_one_twice)
{
    for (unsigned i = 0; i < 5000; i++) {
        char extra[16];
        snprintf(extra, sizeof(extra), "extra:%u", i);
        ck_assert_int_eq(tally_new((struct hash_seed){1, i}, &tally), 0);
        tally_count(tally, 0, BYTES("a"));
        tally_count(tally, 0, BYTES("a"));
        tally_tell(tally, 0, BYTES("a"));
        tally_tell(tally, 0, bytes_str(extra));
        ck_assert(!tally_is_even(tally, 0, bytes_str(extra)));
        tally_free(tally);
    }
}
END_TEST

START_TEST(test_the_name_in_another_database)
{
    begin();
    tell_all_but(77);
    tally_tell(tally, 1, name_of(77));
    ck_assert(!tally_is_even(tally, 0, name_of(77)));
    one_is_doubtful(name_of(77), 1);
}
END_TEST

UNIT_MAIN("verify/tally", test_the_same_names, test_one_name_is_counted_only, test_one_name_is_told_only,
          test_one_name_is_told_twice, test_another_in_its_place, test_another_beside_one_twice,
          test_the_name_in_another_database)
