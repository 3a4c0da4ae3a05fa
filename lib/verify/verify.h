/* verify.h - compares two endpoints while both are live, and finds what differs for good.
 *
 * It goes through the source's keys (and through the target's, for extras), compares each, and looks again at
 * those that differ, after growing delays, until a difference has stood: the key is not about to be copied
 * (`is_dirty`), both sides were read again and the source's value was the same twice, and before that a
 * barrier
 * (`settle`) has shown that no change was still on its way. What changes too fast for that is `unstable`,
 * which makes the verdict inconclusive. What is found is counted by its first kind, and a bounded sample is
 * kept.
 *
 * Extras are looked for by name: the target's names are told to a tally of those that were compared and found
 * equal (tally.h), and only where the two differ each name of the target is asked for on the source. So of
 * each key of the target it is shown that it was on both sides at some time of the run: equal when it was
 * compared, or there when it was asked for.
 *
 * Memory is bounded whatever the number of keys or differences: when the list of keys to be looked at again
 * is full, the passes wait for it to shrink. A server that is lost is waited for, and what was under way is
 * read again.
 *
 * A side is gone through node by node, each for the slots that it owns. Slots that get another owner
 * meanwhile are gone through again, at that one.
 */
#ifndef RIOT_VERIFY_H
#define RIOT_VERIFY_H

#include "lib/verify/compare.h"

enum drift { DRIFT_MISSING, DRIFT_EXTRA, DRIFT_TYPE, DRIFT_VALUE, DRIFT_TTL, DRIFT_KINDS };
const char *drift_name(enum drift d); /* "missing", "extra", "type", "value", "ttl" */

#define VERIFY_ROUNDS_DEFAULT 5
#define VERIFY_EXACT_MAX      100000 /* differences that are counted exactly, each key once */
#define VERIFY_SAMPLE_MAX     100    /* differing keys that are kept with what differs */

enum verify_verdict { VERIFY_RUNNING, VERIFY_CLEAN, VERIFY_DRIFT, VERIFY_INCONCLUSIVE, VERIFY_STOPPED };
const char *verify_verdict_name(
    enum verify_verdict v); /* "running", "clean", "drift", "inconclusive", "stopped" */

struct verify_options {
    struct compare_options compare; /* its strings are copied; endpoints borrowed */
    const int *dbs;                 /* the source's databases to compare, copied */
    size_t ndbs;
    bool merge;      /* keys that only the target has are no drift: the target is not gone through */
    uint64_t sample; /* about so many keys of each side, chosen by their hash; 0: all */
    uint64_t keys;   /* of the source in these databases, as INFO says: for the sample, progress and ETA */
    uint64_t target_keys;
    const char *match;   /* a glob for SCAN MATCH, copied; NULL: all */
    uint64_t keys_per_s; /* 0: no limit */
    unsigned rounds;     /* how often a key is looked at again before it is called unstable */
    unsigned scan_count;
    bool repair;   /* what differs is marked, and looked at again until it is equal or stays different */
    size_t memory; /* ceiling of what this object keeps, beside fixed buffers; at least 1 MiB */
};

struct verify_events {
    bool (*is_dirty)(int db, struct bytes key, void *arg);
    void (*mark)(int db, struct bytes key, void *arg);
    /* A barrier and the watch list: fn(fn_arg) once all that was written to the source before this call is
     * marked. -errno: not now (no feed that is live); asked again later. One at a time. */
    int (*settle)(void (*fn)(void *fn_arg), void *fn_arg, void *arg);
    void (*settle_cancel)(void *fn_arg, void *arg);
    void (*done)(void *arg); /* once; deferred: verify_free() is legal in it */
};

struct verify_finding {
    int db;
    enum drift kind;
    char key[128];  /* escaped, cut */
    char what[160]; /* "hash of 12 fields on the source, of 11 on the target", "expires 1250 ms later on the
                       target", ... */
};

struct verify_report {
    enum verify_verdict verdict;
    char reason[160];  /* of inconclusive and stopped; "" else */
    char waiting[160]; /* while it runs: what it waits for, a lost server or a feed that is not live; "" else
                        */
    bool lost;         /* it is a server */
    bool repair, sampled;
    int64_t began_ms, ended_ms; /* unix time; ended 0: it runs */
    uint64_t keys, target_keys; /* to be gone through, as estimated */
    uint64_t scanned, target_scanned;
    uint64_t compared;           /* keys of which a verdict was reached */
    uint64_t rechecked, pending; /* looked at again; waiting to be */
    uint64_t drift[DRIFT_KINDS];
    bool at_least;     /* more than VERIFY_EXACT_MAX: the counts are a lower bound */
    uint64_t unstable; /* changed too fast to be read twice; */
    uint64_t moving;   /* of them, in slots that were being moved */
    uint64_t unknown;  /* cannot be compared */
    uint64_t repaired; /* differed, were marked, and are equal now */
    double keys_per_s;
    double percent;
    int64_t eta_ms; /* -1: unknown */
    size_t nfindings;
    struct verify_finding findings[VERIFY_SAMPLE_MAX];
};

struct verify;
MUST_CHECK int verify_new(struct loop *l, const struct verify_options *opt, const struct verify_events *ev,
                          void *arg, struct verify **ret);
struct verify *verify_free(struct verify *v);
void verify_stop(struct verify *v); /* `done` follows, verdict stopped */
/* From now on that address of that side (0 source, 1 target) is the server with this run id: see
 * comparer_approve(). */
void verify_approve(struct verify *v, int side, const char *address, const char *run_id);
/* At any time. */
void verify_read(const struct verify *v, struct verify_report *ret);

#endif
