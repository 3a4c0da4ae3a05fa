/* state_file.h - what must survive a crash of this link: NAME.json, in the state folder.
 *
 * Whoever learns something that must hold over a restart changes the struct and calls state_save() before it
 * acts. A save is durable when it returns 0: temp file, write, fsync, rename, fsync of the folder; on failure
 * the old file stays. The lock, NAME.lock, is held until state_file_free(): one riotd a link. Nothing secret
 * is kept. What cannot be understood is refused, never guessed.
 */
#ifndef RIOTD_STATE_FILE_H
#define RIOTD_STATE_FILE_H

#include "lib/feed/feed.h"
#include "lib/redis/server.h"
#include "lib/redis/watch.h"

#define STATE_SCHEMA       1
#define STATE_INSTANCE_MAX 9 /* 8 hex digits */
#define STATE_URL_MAX      512
#define STATE_IDS_MAX      64
#define STATE_WHY_MAX      512

/* The last of start, pause and stop; none of them so far: autostart decides. */
enum state_desired { DESIRED_NONE, DESIRED_IDLE, DESIRED_RUNNING, DESIRED_PAUSED };

enum state_side { STATE_SOURCE, STATE_TARGET };

/* Who a server was when last seen. Empty strings: never seen. */
struct state_server {
    char url[STATE_URL_MAX];
    char run_id[RUN_ID_MAX], replid[RUN_ID_MAX], replid2[RUN_ID_MAX];
    enum server_role role;
    size_t ndbs;                        /* highest count of keys seen in each database */
    struct watch_db dbs[WATCH_DBS_MAX]; /* ascending; expires is not kept */
};

/* The target that is this link's own, as it was when that was written down. */
struct state_owned {
    bool owned;
    char url[STATE_URL_MAX];
    char run_id[RUN_ID_MAX], replid[RUN_ID_MAX], replid2[RUN_ID_MAX];
};

/* A connection of ours that a server may still know (R2). */
struct state_connection {
    enum state_side side;
    char run_id[RUN_ID_MAX];
    uint64_t client_id;
};

struct state {
    char instance[STATE_INSTANCE_MAX]; /* made once, with the file */
    enum state_desired desired;
    struct state_owned target_owned;
    struct state_server source, target;
    struct notify_record notify;
    size_t nconnections;
    struct state_connection connections[STATE_IDS_MAX];
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
struct state_file *state_file_free(struct state_file *f); /* gives the lock back; saves nothing */

struct state *state_of(struct state_file *f); /* the one to read and to change; lives as long as f */
const char *state_file_path(const struct state_file *f);

/* Durable when 0. Writes nothing when nothing has changed since the last save. -errno: the disk has the old
 * state, or (only when the last step failed) perhaps the new one; the next call writes again. */
MUST_CHECK int state_save(struct state_file *f);
uint64_t state_save_us(
    const struct state_file *f); /* the longest save so far: a pause lease is at least ten times it */

/* Changes of the struct that have rules. None of them saves. */
void state_server_set(struct state_server *s, const char *url,
                      const struct server_id *id); /* another url or history: counts are kept */
void state_server_count(struct state_server *s, size_t ndbs,
                        const struct watch_db *dbs); /* raises the highest counts */
void state_server_recount(struct state_server *s, size_t ndbs,
                          const struct watch_db *dbs);    /* replaces them */
uint64_t state_server_keys(const struct state_server *s); /* sum of the highest counts */
/* For server_same_history(); what is not kept stays zero. */
void state_server_id(const struct state_server *s, struct server_id *ret);
void state_owned_id(const struct state_owned *o, struct server_id *ret);
void state_own_target(struct state *s, const char *url, const struct server_id *id);
/* The oldest goes when there is no room. The same one twice is one. */
void state_connection_add(struct state *s, enum state_side side, const char *run_id, uint64_t client_id);
void state_connection_remove(struct state *s, enum state_side side, uint64_t client_id);
void state_connections_clear(struct state *s, enum state_side side);
/* For `start --anew`: keeps the instance, what was changed on the source, and connections that may live
 * on. */
void state_reset(struct state *s);

const char *state_desired_name(enum state_desired d); /* "none", "idle", "running", "paused" */

#endif
