#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "daemon/interlocks.h"

/* Two servers that may be linked; each test spoils one thing. */
struct kit {
    struct config *config;
    struct state *state;
    struct probe source, target;
    struct finding found[INTERLOCKS_MAX];
};

static void name_server(struct server_id *id, const char *run_id, const char *replid)
{
    *id = (struct server_id){.kind = SERVER_REDIS, .role = ROLE_PRIMARY, .redis = 70015, .own = 70015};
    snprintf(id->version, sizeof(id->version), "7.0.15");
    snprintf(id->run_id, sizeof(id->run_id), "%s", run_id);
    snprintf(id->replid, sizeof(id->replid), "%s", replid);
}

static void kit_make(struct kit *k, const char *source, const char *target, const char *existing)
{
    const struct config_flag flags[] = {{"source.url", "--source", source},
                                        {"target.url", "--target", target},
                                        {"target.existing_keys", "--existing-keys", existing}};
    struct config_errors errors = {0};

    *k = (struct kit){.state = calloc(1, sizeof(*k->state))};
    ck_assert_ptr_nonnull(k->state);
    ck_assert_int_eq(config_load(&(struct config_inputs){NULL, flags, 3}, &errors, &k->config), 0);
    config_errors_free(&errors);
    name_server(&k->source.id, "aaaa", "a1");
    name_server(&k->target.id, "bbbb", "b1");
    k->source.has_keyspace = k->target.has_keyspace = true;
    k->source.dump_version = k->target.dump_version = 10;
    k->target.databases = 16;
    snprintf(k->target.maxmemory_policy, sizeof(k->target.maxmemory_policy), "noeviction");
}

static void kit_free(struct kit *k)
{
    config_free(k->config);
    free(k->state);
}

static size_t look(struct kit *k)
{
    return interlocks(k->config, k->state, &k->source, &k->target, k->found);
}

static void only(struct kit *k, enum blocker b, const char *text)
{
    size_t n = look(k);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(k->found[0].blocker, b);
    ck_assert_msg(strstr(k->found[0].message, text) != NULL, "%s", k->found[0].message);
}

#define PLAIN(k) kit_make(&(k), "unix:///s", "unix:///t", "refuse")

START_TEST(test_two_fresh_servers_may_be_linked)
{
    struct kit k;
    PLAIN(k);
    ck_assert_uint_eq(look(&k), 0);
    ck_assert_int_eq(interlocks_owner(k.config, k.state, &k.target), OWNER_NOBODY);
    kit_free(&k);
}
END_TEST

START_TEST(test_same_server_is_told_by_run_id)
{
    struct kit k;
    PLAIN(k);
    k.target.id = k.source.id;
    only(&k, BLOCKER_SAME_SERVER, "aaaa");
    k.target.ndbs = 1; /* its keys are no matter then */
    k.target.dbs = &(struct watch_db){.keys = 7};
    only(&k, BLOCKER_SAME_SERVER, "aaaa");
    kit_free(&k);
}
END_TEST

START_TEST(test_replicas_of_each_other)
{
    struct kit k;
    PLAIN(k);
    snprintf(k.target.id.replid, sizeof(k.target.id.replid), "a1");
    k.target.id.role = ROLE_REPLICA;
    only(&k, BLOCKER_REPLICATES, "the target replicates");
    k.target.id.role = ROLE_PRIMARY;
    k.source.id.role = ROLE_REPLICA;
    only(&k, BLOCKER_REPLICATES, "the source replicates");
    kit_free(&k);
}
END_TEST

START_TEST(test_target_that_is_somebodys_replica)
{
    struct kit k;
    PLAIN(k);
    k.target.id.role = ROLE_REPLICA;
    snprintf(k.target.id.primary_host, sizeof(k.target.id.primary_host), "10.1.1.1");
    k.target.id.primary_port = 6380;
    only(&k, BLOCKER_TARGET_IS_REPLICA, "10.1.1.1:6380");
    kit_free(&k);
}
END_TEST

START_TEST(test_target_with_keys)
{
    struct watch_db dbs[] = {{.db = 3, .keys = 1234}};
    struct kit k;
    PLAIN(k);
    k.target.ndbs = 1;
    k.target.dbs = dbs;
    only(&k, BLOCKER_TARGET_NOT_EMPTY, "1,234 keys");
    kit_free(&k);
    const char *const allowed[] = {"replace", "merge"};
    for (size_t i = 0; i < 2; i++) {
        kit_make(&k, "unix:///s", "unix:///t", allowed[i]);
        k.target.ndbs = 1;
        k.target.dbs = dbs;
        ck_assert_uint_eq(look(&k), 0);
        ck_assert_int_eq(interlocks_owner(k.config, k.state, &k.target), OWNER_OTHERS);
        kit_free(&k);
    }
}
END_TEST

START_TEST(test_only_the_databases_of_the_link_count)
{
    struct watch_db dbs[] = {{.db = 3, .keys = 10}, {.db = 5, .keys = 7}};
    struct kit k;
    kit_make(&k, "unix:///s?db=4", "unix:///t", "refuse");
    k.target.ndbs = 2;
    k.target.dbs = dbs;
    ck_assert_uint_eq(look(&k), 0);
    ck_assert_uint_eq(interlocks_keys(k.config, true, 2, dbs), 0);
    kit_free(&k);
    kit_make(&k, "unix:///s?db=4", "unix:///t?db=5", "refuse");
    ck_assert_uint_eq(interlocks_keys(k.config, true, 2, dbs), 7);
    kit_free(&k);
}
END_TEST

START_TEST(test_target_that_is_ours_may_have_keys)
{
    struct watch_db dbs[] = {{.db = 0, .keys = 10}};
    struct kit k;
    PLAIN(k);
    k.target.ndbs = 1;
    k.target.dbs = dbs;
    state_own_target(k.state, k.config->target.url.text, &k.target.id);
    ck_assert_uint_eq(look(&k), 0);
    ck_assert_int_eq(interlocks_owner(k.config, k.state, &k.target), OWNER_US);
    /* Promoted: its replication id changed, and the old one is known to it. */
    snprintf(k.target.id.run_id, sizeof(k.target.id.run_id), "cccc");
    snprintf(k.target.id.replid, sizeof(k.target.id.replid), "c1");
    snprintf(k.target.id.replid2, sizeof(k.target.id.replid2), "b1");
    ck_assert_int_eq(interlocks_owner(k.config, k.state, &k.target), OWNER_US);
    /* Restarted, or another one: not known. */
    k.target.id.replid2[0] = '\0';
    ck_assert_int_eq(interlocks_owner(k.config, k.state, &k.target), OWNER_SUSPECT);
    ck_assert_uint_eq(look(&k), 0);
    k.target.ndbs = 0;
    ck_assert_int_eq(interlocks_owner(k.config, k.state, &k.target), OWNER_NOBODY);
    /* An INFO without a keyspace is not an empty server. */
    k.target.has_keyspace = false;
    ck_assert_int_eq(interlocks_owner(k.config, k.state, &k.target), OWNER_SUSPECT);
    kit_free(&k);
}
END_TEST

START_TEST(test_version_names_both)
{
    struct kit k;
    PLAIN(k);
    k.source.dump_version = 12;
    snprintf(k.source.id.version, sizeof(k.source.id.version), "8.0.2");
    only(&k, BLOCKER_VERSION, "8.0.2");
    ck_assert(strstr(k.found[0].message, "7.0.15"));
    kit_free(&k);
}
END_TEST

START_TEST(test_databases_eviction_and_another_riotd)
{
    struct watch_db dbs[] = {{.db = 20, .keys = 1}};
    struct kit k;
    PLAIN(k);
    k.source.ndbs = 1;
    k.source.dbs = dbs;
    only(&k, BLOCKER_DATABASE_MISSING, "database 20");
    k.source.ndbs = 0;
    snprintf(k.target.maxmemory_policy, sizeof(k.target.maxmemory_policy), "allkeys-lru");
    only(&k, BLOCKER_TARGET_EVICTS, "allkeys-lru");
    k.config->allow_eviction = true;
    ck_assert_uint_eq(look(&k), 0);
    k.target.nothers = 1;
    snprintf(k.target.others[0], sizeof(k.target.others[0]), "riotd:other:1:write");
    only(&k, BLOCKER_OTHER_RIOTD, "riotd:other:1:write");
    kit_free(&k);
}
END_TEST

START_TEST(test_shrunk_is_under_half)
{
    struct watch_db was[] = {{.db = 0, .keys = 100}}, is[] = {{.db = 0, .keys = 50}};
    struct kit k;
    PLAIN(k);
    state_server_recount(&k.state->source, 1, was);
    ck_assert(!interlocks_shrank(k.config, k.state, 1, is));
    is[0].keys = 49;
    ck_assert(interlocks_shrank(k.config, k.state, 1, is));
    ck_assert(interlocks_shrank(k.config, k.state, 0, NULL));
    kit_free(&k);
}
END_TEST

UNIT_MAIN("daemon/interlocks", test_two_fresh_servers_may_be_linked, test_same_server_is_told_by_run_id,
          test_replicas_of_each_other, test_target_that_is_somebodys_replica, test_target_with_keys,
          test_only_the_databases_of_the_link_count, test_target_that_is_ours_may_have_keys,
          test_version_names_both, test_databases_eviction_and_another_riotd, test_shrunk_is_under_half)
