#include "lib/control/help.h"

#include <assert.h>
#include "lib/control/verbs.h"

static const char *const kinds[] = {
    [KIND_FLAG] = "flag",     [KIND_DURATION] = "duration", [KIND_SIZE] = "size",
    [KIND_NUMBER] = "number", [KIND_CHOICE] = "choice",     [KIND_TEXT] = "text",
};
_Static_assert(ARRAY_LEN(kinds) == KIND_COUNT, "each kind has a name");

static const char *truth(unsigned bit)
{
    return bit ? "true" : "false";
}

/* The table's texts hold nothing that JSON would have to escape; control_verbs.c tests it. */
static int put_choices(struct buf *out, const struct verb_arg *arg)
{
    int e = buf_append_str(out, ",\"choices\":[");

    for (size_t i = 0; !e && arg->choices[i]; i++)
        e = buf_printf(out, "%s\"%s\"", i ? "," : "", arg->choices[i]);
    return e ? e : buf_append_str(out, "]");
}

static int put_arg(struct buf *out, const struct verb_arg *arg, const char *separator)
{
    int e = buf_printf(out, "%s{\"name\":\"%s\",\"kind\":\"%s\",\"help\":\"%s\",\"required\":%s", separator,
                       arg->name, kinds[arg->kind], arg->help, truth(arg->flags & VERB_REQUIRED));

    if (!e && arg->choices)
        e = put_choices(out, arg);
    if (!e && arg->preset)
        e = buf_printf(out, ",\"default\":\"%s\"", arg->preset);
    return e ? e : buf_append_str(out, "}");
}

static int put_verb(struct buf *out, const struct verb *v, const char *separator)
{
    const char *between = "";
    int e = buf_printf(out, "%s{\"name\":\"%s\",\"help\":\"%s\",\"changes\":%s,\"operation\":%s,\"args\":[",
                       separator, v->name, v->help, truth(v->flags & VERB_CHANGES),
                       truth(v->flags & VERB_OPERATION));

    for (size_t i = 0; !e && i < v->nargs; i++) {
        if (v->args[i].flags & VERB_CTL_ONLY)
            continue;
        e = put_arg(out, &v->args[i], between);
        between = ",";
    }
    return e ? e : buf_append_str(out, "]}");
}

int help_document(struct buf *out)
{
    const char *between = "";
    int e = buf_append_str(out, "{\"verbs\":[");

    for (size_t i = 0; !e && i < VERB_COUNT; i++) {
        if (verbs[i].flags & VERB_LOCAL)
            continue;
        e = put_verb(out, &verbs[i], between);
        between = ",";
    }
    return e ? e : buf_append_str(out, "]}");
}
