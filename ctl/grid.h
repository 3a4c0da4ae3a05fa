/* grid.h - a table: each column as wide as its widest cell, and a last one that is wrapped where the terminal
 * is too narrow for it. In a pipe nothing is wrapped or cut. */
#ifndef RIOT_CTL_GRID_H
#define RIOT_CTL_GRID_H

#include "ctl/term.h"

#define GRID_COLUMNS_MAX 8
#define GRID_CELL_MAX    384

struct grid_row {
    char cell[GRID_COLUMNS_MAX][GRID_CELL_MAX];
    enum style style;
};

void grid_set(struct grid_row *row, size_t column, const char *text); /* cut; NULL is "" */
void grid_format(struct grid_row *row, size_t column, const char *format, ...) PRINTF_LIKE(3, 4);

struct grid {
    const struct term *t;
    struct buf *out;
    size_t columns;
    size_t width[GRID_COLUMNS_MAX]; /* the least; grid_put() widens them */
};

/* head NULL: none. -ENOBUFS, -ENOMEM. */
MUST_CHECK int grid_put(struct grid *g, const struct grid_row *head, const struct grid_row *rows,
                        size_t count);
/* One row of a table whose widths stand, as where rows come one by one. */
MUST_CHECK int grid_put_row(const struct grid *g, const struct grid_row *row);

#endif
