#include "lib/control/codes.h"

#include <assert.h>

static const struct {
    const char *name;
    enum ctl_exit exit;
} rows[] = {
    [CODE_USAGE] = {"USAGE", CTL_USAGE},       [CODE_DENIED] = {"DENIED", CTL_DENIED},
    [CODE_REFUSED] = {"REFUSED", CTL_REFUSED}, [CODE_STATE] = {"STATE", CTL_REFUSED},
    [CODE_BUSY] = {"BUSY", CTL_REFUSED},       [CODE_NOTFOUND] = {"NOTFOUND", CTL_USAGE},
    [CODE_FAILED] = {"FAILED", CTL_FAILED},    [CODE_TIMEOUT] = {"TIMEOUT", CTL_TIMEOUT},
};
_Static_assert(ARRAY_LEN(rows) == CODE_COUNT, "each code has a row");

const struct ctl_exit_row ctl_exits[] = {
    {CTL_OK, "done; of wait: the condition holds"},
    {CTL_FAILED, "tried, and failed; of cutover: committed, but the command of --then failed"},
    {CTL_USAGE, "the command itself is wrong, or names what does not exist"},
    {CTL_NOT_RUNNING, "riotd is not running, or went away before it answered"},
    {CTL_DENIED, "not permitted to this user"},
    {CTL_REFUSED, "refused; nothing was changed"},
    {CTL_TIMEOUT, "the wait ended before the condition; what was begun goes on"},
    {CTL_ROLLED_BACK, "undone; all is as before"},
    {CTL_NEEDS_PERSON, "a person is needed; the text says exactly what is fenced"},
    {CTL_DRIFT, "the sides differ"},
    {CTL_INCONCLUSIVE, "keys changed too fast to be compared, or none was chosen"},
    {CTL_PREFLIGHT, "errors in a check"},
    {CTL_IMPOSSIBLE, "the condition can no longer become true"},
    {CTL_INTERRUPTED, "interrupted by Ctrl-C; what it waited for goes on"},
};
_Static_assert(ARRAY_LEN(ctl_exits) == CTL_EXITS, "codes.h counts the rows");

const char *code_name(enum code c)
{
    return rows[c].name;
}

enum ctl_exit code_exit(enum code c)
{
    return rows[c].exit;
}

bool code_parse(struct bytes name, enum code *ret)
{
    for (unsigned i = 0; i < CODE_COUNT; i++) {
        if (bytes_is(name, rows[i].name)) {
            *ret = (enum code)i;
            return true;
        }
    }
    return false;
}
