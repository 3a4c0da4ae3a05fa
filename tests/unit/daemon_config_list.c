/* Lists of globs and types: as a file writes them, and what they match then. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include "daemon/config_table.h"

#define URLS "source: {url: redis://a}\ntarget: {url: redis://b}\n"

static struct config *c;
static struct config_errors errors;

static int load(const char *filter)
{
    char text[1024];

    snprintf(text, sizeof(text), URLS "filter:\n  %s\n", filter);
    ck_assert_int_eq(config_new(&c), 0);
    int err = config_parse(c, "f.yaml", bytes_str(text), &errors);
    return err ? err : config_check(c, &errors);
}

static void done(void)
{
    c = config_free(c);
    config_errors_free(&errors);
}

static void gives(const char *filter, const char *error)
{
    ck_assert_int_lt(load(filter), 0);
    ck_assert_str_eq(errors.line[0], error);
    done();
}

/* The row as a file would write it, which then means the same. */
static void renders(const char *path, const char *expected)
{
    char *text;

    ck_assert_int_eq(config_value_render(c, config_option_find(path), &text), 0);
    ck_assert_str_eq(text, expected);
    free(text);
}

static bool takes(struct bytes name)
{
    return filter_name(c->filter, name);
}

START_TEST(without_one_there_is_no_filter)
{
    ck_assert_int_eq(load(""), 0);
    ck_assert_ptr_null(c->filter);
    done();
}
END_TEST

START_TEST(lists_and_single_ones_are_the_same)
{
    ck_assert_int_eq(load("include: ['user:*', \"cart:?\"]\n  exclude: '*:tmp, *:old'"), 0);
    ck_assert(takes(BYTES("user:1")) && takes(BYTES("cart:1")) && !takes(BYTES("cart:22")));
    ck_assert(!takes(BYTES("user:1:tmp")) && !takes(BYTES("user:1:old")) && !filter_has_types(c->filter));
    renders("filter.include", "['user:*', 'cart:?']");
    renders("filter.exclude", "['*:tmp', '*:old']");
    done();
    ck_assert_int_eq(load("types: [hash, zset]"), 0);
    ck_assert(filter_type(c->filter, RDB_ZSET) && !filter_type(c->filter, RDB_STRING));
    renders("filter.types", "[hash, zset]");
    done();
}
END_TEST

/* \xHH is a byte and no sign; all else is the glob's own. */
START_TEST(bytes_commas_and_quotes_survive)
{
    ck_assert_int_eq(load("include: ['\\xff\\x00*', 'a\\x2ab', '[\\x80-\\x8f]', '\\\\xff']"), 0);
    ck_assert(takes(BYTES("\xff\0\n")) && takes(BYTES("a*b")) && !takes(BYTES("axb")));
    ck_assert(takes(BYTES("\x85")) && !takes(BYTES("\x90")) && takes(BYTES("\\xff")));
    done();
    ck_assert_int_eq(load("include: ['a,b*', 'it''s', ' c ', 'd\\,e', '[,]f', 'g\\\\,']"), 0);
    ck_assert(takes(BYTES("a,b1")) && takes(BYTES("it's")) && takes(BYTES(" c ")) && takes(BYTES("d,e")));
    ck_assert(takes(BYTES(",f")) && takes(BYTES("g\\,")) && !takes(BYTES("c")) && !takes(BYTES("a")));
    renders("filter.include", "['a\\x2cb*', 'it''s', '\\x20c\\x20', 'd\\x2ce', '[\\x2c]f', 'g\\\\\\x2c']");
    done();
}
END_TEST

START_TEST(what_cannot_be_meant_is_told)
{
    gives("types: [sets]", "f.yaml:4:11: filter.types: expected a type: string, list, set, zset, "
                           "hash, stream or module");
    gives("include: []", "f.yaml:4:12: filter.include: has no value");
    gives("include: ['a', '']", "f.yaml:4:18: filter.include: expected a glob of 1 to 1024 bytes");
    gives("include: [\"a\\0b\"]", "f.yaml:4:12: filter.include: has a NUL in it");
    gives("incude: ['a']", "f.yaml:4:3: filter.incude: unknown option; did you mean filter.include?");
}
END_TEST

UNIT_MAIN("daemon/config_list", without_one_there_is_no_filter, lists_and_single_ones_are_the_same,
          bytes_commas_and_quotes_survive, what_cannot_be_meant_is_told)
