/* interlocks.h - what stands against a link between these two servers. Decides only; asks and
 * changes nothing. */
#ifndef RIOTD_INTERLOCKS_H
#define RIOTD_INTERLOCKS_H

#include "daemon/blocker.h"
#include "daemon/config.h"
#include "daemon/state_file.h"
#include "lib/redis/probe.h"

#define INTERLOCKS_MAX         8
#define INTERLOCKS_MESSAGE_MAX 320

struct finding {
    enum blocker blocker;
    char message[INTERLOCKS_MESSAGE_MAX];
};

/* Whose the target is. */
enum ownership {
    OWNER_NOBODY,  /* it has no keys, and is not ours yet */
    OWNER_US,      /* this link wrote it: the same process, or the same history */
    OWNER_SUSPECT, /* at our address, but another server with keys: ours after a restart, or not */
    OWNER_OTHERS,  /* it has keys that this link did not write */
};

enum ownership interlocks_owner(const struct config *c, const struct state *s, const struct probe *target);
/* Sum of the keys of those databases that the link has to do with. */
uint64_t interlocks_keys(const struct config *c, bool of_target, size_t ndbs, const struct watch_db *dbs);
/* Under half of what the source had when this link last saw it. */
bool interlocks_shrank(const struct config *c, const struct state *s, size_t ndbs,
                       const struct watch_db *dbs);

/* Returns how many findings there are. */
size_t interlocks(const struct config *c, const struct state *s, const struct probe *source,
                  const struct probe *target, struct finding ret[INTERLOCKS_MAX]);

#endif
