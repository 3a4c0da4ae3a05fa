#include "lib/rdb/hll.h"

#include <string.h>

#define MAGIC      "HYLL"
#define MAGIC_LEN  4
#define ENCODING   4 /* where it is */
#define UNUSED     5
#define UNUSED_LEN 3
#define DENSE      0
#define SPARSE     1
#define DENSE_LEN  (HLL_HEADER + HLL_REGISTERS * BITS / 8)
#define BITS       6

/* Runs of a sparse one: 00xxxxxx: x + 1 registers of 0. 01xxxxxx and a byte: the same, with 14 bits.
 * 1vvvvvxx: x + 1 registers of v + 1. */
#define LONG_RUN  0x40
#define VALUE_RUN 0x80

bool hll_may_be(struct bytes begins, uint64_t length)
{
    size_t n = MIN(begins.len, (size_t)MAGIC_LEN);

    return length > HLL_HEADER && length <= HLL_LENGTH_MAX && !memcmp(begins.ptr, MAGIC, n);
}

static bool dense(const uint8_t *p, size_t len, uint8_t ret[HLL_REGISTERS])
{
    if (len != DENSE_LEN - HLL_HEADER)
        return false;
    for (size_t i = 0; i < HLL_REGISTERS; i += 4, p += 3) {
        ret[i] = p[0] & 63;
        ret[i + 1] = (uint8_t)(p[0] >> 6 | (p[1] & 15) << 2);
        ret[i + 2] = (uint8_t)(p[1] >> 4 | (p[2] & 3) << 4);
        ret[i + 3] = p[2] >> 2;
    }
    return true;
}

static bool sparse(const uint8_t *p, size_t len, uint8_t ret[HLL_REGISTERS])
{
    const uint8_t *end = p + len;
    size_t at = 0;

    while (p < end) {
        size_t run;
        uint8_t value = 0, first = *p++;
        if (first & VALUE_RUN) {
            run = (first & 3u) + 1;
            value = (uint8_t)((first >> 2 & 31) + 1);
        } else if (first & LONG_RUN) {
            if (p == end)
                return false;
            run = ((first & 63u) << 8 | *p++) + 1;
        } else {
            run = first + 1u;
        }
        if (run > HLL_REGISTERS - at)
            return false;
        memset(ret + at, value, run);
        at += run;
    }
    return at == HLL_REGISTERS;
}

bool hll_registers(struct bytes text, uint8_t ret[HLL_REGISTERS])
{
    static const uint8_t unused[UNUSED_LEN];
    const uint8_t *p = (const uint8_t *)text.ptr;

    if (!hll_may_be(text, text.len) || memcmp(p + UNUSED, unused, UNUSED_LEN))
        return false;
    if (p[ENCODING] == DENSE)
        return dense(p + HLL_HEADER, text.len - HLL_HEADER, ret);
    return p[ENCODING] == SPARSE && sparse(p + HLL_HEADER, text.len - HLL_HEADER, ret);
}
