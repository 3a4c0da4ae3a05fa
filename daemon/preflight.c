/* preflight.c - a check as a whole: both sides are asked side by side, first by the prober, then for the
 * rest. */
#include "daemon/preflight_facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/core/clock.h"

struct preflight;

struct asked_side {
    struct preflight *owner;
    struct endpoint endpoint;
    struct prober *prober;
    struct asker *asker;
    unsigned pending; /* of these, and of the source's fence */
};

struct preflight {
    struct loop *loop;
    struct log *log;
    preflight_fn *fn;
    void *arg;
    struct timer *timer;
    struct defer later; /* the report is made when nobody of those who were asked is on the stack */
    struct asked_side sides[2];
    struct preflight_facts facts;
    struct fence *fence;      /* of the source */
    struct state_file *blank; /* its state: what the link's file knows of connections is not for a check to
                                 end. And the link's, where its file cannot be read */
    bool over;
};

/* --- the report --- */

static void stop_asking(struct preflight *p)
{
    for (size_t i = 0; i < ARRAY_LEN(p->sides); i++) {
        p->sides[i].prober = prober_free(p->sides[i].prober);
        p->sides[i].asker = asker_free(p->sides[i].asker);
    }
    p->fence = fence_free(p->fence);
}

static void report(void *arg)
{
    struct preflight *p = arg;
    struct preflight_report *r = calloc(1, sizeof(*r));
    struct preflight_report none = {.errors = 1};

    timer_clear(p->timer);
    stop_asking(p);
    if (!r)
        r = &none;
    r->at_ms = clock_wall_ms();
    r->link_runs = p->facts.link_runs;
    if (r != &none)
        preflight_decide(&p->facts, r);
    p->fn(r, p->arg); /* p may be freed by now */
    if (r != &none)
        free(r);
}

static void finish(struct preflight *p)
{
    if (p->over)
        return;
    p->over = true;
    loop_defer(p->loop, &p->later, report, p);
}

static void on_timeout(void *arg)
{
    finish(arg);
}

static void one_is_done(struct asked_side *s)
{
    struct preflight *p = s->owner;

    s->pending--;
    if (p->sides[SIDE_SOURCE].pending + p->sides[SIDE_TARGET].pending == 0)
        finish(p);
}

/* --- asking --- */

static struct preflight_side *facts_of(struct asked_side *s)
{
    return &s->owner->facts.side[s - s->owner->sides];
}

static void side_fails(struct asked_side *s, const char *why)
{
    struct preflight_side *f = facts_of(s);

    snprintf(f->why, sizeof(f->why), "%s", why);
    s->prober = prober_free(s->prober);
    one_is_done(s);
}

static void on_asked(struct asker *a, void *arg)
{
    (void)a;
    one_is_done(arg);
}

static void on_fences(int err, const char *why, void *arg)
{
    struct preflight *p = arg;
    struct preflight_facts *f = &p->facts;

    f->has_fences = err == 0;
    snprintf(f->fences_why, sizeof(f->fences_why), "%s", why);
    if (err == 0)
        fence_report(p->fence, &f->fences);
    one_is_done(&p->sides[SIDE_SOURCE]);
}

static void ask_fences(struct preflight *p)
{
    static const struct fence_events no_events = {0};
    const struct fence_options opt = {
        .source = &p->sides[SIDE_SOURCE].endpoint, .state = p->blank, .log = p->log};

    if (fence_new(p->loop, &opt, &no_events, NULL, &p->fence) < 0)
        return;
    p->sides[SIDE_SOURCE].pending++;
    fence_probe(p->fence, on_fences, p);
}

static int keep_probe(struct preflight_side *f, const struct probe *probe)
{
    struct watch_db *dbs = malloc(MAX(probe->ndbs, (size_t)1) * sizeof(*dbs));

    if (!dbs)
        return -ENOMEM;
    if (probe->ndbs)
        memcpy(dbs, probe->dbs, probe->ndbs * sizeof(*dbs));
    f->probe = *probe;
    f->probe.dbs = dbs;
    f->reached = true;
    return 0;
}

static void on_probed(struct prober *prober, const struct probe *probe, void *arg)
{
    struct asked_side *s = arg;
    struct preflight *p = s->owner;
    bool target = s == &p->sides[SIDE_TARGET];
    (void)prober;

    if (keep_probe(facts_of(s), probe) < 0 ||
        asker_new(p->loop, &s->endpoint, target, facts_of(s), on_asked, s, &s->asker) < 0)
        side_fails(s, "memory is out");
    else if (!target)
        ask_fences(p);
}

/* The first try counts: what it says is how it is now. */
static void on_waiting(struct prober *prober, const char *why, void *arg)
{
    struct asked_side *s = arg;
    (void)prober;

    if (s->prober)
        side_fails(s, why);
}

/* --- making it --- */

static uint64_t machine_bytes(void)
{
    struct sysinfo info;
    struct rlimit limit;
    uint64_t bytes = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 0;

    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        bytes = bytes ? MIN(bytes, (uint64_t)limit.rlim_cur) : (uint64_t)limit.rlim_cur;
    return bytes;
}

static void look_at_state(struct preflight *p, const struct preflight_options *opt)
{
    struct preflight_facts *f = &p->facts;
    char folder[512];

    f->state_path = "";
    if (opt->state_why)
        snprintf(f->state_why, sizeof(f->state_why), "%s", opt->state_why);
    if (!opt->state) {
        f->state = state_of(p->blank);
        return;
    }
    f->state = state_of(opt->state);
    f->state_path = state_file_path(opt->state);
    snprintf(folder, sizeof(folder), "%s", f->state_path);
    char *slash = strrchr(folder, '/');
    if (!slash)
        return;
    *slash = '\0';
    if (access(folder, W_OK) < 0 && errno != ENOENT)
        snprintf(f->state_why, sizeof(f->state_why), "%.150s cannot be written to: %s", folder,
                 strerror(errno));
}

static int make_endpoint(struct asked_side *s, const struct preflight_options *opt, bool of_target,
                         const char *password, unsigned timeout_ms)
{
    struct endpoint *e = &s->endpoint;
    const struct state *state = s->owner->facts.state;
    struct preflight_side *f = facts_of(s);
    char why[CONFIG_WHY_MAX];
    int err = config_endpoint(opt->config, of_target, password,
                              state->instance[0] ? state->instance : "check", e, why);

    if (err < 0) {
        log_event(opt->log, EVENT_CONFIG_ERROR, "%s", why);
        return err;
    }
    e->timeout_ms = MIN(e->timeout_ms, timeout_ms / 2);
    preflight_side_init(f);
    f->url = e->url.text;
    f->user = e->url.user ? e->url.user : "default";
    return 0;
}

static int begin_side(struct asked_side *s)
{
    static const struct prober_events events = {.done = on_probed, .waiting = on_waiting};

    s->pending = 1;
    return prober_new(s->owner->loop, &s->endpoint, false, &events, s, &s->prober);
}

static int make(struct preflight *p, const struct preflight_options *opt, unsigned timeout_ms)
{
    look_at_state(p, opt);
    int err = make_endpoint(&p->sides[SIDE_SOURCE], opt, false, opt->passwords->source, timeout_ms);
    if (!err)
        err = make_endpoint(&p->sides[SIDE_TARGET], opt, true, opt->passwords->target, timeout_ms);
    if (!err)
        err = timer_new(p->loop, on_timeout, p, &p->timer);
    for (size_t i = 0; !err && i < ARRAY_LEN(p->sides); i++)
        err = begin_side(&p->sides[i]);
    if (!err)
        timer_set(p->timer, (uint64_t)timeout_ms * 1000);
    return err;
}

int preflight_new(struct loop *l, const struct preflight_options *opt, unsigned timeout_ms, preflight_fn *fn,
                  void *arg, struct preflight **ret)
{
    struct preflight *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->loop = l;
    p->log = opt->log;
    p->fn = fn;
    p->arg = arg;
    p->facts = (struct preflight_facts){.config = opt->config,
                                        .link_runs = opt->link_runs,
                                        .marks_per_s = opt->marks_per_s,
                                        .machine_bytes = machine_bytes(),
                                        .waited_ms = timeout_ms};
    p->sides[SIDE_SOURCE].owner = p->sides[SIDE_TARGET].owner = p;
    int err = state_file_blank(&p->blank);
    if (!err)
        err = make(p, opt, timeout_ms);
    if (err < 0)
        preflight_free(p);
    else
        *ret = p;
    return err;
}

struct preflight *preflight_free(struct preflight *p)
{
    if (!p)
        return NULL;
    defer_cancel(p->loop, &p->later);
    stop_asking(p);
    timer_free(p->timer);
    for (size_t i = 0; i < ARRAY_LEN(p->sides); i++) {
        endpoint_clear(&p->sides[i].endpoint);
        free(p->facts.side[i].probe.dbs);
    }
    state_file_free(p->blank);
    free(p);
    return NULL;
}
