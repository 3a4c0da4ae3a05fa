/* compare.h - reads keys on both sides, and says how they differ. Writes nothing, on either side.
 *
 * One connection to each side, pipelined: type, expiry and value of a key are read in one MULTI on each, and
 * of the value only hashes are kept, while it passes. `quick` compares the payloads' bodies; where they
 * differ it says COMPARE_UNLIKE and no more, since equal values may have unlike bytes. `deep` decodes both,
 * and decides.
 *
 * It talks only to servers whose run id it was told; another one that answers there is a loss (`down`).
 * Callbacks run from the loop; comparer_free() is not legal in them.
 */
#ifndef RIOT_COMPARE_H
#define RIOT_COMPARE_H

#include "lib/rdb/digest.h"
#include "lib/redis/conn.h"

enum compare_verdict {
    COMPARE_EQUAL,
    COMPARE_GONE,    /* on neither side */
    COMPARE_UNLIKE,  /* quick only: decide with deep */
    COMPARE_MISSING, /* on the source, not on the target */
    COMPARE_EXTRA,
    COMPARE_TYPE,
    COMPARE_VALUE,
    COMPARE_TTL,
    COMPARE_UNKNOWN, /* it cannot be told: a module's value with unlike bytes, a payload that cannot be
                        decoded, an error */
    COMPARE_VERDICTS,
};
const char *compare_verdict_name(
    enum compare_verdict v); /* "missing", "extra", "type", "value", "ttl", ... */

struct compare_side {
    bool exists;
    enum rdb_type type;
    int64_t expire_at_ms; /* 0: none. Unix time; before 7.0 the server's TIME and PTTL */
    uint64_t bytes;       /* of the payload */
    struct hash128 body;
    struct value_digest digest; /* deep only */
    char error[120]; /* "" none: what the server said instead of a value, or why it cannot be decoded */
};

struct compare_result {
    enum compare_verdict verdict;
    struct compare_side side[2]; /* source, target */
};

struct compare_options {
    const struct endpoint *source, *target; /* borrowed */
    char run_id[2][RUN_ID_MAX];             /* who they must be; "": not told by INFO */
    int into_db;                            /* the target's database; URL_DB_NONE: the source's */
    uint64_t ttl_tolerance_ms;
    const char *role; /* of the connections' names: "verify" */
};

struct compare_events {
    void (*up)(void *arg); /* both sides are up: keys can be given */
    /* A side was lost, or could not be reached. After it, nothing is outstanding: each was answered by `lost`
     * before. */
    void (*down)(int side, const char *why, void *arg);
    void (*result)(int db, struct bytes key, uint64_t tag, const struct compare_result *borrowed, void *arg);
    /* Not read, and no fault of the key: a connection was lost, or a server is loading. Ask again, but not at
     * once. */
    void (*lost)(int db, struct bytes key, uint64_t tag, void *arg);
    void (*room)(void *arg); /* it is no longer full */
};

struct comparer;
MUST_CHECK int comparer_new(struct loop *l, const struct compare_options *opt,
                            const struct compare_events *ev, void *arg, struct comparer **ret);
struct comparer *comparer_free(struct comparer *c);
bool comparer_is_up(const struct comparer *c);
bool comparer_is_full(const struct comparer *c);
size_t comparer_outstanding(const struct comparer *c);
/* The key is copied. The answer comes from the loop, in any order. -ENOTCONN, -ENOBUFS (wait for `room`),
 * -ENOMEM. */
MUST_CHECK int comparer_compare(struct comparer *c, int db, struct bytes key, bool deep, uint64_t tag);
/* Is the key on the source? Asks nothing else, and nothing of the target: COMPARE_EQUAL, COMPARE_EXTRA, or
 * COMPARE_UNKNOWN. */
MUST_CHECK int comparer_exists(struct comparer *c, int db, struct bytes key, uint64_t tag);
/* Sends what was gathered since: keys are read in batches, several to a MULTI. */
void comparer_flush(struct comparer *c);
/* From now on that side is the server with this run id. */
void comparer_approve(struct comparer *c, int side, const char *run_id);
struct conn *comparer_conn(struct comparer *c, int side); /* to see which connections these are */

#endif
