/* preflight_facts.h - what a check knows, and what it makes of it. Inside daemon/preflight*.c only.
 *
 * Facts are asked for by preflight.c and preflight_ask.c; preflight_decide.c and preflight_data.c judge them
 * and ask nothing. What a server does not tell is unknown, and an item says so; it is no error by itself.
 */
#ifndef RIOTD_PREFLIGHT_FACTS_H
#define RIOTD_PREFLIGHT_FACTS_H

#include "daemon/fences.h"
#include "daemon/interlocks.h"
#include "daemon/preflight.h"

#define PREFLIGHT_UNKNOWN     UINT64_MAX
#define PREFLIGHT_MODULES_MAX 16
#define PREFLIGHT_WHY_MAX     200

/* May riotd's user send this command? */
enum right {
    RIGHT_UNKNOWN,
    RIGHT_GIVEN,
    RIGHT_DENIED,  /* by the server's ACL */
    RIGHT_MISSING, /* the server does not know the command */
};

/* Why it is wanted, and so how bad it is not to have it. */
enum need {
    NEED_COPY,      /* nothing is copied without it: an error */
    NEED_READ,      /* the same on the source; on the target it is for comparing */
    NEED_VERIFY,    /* for comparing, also in a cutover */
    NEED_SAFETY,    /* riotd does without, at a price */
    NEED_CUTOVER,   /* for pausing the writers */
    NEED_FEED,      /* judged with the feed; those from here on are not everybody's */
    NEED_FUNCTIONS, /* judged with the functions */
    NEED_WAIT,      /* for target.wait_replicas */
    NEED_WAITAOF,   /* for target.wait_aof */
    NEED_TYPES,     /* for filter.types */
};

enum right_id {
    MAY_PING,
    MAY_INFO,
    MAY_SELECT,
    MAY_SCAN,
    MAY_DUMP,
    MAY_PEXPIRETIME,
    MAY_PTTL,
    MAY_TIME,
    MAY_OLD_TIME, /* where an expiry is reckoned from it */
    MAY_EXISTS,
    MAY_GET,
    MAY_MGET,
    MAY_RESTORE,
    MAY_SET,
    MAY_MSET,
    MAY_UNLINK,
    MAY_MULTI,
    MAY_EXEC,
    MAY_RANDOMKEY,
    MAY_XINFO_GROUPS,
    MAY_XINFO_CONSUMERS,
    MAY_CLIENT_ID,
    MAY_CLIENT_SETNAME,
    MAY_CLIENT_LIST,
    MAY_CLIENT_KILL,
    MAY_NO_TOUCH,
    MAY_CONFIG_GET,
    MAY_COMMAND,
    MAY_MODULE_LIST,
    MAY_PAUSE,
    MAY_UNPAUSE,
    MAY_TRACKING,
    MAY_TRACKINGINFO,
    MAY_GETREDIR,
    MAY_SUBSCRIBE,
    MAY_PSUBSCRIBE,
    MAY_CONFIG_SET,
    MAY_REPLCONF,
    MAY_PSYNC,
    MAY_FUNCTION_DUMP,
    MAY_FUNCTION_RESTORE,
    MAY_WAIT,
    MAY_WAITAOF,
    MAY_TYPE,
    MAY_CLUSTER_NODES,
    MAY_CLUSTER_COUNT,
    MAY_ASKING,
    RIGHTS
};

enum { SIDE_SOURCE, SIDE_TARGET };
enum { OF_SOURCE = 1, OF_TARGET = 2 }; /* in a set */

struct right_row {
    const char *name; /* the command */
    const char *args; /* those that it is asked for with; @ stands for a key that nobody has. Were it executed
                         by mistake, they would make it fail, or do nothing */
    const char *rule; /* of ACL SETUSER, that gives it */
    unsigned sides;
    enum need need;
    unsigned since, until; /* versions that it is sent to; 0: any */
    const char *without;   /* NEED_SAFETY: what comes of not having it */
    bool of_cluster;       /* sent to nodes of a cluster only */
};
extern const struct right_row right_rows[RIGHTS];
/* Is this command sent to that server at all? */
bool right_applies(enum right_id id, bool of_target, const struct server_id *server);

/* Of a client's output buffer on the source: 0 is none. */
struct buffer_limit {
    bool told;
    uint64_t hard, soft, soft_s;
};

struct preflight_side {
    const char *url, *user;
    bool reached;
    char why[PREFLIGHT_WHY_MAX]; /* not reached */
    char url_why[160];           /* nor its URL's own node: another one told of the cluster */
    bool cluster, covered, moving;
    size_t replicas_known;
    size_t nseen; /* of a cluster its primaries, one by one; all that follows is the worst of them. 0: it is
                     one server */
    const struct seen_server *seen; /* borrowed */
    struct probe probe;             /* its dbs from malloc */
    bool asked;                     /* all that follows was asked for, and answered */
    char ask_why[PREFLIGHT_WHY_MAX];

    enum right rights[RIGHTS];
    const char *lacking_at[RIGHTS]; /* the node that lacks it; NULL: all, or none */
    bool keys_denied;               /* some key names are not allowed */
    bool keys_known;                /* it could be found out */
    char refused[160];   /* what the target says to RESTORE for reasons of its own: MISCONF ..., "" nothing */
    enum right tracking; /* tried out, with a prefix that no key has */
    char tracking_why[160];

    /* From INFO; PREFLIGHT_UNKNOWN: not told. */
    uint64_t used_memory, dataset, maxmemory, total_memory, scripts, libraries;
    uint64_t ops_per_s, replicas, aof, saving_failed, appending_failed, group_calls;
    uint64_t commands, evicted;
    uint64_t backlog, backlog_size; /* is there one; its bytes */
    uint64_t input_kb;              /* that the server reads, a second */
    bool has_commandstats;

    /* From CONFIG GET. */
    uint64_t idle_timeout_s, bulk_len;
    struct buffer_limit pubsub, replica;
    uint64_t min_replicas;
    bool takes_own_writes; /* a replica, with replica-read-only no */
    bool has_save, saves;
    bool has_flags;
    char flags[NOTIFY_FLAGS_MAX]; /* notify-keyspace-events */

    bool has_modules;
    size_t nmodules;
    char modules[PREFLIGHT_MODULES_MAX][40]; /* those that were loaded, not those that are built in */
    uint64_t sentinels;                      /* their connections; unknown where CLIENT LIST is refused */
};

struct preflight_facts {
    const struct config *config;
    const struct state *state;
    char state_why[PREFLIGHT_WHY_MAX]; /* the state file cannot be used; "" it can */
    const char *state_path;
    bool link_runs;
    uint64_t marks_per_s;   /* 0: not known */
    uint64_t machine_bytes; /* memory of this machine; 0: not known */
    unsigned waited_ms;
    struct preflight_side side[2]; /* by SIDE_SOURCE, SIDE_TARGET */
    bool has_fences;
    struct fence_node_report unfenced;  /* one that a fence cannot reach; address "": none */
    char fences_why[PREFLIGHT_WHY_MAX]; /* it could not be asked for; "" it was not asked for */
    struct fence_report fences;
};

void preflight_side_init(struct preflight_side *s);
bool right_is_lacking(const struct preflight_side *s, enum right_id id); /* known not to be there */

/* Judges all: fills everything but at_ms and link_runs. */
void preflight_decide(const struct preflight_facts *f, struct preflight_report *ret);

/* Parts of it: preflight_feed.c, and preflight_data.c for what the two servers are like. */
void preflight_decide_feed(const struct preflight_facts *f, struct preflight_report *r);
void preflight_decide_data(const struct preflight_facts *f, struct preflight_report *r);

/* What is known of one node, into what is known of all (preflight_merge.c). */
struct preflight_node {
    const char *address;
    const struct preflight_side *facts;
};
MUST_CHECK int preflight_merge(struct preflight_side *into, bool of_target, size_t n,
                               const struct preflight_node *nodes);

/* Adds an item. Where the report is full, the last one gives way. The hint is added to the newest. */
void preflight_add(struct preflight_report *r, const char *name, enum preflight_level level,
                   const char *format, ...) PRINTF_LIKE(4, 5);
void preflight_hint(struct preflight_report *r, const char *format, ...) PRINTF_LIKE(2, 3);

/* Asks one side, over a connection of its own, all that the probe does not; fn once. What it learns is
 * written to *side, which must outlive it. slots: of which the key is that it asks with; NULL: any. */
struct asker;
typedef void asker_fn(struct asker *a, void *arg);
MUST_CHECK int asker_new(struct loop *l, const struct endpoint *e, bool of_target,
                         const struct slot_set *slots, struct preflight_side *side, asker_fn *fn, void *arg,
                         struct asker **ret);
struct asker *asker_free(struct asker *a);

#endif
