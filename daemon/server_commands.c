#include "daemon/server_commands.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 48

typedef void command_fn(struct client *c, const struct bytes *argv, size_t argc);

static void usage(struct client *c, const char *text)
{
    client_error(c, code_name(CODE_USAGE), text);
}

/* RESP2 in subscribed state has a form of its own for PING. */
static void on_ping(struct client *c, const struct bytes *argv, size_t argc)
{
    char head[64];

    if (!c->subscribed) {
        if (argc == 1)
            client_raw(c, BYTES("+PONG\r\n"));
        else
            client_bulk(c, argv[1]);
        return;
    }
    struct buf reply;
    buf_init(&reply, SERVER_REQUEST_MAX + sizeof(head) + 8);
    struct bytes text = argc == 1 ? bytes_of(NULL, 0) : argv[1];
    snprintf(head, sizeof(head), "*2\r\n$4\r\npong\r\n$%zu\r\n", text.len);
    if (buf_append_str(&reply, head) || buf_append(&reply, text.ptr, text.len) ||
        buf_append_str(&reply, "\r\n"))
        client_close(c);
    else
        client_raw(c, buf_bytes(&reply));
    buf_free(&reply);
}

static void on_echo(struct client *c, const struct bytes *argv, size_t argc)
{
    (void)argc;
    client_bulk(c, argv[1]);
}

static void on_quit(struct client *c, const struct bytes *argv, size_t argc)
{
    (void)argv;
    (void)argc;
    client_ok(c);
    client_close(c);
}

static bool set_name(struct client *c, struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~')
            return false;
    }
    if (name.len >= sizeof(c->name))
        return false;
    snprintf(c->name, sizeof(c->name), "%.*s", (int)name.len, name.len ? name.ptr : "");
    return true;
}

static void hello_reply(struct client *c)
{
    char reply[320];

    snprintf(reply, sizeof(reply),
             "*14\r\n$6\r\nserver\r\n$5\r\nriotd\r\n$7\r\nversion\r\n$%zu\r\n%s\r\n$5\r\nproto\r\n:2\r\n"
             "$2\r\nid\r\n:%llu\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
             "$7\r\nmodules\r\n*0\r\n",
             strlen(RIOT_VERSION), RIOT_VERSION, (unsigned long long)c->id);
    client_raw(c, bytes_str(reply));
}

static void on_hello(struct client *c, const struct bytes *argv, size_t argc)
{
    if (argc > 1 && !bytes_is(argv[1], "2")) {
        client_error(c, "NOPROTO", "unsupported protocol version: riotd speaks RESP2");
        return;
    }
    for (size_t i = 2; i < argc; i += 2) {
        if (i + 1 < argc && bytes_is_nocase(argv[i], "SETNAME") && set_name(c, argv[i + 1]))
            continue;
        usage(c, bytes_is_nocase(argv[i], "AUTH")
                     ? "there is no password here: the socket's permissions decide"
                     : "HELLO takes 2 and SETNAME name");
        return;
    }
    hello_reply(c);
}

static void on_command(struct client *c, const struct bytes *argv, size_t argc)
{
    if (argc > 1 && bytes_is_nocase(argv[1], "COUNT"))
        client_integer(c, 0);
    else
        client_raw(c, BYTES("*0\r\n"));
}

static void on_client(struct client *c, const struct bytes *argv, size_t argc)
{
    if (bytes_is_nocase(argv[1], "SETNAME") && argc == 3) {
        if (set_name(c, argv[2]))
            client_ok(c);
        else
            usage(c, "a client's name is up to 63 printable characters without blanks");
    } else if (bytes_is_nocase(argv[1], "SETINFO") && argc == 4) {
        client_ok(c);
    } else if (bytes_is_nocase(argv[1], "ID") && argc == 2) {
        client_integer(c, (int64_t)c->id);
    } else if (bytes_is_nocase(argv[1], "GETNAME") && argc == 2) {
        if (c->name[0])
            client_bulk(c, bytes_str(c->name));
        else
            client_nil(c);
    } else {
        usage(c, "CLIENT takes SETNAME name, GETNAME, SETINFO attribute value, or ID");
    }
}

static void on_select(struct client *c, const struct bytes *argv, size_t argc)
{
    (void)argc;
    if (bytes_is(argv[1], "0"))
        client_ok(c);
    else
        usage(c, "there is only database 0 here");
}

static void on_info(struct client *c, const struct bytes *argv, size_t argc)
{
    (void)argv;
    (void)argc;
    client_bulk(c, BYTES("# Server\r\nserver_name:riotd\r\nriotd_version:" RIOT_VERSION
                         "\r\nredis_mode:standalone\r\n"));
}

static void on_subscribe(struct client *c, const struct bytes *argv, size_t argc)
{
    struct buf reply;

    for (size_t i = 1; i < argc; i++) {
        if (!bytes_is(argv[i], SERVER_CHANNEL)) {
            client_error(c, code_name(CODE_NOTFOUND), "no such channel; there is '" SERVER_CHANNEL "'");
            return;
        }
    }
    buf_init(&reply, SERVER_REQUEST_MAX);
    int e = 0;
    for (size_t i = 1; i < argc && !e; i++)
        e = buf_append_str(&reply, "*3\r\n$9\r\nsubscribe\r\n$6\r\n" SERVER_CHANNEL "\r\n:1\r\n");
    c->subscribed = true;
    if (e)
        client_close(c);
    else
        client_raw(c, buf_bytes(&reply));
    buf_free(&reply);
}

/* Each channel that is named is answered, or once without any. */
static void on_unsubscribe(struct client *c, const struct bytes *argv, size_t argc)
{
    struct buf reply;
    int e = 0;
    bool was = c->subscribed;

    buf_init(&reply, 2 * SERVER_REQUEST_MAX);
    for (size_t i = 1; i < argc && !e; i++) {
        if (bytes_is(argv[i], SERVER_CHANNEL))
            c->subscribed = false;
        e = buf_printf(&reply, "*3\r\n$11\r\nunsubscribe\r\n$%zu\r\n", argv[i].len);
        if (!e)
            e = buf_append(&reply, argv[i].ptr, argv[i].len);
        if (!e)
            e = buf_printf(&reply, "\r\n:%d\r\n", c->subscribed);
    }
    if (argc == 1) {
        c->subscribed = false;
        e = buf_printf(&reply, "*3\r\n$11\r\nunsubscribe\r\n%s:0\r\n",
                       was ? "$6\r\n" SERVER_CHANNEL "\r\n" : "$-1\r\n");
    }
    if (e)
        client_close(c);
    else
        client_raw(c, buf_bytes(&reply));
    buf_free(&reply);
}

static const struct {
    const char *name;
    command_fn *fn;
    size_t least, most; /* arguments, the name among them; most 0: any number */
} commands[] = {
    {"PING", on_ping, 1, 2},           {"ECHO", on_echo, 2, 2},
    {"QUIT", on_quit, 1, 0},           {"HELLO", on_hello, 1, 0},
    {"COMMAND", on_command, 1, 0},     {"CLIENT", on_client, 2, 0},
    {"SELECT", on_select, 2, 2},       {"INFO", on_info, 1, 0},
    {"SUBSCRIBE", on_subscribe, 2, 0}, {"UNSUBSCRIBE", on_unsubscribe, 1, 0},
};

bool server_command(struct client *c, const struct bytes *argv, size_t argc)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (!bytes_is_nocase(argv[0], commands[i].name))
            continue;
        if (argc < commands[i].least || (commands[i].most && argc > commands[i].most)) {
            char text[SHOWN_MAX];
            snprintf(text, sizeof(text), "wrong number of arguments for %s", commands[i].name);
            usage(c, text);
        } else {
            commands[i].fn(c, argv, argc);
        }
        return true;
    }
    return false;
}
