/* main.c - argv, the configuration, the state file; then riotd_run(). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/arguments.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/preflight.h"
#include "daemon/riotd.h"
#include "daemon/state_file.h"
#include "lib/control/paths.h"

#define CHECK_MS 10000 /* whatever the servers do */

/* A shell asks while somebody types: no errors, whatever is wrong. */
static int complete(int count, char *const *words)
{
    struct candidates found;

    arguments_complete(count, words, RIOT_CONFIG_FOLDER, &found);
    candidates_print(&found, stdout);
    buf_free(&found.out);
    return EX_OK;
}

static int print_help(void)
{
    struct buf out;

    buf_init(&out, ARGUMENTS_HELP_MAX);
    int e = arguments_help(&out);
    struct bytes text = buf_bytes(&out);
    fwrite(text.ptr, 1, text.len, stdout);
    buf_free(&out);
    return e ? EX_SOFTWARE : EX_OK;
}

static struct config_inputs inputs_of(const struct arguments *a)
{
    return (struct config_inputs){a->file, a->flags, a->nflags};
}

static int load_config(const struct arguments *a, struct config **ret)
{
    const struct config_inputs inputs = inputs_of(a);
    struct config_errors errors = {0};
    int err = config_load(&inputs, &errors, ret);

    config_errors_print(&errors, stderr);
    config_errors_free(&errors);
    return !err ? EX_OK : err == -ENOENT ? EX_NOINPUT : err == -EACCES ? EX_NOPERM : EX_CONFIG;
}

/* What the options of a password or of TLS name. */
static int read_files(const struct config *c, struct config_passwords *ret)
{
    char why[CONFIG_WHY_MAX];
    int err = config_read_passwords(c, ret, why);
    if (!err)
        err = config_try_tls(c, why);
    if (!err)
        return EX_OK;
    fprintf(stderr, "riotd: %s\n", why);
    return err == -ENOENT ? EX_NOINPUT : err == -EACCES ? EX_NOPERM : EX_CONFIG;
}

static int open_state(const struct arguments *a, const struct config *c, struct state_file **ret)
{
    char why[STATE_WHY_MAX], *dir;

    int err = state_dir_find(a->state_dir, &dir);
    if (err) {
        fprintf(stderr, "riotd: no folder is known for the state file: give --state-dir DIR\n");
        return EX_CANTCREAT;
    }
    err = state_file_open(dir, c->name, why, ret);
    free(dir);
    if (!err)
        return EX_OK;
    fprintf(stderr, "riotd: %s\n", why);
    return err == -EWOULDBLOCK ? EX_UNAVAILABLE : err == -EBADMSG ? EX_CONFIG : EX_CANTCREAT;
}

static int find_socket(const struct config *c, char path[PATHS_MAX])
{
    struct paths_env env = paths_env_read();
    const char *given = c->control_socket;
    int err = 0;

    if (!given)
        err = paths_daemon(&env, c->name, path);
    else if (strlen(given) >= PATHS_MAX)
        err = -ENAMETOOLONG;
    else
        snprintf(path, PATHS_MAX, "%s", given);
    if (!err)
        return EX_OK;
    fprintf(stderr, "riotd: %s: give --socket PATH\n",
            err == -ENAMETOOLONG ? "the control socket's path is longer than 107 bytes"
                                 : "no folder is known for the control socket");
    return EX_CONFIG;
}

static int run(const struct arguments *a, struct config *c, const struct config_passwords *passwords)
{
    char socket[PATHS_MAX];
    struct state_file *state = NULL;
    struct log *log = NULL;

    int status = find_socket(c, socket);
    if (status == EX_OK)
        status = open_state(a, c, &state);
    if (status != EX_OK)
        return status;
    const struct log_options log_opt = {.link = c->name, .level = c->log_level, .fd = STDERR_FILENO};
    if (log_new(&log_opt, &log) < 0) {
        state_file_free(state);
        return EX_SOFTWARE;
    }
    const struct config_inputs inputs = inputs_of(a);
    const struct riotd_options opt = {
        .config = c, .inputs = &inputs, .passwords = passwords, .state = state, .log = log, .socket = socket};
    status = riotd_run(&opt);
    log_free(log);
    state_file_free(state);
    return status;
}

/* The check. */

struct checking {
    struct loop *loop;
    int status;
};

static void check_done(const struct preflight_report *r, void *arg)
{
    struct checking *c = arg;

    preflight_print(r, stdout);
    c->status = preflight_exit_code(r);
    loop_stop(c->loop);
}

static int check_in(struct loop *loop, const struct preflight_options *opt)
{
    struct checking checking = {.loop = loop, .status = EX_SOFTWARE};
    struct preflight *p;

    int err = preflight_new(loop, opt, CHECK_MS, check_done, &checking, &p);
    if (err < 0) {
        fprintf(stderr, "riotd: the check cannot begin: %s\n", strerror(-err));
        return EX_SOFTWARE;
    }
    err = loop_run(loop);
    preflight_free(p);
    return err < 0 ? EX_SOFTWARE : checking.status;
}

static int run_check(const struct arguments *a, struct config *c, const struct config_passwords *passwords)
{
    char why[STATE_WHY_MAX] = "no folder is known for the state file: give --state-dir DIR", *dir;
    struct preflight_options opt = {.config = c, .passwords = passwords, .state_why = why};
    const struct log_options log_opt = {.link = c->name, .level = SINK_WARNING, .fd = STDERR_FILENO};
    struct log *log = NULL;
    struct loop *loop = NULL;
    int status = EX_SOFTWARE;

    if (state_dir_find(a->state_dir, &dir) == 0) {
        if (state_file_peek(dir, c->name, why, &opt.state) == 0)
            opt.state_why = NULL;
        free(dir);
    }
    if (loop_new(&loop) == 0 && log_new(&log_opt, &log) == 0) {
        opt.log = log;
        status = check_in(loop, &opt);
    }
    log_free(log);
    if (loop)
        loop_free(loop);
    state_file_free(opt.state);
    return status;
}

static int run_link(const struct arguments *a)
{
    struct config *c = NULL;
    struct config_passwords passwords = {0};

    int status = load_config(a, &c);
    if (status == EX_OK && a->task == TASK_CHECK_CONFIG)
        printf("The configuration of the link %s is in order.\n", c->name);
    if (status == EX_OK && a->task != TASK_CHECK_CONFIG)
        status = read_files(c, &passwords);
    if (status == EX_OK && a->task != TASK_CHECK_CONFIG)
        status = a->task == TASK_CHECK ? run_check(a, c, &passwords) : run(a, c, &passwords);
    config_passwords_free(&passwords);
    config_free(c);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments a;

    if (argc > 1 && !strcmp(argv[1], CANDIDATES_FLAG))
        return complete(argc - 2, argv + 2);
    if (arguments_parse(argc, argv, &a))
        return EX_USAGE;
    switch (a.task) {
    case TASK_HELP:
        return print_help();
    case TASK_VERSION:
        printf("riotd %s\n", RIOT_VERSION);
        return EX_OK;
    case TASK_EXAMPLE:
        config_example(stdout);
        return EX_OK;
    default:
        return run_link(&a);
    }
}
