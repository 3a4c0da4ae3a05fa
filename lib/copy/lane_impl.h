/* lane_impl.h - the inside of a lane, for lane.c (the whole), lane_copy.c (dirty set to target), lane_way.c
 * (by which commands), lane_value.c (what need not be read), lane_round.c (passes, gaps, drains),
 * lane_place.c (going on after a restart), lane_feed.c (what the feed tells), lane_seal.c (the end of
 * copying), lane_ask.c (reading at the nodes that slots move to), lane_slots.c (which keys are its own) and
 * the lanes as a whole (lanes*.c) only. */
#ifndef RIOT_LANE_IMPL_H
#define RIOT_LANE_IMPL_H

#include "lib/copy/ahead.h"
#include "lib/copy/coalesce.h"
#include "lib/copy/functions.h"
#include "lib/copy/lane.h"
#include "lib/copy/reader.h"
#include "lib/copy/recent.h"
#include "lib/copy/share.h"
#include "lib/copy/streams.h"
#include "lib/copy/sweep.h"
#include "lib/copy/target.h"
#include "lib/copy/yield.h"
#include "lib/core/backoff.h"
#include "lib/core/rate.h"
#include "lib/redis/scanner.h"

/* Of the scan's own marks unread (R9); the rest of the set is the feed's. A few pages: they keep the servers
 * busy, and their keys in the processor's cache until they are copied. */
#define SCAN_PAGES_AHEAD 2
#define SCAN_MARKS_MIN   2048
#define SCAN_MARKS_MAX   16384
#define DRAINS_MAX                                                                                           \
    66 /* as many as all lanes have, one of slots that are given away, one of keys that are left */

/* A database of the scope. It only grows while a lane lives. */
struct scope_db {
    int db;
    bool scanned; /* its scan was begun in this round */
};

struct drain {
    void (*fn)(void *arg);
    void (*passed)(void *arg); /* its barrier has; or NULL */
    void *arg;
    bool settles;        /* it does not wait for the set to be empty */
    bool held;           /* the set is not looked at before lane_drain_look() */
    bool barrier_passed; /* one that began after the question, and what it called for was done */
};

/* Why the writer or the reader rests: a server refuses as a whole. */
struct refusing {
    uint64_t until_us;
    uint64_t since_us, last_us;
    struct backoff backoff;
};

/* The end of copying. While it is confirmed, and from then on, nothing is copied. */
enum seal_step {
    SEAL_NONE,
    SEAL_SETTLING, /* what is under way ends; where a connection that wrote was lost, keys are written anew */
    SEAL_CONFIRMING, /* WAIT and WAITAOF are out */
    SEAL_READING,    /* the target's INFO, once more */
    SEALED,
};

struct seal {
    enum seal_step step;
    struct lane_confirm confirm;
    lane_sealed_fn *fn;
    void *arg;
    int err; /* it has failed; to be told from the loop */
    char why[200];
    unsigned due; /* answers to WAIT and WAITAOF */
    bool wrote_anew;
};

/* What was applied of the source's stream. */
struct lane_keeping {
    bool noted; /* `next` was, and waits for the keys that were in the set then */
    bool has_applied;
    uint64_t asked; /* offset of the stream that the source wants to be told of once it is applied; 0: none */
    uint64_t failures; /* of the set, when it was noted */
    struct feed_place next, applied;
    size_t next_ndbs, applied_ndbs; /* so many of the scope's databases had been scanned by then */
};

struct lane {
    struct loop *loop;
    struct lane_options opt;
    struct lane_events ev;
    void *arg;

    struct feed *feed;
    struct share share; /* of limits.memory, as it is spent */
    struct dirty *dirty;
    struct recent *recent; /* what the target acknowledged */
    struct ahead *ahead;   /* the same, and what was not written, that the stream may not have come to */
    struct reader *reader;
    struct asker *askers; /* of nodes that slots are moving to */
    struct target *target;
    struct scanner *scanner;
    struct sweep *sweep;
    struct streams *streams;
    struct functions *functions;

    enum lane_phase phase;
    unsigned round;
    unsigned scan_count;       /* COUNT of this round's passes */
    char approved[RUN_ID_MAX]; /* of the source */
    bool is_approved;
    uint64_t looked_again_us; /* when its watch was last made to connect anew */
    uint64_t followed_us;     /* when another server last went on with the stream; 0: none did */
    bool has_sample;
    bool feed_ready;  /* since the last gap */
    bool gap;         /* a round is due */
    uint64_t gap_us;  /* when changes were first missed that no round has brought since; 0: none */
    bool feed_missed; /* marks, since the last round began */
    bool dropped;     /* the same of what was told: also of keys that are not at the lane's own node */
    bool resuming;    /* the options' place is to be gone on from */
    bool resumed;     /* it was: an earlier process made the first round */
    bool catching_up; /* marks that came with it are being applied */
    bool paused, stopping, frozen;
    struct scope_db *scope;
    size_t nscope, scope_cap;
    bool scan_due;  /* the scanner waits to be asked for its next page */
    bool sweep_due; /* the same of the sweep */
    bool need_sweep;
    enum { SWEEP_NOT_YET, SWEEP_CENSUS, SWEEP_COUNTED, SWEEP_MARKS, SWEEP_DONE } sweeping;
    uint64_t target_moved_us; /* when slots of the target last changed nodes */
    bool deletes_held;
    uint64_t held_us;     /* since when */
    bool deletes_dropped; /* while held: a gap once they are let go */

    /* streams and functions */
    bool streams_moved;                                                    /* since all were marked last */
    enum { STREAMS_NO_SCAN, STREAMS_SCAN_DUE, STREAMS_SCAN } streams_scan; /* where names are incomplete */
    bool functions_wanted;                                                 /* by every node of the target */
    bool functions_moved;                                                  /* while they were being copied */
    uint64_t functions_retry_us;
    struct target_node *functions_to; /* whom they are being copied to */
    char functions_error[200];

    struct drain drains[DRAINS_MAX];
    size_t ndrains;
    enum { BARRIER_NONE, BARRIER_FEED, BARRIER_TARGET } barrier;
    size_t barrier_for; /* the first so many drains began before the running barrier */

    /* copy */
    struct defer pump_later, advance_later;
    struct timer *pump_timer, *tick_timer;
    struct rate keys_rate, bytes_rate;
    struct refusing refusing[2];
    struct coalesce coalesce;
    struct yield yield;
    double mean_bytes; /* of payloads, quick to rise and slow to fall */
    double strings;    /* of the values of late, how many were strings: 0 to 1 */
    bool by_string;    /* so keys are asked for by GET first */
    bool no_strings;   /* GET or SET is refused: in this round all goes by DUMP and RESTORE */
    bool alone_in_flight;
    size_t unread;            /* keys in flight that were not read */
    bool alone_waits;         /* for what is in flight to land: then nothing else goes */
    uint64_t retry_failed_us; /* when failed keys are tried again */

    struct lane_keeping keeping;
    struct seal seal;
    uint64_t unsealed_us; /* when connections were last let come up again */

    struct lane_problem conditions[LANE_CONDITIONS];
    char last_gap[160];

    /* counters */
    uint64_t told; /* by the feed, of whatever kind: only its changing counts */
    uint64_t marks, copied, deleted, bytes, retries, gaps, scanned, estimated, long_keys;
    uint64_t long_retry_us; /* when keys with too long names are counted again */
    uint64_t scan_done;     /* of the scanned keys, those no longer queued; never falls in a round */
    uint64_t scan_began_us;
    struct meter copied_meter, bytes_meter, marks_meter;
};

/* lane.c */
#define LANE_DOWN_AFTER_US      300000  /* a connection that is back sooner is no condition */
#define LANE_PART_DOWN_AFTER_US 1500000 /* the same of one beside the watch: back-off and all */
#define LANE_SILENT_US          1500000 /* longer than two heartbeats apart */
/* Anew: the share is another, or the number of the target's nodes is. */
void lane_share_memory(struct lane *l);
void lane_set_phase(struct lane *l, enum lane_phase phase);
void lane_condition(struct lane *l, enum lane_condition c, const char *format, ...)
    PRINTF_LIKE(3, 4); /* NULL ends it */
/* A server refuses something, for now. The condition ends by itself once nothing was refused for some
 * seconds. */
void lane_refused(struct lane *l, enum lane_side side, const char *format, ...) PRINTF_LIKE(3, 4);
bool lane_approves(const struct lane *l, const struct server_id *id); /* of the source */
int lane_identified(struct lane *l, const struct server_id *id, const char **why);
/* Since when, for a condition: not counted while copying had ended. */
void lane_server_status(struct watch *w, struct lane_server *ret);
bool lane_conn_is_down(struct lane *l, const struct conn *c, uint64_t after_us);
const char *lane_conn_why(const struct conn *c); /* what is told of one that is down */

/* lane_copy.c */
MUST_CHECK int lane_copy_new(struct lane *l);
void lane_pump_soon(struct lane *l);
void lane_copy_tick(struct lane *l);
/* A mark in the set; or it is dropped, and a gap is declared; or it is another lane's. */
void lane_take_mark(struct lane *l, enum dirty_class class, int db, struct bytes key);
/* May a key that is not in the set be written now, before those that are? */
bool lane_may_write(struct lane *l);
void lane_not_written(struct lane *l, struct dirty_key *k); /* it could not be: it is read, and tried again */
extern const struct reader_events lane_reader_events;
void lane_key_gone(struct dirty_key *k, void *lane); /* asked where its slot moves to */
void lane_key_answered(struct lane *l, struct target_node *n, struct dirty_key *k, struct bytes error,
                       uint64_t bytes, bool deleted);
void lane_key_typed(struct lane *l, struct target_node *n, struct dirty_key *k, struct bytes type,
                    struct bytes error);
void lane_key_write_lost(struct lane *l, struct target_node *n, struct dirty_key *k);
void lane_go_on_reading(struct lane *l);                 /* there is room on the target, or it is up */
void lane_stop_reading(struct lane *l, const char *why); /* what is on its way has nowhere to go */

/* lane_way.c */
void lane_choose_way(struct lane *l);                      /* for the keys that are read next */
bool lane_node_takes_strings(const struct target_node *n); /* with an absolute expiry */
struct bytes lane_start_of(const struct dirty_key *k, struct bytes value); /* as DUMP's would begin */
void lane_learn_kind(struct lane *l, struct bytes start);
/* True: as a string the key cannot be moved; by DUMP it may. */
bool lane_no_string(struct lane *l, enum lane_side side, struct dirty_key *k, struct bytes error);

/* lane_value.c */
/* A mark, and what the key is from then on. */
void lane_take_value(struct lane *l, int db, struct bytes key, struct bytes value, int64_t expire_at_ms);

/* lane_target.c: what is told of the target's nodes */
MUST_CHECK int lane_target_new(struct lane *l);
void lane_target_look(struct lane *l); /* once a second */
void lane_target_approve(struct lane *l, const char *address, const char *run_id);
int lane_target_identified(struct lane *l, const struct endpoint *e, const struct server_id *id,
                           const char **why);
void lane_target_status(struct lane *l, struct lane_status *ret);

/* lane_ask.c: reading at the nodes that slots are moving to */
/* -EAGAIN: it cannot be read there now. */
MUST_CHECK int lane_ask(struct lane *l, const struct topology_node *n, struct dirty_key *k);
void lane_askers_resume(struct lane *l);
bool lane_asks_at(const struct lane *l, const char *url); /* or did in the last seconds */
void lane_askers_reset(struct lane *l, const char *why);
void lane_askers_tick(struct lane *l);
void lane_askers_free(struct lane *l);
bool lane_askers_in_value(const struct lane *l);

/* lane_feed.c */
MUST_CHECK int lane_new_feed(struct lane *l);

/* lane_round.c */
bool lane_in_scope(struct lane *l, int db);
void lane_take_long_key(struct lane *l, int db, struct bytes prefix, uint64_t length);
MUST_CHECK int lane_round_new(struct lane *l);
void lane_round_tick(struct lane *l);
/* Something that a phase waits for may have come about: looked at before this turn of the loop ends. */
void lane_advance(struct lane *l);
void lane_scope_sample(struct lane *l, enum lane_side side, const struct watch_sample *s);
void lane_target_was_read(struct lane *l);
bool lane_functions_wait(const struct lane *l); /* to be copied, to one of the nodes at the least */
void lane_sweep_again(struct lane *l);          /* slots of the target changed nodes */
bool lane_nothing_pending(struct lane *l);
MUST_CHECK int lane_add_drain(struct lane *l, const struct drain *d); /* -EBUSY: there are too many */
void lane_drain_look(struct lane *l, void *arg);
void lane_drains_begin_again(struct lane *l);
void lane_groups_moved(struct lane *l); /* of some streams, it is not known which */

/* The target has, or is getting, what the source has. */
static inline bool lane_has_begun(const struct lane *l)
{
    return l->round || l->resumed;
}
static inline bool lane_is_live(const struct lane *l)
{
    return l->phase == LANE_LIVE && !l->gap && l->feed_ready;
}
/* All that is known to have changed is in the set, or was copied. */
bool lane_all_marked(struct lane *l);

/* lane_place.c */
/* The source goes on as another server, or under another history (`what` says so): without a gap, if its
 * stream does, by reading again what was read ahead of it. False: there was one. */
bool lane_follow_source(struct lane *l, const char *what);
const char *lane_why_not_follow(struct lane *l); /* the end of a sentence; NULL: it may */
void lane_place_sample(struct lane *l, const struct watch_sample *s); /* of the source */
void lane_place_tick(struct lane *l);
void lane_place_answer(struct lane *l);
void lane_place_forget(struct lane *l);
bool lane_resume(struct lane *l); /* false: a round is to begin */
uint64_t lane_lag_bytes(struct lane *l);

/* lane_seal.c */
void lane_seal_advance(struct lane *l);
void lane_seal_fail(struct lane *l, int err, const char *format, ...)
    PRINTF_LIKE(3, 4); /* if one is under way */
void lane_seal_sample(struct lane *l, const struct target_node *n, const struct watch_sample *s,
                      bool stranger);
void lane_seal_told(struct lane *l, int what, size_t n, const int64_t *numbers, struct bytes error);
static inline bool lane_seal_lets_copy(const struct lane *l)
{
    return l->seal.step <= SEAL_SETTLING;
}

#endif
