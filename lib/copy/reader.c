/* reader.c - see reader.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis/encode.h"
#include "lib/copy/flights.h"
#include "lib/copy/reader.h"
#include "lib/redis/refusal.h"
#include "lib/core/resp.h"

#define IN_MAX     (256 * KIB)
#define OUT_HIGH   (256 * KIB)
#define OUT_MAX    (OUT_HIGH + 4 * KEY_NAME_MAX)
#define ERROR_KEPT 160

/* What the next reply, or element of one, tells of the key that is first in the ring. */
enum step {
    STEP_ASKING,
    STEP_OK,
    STEP_QUEUED,
    STEP_EXEC,
    STEP_EXPIRE_AT,
    STEP_TIME,
    STEP_SECONDS,
    STEP_MICROSECONDS,
    STEP_TTL,
    STEP_VALUE
};

/* How a key's state is asked for, and what comes back. STEP_VALUE is the last of each. */
struct method {
    int (*request)(struct buf *out, struct bytes key);
    unsigned queued; /* commands between MULTI and EXEC */
    enum step steps[18];
};

#define OLD_EXEC                                                                                             \
    STEP_EXEC, STEP_TIME, STEP_SECONDS, STEP_MICROSECONDS, STEP_TTL, STEP_TIME, STEP_SECONDS,                \
        STEP_MICROSECONDS, STEP_VALUE

#define PLAIN STEP_EXPIRE_AT, STEP_VALUE
#define MULTI STEP_OK, STEP_QUEUED, STEP_QUEUED, STEP_EXEC, STEP_EXPIRE_AT, STEP_VALUE
#define OLD   STEP_OK, STEP_QUEUED, STEP_QUEUED, STEP_QUEUED, STEP_QUEUED, OLD_EXEC

/* STRING is added for the same by GET. Of TOGETHER, the steps are those of the reply to MGET. */
enum { METHOD_PLAIN, METHOD_MULTI, METHOD_OLD, METHOD_STRING, METHOD_TOGETHER = 2 * METHOD_STRING, METHODS };

/* By whether ASKING goes before: there all is read by DUMP. */
static const struct method methods[2][METHODS] = {
    {
        {encode_read, 0, {PLAIN}},
        {encode_read_multi, 2, {MULTI}},
        {encode_read_old, 4, {OLD}},
        {encode_get, 0, {PLAIN}},
        {encode_get_multi, 2, {MULTI}},
        {encode_get_old, 4, {OLD}},
        {NULL, 0, {STEP_VALUE}},
    },
    {
        {encode_ask, 0, {STEP_ASKING, STEP_EXPIRE_AT, STEP_ASKING, STEP_VALUE}},
        {encode_ask_multi, 2, {STEP_ASKING, MULTI}},
        {encode_ask_old, 4, {STEP_ASKING, OLD}},
    },
};

/* TIME before and after PTTL may differ by so much; else the sum would be that much too early. */
#define TORN_MS 2

struct reader {
    struct loop *loop;
    struct reader_events ev;
    void *arg;
    struct conn *conn;
    struct resp resp;
    bool atomic, asking;
    int method; /* of this life of the connection, by DUMP */

    int sent_db; /* where the requests sent so far have led */
    /* What the last SELECT came to. Refused, the replies that follow are of another database, until the next
     * one. */
    enum { DB_SELECTED, DB_REFUSED, DB_ABSENT } db;
    char db_error[ERROR_KEPT];

    /* Of the first key in the ring. */
    unsigned step;
    unsigned to_pass; /* whole replies still to come and to be passed over, since MULTI was refused */
    int64_t now_ms, expire_at_ms;
    int64_t base_ms;        /* the clock that a TTL was added to; 0: none was */
    bool torn;              /* the server was held up between clock and TTL: it is read again */
    char error[ERROR_KEPT]; /* "": none yet */
    uint64_t value_length;  /* of one that comes in parts */
    enum { VALUE_NONE, VALUE_TAKEN, VALUE_PASSED_OVER } in_value;

    bool apart; /* of this life: MGET is of no use */
    struct dirty_key *gathered[TOGETHER_MAX];
    size_t ngathered;
    struct defer send_later;
    /* Of the keys that are first in the ring and were asked for together: expiries told, values to come. */
    unsigned expiries, values;
    char expiry_error[ERROR_KEPT]; /* of those whose expiry was refused */

    size_t keys;
    bool stalled; /* nothing is read until reader_resume() */
    struct flights flights;
};

/* Of the first key in the ring. */
static const struct flight *first_flight(const struct reader *r)
{
    return &r->flights.at[r->flights.head & (r->flights.cap - 1)];
}

static const struct method *method_of(const struct reader *r)
{
    return &methods[r->asking][first_flight(r)->what];
}

static NOINLINE void keep_error(struct reader *r, struct bytes text)
{
    if (r->error[0])
        return;
    snprintf(r->error, sizeof(r->error), "%.*s", (int)MIN(text.len, sizeof(r->error) - 1), text.ptr);
    if (!r->error[0])
        snprintf(r->error, sizeof(r->error), "ERR");
}

static struct dirty_key *shift_key(struct reader *r)
{
    struct flight f = flights_shift(&r->flights);
    r->step = 0;
    r->base_ms = 0;
    r->torn = false;
    r->in_value = VALUE_NONE;
    r->keys--;
    if (r->values)
        r->values--;
    return f.key;
}

static void finish_failed(struct reader *r)
{
    char error[ERROR_KEPT];
    memcpy(error, r->error, sizeof(error));
    r->error[0] = '\0';
    bool torn = r->torn;
    struct dirty_key *k = shift_key(r);
    if (r->db == DB_ABSENT)
        r->ev.gone(k, r->arg);
    else if (torn)
        r->ev.lost(k, r->arg);
    else
        r->ev.failed(k, bytes_str(error), r->arg);
}

/* Its length has come before, now its first bytes. */
static void begin_value(struct reader *r, struct bytes start)
{
    if (r->error[0]) {
        r->in_value = VALUE_PASSED_OVER;
        return;
    }
    bool wanted =
        r->ev.value_begin(flights_first(&r->flights)->key, r->expire_at_ms, r->value_length, start, r->arg);
    r->in_value = wanted ? VALUE_TAKEN : VALUE_PASSED_OVER;
    if (!wanted)
        flights_first(&r->flights)->deletes = true; /* the key is no longer ours: only its bytes are */
}

static void take_part(struct reader *r, const struct resp_token *t)
{
    if (r->in_value == VALUE_NONE)
        begin_value(r, t->text);
    bool ours = !flights_first(&r->flights)->deletes;

    if (r->in_value == VALUE_TAKEN)
        r->ev.value_part(t->text, r->arg);
    if (t->number)
        return;
    if (r->in_value == VALUE_PASSED_OVER && ours)
        finish_failed(r);
    else
        shift_key(r);
}

static int take_value(struct reader *r, const struct resp_token *t)
{
    switch (t->type) {
    case RESP_BULK_START:
        r->value_length = (uint64_t)t->number;
        return 0;
    case RESP_BULK_PART:
        take_part(r, t);
        return 0;
    case RESP_ERROR:
        keep_error(r, t->text);
        finish_failed(r);
        return 0;
    case RESP_NIL:
        if (r->error[0])
            finish_failed(r);
        else
            r->ev.gone(shift_key(r), r->arg);
        return 0;
    case RESP_BULK:
        if (r->error[0])
            finish_failed(r);
        else
            r->ev.value(shift_key(r), r->expire_at_ms, t->text, r->arg);
        return 0;
    default:
        return -EBADMSG;
    }
}

static int take_exec(struct reader *r, const struct resp_token *t)
{
    if (t->type == RESP_ARRAY && t->number == method_of(r)->queued) {
        r->step++;
        return 0;
    }
    if (t->type != RESP_ERROR && t->type != RESP_NIL)
        return -EBADMSG;
    keep_error(r, t->type == RESP_ERROR ? t->text : BYTES("EXECABORT no reply to EXEC"));
    finish_failed(r);
    return 0;
}

/* -2 (no such key) and -1 (no expiry) both give 0: DUMP tells which. */
static int take_expiry(struct reader *r, const struct resp_token *t, int64_t base_ms)
{
    if (t->type == RESP_ERROR)
        keep_error(r, t->text);
    else if (t->type != RESP_INTEGER)
        return -EBADMSG;
    /* PTTL is 0 in a key's last millisecond, and RESTORE takes 0 for "never". The sum with TIME is never 0.
     */
    r->expire_at_ms =
        t->type == RESP_INTEGER && t->number >= 0 ? base_ms + MIN(t->number, INT64_MAX - base_ms) : 0;
    r->base_ms = r->expire_at_ms ? base_ms : 0;
    r->step++;
    return 0;
}

/* Seconds and microseconds follow, or an error in their place. */
static int take_time(struct reader *r, const struct resp_token *t)
{
    if (t->type == RESP_ERROR) {
        keep_error(r, t->text);
        r->step += 3;
        return 0;
    }
    r->step++;
    return t->type == RESP_ARRAY && t->number == 2 ? 0 : -EBADMSG;
}

static int take_clock(struct reader *r, const struct resp_token *t, int64_t unit_us)
{
    int64_t n;
    if (t->type != RESP_BULK || bytes_to_i64(t->text, &n) < 0 || n < 0 || n > INT64_MAX / unit_us / 2)
        return -EBADMSG;
    r->now_ms = (unit_us == 1 ? r->now_ms : 0) + n * unit_us / 1000;
    if (unit_us == 1 && r->base_ms && r->now_ms - r->base_ms > TORN_MS && !r->error[0]) {
        r->torn = true;
        keep_error(r, BYTES("TORN clock and TTL are too far apart"));
    }
    r->step++;
    return 0;
}

static NOINLINE int take_select(struct reader *r, const struct resp_token *t)
{
    if (t->type != RESP_SIMPLE && t->type != RESP_ERROR)
        return -EBADMSG;
    flights_shift(&r->flights);
    r->db = DB_SELECTED;
    if (t->type == RESP_ERROR) {
        r->db = refusal_no_such_db(t->text) ? DB_ABSENT : DB_REFUSED;
        r->sent_db = URL_DB_NONE;
        snprintf(r->db_error, sizeof(r->db_error), "TRYAGAIN SELECT was refused: %.*s",
                 (int)MIN(t->text.len, sizeof(r->db_error)), t->text.ptr);
    }
    return 0;
}

static int take_status(struct reader *r, const struct resp_token *t)
{
    if (t->type == RESP_ERROR)
        keep_error(r, t->text);
    else if (t->type != RESP_SIMPLE)
        return -EBADMSG;
    r->step++;
    return 0;
}

/* Without MULTI the rest is answered one by one, in whatever shape. */
static int take_multi(struct reader *r, const struct resp_token *t)
{
    if (t->type != RESP_ERROR)
        return take_status(r, t);
    keep_error(r, t->text);
    r->to_pass = method_of(r)->queued + 1;
    return 0;
}

static int pass_over(struct reader *r, const struct resp_token *t)
{
    if (t->last && --r->to_pass == 0)
        finish_failed(r);
    return 0;
}

/* Keys that were asked for together. In a flight, `db` is their number, of the first of them; `bytes` is the
 * expiry as it was told, and `asks` says that it was refused. */

static int take_their_expiry(struct reader *r, const struct resp_token *t)
{
    struct flight *f = flights_at(&r->flights, r->expiries++);

    if (t->type != RESP_INTEGER && t->type != RESP_ERROR)
        return -EBADMSG;
    f->bytes = (uint64_t)t->number;
    f->asks = t->type == RESP_ERROR;
    if (f->asks)
        snprintf(r->expiry_error, sizeof(r->expiry_error), "%.*s",
                 (int)MIN(t->text.len, sizeof(r->expiry_error) - 1), t->text.ptr);
    return 0;
}

/* MGET's reply as a whole. Refused, it says nothing of any of them: each is to be asked for by itself. */
static NOINLINE int take_their_values(struct reader *r, const struct resp_token *t)
{
    unsigned n = r->expiries;

    if (t->type != RESP_ERROR && (t->type != RESP_ARRAY || t->number != (int64_t)n))
        return -EBADMSG;
    r->expiries = 0;
    if (t->type == RESP_ARRAY) {
        r->values = n;
        return 0;
    }
    r->apart = true;
    while (n--)
        r->ev.lost(shift_key(r), r->arg);
    return 0;
}

static int take_expiries(struct reader *r, const struct resp_token *t)
{
    return r->expiries < (unsigned)first_flight(r)->db ? take_their_expiry(r, t) : take_their_values(r, t);
}

/* What is there and has no value is of another type, or has just gone: DUMP tells which. */
static int take_their_value(struct reader *r, const struct resp_token *t)
{
    const struct flight *f = first_flight(r);
    int64_t told = (int64_t)f->bytes;

    r->expire_at_ms = MAX(told, (int64_t)0);
    if (r->db != DB_SELECTED)
        keep_error(r, bytes_str(r->db_error));
    else if (f->asks)
        keep_error(r, bytes_str(r->expiry_error));
    else if (t->type == RESP_NIL && told != NO_SUCH_KEY)
        keep_error(r, BYTES("WRONGTYPE no string"));
    return take_value(r, t);
}

/* Of a key that was asked for by itself. */
static NOINLINE int take_step(struct reader *r, const struct resp_token *t)
{
    if (r->db != DB_SELECTED)
        keep_error(r, bytes_str(r->db_error)); /* a refusal of the server: no key is to blame */
    if (r->to_pass)
        return pass_over(r, t);
    switch (method_of(r)->steps[r->step]) {
    case STEP_OK:
        return take_multi(r, t);
    case STEP_ASKING:
    case STEP_QUEUED:
        return take_status(r, t);
    case STEP_EXEC:
        return take_exec(r, t);
    case STEP_EXPIRE_AT:
        return take_expiry(r, t, 0);
    case STEP_TIME:
        return take_time(r, t);
    case STEP_SECONDS:
        return take_clock(r, t, 1000000);
    case STEP_MICROSECONDS:
        return take_clock(r, t, 1);
    case STEP_TTL:
        return take_expiry(r, t, r->now_ms);
    case STEP_VALUE:
        return take_value(r, t);
    }
    return -EBADMSG;
}

static int take_token(struct reader *r, const struct resp_token *t)
{
    if (r->values)
        return take_their_value(r, t);
    if (flights_empty(&r->flights))
        return -EBADMSG;
    if (!first_flight(r)->key)
        return take_select(r, t);
    return first_flight(r)->what == METHOD_TOGETHER ? take_expiries(r, t) : take_step(r, t);
}

static bool at_value(const struct reader *r)
{
    if (r->values || flights_empty(&r->flights))
        return r->values > 0;
    return first_flight(r)->what != METHOD_TOGETHER && method_of(r)->steps[r->step] == STEP_VALUE;
}

static void stall(struct reader *r, bool stalled)
{
    r->stalled = stalled;
    conn_read_pause(r->conn, stalled);
    /* While the target holds us up, the source's silence is no fault of it. */
    conn_expect(r->conn, !stalled && !flights_empty(&r->flights));
}

static size_t on_input(struct conn *c, struct bytes in, void *arg)
{
    struct reader *r = arg;
    struct bytes rest = in;
    struct resp_token t;
    int err = 0;

    while (!r->stalled) {
        if (at_value(r) &&
            !r->ev.ready(r->in_value == VALUE_NONE ? flights_first(&r->flights)->key : NULL, r->arg)) {
            stall(r, true);
            break;
        }
        err = resp_next(&r->resp, &rest, &t);
        if (!err)
            err = take_token(r, &t);
        if (err)
            break;
    }
    if (err == -EBADMSG)
        conn_reset(c, "a reply is not understood");
    else if (!r->stalled)
        conn_expect(c, !flights_empty(&r->flights));
    return in.len - rest.len;
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    struct reader *r = arg;
    return r->ev.identified(c, id, client_id, why, r->arg);
}

static void on_up(struct conn *c, void *arg)
{
    struct reader *r = arg;

    conn_raw(c);
    resp_init(&r->resp, READER_WHOLE, INT64_MAX, TOGETHER_MAX);
    r->method = conn_server(c)->redis < 70000 ? METHOD_OLD : r->atomic ? METHOD_MULTI : METHOD_PLAIN;
    r->sent_db = 0; /* as every connection begins: a service with one database may not know SELECT */
    r->db = DB_SELECTED;
    r->stalled = false;
    r->step = r->to_pass = r->expiries = r->values = 0;
    r->error[0] = '\0';
    r->apart = !conn_server(c)->standalone; /* in a cluster slots may not be mixed */
    r->ev.up(r->arg);
}

/* What the first key was in the middle of. */
static void break_value(struct reader *r, const char *why)
{
    if (r->in_value == VALUE_TAKEN) {
        shift_key(r); /* the writer's */
        r->ev.value_broken(why, r->arg);
    } else if (r->in_value == VALUE_PASSED_OVER && flights_first(&r->flights)->deletes) {
        shift_key(r);
    }
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct reader *r = arg;
    (void)c;

    break_value(r, why);
    r->in_value = VALUE_NONE;
    r->step = r->expiries = r->values = 0;
    r->error[0] = '\0';
    r->stalled = false;
    r->keys = 0;
    while (!flights_empty(&r->flights)) {
        struct flight f = flights_shift(&r->flights);
        if (f.key)
            r->ev.lost(f.key, r->arg);
    }
    size_t n = r->ngathered;
    r->ngathered = 0;
    for (size_t i = 0; i < n; i++)
        r->ev.lost(r->gathered[i], r->arg);
    r->ev.down(why, was_up, r->arg);
}

static void on_drained(struct conn *c, void *arg)
{
    struct reader *r = arg;
    (void)c;
    r->ev.room(r->arg);
}

int reader_new(struct loop *l, const struct reader_options *opt, const struct reader_events *ev, void *arg,
               struct reader **ret)
{
    static const struct conn_events events = {
        .identified = on_identified, .up = on_up, .down = on_down, .input = on_input, .drained = on_drained};
    const struct conn_options conn_opt = {.endpoint = opt->source,
                                          .role = opt->asking ? "ask" : "read",
                                          .in_max = IN_MAX,
                                          .out_max = OUT_MAX,
                                          .out_high = OUT_HIGH,
                                          .no_touch = true};
    struct reader *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->loop = l;
    r->ev = *ev;
    r->arg = arg;
    r->atomic = opt->atomic;
    r->asking = opt->asking;
    int err = conn_new(l, &conn_opt, &events, r, &r->conn);
    if (err) {
        free(r);
        return err;
    }
    *ret = r;
    return 0;
}

struct reader *reader_free(struct reader *r)
{
    if (!r)
        return NULL;
    conn_free(r->conn);
    defer_cancel(r->loop, &r->send_later);
    flights_free(&r->flights);
    free(r);
    return NULL;
}

bool reader_is_up(const struct reader *r)
{
    return conn_is_up(r->conn);
}

bool reader_in_value(const struct reader *r)
{
    return r->in_value == VALUE_TAKEN;
}

bool reader_is_full(const struct reader *r)
{
    return conn_is_full(r->conn) || flights_count(&r->flights) + r->ngathered + 2 > FLIGHTS_MAX - 1;
}

size_t reader_outstanding(const struct reader *r)
{
    return r->keys;
}

struct conn *reader_conn(struct reader *r)
{
    return r->conn;
}

static int encode_together(struct reader *r, struct buf *out)
{
    struct bytes names[TOGETHER_MAX];
    size_t n = r->ngathered;

    for (size_t i = 0; i < n; i++)
        names[i] = dirty_name(r->gathered[i]);
    return n == 1 ? encode_get(out, names[0]) : encode_get_together(out, n, names);
}

/* Where they have no place, the connection is lost, and they with it. */
static int send_gathered(struct reader *r)
{
    size_t n = r->ngathered;
    int err = n ? encode_together(r, conn_out(r->conn)) : 0;

    if (err)
        conn_reset(r->conn, "out of memory");
    if (err || !n)
        return err;
    for (size_t i = 0; i < n; i++)
        flights_push(&r->flights, (struct flight){.key = r->gathered[i],
                                                  .what = n > 1 ? METHOD_TOGETHER : METHOD_STRING,
                                                  .db = (int)n});
    r->ngathered = 0;
    if (!r->stalled)
        conn_expect(r->conn, true);
    conn_flush(r->conn);
    return 0;
}

static void on_send(void *arg)
{
    struct reader *r = arg;

    if (conn_is_up(r->conn))
        (void)!send_gathered(r);
}

static bool goes_together(const struct reader *r, const struct dirty_key *k)
{
    return !r->apart && !r->asking && r->method == METHOD_PLAIN && k->way == WAY_STRING &&
           k->len <= TOGETHER_NAME;
}

static void gather(struct reader *r, struct dirty_key *k)
{
    r->gathered[r->ngathered++] = k;
    r->keys++;
    loop_defer(r->loop, &r->send_later, on_send, r);
    if (r->ngathered == TOGETHER_MAX)
        (void)!send_gathered(r); /* else all of them are lost, as is told later */
}

static NOINLINE int send_select(struct reader *r, int db)
{
    int err = send_gathered(r);
    if (!err)
        err = encode_select(conn_out(r->conn), db);
    if (err)
        return err;
    flights_push(&r->flights, (struct flight){.db = db});
    r->sent_db = db;
    return 0;
}

static int send_alone(struct reader *r, struct dirty_key *k)
{
    if (r->asking && k->way == WAY_STRING)
        k->way = WAY_DUMP;
    int method = r->method + (k->way == WAY_STRING ? METHOD_STRING : 0);
    int err = methods[r->asking][method].request(conn_out(r->conn), dirty_name(k));
    if (err)
        return err;
    flights_push(&r->flights, (struct flight){.key = k, .what = method});
    r->keys++;
    if (!r->stalled)
        conn_expect(r->conn, true);
    conn_flush(r->conn);
    return 0;
}

int reader_read(struct reader *r, struct dirty_key *k)
{
    if (!conn_is_up(r->conn))
        return -ENOTCONN;
    if (reader_is_full(r))
        return -ENOBUFS;
    int err = flights_reserve(&r->flights, 2 + r->ngathered);
    if (err)
        return err;
    if (r->sent_db != k->db) {
        err = send_select(r, k->db);
        if (err)
            return err;
    }
    if (!goes_together(r, k))
        return send_alone(r, k);
    gather(r, k);
    return 0;
}

void reader_limit(struct reader *r, size_t input, size_t output)
{
    conn_limit(r->conn, input, output);
}

void reader_resume(struct reader *r)
{
    if (!r->stalled || !conn_is_up(r->conn))
        return;
    stall(r, false);
    conn_kick(r->conn);
}

void reader_reset(struct reader *r, const char *why)
{
    conn_reset(r->conn, why);
}
