/* lanes.h - all lanes of a link, as one: a lane for each shard of the source.
 *
 * It follows the topology of the source: makes a lane for each primary that appears, moves a lane to the
 * replica that took over, ends the lane of a node that has left. A key belongs to one lane at a time, the one
 * whose shard owns its slot by the map in force; a mark that another lane hears of it is passed on. A slot
 * changes lanes only when nothing of it is in flight, and no lost write of it may still be under way (R2).
 *
 * What it does not decide is what a lane does not decide: whether a server that answers is the one to talk
 * to. Servers are told apart by side and address (that of their endpoint's URL).
 */
#ifndef RIOT_LANES_H
#define RIOT_LANES_H

#include "lib/copy/lane.h"
#include "lib/redis/topology.h"

struct lanes;

struct lanes_options {
    struct lane_options lane;         /* of each; what limits there are is shared out among them */
    struct topology *source, *target; /* borrowed; both maps are known */
    /* What is on record of what notify changed at that address, as a lane begins there; arg as the events'.
     * NULL: as lane.recorded says. */
    void (*recorded)(const char *address, struct notify_record *ret, void *arg);
    const struct place *place; /* to go on from, each lane by itself if it can; copied. NULL: none */
};

/* As those of a lane; l: the one that it is about. */
struct lanes_events {
    void (*phase)(enum lane_phase phase, void *arg); /* of the whole: that of the lane that is least far */
    struct lane_events lane;                         /* but for phase, which is not called */
    void (*regrouped)(void *arg); /* another map, of either side: before any slot changes lanes by it */
    void (*changed)(void *arg);   /* lanes came, went, or moved */
};

MUST_CHECK int lanes_new(struct loop *loop, const struct lanes_options *opt, const struct lanes_events *ev,
                         void *arg, struct lanes **ret);
struct lanes *lanes_free(struct lanes *s);
void lanes_stop(struct lanes *s, void (*fn)(bool put_back, void *arg), void *arg);

size_t lanes_count(const struct lanes *s);
struct lane *lanes_at(const struct lanes *s, size_t i);

/* Of every lane that talks to this address. */
void lanes_approve(struct lanes *s, enum lane_side side, const char *address, const char *run_id);
const char *lanes_approved(const struct lanes *s, enum lane_side side, const char *address); /* "" none is */

void lanes_hold_deletes(struct lanes *s, bool held);
void lanes_pause(struct lanes *s, bool paused);
void lanes_limits(struct lanes *s, uint64_t memory, uint64_t keys_per_s, uint64_t bytes_per_s);
/* Of limits.memory, for so many lanes to so many nodes of the target: with less they take it all the same. */
uint64_t lanes_memory_least(size_t lanes, size_t nodes);
#define LANES_MEMORY_TEXT 200
/* True: it is less, as the text says. */
bool lanes_memory_is_short(uint64_t memory, size_t lanes, size_t nodes, char text[LANES_MEMORY_TEXT]);
void lanes_coalesce(struct lanes *s, uint64_t most_us);
void lanes_mark(struct lanes *s, int db, struct bytes key);
bool lanes_is_dirty(const struct lanes *s, int db, struct bytes key);
int *lanes_dbs(const struct lanes *s, size_t *ret_n);

/* R6, over all lanes: the barriers of all pass before any lane's set is looked at, since a mark may be passed
 * on; and so does a look at the nodes of the source, since one may have come. A change of the topology
 * meanwhile begins it again. Otherwise as lane_drain() and the like. */
MUST_CHECK int lanes_drain(struct lanes *s, void (*fn)(void *arg), void *arg);
MUST_CHECK int lanes_settle(struct lanes *s, void (*fn)(void *arg), void *arg);
void lanes_drain_cancel(struct lanes *s, void *arg);
void lanes_retry(struct lanes *s);
void lanes_generation(const struct lanes *s,
                      struct lane_generation *ret); /* sums; a lane more or less is a gap */
void lanes_each_recent(const struct lanes *s, bool (*fn)(int db, struct bytes key, void *arg), void *arg);
MUST_CHECK int lanes_seal(struct lanes *s, const struct lane_confirm *confirm, lane_sealed_fn *fn, void *arg);
void lanes_unseal(struct lanes *s);

/* False: there is none, of one lane at the least. Else place_clear(). It is kept durably each second or so
 * while live, and forgotten durably with a gap, and with another map. */
bool lanes_place(struct lanes *s, struct place *ret);

void lanes_status(struct lanes *s, struct lane_status *ret); /* sums, the oldest, the worst */
void lanes_each_failed(const struct lanes *s,
                       void (*fn)(int db, struct bytes key, const char *reason, void *arg), void *arg);
/* The last reading of that address, of whichever lane; NULL: none. */
const struct watch_sample *lanes_last_sample(const struct lanes *s, enum lane_side side, const char *address);

#endif
