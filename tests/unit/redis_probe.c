#include "lib/redis/probe.h"
#include "tests/unit/redis_fake.h"

struct seen {
    struct fake fake;
    struct prober *prober;
    size_t done, waiting;
    bool free_in_done, free_in_waiting;
    char why[512];
    struct probe probe;
    struct watch_db db;
};

static void on_done(struct prober *p, const struct probe *probe, void *arg)
{
    struct seen *s = arg;
    (void)p;
    s->done++;
    s->probe = *probe;
    if (probe->ndbs)
        s->db = probe->dbs[0];
    if (s->free_in_done)
        s->prober = prober_free(s->prober);
}

static void on_waiting(struct prober *p, const char *why, void *arg)
{
    struct seen *s = arg;
    (void)p;
    s->waiting++;
    snprintf(s->why, sizeof(s->why), "%s", why);
    if (s->free_in_waiting)
        s->prober = prober_free(s->prober);
}

#define OURS "id=3 addr=a laddr=b fd=8 name=riotd:x:1:write age=1 lib-name= cmd=get\n"
#define SELF "id=7 addr=a laddr=b fd=8 name=riotd:x:1:probe age=1 cmd=client|list\n"
#define ASKS "id=9 addr=a laddr=b fd=8 name=riotd:x:1:topology age=1 cmd=cluster|nodes\n"
#define OTHER                                                                                                \
    "id=4 addr=a laddr=b fd=8 name=riotd:x:10:read age=1 cmd=get\nid=5 addr=a name=riotd:y:1:read age=1\n"
#define ALIEN "id=6 addr=name=riotd:z laddr=b fd=8 name=app age=1\nid=x name=riotd:z\nname=riotd:z\n\n"

static void set_up(struct seen *s)
{
    char time[64];
    *s = (struct seen){0};
    fake_init(&s->fake);
    fake_bulk(&s->fake, "INFO persistence", "# Persistence\r\nloading:0\r\n");
    fake_bulk(&s->fake, "CLIENT LIST", SELF OTHER ALIEN);
    fake_bulk(&s->fake, "INFO memory", "maxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n");
    fake_bulk(&s->fake, "INFO keyspace", "# Keyspace\r\ndb2:keys=3,expires=1,avg_ttl=0\r\n");
    fake_rule(&s->fake, "CONFIG GET databases", "*2\r\n$9\r\ndatabases\r\n$2\r\n32\r\n");
    fake_rule(&s->fake, "CONFIG GET proto", "*2\r\n$18\r\nproto-max-bulk-len\r\n$7\r\n1048576\r\n");
    fake_rule(&s->fake, "COMMAND INFO", "*2\r\n*1\r\n$11\r\npexpiretime\r\n*1\r\n$8\r\nfunction\r\n");
    fake_rule(&s->fake, "FUNCTION DUMP", "$10\r\n\x0b\x01xxxxxxxx\r\n");
    snprintf(time, sizeof(time), "*2\r\n$10\r\n%lld\r\n$6\r\n000000\r\n",
             (long long)(clock_wall_ms() / 1000 + 60));
    fake_rule(&s->fake, "TIME", time);
}

static void begin(struct seen *s, bool kill_own)
{
    const struct prober_events ev = {on_done, on_waiting};
    ck_assert_int_eq(prober_new(s->fake.loop, &s->fake.endpoint, kill_own, &ev, s, &s->prober), 0);
}

static void tear_down(struct seen *s)
{
    s->prober = prober_free(s->prober);
    fake_done(&s->fake);
}

START_TEST(test_all)
{
    struct seen s;
    set_up(&s);
    begin(&s, true);
    fake_until(&s.fake, &s.done, 1);
    ck_assert_uint_eq(s.waiting, 0);
    ck_assert_str_eq(s.probe.id.run_id, "aaaa");
    ck_assert_uint_eq(s.probe.dump_version, 0x10b);
    ck_assert_uint_eq(s.probe.proto_max_bulk_len, 1048576);
    ck_assert_uint_eq(s.probe.databases, 32);
    ck_assert_str_eq(s.probe.maxmemory_policy, "allkeys-lru");
    ck_assert_uint_eq(s.probe.maxmemory, 1000);
    ck_assert(s.probe.config_allowed && s.probe.client_list_allowed && s.probe.has_keyspace);
    ck_assert(s.probe.has_pexpiretime && s.probe.has_functions && !s.probe.loading);
    ck_assert_uint_eq(s.probe.nothers, 2);
    ck_assert_str_eq(s.probe.others[0], "riotd:x:10:read");
    ck_assert_str_eq(s.probe.others[1], "riotd:y:1:read");
    ck_assert_uint_eq(s.probe.ndbs, 1);
    ck_assert_int_eq(s.db.db, 2);
    ck_assert_uint_eq(s.db.keys, 3);
    ck_assert(s.probe.has_clock);
    ck_assert_int_ge(s.probe.clock_skew_ms, 58000);
    ck_assert_int_le(s.probe.clock_skew_ms, 61000);
    fake_pass(&s.fake, 300);
    ck_assert_uint_eq(s.done, 1);
    ck_assert_uint_eq(s.fake.accepted, 1);
    tear_down(&s);
}
END_TEST

START_TEST(test_nothing_allowed)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "", "-NOPERM no\r\n");
    begin(&s, true);
    fake_until(&s.fake, &s.done, 1);
    ck_assert_uint_eq(s.probe.dump_version, 0);
    ck_assert_uint_eq(s.probe.proto_max_bulk_len, 512 * MIB);
    ck_assert_uint_eq(s.probe.databases, 0);
    ck_assert_str_eq(s.probe.maxmemory_policy, "");
    ck_assert(!s.probe.config_allowed && !s.probe.client_list_allowed && !s.probe.has_keyspace);
    ck_assert(!s.probe.has_pexpiretime && !s.probe.has_functions);
    ck_assert(!s.probe.has_clock);
    ck_assert_int_eq(s.probe.clock_skew_ms, 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_old_server)
{
    struct seen s;
    set_up(&s);
    fake_bulk(&s.fake, "INFO server", "redis_version:6.0.16\r\n");
    fake_rule(&s.fake, "COMMAND INFO", "*2\r\n*-1\r\n*-1\r\n");
    begin(&s, false);
    fake_until(&s.fake, &s.done, 1);
    ck_assert(!s.probe.has_pexpiretime && !s.probe.has_functions);
    ck_assert_uint_eq(s.probe.dump_version, 9);
    ck_assert_uint_eq(fake_count(&s.fake, "FUNCTION"), 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_version_tells_where_command_does_not)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "COMMAND INFO", "-NOPERM no\r\n");
    fake_rule(&s.fake, "FUNCTION DUMP", "-NOPERM no\r\n");
    begin(&s, false);
    fake_until(&s.fake, &s.done, 1);
    ck_assert(s.probe.has_pexpiretime && s.probe.has_functions);
    ck_assert_uint_eq(s.probe.dump_version, 10);
    tear_down(&s);
}
END_TEST

START_TEST(test_kills_own)
{
    struct seen s;
    set_up(&s);
    fake_bulk(&s.fake, "CLIENT LIST", OTHER OURS ASKS SELF);
    fake_rule(&s.fake, "CLIENT KILL", ":1\r\n");
    begin(&s, true);
    fake_pass(&s.fake, 150);
    ck_assert_uint_eq(s.done, 0);
    ck_assert_uint_ge(fake_count(&s.fake, "CLIENT KILL ID 3\n"), 1);
    fake_bulk(&s.fake, "CLIENT LIST", OTHER ASKS SELF);
    fake_until(&s.fake, &s.done, 1);
    ck_assert_uint_eq(s.probe.nothers, 2);
    ck_assert_uint_eq(fake_count(&s.fake, "CLIENT KILL ID 7"), 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_own_cannot_be_killed)
{
    struct seen s;
    set_up(&s);
    fake_bulk(&s.fake, "CLIENT LIST", OURS SELF);
    fake_rule(&s.fake, "CLIENT KILL", "-NOPERM no\r\n");
    begin(&s, true);
    fake_pass(&s.fake, 350);
    ck_assert_uint_eq(s.waiting, 1);
    ck_assert_str_eq(
        s.why, "1 connection(s) of an earlier run, such as id=3, are still there, and cannot be killed: "
               "NOPERM no");
    fake_bulk(&s.fake, "CLIENT LIST", SELF);
    fake_until(&s.fake, &s.done, 1);
    tear_down(&s);
}
END_TEST

START_TEST(test_own_are_let_be)
{
    struct seen s;
    set_up(&s);
    fake_bulk(&s.fake, "CLIENT LIST", OURS SELF);
    begin(&s, false);
    fake_until(&s.fake, &s.done, 1);
    ck_assert_uint_eq(s.probe.nothers, 0);
    ck_assert_uint_eq(fake_count(&s.fake, "CLIENT KILL"), 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_loading)
{
    struct seen s;
    set_up(&s);
    fake_bulk(&s.fake, "INFO persistence", "loading:1\r\n");
    begin(&s, true);
    fake_until(&s.fake, &s.waiting, 1);
    ck_assert_str_eq(s.why, "the server is loading its data");
    ck_assert_uint_eq(fake_count(&s.fake, "CONFIG"), 0);
    fake_bulk(&s.fake, "INFO persistence", "loading:0\r\n");
    fake_rule(&s.fake, "FUNCTION DUMP", "-LOADING Redis is loading the dataset in memory\r\n");
    fake_until(&s.fake, &s.waiting, 2);
    fake_bulk(&s.fake, "FUNCTION DUMP", "short");
    fake_until(&s.fake, &s.done, 1);
    ck_assert_uint_eq(s.probe.dump_version, 10);
    tear_down(&s);
}
END_TEST

START_TEST(test_retries)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "TIME", FAKE_CLOSE);
    begin(&s, true);
    fake_until(&s.fake, &s.waiting, 2);
    ck_assert_str_eq(s.why, "closed by the server");
    fake_rule(&s.fake, "TIME", "*2\r\n$20\r\n99999999999999999999\r\n$1\r\n0\r\n");
    fake_until(&s.fake, &s.done, 1);
    ck_assert_int_eq(s.probe.clock_skew_ms, 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_free_in_callbacks)
{
    for (int i = 0; i < 4; i++) {
        struct seen s;
        set_up(&s);
        s.free_in_done = i == 0;
        s.free_in_waiting = i > 0;
        if (i == 1)
            fake_rule(&s.fake, "CONFIG", FAKE_CLOSE);
        if (i == 2)
            fake_bulk(&s.fake, "CLIENT LIST", OURS);
        if (i == 3)
            s.fake.endpoint.url.path = (char *)"/nonexistent/socket";
        begin(&s, true);
        for (unsigned tries = 0; s.prober && tries < 600; tries++)
            fake_pass(&s.fake, 100);
        ck_assert_ptr_null(s.prober);
        fake_pass(&s.fake, 100);
        tear_down(&s);
    }
}
END_TEST

UNIT_MAIN("redis/probe", test_all, test_nothing_allowed, test_old_server,
          test_version_tells_where_command_does_not, test_kills_own, test_own_cannot_be_killed,
          test_own_are_let_be, test_loading, test_retries, test_free_in_callbacks)
