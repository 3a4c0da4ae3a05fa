#include "lib/control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "lib/core/clock.h"
#include "lib/core/text.h"

#define ARGS_MAX 64

struct control {
    redisContext *redis;
    uint64_t timeout_ms;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

PRINTF_LIKE(4, 5)
static void set_error(struct control_error *err, const char *code, enum ctl_exit status, const char *format,
                      ...)
{
    va_list args;

    snprintf(err->code, sizeof(err->code), "%s", code);
    err->exit = status;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
}

static int open_failed(const char *path, int e, struct control_error *err)
{
    struct stat st;

    if (e == -EACCES || e == -EPERM)
        set_error(err, "DENIED", CTL_DENIED, "no permission for %s: be root, or in the group that owns it",
                  path);
    else if (e == -ENOENT || e == -ECONNREFUSED)
        set_error(err, "DOWN", CTL_NOT_RUNNING, "no riotd answers at %s (%s)", path,
                  e == -ENOENT                              ? "there is no such socket"
                  : stat(path, &st) || S_ISSOCK(st.st_mode) ? "the socket is left over"
                                                            : "that is no socket");
    else
        set_error(err, "DOWN", CTL_NOT_RUNNING, "cannot connect to %s: %s", path, strerror(-e));
    return e;
}

static int connect_to(const char *path, uint64_t timeout_ms, int *ret)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct timeval tv = {(time_t)(timeout_ms / 1000), (suseconds_t)(timeout_ms % 1000 * 1000)};
    size_t len = strlen(path);

    if (len >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    memcpy(addr.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) ||
        connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
        int e = -errno;
        close(fd);
        return e;
    }
    *ret = fd;
    return 0;
}

int control_open(const char *path, uint64_t timeout_ms, struct control **ret, struct control_error *err)
{
    int fd = -1;
    int e = connect_to(path, timeout_ms, &fd);

    if (e)
        return open_failed(path, e, err);
    struct control *c = calloc(1, sizeof(*c));
    redisContext *redis = c ? redisConnectFd(fd) : NULL;
    if (!redis || redis->err) {
        if (redis)
            redisFree(redis);
        else
            close(fd);
        free(c);
        return open_failed(path, -ENOMEM, err);
    }
    c->redis = redis;
    c->timeout_ms = timeout_ms;
    snprintf(c->path, sizeof(c->path), "%s", path);
    *ret = c;
    return 0;
}

struct control *control_free(struct control *c)
{
    if (!c)
        return NULL;
    redisFree(c->redis);
    free(c);
    return NULL;
}

static int gone(const struct control *c, struct control_error *err)
{
    bool closed = c->redis->err == REDIS_ERR_EOF || c->redis->err == REDIS_ERR_IO;

    set_error(err, "GONE", CTL_NOT_RUNNING, "riotd at %s %s", c->path,
              closed ? "went away" : "sent what is no answer");
    return -ECONNRESET;
}

/* Waits for bytes until the deadline. */
static int await_bytes(const struct control *c, uint64_t deadline_us)
{
    uint64_t now = clock_mono_us();
    struct pollfd p = {.fd = c->redis->fd, .events = POLLIN};
    int wait = -1;

    if (deadline_us != UINT64_MAX)
        wait = deadline_us > now ? (int)MIN((deadline_us - now + 999) / 1000, (uint64_t)INT32_MAX) : 0;
    int n = poll(&p, 1, wait);
    if (n < 0)
        return -errno;
    return n ? 0 : -EAGAIN;
}

/* The next reply or message, of any kind. -EAGAIN at the deadline, -EINTR, -ECONNRESET. */
static int next_reply(struct control *c, uint64_t deadline_us, redisReply **ret, struct control_error *err)
{
    for (;;) {
        void *reply = NULL;
        if (redisGetReplyFromReader(c->redis, &reply) != REDIS_OK)
            return gone(c, err);
        if (reply) {
            *ret = reply;
            return 0;
        }
        int e = await_bytes(c, deadline_us);
        if (e)
            return e;
        if (redisBufferRead(c->redis) != REDIS_OK)
            return gone(c, err);
    }
}

static int send_request(struct control *c, size_t argc, const struct bytes *argv, struct control_error *err)
{
    const char *texts[ARGS_MAX];
    size_t lens[ARGS_MAX];
    int done = 0;

    if (argc > ARGS_MAX) {
        set_error(err, code_name(CODE_USAGE), CTL_USAGE, "too many arguments");
        return -E2BIG;
    }
    for (size_t i = 0; i < argc; i++) {
        texts[i] = argv[i].ptr;
        lens[i] = argv[i].len;
    }
    if (redisAppendCommandArgv(c->redis, (int)argc, texts, lens) != REDIS_OK)
        return gone(c, err);
    while (!done && redisBufferWrite(c->redis, &done) == REDIS_OK)
        ;
    c->redis->err = 0; /* whoever closed on us may have said why: it is read next */
    return 0;
}

/* "CODE text", as the daemon sends it. A first word that is no code is left in the text. */
static int take_error(const redisReply *reply, struct control_error *err)
{
    struct bytes text = bytes_of(reply->str, reply->len), rest = text;
    struct bytes name = bytes_cut(&rest, ' ');
    enum code code;

    if (code_parse(name, &code))
        set_error(err, code_name(code), code_exit(code), "%.*s", (int)rest.len, rest.len ? rest.ptr : "");
    else
        set_error(err, code_name(CODE_FAILED), CTL_FAILED,
                  "what answers is perhaps not riotd but another server: %.*s", (int)text.len, text.ptr);
    return -EPROTO;
}

static int take_reply(const redisReply *reply, char **ret, struct control_error *err)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return take_error(reply, err);
    if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS) {
        set_error(err, code_name(CODE_FAILED), CTL_FAILED, "riotd answered in a form that is not known here");
        return -EPROTO;
    }
    char *text = bytes_dup(bytes_of(reply->str, reply->len));
    if (!text) {
        set_error(err, code_name(CODE_FAILED), CTL_FAILED, "out of memory");
        return -ENOMEM;
    }
    *ret = text;
    return 0;
}

/* A reply to what was just asked. */
static int answer(struct control *c, redisReply **ret, struct control_error *err)
{
    char shown[TEXT_MAX];
    int e = next_reply(c, clock_mono_us() + c->timeout_ms * 1000, ret, err);

    if (e == -EAGAIN) {
        set_error(err, "GONE", CTL_NOT_RUNNING, "riotd at %s did not answer within %s", c->path,
                  text_ms(c->timeout_ms, shown));
        return -ETIMEDOUT;
    }
    if (e == -EINTR)
        set_error(err, "INTERRUPTED", CTL_INTERRUPTED, "interrupted");
    return e;
}

int control_request(struct control *c, size_t argc, const struct bytes *argv, char **ret,
                    struct control_error *err)
{
    redisReply *reply;
    int e = send_request(c, argc, argv, err);

    if (!e)
        e = answer(c, &reply, err);
    if (e)
        return e;
    e = take_reply(reply, ret, err);
    freeReplyObject(reply);
    return e;
}

int control_subscribe(struct control *c, const char *channel, struct control_error *err)
{
    const struct bytes argv[] = {BYTES("SUBSCRIBE"), bytes_str(channel)};
    redisReply *reply;
    int e = send_request(c, ARRAY_LEN(argv), argv, err);

    if (!e)
        e = answer(c, &reply, err);
    if (e)
        return e;
    if (reply->type == REDIS_REPLY_ERROR)
        e = take_error(reply, err);
    freeReplyObject(reply);
    return e;
}

/* Of a message of the channel, its text; NULL for anything else. */
static const redisReply *message_text(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return NULL;
    const redisReply *kind = reply->element[0], *text = reply->element[2];
    if (kind->type != REDIS_REPLY_STRING || !bytes_is(bytes_of(kind->str, kind->len), "message"))
        return NULL;
    return text->type == REDIS_REPLY_STRING ? text : NULL;
}

int control_event(struct control *c, uint64_t timeout_ms, char **ret, struct control_error *err)
{
    uint64_t deadline_us = timeout_ms == UINT64_MAX ? UINT64_MAX : clock_mono_us() + timeout_ms * 1000;

    for (;;) {
        redisReply *reply;
        int e = next_reply(c, deadline_us, &reply, err);
        if (e)
            return e;
        if (reply->type == REDIS_REPLY_ERROR) {
            e = take_error(reply, err);
            freeReplyObject(reply);
            return e;
        }
        const redisReply *text = message_text(reply);
        e = text ? take_reply(text, ret, err) : -EAGAIN;
        freeReplyObject(reply);
        if (text)
            return e;
    }
}
