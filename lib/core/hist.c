#include "lib/core/hist.h"

#define SUB_BITS 4
#define SUB      (1u << SUB_BITS)

void hist_reset(struct hist *h)
{
    *h = (struct hist){0};
}

static size_t bucket_of(uint64_t value)
{
    if (value < SUB)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
    return SUB + shift * SUB + (size_t)(value >> shift & (SUB - 1));
}

static uint64_t upper_edge(size_t bucket)
{
    if (bucket < SUB)
        return bucket;
    unsigned shift = (unsigned)(bucket / SUB - 1);
    uint64_t next = SUB + bucket % SUB + 1;
    return (next << shift) - 1; /* the last one wraps to UINT64_MAX, as it should */
}

void hist_add(struct hist *h, uint64_t value)
{
    uint32_t *bucket = &h->buckets[bucket_of(value)];

    h->max = MAX(h->max, value);
    if (*bucket == UINT32_MAX)
        return;
    ++*bucket;
    h->count++;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
    double exact = q * (double)h->count;
    uint64_t rank = exact > 0 ? (uint64_t)MIN(exact, (double)h->count) : 0, seen = 0;

    if (!h->count)
        return 0;
    if ((double)rank < exact && rank < h->count)
        rank++;
    rank = MAX(rank, (uint64_t)1);
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank)
            return MIN(upper_edge(i), h->max);
    }
    return h->max;
}
