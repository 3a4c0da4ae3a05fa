/* Lines of CLIENT LIST: "id=3 addr=127.0.0.1:50000 ... name=app ... flags=N ... user=default". No value holds
 * a blank. */
#include "daemon/fence_impl.h"

#include <string.h>

bool fence_is_own(const struct fence_node *n, struct bytes name)
{
    const char *client = n->endpoint.client;
    return bytes_starts(name, client) && name.len > strlen(client) && name.ptr[strlen(client)] == ':';
}

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

bool fence_is_shared(const struct fence_node *n, struct bytes list, char ret_addr[64])
{
    struct client_line line;

    while (fence_next_client(&list, &line)) {
        if (!bytes_is(line.user, n->user) || fence_is_own(n, line.name))
            continue;
        bytes_escape(line.addr, ret_addr, 64);
        return true;
    }
    return false;
}
