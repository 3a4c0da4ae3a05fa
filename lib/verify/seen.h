/* seen.h - a set of keys, each by 128 bits of a seeded hash, up to a ceiling. Of this room only. */
#ifndef RIOT_VERIFY_SEEN_H
#define RIOT_VERIFY_SEEN_H

#include "lib/core/hash.h"

struct seen;
/* memory: its ceiling in bytes; most: keys at most, whatever the memory. */
MUST_CHECK int seen_new(struct hash_seed seed, size_t memory, size_t most, struct seen **ret);
struct seen *seen_free(struct seen *s);
bool seen_has(const struct seen *s, int db, struct bytes key);
/* 0; -ENOSPC: no more fit. -ENOMEM. Of one that is there already: 0. */
MUST_CHECK int seen_add(struct seen *s, int db, struct bytes key);
size_t seen_count(const struct seen *s);

#endif
