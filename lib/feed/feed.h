/* feed.h - what tells a lane that keys of its source changed.
 *
 * A feed says three things of the data: a key may have changed (mark), marks may have been missed (gap), and
 * from now on every change is marked (ready). Nothing above it knows which kind runs. It also keeps the watch
 * list of its kind (what no stream tells: flushes, SWAPDB, consumer groups, functions, a server that was
 * replaced), so it reads INFO of the source each second, and passes the readings on.
 *
 * Rules: `ready` is said once the feed is confirmed live on the server (R0), and again after every gap, as
 * soon as it is live again (at once, but deferred, if it still is). Marks that come before `ready` are
 * delivered too. Between gap and ready the owner may not trust completeness. Losing a connection is a gap;
 * the feed comes back by itself. Callbacks run from the loop only; feed_free() and feed_stop() are legal in
 * them.
 */
#ifndef RIOT_FEED_H
#define RIOT_FEED_H

#include "lib/core/sink.h"
#include "lib/redis/conn.h"
#include "lib/redis/watch.h"

#define FEED_ANY_DB (-1) /* the mark is for this key in every database of the scope */

enum feed_kind { FEED_AUTO, FEED_PSYNC, FEED_TRACKING, FEED_NOTIFY, FEED_NONE };
#define FEED_KINDS 5
const char *feed_kind_name(enum feed_kind k);
bool feed_kind_parse(struct bytes name, enum feed_kind *ret);

/* What notify changed on the source; kept in the state file (CORRECTNESS 7). run_id "" is: nothing is
 * recorded. */
#define NOTIFY_FLAGS_MAX 32
struct notify_record {
    char run_id[RUN_ID_MAX];
    char before[NOTIFY_FLAGS_MAX];
    char after[NOTIFY_FLAGS_MAX]; /* as read back; "" while the change is only intended */
};

/* Where the stream of a source was left: everything that it executed later is behind it. */
struct feed_place {
    char run_id[RUN_ID_MAX]; /* of the source */
    char replid[RUN_ID_MAX]; /* "" there is no place */
    uint64_t offset;
    int db; /* of the commands that follow, or FEED_ANY_DB */
};

struct feed;
struct feed_events {
    void (*ready)(void *arg);
    void (*mark)(int db, struct bytes key, void *arg);
    /* A mark, of a change that tells all that the key is from then on: this string, until expire_at_ms (0:
     * for ever), in a database that is known. Later ones are told of later. Without it, `mark` is called. */
    void (*value)(int db, struct bytes key, struct bytes value, int64_t expire_at_ms, void *arg);
    /* A change of a key whose name is longer than KEY_NAME_MAX: it cannot be copied, and must be told. */
    void (*long_key)(int db, struct bytes prefix, uint64_t length, void *arg);
    /* The stream goes on at another server, or under another history, and has what it had before: no mark was
     * missed. But what was read from the former one ahead of the stream the one that is there now may not
     * have, and no mark comes for that. */
    void (*moved)(void *arg);
    void (*gap)(const char *reason,
                void *arg); /* a short sentence: "tracking connection lost: closed by the server" */
    /* This source does not deliver this kind (refused commands, missing rights). `why` names the command or
     * setting, and what the operator must change. Final for this feed object. */
    void (*unusable)(const char *why, void *arg);
    /* This kind delivers; with `auto`, passed_over of feed_status() is complete. */
    void (*chosen)(enum feed_kind kind, void *arg);
    void (*groups)(void *arg);    /* consumer group state of some stream moved; which is not known */
    void (*functions)(void *arg); /* function libraries changed */
    /* The source wants to know once all that it told up to there is applied: feed_applied(). */
    void (*asked)(uint64_t offset, void *arg);
    void (*sample)(const struct watch_sample *borrowed, void *arg);
    void (*reachable)(bool up, const char *why,
                      void *arg); /* the watch connection: heartbeat of the source */
    /* Writes the record durably (fsync) before it returns 0; notify changes the server only then. */
    int (*record)(const struct notify_record *rec, void *arg);
};

struct feed_options {
    enum feed_kind kind;
    bool full_sync;                /* psync may ask for a full synchronisation where there is no backlog */
    const struct endpoint *source; /* borrowed */
    struct notify_record recorded; /* from the state file */
    struct feed_place place;       /* to go on from, if what follows can be had */
    const struct sink *sink;       /* borrowed */
};

MUST_CHECK int feed_new(struct loop *l, const struct feed_options *opt, const struct feed_events *ev,
                        void *arg, struct feed **ret);
/* Closes all at once; what was changed on the source stays changed, and recorded. */
struct feed *feed_free(struct feed *f);
/* Puts back what was changed on the source, then calls fn(true); fn(false) when it could not (the record
 * stays). No marks come any more. */
void feed_stop(struct feed *f, void (*fn)(bool put_back, void *arg), void *arg);

/* A barrier: every mark of a change made before this call has been delivered when fn(0) runs, and then the
 * watch list was read once, begun after that, and what it said (gap, groups, functions, sample) was said.
 * fn(-ECANCELED): a gap came in between, or feed_stop(). One at a time: -EBUSY. -ENOTCONN: not ready. */
MUST_CHECK int feed_barrier(struct feed *f, void (*fn)(int err, void *arg), void *arg);

/* Where feed_follows(): the source is at another address by now, as the endpoint says, and what follows is
 * asked for there. That it goes on is told by `moved`, if it is another server; that it does not, as a gap.
 * Nothing is on record of that address. */
void feed_move(struct feed *f, const char *why);

/* Behind all that was delivered so far. False: this kind has no places, or none now. */
bool feed_place(const struct feed *f, struct feed_place *ret);
/* It is ready, and another server that has the same history does not end that: its stream is gone on with. */
bool feed_follows(const struct feed *f);
/* It is ready, and what it tells comes from the server of this run id. */
bool feed_is_at(const struct feed *f, const char *run_id);
/* It went on from the options' place, and has missed nothing since. */
bool feed_resumed(const struct feed *f);
/* The target has everything up to there: the source may be told. */
void feed_applied(struct feed *f, uint64_t offset);

struct feed_status {
    enum feed_kind kind; /* what runs; FEED_AUTO while not chosen */
    const char *state;   /* "connecting", "ready", "reconnecting", "gap", "unusable", "stopped" */
    uint64_t cut_off_us; /* reconnecting, for so long: what changed since is asked for then */
    bool names_db;       /* do marks name their database? */
    uint64_t gaps, marks;
    char last_gap[160]; /* "" none yet */
    /* "" none: why it is not known yet whether anything will be heard, and what would settle it. */
    char doubt[200];
    size_t npassed_over;
    struct {
        enum feed_kind kind;
        char why[200];
    } passed_over[FEED_KINDS];
};
void feed_status(const struct feed *f, struct feed_status *ret);
struct watch *feed_watch(struct feed *f); /* of the source; never NULL */

#endif
