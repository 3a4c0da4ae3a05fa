/* spot.c - see spot.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/verify/judge.h"
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

struct spot {
    struct loop *loop;
    struct spot_events ev;
    void *arg;
    struct comparer *comparer;
    struct conn *conn; /* to the source, for names */
    char run_id[RUN_ID_MAX];
    struct suspects *names;
    size_t names_max;
    bool told_up;

    bool running;
    uint64_t began_us, budget_us;
    struct spot_report report;
    struct defer pump_later, done_later, up_later;

    unsigned gathering; /* replies still to come */
    int gather_db;
    bool gather_refused;
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

static void on_lost(int db, struct bytes key, uint64_t tag, void *arg)
{
    struct spot *s = arg;
    (void)db, (void)key;

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

static void gather_over(struct spot *s)
{
    void (*fn)(void *arg) = s->gathered;

    s->gathering = 0;
    s->gathered = NULL;
    if (fn)
        fn(s->gathered_arg);
}

static void on_selected(struct conn *c, const struct reply *r, void *arg)
{
    struct spot *s = arg;
    (void)c;
    s->gather_refused = !reply_is_ok(r);
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
    struct spot *s = arg;
    (void)c;

    if (!s->gather_refused && r->type == REPLY_STRING && r->text.len <= KEY_NAME_MAX)
        add_gathered(s, r->text);
    if (--s->gathering == 0)
        gather_over(s);
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    struct spot *s = arg;
    (void)c, (void)client_id;

    if (strcmp(s->run_id, id->run_id) == 0)
        return 0;
    *why = "another server answers there";
    return -EPERM;
}

static void on_conn_up(struct conn *c, void *arg)
{
    (void)c;
    tell_up(arg);
}

static void on_conn_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct spot *s = arg;
    (void)c, (void)why, (void)was_up;

    s->told_up = false;
    if (s->gathering)
        gather_over(s);
}

/* What the owner calls. */

static int make_parts(struct spot *s, const struct compare_options *opt)
{
    static const struct compare_events compare_events = {
        .up = on_compare_up, .down = on_compare_down, .result = on_result, .lost = on_lost, .room = on_room};
    static const struct conn_events conn_events = {
        .identified = on_identified, .up = on_conn_up, .down = on_conn_down};
    const struct conn_options conn_opt = {.endpoint = opt->source,
                                          .role = opt->role,
                                          .in_max = 64 * KIB,
                                          .out_max = MIB,
                                          .out_high = 512 * KIB};

    snprintf(s->run_id, sizeof(s->run_id), "%s", opt->run_id[0]);
    int err = suspects_new(hash_seed_random(), &s->names);
    if (!err)
        err = comparer_new(s->loop, opt, &compare_events, s, &s->comparer);
    return err ? err : conn_new(s->loop, &conn_opt, &conn_events, s, &s->conn);
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
    s->conn = conn_free(s->conn);
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
    return s->comparer && comparer_is_up(s->comparer) && conn_is_up(s->conn);
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
    char select[32];

    if (!s->conn || !conn_is_up(s->conn))
        return -ENOTCONN;
    if (s->gathering)
        return -EBUSY;
    snprintf(select, sizeof(select), "SELECT %d", db);
    int err = conn_call_words(s->conn, on_selected, s, select);
    n = MAX(1u, MIN(n, (unsigned)GATHER_MAX));
    unsigned asked = 0;
    while (!err && asked < n) {
        err = conn_call_words(s->conn, on_name, s, "RANDOMKEY");
        asked += !err;
    }
    if (!asked)
        return err;
    s->gathering = asked;
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
    if (!s->comparer || !comparer_is_up(s->comparer))
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

void spot_approve(struct spot *s, int side, const char *run_id)
{
    if (!s->comparer)
        return;
    comparer_approve(s->comparer, side, run_id);
    if (side != 0)
        return;
    snprintf(s->run_id, sizeof(s->run_id), "%s", run_id);
    if (conn_is_up(s->conn) && strcmp(conn_server(s->conn)->run_id, run_id) != 0)
        conn_reset(s->conn, "another server is to be compared");
}

void spot_close(struct spot *s)
{
    drop_connections(s);
    s->running = false;
}
