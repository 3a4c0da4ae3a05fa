#include "lib/copy/coalesce.h"
#include "tests/unit/unit.h"

#define MOST 5000

static struct coalesce c;
static uint64_t now_us, marks;

/* A window in which so many marks came, and keys were in flight for so many of each ten milliseconds. */
static uint64_t window(uint64_t marked, unsigned busy_ms)
{
    for (unsigned ms = 0; ms < 50; ms++) {
        marks += marked / 50;
        now_us += 1000;
        coalesce_feed(&c, ms % 10 < busy_ms, marks, now_us);
    }
    return c.wait_us;
}

static void begin(uint64_t most_us)
{
    c = (struct coalesce){.most_us = most_us};
    now_us = 1000000;
    marks = 7;
    coalesce_feed(&c, false, marks, now_us);
}

static void expect_near(uint64_t wait_us, uint64_t wanted)
{
    ck_assert_msg(wait_us + 300 > wanted && wait_us < wanted + 300, "%llu us, not %llu",
                  (unsigned long long)wait_us, (unsigned long long)wanted);
}

START_TEST(test_follows_the_load)
{
    begin(MOST);
    ck_assert_uint_eq(c.wait_us, 0);
    ck_assert_uint_eq(window(5000, 0), 0);
    window(5000, 10);
    expect_near(window(5000, 10), MOST);
    window(5000, 5);
    expect_near(window(5000, 5), MOST / 4);
    window(5000, 0);
    ck_assert_uint_eq(window(5000, 0), 0);
}
END_TEST

START_TEST(test_few_marks_never_wait)
{
    begin(MOST);
    window(600, 10); /* 60 in five milliseconds */
    ck_assert_uint_eq(window(600, 10), 0);
    window(700, 10);
    ck_assert_uint_gt(window(700, 10), 0);
}
END_TEST

/* Busy or not, whoever comes back after a pause does not wait for what was long ago. */
START_TEST(test_after_a_pause)
{
    begin(MOST);
    window(5000, 10);
    ck_assert_uint_gt(window(5000, 10), 0);
    coalesce_feed(&c, false, marks, now_us);
    now_us += 3600000000;
    coalesce_feed(&c, false, marks += 100, now_us);
    ck_assert_uint_eq(c.wait_us, 0);
}
END_TEST

START_TEST(test_the_bound)
{
    begin(0);
    window(50000, 10);
    ck_assert_uint_eq(window(50000, 10), 0);
    begin(MOST);
    window(50000, 10);
    ck_assert_uint_le(window(50000, 10), MOST);
    c.most_us = 100;
    coalesce_feed(&c, true, marks, now_us);
    ck_assert_uint_le(c.wait_us, 100);
}
END_TEST

UNIT_MAIN("copy/coalesce", test_follows_the_load, test_few_marks_never_wait, test_after_a_pause,
          test_the_bound)
