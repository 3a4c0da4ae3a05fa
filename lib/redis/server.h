/* server.h - who a server is: what INFO server and INFO replication say. */
#ifndef RIOT_SERVER_H
#define RIOT_SERVER_H

#include "lib/core/bytes.h"

#define RUN_ID_MAX 48

enum server_kind { SERVER_REDIS, SERVER_VALKEY };
enum server_role { ROLE_UNKNOWN, ROLE_PRIMARY, ROLE_REPLICA };

/* Empty strings and zeros: not told. */
struct server_id {
    enum server_kind kind;
    enum server_role role;
    char version[24]; /* of its own: "8.1.1" for a Valkey that calls itself redis 7.2.4 too */
    unsigned redis;   /* the Redis version whose commands it has: 7.2.4 is 70204 */
    unsigned own;     /* its own version, the same way */
    char run_id[RUN_ID_MAX];
    char replid[RUN_ID_MAX], replid2[RUN_ID_MAX];
    char primary_host[256]; /* of a replica */
    uint16_t primary_port;
    bool cluster, standalone; /* neither: it does not say */
    bool primary_link_up;     /* of a replica */
    uint16_t tcp_port;
    uint64_t repl_offset; /* of the stream for its replicas */
};

/* From the text of INFO server followed by INFO replication (or a whole INFO). */
void server_id_parse(struct bytes info, struct server_id *ret);
const char *server_kind_name(enum server_kind k); /* "redis", "valkey" */
const char *server_role_name(enum server_role r); /* "primary", "replica", "unknown" */
/* Is b the same data as a: same run id, or a replication id of one is known to the other (restart keeps none,
 * a failover keeps replid2). */
bool server_same_history(const struct server_id *a, const struct server_id *b);

/* DUMP payload versions. What a server of this id writes, and whether dst restores what src dumps; 0 is
 * unknown, and let through.
 * The numbers and the gap for foreign versions on Valkey 9 (12 to 79 are refused) were tried on 5.0 to 9.1.
 */
unsigned server_dump_version(const struct server_id *id);
bool server_dump_accepts(unsigned dst_version, unsigned src_version);

#endif
