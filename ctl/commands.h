/* commands.h - what riotctl does for each verb. */
#ifndef RIOT_CTL_COMMANDS_H
#define RIOT_CTL_COMMANDS_H

#include "ctl/session.h"

/* Returns the exit code. */
MUST_CHECK int commands_run(struct session *s);
/* --help and --version: nobody is asked. */
MUST_CHECK int commands_help(struct session *s, const struct verb *about); /* NULL: all */
MUST_CHECK int commands_own_version(void);

#endif
