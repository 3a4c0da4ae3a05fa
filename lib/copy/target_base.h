/* target_base.h - by what a later reading of INFO shows whether the target has lost what it was given (R7).
 */
#ifndef RIOT_TARGET_BASE_H
#define RIOT_TARGET_BASE_H

#include "lib/redis/watch.h"

struct target_base {
    char replid[RUN_ID_MAX];
    uint64_t evicted, flushes, commands;
};

void target_base_take(struct target_base *b, const struct watch_sample *s);
/* What became of it, of one run id; NULL: nothing. What is told neither then nor now is not looked at. */
const char *target_base_differs(const struct target_base *b, const struct watch_sample *s, bool may_evict);

#endif
