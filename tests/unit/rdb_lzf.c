#include "lib/rdb/lzf.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct lzf z;
static char out[1 << 20];
static size_t out_len;

/* Fed in steps of so many bytes; each is a copy, so that a read beyond it is seen. */
static int fed(const void *in, size_t len, uint64_t announced, size_t step)
{
    int e = lzf_begin(&z, len, announced);

    out_len = 0;
    for (size_t at = 0; !e && at < len; at += step) {
        size_t n = MIN(step, len - at);
        char *copy = malloc(n);
        memcpy(copy, (const char *)in + at, n);
        struct bytes part = {copy, n}, got;
        while ((e = lzf_next(&z, &part, &got)) == 0) {
            ck_assert_uint_gt(got.len, 0);
            ck_assert_uint_le(out_len + got.len, MIN(announced, sizeof(out)));
            memcpy(out + out_len, got.ptr, got.len);
            out_len += got.len;
        }
        free(copy);
        if (e != -EAGAIN)
            return e;
        ck_assert_uint_eq(part.len, 0);
        e = 0;
    }
    return e ? e : lzf_is_complete(&z) ? 0 : -EAGAIN;
}

static void expect(const void *in, size_t len, const char *text, size_t text_len)
{
    for (size_t step = 1; step <= len; step++) {
        ck_assert_int_eq(fed(in, len, text_len, step), 0);
        ck_assert_uint_eq(out_len, text_len);
        ck_assert_mem_eq(out, text, text_len);
    }
}

static void refuse(const void *in, size_t len, uint64_t announced)
{
    for (size_t step = 1; step <= MAX(len, (size_t)1); step++)
        ck_assert_int_eq(fed(in, len, announced, step), -EBADMSG);
}

#define IN(literal) (literal), sizeof(literal) - 1

START_TEST(literals_and_references)
{
    expect(IN("\x00"
              "a"),
           IN("a"));
    expect(IN("\x03"
              "abcd"),
           IN("abcd"));
    expect(IN("\x00"
              "a\x20\x00"),
           IN("aaaa")); /* of 3 at distance 1 */
    expect(IN("\x02"
              "abc\x60\x02"),
           IN("abcabcab"));
    expect(IN("\x02"
              "abc\xe0\x01\x02"),
           IN("abcabcabcabca")); /* of 7 + 1 + 2 */
}
END_TEST

/* As redis 7.0.15 compressed it. */
START_TEST(of_a_server)
{
    char a[100];

    memset(a, 'a', sizeof(a));
    expect(IN("\x01\x61\x61\xe0\x57\x00\x01\x61\x61"), a, sizeof(a));
}
END_TEST

START_TEST(what_is_wrong_is_refused)
{
    refuse(IN("\x20\x00"), 3); /* nothing to refer to */
    refuse(IN("\x00"
              "a\x20\x01"),
           4); /* one before the beginning */
    refuse(IN("\x00"
              "a\x20\x00"),
           3); /* more than announced */
    refuse(IN("\x03"
              "abcd"),
           3);
    ck_assert_int_eq(fed(IN("\x00"
                            "a\x20\x00"),
                         5, 1),
                     -EAGAIN); /* less than announced */
    ck_assert_int_eq(fed(IN("\x03"
                            "abc"),
                         4, 1),
                     -EAGAIN); /* cut in a run, */
    ck_assert_int_eq(fed(IN("\x00"
                            "a\x20"),
                         4, 1),
                     -EAGAIN); /* in a reference, */
    ck_assert_int_eq(fed(IN("\x00"
                            "a\xe0\x01"),
                         100, 1),
                     -EAGAIN); /* and in a long one */
    ck_assert_int_eq(lzf_begin(&z, 3, UINT64_MAX), -EBADMSG);
    ck_assert_int_eq(lzf_begin(&z, 300, 88 * 300), 0);
    ck_assert_int_eq(lzf_begin(&z, 300, 90 * 300), -EBADMSG);
}
END_TEST

/* Far more than the room: pseudo-random literals and references at all distances, made here with what they
 * stand for. */
START_TEST(long_and_far)
{
    static char text[sizeof(out)];
    static uint8_t in[2 * sizeof(out)];
    size_t n = 0, len = 0;
    uint32_t x = 7;

    while (n + LZF_RUN_MAX <= sizeof(text)) {
        x = x * 1664525 + 1013904223;
        size_t back = (x >> 8) % LZF_HISTORY + 1, run = 3 + (x >> 24);
        if (n < back || x % 3 == 0) {
            size_t literals = 1 + (x >> 27);
            in[len++] = (uint8_t)(literals - 1);
            for (size_t i = 0; i < literals; i++)
                text[n++] = (char)(in[len++] = (uint8_t)(x >> i));
            continue;
        }
        unsigned short_run = (unsigned)MIN(run - 2, (size_t)7);
        in[len++] = (uint8_t)(short_run << 5 | (back - 1) >> 8);
        if (short_run == 7)
            in[len++] = (uint8_t)(run - 9);
        in[len++] = (uint8_t)(back - 1);
        for (size_t i = 0; i < run; i++, n++)
            text[n] = text[n - back];
    }
    for (size_t step = 1; step < 2 * len; step = step * 5 + 2) {
        ck_assert_int_eq(fed(in, len, n, step), 0);
        ck_assert_uint_eq(out_len, n);
        ck_assert_mem_eq(out, text, n);
    }
}
END_TEST

UNIT_MAIN("rdb/lzf", literals_and_references, of_a_server, what_is_wrong_is_refused, long_and_far)
