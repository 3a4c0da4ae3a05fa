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
    struct scanner *scanner;       /* of the target that the pass is at, or was at last; or NULL */
    const struct endpoint *target; /* its */
    const struct endpoint **targets;
    size_t ntargets, at;
    bool target_done; /* another is to follow */
    struct defer next_later;
    int *dbs; /* of the pass, on the target */
    size_t ndbs;
    unsigned count;
    struct conn *conn; /* to the source */
    struct timer *retry;
    struct resp resp;
    const struct filter *filter;
    int into_db;
    int source_db; /* that stands for into_db */
    bool running, census, page_in, last_page, wanted;
    unsigned pass; /* counts: a callback may have ended the one that it is of */

    int db; /* of the page, on the source */
    struct buf names;
    size_t asked; /* bytes of names whose question was sent in this life of the connection */
    int sent_db;  /* where the requests sent in this life have led; it begins in 0 */
    bool select_due;
    bool absent; /* the source has no such database: none of the keys is there */
    uint64_t seen, missing;
};

static int ask_one(const struct sweep *s, struct buf *out, struct bytes key)
{
    return filter_has_types(s->filter) ? encode_type(out, key) : encode_exists(out, key);
}

static void ask(struct sweep *s)
{
    struct buf *out = conn_out(s->conn);
    struct bytes names = buf_bytes(&s->names);

    if (!conn_is_up(s->conn) || timer_is_set(s->retry))
        return;
    if (s->sent_db != s->db && names.len) {
        if (encode_select(out, s->db) < 0)
            return;
        s->sent_db = s->db;
        s->select_due = true;
    }
    while (s->asked < names.len && buf_len(out) < ASK_MAX) {
        uint32_t len;
        memcpy(&len, names.ptr + s->asked, sizeof(len));
        if (ask_one(s, out, bytes_of(names.ptr + s->asked + sizeof(len), len)) < 0)
            break;
        s->asked += sizeof(len) + len;
    }
    conn_expect(s->conn, s->asked > 0 || s->select_due);
    conn_flush(s->conn);
}

static void next_target(void *arg);

static void next_page_if_wanted(struct sweep *s)
{
    if (s->wanted && !s->page_in && s->running) {
        s->wanted = false;
        if (s->target_done)
            loop_defer(s->loop, &s->next_later, next_target, s);
        else
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
    conn_reset(s->conn, "a question was refused");
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
static int tell_missing(struct sweep *s, struct bytes key)
{
    unsigned pass = s->pass;

    if (!s->census)
        s->ev.missing(s->db, key, s->arg);
    return s->pass == pass ? 0 : -ECANCELED;
}

/* Its slot is another node's, or on the way there. */
static bool is_elsewhere(const struct resp_token *t)
{
    static const char *const codes[] = {"MOVED ", "ASK ", "TRYAGAIN ", "CLUSTERDOWN "};

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (t->type == RESP_ERROR && bytes_starts(t->text, codes[i]))
            return true;
    return false;
}

/* The answer to EXISTS, or to TYPE: a value of a type that is out of scope is as good as not there. */
static bool is_missing(const struct sweep *s, const struct resp_token *t)
{
    return t->type == RESP_SIMPLE ? !filter_type_name(s->filter, t->text)
                                  : t->type == RESP_INTEGER && t->number == 0;
}

static int take_exists(struct sweep *s, const struct resp_token *t)
{
    enum resp_type wanted = filter_has_types(s->filter) ? RESP_SIMPLE : RESP_INTEGER;
    uint32_t len;

    bool elsewhere = is_elsewhere(t), missing = s->absent || is_missing(s, t);

    if (t->type == RESP_ERROR && !s->absent && !elsewhere) {
        refused(s, t->text);
        return -ECANCELED;
    }
    if ((t->type != wanted && !s->absent && !elsewhere) || !s->asked)
        return -EBADMSG;
    memcpy(&len, buf_bytes(&s->names).ptr, sizeof(len));
    s->seen++;
    s->missing += missing;
    if (missing || elsewhere) {
        int err = tell_missing(s, bytes_of(buf_bytes(&s->names).ptr + sizeof(len), len));
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
    s->sent_db = 0;
    s->select_due = s->absent = false;
    ask(s);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct sweep *s = arg;
    (void)c, (void)why, (void)was_up;
    s->asked = 0;
    s->select_due = false;
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

    if (!filter_name(s->filter, key) || (s->ev.wanted && !s->ev.wanted(key, s->arg)))
        return;
    if (source_db(s, db) != s->db) {
        s->db = source_db(s, db);
        if (s->absent) /* the last SELECT led nowhere */
            s->sent_db = URL_DB_NONE;
        s->absent = false;
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
    s->target_done = s->at + 1 < s->ntargets;
    s->last_page = !s->target_done;
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

/* The scanner is another one for each target. */
static int go_to(struct sweep *s, const struct endpoint *target)
{
    static const struct scanner_events events = {.key = scan_key,
                                                 .page = scan_page,
                                                 .done = scan_done,
                                                 .lost = scan_lost,
                                                 .refused = scan_refused,
                                                 .identified = scan_identified};
    if (s->scanner && s->target == target)
        return 0;
    s->scanner = scanner_free(s->scanner);
    s->target = target;
    return scanner_new(s->loop, target, "sweep", &events, s, &s->scanner);
}

static int begin_target(struct sweep *s)
{
    int err = go_to(s, s->targets[s->at]);
    return err ? err : scanner_begin(s->scanner, s->dbs, s->ndbs, s->count, filter_scan_types(s->filter));
}

static void next_target(void *arg)
{
    struct sweep *s = arg;

    s->target_done = false;
    s->at++;
    if (begin_target(s) == 0) {
        scanner_next(s->scanner);
        return;
    }
    sweep_stop(s);
    s->ev.lost("out of memory for a sweep", s->arg);
}

int sweep_targets(struct sweep *s, const struct endpoint *const *targets, size_t n)
{
    const struct endpoint **copy = malloc(n * sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    memcpy(copy, targets, n * sizeof(*copy));
    free(s->targets);
    s->targets = copy;
    s->ntargets = n;
    return 0;
}

bool sweep_leave(struct sweep *s, const struct endpoint *target)
{
    bool was_running = s->running, goes_there = false;

    for (size_t i = 0; i < s->ntargets; i++)
        goes_there |= s->targets[i] == target;
    if (goes_there)
        sweep_stop(s);
    if (s->target == target) {
        s->scanner = scanner_free(s->scanner);
        s->target = NULL;
    }
    return was_running && goes_there;
}

int sweep_new(struct loop *l, const struct endpoint *source, const struct endpoint *target, int into_db,
              const struct filter *filter, const struct sweep_events *ev, void *arg, struct sweep **ret)
{
    static const struct conn_events events = {
        .identified = on_identified, .up = on_up, .down = on_down, .input = on_input};
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
    s->filter = filter;
    buf_init(&s->names, NAMES_MAX);
    int err = timer_new(l, retry_fired, s, &s->retry);
    if (!err)
        err = conn_new(l, &opt, &events, s, &s->conn);
    if (!err)
        err = sweep_targets(s, &target, 1);
    if (!err)
        err = go_to(s, target);
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
    defer_cancel(s->loop, &s->next_later);
    scanner_free(s->scanner);
    free(s->targets);
    free(s->dbs);
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
    s->select_due = false;
    s->page_in = s->last_page = s->wanted = s->target_done = false;
    defer_cancel(s->loop, &s->next_later);
}

/* All of the source stand in the one database that they are put into. */
static int keep_dbs(struct sweep *s, const int *dbs, size_t ndbs)
{
    size_t n = s->into_db == URL_DB_NONE ? ndbs : MIN(ndbs, (size_t)1);
    int *copy = malloc(MAX(n, (size_t)1) * sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    if (n)
        memcpy(copy, s->into_db == URL_DB_NONE ? dbs : &s->into_db, n * sizeof(*copy));
    free(s->dbs);
    s->dbs = copy;
    s->ndbs = n;
    return 0;
}

int sweep_begin(struct sweep *s, const int *dbs, size_t ndbs, unsigned count, bool census)
{
    forget(s);
    s->census = census;
    s->seen = s->missing = 0;
    s->db = URL_DB_NONE;
    if (s->into_db != URL_DB_NONE && ndbs)
        s->source_db = dbs[0];
    s->count = count;
    s->at = 0;
    int err = keep_dbs(s, dbs, ndbs);
    if (!err)
        err = begin_target(s);
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
    if (s->scanner)
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
    return s->scanner ? scanner_conn(s->scanner) : NULL;
}

const struct endpoint *sweep_target(const struct sweep *s)
{
    return s->target;
}
