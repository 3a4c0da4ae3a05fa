#include "ctl/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/rows.h"

#define BETWEEN    2  /* columns between two cells */
#define WRAP_LEAST 16 /* columns of the last cell: with fewer the terminal wraps as it likes */

static size_t cell_width(const struct term *t, const char *text)
{
    struct buf scratch;

    buf_init(&scratch, (size_t)8 * GRID_CELL_MAX);
    size_t width = term_put(&scratch, t, bytes_str(text), SIZE_MAX);
    buf_free(&scratch);
    return width;
}

static void measure(struct grid *g, const struct grid_row *row)
{
    for (size_t i = 0; i < g->columns; i++)
        g->width[i] = MAX(g->width[i], cell_width(g->t, row->cell[i]));
}

/* The last cell, from column `at` on. */
static int put_last(const struct grid *g, const char *text, size_t at)
{
    size_t room = g->t->width > at ? g->t->width - at : 0;
    int e = 0;

    if (!g->t->tty || room < WRAP_LEAST)
        room = SIZE_MAX;
    while (!e) {
        size_t len = rows_break(text, room);
        term_put(g->out, g->t, bytes_of(text, len), SIZE_MAX);
        text += len;
        text += strspn(text, " ");
        if (!*text)
            break;
        e = buf_printf(g->out, "\n%*s", (int)at, "");
    }
    return e;
}

int grid_put_row(const struct grid *g, const struct grid_row *row)
{
    int e = buf_append_str(g->out, term_style(g->t, row->style));
    size_t at = 0, last = g->columns - 1;

    while (last && !row->cell[last][0])
        last--; /* no blanks at the end */
    for (size_t i = 0; !e && i < last; i++) {
        size_t used = term_put(g->out, g->t, bytes_str(row->cell[i]), SIZE_MAX);
        size_t wide = MAX(g->width[i], used) + BETWEEN;
        e = buf_printf(g->out, "%*s", (int)(wide - used), "");
        at += wide;
    }
    if (!e)
        e = put_last(g, row->cell[last], at);
    return e ? e : buf_printf(g->out, "%s\n", row->style == STYLE_PLAIN ? "" : term_plain(g->t));
}

int grid_put(struct grid *g, const struct grid_row *head, const struct grid_row *rows, size_t count)
{
    if (head)
        measure(g, head);
    for (size_t i = 0; i < count; i++)
        measure(g, &rows[i]);
    int e = head ? grid_put_row(g, head) : 0;
    for (size_t i = 0; !e && i < count; i++)
        e = grid_put_row(g, &rows[i]);
    return e;
}

void grid_set(struct grid_row *row, size_t column, const char *text)
{
    grid_format(row, column, "%s", text ? text : "");
}

void grid_format(struct grid_row *row, size_t column, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(row->cell[column], GRID_CELL_MAX, format, args);
    va_end(args);
}
