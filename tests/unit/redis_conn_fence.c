#include "tests/unit/redis_conn_kit.h"

#include <errno.h>

/* What may still come over connections that were lost (R2). */

static void lose_first_life(struct seen *s)
{
    s->opt.fenced = true;
    begin_up(s);
    fake_drop(fake_last(&s->fake));
    fake_until(&s->fake, &s->down, 1);
    ck_assert(s->was_up);
    ck_assert_str_eq(s->why, "closed by the server");
    fake_rule(&s->fake, "CLIENT ID", ":9\r\n");
}

START_TEST(test_fence_kills_before_up)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "CLIENT KILL", FAKE_SILENCE);
    lose_first_life(&s);
    fake_until(&s.fake, &s.identified, 2);
    fake_pass(&s.fake, 50);
    ck_assert_str_eq(fake_log(&s.fake), SHOOK "CLIENT KILL ID 7\n");
    ck_assert_uint_eq(s.up, 1);
    ck_assert_int_eq(conn_call_words(s.conn, on_reply, &s, "PING"), -ENOTCONN);
    fake_send(fake_last(&s.fake), ":1\r\n");
    fake_until(&s.fake, &s.up, 2);
    ck_assert(conn_is_fenced(s.conn));
    tear_down(&s);
}
END_TEST

START_TEST(test_fence_remembers_until_killed)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "CLIENT KILL", FAKE_CLOSE);
    lose_first_life(&s);
    fake_until(&s.fake, &s.down, 2); /* the second life died in its fence, before it wrote anything */
    (void)fake_log(&s.fake);
    fake_rule(&s.fake, "CLIENT ID", ":11\r\n");
    fake_rule(&s.fake, "CLIENT KILL", "-ERR No such client\r\n");
    fake_until(&s.fake, &s.up, 2);
    ck_assert_str_eq(fake_log(&s.fake), SHOOK "CLIENT KILL ID 7\n");
    ck_assert(conn_is_fenced(s.conn));
    tear_down(&s);
}
END_TEST

#define LIST_WITH "id=70 addr=a name=x \nid=7 addr=b name=id=8 user=a\n"
#define LIST_NONE "id=70 addr=a name=x \nid=9 addr=b name=id=7  a\n"

START_TEST(test_fence_by_list)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "CLIENT KILL", "-NOPERM no\r\n");
    fake_bulk(&s.fake, "CLIENT LIST", LIST_WITH);
    lose_first_life(&s);
    fake_until(&s.fake, &s.identified, 2);
    fake_pass(&s.fake, 150);
    ck_assert_uint_eq(s.up, 1);
    fake_bulk(&s.fake, "CLIENT LIST", LIST_NONE);
    fake_until(&s.fake, &s.up, 2);
    ck_assert_uint_ge(fake_count(&s.fake, "CLIENT LIST"), 2);
    ck_assert(conn_is_fenced(s.conn));
    tear_down(&s);
}
END_TEST

START_TEST(test_no_fence_allowed)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "CLIENT KILL", "-NOPERM no\r\n");
    fake_rule(&s.fake, "CLIENT LIST", "-NOPERM no\r\n");
    lose_first_life(&s);
    fake_until(&s.fake, &s.up, 2);
    ck_assert(!conn_is_fenced(s.conn));
    tear_down(&s);
}
END_TEST

START_TEST(test_no_id_no_fence)
{
    struct seen s;
    set_up(&s);
    fake_rule(&s.fake, "CLIENT ID", "-NOPERM no\r\n");
    lose_first_life(&s);
    fake_until(&s.fake, &s.up, 2);
    ck_assert(!conn_is_fenced(s.conn));
    ck_assert_str_eq(fake_log(&s.fake), SHOOK);
    tear_down(&s);
}
END_TEST

START_TEST(test_another_process_needs_no_fence)
{
    struct seen s;
    set_up(&s);
    s.opt.fenced = true;
    begin_up(&s);
    fake_bulk(&s.fake, "INFO server", "run_id:bbbb\r\n");
    fake_drop(fake_last(&s.fake));
    fake_until(&s.fake, &s.up, 2);
    ck_assert_str_eq(fake_log(&s.fake), SHOOK);
    ck_assert(conn_is_fenced(s.conn));
    tear_down(&s);
}
END_TEST

START_TEST(test_fence_of_an_earlier_process)
{
    struct seen s;
    set_up(&s);
    s.opt.fenced = true;
    s.opt.former = (const struct conn_former[]){{3, "aaaa"}, {4, "bbbb"}, {5, "aaaa"}};
    s.opt.nformer = 3;
    fake_rule(&s.fake, "CLIENT KILL", ":0\r\n");
    begin(&s);
    fake_until(&s.fake, &s.up, 1);
    ck_assert_str_eq(fake_log(&s.fake), SHOOK "CLIENT KILL ID 3\nCLIENT KILL ID 5\n");
    ck_assert_str_eq(s.dead, "3 of aaaa, 5 of aaaa, ");
    ck_assert(conn_is_fenced(s.conn));
    tear_down(&s);
}
END_TEST

START_TEST(test_no_fence_while_one_of_an_earlier_process_may_live)
{
    struct seen s;
    set_up(&s);
    s.opt.fenced = true;
    s.opt.former = (const struct conn_former[]){{3, "aaaa"}, {5, "aaaa"}};
    s.opt.nformer = 2;
    fake_rule(&s.fake, "CLIENT KILL", "-NOPERM no\r\n");
    fake_rule(&s.fake, "CLIENT LIST", "-NOPERM no\r\n");
    fake_rule(&s.fake, "CLIENT KILL ID 3", ":1\r\n");
    begin_up(&s);
    ck_assert(!conn_is_fenced(s.conn));
    ck_assert_str_eq(s.dead, "3 of aaaa, ");
    fake_rule(&s.fake, "CLIENT KILL", ":1\r\n");
    (void)fake_log(&s.fake);
    fake_drop(fake_last(&s.fake));
    fake_until(&s.fake, &s.up, 2);
    ck_assert_str_eq(fake_log(&s.fake), SHOOK "CLIENT KILL ID 7\nCLIENT KILL ID 5\n");
    ck_assert(conn_is_fenced(s.conn));
    tear_down(&s);
}
END_TEST

UNIT_MAIN("redis/conn, the fence", test_fence_kills_before_up, test_fence_remembers_until_killed,
          test_fence_by_list, test_no_fence_allowed, test_no_id_no_fence, test_another_process_needs_no_fence,
          test_fence_of_an_earlier_process, test_no_fence_while_one_of_an_earlier_process_may_live)
