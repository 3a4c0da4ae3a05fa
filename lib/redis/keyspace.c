#include "lib/redis/keyspace.h"
#include "lib/redis/info.h"

#include <errno.h>
#include <stdlib.h>

struct parse {
    struct keyspace found;
    int err;
};

static int add(struct keyspace *k, struct watch_db db)
{
    if (k->count == WATCH_DBS_MAX)
        return -EBADMSG;
    if ((k->count & (k->count - 1)) == 0) {
        size_t cap = k->count ? k->count * 2 : 1;
        struct watch_db *dbs = realloc(k->dbs, cap * sizeof(*dbs));
        if (!dbs)
            return -ENOMEM;
        k->dbs = dbs;
    }
    k->dbs[k->count++] = db;
    return 0;
}

/* "db0:keys=1,expires=0,avg_ttl=0", with more fields in newer servers. */
static void take(struct bytes name, struct bytes value, void *arg)
{
    struct parse *p = arg;
    struct watch_db db;
    uint64_t number;

    if (p->err < 0 || !bytes_starts(name, "db") ||
        bytes_to_u64(bytes_of(name.ptr + 2, name.len - 2), &number) < 0)
        return;
    db.db = (int)number;
    if (number > URL_DB_MAX || !info_field_u64(value, "keys", &db.keys) ||
        !info_field_u64(value, "expires", &db.expires))
        p->err = -EBADMSG;
    else
        p->err = add(&p->found, db);
}

static int ascending(const void *a, const void *b)
{
    return ((const struct watch_db *)a)->db - ((const struct watch_db *)b)->db;
}

static bool has_header(struct bytes info)
{
    while (info.len > 0) {
        if (bytes_starts(bytes_cut(&info, '\n'), "# Keyspace"))
            return true;
    }
    return false;
}

int keyspace_parse(struct bytes info, struct keyspace *ret)
{
    struct parse p = {0};

    info_each(info, take, &p);
    if (p.err < 0) {
        keyspace_free(&p.found);
        return p.err;
    }
    if (p.found.count > 1)
        qsort(p.found.dbs, p.found.count, sizeof(*p.found.dbs), ascending);
    p.found.told = p.found.count > 0 || has_header(info);
    *ret = p.found;
    return 0;
}

void keyspace_free(struct keyspace *k)
{
    free(k->dbs);
    *k = (struct keyspace){0};
}
