#include "lib/copy/recent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Each name has its trailer behind it, so that the ring is read backwards. No entry goes over the end: where
 * one would, the ring begins anew, and the former round ends at `end`. */
struct trailer {
    uint32_t len;
    int32_t db;
};

struct recent {
    size_t size;
    size_t head; /* where the next one goes */
    size_t end;  /* of the former round; what is left of it stands between head and here */
    char at[];
};

int recent_new(size_t bytes, struct recent **ret)
{
    struct recent *r = malloc(sizeof(*r) + bytes);
    if (!r)
        return -ENOMEM;
    r->size = bytes;
    r->head = r->end = 0;
    *ret = r;
    return 0;
}

struct recent *recent_free(struct recent *r)
{
    free(r);
    return NULL;
}

void recent_add(struct recent *r, int db, struct bytes key)
{
    const struct trailer t = {.len = (uint32_t)key.len, .db = db};

    if (key.len > r->size - MIN(r->size, sizeof(t)))
        return;
    if (r->size - r->head < key.len + sizeof(t)) {
        r->end = r->head;
        r->head = 0;
    }
    memcpy(bytes_put(r->at + r->head, key), &t, sizeof(t));
    r->head += key.len + sizeof(t);
}

/* From `from` down to `to`. Of an entry that reaches below it, the newer ones have taken a part. False: fn
 * has enough. */
static bool each_down(const struct recent *r, size_t from, size_t to,
                      bool (*fn)(int db, struct bytes key, void *arg), void *arg)
{
    struct trailer t;

    while (from >= to + sizeof(t)) {
        from -= sizeof(t);
        memcpy(&t, r->at + from, sizeof(t));
        if (from < to + t.len)
            return true;
        from -= t.len;
        if (!fn(t.db, bytes_of(r->at + from, t.len), arg))
            return false;
    }
    return true;
}

void recent_each(const struct recent *r, bool (*fn)(int db, struct bytes key, void *arg), void *arg)
{
    if (each_down(r, r->head, 0, fn, arg))
        each_down(r, r->end, r->head, fn, arg);
}
