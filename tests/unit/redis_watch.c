#include "lib/redis/watch.h"
#include "tests/unit/redis_fake.h"

struct seen {
    struct fake fake;
    struct watch *watch;
    size_t samples, unreadable, up, down;
    uint64_t first, seq, asked; /* asked: what watch_read() gave in the last sample */
    bool ask_in_sample, free_in_sample, free_in_up, free_in_down, free_in_unreadable;
    char why[256];
    struct watch_sample last;
    struct watch_db dbs[8];
};

static void drop(struct seen *s)
{
    s->watch = watch_free(s->watch);
}

static void on_sample(struct watch *w, const struct watch_sample *sample, void *arg)
{
    struct seen *s = arg;
    ck_assert_ptr_eq(watch_last(w), sample);
    ck_assert_uint_gt(sample->seq, s->seq);
    if (s->samples++ == 0)
        s->first = sample->seq;
    s->seq = sample->seq;
    s->last = *sample;
    for (size_t i = 0; i < sample->ndbs && i < ARRAY_LEN(s->dbs); i++)
        s->dbs[i] = sample->dbs[i];
    if (s->ask_in_sample) {
        s->ask_in_sample = false;
        s->asked = watch_read(w);
        ck_assert_uint_gt(s->asked, sample->seq);
    }
    if (s->free_in_sample)
        drop(s);
}

static void on_unreadable(struct watch *w, const char *why, void *arg)
{
    struct seen *s = arg;
    (void)w;
    s->unreadable++;
    snprintf(s->why, sizeof(s->why), "%s", why);
    if (s->free_in_unreadable)
        drop(s);
}

static void on_up(struct watch *w, void *arg)
{
    struct seen *s = arg;
    ck_assert(conn_is_up(watch_conn(w)));
    s->up++;
    if (s->free_in_up)
        drop(s);
}

static void on_down(struct watch *w, const char *why, bool was_up, void *arg)
{
    struct seen *s = arg;
    (void)w;
    (void)was_up;
    s->down++;
    snprintf(s->why, sizeof(s->why), "%s", why);
    if (s->free_in_down)
        drop(s);
}

#define PERSISTENCE                                                                                          \
    "# Persistence\r\nloading:0\r\nrdb_changes_since_last_save:9\r\nrdb_last_save_time:1700000000\r\n"
#define STATS "# Stats\r\ntotal_commands_processed:1000\r\nexpired_keys:5\r\nevicted_keys:2\r\n"
#define MEMORY                                                                                               \
    "# "                                                                                                     \
    "Memory\r\nused_memory:1048576\r\nused_memory_human:1M\r\nmaxmemory:0\r\nmaxmemory_policy:"              \
    "noeviction\r\n"
#define COMMANDS                                                                                             \
    "# Commandstats\r\n"                                                                                     \
    "cmdstat_flushall:calls=2,usec=1,usec_per_call=0.50,rejected_calls=0,failed_calls=0\r\n"                 \
    "cmdstat_flushdb:calls=3,usec=1\r\n"                                                                     \
    "cmdstat_swapdb:calls=4,usec=1\r\n"                                                                      \
    "cmdstat_xack:calls=1,usec=1\r\n"                                                                        \
    "cmdstat_xreadgroup:calls=10,usec=1\r\n"                                                                 \
    "cmdstat_xclaim:calls=100,usec=1\r\n"                                                                    \
    "cmdstat_xautoclaim:calls=1000,usec=1\r\n"                                                               \
    "cmdstat_xsetid:calls=10000,usec=1\r\n"                                                                  \
    "cmdstat_xgroup|create:calls=100000,usec=1\r\n"                                                          \
    "cmdstat_xgroup|help:calls=7,usec=1\r\n"                                                                 \
    "cmdstat_xadd:calls=7,usec=1\r\n"                                                                        \
    "cmdstat_function|load:calls=1,usec=1\r\n"                                                               \
    "cmdstat_function|delete:calls=10,usec=1\r\n"                                                            \
    "cmdstat_function|flush:calls=100,usec=1\r\n"                                                            \
    "cmdstat_function|restore:calls=1000,usec=1\r\n"                                                         \
    "cmdstat_function|list:calls=7,usec=1\r\n"                                                               \
    "cmdstat_fcall:calls=7,usec=1\r\n"                                                                       \
    "cmdstat_cluster|syncslots:calls=20,usec=1\r\n"                                                          \
    "cmdstat_cluster|migration:calls=300,usec=1\r\n"                                                         \
    "cmdstat_cluster|nodes:calls=7,usec=1\r\n"
#define KEYSPACE                                                                                             \
    "# Keyspace\r\n"                                                                                         \
    "db10:keys=7,expires=0,avg_ttl=0\r\n"                                                                    \
    "db0:keys=12345678901,expires=3,avg_ttl=5,subexpiry=0\r\n"

static void set_up(struct seen *s)
{
    *s = (struct seen){0};
    fake_init(&s->fake);
    fake_bulk(&s->fake, "INFO persistence", PERSISTENCE);
    fake_bulk(&s->fake, "INFO stats", STATS);
    fake_bulk(&s->fake, "INFO memory", MEMORY);
    fake_bulk(&s->fake, "INFO commandstats", COMMANDS);
    fake_bulk(&s->fake, "INFO keyspace", KEYSPACE);
}

static void begin(struct seen *s)
{
    const struct watch_events ev = {on_sample, on_unreadable, on_up, on_down};
    ck_assert_int_eq(watch_new(s->fake.loop, &s->fake.endpoint, "watch", false, &ev, s, &s->watch), 0);
    ck_assert_ptr_null(watch_last(s->watch));
}

static void tear_down(struct seen *s)
{
    drop(s);
    fake_done(&s->fake);
}

START_TEST(test_sample)
{
    struct seen s;
    set_up(&s);
    begin(&s);
    fake_until(&s.fake, &s.samples, 1);
    ck_assert_uint_eq(s.up, 1);
    ck_assert_str_eq(s.last.id.run_id, "aaaa");
    ck_assert_int_eq(s.last.id.role, ROLE_PRIMARY);
    ck_assert(!s.last.loading && s.last.has_stats && s.last.has_keyspace);
    ck_assert_uint_eq(s.last.total_commands, 1000);
    ck_assert_uint_eq(s.last.evicted_keys, 2);
    ck_assert_uint_eq(s.last.expired_keys, 5);
    ck_assert_uint_eq(s.last.rdb_changes, 9);
    ck_assert_uint_eq(s.last.last_save, 1700000000);
    ck_assert_uint_eq(s.last.used_memory, 1048576);
    ck_assert_uint_eq(s.last.maxmemory, 0);
    ck_assert_uint_eq(s.last.flushes, 5);
    ck_assert_uint_eq(s.last.swaps, 4);
    ck_assert_uint_eq(s.last.group_changes, 111111);
    ck_assert_uint_eq(s.last.function_changes, 1111);
    ck_assert_uint_eq(s.last.slot_moves, 320);
    /* not xgroup|help, function|list, fcall, cluster|nodes */
    ck_assert_uint_eq(s.last.write_calls, 9 + 111111 + 7 + 1111 + 320);
    ck_assert_uint_eq(s.last.nreplicas, 0);
    ck_assert_uint_eq(s.last.ndbs, 2);
    ck_assert_int_eq(s.dbs[0].db, 0);
    ck_assert_uint_eq(s.dbs[0].keys, 12345678901);
    ck_assert_uint_eq(s.dbs[0].expires, 3);
    ck_assert_int_eq(s.dbs[1].db, 10);
    ck_assert_uint_gt(s.last.round_trip_us, 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_containers_before_7)
{
    struct seen s;
    set_up(&s);
    fake_bulk(&s.fake, "INFO commandstats",
              "cmdstat_xgroup:calls=3,usec=1\r\ncmdstat_info:calls=1,usec=2\r\n");
    fake_bulk(&s.fake, "INFO keyspace", "# Keyspace\r\n");
    begin(&s);
    fake_until(&s.fake, &s.samples, 1);
    ck_assert_uint_eq(s.last.group_changes, 3);
    ck_assert_uint_eq(s.last.flushes, 0);
    ck_assert_uint_eq(s.last.ndbs, 0);
    ck_assert(s.last.has_keyspace);
    tear_down(&s);
}
END_TEST

START_TEST(test_replicas)
{
    struct seen s;
    char text[4096];
    size_t at = (size_t)snprintf(
        text, sizeof(text),
        "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n"
        "slave0:ip=10.0.0.6,port=6379,state=online,offset=28,lag=0\r\n"
        "slave1:ip=::1,port=6380,state=wait_bgsave,offset=0,lag=0,io-thread=0,type=replica\r\n"
        "slave2:ip=,port=0,state=online,offset=0,lag=0\r\n"
        "slave3:port=99999,ip=x\r\nslave:ip=y,port=1\r\nslave_repl_offset:5\r\nslavex:ip=z,port=2\r\n"
        "slave4:ip=db-2.example,port=7000,state=online\r\nmaster_replid:r\r\n");
    set_up(&s);
    fake_bulk(&s.fake, "INFO replication", text);
    begin(&s);
    fake_until(&s.fake, &s.samples, 1);
    ck_assert_uint_eq(s.last.nreplicas, 3);
    const struct watch_replica *r = watch_last(s.watch)->replicas;
    ck_assert_str_eq(r[0].host, "10.0.0.6");
    ck_assert_uint_eq(r[0].port, 6379);
    ck_assert(r[0].online);
    ck_assert_str_eq(r[1].host, "::1");
    ck_assert_uint_eq(r[1].port, 6380);
    ck_assert(!r[1].online);
    ck_assert_str_eq(r[2].host, "db-2.example");
    ck_assert(!s.last.more_replicas);

    for (unsigned i = 5; i < WATCH_REPLICAS_MAX + 3; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "slave%u:ip=h,port=1,state=online\r\n", i);
    fake_bulk(&s.fake, "INFO replication", text);
    fake_until(&s.fake, &s.samples, 2);
    ck_assert_uint_eq(s.last.nreplicas, WATCH_REPLICAS_MAX);
    ck_assert(s.last.more_replicas);
    tear_down(&s);
}
END_TEST

START_TEST(test_unknown)
{
    struct seen s;
    set_up(&s);
    fake_bulk(&s.fake, "INFO", "");
    begin(&s);
    fake_until(&s.fake, &s.samples, 1);
    ck_assert(!s.last.has_stats && !s.last.has_keyspace);
    ck_assert_uint_eq(s.last.total_commands, WATCH_UNKNOWN);
    ck_assert_uint_eq(s.last.flushes, WATCH_UNKNOWN);
    ck_assert_uint_eq(s.last.group_changes, WATCH_UNKNOWN);
    ck_assert_uint_eq(s.last.slot_moves, WATCH_UNKNOWN);
    ck_assert_uint_eq(s.last.maxmemory, WATCH_UNKNOWN);
    ck_assert_uint_eq(s.last.write_calls, WATCH_UNKNOWN);
    tear_down(&s);
}
END_TEST

START_TEST(test_each_second)
{
    struct seen s;
    set_up(&s);
    begin(&s);
    uint64_t start = clock_mono_us();
    fake_until(&s.fake, &s.samples, 3);
    uint64_t took = clock_mono_us() - start;
    ck_assert_uint_ge(took, 1900000);
    ck_assert_uint_le(took, 4000000);
    ck_assert_uint_eq(s.seq, 3);
    tear_down(&s);
}
END_TEST

START_TEST(test_read_on_demand)
{
    struct seen s;
    set_up(&s);
    begin(&s);
    uint64_t first = watch_read(s.watch); /* while down: the first after coming up */
    s.ask_in_sample = true;
    fake_until(&s.fake, &s.samples, 2);
    ck_assert_uint_eq(s.first, first);
    ck_assert_uint_eq(s.seq, s.asked);

    uint64_t now = watch_read(s.watch);
    uint64_t later = watch_read(s.watch); /* one is in flight, which began before */
    ck_assert_uint_gt(later, now);
    ck_assert_uint_eq(watch_read(s.watch), later);
    fake_until(&s.fake, &s.samples, 4);
    ck_assert_uint_eq(s.seq, later);
    fake_pass(&s.fake, 100);
    ck_assert_uint_eq(s.samples, 4);
    tear_down(&s);
}
END_TEST

START_TEST(test_a_reading_in_flight_is_not_repeated)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "INFO keyspace", FAKE_SILENCE);
    begin(&s);
    fake_pass(&s.fake, 1300);
    ck_assert_uint_eq(s.samples, 0);
    ck_assert_uint_eq(fake_count(&s.fake, "INFO keyspace"), 1);
    fake_bulk(&s.fake, "INFO keyspace", KEYSPACE);
    fake_send(fake_last(&s.fake), "$0\r\n\r\n");
    fake_until(&s.fake, &s.samples, 2);
    tear_down(&s);
}
END_TEST

START_TEST(test_unreadable)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "INFO commandstats", "-NOPERM no\r\n");
    begin(&s);
    fake_until(&s.fake, &s.unreadable, 1);
    ck_assert_str_eq(s.why, "INFO commandstats: NOPERM no");
    fake_rule(&s.fake, "INFO stats", ":1\r\n");
    fake_until(&s.fake, &s.unreadable, 2);
    ck_assert_str_eq(s.why, "INFO stats: the answer cannot be read");
    fake_bulk(&s.fake, "INFO stats", STATS);
    fake_bulk(&s.fake, "INFO commandstats", COMMANDS);
    fake_bulk(&s.fake, "INFO keyspace", "db0:keys=x,expires=0\r\n");
    fake_until(&s.fake, &s.unreadable, 3);
    ck_assert_str_eq(s.why, "INFO cannot be understood");
    fake_bulk(&s.fake, "INFO keyspace", "db9999999999:keys=1,expires=0\r\n");
    fake_until(&s.fake, &s.unreadable, 4);
    ck_assert_uint_eq(s.samples, 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_comes_back)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "INFO keyspace", FAKE_CLOSE);
    begin(&s);
    fake_until(&s.fake, &s.down, 1);
    uint64_t asked = watch_read(s.watch);
    fake_bulk(&s.fake, "INFO keyspace", KEYSPACE);
    fake_until(&s.fake, &s.samples, 1);
    ck_assert_uint_ge(s.seq, asked);
    tear_down(&s);
}
END_TEST

START_TEST(test_free_in_callbacks)
{
    for (int i = 0; i < 4; i++) {
        struct seen s;
        set_up(&s);
        s.free_in_sample = i == 0;
        s.free_in_up = i == 1;
        s.free_in_unreadable = i == 2;
        s.free_in_down = i == 3;
        if (i > 1)
            fake_rule(&s.fake, "INFO memory", i == 2 ? "-ERR no\r\n" : FAKE_CLOSE);
        begin(&s);
        fake_pass(&s.fake, 100);
        ck_assert_ptr_null(s.watch);
        tear_down(&s);
    }
}
END_TEST

UNIT_MAIN("redis/watch", test_sample, test_containers_before_7, test_replicas, test_unknown, test_each_second,
          test_read_on_demand, test_a_reading_in_flight_is_not_repeated, test_unreadable, test_comes_back,
          test_free_in_callbacks)
