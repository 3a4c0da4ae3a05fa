#include "lib/core/hash.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

struct hash_seed hash_seed_random(void)
{
    struct hash_seed seed;

    if (getentropy(&seed, sizeof(seed)))
        abort(); /* no kernel that we run on lacks it, and a seed that can be guessed is none */
    return seed;
}

static inline uint64_t rotl(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_rounds(struct sip *s, int rounds)
{
    while (rounds--) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotl(s->v1, 13) ^ s->v0;
        s->v3 = rotl(s->v3, 16) ^ s->v2;
        s->v0 = rotl(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotl(s->v1, 17) ^ s->v2;
        s->v3 = rotl(s->v3, 21) ^ s->v0;
        s->v2 = rotl(s->v2, 32);
    }
}

static inline void sip_word(struct sip *s, int rounds, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, rounds);
    s->v0 ^= word;
}

static inline uint64_t load64(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The bytes behind the last whole word. Of a longer slice they are the upper part of its last eight. */
static inline uint64_t load_rest(struct bytes b)
{
    size_t n = b.len % 8;
    uint64_t rest = 0;

    if (n && b.len > 8)
        return load64(b.ptr + b.len - 8) >> (64 - 8 * n);
    for (size_t i = 0; i < n; i++)
        rest |= (uint64_t)(unsigned char)b.ptr[i] << (8 * i);
    return rest;
}

static inline struct sip sip_start(struct hash_seed seed)
{
    return (struct sip){
        seed.k0 ^ 0x736f6d6570736575,
        seed.k1 ^ 0x646f72616e646f6d,
        seed.k0 ^ 0x6c7967656e657261,
        seed.k1 ^ 0x7465646279746573,
    };
}

/* before: the length of what went in already, a multiple of 8. */
static inline uint64_t sip_finish(struct sip s, int c_rounds, int d_rounds, size_t before, struct bytes b)
{
    uint64_t tail = (uint64_t)(before + b.len) << 56;
    size_t words = b.len / 8;

    for (size_t i = 0; i < words; i++)
        sip_word(&s, c_rounds, load64(b.ptr + i * 8));
    tail |= load_rest(b);
    sip_word(&s, c_rounds, tail);
    s.v2 ^= 0xff;
    sip_rounds(&s, d_rounds);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* The salt is the message's first word: mixed into the key it would be a related-key construction, which
 * nobody has studied. */
uint64_t hash_bytes(struct hash_seed seed, uint64_t salt, struct bytes b)
{
    struct sip s = sip_start(seed);

    sip_word(&s, 1, salt);
    return sip_finish(s, 1, 3, sizeof(salt), b);
}
