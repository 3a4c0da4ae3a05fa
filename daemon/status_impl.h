/* status_impl.h - the inside of the documents, for status.c and status_*.c only. */
#ifndef RIOTD_STATUS_IMPL_H
#define RIOTD_STATUS_IMPL_H

#include "daemon/status.h"

#include <jansson.h>

/* status_json.c: what is NULL, or an empty text, is left out. */
void status_set(json_t *o, const char *name, json_t *value); /* takes the value */
void status_text(json_t *o, const char *name, const char *text);
void status_number(json_t *o, const char *name, uint64_t n);
void status_real(json_t *o, const char *name, double n);
void status_time(json_t *o, const char *name, int64_t wall_ms);
char *status_finish(json_t *o); /* its text; o is released */

/* status_lanes.c: conditions, servers, feed and figures, and all lanes. */
void status_lane_parts(json_t *o, const struct link_status *s, struct link *k);

/* status_reports.c: NULL when there is nothing to tell. */
json_t *status_verify_part(const struct verification *v);
json_t *status_cutover_part(struct cutover *c);

#endif
