#include "lib/rdb/crc64.h"

#include <endian.h>
#include <string.h>

/* Eight bytes at a time: table[k][b] is the sum of the byte b with k zero bytes behind it. Sums are linear,
 * so a row follows from the sums of its eight bytes with one bit each, and the compiler makes it. */
#define BIT(i, n, sum) ((i) & (1 << (n)) ? UINT64_C(sum) : 0)
#define AT(i, a, b, c, d, e, f, g, h)                                                                        \
    (BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ BIT(i, 4, e) ^ BIT(i, 5, f) ^               \
     BIT(i, 6, g) ^ BIT(i, 7, h))
#define AT_4(i, ...)                                                                                         \
    AT(i, __VA_ARGS__), AT(i + 1, __VA_ARGS__), AT(i + 2, __VA_ARGS__), AT(i + 3, __VA_ARGS__)
#define AT_16(i, ...)                                                                                        \
    AT_4(i, __VA_ARGS__), AT_4(i + 4, __VA_ARGS__), AT_4(i + 8, __VA_ARGS__), AT_4(i + 12, __VA_ARGS__)
#define AT_64(i, ...)                                                                                        \
    AT_16(i, __VA_ARGS__), AT_16(i + 16, __VA_ARGS__), AT_16(i + 32, __VA_ARGS__), AT_16(i + 48, __VA_ARGS__)
#define ROW(...)                                                                                             \
    {AT_64(0, __VA_ARGS__), AT_64(64, __VA_ARGS__), AT_64(128, __VA_ARGS__), AT_64(192, __VA_ARGS__)}

static const uint64_t table[8][256] = {
    ROW(0x7ad870c830358979, 0xf5b0e190606b12f2, 0xc038e5739841b68f, 0xab28ecb46814fe75, 0x7d08ff3b88be6f81,
        0xfa11fe77117cdf02, 0xdf7adabd7a6e2d6f, 0x95ac9329ac4bc9b5),
    ROW(0x89e99ffd73bddf69, 0x388a19a9bfec2db9, 0x711433537fd85b72, 0xe22866a6ffb0b6e4, 0xef09eb1ea7f6fea3,
        0xf54af06e177a6e2d, 0xc1ccc68f76634f31, 0xa8c0ab4db4510d09),
    ROW(0xf4125129ce4038be, 0xc37d8400c417e217, 0xada22e52d0b85745, 0x701d7af6f9e73de1, 0xe03af5edf3ce7bc2,
        0xeb2ccd88bf0b64ef, 0xfd00bd4226815ab5, 0xd1585cd715952601),
    ROW(0x8ce168638c796306, 0x329bf69440655567, 0x6537ed2880caaace, 0xca6fda510195559c, 0xbf8692f15bbd3853,
        0x545403b1efede3cd, 0xa8a80763dfdbc79a, 0x7a092894e7201c5f),
    ROW(0x3504e58b9ba6dd1e, 0x6a09cb17374dba3c, 0xd413962e6e9b7478, 0x837e0a0f85a17b9b, 0x2da5324c53d5645d,
        0x5b4a6498a7aac8ba, 0xb694c9314f559174, 0x4670b431c63cb183),
    ROW(0xe39d1389931b9354, 0xec6301407ea0b5c3, 0xf39f24d3a5d6f8ed, 0xcc676ff4133a62b1, 0xb397f9bb7ee35609,
        0x4c76d525a5513f79, 0x98edaa4b4aa27ef2, 0x1a8272c5cdd36e8f),
    ROW(0x62a95de6e302eff2, 0xc552bbcdc605dfe4, 0xa1fc51c8d49c2ca3, 0x68a185c2f1afca2d, 0xd1430b85e35f945a,
        0x89df31589e28bbdf, 0x38e744e264c6e4d5, 0x71ce89c4c98dc9aa),
    ROW(0x381d0015c96f4444, 0x703a002b92de8888, 0xe074005725bd1110, 0xebb126fd13edb14b, 0xfc3b6ba97f4cf1fd,
        0xd32ff101a60e7091, 0x8d06c450148b7249, 0x3154aef3718177f9),
};

static inline uint64_t load(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return le64toh(word);
}

static inline uint64_t eight(uint64_t x)
{
    return table[7][x & 0xff] ^ table[6][x >> 8 & 0xff] ^ table[5][x >> 16 & 0xff] ^
           table[4][x >> 24 & 0xff] ^ table[3][x >> 32 & 0xff] ^ table[2][x >> 40 & 0xff] ^
           table[1][x >> 48 & 0xff] ^ table[0][x >> 56];
}

uint64_t crc64(uint64_t crc, const void *ptr, size_t len)
{
    const uint8_t *p = ptr;

    for (; len >= sizeof(crc); len -= sizeof(crc), p += sizeof(crc))
        crc = eight(crc ^ load(p));
    while (len--)
        crc = table[0][(crc ^ *p++) & 0xff] ^ crc >> 8;
    return crc;
}
