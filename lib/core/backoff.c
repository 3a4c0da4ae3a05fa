#include "lib/core/backoff.h"

void backoff_init(struct backoff *b, uint64_t seed)
{
    *b = (struct backoff){.random = seed ? seed : 0x9e3779b97f4a7c15};
}

/* xorshift64, Marsaglia 2003. */
static uint64_t next_random(struct backoff *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

uint64_t backoff_next_us(struct backoff *b)
{
    uint64_t us = BACKOFF_FIRST_MS * 1000;

    for (unsigned i = 0; i < b->tries && us < BACKOFF_LAST_MS * 1000; i++)
        us *= 2;
    us = MIN(us, (uint64_t)BACKOFF_LAST_MS * 1000);
    if (b->tries < 32)
        b->tries++;
    return us + next_random(b) % (us / 4 + 1);
}

void backoff_reset(struct backoff *b)
{
    b->tries = 0;
}
