#include "lib/core/table.h"

#include <errno.h>
#include <stdlib.h>

#define TABLE_MIN    1024 /* heads that are kept */
#define MOVE_AT_ONCE 4    /* chains for each insert; one would be enough to be done before the next growth */

static struct table_node **heads_new(size_t size)
{
    return size <= SIZE_MAX / sizeof(struct table_node *) ? calloc(size, sizeof(struct table_node *)) : NULL;
}

int table_init(struct table *t, size_t initial)
{
    if (!initial || initial & (initial - 1))
        return -EINVAL;
    struct table_node **heads = heads_new(initial);
    if (!heads)
        return -ENOMEM;
    *t = (struct table){.heads = heads, .mask = initial - 1};
    return 0;
}

void table_free(struct table *t)
{
    free(t->heads);
    free(t->old);
    *t = (struct table){0};
}

/* While growing, a hash lives in the old array until its chain there has been moved: so one chain always
 * holds it. */
static struct table_node **home(const struct table *t, uint64_t hash)
{
    if (t->old && (hash & t->old_mask) >= t->moved)
        return &t->old[hash & t->old_mask];
    return &t->heads[hash & t->mask];
}

static struct table_node *of_hash(struct table_node *n, uint64_t hash)
{
    while (n && n->hash != hash)
        n = n->next;
    return n;
}

struct table_node *table_first(const struct table *t, uint64_t hash)
{
    return t->heads ? of_hash(*home(t, hash), hash) : NULL;
}

struct table_node *table_next(const struct table_node *n)
{
    return of_hash(n->next, n->hash);
}

static void move_chain(struct table *t)
{
    struct table_node *n = t->old[t->moved];

    while (n) {
        struct table_node *next = n->next;
        struct table_node **to = &t->heads[n->hash & t->mask];
        n->next = *to;
        *to = n;
        n = next;
    }
    t->old[t->moved++] = NULL;
}

static NOINLINE void move_some(struct table *t)
{
    for (int i = 0; i < MOVE_AT_ONCE && t->moved <= t->old_mask; i++)
        move_chain(t);
    if (t->moved > t->old_mask) {
        free(t->old);
        t->old = NULL;
    }
}

/* A failure is no error: the chains get longer, and the next insert tries again. */
static NOINLINE void grow(struct table *t)
{
    size_t size = (t->mask + 1) * 2;
    struct table_node **heads = heads_new(size);

    if (!heads)
        return;
    t->old = t->heads;
    t->old_mask = t->mask;
    t->moved = 0;
    t->heads = heads;
    t->mask = size - 1;
}

/* All at once: that many empty chains are passed in milliseconds, and it is seldom. */
static NOINLINE void shrink(struct table *t)
{
    size_t size = TABLE_MIN;
    while (size < t->count * 4)
        size *= 2;
    struct table_node **heads = heads_new(size);
    if (!heads)
        return;
    struct table_node **old = t->heads;
    size_t old_mask = t->mask;
    t->heads = heads;
    t->mask = size - 1;
    for (size_t i = 0; i <= old_mask; i++) {
        while (old[i]) {
            struct table_node *n = old[i];
            old[i] = n->next;
            n->next = heads[n->hash & t->mask];
            heads[n->hash & t->mask] = n;
        }
    }
    free(old);
}

void table_trim(struct table *t)
{
    bool wide = t->mask >= TABLE_MIN && t->count * 16 < t->mask;

    if (t->count && (t->old || !wide))
        return;
    free(t->old); /* its chains are empty, where there is one */
    t->old = NULL;
    if (wide)
        shrink(t);
}

int table_insert(struct table *t, struct table_node *n, uint64_t hash)
{
    if (!t->heads)
        return -ENOMEM;
    if (!t->old && t->count > t->mask)
        grow(t);
    if (t->old)
        move_some(t);
    struct table_node **to = home(t, hash);
    n->hash = hash;
    n->next = *to;
    *to = n;
    t->count++;
    return 0;
}

void table_remove(struct table *t, struct table_node *n)
{
    struct table_node **at = home(t, n->hash);

    while (*at && *at != n)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = n->next;
    n->next = NULL;
    t->count--;
}

void table_fetch(const struct table *t, const struct table_node *n)
{
    __builtin_prefetch(home(t, n->hash));
}

void table_fetch_chain(const struct table *t, const struct table_node *n)
{
    __builtin_prefetch(*home(t, n->hash));
}

size_t table_bytes(const struct table *t)
{
    size_t heads = t->heads ? t->mask + 1 : 0, old = t->old ? t->old_mask + 1 : 0;

    return (heads + old) * sizeof(*t->heads);
}

static void each_of(struct table_node **heads, size_t size, void (*fn)(struct table_node *n, void *arg),
                    void *arg)
{
    for (size_t i = 0; i < size; i++) {
        struct table_node *next;
        for (struct table_node *n = heads[i]; n; n = next) {
            next = n->next;
            fn(n, arg);
        }
    }
}

void table_each(struct table *t, void (*fn)(struct table_node *n, void *arg), void *arg)
{
    if (t->old)
        each_of(t->old, t->old_mask + 1, fn, arg);
    if (t->heads)
        each_of(t->heads, t->mask + 1, fn, arg);
}
