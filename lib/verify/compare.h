/* compare.h - reads keys on both sides, and says how they differ. Writes nothing, on either side.
 *
 * One connection to each node that owns keys, pipelined: type, expiry and value of a key are read in one
 * MULTI on each side, and of the value only hashes are kept, while it passes. `quick` compares the payloads'
 * bodies; where they differ it says COMPARE_UNLIKE and no more, since equal values may have unlike bytes.
 * `deep` decodes both, and decides.
 *
 * `loose`: quick looks at an expiry and a value that were read one after the other, and at strings as MGET
 * has them, which costs the servers much less. Only a write between the two makes them a torn pair. On the
 * source it is marked, so the key is copied anew, value and expiry, whatever the target had of it: a pair
 * that is called equal by chance hides nothing that stays. On the target others than the link do not write;
 * who does so in between is not seen by a look that came a moment earlier either. What a torn pair makes
 * unlike, a deep look, which is always in MULTI, sets right. Where no mark follows a write (no feed), looks
 * are not to be loose.
 *
 * It talks only to servers whose run id it was told; another one that answers there is a loss (`down`). What
 * is lost with one node is lost for its keys only. Callbacks run from the loop; comparer_free() is not legal
 * in them.
 */
#ifndef RIOT_COMPARE_H
#define RIOT_COMPARE_H

#include "lib/rdb/digest.h"
#include "lib/rdb/filter.h"
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
    const struct endpoint *source, *target; /* borrowed, as the topologies, */
    struct topology *topology[2];           /* of which one may be NULL: that endpoint alone */
    int into_db;                            /* the target's database; URL_DB_NONE: the source's */
    uint64_t ttl_tolerance_ms;
    const char *role; /* of the connections' names: "verify" */
    bool loose;       /* quick looks are */
    /* Borrowed; NULL: all. A value of a type out of scope is as good as not there, but for one on the target
     * that stands in the way of the source's: then the types differ. Names are the caller's to choose. */
    const struct filter *filter;
};

/* Why a key was not read, which is no fault of it. */
enum compare_loss {
    COMPARE_LOST,   /* a connection was lost, or a server is not ready: ask again, but not at once */
    COMPARE_MOVING, /* its slot is elsewhere, or on its way there: ask again later */
};

struct compare_events {
    void (*up)(void *arg); /* another node is up, and at least one on each side: keys can be given */
    /* A node of that side was lost, or could not be reached. What it was asked for was answered by `lost`
     * before. */
    void (*down)(int side, const char *why, void *arg);
    void (*result)(int db, struct bytes key, uint64_t tag, const struct compare_result *borrowed, void *arg);
    void (*lost)(int db, struct bytes key, uint64_t tag, enum compare_loss why, void *arg);
    void (*room)(void *arg); /* it is no longer full */
};

struct comparer;
MUST_CHECK int comparer_new(struct loop *l, const struct compare_options *opt,
                            const struct compare_events *ev, void *arg, struct comparer **ret);
struct comparer *comparer_free(struct comparer *c);
bool comparer_is_up(const struct comparer *c);    /* some keys can be given now */
bool comparer_is_whole(const struct comparer *c); /* all nodes of both sides are up */
bool comparer_is_full(const struct comparer *c);
size_t comparer_outstanding(const struct comparer *c);
/* The key is copied. The answer comes from the loop, in any order. -ENOTCONN: a node of this key is not up,
 * or not ready. -ENOBUFS (wait for `room`), -ENOMEM. */
MUST_CHECK int comparer_compare(struct comparer *c, int db, struct bytes key, bool deep, uint64_t tag);
/* Is the key on the source? Asks nothing else, and nothing of the target: COMPARE_EQUAL, COMPARE_EXTRA, or
 * COMPARE_UNKNOWN. */
MUST_CHECK int comparer_exists(struct comparer *c, int db, struct bytes key, uint64_t tag);
/* Sends what was gathered since: keys are read in batches, several to a MULTI. */
void comparer_flush(struct comparer *c);
/* From now on that address of that side is the server with this run id; "": one whose INFO tells none. Until
 * then nobody is talked to there. An address is the text of a node's URL. */
void comparer_approve(struct comparer *c, int side, const char *address, const char *run_id);
/* What it waits for on that side: "connection refused", for people; false: for nothing. */
bool comparer_waits(const struct comparer *c, int side, char *out, size_t cap);
struct conn *comparer_conn(struct comparer *c, int side); /* of the first node: to see which that is */

#endif
