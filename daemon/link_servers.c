/* link_servers.c - who the servers of a link are, each time that another one answers, and whether a side has
 * lost what it had (CORRECTNESS 2). Each shard of the source is held against its own record, and all of them
 * against all where one is no longer there; deletions wait in all lanes until it is decided. */
#include "daemon/link_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/text.h"

static struct state_servers *remembered(struct link *k, enum lane_side side)
{
    struct state *s = state_of(k->file);
    return side == LANE_SOURCE ? &s->sources : &s->targets;
}

void link_hold(struct link *k, unsigned why, bool held)
{
    k->held = held ? k->held | why : k->held & ~why;
    if (k->lanes)
        lanes_hold_deletes(k->lanes, k->held != 0);
}

/* "the source", or "the source's 10.0.0.5:6379" where it has several. */
static void name_of(const struct link *k, enum lane_side side, const char *address, char *out, size_t cap)
{
    const char *name = k->endpoints[side].side;

    if (k->nodes[side].primaries > 1)
        snprintf(out, cap, "the %s's %.120s", name, address);
    else
        snprintf(out, cap, "the %s", name);
}

static unsigned slots_of(const struct link *k, enum lane_side side, const char *address)
{
    const struct link_node *n = link_node_find(k, side, address);
    return n ? n->slots : SLOTS;
}

static bool is_present(const struct link *k, enum lane_side side, const struct state_server *r)
{
    const struct link_node *n = link_node_find(k, side, r->address);
    return n && n->primary;
}

/* A source that shrank. */

/* Of a shard that is there no more, all together tell (look_at_total). */
static bool any_shrank(const struct link *k)
{
    const struct state_servers *sources = &state_of(k->file)->sources;

    for (size_t i = 0; i < sources->count; i++)
        if (sources->at[i].shrank && is_present(k, LANE_SOURCE, &sources->at[i]))
            return true;
    return k->total_shrank;
}

static bool any_in_doubt(const struct link *k)
{
    const struct state_servers *sources = &state_of(k->file)->sources;

    for (size_t i = 0; i < sources->count; i++)
        if (sources->at[i].in_doubt && is_present(k, LANE_SOURCE, &sources->at[i]))
            return true;
    return k->total_in_doubt;
}

static void PRINTF_LIKE(4, 5) block_shrunk(struct link *k, uint64_t was, uint64_t is, const char *format, ...)
{
    char had[TEXT_MAX], has[TEXT_MAX], who[200];
    va_list args;

    va_start(args, format);
    vsnprintf(who, sizeof(who), format, args);
    va_end(args);
    link_hold(k, HOLD_SHRANK, true);
    link_block(k, BLOCKER_SOURCE_SHRANK,
               "%s had %s keys when this link last saw it and has %s now: no key is deleted on the "
               "target until this is accepted",
               who, text_count(was, had), text_count(is, has));
}

static void unless_shrunk(struct link *k)
{
    if (any_shrank(k))
        return;
    link_hold(k, HOLD_SHRANK, false);
    link_unblock(k, BLOCKER_SOURCE_SHRANK);
}

static void look_at_shrinking(struct link *k, struct state_server *r, const char *address, size_t ndbs,
                              const struct watch_db *dbs)
{
    uint64_t was = interlocks_expected(k->config, r, slots_of(k, LANE_SOURCE, address));
    uint64_t is = interlocks_source_keys(k->config, ndbs, dbs);
    char name[160];

    r->shrank = interlocks_shrank(was, is);
    name_of(k, LANE_SOURCE, address, name, sizeof(name));
    if (r->shrank)
        block_shrunk(k, was, is, "%s", name);
    else
        unless_shrunk(k);
}

/* Those whose shards are there no more have given their slots to others, or are lost: of all together it can
 * be told once each shard has been read. */

/* UINT64_MAX: not all of them were read yet; or one does not tell how many keys it has, and none is missed.
 */
static uint64_t sum_present(const struct link *k)
{
    const struct link_nodes *nodes = &k->nodes[LANE_SOURCE];
    uint64_t sum = 0;

    for (size_t i = 0; i < nodes->count; i++) {
        const struct link_node *n = &nodes->at[i];
        const struct watch_sample *s = lanes_last_sample(k->lanes, LANE_SOURCE, n->address);
        if (!n->primary || !n->slots)
            continue;
        if (!s)
            return UINT64_MAX;
        sum = s->has_keyspace ? sum + interlocks_source_keys(k->config, s->ndbs, s->dbs) : UINT64_MAX - 1;
        if (!s->has_keyspace)
            return sum;
    }
    return sum;
}

static uint64_t sum_remembered(const struct link *k)
{
    const struct state_servers *sources = &state_of(k->file)->sources;
    uint64_t sum = 0;

    for (size_t i = 0; i < sources->count; i++)
        sum += interlocks_source_keys(k->config, sources->at[i].ndbs, sources->at[i].dbs);
    return sum;
}

static bool any_vanished(const struct link *k)
{
    const struct state_servers *sources = &state_of(k->file)->sources;

    for (size_t i = 0; i < sources->count; i++)
        if (!is_present(k, LANE_SOURCE, &sources->at[i]))
            return true;
    return false;
}

static void judge_total(struct link *k, uint64_t is)
{
    uint64_t was = sum_remembered(k);

    k->total_in_doubt = false;
    k->total_shrank = interlocks_shrank(was, is);
    link_hold(k, HOLD_VANISHED, false);
    if (k->total_shrank)
        block_shrunk(k, was, is, "the source%s",
                     k->nodes[LANE_SOURCE].cluster ? ", of which shards are no longer there," : "");
    else
        unless_shrunk(k);
}

/* What is found is put in its place only where the whole is known to be there. */
static void forget_vanished(struct link *k, enum lane_side side)
{
    struct state_servers *list = remembered(k, side);

    for (size_t i = list->count; i-- > 0;)
        if (!is_present(k, side, &list->at[i]))
            state_server_remove(list, &list->at[i]);
}

static void look_at_total(struct link *k)
{
    uint64_t is = k->total_in_doubt && k->nodes[LANE_SOURCE].covered ? sum_present(k) : UINT64_MAX;

    if (is != UINT64_MAX)
        judge_total(k, is);
}

void link_look_at_nodes(struct link *k)
{
    if (!state_of(k->file)->target_owned.owned || !any_vanished(k) || k->total_shrank)
        return;
    k->total_in_doubt = true;
    link_hold(k, HOLD_VANISHED, true);
    look_at_total(k);
}

/* Nothing that was found out in an earlier life of the link counts. */
void link_servers_begin(struct link *k)
{
    struct state *s = state_of(k->file);

    k->held = 0;
    k->total_in_doubt = k->total_shrank = k->census_pending = false;
    link_census_forget(k);
    for (size_t i = 0; i < s->sources.count; i++)
        s->sources.at[i].in_doubt = s->sources.at[i].shrank = false;
    for (size_t i = 0; i < s->targets.count; i++)
        s->targets.at[i].in_doubt = false;
}

/* As the link begins: riotd was away, so that each is held against its record. */

static void set_source(struct link *k, const char *address, const struct server_id *id)
{
    struct state_server *r = state_server_set(&state_of(k->file)->sources, address, id);

    if (r && !r->slots)
        r->slots = slots_of(k, LANE_SOURCE, address);
}

void link_first_source(struct link *k, const struct probed *p, bool was_owned)
{
    const char *address = p->endpoint.url.text;
    struct state_servers *sources = &state_of(k->file)->sources;
    struct state_server *r = state_server_find(sources, address, &p->probe.id);

    if (r && was_owned && p->probe.has_keyspace)
        look_at_shrinking(k, r, address, p->probe.ndbs, p->probe.dbs);
    set_source(k, address, &p->probe.id);
}

void link_look_at_total(struct link *k, bool was_owned)
{
    const struct probed_side *s = &k->probed[LANE_SOURCE];
    uint64_t is = 0;

    for (size_t i = 0; i < s->count; i++) {
        if (!s->at[i].probe.has_keyspace)
            return;
        is += interlocks_source_keys(k->config, s->at[i].probe.ndbs, s->at[i].probe.dbs);
    }
    if (was_owned && any_vanished(k))
        judge_total(k, is);
}

/* Whose the target is. */

static void own_target(struct link *k, const char *address, const struct server_id *id)
{
    struct state *s = state_of(k->file);
    const struct probe seen = {.id = *id};

    if (interlocks_owner(k->config, s, &seen) != OWNER_US)
        link_tell_owned(k, address);
    if (state_own_target(s, k->endpoints[LANE_TARGET].url.text, address, id) < 0)
        link_fail(k, BLOCKER_STATE_FILE, "it cannot be written down that %.150s is this link's: no memory",
                  address);
}

static bool any_suspect(const struct link *k)
{
    const struct state_servers *targets = &state_of(k->file)->targets;

    for (size_t i = 0; i < targets->count; i++)
        if (targets->at[i].in_doubt)
            return true;
    return false;
}

static void unless_suspect(struct link *k)
{
    if (any_suspect(k))
        return;
    k->census_pending = false;
    link_hold(k, HOLD_FOREIGN, false);
    link_unblock(k, BLOCKER_TARGET_FOREIGN);
}

/* Nothing is deleted there before the census has shown that it is ours. */
static void suspect_target(struct link *k)
{
    link_hold(k, HOLD_FOREIGN, true);
    if (k->config->existing_keys != EXISTING_MERGE) {
        k->census_pending = true;
        link_census_forget(k);
        return;
    }
    link_block(k, BLOCKER_TARGET_FOREIGN,
               "another server with keys answers at the target's address: no key is deleted there until this "
               "is accepted");
}

/* A cluster of which another node is ours: what this one has came from there, with its slots. */
static bool is_of_ours(const struct link *k, const char *address)
{
    const struct probed_side *probed = &k->probed[LANE_TARGET];
    const struct state_servers *targets = &state_of(k->file)->targets;

    if (!k->nodes[LANE_TARGET].cluster)
        return false;
    for (size_t i = 0; !k->lanes && i < probed->count; i++)
        if (interlocks_owner(k->config, state_of(k->file), &probed->at[i].probe) == OWNER_US)
            return true;
    for (size_t i = 0; k->lanes && i < targets->count; i++)
        if (strcmp(targets->at[i].address, address) != 0 && !targets->at[i].in_doubt &&
            is_present(k, LANE_TARGET, &targets->at[i]))
            return true;
    return false;
}

/* It is ours, or has nothing that could be somebody else's; or it may be another one than ours. */
static void take_target(struct link *k, const char *address, const struct probe *p)
{
    enum ownership owner = interlocks_owner(k->config, state_of(k->file), p);
    bool strange = owner == OWNER_SUSPECT || (owner == OWNER_OTHERS && k->lanes);
    bool suspect = strange && !is_of_ours(k, address);
    struct state_server *r = state_server_set(&state_of(k->file)->targets, address, &p->id);

    if (r)
        r->in_doubt = suspect;
    if (suspect)
        suspect_target(k);
    else
        own_target(k, address, &p->id);
}

void link_first_target(struct link *k, const struct probed *p)
{
    take_target(k, p->endpoint.url.text, &p->probe);
}

/* A server that the lanes do not know. */

static bool same_server(struct link *k, enum lane_side side, const struct server_id *id)
{
    enum lane_side other = side == LANE_SOURCE ? LANE_TARGET : LANE_SOURCE;
    const struct link_nodes *nodes = &k->nodes[other];

    for (size_t i = 0; id->run_id[0] && i < nodes->count; i++) {
        const struct watch_sample *peer = lanes_last_sample(k->lanes, other, nodes->at[i].address);
        if (!peer || strcmp(peer->id.run_id, id->run_id) != 0)
            continue;
        link_fail(k, BLOCKER_SAME_SERVER, "source and target have become the same server (run id %s)",
                  id->run_id);
        return true;
    }
    return false;
}

static void new_source(struct link *k, const char *address, const struct watch_sample *s)
{
    struct state *state = state_of(k->file);
    struct state_server *r = state_server_find(&state->sources, address, &s->id);

    if (r && r->run_id[0] && strcmp(r->run_id, s->id.run_id) != 0)
        link_tell_replaced(k, LANE_SOURCE, address, s->id.run_id, r->run_id);
    if (r)
        r->in_doubt = true;
    if (r && s->has_keyspace)
        look_at_shrinking(k, r, address, s->ndbs, s->dbs);
    set_source(k, address, &s->id);
    if (link_save(k) == 0)
        lanes_approve(k->lanes, LANE_SOURCE, address, s->id.run_id);
}

/* The process that was there is gone, and with it what its connections had under way; one that has moved may
 * live on. */
static void forget_connections(struct link *k, const struct state_server *was, const char *address)
{
    if (was && strcmp(was->address, address) == 0)
        state_connections_clear(state_of(k->file), STATE_TARGET, was->run_id);
}

static void new_target(struct link *k, const char *address, const struct watch_sample *s)
{
    struct state *state = state_of(k->file);
    const struct probe seen = {.id = s->id,
                               .databases = k->target_databases,
                               .has_keyspace = s->has_keyspace,
                               .ndbs = s->ndbs,
                               .dbs = s->dbs};
    const struct state_server *r = state_server_find(&state->targets, address, &s->id);

    if (s->id.role == ROLE_REPLICA)
        return; /* it takes no writes: waited for, with a condition of the lane's */
    if (!r || strcmp(r->run_id, s->id.run_id) != 0) {
        if (r)
            link_tell_replaced(k, LANE_TARGET, address, s->id.run_id, r->run_id);
        forget_connections(k, r, address);
    }
    take_target(k, address, &seen);
    unless_suspect(k);
    if (k->state != LINK_FAILED && link_save(k) == 0)
        lanes_approve(k->lanes, LANE_TARGET, address, s->id.run_id);
}

/* A replica that synchronises anew, or a changed role: the same process, and perhaps other data. Until the
 * link is live again, each reading is compared with what was there before. */
static void look_at_identity(struct link *k, const char *address, const struct watch_sample *s)
{
    struct state_server *was = state_server_find(&state_of(k->file)->sources, address, &s->id);

    if (!was)
        return;
    bool changed = strcmp(was->replid, s->id.replid) != 0 || was->role != s->id.role;
    if (!changed && !was->in_doubt)
        return;
    was->in_doubt = k->state != LINK_LIVE || changed || k->held;
    if (s->has_keyspace)
        look_at_shrinking(k, was, address, s->ndbs, s->dbs);
    if (changed)
        set_source(k, address, &s->id);
}

/* Without a run id nothing tells that the one behind the gap is the one before it. */
void link_doubt_source(struct link *k, const char *address)
{
    struct state_servers *sources = &state_of(k->file)->sources;

    for (size_t i = 0; i < sources->count; i++)
        if (!sources->at[i].run_id[0] && strcmp(sources->at[i].address, address) == 0)
            sources->at[i].in_doubt = true;
}

/* While nothing is in doubt, what is there now is what a later look is compared with; else the highest count
 * is. In memory: the file has it within 10 s. */
static void note_counts(struct link *k, enum lane_side side, const char *address,
                        const struct watch_sample *s)
{
    struct state_server *r = state_server_find(remembered(k, side), address, &s->id);
    unsigned slots = slots_of(k, side, address);

    if (!r || !s->has_keyspace)
        return;
    if (k->state == LINK_LIVE && !k->held && !(side == LANE_SOURCE && any_in_doubt(k))) {
        state_server_recount(r, s->ndbs, s->dbs);
        r->slots = slots;
    } else {
        state_server_count(r, s->ndbs, s->dbs);
        r->slots = MAX(r->slots, slots);
    }
    if (side == LANE_TARGET)
        r->role = s->id.role;
}

/* A primary that has lost its slots, or its place, has another one's data from then on: it is neither what is
 * remembered of it, nor the one to read from. */
static bool is_anothers_replica(const struct link *k, enum lane_side side, const struct watch_sample *s)
{
    return side == LANE_SOURCE && k->nodes[side].cluster && s->id.role == ROLE_REPLICA;
}

void link_sample(struct lane *l, enum lane_side side, const char *address, const struct watch_sample *s,
                 bool stranger, void *arg)
{
    struct link *k = arg;
    (void)l;

    if (s->loading || k->stopping || is_anothers_replica(k, side, s))
        return;
    if (!stranger) {
        if (side == LANE_SOURCE)
            look_at_identity(k, address, s);
        note_counts(k, side, address, s);
        look_at_total(k);
        if (side == LANE_SOURCE)
            link_place_keep(k, false);
        return;
    }
    if (same_server(k, side, &s->id))
        return;
    if (side == LANE_SOURCE)
        new_source(k, address, s);
    else
        new_target(k, address, s);
}

/* What is not told cannot be proved. */

/* Of one node: the others of a cluster are like it. */
static void find_untold(const struct link *k, enum lane_side side, char *out, size_t cap)
{
    bool evictions = side == LANE_TARGET && !k->config->allow_eviction;
    const struct link_nodes *nodes = &k->nodes[side];
    char name[160], untold[WATCH_UNTOLD_MAX] = "";

    for (size_t i = 0; i < nodes->count && !untold[0]; i++) {
        const struct watch_sample *s = lanes_last_sample(k->lanes, side, nodes->at[i].address);
        if (!s || !nodes->at[i].primary)
            continue;
        watch_untold(s, evictions, untold);
        name_of(k, side, nodes->at[i].address, name, sizeof(name));
    }
    if (untold[0])
        snprintf(out, cap, "INFO of %.80s does not tell %s", name, untold);
    else
        out[0] = '\0';
}

void link_look_at_info(struct link *k)
{
    char of[2][200], text[sizeof(k->trusted)];

    find_untold(k, LANE_SOURCE, of[LANE_SOURCE], sizeof(of[0]));
    find_untold(k, LANE_TARGET, of[LANE_TARGET], sizeof(of[0]));
    bool both = of[LANE_SOURCE][0] && of[LANE_TARGET][0], any = of[LANE_SOURCE][0] || of[LANE_TARGET][0];
    snprintf(text, sizeof(text), "%.120s%s%.120s: a cutover cannot prove what it shows", of[LANE_SOURCE],
             both ? "; " : "", of[LANE_TARGET]);
    if (any && k->config->feed != FEED_NONE && strcmp(text, k->trusted) != 0)
        link_block(k, BLOCKER_THIN_INFO, "%s", text);
    else
        link_unblock(k, BLOCKER_THIN_INFO);
}

/* What a person accepts, or the census has shown. */

/* Written down as ours only now, so that a restart of riotd in between asks again. */
void link_trust_target(struct link *k)
{
    struct state_servers *targets = &state_of(k->file)->targets;
    struct server_id id;

    for (size_t i = 0; i < targets->count; i++) {
        if (!targets->at[i].in_doubt)
            continue;
        targets->at[i].in_doubt = false;
        state_server_id(&targets->at[i], &id);
        own_target(k, targets->at[i].address, &id);
    }
    unless_suspect(k);
    if (link_save(k) < 0)
        return; /* it has failed by now, and said so */
}

/* What the source has is right as it is, and is what a later look is compared with. */
void link_trust_source(struct link *k)
{
    struct state_servers *sources = &state_of(k->file)->sources;

    forget_vanished(k, LANE_SOURCE);
    for (size_t i = 0; i < sources->count; i++) {
        struct state_server *r = &sources->at[i];
        const struct watch_sample *last = lanes_last_sample(k->lanes, LANE_SOURCE, r->address);
        if (last && last->has_keyspace) {
            state_server_recount(r, last->ndbs, last->dbs);
            r->slots = slots_of(k, LANE_SOURCE, r->address);
        }
    }
    if (link_save(k) < 0)
        return;
    for (size_t i = 0; i < sources->count; i++)
        sources->at[i].in_doubt = sources->at[i].shrank = false;
    k->total_shrank = k->total_in_doubt = false;
    link_hold(k, HOLD_VANISHED, false);
    unless_shrunk(k);
}

void link_remember(struct link *k)
{
    if (!k->lanes)
        return;
    if (k->state == LINK_LIVE && !k->held && !any_in_doubt(k) && k->nodes[LANE_SOURCE].covered) {
        forget_vanished(k, LANE_SOURCE);
        forget_vanished(k, LANE_TARGET);
    }
    if (link_save(k) < 0)
        return; /* it has failed by now, and said so */
}
