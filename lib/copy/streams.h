/* streams.h - the names of the stream keys that a lane copied, and whether their consumer groups moved.
 *
 * No feed but psync sees what XACK, XREADGROUP and XCLAIM change (CORRECTNESS 3). INFO's counters tell that
 * something moved, not where. So the lane keeps the names of its streams: while live, those whose XINFO
 * differs from the last look are marked, at most every 5 s; in a drain all are marked. XINFO GROUPS and
 * CONSUMERS do not show delivery counts: the drain does not rely on them.
 *
 * Names beyond the budget are not kept: streams_complete() is false from then on, and the drain must look for
 * streams by SCAN TYPE.
 */
#ifndef RIOT_STREAMS_H
#define RIOT_STREAMS_H

#include "lib/core/hash.h"
#include "lib/redis/conn.h"

struct streams;
struct streams_events {
    void (*changed)(int db, struct bytes key, void *arg);
    void (*compared)(void *arg); /* a comparison ended */
    int (*identified)(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                      void *arg);
};

MUST_CHECK int streams_new(struct loop *l, const struct endpoint *source, struct hash_seed seed,
                           size_t budget, const struct streams_events *ev, void *arg, struct streams **ret);
struct streams *streams_free(struct streams *s);

bool streams_is_type(struct bytes payload);                       /* does this DUMP payload hold a stream? */
void streams_note(struct streams *s, int db, struct bytes key);   /* it was copied, as a stream */
void streams_forget(struct streams *s, int db, struct bytes key); /* it is gone */
bool streams_complete(const struct streams *s);
/* Those whose names `belongs` says true of are another lane's: each is told to `fn`, and forgotten. */
void streams_take_out(struct streams *s, bool (*belongs)(struct bytes key, const void *of), const void *of,
                      void (*fn)(int db, struct bytes key, void *arg), void *arg);
void streams_lack_some(struct streams *s); /* whose names are not known: complete no longer */
size_t streams_count(const struct streams *s);

struct conn *streams_conn(struct streams *s);

/* Something moved: begins a comparison, now or 5 s after the last one. */
void streams_compare(struct streams *s);
/* `changed` for every name, before it returns. */
void streams_mark_all(struct streams *s);

#endif
