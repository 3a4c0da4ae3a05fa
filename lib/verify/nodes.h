/* nodes.h - the nodes of one side that own slots, and who may answer there. Of this room only.
 *
 * It follows the map of the side's topology; without one, the endpoint is the only node and owns all. A node
 * is told apart by its address, the text of its URL, and is the same object for as long as it owns anything.
 * Who may answer at an address is told by the owner of it all, perhaps before the map knows that address.
 */
#ifndef RIOT_VERIFY_NODES_H
#define RIOT_VERIFY_NODES_H

#include "lib/redis/server.h"
#include "lib/redis/topology.h"

struct node {
    struct nodes *owner;
    struct endpoint endpoint;
    void *made; /* what `came` has made for it */
    bool kept;  /* nodes.c: the map still has it */
};

/* Each may be NULL. */
struct nodes_events {
    int (*came)(struct node *n, void *arg);  /* -errno: it is none, until the map changes again */
    void (*left)(struct node *n, void *arg); /* its memory goes with the return */
    void (*moved)(const struct slot_set *slots, void *arg); /* they have another owner now, or none */
};

struct nodes;
/* topology may be NULL; borrowed, as endpoint. `came` is called from within for those that are there. */
MUST_CHECK int nodes_new(const struct endpoint *endpoint, struct topology *topology,
                         const struct nodes_events *ev, void *arg, struct nodes **ret);
struct nodes *nodes_free(struct nodes *s); /* each one leaves */
/* Is it a cluster? There, a command may have keys of one slot only. */
bool nodes_by_slot(const struct nodes *s);
size_t nodes_count(const struct nodes *s);
struct node *nodes_at(const struct nodes *s, size_t i);
struct node *nodes_owner(const struct nodes *s, unsigned slot); /* NULL: nobody */

/* From now on that address is the server with this run id ("": one whose INFO tells none). The node that is
 * there, or NULL. */
struct node *nodes_approve(struct nodes *s, const char *address, const char *run_id);
bool node_is_approved(const struct node *n, const struct server_id *id);

#endif
