/* rdb_hex.h - for the tests of lib/rdb: payloads that are written down in hex, and what the decoder makes of
 * them. */
#ifndef RIOT_RDB_HEX_H
#define RIOT_RDB_HEX_H

#include "tests/unit/rdb_kit.h"

static struct telling redis, valkey;

static void begin(void)
{
    telling_begin(&redis, false, 0);
    telling_begin(&valkey, true, 0);
}

static void end(void)
{
    telling_end(&redis);
    telling_end(&valkey);
}

/* Bodies are written as hex, with spaces wherever wanted, and in it
 *   S(...)          a string: its length stands before
 *   L([...][...])   a listpack of these elements, as a string: header, backward lengths and end are added
 *   Z([...][...])   a ziplist, with the length of the element before */
struct out {
    size_t n;
    uint8_t bytes[20000];
};

static void put(struct out *o, uint64_t n, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        o->bytes[o->n++] = (uint8_t)(i < 8 ? n >> 8 * i : 0);
    KIT_REQUIRE(o->n < sizeof(o->bytes) / 2);
}

static void put_string(struct out *o, const struct out *string)
{
    put(o, 0x40 | string->n >> 8, 1);
    put(o, string->n, 1);
    memcpy(o->bytes + o->n, string->bytes, string->n);
    o->n += string->n;
}

static const char *put_hex(struct out *o, const char *p, char end);

static const char *put_listpack(struct out *o, const char *p)
{
    unsigned count = 0;
    size_t from = o->n;

    for (put(o, 0, 6); *p == '['; count++) {
        size_t begins = o->n;
        p = put_hex(o, p + 1, ']');
        size_t len = o->n - begins;
        KIT_REQUIRE(len < 16383);
        if (len > 127)
            put(o, len >> 7, 1);
        put(o, len > 127 ? 0x80 | (len & 127) : len, 1);
    }
    put(o, 0xff, 1);
    size_t to = o->n;
    o->n = from;
    put(o, to - from, 4);
    put(o, count, 2);
    o->n = to;
    return p;
}

static const char *put_ziplist(struct out *o, const char *p)
{
    unsigned count = 0;
    size_t from = o->n, before = 0, last = 10;

    for (put(o, 0, 10); *p == '['; count++) {
        last = o->n;
        put(o, before < 254 ? before : 254, 1);
        if (before >= 254)
            put(o, before, 4);
        p = put_hex(o, p + 1, ']');
        before = o->n - last;
    }
    put(o, 0xff, 1);
    size_t to = o->n;
    o->n = from;
    put(o, to - from, 4);
    put(o, count ? last - from : 10, 4);
    put(o, count, 2);
    o->n = to;
    return p;
}

static const char *put_inner(struct out *o, const char *p)
{
    struct out *inner = calloc(1, sizeof(*inner));
    char kind = *p;

    KIT_REQUIRE(p[1] == '(');
    p = kind == 'S'   ? put_hex(inner, p + 2, ')')
        : kind == 'L' ? put_listpack(inner, p + 2)
                      : put_ziplist(inner, p + 2);
    p += kind != 'S';
    put_string(o, inner);
    free(inner);
    return p;
}

static const char *put_hex(struct out *o, const char *p, char end)
{
    unsigned byte;

    while (*p != end)
        if (*p == ' ') {
            p++;
        } else if (strchr("SLZ", *p)) {
            p = put_inner(o, p);
        } else {
            KIT_REQUIRE(sscanf(p, "%2x", &byte) == 1);
            put(o, byte, 1);
            p += 2;
        }
    return end ? p + 1 : p;
}

static struct bytes hex(const char *text)
{
    static struct out out;

    out.n = 0;
    put_hex(&out, text, 0);
    return bytes_of(out.bytes, out.n);
}

static inline void tells_by(struct telling *t, const char *body, const char *expected)
{
    struct bytes b = hex(body), payload = kit_payload(b.ptr, b.len);
    const char *told = NULL;

    for (size_t i = 0; i < ARRAY_LEN(kit_cuts); i++) {
        int e = tell(t, payload, kit_cuts[i], &told);
        ck_assert_msg(!e, "%s: %s", body, strerror(-e));
        ck_assert_msg(!strcmp(told, expected), "%s: %s, not %s", body, told, expected);
    }
}

static void tells(const char *body, const char *expected)
{
    tells_by(&redis, body, expected);
}

static void gives_by(struct telling *t, const char *body, int error)
{
    struct bytes b = hex(body), payload = kit_payload(b.ptr, b.len);
    const char *told;

    for (size_t i = 0; i < ARRAY_LEN(kit_cuts); i++) {
        int e = tell(t, payload, kit_cuts[i], &told);
        ck_assert_msg(e == error, "%s: %s, cut %zu", body, strerror(-e), i);
    }
}

static inline void refuses(const char *body)
{
    gives_by(&redis, body, -EBADMSG);
}

/* Before anything of it is told: what it announces cannot be. */
static inline void refuses_at_once(const char *body)
{
    refuses(body);
    ck_assert_msg(!redis.events, "%s", body);
}

/* Streams. A master entry of one field "f", id 1-1, and what follows it. */
#define ID_1_1                      "00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01"
#define PAGE(elements)              "10 " ID_1_1 " L(" elements ")"
#define STREAM(pages, length, last) "0f " pages " " length " " last " 00"
#define SAME(value)                 "[02][00][00][" value "][04]"
#define PENDING_1_1                 ID_1_1 " 05 00 00 00 00 00 00 00"

#endif
