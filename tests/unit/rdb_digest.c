#include "lib/rdb/digest.h"
#include "tests/unit/rdb_kit.h"

static struct digester *d;

static void begin(void)
{
    ck_assert_int_eq(digester_new(false, &d), 0);
}

static void end(void)
{
    d = digester_free(d);
    ck_assert_ptr_null(digester_free(NULL));
}

/* The same in any cuts. */
static struct value_digest digest_at(struct bytes body, int64_t now_ms)
{
    struct bytes payload = kit_payload(body.ptr, body.len);
    struct value_digest first = {0}, digest;

    for (size_t i = 0; i < ARRAY_LEN(kit_cuts); i++) {
        struct cuts cuts = kit_cuts[i];
        ck_assert_int_eq(digester_begin(d, payload.len, now_ms), 0);
        for (size_t at = 0, n; at < payload.len; at += n) {
            n = kit_cut(&cuts, payload.len - at);
            KIT_REQUIRE(digester_feed(d, bytes_of(payload.ptr + at, n)) == 0);
        }
        ck_assert_int_eq(digester_end(d, &digest), 0);
        if (!i)
            first = digest;
        ck_assert(value_digest_equal(&first, &digest));
        ck_assert_uint_eq(first.elements, digest.elements);
    }
    return first;
}

static struct value_digest digest(struct bytes body)
{
    return digest_at(body, 0);
}

static bool equal(struct value_digest a, struct value_digest b)
{
    ck_assert(value_digest_equal(&a, &b) == value_digest_equal(&b, &a));
    return value_digest_equal(&a, &b);
}

START_TEST(types_and_counts)
{
    begin();
    struct value_digest string = digest(BYTES("\x00\x01"
                                              "a")),
                        list = digest(BYTES("\x01\x01\x01"
                                            "a")),
                        set = digest(BYTES("\x02\x01\x01"
                                           "a")),
                        none = digest(BYTES("\x02\x00"));
    ck_assert_int_eq(string.type, RDB_STRING);
    ck_assert_int_eq(list.type, RDB_LIST);
    ck_assert_int_eq(set.type, RDB_SET);
    ck_assert_uint_eq(string.elements, 1);
    ck_assert_uint_eq(list.elements, 1);
    ck_assert_uint_eq(set.elements, 1);
    ck_assert_uint_eq(none.elements, 0);
    ck_assert(!equal(string, list) && !equal(list, set) && !equal(string, set) && !equal(set, none));
    ck_assert(equal(none, digest(BYTES("\x0b\x08\x02\0\0\0\0\0\0\0"))));
    end();
}
END_TEST

/* What stands beside what matters, not only which texts there are. */
START_TEST(texts_are_not_run_together)
{
    begin();
    ck_assert(!equal(digest(BYTES("\x01\x02\x02"
                                  "ab\x01"
                                  "c")),
                     digest(BYTES("\x01\x02\x01"
                                  "a\x02"
                                  "bc"))));
    ck_assert(!equal(digest(BYTES("\x01\x02\x03"
                                  "abc\x00")),
                     digest(BYTES("\x01\x02\x00\x03"
                                  "abc"))));
    ck_assert(!equal(digest(BYTES("\x04\x01\x02"
                                  "ab\x01"
                                  "c")),
                     digest(BYTES("\x04\x01\x01"
                                  "a\x02"
                                  "bc"))));
    ck_assert(!equal(digest(BYTES("\x04\x01\x01"
                                  "a\x01"
                                  "b")),
                     digest(BYTES("\x04\x01\x01"
                                  "b\x01"
                                  "a"))));
    /* Two fields that trade their values. */
    ck_assert(!equal(digest(BYTES("\x04\x02\x01"
                                  "a\x01"
                                  "1\x01"
                                  "b\x01"
                                  "2")),
                     digest(BYTES("\x04\x02\x01"
                                  "a\x01"
                                  "2\x01"
                                  "b\x01"
                                  "1"))));
    end();
}
END_TEST

#define FIELD_A                                                                                              \
    "\x01"                                                                                                   \
    "a\x01"                                                                                                  \
    "1"
#define FIELD_B                                                                                              \
    "\x01"                                                                                                   \
    "b\x01"                                                                                                  \
    "2"
#define AT_1000 "\xe8\x03\0\0\0\0\0\0"

START_TEST(fields_that_are_gone_do_not_count)
{
    begin();
    struct bytes expiring = BYTES("\x18" AT_1000 "\x02\x00" FIELD_A "\x01" FIELD_B);
    struct bytes later = BYTES("\x18" AT_1000 "\x02\x00" FIELD_A "\x02" FIELD_B);
    struct bytes plain = BYTES("\x04\x01" FIELD_A), both = BYTES("\x04\x02" FIELD_A FIELD_B);

    ck_assert_uint_eq(digest_at(expiring, 999).elements, 2);
    ck_assert_uint_eq(digest_at(expiring, 1000).elements, 1);
    ck_assert(!equal(digest_at(expiring, 999), digest_at(plain, 999)));
    ck_assert(equal(digest_at(expiring, 1000), digest_at(plain, 1000)));
    ck_assert(!equal(digest_at(expiring, 999), digest_at(both, 999)));  /* it will expire, the other not */
    ck_assert(!equal(digest_at(expiring, 999), digest_at(later, 999))); /* nor at the same time */
    ck_assert(equal(digest_at(expiring, 1001), digest_at(later, 1001)));
    end();
}
END_TEST

/* HyperLogLogs. */

#define HEADER(encoding, card) "HYLL" encoding "\0\0\0" card
#define CARD_1                 "\x01\0\0\0\0\0\0\0"
#define CARD_NONE              "\0\0\0\0\0\0\0\x80" /* it is not cached */

struct string {
    size_t len;
    char body[32000];
};

/* The body of a payload that is this string. */
static struct bytes as_string(struct string *s, const void *text, size_t len)
{
    s->body[0] = 0;
    s->body[1] = (char)0x80;
    for (size_t i = 0; i < 4; i++)
        s->body[2 + i] = (char)(len >> (24 - 8 * i));
    memcpy(s->body + 6, text, len);
    s->len = 6 + len;
    return bytes_of(s->body, s->len);
}

/* Dense: registers by number, 6 bits each, the lowest first. */
static struct bytes dense(struct string *s, const char *header, const uint8_t registers[HLL_REGISTERS])
{
    char text[HLL_HEADER + HLL_REGISTERS * 6 / 8] = {0};

    memcpy(text, header, HLL_HEADER);
    for (size_t i = 0; i < HLL_REGISTERS; i++)
        for (size_t bit = 0; bit < 6; bit++)
            if (registers[i] >> bit & 1)
                text[HLL_HEADER + (6 * i + bit) / 8] |= (char)(1 << (6 * i + bit) % 8);
    return as_string(s, text, sizeof(text));
}

START_TEST(sparse_is_dense)
{
    static struct string a, b, c, e;
    uint8_t registers[HLL_REGISTERS] = {0};
    /* 3 of 7; 2 of 0; 1 of 32; 16378 of 0. */
    static const char sparse[] = HEADER("\1", CARD_1) "\x9a\x01\xfc\x7f\xf9";
    static const char cached[] = HEADER("\1", CARD_NONE) "\x9a\x00\x00\xfc\x7f\xf9";

    begin();
    registers[0] = registers[1] = registers[2] = 7;
    registers[5] = 32;
    struct value_digest x = digest(as_string(&a, sparse, sizeof(sparse) - 1));
    ck_assert_int_eq(x.type, RDB_STRING);
    ck_assert_uint_eq(x.elements, 1);
    ck_assert(equal(x, digest(as_string(&b, cached, sizeof(cached) - 1))));
    ck_assert(equal(x, digest(dense(&c, HEADER("\0", CARD_1), registers))));
    ck_assert(equal(x, digest(dense(&c, HEADER("\0", CARD_NONE), registers))));
    registers[16383] = 1;
    ck_assert(!equal(x, digest(dense(&e, HEADER("\0", CARD_1), registers))));
    end();
}
END_TEST

/* A string that only looks like one is itself: nothing of it is left out. */
START_TEST(strings_like_them)
{
    static const char *const texts[] = {
        HEADER("\1", CARD_1) "\x9a\x01\xfc\x7f\xf8", /* a register is missing, */
        HEADER("\1", CARD_1) "\x9a\x01\xfc\x7f\xfa", /* there is one too many, */
        HEADER("\1", CARD_1) "\x7f\xff\x40",         /* it is cut in an opcode, */
        HEADER("\2", CARD_1) "\x7f\xff",             /* of no encoding, */
        HEADER("\0", CARD_1) "\x7f\xff",             /* not as long as that, */
        "HYLX\1\0\0\0" CARD_1 "\x7f\xff",            /* named otherwise, */
        "HYLL\1\0\0\1" CARD_1 "\x7f\xff",            /* or of a later time */
    };
    static const size_t lens[] = {21, 21, 19, 18, 18, 18, 18};
    static struct string s, t;
    char other[64];

    begin();
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        memcpy(other, texts[i], lens[i]);
        other[8] ^= 2; /* of the cached cardinality */
        ck_assert_msg(!equal(digest(as_string(&s, texts[i], lens[i])), digest(as_string(&t, other, lens[i]))),
                      "%zu", i);
    }
    /* The registers themselves, and the longest that is looked at. */
    static uint8_t registers[HLL_REGISTERS + HLL_HEADER + 1];
    ck_assert(!equal(digest(as_string(&s, registers, HLL_REGISTERS)),
                     digest(as_string(&t, HEADER("\1", CARD_1) "\x7f\xff", 18))));
    memcpy(registers, HEADER("\1", CARD_1), HLL_HEADER);
    ck_assert(equal(digest(as_string(&s, registers, HLL_HEADER + HLL_REGISTERS)),
                    digest(as_string(&t, HEADER("\1", CARD_1) "\x7f\xff", 18))));
    ck_assert(!equal(digest(as_string(&s, registers, sizeof(registers))),
                     digest(as_string(&t, HEADER("\1", CARD_1) "\x7f\xff", 18))));
    end();
}
END_TEST

/* Streams: length 0, last id 7-8; max deleted 9-9 and 5 added; a group "g" at 1-2 that read 5. */
#define STREAM_1(more)        "\x0f\x00\x00\x07\x08\x01\x01g\x01\x02" more
#define STREAM_2(added, read) "\x13\x00\x00\x07\x08\x00\x00\x09\x09" added "\x01\x01g\x01\x02" read "\x00\x00"

START_TEST(what_a_version_does_not_keep)
{
    begin();
    struct value_digest old = digest(BYTES(STREAM_1("\x00\x00"))),
                        new = digest(BYTES(STREAM_2("\x05", "\x05")));
    ck_assert(!old.has_added && !old.has_entries_read);
    ck_assert(new.has_added &&new.has_entries_read);
    ck_assert(equal(old, new));
    ck_assert(equal(new, new));
    ck_assert(!equal(new, digest(BYTES(STREAM_2("\x06", "\x05")))));
    ck_assert(!equal(new, digest(BYTES(STREAM_2("\x05", "\x06")))));
    ck_assert(!equal(new, digest(BYTES(STREAM_2("\x05", "\x81\xff\xff\xff\xff\xff\xff\xff\xff")))));
    ck_assert(equal(old, digest(BYTES(STREAM_2("\x06", "\x07")))));
    /* And what they all keep: last id, group, its id. */
    ck_assert(!equal(old, digest(BYTES("\x0f\x00\x00\x07\x09\x01\x01g\x01\x02\x00\x00"))));
    ck_assert(!equal(old, digest(BYTES("\x0f\x00\x00\x07\x08\x01\x01h\x01\x02\x00\x00"))));
    ck_assert(!equal(old, digest(BYTES("\x0f\x00\x00\x07\x08\x01\x01g\x01\x03\x00\x00"))));
    ck_assert(!equal(old, digest(BYTES("\x0f\x00\x00\x07\x08\x00"))));
    end();
}
END_TEST

#define NO_TIME  "\0\0\0\0\0\0\0\0"
#define SEEN     "\5\0\0\0\0\0\0\0"
#define ID(n)    "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0" n
#define GROUP(p) "\x15\x00\x00\x07\x08\x00\x00\x09\x09\x05\x01\x01g\x01\x02\x05" p
#define TWO      "\x02" ID("\1") SEEN "\1" ID("\2") SEEN "\1"

/* Who has which entry pending; not when a consumer was seen. */
START_TEST(consumers)
{
    begin();
    struct value_digest x = digest(BYTES(GROUP(TWO "\x02\x01"
                                                   "a" SEEN SEEN "\1" ID("\1") "\x01"
                                                                               "b" SEEN SEEN "\1" ID("\2"))));
    ck_assert(
        equal(x, digest(BYTES(GROUP(TWO "\x02\x01"
                                        "b" NO_TIME SEEN "\1" ID("\2") "\x01"
                                                                       "a" SEEN NO_TIME "\1" ID("\1"))))));
    ck_assert(!equal(x, digest(BYTES(GROUP(TWO "\x02\x01"
                                               "a" SEEN SEEN "\1" ID("\2") "\x01"
                                                                           "b" SEEN SEEN "\1" ID("\1"))))));
    ck_assert(!equal(x, digest(BYTES(GROUP(TWO "\x02\x01"
                                               "a" SEEN SEEN "\2" ID("\1") ID("\2") "\x01"
                                                                                    "b" SEEN SEEN "\0")))));
    ck_assert(!equal(x, digest(BYTES(GROUP(TWO "\x03\x01"
                                               "a" SEEN SEEN "\1" ID("\1") "\x01"
                                                                           "b" SEEN SEEN "\1" ID(
                                                                               "\2") "\x01"
                                                                                     "c" SEEN SEEN "\0")))));
    end();
}
END_TEST

START_TEST(errors_are_those_of_the_payload)
{
    struct value_digest digest = {.elements = 7};

    begin();
    ck_assert_int_eq(digester_begin(d, 10, 0), -EBADMSG);
    struct bytes payload = kit_payload("\x00\x02"
                                       "a",
                                       3);
    ck_assert_int_eq(digester_begin(d, payload.len, 0), 0);
    ck_assert_int_eq(digester_feed(d, payload), -EBADMSG);
    ck_assert_int_eq(digester_end(d, &digest), -EBADMSG);
    payload = kit_payload("\x07\x02"
                          "a",
                          3);
    ck_assert_int_eq(digester_begin(d, payload.len, 0), 0);
    ck_assert_int_eq(digester_feed(d, payload), -EOPNOTSUPP);
    ck_assert_int_eq(digester_end(d, &digest), -EOPNOTSUPP);
    ck_assert_uint_eq(digest.elements, 7);
    end();
}
END_TEST

UNIT_MAIN("rdb/digest", types_and_counts, texts_are_not_run_together, fields_that_are_gone_do_not_count,
          sparse_is_dense, strings_like_them, what_a_version_does_not_keep, consumers,
          errors_are_those_of_the_payload)
