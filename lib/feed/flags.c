#include <errno.h>
#include <string.h>
#include "lib/feed/flags.h"

#define CLASSES "g$lshzxet" /* of A, on every version */
#define MODULES 'd'         /* of A, since 6.2 */

static bool in_a(char c)
{
    return c == MODULES || strchr(CLASSES, c) != NULL;
}

static bool has(const char *flags, char c)
{
    return strchr(flags, c) != NULL || (in_a(c) && strchr(flags, 'A') != NULL);
}

static bool has_all(const char *flags, const char *wanted)
{
    for (; *wanted != '\0'; wanted++)
        if (!has(flags, *wanted))
            return false;
    return true;
}

bool flags_suffice(const char *present, unsigned redis)
{
    return has_all(present, "K" CLASSES) && (redis < 60200 || has(present, MODULES));
}

static bool covers(const char *a, const char *b)
{
    for (; *b != '\0'; b++)
        if (!has(a, *b) && !(*b == 'A' && has_all(a, CLASSES) && has(a, MODULES)))
            return false;
    return true;
}

bool flags_same(const char *a, const char *b)
{
    return covers(a, b) && covers(b, a);
}

int flags_add(const char *present, char *out, size_t cap)
{
    size_t n = 2;

    if (cap < 3)
        return -ERANGE;
    memcpy(out, "KA", 3);
    for (; *present != '\0'; present++) {
        if (has(out, *present))
            continue;
        if (n + 1 >= cap)
            return -ERANGE;
        out[n++] = *present;
        out[n] = '\0';
    }
    return 0;
}
