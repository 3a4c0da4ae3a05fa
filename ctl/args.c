#include "ctl/args.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/control/paths.h"
#include "lib/core/text.h"

#define SHOWN_MAX  48
#define NEAR_EDITS 2

const struct args_option args_options[] = {
    [OPTION_SOCKET] = {"socket", 's', "PATH", "ask the riotd behind this socket; else $RIOT_SOCKET"},
    [OPTION_NAME] = {"name", 'n', "NAME", "ask the riotd of this link; else the only one that runs"},
    [OPTION_JSON] = {"json", '\0', NULL, "print what riotd answers as it is"},
    [OPTION_NO_WAIT] = {"no-wait", '\0', NULL, "print the operation's id, and do not wait for its end"},
    [OPTION_COLOUR] = {"color", '\0', "WHEN", "colours: auto, always or never"},
    [OPTION_HELP] = {"help", 'h', NULL, "show this, or all about a verb"},
    [OPTION_VERSION] = {"version", 'V', NULL, "show the version of riotctl"},
};
_Static_assert(ARRAY_LEN(args_options) == OPTION_COUNT, "each option has a row");

const char *const args_colours[] = {
    [COLOUR_AUTO] = "auto",
    [COLOUR_ALWAYS] = "always",
    [COLOUR_NEVER] = "never",
    [COLOURS] = NULL,
};

bool args_option_fits(enum args_option_id id, const struct verb *v)
{
    return id != OPTION_NO_WAIT || !v || v->flags & (VERB_OPERATION | VERB_CHANGES);
}

struct parser {
    struct args *args;
    char *const *rest; /* not looked at yet; NULL ends them */
    char *why;
};

PRINTF_LIKE(2, 3)
static int fail(struct parser *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->why, REQUEST_WHY_MAX, format, args);
    va_end(args);
    return -EINVAL;
}

static const char *shown(struct bytes b, char out[SHOWN_MAX])
{
    return bytes_escape(b, out, SHOWN_MAX);
}

const char *args_dashed(const char *name, char out[ARGS_NAME_MAX])
{
    snprintf(out, ARGS_NAME_MAX, "%s", name);
    for (char *c = out; *c; c++) {
        if (*c == '_')
            *c = '-';
    }
    return out;
}

static int set_colour(struct parser *p, const char *value)
{
    char text[SHOWN_MAX];

    for (unsigned i = 0; i < COLOURS; i++) {
        if (!strcmp(value, args_colours[i])) {
            p->args->colour = (enum args_colour)i;
            return 0;
        }
    }
    return fail(p, "--color takes auto, always or never, not '%s'", shown(bytes_str(value), text));
}

static int set_name(struct parser *p, const char *value)
{
    char text[SHOWN_MAX];

    if (!paths_name_ok(bytes_str(value)))
        return fail(p, "'%s' is no name of a link: 1 to 32 of a-z, 0-9 and -", shown(bytes_str(value), text));
    p->args->name = value;
    return 0;
}

static int set_option(struct parser *p, enum args_option_id id, const char *value)
{
    switch (id) {
    case OPTION_SOCKET:
        p->args->socket = value;
        return 0;
    case OPTION_NAME:
        return set_name(p, value);
    case OPTION_JSON:
        p->args->json = true;
        return 0;
    case OPTION_NO_WAIT:
        p->args->no_wait = true;
        return 0;
    case OPTION_COLOUR:
        return set_colour(p, value);
    case OPTION_HELP:
        p->args->help = true;
        return 0;
    case OPTION_VERSION:
        p->args->version = true;
        return 0;
    case OPTION_COUNT:
        break;
    }
    return -EINVAL;
}

static int take_value(struct parser *p, struct bytes name, const char **ret)
{
    char text[SHOWN_MAX];

    if (!*p->rest)
        return fail(p, "%s needs a value", shown(name, text));
    *ret = *p->rest++;
    return 0;
}

/* An option of riotctl's own. value NULL: none was written with it. */
static int take_option(struct parser *p, enum args_option_id id, struct bytes written, const char *value)
{
    char text[SHOWN_MAX];

    if (!args_options[id].placeholder) {
        if (value)
            return fail(p, "%s takes no value", shown(written, text));
    } else if (!value) {
        int e = take_value(p, written, &value);
        if (e)
            return e;
    }
    return set_option(p, id, value);
}

static bool near(const char *word, const char *name, unsigned *best)
{
    unsigned distance = text_distance(word, name);

    if (distance > NEAR_EDITS || distance >= *best)
        return false;
    *best = distance;
    return true;
}

/* The option that may have been meant, of riotctl's or of the verb's. */
static const char *suggest_option(const struct verb *v, struct bytes name, char out[ARGS_NAME_MAX])
{
    char word[ARGS_NAME_MAX], dashed[ARGS_NAME_MAX];
    unsigned best = NEAR_EDITS + 1;
    const char *found = NULL;

    snprintf(word, sizeof(word), "%.*s", (int)MIN(name.len, sizeof(word) - 1), name.len ? name.ptr : "");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (near(word, args_options[i].name, &best))
            found = strcpy(out, args_options[i].name);
    }
    for (size_t i = 0; v && i < v->nargs; i++) {
        if (!(v->args[i].flags & (VERB_ASSIGN | VERB_POSITIONAL)) &&
            near(word, args_dashed(v->args[i].name, dashed), &best))
            found = strcpy(out, dashed);
    }
    return found;
}

static int unknown_option(struct parser *p, struct bytes name, struct bytes written)
{
    const struct verb *v = p->args->request.verb;
    char text[SHOWN_MAX], meant[ARGS_NAME_MAX];

    shown(written, text);
    if (suggest_option(v, name, meant))
        return fail(p, "there is no option %s; did you mean --%s?", text, meant);
    if (!v)
        return fail(p, "there is no option %s; those of a verb follow it", text);
    return fail(p, "%s has no option %s; 'riotctl %s --help' shows all", v->name, text, v->name);
}

static int set_arg(struct parser *p, const struct verb_arg *arg, struct bytes value)
{
    struct request_value *at = &p->args->request.values[arg->id];

    if (at->given)
        return fail(p, "%s is given twice", arg->name);
    return request_value_parse(arg, value, at, p->why);
}

/* --name, --name VALUE or --name=VALUE. */
static int take_long(struct parser *p, const char *word)
{
    struct bytes rest = bytes_str(word + 2), name = bytes_cut(&rest, '=');
    struct bytes written = bytes_of(word, name.len + 2);
    const char *value = word[2 + name.len] == '=' ? word + 3 + name.len : NULL;
    const struct verb *v = p->args->request.verb;
    char text[SHOWN_MAX];

    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (bytes_is(name, args_options[i].name))
            return take_option(p, (enum args_option_id)i, written, value);
    }
    const struct verb_arg *arg = v ? verb_arg_find(v, name) : NULL;
    if (!arg || arg->flags & (VERB_ASSIGN | VERB_POSITIONAL))
        return unknown_option(p, name, written);
    if (arg->kind == KIND_FLAG)
        return value ? fail(p, "%s takes no value", shown(written, text)) : set_arg(p, arg, BYTES("yes"));
    if (!value) {
        int e = take_value(p, written, &value);
        if (e)
            return e;
    }
    return set_arg(p, arg, bytes_str(value));
}

/* -n NAME, -nNAME, -h; letters are not run together. */
static int take_short(struct parser *p, const char *word)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (args_options[i].letter && word[1] == args_options[i].letter)
            return take_option(p, (enum args_option_id)i, bytes_of(word, 2), word[2] ? word + 2 : NULL);
    }
    return unknown_option(p, bytes_str(word + 1), bytes_str(word));
}

static int take_verb(struct parser *p, const char *word)
{
    const struct verb *v = verb_find(bytes_str(word));
    char text[SHOWN_MAX];

    if (v) {
        p->args->request.verb = v;
        return 0;
    }
    const char *meant = verb_suggest(bytes_str(word), 0);
    shown(bytes_str(word), text);
    if (meant)
        return fail(p, "there is no verb '%s'; did you mean '%s'?", text, meant);
    return fail(p, "there is no verb '%s'; 'riotctl help' lists them", text);
}

/* What stands behind the verb without dashes: NAME=VALUE, or a value that has its place. */
static int take_operand(struct parser *p, const char *word)
{
    const struct verb *v = p->args->request.verb;
    struct bytes value = bytes_str(word), name = bytes_cut(&value, '=');
    char text[SHOWN_MAX];
    bool assigns = false;

    for (size_t i = 0; i < v->nargs; i++) {
        const struct verb_arg *arg = &v->args[i];
        if (arg->flags & VERB_POSITIONAL && !p->args->request.values[arg->id].given)
            return set_arg(p, arg, bytes_str(word));
        if (!(arg->flags & VERB_ASSIGN))
            continue;
        assigns = true;
        if (strchr(word, '=') && verb_arg_find(v, name) == arg)
            return set_arg(p, arg, value);
    }
    const char *meant = assigns ? verb_arg_suggest(v, name, 0) : NULL;
    shown(name, text);
    if (meant && strcmp(meant, text))
        return fail(p, "%s has no '%s'; did you mean %s=VALUE?", v->name, text, meant);
    if (assigns && strchr(word, '='))
        return fail(p, "%s has no '%s'; 'riotctl %s --help' shows all", v->name, text, v->name);
    if (assigns)
        return fail(p, "%s takes NAME=VALUE, not '%s'", v->name, text);
    return fail(p, "%s does not take '%s'", v->name, text);
}

static int take_word(struct parser *p, const char *word, bool options)
{
    if (options && !strncmp(word, "--", 2))
        return take_long(p, word);
    if (options && word[0] == '-' && word[1])
        return take_short(p, word);
    return p->args->request.verb ? take_operand(p, word) : take_verb(p, word);
}

/* What only shows once all words are known. */
static int check_whole(struct parser *p)
{
    const struct args *a = p->args;
    const struct verb *v = a->request.verb;

    if (a->help || a->version)
        return 0;
    if (!v)
        return fail(p, "a verb is missing; 'riotctl help' lists them");
    if (a->no_wait && !args_option_fits(OPTION_NO_WAIT, v))
        return fail(p, "%s has no option --no-wait", v->name);
    return request_missing(&a->request, p->why);
}

int args_parse(int argc, char *const *argv, struct args *ret, char why[REQUEST_WHY_MAX])
{
    struct args args = {0};
    struct parser p = {.args = &args, .rest = argv + MIN(argc, 1), .why = why};
    bool options = true;

    while (*p.rest) {
        const char *word = *p.rest++;
        if (options && !strcmp(word, "--")) {
            options = false;
            continue;
        }
        int e = take_word(&p, word, options);
        if (e)
            return e;
    }
    int e = check_whole(&p);
    if (e)
        return e;
    *ret = args;
    return 0;
}

size_t args_wire(const struct request *r, struct bytes argv[ARGS_WIRE_MAX])
{
    size_t argc = 0;

    argv[argc++] = bytes_str(r->verb->name);
    for (size_t i = 0; i < r->verb->nargs; i++) {
        const struct verb_arg *arg = &r->verb->args[i];
        if (arg->flags & VERB_CTL_ONLY || !r->values[arg->id].given)
            continue;
        argv[argc++] = bytes_str(arg->name);
        argv[argc++] = r->values[arg->id].text;
    }
    return argc;
}
