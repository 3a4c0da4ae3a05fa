/* lane_seal.c - what a cutover needs of a lane: what was told, and the end of copying (R13). */
#include "lib/copy/lane_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WRITTEN_ANEW_MAX 64

void lane_retry(struct lane *l)
{
    dirty_retry_failed(l->dirty);
    l->functions_wanted = true;
    l->functions_retry_us = 0;
    lane_pump_soon(l);
    lane_advance(l);
}

void lane_generation(const struct lane *l, struct lane_generation *ret)
{
    *ret = (struct lane_generation){.gaps = l->gaps, .marks = l->told};
}

void lane_each_recent(const struct lane *l, bool (*fn)(int db, struct bytes key, void *arg), void *arg)
{
    recent_each(l->recent, fn, arg);
}

/* The seal. */

enum { ASKED_WAIT, ASKED_WAITAOF };

static bool under_way(const struct lane *l)
{
    return l->seal.step != SEAL_NONE && l->seal.step != SEALED;
}

void lane_seal_fail(struct lane *l, int err, const char *format, ...)
{
    va_list args;

    if (!under_way(l) || l->seal.err)
        return;
    l->seal.err = err;
    va_start(args, format);
    vsnprintf(l->seal.why, sizeof(l->seal.why), format, args);
    va_end(args);
    lane_advance(l);
}

static bool wants_proof(const struct lane *l)
{
    return l->seal.confirm.replicas || l->seal.confirm.aof;
}

static bool mark_anew(int db, struct bytes key, void *arg)
{
    struct lane *l = arg;
    lane_take_mark(l, DIRTY_LIVE, db, key);
    return ++l->seal.due < WRITTEN_ANEW_MAX;
}

/* WAIT speaks of what its own connection wrote. Where that one was lost, a key that is written once more
 * stands behind all that was written before. */
static void write_anew(struct lane *l)
{
    if (l->seal.wrote_anew) {
        lane_seal_fail(l, -EBUSY,
                       "a connection to the target was lost, and none of the latest keys is left to be "
                       "written again: what was written over it cannot be proved");
        return;
    }
    l->seal.wrote_anew = true;
    recent_each(l->recent, mark_anew, l);
    l->seal.due = 0;
}

/* R2, R13: nothing may come late. */
static bool all_lost_are_dead(struct lane *l)
{
    if (loop_now_us(l->loop) >= l->late_until_us && !lane_functions_may_be_late(l))
        return true;
    lane_seal_fail(
        l, -EBUSY,
        "a connection to the target was lost a moment ago, and the target does not let it be shown "
        "dead (CLIENT KILL, CLIENT LIST): what it may still write is waited for");
    return false;
}

/* Nothing of the lane's own making is on its way. */
static bool is_quiet(struct lane *l)
{
    return l->barrier == BARRIER_NONE && lane_nothing_pending(l) && writer_is_idle(l->writer) &&
           !l->seal.watch_due;
}

static void check_wait(struct lane *l, int64_t replicas)
{
    const struct lane_confirm *c = &l->seal.confirm;
    if (replicas < (int64_t)c->replicas)
        lane_seal_fail(l, -ETIMEDOUT,
                       "%lld of the target's replicas have received all within %u ms, and %u are asked for",
                       (long long)replicas, c->timeout_ms, c->replicas);
}

/* How many have it in their append-only file: the target itself, and its replicas. */
static void check_waitaof(struct lane *l, int64_t itself)
{
    if (itself < 1)
        lane_seal_fail(l, -ETIMEDOUT, "the target has not written all to its append-only file within %u ms",
                       l->seal.confirm.timeout_ms);
}

void lane_seal_told(struct lane *l, int what, size_t n, const int64_t *numbers, struct bytes error)
{
    static const struct {
        const char *name;
        size_t numbers;
        void (*check)(struct lane *l, int64_t number);
    } asked[] = {[ASKED_WAIT] = {"WAIT", 1, check_wait}, [ASKED_WAITAOF] = {"WAITAOF", 2, check_waitaof}};
    char text[120];

    if (l->seal.step != SEAL_CONFIRMING)
        return; /* of a seal that was ended */
    l->seal.due--;
    if (error.len)
        lane_seal_fail(l, -ENOTSUP, "%s: %s", asked[what].name, bytes_escape(error, text, sizeof(text)));
    else if (n != asked[what].numbers)
        lane_seal_fail(l, -EBADMSG, "the answer to %s is not understood", asked[what].name);
    else
        asked[what].check(l, numbers[0]);
    lane_advance(l);
}

static void watch_told(struct lane *l, int what, const struct reply *r)
{
    int64_t numbers[WRITER_NUMBERS] = {0};
    size_t n = r->type == REPLY_ARRAY ? MIN(r->count, ARRAY_LEN(numbers)) : 1;
    bool known = true;

    l->seal.watch_due--;
    for (size_t i = 0; i < n; i++)
        known &= reply_integer(r->type == REPLY_ARRAY ? r->at[i] : r, &numbers[i]);
    lane_seal_told(l, what, known ? n : 0, numbers, r->type == REPLY_ERROR ? r->text : (struct bytes){0});
}

static void watch_told_wait(struct conn *c, const struct reply *r, void *arg)
{
    (void)c;
    watch_told(arg, ASKED_WAIT, r);
}

static void watch_told_waitaof(struct conn *c, const struct reply *r, void *arg)
{
    (void)c;
    watch_told(arg, ASKED_WAITAOF, r);
}

/* On each connection that wrote: on another one it would prove nothing. */
static void ask(struct lane *l, int what, size_t argc, const struct bytes *argv)
{
    int err = 0;

    if (l->writer_wrote) {
        l->seal.due++;
        err = writer_ask(l->writer, what, argc, argv);
    }
    if (!err && l->watch_wrote) {
        l->seal.due++;
        err = conn_call(watch_conn(l->target_watch), argc, argv,
                        what == ASKED_WAIT ? watch_told_wait : watch_told_waitaof, l);
        l->seal.watch_due += err == 0; /* else nobody answers, and no later seal would find it quiet */
    }
    if (err)
        lane_seal_fail(l, err, "%.*s cannot be asked: %s", (int)argv[0].len, argv[0].ptr, strerror(-err));
}

static void confirm(struct lane *l)
{
    const struct lane_confirm *c = &l->seal.confirm;
    unsigned most_ms = l->opt.target->timeout_ms / 4 * 3; /* a longer silence would be a lost connection */
    char replicas[16], timeout[16];
    int n = snprintf(replicas, sizeof(replicas), "%u", c->replicas);
    int t = snprintf(timeout, sizeof(timeout), "%u",
                     MAX(MIN(c->timeout_ms, most_ms), 1u)); /* 0 would be without end */
    const struct bytes wait[] = {BYTES("WAIT"), bytes_of(replicas, (size_t)n), bytes_of(timeout, (size_t)t)};
    const struct bytes aof[] = {BYTES("WAITAOF"), BYTES("1"), BYTES("0"), bytes_of(timeout, (size_t)t)};

    l->seal.step = SEAL_CONFIRMING;
    if (c->replicas)
        ask(l, ASKED_WAIT, ARRAY_LEN(wait), wait);
    if (c->aof)
        ask(l, ASKED_WAITAOF, ARRAY_LEN(aof), aof);
    lane_advance(l);
}

static void settle(struct lane *l)
{
    if (!is_quiet(l) || !all_lost_are_dead(l))
        return;
    if (wants_proof(l) && l->unproved)
        write_anew(l);
    else
        confirm(l);
}

static void begin_reading(struct lane *l)
{
    l->seal.step = SEAL_READING;
    l->seal.read = false;
    l->seal.seq = watch_read(l->target_watch);
}

/* What differs from the reading before is a gap, and is found by lane_target_sample(). */
void lane_seal_sample(struct lane *l, const struct watch_sample *s, bool stranger)
{
    if (l->seal.step != SEAL_READING || s->seq < l->seal.seq)
        return;
    if (stranger || s->loading)
        lane_seal_fail(l, -ECANCELED, "the target was restarted or replaced");
    else if (s->id.role == ROLE_REPLICA)
        lane_seal_fail(l, -ECANCELED, "the target is a replica");
    l->seal.read = true;
    lane_advance(l);
}

/* All that lead to the target: what is added to the lane's is sealed too. Returns how many. */
static size_t target_conns(struct lane *l, struct conn *ret[LANE_CONNS + 1])
{
    struct lane_conn conns[LANE_CONNS];
    size_t n = 0;

    lane_conns(l, conns);
    for (size_t i = 0; i < LANE_CONNS; i++)
        if (conns[i].side == LANE_TARGET)
            ret[n++] = conns[i].conn;
    ret[n++] = watch_conn(l->target_watch);
    return n;
}

static void close_target(struct lane *l)
{
    struct conn *conns[LANE_CONNS + 1];
    size_t n = target_conns(l, conns);

    for (size_t i = 0; i < n; i++) {
        conn_hold(conns[i], true);
        conn_reset(conns[i], "copying has ended");
    }
    l->closed_clean = true;
}

static void finish(struct lane *l, int err)
{
    struct seal *s = &l->seal;

    s->step = err ? SEAL_NONE : SEALED;
    if (err)
        lane_pump_soon(l);
    s->fn(err, err ? s->why : "", s->arg);
}

static void seal(struct lane *l)
{
    if (!is_quiet(l))
        lane_seal_fail(l, -EAGAIN, "the source told of a change meanwhile");
    else if (all_lost_are_dead(l)) {
        close_target(l);
        finish(l, 0);
    }
}

void lane_seal_advance(struct lane *l)
{
    struct seal *s = &l->seal;

    if (!under_way(l))
        return;
    if (!s->err && s->step == SEAL_SETTLING)
        settle(l);
    if (!s->err && s->step == SEAL_CONFIRMING && !s->due)
        begin_reading(l);
    if (!s->err && s->step == SEAL_READING && s->read)
        seal(l);
    if (under_way(l) && s->err)
        finish(l, s->err);
}

int lane_seal(struct lane *l, const struct lane_confirm *c, lane_sealed_fn *fn, void *arg)
{
    if (l->seal.step != SEAL_NONE || !lane_nothing_pending(l))
        return -EBUSY;
    if (!writer_is_up(l->writer) || !conn_is_up(watch_conn(l->target_watch)) || !l->has_target_base)
        return -ENOTCONN;
    unsigned watch_due = l->seal.watch_due;
    l->seal =
        (struct seal){.step = SEAL_SETTLING, .confirm = *c, .fn = fn, .arg = arg, .watch_due = watch_due};
    lane_advance(l);
    return 0;
}

void lane_unseal(struct lane *l)
{
    struct conn *conns[LANE_CONNS + 1];
    bool sealed = l->seal.step == SEALED;
    size_t n = sealed ? target_conns(l, conns) : 0;

    l->seal.step = SEAL_NONE;
    if (sealed)
        l->unsealed_us = loop_now_us(l->loop);
    for (size_t i = 0; i < n; i++)
        conn_hold(conns[i], false);
    lane_pump_soon(l);
    lane_advance(l);
}
