#include "lib/feed/putback.h"

#include <stdio.h>
#include <string.h>

#define LOOK_US 200000 /* between two looks at a connection that is down */

bool putback_is_ours(const struct notify_record *rec, const char *present)
{
    char wanted[NOTIFY_FLAGS_MAX];

    if (rec->after[0] != '\0')
        return strcmp(present, rec->after) == 0;
    return flags_add(rec->before, wanted, sizeof(wanted)) == 0 && flags_same(present, wanted);
}

bool putback_value(const struct reply *r, char *out, size_t cap, struct bytes *ret_why)
{
    struct bytes value;

    *ret_why = r->type == REPLY_ERROR ? r->text : BYTES("CONFIG GET knows no " FLAGS_NAME);
    if (!reply_text(reply_at(r, 1), &value) || value.len >= cap)
        return false;
    memcpy(out, value.ptr, value.len);
    out[value.len] = '\0';
    return true;
}

static void finish(struct putback *p, bool ok)
{
    putback_fn *fn = p->fn;

    p->fn = NULL;
    timer_clear(p->timer);
    fn(ok, p->arg);
}

static void fail(struct putback *p, struct bytes why)
{
    char text[128];

    sink_say(p->sink, SINK_WARNING, "notify_not_put_back",
             "%s of the source cannot be put back to \"%s\": %s", FLAGS_NAME, p->rec.before,
             bytes_escape(why, text, sizeof(text)));
    finish(p, false);
}

/* Is this the answer that is waited for? */
static bool answered(struct putback *p, struct conn *c)
{
    if (p->stale > 0 && p->stale_conn == c && p->stale_us == conn_since_us(c)) {
        p->stale--;
        return false;
    }
    p->asked_us = 0;
    return p->fn != NULL;
}

static void ask(struct putback *p, size_t argc, const struct bytes *argv, conn_reply_fn *fn)
{
    if (conn_call(p->conn, argc, argv, fn, p) == 0)
        p->asked_us = conn_since_us(p->conn);
}

static void read_value(struct putback *p, conn_reply_fn *fn)
{
    const struct bytes argv[] = {BYTES("CONFIG"), BYTES("GET"), BYTES(FLAGS_NAME)};
    ask(p, ARRAY_LEN(argv), argv, fn);
}

/* The value that the answer holds. False: there is none, and what was to be done about it is done. */
static bool take_value(struct putback *p, struct conn *c, const struct reply *r, char ret[NOTIFY_FLAGS_MAX])
{
    struct bytes why;

    if (!answered(p, c))
        return false;
    if (putback_value(r, ret, NOTIFY_FLAGS_MAX, &why))
        return true;
    fail(p, why);
    return false;
}

static void on_confirmed(struct conn *c, const struct reply *r, void *arg)
{
    struct putback *p = arg;
    char present[NOTIFY_FLAGS_MAX];

    if (!take_value(p, c, r, present))
        return;
    if (!flags_same(present, p->rec.before)) {
        fail(p, BYTES("the source does not keep it"));
        return;
    }
    sink_say(p->sink, SINK_NOTICE, "notify_put_back", "%s of the source is \"%s\" again, as it was before",
             FLAGS_NAME, p->rec.before);
    finish(p, true);
}

static void on_set(struct conn *c, const struct reply *r, void *arg)
{
    struct putback *p = arg;

    if (!answered(p, c))
        return;
    if (reply_is_ok(r))
        read_value(p, on_confirmed);
    else
        fail(p, r->text);
}

static void set_value(struct putback *p)
{
    const struct bytes argv[] = {BYTES("CONFIG"), BYTES("SET"), BYTES(FLAGS_NAME), bytes_str(p->rec.before)};
    ask(p, ARRAY_LEN(argv), argv, on_set);
}

static void on_value(struct conn *c, const struct reply *r, void *arg)
{
    struct putback *p = arg;
    char present[NOTIFY_FLAGS_MAX];

    if (!take_value(p, c, r, present))
        return;
    if (putback_is_ours(&p->rec, present)) {
        set_value(p);
    } else {
        /* After a change that was only intended, the former value means that it never came to be, or was
         * undone. */
        if (!flags_same(present, p->rec.before))
            sink_say(p->sink, SINK_WARNING, "notify_left_alone",
                     "%s of the source is \"%s\" now, which is not what riotd set (\"%s\"): left as it is. "
                     "Before riotd it "
                     "was \"%s\"",
                     FLAGS_NAME, present, p->rec.after, p->rec.before);
        finish(p, true);
    }
}

/* CONFIG SET does not outlive the server's process: under another run id there is nothing of ours. */
static void begin(struct putback *p)
{
    const struct server_id *id = conn_server(p->conn);

    if (id != NULL && strcmp(id->run_id, p->rec.run_id) != 0) {
        sink_say(p->sink, SINK_NOTICE, "notify_put_back",
                 "the source was restarted since riotd set %s: nothing is left of it to put back",
                 FLAGS_NAME);
        finish(p, true);
        return;
    }
    read_value(p, on_value);
}

/* Calls on a connection that is lost are dropped without an answer: then it begins anew in its next life. */
static void on_timer(void *arg)
{
    struct putback *p = arg;
    uint64_t now = loop_now_us(p->loop);

    if (p->until_us != 0 && now >= p->until_us) {
        fail(p, BYTES("the source does not answer"));
        return;
    }
    timer_set(p->timer, LOOK_US);
    if (conn_is_up(p->conn) && p->asked_us != conn_since_us(p->conn))
        begin(p);
}

int putback_init(struct putback *p, struct loop *l, const struct sink *sink)
{
    *p = (struct putback){.loop = l, .sink = sink};
    return timer_new(l, on_timer, p, &p->timer);
}

void putback_end(struct putback *p)
{
    p->timer = timer_free(p->timer);
}

void putback_start(struct putback *p, struct conn *borrowed, const struct notify_record *rec, uint64_t max_ms,
                   putback_fn *fn, void *arg)
{
    p->conn = borrowed;
    p->rec = *rec;
    p->fn = fn;
    p->arg = arg;
    p->asked_us = 0;
    p->until_us = max_ms > 0 ? loop_now_us(p->loop) + max_ms * 1000 : 0;
    timer_set(p->timer, 0);
}

void putback_cancel(struct putback *p)
{
    if (p->fn == NULL)
        return;
    p->fn = NULL;
    timer_clear(p->timer);
    if (p->asked_us != 0) {
        bool more = p->stale_conn == p->conn && p->stale_us == p->asked_us;
        p->stale = more ? p->stale + 1 : 1;
        p->stale_conn = p->conn;
        p->stale_us = p->asked_us;
        p->asked_us = 0;
    }
}
