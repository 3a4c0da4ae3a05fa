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
 * Memory: about 112 bytes a key whose name has 12: 72 and the name, rounded up as malloc does, and 8 to 16
 * for its place in the table. Every key costs what dirty_memory() counts; a mark beyond the budget is refused
 * with -ENOBUFS, and is then the owner's to declare as a gap (R8, R9). Marks of keys that are in the set
 * already are never refused.
 */
#ifndef RIOT_DIRTY_H
#define RIOT_DIRTY_H

#include "lib/core/hash.h"
#include "lib/core/table.h"

enum dirty_class { DIRTY_LIVE, DIRTY_SCAN };
enum dirty_place { DIRTY_QUEUED, DIRTY_IN_FLIGHT, DIRTY_WAITING, DIRTY_FAILED };

/* What TYPE said of the target's key, where types are filtered, right before the source was read. */
enum dirty_there { THERE_UNASKED, THERE_NOTHING, THERE_IN_SCOPE, THERE_OUT_OF_SCOPE };

/* How its state is moved: as what DUMP and RESTORE know, or as a string, by GET and SET. */
enum dirty_way {
    WAY_DUMP,
    WAY_STRING,    /* in flight; it may turn out to be no string */
    WAY_TOGETHER,  /* as WAY_STRING, on its way to the target with others: by MSET */
    WAY_NO_STRING, /* as WAY_DUMP, and stays so: it is no string, or was refused as one */
};

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
    uint8_t there;   /* in flight: enum dirty_there */
    uint8_t tries;   /* error replies for this key in a row */
    uint8_t closes;  /* connections lost in a row while this key was on its way */
    bool again : 1;  /* marked while in flight */
    bool alone : 1;  /* to be sent with nothing else in flight */
    bool lost : 1;   /* waiting: its write was under way when the connection was lost */
    bool ask : 1;    /* its next write goes to `server`, with ASKING before it */
    bool unread : 1; /* in flight: what is written was told, not read */
    uint8_t way;     /* enum dirty_way */
    uint16_t server; /* of the target: the node that `lost` or `ask` is about */
    char key[];
};

/* Has the processor fetch it: it was last touched a while ago, and is soon used again. It lies in two lines.
 */
static inline void dirty_fetch(const struct dirty_key *k)
{
    __builtin_prefetch(k);
    __builtin_prefetch((const char *)k + 64);
}

struct dirty;
/* budget: bytes for keys and table. */
MUST_CHECK int dirty_new(struct hash_seed seed, size_t budget, struct dirty **ret);
struct dirty *dirty_free(struct dirty *d);
void dirty_set_budget(struct dirty *d, size_t budget);

/* 0 (marked, or marked already), -ENOBUFS (dropped: a gap), -ENOMEM (the same). */
MUST_CHECK int dirty_mark(struct dirty *d, enum dirty_class class, int db, struct bytes key, uint64_t now_us);
/* A key that is not in the set is in flight from now on: its state is known, and need not be read. NULL: it
 * is in the set already, or there is no room: mark it. */
struct dirty_key *dirty_fly(struct dirty *d, int db, struct bytes key, uint64_t now_us);
/* The next key to copy, or NULL; it is in flight then. ripe_us: live marks that came later rest, and do not
 * keep the scan's from their turn; UINT64_MAX: none rests. Of the live keys the one whose turn it is decides:
 * the others are hardly older. */
struct dirty_key *dirty_take(struct dirty *d, uint64_t ripe_us);
uint64_t dirty_live_since_us(
    const struct dirty *d); /* of the live key whose turn it is; UINT64_MAX: none is */
/* The target has it: the key leaves the set, or is queued again if it was marked meanwhile. k is gone
 * afterwards. */
void dirty_done(struct dirty *d, struct dirty_key *k);
/* Not copied. Queued again at the front (delay 0: its turn had come), or tried again after a delay. */
void dirty_put_back(struct dirty *d, struct dirty_key *k, uint64_t now_us, uint64_t delay_us);
/* Not copied, and others should have their turn before it is tried again. */
void dirty_put_last(struct dirty *d, struct dirty_key *k);
/* Its write was under way when the connection to that node of the target was lost. Held until
 * dirty_release_lost() of the node, after which the former connection can no longer write, or `delay_us` more
 * is waited where that cannot be proved (R2). blame: the target closed that one connection, and lives: a key
 * that was there DIRTY_SUSPECT times is sent alone from then on, and after DIRTY_GUILTY more times it is
 * failed (R10). */
#define DIRTY_SUSPECT 2
#define DIRTY_GUILTY  3
void dirty_put_lost(struct dirty *d, struct dirty_key *k, uint16_t server);
void dirty_release_lost(struct dirty *d, uint16_t server, uint64_t now_us, uint64_t delay_us, bool blame);
/* It can never be written as it is. Kept by name, out of the queues, until marked or dirty_retry_failed();
 * beyond a share of the budget only counted (failed_unnamed): those are found again by a resync. reason: a
 * literal. */
void dirty_fail(struct dirty *d, struct dirty_key *k, const char *reason);
void dirty_forget_unnamed(struct dirty *d); /* a resync begins */
void dirty_retry_failed(struct dirty *d);
/* Queues the waiting keys that are due. Returns the time of the next one, or UINT64_MAX. */
uint64_t dirty_tick(struct dirty *d, uint64_t now_us);
bool dirty_has(const struct dirty *d, int db, struct bytes key); /* to be copied: a failed key is not */
/* For keys that become another set's: how many of those that `belongs` says true of are in flight, or may
 * still be written by a lost connection; and the others of them, each told to `fn` and then forgotten. */
typedef bool dirty_belongs_fn(struct bytes key, const void *arg);
size_t dirty_busy(const struct dirty *d, dirty_belongs_fn *belongs, const void *of);
void dirty_take_out(struct dirty *d, dirty_belongs_fn *belongs, const void *of,
                    void (*fn)(const struct dirty_key *k, void *arg), void *arg);
/* Forgets all but the keys in flight and those whose lost write may still be under way, as an owner that
 * begins anew does. */
void dirty_clear(struct dirty *d);

/* All that is in flight is marked once more: what was read for it may be of before marks that were missed. */
void dirty_mark_flying(struct dirty *d, uint64_t now_us);

/* From now on, dirty_settled() is false until every key that is in the set now (failed ones aside) was
 * applied, or has failed. One that failed counts as a new one when it is tried again: whoever is to know that
 * all were applied looks at dirty_failures() too. */
void dirty_settle_begin(struct dirty *d, uint64_t now_us);
bool dirty_settled(const struct dirty *d);
uint64_t dirty_failures(const struct dirty *d); /* how many there ever were */

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
