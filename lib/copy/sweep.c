/* sweep.c - see sweep.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis/encode.h"
#include "lib/redis/refusal.h"
#include "lib/copy/sweep.h"
#include "lib/core/resp.h"

#define RETRY_US  1000000
#define NAMES_MAX (64 * MIB) /* of one page; SCAN's COUNT keeps it far below */
#define ASK_MAX   (1 * MIB)  /* of requests under way */

/* Names of the page that are not answered wait in `names`, each behind its length, in the order of asking. */
struct sweep {
    struct loop *loop;
    struct sweep_events ev;
    void *arg;
    struct scanner *scanner; /* of the target */
    struct conn *conn;       /* to the source */
    struct timer *retry;
    struct resp resp;
    int into_db;
    int source_db; /* that stands for into_db */
    bool running, census, page_in, last_page, wanted;
    unsigned pass; /* counts: a callback may have ended the one that it is of */

    int db; /* of the page, on the source */
    struct buf names;
    size_t asked;      /* bytes of names whose question was sent in this life of the connection */
    bool select_asked; /* this life is in db, or the answer to SELECT is due */
    bool select_due;
    bool absent; /* the source has no such database: none of the keys is there */
    uint64_t seen, missing;
};

static void ask(struct sweep *s)
{
    struct buf *out = conn_out(s->conn);
    struct bytes names = buf_bytes(&s->names);

    if (!conn_is_up(s->conn) || timer_is_set(s->retry))
        return;
    if (!s->select_asked && names.len) {
        if (encode_select(out, s->db) < 0)
            return;
        s->select_asked = s->select_due = true;
    }
    while (s->asked < names.len && buf_len(out) < ASK_MAX) {
        uint32_t len;
        memcpy(&len, names.ptr + s->asked, sizeof(len));
        if (encode_exists(out, bytes_of(names.ptr + s->asked + sizeof(len), len)) < 0)
            break;
        s->asked += sizeof(len) + len;
    }
    conn_expect(s->conn, s->asked > 0 || s->select_due);
    conn_flush(s->conn);
}

static void next_page_if_wanted(struct sweep *s)
{
    if (s->wanted && !s->page_in && s->running) {
        s->wanted = false;
        scanner_next(s->scanner);
    }
}

static void page_answered(struct sweep *s)
{
    if (!s->page_in || buf_len(&s->names))
        return;
    s->page_in = false;
    buf_trim(&s->names, 256 * KIB);
    if (s->last_page) {
        s->running = false;
        s->ev.done(s->arg);
        return;
    }
    s->ev.page(s->arg);
    next_page_if_wanted(s);
}

/* An error says nothing of the keys: all that is unanswered is asked again later, on a fresh connection. */
static void refused(struct sweep *s, struct bytes error)
{
    char text[160];

    timer_set(s->retry, RETRY_US);
    s->ev.refused(true, bytes_escape(error, text, sizeof(text)), s->arg);
    conn_reset(s->conn, "EXISTS was refused");
}

static int take_select(struct sweep *s, const struct resp_token *t)
{
    if (t->type != RESP_SIMPLE && t->type != RESP_ERROR)
        return -EBADMSG;
    s->absent = t->type == RESP_ERROR && refusal_no_such_db(t->text);
    if (t->type == RESP_ERROR && !s->absent) {
        refused(s, t->text);
        return -ECANCELED;
    }
    s->select_due = false;
    return 0;
}

/* -ECANCELED: the owner was told, and wants no more of this pass. */
static int key_is_missing(struct sweep *s, struct bytes key)
{
    unsigned pass = s->pass;

    s->missing++;
    if (!s->census)
        s->ev.missing(s->db, key, s->arg);
    return s->pass == pass ? 0 : -ECANCELED;
}

static int take_exists(struct sweep *s, const struct resp_token *t)
{
    uint32_t len;

    if (t->type == RESP_ERROR && !s->absent) {
        refused(s, t->text);
        return -ECANCELED;
    }
    if ((t->type != RESP_INTEGER && !s->absent) || !s->asked)
        return -EBADMSG;
    memcpy(&len, buf_bytes(&s->names).ptr, sizeof(len));
    s->seen++;
    if (s->absent || t->number == 0) {
        int err = key_is_missing(s, bytes_of(buf_bytes(&s->names).ptr + sizeof(len), len));
        if (err)
            return err;
    }
    buf_consume(&s->names, sizeof(len) + len);
    s->asked -= sizeof(len) + len;
    return 0;
}

static int take_token(struct sweep *s, const struct resp_token *t)
{
    if (t->depth || !t->last)
        return -EBADMSG;
    return s->select_due ? take_select(s, t) : take_exists(s, t);
}

static size_t on_input(struct conn *c, struct bytes in, void *arg)
{
    struct sweep *s = arg;
    struct bytes rest = in;
    struct resp_token t;
    int err;

    while ((err = resp_next(&s->resp, &rest, &t)) == 0) {
        err = take_token(s, &t);
        if (err)
            break;
    }
    if (err == -EBADMSG)
        conn_reset(c, "the reply to EXISTS is not understood");
    if (err == -EAGAIN) {
        conn_expect(c, s->asked > 0 || s->select_due);
        ask(s);
        page_answered(s);
    }
    return in.len - rest.len;
}

static void on_up(struct conn *c, void *arg)
{
    struct sweep *s = arg;
    conn_raw(c);
    resp_init(&s->resp, 64 * KIB, 64 * KIB, 0);
    s->asked = 0;
    s->select_asked = s->select_due = false;
    ask(s);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct sweep *s = arg;
    (void)c, (void)why, (void)was_up;
    s->asked = 0;
    s->select_asked = s->select_due = false;
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    struct sweep *s = arg;
    return s->ev.source_identified(c, id, client_id, why, s->arg);
}

static void retry_fired(void *arg)
{
    ask(arg);
}

static int source_db(const struct sweep *s, int db)
{
    return s->into_db == URL_DB_NONE ? db : s->source_db;
}

static void scan_key(int db, struct bytes key, void *arg)
{
    struct sweep *s = arg;
    uint32_t len = (uint32_t)key.len;
    char *p;

    if (source_db(s, db) != s->db) {
        s->db = source_db(s, db);
        s->select_asked = false;
    }
    if (buf_reserve(&s->names, sizeof(len) + key.len, &p) < 0) {
        sweep_stop(s);
        s->ev.lost("a page of the target's SCAN is too large", s->arg);
        return;
    }
    memcpy(p, &len, sizeof(len));
    memcpy(p + sizeof(len), key.ptr, key.len);
    buf_commit(&s->names, sizeof(len) + key.len);
}

static void scan_page(void *arg)
{
    struct sweep *s = arg;
    s->page_in = true;
    ask(s);
    page_answered(s);
}

static void scan_done(void *arg)
{
    struct sweep *s = arg;
    s->last_page = true;
    scan_page(s);
}

static void scan_lost(const char *why, void *arg)
{
    struct sweep *s = arg;
    sweep_stop(s);
    s->ev.lost(why, s->arg);
}

static void scan_refused(const char *error, void *arg)
{
    struct sweep *s = arg;
    s->ev.refused(false, error, s->arg);
}

static int scan_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                           void *arg)
{
    struct sweep *s = arg;
    return s->ev.target_identified(c, id, client_id, why, s->arg);
}

int sweep_new(struct loop *l, const struct endpoint *source, const struct endpoint *target, int into_db,
              const struct sweep_events *ev, void *arg, struct sweep **ret)
{
    static const struct conn_events events = {
        .identified = on_identified, .up = on_up, .down = on_down, .input = on_input};
    static const struct scanner_events scan_events = {.key = scan_key,
                                                      .page = scan_page,
                                                      .done = scan_done,
                                                      .lost = scan_lost,
                                                      .refused = scan_refused,
                                                      .identified = scan_identified};
    const struct conn_options opt = {.endpoint = source,
                                     .role = "exists",
                                     .in_max = 64 * KIB,
                                     .out_max = ASK_MAX + 2 * KEY_NAME_MAX,
                                     .out_high = ASK_MAX,
                                     .no_touch = true};
    struct sweep *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->loop = l;
    s->ev = *ev;
    s->arg = arg;
    s->into_db = into_db;
    buf_init(&s->names, NAMES_MAX);
    int err = timer_new(l, retry_fired, s, &s->retry);
    if (!err)
        err = conn_new(l, &opt, &events, s, &s->conn);
    if (!err)
        err = scanner_new(l, target, "sweep", &scan_events, s, &s->scanner);
    if (err) {
        sweep_free(s);
        return err;
    }
    *ret = s;
    return 0;
}

struct sweep *sweep_free(struct sweep *s)
{
    if (!s)
        return NULL;
    scanner_free(s->scanner);
    conn_free(s->conn);
    timer_free(s->retry);
    buf_free(&s->names);
    free(s);
    return NULL;
}

/* What is under way on the connection to the source would be taken for answers of the new pass. */
static void forget(struct sweep *s)
{
    s->pass++;
    if (s->asked || s->select_due)
        conn_reset(s->conn, "a sweep was given up");
    buf_consume(&s->names, buf_len(&s->names));
    s->asked = 0;
    s->select_asked = s->select_due = false;
    s->page_in = s->last_page = s->wanted = false;
}

int sweep_begin(struct sweep *s, const int *dbs, size_t ndbs, unsigned count, bool census)
{
    forget(s);
    s->census = census;
    s->seen = s->missing = 0;
    s->db = URL_DB_NONE;
    if (s->into_db != URL_DB_NONE && ndbs)
        s->source_db = dbs[0];
    int err = s->into_db == URL_DB_NONE
                  ? scanner_begin(s->scanner, dbs, ndbs, count, NULL)
                  : scanner_begin(s->scanner, &s->into_db, MIN(ndbs, (size_t)1), count, NULL);
    s->running = !err && ndbs > 0;
    return err;
}

void sweep_next(struct sweep *s)
{
    s->wanted = true;
    next_page_if_wanted(s);
}

void sweep_stop(struct sweep *s)
{
    s->running = false;
    scanner_stop(s->scanner);
    forget(s);
}

bool sweep_running(const struct sweep *s)
{
    return s->running;
}

uint64_t sweep_seen(const struct sweep *s)
{
    return s->seen;
}

uint64_t sweep_missing(const struct sweep *s)
{
    return s->missing;
}

struct conn *sweep_source_conn(struct sweep *s)
{
    return s->conn;
}

struct conn *sweep_target_conn(struct sweep *s)
{
    return scanner_conn(s->scanner);
}
