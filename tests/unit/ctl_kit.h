/* ctl_kit.h - for the tests of riotctl as a whole: a daemon of the test's own in a child, and riotctl in
 * another, in a pipe or on a terminal. Static functions, since each test program is one file.
 *
 * The test defines on_verb() and on_later(). What riotctl printed, on stdout and stderr together, is `text`.
 */
#ifndef RIOT_CTL_KIT_H
#define RIOT_CTL_KIT_H

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
#include <termios.h>
#include <unistd.h>

#include "ctl/args.h"
#include "ctl/commands.h"
#include "daemon/server.h"
#include "tests/unit/unit.h"

#define KIT_UNUSED __attribute__((unused))
#define WAIT_MS    10000

static char base[64], path[108];
static pid_t child;
static char text[64 * KIB]; /* of the last run */

/* --- a daemon --- */

struct daemon {
    struct loop *loop;
    struct server *server;
    struct timer *later; /* calls on_later() */
    bool ended;
};

static void on_verb(struct client *c, const struct request *r, void *arg);
static void on_later(void *arg);

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

KIT_UNUSED static void start(void)
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

KIT_UNUSED static void wait_daemon(void)
{
    char command[96];
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
    snprintf(command, sizeof(command), "rm -rf %s", base);
    ck_assert_int_eq(system(command), 0);
}

KIT_UNUSED static void stop(void)
{
    kill(child, SIGTERM);
    wait_daemon();
}

/* --- riotctl --- */

/* As its main() does; in a child. Words are parted by blanks; ~ is a blank in a word. */
static void run_ctl(const char *line)
{
    char copy[1024], why[REQUEST_WHY_MAX], *argv[32] = {copy};
    struct args args;
    struct session s;
    int argc = 1;

    snprintf(copy, sizeof(copy), "riotctl %s", line);
    for (char *rest = copy; (rest = strchr(rest, ' '));) {
        *rest++ = '\0';
        argv[argc++] = rest;
    }
    for (int i = 1; i < argc; i++) {
        for (char *c = argv[i]; (c = strchr(c, '~'));)
            *c = ' ';
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

KIT_UNUSED static pid_t spawn(const char *line, int *ret_fd)
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
KIT_UNUSED static void collect(int fd, const char *until)
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

KIT_UNUSED static int end_of(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

KIT_UNUSED static void run(const char *line, int want)
{
    int fd;
    pid_t pid = spawn(line, &fd);

    text[0] = '\0';
    collect(fd, NULL);
    close(fd);
    int status = end_of(pid);
    ck_assert_msg(status == want, "%s exits with %d: %s", line, status, text);
}

KIT_UNUSED static void printed(const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no '%s' in: %s", part, text);
}

/* The kernel writes ^C after it has sent the signal: before or after what riotctl says to it. */
KIT_UNUSED static void no_echo(int fd)
{
    struct termios t;

    if (tcgetattr(fd, &t) == 0) {
        t.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(fd, TCSANOW, &t);
    }
}

KIT_UNUSED static pid_t spawn_on_terminal_of(const char *line, unsigned short columns, int *ret_fd)
{
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    pid_t pid = forkpty(ret_fd, NULL, NULL, &size);

    if (!pid) {
        no_echo(STDIN_FILENO);
        setenv("TERM", "xterm", 1);
        unsetenv("NO_COLOR");
        run_ctl(line);
    }
    return pid;
}

KIT_UNUSED static pid_t spawn_on_terminal(const char *line, int *ret_fd)
{
    return spawn_on_terminal_of(line, 80, ret_fd);
}

#endif
