/* writer.h - writes keys to the target, over one connection, pipelined.
 *
 * A value is given in one piece (writer_restore) or as it comes (writer_restore_begin, _part ...). Between
 * begin and the last part nothing else can be written. Each key is answered exactly once: `answered` with
 * what the target said, or `lost` when the connection was lost first. Applied means that the target said OK
 * (R7).
 *
 * The connection is fenced (R2): after a loss it is `up` again only once the former one is known to be dead;
 * where that cannot be proved, writer_is_fenced() is false.
 */
#ifndef RIOT_WRITER_H
#define RIOT_WRITER_H

#include "lib/copy/dirty.h"
#include "lib/redis/conn.h"

struct writer;

#define WRITER_NUMBERS 2

struct writer_options {
    const struct endpoint *target; /* borrowed */
    int into_db;                   /* all goes into this database; URL_DB_NONE: into the source's */
    size_t out_high;               /* bytes waiting for the target's socket, beyond which writer_is_full() */
    size_t nformer;                /* conn_options' */
    const struct conn_former *former;
};

struct writer_events {
    /* error: empty when it was applied. bytes: of the payload; of a deletion: how many keys it removed, 0
     * or 1. */
    void (*answered)(struct dirty_key *k, struct bytes error, uint64_t bytes, bool deleted, void *arg);
    /* What writer_type() asked for: "none", "list", ...; or an error. */
    void (*typed)(struct dirty_key *k, struct bytes type, struct bytes error, void *arg);
    void (*lost)(struct dirty_key *k, void *arg);
    /* What writer_ask() asked for: an integer, or up to WRITER_NUMBERS in an array; or an error. */
    void (*told)(int what, size_t n, const int64_t *numbers, struct bytes error, void *arg);
    int (*identified)(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                      void *arg);
    void (*dead)(const struct conn_former *former, void *arg); /* or NULL */
    void (*up)(void *arg);
    void (*down)(const char *why, bool was_up, void *arg); /* after every `lost` */
    void (*room)(void *arg);                               /* no longer full, or SELECT was answered */
};

MUST_CHECK int writer_new(struct loop *l, const struct writer_options *opt, const struct writer_events *ev,
                          void *arg, struct writer **ret);
struct writer *writer_free(struct writer *w);

bool writer_is_up(const struct writer *w);
bool writer_is_fenced(const struct writer *w);
bool writer_is_full(const struct writer *w);
bool writer_is_idle(const struct writer *w);               /* up, and no answer of any kind is due */
size_t writer_outstanding(const struct writer *w);         /* keys not answered */
uint64_t writer_outstanding_bytes(const struct writer *w); /* of their payloads */
struct conn *writer_conn(struct writer *w);
void writer_limit(struct writer *w, size_t out_high); /* another one */

/* Is the connection in this database? If not, SELECT is sent, and `room` follows its answer. No key is ever
 * sent behind a SELECT that is not answered: were it refused, the key would go into another database. A
 * refusal stays until writer_db_again(), after which SELECT is sent anew. */
enum writer_db { WRITER_DB_READY, WRITER_DB_ASKED, WRITER_DB_REFUSED };
enum writer_db writer_db(struct writer *w, int db);
bool writer_is_in(const struct writer *w, int db);    /* and a key could be written; asks nothing */
struct bytes writer_db_error(const struct writer *w); /* of the refusal; borrowed until writer_db_again() */
void writer_db_again(struct writer *w);

/* The type of the target's key: `typed` follows, or `lost`. The key's database is READY. */
MUST_CHECK int writer_type(struct writer *w, struct dirty_key *k);
/* A key of which TYPE has said that there is nothing is written without REPLACE: if there is something by
 * then, it stays (BUSYKEY). What is restored is DUMP's payload, or, by the key's `way`, the string itself:
 * SET does then what RESTORE does else.
 *
 * Small strings that never expire are gathered until the turn of the loop ends, and go by MSET. If that is
 * refused, each of them is `answered` so, with WAY_TOGETHER as its way, and it says nothing of the key; until
 * the next connection each goes by itself.
 *
 * The key's database is READY. expire_at_ms: unix time, 0 for none. -ENOTCONN, -EPERM (not in that database),
 * -ENOBUFS (wait for `room`), -ENOMEM: nothing was written, the key is still the caller's. */
MUST_CHECK int writer_delete(struct writer *w, struct dirty_key *k);
MUST_CHECK int writer_restore(struct writer *w, struct dirty_key *k, int64_t expire_at_ms,
                              struct bytes payload);
MUST_CHECK int writer_restore_begin(struct writer *w, struct dirty_key *k, int64_t expire_at_ms,
                                    uint64_t length);
MUST_CHECK int writer_restore_part(struct writer *w, struct bytes part);
/* One more request over this connection, behind all that was written: `told` follows, or `down`. As the
 * others in what it returns, but for -EPERM. */
MUST_CHECK int writer_ask(struct writer *w, int what, size_t argc, const struct bytes *argv);
/* The next key's write is let through at the node that its slot is moving to, and by none but that one
 * (ASKING). As the others in what it returns. */
MUST_CHECK int writer_asking(struct writer *w, const struct dirty_key *k);
/* As if the connection had been lost, at once: `lost` for each key. writer_free() is to follow. */
void writer_abandon(struct writer *w);
/* The rest of a begun value will not come: the connection is given up, all outstanding is lost. */
void writer_break(struct writer *w, const char *why);

#endif
