/* lane_seal.c - what a cutover needs of a lane: what was told, and the end of copying (R13). */
#include "lib/copy/lane_impl.h"

void lane_retry(struct lane *l)
{
    dirty_retry_failed(l->dirty);
    l->functions_wanted = true;
    l->functions_retry_us = 0;
    lane_pump_soon(l);
    lane_advance(l);
}

void lane_generation(const struct lane *l, struct lane_generation *ret)
{
    *ret = (struct lane_generation){.gaps = l->gaps, .marks = l->told};
}

void lane_each_recent(const struct lane *l, bool (*fn)(int db, struct bytes key, void *arg), void *arg)
{
    recent_each(l->recent, fn, arg);
}

void lane_unseal(struct lane *l)
{
    (void)l;
}
