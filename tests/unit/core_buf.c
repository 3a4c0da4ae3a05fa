#include "lib/core/buf.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

START_TEST(appends_and_consumes)
{
    struct buf b;

    buf_init(&b, 100);
    ck_assert_uint_eq(buf_bytes(&b).len, 0);
    ck_assert_int_eq(buf_append_str(&b, "hello "), 0);
    ck_assert_int_eq(buf_append(&b, "world", 5), 0);
    ck_assert_int_eq(buf_append(&b, NULL, 0), 0);
    ck_assert(bytes_is(buf_bytes(&b), "hello world"));
    buf_consume(&b, 6);
    ck_assert(bytes_is(buf_bytes(&b), "world"));
    buf_consume(&b, 1000);
    ck_assert_uint_eq(buf_len(&b), 0);
    buf_free(&b);
}
END_TEST

START_TEST(refuses_beyond_its_ceiling)
{
    char ten[10] = "0123456789";
    char *to = NULL;
    struct buf b;

    buf_init(&b, 25);
    ck_assert_int_eq(buf_append(&b, ten, 10), 0);
    ck_assert_int_eq(buf_append(&b, ten, 10), 0);
    ck_assert_int_eq(buf_append(&b, ten, 10), -ENOBUFS);
    ck_assert_int_eq(buf_reserve(&b, SIZE_MAX, &to), -ENOBUFS);
    ck_assert_ptr_null(to);
    ck_assert_int_eq(buf_printf(&b, "%s", "123456"), -ENOBUFS);
    ck_assert(bytes_is(buf_bytes(&b), "01234567890123456789"));
    ck_assert_int_eq(buf_printf(&b, "%s", "12345"), 0);
    ck_assert(bytes_is(buf_bytes(&b), "0123456789012345678912345"));
    buf_consume(&b, 20);
    ck_assert_int_eq(buf_append(&b, ten, 10), 0);
    ck_assert(bytes_is(buf_bytes(&b), "123450123456789"));
    buf_free(&b);
    ck_assert_int_eq(buf_append(&b, ten, 10), 0);
    ck_assert_uint_eq(b.max, 25);
    buf_free(&b);
    buf_init(&b, 0);
    ck_assert_int_eq(buf_reserve(&b, 0, &to), 0);
    ck_assert_int_eq(buf_append(&b, ten, 1), -ENOBUFS);
    buf_free(&b);
}
END_TEST

START_TEST(reserve_queues_nothing)
{
    struct buf b;
    char *to;

    buf_init(&b, 1 * MIB);
    ck_assert_int_eq(buf_reserve(&b, 100000, &to), 0);
    memset(to, 'x', 100000);
    ck_assert_uint_eq(buf_len(&b), 0);
    buf_commit(&b, 3);
    ck_assert(bytes_is(buf_bytes(&b), "xxx"));
    buf_free(&b);
}
END_TEST

/* A queue that never runs empty must neither move nor grow for each byte that passes through. */
START_TEST(a_stream_passes_through_in_order)
{
    unsigned in = 0, out = 0, seed = 1, wrong = 0;
    size_t most = 0;
    struct buf b;

    buf_init(&b, 64 * KIB);
    while (in < 3000000) {
        seed = seed * 1103515245 + 12345;
        size_t n = seed >> 16 & 255;
        char *to;
        if (!buf_reserve(&b, n, &to)) {
            for (size_t i = 0; i < n; i++)
                to[i] = (char)(in++ % 251);
            buf_commit(&b, n);
        }
        struct bytes queued = buf_bytes(&b);
        n = MIN((size_t)(seed >> 8 & 255), queued.len);
        for (size_t i = 0; i < n; i++)
            wrong += queued.ptr[i] != (char)(out++ % 251);
        buf_consume(&b, n);
        most = MAX(most, b.cap);
    }
    ck_assert_uint_le(most, 64 * KIB);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(in - out, buf_len(&b));
    buf_free(&b);
}
END_TEST

START_TEST(printf_grows)
{
    struct buf b;

    buf_init(&b, 64 * KIB);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(buf_printf(&b, "%04d;", i), 0);
    ck_assert_uint_eq(buf_len(&b), 5000);
    ck_assert(!memcmp(b.data + 4990, "0998;0999;", 10));
    buf_free(&b);
}
END_TEST

START_TEST(trim_gives_back)
{
    struct buf b;

    buf_init(&b, 1 * MIB);
    ck_assert_int_eq(buf_append_str(&b, "x"), 0);
    buf_trim(&b, 0);
    ck_assert(bytes_is(buf_bytes(&b), "x"));
    buf_consume(&b, 1);
    buf_trim(&b, b.cap);
    ck_assert_ptr_nonnull(b.data);
    buf_trim(&b, b.cap - 1);
    ck_assert_ptr_null(b.data);
    ck_assert_int_eq(buf_append_str(&b, "again"), 0);
    buf_free(&b);
}
END_TEST

UNIT_MAIN("core/buf", appends_and_consumes, refuses_beyond_its_ceiling, reserve_queues_nothing,
          a_stream_passes_through_in_order, printf_grows, trim_gives_back)
