/* probe.h - everything that must be known of a server before the link begins. Reads only.
 *
 * One conversation over one connection of its own, retried (with back-off) until it succeeds or is freed.
 * What a server does not let us ask stays unknown.
 */
#ifndef RIOT_PROBE_H
#define RIOT_PROBE_H

#include "lib/redis/conn.h"
#include "lib/redis/watch.h"

#define PROBE_NAMES_MAX 16

struct probe {
    struct server_id id;
    bool loading;
    unsigned dump_version;       /* from the footer of FUNCTION DUMP where there is one (7.0+), else from
                                    server_dump_version() */
    uint64_t proto_max_bulk_len; /* 512 MiB when unknown */
    unsigned databases;        /* CONFIG GET databases, of a cluster cluster-databases, else 1; 0: unknown */
    char maxmemory_policy[32]; /* "" unknown */
    uint64_t maxmemory;
    bool config_allowed; /* CONFIG GET works */
    bool client_list_allowed;
    bool has_pexpiretime, has_functions;
    /* Other riotd's connections, from CLIENT LIST: names "riotd:..." that are not of our endpoint's client
     * prefix. */
    size_t nothers;
    char others[PROBE_NAMES_MAX][96];
    bool has_keyspace; /* INFO keyspace could be read: without it, no databases does not mean empty */
    size_t ndbs;
    struct watch_db *dbs;  /* from INFO keyspace */
    bool has_clock;        /* TIME could be read */
    int64_t clock_skew_ms; /* server's TIME minus ours, half a round trip taken off */
    unsigned round_trip_us;
};

struct prober;
struct prober_events {
    void (*done)(struct prober *p, const struct probe *borrowed, void *arg); /* once */
    /* Each failed try: not reachable, loading, refused. */
    void (*waiting)(struct prober *p, const char *why, void *arg);
};
/* kill_own: first kill connections of our own client prefix (left by an earlier process of ours), by CLIENT
 * KILL ID, other than this one's; and wait until CLIENT LIST shows none. */
MUST_CHECK int prober_new(struct loop *l, const struct endpoint *e, bool kill_own,
                          const struct prober_events *ev, void *arg, struct prober **ret);
struct prober *prober_free(struct prober *p);

#endif
