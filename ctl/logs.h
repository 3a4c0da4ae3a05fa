/* logs.h - `riotctl logs`: journalctl, for the service of one link. */
#ifndef RIOT_CTL_LOGS_H
#define RIOT_CTL_LOGS_H

#include "ctl/session.h"

/* Becomes journalctl. Returns an exit code only where it cannot. The link is the one of -n, else the one that
 * answers at the socket. */
int logs_show(struct session *s);

#endif
