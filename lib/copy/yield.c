#include "lib/copy/yield.h"

void yield_init(struct yield *y, size_t all, uint64_t now_us)
{
    *y = (struct yield){.all = all, .most = all, .began_us = now_us};
}

void yield_feed(struct yield *y, uint64_t marks, uint64_t now_us)
{
    uint64_t took_us = now_us - y->began_us;

    if (took_us < YIELD_WINDOW_US)
        return;
    double per_s = (double)(marks - y->marks) * 1e6 / (double)took_us;
    size_t fit = per_s > YIELD_FREE ? (size_t)((double)y->all * YIELD_FREE / per_s) : y->all;
    y->most = MIN(MAX(fit, (size_t)YIELD_LEAST), 2 * y->most);
    y->began_us = now_us;
    y->marks = marks;
}
