/* transport.h - how a connection's bytes get over: plain sockets here; TLS (lib/redis/tls) is a second table
 * of operations over the same fd.
 *
 * For lib/redis/conn alone. Nothing blocks, and nothing raises SIGPIPE.
 */
#ifndef RIOT_TRANSPORT_H
#define RIOT_TRANSPORT_H

#include <sys/socket.h>
#include <sys/types.h>

#include "lib/core/common.h"

struct transport;

struct transport_ops {
    /* Called when the socket is ready for what the transport wants, until it gives 0: the way is open.
     * -EAGAIN, or a negative errno. */
    int (*opened)(struct transport *t);
    ssize_t (*recv)(struct transport *t, void *out,
                    size_t n); /* > 0; 0: closed by the peer; -EAGAIN; negative errno */
    ssize_t (*send)(struct transport *t, const void *ptr, size_t n); /* > 0; -EAGAIN; negative errno */
    bool (*pending)(const struct transport *t);    /* are bytes in it that the socket will not announce? */
    const char *(*why)(const struct transport *t); /* what -EPROTO stood for, or what is waited for until it
                                                      is open; "" there is nothing to say */
    void (*close)(struct transport *t);
};

#define TRANSPORT_WHY_MAX 200

struct transport {
    const struct transport_ops *ops; /* NULL: closed */
    int fd;
    unsigned wants; /* until it is open: IO_READ or IO_WRITE */
    void *state;    /* the operations' own */
};

/* Begins to connect. 0, then `opened` decides once the socket is writable; or a negative errno, and *ret is
 * untouched. */
MUST_CHECK int transport_plain(const struct sockaddr *addr, socklen_t len, unsigned timeout_ms,
                               struct transport *ret);
MUST_CHECK int transport_unix(const char *path, struct transport *ret);
void transport_close(struct transport *t); /* of a closed or zeroed one: nothing */

#endif
