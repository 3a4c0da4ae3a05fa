/* What a check makes of what it knows of a cluster. */
#include "tests/unit/preflight_kit.h"

/* Three primaries of the source; each test spoils one. */
static struct preflight_side shards[3];
static struct seen_server seen[3];
static struct preflight_node nodes[3];

static void make_cluster(void)
{
    static const char *const addresses[] = {"redis://a:1", "redis://b:1", "redis://c:1"};
    static const char *const run_ids[] = {"a1", "b1", "c1"};

    make_at("redis://a:1", "refuse", "auto");
    SOURCE->cluster = SOURCE->covered = true;
    SOURCE->replicas_known = 4;
    SOURCE->nseen = 3;
    SOURCE->seen = seen;
    for (size_t i = 0; i < 3; i++) {
        make_side(&shards[i], run_ids[i]);
        shards[i].probe.id.cluster = true;
        seen[i] = (struct seen_server){addresses[i], &shards[i].probe};
        nodes[i] = (struct preflight_node){addresses[i], &shards[i]};
    }
}

static void merge(void)
{
    free(SOURCE->probe.dbs);
    ck_assert_int_eq(preflight_merge(SOURCE, false, 3, nodes), 0);
}

static void cluster_done(void)
{
    free(SOURCE->probe.dbs);
    SOURCE->probe.dbs = NULL;
    done();
}

START_TEST(memory_for_so_many_shards)
{
    make_cluster();
    merge();
    k.config->limit_memory = MIB;
    only("memory", PREFLIGHT_WARNING,
         "limits.memory is 1.0 MiB; 3 shards of the source and 1 of the target need 1632KiB, and take it");
    k.config->limit_memory = 2 * MIB;
    only("memory", PREFLIGHT_OK, "limits.memory is 2.0 MiB");
    cluster_done();
}
END_TEST

START_TEST(a_cluster_that_is_well)
{
    struct watch_db first[] = {{.db = 0, .keys = 5}}, last[] = {{.db = 0, .keys = 7}, {.db = 2, .keys = 1}};

    make_cluster();
    shards[0].probe.dbs = first;
    shards[0].probe.ndbs = 1;
    shards[2].probe.dbs = last;
    shards[2].probe.ndbs = 2;
    merge();
    ck_assert_uint_eq(SOURCE->probe.ndbs, 2);
    ck_assert_uint_eq(SOURCE->probe.dbs[0].keys, 12);
    ck_assert_uint_eq(SOURCE->probe.dbs[1].keys, 1);
    ck_assert_uint_eq(SOURCE->dataset, 30 * MIB);
    ck_assert_uint_eq(SOURCE->maxmemory, 0);
    only("source_reachable", PREFLIGHT_OK, "a cluster of 3 shards and 4 replicas");
    only("slots", PREFLIGHT_OK, "none is moving");
    cluster_done();
}
END_TEST

START_TEST(one_node_of_a_cluster_is_named)
{
    make_cluster();
    shards[1].rights[MAY_DUMP] = RIGHT_DENIED;
    merge();
    only("rights_source", PREFLIGHT_ERROR, "DUMP on redis://b:1");
    shards[0].rights[MAY_DUMP] = shards[2].rights[MAY_DUMP] = RIGHT_MISSING;
    merge(); /* all of them */
    only("rights_source", PREFLIGHT_ERROR, "does not know DUMP.");
    cluster_done();
    make_cluster();
    shards[2].reached = false;
    snprintf(shards[2].why, sizeof(shards[2].why), "Connection refused");
    merge();
    look();
    ck_assert_int_eq(find("source_reachable")->level, PREFLIGHT_ERROR);
    ck_assert(strstr(find("source_reachable")->text, "redis://c:1: Connection refused"));
    cluster_done();
    make_cluster();
    shards[1].asked = false;
    merge();
    look();
    ck_assert(strstr(find("rights_source")->text, "not known: redis://b:1"));
    cluster_done();
}
END_TEST

START_TEST(slots_of_a_cluster)
{
    make_cluster();
    merge();
    SOURCE->moving = true;
    only("slots", PREFLIGHT_WARNING, "moving");
    SOURCE->covered = false;
    only("slots", PREFLIGHT_ERROR, "not every slot");
    SOURCE->covered = true;
    SOURCE->moving = false;
    snprintf(shards[1].probe.id.version, sizeof(shards[1].probe.id.version), "7.0.14");
    only("cluster_versions", PREFLIGHT_WARNING, "redis://b:1 is redis 7.0.14");
    cluster_done();
}
END_TEST

UNIT_MAIN("daemon/preflight, clusters", a_cluster_that_is_well, memory_for_so_many_shards,
          one_node_of_a_cluster_is_named, slots_of_a_cluster)
