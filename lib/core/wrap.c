#include "lib/core/wrap.h"

#include <string.h>

/* How much of text fits: whole words where that is possible. */
static size_t line_len(const char *text, size_t room)
{
    size_t len = strlen(text);

    if (len <= room)
        return len;
    len = room;
    while (len && text[len] != ' ')
        len--;
    return len ? len : room;
}

int wrap_words(struct buf *out, int at, int column, const char *text)
{
    int e = 0;

    while (*text && !e) {
        size_t len = line_len(text, (size_t)(WRAP_WIDTH - at));
        e = buf_printf(out, "%.*s\n", (int)len, text);
        text += len;
        text += strspn(text, " ");
        at = column;
        if (*text && !e)
            e = buf_printf(out, "%*s", column, "");
    }
    return e;
}

int wrap_row(struct buf *out, int column, const char *left, const char *text)
{
    int e = strlen(left) + 4 > (size_t)column ? buf_printf(out, "  %s\n%*s", left, column, "")
                                              : buf_printf(out, "  %-*s", column - 2, left);
    return e ? e : wrap_words(out, column, column, text);
}
