#include "lib/core/rate.h"

#include "tests/unit/unit.h"

#define S ((uint64_t)1000000)

START_TEST(no_limit)
{
    struct rate r;

    rate_init(&r, 0, 0);
    rate_take(&r, UINT64_MAX);
    ck_assert(rate_ready(&r, 0));
    ck_assert_uint_eq(rate_wait_us(&r), 0);
}
END_TEST

START_TEST(saves_a_tenth_of_a_second)
{
    struct rate r;
    unsigned taken = 0;

    rate_init(&r, 1000, 5 * S);
    for (; rate_ready(&r, 100 * S); taken++)
        rate_take(&r, 1);
    ck_assert_uint_eq(taken, 100);
}
END_TEST

START_TEST(debt_is_paid_before_the_next_take)
{
    struct rate r;

    rate_init(&r, 1000, 0);
    ck_assert(rate_ready(&r, 0));
    rate_take(&r, 1100);
    ck_assert(!rate_ready(&r, 0));
    uint64_t wait = rate_wait_us(&r);
    ck_assert_uint_ge(wait, S);
    ck_assert_uint_le(wait, S + 2);
    ck_assert(!rate_ready(&r, S - 1));
    ck_assert(!rate_ready(&r, S - 2)); /* a clock that goes back gives nothing */
    ck_assert(rate_ready(&r, S + 2));
    ck_assert_uint_eq(rate_wait_us(&r), 0);
}
END_TEST

START_TEST(the_average_holds)
{
    static const uint64_t limits[] = {1, 3, 1000, 123456789};

    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        uint64_t now = 7 * S, unit = MAX(limits[i] / 50, (uint64_t)1), taken = 0;
        struct rate r;
        rate_init(&r, limits[i], now);
        while (now < 107 * S) {
            if (rate_ready(&r, now)) {
                rate_take(&r, unit);
                taken += unit;
            } else {
                uint64_t wait = rate_wait_us(&r);
                ck_assert(wait > 0);
                now += wait;
            }
        }
        ck_assert(taken >= limits[i] * 100 - unit);
        ck_assert(taken <= limits[i] * 100 + limits[i] / 10 + 2 * unit);
    }
}
END_TEST

START_TEST(meter_follows)
{
    struct meter m;
    uint64_t total = 1000, now = 5 * S;

    meter_init(&m, total, now);
    ck_assert(m.per_s == 0);
    for (int i = 0; i < 30; i++)
        meter_feed(&m, total += 500, now += S);
    ck_assert(m.per_s > 499 && m.per_s <= 500);
    for (int i = 0; i < 4; i++)
        meter_feed(&m, total, now += S);
    ck_assert(m.per_s > 50 && m.per_s < 200);
    for (int i = 0; i < 40; i++)
        meter_feed(&m, total, now += S);
    ck_assert(m.per_s >= 0 && m.per_s < 1);
}
END_TEST

START_TEST(meter_survives_odd_input)
{
    struct meter m;

    meter_init(&m, 100, S);
    meter_feed(&m, 200, S);
    ck_assert(m.per_s == 0);
    meter_feed(&m, 50, 2 * S); /* a total that began anew */
    ck_assert(m.per_s == 0);
    meter_feed(&m, 80, 3 * S);
    ck_assert(m.per_s > 0 && m.per_s <= 30);
}
END_TEST

UNIT_MAIN("core/rate", no_limit, saves_a_tenth_of_a_second, debt_is_paid_before_the_next_take,
          the_average_holds, meter_follows, meter_survives_odd_input)
