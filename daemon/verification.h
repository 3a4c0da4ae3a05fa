/* verification.h - runs verify over the link's lane, and keeps its last report. One at a time.
 *
 * It goes on whatever becomes of the client that asked, and over gaps and lost servers; it ends (stopped)
 * when the lane does. */
#ifndef RIOTD_VERIFICATION_H
#define RIOTD_VERIFICATION_H

#include "daemon/link.h"
#include "daemon/operation.h"
#include "lib/verify/verify.h"

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

MUST_CHECK int verification_new(struct loop *loop, struct link *link, struct operations *ops, struct log *log,
                                struct verification **ret);
struct verification *verification_free(struct verification *v);

/* -EBUSY: one runs already. -EPERM: the link is in no state to be verified. -EINVAL: the database is not in
 * scope, ... */
MUST_CHECK int verification_start(struct verification *v, const struct verification_options *opt,
                                  char why[LINK_WHY_MAX], uint64_t *ret_operation);
/* The same for another part of the daemon, without an operation: fn with the report (borrowed). */
typedef void verification_fn(const struct verify_report *borrowed, void *arg);
MUST_CHECK int verification_run(struct verification *v, const struct verification_options *opt,
                                char why[LINK_WHY_MAX], verification_fn *fn, void *arg);
MUST_CHECK int verification_stop(struct verification *v, char why[LINK_WHY_MAX]); /* -ENOENT: none runs */
void verification_lane_gone(struct verification *v);
bool verification_runs(const struct verification *v);
/* Of the one that runs, else of the last; false: there was none in this process. */
bool verification_report(const struct verification *v, struct verify_report *ret);

#endif
