#include "ctl/usage.h"

#include <stdio.h>
#include <string.h>

#include "ctl/args.h"
#include "lib/control/codes.h"
#include "lib/core/wrap.h"

/* Where what is told begins. */
#define VERB_COLUMN   11
#define OPTION_COLUMN 22
#define EXIT_COLUMN   7
#define LEFT          64

static int put_option(struct buf *out, const struct args_option *o)
{
    char left[LEFT], letter[] = "    ";

    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->placeholder ? " " : "",
             o->placeholder ? o->placeholder : "");
    return wrap_row(out, OPTION_COLUMN, left, o->help);
}

static int put_options(struct buf *out, const struct verb *v)
{
    int e = buf_append_str(out, "\nOptions:\n");

    for (unsigned i = 0; !e && i < OPTION_COUNT; i++) {
        if (args_option_fits((enum args_option_id)i, v))
            e = put_option(out, &args_options[i]);
    }
    return e;
}

/* "--for COND", "memory=SIZE", "VERB". */
static const char *written(const struct verb_arg *arg, char out[LEFT])
{
    char dashed[ARGS_NAME_MAX];

    args_dashed(arg->name, dashed);
    if (arg->flags & VERB_ASSIGN)
        snprintf(out, LEFT, "%s=%s", arg->name, arg->placeholder);
    else if (arg->flags & VERB_POSITIONAL)
        snprintf(out, LEFT, "%s", arg->placeholder);
    else if (arg->kind == KIND_FLAG)
        snprintf(out, LEFT, "--%s", dashed);
    else
        snprintf(out, LEFT, "--%s %s", dashed, arg->placeholder);
    return out;
}

static int put_exits(struct buf *out)
{
    char left[8];
    int e = buf_append_str(out, "\nExit codes:\n");

    for (size_t i = 0; !e && i < CTL_EXITS; i++) {
        snprintf(left, sizeof(left), "%d", (int)ctl_exits[i].status);
        e = wrap_row(out, EXIT_COLUMN, left, ctl_exits[i].help);
    }
    return e;
}

int usage_all(struct buf *out)
{
    int e = buf_append_str(out, "Usage: riotctl [OPTIONS] VERB [ARGUMENTS]\n\n"
                                "Steers riotd, which keeps one Redis or Valkey in sync with another.\n\n"
                                "Verbs:\n");

    for (unsigned i = 0; !e && i < VERB_COUNT; i++)
        e = wrap_row(out, VERB_COLUMN, verbs[i].name, verbs[i].help);
    if (!e)
        e = put_options(out, NULL);
    if (!e)
        e = put_exits(out);
    return e ? e : buf_append_str(out, "\n'riotctl VERB --help' tells all about a verb.\n");
}

/* Arguments stay whole: the next line begins where the first one's do. */
static int put_synopsis(struct buf *out, const struct verb *v)
{
    char text[LEFT], one[LEFT + 4], head[80];
    int column = snprintf(head, sizeof(head), "Usage: riotctl [OPTIONS] %s", v->name), at = column;
    int e = buf_append_str(out, head);

    for (size_t i = 0; !e && i < v->nargs; i++) {
        bool required = v->args[i].flags & VERB_REQUIRED;
        int len = snprintf(one, sizeof(one), " %s%s%s", required ? "" : "[", written(&v->args[i], text),
                           required ? "" : "]");
        if (at + len > WRAP_WIDTH) {
            e = buf_printf(out, "\n%*s", column, "");
            at = column;
        }
        if (!e)
            e = buf_append_str(out, one);
        at += len;
    }
    return e ? e : buf_append_str(out, "\n\n");
}

static int put_arg(struct buf *out, const struct verb_arg *arg)
{
    char left[LEFT], text[256];
    size_t at = (size_t)snprintf(text, sizeof(text), "%s", arg->help);

    for (size_t i = 0; arg->choices && arg->choices[i] && at < sizeof(text); i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? ", " : "; one of ", arg->choices[i]);
    if (arg->preset && at < sizeof(text))
        snprintf(text + at, sizeof(text) - at, "; default %s", arg->preset);
    return wrap_row(out, OPTION_COLUMN, written(arg, left), text);
}

static int put_sentence(struct buf *out, const char *help)
{
    char text[256];

    snprintf(text, sizeof(text), "%c%s.", help[0] - 'a' + 'A', help + 1);
    return wrap_words(out, 0, 0, text);
}

int usage_verb(const struct verb *v, struct buf *out)
{
    int e = put_synopsis(out, v);

    if (!e)
        e = put_sentence(out, v->help);
    if (!e && v->nargs)
        e = buf_append_str(out, "\nArguments:\n");
    for (size_t i = 0; !e && i < v->nargs; i++)
        e = put_arg(out, &v->args[i]);
    return e ? e : put_options(out, v);
}
