/* psync.c - marks from the replication stream of the source.
 *
 * The stream names every key that changes, with its database once a SELECT has come (until then a mark is for
 * all of the scope). What it says of whole databases (a flush, SWAPDB), and what is not understood in it, is
 * a gap. Its offset proves barriers: the source's own offset, read after the question, has been passed.
 *
 * A lost connection is no gap as such: the next one asks for what follows the last command that was taken. It
 * becomes one where the source does not have that any more. Where it has, but is another server, or goes on
 * under another replication id, as after a failover, that is told: keys may have been read that the new
 * primary never had, and no mark comes for those.
 *
 * What is acknowledged to the source is what the owner says the target has, so WAIT there means something.
 */
#include "lib/feed/kind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/feed/learner.h"
#include "lib/feed/replica.h"

struct psync {
    struct feed *feed;
    struct replica *replica;
    struct stream stream;
    struct command_keys *keys;
    struct learner learner;
    int db;                     /* of the commands that come, or FEED_ANY_DB */
    struct replica_place place; /* behind the last command that was taken */
    char run_id[RUN_ID_MAX];    /* of the source that it is in */
    bool has_place, in_multi;
    bool restored; /* it is an earlier process's */
    bool anew;     /* the next connection does not go on from there */
    char lost[80]; /* why there is no connection now, to go on from there; "" */

    bool draining, has_goal;
    uint64_t reading; /* of the source, in which the goal is */
    uint64_t goal;    /* the offset that is to be passed */
    uint64_t asked;   /* by GETACK: until all before it is applied, what is is told at once; 0: nothing */
};

/* What comes on this connection cannot be relied on. */
static void begin_anew(struct psync *p, const char *why)
{
    p->anew = true;
    replica_reset(p->replica, why);
}

static void look_at_goal(struct psync *p)
{
    if (!p->draining || !p->has_goal || p->stream.offset < p->goal)
        return;
    p->draining = false;
    feed_kind_drained(p->feed);
}

/* What the stream says. */

static void on_key(int db, struct bytes key, void *arg)
{
    struct psync *p = arg;
    feed_kind_mark(p->feed, db == KEYS_HERE ? p->db : db, key);
}

static void on_long_key(int db, struct bytes prefix, uint64_t length, void *arg)
{
    struct psync *p = arg;
    feed_kind_long_key(p->feed, db == KEYS_HERE ? p->db : db, prefix, length);
}

/* A gap, since it may have changed anything. Where the source does not tell of it either, each more would be
 * one: then `auto` takes the next kind. */
static void on_unknown(struct psync *p, struct bytes name)
{
    char text[80];

    bytes_escape(name, text, sizeof(text));
    if (learner_want(&p->learner, name) || !feed_may_pass(p->feed))
        feed_kind_missed(p->feed, "it is not known what the command %s changes", text);
    else
        feed_kind_unusable(p->feed, "it is not known what the command %s changes, which the stream has",
                           text);
}

static void take_effect(struct psync *p, const struct command_effect *e)
{
    switch (e->kind) {
    case EFFECT_QUIET:
    case EFFECT_NONE:
    case EFFECT_KEYS:
        break;
    case EFFECT_MULTI:
    case EFFECT_EXEC:
        p->in_multi = e->kind == EFFECT_MULTI;
        break;
    case EFFECT_GETACK: /* as of WAIT */
        replica_acknowledge_now(p->replica);
        p->asked = p->place.offset;
        feed_kind_asked(p->feed, p->asked);
        break;
    case EFFECT_SELECT:
        p->db = e->db;
        break;
    case EFFECT_FLUSH_DB:
    case EFFECT_FLUSH_ALL:
        feed_kind_missed(p->feed, "the source was flushed");
        break;
    case EFFECT_SWAP_DBS:
        feed_kind_missed(p->feed, "SWAPDB ran on the source");
        break;
    case EFFECT_SLOTS:
        feed_kind_missed(p->feed, "slots of the source came, went or were emptied");
        break;
    case EFFECT_FUNCTIONS:
        feed_kind_functions(p->feed);
        break;
    case EFFECT_UNKNOWN:
        on_unknown(p, e->name);
        break;
    }
}

/* False: what comes is to be taken argument by argument. */
static bool take_set(struct psync *p, struct bytes *in)
{
    struct stream_set set;

    if (!stream_take_set(&p->stream, in, &set))
        return false;
    p->place.offset = p->stream.offset;
    feed_kind_value(p->feed, p->db, set.key, set.value, set.expire_at_ms);
    return true;
}

static size_t on_input(struct bytes in, void *arg)
{
    struct psync *p = arg;
    struct bytes rest = in;
    struct stream_arg a;
    struct command_effect effect;
    int err = 0;

    while (replica_is_attached(p->replica)) {
        if (take_set(p, &rest))
            continue;
        err = stream_next(&p->stream, &rest, &a);
        if (err)
            break;
        if (command_keys_take(p->keys, &a, &effect)) {
            p->place.offset = a.offset;
            take_effect(p, &effect);
        }
        stream_want(&p->stream, command_keys_wants(p->keys));
    }
    if (err == -EBADMSG)
        begin_anew(p, "the source sent what is no command");
    else if (replica_is_attached(p->replica))
        look_at_goal(p);
    return in.len - rest.len;
}

/* What becomes of the connection. */

static void tell_anew(struct psync *p, const char *why)
{
    sink_say(feed_sink(p->feed), SINK_NOTICE, "resync_needed",
             "the stream cannot be gone on with where it was left, so all keys are gone through: %s", why);
}

static void tell_back(struct psync *p)
{
    sink_say(feed_sink(p->feed), SINK_NOTICE, "feed_back",
             "the replication connection to %s was lost (%s) and is back: the stream goes on where it was, "
             "nothing was missed",
             feed_source(p->feed)->url.text, p->lost);
}

static void on_attached(const struct replica_place *at, bool resumed, void *arg)
{
    static const char moved[] =
        "the source was restarted or replaced, or had a failover, while riotd was away";
    struct psync *p = arg;
    const char *run_id = replica_run_id(p->replica);
    bool other =
        resumed && (strcmp(at->replid, p->place.replid) != 0 || strcmp(run_id, p->run_id) != 0 || !run_id[0]);

    if (p->restored && resumed && !other)
        feed_kind_resumed(p->feed);
    else if (p->restored) /* what was read ahead of the stream is not known any more */
        tell_anew(p, moved);
    p->place = *at;
    snprintf(p->run_id, sizeof(p->run_id), "%s", run_id);
    p->has_place = true;
    p->anew = p->restored = false;
    p->asked = 0;
    stream_init(&p->stream, at->offset);
    command_keys_reset(p->keys);
    if (!resumed) {
        p->db = FEED_ANY_DB;
        p->in_multi = false;
    }
    if (resumed && !other && p->lost[0])
        tell_back(p);
    p->lost[0] = '\0';
    if (other && feed_kind_moved(p->feed))
        tell_anew(p, moved);
    if (replica_is_attached(p->replica))
        feed_kind_live(p->feed, replica_run_id(p->replica));
}

static void on_place_lost(const char *why, void *arg)
{
    struct psync *p = arg;

    p->draining = p->has_place = false;
    if (p->restored)
        tell_anew(p, why);
    p->restored = false;
    feed_kind_lost(p->feed, "replication connection lost, and %s", why);
}

static void on_refused(const char *why, void *arg)
{
    struct psync *p = arg;
    feed_kind_unusable(p->feed, "%s", why);
}

static void on_down(const char *why, bool was_attached, void *arg)
{
    struct psync *p = arg;

    if (!was_attached)
        return;
    if (p->anew) {
        p->draining = p->has_place = false;
        feed_kind_lost(p->feed, "replication connection lost: %s", why);
        return;
    }
    snprintf(p->lost, sizeof(p->lost), "%s", why);
    feed_kind_doubt(
        p->feed, "the replication connection was lost (%s): what follows is asked for as soon as it is back",
        why);
    replica_go_on_from(p->replica, &p->place);
}

/* One of the two is still at the server that was there before; which, is not known. */
static void connect_again(struct psync *p)
{
    static const char why[] = "the stream comes from another server than the one that answers INFO";

    conn_reset(watch_conn(feed_watch(p->feed)), why);
    replica_reset(p->replica, why);
}

/* Bytes are due as long as the source is ahead of what was read. */
static void tick(void *k, const struct watch_sample *s)
{
    struct psync *p = k;

    learner_tick(&p->learner);
    if (s == NULL || !replica_is_attached(p->replica))
        return;
    bool same = strcmp(s->id.replid, replica_id(p->replica)) == 0;
    replica_expect(p->replica, same && p->stream.offset < s->id.repl_offset);
    bool asked = p->draining && !p->has_goal && s->seq >= p->reading;
    if (strcmp(s->id.run_id, p->run_id) != 0 || (asked && !same)) {
        connect_again(p);
        return;
    }
    if (!asked)
        return;
    p->has_goal = true;
    p->goal = s->id.repl_offset;
    look_at_goal(p);
}

static void drain(void *k)
{
    struct psync *p = k;

    p->draining = true;
    p->has_goal = false;
    p->reading = watch_read(feed_watch(p->feed));
}

static void reset(void *k, const char *why)
{
    struct psync *p = k;
    begin_anew(p, why);
}

static bool follows(const void *k)
{
    const struct psync *p = k;
    return p->has_place && !p->anew;
}

static void move(void *k, const char *why)
{
    struct psync *p = k;

    replica_move(p->replica, why);
    learner_move(&p->learner, why);
}

static bool place(const void *k, struct feed_place *ret)
{
    const struct psync *p = k;

    if (!p->has_place || p->anew || p->in_multi)
        return false;
    *ret = (struct feed_place){.offset = p->place.offset, .db = p->db};
    snprintf(ret->run_id, sizeof(ret->run_id), "%s", p->run_id);
    snprintf(ret->replid, sizeof(ret->replid), "%s", p->place.replid);
    return true;
}

/* One byte less than that: with all of it, FAILOVER might choose this replica as the new primary. */
static void applied(void *k, uint64_t offset)
{
    struct psync *p = k;
    replica_acknowledge(p->replica, offset > 0 ? offset - 1 : 0);
    if (p->asked != 0)
        replica_acknowledge_now(p->replica);
    if (offset >= p->asked)
        p->asked = 0;
}

static void restore(struct psync *p, const struct feed_place *from)
{
    p->db = from->db;
    p->restored = true;
    p->place.offset = from->offset;
    snprintf(p->place.replid, sizeof(p->place.replid), "%s", from->replid);
    snprintf(p->run_id, sizeof(p->run_id), "%s", from->run_id);
    replica_go_on_from(p->replica, &p->place);
}

/* The object. */

static void close_psync(void *k)
{
    struct psync *p = k;
    replica_close(p->replica);
    learner_close(&p->learner);
}

static void free_psync(void *k)
{
    struct psync *p = k;
    replica_free(p->replica);
    command_keys_free(p->keys);
    free(p);
}

static int start(struct psync *p)
{
    static const struct command_keys_events keys = {.key = on_key, .long_key = on_long_key};
    static const struct replica_events events = {.attached = on_attached,
                                                 .input = on_input,
                                                 .place_lost = on_place_lost,
                                                 .refused = on_refused,
                                                 .down = on_down};
    int err = command_keys_new(&keys, p, &p->keys);

    p->learner = (struct learner){.feed = p->feed, .keys = p->keys, .stream = &p->stream};
    return err ? err : replica_new(p->feed, feed_may_full_sync(p->feed), &events, p, &p->replica);
}

static int new_psync(struct feed *f, void **ret)
{
    struct psync *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return -ENOMEM;
    p->feed = f;
    p->db = FEED_ANY_DB;
    int err = start(p);
    if (err < 0) {
        free_psync(p);
        return err;
    }
    if (feed_begin_place(f) != NULL)
        restore(p, feed_begin_place(f));
    *ret = p;
    return 0;
}

const struct kind_ops psync_ops = {
    .kind = FEED_PSYNC,
    .marks = true,
    .sees_all = true,
    .new = new_psync,
    .close = close_psync,
    .free = free_psync,
    .tick = tick,
    .drain = drain,
    .reset = reset,
    .follows = follows,
    .move = move,
    .place = place,
    .applied = applied,
};
