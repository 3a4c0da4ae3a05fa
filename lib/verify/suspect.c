/* suspect.c - see suspect.h. */
#include <errno.h>
#include <stdlib.h>

#include "lib/verify/suspect.h"

#define ALLOCATOR 16 /* what malloc() adds, about */

struct list {
    struct suspect *first, *last;
};

struct suspects {
    struct hash_seed seed;
    struct table table;
    struct list lists[SUSPECT_LISTS];
    size_t bytes;
};

int suspects_new(struct hash_seed seed, struct suspects **ret)
{
    struct suspects *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->seed = seed;
    int err = table_init(&t->table, 256);
    if (err) {
        free(t);
        return err;
    }
    *ret = t;
    return 0;
}

static void free_node(struct table_node *n, void *arg)
{
    (void)arg;
    free(CONTAINER_OF(n, struct suspect, node));
}

struct suspects *suspects_free(struct suspects *t)
{
    if (t) {
        table_each(&t->table, free_node, NULL);
        table_free(&t->table);
        free(t);
    }
    return NULL;
}

size_t suspect_cost(size_t name_len)
{
    return sizeof(struct suspect) + name_len + ALLOCATOR + 2 * sizeof(void *);
}

size_t suspects_bytes(const struct suspects *t)
{
    return t->bytes;
}

size_t suspects_count(const struct suspects *t)
{
    return t->table.count;
}

static uint64_t hash_of(const struct suspects *t, int db, struct bytes name)
{
    return hash_bytes(t->seed, (uint64_t)(uint32_t)db, name);
}

struct suspect *suspects_find(const struct suspects *t, int db, struct bytes name)
{
    for (struct table_node *n = table_first(&t->table, hash_of(t, db, name)); n; n = table_next(n)) {
        struct suspect *s = CONTAINER_OF(n, struct suspect, node);
        if (s->db == db && bytes_equal(suspect_name(s), name))
            return s;
    }
    return NULL;
}

static void append(struct suspects *t, struct suspect *s, enum suspect_list to)
{
    struct list *l = &t->lists[to];

    s->list = to;
    s->next = NULL;
    s->prev = l->last;
    if (l->last)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
}

static void take_out(struct suspects *t, struct suspect *s)
{
    struct list *l = &t->lists[s->list];

    if (s->prev)
        s->prev->next = s->next;
    else
        l->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        l->last = s->prev;
}

int suspects_add(struct suspects *t, int db, struct bytes name, struct suspect **ret)
{
    struct suspect *s = calloc(1, sizeof(*s) + name.len);
    if (!s)
        return -ENOMEM;
    s->db = db;
    s->len = (uint32_t)name.len;
    bytes_put(s->name, name);
    int err = table_insert(&t->table, &s->node, hash_of(t, db, name));
    if (err) {
        free(s);
        return err;
    }
    t->bytes += suspect_cost(name.len);
    append(t, s, SUSPECT_READY);
    *ret = s;
    return 0;
}

void suspects_move(struct suspects *t, struct suspect *s, enum suspect_list to, uint64_t due_us)
{
    take_out(t, s);
    s->due_us = due_us;
    append(t, s, to);
}

void suspects_drop(struct suspects *t, struct suspect *s)
{
    take_out(t, s);
    table_remove(&t->table, &s->node);
    t->bytes -= suspect_cost(s->len);
    free(s);
    table_trim(&t->table);
}

struct suspect *suspects_first(const struct suspects *t, enum suspect_list list)
{
    return t->lists[list].first;
}

/* A value that was decoded is known by its digest: a set's order may change without a write. */
struct sight sight_of(const struct compare_side *s)
{
    const struct value_digest *d = &s->digest;
    bool decoded = d->type != RDB_UNKNOWN;
    uint64_t value = s->body.low;

    if (decoded)
        value = d->sum.low + 3 * d->added.low + 5 * d->entries_read.low + 7 * d->elements;
    return (struct sight){.exists = s->exists,
                          .type = s->type,
                          .expire_at_ms = s->expire_at_ms,
                          .value = s->exists ? value : 0};
}

bool sight_same(const struct sight *a, const struct sight *b, uint64_t ttl_tolerance_ms)
{
    int64_t apart = a->expire_at_ms > b->expire_at_ms ? a->expire_at_ms - b->expire_at_ms
                                                      : b->expire_at_ms - a->expire_at_ms;

    return a->exists == b->exists && a->type == b->type && a->value == b->value &&
           (a->expire_at_ms == 0) == (b->expire_at_ms == 0) && (uint64_t)apart <= ttl_tolerance_ms;
}
