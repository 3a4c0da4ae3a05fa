#include "lib/feed/command_learn.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* What stands where in a command's row; the last two since 7.0. */
enum field { NAME, ARITY, FLAGS, FIRST, LAST, STEP, ACL, TIPS, SPECS, SUBCOMMANDS };
#define FIELDS_LEAST (STEP + 1)

#define PLACE_MAX 1000 /* no position, step or limit is larger */

struct telling {
    int (*fn)(const struct command_rule *borrowed, void *arg);
    void *arg;
};

/* A key specification as it is told. */
struct told {
    struct key_spec spec;
    bool placed; /* its arguments can be found */
    bool read_only, movable;
};

static bool has(const struct reply *list, const char *flag)
{
    struct bytes text;

    for (size_t i = 0; reply_text(reply_at(list, i), &text); i++)
        if (bytes_is_nocase(text, flag))
            return true;
    return false;
}

/* A map comes as name, value, name, value in an array. */
static const struct reply *map_at(const struct reply *map, const char *name)
{
    struct bytes text;

    for (size_t i = 0; reply_text(reply_at(map, i), &text); i += 2)
        if (bytes_is(text, name))
            return reply_at(map, i + 1);
    return NULL;
}

static bool place_in(const struct reply *r, int64_t least, int *ret)
{
    int64_t n;

    if (!reply_integer(r, &n) || n < least || n > PLACE_MAX)
        return false;
    *ret = (int)n;
    return true;
}

static bool place(const struct reply *map, const char *name, int64_t least, int *ret)
{
    return place_in(map_at(map, name), least, ret);
}

static bool copy_lower(struct bytes from, char *to, size_t cap)
{
    if (!from.len || from.len >= cap)
        return false;
    for (size_t i = 0; i < from.len; i++)
        to[i] = (char)tolower((unsigned char)from.ptr[i]);
    to[from.len] = '\0';
    return true;
}

static bool is_type(const struct reply *part, const char *type)
{
    struct bytes text;

    return reply_text(map_at(part, "type"), &text) && bytes_is(text, type);
}

/* A keyword that is sought from the end backwards is not placed: arguments come in order. */
static bool read_beginning(const struct reply *part, struct told *t)
{
    const struct reply *spec = map_at(part, "spec");
    struct bytes word;

    if (is_type(part, "index"))
        return place(spec, "index", 1, &t->spec.from);
    t->movable = true;
    return is_type(part, "keyword") && place(spec, "startfrom", 1, &t->spec.from) &&
           reply_text(map_at(spec, "keyword"), &word) &&
           copy_lower(word, t->spec.keyword, sizeof(t->spec.keyword));
}

static bool read_keys(const struct reply *part, struct told *t)
{
    const struct reply *spec = map_at(part, "spec");

    if (is_type(part, "range"))
        return place(spec, "lastkey", -PLACE_MAX, &t->spec.last) &&
               place(spec, "keystep", 1, &t->spec.step) && place(spec, "limit", 0, &t->spec.limit);
    t->movable = t->spec.counted = true;
    return is_type(part, "keynum") && place(spec, "keynumidx", 0, &t->spec.number) &&
           place(spec, "firstkey", t->spec.number + 1, &t->spec.first) &&
           place(spec, "keystep", 1, &t->spec.step);
}

static struct told read_spec(const struct reply *r)
{
    const struct reply *flags = map_at(r, "flags");
    struct told t = {.read_only = has(flags, "RO") && !has(flags, "variable_flags")};

    t.placed = read_beginning(map_at(r, "begin_search"), &t) && read_keys(map_at(r, "find_keys"), &t) &&
               !has(flags, "incomplete");
    return t;
}

static bool is_no_key(const struct reply *spec)
{
    return has(map_at(spec, "flags"), "not_key");
}

/* The keys that are read only are left out, unless there are no others: then the command writes something
 * else of theirs, as XREADGROUP does. False: not all are placed. */
static bool read_specs(const struct reply *specs, bool movable, struct command_rule *rule)
{
    bool any_written = false, any_movable = false;

    for (size_t i = 0; i < specs->count; i++) {
        struct told t = read_spec(specs->at[i]);
        if (is_no_key(specs->at[i]))
            continue;
        if (!t.placed)
            return false;
        any_written |= !t.read_only;
        any_movable |= t.movable;
    }
    for (size_t i = 0; i < specs->count; i++) {
        struct told t = read_spec(specs->at[i]);
        if (is_no_key(specs->at[i]) || (t.read_only && any_written))
            continue;
        if (rule->nspecs == KEY_SPECS_MAX)
            return false;
        rule->specs[rule->nspecs++] = t.spec;
    }
    /* Movable, and none of these moves: there are more, which only the command itself finds. */
    return any_movable || !movable;
}

/* Before 7.0: from the first to the last, in steps. */
static bool read_range(const struct reply *row, struct command_rule *rule)
{
    struct key_spec *s = &rule->specs[0];

    if (!place_in(reply_at(row, FIRST), 1, &s->from) ||
        !place_in(reply_at(row, LAST), -PLACE_MAX, &s->last) || !place_in(reply_at(row, STEP), 1, &s->step))
        return false;
    if (s->last >= 0)
        s->last = MAX(s->last - s->from, 0);
    rule->nspecs = 1;
    return true;
}

static void read_rule(const struct reply *row, struct command_rule *rule)
{
    const struct reply *specs = reply_at(row, SPECS);
    bool movable = has(reply_at(row, FLAGS), "movablekeys"), known;

    if (specs && specs->count)
        known = read_specs(specs, movable, rule);
    else
        known = !movable && read_range(row, rule);
    if (!known)
        rule->nspecs = 0;
    rule->kind = rule->nspecs ? EFFECT_KEYS : EFFECT_UNKNOWN;
}

static int learn_row(const struct telling *t, const struct reply *row)
{
    struct command_rule rule = {.kind = EFFECT_UNKNOWN};
    const struct reply *subcommands = reply_at(row, SUBCOMMANDS);
    char lower[COMMAND_NAME_MAX];
    struct bytes name;
    bool writes = has(reply_at(row, FLAGS), "write");
    int err = 0;

    if (!row || row->type != REPLY_ARRAY || row->count < FIELDS_LEAST || !reply_text(row->at[NAME], &name))
        return -EBADMSG;
    if (!copy_lower(name, lower, sizeof(lower)))
        return 0;
    rule.name = lower;
    rule.container = subcommands && subcommands->count;
    if (writes)
        read_rule(row, &rule);
    if (rule.container || writes)
        err = t->fn(&rule, t->arg);
    for (size_t i = 0; rule.container && i < subcommands->count && !err; i++)
        err = learn_row(t, subcommands->at[i]);
    return err;
}

int command_learn(const struct reply *command, int (*fn)(const struct command_rule *borrowed, void *arg),
                  void *arg)
{
    const struct telling t = {.fn = fn, .arg = arg};
    int err = 0;

    if (!command || command->type != REPLY_ARRAY)
        return -EBADMSG;
    for (size_t i = 0; i < command->count && !err; i++) {
        if (command->at[i]->type == REPLY_NIL)
            continue;
        err = learn_row(&t, command->at[i]);
    }
    return err;
}
