/* link_impl.h - the inside of a link, for link.c (its life), link_nodes.c (the nodes of both sides),
 * link_probe.c (who they are before it begins), link_servers.c (who they are while it runs), link_census.c
 * (whose keys a target has), link_place.c (going on after a restart), link_cutover.c (what a cutover and
 * verify need of it) and link_tell.c (its words in the journal) only. */
#ifndef RIOTD_LINK_IMPL_H
#define RIOTD_LINK_IMPL_H

#include "daemon/link.h"
#include "daemon/interlocks.h"
#include "lib/feed/putback.h"
#include "lib/redis/probe.h"

enum { HOLD_SHRANK = 1, HOLD_FOREIGN = 2, HOLD_VANISHED = 4 };

/* A primary that is asked who it is. */
struct probed {
    struct link *link;
    enum lane_side side;
    struct endpoint endpoint;
    unsigned slots;
    struct prober *prober;
    bool done;
    struct probe probe; /* its dbs are our own */
};

struct probed_side {
    size_t count;
    struct probed *at;
};

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

    struct topology *topologies[2];
    struct topology_listener listeners[2];
    bool wanted[2];
    struct link_nodes nodes[2];
    struct timer *slots_timer; /* slots have moved: more of it is told when it ends */

    /* connecting */
    struct probed_side probed[2];
    struct timer *map_timer;  /* looks whether the nodes are known by now */
    struct timer *again;      /* probes again: another riotd may be about to go */
    bool former_waited;       /* for what an earlier process may still have under way (R2) */
    uint64_t others_since_us; /* 0: none seen */
    struct link_waiting waiting[2];

    struct lanes *lanes;
    struct conn_former former[STATE_IDS_MAX]; /* who wrote to the target in an earlier process */
    struct lane_status past;                  /* totals of the lanes that ended in this process */
    uint64_t pass_began_us;                   /* 0: none is under way */
    struct lane_status before_pass;
    int into_db;
    unsigned target_databases;
    unsigned held;       /* HOLD_*: why deletes wait */
    bool total_in_doubt; /* a shard of the source has gone: were its keys taken over? */
    bool total_shrank;
    bool census_pending; /* a suspect target: the census decides */
    size_t ncounted;     /* lanes that have counted */
    struct counted *counted;
    struct timer *keep_timer; /* what is remembered of both sides is refreshed */
    uint64_t place_kept_us;
    bool was_owned; /* the target was this link's own already as it began */
    struct timer *stop_timer;
    uint64_t stop_bound_us;
    struct defer stop_later;
    bool stopping, keep;
    void (*stopped)(void *arg);
    void *stopped_arg;

    /* Until it is undone, committed, or a person's to go on with; also where the link has failed meanwhile.
     */
    bool in_cutover;
    struct link_put_back *put_back; /* under way, or NULL */

    struct link_blocker blockers[BLOCKER_COUNT];
    char trusted[sizeof(((struct link_blocker *)0)->message)]; /* of thin_info, as it was accepted */
};

/* link.c */
void link_set_state(struct link *k, enum link_state next, const char *format, ...) PRINTF_LIKE(3, 4);
void link_block(struct link *k, enum blocker b, const char *format, ...) PRINTF_LIKE(3, 4);
void link_unblock(struct link *k, enum blocker b);
/* The link cannot go on: the lane ends, state failed. */
void link_fail(struct link *k, enum blocker b, const char *format, ...) PRINTF_LIKE(3, 4);
/* -errno: it could not be written, and the link has failed. */
MUST_CHECK int link_save(struct link *k);
void link_lanes_ready(struct link *k); /* the servers are known and accepted: makes the lanes */
/* The lane ends when the stack has unwound, without a word to either server. */
void link_drop_lane(struct link *k);
enum link_state link_state_of_phase(enum lane_phase phase, unsigned round);
void link_follow_phase(struct link *k, enum lane_phase phase);
void link_refresh_blockers(struct link *k, const struct lane_status *status);

/* link_nodes.c */
MUST_CHECK int link_nodes_begin(struct link *k);
void link_nodes_end(struct link *k);
void link_want(struct link *k, enum lane_side side, bool wanted);
void link_follow_nodes(struct link *k, enum lane_side side); /* reads the map, if it is another one */
const struct link_node *link_node_find(const struct link *k, enum lane_side side, const char *address);
void link_slots_fired(void *arg);

/* link_probe.c */
void link_probe(struct link *k);
void link_probe_end(struct link *k);
void link_probe_map_changed(struct link *k, enum lane_side side);
void link_release_probes(struct link *k);
void link_map_fired(void *arg);

/* link_servers.c */
void link_servers_begin(struct link *k);
void link_first_source(struct link *k, const struct probed *p, bool was_owned);
void link_first_target(struct link *k, const struct probed *p);
void link_look_at_total(struct link *k, bool was_owned);
void link_look_at_nodes(struct link *k); /* there are others now */
void link_sample(struct lane *l, enum lane_side side, const char *address, const struct watch_sample *s,
                 bool stranger, void *arg);
void link_remember(struct link *k);     /* counts and identities, into the state file */
void link_trust_target(struct link *k); /* its keys may be deleted: it is ours */
void link_trust_source(struct link *k); /* what it lacks may be deleted */
void link_hold(struct link *k, unsigned why, bool held);
void link_look_at_info(struct link *k);                      /* does it tell what a cutover has to prove? */
void link_doubt_source(struct link *k, const char *address); /* after a gap */

/* link_place.c */
const struct place *link_place(const struct link *k); /* to go on from; NULL: none, and it is told why */
void link_place_keep(struct link *k, bool at_once);   /* if there is one */
void link_place_forget(struct link *k);
void link_place_look(struct link *k); /* the nodes, or their slots, may be others than those that it is of */

/* link_endpoints.c */
MUST_CHECK int link_make_endpoints(struct link *k, const struct config_passwords *passwords);

/* link_census.c */
void link_census(struct lane *l, uint64_t seen, uint64_t missing, void *arg);
void link_census_lanes_changed(struct link *k);
void link_census_forget(struct link *k);

/* link_tell.c */
void link_tell_servers(struct link *k);
void link_tell_waiting(struct link *k, const struct endpoint *e, const char *why);
void link_tell_replaced(struct link *k, enum lane_side side, const char *address, const char *run_id,
                        const char *before);
void link_tell_node(struct link *k, enum lane_side side, const char *address, const char *what);
void link_tell_slots(struct link *k, enum lane_side side, const char *what);
void link_tell_owned(struct link *k, const char *address);
void link_tell_pass(struct link *k, enum lane_phase phase);
#define LANE_PREFIX_MAX 204
const char *link_lane_name(const struct link *k, const struct lane *l);
const char *link_lane_prefix(const struct link *k, const struct lane *l, char out[LANE_PREFIX_MAX]);
void link_tell_gap(struct link *k, const struct lane *l, const char *reason);
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
