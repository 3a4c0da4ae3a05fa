#include "ctl/term.h"

#include <assert.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define WIDTH_DEFAULT  80
#define HEIGHT_DEFAULT 24
#define WIDTH_PIPE     4096
#define WIDTH_LEAST    40
#define HEIGHT_LEAST   10

static const char *const styles[] = {
    [STYLE_PLAIN] = "",         [STYLE_BOLD] = "\033[1m",    [STYLE_DIM] = "\033[2m",
    [STYLE_GREEN] = "\033[32m", [STYLE_YELLOW] = "\033[33m", [STYLE_RED] = "\033[1;31m",
};
_Static_assert(ARRAY_LEN(styles) == STYLE_COUNT, "each style has its sequence");

static bool wants_colour(bool tty, enum args_colour colour)
{
    const char *no = getenv("NO_COLOR"), *kind = getenv("TERM");

    if (colour != COLOUR_AUTO)
        return colour == COLOUR_ALWAYS;
    return tty && !(no && no[0]) && kind && strcmp(kind, "dumb");
}

void term_size(int fd, struct term *t)
{
    struct winsize size;

    if (!t->tty || ioctl(fd, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
        return;
    t->width = MAX(size.ws_col, WIDTH_LEAST);
    t->height = MAX(size.ws_row, HEIGHT_LEAST);
}

struct term term_read(int fd, enum args_colour colour)
{
    bool tty = isatty(fd);
    struct term t = {
        .tty = tty,
        .colour = wants_colour(tty, colour),
        .utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
        .width = WIDTH_DEFAULT,
        .height = HEIGHT_DEFAULT,
    };

    term_size(fd, &t);
    return t;
}

struct term term_lines(const struct term *t)
{
    struct term lines = *t;

    if (!t->tty)
        lines.width = lines.height = WIDTH_PIPE;
    return lines;
}

/* How many bytes the UTF-8 character at the front has, and the character; 0: there is none. */
static size_t decode(struct bytes text, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text.ptr[0];
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;

    if (first < 0x80) {
        *ret = first;
        return 1;
    }
    if (len == 1 || first >= 0xf8 || len > text.len)
        return 0;
    uint32_t c = first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)text.ptr[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | ((unsigned char)text.ptr[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *ret = c;
    return len;
}

/* Characters that would turn the direction of what follows them. */
static bool is_bidi(uint32_t c)
{
    return c == 0x061c || (c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

struct piece {
    struct bytes shown; /* what stands for it */
    size_t taken;       /* bytes of the text */
    size_t columns;
};

/* The next character of a text that is not empty, as it may be shown; `escaped` is room for it. */
static struct piece next_piece(const struct term *t, struct bytes text, char escaped[5])
{
    uint32_t c;
    size_t len = decode(text, &c);
    int width = -1;

    if (len == 1)
        width = c >= ' ' && c < 0x7f ? 1 : -1;
    else if (len && t->utf8 && c >= 0xa0 && !is_bidi(c))
        width = wcwidth((wchar_t)c);
    if (width >= 0)
        return (struct piece){bytes_of(text.ptr, len), len, (size_t)width};
    unsigned char byte = (unsigned char)text.ptr[0];
    if (byte == '\n' || byte == '\t' || byte == '\r')
        snprintf(escaped, 5, "\\%c", byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r');
    else
        snprintf(escaped, 5, "\\x%02x", byte);
    return (struct piece){bytes_str(escaped), 1, strlen(escaped)};
}

/* How many bytes of the text fit into so many columns; *ret_columns: how many they take. */
static size_t fit(const struct term *t, struct bytes text, size_t columns, size_t *ret_columns)
{
    char escaped[5];
    size_t taken = 0;

    *ret_columns = 0;
    while (taken < text.len) {
        struct piece p = next_piece(t, bytes_of(text.ptr + taken, text.len - taken), escaped);
        if (p.columns > columns - *ret_columns)
            break;
        *ret_columns += p.columns;
        taken += p.taken;
    }
    return taken;
}

static void put_pieces(struct buf *out, const struct term *t, struct bytes text)
{
    char escaped[5];

    while (text.len) {
        struct piece p = next_piece(t, text, escaped);
        if (buf_append(out, p.shown.ptr, p.shown.len))
            return;
        text = bytes_of(text.ptr + p.taken, text.len - p.taken);
    }
}

size_t term_put(struct buf *out, const struct term *t, struct bytes text, size_t columns)
{
    const char *dots = t->utf8 ? "\u2026" : "...";
    size_t used, width = t->utf8 ? 1 : 3;
    size_t taken = fit(t, text, columns, &used);

    if (taken == text.len) {
        put_pieces(out, t, text);
        return used;
    }
    if (columns < width)
        return 0;
    taken = fit(t, text, columns - width, &used);
    put_pieces(out, t, bytes_of(text.ptr, taken));
    if (buf_append_str(out, dots))
        return used;
    return used + width;
}

const char *term_style(const struct term *t, enum style s)
{
    return t->colour ? styles[s] : "";
}

const char *term_plain(const struct term *t)
{
    return t->colour ? "\033[0m" : "";
}
