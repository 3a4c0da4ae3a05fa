/* reply.h - reply objects, for everything that is not hot. The only header of the room that hiredis stands
 * behind: its redisReader with an object table of ours that enforces ceilings, since 0.14 has none. What
 * differs between hiredis 0.14 and 1.2 is inside reply.c.
 */
#ifndef RIOT_REPLY_H
#define RIOT_REPLY_H

#include "lib/core/buf.h"

enum reply_type { REPLY_STATUS, REPLY_ERROR, REPLY_INTEGER, REPLY_NIL, REPLY_STRING, REPLY_ARRAY };

struct reply {
    enum reply_type type;
    int64_t integer;
    struct bytes text; /* of status, error (without '-'), string; NUL-terminated behind its end */
    size_t count;
    struct reply **at; /* of an array */
};

void reply_free(struct reply *r);
bool reply_is_ok(const struct reply *r);                      /* +OK */
bool reply_is_error(const struct reply *r, const char *code); /* first word; NULL: any error */
/* An error that says nothing of the question: the server is busy, or not ready (LOADING, BUSY, MASTERDOWN,
 * TRYAGAIN, CLUSTERDOWN). */
bool reply_is_passing(const struct reply *r);
const struct reply *reply_at(const struct reply *r, size_t i); /* NULL when it is not there */
/* Of a string or status; false when r is NULL or of another type. */
bool reply_text(const struct reply *r, struct bytes *ret);
bool reply_integer(const struct reply *r, int64_t *ret); /* an integer, or text that is one */

int64_t reply_time_us(const struct reply *r); /* of TIME: unix time in us; 0: it is not understood */

struct reply_reader;
/* Ceilings: bytes of one bulk or line, elements of one array, and bytes held by one reply as a whole. */
MUST_CHECK int reply_reader_new(size_t bulk_max, size_t array_max, size_t total_max,
                                struct reply_reader **ret);
struct reply_reader *reply_reader_free(struct reply_reader *r);
/* Takes all of the input. */
MUST_CHECK int reply_reader_feed(struct reply_reader *r, struct bytes in);
/* 0 and a reply that the caller frees; -EAGAIN; -EBADMSG, sticky. */
MUST_CHECK int reply_reader_next(struct reply_reader *r, struct reply **ret);
/* Bytes that were fed and stand behind the last whole reply; right after reply_reader_next() gave one. */
size_t reply_reader_left(const struct reply_reader *r);

/* Appends one request, as an array of bulk strings. -ENOBUFS beyond the buffer's ceiling: nothing was
 * appended then. */
MUST_CHECK int request_append(struct buf *out, size_t argc, const struct bytes *argv);

#endif
