#include "lib/redis/info.h"

#include <string.h>

/* One line off the front of *rest, without its end, be it CRLF or LF. */
static struct bytes take_line(struct bytes *rest)
{
    struct bytes line = bytes_cut(rest, '\n');
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Names may hold anything but a colon ("cmdstat_config|get"), values anything at all. */
static bool split_line(struct bytes line, struct bytes *ret_name, struct bytes *ret_value)
{
    const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
    if (!colon || line.ptr[0] == '#')
        return false;
    size_t name = (size_t)(colon - line.ptr);
    *ret_name = bytes_of(line.ptr, name);
    *ret_value = bytes_of(colon + 1, line.len - name - 1);
    return true;
}

void info_each(struct bytes text, void (*fn)(struct bytes name, struct bytes value, void *arg), void *arg)
{
    struct bytes name, value;
    while (text.len > 0) {
        if (split_line(take_line(&text), &name, &value))
            fn(name, value, arg);
    }
}

bool info_find(struct bytes text, const char *name, struct bytes *ret)
{
    struct bytes found, value;
    while (text.len > 0) {
        if (split_line(take_line(&text), &found, &value) && bytes_is(found, name)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

bool info_find_u64(struct bytes text, const char *name, uint64_t *ret)
{
    struct bytes value;
    return info_find(text, name, &value) && bytes_to_u64(value, ret) == 0;
}

bool info_field_u64(struct bytes value, const char *field, uint64_t *ret)
{
    while (value.len > 0) {
        struct bytes number = bytes_cut(&value, ',');
        struct bytes name = bytes_cut(&number, '=');
        if (bytes_is(name, field))
            return bytes_to_u64(number, ret) == 0;
    }
    return false;
}
