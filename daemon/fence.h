/* fence.h - how clients are kept from writing to one shard of the source, and how they are let go
 * (CORRECTNESS 5). All shards together: fences.h.
 *
 * Soft: CLIENT PAUSE ... WRITE on the primary, a lease that ends by itself and is renewed until it is let go.
 * Hard: by ACL, by min-replicas, by a pause that stays renewed (hold), or by nothing (none), on the primary
 * and on every replica. Each step is asked for and answered by fn, once, from the loop. What is about to be
 * changed is written to the state file, durably, before it is changed (nodes and settings of
 * state_of()->cutover; the stage is its owner's). What is put back is put back exactly, if it is still what
 * this link made it; else it is left alone, and named.
 *
 * Its connections are fenced (R2), their ids are in the state file: what a lost one may still have under way
 * is dead before anything is put back.
 *
 * One step is asked for at a time; but fence_lift() may be called at any time, in fn and in an event too:
 * what was under way ends with it, and that one's fn is not called. fence_free() is legal in fn and in an
 * event.
 */
#ifndef RIOTD_FENCE_H
#define RIOTD_FENCE_H

#include "daemon/log.h"
#include "daemon/state_file.h"
#include "lib/redis/endpoint.h"
#include "lib/redis/watch.h"

struct fence;

#define FENCE_NODES_MAX 65 /* of one shard */

struct fence_options {
    const struct endpoint *source; /* borrowed: of the primary */
    struct state_file *state;
    struct log *log;
    /* 0: one server, whose replicas are those that it tells of. Else one of a cluster's, by its number in the
     * record: its replicas are those of the topology, at most FENCE_NODES_MAX - 1 of them into ret. */
    unsigned shard;
    size_t (*replicas)(struct watch_replica *ret, void *arg);
    void *replicas_arg;
};

struct fence_events {
    /* The pause ran out, or cannot be shown not to have. Said once; until fence_unpause() or fence_lift()
     * nothing more is promised. */
    void (*lapsed)(const char *why, void *arg);
    /* While watching: what was lost, and fenced again. `writes`: how many write calls slipped in;
     * WATCH_UNKNOWN: not known. */
    void (*lost)(const char *what, uint64_t writes, void *arg);
    void (*again)(void *arg);                      /* all is fenced again */
    void (*unwatched)(const char *why, void *arg); /* the source cannot be asked; NULL: it can again */
    /* After fence_lift() had answered -EHOSTUNREACH: all is put back by now, or (-EEXIST) left alone. */
    void (*lifted)(int err, const char *why, void *arg);
    /* The clients of a hold have stayed away for long enough: fence_hold_go(), or it is said again. Without
     * it, it goes on by itself. */
    void (*hold_empty)(void *arg);
};

MUST_CHECK int fence_new(struct loop *l, const struct fence_options *opt, const struct fence_events *ev,
                         void *arg, struct fence **ret);
/* Closes its connections; what is fenced stays so. A pause ends with its lease. */
struct fence *fence_free(struct fence *f);

/* err: 0, or -errno with a text for people. */
typedef void fence_fn(int err, const char *why, void *arg);

/* What can be done here. Connects to the primary and to every replica that it tells of. Changes nothing. */
struct fence_kind_report {
    bool allowed;
    char why_not[200];
};
struct fence_node_report {
    char address[300];
    bool primary, reached;
    char why[160]; /* not reached */
};
/* As the primary of a shard sees its cluster. The hashes are the same as long as what they are made of is. */
struct fence_view {
    bool known, moving;     /* a slot of its own is on its way, or one to it */
    char id[41];            /* its own */
    unsigned slots, owners; /* its own; and how many nodes own any */
    uint64_t map;           /* who owns what: the same on every node */
    uint64_t nodes;         /* that, and which nodes there are, in which role, of which epoch */
    char why[160];          /* not known */
};
struct fence_report {
    struct server_id id; /* of the primary */
    bool can_pause;      /* CLIENT PAUSE ... WRITE (6.2+), and the right to it */
    char why_no_pause[160];
    struct fence_kind_report kinds[FENCE_KINDS]; /* auto: is any allowed? */
    enum fence_kind chosen; /* what auto would take: the first allowed of acl, min-replicas, hold */
    size_t nnodes;
    const struct fence_node_report *nodes; /* borrowed until the next probe */
    size_t users, users_len;               /* of the ACL of all nodes, and their lines */
    struct fence_view view;                /* in a cluster */
    unsigned sentinels;                    /* their connections to the primary (names sentinel-...-cmd) */
    int64_t clock_skew_ms;
    struct watch_sample sample; /* of the primary. Its lists are not kept: NULL */
};
void fence_probe(struct fence *f, fence_fn *fn, void *arg);
void fence_report(const struct fence *f, struct fence_report *ret); /* of the last probe */
/* What auto takes, by what of a report is allowed. */
void fence_choose(struct fence_report *r);

/* Writes the primary into the record, which its owner saves: what is paused is known after a crash too. */
MUST_CHECK int fence_note(struct fence *f);

/* The soft fence. The lease is counted from before the request was sent; it is renewed at a third of it. No
 * renewal goes beyond `bound_ms` from the first; 0: no bound. */
void fence_pause(struct fence *f, uint64_t lease_ms, uint64_t bound_ms, fence_fn *fn, void *arg);
bool fence_is_paused(const struct fence *f);         /* as far as is known */
uint64_t fence_lease_left_us(const struct fence *f); /* until it ends by itself; 0: it is not, or may have */
uint64_t fence_paused_us(const struct fence *f);     /* since the first request was sent; 0: it is not */
/* Ends the pause, unless somebody else's is longer. */
void fence_unpause(struct fence *f, fence_fn *fn, void *arg);

/* Of `hold`, told before fence_set(): its pause outlives the commit, and so a restart right after it. */
void fence_hold_lease(struct fence *f, uint64_t lease_ms);
/* The hard fence, while paused. Originals are written down first, and with them the stage, which its owner
 * has changed by then and not saved. With `hold` the pause is asked for with the lease of a hold, without any
 * bound; the lease is in the record before. `none` changes nothing. */
void fence_set(struct fence *f, enum fence_kind kind, fence_fn *fn, void *arg);
/* The pause never ran out, by our clock and by the server's; the nodes are the ones that were probed, each
 * with its run id, role and replication id; what was fenced reads back as fenced, on each; nothing is
 * unfenced: a user that was created since is a reason to say no. */
void fence_prove(struct fence *f, fence_fn *fn, void *arg);
/* A reading of INFO of the primary, begun after this call; see fence_sample(). */
void fence_read(struct fence *f, fence_fn *fn, void *arg);
const struct watch_sample *fence_sample(const struct fence *f); /* or NULL */

/* Undo: the hard fence off on every node, read back, then the pause. From the record of the state file: also
 * after a restart. What is put back is taken out of the record. Goes on until every node has answered.
 * -EEXIST: something was changed by someone else since, and was left alone; why names it. -EHOSTUNREACH: the
 * primary is as it was and its writers are free, but the replicas that why names have not answered for 10 s;
 * it goes on with them, `lifted` tells the end of it, and until then no other step may be asked for. */
void fence_lift(struct fence *f, fence_fn *fn, void *arg);
/* Another one is the primary now: what it may still keep waiting are not the shard's writers. A lift does not
 * wait for it longer than for a replica. */
void fence_demoted(struct fence *f);

/* After the commit. UNPAUSE, or with hold: the pause is renewed with hold_lease_ms from now on. */
void fence_release(struct fence *f, uint64_t hold_lease_ms, fence_fn *fn, void *arg);
/* Looks at every node each second, new ones too, and fences again what is not fenced. */
void fence_watch(struct fence *f, bool on);
bool fence_is_held(const struct fence *f); /* while watching: as last read back */
/* While watching: the primary is at `source` from now on, which lives as long as the fence; so does the
 * former one. -ENOMEM, -ENOSPC. */
MUST_CHECK int fence_promote(struct fence *f, const struct endpoint *source);
bool fence_has(const struct fence *f, const char *address); /* among its nodes */
void fence_drop(struct fence *f, const char *address); /* that is not its primary: another's from now on */
const char *fence_address(const struct fence *f);      /* of its primary: "host:port", or a path */
/* finish with hold: kills all clients of the source but riotd's and replicas, until none came back for 2 s,
 * then ends the pause and counts writes for 10 s (told as `lost`). -EBUSY: clients came back, why names them;
 * not with force. */
void fence_end_hold(struct fence *f, bool force, fence_fn *fn, void *arg);
bool fence_hold_is_empty(const struct fence *f); /* nobody came back for 2 s, as last looked */
void fence_hold_go(struct fence *f);

#endif
