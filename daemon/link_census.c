/* link_census.c - how many keys of a target that may not be ours the source lacks: told by each lane of its
 * own slots, and judged once all of them have. */
#include "daemon/link_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/core/text.h"

struct counted {
    const struct lane *lane;
    uint64_t seen, missing;
};

void link_census_forget(struct link *k)
{
    free(k->counted);
    k->counted = NULL;
    k->ncounted = 0;
}

static bool is_lane(const struct link *k, const struct lane *l)
{
    for (size_t i = 0; i < lanes_count(k->lanes); i++)
        if (lanes_at(k->lanes, i) == l)
            return true;
    return false;
}

static struct counted *find(struct link *k, const struct lane *l)
{
    for (size_t i = 0; i < k->ncounted; i++)
        if (k->counted[i].lane == l)
            return &k->counted[i];
    struct counted *at = realloc(k->counted, (k->ncounted + 1) * sizeof(*at));
    if (!at)
        return NULL; /* it is counted again in the next round */
    k->counted = at;
    return &at[k->ncounted++];
}

static void judge(struct link *k)
{
    char would[TEXT_MAX], all[TEXT_MAX];
    uint64_t seen = 0, missing = 0;

    for (size_t i = 0; i < k->ncounted; i++) {
        seen += k->counted[i].seen;
        missing += k->counted[i].missing;
    }
    k->census_pending = false;
    link_census_forget(k);
    if (missing <= seen / 2) {
        link_trust_target(k);
        return;
    }
    link_block(k, BLOCKER_TARGET_FOREIGN,
               "another server answers at the target's address, and %s of its %s keys are not on the source: "
               "none is deleted until this is accepted",
               text_count(missing, would), text_count(seen, all));
}

/* Of a lane that has gone, others have its slots by now, and count them. */
void link_census_lanes_changed(struct link *k)
{
    size_t kept = 0;

    for (size_t i = 0; i < k->ncounted; i++)
        if (is_lane(k, k->counted[i].lane))
            k->counted[kept++] = k->counted[i];
    k->ncounted = kept;
    if (k->census_pending && kept && kept == lanes_count(k->lanes))
        judge(k);
}

void link_census(struct lane *l, uint64_t seen, uint64_t missing, void *arg)
{
    struct link *k = arg;
    struct counted *one = k->census_pending ? find(k, l) : NULL;

    if (!one)
        return;
    *one = (struct counted){l, seen, missing};
    if (k->ncounted == lanes_count(k->lanes))
        judge(k);
}
