/* refusal.c - see refusal.h. */
#include <string.h>

#include "lib/redis/refusal.h"

/* The first word of errors that no key is to blame for; from the servers' sources and tried on 6.0 to 9.1. */
static const char *const server_codes[] = {
    "LOADING ",    "BUSY ",       "OOM ",         "READONLY ", "MISCONF ", "MASTERDOWN ",
    "NOREPLICAS ", "NOAUTH ",     "CLUSTERDOWN ", "TRYAGAIN ", "NOPERM ",  "MOVED ",
    "ASK ",        "UNKILLABLE ", "EXECABORT ",   "DENIED ",   "ERR max",  "ERR unknown command",
};

static bool contains(struct bytes text, const char *part)
{
    return text.len && memmem(text.ptr, text.len, part, strlen(part));
}

enum refusal refusal_of(struct bytes error)
{
    for (size_t i = 0; i < ARRAY_LEN(server_codes); i++)
        if (bytes_starts(error, server_codes[i]))
            return REFUSAL_SERVER;
    if (contains(error, "Bad data format") || contains(error, "payload version or checksum"))
        return REFUSAL_NEVER;
    return REFUSAL_KEY;
}

bool refusal_no_such_db(struct bytes error)
{
    return bytes_starts(error, "ERR DB index is out of range");
}

bool refusal_is_passing(struct bytes error)
{
    static const char *const codes[] = {"LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN"};
    struct bytes code = bytes_cut(&error, ' ');

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (bytes_is(code, codes[i]))
            return true;
    return false;
}
