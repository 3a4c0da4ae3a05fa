#include "lib/rdb/payload_impl.h"

#include <errno.h>

/* Header: length and offset of the last entry, 32 bits each, and how many entries, 16 bits, little endian.
 * Then the entries, and 0xff. An entry begins with the length of the one before it (a byte, or 254 and 32
 * bits); what follows says what it is: 00xxxxxx           text of that length   01xxxxxx and a byte   text of
 * 14 bits of length, big endian 10______, 4 bytes  text, big endian      0xc0 0xd0 0xe0        16, 32, 64
 * bits, signed 0xf0, 0xfe         24, 8 bits, signed    0xf1 to 0xfd          0 to 12 */
enum { HEADER, BEFORE, ENTRY, TEXT, END };

#define HEADER_LEN    10
#define COUNT_UNKNOWN 0xffff
#define TERMINATOR    0xff
#define BEFORE_LONG   254
#define SMALL_FIRST   0xf1
#define SMALL_LAST    0xfd

static int header(struct packed *pk)
{
    const uint8_t *h = cursor_peek(&pk->in, HEADER_LEN);

    if (!h)
        return MORE;
    pk->tail = read_le(h + 4, 4);
    pk->announced = read_le(h + 8, 2);
    if (read_le(h, 4) != pk->total)
        return -EBADMSG;
    packed_take(pk, HEADER_LEN);
    pk->state = BEFORE;
    return 0;
}

/* The tail is that of the last entry, or where the first would be. */
static int end(struct packed *pk)
{
    if (pk->at + 1 != pk->total || pk->tail != pk->at - pk->before)
        return -EBADMSG;
    if (pk->announced != COUNT_UNKNOWN && pk->announced != pk->count)
        return -EBADMSG;
    packed_take(pk, 1);
    pk->state = END;
    return 0;
}

static int before(struct packed *pk)
{
    const uint8_t *h = cursor_peek(&pk->in, 1);
    size_t size = 1;

    if (!h)
        return MORE;
    if (*h == TERMINATOR)
        return end(pk);
    if (*h == BEFORE_LONG) {
        size = 5;
        h = cursor_peek(&pk->in, size);
        if (!h)
            return MORE;
    }
    if (pk->before != (size == 1 ? *h : read_le(h + 1, 4)))
        return -EBADMSG;
    packed_take(pk, size);
    pk->entry = size;
    pk->state = ENTRY;
    return 0;
}

static void done(struct packed *pk)
{
    pk->before = pk->entry;
    pk->state = BEFORE;
}

static int text(struct packed *pk, size_t head, uint64_t len)
{
    packed_take(pk, head);
    if (len >= packed_left(pk)) /* its end follows */
        return -EBADMSG;
    pk->entry += head + len;
    pk->text = 0;
    pk->text_total = len;
    pk->state = TEXT;
    return 0;
}

static int number(struct payload *p, size_t len, int64_t n)
{
    packed_take(&p->packed, len);
    p->packed.entry += len;
    done(&p->packed);
    return packed_int(p, n);
}

/* 0: none of these. */
static unsigned number_bytes(uint8_t first)
{
    switch (first) {
    case 0xfe:
        return 1;
    case 0xc0:
        return 2;
    case 0xf0:
        return 3;
    case 0xd0:
        return 4;
    case 0xe0:
        return 8;
    default:
        return 0;
    }
}

static int entry_number(struct payload *p, uint8_t first)
{
    unsigned bytes = number_bytes(first);

    if (first >= SMALL_FIRST && first <= SMALL_LAST)
        return number(p, 1, first - SMALL_FIRST);
    if (!bytes)
        return -EBADMSG;
    const uint8_t *h = cursor_peek(&p->packed.in, 1 + bytes);
    return h ? number(p, 1 + bytes, read_int(h + 1, bytes)) : MORE;
}

static int entry(struct payload *p)
{
    struct packed *pk = &p->packed;
    const uint8_t *h = cursor_peek(&pk->in, 1);

    if (!h)
        return MORE;
    switch (*h >> 6) {
    case 0:
        return text(pk, 1, *h);
    case 1:
        h = cursor_peek(&pk->in, 2);
        return h ? text(pk, 2, read_be(h, 2) & 0x3fff) : MORE;
    case 2:
        h = cursor_peek(&pk->in, 5);
        return h ? text(pk, 5, read_be(h + 1, 4)) : MORE;
    default:
        return entry_number(p, *h);
    }
}

static int text_parts(struct payload *p)
{
    int e = packed_text_parts(p);

    if (!e)
        done(&p->packed);
    return e;
}

int ziplist_read(struct payload *p)
{
    struct packed *pk = &p->packed;
    int e = 0;

    while (!e) {
        switch (pk->state) {
        case HEADER:
            e = header(pk);
            break;
        case BEFORE:
            e = before(pk);
            break;
        case ENTRY:
            e = entry(p);
            break;
        case TEXT:
            e = text_parts(p);
            break;
        default:
            return cursor_left(&pk->in) ? -EBADMSG : 0;
        }
    }
    return e;
}
