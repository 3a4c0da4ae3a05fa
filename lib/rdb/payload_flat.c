#include "lib/rdb/payload_impl.h"

#include <errno.h>

/* An intset: how many bytes a number has and how many numbers there are, 32 bits each; then the numbers, from
 * the smallest to the largest. All little endian. */
enum { INTSET_HEADER, INTSET_FIRST, INTSET_NEXT, INTSET_END };

#define INTSET_HEADER_LEN 8

static int intset_header(struct packed *pk)
{
    const uint8_t *h = cursor_peek(&pk->in, INTSET_HEADER_LEN);

    if (!h)
        return MORE;
    uint64_t width = read_le(h, 4);
    pk->announced = read_le(h + 4, 4);
    if ((width != 2 && width != 4 && width != 8) || INTSET_HEADER_LEN + width * pk->announced != pk->total)
        return -EBADMSG;
    pk->width = (unsigned)width;
    packed_take(pk, INTSET_HEADER_LEN);
    pk->state = pk->announced ? INTSET_FIRST : INTSET_END;
    return 0;
}

static int intset_number(struct payload *p)
{
    struct packed *pk = &p->packed;
    const uint8_t *h = cursor_peek(&pk->in, pk->width);

    if (!h)
        return MORE;
    int64_t n = read_int(h, pk->width);
    packed_take(pk, pk->width);
    if (pk->state == INTSET_NEXT && n <= pk->last)
        return -EBADMSG;
    pk->last = n;
    pk->state = pk->at < pk->total ? INTSET_NEXT : INTSET_END;
    return packed_int(p, n);
}

int intset_read(struct payload *p)
{
    struct packed *pk = &p->packed;
    int e = 0;

    while (!e) {
        if (pk->state == INTSET_END)
            return cursor_left(&pk->in) ? -EBADMSG : 0;
        e = pk->state == INTSET_HEADER ? intset_header(pk) : intset_number(p);
    }
    return e;
}

/* A zipmap: how many fields (254 and more: not known), a byte; then for each the field's length and text, the
 * value's length, a byte with how many free bytes follow the value, the value, and these; then 0xff. A length
 * is a byte, or 254 and 32 bits, little endian. */
enum {
    ZIPMAP_HEADER,
    ZIPMAP_FIELD,
    ZIPMAP_FIELD_TEXT,
    ZIPMAP_VALUE,
    ZIPMAP_FREE_LEN,
    ZIPMAP_VALUE_TEXT,
    ZIPMAP_FREE,
    ZIPMAP_END
};

#define ZIPMAP_COUNT_UNKNOWN 254
#define ZIPMAP_LONG          254
#define ZIPMAP_TERMINATOR    0xff

static int zipmap_header(struct packed *pk)
{
    const uint8_t *h = cursor_peek(&pk->in, 1);

    if (!h)
        return MORE;
    pk->announced = *h;
    packed_take(pk, 1);
    pk->state = ZIPMAP_FIELD;
    return 0;
}

static int zipmap_end(struct packed *pk)
{
    bool known = pk->announced < ZIPMAP_COUNT_UNKNOWN;

    if (pk->state != ZIPMAP_FIELD || pk->at + 1 != pk->total || (known && pk->count != 2 * pk->announced))
        return -EBADMSG;
    packed_take(pk, 1);
    pk->state = ZIPMAP_END;
    return 0;
}

static int zipmap_length(struct packed *pk)
{
    const uint8_t *h = cursor_peek(&pk->in, 1);
    size_t size = 1;

    if (!h)
        return MORE;
    if (*h == ZIPMAP_TERMINATOR)
        return zipmap_end(pk);
    if (*h == ZIPMAP_LONG) {
        size = 5;
        h = cursor_peek(&pk->in, size);
        if (!h)
            return MORE;
    }
    pk->text = 0;
    pk->text_total = size == 1 ? *h : read_le(h + 1, 4);
    packed_take(pk, size);
    if (pk->text_total >= packed_left(pk)) /* the end follows */
        return -EBADMSG;
    pk->state++;
    return 0;
}

static int zipmap_free_len(struct packed *pk)
{
    const uint8_t *h = cursor_peek(&pk->in, 1);

    if (!h)
        return MORE;
    pk->width = *h;
    packed_take(pk, 1);
    pk->state = ZIPMAP_VALUE_TEXT;
    return 0;
}

static int zipmap_text(struct payload *p)
{
    int e = packed_text_parts(p);

    if (!e)
        p->packed.state++;
    return e;
}

static int zipmap_free(struct packed *pk)
{
    struct bytes part = cursor_part(&pk->in, pk->width);

    pk->at += part.len;
    pk->width -= (unsigned)part.len;
    if (pk->width)
        return MORE;
    pk->state = ZIPMAP_FIELD;
    return 0;
}

int zipmap_read(struct payload *p)
{
    struct packed *pk = &p->packed;
    int e = 0;

    while (!e) {
        switch (pk->state) {
        case ZIPMAP_HEADER:
            e = zipmap_header(pk);
            break;
        case ZIPMAP_FIELD:
        case ZIPMAP_VALUE:
            e = zipmap_length(pk);
            break;
        case ZIPMAP_FREE_LEN:
            e = zipmap_free_len(pk);
            break;
        case ZIPMAP_FIELD_TEXT:
        case ZIPMAP_VALUE_TEXT:
            e = zipmap_text(p);
            break;
        case ZIPMAP_FREE:
            e = zipmap_free(pk);
            break;
        default:
            return cursor_left(&pk->in) ? -EBADMSG : 0;
        }
    }
    return e;
}
