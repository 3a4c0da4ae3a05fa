/* redis_conn_kit.h - one connection to a fake server, and what it told. */
#ifndef RIOT_TEST_REDIS_CONN_KIT_H
#define RIOT_TEST_REDIS_CONN_KIT_H

#include "lib/redis/conn.h"
#include "tests/unit/redis_fake.h"

enum when { NEVER, IN_IDENTIFIED, IN_UP, IN_DOWN, IN_INPUT, IN_DRAINED, IN_REPLY };

struct seen {
    struct fake fake;
    struct conn_options opt;
    struct conn *conn;
    size_t identified, up, down, inputs, drained, replies;
    bool was_up;
    char why[256], text[65536], dead[64];
    size_t text_len, use; /* use: at most so many bytes of an input */
    size_t largest;       /* input */
    int refuse;
    bool raw;
    enum when free_when, reset_when;
};

static void act(struct seen *s, enum when now)
{
    if (s->free_when == now)
        s->conn = conn_free(s->conn);
    else if (s->reset_when == now)
        conn_reset(s->conn, "reset by the test");
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    struct seen *s = arg;
    s->identified++;
    ck_assert(!conn_is_up(c));
    ck_assert_ptr_eq(id, conn_server(c));
    ck_assert_uint_eq(client_id, conn_client_id(c));
    if (s->refuse)
        *why = "not this one";
    act(s, IN_IDENTIFIED);
    return s->refuse;
}

static void on_dead(const struct conn_former *former, void *arg)
{
    struct seen *s = arg;
    size_t n = strlen(s->dead);
    snprintf(s->dead + n, sizeof(s->dead) - n, "%d of %s, ", (int)former->client_id, former->run_id);
}

static void on_up(struct conn *c, void *arg)
{
    struct seen *s = arg;
    s->up++;
    ck_assert(conn_is_up(c));
    if (s->raw)
        conn_raw(c);
    act(s, IN_UP);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct seen *s = arg;
    s->down++;
    s->was_up = was_up;
    ck_assert(!conn_is_up(c));
    snprintf(s->why, sizeof(s->why), "%s", why);
    act(s, IN_DOWN);
}

static size_t on_input(struct conn *c, struct bytes in, void *arg)
{
    struct seen *s = arg;
    size_t n = MIN(in.len, s->use);
    (void)c;
    s->inputs++;
    s->largest = MAX(s->largest, in.len);
    if (s->text_len + n < sizeof(s->text)) {
        memcpy(s->text + s->text_len, in.ptr, n);
        s->text_len += n;
    }
    act(s, IN_INPUT);
    return n;
}

static void on_drained(struct conn *c, void *arg)
{
    struct seen *s = arg;
    s->drained++;
    ck_assert(!conn_is_full(c));
    act(s, IN_DRAINED);
}

static void on_reply(struct conn *c, const struct reply *r, void *arg)
{
    struct seen *s = arg;
    (void)c;
    s->replies++;
    snprintf(s->text, sizeof(s->text), "%.*s", (int)r->text.len, r->text.ptr ? r->text.ptr : "");
    act(s, IN_REPLY);
}

static void set_up(struct seen *s)
{
    *s = (struct seen){.use = SIZE_MAX};
    fake_init(&s->fake);
    s->opt = (struct conn_options){
        .endpoint = &s->fake.endpoint, .role = "read", .in_max = 65536, .out_max = 65536, .out_high = 32768};
}

static void begin(struct seen *s)
{
    const struct conn_events ev = {on_identified, on_dead, on_up, on_down, on_input, on_drained};
    ck_assert_int_eq(conn_new(s->fake.loop, &s->opt, &ev, s, &s->conn), 0);
    ck_assert(!conn_is_up(s->conn));
}

static void begin_up(struct seen *s)
{
    begin(s);
    fake_until(&s->fake, &s->up, 1);
    (void)fake_log(&s->fake);
}

static void tear_down(struct seen *s)
{
    s->conn = conn_free(s->conn);
    fake_done(&s->fake);
}

#define SHOOK                                                                                                \
    "CLIENT SETNAME riotd:x:1:read\n"                                                                        \
    "CLIENT ID\n"                                                                                            \
    "INFO server\n"                                                                                          \
    "INFO replication\n"

#endif
