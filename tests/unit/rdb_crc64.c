#include "lib/rdb/crc64.h"

#include <string.h>

#include "tests/unit/unit.h"

#define POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5) /* of Jones, reflected */

/* Bit by bit, as it is defined. */
static uint64_t slow(uint64_t crc, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    }
    return crc;
}

START_TEST(vectors)
{
    ck_assert_uint_eq(crc64(0, NULL, 0), 0);
    ck_assert_uint_eq(crc64(0, "123456789", 9), UINT64_C(0xe9c6d914c4b8d9ca));
    ck_assert_uint_eq(crc64(0, "\0", 1), 0);
    ck_assert_uint_eq(crc64(0, "\x80", 1), POLYNOMIAL);
}
END_TEST

static void ends_in_its_sum(const void *payload, size_t len)
{
    const uint8_t *p = payload;
    uint64_t sum = 0;

    for (size_t i = 0; i < 8; i++)
        sum |= (uint64_t)p[len - 8 + i] << 8 * i;
    ck_assert_uint_eq(crc64(0, payload, len - 8), sum);
}

/* As DUMP gave them: the number 1 by version 9, and 100 times "a" by version 10. */
START_TEST(payloads)
{
    static const char one[] = "\x00\xc0\x01\x09\x00\xf6\x8a\xb6\x7a\x85\x87\x72\x4d";
    static const char a[] = "\x00\xc3\x09\x40\x64\x01\x61\x61\xe0\x57\x00\x01\x61\x61"
                            "\x0a\x00\xe8\xa3\xb5\x07\xb0\x6d\xf2\x71";

    ends_in_its_sum(one, sizeof(one) - 1);
    ends_in_its_sum(a, sizeof(a) - 1);
}
END_TEST

START_TEST(any_length_and_any_cut)
{
    uint8_t data[300];
    uint32_t x = 1;

    for (size_t i = 0; i < sizeof(data); i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (uint8_t)(x >> 24);
    }
    for (size_t from = 0; from < 9; from++)
        for (size_t len = 0; from + len <= sizeof(data); len++) {
            uint64_t whole = slow(0, data + from, len);
            ck_assert_uint_eq(crc64(0, data + from, len), whole);
            size_t cut = len * 5 / 7;
            ck_assert_uint_eq(crc64(crc64(0, data + from, cut), data + from + cut, len - cut), whole);
        }
}
END_TEST

UNIT_MAIN("rdb/crc64", vectors, payloads, any_length_and_any_cut)
