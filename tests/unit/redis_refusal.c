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

UNIT_MAIN("redis/refusal", test_of_the_server, test_for_ever, test_of_the_key, test_passing)
