/* link.h - the life of a link: its states, its servers, its lane.
 *
 * The link decides what the lane does not: whether these two servers may be linked at all (interlocks), whose
 * the target is, and what becomes of deletions when a side comes back as another server, or with half of its
 * keys gone (CORRECTNESS 2). What must hold over a restart it writes to the state file before it acts.
 */
#ifndef RIOTD_LINK_H
#define RIOTD_LINK_H

#include "daemon/blocker.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/state_file.h"
#include "lib/copy/lanes.h"
#include "lib/core/text.h"

enum link_state {
    LINK_IDLE,
    LINK_CONNECTING,
    LINK_SNAPSHOT,
    LINK_RESYNC,
    LINK_LIVE,
    LINK_PAUSED,
    LINK_CUTOVER,   /* from validate to the commit, or until it is undone */
    LINK_COMMITTED, /* the target owns the data; there is no lane. Left by finish only, or start --anew */
    LINK_FINISHED,
    LINK_FAILED,
    LINK_STATES
};
const char *link_state_name(enum link_state s);

struct link;
struct link_events {
    void (*changed)(void *arg);   /* state, blockers: whoever waits for something should look again */
    void (*lane_gone)(void *arg); /* drains that were not called back are forgotten */
};

/* All borrowed. The passwords are copied. */
struct link_options {
    struct config *config;
    const struct config_passwords *passwords;
    struct state_file *state;
    struct log *log;
};

MUST_CHECK int link_new(struct loop *loop, const struct link_options *opt, const struct link_events *ev,
                        void *arg, struct link **ret);
struct link *link_free(struct link *k);

#define LINK_WHY_MAX 320
/* Writes why, and returns err. */
#define link_refuse(why, ...) text_refuse(why, LINK_WHY_MAX, __VA_ARGS__)
/* Each: 0; -EALREADY, -EPERM (not in this state), -EBUSY (in a cutover), -ENOENT (no such blocker), -EIO
 * (state file): why says it for people, nothing was changed. */
MUST_CHECK int link_start(struct link *k, bool anew, char why[LINK_WHY_MAX]);
MUST_CHECK int link_pause(struct link *k, char why[LINK_WHY_MAX]);
MUST_CHECK int link_resume(struct link *k, char why[LINK_WHY_MAX]);
MUST_CHECK int link_accept(struct link *k, struct bytes code, char why[LINK_WHY_MAX]);
MUST_CHECK int link_may_stop(const struct link *k, char why[LINK_WHY_MAX]); /* for `stop` */
/* Ends copying, puts back what was changed on the source (for at most `bound_us`; else the state file
 * remembers), then state idle and fn. keep: the process ends, and the next start goes on: what was asked for
 * last is not changed. */
void link_stop(struct link *k, bool keep, uint64_t bound_us, void (*fn)(void *arg), void *arg);
/* As the process starts: what was asked for last, else autostart. */
void link_begin(struct link *k);
/* Reads the TLS files of both sides again; -EINVAL with why. link_settle_tls() is to follow in any case: what
 * was read holds for the connections that begin from then on, or is forgotten. */
MUST_CHECK int link_prepare_tls(struct link *k, char why[LINK_WHY_MAX]);
void link_settle_tls(struct link *k, bool taken);
void link_limits_changed(struct link *k);

/* R6. -ENOTCONN: there is no lane. A lane that ends drops its drains: `lane_gone` is said then. */
MUST_CHECK int link_drain(struct link *k, void (*fn)(void *arg), void *arg);
void link_drain_cancel(struct link *k, void *arg);

enum link_state link_state(const struct link *k);

/* For verify and the cutover. */

/* Of that side: for as long as the link lives. */
struct topology *link_topology(const struct link *k, enum lane_side side);
/* The addresses of that side's primaries, by the map as it is now. */
void link_each_primary(const struct link *k, enum lane_side side,
                       void (*fn)(enum lane_side side, const char *address, void *arg), void *arg);
/* NULL: there are none, or they are being ended. `lane_gone` is said when they go. */
struct lanes *link_lanes(struct link *k);
const struct endpoint *link_endpoint(const struct link *k, enum lane_side side);
/* The target's database that all goes into; URL_DB_NONE: the same as on the source. */
int link_into_db(const struct link *k);
/* The databases of the scope, of the source, from malloc (NULL: memory is out). All of them are known only
 * while there is a lane. */
int *link_dbs(const struct link *k, size_t *ret_n);

/* A cutover. From live only, with no blocker, and no gap pending: else -EPERM and why. While it lasts, start,
 * pause, resume, stop and accept answer -EBUSY, a gap does not change the state (see lane_generation()), and
 * limits are lifted; `changed` is said for each gap and phase. The link may fail meanwhile: the state is
 * failed at once, and the cutover undoes itself all the same. */
MUST_CHECK int link_cutover(struct link *k, char why[LINK_WHY_MAX]);
/* It was undone, or did not begin: the lane is unsealed, the state is again what the lane is at, limits hold
 * again. Where the link has failed meanwhile, it stays failed. */
void link_cutover_undone(struct link *k, const char *reason);
/* The lane ends without a word to either server (what was changed on the source stays recorded, for finish).
 * The state file says committed already. */
void link_committed(struct link *k, const char *reason);
/* After finish, which has put back what the feed had changed on the source: see link_put_back(). */
void link_finished(struct link *k, const char *reason);
/* Notify flags go back to what they were, if they are still ours; fn(false): they could not be within
 * bound_us. */
MUST_CHECK int link_put_back(struct link *k, uint64_t bound_us, void (*fn)(bool put_back, void *arg),
                             void *arg);
/* Only a person can go on: what is fenced is in the text. The lane ends, the fence stays. */
void link_cutover_failed(struct link *k, const char *text);
/* As the process starts, in place of link_begin(): the state file tells of a cutover that was under way. With
 * `undone` the link waits in state cutover for link_begin(); else it is committed, or finished. */
void link_begin_after_cutover(struct link *k, bool undoing, const char *reason);

struct link_blocker {
    bool on;
    int64_t since_ms; /* unix time */
    char message[320];
};

struct link_waiting {
    const char *code; /* NULL: it is down */
    int64_t since_ms; /* unix time */
    char text[200];
};

/* A node of one side, as the topology tells of it. */
struct link_node {
    char address[STATE_URL_MAX];
    char id[NODE_ID_MAX];
    bool primary, failing;
    unsigned slots, told_slots;
    size_t shard;
};
struct link_nodes {
    uint64_t version; /* of the map; 0: not known yet */
    bool cluster, covered, moving;
    size_t count, primaries; /* primaries: those that own slots */
    struct link_node *at;
};

struct link_status {
    enum link_state state;
    int64_t since_ms;
    const char *reason;
    bool has_lane;
    struct lane_status lane; /* without one: what is known all the same, as totals and limits */
    struct link_blocker blockers[BLOCKER_COUNT];
    /* Before there is a lane: what each side is waited for with. "" nothing. */
    struct link_waiting waiting[2];
    const struct endpoint *endpoints[2];
    const struct link_nodes *nodes[2];
};
void link_status(struct link *k, struct link_status *ret);
void link_each_failed(const struct link *k,
                      void (*fn)(int db, struct bytes key, const char *reason, void *arg), void *arg);

#endif
