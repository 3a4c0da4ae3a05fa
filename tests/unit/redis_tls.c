/* A connection over TLS, to a server in a process of its own: tests/integration/test_tls.py has the rest. */
#include "lib/redis/conn.h"
#include "tests/unit/redis_fake.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/wait.h>

#define FLOOD     (32 * MIB)
#define IN_MAX    100000        /* no multiple of a record */
#define TURN_MOST (16 * IN_MAX) /* four reads make a turn */

/* The server. */

static SSL_CTX *server_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *own = X509_new();

    ck_assert(X509_gmtime_adj(X509_getm_notBefore(own), 0) &&
              X509_gmtime_adj(X509_getm_notAfter(own), 3600) && X509_set_pubkey(own, key) &&
              X509_sign(own, key, EVP_sha256()));
    ck_assert(SSL_CTX_use_certificate(context, own) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1);
    X509_free(own);
    EVP_PKEY_free(key);
    return context;
}

static void say(SSL *ssl, const char *text)
{
    (void)SSL_write(ssl, text, (int)strlen(text));
}

static void flood(SSL *ssl)
{
    static const char zeros[64 * KIB];
    for (size_t sent = 0; sent < FLOOD; sent += sizeof(zeros))
        if (SSL_write(ssl, zeros, sizeof(zeros)) <= 0)
            return;
}

static void answer(SSL *ssl, const char *request)
{
    if (strstr(request, "SETNAME"))
        say(ssl, "+OK\r\n");
    else if (strstr(request, "INFO"))
        say(ssl, "$37\r\nredis_version:7.0.15\r\nrole:master\r\n\r\n\r\n");
    else if (strstr(request, "FLOOD"))
        flood(ssl);
    else
        say(ssl, ":7\r\n");
}

static void serve(int listener, SSL_CTX *context)
{
    char request[4096];
    SSL *ssl = SSL_new(context);
    int n;

    signal(SIGPIPE, SIG_IGN);
    SSL_set_fd(ssl, accept(listener, NULL, NULL));
    if (SSL_accept(ssl) == 1)
        while ((n = SSL_read(ssl, request, sizeof(request) - 1)) > 0) {
            request[n] = '\0';
            answer(ssl, request);
        }
    _exit(0);
}

/* The client. */

struct seen {
    struct loop *loop;
    struct endpoint endpoint;
    struct conn *conn;
    struct timer *tick;
    size_t up, got, since_tick, most;
    pid_t server;
};

static void on_up(struct conn *c, void *arg)
{
    struct seen *s = arg;
    s->up++;
    conn_raw(c);
}

/* Slower than the server is. */
static size_t on_input(struct conn *c, struct bytes in, void *arg)
{
    struct seen *s = arg;
    uint64_t until_us = clock_mono_us() + 500;
    (void)c;

    while (clock_mono_us() < until_us)
        ;
    s->got += in.len;
    s->since_tick += in.len;
    s->most = MAX(s->most, s->since_tick);
    return in.len;
}

static void on_tick(void *arg)
{
    struct seen *s = arg;
    s->since_tick = 0;
    timer_set(s->tick, 1000);
}

static void until(struct seen *s, const size_t *count, size_t n)
{
    struct fake f = {.loop = s->loop};
    ck_assert(fake_run(&f, count, n, 30000));
}

static void begin(struct seen *s)
{
    const struct conn_events ev = {.up = on_up, .input = on_input};
    const struct conn_options opt = {
        .endpoint = &s->endpoint, .role = "read", .in_max = IN_MAX, .out_max = 65536, .out_high = 32768};
    const struct tls_options tls = {.verify = TLS_VERIFY_NONE};
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    char why[TLS_WHY_MAX];

    *s = (struct seen){.endpoint = {.side = "source", .timeout_ms = 20000, .client = "riotd:x:1"}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(!bind(listener, (struct sockaddr *)&addr, len) && !listen(listener, 1) &&
              !getsockname(listener, (struct sockaddr *)&addr, &len));
    s->endpoint.url =
        (struct url){.host = (char *)"127.0.0.1", .port = ntohs(addr.sin_port), .db = URL_DB_NONE};
    SSL_CTX *context = server_context();
    s->server = fork();
    if (s->server == 0)
        serve(listener, context);
    SSL_CTX_free(context);
    close(listener);
    ck_assert_int_eq(loop_new(&s->loop), 0);
    ck_assert_int_eq(tls_new(&tls, why, &s->endpoint.tls), 0);
    ck_assert_int_eq(timer_new(s->loop, on_tick, s, &s->tick), 0);
    ck_assert_int_eq(conn_new(s->loop, &opt, &ev, s, &s->conn), 0);
    until(s, &s->up, 1);
}

static void end(struct seen *s)
{
    conn_free(s->conn);
    timer_free(s->tick);
    loop_free(s->loop);
    tls_free(s->endpoint.tls);
    waitpid(s->server, NULL, 0);
}

/* What a record still holds is read in the next turn: timers, signals and other connections have theirs. */
START_TEST(test_a_server_that_is_faster_than_we_are)
{
    struct seen s;

    begin(&s);
    on_tick(&s);
    ck_assert_int_eq(buf_append_str(conn_out(s.conn), "*1\r\n$5\r\nFLOOD\r\n"), 0);
    conn_flush(s.conn);
    until(&s, &s.got, FLOOD);
    ck_assert_uint_eq(s.got, FLOOD);
    ck_assert_uint_le(s.most, TURN_MOST);
    end(&s);
}
END_TEST

UNIT_MAIN("redis/tls", test_a_server_that_is_faster_than_we_are)
