#include "lib/redis/topology_nodes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/text.h"
#include "lib/redis/address.h"

enum {
    FLAG_MYSELF = 1,
    FLAG_PRIMARY = 2,
    FLAG_REPLICA = 4,
    FLAG_SUSPECT = 8, /* by the node that was asked */
    FLAG_FAIL = 16,   /* by most of them */
    FLAG_NOADDR = 32,
    FLAG_HANDSHAKE = 64,
};

struct line {
    struct bytes id, primary, slots;
    struct address ip;
    char name[ADDRESS_HOST_MAX]; /* "" none is told */
    unsigned flags;
    uint64_t epoch;
};

struct parser {
    const char *host;
    bool names;
    struct nodes_view *view;
    size_t cap;                 /* of the map's shards */
    unsigned voters, reachable; /* primaries with slots */
    char *why;
};

static int wrong(const struct parser *p, const char *what, struct bytes where)
{
    char text[64];
    return text_refuse(p->why, NODES_WHY_MAX, -EBADMSG, "CLUSTER NODES is not understood: %s: %s", what,
                       bytes_escape(where, text, sizeof(text)));
}

static int too_many(const struct parser *p, unsigned max, const char *what)
{
    return text_refuse(p->why, NODES_WHY_MAX, -E2BIG, "the cluster has more than %u %s", max, what);
}

/* One line: ID ADDRESS FLAGS PRIMARY PING PONG EPOCH LINK SLOT... */

static unsigned flag_of(struct bytes name)
{
    static const struct {
        const char *name;
        unsigned flag;
    } table[] = {
        {"myself", FLAG_MYSELF}, {"master", FLAG_PRIMARY},  {"primary", FLAG_PRIMARY},
        {"slave", FLAG_REPLICA}, {"replica", FLAG_REPLICA}, {"fail?", FLAG_SUSPECT},
        {"fail", FLAG_FAIL},     {"noaddr", FLAG_NOADDR},   {"handshake", FLAG_HANDSHAKE},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (bytes_is(name, table[i].name))
            return table[i].flag;
    }
    return 0;
}

static unsigned take_flags(struct bytes text)
{
    unsigned flags = 0;
    while (text.len > 0)
        flags |= flag_of(bytes_cut(&text, ','));
    return flags;
}

/* ip:port@cport[,hostname[,name=value]...]; a host name that is none is passed over. */
static int take_address(const struct parser *p, struct bytes text, struct line *l)
{
    struct bytes rest = text, ip = bytes_cut(&rest, ','), name = bytes_cut(&rest, ',');
    struct bytes port = bytes_cut(&ip, '@');
    struct address named;

    if (address_parse_told(port, &l->ip) < 0 || strlen(l->ip.host) >= NODE_IP_MAX)
        return wrong(p, "an address", text);
    l->name[0] = '\0';
    if (address_parse(name, &named) == 0 && named.port == 0)
        memcpy(l->name, named.host, sizeof(l->name));
    if (l->ip.port == 0)
        l->flags |= FLAG_NOADDR;
    return 0;
}

static bool is_id(struct bytes b)
{
    return b.len > 0 && b.len < NODE_ID_MAX && !memchr(b.ptr, '\0', b.len);
}

static int parse_line(const struct parser *p, struct bytes text, struct line *ret)
{
    struct bytes rest = text, address;

    ret->id = bytes_cut(&rest, ' ');
    address = bytes_cut(&rest, ' ');
    ret->flags = take_flags(bytes_cut(&rest, ' '));
    ret->primary = bytes_cut(&rest, ' ');
    (void)bytes_cut(&rest, ' ');
    (void)bytes_cut(&rest, ' ');
    if (!is_id(ret->id) || bytes_to_u64(bytes_cut(&rest, ' '), &ret->epoch) < 0)
        return wrong(p, "a line", text);
    (void)bytes_cut(&rest, ' ');
    ret->slots = rest;
    return take_address(p, address, ret);
}

/* Empty lines are none. -ENOENT: the end. */
static int next_line(const struct parser *p, struct bytes *text, struct line *ret)
{
    while (text->len > 0) {
        struct bytes line = bytes_cut(text, '\n');
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len > 0)
            return parse_line(p, line, ret);
    }
    return -ENOENT;
}

static bool is_primary(const struct line *l)
{
    return (l->flags & FLAG_PRIMARY) && !(l->flags & FLAG_HANDSHAKE);
}

static bool owns_slots(const struct line *l)
{
    return l->slots.len > 0 && l->slots.ptr[0] != '[';
}

static bool is_failing(const struct line *l)
{
    return l->flags & (FLAG_FAIL | FLAG_NOADDR);
}

static void make_node(const struct parser *p, const struct line *l, struct topology_node *ret)
{
    const char *host = p->names && l->name[0] ? l->name : l->ip.host;

    memset(ret, 0, sizeof(*ret)); /* padding too: maps are compared as bytes */
    ret->port = ret->told_port = l->ip.port;
    ret->failing = is_failing(l);
    memcpy(ret->id, l->id.ptr, l->id.len);
    snprintf(ret->ip, sizeof(ret->ip), "%.*s", NODE_IP_MAX - 1, l->ip.host);
    snprintf(ret->name, sizeof(ret->name), "%s", l->name);
    snprintf(ret->host, sizeof(ret->host), "%s", host[0] ? host : p->host);
}

/* First the primaries, in order; then what belongs to each. */

static int by_id(const void *a, const void *b)
{
    const struct topology_node *x = a, *y = b;
    return strcmp(x->id, y->id);
}

_Static_assert(offsetof(struct shard, primary) == 0, "shards are ordered by their primary's id");

static int add_shard(struct parser *p, const struct line *l)
{
    struct topology_map *m = &p->view->map;

    if (m->nshards == SHARDS_MAX)
        return too_many(p, SHARDS_MAX, "primaries");
    if (m->nshards == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 4;
        struct shard *shards = realloc(m->shards, cap * sizeof(*shards));
        if (!shards)
            return -ENOMEM;
        m->shards = shards;
        p->cap = cap;
    }
    struct shard *s = &m->shards[m->nshards++];
    memset(s, 0, sizeof(*s));
    make_node(p, l, &s->primary);
    return 0;
}

static int take_primary(struct parser *p, const struct line *l)
{
    if (!is_primary(l) || (!owns_slots(l) && is_failing(l)))
        return 0;
    if (owns_slots(l)) {
        p->voters++;
        p->reachable += !is_failing(l) && !(l->flags & FLAG_SUSPECT);
        p->view->map.epoch = MAX(p->view->map.epoch, l->epoch);
    }
    return add_shard(p, l);
}

static int each_line(struct parser *p, struct bytes text, int (*fn)(struct parser *p, const struct line *l))
{
    struct line l;
    unsigned n = 0;
    int err;

    while ((err = next_line(p, &text, &l)) == 0) {
        if (n++ == NODES_MAX)
            return too_many(p, NODES_MAX, "nodes");
        err = fn(p, &l);
        if (err < 0)
            return err;
    }
    return err == -ENOENT ? 0 : err;
}

static int sort_shards(const struct parser *p)
{
    struct topology_map *m = &p->view->map;

    if (m->nshards == 0)
        return wrong(p, "no primary is told", bytes_str(""));
    qsort(m->shards, m->nshards, sizeof(*m->shards), by_id);
    for (size_t i = 1; i < m->nshards; i++) {
        if (strcmp(m->shards[i - 1].primary.id, m->shards[i].primary.id) == 0)
            return wrong(p, "an id comes twice", bytes_str(m->shards[i].primary.id));
    }
    return 0;
}

static struct shard *shard_of(const struct topology_map *m, struct bytes id)
{
    struct topology_node key = {0};

    if (!is_id(id))
        return NULL;
    memcpy(key.id, id.ptr, id.len);
    return bsearch(&key, m->shards, m->nshards, sizeof(*m->shards), by_id);
}

static int own(struct parser *p, struct shard *s, uint64_t slot)
{
    struct topology_map *m = &p->view->map;
    char text[TEXT_MAX];

    if (m->owner[slot] != SHARD_NONE)
        return wrong(p, "a slot has two owners", bytes_str(text_count(slot, text)));
    m->owner[slot] = (uint16_t)(s - m->shards);
    s->nslots++;
    return 0;
}

/* "5", "0-5460". */
static int own_range(struct parser *p, struct shard *s, struct bytes text)
{
    struct bytes last = text, first = bytes_cut(&last, '-');
    uint64_t from, to;

    if (first.len == text.len)
        last = first;
    if (bytes_to_u64(first, &from) < 0 || bytes_to_u64(last, &to) < 0 || from > to || to >= SLOTS)
        return wrong(p, "a slot", text);
    for (; from <= to; from++) {
        int err = own(p, s, from);
        if (err < 0)
            return err;
    }
    return 0;
}

/* "[93->-ID]" leaves, "[77-<-ID]" comes: told of the node itself only. */
static void take_moving(struct parser *p, struct bytes word)
{
    struct bytes rest = bytes_of(word.ptr + 1, word.len - 1);
    uint64_t slot;

    p->view->map.moving = true;
    if (bytes_to_u64(bytes_cut(&rest, '-'), &slot) == 0 && slot < SLOTS)
        slot_set_add(&p->view->moving, (unsigned)slot);
}

static int take_slots(struct parser *p, const struct line *l, struct shard *s)
{
    struct bytes rest = l->slots;
    int err = 0;

    while (err == 0 && rest.len > 0) {
        struct bytes word = bytes_cut(&rest, ' ');
        if (word.len > 0 && word.ptr[0] == '[')
            take_moving(p, word);
        else if (word.len > 0)
            err = own_range(p, s, word);
    }
    return err;
}

static int take_replica(struct parser *p, const struct line *l)
{
    struct shard *s = shard_of(&p->view->map, l->primary);

    if (!s || (l->flags & FLAG_HANDSHAKE))
        return 0;
    if (s->nreplicas == REPLICAS_MAX)
        return too_many(p, REPLICAS_MAX, "replicas of one primary");
    make_node(p, l, &s->replicas[s->nreplicas++]);
    return 0;
}

static int take_rest(struct parser *p, const struct line *l)
{
    if (l->flags & FLAG_REPLICA)
        return take_replica(p, l);
    struct shard *s = is_primary(l) ? shard_of(&p->view->map, l->id) : NULL;
    return s ? take_slots(p, l, s) : 0;
}

static int sort_replicas(const struct parser *p)
{
    struct topology_map *m = &p->view->map;

    for (size_t i = 0; i < m->nshards; i++) {
        struct shard *s = &m->shards[i];
        qsort(s->replicas, s->nreplicas, sizeof(s->replicas[0]), by_id);
        for (size_t k = 1; k < s->nreplicas; k++) {
            if (strcmp(s->replicas[k - 1].id, s->replicas[k].id) == 0)
                return wrong(p, "an id comes twice", bytes_str(s->replicas[k].id));
        }
    }
    return 0;
}

static bool is_covered(const struct topology_map *m)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (m->owner[slot] == SHARD_NONE || m->shards[m->owner[slot]].primary.failing)
            return false;
    }
    return true;
}

static int parse(struct parser *p, struct bytes text)
{
    int err = each_line(p, text, take_primary);
    if (err == 0)
        err = sort_shards(p);
    if (err == 0)
        err = each_line(p, text, take_rest);
    return err < 0 ? err : sort_replicas(p);
}

int nodes_parse(struct bytes text, const char *host, bool names, struct nodes_view *ret,
                char why[NODES_WHY_MAX])
{
    struct parser p = {.host = host, .names = names, .view = ret, .why = why};

    ret->minority = false;
    ret->moving = (struct slot_set){0};
    ret->map = (struct topology_map){.cluster = true};
    memset(ret->map.owner, 0xff, sizeof(ret->map.owner));
    snprintf(why, NODES_WHY_MAX, "out of memory");
    int err = parse(&p, text);
    if (err < 0) {
        nodes_clear(ret);
        return err;
    }
    ret->minority = p.reachable * 2 <= p.voters && p.voters > 0;
    ret->map.covered = is_covered(&ret->map);
    return 0;
}

void nodes_clear(struct nodes_view *v)
{
    free(v->map.shards);
    v->map.shards = NULL;
    v->map.nshards = 0;
}
