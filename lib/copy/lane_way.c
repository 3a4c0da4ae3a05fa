/* lane_way.c - whether a key goes by DUMP and RESTORE, or as a string. */
#include "lib/copy/lane_impl.h"
#include "lib/rdb/payload.h"
#include "lib/redis/refusal.h"

#define STRINGS_LEARNT 64    /* values, of the past ones, that are as good as forgotten */
#define SET_PXAT_SINCE 60200 /* SET takes an absolute expiry */

static const struct bytes string_start = {(const char[]){RDB_STRING_BYTE}, 1};

struct bytes lane_start_of(const struct dirty_key *k, struct bytes value)
{
    return k->way == WAY_STRING ? string_start : value;
}

void lane_learn_kind(struct lane *l, struct bytes start)
{
    bool string = start.len && start.ptr[0] == RDB_STRING_BYTE;
    l->strings += ((string ? 1.0 : 0.0) - l->strings) / STRINGS_LEARNT;
}

bool lane_node_takes_strings(const struct target_node *n)
{
    const struct server_id *id = conn_server(writer_conn(n->writer));
    return id && id->redis >= SET_PXAT_SINCE;
}

static bool target_takes_strings(const struct lane *l)
{
    for (const struct target_node *n = target_nodes(l->target); n; n = n->next)
        if (target_counts(n) && !lane_node_takes_strings(n))
            return false;
    return true;
}

/* A key's type is not known before it is read. GET and SET cost both servers much less than DUMP and RESTORE,
 * and what is no string says so cheaply: it pays where most keys are strings. */
void lane_choose_way(struct lane *l)
{
    l->by_string = l->strings > 0.5 && !l->no_strings && filter_payload(l->opt.filter, string_start) &&
                   target_takes_strings(l);
}

static void note_no_strings(struct lane *l, enum lane_side side, struct bytes error)
{
    char text[160];

    if (!l->no_strings)
        sink_say(l->opt.sink, SINK_WARNING, "strings_by_dump",
                 "%s is refused by the %s, so strings go by DUMP and RESTORE, which is slower: %s",
                 side == LANE_SOURCE ? "GET" : "SET", side == LANE_SOURCE ? "source" : "target",
                 bytes_escape(error, text, sizeof(text)));
    l->no_strings = true;
    l->by_string = false;
}

/* True: as a string it cannot be moved; by DUMP it may. */
bool lane_no_string(struct lane *l, enum lane_side side, struct dirty_key *k, struct bytes error)
{
    bool refused = refusal_is_of_command(error, side == LANE_SOURCE ? "get" : "set");

    if (k->way != WAY_STRING || !(refused || bytes_starts(error, "WRONGTYPE ")))
        return false;
    if (refused)
        note_no_strings(l, side, error);
    k->way = WAY_NO_STRING;
    return true;
}
