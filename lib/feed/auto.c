/* auto.c - the kinds, their names, and which is tried after which, most complete first. Never none: that is a
 * choice to be made by a person. */
#include "lib/feed/kind.h"

#include <stdio.h>

static const char *const kind_names[FEED_KINDS] = {
    [FEED_AUTO] = "auto",     [FEED_PSYNC] = "psync", [FEED_TRACKING] = "tracking",
    [FEED_NOTIFY] = "notify", [FEED_NONE] = "none",
};

const char *feed_kind_name(enum feed_kind k)
{
    return kind_names[k];
}

bool feed_kind_parse(struct bytes name, enum feed_kind *ret)
{
    for (size_t i = 0; i < FEED_KINDS; i++) {
        if (!bytes_is(name, kind_names[i]))
            continue;
        *ret = (enum feed_kind)i;
        return true;
    }
    return false;
}

const struct kind_ops *kind_ops_of(enum feed_kind k)
{
    static const struct kind_ops *const all[FEED_KINDS] = {
        [FEED_PSYNC] = &psync_ops,
        [FEED_TRACKING] = &tracking_ops,
        [FEED_NOTIFY] = &notify_ops,
        [FEED_NONE] = &none_ops,
    };
    return all[k];
}

enum feed_kind auto_next(enum feed_kind after)
{
    static const enum feed_kind next[FEED_KINDS] = {
        [FEED_AUTO] = FEED_PSYNC,  [FEED_PSYNC] = FEED_TRACKING, [FEED_TRACKING] = FEED_NOTIFY,
        [FEED_NOTIFY] = FEED_AUTO, [FEED_NONE] = FEED_AUTO,
    };
    return next[after];
}

void auto_pass_over(struct feed_status *s, enum feed_kind k, const char *why)
{
    if (s->npassed_over == FEED_KINDS)
        return;
    s->passed_over[s->npassed_over].kind = k;
    snprintf(s->passed_over[s->npassed_over].why, sizeof(s->passed_over[0].why), "%s", why);
    s->npassed_over++;
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
