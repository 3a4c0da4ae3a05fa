#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/redis/encode.h"
#include "lib/core/resp.h"
#include "tests/unit/unit.h"

static struct buf out;

static void set_up(size_t max)
{
    buf_init(&out, max);
}

static void tear_down(void)
{
    buf_free(&out);
}

/* What was written since, byte for byte. */
static void expect(struct bytes wanted)
{
    struct bytes got = buf_bytes(&out);
    char a[512], b[512];
    ck_assert_msg(bytes_equal(got, wanted), "%s\ninstead of %s", bytes_escape(got, a, sizeof(a)),
                  bytes_escape(wanted, b, sizeof(b)));
    buf_consume(&out, got.len);
}

START_TEST(test_select)
{
    set_up(MIB);
    ck_assert_int_eq(encode_select(&out, 0), 0);
    expect(BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"));
    ck_assert_int_eq(encode_select(&out, 15), 0);
    expect(BYTES("*2\r\n$6\r\nSELECT\r\n$2\r\n15\r\n"));
    ck_assert_int_eq(encode_select(&out, INT32_MAX), 0);
    expect(BYTES("*2\r\n$6\r\nSELECT\r\n$10\r\n2147483647\r\n"));
    tear_down();
}
END_TEST

START_TEST(test_one_key)
{
    set_up(MIB);
    ck_assert_int_eq(encode_unlink(&out, BYTES("some key")), 0);
    expect(BYTES("*2\r\n$6\r\nUNLINK\r\n$8\r\nsome key\r\n"));
    ck_assert_int_eq(encode_exists(&out, BYTES("")), 0);
    expect(BYTES("*2\r\n$6\r\nEXISTS\r\n$0\r\n\r\n"));
    ck_assert_int_eq(encode_unlink(&out, BYTES("\0\r\n\xff")), 0);
    expect(BYTES("*2\r\n$6\r\nUNLINK\r\n$4\r\n\0\r\n\xff\r\n"));
    tear_down();
}
END_TEST

START_TEST(test_appends)
{
    set_up(MIB);
    ck_assert_int_eq(encode_select(&out, 1), 0);
    ck_assert_int_eq(encode_unlink(&out, BYTES("a")), 0);
    expect(BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n*2\r\n$6\r\nUNLINK\r\n$1\r\na\r\n"));
    tear_down();
}
END_TEST

START_TEST(test_restore)
{
    set_up(MIB);
    ck_assert_int_eq(encode_restore(&out, BYTES("k\0y"), 0, true, BYTES("\0pay\r\n")), 0);
    expect(BYTES("*5\r\n$7\r\nRESTORE\r\n$3\r\nk\0y\r\n$1\r\n0\r\n$6\r\n\0pay\r\n\r\n$7\r\nREPLACE\r\n"));
    ck_assert_int_eq(encode_restore(&out, BYTES("k"), 1700000000123, true, BYTES("pay")), 0);
    expect(BYTES("*6\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$13\r\n1700000000123\r\n$3\r\npay\r\n"
                 "$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n"));
    ck_assert_int_eq(encode_restore(&out, BYTES("k"), INT64_MAX, true, BYTES("")), 0);
    expect(BYTES("*6\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$19\r\n9223372036854775807\r\n$0\r\n\r\n"
                 "$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n"));
    tear_down();
}
END_TEST

/* In parts it is the same request. */
START_TEST(test_restore_in_parts)
{
    static const int64_t expiries[] = {0, 1, 1700000000123};
    set_up(MIB);
    for (size_t i = 0; i < ARRAY_LEN(expiries); i++) {
        struct buf whole;
        buf_init(&whole, MIB);
        ck_assert_int_eq(encode_restore(&whole, BYTES("key"), expiries[i], true, BYTES("payload")), 0);
        ck_assert_int_eq(encode_restore_head(&out, BYTES("key"), expiries[i], true, 7), 0);
        ck_assert_int_eq(buf_append_str(&out, "pay"), 0);
        ck_assert_int_eq(buf_append_str(&out, "load"), 0);
        ck_assert_int_eq(encode_restore_tail(&out, expiries[i], true), 0);
        expect(buf_bytes(&whole));
        buf_free(&whole);
    }
    ck_assert_int_eq(encode_restore_head(&out, BYTES("k"), 0, true, UINT32_MAX), 0);
    expect(BYTES("*5\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$1\r\n0\r\n$4294967295\r\n"));
    ck_assert_int_eq(encode_restore_head(&out, BYTES("k"), INT64_MAX, true, UINT64_MAX), 0);
    expect(BYTES("*6\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$19\r\n9223372036854775807\r\n"
                 "$18446744073709551615\r\n"));
    tear_down();
}
END_TEST

START_TEST(test_set)
{
    static const int64_t expiries[] = {0, 1, INT64_MAX};
    struct buf whole;

    set_up(MIB);
    ck_assert_int_eq(encode_set(&out, BYTES("k\0y"), 0, true, BYTES("\0v\r\n")), 0);
    expect(BYTES("*3\r\n$3\r\nSET\r\n$3\r\nk\0y\r\n$4\r\n\0v\r\n\r\n"));
    ck_assert_int_eq(encode_set(&out, BYTES("k"), 1700000000123, false, BYTES("")), 0);
    expect(BYTES("*6\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n$2\r\nNX\r\n$4\r\nPXAT\r\n"
                 "$13\r\n1700000000123\r\n"));
    for (size_t i = 0; i < 2 * ARRAY_LEN(expiries); i++) {
        int64_t at = expiries[i / 2];
        buf_init(&whole, MIB);
        ck_assert_int_eq(encode_set(&whole, BYTES("key"), at, i % 2, BYTES("payload")), 0);
        ck_assert_int_eq(encode_set_head(&out, BYTES("key"), at, i % 2, 7), 0);
        ck_assert_int_eq(buf_append_str(&out, "payload"), 0);
        ck_assert_int_eq(encode_set_tail(&out, at, i % 2), 0);
        expect(buf_bytes(&whole));
        buf_free(&whole);
    }
    tear_down();
}
END_TEST

START_TEST(test_reads)
{
    set_up(MIB);
    ck_assert_int_eq(encode_read(&out, BYTES("\nk")), 0);
    expect(BYTES("*2\r\n$11\r\nPEXPIRETIME\r\n$2\r\n\nk\r\n*2\r\n$4\r\nDUMP\r\n$2\r\n\nk\r\n"));
    ck_assert_int_eq(encode_read_multi(&out, BYTES("k")), 0);
    expect(BYTES("*1\r\n$5\r\nMULTI\r\n*2\r\n$11\r\nPEXPIRETIME\r\n$1\r\nk\r\n*2\r\n$4\r\nDUMP\r\n$1\r\nk\r\n"
                 "*1\r\n$4\r\nEXEC\r\n"));
    ck_assert_int_eq(encode_read_old(&out, BYTES("k")), 0);
    expect(
        BYTES("*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nTIME\r\n*2\r\n$4\r\nPTTL\r\n$1\r\nk\r\n*1\r\n$4\r\nTIME\r\n"
              "*2\r\n$4\r\nDUMP\r\n$1\r\nk\r\n*1\r\n$4\r\nEXEC\r\n"));
    ck_assert_int_eq(encode_get(&out, BYTES("\nk")), 0);
    expect(BYTES("*2\r\n$11\r\nPEXPIRETIME\r\n$2\r\n\nk\r\n*2\r\n$3\r\nGET\r\n$2\r\n\nk\r\n"));
    ck_assert_int_eq(encode_get_multi(&out, BYTES("k")), 0);
    expect(BYTES("*1\r\n$5\r\nMULTI\r\n*2\r\n$11\r\nPEXPIRETIME\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
                 "*1\r\n$4\r\nEXEC\r\n"));
    ck_assert_int_eq(encode_get_old(&out, BYTES("k")), 0);
    expect(
        BYTES("*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nTIME\r\n*2\r\n$4\r\nPTTL\r\n$1\r\nk\r\n*1\r\n$4\r\nTIME\r\n"
              "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nEXEC\r\n"));
    tear_down();
}
END_TEST

/* Numbers of every count of digits, and names of every short length. */
START_TEST(test_numbers_and_names)
{
    char wanted[128], bytes[40];
    uint64_t n = 0;

    set_up(MIB);
    for (unsigned i = 0; i < 1200; i++) {
        n = i < 1100 ? i : n * 5 / 2;
        snprintf(wanted, sizeof(wanted), "*5\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$1\r\n0\r\n$%llu\r\n",
                 (unsigned long long)n);
        ck_assert_int_eq(encode_restore_head(&out, BYTES("k"), 0, true, n), 0);
        expect(bytes_str(wanted));
    }
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)('a' + i % 26);
        snprintf(wanted, sizeof(wanted), "*2\r\n$6\r\nUNLINK\r\n$%zu\r\n%.*s\r\n", len, (int)len, bytes);
        ck_assert_int_eq(encode_unlink(&out, bytes_of(bytes, len)), 0);
        expect(bytes_str(wanted));
    }
    tear_down();
}
END_TEST

START_TEST(test_together)
{
    const struct bytes keys[] = {BYTES("a"), BYTES(""), BYTES("a longer key")};

    set_up(MIB);
    ck_assert_int_eq(encode_get_together(&out, ARRAY_LEN(keys), keys), 0);
    expect(BYTES("*2\r\n$11\r\nPEXPIRETIME\r\n$1\r\na\r\n*2\r\n$11\r\nPEXPIRETIME\r\n$0\r\n\r\n"
                 "*2\r\n$11\r\nPEXPIRETIME\r\n$12\r\na longer key\r\n"
                 "*4\r\n$4\r\nMGET\r\n$1\r\na\r\n$0\r\n\r\n$12\r\na longer key\r\n"));
    ck_assert_int_eq(encode_pair(&out, BYTES("k"), BYTES("some value")), 0);
    expect(BYTES("$1\r\nk\r\n$10\r\nsome value\r\n"));
    tear_down();
}
END_TEST

/* Each of them, with a key and a payload of its own lengths. */

static int encode_any(unsigned which, struct bytes key, struct bytes payload)
{
    switch (which) {
    case 0:
        return encode_unlink(&out, key);
    case 1:
        return encode_exists(&out, key);
    case 2:
        return encode_restore(&out, key, INT64_MAX, true, payload);
    case 3:
        return encode_restore_head(&out, key, INT64_MAX, true, payload.len);
    case 4:
        return encode_read(&out, key);
    case 5:
        return encode_read_multi(&out, key);
    case 6:
        return encode_read_old(&out, key);
    case 7:
        return encode_get_old(&out, key);
    case 8:
        return encode_set(&out, key, INT64_MAX, false, payload);
    case 9:
        return encode_set_head(&out, key, INT64_MAX, false, payload.len);
    case 10:
        return encode_get_together(&out, 2, (const struct bytes[]){key, payload});
    case 11:
        return encode_select(&out, INT32_MAX);
    case 12:
        return encode_set_tail(&out, INT64_MAX, false);
    default:
        return encode_restore_tail(&out, INT64_MAX, true);
    }
}
#define KINDS 14

/* All of it is a request, whatever the lengths: the sanitizers see to it that no byte goes beyond. */
START_TEST(test_lengths)
{
    static const size_t lengths[] = {0, 1, 9, 10, 99, 100, 999, 1000, 9999, 10000, 65536, KEY_NAME_MAX};
    static char bytes[KEY_NAME_MAX];
    struct bytes argv[8];
    size_t argc;
    char scratch[8];

    memset(bytes, 'x', sizeof(bytes));
    for (unsigned which = 0; which < KINDS - 2; which++) {
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            struct bytes b = bytes_of(bytes, lengths[i]);
            set_up(16 * MIB);
            ck_assert_int_eq(encode_any(which, b, b), 0);
            if (which == 9)
                ck_assert_int_eq(buf_append(&out, b.ptr, b.len) | encode_set_tail(&out, INT64_MAX, false), 0);
            if (which == 3)
                ck_assert_int_eq(buf_append(&out, b.ptr, b.len) | encode_restore_tail(&out, INT64_MAX, true),
                                 0);
            struct bytes in = buf_bytes(&out);
            while (in.len)
                ck_assert_int_eq(resp_request(&in, argv, ARRAY_LEN(argv), scratch, sizeof(scratch), &argc),
                                 0);
            tear_down();
        }
    }
}
END_TEST

/* Whole, or not at all: at every ceiling. */
START_TEST(test_ceilings)
{
    for (unsigned which = 0; which < KINDS; which++) {
        bool fitted = false;
        for (size_t max = 0; max < 600; max++) {
            set_up(max);
            int err = encode_any(which, BYTES("a key"), BYTES("a payload"));
            ck_assert(err == (fitted ? 0 : -ENOBUFS) || (!fitted && !err));
            fitted |= err == 0;
            ck_assert((buf_len(&out) == 0) == (err != 0));
            tear_down();
        }
        ck_assert(fitted);
    }
}
END_TEST

START_TEST(test_refused_leaves_what_is_there)
{
    static char bytes[4096];
    set_up(4096);
    ck_assert_int_eq(encode_unlink(&out, BYTES("a")), 0);
    for (unsigned which = 0; which < KINDS - 3; which++)
        if (which != 3 && which != 9)
            ck_assert_int_eq(encode_any(which, bytes_of(bytes, sizeof(bytes)), BYTES("")), -ENOBUFS);
    ck_assert_int_eq(encode_restore(&out, BYTES("k"), 0, true, bytes_of(bytes, sizeof(bytes))), -ENOBUFS);
    expect(BYTES("*2\r\n$6\r\nUNLINK\r\n$1\r\na\r\n"));
    tear_down();
}
END_TEST

UNIT_MAIN("redis/encode", test_select, test_one_key, test_appends, test_restore, test_restore_in_parts,
          test_set, test_reads, test_numbers_and_names, test_together, test_lengths, test_ceilings,
          test_refused_leaves_what_is_there)
