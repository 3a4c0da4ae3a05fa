/* resp.h - RESP2 as a fed tokenizer, for replies, and a parser of requests, for the control server.
 *
 * The tokenizer pulls tokens from the slice that the caller holds. It allocates nothing, believes no
 * announced length (depth and lengths have ceilings), and takes input cut anywhere. A bulk of at most `whole`
 * bytes is one token with its bytes; a longer one is announced (RESP_BULK_START, with its length) and its
 * bytes follow in slices (RESP_BULK_PART), as they come.
 *
 * https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
#ifndef RIOT_RESP_H
#define RIOT_RESP_H

#include "lib/core/bytes.h"

#define RESP_DEPTH_MAX 8
#define RESP_LINE_MAX  (64 * KIB) /* of a simple string or an error */

enum resp_type {
    RESP_SIMPLE,     /* text */
    RESP_ERROR,      /* text, without the '-' */
    RESP_INTEGER,    /* number */
    RESP_NIL,        /* $-1 or *-1 */
    RESP_BULK,       /* text: all of it; number: its length */
    RESP_BULK_START, /* number: its length; parts follow */
    RESP_BULK_PART,  /* text: the next bytes, never empty; number: how many are still to come */
    RESP_ARRAY,      /* number: how many elements follow */
};

struct resp_token {
    enum resp_type type;
    unsigned depth; /* 0: a reply by itself; 1: an element of one; ... */
    bool last;      /* with this token a whole reply (depth 0) is complete */
    int64_t number;
    struct bytes text; /* borrowed from the input */
};

struct resp {
    size_t whole;      /* bulks up to this length come as one token */
    uint64_t bulk_max; /* a longer announced length is -EBADMSG */
    uint64_t array_max;
    unsigned depth;
    uint64_t left[RESP_DEPTH_MAX]; /* elements still to come, by depth */
    uint64_t part;                 /* bytes of the present bulk still to come, with its CRLF */
    bool bad;
};

void resp_init(struct resp *r, size_t whole, uint64_t bulk_max, uint64_t array_max);

/* Takes one token from the front of *in and moves *in past it. 0; -EAGAIN: all input was looked at, call
 * again with more behind what is left in *in; -EBADMSG: not RESP2, or beyond a ceiling; sticky. A part or a
 * bulk's last token needs its CRLF to be in. */
MUST_CHECK int resp_next(struct resp *r, struct bytes *in, struct resp_token *ret);

/* One request: an array of bulk strings, or an inline command (words, quotes as in redis-cli: "..." with
 * escapes, '...'). On 0, argv[0..*ret_argc) are slices of the input, or of `scratch` (of scratch_cap bytes)
 * where quotes were taken off, and *in is moved past it; *ret_argc 0 is an empty line. -EAGAIN: more is
 * needed. -EBADMSG: not a request. -E2BIG: more than max arguments, or more quoted text than scratch holds.
 */
MUST_CHECK int resp_request(struct bytes *in, struct bytes *argv, size_t max, char *scratch,
                            size_t scratch_cap, size_t *ret_argc);

#endif
