/* fences_shards.c - which shards there are, and what they can do together. */
#include "daemon/fences_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/text.h"
#include "lib/redis/address.h"

#define ADDRESS_MAX 300

static struct state_cutover *record(const struct fences *f)
{
    return &state_of(f->opt.state)->cutover;
}

static const struct topology_map *cluster_map(const struct fences *f)
{
    const struct topology_map *map = f->opt.topology ? topology_map(f->opt.topology) : NULL;
    return map && map->cluster ? map : NULL;
}

static const char *address_of(const struct topology_node *n, char out[ADDRESS_MAX])
{
    snprintf(out, ADDRESS_MAX, strchr(n->host, ':') ? "[%s]:%u" : "%s:%u", n->host, n->port);
    return out;
}

static const struct shard *shard_at(const struct topology_map *map, const char *address)
{
    char text[ADDRESS_MAX];

    for (size_t i = 0; i < map->nshards; i++) {
        if (strcmp(address_of(&map->shards[i].primary, text), address) == 0)
            return &map->shards[i];
    }
    return NULL;
}

/* A replica that has gone to another shard stays where it is watched already. */
static bool is_anothers(const struct fence_shard *s, const char *address)
{
    const struct fences *f = s->all;

    for (size_t i = 0; f->watching && i < f->nshards; i++) {
        if (f->shards[i] != s && fence_has(f->shards[i]->fence, address))
            return true;
    }
    return false;
}

static size_t replicas_of(struct watch_replica *ret, void *arg)
{
    const struct fence_shard *s = arg;
    const struct topology_map *map = cluster_map(s->all);
    const struct shard *at = map ? shard_at(map, fence_address(s->fence)) : NULL;
    char address[ADDRESS_MAX];
    size_t n = 0;

    for (size_t i = 0; at && i < at->nreplicas && n < FENCE_NODES_MAX - 1; i++) {
        const struct topology_node *r = &at->replicas[i];
        if (r->failing || is_anothers(s, address_of(r, address)))
            continue;
        ret[n] = (struct watch_replica){.port = r->port, .online = true};
        snprintf(ret[n++].host, sizeof(ret->host), "%s", r->host);
    }
    return n;
}

/* Making them. */

static int add_place(struct fence_shard *s, const char *host, uint16_t port)
{
    struct fence_place *p = calloc(1, sizeof(*p));
    int err = p ? 0 : -ENOMEM;

    if (p && host) {
        err = endpoint_node(s->all->opt.source, host, port, &p->endpoint);
        p->whole = true;
    } else if (p) {
        p->endpoint = *s->all->opt.source;
    }
    if (err) {
        free(p);
        return err;
    }
    p->former = s->place;
    s->place = p;
    return 0;
}

static void drop_place(struct fence_shard *s)
{
    struct fence_place *p = s->place;

    s->place = p->former;
    if (p->whole)
        endpoint_node_clear(&p->endpoint);
    free(p);
}

static void free_shard(struct fence_shard *s)
{
    fence_free(s->fence);
    while (s->place)
        drop_place(s);
    free(s);
}

void fences_free_shards(struct fences *f)
{
    for (size_t i = 0; i < f->nshards; i++)
        free_shard(f->shards[i]);
    free(f->shards);
    f->shards = NULL;
    f->nshards = 0;
}

static int make_fence(struct fence_shard *s)
{
    const struct fence_options opt = {.source = &s->place->endpoint,
                                      .state = s->all->opt.state,
                                      .log = s->all->opt.log,
                                      .shard = s->number,
                                      .replicas = s->number ? replicas_of : NULL,
                                      .replicas_arg = s};

    return fence_new(s->all->loop, &opt, &fences_events, s, &s->fence);
}

/* host NULL: at the source's own address. */
static int add_shard(struct fences *f, unsigned number, const char *host, uint16_t port)
{
    struct fence_shard **shards = realloc(f->shards, (f->nshards + 1) * sizeof(*shards));
    struct fence_shard *s = shards ? calloc(1, sizeof(*s)) : NULL;

    if (shards)
        f->shards = shards;
    if (!s)
        return -ENOMEM;
    s->all = f;
    s->number = number;
    int err = add_place(s, host, port);
    if (!err)
        err = make_fence(s);
    if (err) {
        free_shard(s);
        return err;
    }
    f->shards[f->nshards++] = s;
    return 0;
}

static bool is_made(const struct fences *f, unsigned number)
{
    for (size_t i = 0; i < f->nshards; i++) {
        if (f->shards[i]->number == number)
            return true;
    }
    return false;
}

static const struct state_node *primary_of(const struct state_cutover *c, unsigned number)
{
    for (size_t i = 0; i < c->nnodes; i++) {
        if (c->nodes[i].shard == number && c->nodes[i].primary)
            return &c->nodes[i];
    }
    return NULL;
}

/* A shard of which only replicas are left in the record has been put back in part: none is waited for. */
static int add_recorded(struct fences *f, const struct state_node *n)
{
    const struct state_node *primary = primary_of(record(f), n->shard);
    struct address at;

    if (n->shard == 0)
        return add_shard(f, 0, NULL, 0);
    int err = address_parse_told(bytes_str(primary ? primary->address : n->address), &at);
    if (!err)
        err = add_shard(f, n->shard, at.host, at.port);
    if (!err && !primary)
        fence_demoted(f->shards[f->nshards - 1]->fence);
    return err;
}

static int add_all_recorded(struct fences *f)
{
    const struct state_cutover *c = record(f);
    int err = 0;

    for (size_t i = 0; i < c->nnodes && !err; i++)
        err = is_made(f, c->nodes[i].shard) ? 0 : add_recorded(f, &c->nodes[i]);
    return err;
}

int fences_make_shards(struct fences *f)
{
    const struct topology_map *map = cluster_map(f);
    int err = add_all_recorded(f);

    f->map_version = map ? map->version : 0;
    for (size_t i = 0; map && record(f)->nnodes == 0 && i < map->nshards && !err; i++)
        err = add_shard(f, (unsigned)i + 1, map->shards[i].primary.host, map->shards[i].primary.port);
    return err || f->nshards ? err : add_shard(f, 0, NULL, 0);
}

/* Following the topology. */

static unsigned next_number(const struct fences *f)
{
    unsigned most = 0;

    for (size_t i = 0; i < f->nshards; i++)
        most = MAX(most, f->shards[i]->number);
    return most + 1;
}

static void give_node(struct fences *f, struct fence_shard *from, const char *address)
{
    struct state_node *n = state_node_find(record(f), address);

    fence_drop(from->fence, address);
    if (n) {
        n->shard = next_number(f);
        n->primary = true;
    }
}

static int promote(struct fence_shard *s, const struct topology_node *primary)
{
    int err = add_place(s, primary->host, primary->port);
    if (err)
        return err;
    err = fence_promote(s->fence, &s->place->endpoint);
    if (err)
        drop_place(s);
    return err;
}

static int watch_another(struct fences *f, const struct topology_node *primary)
{
    int err = add_shard(f, next_number(f), primary->host, primary->port);
    if (!err)
        fence_watch(f->shards[f->nshards - 1]->fence, true);
    return err;
}

/* A primary is fenced by the shard whose replica it was, unless that one still has a primary of its own. */
static int cover(struct fences *f, const struct topology_map *map, const struct topology_node *primary)
{
    struct fence_shard *of = NULL;
    char address[ADDRESS_MAX];

    address_of(primary, address);
    for (size_t i = 0; i < f->nshards; i++) {
        if (strcmp(fence_address(f->shards[i]->fence), address) == 0)
            return 0;
        if (fence_has(f->shards[i]->fence, address))
            of = f->shards[i];
    }
    if (of && !shard_at(map, fence_address(of->fence)))
        return promote(of, primary);
    if (of)
        give_node(f, of, address);
    return watch_another(f, primary);
}

void fences_follow(struct fences *f)
{
    const struct topology_map *map = cluster_map(f);

    if (!map || f->shards[0]->number == 0)
        return;
    for (size_t i = 0; f->watching && i < map->nshards; i++) {
        if (cover(f, map, &map->shards[i].primary) < 0)
            log_debug(f->opt.log, "%s cannot be watched", map->shards[i].primary.host);
    }
    for (size_t i = 0; f->lifting && i < f->nshards; i++) {
        if (!shard_at(map, fence_address(f->shards[i]->fence)))
            fence_demoted(f->shards[i]->fence);
    }
}

/* What they can do together. */

static void say_no(const struct fence_shard *s, char *out, size_t cap, const char *why)
{
    const char *address = fence_address(s->fence);
    bool named = strncmp(why, address, strlen(address)) == 0;

    if ((size_t)snprintf(out, cap, "%s%s%s", named ? "" : address, named ? "" : ": ", why) >= cap)
        text_cut(out, cap);
}

static void join_kinds(struct fence_report *all, const struct fence_shard *s)
{
    for (int k = 0; k < FENCE_KINDS; k++) {
        struct fence_kind_report *kind = &all->kinds[k];
        if (!kind->allowed || s->report.kinds[k].allowed)
            continue;
        kind->allowed = false;
        say_no(s, kind->why_not, sizeof(kind->why_not), s->report.kinds[k].why_not);
    }
}

static void join(struct fences *f, const struct fence_shard *s)
{
    struct fence_report *all = &f->report;
    const struct fence_report *r = &s->report;

    if (all->can_pause && !r->can_pause)
        say_no(s, all->why_no_pause, sizeof(all->why_no_pause), r->why_no_pause);
    all->can_pause &= r->can_pause;
    join_kinds(all, s);
    for (size_t i = 0; i < r->nnodes; i++)
        f->nodes[all->nnodes++] = r->nodes[i];
    all->users += r->users;
    all->users_len += r->users_len;
    all->sentinels += r->sentinels;
    if (llabs((long long)r->clock_skew_ms) > llabs((long long)all->clock_skew_ms))
        all->clock_skew_ms = r->clock_skew_ms;
    all->sample.round_trip_us = MAX(all->sample.round_trip_us, r->sample.round_trip_us);
}

static int join_all(struct fences *f)
{
    size_t nnodes = 0;

    for (size_t i = 0; i < f->nshards; i++) {
        fence_report(f->shards[i]->fence, &f->shards[i]->report);
        nnodes += f->shards[i]->report.nnodes;
    }
    f->report = f->shards[0]->report;
    if (f->nshards == 1)
        return 0;
    free(f->nodes);
    f->nodes = calloc(nnodes, sizeof(*f->nodes));
    if (!f->nodes)
        return -ENOMEM;
    f->report.nnodes = f->report.users = f->report.users_len = f->report.sentinels = 0;
    f->report.nodes = f->nodes;
    f->report.can_pause = true;
    for (int k = 0; k < FENCE_KINDS; k++)
        f->report.kinds[k] = (struct fence_kind_report){.allowed = true};
    for (size_t i = 0; i < f->nshards; i++)
        join(f, f->shards[i]);
    fence_choose(&f->report);
    return 0;
}

/* By their own words. What the topology knows was told by one of them, a second ago. */
static const char *views_disagree(const struct fences *f)
{
    const struct fence_view *first = &f->shards[0]->report.view;
    unsigned slots = 0, owners = 0;

    for (size_t i = 0; i < f->nshards; i++) {
        const struct fence_view *v = &f->shards[i]->report.view;
        if (!v->known)
            return v->why;
        if (v->moving)
            return "slots are being moved: wait for the end of it";
        if (v->map != first->map)
            return "the nodes of the source do not agree on which of them own which slots";
        slots += v->slots;
        owners += v->slots > 0;
    }
    if (slots != SLOTS)
        return "not every slot of the source has an owner that is known";
    return owners == first->owners && !fences_changed(f)
               ? NULL
               : "the nodes of the source have just changed: try again in a moment";
}

int fences_judge(struct fences *f, char why[FENCES_WHY_MAX])
{
    const char *reason = f->shards[0]->number || !cluster_map(f) ? NULL : "the source is a cluster by now";
    int err = join_all(f);

    if (!err && !reason && f->shards[0]->number)
        reason = views_disagree(f);
    if (err)
        snprintf(why, FENCES_WHY_MAX, "memory is out");
    else if (reason)
        snprintf(why, FENCES_WHY_MAX, "%s", reason);
    return err ? err : reason ? -EAGAIN : 0;
}
