/* streams.c - see streams.h. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/streams.h"
#include "lib/core/table.h"

#define COMPARE_EVERY_US 5000000
#define WINDOW           16 /* streams asked for at once */
#define ARGV_MAX         4

struct stream {
    struct table_node node;
    struct stream *next; /* in the order of noting; gone ones are taken out when the walk comes by */
    uint64_t digest;     /* of XINFO at the last look; 0: none yet */
    int32_t db;
    uint32_t len;
    bool gone;
    char key[];
};

/* A stream that is being asked for: its groups, then the consumers of each. */
struct look {
    struct streams *owner;
    struct stream *stream; /* NULL: free */
    unsigned due;          /* replies to come */
    uint64_t digest;
    bool failed;
};

struct streams {
    struct loop *loop;
    struct streams_events ev;
    void *arg;
    struct hash_seed seed;
    struct table table;
    struct stream *first, **end;
    size_t budget, memory, ngone;
    bool incomplete;

    struct conn *conn;
    struct timer *timer;
    uint64_t last_us; /* when the last comparison began */
    bool wanted, running;
    struct stream *at; /* the next to be asked for */
    int db;            /* the connection is in */
    struct look looks[WINDOW];
};

static struct bytes name_of(const struct stream *s)
{
    return (struct bytes){s->key, s->len};
}

/* RDB_TYPE_STREAM_LISTPACKS to _5 of redis' rdb.h; Valkey has the first three. */
bool streams_is_type(struct bytes payload)
{
    unsigned char type = payload.len ? (unsigned char)payload.ptr[0] : 0;
    return type == 15 || type == 19 || type == 21 || type == 26 || type == 27;
}

static struct stream *find(const struct streams *s, int db, struct bytes key, uint64_t hash)
{
    for (struct table_node *n = table_first(&s->table, hash); n; n = table_next(n)) {
        struct stream *one = CONTAINER_OF(n, struct stream, node);
        if (one->db == db && bytes_equal(name_of(one), key))
            return one;
    }
    return NULL;
}

/* Only while no comparison walks the list. */
static void drop_gone(struct streams *s)
{
    struct stream **link = &s->first, *one;

    while ((one = *link)) {
        if (!one->gone) {
            link = &one->next;
            continue;
        }
        *link = one->next;
        table_remove(&s->table, &one->node);
        s->memory -= malloc_usable_size(one);
        free(one);
    }
    s->end = link;
    s->ngone = 0;
}

/* Where streams come and go and nobody uses groups, nothing else would ever drop those that went. */
static bool has_room(struct streams *s, size_t size)
{
    if (s->memory + table_bytes(&s->table) + size <= s->budget)
        return true;
    if (s->running || s->ngone <= s->table.count / 8)
        return false;
    drop_gone(s);
    return s->memory + table_bytes(&s->table) + size <= s->budget;
}

void streams_note(struct streams *s, int db, struct bytes key)
{
    uint64_t hash = hash_bytes(s->seed, (uint64_t)db, key);
    struct stream *one = find(s, db, key, hash);
    if (one) {
        s->ngone -= one->gone;
        one->gone = false;
        return;
    }
    size_t size = sizeof(*one) + key.len;
    if (!has_room(s, size) || !(one = malloc(size))) {
        s->incomplete = true;
        return;
    }
    *one = (struct stream){.db = db, .len = (uint32_t)key.len};
    memcpy(one->key, key.ptr, key.len);
    if (table_insert(&s->table, &one->node, hash) < 0) {
        free(one);
        s->incomplete = true;
        return;
    }
    s->memory += malloc_usable_size(one);
    *s->end = one;
    s->end = &one->next;
}

void streams_forget(struct streams *s, int db, struct bytes key)
{
    if (!s->table.count)
        return;
    struct stream *one = find(s, db, key, hash_bytes(s->seed, (uint64_t)db, key));
    if (!one || one->gone)
        return;
    one->gone = true;
    s->ngone++;
}

void streams_take_out(struct streams *s, bool (*belongs)(struct bytes key, const void *of), const void *of,
                      void (*fn)(int db, struct bytes key, void *arg), void *arg)
{
    for (struct stream *one = s->first; one; one = one->next) {
        if (one->gone || !belongs(name_of(one), of))
            continue;
        fn(one->db, name_of(one), arg);
        one->gone = true;
        s->ngone++;
    }
}

void streams_lack_some(struct streams *s)
{
    s->incomplete = true;
}

bool streams_complete(const struct streams *s)
{
    return !s->incomplete;
}

size_t streams_count(const struct streams *s)
{
    return s->table.count - s->ngone;
}

void streams_mark_all(struct streams *s)
{
    for (struct stream *one = s->first; one; one = one->next)
        if (!one->gone)
            s->ev.changed(one->db, name_of(one), s->arg);
}

static void go_on(struct streams *s);

static void look_done(struct look *k)
{
    struct stream *one = k->stream;
    struct streams *s = k->owner;

    k->stream = NULL;
    if (k->failed || k->digest != one->digest) {
        one->digest = k->failed ? 0 : k->digest;
        if (!one->gone)
            s->ev.changed(one->db, name_of(one), s->arg);
    }
    go_on(s);
}

static void reply_came(struct look *k)
{
    if (--k->due == 0)
        look_done(k);
}

static bool is_volatile(struct bytes field)
{
    return bytes_is(field, "idle") || bytes_is(field, "inactive");
}

/* Field names and values of each row but those that move by themselves. */
static void add_rows(struct look *k, const struct reply *r)
{
    struct hash_seed seed = k->owner->seed;

    for (size_t i = 0; r->type == REPLY_ARRAY && i < r->count; i++) {
        const struct reply *row = r->at[i];
        for (size_t f = 0; row->type == REPLY_ARRAY && f + 1 < row->count; f += 2) {
            const struct reply *value = row->at[f + 1];
            if (is_volatile(row->at[f]->text))
                continue;
            k->digest = hash_bytes(seed, k->digest + f, value->text);
            k->digest = hash_bytes(seed, k->digest + (uint64_t)value->integer, row->at[f]->text);
        }
        k->digest = hash_bytes(seed, k->digest + i + 1, (struct bytes){0});
    }
}

static void on_consumers(struct conn *c, const struct reply *r, void *arg)
{
    struct look *k = arg;
    (void)c;
    if (r->type != REPLY_ARRAY)
        k->failed = true;
    else
        add_rows(k, r);
    reply_came(k);
}

static void ask_consumers(struct look *k, struct bytes group)
{
    const struct bytes argv[ARGV_MAX] = {BYTES("XINFO"), BYTES("CONSUMERS"), name_of(k->stream), group};
    if (conn_call(k->owner->conn, ARGV_MAX, argv, on_consumers, k) == 0)
        k->due++;
    else
        k->failed = true;
}

static void on_groups(struct conn *c, const struct reply *r, void *arg)
{
    struct look *k = arg;
    (void)c;

    if (r->type != REPLY_ARRAY)
        k->failed = true; /* gone, another type by now, or no right to ask */
    else
        add_rows(k, r);
    for (size_t i = 0; r->type == REPLY_ARRAY && i < r->count; i++) {
        struct bytes group;
        if (reply_text(reply_at(r->at[i], 1), &group))
            ask_consumers(k, group);
    }
    reply_came(k);
}

static void on_select(struct conn *c, const struct reply *r, void *arg)
{
    (void)arg;
    if (!reply_is_ok(r))
        conn_reset(c, "SELECT was refused");
}

static bool ask_select(struct streams *s, int db)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", db);
    const struct bytes argv[] = {BYTES("SELECT"), bytes_str(number)};
    if (s->db != db && conn_call(s->conn, 2, argv, on_select, s) < 0)
        return false;
    s->db = db;
    return true;
}

/* Every group's consumers of the present database are asked for behind the same SELECT: streams of another
 * wait until none is due. */
static bool look_at(struct streams *s, struct look *k, struct stream *one)
{
    const struct bytes argv[] = {BYTES("XINFO"), BYTES("GROUPS"), name_of(one)};
    if (!ask_select(s, one->db) || conn_call(s->conn, ARRAY_LEN(argv), argv, on_groups, k) < 0)
        return false;
    *k = (struct look){.owner = s, .stream = one, .due = 1, .digest = 1};
    return true;
}

static struct look *free_look(struct streams *s, size_t *ret_busy)
{
    struct look *found = NULL;
    *ret_busy = 0;
    for (size_t i = 0; i < WINDOW; i++) {
        if (s->looks[i].stream)
            ++*ret_busy;
        else if (!found)
            found = &s->looks[i];
    }
    return found;
}

static void go_on(struct streams *s)
{
    size_t busy;
    struct look *k;

    while (s->running && conn_is_up(s->conn) && s->at && (k = free_look(s, &busy))) {
        if (busy && s->at->db != s->db)
            return;
        struct stream *one = s->at;
        if (!one->gone && !look_at(s, k, one))
            return;
        s->at = one->next;
    }
    free_look(s, &busy);
    if (s->running && !s->at && !busy) {
        s->running = false;
        s->ev.compared(s->arg);
        if (s->wanted)
            streams_compare(s);
    }
}

static void begin(struct streams *s)
{
    drop_gone(s);
    s->wanted = false;
    s->running = true;
    s->last_us = loop_now_us(s->loop);
    s->at = s->first;
    go_on(s);
}

static void timer_fired(void *arg)
{
    begin(arg);
}

void streams_compare(struct streams *s)
{
    s->wanted = true;
    if (s->running || timer_is_set(s->timer))
        return;
    uint64_t now_us = loop_now_us(s->loop), due_us = s->last_us + COMPARE_EVERY_US;
    timer_set(s->timer, s->last_us && due_us > now_us ? due_us - now_us : 0);
}

static void on_up(struct conn *c, void *arg)
{
    struct streams *s = arg;
    (void)c;
    s->db = 0; /* as every connection begins */
    if (s->running)
        s->at = s->first;
    go_on(s);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct streams *s = arg;
    (void)c, (void)why, (void)was_up;
    for (size_t i = 0; i < WINDOW; i++)
        s->looks[i].stream = NULL;
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    struct streams *s = arg;
    return s->ev.identified(c, id, client_id, why, s->arg);
}

int streams_new(struct loop *l, const struct endpoint *source, struct hash_seed seed, size_t budget,
                const struct streams_events *ev, void *arg, struct streams **ret)
{
    static const struct conn_events events = {.identified = on_identified, .up = on_up, .down = on_down};
    const struct conn_options opt = {.endpoint = source,
                                     .role = "streams",
                                     .in_max = MIB,
                                     .out_max = 64 * MIB,
                                     .out_high = MIB,
                                     .no_touch = true};
    struct streams *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->loop = l;
    s->ev = *ev;
    s->arg = arg;
    s->seed = seed;
    s->budget = budget;
    s->end = &s->first;
    int err = table_init(&s->table, 64);
    if (!err)
        err = timer_new(l, timer_fired, s, &s->timer);
    if (!err)
        err = conn_new(l, &opt, &events, s, &s->conn);
    if (err) {
        streams_free(s);
        return err;
    }
    *ret = s;
    return 0;
}

struct streams *streams_free(struct streams *s)
{
    if (!s)
        return NULL;
    conn_free(s->conn);
    timer_free(s->timer);
    while (s->first) {
        struct stream *one = s->first;
        s->first = one->next;
        free(one);
    }
    table_free(&s->table);
    free(s);
    return NULL;
}

struct conn *streams_conn(struct streams *s)
{
    return s->conn;
}
