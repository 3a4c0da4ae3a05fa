/* load.c - writers of a source, and how long their writes take to arrive on the target.
 *
 *   load SOURCE RATE SECONDS KEYS [TARGET]
 *
 * SETs of 100 bytes to key:0 ... key:KEYS-1, at random. RATE: so many a second, whether the source keeps up
 * or not; 0: as many as go, DEPTH unanswered on each of the connections. SECONDS 0: until SIGTERM.
 *
 * With a TARGET, SAMPLES writes a second go to keys of their own, whose name is the time of the write:
 * probe:NANOSECONDS. A client-side cache (CLIENT TRACKING, BCAST, only this prefix) hears of them when the
 * target has executed them. So nothing polls, nothing is read, and the target pays for the samples alone. The
 * error is on the high side, by what lies between the target's execution and our reading: the rest of its
 * turn and one wake-up. The bench shows it: the same with the source as TARGET, and nothing between.
 *
 * Prints: writes answered, errors among them, seconds; samples heard, samples missing; p50, p99 and most of
 * the lag in microseconds.
 */
#include "tests/bench/net.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define WRITERS    4
#define DEPTH      16
#define SIZE       100
#define SAMPLES    2000
#define SAMPLES_IN (1 << 20)
#define TICK_NS    200000
#define PATIENCE   10 /* seconds in which the last samples must arrive */
#define ROOM       (1 << 18)
#define PREFIX     "probe:"

struct writer {
    int fd;
    size_t len, unanswered;
    char out[ROOM];
};

struct listener {
    int fd; /* -1: none */
    size_t len, heard;
    uint64_t *lag;
    char in[ROOM];
};

struct load {
    uint64_t rate, keys, every; /* every: which write is a sample; 0: none */
    uint64_t sent, answered, errors, samples, random;
    struct writer writers[WRITERS];
    struct listener target;
    char pool[4096 + SIZE];
};

static volatile sig_atomic_t told_to_end;

static void end(int signal)
{
    told_to_end = signal;
}

static uint64_t draw(struct load *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return l->random;
}

static void write_one(struct load *l, struct writer *w)
{
    bool sample = l->every && l->sent % l->every == 0;
    char key[40];
    int len = sample ? snprintf(key, sizeof(key), PREFIX "%llu", (unsigned long long)now_ns())
                     : snprintf(key, sizeof(key), "key:%llu", (unsigned long long)(draw(l) % l->keys));

    w->len += (size_t)sprintf(w->out + w->len, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%.*s\r\n", len, key,
                              SIZE, SIZE, l->pool + draw(l) % 4096);
    w->unanswered++;
    l->sent++;
    l->samples += sample;
}

static bool has_room(const struct writer *w)
{
    return w->len < ROOM - 256;
}

/* What is due by now, a writer after the other; or what the depth allows. */
static void write_due(struct load *l, uint64_t begin_ns)
{
    uint64_t due = (uint64_t)((double)(now_ns() - begin_ns) / 1e9 * (double)l->rate);

    if (!l->rate) {
        for (struct writer *w = l->writers; w < l->writers + WRITERS; w++)
            while (w->unanswered < DEPTH && has_room(w))
                write_one(l, w);
        return;
    }
    while (l->sent < due && has_room(&l->writers[l->sent % WRITERS]))
        write_one(l, &l->writers[l->sent % WRITERS]);
}

static void flush(struct writer *w)
{
    ssize_t n = w->len ? write(w->fd, w->out, w->len) : 0;

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        die("write");
    if (n > 0) {
        memmove(w->out, w->out + n, w->len - (size_t)n);
        w->len -= (size_t)n;
    }
}

static ssize_t receive(int fd, char *buf, size_t room)
{
    ssize_t n = read(fd, buf, room);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        fprintf(stderr, "load: the server closed the connection\n");
        exit(1);
    }
    return n;
}

/* Every reply is a line. */
static void take_answers(struct load *l, struct writer *w)
{
    char buf[1 << 14];
    ssize_t n = receive(w->fd, buf, sizeof(buf));

    for (ssize_t i = 0; i < n; i++) {
        l->errors += buf[i] == '-';
        if (buf[i] == '\n') {
            l->answered++;
            w->unanswered--;
        }
    }
}

/* The names are all that matters of what the target tells. */
static void hear(struct listener *t)
{
    ssize_t n = receive(t->fd, t->in + t->len, ROOM - 1 - t->len);
    uint64_t now = now_ns();
    char *at = t->in, *name, *past;

    if (n < 0)
        return;
    t->len += (size_t)n;
    t->in[t->len] = 0;
    while ((name = strstr(at, PREFIX)) && strchr(name, '\r')) {
        uint64_t wrote = strtoull(name + strlen(PREFIX), &past, 10);
        if (t->heard < SAMPLES_IN)
            t->lag[t->heard++] = now - wrote;
        at = past;
    }
    size_t rest = (size_t)(t->in + t->len - at);
    if (!name && rest > strlen(PREFIX)) {
        at += rest - strlen(PREFIX);
        rest = strlen(PREFIX);
    }
    memmove(t->in, at, rest);
    t->len = rest;
}

static void turn(struct load *l, uint64_t begin_ns)
{
    struct pollfd p[WRITERS + 1];
    struct timespec tick = {0, l->rate ? TICK_NS : 100 * TICK_NS};

    if (begin_ns)
        write_due(l, begin_ns);
    for (int i = 0; i < WRITERS; i++) {
        flush(&l->writers[i]);
        p[i] = (struct pollfd){l->writers[i].fd, (short)(POLLIN | (l->writers[i].len ? POLLOUT : 0)), 0};
    }
    p[WRITERS] = (struct pollfd){l->target.fd, POLLIN, 0};
    if (ppoll(p, WRITERS + 1, &tick, NULL) <= 0)
        return;
    for (int i = 0; i < WRITERS; i++)
        if (p[i].revents & (POLLIN | POLLHUP))
            take_answers(l, &l->writers[i]);
    if (p[WRITERS].revents & (POLLIN | POLLHUP))
        hear(&l->target);
}

static void listen_to(struct listener *t, const char *where)
{
    static const char hello[] = "HELLO 3\r\nCLIENT TRACKING ON BCAST PREFIX " PREFIX "\r\nECHO listening\r\n";
    struct pollfd p;

    t->fd = connect_to(where);
    p = (struct pollfd){t->fd, POLLIN, 0};
    t->lag = calloc(SAMPLES_IN, sizeof(*t->lag));
    if (!t->lag || write(t->fd, hello, sizeof(hello) - 1) < 0)
        die(where);
    while (!strstr(t->in, "listening")) {
        if (poll(&p, 1, 5000) <= 0)
            die(where);
        ssize_t n = receive(t->fd, t->in + t->len, ROOM - 1 - t->len);
        t->len += n > 0 ? (size_t)n : 0;
    }
    if (strstr(t->in, "-ERR")) {
        fprintf(stderr, "load: %s", strstr(t->in, "-ERR"));
        exit(1);
    }
    t->len = 0;
}

static void prepare(struct load *l, char **argv, const char *target)
{
    l->rate = strtoull(argv[2], NULL, 10);
    l->keys = strtoull(argv[4], NULL, 10);
    l->random = now_ns() | 1;
    l->target.fd = -1;
    for (size_t i = 0; i < sizeof(l->pool); i++)
        l->pool[i] = (char)('a' + draw(l) % 26);
    for (int i = 0; i < WRITERS; i++)
        l->writers[i].fd = connect_to(argv[1]);
    if (target) {
        l->every = l->rate > SAMPLES ? l->rate / SAMPLES : 1;
        listen_to(&l->target, target);
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double lag_us(const struct listener *t, double part)
{
    return t->heard ? (double)t->lag[(size_t)(part * (double)(t->heard - 1))] / 1e3 : 0;
}

static void report(struct load *l, double seconds)
{
    struct listener *t = &l->target;

    if (t->lag)
        qsort(t->lag, t->heard, sizeof(*t->lag), by_size);
    printf("%llu %llu %.4f %zu %llu %.0f %.0f %.0f\n", (unsigned long long)l->answered,
           (unsigned long long)l->errors, seconds, t->heard, (unsigned long long)(l->samples - t->heard),
           lag_us(t, 0.5), lag_us(t, 0.99), lag_us(t, 1));
}

static void run(struct load *l, uint64_t seconds)
{
    uint64_t begin = now_ns(), patience;

    while (!told_to_end && (!seconds || now_ns() - begin < seconds))
        turn(l, begin);
    double took = (double)(now_ns() - begin) / 1e9;
    uint64_t answered = l->answered;
    patience = now_ns() + PATIENCE * 1000000000ull;
    while (!told_to_end && l->target.fd >= 0 && l->target.heard < l->samples && now_ns() < patience)
        turn(l, 0);
    l->answered = answered;
    report(l, took);
}

int main(int argc, char **argv)
{
    static struct load l;

    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: load SOURCE RATE SECONDS KEYS [TARGET]\n");
        return 64;
    }
    signal(SIGTERM, end);
    prctl(PR_SET_TIMERSLACK, 1000);
    prepare(&l, argv, argc > 5 ? argv[5] : NULL);
    run(&l, (uint64_t)(strtod(argv[3], NULL) * 1e9));
    return 0;
}
