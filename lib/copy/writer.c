/* writer.c - see writer.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/encode.h"
#include "lib/copy/flights.h"
#include "lib/copy/writer.h"
#include "lib/core/resp.h"

/* Beyond the high mark: one header with the longest key, and one piece of input. */
#define OUT_SLACK (2 * FLIGHT_KEY_MAX + 512 * KIB)

struct db_answer {
    int db;
    enum writer_db state;
};

struct writer {
    struct loop *loop;
    struct writer_events ev;
    void *arg;
    struct conn *conn;
    struct resp resp;
    int into_db;

    int db; /* that this life of the connection is in */
    size_t ndbs, dbs_cap;
    struct db_answer *dbs; /* asked in this life */

    uint64_t part_left; /* bytes of a begun payload still to be given */
    bool part_expires;
    bool in_part;
    size_t keys;
    uint64_t bytes;
    struct flights flights;
};

static int target_db(const struct writer *w, int db)
{
    return w->into_db == URL_DB_NONE ? db : w->into_db;
}

static struct db_answer *answer_of(struct writer *w, int db)
{
    for (size_t i = 0; i < w->ndbs; i++)
        if (w->dbs[i].db == db)
            return &w->dbs[i];
    return NULL;
}

static int send_select(struct writer *w, int db)
{
    int err = encode_select(conn_out(w->conn), db);
    if (err)
        return err;
    flights_push(&w->flights, (struct flight){.db = db});
    w->db = db;
    return 0;
}

enum writer_db writer_db(struct writer *w, int source_db)
{
    int db = target_db(w, source_db);
    struct db_answer *a = answer_of(w, db);

    if (a)
        return a->state;
    if (!conn_is_up(w->conn) || w->in_part || flights_full(&w->flights))
        return WRITER_DB_ASKED;
    if (w->ndbs == w->dbs_cap) {
        size_t cap = w->dbs_cap ? 2 * w->dbs_cap : 16;
        struct db_answer *more = realloc(w->dbs, cap * sizeof(*more));
        if (!more)
            return WRITER_DB_ASKED;
        w->dbs = more;
        w->dbs_cap = cap;
    }
    if (send_select(w, db) < 0)
        return WRITER_DB_ASKED;
    w->dbs[w->ndbs++] = (struct db_answer){db, WRITER_DB_ASKED};
    conn_expect(w->conn, true);
    conn_flush(w->conn);
    return WRITER_DB_ASKED;
}

/* Never empty: that would be no error. */
static struct bytes error_of(const struct resp_token *t)
{
    if (t->type != RESP_ERROR)
        return BYTES("ERR not the expected reply");
    return t->text.len ? t->text : BYTES("ERR");
}

/* -EIO: a database that had been confirmed refuses now, and what was sent behind it went elsewhere. */
static int select_answered(struct writer *w, int db, const struct resp_token *t)
{
    struct db_answer *a = answer_of(w, db);
    bool first = a && a->state == WRITER_DB_ASKED;
    char text[160];

    if (t->type != RESP_ERROR) {
        if (t->type != RESP_SIMPLE)
            return -EBADMSG;
        if (first) {
            a->state = WRITER_DB_READY;
            w->ev.room(w->arg);
        }
        return 0;
    }
    if (!first)
        return -EIO;
    a->state = WRITER_DB_REFUSED;
    w->db = URL_DB_NONE;
    w->ev.no_database(db, bytes_escape(t->text, text, sizeof(text)), w->arg);
    return 0;
}

static void key_answered(struct writer *w, struct flight f, const struct resp_token *t)
{
    bool ok = f.deletes ? t->type == RESP_INTEGER : t->type == RESP_SIMPLE;
    struct bytes error = ok ? (struct bytes){0} : error_of(t);

    w->keys--;
    w->bytes -= f.bytes;
    w->ev.answered(f.key, error, f.bytes, f.deletes, w->arg);
}

static int take_token(struct writer *w, const struct resp_token *t)
{
    if (t->depth || !t->last || flights_empty(&w->flights) || (w->in_part && flights_count(&w->flights) == 1))
        return -EBADMSG;
    struct flight f = flights_shift(&w->flights);
    if (!f.key)
        return select_answered(w, f.db, t);
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
    else if (err == -EIO)
        conn_reset(c, "SELECT of a known database was refused");
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
    resp_init(&w->resp, 64 * KIB, 64 * KIB, 0);
    w->db = URL_DB_NONE;
    w->ndbs = 0;
    w->ev.up(w->arg);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct writer *w = arg;
    (void)c;

    w->in_part = false;
    w->ndbs = 0;
    w->keys = 0;
    w->bytes = 0;
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
    free(w->dbs);
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

/* Gets the connection into the key's database and checks that a key can be added. */
static int begin_key(struct writer *w, const struct dirty_key *k)
{
    int db = target_db(w, k->db);

    if (!conn_is_up(w->conn))
        return -ENOTCONN;
    if (w->in_part || flights_count(&w->flights) + 2 > FLIGHTS_MAX - 1)
        return -ENOBUFS;
    return w->db == db ? 0 : send_select(w, db);
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
    int err = begin_key(w, k);
    if (!err)
        err = encode_unlink(conn_out(w->conn), dirty_name(k));
    if (err)
        return err;
    key_sent(w, k, 0, true);
    return 0;
}

int writer_restore(struct writer *w, struct dirty_key *k, int64_t expire_at_ms, struct bytes payload)
{
    int err = begin_key(w, k);
    if (!err)
        err = encode_restore(conn_out(w->conn), dirty_name(k), expire_at_ms, payload);
    if (err)
        return err;
    key_sent(w, k, payload.len, false);
    return 0;
}

int writer_restore_begin(struct writer *w, struct dirty_key *k, int64_t expire_at_ms, uint64_t length)
{
    int err = begin_key(w, k);
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

void writer_break(struct writer *w, const char *why)
{
    conn_reset(w->conn, why);
}
