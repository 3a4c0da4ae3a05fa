/* operation.h - what takes time and was asked for over the control socket.
 *
 * The daemon owns it: a client that goes away cancels nothing. The last OPERATIONS_KEPT stay, with result and
 * exit code. Whoever runs one keeps its id, and ends it exactly once.
 */
#ifndef RIOTD_OPERATION_H
#define RIOTD_OPERATION_H

#include "lib/control/codes.h"

#define OPERATIONS_KEPT 16
/* What is said when there is no place: a format and its value. */
#define OPERATIONS_BUSY "%d operations are running: wait for one of them to end", OPERATIONS_KEPT

struct operation {
    uint64_t id; /* 0: a free place */
    const char *verb;
    bool ended;
    int64_t started_ms, ended_ms;
    const char
        *result; /* "ok", "failed", "timeout", "impossible", "drift", "undone", ...; NULL while it runs */
    enum ctl_exit exit_code;
    char text[320]; /* what it waits for, or how it ended */
};

struct operations;
struct operations_events {
    void (*ended)(const struct operation *borrowed, void *arg);
};
MUST_CHECK int operations_new(const struct operations_events *ev, void *arg, struct operations **ret);
struct operations *operations_free(struct operations *o);

/* verb: a literal. -EBUSY: all places are taken by operations that run. */
MUST_CHECK int operation_begin(struct operations *o, const char *verb, uint64_t *ret_id);
void operation_text(struct operations *o, uint64_t id, const char *format, ...) PRINTF_LIKE(3, 4);
/* result: a literal. Of an id that is not running: nothing. */
void operation_end(struct operations *o, uint64_t id, const char *result, enum ctl_exit exit_code,
                   const char *format, ...) PRINTF_LIKE(5, 6);
/* The oldest first. */
void operations_each(const struct operations *o, void (*fn)(const struct operation *borrowed, void *arg),
                     void *arg);

#endif
