/* preflight.c - a check as a whole: both sides are asked side by side, first by the prober, then for the
 * rest. */
#include "daemon/preflight_facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/core/clock.h"

#define LOOK_US  10000
#define SEEDS_US 2000000

struct preflight;

/* A primary that is asked. */
struct asked_node {
    struct asked_side *side;
    struct endpoint endpoint;
    struct slot_set *slots; /* of a cluster */
    struct prober *prober;
    struct asker *asker;
    struct preflight_side facts;
};

struct asked_side {
    struct preflight *owner;
    struct endpoint endpoint;
    struct topology *topology;
    struct timer *look; /* whether the nodes are known by now */
    uint64_t began_us;
    size_t nnodes;
    struct asked_node *nodes;
    struct seen_server *seen;
    unsigned pending; /* of the nodes, and of the source's fences */
};

struct preflight {
    struct loop *loop;
    struct log *log;
    preflight_fn *fn;
    void *arg;
    struct timer *timer;
    struct defer later; /* the report is made when nobody of those who were asked is on the stack */
    struct asked_side sides[2];
    struct preflight_facts facts;
    struct fences *fences;    /* of the source */
    struct state_file *blank; /* its state: what the link's file knows of connections is not for a check to
                                 end. And the link's, where its file cannot be read */
    bool over;
};

/* --- the report --- */

static void stop_asking(struct preflight *p)
{
    for (size_t i = 0; i < ARRAY_LEN(p->sides); i++) {
        struct asked_side *s = &p->sides[i];
        for (size_t j = 0; j < s->nnodes; j++) {
            s->nodes[j].prober = prober_free(s->nodes[j].prober);
            s->nodes[j].asker = asker_free(s->nodes[j].asker);
        }
        timer_clear(s->look);
    }
    p->fences = fences_free(p->fences);
    for (size_t i = 0; i < ARRAY_LEN(p->sides); i++)
        p->sides[i].topology = topology_free(p->sides[i].topology);
}

static struct preflight_side *facts_of(struct asked_side *s)
{
    return &s->owner->facts.side[s - s->owner->sides];
}

/* What is known of the nodes becomes what is known of the side. */
static void merge_side(struct asked_side *s)
{
    struct preflight_side *f = facts_of(s);
    struct preflight_node *nodes = calloc(MAX(s->nnodes, (size_t)1), sizeof(*nodes));
    bool of_target = s == &s->owner->sides[SIDE_TARGET];

    for (size_t i = 0; nodes && i < s->nnodes; i++) {
        nodes[i] = (struct preflight_node){s->nodes[i].endpoint.url.text, &s->nodes[i].facts};
        s->seen[i] = (struct seen_server){nodes[i].address, &s->nodes[i].facts.probe};
    }
    f->seen = s->seen;
    f->nseen = f->cluster ? s->nnodes : 0;
    if (s->nnodes && (!nodes || preflight_merge(f, of_target, s->nnodes, nodes) < 0))
        snprintf(f->why, sizeof(f->why), "memory is out");
    free(nodes);
}

static void report(void *arg)
{
    struct preflight *p = arg;
    struct preflight_report *r = calloc(1, sizeof(*r));
    struct preflight_report none = {.errors = 1};

    timer_clear(p->timer);
    stop_asking(p);
    if (!r)
        r = &none;
    r->at_ms = clock_wall_ms();
    r->link_runs = p->facts.link_runs;
    merge_side(&p->sides[SIDE_SOURCE]);
    merge_side(&p->sides[SIDE_TARGET]);
    if (r != &none)
        preflight_decide(&p->facts, r);
    p->fn(r, p->arg); /* p may be freed by now */
    if (r != &none)
        free(r);
}

static void finish(struct preflight *p)
{
    if (p->over)
        return;
    p->over = true;
    loop_defer(p->loop, &p->later, report, p);
}

static void on_timeout(void *arg)
{
    finish(arg);
}

static void one_is_done(struct asked_side *s)
{
    struct preflight *p = s->owner;

    s->pending--;
    if (p->sides[SIDE_SOURCE].pending + p->sides[SIDE_TARGET].pending == 0)
        finish(p);
}

/* --- asking --- */

static void side_fails(struct asked_side *s, const char *why)
{
    struct preflight_side *f = facts_of(s);

    snprintf(f->why, sizeof(f->why), "%s", why);
    one_is_done(s);
}

static void node_fails(struct asked_node *n, const char *why)
{
    snprintf(n->facts.why, sizeof(n->facts.why), "%s", why);
    n->prober = prober_free(n->prober);
    one_is_done(n->side);
}

static void on_asked(struct asker *a, void *arg)
{
    struct asked_node *n = arg;
    (void)a;
    one_is_done(n->side);
}

/* The nodes of a report are the fences', which end before anything is decided. */
static void keep_fences(struct preflight_facts *f, const struct fence_report *r)
{
    f->fences = *r;
    f->fences.nodes = NULL;
    f->fences.nnodes = 0;
    for (size_t i = 0; i < r->nnodes && !f->unfenced.address[0]; i++)
        if (!r->nodes[i].reached)
            f->unfenced = r->nodes[i];
}

static void on_fences(int err, const char *why, void *arg)
{
    struct preflight *p = arg;
    struct preflight_facts *f = &p->facts;

    f->has_fences = err == 0;
    snprintf(f->fences_why, sizeof(f->fences_why), "%s", why);
    if (err == 0) {
        struct fence_report r;
        fences_report(p->fences, &r);
        keep_fences(f, &r);
    }
    one_is_done(&p->sides[SIDE_SOURCE]);
}

static void ask_fences(struct preflight *p)
{
    static const struct fence_events no_events = {0};
    struct asked_side *s = &p->sides[SIDE_SOURCE];
    const struct fences_options opt = {.source = &s->endpoint,
                                       .topology = facts_of(s)->cluster ? s->topology : NULL,
                                       .state = p->blank,
                                       .log = p->log};

    if (fences_new(p->loop, &opt, &no_events, NULL, &p->fences) < 0)
        return;
    s->pending++;
    fences_probe(p->fences, on_fences, p);
}

static int keep_probe(struct preflight_side *f, const struct probe *probe)
{
    struct watch_db *dbs = malloc(MAX(probe->ndbs, (size_t)1) * sizeof(*dbs));

    if (!dbs)
        return -ENOMEM;
    if (probe->ndbs)
        memcpy(dbs, probe->dbs, probe->ndbs * sizeof(*dbs));
    f->probe = *probe;
    f->probe.dbs = dbs;
    f->reached = true;
    return 0;
}

static bool all_reached(const struct asked_side *s)
{
    for (size_t i = 0; i < s->nnodes; i++)
        if (!s->nodes[i].facts.reached)
            return false;
    return true;
}

static void on_probed(struct prober *prober, const struct probe *probe, void *arg)
{
    struct asked_node *n = arg;
    struct preflight *p = n->side->owner;
    bool target = n->side == &p->sides[SIDE_TARGET];
    (void)prober;

    if (keep_probe(&n->facts, probe) < 0 ||
        asker_new(p->loop, &n->endpoint, target, n->slots, &n->facts, on_asked, n, &n->asker) < 0)
        node_fails(n, "memory is out");
    else if (!target && all_reached(n->side))
        ask_fences(p);
}

/* The first try counts: what it says is how it is now. */
static void on_waiting(struct prober *prober, const char *why, void *arg)
{
    struct asked_node *n = arg;
    (void)prober;

    if (n->prober)
        node_fails(n, why);
}

/* --- the nodes --- */

static struct slot_set *slots_of(const struct topology_map *map, size_t shard)
{
    struct slot_set *slots = calloc(1, sizeof(*slots));

    for (unsigned i = 0; slots && i < SLOTS; i++)
        if (map->owner[i] == shard)
            slot_set_add(slots, i);
    return slots;
}

static int begin_node(struct asked_side *s, const struct topology_map *map, size_t shard)
{
    static const struct prober_events events = {.done = on_probed, .waiting = on_waiting};
    struct asked_node *n = &s->nodes[s->nnodes];

    n->side = s;
    preflight_side_init(&n->facts);
    n->facts.user = facts_of(s)->user;
    int err = topology_endpoint(s->topology, &map->shards[shard].primary, &n->endpoint);
    if (err)
        return err;
    s->nnodes++;
    s->pending++;
    n->facts.url = n->endpoint.url.text;
    n->slots = map->cluster ? slots_of(map, shard) : NULL;
    return prober_new(s->owner->loop, &n->endpoint, false, &events, n, &n->prober);
}

static int begin_nodes(struct asked_side *s, const struct topology_map *map)
{
    struct preflight_side *f = facts_of(s);
    int err = 0;

    f->cluster = map->cluster;
    f->covered = map->covered;
    f->moving = map->moving;
    snprintf(f->url_why, sizeof(f->url_why), "%s", topology_base_why(s->topology));
    s->nodes = calloc(map->nshards, sizeof(*s->nodes));
    s->seen = calloc(map->nshards, sizeof(*s->seen));
    if (!s->nodes || !s->seen)
        return -ENOMEM;
    for (size_t i = 0; i < map->nshards && !err; i++) {
        f->replicas_known += map->shards[i].nreplicas;
        if (map->shards[i].nslots)
            err = begin_node(s, map, i);
    }
    return err;
}

/* The first try counts here too; with seeds, all of them. */
static bool is_given_up(const struct asked_side *s, const struct config *c)
{
    bool of_target = s == &s->owner->sides[SIDE_TARGET];
    const struct config_endpoint *e = of_target ? &c->target : &c->source;
    bool waited = loop_now_us(s->owner->loop) - s->began_us >= SEEDS_US;

    return topology_why(s->topology)[0] && (!e->seeds.count || waited);
}

static void look_at_nodes(void *arg)
{
    struct asked_side *s = arg;
    const struct topology_map *map = topology_map(s->topology);

    if (!map && !is_given_up(s, s->owner->facts.config)) {
        timer_set(s->look, LOOK_US);
    } else if (!map) {
        side_fails(s, topology_reason(s->topology));
    } else if (begin_nodes(s, map) < 0) {
        side_fails(s, "memory is out");
    } else if (s->nnodes == 0) {
        side_fails(s, "no node of the cluster owns slots");
    } else {
        one_is_done(s); /* the nodes are known */
    }
}

/* --- making it --- */

static uint64_t machine_bytes(void)
{
    struct sysinfo info;
    struct rlimit limit;
    uint64_t bytes = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 0;

    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        bytes = bytes ? MIN(bytes, (uint64_t)limit.rlim_cur) : (uint64_t)limit.rlim_cur;
    return bytes;
}

static void look_at_state(struct preflight *p, const struct preflight_options *opt)
{
    struct preflight_facts *f = &p->facts;
    char folder[512];

    f->state_path = "";
    if (opt->state_why)
        snprintf(f->state_why, sizeof(f->state_why), "%s", opt->state_why);
    if (!opt->state) {
        f->state = state_of(p->blank);
        return;
    }
    f->state = state_of(opt->state);
    f->state_path = state_file_path(opt->state);
    snprintf(folder, sizeof(folder), "%s", f->state_path);
    char *slash = strrchr(folder, '/');
    if (!slash)
        return;
    *slash = '\0';
    if (access(folder, W_OK) < 0 && errno != ENOENT)
        snprintf(f->state_why, sizeof(f->state_why), "%.150s cannot be written to: %s", folder,
                 strerror(errno));
}

static int make_endpoint(struct asked_side *s, const struct preflight_options *opt, bool of_target,
                         const char *password, unsigned timeout_ms)
{
    struct endpoint *e = &s->endpoint;
    const struct state *state = s->owner->facts.state;
    struct preflight_side *f = facts_of(s);
    char why[CONFIG_WHY_MAX];
    int err = config_endpoint(opt->config, of_target, password,
                              state->instance[0] ? state->instance : "check", e, why);

    if (err < 0) {
        log_event(opt->log, EVENT_CONFIG_ERROR, "%s", why);
        return err;
    }
    e->timeout_ms = MIN(e->timeout_ms, timeout_ms / 2);
    preflight_side_init(f);
    f->url = e->url.text;
    f->user = e->url.user ? e->url.user : "default";
    return 0;
}

static int begin_side(struct asked_side *s)
{
    struct preflight *p = s->owner;
    bool of_target = s == &p->sides[SIDE_TARGET];
    int err = config_topology(p->facts.config, of_target, p->loop, &s->endpoint, &s->topology);

    s->pending = 1;
    s->began_us = loop_now_us(p->loop);
    if (!err)
        err = timer_new(p->loop, look_at_nodes, s, &s->look);
    if (err)
        return err;
    topology_want(s->topology, true);
    timer_set(s->look, 0);
    return 0;
}

static int make(struct preflight *p, const struct preflight_options *opt, unsigned timeout_ms)
{
    look_at_state(p, opt);
    int err = make_endpoint(&p->sides[SIDE_SOURCE], opt, false, opt->passwords->source, timeout_ms);
    if (!err)
        err = make_endpoint(&p->sides[SIDE_TARGET], opt, true, opt->passwords->target, timeout_ms);
    if (!err)
        err = timer_new(p->loop, on_timeout, p, &p->timer);
    for (size_t i = 0; !err && i < ARRAY_LEN(p->sides); i++)
        err = begin_side(&p->sides[i]);
    if (!err)
        timer_set(p->timer, (uint64_t)timeout_ms * 1000);
    return err;
}

int preflight_new(struct loop *l, const struct preflight_options *opt, unsigned timeout_ms, preflight_fn *fn,
                  void *arg, struct preflight **ret)
{
    struct preflight *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->loop = l;
    p->log = opt->log;
    p->fn = fn;
    p->arg = arg;
    p->facts = (struct preflight_facts){.config = opt->config,
                                        .link_runs = opt->link_runs,
                                        .marks_per_s = opt->marks_per_s,
                                        .machine_bytes = machine_bytes(),
                                        .waited_ms = timeout_ms};
    p->sides[SIDE_SOURCE].owner = p->sides[SIDE_TARGET].owner = p;
    int err = state_file_blank(&p->blank);
    if (!err)
        err = make(p, opt, timeout_ms);
    if (err < 0)
        preflight_free(p);
    else
        *ret = p;
    return err;
}

static void free_side(struct asked_side *s)
{
    for (size_t i = 0; i < s->nnodes; i++) {
        endpoint_node_clear(&s->nodes[i].endpoint);
        free(s->nodes[i].facts.probe.dbs);
        free(s->nodes[i].slots);
    }
    free(s->nodes);
    free(s->seen);
    timer_free(s->look);
    endpoint_clear(&s->endpoint);
}

struct preflight *preflight_free(struct preflight *p)
{
    if (!p)
        return NULL;
    defer_cancel(p->loop, &p->later);
    stop_asking(p);
    timer_free(p->timer);
    for (size_t i = 0; i < ARRAY_LEN(p->sides); i++) {
        free_side(&p->sides[i]);
        free(p->facts.side[i].probe.dbs);
    }
    state_file_free(p->blank);
    free(p);
    return NULL;
}
