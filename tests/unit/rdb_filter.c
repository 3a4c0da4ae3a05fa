#include <errno.h>
#include <string.h>

#include "lib/rdb/filter.h"
#include "tests/unit/unit.h"

static struct filter *made(const char *include, const char *exclude, const char *const *types)
{
    struct bytes in = bytes_str(include), ex = bytes_str(exclude);
    struct filter_options opt = {.include = &in,
                                 .ninclude = include != NULL,
                                 .exclude = &ex,
                                 .nexclude = exclude != NULL,
                                 .types = types};
    struct filter *f;

    while (types && types[opt.ntypes])
        opt.ntypes++;
    ck_assert_int_eq(filter_new(&opt, &f), 0);
    return f;
}

START_TEST(names_are_included_and_then_excluded)
{
    struct filter *f = made("user:*", "*:tmp", NULL);

    ck_assert(filter_name(f, BYTES("user:1")) && !filter_name(f, BYTES("user:1:tmp")));
    ck_assert(!filter_name(f, BYTES("cart:1")) && !filter_has_types(f) && !filter_scan_types(f));
    filter_free(f);
    f = made(NULL, "\xff*", NULL);
    ck_assert(filter_name(f, BYTES("any")) && !filter_name(f, BYTES("\xff\0")));
    filter_free(f);
    ck_assert(filter_name(NULL, BYTES("any")) && filter_type(NULL, RDB_LIST));
}
END_TEST

START_TEST(types_are_told_by_payload_and_by_name)
{
    struct filter *f = made(NULL, NULL, (const char *const[]){"string", "zset", NULL});

    ck_assert(filter_has_types(f) && filter_payload(f, BYTES("\0")) && filter_payload(f, BYTES("\5")));
    ck_assert(!filter_payload(f, BYTES("\1")) && !filter_payload(f, BYTES("\7")));
    ck_assert(filter_payload(f, BYTES("\x7f"))); /* not known: it may not be lost in silence */
    ck_assert(filter_type_name(f, BYTES("string")) && !filter_type_name(f, BYTES("list")));
    ck_assert(!filter_type_name(f, BYTES("none")) && !filter_type_name(f, BYTES("ReJSON-RL")));
    ck_assert_str_eq(filter_scan_types(f)[0], "string");
    ck_assert_str_eq(filter_scan_types(f)[1], "zset");
    ck_assert_ptr_null(filter_scan_types(f)[2]);
    filter_free(f);
}
END_TEST

/* SCAN TYPE has no word for them, so all keys are gone through. */
START_TEST(modules_go_by_one_name)
{
    struct filter *f = made(NULL, NULL, (const char *const[]){"hash", "module", NULL});

    ck_assert(filter_type_name(f, BYTES("ReJSON-RL")) && filter_type_name(f, BYTES("vectorset")));
    ck_assert(filter_payload(f, BYTES("\7")) && !filter_payload(f, BYTES("\0")) && !filter_scan_types(f));
    filter_free(f);
}
END_TEST

START_TEST(what_cannot_be_meant_is_refused)
{
    static char longer[FILTER_GLOB_MAX + 1];
    const struct bytes glob = bytes_of(longer, sizeof(longer));
    const char *const type[] = {"sets"};
    struct filter *f;

    memset(longer, 'a', sizeof(longer));
    ck_assert_int_eq(filter_new(&(struct filter_options){.include = &glob, .ninclude = 1}, &f), -EINVAL);
    ck_assert_int_eq(filter_new(&(struct filter_options){.types = type, .ntypes = 1}, &f), -EINVAL);
}
END_TEST

UNIT_MAIN("rdb/filter", names_are_included_and_then_excluded, types_are_told_by_payload_and_by_name,
          modules_go_by_one_name, what_cannot_be_meant_is_refused)
