/* learner.h - asks the source what commands are that the stream has and nobody here knows: COMMAND INFO, over
 * a connection of its own, which is there for that long. Each is asked for once.
 */
#ifndef RIOT_LEARNER_H
#define RIOT_LEARNER_H

#include "lib/feed/command_keys.h"
#include "lib/redis/conn.h"

#define LEARNER_NAMES_MAX 16
#define LEARNER_NAME_LEN  48

struct feed;

struct learner {
    struct feed *feed;
    struct command_keys *keys;   /* borrowed */
    const struct stream *stream; /* borrowed */
    struct conn *conn;           /* NULL: nothing is to be asked */
    size_t nnames, nanswered;    /* the first so many were answered */
    size_t nasked;               /* in the question that is due */
    char names[LEARNER_NAMES_MAX][LEARNER_NAME_LEN];
    bool told[LEARNER_NAMES_MAX]; /* that it stays unknown */
};

/* The stream has a command that was not understood. False: it was asked for, and that did not tell; which is
 * reported, once. */
bool learner_want(struct learner *l, struct bytes name);
void learner_tick(struct learner *l);
void learner_move(struct learner *l, const char *why); /* the source's endpoint has another address by now */
void learner_close(struct learner *l);

#endif
