#include "lib/redis/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define DEFAULT_PORT 6379
#define HOST_MAX     253

/* No part of the input is ever repeated in `why`: it might be the password that should not be there. */
static int wrong(char why[URL_WHY_MAX], const char *text)
{
    snprintf(why, URL_WHY_MAX, "%s", text);
    return -EINVAL;
}

static bool only(struct bytes b, bool (*ok)(unsigned char c))
{
    for (size_t i = 0; i < b.len; i++) {
        if (!ok((unsigned char)b.ptr[i]))
            return false;
    }
    return true;
}

static bool host_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static bool user_char(unsigned char c)
{
    return c > ' ' && c < 0x7f && !strchr("%/?#[]@:\"\\", c);
}

static bool path_char(unsigned char c)
{
    return c >= ' ' && c != 0x7f;
}

static int take_db(struct bytes text, struct url *u, char why[URL_WHY_MAX])
{
    uint64_t db;
    if (bytes_to_u64(text, &db) < 0 || db > URL_DB_MAX)
        return wrong(why, "the database must be a number from 0 to 1000000");
    u->db = (int)db;
    return 0;
}

static int copy(struct bytes b, char **ret)
{
    char *text = bytes_dup(b);
    if (!text)
        return -ENOMEM;
    *ret = text;
    return 0;
}

static int take_user(struct bytes user, struct url *u, char why[URL_WHY_MAX])
{
    if (memchr(user.ptr, ':', user.len))
        return wrong(why, "a password does not belong into a URL: use password_file or password_credential");
    if (user.len == 0)
        return wrong(why, "there is no user before the @");
    if (!only(user, user_char))
        return wrong(why, "the user has characters that cannot stand in a URL");
    return copy(user, &u->user);
}

static int take_port(struct bytes text, struct url *u, char why[URL_WHY_MAX])
{
    uint64_t port;
    if (bytes_to_u64(text, &port) < 0 || port < 1 || port > UINT16_MAX)
        return wrong(why, "the port must be a number from 1 to 65535");
    u->port = (uint16_t)port;
    return 0;
}

/* In `in` stands what follows the opening bracket. */
static int take_ipv6(struct bytes *in, struct url *u, char why[URL_WHY_MAX])
{
    const char *end = memchr(in->ptr, ']', in->len);
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    size_t len = end ? (size_t)(end - in->ptr) : 0;
    if (!end || len >= sizeof(text))
        return wrong(why, "what stands in brackets is no IPv6 address");
    memcpy(text, in->ptr, len);
    text[len] = '\0';
    if (strlen(text) != len || inet_pton(AF_INET6, text, &addr) != 1 ||
        !inet_ntop(AF_INET6, &addr, text, sizeof(text)))
        return wrong(why, "what stands in brackets is no IPv6 address");
    *in = bytes_of(end + 1, in->len - len - 1);
    return copy(bytes_str(text), &u->host);
}

static int take_name(struct bytes *in, struct url *u, char why[URL_WHY_MAX])
{
    const char *colon = in->len > 0 ? memchr(in->ptr, ':', in->len) : NULL;
    struct bytes host = bytes_of(in->ptr, colon ? (size_t)(colon - in->ptr) : in->len);
    if (colon && memchr(colon + 1, ':', in->len - host.len - 1))
        return wrong(why, "an IPv6 address must stand in brackets");
    if (host.len == 0)
        return wrong(why, "there is no host");
    if (host.len > HOST_MAX || !only(host, host_char))
        return wrong(why, "the host is no name and no address");
    *in = bytes_of(in->ptr + host.len, in->len - host.len);
    return copy(host, &u->host);
}

static int take_host_port(struct bytes in, struct url *u, char why[URL_WHY_MAX])
{
    int err;
    if (in.len > 0 && in.ptr[0] == '[') {
        in = bytes_of(in.ptr + 1, in.len - 1);
        err = take_ipv6(&in, u, why);
    } else {
        err = take_name(&in, u, why);
    }
    if (err < 0 || in.len == 0)
        return err;
    if (in.ptr[0] != ':')
        return wrong(why, "after the host, only :port and /db may follow");
    return take_port(bytes_of(in.ptr + 1, in.len - 1), u, why);
}

/* [user@]host[:port][/db]; the last @ counts, so that a password with an @ in it is still seen as one. */
static int parse_tcp(struct bytes in, struct url *u, char why[URL_WHY_MAX])
{
    const char *at = in.len > 0 ? memrchr(in.ptr, '@', in.len) : NULL;
    if (at) {
        size_t len = (size_t)(at - in.ptr);
        int err = take_user(bytes_of(in.ptr, len), u, why);
        if (err < 0)
            return err;
        in = bytes_of(at + 1, in.len - len - 1);
    }
    if (in.len > 0 && (memchr(in.ptr, '?', in.len) || memchr(in.ptr, '#', in.len)))
        return wrong(why, "no ? or # may stand in it: the database is written as /db");
    u->port = DEFAULT_PORT;
    struct bytes place = bytes_cut(&in, '/');
    int err = take_host_port(place, u, why);
    if (err < 0 || in.len == 0)
        return err;
    return take_db(in, u, why);
}

static int parse_unix(struct bytes in, struct url *u, char why[URL_WHY_MAX])
{
    struct bytes path = bytes_cut(&in, '?');
    if (path.len < 2 || path.ptr[0] != '/' || !only(path, path_char))
        return wrong(why, "a unix URL needs an absolute path: unix:///path/to/socket");
    if (path.len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return wrong(why, "the path is longer than a socket's may be (107 bytes)");
    if (in.len > 0) {
        if (!bytes_starts(in, "db="))
            return wrong(why, "only ?db=N may follow the path");
        int err = take_db(bytes_of(in.ptr + 3, in.len - 3), u, why);
        if (err < 0)
            return err;
    }
    return copy(path, &u->path);
}

int url_make_text(struct url *u)
{
    char db[16] = "";
    int n;
    if (u->path) {
        if (u->db != URL_DB_NONE)
            snprintf(db, sizeof(db), "?db=%d", u->db);
        n = asprintf(&u->text, "unix://%s%s", u->path, db);
    } else {
        bool v6 = strchr(u->host, ':') != NULL;
        if (u->db != URL_DB_NONE)
            snprintf(db, sizeof(db), "/%d", u->db);
        n = asprintf(&u->text, "%s://%s%s%s%s%s:%u%s", u->tls ? "rediss" : "redis", u->user ? u->user : "",
                     u->user ? "@" : "", v6 ? "[" : "", u->host, v6 ? "]" : "", u->port, db);
    }
    if (n < 0) {
        u->text = NULL; /* asprintf leaves it undefined */
        return -ENOMEM;
    }
    return 0;
}

static int parse(struct bytes in, struct url *u, char why[URL_WHY_MAX])
{
    static const struct {
        const char *scheme;
        bool tls;
        int (*fn)(struct bytes in, struct url *u, char why[URL_WHY_MAX]);
    } table[] = {
        {"redis://", false, parse_tcp}, {"rediss://", true, parse_tcp}, {"unix://", false, parse_unix}};

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        size_t len = strlen(table[i].scheme);
        if (!bytes_starts(in, table[i].scheme))
            continue;
        u->tls = table[i].tls;
        int err = table[i].fn(bytes_of(in.ptr + len, in.len - len), u, why);
        return err < 0 ? err : url_make_text(u);
    }
    return wrong(why, "it must begin with redis://, rediss:// or unix://");
}

int url_parse(const char *text, struct url *ret, char why[URL_WHY_MAX])
{
    struct url u = {.db = URL_DB_NONE};
    int err = parse(bytes_str(text), &u, why);
    if (err < 0) {
        url_free(&u);
        return err;
    }
    *ret = u;
    return 0;
}

void url_free(struct url *u)
{
    free(u->path);
    free(u->host);
    free(u->user);
    free(u->text);
    *u = (struct url){0};
}
