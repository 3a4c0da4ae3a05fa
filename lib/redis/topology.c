#include "lib/redis/topology.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/backoff.h"
#include "lib/core/clock.h"
#include "lib/redis/address.h"
#include "lib/redis/conn.h"
#include "lib/redis/topology_nodes.h"

#define ROLE       "topology"
#define BUF_SIZE   (64 * KIB)
#define POLL_US    1000000
#define REFRESH_US 50000   /* between two questions, at the least */
#define DOUBT_US   3000000 /* of a view that nobody confirms */
#define ANSWER_US  3000000 /* then the next node is asked */
#define WHY_MAX    320

enum state {
    STATE_REST, /* nothing is to be asked */
    STATE_WAIT, /* for the back-off, after all nodes were tried */
    STATE_CONNECT,
    STATE_ASK,
    STATE_IDLE, /* connected, until it is asked again */
};

struct translation {
    struct address from, to;
};

struct topology {
    struct loop *loop;
    const struct endpoint *base;
    enum topology_mode mode;
    size_t nseeds, ntranslations;
    struct address *seeds;
    struct translation *translations;

    unsigned wanted;
    enum state state;
    struct timer *timer;
    uint64_t asked_us, confirmed_us; /* the last question; the one that the map answers */
    bool again;                      /* asked for while the answer to an older question was due */
    /* Candidates are the base, the seeds, the nodes of the map. */
    size_t at, tried;  /* the one asked; how many were given up since a view was believed */
    uint64_t round_us; /* when each of them had been, since then; 0: not yet */
    struct endpoint node;
    struct conn *conn;
    struct backoff backoff;

    bool known;
    bool changed; /* the listeners are not told yet */
    struct topology_map map;
    struct nodes_view seen;
    char why[WHY_MAX], base_why[WHY_MAX];

    struct topology_listener *listeners, *next;
    struct defer tell_later;
    unsigned busy; /* frames of ours on the stack */
    bool freed;
};

/* The options. */

static int parse_all(struct topology *t, const struct topology_options *opt)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < opt->nseeds; i++)
        err = address_parse(bytes_str(opt->seeds[i]), &t->seeds[i]);
    for (size_t i = 0; err == 0 && i < opt->naddresses; i++) {
        err = address_parse(bytes_str(opt->addresses[i].from), &t->translations[i].from);
        if (err == 0)
            err = address_parse(bytes_str(opt->addresses[i].to), &t->translations[i].to);
    }
    return err;
}

static int take_options(struct topology *t, const struct topology_options *opt)
{
    t->base = opt->endpoint;
    t->mode = opt->mode == TOPOLOGY_AUTO && opt->endpoint->url.path ? TOPOLOGY_SINGLE : opt->mode;
    t->nseeds = opt->nseeds;
    t->ntranslations = opt->naddresses;
    t->seeds = calloc(opt->nseeds + 1, sizeof(*t->seeds));
    t->translations = calloc(opt->naddresses + 1, sizeof(*t->translations));
    if (!t->seeds || !t->translations)
        return -ENOMEM;
    return t->mode == TOPOLOGY_CLUSTER && t->base->url.path ? -EINVAL : parse_all(t, opt);
}

static const struct translation *find_translation(const struct topology *t, const char *ip, const char *name,
                                                  uint16_t port)
{
    for (size_t i = 0; i < t->ntranslations; i++) {
        const struct address *from = &t->translations[i].from;
        if (from->port == port && (strcmp(from->host, ip) == 0 || strcmp(from->host, name) == 0))
            return &t->translations[i];
    }
    return NULL;
}

/* One that names the port goes before one for all ports. */
static void translate(const struct topology *t, struct topology_node *n)
{
    const struct translation *found = find_translation(t, n->ip, n->name, n->told_port);

    if (!found)
        found = find_translation(t, n->ip, n->name, 0);
    if (!found)
        return;
    memset(n->host, 0, sizeof(n->host));
    snprintf(n->host, sizeof(n->host), "%s", found->to.host);
    n->port = found->to.port ? found->to.port : n->told_port;
}

/* Nodes of a map. */

static struct topology_node *node_at(const struct topology_map *m, size_t i)
{
    for (size_t k = 0; k < m->nshards; i -= 1 + m->shards[k++].nreplicas) {
        if (i <= m->shards[k].nreplicas)
            return i == 0 ? &m->shards[k].primary : &m->shards[k].replicas[i - 1];
    }
    return NULL;
}

static struct topology_node *node_of_id(const struct topology_map *m, const char *id)
{
    struct topology_node *n;

    for (size_t i = 0; (n = node_at(m, i)); i++) {
        if (strcmp(n->id, id) == 0)
            return n;
    }
    return NULL;
}

static size_t count_nodes(const struct topology_map *m)
{
    size_t count = 0;

    for (size_t i = 0; i < m->nshards; i++)
        count += 1 + m->shards[i].nreplicas;
    return count;
}

/* Listeners. */

static void release(struct topology *t)
{
    timer_free(t->timer);
    free(t->map.shards);
    nodes_clear(&t->seen);
    free(t->seeds);
    free(t->translations);
    free(t);
}

static void tell_changed(struct topology_listener *who)
{
    who->changed(who->arg);
}

static void tell_confirmed(struct topology_listener *who)
{
    if (who->confirmed)
        who->confirmed(who->arg);
}

/* Any of them may leave meanwhile. */
static void tell_each(struct topology *t, void (*tell)(struct topology_listener *who))
{
    for (struct topology_listener *who = t->listeners; who && !t->freed; who = t->next) {
        t->next = who->next;
        tell(who);
    }
    t->next = NULL;
}

static void on_tell(void *arg)
{
    struct topology *t = arg;
    bool changed = t->changed;

    t->changed = false;
    t->busy++;
    if (changed)
        tell_each(t, tell_changed);
    tell_each(t, tell_confirmed);
    if (--t->busy == 0 && t->freed)
        release(t);
}

void topology_listen(struct topology *t, struct topology_listener *who)
{
    who->next = t->listeners;
    t->listeners = who;
}

void topology_unlisten(struct topology *t, struct topology_listener *who)
{
    struct topology_listener **at = &t->listeners;

    while (*at && *at != who)
        at = &(*at)->next;
    if (*at)
        *at = who->next;
    if (t->next == who)
        t->next = who->next;
}

/* What is known. */

static bool same_map(const struct topology_map *a, const struct topology_map *b)
{
    return a->cluster == b->cluster && a->covered == b->covered && a->moving == b->moving &&
           a->epoch == b->epoch && a->nshards == b->nshards &&
           memcmp(a->shards, b->shards, a->nshards * sizeof(*a->shards)) == 0 &&
           memcmp(a->owner, b->owner, sizeof(a->owner)) == 0;
}

/* Takes the shards of *m over. */
static void adopt(struct topology *t, struct topology_map *m)
{
    bool same = t->known && same_map(&t->map, m);
    uint64_t version = t->map.version;

    t->why[0] = '\0';
    t->tried = 0;
    t->round_us = 0;
    backoff_reset(&t->backoff);
    t->confirmed_us = t->asked_us;
    loop_defer(t->loop, &t->tell_later, on_tell, t);
    if (same)
        return;
    free(t->map.shards);
    t->map = *m;
    t->map.version = version + 1;
    t->known = t->changed = true;
    m->shards = NULL;
    m->nshards = 0;
}

static int adopt_single(struct topology *t)
{
    struct topology_map *m = &t->seen.map;

    nodes_clear(&t->seen);
    *m = (struct topology_map){.covered = true, .nshards = 1, .shards = calloc(1, sizeof(struct shard))};
    if (!m->shards) {
        m->nshards = 0;
        return -ENOMEM;
    }
    m->shards[0].nslots = SLOTS;
    m->shards[0].primary.port = t->base->url.port;
    adopt(t, m);
    return 0;
}

/* A node without an address is where it was. */
static void keep_address(const struct topology *t, struct topology_node *n)
{
    const struct topology_node *was = n->told_port == 0 ? node_of_id(&t->map, n->id) : NULL;

    if (!was)
        return;
    *n = *was;
    n->failing = true;
}

static void complete(const struct topology *t, struct topology_map *m)
{
    struct topology_node *n;

    for (size_t i = 0; (n = node_at(m, i)); i++) {
        translate(t, n);
        keep_address(t, n);
    }
}

/* An address that has come to lead to a node of another cluster is not followed there. */
static bool is_stranger(const struct topology *t, const struct topology_map *m)
{
    const struct topology_node *n;

    if (!t->known || !t->map.cluster)
        return false;
    for (size_t i = 0; (n = node_at(m, i)); i++) {
        if (node_of_id(&t->map, n->id))
            return false;
    }
    return true;
}

/* Asking. */

static void connect_node(struct topology *t);

static void disconnect(struct topology *t)
{
    timer_clear(t->timer);
    t->conn = conn_free(t->conn);
    endpoint_node_clear(&t->node);
    t->again = false;
}

static size_t count_candidates(const struct topology *t)
{
    return 1 + t->nseeds + (t->map.cluster ? count_nodes(&t->map) : 0);
}

/* False: that one is not worth the while. *ret_host NULL: the base's. */
static bool candidate(const struct topology *t, size_t i, const char **ret_host, uint16_t *ret_port)
{
    *ret_host = NULL;
    if (i == 0)
        return true;
    if (i <= t->nseeds) {
        *ret_host = t->seeds[i - 1].host;
        *ret_port = t->seeds[i - 1].port ? t->seeds[i - 1].port : t->base->url.port;
        return true;
    }
    const struct topology_node *n = node_at(&t->map, i - t->nseeds - 1);
    *ret_host = n->host;
    *ret_port = n->port;
    return !n->failing;
}

/* All were tried: not again at once. */
static void go_round(struct topology *t)
{
    t->tried = 0;
    if (!t->round_us)
        t->round_us = clock_mono_us();
    t->state = STATE_WAIT;
    timer_set(t->timer, backoff_next_us(&t->backoff));
}

PRINTF_LIKE(2, 3) static void give_up(struct topology *t, const char *format, ...)
{
    va_list args;
    const char *asked = t->node.url.text ? t->node.url.text : "";
    bool is_base = strcmp(asked, t->base->url.text) == 0;
    size_t at = t->at;
    int n = snprintf(t->why, sizeof(t->why), "%s%.128s: ", is_base ? "" : "the last node asked, ", asked);

    va_start(args, format);
    vsnprintf(t->why + n, sizeof(t->why) - (size_t)n, format, args);
    va_end(args);
    if (at == 0)
        snprintf(t->base_why, sizeof(t->base_why), "%s", t->why + n);
    disconnect(t);
    t->at++;
    if (++t->tried >= count_candidates(t))
        go_round(t);
    else
        connect_node(t);
}

static void rest(struct topology *t)
{
    disconnect(t);
    t->state = STATE_REST;
}

static void take_single(struct topology *t)
{
    if (adopt_single(t) < 0)
        give_up(t, "out of memory");
    else
        rest(t);
}

/* Only the endpoint's own address can be a single server, and a cluster does not become one. */
static bool may_be_single(const struct topology *t)
{
    return t->mode == TOPOLOGY_AUTO && t->at == 0 && !t->map.cluster && !conn_server(t->conn)->cluster;
}

static void answered(struct topology *t)
{
    uint64_t passed = clock_mono_us() - t->asked_us;

    t->state = STATE_IDLE;
    timer_set(t->timer, !t->again ? POLL_US : passed < REFRESH_US ? REFRESH_US - passed : 0);
    t->again = false;
}

static bool stays_alone(const struct topology *t)
{
    return t->round_us && clock_mono_us() - t->round_us >= DOUBT_US;
}

static bool disowns(const struct topology_map *m, const struct topology_map *known)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (m->owner[slot] == SHARD_NONE && known->owner[slot] != SHARD_NONE)
            return true;
    return false;
}

/* NULL: nothing. By its highest epoch, a view may be older than what is known; who sees but few of the others
 * may not hear of what is decided; and a node that imports a slot goes on to name its former owner, though
 * that has become a replica. */
static const char *doubt(const struct topology *t, const struct nodes_view *v)
{
    if (t->known && t->map.cluster && v->map.epoch < t->map.epoch)
        return "its view of the cluster is older than what is known";
    if (v->minority)
        return "it does not reach most primaries of the cluster";
    if (t->known && t->map.cluster && !v->map.covered && disowns(&v->map, &t->map))
        return "by its view of the cluster some slots are no primary's";
    return NULL;
}

/* What is in doubt counts if there is no other view for a while: a former primary that has just been
 * restarted tells the truth as soon as the others have told it. */
static void consider(struct topology *t, struct nodes_view *v)
{
    const char *why = doubt(t, v);

    complete(t, &v->map);
    if (t->at == 0)
        t->base_why[0] = '\0';
    if (is_stranger(t, &v->map)) {
        give_up(t, "this is another cluster: none of its nodes was one of ours");
    } else if (why && !stays_alone(t)) {
        give_up(t, "%s", why);
    } else {
        adopt(t, &v->map);
        answered(t);
    }
}

static void on_nodes(struct conn *c, const struct reply *r, void *arg)
{
    struct topology *t = arg;
    char why[NODES_WHY_MAX];
    struct bytes text;
    (void)c;

    if (!reply_text(r, &text)) {
        if (may_be_single(t) && !reply_is_passing(r))
            take_single(t);
        else
            give_up(t, "CLUSTER NODES: %s", bytes_escape(r->text, why, sizeof(why)));
        return;
    }
    nodes_clear(&t->seen);
    if (nodes_parse(text, t->node.url.host, t->base->url.tls, &t->seen, why) < 0)
        give_up(t, "%s", why);
    else
        consider(t, &t->seen);
}

static void ask(struct topology *t)
{
    t->state = STATE_ASK;
    t->asked_us = clock_mono_us();
    timer_set(t->timer, ANSWER_US);
    if (conn_call_words(t->conn, on_nodes, t, "CLUSTER NODES") < 0)
        give_up(t, "out of memory");
}

static void on_up(struct conn *c, void *arg)
{
    struct topology *t = arg;

    if (!conn_server(c)->standalone)
        ask(t);
    else if (may_be_single(t))
        take_single(t);
    else
        give_up(t, "this server is not in cluster mode");
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    (void)c, (void)was_up;
    give_up(arg, "%s", why);
}

static int open_node(struct topology *t, const char *host, uint16_t port)
{
    const struct conn_options opt = {
        .endpoint = &t->node, .role = ROLE, .in_max = BUF_SIZE, .out_max = BUF_SIZE, .out_high = BUF_SIZE};
    const struct conn_events events = {.up = on_up, .down = on_down};
    int err = endpoint_node(t->base, host, port, &t->node);

    return err < 0 ? err : conn_new(t->loop, &opt, &events, t, &t->conn);
}

static void connect_node(struct topology *t)
{
    size_t count = count_candidates(t);
    const char *host;
    uint16_t port = 0;

    t->at %= count;
    while (!candidate(t, t->at, &host, &port)) {
        t->at = (t->at + 1) % count;
        t->tried++;
    }
    t->state = STATE_CONNECT;
    if (open_node(t, host, port) < 0) {
        disconnect(t);
        snprintf(t->why, sizeof(t->why), "out of memory");
        go_round(t);
    }
}

static void on_timer(void *arg)
{
    struct topology *t = arg;

    if (t->state == STATE_WAIT)
        connect_node(t);
    else if (t->state == STATE_IDLE)
        ask(t);
    else if (t->state == STATE_ASK)
        give_up(t, "no answer to CLUSTER NODES for %ds", ANSWER_US / 1000000);
}

/* What the owner calls. */

int topology_new(struct loop *l, const struct topology_options *opt, struct topology **ret)
{
    struct topology *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->loop = l;
    backoff_init(&t->backoff, clock_mono_us() ^ (uintptr_t)t);
    int err = take_options(t, opt);
    if (err == 0)
        err = timer_new(l, on_timer, t, &t->timer);
    if (err == 0 && t->mode == TOPOLOGY_SINGLE)
        err = adopt_single(t);
    if (err < 0) {
        release(t);
        return err;
    }
    defer_cancel(l, &t->tell_later);
    t->changed = false;
    *ret = t;
    return 0;
}

struct topology *topology_free(struct topology *t)
{
    if (!t || t->freed)
        return NULL;
    t->freed = true;
    disconnect(t);
    defer_cancel(t->loop, &t->tell_later);
    if (t->busy == 0)
        release(t);
    return NULL;
}

void topology_want(struct topology *t, bool wanted)
{
    unsigned before = t->wanted;

    t->wanted = wanted ? before + 1 : before - (before > 0);
    if (t->mode == TOPOLOGY_SINGLE || (before > 0) == (t->wanted > 0))
        return;
    rest(t);
    t->at = t->tried = 0;
    t->round_us = 0;
    t->why[0] = t->base_why[0] = '\0';
    if (t->wanted)
        connect_node(t);
}

void topology_refresh(struct topology *t)
{
    uint64_t passed = clock_mono_us() - t->asked_us;

    if (t->state == STATE_ASK)
        t->again = true;
    else if (t->state == STATE_IDLE)
        timer_set(t->timer, passed < REFRESH_US ? REFRESH_US - passed : 0);
}

bool topology_is_of(const struct topology *t, uint64_t since_us)
{
    return t->known && (!t->map.cluster || t->confirmed_us >= since_us);
}

const struct topology_map *topology_map(const struct topology *t)
{
    return t->known ? &t->map : NULL;
}

const char *topology_why(const struct topology *t)
{
    return t->why;
}

const char *topology_reason(const struct topology *t)
{
    size_t len = strlen(t->base->url.text);
    bool own = strncmp(t->why, t->base->url.text, len) == 0 && strncmp(t->why + len, ": ", 2) == 0;

    return own ? t->why + len + 2 : t->why;
}

const char *topology_base_why(const struct topology *t)
{
    return t->base_why;
}

const struct endpoint *topology_base(const struct topology *t)
{
    return t->base;
}

int topology_endpoint(const struct topology *t, const struct topology_node *n, struct endpoint *ret)
{
    return endpoint_node(t->base, n->host[0] ? n->host : NULL, n->port, ret);
}

/* Redirects. */

bool redirect_parse(struct bytes error, struct redirect *ret)
{
    struct bytes rest = error, code = bytes_cut(&rest, ' '), slot = bytes_cut(&rest, ' ');
    struct address a;
    uint64_t n;

    if ((!bytes_is(code, "MOVED") && !bytes_is(code, "ASK")) || bytes_to_u64(slot, &n) < 0 || n >= SLOTS ||
        address_parse_told(bytes_cut(&rest, ' '), &a) < 0 || a.port == 0)
        return false;
    *ret = (struct redirect){.ask = bytes_is(code, "ASK"), .slot = (unsigned)n, .port = a.port};
    memcpy(ret->host, a.host, sizeof(ret->host));
    return true;
}

static bool is_meant(const struct topology_node *n, const char *host, uint16_t port)
{
    return (n->port == port && strcmp(n->host, host) == 0) ||
           (n->told_port == port && (strcmp(n->ip, host) == 0 || strcmp(n->name, host) == 0));
}

void topology_redirect(const struct topology *t, const struct endpoint *said_by, const struct redirect *r,
                       struct topology_node *ret)
{
    const char *host = r->host[0] || !said_by->url.host ? r->host : said_by->url.host;
    const struct topology_node *n;

    for (size_t i = 0; (n = node_at(&t->map, i)); i++) {
        if (is_meant(n, host, r->port)) {
            *ret = *n;
            return;
        }
    }
    *ret = (struct topology_node){.port = r->port, .told_port = r->port};
    snprintf(ret->host, sizeof(ret->host), "%s", host);
    snprintf(ret->name, sizeof(ret->name), "%s", host);
    translate(t, ret);
}
