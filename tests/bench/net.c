#include "tests/bench/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

void die(const char *what)
{
    perror(what);
    exit(1);
}

static int connect_tcp(const char *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    in.sin_port = htons((uint16_t)atoi(port));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&in, sizeof(in)) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
        die(port);
    return fd;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (strlen(path) >= sizeof(un.sun_path)) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(un.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)))
        die(path);
    return fd;
}

int connect_to(const char *where)
{
    const char *colon = strrchr(where, ':');
    int fd = colon && where[0] != '/' ? connect_tcp(colon + 1) : connect_unix(where);

    if (fcntl(fd, F_SETFL, O_NONBLOCK))
        die("fcntl");
    return fd;
}

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
