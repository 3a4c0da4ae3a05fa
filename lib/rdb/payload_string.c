#include "lib/rdb/payload_impl.h"

#include <errno.h>

/* A length: two bits say how it is written. 0: 6 bits; 1: 14 bits; 2: 0x80 and 32 bits, or 0x81 and 64, big
 * endian; 3: it is no length, but how a string is encoded. */
enum { LENGTH_6, LENGTH_14, LENGTH_LONG, ENCODED };

#define LENGTH_32 0x80
#define LENGTH_64 0x81
#define INT_8     0xc0
#define INT_16    0xc1
#define INT_32    0xc2
#define LZF       0xc3

enum { HEAD, IN_LENGTH, OUT_LENGTH, RAW, COMPRESSED };

/* What is done with the text: NULL when it is told. */
struct unpack {
    enum packing packing;
    enum shape shape;
};

int string_length(struct payload *p, uint64_t *ret)
{
    const uint8_t *h = cursor_peek(&p->in, 1);
    unsigned bytes;

    if (!h)
        return MORE;
    switch (*h >> 6) {
    case LENGTH_6:
        *ret = *h;
        cursor_take(&p->in, 1);
        return 0;
    case LENGTH_14:
        bytes = 2;
        break;
    default:
        if (*h != LENGTH_32 && *h != LENGTH_64)
            return -EBADMSG;
        bytes = *h == LENGTH_32 ? 5 : 9;
    }
    h = cursor_peek(&p->in, bytes);
    if (!h)
        return MORE;
    *ret = bytes == 2 ? read_be(h, 2) & 0x3fff : read_be(h + 1, bytes - 1);
    cursor_take(&p->in, bytes);
    return 0;
}

void string_begin(struct payload *p)
{
    p->string.state = HEAD;
}

static int begin(struct payload *p, const struct unpack *how, uint64_t total)
{
    p->string.offset = 0;
    p->string.total = total;
    if (how)
        packed_begin(p, how->packing, how->shape, total);
    return 0;
}

static inline int deliver(struct payload *p, const struct unpack *how, enum rdb_item item, struct bytes part)
{
    struct string *s = &p->string;
    uint64_t offset = s->offset;

    s->offset += part.len;
    return how ? packed_feed(p, part) : payload_tell_text(p, item, part, offset, s->total);
}

static int end(struct payload *p, const struct unpack *how)
{
    p->string.state = HEAD;
    return how ? packed_end(p) : 0;
}

static int whole(struct payload *p, const struct unpack *how, enum rdb_item item, struct bytes text)
{
    int e = begin(p, how, text.len);

    if (!e)
        e = deliver(p, how, item, text);
    return e ? e : end(p, how);
}

static int read_number(struct payload *p, const struct unpack *how, enum rdb_item item, unsigned bytes)
{
    const uint8_t *h = cursor_peek(&p->in, 1 + bytes);
    char text[NUMBER_TEXT];

    if (!h)
        return MORE;
    size_t len = payload_number_text(read_int(h + 1, bytes), text);
    cursor_take(&p->in, 1 + bytes);
    return whole(p, how, item, bytes_of(text, len));
}

static int read_raw(struct payload *p, const struct unpack *how, enum rdb_item item)
{
    struct string *s = &p->string;
    struct bytes part = cursor_part(&p->in, s->total - s->offset);

    if (!part.len && s->total)
        return MORE;
    int e = deliver(p, how, item, part);
    if (e)
        return e;
    return s->offset == s->total ? end(p, how) : MORE;
}

static int read_lzf(struct payload *p, const struct unpack *how, enum rdb_item item)
{
    struct string *s = &p->string;
    struct bytes in = cursor_part(&p->in, s->in_left), part;
    int e;

    s->in_left -= in.len;
    while ((e = lzf_next(&p->lzf, &in, &part)) == 0) {
        e = deliver(p, how, item, part);
        if (e)
            return e;
    }
    if (e != -EAGAIN)
        return e;
    if (s->in_left)
        return MORE;
    return lzf_is_complete(&p->lzf) ? end(p, how) : -EBADMSG;
}

static int begin_raw(struct payload *p, const struct unpack *how)
{
    uint64_t length;
    int e = string_length(p, &length);

    if (e)
        return e;
    if (length > payload_left(p))
        return -EBADMSG;
    p->string.state = RAW;
    return begin(p, how, length);
}

static int begin_lzf(struct payload *p, const struct unpack *how)
{
    struct string *s = &p->string;
    uint64_t length;
    int e = string_length(p, &length);

    if (e)
        return e;
    if (s->state == IN_LENGTH) {
        s->in_left = length;
        s->state = OUT_LENGTH;
        return length > payload_left(p) ? -EBADMSG : 0;
    }
    s->state = COMPRESSED;
    if (!length || s->in_left > payload_left(p))
        return -EBADMSG;
    e = lzf_begin(&p->lzf, s->in_left, length);
    return e ? e : begin(p, how, length);
}

static int read_head(struct payload *p, const struct unpack *how, enum rdb_item item)
{
    const uint8_t *h = cursor_peek(&p->in, 1);

    if (!h)
        return MORE;
    switch (*h) {
    case INT_8:
        return read_number(p, how, item, 1);
    case INT_16:
        return read_number(p, how, item, 2);
    case INT_32:
        return read_number(p, how, item, 4);
    case LZF:
        cursor_take(&p->in, 1);
        p->string.state = IN_LENGTH;
        return 0;
    default:
        return begin_raw(p, how);
    }
}

static int read_string(struct payload *p, const struct unpack *how, enum rdb_item item)
{
    struct string *s = &p->string;
    int e;

    for (;;) {
        switch (s->state) {
        case HEAD:
            e = read_head(p, how, item);
            if (!e && s->state == HEAD)
                return 0; /* a number: it was whole */
            break;
        case IN_LENGTH:
        case OUT_LENGTH:
            e = begin_lzf(p, how);
            break;
        case RAW:
            return read_raw(p, how, item);
        default:
            return read_lzf(p, how, item);
        }
        if (e)
            return e;
    }
}

int string_read(struct payload *p, enum rdb_item item)
{
    return read_string(p, NULL, item);
}

int string_read_packed(struct payload *p, enum packing packing, enum shape shape)
{
    const struct unpack how = {packing, shape};

    return read_string(p, &how, ITEMS);
}
