/* dirty.c - see dirty.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/dirty.h"

/* Keys of one class or database taken in a row, before another has its turn. Long enough to make SELECT
 * cheap. */
#define TURN 128

/* Of the budget, failed keys may keep a fourth: the others must go on however many fail. */
#define FAILED_SHARE 4

struct list {
    struct dirty_key *head, *tail;
    size_t count;
};

/* Keys that were freed are taken again, the last one first: its memory is still in the processor's cache. By
 * size, in steps of CELL; the allocator takes CELL_HEAD of each for itself. */
#define CELL      16
#define CELL_HEAD 8
#define CELLS     16
#ifdef __SANITIZE_ADDRESS__
#define SPARE_BYTES ((size_t)0) /* so that a use of what was freed is seen */
#else
#define SPARE_BYTES ((size_t)256 * KIB) /* kept at the most; of a small budget a part of it */
#endif
#define SPARE_SHARE 16

struct spare {
    struct spare *next;
};

/* The queues of one database. Those with keys of a class stand in that class' ring, in the order of their
 * turns. */
struct db_queues {
    int db;
    struct {
        struct list keys;
        struct db_queues *next; /* in the ring; NULL: not in it */
    } of[2];
    struct db_queues *sibling; /* in the list of all */
};

struct ring {
    struct db_queues *last; /* last->next is the first */
    size_t keys;
    unsigned turn; /* keys that the first may still give in its turn */
};

struct dirty {
    struct hash_seed seed;
    struct table table;
    size_t budget, memory;
    struct db_queues *dbs;
    struct ring rings[2];
    struct list flying, failed;
    size_t failed_memory, failed_unnamed;
    uint64_t failures;
    struct list waiting; /* in the order of due_us: the clock is looked at often, and most are not due */
    unsigned class_turn; /* keys still to come from present_class while the other has some too */
    enum dirty_class present_class;
    uint32_t epoch;
    struct spare *spare[CELLS];
    size_t spare_bytes;
    size_t old;         /* keys of an earlier epoch, failed ones aside */
    uint64_t settle_us; /* when the present epoch began */
};

static void list_append(struct list *l, struct dirty_key *k)
{
    k->next = NULL;
    k->prev = l->tail;
    if (l->tail)
        l->tail->next = k;
    else
        l->head = k;
    l->tail = k;
    l->count++;
}

static void list_push(struct list *l, struct dirty_key *k)
{
    k->prev = NULL;
    k->next = l->head;
    if (l->head)
        l->head->prev = k;
    else
        l->tail = k;
    l->head = k;
    l->count++;
}

/* Behind `after`, which is in the list; NULL: at the front. */
static void list_insert(struct list *l, struct dirty_key *k, struct dirty_key *after)
{
    if (!after) {
        list_push(l, k);
        return;
    }
    k->prev = after;
    k->next = after->next;
    *(after->next ? &after->next->prev : &l->tail) = k;
    after->next = k;
    l->count++;
}

static void list_remove(struct list *l, struct dirty_key *k)
{
    *(k->prev ? &k->prev->next : &l->head) = k->next;
    *(k->next ? &k->next->prev : &l->tail) = k->prev;
    k->prev = k->next = NULL;
    l->count--;
}

static void ring_append(struct ring *r, enum dirty_class class, struct db_queues *q)
{
    if (r->last) {
        q->of[class].next = r->last->of[class].next;
        r->last->of[class].next = q;
    } else {
        q->of[class].next = q;
        r->turn = TURN;
    }
    r->last = q;
}

/* Takes the first database off the ring. */
static void ring_shift(struct ring *r, enum dirty_class class)
{
    struct db_queues *first = r->last->of[class].next;
    if (first == r->last)
        r->last = NULL;
    else
        r->last->of[class].next = first->of[class].next;
    first->of[class].next = NULL;
    r->turn = TURN;
}

static NOINLINE struct db_queues *new_queues(struct dirty *d, int db)
{
    struct db_queues *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->db = db;
    q->sibling = d->dbs;
    d->dbs = q;
    return q;
}

static inline struct db_queues *queues_of(struct dirty *d, int db)
{
    for (struct db_queues *q = d->dbs; q; q = q->sibling)
        if (q->db == db)
            return q;
    return new_queues(d, db);
}

/* The database's queues are there: they were made when the key was first marked. */
static void enqueue(struct dirty *d, struct dirty_key *k, bool front)
{
    struct db_queues *q = queues_of(d, k->db);
    struct list *l = &q->of[k->class].keys;

    k->place = DIRTY_QUEUED;
    if (front)
        list_push(l, k);
    else
        list_append(l, k);
    d->rings[k->class].keys++;
    if (!q->of[k->class].next)
        ring_append(&d->rings[k->class], k->class, q);
}

/* A database whose list runs empty here stays in the ring; dirty_take() drops it when its turn comes. */
static void dequeue(struct dirty *d, struct dirty_key *k)
{
    list_remove(&queues_of(d, k->db)->of[k->class].keys, k);
    d->rings[k->class].keys--;
}

static size_t cells_of(size_t len)
{
    return (sizeof(struct dirty_key) + len + CELL_HEAD + CELL - 1) / CELL;
}

static size_t cost(const struct dirty_key *k)
{
    return cells_of(k->len) * CELL;
}

static struct dirty_key *new_key(struct dirty *d, size_t len)
{
    size_t cells = cells_of(len);
    struct spare *s = cells < CELLS ? d->spare[cells] : NULL;

    if (!s)
        return malloc(cells * CELL - CELL_HEAD);
    d->spare[cells] = s->next;
    dirty_fetch((const struct dirty_key *)(const void *)s->next);
    d->spare_bytes -= cells * CELL;
    return (struct dirty_key *)(void *)s;
}

static void free_key(struct dirty *d, struct dirty_key *k)
{
    size_t cells = cells_of(k->len);
    struct spare *s = (struct spare *)(void *)k;

    if (cells >= CELLS || d->spare_bytes + cells * CELL > MIN(SPARE_BYTES, d->budget / SPARE_SHARE)) {
        free(k);
        return;
    }
    s->next = d->spare[cells];
    d->spare[cells] = s;
    d->spare_bytes += cells * CELL;
}

static void free_spare(struct dirty *d)
{
    for (size_t i = 0; i < CELLS; i++)
        while (d->spare[i]) {
            struct spare *s = d->spare[i];
            d->spare[i] = s->next;
            free(s);
        }
}

static void epoch_set(struct dirty *d, struct dirty_key *k, uint32_t epoch, bool counted)
{
    if (counted && k->epoch != d->epoch)
        d->old--;
    k->epoch = epoch;
    if (epoch != d->epoch)
        d->old++;
}

static void unfail(struct dirty *d, struct dirty_key *k)
{
    list_remove(&d->failed, k);
    d->failed_memory -= cost(k);
}

static void drop(struct dirty *d, struct dirty_key *k)
{
    table_remove(&d->table, &k->node);
    d->memory -= cost(k);
    free_key(d, k);
}

int dirty_new(struct hash_seed seed, size_t budget, struct dirty **ret)
{
    struct dirty *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    int err = table_init(&d->table, 1024);
    if (err) {
        free(d);
        return err;
    }
    d->seed = seed;
    d->budget = budget;
    d->class_turn = TURN;
    *ret = d;
    return 0;
}

static void free_node(struct table_node *n, void *arg)
{
    drop(arg, CONTAINER_OF(n, struct dirty_key, node));
}

struct dirty *dirty_free(struct dirty *d)
{
    if (!d)
        return NULL;
    table_each(&d->table, free_node, d);
    table_free(&d->table);
    free_spare(d);
    while (d->dbs) {
        struct db_queues *q = d->dbs;
        d->dbs = q->sibling;
        free(q);
    }
    free(d);
    return NULL;
}

void dirty_set_budget(struct dirty *d, size_t budget)
{
    d->budget = budget;
    table_trim(&d->table);
}

static uint64_t hash_of(const struct dirty *d, int db, struct bytes key)
{
    return hash_bytes(d->seed, (uint64_t)db, key);
}

static struct dirty_key *find(const struct dirty *d, uint64_t hash, int db, struct bytes key)
{
    for (struct table_node *n = table_first(&d->table, hash); n; n = table_next(n)) {
        struct dirty_key *k = CONTAINER_OF(n, struct dirty_key, node);
        if (k->db == db && bytes_equal(dirty_name(k), key))
            return k;
    }
    return NULL;
}

/* It is in no place yet. */
static int insert(struct dirty *d, enum dirty_class class, int db, struct bytes key, uint64_t hash,
                  uint64_t now_us, struct dirty_key **ret)
{
    if (dirty_memory(d) + sizeof(struct dirty_key) + key.len > d->budget)
        return -ENOBUFS;
    if (!queues_of(d, db))
        return -ENOMEM;
    struct dirty_key *k = new_key(d, key.len);
    if (!k)
        return -ENOMEM;
    *k = (struct dirty_key){
        .since_us = now_us, .epoch = d->epoch, .db = db, .len = (uint32_t)key.len, .class = class};
    bytes_put(k->key, key);
    int err = table_insert(&d->table, &k->node, hash);
    if (err) {
        free_key(d, k);
        return err;
    }
    d->memory += cost(k);
    *ret = k;
    return 0;
}

/* A mark for a key that is in the set already. */
static NOINLINE void mark_again(struct dirty *d, struct dirty_key *k, enum dirty_class class, uint64_t now_us)
{
    switch (k->place) {
    case DIRTY_IN_FLIGHT:
        if (!k->again)
            k->u.again_us = now_us;
        k->again = true;
        if (class == DIRTY_LIVE)
            k->class = DIRTY_LIVE;
        break;
    case DIRTY_QUEUED:
        if (class == DIRTY_LIVE && k->class == DIRTY_SCAN) {
            dequeue(d, k);
            k->class = DIRTY_LIVE;
            enqueue(d, k, false);
        }
        break;
    case DIRTY_FAILED:
        unfail(d, k);
        k->since_us = now_us;
        k->class = class;
        epoch_set(d, k, d->epoch, false);
        enqueue(d, k, false);
        break;
    case DIRTY_WAITING:
        break;
    }
}

int dirty_mark(struct dirty *d, enum dirty_class class, int db, struct bytes key, uint64_t now_us)
{
    uint64_t hash = hash_of(d, db, key);
    struct dirty_key *k = find(d, hash, db, key);
    if (k) {
        mark_again(d, k, class, now_us);
        return 0;
    }
    int err = insert(d, class, db, key, hash, now_us, &k);
    if (!err)
        enqueue(d, k, false);
    return err;
}

static void fly(struct dirty *d, struct dirty_key *k)
{
    k->place = DIRTY_IN_FLIGHT;
    k->again = false;
    list_append(&d->flying, k);
}

struct dirty_key *dirty_fly(struct dirty *d, int db, struct bytes key, uint64_t now_us)
{
    uint64_t hash = hash_of(d, db, key);
    struct dirty_key *k;

    if (find(d, hash, db, key) || insert(d, DIRTY_LIVE, db, key, hash, now_us, &k) < 0)
        return NULL;
    fly(d, k);
    return k;
}

void dirty_mark_flying(struct dirty *d, uint64_t now_us)
{
    for (struct dirty_key *k = d->flying.head; k; k = k->next)
        mark_again(d, k, k->class, now_us);
}

static struct dirty_key *take_of(struct dirty *d, enum dirty_class class)
{
    struct ring *r = &d->rings[class];

    while (r->last) {
        struct db_queues *q = r->last->of[class].next;
        struct list *l = &q->of[class].keys;
        if (l->head && r->turn) {
            struct dirty_key *k = l->head;
            r->turn--;
            list_remove(l, k);
            r->keys--;
            dirty_fetch(l->head);
            return k;
        }
        ring_shift(r, class);
        if (l->head)
            ring_append(r, class, q);
    }
    return NULL;
}

/* A list that ran empty stands in the ring until its turn comes, and is passed over here. */
uint64_t dirty_live_since_us(const struct dirty *d)
{
    const struct db_queues *last = d->rings[DIRTY_LIVE].last, *q = last;

    while (q) {
        q = q->of[DIRTY_LIVE].next;
        if (q->of[DIRTY_LIVE].keys.head)
            return q->of[DIRTY_LIVE].keys.head->since_us;
        if (q == last)
            break;
    }
    return UINT64_MAX;
}

static bool live_is_ripe(const struct dirty *d, uint64_t ripe_us)
{
    return d->rings[DIRTY_LIVE].keys && (ripe_us == UINT64_MAX || dirty_live_since_us(d) <= ripe_us);
}

static enum dirty_class class_in_turn(struct dirty *d, bool live)
{
    if (!d->rings[DIRTY_SCAN].keys)
        return DIRTY_LIVE;
    if (!live)
        return DIRTY_SCAN;
    if (!d->class_turn) {
        d->present_class = d->present_class == DIRTY_LIVE ? DIRTY_SCAN : DIRTY_LIVE;
        d->class_turn = TURN;
    }
    d->class_turn--;
    return d->present_class;
}

struct dirty_key *dirty_take(struct dirty *d, uint64_t ripe_us)
{
    bool live = live_is_ripe(d, ripe_us);
    struct dirty_key *k = live || d->rings[DIRTY_SCAN].keys ? take_of(d, class_in_turn(d, live)) : NULL;
    if (!k)
        return NULL;
    fly(d, k);
    return k;
}

/* Keys come back in the order in which they were taken. */
static void fetch_next(const struct dirty *d, const struct dirty_key *k)
{
    const struct dirty_key *next = k->next;

    if (!next)
        return;
    table_fetch_chain(&d->table, &next->node);
    if (next->next)
        table_fetch(&d->table, &next->next->node);
}

void dirty_done(struct dirty *d, struct dirty_key *k)
{
    fetch_next(d, k);
    list_remove(&d->flying, k);
    k->tries = k->closes = 0;
    k->alone = false;
    if (k->again) {
        /* The first mark is answered. Whether the second is of the present epoch is told by time; in the same
         * microsecond it counts as older: settled may come a copy late, never early. */
        if (k->u.again_us > d->settle_us)
            epoch_set(d, k, d->epoch, true);
        k->since_us = k->u.again_us;
        k->again = false;
        enqueue(d, k, false);
        return;
    }
    epoch_set(d, k, d->epoch, true);
    drop(d, k);
    table_trim(&d->table);
}

/* Its place is searched from the end: delays are much the same, so it is near. */
static void wait_until(struct dirty *d, struct dirty_key *k, uint64_t due_us)
{
    struct dirty_key *after = d->waiting.tail;

    while (after && after->u.due_us > due_us)
        after = after->prev;
    list_insert(&d->waiting, k, after);
    k->place = DIRTY_WAITING;
    k->u.due_us = due_us;
}

void dirty_put_back(struct dirty *d, struct dirty_key *k, uint64_t now_us, uint64_t delay_us)
{
    list_remove(&d->flying, k);
    k->again = false;
    if (delay_us)
        wait_until(d, k, delay_us > UINT64_MAX - now_us ? UINT64_MAX : now_us + delay_us);
    else
        enqueue(d, k, true);
}

void dirty_put_last(struct dirty *d, struct dirty_key *k)
{
    list_remove(&d->flying, k);
    k->again = false;
    enqueue(d, k, false);
}

void dirty_put_lost(struct dirty *d, struct dirty_key *k, uint16_t server)
{
    dirty_put_back(d, k, 0, UINT64_MAX);
    k->lost = true;
    k->server = server;
}

/* True: that was once too often. */
static bool blame_key(struct dirty_key *k)
{
    k->closes++;
    k->alone = k->closes >= DIRTY_SUSPECT;
    return k->closes >= DIRTY_SUSPECT + DIRTY_GUILTY;
}

/* Those that were not released yet, which stand at the end. */
static struct list take_lost(struct dirty *d, uint16_t server)
{
    struct list lost = {0};

    for (struct dirty_key *k = d->waiting.tail, *prev; k && k->u.due_us == UINT64_MAX; k = prev) {
        prev = k->prev;
        if (!k->lost || k->server != server)
            continue;
        list_remove(&d->waiting, k);
        list_push(&lost, k);
    }
    return lost;
}

/* What goes to the front goes from the last to the first, so that they keep their order. */
void dirty_release_lost(struct dirty *d, uint16_t server, uint64_t now_us, uint64_t delay_us, bool blame)
{
    struct list lost = take_lost(d, server);

    while (lost.count) {
        struct dirty_key *k = delay_us ? lost.head : lost.tail;
        list_remove(&lost, k);
        if (blame && blame_key(k)) {
            list_append(&d->flying, k);
            k->lost = false;
            dirty_fail(d, k, "the target closes the connection whenever it is written");
        } else if (delay_us) {
            wait_until(d, k, now_us + delay_us);
        } else {
            k->lost = false;
            enqueue(d, k, true);
        }
    }
}

void dirty_fail(struct dirty *d, struct dirty_key *k, const char *reason)
{
    list_remove(&d->flying, k);
    if (k->again) {
        k->again = false;
        enqueue(d, k, false);
        return;
    }
    d->failures++;
    epoch_set(d, k, d->epoch, true);
    if (d->failed_memory + cost(k) > d->budget / FAILED_SHARE) {
        d->failed_unnamed++;
        drop(d, k);
        return;
    }
    k->place = DIRTY_FAILED;
    k->u.reason = reason;
    list_append(&d->failed, k);
    d->failed_memory += cost(k);
}

void dirty_forget_unnamed(struct dirty *d)
{
    d->failed_unnamed = 0;
}

void dirty_retry_failed(struct dirty *d)
{
    while (d->failed.head) {
        struct dirty_key *k = d->failed.head;
        unfail(d, k);
        epoch_set(d, k, d->epoch, false);
        enqueue(d, k, false);
    }
}

uint64_t dirty_tick(struct dirty *d, uint64_t now_us)
{
    struct dirty_key *k;

    while ((k = d->waiting.head) && k->u.due_us <= now_us) {
        list_remove(&d->waiting, k);
        k->lost = false;
        enqueue(d, k, false);
    }
    return k ? k->u.due_us : UINT64_MAX;
}

bool dirty_has(const struct dirty *d, int db, struct bytes key)
{
    const struct dirty_key *k = find(d, hash_of(d, db, key), db, key);
    return k && k->place != DIRTY_FAILED;
}

/* In flight, or its write may still be under way. */
static bool is_busy(const struct dirty_key *k)
{
    return k->place == DIRTY_IN_FLIGHT || (k->place == DIRTY_WAITING && k->lost);
}

static void take_out(struct dirty *d, struct dirty_key *k)
{
    if (k->place == DIRTY_QUEUED)
        dequeue(d, k);
    else if (k->place == DIRTY_WAITING)
        list_remove(&d->waiting, k);
    if (k->place == DIRTY_FAILED)
        unfail(d, k);
    else
        epoch_set(d, k, d->epoch, true);
    drop(d, k);
}

static void clear_node(struct table_node *n, void *arg)
{
    struct dirty_key *k = CONTAINER_OF(n, struct dirty_key, node);

    if (!is_busy(k))
        take_out(arg, k);
}

void dirty_clear(struct dirty *d)
{
    table_each(&d->table, clear_node, d);
}

size_t dirty_busy(const struct dirty *d, dirty_belongs_fn *belongs, const void *of)
{
    size_t n = 0;

    for (const struct dirty_key *k = d->flying.head; k; k = k->next)
        n += belongs(dirty_name(k), of);
    for (const struct dirty_key *k = d->waiting.head; k; k = k->next)
        n += k->lost && belongs(dirty_name(k), of);
    return n;
}

struct taking {
    struct dirty *d;
    dirty_belongs_fn *belongs;
    const void *of;
    void (*fn)(const struct dirty_key *k, void *arg);
    void *arg;
};

static void take_node(struct table_node *n, void *arg)
{
    struct taking *t = arg;
    struct dirty_key *k = CONTAINER_OF(n, struct dirty_key, node);

    if (is_busy(k) || !t->belongs(dirty_name(k), t->of))
        return;
    t->fn(k, t->arg);
    take_out(t->d, k);
}

void dirty_take_out(struct dirty *d, dirty_belongs_fn *belongs, const void *of,
                    void (*fn)(const struct dirty_key *k, void *arg), void *arg)
{
    struct taking t = {d, belongs, of, fn, arg};
    table_each(&d->table, take_node, &t);
}

void dirty_settle_begin(struct dirty *d, uint64_t now_us)
{
    d->epoch++;
    d->settle_us = now_us;
    d->old = d->table.count - d->failed.count;
}

bool dirty_settled(const struct dirty *d)
{
    return d->old == 0;
}

uint64_t dirty_failures(const struct dirty *d)
{
    return d->failures;
}

void dirty_counts(const struct dirty *d, struct dirty_counts *ret)
{
    *ret = (struct dirty_counts){
        .queued = d->rings[DIRTY_LIVE].keys + d->rings[DIRTY_SCAN].keys,
        .scan_queued = d->rings[DIRTY_SCAN].keys,
        .in_flight = d->flying.count,
        .waiting = d->waiting.count,
        .failed = d->failed.count,
        .failed_unnamed = d->failed_unnamed,
    };
}

size_t dirty_memory(const struct dirty *d)
{
    return d->memory + table_bytes(&d->table);
}

size_t dirty_live_memory(const struct dirty *d)
{
    return d->memory - d->failed_memory;
}

size_t dirty_budget(const struct dirty *d)
{
    return d->budget;
}

uint64_t dirty_oldest_us(const struct dirty *d)
{
    const struct dirty_key *heads[] = {d->flying.head, d->waiting.head};
    uint64_t oldest = 0;

    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        if (heads[i] && (!oldest || heads[i]->since_us < oldest))
            oldest = heads[i]->since_us;
    for (const struct db_queues *q = d->dbs; q; q = q->sibling)
        for (size_t c = 0; c < ARRAY_LEN(q->of); c++) {
            const struct dirty_key *k = q->of[c].keys.head;
            if (k && (!oldest || k->since_us < oldest))
                oldest = k->since_us;
        }
    return oldest;
}

void dirty_each_failed(const struct dirty *d, void (*fn)(const struct dirty_key *k, void *arg), void *arg)
{
    for (const struct dirty_key *k = d->failed.head; k; k = k->next)
        fn(k, arg);
}
