#include "lib/copy/target_base.h"

#include <string.h>

void target_base_take(struct target_base *b, const struct watch_sample *s)
{
    memcpy(b->replid, s->id.replid, sizeof(b->replid));
    b->evicted = s->evicted_keys;
    b->flushes = s->flushes;
    b->commands = s->total_commands;
}

const char *target_base_differs(const struct target_base *b, const struct watch_sample *s, bool may_evict)
{
    if (s->flushes != b->flushes)
        return "the target was flushed";
    if (strcmp(s->id.replid, b->replid) != 0)
        return "the target's replication history changed";
    if (s->evicted_keys != b->evicted && !may_evict)
        return "the target evicted keys";
    return s->total_commands < b->commands ? "the target's counters were reset" : NULL;
}
