/* state_file.h - what must survive a crash of this link: NAME.json, in the state folder.
 *
 * Whoever learns something that must hold over a restart changes the struct and calls state_save() before it
 * acts. A save is durable when it returns 0: temp file, write, fsync, rename, fsync of the folder; on failure
 * the old file stays. The lock, NAME.lock, is held until state_file_free(): one riotd a link. The lines of an
 * ACL have hashes of passwords in them: the file is for its owner alone, and they are shown nowhere. What
 * cannot be understood is refused, never guessed.
 */
#ifndef RIOTD_STATE_FILE_H
#define RIOTD_STATE_FILE_H

#include "lib/control/verbs.h"
#include "lib/copy/place.h"
#include "lib/feed/feed.h"
#include "lib/redis/server.h"
#include "lib/redis/slot.h"
#include "lib/redis/watch.h"

/* Read too: 1, which knew no cutover; 2, which knew one server a side; 3, whose place was of such a pair. */
#define STATE_SCHEMA       4
#define STATE_INSTANCE_MAX 9 /* 8 hex digits */
#define STATE_URL_MAX      512
#define STATE_IDS_MAX      2048
#define STATE_SERVERS_MAX  1024 /* of one side: shards, and those that have left and are not forgotten yet */
#define STATE_NOTIFY_MAX   1024
#define STATE_WHY_MAX      512

/* The last of start, pause and stop; none of them so far: autostart decides. */
enum state_desired { DESIRED_NONE, DESIRED_IDLE, DESIRED_RUNNING, DESIRED_PAUSED };

enum state_side { STATE_SOURCE, STATE_TARGET };

/* Who a server was when last seen: of each shard its primary, of a single server that. */
struct state_server {
    char address[STATE_URL_MAX]; /* of its endpoint (url.text) */
    char run_id[RUN_ID_MAX], replid[RUN_ID_MAX], replid2[RUN_ID_MAX];
    enum server_role role;
    unsigned slots;       /* that it owned when its keys were counted; 0: not known */
    size_t ndbs;          /* highest count of keys seen in each database */
    struct watch_db *dbs; /* ascending; expires is not kept */
    /* While a link runs; not in the file. */
    bool in_doubt; /* it may have other data than it had, or be somebody else's */
    bool shrank;
};

struct state_servers {
    size_t count;
    struct state_server *at;
};

/* The target that is this link's own, as it was when that was written down: its servers without counts. */
struct state_owned {
    bool owned;
    char url[STATE_URL_MAX]; /* as configured */
    struct state_servers servers;
};

/* What notify changed on one node of the source, and where that was. */
struct state_notify {
    char address[STATE_URL_MAX];
    struct notify_record record;
};

/* A connection of ours that a server may still know (R2). */
struct state_connection {
    enum state_side side;
    char run_id[RUN_ID_MAX];
    uint64_t client_id;
};

/* The cutover's journal: written, durably, before what it tells of is done. */
enum cutover_stage {
    STAGE_NONE,
    STAGE_PAUSING,   /* a soft fence may be in force: it ends by itself */
    STAGE_FENCING,   /* the originals are below; the hard fence may be in force, on any of the nodes */
    STAGE_UNDOING,   /* what was fenced is being put back */
    STAGE_COMMITTED, /* the point of no return has passed */
    STAGE_FINISHED,
};
const char *cutover_stage_name(enum cutover_stage s); /* "none", "pausing", ... */

#define STATE_NODES_MAX    1024       /* of all shards */
#define STATE_SETTINGS_MAX 16384      /* of all nodes */
#define STATE_SETTING_MAX  (64 * KIB) /* of one text */

/* One thing that a hard fence changes on a node: a user of its ACL, or a setting of its configuration. */
struct state_setting {
    char *name;   /* of the user, or the setting */
    char *before; /* the user's line of ACL LIST, or the setting's value */
    char *after;  /* as read back after ours; "" while the change is only intended */
};

struct state_node {
    char
        address[300]; /* host:port, or a socket's path; of the primary, the source's URL without its scheme */
    char run_id[RUN_ID_MAX];
    bool primary;
    unsigned shard; /* 0: the source is one server; else of which shard of a cluster, from 1 */
    /* Of a primary at the commit, so that what slips in later can be counted. */
    char replid[RUN_ID_MAX];
    uint64_t write_calls; /* WATCH_UNKNOWN: could not be told */
    size_t nsettings;
    struct state_setting *settings;
};

struct state_cutover {
    enum cutover_stage stage;
    enum fence_kind fence;
    bool unfenced;                               /* finished with --unfence */
    int64_t began_ms, committed_ms, finished_ms; /* unix time; 0: not yet */
    uint64_t write_pause_ms;
    uint64_t lease_ms; /* hold: of the pause that is renewed */
    size_t nnodes;
    struct state_node *nodes;
};

/* From where the source's stream may be gone on with, without a pass over all keys. */
#define STATE_SCOPE_MAX 20
struct state_place {
    bool ok;
    char scope[STATE_SCOPE_MAX]; /* tells apart what of the configuration says which keys are copied, and
                                    where */
    struct place at;
};

struct state {
    char instance[STATE_INSTANCE_MAX]; /* made once, with the file */
    enum state_desired desired;
    struct state_owned target_owned;
    struct state_servers sources, targets;
    size_t nnotify;
    struct state_notify *notify;
    size_t nconnections, room;
    struct state_connection *connections;
    struct state_cutover cutover;
    struct state_place place;
};

/* Where: `flag` (--state-dir), else $STATE_DIRECTORY, else /var/lib/riotd for root, else
 * $XDG_STATE_HOME/riotd or ~/.local/state/riotd. -ENOENT: none of these is known. The caller frees. */
MUST_CHECK int state_dir_find(const char *flag, char **ret);

struct state_file;
/* Makes the folder (0700) if it is missing, takes the lock, loads, and writes a fresh state if there was no
 * file. why says what is wrong. -EWOULDBLOCK: another riotd runs this link, exit 69. -EBADMSG: not JSON,
 * another schema, wrong types; and what open and read give: exit 78 for -EBADMSG, else 73. */
MUST_CHECK int state_file_open(const char *dir, const char *name, char why[STATE_WHY_MAX],
                               struct state_file **ret);
/* To look only: takes no lock, makes nothing, and a save of it writes nothing. Where there is no file yet,
 * the state is an empty one without an instance. Errors as those of state_file_open(). */
MUST_CHECK int state_file_peek(const char *dir, const char *name, char why[STATE_WHY_MAX],
                               struct state_file **ret);
/* The same of no file at all: an empty state in memory, for what needs one and changes nothing. */
MUST_CHECK int state_file_blank(struct state_file **ret);
struct state_file *state_file_free(struct state_file *f); /* gives the lock back; saves nothing */

struct state *state_of(struct state_file *f); /* the one to read and to change; lives as long as f */
const char *state_file_path(const struct state_file *f);

/* Durable when 0. Writes nothing when nothing has changed since the last save. -errno: the disk has the old
 * state, or (only when the last step failed) perhaps the new one; the next call writes again. */
MUST_CHECK int state_save(struct state_file *f);
/* Did the last save fail after the new file had its name? Then the disk may have either. */
bool state_save_unknown(const struct state_file *f);
uint64_t state_save_us(
    const struct state_file *f); /* the longest save so far: a pause lease is at least ten times it */

/* Changes of the struct that have rules. None of them saves. Where memory is out, what is only to be compared
 * with later stays as it was. */

/* The record of the server that is there now: by its run id, else by its history (a replica that took over),
 * else by its address (a restart). NULL: there is none. */
struct state_server *state_server_find(const struct state_servers *list, const char *address,
                                       const struct server_id *id);
/* Its record, a new one if it has none, tells of this server from now on; counts are kept. NULL: -ENOMEM, or
 * there are STATE_SERVERS_MAX. Pointers to records hold until the next one is set or removed. */
struct state_server *state_server_set(struct state_servers *list, const char *address,
                                      const struct server_id *id);
/* A further record, whatever there is. */
struct state_server *state_server_add(struct state_servers *list, const char *address,
                                      const struct server_id *id);
void state_server_remove(struct state_servers *list, struct state_server *s);
void state_server_count(struct state_server *s, size_t ndbs,
                        const struct watch_db *dbs); /* raises the highest counts */
void state_server_recount(struct state_server *s, size_t ndbs,
                          const struct watch_db *dbs);    /* replaces them */
uint64_t state_server_keys(const struct state_server *s); /* sum of the highest counts */
/* For server_same_history(); what is not kept stays zero. */
void state_server_id(const struct state_server *s, struct server_id *ret);
void state_servers_clear(struct state_servers *list);
/* The target is ours, and of it this node. -ENOMEM, -ENOSPC. */
MUST_CHECK int state_own_target(struct state *s, const char *url, const char *address,
                                const struct server_id *id);
/* NULL: none is known of that run id. */
const struct notify_record *state_notify_find(const struct state *s, const char *run_id);
/* By run id; one without a run id: what is known of that address is forgotten. -ENOMEM, -ENOSPC. */
MUST_CHECK int state_notify_set(struct state *s, const char *address, const struct notify_record *r);
void state_notify_remove(struct state *s, const char *run_id);
/* The oldest of the target's goes when there is no room, or no memory, and that it did is kept, as one of
 * that server with the id 0. The same one twice is one. -ENOMEM, -ENOSPC: not even so. */
int state_connection_add(struct state *s, enum state_side side, const char *run_id, uint64_t client_id);
bool state_connections_lack_some(const struct state *s, const char *run_id); /* of that target's */
void state_connection_remove(struct state *s, enum state_side side, uint64_t client_id);
void state_connection_forget(struct state *s, enum state_side side, const char *run_id, uint64_t client_id);
/* Those of that server; run_id NULL: all. */
void state_connections_clear(struct state *s, enum state_side side, const char *run_id);
/* A node without settings, at the end; its shard is 0. -ENOSPC: STATE_NODES_MAX. */
MUST_CHECK int state_node_add(struct state_cutover *c, const char *address, const char *run_id, bool primary,
                              struct state_node **ret);
struct state_node *state_node_find(struct state_cutover *c, const char *address); /* NULL: there is none */
void state_node_remove(struct state_cutover *c, struct state_node *n);
/* At the end; neither name nor value may hold a NUL. -ENOSPC: STATE_SETTINGS_MAX of this node; -E2BIG. */
MUST_CHECK int state_setting_add(struct state_node *n, struct bytes name, struct bytes before,
                                 struct state_setting **ret);
struct state_setting *state_setting_find(struct state_node *n, struct bytes name);
size_t state_settings_count(const struct state_cutover *c); /* of all nodes: at most STATE_SETTINGS_MAX */
MUST_CHECK int state_setting_after(struct state_setting *s, struct bytes after); /* replaces it */
/* Replaces the original; what was read back over the former one is forgotten. */
MUST_CHECK int state_setting_before(struct state_setting *s, struct bytes before);
void state_nodes_clear(struct state_cutover *c);
void state_cutover_clear(struct state_cutover *c); /* there is none, and was none */
void state_place_clear(struct state_place *p);     /* there is none */
/* For `start --anew`: keeps the instance, what was changed on the source, and connections that may live
 * on. A cutover that was committed or finished is forgotten, with what it left fenced; one that is still to
 * be undone is not. */
void state_reset(struct state *s);
void state_clear(struct state *s); /* all of it: nothing is left to be freed */

const char *state_desired_name(enum state_desired d); /* "none", "idle", "running", "paused" */

#endif
