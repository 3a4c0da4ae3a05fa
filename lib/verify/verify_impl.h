/* verify_impl.h - what verify.c (its life), verify_passes.c (names), verify_recheck.c (what
 * differed) and verify_report.c share.
 */
#ifndef RIOT_VERIFY_IMPL_H
#define RIOT_VERIFY_IMPL_H

#include "lib/core/rate.h"
#include "lib/verify/nodes.h"
#include "lib/verify/pass.h"
#include "lib/verify/seen.h"
#include "lib/verify/survey.h"
#include "lib/verify/suspect.h"
#include "lib/verify/tally.h"
#include "lib/verify/verify.h"

enum verify_phase {
    PHASE_SOURCE, /* its keys are compared */
    PHASE_NAMES,  /* the target's names are told to the tally */
    PHASE_TARGET, /* those that may not have been compared are looked for on the source */
    PHASE_OVER,
};

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
    struct nodes *nodes[2];
    struct slot_set todo;   /* of the present side: not gone through yet */
    struct node *node;      /* that is being gone through; or NULL */
    struct slot_set taking; /* its slots of those */
    struct slot_set again;  /* to be gone through once nothing moves */
    struct pass *pass;
    struct survey *survey;         /* under way, or NULL */
    uint64_t survey_us;            /* none before */
    unsigned surveys, surveys_max; /* that found slots moving */
    const char *unseen;            /* the side of which something was moving all the time; or NULL */
    struct suspects *suspects;
    struct seen *seen;
    struct tally *tally; /* NULL: phase NAMES is left out, and TARGET looks for all */
    struct rate rate;
    struct meter meter;
    struct timer *tick;
    struct defer pump_later, finish_later;

    enum verify_phase phase;
    size_t reading;     /* keys of the pass that are being compared */
    size_t reserved;    /* what they would take if all of them differed */
    size_t room;        /* for these and the suspects */
    bool settling;      /* a barrier is on its way */
    uint64_t settle_us; /* none before */
    unsigned refusals;  /* of SCAN, in a row */
    unsigned dirty_waits_max;
    uint64_t repair_us; /* a repair is given at least so long */

    bool drifted;
    uint64_t visited[PHASE_OVER]; /* by passes that are over */
    uint64_t metered_us;
    char unsettled[80];   /* why there was no barrier the last time; "" there was */
    char unsurveyed[160]; /* why the present side is not over; "" for nothing */
    char unknown_example[200], unstable_example[140], moving_example[140];
    struct verify_report r;
};

/* verify.c */
void verify_pump_soon(struct verify *v);
void verify_finish(struct verify *v, enum verify_verdict verdict, const char *reason);

/* verify_passes.c */
int passes_begin(struct verify *v);
void passes_end(struct verify *v);
void passes_send(struct verify *v); /* names, while the comparer takes them */
/* The next pass, or the next side: in phase OVER all is told. */
void passes_go_on(struct verify *v);
void passes_approve(struct verify *v, int side, const char *address, const char *run_id);
bool passes_are_sampled(const struct verify *v);
int passes_side(const struct verify *v); /* that is being gone through: 0 the source, 1 the target */
uint64_t *passes_scanned(const struct verify *v,
                         struct verify_report *r); /* what the present phase adds to; NULL: to nothing */

/* verify_recheck.c */
void recheck_add(struct verify *v, int db, struct bytes key);
/* A name of a pass that was not read. */
void recheck_add_lost(struct verify *v, int db, struct bytes key, enum compare_loss why);
void recheck_send(struct verify *v); /* looks that are due, while the comparer takes them */
void recheck_looked(struct verify *v, struct suspect *s, const struct compare_result *r);
void recheck_lost(struct verify *v, struct suspect *s, enum compare_loss why);
void recheck_tick(struct verify *v, uint64_t now_us);
void recheck_end(struct verify *v);

/* verify_report.c */
void report_drift(struct verify *v, int db, struct bytes key, enum compare_verdict verdict, const char *what);
void report_unstable(struct verify *v, int db, struct bytes key, bool moving);
void report_unknown(struct verify *v, int db, struct bytes key, const char *why);
void report_end(struct verify *v, enum verify_verdict verdict, const char *reason);
uint64_t report_visited(const struct verify *v);

#endif
