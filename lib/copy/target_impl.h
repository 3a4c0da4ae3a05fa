/* target_impl.h - the inside of a target, for target.c (what is asked of it) and target_nodes.c (its nodes:
 * how they come and go, and what is seen of each) only. */
#ifndef RIOT_TARGET_IMPL_H
#define RIOT_TARGET_IMPL_H

#include "lib/copy/target.h"

#define NODE_NONE UINT16_MAX

struct target {
    struct loop *loop;
    struct target_options opt;
    struct target_events ev;
    void *arg;
    struct topology_listener listener;

    struct target_node *first;
    struct target_node **by_number;
    size_t nnumbers;
    struct target_node *only; /* where there is one node alone, and it has all slots */
    bool covered;             /* every slot has a node */
    bool incomplete;          /* a node could not be made: no memory. Tried again */
    bool closed;
    bool moved;                  /* slots, by what MOVED said; the map does not say so yet */
    struct target_node *passing; /* whose value comes in parts */
    uint16_t owner[SLOTS];       /* by number; NODE_NONE */
};

/* target_nodes.c */
MUST_CHECK int target_begin_nodes(struct target *t);
void target_follow(struct target *t); /* the map, as it is now */
void target_end_nodes(struct target *t);
struct target_node *target_at(const struct target *t, const struct topology_node *where);

#endif
