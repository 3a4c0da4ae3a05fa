/* compare.c - see compare.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/verify/judge.h"
#include "lib/verify/nodes.h"
#include "lib/verify/side.h"

#define BATCH_BYTES    (64 * KIB) /* of payloads in a batch, as expected */
#define WINDOW_BYTES   (4 * MIB)  /* of payloads under way, as expected; a single batch may be more */
#define WINDOW_NAMES   (4 * MIB)  /* the same of names */
#define WINDOW_BATCHES 63
#define GATHERED_MAX   256 /* batches, with those under way: there is one for each two nodes */
#define TRIES_MAX      10
#define STRINGS_LEARNT 64     /* values, of the past ones, that are as good as forgotten */
#define HOLD_US        200000 /* nothing is asked of a node for so long once it was not ready */

_Static_assert(WINDOW_BATCHES + GATHERED_MAX <= SIDE_BATCHES, "all of them may be for one node");

/* A node of one side, and the connection to it. */
struct peer {
    struct comparer *owner;
    struct node *node;
    struct side *side;
    uint64_t hold_us;
    char held[BATCH_ERROR]; /* why */
};

struct comparer {
    struct loop *loop;
    struct compare_events ev;
    void *arg;
    const char *role;
    int into_db;
    const struct filter *filter;
    struct topology *topology[2];
    struct nodes *nodes[2];
    uint64_t ttl_tolerance_ms;
    bool loose, no_strings;
    double strings; /* of the values of late, how many were strings: 0 to 1 */

    struct batch *gathering; /* not sent yet: one at most for each two nodes */
    struct batch *sent;      /* in no order */
    struct batch *spare;
    size_t ngathering, nsent, keys;
    uint64_t expected, names; /* of what was sent; of all */
    uint64_t key_bytes;       /* what a key's payload is expected to be */
};

/* Of batches. */

static struct batch *take_spare(struct comparer *c)
{
    struct batch *b = c->spare;
    if (b)
        c->spare = b->next;
    return b ? b : calloc(1, sizeof(*b));
}

static void keep_spare(struct comparer *c, struct batch *b)
{
    if (batch_begin(b, 0, BATCH_QUICK) < 0) {
        batch_free(b);
        return;
    }
    b->next = c->spare;
    c->spare = b;
}

static void free_list(struct batch *b)
{
    while (b) {
        struct batch *next = b->next;
        batch_free(b);
        b = next;
    }
}

static void unlink_from(struct batch **list, struct batch *b)
{
    while (*list != b)
        list = &(*list)->next;
    *list = b->next;
}

static void unlink_sent(struct comparer *c, struct batch *b)
{
    unlink_from(&c->sent, b);
    c->nsent--;
    c->expected -= b->expected;
    c->names -= b->names_len;
}

/* Both requests go out, or a connection is given up, and its `down` tells what becomes of the batch. */
static void send_batch(struct comparer *c, struct batch *b)
{
    b->expected = b->kind == BATCH_EXISTS ? 0 : b->n * c->key_bytes;
    b->left = b->kind == BATCH_EXISTS ? 1 : 2;
    b->loose = c->loose && b->kind == BATCH_QUICK;
    b->strings = b->loose && !b->tries && !c->no_strings && c->strings > 0.5;
    for (int i = 0; i < 2; i++)
        b->by_slot[i] = nodes_by_slot(c->nodes[i]);
    b->together = b->kind == BATCH_EXISTS && b->n > 1 && !b->tries && !b->by_slot[0];
    b->next = c->sent;
    c->sent = b;
    c->nsent++;
    c->expected += b->expected;
    for (unsigned i = 0, sides = b->left; i < sides; i++)
        (void)!side_send(b->peer[i]->side, b);
}

/* How many bytes the next keys will have is guessed from the last ones: quickly when they grow, since what is
 * asked for too much stands in the server's memory. */
static void learn_bytes(struct comparer *c, const struct batch *b)
{
    uint64_t sum = 0, n = 0;

    if (b->kind == BATCH_EXISTS || b->side[0].failed || b->side[1].failed)
        return;
    for (unsigned i = 0; i < b->n; i++) {
        sum += MAX(b->items[i].side[0].bytes, b->items[i].side[1].bytes);
        n += !b->items[i].side[0].aborted && !b->items[i].side[1].aborted;
    }
    if (!n)
        return;
    uint64_t mean = sum / n + 1;
    c->key_bytes = mean > c->key_bytes ? mean : c->key_bytes - (c->key_bytes - mean) / 4;
}

static unsigned batch_keys(const struct comparer *c)
{
    return (unsigned)MAX((uint64_t)1, MIN((uint64_t)BATCH_KEYS, BATCH_BYTES / c->key_bytes));
}

static bool batch_is_full(const struct comparer *c, const struct batch *b)
{
    unsigned most = b->kind == BATCH_EXISTS ? BATCH_KEYS : batch_keys(c);
    return b->n >= most || b->names_len >= BATCH_NAMES;
}

/* What became of the keys. */

static const char *undecoded_text(int err)
{
    switch (err) {
    case -EOPNOTSUPP:
        return "a value of this kind can only be compared as a whole, and the bytes differ";
    case -E2BIG:
        return "its value needs too much memory to be decoded";
    case -ENOMEM:
        return "out of memory";
    default:
        return "its value cannot be decoded";
    }
}

static void fill_side(const struct batch *b, unsigned i, int side, struct compare_side *ret)
{
    const struct reading *r = &b->items[i].side[side];
    bool decoded = b->kind == BATCH_DEEP && r->exists && !r->undecoded;

    ret->exists = r->exists;
    ret->type = decoded ? batch_digest(b, i, side)->type : r->exists ? rdb_type_of(r->first) : RDB_UNKNOWN;
    ret->expire_at_ms = r->exists ? r->expire_at_ms : 0;
    ret->bytes = r->bytes;
    ret->body = r->body;
    ret->digest = decoded ? *batch_digest(b, i, side) : (struct value_digest){0};
    const char *error = r->error ? r->error : "";
    if (!error[0] && b->kind == BATCH_DEEP && r->exists && r->undecoded)
        error = undecoded_text(r->undecoded);
    ret->error[0] = '\0';
    if (error[0])
        snprintf(ret->error, sizeof(ret->error), "%s", error);
}

static bool is_decoded(const struct batch *b, unsigned i, int side)
{
    const struct reading *r = &b->items[i].side[side];
    return b->kind == BATCH_DEEP && r->exists && !r->undecoded;
}

static bool was_read(const struct batch *b, unsigned i, int side)
{
    return !b->items[i].side[side].error;
}

static enum compare_verdict judge_existence(const struct compare_side *s)
{
    return s->exists ? COMPARE_EQUAL : COMPARE_EXTRA;
}

static void leave_out(const struct filter *filter, struct compare_side side[2])
{
    if (side[0].exists && !filter_type(filter, side[0].type))
        side[0].exists = false;
    if (!side[0].exists && side[1].exists && !filter_type(filter, side[1].type))
        side[1].exists = false;
}

static void tell_result(struct comparer *c, const struct batch *b, unsigned i)
{
    const struct judge_terms terms = {.deep = b->kind == BATCH_DEEP,
                                      .decoded = {is_decoded(b, i, 0), is_decoded(b, i, 1)},
                                      .now_ms = MAX(b->side[0].now_ms, b->side[1].now_ms),
                                      .ttl_tolerance_ms = c->ttl_tolerance_ms};
    struct compare_result r;

    fill_side(b, i, 0, &r.side[0]);
    fill_side(b, i, 1, &r.side[1]);
    if (b->kind != BATCH_EXISTS)
        leave_out(c->filter, r.side);
    if (!was_read(b, i, 0) || !was_read(b, i, 1))
        r.verdict = COMPARE_UNKNOWN;
    else
        r.verdict = b->kind == BATCH_EXISTS ? judge_existence(&r.side[0]) : judge(r.side, &terms);
    if (b->kind == BATCH_QUICK && r.side[0].exists)
        c->strings += ((r.side[0].type == RDB_STRING ? 1.0 : 0.0) - c->strings) / STRINGS_LEARNT;
    c->ev.result(b->db, batch_name(b, i), b->items[i].tag, &r, c->arg);
}

static void tell_lost(struct comparer *c, const struct batch *b, unsigned i, enum compare_loss why)
{
    c->ev.lost(b->db, batch_name(b, i), b->items[i].tag, why, c->arg);
}

enum fate { FATE_RESULT, FATE_LOST, FATE_MOVING, FATE_AGAIN };

/* A MULTI in which a key was refused is refused as a whole: the others are asked for again, without it. */
static enum fate fate_on(const struct batch *b, unsigned i, int side)
{
    static const enum fate fates[] = {
        [TROUBLE_KEY] = FATE_RESULT, [TROUBLE_SERVER] = FATE_LOST, [TROUBLE_MOVING] = FATE_MOVING};
    const struct reading *r = &b->items[i].side[side];

    if (r->error)
        return fates[r->trouble];
    return r->aborted || (b->side[side].torn && r->expire_at_ms) ? FATE_AGAIN : FATE_RESULT;
}

static enum fate fate_of(const struct batch *b, unsigned i)
{
    const struct item *item = &b->items[i];
    enum fate one = fate_on(b, i, 0), other = fate_on(b, i, 1);

    if (b->undecided)
        return FATE_AGAIN;
    /* An error of its own is final, whatever came of the other side. */
    if ((item->side[0].error && one == FATE_RESULT) || (item->side[1].error && other == FATE_RESULT))
        return FATE_RESULT;
    if (one == FATE_MOVING || other == FATE_MOVING)
        return FATE_MOVING;
    if (one == FATE_LOST || other == FATE_LOST)
        return FATE_LOST;
    return one == FATE_AGAIN || other == FATE_AGAIN ? FATE_AGAIN : FATE_RESULT;
}

/* Nothing is asked for a while of a node that was not ready; the map is asked for where it has changed. */
static void learn_trouble(struct comparer *c, const struct batch *b, int side)
{
    bool refresh = false;

    for (unsigned i = 0; i < b->n; i++) {
        const struct reading *r = &b->items[i].side[side];
        refresh |= r->error && r->trouble != TROUBLE_KEY;
        if (!r->error || r->trouble != TROUBLE_SERVER)
            continue;
        b->peer[side]->hold_us = loop_now_us(c->loop) + HOLD_US;
        snprintf(b->peer[side]->held, sizeof(b->peer[side]->held), "%s", r->error);
    }
    if (refresh && c->topology[side])
        topology_refresh(c->topology[side]);
}

static void tell_room(struct comparer *c)
{
    if (!comparer_is_full(c) && comparer_is_up(c) && c->ev.room)
        c->ev.room(c->arg);
}

/* How many of them are to be asked for again; the others are told. */
static unsigned tell_batch(struct comparer *c, const struct batch *b, bool again[BATCH_KEYS])
{
    unsigned nagain = 0;

    for (unsigned i = 0; i < b->n; i++) {
        enum fate fate = fate_of(b, i);
        again[i] = fate == FATE_AGAIN && b->tries < TRIES_MAX + BATCH_KEYS;
        nagain += again[i];
        if (again[i])
            continue;
        c->keys--;
        if (fate == FATE_RESULT)
            tell_result(c, b, i);
        else
            tell_lost(c, b, i, fate == FATE_MOVING ? COMPARE_MOVING : COMPARE_LOST);
    }
    return nagain;
}

static void lose_batch(struct comparer *c, struct batch *b)
{
    bool told = b->dead;

    b->dead = true;
    for (unsigned i = 0; !told && i < b->n; i++) {
        c->keys--;
        tell_lost(c, b, i, COMPARE_LOST);
    }
}

static bool is_reachable(const struct batch *b)
{
    return side_is_up(b->peer[0]->side) && (!b->peer[1] || side_is_up(b->peer[1]->side));
}

/* The batch is told of when nothing of the comparer depends on it any more: an owner adds keys from within.
 */
static void batch_answered(struct comparer *c, struct batch *b)
{
    bool again[BATCH_KEYS] = {false}, was_full = comparer_is_full(c);
    unsigned nagain = 0;

    unlink_sent(c, b);
    if (!b->dead) {
        learn_bytes(c, b);
        learn_trouble(c, b, 0);
        if (b->peer[1])
            learn_trouble(c, b, 1);
        c->no_strings |= b->side[0].no_strings || b->side[1].no_strings;
        nagain = tell_batch(c, b, again);
    }
    if (nagain)
        batch_again(b, again);
    if (nagain && is_reachable(b)) {
        c->names += b->names_len;
        send_batch(c, b);
    } else {
        if (nagain)
            lose_batch(c, b);
        keep_spare(c, b);
    }
    if (was_full)
        tell_room(c);
}

/* Of the nodes. */

static bool on_approved(const struct side *s, const struct server_id *id, void *arg)
{
    const struct peer *p = arg;
    (void)s;
    return node_is_approved(p->node, id);
}

static void on_up(struct side *s, void *arg)
{
    struct peer *p = arg;
    (void)s;

    p->hold_us = 0;
    if (comparer_is_up(p->owner))
        p->owner->ev.up(p->owner->arg);
}

/* What the other side is still asked for with it is of no use now; its answers pass. */
static void lose_sent(struct comparer *c, struct batch *b, int index)
{
    lose_batch(c, b);
    b->side[index].answered = true;
    if (--b->left > 0) {
        side_resume(b->peer[!index]->side);
        return;
    }
    unlink_sent(c, b);
    keep_spare(c, b);
}

static void lose_gathered(struct comparer *c, struct batch *b)
{
    unlink_from(&c->gathering, b);
    c->ngathering--;
    c->names -= b->names_len;
    lose_batch(c, b);
    keep_spare(c, b);
}

static struct batch *due_from(struct batch *b, int index, const struct peer *p)
{
    while (b && (b->peer[index] != p || b->side[index].answered))
        b = b->next;
    return b;
}

/* From the first again each time: an owner adds keys from within. */
static void lose_all_of(struct comparer *c, const struct peer *p)
{
    int index = side_index(p->side);
    struct batch *b;

    while ((b = due_from(c->sent, index, p)))
        lose_sent(c, b, index);
    while ((b = due_from(c->gathering, index, p)))
        lose_gathered(c, b);
}

/* It goes for good: nothing may lead to it any more. */
static void forget_peer(struct comparer *c, const struct peer *p)
{
    int index = side_index(p->side);

    lose_all_of(c, p);
    for (struct batch *b = c->sent; b; b = b->next)
        if (b->peer[index] == p) {
            lose_batch(c, b);
            b->peer[index] = NULL;
        }
}

static void on_down(struct side *s, const char *why, void *arg)
{
    struct peer *p = arg;

    lose_all_of(p->owner, p);
    p->owner->ev.down(side_index(s), why, p->owner->arg);
}

static bool clock_known(const struct batch *b, int side)
{
    return b->side[side].clock || b->side[side].answered;
}

/* Fields of a hash that have expired by either clock count on neither side. So both are judged at the later
 * time, and who is first waits for the other's. */
static bool on_clock(struct side *s, struct batch *b, int64_t *ret_now_ms, void *arg)
{
    int other = !side_index(s);
    (void)arg;

    if (b->peer[other])
        side_resume(b->peer[other]->side);
    if (!clock_known(b, other))
        return false;
    *ret_now_ms = MAX(b->side[0].now_ms, b->side[1].now_ms);
    return true;
}

static void on_answered(struct side *s, struct batch *b, void *arg)
{
    struct peer *p = arg;

    b->side[side_index(s)].answered = true;
    if (--b->left == 0)
        batch_answered(p->owner, b);
    else if (b->peer[!side_index(s)])
        side_resume(b->peer[!side_index(s)]->side);
}

static void on_room(struct side *s, void *arg)
{
    struct peer *p = arg;
    (void)s;
    tell_room(p->owner);
}

static int peer_new(struct node *n, int index, struct comparer *c)
{
    static const struct side_events events = {.approved = on_approved,
                                              .up = on_up,
                                              .down = on_down,
                                              .clock = on_clock,
                                              .answered = on_answered,
                                              .room = on_room};
    const struct side_options opt = {
        .endpoint = &n->endpoint, .role = c->role, .index = index, .into_db = c->into_db};
    struct peer *p = calloc(1, sizeof(*p));
    int err = p ? 0 : -ENOMEM;

    if (err)
        return err;
    *p = (struct peer){.owner = c, .node = n};
    err = side_new(c->loop, &opt, &events, p, &p->side);
    if (err)
        free(p);
    else
        n->made = p;
    return err;
}

static int source_came(struct node *n, void *arg)
{
    return peer_new(n, 0, arg);
}

static int target_came(struct node *n, void *arg)
{
    return peer_new(n, 1, arg);
}

static void on_left(struct node *n, void *arg)
{
    struct peer *p = n->made;

    forget_peer(arg, p);
    side_free(p->side);
    free(p);
}

/* What the owner calls. */

static int make_nodes(struct comparer *c, const struct compare_options *opt)
{
    static const struct nodes_events source = {.came = source_came, .left = on_left};
    static const struct nodes_events target = {.came = target_came, .left = on_left};

    int err = nodes_new(opt->source, opt->topology[0], &source, c, &c->nodes[0]);
    return err ? err : nodes_new(opt->target, opt->topology[1], &target, c, &c->nodes[1]);
}

int comparer_new(struct loop *l, const struct compare_options *opt, const struct compare_events *ev,
                 void *arg, struct comparer **ret)
{
    struct comparer *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->loop = l;
    c->ev = *ev;
    c->arg = arg;
    c->role = opt->role;
    c->into_db = opt->into_db;
    c->filter = opt->filter;
    memcpy(c->topology, opt->topology, sizeof(c->topology));
    c->ttl_tolerance_ms = opt->ttl_tolerance_ms;
    c->loose = opt->loose;
    c->strings = 1;             /* most often they are; where not, the first keys are asked for twice */
    c->key_bytes = BATCH_BYTES; /* until something is known, one key at a time */
    int err = make_nodes(c, opt);
    if (err) {
        comparer_free(c);
        return err;
    }
    *ret = c;
    return 0;
}

struct comparer *comparer_free(struct comparer *c)
{
    if (c) {
        struct batch *sent = c->sent, *gathering = c->gathering;
        c->sent = c->gathering = NULL; /* nobody is told */
        nodes_free(c->nodes[0]);
        nodes_free(c->nodes[1]);
        free_list(sent);
        free_list(gathering);
        free_list(c->spare);
        free(c);
    }
    return NULL;
}

static struct peer *peer_at(const struct comparer *c, int side, size_t i)
{
    return nodes_at(c->nodes[side], i)->made;
}

static bool is_ready(const struct comparer *c, const struct peer *p)
{
    return side_is_up(p->side) && loop_now_us(c->loop) >= p->hold_us;
}

static bool any_is_ready(const struct comparer *c, int side)
{
    for (size_t i = 0; i < nodes_count(c->nodes[side]); i++)
        if (is_ready(c, peer_at(c, side, i)))
            return true;
    return false;
}

bool comparer_is_up(const struct comparer *c)
{
    return any_is_ready(c, 0) && any_is_ready(c, 1);
}

bool comparer_is_whole(const struct comparer *c)
{
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < nodes_count(c->nodes[side]); i++)
            if (!side_is_up(peer_at(c, side, i)->side))
                return false;
        if (!nodes_count(c->nodes[side]))
            return false;
    }
    return true;
}

bool comparer_is_full(const struct comparer *c)
{
    return c->nsent >= WINDOW_BATCHES || c->nsent + c->ngathering >= GATHERED_MAX ||
           c->names >= WINDOW_NAMES || (c->nsent && c->expected + c->key_bytes > WINDOW_BYTES);
}

size_t comparer_outstanding(const struct comparer *c)
{
    return c->keys;
}

struct conn *comparer_conn(struct comparer *c, int side)
{
    return nodes_count(c->nodes[side]) ? side_conn(peer_at(c, side, 0)->side) : NULL;
}

void comparer_approve(struct comparer *c, int side, const char *address, const char *run_id)
{
    struct node *n = nodes_approve(c->nodes[side], address, run_id);
    struct peer *p = n ? n->made : NULL;

    if (p && side_is_up(p->side) && !node_is_approved(n, conn_server(side_conn(p->side))))
        side_reset(p->side, "another server is to be compared");
}

/* What one node is waited for with; "" with nothing. */
static const char *waits_for(const struct comparer *c, const struct peer *p)
{
    if (!side_is_up(p->side))
        return conn_why(side_conn(p->side));
    return is_ready(c, p) ? "" : p->held;
}

bool comparer_waits(const struct comparer *c, int side, char *out, size_t cap)
{
    size_t n = nodes_count(c->nodes[side]);

    for (size_t i = 0; i < n; i++) {
        const struct peer *p = peer_at(c, side, i);
        const char *why = waits_for(c, p);
        if (!why[0])
            continue;
        snprintf(out, cap, "%s%s%s", n > 1 ? p->node->endpoint.url.text : "", n > 1 ? ": " : "", why);
        return true;
    }
    return false;
}

/* The one that is gathered for these two; where slots decide, a deep one holds keys of one slot only: its
 * clock is asked for once. */
static struct batch *find_gathering(struct comparer *c, struct peer *const peer[2])
{
    struct batch *b = c->gathering;

    while (b && (b->peer[0] != peer[0] || b->peer[1] != peer[1]))
        b = b->next;
    return b;
}

static bool takes(const struct batch *b, int db, enum batch_kind kind, unsigned slot)
{
    return b->db == db && b->kind == kind && (kind != BATCH_DEEP || !b->n || b->items[0].slot == slot);
}

static void flush(struct comparer *c, struct batch *b)
{
    unlink_from(&c->gathering, b);
    c->ngathering--;
    if (b->n)
        send_batch(c, b);
    else
        keep_spare(c, b);
}

static int begin_gathering(struct comparer *c, struct peer *const peer[2], int db, enum batch_kind kind,
                           struct batch **ret)
{
    struct batch *b = take_spare(c);
    int err = b ? batch_begin(b, db, kind) : -ENOMEM;

    if (err) {
        batch_free(b);
        return err;
    }
    memcpy(b->peer, peer, sizeof(b->peer));
    b->next = c->gathering;
    c->gathering = b;
    c->ngathering++;
    *ret = b;
    return 0;
}

static int find_peers(const struct comparer *c, enum batch_kind kind, unsigned slot, struct peer *ret[2])
{
    for (int side = 0; side < (kind == BATCH_EXISTS ? 1 : 2); side++) {
        struct node *n = nodes_owner(c->nodes[side], slot);
        ret[side] = n ? n->made : NULL;
        if (!ret[side] || !is_ready(c, ret[side]))
            return -ENOTCONN;
        if (side_is_full(ret[side]->side))
            return -ENOBUFS;
    }
    return 0;
}

static unsigned slot_in(const struct comparer *c, struct bytes key)
{
    return nodes_by_slot(c->nodes[0]) || nodes_by_slot(c->nodes[1]) ? slot_of(key) : 0;
}

static int add_key(struct comparer *c, int db, enum batch_kind kind, struct bytes key, uint64_t tag)
{
    struct peer *peer[2] = {NULL, NULL};
    unsigned slot = slot_in(c, key);

    int err = find_peers(c, kind, slot, peer);
    if (err || comparer_is_full(c))
        return err ? err : -ENOBUFS;
    struct batch *b = find_gathering(c, peer);
    if (b && !takes(b, db, kind, slot)) {
        flush(c, b);
        b = NULL;
    }
    if (!b)
        err = begin_gathering(c, peer, db, kind, &b);
    if (!err)
        err = batch_add(b, key, slot, tag);
    if (err)
        return err;
    c->keys++;
    c->names += key.len;
    if (batch_is_full(c, b))
        flush(c, b);
    return 0;
}

int comparer_compare(struct comparer *c, int db, struct bytes key, bool deep, uint64_t tag)
{
    return add_key(c, db, deep ? BATCH_DEEP : BATCH_QUICK, key, tag);
}

int comparer_exists(struct comparer *c, int db, struct bytes key, uint64_t tag)
{
    return add_key(c, db, BATCH_EXISTS, key, tag);
}

void comparer_flush(struct comparer *c)
{
    while (c->gathering)
        flush(c, c->gathering);
}
