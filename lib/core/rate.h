/* rate.h - two uses of time: a token bucket that limits, and a meter that measures. */
#ifndef RIOT_RATE_H
#define RIOT_RATE_H

#include "lib/core/common.h"

/* Tokens arrive at `per_s`; at most a tenth of a second's worth is saved up. per_s 0 means no limit. A take
 * may overdraw once (a single value may be larger than the bucket); the debt is paid before the next take. */
struct rate {
    uint64_t per_s;
    uint64_t last_us;
    double tokens;
};

void rate_init(struct rate *r, uint64_t per_s, uint64_t now_us);
bool rate_ready(struct rate *r, uint64_t now_us); /* may something be taken now? */
void rate_take(struct rate *r, uint64_t n);
double rate_burst(const struct rate *r);     /* tokens that are saved up at most */
uint64_t rate_wait_us(const struct rate *r); /* until it is ready; 0 when it is */

/* Events per second over the last few seconds, smoothed (time constant 2 s). Fed with a running total, about
 * once a second. */
struct meter {
    uint64_t last_total, last_us;
    double per_s;
};

void meter_init(struct meter *m, uint64_t total, uint64_t now_us);
void meter_feed(struct meter *m, uint64_t total, uint64_t now_us);

#endif
