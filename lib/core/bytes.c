#include "lib/core/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct bytes bytes_str(const char *text)
{
    return (struct bytes){text, text ? strlen(text) : 0};
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (!a.len || !memcmp(a.ptr, b.ptr, a.len));
}

bool bytes_is(struct bytes b, const char *text)
{
    return bytes_equal(b, bytes_str(text));
}

bool bytes_is_nocase(struct bytes b, const char *text)
{
    return b.len == strlen(text) && (!b.len || !strncasecmp(b.ptr, text, b.len));
}

bool bytes_starts(struct bytes b, const char *prefix)
{
    size_t len = strlen(prefix);

    return b.len >= len && (!len || !memcmp(b.ptr, prefix, len));
}

struct bytes bytes_cut(struct bytes *rest, char sep)
{
    struct bytes all = *rest;
    const char *at = all.len ? memchr(all.ptr, sep, all.len) : NULL;

    if (!at) {
        *rest = (struct bytes){NULL, 0};
        return all;
    }
    size_t len = (size_t)(at - all.ptr);
    *rest = (struct bytes){at + 1, all.len - len - 1};
    return (struct bytes){all.ptr, len};
}

struct bytes bytes_trim(struct bytes b)
{
    while (b.len && b.ptr[0] == ' ')
        b = (struct bytes){b.ptr + 1, b.len - 1};
    while (b.len && b.ptr[b.len - 1] == ' ')
        b.len--;
    return b;
}

int bytes_to_u64(struct bytes b, uint64_t *ret)
{
    uint64_t n = 0;
    bool over = false;

    if (!b.len)
        return -EINVAL;
    for (size_t i = 0; i < b.len; i++) {
        unsigned digit = (unsigned)(unsigned char)b.ptr[i] - '0';
        if (digit > 9)
            return -EINVAL;
        if (n > (UINT64_MAX - digit) / 10)
            over = true;
        n = n * 10 + digit;
    }
    if (over)
        return -ERANGE;
    *ret = n;
    return 0;
}

int bytes_to_i64(struct bytes b, int64_t *ret)
{
    bool negative = b.len && b.ptr[0] == '-';
    uint64_t n;

    int r = bytes_to_u64(negative ? bytes_of(b.ptr + 1, b.len - 1) : b, &n);
    if (r)
        return r;
    if (n > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret = negative ? (int64_t)(0 - n) : (int64_t)n;
    return 0;
}

/* Returns how many characters of out are the escaped c: 1, 2 or 4. */
static size_t escape_one(unsigned char c, char out[5])
{
    static const char named[] = "\nn\rr\tt\\\\\"\"";
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i + 1 < sizeof(named); i += 2) {
        if ((unsigned char)named[i] == c) {
            out[0] = '\\';
            out[1] = named[i + 1];
            return 2;
        }
    }
    if (c >= 0x20 && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    return 4;
}

const char *bytes_escape(struct bytes b, char *out, size_t cap)
{
    size_t pos = 0, dots_at = 0; /* dots_at: the last place between two characters where "..." still fits */

    if (!cap)
        return out;
    for (size_t i = 0; i < b.len; i++) {
        char piece[5];
        size_t len = escape_one((unsigned char)b.ptr[i], piece);
        if (pos + len + 1 > cap) {
            size_t dots = MIN((size_t)3, cap - 1 - dots_at);
            memcpy(out + dots_at, "...", dots);
            pos = dots_at + dots;
            break;
        }
        memcpy(out + pos, piece, len);
        pos += len;
        if (pos + 4 <= cap)
            dots_at = pos;
    }
    out[pos] = '\0';
    return out;
}

char *bytes_dup(struct bytes b)
{
    char *copy = b.len < SIZE_MAX ? malloc(b.len + 1) : NULL;

    if (!copy)
        return NULL;
    *bytes_put(copy, b) = '\0';
    return copy;
}
