/* then.h - the command that `cutover --then` runs once writes may go to the target.
 *
 * By sh -c, with nothing to read on stdin and riotctl's own stdout and stderr; what it is told stands in its
 * environment: RIOT_LINK, RIOT_TARGET, RIOT_WRITE_PAUSE_MS. It has Ctrl-C to itself.
 */
#ifndef RIOT_CTL_THEN_H
#define RIOT_CTL_THEN_H

#include "lib/core/bytes.h"

struct then_env {
    const char *link, *target; /* NULL: not known, and not set */
    bool has_pause;
    uint64_t pause_ms;
};

/* Waits for its end. 0: it ended with 0. 1: `how` says how it ended else, such as "ended with 3". */
MUST_CHECK int then_run(struct bytes command, const struct then_env *env, char *how, size_t cap);

#endif
