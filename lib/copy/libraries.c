/* libraries.c - see libraries.h.
 *
 * The format is that of rdbSaveFunctions() in redis' rdb.c, the same in Valkey: for each library an opcode
 * and its code as a string, plain or compressed. The same code gives the same bytes where both servers
 * compress, or neither does; else they count as different.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/copy/libraries.h"

#define OPCODE_FUNCTION2 245
#define SPECIAL_LZF      0xc3
#define LENGTH_32        0x80
#define LENGTH_64        0x81

struct set {
    struct bytes *at;
    size_t count, cap;
    bool failed;
};

static bool take(struct bytes *rest, uint64_t n, const unsigned char **ret)
{
    if (n > rest->len)
        return false;
    *ret = (const unsigned char *)rest->ptr;
    rest->ptr += n;
    rest->len -= (size_t)n;
    return true;
}

static bool take_number(struct bytes *rest, unsigned bytes, uint64_t first, uint64_t *ret)
{
    const unsigned char *p;
    if (!take(rest, bytes, &p))
        return false;
    for (unsigned i = 0; i < bytes; i++)
        first = first << 8 | p[i];
    *ret = first;
    return true;
}

/* A length, whose first byte was taken. */
static bool take_length(struct bytes *rest, unsigned char first, uint64_t *ret)
{
    switch (first >> 6) {
    case 0:
        *ret = first;
        return true;
    case 1:
        return take_number(rest, 1, first & 0x3f, ret);
    default:
        return (first == LENGTH_32 && take_number(rest, 4, 0, ret)) ||
               (first == LENGTH_64 && take_number(rest, 8, 0, ret));
    }
}

static bool take_next_length(struct bytes *rest, uint64_t *ret)
{
    const unsigned char *p;
    return take(rest, 1, &p) && take_length(rest, *p, ret);
}

static bool take_string(struct bytes *rest)
{
    const unsigned char *p;
    uint64_t stored, plain;

    if (!take(rest, 1, &p))
        return false;
    if (*p != SPECIAL_LZF)
        return take_length(rest, *p, &stored) && take(rest, stored, &p);
    return take_next_length(rest, &stored) && take_next_length(rest, &plain) && take(rest, stored, &p);
}

static bool take_library(struct bytes *rest, struct bytes *ret)
{
    const unsigned char *p;
    struct bytes start = *rest;

    if (!take(rest, 1, &p) || *p != OPCODE_FUNCTION2 || !take_string(rest))
        return false;
    *ret = bytes_of(start.ptr, start.len - rest->len);
    return true;
}

static bool add(struct set *s, struct bytes library)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        struct bytes *at = realloc(s->at, cap * sizeof(*at));
        if (!at)
            return false;
        s->at = at;
        s->cap = cap;
    }
    s->at[s->count++] = library;
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct bytes *x = a, *y = b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return memcmp(x->ptr, y->ptr, x->len);
}

static void set_free(struct set *s)
{
    free(s->at);
}

/* Without the footer. A server without FUNCTION has nothing, not even that. */
static struct bytes body_of(struct bytes dump)
{
    return bytes_of(dump.ptr, dump.len - MIN(dump.len, (size_t)LIBRARIES_FOOTER));
}

static struct set set_of(struct bytes body)
{
    struct set s = {0};
    struct bytes library;

    while (body.len && !s.failed)
        s.failed = !take_library(&body, &library) || !add(&s, library);
    if (s.count)
        qsort(s.at, s.count, sizeof(s.at[0]), compare);
    return s;
}

bool libraries_within(struct bytes some, struct bytes all)
{
    CLEANUP(set_free) struct set a = set_of(body_of(some));
    CLEANUP(set_free) struct set b = set_of(body_of(all));

    if (a.failed || b.failed)
        return bytes_equal(body_of(some), body_of(all));
    for (size_t i = 0; i < a.count; i++)
        if (!b.count || !bsearch(&a.at[i], b.at, b.count, sizeof(b.at[0]), compare))
            return false;
    return true;
}
