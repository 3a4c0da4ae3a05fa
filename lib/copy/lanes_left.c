/* lanes_left.c - keys that are left at a node which does not have their slot by the map.
 *
 * That some were seen there is known from marks that strayed, and from ASK. That none is left, nobody tells:
 * neither where a move was given up (SETSLOT STABLE), nor where a former owner told of the last ones late. So
 * each such node is asked once nothing of those slots has come from it for a while: CLUSTER COUNTKEYSINSLOT,
 * in each database that has keys by the reading before. What it answers holds from a barrier of its feed on
 * that begins behind the answer, if nothing of the slot came from there meanwhile, and the feed missed
 * nothing: what happened to the keys there before is marked then, and what comes there later is told.
 */
#include <stdio.h>
#include <string.h>

#include "lib/copy/lanes_impl.h"

#define LEFT_LONG_US 60000000
#define SEQ_BEHIND   2 /* the next reading may have been asked for already: this one was not */

bool lanes_is_split(const struct lanes *s, unsigned slot)
{
    for (size_t i = 0; i < s->n; i++)
        if (slot_set_has(&s->at[i]->others, slot))
            return true;
    return false;
}

/* Keys of one slot that stay for long are told of: of the same one until it is whole, since while many slots
 * move there are always keys of some. */
static void seen(struct served *one, unsigned slot)
{
    struct looking *look = &one->looking;

    if (look->seen_us && slot_set_has(&one->others, look->slot))
        return;
    look->slot = slot;
    look->seen_us = loop_now_us(one->all->loop);
}

void lanes_left_note(struct served *one, unsigned slot)
{
    slot_set_add(&one->others, slot);
    slot_set_remove(&one->looking.still, slot);
    seen(one, slot);
}

/* With the last of such nodes all its keys are at their own, whose feed tells of them. */
void lanes_left_none(struct served *one, unsigned slot)
{
    struct lanes *s = one->all;

    slot_set_remove(&one->others, slot);
    slot_set_remove(&one->looking.still, slot);
    if (lanes_is_split(s, slot))
        return;
    s->doubted[slot] = false;
    s->asked[slot] = NULL;
}

/* What was found does not hold any more. */
void lanes_left_missed(struct served *one)
{
    struct looking *look = &one->looking;

    memset(&look->still, 0, sizeof(look->still));
    if (look->step == LOOK_BARRIER)
        lane_drain_cancel(one->lane, look);
    look->step = LOOK_NOT;
}

/* Telling of it. */

static void tell(struct served *one)
{
    struct looking *look = &one->looking;
    struct lane *l = one->lane;
    uint64_t now_us = loop_now_us(one->all->loop);
    size_t slots = slot_set_count(&one->others);
    bool on = l->conditions[LANE_SLOTS_LEFT].on;

    if (!slots)
        look->refused[0] = '\0';
    if (!slot_set_has(&one->others, look->slot))
        look->seen_us = 0;
    if (!slots)
        lane_condition(l, LANE_SLOTS_LEFT, NULL);
    else if (look->refused[0])
        lane_condition(l, LANE_SLOTS_LEFT,
                       "CLUSTER COUNTKEYSINSLOT, which tells whether a node has keys of a slot that is "
                       "another's: %s",
                       look->refused);
    else if (look->seen_us && (on || now_us - look->seen_us >= LEFT_LONG_US))
        lane_condition(l, LANE_SLOTS_LEFT,
                       "keys of slot %u are there or were of late, and it is another node's", look->slot);
    else if (on)
        lane_condition(l, LANE_SLOTS_LEFT, "keys of %zu slots that are other nodes' may be there", slots);
}

/* Counting. */

static void barrier_passed(void *arg)
{
    struct looking *look = arg;
    bool any = false;

    look->step = LOOK_NOT;
    for (size_t i = 0; i < look->n; i++) {
        if (!slot_set_has(&look->still, look->slots[i]))
            continue;
        lanes_left_none(look->one, look->slots[i]);
        any = true;
    }
    if (any)
        lanes_place_forget(look->one->all);
}

static void counted(struct served *one)
{
    struct looking *look = &one->looking;

    if (!look->refusal)
        look->refused[0] = '\0';
    bool any = slot_set_count(&look->still) && lane_settle(one->lane, barrier_passed, look) == 0;

    look->step = any ? LOOK_BARRIER : LOOK_NOT;
}

static void refuse(struct looking *look, const struct reply *r)
{
    look->refusal = true;
    if (!reply_is_passing(r))
        bytes_escape(r->text, look->refused, sizeof(look->refused));
    memset(&look->still, 0, sizeof(look->still));
}

static void on_select(struct conn *c, const struct reply *r, void *arg)
{
    struct looking *look = arg;

    (void)c;
    if (look->step == LOOK_COUNT && !reply_is_ok(r))
        refuse(look, r);
}

static void on_count(struct conn *c, const struct reply *r, void *arg)
{
    struct looking *look = arg;
    int64_t keys;

    (void)c;
    if (look->step != LOOK_COUNT)
        return;
    unsigned slot = look->slots[look->answered++ % look->n];
    if (!reply_integer(r, &keys)) {
        refuse(look, r);
    } else if (keys) {
        slot_set_remove(&look->still, slot);
        seen(look->one, slot);
    }
    if (look->answered == look->due)
        counted(look->one);
}

static bool ask(struct looking *look, conn_reply_fn *fn, const char *command, unsigned number)
{
    char text[64];

    snprintf(text, sizeof(text), "%s %u", command, number);
    return conn_call_words(watch_conn(feed_watch(look->one->lane->feed)), fn, look, text) == 0;
}

/* A node counts in one database: that of the connection, which may not know SELECT where there is one only.
 */
static bool count_in(struct looking *look, int db)
{
    bool sent = !look->selects || ask(look, on_select, "SELECT", (unsigned)db);

    for (size_t i = 0; i < look->n && sent; i++) {
        sent = ask(look, on_count, "CLUSTER COUNTKEYSINSLOT", look->slots[i]);
        look->due += sent;
    }
    return sent;
}

/* Of those of which nothing has come, the next ones. */
static void choose(struct looking *look)
{
    struct slot_set chosen = {0};

    look->n = 0;
    for (unsigned i = 0; i < SLOTS && look->n < LOOK_SLOTS; i++) {
        unsigned slot = (look->next + i) % SLOTS;
        if (!slot_set_has(&look->still, slot))
            continue;
        slot_set_add(&chosen, slot);
        look->slots[look->n++] = (uint16_t)slot;
    }
    look->still = chosen;
    if (look->n)
        look->next = (look->slots[look->n - 1] + 1u) % SLOTS;
}

static void count(struct looking *look, const struct watch_sample *s)
{
    struct lane *l = look->one->lane;
    bool sent = true;

    choose(look);
    look->answered = look->due = 0;
    look->refusal = false;
    if (!look->n)
        return;
    look->step = LOOK_COUNT;
    look->seq = s->seq + SEQ_BEHIND;
    for (size_t i = 0; i < s->ndbs; i++)
        look->selects |= s->dbs[i].db != 0;
    for (size_t i = 0; i < s->ndbs && sent; i++)
        if (lane_in_scope(l, s->dbs[i].db))
            sent = count_in(look, s->dbs[i].db);
    if (!sent)
        lanes_left_missed(look->one);
    else if (!look->due)
        counted(look->one);
}

/* There are no places of a scope that is wider. */
static bool may_look(const struct served *one, const struct watch_sample *s)
{
    const struct lanes *all = one->all;

    return lane_is_live(one->lane) && !one->stopping && !all->stopping && !all->seal.fn && !all->seal.done &&
           s->has_keyspace && !s->loading && s->ndbs <= LANE_PLACE_DBS;
}

/* Readings are asked for over the same connection. Until one has come that was asked for behind the last
 * questions, their answers may be under way, and would be taken for those to the next; then they were lost.
 */
void lanes_left_look(struct served *one)
{
    struct looking *look = &one->looking;
    const struct watch_sample *s = watch_last(feed_watch(one->lane->feed));

    look->one = one;
    tell(one);
    if (!s || !may_look(one, s) || look->step == LOOK_BARRIER || s->seq < look->seq)
        return;
    look->step = LOOK_NOT;
    count(look, s);
    if (look->step == LOOK_NOT)
        look->still = one->others;
}
