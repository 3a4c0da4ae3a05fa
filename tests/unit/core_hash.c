/* The body is included, so that the rounds can be chosen and checked against published vectors. */
#include "lib/core/hash.c"

#include <stdio.h>

#include "tests/unit/unit.h"

#define PAPER_SEED ((struct hash_seed){0x0706050403020100, 0x0f0e0d0c0b0a0908})

static uint64_t sip(int c_rounds, int d_rounds, const char *ptr, size_t len)
{
    return sip_finish(sip_start(PAPER_SEED), c_rounds, d_rounds, 0, bytes_of(ptr, len));
}

/* From the reference implementation's vectors.h; the one of 15 bytes is the paper's appendix A. */
START_TEST(published_vectors)
{
    char in[64];

    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (char)i;
    ck_assert(sip(2, 4, in, 0) == 0x726fdb47dd0e0e31);
    ck_assert(sip(2, 4, in, 1) == 0x74f839c593dc67fd);
    ck_assert(sip(2, 4, in, 7) == 0xab0200f58b01d137);
    ck_assert(sip(2, 4, in, 8) == 0x93f5f5799a932462);
    ck_assert(sip(2, 4, in, 15) == 0xa129ca6149be45e5);
    ck_assert(sip(2, 4, in, 63) == 0x958a324ceb064572);
    ck_assert(sip(1, 3, in, 0) == 0xabac0158050fc4dc);
}
END_TEST

START_TEST(the_salt_is_the_first_word)
{
    static const char joined[] = "\x01\x02\x03\x04\x05\x06\x07\x08some key of 20 bytes";

    for (size_t len = 0; len <= 20; len++)
        ck_assert(hash_bytes(PAPER_SEED, 0x0807060504030201, bytes_of(joined + 8, len)) ==
                  sip(1, 3, joined, len + 8));
}
END_TEST

START_TEST(seeds_salts_and_bytes_all_count)
{
    struct hash_seed a = hash_seed_random(), b = hash_seed_random();
    struct bytes key = BYTES("key");

    ck_assert(a.k0 != b.k0 && a.k1 != b.k1);
    ck_assert(hash_bytes(a, 0, key) == hash_bytes(a, 0, key));
    ck_assert(hash_bytes(a, 0, key) != hash_bytes(b, 0, key));
    ck_assert(hash_bytes(a, 0, key) != hash_bytes(a, 1, key));
    ck_assert(hash_bytes(a, 0, BYTES("a\0")) != hash_bytes(a, 0, BYTES("a")));
    ck_assert(hash_bytes(a, 0, bytes_of(NULL, 0)) == hash_bytes(a, 0, BYTES("")));
}
END_TEST

START_TEST(buckets_fill_evenly)
{
    unsigned low[256] = {0}, high[256] = {0};
    char key[16];

    for (unsigned i = 0; i < 256 * 100; i++) {
        int len = snprintf(key, sizeof(key), "key:%u", i);
        uint64_t h = hash_bytes(PAPER_SEED, 0, bytes_of(key, (size_t)len));
        low[h & 255]++;
        high[h >> 56]++;
    }
    for (size_t i = 0; i < 256; i++) {
        ck_assert(low[i] > 50 && low[i] < 150);
        ck_assert(high[i] > 50 && high[i] < 150);
    }
}
END_TEST

UNIT_MAIN("core/hash", published_vectors, the_salt_is_the_first_word, seeds_salts_and_bytes_all_count,
          buckets_fill_evenly)
