/* encode.c - see encode.h. */
#include <string.h>

#include "lib/redis/encode.h"

#define HEAD_MAX 128 /* all but key and payload, of any request here */

static char *put_text(char *p, struct bytes b)
{
    if (b.len) /* a name of no length may have no place either */
        memcpy(p, b.ptr, b.len);
    return p + b.len;
}

static char *put_u64(char *p, uint64_t n)
{
    char digits[20], *d = digits + sizeof(digits);
    do {
        *--d = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return put_text(p, (struct bytes){d, (size_t)(digits + sizeof(digits) - d)});
}

static char *put_bulk_head(char *p, uint64_t length)
{
    *p++ = '$';
    p = put_u64(p, length);
    return put_text(p, BYTES("\r\n"));
}

static char *put_bulk(char *p, struct bytes b)
{
    p = put_bulk_head(p, b.len);
    p = put_text(p, b);
    return put_text(p, BYTES("\r\n"));
}

static char *put_bulk_u64(char *p, uint64_t n)
{
    char text[20];
    char *end = put_u64(text, n);
    return put_bulk(p, (struct bytes){text, (size_t)(end - text)});
}

static int finish(struct buf *out, const char *start, const char *end)
{
    buf_commit(out, (size_t)(end - start));
    return 0;
}

int encode_keyed(struct buf *out, struct bytes before, struct bytes key)
{
    char *start;
    int err = buf_reserve(out, before.len + key.len + HEAD_MAX, &start);
    if (err)
        return err;
    char *p = put_text(start, before);
    return finish(out, start, put_bulk(p, key));
}

/* Two commands of the same key: `one` key `two` key `after`. */
static int around_two(struct buf *out, struct bytes one, struct bytes two, struct bytes key,
                      struct bytes after)
{
    char *start;
    int err = buf_reserve(out, one.len + two.len + 2 * key.len + after.len + HEAD_MAX, &start);
    if (err)
        return err;
    char *p = put_text(start, one);
    p = put_bulk(p, key);
    p = put_text(p, two);
    p = put_bulk(p, key);
    p = put_text(p, after);
    return finish(out, start, p);
}

int encode_select(struct buf *out, int db)
{
    char *start;
    int err = buf_reserve(out, HEAD_MAX, &start);
    if (err)
        return err;
    char *p = put_text(start, BYTES("*2\r\n$6\r\nSELECT\r\n"));
    return finish(out, start, put_bulk_u64(p, (uint64_t)db));
}

int encode_unlink(struct buf *out, struct bytes key)
{
    return encode_keyed(out, BYTES("*2\r\n$6\r\nUNLINK\r\n"), key);
}

int encode_exists(struct buf *out, struct bytes key)
{
    return encode_keyed(out, BYTES("*2\r\n$6\r\nEXISTS\r\n"), key);
}

static char *put_restore_head(char *p, struct bytes key, int64_t expire_at_ms, uint64_t length)
{
    p = put_text(p, expire_at_ms ? BYTES("*6\r\n$7\r\nRESTORE\r\n") : BYTES("*5\r\n$7\r\nRESTORE\r\n"));
    p = put_bulk(p, key);
    p = put_bulk_u64(p, (uint64_t)expire_at_ms);
    return put_bulk_head(p, length);
}

static char *put_restore_tail(char *p, bool expires)
{
    return put_text(p, expires ? BYTES("\r\n$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n")
                               : BYTES("\r\n$7\r\nREPLACE\r\n"));
}

int encode_restore(struct buf *out, struct bytes key, int64_t expire_at_ms, struct bytes payload)
{
    char *start;
    int err = buf_reserve(out, key.len + payload.len + HEAD_MAX, &start);
    if (err)
        return err;
    char *p = put_restore_head(start, key, expire_at_ms, payload.len);
    p = put_text(p, payload);
    return finish(out, start, put_restore_tail(p, expire_at_ms != 0));
}

int encode_restore_head(struct buf *out, struct bytes key, int64_t expire_at_ms, uint64_t length)
{
    char *start;
    int err = buf_reserve(out, key.len + HEAD_MAX, &start);
    if (err)
        return err;
    return finish(out, start, put_restore_head(start, key, expire_at_ms, length));
}

int encode_restore_tail(struct buf *out, bool expires)
{
    char *start;
    int err = buf_reserve(out, HEAD_MAX, &start);
    if (err)
        return err;
    return finish(out, start, put_restore_tail(start, expires));
}

#define MULTI       "*1\r\n$5\r\nMULTI\r\n"
#define EXEC        "*1\r\n$4\r\nEXEC\r\n"
#define TIME        "*1\r\n$4\r\nTIME\r\n"
#define PEXPIRETIME "*2\r\n$11\r\nPEXPIRETIME\r\n"
#define PTTL        "*2\r\n$4\r\nPTTL\r\n"
#define DUMP        "*2\r\n$4\r\nDUMP\r\n"

int encode_read(struct buf *out, struct bytes key)
{
    return around_two(out, BYTES(PEXPIRETIME), BYTES(DUMP), key, BYTES(""));
}

int encode_read_multi(struct buf *out, struct bytes key)
{
    return around_two(out, BYTES(MULTI PEXPIRETIME), BYTES(DUMP), key, BYTES(EXEC));
}

int encode_read_old(struct buf *out, struct bytes key)
{
    return around_two(out, BYTES(MULTI TIME PTTL), BYTES(TIME DUMP), key, BYTES(EXEC));
}
