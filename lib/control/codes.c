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
