/* The fences of a real cluster: two primaries, and a replica of the first. */
#include "tests/unit/daemon_fence_kit.h"

#include "daemon/fences.h"

#define OF_A "b" /* a key of each */
#define OF_B "a"

static struct real a, b, r;
static struct topology *topology;
static struct fences *fences;

#define ALL(step, ...)  (kit.err = NEVER, step(fences, ##__VA_ARGS__, kit_answer, NULL), answer())
#define WELL(step, ...) ck_assert_msg(ALL(step, ##__VA_ARGS__) == 0, #step ": %s", kit.why)

static void wait_for(struct real *s, const char *command, const char *text, size_t times)
{
    for (unsigned tries = 0; tries < 2000; tries++) {
        size_t found = 0;
        for (const char *at = real_ask(s, "%s", command); (at = strstr(at, text)); at++)
            found++;
        if (found == times)
            return;
        usleep(10000);
    }
    ck_abort_msg("%s does not show %s: %s", command, text, real_ask(s, "%s", command));
}

static void serve_node(struct real *s)
{
    serve(s, (const char *const[]){"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", NULL});
    ck_assert_str_eq(real_ask(s, "ACL SETUSER app on >one ~* +@all"), "OK");
}

static const char *id_of(struct real *s)
{
    static char id[64];
    snprintf(id, sizeof(id), "%s", real_ask(s, "CLUSTER MYID"));
    return id;
}

static void serve_cluster(void)
{
    struct real *const all[] = {&a, &b, &r};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        serve_node(all[i]);
    real_ask(&a, "CLUSTER SET-CONFIG-EPOCH 1");
    real_ask(&b, "CLUSTER SET-CONFIG-EPOCH 2");
    ck_assert_str_eq(real_ask(&a, "CLUSTER ADDSLOTSRANGE 0 8191"), "OK");
    ck_assert_str_eq(real_ask(&b, "CLUSTER ADDSLOTSRANGE 8192 16383"), "OK");
    for (size_t i = 1; i < ARRAY_LEN(all); i++)
        ck_assert_str_eq(real_ask(&a, "CLUSTER MEET 127.0.0.1 %u", all[i]->port), "OK");
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        wait_for(all[i], "CLUSTER NODES", " connected", 3);
    ck_assert_str_eq(real_ask(&r, "CLUSTER REPLICATE %s", id_of(&a)), "OK");
    wait_for(&a, "INFO replication", "state=online", 1);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        wait_for(all[i], "CLUSTER INFO", "cluster_state:ok", 1);
        wait_for(all[i], "CLUSTER NODES", "slave", 1);
    }
}

static void open_fences(void)
{
    static const struct fence_events events = {.lapsed = kit_lapsed,
                                               .lost = kit_lost,
                                               .again = kit_again,
                                               .unwatched = kit_unwatched,
                                               .lifted = kit_lifted};
    const struct fences_options opt = {
        .source = &kit.source, .topology = topology, .state = kit.state, .log = kit.log};
    ck_assert_int_eq(fences_new(kit.loop, &opt, &events, NULL, &fences), 0);
}

static bool is_known(void *arg)
{
    const struct topology_map *map = topology_map(topology);
    (void)arg;
    return map && map->nshards == 2 && map->shards[0].nreplicas + map->shards[1].nreplicas == 1;
}

static void begin(void)
{
    serve_cluster();
    kit_begin(&a);
    kit.fence = fence_free(kit.fence);
    const struct topology_options opt = {.endpoint = &kit.source};
    ck_assert_int_eq(topology_new(kit.loop, &opt, &topology), 0);
    topology_want(topology, true);
    ck_assert(until(is_known, NULL, 10000));
    open_fences();
    ck_assert_uint_eq(fences_count(fences), 2);
}

static void end(void)
{
    fences = fences_free(fences);
    topology_want(topology, false);
    topology_free(topology);
    kit_end();
    stop_serving(&a);
    stop_serving(&b);
    stop_serving(&r);
}

static bool may(struct real *s, const char *user)
{
    return strcmp(real_ask(s, "ACL DRYRUN %s SET a 1", user), "OK") == 0;
}

static bool all_may(bool yes)
{
    return may(&a, "app") == yes && may(&b, "app") == yes && may(&r, "app") == yes;
}

static bool is_held(void *arg)
{
    (void)arg;
    return fences_is_held(fences);
}

static void to_the_fence(enum fence_kind kind)
{
    WELL(fences_probe);
    stage(STAGE_PAUSING);
    ck_assert_int_eq(fences_note(fences), 0);
    WELL(fences_pause, 3000, 0);
    ck_assert(fences_is_paused(fences));
    stage(STAGE_FENCING);
    fences_hold_lease(fences, 2000);
    WELL(fences_set, kind);
}

static void commit(enum fence_kind kind)
{
    to_the_fence(kind);
    WELL(fences_prove);
    WELL(fences_read);
    for (size_t i = 0; i < fences_count(fences); i++)
        fences_note_commit(fences, i, fences_sample(fences, i)->write_calls);
    record()->lease_ms = kind == FENCE_HOLD ? 2000 : 0;
    stage(STAGE_COMMITTED);
    WELL(fences_release, 2000);
    fences_watch(fences, true);
    ck_assert(until(is_held, NULL, 5000));
    ck_assert_uint_eq(kit.lost, 0);
}

static void take_over(void)
{
    ck_assert_str_eq(real_ask(&r, "CLUSTER FAILOVER TAKEOVER"), "OK");
    wait_for(&r, "CLUSTER NODES", "myself,master", 1);
}

START_TEST(all_nodes_are_fenced_and_let_go)
{
    struct fence_report report;
    begin();
    to_the_fence(FENCE_ACL);
    fences_report(fences, &report);
    ck_assert_uint_eq(report.nnodes, 3);
    ck_assert_int_eq(report.chosen, FENCE_ACL);
    ck_assert(report.view.known);
    ck_assert(all_may(false));
    WELL(fences_prove);
    ck_assert_uint_eq(record()->nnodes, 3);
    stage(STAGE_UNDOING);
    WELL(fences_lift);
    ck_assert(all_may(true));
    ck_assert_uint_eq(record()->nnodes, 0);
    ck_assert_str_eq(real_ask(&a, "SET " OF_A " 1"), "OK");
    ck_assert_str_eq(real_ask(&b, "SET " OF_B " 1"), "OK");
    end();
}
END_TEST

/* What the other nodes need not know: only the two that are concerned are told. */
START_TEST(slots_that_move_refuse_it)
{
    char id[64];
    begin();
    snprintf(id, sizeof(id), "%s", id_of(&a));
    ck_assert_str_eq(real_ask(&b, "CLUSTER SETSLOT 5 IMPORTING %s", id), "OK");
    ck_assert_int_lt(ALL(fences_probe), 0);
    ck_assert_ptr_nonnull(strstr(kit.why, "slots are being moved"));
    real_ask(&b, "CLUSTER SETSLOT 5 STABLE");
    to_the_fence(FENCE_MIN_REPLICAS);
    ck_assert_str_eq(real_ask(&b, "CLUSTER SETSLOT 5 IMPORTING %s", id), "OK");
    ck_assert_int_eq(ALL(fences_prove), -ESTALE);
    ck_assert_ptr_nonnull(strstr(kit.why, "slots are being moved"));
    real_ask(&b, "CLUSTER SETSLOT 5 STABLE");
    WELL(fences_prove);
    ck_assert_str_eq(real_ask(&b, "CLUSTER SETSLOT 9000 NODE %s", id), "OK"); /* without a key in it */
    ck_assert_int_eq(ALL(fences_prove), -ESTALE);
    WELL(fences_lift);
    end();
}
END_TEST

START_TEST(a_failover_before_the_commit_is_seen_and_all_is_put_back)
{
    begin();
    to_the_fence(FENCE_ACL);
    take_over();
    ck_assert_int_lt(ALL(fences_prove), 0);
    stage(STAGE_UNDOING);
    WELL(fences_lift);
    ck_assert(all_may(true));
    ck_assert_str_eq(real_ask(&r, "SET " OF_A " 1"), "OK");
    ck_assert_str_eq(real_ask(&b, "SET " OF_B " 1"), "OK");
    end();
}
END_TEST

/* Its writers are the new one's: nobody waits for the dead. When it is back, it is put back too. */
START_TEST(a_primary_that_died_is_not_waited_for)
{
    begin();
    to_the_fence(FENCE_ACL);
    kill(a.pid, SIGSTOP);
    take_over();
    stage(STAGE_UNDOING);
    kit.err = NEVER;
    fences_lift(fences, kit_answer, NULL);
    ck_assert(until(is_answered, NULL, 30000)); /* the topology asks another node first */
    ck_assert_int_eq(kit.err, -EHOSTUNREACH);
    ck_assert(may(&b, "app") && may(&r, "app"));
    ck_assert_str_eq(real_ask(&r, "SET " OF_A " 1"), "OK");
    ck_assert_uint_eq(record()->nnodes, 1);
    kill(a.pid, SIGCONT);
    ck_assert(until(is_counted, &kit.lifted, 20000));
    ck_assert_int_eq(kit.lifted_err, 0);
    ck_assert(all_may(true));
    end();
}
END_TEST

static bool is_promoted(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < fences_count(fences); i++)
        if (fences_endpoint(fences, i)->url.port == r.port)
            return true;
    return false;
}

START_TEST(after_the_commit_the_watch_follows_a_failover)
{
    begin();
    commit(FENCE_ACL);
    take_over();
    ck_assert(until(is_promoted, NULL, 10000));
    ck_assert(until(is_held, NULL, 10000));
    ck_assert_uint_eq(fences_count(fences), 2);
    pass(2500);
    ck_assert_uint_eq(kit.lost, 0); /* it was fenced as a replica */
    ck_assert(all_may(false));
    ck_assert(fences_is_held(fences));
    real_ask(&r, "ACL SETUSER app +@write");
    ck_assert(until(is_counted, &kit.lost, 5000));
    ck_assert(until(is_counted, &kit.again, 5000));
    ck_assert(all_may(false));
    fences_watch(fences, false);
    WELL(fences_lift);
    ck_assert(all_may(true));
    end();
}
END_TEST

START_TEST(a_hold_goes_on_at_the_new_primary)
{
    char text[64];
    begin();
    commit(FENCE_HOLD);
    take_over();
    ck_assert(until(is_counted, &kit.lost, 10000));
    ck_assert_uint_eq(kit.lost_writes, WATCH_UNKNOWN);
    ck_assert(until(is_counted, &kit.again, 10000));
    struct real client = another(&r);
    send_only(&client, "SET " OF_A " 1");
    pass(2500);
    ck_assert(!hears(&client, 1, text, sizeof(text)));
    ck_assert(fences_is_held(fences));
    close(client.fd);
    fences_watch(fences, false);
    WELL(fences_end_hold, true);
    close(b.fd);
    ck_assert(real_connect(&b)); /* all were killed */
    ck_assert_str_eq(real_ask(&b, "SET " OF_B " 1"), "OK");
    end();
}
END_TEST

static void restart(void)
{
    fences = fences_free(fences);
    kit.state = state_file_free(kit.state);
    state_open();
    open_fences();
}

START_TEST(after_a_crash_it_is_taken_up)
{
    begin();
    to_the_fence(FENCE_ACL);
    restart();
    ck_assert_uint_eq(fences_count(fences), 2);
    WELL(fences_lift);
    ck_assert(all_may(true));
    state_cutover_clear(record());
    commit(FENCE_ACL);
    restart();
    take_over();
    fences_watch(fences, true);
    ck_assert(until(is_promoted, NULL, 10000));
    ck_assert(until(is_held, NULL, 10000));
    ck_assert_uint_eq(kit.lost, 0);
    fences_watch(fences, false);
    WELL(fences_lift);
    ck_assert(all_may(true));
    end();
}
END_TEST

UNIT_MAIN("daemon/fences, of a cluster", all_nodes_are_fenced_and_let_go, slots_that_move_refuse_it,
          a_failover_before_the_commit_is_seen_and_all_is_put_back, a_primary_that_died_is_not_waited_for,
          after_the_commit_the_watch_follows_a_failover, a_hold_goes_on_at_the_new_primary,
          after_a_crash_it_is_taken_up)
