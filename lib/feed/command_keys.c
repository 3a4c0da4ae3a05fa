#include "lib/feed/command_keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/hash.h"
#include "lib/core/table.h"
#include "lib/feed/command_learn.h"
#include "lib/feed/command_table.h"

#define TABLE_SIZE  512
#define LEARNED_MAX 4096 /* commands of a server that are kept, beyond those that are built in */
#define NOT_YET     UINT64_MAX

struct entry {
    struct table_node node;
    struct command_rule rule;
    bool learned;
    char name[COMMAND_NAME_MAX]; /* of one that was learned: rule.name points to it */
};

/* Which arguments are the keys of one specification; first is NOT_YET while that is not known. */
struct span {
    uint64_t first, last, step;
    uint64_t number; /* the argument that says how many there are */
};

enum option_kind { OPTION_NONE, OPTION_SKIP, OPTION_KEY, OPTION_DB };

struct command_keys {
    struct command_keys_events ev;
    void *arg;
    struct hash_seed seed;
    struct table table;
    size_t nlearned;

    /* The command that is being read. */
    const struct command_rule *rule; /* NULL: not known, or none is */
    struct span spans[KEY_SPECS_MAX];
    size_t nname;
    char name[COMMAND_NAME_MAX];
    uint64_t next, argc;
    uint64_t keys;
    int numbers[2];
    size_t nnumbers;
    bool bad; /* not as its rule says */
    enum option_kind option;
    int option_left;
    int option_db; /* or KEYS_HERE */
    char *held;    /* a key whose database comes later; NULL: none */
    size_t nheld;
    uint64_t held_length;
};

/* --- the rules, by name */

static uint64_t hash_of(const struct command_keys *k, struct bytes name)
{
    return hash_bytes(k->seed, 0, name);
}

static struct entry *find(const struct command_keys *k, struct bytes name)
{
    struct table_node *n = table_first(&k->table, hash_of(k, name));

    while (n && !bytes_is(name, CONTAINER_OF(n, struct entry, node)->rule.name))
        n = table_next(n);
    return n ? CONTAINER_OF(n, struct entry, node) : NULL;
}

static int insert(struct command_keys *k, const struct command_rule *rule, bool learned)
{
    struct entry *e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->rule = *rule;
    e->learned = learned;
    if (learned) {
        memcpy(e->name, rule->name, strlen(rule->name) + 1);
        e->rule.name = e->name;
    }
    int err = table_insert(&k->table, &e->node, hash_of(k, bytes_str(e->rule.name)));
    if (err < 0)
        free(e);
    return err;
}

static void forget(struct table_node *n, void *arg)
{
    struct command_keys *k = arg;
    struct entry *e = CONTAINER_OF(n, struct entry, node);

    if (!e->learned)
        return;
    table_remove(&k->table, n);
    free(e);
}

static void destroy(struct table_node *n, void *arg)
{
    struct command_keys *k = arg;
    struct entry *e = CONTAINER_OF(n, struct entry, node);

    table_remove(&k->table, n);
    free(e);
}

static int insert_built_in(struct command_keys *k)
{
    int err = 0;

    for (size_t i = 0; i < command_rules_count && !err; i++)
        err = insert(k, &command_rules[i], false);
    return err;
}

int command_keys_new(const struct command_keys_events *ev, void *arg, struct command_keys **ret)
{
    struct command_keys *k = calloc(1, sizeof(*k));
    if (!k)
        return -ENOMEM;
    k->ev = *ev;
    k->arg = arg;
    k->seed = hash_seed_random();
    int err = table_init(&k->table, TABLE_SIZE);
    if (!err)
        err = insert_built_in(k);
    if (err < 0) {
        command_keys_free(k);
        return err;
    }
    *ret = k;
    return 0;
}

struct command_keys *command_keys_free(struct command_keys *k)
{
    if (!k)
        return NULL;
    command_keys_reset(k);
    table_each(&k->table, destroy, k);
    table_free(&k->table);
    free(k);
    return NULL;
}

static int learn_one(const struct command_rule *rule, void *arg)
{
    struct command_keys *k = arg;

    if (find(k, bytes_str(rule->name)))
        return 0;
    if (k->nlearned == LEARNED_MAX)
        return -EBADMSG;
    k->nlearned++;
    return insert(k, rule, true);
}

int command_keys_learn(struct command_keys *k, const struct reply *command)
{
    command_keys_reset(k);
    table_each(&k->table, forget, k);
    k->nlearned = 0;
    return command_learn(command, learn_one, k);
}

/* --- naming keys */

static void name_key(struct command_keys *k, int db, struct bytes text, uint64_t length)
{
    k->keys++;
    if (length > KEY_NAME_MAX)
        k->ev.long_key(db, text, length, k->arg);
    else
        k->ev.key(db, text, k->arg);
}

/* Keeps the key until its database is known. */
static void hold(struct command_keys *k, const struct stream_arg *a)
{
    char *copy = malloc(a->text.len + 1);
    if (!copy) {
        k->bad = true;
        return;
    }
    bytes_put(copy, a->text);
    free(k->held);
    k->held = copy;
    k->nheld = a->text.len;
    k->held_length = a->length;
}

static void drop_held(struct command_keys *k)
{
    free(k->held);
    k->held = NULL;
}

static void take_key(struct command_keys *k, const struct stream_arg *a)
{
    enum other_db other = k->rule->other_db;

    if (!stream_arg_is_whole(a) && a->length <= KEY_NAME_MAX) {
        k->bad = true;
        return;
    }
    if (other != OTHER_DB_NONE)
        hold(k, a);
    if (other != OTHER_DB_INSTEAD)
        name_key(k, KEYS_HERE, a->text, a->length);
}

/* --- where the keys are */

static void set_span(struct command_keys *k, struct span *s, uint64_t first, uint64_t last)
{
    if (last >= k->argc) {
        k->bad = true;
        return;
    }
    s->first = first;
    s->last = last;
}

/* The span of a specification that begins at the argument `at`. */
static void open_span(struct command_keys *k, const struct key_spec *spec, struct span *s, uint64_t at)
{
    uint64_t rest = k->argc > at ? k->argc - at : 0;

    s->step = (uint64_t)spec->step;
    if (spec->counted) {
        s->number = at + (uint64_t)spec->number;
        return;
    }
    if (spec->last < 0) {
        uint64_t end = spec->limit > 1 ? at + rest / (uint64_t)spec->limit : k->argc;
        uint64_t back = (uint64_t)-spec->last;
        if (end < at + back)
            return;
        set_span(k, s, at, end - back);
    } else {
        set_span(k, s, at, at + (uint64_t)spec->last);
    }
}

static void open_counted(struct command_keys *k, const struct key_spec *spec, struct span *s,
                         const struct stream_arg *a)
{
    uint64_t count, first = a->index - (uint64_t)spec->number + (uint64_t)spec->first;

    s->number = NOT_YET;
    if (!stream_arg_is_whole(a) || bytes_to_u64(a->text, &count) || count > k->argc) {
        k->bad = true;
        return;
    }
    if (!count)
        return;
    set_span(k, s, first, first + (count - 1) * s->step);
}

static bool is_in(const struct span *s, uint64_t index)
{
    return index >= s->first && index <= s->last && (s->step <= 1 || (index - s->first) % s->step == 0);
}

static void look_for_span(struct command_keys *k, const struct key_spec *spec, struct span *s,
                          const struct stream_arg *a)
{
    if (s->number == a->index)
        open_counted(k, spec, s, a);
    else if (s->number == NOT_YET && s->first == NOT_YET && spec->keyword[0] &&
             a->index >= (uint64_t)spec->from && bytes_is_nocase(a->text, spec->keyword))
        open_span(k, spec, s, a->index + 1);
}

static void take_specs(struct command_keys *k, const struct stream_arg *a)
{
    bool is_key = false;

    for (size_t i = 0; i < k->rule->nspecs; i++) {
        struct span *s = &k->spans[i];
        if (is_in(s, a->index))
            is_key = true;
        else
            look_for_span(k, &k->rule->specs[i], s, a);
    }
    if (is_key)
        take_key(k, a);
}

/* --- what else is in a command */

static bool take_db(const struct stream_arg *a, int *ret)
{
    int64_t n;

    if (!stream_arg_is_whole(a) || bytes_to_i64(a->text, &n) || n < 0 || n > INT32_MAX)
        return false;
    *ret = (int)n;
    return true;
}

static void take_number(struct command_keys *k, const struct stream_arg *a)
{
    if (take_db(a, &k->numbers[k->nnumbers]))
        k->nnumbers++;
    else
        k->bad = true;
}

static const struct {
    const char *word;
    enum option_kind kind;
    int takes;
} options[] = {
    {"store", OPTION_KEY, 1}, {"storedist", OPTION_KEY, 1}, {"db", OPTION_DB, 1},      {"by", OPTION_SKIP, 1},
    {"get", OPTION_SKIP, 1},  {"limit", OPTION_SKIP, 2},    {"count", OPTION_SKIP, 1},
};

static void begin_option(struct command_keys *k, struct bytes word)
{
    k->option = OPTION_NONE;
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (bytes_is_nocase(word, options[i].word)) {
            k->option = options[i].kind;
            k->option_left = options[i].takes;
        }
}

static void take_option(struct command_keys *k, const struct stream_arg *a)
{
    if (!k->option_left) {
        begin_option(k, a->text);
        return;
    }
    k->option_left--;
    if (k->option == OPTION_KEY)
        take_key(k, a);
    else if (k->option == OPTION_DB && !take_db(a, &k->option_db))
        k->bad = true;
}

/* --- one command */

void command_keys_reset(struct command_keys *k)
{
    drop_held(k);
    k->rule = NULL;
    k->next = k->argc = 0;
    k->nname = 0;
}

static bool use_rule(struct command_keys *k)
{
    const struct entry *e = find(k, bytes_of(k->name, k->nname));
    if (!e)
        return false;
    k->rule = &e->rule;
    for (size_t i = 0; i < k->rule->nspecs; i++) {
        const struct key_spec *spec = &k->rule->specs[i];
        k->spans[i] = (struct span){.first = NOT_YET, .number = NOT_YET};
        if (!spec->keyword[0])
            open_span(k, spec, &k->spans[i], (uint64_t)spec->from);
    }
    return true;
}

/* A name that does not fit is none that is known. */
static bool append_name(struct command_keys *k, struct bytes word)
{
    if (word.len >= sizeof(k->name) - k->nname)
        return false;
    for (size_t i = 0; i < word.len; i++)
        k->name[k->nname++] = (char)tolower((unsigned char)word.ptr[i]);
    return true;
}

static void begin(struct command_keys *k, const struct stream_arg *a)
{
    command_keys_reset(k);
    k->argc = a->argc;
    k->keys = 0;
    k->nnumbers = 0;
    k->bad = false;
    k->option_left = 0;
    k->option_db = KEYS_HERE;
    if (!append_name(k, a->text) || !use_rule(k))
        k->rule = NULL;
}

/* Without a rule of its own, that of the container holds. */
static void take_subcommand(struct command_keys *k, const struct stream_arg *a)
{
    if (append_name(k, BYTES("|")) && append_name(k, a->text))
        (void)use_rule(k);
}

static void take_argument(struct command_keys *k, const struct stream_arg *a)
{
    const struct command_rule *r = k->rule;

    if (r->nspecs)
        take_specs(k, a);
    if (a->index - (uint64_t)r->numbers_from < (uint64_t)r->numbers)
        take_number(k, a);
    if (r->options && a->index >= (uint64_t)r->options)
        take_option(k, a);
}

static int held_db(const struct command_keys *k)
{
    return k->nnumbers ? k->numbers[0] : k->option_db;
}

static enum effect_kind effect_of(const struct command_keys *k)
{
    if (!k->rule || k->bad || k->nnumbers < (size_t)k->rule->numbers ||
        (k->rule->kind == EFFECT_KEYS && !k->keys))
        return EFFECT_UNKNOWN;
    return k->rule->kind;
}

static void end(struct command_keys *k, struct command_effect *ret)
{
    if (k->held)
        name_key(k, held_db(k), bytes_of(k->held, k->nheld), k->held_length);
    *ret = (struct command_effect){
        .kind = effect_of(k),
        .db = k->nnumbers > 0 ? k->numbers[0] : 0,
        .other_db = k->nnumbers > 1 ? k->numbers[1] : 0,
        .keys = k->keys,
        .name = bytes_of(k->name, k->nname),
    };
    command_keys_reset(k);
}

bool command_keys_take(struct command_keys *k, const struct stream_arg *a, struct command_effect *ret)
{
    if (a->index == 0)
        begin(k, a);
    else if (a->index == 1 && k->rule && k->rule->container)
        take_subcommand(k, a);
    if (k->rule)
        take_argument(k, a);
    k->next = a->index + 1;
    if (!stream_arg_is_last(a))
        return false;
    end(k, ret);
    return true;
}

bool command_keys_wants(const struct command_keys *k)
{
    if (!k->rule || k->bad)
        return false;
    for (size_t i = 0; i < k->rule->nspecs; i++)
        if (is_in(&k->spans[i], k->next))
            return true;
    return k->option == OPTION_KEY && k->option_left;
}
