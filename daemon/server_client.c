#include "daemon/server_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/core/clock.h"
#include "lib/core/resp.h"

#define ARGS_MAX   256
#define TURN_MAX   64 /* requests, before others have their turn */
#define READ_CHUNK (16 * KIB)
#define KEEP_MAX   (16 * KIB) /* of an empty buffer's memory */
#define FRAME_MAX  64         /* bytes of RESP around a text, at most */
#define ERROR_MAX  640
#define LINGER_US  (5 * 1000000) /* for a client to take its last bytes, and to stop sending */
#define FLUSH_AT   (64 * KIB)

static void on_io(unsigned events, void *arg);
static void on_timer(void *arg);

int client_new(struct loop *l, int fd, uint64_t id, const struct client_events *ev, void *arg,
               struct client **ret)
{
    struct client *c = calloc(1, sizeof(*c));
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof(peer);

    if (!c)
        return -ENOMEM;
    *c = (struct client){.loop = l, .fd = fd, .id = id, .events = ev, .arg = arg};
    buf_init(&c->in, SERVER_REQUEST_MAX);
    buf_init(&c->out, SERVER_OUTPUT_MAX + ERROR_MAX);
    int e = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) ? -errno : 0;
    c->uid = peer.uid;
    c->pid = peer.pid;
    if (!e)
        e = timer_new(l, on_timer, c, &c->timer);
    if (!e)
        e = io_new(l, fd, on_io, c, &c->io);
    if (!e)
        e = io_want(c->io, IO_READ);
    if (e) {
        io_free(c->io);
        timer_free(c->timer);
        free(c);
        return e;
    }
    *ret = c;
    return 0;
}

static void release(struct client *c)
{
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
}

struct client *client_free(struct client *c)
{
    if (!c)
        return NULL;
    defer_cancel(c->loop, &c->turn);
    c->io = io_free(c->io);
    c->timer = timer_free(c->timer);
    close(c->fd);
    c->freed = true;
    if (!c->active)
        release(c);
    return NULL;
}

/* --- out --- */

static void put(struct client *c, const void *ptr, size_t n)
{
    if (buf_append(&c->out, ptr, n))
        c->dead = true;
}

static void put_text(struct client *c, const char *text)
{
    put(c, text, strlen(text));
}

static void put_bulk(struct client *c, struct bytes text)
{
    char head[FRAME_MAX];

    snprintf(head, sizeof(head), "$%zu\r\n", text.len);
    put_text(c, head);
    put(c, text.ptr, text.len);
    put(c, "\r\n", 2);
}

/* Its last words: there is always room for them. */
static void put_breach(struct client *c, enum code code, const char *text)
{
    char line[ERROR_MAX];

    snprintf(line, sizeof(line), "-%s %s\r\n", code_name(code), text);
    put_text(c, line);
    client_close(c);
}

static void on_turn(void *arg);

static void wake(struct client *c)
{
    if (!c->active)
        loop_defer(c->loop, &c->turn, on_turn, c);
}

/* May n more bytes be queued? */
static bool has_room(struct client *c, size_t n)
{
    if (c->closing || c->dead || c->freed)
        return false;
    if (buf_len(&c->out) + n <= SERVER_OUTPUT_MAX)
        return true;
    put_breach(c, CODE_FAILED, "more than 4 MiB of answers are unread; closing");
    return false;
}

/* Before an answer of n bytes. */
static bool begin_answer(struct client *c, size_t n)
{
    wake(c);
    c->waiting = false;
    return has_room(c, n);
}

void client_raw(struct client *c, struct bytes resp)
{
    if (begin_answer(c, resp.len))
        put(c, resp.ptr, resp.len);
}

void client_ok(struct client *c)
{
    client_raw(c, BYTES("+OK\r\n"));
}

void client_nil(struct client *c)
{
    client_raw(c, BYTES("$-1\r\n"));
}

void client_integer(struct client *c, int64_t n)
{
    char line[FRAME_MAX];

    snprintf(line, sizeof(line), ":%lld\r\n", (long long)n);
    client_raw(c, bytes_str(line));
}

void client_bulk(struct client *c, struct bytes text)
{
    if (begin_answer(c, text.len + FRAME_MAX))
        put_bulk(c, text);
}

void client_json(struct client *c, struct bytes json)
{
    if (json.len <= SERVER_REPLY_MAX) {
        client_bulk(c, json);
        return;
    }
    if (begin_answer(c, 0))
        put_breach(c, CODE_FAILED, "the answer is longer than 1 MiB; closing");
}

void client_error(struct client *c, const char *code, const char *text)
{
    char line[ERROR_MAX];
    int n = snprintf(line, sizeof(line) - 2, "-%s %s", code, text);
    size_t len = MIN((size_t)MAX(n, 0), sizeof(line) - 3);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = ' ';
    }
    memcpy(line + len, "\r\n", 2);
    client_raw(c, bytes_of(line, len + 2));
}

void client_close(struct client *c)
{
    if (c->closing || c->freed)
        return;
    c->closing = true;
    c->waiting = false;
    timer_set(c->timer, LINGER_US);
    wake(c);
}

static void put_message(struct client *c, struct bytes json)
{
    put_text(c, "*3\r\n$7\r\nmessage\r\n");
    put_bulk(c, bytes_str(SERVER_CHANNEL));
    put_bulk(c, json);
}

/* Once all that was queued is read, a reader that was too slow is told. */
static void put_gap(struct client *c)
{
    char json[256], when[CLOCK_RFC3339_MAX];

    if (!c->missed || c->closing)
        return;
    snprintf(json, sizeof(json),
             "{\"seq\":%llu,\"time\":\"%s\",\"event\":\"gap\",\"missed\":%llu,\"priority\":\"warning\","
             "\"text\":\"%llu events are missing here: they were not read in time\"}",
             (unsigned long long)c->missed_seq, clock_rfc3339(clock_wall_ms(), when),
             (unsigned long long)c->missed, (unsigned long long)c->missed);
    c->missed = 0;
    put_message(c, bytes_str(json));
}

void client_flush(struct client *c)
{
    for (;;) {
        if (!buf_len(&c->out))
            put_gap(c);
        if (c->dead || !buf_len(&c->out))
            break;
        struct bytes out = buf_bytes(&c->out);
        ssize_t n = send(c->fd, out.ptr, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            c->dead = errno != EAGAIN;
            return;
        }
        buf_consume(&c->out, (size_t)n);
    }
    buf_trim(&c->out, KEEP_MAX);
}

void client_event(struct client *c, uint64_t seq, struct bytes json)
{
    size_t n = json.len + 3 * (size_t)FRAME_MAX;

    if (!c->subscribed || c->closing || c->dead || c->freed)
        return;
    if (buf_len(&c->out) + n > FLUSH_AT)
        client_flush(c);
    wake(c);
    if (c->missed || json.len > SERVER_REPLY_MAX || buf_len(&c->out) + n > SERVER_EVENTS_MAX) {
        c->missed++;
        c->missed_seq = seq;
    } else {
        put_message(c, json);
    }
}

/* --- in --- */

static void take_input(struct client *c)
{
    char waste[4 * KIB], *to = waste;
    size_t room = sizeof(waste);

    if (!c->closing) {
        room = MIN(READ_CHUNK, SERVER_REQUEST_MAX - buf_len(&c->in));
        if (!room)
            return;
        if (buf_reserve(&c->in, room, &to)) {
            c->dead = true;
            return;
        }
    }
    ssize_t n = recv(c->fd, to, room, MSG_DONTWAIT);
    if (n < 0) {
        c->dead = errno != EAGAIN && errno != EINTR;
        return;
    }
    c->ended = n == 0;
    if (!c->closing)
        buf_commit(&c->in, (size_t)n);
}

static void refuse_input(struct client *c, int e)
{
    if (e == -E2BIG)
        put_breach(c, CODE_USAGE, "too many arguments; closing");
    else
        put_breach(c, CODE_USAGE,
                   "protocol error: a request is an array of bulk strings, or a line; closing");
}

/* Takes one request from the input and hands it over. False: there is none, for now or for ever. */
static bool run_request(struct client *c)
{
    char scratch[SERVER_REQUEST_MAX];
    struct bytes argv[ARGS_MAX], in = buf_bytes(&c->in);
    size_t argc = 0;

    int e = resp_request(&in, argv, ARGS_MAX, scratch, sizeof(scratch), &argc);
    if (e == -EAGAIN && buf_len(&c->in) == SERVER_REQUEST_MAX) {
        put_breach(c, CODE_USAGE, "the request is longer than 64 KiB; closing");
        return false;
    }
    if (e) {
        if (e != -EAGAIN)
            refuse_input(c, e);
        return false;
    }
    if (argc) {
        c->waiting = true;
        c->events->request(c, argv, argc, c->arg);
        if (c->freed)
            return false;
    }
    buf_consume(&c->in, buf_len(&c->in) - in.len);
    return true;
}

/* Returns whether requests are left that nothing stands against but the others' turn. */
static bool run_requests(struct client *c)
{
    for (unsigned n = 0; n < TURN_MAX; n++) {
        if (c->waiting || c->closing || c->dead || c->freed || !run_request(c))
            return false;
    }
    return !c->waiting && !c->closing && !c->dead && !c->freed;
}

static void settle_closing(struct client *c)
{
    buf_free(&c->in);
    if (buf_len(&c->out))
        return;
    if (!c->shut) {
        shutdown(c->fd, SHUT_WR);
        c->shut = true;
    }
    if (c->ended)
        c->dead = true;
}

/* What is waited for next. */
static void settle(struct client *c, bool more)
{
    unsigned want = 0;

    if (c->closing)
        settle_closing(c);
    else if (c->ended && !c->waiting && !more && !buf_len(&c->out))
        c->dead = true;
    if (more)
        timer_set(c->timer, 0);
    if (c->dead)
        return;
    if (buf_len(&c->out))
        want |= IO_WRITE;
    if (!c->ended && (c->closing || buf_len(&c->in) < SERVER_REQUEST_MAX))
        want |= IO_READ;
    if (!buf_len(&c->in))
        buf_trim(&c->in, KEEP_MAX);
    if (io_want(c->io, want))
        c->dead = true;
}

static void run_turn(struct client *c, bool readable)
{
    c->active = true;
    if (readable)
        take_input(c);
    bool more = run_requests(c);
    if (!c->freed) {
        client_flush(c);
        settle(c, more);
    }
    c->active = false;
    if (c->freed)
        release(c);
    else if (c->dead)
        c->events->gone(c, c->arg);
}

static void on_turn(void *arg)
{
    run_turn(arg, false);
}

static void on_io(unsigned events, void *arg)
{
    run_turn(arg, events & IO_READ);
}

static void on_timer(void *arg)
{
    struct client *c = arg;

    if (c->closing)
        c->dead = true;
    run_turn(c, false);
}
