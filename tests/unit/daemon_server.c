/* The control server on a real socket: it runs in a child with a handler of the test's, the test is its
 * client. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/server.h"
#include "lib/core/clock.h"

#define WAIT_MS 10000

static char base[64], path[108];
static pid_t child;

/* --- the child --- */

struct daemon {
    struct loop *loop;
    struct server *server;
    struct timer *later;
    uint64_t asker;
};

static void on_later(void *arg)
{
    struct daemon *d = arg;
    struct client *c = server_find(d->server, d->asker);

    if (c)
        server_reply_ok(c);
    server_publish(d->server, 1, bytes_str(c ? "{\"late\":1}" : "{\"late\":0}"));
}

static void publish_many(struct daemon *d, uint64_t n)
{
    static char json[64 * KIB];

    memset(json, 'x', sizeof(json));
    for (uint64_t i = 0; i < n; i++) {
        int len = snprintf(json, sizeof(json), "{\"seq\":%llu,", (unsigned long long)i);
        json[len] = ' ';
        server_publish(d->server, i, bytes_of(json, sizeof(json)));
    }
}

static void huge_json(struct client *c, size_t n)
{
    char *text = malloc(n);

    memset(text, 'j', n);
    server_reply_json(c, bytes_of(text, n));
    free(text);
}

static void on_verb(struct client *c, const struct request *r, void *arg)
{
    struct daemon *d = arg;
    char text[64];

    switch (r->verb->id) {
    case VERB_STATUS:
        server_reply_json(c, BYTES("{\"state\":\"live\"}"));
        server_reply_ok(c); /* one too many, and without effect */
        break;
    case VERB_START:
        d->asker = server_client_id(c);
        timer_set(d->later, 50000);
        break;
    case VERB_PAUSE:
        server_reply_error(c, CODE_STATE, "not in\r\n%s", "state idle");
        break;
    case VERB_RESUME:
        publish_many(d, strtoull(r->values[ARG_ACCEPT].text.ptr, NULL, 10));
        server_reply_ok(c);
        break;
    case VERB_LIMIT:
        if (r->values[ARG_KEYS_PER_S].given)
            huge_json(c, r->values[ARG_KEYS_PER_S].number);
        else
            server_reply_ok(c);
        break;
    case VERB_CONFIG:
        snprintf(text, sizeof(text), "%u %d", server_client_uid(c), server_client_pid(c));
        server_reply_json(c, bytes_str(text));
        break;
    case VERB_STOP:
        server_reply_ok(c);
        d->server = server_free(d->server);
        loop_stop(d->loop);
        break;
    default:
        server_reply_error(c, CODE_FAILED, "not in this test");
    }
}

static void on_term(int number, void *arg)
{
    struct daemon *d = arg;

    (void)number;
    loop_stop(d->loop);
}

static void run_daemon(int ready)
{
    struct daemon d = {0};
    struct sig *term;
    char ok = 1;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (loop_new(&d.loop) || timer_new(d.loop, on_later, &d, &d.later) ||
        sig_new(d.loop, SIGTERM, on_term, &d, &term) ||
        server_new(d.loop, path, NULL, on_verb, &d, &d.server) || write(ready, &ok, 1) != 1 ||
        loop_run(d.loop))
        _exit(9);
    server_free(d.server);
    timer_free(d.later);
    sig_free(term);
    loop_free(d.loop);
    close(ready);
    exit(0);
}

/* --- the client --- */

static void start(void)
{
    int fds[2];
    char ok;

    snprintf(base, sizeof(base), "/tmp/riot-server-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(path, sizeof(path), "%s/run/riotd.sock", base);
    ck_assert_int_eq(pipe(fds), 0);
    child = fork();
    if (!child) {
        close(fds[0]);
        run_daemon(fds[1]);
    }
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], &ok, 1), 1);
    close(fds[0]);
}

static void wait_daemon(void)
{
    char command[96];
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
    ck_assert_int_eq(access(path, F_OK), -1);
    snprintf(command, sizeof(command), "rm -rf %s", base);
    ck_assert_int_eq(system(command), 0);
}

static void stop(void)
{
    ck_assert_int_eq(kill(child, SIGTERM), 0);
    wait_daemon();
}

static int dial(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(addr.sun_path, path, sizeof(path));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static void put_n(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t done = send(fd, text, n, MSG_NOSIGNAL);
        ck_assert_int_gt(done, 0);
        text += done;
        n -= (size_t)done;
    }
}

static void put(int fd, const char *text)
{
    put_n(fd, text, strlen(text));
}

/* Up to n bytes, fewer only where the server closes. */
static size_t get_n(int fd, char *out, size_t n)
{
    size_t have = 0;

    while (have < n) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ck_assert_msg(poll(&p, 1, WAIT_MS) == 1, "no answer; so far: %.*s", (int)MIN(have, 200), out);
        ssize_t done = recv(fd, out + have, n - have, 0);
        if (done < 0)
            ck_assert_int_eq(errno, ECONNRESET);
        if (done <= 0)
            break;
        have += (size_t)done;
    }
    return have;
}

static void expect(int fd, const char *text)
{
    char out[4096] = {0};

    get_n(fd, out, strlen(text));
    ck_assert_str_eq(out, text);
}

static void expect_closed(int fd)
{
    char c;

    ck_assert_uint_eq(get_n(fd, &c, 1), 0);
    close(fd);
}

static void ask(int fd, const char *request, const char *answer)
{
    put(fd, request);
    expect(fd, answer);
}

static void expect_line(int fd, const char *prefix, char *out, size_t cap)
{
    size_t n = 0;

    while (n + 1 < cap && get_n(fd, out + n, 1) && out[n] != '\n')
        n++;
    out[n] = '\0';
    ck_assert_msg(!strncmp(out, prefix, strlen(prefix)), "%s", out);
}

START_TEST(ordinary_clients)
{
    start();
    int fd = dial();

    ask(fd, "*1\r\n$4\r\nPING\r\n", "+PONG\r\n");
    ask(fd, "PING\r\n", "+PONG\r\n");
    ask(fd, "ping \"a b\"\r\n", "$3\r\na b\r\n");
    ask(fd, "*2\r\n$4\r\nECHO\r\n$3\r\n\0x\n\r\n", "");
    put_n(fd, "\0x\n\r\n", 5);
    char out[9];
    ck_assert_uint_eq(get_n(fd, out, 9), 9);
    ck_assert_int_eq(memcmp(out, "$3\r\n\0x\n\r\n", 9), 0);
    ask(fd, "ECHO\r\n", "-USAGE wrong number of arguments for ECHO\r\n");
    ask(fd, "HELLO 3\r\n", "-NOPROTO unsupported protocol version: riotd speaks RESP2\r\n");
    ask(fd, "HELLO 2 SETNAME me\r\n",
        "*14\r\n$6\r\nserver\r\n$5\r\nriotd\r\n$7\r\nversion\r\n$5\r\n" RIOT_VERSION
        "\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n"
        "$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n");
    ask(fd, "CLIENT GETNAME\r\n", "$2\r\nme\r\n");
    ask(fd, "CLIENT SETNAME \"\"\r\nCLIENT GETNAME\r\n", "+OK\r\n$-1\r\n");
    ask(fd, "CLIENT SETNAME \"a b\"\r\n", "-USAGE a client's name");
    expect_line(fd, "", out, 1);
    close(fd);

    fd = dial();
    ask(fd, "CLIENT SETINFO LIB-NAME redis-py\r\nCLIENT ID\r\n", "+OK\r\n:2\r\n");
    ask(fd, "COMMAND\r\nCOMMAND DOCS\r\nCOMMAND COUNT\r\n", "*0\r\n*0\r\n:0\r\n");
    ask(fd, "SELECT 0\r\nSELECT 1\r\n", "+OK\r\n-USAGE there is only database 0 here\r\n");
    ask(fd, "\r\n\r\nQUIT\r\n", "+OK\r\n");
    expect_closed(fd);
    stop();
}
END_TEST

START_TEST(verbs_and_answers)
{
    char who[32], want[64];

    start();
    int fd = dial();
    ask(fd, "*1\r\n$6\r\nstatus\r\n", "$16\r\n{\"state\":\"live\"}\r\n");
    ask(fd, "PAUSE\r\n", "-STATE not in  state idle\r\n");
    ask(fd, "STATSU\r\n", "-USAGE unknown verb 'STATSU'; did you mean 'status'?\r\n");
    ask(fd, "REBOOT\r\n", "-USAGE unknown verb 'REBOOT'; 'riotctl help' lists them\r\n");
    ask(fd, "WAIT\r\n",
        "-USAGE wait needs 'for': one of idle, live, drained, verified, committed, finished\r\n");
    ask(fd, "VERSION\r\n", "$19\r\n{\"version\":\"" RIOT_VERSION "\"}\r\n");
    snprintf(who, sizeof(who), "%u %d", getuid(), getpid());
    snprintf(want, sizeof(want), "$%zu\r\n%s\r\n", strlen(who), who);
    ask(fd, "CONFIG\r\n", want);
    put(fd, "HELP\r\n");
    expect(fd, "$");
    close(fd);
    stop();
}
END_TEST

START_TEST(a_byte_at_a_time)
{
    static const char request[] =
        "*5\r\n$4\r\nWAIT\r\n$3\r\nFOR\r\n$4\r\nlive\r\n$7\r\nTIMEOUT\r\n$2\r\n5s\r\nPING\r\n";

    start();
    int fd = dial();
    for (const char *p = request; *p; p++)
        put_n(fd, p, 1);
    expect(fd, "-FAILED not in this test\r\n+PONG\r\n");
    close(fd);
    stop();
}
END_TEST

START_TEST(late_answers_keep_the_order)
{
    start();
    int fd = dial(), other = dial(), listener = dial();

    ask(listener, "SUBSCRIBE events\r\n", "*3\r\n$9\r\nsubscribe\r\n$6\r\nevents\r\n:1\r\n");
    put(fd, "START\r\nPING\r\nSTATUS\r\n");
    ask(other, "PING\r\n", "+PONG\r\n");
    expect(fd, "+OK\r\n+PONG\r\n$16\r\n{\"state\":\"live\"}\r\n");
    expect(listener, "*3\r\n$7\r\nmessage\r\n$6\r\nevents\r\n$10\r\n{\"late\":1}\r\n");
    /* A client that goes away while it is waited for. */
    put(fd, "START\r\n");
    ask(other, "PING\r\n", "+PONG\r\n");
    close(fd);
    expect(listener, "*3\r\n$7\r\nmessage\r\n$6\r\nevents\r\n$10\r\n{\"late\":");
    /* One that only ends its half still gets the answer. */
    put(other, "START\r\nPING\r\nPI");
    shutdown(other, SHUT_WR);
    expect(other, "+OK\r\n+PONG\r\n");
    expect_closed(other);
    close(listener);
    stop();
}
END_TEST

START_TEST(subscriptions)
{
    start();
    int fd = dial();

    ask(fd, "SUBSCRIBE other\r\n", "-NOTFOUND no such channel; there is 'events'\r\n");
    ask(fd, "UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    ask(fd, "SUBSCRIBE events events\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$6\r\nevents\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$6\r\nevents\r\n:1\r\n");
    ask(fd, "PING\r\nPING x\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
    ask(fd, "STATUS\r\n", "$16\r\n{\"state\":\"live\"}\r\n");
    ask(fd, "UNSUBSCRIBE events\r\nPING\r\n", "*3\r\n$11\r\nunsubscribe\r\n$6\r\nevents\r\n:0\r\n+PONG\r\n");
    ask(fd, "RESUME ACCEPT 3\r\n", "+OK\r\n");
    ask(fd, "PING\r\n", "+PONG\r\n");
    close(fd);
    stop();
}
END_TEST

START_TEST(a_slow_reader_gets_a_gap)
{
    static char message[65 * KIB], line[512];
    unsigned seen = 0, missed = 0;

    start();
    int slow = dial(), fd = dial();
    ask(slow, "SUBSCRIBE events\r\n", "*3\r\n$9\r\nsubscribe\r\n$6\r\nevents\r\n:1\r\n");
    ask(fd, "RESUME ACCEPT 100\r\n", "+OK\r\n");
    ask(fd, "RESUME ACCEPT 1\r\n", "+OK\r\n");
    while (!missed) {
        expect(slow, "*3\r\n$7\r\nmessage\r\n$6\r\nevents\r\n$");
        expect_line(slow, "", line, sizeof(line));
        size_t len = strtoul(line, NULL, 10);
        ck_assert_uint_lt(len + 2, sizeof(message));
        ck_assert_uint_eq(get_n(slow, message, len + 2), len + 2);
        message[len] = '\0';
        const char *at = strstr(message, "\"event\":\"gap\",\"missed\":");
        if (at)
            ck_assert_int_eq(strncmp(message, "{\"seq\":0,", 9), 0); /* of the last that is missing */
        if (at)
            missed = (unsigned)strtoul(at + strlen("\"event\":\"gap\",\"missed\":"), NULL, 10);
        else
            seen++;
    }
    ck_assert_uint_gt(seen, 10);
    ck_assert_uint_eq(seen + missed, 101);
    ask(fd, "RESUME ACCEPT 1\r\n", "+OK\r\n");
    expect(slow, "*3\r\n$7\r\nmessage\r\n$6\r\nevents\r\n$65536\r\n{\"seq\":0,");
    close(slow);
    ask(fd, "RESUME ACCEPT 1\r\n", "+OK\r\n");
    close(fd);
    stop();
}
END_TEST

START_TEST(limits)
{
    static char big[70 * KIB], out[MIB + 64];
    char line[256];

    start();
    int fd = dial();
    memset(big, 'b', sizeof(big));
    put(fd, "*2\r\n$4\r\nECHO\r\n$69000\r\n");
    send(fd, big, sizeof(big), MSG_NOSIGNAL);
    expect(fd, "-USAGE the request is longer than 64 KiB; closing\r\n");
    expect_closed(fd);

    fd = dial();
    put(fd, "*2\r\n$4\r\nECHO\r\n$65000\r\n");
    put_n(fd, big, 65000);
    put(fd, "\r\n");
    ck_assert_uint_eq(get_n(fd, out, 65010), 65010);
    put(fd, "*999\r\n");
    expect(fd, "-USAGE too many arguments; closing\r\n");
    expect_closed(fd);

    fd = dial();
    put(fd, "*1\r\n:3\r\n");
    expect(fd, "-USAGE protocol error");
    expect_line(fd, "", line, sizeof(line));
    expect_closed(fd);

    fd = dial();
    put(fd, "LIMIT keys_per_s 1048576\r\n");
    ck_assert_uint_eq(get_n(fd, out, 1048576 + 12), 1048576 + 12);
    ask(fd, "LIMIT keys_per_s 1048577\r\n", "-FAILED the answer is longer than 1 MiB; closing\r\n");
    expect_closed(fd);
    stop();
}
END_TEST

START_TEST(unread_output_has_a_ceiling)
{
    static char out[6 * MIB];

    start();
    int fd = dial();
    for (int i = 0; i < 8; i++)
        put(fd, "LIMIT keys_per_s 1000000\r\n");
    size_t n = get_n(fd, out, sizeof(out));
    static const char last[] = "-FAILED more than 4 MiB of answers are unread; closing\r\n";
    ck_assert_uint_gt(n, 4000000);
    ck_assert_int_eq(memcmp(out + n - strlen(last), last, strlen(last)), 0);
    close(fd);
    fd = dial();
    ask(fd, "PING\r\n", "+PONG\r\n");
    close(fd);
    stop();
}
END_TEST

START_TEST(pipelines_are_fair)
{
    static char many[60 * KIB], out[64 * KIB];
    size_t n = sizeof(many) / 6;

    start();
    int fd = dial(), other = dial();
    for (size_t i = 0; i < n; i++)
        memcpy(many + i * 6, "PING\r\n", 6);
    put_n(fd, many, n * 6);
    ask(other, "PING\r\n", "+PONG\r\n");
    for (size_t left = n * 7; left;) {
        size_t got = get_n(fd, out, MIN(left, sizeof(out)));
        ck_assert_uint_gt(got, 0);
        left -= got;
    }
    close(fd);
    close(other);
    stop();
}
END_TEST

START_TEST(sixty_four_clients)
{
    int fds[SERVER_CLIENTS_MAX];

    start();
    for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
        fds[i] = dial();
        ask(fds[i], "PING\r\n", "+PONG\r\n");
    }
    int fd = dial();
    expect(fd, "-BUSY 64 clients are connected already\r\n");
    expect_closed(fd);
    close(fds[7]);
    ask(fds[8], "PING\r\n", "+PONG\r\n");
    fds[7] = dial();
    ask(fds[7], "PING\r\n", "+PONG\r\n");
    for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
        close(fds[i]);
    stop();
}
END_TEST

START_TEST(freed_in_its_handler)
{
    start();
    int fd = dial(), other = dial();

    ask(other, "PING\r\n", "+PONG\r\n");
    ask(fd, "STATUS\r\nSTOP\r\nPING\r\n", "$16\r\n{\"state\":\"live\"}\r\n+OK\r\n");
    expect_closed(fd);
    expect_closed(other);
    wait_daemon();
}
END_TEST

/* --- the socket itself --- */

struct said {
    unsigned warnings;
};

static void on_say(void *arg, enum sink_level level, const char *event, const char *text)
{
    struct said *s = arg;

    (void)text;
    ck_assert_str_eq(event, "socket_warning");
    s->warnings += level == SINK_WARNING;
}

START_TEST(the_socket)
{
    struct said said = {0};
    struct sink sink = {on_say, &said};
    struct server *s, *second;
    struct loop *l;
    struct stat st;
    char deep[200];

    snprintf(base, sizeof(base), "/tmp/riot-server-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(path, sizeof(path), "%s/riotd.sock", base);
    ck_assert_int_eq(loop_new(&l), 0);
    ck_assert_int_eq(server_new(l, path, &sink, on_verb, NULL, &s), 0);
    ck_assert_uint_le(said.warnings, 1);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0660);
    ck_assert_int_eq(server_new(l, path, NULL, on_verb, NULL, &second), -EADDRINUSE);
    ck_assert_int_eq(access(path, F_OK), 0);

    /* What a riotd that was killed leaves behind. */
    ck_assert_int_eq(rename(path, strcat(strcpy(deep, path), ".kept")), 0);
    server_free(s);
    ck_assert_int_eq(rename(deep, path), 0);
    ck_assert_int_eq(server_new(l, path, NULL, on_verb, NULL, &s), 0);
    server_free(s);
    ck_assert_int_eq(access(path, F_OK), -1);

    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    ck_assert_int_eq(server_new(l, path, NULL, on_verb, NULL, &s), -EEXIST);
    ck_assert_int_eq(access(path, F_OK), 0);
    memset(deep, 'x', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    ck_assert_int_eq(server_new(l, deep, NULL, on_verb, NULL, &s), -ENAMETOOLONG);
    ck_assert_int_eq(server_new(l, "/nowhere/at/all", NULL, on_verb, NULL, &s), -ENOENT);
    loop_free(l);
    unlink(path);
    rmdir(base);
}
END_TEST

UNIT_MAIN("daemon/server", ordinary_clients, verbs_and_answers, a_byte_at_a_time, late_answers_keep_the_order,
          subscriptions, a_slow_reader_gets_a_gap, limits, unread_output_has_a_ceiling, pipelines_are_fair,
          sixty_four_clients, freed_in_its_handler, the_socket)
