/* lane_copy.c - from the dirty set to the target: what is read when, and what the answers mean. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/redis/encode.h"
#include "lib/copy/flights.h"
#include "lib/copy/lane_impl.h"
#include "lib/redis/refusal.h"

#define READ_AHEAD_BYTES                                                                                     \
    (4 * MIB) /* expected in the source's output buffer: it counts there as memory in use */
#define WINDOW_MIN      8
#define HELD_RETRY_US   1000000 /* a deletion that is held */
#define HELD_WAIT_US    3000000 /* most often they are let go by then, as after a failover */
#define KEY_RETRY_US    100000  /* doubled with each try, up to 5 s */
#define KEY_MOVED_US    100000  /* to be read where it is, once that is known */
#define KEY_TRIES       6
#define FAILED_RETRY_US 60000000
#define REGROUPING_US   2000000 /* no word of it before */
#define REFUSAL_OVER_US 3000000 /* without a refusal: the server accepts again */

static void pump(void *arg);

void lane_pump_soon(struct lane *l)
{
    loop_defer(l->loop, &l->pump_later, pump, l);
}

static void pump_at(struct lane *l, uint64_t when_us)
{
    uint64_t now_us = loop_now_us(l->loop);
    if (when_us != UINT64_MAX)
        timer_set(l->pump_timer, when_us > now_us ? when_us - now_us : 0);
}

/* The one way into the dirty set: what is out of scope is nobody's here. */
void lane_take_mark(struct lane *l, enum dirty_class class, int db, struct bytes key)
{
    if (!filter_name(l->opt.filter, key))
        return;
    if (!lane_owns(l, key)) {
        l->ev.stray(l, class, db, key, l->arg);
        return;
    }
    int err = dirty_mark(l->dirty, class, db, key, loop_now_us(l->loop));
    if (err == 0) {
        lane_pump_soon(l);
        return;
    }
    l->dropped = true;
    if (!l->conditions[LANE_OVERRUN].on) {
        lane_condition(l, LANE_OVERRUN,
                       "more keys changed than limits.memory has room for; a resync follows");
        lane_gap(l, "overrun: more keys changed than limits.memory has room for");
    }
}

/* What is asked for comes, whatever it weighs: with bytes_per_s, no more than may come at once, but for one.
 */
static size_t window(const struct lane *l)
{
    bool limited = l->bytes_rate.per_s > 0;
    double bytes = limited ? MIN(rate_burst(&l->bytes_rate), READ_AHEAD_BYTES) : READ_AHEAD_BYTES;
    double least = limited ? 1 : WINDOW_MIN, most = (double)l->share.window;
    double n = l->mean_bytes > 0 ? bytes / l->mean_bytes : limited ? WINDOW_MIN : most;
    return (size_t)MIN(MAX(n, least), most);
}

/* Expected sizes follow large values at once, and small ones slowly. */
static void learn_size(struct lane *l, uint64_t bytes)
{
    double n = (double)bytes;
    if (n > 8 * l->mean_bytes)
        l->mean_bytes = MAX(l->mean_bytes, n / 8);
    l->mean_bytes += (n - l->mean_bytes) / 64;
}

/* Of the keys that are read. */
static size_t in_flight(const struct lane *l)
{
    struct dirty_counts counts;
    dirty_counts(l->dirty, &counts);
    return counts.in_flight - l->unread;
}

static bool may_copy(struct lane *l)
{
    return lane_has_begun(l) && !l->paused && !l->stopping && !l->frozen && lane_seal_lets_copy(l) &&
           reader_is_up(l->reader) && target_is_up(l->target);
}

/* When both servers take requests again; 0: now. */
static uint64_t refused_until(const struct lane *l)
{
    return MAX(l->refusing[LANE_SOURCE].until_us, l->refusing[LANE_TARGET].until_us);
}

/* It is on its way no longer: there is room for another. */
static void landed(struct lane *l, struct dirty_key *k)
{
    if (k->alone)
        l->alone_in_flight = false;
    l->unread -= k->unread;
    k->unread = false;
    if (l->frozen)
        lane_advance(l);
    lane_pump_soon(l);
}

static void fail_key(struct lane *l, struct dirty_key *k, const char *reason)
{
    landed(l, k);
    if (!k->again) /* marked meanwhile: it is looked at again first */
        l->ev.key_failed(l, k->db, dirty_name(k), reason, l->arg);
    dirty_fail(l->dirty, k, reason);
}

static void wait_for_node(struct lane *l, struct dirty_key *k)
{
    landed(l, k);
    dirty_put_back(l->dirty, k, loop_now_us(l->loop), KEY_MOVED_US);
}

/* NULL: no node of the target has its slot, for now, and the key waits. */
static inline struct target_node *node_of(struct lane *l, struct dirty_key *k)
{
    struct target_node *n = target_of(l->target, k);

    if (!n)
        wait_for_node(l, k);
    return n;
}

/* False: not now. The key is where it was then. */
static bool send_read(struct lane *l, struct dirty_key *k)
{
    if (reader_read(l->reader, k) == 0)
        return true;
    dirty_put_back(l->dirty, k, loop_now_us(l->loop), 0);
    return false;
}

/* Where types are filtered, what the target has under that name is asked first: it may be out of scope, and
 * then stays as it is. A database that the target does not have is dealt with when the source has answered.
 */
static bool send_type(struct lane *l, struct dirty_key *k)
{
    struct target_node *n = node_of(l, k);

    if (!n)
        return false;
    enum writer_db db = writer_db(n->writer, k->db);
    if (db == WRITER_DB_REFUSED)
        return send_read(l, k);
    if (db == WRITER_DB_READY && target_type(n, k) == 0)
        return true;
    dirty_put_back(l->dirty, k, loop_now_us(l->loop), 0);
    return false;
}

static bool begin_copy(struct lane *l, struct dirty_key *k, size_t flying)
{
    bool alone = k->alone;

    l->alone_waits = alone && flying + l->unread;
    k->there = THERE_UNASKED;
    if (k->way != WAY_NO_STRING)
        k->way = l->by_string ? WAY_STRING : WAY_DUMP;
    if (l->alone_waits) {
        dirty_put_back(l->dirty, k, loop_now_us(l->loop), 0);
        return false;
    }
    if (!(filter_has_types(l->opt.filter) ? send_type(l, k) : send_read(l, k)))
        return false;
    l->alone_in_flight = alone;
    rate_take(&l->keys_rate, 1);
    return true;
}

static bool rates_ready(struct lane *l)
{
    if (!l->keys_rate.per_s && !l->bytes_rate.per_s)
        return true;
    uint64_t now_us = loop_now_us(l->loop);
    if (rate_ready(&l->keys_rate, now_us) && rate_ready(&l->bytes_rate, now_us))
        return true;
    pump_at(l, now_us + MAX(rate_wait_us(&l->keys_rate), rate_wait_us(&l->bytes_rate)));
    return false;
}

static bool target_has_room(const struct lane *l)
{
    return !l->alone_in_flight && !target_is_full(l->target) &&
           target_outstanding_bytes(l->target) < l->opt.memory / 4;
}

/* Those who write to the source come before a pass; but not before the memory for what they write. */
static bool gives_way(const struct lane *l)
{
    struct dirty_counts counts;

    dirty_counts(l->dirty, &counts);
    bool passing = counts.scan_queued || scanner_running(l->scanner) || sweep_running(l->sweep);
    return passing && dirty_live_memory(l->dirty) < dirty_budget(l->dirty) / 8 * 3;
}

/* How long a live mark rests. A drain waits for all that rests, but not before the lane is live. */
static uint64_t rest_us(const struct lane *l, bool gives)
{
    bool live_later = l->phase == LANE_SCAN || l->phase == LANE_SWEEP;

    if (live_later && l->coalesce.most_us && l->yield.most < l->yield.all && gives)
        return COALESCE_PASS_US;
    return l->ndrains ? 0 : l->coalesce.wait_us;
}

/* Where a limit has them wait, those that wait already come first (R12): the stream is always there to take
 * what there is room for, and would leave them none. */
static bool others_wait(const struct lane *l)
{
    struct dirty_counts counts;

    if (!l->keys_rate.per_s && !l->bytes_rate.per_s)
        return false;
    dirty_counts(l->dirty, &counts);
    return counts.queued > 0;
}

bool lane_may_write(struct lane *l)
{
    return may_copy(l) && refused_until(l) <= loop_now_us(l->loop) && !l->alone_waits && !l->no_strings &&
           l->unread < UNREAD_WINDOW && target_has_room(l) && !others_wait(l) && rates_ready(l);
}

static size_t copy_more(struct lane *l, size_t flying, size_t asked, uint64_t ripe_us)
{
    size_t most = window(l);
    bool writes = filter_has_types(l->opt.filter); /* TYPE to the target; else it only reads */

    l->alone_waits = false;
    if (!target_has_room(l))
        return flying;
    while (flying < most && !l->alone_in_flight && (!writes || target_has_room(l)) &&
           reader_outstanding(l->reader) < asked && !reader_is_full(l->reader) && rates_ready(l)) {
        struct dirty_key *k = dirty_take(l->dirty, ripe_us);
        if (!k || !begin_copy(l, k, flying))
            break;
        flying++;
    }
    return flying;
}

static void pump(void *arg)
{
    struct lane *l = arg;
    uint64_t now_us = loop_now_us(l->loop), due_us = dirty_tick(l->dirty, now_us);
    size_t flying = in_flight(l);

    pump_at(l, due_us);
    coalesce_feed(&l->coalesce, flying, l->marks, now_us);
    yield_feed(&l->yield, l->marks, now_us);
    if (!may_copy(l))
        return;
    if (refused_until(l) > now_us) {
        pump_at(l, refused_until(l));
        return;
    }
    lane_choose_way(l);
    bool gives = gives_way(l);
    uint64_t wait_us = rest_us(l, gives), ripe_us = wait_us ? now_us - MIN(wait_us, now_us) : UINT64_MAX;
    flying = copy_more(l, flying, gives ? l->yield.most : COPY_WINDOW, ripe_us);
    coalesce_feed(&l->coalesce, flying, l->marks, now_us);
    uint64_t live_us = wait_us ? dirty_live_since_us(l->dirty) : UINT64_MAX;
    if (live_us != UINT64_MAX && live_us > ripe_us && rates_ready(l)) /* else that says when */
        pump_at(l, MIN(due_us, live_us + wait_us));
}

static void pump_fired(void *arg)
{
    pump(arg);
}

/* What a refusal does. */

static void tell_refusal(struct lane *l, enum lane_side side, struct bytes error)
{
    char text[160];
    lane_refused(l, side, "%s", bytes_escape(error, text, sizeof(text)));
}

/* A cluster that settles a failover, or moves slots, is soon done. */
static bool is_regrouping(struct bytes error)
{
    return bytes_starts(error, "CLUSTERDOWN ") || bytes_starts(error, "TRYAGAIN ");
}

/* The server as a whole refuses: copying rests. */
static void note_refusal(struct lane *l, enum lane_side side, struct bytes error)
{
    struct refusing *r = &l->refusing[side];
    uint64_t now_us = loop_now_us(l->loop);

    r->since_us = r->last_us ? r->since_us : now_us;
    r->last_us = now_us;
    if (!is_regrouping(error) || now_us - r->since_us > REGROUPING_US)
        tell_refusal(l, side, error);
    if (side == LANE_TARGET)
        target_refresh(l->target);
    if (r->until_us <= now_us)
        r->until_us = now_us + MIN(backoff_next_us(&r->backoff), 1000000);
}

static void end_refusal(struct lane *l, enum lane_side side)
{
    struct refusing *r = &l->refusing[side];
    if (!r->last_us)
        return;
    r->last_us = r->until_us = 0;
    backoff_reset(&r->backoff);
    lane_condition(l, side == LANE_SOURCE ? LANE_SOURCE_REFUSES : LANE_TARGET_REFUSES, NULL);
}

/* The key is still in flight. */
static void read_again(struct lane *l, struct dirty_key *k)
{
    bool alone = k->alone;

    if (send_read(l, k))
        return;
    l->alone_in_flight &= !alone;
    lane_pump_soon(l);
}

static void key_refused(struct lane *l, enum lane_side side, struct dirty_key *k, struct bytes error)
{
    l->retries++;
    landed(l, k);
    switch (refusal_of(error)) {
    case REFUSAL_SERVER:
        note_refusal(l, side, error);
        dirty_put_last(l->dirty, k);
        break;
    case REFUSAL_NEVER:
        fail_key(l, k, "the target does not understand the value's format");
        break;
    case REFUSAL_KEY:
        if (k->there == THERE_NOTHING && bytes_starts(error, "BUSYKEY ")) {
            dirty_put_last(l->dirty, k); /* there is something by now: what? */
            break;
        }
        tell_refusal(l, side, error); /* only this key waits */
        if (k->way == WAY_STRING)
            k->way = WAY_NO_STRING;
        if (++k->tries > KEY_TRIES) {
            fail_key(l, k, "a server refuses it again and again");
            break;
        }
        dirty_put_back(l->dirty, k, loop_now_us(l->loop),
                       MIN((uint64_t)KEY_RETRY_US << (k->tries - 1), 5000000));
        break;
    }
}

/* The reader's answers. */

/* A value that comes in parts leaves no room for another. */
static bool value_is_passing(const struct lane *l)
{
    return reader_in_value(l->reader) || lane_askers_in_value(l);
}

static bool reader_ready(struct dirty_key *k, void *arg)
{
    struct lane *l = arg;

    if (!k)
        return target_part_has_room(l->target);
    struct target_node *n = target_of(l->target, k);
    return !value_is_passing(l) &&
           (!n || (!writer_is_full(n->writer) && writer_db(n->writer, k->db) != WRITER_DB_ASKED));
}

static void no_database(struct lane *l, struct target_node *n, struct dirty_key *k)
{
    struct bytes error = writer_db_error(n->writer);
    if (bytes_starts(error, "ERR "))
        fail_key(l, k, "the target has no such database");
    else
        key_refused(l, LANE_TARGET, k, error);
    writer_db_again(n->writer);
}

/* True: the target does not let us into the key's database, and the key has been dealt with. */
static inline bool database_refused(struct lane *l, struct target_node *n, struct dirty_key *k)
{
    if (writer_db(n->writer, k->db) != WRITER_DB_REFUSED)
        return false;
    no_database(l, n, k);
    return true;
}

/* The writer could not take it: its connection is lost, or about to be. */
void lane_not_written(struct lane *l, struct dirty_key *k)
{
    l->retries++;
    landed(l, k);
    dirty_put_back(l->dirty, k, loop_now_us(l->loop), 0);
}

static void leave_set(struct lane *l, struct dirty_key *k)
{
    dirty_done(l->dirty, k);
    lane_advance(l);
}

/* The key is as it was read, which may be ahead of the source's stream. */
static void done(struct lane *l, struct dirty_key *k)
{
    ahead_add(l->ahead, k->db, dirty_name(k));
    leave_set(l, k);
}

/* A sweep finds it again when deletes are let go at last. When merging there is none: then it waits here. */
static void hold_delete(struct lane *l, struct dirty_key *k)
{
    landed(l, k);
    if (l->opt.merge || loop_now_us(l->loop) - l->held_us < HELD_WAIT_US) {
        dirty_put_back(l->dirty, k, loop_now_us(l->loop), HELD_RETRY_US);
        return;
    }
    l->deletes_dropped = true;
    done(l, k);
}

static void leave_as_it_is(struct lane *l, struct dirty_key *k)
{
    landed(l, k);
    done(l, k);
}

/* The target has no such database: it is gone there too. */
static bool gone_already(struct lane *l, struct target_node *n, struct dirty_key *k)
{
    if (writer_db(n->writer, k->db) != WRITER_DB_REFUSED || !refusal_no_such_db(writer_db_error(n->writer)))
        return false;
    leave_as_it_is(l, k);
    return true;
}

void lane_key_gone(struct dirty_key *k, void *arg)
{
    struct lane *l = arg;
    struct target_node *n = node_of(l, k);

    if (!n || gone_already(l, n, k) || database_refused(l, n, k))
        return;
    streams_forget(l->streams, k->db, dirty_name(k));
    if (k->there == THERE_NOTHING || k->there == THERE_OUT_OF_SCOPE) {
        leave_as_it_is(l, k);
        return;
    }
    if (l->deletes_held) {
        hold_delete(l, k);
        return;
    }
    if (target_delete(n, k) < 0)
        lane_not_written(l, k);
}

static void key_gone(struct dirty_key *k, void *arg)
{
    struct lane *l = arg;

    if (l->opt.source_nodes)
        l->ev.unknown(l, dirty_name(k), l->arg);
    lane_key_gone(k, l);
}

static void note_size(struct lane *l, uint64_t length)
{
    learn_size(l, length);
    rate_take(&l->bytes_rate, length);
}

static void note_type(struct lane *l, const struct dirty_key *k, struct bytes start)
{
    lane_learn_kind(l, start);
    if (streams_is_type(start))
        streams_note(l->streams, k->db, dirty_name(k));
    else
        streams_forget(l->streams, k->db, dirty_name(k)); /* it may have been one */
}

/* True: the value is not to be written, and the key has been dealt with. One of a type that is out of scope
 * is as good as gone. */
static bool out_of_scope(struct lane *l, struct dirty_key *k, struct bytes start)
{
    if (!filter_payload(l->opt.filter, start))
        lane_key_gone(k, l);
    else if (k->there == THERE_OUT_OF_SCOPE)
        fail_key(l, k, "the target has a key of that name, of a type that filter.types leaves alone");
    else
        return false;
    return true;
}

static void key_value(struct dirty_key *k, int64_t expire_at_ms, struct bytes payload, void *arg)
{
    struct lane *l = arg;
    struct target_node *n = node_of(l, k);

    if (l->refusing[LANE_SOURCE].last_us)
        end_refusal(l, LANE_SOURCE);
    struct bytes start = lane_start_of(k, payload);
    if (!n || database_refused(l, n, k) || out_of_scope(l, k, start))
        return;
    note_size(l, payload.len);
    note_type(l, k, start);
    if (target_restore(n, k, expire_at_ms, payload) < 0)
        lane_not_written(l, k);
    if (l->yield.most < COPY_WINDOW)
        lane_pump_soon(l); /* the next may be asked for, whatever the target has yet to answer */
}

/* By DUMP it may be short enough: DUMP compresses. */
static bool is_too_long_a_string(struct lane *l, struct dirty_key *k, uint64_t length)
{
    if (k->way != WAY_STRING || length <= l->opt.value_max)
        return false;
    k->way = WAY_NO_STRING;
    read_again(l, k);
    return true;
}

static bool key_value_begin(struct dirty_key *k, int64_t expire_at_ms, uint64_t length, struct bytes part,
                            void *arg)
{
    struct lane *l = arg;
    struct target_node *n = node_of(l, k);
    struct bytes start = lane_start_of(k, part);

    if (!n || database_refused(l, n, k) || out_of_scope(l, k, start))
        return false;
    if (is_too_long_a_string(l, k, length))
        return false;
    if (length > l->opt.value_max) {
        fail_key(l, k, "the value is larger than the target's proto-max-bulk-len");
        return false;
    }
    note_size(l, length);
    note_type(l, k, start);
    if (target_restore_begin(n, k, expire_at_ms, length) == 0)
        return true;
    lane_not_written(l, k);
    return false;
}

static void key_value_part(struct bytes part, void *arg)
{
    struct lane *l = arg;
    if (target_restore_part(l->target, part) < 0)
        target_break(l->target, "the target could not be given the rest of a value");
}

static void key_value_broken(const char *why, void *arg)
{
    struct lane *l = arg;
    (void)why;
    target_break(l->target, "the source was lost in the middle of a value");
}

/* It is another node's, or on the way there. What the owner does not have, the node that takes the slot over
 * knows; a slot that is gone is another lane's as soon as the map says so. */
static void key_elsewhere(struct lane *l, struct dirty_key *k, const struct redirect *r)
{
    struct topology_node node;
    struct endpoint endpoint;

    topology_redirect(l->opt.source_nodes, l->opt.source, r, &node);
    if (topology_endpoint(l->opt.source_nodes, &node, &endpoint) == 0) {
        l->ev.redirected(l, r->slot, r->ask, endpoint.url.text, k->since_us, l->arg);
        endpoint_node_clear(&endpoint);
    }
    if (r->ask && lane_ask(l, &node, k) == 0)
        return;
    l->retries++;
    landed(l, k);
    dirty_put_back(l->dirty, k, loop_now_us(l->loop), KEY_MOVED_US);
}

static void key_unread(struct dirty_key *k, struct bytes error, void *arg)
{
    struct lane *l = arg;
    struct redirect r;

    if (l->opt.source_nodes && redirect_parse(error, &r))
        key_elsewhere(l, k, &r);
    else if (lane_no_string(l, LANE_SOURCE, k, error))
        read_again(l, k);
    else
        key_refused(l, LANE_SOURCE, k, error);
}

static void key_read_lost(struct dirty_key *k, void *arg)
{
    lane_not_written(arg, k);
}

static int reader_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                             void *arg)
{
    (void)c, (void)client_id;
    return lane_identified(arg, id, why);
}

static void reader_up(void *arg)
{
    struct lane *l = arg;
    lane_pump_soon(l);
    lane_advance(l);
}

static void reader_down(const char *why, bool was_up, void *arg)
{
    (void)was_up, (void)why, (void)arg;
}

static void resume_readers(struct lane *l)
{
    reader_resume(l->reader);
    lane_askers_resume(l);
}

static void room(void *arg)
{
    lane_go_on_reading(arg);
}

/* The writer's answers. */

/* A key that is another node's by now is read again, since its bytes are gone; nobody is to blame. */
static bool redirected(struct lane *l, struct target_node *n, struct dirty_key *k, struct bytes error)
{
    uint64_t delay_us;

    if (!target_redirected(n, k, error, &delay_us))
        return false;
    l->retries++;
    dirty_put_back(l->dirty, k, loop_now_us(l->loop), delay_us);
    return true;
}

static void write_refused(struct lane *l, struct target_node *n, struct dirty_key *k, struct bytes error)
{
    if (redirected(l, n, k, error))
        return;
    /* What went with others may well be written by itself. */
    if (k->way != WAY_TOGETHER && !lane_no_string(l, LANE_TARGET, k, error)) {
        key_refused(l, LANE_TARGET, k, error);
        return;
    }
    l->retries++;
    dirty_put_back(l->dirty, k, loop_now_us(l->loop), 0);
}

void lane_key_answered(struct lane *l, struct target_node *n, struct dirty_key *k, struct bytes error,
                       uint64_t bytes, bool deleted)
{
    bool unread = k->unread;

    landed(l, k);
    if (l->askers) /* it may have been the long value that others waited for */
        resume_readers(l);
    if (error.len) {
        write_refused(l, n, k, error);
        return;
    }
    if (deleted) {
        l->deleted += bytes; /* a mark that names no database is looked for in all of them: most have nothing
                                to delete */
    } else {
        l->copied++;
        l->bytes += bytes;
    }
    if (!deleted && l->refusing[LANE_TARGET].last_us)
        end_refusal(l, LANE_TARGET);
    if (!deleted || bytes)
        recent_add(l->recent, k->db, dirty_name(k));
    if (unread)
        leave_set(l, k);
    else
        done(l, k);
}

void lane_key_typed(struct lane *l, struct target_node *n, struct dirty_key *k, struct bytes type,
                    struct bytes error)
{
    if (error.len) {
        landed(l, k);
        if (!redirected(l, n, k, error))
            key_refused(l, LANE_TARGET, k, error);
        return;
    }
    k->there = bytes_is(type, "none")                  ? THERE_NOTHING
               : filter_type_name(l->opt.filter, type) ? THERE_IN_SCOPE
                                                       : THERE_OUT_OF_SCOPE;
    read_again(l, k);
}

void lane_key_write_lost(struct lane *l, struct target_node *n, struct dirty_key *k)
{
    l->retries++;
    landed(l, k);
    dirty_put_lost(l->dirty, k, n->number);
}

void lane_go_on_reading(struct lane *l)
{
    resume_readers(l);
    lane_pump_soon(l);
}

/* Values on their way from the source have nowhere to go. */
void lane_stop_reading(struct lane *l, const char *why)
{
    if (reader_outstanding(l->reader))
        reader_reset(l->reader, why);
    lane_askers_reset(l, why);
}

const struct reader_events lane_reader_events = {
    .ready = reader_ready,
    .gone = key_gone,
    .value = key_value,
    .value_begin = key_value_begin,
    .value_part = key_value_part,
    .value_broken = key_value_broken,
    .failed = key_unread,
    .lost = key_read_lost,
    .identified = reader_identified,
    .up = reader_up,
    .down = reader_down,
    .room = room,
};

static int new_reader(struct lane *l)
{
    /* Without a feed no later mark would mend a pair of value and expiry that was torn by a write. */
    const struct reader_options opt = {.source = l->opt.source, .atomic = l->opt.feed == FEED_NONE};
    return reader_new(l->loop, &opt, &lane_reader_events, l, &l->reader);
}

int lane_copy_new(struct lane *l)
{
    uint64_t now_us = loop_now_us(l->loop);

    l->coalesce.most_us = l->opt.coalesce_us;
    yield_init(&l->yield, COPY_WINDOW, now_us);
    l->strings = 1; /* most often they are; where not, the first keys are asked for twice */
    rate_init(&l->keys_rate, l->opt.keys_per_s, now_us);
    rate_init(&l->bytes_rate, l->opt.bytes_per_s, now_us);
    for (size_t i = 0; i < ARRAY_LEN(l->refusing); i++)
        backoff_init(&l->refusing[i].backoff, now_us + i);
    int err = timer_new(l->loop, pump_fired, l, &l->pump_timer);
    return err ? err : new_reader(l);
}

/* Each minute those that are known by name. The others need a resync, which is worth it once no named one is
 * left. */
static void retry_failed(struct lane *l, uint64_t now_us)
{
    struct dirty_counts counts;

    dirty_counts(l->dirty, &counts);
    if (!counts.failed && counts.failed_unnamed && !l->gap) {
        lane_gap(l, "keys that had failed, more than are kept by name, are looked for again");
    } else if (!counts.failed) {
        l->retry_failed_us = 0;
    } else if (!l->retry_failed_us) {
        l->retry_failed_us = now_us + FAILED_RETRY_US;
    } else if (now_us >= l->retry_failed_us) {
        l->retry_failed_us = now_us + FAILED_RETRY_US;
        dirty_retry_failed(l->dirty);
        lane_pump_soon(l);
    }
}

/* Once a second. */
void lane_copy_tick(struct lane *l)
{
    uint64_t now_us = loop_now_us(l->loop);

    for (enum lane_side side = LANE_SOURCE; side <= LANE_TARGET; side++)
        if (l->refusing[side].last_us && now_us - l->refusing[side].last_us > REFUSAL_OVER_US)
            end_refusal(l, side);
    retry_failed(l, now_us);
    lane_askers_tick(l);
}
