/* Changes of the state that have rules. Plain data: no file is touched. */
#include "daemon/state_file.h"

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

void state_reset(struct state *s)
{
    s->desired = DESIRED_NONE;
    s->target_owned = (struct state_owned){.owned = false};
    forget_server(&s->source);
    forget_server(&s->target);
}
