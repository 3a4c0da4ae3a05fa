/* fence_missing.c - what stands in for the fence until it is there: a cutover is refused. */
#include <errno.h>

#include "daemon/fence.h"

#pragma weak fence_new
#pragma weak fence_free
#pragma weak fence_is_held
#pragma weak fence_is_paused

int fence_new(struct loop *l, const struct fence_options *opt, const struct fence_events *ev, void *arg,
              struct fence **ret)
{
    (void)l, (void)opt, (void)ev, (void)arg, (void)ret;
    return -ENOSYS;
}

struct fence *fence_free(struct fence *f)
{
    (void)f;
    return NULL;
}

bool fence_is_held(const struct fence *f)
{
    (void)f;
    return false;
}

bool fence_is_paused(const struct fence *f)
{
    (void)f;
    return false;
}
