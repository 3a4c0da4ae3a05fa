/* cutover_impl.h - the inside of a cutover, for the parts of cutover*.c only: cutover.c (the whole, the table
 * of steps), cutover_steps.c (up to the hard fence), cutover_prove.c (from there to the release),
 * cutover_undo.c (the way back, and what a crash left), cutover_finish.c.
 *
 * One step runs at a time. It ends by exactly one of cutover_done(), cutover_skip() and cutover_fail();
 * callbacks that come later find another step, or another mode, and do nothing.
 */
#ifndef RIOTD_CUTOVER_IMPL_H
#define RIOTD_CUTOVER_IMPL_H

#include "daemon/cutover.h"
#include "lib/verify/spot.h"

enum cutover_mode {
    MODE_NONE,      /* nothing is under way, and the source owns the data */
    MODE_STEPS,     /* in a step before the commit */
    MODE_UNDOING,   /* also after a restart */
    MODE_TRAILING,  /* undone: the writers are free; but a replica of the source has not answered yet */
    MODE_RELEASING, /* committed, in the last step */
    MODE_COMMITTED, /* the fence is watched */
    MODE_FINISHING,
    MODE_FINISHED,
    MODE_STUCK, /* only a person can go on */
    MODE_COUNT
};

/* What is compared at the end with what was at the barrier. */
struct cutover_counters { /* of the primary of a shard */
    uint64_t write_calls, rdb_changes, last_save;
};
struct cutover_base {
    bool known;
    struct lane_generation generation;
    uint64_t copied_keys;    /* by the lanes: deletions are not among them */
    uint64_t target_version; /* of its topology */
    size_t nshards;
    struct cutover_counters *shards; /* in the order of the fences */
};

struct cutover {
    struct loop *loop;
    const struct config *config;
    struct link *link;
    struct verification *verification;
    struct operations *ops;
    struct state_file *file;
    struct log *log;

    enum cutover_mode mode;
    struct cutover_options opt;
    uint64_t operation; /* of the cutover or the finish that runs; 0: none */
    struct cutover_status status;
    uint64_t step_began_us;
    struct defer next_later, undo_later, free_later;
    struct timer *deadline;          /* of the step; of an undo */
    struct timer *bound;             /* of the write pause */
    struct timer *poll;              /* while a step looks again and again, and for gaps */
    struct link_status *link_status; /* a place to read it into */

    struct fences *fences;
    struct fence_report *report; /* of the probe in validate */
    struct spot *spot;
    unsigned spot_runs;
    int *dbs; /* whose names are gathered, one after the other */
    size_t ndbs, gathered;

    /* gate */
    bool verifying; /* verify of everything runs */
    bool verified;
    bool gathering;
    uint64_t stable_since_us;

    /* the pause */
    bool fenced; /* the state file tells of a fence: what was done must be undone */
    uint64_t pause_began_us;
    uint64_t quiet_since_us;
    bool drained;
    bool gaps_matter; /* one from here on is the end of it */
    uint64_t gaps_before;
    struct cutover_base base;
    unsigned seal_tries;
    bool draining, settling;    /* the lane was asked, and will call */
    char drain_tag, settle_tag; /* their addresses are its arguments */
    bool quiet_asked;

    /* undo */
    enum ctl_exit exit_code;
    bool recovering;        /* after a restart: link_begin() follows */
    bool only_paused;       /* what is in force ends by itself ... */
    uint64_t lease_ends_us; /* ... by then */
    struct timer *again;

    /* after the commit */
    bool pause_lapsed; /* hold: before it was renewed */
    unsigned release_tries;
    bool outcome_unknown;    /* what is in memory says committed, and the disk may not */
    uint64_t slipped_writes; /* that the old source took since */
    bool slipped_unknown;
    bool unfence, force;
    enum cutover_mode mode_before; /* in which finish was asked for: committed, finished, or stuck */
    bool unseen, gone; /* the old source, after the commit: it does not answer; it is not fenced */
    enum cutover_stage stage_before;
    bool forgotten;  /* what may still be fenced, by a person's wish */
    bool left_alone; /* something was changed by someone else, and is as they made it */
    char left[320];  /* what, or what else is to be told at the end */

    void (*on_seal)(void *arg);
    void *on_seal_arg;

    void (*ended)(void *arg); /* the process is to end */
    void *ended_arg;
    struct timer *end_timer;
};

/* cutover.c */
/* false: it may not follow, and nothing was changed. */
bool cutover_set_mode(struct cutover *c, enum cutover_mode mode);
void cutover_done(struct cutover *c, const char *format, ...) PRINTF_LIKE(2, 3);
void cutover_skip(struct cutover *c, const char *why);
/* Before the commit: nothing of it stays. code: CTL_REFUSED where nothing was changed, else CTL_ROLLED_BACK.
 */
void cutover_fail(struct cutover *c, enum ctl_exit code, const char *format, ...) PRINTF_LIKE(3, 4);
bool cutover_in(const struct cutover *c, enum cutover_step step); /* it runs, and this is its step */
void cutover_step_text(struct cutover *c, const char *format, ...) PRINTF_LIKE(2, 3);
void cutover_step_failed(struct cutover *c);
/* What the steps hold is let go: timers, drains, spot, verify. */
void cutover_let_go(struct cutover *c);
/* Once the stack has unwound: what the mode has no use for. */
void cutover_free_parts(struct cutover *c);
MUST_CHECK int cutover_make_fence(struct cutover *c);
const struct link_status *cutover_link(struct cutover *c);
struct state_cutover *cutover_state(struct cutover *c);
MUST_CHECK int cutover_save(struct cutover *c);
uint64_t cutover_paused_ms(const struct cutover *c);      /* so far; 0: no write waits */
void cutover_note_pause(struct cutover *c);               /* the same, into the status, if any waits */
uint64_t cutover_known_pause_ms(const struct cutover *c); /* as noted; UINT64_MAX: there was none */
void cutover_describe_fence(struct cutover *c, char *out, size_t cap);
/* What the process waits for before it ends is over. */
void cutover_ended(struct cutover *c);

/* cutover_steps.c */
void step_validate(struct cutover *c);
void step_gate(struct cutover *c);
void step_gate_poll(struct cutover *c);
void step_soft_fence(struct cutover *c);
void step_quiet_poll(struct cutover *c);
void step_barrier(struct cutover *c);
void step_drain(struct cutover *c);
void step_verify(struct cutover *c);
void step_hard_fence(struct cutover *c);
/* What was asked of the lane and of verify is forgotten. */
void cutover_drop_drains(struct cutover *c);
void cutover_stop_verify(struct cutover *c);

/* cutover_prove.c */
void step_prove_source(struct cutover *c);
void step_prove_target(struct cutover *c);
void step_commit(struct cutover *c);
void step_release(struct cutover *c);
/* What is compared from here on: the lane's generation now, and the source's counters as last read. */
void cutover_take_generation(struct cutover *c);
void cutover_take_counters(struct cutover *c);
/* The server behind the connections of this shard's fence is not the one that its lane copies from: a name
 * leads elsewhere since. */
bool cutover_another_source(const struct cutover *c, size_t shard);
/* One of the shards does not tell how many writes it runs. */
bool cutover_cannot_count(const struct cutover *c);
/* Nor how much it has changed: that nothing slipped in could not be proved (step 8). */
bool cutover_cannot_prove(const struct cutover *c);
/* What says that a server of either side is not there; NULL: all are. The gate waits for it, a while.
 */
const char *cutover_away(const struct lane_status *status);
bool cutover_is_advice(enum lane_condition c); /* nothing is wrong with the copy */

#define CUTOVER_MOVED_MAX 400
/* Since then nothing was written to the source, and nothing missed; else why. */
bool cutover_is_still(struct cutover *c, char why[CUTOVER_MOVED_MAX]);
void step_release_again(struct cutover *c);      /* after a restart */
void cutover_watch_committed(struct cutover *c); /* released: from now on it is watched */

/* cutover_undo.c */
void cutover_undo(struct cutover *c, enum ctl_exit code);
void cutover_undo_late(struct cutover *c);
void cutover_lift_again(struct cutover *c);
void cutover_lifted_late(int err, const char *why, void *arg); /* an event of the fence */

/* What is on record as fenced is named, node by node, in the journal and in c->left: nothing else will know
 * of it. */
void cutover_name_forgotten(struct cutover *c);
/* The way back is given up: a server that is gone for good does not answer. */
void cutover_abandon(struct cutover *c);

/* cutover_finish.c */
void cutover_finish_late(struct cutover *c);

#endif
