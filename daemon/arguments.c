#include "daemon/arguments.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "lib/control/codes.h"
#include "lib/core/wrap.h"

#define FLAG_COLUMN 25
#define EXIT_COLUMN 7
#define LONG_BASE   256 /* what getopt_long() returns for a flag: this and its id */

const struct arguments_flag arguments_flags[] = {
    [FLAG_CONFIG] = {"--config", 'c', "FILE", NULL,
                     "read the configuration from FILE (else /etc/riotd/NAME.yaml)"},
    [FLAG_NAME] = {"--name", 'n', "NAME", "name",
                   "the link's name: a-z, 0-9 and -, at most 32 (default: default)"},
    [FLAG_STATE_DIR] = {"--state-dir", '\0', "DIR", NULL, "where the state file is kept"},
    [FLAG_SOURCE] =
        {"--source", '\0', "URL", "source.url",
         "where the data is: redis://[user@]host[:port][/db], rediss:// with TLS, or unix:///path"},
    [FLAG_TARGET] = {"--target", '\0', "URL", "target.url", "where it goes"},
    [FLAG_SOURCE_PASSWORD_FILE] = {"--source-password-file", '\0', "FILE", "source.password_file",
                                   "the password for the source is in this file"},
    [FLAG_TARGET_PASSWORD_FILE] = {"--target-password-file", '\0', "FILE", "target.password_file",
                                   "the same for the target"},
    [FLAG_EXISTING_KEYS] = {"--existing-keys", '\0', "HOW", "target.existing_keys",
                            "a target with keys: refuse, replace or merge"},
    [FLAG_FEED] = {"--feed", '\0', "KIND", "feed",
                   "how changes are learned: auto, psync, tracking, notify or none"},
    [FLAG_DATABASES] = {"--databases", '\0', "LIST", "databases", "what is copied: all, or numbers: 0,3"},
    [FLAG_SOCKET] = {"--socket", '\0', "PATH", "control.socket", "where riotctl finds this riotd"},
    [FLAG_CHECK_CONFIG] = {"--check-config", '\0', NULL, NULL,
                           "check the configuration, print every error, and end"},
    [FLAG_CHECK] = {"--check", '\0', NULL, NULL,
                    "look at both servers, show what could stand in the way, and end, with 0 or 12; changes "
                    "nothing, and a riotd that runs goes on"},
    [FLAG_EXAMPLE] = {"--print-example-config", '\0', NULL, NULL,
                      "print a commented example of the configuration file"},
    [FLAG_VERSION] = {"--version", 'V', NULL, NULL, "show the version"},
    [FLAG_HELP] = {"--help", 'h', NULL, NULL, "show this"},
};
_Static_assert(ARRAY_LEN(arguments_flags) == FLAG_COUNT, "each flag has a row");

const struct arguments_exit arguments_exits[] = {
    {EX_OK, "ended as asked"},
    {CTL_PREFLIGHT, "errors found by --check"},
    {EX_USAGE, "the command line is wrong"},
    {EX_NOINPUT, "a file is missing: the configuration, or a password"},
    {EX_UNAVAILABLE, "another riotd runs this link"},
    {EX_SOFTWARE, "a bug in riotd, or no memory"},
    {EX_CANTCREAT, "the state file cannot be written"},
    {EX_NOPERM, "not permitted: a file or the control socket"},
    {EX_CONFIG, "the configuration or the state file is wrong"},
};
_Static_assert(ARRAY_LEN(arguments_exits) == ARGUMENTS_EXITS, "arguments.h counts the rows");

/* --- parsing --- */

struct for_getopt {
    char letters[2 * FLAG_COUNT + 1]; /* "c:n:h" */
    struct option options[FLAG_COUNT + 1];
};

static void fill_getopt(struct for_getopt *ret)
{
    char *at = ret->letters;

    *ret = (struct for_getopt){0};
    for (int i = 0; i < FLAG_COUNT; i++) {
        const struct arguments_flag *f = &arguments_flags[i];
        ret->options[i] = (struct option){.name = f->name + 2,
                                          .has_arg = f->placeholder ? required_argument : no_argument,
                                          .val = LONG_BASE + i};
        if (f->letter)
            *at++ = f->letter;
        if (f->letter && f->placeholder)
            *at++ = ':';
    }
}

/* The id of what getopt_long() found; FLAG_COUNT: nothing that there is. */
static enum arguments_id flag_of(int found)
{
    int id = 0;

    if (found >= LONG_BASE)
        return (enum arguments_id)(found - LONG_BASE);
    while (id < FLAG_COUNT && arguments_flags[id].letter != found)
        id++;
    return (enum arguments_id)id;
}

static void set_config_flag(struct arguments *a, const struct arguments_flag *f, const char *value)
{
    size_t i = 0;

    while (i < a->nflags && strcmp(a->flags[i].path, f->path) != 0)
        i++;
    a->flags[i] = (struct config_flag){f->path, f->name, value}; /* of several the last counts */
    a->nflags = MAX(a->nflags, i + 1);
}

static void set_task(struct arguments *a, enum arguments_task task)
{
    a->task = MAX(a->task, task);
}

static void take(struct arguments *a, enum arguments_id id, const char *value)
{
    switch (id) {
    case FLAG_CONFIG:
        a->file = value;
        break;
    case FLAG_STATE_DIR:
        a->state_dir = value;
        break;
    case FLAG_CHECK:
        set_task(a, TASK_CHECK);
        break;
    case FLAG_CHECK_CONFIG:
        set_task(a, TASK_CHECK_CONFIG);
        break;
    case FLAG_EXAMPLE:
        set_task(a, TASK_EXAMPLE);
        break;
    case FLAG_VERSION:
        set_task(a, TASK_VERSION);
        break;
    case FLAG_HELP:
        set_task(a, TASK_HELP);
        break;
    default:
        set_config_flag(a, &arguments_flags[id], value);
    }
}

int arguments_parse(int argc, char **argv, struct arguments *ret)
{
    struct arguments a = {0};
    struct for_getopt g;
    int found;

    fill_getopt(&g);
    optind = 0; /* from the beginning, whoever parsed before */
    while ((found = getopt_long(argc, argv, g.letters, g.options, NULL)) != -1) {
        enum arguments_id id = flag_of(found);
        if (id == FLAG_COUNT) { /* getopt_long() has said what is wrong */
            fprintf(stderr, "Try: riotd --help\n");
            return -EINVAL;
        }
        take(&a, id, optarg);
    }
    if (optind < argc) {
        fprintf(stderr, "riotd: unexpected argument: %s\nTry: riotd --help\n", argv[optind]);
        return -EINVAL;
    }
    *ret = a;
    return 0;
}

/* --- help --- */

static int put_flag(struct buf *out, const struct arguments_flag *f)
{
    char left[48], letter[] = "    ";

    if (f->letter)
        snprintf(letter, sizeof(letter), "-%c, ", f->letter);
    snprintf(left, sizeof(left), "%s%s%s%s", letter, f->name, f->placeholder ? " " : "",
             f->placeholder ? f->placeholder : "");
    return wrap_row(out, FLAG_COLUMN, left, f->help);
}

static int put_exit(struct buf *out, const struct arguments_exit *x)
{
    char left[8];

    snprintf(left, sizeof(left), "%d", x->status);
    return wrap_row(out, EXIT_COLUMN, left, x->help);
}

int arguments_help(struct buf *out)
{
    int e = buf_append_str(out, "Usage: riotd -c FILE | -n NAME | --source URL --target URL  [OPTION...]\n"
                                "Keeps a Redis or Valkey target in continuous sync with a live source.\n\n");

    for (size_t i = 0; !e && i < FLAG_COUNT; i++)
        e = put_flag(out, &arguments_flags[i]);
    if (!e)
        e = buf_append_str(out, "\nFlags win over the file. Steer it with riotctl.\n\nExit status:\n");
    for (size_t i = 0; !e && i < ARGUMENTS_EXITS; i++)
        e = put_exit(out, &arguments_exits[i]);
    return e;
}
