/* The fences of three shards as one: the fences themselves, and the topology, are fakes. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "daemon/fences.h"
#include "lib/core/loop.h"

#define SHARDS 3
#define NEVER  1 /* an err that is none */

struct fence {
    struct fence_options opt;
    struct fence_events ev;
    void *arg;
    fence_fn *fn, *read_fn;
    void *fn_arg, *read_arg;
    char op[16], address[32], has[32];
    bool watched, demoted, empty, gone, held;
};

static struct {
    struct loop *loop;
    struct log *log;
    struct state_file *state;
    struct endpoint source;
    struct topology_map map;
    struct shard shards[SHARDS + 1];
    struct topology_listener *listener;
    unsigned wanted;
    struct fences *fences;
    struct fence *made[8]; /* in the order in which they were */
    size_t nmade;
    struct fence_report report[SHARDS];
    struct fence_node_report node;
    uint64_t lease[SHARDS], paused[SHARDS];
    int err;
    char why[1200];
    unsigned lapsed, lost, again, unwatched, watched, lifted;
    char text[400];
} k;

/* The fakes. */

int fence_new(struct loop *l, const struct fence_options *opt, const struct fence_events *ev, void *arg,
              struct fence **ret)
{
    struct fence *f = calloc(1, sizeof(*f));
    (void)l;
    f->opt = *opt;
    f->ev = *ev;
    f->arg = arg;
    snprintf(f->address, sizeof(f->address), "%.20s:%u", opt->source->url.host, opt->source->url.port);
    k.made[k.nmade++] = *ret = f;
    return 0;
}
struct fence *fence_free(struct fence *f)
{
    for (size_t i = 0; i < k.nmade; i++)
        if (k.made[i] == f)
            k.made[i] = NULL;
    free(f);
    return NULL;
}
static void asked(struct fence *f, const char *op, fence_fn *fn, void *arg)
{
    snprintf(f->op, sizeof(f->op), "%s", op);
    f->fn = fn;
    f->fn_arg = arg;
}
static size_t index_of(const struct fence *f)
{
    size_t i = 0;
    while (k.made[i] != f)
        i++;
    return i;
}
void fence_probe(struct fence *f, fence_fn *fn, void *arg)
{
    asked(f, "probe", fn, arg);
}
void fence_report(const struct fence *f, struct fence_report *ret)
{
    *ret = k.report[index_of(f)];
}
void fence_choose(struct fence_report *r)
{
    r->chosen = r->kinds[FENCE_ACL].allowed ? FENCE_ACL : FENCE_HOLD;
}
int fence_note(struct fence *f)
{
    struct state_node *n;
    int err = state_node_add(&state_of(k.state)->cutover, f->address, "", true, &n);
    n->shard = f->opt.shard;
    return err;
}
void fence_pause(struct fence *f, uint64_t lease_ms, uint64_t bound_ms, fence_fn *fn, void *arg)
{
    ck_assert_uint_eq(lease_ms, 10);
    ck_assert_uint_eq(bound_ms, 20);
    asked(f, "pause", fn, arg);
}
bool fence_is_paused(const struct fence *f)
{
    return k.lease[index_of(f)] > 0;
}
uint64_t fence_lease_left_us(const struct fence *f)
{
    return k.lease[index_of(f)];
}
uint64_t fence_paused_us(const struct fence *f)
{
    return k.paused[index_of(f)];
}
void fence_hold_lease(struct fence *f, uint64_t lease_ms)
{
    (void)f, (void)lease_ms;
}
void fence_set(struct fence *f, enum fence_kind kind, fence_fn *fn, void *arg)
{
    ck_assert_int_eq(kind, FENCE_ACL);
    asked(f, "set", fn, arg);
}
void fence_prove(struct fence *f, fence_fn *fn, void *arg)
{
    asked(f, "prove", fn, arg);
}
void fence_read(struct fence *f, fence_fn *fn, void *arg)
{
    f->read_fn = fn;
    f->read_arg = arg;
}
const struct watch_sample *fence_sample(const struct fence *f)
{
    (void)f;
    return NULL;
}
void fence_lift(struct fence *f, fence_fn *fn, void *arg)
{
    f->read_fn = NULL;
    asked(f, "lift", fn, arg);
}
void fence_demoted(struct fence *f)
{
    f->demoted = true;
}
void fence_release(struct fence *f, uint64_t hold_lease_ms, fence_fn *fn, void *arg)
{
    (void)hold_lease_ms;
    asked(f, "release", fn, arg);
}
void fence_watch(struct fence *f, bool on)
{
    f->watched = on;
}
bool fence_is_held(const struct fence *f)
{
    return f->held;
}
int fence_promote(struct fence *f, const struct endpoint *source)
{
    snprintf(f->address, sizeof(f->address), "%.20s:%u", source->url.host, source->url.port);
    return 0;
}
bool fence_has(const struct fence *f, const char *address)
{
    return strcmp(f->has, address) == 0;
}
void fence_drop(struct fence *f, const char *address)
{
    ck_assert_str_eq(f->has, address);
    f->has[0] = '\0';
}
const char *fence_address(const struct fence *f)
{
    return f->address;
}
void fence_end_hold(struct fence *f, bool force, fence_fn *fn, void *arg)
{
    (void)force;
    asked(f, "end_hold", fn, arg);
}
bool fence_hold_is_empty(const struct fence *f)
{
    return f->empty;
}
void fence_hold_go(struct fence *f)
{
    f->gone = true;
}

void topology_want(struct topology *t, bool wanted)
{
    (void)t;
    k.wanted += wanted ? 1 : -1u;
}
const struct topology_map *topology_map(const struct topology *t)
{
    (void)t;
    return k.map.version ? &k.map : NULL;
}
void topology_listen(struct topology *t, struct topology_listener *who)
{
    (void)t;
    k.listener = who;
}
void topology_unlisten(struct topology *t, struct topology_listener *who)
{
    (void)t;
    ck_assert_ptr_eq(k.listener, who);
    k.listener = NULL;
}

/* What it says. */

static void on_lapsed(const char *why, void *arg)
{
    (void)arg;
    k.lapsed++;
    snprintf(k.text, sizeof(k.text), "%s", why);
}
static void on_lost(const char *what, uint64_t writes, void *arg)
{
    (void)what, (void)writes, (void)arg;
    k.lost++;
}
static void on_again(void *arg)
{
    (void)arg;
    k.again++;
}
static void on_unwatched(const char *why, void *arg)
{
    (void)arg;
    k.unwatched += why != NULL;
    k.watched += why == NULL;
}
static void on_lifted(int err, const char *why, void *arg)
{
    (void)arg;
    k.lifted++;
    k.err = err;
    snprintf(k.why, sizeof(k.why), "%s", why);
}
static void on_answer(int err, const char *why, void *arg)
{
    (void)arg;
    ck_assert_int_eq(k.err, NEVER); /* once */
    k.err = err;
    snprintf(k.why, sizeof(k.why), "%s", why);
}

/* The world. */

static void set_primary(size_t i, unsigned port)
{
    k.shards[i].primary.port = (uint16_t)port;
    snprintf(k.shards[i].primary.host, sizeof(k.shards[i].primary.host), "h");
    k.map.version++;
}

static void open_fences(struct topology *t)
{
    static const struct fence_events events = {.lapsed = on_lapsed,
                                               .lost = on_lost,
                                               .again = on_again,
                                               .unwatched = on_unwatched,
                                               .lifted = on_lifted};
    const struct fences_options opt = {.source = &k.source, .topology = t, .state = k.state, .log = k.log};

    k.nmade = 0;
    ck_assert_int_eq(fences_new(k.loop, &opt, &events, NULL, &k.fences), 0);
}

static struct topology *some_topology(void)
{
    return (struct topology *)(void *)&k;
}

static void make(void)
{
    const struct log_options log = {.link = "x", .level = SINK_DEBUG, .fd = open("/dev/null", O_WRONLY)};
    char why[ENDPOINT_WHY_MAX];

    memset(&k, 0, sizeof(k));
    ck_assert_int_eq(endpoint_make(&k.source, "redis://h:7000", NULL, NULL, why), 0);
    ck_assert_int_eq(log_new(&log, &k.log), 0);
    ck_assert_int_eq(loop_new(&k.loop), 0);
    ck_assert_int_eq(state_file_blank(&k.state), 0);
    k.map = (struct topology_map){.cluster = true, .covered = true, .nshards = SHARDS, .shards = k.shards};
    for (unsigned i = 0; i < SHARDS; i++) {
        set_primary(i, 7000 + i);
        k.report[i] = (struct fence_report){.can_pause = true, .nnodes = 1, .nodes = &k.node};
        k.report[i].view =
            (struct fence_view){.known = true, .slots = SLOTS / 4 * (i ? 1 : 2), .owners = SHARDS, .map = 7};
        for (int kind = 0; kind < FENCE_KINDS; kind++)
            k.report[i].kinds[kind].allowed = true;
    }
    open_fences(some_topology());
    ck_assert_uint_eq(k.wanted, 1);
}

static void end(void)
{
    k.fences = fences_free(k.fences);
    ck_assert_uint_eq(k.wanted, 0);
    ck_assert_ptr_null(k.listener);
    state_file_free(k.state);
    loop_free(k.loop);
    log_free(k.log);
    endpoint_clear(&k.source);
}

static void answer(size_t i, const char *op, int err, const char *why)
{
    struct fence *f = k.made[i];
    fence_fn *fn = f->fn;

    ck_assert_str_eq(f->op, op);
    f->fn = NULL;
    fn(err, why, f->fn_arg);
}

static void ask(const char *op)
{
    k.err = NEVER;
    if (strcmp(op, "probe") == 0)
        fences_probe(k.fences, on_answer, NULL);
    else if (strcmp(op, "pause") == 0)
        fences_pause(k.fences, 10, 20, on_answer, NULL);
    else if (strcmp(op, "set") == 0)
        fences_set(k.fences, FENCE_ACL, on_answer, NULL);
    else if (strcmp(op, "prove") == 0)
        fences_prove(k.fences, on_answer, NULL);
    else if (strcmp(op, "release") == 0)
        fences_release(k.fences, 5, on_answer, NULL);
    else if (strcmp(op, "lift") == 0)
        fences_lift(k.fences, on_answer, NULL);
    else
        fences_end_hold(k.fences, false, on_answer, NULL);
}

static void ask_and_answer(const char *op)
{
    ask(op);
    for (size_t i = 0; i < SHARDS; i++)
        answer(i, op, 0, "");
}

static const char *const all_steps[] = {"probe", "pause", "set", "prove", "release", "end_hold", "lift"};

START_TEST(a_step_is_answered_when_all_shards_have)
{
    make();
    for (size_t s = 0; s < ARRAY_LEN(all_steps); s++) {
        ask(all_steps[s]);
        for (size_t i = SHARDS; i-- > 0;) {
            ck_assert_int_eq(k.err, NEVER);
            answer(i, all_steps[s], 0, "");
        }
        ck_assert_msg(k.err == 0, "%s: %s", all_steps[s], k.why);
    }
    end();
}
END_TEST

/* Whichever fails, and whatever it is in: nothing is under way when it is told, and the undo is asked of all.
 */
START_TEST(one_that_fails_fails_all_and_all_are_lifted)
{
    make();
    for (size_t s = 0; s < ARRAY_LEN(all_steps) - 1; s++) {
        for (size_t bad = 0; bad < SHARDS; bad++) {
            char named[32];
            ask(all_steps[s]);
            answer(bad, all_steps[s], -EIO, "first");
            ck_assert_int_eq(k.err, NEVER);
            answer((bad + 1) % SHARDS, all_steps[s], -EACCES, "second");
            ck_assert_int_eq(k.err, NEVER);
            answer((bad + 2) % SHARDS, all_steps[s], 0, "");
            ck_assert_int_eq(k.err, -EIO);
            snprintf(named, sizeof(named), "h:%u: first", 7000 + (unsigned)bad);
            ck_assert_str_eq(k.why, named);
            ask_and_answer("lift");
            ck_assert_int_eq(k.err, 0);
        }
    }
    end();
}
END_TEST

static void stop(void *arg)
{
    (void)arg;
    loop_stop(k.loop);
}

static void run(unsigned ms)
{
    struct timer *t;
    ck_assert_int_eq(timer_new(k.loop, stop, NULL, &t), 0);
    timer_set(t, (uint64_t)ms * 1000);
    ck_assert_int_eq(loop_run(k.loop), 0);
    timer_free(t);
}

/* Writers of the others wait meanwhile. */
START_TEST(one_that_is_silent_does_not_keep_an_error)
{
    make();
    ask("pause");
    answer(0, "pause", -EIO, "no");
    answer(1, "pause", 0, "");
    run(1500);
    ck_assert_int_eq(k.err, NEVER);
    run(1000);
    ck_assert_int_eq(k.err, -EIO);
    ask("lift");
    run(2500); /* which has no end of its own */
    ck_assert_int_eq(k.err, NEVER);
    end();
}
END_TEST

START_TEST(a_reading_is_asked_for_beside_a_step)
{
    make();
    ask("pause");
    k.err = NEVER;
    fences_read(k.fences, on_answer, NULL);
    for (size_t i = 0; i < SHARDS; i++) {
        ck_assert_int_eq(k.err, NEVER);
        k.made[i]->read_fn(i == 1 ? -EIO : 0, "unread", k.made[i]->read_arg);
    }
    ck_assert_int_eq(k.err, -EIO);
    ck_assert_str_eq(k.why, "h:7001: unread");
    end();
}
END_TEST

static const char *judged(void)
{
    ask_and_answer("probe");
    return k.err ? k.why : "";
}

START_TEST(what_all_can_is_what_is_reported)
{
    struct fence_report r;
    make();
    k.report[1].kinds[FENCE_ACL].allowed = false;
    strcpy(k.report[1].kinds[FENCE_ACL].why_not, "h:7001: shared");
    k.report[2].kinds[FENCE_HOLD] = (struct fence_kind_report){.why_not = "no CLIENT LIST"};
    k.report[0].sentinels = k.report[2].sentinels = 1;
    k.report[1].clock_skew_ms = -7;
    k.report[2].clock_skew_ms = 5;
    k.report[1].sample.round_trip_us = 900;
    ck_assert_str_eq(judged(), "");
    fences_report(k.fences, &r);
    ck_assert(!r.kinds[FENCE_ACL].allowed);
    ck_assert_str_eq(r.kinds[FENCE_ACL].why_not, "h:7001: shared");
    ck_assert_str_eq(r.kinds[FENCE_HOLD].why_not, "h:7002: no CLIENT LIST");
    ck_assert(r.kinds[FENCE_MIN_REPLICAS].allowed);
    ck_assert_uint_eq(r.nnodes, SHARDS);
    ck_assert_uint_eq(r.sentinels, 2);
    ck_assert_int_eq(r.clock_skew_ms, -7);
    ck_assert_uint_eq(r.sample.round_trip_us, 900);
    ck_assert(r.can_pause);
    k.report[2].can_pause = false;
    strcpy(k.report[2].why_no_pause, "too old");
    ck_assert_str_eq(judged(), "");
    fences_report(k.fences, &r);
    ck_assert(!r.can_pause);
    ck_assert_str_eq(r.why_no_pause, "h:7002: too old");
    end();
}
END_TEST

START_TEST(a_cluster_that_is_not_as_it_should_be_is_refused)
{
    make();
    k.report[1].view.moving = true;
    ck_assert_ptr_nonnull(strstr(judged(), "slots are being moved"));
    k.report[1].view.moving = false;
    k.report[2].view.map = 8;
    ck_assert_ptr_nonnull(strstr(judged(), "do not agree"));
    k.report[2].view.map = 7;
    k.report[0].view.slots--;
    ck_assert_ptr_nonnull(strstr(judged(), "not every slot"));
    k.report[0].view.slots++;
    for (size_t i = 0; i < SHARDS; i++)
        k.report[i].view.owners++;
    ck_assert_ptr_nonnull(strstr(judged(), "just changed"));
    for (size_t i = 0; i < SHARDS; i++)
        k.report[i].view.owners--;
    k.report[1].view = (struct fence_view){.why = "CLUSTER NODES: NOPERM"};
    ck_assert_str_eq(judged(), "CLUSTER NODES: NOPERM");
    k.report[1].view = k.report[2].view;
    ck_assert_str_eq(judged(), "");
    ck_assert_ptr_null(fences_changed(k.fences));
    k.map.version++;
    ck_assert_ptr_nonnull(fences_changed(k.fences));
    ask_and_answer("prove");
    ck_assert_int_eq(k.err, -ESTALE);
    end();
}
END_TEST

START_TEST(the_pause_is_that_of_the_worst)
{
    make();
    k.lease[0] = 500, k.lease[1] = 300, k.lease[2] = 400;
    k.paused[0] = 5, k.paused[1] = 7, k.paused[2] = 6;
    ck_assert(fences_is_paused(k.fences));
    ck_assert_uint_eq(fences_lease_left_us(k.fences), 300);
    ck_assert_uint_eq(fences_paused_us(k.fences), 7);
    k.lease[2] = 0;
    ck_assert(!fences_is_paused(k.fences));
    ck_assert_uint_eq(fences_lease_left_us(k.fences), 0);
    k.made[2]->ev.lapsed("late", k.made[2]->arg);
    ck_assert_str_eq(k.text, "h:7002: late");
    end();
}
END_TEST

START_TEST(what_an_undo_leaves_is_told_of_all_and_late_ones_once)
{
    make();
    ask("lift");
    answer(1, "lift", -EHOSTUNREACH, "r:1 is silent");
    answer(0, "lift", -EEXIST, "user a is another's");
    answer(2, "lift", -EHOSTUNREACH, "r:2 is silent");
    ck_assert_int_eq(k.err, -EHOSTUNREACH);
    ck_assert_str_eq(k.why, "r:1 is silent; user a is another's; r:2 is silent");
    k.made[2]->ev.lifted(0, "", k.made[2]->arg);
    ck_assert_uint_eq(k.lifted, 0);
    k.made[1]->ev.lifted(-EEXIST, "user b", k.made[1]->arg);
    ck_assert_uint_eq(k.lifted, 1);
    ck_assert_int_eq(k.err, -EEXIST);
    ck_assert_str_eq(k.why, "user b");
    end();
}
END_TEST

START_TEST(the_watch_is_of_all)
{
    make();
    fences_watch(k.fences, true);
    for (size_t i = 0; i < SHARDS; i++) {
        ck_assert(k.made[i]->watched);
        k.made[i]->held = i > 1;
    }
    k.made[0]->ev.lost("x", 1, k.made[0]->arg);
    k.made[1]->ev.lost("x", 1, k.made[1]->arg);
    k.made[0]->held = true;
    k.made[0]->ev.again(k.made[0]->arg);
    ck_assert_uint_eq(k.again, 0);
    k.made[1]->held = true;
    k.made[1]->ev.again(k.made[1]->arg);
    ck_assert_uint_eq(k.again, 1);
    k.made[0]->ev.unwatched("a", k.made[0]->arg);
    k.made[2]->ev.unwatched("b", k.made[2]->arg);
    k.made[0]->ev.unwatched(NULL, k.made[0]->arg);
    ck_assert_uint_eq(k.unwatched, 1);
    ck_assert_uint_eq(k.watched, 0);
    k.made[2]->ev.unwatched(NULL, k.made[2]->arg);
    ck_assert_uint_eq(k.watched, 1);
    end();
}
END_TEST

START_TEST(no_pause_of_a_hold_ends_before_all_clients_are_gone)
{
    make();
    ask("end_hold");
    k.made[0]->empty = k.made[2]->empty = true;
    k.made[0]->ev.hold_empty(k.made[0]->arg);
    ck_assert(!k.made[0]->gone);
    k.made[1]->empty = true;
    k.made[1]->ev.hold_empty(k.made[1]->arg);
    for (size_t i = 0; i < SHARDS; i++)
        ck_assert(k.made[i]->gone);
    /* One that waited for the others does not know the reason. */
    ask("end_hold");
    answer(0, "end_hold", -EAGAIN, "the others");
    answer(1, "end_hold", -EBUSY, "c came back");
    answer(2, "end_hold", -EAGAIN, "the others");
    ck_assert_int_eq(k.err, -EBUSY);
    end();
}
END_TEST

/* As kill -9 leaves it: the shards are those that were fenced, whoever is a primary by now. */
START_TEST(after_a_crash_the_shards_are_those_of_the_record)
{
    make();
    ck_assert_int_eq(fences_note(k.fences), 0);
    fences_free(k.fences);
    struct state_cutover *c = &state_of(k.state)->cutover;
    ck_assert_uint_eq(c->nodes[1].shard, 2);
    c->nodes[1].primary = false;
    set_primary(1, 7009);
    struct topology_map map = k.map;
    k.map.version = 0; /* not known yet */
    open_fences(some_topology());
    ck_assert_uint_eq(fences_count(k.fences), SHARDS);
    ck_assert_str_eq(k.made[1]->address, "h:7001");
    ck_assert_uint_eq(k.made[1]->opt.shard, 2);
    ck_assert(k.made[1]->demoted); /* a replica is all that is left of it */
    ask("lift");
    ck_assert(!k.made[0]->demoted);
    k.map = map;
    set_primary(0, 7008);
    k.listener->changed(k.listener->arg);
    ck_assert(k.made[0]->demoted && !k.made[2]->demoted);
    ck_assert_uint_eq(k.nmade, SHARDS); /* nothing of ours is on the new one */
    end();
}
END_TEST

START_TEST(a_primary_that_is_new_is_fenced_after_the_commit)
{
    make();
    k.map.version++; /* before the commit it changes nothing by itself */
    set_primary(1, 7009);
    k.listener->changed(k.listener->arg);
    ck_assert_str_eq(k.made[1]->address, "h:7001");
    strcpy(k.made[1]->has, "h:7009");
    fences_watch(k.fences, true);
    ck_assert_str_eq(k.made[1]->address, "h:7009");
    ck_assert_uint_eq(fences_endpoint(k.fences, 1)->url.port, 7009);
    ck_assert_uint_eq(k.nmade, SHARDS);
    /* A node that was not there, and one that was a replica where the primary stays. */
    strcpy(k.made[0]->has, "h:7050");
    k.map.nshards = SHARDS + 1;
    set_primary(SHARDS, 7050);
    k.listener->changed(k.listener->arg);
    ck_assert_uint_eq(k.nmade, SHARDS + 1);
    ck_assert_str_eq(k.made[SHARDS]->address, "h:7050");
    ck_assert_uint_eq(k.made[SHARDS]->opt.shard, SHARDS + 1);
    ck_assert(k.made[SHARDS]->watched);
    ck_assert_str_eq(k.made[0]->has, "");
    end();
}
END_TEST

START_TEST(one_server_speaks_for_itself)
{
    make();
    fences_free(k.fences);
    k.map = (struct topology_map){.version = 1, .nshards = 1, .shards = k.shards};
    open_fences(some_topology());
    ck_assert_uint_eq(fences_count(k.fences), 1);
    ck_assert_uint_eq(k.made[0]->opt.shard, 0);
    ck_assert_ptr_null(k.made[0]->opt.replicas);
    ask("probe");
    answer(0, "probe", 0, "");
    ck_assert_int_eq(k.err, 0);
    ask("pause");
    answer(0, "pause", -EIO, "no");
    ck_assert_str_eq(k.why, "no");
    k.map.version++;
    ck_assert_ptr_null(fences_changed(k.fences));
    end();
}
END_TEST

UNIT_MAIN("daemon/fences", a_step_is_answered_when_all_shards_have,
          one_that_fails_fails_all_and_all_are_lifted, one_that_is_silent_does_not_keep_an_error,
          a_reading_is_asked_for_beside_a_step, what_all_can_is_what_is_reported,
          a_cluster_that_is_not_as_it_should_be_is_refused, the_pause_is_that_of_the_worst,
          what_an_undo_leaves_is_told_of_all_and_late_ones_once, the_watch_is_of_all,
          no_pause_of_a_hold_ends_before_all_clients_are_gone,
          after_a_crash_the_shards_are_those_of_the_record, a_primary_that_is_new_is_fenced_after_the_commit,
          one_server_speaks_for_itself)
