#include "ctl/complete.h"

#include <stdio.h>
#include <string.h>

#include "ctl/args.h"

#define PREFIX_MAX (ARGS_NAME_MAX + 4) /* "--name=" */

/* What the words before the one that is written have said. */
struct line {
    const struct verb *verb;
    bool lost;     /* a verb that there is not: nothing follows it */
    bool operands; /* behind a --: no options any more */
    bool has_option[OPTION_COUNT], has_arg[ARG_COUNT];
    const struct args_option *option; /* waits for its value */
    const struct verb_arg *arg;       /* the same, of the verb's */
};

/* --- the words before --- */

static const struct args_option *find_option(struct bytes name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (bytes_is(name, args_options[i].name))
            return &args_options[i];
    }
    return NULL;
}

static const struct verb_arg *find_arg(const struct line *l, struct bytes name)
{
    const struct verb_arg *arg = l->verb ? verb_arg_find(l->verb, name) : NULL;

    return arg && !(arg->flags & (VERB_ASSIGN | VERB_POSITIONAL)) ? arg : NULL;
}

static void take_option(struct line *l, const struct args_option *o, bool has_value)
{
    l->has_option[o - args_options] = true;
    if (o->placeholder && !has_value)
        l->option = o;
}

static void take_long(struct line *l, const char *word)
{
    struct bytes rest = bytes_str(word + 2), name = bytes_cut(&rest, '=');
    bool has_value = word[2 + name.len] == '=';
    const struct args_option *o = find_option(name);
    const struct verb_arg *arg = o ? NULL : find_arg(l, name);

    if (o)
        take_option(l, o, has_value);
    if (arg)
        l->has_arg[arg->id] = true;
    if (arg && arg->placeholder && !has_value)
        l->arg = arg;
}

static void take_short(struct line *l, const char *word)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (args_options[i].letter == word[1])
            take_option(l, &args_options[i], word[2] != '\0');
    }
}

static void take_operand(struct line *l, const char *word)
{
    struct bytes rest = bytes_str(word), name = bytes_cut(&rest, '=');

    for (size_t i = 0; i < l->verb->nargs; i++) {
        const struct verb_arg *arg = &l->verb->args[i];
        if (arg->flags & VERB_POSITIONAL || (arg->flags & VERB_ASSIGN && verb_arg_find(l->verb, name) == arg))
            l->has_arg[arg->id] = true;
    }
}

static void take(struct line *l, const char *word)
{
    if (l->option || l->arg) {
        l->option = NULL;
        l->arg = NULL;
    } else if (!l->operands && !strcmp(word, "--")) {
        l->operands = true;
    } else if (!l->operands && !strncmp(word, "--", 2)) {
        take_long(l, word);
    } else if (!l->operands && word[0] == '-' && word[1]) {
        take_short(l, word);
    } else if (l->verb) {
        take_operand(l, word);
    } else {
        l->verb = verb_find(bytes_str(word));
        l->lost |= !l->verb;
    }
}

/* --- what may follow --- */

static void add_links(struct candidates *c, const struct paths_env *env, const char *prefix)
{
    struct paths_instance links[PATHS_INSTANCES_MAX];
    size_t count = paths_list(env, links);

    for (size_t i = 0; i < count; i++)
        candidates_add(c, prefix, links[i].name, "", links[i].path);
}

static void add_choices(struct candidates *c, const char *prefix, const char *const *choices)
{
    for (size_t i = 0; choices && choices[i]; i++)
        candidates_add(c, prefix, choices[i], "", "");
}

static void add_values(struct candidates *c, const struct line *l, const struct paths_env *env,
                       const char *prefix)
{
    if (l->option == &args_options[OPTION_NAME])
        add_links(c, env, prefix);
    else if (l->option == &args_options[OPTION_COLOUR])
        add_choices(c, prefix, args_colours);
    else if (l->option)
        candidates_add_files(c, l->option->placeholder);
    else
        add_choices(c, prefix, l->arg->choices);
}

static void add_verbs(struct candidates *c)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        candidates_add(c, "", verbs[i].name, "", verbs[i].help);
}

static void add_arg_options(struct candidates *c, const struct line *l)
{
    char dashed[ARGS_NAME_MAX];

    for (size_t i = 0; l->verb && i < l->verb->nargs; i++) {
        const struct verb_arg *arg = &l->verb->args[i];
        if (!l->has_arg[arg->id] && !(arg->flags & (VERB_ASSIGN | VERB_POSITIONAL)))
            candidates_add(c, "--", args_dashed(arg->name, dashed), "", arg->help);
    }
}

static void add_options(struct candidates *c, const struct line *l)
{
    add_arg_options(c, l);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct args_option *o = &args_options[i];
        const char letter[] = {o->letter, '\0'};
        if (l->has_option[i] || !args_option_fits((enum args_option_id)i, l->verb))
            continue;
        if (o->letter)
            candidates_add(c, "-", letter, "", o->help);
        candidates_add(c, "--", o->name, "", o->help);
    }
}

/* What a verb alone asks for is told without a dash, too. */
static void add_operands(struct candidates *c, const struct line *l)
{
    for (size_t i = 0; i < l->verb->nargs; i++) {
        const struct verb_arg *arg = &l->verb->args[i];
        if (l->has_arg[arg->id])
            continue;
        if (arg->flags & VERB_ASSIGN)
            candidates_add(c, "", arg->name, "=", arg->help);
        if (arg->id == ARG_VERB)
            add_verbs(c);
    }
    if (!l->operands)
        add_arg_options(c, l);
}

/* --name=, and the beginning of its value. */
static void add_assigned(struct candidates *c, struct line *l, const struct paths_env *env)
{
    struct bytes rest = bytes_str(c->written + 2), name = bytes_cut(&rest, '=');
    char prefix[PREFIX_MAX];

    snprintf(prefix, sizeof(prefix), "%.*s", (int)MIN(name.len + 3, sizeof(prefix) - 1), c->written);
    l->option = find_option(name);
    l->arg = l->option ? NULL : find_arg(l, name);
    if (l->option ? l->option->placeholder != NULL : l->arg && l->arg->placeholder)
        add_values(c, l, env, prefix);
}

static void add_what_fits(struct candidates *c, struct line *l, const struct paths_env *env)
{
    if (l->lost)
        return;
    if (l->option || l->arg)
        add_values(c, l, env, "");
    else if (!l->operands && !strncmp(c->written, "--", 2) && strchr(c->written, '='))
        add_assigned(c, l, env);
    else if (!l->operands && c->written[0] == '-')
        add_options(c, l);
    else if (l->verb)
        add_operands(c, l);
    else
        add_verbs(c);
}

void complete_words(int count, char *const *words, const struct paths_env *env, struct candidates *ret)
{
    struct line l = {0};

    *ret = (struct candidates){.written = count > 0 ? words[count - 1] : ""};
    buf_init(&ret->out, CANDIDATES_MAX);
    for (int i = 0; i + 1 < count; i++)
        take(&l, words[i]);
    add_what_fits(ret, &l, env);
}
