/* verification.h - runs verify over the link's lane, and keeps its last report. One at a time.
 *
 * It goes on whatever becomes of the client that asked, and over gaps and lost servers, for which it waits;
 * it ends (stopped) when the lane does. */
#ifndef RIOTD_VERIFICATION_H
#define RIOTD_VERIFICATION_H

#include "daemon/link.h"
#include "daemon/operation.h"
#include "lib/verify/verify.h"

#define VERIFICATION_MATCH_MAX  257 /* a longer one is refused, as by the verb's argument */
#define VERIFICATION_ROUNDS_MAX 1000
#define VERIFICATION_TEXT_MAX   320

struct verification;

struct verification_options {
    uint64_t sample;   /* 0: all */
    const char *match; /* NULL: all */
    int db;            /* -1: all in scope */
    uint64_t keys_per_s;
    unsigned rounds;          /* 0: the default */
    int64_t ttl_tolerance_ms; /* -1: 5 ms more than the measured difference of the clocks */
    bool repair;
};

MUST_CHECK int verification_new(struct loop *loop, const struct config *config, struct link *link,
                                struct operations *ops, struct log *log, struct verification **ret);
struct verification *verification_free(struct verification *v);

/* -EBUSY: one runs already, or too many operations. -EPERM: the link is in no state to be verified (it must
 * be live). -EINVAL: the database is not in scope, ... */
MUST_CHECK int verification_start(struct verification *v, const struct verification_options *opt,
                                  char why[LINK_WHY_MAX], uint64_t *ret_operation);
/* The same for another part of the daemon, without an operation: fn with the report (borrowed). In a cutover
 * too. */
typedef void verification_fn(const struct verify_report *borrowed, void *arg);
MUST_CHECK int verification_run(struct verification *v, const struct verification_options *opt,
                                char why[LINK_WHY_MAX], verification_fn *fn, void *arg);
MUST_CHECK int verification_stop(struct verification *v, char why[LINK_WHY_MAX]); /* -ENOENT: none runs */
void verification_lane_gone(struct verification *v);
bool verification_runs(const struct verification *v);
/* Of the one that runs, else of the last; false: there was none in this process. */
bool verification_report(const struct verification *v, struct verify_report *ret);
/* Of the last that ended, until the next one ends; NULL: none has. */
const struct verify_report *verification_last(const struct verification *v);
/* What such a report was asked for; `last` as of verification_last(). match is borrowed until the next
 * begins. */
const struct verification_options *verification_asked(const struct verification *v, bool last);
/* All keys were compared and equal, and nothing was missed since: no gap, and the same lane. */
bool verification_holds(const struct verification *v);

/* verification_text.c: for people. */

/* How it stands: "41% of about 1,234,567 keys compared, 3 differ so far, 1m 2s left". */
const char *verification_progress_text(const struct verify_report *r, char out[VERIFICATION_TEXT_MAX]);
/* How it ended: "65 keys differ: 13 missing, ...; 5,000 were compared". */
const char *verification_verdict_text(const struct verify_report *r, char out[VERIFICATION_TEXT_MAX]);
enum ctl_exit verification_exit(const struct verify_report *r);
uint64_t verification_drift(const struct verify_report *r); /* of all kinds */

#endif
