/* codes.h - the closed list of error codes of the control protocol, and riotctl's exit codes.
 *
 * An error reply is "-CODE text". Each code has one exit code. Scripts rely on both: a number here never
 * changes its meaning.
 */
#ifndef RIOT_CODES_H
#define RIOT_CODES_H

#include "lib/core/bytes.h"

enum code {
    CODE_USAGE,    /* the request itself is wrong */
    CODE_DENIED,   /* not permitted to this user */
    CODE_REFUSED,  /* an interlock or a blocker stands against it; nothing was changed */
    CODE_STATE,    /* not in this state */
    CODE_BUSY,     /* something else is under way, or there is no room for it */
    CODE_NOTFOUND, /* what the request names does not exist */
    CODE_FAILED,   /* it was tried, and failed */
    CODE_TIMEOUT,  /* the time given for it was not enough */
    CODE_COUNT
};

enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_NOT_RUNNING = 3,
    CTL_DENIED = 4,
    CTL_REFUSED = 6,      /* and nothing was changed */
    CTL_TIMEOUT = 7,      /* the wait ended, the operation goes on */
    CTL_ROLLED_BACK = 8,  /* cleanly */
    CTL_NEEDS_PERSON = 9, /* the text says exactly what is fenced */
    CTL_DRIFT = 10,       /* drift remains */
    CTL_INCONCLUSIVE = 11,
    CTL_PREFLIGHT = 12,  /* errors in it */
    CTL_IMPOSSIBLE = 13, /* the condition can no longer become true */
    CTL_INTERRUPTED = 130
};

/* riotctl's exit statuses with what they mean, for help and documentation; in ascending order. */
struct ctl_exit_row {
    enum ctl_exit status;
    const char *help;
};
#define CTL_EXITS 14
extern const struct ctl_exit_row ctl_exits[CTL_EXITS];

const char *code_name(enum code c); /* "USAGE" */
enum ctl_exit code_exit(enum code c);
/* Of the name alone. False for one that is not in the list, as servers of other kinds send. */
bool code_parse(struct bytes name, enum code *ret);

#endif
