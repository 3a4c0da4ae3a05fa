/* topology.h - the nodes of an endpoint, and which of them owns which slot.
 *
 * An endpoint is one server, or a cluster behind one URL and perhaps further seeds. Either way it has shards:
 * a primary with its replicas. One server has one shard, which owns all slots, and whose address is the
 * URL's.
 *
 * Of a cluster, CLUSTER NODES is asked each second, and at once after topology_refresh(), of one node that
 * can be reached; when it is lost, of the next one. A view that is older than the one that is known (by its
 * highest configuration epoch) is not believed. Addresses are those that the nodes tell (the host name, if
 * one is told and TLS is used), put through the address map. What cannot be understood changes nothing, and
 * is told.
 */
#ifndef RIOT_TOPOLOGY_H
#define RIOT_TOPOLOGY_H

#include "lib/core/loop.h"
#include "lib/redis/endpoint.h"
#include "lib/redis/slot.h"

#define SHARD_NONE   UINT16_MAX
#define SHARDS_MAX   512
#define REPLICAS_MAX 16
#define NODE_ID_MAX  41
#define NODE_IP_MAX  46

struct topology_node {
    char id[NODE_ID_MAX]; /* "": not a cluster's */
    char host[256];       /* "": the endpoint's own address; else mapped */
    uint16_t port;
    bool failing; /* by that view: fail, or no address */
    /* As the cluster tells them, or "": redirects use either. */
    char ip[NODE_IP_MAX], name[256];
    uint16_t told_port;
};

struct shard {
    struct topology_node primary;
    unsigned nslots; /* 0 too: a primary that owns nothing (yet) is a shard */
    size_t nreplicas;
    struct topology_node replicas[REPLICAS_MAX];
};

struct topology_map {
    uint64_t version; /* grows with every difference; from 1 */
    bool cluster;
    bool covered; /* every slot has an owner that is not failing */
    bool moving; /* the node that was asked is moving slots, or takes some (others' moves it does not know) */
    uint64_t epoch;
    size_t nshards;
    struct shard *shards;
    uint16_t owner[SLOTS]; /* index into shards; SHARD_NONE */
};

enum topology_mode { TOPOLOGY_AUTO, TOPOLOGY_CLUSTER, TOPOLOGY_SINGLE };

/* A translation of what nodes tell ("10.0.0.5:6379", or "10.0.0.5" for all its ports) into what we can reach.
 */
struct address_pair {
    const char *from, *to;
};

struct topology_options {
    const struct endpoint *endpoint; /* borrowed for its life; the rest for the call */
    enum topology_mode mode;         /* auto: as INFO says (redis_mode) */
    size_t nseeds;                   /* further addresses "host:port" */
    const char *const *seeds;
    size_t naddresses;
    const struct address_pair *addresses;
};

struct topology;
MUST_CHECK int topology_new(struct loop *l, const struct topology_options *opt, struct topology **ret);
struct topology *topology_free(struct topology *t);
/* It asks while at least one wants it. The map stays as it was last known. */
void topology_want(struct topology *t, bool wanted);
void topology_refresh(struct topology *t);
/* The map answers a question that was asked not before then, by clock_mono_us(); a single server's always
 * does. */
bool topology_is_of(const struct topology *t, uint64_t since_us);
/* NULL: nothing is known yet. Valid until the loop turns; a change is another version. */
const struct topology_map *topology_map(const struct topology *t);
/* Why it is not known, or was not confirmed of late; "" all is well. For people. */
const char *topology_why(const struct topology *t);
/* The same, without the address where that is the endpoint's own. */
const char *topology_reason(const struct topology *t);
/* Why the endpoint's own address told nothing when it was last asked: another one did. "" it did. */
const char *topology_base_why(const struct topology *t);
const struct endpoint *topology_base(const struct topology *t);

/* Who is told of changes; any number. Owned by the listener, who must leave before it goes. */
struct topology_listener {
    void (*changed)(void *arg); /* another version; deferred, never from inside a call */
    void (*confirmed)(
        void *arg); /* or NULL. What was asked last is known, changed or not; after all `changed` */
    void *arg;
    struct topology_listener *next; /* the topology's */
};
void topology_listen(struct topology *t, struct topology_listener *who);
void topology_unlisten(struct topology *t, struct topology_listener *who);

/* The endpoint of a node, with the base's user, password, TLS and time-outs; endpoint_node_clear(). -ENOMEM.
 */
MUST_CHECK int topology_endpoint(const struct topology *t, const struct topology_node *n,
                                 struct endpoint *ret);

/* What MOVED and ASK say: "MOVED 3999 127.0.0.1:6381". Host "" : the same host as the node that said it. */
struct redirect {
    bool ask;
    unsigned slot;
    char host[256];
    uint16_t port;
};
bool redirect_parse(struct bytes error, struct redirect *ret);
/* The node that a redirect means, by the map's translation. */
void topology_redirect(const struct topology *t, const struct endpoint *said_by, const struct redirect *r,
                       struct topology_node *ret);

#endif
