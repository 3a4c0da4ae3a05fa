/* refusal.c - see refusal.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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

/* 6.0 to 9.1: "NOPERM ... to run the 'get' command", and "NOPERM ... to access one of the keys ..." for a
 * key; "ERR unknown command 'GET', ..." as it was sent, with ` for ' on 6.0. */
bool refusal_is_of_command(struct bytes error, const char *command)
{
    const char *before = bytes_starts(error, "NOPERM ") ? " to run the " : "ERR unknown command ";
    const char *at = error.len ? memmem(error.ptr, error.len, before, strlen(before)) : NULL;
    const char *name = at ? at + strlen(before) + 1 : NULL; /* behind the quote */

    return name && error.ptr + error.len - name > (ptrdiff_t)strlen(command) &&
           strncasecmp(name, command, strlen(command)) == 0 && strchr("'`", name[strlen(command)]);
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

/* 6.0 to 9.1: "NOPERM ... to run the 'config|get' command", "... to access one of the keys ...". In capitals,
 * with a blank before a subcommand. */
static void what_is_denied(const char *error, char *out, size_t cap)
{
    const char *from = strchr(error, '\''), *to = from ? strchr(from + 1, '\'') : NULL;
    bool keys = strstr(error, " key") != NULL, channels = strstr(error, " channel") != NULL;

    snprintf(out, cap, "%s", keys ? "a key" : channels ? "a channel" : "a command");
    if (!to || keys || channels)
        return;
    snprintf(out, cap, "%.*s", (int)(to - from - 1), from + 1);
    for (; *out; out++)
        *out = *out == '|' ? ' ' : (char)toupper((unsigned char)*out);
}

const char *refusal_tell(const char *text, const char *side, const char *user, char *out, size_t cap)
{
    const char *error = strstr(text, "NOPERM ");
    char what[64];

    if (!error || strncmp(error, "NOPERM for ", 11) == 0) {
        snprintf(out, cap, "%s", text);
        return out;
    }
    what_is_denied(error, what, sizeof(what));
    snprintf(out, cap, "NOPERM for %s on the %s as user %s: %s", what, side, user ? user : "default", text);
    return out;
}
