/* follow.h - the verbs that take time, and events: what the daemon publishes, followed. */
#ifndef RIOT_CTL_FOLLOW_H
#define RIOT_CTL_FOLLOW_H

#include "ctl/session.h"

/* Subscribes, asks, and stays until the operation ends. Ctrl-C leaves it running. Returns the exit code. */
MUST_CHECK int follow_request(struct session *s);
/* Prints events until Ctrl-C, or the daemon goes away. */
MUST_CHECK int follow_events(struct session *s);
/* Shows the status each second until Ctrl-C. */
MUST_CHECK int follow_status(struct session *s);

#endif
