#include "lib/redis/reply.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct reply_reader *reader(void)
{
    struct reply_reader *r;
    ck_assert_int_eq(reply_reader_new(1000, 100, 20000, &r), 0);
    return r;
}

/* The reply of that text, which is fed in pieces of `step`; NULL when it is refused. */
static struct reply *read_by(struct bytes text, size_t step)
{
    struct reply_reader *r = reader();
    struct reply *reply = NULL;
    int err = -EAGAIN;
    for (size_t at = 0; at < text.len; at += step) {
        ck_assert_int_eq(err, -EAGAIN);
        ck_assert_int_eq(reply_reader_feed(r, bytes_of(text.ptr + at, MIN(step, text.len - at))), 0);
        err = reply_reader_next(r, &reply);
        if (err == -EBADMSG) {
            ck_assert_int_eq(reply_reader_next(r, &reply), -EBADMSG);
            ck_assert_int_eq(reply_reader_feed(r, text), -EBADMSG);
            break;
        }
    }
    ck_assert_int_ne(err, -EAGAIN);
    reply_reader_free(r);
    return err == 0 ? reply : NULL;
}

static void check_all(const struct reply *r)
{
    struct bytes text;
    int64_t n;
    ck_assert_ptr_nonnull(r);
    ck_assert_int_eq(r->type, REPLY_ARRAY);
    ck_assert_uint_eq(r->count, 8);
    ck_assert(reply_is_ok(reply_at(r, 0)));
    ck_assert(reply_is_error(reply_at(r, 1), "ERR"));
    ck_assert(reply_is_error(reply_at(r, 1), NULL));
    ck_assert(!reply_is_error(reply_at(r, 1), "E"));
    ck_assert(!reply_is_error(reply_at(r, 0), NULL));
    ck_assert(!reply_text(reply_at(r, 1), &text));
    ck_assert(reply_integer(reply_at(r, 2), &n) && n == -5);
    ck_assert(reply_text(reply_at(r, 3), &text) && bytes_equal(text, BYTES("a\0\r\nb")));
    ck_assert_int_eq(text.ptr[text.len], '\0');
    ck_assert(reply_integer(reply_at(r, 4), &n) && n == 42);
    ck_assert_int_eq(reply_at(r, 5)->type, REPLY_NIL);
    ck_assert_int_eq(reply_at(r, 6)->type, REPLY_NIL);
    ck_assert_uint_eq(reply_at(r, 7)->count, 3);
    ck_assert_uint_eq(reply_at(reply_at(r, 7), 0)->count, 0);
    ck_assert(reply_text(reply_at(reply_at(r, 7), 1), &text) && text.len == 0);
    ck_assert_ptr_null(reply_at(r, 8));
    ck_assert_ptr_null(reply_at(reply_at(r, 0), 0));
    ck_assert(!reply_integer(NULL, &n) && !reply_text(NULL, &text) && !reply_at(NULL, 0));
}

#define ALL                                                                                                  \
    "*8\r\n+OK\r\n-ERR "                                                                                     \
    "no\r\n:-5\r\n$5\r\na\0\r\nb\r\n$2\r\n42\r\n$-1\r\n*-1\r\n*3\r\n*0\r\n$0\r\n\r\n:1\r\n"

START_TEST(test_types)
{
    static const size_t steps[] = {1, 2, 3, 7, 1000};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct reply *r = read_by(BYTES(ALL), steps[i]);
        check_all(r);
        reply_free(r);
    }
    reply_free(NULL);
}
END_TEST

/* As deep as COMMAND goes since 7.0: a subcommand's key specifications. */
START_TEST(test_depth)
{
    struct reply *r = read_by(BYTES("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"), 1);
    const struct reply *at = r;
    int depth = 0;
    for (; reply_at(at, 0); at = reply_at(at, 0))
        depth++;
    ck_assert_int_eq(depth, 8);
    ck_assert_int_eq(at->integer, 1);
    reply_free(r);
    ck_assert_ptr_null(read_by(BYTES("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"), 1000));
}
END_TEST

START_TEST(test_several)
{
    struct reply_reader *r = reader();
    struct reply *reply;
    ck_assert_int_eq(reply_reader_next(r, &reply), -EAGAIN);
    ck_assert_int_eq(reply_reader_feed(r, BYTES("+a\r\n+b\r\n+")), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(reply_reader_next(r, &reply), 0);
        ck_assert_uint_eq(reply_reader_left(r), i ? 1 : 5);
        ck_assert_int_eq(reply->text.ptr[0], 'a' + i);
        reply_free(reply);
    }
    ck_assert_int_eq(reply_reader_next(r, &reply), -EAGAIN);
    reply_reader_free(r);
    reply_reader_free(NULL);
}
END_TEST

START_TEST(test_refused)
{
    static const char *const bad[] = {
        "x\r\n",
        ":x\r\n",
        "$x\r\n",
        "*x\r\n",
        "$-2\r\n",
        "*-2\r\n",
        "*101\r\n",
        "*2147483647\r\n",
        "*4294967296\r\n",
        "*9223372036854775807\r\n",
        "$9999999999999999999999\r\n",
        /* RESP3, which nobody asked for */
        "_\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "(123\r\n",
        "=5\r\ntxt:a\r\n",
        "%1\r\n+a\r\n+b\r\n",
        "~1\r\n+a\r\n",
        ">1\r\n+a\r\n",
        "*2\r\n+a\r\n_\r\n",
        /* deeper than anything that is asked for */
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        for (size_t step = 1; step < 100; step += 50) {
            struct reply *r = read_by(bytes_str(bad[i]), step);
            ck_assert_msg(!r, "%s", bad[i]);
        }
    }
}
END_TEST

/* Fed with `piece` until it is refused. Gives how many bytes that took. */
static size_t swallows(const char *start, const char *piece)
{
    struct reply_reader *r = reader();
    struct reply *reply = NULL;
    size_t fed = 0;
    ck_assert_int_eq(reply_reader_feed(r, bytes_str(start)), 0);
    while (reply_reader_next(r, &reply) == -EAGAIN) {
        ck_assert_int_eq(reply_reader_feed(r, bytes_str(piece)), 0);
        fed += strlen(piece);
        ck_assert_uint_lt(fed, 100000);
    }
    ck_assert_ptr_null(reply);
    reply_reader_free(r);
    return fed;
}

START_TEST(test_ceilings)
{
    ck_assert_uint_le(swallows("$2000\r\n", "x"), 1100);
    ck_assert_uint_le(swallows("$9223372036854775000\r\n", "x"), 1100);
    ck_assert_uint_le(swallows("+", "x"), 1100);
    ck_assert_uint_le(swallows(":", "1"), 1100);
    ck_assert_uint_le(swallows("*", "1"), 1100);
    ck_assert_uint_le(swallows("*100\r\n", "$900\r\n"), 1100);
    char element[1000];
    snprintf(element, sizeof(element), "$900\r\n%0900d\r\n", 0);
    ck_assert_uint_le(swallows("*100\r\n", element), 23 * strlen(element)); /* 20000 in all */
    /* many small arrays are as much */
    ck_assert_uint_le(swallows("*100\r\n", "*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"), 2000);
}
END_TEST

START_TEST(test_total_is_of_one_reply)
{
    struct reply_reader *r = reader();
    struct reply *reply;
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(reply_reader_feed(r, BYTES("*2\r\n$5\r\nhello\r\n$5\r\nhello\r\n")), 0);
        ck_assert_int_eq(reply_reader_next(r, &reply), 0);
        reply_free(reply);
    }
    reply_reader_free(r);
}
END_TEST

START_TEST(test_free_in_the_middle)
{
    for (size_t len = 1; len < sizeof(ALL) - 1; len++) {
        struct reply_reader *r = reader();
        struct reply *reply;
        ck_assert_int_eq(reply_reader_feed(r, bytes_of(ALL, len)), 0);
        ck_assert_int_eq(reply_reader_next(r, &reply), -EAGAIN);
        reply_reader_free(r);
    }
}
END_TEST

START_TEST(test_request)
{
    struct buf out;
    const struct bytes argv[] = {BYTES("SET"), BYTES("k\r\n"), {NULL, 0}};
    const char *want = "*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n";
    buf_init(&out, 40);
    ck_assert_int_eq(request_append(&out, 3, argv), 0);
    ck_assert(bytes_is(buf_bytes(&out), want));
    ck_assert_int_eq(request_append(&out, 3, argv), -ENOBUFS);
    ck_assert(bytes_is(buf_bytes(&out), want));
    const struct bytes huge[] = {{"x", SIZE_MAX - 10}, {"x", SIZE_MAX - 10}};
    ck_assert_int_eq(request_append(&out, 2, huge), -ENOBUFS);
    buf_free(&out);
}
END_TEST

UNIT_MAIN("redis/reply", test_types, test_depth, test_several, test_refused, test_ceilings,
          test_total_is_of_one_reply, test_free_in_the_middle, test_request)
