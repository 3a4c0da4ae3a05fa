/* The end of a hold: what the pause kept waiting would run as it ends. So everyone is killed first, but riotd
 * and replicas, until none comes back. By id, and pub/sub connections too: a subscriber's postponed write
 * outlives a CLIENT KILL TYPE. */
#include "daemon/fence_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_US  100000
#define EMPTY_US 2000000  /* for as long nobody came back */
#define TRY_US   10000000 /* then it is given up */
#define COUNT_US 10000000 /* for as long writes are counted afterwards */

static void look(struct fence_node *n);
static void look_again(struct fence *f);

static bool is_spared(const struct fence_node *n, const struct client_line *c)
{
    struct bytes role;

    if (c->id == conn_client_id(n->conn) || memchr(c->flags.ptr, 'S', c->flags.len) ||
        memchr(c->flags.ptr, 'M', c->flags.len))
        return true;
    return client_is_of(c->name, n->endpoint.client, &role);
}

static void name_client(struct fence *f, const struct client_line *c)
{
    char addr[64], name[64];

    snprintf(f->hold.who, sizeof(f->hold.who), "%s (user %.*s, name \"%s\")",
             bytes_escape(c->addr, addr, sizeof(addr)), (int)MIN(c->user.len, (size_t)64), c->user.ptr,
             bytes_escape(c->name, name, sizeof(name)));
}

/* The pause has ended. */

static void counted(struct fence *f, const char *unreadable)
{
    (void)unreadable;
    fence_tell_slipped(f, "writes were made on the old source after its pause had ended");
    fence_answer(f, 0, "%s", "");
}

static void count(struct fence *f)
{
    fence_want_sample(f, counted);
    fence_wait(f, EMPTY_US, look_again);
}

static void unpaused(struct fence *f)
{
    f->hold.ended = true;
    fence_wait(f, COUNT_US, count);
}

/* Killing. */

static void on_killed(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;

    if (r->type == REPLY_ERROR && !bytes_is(r->text, "ERR No such client"))
        fence_error(r, n->fence->hold.refused);
}

static bool kill_all(struct fence_node *n, struct bytes list, size_t *ret_count)
{
    struct fence *f = n->fence;
    struct client_line line;
    char words[64];

    *ret_count = 0;
    while (client_next(&list, &line)) {
        if (is_spared(n, &line))
            continue;
        if (f->hold.killed)
            name_client(f, &line);
        snprintf(words, sizeof(words), "CLIENT KILL ID %" PRIu64, line.id);
        if (!fence_call(n, on_killed, words))
            return false;
        ++*ret_count;
    }
    return true;
}

static void tell_empty(struct fence *f)
{
    f->say_empty = true;
    fence_tell(f);
}

static void on_list(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct fence *f = n->fence;
    uint64_t now = fence_now_us();
    char why[FENCE_WHY_MAX];
    struct bytes list;
    size_t seen;
    (void)c;

    f->hold.asking = false;
    if (!reply_text(r, &list)) {
        fence_answer(f, -EACCES, "CLIENT LIST: %s", fence_error(r, why));
        return;
    }
    if (!kill_all(n, list, &seen))
        return;
    if (seen || !f->hold.killed)
        f->hold.empty_since_us = now;
    f->hold.killed = true;
    f->hold.empty = now - f->hold.empty_since_us >= EMPTY_US;
    fence_wait(f, LOOK_US, look_again);
    if (f->hold.force || (f->hold.empty && !f->ev.hold_empty))
        fence_hold_go(f);
    else if (f->hold.empty)
        tell_empty(f);
}

bool fence_hold_is_empty(const struct fence *f)
{
    return f->hold.empty;
}

void fence_hold_go(struct fence *f)
{
    if (f->step != FENCE_ENDING_HOLD || f->hold.going)
        return;
    f->hold.going = true;
    fence_wait(f, 0, NULL);
    fence_pause_let_go(f, unpaused);
}

static void look(struct fence_node *n)
{
    n->fence->hold.asking = fence_call(n, on_list, "CLIENT LIST");
}

static void look_again(struct fence *f)
{
    struct fence_node *n = fence_primary(f);
    struct fence_hold *h = &f->hold;

    if (h->ended) { /* nobody can be asked for what was written */
        f->sampled = NULL;
        counted(f, "no answer");
        return;
    }
    if (!fence_is_paused(f) && !h->force) {
        fence_answer(f, -ETIMEDOUT, "writes to the source do not wait any more, or not surely");
        return;
    }
    if (fence_now_us() - h->began_us < TRY_US) {
        fence_wait(f, LOOK_US, look_again);
        if (n->ready && !h->asking)
            look(n);
    } else if (h->empty) {
        fence_answer(f, -EAGAIN, "its clients are gone, but not those of the other shards");
    } else if (h->refused[0]) {
        fence_answer(f, -EACCES, "clients of the source cannot be killed: %s", h->refused);
    } else if (h->who[0]) {
        fence_answer(f, -EBUSY, "clients of the old source come back as soon as they are closed: %s", h->who);
    } else {
        fence_answer(f, -EHOSTUNREACH, "the source does not answer: %s", conn_why(n->conn));
    }
}

void fence_end_hold_begin(struct fence *f, bool force)
{
    f->hold = (struct fence_hold){.force = force, .began_us = fence_now_us()};
    fence_count_from_commit(f);
    look_again(f);
}
