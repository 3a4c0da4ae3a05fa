/* server_socket.h - the listening Unix socket of the control server: made, given to its group, taken away. */
#ifndef RIOT_SERVER_SOCKET_H
#define RIOT_SERVER_SOCKET_H

#include <sys/stat.h>
#include "lib/core/sink.h"

#define SERVER_GROUP "riotd"

struct server_socket {
    int fd;
    char path[108]; /* as sun_path */
    dev_t dev;      /* which file it is: another's that took its place is left alone */
    ino_t ino;
};

/* Errors as server_new(). */
MUST_CHECK int server_socket_open(const char *path, const struct sink *sink, struct server_socket *ret);
void server_socket_close(struct server_socket *s);

#endif
