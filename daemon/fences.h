/* fences.h - the fences of all shards of the source, as one (CORRECTNESS 4 and 5).
 *
 * Each step is asked of all shards at once, and answered once, when all have answered: so an undo finds
 * nothing under way. The first error is the answer, and the caller's undo lifts all. For what a step does see
 * fence.h; with one shard nothing is added to what it says.
 *
 * Shards are those of the record, if there is one (after a crash), else those of the topology. From the
 * commit on, the watch follows the topology: a primary that is new is fenced too.
 */
#ifndef RIOTD_FENCES_H
#define RIOTD_FENCES_H

#include "daemon/fence.h"
#include "lib/redis/topology.h"

struct fences;

struct fences_options {
    const struct endpoint *source; /* borrowed */
    struct topology *topology;     /* of the source, borrowed; NULL: it is one server */
    struct state_file *state;
    struct log *log;
};

/* hold_empty is not said; the rest as a fence says it, about any shard. */
MUST_CHECK int fences_new(struct loop *l, const struct fences_options *opt, const struct fence_events *ev,
                          void *arg, struct fences **ret);
struct fences *fences_free(struct fences *f);

/* Allowed is what is allowed on all shards. Of a cluster: its primaries agree on who owns which slot, each is
 * one of ours, no slot is without an owner or being moved; else it fails. */
void fences_probe(struct fences *f, fence_fn *fn, void *arg);
/* id and sample are those of the first shard, and the longest round trip. */
void fences_report(const struct fences *f, struct fence_report *ret);
/* Since the probe: the nodes, or who owns which slot; NULL: nothing that is known of. */
const char *fences_changed(const struct fences *f);

/* The shards: their order holds until the watch. */
size_t fences_count(const struct fences *f);
const struct endpoint *fences_endpoint(const struct fences *f, size_t i);   /* of its primary */
const struct server_id *fences_id(const struct fences *f, size_t i);        /* as probed */
const struct watch_sample *fences_sample(const struct fences *f, size_t i); /* or NULL */

MUST_CHECK int fences_note(struct fences *f); /* before they are paused: all are in the record */
void fences_pause(struct fences *f, uint64_t lease_ms, uint64_t bound_ms, fence_fn *fn, void *arg);
bool fences_is_paused(const struct fences *f);         /* all are */
uint64_t fences_lease_left_us(const struct fences *f); /* of the one that ends first */
uint64_t fences_paused_us(const struct fences *f);     /* of the first that was */
void fences_hold_lease(struct fences *f, uint64_t lease_ms);
void fences_set(struct fences *f, enum fence_kind kind, fence_fn *fn, void *arg);
void fences_prove(struct fences *f, fence_fn *fn, void *arg);
void fences_read(struct fences *f, fence_fn *fn, void *arg);
/* Of shard i at the commit, into the record. */
void fences_note_commit(struct fences *f, size_t i, uint64_t write_calls);
/* All texts of what was left alone. A shard that has another primary by now is not waited for. */
void fences_lift(struct fences *f, fence_fn *fn, void *arg);
void fences_release(struct fences *f, uint64_t hold_lease_ms, fence_fn *fn, void *arg);
void fences_watch(struct fences *f, bool on);
bool fences_is_held(const struct fences *f);
/* No pause ends before the clients of all shards have stayed away. */
void fences_end_hold(struct fences *f, bool force, fence_fn *fn, void *arg);

#endif
