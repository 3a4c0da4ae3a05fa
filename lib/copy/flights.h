/* flights.h - what was sent over one connection and is not answered, in order. A ring of fixed size. */
#ifndef RIOT_FLIGHTS_H
#define RIOT_FLIGHTS_H

#include "lib/copy/dirty.h"

/* Keys in flight are at most COPY_WINDOW, each with at most one SELECT before it. */
#define COPY_WINDOW 1024
#define FLIGHTS_MAX 4096
_Static_assert(FLIGHTS_MAX >= 2 * COPY_WINDOW + 2, "a ring holds all that can be in flight");
_Static_assert((FLIGHTS_MAX & (FLIGHTS_MAX - 1)) == 0, "a power of two");

struct flight {
    struct dirty_key *key; /* NULL: a SELECT, or what was asked for */
    uint64_t bytes;
    int db;   /* of a SELECT */
    int what; /* of what was asked for */
    bool asks;
    bool deletes;
};

struct flights {
    unsigned head, tail; /* free-running */
    struct flight at[FLIGHTS_MAX];
};

static inline bool flights_empty(const struct flights *f)
{
    return f->head == f->tail;
}

static inline size_t flights_count(const struct flights *f)
{
    return f->tail - f->head;
}

static inline struct flight *flights_first(struct flights *f)
{
    return &f->at[f->head % FLIGHTS_MAX];
}

static inline bool flights_full(const struct flights *f)
{
    return flights_count(f) >= FLIGHTS_MAX - 1;
}

static inline void flights_push(struct flights *f, struct flight one)
{
    f->at[f->tail++ % FLIGHTS_MAX] = one;
}

static inline struct flight flights_shift(struct flights *f)
{
    return f->at[f->head++ % FLIGHTS_MAX];
}

#endif
