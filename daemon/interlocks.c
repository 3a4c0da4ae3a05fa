#include "daemon/interlocks.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/text.h"

#define SEEN_NAME_MAX 300

static bool in_scope(const struct config *c, int db)
{
    for (size_t i = 0; i < c->scope.count; i++)
        if (c->scope.at[i] == db)
            return true;
    return c->scope.all;
}

int interlocks_into_db(const struct config *c, const struct probe *target)
{
    bool one_only = target->id.cluster && target->databases == 1;
    bool names_one = !c->scope.all && c->scope.count == 1;

    return c->target.url.db == URL_DB_NONE && one_only && names_one ? 0 : c->target.url.db;
}

uint64_t interlocks_source_keys(const struct config *c, size_t ndbs, const struct watch_db *dbs)
{
    uint64_t keys = 0;
    for (size_t i = 0; i < ndbs; i++)
        if (in_scope(c, dbs[i].db))
            keys += dbs[i].keys;
    return keys;
}

/* Their databases are those of the source, unless all goes into one. */
uint64_t interlocks_target_keys(const struct config *c, const struct probe *target)
{
    int into = interlocks_into_db(c, target);
    uint64_t keys = 0;

    for (size_t i = 0; i < target->ndbs; i++)
        if (into == URL_DB_NONE ? in_scope(c, target->dbs[i].db) : target->dbs[i].db == into)
            keys += target->dbs[i].keys;
    return keys;
}

uint64_t interlocks_expected(const struct config *c, const struct state_server *was, unsigned slots)
{
    uint64_t keys = interlocks_source_keys(c, was->ndbs, was->dbs);

    if (slots >= was->slots)
        return keys;
    return (uint64_t)((double)keys * slots / was->slots);
}

bool interlocks_shrank(uint64_t was, uint64_t is)
{
    return is < was - was / 2;
}

enum ownership interlocks_owner(const struct config *c, const struct state *s, const struct probe *target)
{
    const struct state_owned *owned = &s->target_owned;
    struct server_id id;

    for (size_t i = 0; owned->owned && i < owned->servers.count; i++) {
        state_server_id(&owned->servers.at[i], &id);
        if (server_same_history(&id, &target->id))
            return OWNER_US;
    }
    if (target->has_keyspace && interlocks_target_keys(c, target) == 0)
        return OWNER_NOBODY;
    return owned->owned && strcmp(owned->url, c->target.url.text) == 0 ? OWNER_SUSPECT : OWNER_OTHERS;
}

struct findings {
    size_t n;
    struct finding *at;
};

static void PRINTF_LIKE(3, 4) found(struct findings *f, enum blocker blocker, const char *format, ...)
{
    va_list args;

    for (size_t i = 0; i < f->n; i++)
        if (f->at[i].blocker == blocker)
            return;
    if (f->n == INTERLOCKS_MAX)
        return;
    struct finding *one = &f->at[f->n++];
    one->blocker = blocker;
    va_start(args, format);
    vsnprintf(one->message, sizeof(one->message), format, args);
    va_end(args);
}

static bool same_text(const char *a, const char *b)
{
    return a[0] && strcmp(a, b) == 0;
}

/* "the source", or "the source's 10.0.0.5:6379" where it has several. Returns out. */
static const char *name_of(const char *side, const struct seen_side *of, size_t i, char out[SEEN_NAME_MAX])
{
    if (of->count == 1)
        snprintf(out, SEEN_NAME_MAX, "the %s", side);
    else
        snprintf(out, SEEN_NAME_MAX, "the %s's %s", side, of->at[i].address);
    return out;
}

struct pair {
    const struct probe *source, *target;
    char of_source[SEEN_NAME_MAX], of_target[SEEN_NAME_MAX];
};

/* By run id, not by address. The same replication id: one is a replica of the other, however far. */
static void check_identity(struct findings *f, const struct pair *p)
{
    const struct server_id *source = &p->source->id, *target = &p->target->id;

    if (same_text(source->run_id, target->run_id))
        found(f, BLOCKER_SAME_SERVER, "source and target are the same server (run id %s)", source->run_id);
    else if (same_text(source->replid, target->replid) && source->role == ROLE_REPLICA)
        found(f, BLOCKER_REPLICATES, "%.100s replicates from the target, or from its primary %.150s:%u",
              p->of_source, source->primary_host, (unsigned)source->primary_port);
    else if (same_text(source->replid, target->replid))
        found(f, BLOCKER_REPLICATES, "%.100s replicates from the source, or from its primary", p->of_target);
    else if (target->role == ROLE_REPLICA)
        found(f, BLOCKER_TARGET_IS_REPLICA, "%.100s is a replica of %.150s:%u, so it takes no writes",
              p->of_target, target->primary_host, (unsigned)target->primary_port);
}

static void check_version(struct findings *f, const struct pair *p)
{
    const struct probe *source = p->source, *target = p->target;

    if (server_dump_accepts(target->dump_version, source->dump_version))
        return;
    found(f, BLOCKER_VERSION,
          "%.90s is %s %s (DUMP format %u), which %.90s, %s %s (format %u), cannot restore", p->of_source,
          server_kind_name(source->id.kind), source->id.version, source->dump_version, p->of_target,
          server_kind_name(target->id.kind), target->id.version, target->dump_version);
}

/* A cluster refuses SELECT itself; a server that stands alone only has no key there. */
static bool names_none_of(struct findings *f, const struct config *c, const struct pair *p)
{
    unsigned has = p->source->databases;

    for (size_t i = 0; p->source->id.cluster && has && !c->scope.all && i < c->scope.count; i++) {
        if ((unsigned)c->scope.at[i] < has)
            continue;
        found(f, BLOCKER_DATABASE_MISSING,
              "database %d is to be copied, and %.100s, a cluster, has %u database%s", c->scope.at[i],
              p->of_source, has, has == 1 ? "" : "s");
        return true;
    }
    return false;
}

static void check_databases(struct findings *f, const struct config *c, const struct pair *p)
{
    const struct probe *source = p->source, *target = p->target;

    if (names_none_of(f, c, p) || !target->databases)
        return;
    if (interlocks_into_db(c, target) >= (int)target->databases)
        found(f, BLOCKER_DATABASE_MISSING, "the target's URL names database %d, the target has %u database%s",
              c->target.url.db, target->databases, target->databases == 1 ? "" : "s");
    if (interlocks_into_db(c, target) != URL_DB_NONE)
        return;
    for (size_t i = 0; i < source->ndbs; i++) {
        int db = source->dbs[i].db;
        if (!in_scope(c, db) || (unsigned)db < target->databases)
            continue;
        found(f, BLOCKER_DATABASE_MISSING, "%.100s has keys in database %d, %.100s has %u database%s",
              p->of_source, db, p->of_target, target->databases, target->databases == 1 ? "" : "s");
        return;
    }
}

static void check_pairs(struct findings *f, const struct config *c, const struct seen_side *source,
                        const struct seen_side *target,
                        void (*check)(struct findings *f, const struct config *c, const struct pair *p))
{
    struct pair p;

    for (size_t i = 0; i < source->count; i++) {
        for (size_t j = 0; j < target->count; j++) {
            p.source = source->at[i].probe;
            p.target = target->at[j].probe;
            name_of("source", source, i, p.of_source);
            name_of("target", target, j, p.of_target);
            check(f, c, &p);
        }
    }
}

static void check_each_identity(struct findings *f, const struct config *c, const struct pair *p)
{
    (void)c;
    check_identity(f, p);
}

static void check_each_fit(struct findings *f, const struct config *c, const struct pair *p)
{
    check_version(f, p);
    check_databases(f, c, p);
}

/* Only of those who are other people's. */
static void check_owner(struct findings *f, const struct config *c, const struct state *s,
                        const struct seen_side *target)
{
    char count[TEXT_MAX], name[SEEN_NAME_MAX];
    uint64_t keys = 0;
    size_t first = target->count;

    if (c->existing_keys != EXISTING_REFUSE)
        return;
    for (size_t i = target->count; i-- > 0;) {
        const struct probe *p = target->at[i].probe;
        if (interlocks_owner(c, s, p) != OWNER_OTHERS)
            continue;
        if (!p->has_keyspace) {
            found(f, BLOCKER_TARGET_NOT_EMPTY,
                  "%.150s does not tell whether it has keys (INFO keyspace), and existing_keys is refuse",
                  name_of("target", target, i, name));
            return;
        }
        keys += interlocks_target_keys(c, p);
        first = i;
    }
    if (first == target->count)
        return;
    found(f, BLOCKER_TARGET_NOT_EMPTY,
          "the target has %s key%s that this link did not write, and existing_keys is refuse",
          text_count(keys, count), keys == 1 ? "" : "s");
}

static void check_others(struct findings *f, const struct seen_side *target)
{
    char name[SEEN_NAME_MAX];

    for (size_t i = 0; i < target->count; i++)
        if (target->at[i].probe->nothers)
            found(f, BLOCKER_OTHER_RIOTD, "another riotd is connected to %.150s: %s",
                  name_of("target", target, i, name), target->at[i].probe->others[0]);
}

static void check_eviction(struct findings *f, const struct config *c, const struct seen_side *target)
{
    char name[SEEN_NAME_MAX];

    for (size_t i = 0; i < target->count && !c->allow_eviction; i++) {
        const char *policy = target->at[i].probe->maxmemory_policy;
        if (policy[0] && strcmp(policy, "noeviction") != 0)
            found(f, BLOCKER_TARGET_EVICTS,
                  "%.150s's maxmemory-policy is %s: it may drop keys that were copied",
                  name_of("target", target, i, name), policy);
    }
}

/* A mark without its database would be looked for in all: a key that the source has in one of them only would
 * be deleted in the others, where it may be the target's own. `auto` takes a feed that names it. */
static void check_merge(struct findings *f, const struct config *c)
{
    if (c->existing_keys != EXISTING_MERGE)
        return;
    if (c->feed == FEED_TRACKING)
        found(f, BLOCKER_MERGE_FEED, "the feed `tracking` does not tell in which database a key changed");
    if (c->feed == FEED_PSYNC)
        found(f, BLOCKER_MERGE_FEED,
              "the feed `psync` does not tell in which database a key changed before another one is written "
              "to");
}

/* Of a node alone, other slots' keys would be missing, and nobody would say so. */
static void check_cluster(struct findings *f, const struct config_endpoint *e, const struct seen_side *side,
                          const char *name)
{
    bool alone = e->cluster == TOPOLOGY_SINGLE || e->url.path;

    if (alone && side->at[0].probe->id.cluster)
        found(f, BLOCKER_CLUSTER,
              "the %s is a node of a cluster, and is taken for a server that stands alone", name);
}

static bool is_same(const struct findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->at[i].blocker == BLOCKER_SAME_SERVER)
            return true;
    return false;
}

size_t interlocks(const struct config *c, const struct state *s, const struct seen_side *source,
                  const struct seen_side *target, struct finding ret[INTERLOCKS_MAX])
{
    struct findings f = {.at = ret};

    check_pairs(&f, c, source, target, check_each_identity);
    if (is_same(&f))
        return f.n; /* of one server, no more can be said */
    check_cluster(&f, &c->source, source, "source");
    check_cluster(&f, &c->target, target, "target");
    check_others(&f, target);
    check_owner(&f, c, s, target);
    check_pairs(&f, c, source, target, check_each_fit);
    check_eviction(&f, c, target);
    check_merge(&f, c);
    return f.n;
}
