#include "lib/core/backoff.h"

#include "tests/unit/unit.h"

START_TEST(doubles_to_its_last)
{
    struct backoff b;
    uint64_t base = 100000;

    backoff_init(&b, 42);
    for (int i = 0; i < 100; i++) {
        uint64_t us = backoff_next_us(&b);
        ck_assert(us >= base && us <= base + base / 4);
        base = MIN(base * 2, (uint64_t)5000000);
    }
    backoff_reset(&b);
    ck_assert_uint_le(backoff_next_us(&b), 125000);
}
END_TEST

START_TEST(jitters_by_seed)
{
    struct backoff a, b, zero;
    int different = 0;

    backoff_init(&a, 1);
    backoff_init(&b, 2);
    backoff_init(&zero, 0);
    ck_assert(zero.random != 0);
    for (int i = 0; i < 20; i++)
        different += backoff_next_us(&a) != backoff_next_us(&b);
    ck_assert_int_ge(different, 15);
}
END_TEST

UNIT_MAIN("core/backoff", doubles_to_its_last, jitters_by_seed)
