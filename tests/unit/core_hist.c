#include "lib/core/hist.h"

#include "tests/unit/unit.h"

START_TEST(empty)
{
    struct hist h;

    hist_reset(&h);
    ck_assert_uint_eq(hist_quantile(&h, 0.5), 0);
}
END_TEST

START_TEST(small_values_are_exact)
{
    struct hist h;

    hist_reset(&h);
    for (uint64_t v = 1; v <= 10; v++)
        hist_add(&h, v);
    ck_assert_uint_eq(hist_quantile(&h, 0), 1);
    ck_assert_uint_eq(hist_quantile(&h, 0.1), 1);
    ck_assert_uint_eq(hist_quantile(&h, 0.11), 2);
    ck_assert_uint_eq(hist_quantile(&h, 0.5), 5);
    ck_assert_uint_eq(hist_quantile(&h, 1), 10);
    ck_assert_uint_eq(hist_quantile(&h, 7), 10);
    ck_assert_uint_eq(h.count, 10);
    ck_assert_uint_eq(h.max, 10);
}
END_TEST

static void check_one(uint64_t value)
{
    struct hist h;

    hist_reset(&h);
    hist_add(&h, value);
    hist_add(&h, UINT64_MAX);
    uint64_t edge = hist_quantile(&h, 0.5);
    ck_assert(edge >= value);
    ck_assert(edge - value <= value / 16);
}

START_TEST(any_value_is_right_within_a_sixteenth)
{
    check_one(0);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t v = (uint64_t)1 << bit;
        check_one(v);
        check_one(v - 1);
        check_one(v + v / 3);
        check_one(v + (v - 1));
    }
}
END_TEST

START_TEST(quantiles_of_many)
{
    struct hist h;

    hist_reset(&h);
    for (uint64_t v = 1; v <= 100000; v++)
        hist_add(&h, v);
    for (int percent = 1; percent <= 100; percent++) {
        uint64_t exact = (uint64_t)percent * 1000, got = hist_quantile(&h, percent / 100.0);
        ck_assert(got >= exact && got <= exact + exact / 16);
    }
    ck_assert_uint_eq(hist_quantile(&h, 1), 100000);
}
END_TEST

START_TEST(a_full_bucket_stays_full)
{
    struct hist h;

    hist_reset(&h);
    h.buckets[3] = UINT32_MAX;
    h.count = UINT32_MAX;
    hist_add(&h, 3);
    ck_assert_uint_eq(h.buckets[3], UINT32_MAX);
    ck_assert_uint_eq(h.count, UINT32_MAX);
    ck_assert_uint_eq(hist_quantile(&h, 1), 3);
}
END_TEST

UNIT_MAIN("core/hist", empty, small_values_are_exact, any_value_is_right_within_a_sixteenth,
          quantiles_of_many, a_full_bucket_stays_full)
