#include "lib/copy/flights.h"

NOINLINE int flights_grow(struct flights *f, size_t need)
{
    unsigned cap = f->cap ? f->cap : FLIGHTS_MIN, n = 0;
    while (cap <= need)
        cap *= 2;
    struct flight *at = calloc(cap, sizeof(*at));
    if (!at)
        return -ENOMEM;
    for (unsigned i = f->head; i != f->tail; i++)
        at[n++] = f->at[i & (f->cap - 1)];
    free(f->at);
    *f = (struct flights){.tail = n, .cap = cap, .at = at};
    return 0;
}
