/* client.h - riotctl's side of the control socket; blocking, by hiredis.
 *
 * One connection asks or listens. Errors are told apart by where they arose: the connection (not running,
 * denied, gone, silent) or the daemon (a code of the list); each has its text and its exit code.
 */
#ifndef RIOT_CLIENT_H
#define RIOT_CLIENT_H

#include "lib/control/codes.h"

#define CONTROL_TEXT_MAX 512

struct control;

struct control_error {
    char code[24]; /* "USAGE"; for the connection "DOWN", "DENIED" or "GONE" */
    enum ctl_exit exit;
    char text[CONTROL_TEXT_MAX];
};

/* -ENOENT, -ECONNREFUSED, -EACCES and others, with err. timeout_ms is for connecting and for each answer. */
MUST_CHECK int control_open(const char *path, uint64_t timeout_ms, struct control **ret,
                            struct control_error *err);
struct control *control_free(struct control *c);

/* Asks and waits for the answer: "OK" or a document, to be freed by the caller. -EPROTO: the daemon answered
 * with an error. -ECONNRESET: it went away. -ETIMEDOUT. -EINTR: a signal came; the connection is of no more
 * use. All with err. */
MUST_CHECK int control_request(struct control *c, size_t argc, const struct bytes *argv, char **ret,
                               struct control_error *err);

/* From here on the connection listens. */
MUST_CHECK int control_subscribe(struct control *c, const char *channel, struct control_error *err);
/* The next event, to be freed by the caller. -EAGAIN: none came in the time (err is not set). -EINTR: a
 * signal. -ECONNRESET: the daemon went away. After -EAGAIN and -EINTR the connection is as good as before.
 * timeout_ms UINT64_MAX: no end. */
MUST_CHECK int control_event(struct control *c, uint64_t timeout_ms, char **ret, struct control_error *err);

#endif
