/* hash.h - SipHash-1-3 with a secret seed, for tables whose keys a peer chooses.
 *
 * Source: Aumasson, Bernstein: "SipHash: a fast short-input PRF", with 1 and 3 rounds, as Rust and Python use
 * it.
 */
#ifndef RIOT_HASH_H
#define RIOT_HASH_H

#include "lib/core/bytes.h"

struct hash_seed {
    uint64_t k0, k1;
};

struct hash_seed hash_seed_random(void); /* from getrandom(2) */
uint64_t hash_bytes(struct hash_seed seed, uint64_t salt, struct bytes b);

#endif
