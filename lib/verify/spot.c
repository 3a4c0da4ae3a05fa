/* spot.c - see spot.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/verify/judge.h"
#include "lib/verify/nodes.h"
#include "lib/verify/spot.h"
#include "lib/verify/suspect.h"

/* Keys under way at most: they are waited for when the time is up. Fewer at first, until it is known how
 * large their values are. */
#define WINDOW       256
#define WINDOW_FIRST 8
#define GATHER_MAX   10000

/* Names are in READY until they are compared, then in WAITING. Those gathered at random stand behind the
 * given ones, whenever they came: time may not be left for all, and the given ones are those at risk. */
#define GATHERED SUSPECT_DIRTY

/* A connection to a node of the source, for names. */
struct gatherer {
    struct spot *owner;
    struct node *node;
    struct conn *conn;
    unsigned left; /* replies still to come */
    bool refused;
    bool selects; /* this life was sent to another database than 0 */
};

struct spot {
    struct loop *loop;
    struct spot_events ev;
    void *arg;
    struct comparer *comparer;
    struct nodes *nodes; /* of the source: each has its gatherer */
    const char *role;
    const struct filter *filter;
    struct suspects *names;
    size_t names_max;
    bool told_up;

    bool running;
    uint64_t began_us, budget_us;
    struct spot_report report;
    struct defer pump_later, done_later, up_later;

    bool gathering;
    int gather_db;
    void (*gathered)(void *arg);
    void *gathered_arg;
};

/* Comparing. */

static bool time_is_up(const struct spot *s)
{
    return clock_mono_us() - s->began_us >= s->budget_us;
}

static void on_done(void *arg)
{
    struct spot *s = arg;
    const struct spot_report report = s->report;

    s->running = false;
    s->ev.done(&report, s->arg);
}

static bool may_ask(const struct spot *s)
{
    return !s->report.lost && !time_is_up(s) &&
           comparer_outstanding(s->comparer) < MIN(WINDOW, WINDOW_FIRST + 4 * s->report.compared);
}

static void pump(void *arg)
{
    struct spot *s = arg;
    struct suspect *n;

    if (!s->running || s->done_later.queued)
        return;
    while (may_ask(s) && (n = suspects_first(s->names, SUSPECT_READY))) {
        int err = comparer_compare(s->comparer, n->db, suspect_name(n), true, (uint64_t)(uintptr_t)n);
        if (err && err != -ENOBUFS)
            s->report.lost = true;
        if (err)
            break;
        suspects_move(s->names, n, SUSPECT_LOOKING, 0);
    }
    comparer_flush(s->comparer);
    if (comparer_outstanding(s->comparer))
        return;
    s->report.took_us = clock_mono_us() - s->began_us;
    loop_defer(s->loop, &s->done_later, on_done, s);
}

/* After what has come in was taken, so that batches are filled. */
static void pump_soon(struct spot *s)
{
    loop_defer(s->loop, &s->pump_later, pump, s);
}

static const enum drift kinds[COMPARE_VERDICTS] = {
    [COMPARE_MISSING] = DRIFT_MISSING, [COMPARE_EXTRA] = DRIFT_EXTRA, [COMPARE_TYPE] = DRIFT_TYPE,
    [COMPARE_VALUE] = DRIFT_VALUE,     [COMPARE_TTL] = DRIFT_TTL,
};

static void count_drift(struct spot *s, int db, struct bytes key, const struct compare_result *r)
{
    struct spot_report *to = &s->report;

    to->drift[kinds[r->verdict]]++;
    if (to->nfindings == ARRAY_LEN(to->findings))
        return;
    struct verify_finding *f = &to->findings[to->nfindings++];
    f->db = db;
    f->kind = kinds[r->verdict];
    bytes_escape(key, f->key, sizeof(f->key));
    judge_tell(r, f->what, sizeof(f->what));
}

static void count(struct spot *s, int db, struct bytes key, const struct compare_result *r)
{
    s->report.compared++;
    switch (r->verdict) {
    case COMPARE_EQUAL:
    case COMPARE_GONE:
        s->report.equal++;
        break;
    case COMPARE_MISSING:
    case COMPARE_EXTRA:
    case COMPARE_TYPE:
    case COMPARE_VALUE:
    case COMPARE_TTL:
        count_drift(s, db, key, r);
        break;
    default:
        s->report.unknown++;
    }
}

static void on_result(int db, struct bytes key, uint64_t tag, const struct compare_result *r, void *arg)
{
    struct spot *s = arg;

    suspects_move(s->names, (struct suspect *)(uintptr_t)tag, SUSPECT_WAITING, 0);
    count(s, db, key, r);
    pump_soon(s);
}

static void on_lost(int db, struct bytes key, uint64_t tag, enum compare_loss why, void *arg)
{
    struct spot *s = arg;
    (void)db, (void)key, (void)why;

    suspects_move(s->names, (struct suspect *)(uintptr_t)tag, SUSPECT_READY, 0);
    s->report.lost = true;
    pump_soon(s);
}

static void on_room(void *arg)
{
    pump_soon(arg);
}

static void on_up(void *arg)
{
    struct spot *s = arg;
    if (spot_is_up(s) && s->ev.up)
        s->ev.up(s->arg);
}

static void tell_up(struct spot *s)
{
    if (s->told_up || !spot_is_up(s))
        return;
    s->told_up = true;
    loop_defer(s->loop, &s->up_later, on_up, s);
}

static void on_compare_up(void *arg)
{
    tell_up(arg);
}

static void on_compare_down(int side, const char *why, void *arg)
{
    struct spot *s = arg;
    (void)side, (void)why;

    s->told_up = false;
    if (s->running && !s->done_later.queued)
        s->report.lost = true;
    pump_soon(s);
}

/* Gathering. */

static struct gatherer *gatherer_at(const struct spot *s, size_t i)
{
    return nodes_at(s->nodes, i)->made;
}

static void gather_over(struct spot *s)
{
    void (*fn)(void *arg) = s->gathered;

    s->gathering = false;
    s->gathered = NULL;
    if (fn)
        fn(s->gathered_arg);
}

/* So many replies of one node have come, or never will. */
static void replies_over(struct gatherer *g, unsigned n)
{
    struct spot *s = g->owner;

    g->left -= n;
    if (!s->gathering)
        return;
    for (size_t i = 0; i < nodes_count(s->nodes); i++)
        if (gatherer_at(s, i)->left)
            return;
    gather_over(s);
}

static void on_selected(struct conn *c, const struct reply *r, void *arg)
{
    struct gatherer *g = arg;
    (void)c;
    g->refused = !reply_is_ok(r);
}

static bool has_room(const struct spot *s, struct bytes key)
{
    return suspects_bytes(s->names) + suspect_cost(key.len) <= s->names_max;
}

static void add_gathered(struct spot *s, struct bytes key)
{
    struct suspect *n;

    if (suspects_find(s->names, s->gather_db, key) || !has_room(s, key))
        return;
    if (suspects_add(s->names, s->gather_db, key, &n) == 0)
        suspects_move(s->names, n, GATHERED, 0);
}

static void on_name(struct conn *c, const struct reply *r, void *arg)
{
    struct gatherer *g = arg;
    (void)c;

    if (!g->refused && r->type == REPLY_STRING && r->text.len <= KEY_NAME_MAX &&
        filter_name(g->owner->filter, r->text))
        add_gathered(g->owner, r->text);
    replies_over(g, 1);
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    const struct gatherer *g = arg;
    (void)c, (void)client_id;

    if (node_is_approved(g->node, id))
        return 0;
    *why = "another server answers there";
    return -EPERM;
}

static void on_conn_up(struct conn *c, void *arg)
{
    const struct gatherer *g = arg;
    (void)c;
    tell_up(g->owner);
}

static void on_conn_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct gatherer *g = arg;
    (void)c, (void)why, (void)was_up;

    g->owner->told_up = g->refused = g->selects = false;
    if (g->left)
        replies_over(g, g->left);
}

static int on_came(struct node *n, void *arg)
{
    static const struct conn_events events = {
        .identified = on_identified, .up = on_conn_up, .down = on_conn_down};
    struct spot *s = arg;
    const struct conn_options opt = {
        .endpoint = &n->endpoint, .role = s->role, .in_max = 64 * KIB, .out_max = MIB, .out_high = 512 * KIB};
    struct gatherer *g = calloc(1, sizeof(*g));
    int err = g ? 0 : -ENOMEM;

    if (err)
        return err;
    *g = (struct gatherer){.owner = s, .node = n};
    err = conn_new(s->loop, &opt, &events, g, &g->conn);
    if (err)
        free(g);
    else
        n->made = g;
    s->told_up = false;
    return err;
}

static void on_left(struct node *n, void *arg)
{
    struct gatherer *g = n->made;
    (void)arg;

    if (g->left)
        replies_over(g, g->left);
    conn_free(g->conn);
    free(g);
}

/* Its share of the names. */
static int gather_from(struct gatherer *g, int db, unsigned n)
{
    char select[32];

    int err = 0;
    if (db ||
        g->selects) { /* a connection begins in database 0; a service may have no other, and no SELECT */
        g->selects = true;
        snprintf(select, sizeof(select), "SELECT %d", db);
        err = conn_call_words(g->conn, on_selected, g, select);
    }
    while (!err && g->left < n) {
        err = conn_call_words(g->conn, on_name, g, "RANDOMKEY");
        g->left += !err;
    }
    return err;
}

/* What the owner calls. */

static int make_parts(struct spot *s, const struct compare_options *opt)
{
    static const struct compare_events compare_events = {
        .up = on_compare_up, .down = on_compare_down, .result = on_result, .lost = on_lost, .room = on_room};
    static const struct nodes_events nodes_events = {.came = on_came, .left = on_left};

    s->filter = opt->filter;
    int err = suspects_new(hash_seed_random(), &s->names);
    if (!err)
        err = comparer_new(s->loop, opt, &compare_events, s, &s->comparer);
    return err ? err : nodes_new(opt->source, opt->topology[0], &nodes_events, s, &s->nodes);
}

int spot_new(struct loop *l, const struct compare_options *opt, size_t names_max,
             const struct spot_events *ev, void *arg, struct spot **ret)
{
    struct spot *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->loop = l;
    s->ev = *ev;
    s->arg = arg;
    s->role = opt->role;
    s->names_max = names_max;
    int err = make_parts(s, opt);
    if (err) {
        spot_free(s);
        return err;
    }
    *ret = s;
    return 0;
}

static void drop_connections(struct spot *s)
{
    s->comparer = comparer_free(s->comparer);
    s->gathering = false;
    s->nodes = nodes_free(s->nodes);
    s->told_up = false;
    defer_cancel(s->loop, &s->pump_later);
    defer_cancel(s->loop, &s->done_later);
    defer_cancel(s->loop, &s->up_later);
}

struct spot *spot_free(struct spot *s)
{
    if (s) {
        drop_connections(s);
        suspects_free(s->names);
        free(s);
    }
    return NULL;
}

bool spot_is_up(const struct spot *s)
{
    if (!s->comparer || !comparer_is_whole(s->comparer))
        return false;
    for (size_t i = 0; i < nodes_count(s->nodes); i++)
        if (!conn_is_up(gatherer_at(s, i)->conn))
            return false;
    return true;
}

bool spot_add(struct spot *s, int db, struct bytes key)
{
    struct suspect *n = suspects_find(s->names, db, key);

    if (n && n->list == GATHERED)
        suspects_move(s->names, n, SUSPECT_READY, 0);
    if (n)
        return true;
    if (!has_room(s, key))
        return false;
    return suspects_add(s->names, db, key, &n) == 0;
}

void spot_clear(struct spot *s)
{
    static const enum suspect_list lists[] = {SUSPECT_READY, SUSPECT_WAITING, GATHERED};
    struct suspect *n;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        while ((n = suspects_first(s->names, lists[i])))
            suspects_drop(s->names, n);
}

int spot_gather(struct spot *s, int db, unsigned n, void (*fn)(void *arg), void *arg)
{
    size_t nodes = s->nodes ? nodes_count(s->nodes) : 0, asked = 0;
    unsigned share = MAX(1u, MIN(n, (unsigned)GATHER_MAX) / (unsigned)MAX(nodes, (size_t)1));
    int err = -ENOTCONN;

    if (s->gathering)
        return -EBUSY;
    for (size_t i = 0; i < nodes; i++) {
        err = gather_from(gatherer_at(s, i), db, share);
        asked += gatherer_at(s, i)->left;
    }
    if (!asked)
        return err;
    s->gathering = true;
    s->gather_db = db;
    s->gathered = fn;
    s->gathered_arg = arg;
    return 0;
}

/* In the order of before: those compared in an earlier run come first, and those gathered last. */
static void begin_anew(struct spot *s)
{
    struct suspect *n;

    while ((n = suspects_first(s->names, SUSPECT_READY)))
        suspects_move(s->names, n, SUSPECT_WAITING, 0);
    while ((n = suspects_first(s->names, SUSPECT_WAITING)))
        suspects_move(s->names, n, SUSPECT_READY, 0);
    while ((n = suspects_first(s->names, GATHERED)))
        suspects_move(s->names, n, SUSPECT_READY, 0);
}

int spot_run(struct spot *s, uint64_t budget_us)
{
    if (!s->comparer || !comparer_is_whole(s->comparer))
        return -ENOTCONN;
    if (s->running)
        return -EBUSY;
    begin_anew(s);
    s->report = (struct spot_report){.names = suspects_count(s->names)};
    s->running = true;
    s->began_us = clock_mono_us();
    s->budget_us = budget_us;
    pump(s);
    return 0;
}

void spot_approve(struct spot *s, int side, const char *address, const char *run_id)
{
    if (!s->comparer)
        return;
    comparer_approve(s->comparer, side, address, run_id);
    struct node *n = side == 0 ? nodes_approve(s->nodes, address, run_id) : NULL;
    struct conn *c = n ? ((struct gatherer *)n->made)->conn : NULL;
    if (c && conn_is_up(c) && !node_is_approved(n, conn_server(c)))
        conn_reset(c, "another server is to be compared");
}

void spot_close(struct spot *s)
{
    drop_connections(s);
    s->running = false;
}
