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
    struct target_node *n = target_of_name(l->target, key);

    if (n && n->unproved && n->anew < WRITTEN_ANEW_MAX) {
        n->anew++;
        lane_take_mark(l, DIRTY_LIVE, db, key);
    }
    return true;
}

/* WAIT speaks of what its own connection wrote. Where that one was lost, a key that is written once more
 * stands behind all that was written to that node before. */
static void write_anew(struct lane *l)
{
    if (l->seal.wrote_anew) {
        lane_seal_fail(l, -EBUSY,
                       "a connection to the target was lost, and none of the latest keys is left to be "
                       "written again: what was written over it cannot be proved");
        return;
    }
    l->seal.wrote_anew = true;
    for (struct target_node *n = target_nodes(l->target); n; n = n->next)
        n->anew = 0;
    recent_each(l->recent, mark_anew, l);
}

/* R2, R13: nothing may come late. */
static bool all_lost_are_dead(struct lane *l)
{
    if (!target_may_be_late(l->target))
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
    return l->barrier == BARRIER_NONE && lane_nothing_pending(l) && target_is_idle(l->target);
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
    } asked[] = {[TARGET_WAIT] = {"WAIT", 1, check_wait}, [TARGET_WAITAOF] = {"WAITAOF", 2, check_waitaof}};
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

static void ask(struct lane *l, int what, size_t argc, const struct bytes *argv)
{
    int err = target_confirm(l->target, what, argc, argv, &l->seal.due);

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
        ask(l, TARGET_WAIT, ARRAY_LEN(wait), wait);
    if (c->aof)
        ask(l, TARGET_WAITAOF, ARRAY_LEN(aof), aof);
    lane_advance(l);
}

static void settle(struct lane *l)
{
    if (!is_quiet(l) || !all_lost_are_dead(l))
        return;
    if (wants_proof(l) && target_is_unproved(l->target))
        write_anew(l);
    else
        confirm(l);
}

static void begin_reading(struct lane *l)
{
    l->seal.step = SEAL_READING;
    target_read(l->target);
}

/* What differs from the reading before is a gap, and is found by the target. */
void lane_seal_sample(struct lane *l, const struct target_node *n, const struct watch_sample *s,
                      bool stranger)
{
    if (l->seal.step != SEAL_READING || s->seq < n->read_seq || !target_counts(n))
        return;
    if (stranger || s->loading)
        lane_seal_fail(l, -ECANCELED, "the target was restarted or replaced");
    else if (s->id.role == ROLE_REPLICA)
        lane_seal_fail(l, -ECANCELED, "the target is a replica");
    lane_advance(l);
}

static void close_target(struct lane *l)
{
    struct conn *sweeping = sweep_target_conn(l->sweep);

    target_close(l->target);
    if (!sweeping)
        return;
    conn_hold(sweeping, true);
    conn_reset(sweeping, "copying has ended");
}

static void open_target(struct lane *l)
{
    struct conn *sweeping = sweep_target_conn(l->sweep);

    target_open(l->target);
    if (sweeping)
        conn_hold(sweeping, false);
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
    if (!s->err && s->step == SEAL_READING && target_was_read(l->target))
        seal(l);
    if (under_way(l) && s->err)
        finish(l, s->err);
}

int lane_seal(struct lane *l, const struct lane_confirm *c, lane_sealed_fn *fn, void *arg)
{
    if (l->seal.step != SEAL_NONE || !lane_nothing_pending(l))
        return -EBUSY;
    if (!target_is_up(l->target) || !target_watch_is_up(l->target) || !target_has_base(l->target))
        return -ENOTCONN;
    l->seal = (struct seal){.step = SEAL_SETTLING, .confirm = *c, .fn = fn, .arg = arg};
    lane_advance(l);
    return 0;
}

void lane_unseal(struct lane *l)
{
    bool sealed = l->seal.step == SEALED;

    l->seal.step = SEAL_NONE;
    if (sealed) {
        l->unsealed_us = loop_now_us(l->loop);
        open_target(l);
    }
    lane_pump_soon(l);
    lane_advance(l);
}
