/* hist.h - a log-linear histogram of 64-bit values: 16 buckets for each power of two, so any quantile is
 * right within 6.25 %. */
#ifndef RIOT_HIST_H
#define RIOT_HIST_H

#include "lib/core/common.h"

#define HIST_BUCKETS (16 + 60 * 16)

struct hist {
    uint64_t count, max;
    uint32_t buckets[HIST_BUCKETS];
};

void hist_reset(struct hist *h);
void hist_add(struct hist *h, uint64_t value);
uint64_t hist_quantile(const struct hist *h,
                       double q); /* upper edge of the bucket, at most max; 0 when empty */

#endif
