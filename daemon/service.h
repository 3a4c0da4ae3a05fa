/* service.h - what systemd is told: READY, STATUS, STOPPING, RELOADING, and the watchdog. The only file that
 * knows libsystemd.
 *
 * Outside systemd ($NOTIFY_SOCKET is not set) everything does nothing. The watchdog is fed from the loop, so
 * a stuck loop is killed.
 */
#ifndef RIOTD_SERVICE_H
#define RIOTD_SERVICE_H

#include "lib/core/loop.h"

#define SERVICE_STATUS_MAX 256

struct service;
MUST_CHECK int service_new(struct loop *loop, struct service **ret);
struct service *service_free(struct service *s);

void service_ready(struct service *s);
/* One line for `systemctl status`: sent at most once a second, the last one wins; the same text again is not
 * sent. */
void service_status(struct service *s, const char *format, ...) PRINTF_LIKE(2, 3);
void service_reloading(struct service *s); /* service_ready() ends it */
void service_stopping(struct service *s);
/* systemd waits so much longer, from now, before it kills what is stopping. */
void service_extend(struct service *s, uint64_t us);

#endif
