/* payload.c - libFuzzer over the decoder of DUMP payloads and the digest made of what it tells.
 *
 * clang -std=c11 -g -I. -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined tests/fuzz/payload.c
 * lib/rdb/[a-z]*.c \ lib/core/buf.c -lxxhash
 *
 * The first byte says whose it is and how it is cut, the rest is a payload without its footer; the one that
 * it gets has no sum, so that none need be found. What is told must not depend on the cuts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rdb/digest.h"

#define FOOTER     10
#define MEMORY_MAX 64 /* reached by some, unlike the one that is used */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* What was told, without the cuts. */
struct summary {
    int error;
    uint64_t items, sum;
    uint64_t offset, total; /* of the text that is open */
    bool is_open;
};

static void mix(struct summary *s, uint64_t n)
{
    s->sum = s->sum * 6364136223846793005u + n;
}

static bool is_text(enum rdb_item item)
{
    return item <= ITEM_FIELD_VALUE || item == ITEM_GROUP || item == ITEM_CONSUMER;
}

static void add_part(struct summary *s, const struct rdb_event *ev)
{
    require(s->is_open ? ev->offset == s->offset && ev->total == s->total : !ev->offset);
    require(ev->part.len ? ev->offset + ev->part.len <= ev->total : !ev->total);
    for (size_t i = 0; i < ev->part.len; i++)
        mix(s, (unsigned char)ev->part.ptr[i]);
    s->offset = ev->offset + ev->part.len;
    s->total = ev->total;
    s->is_open = s->offset < s->total;
    if (!s->is_open)
        mix(s, s->total);
}

static int on_event(const struct rdb_event *ev, void *arg)
{
    struct summary *s = arg;
    uint64_t bits;

    require(ev->item < ITEMS);
    if (is_text(ev->item)) {
        add_part(s, ev);
        return 0;
    }
    require(!s->is_open);
    s->items++;
    mix(s, ev->item);
    if (ev->item == ITEM_SCORE) {
        require(ev->score == ev->score);
        memcpy(&bits, &ev->score, sizeof(bits));
        mix(s, bits);
        return 0;
    }
    for (size_t i = 0; i < 2; i++)
        mix(s, ev->number[i]);
    return 0;
}

struct cuts {
    uint32_t seed; /* 0: in one piece */
};

static size_t cut(struct cuts *c, size_t left)
{
    if (!c->seed)
        return left;
    c->seed = c->seed * 1664525 + 1013904223;
    uint32_t n = c->seed >> 8;
    return n % 4 ? 1 : MIN(left, 1 + n % 64);
}

/* Feeds copies of exactly what is there, so that a read beyond it is seen. */
typedef int feed_fn(void *to, struct bytes part);

static int feed_all(feed_fn *feed, void *to, const uint8_t *data, size_t size, struct cuts cuts)
{
    int e = 0;

    for (size_t at = 0, n; at < size && (!e || e == -EOPNOTSUPP); at += n) {
        n = cut(&cuts, size - at);
        char *copy = malloc(n);
        memcpy(copy, data + at, n);
        e = feed(to, bytes_of(copy, n));
        free(copy);
    }
    return e;
}

static int feed_payload(void *to, struct bytes part)
{
    return payload_feed(to, part);
}

static int feed_digester(void *to, struct bytes part)
{
    return digester_feed(to, part);
}

static void check_error(int error)
{
    require(!error || error == -EBADMSG || error == -E2BIG || error == -EOPNOTSUPP);
}

static struct summary decode(const uint8_t *data, size_t size, bool valkey, struct cuts cuts)
{
    static const char footer[FOOTER];
    const struct payload_options options = {.valkey = valkey, .memory_max = MEMORY_MAX};
    struct summary s = {0};
    struct payload *p;

    require(!payload_new(&options, on_event, &s, &p));
    int e = payload_begin(p, size + FOOTER);
    if (!e)
        e = feed_all(feed_payload, p, data, size, cuts);
    check_error(e);
    int f = payload_feed(p, bytes_of(footer, FOOTER));
    require(!e || f == e);
    s.error = payload_end(p);
    check_error(s.error);
    require(!f || s.error == f || (f == -EOPNOTSUPP && s.error == -EBADMSG));
    require(s.error || !s.is_open);
    payload_free(p);
    return s;
}

static int digest(const uint8_t *data, size_t size, bool valkey, struct cuts cuts, struct value_digest *ret)
{
    static const char footer[FOOTER];
    struct digester *d;

    require(!digester_new(valkey, &d));
    int e = digester_begin(d, size + FOOTER, 1700000000000);
    if (!e)
        e = feed_all(feed_digester, d, data, size, cuts);
    if (!e)
        e = digester_feed(d, bytes_of(footer, FOOTER));
    if (!e)
        e = digester_end(d, ret);
    check_error(e);
    digester_free(d);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct value_digest a, b;

    if (!size)
        return 0;
    bool valkey = data[0] & 1;
    const struct cuts whole = {0}, cuts = {1 + data[0] / 2u};
    struct summary one = decode(data + 1, size - 1, valkey, whole);
    struct summary many = decode(data + 1, size - 1, valkey, cuts);
    require(one.error == many.error && one.items == many.items);
    require(one.error || one.sum == many.sum);
    int e = digest(data + 1, size - 1, valkey, whole, &a);
    require(e == digest(data + 1, size - 1, valkey, cuts, &b));
    require(e || value_digest_equal(&a, &b));
    return 0;
}
