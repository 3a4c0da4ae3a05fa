#include <malloc.h>

#include "tests/unit/rdb_hex.h"

/* Payloads made by hand: encodings that no server of today writes, and all that must be refused. */

/* Strings. */

START_TEST(lengths)
{
    begin();
    tells("00 00", "");
    tells("00 03 61 62 63", "616263");
    tells("00 40 03 61 62 63", "616263");
    tells("00 80 00 00 00 03 61 62 63", "616263");
    tells("00 81 00 00 00 00 00 00 00 03 61 62 63", "616263");
    refuses("00");
    refuses_at_once("00 04 61 62 63");
    refuses("00 02 61 62 63");
    refuses("00 40");
    refuses("00 80 00 00 00");
    refuses_at_once("00 80 ff ff ff ff 61");
    refuses_at_once("00 81 ff ff ff ff ff ff ff ff 61");
    refuses("00 82 00 00 00 00 61");
    refuses("00 82 00 00 00 00 00 00 00 01 61");
    refuses("00 bf 61");
    end();
}
END_TEST

START_TEST(numbers)
{
    begin();
    tells("00 c0 00", "30");
    tells("00 c0 80", "2d313238");
    tells("00 c1 00 80", "2d3332373638");
    tells("00 c1 ff 7f", "3332373637");
    tells("00 c2 00 00 00 80", "2d32313437343833363438");
    refuses("00 c0");
    refuses("00 c1 01");
    refuses("00 c2 01 02 03");
    refuses("00 c0 01 02");
    refuses("00 c4 01 01 61");
    refuses("00 ff 61");
    end();
}
END_TEST

START_TEST(compressed)
{
    begin();
    tells("00 c3 04 04 00 61 20 00", "61616161");
    tells("01 02 c3 04 04 00 61 20 00 c3 40 04 80 00 00 00 04 00 62 20 00", "61616161 62626262");
    refuses("00 c3 04 05 00 61 20 00");
    refuses("00 c3 04 03 00 61 20 00");
    refuses("00 c3 05 04 00 61 20 00");
    refuses("00 c3 03 04 00 61 20 00");
    refuses("00 c3 00 00");
    refuses("00 c3 00 01");
    refuses("00 c3 01 00 00");
    refuses("00 c3 02 01 00");
    refuses("00 c3 c0 01 01 61");
    refuses("00 c3 04 81 ff ff ff ff ff ff ff ff 00 61 20 00"); /* nothing that short is that long */
    refuses("00 c3 04 04 00 61 20 01");
    end();
}
END_TEST

/* Collections of strings. */

START_TEST(plain_lists_and_sets)
{
    begin();
    tells("01 02 01 61 c0 05", "61 35");
    tells("01 00", "");
    tells("02 03 01 62 01 61 00", " 61 62");
    refuses("01 02 01 61");
    refuses("01 01 01 61 01 61");
    refuses("01 00 00");
    refuses_at_once("02 81 ff ff ff ff ff ff ff ff 01 61");
    refuses_at_once("02 80 00 00 10 00 01 61");
    refuses("02 c0 01 01 61");
    end();
}
END_TEST

START_TEST(plain_zsets)
{
    begin();
    tells("03 03 01 61 03 31 2e 35 01 62 fe 01 63 ff",
          "61=3ff8000000000000 62=7ff0000000000000 63=fff0000000000000");
    tells("03 02 01 61 02 2d 30 01 62 05 31 65 2d 33 30", "61=0000000000000000 62=39b4484bfeebc2a0");
    refuses("03 01 01 61 fd");          /* not a number */
    refuses("03 01 01 61 03 6e 61 6e"); /* in letters */
    refuses("03 01 01 61 00");
    refuses("03 01 01 61 03 31 2e 78");
    refuses("03 01 01 61 02 31 00");
    refuses("03 01 01 61 20 31 31 31 31 31 31 31 31 31 31 31 31 31 31 31 31"
            " 31 31 31 31 31 31 31 31 31 31 31 31 31 31 31 31");
    refuses("03 01 01 61");
    tells("05 02 01 61 00 00 00 00 00 00 f8 3f 01 62 00 00 00 00 00 00 00 80",
          "61=3ff8000000000000 62=0000000000000000"); /* -0 is 0 */
    refuses("05 01 01 61 00 00 00 00 00 00 f8 7f");
    refuses("05 01 01 61 01 00 00 00 00 00 f0 ff");
    refuses("05 01 01 61 00 00 00 00 00 00 f0");
    end();
}
END_TEST

START_TEST(plain_hashes)
{
    begin();
    tells("04 02 01 62 01 31 01 61 00", "61=@0 62=31@0");
    refuses("04 02 01 62 01 31 01 61");
    refuses("04 01 01 62");
    end();
}
END_TEST

#define AT_1000 "e8 03 00 00 00 00 00 00"

START_TEST(expiries_of_fields)
{
    begin();
    /* Redis 7.4 before its release: absolute; as released: since the first; and Valkey: behind the value. */
    tells("16 02 00 01 61 01 31 43 e8 01 62 01 32", "61=31@0 62=32@1000");
    tells("18 " AT_1000 " 03 00 01 61 01 31 01 01 62 01 32 05 01 63 01 33", "61=31@0 62=32@1000 63=33@1004");
    tells_by(&valkey, "16 02 01 61 01 31 ff ff ff ff ff ff ff ff 01 62 01 32 " AT_1000, "61=31@0 62=32@1000");
    tells("18 ff ff ff ff ff ff ff ff 01 00 01 61 01 31", "61=31@0"); /* no field of it expires */
    refuses("18 ff ff ff ff ff ff ff ff 01 01 01 61 01 31");
    refuses("18 ff ff ff ff ff ff ff 7f 01 02 01 61 01 31");
    tells("18 ff ff ff ff ff ff ff 7f 01 01 01 61 01 31", "61=31@9223372036854775807");
    refuses("18 " AT_1000 " 01 81 ff ff ff ff ff ff ff ff 01 61 01 31");
    refuses("16 01 81 80 00 00 00 00 00 00 00 01 61 01 31");
    gives_by(&valkey, "16 01 01 61 01 31 00 00 00 00 00 00 00 00", -EBADMSG);
    gives_by(&valkey, "16 01 01 61 01 31 fe ff ff ff ff ff ff ff", -EBADMSG);
    refuses("16 02 01 61 01 31 ff ff ff ff ff ff ff ff 01 62 01 32 " AT_1000);
    /* In a listpack: a number behind each value. */
    tells("17 L([81 61][01][00][81 62][02][64])", "61=31@0 62=32@100");
    tells("19 " AT_1000 " L([81 61][01][00][81 62][02][64])", "61=31@0 62=32@100");
    refuses("17 L([81 61][01][df ff])"); /* -1 */
    refuses("17 L([81 61][01][81 30])"); /* a text */
    refuses("17 L([81 61][01])");
    end();
}
END_TEST

/* Packed encodings. */

START_TEST(listpacks)
{
    begin();
    tells("14 L()", "");
    tells("12 01 02 L([81 61][80])", "61 ");
    tells("12 01 02 L([00][7f][c0 00][cf ff][d0 00][df ff])", "30 313237 30 34303935 2d34303936 2d31");
    tells("12 01 02 L([f1 00 80][f1 ff 7f][f2 00 00 80][f2 ff ff 7f])",
          "2d3332373638 3332373637 2d38333838363038 38333838363037");
    tells("12 01 02 L([f3 00 00 00 80][f3 ff ff ff 7f])", "2d32313437343833363438 32313437343833363437");
    tells("12 01 02 L([f4 00 00 00 00 00 00 00 80][f4 ff ff ff ff ff ff ff 7f])",
          "2d39323233333732303336383534373735383038 39323233333732303336383534373735383037");
    tells("12 01 02 L([e0 01 61][f0 01 00 00 00 62])", "61 62");
    tells("11 L([81 61][03][81 62][83 31 2e 35])", "61=4008000000000000 62=3ff8000000000000");
    tells("11 L([81 61][84 2d 69 6e 66])", "61=fff0000000000000");
    tells("12 02 02 L([81 61]) 01 S(62)", "61 62"); /* a node that is one element */
    refuses("12 01 03 L([81 61])");
    refuses("12 01 00 L([81 61])");
    refuses("11 L([81 61])"); /* without its score */
    refuses("11 L([81 61][83 6e 61 6e])");
    refuses("11 L([81 61][80])");
    refuses("10 L([81 61][01][81 62])");
    refuses("12 01 02 L([f5])");
    refuses("12 01 02 L([fe 00])");
    refuses_at_once("12 01 02 L([f0 ff ff ff ff])");
    refuses("12 01 02 L([82 61])"); /* longer than it is */
    refuses("12 01 02 L([81])");
    refuses_at_once("12 01 02 L([bf 61 62 63])");
    refuses("12 01 02 L([f4 00 00])");
    end();
}
END_TEST

/* The frame around "a" and 1, and what may be wrong with it. */
START_TEST(listpack_frames)
{
    begin();
    tells("12 01 02 S(0c 00 00 00 02 00 81 61 02 01 01 ff)", "61 31");
    tells("12 01 02 S(0c 00 00 00 ff ff 81 61 02 01 01 ff)", "61 31"); /* not counted */
    refuses("12 01 02 S(0c 00 00 00 01 00 81 61 02 01 01 ff)");
    refuses("12 01 02 S(0c 00 00 00 03 00 81 61 02 01 01 ff)");
    refuses("12 01 02 S(0b 00 00 00 02 00 81 61 02 01 01 ff)");
    refuses("12 01 02 S(0d 00 00 00 02 00 81 61 02 01 01 ff)");
    refuses("12 01 02 S(0d 00 00 00 02 00 81 61 02 01 01 ff ff)");
    refuses("12 01 02 S(0b 00 00 00 02 00 81 61 02 01 01)");    /* no end */
    refuses("12 01 02 S(0c 00 00 00 02 00 81 61 03 01 01 ff)"); /* backward lengths */
    refuses("12 01 02 S(0c 00 00 00 02 00 81 61 82 01 01 ff)");
    refuses("12 01 02 S(0c 00 00 00 02 00 81 61 02 01 02 ff)");
    refuses("12 01 02 S(06 00 00 00 00 00)");
    refuses("12 01 02 S(05 00 00 00 00)");
    refuses("12 01 02 S()");
    refuses("12 01 02 c0 05");
    end();
}
END_TEST

START_TEST(ziplists)
{
    begin();
    tells("0a Z()", "");
    tells("0a Z([01 61][00])", "61 ");
    tells("0a Z([40 01 61][80 00 00 00 01 62])", "61 62");
    tells("0a Z([f1][fd][fe 80][c0 00 80][f0 00 00 80])", "30 3132 2d313238 2d3332373638 2d38333838363038");
    tells("0a Z([d0 00 00 00 80][e0 00 00 00 00 00 00 00 80])",
          "2d32313437343833363438 2d39323233333732303336383534373735383038");
    tells("0e 02 Z([01 61]) Z([f2][f3])", "61 31 32");
    tells("0c Z([01 61][f2][01 62][03 31 2e 35])", "61=3ff0000000000000 62=3ff8000000000000");
    tells("0d Z([01 62][f2][01 61][00])", "61=@0 62=31@0");
    refuses("0d Z([01 62])");
    refuses("0c Z([01 61][03 6e 61 6e])");
    refuses("0a Z([ff])");
    refuses("0a Z([c1 00])");
    refuses("0a Z([e1])");
    refuses_at_once("0a Z([02 61])");
    refuses_at_once("0a Z([80 ff ff ff ff])");
    refuses("0a Z([e0 00 00])");
    end();
}
END_TEST

START_TEST(ziplist_frames)
{
    begin();
    tells("0a S(11 00 00 00 0d 00 00 00 02 00 00 01 61 03 fe 05 ff)", "61 35");
    tells("0a S(11 00 00 00 0d 00 00 00 ff ff 00 01 61 03 fe 05 ff)", "61 35");
    tells("0a S(15 00 00 00 0d 00 00 00 02 00 00 01 61 fe 03 00 00 00 fe 05 ff)", "61 35"); /* a long one */
    refuses("0a S(11 00 00 00 0d 00 00 00 01 00 00 01 61 03 fe 05 ff)");
    refuses("0a S(11 00 00 00 0d 00 00 00 03 00 00 01 61 03 fe 05 ff)");
    refuses("0a S(11 00 00 00 0a 00 00 00 02 00 00 01 61 03 fe 05 ff)"); /* the tail */
    refuses("0a S(11 00 00 00 10 00 00 00 02 00 00 01 61 03 fe 05 ff)");
    refuses("0a S(11 00 00 00 0d 00 00 00 02 00 00 01 61 02 fe 05 ff)"); /* the element before */
    refuses("0a S(11 00 00 00 0d 00 00 00 02 00 01 01 61 03 fe 05 ff)");
    refuses("0a S(10 00 00 00 0d 00 00 00 02 00 00 01 61 03 fe 05 ff)");
    refuses("0a S(12 00 00 00 0d 00 00 00 02 00 00 01 61 03 fe 05 ff ff)");
    refuses("0a S(10 00 00 00 0d 00 00 00 02 00 00 01 61 03 fe 05)");
    refuses("0a S(0b 00 00 00 0b 00 00 00 00 00 ff)");
    refuses("0a S(0a 00 00 00 0a 00 00 00 00 00)");
    end();
}
END_TEST

START_TEST(intsets)
{
    begin();
    tells("0b S(02 00 00 00 00 00 00 00)", "");
    tells("0b S(02 00 00 00 02 00 00 00 ff ff 05 00)", "2d31 35");
    tells("0b S(04 00 00 00 01 00 00 00 00 00 00 80)", "2d32313437343833363438");
    tells("0b S(08 00 00 00 02 00 00 00 ff ff ff ff ff ff ff ff 01 00 00 00 00 00 00 00)", "2d31 31");
    refuses("0b S(02 00 00 00 02 00 00 00 05 00 05 00)");
    refuses("0b S(02 00 00 00 02 00 00 00 05 00 04 00)");
    refuses("0b S(01 00 00 00 02 00 00 00 05 06)");
    refuses("0b S(00 00 00 00 02 00 00 00)");
    refuses("0b S(02 00 00 00 01 00 00 00 05 00 06 00)");
    refuses("0b S(02 00 00 00 03 00 00 00 05 00 06 00)");
    refuses("0b S(08 00 00 00 01 00 00 20 05 00 06 00 05 00 06 00)");
    refuses("0b S(02 00 00 00 01)");
    end();
}
END_TEST

START_TEST(zipmaps)
{
    begin();
    tells("09 S(00 ff)", "");
    tells("09 S(02 01 62 01 00 32 00 02 03 31 31 00 00 00 ff)", "62=32@0 =3131@0"); /* 3 bytes are free */
    tells("09 S(fe 01 61 01 00 31 ff)", "61=31@0");
    tells("09 S(01 fe 01 00 00 00 61 fe 00 00 00 00 00 ff)", "61=@0");
    refuses("09 S(01 01 62 01 00 32 01 61 01 00 31 ff)");
    refuses("09 S(03 01 62 01 00 32 01 61 01 00 31 ff)");
    refuses("09 S(01 01 61 01 00 31)");
    refuses("09 S(01 01 61 01 00 31 ff ff)");
    refuses("09 S(01 01 61 01 01 31 ff)");
    refuses("09 S(01 01 61 ff)");
    refuses("09 S(01 01 61)");
    refuses_at_once("09 S(01 09 61 01 00 31 ff)");
    refuses_at_once("09 S(01 fe ff ff ff ff 61 01 00 31 ff)");
    refuses("09 S()");
    end();
}
END_TEST

/* The whole. */

static int fed(struct telling *t, struct bytes payload)
{
    const char *told;

    return tell(t, payload, kit_cuts[0], &told);
}

START_TEST(footers)
{
    char buf[64];

    begin();
    struct bytes body = hex("00 01 61"), payload = kit_payload(body.ptr, body.len);
    ck_assert_int_eq(fed(&redis, payload), 0);
    ck_assert_uint_eq(payload_version(redis.payload), 11);
    memcpy(buf, payload.ptr, payload.len);
    memset(buf + payload.len - 8, 0, 8);
    ck_assert_int_eq(fed(&redis, bytes_of(buf, payload.len)), 0); /* no sum was made */
    ck_assert_int_eq(payload_begin(redis.payload, payload.len), 0);
    ck_assert_int_eq(payload_feed(redis.payload, bytes_of(buf, payload.len - 1)), 0);
    ck_assert_int_eq(payload_end(redis.payload), -EBADMSG);
    buf[payload.len - 1] = 1;
    ck_assert_int_eq(fed(&redis, bytes_of(buf, payload.len)), -EBADMSG);
    for (uint64_t length = 0; length <= KIT_FOOTER; length++)
        ck_assert_int_eq(payload_begin(redis.payload, length), -EBADMSG);
    ck_assert_int_eq(payload_feed(redis.payload, payload), -EBADMSG);
    /* Less and more than was announced. */
    ck_assert_int_eq(payload_begin(redis.payload, payload.len), 0);
    ck_assert_int_eq(payload_feed(redis.payload, bytes_of(payload.ptr, payload.len - 1)), 0);
    ck_assert_int_eq(payload_end(redis.payload), -EBADMSG);
    ck_assert_int_eq(payload_begin(redis.payload, payload.len), 0);
    ck_assert_int_eq(payload_feed(redis.payload, payload), 0);
    ck_assert_int_eq(payload_feed(redis.payload, bytes_of("x", 1)), -EBADMSG);
    ck_assert_int_eq(payload_end(redis.payload), -EBADMSG);
    ck_assert_int_eq(fed(&redis, payload), 0); /* and it goes on with the next one */
    end();
}
END_TEST

START_TEST(what_is_not_decoded)
{
    static const struct {
        const char *body;
        enum rdb_type type;
    } bodies[] = {{"06 01 02 03", RDB_MODULE}, {"07 01 02 03 04 05 06", RDB_MODULE},
                  {"f5 01 61", RDB_FUNCTIONS}, {"f6 01 61", RDB_FUNCTIONS},
                  {"08 01", RDB_UNKNOWN},      {"1a 01", RDB_UNKNOWN},
                  {"fa", RDB_UNKNOWN},         {"ff 00", RDB_UNKNOWN}};
    char buf[64];

    begin();
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct bytes body = hex(bodies[i].body);
        struct bytes payload = kit_payload(body.ptr, body.len);
        memcpy(buf, payload.ptr, payload.len);
        gives_by(&redis, bodies[i].body, -EOPNOTSUPP);
        ck_assert_int_eq(payload_type(redis.payload), bodies[i].type);
        ck_assert_uint_eq(payload_version(redis.payload), 11);
        buf[payload.len - 1] ^= 1;
        ck_assert_int_eq(fed(&redis, bytes_of(buf, payload.len)), -EBADMSG);
        ck_assert_int_eq(payload_begin(redis.payload, payload.len), 0);
        ck_assert_int_eq(payload_feed(redis.payload, bytes_of(buf, 1)), -EOPNOTSUPP);
        ck_assert_int_eq(payload_end(redis.payload), -EBADMSG); /* it was not whole */
    }
    ck_assert_str_eq(rdb_type_name(RDB_ZSET), "zset");
    ck_assert_str_eq(rdb_type_name((enum rdb_type)99), "unknown");
    ck_assert_int_eq(payload_begin(redis.payload, 20), 0);
    ck_assert_int_eq(payload_type(redis.payload), RDB_UNKNOWN); /* its first byte is not there */
    end();
}
END_TEST

START_TEST(what_the_callback_gives_ends_it)
{
    static const char *const bodies[] = {
        "00 01 61",
        "12 02 02 L([81 61][01]) 01 S(62)",
        "10 L([81 61][01][81 62][80])",
        "11 L([81 61][01][81 62][81 33])",
        "09 S(02 01 62 01 00 32 00 02 03 31 31 00 00 00 ff)",
        "0b S(02 00 00 00 02 00 00 00 ff ff 05 00)",
        "0f 01 " PAGE(
            "[01][00][01][81 66][00]" SAME("81 61")) " 01 01 01 01 01 67 01 02 01 " PENDING_1_1
                                                     " 03 01 01 63 00 00 00 00 00 00 00 00 01 " ID_1_1,
    };

    begin();
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct bytes body = hex(bodies[i]), payload = kit_payload(body.ptr, body.len);
        redis.fail_at = 0;
        ck_assert_int_eq(fed(&redis, payload), 0);
        int events = redis.events;
        for (redis.fail_at = 1; redis.fail_at <= events; redis.fail_at++) {
            ck_assert_int_eq(fed(&redis, payload), -ECANCELED);
            ck_assert_int_eq(redis.events, redis.fail_at); /* nothing is told after it */
        }
    }
    end();
}
END_TEST

/* Far more than may be kept of it. */

static uint64_t seen_bytes, seen_items;

static int count_event(const struct rdb_event *ev, void *arg)
{
    (void)arg;
    seen_bytes += ev->item == ITEM_FIELD_EXPIRY ? 0 : ev->part.len;
    seen_items += ev->item == ITEM_FIELD_EXPIRY;
    return 0;
}

struct feeding {
    struct payload *p;
    uint64_t sum;
    size_t memory;
};

static void begin_feeding(struct feeding *f, uint64_t body)
{
    const struct payload_options options = {.valkey = false};

    seen_bytes = seen_items = 0;
    f->sum = 0;
    ck_assert_int_eq(payload_new(&options, count_event, NULL, &f->p), 0);
    ck_assert_int_eq(payload_begin(f->p, body + KIT_FOOTER), 0);
    f->memory = mallinfo2().uordblks;
}

static void feed(struct feeding *f, struct bytes part)
{
    f->sum = crc64(f->sum, part.ptr, part.len);
    KIT_REQUIRE(payload_feed(f->p, part) == 0);
}

static void end_feeding(struct feeding *f)
{
    feed(f, BYTES("\x0b\0"));
    ck_assert_uint_eq(mallinfo2().uordblks, f->memory);
    ck_assert_int_eq(payload_feed(f->p, bytes_of(&f->sum, 8)), 0);
    ck_assert_int_eq(payload_end(f->p), 0);
    payload_free(f->p);
}

START_TEST(a_long_string)
{
    enum { PARTS = 300 };
    static char part[1 << 20];
    struct feeding f;

    begin_feeding(&f, 1 + 5 + PARTS * sizeof(part));
    feed(&f, BYTES("\x00\x80\x12\xc0\x00\x00"));
    for (unsigned i = 0; i < PARTS; i++)
        feed(&f, bytes_of(part, sizeof(part)));
    end_feeding(&f);
    ck_assert_uint_eq(seen_bytes, PARTS * sizeof(part));
}
END_TEST

START_TEST(a_large_hash)
{
    enum { FIELDS = 1000000 };
    struct feeding f;

    begin_feeding(&f, 1 + 5 + 6 * FIELDS);
    feed(&f, BYTES("\x04\x80\x00\x0f\x42\x40"));
    for (unsigned i = 0; i < FIELDS; i++)
        feed(&f, BYTES("\xc1\x05\x10\x02hi"));
    end_feeding(&f);
    ck_assert_uint_eq(seen_bytes, (4 + 2) * FIELDS);
    ck_assert_uint_eq(seen_items, FIELDS);
}
END_TEST

UNIT_MAIN("rdb/payload", lengths, numbers, compressed, plain_lists_and_sets, plain_zsets, plain_hashes,
          expiries_of_fields, listpacks, listpack_frames, ziplists, ziplist_frames, intsets, zipmaps, footers,
          what_is_not_decoded, what_the_callback_gives_ends_it, a_long_string, a_large_hash)
