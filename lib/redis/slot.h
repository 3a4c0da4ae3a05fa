/* slot.h - the slots of a cluster: which one a key is in, and sets of them. */
#ifndef RIOT_SLOT_H
#define RIOT_SLOT_H

#include "lib/core/bytes.h"

#define SLOTS 16384

/* CRC16 (XMODEM) of the key, or of what stands between its first `{` and the next `}` if that is not empty.
 */
unsigned slot_of(struct bytes key);

struct slot_set {
    uint64_t bits[SLOTS / 64];
};

static inline bool slot_set_has(const struct slot_set *s, unsigned slot)
{
    return s->bits[slot / 64] >> slot % 64 & 1;
}

static inline void slot_set_add(struct slot_set *s, unsigned slot)
{
    s->bits[slot / 64] |= UINT64_C(1) << slot % 64;
}

static inline void slot_set_remove(struct slot_set *s, unsigned slot)
{
    s->bits[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

unsigned slot_set_count(const struct slot_set *s);
bool slot_set_is_full(const struct slot_set *s); /* ends at the first gap: cheap while it is filled */

#endif
