/* target.c - see target.h. What is asked of the nodes, and of all of them as one. */
#include "lib/copy/target_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOVED_US   2000  /* until a key is tried at the node that MOVED named */
#define UNKNOWN_US 50000 /* until the map may know the node that MOVED or ASK named */

static void topology_changed(void *arg)
{
    target_follow(arg);
}

int target_new(struct loop *loop, const struct target_options *opt, const struct target_events *ev, void *arg,
               struct target **ret)
{
    struct target *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->loop = loop;
    t->opt = *opt;
    t->ev = *ev;
    t->arg = arg;
    t->listener = (struct topology_listener){.changed = topology_changed, .arg = t};
    if (opt->nodes)
        topology_listen(opt->nodes, &t->listener);
    int err = target_begin_nodes(t);
    if (err) {
        target_free(t);
        return err;
    }
    *ret = t;
    return 0;
}

struct target *target_free(struct target *t)
{
    if (!t)
        return NULL;
    if (t->opt.nodes)
        topology_unlisten(t->opt.nodes, &t->listener);
    target_end_nodes(t);
    free(t);
    return NULL;
}

void target_tick(struct target *t)
{
    uint64_t now_us = loop_now_us(t->loop);

    for (struct target_node *n = t->first; n; n = n->next)
        if (n->rests_until_us && now_us >= n->rests_until_us) {
            n->rests_until_us = 0;
            t->ev.up(t->arg);
        }
    if (t->incomplete)
        target_follow(t);
}

/* The nodes. */

struct target_node *target_nodes(const struct target *t)
{
    return t->first;
}

struct target_node *target_find(const struct target *t, const char *address)
{
    for (struct target_node *n = t->first; n; n = n->next)
        if (strcmp(n->endpoint->url.text, address) == 0)
            return n;
    return NULL;
}

static bool all(const struct target *t, bool (*is)(const struct target_node *n))
{
    for (const struct target_node *n = t->first; n; n = n->next)
        if (target_counts(n) && !is(n))
            return false;
    return t->first != NULL;
}

/* A connection that comes up was identified: it leads to the server that is approved. */
static bool is_up(const struct target_node *n)
{
    return n->is_approved && writer_is_up(n->writer) && !n->rests_until_us;
}

static bool is_approved(const struct target_node *n)
{
    return n->is_approved;
}

static bool is_known(const struct target_node *n)
{
    return n->is_known;
}

static bool has_base(const struct target_node *n)
{
    return n->has_base;
}

static bool watch_is_up(const struct target_node *n)
{
    return conn_is_up(watch_conn(n->watch));
}

static bool was_read(const struct target_node *n)
{
    return n->was_read;
}

bool target_is_up(const struct target *t)
{
    return t->covered && all(t, is_up);
}

bool target_is_approved(const struct target *t)
{
    return all(t, is_approved);
}

bool target_is_known(const struct target *t)
{
    return all(t, is_known);
}

bool target_has_base(const struct target *t)
{
    return all(t, has_base);
}

bool target_watch_is_up(const struct target *t)
{
    return all(t, watch_is_up);
}

bool target_is_full(const struct target *t)
{
    for (const struct target_node *n = t->first; n; n = n->next)
        if (writer_is_full(n->writer))
            return true;
    return false;
}

uint64_t target_outstanding_bytes(const struct target *t)
{
    uint64_t bytes = 0;

    for (const struct target_node *n = t->first; n; n = n->next)
        bytes += writer_outstanding_bytes(n->writer);
    return bytes;
}

size_t target_buffered(const struct target *t)
{
    size_t bytes = 0;

    for (const struct target_node *n = t->first; n; n = n->next)
        bytes += buf_len(conn_out(writer_conn(n->writer)));
    return bytes;
}

size_t target_count(const struct target *t)
{
    size_t count = 0;

    for (const struct target_node *n = t->first; n; n = n->next)
        count++;
    return count;
}

void target_limit(struct target *t, size_t out_high)
{
    t->opt.out_high = out_high;
    for (struct target_node *n = t->first; n; n = n->next)
        writer_limit(n->writer, out_high);
}

/* A connection that is down has nothing out; one that counts is to be there all the same. */
bool target_is_idle(const struct target *t)
{
    for (const struct target_node *n = t->first; n; n = n->next)
        if (n->watch_due || (!writer_is_idle(n->writer) && (target_counts(n) || writer_is_up(n->writer))))
            return false;
    return true;
}

/* Two time-outs after the loss, where the former connection cannot be shown dead. */
bool target_functions_may_be_late(const struct target_node *n)
{
    return n->functions_lost_us && !conn_is_fenced(watch_conn(n->watch)) &&
           loop_now_us(n->of->loop) < n->functions_lost_us + 2000ull * n->endpoint->timeout_ms;
}

bool target_may_be_late(const struct target *t)
{
    uint64_t now_us = loop_now_us(t->loop);

    for (const struct target_node *n = t->first; n; n = n->next)
        if (now_us < n->late_until_us || target_functions_may_be_late(n))
            return true;
    return false;
}

/* Writing. */

static struct target_node *owner_of(const struct target *t, unsigned slot)
{
    uint16_t number = t->owner[slot];
    return number == NODE_NONE ? NULL : t->by_number[number];
}

struct target_node *target_of_name(const struct target *t, struct bytes key)
{
    return t->only ? t->only : owner_of(t, slot_of(key));
}

/* Where the node that ASK named is not to be written to any more, the owner says so again. */
static struct target_node *asked_of(const struct target *t, const struct dirty_key *k)
{
    struct target_node *n = k->ask && k->server < t->nnumbers ? t->by_number[k->server] : NULL;
    return n && is_up(n) ? n : NULL;
}

struct target_node *target_of(const struct target *t, const struct dirty_key *k)
{
    if (t->only && !k->ask)
        return t->only;
    struct target_node *asked = k->ask ? asked_of(t, k) : NULL;
    return asked ? asked : target_of_name(t, dirty_name(k));
}

static int ask_first(struct target_node *n, const struct dirty_key *k)
{
    return k->ask && k->server == n->number ? writer_asking(n->writer, k) : 0;
}

static int begin_key(struct target_node *n, struct dirty_key *k)
{
    int err = ask_first(n, k);

    k->ask = false;
    return err;
}

int target_type(struct target_node *n, struct dirty_key *k)
{
    int err = ask_first(n, k);
    return err ? err : writer_type(n->writer, k);
}

int target_delete(struct target_node *n, struct dirty_key *k)
{
    int err = begin_key(n, k);
    return err ? err : writer_delete(n->writer, k);
}

int target_restore(struct target_node *n, struct dirty_key *k, int64_t expire_at_ms, struct bytes payload)
{
    int err = begin_key(n, k);
    return err ? err : writer_restore(n->writer, k, expire_at_ms, payload);
}

int target_restore_begin(struct target_node *n, struct dirty_key *k, int64_t expire_at_ms, uint64_t length)
{
    int err = begin_key(n, k);
    if (!err)
        err = writer_restore_begin(n->writer, k, expire_at_ms, length);
    if (!err)
        n->of->passing = n;
    return err;
}

int target_restore_part(struct target *t, struct bytes part)
{
    return t->passing ? writer_restore_part(t->passing->writer, part) : -ENOTCONN;
}

bool target_part_has_room(const struct target *t)
{
    return !t->passing || !writer_is_full(t->passing->writer);
}

void target_break(struct target *t, const char *why)
{
    if (t->passing)
        writer_break(t->passing->writer, why);
}

/* Other nodes than the one that was thought to be it. */

void target_refresh(struct target *t)
{
    if (t->opt.nodes)
        topology_refresh(t->opt.nodes);
}

bool target_redirected(struct target_node *n, struct dirty_key *k, struct bytes error, uint64_t *ret_delay_us)
{
    struct target *t = n->of;
    struct topology_node where;
    struct redirect r;

    if (!t->opt.nodes || !redirect_parse(error, &r))
        return false;
    topology_redirect(t->opt.nodes, n->endpoint, &r, &where);
    struct target_node *to = target_at(t, &where);
    bool there = to && is_up(to);
    if (!r.ask || !there)
        topology_refresh(t->opt.nodes);
    if (r.ask && there) {
        k->ask = true;
        k->server = to->number;
    } else if (there && !t->only) {
        t->owner[r.slot] = to->number; /* the map will say the same, or MOVED comes again */
        t->moved = true;
    }
    *ret_delay_us = !there ? UNKNOWN_US : r.ask ? 0 : MOVED_US;
    return true;
}

/* Barrier and seal. */

void target_read(struct target *t)
{
    for (struct target_node *n = t->first; n; n = n->next) {
        n->read_seq = watch_read(n->watch);
        n->was_read = false;
    }
}

bool target_was_read(const struct target *t)
{
    return all(t, was_read);
}

bool target_is_unproved(const struct target *t)
{
    for (const struct target_node *n = t->first; n; n = n->next)
        if (n->unproved)
            return true;
    return false;
}

static void watch_told(struct target_node *n, int what, const struct reply *r)
{
    int64_t numbers[WRITER_NUMBERS] = {0};
    size_t count = r->type == REPLY_ARRAY ? MIN(r->count, ARRAY_LEN(numbers)) : 1;
    bool known = true;

    n->watch_due--;
    for (size_t i = 0; i < count; i++)
        known &= reply_integer(r->type == REPLY_ARRAY ? r->at[i] : r, &numbers[i]);
    n->of->ev.told(what, known ? count : 0, numbers, r->type == REPLY_ERROR ? r->text : (struct bytes){0},
                   n->of->arg);
}

static void watch_told_wait(struct conn *c, const struct reply *r, void *arg)
{
    (void)c;
    watch_told(arg, TARGET_WAIT, r);
}

static void watch_told_waitaof(struct conn *c, const struct reply *r, void *arg)
{
    (void)c;
    watch_told(arg, TARGET_WAITAOF, r);
}

/* On another connection than one that wrote it would prove nothing. */
static int confirm_node(struct target_node *n, int what, size_t argc, const struct bytes *argv,
                        unsigned *ret_due)
{
    int err = 0;

    if (n->writer_wrote) {
        ++*ret_due;
        err = writer_ask(n->writer, what, argc, argv);
    }
    if (!err && n->watch_wrote) {
        ++*ret_due;
        err = conn_call(watch_conn(n->watch), argc, argv,
                        what == TARGET_WAIT ? watch_told_wait : watch_told_waitaof, n);
        n->watch_due += err == 0; /* else nobody answers, and no later seal would find it quiet */
    }
    return err;
}

int target_confirm(struct target *t, int what, size_t argc, const struct bytes *argv, unsigned *ret_due)
{
    int err = 0;

    for (struct target_node *n = t->first; n && !err; n = n->next)
        err = confirm_node(n, what, argc, argv, ret_due);
    return err;
}

static void close_conn(struct conn *c)
{
    conn_hold(c, true);
    conn_reset(c, "copying has ended");
}

void target_close(struct target *t)
{
    t->closed = true;
    for (struct target_node *n = t->first; n; n = n->next) {
        close_conn(writer_conn(n->writer));
        close_conn(watch_conn(n->watch));
        n->closed_clean = true;
    }
}

void target_open(struct target *t)
{
    t->closed = false;
    for (struct target_node *n = t->first; n; n = n->next) {
        conn_hold(writer_conn(n->writer), false);
        conn_hold(watch_conn(n->watch), false);
    }
}
