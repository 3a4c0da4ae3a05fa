/* arguments.h - riotd's command line: THE table of its flags, and what its exit statuses mean.
 *
 * Parsing, --help, completion and the man page derive from both tables.
 */
#ifndef RIOTD_ARGUMENTS_H
#define RIOTD_ARGUMENTS_H

#include "daemon/config.h"
#include "lib/control/candidates.h"

enum arguments_id {
    FLAG_CONFIG,
    FLAG_NAME,
    FLAG_STATE_DIR,
    FLAG_SOURCE,
    FLAG_TARGET,
    FLAG_SOURCE_PASSWORD_FILE,
    FLAG_TARGET_PASSWORD_FILE,
    FLAG_EXISTING_KEYS,
    FLAG_FEED,
    FLAG_DATABASES,
    FLAG_SOCKET,
    FLAG_CHECK_CONFIG,
    FLAG_CHECK,
    FLAG_EXAMPLE,
    FLAG_VERSION,
    FLAG_HELP,
    FLAG_COUNT
};

struct arguments_flag {
    const char *name;        /* "--config" */
    char letter;             /* '\0': none */
    const char *placeholder; /* NULL: takes no value */
    const char *path;        /* the option of the file that it stands for; NULL: none */
    const char *help;
};
extern const struct arguments_flag arguments_flags[FLAG_COUNT]; /* by id */

/* What riotd is to do. Of several, the last in this order. */
enum arguments_task { TASK_RUN, TASK_CHECK, TASK_CHECK_CONFIG, TASK_EXAMPLE, TASK_VERSION, TASK_HELP };

struct arguments {
    enum arguments_task task;
    const char *file, *state_dir; /* NULL: not given */
    struct config_flag flags[FLAG_COUNT];
    size_t nflags;
};

/* What is kept of argv is borrowed. -EINVAL: usage, and stderr tells what is wrong. */
MUST_CHECK int arguments_parse(int argc, char **argv, struct arguments *ret);

/* In ascending order. A number never changes its meaning: units and scripts rely on it. */
struct arguments_exit {
    int status;
    const char *help;
};
#define ARGUMENTS_EXITS 9
extern const struct arguments_exit arguments_exits[ARGUMENTS_EXITS];

#define ARGUMENTS_HELP_MAX (16 * KIB)
MUST_CHECK int arguments_help(struct buf *out); /* -ENOBUFS, -ENOMEM */

/* A shell's completion of the words behind CANDIDATES_FLAG. The links are those with a file in `folder`.
 * ret->out is the caller's to free. */
void arguments_complete(int count, char *const *words, const char *folder, struct candidates *ret);

#endif
