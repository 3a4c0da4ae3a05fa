/* lane.h - the part of a link that serves one source shard: feed, scan, sweep, dirty set, reader and writer,
 * tied together.
 *
 * What a lane does by itself: it gets its feed live (R0), scans, sweeps, settles, and is live. After a gap,
 * whatever it was doing, it begins again with a resync (R8). Lost connections, refusing servers and failed
 * keys are its own to deal with; it tells of them by conditions.
 *
 * What it does not decide: whether a server that answers is the one that it should talk to. It reads, writes
 * and scans only where the run id was approved by lane_approve(); a stranger is reported, and waited for.
 */
#ifndef RIOT_LANE_H
#define RIOT_LANE_H

#include "lib/copy/dirty.h"
#include "lib/copy/place.h"
#include "lib/feed/feed.h"
#include "lib/redis/slot.h"
#include "lib/redis/topology.h"
#include "lib/rdb/filter.h"

struct lane;

enum lane_side { LANE_SOURCE, LANE_TARGET };

enum lane_phase {
    LANE_CONNECTING, /* the feed is not live yet, or a server is not approved */
    LANE_SCAN,
    LANE_SWEEP,
    LANE_SETTLING, /* the marks that were queued before the end of scan and sweep are being applied */
    LANE_LIVE,
    LANE_DONE, /* without a feed: one pass was made */
    LANE_GAP,  /* a resync is due, and waits for the feed, the servers, or room in the dirty set */
};

enum lane_condition {
    LANE_SOURCE_DOWN,
    LANE_TARGET_DOWN,
    LANE_SOURCE_SILENT,
    LANE_TARGET_SILENT,
    LANE_SOURCE_LOADING,
    LANE_TARGET_LOADING,
    LANE_SOURCE_REFUSES,
    LANE_TARGET_REFUSES,
    LANE_OVERRUN,
    LANE_FEED_UNPROVEN,
    LANE_MEMORY_SHORT,
    LANE_OUT_OF_SCOPE,
    LANE_SOURCE_REPLICA,
    LANE_SLOTS_LEFT,
    LANE_CONDITIONS,
};
const char *lane_condition_code(enum lane_condition c); /* "source_down", ... */

struct lane_options {
    const struct endpoint *source, *target; /* borrowed */
    struct topology
        *target_nodes;      /* borrowed, its map is known; NULL: the target's endpoint is all there is */
    bool without_functions; /* another lane of the link copies the function libraries */
    enum feed_kind feed;
    bool full_sync; /* of the feed's options */
    struct notify_record recorded;
    const int *dbs; /* the scope, copied; NULL: all */
    size_t ndbs;
    int into_db;    /* on the target; URL_DB_NONE: the same as on the source */
    bool merge;     /* no sweep */
    bool may_evict; /* the target may evict: that is no gap */
    bool unswept;   /* the target was empty when this link took it: the first pass needs no sweep */
    unsigned scan_count;
    uint64_t memory, keys_per_s, bytes_per_s;
    uint64_t coalesce_us; /* how long a live mark may wait for others of its key, under load */
    uint64_t value_max;   /* the target's proto-max-bulk-len */
    size_t nformer;       /* writing connections of an earlier process; borrowed */
    const struct conn_former *former;
    const struct slot_set *slots;  /* whose keys are this lane's, as it is at each moment; NULL: all */
    struct topology *source_nodes; /* borrowed, for what MOVED and ASK mean; NULL: it is a single server */
    const struct sink *sink;       /* borrowed */
    const struct filter *filter;   /* borrowed; NULL: all keys */
    struct lane_place place;       /* to go on from, without a pass, if that can be done */
    const struct place *places;    /* of all lanes, and of the target; borrowed for the lane's life */
};

struct lane_events {
    void (*phase)(struct lane *l, enum lane_phase phase, void *arg);
    void (*gap)(struct lane *l, const char *reason, void *arg);
    void (*feed_chosen)(struct lane *l, enum feed_kind kind, void *arg);
    void (*feed_unusable)(struct lane *l, const char *why, void *arg);
    /* Both are to be durable (fsynced) before they return 0. */
    int (*record)(struct lane *l, const struct notify_record *rec, void *arg);
    int (*writer_id)(struct lane *l, const char *run_id, uint64_t client_id, void *arg);
    /* Nothing comes from that connection any more: its id need not be known. */
    void (*writer_dead)(struct lane *l, const char *run_id, uint64_t client_id, void *arg);
    /* Each reading of INFO, and of which address. A stranger is one whose run id is not approved: decide, and
     * lane_approve(). */
    void (*sample)(struct lane *l, enum lane_side side, const char *address,
                   const struct watch_sample *borrowed, bool stranger, void *arg);
    void (*condition)(struct lane *l, enum lane_condition c, const char *text,
                      void *arg); /* text NULL: it has ended */
    void (*key_failed)(struct lane *l, int db, struct bytes key, const char *reason, void *arg);
    void (*census)(struct lane *l, uint64_t seen, uint64_t missing, void *arg);
    /* A mark of a key that is not this lane's. */
    void (*stray)(struct lane *l, enum dirty_class class, int db, struct bytes key, void *arg);
    /* Is there no room for more of them? Asked between the pages of a pass, where it has not all slots. */
    bool (*crowded)(struct lane *l, void *arg);
    /* Consumer groups changed at the source, of streams that it has. Where the lane has not all slots. */
    void (*groups)(struct lane *l, void *arg);
    /* The source does not know the key, and no other node is to be asked. */
    void (*unknown)(struct lane *l, struct bytes key, void *arg);
    /* The source says that a slot is another node's (ask: is becoming another node's); it was asked after
     * since_us. */
    void (*redirected)(struct lane *l, unsigned slot, bool ask, const char *address, uint64_t since_us,
                       void *arg);
    /* The run id of the source's node there, where it is approved; else "". */
    const char *(*approved)(struct lane *l, const char *address, void *arg);
    /* Its node has all keys of its slots and no others, and by the map it is to stay so. Of a cluster's. */
    bool (*apart)(struct lane *l, void *arg);
    /* No mark that its feed told may wait in the set of another lane. Of a cluster's. */
    bool (*keeps_all)(struct lane *l, void *arg);
    /* Its source goes on as another server, and its barriers are to be passed there again. Or NULL. */
    void (*followed)(struct lane *l, void *arg);
    /* While frozen: something that was under way has ended. */
    void (*landed)(struct lane *l, void *arg);
};

MUST_CHECK int lane_new(struct loop *loop, const struct lane_options *opt, const struct lane_events *ev,
                        void *arg, struct lane **ret);
struct lane *lane_free(struct lane *l);
/* Puts back what the feed changed on the source, then fn. Copying ends at once. */
void lane_stop(struct lane *l, void (*fn)(bool put_back, void *arg), void *arg);

/* A server is told apart by its side and its address, the text of its endpoint's URL. The one with this run
 * id ("" where INFO does not tell one) is the one to read from, or to write to; another one than before is a
 * gap. An address that the lane does not know (any more) is passed over. */
void lane_approve(struct lane *l, enum lane_side side, const char *address, const char *run_id);
/* Its run id; "" none is yet. */
const char *lane_approved(const struct lane *l, enum lane_side side, const char *address);
/* While held, a key that is gone from the source is not deleted on the target: it waits. A sweep is then
 * preceded by a census (`census` tells how many keys of the target would go), and waits until deletes are let
 * go. */
void lane_hold_deletes(struct lane *l, bool held);
void lane_pause(struct lane *l, bool paused);
void lane_limits(struct lane *l, uint64_t memory, uint64_t keys_per_s, uint64_t bytes_per_s);
void lane_coalesce(struct lane *l, uint64_t most_us);
void lane_gap(struct lane *l, const char *reason);
bool lane_owns(const struct lane *l, struct bytes key);
/* No key is taken from the set while frozen: for slots to change lanes. */
void lane_freeze(struct lane *l, bool frozen);
/* How many keys of these slots are in flight, or may still be written by a lost connection (R2). */
size_t lane_busy(const struct lane *l, const struct slot_set *slots);
/* What is known of the keys of these slots goes to another lane: none of them is busy. */
void lane_give(struct lane *from, struct lane *to, const struct slot_set *slots);
/* Nothing is on its way to the target, or may come late. */
bool lane_is_still(struct lane *l);
/* The source is at another address: `change` has the endpoint say so, and called once more, the former one
 * again. What the endpoint said before is to be freed behind it. A gap, unless the feed's stream may go on
 * there: then it is asked for, and the feed tells. -ENOMEM: all is as it was. */
MUST_CHECK int lane_move(struct lane *l, const struct notify_record *recorded, void (*change)(void *arg),
                         void *arg);

/* For verify: a repair; and is a key about to be copied? A failed one is not: it differs for good, as far as
 * can be told. */
void lane_mark(struct lane *l, int db, struct bytes key);
bool lane_is_dirty(const struct lane *l, int db, struct bytes key);
/* The databases of the scope as it is now, of the source, from malloc. NULL: memory is out. */
int *lane_dbs(const struct lane *l, size_t *ret_n);

/* R6. fn(arg) once all that was written to the source before this call has been applied, and nothing is
 * pending. Calls again and again are allowed: all wait. lane_drain_cancel() by arg. */
MUST_CHECK int lane_drain(struct lane *l, void (*fn)(void *arg), void *arg);
void lane_drain_cancel(struct lane *l, void *arg);

/* The same without the end: fn(arg) once a barrier begun after this call has passed, the watch list was read,
 * and what both told of is marked; copied it need not be. For verify: what differs now and is not dirty
 * differs for good. Counts among the drains; lane_drain_cancel() by arg. -ENOTCONN: not live, ask again. */
MUST_CHECK int lane_settle(struct lane *l, void (*fn)(void *arg), void *arg);

/* For a cutover. */

/* Failed keys and function libraries are tried again now. */
void lane_retry(struct lane *l);
/* What was told since the lane began: unchanged from a barrier on, nothing was written to the source, as far
 * as the feed knows, and nothing was missed. */
struct lane_generation {
    uint64_t gaps, marks;
};
void lane_generation(const struct lane *l, struct lane_generation *ret);
/* The newest copied keys first, as many as a fixed ring (256 KiB of limits.memory) has names of; a key may
 * come more than once. fn returns false to end. */
void lane_each_recent(const struct lane *l, bool (*fn)(int db, struct bytes key, void *arg), void *arg);

/* R13: copying ends. Nothing may be pending (as right after a drain): else -EBUSY. What `confirm` asks for is
 * proved on each connection that wrote (WAIT, WAITAOF: on another they prove nothing), the target's watch
 * list is read once more, and then every connection to the target is closed, with no reply outstanding and
 * every former one known to be dead. fn(0), or fn(-errno, why): nothing is sealed then; with -EAGAIN
 * something was marked meanwhile: drain, and seal again. From fn(0) on not one byte goes to the target. The
 * feed goes on, and its marks are kept. */
struct lane_confirm {
    unsigned replicas; /* of the target that must have received it; 0: none is asked for */
    bool aof;          /* and the target itself must have written it to its append-only file (7.2+) */
    unsigned timeout_ms;
};
typedef void lane_sealed_fn(int err, const char *why, void *arg);
/* -EBUSY: something is pending, or a seal is under way, or done; -ENOTCONN: the target is not there. */
MUST_CHECK int lane_seal(struct lane *l, const struct lane_confirm *confirm, lane_sealed_fn *fn, void *arg);
/* Copying goes on, as if nothing had been: also ends a seal that is under way, whose fn is not called then.
 */
void lane_unseal(struct lane *l);

/* False: there is none. */
bool lane_place(struct lane *l, struct lane_place *ret);
/* Adds what is known of the target's nodes (first), or holds it against what another lane knows of them.
 * False: it is not known of all, or they do not agree. */
bool lane_place_targets(const struct lane *l, bool first, struct place *p);

struct lane_server {
    bool up;
    bool known;
    struct server_id id;
    unsigned round_trip_us;
};

struct lane_problem {
    bool on;
    int64_t since_ms; /* unix time */
    char text[200];
};

struct lane_status {
    enum lane_phase phase;
    unsigned round; /* passes begun */
    uint64_t scanned_keys, estimated_keys, swept_keys;
    double percent; /* of the round: of the estimated keys, those that were scanned and are copied */
    int64_t eta_ms; /* -1: unknown */
    struct dirty_counts counts;
    uint64_t in_flight_bytes, memory_bytes, memory_limit_bytes;
    uint64_t lag_keys, lag_ms;
    uint64_t lag_bytes; /* of the source's stream that are not applied, at the last reading; UINT64_MAX: not
                           known */
    double copied_keys_per_s, bytes_per_s, marks_per_s;
    uint64_t marks, copied_keys, deleted_keys, bytes, retries, gaps;
    char last_gap[160];        /* its reason; "" there was none */
    uint64_t long_keys;        /* keys whose names are too long to copy: they count as failed */
    bool gap_pending;          /* a round is due */
    char functions_error[200]; /* "" none: the target refuses the source's function libraries */
    struct lane_server server[2];
    struct feed_status feed;
    struct lane_problem conditions[LANE_CONDITIONS];
};
void lane_status(struct lane *l, struct lane_status *ret);
enum lane_phase lane_phase(const struct lane *l);
const char *lane_name(const struct lane *l); /* the address of its source */
const struct watch_sample *lane_last_sample(struct lane *l, enum lane_side side,
                                            const char *address); /* or NULL */
void lane_each_failed(const struct lane *l,
                      void (*fn)(int db, struct bytes key, const char *reason, void *arg), void *arg);

#endif
