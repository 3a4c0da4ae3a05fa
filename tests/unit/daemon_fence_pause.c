/* The lease, with a server whose clock and answers are scripted. */
#include <time.h>

#include "tests/unit/daemon_fence_kit.h"
#include "tests/unit/redis_fake.h"

static struct fake f;
static int64_t ahead_us;
static bool late; /* a renewal's answers are kept back */

static void tell_time(struct fake_client *k)
{
    char text[96];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + ahead_us;
    char seconds[24], micros[24];
    snprintf(seconds, sizeof(seconds), "%lld", (long long)(us / 1000000));
    snprintf(micros, sizeof(micros), "%lld", (long long)(us % 1000000));
    snprintf(text, sizeof(text), "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(seconds), seconds,
             strlen(micros), micros);
    fake_send(k, text);
}

static bool hook(struct fake_client *k, const char *line)
{
    if (late)
        return true;
    if (strcmp(line, "TIME") != 0)
        return false;
    tell_time(k);
    return true;
}

static void begin(const char *info)
{
    struct real none = {.port = 1};
    kit_begin(&none);
    kit.fence = fence_free(kit.fence);
    fake_init_in(&f, kit.loop, "");
    fake_rule(&f, "CLIENT PAUSE", "+OK\r\n");
    fake_rule(&f, "CLIENT UNPAUSE", "+OK\r\n");
    fake_bulk(&f, "INFO server", info);
    f.hook = hook;
    ahead_us = 0;
    late = false;
    kit.source = f.endpoint;
    kit.source.client[0] = '\0';
    strcpy(kit.source.client, "riotd:x:0123abcd");
    fence_open();
}

static void end(void)
{
    kit.fence = fence_free(kit.fence);
    fake_done(&f);
    kit_end();
}

START_TEST(a_clock_that_runs_ahead_is_a_lapse)
{
    begin(FAKE_INFO);
    FINE(fence_pause, 600, 0);
    pass(700);
    ck_assert_uint_eq(kit.lapsed, 0);
    ahead_us = 300000; /* less than the lease, and more than the way takes */
    ck_assert(until(is_counted, &kit.lapsed, 2000));
    ck_assert_ptr_nonnull(strstr(kit.lapsed_why, "ran ahead"));
    ck_assert(!fence_is_paused(kit.fence));
    FINE(fence_unpause);
    /* Back is no harm. */
    kit.lapsed = 0;
    FINE(fence_pause, 600, 0);
    ahead_us = 0;
    pass(700);
    ck_assert_uint_eq(kit.lapsed, 0);
    ck_assert(fence_is_paused(kit.fence));
    end();
}
END_TEST

START_TEST(a_renewal_that_comes_too_late_is_a_lapse)
{
    begin(FAKE_INFO);
    FINE(fence_pause, 300, 0);
    late = true;
    ck_assert(until(is_counted, &kit.lapsed, 2000));
    ck_assert_ptr_nonnull(strstr(kit.lapsed_why, "not renewed"));
    end();
}
END_TEST

START_TEST(a_restart_is_a_lapse)
{
    begin(FAKE_INFO);
    FINE(fence_pause, 5000, 0);
    fake_bulk(&f, "INFO server", "redis_version:7.0.15\r\nrun_id:bbbb\r\n");
    for (size_t i = 0; i < f.accepted; i++)
        fake_drop(&f.clients[i]);
    ck_assert(until(is_counted, &kit.lapsed, 2000));
    ck_assert_ptr_nonnull(strstr(kit.lapsed_why, "restarted"));
    end();
}
END_TEST

/* Refused until the bound has passed: a pause that came then would go beyond it. */
START_TEST(a_first_request_that_is_repeated_keeps_the_bound)
{
    begin(FAKE_INFO);
    pass(200); /* the connection is up */
    late = true;
    kit.err = NEVER;
    fence_pause(kit.fence, 600, 900, kit_answer, NULL);
    pass(700);
    late = false;
    for (size_t i = 0; i < f.accepted; i++)
        fake_drop(&f.clients[i]);
    if (answer() == 0)
        ck_assert_uint_lt(fence_lease_left_us(kit.fence), 210000);
    else
        ck_assert_int_eq(kit.err, -ETIMEDOUT);
    end();
}
END_TEST

START_TEST(a_lost_connection_is_none)
{
    begin(FAKE_INFO);
    FINE(fence_pause, 1500, 0);
    for (size_t i = 0; i < f.accepted; i++)
        fake_drop(&f.clients[i]);
    pass(2000);
    ck_assert_uint_eq(kit.lapsed, 0);
    ck_assert(fence_is_paused(kit.fence));
    end();
}
END_TEST

START_TEST(a_refusal_is_told)
{
    begin(FAKE_INFO);
    fake_rule(&f, "CLIENT PAUSE", "-NOPERM no\r\n");
    ck_assert_int_eq(STEP(fence_pause, 600, 0), -EACCES);
    ck_assert_str_eq(kit.why, "NOPERM no");
    ck_assert(!fence_is_paused(kit.fence));
    end();
}
END_TEST

START_TEST(what_is_not_let_go_ends_by_itself)
{
    begin(FAKE_INFO);
    fake_rule(&f, "CLIENT UNPAUSE", "-NOPERM no\r\n");
    FINE(fence_pause, 600, 0);
    uint64_t begun = clock_mono_us();
    FINE(fence_unpause);
    ck_assert_uint_ge(clock_mono_us() - begun, 550000);
    ck_assert_ptr_nonnull(strstr(kit.told, "ends by itself"));
    end();
}
END_TEST

/* Valkey tells how long the pause goes on. */
START_TEST(a_longer_pause_of_somebody_else_goes_on)
{
    begin("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\nrun_id:aaaa\r\n");
    fake_bulk(&f, "INFO clients", "paused_reason:client_pause\r\npaused_timeout_milliseconds:500\r\n");
    FINE(fence_pause, 600, 0);
    FINE(fence_unpause);
    ck_assert_uint_eq(fake_count(&f, "CLIENT UNPAUSE"), 1);
    fake_bulk(&f, "INFO clients", "paused_reason:client_pause\r\npaused_timeout_milliseconds:60000\r\n");
    FINE(fence_pause, 600, 0);
    FINE(fence_unpause);
    ck_assert_uint_eq(fake_count(&f, "CLIENT UNPAUSE"), 0);
    ck_assert_ptr_nonnull(strstr(kit.told, "somebody else"));
    end();
}
END_TEST

START_TEST(it_may_be_freed_in_an_answer)
{
    begin(FAKE_INFO);
    kit.dies = true;
    FINE(fence_pause, 600, 0);
    ck_assert_ptr_null(kit.fence);
    end();
}
END_TEST

/* What a connection of an earlier process has still under way must not come after the undo. */
START_TEST(a_former_connection_is_dead_before_the_undo)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    probe();
    stage(STAGE_FENCING);
    FINE(fence_set, FENCE_MIN_REPLICAS);
    struct real former = another(&s);
    const char *id = real_ask(&former, "CLIENT ID");
    state_connection_add(state_of(kit.state), STATE_SOURCE, record()->nodes[0].run_id,
                         strtoull(id, NULL, 10));
    ck_assert_int_eq(state_save(kit.state), 0);
    ck_assert_uint_ge(state_of(kit.state)->nconnections, 2); /* and the fence's own */
    kit_restart();
    FINE(fence_lift);
    static const char request[] = "CONFIG SET min-replicas-to-write 2147483647\r\n";
    signal(SIGPIPE, SIG_IGN);
    if (write(former.fd, request, sizeof(request) - 1) > 0) {
        char text[64];
        ck_assert(!hears(&former, 1000, text, sizeof(text)));
    }
    ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
    ck_assert_uint_eq(state_of(kit.state)->nconnections, 1);
    close(former.fd);
    kit_end();
    stop_serving(&s);
}
END_TEST

static const char *acl_is_refused(void)
{
    static char why[256];
    const struct fence_report *r = probe();
    ck_assert(!r->kinds[FENCE_ACL].allowed);
    snprintf(why, sizeof(why), "%s", r->kinds[FENCE_ACL].why_not);
    return why;
}

/* Their commands are in no category: `-@write` does not take them away, and what is not named cannot be
 * denied. */
START_TEST(a_module_forbids_acl_where_its_commands_are_not_told)
{
    static const char *const sections[] = {"persistence", "stats", "memory", "commandstats", "keyspace"};
    char words[32];
    begin(FAKE_INFO);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        snprintf(words, sizeof(words), "INFO %s", sections[i]);
        fake_bulk(&f, words, "# None\r\n");
    }
    fake_rule(&f, "ACL WHOAMI", "$5\r\nriotd\r\n");
    fake_rule(&f, "CLIENT PAUSE", "-ERR timeout is not an integer or out of range\r\n");
    fake_bulk(&f, "CLIENT LIST", "\n");
    fake_bulk(&f, "INFO modules", "# Modules\r\n");
    ck_assert_ptr_null(strstr(acl_is_refused(), "module"));
    fake_bulk(&f, "INFO modules", "# Modules\r\nmodule:name=lua,ver=1,api=1\r\n");
    fake_rule(&f, "COMMAND LIST FILTERBY MODULE lua", "-NOPERM no list\r\n");
    ck_assert_ptr_nonnull(
        strstr(acl_is_refused(), "COMMAND LIST, to know its commands, is not allowed: NOPERM no list"));
    fake_rule(&f, "COMMAND LIST FILTERBY MODULE vectorset", "*1\r\n$4\r\nVADD\r\n");
    fake_bulk(&f, "INFO modules", "# Modules\r\nmodule:name=vectorset,ver=1,api=1,options=[a|b]\r\n");
    ck_assert_ptr_null(strstr(acl_is_refused(), "module"));
    fake_bulk(&f, "INFO modules", "");
    ck_assert_ptr_nonnull(strstr(acl_is_refused(), "does not tell whether modules"));
    fake_rule(&f, "INFO modules", "-NOPERM no\r\n");
    ck_assert_ptr_nonnull(strstr(acl_is_refused(), "INFO modules cannot be read: NOPERM no"));
    end();
}
END_TEST

UNIT_MAIN("daemon/fence_pause", a_module_forbids_acl_where_its_commands_are_not_told,
          a_clock_that_runs_ahead_is_a_lapse, a_renewal_that_comes_too_late_is_a_lapse, a_restart_is_a_lapse,
          a_first_request_that_is_repeated_keeps_the_bound, a_lost_connection_is_none, a_refusal_is_told,
          what_is_not_let_go_ends_by_itself, a_longer_pause_of_somebody_else_goes_on,
          it_may_be_freed_in_an_answer, a_former_connection_is_dead_before_the_undo)
