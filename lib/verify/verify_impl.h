/* verify_impl.h - what verify.c (passes, life), verify_recheck.c (what differed) and verify_report.c share.
 */
#ifndef RIOT_VERIFY_IMPL_H
#define RIOT_VERIFY_IMPL_H

#include "lib/core/rate.h"
#include "lib/verify/pass.h"
#include "lib/verify/seen.h"
#include "lib/verify/suspect.h"
#include "lib/verify/verify.h"

enum verify_phase { PHASE_SOURCE, PHASE_TARGET, PHASE_OVER };

struct verify {
    struct loop *loop;
    struct verify_events ev;
    void *arg;
    struct verify_options opt; /* its pointers are to the copies below */
    int *dbs;
    int target_db; /* into_db, for the pass over the target */
    char *match;
    char role[32];
    struct hash_seed seed;

    struct comparer *comparer;
    struct pass *pass;
    struct suspects *suspects;
    struct seen *seen;
    struct rate rate;
    struct meter meter;
    struct timer *tick;
    struct defer pump_later, finish_later;

    enum verify_phase phase;
    size_t reading;     /* keys of the pass that are being compared */
    size_t reserved;    /* what they would take if all of them differed */
    size_t room;        /* for these and the suspects */
    uint64_t hold_us;   /* nothing is asked before: a key was lost */
    bool settling;      /* a barrier is on its way */
    uint64_t settle_us; /* none before */
    unsigned refusals;  /* of SCAN, in a row */
    unsigned dirty_waits_max;
    uint64_t repair_us; /* a repair is given at least so long */

    bool drifted;
    uint64_t visited[2]; /* by passes that are over */
    uint64_t metered_us;
    char down[2][160];  /* why a side is not there; "" it is */
    char unsettled[80]; /* why there was no barrier the last time; "" there was */
    char unknown_example[200], unstable_example[140];
    struct verify_report r;
};

/* verify.c */
void verify_pump_soon(struct verify *v);
void verify_finish(struct verify *v, enum verify_verdict verdict, const char *reason);

/* verify_recheck.c */
void recheck_add(struct verify *v, int db, struct bytes key);
void recheck_send(struct verify *v); /* looks that are due, while the comparer takes them */
void recheck_looked(struct verify *v, struct suspect *s, const struct compare_result *r);
void recheck_lost(struct verify *v, struct suspect *s);
void recheck_tick(struct verify *v, uint64_t now_us);
void recheck_end(struct verify *v);

/* verify_report.c */
void report_drift(struct verify *v, int db, struct bytes key, enum compare_verdict verdict, const char *what);
void report_unstable(struct verify *v, int db, struct bytes key);
void report_unknown(struct verify *v, int db, struct bytes key, const char *why);
void report_end(struct verify *v, enum verify_verdict verdict, const char *reason);
uint64_t report_visited(const struct verify *v);

#endif
