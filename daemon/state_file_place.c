/* state_file_place.c - the place that a link may be gone on with from, as JSON and back. */
#include "daemon/state_file_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_OF_ONE_PLACE 3

/* Writing. */

static json_t *lane_place_json(struct writer *w, const struct lane_place *l)
{
    json_t *o = json_object(), *dbs = json_array();
    state_put_text(w, o, "node", l->node);
    state_put_text(w, o, "run_id", l->feed.run_id);
    state_put_text(w, o, "replid", l->feed.replid);
    state_put_u64(w, o, "offset", l->feed.offset);
    state_put(w, o, "db", json_integer(l->feed.db));
    for (size_t i = 0; i < l->ndbs; i++)
        state_append(w, dbs, json_integer(l->dbs[i]));
    state_put(w, o, "databases", dbs);
    return o;
}

static json_t *target_place_json(struct writer *w, const struct target_place *t)
{
    json_t *o = json_object();
    state_put_text(w, o, "run_id", t->run_id);
    state_put_text(w, o, "replid", t->base.replid);
    state_put_u64(w, o, "evicted", t->base.evicted);
    state_put_u64(w, o, "flushes", t->base.flushes);
    state_put_u64(w, o, "commands", t->base.commands);
    return o;
}

/* A JSON integer has a sign. */
static void put_map(struct writer *w, json_t *object, const char *name, uint64_t map)
{
    char text[20];
    snprintf(text, sizeof(text), "%016" PRIx64, map);
    state_put_text(w, object, name, text);
}

json_t *state_place_json(struct writer *w, const struct state_place *p)
{
    json_t *o = json_object(), *lanes = json_array(), *targets = json_array();
    state_put_text(w, o, "scope", p->scope);
    put_map(w, o, "source_map", p->at.source_map);
    put_map(w, o, "target_map", p->at.target_map);
    for (size_t i = 0; i < p->at.nlanes; i++)
        state_append(w, lanes, lane_place_json(w, &p->at.lanes[i]));
    for (size_t i = 0; i < p->at.ntargets; i++)
        state_append(w, targets, target_place_json(w, &p->at.targets[i]));
    state_put(w, o, "lanes", lanes);
    state_put(w, o, "targets", targets);
    return o;
}

/* Reading. */

static int get_db(struct reader *r, const json_t *value)
{
    json_int_t db = json_integer_value(value);
    if (!json_is_integer(value) || db < FEED_ANY_DB || db > URL_DB_MAX)
        state_bad(r, "a database of the place is not one");
    return r->bad ? FEED_ANY_DB : (int)db;
}

/* But for the node's id. */
static void read_lane_place(struct reader *r, const json_t *o, struct lane_place *l)
{
    const json_t *dbs = o ? state_get_list(r, o, "databases", LANE_PLACE_DBS) : NULL;
    if (!dbs)
        return;
    state_get_text(r, o, "run_id", l->feed.run_id, sizeof(l->feed.run_id));
    state_get_text(r, o, "replid", l->feed.replid, sizeof(l->feed.replid));
    l->feed.offset = state_to_u64(r, json_object_get(o, "offset"), "offset");
    l->feed.db = get_db(r, json_object_get(o, "db"));
    for (size_t i = 0; i < json_array_size(dbs); i++)
        l->dbs[l->ndbs++] = get_db(r, json_array_get(dbs, i));
}

/* What becomes of the target is told by fields of these names. */
static const char *const target_fields[2][5] = {
    {"run_id", "replid", "evicted", "flushes", "commands"},
    {"target_run_id", "target_replid", "target_evicted", "target_flushes", "target_commands"}};

static void read_target_place(struct reader *r, const json_t *o, const char *const names[5],
                              struct target_place *t)
{
    if (!o)
        return;
    state_get_text(r, o, names[0], t->run_id, sizeof(t->run_id));
    state_get_text(r, o, names[1], t->base.replid, sizeof(t->base.replid));
    t->base.evicted = state_to_u64(r, json_object_get(o, names[2]), names[2]);
    t->base.flushes = state_to_u64(r, json_object_get(o, names[3]), names[3]);
    t->base.commands = state_to_u64(r, json_object_get(o, names[4]), names[4]);
}

static void add_lane_place(struct reader *r, const struct lane_place *l, struct place *p)
{
    if (!r->bad && place_of_lane(p, l->node))
        state_bad(r, "a lane of the place is there twice");
    else if (!r->bad && place_add_lane(p, l) < 0)
        state_bad(r, "memory is out");
}

static void add_target_place(struct reader *r, const struct target_place *t, struct place *p)
{
    if (!r->bad && place_of_target(p, t->run_id))
        state_bad(r, "a target of the place is there twice");
    else if (!r->bad && place_add_target(p, t) < 0)
        state_bad(r, "memory is out");
}

/* Of a pair of servers, neither a cluster's. */
static void read_one_place(struct reader *r, const json_t *o, struct place *p)
{
    struct lane_place l = {.node = ""};
    struct target_place t = {.run_id = ""};

    read_lane_place(r, o, &l);
    read_target_place(r, o, target_fields[1], &t);
    add_lane_place(r, &l, p);
    add_target_place(r, &t, p);
}

static void get_map(struct reader *r, const json_t *o, const char *name, uint64_t *ret)
{
    char text[20] = "";
    state_get_text(r, o, name, text, sizeof(text));
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        state_bad(r, "%s is not 16 hex digits", name);
    else
        *ret = strtoull(text, NULL, 16);
}

static void read_places(struct reader *r, const json_t *o, struct place *p)
{
    const json_t *lanes = state_get_list(r, o, "lanes", SHARDS_MAX),
                 *targets = state_get_list(r, o, "targets", SHARDS_MAX);

    get_map(r, o, "source_map", &p->source_map);
    get_map(r, o, "target_map", &p->target_map);
    for (size_t i = 0; i < json_array_size(lanes) && !r->bad; i++) {
        const json_t *one = state_object(r, json_array_get(lanes, i), "a lane of the place", 6);
        struct lane_place l = {.node = ""};
        if (one)
            state_get_text(r, one, "node", l.node, sizeof(l.node));
        read_lane_place(r, one, &l);
        add_lane_place(r, &l, p);
    }
    for (size_t i = 0; i < json_array_size(targets) && !r->bad; i++) {
        struct target_place t = {.run_id = ""};
        read_target_place(r, state_object(r, json_array_get(targets, i), "a target of the place", 5),
                          target_fields[0], &t);
        add_target_place(r, &t, p);
    }
}

/* Only where there is one. */
void state_read_place(struct reader *r, const json_t *root, struct state_place *p)
{
    bool one = r->schema <= SCHEMA_OF_ONE_PLACE;
    const json_t *value = json_object_get(root, "place");
    const json_t *o = value ? state_object(r, value, "place", one ? 11 : 5) : NULL;
    if (!o)
        return;
    state_get_text(r, o, "scope", p->scope, sizeof(p->scope));
    if (one)
        read_one_place(r, o, &p->at);
    else
        read_places(r, o, &p->at);
    p->ok = !r->bad;
}
