/* flights.h - what was sent over one connection and is not answered, in order. A ring, which grows as it has
 * to, up to a fixed size.
 */
#ifndef RIOT_FLIGHTS_H
#define RIOT_FLIGHTS_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/dirty.h"

/* Keys in flight are at most COPY_WINDOW that are read, each with at most SELECT and ASKING before it, and
 * UNREAD_WINDOW that are not. */
#define COPY_WINDOW   1024
#define UNREAD_WINDOW 1000
#define FLIGHTS_MIN   64
#define FLIGHTS_MAX   4096
_Static_assert(FLIGHTS_MAX > 3 * COPY_WINDOW + UNREAD_WINDOW + 2, "a ring holds all that can be in flight");
_Static_assert((FLIGHTS_MAX & (FLIGHTS_MAX - 1)) == 0, "a power of two");
_Static_assert((FLIGHTS_MIN & (FLIGHTS_MIN - 1)) == 0, "a power of two");

struct flight {
    struct dirty_key *key; /* NULL: a SELECT, or what was asked for */
    uint64_t bytes;
    int db;   /* of a SELECT */
    int what; /* of what was asked for; of a key that is read: how */
    bool asks;
    bool asking; /* ASKING, before a key */
    bool deletes;
    bool looks;  /* TYPE of the key */
    bool joined; /* the next key is answered with this one */
};

/* Strings go together, in one request: each by itself would cost the servers a sixth more. So many, with
 * names and values of so many bytes; where no slot decides where a key is. */
#define TOGETHER_MAX   32
#define TOGETHER_BYTES (16 * KIB)
#define TOGETHER_NAME  KIB
#define TOGETHER_VALUE (2 * KIB)

/* All zero: empty. */
struct flights {
    unsigned head, tail, cap; /* the first two run freely */
    struct flight *at;
};

static inline void flights_free(struct flights *f)
{
    free(f->at);
    *f = (struct flights){0};
}

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
    return &f->at[f->head & (f->cap - 1)];
}

static inline struct flight *flights_at(struct flights *f, unsigned i)
{
    return &f->at[(f->head + i) & (f->cap - 1)];
}

static inline bool flights_full(const struct flights *f)
{
    return flights_count(f) >= FLIGHTS_MAX - 1;
}

MUST_CHECK int flights_grow(struct flights *f, size_t need); /* the ring, until it has more places */

/* Before so many pushes: -ENOBUFS, -ENOMEM: there is no room for them. */
MUST_CHECK static inline int flights_reserve(struct flights *f, size_t n)
{
    if (flights_count(f) + n > FLIGHTS_MAX - 1)
        return -ENOBUFS;
    return flights_count(f) + n < f->cap ? 0 : flights_grow(f, flights_count(f) + n);
}

static inline void flights_push(struct flights *f, struct flight one)
{
    f->at[f->tail++ & (f->cap - 1)] = one;
}

/* The keys were last touched when they were sent: those that come soon are fetched while this one is dealt
 * with. */
#define FLIGHTS_PREFETCH 8

static inline struct flight flights_shift(struct flights *f)
{
    dirty_fetch(f->at[(f->head + FLIGHTS_PREFETCH) & (f->cap - 1)].key);
    return f->at[f->head++ & (f->cap - 1)];
}

#endif
