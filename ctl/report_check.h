/* report_check.h - the table of a check. */
#ifndef RIOT_CTL_REPORT_CHECK_H
#define RIOT_CTL_REPORT_CHECK_H

#include <jansson.h>
#include "ctl/session.h"

/* Asks, shows the document as a table (as it is with --json), and returns its exit code: 0, or 12 with
 * errors. */
MUST_CHECK int report_check(struct session *s);
/* -ENOBUFS: it is longer than out may be. */
MUST_CHECK int report_check_render(const json_t *doc, const struct term *t, struct buf *out);

#endif
