#include "daemon/fence_acl_rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/unit.h"

static struct bytes line(const char *rules)
{
    static char text[8][512];
    static unsigned next;
    char *out = text[next++ % 8];
    snprintf(out, sizeof(text[0]), "user u %s", rules);
    return bytes_str(out);
}

START_TEST(rules_are_taken_one_by_one)
{
    static const char *const expected[] = {"on",
                                           "#abc",
                                           "~a(b",
                                           "%R~(x)",
                                           "resetchannels",
                                           "-@all",
                                           "+get",
                                           "(~b resetchannels -@all +@write)",
                                           "(+set)"};
    struct bytes l =
        bytes_str("user caf\xc3\xa9 on #abc ~a(b %R~(x) resetchannels -@all +get (~b resetchannels "
                  "-@all +@write) (+set)");
    ck_assert(bytes_is(acl_user(l), "caf\xc3\xa9"));
    struct bytes rest = acl_rules(l);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        struct bytes rule = acl_next(&rest);
        ck_assert_msg(bytes_is(rule, expected[i]), "%.*s", (int)rule.len, rule.ptr);
    }
    ck_assert_uint_eq(rest.len, 0);
}
END_TEST

START_TEST(what_is_no_line_does_no_harm)
{
    static const char *const texts[] = {"",          " ",         "user",     "user ",      "user  ",
                                        "user u",    "user u ",   "user u (", "user u  ( ", "user u +",
                                        "user u -@", "user u (a", "xuser u",  "user u ()"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct bytes l = bytes_str(texts[i]), rest = acl_rules(l);
        (void)acl_user(l);
        unsigned n = 0;
        while (rest.len > 0 && n++ < 100)
            (void)acl_next(&rest);
        ck_assert_uint_lt(n, 100);
        ck_assert(acl_may_write(NULL, l));
        ck_assert(acl_same(l, l, ACL_COMMANDS | ACL_PASSWORDS | ACL_REST));
    }
    ck_assert_uint_eq(acl_user(bytes_str("xuser u")).len, 0);
}
END_TEST

START_TEST(order_matters_but_for_subcommands)
{
    ck_assert(acl_same(line("on +@all -@write"), line("on +@all -@write"), ACL_COMMANDS));
    ck_assert(!acl_same(line("on +@all -@write +set"), line("on +@all +set -@write"), ACL_COMMANDS));
    ck_assert(acl_same(line("-@all +a|x +a|y +b"), line("-@all +a|y +a|x +b"), ACL_COMMANDS));
    ck_assert(!acl_same(line("-@all +a|x +b +a|y"), line("-@all +a|x +a|y +b"), ACL_COMMANDS));
    ck_assert(!acl_same(line("+get"), line("+get +get"), ACL_COMMANDS));
    ck_assert(acl_same(line("on #a #b ~x ~y +get"), line("on #b #a ~y ~x +get"), 7));
    ck_assert(!acl_same(line("on #a +get"), line("on #b +get"), ACL_PASSWORDS));
    ck_assert(acl_same(line("on #a +get"), line("on nopass +get"), ACL_COMMANDS | ACL_REST));
    ck_assert(!acl_same(line("on ~a +get"), line("off ~a +get"), ACL_REST));
    ck_assert(!acl_same(bytes_str("user a on"), bytes_str("user b on"), ACL_REST));
}
END_TEST

/* A little server: what ACL CAT, and ACL CAT of each category, tell. */
static struct acl_catalog *catalog(void)
{
    static const struct {
        const char *category;
        const char *names[8];
    } all[] = {
        {"write", {"set", "del", "xgroup|create", "xgroup|destroy"}},
        {"read", {"get", "scan"}},
        {"string", {"set", "get"}},
        {"dangerous", {"config|get", "config|set", "del"}},
        {"slow", {"config|get", "config|set", "xgroup|create", "xgroup|destroy", "xgroup|help", "scan"}}};
    struct reply text[16], *at[16], list = {.type = REPLY_ARRAY, .count = ARRAY_LEN(all), .at = at};
    struct acl_catalog *c;
    for (size_t i = 0; i < ARRAY_LEN(text); i++) {
        at[i] = &text[i];
        text[i] = (struct reply){.type = REPLY_STRING};
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        text[i].text = bytes_str(all[i].category);
    ck_assert_int_eq(acl_catalog_new(&list, &c), 0);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        ck_assert(!acl_catalog_is_full(c));
        ck_assert_str_eq(acl_catalog_wants(c, i), all[i].category);
        for (list.count = 0; list.count < 8 && all[i].names[list.count]; list.count++)
            text[list.count].text = bytes_str(all[i].names[list.count]);
        ck_assert_int_eq(acl_catalog_add(c, &list), 0);
    }
    ck_assert_ptr_null(acl_catalog_wants(c, ARRAY_LEN(all)));
    ck_assert(acl_catalog_is_full(c));
    ck_assert_int_eq(acl_catalog_add(c, &list), -EBADMSG);
    return c;
}

START_TEST(who_may_write_is_worked_out)
{
    static const struct {
        const char *rules;
        bool may;
    } all[] = {
        {"+@all", true},
        {"+@all -@write", false},
        {"+@all -@write +set", true},
        {"+@all +set -@write", false},
        {"-@all +@read +get", false},
        {"-@all +@string", true},
        {"-@all +@string -set", false},
        {"-@all +@dangerous", true},
        {"-@all +@dangerous -del", false},
        {"-@all +xgroup", true},
        {"-@all +xgroup|help", false},
        {"-@all +xgroup -xgroup|create", true},
        {"-@all +xgroup -xgroup|create -xgroup|destroy", false},
        {"-@all +xgroup -@write", false},
        {"-@all +set|x", true}, /* before 7.0: the first argument of a command */
        {"-@all +config|get", false},
        {"-@all +nosuch", true}, /* not known is not known to be harmless */
        {"-@all +@nosuch", true},
        {"-@all +nosuch -@all +get", false},
        {"-@all +get (~x -@all +set)", true},
        {"-@all +get (~x -@all +get) (~y +@read)", false},
        {"-@all", false},
        {"", false},
        {"+@ALL -@WRITE", false},
    };
    struct acl_catalog *c = catalog();
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        ck_assert_msg(acl_may_write(c, line(all[i].rules)) == all[i].may, "%s", all[i].rules);
    acl_catalog_free(c);
}
END_TEST

/* They are in no category, and told in any case. */
START_TEST(what_a_module_brings_is_held_to_write)
{
    struct acl_catalog *c = catalog();
    struct reply text = {.type = REPLY_STRING, .text = BYTES("VADD")}, *at = &text;
    struct reply list = {.type = REPLY_ARRAY, .count = 1, .at = &at};
    size_t count;

    ck_assert(!acl_may_write(c, line("+@all -@write")));
    ck_assert_int_eq(acl_catalog_add_module(c, &list), 0);
    ck_assert(acl_may_write(c, line("+@all -@write")));
    ck_assert(!acl_may_write(c, line("+@all -@write -vadd")));
    ck_assert(acl_may_write(c, line("-@all +get +vadd")));
    ck_assert(!acl_may_write(c, line("-@all +get")));
    const char *const *denials = acl_catalog_denials(c, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(denials[0], "-vadd");
    list.type = REPLY_NIL;
    ck_assert_int_eq(acl_catalog_add_module(c, &list), -EBADMSG);
    acl_catalog_free(c);
}
END_TEST

START_TEST(the_same_in_other_words_is_the_same)
{
    struct acl_catalog *c = catalog();
    ck_assert(acl_allows_same(c, line("-@all +get +scan"), line("-@all +@read")));
    ck_assert(
        acl_allows_same(c, line("+@all -@write"), line("+@all -set -del -xgroup|create -xgroup|destroy")));
    ck_assert(!acl_allows_same(c, line("+@all -@write"), line("+@all -@write -get")));
    ck_assert(!acl_allows_same(c, line("+@all -@write +set"), line("+@all +set -@write")));
    ck_assert(!acl_allows_same(c, line("-@all +nosuch"), line("-@all +nosuch2")));
    ck_assert(!acl_allows_same(c, line("-@all (+get)"), line("-@all (+@read -scan)")));
    ck_assert(acl_allows_same(c, line("-@all (+get)"), line("-@all (+get)")));
    ck_assert(!acl_allows_same(NULL, line("-@all +get +scan"), line("-@all +@read")));
    acl_catalog_free(c);
}
END_TEST

UNIT_MAIN("daemon/fence_acl_rules", rules_are_taken_one_by_one, what_is_no_line_does_no_harm,
          order_matters_but_for_subcommands, who_may_write_is_worked_out,
          what_a_module_brings_is_held_to_write, the_same_in_other_words_is_the_same)
