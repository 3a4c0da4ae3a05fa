/* cursor.h - what was fed, read a few bytes at a time; those that are cut by the end of a part are kept.
 *
 * Peek at as many bytes as are needed, then take them: always as many as were peeked at last. A peek that
 * gives NULL has kept what there was, and the same peeks go on when more was fed.
 */
#ifndef RIOT_RDB_CURSOR_H
#define RIOT_RDB_CURSOR_H

#include <string.h>

#include "lib/core/bytes.h"

#define CURSOR_PEEK_MAX 32

struct cursor {
    const uint8_t *p, *end;
    size_t kept;
    uint8_t stash[CURSOR_PEEK_MAX];
};

static inline void cursor_reset(struct cursor *c)
{
    c->p = c->end = NULL;
    c->kept = 0;
}

static inline void cursor_feed(struct cursor *c, struct bytes part)
{
    c->p = (const uint8_t *)part.ptr;
    c->end = c->p + part.len;
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->p);
}

static inline const uint8_t *cursor_peek(struct cursor *c, size_t n)
{
    if (!c->kept && cursor_left(c) >= n)
        return c->p;
    if (c->kept < n) {
        size_t more = MIN(n - c->kept, cursor_left(c));
        if (more)
            memcpy(c->stash + c->kept, c->p, more);
        c->p += more;
        c->kept += more;
    }
    return c->kept < n ? NULL : c->stash;
}

static inline void cursor_take(struct cursor *c, size_t n)
{
    if (c->kept)
        c->kept = 0;
    else
        c->p += n;
}

/* Up to max bytes as they stand, for a text. Not between a peek and its take. */
static inline struct bytes cursor_part(struct cursor *c, uint64_t max)
{
    size_t n = (size_t)MIN((uint64_t)cursor_left(c), max);
    struct bytes part = bytes_of(c->p, n);

    c->p += n;
    return part;
}

static inline uint64_t read_le(const uint8_t *p, unsigned bytes)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < bytes; i++)
        n |= (uint64_t)p[i] << 8 * i;
    return n;
}

static inline uint64_t read_be(const uint8_t *p, unsigned bytes)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < bytes; i++)
        n = n << 8 | p[i];
    return n;
}

/* Little endian, two's complement. */
static inline int64_t read_int(const uint8_t *p, unsigned bytes)
{
    unsigned unused = 64 - 8 * bytes;

    return (int64_t)(read_le(p, bytes) << unused) >> unused;
}

#endif
