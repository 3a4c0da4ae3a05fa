/* lanes_impl.h - the inside of all lanes, for lanes.c (making and steering them, passing on what they say),
 * lanes_follow.c (the nodes of the source), lanes_give.c (slots that change lanes), lanes_left.c (keys that
 * are not where their slot is), lanes_drain.c (drains and the seal over all), lanes_place.c (going on after a
 * restart) and lanes_status.c (what is told of them as one) only. */
#ifndef RIOT_LANES_IMPL_H
#define RIOT_LANES_IMPL_H

#include "lib/copy/lane_impl.h"
#include "lib/copy/lanes.h"

#define LANES_DRAINS_MAX 64 /* as many as the control server has clients */

struct whole_drain;

/* How far slots are on their way to other lanes. */
enum giving {
    GIVING_NOTHING,
    GIVING_BARRIER, /* the feed proves that it has told all of them */
    GIVING_FROZEN,  /* what is in flight lands */
};

/* What its node counted of slots that move as a whole, as last read. */
struct counted {
    char run_id[RUN_ID_MAX];
    uint64_t commands, slot_moves;
    uint64_t since_us; /* it was the same in each reading since */
    bool changed;      /* ever, on a server that was read before */
};

/* Whether keys of others' slots are left at a node. */
#define LOOK_SLOTS 512 /* at a time */
struct looking {
    struct served *one; /* of the node */
    enum {
        LOOK_NOT,
        LOOK_COUNT,   /* it is asked */
        LOOK_BARRIER, /* its feed proves that it has told all */
    } step;
    struct slot_set still; /* nothing has come of them since this look began, and no key was counted */
    size_t n;
    uint16_t slots[LOOK_SLOTS]; /* that are asked for */
    unsigned next;              /* slot to go on with, so that each has its turn */
    uint64_t seq;               /* of the reading behind the questions */
    size_t due, answered;       /* counts, of each of them in each database */
    bool selects;               /* its connection is in some database */
    bool refusal;               /* of one of them */
    unsigned slot;              /* of which keys were counted, told of, or asked for there */
    uint64_t seen_us;           /* since when; 0: of none */
    char refused[100];          /* by the last look that was; "": it was not */
};

/* A lane and its shard. */
struct served {
    struct lanes *all;
    struct lane *lane;
    struct endpoint source;   /* of the primary */
    struct shard shard;       /* as the map last said */
    char former[NODE_ID_MAX]; /* its primary before; "" none */
    uint64_t moved_us;        /* when that was left */
    size_t index;             /* there; SHARD_NONE: it is no primary any more */
    struct slot_set slots;    /* whose keys are the lane's */
    struct served *passed;    /* to whom it passed the last mark on; NULL: none */

    enum giving giving;
    struct slot_set given; /* are to be: those that were another's as the barrier began */
    bool proved;           /* it has passed, and nothing was missed since */
    struct counted counted;
    uint64_t confirms;      /* the reading which is to show that slots did come key by key; 0: none is due */
    struct slot_set others; /* slots that are not the lane's, and keys of them were seen at its node, or asked
                               for, and may be there still */
    struct looking looking;
    bool stopping, stopped;
};

/* What is called for from every lane at once, and answered once. */
struct whole_seal {
    lane_sealed_fn *fn; /* NULL: none is under way */
    void *arg;
    size_t due; /* lanes that have not answered */
    bool done;
};

struct lanes {
    struct loop *loop;
    struct lanes_options opt;
    struct lanes_events ev;
    void *arg;
    struct place place; /* the options' */

    struct served **at;
    size_t n;
    struct served *owner[SLOTS]; /* NULL: no lane's */
    /* Until none of its keys is left elsewhere, or it has moved. */
    struct served *asked[SLOTS]; /* to whom the keys move one by one: the owner said ASK */
    bool doubted[SLOTS];         /* the owner may not know that keys have moved */
    struct topology_listener listener, target_listener;
    uint64_t version;    /* of the map that was last followed: places in another one mean nothing */
    bool behind;         /* memory was out: not all of it is followed yet */
    bool later;          /* it is to be looked at again: what it tells is about to change */
    struct timer *again; /* what waits for something that tells no one */
    struct defer follow_later, tell_later;

    enum lane_phase phase;
    unsigned round; /* passes begun by the whole; without the first, where that was an earlier process's */
    bool resumed;
    char last_gap[160];
    bool deletes_held, paused;

    /* lanes that ended, and what became of the lanes since */
    struct lane_status past;
    uint64_t changes;
    uint64_t past_marks;

    struct whole_drain *drains[LANES_DRAINS_MAX];
    size_t ndrains;
    struct whole_seal seal;

    bool stopping;
    void (*stopped)(bool put_back, void *arg);
    void *stopped_arg;
    size_t stop_due;
    bool put_back;
};

/* lanes.c */
/* Of the shard at this place of the map; without a topology: of the options' endpoints. */
MUST_CHECK int lanes_add(struct lanes *s, const struct shard *shard, size_t index);
void lanes_remove(struct lanes *s, struct served *one); /* and frees its lane */
void lanes_share_limits(struct lanes *s);
void lanes_follow_phase(struct lanes *s);
void lanes_recorded(struct lanes *s, const char *address, struct notify_record *ret);

/* lanes_follow.c */
void lanes_follow(struct lanes *s);
void lanes_follow_soon(struct lanes *s);

/* lanes_give.c */
struct served *lanes_owner(const struct lanes *s, struct bytes key); /* NULL: no lane's */
void lanes_own(struct served *one, unsigned slot);
/* Slots that the map says are others' go to those, when it can be. */
void lanes_give(struct served *from);
void lanes_gave_up(struct served *from); /* its feed has missed something */
void lanes_stray(struct lanes *s, struct lane *l, enum dirty_class class, int db, struct bytes key);
void lanes_redirected(struct lanes *s, unsigned slot, bool ask, const char *address, uint64_t since_us);
void lanes_counted(struct served *one, const struct watch_sample *sample); /* each reading of its node */
/* This one begins a pass, after its feed missed something: keys of others' slots that it held may be gone. */
void lanes_missed(struct served *one);
/* The same, after it had no room for what it was told: keys of its own slots that others hold may be gone. */
void lanes_dropped(struct served *one);
bool lanes_crowded(const struct served *one); /* where its marks go that it passes on */
void lanes_groups(struct served *one);        /* changed at its node */
void lanes_unknown(struct lanes *s, struct bytes key);
void lanes_doubt(struct served *one); /* all of its slots: another node took over */

/* lanes_left.c */
bool lanes_is_split(const struct lanes *s, unsigned slot); /* keys of it may be at others than its owner */
void lanes_left_note(struct served *one, unsigned slot); /* a key of another's slot came there, or may have */
void lanes_left_none(struct served *one, unsigned slot); /* there is none, or the slot is its own by now */
void lanes_left_look(struct served *one);                /* with each reading of its node */
void lanes_left_missed(struct served *one);              /* its feed has missed something */

/* lanes_place.c */
/* No slot of it is on its way from or to another lane, and no key of another's is at its node. */
bool lanes_is_apart(const struct lanes *s, const struct served *one);
/* No mark that its feed told may wait in another lane's set. */
bool lanes_keeps_all(const struct lanes *s, const struct served *one);
/* A mark that one lane told has become another's to apply, or is another's for good. */
void lanes_place_forget(struct lanes *s);

/* lanes_drain.c */
/* A lane has a gap or another source, or the lanes are others. */
void lanes_drains_begin_again(struct lanes *s);
void lanes_drains_look(struct lanes *s); /* the map was asked for anew */
void lanes_drains_free(struct lanes *s);
void lanes_seal_fail(struct lanes *s, int err, const char *why); /* one that is under way */

#endif
