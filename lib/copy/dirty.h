/* dirty.h - the dirty set: keys that were marked and are not yet copied.
 *
 * Each key of each database is in it at most once, however often it is marked, and is in one place: queued
 * (live or scan), in flight, waiting for its next try, or failed. A mark while it is in flight queues it
 * again once the copy has ended (R2). The mark counts as cleared by dirty_take(), so before the read is sent
 * (R1).
 *
 * Fairness (R12): live marks and scan marks are taken in turn while both are there; inside each, databases
 * take turns; inside those it is first come, first served, so that a hot key goes behind the cold ones.
 *
 * Memory: every key costs what dirty_memory() counts; a mark beyond the budget is refused with -ENOBUFS, and
 * is then the owner's to declare as a gap (R8, R9). Marks of keys that are in the set already are never
 * refused.
 */
#ifndef RIOT_DIRTY_H
#define RIOT_DIRTY_H

#include "lib/core/hash.h"
#include "lib/core/table.h"

enum dirty_class { DIRTY_LIVE, DIRTY_SCAN };
enum dirty_place { DIRTY_QUEUED, DIRTY_IN_FLIGHT, DIRTY_WAITING, DIRTY_FAILED };

struct dirty_key {
    struct table_node node;
    struct dirty_key *prev, *next;
    uint64_t since_us; /* when the oldest mark came that no applied copy answers */
    union {
        uint64_t again_us;  /* in flight: when it was first marked again */
        uint64_t due_us;    /* waiting: the next try */
        const char *reason; /* failed: a literal */
    } u;
    uint32_t epoch;
    int32_t db;
    uint32_t len;
    uint8_t place, class;
    uint8_t tries;  /* error replies for this key in a row */
    uint8_t closes; /* connections lost in a row while this key was on its way */
    bool again;     /* marked while in flight */
    bool alone;     /* to be sent with nothing else in flight */
    bool lost;      /* waiting: its write was under way when the connection was lost */
    char key[];
};

struct dirty;
/* budget: bytes for keys and table. */
MUST_CHECK int dirty_new(struct hash_seed seed, size_t budget, struct dirty **ret);
struct dirty *dirty_free(struct dirty *d);
void dirty_set_budget(struct dirty *d, size_t budget);

/* 0 (marked, or marked already), -ENOBUFS (dropped: a gap), -ENOMEM (the same). */
MUST_CHECK int dirty_mark(struct dirty *d, enum dirty_class class, int db, struct bytes key, uint64_t now_us);
/* The next key to copy, or NULL; it is in flight then. */
struct dirty_key *dirty_take(struct dirty *d);
/* The target has it: the key leaves the set, or is queued again if it was marked meanwhile. k is gone
 * afterwards. */
void dirty_done(struct dirty *d, struct dirty_key *k);
/* Not copied. Queued again at the front (delay 0: its turn had come), or tried again after a delay. */
void dirty_put_back(struct dirty *d, struct dirty_key *k, uint64_t now_us, uint64_t delay_us);
/* Not copied, and others should have their turn before it is tried again. */
void dirty_put_last(struct dirty *d, struct dirty_key *k);
/* Its write was under way when the connection to the target was lost. Held until dirty_release_lost(), after
 * which the former connection can no longer write, or `delay_us` more is waited where that cannot be proved
 * (R2). blame: the target closed that one connection, and lives: a key that was there DIRTY_SUSPECT times is
 * sent alone from then on, and after DIRTY_GUILTY more times it is failed (R10). */
#define DIRTY_SUSPECT 2
#define DIRTY_GUILTY  3
void dirty_put_lost(struct dirty *d, struct dirty_key *k);
void dirty_release_lost(struct dirty *d, uint64_t now_us, uint64_t delay_us, bool blame);
/* It can never be written as it is. Kept by name, out of the queues, until marked or dirty_retry_failed();
 * beyond a share of the budget only counted (failed_unnamed): those are found again by a resync. reason: a
 * literal. */
void dirty_fail(struct dirty *d, struct dirty_key *k, const char *reason);
void dirty_forget_unnamed(struct dirty *d); /* a resync begins */
void dirty_retry_failed(struct dirty *d);
/* Queues the waiting keys that are due. Returns the time of the next one, or UINT64_MAX. */
uint64_t dirty_tick(struct dirty *d, uint64_t now_us);
bool dirty_has(const struct dirty *d, int db, struct bytes key); /* to be copied: a failed key is not */
/* Forgets all but the keys in flight and those whose lost write may still be under way, as an owner that
 * begins anew does. */
void dirty_clear(struct dirty *d);

/* From now on, dirty_settled() is false until every key that is in the set now (failed ones aside) was
 * applied. */
void dirty_settle_begin(struct dirty *d, uint64_t now_us);
bool dirty_settled(const struct dirty *d);

struct dirty_counts {
    size_t queued, scan_queued, in_flight, waiting; /* queued includes scan_queued */
    size_t failed, failed_unnamed;                  /* by name; and others */
};
void dirty_counts(const struct dirty *d, struct dirty_counts *ret);
static inline size_t dirty_pending(const struct dirty_counts *c)
{
    return c->queued + c->in_flight + c->waiting;
}
size_t dirty_memory(const struct dirty *d);
size_t dirty_live_memory(const struct dirty *d); /* of the keys that are not failed */
size_t dirty_budget(const struct dirty *d);
uint64_t dirty_oldest_us(const struct dirty *d); /* since_us of the oldest, near enough for a lag; 0: none */
void dirty_each_failed(const struct dirty *d, void (*fn)(const struct dirty_key *k, void *arg), void *arg);

static inline struct bytes dirty_name(const struct dirty_key *k)
{
    return (struct bytes){k->key, k->len};
}

#endif
