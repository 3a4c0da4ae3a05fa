/* suspect.h - the keys that differed, to be looked at again: each once, in lists by what is due next. Of this
 * room only.
 *
 * A list whose keys all wait equally long is in the order of its due times, so the first says when there is
 * something to do.
 */
#ifndef RIOT_VERIFY_SUSPECT_H
#define RIOT_VERIFY_SUSPECT_H

#include "lib/core/hash.h"
#include "lib/core/table.h"
#include "lib/verify/compare.h"

#define SUSPECT_DELAYS 5 /* unlike delays between looks */

enum suspect_list {
    SUSPECT_READY, /* to be looked at */
    SUSPECT_LOOKING,
    SUSPECT_LOST,     /* a server that it needs is not there */
    SUSPECT_SETTLING, /* a barrier is on its way */
    SUSPECT_DIRTY,    /* to be copied: looked at after that */
    SUSPECT_WAITING,  /* and SUSPECT_DELAYS - 1 more */
    SUSPECT_LISTS = SUSPECT_WAITING + SUSPECT_DELAYS,
};

/* One side, as far as it must be known whether it is still the same. */
struct sight {
    bool exists;
    enum rdb_type type;
    int64_t expire_at_ms;
    uint64_t value; /* of hash and digest */
};

struct suspect {
    struct table_node node;
    struct suspect *next, *prev;
    enum suspect_list list;
    uint64_t due_us;
    enum compare_verdict verdict; /* of the last look that counts */
    struct sight side[2];
    uint64_t repair_until_us; /* 0: not marked yet */
    bool seen;                /* there was a look */
    bool settled;         /* the look under way, or the last, came after a barrier and found the key clean */
    bool restless;        /* it was dirty, or one side changed between looks */
    bool moving;          /* what it was waited for last: its slot is being moved */
    bool counted;         /* among the keys that were compared */
    uint8_t same, looks;  /* settled looks in a row that agree; in all */
    uint16_t dirty_waits; /* for its being copied, or moved */
    int db;
    uint32_t len;
    char name[];
};

struct suspects;
MUST_CHECK int suspects_new(struct hash_seed seed, struct suspects **ret);
struct suspects *suspects_free(struct suspects *t);
size_t suspect_cost(size_t name_len); /* bytes that one takes */
size_t suspects_bytes(const struct suspects *t);
size_t suspects_count(const struct suspects *t);
struct suspect *suspects_find(const struct suspects *t, int db, struct bytes name);
/* In the list READY. -ENOMEM. */
MUST_CHECK int suspects_add(struct suspects *t, int db, struct bytes name, struct suspect **ret);
void suspects_move(struct suspects *t, struct suspect *s, enum suspect_list to, uint64_t due_us);
void suspects_drop(struct suspects *t, struct suspect *s);
struct suspect *suspects_first(const struct suspects *t, enum suspect_list list); /* or NULL */

static inline struct bytes suspect_name(const struct suspect *s)
{
    return bytes_of(s->name, s->len);
}

struct sight sight_of(const struct compare_side *s);
bool sight_same(const struct sight *a, const struct sight *b, uint64_t ttl_tolerance_ms);

#endif
