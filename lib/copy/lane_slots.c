/* lane_slots.c - which keys are a lane's, and what it takes for slots to become another lane's. */
#include "lib/copy/lane_impl.h"

static bool in_slots(struct bytes key, const void *of)
{
    return slot_set_has(of, slot_of(key));
}

bool lane_owns(const struct lane *l, struct bytes key)
{
    return !l->opt.slots || in_slots(key, l->opt.slots);
}

void lane_freeze(struct lane *l, bool frozen)
{
    l->frozen = frozen;
    lane_pump_soon(l);
}

size_t lane_busy(const struct lane *l, const struct slot_set *slots)
{
    return dirty_busy(l->dirty, in_slots, slots);
}

static void take_key(const struct dirty_key *k, void *arg)
{
    lane_take_mark(arg, k->class, k->db, dirty_name(k));
}

/* What became of its groups at the node that it moved to, that one's watch list told before it was known to
 * be there: it is copied anew. */
static void take_stream(int db, struct bytes key, void *arg)
{
    struct lane *to = arg;
    streams_note(to->streams, db, key);
    lane_take_mark(to, DIRTY_LIVE, db, key);
}

void lane_give(struct lane *from, struct lane *to, const struct slot_set *slots)
{
    dirty_take_out(from->dirty, in_slots, slots, take_key, to);
    streams_take_out(from->streams, in_slots, slots, take_stream, to);
    if (!streams_complete(from->streams))
        streams_lack_some(to->streams);
    to->streams_moved |= from->streams_moved;
    to->deletes_dropped |= from->deletes_dropped;
    ahead_lack(to->ahead); /* the other may have read there what the stream has yet to tell */
    lane_advance(from);
    lane_advance(to);
}

bool lane_is_still(struct lane *l)
{
    struct dirty_counts counts;

    dirty_counts(l->dirty, &counts);
    return !dirty_pending(&counts) && !functions_busy(l->functions) && !target_may_be_late(l->target);
}
