/* watch_commands.h - which commands may write, by their names in INFO commandstats ("set", "xgroup|create").
 */
#ifndef RIOT_WATCH_COMMANDS_H
#define RIOT_WATCH_COMMANDS_H

#include "lib/core/bytes.h"

/* True also of a name that is not known: a module's, or a newer server's. */
bool watch_command_writes(struct bytes name);

#endif
