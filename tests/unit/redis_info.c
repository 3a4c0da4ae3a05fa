#include "lib/redis/info.h"
#include "tests/unit/unit.h"

#define TEXT                                                                                                 \
    "# Server\r\nredis_version:7.0.15\r\n\r\nempty:\r\nno "                                                  \
    "colon\r\nbig:18446744073709551615\r\ntoo:18446744073709551616\r\n"                                      \
    "# a:b\r\nexecutable:/a:b\r\nlast:1"

static void count(struct bytes name, struct bytes value, void *arg)
{
    size_t *n = arg;
    ck_assert_uint_gt(name.len, 0);
    (void)value;
    (*n)++;
}

START_TEST(test_each)
{
    size_t n = 0;
    info_each(BYTES(TEXT), count, &n);
    ck_assert_uint_eq(n, 6);
    info_each((struct bytes){0}, count, &n);
    ck_assert_uint_eq(n, 6);
}
END_TEST

START_TEST(test_find)
{
    struct bytes value;
    uint64_t number;
    ck_assert(info_find(BYTES(TEXT), "redis_version", &value));
    ck_assert(bytes_is(value, "7.0.15"));
    ck_assert(info_find(BYTES(TEXT), "empty", &value));
    ck_assert_uint_eq(value.len, 0);
    ck_assert(info_find(BYTES(TEXT), "executable", &value));
    ck_assert(bytes_is(value, "/a:b"));
    ck_assert(!info_find(BYTES(TEXT), "redis", &value));
    ck_assert(info_find_u64(BYTES(TEXT), "big", &number));
    ck_assert_uint_eq(number, UINT64_MAX);
    ck_assert(!info_find_u64(BYTES(TEXT), "too", &number));
    ck_assert(!info_find_u64(BYTES(TEXT), "empty", &number));
    ck_assert(info_find_u64(BYTES("a:1\nb:2\n"), "b", &number));
    ck_assert_uint_eq(number, 2);
}
END_TEST

START_TEST(test_field)
{
    uint64_t n;
    ck_assert(info_field_u64(BYTES("calls=3,usec=4,usec_per_call=1.33"), "calls", &n));
    ck_assert_uint_eq(n, 3);
    ck_assert(info_field_u64(BYTES("calls=3,usec=4,usec_per_call=1.33"), "usec", &n));
    ck_assert_uint_eq(n, 4);
    ck_assert(!info_field_u64(BYTES("calls=3,usec=4,usec_per_call=1.33"), "usec_per_call", &n));
    ck_assert(!info_field_u64(BYTES("calls=3"), "call", &n));
    ck_assert(!info_field_u64(BYTES("calls"), "calls", &n));
    ck_assert(!info_field_u64(BYTES(",,="), "calls", &n));
}
END_TEST

UNIT_MAIN("redis/info", test_each, test_find, test_field)
