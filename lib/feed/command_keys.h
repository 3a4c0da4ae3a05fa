/* command_keys.h - what a command of the replication stream changes: which keys, or what else.
 *
 * The commands of Redis 6.0 to 8 and of Valkey to 9 are a table here; those that it lacks (modules, newer
 * servers) are learned from the server's own COMMAND. Only keys that the command may change are named: the
 * sources of ZUNIONSTORE are not, since a mark of a key that the source does not have deletes it on the
 * target. What is not known for certain is said to be unknown, never guessed. So are commands of modules
 * whose keys only the command itself can find: COMMAND GETKEYS would tell them, but behind the place in the
 * stream where they stand. No command of the servers is one of those.
 *
 * It is fed argument by argument and keeps none of them, so a DEL of a million keys costs no memory:
 *
 *   while ((e = stream_next(&s, &in, &a)) == 0) {
 *       if (command_keys_take(k, &a, &effect))
 *           ... the command ends here, at a.offset; its keys were named by the callbacks
 *       stream_want(&s, command_keys_wants(k));
 *   }
 *
 * Keys are named as they come, so those of a command whose rest has not come yet may have been named already.
 * The current database, and what stands between MULTI and EXEC, are the caller's to follow.
 */
#ifndef RIOT_COMMAND_KEYS_H
#define RIOT_COMMAND_KEYS_H

#include "lib/feed/stream.h"
#include "lib/redis/reply.h"

#define KEYS_HERE (-1) /* the database that was selected last */

enum effect_kind {
    EFFECT_QUIET,     /* PING, REPLCONF: nothing was written */
    EFFECT_GETACK,    /* the same, and the source asks how far we are */
    EFFECT_NONE,      /* a command that changes no key: PUBLISH, SCRIPT LOAD */
    EFFECT_KEYS,      /* the keys that were named */
    EFFECT_SELECT,    /* from here on, the database is `db` */
    EFFECT_MULTI,     /* a transaction begins */
    EFFECT_EXEC,      /* it ends */
    EFFECT_FLUSH_DB,  /* all keys of the current database are gone */
    EFFECT_FLUSH_ALL, /* of all databases */
    EFFECT_SWAP_DBS,  /* `db` and `other_db` change places */
    EFFECT_SLOTS,     /* slots of a cluster came, went or were emptied: which keys, is not told */
    EFFECT_FUNCTIONS, /* function libraries changed */
    EFFECT_UNKNOWN,   /* it may have changed anything */
};

struct command_effect {
    enum effect_kind kind;
    int db, other_db;  /* never negative */
    uint64_t keys;     /* how many were named */
    struct bytes name; /* "set", "xgroup|create": for texts, to be escaped; borrowed until the next call */
};

struct command_keys_events {
    /* db: KEYS_HERE, or a number (MOVE, COPY). key is borrowed. */
    void (*key)(int db, struct bytes key, void *arg);
    /* The name is longer than KEY_NAME_MAX. */
    void (*long_key)(int db, struct bytes prefix, uint64_t length, void *arg);
};

struct command_keys;
MUST_CHECK int command_keys_new(const struct command_keys_events *ev, void *arg, struct command_keys **ret);
struct command_keys *command_keys_free(struct command_keys *k);

/* What the server answered to COMMAND (or COMMAND INFO): the writing commands that are not known are learned
 * from it, after those of an earlier answer were forgotten. Not within a command. -EBADMSG: that is no such
 * answer; -ENOMEM. */
MUST_CHECK int command_keys_learn(struct command_keys *k, const struct reply *command);

/* Takes the next argument. True when it ends its command; then *ret is filled in. */
bool command_keys_take(struct command_keys *k, const struct stream_arg *a, struct command_effect *ret);
/* Should the next argument come whole? It may be a key, or decide where the keys are. */
bool command_keys_wants(const struct command_keys *k);
/* Forgets what it has of a command that will not go on: the stream begins anew. */
void command_keys_reset(struct command_keys *k);

#endif
