#include "ctl/rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/doc.h"
#include "lib/core/text.h"

#define PIECE_MAX 1024

void rows_init(struct rows *r, struct buf *out, const struct term *t, unsigned most)
{
    *r = (struct rows){.out = out, .t = t, .left = most};
}

static void put(struct rows *r, const char *text)
{
    int e = buf_append_str(r->out, text);

    (void)e; /* a screen has its ceiling; what is beyond it is not shown */
}

void rows_text(struct rows *r, enum style s, const char *text)
{
    if (!r->open || !text[0])
        return;
    put(r, s == STYLE_PLAIN ? "" : term_style(r->t, s));
    r->used += term_put(r->out, r->t, bytes_str(text), r->t->width - r->used);
    put(r, s == STYLE_PLAIN ? "" : term_plain(r->t));
    r->empty = false;
}

void rows_format(struct rows *r, enum style s, const char *format, ...)
{
    char text[PIECE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    rows_text(r, s, text);
}

bool rows_begin(struct rows *r, const char *label, enum style s)
{
    char padded[ROWS_LABEL + 1];

    rows_end(r);
    if (!r->left)
        return false;
    r->left--;
    r->open = true;
    r->used = 0;
    snprintf(padded, sizeof(padded), "%-*s", ROWS_LABEL, label);
    rows_text(r, s, padded);
    r->empty = true;
    return true;
}

void rows_end(struct rows *r)
{
    if (r->open)
        put(r, "\n");
    r->open = false;
}

void rows_gap(struct rows *r)
{
    rows_end(r);
    if (!r->left)
        return;
    r->left--;
    put(r, "\n");
}

size_t rows_break(const char *text, size_t columns)
{
    size_t len = strlen(text);

    if (len <= columns)
        return len;
    for (size_t i = columns; i > columns / 2; i--) {
        if (text[i] == ' ')
            return i;
    }
    while (columns > 1 && ((unsigned char)text[columns] & 0xc0) == 0x80)
        columns--;
    return columns;
}

void rows_wrap(struct rows *r, const char *label, enum style label_style, enum style s, const char *text,
               unsigned most)
{
    size_t columns = r->t->width - ROWS_LABEL;

    for (unsigned n = 0; n < most && (!n || *text); n++) {
        if (!rows_begin(r, n ? "" : label, label_style))
            return;
        size_t len = n + 1 < most && r->left ? rows_break(text, columns) : strlen(text);
        rows_format(r, s, "%.*s", (int)MIN(len, PIECE_MAX), text);
        text += len;
        text += strspn(text, " ");
    }
    rows_end(r);
}

static void put_part(struct rows *r, const char *separator, const char *number, const char *suffix)
{
    rows_format(r, STYLE_PLAIN, "%s%s%s", r->empty ? "" : separator, number, suffix);
}

bool rows_count(struct rows *r, const json_t *doc, const char *path, const char *separator,
                const char *suffix)
{
    char text[TEXT_MAX];
    uint64_t n;

    if (!doc_number(doc, path, &n))
        return false;
    if (n == 1 && !strcmp(suffix, " keys"))
        suffix = " key";
    put_part(r, separator, text_count(n, text), suffix);
    return true;
}

bool rows_some(struct rows *r, const json_t *doc, const char *path, const char *separator, const char *suffix)
{
    uint64_t n;

    return doc_number(doc, path, &n) && n && rows_count(r, doc, path, separator, suffix);
}

bool rows_size(struct rows *r, const json_t *doc, const char *path, const char *separator, const char *suffix)
{
    char text[TEXT_MAX];
    uint64_t n;

    if (!doc_number(doc, path, &n))
        return false;
    put_part(r, separator, text_size(n, text), suffix);
    return true;
}

bool rows_ms(struct rows *r, const json_t *doc, const char *path, const char *separator, const char *suffix)
{
    char text[TEXT_MAX];
    uint64_t n;

    if (!doc_number(doc, path, &n))
        return false;
    put_part(r, separator, text_ms(n, text), suffix);
    return true;
}
