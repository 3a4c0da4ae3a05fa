/* main.c - argv, the configuration, the state file; then riotd_run(). */
#include <errno.h>
#include <stdarg.h>
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

/* What ends riotd before a link runs: an entry of the journal, or plain words for whoever has typed it. */
static void PRINTF_LIKE(4, 5)
    tell(struct log *log, enum event_id id, const char *file, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (log_to_journal(log))
        log_event_fields(log, id, LOG_FIELDS(LOG_TEXT(FILE, file)), "%s", text);
    else
        fprintf(stderr, "riotd: %s\n", text);
}

/* Each is an entry; a line that tells where it is wrong begins with the file. */
static void tell_errors(struct log *log, const struct config_errors *errors)
{
    if (!log_to_journal(log)) {
        config_errors_print(errors, stderr);
        return;
    }
    for (size_t i = 0; i < errors->count; i++)
        log_event(log, EVENT_CONFIG_ERROR, "%s", errors->line[i]);
    if (errors->more)
        log_event(log, EVENT_CONFIG_ERROR, "... and %zu more", errors->more);
}

static struct config_inputs inputs_of(const struct arguments *a)
{
    return (struct config_inputs){a->file, a->flags, a->nflags};
}

static int load_config(const struct arguments *a, struct log *log, struct config **ret)
{
    const struct config_inputs inputs = inputs_of(a);
    struct config_errors errors = {0};
    int err = config_load(&inputs, &errors, ret);

    tell_errors(log, &errors);
    config_errors_free(&errors);
    return !err ? EX_OK : err == -ENOENT ? EX_NOINPUT : err == -EACCES ? EX_NOPERM : EX_CONFIG;
}

/* What the options of a password or of TLS name. */
static int read_files(const struct config *c, struct log *log, struct config_passwords *ret)
{
    char why[CONFIG_WHY_MAX];
    int err = config_read_passwords(c, ret, why);
    if (!err)
        err = config_try_tls(c, why);
    if (!err)
        return EX_OK;
    tell(log, EVENT_CONFIG_ERROR, NULL, "%s", why);
    return err == -ENOENT ? EX_NOINPUT : err == -EACCES ? EX_NOPERM : EX_CONFIG;
}

static int open_state(const struct arguments *a, const struct config *c, struct log *log,
                      struct state_file **ret)
{
    char why[STATE_WHY_MAX], *dir;

    int err = state_dir_find(a->state_dir, &dir);
    if (err) {
        tell(log, EVENT_CONFIG_ERROR, NULL, "no folder is known for the state file: give --state-dir DIR");
        return EX_CANTCREAT;
    }
    err = state_file_open(dir, c->name, why, ret);
    if (err)
        tell(log, err == -EWOULDBLOCK ? EVENT_CONFIG_ERROR : EVENT_STATE_FILE_ERROR, dir, "%s", why);
    free(dir);
    if (!err)
        return EX_OK;
    return err == -EWOULDBLOCK ? EX_UNAVAILABLE : err == -EBADMSG ? EX_CONFIG : EX_CANTCREAT;
}

static int find_socket(const struct config *c, struct log *log, char path[PATHS_MAX])
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
    tell(log, EVENT_CONFIG_ERROR, NULL, "%s: give --socket PATH",
         err == -ENAMETOOLONG ? "the control socket's path is longer than 107 bytes"
                              : "no folder is known for the control socket");
    return EX_CONFIG;
}

static int run(const struct arguments *a, struct config *c, const struct config_passwords *passwords,
               struct log *log)
{
    char socket[PATHS_MAX];
    struct state_file *state = NULL;

    int status = find_socket(c, log, socket);
    if (status == EX_OK)
        status = open_state(a, c, log, &state);
    if (status != EX_OK)
        return status;
    const struct config_inputs inputs = inputs_of(a);
    const struct riotd_options opt = {
        .config = c, .inputs = &inputs, .passwords = passwords, .state = state, .log = log, .socket = socket};
    status = riotd_run(&opt);
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
        tell(opt->log, EVENT_INTERNAL_ERROR, NULL, "the check cannot begin: %s", strerror(-err));
        return EX_SOFTWARE;
    }
    err = loop_run(loop);
    preflight_free(p);
    return err < 0 ? EX_SOFTWARE : checking.status;
}

static int run_check(const struct arguments *a, struct config *c, const struct config_passwords *passwords,
                     struct log *log)
{
    char why[STATE_WHY_MAX] = "no folder is known for the state file: give --state-dir DIR", *dir;
    struct preflight_options opt = {.config = c, .passwords = passwords, .log = log, .state_why = why};
    struct loop *loop = NULL;
    int status = EX_SOFTWARE;

    if (state_dir_find(a->state_dir, &dir) == 0) {
        if (state_file_peek(dir, c->name, why, &opt.state) == 0)
            opt.state_why = NULL;
        free(dir);
    }
    log_set_level(log, SINK_WARNING);
    if (loop_new(&loop) == 0) {
        status = check_in(loop, &opt);
        loop_free(loop);
    }
    state_file_free(opt.state);
    return status;
}

static int run_configured(const struct arguments *a, struct config *c, struct log *log)
{
    struct config_passwords passwords = {0};

    if (log_set_link(log, c->name) < 0)
        return EX_SOFTWARE;
    if (a->task == TASK_CHECK_CONFIG) {
        printf("The configuration of the link %s is in order.\n", c->name);
        return EX_OK;
    }
    log_set_level(log, c->log_level);
    int status = read_files(c, log, &passwords);
    if (status == EX_OK)
        status = a->task == TASK_CHECK ? run_check(a, c, &passwords, log) : run(a, c, &passwords, log);
    config_passwords_free(&passwords);
    return status;
}

static const char *name_given(const struct arguments *a)
{
    for (size_t i = 0; i < a->nflags; i++)
        if (strcmp(a->flags[i].path, arguments_flags[FLAG_NAME].path) == 0)
            return a->flags[i].value;
    return NULL;
}

static int run_link(const struct arguments *a)
{
    const struct log_options opt = {.link = name_given(a), .level = SINK_INFO, .fd = STDERR_FILENO};
    struct config *c = NULL;
    struct log *log;

    if (log_new(&opt, &log) < 0)
        return EX_SOFTWARE;
    int status = load_config(a, log, &c);
    if (status == EX_OK)
        status = run_configured(a, c, log);
    config_free(c);
    log_free(log);
    return status;
}

/* stderr has what is wrong, in a line without an event. */
static int end_for_usage(void)
{
    const struct log_options opt = {.level = SINK_INFO, .fd = STDERR_FILENO};
    struct log *log;

    if (log_new(&opt, &log) < 0)
        return EX_USAGE;
    if (log_to_journal(log))
        log_event(log, EVENT_CONFIG_ERROR, "the command line is not understood: see the line before");
    log_free(log);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    struct arguments a;

    if (argc > 1 && !strcmp(argv[1], CANDIDATES_FLAG))
        return complete(argc - 2, argv + 2);
    if (arguments_parse(argc, argv, &a))
        return end_for_usage();
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
