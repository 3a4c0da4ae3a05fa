/* lane_round.c - what a lane is at: rounds of scan and sweep, gaps, drains. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/lane_impl.h"

#define FUNCTIONS_RETRY_US 10000000
#define TARGET_STAYS_US    2000000 /* after so long without slots of the target changing nodes it is swept */
#define LONG_RETRY_US      600000000 /* keys with too long names: are they still there? Only a resync tells */

static void advance(void *arg);

void lane_advance(struct lane *l)
{
    loop_defer(l->loop, &l->advance_later, advance, l);
}

/* The scope. */

static struct scope_db *scope_find(struct lane *l, int db)
{
    for (size_t i = 0; i < l->nscope; i++)
        if (l->scope[i].db == db)
            return &l->scope[i];
    return NULL;
}

static bool scope_add(struct lane *l, int db)
{
    if (scope_find(l, db))
        return true;
    if (l->nscope == l->scope_cap) {
        size_t cap = l->scope_cap ? 2 * l->scope_cap : 16;
        struct scope_db *more = realloc(l->scope, cap * sizeof(*more));
        if (!more)
            return false;
        l->scope = more;
        l->scope_cap = cap;
    }
    l->scope[l->nscope++] = (struct scope_db){.db = db};
    return true;
}

/* The databases of the scope, all or those that were not scanned in this round, from malloc. NULL: memory is
 * out. */
static int *scope_dbs(const struct lane *l, bool unscanned, size_t *ret_n)
{
    int *dbs = calloc(MAX(l->nscope, (size_t)1), sizeof(*dbs));

    *ret_n = 0;
    for (size_t i = 0; dbs && i < l->nscope; i++)
        if (!unscanned || !l->scope[i].scanned)
            dbs[(*ret_n)++] = l->scope[i].db;
    return dbs;
}

int *lane_dbs(const struct lane *l, size_t *ret_n)
{
    return scope_dbs(l, false, ret_n);
}

static bool scope_is_listed(const struct lane *l)
{
    return l->opt.dbs != NULL;
}

bool lane_in_scope(struct lane *l, int db)
{
    return !scope_is_listed(l) || scope_find(l, db);
}

/* Databases that came up since. What is already there is scanned; what comes from now on is marked. */
void lane_scope_sample(struct lane *l, enum lane_side side, const struct watch_sample *s)
{
    bool counts =
        !scope_is_listed(l) && (side == LANE_SOURCE || (!l->opt.merge && l->opt.into_db == URL_DB_NONE));

    for (size_t i = 0; counts && i < s->ndbs; i++)
        if (!scope_add(l, s->dbs[i].db))
            lane_gap(l, "out of memory for the list of databases");
    if (counts && !s->has_keyspace && !scope_add(l, 0))
        lane_gap(l, "out of memory for the list of databases");
    l->has_sample |= side == LANE_SOURCE;
    /* A mark that names no database must have one to stand in, even while both sides are empty. */
    if (l->has_sample && target_is_known(l->target) && !l->nscope && !scope_add(l, 0))
        lane_gap(l, "out of memory for the list of databases");
    lane_advance(l);
}

static uint64_t keys_in_scope(struct lane *l)
{
    const struct watch_sample *s = watch_last(feed_watch(l->feed));
    uint64_t keys = 0;
    for (size_t i = 0; s && i < s->ndbs; i++)
        if (scope_find(l, s->dbs[i].db))
            keys += s->dbs[i].keys;
    return keys;
}

/* Gaps and rounds. */

void lane_drains_begin_again(struct lane *l)
{
    for (size_t i = 0; i < l->ndrains; i++)
        l->drains[i].barrier_passed = false;
    if (l->barrier == BARRIER_TARGET)
        l->barrier = BARRIER_NONE;
}

void lane_gap(struct lane *l, const char *reason)
{
    l->gaps++;
    snprintf(l->last_gap, sizeof(l->last_gap), "%s", reason);
    l->gap = true;
    if (!l->gap_us)
        l->gap_us = loop_now_us(l->loop);
    /* Nothing was copied yet, and the first round reads all: what is queued would only stand in its way. */
    if (!lane_has_begun(l)) {
        dirty_clear(l->dirty);
        l->dropped = true;
    }
    l->resuming = l->catching_up = false;
    lane_place_forget(l);
    l->scan_due = l->sweep_due = false;
    scanner_stop(l->scanner);
    sweep_stop(l->sweep);
    if (l->streams_scan == STREAMS_SCAN)
        l->streams_scan = STREAMS_SCAN_DUE;
    lane_drains_begin_again(l);
    lane_seal_fail(l, -ECANCELED, "changes may have been missed: %s", reason);
    l->ev.gap(l, reason, l->arg);
    if (l->phase != LANE_CONNECTING)
        lane_set_phase(l, LANE_GAP);
    lane_advance(l);
}

static bool may_begin_round(struct lane *l)
{
    return l->feed_ready && !l->paused && l->is_approved && target_is_approved(l->target) && l->has_sample &&
           target_is_known(l->target) && reader_is_up(l->reader) && target_is_up(l->target) &&
           (!l->round || dirty_live_memory(l->dirty) < dirty_budget(l->dirty) / 2);
}

/* Failed keys that are not kept by name are found again by the passes. */
static void forget_unnamed(struct lane *l)
{
    struct dirty_counts counts;

    dirty_counts(l->dirty, &counts);
    l->dropped |= counts.failed_unnamed > 0;
    dirty_forget_unnamed(l->dirty);
}

/* Scans the databases that this round has not seen. */
static void scan_more(struct lane *l)
{
    size_t n;
    int *dbs = scope_dbs(l, true, &n);
    int err = !dbs ? -ENOMEM
              : n  ? scanner_begin(l->scanner, dbs, n, l->scan_count, filter_scan_types(l->opt.filter))
                   : 0;

    free(dbs);
    l->scan_due = n > 0 && !err;
    if (err) {
        lane_gap(l, "out of memory for a scan");
        return;
    }
    for (size_t i = 0; i < l->nscope; i++)
        l->scope[i].scanned = true;
}

static bool scan_is_over(const struct lane *l)
{
    if (scanner_running(l->scanner))
        return false;
    for (size_t i = 0; i < l->nscope; i++)
        if (!l->scope[i].scanned)
            return false;
    return true;
}

static void begin_round(struct lane *l)
{
    bool crowded = l->conditions[LANE_OVERRUN].on;

    l->round++;
    l->gap = false;
    l->scan_count = crowded ? MAX(l->scan_count / 2, 10u) : l->opt.scan_count;
    l->need_sweep = !l->opt.merge && !(l->opt.unswept && l->round == 1);
    l->sweeping = SWEEP_NOT_YET;
    l->scanned = l->scan_done = l->long_keys = 0;
    l->estimated = keys_in_scope(l);
    l->scan_began_us = loop_now_us(l->loop);
    l->functions_wanted = true;
    l->no_strings = false;
    l->deletes_dropped = false;
    l->long_retry_us = loop_now_us(l->loop) + LONG_RETRY_US;
    forget_unnamed(l);
    /* What was read before it, and is gone since, may reach the target behind the sweep. */
    dirty_mark_flying(l->dirty, loop_now_us(l->loop));
    for (size_t i = 0; i < l->nscope; i++)
        l->scope[i].scanned = false;
    lane_condition(l, LANE_OVERRUN, NULL);
    lane_set_phase(l, LANE_SCAN);
    scan_more(l);
    lane_pump_soon(l);
}

/* A pass rests while enough of its marks are unread, so that memory stays bounded and live marks find room.
 */
static bool pass_may_go_on(struct lane *l)
{
    struct dirty_counts counts;
    dirty_counts(l->dirty, &counts);
    size_t most = MIN(MAX(SCAN_PAGES_AHEAD * l->scan_count, SCAN_MARKS_MIN), SCAN_MARKS_MAX);
    return !l->paused && counts.scan_queued + l->scan_count <= most &&
           dirty_live_memory(l->dirty) < dirty_budget(l->dirty) / 2 &&
           !(l->opt.slots && l->ev.crowded(l, l->arg));
}

/* Each node of the target in turn. -ENOTCONN: none has a slot now. */
static int set_sweep_targets(struct lane *l)
{
    size_t count = 0;

    for (struct target_node *n = target_nodes(l->target); n; n = n->next)
        count += target_counts(n);
    const struct endpoint **at = calloc(MAX(count, (size_t)1), sizeof(*at));
    if (!at)
        return -ENOMEM;
    count = 0;
    for (struct target_node *n = target_nodes(l->target); n; n = n->next)
        if (target_counts(n))
            at[count++] = n->endpoint;
    int err = count ? sweep_targets(l->sweep, at, count) : -ENOTCONN;
    free(at);
    return err;
}

static void begin_sweep(struct lane *l, bool census)
{
    size_t n;
    int *dbs = scope_dbs(l, false, &n);
    int err = dbs ? set_sweep_targets(l) : -ENOMEM;

    if (!err)
        err = sweep_begin(l->sweep, dbs, n, l->scan_count, census);
    free(dbs);
    if (err == -ENOTCONN)
        return; /* until one has */
    if (err) {
        lane_gap(l, "out of memory for a sweep");
        return;
    }
    l->sweeping = census ? SWEEP_CENSUS : SWEEP_MARKS;
    l->sweep_due = sweep_running(l->sweep);
    if (!l->sweep_due)
        l->sweeping = census ? SWEEP_COUNTED : SWEEP_DONE;
}

/* Keys may have gone from a node that was yet to be swept to one that had been: once the slots stay where
 * they are, it begins anew. */
void lane_sweep_again(struct lane *l)
{
    l->target_moved_us = loop_now_us(l->loop);
    if (l->phase < LANE_SWEEP || l->phase > LANE_LIVE)
        return;
    sweep_stop(l->sweep);
    l->sweep_due = false;
    l->sweeping = SWEEP_NOT_YET;
}

static bool target_stays(const struct lane *l)
{
    return !l->target_moved_us || loop_now_us(l->loop) - l->target_moved_us >= TARGET_STAYS_US;
}

static bool sweep_is_over(const struct lane *l)
{
    return !l->need_sweep || l->sweeping == SWEEP_DONE;
}

static void advance_sweep(struct lane *l)
{
    if (!target_stays(l) || !lane_seal_lets_copy(l))
        return;
    if (l->sweeping == SWEEP_NOT_YET && l->deletes_held)
        begin_sweep(l, true);
    else if ((l->sweeping == SWEEP_NOT_YET || l->sweeping == SWEEP_COUNTED) && !l->deletes_held)
        begin_sweep(l, false);
}

static void settle(struct lane *l)
{
    dirty_settle_begin(l->dirty, loop_now_us(l->loop));
    lane_set_phase(l, LANE_SETTLING);
    lane_pump_soon(l);
}

static bool functions_settled(const struct lane *l)
{
    bool waits = lane_functions_wait(l) && !l->functions_error[0] && !l->deletes_held;
    return !waits && !functions_busy(l->functions);
}

static void advance_phase(struct lane *l)
{
    if (l->catching_up && dirty_settled(l->dirty) && scan_is_over(l) && functions_settled(l)) {
        l->catching_up = false;
        lane_set_phase(l, LANE_LIVE);
    }
    if (!scanner_running(l->scanner) && !scan_is_over(l))
        scan_more(l);
    if (l->phase == LANE_SCAN && scan_is_over(l)) {
        l->need_sweep |= l->deletes_dropped;
        if (l->need_sweep)
            lane_set_phase(l, LANE_SWEEP);
        else
            settle(l);
    }
    if (l->phase == LANE_SWEEP) {
        advance_sweep(l);
        if (l->sweeping == SWEEP_DONE)
            settle(l);
    }
    if ((l->phase == LANE_SETTLING || l->phase == LANE_LIVE) && !sweep_is_over(l))
        advance_sweep(l);
    if (l->phase == LANE_SETTLING && dirty_settled(l->dirty) && scan_is_over(l) && sweep_is_over(l) &&
        functions_settled(l)) {
        struct feed_status status;
        feed_status(l->feed, &status);
        lane_set_phase(l, status.kind == FEED_NONE ? LANE_DONE : LANE_LIVE);
    }
}

/* Scan and sweep. */

void lane_take_long_key(struct lane *l, int db, struct bytes prefix, uint64_t length)
{
    char text[120];
    if (!l->long_keys++)
        sink_say(l->opt.sink, SINK_ERR, "long_key",
                 "a key of database %d has a name of %llu bytes, beyond what can be copied: %s...", db,
                 (unsigned long long)length, bytes_escape(prefix, text, sizeof(text)));
}

static void scan_key(int db, struct bytes key, void *arg)
{
    struct lane *l = arg;
    if (l->streams_scan == STREAMS_SCAN) {
        lane_take_mark(l, DIRTY_LIVE, db, key);
        return;
    }
    l->scanned++;
    lane_take_mark(l, DIRTY_SCAN, db, key);
}

static void scan_long_key(int db, struct bytes prefix, uint64_t length, void *arg)
{
    struct lane *l = arg;
    l->scanned++;
    lane_take_long_key(l, db, prefix, length);
}

static void scan_page(void *arg)
{
    struct lane *l = arg;
    l->scan_due = true;
    lane_advance(l);
}

static void scan_done(void *arg)
{
    struct lane *l = arg;
    if (l->streams_scan == STREAMS_SCAN)
        l->streams_scan = STREAMS_NO_SCAN;
    lane_advance(l);
}

static void scan_lost(const char *why, void *arg)
{
    lane_gap(arg, why);
}

static void scan_refused(const char *error, void *arg)
{
    lane_refused(arg, LANE_SOURCE, "SCAN: %s", error);
}

static int scan_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                           void *arg)
{
    (void)c, (void)client_id;
    return lane_identified(arg, id, why);
}

static void sweep_found(int db, struct bytes key, void *arg)
{
    lane_take_mark(arg, DIRTY_SCAN, db, key);
}

static bool sweep_wants(struct bytes key, void *arg)
{
    return lane_owns(arg, key);
}

static void sweep_page(void *arg)
{
    struct lane *l = arg;
    l->sweep_due = true;
    lane_advance(l);
}

static void sweep_done(void *arg)
{
    struct lane *l = arg;
    bool census = l->sweeping == SWEEP_CENSUS;

    l->sweeping = census ? SWEEP_COUNTED : SWEEP_DONE;
    if (!census && l->phase == LANE_SETTLING) /* it was swept again */
        dirty_settle_begin(l->dirty, loop_now_us(l->loop));
    if (census)
        l->ev.census(l, sweep_seen(l->sweep), sweep_missing(l->sweep), l->arg);
    lane_pump_soon(l); /* what rested beside it need not any more */
    lane_advance(l);
}

static void sweep_refused(bool by_source, const char *error, void *arg)
{
    struct lane *l = arg;
    const char *asked = filter_has_types(l->opt.filter) ? "TYPE" : "EXISTS";

    lane_refused(l, by_source ? LANE_SOURCE : LANE_TARGET, "%s: %s", by_source ? asked : "SCAN", error);
}

static int sweep_target_identified(struct conn *c, const struct server_id *id, uint64_t client_id,
                                   const char **why, void *arg)
{
    struct lane *l = arg;
    (void)c, (void)client_id;
    return lane_target_identified(l, sweep_target(l->sweep), id, why);
}

/* Streams and functions. */

static void stream_changed(int db, struct bytes key, void *arg)
{
    lane_take_mark(arg, DIRTY_LIVE, db, key);
}

static void streams_compared(void *arg)
{
    lane_advance(arg);
}

static void all_streams_again(struct lane *l)
{
    l->streams_moved = false;
    if (streams_complete(l->streams))
        streams_mark_all(l->streams);
    else
        l->streams_scan = STREAMS_SCAN_DUE;
}

void lane_groups_moved(struct lane *l)
{
    l->streams_moved = true;
    streams_compare(l->streams);
}

static void advance_streams(struct lane *l)
{
    if (l->streams_scan != STREAMS_SCAN_DUE || !scan_is_over(l))
        return;
    static const char *const streams[] = {"stream", NULL};
    size_t n;
    int *dbs = scope_dbs(l, false, &n);
    if (dbs && scanner_begin(l->scanner, dbs, n, l->scan_count, streams) == 0) {
        l->streams_scan = n ? STREAMS_SCAN : STREAMS_NO_SCAN;
        l->scan_due = n > 0;
    }
    free(dbs);
}

/* The next node of the target that is to have them. */
static struct target_node *functions_next(const struct lane *l)
{
    for (struct target_node *n = target_nodes(l->target); n; n = n->next)
        if (n->functions_due && target_counts(n))
            return n;
    return NULL;
}

bool lane_functions_wait(const struct lane *l)
{
    return !l->opt.without_functions && (l->functions_wanted || functions_next(l));
}

static void note_functions(struct target_node *n, enum functions_result result, uint64_t now_us)
{
    n->functions_due = result == FUNCTIONS_LOST || result == FUNCTIONS_REFUSED;
    n->watch_wrote |= result == FUNCTIONS_COPIED;
    if (result == FUNCTIONS_LOST)
        n->functions_lost_us = now_us;
}

static void functions_done(enum functions_result result, const char *text, void *arg)
{
    struct lane *l = arg;
    struct target_node *n = l->functions_to; /* NULL: it has left meanwhile */

    l->functions_wanted |= l->functions_moved;
    if (n)
        note_functions(n, result, loop_now_us(l->loop));
    if (result == FUNCTIONS_LOST)
        l->functions_retry_us = loop_now_us(l->loop) + FUNCTIONS_RETRY_US / 10;
    if (result == FUNCTIONS_REFUSED) { /* the owner sees it in the status, and tells of it */
        snprintf(l->functions_error, sizeof(l->functions_error), "%s", text);
        l->functions_retry_us = loop_now_us(l->loop) + FUNCTIONS_RETRY_US;
    } else if (result != FUNCTIONS_LOST) {
        l->functions_error[0] = '\0';
    }
    if (result == FUNCTIONS_COPIED)
        sink_say(l->opt.sink, SINK_INFO, "functions_copied", "the function libraries were copied");
    lane_advance(l);
}

static void copy_functions(struct lane *l, struct target_node *n)
{
    struct conn *target = watch_conn(n->watch);

    if (!conn_is_up(target) || !target_approves(n, conn_server(target)) || target_functions_may_be_late(n))
        return;
    l->functions_moved = false;
    l->functions_to = n;
    if (functions_copy(l->functions, watch_conn(feed_watch(l->feed)), target, functions_done, l) < 0)
        l->functions_retry_us = loop_now_us(l->loop) + FUNCTIONS_RETRY_US / 10;
}

/* To one node after the other. */
static void advance_functions(struct lane *l)
{
    if (!lane_functions_wait(l) || functions_busy(l->functions) || l->paused || l->deletes_held ||
        loop_now_us(l->loop) < l->functions_retry_us || !lane_seal_lets_copy(l))
        return;
    for (struct target_node *n = target_nodes(l->target); n && l->functions_wanted; n = n->next)
        n->functions_due = true;
    l->functions_wanted = false;
    struct target_node *next = functions_next(l);
    if (next)
        copy_functions(l, next);
}

/* Drains (R6). */

/* The target's watch list is read last: what it lost without our doing is a gap, and begins it again (R7). */
static void feed_barrier_done(int err, void *arg)
{
    struct lane *l = arg;

    lane_advance(l);
    l->barrier = err || l->gap ? BARRIER_NONE : BARRIER_TARGET;
    if (l->barrier == BARRIER_TARGET)
        target_read(l->target);
}

/* Where INFO counts no commands, groups may have moved at any time. */
static bool groups_are_counted(struct lane *l)
{
    const struct watch_sample *s = watch_last(feed_watch(l->feed));
    return s && s->has_stats;
}

static void barrier_passed(struct lane *l)
{
    size_t n = MIN(l->barrier_for, l->ndrains);

    l->barrier = BARRIER_NONE;
    lane_advance(l);
    for (size_t i = 0; i < n; i++) {
        l->drains[i].barrier_passed = true;
        if (l->drains[i].passed)
            l->drains[i].passed(l->drains[i].arg);
    }
    if (l->streams_moved || !groups_are_counted(l))
        all_streams_again(l);
    l->functions_wanted = true;
    l->functions_retry_us = 0;
}

static void advance_barrier(struct lane *l)
{
    bool wanted = false;
    for (size_t i = 0; i < l->ndrains; i++)
        wanted |= !l->drains[i].barrier_passed;
    if (!wanted || l->barrier != BARRIER_NONE || l->phase != LANE_LIVE || l->seal.step != SEAL_NONE)
        return;
    l->barrier_for = l->ndrains;
    if (feed_barrier(l->feed, feed_barrier_done, l) == 0)
        l->barrier = BARRIER_FEED;
}

bool lane_all_marked(struct lane *l)
{
    return l->phase == LANE_LIVE && !l->gap && scan_is_over(l) && sweep_is_over(l) &&
           l->streams_scan == STREAMS_NO_SCAN;
}

bool lane_nothing_pending(struct lane *l)
{
    struct dirty_counts counts;
    dirty_counts(l->dirty, &counts);
    return lane_all_marked(l) && !dirty_pending(&counts) && !counts.failed && !counts.failed_unnamed &&
           !l->long_keys && !l->deletes_dropped && !lane_functions_wait(l) && !functions_busy(l->functions);
}

static bool drain_is_over(struct lane *l, const struct drain *d)
{
    return d->barrier_passed && !d->held && (d->settles ? lane_all_marked(l) : lane_nothing_pending(l));
}

static void drop_drain(struct lane *l, size_t i)
{
    memmove(&l->drains[i], &l->drains[i + 1], (l->ndrains - i - 1) * sizeof(l->drains[0]));
    l->ndrains--;
    l->barrier_for -= l->barrier_for > i;
}

static void advance_drains(struct lane *l)
{
    advance_barrier(l);
    for (size_t i = 0; i < l->ndrains;) {
        struct drain d = l->drains[i];
        if (!drain_is_over(l, &d)) {
            i++;
            continue;
        }
        drop_drain(l, i);
        d.fn(d.arg);
    }
}

int lane_add_drain(struct lane *l, const struct drain *d)
{
    if (l->ndrains == DRAINS_MAX)
        return -EBUSY;
    l->drains[l->ndrains++] = *d;
    lane_advance(l);
    lane_pump_soon(l);
    return 0;
}

/* Another lane's barrier may have told what this one's had not. */
void lane_drain_look(struct lane *l, void *arg)
{
    if (l->streams_moved)
        all_streams_again(l);
    for (size_t i = 0; i < l->ndrains; i++)
        if (l->drains[i].arg == arg)
            l->drains[i].held = false;
    lane_advance(l);
}

int lane_drain(struct lane *l, void (*fn)(void *arg), void *arg)
{
    return lane_add_drain(l, &(struct drain){.fn = fn, .arg = arg});
}

int lane_settle(struct lane *l, void (*fn)(void *arg), void *arg)
{
    return l->phase == LANE_LIVE && !l->gap
               ? lane_add_drain(l, &(struct drain){.fn = fn, .arg = arg, .settles = true})
               : -ENOTCONN;
}

void lane_drain_cancel(struct lane *l, void *arg)
{
    for (size_t i = 0; i < l->ndrains; i++) {
        if (l->drains[i].arg != arg)
            continue;
        drop_drain(l, i);
        return;
    }
}

static void advance(void *arg)
{
    struct lane *l = arg;

    if (l->stopping)
        return;
    if (l->gap && may_begin_round(l) && !lane_resume(l))
        begin_round(l);
    if (!l->gap) {
        advance_phase(l);
        advance_streams(l);
    }
    if (lane_has_begun(l))
        advance_functions(l);
    if (l->scan_due && pass_may_go_on(l)) {
        l->scan_due = false;
        scanner_next(l->scanner);
    }
    if (l->sweep_due && pass_may_go_on(l)) {
        l->sweep_due = false;
        sweep_next(l->sweep);
    }
    if (l->ndrains)
        advance_drains(l);
    if (l->keeping.asked)
        lane_place_answer(l);
    lane_seal_advance(l);
    if (l->frozen)
        l->ev.landed(l, l->arg);
}

void lane_target_was_read(struct lane *l)
{
    if (l->barrier == BARRIER_TARGET && target_was_read(l->target))
        barrier_passed(l);
}

static int new_passes(struct lane *l)
{
    static const struct scanner_events scan_events = {.key = scan_key,
                                                      .long_key = scan_long_key,
                                                      .page = scan_page,
                                                      .done = scan_done,
                                                      .lost = scan_lost,
                                                      .refused = scan_refused,
                                                      .identified = scan_identified};
    static const struct sweep_events sweep_events = {.wanted = sweep_wants,
                                                     .missing = sweep_found,
                                                     .page = sweep_page,
                                                     .done = sweep_done,
                                                     .lost = scan_lost,
                                                     .refused = sweep_refused,
                                                     .source_identified = scan_identified,
                                                     .target_identified = sweep_target_identified};
    static const struct streams_events streams_events = {
        .changed = stream_changed, .compared = streams_compared, .identified = scan_identified};
    const struct target_node *first = target_nodes(l->target);
    int err = scanner_new(l->loop, l->opt.source, "scan", &scan_events, l, &l->scanner);
    if (!err)
        err = sweep_new(l->loop, l->opt.source, first ? first->endpoint : l->opt.target, l->opt.into_db,
                        l->opt.filter, &sweep_events, l, &l->sweep);
    if (!err)
        err = streams_new(l->loop, l->opt.source, hash_seed_random(), (size_t)l->opt.memory / 8,
                          &streams_events, l, &l->streams);
    return err ? err : functions_new(l->opt.merge || l->opt.filter, &l->functions);
}

int lane_round_new(struct lane *l)
{
    l->gap = l->feed_missed = true;
    l->resuming = l->opt.place.feed.replid[0] != '\0';
    l->scan_count = l->opt.scan_count;
    for (size_t i = 0; i < l->opt.place.ndbs && !l->opt.dbs; i++)
        if (!scope_add(l, l->opt.place.dbs[i]))
            return -ENOMEM;
    for (size_t i = 0; i < l->opt.ndbs; i++)
        if (!scope_add(l, l->opt.dbs[i]))
            return -ENOMEM;
    int err = new_passes(l);
    return err ? err : lane_new_feed(l);
}

/* Once a second. */
void lane_round_tick(struct lane *l)
{
    lane_place_tick(l);
    if (l->long_keys && !l->gap && loop_now_us(l->loop) >= l->long_retry_us)
        lane_gap(l, "keys with names too long to be copied are looked for again");
    lane_advance(l);
}
