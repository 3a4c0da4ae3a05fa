/* tally.h - which names that one side tells were counted on the other, without a name being kept. Of this
 * room only.
 *
 * Names are shared out among buckets, and each bucket has a sum of their hashes, with a secret seed: what is
 * counted is added, what is told is taken away. A bucket is even when nothing is left: then every
 * name of it that was told was counted. A name that was not, or one that was counted or told another number
 * of times, leaves something, and what others leave does not make up for it, but by a chance of 2^-64.
 */
#ifndef RIOT_VERIFY_TALLY_H
#define RIOT_VERIFY_TALLY_H

#include "lib/core/hash.h"

struct tally;
MUST_CHECK int tally_new(struct hash_seed seed, struct tally **ret); /* 256 KiB */
struct tally *tally_free(struct tally *t);
void tally_count(struct tally *t, int db, struct bytes name);
void tally_tell(struct tally *t, int db, struct bytes name);
bool tally_is_even(const struct tally *t, int db, struct bytes name); /* its bucket is */
bool tally_all_even(const struct tally *t);

#endif
