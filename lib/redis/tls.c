/* tls.c - see tls.h. */
#include "lib/redis/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/loop.h"

struct tls {
    SSL_CTX *context, *prepared; /* the one that holds; the one that may be next, or NULL */
    BIO_METHOD *socket;
    enum tls_verify verify;
    char *ca_file, *cert_file, *key_file, *server_name; /* each may be NULL */
};

/* One connection over TLS. */
struct session {
    SSL *ssl;
    struct transport under; /* the plain one */
    bool connected, closed; /* its socket: the way is open; the peer has closed */
    int err;                /* of its socket: a negative errno, or 0 */
    char why[TRANSPORT_WHY_MAX];
};

/* What OpenSSL says went wrong, and forgets it. */
static const char *reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;

    if (!text && code && ERR_GET_LIB(code) == ERR_LIB_SYS)
        text = strerror(ERR_GET_REASON(code));
    ERR_clear_error();
    return text ? text : "no reason is known";
}

/* The way to the socket. OpenSSL's own uses write(), which may raise SIGPIPE. */

static int take_result(struct session *s, BIO *bio, ssize_t n, void (*again)(BIO *bio))
{
    BIO_clear_retry_flags(bio);
    if (n == -EAGAIN)
        again(bio);
    else if (n < 0)
        s->err = (int)n;
    return n < 0 ? -1 : (int)n;
}

static void again_reading(BIO *bio)
{
    BIO_set_retry_read(bio);
}

static void again_writing(BIO *bio)
{
    BIO_set_retry_write(bio);
}

static int socket_read(BIO *bio, char *out, int size)
{
    struct session *s = BIO_get_data(bio);
    ssize_t n = s->under.ops->recv(&s->under, out, (size_t)size);

    s->closed |= n == 0;
    return take_result(s, bio, n, again_reading);
}

static int socket_write(BIO *bio, const char *from, int size)
{
    struct session *s = BIO_get_data(bio);
    return take_result(s, bio, s->under.ops->send(&s->under, from, (size_t)size), again_writing);
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    const struct session *s = BIO_get_data(bio);
    (void)number, (void)pointer;
    return command == BIO_CTRL_EOF ? s->closed : command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "riot socket");

    if (m && BIO_meth_set_read(m, socket_read) && BIO_meth_set_write(m, socket_write) &&
        BIO_meth_set_ctrl(m, socket_control))
        return m;
    BIO_meth_free(m);
    return NULL;
}

/* Files. */

/* A key with a passphrase is refused: nobody is there to be asked. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static int wrong_file(char why[TLS_WHY_MAX], const char *what, const char *file)
{
    snprintf(why, TLS_WHY_MAX, "%s %s: %s", what, file, reason());
    return -EINVAL;
}

static int load_trusted(SSL_CTX *context, const struct tls *t, char why[TLS_WHY_MAX])
{
    if (!t->ca_file) {
        SSL_CTX_set_default_verify_paths(context);
        ERR_clear_error();
        return 0;
    }
    return SSL_CTX_load_verify_file(context, t->ca_file) == 1 ? 0 : wrong_file(why, "ca_file", t->ca_file);
}

static int load_own(SSL_CTX *context, const struct tls *t, char why[TLS_WHY_MAX])
{
    if (!t->cert_file)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(context, t->cert_file) != 1)
        return wrong_file(why, "cert_file", t->cert_file);
    /* Checks that it belongs to the certificate, too. */
    if (SSL_CTX_use_PrivateKey_file(context, t->key_file, SSL_FILETYPE_PEM) != 1)
        return wrong_file(why, "key_file", t->key_file);
    return 0;
}

static void set_rules(SSL_CTX *context, enum tls_verify verify)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, verify == TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
}

int tls_prepare(struct tls *t, char why[TLS_WHY_MAX])
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    snprintf(why, TLS_WHY_MAX, "out of memory");
    if (!context)
        return -ENOMEM;
    set_rules(context, t->verify);
    int err = load_trusted(context, t, why);
    if (!err)
        err = load_own(context, t, why);
    if (err) {
        SSL_CTX_free(context);
        return err;
    }
    tls_drop(t);
    t->prepared = context;
    return 0;
}

void tls_take(struct tls *t)
{
    if (!t->prepared)
        return;
    SSL_CTX_free(t->context); /* connections hold it until they end */
    t->context = t->prepared;
    t->prepared = NULL;
}

void tls_drop(struct tls *t)
{
    SSL_CTX_free(t->prepared);
    t->prepared = NULL;
}

static int copy(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

int tls_new(const struct tls_options *opt, char why[TLS_WHY_MAX], struct tls **ret)
{
    struct tls *t = calloc(1, sizeof(*t));

    snprintf(why, TLS_WHY_MAX, "out of memory");
    if (!t)
        return -ENOMEM;
    t->verify = opt->verify;
    t->socket = socket_method();
    int err = t->socket ? 0 : -ENOMEM;
    err = err ? err : copy(&t->ca_file, opt->ca_file);
    err = err ? err : copy(&t->cert_file, opt->cert_file);
    err = err ? err : copy(&t->key_file, opt->key_file);
    err = err ? err : copy(&t->server_name, opt->server_name);
    err = err ? err : tls_prepare(t, why);
    if (err) {
        tls_free(t);
        return err;
    }
    tls_take(t);
    *ret = t;
    return 0;
}

struct tls *tls_free(struct tls *t)
{
    if (!t)
        return NULL;
    tls_drop(t);
    SSL_CTX_free(t->context);
    BIO_meth_free(t->socket);
    free(t->ca_file);
    free(t->cert_file);
    free(t->key_file);
    free(t->server_name);
    free(t);
    return NULL;
}

/* One connection. */

static struct session *session_of(const struct transport *t)
{
    return t->state;
}

/* A text for people, of what a call of OpenSSL failed with; and an errno. */
static int failed(struct session *s, int error)
{
    long verified = SSL_get_verify_result(s->ssl);

    if (s->err || error == SSL_ERROR_SYSCALL) {
        ERR_clear_error();
        return s->err ? s->err : -ECONNRESET;
    }
    if (verified != X509_V_OK && SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE)
        snprintf(s->why, sizeof(s->why), "certificate: %s", X509_verify_cert_error_string(verified));
    else
        snprintf(s->why, sizeof(s->why), "TLS: %s", reason());
    ERR_clear_error();
    return -EPROTO;
}

/* What came of a call of OpenSSL that gave no bytes. 0: closed by the peer. */
static int outcome(struct transport *t, int result)
{
    struct session *s = session_of(t);
    int error = SSL_get_error(s->ssl, result);

    switch (error) {
    case SSL_ERROR_WANT_READ:
        t->wants = IO_READ;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        t->wants = IO_WRITE;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return failed(s, error);
    }
}

static int tls_opened(struct transport *t)
{
    struct session *s = session_of(t);

    if (!s->connected) {
        int err = s->under.ops->opened(&s->under);
        if (err)
            return err;
        s->connected = true;
        snprintf(s->why, sizeof(s->why), "TLS: no answer in the handshake");
    }
    ERR_clear_error();
    int result = SSL_connect(s->ssl);
    if (result == 1) {
        s->why[0] = '\0';
        return 0;
    }
    int err = outcome(t, result);
    if (err)
        return err;
    snprintf(s->why, sizeof(s->why), "TLS: closed by the server in the handshake");
    return -EPROTO;
}

/* A record holds 16 KiB: goes on until there is no room, or no more. */
static ssize_t tls_recv(struct transport *t, void *out, size_t n)
{
    struct session *s = session_of(t);
    size_t got = 0, now;
    int result = 1;

    ERR_clear_error();
    while (got < n && (result = SSL_read_ex(s->ssl, (char *)out + got, n - got, &now)) == 1)
        got += now;
    return got ? (ssize_t)got : outcome(t, result);
}

static ssize_t tls_send(struct transport *t, const void *ptr, size_t n)
{
    struct session *s = session_of(t);
    size_t sent = 0, now;
    int result = 1;

    ERR_clear_error();
    while (sent < n && (result = SSL_write_ex(s->ssl, (const char *)ptr + sent, n - sent, &now)) == 1)
        sent += now;
    if (sent)
        return (ssize_t)sent;
    int err = outcome(t, result);
    return err ? err : -EPIPE;
}

static bool tls_pending(const struct transport *t)
{
    return SSL_pending(session_of(t)->ssl) >
           0; /* of a record that is decrypted; parts of one are waited for */
}

static const char *tls_why(const struct transport *t)
{
    return session_of(t)->why;
}

static void tls_close(struct transport *t)
{
    struct session *s = session_of(t);

    /* Without a farewell: RESP tells where a reply ends, and the socket may be blocked. */
    SSL_free(s->ssl);
    ERR_clear_error();
    s->under.ops->close(&s->under);
    free(s);
}

static const struct transport_ops tls_ops = {tls_opened, tls_recv, tls_send, tls_pending, tls_why, tls_close};

static bool is_address(const char *name)
{
    char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static bool expect_name(const struct tls *t, const char *name, SSL *ssl)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    bool address = is_address(name);

    if (!address && SSL_set_tlsext_host_name(ssl, name) != 1)
        return false;
    if (t->verify != TLS_VERIFY_FULL)
        return true;
    if (address)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

int tls_wrap(struct tls *t, const char *host, struct transport *transport)
{
    struct session *s = calloc(1, sizeof(*s));
    BIO *bio = s ? BIO_new(t->socket) : NULL;

    if (bio)
        s->ssl = SSL_new(t->context);
    if (!bio || !s->ssl || !expect_name(t, t->server_name ? t->server_name : host, s->ssl)) {
        if (s)
            SSL_free(s->ssl);
        BIO_free(bio);
        free(s);
        ERR_clear_error();
        return -ENOMEM;
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    s->under = *transport;
    *transport = (struct transport){.ops = &tls_ops, .fd = s->under.fd, .wants = IO_WRITE, .state = s};
    return 0;
}
