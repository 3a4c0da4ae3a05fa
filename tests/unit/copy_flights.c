#include "lib/copy/flights.h"
#include "tests/unit/unit.h"

static struct flights f;

START_TEST(test_in_order)
{
    ck_assert(flights_empty(&f) && !flights_full(&f));
    ck_assert_int_eq(flights_reserve(&f, 5), 0);
    for (int db = 0; db < 5; db++)
        flights_push(&f, (struct flight){.db = db});
    ck_assert_uint_eq(flights_count(&f), 5);
    for (int db = 0; db < 5; db++) {
        ck_assert_int_eq(flights_first(&f)->db, db);
        ck_assert_int_eq(flights_shift(&f).db, db);
    }
    ck_assert(flights_empty(&f));
    flights_free(&f);
}
END_TEST

static void fill_and_empty(void)
{
    uint64_t in = 0, out = 0;

    while (flights_reserve(&f, 1) == 0)
        flights_push(&f, (struct flight){.bytes = in++});
    ck_assert(flights_full(&f));
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
    fill_and_empty();
    fill_and_empty();
    flights_free(&f);
}
END_TEST

/* The counters run freely, and over. */
START_TEST(test_counters_run_over)
{
    ck_assert_int_eq(flights_reserve(&f, 1), 0);
    f.head = f.tail = -10u;
    ck_assert(flights_empty(&f));
    fill_and_empty();
    f.head = f.tail = -100u;
    fill_and_empty();
    ck_assert_uint_lt(f.head, FLIGHTS_MAX);
    flights_free(&f);
}
END_TEST

/* It takes what it needs, keeps what it has, in order, and no more than there was room for is refused. */
START_TEST(test_grows)
{
    uint64_t in = 0, out = 0;

    ck_assert_int_eq(flights_reserve(&f, 1), 0);
    ck_assert_uint_eq(f.cap, FLIGHTS_MIN);
    for (unsigned turn = 0; turn < 3 * FLIGHTS_MIN; turn++) {
        ck_assert_int_eq(flights_reserve(&f, 2), 0);
        flights_push(&f, (struct flight){.bytes = in++});
        flights_push(&f, (struct flight){.bytes = in++});
        ck_assert_uint_eq(flights_shift(&f).bytes, out++);
    }
    ck_assert_uint_lt(f.cap, 8 * FLIGHTS_MIN);
    while (!flights_empty(&f))
        ck_assert_uint_eq(flights_shift(&f).bytes, out++);
    ck_assert_uint_eq(in, out);
    ck_assert_int_eq(flights_reserve(&f, FLIGHTS_MAX), -ENOBUFS);
    flights_free(&f);
}
END_TEST

UNIT_MAIN("copy/flights", test_in_order, test_full, test_counters_run_over, test_grows)
