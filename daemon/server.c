#include "daemon/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/server_client.h"
#include "daemon/server_commands.h"
#include "daemon/server_socket.h"
#include "lib/control/help.h"

#define ERROR_MAX    512
#define HELP_MAX     (64 * KIB)
#define ACCEPT_MAX   16      /* a turn */
#define ACCEPT_PAUSE 1000000 /* us, when the system has no room for another connection */

struct server {
    struct loop *loop;
    struct server_socket socket;
    struct io *io;
    struct timer *pause;
    server_verb_fn *fn;
    server_error_fn *on_error;
    void *arg;
    struct client *clients;
    size_t count;
    uint64_t last_id;
};

/* --- requests --- */

static void answer_help(struct client *c)
{
    struct buf out;

    buf_init(&out, HELP_MAX);
    if (help_document(&out))
        server_reply_error(c, CODE_FAILED, "out of memory");
    else
        client_json(c, buf_bytes(&out));
    buf_free(&out);
}

/* The handler is last in here: it may free the server. */
static void on_request(struct client *c, const struct bytes *argv, size_t argc, void *arg)
{
    struct server *s = arg;
    char why[REQUEST_WHY_MAX];
    struct request r;

    if (server_command(c, argv, argc))
        return;
    if (request_parse(argv, argc, &r, why))
        server_reply_error(c, CODE_USAGE, "%s", why);
    else if (r.verb->id == VERB_HELP)
        answer_help(c);
    else if (r.verb->id == VERB_VERSION)
        client_json(c, BYTES("{\"version\":\"" RIOT_VERSION "\"}"));
    else
        s->fn(c, &r, s->arg);
}

void server_reply_ok(struct client *c)
{
    if (c->waiting)
        client_ok(c);
}

void server_reply_json(struct client *c, struct bytes json)
{
    if (c->waiting)
        client_json(c, json);
}

void server_reply_error(struct client *c, enum code code, const char *format, ...)
{
    const struct server *s = c->arg;
    char text[ERROR_MAX];
    va_list args;

    if (!c->waiting)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (s->on_error)
        s->on_error(c, text, s->arg);
    client_error(c, code_name(code), text);
}

void server_on_error(struct server *s, server_error_fn *fn)
{
    s->on_error = fn;
}

/* --- clients --- */

static void on_gone(struct client *c, void *arg)
{
    struct server *s = arg;
    struct client **at = &s->clients;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    s->count--;
    client_free(c);
}

static const struct client_events events = {.request = on_request, .gone = on_gone};

static void refuse_client(int fd)
{
    static const char text[] = "-BUSY 64 clients are connected already\r\n";
    ssize_t n = send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);

    (void)n; /* whoever does not take it is closed all the same */
    close(fd);
}
_Static_assert(SERVER_CLIENTS_MAX == 64, "the text says so");

static void add_client(struct server *s, int fd)
{
    struct client *c;

    if (s->count == SERVER_CLIENTS_MAX) {
        refuse_client(fd);
        return;
    }
    if (client_new(s->loop, fd, s->last_id + 1, &events, s, &c)) {
        close(fd);
        return;
    }
    s->last_id++;
    s->count++;
    c->next = s->clients;
    s->clients = c;
}

static void on_connection(unsigned ready, void *arg)
{
    struct server *s = arg;

    (void)ready;
    for (unsigned i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4(s->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            add_client(s, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The connection stays in the queue and would wake us at once, again and again. */
            if (!io_want(s->io, 0))
                timer_set(s->pause, ACCEPT_PAUSE);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void on_pause_over(void *arg)
{
    struct server *s = arg;

    if (io_want(s->io, IO_READ))
        timer_set(s->pause, ACCEPT_PAUSE);
}

uint64_t server_client_id(const struct client *c)
{
    return c->id;
}

struct client *server_find(struct server *s, uint64_t client_id)
{
    for (struct client *c = s->clients; c; c = c->next) {
        if (c->id == client_id)
            return c->dead ? NULL : c;
    }
    return NULL;
}

uid_t server_client_uid(const struct client *c)
{
    return c->uid;
}

pid_t server_client_pid(const struct client *c)
{
    return c->pid;
}

/* --- events --- */

void server_publish(struct server *s, uint64_t seq, struct bytes json)
{
    for (struct client *c = s->clients; c; c = c->next)
        client_event(c, seq, json);
}

size_t server_subscribers(const struct server *s)
{
    size_t n = 0;

    for (const struct client *c = s->clients; c; c = c->next)
        n += c->subscribed;
    return n;
}

/* --- life --- */

int server_new(struct loop *l, const char *path, const struct sink *sink, server_verb_fn *fn, void *arg,
               struct server **ret)
{
    struct server *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    *s = (struct server){.loop = l, .fn = fn, .arg = arg, .socket = {.fd = -1}};
    int e = server_socket_open(path, sink, &s->socket);
    if (!e)
        e = timer_new(l, on_pause_over, s, &s->pause);
    if (!e)
        e = io_new(l, s->socket.fd, on_connection, s, &s->io);
    if (!e)
        e = io_want(s->io, IO_READ);
    if (e) {
        server_free(s);
        return e;
    }
    *ret = s;
    return 0;
}

struct server *server_free(struct server *s)
{
    if (!s)
        return NULL;
    while (s->clients) {
        struct client *c = s->clients;
        s->clients = c->next;
        client_flush(c);
        client_free(c);
    }
    io_free(s->io);
    timer_free(s->pause);
    if (s->socket.fd >= 0)
        server_socket_close(&s->socket);
    free(s);
    return NULL;
}
