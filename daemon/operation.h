/* operation.h - what takes time and was asked for over the control socket.
 *
 * The daemon owns it: a client that goes away cancels nothing. The last OPERATIONS_KEPT stay, with result and
 * exit code.
 */
#ifndef RIOTD_OPERATION_H
#define RIOTD_OPERATION_H

#include "daemon/link.h"
#include "lib/control/codes.h"
#include "lib/control/verbs.h"

#define OPERATIONS_KEPT 16

struct operation {
    uint64_t id; /* 0: a free place */
    const char *verb;
    bool ended;
    int64_t started_ms, ended_ms;
    const char *result; /* "ok", "failed", "timeout", "impossible"; NULL while it runs */
    enum ctl_exit exit_code;
    char text[320]; /* what it waits for, or how it ended */
};

struct operations;
struct operations_events {
    void (*ended)(const struct operation *borrowed, void *arg);
};
MUST_CHECK int operations_new(struct loop *loop, struct link *link, const struct operations_events *ev,
                              void *arg, struct operations **ret);
struct operations *operations_free(struct operations *o);

/* wait --for. timeout_ms 0: without end. -EBUSY: all places are taken by operations that run. */
MUST_CHECK int operation_wait(struct operations *o, enum wait_for what, uint64_t timeout_ms,
                              uint64_t *ret_id);
/* The link's `changed`. */
void operations_look(struct operations *o);
/* A lane has ended, and forgot its drains. */
void operations_lane_gone(struct operations *o);
/* The oldest first. */
void operations_each(const struct operations *o, void (*fn)(const struct operation *borrowed, void *arg),
                     void *arg);

#endif
