/* side.h - one connection that reads batches of keys from one server, pipelined. Of this room only.
 *
 * Of a batch: SELECT, and for each of its parts MULTI, [TIME,] the expiries, [TIME,] the DUMPs or one MGET,
 * EXEC; or SELECT and the EXISTS. A loose one has no MULTI and no EXEC, but where TIME is needed. Values are
 * hashed while they pass. Before a deep batch's values `clock` is asked at which time they are to be judged;
 * while it is not known, nothing is read.
 */
#ifndef RIOT_VERIFY_SIDE_H
#define RIOT_VERIFY_SIDE_H

#include "lib/redis/conn.h"
#include "lib/verify/batch.h"

#define SIDE_BATCHES 512 /* that are not answered, at most */

struct side;
struct side_options {
    const struct endpoint *endpoint; /* borrowed */
    const char *role;
    int index; /* 0: the source, 1: the target */
    int into_db;
};

struct side_events {
    bool (*approved)(const struct side *s, const struct server_id *id, void *arg);
    void (*up)(struct side *s, void *arg);
    void (*down)(struct side *s, const char *why, void *arg); /* what was sent is forgotten */
    /* b->side[index].clock was set, or it will not be. False: not known yet; side_resume(). */
    bool (*clock)(struct side *s, struct batch *b, int64_t *ret_now_ms, void *arg);
    void (*answered)(struct side *s, struct batch *b, void *arg);
    void (*room)(struct side *s, void *arg);
};

MUST_CHECK int side_new(struct loop *l, const struct side_options *opt, const struct side_events *ev,
                        void *arg, struct side **ret);
struct side *side_free(struct side *s);
bool side_is_up(const struct side *s);
bool side_is_full(const struct side *s);
int side_index(const struct side *s);
struct conn *side_conn(struct side *s);
/* The batch is the side's until `answered` or `down`. After an error `down` follows. */
MUST_CHECK int side_send(struct side *s, struct batch *b);
void side_resume(struct side *s);
void side_reset(struct side *s, const char *why);

#endif
