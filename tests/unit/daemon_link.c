#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "daemon/link_impl.h"
#include "tests/unit/copy_server.h"
#include "tests/unit/redis_fake.h"

/* A link between two real servers, and what a cutover makes of it. */

static struct fake none; /* for its loop only */
static struct real source, target;
static char folder[64];
static struct config *config;
static struct state_file *file;
static struct log *sink;
static struct link *the_link;
static size_t changes, gone, done;
static bool put_back;
static char why[LINK_WHY_MAX];

static void on_changed(void *arg)
{
    (void)arg;
    changes++;
}

static void on_lane_gone(void *arg)
{
    (void)arg;
    gone++;
}

static void set_option(const char *path, const char *value)
{
    struct config_errors errors = {0};
    ck_assert_msg(config_set(config, path, value, path, &errors) == 0, "%s: %s", path,
                  errors.count ? errors.line[0] : "");
}

static void begin_link(void)
{
    static const struct link_events events = {.changed = on_changed, .lane_gone = on_lane_gone};
    static const struct config_passwords passwords;
    const struct log_options log_opt = {.link = "x", .level = SINK_ERR, .fd = open("/dev/null", O_WRONLY)};
    char error[STATE_WHY_MAX];

    ck_assert_msg(state_file_open(folder, "x", error, &file) == 0, "%s", error);
    ck_assert_int_eq(log_new(&log_opt, &sink), 0);
    const struct link_options opt = {.config = config, .passwords = &passwords, .state = file, .log = sink};
    ck_assert_int_eq(link_new(none.loop, &opt, &events, NULL, &the_link), 0);
}

static void end_link(void)
{
    the_link = link_free(the_link);
    sink = log_free(sink);
    file = state_file_free(file);
}

static void begin_servers(void)
{
    char url[160];
    struct config_errors errors = {0};

    changes = gone = done = 0;
    fake_init(&none);
    real_begin(&source, "source");
    real_begin(&target, "target");
    strcpy(folder, "/tmp/riot-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(config_new(&config), 0);
    snprintf(url, sizeof(url), "unix://%s", source.socket);
    set_option("source.url", url);
    snprintf(url, sizeof(url), "unix://%s", target.socket);
    set_option("target.url", url);
    set_option("name", "x");
    set_option("feed", "notify");
    ck_assert_int_eq(config_check(config, &errors), 0);
}

static void until_state(enum link_state state)
{
    unsigned tries = 0;
    while (link_state(the_link) != state) {
        fake_pass(&none, 5);
        ck_assert_msg(tries++ < 2000, "the link is %s", link_state_name(link_state(the_link)));
    }
}

static void expect_state(enum link_state state)
{
    ck_assert_msg(link_state(the_link) == state, "the link is %s", link_state_name(link_state(the_link)));
}

static void begin(void)
{
    begin_servers();
    begin_link();
    for (unsigned i = 0; i < 10; i++)
        real_ask(&source, "SET key:%u %u", i, i);
    ck_assert_msg(link_start(the_link, false, why) == 0, "%s", why);
    until_state(LINK_LIVE);
}

static void end(void)
{
    char command[128];
    end_link();
    config = config_free(config);
    real_end(&target);
    real_end(&source);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    fake_done(&none);
}

static void on_done(void *arg)
{
    (void)arg;
    done++;
}

static void drain(void)
{
    size_t before = done;
    ck_assert_int_eq(link_drain(the_link, on_done, &done), 0);
    fake_until(&none, &done, before + 1);
}

static void begin_cutover(void)
{
    ck_assert_msg(link_cutover(the_link, why) == 0, "%s", why);
    expect_state(LINK_CUTOVER);
}

static void expect_busy(int err)
{
    ck_assert_int_eq(err, -EBUSY);
    ck_assert_msg(strstr(why, "a cutover is under way") != NULL, "%s", why);
}

START_TEST(test_what_is_asked_for_reading)
{
    size_t n;

    begin_servers();
    set_option("databases", "0,3");
    struct config_errors errors = {0};
    ck_assert_int_eq(config_check(config, &errors), 0);
    begin_link();
    ck_assert_ptr_null(link_lanes(the_link));
    int *dbs = link_dbs(the_link, &n);
    ck_assert(n == 2 && dbs[0] == 0 && dbs[1] == 3);
    free(dbs);
    ck_assert_str_eq(link_endpoint(the_link, LANE_SOURCE)->url.path, source.socket);
    ck_assert_str_eq(link_endpoint(the_link, LANE_TARGET)->url.path, target.socket);
    end_link();

    set_option("databases", "all");
    ck_assert_int_eq(config_check(config, &errors), 0);
    real_ask(&source, "SELECT 7");
    real_ask(&source, "SET a x");
    begin_link();
    ck_assert_int_eq(link_start(the_link, true, why), 0);
    until_state(LINK_LIVE);
    ck_assert_ptr_nonnull(link_lanes(the_link));
    dbs = link_dbs(the_link, &n);
    ck_assert(n == 1 && dbs[0] == 7);
    free(dbs);
    link_stop(the_link, false, 1000000, on_done, NULL);
    ck_assert_ptr_null(link_lanes(the_link));
    fake_until(&none, &done, 1);
    end();
}
END_TEST

START_TEST(test_a_cutover_and_back)
{
    begin();
    begin_cutover();
    expect_busy(link_start(the_link, true, why));
    expect_busy(link_pause(the_link, why));
    expect_busy(link_resume(the_link, why));
    expect_busy(link_accept(the_link, BYTES("source_shrank"), why));
    expect_busy(link_may_stop(the_link, why));
    expect_busy(link_cutover(the_link, why));
    link_cutover_undone(the_link, "a test");
    expect_state(LINK_LIVE);
    ck_assert_int_eq(link_may_stop(the_link, why), 0);
    real_ask(&source, "SET a x");
    drain();
    ck_assert_str_eq(real_ask(&target, "GET a"), "x");
    end();
}
END_TEST

START_TEST(test_a_gap_is_the_cutover_s_to_act_on)
{
    begin();
    begin_cutover();
    size_t before = changes;
    real_ask(&target, "FLUSHALL");
    fake_until(&none, &changes, before + 1);
    fake_pass(&none, 300);
    expect_state(LINK_CUTOVER);
    ck_assert_uint_gt(changes, before + 1); /* each phase of the resync too */
    real_ask(&target, "FLUSHALL");
    lane_gap(lanes_at(link_lanes(the_link), 0), "a test");
    link_cutover_undone(the_link, "a test");
    expect_state(LINK_RESYNC);
    until_state(LINK_LIVE);
    end();
}
END_TEST

static void on_sealed(int err, const char *text, void *arg)
{
    (void)arg;
    ck_assert_msg(err == 0, "%s", text);
    done++;
}

START_TEST(test_a_sealed_lane_comes_back)
{
    static const struct lane_confirm nothing;
    static struct link_status s;

    begin();
    begin_cutover();
    drain();
    ck_assert_int_eq(lanes_seal(link_lanes(the_link), &nothing, on_sealed, NULL), 0);
    fake_until(&none, &done, 2);
    real_ask(&source, "SET a x");
    fake_pass(&none, 1200);
    link_status(the_link, &s);
    ck_assert(!s.lane.conditions[LANE_TARGET_DOWN].on);
    link_cutover_undone(the_link, "a test");
    expect_state(LINK_LIVE);
    drain();
    ck_assert_str_eq(real_ask(&target, "GET a"), "x");
    link_status(the_link, &s);
    ck_assert_uint_eq(s.lane.gaps, 0);
    end();
}
END_TEST

static uint64_t copied_in(unsigned ms)
{
    static struct link_status s;
    static unsigned n;
    for (unsigned i = 0; i < 50; i++)
        real_ask(&source, "SET more:%u x", n++);
    link_status(the_link, &s);
    uint64_t before = s.lane.copied_keys;
    fake_pass(&none, ms);
    link_status(the_link, &s);
    return s.lane.copied_keys - before;
}

START_TEST(test_limits_are_lifted)
{
    begin();
    set_option("limits.keys_per_s", "5");
    link_limits_changed(the_link);
    ck_assert_uint_lt(copied_in(500), 25);
    begin_cutover();
    drain();
    ck_assert_uint_eq(copied_in(500), 50);
    link_limits_changed(the_link); /* what is asked for meanwhile holds afterwards */
    ck_assert_uint_eq(copied_in(500), 50);
    link_cutover_undone(the_link, "a test");
    ck_assert_uint_lt(copied_in(500), 25);
    end();
}
END_TEST

START_TEST(test_blockers_are_those_of_now)
{
    static char value[3000000];
    const struct bytes set[] = {BYTES("SET"), BYTES("big"), bytes_of(value, sizeof(value))};

    begin_servers();
    real_ask(&source, "CONFIG SET rdbcompression no");
    real_ask(&target, "CONFIG SET proto-max-bulk-len 1mb");
    begin_link();
    ck_assert_int_eq(link_cutover(the_link, why), -EPERM);
    ck_assert_int_eq(link_start(the_link, false, why), 0);
    until_state(LINK_LIVE);
    memset(value, 'x', sizeof(value));
    ck_assert(reply_is_ok(real_request(&source, ARRAY_LEN(set), set)));
    fake_pass(&none, 500);
    ck_assert_int_eq(link_cutover(the_link, why), -EPERM);
    ck_assert_msg(strncmp(why, "failed_keys: ", 13) == 0, "%s", why);
    expect_state(LINK_LIVE);
    real_ask(&source, "DEL big");
    drain();
    begin_cutover();
    end();
}
END_TEST

/* The link fails while a cutover goes on: that one undoes itself all the same, and only then may the link
 * start. */
START_TEST(test_a_link_that_fails_meanwhile)
{
    begin();
    begin_cutover();
    link_fail(the_link, BLOCKER_VERSION, "a test");
    expect_state(LINK_FAILED);
    ck_assert_ptr_null(link_lanes(the_link));
    fake_until(&none, &gone, 1);
    expect_busy(link_start(the_link, false, why));
    expect_busy(link_may_stop(the_link, why));
    link_cutover_undone(the_link, "a test");
    expect_state(LINK_FAILED);
    ck_assert_msg(link_start(the_link, false, why) == 0, "%s", why);
    until_state(LINK_LIVE);
    end();
}
END_TEST

static const char *flags_of(struct real *r)
{
    const struct bytes argv[] = {BYTES("CONFIG"), BYTES("GET"), BYTES("notify-keyspace-events")};
    return real_request(r, ARRAY_LEN(argv), argv)->at[1]->text.ptr;
}

static void on_put_back(bool ok, void *arg)
{
    (void)arg;
    put_back = ok;
    done++;
}

static void commit(void)
{
    struct state_cutover *c = &state_of(file)->cutover;
    struct state_node *node;
    struct state_setting *setting;

    begin_cutover();
    c->stage = STAGE_COMMITTED;
    c->fence = FENCE_ACL;
    ck_assert_int_eq(state_node_add(c, "/tmp/s", "run", true, &node), 0);
    ck_assert_int_eq(state_setting_add(node, BYTES("app"), BYTES("user app on"), &setting), 0);
    ck_assert_int_eq(state_save(file), 0);
    link_committed(the_link, "a test");
    expect_state(LINK_COMMITTED);
    ck_assert_ptr_null(link_lanes(the_link));
    fake_until(&none, &gone, 1);
}

static void disk_is_full(bool full)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 1 : limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(test_committed_and_finished)
{
    begin();
    commit();
    ck_assert_ptr_null(strstr(real_ask(&target, "CLIENT LIST"), "riotd:"));
    ck_assert_ptr_null(strstr(real_ask(&source, "CLIENT LIST"), "riotd:"));
    ck_assert_uint_eq(state_of(file)->nnotify, 1);
    ck_assert_int_eq(link_start(the_link, false, why), -EPERM);
    ck_assert_int_eq(link_may_stop(the_link, why), -EPERM);
    ck_assert_int_eq(link_cutover(the_link, why), -EPERM);
    state_of(file)->cutover.stage = STAGE_FINISHED;
    link_finished(the_link, "a test");
    expect_state(LINK_FINISHED);
    ck_assert_int_eq(link_start(the_link, false, why), -EPERM);

    /* Where it cannot be written down, nothing is forgotten. */
    disk_is_full(true);
    ck_assert_int_eq(link_start(the_link, true, why), -EIO);
    disk_is_full(false);
    expect_state(LINK_FINISHED);
    ck_assert_str_eq(state_of(file)->cutover.nodes[0].settings[0].name, "app");
    ck_assert(state_of(file)->target_owned.owned);

    ck_assert_msg(link_start(the_link, true, why) == 0, "%s", why);
    expect_state(LINK_CONNECTING);
    ck_assert_uint_eq(state_of(file)->cutover.nnodes, 0);
    ck_assert_int_eq(state_of(file)->cutover.stage, STAGE_NONE);
    end();
}
END_TEST

START_TEST(test_flags_are_put_back)
{
    begin();
    ck_assert_str_ne(flags_of(&source), "");
    commit();
    ck_assert_str_ne(flags_of(&source), "");
    ck_assert_int_eq(link_put_back(the_link, 5000000, on_put_back, NULL), 0);
    ck_assert_int_eq(link_put_back(the_link, 5000000, on_put_back, NULL), -EBUSY);
    fake_until(&none, &done, 1);
    ck_assert(put_back);
    ck_assert_str_eq(flags_of(&source), "");
    ck_assert_uint_eq(state_of(file)->nnotify, 0);
    fake_pass(&none, 100);
    ck_assert_ptr_null(strstr(real_ask(&source, "CLIENT LIST"), "riotd:"));
    ck_assert_int_eq(link_put_back(the_link, 5000000, on_put_back, NULL), 0); /* nothing is left to do */
    fake_until(&none, &done, 2);
    ck_assert(put_back);
    end_link();
    begin_link();
    ck_assert_uint_eq(state_of(file)->nnotify, 0);
    end();
}
END_TEST

START_TEST(test_flags_cannot_be_put_back)
{
    begin();
    commit();
    kill(source.pid, SIGSTOP);
    ck_assert_int_eq(link_put_back(the_link, 600000, on_put_back, NULL), 0);
    fake_until(&none, &done, 1);
    ck_assert(!put_back);
    ck_assert_uint_eq(state_of(file)->nnotify, 1);
    ck_assert_int_eq(link_put_back(the_link, 600000, on_put_back, NULL), 0);
    kill(source.pid, SIGCONT); /* freed while it asks */
    end();
}
END_TEST

static void restart_with(enum cutover_stage stage)
{
    state_of(file)->cutover.stage = stage;
    ck_assert_int_eq(state_save(file), 0);
    end_link();
    begin_link();
}

START_TEST(test_after_a_restart)
{
    begin();
    restart_with(STAGE_COMMITTED);
    link_begin(the_link);
    expect_state(LINK_COMMITTED);
    restart_with(STAGE_FINISHED);
    link_begin_after_cutover(the_link, false, "a test");
    expect_state(LINK_FINISHED);
    restart_with(STAGE_UNDOING);
    link_begin_after_cutover(the_link, true, "a test");
    expect_state(LINK_CUTOVER);
    expect_busy(link_start(the_link, false, why));
    state_of(file)->cutover.stage = STAGE_NONE;
    link_begin(the_link);
    until_state(LINK_LIVE);
    state_of(file)->desired = DESIRED_IDLE;
    restart_with(STAGE_PAUSING);
    link_begin_after_cutover(the_link, true, "a test");
    state_of(file)->cutover.stage = STAGE_NONE;
    link_cutover_undone(the_link, "a test");
    expect_state(LINK_IDLE);
    end();
}
END_TEST

START_TEST(test_only_a_person_can_go_on)
{
    static struct link_status s;

    begin();
    begin_cutover();
    state_of(file)->cutover.stage = STAGE_COMMITTED;
    state_of(file)->cutover.fence = FENCE_ACL;
    link_cutover_failed(the_link, "the user app is fenced");
    expect_state(LINK_FAILED);
    link_status(the_link, &s);
    ck_assert(s.blockers[BLOCKER_FENCED].on);
    ck_assert_str_eq(s.blockers[BLOCKER_FENCED].message, "the user app is fenced");
    fake_until(&none, &gone, 1);
    ck_assert_str_ne(flags_of(&source), ""); /* not a word to the source */
    ck_assert_int_eq(link_start(the_link, false, why), -EPERM);
    ck_assert_msg(strstr(why, "finish --unfence") != NULL, "%s", why);
    ck_assert_msg(link_start(the_link, true, why) == 0, "%s", why);
    ck_assert_int_eq(state_of(file)->cutover.stage, STAGE_NONE);
    end();
}
END_TEST

UNIT_MAIN("daemon/link", test_what_is_asked_for_reading, test_a_cutover_and_back,
          test_a_gap_is_the_cutover_s_to_act_on, test_a_sealed_lane_comes_back, test_limits_are_lifted,
          test_blockers_are_those_of_now, test_a_link_that_fails_meanwhile, test_committed_and_finished,
          test_flags_are_put_back, test_flags_cannot_be_put_back, test_after_a_restart,
          test_only_a_person_can_go_on)
