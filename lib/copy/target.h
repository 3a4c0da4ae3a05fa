/* target.h - the nodes of the target, as one lane sees them.
 *
 * A node is a primary of the target's topology: a connection that writes, a watch, and what is known of the
 * server there. Without a topology the target's endpoint is the one node, and has all slots. It follows the
 * topology by itself: nodes come, and go when they are primaries no longer. A key's write goes to the node
 * that owns its slot, or, once, to the one that ASK named.
 *
 * R2 is each node's own: keys whose write was under way when its connection was lost are `released` once
 * that connection is known to be dead, or the node is no primary any more: it executes no write then.
 *
 * R7: what is read of a node is compared with what was read before; what differs without our doing is a gap,
 * and so is a node that had keys and is replaced.
 */
#ifndef RIOT_TARGET_H
#define RIOT_TARGET_H

#include "lib/copy/target_base.h"
#include "lib/copy/writer.h"
#include "lib/redis/topology.h"
#include "lib/redis/watch.h"

struct target;

/* Fields are the target's to write, but for those of `functions`. */
struct target_node {
    struct target *of;
    struct target_node *next;
    uint16_t number; /* dirty_key's `server`; given anew once the node is gone */
    struct topology_node where;
    const struct endpoint *endpoint;
    struct endpoint own; /* where there is a topology */
    struct writer *writer;
    struct watch *watch;
    unsigned nslots;
    bool has_keys; /* of the lane, though it may own no slot: it is to be there, as those that do */

    bool is_approved;
    char approved[RUN_ID_MAX];
    uint64_t looked_again_us; /* when the watch was last made to connect anew */

    /* As last read (R7). */
    bool is_known, has_base, was_read;
    uint64_t read_seq; /* the reading that target_read() asked for */
    struct target_base base;
    enum server_role role;

    /* What a seal proves. */
    bool writer_wrote, watch_wrote; /* it has a write from this life of the connection */
    bool unproved;      /* one was lost that wrote, and nothing was written since: WAIT would prove nothing */
    unsigned anew;      /* keys that are written once more for it */
    unsigned watch_due; /* answers over the watch's connection, also of a seal that was ended */

    /* The writer's connection, and what it may still write. */
    uint64_t lost_us; /* 0: it was not lost since it last came up */
    char lost_run_id[RUN_ID_MAX];
    bool lost_by_peer;
    bool closed_clean; /* its last life was ended with no answer due */
    uint64_t late_until_us;
    bool came_up; /* its writing connection, once */
    uint64_t
        rests_until_us; /* what an earlier process may have under way there is waited for; 0: nothing is */

    bool functions_due;
    uint64_t functions_lost_us; /* when the watch's connection was lost while they were on their way */
};

struct target_options {
    const struct endpoint *endpoint; /* borrowed */
    struct topology *nodes;          /* borrowed; NULL: the endpoint is all there is */
    int into_db;
    size_t out_high; /* of each writer */
    bool may_evict;
    size_t nformer; /* conn_options', borrowed */
    const struct conn_former *former;
};

struct target_events {
    /* The writer's, each of its node. */
    void (*answered)(struct target_node *n, struct dirty_key *k, struct bytes error, uint64_t bytes,
                     bool deleted, void *arg);
    void (*typed)(struct target_node *n, struct dirty_key *k, struct bytes type, struct bytes error,
                  void *arg);
    void (*lost)(struct target_node *n, struct dirty_key *k, void *arg);
    /* What was lost there can be written no more, `delay_us` from now on. blame: dirty_release_lost()'s. */
    void (*released)(struct target_node *n, uint64_t delay_us, bool blame, void *arg);
    int (*writer_id)(const char *run_id, uint64_t client_id, void *arg);
    void (*writer_dead)(const struct conn_former *former, void *arg);
    void (*up)(void *arg);
    void (*down)(struct target_node *n, const char *why, void *arg); /* a connection that was up */
    void (*room)(void *arg);

    /* The watch's. */
    void (*sample)(struct target_node *n, const struct watch_sample *s, bool stranger, void *arg);
    void (*read)(struct target_node *n, const struct watch_sample *s, void *arg); /* after it; not loading */
    void (*unreadable)(struct target_node *n, const char *why, void *arg);
    void (*watch_down)(struct target_node *n, const char *why, bool was_up, void *arg);

    void (*told)(int what, size_t n, const int64_t *numbers, struct bytes error, void *arg);
    void (*gap)(const char *reason, void *arg);
    void (*leaves)(struct target_node *n, void *arg); /* its connections, its endpoint are gone after this */
    void (*changed)(void *arg);                       /* another map, after what it led to */
    void (*moved)(void *arg);                         /* slots are other nodes' than before */
};

MUST_CHECK int target_new(struct loop *loop, const struct target_options *opt, const struct target_events *ev,
                          void *arg, struct target **ret);
struct target *target_free(struct target *t);
void target_tick(struct target *t); /* once a second */

/* The first, the next; NULL: there are no more. */
struct target_node *target_nodes(const struct target *t);
struct target_node *target_find(const struct target *t, const char *address);
/* Owns slots, or has keys: what is asked of the target is asked of these. */
static inline bool target_counts(const struct target_node *n)
{
    return n->nslots || n->has_keys;
}

/* The server that may be written to there. True: another was, before. */
bool target_approve(struct target *t, struct target_node *n, const char *run_id);
bool target_approves(const struct target_node *n, const struct server_id *id);
/* As conn_events' `identified`, for whatever connects to the node. */
int target_identified(struct target_node *n, const struct server_id *id, const char **why);

/* Of all that count. */
bool target_is_up(const struct target *t); /* may be written to; and every slot has a node */
bool target_is_approved(const struct target *t);
bool target_is_known(const struct target *t); /* each was read once */
bool target_has_base(const struct target *t); /* and since nothing else was in doubt */
bool target_watch_is_up(const struct target *t);
/* Of all nodes. */
bool target_is_full(const struct target *t);
uint64_t target_outstanding_bytes(const struct target *t);
size_t target_buffered(const struct target *t);
size_t target_count(const struct target *t);          /* of nodes */
void target_limit(struct target *t, size_t out_high); /* of each writer, of those to come too */
bool target_is_idle(const struct target *t);          /* no answer is due that matters to a seal */
bool target_may_be_late(const struct target *t);      /* R2: what was lost may still be written */
bool target_functions_may_be_late(const struct target_node *n);

/* Where the next write of this key goes, or what is asked of it before. NULL: nowhere yet. */
struct target_node *target_of(const struct target *t, const struct dirty_key *k);
struct target_node *target_of_name(const struct target *t, struct bytes key);
/* writer.h's, of a key's node. */
MUST_CHECK int target_type(struct target_node *n, struct dirty_key *k); /* before the key's write */
MUST_CHECK int target_delete(struct target_node *n, struct dirty_key *k);
MUST_CHECK int target_restore(struct target_node *n, struct dirty_key *k, int64_t expire_at_ms,
                              struct bytes payload);
MUST_CHECK int target_restore_begin(struct target_node *n, struct dirty_key *k, int64_t expire_at_ms,
                                    uint64_t length);
/* Of the value that was begun last. */
MUST_CHECK int target_restore_part(struct target *t, struct bytes part);
bool target_part_has_room(const struct target *t);
void target_break(struct target *t, const char *why);

/* Is it MOVED or ASK, which name another node? The key is to be read again after *ret_delay_us (0: at once),
 * since its bytes are gone; where its next write goes is known then, or asked for. */
bool target_redirected(struct target_node *n, struct dirty_key *k, struct bytes error,
                       uint64_t *ret_delay_us);
void target_refresh(struct target *t); /* the map may have changed */

/* For a barrier and a seal. */
void target_read(struct target *t);           /* each watch reads */
bool target_was_read(const struct target *t); /* and each that counts did, since that call */
bool target_is_unproved(const struct target *t);
/* On each connection that wrote: `told` follows so many times, with `what`. */
enum { TARGET_WAIT, TARGET_WAITAOF };
MUST_CHECK int target_confirm(struct target *t, int what, size_t argc, const struct bytes *argv,
                              unsigned *ret_due);
/* R13: every connection is closed, and comes up no more until target_open(); of nodes that come too. */
void target_close(struct target *t);
void target_open(struct target *t);

#endif
