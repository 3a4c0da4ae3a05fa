/* fence_impl.h - the inside of a fence, for fence*.c only.
 *
 * A step is done in rounds: each node is asked something (`begin`), tells that it is done
 * (fence_node_done()), and once all are, the round's `done` goes on. A conversation with a node is one
 * pipeline, of which only the last reply decides; so nothing of it is outstanding when it is done. A round
 * that is given up resets the connections it still waits for: what they may have sent is dead before they are
 * used again (R2). The owner's callbacks run from one deferred place, fence.c:tell().
 */
#ifndef RIOTD_FENCE_IMPL_H
#define RIOTD_FENCE_IMPL_H

#include "daemon/fence.h"
#include "daemon/fence_acl_rules.h"
#include "lib/redis/clients.h"
#include "lib/redis/conn.h"

#define FENCE_WHY_MAX  160
#define FENCE_TEXT_MAX 1024
#define FENCE_ROLE     "fence" /* of its connections, in their names */

/* Redis versions: what is used came with them. */
#define SINCE_PAUSE_WRITE 60200
#define SINCE_SELECTORS   70000
#define SINCE_LISTS       70000 /* COMMAND LIST FILTERBY MODULE */

struct fence_node;
typedef void fence_node_fn(struct fence_node *n);

struct fence_node {
    struct fence *fence;
    char host[256];
    struct endpoint endpoint; /* borrows from the source's, and host */
    char address[300];
    bool primary;
    bool online; /* of a replica: its primary says so */
    struct conn *conn;
    bool ready;   /* up, and what former lives of this connection left is dead */
    size_t kills; /* answers due of the killing */
    bool unkilled;
    struct timer *again;           /* looks again: for a former life, or in an undo for what was refused */
    char noted_run_id[RUN_ID_MAX]; /* of the connection that the state file has */
    uint64_t noted_id;

    struct buf info; /* of INFO, while it is read */
    fence_node_fn *who_known;
    struct server_id seen;       /* as just read */
    uint64_t connected;          /* connected_slaves, as just read */
    struct server_id id;         /* as probed */
    char user[128];              /* ours there */
    struct acl_catalog *catalog; /* of this life; NULL: not asked for yet */
    fence_node_fn *catalog_known;
    size_t modules_due;    /* answers due of those that tell a module's commands */
    uint64_t modules_hash; /* of INFO modules, as the catalog knows them */

    /* The round. */
    bool due;
    int err;
    char why[FENCE_WHY_MAX];

    char later[FENCE_WHY_MAX]; /* why it could not be put back, as last told */

    /* The probe. */
    bool reached;
    char why_not[FENCE_KINDS][FENCE_WHY_MAX]; /* "": allowed */
    char why_no_pause[FENCE_WHY_MAX];
    char shared[FENCE_WHY_MAX]; /* who else uses our user, as just seen */
    bool client_list, client_kill;
    unsigned sentinels;
    size_t users, users_len; /* of its ACL, and their lines */
    struct fence_view view;  /* of a primary in a cluster, as probed */
    int64_t asked_wall_ms, clock_skew_ms;

    /* The watch. */
    bool held;
    uint64_t answered_us;
    char lost[FENCE_WHY_MAX];
};

/* One way to fence hard. Each begins a conversation that ends in fence_node_done(). */
struct fence_hard {
    fence_node_fn *read;  /* what is there, into the record of the state file */
    fence_node_fn *set;   /* fences, and keeps what was read back; what the record names only */
    fence_node_fn *check; /* -EPERM: not all is fenced as it was read back */
    fence_node_fn *lift;  /* puts back what is still ours; err -EEXIST: something is not */
    /* Is it held? If not: says so in n->lost, fences again, records new ones. */
    fence_node_fn *look;
};
extern const struct fence_hard fence_acl, fence_min_replicas;
const struct fence_hard *fence_hard_of(enum fence_kind k); /* NULL: changes nothing */

struct fence_round {
    fence_node_fn *begin;
    void (*done)(struct fence *f);
    bool retry; /* a node that is lost begins again when it is back */
    size_t due;
};

enum fence_step {
    FENCE_IDLE,
    FENCE_PROBING,
    FENCE_PAUSING,
    FENCE_UNPAUSING,
    FENCE_SETTING,
    FENCE_PROVING,
    FENCE_LIFTING,
    FENCE_RELEASING,
    FENCE_ENDING_HOLD
};

/* The lease. Times are of the clock that also counts suspend; the server's are its own TIME. */
struct fence_pause {
    bool on, lapsed, asking;
    bool first;                  /* none was granted yet */
    bool restate;                /* what is under way has former terms */
    bool ending;                 /* UNPAUSE is wanted */
    bool strange;                /* of an earlier process: when it ends is not known */
    uint64_t lease_us, bound_us; /* 0: no bound */
    uint64_t first_us, end_us;
    uint64_t asked_us, asked_ms; /* when the request in flight was sent, and for how long it asks */
    uint64_t lost_ms;            /* the longest of those whose answer was lost: it may be in force */
    int64_t before_us, after_us; /* the server's TIME around that request; 0: not understood */
    int64_t base_server_us;      /* a moment by the server's clock, and not later than that by ours */
    uint64_t base_us;
    int64_t server_end_us;
    char refused[FENCE_WHY_MAX];
    char run_id[RUN_ID_MAX]; /* of the process that was paused */
    struct timer *timer;
    void (*done)(struct fence *f, int err, const char *why); /* of the first request */
    void (*ended)(struct fence *f);                          /* of UNPAUSE */
};

/* The end of a hold. */
struct fence_hold {
    bool force, asking, killed, empty, going, ended;
    uint64_t began_us, empty_since_us;
    char who[256]; /* came back last */
    char refused[FENCE_WHY_MAX];
};

struct fence {
    struct loop *loop;
    struct fence_options opt;
    struct fence_events ev;
    void *arg;
    unsigned busy;
    bool freed;

    size_t nnodes;
    struct fence_node **nodes;  /* the primary is the first */
    struct watch *watch;        /* of the primary, from the first need on */
    struct watch_replica *told; /* by the topology: a place for them */
    bool armed;                 /* something was changed, or will be: connections are noted in the file */

    enum fence_step step;
    fence_fn *fn;
    void *fn_arg;
    struct fence_round round;
    struct defer round_later, settle_later;
    struct timer *deadline; /* of the round; or what the step waits for */
    void (*on_deadline)(struct fence *f);
    enum fence_kind kind;      /* of the step */
    char left[FENCE_TEXT_MAX]; /* what was left alone */

    /* Something that waits for a sample. */
    uint64_t wanted_seq;
    void (*sampled)(struct fence *f, const char *unreadable);

    fence_fn *read_fn;
    void *read_arg;
    uint64_t read_seq;

    /* What tell() is to tell. */
    struct defer tell_later;
    bool answered;
    int err;
    char why[FENCE_TEXT_MAX];
    bool read_answered;
    int read_err;
    char read_why[FENCE_WHY_MAX];
    bool say_lapsed, say_lost, say_again, say_unwatched, say_watched, say_lifted, say_empty;
    char lapsed_why[FENCE_WHY_MAX], lost_what[FENCE_TEXT_MAX], unwatched_why[FENCE_WHY_MAX];
    uint64_t lost_writes;

    struct fence_report report;
    struct fence_node_report node_reports[FENCE_NODES_MAX];
    struct fence_pause pause;

    /* The undo. */
    bool primary_lifted, unpaused, patience_over, was_fenced, demoted;

    /* The watch. */
    bool watching, is_held, unwatched, counting, was_lost, first_sample, odd;
    bool uncounted; /* what another primary took before is not known */
    struct timer *tick;
    char base_run_id[RUN_ID_MAX]; /* what slipped in is counted from here */
    uint64_t base_calls;

    uint64_t hold_lease_ms; /* 0: not told */
    struct fence_hold hold;
};

/* fence.c */
uint64_t fence_now_us(void); /* counts suspend too */
struct state_cutover *fence_record(struct fence *f);
const char *fence_whose(const struct fence *f); /* writes: "the source", or a shard's address; for people */
void fence_begin(struct fence *f, enum fence_step step, fence_fn *fn, void *arg);
void fence_end_step(struct fence *f);
void fence_answer(struct fence *f, int err, const char *format, ...) PRINTF_LIKE(3, 4);
void fence_tell(struct fence *f); /* what is to be told, is, in this turn */
/* concerns: NULL, all nodes. within_us: what has not answered by then is done with an error; 0: each is asked
 * until it has answered. */
void fence_round_begin(struct fence *f, fence_node_fn *begin, bool (*concerns)(const struct fence_node *n),
                       void (*done)(struct fence *f), uint64_t within_us);
void fence_round_end(struct fence *f); /* gives it up */
void fence_node_done(struct fence_node *n, int err, const char *format, ...) PRINTF_LIKE(3, 4);
/* The first node that is done with an error, or NULL. */
const struct fence_node *fence_failed_node(const struct fence *f);
void fence_wait(struct fence *f, uint64_t us, void (*fn)(struct fence *f)); /* fn NULL: no longer */
/* Needs a reading of INFO begun from now on. why: it could not be read. */
void fence_want_sample(struct fence *f, void (*fn)(struct fence *f, const char *unreadable));
int fence_save(struct fence *f); /* -errno: told in the log */
void fence_left_alone(struct fence *f, const char *format, ...) PRINTF_LIKE(2, 3);

/* fence_nodes.c */
struct fence_node *fence_primary(const struct fence *f);
struct fence_node *fence_node_find(const struct fence *f, const char *address);
MUST_CHECK int fence_node_new(struct fence *f, const char *host, uint16_t port, struct fence_node **ret);
MUST_CHECK int fence_primary_new(struct fence *f);
void fence_node_free(struct fence_node *n);
void fence_nodes_free(struct fence *f);
/* The replicas that there are: as the sample tells, or, in a cluster, the topology. */
size_t fence_replicas(struct fence *f, const struct watch_sample *s, const struct watch_replica **ret);
/* Nodes for these replicas, and no others. */
MUST_CHECK int fence_nodes_follow(struct fence *f, size_t n, const struct watch_replica *replicas,
                                  bool drop_others);
/* Its record, made if there is none. */
MUST_CHECK int fence_record_node(struct fence_node *n, const char *run_id, struct state_node **ret);
MUST_CHECK int fence_nodes_from_record(struct fence *f);
MUST_CHECK int fence_arm(
    struct fence *f); /* what may be changed from now on is changed by known connections */
/* A call of a conversation; false: the connection is given up, and `down` decides. */
bool fence_call(struct fence_node *n, conn_reply_fn *fn, const char *words);
bool fence_call_argv(struct fence_node *n, conn_reply_fn *fn, size_t argc, const struct bytes *argv);
void fence_ignore(struct conn *c, const struct reply *r, void *arg); /* of +QUEUED and the like */
/* Who answers there now: n->seen and n->connected. What cannot be told ends the round for it. */
void fence_ask_who(struct fence_node *n, fence_node_fn *known);
const char *fence_error(const struct reply *r, char out[FENCE_WHY_MAX]); /* for people */

/* fence_probe.c */
void fence_probe_begin(struct fence *f);

/* fence_cluster.c */
void fence_view_read(const struct reply *r, struct fence_view *ret);
/* What of it has changed; NULL: nothing. */
const char *fence_view_changed(const struct fence_view *was, const struct fence_view *now);

/* fence_prove.c */
void fence_prove_begin(struct fence *f);

/* fence_undo.c */
void fence_lift_begin(struct fence *f);
void fence_lift_node_done(struct fence_node *n);
void fence_lift_node_later(struct fence_node *n); /* n->why kept it from being put back */

/* fence_pause.c */
MUST_CHECK int fence_pause_init(struct fence *f);
void fence_pause_end(struct fence *f); /* frees */
void fence_pause_ask(struct fence *f, uint64_t lease_us, uint64_t bound_us,
                     void (*done)(struct fence *f, int err, const char *why));
void fence_pause_up(struct fence *f); /* the primary's connection is ready */
void fence_pause_down(struct fence *f);
void fence_pause_let_go(struct fence *f, void (*ended)(struct fence *f));
void fence_pause_forget(struct fence *f); /* callbacks; the lease goes on */
void fence_pause_drop(struct fence *f);   /* all of it: it was another server's */
/* Did it hold until now? TIME is asked; fn: err -ETIMEDOUT. */
bool fence_pause_held(struct fence *f, int64_t server_us, char why[FENCE_WHY_MAX]);

/* fence_probe.c. Of a user that is not fenced, since it is ours: does somebody else use it too? Connections
 * of ours may be the link's, or this fence's. */
bool fence_is_shared(const struct fence_node *n, struct bytes list, char ret_addr[64]);

/* fence_watch.c */
MUST_CHECK int fence_watch_init(struct fence *f);
void fence_watch_end(struct fence *f);
void fence_watch_sample(struct fence *f, const struct watch_sample *s);
void fence_watch_node_done(struct fence_node *n);
void fence_watch_lapsed(struct fence *f, const char *why);
bool fence_is_watching(const struct fence *f);
void fence_count_from_commit(struct fence *f);
/* If there were writes since they were last told of. */
void fence_tell_slipped(struct fence *f, const char *what);

/* fence_hold.c */
void fence_end_hold_begin(struct fence *f, bool force);

/* fence_acl.c: the commands by category and module are asked for, ahead of the pause; then fn, also when they
 * could not be told. */
void fence_acl_prepare(struct fence_node *n, fence_node_fn *fn);
/* fence_probe.c. Is it INFO modules? And asks for the commands of each module in it: returns how many answers
 * are due. */
bool fence_is_module_info(const struct reply *r, struct bytes *ret);
size_t fence_ask_modules(struct fence_node *n, struct bytes info, conn_reply_fn *fn);

#endif
