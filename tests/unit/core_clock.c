#include "lib/core/clock.h"

#include <string.h>

#include "tests/unit/unit.h"

START_TEST(rfc3339)
{
    char out[CLOCK_RFC3339_MAX];

    ck_assert_str_eq(clock_rfc3339(0, out), "1970-01-01T00:00:00.000Z");
    ck_assert_str_eq(clock_rfc3339(1767323045678, out), "2026-01-02T03:04:05.678Z");
    ck_assert_str_eq(clock_rfc3339(1709164800007, out), "2024-02-29T00:00:00.007Z");
    ck_assert_str_eq(clock_rfc3339(-1, out), "1969-12-31T23:59:59.999Z");
    ck_assert_str_eq(clock_rfc3339(-1000, out), "1969-12-31T23:59:59.000Z");
    ck_assert_uint_lt(strlen(clock_rfc3339(INT64_MAX, out)), CLOCK_RFC3339_MAX);
    ck_assert_uint_lt(strlen(clock_rfc3339(INT64_MIN, out)), CLOCK_RFC3339_MAX);
}
END_TEST

START_TEST(clocks_go_forward)
{
    uint64_t before = clock_mono_us();

    ck_assert(before > 0);
    ck_assert(clock_mono_us() >= before);
    ck_assert(clock_wall_ms() > 1700000000000);
}
END_TEST

UNIT_MAIN("core/clock", rfc3339, clocks_go_forward)
