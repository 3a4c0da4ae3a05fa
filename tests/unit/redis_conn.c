#include "tests/unit/redis_conn_kit.h"

#include <errno.h>

/* It would crash when it is asked for a key of a slot that is moving. */
START_TEST(test_no_touch_is_not_for_clusters)
{
    struct seen s;
    set_up(&s);
    s.opt.no_touch = true;
    fake_bulk(&s.fake, "INFO server", "redis_version:8.0.2\r\nredis_mode:cluster\r\n");
    begin(&s);
    fake_until(&s.fake, &s.up, 1);
    ck_assert_str_eq(fake_log(&s.fake), SHOOK);
    tear_down(&s);
}
END_TEST

START_TEST(test_handshake)
{
    struct seen s;
    set_up(&s);
    s.fake.endpoint.url.user = (char *)"app";
    s.fake.endpoint.password = (char *)"hush";
    s.opt.no_touch = true;
    fake_bulk(&s.fake, "INFO server", "redis_version:7.2.4\r\n");
    begin(&s);
    ck_assert_ptr_null(conn_server(s.conn));
    fake_until(&s.fake, &s.up, 1);
    ck_assert_str_eq(fake_log(&s.fake), "AUTH app hush\n" SHOOK "CLIENT NO-TOUCH ON\n");
    ck_assert_uint_eq(s.identified, 1);
    ck_assert_uint_eq(conn_client_id(s.conn), 7);
    ck_assert(conn_is_fenced(s.conn));
    ck_assert_int_eq(conn_server(s.conn)->role, ROLE_PRIMARY);
    tear_down(&s);
}
END_TEST

START_TEST(test_handshake_byte_by_byte)
{
    struct seen s;
    set_up(&s);
    s.fake.dripping = true;
    begin(&s);
    fake_until(&s.fake, &s.up, 1);
    ck_assert_str_eq(conn_server(s.conn)->run_id, "aaaa");
    tear_down(&s);
}
END_TEST

START_TEST(test_tcp_by_name)
{
    struct seen s;
    set_up(&s);
    fake_listen_tcp(&s.fake);
    begin(&s);
    fake_until(&s.fake, &s.up, 1); /* localhost is ::1 too, where nobody listens */
    tear_down(&s);
}
END_TEST

START_TEST(test_auth_password_alone)
{
    struct seen s;
    set_up(&s);
    s.fake.endpoint.password = (char *)"hush";
    begin(&s);
    fake_until(&s.fake, &s.up, 1);
    ck_assert_str_eq(fake_log(&s.fake), "AUTH hush\n" SHOOK);
    tear_down(&s);
}
END_TEST

static void refused(const char *request, const char *answer, const char *password, const char *why)
{
    struct seen s;
    set_up(&s);
    s.fake.endpoint.password = (char *)password;
    fake_rule(&s.fake, request, answer);
    begin(&s);
    fake_until(&s.fake, &s.down, 1);
    ck_assert_str_eq(s.why, why);
    ck_assert(!s.was_up);
    ck_assert_uint_eq(s.up, 0);
    tear_down(&s);
}

START_TEST(test_refused)
{
    refused("AUTH", "-WRONGPASS invalid username-password pair\r\n", "hush",
            "WRONGPASS invalid username-password pair (look at the source's password and user)");
    refused("AUTH", "-ERR what is hush supposed to be\r\n", "hush",
            "ERR (a text that repeats the password) (look at the source's password and user)");
    refused("AUTH", ":1\r\n", "hush", "the answer to AUTH is not understood");
    refused("CLIENT", "-NOAUTH Authentication required.\r\n", NULL,
            "the server wants a password, and none is configured (source.password_file or "
            "password_credential): NOAUTH "
            "Authentication required.");
    refused("CLIENT", "-DENIED Redis is running in protected mode\r\n", NULL,
            "DENIED Redis is running in protected mode");
    refused("CLIENT ID", FAKE_CLOSE, NULL, "closed by the server");
    refused("INFO", "HTTP/1.1 400 Bad Request\r\n\r\n", NULL,
            "the server sent what is no RESP2, or more than can be taken");
    refused("INFO", "*2147483647\r\n", NULL, "the server sent what is no RESP2, or more than can be taken");
}
END_TEST

START_TEST(test_answer_without_a_question)
{
    struct seen s;
    set_up(&s);
    begin_up(&s);
    fake_send(fake_last(&s.fake), "+OK\r\n");
    fake_until(&s.fake, &s.down, 1);
    ck_assert_str_eq(s.why, "the server sent an answer that was not asked for");
    tear_down(&s);
}
END_TEST

START_TEST(test_last_words)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "CLIENT SETNAME", "-ERR max number of clients reached\r\n");
    fake_rule(&s.fake, "CLIENT ID", FAKE_CLOSE);
    begin(&s);
    fake_until(&s.fake, &s.down, 1);
    ck_assert_str_eq(s.why, "closed by the server: ERR max number of clients reached");
    tear_down(&s);
}
END_TEST

START_TEST(test_goes_on_without_rights)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "CLIENT", "-NOPERM this user has no permissions\r\n");
    fake_rule(&s.fake, "INFO", "-NOPERM this user has no permissions\r\n");
    begin(&s);
    fake_until(&s.fake, &s.up, 1);
    ck_assert_uint_eq(conn_client_id(s.conn), 0);
    ck_assert_str_eq(conn_server(s.conn)->run_id, "");
    tear_down(&s);
}
END_TEST

START_TEST(test_owner_refuses)
{
    struct seen s;
    set_up(&s);
    s.refuse = -EPERM;
    begin(&s);
    fake_until(&s.fake, &s.down, 2); /* it comes again */
    ck_assert_str_eq(s.why, "not this one");
    ck_assert_uint_eq(s.up, 0);
    s.refuse = 0;
    fake_until(&s.fake, &s.up, 1);
    tear_down(&s);
}
END_TEST

START_TEST(test_nobody_listens)
{
    struct seen s;
    set_up(&s);
    s.fake.endpoint.url.path = (char *)"/nonexistent/socket";
    begin(&s);
    fake_until(&s.fake, &s.down, 2);
    ck_assert_str_eq(s.why, "no such file or directory");
    ck_assert(!conn_is_up(s.conn));
    tear_down(&s);
}
END_TEST

/* Calls. */

START_TEST(test_calls_in_order)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "ECHO", "$3\r\nabc\r\n");
    begin(&s);
    ck_assert_int_eq(conn_call_words(s.conn, on_reply, &s, "PING"), -ENOTCONN);
    fake_until(&s.fake, &s.up, 1);
    (void)fake_log(&s.fake);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(conn_call_words(s.conn, on_reply, &s, "PING"), 0);
    ck_assert_int_eq(conn_call(s.conn, 2, (struct bytes[]){BYTES("ECHO"), BYTES("a b")}, on_reply, &s), 0);
    ck_assert_uint_eq(s.replies, 0);
    fake_until(&s.fake, &s.replies, 41);
    ck_assert_str_eq(s.text, "abc");
    ck_assert_uint_eq(conn_silent_us(s.conn), 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_no_answer)
{
    struct seen s;
    set_up(&s);
    s.fake.endpoint.timeout_ms = 100;
    fake_rule(&s.fake, "GET", FAKE_SILENCE);
    begin_up(&s);
    fake_pass(&s.fake, 150); /* nothing is due: silence is no fault */
    ck_assert_uint_eq(s.down, 0);
    ck_assert_int_eq(conn_call_words(s.conn, on_reply, &s, "GET a"), 0);
    fake_pass(&s.fake, 50);
    ck_assert_uint_eq(s.down, 0);
    ck_assert_uint_gt(conn_silent_us(s.conn), 30000);
    fake_until(&s.fake, &s.down, 1);
    ck_assert_str_eq(s.why, "no answer for 100ms");
    ck_assert_uint_eq(s.replies, 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_slow_is_not_silent)
{
    struct seen s;
    set_up(&s);
    s.fake.endpoint.timeout_ms = 100;
    fake_rule(&s.fake, "GET", FAKE_SILENCE);
    begin_up(&s);
    ck_assert_int_eq(conn_call_words(s.conn, on_reply, &s, "GET a"), 0);
    for (int i = 0; i < 5; i++) {
        fake_pass(&s.fake, 50);
        fake_send(fake_last(&s.fake), i ? "a" : "$4\r\n");
    }
    fake_send(fake_last(&s.fake), "\r\n");
    fake_until(&s.fake, &s.replies, 1);
    ck_assert_uint_eq(s.down, 0);
    tear_down(&s);
}
END_TEST

START_TEST(test_no_handshake_answer)
{
    struct seen s;
    set_up(&s);
    s.fake.endpoint.timeout_ms = 50;
    fake_rule(&s.fake, "CLIENT", FAKE_SILENCE);
    begin(&s);
    fake_until(&s.fake, &s.down, 1);
    ck_assert_str_eq(s.why, "no answer for 50ms");
    tear_down(&s);
}
END_TEST

START_TEST(test_output_ceiling)
{
    struct seen s;
    char big[40000] = "";
    set_up(&s);
    fake_rule(&s.fake, "SET", "+OK\r\n");
    begin_up(&s);
    struct bytes argv[] = {BYTES("SET"), BYTES("k"), bytes_of(big, sizeof(big))};
    ck_assert_int_eq(conn_call(s.conn, 3, argv, on_reply, &s), 0);
    ck_assert(conn_is_full(s.conn));
    ck_assert_int_eq(conn_call(s.conn, 3, argv, on_reply, &s), -ENOBUFS);
    fake_until(&s.fake, &s.drained, 1);
    fake_until(&s.fake, &s.replies, 1);
    tear_down(&s);
}
END_TEST

START_TEST(test_server_that_does_not_read)
{
    struct seen s;
    char big[30000] = "";
    int blocks = 0;
    set_up(&s);
    s.raw = true;
    begin_up(&s);
    s.fake.deaf = true;
    while (!conn_is_full(s.conn) && blocks < 10000) {
        ck_assert_int_eq(buf_append(conn_out(s.conn), big, sizeof(big)), 0);
        conn_flush(s.conn);
        fake_pass(&s.fake, 1);
        blocks++;
    }
    ck_assert(conn_is_full(s.conn));
    size_t drained = s.drained;
    char sink[65536];
    while (s.drained == drained) {
        (void)!recv(fake_last(&s.fake)->fd, sink, sizeof(sink), MSG_DONTWAIT);
        fake_pass(&s.fake, 1);
    }
    ck_assert_uint_eq(s.down, 0);
    tear_down(&s);
}
END_TEST

/* Raw. */

START_TEST(test_raw_byte_by_byte)
{
    struct seen s;
    set_up(&s);
    s.raw = true;
    s.fake.dripping = true;
    begin_up(&s);
    ck_assert_int_eq(conn_call_words(s.conn, on_reply, &s, "PING"), -ENOTCONN);
    ck_assert_int_eq(buf_append_str(conn_out(s.conn), "*1\r\n$4\r\nPING\r\n"), 0);
    conn_flush(s.conn);
    conn_expect(s.conn, true);
    fake_until(&s.fake, &s.text_len, 7);
    conn_expect(s.conn, false);
    ck_assert_str_eq(s.text, "+PONG\r\n");
    ck_assert_uint_eq(s.inputs, 7);
    tear_down(&s);
}
END_TEST

START_TEST(test_raw_unused_is_seen_again)
{
    struct seen s;
    set_up(&s);
    s.raw = true;
    begin_up(&s);
    s.use = 0;
    fake_send(fake_last(&s.fake), "abc");
    fake_until(&s.fake, &s.inputs, 1);
    fake_send(fake_last(&s.fake), "def");
    fake_until(&s.fake, &s.inputs, 2);
    ck_assert_uint_eq(s.largest, 6);
    s.use = 4;
    conn_kick(s.conn);
    ck_assert_uint_eq(s.text_len, 0);
    fake_until(&s.fake, &s.inputs, 3);
    ck_assert_str_eq(s.text, "abcd");
    tear_down(&s);
}
END_TEST

START_TEST(test_raw_oversize)
{
    struct seen s;
    static char big[65537];
    set_up(&s);
    s.raw = true;
    begin_up(&s);
    s.use = 0;
    memset(big, 'x', sizeof(big) - 1);
    fake_send(fake_last(&s.fake), big);
    fake_until(&s.fake, &s.down, 1);
    ck_assert_str_eq(s.why, "reply too long");
    tear_down(&s);
}
END_TEST

START_TEST(test_raw_pause)
{
    struct seen s;
    static char big[200001];
    set_up(&s);
    s.raw = true;
    s.fake.endpoint.timeout_ms = 100;
    begin_up(&s);
    memset(big, 'x', sizeof(big) - 1);
    conn_expect(s.conn, true);
    conn_read_pause(s.conn, true);
    fake_send(fake_last(&s.fake), big);
    fake_pass(&s.fake, 250); /* our own pause is not the server's silence */
    ck_assert_uint_eq(s.inputs, 0);
    ck_assert_uint_eq(s.down, 0);
    conn_read_pause(s.conn, false);
    fake_until(&s.fake, &s.inputs, 3);
    ck_assert_uint_le(s.largest, 65536);
    tear_down(&s);
}
END_TEST

START_TEST(test_raw_time_out)
{
    struct seen s;
    set_up(&s);
    s.raw = true;
    s.fake.endpoint.timeout_ms = 50;
    begin_up(&s);
    conn_expect(s.conn, true);
    fake_until(&s.fake, &s.down, 1);
    ck_assert_str_eq(s.why, "no answer for 50ms");
    tear_down(&s);
}
END_TEST

static void on_switch(struct conn *c, const struct reply *r, void *arg)
{
    struct seen *s = arg;
    ck_assert_int_eq(r->type, REPLY_ARRAY);
    s->replies++;
    conn_raw(c);
}

START_TEST(test_raw_from_a_reply_on)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "PSUBSCRIBE", "*2\r\n+a\r\n+b\r\n*1\r\n$1\r\nm\r\n");
    begin_up(&s);
    ck_assert_int_eq(conn_call_words(s.conn, on_switch, &s, "PSUBSCRIBE x"), 0);
    fake_until(&s.fake, &s.text_len, 11);
    ck_assert_uint_eq(s.replies, 1);
    ck_assert_str_eq(s.text, "*1\r\n$1\r\nm\r\n");
    tear_down(&s);
}
END_TEST

/* Giving up, in each place. */

START_TEST(test_reset)
{
    struct seen s;
    set_up(&s);
    begin_up(&s);
    ck_assert_int_eq(conn_call_words(s.conn, on_reply, &s, "PING"), 0);
    conn_reset(s.conn, "because");
    conn_reset(s.conn, "again");
    ck_assert(!conn_is_up(s.conn));
    ck_assert_uint_eq(s.down, 0);
    fake_until(&s.fake, &s.up, 2);
    ck_assert_uint_eq(s.down, 1);
    ck_assert_str_eq(s.why, "because");
    ck_assert(s.was_up);
    ck_assert_uint_eq(s.replies, 0);
    ck_assert_str_eq(fake_log(&s.fake), SHOOK); /* and the PING never left */
    tear_down(&s);
}
END_TEST

static void provoke(struct seen *s)
{
    static char big[40000];
    if (!s->conn || !conn_is_up(s->conn))
        return;
    if (s->raw) {
        fake_send(fake_last(&s->fake), "+x\r\n");
        ck_assert_int_eq(buf_append(conn_out(s->conn), big, sizeof(big)), 0);
        conn_flush(s->conn);
    } else {
        ck_assert_int_eq(conn_call_words(s->conn, on_reply, s, "PING"), 0);
        ck_assert_int_eq(conn_call_words(s->conn, on_reply, s, "PING"), 0);
    }
}

static void give_up(enum when when, bool freeing, bool raw)
{
    struct seen s;
    set_up(&s);
    s.raw = raw;
    *(freeing ? &s.free_when : &s.reset_when) = when;
    begin(&s);
    fake_run(&s.fake, &s.up, 1, 200);
    provoke(&s);
    fake_pass(&s.fake, 20);
    if (when == IN_DOWN && s.conn)
        conn_reset(s.conn, "provoked");
    if (freeing) {
        for (unsigned tries = 0; s.conn && tries < 600; tries++)
            fake_pass(&s.fake, 20);
        ck_assert_ptr_null(s.conn);
        ck_assert_uint_eq(s.down, when == IN_DOWN ? 1 : 0);
    } else {
        s.reset_when = when == IN_DOWN ? IN_DOWN : NEVER;
        fake_until(&s.fake, &s.up, when == IN_IDENTIFIED ? 1 : 2);
        ck_assert_str_eq(s.why, when == IN_DOWN ? "provoked" : "reset by the test");
    }
    tear_down(&s);
}

START_TEST(test_give_up_in_callbacks)
{
    for (int freeing = 0; freeing < 2; freeing++) {
        give_up(IN_IDENTIFIED, freeing, false);
        give_up(IN_UP, freeing, false);
        give_up(IN_UP, freeing, true);
        give_up(IN_DOWN, freeing, false);
        give_up(IN_REPLY, freeing, false);
        give_up(IN_INPUT, freeing, true);
        give_up(IN_DRAINED, freeing, true);
    }
}
END_TEST

START_TEST(test_free_in_each_state)
{
    struct seen s;
    for (unsigned ms = 0; ms < 8; ms++) {
        set_up(&s);
        s.fake.dripping = true;
        begin(&s);
        fake_pass(&s.fake, ms);
        tear_down(&s);
    }
}
END_TEST

START_TEST(test_hold)
{
    struct seen s;
    set_up(&s);
    begin_up(&s);
    conn_hold(s.conn, true);
    ck_assert(conn_is_up(s.conn));
    conn_reset(s.conn, "held");
    fake_pass(&s.fake, 300);
    ck_assert_uint_eq(s.down, 1);
    ck_assert_uint_eq(s.fake.accepted, 1);
    conn_hold(s.conn, false);
    fake_until(&s.fake, &s.up, 2);
    tear_down(&s);
}
END_TEST

UNIT_MAIN("redis/conn", test_no_touch_is_not_for_clusters, test_handshake, test_handshake_byte_by_byte,
          test_tcp_by_name, test_auth_password_alone, test_refused, test_answer_without_a_question,
          test_last_words, test_goes_on_without_rights, test_owner_refuses, test_nobody_listens,
          test_calls_in_order, test_no_answer, test_slow_is_not_silent, test_no_handshake_answer,
          test_output_ceiling, test_server_that_does_not_read, test_raw_byte_by_byte,
          test_raw_unused_is_seen_again, test_raw_oversize, test_raw_pause, test_raw_time_out,
          test_raw_from_a_reply_on, test_reset, test_give_up_in_callbacks, test_free_in_each_state, test_hold)
