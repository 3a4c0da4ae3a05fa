/* rows.h - rows of text with a label, for a screen of a given size. */
#ifndef RIOT_CTL_ROWS_H
#define RIOT_CTL_ROWS_H

#include <jansson.h>
#include "ctl/term.h"

#define ROWS_LABEL 10 /* columns */

struct rows {
    struct buf *out;
    const struct term *t;
    unsigned left;    /* rows that may still be begun */
    size_t used;      /* columns of the present one */
    bool open, empty; /* a row is begun; nothing stands behind its label */
};

void rows_init(struct rows *r, struct buf *out, const struct term *t, unsigned most);
/* False where no row is left. label "" indents. */
bool rows_begin(struct rows *r, const char *label, enum style s);
void rows_end(struct rows *r);
void rows_text(struct rows *r, enum style s, const char *text);
void rows_format(struct rows *r, enum style s, const char *format, ...) PRINTF_LIKE(3, 4);
/* A blank row. */
void rows_gap(struct rows *r);
/* A text over up to `most` rows, broken at blanks; the first row is begun with the label. */
void rows_wrap(struct rows *r, const char *label, enum style label_style, enum style s, const char *text,
               unsigned most);

/* How much of the text stands on one row of so many columns: up to the last blank that fits, or as much as
 * fits. */
size_t rows_break(const char *text, size_t columns);

/* Parts of a row, with a separator in front of all but the first behind the label: "; 12 keys". Where the
 * document does not know the number, nothing. Each is prefix, number, suffix. True: it was put. */
bool rows_count(struct rows *r, const json_t *doc, const char *path, const char *separator,
                const char *suffix);
/* The same, but 0 is left out too. */
bool rows_some(struct rows *r, const json_t *doc, const char *path, const char *separator,
               const char *suffix);
bool rows_size(struct rows *r, const json_t *doc, const char *path, const char *separator,
               const char *suffix);
bool rows_ms(struct rows *r, const json_t *doc, const char *path, const char *separator, const char *suffix);

#endif
