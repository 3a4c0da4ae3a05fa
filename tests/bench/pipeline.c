/* pipeline.c - what a server can do: sends encoded requests, always `depth` of them unanswered, and counts
 * the replies.
 *
 *   pipeline SOCKET DEPTH REQUESTS [REPLIES]
 *
 * SOCKET is a path or host:port of this machine, REQUESTS a file of RESP arrays, REPLIES where the replies go
 * as they came. Prints: requests, errors among the replies, seconds.
 */
#include "tests/bench/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW (1 << 20) /* bytes of one read or write */

struct requests {
    const char *at, *end; /* what is not sent yet */
    const char *ready;    /* up to here, requests may be sent: depth allows it */
};

struct replies {
    char *buf;
    size_t len;
    size_t skip; /* bytes of a bulk and its line end that are still to come */
    size_t count, errors;
};

static struct requests map_requests(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st))
        die(path);
    char *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED)
        die(path);
    close(fd);
    return (struct requests){at, at + st.st_size, at};
}

/* The end of the request that begins at p. */
static const char *request_end(const char *p)
{
    char *end;
    long args = strtol(p + 1, &end, 10);

    for (p = end + 2; args > 0; args--) {
        long len = strtol(p + 1, &end, 10);
        p = end + 2 + len + 2;
    }
    return p;
}

/* Replies are simple ones or bulks; nothing that is measured here answers with an array. */
static size_t replies_feed(struct replies *r, const char *buf, size_t len)
{
    size_t used = 0;

    for (;;) {
        size_t n = r->skip < len - used ? r->skip : len - used;
        used += n;
        r->skip -= n;
        if (r->skip)
            return used;
        const char *eol = memchr(buf + used, '\n', len - used);
        if (!eol)
            return used;
        long bulk = buf[used] == '$' ? strtol(buf + used + 1, NULL, 10) : -1;
        r->errors += buf[used] == '-';
        r->count++;
        r->skip = bulk >= 0 ? (size_t)bulk + 2 : 0;
        used = (size_t)(eol + 1 - buf);
    }
}

static void receive(int fd, struct replies *r, FILE *save)
{
    ssize_t n = read(fd, r->buf + r->len, WINDOW - r->len);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        fprintf(stderr, "pipeline: the server closed the connection\n");
        exit(1);
    }
    if (n < 0)
        return;
    if (save && fwrite(r->buf + r->len, 1, (size_t)n, save) != (size_t)n)
        die("save");
    r->len += (size_t)n;
    size_t used = replies_feed(r, r->buf, r->len);
    memmove(r->buf, r->buf + used, r->len - used);
    r->len -= used;
}

static void transmit(int fd, struct requests *q)
{
    ssize_t n = write(fd, q->at, (size_t)(q->ready - q->at) < WINDOW ? (size_t)(q->ready - q->at) : WINDOW);

    if (n > 0)
        q->at += n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        die("write");
}

static size_t run(int fd, size_t depth, struct requests *q, struct replies *r, FILE *save)
{
    size_t let = 0; /* requests that may be sent */

    do {
        for (; let < r->count + depth && q->ready < q->end; let++)
            q->ready = request_end(q->ready);
        struct pollfd p = {fd, (short)(POLLIN | (q->at < q->ready ? POLLOUT : 0)), 0};
        if (poll(&p, 1, 60000) <= 0)
            die("poll");
        if (p.revents & POLLOUT)
            transmit(fd, q);
        if (p.revents & (POLLIN | POLLHUP))
            receive(fd, r, save);
    } while (q->ready < q->end || r->count < let || r->skip);
    return let;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: pipeline SOCKET DEPTH REQUESTS [REPLIES]\n");
        return 64;
    }
    int fd = connect_to(argv[1]);
    struct requests q = map_requests(argv[3]);
    struct replies r = {.buf = malloc(WINDOW)};
    FILE *save = argc > 4 ? fopen(argv[4], "w") : NULL;

    if (!r.buf || (argc > 4 && !save))
        die(argc > 4 ? argv[4] : "malloc");
    uint64_t begin = now_ns();
    size_t n = run(fd, (size_t)strtoul(argv[2], NULL, 10), &q, &r, save);
    printf("%zu %zu %.3f\n", n, r.errors, (double)(now_ns() - begin) / 1e9);
    if (save && fclose(save))
        die(argv[4]);
    free(r.buf);
    close(fd);
    return 0;
}
