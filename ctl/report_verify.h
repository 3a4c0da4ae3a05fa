/* report_verify.h - `riotctl verify`: its progress, and its report. */
#ifndef RIOT_CTL_REPORT_VERIFY_H
#define RIOT_CTL_REPORT_VERIFY_H

#include <jansson.h>
#include "ctl/rows.h"
#include "ctl/session.h"

/* Returns the exit code. */
MUST_CHECK int report_verify(struct session *s);

/* "verify: 41.2 %, 12,345 keys/s, 12s left, drift 3, 12 pending", of the status' `verify`. */
void report_verify_progress(const json_t *doc, const struct term *t, struct buf *out);
/* The report document as text. now_ms: to say how old it is; 0: it is new. */
void report_verify_text(const json_t *doc, const struct term *t, int64_t now_ms, struct buf *out);
/* "13 missing, 7 extra", of a document's `drift`; "" when there is none. */
#define REPORT_DRIFT_MAX 192
const char *report_verify_drift(const json_t *doc, char out[REPORT_DRIFT_MAX]);
enum style report_verdict_style(const char *verdict);

#endif
