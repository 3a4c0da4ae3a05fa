/* preflight_text.c - the table of a check as plain text. */
#include "daemon/preflight.h"

#include <inttypes.h>
#include <string.h>

#define TEXT_COLUMNS 320

static void print_safely(FILE *out, const char *text)
{
    char safe[4 * TEXT_COLUMNS + 1];

    fputs(bytes_escape(bytes_str(text), safe, sizeof(safe)), out);
}

void preflight_print(const struct preflight_report *r, FILE *out)
{
    int width = 0;

    for (size_t i = 0; i < r->nitems; i++)
        width = MAX(width, (int)strlen(r->items[i].name));
    for (size_t i = 0; i < r->nitems; i++) {
        const struct preflight_item *item = &r->items[i];
        fprintf(out, "%-7s  %-*s  ", preflight_level_name(item->level), width, item->name);
        print_safely(out, item->text);
        if (item->hint[0]) {
            fprintf(out, "\n%-7s  %-*s  ", "", width, "");
            print_safely(out, item->hint);
        }
        fputc('\n', out);
    }
    fprintf(out, "%u error%s, %u warning%s\n", r->errors, r->errors == 1 ? "" : "s", r->warnings,
            r->warnings == 1 ? "" : "s");
}
