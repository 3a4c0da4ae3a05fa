#include "lib/feed/kind.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/feed/putback.h"
#include "lib/feed/watchlist.h"

#define WHY_MAX     200
#define PREFIX_LEN  256
#define STOP_MAX_MS 5000 /* for putting back what was changed, on a source that does not answer */

enum state { CONNECTING, READY, GAP, UNUSABLE, STOPPED };
static const char *const state_names[] = {"connecting", "ready", "gap", "unusable", "stopped"};

/* A proof that all was heard: the kind drains, then the source is read once. It stands behind each `ready`
 * (the reading is what later ones are compared with, so it is taken before), and behind each barrier. */
enum proof { PROOF_NONE, PROOF_DRAIN, PROOF_READING };

struct feed {
    struct loop *loop;
    const struct endpoint *source;
    const struct sink *sink;
    struct feed_events ev;
    void *arg;
    struct watch *watch;

    enum feed_kind asked, chosen;
    bool full_sync;
    const struct kind_ops *ops; /* with kind: what runs, or NULL */
    void *kind;
    struct retired {
        const struct kind_ops *ops;
        void *kind;
    } retired[FEED_KINDS]; /* closed, and freed when the stack has unwound */
    size_t nretired;

    enum state state;
    struct feed_place begin; /* what is to be gone on from */
    bool resumed;            /* it was, and nothing was missed since */
    uint64_t doubted_us;     /* since when there is a doubt */
    bool live;
    char live_run_id[RUN_ID_MAX];
    enum proof proof;
    uint64_t reading; /* the proof's */
    void (*barrier)(int err, void *arg);
    void *barrier_arg;

    bool has_last;
    struct watchpoint last;
    bool reach_told, up, told_thin, told_unreadable, told_elsewhere;
    char unreachable[WHY_MAX];

    struct notify_record record;
    struct putback putback;
    void (*stopped)(bool put_back, void *arg);
    void *stopped_arg;
    struct defer later; /* what the owner's own call may not answer */

    struct feed_status status;
    unsigned depth;
    bool freed;
};

static void kind_start_or_pass(struct feed *f, enum feed_kind k);

/* What lives while callbacks run */

static void retire(struct feed *f)
{
    if (f->ops == NULL)
        return;
    f->ops->close(f->kind);
    f->retired[f->nretired++] = (struct retired){f->ops, f->kind};
    f->ops = NULL;
    f->kind = NULL;
    f->live = false;
    f->proof = PROOF_NONE;
}

static void release(struct feed *f)
{
    while (f->nretired > 0) {
        struct retired *r = &f->retired[--f->nretired];
        r->ops->free(r->kind);
    }
    if (f->freed)
        free(f);
}

struct feed *feed_hold(struct feed *f)
{
    f->depth++;
    return f;
}

void feed_let_go(struct feed **f)
{
    if (--(*f)->depth == 0)
        release(*f);
}

/* What is said to the owner. Each may free the feed: f->freed, or a changed state, is looked at behind it. */

static void say_ready(struct feed *f)
{
    f->state = READY;
    f->told_elsewhere = false;
    if (f->chosen != f->ops->kind) {
        f->chosen = f->ops->kind;
        if (f->ev.chosen)
            f->ev.chosen(f->chosen, f->arg);
    }
    if (!f->freed && f->state == READY && f->ev.ready)
        f->ev.ready(f->arg);
}

static void end_barrier(struct feed *f, int err)
{
    void (*fn)(int err, void *arg) = f->barrier;

    f->barrier = NULL;
    if (fn != NULL)
        fn(err, f->barrier_arg);
}

/* Before the first `ready` nothing can be missed; after it, a gap is told once until the next one. */
static void say_gap(struct feed *f, const char *reason)
{
    bool told = f->state != READY;

    if (f->state == READY || !f->live)
        f->proof = PROOF_NONE; /* one of readiness goes on: what went before it is the resync's */
    if (f->state != READY && f->state != GAP)
        return;
    f->state = GAP;
    f->status.gaps++;
    snprintf(f->status.last_gap, sizeof(f->status.last_gap), "%s", reason);
    if (!told && f->ev.gap)
        f->ev.gap(f->status.last_gap, f->arg);
    if (!f->freed)
        end_barrier(f, -ECANCELED);
}

static void say_unusable(struct feed *f, const char *why)
{
    retire(f);
    f->state = UNUSABLE;
    if (f->ev.unusable)
        f->ev.unusable(why, f->arg);
}

static void say_reachable(struct feed *f, bool up, const char *why)
{
    if (f->reach_told && up == f->up && (up || strncmp(why, f->unreachable, sizeof(f->unreachable) - 1) == 0))
        return;
    f->reach_told = true;
    f->up = up;
    snprintf(f->unreachable, sizeof(f->unreachable), "%s", up ? "" : why);
    if (f->ev.reachable)
        f->ev.reachable(up, up ? "" : f->unreachable, f->arg);
}

/* Proofs */

static void prove(struct feed *f)
{
    f->proof = PROOF_DRAIN;
    f->ops->drain(f->kind);
}

void feed_kind_drained(struct feed *f)
{
    if (f->proof != PROOF_DRAIN)
        return;
    f->proof = PROOF_READING;
    f->reading = watch_read(f->watch);
}

static void putback_early(struct feed *f);

static void proved(struct feed *f)
{
    f->proof = PROOF_NONE;
    if (f->state == READY) {
        end_barrier(f, 0);
        return;
    }
    putback_early(f);
    say_ready(f);
}

/* The feed listens at one server and the watch reads another: an address with several behind it. */
static bool elsewhere(const struct feed *f, const struct server_id *id)
{
    return id->run_id[0] != '\0' && f->live_run_id[0] != '\0' && strcmp(id->run_id, f->live_run_id) != 0;
}

static void begin_elsewhere(struct feed *f)
{
    static const char why[] = "the feed is connected to another server than the one that answers INFO";

    if (!f->told_elsewhere)
        sink_say(f->sink, SINK_WARNING, "two_servers", "%s", why);
    f->told_elsewhere = true;
    f->live = f->resumed = false;
    say_gap(f, why);
    if (!f->freed && f->ops != NULL)
        f->ops->reset(f->kind, "connected to another server");
}

static void prove_by(struct feed *f, const struct watch_sample *s)
{
    if (f->proof != PROOF_READING || s->seq < f->reading)
        return;
    if (elsewhere(f, &s->id) && feed_follows(f)) {
        prove(f); /* anew: it is on its way to where the watch is */
    } else if (elsewhere(f, &s->id)) {
        begin_elsewhere(f);
    } else if (s->loading) {
        f->reading = s->seq + 1;
    } else {
        proved(f);
    }
}

/* What kinds say */

struct loop *feed_loop(const struct feed *f)
{
    return f->loop;
}

const struct endpoint *feed_source(const struct feed *f)
{
    return f->source;
}

const struct sink *feed_sink(const struct feed *f)
{
    return f->sink;
}

const char *feed_user(const struct feed *f)
{
    return f->source->url.user != NULL ? f->source->url.user : "default";
}

bool feed_may_pass(const struct feed *f)
{
    return f->asked == FEED_AUTO;
}

bool feed_may_full_sync(const struct feed *f)
{
    return f->full_sync;
}

const struct feed_place *feed_begin_place(const struct feed *f)
{
    return f->begin.replid[0] != '\0' ? &f->begin : NULL;
}

void feed_kind_resumed(struct feed *f)
{
    f->resumed = true;
}

/* Before it is ready the owner has read nothing of it; but an earlier process may have, ahead of it. */
bool feed_kind_moved(struct feed *f)
{
    bool unheard = f->resumed && f->state != READY;

    f->resumed = false;
    if (f->state == READY && f->ev.moved)
        f->ev.moved(f->arg);
    return unheard;
}

void feed_kind_live(struct feed *f, const char *run_id)
{
    f->live = true;
    snprintf(f->live_run_id, sizeof(f->live_run_id), "%s", run_id);
    prove(f);
}

#define FORMAT(out, format)                                                                                  \
    do {                                                                                                     \
        va_list args_;                                                                                       \
        va_start(args_, format);                                                                             \
        vsnprintf(out, sizeof(out), format, args_);                                                          \
        va_end(args_);                                                                                       \
    } while (0)

void feed_kind_missed(struct feed *f, const char *format, ...)
{
    char why[WHY_MAX];

    f->resumed = false;
    if (!f->live)
        return;
    FORMAT(why, format);
    say_gap(f, why);
    if (!f->freed && f->live && f->proof == PROOF_NONE)
        prove(f);
}

void feed_kind_lost(struct feed *f, const char *format, ...)
{
    char why[WHY_MAX];

    f->resumed = false;
    if (!f->live)
        return;
    f->live = false;
    FORMAT(why, format);
    say_gap(f, why);
}

static void next_kind(struct feed *f, enum feed_kind after)
{
    char why[FEED_KINDS * (WHY_MAX + 16)];
    enum feed_kind k = auto_next(after);

    if (k != FEED_AUTO) {
        kind_start_or_pass(f, k);
        return;
    }
    auto_reasons(&f->status, why, sizeof(why));
    say_unusable(f, why);
}

void feed_kind_unusable(struct feed *f, const char *format, ...)
{
    char why[WHY_MAX];
    enum feed_kind k = f->ops->kind;

    FORMAT(why, format);
    f->resumed = false;
    retire(f);
    say_gap(f, why);
    if (f->freed || f->state == STOPPED)
        return;
    if (f->asked != FEED_AUTO) {
        say_unusable(f, why);
        return;
    }
    f->chosen = FEED_AUTO;
    auto_pass_over(&f->status, k, why);
    next_kind(f, k);
}

/* False: nobody listens any more. */
static bool count_mark(struct feed *f)
{
    bool heard = !f->freed && f->state != STOPPED;

    f->status.marks += heard;
    return heard;
}

void feed_kind_mark(struct feed *f, int db, struct bytes key)
{
    if (key.len > KEY_NAME_MAX)
        feed_kind_long_key(f, db, bytes_of(key.ptr, PREFIX_LEN), key.len);
    else if (count_mark(f) && f->ev.mark)
        f->ev.mark(db, key, f->arg);
}

void feed_kind_value(struct feed *f, int db, struct bytes key, struct bytes value, int64_t expire_at_ms)
{
    if (db == FEED_ANY_DB || key.len > KEY_NAME_MAX || !f->ev.value)
        feed_kind_mark(f, db, key);
    else if (count_mark(f))
        f->ev.value(db, key, value, expire_at_ms, f->arg);
}

void feed_kind_long_key(struct feed *f, int db, struct bytes prefix, uint64_t length)
{
    if (count_mark(f) && f->ev.long_key)
        f->ev.long_key(db, prefix, length, f->arg);
}

void feed_kind_functions(struct feed *f)
{
    if (!f->freed && f->state != STOPPED && f->ev.functions)
        f->ev.functions(f->arg);
}

void feed_kind_asked(struct feed *f, uint64_t offset)
{
    if (!f->freed && f->ev.asked)
        f->ev.asked(offset, f->arg);
}

const struct notify_record *feed_record(const struct feed *f)
{
    return &f->record;
}

int feed_set_record(struct feed *f, const struct notify_record *rec)
{
    int r = f->ev.record ? f->ev.record(rec, f->arg) : -ENOTSUP;

    if (r >= 0 && !f->freed)
        f->record = *rec;
    return r;
}

/* Starting kinds */

static int kind_start(struct feed *f, enum feed_kind k)
{
    const struct kind_ops *ops = kind_ops_of(k);
    void *kind = NULL;
    int r;

    if (k == FEED_NOTIFY) /* it goes on from the record itself */
        putback_cancel(&f->putback);
    r = ops->new(f, &kind);
    if (r < 0)
        return r;
    f->begin.replid[0] = '\0';
    f->ops = ops;
    f->kind = kind;
    f->status.names_db = ops->names_db;
    if (!ops->marks) /* nothing to wait for */
        feed_kind_live(f, "");
    return 0;
}

static void kind_start_or_pass(struct feed *f, enum feed_kind k)
{
    int r = kind_start(f, k);

    if (r == 0)
        return;
    auto_pass_over(&f->status, k, strerror(-r));
    next_kind(f, k);
}

/* Putting back */

static void record_cleared(struct feed *f, bool *ok)
{
    static const struct notify_record empty;
    int r = *ok && f->record.run_id[0] != '\0' ? feed_set_record(f, &empty) : 0;

    if (r < 0)
        sink_say(f->sink, SINK_WARNING, "notify_record",
                 FLAGS_NAME " of the source is put back, but that cannot be written down: %s", strerror(-r));
    *ok = *ok && r >= 0;
}

static void on_put_back_early(bool ok, void *arg)
{
    struct feed *f = arg;
    FEED_HELD(f);

    record_cleared(f, &ok);
}

/* What a former process of ours changed, and this kind does not need. A record of another run id is kept:
 * that server may be back one day, as when an address moved. */
static void putback_early(struct feed *f)
{
    if (f->record.run_id[0] == '\0' || f->ops->kind == FEED_NOTIFY || f->putback.fn != NULL ||
        strcmp(f->record.run_id, f->last.run_id) != 0)
        return;
    putback_start(&f->putback, watch_conn(f->watch), &f->record, 0, on_put_back_early, f);
}

static void stop_done(struct feed *f, bool ok)
{
    void (*fn)(bool put_back, void *arg) = f->stopped;

    f->stopped = NULL;
    retire(f);
    if (fn != NULL)
        fn(ok, f->stopped_arg);
}

static void on_put_back(bool ok, void *arg)
{
    struct feed *f = arg;
    FEED_HELD(f);

    record_cleared(f, &ok);
    if (!f->freed)
        stop_done(f, ok);
}

static void on_stop(void *arg)
{
    struct feed *f = arg;
    FEED_HELD(f);
    struct conn *c = f->ops != NULL && f->ops->quiet != NULL ? f->ops->quiet(f->kind) : watch_conn(f->watch);

    end_barrier(f, -ECANCELED);
    if (f->freed)
        return;
    putback_cancel(&f->putback);
    if (f->record.run_id[0] == '\0') {
        stop_done(f, true);
        return;
    }
    putback_start(&f->putback, c, &f->record, STOP_MAX_MS, on_put_back, f);
}

void feed_stop(struct feed *f, void (*fn)(bool put_back, void *arg), void *arg)
{
    FEED_HELD(f);

    f->state = STOPPED;
    f->stopped = fn;
    f->stopped_arg = arg;
    f->live = false;
    f->proof = PROOF_NONE;
    if (f->ops != NULL && f->ops->quiet == NULL)
        retire(f);
    else if (f->ops != NULL)
        f->ops->quiet(f->kind);
    defer_cancel(f->loop, &f->later);
    loop_defer(f->loop, &f->later, on_stop, f);
}

/* The source is read */

static void warn_thin(struct feed *f, const struct watchpoint *p)
{
    if (!f->ops->marks || f->ops->sees_all || f->told_thin ||
        (p->flushes != WATCH_UNKNOWN && p->swaps != WATCH_UNKNOWN))
        return;
    f->told_thin = true;
    sink_say(f->sink, SINK_WARNING, "thin_info",
             "INFO commandstats of the source cannot be read: SWAPDB%s, consumer groups and functions change "
             "unseen",
             f->ops->kind == FEED_TRACKING ? "" : ", FLUSHALL and FLUSHDB");
}

static void say_news(struct feed *f, const struct watchlist_news *news)
{
    f->resumed &= news->gap[0] == '\0';
    if (news->gap[0] != '\0' && f->state == READY) {
        say_gap(f, news->gap);
        if (!f->freed && f->live && f->proof == PROOF_NONE)
            prove(f);
    }
    if (!f->freed && news->groups && f->ev.groups)
        f->ev.groups(f->arg);
    if (!f->freed && news->functions && f->ev.functions)
        f->ev.functions(f->arg);
}

static enum watchlist_for watched_for(const struct feed *f)
{
    if (f->ops == NULL || !f->ops->marks)
        return WATCHLIST_FOR_NOTHING;
    return f->ops->sees_all ? WATCHLIST_FOR_GROUPS : WATCHLIST_FOR_MARKS;
}

static void compare(struct feed *f, const struct watch_sample *s)
{
    struct watchpoint now;
    struct watchlist_news news = {0};

    watchpoint_take(s, &now);
    if (f->has_last)
        watchlist_compare(&f->last, &now, watched_for(f), &news);
    f->last = now;
    f->has_last = true;
    f->told_unreadable = false;
    if (f->ops == NULL)
        return;
    warn_thin(f, &now);
    say_news(f, &news);
}

static void on_sample(struct watch *w, const struct watch_sample *s, void *arg)
{
    struct feed *f = arg;
    FEED_HELD(f);
    (void)w;

    say_reachable(f, true, "");
    if (!f->freed)
        compare(f, s);
    if (!f->freed && f->ev.sample)
        f->ev.sample(s, f->arg);
    if (!f->freed && f->ops != NULL && f->state != STOPPED)
        f->ops->tick(f->kind, s);
    if (!f->freed && f->ops != NULL)
        prove_by(f, s);
}

/* Once an outage. The next reading is compared with the last one before it, and is what `ready` waits for. */
static void unreadable(struct feed *f, const char *why)
{
    if (f->told_unreadable)
        return;
    f->told_unreadable = true;
    sink_say(f->sink, SINK_WARNING, "info_unreadable", "INFO of the source cannot be read: %s", why);
    if (f->state != READY || !f->ops->marks || f->ops->sees_all)
        return;
    say_gap(f, "INFO of the source cannot be read");
    if (!f->freed && f->live && f->proof == PROOF_NONE)
        prove(f);
}

static void on_unreadable(struct watch *w, const char *why, void *arg)
{
    struct feed *f = arg;
    FEED_HELD(f);
    (void)w;

    if (f->ops == NULL || f->state == STOPPED)
        return;
    if (f->ops->marks && f->state != READY && strstr(why, "NOPERM") != NULL) {
        char text[WHY_MAX];
        snprintf(text, sizeof(text), "INFO is refused, and nothing can be watched: ACL SETUSER %s +info (%s)",
                 feed_user(f), why);
        say_unusable(f, text);
        return;
    }
    unreadable(f, why);
    if (f->freed || f->ops == NULL)
        return;
    f->ops->tick(f->kind, NULL);
    if (!f->freed && f->ops != NULL && !f->ops->marks && f->state != READY)
        proved(f);
}

static void on_watch_up(struct watch *w, void *arg)
{
    struct feed *f = arg;
    FEED_HELD(f);
    (void)w;

    say_reachable(f, true, "");
}

static void on_watch_down(struct watch *w, const char *why, bool was_up, void *arg)
{
    struct feed *f = arg;
    FEED_HELD(f);
    (void)w, (void)was_up;

    say_reachable(f, false, why);
    if (!f->freed && f->ops != NULL && f->state != STOPPED)
        f->ops->tick(f->kind, NULL);
}

/* The object */

static void on_start(void *arg)
{
    struct feed *f = arg;
    FEED_HELD(f);

    next_kind(f, FEED_AUTO);
}

static int start(struct feed *f)
{
    static const struct watch_events events = {
        .sample = on_sample, .unreadable = on_unreadable, .up = on_watch_up, .down = on_watch_down};
    int r = putback_init(&f->putback, f->loop, f->sink);

    if (r == 0)
        r = watch_new(f->loop, f->source, "watch", false, &events, f, &f->watch);
    if (r < 0)
        return r;
    if (f->asked != FEED_AUTO)
        return kind_start(f, f->asked);
    loop_defer(f->loop, &f->later, on_start, f);
    return 0;
}

int feed_new(struct loop *l, const struct feed_options *opt, const struct feed_events *ev, void *arg,
             struct feed **ret)
{
    struct feed *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -ENOMEM;
    f->loop = l;
    f->source = opt->source;
    f->sink = opt->sink;
    f->ev = *ev;
    f->arg = arg;
    f->asked = opt->kind;
    f->full_sync = opt->full_sync;
    f->record = opt->recorded;
    f->begin = opt->place;
    int r = start(f);
    if (r < 0) {
        feed_free(f);
        return r;
    }
    *ret = f;
    return 0;
}

struct feed *feed_free(struct feed *f)
{
    if (f == NULL || f->freed)
        return NULL;
    FEED_HELD(f);
    f->freed = true;
    defer_cancel(f->loop, &f->later);
    putback_cancel(&f->putback);
    retire(f);
    f->watch = watch_free(f->watch);
    putback_end(&f->putback);
    return NULL;
}

int feed_barrier(struct feed *f, void (*fn)(int err, void *arg), void *arg)
{
    FEED_HELD(f);

    if (f->state != READY)
        return -ENOTCONN;
    if (f->barrier != NULL)
        return -EBUSY;
    f->barrier = fn;
    f->barrier_arg = arg;
    prove(f);
    return 0;
}

void feed_move(struct feed *f, const char *why)
{
    FEED_HELD(f);

    putback_cancel(&f->putback);
    f->record.run_id[0] = '\0';
    watch_move(f->watch, why);
    f->ops->move(f->kind, why);
}

bool feed_place(const struct feed *f, struct feed_place *ret)
{
    return f->state == READY && f->ops != NULL && f->ops->place != NULL && f->ops->place(f->kind, ret);
}

bool feed_follows(const struct feed *f)
{
    return f->state == READY && f->ops != NULL && f->ops->follows != NULL && f->ops->follows(f->kind);
}

bool feed_is_at(const struct feed *f, const char *run_id)
{
    return f->state == READY && strcmp(f->live_run_id, run_id) == 0;
}

bool feed_resumed(const struct feed *f)
{
    return f->state == READY && f->resumed;
}

void feed_applied(struct feed *f, uint64_t offset)
{
    if (f->ops != NULL && f->ops->applied != NULL)
        f->ops->applied(f->kind, offset);
}

void feed_kind_doubt(struct feed *f, const char *format, ...)
{
    if (!f->status.doubt[0])
        f->doubted_us = loop_now_us(f->loop);
    f->status.doubt[0] = '\0';
    if (format)
        FORMAT(f->status.doubt, format);
}

/* A kind that has places is in doubt only until it is attached again, and asks for what it has not read. */
static bool is_cut_off(const struct feed *f)
{
    return f->state == READY && f->ops && f->ops->place && f->status.doubt[0];
}

void feed_status(const struct feed *f, struct feed_status *ret)
{
    bool cut_off = is_cut_off(f);

    *ret = f->status;
    ret->kind = f->asked == FEED_AUTO ? f->chosen : f->asked;
    ret->state = cut_off ? "reconnecting" : state_names[f->state];
    ret->cut_off_us = cut_off ? loop_now_us(f->loop) - f->doubted_us : 0;
}

struct watch *feed_watch(struct feed *f)
{
    return f->watch;
}
