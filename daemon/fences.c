/* fences.c - see fences.h. The steps. */
#include "daemon/fences_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/text.h"

/* After an error, for the others to answer: what waits are writers. */
#define PATIENCE_US 2000000

static bool is_one(const struct fences *f)
{
    return f->nshards == 1;
}

/* Asking all. */

static void tell(struct fences *f, struct fences_asked *a)
{
    fence_fn *fn = a->fn;

    (void)f;
    a->fn = NULL;
    if (fn)
        fn(a->err, a->why, a->arg);
}

static void all_answered(struct fences *f, struct fences_asked *a)
{
    timer_clear(f->patience);
    if (a->then)
        a->then(f, a);
    else
        tell(f, a);
}

/* -EAGAIN is that of one that waits for the others: theirs are the reason. */
static bool is_better(int err, int before)
{
    return !before || (before == -EAGAIN && err != -EAGAIN);
}

static void note_error(struct fence_shard *s, struct fences_asked *a, int err, const char *why)
{
    if (!err || !is_better(err, a->err))
        return;
    a->err = err;
    if (is_one(s->all))
        snprintf(a->why, sizeof(a->why), "%s", why);
    else
        snprintf(a->why, sizeof(a->why), "%.300s: %.800s", fence_address(s->fence), why);
}

/* What was left alone, or has not answered, is named for all shards. */
static void note_left(struct fence_shard *s, int *err, char all[FENCES_WHY_MAX], int now, const char *why)
{
    size_t len = strlen(all);

    (void)s;
    if (!now)
        return;
    if (*err != -EHOSTUNREACH)
        *err = now;
    len += (size_t)snprintf(all + len, FENCES_WHY_MAX - len, "%s%s", len ? "; " : "", why);
    if (len >= FENCES_WHY_MAX)
        text_cut(all, FENCES_WHY_MAX);
}

static void answered(struct fence_shard *s, unsigned kind, int err, const char *why)
{
    struct fences *f = s->all;
    struct fences_asked *a = &f->asked[kind];

    if (!s->due[kind])
        return;
    s->due[kind] = false;
    if (kind == ASKED_STEP && f->lifting) {
        s->trailing = err == -EHOSTUNREACH;
        note_left(s, &a->err, a->why, err, why);
    } else {
        note_error(s, a, err, why);
    }
    if (--a->due == 0)
        all_answered(f, a);
    else if (a->err && kind == ASKED_STEP && !f->lifting)
        timer_set(f->patience, PATIENCE_US);
}

static void step_answered(int err, const char *why, void *arg)
{
    answered(arg, ASKED_STEP, err, why);
}

static void read_answered(int err, const char *why, void *arg)
{
    answered(arg, ASKED_READ, err, why);
}

/* The undo ends what they are at. */
static void out_of_patience(void *arg)
{
    struct fences *f = arg;
    struct fences_asked *a = &f->asked[ASKED_STEP];

    for (size_t i = 0; i < f->nshards; i++)
        f->shards[i]->due[ASKED_STEP] = false;
    a->due = 0;
    all_answered(f, a);
}

static struct fences_asked *ask(struct fences *f, unsigned kind, fence_fn *fn, void *arg)
{
    struct fences_asked *a = &f->asked[kind];

    *a = (struct fences_asked){.fn = fn, .arg = arg, .due = f->nshards};
    if (kind == ASKED_STEP) {
        timer_clear(f->patience);
        f->lifting = false;
    }
    for (size_t i = 0; i < f->nshards; i++)
        f->shards[i]->due[kind] = true;
    return a;
}

#define EACH(f, s)                                                                                           \
    for (size_t i_ = 0; i_ < (f)->nshards; i_++)                                                             \
        for (struct fence_shard *s = (f)->shards[i_]; s; s = NULL)

/* Events. */

static void lapsed(const char *why, void *arg)
{
    struct fence_shard *s = arg;
    struct fences *f = s->all;
    char text[400];

    snprintf(text, sizeof(text), "%.200s: %.180s", fence_address(s->fence), why);
    if (f->ev.lapsed)
        f->ev.lapsed(is_one(f) ? why : text, f->arg);
}

static void lost(const char *what, uint64_t writes, void *arg)
{
    struct fence_shard *s = arg;

    s->all->was_lost = true;
    if (s->all->ev.lost)
        s->all->ev.lost(what, writes, s->all->arg);
}

static void again(void *arg)
{
    struct fences *f = ((struct fence_shard *)arg)->all;

    if (!f->was_lost || !fences_is_held(f))
        return;
    f->was_lost = false;
    if (f->ev.again)
        f->ev.again(f->arg);
}

static void unwatched(const char *why, void *arg)
{
    struct fence_shard *s = arg;
    struct fences *f = s->all;
    size_t before = 0;

    EACH(f, other)
    before += other->unwatched;
    s->unwatched = why != NULL;
    if (f->ev.unwatched && (why ? before == 0 : before == 1))
        f->ev.unwatched(why, f->arg);
}

static void lifted(int err, const char *why, void *arg)
{
    struct fence_shard *s = arg;
    struct fences *f = s->all;

    s->trailing = false;
    note_left(s, &f->lifted_err, f->lifted_why, err, why);
    EACH(f, other)
    if (other->trailing)
        return;
    if (!f->asked[ASKED_STEP].due && f->ev.lifted)
        f->ev.lifted(f->lifted_err, f->lifted_why, f->arg);
}

static void hold_empty(void *arg)
{
    struct fences *f = ((struct fence_shard *)arg)->all;

    EACH(f, s)
    if (!fence_hold_is_empty(s->fence))
        return;
    EACH(f, s)
    fence_hold_go(s->fence);
}

const struct fence_events fences_events = {.lapsed = lapsed,
                                           .lost = lost,
                                           .again = again,
                                           .unwatched = unwatched,
                                           .lifted = lifted,
                                           .hold_empty = hold_empty};

/* Life. */

static void topology_changed(void *arg)
{
    fences_follow(arg);
}

int fences_new(struct loop *l, const struct fences_options *opt, const struct fence_events *ev, void *arg,
               struct fences **ret)
{
    struct fences *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->loop = l;
    f->opt = *opt;
    f->ev = *ev;
    f->arg = arg;
    f->listener = (struct topology_listener){.changed = topology_changed, .arg = f};
    if (opt->topology) {
        topology_want(opt->topology, true);
        topology_listen(opt->topology, &f->listener);
    }
    int err = timer_new(l, out_of_patience, f, &f->patience);
    if (!err)
        err = fences_make_shards(f);
    if (err)
        fences_free(f);
    else
        *ret = f;
    return err;
}

struct fences *fences_free(struct fences *f)
{
    if (!f)
        return NULL;
    if (f->opt.topology) {
        topology_unlisten(f->opt.topology, &f->listener);
        topology_want(f->opt.topology, false);
    }
    fences_free_shards(f);
    timer_free(f->patience);
    free(f->nodes);
    free(f);
    return NULL;
}

/* The probe. */

static void probed(struct fences *f, struct fences_asked *a)
{
    if (!a->err)
        a->err = fences_judge(f, a->why);
    tell(f, a);
}

void fences_probe(struct fences *f, fence_fn *fn, void *arg)
{
    ask(f, ASKED_STEP, fn, arg)->then = probed;
    EACH(f, s)
    fence_probe(s->fence, step_answered, s);
}

void fences_report(const struct fences *f, struct fence_report *ret)
{
    *ret = f->report;
}

const char *fences_changed(const struct fences *f)
{
    const struct topology_map *map = f->opt.topology ? topology_map(f->opt.topology) : NULL;

    if (f->shards[0]->number == 0 || (map && map->version == f->map_version))
        return NULL;
    return "the nodes of the source, or which of them own which slots, are others than before";
}

size_t fences_count(const struct fences *f)
{
    return f->nshards;
}

const struct endpoint *fences_endpoint(const struct fences *f, size_t i)
{
    return &f->shards[i]->place->endpoint;
}

const struct server_id *fences_id(const struct fences *f, size_t i)
{
    return &f->shards[i]->report.id;
}

const struct watch_sample *fences_sample(const struct fences *f, size_t i)
{
    return fence_sample(f->shards[i]->fence);
}

/* The soft fence. */

int fences_note(struct fences *f)
{
    int err = 0;

    for (size_t i = 0; i < f->nshards && !err; i++)
        err = fence_note(f->shards[i]->fence);
    return err;
}

void fences_pause(struct fences *f, uint64_t lease_ms, uint64_t bound_ms, fence_fn *fn, void *arg)
{
    ask(f, ASKED_STEP, fn, arg);
    EACH(f, s)
    fence_pause(s->fence, lease_ms, bound_ms, step_answered, s);
}

bool fences_is_paused(const struct fences *f)
{
    bool all = true;

    EACH(f, s)
    all &= fence_is_paused(s->fence);
    return all;
}

uint64_t fences_lease_left_us(const struct fences *f)
{
    uint64_t least = UINT64_MAX;

    EACH(f, s)
    least = MIN(least, fence_lease_left_us(s->fence));
    return least;
}

uint64_t fences_paused_us(const struct fences *f)
{
    uint64_t most = 0;

    EACH(f, s)
    most = MAX(most, fence_paused_us(s->fence));
    return most;
}

/* The hard fence. */

void fences_hold_lease(struct fences *f, uint64_t lease_ms)
{
    EACH(f, s)
    fence_hold_lease(s->fence, lease_ms);
}

void fences_set(struct fences *f, enum fence_kind kind, fence_fn *fn, void *arg)
{
    ask(f, ASKED_STEP, fn, arg);
    if (kind == FENCE_AUTO)
        kind = f->report.chosen;
    EACH(f, s)
    fence_set(s->fence, kind, step_answered, s);
}

static void proved(struct fences *f, struct fences_asked *a)
{
    const char *why = fences_changed(f);

    if (!a->err && why) {
        a->err = -ESTALE;
        snprintf(a->why, sizeof(a->why), "%s", why);
    }
    tell(f, a);
}

void fences_prove(struct fences *f, fence_fn *fn, void *arg)
{
    ask(f, ASKED_STEP, fn, arg)->then = proved;
    EACH(f, s)
    fence_prove(s->fence, step_answered, s);
}

void fences_read(struct fences *f, fence_fn *fn, void *arg)
{
    ask(f, ASKED_READ, fn, arg);
    EACH(f, s)
    fence_read(s->fence, read_answered, s);
}

void fences_note_commit(struct fences *f, size_t i, uint64_t write_calls)
{
    struct state_cutover *c = &state_of(f->opt.state)->cutover;
    struct state_node *n = state_node_find(c, fence_address(f->shards[i]->fence));

    if (!n)
        return;
    n->write_calls = write_calls;
    snprintf(n->replid, sizeof(n->replid), "%s", f->shards[i]->report.id.replid);
}

/* What was under way ends: the shards see to it. */
void fences_lift(struct fences *f, fence_fn *fn, void *arg)
{
    for (unsigned kind = 0; kind < ASKED_KINDS; kind++)
        ask(f, kind, NULL, NULL);
    fences_watch(f, false);
    ask(f, ASKED_STEP, fn, arg);
    f->lifting = true;
    f->lifted_err = 0;
    f->lifted_why[0] = '\0';
    EACH(f, s)
    fence_lift(s->fence, step_answered, s);
    fences_follow(f);
}

/* After the commit. */

void fences_release(struct fences *f, uint64_t hold_lease_ms, fence_fn *fn, void *arg)
{
    ask(f, ASKED_STEP, fn, arg);
    EACH(f, s)
    fence_release(s->fence, hold_lease_ms, step_answered, s);
}

void fences_watch(struct fences *f, bool on)
{
    f->watching = on;
    EACH(f, s)
    {
        s->unwatched = s->unwatched && on;
        fence_watch(s->fence, on);
    }
    f->was_lost = f->was_lost && on;
    fences_follow(f);
}

bool fences_is_held(const struct fences *f)
{
    bool all = true;

    EACH(f, s)
    all &= fence_is_held(s->fence);
    return all;
}

void fences_end_hold(struct fences *f, bool force, fence_fn *fn, void *arg)
{
    ask(f, ASKED_STEP, fn, arg);
    EACH(f, s)
    fence_end_hold(s->fence, force, step_answered, s);
}
