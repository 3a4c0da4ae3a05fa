/* verbs.h - THE table of verbs: what riotctl takes, what the daemon answers, and all help derive from it.
 *
 * On the wire a request is a verb and pairs, `VERB NAME value NAME value`; verb and names in any case.
 * riotctl writes an argument as `--name VALUE`, a flag as `--name`, and an assigned one (VERB_ASSIGN) as
 * `name=VALUE`; `_` in a name is `-` after `--`. A verb that is not built has no row.
 */
#ifndef RIOT_VERBS_H
#define RIOT_VERBS_H

#include "lib/core/bytes.h"

enum verb_id {
    VERB_STATUS,
    VERB_START,
    VERB_PAUSE,
    VERB_RESUME,
    VERB_STOP,
    VERB_WAIT,
    VERB_CHECK,
    VERB_VERIFY,
    VERB_CUTOVER,
    VERB_ABORT,
    VERB_FINISH,
    VERB_LIMIT,
    VERB_EVENTS,
    VERB_LOGS,
    VERB_CONFIG,
    VERB_RELOAD,
    VERB_LIST,
    VERB_VERSION,
    VERB_HELP,
    VERB_COUNT
};

/* Every argument of every verb. The value of one is found in a request by this id. */
enum verb_arg_id {
    ARG_WATCH,
    ARG_LANES,
    ARG_ANEW,
    ARG_ACCEPT,
    ARG_FOR,
    ARG_TIMEOUT,
    ARG_MEMORY,
    ARG_KEYS_PER_S,
    ARG_BYTES_PER_S,
    ARG_COALESCE,
    ARG_SAMPLE,
    ARG_MATCH,
    ARG_DB,
    ARG_RATE,
    ARG_ROUNDS,
    ARG_TTL_TOLERANCE,
    ARG_REPAIR,
    ARG_LAST,
    ARG_STOP,
    ARG_DRY_RUN,
    ARG_MAX_LAG_MS,
    ARG_STABLE_FOR,
    ARG_MAX_WRITE_PAUSE,
    ARG_GATE_TIMEOUT,
    ARG_FENCE,
    ARG_VERIFY,
    ARG_VERIFY_BUDGET,
    ARG_HOLD_LEASE,
    ARG_QUIET_FOR,
    ARG_SENTINEL_DOWN_AFTER,
    ARG_THEN,
    ARG_UNFENCE,
    ARG_FORCE,
    ARG_FOLLOW,
    ARG_LINES,
    ARG_SINCE,
    ARG_VERB,
    ARG_COUNT
};

enum verb_arg_kind {
    KIND_FLAG,     /* number: 0 or 1; on the wire yes or no */
    KIND_DURATION, /* number: milliseconds */
    KIND_SIZE,     /* number: bytes */
    KIND_NUMBER,   /* number */
    KIND_CHOICE,   /* number: the index of the choice; text: its name */
    KIND_TEXT,     /* text: 1 to 256 bytes of printable ASCII */
    KIND_COUNT
};

/* Choices of ARG_FOR, in this order. */
enum wait_for {
    WAIT_FOR_IDLE,
    WAIT_FOR_LIVE,
    WAIT_FOR_DRAINED,
    WAIT_FOR_VERIFIED,
    WAIT_FOR_COMMITTED,
    WAIT_FOR_FINISHED,
    WAIT_FOR_COUNT
};

/* Choices of ARG_FENCE: how clients are kept from writing to the source (CORRECTNESS 5). */
enum fence_kind { FENCE_AUTO, FENCE_ACL, FENCE_MIN_REPLICAS, FENCE_HOLD, FENCE_NONE, FENCE_KINDS };
extern const char *const fence_names[FENCE_KINDS + 1]; /* NULL ends them */

/* Choices of ARG_VERIFY: what a cutover compares. recent: in the pause, what was copied last and a sample.
 * full: that, and everything before the pause. */
enum cutover_verify { CUTOVER_VERIFY_RECENT, CUTOVER_VERIFY_FULL, CUTOVER_VERIFY_NONE, CUTOVER_VERIFY_COUNT };

/* Of a verb. */
enum {
    VERB_CHANGES = 1,   /* changes something: the daemon logs who asked */
    VERB_OPERATION = 2, /* answers the id of an operation, which riotctl follows */
    VERB_LOCAL = 4      /* riotctl's own: the daemon does not know it */
};

/* Of an argument. */
enum {
    VERB_REQUIRED = 1,
    VERB_ASSIGN = 2,    /* riotctl: name=VALUE */
    VERB_CTL_ONLY = 4,  /* riotctl's own: never on the wire */
    VERB_POSITIONAL = 8 /* riotctl: VALUE alone */
};

struct verb_arg {
    enum verb_arg_id id;
    enum verb_arg_kind kind;
    const char *name;        /* "timeout", "keys_per_s" */
    const char *placeholder; /* "COND"; NULL for a flag */
    const char *help;
    const char *const *choices; /* KIND_CHOICE: NULL ends them */
    const char *preset; /* what holds where it is not given, as it would be written; NULL: help tells */
    unsigned flags;
};

struct verb {
    enum verb_id id;
    const char *name; /* "status" */
    const char *help; /* one line */
    unsigned flags;
    const struct verb_arg *args;
    size_t nargs;
};

extern const struct verb verbs[VERB_COUNT]; /* indexed by verb_id */

const struct verb *verb_find(struct bytes name); /* in any case; NULL: no such verb */
const struct verb_arg *verb_arg_find(const struct verb *v, struct bytes name); /* in any case, `-` as `_` */

/* The nearest name, for "did you mean": at most 2 edits away; NULL when none is. `flags`: verbs that have any
 * of them are left out. */
const char *verb_suggest(struct bytes name, unsigned flags);
const char *verb_arg_suggest(const struct verb *v, struct bytes name, unsigned flags);

#endif
