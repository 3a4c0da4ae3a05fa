#include "lib/redis/refusal.h"
#include "tests/unit/unit.h"

/* Error replies of servers, as they were seen. */

START_TEST(test_of_the_server)
{
    static const char *const errors[] = {
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "READONLY You can't write against a read only replica.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "NOREPLICAS Not enough good replicas to write.",
        "NOAUTH Authentication required.",
        "NOPERM this user has no permissions to run the 'restore' command",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "MOVED 3999 127.0.0.1:6381",
        "ASK 3999 127.0.0.1:6381",
        "EXECABORT Transaction discarded because of previous errors.",
        "DENIED Redis is running in protected mode",
        "ERR max number of clients reached",
        "ERR unknown command 'RESTORE', with args beginning with: 'k' ",
        "ERR unknown command `PEXPIRETIME`, with args beginning with: `k`, ",
    };
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        ck_assert_msg(refusal_of(bytes_str(errors[i])) == REFUSAL_SERVER, "%s", errors[i]);
}
END_TEST

START_TEST(test_for_ever)
{
    ck_assert_int_eq(refusal_of(BYTES("ERR Bad data format")), REFUSAL_NEVER);
    ck_assert_int_eq(refusal_of(BYTES("ERR DUMP payload version or checksum are wrong")), REFUSAL_NEVER);
}
END_TEST

START_TEST(test_of_the_key)
{
    static const struct bytes errors[] = {
        BYTES("WRONGTYPE Operation against a key holding the wrong kind of value"),
        BYTES("BUSYKEY Target key name already exists."),
        BYTES("ERR Invalid TTL value, must be >= 0"),
        BYTES("OOM"),
        BYTES("ERR"),
        BYTES(""),
        BYTES("Bad data forma"),
        BYTES("\0LOADING "),
    };
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        ck_assert_int_eq(refusal_of(errors[i]), REFUSAL_KEY);
}
END_TEST

START_TEST(test_passing)
{
    static const struct bytes yes[] = {BYTES("LOADING Redis is loading the dataset in memory"),
                                       BYTES("BUSY Redis is busy running a script"), BYTES("TRYAGAIN"),
                                       BYTES("MASTERDOWN x"), BYTES("CLUSTERDOWN x")};
    static const struct bytes no[] = {BYTES("BUSYKEY x"), BYTES("NOPERM x"), BYTES(""), BYTES("ERR LOADING")};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        ck_assert(refusal_is_passing(yes[i]));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        ck_assert(!refusal_is_passing(no[i]));
}
END_TEST

/* As 6.0, 7.0 and 9.1 write it. */
START_TEST(test_of_a_command)
{
    static const char *const yes[] = {
        "NOPERM this user has no permissions to run the 'get' command or its subcommand",
        "NOPERM User x has no permissions to run the 'get' command",
        "ERR unknown command `GET`, with args beginning with: `k`, ",
        "ERR unknown command 'GET', with args beginning with: 'k' ",
    };
    static const char *const no[] = {
        "NOPERM User x has no permissions to run the 'getex' command",
        "NOPERM No permissions to access a key",
        "NOPERM this user has no permissions to access one of the keys used as arguments",
        "ERR unknown command 'DUMP', with args beginning with: 'GET' ",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR unknown command ",
        "ERR unknown command 'GET",
        "",
    };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        ck_assert_msg(refusal_is_of_command(bytes_str(yes[i]), "get"), "%s", yes[i]);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        ck_assert_msg(!refusal_is_of_command(bytes_str(no[i]), "get"), "%s", no[i]);
}
END_TEST

static void tells(const char *text, const char *expected)
{
    char out[200];
    ck_assert_str_eq(refusal_tell(text, "source", "x", out, sizeof(out)), expected);
}

/* As 6.0, 7.0 and 8.0 write it. */
START_TEST(a_missing_right_is_named)
{
    char out[200];

    tells("NOPERM this user has no permissions to run the 'pexpiretime' command",
          "NOPERM for PEXPIRETIME on the source as user x: NOPERM this user has no permissions to run the "
          "'pexpiretime' command");
    tells("SCAN: NOPERM User x has no permissions to run the 'config|get' command",
          "NOPERM for CONFIG GET on the source as user x: SCAN: NOPERM User x has no permissions to run the "
          "'config|get' command");
    tells(
        "NOPERM this user has no permissions to access one of the keys used as arguments",
        "NOPERM for a key on the source as user x: NOPERM this user has no permissions to access one of the "
        "keys used as arguments");
    tells("OOM command not allowed", "OOM command not allowed");
    ck_assert_str_eq(refusal_tell("NOPERM", "target", NULL, out, sizeof(out)), "NOPERM");
    ck_assert_str_eq(refusal_tell("NOPERM no", "target", NULL, out, sizeof(out)),
                     "NOPERM for a command on the target as user default: NOPERM no");
}
END_TEST

UNIT_MAIN("redis/refusal", test_of_the_server, test_for_ever, test_of_the_key, test_passing,
          test_of_a_command, a_missing_right_is_named)
