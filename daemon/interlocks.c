#include "daemon/interlocks.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/text.h"

static bool in_scope(const struct config *c, int db)
{
    for (size_t i = 0; i < c->scope.count; i++)
        if (c->scope.at[i] == db)
            return true;
    return c->scope.all;
}

/* The target's database of a source's, and the other way round, is the same unless the target's URL names
 * one. */
static bool of_link(const struct config *c, bool of_target, int db)
{
    if (of_target && c->target.url.db != URL_DB_NONE)
        return db == c->target.url.db;
    return in_scope(c, db);
}

uint64_t interlocks_keys(const struct config *c, bool of_target, size_t ndbs, const struct watch_db *dbs)
{
    uint64_t keys = 0;
    for (size_t i = 0; i < ndbs; i++)
        if (of_link(c, of_target, dbs[i].db))
            keys += dbs[i].keys;
    return keys;
}

bool interlocks_shrank(const struct config *c, const struct state *s, size_t ndbs, const struct watch_db *dbs)
{
    uint64_t was = interlocks_keys(c, false, s->source.ndbs, s->source.dbs);
    return interlocks_keys(c, false, ndbs, dbs) < was - was / 2;
}

enum ownership interlocks_owner(const struct config *c, const struct state *s, const struct probe *target)
{
    const struct state_owned *owned = &s->target_owned;
    struct server_id id;

    bool empty = target->has_keyspace && interlocks_keys(c, true, target->ndbs, target->dbs) == 0;
    if (owned->owned) {
        state_owned_id(owned, &id);
        if (server_same_history(&id, &target->id))
            return OWNER_US;
    }
    if (empty)
        return OWNER_NOBODY;
    return owned->owned && strcmp(owned->url, c->target.url.text) == 0 ? OWNER_SUSPECT : OWNER_OTHERS;
}

struct findings {
    size_t n;
    struct finding *at;
};

static void PRINTF_LIKE(3, 4) found(struct findings *f, enum blocker blocker, const char *format, ...)
{
    if (f->n == INTERLOCKS_MAX)
        return;
    struct finding *one = &f->at[f->n++];
    va_list args;
    one->blocker = blocker;
    va_start(args, format);
    vsnprintf(one->message, sizeof(one->message), format, args);
    va_end(args);
}

static bool same_text(const char *a, const char *b)
{
    return a[0] && strcmp(a, b) == 0;
}

/* By run id, not by address. The same replication id: one is a replica of the other, however far. */
static void check_identity(struct findings *f, const struct server_id *source, const struct server_id *target)
{
    if (same_text(source->run_id, target->run_id))
        found(f, BLOCKER_SAME_SERVER, "source and target are the same server (run id %s)", source->run_id);
    else if (same_text(source->replid, target->replid) && source->role == ROLE_REPLICA)
        found(f, BLOCKER_REPLICATES, "the source replicates from the target, or from its primary %s:%u",
              source->primary_host, (unsigned)source->primary_port);
    else if (same_text(source->replid, target->replid))
        found(f, BLOCKER_REPLICATES, "the target replicates from the source, or from its primary");
    else if (target->role == ROLE_REPLICA)
        found(f, BLOCKER_TARGET_IS_REPLICA, "the target is a replica of %s:%u, so it takes no writes",
              target->primary_host, (unsigned)target->primary_port);
}

static void check_owner(struct findings *f, const struct config *c, const struct state *s,
                        const struct probe *target)
{
    char keys[TEXT_MAX];

    if (interlocks_owner(c, s, target) != OWNER_OTHERS || c->existing_keys != EXISTING_REFUSE)
        return;
    if (!target->has_keyspace) {
        found(f, BLOCKER_TARGET_NOT_EMPTY,
              "the target does not tell whether it has keys (INFO keyspace), and existing_keys is refuse");
        return;
    }
    text_count(interlocks_keys(c, true, target->ndbs, target->dbs), keys);
    found(f, BLOCKER_TARGET_NOT_EMPTY,
          "the target has %s key%s that this link did not write, and existing_keys is refuse", keys,
          strcmp(keys, "1") ? "s" : "");
}

static void check_version(struct findings *f, const struct probe *source, const struct probe *target)
{
    if (server_dump_accepts(target->dump_version, source->dump_version))
        return;
    found(f, BLOCKER_VERSION,
          "the source is %s %s (DUMP format %u), which the target, %s %s (format %u), cannot restore",
          server_kind_name(source->id.kind), source->id.version, source->dump_version,
          server_kind_name(target->id.kind), target->id.version, target->dump_version);
}

static void check_databases(struct findings *f, const struct config *c, const struct probe *source,
                            const struct probe *target)
{
    if (!target->databases || c->target.url.db != URL_DB_NONE)
        return;
    for (size_t i = 0; i < source->ndbs; i++) {
        int db = source->dbs[i].db;
        if (!in_scope(c, db) || (unsigned)db < target->databases)
            continue;
        found(f, BLOCKER_DATABASE_MISSING, "the source has keys in database %d, the target has %u databases",
              db, target->databases);
        return;
    }
}

static void check_others(struct findings *f, const struct probe *target)
{
    if (target->nothers)
        found(f, BLOCKER_OTHER_RIOTD, "another riotd is connected to the target: %s", target->others[0]);
}

static void check_eviction(struct findings *f, const struct config *c, const struct probe *target)
{
    const char *policy = target->maxmemory_policy;
    if (!c->allow_eviction && policy[0] && strcmp(policy, "noeviction") != 0)
        found(f, BLOCKER_TARGET_EVICTS,
              "the target's maxmemory-policy is %s: it may drop keys that were copied", policy);
}

/* A mark without its database would be looked for in all: a key that the source has in one of them only would
 * be deleted in the others, where it may be the target's own. `auto` takes a feed that names it. */
static void check_merge(struct findings *f, const struct config *c)
{
    if (c->existing_keys == EXISTING_MERGE && c->feed == FEED_TRACKING)
        found(f, BLOCKER_MERGE_FEED, "the feed `tracking` does not tell in which database a key changed");
}

size_t interlocks(const struct config *c, const struct state *s, const struct probe *source,
                  const struct probe *target, struct finding ret[INTERLOCKS_MAX])
{
    struct findings f = {.at = ret};

    check_identity(&f, &source->id, &target->id);
    if (f.n && f.at[0].blocker == BLOCKER_SAME_SERVER)
        return f.n; /* of one server, no more can be said */
    check_others(&f, target);
    check_owner(&f, c, s, target);
    check_version(&f, source, target);
    check_databases(&f, c, source, target);
    check_eviction(&f, c, target);
    check_merge(&f, c);
    return f.n;
}
