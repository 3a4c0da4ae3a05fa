/* riotctl as a whole, against a daemon of the test's own: what it prints, how it exits, what Ctrl-C leaves
 * behind. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/args.h"
#include "ctl/commands.h"
#include "daemon/server.h"

#define WAIT_MS 10000

static char base[64], path[108];
static pid_t child;
static char text[64 * KIB]; /* of the last run: stdout and stderr together */

/* --- a daemon --- */

struct daemon {
    struct loop *loop;
    struct server *server;
    struct timer *later;
    bool ended;
};

static const char status_running[] =
    "{\"schema\":1,\"name\":\"orders\",\"state\":\"live\",\"lag\":{\"keys\":12,\"ms\":35},"
    "\"source\":{\"address\":\"10.0.0.5:6379\"},\"target\":{\"address\":\"evil\\u001b[2Jname\"},"
    "\"operations\":[{\"id\":7,\"verb\":\"wait\",\"state\":\"running\"}]}";
static const char status_ended[] =
    "{\"schema\":1,\"name\":\"orders\",\"state\":\"live\",\"operations\":[{\"id\":7,\"verb\":\"wait\","
    "\"state\":\"ended\",\"result\":\"ok\",\"exit_code\":0,\"text\":\"idle at last\"}]}";

static void on_later(void *arg)
{
    struct daemon *d = arg;

    d->ended = true;
    server_publish(d->server, 1,
                   BYTES("{\"seq\":1,\"event\":\"operation_ended\",\"operation\":6,\"exit_code\":9}"));
    server_publish(d->server, 1,
                   BYTES("{\"seq\":2,\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"operation_ended\","
                         "\"operation\":7,\"result\":\"failed\",\"exit_code\":13,\"text\":\"no longer\"}"));
}

/* idle: its end is known from the status alone, after a gap. live: ends well. drained: fails after 100 ms, or
 * the daemon goes away. */
static void on_wait(struct daemon *d, struct client *c, const struct request *r)
{
    server_reply_json(c, BYTES("{\"operation\": 7}"));
    switch (r->values[ARG_FOR].number) {
    case WAIT_FOR_IDLE:
        d->ended = true;
        server_publish(d->server, 1, BYTES("{\"event\":\"gap\",\"missed\":3}"));
        break;
    case WAIT_FOR_LIVE:
        server_publish(
            d->server, 1,
            BYTES("{\"event\":\"operation_ended\",\"operation\":7,\"result\":\"ok\",\"exit_code\":0,"
                  "\"text\":\"is live\"}"));
        break;
    default:
        if (!r->values[ARG_TIMEOUT].given)
            timer_set(d->later, 100000);
        else if (r->values[ARG_TIMEOUT].number == 1)
            loop_stop(d->loop);
    }
}

static void on_verb(struct client *c, const struct request *r, void *arg)
{
    struct daemon *d = arg;

    switch (r->verb->id) {
    case VERB_STATUS:
        server_reply_json(c, bytes_str(d->ended ? status_ended : status_running));
        break;
    case VERB_WAIT:
        on_wait(d, c, r);
        break;
    case VERB_RESUME:
        server_reply_error(c, CODE_NOTFOUND, "no blocker '%.*s'", (int)r->values[ARG_ACCEPT].text.len,
                           r->values[ARG_ACCEPT].text.ptr);
        break;
    case VERB_STOP:
        server_reply_error(c, CODE_STATE, "bad \x1b[31m state");
        break;
    case VERB_LIMIT:
        server_reply_json(c, BYTES("{\"memory\":67108864,\"keys_per_s\":0,\"bytes_per_s\":1048576}"));
        break;
    case VERB_CONFIG:
        server_reply_json(
            c, BYTES("{\"options\":[{\"name\":\"source.url\",\"value\":\"redis://x\",\"origin\":\"file\"},"
                     "{\"name\":\"autostart\",\"value\":true,\"origin\":\"default\"}]}"));
        break;
    case VERB_PAUSE:
        server_publish(d->server, 1,
                       BYTES("{\"seq\":9,\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"state\","
                             "\"priority\":\"notice\",\"text\":\"now\\n paused\"}"));
        server_reply_ok(c);
        break;
    default:
        server_reply_ok(c);
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

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (loop_new(&d.loop) || timer_new(d.loop, on_later, &d, &d.later) ||
        sig_new(d.loop, SIGTERM, on_term, &d, &term) ||
        server_new(d.loop, path, NULL, on_verb, &d, &d.server) || write(ready, "", 1) != 1 ||
        loop_run(d.loop))
        _exit(9);
    server_free(d.server);
    timer_free(d.later);
    sig_free(term);
    loop_free(d.loop);
    exit(0);
}

static void start(void)
{
    int fds[2];
    char ok;

    snprintf(base, sizeof(base), "/tmp/riot-riotctl-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(path, sizeof(path), "%s/riotd-orders/riotd.sock", base);
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", base, 1), 0);
    unsetenv("RIOT_SOCKET");
    ck_assert_int_eq(pipe(fds), 0);
    child = fork();
    if (!child)
        run_daemon(fds[1]);
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
    snprintf(command, sizeof(command), "rm -rf %s", base);
    ck_assert_int_eq(system(command), 0);
}

static void stop(void)
{
    kill(child, SIGTERM);
    wait_daemon();
}

/* --- riotctl --- */

/* As its main() does; in a child. */
static void run_ctl(const char *line)
{
    char copy[512], why[REQUEST_WHY_MAX], *argv[32] = {copy};
    struct args args;
    struct session s;
    int argc = 1;

    snprintf(copy, sizeof(copy), "riotctl %s", line);
    for (char *rest = copy; (rest = strchr(rest, ' '));) {
        *rest++ = '\0';
        argv[argc++] = rest;
    }
    signal(SIGPIPE, SIG_IGN);
    if (args_parse(argc, argv, &args, why))
        exit(99);
    session_init(&s, &args);
    s.env.run = "/nowhere";
    int status = args.help ? commands_help(&s, args.request.verb) : commands_run(&s);
    session_close(&s);
    exit(status);
}

static pid_t spawn(const char *line, int *ret_fd)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (!pid) {
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        run_ctl(line);
    }
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

/* Reads until `until` came, or the end. */
static void collect(int fd, const char *until)
{
    size_t n = strlen(text);

    while (n + 1 < sizeof(text) && !(until && strstr(text, until))) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ck_assert_msg(poll(&p, 1, WAIT_MS) == 1, "nothing comes any more; so far: %s", text);
        ssize_t got = read(fd, text + n, sizeof(text) - n - 1);
        if (got <= 0)
            break;
        n += (size_t)got;
        text[n] = '\0';
    }
}

static int end_of(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void run(const char *line, int want)
{
    int fd;
    pid_t pid = spawn(line, &fd);

    text[0] = '\0';
    collect(fd, NULL);
    close(fd);
    int status = end_of(pid);
    ck_assert_msg(status == want, "%s exits with %d: %s", line, status, text);
}

static void printed(const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no '%s' in: %s", part, text);
}

START_TEST(answers)
{
    start();
    run("status", 0);
    printed("link      orders  live\n");
    printed("evil\\x1b[2Jname");
    run("status --json", 0);
    ck_assert_int_eq(strncmp(text, status_running, strlen(status_running)), 0);
    run("-n orders pause", 0);
    ck_assert_str_eq(text, "OK\n");
    run("pause --json", 0);
    ck_assert_str_eq(text, "{\"ok\":true}\n");
    run("limit", 0);
    ck_assert_str_eq(text, "memory       64MiB\nkeys_per_s   0\nbytes_per_s  1MiB\n");
    run("config", 0);
    ck_assert_str_eq(
        text, "OPTION      VALUE      ORIGIN\nsource.url  redis://x  file\nautostart   yes        default\n");
    run("version", 0);
    ck_assert_str_eq(text, "riotctl " RIOT_VERSION "\nriotd " RIOT_VERSION "\n");
    run("help wait", 0);
    printed("Usage: riotctl [OPTIONS] wait --for COND");
    run("help nothing", 2);
    printed("riotctl: USAGE: there is no verb 'nothing'; 'riotctl help' lists them\n");
    stop();
}
END_TEST

START_TEST(errors)
{
    start();
    run("resume --accept x", 2);
    ck_assert_str_eq(text, "riotctl: NOTFOUND: no blocker 'x'\n");
    run("stop", 6);
    ck_assert_str_eq(text, "riotctl: STATE: bad  [31m state\n");
    run("--color=always stop", 6);
    printed("riotctl: \033[1;31mSTATE\033[0m: ");
    run("-n other status", 3);
    printed("riotctl: DOWN: no riotd answers at ");
    printed("riotd-other/riotd.sock (there is no such socket); start it with 'systemctl start riotd@other'");
    run("-s /nowhere/at/all status", 3);
    printed("/nowhere/at/all");
    run("-s /etc/passwd status", 3);
    ck_assert_int_eq(setenv("RIOT_SOCKET", "/nowhere/else", 1), 0);
    run("status", 3);
    printed("/nowhere/else");
    run("-n orders status", 0);
    unsetenv("RIOT_SOCKET");
    kill(child, SIGSTOP);
    kill(child, SIGCONT);
    stop();
    run("status", 3);
    printed("riotctl: DOWN: ");
}
END_TEST

START_TEST(operations)
{
    start();
    run("wait --for live", 0);
    ck_assert_str_eq(text, "is live\n");
    run("wait --for live --json", 0);
    ck_assert_str_eq(text, "{\"event\":\"operation_ended\",\"operation\":7,\"result\":\"ok\",\"exit_code\":0,"
                           "\"text\":\"is live\"}\n");
    run("wait --for drained --no-wait --timeout 1h", 0);
    ck_assert_str_eq(text, "7\n");
    run("wait --for drained --no-wait --timeout 1h --json", 0);
    ck_assert_str_eq(text, "{\"operation\": 7}\n");
    run("wait --for drained", 13);
    ck_assert_str_eq(text, "riotctl: FAILED: no longer\n");
    run("wait --for idle", 0);
    ck_assert_str_eq(text, "idle at last\n");
    run("wait --for drained --timeout 1ms", 3);
    printed("went away");
    wait_daemon();
}
END_TEST

START_TEST(interrupted)
{
    int fd;

    start();
    pid_t pid = spawn("wait --for drained --timeout 1h", &fd);
    text[0] = '\0';
    usleep(300000);
    kill(pid, SIGINT);
    collect(fd, NULL);
    close(fd);
    ck_assert_int_eq(end_of(pid), 130);
    ck_assert_str_eq(
        text, "riotctl: INTERRUPTED: operation 7 (wait) goes on in riotd; 'riotctl status' shows it\n");
    stop();
}
END_TEST

START_TEST(events)
{
    int fd, json;

    start();
    pid_t pid = spawn("events", &fd), other = spawn("events --json", &json);
    usleep(300000);
    run("pause", 0);
    text[0] = '\0';
    collect(fd, "\n");
    ck_assert_str_eq(text, "2026-01-02T03:04:05.678Z  state: now\\n paused\n");
    text[0] = '\0';
    collect(json, "\n");
    ck_assert_int_eq(strncmp(text, "{\"seq\":9,", 9), 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(end_of(pid), 130);
    close(fd);
    text[0] = '\0';
    stop();
    collect(json, NULL);
    printed("riotctl: GONE: ");
    ck_assert_int_eq(end_of(other), 3);
    close(json);
}
END_TEST

START_TEST(lists)
{
    char other[128], command[256];

    start();
    run("list", 0);
    ck_assert_str_eq(text, "LINK    STATE  LAG            SOURCE         TARGET\n"
                           "orders  live   12 keys, 35ms  10.0.0.5:6379  evil\\x1b[2Jname\n");
    /* A second one, by a second name for the same socket; and one that was left over. */
    snprintf(other, sizeof(other), "%s/riotd-second", base);
    ck_assert_int_eq(mkdir(other, 0755), 0);
    snprintf(command, sizeof(command), "ln %s %s/riotd.sock", path, other);
    ck_assert_int_eq(system(command), 0);
    run("status", 2);
    ck_assert_str_eq(text,
                     "riotctl: USAGE: several links run here: orders, second; say which with -n NAME\n");
    run("-n second status", 0);
    snprintf(command, sizeof(command), "-s %s list", path);
    run(command, 0);
    ck_assert_ptr_null(strchr(text, '?'));
    run("-s /nowhere list", 0);
    printed("?       not running");
    run("list --json", 0);
    printed("{\"links\":[{\"name\":\"orders\",\"socket\":\"");
    printed("\"reachable\":true,\"status\":{\"schema\":1");
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    run("list", 0);
    printed("orders  not running");
    run("list --json", 0);
    printed("\"reachable\":false,\"error\":\"no riotd answers at");
    snprintf(command, sizeof(command), "rm -rf %s", base);
    ck_assert_int_eq(system(command), 0);
    run("list", 0);
    ck_assert_str_eq(text, "no riotd has its socket in $XDG_RUNTIME_DIR/riotd-NAME or /run/riotd-NAME\n");
}
END_TEST

START_TEST(watch_in_a_pipe)
{
    int fd;

    start();
    pid_t pid = spawn("status --watch", &fd);
    text[0] = '\0';
    collect(fd, "\n");
    printed("Z live, lag 12 keys 35ms\n");
    collect(fd, "ms\n2");
    kill(pid, SIGTERM);
    ck_assert_int_eq(end_of(pid), 130);
    close(fd);
    pid = spawn("status --watch --json", &fd);
    text[0] = '\0';
    collect(fd, "}\n{");
    stop();
    collect(fd, NULL);
    printed("riotctl: GONE: ");
    ck_assert_int_eq(end_of(pid), 3);
    close(fd);
}
END_TEST

static pid_t spawn_on_terminal(const char *line, int *ret_fd)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    pid_t pid = forkpty(ret_fd, NULL, NULL, &size);

    if (!pid) {
        setenv("TERM", "xterm", 1);
        unsetenv("NO_COLOR");
        run_ctl(line);
    }
    return pid;
}

START_TEST(watch_on_a_terminal)
{
    int fd;

    start();
    pid_t pid = spawn_on_terminal("status --watch", &fd);
    text[0] = '\0';
    collect(fd, "\033[32mlive\033[0m");
    ck_assert_int_eq(strncmp(text, "\033[?1049h\033[?25l", 14), 0);
    ck_assert_int_eq(write(fd, "\003", 1), 1); /* Ctrl-C */
    collect(fd, NULL);
    ck_assert_str_eq(text + strlen(text) - 14, "\033[?25h\033[?1049l");
    ck_assert_int_eq(end_of(pid), 130);
    close(fd);

    pid = spawn_on_terminal("wait --for drained --timeout 1h", &fd);
    text[0] = '\0';
    collect(fd, "wait: \033[32mlive\033[0m, lag 12 keys 35ms");
    ck_assert_int_eq(write(fd, "\003", 1), 1);
    collect(fd, NULL);
    printed("\r\033[Kriotctl: \033[1;31mINTERRUPTED\033[0m: operation 7");
    ck_assert_int_eq(end_of(pid), 130);
    close(fd);

    /* The terminal is as it was before the error is told. */
    pid = spawn_on_terminal("status --watch", &fd);
    text[0] = '\0';
    collect(fd, "live");
    stop();
    collect(fd, NULL);
    printed("\033[?1049lriotctl: \033[1;31mGONE\033[0m: ");
    ck_assert_int_eq(end_of(pid), 3);
    close(fd);
}
END_TEST

UNIT_MAIN("ctl/riotctl", answers, errors, operations, interrupted, events, lists, watch_in_a_pipe,
          watch_on_a_terminal)
