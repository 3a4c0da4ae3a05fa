/* riotd.h - the composition root: owns and wires every object of the process, and runs it. */
#ifndef RIOTD_RIOTD_H
#define RIOTD_RIOTD_H

#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/state_file.h"

struct riotd_options {
    struct config *config;
    const struct config_inputs *inputs; /* what it was made of: a reload reads them again */
    const struct config_passwords *passwords;
    struct state_file *state;
    struct log *log;
    const char *socket; /* where to listen */
};

/* Until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit status (sysexits). */
int riotd_run(const struct riotd_options *opt);

#endif
