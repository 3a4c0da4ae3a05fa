#include "tests/unit/daemon_fence_kit.h"

START_TEST(a_probe_tells_and_changes_nothing)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    const struct fence_report *r = probe();
    ck_assert(r->can_pause);
    ck_assert(r->kinds[FENCE_MIN_REPLICAS].allowed);
    ck_assert(r->kinds[FENCE_HOLD].allowed);
    ck_assert(r->kinds[FENCE_NONE].allowed);
    ck_assert(r->kinds[FENCE_AUTO].allowed);
    ck_assert_uint_eq(r->nnodes, 1);
    ck_assert(r->nodes[0].primary && r->nodes[0].reached);
    ck_assert_int_eq(r->id.role, ROLE_PRIMARY);
    ck_assert_uint_eq(r->sentinels, 0);
    ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
    ck_assert_int_lt(labs((long)r->clock_skew_ms), 1000);
    kit_end();
    stop_serving(&s);
}
END_TEST

START_TEST(writes_wait_and_are_let_go)
{
    struct real s;
    char text[256];
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    struct real w = another(&s);
    FINE(fence_pause, 3000, 0);
    ck_assert(fence_is_paused(kit.fence));
    send_only(&w, "SET a 1");
    ck_assert(!hears(&w, 200, text, sizeof(text)));
    ck_assert_uint_ge(fence_paused_us(kit.fence), 200000);
    FINE(fence_prove);
    FINE(fence_unpause);
    ck_assert(!fence_is_paused(kit.fence));
    ck_assert(hears(&w, 5000, text, sizeof(text)));
    ck_assert_str_eq(text, "+OK\r\n");
    close(w.fd);
    kit_end();
    stop_serving(&s);
}
END_TEST

START_TEST(a_lease_is_renewed)
{
    struct real s;
    char text[256];
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    struct real w = another(&s);
    FINE(fence_pause, 300, 0);
    send_only(&w, "SET a 1");
    pass(1000);
    ck_assert(!hears(&w, 1, text, sizeof(text)));
    ck_assert(fence_is_paused(kit.fence));
    FINE(fence_prove);
    ck_assert_uint_eq(kit.lapsed, 0);
    kit.fence = fence_free(kit.fence);
    ck_assert(hears(&w, 400, text, sizeof(text)));
    close(w.fd);
    kit_end();
    stop_serving(&s);
}
END_TEST

START_TEST(a_bound_ends_it)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    uint64_t begun = clock_mono_us();
    FINE(fence_pause, 300, 700);
    ck_assert(until(is_counted, &kit.lapsed, 5000));
    uint64_t took = clock_mono_us() - begun;
    ck_assert_msg(took >= 690000 && took < 1200000, "%lu us: %s", took, kit.lapsed_why);
    ck_assert_ptr_nonnull(strstr(kit.lapsed_why, "bound"));
    ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
    ck_assert(!fence_is_paused(kit.fence));
    ck_assert_int_eq(STEP(fence_prove), -ETIMEDOUT);
    pass(100);
    ck_assert_uint_eq(kit.lapsed, 1);
    FINE(fence_lift);
    kit_end();
    stop_serving(&s);
}
END_TEST

/* A server that does not answer for longer than the lease: nobody knows whether it held. */
START_TEST(a_late_renewal_is_a_lapse)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    FINE(fence_pause, 300, 0);
    kill(s.pid, SIGSTOP);
    ck_assert(until(is_counted, &kit.lapsed, 5000));
    kill(s.pid, SIGCONT);
    ck_assert_int_eq(STEP(fence_prove), -ETIMEDOUT);
    FINE(fence_unpause);
    FINE(fence_pause, 300, 0);
    FINE(fence_prove);
    kit_end();
    stop_serving(&s);
}
END_TEST

START_TEST(min_replicas_are_set_and_put_back)
{
    struct real s;
    char text[256];
    serve(&s, NULL);
    ck_assert_str_eq(real_ask(&s, "CONFIG SET min-replicas-max-lag 0"), "OK");
    kit_begin(&s);
    probe();
    struct real w = another(&s);
    stage(STAGE_PAUSING);
    FINE(fence_pause, 3000, 0);
    send_only(&w, "SET a 1");
    ck_assert(!hears(&w, 50, text, sizeof(text)));
    stage(STAGE_FENCING);
    FINE(fence_set, FENCE_MIN_REPLICAS);
    FINE(fence_prove);
    /* What the pause had kept waiting is refused. */
    FINE(fence_release, 0);
    ck_assert(hears(&w, 3000, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "-NOREPLICAS"));
    ck_assert_ptr_nonnull(strstr(real_ask(&s, "EVAL return(redis.call('SET','a','1')) 0"), "NOREPLICAS"));
    FINE(fence_lift);
    ck_assert_uint_eq(record()->nnodes, 0);
    ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
    real_ask(&s, "CONFIG GET min-replicas-*");
    const struct reply *r =
        real_request(&s, 3, (struct bytes[]){BYTES("CONFIG"), BYTES("GET"), BYTES("min-replicas-max-lag")});
    ck_assert(bytes_is(r->at[1]->text, "0"));
    close(w.fd);
    kit_end();
    stop_serving(&s);
}
END_TEST

static const char *setting(struct real *s, const char *name)
{
    static char value[64];
    const struct reply *r =
        real_request(s, 3, (struct bytes[]){BYTES("CONFIG"), BYTES("GET"), bytes_str(name)});
    snprintf(value, sizeof(value), "%s", r->at[1]->text.ptr);
    return value;
}

/* The undo before the pause ends lets run what waited; the other order would refuse it. */
START_TEST(an_undo_takes_the_hard_fence_off_first)
{
    struct real s;
    char text[256];
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    struct real w = another(&s);
    stage(STAGE_PAUSING);
    FINE(fence_pause, 5000, 0);
    send_only(&w, "SET a 1");
    stage(STAGE_FENCING);
    FINE(fence_set, FENCE_MIN_REPLICAS);
    stage(STAGE_UNDOING);
    FINE(fence_lift);
    ck_assert(hears(&w, 3000, text, sizeof(text)));
    ck_assert_str_eq(text, "+OK\r\n");
    ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "0");
    ck_assert_str_eq(setting(&s, "min-replicas-max-lag"), "10");
    close(w.fd);
    kit_end();
    stop_serving(&s);
}
END_TEST

START_TEST(a_restart_puts_back_what_the_record_has)
{
    struct real s;
    char text[256];
    serve(&s, NULL);
    real_ask(&s, "CONFIG SET min-replicas-max-lag 33");
    kit_begin(&s);
    probe();
    struct real w = another(&s);
    stage(STAGE_PAUSING);
    FINE(fence_pause, 60000, 0);
    send_only(&w, "SET a 1");
    stage(STAGE_FENCING);
    FINE(fence_set, FENCE_MIN_REPLICAS);
    ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "2147483647");
    ck_assert_str_eq(setting(&s, "min-replicas-max-lag"), "33");
    kit_restart();
    FINE(fence_lift);
    ck_assert(hears(&w, 3000, text, sizeof(text)));
    ck_assert_str_eq(text, "+OK\r\n");
    ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "0");
    ck_assert_str_eq(setting(&s, "min-replicas-max-lag"), "33");
    close(w.fd);
    kit_end();
    stop_serving(&s);
}
END_TEST

/* The crash came after the change and before its reading back was written down. */
START_TEST(what_was_only_intended_is_put_back_too)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    stage(STAGE_FENCING);
    FINE(fence_set, FENCE_MIN_REPLICAS);
    struct state_node *n = &record()->nodes[0];
    for (size_t i = 0; i < n->nsettings; i++)
        ck_assert_int_eq(state_setting_after(&n->settings[i], BYTES("")), 0);
    ck_assert_int_eq(state_save(kit.state), 0);
    kit_restart();
    FINE(fence_lift);
    ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "0");
    kit_end();
    stop_serving(&s);
}
END_TEST

START_TEST(what_somebody_else_has_set_is_left_alone)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    stage(STAGE_FENCING);
    FINE(fence_set, FENCE_MIN_REPLICAS);
    real_ask(&s, "CONFIG SET min-replicas-to-write 2");
    ck_assert_int_eq(STEP(fence_prove), -EPERM);
    ck_assert_int_eq(STEP(fence_lift), -EEXIST);
    ck_assert_ptr_nonnull(strstr(kit.why, "min-replicas-to-write"));
    ck_assert_ptr_nonnull(strstr(kit.told, "fence_left_alone: min-replicas-to-write"));
    ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "2");
    kit_end();
    stop_serving(&s);
}
END_TEST

/* Reads are let through by a fence, scripts that do not end among them. */
static void undo_meets_a_busy_server(enum fence_kind kind)
{
    struct real s;
    serve(&s, NULL);
    real_ask(&s, "CONFIG SET lua-time-limit 1");
    kit_begin(&s);
    probe();
    stage(STAGE_FENCING);
    FINE(fence_set, kind);
    struct real busy = another(&s);
    send_only(&busy, "EVAL \"while true do end\" 0");
    stage(STAGE_UNDOING);
    kit.err = NEVER;
    while (!strstr(real_ask(&s, "PING"), "BUSY"))
        usleep(1000);
    fence_lift(kit.fence, kit_answer, NULL);
    pass(1200);
    ck_assert_int_eq(kit.err, NEVER);
    ck_assert_uint_eq(record()->nnodes, 1);
    ck_assert_uint_gt(record()->nodes[0].nsettings, 0);
    ck_assert_str_eq(real_ask(&s, "SCRIPT KILL"), "OK");
    ck_assert_int_eq(answer(), 0);
    ck_assert_uint_eq(record()->nnodes, 0);
    ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
    close(busy.fd);
    kit_end();
    stop_serving(&s);
}

START_TEST(an_undo_waits_for_a_busy_server)
{
    undo_meets_a_busy_server(FENCE_MIN_REPLICAS);
    undo_meets_a_busy_server(FENCE_ACL);
}
END_TEST

static bool is_refused(void *arg)
{
    (void)arg;
    return strstr(kit.told, "cannot be put back yet, and is tried again: EXECABORT") != NULL;
}

/* A right of riotd's that was taken away is no reason to forget what was there. */
START_TEST(an_undo_goes_on_until_it_may)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    stage(STAGE_FENCING);
    FINE(fence_set, FENCE_MIN_REPLICAS);
    real_ask(&s, "ACL SETUSER riotd -config|set");
    kit.err = NEVER;
    fence_lift(kit.fence, kit_answer, NULL);
    ck_assert_msg(until(is_refused, NULL, 3000), "%d %s; %s", kit.err, kit.why, kit.told);
    ck_assert_int_eq(kit.err, NEVER);
    ck_assert_uint_eq(record()->nnodes, 1);
    real_ask(&s, "ACL SETUSER riotd +config|set");
    ck_assert_int_eq(answer(), 0);
    ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "0");
    kit_end();
    stop_serving(&s);
}
END_TEST

START_TEST(an_undo_may_come_at_any_time)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    stage(STAGE_PAUSING);
    for (unsigned i = 0; i < 20; i++) {
        FINE(fence_pause, 5000, 0);
        record()->stage = STAGE_FENCING;
        kit.err = NEVER;
        fence_set(kit.fence, FENCE_MIN_REPLICAS, kit_answer, NULL);
        for (unsigned turn = 0; turn < i && kit.err == NEVER; turn++)
            pass(0);
        kit.err = NEVER;
        FINE(fence_lift);
        ck_assert_str_eq(setting(&s, "min-replicas-to-write"), "0");
        ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
    }
    kit_end();
    stop_serving(&s);
}
END_TEST

UNIT_MAIN("daemon/fence", a_probe_tells_and_changes_nothing, writes_wait_and_are_let_go, a_lease_is_renewed,
          a_bound_ends_it, a_late_renewal_is_a_lapse, min_replicas_are_set_and_put_back,
          an_undo_takes_the_hard_fence_off_first, a_restart_puts_back_what_the_record_has,
          what_was_only_intended_is_put_back_too, what_somebody_else_has_set_is_left_alone,
          an_undo_waits_for_a_busy_server, an_undo_goes_on_until_it_may, an_undo_may_come_at_any_time)
