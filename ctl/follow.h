/* follow.h - the verbs that take time, and events: what the daemon publishes, followed. */
#ifndef RIOT_CTL_FOLLOW_H
#define RIOT_CTL_FOLLOW_H

#include <jansson.h>
#include "ctl/session.h"

/* How an operation ended. All of it is borrowed. */
struct follow_end {
    int status;       /* riotctl's exit code */
    const char *code; /* "DRIFT"; of a result that is ok: "OK" */
    const char *text; /* for people; "" where there is nothing to say */
    const char *json; /* the operation, or its last event */
};

/* What is shown of an operation. Whatever is NULL, or 0, is as for every operation. */
struct follow_view {
    /* Of an event, or of the status, which is read after a gap and for each line of progress: what to print
     * to stdout. Not called with --json. */
    void (*event)(const json_t *event, const struct term *t, struct buf *out, void *arg);
    void (*status)(const json_t *doc, const struct term *t, struct buf *out, void *arg);
    /* The line of progress on a terminal: at most t->width columns, no newline. */
    void (*progress)(const json_t *doc, const struct term *t, struct buf *out, void *arg);
    unsigned progress_ms; /* how often */
    /* Tells how it ended; returns the exit code. */
    int (*ended)(struct session *s, const struct follow_end *end, void *arg);
    /* Said behind Ctrl-C, and behind the loss of riotd: what becomes of it, and what one can do. */
    const char *left, *gone;
};

/* Subscribes, asks, and stays until the operation ends. Ctrl-C leaves it running. Returns the exit code. */
MUST_CHECK int follow_request(struct session *s);
MUST_CHECK int follow_operation(struct session *s, const struct follow_view *view, void *arg);
/* What every operation says: its text to stdout, or its code and text as an error. */
int follow_tell_end(struct session *s, const struct follow_end *end);
/* Prints events until Ctrl-C, or the daemon goes away. */
MUST_CHECK int follow_events(struct session *s);
/* Shows the status each second until Ctrl-C. */
MUST_CHECK int follow_status(struct session *s);

#endif
