/* rdb_skip.h - reads over the payload of a full synchronisation, without keeping it. Pure.
 *
 * A header line, "$LENGTH" or, from a server without a disk, "$EOF:" and a mark of 40 bytes; then the bytes,
 * to their length or to the mark. Single newlines before the header keep the connection alive (facts 4.1).
 */
#ifndef RIOT_RDB_SKIP_H
#define RIOT_RDB_SKIP_H

#include "lib/core/bytes.h"

#define RDB_MARK_LEN 40

struct rdb_skip {
    enum { RDB_HEADER, RDB_LENGTH, RDB_MARK, RDB_END } state;
    char line[64]; /* of the header, so far */
    size_t line_len;
    uint64_t left, passed; /* bytes still to come, where that is known; and those that came */
    char mark[RDB_MARK_LEN];
    char tail[RDB_MARK_LEN - 1]; /* the last bytes, in which a mark may have begun */
    size_t tail_len;
};

void rdb_skip_init(struct rdb_skip *s);
/* Takes what is the payload's from *in. 0: its end was reached; -EAGAIN: more is to come; -EBADMSG: it is no
 * payload, and s->line says what it is. */
MUST_CHECK int rdb_skip_feed(struct rdb_skip *s, struct bytes *in);

#endif
