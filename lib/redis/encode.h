/* encode.h - the few requests of the hot path, written straight into an output buffer.
 *
 * Each is appended whole, or not at all: -ENOBUFS beyond the buffer's ceiling, -ENOMEM.
 */
#ifndef RIOT_ENCODE_H
#define RIOT_ENCODE_H

#include "lib/core/buf.h"

/* `before`, as it is, and the key. */
MUST_CHECK int encode_keyed(struct buf *out, struct bytes before, struct bytes key);
MUST_CHECK int encode_select(struct buf *out, int db);
MUST_CHECK int encode_unlink(struct buf *out, struct bytes key);
MUST_CHECK int encode_exists(struct buf *out, struct bytes key);
MUST_CHECK int encode_type(struct buf *out, struct bytes key);

/* RESTORE key ttl payload [REPLACE] [ABSTTL]. expire_at_ms: unix time; 0: it never expires. */
MUST_CHECK int encode_restore(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace,
                              struct bytes payload);
/* The same in three parts: head, exactly `length` bytes of payload by the caller, tail. */
MUST_CHECK int encode_restore_head(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace,
                                   uint64_t length);
MUST_CHECK int encode_restore_tail(struct buf *out, int64_t expire_at_ms, bool replace);

/* SET key value [NX] [PXAT]: what RESTORE is for a payload, for a string as it is. Without `replace` a key
 * that is there stays as it is, and the answer is nil. */
MUST_CHECK int encode_set(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace,
                          struct bytes value);
MUST_CHECK int encode_set_head(struct buf *out, struct bytes key, int64_t expire_at_ms, bool replace,
                               uint64_t length);
/* A key and its value, as they stand in MSET. */
MUST_CHECK int encode_pair(struct buf *out, struct bytes key, struct bytes value);
MUST_CHECK int encode_set_tail(struct buf *out, int64_t expire_at_ms, bool replace);

/* What a key is read by: PEXPIRETIME and DUMP; the same in MULTI; TIME, PTTL, TIME and DUMP in MULTI (before
 * 7.0, where PTTL reads the clock itself: the second TIME tells whether the server was held up in between).
 */
MUST_CHECK int encode_read(struct buf *out, struct bytes key);
MUST_CHECK int encode_read_multi(struct buf *out, struct bytes key);
MUST_CHECK int encode_read_old(struct buf *out, struct bytes key);
/* The same with GET in the place of DUMP. */
MUST_CHECK int encode_get(struct buf *out, struct bytes key);
MUST_CHECK int encode_get_multi(struct buf *out, struct bytes key);
MUST_CHECK int encode_get_old(struct buf *out, struct bytes key);
/* The same at the node that a slot is moving to: ASKING lets one command through, or one transaction. */
MUST_CHECK int encode_ask(struct buf *out, struct bytes key);
MUST_CHECK int encode_ask_multi(struct buf *out, struct bytes key);
MUST_CHECK int encode_ask_old(struct buf *out, struct bytes key);

/* A command of so many arguments. Those follow: as they are, or by encode_keyed(). */
MUST_CHECK int encode_command(struct buf *out, size_t args, struct bytes command);
/* PEXPIRETIME of each, then MGET of all. */
MUST_CHECK int encode_get_together(struct buf *out, size_t n, const struct bytes *keys);
/* As PEXPIRETIME and PTTL say it. */
#define NO_SUCH_KEY (-2)

#endif
