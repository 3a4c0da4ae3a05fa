#include "lib/core/resp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/buf.h"
#include "tests/unit/unit.h"

#define WHOLE     8
#define BULK_MAX  1000
#define ARRAY_MAX 100

/* A stream and what it reads as. Each token: depth, type, value; '.' behind the last of a reply. Parts are
 * joined, for they depend on how the input was cut. */
struct stream {
    struct bytes in;
    const char *tokens;
    int end; /* -EAGAIN, or -EBADMSG */
};

#define STREAM(in, tokens, end) {BYTES_INIT(in), tokens, end}
#define BYTES_INIT(literal)     {(literal), sizeof(literal) - 1}

static const struct stream streams[] = {
    STREAM("+OK\r\n", "0+OK.", -EAGAIN),
    STREAM("+\r\n", "0+.", -EAGAIN),
    STREAM("-ERR no\r\n+a\r\n", "0-ERR no. 0+a.", -EAGAIN),
    STREAM(":0\r\n:-1\r\n:42\r\n", "0:0. 0:-1. 0:42.", -EAGAIN),
    STREAM(":9223372036854775807\r\n:-9223372036854775808\r\n",
           "0:9223372036854775807. 0:-9223372036854775808.", -EAGAIN),
    STREAM("$-1\r\n*-1\r\n", "0_. 0_.", -EAGAIN),
    STREAM("$0\r\n\r\n", "0$0:.", -EAGAIN),
    STREAM("$3\r\na\r\n\r\n", "0$3:a\r\n.", -EAGAIN),
    STREAM("$8\r\n12345678\r\n", "0$8:12345678.", -EAGAIN),
    STREAM("$9\r\n123456789\r\n+x\r\n", "0<9:123456789>. 0+x.", -EAGAIN),
    STREAM("*0\r\n", "0*0.", -EAGAIN),
    STREAM("*2\r\n:1\r\n$1\r\nx\r\n", "0*2 1:1 1$1:x.", -EAGAIN),
    STREAM("*2\r\n*0\r\n*1\r\n*-1\r\n+y\r\n", "0*2 1*0 1*1 2_. 0+y.", -EAGAIN),
    STREAM("*3\r\n*1\r\n:1\r\n$10\r\n0123456789\r\n*1\r\n*2\r\n:1\r\n$12\r\n0123456789\r\n\r\n",
           "0*3 1*1 2:1 1<10:0123456789> 1*1 2*2 3:1 3<12:0123456789\r\n>.", -EAGAIN),
    STREAM("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:8\r\n", "0*1 1*1 2*1 3*1 4*1 5*1 6*1 7*1 8:8.",
           -EAGAIN),
    STREAM("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n", "0*1 1*1 2*1 3*1 4*1 5*1 6*1 7*1 8*0.",
           -EAGAIN),
    /* cut off: all that was complete is there */
    STREAM("*2\r\n:1\r\n", "0*2 1:1", -EAGAIN),
    STREAM("$9\r\n12345678", "0<9:12345678", -EAGAIN),
    STREAM("$9\r\n123456789\r", "0<9:12345678", -EAGAIN),
    STREAM("$8\r\n12345678\r", "", -EAGAIN),
    STREAM("+OK\r", "", -EAGAIN),
    STREAM(":", "", -EAGAIN),
    STREAM(":-", "", -EAGAIN),
    STREAM("$1000\r\n", "0<1000:", -EAGAIN),
    STREAM("*100\r\n", "0*100", -EAGAIN),
    /* not RESP2 */
    STREAM("hello\r\n", "", -EBADMSG),
    STREAM("\r\n", "", -EBADMSG),
    STREAM("+a\r\n\n", "0+a.", -EBADMSG),
    STREAM("+a\rb\r\n", "", -EBADMSG),
    STREAM("+a\nb\r\n", "", -EBADMSG),
    STREAM("+a\n", "", -EBADMSG),
    STREAM(":\r\n", "", -EBADMSG),
    STREAM(":-\r\n", "", -EBADMSG),
    STREAM(":+1\r\n", "", -EBADMSG),
    STREAM(": 1\r\n", "", -EBADMSG),
    STREAM(":1 \r\n", "", -EBADMSG),
    STREAM(":1\n", "", -EBADMSG),
    STREAM(":1\r:", "", -EBADMSG),
    STREAM(":9223372036854775808\r\n", "", -EBADMSG),
    STREAM(":-9223372036854775809\r\n", "", -EBADMSG),
    STREAM(":00000000000000000000", "", -EBADMSG),
    STREAM("$-2\r\n", "", -EBADMSG),
    STREAM("*-2\r\n", "", -EBADMSG),
    STREAM("$1001\r\n", "", -EBADMSG),
    STREAM("*101\r\n", "", -EBADMSG),
    STREAM("$9223372036854775807\r\n", "", -EBADMSG),
    STREAM("*2147483647\r\n", "", -EBADMSG),
    STREAM("$1\r\nab\r\n", "", -EBADMSG),
    STREAM("$1\r\na\n\n", "", -EBADMSG),
    STREAM("$9\r\n123456789a\r\n", "0<9:", -EBADMSG),
    STREAM("$9\r\n123456789\rx", "0<9:", -EBADMSG),
    STREAM("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "0*1 1*1 2*1 3*1 4*1 5*1 6*1 7*1",
           -EBADMSG),
    /* RESP3 */
    STREAM("_\r\n", "", -EBADMSG),
    STREAM("#t\r\n", "", -EBADMSG),
    STREAM(",1.5\r\n", "", -EBADMSG),
    STREAM("(1\r\n", "", -EBADMSG),
    STREAM("!1\r\na\r\n", "", -EBADMSG),
    STREAM("=5\r\ntxt:a\r\n", "", -EBADMSG),
    STREAM("%1\r\n+a\r\n+b\r\n", "", -EBADMSG),
    STREAM("~1\r\n+a\r\n", "", -EBADMSG),
    STREAM(">1\r\n+a\r\n", "", -EBADMSG),
    STREAM("|1\r\n+a\r\n+b\r\n", "", -EBADMSG),
    STREAM("$?\r\n", "", -EBADMSG),
};

struct reader {
    struct resp r;
    struct buf trace;
    int64_t part_left; /* of the bulk that is read in parts; -1: none is */
    size_t part_at;    /* where its bytes begin in trace */
    bool fresh;        /* a reply begins */
};

static void reader_init(struct reader *rd, size_t whole, uint64_t bulk_max, uint64_t array_max)
{
    resp_init(&rd->r, whole, bulk_max, array_max);
    buf_init(&rd->trace, 1 * MIB);
    rd->part_left = -1;
    rd->fresh = true;
}

static void trace_part(struct reader *rd, const struct resp_token *t)
{
    ck_assert(rd->part_left > 0 && t->text.len > 0);
    rd->part_left -= (int64_t)t->text.len;
    ck_assert_int_eq(rd->part_left, t->number);
    ck_assert_int_eq(buf_append(&rd->trace, t->text.ptr, t->text.len), 0);
    if (!t->number) {
        rd->part_left = -1;
        ck_assert_int_eq(buf_append_str(&rd->trace, ">"), 0);
    } else {
        ck_assert(!t->last);
    }
}

static void trace_token(struct reader *rd, const struct resp_token *t)
{
    struct buf *b = &rd->trace;
    int e = 0;

    ck_assert_int_eq(rd->part_left, -1);
    if (buf_len(b))
        e = buf_append_str(b, " ");
    ck_assert_int_eq(e, 0);
    ck_assert(t->depth > 0 || rd->fresh);
    e = buf_printf(b, "%u", t->depth);
    if (t->type == RESP_SIMPLE || t->type == RESP_ERROR)
        e = buf_printf(b, "%c%.*s", t->type == RESP_SIMPLE ? '+' : '-', (int)t->text.len, t->text.ptr);
    else if (t->type == RESP_INTEGER)
        e = buf_printf(b, ":%lld", (long long)t->number);
    else if (t->type == RESP_NIL)
        e = buf_append_str(b, "_");
    else if (t->type == RESP_BULK)
        e = buf_printf(b, "$%lld:%.*s", (long long)t->number, (int)t->text.len, t->text.ptr);
    else if (t->type == RESP_BULK_START)
        e = buf_printf(b, "<%lld:", (long long)t->number);
    else
        e = buf_printf(b, "*%lld", (long long)t->number);
    ck_assert_int_eq(e, 0);
    if (t->type == RESP_BULK)
        ck_assert_int_eq(t->number, (int64_t)t->text.len);
    if (t->type == RESP_BULK_START) {
        rd->part_left = t->number;
        rd->part_at = buf_len(b);
    }
}

/* Takes all tokens that are in *in. */
static int read_on(struct reader *rd, struct bytes *in)
{
    struct resp_token t, before;
    int e;

    memset(&before, 0xa5, sizeof(before));
    for (;;) {
        struct bytes was = *in;
        memcpy(&t, &before, sizeof(t));
        e = resp_next(&rd->r, in, &t);
        if (e)
            break;
        ck_assert(in->len < was.len && in->ptr == was.ptr + (was.len - in->len));
        if (t.type == RESP_BULK_PART)
            trace_part(rd, &t);
        else
            trace_token(rd, &t);
        rd->fresh = t.last;
        if (t.last)
            ck_assert_int_eq(buf_append_str(&rd->trace, "."), 0);
    }
    ck_assert(!memcmp(&t, &before, sizeof(t)));
    return e;
}

/* Feeds `all` in steps that `step` chooses, as a connection does: what was not taken comes again with more
 * behind it. Each step is a copy of exactly its size, so that a sanitizer sees a read beyond it. */
static int feed(struct reader *rd, struct bytes all, size_t (*step)(unsigned *seed), unsigned seed)
{
    size_t from = 0, to = 0;
    int e = -EAGAIN;

    while (e == -EAGAIN && to < all.len) {
        size_t n = step(&seed);
        to += MIN(n, all.len - to);
        char *copy = malloc(to - from + 1);
        memcpy(copy, all.ptr + from, to - from);
        copy = realloc(copy, MAX(to - from, (size_t)1));
        struct bytes in = {copy, to - from};
        e = read_on(rd, &in);
        from = to - in.len;
        free(copy);
    }
    if (e == -EBADMSG && rd->part_left >= 0) /* how much of it was given before depends on the cuts */
        rd->trace.end = rd->trace.pos + rd->part_at;
    return e;
}

static size_t step_all(unsigned *seed)
{
    (void)seed;
    return SIZE_MAX;
}

static size_t step_one(unsigned *seed)
{
    (void)seed;
    return 1;
}

static size_t step_random(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return 1 + (*seed >> 16) % 7;
}

static void check_stream(const struct stream *s, size_t (*step)(unsigned *seed), unsigned seed)
{
    struct resp_token t;
    struct reader rd;

    reader_init(&rd, WHOLE, BULK_MAX, ARRAY_MAX);
    int e = feed(&rd, s->in, step, seed);
    ck_assert_msg(e == s->end, "%s: %d", s->in.ptr, e);
    struct bytes got = buf_bytes(&rd.trace);
    ck_assert_msg(bytes_is(got, s->tokens), "%s: %.*s", s->in.ptr, (int)got.len, got.ptr);
    if (e == -EBADMSG) {
        struct bytes good = BYTES("+OK\r\n");
        ck_assert_int_eq(resp_next(&rd.r, &good, &t), -EBADMSG);
    }
    buf_free(&rd.trace);
}

START_TEST(streams_in_one_piece)
{
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        check_stream(&streams[i], step_all, 0);
}
END_TEST

START_TEST(streams_byte_by_byte)
{
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        check_stream(&streams[i], step_one, 0);
}
END_TEST

START_TEST(streams_cut_at_random)
{
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        for (unsigned seed = 1; seed <= 20; seed++)
            check_stream(&streams[i], step_random, seed);
}
END_TEST

/* Where much is behind it, a token is taken in fewer steps: it is the same, or as wrong, as it is by itself.
 */
START_TEST(what_is_behind_a_token_changes_nothing)
{
    static const struct bytes tokens[] = {
        BYTES_INIT(":0\r\n"),
        BYTES_INIT(":-1\r\n"),
        BYTES_INIT(":-0\r\n"),
        BYTES_INIT(":007\r\n"),
        BYTES_INIT(":999999999999999999\r\n"),
        BYTES_INIT(":-999999999999999999\r\n"),
        BYTES_INIT(":1000000000000000000\r\n"),
        BYTES_INIT(":9223372036854775807\r\n"),
        BYTES_INIT(":-9223372036854775808\r\n"),
        BYTES_INIT(":9223372036854775808\r\n"),
        BYTES_INIT(":00000000000000000000\r\n"),
        BYTES_INIT(":\r\n"),
        BYTES_INIT(":-\r\n"),
        BYTES_INIT(":--1\r\n"),
        BYTES_INIT(":1\r:"),
        BYTES_INIT(":1\n\n"),
        BYTES_INIT(":1 \r\n"),
        BYTES_INIT(";1\r\n"),
        BYTES_INIT("$0\r\n\r\n"),
        BYTES_INIT("$-0\r\n\r\n"),
        BYTES_INIT("$8\r\n12345678\r\n"),
        BYTES_INIT("$08\r\n12345678\r\n"),
        BYTES_INIT("$9\r\n"),
        BYTES_INIT("$-1\r\n"),
        BYTES_INIT("$-2\r\n"),
        BYTES_INIT("$1000\r\n"),
        BYTES_INIT("$1001\r\n"),
        BYTES_INIT("$999999999999999999\r\n"),
        BYTES_INIT("$18446744073709551615\r\n"),
        BYTES_INIT("$1\r\nab\r\n"),
        BYTES_INIT("$1\r\na\r:"),
        BYTES_INIT("$1\n\na\r\n"),
        BYTES_INIT("$\r\n"),
        BYTES_INIT("*2\r\n"),
        BYTES_INIT("+OK\r\n"),
        BYTES_INIT("_\r\n"),
    };
    char with[64];

    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        struct resp_token t = {.type = RESP_NIL}, u = t;
        struct resp r, s;
        resp_init(&r, WHOLE, BULK_MAX, ARRAY_MAX);
        resp_init(&s, WHOLE, BULK_MAX, ARRAY_MAX);
        memset(with, '7', sizeof(with));
        memcpy(with, tokens[i].ptr, tokens[i].len);
        struct bytes alone = tokens[i], more = {with, sizeof(with)};
        int e = resp_next(&r, &alone, &t);
        ck_assert_msg(resp_next(&s, &more, &u) == e && e != -EAGAIN, "%s: %d", tokens[i].ptr, e);
        ck_assert(r.bad == s.bad && r.depth == s.depth && r.part == s.part);
        if (e)
            continue;
        ck_assert(u.type == t.type && u.number == t.number && u.last == t.last && u.depth == t.depth);
        ck_assert(bytes_equal(u.text, t.text) && !alone.len);
        ck_assert_uint_eq(more.len, sizeof(with) - tokens[i].len);
    }
}
END_TEST

/* The same of one whose end is not in: nothing is taken. */
START_TEST(long_input_may_end_in_a_bulk)
{
    static const char bulk[] = "$30\r\n012345678901234567890123456789\r\n";

    for (size_t len = 5; len < sizeof(bulk); len++) {
        char *copy = malloc(len);
        memcpy(copy, bulk, len);
        struct bytes in = {copy, len};
        struct resp_token t;
        struct resp r;
        resp_init(&r, 30, 30, 0);
        bool whole = len == sizeof(bulk) - 1;
        ck_assert_int_eq(resp_next(&r, &in, &t), whole ? 0 : -EAGAIN);
        ck_assert_uint_eq(in.len, whole ? 0 : len);
        free(copy);
    }
}
END_TEST

START_TEST(incomplete_tokens_stay)
{
    struct resp_token t;
    struct resp r;
    struct bytes in = BYTES("*2\r\n$3\r\nfo");

    resp_init(&r, WHOLE, BULK_MAX, ARRAY_MAX);
    ck_assert_int_eq(resp_next(&r, &in, &t), 0);
    ck_assert_int_eq(resp_next(&r, &in, &t), -EAGAIN);
    ck_assert(bytes_is(in, "$3\r\nfo"));
    in = bytes_of(NULL, 0);
    ck_assert_int_eq(resp_next(&r, &in, &t), -EAGAIN);
}
END_TEST

START_TEST(a_full_buffer_never_holds_a_bulk_up)
{
    struct resp_token t;
    struct resp r;
    struct bytes in = BYTES("$10\r\n0123456789");

    resp_init(&r, 0, BULK_MAX, ARRAY_MAX);
    ck_assert_int_eq(resp_next(&r, &in, &t), 0);
    ck_assert(t.type == RESP_BULK_START && t.number == 10);
    ck_assert_int_eq(resp_next(&r, &in, &t), 0);
    ck_assert(t.type == RESP_BULK_PART && bytes_is(t.text, "012345678") && t.number == 1 && !t.last);
    ck_assert_int_eq(resp_next(&r, &in, &t), -EAGAIN);
    in = BYTES("9\r");
    ck_assert_int_eq(resp_next(&r, &in, &t), -EAGAIN);
    ck_assert_uint_eq(in.len, 2);
    in = BYTES("9\r\n:1\r\n");
    ck_assert_int_eq(resp_next(&r, &in, &t), 0);
    ck_assert(t.type == RESP_BULK_PART && bytes_is(t.text, "9") && t.number == 0 && t.last);
    ck_assert(bytes_is(in, ":1\r\n"));
}
END_TEST

START_TEST(a_final_part_is_checked_before_it_is_given)
{
    struct resp_token t;
    struct resp r;
    struct bytes in = BYTES("$3\r\nabcXY");

    resp_init(&r, 0, BULK_MAX, ARRAY_MAX);
    ck_assert_int_eq(resp_next(&r, &in, &t), 0);
    ck_assert_int_eq(resp_next(&r, &in, &t), -EBADMSG);
}
END_TEST

START_TEST(lines_have_a_ceiling)
{
    char *line = malloc(RESP_LINE_MAX + 8);
    struct resp_token t;
    struct resp r;

    memset(line, 'x', RESP_LINE_MAX + 8);
    line[0] = '-';
    struct bytes in = {line, RESP_LINE_MAX + 1};
    resp_init(&r, WHOLE, BULK_MAX, ARRAY_MAX);
    ck_assert_int_eq(resp_next(&r, &in, &t), -EAGAIN);
    memcpy(line + 1 + RESP_LINE_MAX, "\r\n", 2);
    in.len += 2;
    ck_assert_int_eq(resp_next(&r, &in, &t), 0);
    ck_assert_uint_eq(t.text.len, RESP_LINE_MAX);

    line[1 + RESP_LINE_MAX] = 'x';
    in = (struct bytes){line, RESP_LINE_MAX + 2};
    ck_assert_int_eq(resp_next(&r, &in, &t), -EBADMSG);
    memcpy(line + 2 + RESP_LINE_MAX, "\r\n", 2);
    in = (struct bytes){line, RESP_LINE_MAX + 4};
    resp_init(&r, WHOLE, BULK_MAX, ARRAY_MAX);
    ck_assert_int_eq(resp_next(&r, &in, &t), -EBADMSG);
    free(line);
}
END_TEST

START_TEST(no_announced_length_is_believed)
{
    struct bytes array = BYTES("*9223372036854775807\r\n:1\r\n"), bulk = BYTES("$9223372036854775807\r\nabc");
    struct resp_token t;
    struct resp r;

    resp_init(&r, 0, UINT64_MAX, UINT64_MAX);
    ck_assert_int_eq(resp_next(&r, &array, &t), 0);
    ck_assert_int_eq(resp_next(&r, &array, &t), 0);
    ck_assert(t.type == RESP_INTEGER && t.depth == 1 && !t.last);
    ck_assert_int_eq(resp_next(&r, &bulk, &t), 0);
    ck_assert_int_eq(resp_next(&r, &bulk, &t), 0);
    ck_assert(t.type == RESP_BULK_PART && bytes_is(t.text, "abc"));
    resp_init(&r, SIZE_MAX, UINT64_MAX, UINT64_MAX);
    bulk = BYTES("$9223372036854775807\r\nabc");
    ck_assert_int_eq(resp_next(&r, &bulk, &t), -EAGAIN);
}
END_TEST

/* Whatever a stream of noise holds, it reads the same in one piece as byte by byte. */
START_TEST(noise_reads_the_same_however_cut)
{
    static const char alphabet[] = "\r\n\r\n\r\n$*:+-0123x";
    char noise[64];
    unsigned seed = 7;

    for (int round = 0; round < 3000; round++) {
        struct reader whole, bytewise;
        for (size_t i = 0; i < sizeof(noise); i++) {
            seed = seed * 1103515245 + 12345;
            noise[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        reader_init(&whole, 2, 20, 3);
        reader_init(&bytewise, 2, 20, 3);
        int a = feed(&whole, bytes_of(noise, sizeof(noise)), step_all, 0);
        int b = feed(&bytewise, bytes_of(noise, sizeof(noise)), step_one, 0);
        ck_assert_int_eq(a, b);
        ck_assert(bytes_equal(buf_bytes(&whole.trace), buf_bytes(&bytewise.trace)));
        buf_free(&whole.trace);
        buf_free(&bytewise.trace);
    }
}
END_TEST

struct request {
    struct bytes in;
    const char *args; /* joined by '|', each in brackets; NULL: an error */
    size_t left;      /* of the input */
    int end;
};

#define ASK(in, args, left) {BYTES_INIT(in), args, left, 0}
#define BAD(in, end)        {BYTES_INIT(in), NULL, 0, end}

static const struct request requests[] = {
    ASK("*1\r\n$4\r\nPING\r\n", "[PING]", 0),
    ASK("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\nPING\r\n", "[SET][][a\r\nb]", 6),
    ASK("*0\r\n*1\r\n", "", 4),
    ASK("*-1\r\n", "", 0),
    ASK("PING\r\n", "[PING]", 0),
    ASK("PING\n", "[PING]", 0),
    ASK("\r\n", "", 0),
    ASK("\n", "", 0),
    ASK("  \t status  all \r\nX", "[status][all]", 1),
    ASK("a\rb\r\n", "[a][b]", 0),
    ASK("echo \"a b\" 'c d'\r\n", "[echo][a b][c d]", 0),
    ASK("echo \"\" ''\r\n", "[echo][][]", 0),
    ASK("e \"\\n\\r\\t\\b\\a\\\\\\\"\\q\\x41\\xfg\\x4\"\n", "[e][\n\r\t\b\a\\\"qAxfgx4]", 0),
    ASK("e '\\n\\'x\\y'\n", "[e][\\n'x\\y]", 0),
    ASK("e foo\"bar\" x\n", "[e][foobar][x]", 0),
    ASK("+OK\r\n", "[+OK]", 0),
    ASK("a b c d\n", "[a][b][c][d]", 0),
    BAD("a b c d e\n", -E2BIG),
    BAD("a b c d \"e\"\n", -E2BIG),
    BAD("e \"01234567890123456789012345678901x\"\n", -E2BIG),
    ASK("e 0123456789012345678901234567890x''\n", "[e][0123456789012345678901234567890x]", 0),
    BAD("e 01234567890123456789012345678901x''\n", -E2BIG),
    BAD("*5\r\n", -E2BIG),
    BAD("*9223372036854775807\r\n", -E2BIG),
    BAD("", -EAGAIN),
    BAD("PING", -EAGAIN),
    BAD("*", -EAGAIN),
    BAD("*1\r", -EAGAIN),
    BAD("*1\r\n", -EAGAIN),
    BAD("*1\r\n$4\r\nPING", -EAGAIN),
    BAD("*1\r\n$4\r\nPING\r", -EAGAIN),
    BAD("*1\r\n$9223372036854775807\r\nPING\r\n", -EAGAIN),
    BAD("*2\r\n$4\r\nPING\r\n", -EAGAIN),
    BAD("*-2\r\n", -EBADMSG),
    BAD("*x\r\n", -EBADMSG),
    BAD("*1\n", -EBADMSG),
    BAD("*1\r\n:1\r\n", -EBADMSG),
    BAD("*1\r\n*1\r\n", -EBADMSG),
    BAD("*1\r\n$-1\r\n", -EBADMSG),
    BAD("*1\r\n$4\r\nPINGxx", -EBADMSG),
    BAD("e \"open\n", -EBADMSG),
    BAD("e \"open\\\"\n", -EBADMSG),
    BAD("e \"open\\\n", -EBADMSG),
    BAD("e 'open\n", -EBADMSG),
    BAD("e \"a\"b\n", -EBADMSG),
    BAD("e 'a'b\n", -EBADMSG),
};

#define ARGS_MAX    4
#define SCRATCH_MAX 32

static int ask(struct bytes *in, struct buf *args)
{
    struct bytes argv[ARGS_MAX];
    char scratch[SCRATCH_MAX];
    size_t argc = 99;

    int e = resp_request(in, argv, ARGS_MAX, scratch, sizeof(scratch), &argc);
    ck_assert(e ? argc == 99 : argc <= ARGS_MAX);
    for (size_t i = 0; !e && i < argc; i++) {
        ck_assert_int_eq(buf_append_str(args, "["), 0);
        ck_assert_int_eq(buf_append(args, argv[i].ptr, argv[i].len), 0);
        ck_assert_int_eq(buf_append_str(args, "]"), 0);
    }
    return e;
}

START_TEST(requests_in_one_piece)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        const struct request *q = &requests[i];
        struct bytes in = q->in;
        struct buf args;
        buf_init(&args, 1 * KIB);
        int e = ask(&in, &args);
        ck_assert_msg(e == q->end, "%s: %d", q->in.ptr, e);
        if (q->args)
            ck_assert_msg(bytes_is(buf_bytes(&args), q->args), "%s", q->in.ptr);
        if (q->args)
            ck_assert_uint_eq(in.len, q->left);
        if (e)
            ck_assert(in.ptr == q->in.ptr && in.len == q->in.len);
        buf_free(&args);
    }
}
END_TEST

/* Each shorter input only ever asks for more, or is refused as the longer one will be. */
START_TEST(requests_byte_by_byte)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        const struct request *q = &requests[i];
        size_t whole = q->in.len - q->left;
        for (size_t len = 0; len <= whole; len++) {
            char *copy = malloc(len + 1);
            memcpy(copy, q->in.ptr, len);
            struct bytes in = {copy, len};
            struct buf args;
            buf_init(&args, 1 * KIB);
            int e = ask(&in, &args);
            ck_assert(e == (len == whole ? q->end : -EAGAIN) || (e && e == q->end));
            buf_free(&args);
            free(copy);
        }
    }
}
END_TEST

START_TEST(pipelined_requests)
{
    struct bytes in = BYTES("*1\r\n$1\r\na\r\nb\r\n\r\n*0\r\nc \"d\"\n*1\r\n");
    struct buf args;

    buf_init(&args, 1 * KIB);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(ask(&in, &args), 0);
    ck_assert_int_eq(ask(&in, &args), -EAGAIN);
    ck_assert(bytes_is(in, "*1\r\n"));
    ck_assert(bytes_is(buf_bytes(&args), "[a][b][c][d]"));
    buf_free(&args);
}
END_TEST

START_TEST(no_room_at_all)
{
    struct bytes plain = BYTES("a\n"), quoted = BYTES("''\n"), more = BYTES("'x'\n"), empty = BYTES("\n");
    struct bytes argv[1];
    size_t argc;

    ck_assert_int_eq(resp_request(&plain, argv, 1, NULL, 0, &argc), 0);
    ck_assert_int_eq(resp_request(&quoted, argv, 1, NULL, 0, &argc), 0);
    ck_assert(argc == 1 && argv[0].len == 0);
    ck_assert_int_eq(resp_request(&more, argv, 1, NULL, 0, &argc), -E2BIG);
    ck_assert_int_eq(resp_request(&more, argv, 0, NULL, 0, &argc), -E2BIG);
    ck_assert_int_eq(resp_request(&empty, argv, 0, NULL, 0, &argc), 0);
}
END_TEST

UNIT_MAIN("core/resp", streams_in_one_piece, streams_byte_by_byte, streams_cut_at_random,
          what_is_behind_a_token_changes_nothing, long_input_may_end_in_a_bulk, incomplete_tokens_stay,
          a_full_buffer_never_holds_a_bulk_up, a_final_part_is_checked_before_it_is_given,
          lines_have_a_ceiling, no_announced_length_is_believed, noise_reads_the_same_however_cut,
          requests_in_one_piece, requests_byte_by_byte, pipelined_requests, no_room_at_all)
