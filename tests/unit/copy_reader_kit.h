/* copy_reader_kit.h - a reader of a scripted source, whose events are told as a story. */
#ifndef RIOT_COPY_READER_KIT_H
#define RIOT_COPY_READER_KIT_H

#include "lib/copy/reader.h"
#include "tests/unit/copy_kit.h"

#define ALONE_INFO "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:aaaa\r\n"
#define OLD_INFO   "# Server\r\nredis_version:6.2.14\r\nrun_id:aaaa\r\n"

static struct fake source;
static struct reader *reader;
static size_t ups, downs, asked_ready;
static bool is_ready, unwanted, asking;
static uint64_t value_left;
static const char *last_words; /* of the source: to what begins like that it answers, and then never again */
static bool silent;

static bool on_ready(struct dirty_key *k, void *arg)
{
    (void)k;
    (void)arg;
    asked_ready++;
    return is_ready;
}

static void on_gone(struct dirty_key *k, void *arg)
{
    (void)arg;
    kit_tell("gone %s", kit_name(k));
}

static void on_value(struct dirty_key *k, int64_t expire_at_ms, struct bytes payload, void *arg)
{
    char text[64];
    (void)arg;
    kit_tell("value %s %lld %s", kit_name(k), (long long)expire_at_ms,
             bytes_escape(payload, text, sizeof(text)));
}

static bool on_value_begin(struct dirty_key *k, int64_t expire_at_ms, uint64_t length, struct bytes start,
                           void *arg)
{
    (void)arg;
    ck_assert_uint_gt(start.len, 0);
    kit_tell("begin %s %lld %llu", kit_name(k), (long long)expire_at_ms, (unsigned long long)length);
    ck_assert_uint_eq(value_left, 0);
    if (!unwanted)
        value_left = length;
    return !unwanted;
}

static void on_value_part(struct bytes part, void *arg)
{
    (void)arg;
    ck_assert_uint_gt(part.len, 0);
    ck_assert_uint_le(part.len, value_left);
    for (size_t i = 0; i < part.len; i++)
        if (part.ptr[i] != 'x')
            ck_abort_msg("not the value's bytes");
    value_left -= part.len;
    if (!value_left)
        kit_tell("end");
}

static void on_value_broken(const char *why, void *arg)
{
    (void)arg;
    ck_assert_uint_gt(value_left, 0);
    value_left = 0;
    kit_tell("broken: %s", why);
}

static void on_failed(struct dirty_key *k, struct bytes error, void *arg)
{
    char text[100];
    (void)arg;
    kit_tell("failed %s %s", kit_name(k), bytes_escape(error, text, sizeof(text)));
}

static void on_lost(struct dirty_key *k, void *arg)
{
    (void)arg;
    kit_tell("lost %s", kit_name(k));
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    (void)c, (void)id, (void)client_id, (void)why, (void)arg;
    return 0;
}

static void on_up(void *arg)
{
    (void)arg;
    ups++;
}

static void on_down(const char *why, bool was_up, void *arg)
{
    (void)arg;
    downs++;
    if (was_up)
        kit_tell("down: %s", why);
}

static void on_room(void *arg)
{
    (void)arg;
    kit_tell("room");
}

static bool on_line(struct fake_client *k, const char *line)
{
    bool was_silent = silent;
    (void)k;
    silent = silent || (last_words && strncmp(line, last_words, strlen(last_words)) == 0);
    return was_silent;
}

/* Closes, once it has said its last words and they were seen. */
KIT_UNUSED static void close_after(const char *begins, const char *answer, const char *story)
{
    last_words = begins;
    fake_rule(&source, begins, answer);
    while (!silent)
        fake_pass(&source, 1);
    kit_expect(&source, story);
    fake_pass(&source, 10);
    fake_drop(fake_last(&source));
    last_words = NULL;
    silent = false;
}

static void set_up(bool atomic, const char *info)
{
    static const struct reader_events events = {.ready = on_ready,
                                                .gone = on_gone,
                                                .value = on_value,
                                                .value_begin = on_value_begin,
                                                .value_part = on_value_part,
                                                .value_broken = on_value_broken,
                                                .failed = on_failed,
                                                .lost = on_lost,
                                                .identified = on_identified,
                                                .up = on_up,
                                                .down = on_down,
                                                .room = on_room};
    const struct reader_options opt = {.source = &source.endpoint, .atomic = atomic, .asking = asking};

    fake_init(&source);
    fake_bulk(&source, "INFO server", info);
    fake_rule(&source, "SELECT", "+OK\r\n");
    fake_rule(&source, "ASKING", "+OK\r\n");
    fake_rule(&source, "MULTI", "+OK\r\n");
    fake_rule(&source, "TIME", "+QUEUED\r\n");
    fake_rule(&source, "PEXPIRETIME", ":-1\r\n");
    fake_rule(&source, "PTTL", "+QUEUED\r\n");
    fake_rule(&source, "DUMP", "$-1\r\n");
    source.hook = on_line;
    ups = downs = asked_ready = value_left = 0;
    is_ready = true;
    unwanted = silent = false;
    last_words = NULL;
    ck_assert_int_eq(reader_new(source.loop, &opt, &events, NULL, &reader), 0);
    fake_until(&source, &ups, 1);
    ck_assert(reader_is_up(reader) && !reader_is_full(reader));
    (void)fake_log(&source);
}

static void set_up_plain(void)
{
    set_up(false, FAKE_INFO);
}

KIT_UNUSED static void set_up_multi(void)
{
    set_up(true, FAKE_INFO);
    fake_rule(&source, "PEXPIRETIME", "+QUEUED\r\n");
    fake_rule(&source, "DUMP", "+QUEUED\r\n");
}

KIT_UNUSED static void set_up_old(void)
{
    set_up(false, OLD_INFO);
    fake_rule(&source, "DUMP", "+QUEUED\r\n");
}

static void tear_down(void)
{
    reader = reader_free(reader);
    fake_done(&source);
    kit_end();
}

static void read_key(int db, const char *name)
{
    ck_assert_int_eq(reader_read(reader, kit_key(db, name)), 0);
}

static void expect(const char *story)
{
    kit_expect(&source, story);
    ck_assert_uint_eq(reader_outstanding(reader), 0);
}

#endif
