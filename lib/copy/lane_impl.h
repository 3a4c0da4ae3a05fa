/* lane_impl.h - the inside of a lane, for lane.c (the whole), lane_copy.c (dirty set to target), lane_round.c
 * (feed, passes, gaps, drain) and lane_seal.c (the end of copying) only. */
#ifndef RIOT_LANE_IMPL_H
#define RIOT_LANE_IMPL_H

#include "lib/copy/functions.h"
#include "lib/copy/lane.h"
#include "lib/copy/reader.h"
#include "lib/copy/recent.h"
#include "lib/copy/streams.h"
#include "lib/copy/sweep.h"
#include "lib/copy/writer.h"
#include "lib/core/backoff.h"
#include "lib/core/rate.h"
#include "lib/redis/scanner.h"

#define SCAN_MARKS_MAX 16384 /* of the scan's own marks unread (R9); the rest of the set is the feed's */
#define DRAINS_MAX     64    /* as many as the control server has clients */

/* A database of the scope. It only grows while a lane lives. */
struct scope_db {
    int db;
    bool scanned; /* its scan was begun in this round */
};

struct drain {
    void (*fn)(void *arg);
    void *arg;
    bool settles;        /* it does not wait for the set to be empty */
    bool barrier_passed; /* one that began after the question, and what it called for was done */
};

/* Why the writer or the reader rests: a server refuses as a whole. */
struct refusing {
    uint64_t until_us;
    uint64_t last_us;
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
    unsigned due;       /* answers to WAIT and WAITAOF */
    unsigned watch_due; /* the same over the watch's connection, also of a seal that was ended */
    bool wrote_anew, read;
    uint64_t seq; /* of the reading */
};

struct lane {
    struct loop *loop;
    struct lane_options opt;
    struct lane_events ev;
    void *arg;

    struct feed *feed;
    struct watch *target_watch;
    struct dirty *dirty;
    struct recent *recent; /* what the target acknowledged */
    struct reader *reader;
    struct writer *writer;
    struct scanner *scanner;
    struct sweep *sweep;
    struct streams *streams;
    struct functions *functions;

    enum lane_phase phase;
    unsigned round;
    unsigned scan_count; /* COUNT of this round's passes */
    char approved[2][RUN_ID_MAX];
    bool is_approved[2];
    uint64_t looked_again_us[2]; /* when a watch was last made to connect anew */
    bool has_sample[2];
    bool feed_ready; /* since the last gap */
    bool gap;        /* a round is due */
    bool paused, stopping;
    struct scope_db *scope;
    size_t nscope, scope_cap;
    bool scan_due;  /* the scanner waits to be asked for its next page */
    bool sweep_due; /* the same of the sweep */
    bool need_sweep;
    enum { SWEEP_NOT_YET, SWEEP_CENSUS, SWEEP_COUNTED, SWEEP_MARKS, SWEEP_DONE } sweeping;
    bool deletes_held;
    bool deletes_dropped; /* while held: a gap once they are let go */

    /* streams and functions */
    bool streams_moved;                                                    /* since all were marked last */
    enum { STREAMS_NO_SCAN, STREAMS_SCAN_DUE, STREAMS_SCAN } streams_scan; /* where names are incomplete */
    bool functions_wanted;
    bool functions_moved; /* while they were being copied */
    uint64_t functions_retry_us;
    uint64_t functions_lost_us; /* when the connection was lost while they were being copied */
    char functions_error[200];

    struct drain drains[DRAINS_MAX];
    size_t ndrains;
    enum { BARRIER_NONE, BARRIER_FEED, BARRIER_TARGET } barrier;
    uint64_t barrier_seq; /* of the target's reading that a barrier waits for */
    size_t barrier_for;   /* the first so many drains began before the running barrier */

    /* copy */
    struct defer pump_later, advance_later;
    struct timer *pump_timer, *tick_timer;
    struct rate keys_rate, bytes_rate;
    struct refusing refusing[2];
    double mean_bytes; /* of payloads, quick to rise and slow to fall */
    bool alone_in_flight;
    struct dirty_key *untyped;    /* a long value is passing, and its first byte has not come */
    uint64_t lost_us;             /* when the writer's connection was lost, 0: not since it last came up */
    char lost_run_id[RUN_ID_MAX]; /* of the server then */
    bool lost_by_peer;
    uint64_t retry_failed_us; /* when failed keys are tried again */
    uint64_t late_until_us;   /* what a lost connection may still write is waited for (R2) */

    struct seal seal;
    bool writer_wrote, watch_wrote; /* the target has a write from this life of the connection */
    bool unproved; /* one was lost that wrote, and nothing was written since: WAIT would prove nothing */
    uint64_t unsealed_us; /* when connections were last let come up again */
    bool closed_clean;    /* the writer's last life was ended with no answer due */

    /* the target as last read (R7) */
    bool has_target_base;
    char target_replid[RUN_ID_MAX];
    uint64_t target_evicted, target_flushes, target_commands;
    enum server_role target_role;

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
/* Its connections, the watches apart. */
struct lane_conn {
    enum lane_side side;
    const char *what; /* it is for, in a text */
    struct conn *conn;
};
#define LANE_CONNS 6
void lane_conns(struct lane *l, struct lane_conn ret[LANE_CONNS]);
void lane_set_phase(struct lane *l, enum lane_phase phase);
void lane_condition(struct lane *l, enum lane_condition c, const char *format, ...)
    PRINTF_LIKE(3, 4); /* NULL ends it */
/* A server refuses something, for now. The condition ends by itself once nothing was refused for some
 * seconds. */
void lane_refused(struct lane *l, enum lane_side side, const char *format, ...) PRINTF_LIKE(3, 4);
bool lane_approves(const struct lane *l, enum lane_side side, const struct server_id *id);
int lane_identified(struct lane *l, enum lane_side side, const struct server_id *id, const char **why);

/* lane_copy.c */
MUST_CHECK int lane_copy_new(struct lane *l);
void lane_pump_soon(struct lane *l);
void lane_copy_tick(struct lane *l);
/* A mark in the set; or it is dropped, and a gap is declared. */
void lane_take_mark(struct lane *l, enum dirty_class class, int db, struct bytes key);

/* lane_round.c */
MUST_CHECK int lane_round_new(struct lane *l);
void lane_round_tick(struct lane *l);
/* Something that a phase waits for may have come about: looked at before this turn of the loop ends. */
void lane_advance(struct lane *l);
void lane_scope_sample(struct lane *l, enum lane_side side, const struct watch_sample *s);
void lane_target_sample(struct lane *l, const struct watch_sample *s);
bool lane_nothing_pending(struct lane *l);
/* R2: functions that a lost connection may still restore. */
bool lane_functions_may_be_late(struct lane *l);

/* lane_seal.c */
void lane_seal_advance(struct lane *l);
void lane_seal_fail(struct lane *l, int err, const char *format, ...)
    PRINTF_LIKE(3, 4); /* if one is under way */
void lane_seal_sample(struct lane *l, const struct watch_sample *s, bool stranger);
void lane_seal_told(struct lane *l, int what, size_t n, const int64_t *numbers, struct bytes error);
static inline bool lane_seal_lets_copy(const struct lane *l)
{
    return l->seal.step <= SEAL_SETTLING;
}

#endif
