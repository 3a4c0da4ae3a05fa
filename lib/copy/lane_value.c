/* lane_value.c - keys that are written without being read, since the feed told all that they are.
 *
 * It is as if the key had been read at that place of the stream: whatever was done to it later is told of
 * later. So it must be as a key that is read: not in the dirty set, where it may be in flight with another
 * state (R2), and in it from then on, until the target's OK. The value is kept nowhere else. Should it have
 * to be written again, the key is read.
 */
#include "lib/copy/lane_impl.h"

/* It is told by the server that may be read from: another one may have joined its stream. */
static bool is_sources(const struct lane *l)
{
    return l->is_approved && feed_is_at(l->feed, l->approved);
}

/* Of types that are filtered, what the target has under that name would have to be asked first. */
static bool may_be_written(struct lane *l, const struct target_node *n, int db, struct bytes key)
{
    return n && is_sources(l) && !filter_has_types(l->opt.filter) && filter_name(l->opt.filter, key) &&
           lane_owns(l, key) && lane_may_write(l) && lane_node_takes_strings(n) &&
           writer_is_in(n->writer, db);
}

static void write_string(struct lane *l, struct target_node *n, struct dirty_key *k, struct bytes value,
                         int64_t expire_at_ms)
{
    k->way = WAY_STRING;
    k->unread = true;
    l->unread++;
    rate_take(&l->keys_rate, 1);
    rate_take(&l->bytes_rate, value.len);
    streams_forget(l->streams, k->db, dirty_name(k)); /* it may have been one */
    if (target_restore(n, k, expire_at_ms, value) < 0)
        lane_not_written(l, k);
}

void lane_take_value(struct lane *l, int db, struct bytes key, struct bytes value, int64_t expire_at_ms)
{
    struct target_node *n = target_of_name(l->target, key);
    struct dirty_key *k = NULL;

    if (may_be_written(l, n, db, key))
        k = dirty_fly(l->dirty, db, key, loop_now_us(l->loop));
    if (k)
        write_string(l, n, k, value, expire_at_ms);
    else
        lane_take_mark(l, DIRTY_LIVE, db, key);
}
