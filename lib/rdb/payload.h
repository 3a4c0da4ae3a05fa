/* payload.h - a DUMP payload as it comes, decoded into its elements.
 *
 * Fed: parts of any length, in order; nothing is kept of them but what an element needs to be told. Whatever
 * the encoding was, the same value tells the same elements (set, hash and zset in any order). A payload is
 * hostile: no length in it is trusted, nothing is allocated from one, depth and memory have ceilings. Nothing
 * here knows of digests, or of servers: copying between versions and in chunks will be fed by the same
 * events.
 */
#ifndef RIOT_RDB_PAYLOAD_H
#define RIOT_RDB_PAYLOAD_H

#include "lib/core/bytes.h"

enum rdb_type {
    RDB_UNKNOWN, /* a type byte that no server known here writes */
    RDB_STRING,
    RDB_LIST,
    RDB_SET,
    RDB_ZSET,
    RDB_HASH,
    RDB_STREAM,
    RDB_MODULE,    /* recognised, and passed over */
    RDB_FUNCTIONS, /* the same: a FUNCTION DUMP */
};
#define RDB_STRING_BYTE 0 /* a string's payload begins so */
const char *rdb_type_name(
    enum rdb_type t); /* as TYPE says: "string", ...; "module", "functions", "unknown" */
/* Of a payload's first byte. Type 22 is a hash on both, but not the same one: the decoder must be told whose
 * it is. */
enum rdb_type rdb_type_of(uint8_t first);

/* What is told. Text comes in parts: `total` is the whole length, known from the first part on, `offset` that
 * of this part; the last part has offset + part.len == total (an empty text is one empty part). Numbers of
 * packed encodings come as decimal text, as the server would show them. */
enum rdb_item {
    ITEM_VALUE,  /* string: the value */
    ITEM_MEMBER, /* list: the next element. set: a member */
    ITEM_FIELD,  /* hash: ITEM_FIELD, ITEM_FIELD_VALUE, ITEM_FIELD_EXPIRY each time. zset: ITEM_MEMBER,
                    ITEM_SCORE */
    ITEM_FIELD_VALUE,
    ITEM_FIELD_EXPIRY, /* number: unix time in ms; 0: none */
    ITEM_SCORE,        /* score */
    /* stream, in this order */
    ITEM_ENTRY,  /* id; then ITEM_FIELD and ITEM_FIELD_VALUE of it, in their order. Deleted entries are not
                    told */
    ITEM_STREAM, /* number[]: length, last id (2), first id (2), max deleted id (2), entries added; what a
                    version does not keep is UINT64_MAX */
    ITEM_GROUP,  /* text: its name */
    ITEM_GROUP_STATE,      /* number[]: last id (2), entries read (UINT64_MAX: not kept) */
    ITEM_PENDING,          /* of the group: id, number[0]: delivery time in ms, number[1]: delivery count */
    ITEM_CONSUMER,         /* of the group; text: its name */
    ITEM_CONSUMER_PENDING, /* of the consumer: id */
    ITEMS
};

struct rdb_id {
    uint64_t ms, seq;
};

struct rdb_event {
    enum rdb_item item;
    struct bytes part; /* of a text; borrowed */
    uint64_t offset, total;
    double score; /* -0 is told as 0: servers do not keep the difference */
    struct rdb_id id;
    uint64_t number[8];
};

struct payload;
struct payload_options {
    bool valkey;       /* who wrote it: decides what type 22 is */
    size_t memory_max; /* ceiling of what one payload may need at a time (names of a stream's master fields);
                          0: 1 MiB */
};

/* 0, or a negative errno, which ends the decoding with it. */
typedef int payload_fn(const struct rdb_event *borrowed, void *arg);

MUST_CHECK int payload_new(const struct payload_options *opt, payload_fn *fn, void *arg,
                           struct payload **ret);
struct payload *payload_free(struct payload *p);
/* Ready for the next one. length: of the payload, as the bulk announced it. -EBADMSG: too short to be one. */
MUST_CHECK int payload_begin(struct payload *p, uint64_t length);
/* 0; -EBADMSG (sticky): it is not what it says to be; -E2BIG: more memory than allowed, or a
 * stream whose names are out of all proportion to its entries; -EOPNOTSUPP: a type byte that is not
 * known, a module's value or functions (the rest may be fed, and is passed over: payload_end() then checks
 * the sum and says -EOPNOTSUPP too). What the callback gave. */
MUST_CHECK int payload_feed(struct payload *p, struct bytes part);
/* The whole was fed: 0; -EBADMSG: incomplete, something behind its end, or the checksum is wrong (0: none was
 * made). */
MUST_CHECK int payload_end(struct payload *p);
enum rdb_type payload_type(const struct payload *p); /* after the first byte */
unsigned payload_version(const struct payload *p);   /* of the footer, after payload_end() */

#endif
