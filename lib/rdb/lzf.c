#include "lib/rdb/lzf.h"

#include <errno.h>
#include <string.h>

/* A control byte below 32: that many literals and one. Else a reference: 3 bits of length (7: a byte with
 * more of it follows), 5 bits of distance, then a byte with the rest of the distance. */
enum { CONTROL, LITERALS, LENGTH, DISTANCE, BROKEN };

#define LITERALS_MAX   32
#define LENGTH_FOLLOWS 7
#define RUN_MIN        2
#define REFERENCE      3 /* bytes of the longest */

int lzf_begin(struct lzf *z, uint64_t in_len, uint64_t out_len)
{
    if (out_len / LZF_RUN_MAX > in_len / REFERENCE)
        return -EBADMSG;
    z->made = 0;
    z->out_left = out_len;
    z->end = z->given = 0;
    z->state = CONTROL;
    return 0;
}

bool lzf_is_complete(const struct lzf *z)
{
    return z->state == CONTROL && !z->out_left;
}

static void slide(struct lzf *z)
{
    if (z->end + LZF_RUN_MAX <= LZF_ROOM)
        return;
    memmove(z->room, z->room + z->end - LZF_HISTORY, LZF_HISTORY);
    z->end = z->given = LZF_HISTORY;
}

static inline void made(struct lzf *z, size_t n)
{
    z->end += n;
    z->made += n;
    z->out_left -= n;
}

static inline int control(struct lzf *z, uint8_t byte)
{
    if (byte < LITERALS_MAX) {
        z->run = (uint16_t)(byte + 1);
        z->state = LITERALS;
    } else {
        z->run = (uint16_t)((byte >> 5) + RUN_MIN);
        z->high = byte & 0x1f;
        z->state = byte >> 5 == LENGTH_FOLLOWS ? LENGTH : DISTANCE;
    }
    return z->run > z->out_left ? -EBADMSG : 0;
}

static inline int length(struct lzf *z, uint8_t byte)
{
    z->run = (uint16_t)(z->run + byte);
    z->state = DISTANCE;
    return z->run > z->out_left ? -EBADMSG : 0;
}

static inline int distance(struct lzf *z, uint8_t byte)
{
    size_t back = ((size_t)z->high << 8 | byte) + 1;
    uint8_t *to = z->room + z->end;
    const uint8_t *from = to - MIN(back, z->end);

    if (back > z->made)
        return -EBADMSG;
    if (back >= z->run)
        memcpy(to, from, z->run);
    else
        for (size_t i = 0; i < z->run; i++)
            to[i] = from[i];
    made(z, z->run);
    z->state = CONTROL;
    return 0;
}

static inline void literals(struct lzf *z, struct bytes *in)
{
    size_t n = MIN((size_t)z->run, in->len);

    memcpy(z->room + z->end, in->ptr, n);
    made(z, n);
    in->ptr += n;
    in->len -= n;
    z->run = (uint16_t)(z->run - n);
    if (!z->run)
        z->state = CONTROL;
}

static inline uint8_t take(struct bytes *in)
{
    in->len--;
    return (uint8_t)*in->ptr++;
}

static inline int step(struct lzf *z, struct bytes *in)
{
    switch (z->state) {
    case CONTROL:
        return control(z, take(in));
    case LENGTH:
        return length(z, take(in));
    case DISTANCE:
        return distance(z, take(in));
    default:
        literals(z, in);
        return 0;
    }
}

/* What was made before an error is handed out before it: so what is told does not depend on the cuts. */
int lzf_next(struct lzf *z, struct bytes *in, struct bytes *ret)
{
    z->given = z->end;
    slide(z);
    while (z->state != BROKEN && in->len && z->end + LZF_RUN_MAX <= LZF_ROOM)
        if (step(z, in))
            z->state = BROKEN;
    if (z->given == z->end)
        return z->state == BROKEN ? -EBADMSG : -EAGAIN;
    *ret = bytes_of(z->room + z->given, z->end - z->given);
    return 0;
}
