/* buf.h - a byte queue with a ceiling: written at the end, consumed at the front.
 *
 * Memory is contiguous, so a reader sees all that is queued as one slice. Growing beyond the ceiling is
 * refused with -ENOBUFS and changes nothing. Pointers into it die with the next call that grows it.
 */
#ifndef RIOT_BUF_H
#define RIOT_BUF_H

#include "lib/core/bytes.h"

struct buf {
    char *data;
    size_t pos, end, cap; /* bytes [pos, end) are queued */
    size_t max;           /* ceiling of end - pos */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b); /* releases; usable again with the same ceiling */

static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->pos;
}

static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->data ? b->data + b->pos : NULL, b->end - b->pos};
}

/* Makes room for n more bytes and points to it. Nothing counts as queued before buf_commit(). */
MUST_CHECK int buf_make_room(struct buf *b, size_t n, char **ret); /* the same, where it is not there yet */
MUST_CHECK static inline int buf_reserve(struct buf *b, size_t n, char **ret)
{
    if (!b->data || n > b->cap - b->end || buf_len(b) + n > b->max)
        return buf_make_room(b, n, ret);
    *ret = b->data + b->end;
    return 0;
}
void buf_commit(struct buf *b, size_t n);
MUST_CHECK int buf_append(struct buf *b, const void *ptr, size_t n);
MUST_CHECK int buf_append_str(struct buf *b, const char *text);
MUST_CHECK int buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_consume(struct buf *b, size_t n);
/* Gives memory back once the queue is empty and the allocation is larger than keep bytes. */
void buf_trim(struct buf *b, size_t keep);

#endif
