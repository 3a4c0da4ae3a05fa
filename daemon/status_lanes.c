/* status_lanes.c - what the status document tells of the lanes and their servers: of all as one, and of each.
 */
#include "daemon/status_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *server_state(const struct link_status *s, enum lane_side side)
{
    enum lane_condition silent = side == LANE_SOURCE ? LANE_SOURCE_SILENT : LANE_TARGET_SILENT;

    if (!s->has_lane)
        return s->waiting[side].text[0] && !s->waiting[side].code ? "down" : "unknown";
    if (!s->lane.server[side].up)
        return "down";
    return s->lane.conditions[silent].on ? "silent" : "up";
}

/* Of a cluster, who is which process stands with its nodes. */
static void set_server(json_t *o, const struct server_id *id, bool cluster)
{
    if (!id->version[0])
        return;
    status_text(o, "server", server_kind_name(id->kind));
    status_text(o, "version", id->version);
    if (cluster)
        return;
    status_text(o, "run_id", id->run_id);
    status_text(o, "role", server_role_name(id->role));
}

/* Where it is known: of a replica nothing but its place is. */
static const char *node_state(const struct link_status *s, enum lane_side side, const struct link_node *n,
                              const struct watch_sample *last)
{
    if (n->failing)
        return "failing";
    if (!last)
        return "unknown";
    return side == LANE_TARGET && !s->lane.server[side].up ? "unknown" : "up";
}

static json_t *node_part(const struct link_status *s, enum lane_side side, const struct link_node *n,
                         const struct lanes *lanes)
{
    const struct watch_sample *last = lanes ? lanes_last_sample(lanes, side, n->address) : NULL;
    json_t *o = json_object();
    char run_id[9] = "";

    status_text(o, "address", n->address);
    status_text(o, "role", n->primary ? "primary" : "replica");
    status_text(o, "state", node_state(s, side, n, last));
    if (last)
        snprintf(run_id, sizeof(run_id), "%.8s", last->id.run_id);
    status_text(o, "run_id", run_id);
    if (n->primary)
        status_number(o, "slots", n->slots);
    return o;
}

static void set_nodes(json_t *o, const struct link_status *s, enum lane_side side, const struct lanes *lanes)
{
    const struct link_nodes *nodes = s->nodes[side];
    json_t *list = json_array();

    for (size_t i = 0; i < nodes->count; i++)
        json_array_append_new(list, node_part(s, side, &nodes->at[i], lanes));
    status_set(o, "cluster", json_true());
    status_number(o, "shards", nodes->primaries);
    status_set(o, "covered", json_boolean(nodes->covered));
    status_set(o, "nodes", list);
}

static json_t *server_part(const struct link_status *s, enum lane_side side, const struct lanes *lanes)
{
    const struct lane_server *server = &s->lane.server[side];
    const char *state = server_state(s, side);
    json_t *o = json_object();

    status_text(o, "address", s->endpoints[side]->url.text);
    if (s->has_lane && server->known)
        set_server(o, &server->id, s->nodes[side]->cluster);
    status_text(o, "state", state);
    if (!strcmp(state, "up") && server->round_trip_us)
        status_real(o, "round_trip_ms", server->round_trip_us / 1000.0);
    if (s->nodes[side]->cluster)
        set_nodes(o, s, side, lanes);
    return o;
}

static json_t *feed_part(const struct lane_status *l)
{
    const struct feed_status *f = &l->feed;
    json_t *o = json_object(), *passed = json_array();

    status_text(o, "kind", feed_kind_name(f->kind));
    status_text(o, "state", f->state);
    status_number(o, "gaps", l->gaps);
    status_text(o, "last_gap_reason", l->last_gap);
    for (size_t i = 0; i < f->npassed_over; i++) {
        json_t *one = json_object();
        status_text(one, "kind", feed_kind_name(f->passed_over[i].kind));
        status_text(one, "why", f->passed_over[i].why);
        json_array_append_new(passed, one);
    }
    status_set(o, "passed_over", passed);
    return o;
}

/* Where a restart went on with the source's stream no pass was made. */
static const char *phase_name(enum lane_phase phase, unsigned round)
{
    static const char *const names[] = {
        [LANE_CONNECTING] = "waiting", [LANE_SCAN] = "scan", [LANE_SWEEP] = "sweep",
        [LANE_SETTLING] = "settling",  [LANE_LIVE] = "done", [LANE_DONE] = "done",
        [LANE_GAP] = "waiting",
    };
    return phase == LANE_LIVE && !round ? "resumed" : names[phase];
}

/* Of one lane, in full. */
static const char *lane_phase_word(enum lane_phase phase)
{
    static const char *const words[] = {
        [LANE_CONNECTING] = "connecting",
        [LANE_SCAN] = "scan",
        [LANE_SWEEP] = "sweep",
        [LANE_SETTLING] = "settling",
        [LANE_LIVE] = "live",
        [LANE_DONE] = "done",
        [LANE_GAP] = "gap",
    };
    return words[phase];
}

static json_t *snapshot_part(const struct lane_status *l)
{
    json_t *o = json_object();

    status_number(o, "round", l->round);
    status_text(o, "phase", phase_name(l->phase, l->round));
    status_number(o, "scanned_keys", l->scanned_keys);
    if (l->round)
        status_number(o, "estimated_keys", l->estimated_keys);
    if (l->swept_keys)
        status_number(o, "swept_keys", l->swept_keys);
    if (l->round)
        status_real(o, "percent", l->percent);
    if (l->eta_ms >= 0)
        status_number(o, "eta_ms", (uint64_t)l->eta_ms);
    return o;
}

static json_t *queue_part(const struct lane_status *l)
{
    json_t *o = json_object();
    status_number(o, "dirty_keys", l->counts.queued + l->counts.waiting);
    status_number(o, "in_flight_keys", l->counts.in_flight);
    status_number(o, "in_flight_bytes", l->in_flight_bytes);
    status_number(o, "memory_bytes", l->memory_bytes);
    status_number(o, "memory_limit_bytes", l->memory_limit_bytes);
    return o;
}

static json_t *lag_part(const struct lane_status *l)
{
    json_t *o = json_object();
    status_number(o, "keys", l->lag_keys);
    status_number(o, "ms", l->lag_ms);
    if (l->lag_bytes != UINT64_MAX) /* of a feed that has offsets */
        status_number(o, "bytes", l->lag_bytes);
    return o;
}

static json_t *rate_part(const struct lane_status *l)
{
    json_t *o = json_object();
    status_real(o, "copied_keys_per_s", l->copied_keys_per_s);
    status_real(o, "bytes_per_s", l->bytes_per_s);
    status_real(o, "marks_per_s", l->marks_per_s);
    return o;
}

static json_t *totals_part(const struct lane_status *l)
{
    json_t *o = json_object();
    status_number(o, "marks", l->marks);
    status_number(o, "copied_keys", l->copied_keys);
    status_number(o, "deleted_keys", l->deleted_keys);
    status_number(o, "bytes", l->bytes);
    status_number(o, "retries", l->retries);
    status_number(o, "failed_keys", l->counts.failed + l->long_keys);
    return o;
}

/* What each lane has of its own; the link's own figures are their sum. */
static void set_figures(json_t *o, const struct lane_status *l)
{
    status_set(o, "snapshot", snapshot_part(l));
    status_set(o, "queue", queue_part(l));
    status_set(o, "rate", rate_part(l));
    status_set(o, "totals", totals_part(l));
}

static void add_condition(json_t *list, const char *code, int64_t since_ms, const char *message)
{
    json_t *o = json_object();
    status_text(o, "code", code);
    status_time(o, "since", since_ms);
    status_text(o, "message", message);
    json_array_append_new(list, o);
}

static json_t *problems_part(const struct lane_status *l)
{
    json_t *list = json_array();

    for (enum lane_condition c = 0; c < LANE_CONDITIONS; c++)
        if (l->conditions[c].on)
            add_condition(list, lane_condition_code(c), l->conditions[c].since_ms, l->conditions[c].text);
    return list;
}

static json_t *conditions_part(const struct link_status *s)
{
    static const enum lane_condition down[] = {LANE_SOURCE_DOWN, LANE_TARGET_DOWN};
    json_t *list = s->has_lane ? problems_part(&s->lane) : json_array();

    for (size_t i = 0; !s->has_lane && i < ARRAY_LEN(s->waiting); i++)
        if (s->waiting[i].text[0])
            add_condition(list, s->waiting[i].code ? s->waiting[i].code : lane_condition_code(down[i]),
                          s->waiting[i].since_ms, s->waiting[i].text);
    return list;
}

static unsigned slots_of(const struct link_status *s, const char *address)
{
    const struct link_nodes *nodes = s->nodes[LANE_SOURCE];

    for (size_t i = 0; i < nodes->count; i++)
        if (strcmp(nodes->at[i].address, address) == 0)
            return nodes->at[i].slots;
    return 0;
}

static json_t *lane_part(const struct link_status *s, struct lane *lane, struct lane_status *scratch)
{
    json_t *o = json_object();

    lane_status(lane, scratch);
    status_text(o, "name", lane_name(lane));
    status_text(o, "source", lane_name(lane));
    if (s->nodes[LANE_SOURCE]->cluster)
        status_number(o, "slots", slots_of(s, lane_name(lane)));
    status_text(o, "run_id", scratch->server[LANE_SOURCE].id.run_id);
    status_text(o, "state", scratch->server[LANE_SOURCE].up ? "up" : "down");
    status_text(o, "phase", lane_phase_word(scratch->phase));
    set_figures(o, scratch);
    status_set(o, "lag", lag_part(scratch));
    status_set(o, "feed", feed_part(scratch));
    status_set(o, "conditions", problems_part(scratch));
    return o;
}

static json_t *lanes_part(const struct link_status *s, const struct lanes *lanes)
{
    json_t *list = json_array();
    struct lane_status *scratch = lanes ? calloc(1, sizeof(*scratch)) : NULL;

    for (size_t i = 0; scratch && i < lanes_count(lanes); i++)
        json_array_append_new(list, lane_part(s, lanes_at(lanes, i), scratch));
    free(scratch);
    return list;
}

void status_lane_parts(json_t *o, const struct link_status *s, struct link *k)
{
    const struct lanes *lanes = s->has_lane ? link_lanes(k) : NULL;

    status_set(o, "conditions", conditions_part(s));
    status_set(o, "source", server_part(s, LANE_SOURCE, lanes));
    status_set(o, "target", server_part(s, LANE_TARGET, lanes));
    status_set(o, "feed", feed_part(&s->lane));
    set_figures(o, &s->lane);
    if (s->has_lane)
        status_set(o, "lag", lag_part(&s->lane));
    status_set(o, "lanes", lanes_part(s, lanes));
}
