#include <errno.h>
#include <netinet/in.h>

#include "tests/unit/copy_lane_kit.h"

static size_t sealed;
static int seal_err;
static char seal_why[256];

/* What INFO of the server has behind `name` and a colon. */
static unsigned long long info(struct real *r, const char *section, const char *name)
{
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "%s:", name);
    const char *at = strstr(real_ask(r, "INFO %s", section), wanted);
    return at ? strtoull(at + strlen(wanted), NULL, 10) : 0;
}

static unsigned long long calls_of(struct real *r, const char *command)
{
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "cmdstat_%s:calls=", command);
    const char *at = strstr(real_ask(r, "INFO commandstats"), wanted);
    return at ? strtoull(at + strlen(wanted), NULL, 10) : 0;
}

/* The id of a connection of the lane, by its role; 0: there is none. */
static unsigned long long connection(struct real *r, const char *role)
{
    char name[64];
    snprintf(name, sizeof(name), " name=riotd:x:1:%s ", role);
    const char *list = real_ask(r, "CLIENT LIST"), *at = strstr(list, name);
    if (!at)
        return 0;
    while (at > list && at[-1] != '\n')
        at--;
    return strtoull(at + 3, NULL, 10);
}

static void kill_connection(struct real *r, const char *role)
{
    unsigned long long id = connection(r, role);
    ck_assert_uint_gt(id, 0);
    ck_assert_str_eq(real_ask(r, "CLIENT KILL ID %llu", id), "1");
    size_t count = 0;
    while (connection(r, role) == 0 || connection(r, role) == id) {
        fake_pass(&none, 5);
        ck_assert_uint_lt(count++, 1000);
    }
}

/* Settling. */

static void on_settled(void *arg)
{
    ck_assert_msg(lane_is_dirty(lane, 0, BYTES("new")), "settled, and a change was not heard of");
    on_called(arg);
}

START_TEST(test_settled_is_marked_not_copied)
{
    begin_servers();
    new_lane();
    ck_assert_int_eq(lane_settle(lane, on_called, NULL), -ENOTCONN);
    fake_until(&none, &lives, 1);
    lane_pause(lane, true);
    real_ask(&source, "SET new x");
    ck_assert_int_eq(lane_settle(lane, on_settled, NULL), 0);
    ck_assert_int_eq(lane_drain(lane, on_called, &calls), 0);
    fake_until(&none, &calls, 1);
    fake_pass(&none, 200);
    ck_assert_uint_eq(calls, 1);
    ck_assert_str_eq(real_ask(&target, "EXISTS new"), "0");
    lane_pause(lane, false);
    fake_until(&none, &calls, 2);
    ck_assert_str_eq(real_ask(&target, "GET new"), "x");
    end();
}
END_TEST

START_TEST(test_settling_begins_again_after_a_gap)
{
    begin();
    ck_assert_int_eq(lane_settle(lane, on_called, NULL), 0);
    lane_gap(lane, "a test");
    ck_assert_int_eq(lane_settle(lane, on_called, NULL), -ENOTCONN);
    fake_until(&none, &calls, 1);
    ck_assert_uint_eq(lives, 2);
    ck_assert_int_eq(lane_settle(lane, on_called, &lives), 0);
    lane_drain_cancel(lane, &lives);
    fake_pass(&none, 200);
    ck_assert_uint_eq(calls, 1);
    end();
}
END_TEST

/* What was told, and what was copied. */

static void expect_told(bool told)
{
    static struct lane_generation before;
    struct lane_generation now;

    drain();
    lane_generation(lane, &now);
    ck_assert_uint_eq(now.gaps, 0);
    ck_assert_msg((now.marks != before.marks) == told, "%llu, before %llu", (unsigned long long)now.marks,
                  (unsigned long long)before.marks);
    before = now;
}

START_TEST(test_generation)
{
    begin();
    real_ask(&source, "XADD stream 1-1 f v");
    real_ask(&source, "XGROUP CREATE stream g 0");
    real_ask(&source, "XREADGROUP GROUP g c STREAMS stream >");
    struct lane_generation first;
    lane_generation(lane, &first);
    drain();
    expect_told(true);
    expect_told(false);
    real_ask(&source, "GET key:1");
    expect_told(false);
    real_ask(&source, "SET key:1 y");
    expect_told(true);
    real_ask(&source, "XACK stream g 1-1");
    expect_told(true);
    expect_told(false);
    lane_mark(lane, 0, BYTES("key:1")); /* our own does not count */
    expect_told(false);
    const struct bytes load[] = {
        BYTES("FUNCTION"), BYTES("LOAD"),
        BYTES("#!lua name=l\nredis.register_function('f', function() return 1 end)")};
    ck_assert(bytes_is(real_request(&source, ARRAY_LEN(load), load)->text, "l"));
    expect_told(true);
    expect_told(false);
    lane_gap(lane, "a test");
    struct lane_generation last;
    lane_generation(lane, &last);
    ck_assert_uint_eq(last.gaps, first.gaps + 1);
    end();
}
END_TEST

static uint64_t write_calls(void)
{
    drain();
    const struct watch_sample *s = lane_last_sample(lane, LANE_SOURCE, source.endpoint.url.text);
    ck_assert(s && s->has_stats);
    return s->write_calls;
}

START_TEST(test_our_own_calls_are_no_writes)
{
    static const enum feed_kind feeds[] = {FEED_NOTIFY, FEED_TRACKING};

    for (size_t i = 0; i < ARRAY_LEN(feeds); i++) {
        opt.feed = feeds[i];
        begin();
        real_ask(&source, "XADD stream 1-1 f v");
        real_ask(&source, "XGROUP CREATE stream g 0");
        uint64_t before = write_calls();
        real_ask(&source, "GET key:1");
        lives = 0;
        lane_gap(lane, "a test"); /* all that a lane ever does to its source is done again */
        fake_until(&none, &lives, 1);
        lane_mark(lane, 0, BYTES("stream"));
        ck_assert_uint_eq(write_calls(), before);
        real_ask(&source, "SET key:1 y");
        ck_assert_uint_eq(write_calls(), before + 1);
        lane_free(lane);
        new_lane(); /* and its beginning, and its end */
        fake_until(&none, &lives, 2);
        ck_assert_uint_eq(write_calls(), before + 1);
        end();
    }
}
END_TEST

static bool take_recent(int db, struct bytes key, void *arg)
{
    size_t *left = arg;
    kit_tell("%d %.*s", db, (int)key.len, key.ptr);
    return --*left;
}

START_TEST(test_recent)
{
    size_t most = 3, all = SIZE_MAX;

    begin();
    lane_each_recent(lane, take_recent, &all);
    ck_assert_uint_eq(SIZE_MAX - all, 100);
    kit_forget();
    real_ask(&source, "SET a x");
    drain();
    real_ask(&source, "SELECT 5");
    real_ask(&source, "SET b x");
    drain();
    real_ask(&source, "SELECT 0");
    real_ask(&source, "DEL key:7");
    drain();
    real_ask(&source, "SET a y");
    drain();
    lane_each_recent(lane, take_recent, &most);
    ck_assert_str_eq(kit.text, "0 a\n0 key:7\n5 b\n");
    end();
    kit_end();
}
END_TEST

/* Values from the stream (R12). */

static unsigned long long reads(void)
{
    return calls_of(&source, "get") + calls_of(&source, "mget") + calls_of(&source, "dump");
}

static void set_many(const char *prefix, unsigned n)
{
    real_ask(&source, "EVAL for\ti=1,ARGV[2]\tdo\tredis.call('SET',ARGV[1]..i,i)\tend 0 %s %u", prefix, n);
}

static unsigned long long on_target(void)
{
    return strtoull(real_ask(&target, "DBSIZE"), NULL, 10);
}

/* There is room for one key, in the turn of the loop in which the stream brings one, and another waits. */
START_TEST(test_limited_values_wait_for_their_turn)
{
    opt.feed = FEED_PSYNC;
    begin();
    real_ask(&source, "SET key:1 x");
    drain();
    unsigned long long before = reads();
    real_ask(&source, "SET key:2 x");
    drain();
    ck_assert_uint_eq(reads(), before);
    lane_limits(lane, opt.memory, 1, 0);
    real_ask(&source, "SET first x");
    real_ask(&source, "HSET cold f v");
    while (!lane_is_dirty(lane, 0, BYTES("cold")))
        fake_pass(&none, 1);
    usleep(1500000); /* the rate has room for one again, and nobody has looked yet */
    real_ask(&source, "SET later x");
    while (strcmp(real_ask(&target, "EXISTS cold later"), "0") == 0)
        fake_pass(&none, 1);
    ck_assert_msg(strcmp(real_ask(&target, "EXISTS cold"), "1") == 0, "what came later went before it");
    lane_limits(lane, opt.memory, 0, 0);
    drain();
    end();
}
END_TEST

/* What is written beside a first copy rests; the rate has room for the next key long before that is ripe. */
START_TEST(test_a_limited_copy_goes_on_when_writers_rest)
{
    opt.coalesce_us = 2000;
    opt.keys_per_s = 50;
    begin_servers();
    set_many("cold", 2000);
    new_lane();
    while (on_target() < 10)
        fake_pass(&none, 1);
    for (unsigned i = 0; i < 4; i++) {
        set_many("hot", 1000);
        fake_pass(&none, 60);
    }
    unsigned long long before = on_target();
    fake_pass(&none, 2000);
    ck_assert_uint_ge(on_target(), before + 50);
    lane_limits(lane, opt.memory, 0, 0);
    fake_until(&none, &lives, 1);
    drain();
    ck_assert_uint_eq(on_target(), 3000);
    end();
}
END_TEST

/* The seal. */

static void on_seal(int err, const char *why, void *arg)
{
    (void)arg;
    seal_err = err;
    snprintf(seal_why, sizeof(seal_why), "%s", why);
    sealed++;
}

static const char *what = "the seal"; /* is wrong, if the next one does not end as wanted */

static void seal_with(struct lane_confirm confirm, int wanted)
{
    size_t before = sealed;
    ck_assert_int_eq(lane_seal(lane, &confirm, on_seal, NULL), 0);
    fake_until(&none, &sealed, before + 1);
    ck_assert_msg(seal_err == wanted, "%s: %d, not %d: %s", what, seal_err, wanted, seal_why);
}

static const struct lane_confirm no_proof;

static void expect_equal(void)
{
    static const char script[] =
        "local all = redis.call('KEYS', '*') table.sort(all) local sum = #all .. ':' "
        "for _, k in ipairs(all) do sum = redis.sha1hex(sum .. k .. redis.call('DUMP', k)) end return sum";
    const struct bytes argv[] = {BYTES("EVAL"), bytes_str(script), BYTES("0")};
    char digest[64];
    snprintf(digest, sizeof(digest), "%s", real_request(&source, ARRAY_LEN(argv), argv)->text.ptr);
    ck_assert_str_eq(real_request(&target, ARRAY_LEN(argv), argv)->text.ptr, digest);
}

static void expect_key(const char *name, const char *value)
{
    ck_assert_str_eq(real_ask(&target, "GET %s", name), value);
}

START_TEST(test_not_while_something_is_pending)
{
    begin_servers();
    new_lane();
    ck_assert_int_eq(lane_seal(lane, &no_proof, on_seal, NULL), -EBUSY);
    fake_until(&none, &lives, 1);
    drain();
    lane_mark(lane, 0, BYTES("key:1"));
    ck_assert_int_eq(lane_seal(lane, &no_proof, on_seal, NULL), -EBUSY);
    drain();
    seal_with(no_proof, 0);
    ck_assert_int_eq(lane_seal(lane, &no_proof, on_seal, NULL), -EBUSY);
    end();
}
END_TEST

START_TEST(test_nothing_is_sent_after_the_seal)
{
    begin();
    real_ask(&source, "SET last x");
    drain();
    seal_with(no_proof, 0);
    ck_assert_uint_gt(connection(&source, "watch"), 0);
    ck_assert_msg(!strstr(real_ask(&target, "CLIENT LIST"), "riotd:"), "a connection to the target is left");
    unsigned long long commands = info(&target, "stats", "total_commands_processed");
    unsigned long long connections = info(&target, "stats", "total_connections_received");
    real_ask(&source, "SET late x");
    lane_gap(lane, "a test");
    ck_assert_int_eq(lane_drain(lane, on_called, &gaps), 0);
    const char *to = target.endpoint.url.text;
    lane_approve(lane, LANE_TARGET, to, lane_approved(lane, LANE_TARGET, to));
    lane_retry(lane);
    fake_pass(&none, 2500);
    ck_assert_msg(info(&target, "stats", "total_commands_processed") == commands + 2 &&
                      info(&target, "stats", "total_connections_received") == connections,
                  "something was sent after the seal");
    ck_assert_str_eq(real_ask(&target, "EXISTS late"), "0");
    expect_key("last", "x");
    ck_assert(lane_is_dirty(lane, 0, BYTES("late")));
    ck_assert_uint_eq(target_down, 0);
    end();
}
END_TEST

START_TEST(test_unsealed_goes_on_without_a_gap)
{
    begin();
    drain();
    lives = gaps = 0;
    for (unsigned i = 0; i < 3; i++) {
        seal_with(no_proof, 0);
        real_ask(&source, "SET late:%u x", i);
        fake_pass(&none, 10 + 1500 * i);
        lane_unseal(lane);
        drain();
        ck_assert_str_eq(real_ask(&target, "GET late:%u", i), "x");
    }
    expect_equal();
    ck_assert_uint_eq(lives + gaps + target_down, 0);
    end();
}
END_TEST

START_TEST(test_unsealed_finds_what_became_of_the_target)
{
    begin();
    drain();
    seal_with(no_proof, 0);
    real_ask(&target, "FLUSHALL");
    gaps = lives = 0;
    lane_unseal(lane);
    fake_until(&none, &lives, 1);
    ck_assert_uint_eq(gaps, 1);
    expect_equal();
    end();
}
END_TEST

START_TEST(test_a_target_that_changed_is_not_sealed)
{
    begin();
    drain();
    gaps = lives = 0;
    real_ask(&target, "FLUSHDB");
    what = "sealed, and the target had been flushed";
    seal_with(no_proof, -ECANCELED);
    ck_assert_uint_eq(gaps, 1);
    ck_assert_msg(strstr(seal_why, "flushed") != NULL, "%s", seal_why);
    fake_until(&none, &lives, 1);
    expect_equal();
    end();
}
END_TEST

/* WAIT. */

static struct real replica;
static const struct lane_confirm one = {.replicas = 1, .timeout_ms = 4000};

static unsigned free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    close(fd);
    return ntohs(addr.sin_port);
}

/* Before the lane: the first replica makes the target begin a history. */
static void begin_with_replica(void)
{
    unsigned port = free_port(), tries = 0;

    begin_servers();
    real_begin(&replica, "replica");
    ck_assert_str_eq(real_ask(&target, "CONFIG SET repl-diskless-sync-delay 0"), "OK");
    ck_assert_str_eq(real_ask(&target, "CONFIG SET port %u", port), "OK");
    ck_assert_str_eq(real_ask(&replica, "REPLICAOF 127.0.0.1 %u", port), "OK");
    while (!strstr(real_ask(&target, "INFO replication"), "state=online")) {
        fake_pass(&none, 10);
        ck_assert_uint_lt(tries++, 1000);
    }
    fill_and_begin();
}

START_TEST(test_replicas_must_have_it)
{
    const struct lane_confirm two = {.replicas = 2, .timeout_ms = 300};

    begin_with_replica();
    drain();
    seal_with(one, 0);
    lane_unseal(lane);
    drain();
    seal_with(two, -ETIMEDOUT);
    ck_assert_msg(strstr(seal_why, "1 of the target's replicas") != NULL, "%s", seal_why);
    drain();
    expect_equal();
    real_end(&replica);
    end();
}
END_TEST

START_TEST(test_a_replica_that_has_it_not)
{
    const struct lane_confirm soon = {.replicas = 1, .timeout_ms = 300};

    begin_with_replica();
    drain();
    kill(replica.pid, SIGSTOP);
    real_ask(&source, "SET last x");
    drain();
    what = "sealed, and a replica has it not";
    seal_with(soon, -ETIMEDOUT);
    kill(replica.pid, SIGCONT);
    seal_with(one, 0);
    ck_assert_str_eq(real_ask(&replica, "GET last"), "x");
    real_end(&replica);
    end();
}
END_TEST

static unsigned long long sets_of(struct real *r)
{
    return calls_of(r, "set") + calls_of(r, "mset");
}

/* WAIT on a connection that has not written proves nothing, so one of the latest keys is written once more.
 */
START_TEST(test_where_a_connection_was_lost_something_is_written_over_the_new_one)
{
    begin_with_replica();
    real_ask(&source, "SET last x");
    real_ask(&source, "DEL key:7");
    drain();
    kill_connection(&target, "write");
    drain();
    unsigned long long before = sets_of(&target);
    seal_with(one, 0);
    ck_assert_msg(sets_of(&target) > before, "WAIT on a connection that has not written");
    before = sets_of(&target);
    lane_unseal(lane);
    drain();
    seal_with(no_proof, 0); /* nothing is asked for: nothing is written */
    ck_assert_uint_eq(sets_of(&target), before);
    real_end(&replica);
    end();
}
END_TEST

/* The replica sleeps until a change of the source was heard of. */
START_TEST(test_what_is_marked_meanwhile_is_not_sealed)
{
    begin_with_replica();
    kill(replica.pid, SIGSTOP);
    real_ask(&source, "SET last x");
    drain();
    ck_assert_int_eq(lane_seal(lane, &one, on_seal, NULL), 0);
    fake_pass(&none, 50);
    real_ask(&source, "SET late x");
    unsigned tries = 0;
    while (!lane_is_dirty(lane, 0, BYTES("late"))) {
        fake_pass(&none, 5);
        ck_assert_uint_lt(tries++, 200);
    }
    kill(replica.pid, SIGCONT);
    fake_until(&none, &sealed, 1);
    ck_assert_msg(seal_err == -EAGAIN, "sealed, and a key was marked: %s", seal_why);
    drain();
    expect_key("late", "x");
    real_end(&replica);
    end();
}
END_TEST

/* Its barrier would ask for functions once more, and so call off what is nearly done. */
START_TEST(test_a_drain_meanwhile_waits)
{
    begin_with_replica();
    kill(replica.pid, SIGSTOP);
    real_ask(&source, "SET last x");
    drain();
    calls = 0;
    ck_assert_int_eq(lane_seal(lane, &one, on_seal, NULL), 0);
    ck_assert_int_eq(lane_drain(lane, on_called, NULL), 0);
    fake_pass(&none, 200);
    kill(replica.pid, SIGCONT);
    fake_until(&none, &sealed, 1);
    ck_assert_msg(seal_err == 0, "%s", seal_why);
    ck_assert_uint_eq(calls, 0);
    lane_unseal(lane);
    fake_until(&none, &calls, 1);
    real_end(&replica);
    end();
}
END_TEST

START_TEST(test_functions_are_confirmed_too)
{
    const struct bytes load[] = {
        BYTES("FUNCTION"), BYTES("LOAD"),
        BYTES("#!lua name=l\nredis.register_function('f', function() return 1 end)")};

    begin_with_replica();
    ck_assert(bytes_is(real_request(&source, ARRAY_LEN(load), load)->text, "l"));
    drain();
    unsigned long long before = calls_of(&target, "wait");
    seal_with(one, 0);
    ck_assert_uint_eq(calls_of(&target, "wait"), before + 2);
    real_end(&replica);
    end();
}
END_TEST

START_TEST(test_append_only_file)
{
    const struct lane_confirm aof = {.aof = true, .timeout_ms = 3000};
    bool knows;

    begin();
    drain();
    knows = strncmp(real_ask(&target, "WAITAOF 0 0 1"), "ERR unknown", 11) != 0;
    seal_with(aof, -ENOTSUP);
    ck_assert_msg(strncmp(seal_why, "WAITAOF: ERR", 12) == 0, "%s", seal_why);
    if (knows) {
        ck_assert_str_eq(real_ask(&target, "CONFIG SET appendonly yes"), "OK");
        real_ask(&source, "SET last x");
        drain();
        seal_with(aof, 0);
    }
    end();
}
END_TEST

/* What is lost, or ended, while it is confirmed. */

static void begin_confirming(unsigned timeout_ms)
{
    const struct lane_confirm never = {.replicas = 9, .timeout_ms = timeout_ms};
    begin();
    drain();
    ck_assert_int_eq(lane_seal(lane, &never, on_seal, NULL), 0);
    unsigned tries = 0;
    while (!strstr(real_ask(&target, "CLIENT LIST"), "cmd=wait")) {
        fake_pass(&none, 2);
        ck_assert_uint_lt(tries++, 1000);
    }
}

START_TEST(test_a_lost_connection_seals_nothing)
{
    begin_confirming(20000);
    kill_connection(&target, "write");
    ck_assert_uint_eq(sealed, 1);
    ck_assert_int_eq(seal_err, -ENOTCONN);
    drain();
    seal_with(no_proof, 0);
    end();
}
END_TEST

START_TEST(test_ended_while_it_is_confirmed)
{
    begin_confirming(400);
    lane_unseal(lane);
    real_ask(&source, "SET late x");
    drain();
    expect_key("late", "x");
    ck_assert_uint_eq(sealed, 0);
    seal_with(no_proof, 0);
    ck_assert_uint_eq(sealed, 1);
    end();
}
END_TEST

START_TEST(test_marks_wait_while_it_is_confirmed)
{
    static struct lane_status status;

    begin_confirming(600);
    real_ask(&source, "SET late x");
    fake_pass(&none, 200);
    lane_status(lane, &status);
    ck_assert_msg(status.counts.queued == 1 && !status.counts.in_flight,
                  "copied while its end is being confirmed");
    ck_assert_uint_eq(sealed, 0);
    fake_until(&none, &sealed, 1);
    ck_assert_int_eq(seal_err, -ETIMEDOUT);
    drain();
    expect_key("late", "x");
    end();
}
END_TEST

/* R2: where nobody can say that a lost connection is dead. */
START_TEST(test_what_may_come_late_is_waited_for)
{
    begin_servers();
    ck_assert_str_eq(real_ask(&target, "ACL SETUSER riot on >secret ~* &* +@all -client|kill -client|list"),
                     "OK");
    target.endpoint.url.user = (char *)(uintptr_t)"riot";
    target.endpoint.password = (char *)(uintptr_t)"secret";
    target.endpoint.timeout_ms = 500;
    new_lane();
    fake_until(&none, &lives, 1);
    drain();
    seal_with(no_proof, 0); /* nothing was lost */
    lane_unseal(lane);
    drain();
    seal_with(no_proof, 0); /* nor is what was closed with no answer due */
    lane_unseal(lane);
    drain();
    kill_connection(&target, "write");
    drain();
    uint64_t lost_us = clock_mono_us();
    what = "sealed, and a lost connection may still write";
    seal_with(no_proof, -EBUSY);
    ck_assert_msg(strstr(seal_why, "CLIENT KILL") != NULL, "%s", seal_why);
    fake_pass(&none, 1200);
    ck_assert_uint_ge(clock_mono_us() - lost_us, 1000000);
    seal_with(no_proof, 0);
    end();
}
END_TEST

static bool one_waits(void)
{
    static struct lane_status status;

    lane_status(lane, &status);
    return status.counts.waiting == 1;
}

/* As while it is looked at who took over, which is soon known: no pass is worth that. */
START_TEST(test_a_deletion_waits_for_a_short_hold)
{
    begin();
    drain();
    lane_hold_deletes(lane, true);
    real_ask(&source, "DEL key:1");
    for (unsigned i = 0; i < 400 && !one_waits(); i++)
        fake_pass(&none, 5);
    ck_assert(one_waits());
    lane_hold_deletes(lane, false);
    drain();
    ck_assert_str_eq(real_ask(&target, "EXISTS key:1"), "0");
    ck_assert_msg(gaps == 0, "all keys were gone through for a hold of a moment");
    lane_hold_deletes(lane, true);
    fake_pass(&none, 3200);
    real_ask(&source, "DEL key:2"); /* for longer, memory is not to be filled with them */
    fake_pass(&none, 300);
    ck_assert(!one_waits());
    ck_assert_str_eq(real_ask(&target, "EXISTS key:2"), "1");
    lane_hold_deletes(lane, false);
    fake_until(&none, &lives, 2);
    drain();
    ck_assert_str_eq(real_ask(&target, "EXISTS key:2"), "0");
    end();
}
END_TEST

UNIT_MAIN("copy/lane", test_a_deletion_waits_for_a_short_hold, test_limited_values_wait_for_their_turn,
          test_a_limited_copy_goes_on_when_writers_rest, test_settled_is_marked_not_copied,
          test_settling_begins_again_after_a_gap, test_generation, test_our_own_calls_are_no_writes,
          test_recent, test_not_while_something_is_pending, test_nothing_is_sent_after_the_seal,
          test_unsealed_goes_on_without_a_gap, test_unsealed_finds_what_became_of_the_target,
          test_a_target_that_changed_is_not_sealed, test_what_is_marked_meanwhile_is_not_sealed,
          test_replicas_must_have_it, test_a_replica_that_has_it_not,
          test_where_a_connection_was_lost_something_is_written_over_the_new_one,
          test_a_drain_meanwhile_waits, test_functions_are_confirmed_too, test_append_only_file,
          test_a_lost_connection_seals_nothing, test_ended_while_it_is_confirmed,
          test_marks_wait_while_it_is_confirmed, test_what_may_come_late_is_waited_for)
