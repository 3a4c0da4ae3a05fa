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

/* The second half is made of the first (the last steps of splitmix64), and so that sums of the one say
 * nothing of sums of the other. */
static uint64_t mixed(uint64_t h)
{
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9;
    h = (h ^ h >> 27) * 0x94d049bb133111eb;
    return h ^ h >> 31;
}

static struct sum sum_of(const struct tally *t, int db, struct bytes name)
{
    uint64_t h = hash_bytes(t->seed, (uint64_t)(uint32_t)db, name);
    return (struct sum){h, mixed(h)};
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
