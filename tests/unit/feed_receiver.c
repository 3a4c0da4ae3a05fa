/* A server that does what no server is asked to do: it sends a byte at a time, and what the test tells it to.
 */
#include "tests/unit/feed_kit.h"

#include <poll.h>

#define FAKE_CLIENTS 16
#define CHANNEL      "$20\r\n__redis__:invalidate\r\n"

static struct fake {
    int fd; /* 0: none */
    bool subscribed;
    struct buf in;
} clients[FAKE_CLIENTS];
static const char *tracking = "on";

static void say(int fd, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, text + at, len - at);
        if (n <= 0)
            return;
        at += (size_t)n;
    }
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

static void say_info(int fd)
{
    static unsigned commands;
    char text[512], reply[600];

    snprintf(text, sizeof(text),
             "redis_version:7.0.0\r\nrun_id:r\r\nrole:master\r\nmaster_replid:i\r\nloading:0\r\n"
             "total_commands_processed:%u\r\ncmdstat_info:calls=1,usec=1\r\n",
             ++commands);
    snprintf(reply, sizeof(reply), "$%zu\r\n%s\r\n", strlen(text), text);
    say_text(fd, reply);
}

static void say_trackinginfo(int fd)
{
    char reply[256];
    int receiver = 0;

    for (size_t i = 0; i < FAKE_CLIENTS; i++)
        if (clients[i].subscribed)
            receiver = clients[i].fd;
    snprintf(reply, sizeof(reply),
             "*4\r\n$5\r\nflags\r\n*2\r\n$5\r\nbcast\r\n$%zu\r\n%s\r\n$8\r\nredirect\r\n:%d\r\n",
             strlen(tracking), tracking, receiver);
    say_text(fd, reply);
}

/* To the subscriber, each byte by itself. */
static void push(struct bytes what)
{
    for (size_t i = 0; i < FAKE_CLIENTS; i++) {
        for (size_t at = 0; clients[i].subscribed && at < what.len; at++) {
            say(clients[i].fd, what.ptr + at, 1);
            usleep(300);
        }
    }
}

static void answer(struct fake *c, size_t argc, const struct bytes *argv)
{
    char id[32];

    if (bytes_is(argv[0], "INFO")) {
        say_info(c->fd);
    } else if (bytes_is(argv[0], "SUBSCRIBE")) {
        c->subscribed = true;
        say_text(c->fd, "*3\r\n$9\r\nsubscribe\r\n" CHANNEL ":1\r\n");
    } else if (bytes_is(argv[0], "PING")) {
        say_text(c->fd, c->subscribed ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n");
    } else if (bytes_is(argv[0], "PUSH")) {
        push(argv[1]);
        say_text(c->fd, "+OK\r\n");
    } else if (bytes_is(argv[0], "BREAK")) {
        tracking = "broken_redirect";
        say_text(c->fd, "+OK\r\n");
    } else if (argc > 1 && bytes_is(argv[1], "ID")) {
        snprintf(id, sizeof(id), ":%d\r\n", c->fd);
        say_text(c->fd, id);
    } else if (argc > 1 && bytes_is(argv[1], "TRACKING")) {
        tracking = "on";
        say_text(c->fd, "+OK\r\n");
    } else if (argc > 1 && bytes_is(argv[1], "TRACKINGINFO")) {
        say_trackinginfo(c->fd);
    } else {
        say_text(c->fd, "+OK\r\n");
    }
}

static void serve(struct fake *c)
{
    struct bytes argv[16];
    char scratch[4096], *to;
    size_t argc;

    ssize_t n = buf_reserve(&c->in, 65536, &to) == 0 ? read(c->fd, to, 65536) : 0;
    if (n <= 0) {
        close(c->fd);
        buf_free(&c->in);
        *c = (struct fake){0};
        return;
    }
    buf_commit(&c->in, (size_t)n);
    struct bytes in = buf_bytes(&c->in);
    while (resp_request(&in, argv, ARRAY_LEN(argv), scratch, sizeof(scratch), &argc) == 0)
        if (argc > 0)
            answer(c, argc, argv);
    buf_consume(&c->in, buf_len(&c->in) - in.len);
}

static void take_client(int listener)
{
    for (size_t i = 0; i < FAKE_CLIENTS; i++) {
        if (clients[i].fd != 0)
            continue;
        clients[i].fd = accept(listener, NULL, NULL);
        buf_init(&clients[i].in, MIB);
        return;
    }
}

static void run_fake(int listener)
{
    for (;;) {
        struct pollfd fds[FAKE_CLIENTS + 1] = {{.fd = listener, .events = POLLIN}};
        for (size_t i = 0; i < FAKE_CLIENTS; i++)
            fds[i + 1] = (struct pollfd){.fd = clients[i].fd != 0 ? clients[i].fd : -1, .events = POLLIN};
        poll(fds, FAKE_CLIENTS + 1, -1);
        if (fds[0].revents != 0)
            take_client(listener);
        for (size_t i = 0; i < FAKE_CLIENTS; i++)
            if (fds[i + 1].revents != 0)
                serve(&clients[i]);
    }
}

static void fake_begin(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    kit_begin(NULL);
    kit_server_stop();
    unlink(kit.socket);
    memcpy(addr.sun_path, kit.socket, strlen(kit.socket) + 1);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
    kit.server = fork();
    if (kit.server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_IGN);
        run_fake(listener);
    }
    close(listener);
    ck_assert(kit_connect());
}

static void tell_push(const char *what)
{
    char request[1024];
    int n = snprintf(request, sizeof(request), "*2\r\n$4\r\nPUSH\r\n$%zu\r\n%s\r\n", strlen(what), what);
    ck_assert_str_eq(kit_send(request, (size_t)n), "OK");
}

#define MESSAGE(payload) "*3\r\n$7\r\nmessage\r\n" CHANNEL payload

START_TEST(keys_come_in_bytes)
{
    fake_begin();
    kit_ready(FEED_TRACKING);
    tell_push(MESSAGE("*3\r\n$3\r\nk:1\r\n$3\r\nk:2\r\n$0\r\n\r\n") MESSAGE("*1\r\n$3\r\nk:3\r\n"));
    kit_barrier();
    ck_assert_uint_eq(kit.marks, 4);
    ck_assert(kit.seen[1] && kit.seen[2] && kit.seen[3]);
    ck_assert_uint_eq(kit.gap, 0);
    kit_end();
}
END_TEST

START_TEST(both_forms_of_nil_are_flushes)
{
    static const char *const forms[] = {"$-1\r\n", "*-1\r\n"};

    fake_begin();
    kit_ready(FEED_TRACKING);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        char text[128];
        snprintf(text, sizeof(text), MESSAGE("%s"), forms[i]);
        tell_push(text);
        kit_expect_gap("the source was flushed");
    }
    kit_end();
}
END_TEST

START_TEST(what_is_no_invalidation_is_passed_over)
{
    fake_begin();
    kit_ready(FEED_TRACKING);
    tell_push(MESSAGE("$3\r\nk:1\r\n")
                  MESSAGE("*0\r\n") "*3\r\n$5\r\nother\r\n$1\r\nx\r\n*1\r\n$3\r\nk:2\r\n"
                                    "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n*1\r\n$3\r\nk:4\r\n$1\r\ny\r\n");
    tell_push(MESSAGE("*1\r\n$3\r\nk:3\r\n"));
    kit_barrier();
    ck_assert_uint_eq(kit.marks, 1);
    ck_assert(kit.seen[3]);
    kit_end();
}
END_TEST

START_TEST(what_is_no_resp_is_a_gap)
{
    fake_begin();
    kit_ready(FEED_TRACKING);
    tell_push("*3\r\nhello\r\n");
    kit_expect_gap("no RESP2");
    kit_end();
}
END_TEST

START_TEST(tracking_that_ended_is_a_gap)
{
    fake_begin();
    kit_ready(FEED_TRACKING);
    kit_ask("BREAK");
    kit_expect_gap("the server ended CLIENT TRACKING");
    /* and before a barrier's end */
    kit_ask("BREAK");
    kit_barrier();
    ck_assert_int_eq(kit.barrier_err, -ECANCELED);
    kit_end();
}
END_TEST

UNIT_MAIN("feed/receiver", keys_come_in_bytes, both_forms_of_nil_are_flushes,
          what_is_no_invalidation_is_passed_over, what_is_no_resp_is_a_gap, tracking_that_ended_is_a_gap)
