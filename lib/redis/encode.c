/* encode.c - see encode.h. */
#include <string.h>

#include "lib/redis/encode.h"

#define HEAD_MAX 128 /* all but key and payload, of any request here */

/* The numbers below 100, each in two digits. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

static NOINLINE char *put_large_u64(char *p, uint64_t n)
{
    char text[20], *end = text + sizeof(text), *d = end;

    for (; n >= 100; n /= 100)
        memcpy(d -= 2, pairs + n % 100 * 2, 2);
    if (n >= 10)
        memcpy(d -= 2, pairs + n * 2, 2);
    else
        *--d = (char)('0' + n);
    return bytes_put(p, (struct bytes){d, (size_t)(end - d)});
}

/* Most are lengths of keys and of small values. */
static inline char *put_u64(char *p, uint64_t n)
{
    if (n < 10) {
        *p = (char)('0' + n);
        return p + 1;
    }
    if (n < 100) {
        memcpy(p, pairs + n * 2, 2);
        return p + 2;
    }
    if (n < 1000) {
        *p = (char)('0' + n / 100);
        memcpy(p + 1, pairs + n % 100 * 2, 2);
        return p + 3;
    }
    return put_large_u64(p, n);
}

#define BULK_MAX 25 /* all but its bytes */

static inline char *put_bulk_head(char *p, uint64_t length)
{
    *p++ = '$';
    p = put_u64(p, length);
    return bytes_put(p, BYTES("\r\n"));
}

static inline char *put_bulk(char *p, struct bytes b)
{
    p = put_bulk_head(p, b.len);
    p = bytes_put(p, b);
    return bytes_put(p, BYTES("\r\n"));
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
    char *p = bytes_put(start, before);
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
    char *bulk = bytes_put(start, one);
    char *p = put_bulk(bulk, key);
    size_t length = (size_t)(p - bulk);
    p = bytes_put(p, two);
    p = bytes_put(p, (struct bytes){bulk, length});
    p = bytes_put(p, after);
    return finish(out, start, p);
}

int encode_select(struct buf *out, int db)
{
    char *start;
    int err = buf_reserve(out, HEAD_MAX, &start);
    if (err)
        return err;
    char *p = bytes_put(start, BYTES("*2\r\n$6\r\nSELECT\r\n"));
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

int encode_type(struct buf *out, struct bytes key)
{
    return encode_keyed(out, BYTES("*2\r\n$4\r\nTYPE\r\n"), key);
}

/* A key with its value, as RESTORE and as SET have it: what stands before the value, and behind it. */

typedef char *value_head(char *p, struct bytes key, int64_t expire_at_ms, bool replace, uint64_t length);
typedef char *value_tail(char *p, int64_t expire_at_ms, bool replace);

static char *put_restore_head(char *p, struct bytes key, int64_t expire_at_ms, bool replace, uint64_t length)
{
    *p++ = '*';
    p = put_u64(p, 4 + replace + (expire_at_ms != 0));
    p = bytes_put(p, BYTES("\r\n$7\r\nRESTORE\r\n"));
    p = put_bulk(p, key);
    p = put_bulk_u64(p, (uint64_t)expire_at_ms);
    return put_bulk_head(p, length);
}

static char *put_restore_tail(char *p, int64_t expire_at_ms, bool replace)
{
    p = bytes_put(p, BYTES("\r\n"));
    if (replace)
        p = bytes_put(p, BYTES("$7\r\nREPLACE\r\n"));
    return expire_at_ms ? bytes_put(p, BYTES("$6\r\nABSTTL\r\n")) : p;
}

static char *put_set_head(char *p, struct bytes key, int64_t expire_at_ms, bool replace, uint64_t length)
{
    *p++ = '*';
    p = put_u64(p, 3 + !replace + 2 * (expire_at_ms != 0));
    p = bytes_put(p, BYTES("\r\n$3\r\nSET\r\n"));
    p = put_bulk(p, key);
    return put_bulk_head(p, length);
}

static char *put_set_tail(char *p, int64_t expire_at_ms, bool replace)
{
    p = bytes_put(p, BYTES("\r\n"));
    if (!replace)
        p = bytes_put(p, BYTES("$2\r\nNX\r\n"));
    if (!expire_at_ms)
        return p;
    p = bytes_put(p, BYTES("$4\r\nPXAT\r\n"));
    return put_bulk_u64(p, (uint64_t)expire_at_ms);
}

static inline int encode_value(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace,
                               struct bytes value, value_head *head, value_tail *tail)
{
    char *start;
    int err = buf_reserve(out, key.len + value.len + HEAD_MAX, &start);
    if (err)
        return err;
    char *p = head(start, key, expire_at_ms, replace, value.len);
    p = bytes_put(p, value);
    return finish(out, start, tail(p, expire_at_ms, replace));
}

static inline int encode_head(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace,
                              uint64_t length, value_head *head)
{
    char *start;
    int err = buf_reserve(out, key.len + HEAD_MAX, &start);
    if (err)
        return err;
    return finish(out, start, head(start, key, expire_at_ms, replace, length));
}

static inline int encode_tail(struct buf *out, int64_t expire_at_ms, bool replace, value_tail *tail)
{
    char *start;
    int err = buf_reserve(out, HEAD_MAX, &start);
    if (err)
        return err;
    return finish(out, start, tail(start, expire_at_ms, replace));
}

int encode_restore(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace,
                   struct bytes payload)
{
    return encode_value(out, key, expire_at_ms, replace, payload, put_restore_head, put_restore_tail);
}

int encode_restore_head(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace,
                        uint64_t length)
{
    return encode_head(out, key, expire_at_ms, replace, length, put_restore_head);
}

int encode_restore_tail(struct buf *out, int64_t expire_at_ms, bool replace)
{
    return encode_tail(out, expire_at_ms, replace, put_restore_tail);
}

int encode_set(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace, struct bytes value)
{
    return encode_value(out, key, expire_at_ms, replace, value, put_set_head, put_set_tail);
}

int encode_pair(struct buf *out, struct bytes key, struct bytes value)
{
    char *start;
    int err = buf_reserve(out, key.len + value.len + HEAD_MAX, &start);
    if (err)
        return err;
    return finish(out, start, put_bulk(put_bulk(start, key), value));
}

int encode_set_head(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace, uint64_t length)
{
    return encode_head(out, key, expire_at_ms, replace, length, put_set_head);
}

int encode_set_tail(struct buf *out, int64_t expire_at_ms, bool replace)
{
    return encode_tail(out, expire_at_ms, replace, put_set_tail);
}

#define ASKING      "*1\r\n$6\r\nASKING\r\n"
#define MULTI       "*1\r\n$5\r\nMULTI\r\n"
#define EXEC        "*1\r\n$4\r\nEXEC\r\n"
#define TIME        "*1\r\n$4\r\nTIME\r\n"
#define PEXPIRETIME "*2\r\n$11\r\nPEXPIRETIME\r\n"
#define PTTL        "*2\r\n$4\r\nPTTL\r\n"
#define DUMP        "*2\r\n$4\r\nDUMP\r\n"
#define GET         "*2\r\n$3\r\nGET\r\n"

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

int encode_get(struct buf *out, struct bytes key)
{
    return around_two(out, BYTES(PEXPIRETIME), BYTES(GET), key, BYTES(""));
}

int encode_get_multi(struct buf *out, struct bytes key)
{
    return around_two(out, BYTES(MULTI PEXPIRETIME), BYTES(GET), key, BYTES(EXEC));
}

int encode_get_old(struct buf *out, struct bytes key)
{
    return around_two(out, BYTES(MULTI TIME PTTL), BYTES(TIME GET), key, BYTES(EXEC));
}

int encode_ask(struct buf *out, struct bytes key)
{
    return around_two(out, BYTES(ASKING PEXPIRETIME), BYTES(ASKING DUMP), key, BYTES(""));
}

int encode_ask_multi(struct buf *out, struct bytes key)
{
    return around_two(out, BYTES(ASKING MULTI PEXPIRETIME), BYTES(DUMP), key, BYTES(EXEC));
}

int encode_ask_old(struct buf *out, struct bytes key)
{
    return around_two(out, BYTES(ASKING MULTI TIME PTTL), BYTES(TIME DUMP), key, BYTES(EXEC));
}

int encode_command(struct buf *out, size_t args, struct bytes command)
{
    char *start;
    int err = buf_reserve(out, command.len + HEAD_MAX, &start);
    if (err)
        return err;
    *start = '*';
    char *p = put_u64(start + 1, args + 1);
    p = bytes_put(p, BYTES("\r\n"));
    return finish(out, start, put_bulk(p, command));
}

int encode_get_together(struct buf *out, size_t n, const struct bytes *keys)
{
    size_t most = HEAD_MAX;
    char *start;

    for (size_t i = 0; i < n; i++)
        most += strlen(PEXPIRETIME) + 2 * (keys[i].len + BULK_MAX);
    int err = buf_reserve(out, most, &start);
    if (err)
        return err;
    char *p = start;
    for (size_t i = 0; i < n; i++)
        p = put_bulk(bytes_put(p, BYTES(PEXPIRETIME)), keys[i]);
    *p++ = '*';
    p = put_u64(p, n + 1);
    p = bytes_put(p, BYTES("\r\n$4\r\nMGET\r\n"));
    for (size_t i = 0; i < n; i++)
        p = put_bulk(p, keys[i]);
    return finish(out, start, p);
}
