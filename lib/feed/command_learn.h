/* command_learn.h - the rules of writing commands from a server's answer to COMMAND. Pure. */
#ifndef RIOT_COMMAND_LEARN_H
#define RIOT_COMMAND_LEARN_H

#include "lib/feed/command_table.h"

/* Calls fn for each command that writes: EFFECT_UNKNOWN where the answer does not place its keys. The rule
 * dies with the call. An error of fn ends it and is returned. -EBADMSG: it is no answer to COMMAND. */
MUST_CHECK int command_learn(const struct reply *command,
                             int (*fn)(const struct command_rule *borrowed, void *arg), void *arg);

#endif
