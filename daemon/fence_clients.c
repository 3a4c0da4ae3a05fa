/* Lines of CLIENT LIST: "id=3 addr=127.0.0.1:50000 ... name=app ... flags=N ... user=default". No value holds
 * a blank. */
#include "daemon/fence_impl.h"

#include <string.h>

static bool is_field(struct bytes word, const char *name, struct bytes *ret)
{
    size_t len = strlen(name);
    if (!bytes_starts(word, name) || word.len <= len || word.ptr[len] != '=')
        return false;
    *ret = bytes_of(word.ptr + len + 1, word.len - len - 1);
    return true;
}

static void take(struct bytes word, struct client_line *ret)
{
    struct bytes value;
    if (is_field(word, "id", &value)) {
        if (bytes_to_u64(value, &ret->id) < 0)
            ret->id = 0;
    } else if (is_field(word, "addr", &value)) {
        ret->addr = value;
    } else if (is_field(word, "name", &value)) {
        ret->name = value;
    } else if (is_field(word, "flags", &value)) {
        ret->flags = value;
    } else if (is_field(word, "user", &value)) {
        ret->user = value;
    }
}

bool fence_next_client(struct bytes *list, struct client_line *ret)
{
    while (list->len > 0) {
        struct bytes line = bytes_cut(list, '\n');
        *ret = (struct client_line){.id = 0};
        while (line.len > 0)
            take(bytes_cut(&line, ' '), ret);
        if (ret->id != 0)
            return true;
    }
    return false;
}
