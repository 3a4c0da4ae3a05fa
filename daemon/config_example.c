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

void config_example(FILE *out)
{
    const char *section = "";
    size_t section_len = 0;

    fputs("# The configuration of riotd, with every option. Lines that begin with #name: show the default, "
          "or,\n"
          "# where there is none, an example. Check it with: riotd --check-config -c FILE\n",
          out);
    for (size_t row = 0; row < CONFIG_OPTIONS; row++) {
        const char *path = config_options[row].path;
        const char *dot = strchr(path, '.');
        size_t len = dot ? (size_t)(dot - path) : 0;
        if (len == 0 || len != section_len || memcmp(path, section, len) != 0)
            fprintf(out, "\n%.*s%s", (int)len, path, len ? ":\n" : "");
        else
            fputc('\n', out);
        section = path;
        section_len = len;
        option(out, row, dot ? dot + 1 : path, dot ? "  " : "");
    }
}
