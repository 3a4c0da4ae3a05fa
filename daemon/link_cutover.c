/* link_cutover.c - what verify and the cutover need of the link: its lane and its servers; and the states
 * from cutover on. */
#include "daemon/link_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lanes *link_lanes(struct link *k)
{
    return k->stopping ? NULL : k->lanes;
}

struct topology *link_topology(const struct link *k, enum lane_side side)
{
    return k->topologies[side];
}

void link_each_primary(const struct link *k, enum lane_side side,
                       void (*fn)(enum lane_side side, const char *address, void *arg), void *arg)
{
    const struct topology_map *m = topology_map(k->topologies[side]);

    for (size_t i = 0; m && i < m->nshards; i++) {
        struct endpoint e;
        if (topology_endpoint(k->topologies[side], &m->shards[i].primary, &e) < 0)
            continue; /* memory is out */
        fn(side, e.url.text, arg);
        endpoint_node_clear(&e);
    }
}

int link_into_db(const struct link *k)
{
    return k->into_db;
}

const struct endpoint *link_endpoint(const struct link *k, enum lane_side side)
{
    return &k->endpoints[side];
}

int *link_dbs(const struct link *k, size_t *ret_n)
{
    const struct config_databases *scope = &k->config->scope;

    if (k->lanes)
        return lanes_dbs(k->lanes, ret_n);
    size_t n = scope->all ? 0 : scope->count;
    int *dbs = calloc(MAX(n, (size_t)1), sizeof(*dbs));
    if (!dbs)
        return NULL;
    if (n)
        memcpy(dbs, scope->at, n * sizeof(*dbs));
    *ret_n = n;
    return dbs;
}

/* What the other verbs may do. */

int link_refuse_in_cutover(char why[LINK_WHY_MAX])
{
    return link_refuse(why, -EBUSY, "a cutover is under way: wait for its end, or: riotctl abort");
}

int link_cutover_allows_start(struct link *k, bool anew, char why[LINK_WHY_MAX])
{
    if (k->in_cutover)
        return link_refuse_in_cutover(why);
    /* It would copy the old source over what was written since, and forget what is fenced. */
    if (anew && k->state == LINK_COMMITTED)
        return link_refuse(why, -EPERM,
                           "the link is committed: the target owns the data, and the old source is watched. "
                           "First: riotctl finish");
    if (anew || state_of(k->file)->cutover.stage < STAGE_COMMITTED)
        return 0;
    if (k->state == LINK_COMMITTED || k->state == LINK_FINISHED)
        return link_refuse(why, -EPERM,
                           "the link is %s: the target owns the data. A new link onto it needs a new name, "
                           "or, once it is finished: riotctl start --anew",
                           link_state_name(k->state));
    return link_refuse(why, -EPERM,
                       "whether a cutover was committed is not known, and the source is fenced: see riotctl "
                       "status, then: riotctl finish --unfence, or riotctl start --anew");
}

int link_may_stop(const struct link *k, char why[LINK_WHY_MAX])
{
    if (k->in_cutover)
        return link_refuse_in_cutover(why);
    if (k->state == LINK_COMMITTED || k->state == LINK_FINISHED)
        return link_refuse(why, -EPERM, "the link is %s: nothing is copied any more",
                           link_state_name(k->state));
    return 0;
}

/* What was fenced stays so, and nobody looks after it any more. */
static void tell_what_stays_fenced(struct link *k, const struct state_cutover *c)
{
    char text[LINK_WHY_MAX] = "";
    size_t at = 0;

    if (c->unfenced || c->fence == FENCE_NONE)
        return;
    for (size_t i = 0; i < c->nnodes; i++)
        for (size_t j = 0; j < c->nodes[i].nsettings && at < sizeof(text); j++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s on %s", at ? ", " : "",
                                   c->nodes[i].settings[j].name, c->nodes[i].address);
    log_event_at(k->log, EVENT_FENCE_LEFT_ALONE, SINK_WARNING,
                 LOG_FIELDS(LOG_TEXT(FENCE, fence_names[c->fence])),
                 "a new link begins: what the former one fenced (%s) stays as it is, and is forgotten: %s",
                 fence_names[c->fence], c->fence == FENCE_HOLD ? "its pause ends with its lease" : text);
}

/* What it may be asked to forget is taken out, so that it can be put back. What is still to be undone is not
 * forgotten. */
static struct state take_out(struct state *s)
{
    struct state out = *s;

    s->target_owned = (struct state_owned){.owned = false};
    s->sources = s->targets = (struct state_servers){.count = 0};
    if (s->cutover.stage >= STAGE_COMMITTED)
        s->cutover = (struct state_cutover){.stage = STAGE_NONE};
    return out;
}

static void drop(struct state *out)
{
    state_servers_clear(&out->target_owned.servers);
    state_servers_clear(&out->sources);
    state_servers_clear(&out->targets);
}

int link_forget(struct link *k, char why[LINK_WHY_MAX])
{
    struct state *s = state_of(k->file), before = take_out(s);
    bool committed = before.cutover.stage >= STAGE_COMMITTED;

    state_reset(s);
    s->desired = DESIRED_RUNNING;
    int err = state_save(k->file);
    if (err) {
        *s = before;
        return link_refuse(why, -EIO, "the state file %s cannot be written: %s", state_file_path(k->file),
                           strerror(-err));
    }
    if (committed) {
        tell_what_stays_fenced(k, &before.cutover);
        state_nodes_clear(&before.cutover);
    }
    drop(&before);
    return 0;
}

/* The cutover's states. */

static int refuse_blocked(const struct link *k, char why[LINK_WHY_MAX])
{
    for (size_t i = 0; i < BLOCKER_COUNT; i++)
        if (k->blockers[i].on)
            return link_refuse(why, -EPERM, "%s: %s. %s", blockers[i].code, k->blockers[i].message,
                               blockers[i].hint);
    return 0;
}

/* What a server refuses it will not take from the application either. A server that is away for a moment is
 * for the gate. */
static int refuse_refused(const struct lane_status *status, char why[LINK_WHY_MAX])
{
    static const enum lane_condition refusals[] = {LANE_SOURCE_REFUSES, LANE_TARGET_REFUSES};

    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (status->conditions[refusals[i]].on)
            return link_refuse(why, -EPERM, "%s: %s", lane_condition_code(refusals[i]),
                               status->conditions[refusals[i]].text);
    return 0;
}

int link_cutover(struct link *k, char why[LINK_WHY_MAX])
{
    struct lane_status status;

    if (k->in_cutover)
        return link_refuse(why, -EBUSY, "a cutover is under way already");
    if (!link_lanes(k) || k->state != LINK_LIVE)
        return link_refuse(why, -EPERM, "the link is %s: a cutover begins in live",
                           link_state_name(k->state));
    if (state_of(k->file)->cutover.stage != STAGE_NONE)
        return link_refuse(why, -EPERM, "the state file tells of another cutover that has not ended");
    lanes_status(k->lanes, &status);
    link_refresh_blockers(k, &status);
    int err = refuse_blocked(k, why);
    if (!err)
        err = refuse_refused(&status, why);
    if (err)
        return err;
    if (status.gap_pending || k->held)
        return link_refuse(why, -EPERM, "%s",
                           k->held ? "deletions wait, until it is known whose the keys are"
                                   : "changes were missed, and a resync is about to begin");
    k->in_cutover = true;
    link_set_state(k, LINK_CUTOVER, "a cutover began");
    link_limits_changed(k);
    return 0;
}

void link_cutover_undone(struct link *k, const char *reason)
{
    struct lane_status status;

    k->in_cutover = false;
    if (k->lanes)
        lanes_unseal(k->lanes);
    if (k->state != LINK_CUTOVER)
        return;
    if (!k->lanes) {
        link_begin(k);
        return;
    }
    lanes_status(k->lanes, &status);
    link_set_state(k, link_state_of_phase(status.gap_pending ? LANE_GAP : status.phase, status.round), "%s",
                   reason);
    link_limits_changed(k);
}

static void leave_cutover(struct link *k, enum link_state next, const char *reason)
{
    k->in_cutover = false;
    if (k->lanes)
        link_drop_lane(k);
    link_set_state(k, next, "%s", reason);
}

void link_committed(struct link *k, const char *reason)
{
    leave_cutover(k, LINK_COMMITTED, reason);
}

/* Twice, where the fence is taken away later: then the reason alone is new. */
void link_finished(struct link *k, const char *reason)
{
    leave_cutover(k, LINK_FINISHED, reason);
    snprintf(k->reason, sizeof(k->reason), "%s", reason);
}

void link_cutover_failed(struct link *k, const char *text)
{
    link_block(k, BLOCKER_FENCED, "%s", text);
    leave_cutover(k, LINK_FAILED, k->blockers[BLOCKER_FENCED].message);
}

void link_begin_after_cutover(struct link *k, bool undoing, const char *reason)
{
    if (undoing) {
        k->in_cutover = true;
        link_set_state(k, LINK_CUTOVER, "%s", reason);
    } else if (state_of(k->file)->cutover.stage == STAGE_FINISHED) {
        link_finished(k, reason);
    } else {
        link_committed(k, reason);
    }
}

/* Notify flags. */

struct link_put_back;

struct put_back_node {
    struct link_put_back *all;
    struct endpoint endpoint;
    char run_id[RUN_ID_MAX];
    struct conn *conn;
    struct putback putback;
    bool begun, ok;
};

struct link_put_back {
    struct link *link;
    size_t count, due;
    struct put_back_node *at;
    struct defer later;
    void (*fn)(bool put_back, void *arg);
    void *arg;
};

static void end_node(struct put_back_node *n)
{
    if (n->begun)
        putback_cancel(&n->putback);
    conn_free(n->conn);
    if (n->begun)
        putback_end(&n->putback);
    endpoint_node_clear(&n->endpoint);
}

void link_put_back_end(struct link *k)
{
    struct link_put_back *p = k->put_back;

    k->put_back = NULL;
    if (!p)
        return;
    defer_cancel(k->loop, &p->later);
    for (size_t i = 0; i < p->count; i++)
        end_node(&p->at[i]);
    free(p->at);
    free(p);
}

/* What is put back and not known to be is asked for again; the other way round it would be forgotten. */
static bool clear_records(struct link_put_back *p)
{
    struct link *k = p->link;
    bool all = true;

    for (size_t i = 0; i < p->count; i++) {
        if (p->at[i].ok)
            state_notify_remove(state_of(k->file), p->at[i].run_id);
        all &= p->at[i].ok;
    }
    int err = state_save(k->file);
    if (err)
        log_event(k->log, EVENT_NOTIFY_RECORD,
                  "notify-keyspace-events of the source is put back, but that cannot be written down: %s",
                  strerror(-err));
    return all && !err;
}

static void put_back_over(void *arg)
{
    struct link_put_back *p = arg;
    struct link *k = p->link;
    void (*fn)(bool put_back, void *arg) = p->fn;
    void *fn_arg = p->arg;
    bool ok = clear_records(p);

    link_put_back_end(k);
    fn(ok, fn_arg);
}

/* The conversation and its connection are on the stack. */
static void put_back_done(bool ok, void *arg)
{
    struct put_back_node *n = arg;
    struct link_put_back *p = n->all;

    n->ok = ok;
    if (--p->due == 0)
        loop_defer(p->link->loop, &p->later, put_back_over, p);
}

/* Where the record says that it was changed. */
static int endpoint_of(const struct link *k, const char *address, struct endpoint *ret)
{
    char why[URL_WHY_MAX];
    struct url u;
    bool elsewhere = url_parse(address, &u, why) == 0;
    bool tcp = elsewhere && u.host;
    int err = endpoint_node(&k->endpoints[LANE_SOURCE], tcp ? u.host : NULL, tcp ? u.port : 0, ret);

    if (elsewhere)
        url_free(&u);
    return err;
}

static int put_back_node(struct link_put_back *p, const struct state_notify *record, uint64_t bound_us)
{
    static const struct conn_events events = {0};
    struct link *k = p->link;
    struct put_back_node *n = &p->at[p->count];
    struct conn_options opt = {.endpoint = &n->endpoint,
                               .role = "putback",
                               .in_max = 64 * KIB,
                               .out_max = 64 * KIB,
                               .out_high = 64 * KIB,
                               .fenced = true};

    n->all = p;
    snprintf(n->run_id, sizeof(n->run_id), "%s", record->record.run_id);
    int err = endpoint_of(k, record->address, &n->endpoint);
    if (err)
        return err;
    p->count++;
    err = putback_init(&n->putback, k->loop, log_sink(k->log));
    n->begun = !err;
    if (!err)
        err = conn_new(k->loop, &opt, &events, NULL, &n->conn);
    if (!err)
        putback_start(&n->putback, n->conn, &record->record, MAX(bound_us / 1000, (uint64_t)1), put_back_done,
                      n);
    return err;
}

static int put_back_begin(struct link_put_back *p, uint64_t bound_us)
{
    const struct state *s = state_of(p->link->file);
    int err = 0;

    p->at = calloc(MAX(s->nnotify, (size_t)1), sizeof(*p->at));
    if (!p->at)
        return -ENOMEM;
    p->due = s->nnotify;
    if (!p->due)
        loop_defer(p->link->loop, &p->later, put_back_over, p);
    for (size_t i = 0; i < s->nnotify && !err; i++)
        err = put_back_node(p, &s->notify[i], bound_us);
    return err;
}

int link_put_back(struct link *k, uint64_t bound_us, void (*fn)(bool put_back, void *arg), void *arg)
{
    if (k->put_back)
        return -EBUSY;
    struct link_put_back *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    *p = (struct link_put_back){.link = k, .fn = fn, .arg = arg};
    k->put_back = p;
    int err = put_back_begin(p, bound_us);
    if (err)
        link_put_back_end(k);
    return err;
}
