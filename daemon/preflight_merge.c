/* preflight_merge.c - what is known of the primaries of a cluster, one by one, as if they were one server:
 * the worst of them, and sums. */
#include "daemon/preflight_facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t add(uint64_t a, uint64_t b)
{
    return a == PREFLIGHT_UNKNOWN || b == PREFLIGHT_UNKNOWN ? PREFLIGHT_UNKNOWN : a + b;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a == PREFLIGHT_UNKNOWN || b == PREFLIGHT_UNKNOWN ? PREFLIGHT_UNKNOWN : MIN(a, b);
}

/* Where 0 is: without a bound. */
static uint64_t least_bound(uint64_t a, uint64_t b)
{
    return a == 0 ? b : b == 0 ? a : least(a, b);
}

/* A sum of bounds has none where one has none. */
static uint64_t add_bound(uint64_t a, uint64_t b)
{
    return a == 0 || b == 0 ? 0 : add(a, b);
}

/* Keys by database. */

static int by_db(const void *a, const void *b)
{
    const struct watch_db *x = a, *y = b;
    return (x->db > y->db) - (x->db < y->db);
}

static int merge_dbs(struct probe *into, size_t n, const struct preflight_node *nodes)
{
    size_t count = 0, kept = 0;

    for (size_t i = 0; i < n; i++)
        count += nodes[i].facts->probe.ndbs;
    struct watch_db *dbs = calloc(MAX(count, (size_t)1), sizeof(*dbs));
    if (!dbs)
        return -ENOMEM;
    count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < nodes[i].facts->probe.ndbs; j++)
            dbs[count++] = nodes[i].facts->probe.dbs[j];
    qsort(dbs, count, sizeof(*dbs), by_db);
    for (size_t i = 0; i < count; i++) {
        if (kept && dbs[kept - 1].db == dbs[i].db)
            dbs[kept - 1].keys += dbs[i].keys;
        else
            dbs[kept++] = dbs[i];
    }
    into->dbs = dbs;
    into->ndbs = kept;
    return 0;
}

static void merge_probe(struct probe *p, const struct probe *one, bool of_target)
{
    bool evicts = one->maxmemory_policy[0] && strcmp(one->maxmemory_policy, "noeviction") != 0;

    p->dump_version =
        of_target ? MIN(p->dump_version, one->dump_version) : MAX(p->dump_version, one->dump_version);
    p->proto_max_bulk_len = MIN(p->proto_max_bulk_len, one->proto_max_bulk_len);
    p->databases = MIN(p->databases, one->databases);
    if (evicts)
        memcpy(p->maxmemory_policy, one->maxmemory_policy, sizeof(p->maxmemory_policy));
    p->config_allowed &= one->config_allowed;
    p->client_list_allowed &= one->client_list_allowed;
    p->has_pexpiretime &= one->has_pexpiretime;
    p->has_functions &= one->has_functions;
    p->has_keyspace &= one->has_keyspace;
    p->has_clock &= one->has_clock;
    if (llabs(one->clock_skew_ms) > llabs(p->clock_skew_ms))
        p->clock_skew_ms = one->clock_skew_ms;
    p->round_trip_us = MAX(p->round_trip_us, one->round_trip_us);
}

static void merge_numbers(struct preflight_side *s, const struct preflight_side *one)
{
    s->used_memory = add(s->used_memory, one->used_memory);
    s->dataset = add(s->dataset, one->dataset);
    s->maxmemory = add_bound(s->maxmemory, one->maxmemory);
    s->total_memory = add(s->total_memory, one->total_memory);
    s->scripts = MAX(s->scripts, one->scripts);
    s->libraries = MAX(s->libraries, one->libraries);
    s->ops_per_s = add(s->ops_per_s, one->ops_per_s);
    s->replicas = add(s->replicas, one->replicas);
    s->aof = least(s->aof, one->aof);
    s->commands = add(s->commands, one->commands);
    s->evicted = add(s->evicted, one->evicted);
    s->saving_failed = MAX(s->saving_failed, one->saving_failed);
    s->appending_failed = MAX(s->appending_failed, one->appending_failed);
    s->group_calls += one->group_calls;
    s->has_commandstats &= one->has_commandstats;
    s->idle_timeout_s = least_bound(s->idle_timeout_s, one->idle_timeout_s);
    s->bulk_len = least(s->bulk_len, one->bulk_len);
    s->sentinels = add(s->sentinels, one->sentinels);
    s->input_kb = add(s->input_kb, one->input_kb);
    s->backlog = least(s->backlog, one->backlog);
    s->backlog_size = least(s->backlog_size, one->backlog_size);
    s->min_replicas = MAX(s->min_replicas, one->min_replicas);
}

static void merge_limit(struct buffer_limit *into, const struct buffer_limit *one)
{
    into->told &= one->told;
    into->hard = least_bound(into->hard, one->hard);
    into->soft = least_bound(into->soft, one->soft);
    into->soft_s = least_bound(into->soft_s, one->soft_s);
}

static void merge_settings(struct preflight_side *s, const struct preflight_side *one)
{
    merge_limit(&s->pubsub, &one->pubsub);
    merge_limit(&s->replica, &one->replica);
    s->has_save &= one->has_save;
    s->saves &= one->saves;
    s->has_flags &= one->has_flags;
    if (strlen(one->flags) < strlen(s->flags)) /* more is to be set there */
        memcpy(s->flags, one->flags, sizeof(s->flags));
    s->has_modules &= one->has_modules;
    if (one->nmodules > s->nmodules) {
        s->nmodules = one->nmodules;
        memcpy(s->modules, one->modules, sizeof(s->modules));
    }
}

/* Rights. */

static bool is_worse(enum right a, enum right than)
{
    static const unsigned how_bad[] = {
        [RIGHT_GIVEN] = 0, [RIGHT_UNKNOWN] = 1, [RIGHT_DENIED] = 2, [RIGHT_MISSING] = 3};
    return how_bad[a] > how_bad[than];
}

static void merge_right(struct preflight_side *into, enum right_id id, size_t n,
                        const struct preflight_node *nodes)
{
    size_t lacking = 0;
    const char *at = NULL;

    for (size_t i = 0; i < n; i++) {
        enum right one = nodes[i].facts->rights[id];
        if (is_worse(one, into->rights[id]))
            into->rights[id] = one;
        if (!right_is_lacking(nodes[i].facts, id))
            continue;
        lacking++;
        at = at ? at : nodes[i].address;
    }
    into->lacking_at[id] = lacking < n ? at : NULL;
}

static void merge_refusals(struct preflight_side *s, const struct preflight_node *node)
{
    const struct preflight_side *one = node->facts;

    s->keys_denied |= one->keys_denied;
    s->keys_known &= one->keys_known;
    if (!s->refused[0] && one->refused[0])
        snprintf(s->refused, sizeof(s->refused), "%.70s: %.80s", node->address, one->refused);
    if (is_worse(one->tracking, s->tracking)) {
        s->tracking = one->tracking;
        memcpy(s->tracking_why, one->tracking_why, sizeof(s->tracking_why));
    }
    if (s->asked && !one->asked)
        snprintf(s->ask_why, sizeof(s->ask_why), "%.80s: %.100s", node->address,
                 one->ask_why[0] ? one->ask_why : "it stopped to answer");
    s->asked &= one->asked;
    if (s->reached && !one->reached)
        snprintf(s->why, sizeof(s->why), "%.80s: %.100s", node->address,
                 one->why[0] ? one->why : "no answer");
    s->reached &= one->reached;
}

/* What is of the side itself: its URL, its shape. */
static void begin_with(struct preflight_side *into, const struct preflight_node *first)
{
    const struct preflight_side was = *into;

    *into = *first->facts;
    into->url = was.url;
    into->user = was.user;
    into->cluster = was.cluster;
    into->covered = was.covered;
    into->moving = was.moving;
    into->replicas_known = was.replicas_known;
    memcpy(into->url_why, was.url_why, sizeof(into->url_why));
    into->nseen = was.nseen;
    into->seen = was.seen;
}

int preflight_merge(struct preflight_side *into, bool of_target, size_t n, const struct preflight_node *nodes)
{
    const struct preflight_side was = *into;

    begin_with(into, &nodes[0]);
    int err = merge_dbs(&into->probe, n, nodes);
    if (err) {
        *into = was;
        return err;
    }
    if (n > 1) {
        into->reached = into->asked = true;
        into->refused[0] = '\0';
    }
    for (size_t i = 0; n > 1 && i < n; i++)
        merge_refusals(into, &nodes[i]);
    for (size_t i = 1; i < n; i++) {
        merge_probe(&into->probe, &nodes[i].facts->probe, of_target);
        merge_numbers(into, nodes[i].facts);
        merge_settings(into, nodes[i].facts);
    }
    for (unsigned id = 0; id < RIGHTS; id++)
        merge_right(into, (enum right_id)id, n, nodes);
    return 0;
}
