#include "lib/feed/pair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/feed/kind.h"

#define BUFFER_MAX (64 * KIB)
#define PREFIX_MAX 64

/* How the server is asked whether it still tracks. What is refused once is not asked again: each refusal
 * would be a line in its ACL LOG. */
enum question { QUESTION_INFO, QUESTION_REDIR, QUESTION_NONE };

enum tracking { UNTRACKED, PUT_OFF, ASKED, TRACKED };

enum drain { DRAIN_NONE, DRAIN_PINGS, DRAIN_QUESTION };

struct pair {
    struct feed *feed;
    struct pair_events ev;
    void *arg;
    struct receiver *receiver;
    struct conn *owner;
    bool receiving, owning, up;

    enum tracking tracking;
    char prefix[PREFIX_MAX];
    size_t prefix_len;

    enum question question;
    uint64_t asked, answered;
    enum drain drain;
    uint64_t drained_at; /* the answer's number */
};

static void part(struct pair *p)
{
    p->up = false;
    p->tracking = UNTRACKED;
    p->drain = DRAIN_NONE;
    p->asked = p->answered = 0;
}

void pair_reset(struct pair *p, const char *why)
{
    part(p);
    p->receiving = p->owning = false;
    conn_reset(p->owner, why);
    conn_reset(receiver_conn(p->receiver), why);
}

static void lose(struct pair *p, const char *which, const char *why)
{
    char text[160];
    bool was_up = p->up;

    if (was_up)
        pair_reset(p, "its other half was lost");
    snprintf(text, sizeof(text), "%s connection lost: %s", which, why);
    if (was_up)
        p->ev.lost(text, p->arg);
}

static void join(struct pair *p)
{
    if (!p->receiving || !p->owning || p->up)
        return;
    const struct server_id *a = conn_server(p->owner), *b = conn_server(receiver_conn(p->receiver));
    if (strcmp(a->run_id, b->run_id) != 0) {
        pair_reset(p, "its other half is connected to another server");
        return;
    }
    p->up = true;
    p->ev.up(p->arg);
}

/* CLIENT TRACKING */

bool pair_is_passing(const struct reply *r)
{
    /* 6.0, while it loads, to CONFIG SET. */
    return reply_is_passing(r) ||
           (r->type == REPLY_ERROR && bytes_starts(r->text, "ERR Only CONFIG GET is allowed during loading"));
}

static void on_tracking(struct conn *c, const struct reply *r, void *arg)
{
    struct pair *p = arg;
    FEED_HELD(p->feed);
    (void)c;

    if (p->tracking != ASKED)
        return;
    if (reply_is_ok(r)) {
        p->tracking = TRACKED;
        p->ev.tracked(p->arg);
    } else if (pair_is_passing(r)) {
        p->tracking = PUT_OFF;
    } else if (r->type == REPLY_ERROR && bytes_starts(r->text, "ERR The client ID you want redirect to")) {
        pair_reset(p, "its other half was lost"); /* which it will hear itself */
    } else {
        p->tracking = UNTRACKED;
        p->ev.refused("CLIENT TRACKING", r->text, p->arg);
    }
}

/* Without REDIRECT the server answers OK to a RESP2 client and never tells it anything. */
static void ask_tracking(struct pair *p)
{
    char id[24];
    struct bytes argv[] = {BYTES("CLIENT"),
                           BYTES("TRACKING"),
                           BYTES("ON"),
                           BYTES("REDIRECT"),
                           {0},
                           BYTES("BCAST"),
                           BYTES("PREFIX"),
                           bytes_of(p->prefix, p->prefix_len)};
    uint64_t receiver = conn_client_id(receiver_conn(p->receiver));

    if (receiver == 0) {
        p->ev.refused("CLIENT ID", BYTES("no answer"), p->arg);
        return;
    }
    snprintf(id, sizeof(id), "%" PRIu64, receiver);
    argv[4] = bytes_str(id);
    p->tracking = ASKED;
    if (conn_call(p->owner, p->prefix_len > 0 ? 8 : 6, argv, on_tracking, p) < 0)
        pair_reset(p, "cannot ask for CLIENT TRACKING");
}

void pair_track(struct pair *p, struct bytes prefix)
{
    p->prefix_len = MIN(prefix.len, sizeof(p->prefix));
    if (p->prefix_len > 0)
        memcpy(p->prefix, prefix.ptr, p->prefix_len);
    ask_tracking(p);
}

bool pair_is_tracked(const struct pair *p)
{
    return p->tracking == TRACKED;
}

bool pair_can_track(const struct pair *p)
{
    return receiver_hears_invalidations(p->receiver);
}

/* Does it still track? */

static const struct reply *info_field(const struct reply *r, const char *name)
{
    struct bytes text;

    for (size_t i = 0; i + 1 < r->count; i += 2)
        if (reply_text(r->at[i], &text) && bytes_is(text, name))
            return r->at[i + 1];
    return NULL;
}

static bool has_flag(const struct reply *flags, const char *name)
{
    struct bytes text;

    for (size_t i = 0; flags != NULL && flags->type == REPLY_ARRAY && i < flags->count; i++)
        if (reply_text(flags->at[i], &text) && bytes_is(text, name))
            return true;
    return false;
}

/* [flags, [on, bcast], redirect, id, prefixes, [...]], or the id alone. */
static bool is_in_order(struct pair *p, const struct reply *r)
{
    int64_t redirect;
    const struct reply *id = r;

    if (r->type == REPLY_ARRAY) {
        const struct reply *flags = info_field(r, "flags");
        if (!has_flag(flags, "on") || has_flag(flags, "broken_redirect"))
            return false;
        id = info_field(r, "redirect");
    }
    return reply_integer(id, &redirect) && redirect > 0 &&
           (uint64_t)redirect == conn_client_id(receiver_conn(p->receiver));
}

static void drained(struct pair *p)
{
    p->drain = DRAIN_NONE;
    p->ev.drained(p->arg);
}

static void ask_if_in_order(struct pair *p);

static void on_answer(struct conn *c, const struct reply *r, void *arg)
{
    struct pair *p = arg;
    FEED_HELD(p->feed);
    (void)c;

    p->answered++;
    if (p->tracking != TRACKED)
        return;
    if (r->type == REPLY_ERROR && !pair_is_passing(r)) {
        p->question++;
        if (p->drain == DRAIN_QUESTION)
            ask_if_in_order(p);
    } else if (r->type != REPLY_ERROR && !is_in_order(p, r)) {
        pair_reset(p, "the server does not track for it any more");
        p->ev.lost("the server ended CLIENT TRACKING", p->arg);
    } else if (p->drain == DRAIN_QUESTION && p->answered >= p->drained_at) {
        drained(p);
    }
}

static void ask_if_in_order(struct pair *p)
{
    const struct server_id *id = conn_server(p->owner);

    if (p->question == QUESTION_INFO && id->redis != 0 && id->redis < 60200)
        p->question = QUESTION_REDIR;
    if (p->tracking != TRACKED || p->question >= QUESTION_NONE) {
        if (p->drain == DRAIN_QUESTION)
            drained(p);
        return;
    }
    p->drained_at = ++p->asked;
    const char *words = p->question == QUESTION_INFO ? "CLIENT TRACKINGINFO" : "CLIENT GETREDIR";
    if (conn_call_words(p->owner, on_answer, p, words) < 0)
        conn_reset(p->owner, "cannot be asked");
}

void pair_tick(struct pair *p)
{
    if (!p->up)
        return;
    receiver_ping(p->receiver);
    if (p->tracking == PUT_OFF)
        ask_tracking(p);
    else if (p->tracking == TRACKED && p->asked == p->answered)
        ask_if_in_order(p);
}

void pair_drain(struct pair *p)
{
    if (!p->up)
        return;
    p->drain = DRAIN_PINGS;
    receiver_drain(p->receiver);
}

/* Events of the two */

static void on_drained(void *arg)
{
    struct pair *p = arg;

    if (p->drain != DRAIN_PINGS)
        return;
    p->drain = DRAIN_QUESTION;
    ask_if_in_order(p);
}

static void on_subscribed(void *arg)
{
    struct pair *p = arg;

    p->receiving = true;
    join(p);
}

static void on_refused(const char *channel, struct bytes error, void *arg)
{
    struct pair *p = arg;
    char command[64];

    snprintf(command, sizeof(command), "%sSUBSCRIBE %s", strchr(channel, '*') != NULL ? "P" : "", channel);
    p->ev.refused(command, error, p->arg);
}

static void on_receiver_down(const char *why, bool was_up, void *arg)
{
    struct pair *p = arg;
    (void)was_up;

    p->receiving = false;
    lose(p, "receiving", why);
}

static void on_owner_up(struct conn *c, void *arg)
{
    struct pair *p = arg;
    FEED_HELD(p->feed);
    (void)c;

    p->owning = true;
    join(p);
}

static void on_owner_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct pair *p = arg;
    FEED_HELD(p->feed);
    (void)c;
    (void)was_up;

    p->owning = false;
    lose(p, "tracking", why);
}

static int start(struct pair *p, const struct pair_options *opt)
{
    static const struct conn_events events = {.up = on_owner_up, .down = on_owner_down};
    static const struct receiver_events receiver = {
        .subscribed = on_subscribed, .refused = on_refused, .down = on_receiver_down, .drained = on_drained};
    const struct conn_options owner = {
        .endpoint = feed_source(p->feed),
        .role = opt->owner_role,
        .out_max = BUFFER_MAX,
        .out_high = BUFFER_MAX,
        .fenced = opt->owner_fenced,
    };
    int r = conn_new(feed_loop(p->feed), &owner, &events, p, &p->owner);
    if (r < 0)
        return r;
    return receiver_new(p->feed, &opt->receiver, &receiver, p, &p->receiver);
}

int pair_new(struct feed *f, const struct pair_options *opt, const struct pair_events *ev, void *arg,
             struct pair **ret)
{
    struct pair *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return -ENOMEM;
    p->feed = f;
    p->ev = *ev;
    p->arg = arg;
    int r = start(p, opt);
    if (r < 0) {
        pair_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

void pair_close_receiver(struct pair *p)
{
    part(p);
    p->receiving = false;
    if (p->receiver != NULL)
        receiver_close(p->receiver);
}

void pair_close(struct pair *p)
{
    pair_close_receiver(p);
    p->owner = conn_free(p->owner);
}

struct pair *pair_free(struct pair *p)
{
    if (p == NULL)
        return NULL;
    pair_close(p);
    receiver_free(p->receiver);
    free(p);
    return NULL;
}

struct conn *pair_owner(struct pair *p)
{
    return p->owner;
}

const char *pair_run_id(struct pair *p)
{
    return conn_server(p->owner)->run_id;
}
