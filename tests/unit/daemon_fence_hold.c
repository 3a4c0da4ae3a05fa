#include "tests/unit/daemon_fence_kit.h"

static void begin(struct real *s)
{
    serve(s, NULL);
    kit_begin(s);
    probe();
    stage(STAGE_PAUSING);
    FINE(fence_pause, 3000, 0);
    stage(STAGE_FENCING);
    FINE(fence_set, FENCE_HOLD);
    FINE(fence_prove);
    FINE(fence_read);
    struct state_cutover *c = record();
    c->nodes[0].write_calls = fence_sample(kit.fence)->write_calls;
    c->lease_ms = 60000;
    stage(STAGE_COMMITTED);
    FINE(fence_release, 60000);
    ck_assert(fence_is_paused(kit.fence));
    fence_watch(kit.fence, true);
}

static void end(struct real *s)
{
    kit_end();
    stop_serving(s);
}

static bool is_closed(struct real *c)
{
    char text[512];
    struct timeval t = {.tv_sec = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    return read(c->fd, text, sizeof(text)) == 0;
}

START_TEST(what_waited_does_not_run)
{
    struct real s, one;
    char text[2048];
    begin(&s);
    serve_replica(&one, &s);
    struct real w = another(&s), sub = another(&s), link = another(&s);
    send_only(&w, "HELLO 3");
    send_only(&w, "SUBSCRIBE x");
    while (hears(&w, 100, text, sizeof(text)))
        continue;
    send_only(&w, "SET a 1"); /* of a subscriber: RESP3 allows it */
    real_ask(&sub, "SUBSCRIBE x");
    real_ask(&link, "CLIENT SETNAME riotd:x:0123abcd:read");
    ck_assert(!hears(&w, 100, text, sizeof(text)));
    fence_watch(kit.fence, false);
    kit.err = NEVER;
    fence_end_hold(kit.fence, false, kit_answer, NULL);
    pass(500);
    ck_assert(is_closed(&w));
    ck_assert(is_closed(&sub));
    ck_assert_str_eq(real_ask(&link, "PING"), "PONG");
    ck_assert_int_eq(answer(), 0);
    ck_assert(!fence_is_paused(kit.fence));
    ck_assert_uint_eq(kit.lost, 0);
    struct real r = another(&s);
    ck_assert_str_eq(real_ask(&r, "EXISTS a"), "0");
    ck_assert_ptr_nonnull(strstr(real_ask(&r, "INFO replication"), "connected_slaves:1"));
    ck_assert_str_eq(real_ask(&r, "SET a 1"), "OK");
    close(r.fd);
    close(w.fd);
    close(sub.fd);
    close(link.fd);
    end(&s);
    stop_serving(&one);
}
END_TEST

/* An application that connects again and writes. */
static pid_t stubborn(const struct real *s)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        struct real c = *s;
        char text[64];
        if (real_connect(&c)) {
            send_only(&c, "CLIENT SETNAME stubborn");
            send_only(&c, "SET a 1");
            while (read(c.fd, text, sizeof(text)) > 0)
                continue;
            close(c.fd);
        }
        usleep(50000);
    }
}

START_TEST(who_comes_back_is_named)
{
    struct real s;
    begin(&s);
    fence_watch(kit.fence, false);
    pid_t app = stubborn(&s);
    ck_assert_int_eq(STEP(fence_end_hold, false), -EBUSY);
    ck_assert_msg(strstr(kit.why, "name \"stubborn\"") != NULL, "%s", kit.why);
    ck_assert(fence_is_paused(kit.fence));
    ck_assert_uint_eq(kit.lost, 0);
    FINE(fence_end_hold, true);
    ck_assert(!fence_is_paused(kit.fence));
    ck_assert_uint_eq(kit.lost, 1);
    ck_assert_uint_ge(kit.lost_writes, 1);
    kill(app, SIGKILL);
    waitpid(app, NULL, 0);
    end(&s);
}
END_TEST

START_TEST(a_sentinel_forbids_it)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    ck_assert(probe()->kinds[FENCE_HOLD].allowed);
    real_ask(&s, "CLIENT SETNAME sentinel-2f8c-cmd");
    ck_assert_uint_eq(probe()->sentinels, 1);
    ck_assert(!probe()->kinds[FENCE_HOLD].allowed);
    ck_assert(probe()->kinds[FENCE_ACL].allowed);
    end(&s);
}
END_TEST

/* The commit stands on this pause alone: it is as long as a hold's before the commit, and beyond the bound.
 */
START_TEST(the_lease_of_a_hold_comes_before_the_commit)
{
    struct real s;
    char text[256];
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    stage(STAGE_PAUSING);
    FINE(fence_pause, 500, 800);
    record()->stage = STAGE_FENCING;
    fence_hold_lease(kit.fence, 60000);
    FINE(fence_set, FENCE_HOLD);
    ck_assert_uint_gt(fence_lease_left_us(kit.fence), 50000000);
    struct real w = another(&s);
    send_only(&w, "SET a 1");
    kit_restart();
    ck_assert_int_eq(record()->stage, STAGE_FENCING);
    ck_assert_uint_eq(record()->lease_ms, 60000);
    ck_assert(!hears(&w, 1200, text, sizeof(text)));
    FINE(fence_lift);
    ck_assert(hears(&w, 3000, text, sizeof(text)));
    ck_assert_str_eq(text, "+OK\r\n");
    close(w.fd);
    end(&s);
}
END_TEST

START_TEST(a_hold_does_not_pause_anew_what_ran_out)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    stage(STAGE_PAUSING);
    FINE(fence_pause, 300, 300);
    ck_assert(until(is_counted, &kit.lapsed, 5000));
    fence_hold_lease(kit.fence, 60000);
    ck_assert_int_eq(STEP(fence_set, FENCE_HOLD), -ETIMEDOUT);
    ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
    end(&s);
}
END_TEST

UNIT_MAIN("daemon/fence_hold", the_lease_of_a_hold_comes_before_the_commit,
          a_hold_does_not_pause_anew_what_ran_out, what_waited_does_not_run, who_comes_back_is_named,
          a_sentinel_forbids_it)
