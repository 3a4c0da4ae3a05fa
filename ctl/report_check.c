#include "ctl/report_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doc.h"

#define LEVEL_COLUMNS 7 /* of "warning" */
#define GAP           2
#define TEXT_LEAST    30 /* a text narrower than that is not broken into lines */

static enum style style_of(const char *level)
{
    return !strcmp(level, "error") ? STYLE_RED : !strcmp(level, "warning") ? STYLE_YELLOW : STYLE_GREEN;
}

static const char *text_of(const json_t *item, const char *field)
{
    const char *text = doc_text(item, field);
    return text ? text : "";
}

static size_t name_columns(const json_t *items)
{
    size_t i, width = 0;
    const json_t *item;

    json_array_foreach(items, i, item)
    {
        width = MAX(width, strlen(text_of(item, "name")));
    }
    return width;
}

/* How much of the text goes into one line of so many columns: up to a blank, if there is one. */
static size_t line_of(const char *text, size_t columns)
{
    size_t len = strlen(text), cut = columns;

    if (len <= columns)
        return len;
    while (cut > 0 && text[cut] != ' ')
        cut--;
    return cut ? cut : columns;
}

/* The text, where there is a terminal broken at blanks; lines after the first begin below it. */
static int put_text(struct buf *out, const struct term *t, size_t indent, const char *text)
{
    size_t columns = t->tty && t->width > indent + TEXT_LEAST ? t->width - indent : SIZE_MAX;
    int e = 0;

    do {
        size_t len = line_of(text, columns);
        term_put(out, t, bytes_of(text, len), SIZE_MAX);
        text += len;
        text += strspn(text, " ");
        e = *text ? buf_printf(out, "\n%*s", (int)indent, "") : buf_append_str(out, "\n");
    } while (!e && *text);
    return e;
}

/* "warning  name  text", and the hint below the text. */
static int put_item(struct buf *out, const struct term *t, size_t columns, const json_t *item)
{
    const char *level = text_of(item, "level"), *hint = text_of(item, "hint");
    size_t indent = LEVEL_COLUMNS + GAP + columns + GAP, used;

    int e = buf_append_str(out, term_style(t, style_of(level)));
    used = e ? 0 : term_put(out, t, bytes_str(level), LEVEL_COLUMNS);
    if (!e)
        e = buf_printf(out, "%s%*s", term_plain(t), (int)(LEVEL_COLUMNS + GAP - used), "");
    used = e ? 0 : term_put(out, t, bytes_str(text_of(item, "name")), columns);
    if (!e)
        e = buf_printf(out, "%*s", (int)(columns + GAP - used), "");
    if (!e)
        e = put_text(out, t, indent, text_of(item, "text"));
    if (e || !hint[0] || !strcmp(level, "ok"))
        return e;
    e = buf_printf(out, "%*s", (int)indent, "");
    return e ? e : put_text(out, t, indent, hint);
}

static int put_counts(struct buf *out, const struct term *t, uint64_t errors, uint64_t warnings)
{
    enum style s = errors ? STYLE_RED : warnings ? STYLE_YELLOW : STYLE_GREEN;

    return buf_printf(out, "%s%llu error%s, %llu warning%s%s\n", term_style(t, s), (unsigned long long)errors,
                      errors == 1 ? "" : "s", (unsigned long long)warnings, warnings == 1 ? "" : "s",
                      term_plain(t));
}

int report_check_render(const json_t *doc, const struct term *t, struct buf *out)
{
    const json_t *items = doc_get(doc, "items"), *item;
    size_t i, columns = name_columns(items);
    uint64_t errors = 0, warnings = 0;
    int e = 0;

    json_array_foreach(items, i, item)
    {
        e = e ? e : put_item(out, t, columns, item);
    }
    doc_number(doc, "errors", &errors);
    doc_number(doc, "warnings", &warnings);
    return e ? e : put_counts(out, t, errors, warnings);
}

int report_check(struct session *s)
{
    uint64_t code = CTL_FAILED;
    struct buf out;
    char *text;

    int status = session_request(s, &text);
    if (status)
        return status;
    json_t *doc = doc_parse(text);
    buf_init(&out, SESSION_TEXT_MAX);
    if (!doc || !doc_number(doc, "exit_code", &code))
        code =
            (uint64_t)session_fail(s, CTL_FAILED, code_name(CODE_FAILED), "riotd's answer is not understood");
    else if (s->args->json)
        session_print_json(text, false);
    else if (report_check_render(doc, &s->out, &out) == 0)
        session_print(&out);
    buf_free(&out);
    json_decref(doc);
    free(text);
    return (int)MIN(code, 255u);
}
