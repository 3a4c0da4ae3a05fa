/* redis_fake.h - a scripted Redis server inside the test's own loop, and how a test waits for something.
 *
 * A request is written down in `log` as its words, and answered by the newest rule whose text it begins with.
 * A rule's answer is the bytes to send; FAKE_SILENCE sends none, FAKE_CLOSE closes. fake_init() lays down
 * rules for a handshake.
 */
#ifndef RIOT_TEST_REDIS_FAKE_H
#define RIOT_TEST_REDIS_FAKE_H

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/core/buf.h"
#include "lib/core/clock.h"
#include "lib/core/loop.h"
#include "lib/core/resp.h"
#include "lib/redis/endpoint.h"
#include "tests/unit/unit.h"

#define FAKE_SILENCE ""
#define FAKE_CLOSE   NULL
#define FAKE_INFO    "# Server\r\nredis_version:7.0.15\r\nrun_id:aaaa\r\ntcp_port:1\r\n"
#define FAKE_RULES   64
#define FAKE_CLIENTS 16

struct fake_client {
    struct fake *fake;
    int fd; /* -1: closed */
    struct io *io;
    struct buf in, out;
};

struct fake {
    struct loop *loop;
    int listener;
    struct io *accepting;
    struct timer *drip;  /* set: answers go out a byte a turn */
    bool dripping, deaf; /* deaf: reads nothing */
    size_t accepted;
    struct fake_client clients[FAKE_CLIENTS];
    struct {
        char begins[64];
        char *answer;
    } rules[FAKE_RULES];
    size_t nrules;
    bool (*hook)(struct fake_client *k, const char *line); /* or NULL. True: it has answered, or will */
    struct buf log;                                        /* "CLIENT ID\n..." */
    struct endpoint endpoint;
    char path[108];
    bool own_loop;
};

static inline void fake_rule(struct fake *f, const char *begins, const char *answer)
{
    ck_assert_uint_lt(f->nrules, FAKE_RULES);
    snprintf(f->rules[f->nrules].begins, sizeof(f->rules[0].begins), "%s", begins);
    f->rules[f->nrules].answer = answer ? strdup(answer) : NULL;
    f->nrules++;
}

static inline void fake_bulk(struct fake *f, const char *begins, const char *text)
{
    char answer[8192];
    snprintf(answer, sizeof(answer), "$%zu\r\n%s\r\n", strlen(text), text);
    fake_rule(f, begins, answer);
}

static inline void fake_drop(struct fake_client *k)
{
    if (k->fd < 0)
        return;
    k->io = io_free(k->io);
    close(k->fd);
    k->fd = -1;
    buf_free(&k->in);
    buf_free(&k->out);
}

static inline void fake_write(struct fake_client *k)
{
    size_t n = k->fake->dripping ? MIN(buf_len(&k->out), 1u) : buf_len(&k->out);
    if (k->fd < 0 || n == 0)
        return;
    ssize_t sent = send(k->fd, buf_bytes(&k->out).ptr, n, MSG_NOSIGNAL);
    if (sent > 0)
        buf_consume(&k->out, (size_t)sent);
    if (buf_len(&k->out) > 0)
        timer_set(k->fake->drip, 0);
}

static inline void fake_on_drip(void *arg)
{
    struct fake *f = arg;
    for (size_t i = 0; i < f->accepted; i++)
        fake_write(&f->clients[i]);
}

static inline void fake_send(struct fake_client *k, const char *text)
{
    ck_assert_int_eq(buf_append_str(&k->out, text), 0);
    fake_write(k);
}

static inline struct fake_client *fake_last(struct fake *f)
{
    ck_assert_uint_gt(f->accepted, 0);
    return &f->clients[f->accepted - 1];
}

static inline void fake_answer(struct fake_client *k, const char *line)
{
    struct fake *f = k->fake;
    if (f->hook && f->hook(k, line))
        return;
    for (size_t i = f->nrules; i > 0; i--) {
        if (strncmp(line, f->rules[i - 1].begins, strlen(f->rules[i - 1].begins)) != 0)
            continue;
        if (f->rules[i - 1].answer)
            fake_send(k, f->rules[i - 1].answer);
        else
            fake_drop(k);
        return;
    }
    fake_send(k, "-ERR unknown command\r\n");
}

static inline void fake_request(struct fake_client *k, size_t argc, const struct bytes *argv)
{
    char line[512] = "";
    size_t at = 0;
    for (size_t i = 0; i < argc; i++)
        at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%.*s", i ? " " : "",
                               (int)MIN(argv[i].len, 64u), argv[i].ptr);
    ck_assert_int_eq(buf_printf(&k->fake->log, "%s\n", line), 0);
    fake_answer(k, line);
}

static inline void fake_on_input(unsigned events, void *arg)
{
    struct fake_client *k = arg;
    struct bytes argv[16];
    char *to, scratch[256];
    size_t argc;
    (void)events;

    if (k->fake->deaf) {
        ck_assert_int_eq(io_want(k->io, 0), 0);
        return;
    }
    ck_assert_int_eq(buf_reserve(&k->in, 65536, &to), 0);
    ssize_t got = recv(k->fd, to, 65536, 0);
    if (got <= 0) {
        fake_drop(k);
        return;
    }
    buf_commit(&k->in, (size_t)got);
    while (k->fd >= 0) {
        struct bytes in = buf_bytes(&k->in);
        size_t before = in.len;
        if (resp_request(&in, argv, ARRAY_LEN(argv), scratch, sizeof(scratch), &argc) < 0)
            return;
        fake_request(k, argc, argv);
        if (k->fd >= 0)
            buf_consume(&k->in, before - in.len);
    }
}

static inline void fake_on_accept(unsigned events, void *arg)
{
    struct fake *f = arg;
    (void)events;
    ck_assert_uint_lt(f->accepted, FAKE_CLIENTS);
    struct fake_client *k = &f->clients[f->accepted];
    *k = (struct fake_client){.fake = f, .fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK)};
    ck_assert_int_ge(k->fd, 0);
    buf_init(&k->in, MIB);
    buf_init(&k->out, 64 * MIB);
    ck_assert_int_eq(io_new(f->loop, k->fd, fake_on_input, k, &k->io), 0);
    ck_assert_int_eq(io_want(k->io, IO_READ), 0);
    f->accepted++;
}

static inline void fake_handshake(struct fake *f)
{
    fake_rule(f, "AUTH", "+OK\r\n");
    fake_rule(f, "PING", "+PONG\r\n");
    fake_rule(f, "CLIENT SETNAME", "+OK\r\n");
    fake_rule(f, "CLIENT ID", ":7\r\n");
    fake_rule(f, "CLIENT NO-TOUCH", "+OK\r\n");
    fake_bulk(f, "INFO server", FAKE_INFO);
    fake_bulk(f, "INFO replication", "# Replication\r\nrole:master\r\nmaster_replid:r\r\n");
}

static inline void fake_listen(struct fake *f, int family, const void *addr, socklen_t len)
{
    f->listener = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(f->listener, 0);
    ck_assert_int_eq(bind(f->listener, addr, len), 0);
    ck_assert_int_eq(listen(f->listener, 16), 0);
    ck_assert_int_eq(io_new(f->loop, f->listener, fake_on_accept, f, &f->accepting), 0);
    ck_assert_int_eq(io_want(f->accepting, IO_READ), 0);
}

static inline void fake_listen_unix(struct fake *f)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->path);
    unlink(f->path);
    fake_listen(f, AF_UNIX, &addr, sizeof(addr));
}

/* Listens on TCP instead, of this host. */
static inline void fake_listen_tcp(struct fake *f)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    io_free(f->accepting);
    close(f->listener);
    fake_listen(f, AF_INET, &addr, len);
    ck_assert_int_eq(getsockname(f->listener, (struct sockaddr *)&addr, &len), 0);
    f->endpoint.url = (struct url){
        .host = (char *)"localhost", .port = ntohs(addr.sin_port), .db = URL_DB_NONE, .text = f->path};
}

/* One of several in the same loop, each by a name of its own. */
static inline void fake_init_in(struct fake *f, struct loop *loop, const char *name)
{
    *f = (struct fake){.loop = loop};
    ck_assert_int_eq(timer_new(f->loop, fake_on_drip, f, &f->drip), 0);
    snprintf(f->path, sizeof(f->path), "/tmp/riot-fake-%d%s", (int)getpid(), name);
    buf_init(&f->log, MIB);
    f->endpoint = (struct endpoint){.side = "source",
                                    .url = {.path = f->path, .db = URL_DB_NONE, .text = f->path},
                                    .timeout_ms = 5000,
                                    .client = "riotd:x:1"};
    fake_handshake(f);
    fake_listen_unix(f);
}

static inline void fake_init(struct fake *f)
{
    struct loop *loop;
    ck_assert_int_eq(loop_new(&loop), 0);
    fake_init_in(f, loop, "");
    f->own_loop = true;
}

static inline void fake_done(struct fake *f)
{
    for (size_t i = 0; i < f->accepted; i++)
        fake_drop(&f->clients[i]);
    for (size_t i = 0; i < f->nrules; i++)
        free(f->rules[i].answer);
    io_free(f->accepting);
    close(f->listener);
    unlink(f->path);
    timer_free(f->drip);
    buf_free(&f->log);
    if (f->own_loop)
        loop_free(f->loop);
}

/* All requests since the last call of this. */
static inline const char *fake_log(struct fake *f)
{
    static char text[65536];
    snprintf(text, sizeof(text), "%.*s", (int)buf_len(&f->log), buf_bytes(&f->log).ptr);
    buf_consume(&f->log, buf_len(&f->log));
    return text;
}

static inline size_t fake_count(struct fake *f, const char *what)
{
    size_t count = 0;
    const char *text = fake_log(f);
    for (const char *at = text; (at = strstr(at, what)); at++)
        count++;
    return count;
}

/* Runs the loop until *count is at least n, or fails the test after 10 s. */

struct fake_wait {
    struct loop *loop;
    struct timer *timer;
    const size_t *count;
    size_t n;
    uint64_t until_us;
    bool came;
};

static inline void fake_on_wait(void *arg)
{
    struct fake_wait *w = arg;
    w->came = w->count && *w->count >= w->n;
    if (w->came || clock_mono_us() >= w->until_us)
        loop_stop(w->loop);
    else
        timer_set(w->timer, 500);
}

static inline bool fake_run(struct fake *f, const size_t *count, size_t n, unsigned ms)
{
    struct fake_wait w = {f->loop, NULL, count, n, clock_mono_us() + ms * 1000, false};
    ck_assert_int_eq(timer_new(f->loop, fake_on_wait, &w, &w.timer), 0);
    timer_set(w.timer, 0);
    ck_assert_int_eq(loop_run(f->loop), 0);
    timer_free(w.timer);
    return w.came;
}

#define fake_until(f, count, n) ck_assert_msg(fake_run(f, count, n, 60000), "waited for " #count " >= " #n)
#define fake_pass(f, ms)        (void)fake_run(f, NULL, 0, ms)

#endif
