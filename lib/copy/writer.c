/* writer.c - see writer.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis/encode.h"
#include "lib/copy/flights.h"
#include "lib/copy/writer.h"
#include "lib/core/resp.h"

/* Beyond the high mark: one header with the longest key, and one piece of input. */
#define IN_MAX  (256 * KIB)
#define OUT_MAX (MIB + 2 * KEY_NAME_MAX + 512 * KIB)

struct writer {
    struct loop *loop;
    struct writer_events ev;
    void *arg;
    struct conn *conn;
    struct resp resp;
    int into_db;

    /* Of this life; of the target. */
    int db;         /* that it is in, as the target confirmed; or URL_DB_NONE */
    int asked_db;   /* whose SELECT is not answered; or URL_DB_NONE */
    int refused_db; /* whose SELECT was refused, with refusal[]; or URL_DB_NONE */
    char refusal[160];

    uint64_t part_left; /* bytes of a begun payload still to be given */
    int64_t part_expire_at_ms;
    bool part_replaces, part_is_string;
    bool in_part;
    size_t keys;
    uint64_t bytes;
    int64_t numbers[WRITER_NUMBERS]; /* of the answer that is coming */
    size_t nnumbers;
    struct flights flights;

    bool apart; /* of this life: MSET is of no use */
    struct flight gathered[TOGETHER_MAX];
    size_t ngathered;
    struct buf pairs; /* of those */
    struct defer send_later;
};

static int target_db(const struct writer *w, int db)
{
    return w->into_db == URL_DB_NONE ? db : w->into_db;
}

static void forget_dbs(struct writer *w)
{
    w->db = w->asked_db = w->refused_db = URL_DB_NONE;
}

/* Where they have no place, the connection is lost, and they with it. */
static int send_gathered(struct writer *w)
{
    struct buf *out = conn_out(w->conn);
    size_t n = w->ngathered;

    if (!n)
        return 0;
    int err = encode_command(out, 2 * n, n > 1 ? BYTES("MSET") : BYTES("SET"));
    if (!err)
        err = buf_append(out, buf_bytes(&w->pairs).ptr, buf_len(&w->pairs));
    if (err) {
        conn_reset(w->conn, "out of memory");
        return err;
    }
    for (size_t i = 0; i < n; i++) {
        w->gathered[i].joined = i + 1 < n;
        w->gathered[i].key->way = n > 1 ? WAY_TOGETHER : WAY_STRING;
        flights_push(&w->flights, w->gathered[i]);
    }
    w->ngathered = 0;
    buf_consume(&w->pairs, buf_len(&w->pairs));
    conn_expect(w->conn, true);
    conn_flush(w->conn);
    return 0;
}

static void on_send(void *arg)
{
    struct writer *w = arg;

    if (conn_is_up(w->conn))
        (void)!send_gathered(w);
}

/* That of another database than it is in. */
static NOINLINE enum writer_db go_to_db(struct writer *w, int db)
{
    if (w->refused_db == db)
        return WRITER_DB_REFUSED;
    if (send_gathered(w) < 0 || flights_reserve(&w->flights, 1) < 0 ||
        encode_select(conn_out(w->conn), db) < 0)
        return WRITER_DB_ASKED;
    forget_dbs(w);
    w->asked_db = db;
    flights_push(&w->flights, (struct flight){0});
    conn_expect(w->conn, true);
    conn_flush(w->conn);
    return WRITER_DB_ASKED;
}

enum writer_db writer_db(struct writer *w, int source_db)
{
    int db = target_db(w, source_db);

    if (!conn_is_up(w->conn) || w->in_part || w->asked_db != URL_DB_NONE)
        return WRITER_DB_ASKED;
    return w->db == db ? WRITER_DB_READY : go_to_db(w, db);
}

bool writer_is_in(const struct writer *w, int db)
{
    return conn_is_up(w->conn) && !w->in_part && !flights_full(&w->flights) && w->db == target_db(w, db);
}

struct bytes writer_db_error(const struct writer *w)
{
    return bytes_str(w->refusal);
}

void writer_db_again(struct writer *w)
{
    w->refused_db = URL_DB_NONE;
}

/* Never empty: that would be no error. */
static struct bytes error_of(const struct resp_token *t)
{
    if (t->type != RESP_ERROR)
        return BYTES("ERR not the expected reply");
    return t->text.len ? t->text : BYTES("ERR");
}

static int select_answered(struct writer *w, const struct resp_token *t)
{
    int db = w->asked_db;

    if (t->type != RESP_ERROR && t->type != RESP_SIMPLE)
        return -EBADMSG;
    forget_dbs(w);
    if (t->type == RESP_SIMPLE) {
        w->db = db;
    } else {
        struct bytes error = error_of(t);
        w->refused_db = db;
        snprintf(w->refusal, sizeof(w->refusal), "%.*s", (int)MIN(error.len, sizeof(w->refusal) - 1),
                 error.ptr);
    }
    w->ev.room(w->arg);
    return 0;
}

static void key_typed(struct writer *w, struct flight f, const struct resp_token *t)
{
    w->keys--;
    if (t->type == RESP_SIMPLE)
        w->ev.typed(f.key, t->text, (struct bytes){0}, w->arg);
    else
        w->ev.typed(f.key, (struct bytes){0}, error_of(t), w->arg);
}

static void key_answered(struct writer *w, struct flight f, const struct resp_token *t)
{
    bool ok = f.deletes ? t->type == RESP_INTEGER : t->type == RESP_SIMPLE;
    struct bytes error = ok ? (struct bytes){0} : error_of(t);

    if (t->type == RESP_NIL && !f.deletes && f.key->way == WAY_STRING) /* SET NX says it so */
        error = BYTES("BUSYKEY the target has a key of that name");
    w->keys--;
    w->bytes -= f.bytes;
    uint64_t removed = f.deletes && ok && t->number > 0;
    w->ev.answered(f.key, error, f.deletes ? removed : f.bytes, f.deletes, w->arg);
}

/* Those that went by one MSET are answered by one reply. */
static void keys_answered(struct writer *w, struct flight f, const struct resp_token *t)
{
    w->apart |= f.joined && t->type != RESP_SIMPLE;
    key_answered(w, f, t);
    while (f.joined && !flights_empty(&w->flights)) {
        f = flights_shift(&w->flights);
        key_answered(w, f, t);
    }
}

static int take_told(struct writer *w, const struct resp_token *t)
{
    struct bytes error = t->type == RESP_ERROR ? error_of(t) : (struct bytes){0};

    if (t->type == RESP_INTEGER && w->nnumbers < WRITER_NUMBERS)
        w->numbers[w->nnumbers++] = t->number;
    else if (t->type != RESP_ERROR && t->type != RESP_ARRAY)
        return -EBADMSG;
    if (!t->last)
        return 0;
    struct flight f = flights_shift(&w->flights);
    size_t n = w->nnumbers;
    w->nnumbers = 0;
    w->ev.told(f.what, n, w->numbers, error, w->arg);
    return 0;
}

static int take_token(struct writer *w, const struct resp_token *t)
{
    if (flights_empty(&w->flights) || (w->in_part && flights_count(&w->flights) == 1))
        return -EBADMSG;
    if (flights_first(&w->flights)->asks)
        return take_told(w, t);
    if (t->depth || !t->last)
        return -EBADMSG;
    struct flight f = flights_shift(&w->flights);
    if (f.asking)
        return 0; /* refused or not: what the write itself is answered with tells */
    if (!f.key)
        return select_answered(w, t);
    if (f.looks)
        key_typed(w, f, t);
    else
        keys_answered(w, f, t);
    return 0;
}

static size_t on_input(struct conn *c, struct bytes in, void *arg)
{
    struct writer *w = arg;
    struct bytes rest = in;
    struct resp_token t;
    int err;

    while ((err = resp_next(&w->resp, &rest, &t)) == 0) {
        err = take_token(w, &t);
        if (err)
            break;
    }
    if (err == -EBADMSG)
        conn_reset(c, "a reply is not understood");
    else
        conn_expect(c, !flights_empty(&w->flights));
    return in.len - rest.len;
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    struct writer *w = arg;
    return w->ev.identified(c, id, client_id, why, w->arg);
}

static void on_dead(const struct conn_former *former, void *arg)
{
    struct writer *w = arg;
    if (w->ev.dead)
        w->ev.dead(former, w->arg);
}

static void on_up(struct conn *c, void *arg)
{
    struct writer *w = arg;

    conn_raw(c);
    resp_init(&w->resp, 64 * KIB, 64 * KIB, WRITER_NUMBERS);
    forget_dbs(w);
    w->db = 0;                              /* as every connection begins */
    w->apart = !conn_server(c)->standalone; /* in a cluster slots may not be mixed */
    w->ev.up(w->arg);
}

void writer_abandon(struct writer *w)
{
    w->in_part = false;
    forget_dbs(w);
    w->keys = 0;
    w->bytes = 0;
    w->nnumbers = 0;
    while (!flights_empty(&w->flights)) {
        struct flight f = flights_shift(&w->flights);
        if (f.key)
            w->ev.lost(f.key, w->arg);
    }
    size_t n = w->ngathered;
    w->ngathered = 0;
    buf_consume(&w->pairs, buf_len(&w->pairs));
    for (size_t i = 0; i < n; i++)
        w->ev.lost(w->gathered[i].key, w->arg);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct writer *w = arg;
    (void)c;

    writer_abandon(w);
    w->ev.down(why, was_up, w->arg);
}

static void on_drained(struct conn *c, void *arg)
{
    struct writer *w = arg;
    (void)c;
    w->ev.room(w->arg);
}

int writer_new(struct loop *l, const struct writer_options *opt, const struct writer_events *ev, void *arg,
               struct writer **ret)
{
    static const struct conn_events events = {.identified = on_identified,
                                              .dead = on_dead,
                                              .up = on_up,
                                              .down = on_down,
                                              .input = on_input,
                                              .drained = on_drained};
    const struct conn_options conn_opt = {
        .endpoint = opt->target,
        .role = "write",
        .in_max = IN_MAX,
        .out_max = OUT_MAX,
        .out_high = opt->out_high,
        .fenced = true,
        .nformer = opt->nformer,
        .former = opt->former,
    };
    struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->loop = l;
    w->ev = *ev;
    w->arg = arg;
    w->into_db = opt->into_db;
    buf_init(&w->pairs, TOGETHER_BYTES + TOGETHER_NAME + TOGETHER_VALUE + KIB);
    int err = conn_new(l, &conn_opt, &events, w, &w->conn);
    if (err) {
        free(w);
        return err;
    }
    *ret = w;
    return 0;
}

struct writer *writer_free(struct writer *w)
{
    if (!w)
        return NULL;
    conn_free(w->conn);
    defer_cancel(w->loop, &w->send_later);
    flights_free(&w->flights);
    buf_free(&w->pairs);
    free(w);
    return NULL;
}

void writer_limit(struct writer *w, size_t out_high)
{
    conn_limit(w->conn, IN_MAX, out_high);
}

bool writer_is_up(const struct writer *w)
{
    return conn_is_up(w->conn);
}

bool writer_is_fenced(const struct writer *w)
{
    return conn_is_fenced(w->conn);
}

bool writer_is_full(const struct writer *w)
{
    return conn_is_full(w->conn);
}

bool writer_is_idle(const struct writer *w)
{
    return conn_is_up(w->conn) && flights_empty(&w->flights) && !w->ngathered;
}

size_t writer_outstanding(const struct writer *w)
{
    return w->keys;
}

uint64_t writer_outstanding_bytes(const struct writer *w)
{
    return w->bytes;
}

struct conn *writer_conn(struct writer *w)
{
    return w->conn;
}

static int may_begin_key(struct writer *w, const struct dirty_key *k)
{
    if (!conn_is_up(w->conn))
        return -ENOTCONN;
    if (w->in_part)
        return -ENOBUFS;
    int err = flights_reserve(&w->flights, 1 + w->ngathered);
    if (err)
        return err;
    return w->db == target_db(w, k->db) ? 0 : -EPERM;
}

static void key_sent(struct writer *w, struct flight f)
{
    flights_push(&w->flights, f);
    w->keys++;
    w->bytes += f.bytes;
    conn_expect(w->conn, true);
    conn_flush(w->conn);
}

int writer_type(struct writer *w, struct dirty_key *k)
{
    int err = may_begin_key(w, k);
    if (!err)
        err = encode_type(conn_out(w->conn), dirty_name(k));
    if (err)
        return err;
    key_sent(w, (struct flight){.key = k, .looks = true});
    return 0;
}

static bool may_replace(const struct dirty_key *k)
{
    return k->there != THERE_NOTHING;
}

int writer_asking(struct writer *w, const struct dirty_key *k)
{
    const struct bytes argv[] = {BYTES("ASKING")};
    int err = may_begin_key(w, k);
    if (!err)
        err = request_append(conn_out(w->conn), ARRAY_LEN(argv), argv);
    if (err)
        return err;
    flights_push(&w->flights, (struct flight){.asking = true});
    return 0;
}

int writer_delete(struct writer *w, struct dirty_key *k)
{
    int err = may_begin_key(w, k);
    if (!err)
        err = encode_unlink(conn_out(w->conn), dirty_name(k));
    if (err)
        return err;
    key_sent(w, (struct flight){.key = k, .deletes = true});
    return 0;
}

static bool goes_together(const struct writer *w, const struct dirty_key *k, int64_t expire_at_ms,
                          struct bytes value)
{
    return !w->apart && k->way == WAY_STRING && !expire_at_ms && may_replace(k) && k->len <= TOGETHER_NAME &&
           value.len <= TOGETHER_VALUE;
}

static int gather(struct writer *w, struct dirty_key *k, struct bytes value)
{
    int err = encode_pair(&w->pairs, dirty_name(k), value);
    if (err)
        return err;
    w->gathered[w->ngathered++] = (struct flight){.key = k, .bytes = value.len};
    w->keys++;
    w->bytes += value.len;
    loop_defer(w->loop, &w->send_later, on_send, w);
    if (w->ngathered == TOGETHER_MAX || buf_len(&w->pairs) >= TOGETHER_BYTES)
        (void)!send_gathered(w); /* else all of them are lost, as is told later */
    return 0;
}

int writer_restore(struct writer *w, struct dirty_key *k, int64_t expire_at_ms, struct bytes payload)
{
    int err = may_begin_key(w, k);
    if (!err && goes_together(w, k, expire_at_ms, payload))
        return gather(w, k, payload);
    if (!err)
        err = (k->way == WAY_STRING ? encode_set : encode_restore)(conn_out(w->conn), dirty_name(k),
                                                                   expire_at_ms, may_replace(k), payload);
    if (err)
        return err;
    key_sent(w, (struct flight){.key = k, .bytes = payload.len});
    return 0;
}

int writer_restore_begin(struct writer *w, struct dirty_key *k, int64_t expire_at_ms, uint64_t length)
{
    int err = may_begin_key(w, k);
    if (!err)
        err = send_gathered(w); /* not in the middle of the value */
    if (!err)
        err = (k->way == WAY_STRING ? encode_set_head : encode_restore_head)(
            conn_out(w->conn), dirty_name(k), expire_at_ms, may_replace(k), length);
    if (err)
        return err;
    w->in_part = true;
    w->part_left = length;
    w->part_expire_at_ms = expire_at_ms;
    w->part_replaces = may_replace(k);
    w->part_is_string = k->way == WAY_STRING;
    key_sent(w, (struct flight){.key = k, .bytes = length});
    return 0;
}

static int end_part(struct writer *w)
{
    struct buf *out = conn_out(w->conn);

    w->in_part = false;
    return (w->part_is_string ? encode_set_tail : encode_restore_tail)(out, w->part_expire_at_ms,
                                                                       w->part_replaces);
}

int writer_restore_part(struct writer *w, struct bytes part)
{
    if (!conn_is_up(w->conn))
        return -ENOTCONN;
    int err = buf_append(conn_out(w->conn), part.ptr, part.len);
    if (err)
        return err;
    w->part_left -= part.len;
    if (!w->part_left)
        err = end_part(w);
    conn_flush(w->conn);
    return err;
}

int writer_ask(struct writer *w, int what, size_t argc, const struct bytes *argv)
{
    if (!conn_is_up(w->conn))
        return -ENOTCONN;
    if (w->in_part)
        return -ENOBUFS;
    int err = send_gathered(w);
    if (!err)
        err = flights_reserve(&w->flights, 1);
    if (!err)
        err = request_append(conn_out(w->conn), argc, argv);
    if (err)
        return err;
    flights_push(&w->flights, (struct flight){.asks = true, .what = what});
    conn_expect(w->conn, true);
    conn_flush(w->conn);
    return 0;
}

void writer_break(struct writer *w, const char *why)
{
    conn_reset(w->conn, why);
}
