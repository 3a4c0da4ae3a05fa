/* copy_server.h - for the tests of lib/copy: real servers, each on a Unix socket in a folder of its own, and
 * a blocking client of each.
 */
#ifndef RIOT_COPY_SERVER_H
#define RIOT_COPY_SERVER_H

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/core/resp.h"
#include "lib/redis/reply.h"
#include "tests/unit/unit.h"

#define REAL_MORE_MAX 24

struct real {
    char dir[64], socket[96];
    uint16_t port;                   /* of TCP; 0: the socket only */
    const char *more[REAL_MORE_MAX]; /* arguments, for this start and the next ones */
    pid_t pid;
    int fd;
    struct endpoint endpoint;
};

static void real_exec(struct real *r)
{
    char port[8];
    const char *argv[12 + REAL_MORE_MAX] = {
        "redis-server", "--port", port, "--unixsocket", r->socket, "--dir",
        r->dir,         "--save", "",   "--logfile",    "log"};
    snprintf(port, sizeof(port), "%u", r->port);
    for (size_t i = 0; i < REAL_MORE_MAX && r->more[i]; i++)
        argv[11 + i] = r->more[i];
    const char *path = getenv("RIOT_TEST_SERVER");

    if (!path)
        path =
            access("/usr/bin/redis-server", X_OK) == 0 ? "/usr/bin/redis-server" : "/usr/bin/redis-check-rdb";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* redis-check-rdb of the Debian package is the server itself, under another name. */
    execv(path, (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool real_connect(struct real *r)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", r->socket);
    r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(r->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
        return true;
    close(r->fd);
    return false;
}

static void real_start(struct real *r)
{
    unsigned tries = 0;

    r->pid = fork();
    if (r->pid == 0)
        real_exec(r);
    while (!real_connect(r)) {
        ck_assert_msg(tries++ < 1000, "the server does not start");
        usleep(10000);
    }
}

static void real_kill(struct real *r)
{
    close(r->fd);
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
}

__attribute__((unused)) static void real_begin(struct real *r, const char *side)
{
    *r = (struct real){.dir = "/tmp/riot-copy-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(r->dir));
    snprintf(r->socket, sizeof(r->socket), "%.60s/s", r->dir);
    real_start(r);
    r->endpoint = (struct endpoint){.side = side,
                                    .url = {.path = r->socket, .db = URL_DB_NONE, .text = r->socket},
                                    .timeout_ms = 5000,
                                    .client = "riotd:x:1"};
}

__attribute__((unused)) static void real_end(struct real *r)
{
    static const char *const files[] = {"log", "s", "dump.rdb", "nodes.conf"};
    char path[160];

    real_kill(r);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof(path), "%.60s/%s", r->dir, files[i]);
        unlink(path);
    }
    rmdir(r->dir);
}

/* One request; the reply is freed by the next one. */
static const struct reply *real_request(struct real *r, size_t argc, const struct bytes *argv)
{
    static struct reply *reply;
    static char in[65536];
    struct reply_reader *reader;
    struct buf out;
    ssize_t n = 1;

    reply_free(reply);
    reply = NULL;
    buf_init(&out, 64 * MIB);
    ck_assert_int_eq(request_append(&out, argc, argv), 0);
    for (; buf_len(&out) && n > 0; buf_consume(&out, (size_t)n))
        n = write(r->fd, buf_bytes(&out).ptr, buf_len(&out));
    buf_free(&out);
    ck_assert_int_eq(reply_reader_new(16 * MIB, MIB, 64 * MIB, &reader), 0);
    while (reply_reader_next(reader, &reply) < 0) {
        n = read(r->fd, in, sizeof(in));
        ck_assert_int_gt(n, 0);
        ck_assert_int_eq(reply_reader_feed(reader, bytes_of(in, (size_t)n)), 0);
    }
    reply_reader_free(reader);
    return reply;
}

/* Words parted by single blanks. The text of the reply, or its number. */
PRINTF_LIKE(2, 3) static const char *real_ask(struct real *r, const char *format, ...)
{
    static char number[32];
    struct bytes argv[64], rest;
    char line[8192];
    size_t argc = 0;
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (rest = bytes_str(line); rest.len; argc++)
        argv[argc] = bytes_cut(&rest, ' ');
    const struct reply *reply = real_request(r, argc, argv);
    if (reply->type != REPLY_INTEGER)
        return reply->text.ptr ? reply->text.ptr : "";
    snprintf(number, sizeof(number), "%lld", (long long)reply->integer);
    return number;
}

/* Another process with the same data. */
__attribute__((unused)) static void real_restart(struct real *r)
{
    ck_assert_str_eq(real_ask(r, "SAVE"), "OK");
    close(r->fd);
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    real_start(r);
    while (strncmp(real_ask(r, "PING"), "PONG", 4) != 0)
        usleep(1000);
}

#endif
