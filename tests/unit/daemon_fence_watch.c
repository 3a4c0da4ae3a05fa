#include "tests/unit/daemon_fence_kit.h"

static bool may(struct real *s, const char *user)
{
    return strcmp(real_ask(s, "ACL DRYRUN %s SET a 1", user), "OK") == 0;
}

static const char *setting(struct real *s, const char *name)
{
    static char value[64];
    const struct reply *r =
        real_request(s, 3, (struct bytes[]){BYTES("CONFIG"), BYTES("GET"), bytes_str(name)});
    snprintf(value, sizeof(value), "%s", r->at[1]->text.ptr);
    return value;
}

static bool is_held(void *arg)
{
    (void)arg;
    return fence_is_held(kit.fence);
}

/* As the cutover does. */
static void commit(enum fence_kind kind)
{
    stage(STAGE_PAUSING);
    FINE(fence_pause, 3000, 0);
    stage(STAGE_FENCING);
    FINE(fence_set, kind);
    FINE(fence_prove);
    FINE(fence_read);
    const struct watch_sample *s = fence_sample(kit.fence);
    ck_assert(s->has_stats);
    struct state_cutover *c = record();
    c->nodes[0].write_calls = s->write_calls;
    c->lease_ms = kind == FENCE_HOLD ? 2000 : 0;
    stage(STAGE_COMMITTED);
    FINE(fence_release, 2000);
    fence_watch(kit.fence, true);
    ck_assert(until(is_held, NULL, 5000));
    ck_assert_uint_eq(kit.lost, 0);
}

static void begin(struct real *s)
{
    serve(s, NULL);
    ck_assert_str_eq(real_ask(s, "ACL SETUSER app on >one ~* +@all"), "OK");
    kit_begin(s);
    probe();
}

static void end(struct real *s)
{
    kit_end();
    stop_serving(s);
}

static void restart(struct real *s)
{
    real_kill(s);
    real_start(s);
}

/* Its users are those of its configuration again. */
START_TEST(a_source_that_restarts_is_fenced_again)
{
    static const enum fence_kind kinds[] = {FENCE_ACL, FENCE_MIN_REPLICAS, FENCE_HOLD};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct real s;
        begin(&s);
        for (unsigned writes = 0; writes < 10; writes++)
            real_ask(&s, "SET a 0");
        commit(kinds[i]);
        pass(1500);
        ck_assert_uint_eq(kit.lost, 0);
        real_kill(&s);
        pass(i == 0 ? 3500 : 700); /* tries that fail, less and less often */
        real_start(&s);
        ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
        ck_assert_str_eq(real_ask(&s, "SET b 1"), "OK");
        ck_assert_str_eq(real_ask(&s, "GET b"), "1");
        uint64_t begun = clock_mono_us();
        ck_assert(until(is_counted, &kit.lost, 5000));
        ck_assert_uint_lt(clock_mono_us() - begun, 2000000);
        ck_assert_uint_eq(kit.lost_writes, 2);
        ck_assert(until(is_counted, &kit.again, 3000));
        ck_assert(fence_is_held(kit.fence));
        if (kinds[i] == FENCE_HOLD)
            ck_assert(fence_is_paused(kit.fence));
        else
            ck_assert_str_ne(real_ask(&s, "SET c 1"), "OK");
        pass(1500);
        ck_assert_uint_eq(kit.lost, 1);
        ck_assert_uint_eq(kit.again, 1);
        ck_assert_uint_eq(kit.lapsed, 0);
        fence_watch(kit.fence, false);
        FINE(fence_lift);
        ck_assert_str_eq(real_ask(&s, "SET c 1"), "OK");
        end(&s);
    }
}
END_TEST

START_TEST(a_user_that_is_let_in_is_fenced_again)
{
    struct real s;
    begin(&s);
    char was[1024];
    commit(FENCE_ACL);
    struct state_node *n = &record()->nodes[0];
    size_t nsettings = n->nsettings;
    snprintf(was, sizeof(was), "%s", state_setting_find(n, BYTES("app"))->before);
    real_ask(&s, "ACL SETUSER app +@write");
    ck_assert(may(&s, "app"));
    ck_assert(until(is_counted, &kit.lost, 3000));
    ck_assert(!may(&s, "app"));
    ck_assert_ptr_nonnull(strstr(kit.lost_what, "users could write: app"));
    ck_assert_uint_eq(kit.lost_writes, 0);
    ck_assert(until(is_counted, &kit.again, 3000));
    n = &record()->nodes[0];
    ck_assert_str_eq(state_setting_find(n, BYTES("app"))->before, was);
    ck_assert_uint_eq(n->nsettings, nsettings);
    /* A new one. */
    kit.lost = 0;
    real_ask(&s, "ACL SETUSER late on >x ~* +@all");
    ck_assert(until(is_counted, &kit.lost, 3000));
    ck_assert(!may(&s, "late"));
    /* What leaves them fenced is nobody's concern. */
    kit.lost = 0;
    real_ask(&s, "ACL SETUSER app >two -get");
    real_ask(&s, "ACL SETUSER reader on >x ~* +@read");
    pass(2200);
    ck_assert_uint_eq(kit.lost, 0);
    ck_assert_ptr_null(state_setting_find(&record()->nodes[0], BYTES("reader")));
    fence_watch(kit.fence, false);
    ck_assert_int_eq(STEP(fence_lift), -EEXIST);
    ck_assert_ptr_nonnull(strstr(kit.why, "the user app "));
    ck_assert_ptr_null(strstr(kit.why, "late"));
    ck_assert(may(&s, "late"));
    ck_assert(!may(&s, "app"));
    end(&s);
}
END_TEST

START_TEST(settings_are_set_again)
{
    struct real s;
    begin(&s);
    commit(FENCE_MIN_REPLICAS);
    real_ask(&s, "CONFIG SET min-replicas-max-lag 0");
    real_ask(&s, "SET a 1");
    ck_assert(until(is_counted, &kit.lost, 3000));
    ck_assert_uint_eq(kit.lost_writes, 1);
    ck_assert(until(is_counted, &kit.again, 3000));
    ck_assert_str_eq(setting(&s, "min-replicas-max-lag"), "10");
    fence_watch(kit.fence, false);
    FINE(fence_lift);
    ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "0");
    end(&s);
}
END_TEST

/* What an admin sets after the commit is fenced; but it is what an undo puts back, and no more than that. */
START_TEST(what_is_set_after_the_commit_is_put_back)
{
    struct real s;
    begin(&s);
    commit(FENCE_ACL);
    real_ask(&s, "ACL SETUSER app -@all +get +set");
    ck_assert(until(is_counted, &kit.again, 5000));
    ck_assert(!may(&s, "app"));
    fence_watch(kit.fence, false);
    FINE(fence_lift);
    ck_assert(may(&s, "app"));
    struct real app = another(&s);
    real_ask(&app, "AUTH app one");
    ck_assert_str_eq(real_ask(&app, "SET a 1"), "OK");
    ck_assert_ptr_nonnull(strstr(real_ask(&app, "DEL a"), "NOPERM"));
    close(app.fd);
    end(&s);
}
END_TEST

START_TEST(settings_that_are_set_after_the_commit_are_put_back)
{
    struct real s;
    begin(&s);
    commit(FENCE_MIN_REPLICAS);
    real_ask(&s, "CONFIG SET min-replicas-to-write 1");
    ck_assert(until(is_counted, &kit.again, 5000));
    ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "2147483647");
    fence_watch(kit.fence, false);
    FINE(fence_lift);
    ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "1");
    ck_assert_str_eq(setting(&s, "min-replicas-max-lag"), "10");
    end(&s);
}
END_TEST

/* riotd was killed after the commit, and the source restarted meanwhile. */
START_TEST(what_slipped_in_while_riotd_was_away_is_told)
{
    struct real s;
    begin(&s);
    commit(FENCE_ACL);
    kit.fence = fence_free(kit.fence);
    restart(&s);
    real_ask(&s, "SET a 1");
    kit_restart();
    fence_watch(kit.fence, true);
    ck_assert(until(is_counted, &kit.lost, 3000));
    ck_assert_uint_eq(kit.lost_writes, 1);
    ck_assert(until(is_held, NULL, 3000));
    ck_assert_str_ne(real_ask(&s, "SET a 1"), "OK");
    end(&s);
}
END_TEST

START_TEST(a_hold_that_ended_while_riotd_was_away_is_told)
{
    struct real s;
    begin(&s);
    commit(FENCE_HOLD);
    kit.fence = fence_free(kit.fence);
    ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK"); /* it waits for the end of the lease */
    kit_restart();
    FINE(fence_release, 2000);
    fence_watch(kit.fence, true);
    ck_assert(until(is_counted, &kit.lost, 3000));
    ck_assert_uint_eq(kit.lost_writes, 1);
    ck_assert(until(is_held, NULL, 3000));
    end(&s);
}
END_TEST

START_TEST(a_source_that_does_not_answer_is_told)
{
    struct real s;
    begin(&s);
    commit(FENCE_ACL);
    real_kill(&s);
    ck_assert(until(is_counted, &kit.unwatched, 6000));
    ck_assert_uint_eq(kit.watched, 0);
    real_start(&s);
    ck_assert(until(is_counted, &kit.watched, 3000));
    end(&s);
}
END_TEST

static bool has_three(void *arg)
{
    (void)arg;
    return record()->nnodes == 3 && record()->nodes[2].nsettings > 0 &&
           record()->nodes[2].settings[0].after[0] && fence_is_held(kit.fence);
}

START_TEST(replicas_are_fenced_and_new_ones_too)
{
    static const enum fence_kind kinds[] = {FENCE_ACL, FENCE_MIN_REPLICAS};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct real s, one, two;
        serve(&s, NULL);
        serve_replica(&one, &s);
        kit_begin(&s);
        const struct fence_report *r = probe();
        ck_assert_uint_eq(r->nnodes, 2);
        ck_assert(r->nodes[1].reached && !r->nodes[1].primary);
        ck_assert_msg(r->kinds[kinds[i]].allowed, "%s", r->kinds[kinds[i]].why_not);
        commit(kinds[i]);
        ck_assert_uint_eq(record()->nnodes, 2);
        real_ask(&one, "REPLICAOF NO ONE");
        ck_assert_str_ne(real_ask(&one, "SET a 1"), "OK");
        serve_replica(&two, &s);
        ck_assert(until(has_three, NULL, 5000));
        real_ask(&two, "REPLICAOF NO ONE");
        ck_assert_str_ne(real_ask(&two, "SET a 1"), "OK");
        ck_assert_uint_eq(kit.lost, 0);
        fence_watch(kit.fence, false);
        FINE(fence_lift);
        ck_assert_str_eq(real_ask(&one, "SET a 1"), "OK");
        ck_assert_str_eq(real_ask(&two, "SET a 1"), "OK");
        ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
        end(&s);
        stop_serving(&one);
        stop_serving(&two);
    }
}
END_TEST

static bool is_gone(void *arg)
{
    struct real *s = arg;
    return strstr(real_ask(s, "INFO replication"), "connected_slaves:0") != NULL;
}

static bool is_one(void *arg)
{
    struct real *s = arg;
    return strstr(real_ask(s, "INFO replication"), "connected_slaves:1") != NULL;
}

static bool is_linked(void *arg)
{
    struct real *s = arg;
    return strstr(real_ask(s, "INFO replication"), "master_link_status:up") != NULL;
}

START_TEST(other_replicas_unprove_it)
{
    struct real s, one, two;
    serve(&s, NULL);
    serve_replica(&one, &s);
    kit_begin(&s);
    probe();
    stage(STAGE_FENCING);
    FINE(fence_pause, 10000, 0);
    FINE(fence_set, FENCE_ACL);
    FINE(fence_prove);
    serve_replica(&two, &s);
    ck_assert_int_eq(STEP(fence_prove), -ESTALE);
    ck_assert_ptr_nonnull(strstr(kit.why, "replicas"));
    /* As many as before, and not the same; the one that was fenced is as it was. */
    real_ask(&one, "REPLICAOF 127.0.0.1 %u", two.port);
    ck_assert(until(is_one, &s, 5000));
    ck_assert(until(is_linked, &one, 10000));
    ck_assert_int_eq(STEP(fence_prove), -ESTALE);
    real_ask(&one, "REPLICAOF NO ONE");
    stop_serving(&two);
    ck_assert(until(is_gone, &s, 5000));
    ck_assert_int_eq(STEP(fence_prove), -ESTALE);
    FINE(fence_lift);
    ck_assert_str_eq(real_ask(&one, "SET a 1"), "OK");
    end(&s);
    stop_serving(&one);
}
END_TEST

START_TEST(a_replica_with_replicas_forbids_it)
{
    struct real s, one, below;
    begin(&s);
    serve_replica(&one, &s);
    ck_assert(probe()->kinds[FENCE_ACL].allowed);
    serve_replica(&below, &one);
    const struct fence_report *r = probe();
    ck_assert(!r->kinds[FENCE_ACL].allowed);
    ck_assert(!r->kinds[FENCE_MIN_REPLICAS].allowed);
    ck_assert_ptr_nonnull(strstr(r->kinds[FENCE_ACL].why_not, "has replicas of its own"));
    end(&s);
    stop_serving(&below);
    stop_serving(&one);
}
END_TEST

START_TEST(a_replica_that_cannot_be_reached_forbids_it)
{
    struct real s, one;
    serve(&s, NULL);
    serve_replica(&one, &s);
    real_ask(&one, "ACL SETUSER riotd off");
    kit_begin(&s);
    const struct fence_report *r = probe();
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u: ", one.port);
    ck_assert(!r->nodes[1].reached);
    ck_assert(!r->kinds[FENCE_ACL].allowed && !r->kinds[FENCE_MIN_REPLICAS].allowed);
    ck_assert_ptr_nonnull(strstr(r->kinds[FENCE_ACL].why_not, address));
    ck_assert_ptr_nonnull(strstr(r->kinds[FENCE_ACL].why_not, "WRONGPASS"));
    ck_assert(r->kinds[FENCE_HOLD].allowed);
    ck_assert_int_eq(r->chosen, FENCE_HOLD);
    end(&s);
    stop_serving(&one);
}
END_TEST

/* No Redis, but something that replicates. */
START_TEST(what_only_replicates_forbids_it)
{
    struct real s;
    char text[512];
    serve(&s, NULL);
    kit_begin(&s);
    struct real tool = another(&s);
    ck_assert_str_eq(real_ask(&tool, "REPLCONF capa eof capa psync2"), "OK");
    send_only(&tool, "PSYNC ? -1");
    ck_assert(hears(&tool, 3000, text, sizeof(text)));
    unsigned tries = 0;
    while (strstr(real_ask(&s, "INFO replication"), "connected_slaves:0")) {
        ck_assert_msg(tries++ < 500, "%s; %s", text, real_ask(&s, "INFO replication"));
        usleep(10000);
    }
    const struct fence_report *r = probe();
    ck_assert(!r->kinds[FENCE_ACL].allowed);
    ck_assert_ptr_nonnull(strstr(r->kinds[FENCE_ACL].why_not, "1 replica"));
    close(tool.fd);
    end(&s);
}
END_TEST

/* The primary's writers do not wait for it. */
START_TEST(a_replica_that_is_gone_keeps_nobody_waiting)
{
    struct real s, one;
    serve(&s, NULL);
    serve_replica(&one, &s);
    kit_begin(&s);
    probe();
    stage(STAGE_PAUSING);
    FINE(fence_pause, 60000, 0);
    stage(STAGE_FENCING);
    FINE(fence_set, FENCE_ACL);
    kill(one.pid, SIGSTOP);
    stage(STAGE_UNDOING);
    kit.err = NEVER;
    fence_lift(kit.fence, kit_answer, NULL);
    struct real w = another(&s);
    char text[128] = "";
    uint64_t begun = clock_mono_us();
    while (clock_mono_us() - begun < 3000000 && strcmp(text, "+OK\r\n") != 0) {
        send_only(&w, "SET a 1");
        do
            pass(20);
        while (!hears(&w, 1, text, sizeof(text)));
    }
    ck_assert_str_eq(text, "+OK\r\n");
    ck_assert_int_eq(kit.err, NEVER);
    ck_assert_int_eq(answer(), -EHOSTUNREACH);
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", one.port);
    ck_assert_ptr_nonnull(strstr(kit.why, address));
    ck_assert_uint_eq(record()->nnodes, 1);
    kill(one.pid, SIGCONT);
    ck_assert(until(is_counted, &kit.lifted, 10000));
    ck_assert_int_eq(kit.lifted_err, 0);
    ck_assert_uint_eq(record()->nnodes, 0);
    real_ask(&one, "REPLICAOF NO ONE");
    ck_assert_str_eq(real_ask(&one, "SET a 1"), "OK");
    close(w.fd);
    end(&s);
    stop_serving(&one);
}
END_TEST

UNIT_MAIN("daemon/fence_watch", a_source_that_restarts_is_fenced_again, a_user_that_is_let_in_is_fenced_again,
          what_is_set_after_the_commit_is_put_back, settings_that_are_set_after_the_commit_are_put_back,
          settings_are_set_again, what_slipped_in_while_riotd_was_away_is_told,
          a_hold_that_ended_while_riotd_was_away_is_told, a_source_that_does_not_answer_is_told,
          replicas_are_fenced_and_new_ones_too, other_replicas_unprove_it, a_replica_with_replicas_forbids_it,
          a_replica_that_cannot_be_reached_forbids_it, what_only_replicates_forbids_it,
          a_replica_that_is_gone_keeps_nobody_waiting)
