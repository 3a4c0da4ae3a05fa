#include "tests/unit/rdb_hex.h"

/* Streams, made by hand. */

START_TEST(stream_entries)
{
    begin();
    tells(STREAM("00", "00", "00 00"), "0/0-0");
    tells(STREAM("01 " PAGE("[01][00][01][81 66][00]" SAME("81 61")), "01", "01 01"), "1-1:66=61 1/1-1");
    /* Other fields, two; a number for a field; an id that is behind; and a deleted one. */
    tells(STREAM("01 " PAGE(
                     "[02][01][01][81 66][00]" SAME("81 61") "[01][01][00][01][81 78][81 79][06]"
                                                             "[00][02][df ff][02][05][81 61][80][07][08]"),
                 "02", "03 00"),
          "1-1:66=61 3-0:35=61,=37 2/3-0");
    tells(STREAM("02 " PAGE("[01][00][01][81 66][00]" SAME("01")) PAGE("[01][00][01][81 67][00]" SAME("02")),
                 "02", "01 01"),
          "1-1:66=31 1-1:67=32 2/1-1");
    refuses(STREAM("01 " PAGE(""), "00", "00 00"));
    refuses(STREAM("01 " PAGE("[00][00][01][81 66]"), "00", "00 00"));
    refuses(STREAM("01 " PAGE("[00][00][01][81 66][01]"), "00", "00 00")); /* no 0 behind the names */
    refuses(STREAM("01 " PAGE("[00][00][02][81 66][00]"), "00", "00 00"));
    refuses(STREAM("01 " PAGE("[00][00][00][00]"), "00", "00 00"));
    refuses(STREAM("01 " PAGE("[81 61][00][01][81 66][00]"), "00", "00 00"));
    refuses(STREAM("01 " PAGE("[01][00][7f][81 66][00]"), "00", "00 00"));
    refuses(STREAM("01 " PAGE("[02][00][01][81 66][00]" SAME("81 61")), "02", "01 01")); /* one is missing */
    refuses(STREAM("01 " PAGE("[00][00][01][81 66][00]" SAME("81 61")), "00", "01 01")); /* one too many */
    refuses(STREAM("01 " PAGE("[00][01][01][81 66][00]" SAME("81 61")), "00", "01 01"));
    refuses(STREAM("01 " PAGE("[01][00][01][81 66][00][02][00][00][81 61][05]"), "01", "01 01"));
    refuses(STREAM("01 " PAGE("[01][00][01][81 66][00][06][00][00][81 61][04]"), "01", "01 01"));
    refuses(STREAM("01 " PAGE("[01][00][01][81 66][00][02][81 61][00][81 61][04]"), "01", "01 01"));
    refuses(STREAM("01 " PAGE("[01][00][01][81 66][00][00][00][00][00][04]"), "01", "01 01"));
    refuses(STREAM("01 0f 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 L()", "00", "00 00"));
    refuses("0f 01 0f " ID_1_1 " L([01][00][01][81 66][00]" SAME("81 61") ") 01 01 01 00");
    refuses("0f 00 00 00 00 01");
    end();
}
END_TEST

START_TEST(stream_groups)
{
    begin();
    tells("0f 00 00 00 00 01 01 67 01 02 01 " PENDING_1_1 " 03 01 01 63 00 00 00 00 00 00 00 00 01 " ID_1_1,
          "0/0-0 67:1-2[1-1/5/3](63:1-1)");
    tells("13 00 00 07 08 00 00 09 09 05 01 01 67 01 02 05 00 00", "0/7-8 67:1-2[]");
    tells("15 00 00 07 08 00 00 09 09 05 01 00 01 02 81 ff ff ff ff ff ff ff ff 00 02"
          " 01 64 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
          " 01 63 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
          "0/7-8 :1-2[](63:)(64:)");
    refuses("15 00 00 07 08 00 00 09 09 05 01 01 67 01 02 05 00 01 01 64 00 00 00 00 00 00 00 00 00");
    refuses("0f 00 00 00 00 02 01 67 01 02 00 00");
    refuses("0f 00 00 00 00 01 01 67 01 02 05 " PENDING_1_1 " 03");
    end();
}
END_TEST

/* What the versions do not keep. */
static struct rdb_event of_stream, of_group;

static int keep_stream(const struct rdb_event *ev, void *arg)
{
    (void)arg;
    if (ev->item == ITEM_STREAM)
        of_stream = *ev;
    if (ev->item == ITEM_GROUP_STATE)
        of_group = *ev;
    return 0;
}

static void stream_of(const char *body)
{
    const struct payload_options options = {.valkey = false};
    struct bytes b = hex(body), payload = kit_payload(b.ptr, b.len);
    struct payload *p;

    ck_assert_int_eq(payload_new(&options, keep_stream, NULL, &p), 0);
    ck_assert_int_eq(payload_begin(p, payload.len), 0);
    ck_assert_int_eq(payload_feed(p, payload), 0);
    ck_assert_int_eq(payload_end(p), 0);
    payload_free(p);
}

START_TEST(stream_numbers)
{
    stream_of("0f 00 01 02 03 01 01 67 04 05 00 00");
    for (size_t i = 0; i < ARRAY_LEN(of_stream.number); i++)
        ck_assert_uint_eq(of_stream.number[i], i < 3 ? i + 1 : UINT64_MAX);
    ck_assert_uint_eq(of_group.number[0], 4);
    ck_assert_uint_eq(of_group.number[1], 5);
    ck_assert_uint_eq(of_group.number[2], UINT64_MAX);
    stream_of("13 00 01 02 03 04 05 06 07 08 01 01 67 09 0a 0b 00 00");
    for (size_t i = 0; i < ARRAY_LEN(of_stream.number); i++)
        ck_assert_uint_eq(of_stream.number[i], i + 1);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(of_group.number[i], i + 9);
}
END_TEST

/* Names of master fields are all that is kept: up to a ceiling, and again for the next listpack. */
START_TEST(names_have_a_ceiling)
{
    static const char page[] =
        STREAM("02 " PAGE("[01][00][02][83 61 61 61][83 62 62 62][00][02][00][00][01][01][05]")
                   PAGE("[01][00][02][83 61 61 61][83 62 62 62][00][02][00][00][01][01][05]"),
               "02", "01 01");
    size_t names = 2 * (sizeof(size_t) + 3);

    for (size_t max = names - 8; max <= names; max++) {
        struct telling t;
        telling_begin(&t, false, max);
        if (max < names)
            gives_by(&t, page, -E2BIG);
        else
            tells_by(&t, page, "1-1:616161=31,626262=31 1-1:616161=31,626262=31 2/1-1");
        telling_end(&t);
    }
}
END_TEST

/* A page of entries that are "1" each, and one master field with a long name. Returns its length. */
static size_t page_of_name(uint8_t *to, size_t name, size_t entries)
{
    static const uint8_t entry[] = {2, 1, 0, 1, 0, 1, 1, 1, 4, 1}, end[] = {0, 1, 0xff};
    uint8_t *p = to + 6;

    for (unsigned i = 0; i < 3; i++) { /* live, deleted, fields */
        *p++ = i == 1 ? 0 : i == 2 ? 1 : 0xf2;
        for (unsigned j = 0; !i && j < 3; j++)
            *p++ = (uint8_t)(entries >> 8 * j);
        *p++ = i ? 1 : 4;
    }
    *p++ = 0xf0;
    for (unsigned j = 0; j < 4; j++)
        *p++ = (uint8_t)(name >> 8 * j);
    memset(p, 'n', name);
    p += name;
    for (unsigned shift = 21; shift; shift -= 7)
        if ((name + 5) >> (shift - 7))
            *p++ = (uint8_t)(((name + 5) >> (shift - 7) & 127) | (shift == 21 ? 0 : 128));
    memcpy(p, end, 2);
    p += 2;
    for (size_t i = 0; i < entries; i++, p += sizeof(entry))
        memcpy(p, entry, sizeof(entry));
    *p++ = end[2];
    size_t len = (size_t)(p - to);
    for (unsigned j = 0; j < 4; j++)
        to[j] = (uint8_t)(len >> 8 * j);
    to[4] = to[5] = 0xff;
    return len;
}

static int count_names(const struct rdb_event *ev, void *arg)
{
    *(uint64_t *)arg += ev->item == ITEM_FIELD ? ev->part.len : 0;
    return 0;
}

/* A few bytes for each entry must not make it tell a long name without end. */
START_TEST(names_are_told_in_proportion)
{
    enum { NAME = 60000, ENTRIES = 40000, HEAD = 2 + 17 + 5 };
    static uint8_t body[HEAD + NAME + 10 * ENTRIES + 100];
    const struct payload_options options = {.valkey = false};
    struct bytes head = hex("0f 01 10 " ID_1_1 " 80");
    uint64_t names = 0;
    struct payload *p;

    memcpy(body, head.ptr, head.len);
    size_t len = page_of_name(body + HEAD, NAME, ENTRIES);
    for (unsigned i = 0; i < 4; i++)
        body[HEAD - 4 + i] = (uint8_t)(len >> (24 - 8 * i));
    struct bytes tail = hex("80 00 00 9c 40 01 01 00");
    memcpy(body + HEAD + len, tail.ptr, tail.len);
    struct bytes payload = kit_payload(body, HEAD + len + tail.len);
    ck_assert_int_eq(payload_new(&options, count_names, &names, &p), 0);
    ck_assert_int_eq(payload_begin(p, payload.len), 0);
    ck_assert_int_eq(payload_feed(p, payload), -E2BIG);
    ck_assert_uint_ge(names, 16 * MIB);
    ck_assert_uint_le(names, 20 * MIB);
    payload_free(p);
}
END_TEST

UNIT_MAIN("rdb/streams", stream_entries, stream_groups, stream_numbers, names_have_a_ceiling,
          names_are_told_in_proportion)
