/* preflight_kit.h - facts for tests of what a check makes of them. */
#ifndef RIOT_PREFLIGHT_KIT_H
#define RIOT_PREFLIGHT_KIT_H

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "daemon/preflight_facts.h"

/* Two servers between which all is well; each test spoils one thing. */
struct kit {
    struct config *config;
    struct state *state;
    struct preflight_facts facts;
    struct preflight_report report;
    struct watch_db source_dbs[2];
};

static struct kit k;

static inline void name_server(struct server_id *id, const char *run_id)
{
    *id = (struct server_id){.kind = SERVER_REDIS, .role = ROLE_PRIMARY, .redis = 70015, .own = 70015};
    snprintf(id->version, sizeof(id->version), "7.0.15");
    snprintf(id->run_id, sizeof(id->run_id), "%s", run_id);
    snprintf(id->replid, sizeof(id->replid), "%s-history", run_id);
}

static inline void make_side(struct preflight_side *s, const char *run_id)
{
    preflight_side_init(s);
    s->url = "redis://somewhere";
    s->user = "riot";
    s->reached = s->asked = s->keys_known = s->has_commandstats = true;
    name_server(&s->probe.id, run_id);
    s->probe.dump_version = 10;
    s->probe.databases = 16;
    s->probe.has_keyspace = s->probe.has_clock = s->probe.has_functions = true;
    snprintf(s->probe.maxmemory_policy, sizeof(s->probe.maxmemory_policy), "noeviction");
    for (size_t i = 0; i < RIGHTS; i++)
        s->rights[i] = RIGHT_GIVEN;
    s->tracking = RIGHT_GIVEN;
    s->used_memory = s->dataset = 10 * MIB;
    s->commands = s->evicted = 0;
    s->maxmemory = s->scripts = s->libraries = s->ops_per_s = s->idle_timeout_s = 0;
    s->total_memory = 1000 * MIB;
    s->bulk_len = 512 * MIB;
    s->aof = 1;
    s->pubsub.told = s->replica.told = s->has_flags = s->has_modules = s->has_save = true;
    s->backlog = s->min_replicas = 0;
    s->backlog_size = MIB;
    s->replica.hard = 256 * MIB;
    s->replica.soft = 64 * MIB;
    s->replica.soft_s = 60;
    s->pubsub.hard = 32 * MIB;
    s->pubsub.soft = 8 * MIB;
    s->pubsub.soft_s = 60;
}

static inline void make_at(const char *source, const char *existing, const char *feed)
{
    const struct config_flag flags[] = {{"source.url", "--source", source},
                                        {"target.url", "--target", "unix:///t"},
                                        {"target.existing_keys", "--existing-keys", existing},
                                        {"feed", "--feed", feed}};
    struct config_errors errors = {0};

    k = (struct kit){.state = calloc(1, sizeof(*k.state))};
    ck_assert_ptr_nonnull(k.state);
    ck_assert_int_eq(config_load(&(struct config_inputs){NULL, flags, ARRAY_LEN(flags)}, &errors, &k.config),
                     0);
    config_errors_free(&errors);
    k.facts = (struct preflight_facts){
        .config = k.config, .state = k.state, .state_path = "/s/x.json", .waited_ms = 10000};
    make_side(&k.facts.side[SIDE_SOURCE], "aaaa");
    make_side(&k.facts.side[SIDE_TARGET], "bbbb");
    k.facts.has_fences = true;
    k.facts.fences.chosen = FENCE_ACL;
    k.facts.fences.kinds[FENCE_ACL].allowed = true;
}

static inline void make(const char *existing, const char *feed)
{
    make_at("unix:///s", existing, feed);
}

static inline void make_plain(void)
{
    make("refuse", "auto");
}

static inline void done(void)
{
    config_free(k.config);
    state_clear(k.state);
    free(k.state);
}

static inline const struct preflight_item *find(const char *name)
{
    for (size_t i = 0; i < k.report.nitems; i++)
        if (strcmp(k.report.items[i].name, name) == 0)
            return &k.report.items[i];
    return NULL;
}

static inline void look(void)
{
    k.report = (struct preflight_report){0};
    preflight_decide(&k.facts, &k.report);
}

/* This item is so, says that, and is the only one that is not ok, if it is not. */
static inline void only(const char *name, enum preflight_level level, const char *says)
{
    look();
    const struct preflight_item *item = find(name);
    ck_assert_msg(item != NULL, "no item %s", name);
    ck_assert_msg(item->level == level, "%s: %s: %s", name, preflight_level_name(item->level), item->text);
    ck_assert_msg(strstr(item->text, says) || strstr(item->hint, says), "%s: %s: %s", name, item->text,
                  item->hint);
    for (size_t i = 0; i < k.report.nitems; i++) {
        const struct preflight_item *other = &k.report.items[i];
        ck_assert_msg((other->hint[0] != '\0') == (other->level != PREFLIGHT_OK), "%s: %s: %s", other->name,
                      other->text, other->hint);
        ck_assert_msg(other == item || other->level == PREFLIGHT_OK, "%s: %s", other->name, other->text);
    }
    ck_assert_uint_eq(k.report.errors, level == PREFLIGHT_ERROR);
    ck_assert_uint_eq(k.report.warnings, level == PREFLIGHT_WARNING);
    ck_assert_int_eq(preflight_exit_code(&k.report), level == PREFLIGHT_ERROR ? 12 : 0);
}

#define SOURCE (&k.facts.side[SIDE_SOURCE])
#define TARGET (&k.facts.side[SIDE_TARGET])

#endif
