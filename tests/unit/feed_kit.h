/* feed_kit.h - for the tests of lib/feed: a real server on a Unix socket in a folder of its own, a blocking
 * client, and an owner that writes down what a feed says. Static functions, since each test program is one
 * file.
 */
#ifndef RIOT_FEED_KIT_H
#define RIOT_FEED_KIT_H

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/core/clock.h"
#include "lib/core/resp.h"
#include "lib/feed/feed.h"
#include "lib/redis/info.h"
#include "tests/unit/unit.h"

#define KIT_UNUSED    __attribute__((unused))
#define KIT_PATIENCE  20000000 /* us, for what must happen */
#define KIT_MARKS_MAX 200000

static struct kit {
    char dir[64], socket[96];
    pid_t server;
    int client; /* the blocking client, or -1 */
    char reply[65536];
    bool second; /* kit.reply is to be the second string of a reply */

    struct loop *loop;
    struct timer *poll;
    bool (*wanted)(void);
    uint64_t until_us;
    struct endpoint source;
    struct feed *feed;

    unsigned ready, gap, moved, unusable, groups, functions, samples, chosen, barriers, stops, unreachable;
    unsigned records, warnings;
    int barrier_err, record_err;
    bool put_back;
    enum feed_kind kind;
    char gap_text[200], why[1024], warning[1024];
    struct notify_record record;
    size_t marks, long_keys;
    uint64_t long_length;
    char last_mark[64], long_prefix[64];
    size_t values; /* of the marks, how many told it */
    char last_value[64];
    int64_t last_expiry;
    int last_db;
    uint8_t seen[KIT_MARKS_MAX]; /* marks of keys named "k:NUMBER" */
    struct watch_sample sample;
    void (*on_ready)(void);
    void (*on_gap)(void);
    void (*on_sample)(void);
    struct feed_place place; /* for the next feed to go on from */
} kit;

/* The server */

static const char *kit_binary(void)
{
    const char *path = getenv("RIOT_TEST_SERVER");
    return path != NULL ? path : access("/usr/bin/redis-server", X_OK) == 0 ? "/usr/bin/redis-server" : NULL;
}

static void kit_exec(char *const *extra)
{
    char *argv[64] = {(char *)(uintptr_t)"redis-server",
                      (char *)(uintptr_t)"--port",
                      (char *)(uintptr_t)"0",
                      (char *)(uintptr_t)"--unixsocket",
                      kit.socket,
                      (char *)(uintptr_t)"--dir",
                      kit.dir,
                      (char *)(uintptr_t)"--save",
                      (char *)(uintptr_t)"",
                      (char *)(uintptr_t)"--logfile",
                      (char *)(uintptr_t)"log"};
    size_t n = 11;

    for (; extra != NULL && *extra != NULL && n < 63; extra++)
        argv[n++] = *extra;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* redis-check-rdb of the Debian package is the server itself, under another name. */
    execv(kit_binary() != NULL ? kit_binary() : "/usr/bin/redis-check-rdb", argv);
    _exit(127);
}

static bool kit_connect(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(addr.sun_path, kit.socket, strlen(kit.socket) + 1);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return false;
    }
    kit.client = fd;
    return true;
}

/* Reads one whole reply; its text (of the first string in it) is in kit.reply. */
static void kit_read(void)
{
    static char in[1 << 20];
    struct resp resp;
    struct resp_token t;
    size_t have = 0;
    bool first = true;
    unsigned skip = kit.second;

    kit.reply[0] = '\0';
    resp_init(&resp, sizeof(kit.reply) - 1, 1 << 30, 1 << 20);
    for (;;) {
        struct bytes rest = bytes_of(in, have);
        int r = resp_next(&resp, &rest, &t);
        memmove(in, rest.ptr, rest.len);
        have = rest.len;
        if (r == 0) {
            bool text = t.type == RESP_SIMPLE || t.type == RESP_ERROR || t.type == RESP_BULK;
            if (first && t.type == RESP_INTEGER)
                snprintf(kit.reply, sizeof(kit.reply), "%lld", (long long)t.number);
            if (text && skip > 0) {
                skip--;
                continue;
            }
            if (first && text)
                snprintf(kit.reply, sizeof(kit.reply), "%.*s", (int)t.text.len, t.text.ptr);
            first = first && !text;
            if (t.last)
                return;
            continue;
        }
        ck_assert_int_eq(r, -EAGAIN);
        ssize_t n = read(kit.client, in + have, sizeof(in) - have);
        ck_assert_int_gt(n, 0);
        have += (size_t)n;
    }
}

static const char *kit_send(const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(kit.client, (const char *)data + at, len - at);
        ck_assert_int_gt(n, 0);
        at += (size_t)n;
    }
    kit_read();
    return kit.reply;
}

/* One inline command. */
PRINTF_LIKE(1, 2) static const char *kit_ask(const char *format, ...)
{
    char line[4096];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(line, sizeof(line) - 2, format, args);
    va_end(args);
    memcpy(line + n, "\r\n", 2);
    return kit_send(line, (size_t)n + 2);
}

static void kit_server_start(char *const *extra)
{
    kit.server = fork();
    if (kit.server == 0)
        kit_exec(extra);
    for (int i = 0; i < 1000; i++) {
        if (kit_connect()) {
            if (strncmp(kit_ask("PING"), "LOADING", 7) != 0)
                return;
            close(kit.client);
        }
        usleep(10000);
    }
    ck_abort_msg("the server does not start");
}

static void kit_server_stop(void)
{
    if (kit.client >= 0)
        close(kit.client);
    kit.client = -1;
    if (kit.server > 0) {
        kill(kit.server, SIGKILL);
        waitpid(kit.server, NULL, 0);
    }
    kit.server = 0;
}

/* The owner */

static void kit_on_ready(void *arg)
{
    (void)arg;
    kit.ready++;
    if (kit.on_ready != NULL)
        kit.on_ready();
}

static void kit_on_mark(int db, struct bytes key, void *arg)
{
    uint64_t n;
    (void)arg;

    kit.marks++;
    kit.last_db = db;
    snprintf(kit.last_mark, sizeof(kit.last_mark), "%.*s", (int)MIN(key.len, (size_t)60), key.ptr);
    if (bytes_starts(key, "k:") && bytes_to_u64(bytes_of(key.ptr + 2, key.len - 2), &n) == 0 &&
        n < KIT_MARKS_MAX)
        kit.seen[n] = 1;
}

static void kit_on_value(int db, struct bytes key, struct bytes value, int64_t expire_at_ms, void *arg)
{
    kit.values++;
    kit.last_expiry = expire_at_ms;
    snprintf(kit.last_value, sizeof(kit.last_value), "%.*s", (int)MIN(value.len, (size_t)60), value.ptr);
    kit_on_mark(db, key, arg);
}

static void kit_on_long_key(int db, struct bytes prefix, uint64_t length, void *arg)
{
    (void)arg;
    kit.last_db = db;
    kit.long_keys++;
    kit.long_length = length;
    snprintf(kit.long_prefix, sizeof(kit.long_prefix), "%.*s", (int)MIN(prefix.len, (size_t)60), prefix.ptr);
}

static void kit_on_gap(const char *reason, void *arg)
{
    (void)arg;
    kit.gap++;
    snprintf(kit.gap_text, sizeof(kit.gap_text), "%s", reason);
    if (kit.on_gap != NULL)
        kit.on_gap();
}

static void kit_on_unusable(const char *why, void *arg)
{
    (void)arg;
    kit.unusable++;
    snprintf(kit.why, sizeof(kit.why), "%s", why);
}

static void kit_on_chosen(enum feed_kind kind, void *arg)
{
    (void)arg;
    kit.chosen++;
    kit.kind = kind;
}

static void kit_on_groups(void *arg)
{
    (void)arg;
    kit.groups++;
}

static void kit_on_functions(void *arg)
{
    (void)arg;
    kit.functions++;
}

static void kit_on_sample(const struct watch_sample *s, void *arg)
{
    (void)arg;
    kit.samples++;
    kit.sample = *s;
    if (kit.on_sample != NULL)
        kit.on_sample();
}

static void kit_on_reachable(bool up, const char *why, void *arg)
{
    (void)why;
    (void)arg;
    kit.unreachable += !up;
}

static int kit_on_record(const struct notify_record *rec, void *arg)
{
    (void)arg;
    if (kit.record_err < 0)
        return kit.record_err;
    kit.records++;
    kit.record = *rec;
    return 0;
}

static void kit_on_say(void *arg, enum sink_level level, const char *event, const char *text)
{
    (void)arg;
    (void)event;
    if (level > SINK_WARNING)
        return;
    kit.warnings++;
    snprintf(kit.warning, sizeof(kit.warning), "%s", text);
}

static void kit_on_moved(void *arg)
{
    (void)arg;
    kit.moved++;
}

static const struct feed_events kit_events = {
    .ready = kit_on_ready,
    .mark = kit_on_mark,
    .value = kit_on_value,
    .long_key = kit_on_long_key,
    .gap = kit_on_gap,
    .moved = kit_on_moved,
    .unusable = kit_on_unusable,
    .chosen = kit_on_chosen,
    .groups = kit_on_groups,
    .functions = kit_on_functions,
    .sample = kit_on_sample,
    .reachable = kit_on_reachable,
    .record = kit_on_record,
};
static const struct sink kit_sink = {.say = kit_on_say};

static bool kit_allow_full_sync;

KIT_UNUSED static void kit_feed(enum feed_kind kind)
{
    const struct feed_options opt = {.kind = kind,
                                     .full_sync = kit_allow_full_sync,
                                     .source = &kit.source,
                                     .recorded = kit.record,
                                     .place = kit.place,
                                     .sink = &kit_sink};
    ck_assert_int_eq(feed_new(kit.loop, &opt, &kit_events, NULL, &kit.feed), 0);
}

/* As another user, who may do what the rules say. */
KIT_UNUSED static void kit_user(const char *rules)
{
    ck_assert_str_eq(kit_ask("ACL SETUSER riot on >secret %s", rules), "OK");
    kit.source.url.user = strdup("riot");
    kit.source.password = strdup("secret");
}

/* The loop, until something holds */

static void kit_on_poll(void *arg)
{
    (void)arg;
    if (kit.wanted() || clock_mono_us() > kit.until_us)
        loop_stop(kit.loop);
    else
        timer_set(kit.poll, 2000);
}

static bool kit_within(bool (*wanted)(void), uint64_t us)
{
    kit.wanted = wanted;
    kit.until_us = clock_mono_us() + us;
    timer_set(kit.poll, 0);
    ck_assert_int_eq(loop_run(kit.loop), 0);
    return wanted();
}

#define KIT_UNTIL(wanted)                                                                                    \
    ck_assert_msg(kit_within(wanted, KIT_PATIENCE), #wanted " never came; gap \"%s\" why \"%s\"",            \
                  kit.gap_text, kit.why)

static bool kit_never(void)
{
    return false;
}

KIT_UNUSED static void kit_pass(uint64_t us)
{
    kit_within(kit_never, us);
}

static bool kit_is_ready(void)
{
    struct feed_status s;
    feed_status(kit.feed, &s);
    return strcmp(s.state, "ready") == 0;
}

static bool kit_had_gap(void)
{
    return kit.gap > 0 && kit_is_ready();
}

KIT_UNUSED static bool kit_is_unusable(void)
{
    return kit.unusable > 0;
}

/* Exactly one gap, whose reason holds this text, and ready again. */
KIT_UNUSED static void kit_expect_gap(const char *reason)
{
    KIT_UNTIL(kit_had_gap);
    kit_pass(1500000);
    ck_assert_msg(kit.gap == 1, "%u gaps, last \"%s\"", kit.gap, kit.gap_text);
    ck_assert_msg(strstr(kit.gap_text, reason) != NULL, "\"%s\" is no \"%s\"", kit.gap_text, reason);
    ck_assert(kit_is_ready());
    kit.gap = 0;
}

static void kit_on_barrier(int err, void *arg)
{
    (void)arg;
    kit.barriers++;
    kit.barrier_err = err;
}

static bool kit_had_barrier(void)
{
    return kit.barriers > 0;
}

KIT_UNUSED static void kit_barrier(void)
{
    kit.barriers = 0;
    ck_assert_int_eq(feed_barrier(kit.feed, kit_on_barrier, NULL), 0);
    KIT_UNTIL(kit_had_barrier);
}

static void kit_on_stop(bool put_back, void *arg)
{
    (void)arg;
    kit.stops++;
    kit.put_back = put_back;
}

static bool kit_had_stop(void)
{
    return kit.stops > 0;
}

KIT_UNUSED static void kit_stop(void)
{
    feed_stop(kit.feed, kit_on_stop, NULL);
    KIT_UNTIL(kit_had_stop);
}

/* For on_gap: the feed is freed in its own callback. */
KIT_UNUSED static void kit_free_feed(void)
{
    kit.feed = feed_free(kit.feed);
    kit.on_gap = NULL;
}

KIT_UNUSED static bool kit_is_freed(void)
{
    return kit.feed == NULL;
}

/* The id of the connection with that role, from CLIENT LIST. */
KIT_UNUSED static unsigned long kit_client_of(const char *role)
{
    char name[64];
    const char *list = kit_ask("CLIENT LIST"), *at;

    snprintf(name, sizeof(name), " name=riotd:test:1:%s ", role);
    at = strstr(list, name);
    ck_assert_msg(at != NULL, "no client %s in %s", role, list);
    while (at > list && at[-1] != '\n')
        at--;
    return strtoul(at + 3, NULL, 10);
}

KIT_UNUSED static void kit_kill(const char *role)
{
    ck_assert_str_eq(kit_ask("CLIENT KILL ID %lu", kit_client_of(role)), "1");
}

/* The present notify-keyspace-events. */
KIT_UNUSED static const char *kit_flags(void)
{
    kit.second = true;
    kit_ask("CONFIG GET notify-keyspace-events");
    kit.second = false;
    return kit.reply;
}

static void kit_begin(char *const *extra)
{
    snprintf(kit.dir, sizeof(kit.dir), "/tmp/riot-feed-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(kit.dir));
    snprintf(kit.socket, sizeof(kit.socket), "%s/s", kit.dir);
    kit.client = -1;
    kit_server_start(extra);
    ck_assert_int_eq(loop_new(&kit.loop), 0);
    ck_assert_int_eq(timer_new(kit.loop, kit_on_poll, NULL, &kit.poll), 0);
    kit.source = (struct endpoint){.side = "source", .timeout_ms = 5000, .client = "riotd:test:1"};
    kit.source.url = (struct url){.path = kit.socket, .text = kit.socket, .db = URL_DB_NONE};
}

static void kit_end(void)
{
    kit.feed = feed_free(kit.feed);
    kit.poll = timer_free(kit.poll);
    kit.loop = loop_free(kit.loop);
    kit_server_stop();
    free(kit.source.url.user);
    free(kit.source.password);
    const char *files[] = {"log", "s", "dump.rdb"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", kit.dir, files[i]);
        unlink(path);
    }
    rmdir(kit.dir);
    memset(&kit, 0, sizeof(kit));
}

KIT_UNUSED static void kit_ready(enum feed_kind kind)
{
    kit_feed(kind);
    KIT_UNTIL(kit_is_ready);
    ck_assert_uint_eq(kit.gap, 0);
    ck_assert_uint_eq(kit.ready, 1);
}

#endif
