/* link_impl.h - the inside of a link, for link.c (its life), link_servers.c (who its servers are) and
 * link_cutover.c (what a cutover and verify need of it) and link_tell.c (its words in the journal) only. */
#ifndef RIOTD_LINK_IMPL_H
#define RIOTD_LINK_IMPL_H

#include "daemon/link.h"
#include "daemon/interlocks.h"
#include "lib/feed/putback.h"
#include "lib/redis/probe.h"

enum { HOLD_SHRANK = 1, HOLD_FOREIGN = 2 };

struct link {
    struct loop *loop;
    struct config *config;
    struct state_file *file;
    struct log *log;
    struct link_events ev;
    void *arg;
    struct endpoint endpoints[2]; /* by lane_side */

    enum link_state state;
    int64_t since_ms;
    char reason[320];
    bool pause_wanted;

    /* connecting */
    struct prober *probers[2];
    struct probe probes[2]; /* dbs are the link's own */
    bool probed[2];
    struct timer *again;      /* probes again: another riotd may be about to go */
    bool former_waited;       /* for what an earlier process may still have under way (R2) */
    uint64_t others_since_us; /* 0: none seen */
    struct link_waiting waiting[2];

    struct lane *lane;
    struct lane_status past; /* totals of the lanes that ended in this process */
    uint64_t pass_began_us;  /* 0: none is under way */
    struct lane_status before_pass;
    unsigned held;        /* HOLD_*: why deletes wait */
    bool source_in_doubt; /* it may have other data than it had: counts are compared until the link is live */
    bool census_pending;  /* a suspect target: the census decides */
    struct timer *keep_timer; /* what is remembered of both sides is refreshed */
    struct timer *stop_timer;
    struct defer stop_later;
    bool stopping, keep;
    void (*stopped)(void *arg);
    void *stopped_arg;

    /* Until it is undone, committed, or a person's to go on with; also where the link has failed meanwhile.
     */
    bool in_cutover;
    struct link_put_back *put_back; /* under way, or NULL */

    struct link_blocker blockers[BLOCKER_COUNT];
};

/* link.c */
void link_set_state(struct link *k, enum link_state next, const char *format, ...) PRINTF_LIKE(3, 4);
void link_block(struct link *k, enum blocker b, const char *format, ...) PRINTF_LIKE(3, 4);
void link_unblock(struct link *k, enum blocker b);
/* The link cannot go on: the lane ends, state failed. */
void link_fail(struct link *k, enum blocker b, const char *format, ...) PRINTF_LIKE(3, 4);
/* -errno: it could not be written, and the link has failed. */
MUST_CHECK int link_save(struct link *k);
void link_lane_ready(struct link *k); /* both servers are known and accepted: makes the lane */
/* The lane ends when the stack has unwound, without a word to either server. */
void link_drop_lane(struct link *k);
enum link_state link_state_of_phase(enum lane_phase phase, unsigned round);
void link_follow_phase(struct link *k, enum lane_phase phase);
void link_refresh_blockers(struct link *k, const struct lane_status *status);

/* link_servers.c */
void link_probe(struct link *k);
void link_probe_end(struct link *k);
void link_release_probes(struct link *k);
void link_sample(struct lane *l, enum lane_side side, const struct watch_sample *s, bool stranger, void *arg);
void link_census(struct lane *l, uint64_t seen, uint64_t missing, void *arg);
void link_remember(struct link *k);     /* counts and identities, into the state file */
void link_trust_target(struct link *k); /* its keys may be deleted: it is ours */
void link_trust_source(struct link *k); /* what it lacks may be deleted */
void link_hold(struct link *k, unsigned why, bool held);

/* link_tell.c */
void link_tell_servers(struct link *k);
void link_tell_waiting(struct link *k, enum lane_side side, const char *why);
void link_tell_replaced(struct link *k, enum lane_side side, const char *run_id, const char *before);
void link_tell_owned(struct link *k);
void link_tell_pass(struct link *k, enum lane_phase phase);
void link_tell_feed(struct lane *l, enum feed_kind kind, void *arg);
void link_tell_condition(struct lane *l, enum lane_condition c, const char *text, void *arg);
void link_tell_failed_key(struct lane *l, int db, struct bytes key, const char *reason, void *arg);

/* link_cutover.c */
int link_refuse_in_cutover(char why[LINK_WHY_MAX]);
/* 0, or what the state file, or the present, has against it. */
MUST_CHECK int link_cutover_allows_start(struct link *k, bool anew, char why[LINK_WHY_MAX]);
/* For `start --anew`, durably: running is desired, and nothing else is remembered but what state_reset()
 * keeps. -EIO: nothing was changed. */
MUST_CHECK int link_forget(struct link *k, char why[LINK_WHY_MAX]);
void link_put_back_end(struct link *k);

#endif
