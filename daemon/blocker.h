/* blocker.h - the closed list of what holds a link up until a person acts: code, hint, and what may be
 * accepted. */
#ifndef RIOTD_BLOCKER_H
#define RIOTD_BLOCKER_H

#include "lib/core/bytes.h"

enum blocker {
    BLOCKER_SAME_SERVER,
    BLOCKER_REPLICATES,
    BLOCKER_CLUSTER,
    BLOCKER_TARGET_IS_REPLICA,
    BLOCKER_TARGET_NOT_EMPTY,
    BLOCKER_TARGET_FOREIGN,
    BLOCKER_TARGET_EVICTS,
    BLOCKER_OTHER_RIOTD,
    BLOCKER_VERSION,
    BLOCKER_DATABASE_MISSING,
    BLOCKER_FEED_UNUSABLE,
    BLOCKER_MERGE_FEED,
    BLOCKER_SOURCE_SHRANK,
    BLOCKER_DELETIONS_UNKNOWN,
    BLOCKER_FAILED_KEYS,
    BLOCKER_FUNCTIONS_REFUSED,
    BLOCKER_THIN_INFO,
    BLOCKER_STATE_FILE,
    BLOCKER_FENCED, /* the link has failed in, or after, a cutover: something may be fenced */
    BLOCKER_COUNT
};

struct blocker_row {
    const char *code;
    const char *hint;
    bool fatal;      /* the link is `failed` with it */
    bool acceptable; /* by `resume --accept CODE` */
};

extern const struct blocker_row blockers[BLOCKER_COUNT];
bool blocker_parse(struct bytes code, enum blocker *ret);

#endif
