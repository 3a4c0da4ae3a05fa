/* cutover.h - the steps from a live link to a target that owns the data, and the way back (CORRECTNESS 4).
 *
 * Each step has a deadline, an event at its begin and end, and an undo. Until the commit everything is put
 * back on any failure; from the commit on it only goes forward. What a crash leaves behind is taken up by
 * cutover_begin().
 */
#ifndef RIOTD_CUTOVER_H
#define RIOTD_CUTOVER_H

#include "daemon/fences.h"
#include "daemon/verification.h"

enum cutover_step {
    CUTOVER_VALIDATE,
    CUTOVER_GATE,
    CUTOVER_SOFT_FENCE,
    CUTOVER_BARRIER,
    CUTOVER_DRAIN,
    CUTOVER_VERIFY,
    CUTOVER_HARD_FENCE,
    CUTOVER_PROVE_SOURCE,
    CUTOVER_PROVE_TARGET,
    CUTOVER_COMMIT,
    CUTOVER_RELEASE,
    CUTOVER_STEPS
};
const char *cutover_step_name(enum cutover_step s); /* "validate", "soft_fence", ... */

enum cutover_step_state { STEP_WAITING, STEP_RUNNING, STEP_DONE, STEP_FAILED, STEP_SKIPPED };

/* Zeros are not defaults: cutover_defaults() gives those. */
struct cutover_options {
    bool dry_run;
    uint64_t max_lag_ms, stable_for_ms, max_write_pause_ms, gate_timeout_ms;
    enum fence_kind fence;
    enum cutover_verify verify;
    uint64_t verify_budget_ms, hold_lease_ms, quiet_for_ms;
    uint64_t sentinel_down_after_ms; /* 0: not told */
};
void cutover_defaults(struct cutover_options *ret);

struct cutover;
MUST_CHECK int cutover_new(struct loop *loop, const struct config *config, struct link *link,
                           struct verification *v, struct operations *ops, struct state_file *state,
                           struct log *log, struct cutover **ret);
struct cutover *cutover_free(struct cutover *c);

/* As the process starts, before the control socket answers: takes up what the state file tells of. False:
 * nothing; link_begin() is the caller's to call. */
bool cutover_begin(struct cutover *c);

/* Each: 0, or -EBUSY, -EPERM, -EINVAL and why. The operation's exit code tells how it ended: 0, 6, 8, 9. */
MUST_CHECK int cutover_start(struct cutover *c, const struct cutover_options *opt, char why[LINK_WHY_MAX],
                             uint64_t *ret_operation);
MUST_CHECK int cutover_abort(struct cutover *c, char why[LINK_WHY_MAX]);
MUST_CHECK int cutover_finish(struct cutover *c, bool unfence, bool force, char why[LINK_WHY_MAX],
                              uint64_t *ret_operation);
/* From the seal of the target to the end of the release nothing of this process may have a connection to the
 * target but the lane: fn ends what has, as that begins; and what would begin then asks first. */
void cutover_on_seal(struct cutover *c, void (*fn)(void *arg), void *arg);
bool cutover_is_sealed(const struct cutover *c);
/* May the link be started or stopped? -EBUSY: not while the old source is being let go of, or the pause ends
 * after the commit: their end would be taken for the new link's. */
MUST_CHECK int cutover_allows_start(const struct cutover *c, char why[LINK_WHY_MAX]);
/* The process is to end: undoes first before the commit, finishes the step after it; then fn. false: nothing
 * is under way, fn is not called. */
bool cutover_end(struct cutover *c, void (*fn)(void *arg), void *arg);
void cutover_lane_gone(struct cutover *c);
void cutover_link_changed(struct cutover *c);

struct cutover_status {
    bool any; /* one runs, or ran in this process, or the state file tells of one */
    bool running, undoing, dry_run;
    bool unknown; /* whether it was committed: neither when nor a target is told */
    enum cutover_step step;
    struct {
        enum cutover_step_state state;
        uint64_t took_us;
        char text[160]; /* "lag 3 ms, stable for 2.0 s", "412 of 612 keys compared, all equal" */
    } steps[CUTOVER_STEPS];
    uint64_t write_pause_ms; /* so far, or as measured */
    bool has_write_pause;
    int64_t began_ms, committed_ms, finished_ms; /* unix time, 0: not */
    enum fence_kind fence;
    bool has_fence; /* it is known which */
    bool fence_held;
    char fence_text[320]; /* exactly what is fenced on which node, for people; "" nothing */
    char target[512];     /* where writes go now: the target's URL; "" while it is the source */
    char failed[320];     /* why the last one was refused, undone, or needs a person; "" */
    size_t nplan;
    char plan[16][200]; /* lines: what would be, or is being, done */
};
void cutover_status(struct cutover *c, struct cutover_status *ret);

#endif
