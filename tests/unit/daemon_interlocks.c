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
    state_clear(k->state);
    free(k->state);
}

static size_t look(struct kit *k)
{
    const struct seen_server source = {"unix:///s", &k->source}, target = {"unix:///t", &k->target};
    return interlocks(k->config, k->state, &(struct seen_side){1, &source}, &(struct seen_side){1, &target},
                      k->found);
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

START_TEST(test_a_node_of_a_cluster_is_no_server)
{
    struct kit k;
    PLAIN(k);
    k.source.id.cluster = true; /* a socket's path leads to this one alone */
    only(&k, BLOCKER_CLUSTER, "the source is a node");
    kit_free(&k);
    kit_make(&k, "redis://s:1", "redis://t:1", "refuse");
    k.target.id.cluster = true;
    ck_assert_uint_eq(look(&k), 0);
    k.config->target.cluster = TOPOLOGY_SINGLE;
    only(&k, BLOCKER_CLUSTER, "the target is a node");
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
    ck_assert_uint_eq(interlocks_target_keys(k.config, &k.target), 0);
    kit_free(&k);
    kit_make(&k, "unix:///s?db=4", "unix:///t?db=5", "refuse");
    k.target.ndbs = 2;
    k.target.dbs = dbs;
    ck_assert_uint_eq(interlocks_target_keys(k.config, &k.target), 7);
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
    ck_assert_int_eq(state_own_target(k.state, k.config->target.url.text, "unix:///t", &k.target.id), 0);
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
    const struct watch_db was[] = {{.db = 0, .keys = 100}, {.db = 3, .keys = 1000}};
    struct state_server shard = {.slots = 200, .ndbs = 2, .dbs = (struct watch_db *)(uintptr_t)was};
    struct kit k;

    ck_assert(!interlocks_shrank(100, 50));
    ck_assert(interlocks_shrank(100, 49));
    ck_assert(interlocks_shrank(100, 0));
    ck_assert(!interlocks_shrank(0, 0));
    kit_make(&k, "unix:///s?db=0", "unix:///t", "refuse");
    ck_assert_uint_eq(interlocks_expected(k.config, &shard, 200), 100);
    ck_assert_uint_eq(interlocks_expected(k.config, &shard, 16384), 100);
    ck_assert_uint_eq(interlocks_expected(k.config, &shard, 100), 50); /* half of its slots are others' */
    ck_assert_uint_eq(interlocks_expected(k.config, &shard, 0), 0);
    shard.slots = 0; /* not known */
    ck_assert_uint_eq(interlocks_expected(k.config, &shard, 100), 100);
    kit_free(&k);
}
END_TEST

/* A cluster of two on each side. */
struct two {
    struct kit k;
    struct probe source2, target2;
    struct seen_server sources[2], targets[2];
};

static void two_make(struct two *t, const char *existing)
{
    kit_make(&t->k, "redis://s:1", "redis://t:1", existing);
    t->source2 = t->k.source;
    t->target2 = t->k.target;
    name_server(&t->source2.id, "cccc", "c1");
    name_server(&t->target2.id, "dddd", "d1");
    t->k.target.id.cluster = t->target2.id.cluster = true;
    t->k.target.databases = t->target2.databases = 1;
    t->sources[0] = (struct seen_server){"redis://s:1", &t->k.source};
    t->sources[1] = (struct seen_server){"redis://s:2", &t->source2};
    t->targets[0] = (struct seen_server){"redis://t:1", &t->k.target};
    t->targets[1] = (struct seen_server){"redis://t:2", &t->target2};
}

static void two_only(struct two *t, enum blocker b, const char *text)
{
    struct kit *k = &t->k;
    size_t n = interlocks(k->config, k->state, &(struct seen_side){2, t->sources},
                          &(struct seen_side){2, t->targets}, k->found);
    ck_assert_uint_eq(n, text != NULL);
    if (!text)
        return;
    ck_assert_int_eq(k->found[0].blocker, b);
    ck_assert_msg(strstr(k->found[0].message, text) != NULL, "%s", k->found[0].message);
}

START_TEST(test_of_several_the_one_is_named)
{
    struct two t;

    two_make(&t, "refuse");
    two_only(&t, 0, NULL);
    t.target2.id.role = ROLE_REPLICA;
    two_only(&t, BLOCKER_TARGET_IS_REPLICA, "the target's redis://t:2 is a replica");
    t.target2.id.role = ROLE_PRIMARY;
    t.target2.dump_version = 9;
    two_only(&t, BLOCKER_VERSION, "the source's redis://s:1");
    ck_assert(strstr(t.k.found[0].message, "the target's redis://t:2"));
    t.target2.dump_version = 10;
    snprintf(t.target2.maxmemory_policy, sizeof(t.target2.maxmemory_policy), "allkeys-lru");
    two_only(&t, BLOCKER_TARGET_EVICTS, "the target's redis://t:2's");
    snprintf(t.target2.maxmemory_policy, sizeof(t.target2.maxmemory_policy), "noeviction");
    t.k.target.nothers = 1;
    snprintf(t.k.target.others[0], sizeof(t.k.target.others[0]), "riotd:other:1:write");
    two_only(&t, BLOCKER_OTHER_RIOTD, "the target's redis://t:1: riotd:other:1:write");
    t.k.target.nothers = 0;
    t.target2.id = t.source2.id; /* whatever else there is, no more can be said */
    t.target2.dump_version = 9;
    two_only(&t, BLOCKER_SAME_SERVER, "cccc");
    kit_free(&t.k);
}
END_TEST

START_TEST(test_keys_of_several_are_added_up)
{
    struct watch_db one[] = {{.db = 0, .keys = 2}}, other[] = {{.db = 0, .keys = 3}};
    struct two t;

    two_make(&t, "refuse");
    t.k.target.ndbs = t.target2.ndbs = 1;
    t.k.target.dbs = one;
    t.target2.dbs = other;
    two_only(&t, BLOCKER_TARGET_NOT_EMPTY, "the target has 5 keys");
    /* What is ours does not count. */
    ck_assert_int_eq(state_own_target(t.k.state, t.k.config->target.url.text, "redis://t:1", &t.k.target.id),
                     0);
    ck_assert_int_eq(interlocks_owner(t.k.config, t.k.state, &t.k.target), OWNER_US);
    ck_assert_int_eq(interlocks_owner(t.k.config, t.k.state, &t.target2), OWNER_SUSPECT);
    two_only(&t, 0, NULL);
    snprintf(t.k.state->target_owned.url, sizeof(t.k.state->target_owned.url), "redis://another:1");
    two_only(&t, BLOCKER_TARGET_NOT_EMPTY, "the target has 3 keys");
    kit_free(&t.k);
}
END_TEST

static void set_databases(struct kit *k, const char *value)
{
    struct config_errors errors = {0};
    ck_assert_int_eq(config_set(k->config, "databases", value, "--databases", &errors), 0);
    ck_assert_int_eq(config_check(k->config, &errors), 0);
}

/* It would refuse to be asked for more, again and again. */
START_TEST(test_databases_that_a_cluster_has_not)
{
    struct two t;

    two_make(&t, "refuse");
    t.k.source.id.cluster = t.source2.id.cluster = true;
    t.k.source.databases = t.source2.databases = 1;
    set_databases(&t.k, "0");
    two_only(&t, 0, NULL);
    set_databases(&t.k, "0,3");
    two_only(&t, BLOCKER_DATABASE_MISSING,
             "database 3 is to be copied, and the source's redis://s:1, a cluster,");
    t.k.source.databases = t.source2.databases = 0; /* not known */
    two_only(&t, 0, NULL);
    t.k.source.databases = t.source2.databases = 16; /* cluster-databases of Valkey 9 */
    two_only(&t, 0, NULL);
    t.k.source.databases = t.source2.databases = 1;
    t.k.source.id.cluster = t.source2.id.cluster = false;
    two_only(&t, 0, NULL);
    kit_free(&t.k);
}
END_TEST

/* A cluster has one, unless it tells of more; the one that is named goes into it. */
START_TEST(test_databases_into_a_cluster)
{
    struct watch_db dbs[] = {{.db = 0, .keys = 1}, {.db = 3, .keys = 1}}, own[] = {{.db = 0, .keys = 9}};
    struct two t;

    two_make(&t, "refuse");
    t.source2.ndbs = 2;
    t.source2.dbs = dbs;
    two_only(&t, BLOCKER_DATABASE_MISSING, "the source's redis://s:2 has keys in database 3, the target's");
    ck_assert(strstr(t.k.found[0].message, "has 1 database"));
    ck_assert_int_eq(interlocks_into_db(t.k.config, &t.k.target), URL_DB_NONE);
    set_databases(&t.k, "3");
    two_only(&t, 0, NULL);
    ck_assert_int_eq(interlocks_into_db(t.k.config, &t.k.target), 0);
    t.k.target.ndbs = 1;
    t.k.target.dbs = own;
    ck_assert_uint_eq(interlocks_target_keys(t.k.config, &t.k.target), 9);
    t.k.target.ndbs = 0;
    set_databases(&t.k, "0,3");
    two_only(&t, BLOCKER_DATABASE_MISSING, "database 3");
    t.k.target.databases = t.target2.databases = 16; /* cluster-databases of Valkey 9 */
    two_only(&t, 0, NULL);
    set_databases(&t.k, "3");
    ck_assert_int_eq(interlocks_into_db(t.k.config, &t.k.target), URL_DB_NONE);
    kit_free(&t.k);
}
END_TEST

UNIT_MAIN("daemon/interlocks", test_two_fresh_servers_may_be_linked, test_same_server_is_told_by_run_id,
          test_replicas_of_each_other, test_target_that_is_somebodys_replica, test_target_with_keys,
          test_a_node_of_a_cluster_is_no_server, test_only_the_databases_of_the_link_count,
          test_target_that_is_ours_may_have_keys, test_version_names_both,
          test_databases_eviction_and_another_riotd, test_shrunk_is_under_half,
          test_of_several_the_one_is_named, test_keys_of_several_are_added_up, test_databases_into_a_cluster,
          test_databases_that_a_cluster_has_not)
