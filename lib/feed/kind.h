/* kind.h - what a kind of feed does for feed.c, and what feed.c does for it. Private to the room.
 *
 * A kind says what it hears: live, marks, missed, lost, unusable. feed.c turns that into ready and gap, keeps
 * the watch list, and proves barriers. A kind makes no call to the feed from within close() or after it; its
 * memory stays until the stack has unwound.
 */
#ifndef RIOT_FEED_KIND_H
#define RIOT_FEED_KIND_H

#include "lib/feed/feed.h"

struct kind_ops {
    enum feed_kind kind;
    bool names_db;
    bool marks;    /* it delivers marks, so what it cannot see is a gap */
    bool sees_all; /* but there is nothing that it cannot see, other than how often entries were delivered */
    int (*new)(struct feed *f, void **ret);
    void (*close)(void *k); /* its connections, at once */
    void (*free)(void *k);
    /* Each reading of the source, or try at one (then s is NULL): heartbeats, and what the server must still
     * say of this feed. */
    void (*tick)(void *k, const struct watch_sample *s);
    /* Calls feed_kind_drained() once all that the server had to say when this was called was heard. */
    void (*drain)(void *k);
    void (*reset)(
        void *k, const char *why); /* begin anew: what it is connected to is not the source that is watched */
    /* Listens no longer, but keeps the connection that changed settings of the source, and returns it. May be
     * NULL. */
    struct conn *(*quiet)(void *k);
    /* Of those that have places; else NULL. */
    bool (*follows)(const void *k); /* see feed_follows() */
    void (*move)(void *k, const char *why);
    bool (*place)(const void *k, struct feed_place *ret);
    void (*applied)(void *k, uint64_t offset);
};

extern const struct kind_ops psync_ops, tracking_ops, notify_ops, none_ops;
const struct kind_ops *kind_ops_of(enum feed_kind k); /* of FEED_AUTO: NULL */

/* Which kind auto tries after this one (FEED_AUTO: the first), or FEED_AUTO when there is none left. */
enum feed_kind auto_next(enum feed_kind after);
void auto_pass_over(struct feed_status *s, enum feed_kind k, const char *why);
/* "tracking: why; notify: why". */
void auto_reasons(const struct feed_status *s, char *out, size_t cap);

/* Every callback from outside begins with FEED_HELD(f): what is freed meanwhile stays in memory until it
 * returns. */
struct feed *feed_hold(struct feed *f);
void feed_let_go(struct feed **f);
#define FEED_HELD(f)                                                                                         \
    struct feed *held_ CLEANUP(feed_let_go) = feed_hold(f);                                                  \
    (void)held_

struct loop *feed_loop(const struct feed *f);
const struct endpoint *feed_source(const struct feed *f);
const struct sink *feed_sink(const struct feed *f);
const char *feed_user(const struct feed *f); /* whom riotd is on the source, for texts */
bool feed_may_full_sync(const struct feed *f);
bool feed_may_pass(const struct feed *f); /* another kind is tried where this one cannot be used */

/* Confirmed live, on the server of this run id ("" unknown). */
void feed_kind_live(struct feed *f, const char *run_id);
/* Marks were missed, or may have been: missed, but it is still live; lost, and not live any more. */
void feed_kind_missed(struct feed *f, const char *format, ...) PRINTF_LIKE(2, 3);
void feed_kind_lost(struct feed *f, const char *format, ...) PRINTF_LIKE(2, 3);
void feed_kind_unusable(struct feed *f, const char *format, ...) PRINTF_LIKE(2, 3); /* closes the kind */
void feed_kind_doubt(struct feed *f, const char *format, ...) PRINTF_LIKE(2, 3);    /* NULL: it is settled */
/* It goes on from feed_begin_place(); before `live`. */
void feed_kind_resumed(struct feed *f);
/* See `moved` of feed_events; before `live`. True: it had been resumed, and the owner was not told yet. */
bool feed_kind_moved(struct feed *f);
const struct feed_place *feed_begin_place(const struct feed *f); /* NULL: there is none */
void feed_kind_drained(struct feed *f);
void feed_kind_functions(struct feed *f); /* function libraries changed */
void feed_kind_asked(struct feed *f, uint64_t offset);
void feed_kind_mark(struct feed *f, int db, struct bytes key);
void feed_kind_value(struct feed *f, int db, struct bytes key, struct bytes value, int64_t expire_at_ms);
void feed_kind_long_key(struct feed *f, int db, struct bytes prefix, uint64_t length);

const struct notify_record *feed_record(const struct feed *f);
/* Durably, or a negative errno: then nothing of it holds. */
MUST_CHECK int feed_set_record(struct feed *f, const struct notify_record *rec);

#endif
