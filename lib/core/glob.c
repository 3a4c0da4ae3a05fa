/* glob.c - see glob.h. */
#include "lib/core/glob.h"

static struct bytes after(struct bytes b, size_t n)
{
    return bytes_of(b.ptr + n, b.len - n);
}

static bool is_between(char a, char c, char b)
{
    unsigned char low = (unsigned char)MIN((unsigned char)a, (unsigned char)b);
    unsigned char high = (unsigned char)MAX((unsigned char)a, (unsigned char)b);
    return (unsigned char)c >= low && (unsigned char)c <= high;
}

/* `glob` is what follows the opening bracket; what follows the class is left of it. */
static bool class_matches(struct bytes *glob, char c)
{
    struct bytes g = *glob;
    bool match = false, not = g.len && g.ptr[0] == '^';

    if (not)
        g = after(g, 1);
    while (g.len && g.ptr[0] != ']') {
        size_t used = 1;
        if (g.len >= 2 && g.ptr[0] == '\\') {
            match |= g.ptr[1] == c;
            used = 2;
        } else if (g.len >= 3 && g.ptr[1] == '-') {
            match |= is_between(g.ptr[0], c, g.ptr[2]);
            used = 3;
        } else {
            match |= g.ptr[0] == c;
        }
        g = after(g, used);
    }
    *glob = g.len ? after(g, 1) : g;
    return match != not;
}

/* What the pattern has next, but for a star, against one byte. */
static bool one_matches(struct bytes *glob, char c)
{
    struct bytes g = *glob;
    char p = g.ptr[0];

    g = after(g, 1);
    *glob = g;
    if (p == '?')
        return true;
    if (p == '[')
        return class_matches(glob, c);
    if (p == '\\' && g.len) {
        p = g.ptr[0];
        *glob = after(g, 1);
    }
    return p == c;
}

/* All but a star stands for one byte. So where a star is followed by another one, the shortest stretch for
 * the first is as good as any: only the last star is ever tried again. */
bool glob_matches(struct bytes glob, struct bytes name)
{
    struct bytes star = {0}, tried = {0};
    bool has_star = false;

    while (name.len || glob.len) {
        if (glob.len && glob.ptr[0] == '*') {
            has_star = true;
            glob = star = after(glob, 1);
            tried = name;
            if (!star.len)
                return true;
            continue;
        }
        if (glob.len && name.len && one_matches(&glob, name.ptr[0])) {
            name = after(name, 1);
            continue;
        }
        if (!has_star || !tried.len)
            return false;
        tried = after(tried, 1);
        name = tried;
        glob = star;
    }
    return true;
}
