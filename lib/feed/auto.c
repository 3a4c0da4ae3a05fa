/* auto.c - which kind is tried after which, most complete first. Never none: that is a choice to be made by a
 * person. */
#include "lib/feed/kind.h"

#include <stdio.h>

enum feed_kind auto_next(enum feed_kind after)
{
    static const enum feed_kind next[FEED_KINDS] = {
        [FEED_AUTO] = FEED_PSYNC,  [FEED_PSYNC] = FEED_TRACKING, [FEED_TRACKING] = FEED_NOTIFY,
        [FEED_NOTIFY] = FEED_AUTO, [FEED_NONE] = FEED_AUTO,
    };
    return next[after];
}

void auto_reasons(const struct feed_status *s, char *out, size_t cap)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < s->npassed_over && at < cap; i++) {
        int n = snprintf(out + at, cap - at, "%s%s: %s", i > 0 ? "; " : "",
                         feed_kind_name(s->passed_over[i].kind), s->passed_over[i].why);
        at += n > 0 ? (size_t)n : 0;
    }
}
