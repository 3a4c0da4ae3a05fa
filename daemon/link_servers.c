/* link_servers.c - who the servers of a link are: before it begins, and each time that another one answers.
 */
#include "daemon/link_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/core/text.h"

#define OTHERS_LINGER_US 10000000 /* a dead riotd's connections may be seen for as long */
#define OTHERS_LOOK_US   1000000

static struct state_server *remembered(struct link *k, enum lane_side side)
{
    struct state *s = state_of(k->file);
    return side == LANE_SOURCE ? &s->source : &s->target;
}

void link_hold(struct link *k, unsigned why, bool held)
{
    k->held = held ? k->held | why : k->held & ~why;
    if (k->lane)
        lane_hold_deletes(k->lane, k->held != 0);
}

/* Probing. */

static int keep_probe(struct link *k, enum lane_side side, const struct probe *p)
{
    struct watch_db *dbs = malloc(MAX(p->ndbs, (size_t)1) * sizeof(*dbs));
    if (!dbs)
        return -ENOMEM;
    if (p->ndbs)
        memcpy(dbs, p->dbs, p->ndbs * sizeof(*dbs));
    free(k->probes[side].dbs);
    k->probes[side] = *p;
    k->probes[side].dbs = dbs;
    k->probed[side] = true;
    return 0;
}

void link_release_probes(struct link *k)
{
    for (size_t i = 0; i < ARRAY_LEN(k->probes); i++) {
        k->probers[i] = prober_free(k->probers[i]);
        free(k->probes[i].dbs);
        k->probes[i] = (struct probe){0};
        k->probed[i] = false;
        k->waiting[i].text[0] = '\0';
        k->waiting[i].code = NULL;
    }
}

static void wait_with(struct link *k, enum lane_side side, const char *code, uint64_t since_us,
                      const char *text)
{
    uint64_t passed_us = loop_now_us(k->loop) - since_us;

    k->waiting[side].code = code;
    k->waiting[side].since_ms = clock_wall_ms() - (int64_t)(passed_us / 1000);
    snprintf(k->waiting[side].text, sizeof(k->waiting[side].text), "%s", text);
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
            link_tell_waiting(k, LANE_TARGET, f[i].message);
        }
        if (now_us - k->others_since_us >= OTHERS_LINGER_US)
            return false;
        snprintf(text, sizeof(text), "%.150s; waiting for it to go", f[i].message);
        wait_with(k, LANE_TARGET, blockers[BLOCKER_OTHER_RIOTD].code, k->others_since_us, text);
        timer_set(k->again, OTHERS_LOOK_US);
        return true;
    }
    k->others_since_us = 0;
    return false;
}

/* An earlier process wrote there, and neither its connection's id is known nor may the clients be listed:
 * what it may still have in the server's socket buffer is waited for (R2). */
static bool wait_for_former(struct link *k)
{
    const struct state *s = state_of(k->file);
    const struct probe *target = &k->probes[LANE_TARGET];
    bool known = target->client_list_allowed;

    for (size_t i = 0; i < s->nconnections; i++)
        known |= s->connections[i].side == STATE_TARGET &&
                 strcmp(s->connections[i].run_id, target->id.run_id) == 0;
    if (known || k->former_waited || !s->target_owned.owned)
        return false;
    k->former_waited = true;
    wait_with(
        k, LANE_TARGET, "former_connection", loop_now_us(k->loop),
        "what an earlier riotd may have under way there cannot be looked up: waiting until it must be over");
    link_tell_waiting(k, LANE_TARGET, k->waiting[LANE_TARGET].text);
    timer_set(k->again, 2000ull * k->endpoints[LANE_TARGET].timeout_ms);
    return true;
}

static void look_at_shrinking(struct link *k, size_t ndbs, const struct watch_db *dbs)
{
    char was[TEXT_MAX], is[TEXT_MAX];
    struct state *s = state_of(k->file);

    if (!interlocks_shrank(k->config, s, ndbs, dbs)) {
        link_hold(k, HOLD_SHRANK, false);
        link_unblock(k, BLOCKER_SOURCE_SHRANK);
        return;
    }
    text_count(interlocks_keys(k->config, false, s->source.ndbs, s->source.dbs), was);
    text_count(interlocks_keys(k->config, false, ndbs, dbs), is);
    link_hold(k, HOLD_SHRANK, true);
    link_block(k, BLOCKER_SOURCE_SHRANK,
               "the source had %s keys when this link last saw it and has %s now: no key is deleted on the "
               "target until "
               "this is accepted",
               was, is);
}

static void own_target(struct link *k, const struct server_id *id)
{
    struct state *s = state_of(k->file);
    struct server_id before;

    state_owned_id(&s->target_owned, &before);
    if (!s->target_owned.owned || !server_same_history(&before, id))
        link_tell_owned(k);
    state_own_target(s, k->endpoints[LANE_TARGET].url.text, id);
}

/* It is ours, or has nothing that could be somebody else's. */
static void clear_target(struct link *k, const struct server_id *id)
{
    k->census_pending = false;
    link_hold(k, HOLD_FOREIGN, false);
    link_unblock(k, BLOCKER_TARGET_FOREIGN);
    own_target(k, id);
}

/* A target that may be another one than ours: nothing is deleted there before the census has shown that it is
 * ours. */
static void suspect_target(struct link *k)
{
    link_hold(k, HOLD_FOREIGN, true);
    if (k->config->existing_keys != EXISTING_MERGE) {
        k->census_pending = true;
        return;
    }
    link_block(k, BLOCKER_TARGET_FOREIGN,
               "another server with keys answers at the target's address: no key is deleted there until this "
               "is accepted");
}

static void warn_of_what_cannot_be_seen(struct link *k)
{
    if (!k->probes[LANE_TARGET].client_list_allowed)
        log_event_fields(
            k->log, EVENT_CONFIG_WARNING, LOG_FIELDS(LOG_TEXT(ENDPOINT, "target")),
            "the target refuses CLIENT LIST: another riotd that writes there cannot be seen, and "
            "a lost connection cannot be shown to be dead; allow it with ACL SETUSER ... "
            "+client|list +client|kill");
}

static void accept_servers(struct link *k)
{
    struct state *s = state_of(k->file);
    const struct probe *source = &k->probes[LANE_SOURCE], *target = &k->probes[LANE_TARGET];
    enum ownership owner = interlocks_owner(k->config, s, target);

    k->held = 0;
    k->census_pending = false;
    link_tell_servers(k);
    warn_of_what_cannot_be_seen(k);
    if (s->target_owned.owned && source->has_keyspace)
        look_at_shrinking(k, source->ndbs, source->dbs);
    if (s->target_owned.owned && k->config->existing_keys == EXISTING_MERGE)
        link_block(k, BLOCKER_DELETIONS_UNKNOWN,
                   "keys that the source deleted while riotd was away cannot be told from the target's own");
    if (owner == OWNER_SUSPECT)
        suspect_target(k);
    else
        clear_target(k, &target->id);
    state_server_set(&s->source, k->endpoints[LANE_SOURCE].url.text, &source->id);
    state_server_set(&s->target, k->endpoints[LANE_TARGET].url.text, &target->id);
    if (link_save(k) == 0)
        link_lane_ready(k);
}

static void both_probed(struct link *k)
{
    struct finding f[INTERLOCKS_MAX];
    size_t n = interlocks(k->config, state_of(k->file), &k->probes[LANE_SOURCE], &k->probes[LANE_TARGET], f);

    if (wait_for_others(k, f, n))
        return;
    for (size_t i = 1; i < n; i++)
        link_block(k, f[i].blocker, "%s", f[i].message);
    if (n)
        link_fail(k, f[0].blocker, "%s", f[0].message);
    else if (!wait_for_former(k))
        accept_servers(k);
}

static enum lane_side side_of(const struct link *k, const struct prober *p)
{
    return p == k->probers[LANE_SOURCE] ? LANE_SOURCE : LANE_TARGET;
}

static void probe_done(struct prober *p, const struct probe *result, void *arg)
{
    struct link *k = arg;
    enum lane_side side = side_of(k, p);

    k->waiting[side].text[0] = '\0';
    if (keep_probe(k, side, result) < 0) {
        timer_set(k->again, OTHERS_LOOK_US);
        return;
    }
    if (k->probed[LANE_SOURCE] && k->probed[LANE_TARGET])
        both_probed(k);
}

static void probe_waiting(struct prober *p, const char *why, void *arg)
{
    struct link *k = arg;
    enum lane_side side = side_of(k, p);

    if (!k->waiting[side].text[0]) {
        k->waiting[side].since_ms = clock_wall_ms();
        link_tell_waiting(k, side, why);
    }
    k->waiting[side].code = bytes_starts(bytes_str(why), "certificate: ") ? "certificate" : NULL;
    snprintf(k->waiting[side].text, sizeof(k->waiting[side].text), "%s", why);
}

void link_probe(struct link *k)
{
    static const struct prober_events events = {.done = probe_done, .waiting = probe_waiting};

    link_release_probes(k);
    for (size_t i = 0; i < ARRAY_LEN(k->probers); i++)
        if (prober_new(k->loop, &k->endpoints[i], true, &events, k, &k->probers[i]) < 0)
            timer_set(k->again, OTHERS_LOOK_US);
}

void link_probe_end(struct link *k)
{
    link_release_probes(k);
    timer_clear(k->again);
    k->others_since_us = 0;
    k->former_waited = false;
}

/* A server that the lane does not know. */

static bool same_server(struct link *k, enum lane_side side, const struct server_id *id)
{
    const struct watch_sample *peer =
        lane_last_sample(k->lane, side == LANE_SOURCE ? LANE_TARGET : LANE_SOURCE);

    if (!id->run_id[0] || !peer || strcmp(peer->id.run_id, id->run_id) != 0)
        return false;
    link_fail(k, BLOCKER_SAME_SERVER, "source and target have become the same server (run id %s)",
              id->run_id);
    return true;
}

static void new_source(struct link *k, const struct watch_sample *s)
{
    struct state *state = state_of(k->file);
    bool known = state->source.run_id[0] != '\0' && strcmp(state->source.run_id, s->id.run_id) != 0;

    if (known)
        link_tell_replaced(k, LANE_SOURCE, s->id.run_id, state->source.run_id);
    k->source_in_doubt = true;
    if (s->has_keyspace)
        look_at_shrinking(k, s->ndbs, s->dbs);
    state_server_set(&state->source, k->endpoints[LANE_SOURCE].url.text, &s->id);
    if (link_save(k) == 0)
        lane_approve(k->lane, LANE_SOURCE, s->id.run_id);
}

static void new_target(struct link *k, const struct watch_sample *s)
{
    struct state *state = state_of(k->file);
    struct probe seen = {.id = s->id, .has_keyspace = s->has_keyspace, .ndbs = s->ndbs, .dbs = s->dbs};

    if (s->id.role == ROLE_REPLICA)
        return; /* it takes no writes: waited for, with a condition of the lane's */
    if (strcmp(state->target_owned.run_id, s->id.run_id) != 0)
        link_tell_replaced(k, LANE_TARGET, s->id.run_id, state->target_owned.run_id);
    enum ownership owner = interlocks_owner(k->config, state, &seen);
    if (owner == OWNER_SUSPECT || owner == OWNER_OTHERS)
        suspect_target(k);
    else
        clear_target(k, &s->id);
    state_server_set(&state->target, k->endpoints[LANE_TARGET].url.text, &s->id);
    state_connections_clear(state, STATE_TARGET);
    if (link_save(k) == 0)
        lane_approve(k->lane, LANE_TARGET, s->id.run_id);
}

/* A replica that synchronises anew, or a changed role: the same process, and perhaps other data. Until the
 * link is live again, each reading is compared with what was there before. */
static void look_at_identity(struct link *k, const struct watch_sample *s)
{
    struct state_server *was = &state_of(k->file)->source;
    bool changed = strcmp(was->replid, s->id.replid) != 0 || was->role != s->id.role;

    if (!changed && !k->source_in_doubt)
        return;
    k->source_in_doubt = k->state != LINK_LIVE || changed || k->held;
    if (s->has_keyspace)
        look_at_shrinking(k, s->ndbs, s->dbs);
    if (changed)
        state_server_set(was, k->endpoints[LANE_SOURCE].url.text, &s->id);
}

/* While nothing is in doubt, what is there now is what a later look is compared with; else the highest count
 * is. In memory: the file has it within 10 s. */
static void note_counts(struct link *k, enum lane_side side, const struct watch_sample *s)
{
    struct state_server *r = remembered(k, side);

    if (!s->has_keyspace)
        return;
    if (k->state == LINK_LIVE && !k->held && !(side == LANE_SOURCE && k->source_in_doubt))
        state_server_recount(r, s->ndbs, s->dbs);
    else
        state_server_count(r, s->ndbs, s->dbs);
    if (side == LANE_TARGET)
        r->role = s->id.role;
}

void link_sample(struct lane *l, enum lane_side side, const struct watch_sample *s, bool stranger, void *arg)
{
    struct link *k = arg;
    (void)l;

    if (s->loading || k->stopping)
        return;
    if (!stranger) {
        if (side == LANE_SOURCE)
            look_at_identity(k, s);
        note_counts(k, side, s);
        return;
    }
    if (same_server(k, side, &s->id))
        return;
    if (side == LANE_SOURCE)
        new_source(k, s);
    else
        new_target(k, s);
}

/* Written down as ours only now, so that a restart of riotd in between asks again. */
void link_trust_target(struct link *k)
{
    const struct watch_sample *last = lane_last_sample(k->lane, LANE_TARGET);

    if (last)
        clear_target(k, &last->id);
    if (link_save(k) < 0)
        return; /* it has failed by now, and said so */
}

/* What the source has is right as it is, and is what a later look is compared with. */
void link_trust_source(struct link *k)
{
    const struct watch_sample *last = lane_last_sample(k->lane, LANE_SOURCE);

    if (last && last->has_keyspace)
        state_server_recount(&state_of(k->file)->source, last->ndbs, last->dbs);
    if (link_save(k) < 0)
        return;
    k->source_in_doubt = false;
    link_hold(k, HOLD_SHRANK, false);
    link_unblock(k, BLOCKER_SOURCE_SHRANK);
}

void link_census(struct lane *l, uint64_t seen, uint64_t missing, void *arg)
{
    struct link *k = arg;
    char would[TEXT_MAX], all[TEXT_MAX];
    (void)l;

    if (!k->census_pending)
        return;
    k->census_pending = false;
    if (missing <= seen / 2) {
        link_trust_target(k);
        return;
    }
    link_block(k, BLOCKER_TARGET_FOREIGN,
               "another server answers at the target's address, and %s of its %s keys are not on the source: "
               "none is "
               "deleted until this is accepted",
               text_count(missing, would), text_count(seen, all));
}

void link_remember(struct link *k)
{
    if (k->lane && link_save(k) < 0)
        return; /* it has failed by now, and said so */
}
