/* side.c - see side.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis/encode.h"
#include "lib/redis/refusal.h"
#include "lib/verify/batch_commands.h"
#include "lib/verify/side.h"
#include "lib/core/resp.h"

#define IN_MAX   (256 * KIB)
#define OUT_HIGH (512 * KIB)
/* A batch is sent whole; each of its names stands in it twice, and around each MULTI and EXEC. */
#define OUT_MAX (OUT_HIGH + 2 * (BATCH_NAMES + KEY_NAME_MAX) + 64 * KIB)
#define WHOLE   (16 * KIB) /* payloads up to it are hashed in one piece */

/* Before 7.0 PTTL reads the clock itself: TIME before and after it may differ by so much, else the sum would
 * be that much too early. */
#define TORN_MS 2

/* What the next token is. */
enum step {
    STEP_SELECT,
    STEP_MULTI,
    STEP_QUEUED,
    STEP_EXEC,
    STEP_COMMAND, /* the reply to one of those in the MULTI, or to EXISTS */
    STEP_STRING,  /* of those that MGET's reply is made of */
    STEP_SECONDS,
    STEP_MICROSECONDS,
    STEP_PAYLOAD, /* parts of it */
    STEP_PASS,    /* whole replies that say nothing any more */
};

struct side {
    struct side_options opt;
    struct side_events ev;
    void *arg;
    struct conn *conn;
    struct resp resp;
    struct body_hash *body;
    struct digester *digester;
    bool old; /* of this life: without PEXPIRETIME */

    struct batch *ring[SIDE_BATCHES];
    bool selected[SIDE_BATCHES]; /* is a SELECT before it? */
    bool selects;                /* this life was sent to another database than 0 */
    unsigned head, tail;         /* free-running */

    /* Of the first batch in the ring. */
    enum step step;
    unsigned from, to; /* the keys of the part that is being answered */
    unsigned at;       /* its command that is being answered */
    unsigned string;   /* MGET: the key that is */
    unsigned to_pass;  /* replies */
    bool clocked;      /* before 7.0, of this part: base_ms is known */
    bool judged;       /* deep: now_ms is known */
    int64_t base_ms, now_ms;
    bool stalled;
};

static struct batch *first(const struct side *s)
{
    return s->head == s->tail ? NULL : s->ring[s->head % SIDE_BATCHES];
}

static struct batch_side *mine(struct side *s)
{
    return &first(s)->side[s->opt.index];
}

static unsigned commands(const struct side *s)
{
    return batch_commands(first(s), s->old, s->to - s->from);
}

static enum batch_command command_at(const struct side *s, unsigned at, unsigned *ret_key)
{
    return batch_command_at(first(s), s->old, s->from, s->to, at, ret_key);
}

/* A connection begins in database 0, and stays there until it is sent elsewhere: a service with one database
 * may not know SELECT. */
static int append_select(struct side *s, struct buf *out, int db)
{
    int into = s->opt.index == 1 && s->opt.into_db != URL_DB_NONE ? s->opt.into_db : db;
    s->selects |= into != 0;
    s->selected[s->tail % SIDE_BATCHES] = s->selects;
    return s->selects ? encode_select(out, into) : 0;
}

/* What comes back. */

static enum trouble trouble_of(struct bytes error)
{
    static const char *const moving[] = {"MOVED ", "ASK ", "TRYAGAIN "};

    for (size_t i = 0; i < ARRAY_LEN(moving); i++)
        if (bytes_starts(error, moving[i]))
            return TROUBLE_MOVING;
    return refusal_is_passing(error) ? TROUBLE_SERVER : TROUBLE_KEY;
}

static void key_failed(struct side *s, unsigned key, struct bytes error)
{
    struct reading *r = &first(s)->items[key].side[s->opt.index];
    char text[BATCH_ERROR];

    if (r->error)
        return;
    r->trouble = trouble_of(error);
    r->error = strdup(bytes_escape(error.len ? error : BYTES("ERR"), text, sizeof(text)));
    r->aborted = !r->error;
}

/* All keys of the part are refused: because of those that have an error of their own, if there are such. */
static void part_failed(struct side *s, struct bytes error)
{
    struct batch *b = first(s);
    bool others_fault = mine(s)->no_strings;

    mine(s)->failed = true;
    for (unsigned i = s->from; i < s->to; i++)
        others_fault |= b->items[i].side[s->opt.index].error != NULL;
    for (unsigned i = s->from; i < s->to; i++)
        if (others_fault)
            b->items[i].side[s->opt.index].aborted = !b->items[i].side[s->opt.index].error;
        else
            key_failed(s, i, error);
}

/* By DUMP they can be read all the same, unless the server is not ready for that either. */
static void strings_refused(struct side *s, struct bytes error)
{
    struct batch *b = first(s);

    if (trouble_of(error) != TROUBLE_KEY) {
        part_failed(s, error);
        return;
    }
    mine(s)->no_strings = true;
    for (unsigned i = s->from; i < s->to; i++)
        b->items[i].side[s->opt.index].aborted = true;
}

static void begin_part(struct side *s, unsigned from)
{
    s->step = batch_has_multi(first(s), s->old) ? STEP_MULTI : STEP_COMMAND;
    s->from = from;
    s->to = batch_part(first(s), s->opt.index, from);
    s->at = s->to_pass = 0;
    s->clocked = s->judged = false;
    s->base_ms = s->now_ms = 0;
}

static void begin_batch(struct side *s)
{
    s->step = STEP_SELECT;
    s->from = s->to = s->at = s->to_pass = 0;
}

static void end_batch(struct side *s)
{
    struct batch *b = first(s);

    s->head++;
    begin_batch(s);
    s->ev.answered(s, b, s->arg);
}

static void end_part(struct side *s)
{
    if (s->to < first(s)->n)
        begin_part(s, s->to);
    else
        end_batch(s);
}

static void next_command(struct side *s)
{
    s->step = STEP_COMMAND;
    if (++s->at == commands(s))
        end_part(s);
}

/* So many whole replies of this part are still to come, and say nothing. */
static void pass_over(struct side *s, unsigned replies)
{
    s->step = STEP_PASS;
    s->to_pass = replies;
}

/* Of a batch whose database cannot be selected. */
static void pass_batch(struct side *s)
{
    pass_over(s, batch_replies(first(s), s->old, s->opt.index));
}

/* It is in its database. */
static void begin_answers(struct side *s)
{
    begin_part(s, 0);
    if (first(s)->kind == BATCH_EXISTS)
        s->to = first(s)->n;
}

static int take_select(struct side *s, const struct resp_token *t)
{
    if (t->type != RESP_SIMPLE && t->type != RESP_ERROR)
        return -EBADMSG;
    begin_answers(s);
    if (t->type == RESP_SIMPLE)
        return 0;
    s->to = first(s)->n;
    if (!refusal_no_such_db(t->text))
        part_failed(s, t->text); /* else no key is there */
    pass_batch(s);
    return 0;
}

/* Without MULTI the rest is answered one by one, in whatever shape. */
static int take_multi(struct side *s, const struct resp_token *t)
{
    if (t->type != RESP_SIMPLE && t->type != RESP_ERROR)
        return -EBADMSG;
    s->step = STEP_QUEUED;
    if (t->type == RESP_ERROR) {
        part_failed(s, t->text);
        pass_over(s, commands(s) + 1);
    }
    return 0;
}

static int take_queued(struct side *s, const struct resp_token *t)
{
    unsigned key;

    if (t->type != RESP_SIMPLE && t->type != RESP_ERROR)
        return -EBADMSG;
    enum batch_command command = command_at(s, s->at, &key);
    if (t->type == RESP_ERROR && command == COMMAND_TIME)
        part_failed(s, t->text);
    else if (t->type == RESP_ERROR && command == COMMAND_VALUE && first(s)->strings)
        strings_refused(s, t->text);
    else if (t->type == RESP_ERROR)
        key_failed(s, key, t->text);
    if (++s->at == commands(s)) {
        s->at = 0;
        s->step = STEP_EXEC;
    }
    return 0;
}

static int take_exec(struct side *s, const struct resp_token *t)
{
    if (t->type == RESP_ARRAY && t->number == commands(s)) {
        s->step = STEP_COMMAND;
        return 0;
    }
    if (t->type != RESP_ERROR && t->type != RESP_NIL)
        return -EBADMSG;
    part_failed(s, t->type == RESP_ERROR ? t->text : BYTES("EXECABORT no reply to EXEC"));
    end_part(s);
    return 0;
}

static int take_time(struct side *s, const struct resp_token *t)
{
    if (t->type == RESP_ERROR) {
        part_failed(s, t->text);
        next_command(s);
        return 0;
    }
    s->step = STEP_SECONDS;
    return t->type == RESP_ARRAY && t->number == 2 ? 0 : -EBADMSG;
}

static void clock_read(struct side *s)
{
    struct batch_side *m = mine(s);

    if (s->clocked && s->now_ms - s->base_ms > TORN_MS)
        m->torn = true;
    if (!s->clocked)
        s->base_ms = s->now_ms;
    if (!m->clock)
        m->now_ms = s->now_ms;
    s->clocked = m->clock = true;
    next_command(s);
}

static int take_clock(struct side *s, const struct resp_token *t, int64_t unit_us)
{
    int64_t n;
    if (t->type != RESP_BULK || bytes_to_i64(t->text, &n) < 0 || n < 0 || n > INT64_MAX / unit_us / 2)
        return -EBADMSG;
    s->now_ms = (unit_us == 1 ? s->now_ms : 0) + n * unit_us / 1000;
    s->step = STEP_MICROSECONDS;
    if (unit_us == 1)
        clock_read(s);
    return 0;
}

/* -2 (no such key) and -1 (no expiry) both give 0: the value tells which. PTTL is 0 in a key's last
 * millisecond; the sum with TIME never is. */
static int take_expiry(struct side *s, const struct resp_token *t, unsigned key)
{
    struct reading *r = &first(s)->items[key].side[s->opt.index];
    int64_t base_ms = s->old ? s->base_ms : 0;

    if (t->type == RESP_ERROR)
        key_failed(s, key, t->text);
    else if (t->type != RESP_INTEGER)
        return -EBADMSG;
    else if (t->number >= 0)
        r->expire_at_ms = base_ms + MIN(t->number, INT64_MAX - base_ms);
    r->listed = t->type == RESP_INTEGER && t->number != NO_SUCH_KEY;
    next_command(s);
    return 0;
}

static bool is_deep(const struct side *s)
{
    return first(s)->kind == BATCH_DEEP;
}

/* After an error the rest of the payload is passed over. */
static void begin_payload(struct side *s, struct reading *r, uint64_t length)
{
    r->exists = true;
    r->bytes = length;
    if (first(s)->strings)
        body_hash_begin_string(s->body, length);
    else
        body_hash_begin(s->body, length);
    if (is_deep(s))
        r->undecoded = digester_begin(s->digester, length, s->now_ms);
}

static void feed_payload(struct side *s, struct reading *r, struct bytes part)
{
    body_hash_feed(s->body, part);
    if (is_deep(s) && !r->undecoded)
        r->undecoded = digester_feed(s->digester, part);
}

/* The key whose value is being answered. */
static unsigned key_at(const struct side *s)
{
    unsigned key = s->string;

    if (!first(s)->strings)
        (void)command_at(s, s->at, &key);
    return key;
}

static void next_value(struct side *s)
{
    bool another = first(s)->strings && ++s->string < s->to;

    s->step = STEP_STRING;
    if (!another)
        next_command(s);
}

static void end_payload(struct side *s, struct reading *r, unsigned key)
{
    r->body = body_hash_end(s->body, &r->first);
    if (first(s)->strings)
        r->first = RDB_STRING_BYTE;
    if (is_deep(s) && !r->undecoded)
        r->undecoded = digester_end(s->digester, batch_digest(first(s), key, s->opt.index));
    next_value(s);
}

static void take_whole(struct side *s, struct reading *r, unsigned key, struct bytes payload)
{
    if (is_deep(s)) {
        begin_payload(s, r, payload.len);
        if (payload.len)
            feed_payload(s, r, payload);
        end_payload(s, r, key);
        return;
    }
    r->exists = true;
    r->bytes = payload.len;
    r->first = RDB_STRING_BYTE;
    r->body = first(s)->strings ? string_hash_of(payload) : body_hash_of(payload, &r->first);
    next_value(s);
}

/* Anything but the number of all says nothing of any of them. */
static int take_all_exist(struct side *s, const struct resp_token *t)
{
    struct batch *b = first(s);

    if (t->type != RESP_ERROR && t->type != RESP_INTEGER)
        return -EBADMSG;
    b->undecided = t->type == RESP_ERROR || t->number != b->n;
    for (unsigned i = 0; i < b->n; i++)
        b->items[i].side[s->opt.index].exists = !b->undecided;
    end_batch(s);
    return 0;
}

static int take_exists(struct side *s, const struct resp_token *t, unsigned key)
{
    if (t->type == RESP_ERROR)
        key_failed(s, key, t->text);
    else if (t->type != RESP_INTEGER)
        return -EBADMSG;
    else
        first(s)->items[key].side[s->opt.index].exists = t->number > 0;
    next_command(s);
    return 0;
}

static int take_value(struct side *s, const struct resp_token *t, unsigned key)
{
    struct reading *r = &first(s)->items[key].side[s->opt.index];

    switch (t->type) {
    case RESP_BULK_START:
        begin_payload(s, r, (uint64_t)t->number);
        s->step = STEP_PAYLOAD;
        return 0;
    case RESP_BULK:
        take_whole(s, r, key, t->text);
        return 0;
    case RESP_ERROR:
        key_failed(s, key, t->text);
        next_value(s);
        return 0;
    case RESP_NIL:
        r->aborted = first(s)->strings && r->listed && !r->error; /* of another type, or it has just gone */
        next_value(s);
        return 0;
    default:
        return -EBADMSG;
    }
}

/* MGET's reply as a whole. */
static int take_strings(struct side *s, const struct resp_token *t)
{
    if (t->type == RESP_ERROR) {
        strings_refused(s, t->text);
        next_command(s);
        return 0;
    }
    if (t->type != RESP_ARRAY || t->number != s->to - s->from)
        return -EBADMSG;
    s->string = s->from;
    s->step = STEP_STRING;
    return 0;
}

static int take_part(struct side *s, const struct resp_token *t)
{
    unsigned key = key_at(s);
    struct reading *r = &first(s)->items[key].side[s->opt.index];

    if (t->type != RESP_BULK_PART)
        return -EBADMSG;
    feed_payload(s, r, t->text);
    if (t->number == 0)
        end_payload(s, r, key);
    return 0;
}

static int take_command(struct side *s, const struct resp_token *t)
{
    unsigned key;

    switch (command_at(s, s->at, &key)) {
    case COMMAND_TIME:
        return take_time(s, t);
    case COMMAND_EXPIRY:
        return take_expiry(s, t, key);
    case COMMAND_VALUE:
        if (first(s)->strings)
            return take_strings(s, t);
        if (first(s)->kind != BATCH_EXISTS)
            return take_value(s, t, key);
        return first(s)->together ? take_all_exist(s, t) : take_exists(s, t, key);
    }
    return -EBADMSG;
}

static int take_passed(struct side *s, const struct resp_token *t)
{
    if (t->last && --s->to_pass == 0)
        end_part(s);
    return 0;
}

static int take_token(struct side *s, const struct resp_token *t)
{
    if (!first(s))
        return -EBADMSG; /* nobody asked */
    if (s->step == STEP_SELECT && !s->selected[s->head % SIDE_BATCHES])
        begin_answers(s);
    switch (s->step) {
    case STEP_SELECT:
        return take_select(s, t);
    case STEP_MULTI:
        return take_multi(s, t);
    case STEP_QUEUED:
        return take_queued(s, t);
    case STEP_EXEC:
        return take_exec(s, t);
    case STEP_COMMAND:
        return take_command(s, t);
    case STEP_STRING:
        return take_value(s, t, key_at(s));
    case STEP_SECONDS:
        return take_clock(s, t, 1000000);
    case STEP_MICROSECONDS:
        return take_clock(s, t, 1);
    case STEP_PAYLOAD:
        return take_part(s, t);
    case STEP_PASS:
        return take_passed(s, t);
    }
    return -EBADMSG;
}

static void stall(struct side *s, bool stalled)
{
    s->stalled = stalled;
    conn_read_pause(s->conn, stalled);
    /* While the other side holds us up, this one's silence is no fault of it. */
    conn_expect(s->conn, !stalled && first(s));
}

/* The first value of a deep batch comes next: at which time is it judged? */
static bool may_go_on(struct side *s)
{
    unsigned key;

    if (s->judged || !first(s) || s->step != STEP_COMMAND || !is_deep(s) ||
        command_at(s, s->at, &key) != COMMAND_VALUE)
        return true;
    s->judged = s->ev.clock(s, first(s), &s->now_ms, s->arg);
    if (!s->judged)
        stall(s, true);
    return s->judged;
}

static size_t on_input(struct conn *c, struct bytes in, void *arg)
{
    struct side *s = arg;
    struct bytes rest = in;
    struct resp_token t;
    int err = 0;

    while (!err && conn_is_up(c) && may_go_on(s)) {
        err = resp_next(&s->resp, &rest, &t);
        if (!err)
            err = take_token(s, &t);
    }
    if (err == -EBADMSG)
        conn_reset(c, "a reply is not understood");
    else if (!s->stalled)
        conn_expect(c, first(s) != NULL);
    return in.len - rest.len;
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    struct side *s = arg;
    (void)c, (void)client_id;

    if (s->ev.approved(s, id, s->arg))
        return 0;
    *why = "another server answers there";
    return -EPERM;
}

static void on_up(struct conn *c, void *arg)
{
    struct side *s = arg;
    const struct server_id *id = conn_server(c);

    conn_raw(c);
    resp_init(&s->resp, WHOLE, INT64_MAX, 2 * BATCH_KEYS + 2);
    s->old = id->redis < 70000;
    s->head = s->tail = 0;
    s->stalled = s->selects = false;
    begin_batch(s);
    s->digester = digester_free(s->digester);
    if (digester_new(id->kind == SERVER_VALKEY, &s->digester) < 0) {
        conn_reset(c, "out of memory");
        return;
    }
    s->ev.up(s, s->arg);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct side *s = arg;
    (void)c, (void)was_up;

    s->head = s->tail = 0;
    s->stalled = false;
    begin_batch(s);
    s->ev.down(s, why, s->arg);
}

static void on_drained(struct conn *c, void *arg)
{
    struct side *s = arg;
    (void)c;
    s->ev.room(s, s->arg);
}

int side_new(struct loop *l, const struct side_options *opt, const struct side_events *ev, void *arg,
             struct side **ret)
{
    static const struct conn_events events = {
        .identified = on_identified, .up = on_up, .down = on_down, .input = on_input, .drained = on_drained};
    const struct conn_options conn_opt = {.endpoint = opt->endpoint,
                                          .role = opt->role,
                                          .in_max = IN_MAX,
                                          .out_max = OUT_MAX,
                                          .out_high = OUT_HIGH,
                                          .no_touch = true};
    struct side *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->opt = *opt;
    s->ev = *ev;
    s->arg = arg;
    int err = body_hash_new(&s->body);
    if (!err)
        err = conn_new(l, &conn_opt, &events, s, &s->conn);
    if (err) {
        side_free(s);
        return err;
    }
    *ret = s;
    return 0;
}

struct side *side_free(struct side *s)
{
    if (s) {
        conn_free(s->conn);
        body_hash_free(s->body);
        digester_free(s->digester);
        free(s);
    }
    return NULL;
}

bool side_is_up(const struct side *s)
{
    return conn_is_up(s->conn);
}

bool side_is_full(const struct side *s)
{
    return conn_is_full(s->conn) || s->tail - s->head >= SIDE_BATCHES;
}

int side_index(const struct side *s)
{
    return s->opt.index;
}

struct conn *side_conn(struct side *s)
{
    return s->conn;
}

int side_send(struct side *s, struct batch *b)
{
    if (!conn_is_up(s->conn))
        return -ENOTCONN;
    int err = s->tail - s->head < SIDE_BATCHES ? append_select(s, conn_out(s->conn), b->db) : -ENOBUFS;
    if (!err)
        err = batch_encode(conn_out(s->conn), b, s->old, s->opt.index);
    if (err) {
        conn_reset(s->conn, "out of memory");
        return err;
    }
    s->ring[s->tail++ % SIDE_BATCHES] = b;
    if (!s->stalled)
        conn_expect(s->conn, true);
    conn_flush(s->conn);
    return 0;
}

void side_resume(struct side *s)
{
    if (!s->stalled || !conn_is_up(s->conn))
        return;
    stall(s, false);
    conn_kick(s->conn);
}

void side_reset(struct side *s, const char *why)
{
    conn_reset(s->conn, why);
}
