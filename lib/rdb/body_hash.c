#include "lib/rdb/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#define FOOTER  10
#define NO_TYPE 0xff /* of a payload that has no body */

/* A payload that comes in one piece is hashed as one; the state, which is slow to set up, serves the rest. */
struct body_hash {
    XXH3_state_t *state;
    uint64_t left; /* of the body */
    uint8_t first;
    bool begun, streamed;
    XXH128_hash_t whole;
};

static struct hash128 hash128_of(XXH128_hash_t h)
{
    return (struct hash128){.low = h.low64, .high = h.high64};
}

static uint64_t body_length(uint64_t payload)
{
    return payload > FOOTER ? payload - FOOTER : 0;
}

int body_hash_new(struct body_hash **ret)
{
    struct body_hash *b = calloc(1, sizeof(*b));

    if (!b)
        return -ENOMEM;
    b->state = XXH3_createState();
    if (!b->state) {
        free(b);
        return -ENOMEM;
    }
    body_hash_begin(b, 0);
    *ret = b;
    return 0;
}

struct body_hash *body_hash_free(struct body_hash *b)
{
    if (b) {
        XXH3_freeState(b->state);
        free(b);
    }
    return NULL;
}

static void begin(struct body_hash *b, uint64_t length)
{
    b->left = length;
    b->first = NO_TYPE;
    b->begun = b->streamed = false;
}

void body_hash_begin(struct body_hash *b, uint64_t length)
{
    begin(b, body_length(length));
}

void body_hash_begin_string(struct body_hash *b, uint64_t length)
{
    begin(b, length);
}

void body_hash_feed(struct body_hash *b, struct bytes part)
{
    size_t len = (size_t)MIN((uint64_t)part.len, b->left);
    bool all = !b->begun && len == b->left;

    if (!len)
        return;
    if (!b->begun)
        b->first = (uint8_t)part.ptr[0];
    b->begun = true;
    b->left -= len;
    if (all) {
        b->whole = XXH3_128bits(part.ptr, len);
        return;
    }
    if (!b->streamed)
        XXH3_128bits_reset(b->state);
    b->streamed = true;
    XXH3_128bits_update(b->state, part.ptr, len);
}

struct hash128 body_hash_end(struct body_hash *b, uint8_t *ret_first)
{
    *ret_first = b->first;
    if (b->streamed)
        return hash128_of(XXH3_128bits_digest(b->state));
    return hash128_of(b->begun ? b->whole : XXH3_128bits(NULL, 0));
}

struct hash128 body_hash_of(struct bytes payload, uint8_t *ret_first)
{
    size_t len = (size_t)body_length(payload.len);

    *ret_first = len ? (uint8_t)payload.ptr[0] : NO_TYPE;
    return string_hash_of(bytes_of(payload.ptr, len));
}

struct hash128 string_hash_of(struct bytes value)
{
    return hash128_of(XXH3_128bits(value.len ? value.ptr : NULL, value.len));
}
