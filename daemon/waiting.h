/* waiting.h - `wait --for`: operations that end once the link is in some state, or no longer can be. */
#ifndef RIOTD_WAITING_H
#define RIOTD_WAITING_H

#include "daemon/link.h"
#include "daemon/operation.h"
#include "daemon/verification.h"

struct waiting;
MUST_CHECK int waiting_new(struct loop *loop, struct link *link, struct verification *v,
                           struct operations *ops, struct waiting **ret);
struct waiting *waiting_free(struct waiting *w);
/* timeout_ms 0: without end. -EBUSY: as operation_begin(). */
MUST_CHECK int waiting_start(struct waiting *w, enum wait_for what, uint64_t timeout_ms, uint64_t *ret_id);
/* Something changed: the link, or a verify has ended. */
void waiting_look(struct waiting *w);
/* A lane has ended, and forgot its drains. */
void waiting_lane_gone(struct waiting *w);

#endif
