/* status.h - the documents that the daemon answers: status, configuration, events. The only file here that
 * makes JSON of them.
 *
 * One versioned document; snake_case, units in names; what is not known is absent, never 0. Each function
 * gives a text from malloc, or NULL when memory is out.
 */
#ifndef RIOTD_STATUS_H
#define RIOTD_STATUS_H

#include "daemon/cutover.h"
#include "daemon/link.h"
#include "daemon/operation.h"
#include "daemon/preflight.h"
#include "daemon/verification.h"

#define STATUS_SCHEMA      1
#define STATUS_FAILED_KEYS 20 /* the sample of failed keys */

struct status_parts { /* all borrowed */
    const struct config *config;
    struct link *link;
    const struct verification *verification;
    struct cutover *cutover;
    const struct operations *operations;
};
char *status_document(const struct status_parts *p);
/* What a verify found: the one that ended last, of which there must be one. */
char *status_verify_report(const struct verification *v);
char *status_check_report(const struct preflight_report *r);
char *status_config(const struct config *c);
char *status_limits(const struct config *c);
char *status_changes(const struct config *c, const struct config_changes *changes); /* of a reload */
char *status_version(void);
char *status_operation_id(uint64_t id);
/* Events, as SUBSCRIBE events streams them. */
char *status_log_event(uint64_t seq, const struct log_entry *e);
char *status_operation_event(uint64_t seq, const char *event, const struct operation *op);

#endif
