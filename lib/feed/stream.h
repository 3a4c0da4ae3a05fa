/* stream.h - the replication stream behind +CONTINUE, as a fed parser: bytes in, the arguments of its
 * commands out.
 *
 * Every byte counts towards the offset, an empty line too, as a replica of the source counts. Arguments come
 * one by one, so a command may have any number of them, and nothing is allocated. An argument is given whole
 * up to a ceiling; the bytes of a longer one are passed over as they come, so that a value of 512 MB costs no
 * memory: its beginning and its length are told. What the source sends is never believed: a length costs
 * nothing.
 */
#ifndef RIOT_STREAM_H
#define RIOT_STREAM_H

#include "lib/core/resp.h"

#define STREAM_WANTED_MAX KEY_NAME_MAX /* an argument that is wanted is whole up to this length, */
#define STREAM_WHOLE_MAX  (4 * KIB)    /* and any other up to this */
#define STREAM_PREFIX     64           /* of a longer one, the first so many bytes */
/* What the caller must be able to hold of input that is not used up. */
#define STREAM_INPUT_MAX (STREAM_WANTED_MAX + 64)

struct stream_arg {
    uint64_t index, argc; /* 0 begins a command, argc - 1 ends it */
    struct bytes text;    /* all of it, or its beginning; dies with the next call, and with the input */
    uint64_t length;      /* of the whole argument */
    uint64_t offset;      /* of the stream behind it: of the last, where the next command begins */
};

static inline bool stream_arg_is_last(const struct stream_arg *a)
{
    return a->index + 1 == a->argc;
}

static inline bool stream_arg_is_whole(const struct stream_arg *a)
{
    return a->text.len == a->length;
}

struct stream {
    struct resp resp;
    uint64_t offset; /* how much of the stream was taken; what is left in the input is not in it */
    uint64_t argc, index;
    uint64_t length; /* of the argument that is passed over */
    size_t nprefix;
    char prefix[STREAM_PREFIX];
};

/* offset: of the last byte before the first that will be fed, so PSYNC asked for offset + 1. */
void stream_init(struct stream *s, uint64_t offset);

/* Takes one argument from the front of *in and moves *in past it. 0; -EAGAIN: all input was looked at, call
 * again with more behind what is left in *in; -EBADMSG: not a command, sticky. */
MUST_CHECK int stream_next(struct stream *s, struct bytes *in, struct stream_arg *ret);

/* A SET that tells all that the key is from then on. */
struct stream_set {
    struct bytes key, value; /* slices of the input */
    int64_t expire_at_ms;    /* 0: never */
};

/* Between two commands: takes a whole SET of at most STREAM_SET_MAX bytes from the front of *in. False: what
 * comes is not that, or not all of it is there, or it does not tell all (KEEPTTL; EX and PX, which are
 * relative to a moment that is not known): *in is as it was, and stream_next() takes it. */
#define STREAM_SET_MAX (16 * KIB)
MUST_CHECK bool stream_take_set(struct stream *s, struct bytes *in, struct stream_set *ret);

/* Whether the arguments that follow are wanted whole, until it is said anew; at the first, they are. */
void stream_want(struct stream *s, bool wanted);

/* Is it between two commands? */
static inline bool stream_at_boundary(const struct stream *s)
{
    return s->index == s->argc;
}

#endif
