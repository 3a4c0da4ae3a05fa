/* link_probe.c - before a link begins: which nodes there are, who each of them is, and what stands against
 * linking them.
 */
#include "daemon/link_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/core/text.h"

#define OTHERS_LINGER_US 10000000 /* a dead riotd's connections may be seen for as long */
#define LOOK_US          1000000
#define MAP_LOOK_US      200000

/* What is waited for. */

static void wait_with(struct link *k, enum lane_side side, const char *code, uint64_t since_us,
                      const char *text)
{
    uint64_t passed_us = loop_now_us(k->loop) - since_us;

    k->waiting[side].code = code;
    k->waiting[side].since_ms = clock_wall_ms() - (int64_t)(passed_us / 1000);
    snprintf(k->waiting[side].text, sizeof(k->waiting[side].text), "%s", text);
}

static void wait_over(struct link *k, enum lane_side side)
{
    k->waiting[side].text[0] = '\0';
    k->waiting[side].code = NULL;
}

/* e: of the node that it is about. */
static void wait_for(struct link *k, enum lane_side side, const struct endpoint *e, const char *why)
{
    struct link_waiting *w = &k->waiting[side];

    if (!w->text[0]) {
        w->since_ms = clock_wall_ms();
        link_tell_waiting(k, e, why);
    }
    w->code = bytes_starts(bytes_str(why), "certificate: ") ? "certificate" : NULL;
    if (e == &k->endpoints[side] || k->nodes[side].primaries == 1)
        snprintf(w->text, sizeof(w->text), "%s", why);
    else
        snprintf(w->text, sizeof(w->text), "%.80s: %s", e->url.text, why);
}

/* The nodes of a side. */

static void release_side(struct link *k, enum lane_side side)
{
    struct probed_side *s = &k->probed[side];

    for (size_t i = 0; i < s->count; i++) {
        prober_free(s->at[i].prober);
        endpoint_node_clear(&s->at[i].endpoint);
        free(s->at[i].probe.dbs);
    }
    free(s->at);
    *s = (struct probed_side){.count = 0};
    wait_over(k, side);
}

void link_release_probes(struct link *k)
{
    release_side(k, LANE_SOURCE);
    release_side(k, LANE_TARGET);
}

static bool is_probed(const struct probed_side *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->at[i].done)
            return false;
    return s->count > 0;
}

static int keep_probe(struct probed *p, const struct probe *probe)
{
    struct watch_db *dbs = malloc(MAX(probe->ndbs, (size_t)1) * sizeof(*dbs));
    if (!dbs)
        return -ENOMEM;
    if (probe->ndbs)
        memcpy(dbs, probe->dbs, probe->ndbs * sizeof(*dbs));
    free(p->probe.dbs);
    p->probe = *probe;
    p->probe.dbs = dbs;
    p->done = true;
    return 0;
}

/* Both sides are known. */

struct seen_pair {
    struct seen_side side[2];
    struct seen_server *at[2];
};

static void seen_end(struct seen_pair *s)
{
    free(s->at[LANE_SOURCE]);
    free(s->at[LANE_TARGET]);
}

static int seen_make(const struct link *k, struct seen_pair *ret)
{
    *ret = (struct seen_pair){.at = {NULL}};
    for (size_t i = 0; i < 2; i++) {
        const struct probed_side *from = &k->probed[i];
        struct seen_server *at = calloc(from->count, sizeof(*at));
        ret->at[i] = at;
        ret->side[i] = (struct seen_side){from->count, at};
        for (size_t j = 0; at && j < from->count; j++)
            at[j] = (struct seen_server){from->at[j].endpoint.url.text, &from->at[j].probe};
    }
    if (ret->at[0] && ret->at[1])
        return 0;
    seen_end(ret);
    return -ENOMEM;
}

/* Another riotd's connections may be those of a dead one, which its server has not noticed yet. */
static bool wait_for_others(struct link *k, const struct finding *f, size_t n)
{
    uint64_t now_us = loop_now_us(k->loop);
    char text[200];

    for (size_t i = 0; i < n; i++) {
        if (f[i].blocker != BLOCKER_OTHER_RIOTD)
            continue;
        if (!k->others_since_us) {
            k->others_since_us = now_us;
            link_tell_waiting(k, &k->endpoints[LANE_TARGET], f[i].message);
        }
        if (now_us - k->others_since_us >= OTHERS_LINGER_US)
            return false;
        snprintf(text, sizeof(text), "%.150s; waiting for it to go", f[i].message);
        wait_with(k, LANE_TARGET, blockers[BLOCKER_OTHER_RIOTD].code, k->others_since_us, text);
        timer_set(k->again, LOOK_US);
        return true;
    }
    k->others_since_us = 0;
    return false;
}

static size_t former_connections(const struct link *k, const char *run_id)
{
    const struct state *s = state_of(k->file);
    size_t n = 0;

    for (size_t i = 0; i < s->nconnections; i++)
        n += s->connections[i].side == STATE_TARGET && strcmp(s->connections[i].run_id, run_id) == 0;
    return n;
}

/* Can what earlier processes may still have under way there be ended by its id, or be seen to have? */
static bool former_is_known(const struct link *k, const struct probe *target)
{
    return target->client_list_allowed ||
           (former_connections(k, target->id.run_id) > 0 &&
            !state_connections_lack_some(state_of(k->file), target->id.run_id));
}

/* An earlier process wrote there, and neither are its connections' ids known nor may the clients be listed:
 * what it may still have in the server's socket buffer is waited for (R2). */
static bool wait_for_former(struct link *k)
{
    const struct probed_side *targets = &k->probed[LANE_TARGET];
    bool known = true;

    for (size_t i = 0; i < targets->count; i++)
        known &= former_is_known(k, &targets->at[i].probe);
    if (known || k->former_waited || !state_of(k->file)->target_owned.owned)
        return false;
    k->former_waited = true;
    wait_with(
        k, LANE_TARGET, "former_connection", loop_now_us(k->loop),
        "what an earlier riotd may have under way there cannot be looked up: waiting until it must be over");
    link_tell_waiting(k, &k->endpoints[LANE_TARGET], k->waiting[LANE_TARGET].text);
    timer_set(k->again, 2000ull * k->endpoints[LANE_TARGET].timeout_ms);
    return true;
}

static void warn_of_what_cannot_be_seen(struct link *k)
{
    const struct probed_side *targets = &k->probed[LANE_TARGET];
    bool allowed = true;

    for (size_t i = 0; i < targets->count; i++)
        allowed &= targets->at[i].probe.client_list_allowed;
    if (!allowed)
        log_event_fields(
            k->log, EVENT_CONFIG_WARNING, LOG_FIELDS(LOG_TEXT(ENDPOINT, "target")),
            "the target refuses CLIENT LIST: another riotd that writes there cannot be seen, and "
            "a lost connection cannot be shown to be dead; allow it with ACL SETUSER ... "
            "+client|list +client|kill");
}

static void accept_servers(struct link *k)
{
    struct state *s = state_of(k->file);
    const struct probed_side *sources = &k->probed[LANE_SOURCE], *targets = &k->probed[LANE_TARGET];
    bool was_owned = k->was_owned = s->target_owned.owned;

    link_servers_begin(k);
    k->into_db = interlocks_into_db(k->config, &targets->at[0].probe);
    k->target_databases = targets->at[0].probe.databases;
    link_tell_servers(k);
    warn_of_what_cannot_be_seen(k);
    for (size_t i = 0; i < targets->count; i++) /* those were waited for, or seen to be gone */
        state_connection_forget(s, STATE_TARGET, targets->at[i].probe.id.run_id, 0);
    if (was_owned && k->config->existing_keys == EXISTING_MERGE)
        link_block(k, BLOCKER_DELETIONS_UNKNOWN,
                   "keys that the source deleted while riotd was away cannot be told from the target's own");
    for (size_t i = 0; i < sources->count; i++)
        link_first_source(k, &sources->at[i], was_owned);
    link_look_at_total(k, was_owned);
    for (size_t i = 0; i < targets->count; i++)
        link_first_target(k, &targets->at[i]);
    if (k->state == LINK_CONNECTING && link_save(k) == 0)
        link_lanes_ready(k);
}

static void look_at_both(struct link *k, const struct seen_pair *seen)
{
    struct finding f[INTERLOCKS_MAX];
    size_t n =
        interlocks(k->config, state_of(k->file), &seen->side[LANE_SOURCE], &seen->side[LANE_TARGET], f);

    if (wait_for_others(k, f, n))
        return;
    for (size_t i = 1; i < n; i++)
        link_block(k, f[i].blocker, "%s", f[i].message);
    if (n)
        link_fail(k, f[0].blocker, "%s", f[0].message);
    else if (!wait_for_former(k))
        accept_servers(k);
}

static void all_probed(struct link *k)
{
    struct seen_pair seen;

    if (seen_make(k, &seen) < 0) {
        timer_set(k->again, LOOK_US);
        return;
    }
    look_at_both(k, &seen);
    seen_end(&seen);
}

static void probe_done(struct prober *prober, const struct probe *result, void *arg)
{
    struct probed *p = arg;
    struct link *k = p->link;
    (void)prober;

    wait_over(k, p->side);
    if (keep_probe(p, result) < 0)
        timer_set(k->again, LOOK_US);
    else if (is_probed(&k->probed[LANE_SOURCE]) && is_probed(&k->probed[LANE_TARGET]))
        all_probed(k);
}

static void probe_waiting(struct prober *prober, const char *why, void *arg)
{
    struct probed *p = arg;
    (void)prober;
    wait_for(p->link, p->side, &p->endpoint, why);
}

static int probe_node(struct link *k, enum lane_side side, const struct shard *shard, struct probed *ret)
{
    static const struct prober_events events = {.done = probe_done, .waiting = probe_waiting};

    *ret = (struct probed){.link = k, .side = side, .slots = shard->nslots};
    int err = topology_endpoint(k->topologies[side], &shard->primary, &ret->endpoint);
    return err ? err : prober_new(k->loop, &ret->endpoint, true, &events, ret, &ret->prober);
}

static int probe_nodes(struct link *k, enum lane_side side, const struct topology_map *map)
{
    struct probed_side *s = &k->probed[side];
    int err = 0;

    s->at = calloc(map->nshards, sizeof(*s->at));
    if (!s->at)
        return -ENOMEM;
    for (size_t i = 0; i < map->nshards && !err; i++)
        if (map->shards[i].nslots)
            err = probe_node(k, side, &map->shards[i], &s->at[s->count++]);
    return err;
}

/* false: it is waited for. */
static bool map_is_there(struct link *k, enum lane_side side)
{
    const struct topology_map *map = topology_map(k->topologies[side]);
    const char *why = topology_reason(k->topologies[side]);

    if (map && map->covered)
        return true;
    if (map)
        why = "not every slot has a node that serves it";
    if (why[0])
        wait_for(k, side, &k->endpoints[side], why);
    timer_set(k->map_timer, MAP_LOOK_US);
    return false;
}

static void probe_side(struct link *k, enum lane_side side)
{
    release_side(k, side);
    link_follow_nodes(k, side);
    if (map_is_there(k, side) && probe_nodes(k, side, topology_map(k->topologies[side])) < 0)
        timer_set(k->again, LOOK_US);
}

void link_probe(struct link *k)
{
    for (enum lane_side side = LANE_SOURCE; side <= LANE_TARGET; side++) {
        link_want(k, side, true);
        probe_side(k, side);
    }
}

/* Those that are asked are those that there are. */
static bool is_present(const struct link *k, enum lane_side side)
{
    const struct probed_side *s = &k->probed[side];

    for (size_t i = 0; i < s->count; i++) {
        const struct link_node *n = link_node_find(k, side, s->at[i].endpoint.url.text);
        if (!n || !n->primary || !n->slots)
            return false;
    }
    return s->count > 0 && s->count == k->nodes[side].primaries;
}

void link_probe_map_changed(struct link *k, enum lane_side side)
{
    if (k->state == LINK_CONNECTING && !k->lanes && !k->stopping && !is_present(k, side))
        probe_side(k, side);
}

void link_map_fired(void *arg)
{
    struct link *k = arg;

    if (k->state != LINK_CONNECTING || k->lanes)
        return;
    for (enum lane_side side = LANE_SOURCE; side <= LANE_TARGET; side++)
        if (!k->probed[side].count && map_is_there(k, side))
            probe_side(k, side);
}

void link_probe_end(struct link *k)
{
    link_release_probes(k);
    timer_clear(k->again);
    timer_clear(k->map_timer);
    k->others_since_us = 0;
    k->former_waited = false;
}
