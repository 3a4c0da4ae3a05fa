#include "lib/control/request.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "lib/core/text.h"

#define TEXT_VALUE_MAX 256
#define SHOWN_MAX      48 /* of what a peer sent, in an error */

static const char *const expected[] = {
    [KIND_FLAG] = "yes or no",
    [KIND_DURATION] = "a duration, such as 500ms, 5s or 2m",
    [KIND_SIZE] = "a size, such as 512, 64KiB or 32MiB",
    [KIND_NUMBER] = "a number, 0 or more",
    [KIND_CHOICE] = "one of",
    [KIND_TEXT] = "a text of 1 to 256 printable characters",
};
_Static_assert(ARRAY_LEN(expected) == KIND_COUNT, "each kind has a row");

static int parse_flag(struct bytes text, uint64_t *ret)
{
    bool yes = bytes_is_nocase(text, "yes");

    if (!yes && !bytes_is_nocase(text, "no"))
        return -EINVAL;
    *ret = yes;
    return 0;
}

static int parse_choice(const struct verb_arg *arg, struct bytes text, uint64_t *ret)
{
    for (size_t i = 0; arg->choices[i]; i++) {
        if (bytes_is_nocase(text, arg->choices[i])) {
            *ret = i;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_text(struct bytes text)
{
    if (!text.len || text.len > TEXT_VALUE_MAX)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] > '~')
            return -EINVAL;
    }
    return 0;
}

static int parse_kind(const struct verb_arg *arg, struct bytes text, uint64_t *ret)
{
    switch (arg->kind) {
    case KIND_FLAG:
        return parse_flag(text, ret);
    case KIND_DURATION:
        return text_to_ms(text, ret);
    case KIND_SIZE:
        return text_to_size(text, ret);
    case KIND_NUMBER:
        return bytes_to_u64(text, ret);
    case KIND_CHOICE:
        return parse_choice(arg, text, ret);
    case KIND_TEXT:
    case KIND_COUNT:
        break;
    }
    return parse_text(text);
}

static void list_choices(const struct verb_arg *arg, char *out, size_t cap)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; arg->choices && arg->choices[i] && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? ", " : " ", arg->choices[i]);
}

int request_value_parse(const struct verb_arg *arg, struct bytes text, struct request_value *ret,
                        char why[REQUEST_WHY_MAX])
{
    uint64_t number = 0;
    char shown[SHOWN_MAX], choices[128];

    if (parse_kind(arg, text, &number)) {
        list_choices(arg, choices, sizeof(choices));
        snprintf(why, REQUEST_WHY_MAX, "'%s' is no value for '%s': it takes %s%s",
                 bytes_escape(text, shown, sizeof(shown)), arg->name, expected[arg->kind], choices);
        return -EINVAL;
    }
    *ret = (struct request_value){.given = true, .number = number, .text = text};
    return 0;
}

static int unknown_verb(struct bytes name, char why[REQUEST_WHY_MAX])
{
    const char *near = verb_suggest(name, VERB_LOCAL);
    char shown[SHOWN_MAX];

    bytes_escape(name, shown, sizeof(shown));
    if (near)
        snprintf(why, REQUEST_WHY_MAX, "unknown verb '%s'; did you mean '%s'?", shown, near);
    else
        snprintf(why, REQUEST_WHY_MAX, "unknown verb '%s'; 'riotctl help' lists them", shown);
    return -EINVAL;
}

static int unknown_arg(const struct verb *v, struct bytes name, char why[REQUEST_WHY_MAX])
{
    const char *near = verb_arg_suggest(v, name, VERB_CTL_ONLY);
    char shown[SHOWN_MAX];

    bytes_escape(name, shown, sizeof(shown));
    if (near)
        snprintf(why, REQUEST_WHY_MAX, "%s has no argument '%s'; did you mean '%s'?", v->name, shown, near);
    else
        snprintf(why, REQUEST_WHY_MAX, "%s has no argument '%s'", v->name, shown);
    return -EINVAL;
}

static int take_pair(struct request *r, struct bytes name, struct bytes text, char why[REQUEST_WHY_MAX])
{
    const struct verb_arg *arg = verb_arg_find(r->verb, name);

    if (!arg || arg->flags & VERB_CTL_ONLY)
        return unknown_arg(r->verb, name, why);
    if (r->values[arg->id].given) {
        snprintf(why, REQUEST_WHY_MAX, "%s is given twice", arg->name);
        return -EINVAL;
    }
    return request_value_parse(arg, text, &r->values[arg->id], why);
}

int request_missing(const struct request *r, char why[REQUEST_WHY_MAX])
{
    for (size_t i = 0; i < r->verb->nargs; i++) {
        const struct verb_arg *arg = &r->verb->args[i];
        if (arg->flags & VERB_REQUIRED && !r->values[arg->id].given) {
            char choices[128];
            list_choices(arg, choices, sizeof(choices));
            snprintf(why, REQUEST_WHY_MAX, "%s needs '%s': %s%s", r->verb->name, arg->name,
                     expected[arg->kind], choices);
            return -EINVAL;
        }
    }
    return 0;
}

int request_parse(const struct bytes *argv, size_t argc, struct request *ret, char why[REQUEST_WHY_MAX])
{
    struct request r = {.verb = verb_find(argv[0])};

    if (!r.verb || r.verb->flags & VERB_LOCAL)
        return unknown_verb(argv[0], why);
    for (size_t i = 1; i < argc; i += 2) {
        if (i + 1 == argc) {
            char shown[SHOWN_MAX];
            if (!verb_arg_find(r.verb, argv[i]))
                return unknown_arg(r.verb, argv[i], why);
            snprintf(why, REQUEST_WHY_MAX, "'%s' has no value; arguments are pairs: NAME value",
                     bytes_escape(argv[i], shown, sizeof(shown)));
            return -EINVAL;
        }
        int e = take_pair(&r, argv[i], argv[i + 1], why);
        if (e)
            return e;
    }
    int e = request_missing(&r, why);
    if (e)
        return e;
    *ret = r;
    return 0;
}
