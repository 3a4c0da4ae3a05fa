/* compare.c - see compare.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/verify/judge.h"
#include "lib/verify/side.h"

#define BATCH_BYTES    (64 * KIB) /* of payloads in a batch, as expected */
#define WINDOW_BYTES   (4 * MIB)  /* of payloads under way, as expected; a single batch may be more */
#define WINDOW_NAMES   (4 * MIB)  /* the same of names */
#define WINDOW_BATCHES (SIDE_BATCHES - 1)
#define TRIES_MAX      10

struct comparer {
    struct loop *loop;
    struct compare_events ev;
    void *arg;
    struct side *side[2];
    char run_id[2][RUN_ID_MAX];
    uint64_t ttl_tolerance_ms;
    bool up;           /* both are */
    bool resetting[2]; /* given up for the other's sake: its `down` is not told */

    struct batch *gathering; /* not sent yet; or NULL */
    struct batch *sent;      /* in no order */
    struct batch *spare;
    size_t nsent, keys;
    uint64_t expected, names; /* of what was sent */
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

static void unlink_sent(struct comparer *c, struct batch *b)
{
    struct batch **at = &c->sent;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    c->nsent--;
    c->expected -= b->expected;
    c->names -= b->names_len;
}

/* Both requests go out, or both connections are given up, and `down` tells what becomes of the batch. */
static void send_batch(struct comparer *c, struct batch *b)
{
    b->expected = b->kind == BATCH_EXISTS ? 0 : b->n * c->key_bytes;
    b->left = b->kind == BATCH_EXISTS ? 1 : 2;
    b->together = b->kind == BATCH_EXISTS && b->n > 1 && !b->tries;
    b->next = c->sent;
    c->sent = b;
    c->nsent++;
    c->expected += b->expected;
    c->names += b->names_len;
    for (unsigned i = 0; i < b->left; i++)
        if (side_send(c->side[i], b) < 0)
            return;
}

/* How many bytes the next keys will have is guessed from the last ones: quickly when they grow, since what is
 * asked for too much stands in the server's memory. */
static void learn_bytes(struct comparer *c, const struct batch *b)
{
    uint64_t sum = 0;

    if (b->kind == BATCH_EXISTS || b->side[0].failed || b->side[1].failed)
        return;
    for (unsigned i = 0; i < b->n; i++)
        sum += MAX(b->items[i].side[0].bytes, b->items[i].side[1].bytes);
    uint64_t mean = sum / b->n + 1;
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
    const struct batch_side *whole = &b->side[side];
    bool decoded = b->kind == BATCH_DEEP && r->exists && !r->undecoded;

    ret->exists = r->exists;
    ret->type = decoded ? batch_digest(b, i, side)->type : r->exists ? rdb_type_of(r->first) : RDB_UNKNOWN;
    ret->expire_at_ms = r->exists ? r->expire_at_ms : 0;
    ret->bytes = r->bytes;
    ret->body = r->body;
    ret->digest = decoded ? *batch_digest(b, i, side) : (struct value_digest){0};
    const char *error = r->error ? r->error : whole->failed ? whole->error : "";
    if (!error[0] && b->kind == BATCH_DEEP && r->exists && r->undecoded)
        error = undecoded_text(r->undecoded);
    snprintf(ret->error, sizeof(ret->error), "%s", error);
}

static bool is_decoded(const struct batch *b, unsigned i, int side)
{
    const struct reading *r = &b->items[i].side[side];
    return b->kind == BATCH_DEEP && r->exists && !r->undecoded;
}

static bool was_read(const struct batch *b, unsigned i, int side)
{
    return !b->side[side].failed && !b->items[i].side[side].error;
}

static enum compare_verdict judge_existence(const struct compare_side *s)
{
    return s->exists ? COMPARE_EQUAL : COMPARE_EXTRA;
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
    if (!was_read(b, i, 0) || !was_read(b, i, 1))
        r.verdict = COMPARE_UNKNOWN;
    else
        r.verdict = b->kind == BATCH_EXISTS ? judge_existence(&r.side[0]) : judge(r.side, &terms);
    c->ev.result(b->db, batch_name(b, i), b->items[i].tag, &r, c->arg);
}

static void tell_lost(struct comparer *c, const struct batch *b, unsigned i)
{
    c->ev.lost(b->db, batch_name(b, i), b->items[i].tag, c->arg);
}

enum fate { FATE_RESULT, FATE_LOST, FATE_AGAIN };

static bool has_own_errors(const struct batch *b, int side)
{
    for (unsigned i = 0; i < b->n; i++)
        if (b->items[i].side[side].error)
            return true;
    return false;
}

/* A MULTI in which a key was refused is refused as a whole: the others are asked for again, without it. */
static enum fate fate_on(const struct batch *b, unsigned i, int side)
{
    const struct batch_side *whole = &b->side[side];
    const struct reading *r = &b->items[i].side[side];

    if (r->error)
        return r->passing ? FATE_LOST : FATE_RESULT;
    if (whole->failed && has_own_errors(b, side))
        return FATE_AGAIN;
    if (whole->failed)
        return whole->passing ? FATE_LOST : FATE_RESULT;
    return whole->torn && r->expire_at_ms ? FATE_AGAIN : FATE_RESULT;
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
    if (one == FATE_LOST || other == FATE_LOST)
        return FATE_LOST;
    return one == FATE_AGAIN || other == FATE_AGAIN ? FATE_AGAIN : FATE_RESULT;
}

static void tell_room(struct comparer *c)
{
    if (c->up && !comparer_is_full(c) && c->ev.room)
        c->ev.room(c->arg);
}

/* The batch is told of when nothing of the comparer depends on it any more: an owner adds keys from within.
 */
static void batch_answered(struct comparer *c, struct batch *b)
{
    bool again[BATCH_KEYS] = {false};
    unsigned nagain = 0;
    bool was_full = comparer_is_full(c);

    unlink_sent(c, b);
    learn_bytes(c, b);
    for (unsigned i = 0; i < b->n; i++) {
        enum fate fate = fate_of(b, i);
        if (fate == FATE_AGAIN && b->tries < TRIES_MAX + BATCH_KEYS) {
            again[i] = true;
            nagain++;
            continue;
        }
        c->keys--;
        if (fate == FATE_RESULT)
            tell_result(c, b, i);
        else
            tell_lost(c, b, i);
    }
    if (nagain) {
        batch_again(b, again);
        send_batch(c, b);
    } else {
        keep_spare(c, b);
    }
    if (was_full)
        tell_room(c);
}

/* Of the sides. */

static bool on_approved(const struct side *s, const struct server_id *id, void *arg)
{
    struct comparer *c = arg;
    return strcmp(c->run_id[side_index(s)], id->run_id) == 0;
}

static void on_up(struct side *s, void *arg)
{
    struct comparer *c = arg;
    (void)s;

    if (!side_is_up(c->side[0]) || !side_is_up(c->side[1]))
        return;
    c->up = true;
    c->ev.up(c->arg);
}

static void lose_batch(struct comparer *c, struct batch *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        c->keys--;
        tell_lost(c, b, i);
    }
    keep_spare(c, b);
}

static void lose_all(struct comparer *c)
{
    struct batch *sent = c->sent, *gathering = c->gathering;

    c->sent = c->gathering = NULL;
    c->nsent = 0;
    c->expected = c->names = 0;
    while (sent) {
        struct batch *next = sent->next;
        lose_batch(c, sent);
        sent = next;
    }
    if (gathering)
        lose_batch(c, gathering);
}

/* What the other side was asked for is of no use now, and its answers would have to be told from later ones.
 */
static void on_down(struct side *s, const char *why, void *arg)
{
    struct comparer *c = arg;
    int index = side_index(s), other = !index;

    if (c->resetting[index]) {
        c->resetting[index] = false;
        return;
    }
    c->up = false;
    if (side_is_up(c->side[other]) && c->sent) {
        c->resetting[other] = true;
        side_reset(c->side[other], "the other side was lost");
    }
    lose_all(c);
    c->ev.down(index, why, c->arg);
}

static bool clock_known(const struct batch *b, int side)
{
    return b->side[side].clock || b->side[side].answered;
}

/* Fields of a hash that have expired by either clock count on neither side. So both are judged at the later
 * time, and who is first waits for the other's. */
static bool on_clock(struct side *s, struct batch *b, int64_t *ret_now_ms, void *arg)
{
    struct comparer *c = arg;
    int other = !side_index(s);

    side_resume(c->side[other]);
    if (!clock_known(b, other))
        return false;
    *ret_now_ms = MAX(b->side[0].now_ms, b->side[1].now_ms);
    return true;
}

static void on_answered(struct side *s, struct batch *b, void *arg)
{
    struct comparer *c = arg;

    b->side[side_index(s)].answered = true;
    if (--b->left == 0)
        batch_answered(c, b);
    else
        side_resume(c->side[!side_index(s)]);
}

static void on_room(struct side *s, void *arg)
{
    (void)s;
    tell_room(arg);
}

/* What the owner calls. */

int comparer_new(struct loop *l, const struct compare_options *opt, const struct compare_events *ev,
                 void *arg, struct comparer **ret)
{
    static const struct side_events events = {.approved = on_approved,
                                              .up = on_up,
                                              .down = on_down,
                                              .clock = on_clock,
                                              .answered = on_answered,
                                              .room = on_room};
    struct comparer *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->loop = l;
    c->ev = *ev;
    c->arg = arg;
    c->ttl_tolerance_ms = opt->ttl_tolerance_ms;
    c->key_bytes = BATCH_BYTES; /* until something is known, one key at a time */
    memcpy(c->run_id, opt->run_id, sizeof(c->run_id));
    for (int i = 0; i < 2; i++) {
        const struct side_options side = {.endpoint = i ? opt->target : opt->source,
                                          .role = opt->role,
                                          .index = i,
                                          .into_db = opt->into_db};
        int err = side_new(l, &side, &events, c, &c->side[i]);
        if (err) {
            comparer_free(c);
            return err;
        }
    }
    *ret = c;
    return 0;
}

struct comparer *comparer_free(struct comparer *c)
{
    if (c) {
        side_free(c->side[0]);
        side_free(c->side[1]);
        free_list(c->sent);
        free_list(c->spare);
        batch_free(c->gathering);
        free(c);
    }
    return NULL;
}

bool comparer_is_up(const struct comparer *c)
{
    return c->up;
}

bool comparer_is_full(const struct comparer *c)
{
    return c->nsent >= WINDOW_BATCHES || c->names >= WINDOW_NAMES || side_is_full(c->side[0]) ||
           side_is_full(c->side[1]) || (c->nsent && c->expected + c->key_bytes > WINDOW_BYTES);
}

size_t comparer_outstanding(const struct comparer *c)
{
    return c->keys;
}

struct conn *comparer_conn(struct comparer *c, int side)
{
    return side_conn(c->side[side]);
}

void comparer_approve(struct comparer *c, int side, const char *run_id)
{
    const struct server_id *id = conn_server(comparer_conn(c, side));

    snprintf(c->run_id[side], sizeof(c->run_id[side]), "%s", run_id);
    if (side_is_up(c->side[side]) && id && strcmp(id->run_id, run_id) != 0)
        side_reset(c->side[side], "another server is to be compared");
}

static int gather(struct comparer *c, int db, enum batch_kind kind)
{
    if (c->gathering && (c->gathering->db != db || c->gathering->kind != kind))
        comparer_flush(c);
    if (c->gathering)
        return 0;
    struct batch *b = take_spare(c);
    if (!b)
        return -ENOMEM;
    int err = batch_begin(b, db, kind);
    if (err) {
        batch_free(b);
        return err;
    }
    c->gathering = b;
    return 0;
}

static int add_key(struct comparer *c, int db, enum batch_kind kind, struct bytes key, uint64_t tag)
{
    if (!c->up)
        return -ENOTCONN;
    if (comparer_is_full(c))
        return -ENOBUFS;
    int err = gather(c, db, kind);
    if (!err)
        err = batch_add(c->gathering, key, tag);
    if (err)
        return err;
    c->keys++;
    if (batch_is_full(c, c->gathering))
        comparer_flush(c);
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
    struct batch *b = c->gathering;

    if (!b || !c->up)
        return;
    c->gathering = NULL;
    if (b->n)
        send_batch(c, b);
    else
        keep_spare(c, b);
}
