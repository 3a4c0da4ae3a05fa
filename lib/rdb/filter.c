/* filter.c - see filter.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rdb/filter.h"

#define TYPES_MAX 7 /* and a NULL */

struct globs {
    size_t count;
    struct bytes *at;
    char *text; /* of all of them */
};

struct filter {
    struct globs include, exclude;
    unsigned types; /* bits of enum rdb_type; 0: all */
    const char *scan[TYPES_MAX + 1];
};

/* Those that TYPE names. */
static const enum rdb_type known[] = {RDB_STRING, RDB_LIST, RDB_SET, RDB_ZSET, RDB_HASH, RDB_STREAM};

static void free_globs(struct globs *g)
{
    free(g->at);
    free(g->text);
}

static int copy_globs(const struct bytes *from, size_t count, struct globs *ret)
{
    size_t bytes = 0, at = 0;

    if (count > FILTER_GLOBS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (from[i].len > FILTER_GLOB_MAX)
            return -EINVAL;
        bytes += from[i].len;
    }
    ret->at = calloc(MAX(count, (size_t)1), sizeof(*ret->at));
    ret->text = malloc(MAX(bytes, (size_t)1));
    if (!ret->at || !ret->text)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        ret->at[i] = bytes_of(ret->text + at, from[i].len);
        bytes_put(ret->text + at, from[i]);
        at += from[i].len;
    }
    ret->count = count;
    return 0;
}

static enum rdb_type type_named(struct bytes name)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (bytes_is(name, rdb_type_name(known[i])))
            return known[i];
    return RDB_MODULE;
}

static int take_types(struct filter *f, const struct filter_options *opt)
{
    size_t n = 0;

    for (size_t i = 0; i < opt->ntypes; i++) {
        enum rdb_type type = type_named(bytes_str(opt->types[i]));
        if (strcmp(rdb_type_name(type), opt->types[i]) != 0)
            return -EINVAL;
        f->types |= 1u << type;
    }
    if (f->types & (1u << RDB_MODULE))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (f->types & (1u << known[i]))
            f->scan[n++] = rdb_type_name(known[i]);
    return 0;
}

int filter_new(const struct filter_options *opt, struct filter **ret)
{
    struct filter *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    int err = copy_globs(opt->include, opt->ninclude, &f->include);
    if (!err)
        err = copy_globs(opt->exclude, opt->nexclude, &f->exclude);
    if (!err)
        err = take_types(f, opt);
    if (err) {
        filter_free(f);
        return err;
    }
    *ret = f;
    return 0;
}

struct filter *filter_free(struct filter *f)
{
    if (f) {
        free_globs(&f->include);
        free_globs(&f->exclude);
        free(f);
    }
    return NULL;
}

static bool any_matches(const struct globs *g, struct bytes name)
{
    for (size_t i = 0; i < g->count; i++)
        if (glob_matches(g->at[i], name))
            return true;
    return false;
}

bool filter_name(const struct filter *f, struct bytes name)
{
    return !f || ((!f->include.count || any_matches(&f->include, name)) && !any_matches(&f->exclude, name));
}

bool filter_has_types(const struct filter *f)
{
    return f && f->types;
}

bool filter_type(const struct filter *f, enum rdb_type type)
{
    return !filter_has_types(f) || type == RDB_UNKNOWN || f->types & (1u << type);
}

bool filter_payload(const struct filter *f, struct bytes start)
{
    return !filter_has_types(f) || !start.len || filter_type(f, rdb_type_of((uint8_t)start.ptr[0]));
}

bool filter_type_name(const struct filter *f, struct bytes name)
{
    return !bytes_is(name, "none") && filter_type(f, type_named(name));
}

const char *const *filter_scan_types(const struct filter *f)
{
    return f && f->scan[0] ? f->scan : NULL;
}
