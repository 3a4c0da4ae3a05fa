/* clients.h - reads CLIENT LIST: "id=3 addr=127.0.0.1:50000 ... name=app ... flags=N ... user=default", a
 * line a client. No value holds a blank. */
#ifndef RIOT_CLIENTS_H
#define RIOT_CLIENTS_H

#include "lib/core/bytes.h"

/* What a server does not tell is empty; slices of the list. */
struct client_line {
    uint64_t id;
    struct bytes addr, name, user, flags;
};

/* Cuts the next client off the list; lines without an id are passed over. False: that was all. */
bool client_next(struct bytes *list, struct client_line *ret);
/* Is it a connection of this link, whose names begin with `prefix` and a colon? *ret_role: what follows the
 * prefix. */
bool client_is_of(struct bytes name, const char *prefix, struct bytes *ret_role);
/* Is it Sentinel's connection for commands: "sentinel-...-cmd"? */
bool client_is_sentinel(struct bytes name);

#endif
