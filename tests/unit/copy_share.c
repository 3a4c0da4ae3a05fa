#include "lib/copy/share.h"
#include "lib/copy/flights.h"
#include "lib/copy/reader.h"
#include "tests/unit/unit.h"

static const uint64_t sizes[] = {0,       256 * KIB, 600 * KIB, 1 * MIB,   3 * MIB,
                                 8 * MIB, 16 * MIB,  64 * MIB,  1024 * MIB};
static const size_t nodes[] = {1, 2, 3, 10, 45, 200};

/* All that a lane holds when each buffer is full, and one value more has come for each node. */
static uint64_t all_of(const struct share *s, size_t n)
{
    return s->dirty + s->recent + s->ahead + n * (s->node + READER_WHOLE) + s->input + s->output;
}

START_TEST(test_all_is_within_the_share)
{
    struct share s;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (size_t k = 0; k < ARRAY_LEN(nodes); k++) {
            uint64_t memory = MAX(sizes[i], share_least(nodes[k]));
            share_of(sizes[i], nodes[k], &s);
            ck_assert_msg(all_of(&s, nodes[k]) <= memory, "%ju of %ju for %zu nodes",
                          (uintmax_t)all_of(&s, nodes[k]), (uintmax_t)memory, nodes[k]);
        }
}
END_TEST

START_TEST(test_there_is_room_to_work_in)
{
    struct share s;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (size_t k = 0; k < ARRAY_LEN(nodes); k++) {
            share_of(sizes[i], nodes[k], &s);
            ck_assert_uint_gt(s.dirty, 64 * KIB);
            ck_assert_uint_ge(s.node, READER_WHOLE);
            ck_assert_uint_gt(s.input, 2 * READER_WHOLE);
            ck_assert_uint_ge(s.output, 16 * KIB);
            ck_assert_uint_ge(s.window, 128);
            ck_assert_uint_le(s.window, COPY_WINDOW);
        }
}
END_TEST

START_TEST(test_much_is_the_dirty_sets)
{
    struct share s;

    share_of(1024 * MIB, 1, &s);
    ck_assert_uint_gt(s.dirty, 880 * MIB);
    ck_assert_uint_eq(s.node, MIB);
    ck_assert_uint_eq(s.window, COPY_WINDOW);
}
END_TEST

UNIT_MAIN("copy/share", test_all_is_within_the_share, test_there_is_room_to_work_in,
          test_much_is_the_dirty_sets)
