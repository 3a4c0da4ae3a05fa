/* filter.h - which keys a link has to do with, by name and by type: the one object that scan, feed, sweep,
 * streams, repair and verify ask.
 *
 * A name is in scope if one of `include` matches it (or there is none) and none of `exclude` does; a value if
 * its type is named (or none is). NULL stands for no filter: all is in scope. Immutable, so it may be shared.
 *
 * What is out of scope on the target is somebody else's: it is not written, deleted, or called extra. What is
 * out of scope on the source is as good as not there.
 */
#ifndef RIOT_RDB_FILTER_H
#define RIOT_RDB_FILTER_H

#include "lib/core/glob.h"
#include "lib/rdb/payload.h"

#define FILTER_GLOBS_MAX 256
#define FILTER_GLOB_MAX  1024 /* bytes of one */

struct filter;
struct filter_options {
    const struct bytes *include, *exclude; /* globs; copied */
    size_t ninclude, nexclude;
    const char *const *types; /* "string", "list", "set", "zset", "hash", "stream", or "module" for those of
                                 every module; none: all */
    size_t ntypes;
};

/* -EINVAL: too many or too long globs, or a type that is not known; -ENOMEM. */
MUST_CHECK int filter_new(const struct filter_options *opt, struct filter **ret);
struct filter *filter_free(struct filter *f);

bool filter_name(const struct filter *f, struct bytes name);
bool filter_has_types(const struct filter *f); /* some values are out of scope: types must be looked at */
/* A type byte that is not known is in scope: that it cannot be copied shall show. */
bool filter_type(const struct filter *f, enum rdb_type type);
bool filter_payload(const struct filter *f, struct bytes start);  /* of DUMP: its first byte at least */
bool filter_type_name(const struct filter *f, struct bytes name); /* as TYPE says; "none" is in none */
/* The types to ask SCAN TYPE for, one pass each, ended by NULL. NULL: all keys must be gone through. */
const char *const *filter_scan_types(const struct filter *f);

#endif
