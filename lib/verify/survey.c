/* survey.c - see survey.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis/conn.h"
#include "lib/redis/topology_nodes.h"
#include "lib/verify/survey.h"

#define IN_MAX MIB

struct asked {
    struct survey *owner;
    struct endpoint endpoint;
    struct conn *conn;
    char id[NODE_ID_MAX];
    bool answered;
};

struct survey {
    struct loop *loop;
    struct topology *topology;
    survey_fn *fn;
    void *arg;
    struct survey_result result;
    struct defer done_later;
    size_t n, left;
    struct asked asked[];
};

static void done(void *arg)
{
    struct survey *s = arg;
    s->fn(&s->result, s->arg);
}

static void answered(struct asked *a)
{
    struct survey *s = a->owner;

    if (a->answered)
        return;
    a->answered = true;
    if (--s->left == 0)
        loop_defer(s->loop, &s->done_later, done, s);
}

static void cannot_be_asked(struct asked *a, const char *why)
{
    struct survey_result *r = &a->owner->result;

    if (!a->answered && !r->why[0])
        snprintf(r->why, sizeof(r->why), "%.60s: %.90s", a->endpoint.url.text, why);
    answered(a);
}

static uint16_t shard_of(const struct topology_map *m, const char *id)
{
    for (size_t i = 0; i < m->nshards; i++)
        if (strcmp(m->shards[i].primary.id, id) == 0)
            return (uint16_t)i;
    return SHARD_NONE;
}

/* By its own view the node owns what it owns by the map. */
static bool agrees(const struct asked *a, const struct topology_map *own, const struct topology_map *map)
{
    uint16_t here = shard_of(map, a->id), there = shard_of(own, a->id);

    for (unsigned slot = 0; slot < SLOTS; slot++)
        if ((map->owner[slot] == here) != (own->owner[slot] == there))
            return false;
    return here != SHARD_NONE && there != SHARD_NONE;
}

static void take(struct asked *a, const struct nodes_view *v)
{
    struct survey_result *r = &a->owner->result;
    const struct topology_map *m = topology_map(a->owner->topology);

    r->agreed = r->agreed && agrees(a, &v->map, m);
    for (size_t i = 0; i < ARRAY_LEN(r->moving.bits); i++)
        r->moving.bits[i] |= v->moving.bits[i];
}

static void on_nodes(struct conn *c, const struct reply *r, void *arg)
{
    struct asked *a = arg;
    char why[NODES_WHY_MAX];
    struct nodes_view *v = calloc(1, sizeof(*v));
    struct bytes text;
    (void)c;

    if (!v)
        cannot_be_asked(a, "out of memory");
    else if (!reply_text(r, &text))
        cannot_be_asked(a, bytes_escape(r->text, why, sizeof(why)));
    else if (nodes_parse(text, "", false, v, why) < 0)
        cannot_be_asked(a, why);
    else
        take(a, v);
    if (v)
        nodes_clear(v);
    free(v);
    answered(a);
}

static void on_up(struct conn *c, void *arg)
{
    if (conn_call_words(c, on_nodes, arg, "CLUSTER NODES") < 0)
        cannot_be_asked(arg, "out of memory");
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    (void)c, (void)was_up;
    cannot_be_asked(arg, why);
}

static int ask(struct survey *s, const struct topology_node *n, const char *role)
{
    static const struct conn_events events = {.up = on_up, .down = on_down};
    struct asked *a = &s->asked[s->n];
    const struct conn_options opt = {
        .endpoint = &a->endpoint, .role = role, .in_max = IN_MAX, .out_max = 64 * KIB, .out_high = 32 * KIB};

    *a = (struct asked){.owner = s};
    memcpy(a->id, n->id, sizeof(a->id));
    int err = topology_endpoint(s->topology, n, &a->endpoint);
    if (err)
        return err;
    s->n++;
    s->left++;
    return conn_new(s->loop, &opt, &events, a, &a->conn);
}

int survey_new(struct loop *l, struct topology *t, const char *role, survey_fn *fn, void *arg,
               struct survey **ret)
{
    const struct topology_map *m = topology_map(t);
    struct survey *s = calloc(1, sizeof(*s) + m->nshards * sizeof(s->asked[0]));
    int err = s ? 0 : -ENOMEM;

    if (err)
        return err;
    *s = (struct survey){.loop = l, .topology = t, .fn = fn, .arg = arg, .result = {.agreed = true}};
    for (size_t i = 0; i < m->nshards && !err; i++)
        err = ask(s, &m->shards[i].primary, role);
    if (err) {
        survey_free(s);
        return err;
    }
    *ret = s;
    return 0;
}

struct survey *survey_free(struct survey *s)
{
    if (!s)
        return NULL;
    defer_cancel(s->loop, &s->done_later);
    for (size_t i = 0; i < s->n; i++) {
        conn_free(s->asked[i].conn);
        endpoint_node_clear(&s->asked[i].endpoint);
    }
    free(s);
    return NULL;
}
