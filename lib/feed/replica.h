/* replica.h - a connection that the source takes for a replica: from `up` to the replication stream.
 *
 * It attaches where the stream is now: INFO tells replication id and offset, PSYNC asks for what follows, and
 * the server answers +CONTINUE, without a fork and without a payload, wherever it has a backlog (facts 4.3).
 * After a loss it may be told where the stream was left, and asks for what follows that.
 * A full synchronisation that was not asked for is closed at once. It is asked for only where the owner
 * allows it and there is no backlog: of nothing (`rdb-filter-only`, 7.0 and later), or else its payload is
 * read over.
 *
 * No listening-port is told, so the source shows port 0: nobody can take this replica for a server.
 * Acknowledged is each second what replica_acknowledge() told last.
 */
#ifndef RIOT_REPLICA_H
#define RIOT_REPLICA_H

#include "lib/redis/conn.h"

struct feed;
struct replica;

struct replica_place {
    char replid[RUN_ID_MAX];
    uint64_t offset; /* of the last byte that was taken: the stream goes on behind it */
};

struct replica_events {
    /* The stream begins behind `at`, under that id. Everything that the server executes from now on is in it.
     * resumed: `at` is the place that replica_go_on_from() told, but for its id, which may be a new one. */
    void (*attached)(const struct replica_place *at, bool resumed, void *arg);
    /* What follows the place that replica_go_on_from() told cannot be had: it begins anew. */
    void (*place_lost)(const char *why, void *arg);
    /* Bytes of the stream; returns how many were used. */
    size_t (*input)(struct bytes in, void *arg);
    void (*refused)(const char *why, void *arg); /* this server does not let itself be replicated from so */
    void (*down)(const char *why, bool was_attached, void *arg);
};

MUST_CHECK int replica_new(struct feed *f, bool full_sync, const struct replica_events *ev, void *arg,
                           struct replica **ret);
void replica_close(struct replica *r);           /* at once; no callback runs any more */
struct replica *replica_free(struct replica *r); /* not from within its callbacks */
bool replica_is_attached(const struct replica *r);
const char *replica_run_id(const struct replica *r);
const char *replica_id(const struct replica *r); /* the replication id of the stream */
void replica_reset(struct replica *r, const char *why);
/* The source's endpoint has another address by now. */
void replica_move(struct replica *r, const char *why);
/* The next connection asks for what follows this place. */
void replica_go_on_from(struct replica *r, const struct replica_place *place);
/* Bytes are due, or none are: arms the time-out. */
void replica_expect(struct replica *r, bool due);
/* The offset that is told to the source from now on. */
void replica_acknowledge(struct replica *r, uint64_t offset);
void replica_acknowledge_now(struct replica *r);

#endif
