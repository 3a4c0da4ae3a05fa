#include "lib/copy/yield.h"
#include "tests/unit/unit.h"

#define ALL 1024

static struct yield y;
static uint64_t now_us, marks;

/* So many marks a second, for a window. */
static size_t window(uint64_t per_s)
{
    now_us += YIELD_WINDOW_US;
    marks += per_s * YIELD_WINDOW_US / 1000000;
    yield_feed(&y, marks, now_us);
    return y.most;
}

static void begin(void)
{
    now_us = 1000000;
    marks = 0;
    yield_init(&y, ALL, now_us);
}

START_TEST(test_alone_all_are_asked)
{
    begin();
    ck_assert_uint_eq(y.most, ALL);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(window(0), ALL);
    ck_assert_uint_eq(window(YIELD_FREE), ALL);
}
END_TEST

START_TEST(test_fewer_beside_more_marks)
{
    begin();
    ck_assert_uint_eq(window(4 * YIELD_FREE), ALL / 4);
    ck_assert_uint_eq(window(8 * YIELD_FREE), ALL / 8);
    ck_assert_uint_eq(window(8 * YIELD_FREE), ALL / 8);
}
END_TEST

START_TEST(test_a_pass_never_stands_still)
{
    begin();
    ck_assert_uint_eq(window(1000000), YIELD_LEAST);
    ck_assert_uint_eq(window(100000000), YIELD_LEAST);
}
END_TEST

/* Writers who take a breath do not find all of it before them when they go on. */
START_TEST(test_it_falls_at_once_and_grows_step_by_step)
{
    begin();
    window(1000000);
    for (size_t wanted = YIELD_LEAST; wanted < ALL;) {
        wanted = wanted < ALL / 2 ? 2 * wanted : ALL;
        ck_assert_uint_eq(window(0), wanted);
    }
    ck_assert_uint_eq(window(0), ALL);
    ck_assert_uint_eq(window(1000000), YIELD_LEAST);
}
END_TEST

START_TEST(test_less_than_a_window_tells_nothing)
{
    begin();
    yield_feed(&y, 1000000, now_us + YIELD_WINDOW_US - 1);
    ck_assert_uint_eq(y.most, ALL);
}
END_TEST

UNIT_MAIN("copy/yield", test_alone_all_are_asked, test_fewer_beside_more_marks,
          test_a_pass_never_stands_still, test_it_falls_at_once_and_grows_step_by_step,
          test_less_than_a_window_tells_nothing)
