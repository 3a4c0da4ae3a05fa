/* digest.h - 128 bits that say what a value is: the same for equal values, whatever the encoding, the
 * server's version, or the order of a set, a hash or a zset.
 *
 * Made of payload.h's events: list and stream entries in their order, members, fields and pending entries as
 * a sum of their own hashes (XXH3, 128 bits). Each text is hashed with its length, each item with its kind.
 * Scores are IEEE doubles. A hash counts its live fields only. A HyperLogLog is its registers, whether sparse
 * or dense, and not its cached cardinality. Left out: consumers' seen and active times; what a version does
 * not keep is left out for both when either lacks it (see `parts`).
 */
#ifndef RIOT_RDB_DIGEST_H
#define RIOT_RDB_DIGEST_H

#include "lib/rdb/payload.h"

struct hash128 {
    uint64_t low, high;
};

struct value_digest {
    enum rdb_type type;
    uint64_t elements;  /* live fields, members, entries; 1 for a string */
    struct hash128 sum; /* of all that every version keeps */
    /* Of what only some versions keep, each by itself, and whether it is kept. Equal values: equal sums, and
     * equal parts where both keep them. */
    bool has_added, has_entries_read;
    struct hash128 added;        /* stream: max deleted id and entries added (7.0+) */
    struct hash128 entries_read; /* of the groups (7.0+) */
};
bool value_digest_equal(const struct value_digest *a, const struct value_digest *b);

struct digester;
MUST_CHECK int digester_new(bool valkey, struct digester **ret);
struct digester *digester_free(struct digester *d);
/* now_ms: the server's time; fields that expire at or before it are not counted. length: of the payload. As
 * payload_begin(), payload_feed(), payload_end(). */
MUST_CHECK int digester_begin(struct digester *d, uint64_t length, int64_t now_ms);
MUST_CHECK int digester_feed(struct digester *d, struct bytes part);
MUST_CHECK int digester_end(struct digester *d, struct value_digest *ret);

/* The payload as it is, less its footer of 10 bytes (version and checksum): equal bodies are equal values. */
struct body_hash;
MUST_CHECK int body_hash_new(struct body_hash **ret);
struct body_hash *body_hash_free(struct body_hash *b);
void body_hash_begin(struct body_hash *b, uint64_t length);
void body_hash_feed(struct body_hash *b, struct bytes part);
struct hash128 body_hash_end(struct body_hash *b, uint8_t *ret_first); /* and the type byte */
struct hash128 body_hash_of(struct bytes payload, uint8_t *ret_first); /* the same, in one piece */
/* The same of a string as GET has it, all of which counts; it has no type byte. */
void body_hash_begin_string(struct body_hash *b, uint64_t length);
struct hash128 string_hash_of(struct bytes value);

#endif
