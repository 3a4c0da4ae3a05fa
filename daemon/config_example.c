#include "daemon/config_table.h"

#include <string.h>

#define WIDTH 88

/* Words of the text in lines of at most WIDTH, each begun with the prefix. */
static void wrapped(FILE *out, const char *prefix, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column ? " " : prefix, (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void option(FILE *out, size_t row, const char *name, const char *indent)
{
    const struct config_option *o = &config_options[row];
    char prefix[16], bounds[CONFIG_WHY_MAX];

    snprintf(prefix, sizeof(prefix), "%s# ", indent);
    wrapped(out, prefix, o->help);
    config_value_bounds(row, bounds, sizeof(bounds));
    fprintf(out, "%s(%s)\n", prefix, bounds);
    /* What nobody can do without is not commented out. */
    fprintf(out, "%s%s%s: %s\n", indent, o->type == TYPE_URL ? "" : "#", name,
            o->value ? o->value : o->example);
}

/* How many of its sections the one before had already, in bytes. */
static size_t shared(const char *path, const char *before)
{
    size_t len = 0;
    for (size_t i = 0; path[i] && path[i] == before[i]; i++)
        if (path[i] == '.')
            len = i + 1;
    return len;
}

void config_example(FILE *out)
{
    const char *before = "";

    fputs("# The configuration of riotd, with every option. Lines that begin with #name: show the default, "
          "or,\n"
          "# where there is none, an example. Check it with: riotd --check-config -c FILE\n",
          out);
    for (size_t row = 0; row < CONFIG_OPTIONS; row++) {
        const char *path = config_options[row].path;
        const char *name = path + shared(path, before);
        char indent[16] = "";

        for (const char *p = path; p < name; p++)
            if (*p == '.')
                strcat(indent, "  ");
        fputc('\n', out);
        for (const char *dot; (dot = strchr(name, '.')); name = dot + 1) {
            fprintf(out, "%s%.*s:\n", indent, (int)(dot - name), name);
            strcat(indent, "  ");
        }
        before = path;
        option(out, row, name, indent);
    }
}
