#include "lib/core/rate.h"

#define US_PER_S      1e6
#define BURST_PER_S   0.1
#define TIME_CONSTANT 2.0 /* seconds */

void rate_init(struct rate *r, uint64_t per_s, uint64_t now_us)
{
    *r = (struct rate){.per_s = per_s, .last_us = now_us, .tokens = (double)per_s * BURST_PER_S};
}

double rate_burst(const struct rate *r)
{
    return (double)r->per_s * BURST_PER_S;
}

bool rate_ready(struct rate *r, uint64_t now_us)
{
    if (!r->per_s)
        return true;
    if (now_us > r->last_us) {
        r->tokens += (double)r->per_s * (double)(now_us - r->last_us) / US_PER_S;
        r->tokens = MIN(r->tokens, rate_burst(r));
        r->last_us = now_us;
    }
    return r->tokens > 0;
}

void rate_take(struct rate *r, uint64_t n)
{
    if (r->per_s)
        r->tokens -= (double)n;
}

uint64_t rate_wait_us(const struct rate *r)
{
    if (!r->per_s || r->tokens > 0)
        return 0;
    double wait = -r->tokens / (double)r->per_s * US_PER_S;
    return wait < 1e18 ? (uint64_t)wait + 1 : (uint64_t)1e18;
}

void meter_init(struct meter *m, uint64_t total, uint64_t now_us)
{
    *m = (struct meter){.last_total = total, .last_us = now_us};
}

/* The step of backward Euler, dt / (dt + T): stable for any interval, and needs no exp(). */
void meter_feed(struct meter *m, uint64_t total, uint64_t now_us)
{
    if (now_us <= m->last_us)
        return;
    if (total >= m->last_total) {
        double dt = (double)(now_us - m->last_us) / US_PER_S;
        double present = (double)(total - m->last_total) / dt;
        m->per_s += (present - m->per_s) * dt / (dt + TIME_CONSTANT);
    }
    m->last_total = total;
    m->last_us = now_us;
}
