/* report_cutover.h - `riotctl cutover` and `finish`: the steps as they pass, how it ended, where writes go,
 * and what one has to do.
 */
#ifndef RIOT_CTL_REPORT_CUTOVER_H
#define RIOT_CTL_REPORT_CUTOVER_H

#include <jansson.h>
#include "ctl/rows.h"
#include "ctl/session.h"

/* Each returns the exit code. */
MUST_CHECK int report_cutover(struct session *s);
MUST_CHECK int report_finish(struct session *s);

/* The parts, for tests. */
#define REPORT_STEPS_MAX 32
#define REPORT_STEP_MAX  24
struct report_steps {
    char told[REPORT_STEPS_MAX][REPORT_STEP_MAX]; /* steps whose row is out */
    size_t ntold;
    char running[REPORT_STEP_MAX]; /* the one that began last, and when */
    uint64_t began_us;
};
/* Appends a row for each step of the status' `cutover` that has ended and is not told yet. */
void report_cutover_steps(struct report_steps *r, const json_t *doc, const struct term *t, struct buf *out);
/* In a row: the step that runs, and the clock of the write pause. ran_ms: for how long it has; NULL: unknown.
 */
void report_cutover_running(struct rows *r, const json_t *doc, const uint64_t *ran_ms);
/* A row of the status' `cutover`: the fence, whether it is held, and, over `most` more rows, on what it is.
 */
void report_fence(struct rows *r, const json_t *cutover, unsigned most);
/* Was the old source's fence taken back at the end, so that it takes writes again? */
MUST_CHECK bool report_let_go(const json_t *cutover);
/* Of one that has committed. said: the operation's text. */
void report_cutover_committed(const json_t *doc, const char *said, const struct term *t, struct buf *out);

#endif
