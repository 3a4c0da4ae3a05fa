/* lane_feed.c - what a lane's feed tells it of the source. */
#include "lib/copy/lane_impl.h"

static void feed_is_ready(void *arg)
{
    struct lane *l = arg;
    l->feed_ready = true;
    lane_advance(l);
}

static void feed_mark(int db, struct bytes key, void *arg)
{
    struct lane *l = arg;

    l->marks++;
    l->told++;
    if (db == FEED_ANY_DB) {
        for (size_t i = 0; i < l->nscope; i++)
            lane_take_mark(l, DIRTY_LIVE, l->scope[i].db, key);
    } else if (lane_in_scope(l, db)) {
        lane_take_mark(l, DIRTY_LIVE, db, key);
    }
}

static void feed_value(int db, struct bytes key, struct bytes value, int64_t expire_at_ms, void *arg)
{
    struct lane *l = arg;

    l->marks++;
    l->told++;
    if (lane_in_scope(l, db))
        lane_take_value(l, db, key, value, expire_at_ms);
}

static void feed_long_key(int db, struct bytes prefix, uint64_t length, void *arg)
{
    struct lane *l = arg;
    l->told++;
    if (db == FEED_ANY_DB || lane_in_scope(l, db))
        lane_take_long_key(l, MAX(db, 0), prefix, length);
}

static void feed_moved(void *arg)
{
    static const char what[] =
        "the source's stream goes on at another server, or under another replication id";
    struct lane *l = arg;

    if (lane_follow_source(l, what))
        sink_say(l->opt.sink, SINK_NOTICE, "source_followed",
                 "%s%s%s: what was copied ahead of it is read again, and all keys need not be",
                 l->opt.slots ? lane_name(l) : "", l->opt.slots ? ": " : "", what);
}

static void feed_gap(const char *reason, void *arg)
{
    struct lane *l = arg;
    l->feed_ready = false;
    l->feed_missed = true;
    lane_gap(l, reason);
}

static void feed_is_unusable(const char *why, void *arg)
{
    struct lane *l = arg;
    l->feed_ready = false;
    l->ev.feed_unusable(l, why, l->arg);
}

static void feed_is_chosen(enum feed_kind kind, void *arg)
{
    struct lane *l = arg;
    l->ev.feed_chosen(l, kind, l->arg);
}

static void feed_groups(void *arg)
{
    struct lane *l = arg;
    l->told++;
    lane_groups_moved(l);
    if (l->opt.slots)
        l->ev.groups(l, l->arg);
}

static void feed_functions(void *arg)
{
    struct lane *l = arg;
    l->told++;
    l->functions_wanted = l->functions_moved = true;
    lane_advance(l);
}

/* In a cluster a lane moves on to the new primary. */
static void look_at_role(struct lane *l, const struct server_id *id)
{
    if (id->role == ROLE_REPLICA && !id->cluster)
        lane_condition(
            l, LANE_SOURCE_REPLICA,
            "it replicates from %.160s:%u: copying goes on, but a cutover needs the primary as its "
            "source",
            id->primary_host, id->primary_port);
    else
        lane_condition(l, LANE_SOURCE_REPLICA, NULL);
}

static void feed_sample(const struct watch_sample *s, void *arg)
{
    struct lane *l = arg;

    lane_condition(l, LANE_SOURCE_LOADING, s->loading ? "the source is loading its data" : NULL);
    look_at_role(l, &s->id);
    l->ev.sample(l, LANE_SOURCE, lane_name(l), s, !lane_approves(l, &s->id), l->arg);
    lane_place_sample(l, s);
    if (!s->loading)
        lane_scope_sample(l, LANE_SOURCE, s);
}

static void feed_reachable(bool up, const char *why, void *arg)
{
    struct lane *l = arg;

    (void)why;
    if (!up)
        functions_dropped(l->functions, watch_conn(feed_watch(l->feed)));
}

static void feed_asked(uint64_t offset, void *arg)
{
    struct lane *l = arg;
    l->keeping.asked = offset;
    lane_advance(l);
}

static int feed_record(const struct notify_record *rec, void *arg)
{
    struct lane *l = arg;
    return l->ev.record(l, rec, l->arg);
}

int lane_new_feed(struct lane *l)
{
    static const struct feed_events events = {
        .ready = feed_is_ready,
        .mark = feed_mark,
        .value = feed_value,
        .long_key = feed_long_key,
        .moved = feed_moved,
        .gap = feed_gap,
        .unusable = feed_is_unusable,
        .chosen = feed_is_chosen,
        .groups = feed_groups,
        .functions = feed_functions,
        .asked = feed_asked,
        .sample = feed_sample,
        .reachable = feed_reachable,
        .record = feed_record,
    };
    const struct feed_options opt = {.kind = l->opt.feed,
                                     .full_sync = l->opt.full_sync,
                                     .source = l->opt.source,
                                     .recorded = l->opt.recorded,
                                     .place =
                                         l->resuming ? l->opt.place.feed : (struct feed_place){.offset = 0},
                                     .sink = l->opt.sink};
    return feed_new(l->loop, &opt, &events, l, &l->feed);
}
