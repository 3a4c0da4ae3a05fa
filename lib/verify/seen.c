/* seen.c - see seen.h. Open addressing, linear probing, at most four fifths full. */
#include <errno.h>
#include <stdlib.h>

#include "lib/verify/seen.h"

#define FIRST_SLOTS 256

struct entry {
    uint64_t low, high; /* both 0: free */
};

struct seen {
    struct hash_seed seed;
    size_t memory, most, count, mask;
    struct entry *slots;
};

static struct entry entry_of(const struct seen *s, int db, struct bytes key)
{
    uint64_t salt = (uint64_t)(uint32_t)db * 2;
    struct entry e = {hash_bytes(s->seed, salt, key), hash_bytes(s->seed, salt + 1, key)};

    e.high += e.low == 0 && e.high == 0;
    return e;
}

static struct entry *slot_of(struct entry *slots, size_t mask, struct entry e)
{
    size_t at = e.low & mask;
    while ((slots[at].low || slots[at].high) && (slots[at].low != e.low || slots[at].high != e.high))
        at = (at + 1) & mask;
    return &slots[at];
}

static bool is_free(const struct entry *slot)
{
    return slot->low == 0 && slot->high == 0;
}

int seen_new(struct hash_seed seed, size_t memory, size_t most, struct seen **ret)
{
    struct seen *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct seen){.seed = seed, .memory = memory, .most = most, .mask = FIRST_SLOTS - 1};
    s->slots = calloc(FIRST_SLOTS, sizeof(*s->slots));
    if (!s->slots) {
        free(s);
        return -ENOMEM;
    }
    *ret = s;
    return 0;
}

struct seen *seen_free(struct seen *s)
{
    if (s)
        free(s->slots);
    free(s);
    return NULL;
}

size_t seen_count(const struct seen *s)
{
    return s->count;
}

bool seen_has(const struct seen *s, int db, struct bytes key)
{
    return !is_free(slot_of(s->slots, s->mask, entry_of(s, db, key)));
}

/* While it grows, the old slots are there too. */
static int grow(struct seen *s)
{
    size_t slots = (s->mask + 1) * 2;

    if ((slots + slots / 2) * sizeof(struct entry) > s->memory)
        return -ENOSPC;
    struct entry *to = calloc(slots, sizeof(*to));
    if (!to)
        return -ENOMEM;
    for (size_t i = 0; i <= s->mask; i++)
        if (!is_free(&s->slots[i]))
            *slot_of(to, slots - 1, s->slots[i]) = s->slots[i];
    free(s->slots);
    s->slots = to;
    s->mask = slots - 1;
    return 0;
}

int seen_add(struct seen *s, int db, struct bytes key)
{
    struct entry e = entry_of(s, db, key);
    struct entry *slot = slot_of(s->slots, s->mask, e);

    if (!is_free(slot))
        return 0;
    if (s->count >= s->most)
        return -ENOSPC;
    if (s->count >= (s->mask + 1) / 5 * 4) {
        int err = grow(s);
        if (err)
            return err;
        slot = slot_of(s->slots, s->mask, e);
    }
    *slot = e;
    s->count++;
    return 0;
}
