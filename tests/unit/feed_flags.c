#include "lib/feed/flags.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

START_TEST(what_suffices)
{
    ck_assert(flags_suffice("AK", 70000));
    ck_assert(flags_suffice("AKE", 60000));
    ck_assert(flags_suffice("g$lshzxetK", 60000));
    ck_assert(!flags_suffice("g$lshzxetK", 60200));
    ck_assert(flags_suffice("g$lshzxetdKE", 70000));
    ck_assert(!flags_suffice("AE", 70000));
    ck_assert(!flags_suffice("", 70000));
    ck_assert(!flags_suffice("K", 70000));
    ck_assert(!flags_suffice("Kx", 70000));
}
END_TEST

START_TEST(what_is_the_same)
{
    ck_assert(flags_same("KA", "AK"));
    ck_assert(flags_same("KEA", "g$lshzxetdKE"));
    ck_assert(flags_same("", ""));
    ck_assert(!flags_same("KA", "KEA"));
    ck_assert(!flags_same("KA", "g$lshzxetK"));
    ck_assert(!flags_same("x", ""));
    ck_assert(flags_same("A", "A"));
}
END_TEST

START_TEST(what_is_added)
{
    static const char *const rows[][2] = {
        {"", "KA"}, {"Ex", "KAE"}, {"Kg$l", "KA"}, {"AE", "KAE"}, {"mnE", "KAmnE"}, {"mm", "KAm"},
    };
    char out[8];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_int_eq(flags_add(rows[i][0], out, sizeof(out)), 0);
        ck_assert_str_eq(out, rows[i][1]);
    }
    ck_assert_int_eq(flags_add("123456", out, sizeof(out)), -ERANGE);
}
END_TEST

UNIT_MAIN("feed/flags", what_suffices, what_is_the_same, what_is_added)
