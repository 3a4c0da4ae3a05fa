#include "lib/copy/flights.h"
#include "tests/unit/unit.h"

static struct flights f;

START_TEST(test_in_order)
{
    f = (struct flights){0};
    ck_assert(flights_empty(&f) && !flights_full(&f));
    for (int db = 0; db < 5; db++)
        flights_push(&f, (struct flight){.db = db});
    ck_assert_uint_eq(flights_count(&f), 5);
    for (int db = 0; db < 5; db++) {
        ck_assert_int_eq(flights_first(&f)->db, db);
        ck_assert_int_eq(flights_shift(&f).db, db);
    }
    ck_assert(flights_empty(&f));
}
END_TEST

static void fill_and_empty(void)
{
    uint64_t in = 0, out = 0;

    while (!flights_full(&f))
        flights_push(&f, (struct flight){.bytes = in++});
    ck_assert_uint_eq(in, FLIGHTS_MAX - 1);
    ck_assert_uint_eq(flights_count(&f), in);
    flights_first(&f)->deletes = true; /* the first can be changed in its place */
    ck_assert(flights_first(&f)->deletes);
    while (!flights_empty(&f) && flights_shift(&f).bytes == out)
        out++;
    ck_assert_uint_eq(out, in);
}

START_TEST(test_full)
{
    f = (struct flights){0};
    fill_and_empty();
    fill_and_empty();
}
END_TEST

/* The counters run freely, and over. */
START_TEST(test_counters_run_over)
{
    f = (struct flights){.head = -100u, .tail = -100u};
    ck_assert(flights_empty(&f));
    fill_and_empty();
    ck_assert_uint_lt(f.head, FLIGHTS_MAX);
    f = (struct flights){.head = -1u, .tail = 0};
    ck_assert_uint_eq(flights_count(&f), 1);
    ck_assert(!flights_empty(&f));
}
END_TEST

UNIT_MAIN("copy/flights", test_in_order, test_full, test_counters_run_over)
