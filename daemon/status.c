#include "daemon/status_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SHOWN 200

/* Parts of the document. */

static const char *server_state(const struct link_status *s, enum lane_side side)
{
    enum lane_condition silent = side == LANE_SOURCE ? LANE_SOURCE_SILENT : LANE_TARGET_SILENT;

    if (!s->has_lane)
        return s->waiting[side].text[0] && !s->waiting[side].code ? "down" : "unknown";
    if (!s->lane.server[side].up)
        return "down";
    return s->lane.conditions[silent].on ? "silent" : "up";
}

static json_t *server_part(const struct link_status *s, enum lane_side side)
{
    const struct lane_server *server = &s->lane.server[side];
    const char *state = server_state(s, side);
    json_t *o = json_object();

    status_text(o, "address", s->endpoints[side]->url.text);
    if (s->has_lane && server->known && server->id.version[0]) {
        status_text(o, "server", server_kind_name(server->id.kind));
        status_text(o, "version", server->id.version);
        status_text(o, "run_id", server->id.run_id);
        status_text(o, "role", server_role_name(server->id.role));
    }
    status_text(o, "state", state);
    if (!strcmp(state, "up") && server->round_trip_us)
        status_real(o, "round_trip_ms", server->round_trip_us / 1000.0);
    return o;
}

static json_t *feed_part(const struct link_status *s)
{
    const struct feed_status *f = &s->lane.feed;
    json_t *o = json_object(), *passed = json_array();

    status_text(o, "kind", feed_kind_name(f->kind));
    status_text(o, "state", f->state);
    status_number(o, "gaps", s->lane.gaps);
    status_text(o, "last_gap_reason", s->lane.last_gap);
    for (size_t i = 0; i < f->npassed_over; i++) {
        json_t *one = json_object();
        status_text(one, "kind", feed_kind_name(f->passed_over[i].kind));
        status_text(one, "why", f->passed_over[i].why);
        json_array_append_new(passed, one);
    }
    status_set(o, "passed_over", passed);
    return o;
}

static const char *phase_name(enum lane_phase phase)
{
    static const char *const names[] = {
        [LANE_CONNECTING] = "waiting", [LANE_SCAN] = "scan", [LANE_SWEEP] = "sweep",
        [LANE_SETTLING] = "settling",  [LANE_LIVE] = "done", [LANE_DONE] = "done",
        [LANE_GAP] = "waiting",
    };
    return names[phase];
}

static json_t *snapshot_part(const struct lane_status *l)
{
    json_t *o = json_object();

    status_number(o, "round", l->round);
    status_text(o, "phase", phase_name(l->phase));
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

/* What each lane has of its own; the link's own figures are their sum, and there is one lane. */
static void set_lane_parts(json_t *o, const struct lane_status *l)
{
    status_set(o, "snapshot", snapshot_part(l));
    status_set(o, "queue", queue_part(l));
    status_set(o, "rate", rate_part(l));
    status_set(o, "totals", totals_part(l));
}

static json_t *lanes_part(const struct link_status *s)
{
    json_t *lanes = json_array();
    if (!s->has_lane)
        return lanes;
    json_t *one = json_object();
    status_text(one, "source", s->endpoints[LANE_SOURCE]->url.text);
    set_lane_parts(one, &s->lane);
    status_set(one, "lag", lag_part(&s->lane));
    json_array_append_new(lanes, one);
    return lanes;
}

static void add_condition(json_t *list, const char *code, int64_t since_ms, const char *message)
{
    json_t *o = json_object();
    status_text(o, "code", code);
    status_time(o, "since", since_ms);
    status_text(o, "message", message);
    json_array_append_new(list, o);
}

static json_t *conditions_part(const struct link_status *s)
{
    static const enum lane_condition down[] = {LANE_SOURCE_DOWN, LANE_TARGET_DOWN};
    json_t *list = json_array();

    for (enum lane_condition c = 0; s->has_lane && c < LANE_CONDITIONS; c++)
        if (s->lane.conditions[c].on)
            add_condition(list, lane_condition_code(c), s->lane.conditions[c].since_ms,
                          s->lane.conditions[c].text);
    for (size_t i = 0; !s->has_lane && i < ARRAY_LEN(s->waiting); i++)
        if (s->waiting[i].text[0])
            add_condition(list, s->waiting[i].code ? s->waiting[i].code : lane_condition_code(down[i]),
                          s->waiting[i].since_ms, s->waiting[i].text);
    return list;
}

static json_t *blockers_part(const struct link_status *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < BLOCKER_COUNT; i++) {
        if (!s->blockers[i].on)
            continue;
        json_t *o = json_object();
        status_text(o, "code", blockers[i].code);
        status_time(o, "since", s->blockers[i].since_ms);
        status_text(o, "message", s->blockers[i].message);
        status_text(o, "hint", blockers[i].hint);
        json_array_append_new(list, o);
    }
    return list;
}

struct sample {
    json_t *list;
    size_t left;
};

static void add_failed(int db, struct bytes key, const char *reason, void *arg)
{
    struct sample *s = arg;
    char name[KEY_SHOWN];

    if (!s->left)
        return;
    s->left--;
    json_t *o = json_object();
    status_set(o, "db", json_integer(db));
    status_set(o, "key", json_string(bytes_escape(key, name, sizeof(name))));
    status_text(o, "reason", reason);
    json_array_append_new(s->list, o);
}

static json_t *failed_part(struct link *k)
{
    struct sample s = {json_array(), STATUS_FAILED_KEYS};
    link_each_failed(k, add_failed, &s);
    return s.list;
}

/* What an operator would type now. */
static const char *const next_commands[LINK_STATES][3] = {
    [LINK_IDLE] = {"riotctl start"},
    [LINK_CONNECTING] = {"riotctl status --watch", "riotctl stop"},
    [LINK_SNAPSHOT] = {"riotctl wait --for live", "riotctl pause", "riotctl limit"},
    [LINK_RESYNC] = {"riotctl wait --for live", "riotctl pause", "riotctl limit"},
    [LINK_LIVE] = {"riotctl verify", "riotctl cutover --dry-run", "riotctl pause"},
    [LINK_PAUSED] = {"riotctl resume", "riotctl stop"},
    [LINK_CUTOVER] = {"riotctl status --watch", "riotctl abort"},
    [LINK_COMMITTED] = {"riotctl finish"},
    [LINK_FINISHED] = {NULL},
    [LINK_FAILED] = {"riotctl start"},
};

static json_t *next_part(const struct link_status *s)
{
    json_t *list = json_array();
    char text[128];

    for (size_t i = 0; i < BLOCKER_COUNT; i++) {
        if (!s->blockers[i].on || !blockers[i].acceptable)
            continue;
        snprintf(text, sizeof(text), "riotctl resume --accept %s", blockers[i].code);
        json_array_append_new(list, json_string(text));
    }
    if (s->blockers[BLOCKER_FENCED].on)
        json_array_append_new(list, json_string("riotctl finish --unfence"));
    for (size_t i = 0; i < ARRAY_LEN(next_commands[0]) && next_commands[s->state][i]; i++)
        json_array_append_new(list, json_string(next_commands[s->state][i]));
    return list;
}

static json_t *operation_part(const struct operation *op)
{
    json_t *o = json_object();
    status_number(o, "id", op->id);
    status_text(o, "verb", op->verb);
    status_text(o, "state", op->ended ? "ended" : "running");
    status_time(o, "started", op->started_ms);
    if (op->ended) {
        status_time(o, "ended", op->ended_ms);
        status_text(o, "result", op->result);
        status_number(o, "exit_code", op->exit_code);
    }
    status_text(o, "text", op->text);
    return o;
}

static void add_operation(const struct operation *op, void *arg)
{
    json_array_append_new(arg, operation_part(op));
}

static void set_link_parts(json_t *o, const struct link_status *s)
{
    status_text(o, "state", link_state_name(s->state));
    status_time(o, "since", s->since_ms);
    status_text(o, "reason", s->reason);
    status_set(o, "conditions", conditions_part(s));
    status_set(o, "source", server_part(s, LANE_SOURCE));
    status_set(o, "target", server_part(s, LANE_TARGET));
    status_set(o, "feed", feed_part(s));
    set_lane_parts(o, &s->lane);
    if (s->has_lane)
        status_set(o, "lag", lag_part(&s->lane));
    status_set(o, "lanes", lanes_part(s));
}

char *status_document(const struct status_parts *p)
{
    struct link_status *s = calloc(1, sizeof(*s));
    json_t *o, *operations;

    if (!s)
        return NULL;
    o = json_object();
    operations = json_array();
    link_status(p->link, s);
    status_number(o, "schema", STATUS_SCHEMA);
    status_text(o, "name", p->config->name);
    status_text(o, "version", RIOT_VERSION);
    set_link_parts(o, s);
    status_set(o, "failed_keys", failed_part(p->link));
    status_set(o, "blockers", blockers_part(s));
    status_set(o, "verify", status_verify_part(p->verification));
    status_set(o, "cutover", status_cutover_part(p->cutover));
    status_set(o, "next", next_part(s));
    operations_each(p->operations, add_operation, operations);
    status_set(o, "operations", operations);
    free(s);
    return status_finish(o);
}

/* The smaller ones. */

static int add_option(const struct config_row *row, void *arg)
{
    json_t *o = json_object();
    status_text(o, "name", row->path);
    if (row->value)
        status_set(o, "value", json_string(row->value));
    status_text(o, "origin", row->origin);
    return json_array_append_new(arg, o);
}

char *status_config(const struct config *c)
{
    json_t *o = json_object(), *list = json_array();
    status_text(o, "name", c->name);
    status_text(o, "file", c->file);
    int err = config_each(c, add_option, list);
    status_set(o, "options", list);
    if (!err)
        return status_finish(o);
    json_decref(o);
    return NULL;
}

char *status_limits(const struct config *c)
{
    json_t *o = json_object();
    status_number(o, "memory", c->limit_memory);
    status_number(o, "keys_per_s", c->limit_keys_per_s);
    status_number(o, "bytes_per_s", c->limit_bytes_per_s);
    return status_finish(o);
}

char *status_changes(const struct config *c, const struct config_changes *changes)
{
    json_t *o = json_object(), *list = json_array();

    for (size_t i = 0; i < changes->count; i++) {
        const struct config_change *change = &changes->at[i];
        json_t *one = json_object();
        status_text(one, "option", change->path);
        status_text(one, "before", change->before);
        status_text(one, "after", change->after);
        status_text(one, "holds", change->now ? "now" : "next_start");
        json_array_append_new(list, one);
    }
    status_text(o, "file", c->file);
    status_set(o, "changes", list);
    return status_finish(o);
}

char *status_version(void)
{
    json_t *o = json_object();
    status_text(o, "version", RIOT_VERSION);
    return status_finish(o);
}

char *status_operation_id(uint64_t id)
{
    json_t *o = json_object();
    status_number(o, "operation", id);
    return status_finish(o);
}
