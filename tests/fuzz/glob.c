/* The first byte says how long the pattern is; the rest is the name. The answer must be that of the slow way:
 * every star tried with every length. */
#include <stdlib.h>

#include "lib/core/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the class ends whose bracket is at i. */
static size_t class_end(struct bytes g, size_t i)
{
    i++;
    if (i < g.len && g.ptr[i] == '^')
        i++;
    while (i < g.len && g.ptr[i] != ']') {
        bool escaped = g.len - i >= 2 && g.ptr[i] == '\\', range = g.len - i >= 3 && g.ptr[i + 1] == '-';
        i += escaped ? 2 : range ? 3 : 1;
    }
    return i;
}

/* Where the first star is that means one; its length: there is none. */
static size_t star_of(struct bytes g)
{
    size_t i = 0;
    while (i < g.len && g.ptr[i] != '*')
        i = g.ptr[i] == '[' ? class_end(g, i) + 1 : g.ptr[i] == '\\' ? i + 2 : i + 1;
    return MIN(i, g.len);
}

/* 1, 0; -1: too many tries to tell. What has no star matches names of one length only. */
static int slow(struct bytes glob, struct bytes name, unsigned *tries)
{
    size_t star = star_of(glob), n = 0;
    struct bytes head = bytes_of(glob.ptr, star);

    if (star == glob.len)
        return glob_matches(glob, name);
    while (n <= name.len && !glob_matches(head, bytes_of(name.ptr, n)))
        n++;
    for (; n <= name.len; n++) {
        if (!*tries)
            return -1;
        --*tries;
        int found = slow(bytes_of(glob.ptr + star + 1, glob.len - star - 1),
                         bytes_of(name.ptr + n, name.len - n), tries);
        if (found)
            return found;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned tries = 20000;

    if (size < 1 || size > 1024)
        return 0;
    size_t len = MIN((size_t)data[0], size - 1);
    struct bytes glob = bytes_of(data + 1, len), name = bytes_of(data + 1 + len, size - 1 - len);
    int expected = slow(glob, name, &tries);
    if (expected >= 0 && glob_matches(glob, name) != expected)
        abort();
    return 0;
}
