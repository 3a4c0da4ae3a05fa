/* wrap.h - help on a terminal: words on lines of WRAP_WIDTH columns, and rows of two columns. */
#ifndef RIOT_WRAP_H
#define RIOT_WRAP_H

#include "lib/core/buf.h"

#define WRAP_WIDTH 80

/* The words of text and a newline. `at`: where the first begins; later lines begin at `column`. -ENOBUFS,
 * -ENOMEM. */
MUST_CHECK int wrap_words(struct buf *out, int at, int column, const char *text);
/* "  left      text": the text from `column` on, on the next line where left is too long. The same errors. */
MUST_CHECK int wrap_row(struct buf *out, int column, const char *left, const char *text);

#endif
