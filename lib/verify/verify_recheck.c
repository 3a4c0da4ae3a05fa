/* verify_recheck.c - keys that differed are looked at again, until they are equal or have differed for good.
 *
 * The first look comes at once, and proves nothing. Each later one comes after a barrier that was begun after
 * the look before it, and counts if the key was dirty neither before nor after it. So whatever was written
 * before the look before it has been copied; and if the source was the same in both, nothing that was written
 * explains the difference. A key that flips between two values could look the same by chance: one that was
 * seen moving needs one look more.
 */
#include <errno.h>
#include <stdio.h>

#include "lib/verify/judge.h"
#include "lib/verify/verify_impl.h"

#define DIRTY_US  100000
#define SETTLE_US 50000  /* between two barriers */
#define UNLIVE_US 200000 /* until one is asked for again */
#define NEARLY_US 20000  /* what is due so soon goes along */
#define LOST_US   200000 /* until a server that was not there is asked again */
#define LOOKS_MAX 200

static const uint64_t delays_us[SUSPECT_DELAYS] = {50000, 200000, 500000, 1000000, 2000000};

static void wait_for_look(struct verify *v, struct suspect *s, unsigned look)
{
    unsigned i = MIN(look, SUSPECT_DELAYS - 1u);
    suspects_move(v->suspects, s, SUSPECT_WAITING + i, loop_now_us(v->loop) + delays_us[i]);
}

static struct suspect *add(struct verify *v, int db, struct bytes key)
{
    struct suspect *s = NULL;

    if (seen_has(v->seen, db, key) || suspects_find(v->suspects, db, key))
        return NULL;
    if (suspects_add(v->suspects, db, key, &s) < 0)
        verify_finish(v, VERIFY_INCONCLUSIVE, "out of memory");
    return s;
}

void recheck_add(struct verify *v, int db, struct bytes key)
{
    if (add(v, db, key))
        v->r.rechecked++;
}

static void wait_for_server(struct verify *v, struct suspect *s)
{
    suspects_move(v->suspects, s, SUSPECT_LOST, loop_now_us(v->loop) + LOST_US);
}

void recheck_send(struct verify *v)
{
    struct suspect *s;

    while ((s = suspects_first(v->suspects, SUSPECT_READY)) && !comparer_is_full(v->comparer)) {
        int err = comparer_compare(v->comparer, s->db, suspect_name(s), true, (uint64_t)(uintptr_t)s);
        if (err == -ENOTCONN) {
            wait_for_server(v, s);
            continue;
        }
        if (err)
            return;
        rate_take(&v->rate, 1);
        suspects_move(v->suspects, s, SUSPECT_LOOKING, 0);
    }
}

/* What a look comes to. */

static void drop(struct verify *v, struct suspect *s)
{
    suspects_drop(v->suspects, s);
    verify_pump_soon(v);
}

static void found_equal(struct verify *v, struct suspect *s)
{
    v->r.compared += !s->counted;
    if (s->repair_until_us)
        v->r.repaired++;
    drop(v, s);
}

static void found_differing(struct verify *v, struct suspect *s, const struct compare_result *r)
{
    char what[160];

    judge_tell(r, what, sizeof(what));
    if (r->verdict == COMPARE_UNKNOWN)
        report_unknown(v, s->db, suspect_name(s), what);
    else
        report_drift(v, s->db, suspect_name(s), r->verdict, what);
    drop(v, s);
}

static void repair(struct verify *v, struct suspect *s)
{
    if (!s->repair_until_us) {
        s->repair_until_us = loop_now_us(v->loop) + v->repair_us;
        s->looks = s->same = 0;
        s->dirty_waits = 0;
    }
    v->ev.mark(s->db, suspect_name(s), v->arg);
    wait_for_look(v, s, s->looks);
}

static void conclude(struct verify *v, struct suspect *s, const struct compare_result *r)
{
    if (v->opt.repair && !s->repair_until_us && r->verdict != COMPARE_UNKNOWN)
        repair(v, s);
    else
        found_differing(v, s, r);
}

/* It never came to rest. */
static void give_up(struct verify *v, struct suspect *s)
{
    if (s->repair_until_us && s->verdict != COMPARE_UNKNOWN && !s->moving)
        report_drift(v, s->db, suspect_name(s), s->verdict, "it was marked, and has not come to rest since");
    else
        report_unstable(v, s->db, suspect_name(s), s->moving);
    drop(v, s);
}

static void wait_until(struct verify *v, struct suspect *s, bool moving)
{
    s->moving = moving;
    s->restless = true;
    s->same = 0;
    if (++s->dirty_waits > v->dirty_waits_max * (s->repair_until_us ? 4 : 1))
        give_up(v, s);
    else
        suspects_move(v->suspects, s, SUSPECT_DIRTY, loop_now_us(v->loop) + DIRTY_US);
}

static void wait_until_clean(struct verify *v, struct suspect *s)
{
    wait_until(v, s, false);
}

void recheck_lost(struct verify *v, struct suspect *s, enum compare_loss why)
{
    if (why == COMPARE_MOVING)
        wait_until(v, s, true);
    else
        wait_for_server(v, s);
}

/* What the target's pass tells was counted by the source's, mostly. */
void recheck_add_lost(struct verify *v, int db, struct bytes key, enum compare_loss why)
{
    struct suspect *s = add(v, db, key);

    if (!s)
        return;
    s->counted = passes_side(v) == 1;
    recheck_lost(v, s, why);
}

/* Remembers the look. Does it agree with the one before? */
static bool compare_looks(struct verify *v, struct suspect *s, const struct compare_result *r)
{
    uint64_t tolerance = v->opt.compare.ttl_tolerance_ms;
    const struct sight source = sight_of(&r->side[0]), target = sight_of(&r->side[1]);
    bool same_source = sight_same(&s->side[0], &source, tolerance);
    bool agree = s->same > 0 && same_source && s->verdict == r->verdict;

    if (s->seen && (!same_source || !sight_same(&s->side[1], &target, tolerance)))
        s->restless = true;
    s->seen = true;
    s->moving = false;
    s->verdict = r->verdict;
    s->side[0] = source;
    s->side[1] = target;
    return agree;
}

static void differs_after_repair(struct verify *v, struct suspect *s, const struct compare_result *r)
{
    if (s->looks >= v->opt.rounds && s->same > 1 && loop_now_us(v->loop) >= s->repair_until_us)
        found_differing(v, s, r);
    else if (s->looks >= LOOKS_MAX)
        give_up(v, s);
    else
        repair(v, s);
}

static void differs(struct verify *v, struct suspect *s, const struct compare_result *r)
{
    bool agree = compare_looks(v, s, r);

    s->same = agree ? s->same + 1 : 1;
    s->looks++;
    if (s->repair_until_us)
        differs_after_repair(v, s, r);
    else if (s->same >= (s->restless ? 3 : 2))
        conclude(v, s, r);
    else if (s->looks >= v->opt.rounds)
        give_up(v, s);
    else
        wait_for_look(v, s, s->looks);
}

void recheck_looked(struct verify *v, struct suspect *s, const struct compare_result *r)
{
    if (r->verdict == COMPARE_EQUAL || r->verdict == COMPARE_GONE) {
        found_equal(v, s);
    } else if (!s->settled) {
        (void)compare_looks(v, s, r);
        wait_for_look(v, s, 0);
    } else if (v->ev.is_dirty(s->db, suspect_name(s), v->arg)) {
        wait_until_clean(v, s);
    } else {
        differs(v, s, r);
    }
}

/* Barriers. */

static void settled(void *arg)
{
    struct verify *v = arg;
    struct suspect *s;

    if (!v->settling)
        return;
    v->settling = false;
    v->settle_us = loop_now_us(v->loop) + SETTLE_US;
    while ((s = suspects_first(v->suspects, SUSPECT_SETTLING))) {
        s->settled = true;
        if (v->ev.is_dirty(s->db, suspect_name(s), v->arg))
            wait_until_clean(v, s);
        else
            suspects_move(v->suspects, s, SUSPECT_READY, 0);
    }
    verify_pump_soon(v);
}

static void gather_due(struct verify *v, uint64_t now_us)
{
    for (enum suspect_list list = SUSPECT_DIRTY; list < SUSPECT_LISTS; list++) {
        struct suspect *s;
        while ((s = suspects_first(v->suspects, list)) && s->due_us <= now_us + NEARLY_US)
            suspects_move(v->suspects, s, SUSPECT_SETTLING, 0);
    }
}

static bool any_due(const struct verify *v, uint64_t now_us)
{
    if (suspects_first(v->suspects, SUSPECT_SETTLING))
        return true;
    for (enum suspect_list list = SUSPECT_DIRTY; list < SUSPECT_LISTS; list++) {
        const struct suspect *s = suspects_first(v->suspects, list);
        if (s && s->due_us <= now_us)
            return true;
    }
    return false;
}

static void retry_lost(struct verify *v, uint64_t now_us)
{
    struct suspect *s;

    while ((s = suspects_first(v->suspects, SUSPECT_LOST)) && s->due_us <= now_us)
        suspects_move(v->suspects, s, SUSPECT_READY, 0);
}

void recheck_tick(struct verify *v, uint64_t now_us)
{
    retry_lost(v, now_us);
    if (v->settling || now_us < v->settle_us || !comparer_is_up(v->comparer) || !any_due(v, now_us))
        return;
    gather_due(v, now_us);
    v->settling = true;
    int err = v->ev.settle(settled, v, v->arg);
    v->unsettled[0] = '\0';
    if (err) {
        v->settling = false;
        v->settle_us = now_us + UNLIVE_US;
        snprintf(v->unsettled, sizeof(v->unsettled),
                 "the link is not live: what differs may still be on its way");
    }
}

void recheck_end(struct verify *v)
{
    if (v->settling)
        v->ev.settle_cancel(v, v->arg);
    v->settling = false;
}
