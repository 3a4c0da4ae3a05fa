/* session.h - one run of riotctl: its arguments, its two outputs, the socket it talks over; and how errors
 * are told. */
#ifndef RIOT_CTL_SESSION_H
#define RIOT_CTL_SESSION_H

#include "ctl/args.h"
#include "ctl/term.h"
#include "lib/control/client.h"
#include "lib/control/paths.h"

#define SESSION_ANSWER_MS 20000
#define SESSION_TEXT_MAX  (4 * MIB) /* of what is shown at once */

struct session {
    const struct args *args;
    struct paths_env env;
    struct term out, err; /* stdout and stderr */
    char path[PATHS_MAX]; /* "" until it is found */
    struct control *conn; /* NULL until it is open */
};

void session_init(struct session *s, const struct args *args);
void session_close(struct session *s);

/* Each returns an exit code: CTL_OK, or another once the error was told. */
MUST_CHECK int session_open(struct session *s); /* finds the socket, connects */
MUST_CHECK int session_ask(struct session *s, const char *verb,
                           char **ret); /* opens if need be; a verb without arguments */
MUST_CHECK int session_ask_argv(struct session *s, size_t argc, const struct bytes *argv, char **ret);
MUST_CHECK int session_request(struct session *s, char **ret);          /* the one of the arguments */
MUST_CHECK int session_listen(struct session *s, struct control **ret); /* a second connection, subscribed */

/* "riotctl: CODE: text" on stderr. Returns `status`. */
int session_fail(const struct session *s, enum ctl_exit status, const char *code, const char *format, ...)
    PRINTF_LIKE(4, 5);
int session_error(const struct session *s, const struct control_error *err);
/* A line more of it: "  label text". */
void session_note(const struct session *s, const char *label, const char *text);

/* Writes what was put together to stdout, or to stderr, and empties it. */
void session_print(struct buf *out);
void session_print_err(struct buf *out);
/* A document as it is, on one line if `one_line`. */
void session_print_json(const char *text, bool one_line);

/* Ctrl-C and its kind: from session_catch() on, they set a flag, and blocking calls return -EINTR. */
void session_catch(void);
bool session_interrupted(void);

#endif
