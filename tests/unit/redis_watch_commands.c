#include "lib/redis/watch_commands.h"
#include "lib/redis/endpoint.h"
#include "tests/unit/copy_server.h"

START_TEST(test_names)
{
    static const char *const writes[] = {
        "set",
        "xgroup",
        "xgroup|create",
        "function|load",
        "function",
        "function|listx",
        "replicaof",
        "debug",
        "bf.add",
        "json.get",
        "sort",
        "getex",
        "georadius",
        "cluster|flushslot",
        "cluster|setslot",
        "|",
        "",
        "cli",
        "clientx",
        "newcommand|get",
        "vadd",
    };
    static const char *const harmless[] = {
        "get",          "GET",    "VSIM",  "client", "client|kill",   "config|set",
        "xinfo|stream", "exec",   "fcall", "eval",   "function|list", "xgroup|help",
        "pfcount",      "zunion", "acl",   "multi",  "cluster|slots", "function|stats",
    };
    char longest[200];

    for (size_t i = 0; i < ARRAY_LEN(writes); i++)
        ck_assert_msg(watch_command_writes(bytes_str(writes[i])), "%s", writes[i]);
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        ck_assert_msg(!watch_command_writes(bytes_str(harmless[i])), "%s", harmless[i]);
    memset(longest, 'x', sizeof(longest));
    ck_assert(watch_command_writes(bytes_of(longest, sizeof(longest))));
}
END_TEST

/* As the server's own categories have it, but for what changes data without being called a write. */
static void look_at(const struct reply *names, bool writes)
{
    static const char *const apart[] = {"debug", "replicaof", "slaveof", "failover"};

    ck_assert_uint_gt(names->count, 0);
    for (size_t i = 0; i < names->count; i++) {
        struct bytes name = names->at[i]->text;
        bool wanted = writes;
        for (size_t k = 0; k < ARRAY_LEN(apart); k++)
            wanted |= bytes_is(name, apart[k]);
        if (name.ptr[name.len - 1] == ':' || bytes_is(name, "post"))
            continue; /* what only a browser says that was led here */
        ck_assert_msg(watch_command_writes(name) == wanted, "%s", name.ptr);
    }
}

static void look_at_category(struct real *server, const char *name, bool writes)
{
    const struct bytes argv[] = {BYTES("ACL"), BYTES("CAT"), bytes_str(name)};
    look_at(real_request(server, ARRAY_LEN(argv), argv), writes);
}

START_TEST(test_what_the_server_tells)
{
    static struct real server;

    real_begin(&server, "source");
    ck_assert_str_eq(real_ask(&server, "PING"), "PONG");
    look_at_category(&server, "write", true);
    look_at_category(&server, "read", false);
    look_at_category(&server, "connection", false);
    look_at_category(&server, "transaction", false);
    look_at_category(&server, "pubsub", false);
    real_end(&server);
}
END_TEST

UNIT_MAIN("redis/watch_commands", test_names, test_what_the_server_tells)
