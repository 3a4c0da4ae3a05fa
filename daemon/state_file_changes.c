/* Changes of the state that have rules. Plain data: no file is touched. */
#include "daemon/state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPY_TEXT(to, from) snprintf(to, sizeof(to), "%s", from)

/* Servers. */

void state_server_id(const struct state_server *s, struct server_id *ret)
{
    *ret = (struct server_id){.role = s->role};
    COPY_TEXT(ret->run_id, s->run_id);
    COPY_TEXT(ret->replid, s->replid);
    COPY_TEXT(ret->replid2, s->replid2);
}

static bool same_process(const struct state_server *s, const char *address, const struct server_id *id)
{
    (void)address;
    return id->run_id[0] && strcmp(s->run_id, id->run_id) == 0;
}

static bool same_data(const struct state_server *s, const char *address, const struct server_id *id)
{
    struct server_id was;
    (void)address;

    state_server_id(s, &was);
    return server_same_history(&was, id);
}

static bool same_address(const struct state_server *s, const char *address, const struct server_id *id)
{
    (void)id;
    return strcmp(s->address, address) == 0;
}

struct state_server *state_server_find(const struct state_servers *list, const char *address,
                                       const struct server_id *id)
{
    static bool (*const ways[])(const struct state_server *, const char *,
                                const struct server_id *) = {same_process, same_data, same_address};

    for (size_t way = 0; way < ARRAY_LEN(ways); way++)
        for (size_t i = 0; i < list->count; i++)
            if (ways[way](&list->at[i], address, id))
                return &list->at[i];
    return NULL;
}

static void tell_of(struct state_server *s, const char *address, const struct server_id *id)
{
    COPY_TEXT(s->address, address);
    COPY_TEXT(s->run_id, id->run_id);
    COPY_TEXT(s->replid, id->replid);
    COPY_TEXT(s->replid2, id->replid2);
    s->role = id->role;
}

struct state_server *state_server_add(struct state_servers *list, const char *address,
                                      const struct server_id *id)
{
    if (list->count == STATE_SERVERS_MAX)
        return NULL;
    struct state_server *at = realloc(list->at, (list->count + 1) * sizeof(*at));
    if (!at)
        return NULL;
    list->at = at;
    at[list->count] = (struct state_server){.ndbs = 0};
    tell_of(&at[list->count], address, id);
    return &at[list->count++];
}

struct state_server *state_server_set(struct state_servers *list, const char *address,
                                      const struct server_id *id)
{
    struct state_server *s = state_server_find(list, address, id);

    if (!s)
        return state_server_add(list, address, id);
    tell_of(s, address, id);
    return s;
}

void state_server_remove(struct state_servers *list, struct state_server *s)
{
    size_t i = (size_t)(s - list->at);

    free(s->dbs);
    list->count--;
    memmove(s, s + 1, (list->count - i) * sizeof(*s));
}

void state_servers_clear(struct state_servers *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->at[i].dbs);
    free(list->at);
    *list = (struct state_servers){.count = 0};
}

/* Takes the list. */
static void set_counts(struct state_server *s, size_t n, struct watch_db *dbs)
{
    free(s->dbs);
    s->dbs = dbs;
    s->ndbs = n;
}

static size_t merge_counts(const struct state_server *s, size_t ndbs, const struct watch_db *dbs,
                           struct watch_db *ret)
{
    size_t i = 0, j = 0, n = 0;

    while (n < WATCH_DBS_MAX && (i < s->ndbs || j < ndbs)) {
        bool old = i < s->ndbs && (j == ndbs || s->dbs[i].db <= dbs[j].db);
        bool new = j < ndbs && (i == s->ndbs || dbs[j].db <= s->dbs[i].db);
        uint64_t keys = MAX(old ? s->dbs[i].keys : 0, new ? dbs[j].keys : 0);
        ret[n++] = (struct watch_db){.db = old ? s->dbs[i].db : dbs[j].db, .keys = keys};
        i += old;
        j += new;
    }
    return n;
}

void state_server_count(struct state_server *s, size_t ndbs, const struct watch_db *dbs)
{
    struct watch_db *merged = malloc(MAX(s->ndbs + ndbs, (size_t)1) * sizeof(*merged));

    if (merged)
        set_counts(s, merge_counts(s, ndbs, dbs, merged), merged);
}

void state_server_recount(struct state_server *s, size_t ndbs, const struct watch_db *dbs)
{
    size_t n = MIN(ndbs, (size_t)WATCH_DBS_MAX);
    struct watch_db *copy = malloc(MAX(n, (size_t)1) * sizeof(*copy));

    if (!copy)
        return;
    for (size_t i = 0; i < n; i++)
        copy[i] = (struct watch_db){.db = dbs[i].db, .keys = dbs[i].keys};
    set_counts(s, n, copy);
}

uint64_t state_server_keys(const struct state_server *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->ndbs; i++)
        sum += s->dbs[i].keys;
    return sum;
}

int state_own_target(struct state *s, const char *url, const char *address, const struct server_id *id)
{
    struct state_owned *o = &s->target_owned;

    if (!state_server_set(&o->servers, address, id))
        return o->servers.count == STATE_SERVERS_MAX ? -ENOSPC : -ENOMEM;
    o->owned = true;
    COPY_TEXT(o->url, url);
    return 0;
}

/* What notify changed. */

static struct state_notify *find_notify(const struct state *s, const char *run_id)
{
    for (size_t i = 0; run_id[0] && i < s->nnotify; i++)
        if (strcmp(s->notify[i].record.run_id, run_id) == 0)
            return &s->notify[i];
    return NULL;
}

const struct notify_record *state_notify_find(const struct state *s, const char *run_id)
{
    const struct state_notify *n = find_notify(s, run_id);
    return n ? &n->record : NULL;
}

static void remove_notify(struct state *s, size_t i)
{
    s->nnotify--;
    memmove(s->notify + i, s->notify + i + 1, (s->nnotify - i) * sizeof(*s->notify));
}

void state_notify_remove(struct state *s, const char *run_id)
{
    const struct state_notify *n = find_notify(s, run_id);
    if (n)
        remove_notify(s, (size_t)(n - s->notify));
}

static void forget_notify_at(struct state *s, const char *address)
{
    for (size_t i = s->nnotify; i-- > 0;)
        if (strcmp(s->notify[i].address, address) == 0)
            remove_notify(s, i);
}

static int add_notify(struct state *s, struct state_notify **ret)
{
    if (s->nnotify == STATE_NOTIFY_MAX)
        return -ENOSPC;
    struct state_notify *at = realloc(s->notify, (s->nnotify + 1) * sizeof(*at));
    if (!at)
        return -ENOMEM;
    s->notify = at;
    *ret = &at[s->nnotify++];
    return 0;
}

int state_notify_set(struct state *s, const char *address, const struct notify_record *r)
{
    struct state_notify *n = find_notify(s, r->run_id);

    if (!r->run_id[0]) {
        forget_notify_at(s, address);
        return 0;
    }
    int err = n ? 0 : add_notify(s, &n);
    if (err)
        return err;
    COPY_TEXT(n->address, address);
    n->record = *r;
    return 0;
}

/* Connections. */

static void remove_at(struct state *s, size_t i)
{
    s->nconnections--;
    memmove(s->connections + i, s->connections + i + 1, (s->nconnections - i) * sizeof(s->connections[0]));
}

static struct state_connection *find_connection(const struct state *s, enum state_side side,
                                                const char *run_id, uint64_t client_id)
{
    for (size_t i = 0; i < s->nconnections; i++) {
        struct state_connection *c = &s->connections[i];
        if (c->side == side && c->client_id == client_id && strcmp(c->run_id, run_id) == 0)
            return c;
    }
    return NULL;
}

bool state_connections_lack_some(const struct state *s, const char *run_id)
{
    return find_connection(s, STATE_TARGET, run_id, 0) != NULL;
}

/* The oldest of the target's; that there was one is kept, once for each server. */
static void forget_oldest(struct state *s)
{
    for (size_t i = 0; i < s->nconnections; i++) {
        struct state_connection *c = &s->connections[i];
        if (c->side != STATE_TARGET || !c->client_id)
            continue;
        if (state_connections_lack_some(s, c->run_id)) {
            remove_at(s, i);
            return;
        }
        c->client_id = 0;
    }
}

static void make_room(struct state *s)
{
    if (s->nconnections < s->room)
        return;
    size_t room = MIN(MAX(2 * s->room, (size_t)16), (size_t)STATE_IDS_MAX);
    struct state_connection *at = room > s->room ? realloc(s->connections, room * sizeof(*at)) : NULL;
    if (at) {
        s->connections = at;
        s->room = room;
    } else {
        forget_oldest(s);
    }
}

int state_connection_add(struct state *s, enum state_side side, const char *run_id, uint64_t client_id)
{
    if (find_connection(s, side, run_id, client_id))
        return 0;
    make_room(s);
    if (s->nconnections == s->room)
        return s->room ? -ENOSPC : -ENOMEM;
    struct state_connection *c = &s->connections[s->nconnections++];
    *c = (struct state_connection){.side = side, .client_id = client_id};
    COPY_TEXT(c->run_id, run_id);
    return 0;
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
    const struct state_connection *c = find_connection(s, side, run_id, client_id);

    if (c)
        remove_at(s, (size_t)(c - s->connections));
}

void state_connections_clear(struct state *s, enum state_side side, const char *run_id)
{
    for (size_t i = s->nconnections; i-- > 0;) {
        const struct state_connection *c = &s->connections[i];
        if (c->side == side && (!run_id || strcmp(c->run_id, run_id) == 0))
            remove_at(s, i);
    }
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
    *n = (struct state_node){.primary = primary, .write_calls = WATCH_UNKNOWN};
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
    *c = (struct state_cutover){.stage = STAGE_NONE};
}

/* What an undo has still to put back stays. */
static void forget_cutover(struct state_cutover *c)
{
    if (c->stage == STAGE_PAUSING || c->stage == STAGE_FENCING || c->stage == STAGE_UNDOING)
        return;
    state_cutover_clear(c);
}

void state_place_clear(struct state_place *p)
{
    place_clear(&p->at);
    *p = (struct state_place){.ok = false};
}

void state_reset(struct state *s)
{
    s->desired = DESIRED_NONE;
    state_servers_clear(&s->target_owned.servers);
    s->target_owned = (struct state_owned){.owned = false};
    state_servers_clear(&s->sources);
    state_servers_clear(&s->targets);
    state_place_clear(&s->place);
    forget_cutover(&s->cutover);
}

void state_clear(struct state *s)
{
    state_servers_clear(&s->target_owned.servers);
    state_servers_clear(&s->sources);
    state_servers_clear(&s->targets);
    state_nodes_clear(&s->cutover);
    state_place_clear(&s->place);
    free(s->notify);
    free(s->connections);
    *s = (struct state){.desired = DESIRED_NONE};
}
