#include "daemon/status_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SHOWN 200

/* Parts of the document. */

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

static json_t *texts_part(const struct config_texts *t)
{
    json_t *list = t->count ? json_array() : NULL;
    for (size_t i = 0; i < t->count; i++)
        json_array_append_new(list, json_string(t->at[i]));
    return list;
}

/* Absent: there is none. */
static json_t *filter_part(const struct config *c)
{
    json_t *o = c->filter ? json_object() : NULL;

    if (!o)
        return NULL;
    status_set(o, "include", texts_part(&c->filter_include));
    status_set(o, "exclude", texts_part(&c->filter_exclude));
    status_set(o, "types", texts_part(&c->filter_types));
    return o;
}

static void set_link_parts(json_t *o, const struct link_status *s, struct link *k)
{
    status_text(o, "state", link_state_name(s->state));
    status_time(o, "since", s->since_ms);
    status_text(o, "reason", s->reason);
    status_lane_parts(o, s, k);
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
    set_link_parts(o, s, p->link);
    status_set(o, "filter", filter_part(p->config));
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
    status_number(o, "coalesce_ms", c->limit_coalesce_ms);
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
