#include "lib/copy/ahead.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#include <string.h>

static void see(int db, struct bytes key, void *arg)
{
    char *out = arg;
    size_t n = strlen(out);
    snprintf(out + n, 256 - n, "%d:%.*s ", db, (int)key.len, key.ptr);
}

static const char *names(const struct ahead *a)
{
    static char out[256];
    out[0] = '\0';
    ahead_each(a, see, out);
    return out;
}

static struct ahead *filled(size_t bytes)
{
    struct ahead *a = NULL;
    ck_assert_int_eq(ahead_new(bytes, &a), 0);
    ahead_add(a, 0, BYTES("a"));
    ahead_add(a, 7, BYTES(""));
    return a;
}

/* Of a reading that was under way when a name came, the offset may be from before the read. */
START_TEST(test_a_name_goes_once_the_stream_has_passed_an_offset_of_after_it)
{
    struct ahead *a = filled(1024);
    ck_assert_str_eq(names(a), "0:a 7: ");
    ahead_passed(a, 10, 10);
    ck_assert_str_eq(names(a), "0:a 7: ");
    ahead_add(a, 1, BYTES("b"));
    ahead_passed(a, 20, 19); /* that far it is not yet */
    ck_assert_str_eq(names(a), "0:a 7: 1:b ");
    ahead_add(a, 1, BYTES("c"));
    ahead_passed(a, 30, 20);
    ck_assert_str_eq(names(a), "1:b 1:c ");
    ahead_passed(a, 40, 40);
    ck_assert_str_eq(names(a), "");
    ahead_free(a);
    ck_assert_ptr_null(ahead_free(NULL));
}
END_TEST

START_TEST(test_more_than_there_is_room_for_is_told_until_it_has_passed)
{
    struct ahead *a = filled(2 * (2 * 8 + 1)); /* room for these two in each half */
    ck_assert(ahead_is_whole(a));
    ahead_add(a, 0, BYTES("c"));
    ck_assert(!ahead_is_whole(a));
    ck_assert_str_eq(names(a), "0:a 7: ");
    ahead_passed(a, 10, 10);
    ck_assert(!ahead_is_whole(a));
    ahead_add(a, 0, BYTES("d"));
    ahead_passed(a, 10, 10);
    ck_assert(ahead_is_whole(a));
    ck_assert_str_eq(names(a), "0:d ");
    ahead_free(a);
}
END_TEST

START_TEST(test_clear)
{
    struct ahead *a = filled(1024);
    ahead_passed(a, 10, 10);
    ahead_passed(a, 20, 10);
    ahead_add(a, 0, BYTES("b"));
    ahead_clear(a);
    ck_assert_str_eq(names(a), "");
    ahead_add(a, 0, BYTES("c"));
    ahead_passed(a, 5, 5); /* another history: the goal of the former one does not count */
    ck_assert_str_eq(names(a), "0:c ");
    ahead_passed(a, 5, 5);
    ck_assert_str_eq(names(a), "");
    ahead_free(a);
}
END_TEST

UNIT_MAIN("copy/ahead", test_a_name_goes_once_the_stream_has_passed_an_offset_of_after_it,
          test_more_than_there_is_room_for_is_told_until_it_has_passed, test_clear)
