#include <string.h>

#include "lib/copy/libraries.h"
#include "tests/unit/unit.h"

#define FOOT  "vvcccccccc"
#define FOOT2 "wwdddddddd"
#define ONE   "\xf5\x03one"
#define TWO   "\xf5\x03two"
#define THREE "\xf5\x05three"

START_TEST(test_sets)
{
    ck_assert(libraries_within(BYTES(ONE TWO THREE FOOT), BYTES(THREE ONE TWO FOOT2)));
    ck_assert(libraries_within(BYTES(ONE FOOT), BYTES(THREE ONE TWO FOOT2)));
    ck_assert(libraries_within(BYTES(FOOT), BYTES(TWO FOOT2)));
    ck_assert(libraries_within(BYTES(FOOT), BYTES(FOOT2)));
    ck_assert(!libraries_within(BYTES(ONE TWO THREE FOOT), BYTES(ONE FOOT2)));
    ck_assert(!libraries_within(BYTES(ONE FOOT), BYTES(TWO FOOT)));
    ck_assert(!libraries_within(BYTES(ONE FOOT), BYTES(FOOT)));
    ck_assert(libraries_within(BYTES(""), BYTES(ONE FOOT)));
    ck_assert(!libraries_within(BYTES(ONE FOOT), BYTES("")));
    ck_assert(libraries_within((struct bytes){0}, (struct bytes){0}));
}
END_TEST

/* "f5", a length written that way, and so many bytes. */
static struct bytes library(char *out, struct bytes length, size_t count, char letter)
{
    char *p = out;
    *p++ = '\xf5';
    memcpy(p, length.ptr, length.len);
    p += length.len;
    memset(p, letter, count);
    p += count;
    memcpy(p, FOOT, strlen(FOOT));
    return bytes_of(out, (size_t)(p - out) + strlen(FOOT));
}

START_TEST(test_lengths)
{
    static const struct {
        struct bytes length;
        size_t count;
    } cases[] = {
        {BYTES("\0"), 0},
        {BYTES("\x3f"), 63},
        {BYTES("\x40\x40"), 64},
        {BYTES("\x7f\xff"), 16383},
        {BYTES("\x80\0\0\x40\0"), 16384},
        {BYTES("\x81\0\0\0\0\0\0\0\x05"), 5},
        {BYTES("\xc3\x0a\x40\x80"), 10}, /* compressed from 128 */
        {BYTES("\xc3\x40\x50\x80\0\x01\0\0"), 80},
    };
    static char x[20000], y[20000];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes a = library(x, cases[i].length, cases[i].count, 'a');
        struct bytes b = library(y, cases[i].length, cases[i].count, cases[i].count ? 'b' : 'a');
        char two[40000];
        ck_assert(libraries_within(a, a));
        ck_assert(libraries_within(a, b) == !cases[i].count);
        /* It ends where it should: another stands behind it. */
        memcpy(two, a.ptr, a.len - strlen(FOOT));
        memcpy(two + a.len - strlen(FOOT), b.ptr, b.len);
        struct bytes both = bytes_of(two, a.len - strlen(FOOT) + b.len);
        ck_assert(libraries_within(a, both) && libraries_within(b, both));
    }
}
END_TEST

/* What is cut short or not known is compared byte by byte. */
START_TEST(test_not_understood)
{
    static const struct bytes bodies[] = {
        BYTES("\xf5" FOOT),
        BYTES("\xf5\x05"
              "four" FOOT),
        BYTES("\xf5\x40" FOOT),
        BYTES("\xf5\x80\0\0" FOOT),
        BYTES("\xf5\x82" FOOT),
        BYTES("\xf5\xc0\x01" FOOT),
        BYTES("\xf5\xc3\x05" FOOT),
        BYTES("\xf5\xc3\x05\x05"
              "four" FOOT),
        BYTES("\xf5\x81\xff\xff\xff\xff\xff\xff\xff\xff" FOOT),
        BYTES("\xf6\x03one" FOOT),
        BYTES(ONE "\xf5" FOOT),
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        char *copy = malloc(bodies[i].len); /* its end is seen by the sanitizers */
        memcpy(copy, bodies[i].ptr, bodies[i].len);
        ck_assert(libraries_within(bytes_of(copy, bodies[i].len), bodies[i]));
        ck_assert(!libraries_within(bodies[i], BYTES(ONE FOOT)));
        ck_assert(!libraries_within(BYTES(ONE FOOT), bodies[i]));
        free(copy);
    }
    ck_assert(libraries_within(BYTES("short"), BYTES("other")));
}
END_TEST

UNIT_MAIN("copy/libraries", test_sets, test_lengths, test_not_understood)
