/* The state as JSON, and back. */
#include "daemon/state_file_json.h"
#include "daemon/state_file_parts.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_WITHOUT_CUTOVER 1
#define SCHEMA_WITHOUT_SHARDS  2

static const char *const desired_names[] = {[DESIRED_NONE] = "none",
                                            [DESIRED_IDLE] = "idle",
                                            [DESIRED_RUNNING] = "running",
                                            [DESIRED_PAUSED] = "paused"};
static const char *const role_names[] = {
    [ROLE_UNKNOWN] = "unknown", [ROLE_PRIMARY] = "primary", [ROLE_REPLICA] = "replica"};
static const char *const side_names[] = {[STATE_SOURCE] = "source", [STATE_TARGET] = "target"};

static const char *const stage_names[] = {
    [STAGE_NONE] = "none",       [STAGE_PAUSING] = "pausing",     [STAGE_FENCING] = "fencing",
    [STAGE_UNDOING] = "undoing", [STAGE_COMMITTED] = "committed", [STAGE_FINISHED] = "finished"};

const char *cutover_stage_name(enum cutover_stage s)
{
    return (size_t)s < ARRAY_LEN(stage_names) ? stage_names[s] : "?";
}

const char *state_desired_name(enum state_desired d)
{
    return (size_t)d < ARRAY_LEN(desired_names) ? desired_names[d] : "?";
}

/* Writing. */

void state_put(struct writer *w, json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) < 0)
        w->err = -ENOMEM;
}

void state_put_text(struct writer *w, json_t *object, const char *name, const char *text)
{
    char clean[STATE_URL_MAX];
    size_t i = 0;
    json_t *value = json_string(text);
    if (value) {
        state_put(w, object, name, value);
        return;
    }
    for (; text[i] && i < sizeof(clean) - 1; i++)
        clean[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
    clean[i] = '\0';
    state_put(w, object, name, json_string(clean));
}

void state_put_u64(struct writer *w, json_t *object, const char *name, uint64_t n)
{
    state_put(w, object, name, json_integer((json_int_t)MIN(n, (uint64_t)INT64_MAX)));
}

void state_append(struct writer *w, json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) < 0)
        w->err = -ENOMEM;
}

static json_t *server_json(struct writer *w, const struct state_server *s)
{
    json_t *o = json_object(), *keys = json_object();
    state_put_text(w, o, "address", s->address);
    state_put_text(w, o, "run_id", s->run_id);
    state_put_text(w, o, "replid", s->replid);
    state_put_text(w, o, "replid2", s->replid2);
    state_put_text(w, o, "role", role_names[s->role]);
    state_put_u64(w, o, "slots", s->slots);
    for (size_t i = 0; i < s->ndbs; i++) {
        char db[16];
        snprintf(db, sizeof(db), "%d", s->dbs[i].db);
        state_put_u64(w, keys, db, s->dbs[i].keys);
    }
    state_put(w, o, "keys", keys);
    return o;
}

static json_t *servers_json(struct writer *w, const struct state_servers *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++)
        state_append(w, array, server_json(w, &list->at[i]));
    return array;
}

static json_t *owned_json(struct writer *w, const struct state_owned *s)
{
    json_t *o = json_object();
    state_put(w, o, "owned", json_boolean(s->owned));
    state_put_text(w, o, "url", s->url);
    state_put(w, o, "servers", servers_json(w, &s->servers));
    return o;
}

static json_t *notify_json(struct writer *w, const struct state *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->nnotify; i++) {
        const struct notify_record *n = &s->notify[i].record;
        json_t *o = json_object();
        state_put_text(w, o, "address", s->notify[i].address);
        state_put_text(w, o, "run_id", n->run_id);
        state_put_text(w, o, "before", n->before);
        state_put_text(w, o, "after", n->after);
        state_append(w, list, o);
    }
    return list;
}

static json_t *connections_json(struct writer *w, const struct state *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->nconnections; i++) {
        const struct state_connection *c = &s->connections[i];
        json_t *o = json_object();
        state_put_text(w, o, "side", side_names[c->side]);
        state_put_text(w, o, "run_id", c->run_id);
        state_put_u64(w, o, "client_id", c->client_id);
        state_append(w, list, o);
    }
    return list;
}

/* A user's name and patterns may hold any byte but NUL and blanks, and must come back as they were: what is
 * no UTF-8 is written as {"bytes": text}, each byte as the character of its number. */
static json_t *exact_json(const char *text)
{
    json_t *value = json_string(text);
    if (value)
        return value;
    char *wide = malloc(2 * strlen(text) + 1), *to = wide;
    if (!wide)
        return NULL;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < 0x80) {
            *to++ = (char)*at;
        } else {
            *to++ = (char)(0xc0 | *at >> 6);
            *to++ = (char)(0x80 | (*at & 0x3f));
        }
    }
    *to = '\0';
    value = json_object();
    if (json_object_set_new(value, "bytes", json_string(wide)) < 0) {
        json_decref(value);
        value = NULL;
    }
    free(wide);
    return value;
}

static void put_count(struct writer *w, json_t *object, const char *name, uint64_t count)
{
    if (count == WATCH_UNKNOWN)
        state_put(w, object, name, json_null());
    else
        state_put_u64(w, object, name, count);
}

static json_t *node_json(struct writer *w, const struct state_node *n)
{
    json_t *o = json_object(), *settings = json_array();
    state_put_text(w, o, "address", n->address);
    state_put_text(w, o, "run_id", n->run_id);
    state_put(w, o, "primary", json_boolean(n->primary));
    state_put_u64(w, o, "shard", n->shard);
    state_put_text(w, o, "replid", n->replid);
    put_count(w, o, "write_calls", n->write_calls);
    for (size_t i = 0; i < n->nsettings; i++) {
        json_t *s = json_object();
        state_put(w, s, "name", exact_json(n->settings[i].name));
        state_put(w, s, "before", exact_json(n->settings[i].before));
        state_put(w, s, "after", exact_json(n->settings[i].after));
        state_append(w, settings, s);
    }
    state_put(w, o, "settings", settings);
    return o;
}

static void put_ms(struct writer *w, json_t *object, const char *name, int64_t ms)
{
    state_put(w, object, name, json_integer(ms));
}

static json_t *cutover_json(struct writer *w, const struct state_cutover *c)
{
    json_t *o = json_object(), *nodes = json_array();
    state_put_text(w, o, "stage", stage_names[c->stage]);
    state_put_text(w, o, "fence", fence_names[c->fence]);
    state_put(w, o, "unfenced", json_boolean(c->unfenced));
    put_ms(w, o, "began_ms", c->began_ms);
    put_ms(w, o, "committed_ms", c->committed_ms);
    put_ms(w, o, "finished_ms", c->finished_ms);
    state_put_u64(w, o, "write_pause_ms", c->write_pause_ms);
    state_put_u64(w, o, "lease_ms", c->lease_ms);
    for (size_t i = 0; i < c->nnodes; i++)
        state_append(w, nodes, node_json(w, &c->nodes[i]));
    state_put(w, o, "nodes", nodes);
    return o;
}

int state_render(const struct state *s, char **ret)
{
    if (state_settings_count(&s->cutover) > STATE_SETTINGS_MAX)
        return -EFBIG;
    struct writer w = {0};
    json_t *o = json_object();
    state_put(&w, o, "schema", json_integer(STATE_SCHEMA));
    state_put_text(&w, o, "instance", s->instance);
    state_put_text(&w, o, "desired", desired_names[s->desired]);
    state_put(&w, o, "target_owned", owned_json(&w, &s->target_owned));
    state_put(&w, o, "sources", servers_json(&w, &s->sources));
    state_put(&w, o, "targets", servers_json(&w, &s->targets));
    state_put(&w, o, "notify", notify_json(&w, s));
    state_put(&w, o, "connections", connections_json(&w, s));
    state_put(&w, o, "cutover", cutover_json(&w, &s->cutover));
    if (s->place.ok)
        state_put(&w, o, "place", state_place_json(&w, &s->place));
    char *text = w.err == 0 ? json_dumps(o, JSON_INDENT(2)) : NULL;
    json_decref(o);
    if (!text)
        return -ENOMEM;
    *ret = text;
    return 0;
}

/* Reading. */

void state_bad(struct reader *r, const char *format, ...)
{
    va_list ap;
    if (r->bad)
        return;
    r->bad = true;
    va_start(ap, format);
    vsnprintf(r->why, STATE_WHY_MAX, format, ap);
    va_end(ap);
}

const json_t *state_object(struct reader *r, const json_t *value, const char *name, size_t fields)
{
    if (!json_is_object(value))
        state_bad(r, "%s is not an object", name);
    else if (json_object_size(value) != fields)
        state_bad(r, "%s does not have the fields it should have", name);
    return r->bad ? NULL : value;
}

void state_get_text(struct reader *r, const json_t *o, const char *name, char *out, size_t cap)
{
    const json_t *value = json_object_get(o, name);
    if (!json_is_string(value) || json_string_length(value) >= cap ||
        strlen(json_string_value(value)) != json_string_length(value)) {
        state_bad(r, "%s is missing, not a text, or too long", name);
        return;
    }
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
}

uint64_t state_to_u64(struct reader *r, const json_t *value, const char *name)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        state_bad(r, "%s is missing or not a count", name);
        return 0;
    }
    return (uint64_t)json_integer_value(value);
}

static bool get_bool(struct reader *r, const json_t *o, const char *name)
{
    const json_t *value = json_object_get(o, name);
    if (!json_is_boolean(value))
        state_bad(r, "%s is missing or not a boolean", name);
    return json_is_true(value);
}

static unsigned get_word(struct reader *r, const json_t *o, const char *name, const char *const *words,
                         unsigned count)
{
    char text[16] = "";
    unsigned i = 0;
    state_get_text(r, o, name, text, sizeof(text));
    while (i < count && strcmp(words[i], text) != 0)
        i++;
    if (i < count)
        return i;
    state_bad(r, "%s is no word that is known here", name);
    return 0;
}

static void read_keys(struct reader *r, const json_t *o, struct state_server *s)
{
    const json_t *keys = json_object_get(o, "keys");
    if (!json_is_object(keys) || json_object_size(keys) > WATCH_DBS_MAX) {
        state_bad(r, "keys is missing, not an object, or too long");
        return;
    }
    s->dbs = calloc(MAX(json_object_size(keys), (size_t)1), sizeof(*s->dbs));
    if (!s->dbs)
        state_bad(r, "memory is out");
    for (void *i = json_object_iter((json_t *)(uintptr_t)keys); i && !r->bad;
         i = json_object_iter_next((json_t *)(uintptr_t)keys, i)) {
        uint64_t db;
        if (bytes_to_u64(bytes_str(json_object_iter_key(i)), &db) < 0 || db > URL_DB_MAX ||
            (s->ndbs > 0 && (int)db <= s->dbs[s->ndbs - 1].db)) {
            state_bad(r, "keys names a database that is none, or not in order");
            return;
        }
        s->dbs[s->ndbs++] =
            (struct watch_db){.db = (int)db, .keys = state_to_u64(r, json_object_iter_value(i), "keys")};
    }
}

static void get_ids(struct reader *r, const json_t *o, struct server_id *id)
{
    state_get_text(r, o, "run_id", id->run_id, sizeof(id->run_id));
    state_get_text(r, o, "replid", id->replid, sizeof(id->replid));
    state_get_text(r, o, "replid2", id->replid2, sizeof(id->replid2));
}

/* NULL: bad, or (in a file of one server) a server that was never seen. */
static struct state_server *read_server(struct reader *r, const json_t *o, const char *address_name,
                                        struct state_servers *list)
{
    char address[STATE_URL_MAX] = "";
    struct server_id id = {.role = ROLE_UNKNOWN};

    state_get_text(r, o, address_name, address, sizeof(address));
    get_ids(r, o, &id);
    if (r->bad || (!address[0] && !id.run_id[0]))
        return NULL;
    struct state_server *s = state_server_add(list, address, &id);
    if (!s)
        state_bad(r, "memory is out");
    return s;
}

static void read_counts(struct reader *r, const json_t *o, struct state_server *s)
{
    if (!s)
        return;
    s->role = (enum server_role)get_word(r, o, "role", role_names, ARRAY_LEN(role_names));
    read_keys(r, o, s);
}

const json_t *state_get_list(struct reader *r, const json_t *o, const char *name, size_t most)
{
    const json_t *list = json_object_get(o, name);
    if (!json_is_array(list) || json_array_size(list) > most)
        state_bad(r, "%s is missing, not a list, or too long", name);
    return r->bad ? NULL : list;
}

static void read_servers(struct reader *r, const json_t *root, const char *name, struct state_servers *list)
{
    const json_t *array = state_get_list(r, root, name, STATE_SERVERS_MAX);
    for (size_t i = 0; array && i < json_array_size(array) && !r->bad; i++) {
        const json_t *o = state_object(r, json_array_get(array, i), "a server", 7);
        struct state_server *s = o ? read_server(r, o, "address", list) : NULL;
        if (s)
            s->slots = (unsigned)MIN(state_to_u64(r, json_object_get(o, "slots"), "slots"), (uint64_t)SLOTS);
        read_counts(r, o, s);
    }
}

static void read_owned(struct reader *r, const json_t *root, struct state_owned *s)
{
    const json_t *o = state_object(r, json_object_get(root, "target_owned"), "target_owned", 3);
    if (!o)
        return;
    s->owned = get_bool(r, o, "owned");
    state_get_text(r, o, "url", s->url, sizeof(s->url));
    read_servers(r, o, "servers", &s->servers);
}

static void get_record(struct reader *r, const json_t *o, struct notify_record *n)
{
    state_get_text(r, o, "run_id", n->run_id, sizeof(n->run_id));
    state_get_text(r, o, "before", n->before, sizeof(n->before));
    state_get_text(r, o, "after", n->after, sizeof(n->after));
}

static void add_record(struct reader *r, struct state *s, const char *address, const struct notify_record *n)
{
    if (!r->bad && state_notify_set(s, address, n) < 0)
        state_bad(r, "memory is out");
}

static void read_notify(struct reader *r, const json_t *root, struct state *s)
{
    const json_t *list = state_get_list(r, root, "notify", STATE_NOTIFY_MAX);
    for (size_t i = 0; list && i < json_array_size(list) && !r->bad; i++) {
        const json_t *o = state_object(r, json_array_get(list, i), "a record of notify", 4);
        char address[STATE_URL_MAX] = "";
        struct notify_record n = {.run_id = ""};
        if (!o)
            return;
        state_get_text(r, o, "address", address, sizeof(address));
        get_record(r, o, &n);
        add_record(r, s, address, &n);
    }
}

/* What the schemas of one server a side had. */

static void read_one_server(struct reader *r, const json_t *root, const char *name,
                            struct state_servers *list)
{
    const json_t *o = state_object(r, json_object_get(root, name), name, 6);
    struct state_server *s = o ? read_server(r, o, "url", list) : NULL;
    if (s)
        s->slots = SLOTS;
    read_counts(r, o, s);
}

static void read_one_owned(struct reader *r, const json_t *root, struct state_owned *s)
{
    const json_t *o = state_object(r, json_object_get(root, "target_owned"), "target_owned", 5);
    if (!o)
        return;
    s->owned = get_bool(r, o, "owned");
    state_get_text(r, o, "url", s->url, sizeof(s->url));
    (void)read_server(r, o, "url", &s->servers);
}

static void read_one_notify(struct reader *r, const json_t *root, struct state *s)
{
    const json_t *o = state_object(r, json_object_get(root, "notify"), "notify", 3);
    struct notify_record n = {.run_id = ""};
    if (!o)
        return;
    get_record(r, o, &n);
    add_record(r, s, s->sources.count ? s->sources.at[0].address : "", &n);
}

static void read_connections(struct reader *r, const json_t *root, struct state *s)
{
    const json_t *list = state_get_list(r, root, "connections", STATE_IDS_MAX);
    for (size_t i = 0; list && i < json_array_size(list) && !r->bad; i++) {
        const json_t *o = state_object(r, json_array_get(list, i), "a connection", 3);
        char run_id[RUN_ID_MAX] = "";
        if (!o)
            return;
        unsigned side = get_word(r, o, "side", side_names, ARRAY_LEN(side_names));
        state_get_text(r, o, "run_id", run_id, sizeof(run_id));
        uint64_t id = state_to_u64(r, json_object_get(o, "client_id"), "client_id");
        if (!r->bad && state_connection_add(s, (enum state_side)side, run_id, id) < 0)
            state_bad(r, "memory is out");
    }
}

static int64_t get_ms(struct reader *r, const json_t *o, const char *name)
{
    return (int64_t)state_to_u64(r, json_object_get(o, name), name);
}

/* What exact_json() wrote, into `out` of STATE_SETTING_MAX bytes. */
static void get_exact(struct reader *r, const json_t *o, const char *name, char *out)
{
    const json_t *value = json_object_get(o, name);
    const json_t *wide = json_is_object(value) ? state_object(r, value, name, 1) : NULL;
    const unsigned char *at;
    size_t len = 0;

    if (!wide) {
        state_get_text(r, o, name, out, STATE_SETTING_MAX);
        return;
    }
    const json_t *text = json_object_get(wide, "bytes");
    if (!json_is_string(text) || strlen(json_string_value(text)) != json_string_length(text)) {
        state_bad(r, "%s is not a text", name);
        return;
    }
    for (at = (const unsigned char *)json_string_value(text); *at && len < STATE_SETTING_MAX - 1; at++) {
        if (*at > 0xc3) {
            state_bad(r, "%s holds a character that is no byte", name);
            return;
        }
        if (*at >= 0xc0) { /* jansson has seen that another one follows */
            out[len++] = (char)((*at & 3) << 6 | (at[1] & 0x3f));
            at++;
        } else {
            out[len++] = (char)*at;
        }
    }
    out[len] = '\0';
    if (*at)
        state_bad(r, "%s is too long", name);
}

struct texts {
    char name[STATE_SETTING_MAX], before[STATE_SETTING_MAX], after[STATE_SETTING_MAX];
};

static void read_setting(struct reader *r, const json_t *value, struct texts *t, struct state_node *n)
{
    struct state_setting *s;
    const json_t *o = state_object(r, value, "a setting", 3);
    if (!o)
        return;
    get_exact(r, o, "name", t->name);
    get_exact(r, o, "before", t->before);
    get_exact(r, o, "after", t->after);
    if (r->bad)
        return;
    if (state_setting_find(n, bytes_str(t->name)))
        state_bad(r, "a setting is there twice");
    else if (state_setting_add(n, bytes_str(t->name), bytes_str(t->before), &s) < 0 ||
             state_setting_after(s, bytes_str(t->after)) < 0)
        state_bad(r, "memory is out");
}

static uint64_t to_count(struct reader *r, const json_t *value, const char *name)
{
    return json_is_null(value) ? WATCH_UNKNOWN : state_to_u64(r, value, name);
}

static void read_shard(struct reader *r, const json_t *o, struct state_node *n)
{
    uint64_t shard = state_to_u64(r, json_object_get(o, "shard"), "shard");

    if (shard > STATE_NODES_MAX)
        state_bad(r, "shard is none");
    n->shard = (unsigned)shard;
    state_get_text(r, o, "replid", n->replid, sizeof(n->replid));
    n->write_calls = to_count(r, json_object_get(o, "write_calls"), "write_calls");
}

static void read_node(struct reader *r, const json_t *value, struct texts *t, struct state_cutover *c)
{
    char address[sizeof(c->nodes->address)] = "", run_id[RUN_ID_MAX] = "";
    const json_t *o = state_object(r, value, "a node", r->schema > SCHEMA_WITHOUT_SHARDS ? 7 : 4);
    struct state_node *n;
    if (!o)
        return;
    state_get_text(r, o, "address", address, sizeof(address));
    state_get_text(r, o, "run_id", run_id, sizeof(run_id));
    bool primary = get_bool(r, o, "primary");
    const json_t *settings = json_object_get(o, "settings");
    if (!json_is_array(settings) || json_array_size(settings) > STATE_SETTINGS_MAX)
        state_bad(r, "settings is missing, not a list, or too long");
    if (r->bad)
        return;
    if (state_node_find(c, address))
        state_bad(r, "a node is there twice");
    else if (state_node_add(c, address, run_id, primary, &n) < 0)
        state_bad(r, "memory is out");
    else if (r->schema > SCHEMA_WITHOUT_SHARDS)
        read_shard(r, o, n);
    for (size_t i = 0; !r->bad && i < json_array_size(settings); i++)
        read_setting(r, json_array_get(settings, i), t, n);
}

static void read_nodes(struct reader *r, const json_t *o, struct state_cutover *c)
{
    const json_t *nodes = json_object_get(o, "nodes");
    if (!json_is_array(nodes) || json_array_size(nodes) > STATE_NODES_MAX) {
        state_bad(r, "nodes is missing, not a list, or too long");
        return;
    }
    struct texts *t = malloc(sizeof(*t));
    if (!t)
        state_bad(r, "memory is out");
    for (size_t i = 0; !r->bad && i < json_array_size(nodes); i++)
        read_node(r, json_array_get(nodes, i), t, c);
    if (!r->bad && state_settings_count(c) > STATE_SETTINGS_MAX)
        state_bad(r, "settings: there are too many");
    free(t);
}

/* What it had of the one primary is that node's. */
static void read_only_primary(struct reader *r, const json_t *o, struct state_cutover *c)
{
    char run_id[RUN_ID_MAX] = "", replid[RUN_ID_MAX] = "";

    state_get_text(r, o, "run_id", run_id, sizeof(run_id));
    state_get_text(r, o, "replid", replid, sizeof(replid));
    uint64_t calls = to_count(r, json_object_get(o, "write_calls"), "write_calls");
    for (size_t i = 0; i < c->nnodes; i++) {
        struct state_node *n = &c->nodes[i];
        if (!n->primary || !run_id[0])
            continue;
        memcpy(n->run_id, run_id, sizeof(run_id));
        memcpy(n->replid, replid, sizeof(replid));
        n->write_calls = calls;
    }
}

static void read_cutover(struct reader *r, const json_t *root, struct state_cutover *c)
{
    bool shards = r->schema > SCHEMA_WITHOUT_SHARDS;
    const json_t *o = state_object(r, json_object_get(root, "cutover"), "cutover", shards ? 9 : 12);
    if (!o)
        return;
    c->stage = (enum cutover_stage)get_word(r, o, "stage", stage_names, ARRAY_LEN(stage_names));
    c->fence = (enum fence_kind)get_word(r, o, "fence", fence_names, FENCE_KINDS);
    c->unfenced = get_bool(r, o, "unfenced");
    c->began_ms = get_ms(r, o, "began_ms");
    c->committed_ms = get_ms(r, o, "committed_ms");
    c->finished_ms = get_ms(r, o, "finished_ms");
    c->write_pause_ms = state_to_u64(r, json_object_get(o, "write_pause_ms"), "write_pause_ms");
    c->lease_ms = state_to_u64(r, json_object_get(o, "lease_ms"), "lease_ms");
    read_nodes(r, o, c);
    if (!shards && !r->bad)
        read_only_primary(r, o, c);
}

static bool is_instance(const char *text)
{
    return strlen(text) == STATE_INSTANCE_MAX - 1 &&
           strspn(text, "0123456789abcdef") == STATE_INSTANCE_MAX - 1;
}

static void read_shards(struct reader *r, const json_t *root, struct state *s)
{
    read_owned(r, root, &s->target_owned);
    read_servers(r, root, "sources", &s->sources);
    read_servers(r, root, "targets", &s->targets);
    read_notify(r, root, s);
}

static void read_one_shard(struct reader *r, const json_t *root, struct state *s)
{
    read_one_owned(r, root, &s->target_owned);
    read_one_server(r, root, "source", &s->sources);
    read_one_server(r, root, "target", &s->targets);
    read_one_notify(r, root, s);
}

static void read_state(struct reader *r, const json_t *root, struct state *s)
{
    const json_t *schema = json_object_get(root, "schema");
    if (!json_is_integer(schema)) {
        state_bad(r, "it has no schema number: it is not a state file of riotd");
        return;
    }
    json_int_t number = json_integer_value(schema);
    if (number < SCHEMA_WITHOUT_CUTOVER || number > STATE_SCHEMA) {
        state_bad(r, "it has schema %lld, this riotd knows %d only: it was written by another version",
                  number, STATE_SCHEMA);
        return;
    }
    r->schema = number;
    bool has_place = json_object_get(root, "place") != NULL;
    if (!state_object(r, root, "the file", (number > SCHEMA_WITHOUT_CUTOVER ? 9u : 8u) + has_place))
        return;
    state_get_text(r, root, "instance", s->instance, sizeof(s->instance));
    if (!is_instance(s->instance))
        state_bad(r, "instance is not 8 hex digits");
    s->desired = (enum state_desired)get_word(r, root, "desired", desired_names, ARRAY_LEN(desired_names));
    if (number > SCHEMA_WITHOUT_SHARDS)
        read_shards(r, root, s);
    else
        read_one_shard(r, root, s);
    read_connections(r, root, s);
    if (number > SCHEMA_WITHOUT_CUTOVER)
        read_cutover(r, root, &s->cutover);
    state_read_place(r, root, &s->place);
}

int state_parse(struct bytes text, struct state *s, char why[STATE_WHY_MAX])
{
    json_error_t error;
    struct reader r = {.why = why};
    json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    if (root)
        read_state(&r, root, s);
    else
        state_bad(&r, "line %d: it is not JSON: %s", error.line, error.text);
    json_decref(root);
    return r.bad ? -EBADMSG : 0;
}
