#include "ctl/then.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* As they were before riotctl took some for itself. */
static void reset_signals(void)
{
    static const int taken[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        signal(taken[i], SIG_DFL);
}

static void set_or_not(const char *name, const char *value)
{
    if (value && value[0])
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void set_environment(const struct then_env *env)
{
    char pause[24] = "";

    if (env->has_pause)
        snprintf(pause, sizeof(pause), "%" PRIu64, env->pause_ms);
    set_or_not("RIOT_LINK", env->link);
    set_or_not("RIOT_TARGET", env->target);
    set_or_not("RIOT_WRITE_PAUSE_MS", pause);
}

/* In the child. 127 and a line on stderr, as a shell does it. */
static void become(const char *command, const struct then_env *env)
{
    int nothing = open("/dev/null", O_RDONLY);

    if (nothing >= 0 && nothing != STDIN_FILENO) {
        dup2(nothing, STDIN_FILENO);
        close(nothing);
    }
    reset_signals();
    set_environment(env);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    fprintf(stderr, "cannot run /bin/sh: %s\n", strerror(errno));
    _exit(127);
}

static int tell(int status, char *how, size_t cap)
{
    if (WIFEXITED(status) && !WEXITSTATUS(status))
        return 0;
    if (WIFEXITED(status))
        snprintf(how, cap, "ended with %d", WEXITSTATUS(status));
    else
        snprintf(how, cap, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return 1;
}

int then_run(struct bytes command, const struct then_env *env, char *how, size_t cap)
{
    char *text = bytes_dup(command);
    pid_t pid = text ? fork() : -1;
    int status = 0;

    if (!pid)
        become(text, env);
    free(text);
    if (pid < 0) {
        snprintf(how, cap, "could not be run: %s", strerror(errno));
        return 1;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno == EINTR)
            continue;
        snprintf(how, cap, "could not be waited for: %s", strerror(errno));
        return 1;
    }
    return tell(status, how, cap);
}
