#include "lib/redis/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/core/loop.h"

static int plain_opened(struct transport *t)
{
    int err = 0;
    socklen_t len = sizeof(err);
    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        return -errno;
    return -err;
}

static ssize_t plain_recv(struct transport *t, void *out, size_t n)
{
    ssize_t got;
    do {
        got = recv(t->fd, out, n, 0);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t plain_send(struct transport *t, const void *ptr, size_t n)
{
    ssize_t sent;
    do {
        sent = send(t->fd, ptr, n, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static bool plain_pending(const struct transport *t)
{
    (void)t;
    return false;
}

static const char *plain_why(const struct transport *t)
{
    (void)t;
    return "";
}

static void plain_close(struct transport *t)
{
    close(t->fd);
}

static const struct transport_ops plain_ops = {plain_opened,  plain_recv, plain_send,
                                               plain_pending, plain_why,  plain_close};

static void set(int fd, int level, int option, int value)
{
    /* Each is a help, none is needed: what it does not detect, the connection's own time-out does. */
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void tune_tcp(int fd, unsigned timeout_ms)
{
    int third_s = (int)MAX(timeout_ms / 3000, 1u);
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, third_s);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, third_s);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)MIN(timeout_ms, (unsigned)INT32_MAX));
}

int transport_plain(const struct sockaddr *addr, socklen_t len, unsigned timeout_ms, struct transport *ret)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (addr->sa_family != AF_UNIX)
        tune_tcp(fd, timeout_ms);
    if (connect(fd, addr, len) < 0 && errno != EINPROGRESS) {
        int err = -errno;
        close(fd);
        return err;
    }
    *ret = (struct transport){.ops = &plain_ops, .fd = fd, .wants = IO_WRITE};
    return 0;
}

int transport_unix(const char *path, struct transport *ret)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    memcpy(addr.sun_path, path, len + 1);
    return transport_plain((struct sockaddr *)&addr, sizeof(addr), 0, ret);
}

void transport_close(struct transport *t)
{
    if (t->ops)
        t->ops->close(t);
    *t = (struct transport){0};
}
