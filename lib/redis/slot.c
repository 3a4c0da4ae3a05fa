#include "lib/redis/slot.h"

#include <string.h>

/* A row follows from the sums of its eight bits: the compiler makes it. CRC16/XMODEM: polynomial 0x1021, from
 * 0, nothing reflected. https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
#define BIT(i, n, sum) ((i) & (1 << (n)) ? (sum) : 0)
#define AT(i)                                                                                                \
    (BIT(i, 0, 0x1021) ^ BIT(i, 1, 0x2042) ^ BIT(i, 2, 0x4084) ^ BIT(i, 3, 0x8108) ^ BIT(i, 4, 0x1231) ^     \
     BIT(i, 5, 0x2462) ^ BIT(i, 6, 0x48c4) ^ BIT(i, 7, 0x9188))
#define AT_4(i)  AT(i), AT((i) + 1), AT((i) + 2), AT((i) + 3)
#define AT_16(i) AT_4(i), AT_4((i) + 4), AT_4((i) + 8), AT_4((i) + 12)
#define AT_64(i) AT_16(i), AT_16((i) + 16), AT_16((i) + 32), AT_16((i) + 48)

static const uint16_t table[256] = {AT_64(0), AT_64(64), AT_64(128), AT_64(192)};

static uint16_t crc16(struct bytes b)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < b.len; i++)
        crc = (uint16_t)(crc << 8 ^ table[(crc >> 8 ^ (unsigned char)b.ptr[i]) & 0xff]);
    return crc;
}

/* The first `{` and the first `}` behind it count, and only if something stands between them. */
static struct bytes hashed(struct bytes key)
{
    const char *open = key.len > 0 ? memchr(key.ptr, '{', key.len) : NULL;
    if (!open++)
        return key;
    const char *end = memchr(open, '}', key.len - (size_t)(open - key.ptr));
    return end && end > open ? bytes_of(open, (size_t)(end - open)) : key;
}

unsigned slot_of(struct bytes key)
{
    return crc16(hashed(key)) % SLOTS;
}

unsigned slot_set_count(const struct slot_set *s)
{
    unsigned count = 0;

    for (size_t i = 0; i < ARRAY_LEN(s->bits); i++)
        count += (unsigned)__builtin_popcountll(s->bits[i]);
    return count;
}

/* Sets are filled from their begin, so what is missing is found soonest from their end. */
bool slot_set_is_full(const struct slot_set *s)
{
    for (size_t i = ARRAY_LEN(s->bits); i-- > 0;)
        if (s->bits[i] != UINT64_MAX)
            return false;
    return true;
}
