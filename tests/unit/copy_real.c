#include <errno.h>

#include "lib/copy/reader.h"
#include "lib/copy/sweep.h"
#include "lib/copy/writer.h"
#include "tests/unit/copy_kit.h"
#include "tests/unit/copy_server.h"

/* The pieces against real servers: passes that must see each key, and a reader that hands on to a writer. */

static struct fake none; /* for its loop only */
static struct real source, target;
static struct dirty *set;
static struct reader *reader;
static struct writer *writer;
static size_t ups, finished, seen, copied;

static void begin_servers(void)
{
    ups = finished = seen = copied = 0;
    fake_init(&none);
    real_begin(&source, "source");
    real_begin(&target, "target");
    ck_assert_int_eq(dirty_new((struct hash_seed){1, 2}, 64 * MIB, &set), 0);
}

static void end_servers(void)
{
    set = dirty_free(set);
    real_end(&target);
    real_end(&source);
    fake_done(&none);
    kit_end();
}

static void set_key(struct real *r, struct bytes key, struct bytes value)
{
    const struct bytes argv[] = {BYTES("SET"), key, value};
    ck_assert(reply_is_ok(real_request(r, 3, argv)));
}

static const char *eval(struct real *r, int db, const char *script)
{
    const struct bytes argv[] = {BYTES("EVAL"), bytes_str(script), BYTES("0")};

    real_ask(r, "SELECT %d", db);
    const struct reply *reply = real_request(r, ARRAY_LEN(argv), argv);
    ck_assert_msg(reply->type != REPLY_ERROR, "%s", reply->text.ptr);
    return reply->text.ptr;
}

#define POPULATE(count, bytes)                                                                               \
    "for i = 0, " #count " - 1 do redis.call('SET', 'key:' .. i, i .. string.rep('v', " #bytes ")) end"

static void mark(int db, struct bytes key)
{
    ck_assert_int_eq(dirty_mark(set, DIRTY_LIVE, db, key, 1), 0);
}

static size_t marked(void)
{
    struct dirty_counts c;
    dirty_counts(set, &c);
    return dirty_pending(&c);
}

static int identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                      void *arg)
{
    (void)c, (void)id, (void)client_id, (void)why, (void)arg;
    return 0;
}

/* Passes. */

static struct scanner *scanner;
static struct sweep *sweep;

static void on_key(int db, struct bytes key, void *arg)
{
    (void)arg;
    seen++;
    mark(db, key);
}

static void on_scan_page(void *arg)
{
    (void)arg;
    scanner_next(scanner);
}

static void on_sweep_page(void *arg)
{
    (void)arg;
    if (seen++ == 3)
        real_ask(&source, "CLIENT KILL TYPE normal SKIPME yes");
    sweep_next(sweep);
}

static void on_done(void *arg)
{
    (void)arg;
    finished++;
}

static void on_lost(const char *why, void *arg)
{
    (void)arg;
    ck_abort_msg("lost: %s", why);
}

static const int dbs[] = {0, 7, 15};

START_TEST(test_scan_sees_every_key)
{
    static const struct scanner_events events = {
        .key = on_key, .page = on_scan_page, .done = on_done, .lost = on_lost, .identified = identified};
    static const struct bytes odd[] = {BYTES(""), BYTES("\0"), BYTES("\r\n"), BYTES("\xff\xfe")};
    size_t n = 0;

    begin_servers();
    for (size_t i = 0; i < ARRAY_LEN(dbs); i++) {
        eval(&source, dbs[i], POPULATE(5000, 10));
        n += 5000;
    }
    for (size_t i = 0; i < ARRAY_LEN(odd); i++, n++)
        set_key(&source, odd[i], BYTES("x"));
    ck_assert_int_eq(scanner_new(none.loop, &source.endpoint, "scan", &events, NULL, &scanner), 0);
    ck_assert_int_eq(scanner_begin(scanner, dbs, ARRAY_LEN(dbs), 1000, NULL), 0);
    scanner_next(scanner);
    fake_until(&none, &finished, 1);
    ck_assert_uint_ge(seen, n);
    ck_assert_uint_eq(marked(), n);
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        ck_assert(dirty_has(set, 15, odd[i]));
    scanner = scanner_free(scanner);
    end_servers();
}
END_TEST

static void on_missing(int db, struct bytes key, void *arg)
{
    (void)arg;
    mark(db, key);
}

/* The source's connections are killed in the middle of it. */
START_TEST(test_sweep_finds_what_is_missing)
{
    static const struct sweep_events events = {.missing = on_missing,
                                               .page = on_sweep_page,
                                               .done = on_done,
                                               .lost = on_lost,
                                               .source_identified = identified,
                                               .target_identified = identified};
    char name[32];

    begin_servers();
    for (size_t i = 0; i < ARRAY_LEN(dbs); i++) {
        for (unsigned k = 0; k < 600; k++) {
            int n = snprintf(name, sizeof(name), "key:%u", k);
            real_ask(&target, "SELECT %d", dbs[i]);
            set_key(&target, bytes_of(name, (size_t)n), BYTES("x"));
            if (k % 10 == 0)
                continue;
            real_ask(&source, "SELECT %d", dbs[i]);
            set_key(&source, bytes_of(name, (size_t)n), BYTES("x"));
        }
    }
    ck_assert_int_eq(
        sweep_new(none.loop, &source.endpoint, &target.endpoint, URL_DB_NONE, NULL, &events, NULL, &sweep),
        0);
    ck_assert_int_eq(sweep_begin(sweep, dbs, ARRAY_LEN(dbs), 100, false), 0);
    sweep_next(sweep);
    fake_until(&none, &finished, 1);
    ck_assert_uint_eq(marked(), 3 * 60);
    for (size_t i = 0; i < ARRAY_LEN(dbs); i++)
        for (unsigned k = 0; k < 600; k += 10) {
            int n = snprintf(name, sizeof(name), "key:%u", k);
            ck_assert(dirty_has(set, dbs[i], bytes_of(name, (size_t)n)));
        }
    sweep = sweep_free(sweep);
    end_servers();
}
END_TEST

/* Copies. */

static void pump(void)
{
    while (ups == 2 && !reader_is_full(reader) && !writer_is_full(writer)) {
        struct dirty_key *k = dirty_take(set, UINT64_MAX);
        if (!k)
            return;
        if (reader_read(reader, k) == 0)
            continue;
        dirty_put_back(set, k, 1, 0);
        return;
    }
}

static bool on_ready(struct dirty_key *k, void *arg)
{
    (void)arg;
    return !writer_is_full(writer) && (!k || writer_db(writer, k->db) != WRITER_DB_ASKED);
}

static void on_gone(struct dirty_key *k, void *arg)
{
    (void)arg;
    ck_assert_int_eq(writer_delete(writer, k), 0);
}

static void on_value(struct dirty_key *k, int64_t expire_at_ms, struct bytes payload, void *arg)
{
    (void)arg;
    ck_assert_int_eq(writer_restore(writer, k, expire_at_ms, payload), 0);
}

static bool on_value_begin(struct dirty_key *k, int64_t expire_at_ms, uint64_t length, struct bytes start,
                           void *arg)
{
    (void)start, (void)arg;
    ck_assert_int_eq(writer_restore_begin(writer, k, expire_at_ms, length), 0);
    return true;
}

static void on_value_part(struct bytes part, void *arg)
{
    (void)arg;
    ck_assert_int_eq(writer_restore_part(writer, part), 0);
}

static void on_value_broken(const char *why, void *arg)
{
    (void)arg;
    writer_break(writer, why);
}

static void on_unread(struct dirty_key *k, struct bytes error, void *arg)
{
    (void)arg;
    ck_abort_msg("%s: %.*s", kit_name(k), (int)error.len, error.ptr);
}

static void on_read_lost(struct dirty_key *k, void *arg)
{
    (void)arg;
    dirty_put_back(set, k, 1, 0);
}

static void on_write_lost(struct dirty_key *k, void *arg)
{
    (void)arg;
    dirty_put_lost(set, k, 0);
}

static void on_answered(struct dirty_key *k, struct bytes error, uint64_t bytes, bool deleted, void *arg)
{
    (void)bytes, (void)deleted, (void)arg;
    ck_assert_msg(!error.len, "%s: %.*s", kit_name(k), (int)error.len, error.ptr);
    dirty_done(set, k);
    copied++;
    pump();
}

static void on_up(void *arg)
{
    ups++;
    if (arg == &writer) {
        ck_assert(writer_is_fenced(writer));
        dirty_release_lost(set, 0, 1, 0, false);
        reader_resume(reader);
    }
    pump();
}

static void on_down(const char *why, bool was_up, void *arg)
{
    (void)why;
    ups -= was_up;
    if (arg == &writer && was_up && reader_outstanding(reader))
        reader_reset(reader, "the target is lost");
}

static void on_room(void *arg)
{
    (void)arg;
    reader_resume(reader);
    pump();
}

static void begin_copy(bool atomic)
{
    static const struct reader_events read_events = {.ready = on_ready,
                                                     .gone = on_gone,
                                                     .value = on_value,
                                                     .value_begin = on_value_begin,
                                                     .value_part = on_value_part,
                                                     .value_broken = on_value_broken,
                                                     .failed = on_unread,
                                                     .lost = on_read_lost,
                                                     .identified = identified,
                                                     .up = on_up,
                                                     .down = on_down,
                                                     .room = on_room};
    static const struct writer_events write_events = {.answered = on_answered,
                                                      .lost = on_write_lost,
                                                      .identified = identified,
                                                      .up = on_up,
                                                      .down = on_down,
                                                      .room = on_room};
    const struct reader_options read_opt = {.source = &source.endpoint, .atomic = atomic};
    const struct writer_options write_opt = {
        .target = &target.endpoint, .into_db = URL_DB_NONE, .out_high = 256 * KIB};
    ck_assert_int_eq(reader_new(none.loop, &read_opt, &read_events, &reader, &reader), 0);
    ck_assert_int_eq(writer_new(none.loop, &write_opt, &write_events, &writer, &writer), 0);
}

static void end_copy(void)
{
    reader = reader_free(reader);
    writer = writer_free(writer);
}

static void until_empty(void)
{
    uint64_t until_us = clock_mono_us() + 10000000;
    while (marked()) {
        ck_assert(clock_mono_us() < until_us);
        fake_pass(&none, 2);
    }
}

/* Every database of both is the same: keys, values and expiries. */
static void expect_equal(void)
{
    static const char script[] =
        "local all = redis.call('KEYS', '*') table.sort(all) local sum = #all .. ':' "
        "for _, k in ipairs(all) do sum = redis.sha1hex(sum .. k .. "
        "redis.call('DUMP', k) .. redis.call('PEXPIRETIME', k)) end "
        "return sum";
    char digest[64];
    for (size_t i = 0; i < ARRAY_LEN(dbs); i++) {
        snprintf(digest, sizeof(digest), "%s", eval(&source, dbs[i], script));
        ck_assert_uint_eq(strlen(digest), 40);
        ck_assert_str_eq(eval(&target, dbs[i], script), digest);
    }
}

static const char *const keys[] = {"string", "list", "set", "hash", "zset", "stream", "soon", "gone", "long"};

static void fill(void)
{
    static char big[3000000];

    memset(big, 'v', sizeof(big));
    real_ask(&source, "CONFIG SET rdbcompression no"); /* or it would not be long */
    real_ask(&target, "CONFIG SET rdbcompression no");
    for (size_t i = 0; i < ARRAY_LEN(dbs); i++) {
        real_ask(&source, "SELECT %d", dbs[i]);
        real_ask(&source, "SET string v%zu", i);
        real_ask(&source, "RPUSH list a b c %zu", i);
        real_ask(&source, "SADD set a");
        real_ask(&source, "HSET hash f v g w");
        real_ask(&source, "ZADD zset 1 a 2.5 b");
        real_ask(&source, "XADD stream 1-1 f v");
        real_ask(&source, "XGROUP CREATE stream g 0");
        real_ask(&source, "SET soon x PXAT 33000000000123");
        set_key(&source, BYTES("long"), bytes_of(big, sizeof(big)));
        real_ask(&target, "SELECT %d", dbs[i]);
        real_ask(&target, "SET gone x");
        real_ask(&target, "SET string old PXAT 33000000000000");
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            mark(dbs[i], bytes_str(keys[k]));
        mark(dbs[i], BYTES("\0\r\n"));
        set_key(&source, BYTES("\0\r\n"), BYTES("\0\r\n"));
    }
}

START_TEST(test_copied)
{
    for (unsigned atomic = 0; atomic < 2; atomic++) {
        begin_servers();
        fill();
        begin_copy(atomic);
        until_empty();
        ck_assert_uint_eq(copied, 30);
        expect_equal();
        real_ask(&target, "SELECT 7");
        ck_assert_str_eq(real_ask(&target, "PEXPIRETIME soon"), "33000000000123");
        ck_assert_str_eq(real_ask(&target, "PEXPIRETIME string"), "-1");
        ck_assert_str_eq(real_ask(&target, "EXISTS gone"), "0");
        end_copy();
        end_servers();
    }
}
END_TEST

/* Many times over, while either side's connections are killed again and again. */
START_TEST(test_copied_through_losses)
{
    begin_servers();
    fill();
    eval(&source, 0, POPULATE(10000, 500));
    begin_copy(false);
    for (unsigned round = 0; round < 6; round++) {
        char name[32];
        for (unsigned k = 0; k < 10000; k += 1 + round) {
            int n = snprintf(name, sizeof(name), "key:%u", k);
            mark(0, bytes_of(name, (size_t)n));
        }
        for (size_t i = 0; i < ARRAY_LEN(dbs); i++)
            mark(dbs[i], BYTES("long"));
        pump();
        fake_pass(&none, 1 + 7 * round % 20);
        real_ask(round % 2 ? &source : &target, "CLIENT KILL TYPE normal SKIPME yes");
        fake_pass(&none, 150);
    }
    until_empty();
    expect_equal();
    end_copy();
    end_servers();
}
END_TEST

UNIT_MAIN("copy with real servers", test_scan_sees_every_key, test_sweep_finds_what_is_missing, test_copied,
          test_copied_through_losses)
