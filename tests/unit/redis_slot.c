#include "lib/redis/slot.h"

#include "tests/unit/unit.h"

/* As CLUSTER KEYSLOT of Redis 7.0 says. */
START_TEST(test_keys)
{
    static const struct {
        struct bytes key;
        unsigned slot;
    } rows[] = {
        {BYTES("123456789"), 0x31c3}, /* the specification's own */
        {BYTES(""), 0},
        {BYTES("foo"), 12182},
        {BYTES("bar"), 5061},
        {BYTES("{foo}bar"), 12182},
        {BYTES("x{foo}y{bar}z"), 12182},
        {BYTES("foo{"), 7673},
        {BYTES("{}foo"), 9500},
        {BYTES("}{foo"), 3840},
        {BYTES("{{foo}}"), 13308},
        {BYTES("a\0b\xff\r\n"), 13943},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(slot_of(rows[i].key) == rows[i].slot, "row %zu: %u", i, slot_of(rows[i].key));
}
END_TEST

START_TEST(test_sets)
{
    struct slot_set s = {0};
    ck_assert_uint_eq(slot_set_count(&s), 0);
    for (unsigned i = 0; i < SLOTS; i += 3)
        slot_set_add(&s, i);
    ck_assert_uint_eq(slot_set_count(&s), SLOTS / 3 + 1);
    ck_assert(slot_set_has(&s, 0) && !slot_set_has(&s, 1) && slot_set_has(&s, SLOTS - 1));
    slot_set_remove(&s, 0);
    slot_set_remove(&s, 0);
    slot_set_add(&s, 3);
    ck_assert(!slot_set_has(&s, 0));
    ck_assert_uint_eq(slot_set_count(&s), SLOTS / 3);
    ck_assert(!slot_set_is_full(&s));
    for (unsigned i = 0; i < SLOTS; i++)
        slot_set_add(&s, i);
    ck_assert(slot_set_is_full(&s));
    slot_set_remove(&s, SLOTS - 1);
    ck_assert(!slot_set_is_full(&s));
}
END_TEST

UNIT_MAIN("redis/slot", test_keys, test_sets)
