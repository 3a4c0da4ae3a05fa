#include "lib/copy/ahead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct head {
    uint32_t len;
    int32_t db;
};

struct lot {
    char *at;
    size_t len;
    bool lacks_some;
};

struct ahead {
    size_t room; /* of one lot */
    struct lot filling, waiting;
    bool has_goal;
    uint64_t goal; /* once the stream has passed it, those that wait may go */
    char names[];
};

static void empty(struct lot *l)
{
    l->len = 0;
    l->lacks_some = false;
}

int ahead_new(size_t bytes, struct ahead **ret)
{
    struct ahead *a = malloc(sizeof(*a) + bytes);

    if (!a)
        return -ENOMEM;
    *a = (struct ahead){.room = bytes / 2, .filling.at = a->names, .waiting.at = a->names + bytes / 2};
    *ret = a;
    return 0;
}

struct ahead *ahead_free(struct ahead *a)
{
    free(a);
    return NULL;
}

void ahead_add(struct ahead *a, int db, struct bytes key)
{
    const struct head h = {.len = (uint32_t)key.len, .db = db};
    struct lot *l = &a->filling;

    if (key.len + sizeof(h) > a->room - l->len) {
        l->lacks_some = true;
        return;
    }
    memcpy(l->at + l->len, &h, sizeof(h));
    bytes_put(l->at + l->len + sizeof(h), key);
    l->len += sizeof(h) + key.len;
}

void ahead_lack(struct ahead *a)
{
    a->filling.lacks_some = true;
}

void ahead_passed(struct ahead *a, uint64_t offset, uint64_t at)
{
    struct lot emptied = a->waiting;

    if (!a->has_goal)
        a->goal = offset;
    a->has_goal = true;
    if (at < a->goal)
        return;
    empty(&emptied);
    a->waiting = a->filling;
    a->filling = emptied;
    a->has_goal = false;
}

bool ahead_is_whole(const struct ahead *a)
{
    return !a->filling.lacks_some && !a->waiting.lacks_some;
}

static void each_of(const struct lot *l, void (*fn)(int db, struct bytes key, void *arg), void *arg)
{
    struct head h;

    for (size_t i = 0; i < l->len; i += sizeof(h) + h.len) {
        memcpy(&h, l->at + i, sizeof(h));
        fn(h.db, bytes_of(l->at + i + sizeof(h), h.len), arg);
    }
}

void ahead_each(const struct ahead *a, void (*fn)(int db, struct bytes key, void *arg), void *arg)
{
    each_of(&a->waiting, fn, arg);
    each_of(&a->filling, fn, arg);
}

void ahead_clear(struct ahead *a)
{
    empty(&a->filling);
    empty(&a->waiting);
    a->has_goal = false;
}
