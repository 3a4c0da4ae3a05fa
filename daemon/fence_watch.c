/* After the commit: is it still fenced, on every node, new ones too? What is not is fenced again at once, and
 * then the writes that slipped in are counted.
 *
 * Each node is asked for itself: one that does not answer keeps no other waiting. */
#include "daemon/fence_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TICK_US   500000
#define SILENT_US 3000000 /* then the source cannot be looked at */

static bool is_on(const struct fence *f)
{
    return f->watching && state_of(f->opt.state)->cutover.fence != FENCE_NONE;
}

/* Telling. */

/* A replica that left and does not answer is nobody's concern; where only the pause holds writers back, no
 * replica is. */
static bool matters(const struct fence_node *n)
{
    if (n->primary)
        return true;
    return fence_record(n->fence)->fence != FENCE_HOLD && (n->online || n->ready);
}

static bool all_held(const struct fence *f)
{
    for (size_t i = 0; i < f->nnodes; i++) {
        if (matters(f->nodes[i]) && !f->nodes[i]->held)
            return false;
    }
    return true;
}

/* Since the commit, or since they were last told of. A source that was restarted counts from its start. */
static uint64_t count_writes(struct fence *f, const struct watch_sample *s)
{
    bool same = strcmp(f->base_run_id, s->id.run_id) == 0;
    uint64_t before = f->uncounted ? WATCH_UNKNOWN : same ? f->base_calls : 0, writes = WATCH_UNKNOWN;

    if (s->has_stats && s->write_calls != WATCH_UNKNOWN && before != WATCH_UNKNOWN &&
        s->write_calls >= before)
        writes = s->write_calls - before;
    f->uncounted = false;
    f->base_calls = s->has_stats ? s->write_calls : WATCH_UNKNOWN;
    snprintf(f->base_run_id, sizeof(f->base_run_id), "%s", s->id.run_id);
    return writes;
}

static void tell_lost(struct fence *f, uint64_t writes)
{
    f->lost_writes = writes;
    f->say_lost = true;
    f->was_lost = true;
    fence_tell(f);
}

void fence_count_from_commit(struct fence *f)
{
    const struct state_node *r = state_node_find(fence_record(f), fence_primary(f)->address);

    if (f->base_run_id[0] || !r)
        return;
    snprintf(f->base_run_id, sizeof(f->base_run_id), "%s", r->run_id);
    f->base_calls = r->write_calls;
}

void fence_tell_slipped(struct fence *f, const char *what)
{
    const struct watch_sample *s = fence_sample(f);
    uint64_t writes = s ? count_writes(f, s) : WATCH_UNKNOWN;

    if (writes == 0)
        return;
    snprintf(f->lost_what, sizeof(f->lost_what), "%s", what);
    tell_lost(f, writes);
}

static void settle(struct fence *f);

static void counted(struct fence *f, const char *unreadable)
{
    const struct watch_sample *s = fence_sample(f);

    f->counting = false;
    tell_lost(f, unreadable || !s ? WATCH_UNKNOWN : count_writes(f, s));
    settle(f);
}

static void collect_lost(struct fence *f, struct fence_node *n)
{
    size_t len = f->counting ? strlen(f->lost_what) : 0;

    snprintf(f->lost_what + len, sizeof(f->lost_what) - len, "%s%s: %s", len ? "; " : "", n->address,
             n->lost);
    n->lost[0] = '\0';
    if (f->counting)
        return;
    f->counting = true;
    fence_want_sample(f, counted);
}

static void settle(struct fence *f)
{
    f->is_held = all_held(f);
    if (f->is_held && f->uncounted && !f->counting && fence_sample(f))
        count_writes(f, fence_sample(f)); /* from here on */
    if (!f->is_held || !f->was_lost || f->counting)
        return;
    f->was_lost = false;
    f->say_again = true;
    fence_tell(f);
}

/* One node. */

static void tell_change(struct fence_node *n)
{
    struct log *log = n->fence->opt.log;
    bool known = n->id.run_id[0] != '\0';
    const struct log_field *fields = LOG_FIELDS(LOG_TEXT(ENDPOINT, "source"), LOG_TEXT(ADDRESS, n->address),
                                                LOG_TEXT(RUN_ID, n->seen.run_id));

    if (known && strcmp(n->id.run_id, n->seen.run_id) != 0)
        log_event_fields(log, EVENT_SOURCE_REPLACED, fields,
                         "the old source %s was restarted or replaced after the commit: run id %s",
                         n->address, n->seen.run_id);
    else if (known && n->id.role != n->seen.role)
        log_event_fields(log, EVENT_SOURCE_REPLACED, fields,
                         "the old source %s has become a %s after the commit", n->address,
                         server_role_name(n->seen.role));
    n->id = n->seen;
}

static void look_at_pause(struct fence_node *n)
{
    const struct fence_pause *p = &n->fence->pause;

    if (n->primary && !p->on && !p->ending) /* an end that was given up, and came late */
        fence_watch_lapsed(n->fence, "the pause had ended");
    if (n->primary && n->id.role != ROLE_PRIMARY)
        fence_node_done(n, -EPERM, "it has become a replica: writes do not wait at its primary");
    else if (n->primary && !fence_is_paused(n->fence))
        fence_node_done(n, -EAGAIN, "writes do not wait, or not surely");
    else
        fence_node_done(n, 0, "%s", "");
}

static void who_is_known(struct fence_node *n)
{
    const struct fence_hard *hard = fence_hard_of(fence_record(n->fence)->fence);

    struct state_node *r;
    int err = fence_record_node(n, n->seen.run_id, &r);
    if (err < 0) {
        fence_node_done(n, err, "it cannot be kept track of: %s", strerror(-err));
        return;
    }
    tell_change(n);
    if (hard)
        hard->look(n);
    else
        look_at_pause(n);
}

static void look_at(struct fence_node *n)
{
    fence_ask_who(n, who_is_known);
}

void fence_watch_node_done(struct fence_node *n)
{
    struct fence *f = n->fence;

    n->held = n->err == 0;
    n->answered_us = fence_now_us();
    if (n->err == 0 && n->lost[0])
        collect_lost(f, n);
    settle(f);
}

void fence_watch_lapsed(struct fence *f, const char *why)
{
    struct fence_node *n = fence_primary(f);

    snprintf(n->lost, sizeof(n->lost), "%s", why);
    n->held = f->is_held = false;
    fence_pause_ask(f, fence_record(f)->lease_ms * 1000, 0, NULL);
}

/* All of them. */

static void nudge(struct conn *c)
{
    if (conn_is_up(c))
        return;
    conn_hold(c, true);
    conn_hold(c, false);
}

static const struct fence_node *silent_node(const struct fence *f, uint64_t now)
{
    for (size_t i = 0; i < f->nnodes; i++) {
        const struct fence_node *n = f->nodes[i];
        if (!matters(n))
            continue;
        if (now - n->answered_us > SILENT_US || (n->err < 0 && n->err != -EAGAIN))
            return n;
    }
    return NULL;
}

static void tell_silence(struct fence *f)
{
    const struct fence_node *n = silent_node(f, fence_now_us());
    const char *why;

    if ((n != NULL) == f->unwatched)
        return;
    f->unwatched = n != NULL;
    if (!n) {
        f->say_watched = true;
    } else {
        why = n->err < 0 ? n->why : conn_why(n->conn);
        snprintf(f->unwatched_why, sizeof(f->unwatched_why), "%.80s: %.70s", n->address,
                 why[0] ? why : "no answer");
        f->say_unwatched = true;
    }
    fence_tell(f);
}

static void on_tick(void *arg)
{
    struct fence *f = arg;

    timer_set(f->tick, TICK_US);
    f->odd = !f->odd;
    for (size_t i = 0; i < f->nnodes; i++) {
        struct fence_node *n = f->nodes[i];
        nudge(n->conn);
        if (n->due || !f->odd)
            continue;
        n->due = true;
        if (n->ready)
            look_at(n);
    }
    if (f->watch)
        nudge(watch_conn(f->watch));
    tell_silence(f);
}

static bool is_primary_of(const struct fence_node *n, const struct endpoint *e)
{
    return e->url.host && strcmp(n->host, e->url.host) == 0 && n->endpoint.url.port == e->url.port;
}

/* Where it replicates from, should it have been demoted. */
static void follow_primary(struct fence *f, const struct server_id *id)
{
    struct watch_replica other = {.port = id->primary_port, .online = true};

    if (id->role != ROLE_REPLICA || !id->primary_port || f->opt.shard)
        return;
    snprintf(other.host, sizeof(other.host), "%s", id->primary_host);
    if (fence_nodes_follow(f, 1, &other, false) < 0)
        log_debug(f->opt.log, "%s cannot be watched", other.host);
}

static void look_at_new_ones(struct fence *f, size_t from)
{
    for (size_t i = from; i < f->nnodes; i++) {
        f->nodes[i]->due = true;
        f->nodes[i]->answered_us = fence_now_us();
    }
}

void fence_watch_sample(struct fence *f, const struct watch_sample *s)
{
    const struct watch_replica *replicas;
    size_t before = f->nnodes;

    if (!is_on(f))
        return;
    size_t n = fence_replicas(f, s, &replicas);
    for (size_t i = 1; i < f->nnodes; i++)
        f->nodes[i]->online = false;
    if (fence_nodes_follow(f, n, replicas, false) < 0)
        log_debug(f->opt.log, "not every replica of the source can be watched");
    follow_primary(f, &s->id);
    look_at_new_ones(f, before);
    if (!f->first_sample)
        return;
    f->first_sample = false;
    /* It may have ended while riotd was away, and been asked for anew since. */
    if (fence_record(f)->fence == FENCE_HOLD)
        fence_tell_slipped(f, "the pause had ended before it was renewed");
}

static void begin(struct fence *f)
{
    if (fence_nodes_from_record(f) < 0)
        log_debug(f->opt.log, "not every server of the record can be watched");
    if (fence_arm(f) < 0)
        f->armed = true;
    f->first_sample = !f->base_run_id[0];
    fence_count_from_commit(f);
    f->round = (struct fence_round){.begin = look_at, .retry = true};
    for (size_t i = 0; i < f->nnodes; i++) {
        f->nodes[i]->answered_us = fence_now_us();
        f->nodes[i]->err = 0;
    }
    f->odd = false;
    fence_want_sample(f, NULL);
    timer_set(f->tick, 0);
}

void fence_watch(struct fence *f, bool on)
{
    if (on == f->watching)
        return;
    f->watching = on;
    if (is_on(f)) {
        begin(f);
        return;
    }
    timer_clear(f->tick);
    if (!on) {
        f->counting = f->was_lost = f->unwatched = false;
        f->sampled = NULL;
        fence_round_end(f);
    }
}

bool fence_is_watching(const struct fence *f)
{
    return is_on(f);
}

bool fence_is_held(const struct fence *f)
{
    return is_on(f) && f->is_held;
}

/* Another primary. */

static int make_first(struct fence *f, const struct endpoint *source)
{
    size_t i = 0, before = f->nnodes;

    f->opt.source = source;
    for (; i < f->nnodes && !is_primary_of(f->nodes[i], source); i++)
        ;
    int err = i < f->nnodes ? 0 : fence_primary_new(f);
    if (err < 0)
        return err;
    struct fence_node *n = f->nodes[i];
    f->nodes[i] = f->nodes[0];
    f->nodes[0] = n;
    look_at_new_ones(f, before);
    return 0;
}

static void note_roles(struct fence *f, struct fence_node *former)
{
    struct state_node *r = state_node_find(fence_record(f), former->address);

    former->primary = false;
    fence_primary(f)->primary = true;
    if (r)
        r->primary = false;
    if (fence_record_node(fence_primary(f), "", &r) == 0)
        r->primary = true;
    if (fence_save(f) < 0)
        log_debug(f->opt.log, "that %s is a primary now is not written down", fence_primary(f)->address);
}

/* What the former one was asked for is not this one's; and what it took before cannot be told from what the
 * former one had told it. */
int fence_promote(struct fence *f, const struct endpoint *source)
{
    struct fence_node *former = fence_primary(f);
    const struct endpoint *before = f->opt.source;
    int err = make_first(f, source);

    if (err < 0) {
        f->opt.source = before;
        return err;
    }
    if (f->pause.on && former->ready)
        conn_reset(former->conn, "another one is the primary");
    former->ready = former->ready && !f->pause.on;
    fence_pause_drop(f);
    note_roles(f, former);
    f->watch = watch_free(f->watch);
    fence_want_sample(f, f->sampled);
    f->uncounted = true;
    f->first_sample = false;
    if (fence_record(f)->fence == FENCE_HOLD)
        fence_watch_lapsed(f, "it is the primary now, and writes did not wait there");
    return 0;
}

int fence_watch_init(struct fence *f)
{
    return timer_new(f->loop, on_tick, f, &f->tick);
}

void fence_watch_end(struct fence *f)
{
    f->tick = timer_free(f->tick);
}
