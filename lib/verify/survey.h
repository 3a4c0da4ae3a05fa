/* survey.h - asks each primary of a cluster, once, which slots it owns and which it moves. Of this room only.
 *
 * The map of a topology is one node's view: it may be late by a second, and does not tell what others move.
 * Keys of a slot that is being moved are on two nodes.
 */
#ifndef RIOT_VERIFY_SURVEY_H
#define RIOT_VERIFY_SURVEY_H

#include "lib/redis/topology.h"

struct survey;
struct survey_result {
    char why[160]; /* a primary that could not be asked; "" none */
    bool agreed;   /* each owns what the map says */
    struct slot_set moving;
};
typedef void survey_fn(const struct survey_result *borrowed, void *arg);

/* fn once, from the loop; survey_free() is legal in it. The topology is borrowed, and its map is known. */
MUST_CHECK int survey_new(struct loop *l, struct topology *t, const char *role, survey_fn *fn, void *arg,
                          struct survey **ret);
struct survey *survey_free(struct survey *s);

#endif
