/* bytes.h - a borrowed slice of bytes.
 *
 * Keys and values are binary: they may hold NUL and anything else, so nothing here relies on a
 * terminator. A slice never owns its memory; one that was given to a callback dies with the call.
 */
#ifndef RIOT_BYTES_H
#define RIOT_BYTES_H

#include <string.h>

#include "lib/core/common.h"

struct bytes {
    const char *ptr;
    size_t len;
};

#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const void *ptr, size_t len)
{
    return (struct bytes){(const char *)ptr, len};
}

/* Copies them to where there is room, and returns the place behind. Names are short: two copies of fixed
 * length, which overlap, cost less than the call of memcpy(). */
static inline char *bytes_put(char *to, struct bytes b)
{
    if (b.len >= 8 && b.len <= 16) {
        memcpy(to, b.ptr, 8);
        memcpy(to + b.len - 8, b.ptr + b.len - 8, 8);
    } else if (b.len) { /* a slice of no length may have no place either */
        memcpy(to, b.ptr, b.len);
    }
    return to + b.len;
}

struct bytes bytes_str(const char *text); /* without its NUL; NULL gives an empty slice */
bool bytes_equal(struct bytes a, struct bytes b);
bool bytes_is(struct bytes b, const char *text);
bool bytes_is_nocase(struct bytes b, const char *text);
bool bytes_starts(struct bytes b, const char *prefix);
/* Splits *rest at the first sep: what stands before it is returned, *rest is what follows. Without sep: all
 * of it. */
struct bytes bytes_cut(struct bytes *rest, char sep);
struct bytes bytes_trim(struct bytes b); /* without the blanks before and behind it */

/* The whole slice as a decimal number. -EINVAL for anything else, -ERANGE beyond the type. */
MUST_CHECK int bytes_to_i64(struct bytes b, int64_t *ret);
MUST_CHECK int bytes_to_u64(struct bytes b, uint64_t *ret);

/* For people and logs: printable ASCII as it is, the rest as \n \r \t \\ \" \xNN. Always NUL-terminated
 * within cap; a cut one ends in "...". Returns out. */
const char *bytes_escape(struct bytes b, char *out, size_t cap);

/* A NUL-terminated copy from malloc, or NULL when memory is out. */
MUST_CHECK char *bytes_dup(struct bytes b);

#endif
