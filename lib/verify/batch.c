/* batch.c - see batch.h. */
#include <errno.h>
#include <stdlib.h>

#include "lib/verify/batch.h"

static void forget_reading(struct reading *r)
{
    free(r->error);
    *r = (struct reading){0};
}

static void forget_readings(struct batch *b)
{
    for (unsigned i = 0; i < b->n; i++)
        for (int side = 0; side < 2; side++)
            forget_reading(&b->items[i].side[side]);
    b->side[0] = b->side[1] = (struct batch_side){0};
}

int batch_begin(struct batch *b, int db, enum batch_kind kind)
{
    if (kind == BATCH_DEEP && !b->digests) {
        b->digests = calloc(2 * BATCH_KEYS, sizeof(*b->digests));
        if (!b->digests)
            return -ENOMEM;
    }
    forget_readings(b);
    b->next = NULL;
    b->db = db;
    b->kind = kind;
    b->n = b->left = b->tries = 0;
    b->expected = 0;
    b->dead = b->together = b->undecided = b->loose = b->strings = false;
    b->peer[0] = b->peer[1] = NULL;
    b->by_slot[0] = b->by_slot[1] = false;
    b->names_len = 0;
    if (b->names_cap > 4 * BATCH_NAMES) {
        free(b->names);
        b->names = NULL;
        b->names_cap = 0;
    }
    return 0;
}

static int reserve_name(struct batch *b, size_t len)
{
    if (b->names_cap - b->names_len >= len)
        return 0;
    size_t cap = MAX(MAX((size_t)1024, b->names_cap * 2), b->names_len + len);
    char *names = realloc(b->names, cap);
    if (!names)
        return -ENOMEM;
    b->names = names;
    b->names_cap = cap;
    return 0;
}

int batch_add(struct batch *b, struct bytes key, unsigned slot, uint64_t tag)
{
    struct item *item = &b->items[b->n];

    int err = reserve_name(b, key.len);
    if (err)
        return err;
    bytes_put(b->names + b->names_len, key);
    *item = (struct item){.at = b->names_len, .len = key.len, .tag = tag, .slot = slot};
    b->names_len += key.len;
    b->n++;
    return 0;
}

unsigned batch_part(const struct batch *b, int side, unsigned from)
{
    unsigned to = b->by_slot[side] ? from + 1 : b->n;

    while (to < b->n && b->items[to].slot == b->items[from].slot)
        to++;
    return to;
}

void batch_again(struct batch *b, const bool keep[BATCH_KEYS])
{
    unsigned n = 0;

    forget_readings(b);
    for (unsigned i = 0; i < b->n; i++)
        if (keep[i])
            b->items[n++] = b->items[i];
    b->n = n;
    b->undecided = b->strings = false;
    b->tries++;
}

struct batch *batch_free(struct batch *b)
{
    if (b) {
        forget_readings(b);
        free(b->digests);
        free(b->names);
        free(b);
    }
    return NULL;
}
