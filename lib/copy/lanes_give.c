/* lanes_give.c - slots that change lanes (R2): which lane a key belongs to, and how it becomes another's.
 *
 * While a slot moves, its keys are at two nodes, and both nodes' feeds tell of them. All marks go to the lane
 * that has the slot by the map in force; it reads at the node that has the key now. When the map says that
 * the slot is another's, the lane that has it proves first that its feed has told all of what happened there
 * before, then takes no further key until none of the slot is in flight or may come late, and gives away what
 * it knows. From then on the slot is the other's.
 *
 * What the feed of the receiving node told of the keys as they came there is marked already. Where it was not
 * live, or the keys did not come one by one, the receiver goes through all of its keys again.
 *
 * Servers that move a slot as a whole do not tell of each of its keys. That the receiving node had no part in
 * such a move its INFO tells, which counts what the nodes say to each other in them, the last of it before
 * the slot is the receiver's. What came before the counts were first read shows in every map within a
 * minute. Where they have changed since, it is not known for which slots: those of which the owner says ASK
 * afterwards come one by one, for as long as they do not change again. A reading begun behind the map has all
 * of it, and where it comes when the slot was taken over already, and tells otherwise, there is a gap then.
 * (The servers keep lists of such moves, which are cut off, are lost in a restart, and take a right to read.)
 */
#include <errno.h>
#include <string.h>

#include "lib/copy/lanes_impl.h"

#define AGAIN_US  200000
#define AGREED_US 60000000 /* until then all nodes have heard whose the slots are */

struct served *lanes_owner(const struct lanes *s, struct bytes key)
{
    return s->n == 1 && !s->at[0]->lane->opt.slots ? s->at[0] : s->owner[slot_of(key)];
}

static void note_slots(struct served *one)
{
    one->lane->opt.slots = slot_set_is_full(&one->slots) ? NULL : &one->slots;
}

void lanes_own(struct served *one, unsigned slot)
{
    struct lanes *s = one->all;
    struct served *former = s->owner[slot];

    if (former) {
        slot_set_remove(&former->slots, slot);
        note_slots(former);
    }
    slot_set_add(&one->slots, slot);
    note_slots(one);
    s->owner[slot] = one;
    lanes_left_none(one, slot);
    /* This one may not know of keys that are at yet another. */
    s->doubted[slot] = lanes_is_split(s, slot);
    s->asked[slot] = NULL;
}

/* Marks that stray, and what redirects tell. */

void lanes_stray(struct lanes *s, struct lane *l, enum dirty_class class, int db, struct bytes key)
{
    struct served *to = s->owner[slot_of(key)];

    for (size_t i = 0; i < s->n; i++)
        if (s->at[i]->lane == l && s->at[i] != to) {
            lanes_left_note(s->at[i], slot_of(key));
            s->at[i]->passed = to;
        }
    if (to && to->lane != l)
        lane_take_mark(to->lane, class, db, key);
}

static struct served *served_at(const struct lanes *s, const char *address)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(lane_name(s->at[i]->lane), address) == 0)
            return s->at[i];
    return NULL;
}

void lanes_redirected(struct lanes *s, unsigned slot, bool ask, const char *address, uint64_t since_us)
{
    struct served *to = ask ? served_at(s, address) : NULL;

    if (to && to != s->owner[slot]) {
        lanes_left_note(to, slot);
        if (since_us > to->counted.since_us) /* an older answer may have been overtaken */
            s->asked[slot] = to;
    }
    if (!to)
        topology_refresh(s->opt.source);
}

static bool holds_half(const struct lanes *s, const struct served *owner, const struct served *other)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (s->owner[slot] == owner && slot_set_has(&other->others, slot))
            return true;
    return false;
}

/* A key that was half moved, and was deleted where the feed missed it, is at neither node: the sweep of the
 * lane that has the slot finds it. That one's own feed has missed nothing. */
void lanes_missed(struct served *one)
{
    struct lanes *s = one->all;

    for (size_t i = 0; i < s->n; i++)
        if (lane_has_begun(s->at[i]->lane) && holds_half(s, s->at[i], one))
            lane_gap(s->at[i]->lane,
                     "changes of keys that are moving to another node may have been missed there");
}

/* What the other told, the pass of the lane that has the slot does not find: it is at another node. The other
 * tells it anew by a pass of its own, which one that has begun, or is to go on from its place, would not
 * make. */
void lanes_dropped(struct served *one)
{
    struct lanes *s = one->all;

    for (size_t i = 0; i < s->n; i++)
        if ((lane_has_begun(s->at[i]->lane) || s->at[i]->lane->resuming) && holds_half(s, one, s->at[i]))
            lane_gap(s->at[i]->lane, "there was no room for marks of keys that are moving to this node");
}

/* Its own pass rests at half of it. */
bool lanes_crowded(const struct served *one)
{
    const struct dirty *d = one->passed ? one->passed->lane->dirty : NULL;
    return d && dirty_live_memory(d) >= dirty_budget(d) / 4 * 3;
}

/* Streams that are here and are another's: that one's watch list does not tell of them, and this one's lane
 * does not know them. Where the names of some are not kept, they are looked for here too. */
void lanes_groups(struct served *one)
{
    struct lanes *s = one->all;

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        struct served *owner = s->owner[slot];
        if (!owner || !slot_set_has(&one->others, slot))
            continue;
        if (!owner->lane->streams_moved)
            lane_groups_moved(owner->lane);
        if (!streams_complete(owner->lane->streams))
            streams_lack_some(one->lane->streams);
    }
}

/* An owner from which keys move says ASK. One that does not, as a replica that took over does not, knows
 * nothing of what has moved: all of it comes anew with the slot. */
void lanes_unknown(struct lanes *s, struct bytes key)
{
    unsigned slot = slot_of(key);
    s->doubted[slot] |= lanes_is_split(s, slot);
}

void lanes_doubt(struct served *one)
{
    struct lanes *s = one->all;

    for (unsigned slot = 0; slot < SLOTS; slot++)
        s->doubted[slot] |= s->owner[slot] == one && lanes_is_split(s, slot);
}

/* Giving. */

/* By the map: to whom; NULL: it stays. */
static struct served *goes_to(const struct served *from, const struct topology_map *map, unsigned slot)
{
    const struct lanes *s = from->all;

    if (s->owner[slot] != from || map->owner[slot] == from->index || map->owner[slot] == SHARD_NONE)
        return NULL;
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i]->index == map->owner[slot])
            return s->at[i];
    return NULL;
}

static bool find_given(struct served *from, const struct topology_map *map)
{
    bool any = false;

    memset(&from->given, 0, sizeof(from->given));
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (!goes_to(from, map, slot))
            continue;
        slot_set_add(&from->given, slot);
        any = true;
    }
    return any;
}

static bool moves_whole_slots(const struct lane *l)
{
    const struct watch_sample *s = watch_last(feed_watch(l->feed));
    return !s || s->id.own >= (s->id.kind == SERVER_VALKEY ? 90000u : 80400u);
}

static bool any_doubted(const struct lanes *s, const struct slot_set *slots)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (slot_set_has(slots, slot) && s->doubted[slot])
            return true;
    return false;
}

/* None has since it is counted, nor just before. */
static bool took_no_whole_slot(const struct served *to)
{
    const struct counted *c = &to->counted;
    return c->run_id[0] && !c->changed && loop_now_us(to->all->loop) - c->since_us >= AGREED_US;
}

static bool all_asked(const struct lanes *s, const struct served *to, const struct slot_set *slots)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (slot_set_has(slots, slot) && s->asked[slot] != to)
            return false;
    return true;
}

/* What its former primary did last with keys of a slot that was not its own any more, nobody may have told;
 * and that it was not, the nodes may tell late. */
static bool followed_lately(const struct lane *l)
{
    return l->followed_us && loop_now_us(l->loop) - l->followed_us < AGREED_US;
}

/* Would the receiver know of every change, with what it is given? */
static bool is_complete(const struct served *from, const struct served *to, const struct slot_set *slots)
{
    struct dirty_counts counts;

    dirty_counts(from->lane->dirty, &counts);
    return from->proved && lane_is_live(from->lane) && lane_is_live(to->lane) && !counts.failed_unnamed &&
           !from->lane->long_keys && !followed_lately(from->lane) && !any_doubted(from->all, slots) &&
           (!moves_whole_slots(to->lane) || took_no_whole_slot(to) || all_asked(from->all, to, slots));
}

static void doubt_what_came(struct served *to)
{
    lane_gap(to->lane, "slots came from another node, and changes of their keys may have been missed");
}

static bool counted_the_same(const struct counted *c, const struct watch_sample *s)
{
    return s->slot_moves == c->slot_moves && s->slot_moves != WATCH_UNKNOWN &&
           s->total_commands >= c->commands && strcmp(s->id.run_id, c->run_id) == 0;
}

void lanes_counted(struct served *one, const struct watch_sample *sample)
{
    struct lanes *s = one->all;
    struct counted *c = &one->counted;
    bool same = counted_the_same(c, sample), due = one->confirms;

    c->commands = sample->total_commands;
    if (sample->seq >= one->confirms)
        one->confirms = 0;
    if (same)
        return;
    c->changed |= sample->slot_moves == WATCH_UNKNOWN || strcmp(c->run_id, sample->id.run_id) == 0;
    c->slot_moves = sample->slot_moves;
    memcpy(c->run_id, sample->id.run_id, sizeof(c->run_id));
    c->since_us = loop_now_us(s->loop);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (s->asked[slot] == one)
            s->asked[slot] = NULL;
    if (due)
        doubt_what_came(one);
}

static void give(struct served *from, struct served *to, const struct slot_set *slots)
{
    bool complete = is_complete(from, to, slots);

    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (slot_set_has(slots, slot))
            lanes_own(to, slot);
    to->lane->opt.unswept = false; /* the other may have copied some */
    lane_give(from->lane, to->lane, slots);
    lanes_place_forget(from->all);
    if (!complete)
        doubt_what_came(to);
    else if (moves_whole_slots(to->lane))
        to->confirms = watch_read(feed_watch(to->lane->feed));
}

static void give_all(struct served *from, const struct topology_map *map)
{
    struct lanes *s = from->all;

    for (size_t i = 0; i < s->n; i++) {
        struct slot_set slots = {0};
        for (unsigned slot = 0; slot < SLOTS; slot++)
            if (slot_set_has(&from->given, slot) && goes_to(from, map, slot) == s->at[i])
                slot_set_add(&slots, slot);
        if (slot_set_count(&slots))
            give(from, s->at[i], &slots);
    }
    s->changes++;
    lanes_drains_begin_again(s);
}

static void barrier_passed(void *arg)
{
    struct served *from = arg;

    from->proved = true;
    from->giving = GIVING_FROZEN;
    lane_freeze(from->lane, true);
    lanes_give(from);
}

/* Without a live feed there is nothing to prove. */
static void begin(struct served *from)
{
    int err = lane_is_live(from->lane) ? lane_settle(from->lane, barrier_passed, from) : -ENOTCONN;

    from->proved = false;
    from->giving = err ? GIVING_FROZEN : GIVING_BARRIER;
    if (err)
        lane_freeze(from->lane, true);
}

static void end(struct served *from)
{
    if (from->giving == GIVING_BARRIER)
        lane_drain_cancel(from->lane, from);
    if (from->giving == GIVING_FROZEN)
        lane_freeze(from->lane, false);
    from->giving = GIVING_NOTHING;
}

void lanes_give(struct served *from)
{
    struct lanes *s = from->all;
    const struct topology_map *map = s->opt.source ? topology_map(s->opt.source) : NULL;

    if (!map || map->version != s->version || from->stopping || s->stopping || s->seal.fn || s->seal.done)
        return;
    if (from->giving == GIVING_NOTHING && find_given(from, map))
        begin(from);
    if (from->giving != GIVING_FROZEN)
        return;
    if (lane_busy(from->lane, &from->given)) {
        timer_set(s->again, AGAIN_US);
        return;
    }
    give_all(from, map);
    end(from);
    lanes_follow_soon(s); /* there may be more by now, or nothing is left */
}

void lanes_gave_up(struct served *from)
{
    from->proved = false;
    from->confirms = 0; /* all comes anew */
    lanes_left_missed(from);
    if (from->giving != GIVING_BARRIER)
        return;
    lane_drain_cancel(from->lane, from);
    from->giving = GIVING_FROZEN;
    lane_freeze(from->lane, true);
}
