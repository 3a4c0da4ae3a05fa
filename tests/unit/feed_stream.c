#include "lib/feed/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/buf.h"
#include "tests/unit/unit.h"

#define BASE 1000

/* A stream, and what it reads as: of each argument its text, ':' and the length where that is not all; behind
 * the last of a command its offset from BASE. */
struct sample {
    struct bytes in;
    const char *reads;
    int end;
};

#define SAMPLE(in, reads, end) {BYTES_INIT(in), reads, end}
#define BYTES_INIT(literal)    {(literal), sizeof(literal) - 1}

static const struct sample samples[] = {
    SAMPLE("", "", -EAGAIN),
    SAMPLE("*1\r\n$4\r\nPING\r\n", "PING @14\n", -EAGAIN),
    SAMPLE("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n",
           "SELECT 3 @23\nSET k  @49\n", -EAGAIN),
    SAMPLE("\n*1\r\n$4\r\nPING\r\n\n\n*1\r\n$4\r\nPING\r\n\n", "PING @15\nPING @31\n", -EAGAIN),
    SAMPLE("*2\r\n$3\r\nDEL\r\n$5\r\na\r\n\nb\r\n", "DEL a\r\n\nb @24\n", -EAGAIN),
    /* cut off: what was complete is there */
    SAMPLE("*2\r\n$3\r\nDEL\r\n$5\r\na", "DEL ", -EAGAIN),
    SAMPLE("*2147483647\r\n$3\r\nDEL\r\n$1\r\na\r\n", "DEL a ", -EAGAIN),
    SAMPLE("*2\r\n$3\r\nSET\r\n$9223372036854775805\r\nabc", "SET ", -EAGAIN),
    /* no commands */
    SAMPLE("\r\n", "", -EBADMSG),
    SAMPLE("PING\r\n", "", -EBADMSG),
    SAMPLE("+OK\r\n", "", -EBADMSG),
    SAMPLE("-ERR no\r\n", "", -EBADMSG),
    SAMPLE(":1\r\n", "", -EBADMSG),
    SAMPLE("$4\r\nPING\r\n", "", -EBADMSG),
    SAMPLE("$70\r\n", "", -EBADMSG),
    SAMPLE("*0\r\n", "", -EBADMSG),
    SAMPLE("*-1\r\n", "", -EBADMSG),
    SAMPLE("*2147483648\r\n", "", -EBADMSG),
    SAMPLE("*1\r\n*1\r\n$4\r\nPING\r\n", "", -EBADMSG),
    SAMPLE("*2\r\n$3\r\nDEL\r\n:1\r\n", "DEL ", -EBADMSG),
    SAMPLE("*2\r\n$3\r\nDEL\r\n$-1\r\n", "DEL ", -EBADMSG),
    SAMPLE("*2\r\n$3\r\nDEL\r\n*0\r\n", "DEL ", -EBADMSG),
    SAMPLE("*2\r\n$3\r\nDEL\r\n\n$1\r\na\r\n", "DEL ", -EBADMSG),
    SAMPLE("*2\r\n$3\r\nDEL\r\n$9223372036854775807\r\n", "DEL ", -EBADMSG),
    SAMPLE("*1\r\n$4\r\nPINGxx", "", -EBADMSG),
};

static void trace(struct buf *out, const struct stream_arg *a)
{
    int e = buf_append(out, a->text.ptr, a->text.len);
    if (!e && !stream_arg_is_whole(a))
        e = buf_printf(out, ":%llu", (unsigned long long)a->length);
    if (!e && stream_arg_is_last(a))
        e = buf_printf(out, " @%llu\n", (unsigned long long)a->offset - BASE);
    else if (!e)
        e = buf_append_str(out, " ");
    ck_assert_int_eq(e, 0);
}

/* Feeds up to `to`, and returns what is left of it. The input is copied to where nothing can be read behind
 * it. */
static int feed(struct stream *s, struct bytes part, size_t *ret_left, struct buf *out)
{
    char *copy = malloc(part.len + 1);
    struct bytes in = {copy, part.len};
    struct stream_arg a;
    int e;

    ck_assert_ptr_nonnull(copy);
    if (part.len)
        memcpy(copy, part.ptr, part.len);
    while ((e = stream_next(s, &in, &a)) == 0)
        trace(out, &a);
    *ret_left = in.len;
    free(copy);
    return e;
}

/* In pieces of `step` bytes, the first of `first`. */
static int read_in_steps(struct bytes in, size_t first, size_t step, bool wanted, struct buf *out)
{
    struct stream s;
    size_t from = 0, to = 0, left = 0;
    int e = -EAGAIN;

    stream_init(&s, BASE);
    stream_want(&s, wanted);
    while (to < in.len && e == -EAGAIN) {
        to += MIN(to ? step : first, in.len - to);
        e = feed(&s, bytes_of(in.ptr + from, to - from), &left, out);
        from = to - left;
        ck_assert_uint_eq(s.offset, BASE + from);
    }
    return e;
}

static void check_reads(struct bytes in, size_t first, size_t step, bool wanted, const char *reads, int end)
{
    struct buf out;
    buf_init(&out, 16 * MIB);
    ck_assert_int_eq(read_in_steps(in, first, step, wanted, &out), end);
    ck_assert_int_eq(buf_append(&out, "", 1), 0);
    ck_assert_str_eq(buf_bytes(&out).ptr, reads);
    buf_free(&out);
}

START_TEST(test_cut_anywhere)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        const struct sample *s = &samples[i];
        for (size_t cut = 1; cut < s->in.len; cut++)
            check_reads(s->in, cut, SIZE_MAX, true, s->reads, s->end);
        check_reads(s->in, 1, 1, true, s->reads, s->end);
        check_reads(s->in, 1, 1, false, s->reads, s->end);
    }
}
END_TEST

/* A SET of a value of n bytes, and a PING. */
static void append_set(struct buf *b, size_t n)
{
    ck_assert_int_eq(buf_printf(b, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", n), 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(buf_append(b, &"0123456789"[i % 10], 1), 0);
    ck_assert_int_eq(buf_append_str(b, "\r\n*1\r\n$4\r\nPING\r\n"), 0);
}

START_TEST(test_long_argument)
{
    static const char begins[] = "0123456789012345678901234567890123456789012345678901234567890123";
    char reads[256];
    struct buf in;

    buf_init(&in, 64 * KIB);
    append_set(&in, STREAM_WHOLE_MAX + 1);
    snprintf(reads, sizeof(reads), "SET k %s:%zu @%zu\nPING @%zu\n", begins, STREAM_WHOLE_MAX + 1,
             buf_len(&in) - 14, buf_len(&in));
    check_reads(buf_bytes(&in), SIZE_MAX, SIZE_MAX, false, reads, -EAGAIN);
    for (size_t step = 1; step < 200; step += 7)
        check_reads(buf_bytes(&in), step, step, false, reads, -EAGAIN);
    for (size_t cut = 1; cut < buf_len(&in); cut++)
        check_reads(buf_bytes(&in), cut, SIZE_MAX, false, reads, -EAGAIN);
    buf_free(&in);
}
END_TEST

/* Wanted or not is said between two arguments. */
START_TEST(test_want)
{
    struct buf in;
    struct stream s;
    struct stream_arg a;

    buf_init(&in, 64 * KIB);
    append_set(&in, STREAM_WHOLE_MAX + 1);
    struct bytes left = buf_bytes(&in);
    stream_init(&s, 0);
    ck_assert(stream_at_boundary(&s));
    ck_assert_int_eq(stream_next(&s, &left, &a), 0);
    ck_assert(!stream_at_boundary(&s));
    stream_want(&s, false);
    ck_assert_int_eq(stream_next(&s, &left, &a), 0);
    stream_want(&s, true);
    ck_assert_int_eq(stream_next(&s, &left, &a), 0);
    ck_assert(stream_arg_is_whole(&a) && stream_arg_is_last(&a) && stream_at_boundary(&s));
    ck_assert_uint_eq(a.text.len, STREAM_WHOLE_MAX + 1);
    buf_free(&in);
}
END_TEST

/* What is wanted is whole up to its ceiling, and then fits into the input that was promised to be enough. */
START_TEST(test_wanted_ceiling)
{
    struct buf in;
    struct stream s;
    struct stream_arg a;

    buf_init(&in, 4 * MIB);
    append_set(&in, STREAM_WANTED_MAX);
    append_set(&in, STREAM_WANTED_MAX + 1);
    struct bytes left = buf_bytes(&in);
    stream_init(&s, 0);
    for (int i = 0; i < 7; i++) {
        struct bytes window = {left.ptr, MIN(left.len, STREAM_INPUT_MAX)};
        ck_assert_int_eq(stream_next(&s, &window, &a), 0);
        left.len -= (size_t)(window.ptr - left.ptr);
        left.ptr = window.ptr;
        if (a.index == 2 && i < 4)
            ck_assert_uint_eq(a.text.len, STREAM_WANTED_MAX);
    }
    ck_assert_uint_eq(a.text.len, STREAM_PREFIX);
    ck_assert_uint_eq(a.length, STREAM_WANTED_MAX + 1);
    buf_free(&in);
}
END_TEST

/* 4 GiB cost nothing, and count. */
START_TEST(test_huge)
{
    static char block[MIB];
    struct stream s;
    struct stream_arg a;
    struct bytes in = BYTES("*2\r\n$3\r\nDEL\r\n$4294967296\r\n");
    uint64_t head = in.len;

    stream_init(&s, 0);
    ck_assert_int_eq(stream_next(&s, &in, &a), 0);
    ck_assert_int_eq(stream_next(&s, &in, &a), -EAGAIN);
    for (int i = 0; i < 4096; i++) {
        size_t held = i ? 1 : 0; /* the last byte waits for what follows it */
        in = bytes_of(block, sizeof(block) - 1 + held);
        ck_assert_int_eq(stream_next(&s, &in, &a), -EAGAIN);
        ck_assert_uint_le(in.len, 1);
    }
    uint64_t missing = head + 4294967296 - s.offset;
    char rest[8192 + 2] = {0};
    ck_assert_uint_le(missing, 8192);
    memcpy(rest + missing, "\r\n", 2);
    in = bytes_of(rest, (size_t)missing + 2);
    ck_assert_int_eq(stream_next(&s, &in, &a), 0);
    ck_assert_uint_eq(a.length, 4294967296);
    ck_assert_uint_eq(a.text.len, STREAM_PREFIX);
    ck_assert_uint_eq(a.offset, head + 4294967296 + 2);
}
END_TEST

START_TEST(test_bad_is_for_good)
{
    struct stream s;
    struct stream_arg a;
    struct bytes in = BYTES("+OK\r\n"), good = BYTES("*1\r\n$4\r\nPING\r\n");

    stream_init(&s, 0);
    ck_assert_int_eq(stream_next(&s, &in, &a), -EBADMSG);
    ck_assert_int_eq(stream_next(&s, &good, &a), -EBADMSG);
}
END_TEST

/* What is taken whole, and what of the key it tells: "key=value@expiry". */
static const struct {
    const char *in, *tells; /* NULL: it is taken argument by argument */
} sets[] = {
    {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nvw\r\n", "k=vw@0"},
    {"*3\r\n$3\r\nset\r\n$0\r\n\r\n$0\r\n\r\n", "=@0"},
    {"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nPXAT\r\n$13\r\n1795710555662\r\n", "k=v@1795710555662"},
    {"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nNX\r\n", "k=v@0"},
    {"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nxx\r\n", "k=v@0"},
    {"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$7\r\nKEEPTTL\r\n", NULL},
    {"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$3\r\nGET\r\n", NULL},
    {"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nEX\r\n$3\r\n100\r\n", NULL},
    {"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nPX\r\n$6\r\n100000\r\n", NULL},
    {"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nIFEQ\r\n$1\r\nw\r\n", NULL},
    {"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nPXAT\r\n$1\r\n0\r\n", NULL},
    {"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nPXAT\r\n$1\r\nx\r\n", NULL},
    {"*6\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nPXAT\r\n$1\r\n9\r\n$2\r\nNX\r\n", NULL},
    {"*2\r\n$3\r\nSET\r\n$1\r\nk\r\n", NULL},
    {"*3\r\n$3\r\nSEX\r\n$1\r\nk\r\n$1\r\nv\r\n", NULL},
    {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$-1\r\n", NULL},
    {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n:1\r\n", NULL},
    {"*3\r\n$4\r\nMSET\r\n$1\r\nk\r\n$1\r\nv\r\n", NULL},
};

static void expect_set(const char *in, const char *tells)
{
    struct bytes rest = bytes_str(in);
    struct stream_set set;
    struct stream s;
    char text[64];

    stream_init(&s, BASE);
    bool taken = stream_take_set(&s, &rest, &set);
    ck_assert_msg(taken == (tells != NULL), "%s", in);
    ck_assert_uint_eq(rest.len, taken ? 0 : strlen(in));
    ck_assert_uint_eq(s.offset, BASE + (taken ? strlen(in) : 0));
    if (!taken)
        return;
    snprintf(text, sizeof(text), "%.*s=%.*s@%lld", (int)set.key.len, set.key.ptr, (int)set.value.len,
             set.value.ptr, (long long)set.expire_at_ms);
    ck_assert_str_eq(text, tells);
}

/* Cut anywhere, nothing of it is taken. */
static void expect_not_in_part(const char *in)
{
    struct stream_set set;
    struct stream s;

    stream_init(&s, BASE);
    for (size_t len = 0; len < strlen(in); len++) {
        char *copy = malloc(len + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, in, len);
        struct bytes rest = {copy, len};
        ck_assert(!stream_take_set(&s, &rest, &set));
        ck_assert_uint_eq(rest.len, len);
        free(copy);
    }
    ck_assert_uint_eq(s.offset, BASE);
}

START_TEST(test_set)
{
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        expect_set(sets[i].in, sets[i].tells);
        expect_not_in_part(sets[i].in);
    }
}
END_TEST

static bool takes_set_of(size_t length, struct stream *s)
{
    char *value = calloc(1, length + 1);
    struct stream_set set;
    struct buf in;

    ck_assert_ptr_nonnull(value);
    buf_init(&in, MIB);
    ck_assert_int_eq(buf_printf(&in, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", length), 0);
    ck_assert_int_eq(buf_append(&in, value, length), 0);
    ck_assert_int_eq(buf_append_str(&in, "\r\n"), 0);
    struct bytes rest = buf_bytes(&in);
    bool taken = stream_take_set(s, &rest, &set);
    buf_free(&in);
    free(value);
    return taken;
}

START_TEST(test_set_in_its_place)
{
    struct bytes in = BYTES("*2\r\n$3\r\nDEL\r\n"), set = BYTES("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
    struct stream_set what;
    struct stream_arg a;
    struct stream s;

    stream_init(&s, 0);
    ck_assert(takes_set_of(STREAM_SET_MAX - 64, &s));
    ck_assert(!takes_set_of(STREAM_SET_MAX, &s));
    ck_assert_int_eq(stream_next(&s, &in, &a), 0);
    ck_assert(!stream_take_set(&s, &set, &what)); /* within a command */
}
END_TEST

UNIT_MAIN("feed/stream", test_set, test_set_in_its_place, test_cut_anywhere, test_long_argument, test_want,
          test_wanted_ceiling, test_huge, test_bad_is_for_good)
