/* link_cutover.c - what verify and the cutover need of the link: its lane and its servers; and the states
 * from cutover on. */
#include "daemon/link_impl.h"

#include <stdlib.h>
#include <string.h>

struct lane *link_lane(struct link *k)
{
    return k->stopping ? NULL : k->lane;
}

const struct endpoint *link_endpoint(const struct link *k, enum lane_side side)
{
    return &k->endpoints[side];
}

int *link_dbs(const struct link *k, size_t *ret_n)
{
    const struct config_databases *scope = &k->config->scope;

    if (k->lane)
        return lane_dbs(k->lane, ret_n);
    size_t n = scope->all ? 0 : scope->count;
    int *dbs = calloc(MAX(n, (size_t)1), sizeof(*dbs));
    if (!dbs)
        return NULL;
    if (n)
        memcpy(dbs, scope->at, n * sizeof(*dbs));
    *ret_n = n;
    return dbs;
}
