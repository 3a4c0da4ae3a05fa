#include "lib/feed/receiver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/resp.h"
#include "lib/feed/kind.h"

#define HEAD_MAX    256                  /* kept of a name that is too long */
#define WHOLE_MAX   (KEY_NAME_MAX + KIB) /* of a channel: a key and what stands before it */
#define IN_MAX      (WHOLE_MAX + MIB)
#define OUT_MAX     (64 * KIB)
#define BULK_MAX    ((uint64_t)1 << 40)
#define ARRAY_MAX   ((uint64_t)1 << 40) /* nothing is allocated for it */
#define DRAIN_PINGS 2

enum message { MSG_OTHER, MSG_CONFIRMED, MSG_INVALIDATION, MSG_EVENT, MSG_PONG };

static const struct {
    const char *word;
    enum message message;
} messages[] = {
    {"subscribe", MSG_CONFIRMED},
    {"psubscribe", MSG_CONFIRMED},
    {"message", MSG_INVALIDATION},
    {"pmessage", MSG_EVENT},
    {"pong", MSG_PONG},
};

enum step { STEP_PATTERN, STEP_INVALIDATIONS, STEP_SUBSCRIBED };

struct receiver {
    struct feed *feed;
    struct receiver_options opt;
    struct receiver_events ev;
    void *arg;
    struct conn *conn; /* NULL: closed */
    struct resp resp;

    enum step step;
    bool hears;
    uint64_t pinged, ponged;
    unsigned drain;      /* PINGs still to be answered */
    uint64_t drained_at; /* the present one's number */

    enum message message; /* what is being read, and its element at depth 1 */
    unsigned element;
    char head[HEAD_MAX]; /* of a long bulk */
    size_t head_len;
    uint64_t head_of;
};

static void expect(struct receiver *r)
{
    conn_expect(r->conn, r->step != STEP_SUBSCRIBED || r->pinged != r->ponged);
}

static void request(struct receiver *r, size_t argc, const struct bytes *argv)
{
    if (request_append(conn_out(r->conn), argc, argv) < 0) {
        conn_reset(r->conn, "its output buffer is full");
        return;
    }
    conn_flush(r->conn);
    expect(r);
}

static void subscribe(struct receiver *r)
{
    if (r->step == STEP_PATTERN && r->opt.pattern == NULL)
        r->step = STEP_INVALIDATIONS;
    if (r->step == STEP_PATTERN)
        request(r, 2, (const struct bytes[]){BYTES("PSUBSCRIBE"), bytes_str(r->opt.pattern)});
    else
        request(r, 2, (const struct bytes[]){BYTES("SUBSCRIBE"), BYTES(RECEIVER_INVALIDATIONS)});
}

static void step_done(struct receiver *r)
{
    r->step++;
    if (r->step != STEP_SUBSCRIBED) {
        subscribe(r);
        return;
    }
    expect(r);
    r->ev.subscribed(r->arg);
}

static void on_confirmed(struct receiver *r)
{
    if (r->step == STEP_SUBSCRIBED)
        return;
    r->hears = r->step == STEP_INVALIDATIONS;
    step_done(r);
}

static void ping(struct receiver *r)
{
    r->pinged++;
    request(r, 1, (const struct bytes[]){BYTES("PING")});
}

static void on_pong(struct receiver *r)
{
    r->ponged++;
    expect(r);
    if (r->drain == 0 || r->ponged < r->drained_at)
        return;
    if (--r->drain == 0) {
        r->ev.drained(r->arg);
        return;
    }
    r->drained_at = r->pinged + 1;
    ping(r);
}

/* An error answers what was asked first and not answered yet, as anything else would: a refused PING proves
 * as much. */
static void on_error(struct receiver *r, struct bytes text)
{
    if (r->step == STEP_SUBSCRIBED)
        on_pong(r);
    else if (r->step == STEP_PATTERN)
        r->ev.refused(r->opt.pattern, text, r->arg);
    else if (r->opt.invalidations_needed)
        r->ev.refused(RECEIVER_INVALIDATIONS, text, r->arg);
    else
        step_done(r);
}

static void name_message(struct receiver *r, struct bytes word)
{
    r->message = MSG_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        if (bytes_is(word, messages[i].word))
            r->message = messages[i].message;
    if (r->message == MSG_CONFIRMED)
        on_confirmed(r);
    else if (r->message == MSG_PONG)
        on_pong(r);
}

/* A name in the position where this message has one: [message, channel, [key...]], [pmessage, pattern,
 * channel, event]. Whatever else is published to the channel of invalidations comes as a string, not as an
 * array. */
static bool is_name(const struct receiver *r, const struct resp_token *t)
{
    return (r->message == MSG_INVALIDATION && t->depth == 2) ||
           (r->message == MSG_EVENT && t->depth == 1 && r->element == 3);
}

static void take_long(struct receiver *r, const struct resp_token *t)
{
    size_t n = MIN(t->text.len, sizeof(r->head) - r->head_len);

    memcpy(r->head + r->head_len, t->text.ptr, n);
    r->head_len += n;
    if (t->number > 0)
        return;
    struct bytes head = bytes_of(r->head, r->head_len);
    const struct receiver_messages *m = &r->opt.messages;
    if (r->message == MSG_INVALIDATION)
        m->long_key(head, r->head_of, m->arg);
    else
        m->long_event(head, r->head_of, m->arg);
}

static void take_name(struct receiver *r, const struct resp_token *t)
{
    const struct receiver_messages *m = &r->opt.messages;

    if (t->type == RESP_BULK_PART) {
        take_long(r, t);
    } else if (t->type == RESP_BULK_START) {
        r->head_len = 0;
        r->head_of = (uint64_t)t->number;
    } else if (t->type == RESP_BULK) {
        if (r->message == MSG_INVALIDATION)
            m->key(t->text, m->arg);
        else
            m->event(t->text, m->arg);
    }
}

static void take(struct receiver *r, const struct resp_token *t)
{
    if (t->depth == 0) {
        r->message = MSG_OTHER;
        r->element = 0;
        if (t->type == RESP_ERROR)
            on_error(r, t->text);
        return;
    }
    if (t->depth == 1 && t->type != RESP_BULK_PART)
        r->element++;
    if (t->depth == 1 && r->element == 1 && t->type == RESP_BULK)
        name_message(r, t->text);
    else if (is_name(r, t))
        take_name(r, t);
    else if (r->message == MSG_INVALIDATION && t->depth == 1 && r->element == 3 && t->type == RESP_NIL)
        r->opt.messages.flushed(r->opt.messages.arg);
}

static size_t on_input(struct conn *c, struct bytes in, void *arg)
{
    struct receiver *r = arg;
    FEED_HELD(r->feed);
    struct bytes rest = in;
    struct resp_token t;
    int err = 0;

    while (r->conn != NULL && conn_is_up(c) && (err = resp_next(&r->resp, &rest, &t)) == 0)
        take(r, &t);
    if (err == -EBADMSG && r->conn != NULL)
        conn_reset(c, "the server sent what is no RESP2");
    return in.len - rest.len;
}

static void on_up(struct conn *c, void *arg)
{
    struct receiver *r = arg;
    FEED_HELD(r->feed);

    conn_raw(c);
    resp_init(&r->resp, WHOLE_MAX, BULK_MAX, ARRAY_MAX);
    r->step = STEP_PATTERN;
    r->hears = false;
    r->pinged = r->ponged = 0;
    r->drain = 0;
    subscribe(r);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct receiver *r = arg;
    FEED_HELD(r->feed);
    (void)c;

    r->ev.down(why, was_up, r->arg);
}

int receiver_new(struct feed *f, const struct receiver_options *opt, const struct receiver_events *ev,
                 void *arg, struct receiver **ret)
{
    static const struct conn_events events = {.up = on_up, .down = on_down, .input = on_input};
    const struct conn_options conn_opt = {
        .endpoint = feed_source(f),
        .role = opt->role,
        .in_max = IN_MAX,
        .out_max = OUT_MAX,
        .out_high = OUT_MAX,
    };
    struct receiver *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    *r = (struct receiver){.feed = f, .opt = *opt, .ev = *ev, .arg = arg};
    int err = conn_new(feed_loop(f), &conn_opt, &events, r, &r->conn);
    if (err < 0) {
        free(r);
        return err;
    }
    *ret = r;
    return 0;
}

void receiver_close(struct receiver *r)
{
    r->conn = conn_free(r->conn);
}

struct receiver *receiver_free(struct receiver *r)
{
    if (r == NULL)
        return NULL;
    receiver_close(r);
    free(r);
    return NULL;
}

struct conn *receiver_conn(struct receiver *r)
{
    return r->conn;
}

bool receiver_hears_invalidations(const struct receiver *r)
{
    return r->hears;
}

static bool is_listening(const struct receiver *r)
{
    return r->conn != NULL && conn_is_up(r->conn) && r->step == STEP_SUBSCRIBED;
}

void receiver_ping(struct receiver *r)
{
    if (is_listening(r) && r->pinged == r->ponged)
        ping(r);
}

void receiver_drain(struct receiver *r)
{
    if (!is_listening(r))
        return;
    r->drain = DRAIN_PINGS;
    r->drained_at = r->pinged + 1;
    ping(r);
}
