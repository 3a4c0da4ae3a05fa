#include "lib/core/bytes.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

START_TEST(slices_compare)
{
    ck_assert(bytes_equal(BYTES("a\0b"), bytes_of("a\0b", 3)));
    ck_assert(!bytes_equal(BYTES("a\0b"), BYTES("a\0c")));
    ck_assert(!bytes_equal(BYTES("a"), BYTES("ab")));
    ck_assert(bytes_equal(bytes_of(NULL, 0), BYTES("")));
    ck_assert_uint_eq(bytes_str(NULL).len, 0);
    ck_assert(bytes_is(BYTES("PING"), "PING"));
    ck_assert(!bytes_is(BYTES("PING"), "ping"));
    ck_assert(!bytes_is(BYTES("PING\0"), "PING"));
    ck_assert(bytes_is_nocase(BYTES("PiNG"), "pIng"));
    ck_assert(!bytes_is_nocase(BYTES("PIN"), "ping"));
    ck_assert(bytes_is_nocase(bytes_of(NULL, 0), ""));
    ck_assert(bytes_starts(BYTES("prefix"), "pre"));
    ck_assert(bytes_starts(BYTES("x"), ""));
    ck_assert(!bytes_starts(BYTES("pr"), "pre"));
}
END_TEST

START_TEST(cut_at_a_separator)
{
    struct bytes rest = BYTES("a::b");

    ck_assert(bytes_is(bytes_cut(&rest, ':'), "a"));
    ck_assert(bytes_is(bytes_cut(&rest, ':'), ""));
    ck_assert(bytes_is(rest, "b"));
    ck_assert(bytes_is(bytes_cut(&rest, ':'), "b"));
    ck_assert_uint_eq(rest.len, 0);
    ck_assert_uint_eq(bytes_cut(&rest, ':').len, 0);
    rest = BYTES("a:");
    ck_assert(bytes_is(bytes_cut(&rest, ':'), "a"));
    ck_assert_uint_eq(rest.len, 0);
}
END_TEST

START_TEST(trimmed_of_blanks)
{
    ck_assert(bytes_is(bytes_trim(BYTES("  a b ")), "a b"));
    ck_assert(bytes_is(bytes_trim(BYTES("a\t")), "a\t"));
    ck_assert_uint_eq(bytes_trim(BYTES("   ")).len, 0);
    ck_assert_uint_eq(bytes_trim(bytes_of(NULL, 0)).len, 0);
}
END_TEST

static int as_i64(const char *text, int64_t *ret)
{
    return bytes_to_i64(bytes_str(text), ret);
}

static int as_u64(const char *text, uint64_t *ret)
{
    return bytes_to_u64(bytes_str(text), ret);
}

START_TEST(numbers_are_the_whole_slice)
{
    static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "0x1", "1a", "--1", "1.0"};
    uint64_t u = 7;
    int64_t i = 7;

    ck_assert_int_eq(as_i64("0", &i), 0);
    ck_assert_int_eq(i, 0);
    ck_assert_int_eq(as_i64("-0012", &i), 0);
    ck_assert_int_eq(i, -12);
    ck_assert_int_eq(as_i64("9223372036854775807", &i), 0);
    ck_assert(i == INT64_MAX);
    ck_assert_int_eq(as_i64("-9223372036854775808", &i), 0);
    ck_assert(i == INT64_MIN);
    ck_assert_int_eq(as_u64("18446744073709551615", &u), 0);
    ck_assert(u == UINT64_MAX);
    ck_assert_int_eq(as_i64("9223372036854775808", &i), -ERANGE);
    ck_assert_int_eq(as_i64("-9223372036854775809", &i), -ERANGE);
    ck_assert_int_eq(as_u64("18446744073709551616", &u), -ERANGE);
    ck_assert_int_eq(as_u64("99999999999999999999999999999999", &u), -ERANGE);
    ck_assert_int_eq(as_u64("99999999999999999999999999999999x", &u), -EINVAL);
    ck_assert_int_eq(as_u64("-1", &u), -EINVAL);
    for (size_t n = 0; n < ARRAY_LEN(bad); n++) {
        ck_assert_int_eq(as_i64(bad[n], &i), -EINVAL);
        ck_assert_int_eq(as_u64(bad[n], &u), -EINVAL);
    }
    ck_assert(i == INT64_MIN && u == UINT64_MAX); /* untouched by what failed */
}
END_TEST

START_TEST(escape_for_people)
{
    char out[64];

    ck_assert_str_eq(bytes_escape(BYTES("a b~"), out, sizeof(out)), "a b~");
    ck_assert_str_eq(bytes_escape(BYTES("\n\r\t\\\"\0\x7f\xff"), out, sizeof(out)),
                     "\\n\\r\\t\\\\\\\"\\x00\\x7f\\xff");
    ck_assert_str_eq(bytes_escape(bytes_of(NULL, 0), out, sizeof(out)), "");
}
END_TEST

START_TEST(escape_cuts_between_characters)
{
    char out[64];

    ck_assert_str_eq(bytes_escape(BYTES("abcdefg"), out, 8), "abcdefg");
    ck_assert_str_eq(bytes_escape(BYTES("abcdefgh"), out, 8), "abcd...");
    ck_assert_str_eq(bytes_escape(BYTES("\x01\x02"), out, 9), "\\x01\\x02");
    ck_assert_str_eq(bytes_escape(BYTES("\x01\x02"), out, 8), "\\x01...");
    ck_assert_str_eq(bytes_escape(BYTES("\x01\x02"), out, 7), "...");
    for (size_t cap = 0; cap < 16; cap++) {
        memset(out, '#', sizeof(out));
        ck_assert_ptr_eq(bytes_escape(BYTES("\x01"
                                            "ab\n\x02"
                                            "cdefghijkl"),
                                      out, cap),
                         out);
        ck_assert_int_eq(out[cap], '#');
        if (cap)
            ck_assert_uint_lt(strnlen(out, sizeof(out)), cap);
    }
}
END_TEST

START_TEST(dup_terminates)
{
    char *copy = bytes_dup(BYTES("a\0b"));

    ck_assert(copy && !memcmp(copy, "a\0b", 4));
    free(copy);
    copy = bytes_dup(bytes_of(NULL, 0));
    ck_assert_str_eq(copy, "");
    free(copy);
}
END_TEST

UNIT_MAIN("core/bytes", slices_compare, cut_at_a_separator, trimmed_of_blanks, numbers_are_the_whole_slice,
          escape_for_people, escape_cuts_between_characters, dup_terminates)
