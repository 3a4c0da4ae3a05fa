#include "lib/core/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 512

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

static void compact(struct buf *b)
{
    size_t len = buf_len(b);

    if (b->pos && len)
        memmove(b->data, b->data + b->pos, len);
    b->pos = 0;
    b->end = len;
}

static int grow(struct buf *b, size_t need)
{
    size_t cap = MAX(b->cap > b->max / 2 ? b->max : b->cap * 2, (size_t)CAP_MIN);

    cap = MAX(MIN(cap, b->max), need);
    if (cap == SIZE_MAX)
        return -ENOMEM;
    compact(b);
    char *data = realloc(b->data, cap + 1); /* one more for the NUL of vsnprintf() */
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_make_room(struct buf *b, size_t n, char **ret)
{
    size_t len = buf_len(b);

    if (len > b->max || n > b->max - len)
        return -ENOBUFS;
    if (!b->data || n > b->cap - b->end) {
        /* Moving is paid for by what was consumed since the last move, so it stays linear; at the ceiling
         * there is no other way. */
        bool move = b->data && n <= b->cap - len && (b->pos >= len || b->cap >= b->max);
        if (move) {
            compact(b);
        } else {
            int r = grow(b, len + n);
            if (r)
                return r;
        }
    }
    *ret = b->data + b->end;
    return 0;
}

void buf_commit(struct buf *b, size_t n)
{
    b->end += MIN(n, b->cap - b->end);
}

int buf_append(struct buf *b, const void *ptr, size_t n)
{
    char *to;

    int r = buf_reserve(b, n, &to);
    if (r)
        return r;
    if (n)
        memcpy(to, ptr, n);
    b->end += n;
    return 0;
}

int buf_append_str(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    char *to;

    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return -EINVAL;
    int r = buf_reserve(b, (size_t)n, &to);
    if (r)
        return r;
    va_start(args, format);
    vsnprintf(to, (size_t)n + 1, format, args);
    va_end(args);
    b->end += (size_t)n;
    return 0;
}

void buf_consume(struct buf *b, size_t n)
{
    b->pos += MIN(n, buf_len(b));
    if (b->pos == b->end)
        b->pos = b->end = 0;
}

void buf_trim(struct buf *b, size_t keep)
{
    if (!buf_len(b) && b->cap > keep)
        buf_free(b);
}
