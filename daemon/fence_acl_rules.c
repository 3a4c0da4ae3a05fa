#include "daemon/fence_acl_rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATEGORIES_MAX 63
#define OF_A_MODULE    ((uint64_t)1 << CATEGORIES_MAX)
#define COMMANDS_MAX   4096
#define NAME_MAX_LEN   128
#define RULES_MAX      32768

struct command {
    char *name; /* "get", "xgroup|create" */
    uint64_t categories;
};

struct acl_catalog {
    size_t ncategories, filled, ncommands;
    char *categories[CATEGORIES_MAX];
    struct command *commands; /* by name */
    size_t ndenials;
    char **denials;
};

/* Rules. */

struct bytes acl_user(struct bytes line)
{
    if (!bytes_is(bytes_cut(&line, ' '), "user"))
        return BYTES("");
    return bytes_cut(&line, ' ');
}

struct bytes acl_rules(struct bytes line)
{
    bytes_cut(&line, ' ');
    bytes_cut(&line, ' ');
    return line;
}

/* A selector begins with "(" and ends with the next word that ends in ")": this is how the server reads it.
 */
struct bytes acl_next(struct bytes *rest)
{
    struct bytes word = bytes_cut(rest, ' ');
    if (!bytes_starts(word, "("))
        return word;
    const char *begin = word.ptr;
    while (rest->len > 0 && (word.len == 0 || word.ptr[word.len - 1] != ')'))
        word = bytes_cut(rest, ' ');
    return bytes_of(begin, (size_t)(word.ptr + word.len - begin));
}

bool acl_is_command_rule(struct bytes rule)
{
    return bytes_starts(rule, "+") || bytes_starts(rule, "-") || bytes_starts(rule, "(");
}

static enum acl_part part_of(struct bytes rule)
{
    if (acl_is_command_rule(rule))
        return ACL_COMMANDS;
    return bytes_starts(rule, "#") || bytes_is(rule, "nopass") ? ACL_PASSWORDS : ACL_REST;
}

static int compare_bytes(const void *a, const void *b)
{
    const struct bytes *x = a, *y = b;
    int order = memcmp(x->ptr, y->ptr, MIN(x->len, y->len));
    if (order != 0)
        return order;
    return x->len < y->len ? -1 : x->len > y->len;
}

/* "config" of "+config|get", sign and all; empty: it is no rule of a subcommand. */
static struct bytes container_of(struct bytes rule)
{
    const char *bar = rule.ptr[0] == '(' ? NULL : memchr(rule.ptr, '|', rule.len);
    return bar ? bytes_of(rule.ptr + 1, (size_t)(bar - rule.ptr) - 1) : BYTES("");
}

/* Command rules are applied in their order; but 7.0 tells the subcommands of one command in an order that
 * changes by itself, and means the same. */
static void sort_subcommands(struct bytes *rules, size_t count)
{
    for (size_t from = 0, to; from < count; from = to) {
        struct bytes container = container_of(rules[from]);
        for (to = from + 1; to < count && container.len > 0; to++) {
            if (!bytes_equal(container_of(rules[to]), container))
                break;
        }
        qsort(rules + from, to - from, sizeof(*rules), compare_bytes);
    }
}

/* The rules of this part, in an order that does not depend on how they are told. */
static int collect(struct bytes line, enum acl_part part, struct bytes **ret, size_t *ret_count)
{
    struct bytes rest = acl_rules(line);
    size_t count = 0,
           cap = MIN(rest.len / 2 + 1, (size_t)RULES_MAX); /* each takes two bytes, with its blank */
    struct bytes *rules = malloc(cap * sizeof(*rules));
    if (!rules)
        return -ENOMEM;
    while (rest.len > 0) {
        struct bytes rule = acl_next(&rest);
        if (rule.len == 0 || part_of(rule) != part)
            continue;
        if (count == cap) {
            free(rules);
            return -E2BIG;
        }
        rules[count++] = rule;
    }
    if (part == ACL_COMMANDS)
        sort_subcommands(rules, count);
    else
        qsort(rules, count, sizeof(*rules), compare_bytes);
    *ret = rules;
    *ret_count = count;
    return 0;
}

static bool same_part(struct bytes a, struct bytes b, enum acl_part part)
{
    struct bytes *x = NULL, *y = NULL;
    size_t nx = 0, ny = 0;
    bool same = collect(a, part, &x, &nx) == 0 && collect(b, part, &y, &ny) == 0 && nx == ny;

    for (size_t i = 0; same && i < nx; i++)
        same = bytes_equal(x[i], y[i]);
    free(x);
    free(y);
    return same;
}

bool acl_same(struct bytes a, struct bytes b, unsigned parts)
{
    static const enum acl_part all[] = {ACL_COMMANDS, ACL_PASSWORDS, ACL_REST};

    if (bytes_equal(a, b)) /* as nearly always */
        return true;
    if (!bytes_equal(acl_user(a), acl_user(b)))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if ((parts & all[i]) && !same_part(a, b, all[i]))
            return false;
    }
    return true;
}

/* The catalog. */

int acl_catalog_new(const struct reply *categories, struct acl_catalog **ret)
{
    struct acl_catalog *c = calloc(1, sizeof(*c));
    struct bytes name;
    if (!c)
        return -ENOMEM;
    if (categories->type != REPLY_ARRAY || categories->count > CATEGORIES_MAX) {
        free(c);
        return -EBADMSG;
    }
    for (size_t i = 0; i < categories->count; i++) {
        char *copy = reply_text(categories->at[i], &name) ? bytes_dup(name) : NULL;
        if (!copy) {
            acl_catalog_free(c);
            return -ENOMEM;
        }
        c->categories[c->ncategories++] = copy;
    }
    *ret = c;
    return 0;
}

const char *acl_catalog_wants(const struct acl_catalog *c, size_t i)
{
    return i < c->ncategories ? c->categories[i] : NULL;
}

struct acl_catalog *acl_catalog_free(struct acl_catalog *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < c->ncategories; i++)
        free(c->categories[i]);
    for (size_t i = 0; i < c->ncommands; i++)
        free(c->commands[i].name);
    for (size_t i = 0; i < c->ndenials; i++)
        free(c->denials[i]);
    free(c->denials);
    free(c->commands);
    free(c);
    return NULL;
}

/* Where it is, or belongs. */
static size_t place_of(const struct acl_catalog *c, struct bytes name, bool *ret_found)
{
    size_t low = 0, high = c->ncommands;
    *ret_found = false;
    while (low < high) {
        size_t mid = (low + high) / 2;
        struct bytes there = bytes_str(c->commands[mid].name);
        int order = compare_bytes(&there, &name);
        if (order == 0)
            *ret_found = true;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int add_command(struct acl_catalog *c, struct bytes name, uint64_t category)
{
    bool found;
    size_t at = place_of(c, name, &found);
    if (found) {
        c->commands[at].categories |= category;
        return 0;
    }
    if (c->ncommands == COMMANDS_MAX || name.len > NAME_MAX_LEN)
        return -E2BIG;
    struct command *commands = realloc(c->commands, (c->ncommands + 1) * sizeof(*commands));
    char *copy = bytes_dup(name);
    if (commands)
        c->commands = commands;
    if (!commands || !copy) {
        free(copy);
        return -ENOMEM;
    }
    memmove(commands + at + 1, commands + at, (c->ncommands - at) * sizeof(*commands));
    commands[at] = (struct command){.name = copy, .categories = category};
    c->ncommands++;
    return 0;
}

int acl_catalog_add(struct acl_catalog *c, const struct reply *names)
{
    struct bytes name;
    if (c->filled == c->ncategories || names->type != REPLY_ARRAY)
        return -EBADMSG;
    uint64_t bit = (uint64_t)1 << c->filled;
    for (size_t i = 0; i < names->count; i++) {
        int err = reply_text(names->at[i], &name) ? add_command(c, name, bit) : -EBADMSG;
        if (err < 0)
            return err;
    }
    c->filled++;
    return 0;
}

static int add_denial(struct acl_catalog *c, struct bytes name)
{
    char **denials = realloc(c->denials, (c->ndenials + 1) * sizeof(*denials));
    char *text = NULL;

    if (denials)
        c->denials = denials;
    if (!denials || asprintf(&text, "-%.*s", (int)name.len, name.ptr) < 0)
        return -ENOMEM;
    denials[c->ndenials++] = text;
    return 0;
}

/* As the rules of a line write it: modules name theirs in any case. */
static int add_of_module(struct acl_catalog *c, struct bytes name)
{
    char lower[NAME_MAX_LEN + 1];

    if (name.len == 0 || name.len > NAME_MAX_LEN)
        return -E2BIG;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)tolower((unsigned char)name.ptr[i]);
    name.ptr = lower;
    int err = add_command(c, name, OF_A_MODULE);
    return err ? err : add_denial(c, name);
}

int acl_catalog_add_module(struct acl_catalog *c, const struct reply *names)
{
    struct bytes name;

    if (names->type != REPLY_ARRAY)
        return -EBADMSG;
    for (size_t i = 0; i < names->count; i++) {
        int err = reply_text(names->at[i], &name) ? add_of_module(c, name) : -EBADMSG;
        if (err < 0)
            return err;
    }
    return 0;
}

const char *const *acl_catalog_denials(const struct acl_catalog *c, size_t *ret_count)
{
    *ret_count = c->ndenials;
    return (const char *const *)c->denials;
}

bool acl_catalog_is_full(const struct acl_catalog *c)
{
    return c && c->filled == c->ncategories;
}

static uint64_t category_bit(const struct acl_catalog *c, struct bytes name)
{
    for (size_t i = 0; i < c->ncategories; i++) {
        if (bytes_is_nocase(name, c->categories[i]))
            return (uint64_t)1 << i;
    }
    return 0;
}

/* What a set of rules allows. */

struct allowed {
    const struct acl_catalog *catalog;
    bool *is;     /* by command */
    bool unknown; /* something was allowed that is not in the catalog */
};

/* "config" stands for "config|get" too. */
static bool covers(struct bytes rule, struct bytes name)
{
    return name.len >= rule.len && memcmp(name.ptr, rule.ptr, rule.len) == 0 &&
           (name.len == rule.len || name.ptr[rule.len] == '|');
}

static void set_category(struct allowed *a, struct bytes name, bool on)
{
    bool all = bytes_is_nocase(name, "all");
    uint64_t bit = category_bit(a->catalog, name);

    if (all)
        a->unknown = false;
    else if (bit == 0 && on)
        a->unknown = true;
    for (size_t i = 0; i < a->catalog->ncommands; i++) {
        if (all || (a->catalog->commands[i].categories & bit))
            a->is[i] = on;
    }
}

/* Before 7.0 "+config|get" lets through a first argument of a command that is known as a whole. */
static void set_command(struct allowed *a, struct bytes name, bool on)
{
    const char *bar = memchr(name.ptr, '|', name.len);
    bool any = false;

    for (int whole = 0; whole < 2 && !any; whole++) {
        for (size_t i = 0; i < a->catalog->ncommands; i++) {
            if (!covers(name, bytes_str(a->catalog->commands[i].name)))
                continue;
            a->is[i] = on;
            any = true;
        }
        if (!bar || !on)
            break;
        name.len = (size_t)(bar - name.ptr);
    }
    if (!any && on)
        a->unknown = true;
}

static bool any_write(const struct allowed *a)
{
    uint64_t write = category_bit(a->catalog, BYTES("write"));

    if (write == 0 || a->unknown)
        return true;
    for (size_t i = 0; i < a->catalog->ncommands; i++) {
        if (a->is[i] && (a->catalog->commands[i].categories & (write | OF_A_MODULE)))
            return true;
    }
    return false;
}

static void apply(struct allowed *a, struct bytes rule)
{
    struct bytes name = bytes_of(rule.ptr + 1, rule.len - 1);
    bool on = bytes_starts(rule, "+");

    if (!on && !bytes_starts(rule, "-"))
        return;
    if (bytes_starts(name, "@"))
        set_category(a, bytes_of(name.ptr + 1, name.len - 1), on);
    else
        set_command(a, name, on);
}

/* Without selectors: they hold rules of their own. */
static int allow(const struct acl_catalog *c, struct bytes rules, struct allowed *ret)
{
    *ret = (struct allowed){.catalog = c, .is = calloc(c->ncommands + 1, sizeof(bool))};
    while (ret->is && rules.len > 0)
        apply(ret, acl_next(&rules));
    return ret->is ? 0 : -ENOMEM;
}

static bool rules_may_write(const struct acl_catalog *c, struct bytes rules)
{
    struct allowed a;
    bool may = allow(c, rules, &a) < 0 || any_write(&a);

    free(a.is);
    return may;
}

bool acl_may_write(const struct acl_catalog *c, struct bytes line)
{
    struct bytes rest = acl_rules(line);

    if (!acl_catalog_is_full(c) || rules_may_write(c, rest))
        return true;
    while (rest.len > 0) {
        struct bytes rule = acl_next(&rest);
        if (bytes_starts(rule, "(") && rule.len >= 2 &&
            rules_may_write(c, bytes_of(rule.ptr + 1, rule.len - 2)))
            return true;
    }
    return false;
}

static bool has_selector(struct bytes line)
{
    struct bytes rest = acl_rules(line);

    while (rest.len > 0) {
        if (bytes_starts(acl_next(&rest), "("))
            return true;
    }
    return false;
}

bool acl_allows_all(const struct acl_catalog *c, struct bytes a, struct bytes b)
{
    struct allowed x = {.is = NULL}, y = {.is = NULL};

    if (acl_same(a, b, ACL_COMMANDS))
        return true;
    if (!acl_catalog_is_full(c) || has_selector(a) || has_selector(b))
        return false;
    bool all = allow(c, acl_rules(a), &x) == 0 && allow(c, acl_rules(b), &y) == 0 && !x.unknown && !y.unknown;
    for (size_t i = 0; all && i < c->ncommands; i++)
        all = x.is[i] || !y.is[i];
    free(x.is);
    free(y.is);
    return all;
}

bool acl_allows_same(const struct acl_catalog *c, struct bytes a, struct bytes b)
{
    return acl_allows_all(c, a, b) && acl_allows_all(c, b, a);
}
