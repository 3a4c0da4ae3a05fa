#include "lib/core/wrap.h"

#include <errno.h>
#include <string.h>
#include "tests/unit/unit.h"

static void holds(const struct buf *out, const char *want)
{
    struct bytes got = buf_bytes(out);

    ck_assert_msg(got.len == strlen(want) && !memcmp(got.ptr, want, got.len), "%.*s", (int)got.len, got.ptr);
}

START_TEST(rows_of_two_columns)
{
    struct buf out;

    buf_init(&out, KIB);
    ck_assert_int_eq(wrap_row(&out, 8, "-n", "text"), 0);
    ck_assert_int_eq(wrap_row(&out, 8, "wide", "beside"), 0);
    ck_assert_int_eq(wrap_row(&out, 8, "wider", "below"), 0);
    holds(&out, "  -n    text\n  wide  beside\n  wider\n        below\n");
    buf_free(&out);
}
END_TEST

START_TEST(lines_end_between_words)
{
    struct buf out;
    char words[WRAP_WIDTH + 1];

    memset(words, 'a', WRAP_WIDTH);
    words[WRAP_WIDTH] = '\0';
    words[70] = ' ';
    buf_init(&out, KIB);
    ck_assert_int_eq(wrap_words(&out, 0, 4, words), 0); /* as wide as a line */
    ck_assert_uint_eq(buf_len(&out), WRAP_WIDTH + 1);
    buf_consume(&out, buf_len(&out));
    ck_assert_int_eq(wrap_words(&out, 1, 4, words), 0); /* one more than that */
    struct bytes rest = buf_bytes(&out);
    ck_assert_uint_eq(bytes_cut(&rest, '\n').len, 70);
    ck_assert_uint_eq(bytes_cut(&rest, '\n').len, 4 + 9);
    ck_assert_uint_eq(rest.len, 0);
    buf_free(&out);
}
END_TEST

START_TEST(a_word_longer_than_a_line_is_cut)
{
    struct buf out;
    char word[2 * WRAP_WIDTH + 1];

    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    buf_init(&out, KIB);
    ck_assert_int_eq(wrap_words(&out, 0, 0, word), 0);
    struct bytes rest = buf_bytes(&out);
    ck_assert_uint_eq(bytes_cut(&rest, '\n').len, WRAP_WIDTH);
    ck_assert_uint_eq(bytes_cut(&rest, '\n').len, WRAP_WIDTH);
    ck_assert_uint_eq(rest.len, 0);
    buf_free(&out);
    buf_init(&out, 16);
    ck_assert_int_eq(wrap_words(&out, 0, 0, word), -ENOBUFS);
    buf_free(&out);
}
END_TEST

UNIT_MAIN("core/wrap", rows_of_two_columns, lines_end_between_words, a_word_longer_than_a_line_is_cut)
