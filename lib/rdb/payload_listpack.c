#include "lib/rdb/payload_impl.h"

#include <errno.h>

/* Header: 32 bits of length and 16 of how many elements, little endian. Then the elements, each followed by
 * its own length (for reading backwards), and 0xff. An element's first byte says what it is: 0xxxxxxx 7 bits,
 * unsigned     10xxxxxx           text of that length 110xxxxx and a byte     13 bits, signed      1110xxxx,
 * a byte   text of 12 bits of length 11110000, 4 bytes       text of that length  11110001 to 0100   16, 24,
 * 32, 64 bits, signed */
enum { HEADER, ENTRY, TEXT, BACK, END };

#define HEADER_LEN    6
#define COUNT_UNKNOWN 0xffff
#define TERMINATOR    0xff
#define TEXT_LONG     0xf0
#define INT_16        0xf1
#define INT_64        0xf4
#define BACK_MAX      5
#define BACK_BITS     7

static int header(struct packed *pk)
{
    const uint8_t *h = cursor_peek(&pk->in, HEADER_LEN);

    if (!h)
        return MORE;
    pk->announced = read_le(h + 4, 2);
    if (read_le(h, 4) != pk->total)
        return -EBADMSG;
    packed_take(pk, HEADER_LEN);
    pk->state = ENTRY;
    return 0;
}

/* The limits are the servers' own, 16383 among them. */
static size_t back_size(uint64_t entry)
{
    return entry <= 127 ? 1 : entry < 16383 ? 2 : entry < 2097151 ? 3 : entry < 268435455 ? 4 : 5;
}

static int back(struct packed *pk)
{
    size_t size = back_size(pk->entry);
    const uint8_t *h = cursor_peek(&pk->in, size);
    uint64_t value = 0;

    if (!h)
        return MORE;
    for (size_t i = 0; i < size; i++) {
        if ((h[i] & 0x80) != (i ? 0x80 : 0))
            return -EBADMSG;
        value = value << BACK_BITS | (h[i] & 0x7f);
    }
    if (value != pk->entry)
        return -EBADMSG;
    packed_take(pk, size);
    pk->state = ENTRY;
    return 0;
}

static int number(struct payload *p, size_t len, int64_t n)
{
    packed_take(&p->packed, len);
    p->packed.entry = len;
    p->packed.state = BACK;
    return packed_int(p, n);
}

static int text(struct packed *pk, size_t head, uint64_t len)
{
    packed_take(pk, head);
    if (len >= packed_left(pk)) /* its end follows */
        return -EBADMSG;
    pk->entry = head + len;
    pk->text = 0;
    pk->text_total = len;
    pk->state = TEXT;
    return 0;
}

static int end(struct packed *pk)
{
    if (pk->at + 1 != pk->total || (pk->announced != COUNT_UNKNOWN && pk->announced != pk->count))
        return -EBADMSG;
    packed_take(pk, 1);
    pk->state = END;
    return 0;
}

static int entry_long(struct payload *p, uint8_t first)
{
    struct packed *pk = &p->packed;
    unsigned bytes = first == TEXT_LONG ? 4 : first == INT_64 ? 8 : first - INT_16 + 2u;
    const uint8_t *h;

    if (first == TERMINATOR)
        return end(pk);
    if (first > INT_64)
        return -EBADMSG;
    h = cursor_peek(&pk->in, 1 + bytes);
    if (!h)
        return MORE;
    if (first == TEXT_LONG)
        return text(pk, 1 + bytes, read_le(h + 1, bytes));
    return number(p, 1 + bytes, read_int(h + 1, bytes));
}

static int entry(struct payload *p)
{
    struct packed *pk = &p->packed;
    const uint8_t *h = cursor_peek(&pk->in, 1);

    if (!h)
        return MORE;
    if (*h < 0x80)
        return number(p, 1, *h);
    if (*h < 0xc0)
        return text(pk, 1, *h & 0x3f);
    if (*h >= 0xf0)
        return entry_long(p, *h);
    h = cursor_peek(&pk->in, 2);
    if (!h)
        return MORE;
    if (*h >= 0xe0)
        return text(pk, 2, read_be(h, 2) & 0xfff);
    int64_t n = (int64_t)(read_be(h, 2) & 0x1fff);
    return number(p, 2, n < 0x1000 ? n : n - 0x2000);
}

static int text_parts(struct payload *p)
{
    int e = packed_text_parts(p);

    if (!e)
        p->packed.state = BACK;
    return e;
}

int listpack_read(struct payload *p)
{
    struct packed *pk = &p->packed;
    int e = 0;

    while (!e) {
        switch (pk->state) {
        case HEADER:
            e = header(pk);
            break;
        case ENTRY:
            e = entry(p);
            break;
        case TEXT:
            e = text_parts(p);
            break;
        case BACK:
            e = back(pk);
            break;
        default:
            return cursor_left(&pk->in) ? -EBADMSG : 0;
        }
    }
    return e;
}
