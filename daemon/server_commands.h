/* server_commands.h - what ordinary Redis clients send besides verbs, answered so that they connect. For
 * daemon/server*.c only. */
#ifndef RIOT_SERVER_COMMANDS_H
#define RIOT_SERVER_COMMANDS_H

#include "daemon/server_client.h"

/* Answers the request if it is one of these; false: it is not. */
bool server_command(struct client *c, const struct bytes *argv, size_t argc);

#endif
