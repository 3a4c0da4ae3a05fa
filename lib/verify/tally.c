/* tally.c - see tally.h. */
#include <errno.h>
#include <stdlib.h>

#include "lib/verify/tally.h"

/* A name that differs costs a look at each of its bucket: one key in so many. */
#define BUCKETS 16384

struct sum {
    uint64_t low, high;
};

struct tally {
    struct hash_seed seed;
    struct sum sums[BUCKETS];
};

/* The bucket is of the first half, so of that fewer bits tell names of a bucket apart; the other has all. */
static struct sum sum_of(const struct tally *t, int db, struct bytes name)
{
    uint64_t salt = (uint64_t)(uint32_t)db * 2;
    return (struct sum){hash_bytes(t->seed, salt, name), hash_bytes(t->seed, salt + 1, name)};
}

int tally_new(struct hash_seed seed, struct tally **ret)
{
    struct tally *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    t->seed = seed;
    *ret = t;
    return 0;
}

struct tally *tally_free(struct tally *t)
{
    free(t);
    return NULL;
}

void tally_count(struct tally *t, int db, struct bytes name)
{
    struct sum s = sum_of(t, db, name), *at = &t->sums[s.low % BUCKETS];

    at->low += s.low;
    at->high += s.high;
}

void tally_tell(struct tally *t, int db, struct bytes name)
{
    struct sum s = sum_of(t, db, name), *at = &t->sums[s.low % BUCKETS];

    at->low -= s.low;
    at->high -= s.high;
}

static bool is_even(const struct sum *s)
{
    return !s->low && !s->high;
}

bool tally_is_even(const struct tally *t, int db, struct bytes name)
{
    return is_even(&t->sums[sum_of(t, db, name).low % BUCKETS]);
}

bool tally_all_even(const struct tally *t)
{
    for (size_t i = 0; i < BUCKETS; i++)
        if (!is_even(&t->sums[i]))
            return false;
    return true;
}
