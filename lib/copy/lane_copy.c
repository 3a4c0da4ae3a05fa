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
#define OUT_HIGH        (1 * MIB)
#define HELD_RETRY_US   1000000 /* a deletion that is held */
#define KEY_RETRY_US    100000  /* doubled with each try, up to 5 s */
#define KEY_TRIES       6
#define FAILED_RETRY_US 60000000
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

void lane_take_mark(struct lane *l, enum dirty_class class, int db, struct bytes key)
{
    int err = dirty_mark(l->dirty, class, db, key, loop_now_us(l->loop));
    if (err == 0) {
        lane_pump_soon(l);
        return;
    }
    if (!l->conditions[LANE_OVERRUN].on) {
        lane_condition(l, LANE_OVERRUN,
                       "more keys changed than limits.memory has room for; a resync follows");
        lane_gap(l, "overrun: more keys changed than limits.memory has room for");
    }
}

static size_t window(const struct lane *l)
{
    double n = l->mean_bytes > 0 ? (double)READ_AHEAD_BYTES / l->mean_bytes : COPY_WINDOW;
    return n > COPY_WINDOW ? COPY_WINDOW : n < WINDOW_MIN ? WINDOW_MIN : (size_t)n;
}

/* Expected sizes follow large values at once, and small ones slowly. */
static void learn_size(struct lane *l, uint64_t bytes)
{
    double n = (double)bytes;
    if (n > 8 * l->mean_bytes)
        l->mean_bytes = MAX(l->mean_bytes, n / 8);
    l->mean_bytes += (n - l->mean_bytes) / 64;
}

static size_t in_flight(const struct lane *l)
{
    struct dirty_counts counts;
    dirty_counts(l->dirty, &counts);
    return counts.in_flight;
}

static bool may_copy(struct lane *l)
{
    return l->round && !l->paused && !l->stopping && lane_seal_lets_copy(l) && reader_is_up(l->reader) &&
           writer_is_up(l->writer);
}

/* When both servers take requests again; 0: now. */
static uint64_t refused_until(const struct lane *l)
{
    return MAX(l->refusing[LANE_SOURCE].until_us, l->refusing[LANE_TARGET].until_us);
}

/* It is on its way no longer: there is room for another. */
static void landed(struct lane *l, const struct dirty_key *k)
{
    if (k->alone)
        l->alone_in_flight = false;
    lane_pump_soon(l);
}

static void fail_key(struct lane *l, struct dirty_key *k, const char *reason)
{
    landed(l, k);
    if (!k->again) /* marked meanwhile: it is looked at again first */
        l->ev.key_failed(l, k->db, dirty_name(k), reason, l->arg);
    dirty_fail(l->dirty, k, reason);
}

/* False: not now. The key is where it was then. */
static bool send_read(struct lane *l, struct dirty_key *k, size_t flying)
{
    uint64_t now_us = loop_now_us(l->loop);

    if ((k->alone && flying) || reader_read(l->reader, k) < 0) {
        dirty_put_back(l->dirty, k, now_us, 0);
        return false;
    }
    l->alone_in_flight = k->alone;
    rate_take(&l->keys_rate, 1);
    return true;
}

static bool rates_ready(struct lane *l)
{
    uint64_t now_us = loop_now_us(l->loop);
    if (rate_ready(&l->keys_rate, now_us) && rate_ready(&l->bytes_rate, now_us))
        return true;
    pump_at(l, now_us + MAX(rate_wait_us(&l->keys_rate), rate_wait_us(&l->bytes_rate)));
    return false;
}

static bool has_room(struct lane *l, size_t flying)
{
    return flying < window(l) && !l->alone_in_flight && !reader_is_full(l->reader) &&
           !writer_is_full(l->writer) && writer_outstanding_bytes(l->writer) < l->opt.memory / 4;
}

static void pump(void *arg)
{
    struct lane *l = arg;
    uint64_t now_us = loop_now_us(l->loop);
    size_t flying = in_flight(l);

    pump_at(l, dirty_tick(l->dirty, now_us));
    if (!may_copy(l))
        return;
    if (refused_until(l) > now_us) {
        pump_at(l, refused_until(l));
        return;
    }
    while (has_room(l, flying) && rates_ready(l)) {
        struct dirty_key *k = dirty_take(l->dirty);
        if (!k || !send_read(l, k, flying))
            break;
        flying++;
    }
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

/* The server as a whole refuses: copying rests. */
static void note_refusal(struct lane *l, enum lane_side side, struct bytes error)
{
    struct refusing *r = &l->refusing[side];
    uint64_t now_us = loop_now_us(l->loop);

    tell_refusal(l, side, error);
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
        tell_refusal(l, side, error); /* only this key waits */
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

static bool reader_ready(struct dirty_key *k, void *arg)
{
    struct lane *l = arg;
    return !writer_is_full(l->writer) && (!k || writer_db(l->writer, k->db) != WRITER_DB_ASKED);
}

/* True: the target does not let us into the key's database, and the key has been dealt with. */
static bool database_refused(struct lane *l, struct dirty_key *k)
{
    if (writer_db(l->writer, k->db) != WRITER_DB_REFUSED)
        return false;
    struct bytes error = writer_db_error(l->writer);
    if (bytes_starts(error, "ERR "))
        fail_key(l, k, "the target has no such database");
    else
        key_refused(l, LANE_TARGET, k, error);
    writer_db_again(l->writer);
    return true;
}

/* The writer could not take it: its connection is lost, or about to be. */
static void not_written(struct lane *l, struct dirty_key *k)
{
    l->retries++;
    landed(l, k);
    dirty_put_back(l->dirty, k, loop_now_us(l->loop), 0);
}

/* A sweep finds it again when deletes are let go. When merging there is none: then it waits here. */
static void hold_delete(struct lane *l, struct dirty_key *k)
{
    landed(l, k);
    if (l->opt.merge) {
        dirty_put_back(l->dirty, k, loop_now_us(l->loop), HELD_RETRY_US);
        return;
    }
    l->deletes_dropped = true;
    dirty_done(l->dirty, k);
    lane_advance(l);
}

/* The target has no such database: it is gone there too. */
static bool gone_already(struct lane *l, struct dirty_key *k)
{
    if (writer_db(l->writer, k->db) != WRITER_DB_REFUSED || !refusal_no_such_db(writer_db_error(l->writer)))
        return false;
    landed(l, k);
    dirty_done(l->dirty, k);
    lane_advance(l);
    return true;
}

static void key_gone(struct dirty_key *k, void *arg)
{
    struct lane *l = arg;

    if (gone_already(l, k) || database_refused(l, k))
        return;
    streams_forget(l->streams, k->db, dirty_name(k));
    if (l->deletes_held) {
        hold_delete(l, k);
        return;
    }
    if (writer_delete(l->writer, k) < 0)
        not_written(l, k);
}

static void note_size(struct lane *l, uint64_t length)
{
    learn_size(l, length);
    rate_take(&l->bytes_rate, length);
}

static void note_type(struct lane *l, const struct dirty_key *k, struct bytes start)
{
    if (streams_is_type(start))
        streams_note(l->streams, k->db, dirty_name(k));
    else
        streams_forget(l->streams, k->db, dirty_name(k)); /* it may have been one */
}

static void key_value(struct dirty_key *k, int64_t expire_at_ms, struct bytes payload, void *arg)
{
    struct lane *l = arg;

    if (l->refusing[LANE_SOURCE].last_us)
        end_refusal(l, LANE_SOURCE);
    if (database_refused(l, k))
        return;
    note_size(l, payload.len);
    note_type(l, k, payload);
    if (writer_restore(l->writer, k, expire_at_ms, payload) < 0)
        not_written(l, k);
}

static bool key_value_begin(struct dirty_key *k, int64_t expire_at_ms, uint64_t length, void *arg)
{
    struct lane *l = arg;

    if (database_refused(l, k))
        return false;
    if (length > l->opt.value_max) {
        fail_key(l, k, "the value is larger than the target's proto-max-bulk-len");
        return false;
    }
    note_size(l, length);
    if (writer_restore_begin(l->writer, k, expire_at_ms, length) == 0) {
        l->untyped = k;
        return true;
    }
    not_written(l, k);
    return false;
}

static void key_value_part(struct bytes part, void *arg)
{
    struct lane *l = arg;
    if (l->untyped)
        note_type(l, l->untyped, part);
    l->untyped = NULL;
    if (writer_restore_part(l->writer, part) < 0)
        writer_break(l->writer, "the target could not be given the rest of a value");
}

static void key_value_broken(const char *why, void *arg)
{
    struct lane *l = arg;
    (void)why;
    l->untyped = NULL;
    writer_break(l->writer, "the source was lost in the middle of a value");
}

static void key_unread(struct dirty_key *k, struct bytes error, void *arg)
{
    key_refused(arg, LANE_SOURCE, k, error);
}

static void key_read_lost(struct dirty_key *k, void *arg)
{
    not_written(arg, k);
}

static int reader_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                             void *arg)
{
    (void)c, (void)client_id;
    return lane_identified(arg, LANE_SOURCE, id, why);
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

static void room(void *arg)
{
    struct lane *l = arg;
    reader_resume(l->reader);
    lane_pump_soon(l);
}

/* The writer's answers. */

static void key_answered(struct dirty_key *k, struct bytes error, uint64_t bytes, bool deleted, void *arg)
{
    struct lane *l = arg;

    landed(l, k);
    if (error.len) {
        key_refused(l, LANE_TARGET, k, error);
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
    if (!deleted || bytes) {
        recent_add(l->recent, k->db, dirty_name(k));
        l->writer_wrote = true;
        l->unproved = false; /* what came before in the target's stream is proved with it */
    }
    dirty_done(l->dirty, k);
    lane_advance(l);
}

static void key_write_lost(struct dirty_key *k, void *arg)
{
    struct lane *l = arg;
    l->retries++;
    landed(l, k);
    dirty_put_lost(l->dirty, k);
}

static int writer_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                             void *arg)
{
    struct lane *l = arg;
    (void)c;

    int err = lane_identified(l, LANE_TARGET, id, why);
    if (!err && client_id) {
        err = l->ev.writer_id(l, id->run_id, client_id, l->arg);
        *why = "its CLIENT ID could not be written to the state file";
    }
    return err;
}

/* Was it that one connection alone that the target closed, while it lived on? */
static bool closed_for_a_key(const struct lane *l)
{
    const struct conn *watch = watch_conn(l->target_watch);
    const struct server_id *id = conn_server(writer_conn(l->writer));
    return l->lost_us && l->lost_by_peer && conn_is_up(watch) && conn_since_us(watch) < l->lost_us &&
           id->run_id[0] && strcmp(id->run_id, l->lost_run_id) == 0;
}

static void writer_up(void *arg)
{
    struct lane *l = arg;
    /* R2: where the former connection cannot be shown dead, what it may still write is waited for. */
    uint64_t delay_us = writer_is_fenced(l->writer) ? 0 : 2000ull * l->opt.target->timeout_ms;

    dirty_release_lost(l->dirty, loop_now_us(l->loop), delay_us, closed_for_a_key(l));
    if (delay_us && !l->closed_clean)
        l->late_until_us = loop_now_us(l->loop) + delay_us;
    l->closed_clean = false;
    l->lost_us = 0;
    reader_resume(l->reader);
    lane_pump_soon(l);
    lane_advance(l);
}

static void writer_down(const char *why, bool was_up, void *arg)
{
    struct lane *l = arg;

    l->untyped = NULL;
    if (!was_up)
        return;
    l->unproved |= l->writer_wrote;
    l->writer_wrote = false;
    lane_seal_fail(l, -ENOTCONN, "the connection for writing to the target was lost: %s", why);
    const struct server_id *id = conn_server(writer_conn(l->writer));
    l->lost_us = loop_now_us(l->loop);
    l->lost_by_peer = conn_lost_by_peer(writer_conn(l->writer));
    memcpy(l->lost_run_id, id->run_id, sizeof(l->lost_run_id));
    /* Values on their way from the source have nowhere to go. */
    if (reader_outstanding(l->reader))
        reader_reset(l->reader, "the target's connection was lost");
}

static void writer_told(int what, size_t n, const int64_t *numbers, struct bytes error, void *arg)
{
    lane_seal_told(arg, what, n, numbers, error);
}

static int new_reader(struct lane *l)
{
    static const struct reader_events events = {.ready = reader_ready,
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
                                                .room = room};
    /* Without a feed no later mark would mend a pair of value and expiry that was torn by a write. */
    const struct reader_options opt = {.source = l->opt.source, .atomic = l->opt.feed == FEED_NONE};
    return reader_new(l->loop, &opt, &events, l, &l->reader);
}

static int new_writer(struct lane *l)
{
    static const struct writer_events events = {.answered = key_answered,
                                                .lost = key_write_lost,
                                                .told = writer_told,
                                                .identified = writer_identified,
                                                .up = writer_up,
                                                .down = writer_down,
                                                .room = room};
    const struct writer_options opt = {.target = l->opt.target,
                                       .into_db = l->opt.into_db,
                                       .out_high = OUT_HIGH,
                                       .former_id = l->opt.former_id,
                                       .former_run_id = l->opt.former_run_id};
    return writer_new(l->loop, &opt, &events, l, &l->writer);
}

int lane_copy_new(struct lane *l)
{
    uint64_t now_us = loop_now_us(l->loop);

    rate_init(&l->keys_rate, l->opt.keys_per_s, now_us);
    rate_init(&l->bytes_rate, l->opt.bytes_per_s, now_us);
    for (size_t i = 0; i < ARRAY_LEN(l->refusing); i++)
        backoff_init(&l->refusing[i].backoff, now_us + i);
    int err = timer_new(l->loop, pump_fired, l, &l->pump_timer);
    if (!err)
        err = new_writer(l);
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
}
