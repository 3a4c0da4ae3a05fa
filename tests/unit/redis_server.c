#include "lib/redis/server.h"
#include "tests/unit/unit.h"

#include <string.h>

#define ZEROS "0000000000000000000000000000000000000000"

static const char redis_70[] = "# Server\r\n"
                               "redis_version:7.0.15\r\n"
                               "redis_git_sha1:00000000\r\n"
                               "redis_build_id:ae4d7c971a948f0\r\n"
                               "redis_mode:standalone\r\n"
                               "os:Linux 6.1 x86_64\r\n"
                               "run_id:88a48304d8d271ae478b8efce7c24601d4b1bde5\r\n"
                               "tcp_port:7700\r\n"
                               "executable:/usr/bin/redis-server\r\n"
                               "# Replication\r\n"
                               "role:master\r\n"
                               "connected_slaves:0\r\n"
                               "master_failover_state:no-failover\r\n"
                               "master_replid:58d4fa7366da780a6278805f4a5cb0f27b3b3926\r\n"
                               "master_replid2:" ZEROS "\r\n"
                               "master_repl_offset:0\r\n";

static const char valkey_81[] = "# Server\r\n"
                                "redis_version:7.2.4\r\n"
                                "server_name:valkey\r\n"
                                "valkey_version:8.1.1\r\n"
                                "valkey_release_stage:ga\r\n"
                                "server_mode:standalone\r\n"
                                "run_id:2b7db34c939d1e8a4ca5869baf73da3605be7d67\r\n"
                                "tcp_port:7081\r\n"
                                "# Replication\r\n"
                                "role:slave\r\n"
                                "master_host:10.0.0.5\r\n"
                                "master_port:6379\r\n"
                                "master_link_status:up\r\n"
                                "master_replid:eb91098b5c8afd63f4d32cf8a21dd08ceb90ff4b\r\n"
                                "master_replid2:58d4fa7366da780a6278805f4a5cb0f27b3b3926\r\n";

static const char valkey_91[] = "# Server\r\n"
                                "redis_version:7.2.4\r\n"
                                "server_name:valkey\r\n"
                                "valkey_version:9.1.2\r\n"
                                "server_mode:cluster\r\n"
                                "run_id:66bc0b0d03fb51d7312c7560e1d2ae1e3f643e58\r\n"
                                "tcp_port:7091\r\n"
                                "# Replication\r\n"
                                "role:master\r\n"
                                "master_replid:6884de8c570a7b0d2e1199ce667f1f40d22eaac3\r\n"
                                "master_replid2:" ZEROS "\r\n";

static struct server_id parse(const char *text)
{
    struct server_id id;
    server_id_parse(bytes_str(text), &id);
    return id;
}

START_TEST(test_redis)
{
    struct server_id id = parse(redis_70);
    ck_assert_int_eq(id.kind, SERVER_REDIS);
    ck_assert_int_eq(id.role, ROLE_PRIMARY);
    ck_assert_str_eq(id.version, "7.0.15");
    ck_assert_uint_eq(id.redis, 70015);
    ck_assert_uint_eq(id.own, 70015);
    ck_assert_str_eq(id.run_id, "88a48304d8d271ae478b8efce7c24601d4b1bde5");
    ck_assert_str_eq(id.replid, "58d4fa7366da780a6278805f4a5cb0f27b3b3926");
    ck_assert_str_eq(id.replid2, "");
    ck_assert_uint_eq(id.tcp_port, 7700);
    ck_assert(!id.cluster);
    ck_assert_uint_eq(server_dump_version(&id), 10);
}
END_TEST

START_TEST(test_valkey)
{
    struct server_id id = parse(valkey_81);
    ck_assert_int_eq(id.kind, SERVER_VALKEY);
    ck_assert_int_eq(id.role, ROLE_REPLICA);
    ck_assert_str_eq(id.version, "8.1.1");
    ck_assert_uint_eq(id.redis, 70204);
    ck_assert_uint_eq(id.own, 80101);
    ck_assert_str_eq(id.primary_host, "10.0.0.5");
    ck_assert_uint_eq(id.primary_port, 6379);
    ck_assert(id.primary_link_up);
    ck_assert_uint_eq(server_dump_version(&id), 11);

    id = parse(valkey_91);
    ck_assert(id.cluster);
    ck_assert_uint_eq(id.own, 90102);
    ck_assert_uint_eq(server_dump_version(&id), 80);
    ck_assert_str_eq(server_kind_name(id.kind), "valkey");
    ck_assert_str_eq(server_role_name(id.role), "primary");

    /* whichever line comes first */
    id = parse("valkey_version:8.0.1\r\nredis_version:7.2.4\r\n");
    ck_assert_str_eq(id.version, "8.0.1");
    ck_assert_uint_eq(id.redis, 70204);
}
END_TEST

START_TEST(test_hostile)
{
    char text[1024];
    struct server_id id = parse("");
    ck_assert_str_eq(id.run_id, "");
    ck_assert_uint_eq(id.redis, 0);
    ck_assert_uint_eq(server_dump_version(&id), 0);
    ck_assert_str_eq(server_role_name(id.role), "unknown");

    memset(text, 'a', sizeof(text));
    memcpy(text, "run_id:", 7);
    text[sizeof(text) - 1] = '\0';
    id = parse(text);
    ck_assert_str_eq(id.run_id, ""); /* a part of it would be taken for another one */
    memcpy(text, "master_host:", 12);
    id = parse(text);
    ck_assert_str_eq(id.primary_host, "");
    server_id_parse(BYTES("run_id:a\0b\r\ntcp_port:70000\r\nmaster_port:-1\r\nrole:king\r\n"), &id);
    ck_assert_str_eq(id.run_id, "");
    ck_assert_uint_eq(id.tcp_port, 0);
    ck_assert_int_eq(id.role, ROLE_UNKNOWN);

    ck_assert_uint_eq(parse("redis_version:255.255.255\n").redis, 2559999);
    ck_assert_uint_eq(parse("redis_version:99999999999999999999.1.1\n").redis, 99990101);
    ck_assert_uint_eq(parse("redis_version:7.2-rc1\n").redis, 70200);
    ck_assert_uint_eq(parse("redis_version:x\n").redis, 0);
}
END_TEST

START_TEST(test_history)
{
    struct server_id a = parse(redis_70), b = parse(valkey_81), c = parse(valkey_91), none = parse("");
    ck_assert(server_same_history(&a, &a));
    ck_assert(server_same_history(&a, &b)); /* b followed a's history, and was promoted since */
    ck_assert(server_same_history(&b, &a));
    ck_assert(!server_same_history(&a, &c));
    ck_assert(!server_same_history(&none, &none));
    struct server_id d = b;
    strcpy(d.run_id, "d");
    strcpy(d.replid, "d");
    ck_assert(!server_same_history(&b, &d)); /* two that were promoted from a */
}
END_TEST

static unsigned dump_of(const char *info)
{
    struct server_id id = parse(info);
    return server_dump_version(&id);
}

START_TEST(test_dump_versions)
{
    ck_assert_uint_eq(dump_of("redis_version:5.0.14\n"), 9);
    ck_assert_uint_eq(dump_of("redis_version:6.2.16\n"), 9);
    ck_assert_uint_eq(dump_of("redis_version:7.2.6\n"), 11);
    ck_assert_uint_eq(dump_of("redis_version:7.4.1\n"), 12);
    ck_assert_uint_eq(dump_of("redis_version:8.0.2\n"), 12);
    ck_assert_uint_eq(dump_of("redis_version:7.2.4\nvalkey_version:7.2.5\n"), 11);
    /* source, target as in facts/redis-semantics.md 5.2 */
    static const unsigned version[] = {9, 9, 10, 11, 12, 11, 80};
    static const char *const accepted[] = {"1111111", "1111111", "0011111", "0001111",
                                           "0000100", "0001111", "0000001"};
    for (size_t src = 0; src < 7; src++) {
        for (size_t dst = 0; dst < 7; dst++)
            ck_assert_msg(server_dump_accepts(version[dst], version[src]) == (accepted[src][dst] == '1'),
                          "%zu to %zu", src, dst);
    }
    ck_assert(server_dump_accepts(0, 12) && server_dump_accepts(9, 0));
    ck_assert(!server_dump_accepts(80, 81));
}
END_TEST

UNIT_MAIN("redis/server", test_redis, test_valkey, test_hostile, test_history, test_dump_versions)
