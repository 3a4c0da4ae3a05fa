/* fences_impl.h - the inside of the fences, for fences*.c only: fences.c (the steps), fences_shards.c (which
 * shards there are, and what they are like together). */
#ifndef RIOTD_FENCES_IMPL_H
#define RIOTD_FENCES_IMPL_H

#include "daemon/fences.h"

#define FENCES_WHY_MAX 1200

enum { ASKED_STEP, ASKED_READ, ASKED_KINDS };

/* Where the primary of a shard is, and was: a connection may still use it. */
struct fence_place {
    struct endpoint endpoint;
    bool whole; /* it is a copy */
    struct fence_place *former;
};

struct fence_shard {
    struct fences *all;
    struct fence *fence;
    unsigned number; /* in the record; 0: the only server */
    struct fence_place *place;
    bool due[ASKED_KINDS];
    bool unwatched, trailing;
    struct fence_report report;
};

/* What was asked of all. */
struct fences_asked {
    fence_fn *fn;
    void *arg;
    size_t due;
    int err; /* the first; of a lift the gravest */
    char why[FENCES_WHY_MAX];
    void (*then)(struct fences *f, struct fences_asked *a); /* all have answered; NULL: they are told of */
};

struct fences {
    struct loop *loop;
    struct fences_options opt;
    struct fence_events ev;
    void *arg;
    struct topology_listener listener;
    size_t nshards;
    struct fence_shard **shards;
    uint64_t map_version; /* as the shards were made, and probed */
    bool watching, lifting, was_lost;

    struct fences_asked asked[ASKED_KINDS];
    struct timer *patience; /* for those that have not answered after an error */
    int lifted_err;
    char lifted_why[FENCES_WHY_MAX];

    struct fence_report report;
    struct fence_node_report *nodes; /* of all shards */
};

/* fences_shards.c */
MUST_CHECK int fences_make_shards(struct fences *f);
void fences_free_shards(struct fences *f);
/* The topology has changed, or is looked at for the first time: new primaries in the watch; in an undo those
 * that are none any more. */
void fences_follow(struct fences *f);
/* Makes the report. -errno: why. */
MUST_CHECK int fences_judge(struct fences *f, char why[FENCES_WHY_MAX]);

/* fences.c */
extern const struct fence_events fences_events; /* arg: the shard */

#endif
