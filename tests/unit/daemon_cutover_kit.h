/* daemon_cutover_kit.h - a cutover between fakes: the fence, the link and its lane, spot, verify and the
 * state file are here, answer from the loop, and write down what was asked of them. One of them can be made
 * to fail, or to be silent.
 */
#ifndef DAEMON_CUTOVER_KIT_H
#define DAEMON_CUTOVER_KIT_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cutover.h"
#include "lib/verify/spot.h"

#define TRACE_MAX 4096
#define LATE_US   20000000

struct later {
    void (*fn)(void *arg); /* of a drain */
    fence_fn *fence_fn;
    lane_sealed_fn *sealed_fn;
    void (*flags_fn)(bool put_back, void *arg);
    verification_fn *verified_fn;
    void *arg;
    const char *op;
};

static struct kit {
    struct loop *loop;
    struct config *config;
    struct log *log;
    struct operations *ops;
    struct cutover *cutover;
    struct timer *pump, *guard;
    struct later later[16];
    size_t nlater;
    char trace[TRACE_MAX];
    char events[TRACE_MAX];

    /* what goes wrong */
    const char *fails, *hangs; /* an operation of the trace */
    char failure[32];          /* why; the fences' own, and gone with them */
    int err;
    enum cutover_stage save_fails; /* while this is the stage: STAGE_NONE means none */
    bool save_unknown;
    bool commit_stalls; /* for longer than the pause lasts */
    const char *when;   /* as this operation is answered, ... */
    void (*then)(void); /* ... this happens before */

    /* the world */
    struct state state;
    struct fence_events fence_ev;
    void *fence_arg;
    struct fence_report report;
    struct fence_node_report nodes[2];
    struct watch_sample sample, target_sample;
    const char *changed; /* of the source's shape; NULL: nothing */
    bool late_sample;    /* after a reading was judged, a newer one differs */
    bool paused;
    uint64_t lease_left_us, hold_lease_ms;
    enum link_state link_state;
    struct lane_generation generation;
    uint64_t lag_ms, copied_keys;
    bool has_lane;
    const char *copied_from; /* run id */
    int seal_busy;           /* so often, it is not yet possible */
    struct spot_events spot_ev;
    void *spot_arg;
    struct spot_report spot;
    int spot_mended_after; /* runs; 0: never */
    int spot_runs;
    struct verify_report verify;
    const struct verify_report *last_verify;
    bool verify_runs;
    struct endpoint endpoints[2];

    /* how it ended */
    bool ended;
    struct operation op;
} k;

static void trace(const char *what)
{
    size_t at = strlen(k.trace);
    snprintf(k.trace + at, sizeof(k.trace) - at, "%s%s", at ? " " : "", what);
}

static void queue(struct later l)
{
    trace(l.op);
    if (k.hangs && strcmp(k.hangs, l.op) == 0)
        return;
    ck_assert_uint_lt(k.nlater, 16);
    k.later[k.nlater++] = l;
    timer_set(k.pump, 0);
}

static bool forget_op(const char *op)
{
    bool found = false;

    for (size_t i = 0; i < k.nlater;) {
        if (strcmp(k.later[i].op, op) != 0) {
            i++;
            continue;
        }
        memmove(&k.later[i], &k.later[i + 1], (k.nlater - i - 1) * sizeof(k.later[0]));
        k.nlater--;
        found = true;
    }
    return found;
}

static void answer(const struct later *l)
{
    bool fails = k.fails && strcmp(k.fails, l->op) == 0;
    int err = fails ? k.err : 0;
    const char *why = fails ? k.failure : "";

    if (fails)
        snprintf(k.failure, sizeof(k.failure), "it was made to fail");

    if (k.when && strcmp(k.when, l->op) == 0) {
        k.when = NULL;
        k.then();
    }
    if (l->fence_fn) {
        if (strcmp(l->op, "pause") == 0)
            k.paused = !err;
        if (strcmp(l->op, "lift") == 0 && (!err || err == -EEXIST))
            k.paused = false;
        l->fence_fn(err, why, l->arg);
        if (k.late_sample && strcmp(l->op, "read") == 0)
            k.sample.rdb_changes++;
    } else if (l->sealed_fn) {
        l->sealed_fn(err, why, l->arg);
    } else if (l->flags_fn) {
        l->flags_fn(!fails, l->arg);
    } else if (l->verified_fn) {
        k.verify_runs = false;
        l->verified_fn(&k.verify, l->arg);
    } else {
        l->fn(l->arg);
    }
}

static void pump(void *arg)
{
    (void)arg;
    if (!k.nlater)
        return;
    struct later first = k.later[0];
    memmove(&k.later[0], &k.later[1], --k.nlater * sizeof(k.later[0]));
    if (k.nlater)
        timer_set(k.pump, 0);
    answer(&first);
}

/* The fence. */

static char fence_memory;
int fences_new(struct loop *l, const struct fences_options *opt, const struct fence_events *ev, void *arg,
               struct fences **ret)
{
    (void)l;
    ck_assert_ptr_eq(opt->source, &k.endpoints[0]);
    k.fence_ev = *ev;
    k.fence_arg = arg;
    *ret = (struct fences *)(void *)&fence_memory;
    return 0;
}

struct fences *fences_free(struct fences *f)
{
    if (f)
        trace("free");
    k.failure[0] = '\0';
    return NULL;
}

static void queue_fence(const char *op, fence_fn *fn, void *arg)
{
    queue((struct later){.fence_fn = fn, .arg = arg, .op = op});
}
void fences_probe(struct fences *f, fence_fn *fn, void *arg)
{
    (void)f;
    queue_fence("probe", fn, arg);
}
void fences_report(const struct fences *f, struct fence_report *ret)
{
    (void)f;
    *ret = k.report;
}
void fences_pause(struct fences *f, uint64_t lease_ms, uint64_t bound_ms, fence_fn *fn, void *arg)
{
    (void)f;
    ck_assert_uint_le(lease_ms, bound_ms);
    queue_fence("pause", fn, arg);
}
uint64_t fences_paused_us(const struct fences *f)
{
    (void)f;
    return k.paused ? 1000 : 0;
}
uint64_t fences_lease_left_us(const struct fences *f)
{
    (void)f;
    return k.paused ? k.lease_left_us : 0;
}
bool fences_is_paused(const struct fences *f)
{
    (void)f;
    return k.paused;
}
void fences_hold_lease(struct fences *f, uint64_t lease_ms)
{
    (void)f;
    k.hold_lease_ms = lease_ms;
}
void fences_set(struct fences *f, enum fence_kind kind, fence_fn *fn, void *arg)
{
    (void)f;
    if (kind == FENCE_HOLD)
        k.state.cutover.lease_ms = k.hold_lease_ms;
    if (state_save(NULL) < 0) {
        k.fails = "set";
        k.err = -EIO;
    }
    queue_fence("set", fn, arg);
}
void fences_prove(struct fences *f, fence_fn *fn, void *arg)
{
    (void)f;
    queue_fence("prove", fn, arg);
}
void fences_read(struct fences *f, fence_fn *fn, void *arg)
{
    (void)f;
    queue_fence("read", fn, arg);
}
const struct watch_sample *fences_sample(const struct fences *f, size_t i)
{
    (void)f, (void)i;
    return &k.sample;
}
size_t fences_count(const struct fences *f)
{
    (void)f;
    return 1;
}
const struct endpoint *fences_endpoint(const struct fences *f, size_t i)
{
    (void)f, (void)i;
    return &k.endpoints[0];
}
const struct server_id *fences_id(const struct fences *f, size_t i)
{
    (void)f, (void)i;
    return &k.report.id;
}
const char *fences_changed(const struct fences *f)
{
    (void)f;
    return k.changed;
}
int fences_note(struct fences *f)
{
    struct state_node *n;
    (void)f;
    return state_node_add(&k.state.cutover, "a:1", k.report.id.run_id, true, &n);
}
void fences_note_commit(struct fences *f, size_t i, uint64_t write_calls)
{
    (void)f, (void)i;
    if (k.state.cutover.nnodes)
        k.state.cutover.nodes[0].write_calls = write_calls;
}
/* Ends what is under way. */
void fences_lift(struct fences *f, fence_fn *fn, void *arg)
{
    static const char *const others[] = {"probe", "pause", "set", "prove", "read"};
    (void)f;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        forget_op(others[i]);
    queue_fence("lift", fn, arg);
}
void fences_release(struct fences *f, uint64_t hold_lease_ms, fence_fn *fn, void *arg)
{
    (void)f, (void)hold_lease_ms;
    queue_fence("release", fn, arg);
}
void fences_watch(struct fences *f, bool on)
{
    (void)f;
    trace(on ? "watch" : "unwatch");
}
bool fences_is_held(const struct fences *f)
{
    (void)f;
    return true;
}
void fences_end_hold(struct fences *f, bool force, fence_fn *fn, void *arg)
{
    (void)f, (void)force;
    queue_fence("end_hold", fn, arg);
}

/* The link and its lane. */

static char lane_memory;
struct lanes *link_lanes(struct link *l)
{
    (void)l;
    return k.has_lane ? (struct lanes *)(void *)&lane_memory : NULL;
}
int link_into_db(const struct link *l)
{
    (void)l;
    return URL_DB_NONE;
}
struct topology *link_topology(const struct link *l, enum lane_side side)
{
    (void)l, (void)side;
    return NULL;
}
const struct endpoint *link_endpoint(const struct link *l, enum lane_side side)
{
    (void)l;
    return &k.endpoints[side];
}
void link_each_primary(const struct link *l, enum lane_side side,
                       void (*fn)(enum lane_side side, const char *address, void *arg), void *arg)
{
    (void)l;
    fn(side, k.endpoints[side].url.text, arg);
}
int *link_dbs(const struct link *l, size_t *ret_n)
{
    (void)l;
    *ret_n = 1;
    return calloc(1, sizeof(int));
}
int link_cutover(struct link *l, char why[LINK_WHY_MAX])
{
    (void)l;
    trace("cutover");
    if (k.link_state != LINK_LIVE) {
        snprintf(why, LINK_WHY_MAX, "the link is not live");
        return -EPERM;
    }
    k.link_state = LINK_CUTOVER;
    return 0;
}
void link_cutover_undone(struct link *l, const char *reason)
{
    (void)l, (void)reason;
    trace("undone");
    if (k.link_state == LINK_CUTOVER)
        k.link_state = LINK_LIVE;
}
void link_committed(struct link *l, const char *reason)
{
    (void)l, (void)reason;
    trace("committed");
    ck_assert_int_eq(k.state.cutover.stage, STAGE_COMMITTED);
    k.link_state = LINK_COMMITTED;
    k.has_lane = false;
}
void link_finished(struct link *l, const char *reason)
{
    (void)l, (void)reason;
    trace("finished");
    k.link_state = LINK_FINISHED;
}
void link_cutover_failed(struct link *l, const char *text)
{
    (void)l, (void)text;
    trace("link_failed");
    k.link_state = LINK_FAILED;
}
int link_put_back(struct link *l, uint64_t bound_us, void (*fn)(bool put_back, void *arg), void *arg)
{
    (void)l, (void)bound_us;
    queue((struct later){.flags_fn = fn, .arg = arg, .op = "put_back"});
    return 0;
}
void link_begin(struct link *l)
{
    (void)l;
    trace("begin");
    k.link_state = LINK_CONNECTING;
    loop_stop(k.loop);
}
void link_begin_after_cutover(struct link *l, bool undoing, const char *reason)
{
    (void)l, (void)reason;
    trace(undoing ? "after_undoing" : "after_commit");
    k.link_state = undoing                                   ? LINK_CUTOVER
                   : k.state.cutover.stage == STAGE_FINISHED ? LINK_FINISHED
                                                             : LINK_COMMITTED;
}
enum link_state link_state(const struct link *l)
{
    (void)l;
    return k.link_state;
}
void link_status(struct link *l, struct link_status *ret)
{
    (void)l;
    memset(ret, 0, sizeof(*ret));
    ret->state = k.link_state;
    ret->reason = "";
    ret->has_lane = k.has_lane;
    ret->lane.phase = LANE_LIVE;
    ret->lane.lag_ms = k.lag_ms;
    ret->lane.copied_keys = k.copied_keys;
    ret->lane.feed.kind = FEED_TRACKING;
}
int link_drain(struct link *l, void (*fn)(void *arg), void *arg)
{
    (void)l;
    queue((struct later){.fn = fn, .arg = arg, .op = "drain"});
    return 0;
}
void link_drain_cancel(struct link *l, void *arg)
{
    (void)l, (void)arg;
    forget_op("drain");
    trace("cancel");
}
int lanes_settle(struct lanes *l, void (*fn)(void *arg), void *arg)
{
    (void)l;
    queue((struct later){.fn = fn, .arg = arg, .op = "settle"});
    return 0;
}
void lanes_drain_cancel(struct lanes *l, void *arg)
{
    (void)l, (void)arg;
    forget_op("settle");
    trace("cancel");
}
void lanes_generation(const struct lanes *l, struct lane_generation *ret)
{
    (void)l;
    *ret = k.generation;
}
const struct watch_sample *lanes_last_sample(const struct lanes *l, enum lane_side side, const char *address)
{
    (void)l, (void)address;
    ck_assert_int_eq(side, LANE_TARGET);
    return &k.target_sample;
}
const char *lanes_approved(const struct lanes *l, enum lane_side side, const char *address)
{
    (void)l, (void)address;
    return side == LANE_SOURCE ? k.copied_from : "run2";
}
void lanes_retry(struct lanes *l)
{
    (void)l;
    trace("retry");
}
void lanes_each_recent(const struct lanes *l, bool (*fn)(int db, struct bytes key, void *arg), void *arg)
{
    (void)l;
    ck_assert(fn(0, BYTES("newest"), arg));
}
int lanes_seal(struct lanes *l, const struct lane_confirm *confirm, lane_sealed_fn *fn, void *arg)
{
    (void)l;
    ck_assert_uint_eq(confirm->replicas, 2);
    if (k.seal_busy > 0) {
        k.seal_busy--;
        return -EBUSY;
    }
    queue((struct later){.sealed_fn = fn, .arg = arg, .op = "seal"});
    return 0;
}
void lanes_unseal(struct lanes *l)
{
    (void)l;
    forget_op("seal");
    trace("unseal");
}

/* Comparing. */

static char spot_memory;
static unsigned spot_approvals; /* a bit for each side */
static void spot_is_done(void *arg)
{
    (void)arg;
    k.spot_ev.done(&k.spot, k.spot_arg);
}
static void spot_comes_up(void *arg)
{
    (void)arg;
    ck_assert_uint_eq(spot_approvals, 3);
    k.spot_ev.up(k.spot_arg);
}
int spot_new(struct loop *l, const struct compare_options *opt, size_t names_max,
             const struct spot_events *ev, void *arg, struct spot **ret)
{
    (void)l, (void)names_max, (void)opt;
    spot_approvals = 0;
    k.spot_ev = *ev;
    k.spot_arg = arg;
    *ret = (struct spot *)(void *)&spot_memory;
    queue((struct later){.fn = spot_comes_up, .op = "spot"});
    return 0;
}
void spot_approve(struct spot *s, int side, const char *address, const char *run_id)
{
    (void)s, (void)address;
    ck_assert(side == 0 || strcmp(run_id, "run2") == 0);
    spot_approvals |= 1u << side;
}
struct spot *spot_free(struct spot *s)
{
    (void)s;
    return NULL;
}
bool spot_is_up(const struct spot *s)
{
    (void)s;
    return true;
}
bool spot_add(struct spot *s, int db, struct bytes key)
{
    (void)s, (void)db, (void)key;
    return true;
}
int spot_gather(struct spot *s, int db, unsigned n, void (*fn)(void *arg), void *arg)
{
    (void)s, (void)db, (void)n;
    queue((struct later){.fn = fn, .arg = arg, .op = "gather"});
    return 0;
}
int spot_run(struct spot *s, uint64_t budget_us)
{
    (void)s, (void)budget_us;
    if (++k.spot_runs == k.spot_mended_after)
        memset(k.spot.drift, 0, sizeof(k.spot.drift));
    queue((struct later){.fn = spot_is_done, .op = "spot_run"});
    return 0;
}
void spot_close(struct spot *s)
{
    (void)s;
    forget_op("spot_run");
    forget_op("gather");
    forget_op("spot");
}
const struct verify_report *verification_last(const struct verification *v)
{
    (void)v;
    return k.last_verify;
}
bool verification_runs(const struct verification *v)
{
    (void)v;
    return k.verify_runs;
}
int verification_run(struct verification *v, const struct verification_options *opt, char why[LINK_WHY_MAX],
                     verification_fn *fn, void *arg)
{
    (void)v, (void)why;
    ck_assert_int_eq(opt->db, -1);
    k.verify_runs = true;
    queue((struct later){.verified_fn = fn, .arg = arg, .op = "verify"});
    return 0;
}
int verification_stop(struct verification *v, char why[LINK_WHY_MAX])
{
    (void)v, (void)why;
    k.verify_runs = false;
    forget_op("verify");
    trace("verify_stop");
    return 0;
}

/* The state file. */

struct state *state_of(struct state_file *f)
{
    (void)f;
    return &k.state;
}
const char *state_file_path(const struct state_file *f)
{
    (void)f;
    return "/state/test.json";
}
int state_save(struct state_file *f)
{
    char text[32];
    (void)f;
    snprintf(text, sizeof(text), "save:%s", cutover_stage_name(k.state.cutover.stage));
    trace(text);
    if (k.commit_stalls && k.state.cutover.stage == STAGE_COMMITTED)
        k.paused = false;
    return k.save_fails != STAGE_NONE && k.state.cutover.stage == k.save_fails ? -EIO : 0;
}
bool state_save_unknown(const struct state_file *f)
{
    (void)f;
    return k.save_unknown;
}
uint64_t state_save_us(const struct state_file *f)
{
    (void)f;
    return 1000;
}

/* The kit. */

static void operation_ended(const struct operation *op, void *arg)
{
    (void)arg;
    k.ended = true;
    k.op = *op;
    loop_stop(k.loop);
}

static void too_late(void *arg)
{
    (void)arg;
    ck_abort_msg("it did not end: %s", k.trace);
}

static void tapped(const struct log_entry *e, void *arg)
{
    size_t at = strlen(k.events);
    (void)arg;
    if (strcmp(e->event, "cutover_step") == 0)
        snprintf(k.events + at, sizeof(k.events) - at, "%s:%s ", e->fields[0].text, e->fields[1].text);
    else
        snprintf(k.events + at, sizeof(k.events) - at, "%s ", e->event);
}

static void kit_world(void)
{
    struct server_id id = {.role = ROLE_PRIMARY, .run_id = "run1", .replid = "repl1", .version = "7.0.15"};

    k.has_lane = true;
    k.copied_from = "run1";
    k.link_state = LINK_LIVE;
    k.report.id = k.sample.id = id;
    k.report.can_pause = true;
    for (int i = 0; i < FENCE_KINDS; i++)
        k.report.kinds[i].allowed = true;
    k.report.chosen = FENCE_ACL;
    k.report.nnodes = 1;
    k.nodes[0].primary = k.nodes[0].reached = true;
    k.report.nodes = k.nodes;
    k.sample.has_stats = true;
    k.target_sample.nreplicas = 2;
    k.lease_left_us = 1000000;
    k.spot.names = k.spot.compared = k.spot.equal = 3;
    k.verify.verdict = VERIFY_CLEAN;
}

static void kit_make(void)
{
    const struct config_flag flags[] = {{"source.url", "--source", "redis://s"},
                                        {"target.url", "--target", "redis://t"},
                                        {"target.wait_replicas", "--wait-replicas", "2"}};
    const struct operations_events events = {operation_ended};
    struct log_options log_opt = {.level = SINK_DEBUG, .fd = open("/dev/null", O_WRONLY)};
    struct config_errors errors = {0};
    char why[URL_WHY_MAX];

    memset(&k, 0, sizeof(k));
    kit_world();
    ck_assert_int_eq(config_load(&(struct config_inputs){NULL, flags, 3}, &errors, &k.config), 0);
    ck_assert_int_eq(url_parse("redis://s", &k.endpoints[0].url, why), 0);
    ck_assert_int_eq(url_parse("redis://t", &k.endpoints[1].url, why), 0);
    ck_assert_int_eq(log_new(&log_opt, &k.log), 0);
    log_tap(k.log, tapped, NULL);
    ck_assert_int_eq(loop_new(&k.loop), 0);
    ck_assert_int_eq(timer_new(k.loop, pump, NULL, &k.pump), 0);
    ck_assert_int_eq(timer_new(k.loop, too_late, NULL, &k.guard), 0);
    ck_assert_int_eq(operations_new(&events, NULL, &k.ops), 0);
    ck_assert_int_eq(cutover_new(k.loop, k.config, NULL, NULL, k.ops, NULL, k.log, &k.cutover), 0);
}

static void kit_free(void)
{
    cutover_free(k.cutover);
    state_nodes_clear(&k.state.cutover);
    operations_free(k.ops);
    timer_free(k.pump);
    timer_free(k.guard);
    loop_free(k.loop);
    log_free(k.log);
    config_free(k.config);
    url_free(&k.endpoints[0].url);
    url_free(&k.endpoints[1].url);
}

/* Fast ones; a test changes what it is about. */
static struct cutover_options kit_options(void)
{
    struct cutover_options opt;

    cutover_defaults(&opt);
    opt.stable_for_ms = 0;
    opt.max_write_pause_ms = 300;
    opt.quiet_for_ms = 100;
    opt.gate_timeout_ms = 400;
    return opt;
}

static void kit_run(void)
{
    timer_set(k.guard, LATE_US);
    ck_assert_int_eq(loop_run(k.loop), 0);
    timer_clear(k.guard);
}

static void kit_start(const struct cutover_options *opt)
{
    char why[LINK_WHY_MAX];
    uint64_t id;

    k.ended = false;
    ck_assert_int_eq(cutover_start(k.cutover, opt, why, &id), 0);
    ck_assert_uint_ne(id, 0);
}

static void kit_cutover(const struct cutover_options *opt)
{
    kit_start(opt);
    kit_run();
    ck_assert(k.ended);
}

/* How it ended, with what in its text. */
static void kit_is(const char *result, enum ctl_exit code, const char *text)
{
    ck_assert_msg(k.op.exit_code == code && strcmp(k.op.result, result) == 0, "exit %d, %s: %s; %s",
                  k.op.exit_code, k.op.result, k.op.text, k.trace);
    ck_assert_msg(strstr(k.op.text, text) != NULL, "\"%s\" is not in: %s", text, k.op.text);
}

static void kit_traced(const char *end)
{
    size_t len = strlen(k.trace), n = strlen(end);
    ck_assert_msg(len >= n && strcmp(k.trace + len - n, end) == 0, "it does not end in %s: %s", end, k.trace);
}

#endif
