#include <errno.h>

#include "lib/copy/flights.h"
#include "tests/unit/copy_reader_kit.h"

/* Long values. */

START_TEST(test_long_value)
{
    char *value = kit_long_bulk(700000, 700000);
    char *edge = kit_long_bulk(READER_WHOLE, READER_WHOLE),
         *beyond = kit_long_bulk(READER_WHOLE + 1, READER_WHOLE + 1);
    set_up_plain();
    fake_rule(&source, "PEXPIRETIME a", ":77\r\n");
    fake_rule(&source, "DUMP a", value);
    fake_rule(&source, "DUMP edge", edge);
    fake_rule(&source, "DUMP over", beyond);
    read_key(0, "a");
    read_key(0, "edge");
    read_key(0, "over");
    read_key(0, "b");
    expect("begin a 77 700000\nend\n"
           "value edge 0 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\n"
           "begin over 0 16385\nend\ngone b\n");
    source.dripping = true;
    fake_rule(&source, "PEXPIRETIME over", ":-1\r\n");
    read_key(0, "over");
    read_key(0, "b");
    expect("begin over 0 16385\nend\ngone b\n");
    free(value);
    free(edge);
    free(beyond);
    tear_down();
}
END_TEST

START_TEST(test_long_value_not_wanted)
{
    char *value = kit_long_bulk(700000, 700000);

    set_up_plain();
    fake_rule(&source, "DUMP a", value);
    unwanted = true;
    read_key(0, "a");
    read_key(0, "b");
    expect("begin a 0 700000\ngone b\n");
    /* Lost while it passes: it is no longer the reader's, and not lost. */
    char *part = kit_long_bulk(700000, 100000);
    read_key(0, "c");
    read_key(0, "d");
    close_after("DUMP c", part, "begin c 0 700000\n");
    expect("lost d\ndown: closed by the server\n");
    free(value);
    free(part);
    tear_down();
}
END_TEST

/* Longer than any memory: it can be refused, and does not break the stream. */
START_TEST(test_huge_value_is_offered)
{
    set_up_plain();
    unwanted = true;
    fake_rule(&source, "DUMP a", "$9000000000\r\nxx");
    read_key(0, "a");
    kit_expect(&source, "begin a 0 9000000000\n");
    tear_down();
}
END_TEST

START_TEST(test_error_before_a_long_value)
{
    char *value = kit_long_bulk(700000, 700000);

    set_up_plain();
    fake_rule(&source, "PEXPIRETIME a", "-NOPERM x\r\n");
    fake_rule(&source, "DUMP a", value);
    read_key(0, "a");
    read_key(0, "b");
    expect("failed a NOPERM x\ngone b\n");
    /* Lost while it passes: it is the reader's still. */
    char *part = kit_long_bulk(700000, 100000);
    fake_rule(&source, "PEXPIRETIME c", "-NOPERM x\r\n");
    read_key(0, "c");
    read_key(0, "d");
    close_after("DUMP c", part, "");
    expect("lost c\nlost d\ndown: closed by the server\n");
    free(value);
    free(part);
    tear_down();
}
END_TEST

START_TEST(test_lost_in_the_middle_of_a_value)
{
    char *part = kit_long_bulk(700000, 100000);

    set_up_plain();
    read_key(0, "a");
    read_key(0, "b");
    read_key(1, "c");
    close_after("DUMP a", part, "begin a 0 700000\n");
    expect("broken: closed by the server\nlost b\nlost c\ndown: closed by the server\n");
    fake_until(&source, &ups, 2);
    fake_rule(&source, "DUMP", "$1\r\nx\r\n");
    (void)fake_log(&source);
    read_key(1, "c"); /* and all is as new */
    expect("value c 0 x\n");
    ck_assert_str_eq(fake_log(&source), "SELECT 1\nPEXPIRETIME c\nDUMP c\n");
    free(part);
    tear_down();
}
END_TEST

/* Between keys, and between a key's own replies. */
START_TEST(test_lost)
{
    static const char *const words[] = {"SELECT", "PEXPIRETIME", "DUMP"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        set_up_plain();
        fake_rule(&source, words[i], FAKE_CLOSE);
        read_key(1, "a");
        read_key(1, "b");
        expect("lost a\nlost b\ndown: closed by the server\n");
        ck_assert_int_eq(reader_read(reader, kit_key(0, "c")), -ENOTCONN);
        tear_down();
    }
}
END_TEST

START_TEST(test_lost_in_multi)
{
    set_up_multi();
    read_key(0, "a");
    read_key(0, "b");
    close_after("EXEC", "*2\r\n:5\r\n", "");
    expect("lost a\nlost b\ndown: closed by the server\n");
    fake_until(&source, &ups, 2);
    fake_rule(&source, "EXEC", "*2\r\n:-1\r\n$1\r\nx\r\n");
    read_key(0, "a");
    expect("value a 0 x\n");
    tear_down();
}
END_TEST

START_TEST(test_reset)
{
    set_up_plain();
    fake_rule(&source, "DUMP", FAKE_SILENCE);
    read_key(0, "a");
    fake_pass(&source, 20);
    reader_reset(reader, "the target is gone");
    ck_assert(!reader_is_up(reader));
    ck_assert_uint_eq(kit.lines, 0); /* never from inside a call */
    expect("lost a\ndown: the target is gone\n");
    fake_until(&source, &ups, 2);
    tear_down();
}
END_TEST

START_TEST(test_no_answer)
{
    set_up_plain();
    source.endpoint.timeout_ms = 200;
    fake_pass(&source, 300); /* nothing is due */
    ck_assert_uint_eq(downs, 0);
    fake_rule(&source, "DUMP b", FAKE_SILENCE);
    read_key(0, "a");
    read_key(0, "b");
    expect("gone a\nlost b\ndown: no answer for 200ms\n");
    tear_down();
}
END_TEST

/* Back-pressure. */

START_TEST(test_not_ready)
{
    set_up_plain();
    source.endpoint.timeout_ms = 200;
    fake_rule(&source, "DUMP", "$1\r\nx\r\n");
    is_ready = false;
    read_key(0, "a");
    read_key(0, "b");
    fake_until(&source, &asked_ready, 1);
    kit_nothing(&source, 300); /* and it is no fault of the source */
    ck_assert_uint_eq(asked_ready, 1);
    read_key(0, "c"); /* requests go on */
    reader_resume(reader);
    kit_nothing(&source, 30);
    ck_assert_uint_eq(asked_ready, 2);
    is_ready = true;
    reader_resume(reader);
    ck_assert_uint_eq(kit.lines, 0);
    expect("value a 0 x\nvalue b 0 x\nvalue c 0 x\n");
    reader_resume(reader); /* of nothing */
    ck_assert_uint_eq(downs, 0);
    fake_rule(&source, "DUMP", FAKE_SILENCE);
    read_key(0, "d"); /* its silence counts again */
    expect("lost d\ndown: no answer for 200ms\n");
    tear_down();
}
END_TEST

/* In the middle of a long value, again and again; all of it arrives. */
START_TEST(test_not_ready_in_a_value)
{
    char *value = kit_long_bulk(6000000, 6000000);

    set_up_plain();
    fake_rule(&source, "DUMP a", value);
    read_key(0, "a");
    read_key(0, "b");
    kit_expect(&source, "begin a 0 6000000\n");
    for (unsigned i = 0; i < 5 && value_left; i++) {
        is_ready = false;
        fake_pass(&source, 10);
        uint64_t left = value_left;
        fake_pass(&source, 10);
        ck_assert_uint_eq(value_left, left);
        is_ready = true;
        reader_resume(reader);
    }
    expect("end\ngone b\n");
    free(value);
    tear_down();
}
END_TEST

/* The connection is lost while nothing is read of it. */
START_TEST(test_reset_while_not_ready)
{
    set_up_plain();
    fake_rule(&source, "DUMP", "$1\r\nx\r\n");
    is_ready = false;
    read_key(0, "a");
    read_key(0, "b");
    fake_until(&source, &asked_ready, 1);
    reader_reset(reader, "the target is gone");
    expect("lost a\nlost b\ndown: the target is gone\n");
    fake_until(&source, &ups, 2);
    is_ready = true;
    read_key(0, "a"); /* nobody has to resume */
    expect("value a 0 x\n");
    tear_down();
}
END_TEST

/* Requests. */

static size_t fill(void)
{
    static char name[1000];
    size_t n = 0;

    memset(name, 'n', sizeof(name) - 1);
    for (; !reader_is_full(reader); n++)
        read_key((int)(n % 2), name);
    return n;
}

START_TEST(test_full_and_room_again)
{
    set_up_plain();
    source.deaf = true;
    size_t n = fill();
    fake_pass(&source, 20); /* what the kernel takes */
    kit_forget();
    n += fill();
    ck_assert_uint_eq(reader_outstanding(reader), n);
    kit_nothing(&source, 50);
    ck_assert(reader_is_full(reader));
    ck_assert_int_eq(reader_read(reader, kit_key(0, "more")), -ENOBUFS);
    ck_assert_uint_eq(reader_outstanding(reader), n);

    source.deaf = false;
    source.hook = NULL;
    fake_rule(&source, "PEXPIRETIME", FAKE_SILENCE);
    fake_rule(&source, "SELECT", FAKE_SILENCE);
    fake_rule(&source, "DUMP", FAKE_SILENCE);
    ck_assert_int_eq(io_want(fake_last(&source)->io, IO_READ), 0);
    kit_expect(&source, "room\n");
    ck_assert(!reader_is_full(reader));
    tear_down();
}
END_TEST

/* As many as the ring of flights holds, with a SELECT before each. */
START_TEST(test_ring_is_full)
{
    size_t n = 0;

    set_up_plain();
    is_ready = false;
    for (; !reader_is_full(reader); n++) {
        read_key((int)(n % 2), "k");
        if (n % 100 == 0)
            fake_pass(&source, 1);
    }
    ck_assert_uint_gt(n, COPY_WINDOW);
    ck_assert_int_eq(reader_read(reader, kit_key(0, "more")), -ENOBUFS);
    is_ready = true;
    reader_resume(reader);
    while (reader_outstanding(reader)) {
        fake_pass(&source, 1);
        kit.len = 0;
    }
    ck_assert_uint_eq(kit.lines, n);
    ck_assert(!reader_is_full(reader));
    tear_down();
}
END_TEST

UNIT_MAIN("copy/reader, the flow", test_long_value, test_long_value_not_wanted, test_huge_value_is_offered,
          test_error_before_a_long_value, test_lost_in_the_middle_of_a_value, test_lost, test_lost_in_multi,
          test_reset, test_no_answer, test_not_ready, test_not_ready_in_a_value, test_reset_while_not_ready,
          test_full_and_room_again, test_ring_is_full)
