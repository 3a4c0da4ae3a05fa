/* term.h - what the terminal can show, and text made safe for it.
 *
 * What the daemon says holds what peers said: names of keys, errors of servers. Nothing of it reaches the
 * terminal but as printable characters.
 */
#ifndef RIOT_CTL_TERM_H
#define RIOT_CTL_TERM_H

#include "ctl/args.h"
#include "lib/core/buf.h"

struct term {
    bool tty, colour;
    bool utf8; /* of the locale: characters beyond ASCII pass, and are cut with U+2026 */
    unsigned width, height;
};

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GREEN, STYLE_YELLOW, STYLE_RED, STYLE_COUNT };

/* Of an open file; no terminal is taken for 80x24. */
struct term term_read(int fd, enum args_colour colour);
/* For text that is no screen: in a pipe nothing of it is cut or wrapped. */
struct term term_lines(const struct term *t);
void term_size(int fd, struct term *t); /* again, as after SIGWINCH */

/* Appends text in at most `columns` columns, cut with "…" or "..." where it is longer; SIZE_MAX: never cut.
 * Control characters and what is not UTF-8 appear as \n, \xNN. Returns the columns used. Where out is full,
 * less is appended. */
size_t term_put(struct buf *out, const struct term *t, struct bytes text, size_t columns);
const char *term_style(const struct term *t, enum style s); /* "" without colours */
const char *term_plain(const struct term *t);               /* ends a style */

#endif
