/* scanner.c - see scanner.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis/refusal.h"
#include "lib/redis/scanner.h"
#include "lib/core/resp.h"

#define IN_MAX       (KEY_NAME_MAX + 64 * KIB)
#define RETRY_US     1000000
#define CURSOR_TEXT  24
#define PREFIX_SHOWN 64

/* What the next token of a page's reply is. */
enum expect { EXPECT_SELECT, EXPECT_PAGE, EXPECT_CURSOR, EXPECT_KEYS, EXPECT_KEY };

struct scanner {
    struct loop *loop;
    struct scanner_events ev;
    void *arg;
    struct conn *conn;
    struct timer *retry;
    struct resp resp;
    enum expect expect;

    int *dbs;
    size_t ndbs, at; /* dbs[at] is being scanned */
    unsigned count;
    const char *const *types; /* or NULL */
    size_t type;              /* types[type] is being scanned for */
    char *match;              /* or NULL */
    char run_id[RUN_ID_MAX];  /* where the present cursor comes from; "" before a database's first page */
    char cursor[CURSOR_TEXT], next_cursor[CURSOR_TEXT];
    bool running;
    bool wanted;  /* a page was asked for and is not complete */
    bool asked;   /* its request was sent in this life of the connection */
    bool error;   /* the reply was an error */
    bool absent;  /* of the SELECT: there is no such database, so it has no keys */
    bool stale;   /* the reply under way belongs to a pass that was given up: it is passed over */
    int db;       /* that this life of the connection is in; it begins in 0 */
    int asked_db; /* of the SELECT under way */

    char select_error[160];

    bool in_long; /* a key beyond the ceiling is passing */
    uint64_t long_length;
};

/* The whole of it, or nothing: the buffer holds one request at a time. */
static int append_request(struct scanner *s, struct buf *out)
{
    char count[16], db[16];

    snprintf(count, sizeof(count), "%u", s->count);
    snprintf(db, sizeof(db), "%d", s->dbs[s->at]);
    struct bytes scan[8] = {BYTES("SCAN"), bytes_str(s->cursor), BYTES("COUNT"), bytes_str(count)};
    size_t n = 4;
    if (s->types) {
        scan[n++] = BYTES("TYPE");
        scan[n++] = bytes_str(s->types[s->type]);
    }
    if (s->match) {
        scan[n++] = BYTES("MATCH");
        scan[n++] = bytes_str(s->match);
    }
    const struct bytes select[] = {BYTES("SELECT"), bytes_str(db)};
    int err = s->db == s->dbs[s->at] ? 0 : request_append(out, ARRAY_LEN(select), select);
    return err ? err : request_append(out, n, scan);
}

static void send_request(struct scanner *s)
{
    if (!s->running || !s->wanted || s->asked || !conn_is_up(s->conn))
        return;
    if (strcmp(s->cursor, "0") == 0)
        snprintf(s->run_id, sizeof(s->run_id), "%s", conn_server(s->conn)->run_id);
    if (append_request(s, conn_out(s->conn)) < 0) {
        conn_reset(s->conn, "out of memory");
        return;
    }
    s->expect = s->db == s->dbs[s->at] ? EXPECT_PAGE : EXPECT_SELECT;
    s->asked_db = s->dbs[s->at];
    s->asked = true;
    s->error = s->absent = s->stale = false;
    conn_expect(s->conn, true);
    conn_flush(s->conn);
}

static void retry_fired(void *arg)
{
    send_request(arg);
}

static void page_refused(struct scanner *s, const char *error)
{
    s->asked = false;
    conn_expect(s->conn, false);
    timer_set(s->retry, RETRY_US);
    if (s->ev.refused)
        s->ev.refused(error, s->arg);
}

/* The next type, or the next database. */
static void go_further(struct scanner *s)
{
    if (s->types && s->types[s->type + 1] && !s->absent) {
        s->type++;
        return;
    }
    s->type = 0;
    s->at++;
}

static void page_complete(struct scanner *s)
{
    memcpy(s->cursor, s->next_cursor, sizeof(s->cursor));
    s->wanted = s->asked = false;
    conn_expect(s->conn, false);
    if (strcmp(s->cursor, "0") == 0) {
        go_further(s);
        if (s->at == s->ndbs) {
            s->running = false;
            s->ev.done(s->arg);
            return;
        }
    }
    s->ev.page(s->arg);
}

/* The first part of a key beyond the ceiling names it; the rest passes. */
static void pass_long_key(struct scanner *s, const struct resp_token *t)
{
    if (s->in_long && s->ev.long_key)
        s->ev.long_key(s->dbs[s->at], bytes_of(t->text.ptr, MIN(t->text.len, PREFIX_SHOWN)), s->long_length,
                       s->arg);
    s->in_long = false;
}

static int take_cursor(struct scanner *s, const struct resp_token *t)
{
    uint64_t cursor;
    if (t->type != RESP_BULK || bytes_to_u64(t->text, &cursor) < 0)
        return -EBADMSG;
    snprintf(s->next_cursor, sizeof(s->next_cursor), "%llu", (unsigned long long)cursor);
    return 0;
}

static int take_key(struct scanner *s, const struct resp_token *t)
{
    switch (t->type) {
    case RESP_BULK:
        if (!s->stale)
            s->ev.key(s->dbs[s->at], t->text, s->arg);
        return 0;
    case RESP_BULK_START:
        s->in_long = !s->stale;
        s->long_length = (uint64_t)t->number;
        return 0;
    case RESP_BULK_PART:
        pass_long_key(s, t);
        return 0;
    default:
        return -EBADMSG;
    }
}

static int take_select(struct scanner *s, const struct resp_token *t)
{
    if (t->type != RESP_SIMPLE && t->type != RESP_ERROR)
        return -EBADMSG;
    s->expect = EXPECT_PAGE;
    s->error = t->type == RESP_ERROR;
    s->db = s->error ? URL_DB_NONE : s->asked_db;
    s->absent = s->error && refusal_no_such_db(t->text);
    if (s->error)
        bytes_escape(t->text, s->select_error, sizeof(s->select_error));
    return 0;
}

/* 1: the whole reply to SCAN has come. */
static int take_token(struct scanner *s, const struct resp_token *t)
{
    switch (s->expect) {
    case EXPECT_SELECT:
        return take_select(s, t);
    case EXPECT_PAGE:
        if (s->error) /* SELECT was refused: the page is of another database */
            return t->last ? 1 : 0;
        if (t->type == RESP_ERROR)
            return 1;
        s->expect = EXPECT_CURSOR;
        return t->type == RESP_ARRAY && t->number == 2 ? 0 : -EBADMSG;
    case EXPECT_CURSOR:
        s->expect = EXPECT_KEYS;
        return take_cursor(s, t);
    case EXPECT_KEYS:
        s->expect = EXPECT_KEY;
        if (t->type != RESP_ARRAY)
            return -EBADMSG;
        return t->last ? 1 : 0;
    case EXPECT_KEY: {
        int err = take_key(s, t);
        return err < 0 ? err : t->last ? 1 : 0;
    }
    }
    return -EBADMSG;
}

static void stale_passed(struct scanner *s)
{
    s->asked = s->stale = false;
    conn_expect(s->conn, false);
    send_request(s);
}

static void page_over(struct scanner *s, const struct resp_token *t)
{
    char text[160];

    if (s->stale) {
        stale_passed(s);
    } else if (s->absent) {
        snprintf(s->next_cursor, sizeof(s->next_cursor), "0");
        page_complete(s);
    } else if (s->error) {
        page_refused(s, s->select_error);
    } else if (t->type == RESP_ERROR) {
        page_refused(s, bytes_escape(t->text, text, sizeof(text)));
    } else {
        page_complete(s);
    }
}

static size_t on_input(struct conn *c, struct bytes in, void *arg)
{
    struct scanner *s = arg;
    struct bytes rest = in;
    struct resp_token t;
    int err;

    while ((err = resp_next(&s->resp, &rest, &t)) == 0) {
        if (!s->asked) {
            err = -EBADMSG; /* nobody asked */
            break;
        }
        err = take_token(s, &t);
        if (err < 0)
            break;
        if (err == 1)
            page_over(s, &t);
    }
    if (err == -EBADMSG)
        conn_reset(c, "the reply to SCAN is not understood");
    return in.len - rest.len;
}

static void give_up(struct scanner *s, const char *why)
{
    scanner_stop(s);
    s->ev.lost(why, s->arg);
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    struct scanner *s = arg;
    return s->ev.identified ? s->ev.identified(c, id, client_id, why, s->arg) : 0;
}

/* Is the cursor of another process? Where run ids are not told, none but the first is known to be good. */
static bool cursor_is_foreign(const struct scanner *s, const char *run_id)
{
    if (!s->run_id[0])
        return strcmp(s->cursor, "0") != 0;
    return strcmp(s->run_id, run_id) != 0;
}

static void on_up(struct conn *c, void *arg)
{
    struct scanner *s = arg;

    conn_raw(c);
    resp_init(&s->resp, KEY_NAME_MAX, 512 * MIB, UINT32_MAX);
    s->db = 0;
    s->asked = s->in_long = false;
    if (s->running && cursor_is_foreign(s, conn_server(c)->run_id)) {
        give_up(s, "another server process answers: its cursor cannot be used");
        return;
    }
    send_request(s);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct scanner *s = arg;
    (void)c, (void)why, (void)was_up;
    s->asked = s->stale = false;
    timer_clear(s->retry);
}

int scanner_new(struct loop *l, const struct endpoint *e, const char *role, const struct scanner_events *ev,
                void *arg, struct scanner **ret)
{
    static const struct conn_events events = {
        .identified = on_identified, .up = on_up, .down = on_down, .input = on_input};
    const struct conn_options opt = {
        .endpoint = e, .role = role, .in_max = IN_MAX, .out_max = 64 * KIB, .out_high = 32 * KIB};
    struct scanner *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->loop = l;
    s->ev = *ev;
    s->arg = arg;
    int err = timer_new(l, retry_fired, s, &s->retry);
    if (!err)
        err = conn_new(l, &opt, &events, s, &s->conn);
    if (err) {
        scanner_free(s);
        return err;
    }
    *ret = s;
    return 0;
}

struct scanner *scanner_free(struct scanner *s)
{
    if (!s)
        return NULL;
    conn_free(s->conn);
    timer_free(s->retry);
    free(s->dbs);
    free(s->match);
    free(s);
    return NULL;
}

int scanner_begin(struct scanner *s, const int *dbs, size_t ndbs, unsigned count, const char *const *types)
{
    int *copy = malloc(MAX(ndbs, (size_t)1) * sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    if (ndbs)
        memcpy(copy, dbs, ndbs * sizeof(*copy));
    free(s->dbs);
    s->dbs = copy;
    s->ndbs = ndbs;
    s->at = s->type = 0;
    s->count = count;
    s->types = types;
    snprintf(s->cursor, sizeof(s->cursor), "0");
    s->run_id[0] = '\0';
    s->wanted = s->in_long = false;
    s->stale = s->asked;
    s->running = ndbs > 0;
    timer_clear(s->retry);
    return 0;
}

int scanner_match(struct scanner *s, const char *glob)
{
    char *copy = glob ? strdup(glob) : NULL;

    if (glob && strlen(glob) > SCANNER_MATCH_MAX) {
        free(copy);
        return -EINVAL;
    }
    if (glob && !copy)
        return -ENOMEM;
    free(s->match);
    s->match = copy;
    return 0;
}

void scanner_next(struct scanner *s)
{
    s->wanted = true;
    send_request(s);
}

void scanner_stop(struct scanner *s)
{
    s->running = s->wanted = s->in_long = false;
    s->stale = s->asked;
    timer_clear(s->retry);
}

bool scanner_running(const struct scanner *s)
{
    return s->running;
}

struct conn *scanner_conn(struct scanner *s)
{
    return s->conn;
}
