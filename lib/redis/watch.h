/* watch.h - reads INFO of one server each second, and on demand, and hands each reading on.
 *
 * It says what is; what a difference means (a gap, a new database, streams to look at) is for its owner: the
 * feed on the source (CORRECTNESS 3), the lane on the target (R7). Its connection doubles as the heartbeat:
 * round trip and silence are read off it.
 */
#ifndef RIOT_WATCH_H
#define RIOT_WATCH_H

#include "lib/redis/conn.h"

#define WATCH_DBS_MAX 4096 /* databases with keys that are told apart; more is an unreadable INFO */

struct watch_db {
    int db;
    uint64_t keys, expires;
};

/* As the primary tells of it. */
#define WATCH_REPLICAS_MAX 64
struct watch_replica {
    char host[256];
    uint16_t port;
    bool online;
};

/* One reading. Values that the server does not tell are absent: `has_*` false, counters WATCH_UNKNOWN. */
#define WATCH_UNKNOWN UINT64_MAX
struct watch_sample {
    uint64_t seq; /* grows by one a reading; a reading asked for by watch_read() begins after the call */
    struct server_id id;
    bool loading;
    bool has_stats; /* INFO commandstats and stats could be read */
    uint64_t total_commands, evicted_keys, expired_keys;
    uint64_t rdb_changes; /* rdb_changes_since_last_save */
    uint64_t last_save;   /* rdb_last_save_time */
    uint64_t used_memory, maxmemory;
    uint64_t flushes;          /* calls of flushall and flushdb */
    uint64_t swaps;            /* of swapdb */
    uint64_t group_changes;    /* of xack, xreadgroup, xclaim, xautoclaim, the xgroup subcommands, xsetid */
    uint64_t function_changes; /* of function load, delete, flush, restore */
    uint64_t slot_moves;       /* of what nodes of a cluster say to each other as slots move as a whole */
    /* Of every command that may write, those of scripts and transactions among them, and of every command
     * that is not known here (a module's). Commands that a pause or a fence keeps from running are not
     * counted. */
    uint64_t write_calls;
    size_t nreplicas;   /* lines slaveN of INFO replication that name an address */
    bool more_replicas; /* than WATCH_REPLICAS_MAX, and those are not here */
    struct watch_replica *replicas;
    bool has_keyspace;
    size_t ndbs;
    struct watch_db *dbs; /* ascending */
    unsigned round_trip_us;
};

/* The names of what INFO lacks, of all that shows a server to be the same one with the same data still: with
 * `evictions` also that it has dropped no key. "" nothing is lacking. */
#define WATCH_UNTOLD_MAX 96
void watch_untold(const struct watch_sample *s, bool evictions, char ret[WATCH_UNTOLD_MAX]);

struct watch;
struct watch_events {
    void (*sample)(struct watch *w, const struct watch_sample *borrowed, void *arg);
    /* INFO was refused, or cannot be understood. */
    void (*unreadable)(struct watch *w, const char *why, void *arg);
    void (*up)(struct watch *w, void *arg);
    void (*down)(struct watch *w, const char *why, bool was_up, void *arg);
};

/* fenced: as conn_options', for an owner that writes over watch_conn(). */
MUST_CHECK int watch_new(struct loop *l, const struct endpoint *e, const char *role, bool fenced,
                         const struct watch_events *ev, void *arg, struct watch **ret);
struct watch *watch_free(struct watch *w);
/* Reads now. The reading whose seq is at least the returned one was begun after this call. While down: it
 * will be the first after coming up. */
uint64_t watch_read(struct watch *w);
const struct watch_sample *watch_last(const struct watch *w); /* or NULL */
/* The endpoint has another address by now: what was read is forgotten. Not from within `sample`. */
void watch_move(struct watch *w, const char *why);
struct conn *watch_conn(struct watch *w); /* for further calls (conn_call) on the same connection */

#endif
