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
};

/* As those of a lane; l: the one that it is about. */
struct lanes_events {
    void (*phase)(enum lane_phase phase, void *arg); /* of the whole: that of the lane that is least far */
    struct lane_events lane;                         /* but for phase, which is not called */
    void (*changed)(void *arg);                      /* lanes came, went, or moved */
};

MUST_CHECK int lanes_new(struct loop *loop, const struct lanes_options *opt, const struct lanes_events *ev,
                         void *arg, struct lanes **ret);
struct lanes *lanes_free(struct lanes *s);
void lanes_stop(struct lanes *s, void (*fn)(bool put_back, void *arg), void *arg);

size_t lanes_count(const struct lanes *s);
struct lane *lanes_at(const struct lanes *s, size_t i);
const char *lane_name(const struct lane *l); /* the address of its source */

/* Of every lane that talks to this address. */
void lanes_approve(struct lanes *s, enum lane_side side, const char *address, const char *run_id);
const char *lanes_approved(const struct lanes *s, enum lane_side side, const char *address); /* "" none is */

void lanes_hold_deletes(struct lanes *s, bool held);
void lanes_pause(struct lanes *s, bool paused);
void lanes_limits(struct lanes *s, uint64_t memory, uint64_t keys_per_s, uint64_t bytes_per_s);
void lanes_mark(struct lanes *s, int db, struct bytes key);
bool lanes_is_dirty(const struct lanes *s, int db, struct bytes key);
int *lanes_dbs(const struct lanes *s, size_t *ret_n);

/* R6, over all lanes: the barriers of all pass before any lane's set is looked at, since a mark may be passed
 * on; and a change of the topology meanwhile begins it again. Otherwise as lane_drain() and the like. */
MUST_CHECK int lanes_drain(struct lanes *s, void (*fn)(void *arg), void *arg);
MUST_CHECK int lanes_settle(struct lanes *s, void (*fn)(void *arg), void *arg);
void lanes_drain_cancel(struct lanes *s, void *arg);
void lanes_retry(struct lanes *s);
void lanes_generation(const struct lanes *s,
                      struct lane_generation *ret); /* sums; a lane more or less is a gap */
void lanes_each_recent(const struct lanes *s, bool (*fn)(int db, struct bytes key, void *arg), void *arg);
MUST_CHECK int lanes_seal(struct lanes *s, const struct lane_confirm *confirm, lane_sealed_fn *fn, void *arg);
void lanes_unseal(struct lanes *s);

void lanes_status(struct lanes *s, struct lane_status *ret); /* sums, the oldest, the worst */
void lanes_each_failed(const struct lanes *s,
                       void (*fn)(int db, struct bytes key, const char *reason, void *arg), void *arg);
/* The last reading of that address, of whichever lane; NULL: none. */
const struct watch_sample *lanes_last_sample(const struct lanes *s, enum lane_side side, const char *address);

#endif
