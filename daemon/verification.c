#include "daemon/verification.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/verification_clocks.h"
#include "lib/core/clock.h"
#include "lib/core/text.h"

#define TICK_US          1000000
#define PROGRESS_TICKS   30
#define TTL_TOLERANCE_MS 5         /* beside the difference of the clocks */
#define MEMORY_SHARE     8         /* this part of limits.memory, and at least so much: */
#define MEMORY_MIN       (4 * MIB) /* as many differences as are counted exactly fit into it */
#define TOLD_KEYS        3         /* of what differs, by the journal's line */
#define DBS_TEXT_MAX     96
#define LOST_TICKS       30

/* One verify, as it was asked for. */
struct run {
    struct verification_options opt;
    char match[VERIFICATION_MATCH_MAX];
    int *dbs;
    size_t ndbs;
    uint64_t operation; /* 0: it was asked for by fn's owner */
    verification_fn *fn;
    void *arg;
    int64_t began_ms;
};

struct verification {
    struct loop *loop;
    const struct config *config;
    struct link *link;
    struct operations *operations;
    struct log *log;
    struct timer *tick;
    unsigned ticks;

    bool runs;
    struct run now;
    struct clocks *clocks; /* first they are measured ... */
    struct verify *verify; /* ... then both sides are compared */
    const char *ended_by;  /* why it was stopped; NULL: it was not */
    unsigned lost_ticks;   /* so long a server was waited for */
    char gave_up[160];     /* which one, after which nothing can be said; "" */
    struct defer end_later;

    bool has_last;
    struct run before; /* what `last` was asked for: no more than its options and match */
    struct verify_report last;
    bool holds;
    uint64_t gaps; /* of the lane, when the last one ended */
};

static uint64_t gaps_of(struct lanes *l)
{
    struct lane_generation generation;
    lanes_generation(l, &generation);
    return generation.gaps;
}

/* In a cutover the feed is live too. */
static bool is_settled_state(enum link_state s)
{
    return s == LINK_LIVE || s == LINK_CUTOVER;
}

/* What verify asks the lane. Without one it is being stopped. */

static bool is_dirty(int db, struct bytes key, void *arg)
{
    struct lanes *l = link_lanes(((struct verification *)arg)->link);
    return l && lanes_is_dirty(l, db, key);
}

static void mark(int db, struct bytes key, void *arg)
{
    struct lanes *l = link_lanes(((struct verification *)arg)->link);
    if (l)
        lanes_mark(l, db, key);
}

/* After a gap, and while copying rests, what differs says nothing. */
static int settle(void (*fn)(void *fn_arg), void *fn_arg, void *arg)
{
    struct verification *v = arg;
    struct lanes *l = link_lanes(v->link);

    return l && is_settled_state(link_state(v->link)) ? lanes_settle(l, fn, fn_arg) : -ENOTCONN;
}

static void settle_cancel(void *fn_arg, void *arg)
{
    link_drain_cancel(((struct verification *)arg)->link, fn_arg);
}

/* Its end. */

static void tell_drift(const struct verification *v, const struct verify_report *r)
{
    char keys[TOLD_KEYS * 320] = "";
    size_t at = 0;

    for (size_t i = 0; i < MIN(r->nfindings, (size_t)TOLD_KEYS); i++)
        at += (size_t)snprintf(keys + at, sizeof(keys) - at, "%s \"%s\" of database %d: %s", i ? ";" : "",
                               r->findings[i].key, r->findings[i].db, drift_name(r->findings[i].kind));
    log_event_fields(v->log, EVENT_VERIFY_DRIFT, LOG_FIELDS(LOG_NUMBER(DRIFT, verification_drift(r))),
                     "the target differs from the source, such as in%s. See: riotctl verify --last",
                     at ? keys : " keys that cannot be named");
}

static void tell_end(const struct verification *v, const struct verify_report *r)
{
    char text[VERIFICATION_TEXT_MAX];

    log_event_fields(v->log, EVENT_VERIFY_ENDED,
                     LOG_FIELDS(LOG_TEXT(VERDICT, verify_verdict_name(r->verdict)),
                                LOG_NUMBER(COMPARED_KEYS, r->compared),
                                LOG_NUMBER(DRIFT, verification_drift(r))),
                     "the verify ended: %s", verification_verdict_text(r, text));
    if (r->verdict == VERIFY_DRIFT)
        tell_drift(v, r);
}

/* Of all keys, and not more lenient than it is by itself. */
static bool is_full(const struct run *run)
{
    const struct verification_options *o = &run->opt;
    return !o->sample && !o->match && o->db < 0 && o->ttl_tolerance_ms <= TTL_TOLERANCE_MS;
}

/* A part that is equal says nothing of the whole; one that differs does. */
static void note_whether_it_holds(struct verification *v)
{
    struct lanes *l = link_lanes(v->link);

    switch (v->last.verdict) {
    case VERIFY_CLEAN:
        if (!is_full(&v->now) || !l)
            break;
        v->holds = true;
        v->gaps = gaps_of(l);
        break;
    case VERIFY_DRIFT:
    case VERIFY_INCONCLUSIVE:
        v->holds = false;
        break;
    case VERIFY_RUNNING:
    case VERIFY_STOPPED:
        break;
    }
}

static void keep_last(struct verification *v)
{
    free(v->now.dbs);
    v->now.dbs = NULL;
    v->before = v->now;
    if (v->before.opt.match)
        v->before.opt.match = v->before.match;
    v->has_last = true;
    note_whether_it_holds(v);
}

static void end(void *arg)
{
    struct verification *v = arg;
    char text[VERIFICATION_TEXT_MAX];
    struct run was = v->now;

    (void)verification_report(v, &v->last);
    if (v->last.verdict == VERIFY_RUNNING)
        v->last.verdict = VERIFY_STOPPED;
    if (!v->last.ended_ms)
        v->last.ended_ms = clock_wall_ms();
    if (v->last.verdict == VERIFY_STOPPED && v->ended_by)
        snprintf(v->last.reason, sizeof(v->last.reason), "%s", v->ended_by);
    if (v->last.verdict == VERIFY_STOPPED && v->gave_up[0])
        v->last.verdict = VERIFY_INCONCLUSIVE;
    timer_clear(v->tick);
    v->clocks = clocks_free(v->clocks);
    v->verify = verify_free(v->verify);
    v->runs = false;
    keep_last(v);
    tell_end(v, &v->last);
    if (was.fn)
        was.fn(&v->last, was.arg);
    else
        operation_end(v->operations, was.operation, verify_verdict_name(v->last.verdict),
                      verification_exit(&v->last), "%s", verification_verdict_text(&v->last, text));
}

static void stop(struct verification *v, const char *by)
{
    if (!v->runs || v->ended_by)
        return;
    v->ended_by = by;
    if (v->verify)
        verify_stop(v->verify);
    else
        loop_defer(v->loop, &v->end_later, end, v);
}

/* Whom the link has taken for the server that it was, after a restart too. */
static void approve(enum lane_side side, const char *address, void *arg)
{
    struct verification *v = arg;
    struct lanes *l = link_lanes(v->link);

    if (l)
        verify_approve(v->verify, (int)side, address, lanes_approved(l, side, address));
}

static void follow_approved(struct verification *v)
{
    for (enum lane_side side = LANE_SOURCE; v->verify && side <= LANE_TARGET; side++)
        link_each_primary(v->link, side, approve, v);
}

/* Its begin. */

struct keys {
    struct lanes *lanes;
    const int *dbs;
    size_t ndbs;
    uint64_t sum;
};

static void add_keys(enum lane_side side, const char *address, void *arg)
{
    struct keys *k = arg;
    const struct watch_sample *s = lanes_last_sample(k->lanes, side, address);

    for (size_t i = 0; s && i < s->ndbs; i++)
        for (size_t j = 0; j < k->ndbs; j++)
            k->sum += s->dbs[i].db == k->dbs[j] ? s->dbs[i].keys : 0;
}

static uint64_t keys_in(const struct verification *v, enum lane_side side, const int *dbs, size_t ndbs)
{
    struct keys k = {.lanes = link_lanes(v->link), .dbs = dbs, .ndbs = ndbs};

    if (k.lanes)
        link_each_primary(v->link, side, add_keys, &k);
    return k.sum;
}

static void fill_options(struct verification *v, uint64_t tolerance_ms, struct verify_options *ret)
{
    const struct run *run = &v->now;
    int into = link_into_db(v->link);
    bool merge = v->config->existing_keys == EXISTING_MERGE;

    *ret = (struct verify_options){
        .compare = {.source = link_endpoint(v->link, LANE_SOURCE),
                    .target = link_endpoint(v->link, LANE_TARGET),
                    .topology = {link_topology(v->link, LANE_SOURCE), link_topology(v->link, LANE_TARGET)},
                    .into_db = into,
                    .ttl_tolerance_ms = tolerance_ms,
                    .role = "verify",
                    .loose = v->config->feed != FEED_NONE,
                    .filter = v->config->filter},
        .dbs = run->dbs,
        .ndbs = run->ndbs,
        .merge = merge,
        .sample = run->opt.sample,
        .keys = keys_in(v, LANE_SOURCE, run->dbs, run->ndbs),
        .target_keys = merge                 ? 0
                       : into == URL_DB_NONE ? keys_in(v, LANE_TARGET, run->dbs, run->ndbs)
                                             : keys_in(v, LANE_TARGET, &into, 1),
        .match = run->opt.match,
        .keys_per_s = run->opt.keys_per_s,
        .rounds = run->opt.rounds ? run->opt.rounds : VERIFY_ROUNDS_DEFAULT,
        .scan_count = (unsigned)v->config->scan_count,
        .repair = run->opt.repair,
        .memory = MAX(MEMORY_MIN, (size_t)v->config->limit_memory / MEMORY_SHARE),
    };
}

static void compare(struct verification *v, uint64_t tolerance_ms)
{
    static const struct verify_events events = {
        .is_dirty = is_dirty, .mark = mark, .settle = settle, .settle_cancel = settle_cancel, .done = end};
    struct verify_options opt;

    if (!link_lanes(v->link)) {
        stop(v, "the link no longer runs");
        return;
    }
    fill_options(v, tolerance_ms, &opt);
    if (verify_new(v->loop, &opt, &events, v, &v->verify) < 0)
        stop(v, "memory is out");
    else
        follow_approved(v);
}

static void clocks_measured(bool known, uint64_t difference_ms, void *arg)
{
    struct verification *v = arg;

    v->clocks = clocks_free(v->clocks);
    if (known)
        log_debug(v->log, "the clocks of the servers are %" PRIu64 " ms apart", difference_ms);
    else
        log_debug(v->log, "the difference of the servers' clocks cannot be measured");
    if (!v->ended_by)
        compare(v, TTL_TOLERANCE_MS + difference_ms);
}

static int measure_clocks(struct verification *v)
{
    const struct endpoint *const endpoints[] = {link_endpoint(v->link, LANE_SOURCE),
                                                link_endpoint(v->link, LANE_TARGET)};
    struct topology *const topologies[] = {link_topology(v->link, LANE_SOURCE),
                                           link_topology(v->link, LANE_TARGET)};

    return clocks_new(v->loop, endpoints, topologies, clocks_measured, v, &v->clocks);
}

static void tell_begin(const struct verification *v)
{
    const struct verification_options *o = &v->now.opt;
    char sample[64] = "", match[VERIFICATION_MATCH_MAX + 32] = "", db[32] = "", count[TEXT_MAX];

    if (o->sample)
        snprintf(sample, sizeof(sample), ", about %s keys of each", text_count(o->sample, count));
    if (o->match)
        snprintf(match, sizeof(match), ", names that match \"%s\"", o->match);
    if (o->db >= 0)
        snprintf(db, sizeof(db), ", database %d", o->db);
    log_event(v->log, EVENT_VERIFY_STARTED, "a verify began: both sides are compared%s%s%s%s", db, match,
              sample, o->repair ? "; what differs is copied again" : "");
}

static int look_at_state(struct verification *v, bool in_cutover, char why[LINK_WHY_MAX])
{
    enum link_state s = link_state(v->link);

    if (v->runs)
        return link_refuse(why, -EBUSY,
                           "a verify runs already: see riotctl status, or end it: riotctl verify --stop");
    if (!link_lanes(v->link) || !(s == LINK_LIVE || (in_cutover && s == LINK_CUTOVER)))
        return link_refuse(why, -EPERM, "the link is %s: verify works in live", link_state_name(s));
    return 0;
}

static const char *list_dbs(const int *dbs, size_t n, char out[DBS_TEXT_MAX])
{
    size_t at = 0;

    snprintf(out, DBS_TEXT_MAX, "none");
    for (size_t i = 0; i < n && at < DBS_TEXT_MAX - 20; i++)
        at += (size_t)snprintf(out + at, DBS_TEXT_MAX - at, "%s%d", i ? ", " : "", dbs[i]);
    if (at >= DBS_TEXT_MAX - 20)
        snprintf(out + at, DBS_TEXT_MAX - at, ", ...");
    return out;
}

static int find_dbs(struct verification *v, int wanted, struct run *run, char why[LINK_WHY_MAX])
{
    char list[DBS_TEXT_MAX];
    size_t i = 0;

    run->dbs = link_dbs(v->link, &run->ndbs);
    if (!run->dbs)
        return link_refuse(why, -ENOMEM, "memory is out");
    if (wanted < 0)
        return 0;
    while (i < run->ndbs && run->dbs[i] != wanted)
        i++;
    if (i == run->ndbs)
        return link_refuse(why, -EINVAL,
                           "database %d has no keys, or is not in the link's scope; in it are: %s", wanted,
                           list_dbs(run->dbs, run->ndbs, list));
    run->dbs[0] = wanted;
    run->ndbs = 1;
    return 0;
}

static int prepare(struct verification *v, bool in_cutover, const struct verification_options *opt,
                   struct run *run, char why[LINK_WHY_MAX])
{
    int err = look_at_state(v, in_cutover, why);
    if (err)
        return err;
    if (opt->match && strlen(opt->match) >= VERIFICATION_MATCH_MAX)
        return link_refuse(why, -EINVAL, "the pattern is longer than %d bytes", VERIFICATION_MATCH_MAX - 1);
    run->opt = *opt;
    run->began_ms = clock_wall_ms();
    return find_dbs(v, opt->db, run, why);
}

static void begin(struct verification *v, const struct run *run)
{
    v->now = *run;
    if (run->opt.match) {
        snprintf(v->now.match, sizeof(v->now.match), "%s", run->opt.match);
        v->now.opt.match = v->now.match;
    }
    v->runs = true;
    v->ended_by = NULL;
    v->ticks = 0;
    timer_set(v->tick, TICK_US);
    tell_begin(v);
    if (run->opt.ttl_tolerance_ms >= 0)
        compare(v, (uint64_t)run->opt.ttl_tolerance_ms);
    else if (measure_clocks(v) < 0)
        stop(v, "memory is out");
}

int verification_start(struct verification *v, const struct verification_options *opt, char why[LINK_WHY_MAX],
                       uint64_t *ret_operation)
{
    struct run run = {0};
    int err = prepare(v, false, opt, &run, why);

    if (!err && operation_begin(v->operations, verbs[VERB_VERIFY].name, &run.operation) < 0)
        err = link_refuse(why, -EBUSY, OPERATIONS_BUSY);
    if (err) {
        free(run.dbs);
        return err;
    }
    operation_text(v->operations, run.operation, "compares both sides");
    begin(v, &run);
    *ret_operation = run.operation;
    return 0;
}

int verification_run(struct verification *v, const struct verification_options *opt, char why[LINK_WHY_MAX],
                     verification_fn *fn, void *arg)
{
    struct run run = {.fn = fn, .arg = arg};
    int err = prepare(v, true, opt, &run, why);

    if (err)
        free(run.dbs);
    else
        begin(v, &run);
    return err;
}

int verification_stop(struct verification *v, char why[LINK_WHY_MAX])
{
    if (!v->runs)
        return link_refuse(why, -ENOENT, "no verify runs");
    stop(v, "it was asked to end");
    return 0;
}

void verification_lane_gone(struct verification *v)
{
    v->holds = false;
    stop(v, "the link no longer runs");
}

/* While it runs. */

/* A failover takes less. What is not there cannot be said to be equal. */
static void give_up_lost(struct verification *v, const struct verify_report *r)
{
    v->lost_ticks = r->lost ? v->lost_ticks + 1 : 0;
    if (v->lost_ticks < LOST_TICKS || v->ended_by)
        return;
    snprintf(v->gave_up, sizeof(v->gave_up), "a server did not come back for %d s: %.110s", LOST_TICKS,
             r->waiting);
    stop(v, v->gave_up);
}

static void ticked(void *arg)
{
    struct verification *v = arg;
    struct verify_report *r = calloc(1, sizeof(*r));
    char text[VERIFICATION_TEXT_MAX];

    timer_set(v->tick, TICK_US);
    follow_approved(v);
    if (!r)
        return;
    (void)verification_report(v, r);
    verification_progress_text(r, text);
    operation_text(v->operations, v->now.operation, "%s", text);
    if (++v->ticks % PROGRESS_TICKS == 0)
        log_event_fields(v->log, EVENT_PROGRESS,
                         LOG_FIELDS(LOG_NUMBER(PERCENT, (uint64_t)r->percent),
                                    LOG_NUMBER(COMPARED_KEYS, r->compared),
                                    LOG_NUMBER(KEYS_PER_S, (uint64_t)r->keys_per_s),
                                    LOG_NUMBER(ETA_MS, (uint64_t)r->eta_ms)),
                         "verify: %s", text);
    give_up_lost(v, r);
    free(r);
}

/* The whole. */

int verification_new(struct loop *loop, const struct config *config, struct link *link,
                     struct operations *ops, struct log *log, struct verification **ret)
{
    struct verification *v = calloc(1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    v->loop = loop;
    v->config = config;
    v->link = link;
    v->operations = ops;
    v->log = log;
    int err = timer_new(loop, ticked, v, &v->tick);
    if (err) {
        free(v);
        return err;
    }
    *ret = v;
    return 0;
}

struct verification *verification_free(struct verification *v)
{
    if (!v)
        return NULL;
    defer_cancel(v->loop, &v->end_later);
    clocks_free(v->clocks);
    verify_free(v->verify);
    timer_free(v->tick);
    free(v->now.dbs);
    free(v);
    return NULL;
}

bool verification_runs(const struct verification *v)
{
    return v->runs;
}

bool verification_report(const struct verification *v, struct verify_report *ret)
{
    if (!v->runs) {
        *ret = v->last;
        return v->has_last;
    }
    if (v->verify) {
        verify_read(v->verify, ret);
        return true;
    }
    *ret = (struct verify_report){.verdict = VERIFY_RUNNING,
                                  .repair = v->now.opt.repair,
                                  .sampled = v->now.opt.sample != 0,
                                  .began_ms = v->now.began_ms,
                                  .eta_ms = -1};
    snprintf(ret->waiting, sizeof(ret->waiting), "%s", v->clocks ? clocks_waiting(v->clocks) : "");
    ret->lost = ret->waiting[0] != '\0';
    return true;
}

const struct verify_report *verification_last(const struct verification *v)
{
    return v->has_last ? &v->last : NULL;
}

const struct verification_options *verification_asked(const struct verification *v, bool last)
{
    return v->runs && !last ? &v->now.opt : &v->before.opt;
}

bool verification_holds(const struct verification *v)
{
    struct lanes *l = link_lanes(v->link);
    return v->holds && l && gaps_of(l) == v->gaps;
}
