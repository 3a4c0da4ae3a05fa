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
#define OUT_SLACK (2 * KEY_NAME_MAX + 512 * KIB)

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
    bool part_expires;
    bool in_part;
    size_t keys;
    uint64_t bytes;
    int64_t numbers[WRITER_NUMBERS]; /* of the answer that is coming */
    size_t nnumbers;
    struct flights flights;
};

static int target_db(const struct writer *w, int db)
{
    return w->into_db == URL_DB_NONE ? db : w->into_db;
}

static void forget_dbs(struct writer *w)
{
    w->db = w->asked_db = w->refused_db = URL_DB_NONE;
}

enum writer_db writer_db(struct writer *w, int source_db)
{
    int db = target_db(w, source_db);

    if (!conn_is_up(w->conn) || w->in_part || w->asked_db != URL_DB_NONE)
        return WRITER_DB_ASKED;
    if (w->db == db)
        return WRITER_DB_READY;
    if (w->refused_db == db)
        return WRITER_DB_REFUSED;
    if (flights_full(&w->flights) || encode_select(conn_out(w->conn), db) < 0)
        return WRITER_DB_ASKED;
    forget_dbs(w);
    w->asked_db = db;
    flights_push(&w->flights, (struct flight){0});
    conn_expect(w->conn, true);
    conn_flush(w->conn);
    return WRITER_DB_ASKED;
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

static void key_answered(struct writer *w, struct flight f, const struct resp_token *t)
{
    bool ok = f.deletes ? t->type == RESP_INTEGER : t->type == RESP_SIMPLE;
    struct bytes error = ok ? (struct bytes){0} : error_of(t);

    w->keys--;
    w->bytes -= f.bytes;
    uint64_t removed = f.deletes && ok && t->number > 0;
    w->ev.answered(f.key, error, f.deletes ? removed : f.bytes, f.deletes, w->arg);
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
    if (!f.key)
        return select_answered(w, t);
    key_answered(w, f, t);
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

static void on_up(struct conn *c, void *arg)
{
    struct writer *w = arg;

    conn_raw(c);
    resp_init(&w->resp, 64 * KIB, 64 * KIB, WRITER_NUMBERS);
    forget_dbs(w);
    w->ev.up(w->arg);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct writer *w = arg;
    (void)c;

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
    static const struct conn_events events = {
        .identified = on_identified, .up = on_up, .down = on_down, .input = on_input, .drained = on_drained};
    const struct conn_options conn_opt = {
        .endpoint = opt->target,
        .role = "write",
        .in_max = 256 * KIB,
        .out_max = opt->out_high + OUT_SLACK,
        .out_high = opt->out_high,
        .fenced = true,
        .former_id = opt->former_id,
        .former_run_id = opt->former_run_id,
    };
    struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->loop = l;
    w->ev = *ev;
    w->arg = arg;
    w->into_db = opt->into_db;
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
    free(w);
    return NULL;
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
    return conn_is_up(w->conn) && flights_empty(&w->flights);
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

static int may_begin_key(const struct writer *w, const struct dirty_key *k)
{
    if (!conn_is_up(w->conn))
        return -ENOTCONN;
    if (w->in_part || flights_full(&w->flights))
        return -ENOBUFS;
    return w->db == target_db(w, k->db) ? 0 : -EPERM;
}

static void key_sent(struct writer *w, struct dirty_key *k, uint64_t bytes, bool deletes)
{
    flights_push(&w->flights, (struct flight){.key = k, .bytes = bytes, .deletes = deletes});
    w->keys++;
    w->bytes += bytes;
    conn_expect(w->conn, true);
    conn_flush(w->conn);
}

int writer_delete(struct writer *w, struct dirty_key *k)
{
    int err = may_begin_key(w, k);
    if (!err)
        err = encode_unlink(conn_out(w->conn), dirty_name(k));
    if (err)
        return err;
    key_sent(w, k, 0, true);
    return 0;
}

int writer_restore(struct writer *w, struct dirty_key *k, int64_t expire_at_ms, struct bytes payload)
{
    int err = may_begin_key(w, k);
    if (!err)
        err = encode_restore(conn_out(w->conn), dirty_name(k), expire_at_ms, payload);
    if (err)
        return err;
    key_sent(w, k, payload.len, false);
    return 0;
}

int writer_restore_begin(struct writer *w, struct dirty_key *k, int64_t expire_at_ms, uint64_t length)
{
    int err = may_begin_key(w, k);
    if (!err)
        err = encode_restore_head(conn_out(w->conn), dirty_name(k), expire_at_ms, length);
    if (err)
        return err;
    w->in_part = true;
    w->part_left = length;
    w->part_expires = expire_at_ms != 0;
    key_sent(w, k, length, false);
    return 0;
}

int writer_restore_part(struct writer *w, struct bytes part)
{
    if (!conn_is_up(w->conn))
        return -ENOTCONN;
    int err = buf_append(conn_out(w->conn), part.ptr, part.len);
    if (err)
        return err;
    w->part_left -= part.len;
    if (!w->part_left) {
        w->in_part = false;
        err = encode_restore_tail(conn_out(w->conn), w->part_expires);
    }
    conn_flush(w->conn);
    return err;
}

int writer_ask(struct writer *w, int what, size_t argc, const struct bytes *argv)
{
    if (!conn_is_up(w->conn))
        return -ENOTCONN;
    if (w->in_part || flights_full(&w->flights))
        return -ENOBUFS;
    int err = request_append(conn_out(w->conn), argc, argv);
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
