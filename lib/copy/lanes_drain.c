/* lanes_drain.c - what is asked of all lanes at once: drains (R6) and the seal (R13). */
#include "lib/copy/lanes_impl.h"
#include "lib/core/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A drain over all lanes. A mark may be passed on from one lane to another, so no lane's set is looked at
 * before the barriers of all have passed; and what one lane missed may be another's keys, so that a gap in
 * any begins it again. */
struct whole_drain {
    struct lanes *all;
    void (*fn)(void *arg);
    void *arg;
    bool settles;
    size_t barriers_due, due; /* lanes whose barrier has not passed; whose drain is not over */
    uint64_t asked_us;        /* not before this the nodes are to have been looked at */
};

static void drop_drain(struct lanes *s, struct whole_drain *d)
{
    size_t i = 0;

    while (s->drains[i] != d)
        i++;
    memmove(&s->drains[i], &s->drains[i + 1], (s->ndrains - i - 1) * sizeof(s->drains[0]));
    s->ndrains--;
    for (i = 0; i < s->n; i++)
        lane_drain_cancel(s->at[i]->lane, d);
    free(d);
}

static bool map_is_followed(const struct lanes *s)
{
    const struct topology_map *map = topology_map(s->opt.source);
    return map && map->version == s->version && !s->behind && !s->later;
}

/* What was written at a node that no lane has to do with yet, none has heard of. One node's view is enough: a
 * primary has a lane as soon as any of them knows it, slots or none, and that lane's own pass has to be over;
 * and a former primary that lost its slots, or its role, says so itself to the lane that reads there. For a
 * cutover each primary is asked for its view before and after the fence (daemon/fence_prove.c). */
static bool nodes_are_known(const struct whole_drain *d)
{
    const struct lanes *s = d->all;
    return d->settles || !s->opt.source || (topology_is_of(s->opt.source, d->asked_us) && map_is_followed(s));
}

static void look(struct whole_drain *d)
{
    if (d->barriers_due || !nodes_are_known(d))
        return;
    for (size_t i = 0; i < d->all->n; i++)
        lane_drain_look(d->all->at[i]->lane, d);
}

static void one_passed(void *arg)
{
    struct whole_drain *d = arg;

    d->barriers_due--;
    look(d);
}

void lanes_drains_look(struct lanes *s)
{
    for (size_t i = 0; i < s->ndrains; i++)
        look(s->drains[i]);
}

static void one_drained(void *arg)
{
    struct whole_drain *d = arg;

    if (--d->due)
        return;
    void (*fn)(void *) = d->fn;
    void *fn_arg = d->arg;
    drop_drain(d->all, d);
    fn(fn_arg);
}

static int begin_drain(struct whole_drain *d)
{
    struct lanes *s = d->all;
    const struct drain part = {
        .fn = one_drained, .passed = one_passed, .arg = d, .settles = d->settles, .held = true};
    int err = 0;

    d->barriers_due = d->due = s->n;
    d->asked_us = clock_mono_us();
    if (!nodes_are_known(d))
        topology_refresh(s->opt.source);
    for (size_t i = 0; i < s->n && !err; i++) {
        lane_drain_cancel(s->at[i]->lane, d);
        err = lane_add_drain(s->at[i]->lane, &part);
    }
    return err;
}

/* There is room: each lane has as many places as the whole. */
void lanes_drains_begin_again(struct lanes *s)
{
    for (size_t i = 0; i < s->ndrains; i++)
        (void)!begin_drain(s->drains[i]);
}

void lanes_drains_free(struct lanes *s)
{
    while (s->ndrains)
        drop_drain(s, s->drains[0]);
}

static int add_drain(struct lanes *s, bool settles, void (*fn)(void *arg), void *arg)
{
    if (s->ndrains == LANES_DRAINS_MAX)
        return -EBUSY;
    struct whole_drain *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    *d = (struct whole_drain){.all = s, .fn = fn, .arg = arg, .settles = settles};
    s->drains[s->ndrains++] = d;
    int err = begin_drain(d);
    if (err)
        drop_drain(s, d);
    return err;
}

int lanes_drain(struct lanes *s, void (*fn)(void *arg), void *arg)
{
    return add_drain(s, false, fn, arg);
}

static bool all_live(const struct lanes *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i]->lane->phase != LANE_LIVE || s->at[i]->lane->gap)
            return false;
    return true;
}

int lanes_settle(struct lanes *s, void (*fn)(void *arg), void *arg)
{
    return all_live(s) ? add_drain(s, true, fn, arg) : -ENOTCONN;
}

void lanes_drain_cancel(struct lanes *s, void *arg)
{
    for (size_t i = 0; i < s->ndrains; i++) {
        if (s->drains[i]->arg != arg)
            continue;
        drop_drain(s, s->drains[i]);
        return;
    }
}

/* The seal. */

static void end_seal(struct lanes *s, int err, const char *why)
{
    lane_sealed_fn *fn = s->seal.fn;

    s->seal.fn = NULL;
    s->seal.done = !err;
    for (size_t i = 0; err && i < s->n; i++)
        lane_unseal(s->at[i]->lane);
    if (err)
        lanes_follow_soon(s);
    fn(err, why, s->seal.arg);
}

/* A mark that another lane passed on to one that was sealed already. */
static bool nothing_pending(struct lanes *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (!lane_nothing_pending(s->at[i]->lane))
            return false;
    return true;
}

static void one_sealed(int err, const char *why, void *arg)
{
    struct lanes *s = arg;

    if (!s->seal.fn)
        return;
    if (err) {
        char text[200];
        snprintf(text, sizeof(text), "%s", why);
        end_seal(s, err, text);
    } else if (--s->seal.due == 0) {
        if (nothing_pending(s))
            end_seal(s, 0, "");
        else
            end_seal(s, -EAGAIN, "the source told of a change meanwhile");
    }
}

void lanes_seal_fail(struct lanes *s, int err, const char *why)
{
    if (s->seal.fn)
        end_seal(s, err, why);
}

int lanes_seal(struct lanes *s, const struct lane_confirm *confirm, lane_sealed_fn *fn, void *arg)
{
    if (s->seal.fn || s->seal.done)
        return -EBUSY;
    for (size_t i = 0; i < s->n; i++) {
        int err = lane_seal(s->at[i]->lane, confirm, one_sealed, s);
        if (!err)
            continue;
        while (i--)
            lane_unseal(s->at[i]->lane);
        return err;
    }
    s->seal = (struct whole_seal){.fn = fn, .arg = arg, .due = s->n};
    return 0;
}

void lanes_unseal(struct lanes *s)
{
    s->seal = (struct whole_seal){0};
    for (size_t i = 0; i < s->n; i++)
        lane_unseal(s->at[i]->lane);
    lanes_follow_soon(s); /* what the source's nodes did meanwhile */
}
