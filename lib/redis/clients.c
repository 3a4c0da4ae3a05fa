#include "lib/redis/clients.h"

#include <string.h>

static void take(struct bytes field, struct bytes value, struct client_line *ret)
{
    if (bytes_is(field, "id")) {
        if (bytes_to_u64(value, &ret->id) < 0)
            ret->id = 0;
    } else if (bytes_is(field, "addr")) {
        ret->addr = value;
    } else if (bytes_is(field, "name")) {
        ret->name = value;
    } else if (bytes_is(field, "flags")) {
        ret->flags = value;
    } else if (bytes_is(field, "user")) {
        ret->user = value;
    }
}

bool client_next(struct bytes *list, struct client_line *ret)
{
    while (list->len > 0) {
        struct bytes line = bytes_cut(list, '\n');
        *ret = (struct client_line){.id = 0};
        while (line.len > 0) {
            struct bytes value = bytes_cut(&line, ' ');
            struct bytes field = bytes_cut(&value, '=');
            take(field, value, ret);
        }
        if (ret->id != 0)
            return true;
    }
    return false;
}

bool client_is_of(struct bytes name, const char *prefix, struct bytes *ret_role)
{
    size_t len = strlen(prefix);

    if (!bytes_starts(name, prefix) || name.len <= len || name.ptr[len] != ':')
        return false;
    *ret_role = bytes_of(name.ptr + len, name.len - len);
    return true;
}

bool client_is_sentinel(struct bytes name)
{
    return bytes_starts(name, "sentinel-") && name.len > 4 && memcmp(name.ptr + name.len - 4, "-cmd", 4) == 0;
}
