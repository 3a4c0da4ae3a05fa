/* interlocks.h - what stands against a link between these two sides. Decides only; asks and changes nothing.
 *
 * A side is its primaries: one server, or one of each shard of a cluster. What is said of one of several
 * names it by its address.
 */
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

/* All borrowed. */
struct seen_server {
    const char *address;
    const struct probe *probe;
};
struct seen_side {
    size_t count; /* at least one */
    const struct seen_server *at;
};

/* Whose a server of the target is. */
enum ownership {
    OWNER_NOBODY,  /* it has no keys, and is not ours yet */
    OWNER_US,      /* this link wrote it: the same process, or the same history */
    OWNER_SUSPECT, /* at our address, but another server with keys: ours after a restart, or not */
    OWNER_OTHERS,  /* it has keys that this link did not write */
};

enum ownership interlocks_owner(const struct config *c, const struct state *s, const struct probe *target);
/* The database that all goes into; URL_DB_NONE: the same as on the source. A cluster that has one takes the
 * one that `databases` names. */
int interlocks_into_db(const struct config *c, const struct probe *target);
/* Sum of the keys of those databases that the link has to do with. */
uint64_t interlocks_source_keys(const struct config *c, size_t ndbs, const struct watch_db *dbs);
uint64_t interlocks_target_keys(const struct config *c, const struct probe *target);
/* What a shard that owns so many slots now is to have, by what is remembered of it: less where it has given
 * slots away. */
uint64_t interlocks_expected(const struct config *c, const struct state_server *was, unsigned slots);
/* Is that under half of what there was? */
bool interlocks_shrank(uint64_t was, uint64_t is);

/* Returns how many findings there are: of each kind at most one. */
size_t interlocks(const struct config *c, const struct state *s, const struct seen_side *source,
                  const struct seen_side *target, struct finding ret[INTERLOCKS_MAX]);

#endif
