/* Changes of the state that have rules. Plain data: no file is touched. */
#include "daemon/state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPY_TEXT(to, from) snprintf(to, sizeof(to), "%s", from)

void state_server_set(struct state_server *s, const char *url, const struct server_id *id)
{
    COPY_TEXT(s->url, url);
    COPY_TEXT(s->run_id, id->run_id);
    COPY_TEXT(s->replid, id->replid);
    COPY_TEXT(s->replid2, id->replid2);
    s->role = id->role;
}

void state_server_count(struct state_server *s, size_t ndbs, const struct watch_db *dbs)
{
    struct watch_db *merged = malloc(sizeof(s->dbs));
    size_t i = 0, j = 0, n = 0;
    if (!merged)
        return; /* the next reading comes in seconds */
    while (n < WATCH_DBS_MAX && (i < s->ndbs || j < ndbs)) {
        bool old = i < s->ndbs && (j == ndbs || s->dbs[i].db <= dbs[j].db);
        bool new = j < ndbs && (i == s->ndbs || dbs[j].db <= s->dbs[i].db);
        uint64_t keys = MAX(old ? s->dbs[i].keys : 0, new ? dbs[j].keys : 0);
        merged[n++] = (struct watch_db){.db = old ? s->dbs[i].db : dbs[j].db, .keys = keys};
        i += old;
        j += new;
    }
    memcpy(s->dbs, merged, n * sizeof(*merged));
    s->ndbs = n;
    free(merged);
}

void state_server_recount(struct state_server *s, size_t ndbs, const struct watch_db *dbs)
{
    s->ndbs = MIN(ndbs, WATCH_DBS_MAX);
    for (size_t i = 0; i < s->ndbs; i++)
        s->dbs[i] = (struct watch_db){.db = dbs[i].db, .keys = dbs[i].keys};
}

uint64_t state_server_keys(const struct state_server *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->ndbs; i++)
        sum += s->dbs[i].keys;
    return sum;
}

void state_server_id(const struct state_server *s, struct server_id *ret)
{
    *ret = (struct server_id){.role = s->role};
    COPY_TEXT(ret->run_id, s->run_id);
    COPY_TEXT(ret->replid, s->replid);
    COPY_TEXT(ret->replid2, s->replid2);
}

void state_owned_id(const struct state_owned *o, struct server_id *ret)
{
    *ret = (struct server_id){.role = ROLE_UNKNOWN};
    COPY_TEXT(ret->run_id, o->run_id);
    COPY_TEXT(ret->replid, o->replid);
    COPY_TEXT(ret->replid2, o->replid2);
}

void state_own_target(struct state *s, const char *url, const struct server_id *id)
{
    struct state_owned *o = &s->target_owned;
    o->owned = true;
    COPY_TEXT(o->url, url);
    COPY_TEXT(o->run_id, id->run_id);
    COPY_TEXT(o->replid, id->replid);
    COPY_TEXT(o->replid2, id->replid2);
}

static void remove_at(struct state *s, size_t i)
{
    s->nconnections--;
    memmove(s->connections + i, s->connections + i + 1, (s->nconnections - i) * sizeof(s->connections[0]));
}

void state_connection_add(struct state *s, enum state_side side, const char *run_id, uint64_t client_id)
{
    for (size_t i = 0; i < s->nconnections; i++) {
        const struct state_connection *c = &s->connections[i];
        if (c->side == side && c->client_id == client_id && strcmp(c->run_id, run_id) == 0)
            return;
    }
    if (s->nconnections == STATE_IDS_MAX)
        remove_at(s, 0);
    struct state_connection *c = &s->connections[s->nconnections++];
    *c = (struct state_connection){.side = side, .client_id = client_id};
    COPY_TEXT(c->run_id, run_id);
}

void state_connection_remove(struct state *s, enum state_side side, uint64_t client_id)
{
    for (size_t i = s->nconnections; i-- > 0;) {
        if (s->connections[i].side == side && s->connections[i].client_id == client_id)
            remove_at(s, i);
    }
}

void state_connection_forget(struct state *s, enum state_side side, const char *run_id, uint64_t client_id)
{
    for (size_t i = s->nconnections; i-- > 0;) {
        const struct state_connection *c = &s->connections[i];
        if (c->side == side && c->client_id == client_id && strcmp(c->run_id, run_id) == 0)
            remove_at(s, i);
    }
}

void state_connections_clear(struct state *s, enum state_side side)
{
    for (size_t i = s->nconnections; i-- > 0;) {
        if (s->connections[i].side == side)
            remove_at(s, i);
    }
}

static void forget_server(struct state_server *s)
{
    s->url[0] = s->run_id[0] = s->replid[0] = s->replid2[0] = '\0';
    s->role = ROLE_UNKNOWN;
    s->ndbs = 0;
}

/* The cutover's record. */

static void free_node(struct state_node *n)
{
    for (size_t i = 0; i < n->nsettings; i++) {
        free(n->settings[i].name);
        free(n->settings[i].before);
        free(n->settings[i].after);
    }
    free(n->settings);
}

int state_node_add(struct state_cutover *c, const char *address, const char *run_id, bool primary,
                   struct state_node **ret)
{
    if (c->nnodes == STATE_NODES_MAX)
        return -ENOSPC;
    struct state_node *nodes = realloc(c->nodes, (c->nnodes + 1) * sizeof(*nodes));
    if (!nodes)
        return -ENOMEM;
    c->nodes = nodes;
    struct state_node *n = &nodes[c->nnodes++];
    *n = (struct state_node){.primary = primary};
    COPY_TEXT(n->address, address);
    COPY_TEXT(n->run_id, run_id);
    *ret = n;
    return 0;
}

struct state_node *state_node_find(struct state_cutover *c, const char *address)
{
    for (size_t i = 0; i < c->nnodes; i++) {
        if (strcmp(c->nodes[i].address, address) == 0)
            return &c->nodes[i];
    }
    return NULL;
}

void state_node_remove(struct state_cutover *c, struct state_node *n)
{
    size_t i = (size_t)(n - c->nodes);
    free_node(n);
    c->nnodes--;
    memmove(n, n + 1, (c->nnodes - i) * sizeof(*n));
}

size_t state_settings_count(const struct state_cutover *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->nnodes; i++)
        count += c->nodes[i].nsettings;
    return count;
}

int state_setting_add(struct state_node *n, struct bytes name, struct bytes before,
                      struct state_setting **ret)
{
    if (n->nsettings == STATE_SETTINGS_MAX)
        return -ENOSPC;
    if (name.len >= STATE_SETTING_MAX || before.len >= STATE_SETTING_MAX)
        return -E2BIG;
    struct state_setting *settings = realloc(n->settings, (n->nsettings + 1) * sizeof(*settings));
    if (!settings)
        return -ENOMEM;
    n->settings = settings;
    struct state_setting s = {bytes_dup(name), bytes_dup(before), bytes_dup(BYTES(""))};
    if (!s.name || !s.before || !s.after) {
        free(s.name);
        free(s.before);
        free(s.after);
        return -ENOMEM;
    }
    settings[n->nsettings] = s;
    *ret = &settings[n->nsettings++];
    return 0;
}

struct state_setting *state_setting_find(struct state_node *n, struct bytes name)
{
    for (size_t i = 0; i < n->nsettings; i++) {
        if (bytes_is(name, n->settings[i].name))
            return &n->settings[i];
    }
    return NULL;
}

int state_setting_after(struct state_setting *s, struct bytes after)
{
    if (after.len >= STATE_SETTING_MAX)
        return -E2BIG;
    char *copy = bytes_dup(after);
    if (!copy)
        return -ENOMEM;
    free(s->after);
    s->after = copy;
    return 0;
}

int state_setting_before(struct state_setting *s, struct bytes before)
{
    if (before.len >= STATE_SETTING_MAX)
        return -E2BIG;
    char *copy = bytes_dup(before), *none = bytes_dup(BYTES(""));
    if (!copy || !none) {
        free(copy);
        free(none);
        return -ENOMEM;
    }
    free(s->before);
    free(s->after);
    s->before = copy;
    s->after = none;
    return 0;
}

void state_nodes_clear(struct state_cutover *c)
{
    for (size_t i = 0; i < c->nnodes; i++)
        free_node(&c->nodes[i]);
    free(c->nodes);
    c->nodes = NULL;
    c->nnodes = 0;
}

void state_cutover_clear(struct state_cutover *c)
{
    state_nodes_clear(c);
    *c = (struct state_cutover){.stage = STAGE_NONE, .write_calls = WATCH_UNKNOWN};
}

/* What an undo has still to put back stays. */
static void forget_cutover(struct state_cutover *c)
{
    if (c->stage == STAGE_PAUSING || c->stage == STAGE_FENCING || c->stage == STAGE_UNDOING)
        return;
    state_cutover_clear(c);
}

void state_reset(struct state *s)
{
    s->desired = DESIRED_NONE;
    s->target_owned = (struct state_owned){.owned = false};
    forget_server(&s->source);
    forget_server(&s->target);
    forget_cutover(&s->cutover);
}
