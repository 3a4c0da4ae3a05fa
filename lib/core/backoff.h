/* backoff.h - how long to wait before the next try: 100 ms doubling to 5 s, each with up to a quarter of
 * jitter. */
#ifndef RIOT_BACKOFF_H
#define RIOT_BACKOFF_H

#include "lib/core/common.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS  5000

struct backoff {
    unsigned tries;
    uint64_t random; /* xorshift state, never 0 */
};

void backoff_init(struct backoff *b, uint64_t seed);
uint64_t backoff_next_us(struct backoff *b);
void backoff_reset(struct backoff *b);

#endif
