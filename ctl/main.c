/* riotctl: steers a riotd over its control socket. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/args.h"
#include "ctl/commands.h"
#include "ctl/complete.h"

static int run(struct session *s)
{
    const struct args *args = s->args;

    if (args->help)
        return commands_help(s, args->request.verb);
    if (args->version)
        return commands_own_version();
    return commands_run(s);
}

/* Output that did not get out is a failure; a reader that has seen enough need not be told. */
static int finish(const struct session *s, int status)
{
    if ((fflush(stdout) || ferror(stdout)) && status == CTL_OK) {
        if (errno == EPIPE)
            return CTL_FAILED;
        return session_fail(s, CTL_FAILED, code_name(CODE_FAILED), "cannot write the output: %s",
                            strerror(errno));
    }
    return status;
}

/* A shell asks while somebody types: no errors, whatever is wrong. */
static int complete(int count, char *const *words)
{
    struct paths_env env = paths_env_read();
    struct candidates found;

    complete_words(count, words, &env, &found);
    candidates_print(&found, stdout);
    buf_free(&found.out);
    return CTL_OK;
}

int main(int argc, char **argv)
{
    struct args args = {0};
    struct session s;
    char why[REQUEST_WHY_MAX];

    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && !strcmp(argv[1], CANDIDATES_FLAG))
        return complete(argc - 2, argv + 2);
    int e = args_parse(argc, argv, &args, why);
    session_init(&s, &args);
    if (e)
        return session_fail(&s, CTL_USAGE, code_name(CODE_USAGE), "%s", why);
    int status = finish(&s, run(&s));
    session_close(&s);
    return status;
}
