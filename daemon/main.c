/* main.c - argv, the configuration, the state file; then riotd_run(). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/preflight.h"
#include "daemon/riotd.h"
#include "daemon/state_file.h"
#include "lib/control/paths.h"

#define CHECK_MS 10000 /* whatever the servers do */

enum { OPT_CHECK_CONFIG = 256, OPT_CHECK, OPT_VERSION, OPT_STATE_DIR, OPT_EXAMPLE, OPT_FLAG };

/* Flags that stand for an option of the file; --source and so on. */
static const struct {
    const char *name, *path, *value, *help;
} config_flags[] = {
    {"source", "source.url", "URL", "where the data is: redis://[user@]host[:port][/db] or unix:///path"},
    {"target", "target.url", "URL", "where it goes"},
    {"source-password-file", "source.password_file", "FILE", "the password for the source is in this file"},
    {"target-password-file", "target.password_file", "FILE", "the same for the target"},
    {"existing-keys", "target.existing_keys", "HOW", "a target with keys: refuse, replace or merge"},
    {"feed", "feed", "KIND", "auto, tracking, notify or none"},
    {"databases", "databases", "LIST", "all, or numbers: 0,3"},
    {"socket", "control.socket", "PATH", "where riotctl finds this riotd"},
};
#define FLAGS ARRAY_LEN(config_flags)

struct arguments {
    const char *file, *state_dir;
    bool check_config, check;
    struct config_flag flags[FLAGS + 1];
    size_t nflags;
};

static void print_help(void)
{
    printf("Usage: riotd -c FILE | riotd -n NAME | riotd --source URL --target URL [OPTION...]\n"
           "Keeps a Redis or Valkey target in continuous sync with a live source.\n\n"
           "  -c, --config FILE      read the configuration from FILE (else /etc/riotd/NAME.yaml)\n"
           "  -n, --name NAME        the link's name: a-z, 0-9 and -, at most 32 (default: default)\n"
           "      --state-dir DIR    where the state file is kept\n");
    for (size_t i = 0; i < FLAGS; i++) {
        char left[64];
        snprintf(left, sizeof(left), "--%s %s", config_flags[i].name, config_flags[i].value);
        if (strlen(left) > 20)
            printf("      %s\n                         %s\n", left, config_flags[i].help);
        else
            printf("      %-18s %s\n", left, config_flags[i].help);
    }
    printf("      --check-config     check the configuration, print every error, and end\n"
           "      --check            look at both servers, show what could stand in the way,\n"
           "                         and end, with 0 or 12. Changes nothing; a riotd that runs\n"
           "                         goes on\n"
           "      --print-example-config\n"
           "                         print a commented example of the configuration file\n"
           "      --version, --help\n\n"
           "Flags win over the file. Steer it with riotctl.\n"
           "Exit status: 0, 12 errors of --check, 64 usage, 66 a file is missing, 69 another riotd runs this "
           "link,\n"
           "70 a bug, 73 cannot write state, 77 not permitted, 78 configuration.\n");
}

static void add_flag(struct arguments *a, const char *path, const char *flag, const char *value)
{
    for (size_t i = 0; i < a->nflags; i++) {
        if (strcmp(a->flags[i].path, path) == 0) {
            a->flags[i].value = value; /* the last one counts */
            return;
        }
    }
    a->flags[a->nflags++] = (struct config_flag){path, flag, value};
}

/* -1: go on; else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *a)
{
    static char flag_names[FLAGS][48];
    enum { OWN = 8 };
    struct option options[FLAGS + OWN + 1] = {
        {"config", required_argument, NULL, 'c'},
        {"name", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPT_VERSION},
        {"check-config", no_argument, NULL, OPT_CHECK_CONFIG},
        {"check", no_argument, NULL, OPT_CHECK},
        {"state-dir", required_argument, NULL, OPT_STATE_DIR},
        {"print-example-config", no_argument, NULL, OPT_EXAMPLE},
    };
    int c;

    for (size_t i = 0; i < FLAGS; i++) {
        snprintf(flag_names[i], sizeof(flag_names[i]), "--%s", config_flags[i].name);
        options[OWN + i] = (struct option){config_flags[i].name, required_argument, NULL, OPT_FLAG + (int)i};
    }
    while ((c = getopt_long(argc, argv, "c:n:h", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            a->file = optarg;
            break;
        case 'n':
            add_flag(a, "name", "-n", optarg);
            break;
        case 'h':
            print_help();
            return EX_OK;
        case OPT_VERSION:
            printf("riotd %s\n", RIOT_VERSION);
            return EX_OK;
        case OPT_CHECK_CONFIG:
            a->check_config = true;
            break;
        case OPT_CHECK:
            a->check = true;
            break;
        case OPT_STATE_DIR:
            a->state_dir = optarg;
            break;
        case OPT_EXAMPLE:
            config_example(stdout);
            return EX_OK;
        case '?':
            fprintf(stderr, "Try: riotd --help\n");
            return EX_USAGE;
        default:
            add_flag(a, config_flags[c - OPT_FLAG].path, flag_names[c - OPT_FLAG], optarg);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "riotd: unexpected argument: %s\nTry: riotd --help\n", argv[optind]);
        return EX_USAGE;
    }
    return -1;
}

static int load_config(const struct arguments *a, struct config **ret)
{
    struct config_errors errors = {0};
    int err = config_load(a->file, a->flags, a->nflags, &errors, ret);

    config_errors_print(&errors, stderr);
    config_errors_free(&errors);
    return !err ? EX_OK : err == -ENOENT ? EX_NOINPUT : err == -EACCES ? EX_NOPERM : EX_CONFIG;
}

static int read_passwords(const struct config *c, struct config_passwords *ret)
{
    char why[CONFIG_WHY_MAX];
    int err = config_read_passwords(c, ret, why);
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
    const struct riotd_options opt = {
        .config = c, .passwords = passwords, .state = state, .log = log, .socket = socket};
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

int main(int argc, char **argv)
{
    struct arguments a = {0};
    struct config *c = NULL;
    struct config_passwords passwords = {0};

    int status = parse_arguments(argc, argv, &a);
    if (status != -1)
        return status;
    status = load_config(&a, &c);
    if (status == EX_OK && a.check_config)
        printf("The configuration of the link %s is in order.\n", c->name);
    if (status == EX_OK && !a.check_config)
        status = read_passwords(c, &passwords);
    if (status == EX_OK && !a.check_config)
        status = a.check ? run_check(&a, c, &passwords) : run(&a, c, &passwords);
    config_passwords_free(&passwords);
    config_free(c);
    return status;
}
