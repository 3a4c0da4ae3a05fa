/* server_client.h - one client of the control server: its bytes in, its bytes out, its limits. For
 * daemon/server*.c only.
 *
 * A client is an ordinary Redis client: it may send many requests at once, in pieces, and read late. One
 * request is with the owner at a time; those behind it wait for its answer. What breaks a limit is told in
 * one error, then the connection is closed. client_free() is legal in `request`: the object is disarmed at
 * once, and released when the stack has unwound.
 */
#ifndef RIOT_SERVER_CLIENT_H
#define RIOT_SERVER_CLIENT_H

#include "daemon/server.h"
#include "lib/core/buf.h"

#define CLIENT_NAME_MAX 64

struct client_events {
    /* To be answered once, at once or later, by one of client_ok() and the others below. */
    void (*request)(struct client *c, const struct bytes *argv, size_t argc, void *arg);
    void (*gone)(struct client *c, void *arg); /* the last call: free it */
};

struct client {
    struct client *next; /* the owner's */
    void *arg;           /* the owner */
    uint64_t id;
    uid_t uid;
    pid_t pid;
    bool subscribed;
    char name[CLIENT_NAME_MAX];

    /* From here on: server_client.c alone. */
    struct loop *loop;
    const struct client_events *events;
    int fd;
    struct io *io;
    struct timer *timer; /* while closing: until it is given up; else: more requests are to be looked at */
    struct defer turn;
    struct buf in, out;
    uint64_t missed;     /* events */
    uint64_t missed_seq; /* of the last of them */
    bool waiting;        /* a request is with the owner */
    bool ended;          /* no more bytes will come in */
    bool closing;        /* no more requests are taken; what is queued goes out */
    bool shut;           /* ... it did */
    bool dead;           /* `gone` follows */
    bool active;         /* on the stack */
    bool freed;
};

/* Takes fd over. */
MUST_CHECK int client_new(struct loop *l, int fd, uint64_t id, const struct client_events *ev, void *arg,
                          struct client **ret);
struct client *client_free(struct client *c);

/* Answers, each a whole one. */
void client_ok(struct client *c);
void client_bulk(struct client *c, struct bytes text);
void client_nil(struct client *c);
void client_integer(struct client *c, int64_t n);
void client_error(struct client *c, const char *code,
                  const char *text);                   /* control characters become blanks */
void client_json(struct client *c, struct bytes json); /* within SERVER_REPLY_MAX */
void client_raw(struct client *c, struct bytes resp);  /* RESP as it is */
/* Once what is queued went out. */
void client_close(struct client *c);
/* Writes what the socket takes at once. */
void client_flush(struct client *c);

/* One event, as a pub/sub message; or it counts as missed. */
void client_event(struct client *c, uint64_t seq, struct bytes json);

#endif
