/* keyspace.h - reads INFO keyspace. For watch.c and probe.c alone. */
#ifndef RIOT_KEYSPACE_H
#define RIOT_KEYSPACE_H

#include "lib/redis/watch.h"

struct keyspace {
    bool told; /* the section was there, be it empty */
    size_t count;
    struct watch_db *dbs; /* ascending */
};

/* From text that may have other sections too. -EBADMSG: not understood, or more than WATCH_DBS_MAX; -ENOMEM.
 */
MUST_CHECK int keyspace_parse(struct bytes info, struct keyspace *ret);
void keyspace_free(struct keyspace *k);

#endif
