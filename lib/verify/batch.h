/* batch.h - keys that are asked for together on each side, and what came of them. Of this room only.
 *
 * One server is asked for all of them at once; a cluster's node for each run of keys of one slot. At once is
 * one MULTI, or, of a loose batch, requests that follow one another.
 */
#ifndef RIOT_VERIFY_BATCH_H
#define RIOT_VERIFY_BATCH_H

#include "lib/rdb/digest.h"

#define BATCH_KEYS 32
#define BATCH_NAMES                                                                                          \
    (64 * KIB) /* no more are added beyond it: one more name may be as long as KEY_NAME_MAX                  \
                */
#define BATCH_ERROR 120

enum batch_kind {
    BATCH_QUICK,  /* expiry, and the body's hash */
    BATCH_DEEP,   /* and the value's digest */
    BATCH_EXISTS, /* EXISTS, of the source only */
};

/* What an error says. */
enum trouble {
    TROUBLE_KEY,    /* of the key: it is final */
    TROUBLE_SERVER, /* that the server is not ready */
    TROUBLE_MOVING, /* that the key's slot is elsewhere, or on its way there */
};

/* Of one key on one side. */
struct reading {
    bool exists;
    bool aborted;  /* not read, and no fault of it: another one was refused in the same MULTI, or, of
                      strings, it is of another type */
    bool listed;   /* its expiry was told, so it is there */
    uint8_t first; /* byte of the payload: its type */
    enum trouble trouble;
    int undecoded; /* deep: why there is no digest, a negative errno; 0: there is */
    int64_t expire_at_ms;
    uint64_t bytes;
    struct hash128 body;
    char *error; /* from malloc; NULL: none */
};

struct item {
    size_t at, len; /* of its name */
    uint64_t tag;
    unsigned slot; /* 0 where no side has slots */
    struct reading side[2];
};

/* Of one side as a whole. */
struct batch_side {
    bool answered;
    bool clock;      /* now_ms is known */
    bool failed;     /* some keys were refused together */
    bool torn;       /* the server was held up between clock and TTLs: what expires is to be read again */
    bool no_strings; /* MGET was refused */
    int64_t now_ms;
};

struct peer; /* of compare.c */

struct batch {
    struct batch *next;
    int db;
    enum batch_kind kind;
    unsigned n, left; /* keys; sides that have not answered */
    unsigned tries;
    struct peer *peer[2]; /* who is asked; of EXISTS the source's only */
    bool by_slot[2];      /* that side is a cluster */
    bool loose;           /* quick: without MULTI, where the server does not need it to tell the expiry */
    bool strings;         /* quick: values are asked for by MGET */
    bool dead;            /* its keys were told as lost: what is still answered is of no use */
    bool together;        /* EXISTS of all at once */
    bool undecided;       /* it did not count all of them: each is to be asked for by itself */
    uint64_t expected;    /* bytes of payloads */
    struct batch_side side[2];
    struct item items[BATCH_KEYS];
    struct value_digest *digests; /* deep: of each key, of the two sides */
    char *names;
    size_t names_len, names_cap;
};

static inline struct bytes batch_name(const struct batch *b, unsigned i)
{
    return bytes_of(b->names + b->items[i].at, b->items[i].len);
}

static inline struct value_digest *batch_digest(const struct batch *b, unsigned i, int side)
{
    return &b->digests[2 * i + (unsigned)side];
}

/* Empty, for keys of this database. */
MUST_CHECK int batch_begin(struct batch *b, int db, enum batch_kind kind);
MUST_CHECK int batch_add(struct batch *b, struct bytes key, unsigned slot, uint64_t tag);
/* Where the keys end that are asked for in one MULTI with key `from`. */
unsigned batch_part(const struct batch *b, int side, unsigned from);
/* Forgets what was read, and the keys of which `keep` is false: to be sent once more. */
void batch_again(struct batch *b, const bool keep[BATCH_KEYS]);
struct batch *batch_free(struct batch *b);

#endif
