/* server.h - the control server: RESP2 on a Unix socket.
 *
 * It answers by itself what ordinary Redis clients ask to connect (PING, HELLO, COMMAND, CLIENT, SUBSCRIBE,
 * ...), HELP and VERSION. Every other request is checked against the verb table and handed to one handler,
 * which answers it with exactly one server_reply_*(), at once or later. Until then the requests that follow
 * from the same client wait. A client may be gone by the time of a late answer: keep its id
 * (server_client_id()), and look it up again with server_find(); a `struct client *` is good in the handler's
 * call only.
 *
 * A reader of events that is slow loses some of them and is told how many; it never slows anything. Limits
 * are those of DESIGN section 4. Handlers run from the loop only. server_free() is legal in one.
 */
#ifndef RIOTD_SERVER_H
#define RIOTD_SERVER_H

#include <sys/types.h>
#include "lib/control/request.h"
#include "lib/core/loop.h"
#include "lib/core/sink.h"

#define SERVER_CLIENTS_MAX 64
#define SERVER_REQUEST_MAX (64 * KIB)
#define SERVER_REPLY_MAX   (1 * MIB)
#define SERVER_OUTPUT_MAX  (4 * MIB) /* unread, of one client */
#define SERVER_EVENTS_MAX  (1 * MIB) /* unread, beyond which a subscriber gets a gap */
#define SERVER_CHANNEL     "events"

struct server;
struct client;

typedef void server_verb_fn(struct client *c, const struct request *borrowed, void *arg);

/* Listens at path; its folder is made if it is missing. A stale socket there is replaced. -EADDRINUSE: a live
 * one answers there. -EEXIST: something that is no socket is there. -ENAMETOOLONG. Others from the system.
 * `sink` is told when the group could not be set; borrowed. */
MUST_CHECK int server_new(struct loop *l, const char *path, const struct sink *sink, server_verb_fn *fn,
                          void *arg, struct server **ret);
struct server *server_free(
    struct server *s); /* writes what goes out at once, closes all, removes the socket */

void server_reply_ok(struct client *c);
void server_reply_json(struct client *c,
                       struct bytes json); /* beyond SERVER_REPLY_MAX it is -FAILED instead */
void server_reply_error(struct client *c, enum code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* fn hears of each error that a client is answered, with the server's own arg. */
typedef void server_error_fn(struct client *c, const char *text, void *arg);
void server_on_error(struct server *s, server_error_fn *fn);

uint64_t server_client_id(const struct client *c);                /* never 0, never used again */
struct client *server_find(struct server *s, uint64_t client_id); /* NULL: it is gone */
uid_t server_client_uid(const struct client *c);
pid_t server_client_pid(const struct client *c);

/* One event, a JSON object, to all who subscribed. seq: its number, for those who will miss it. */
void server_publish(struct server *s, uint64_t seq, struct bytes json);
size_t server_subscribers(const struct server *s);

#endif
