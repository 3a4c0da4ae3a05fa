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

/* RESTORE key ttl payload REPLACE [ABSTTL]. expire_at_ms: unix time; 0: it never expires. */
MUST_CHECK int encode_restore(struct buf *out, struct bytes key, int64_t expire_at_ms, struct bytes payload);
/* The same in three parts: head, exactly `length` bytes of payload by the caller, tail. */
MUST_CHECK int encode_restore_head(struct buf *out, struct bytes key, int64_t expire_at_ms, uint64_t length);
MUST_CHECK int encode_restore_tail(struct buf *out, bool expires);

/* What a key is read by: PEXPIRETIME and DUMP; the same in MULTI; TIME, PTTL, TIME and DUMP in MULTI (before
 * 7.0, where PTTL reads the clock itself: the second TIME tells whether the server was held up in between).
 */
MUST_CHECK int encode_read(struct buf *out, struct bytes key);
MUST_CHECK int encode_read_multi(struct buf *out, struct bytes key);
MUST_CHECK int encode_read_old(struct buf *out, struct bytes key);

#endif
