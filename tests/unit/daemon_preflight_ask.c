/* The questions of a check, against a scripted server: what is understood, and that nothing is ever executed.
 */
#include "daemon/preflight_facts.h"
#include "tests/unit/redis_fake.h"

static struct fake fake;
static struct preflight_side side;
static struct asker *asker;
static size_t done;
static bool in_multi, queues;

static void on_done(struct asker *a, void *arg)
{
    (void)a, (void)arg;
    done++;
}

/* Queues as a server does; or says OK to MULTI and executes, as some thing in between might. */
static bool transaction(struct fake_client *c, const char *line)
{
    if (strcmp(line, "MULTI") == 0)
        in_multi = queues;
    else if (in_multi) {
        for (size_t i = fake.nrules; i > 0; i--) {
            if (strncmp(fake.rules[i - 1].begins, "QUEUE ", 6) == 0 &&
                strncmp(line, fake.rules[i - 1].begins + 6, strlen(fake.rules[i - 1].begins) - 6) == 0) {
                fake_send(c, fake.rules[i - 1].answer);
                return true;
            }
        }
        fake_send(c, "+QUEUED\r\n");
        return true;
    }
    return false;
}

static void set_up(void)
{
    fake_init(&fake);
    fake.hook = transaction;
    in_multi = false;
    queues = true;
    done = 0;
    fake_rule(&fake, "", "-ERR unknown command\r\n");
    fake_handshake(&fake);
    fake_rule(&fake, "MULTI", "+OK\r\n");
    fake_rule(&fake, "EXEC", "-ERR EXEC without MULTI\r\n");
    fake_rule(&fake, "CLIENT TRACKING", "+OK\r\n");
    preflight_side_init(&side);
    side.user = "me";
    side.probe.id = (struct server_id){.redis = 70015, .own = 70015};
}

static void run(bool of_target)
{
    ck_assert_int_eq(asker_new(fake.loop, &fake.endpoint, of_target, NULL, &side, on_done, NULL, &asker), 0);
    fake_until(&fake, &done, 1);
}

static void tear_down(void)
{
    asker = asker_free(asker);
    fake_done(&fake);
}

/* Whatever comes behind MULTI and is no question. */
static const char *const dangerous[] = {"RESTORE",     "UNLINK",     "CLIENT PAUSE",    "CLIENT UNPAUSE",
                                        "CLIENT KILL", "CONFIG SET", "FUNCTION RESTORE"};

START_TEST(test_facts)
{
    set_up();
    fake_bulk(&fake, "INFO memory",
              "used_memory:100\r\nused_memory_dataset:60\r\nmaxmemory:7\r\ntotal_system_memory:9\r\n"
              "number_of_cached_scripts:3\r\nnumber_of_libraries:2\r\n");
    fake_bulk(&fake, "INFO persistence",
              "aof_enabled:1\r\nrdb_last_bgsave_status:err\r\naof_last_write_status:ok\r\n");
    fake_bulk(&fake, "INFO stats", "instantaneous_ops_per_sec:55\r\n");
    fake_bulk(&fake, "INFO replication",
              "role:master\r\nconnected_slaves:5\r\n"
              "slave0:ip=10.0.0.6,port=6379,state=online,offset=1,lag=0\r\n"
              "slave1:ip=riotd:orders:5fad458d,port=0,state=online,offset=1,lag=0\r\n");
    fake_bulk(&fake, "INFO commandstats", "cmdstat_xack:calls=5,usec=1\r\ncmdstat_get:calls=9,usec=1\r\n");
    fake_rule(&fake, "CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$2\r\n60\r\n");
    fake_rule(&fake, "CONFIG GET proto", "*2\r\n$1\r\nx\r\n$4\r\n1000\r\n");
    fake_rule(&fake, "CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    fake_rule(&fake, "CONFIG GET client-output",
              "*2\r\n$1\r\nx\r\n$40\r\nnormal 0 0 0 slave 1 2 3 pubsub 40 50 60\r\n");
    fake_rule(&fake, "CONFIG GET notify", "*2\r\n$1\r\nx\r\n$3\r\nAKE\r\n");
    fake_rule(&fake, "MODULE LIST",
              "*3\r\n*6\r\n$4\r\nname\r\n$2\r\nbf\r\n$3\r\nver\r\n:1\r\n$4\r\npath\r\n$4\r\n/x.o\r\n"
              "*6\r\n$4\r\nname\r\n$2\r\nvs\r\n$3\r\nver\r\n:1\r\n$4\r\npath\r\n$0\r\n\r\n"
              "*4\r\n$4\r\nname\r\n$3\r\nlua\r\n$3\r\nver\r\n:1\r\n");
    fake_bulk(&fake, "CLIENT LIST",
              "id=1 name=sentinel-0a-cmd db=0\nid=2 name=sentinel-0a-pubsub db=0\nid=3 name=app\n");
    run(false);
    ck_assert(side.asked);
    ck_assert_uint_eq(side.used_memory, 100);
    ck_assert_uint_eq(side.dataset, 60);
    ck_assert_uint_eq(side.maxmemory, 7);
    ck_assert_uint_eq(side.total_memory, 9);
    ck_assert_uint_eq(side.scripts, 3);
    ck_assert_uint_eq(side.libraries, 2);
    ck_assert_uint_eq(side.aof, 1);
    ck_assert_uint_eq(side.saving_failed, 1);
    ck_assert_uint_eq(side.appending_failed, 0);
    ck_assert_uint_eq(side.ops_per_s, 55);
    ck_assert_uint_eq(side.replicas, 4);
    ck_assert(side.has_commandstats);
    ck_assert_uint_eq(side.group_calls, 5);
    ck_assert_uint_eq(side.idle_timeout_s, 60);
    ck_assert_uint_eq(side.bulk_len, 1000);
    ck_assert(side.has_save && !side.saves);
    ck_assert(side.pubsub.told && side.pubsub.hard == 40 && side.pubsub.soft == 50 &&
              side.pubsub.soft_s == 60);
    ck_assert(side.has_flags);
    ck_assert_str_eq(side.flags, "AKE");
    ck_assert(side.has_modules);
    ck_assert_uint_eq(side.nmodules, 1);
    ck_assert_str_eq(side.modules[0], "bf");
    ck_assert_uint_eq(side.sentinels, 1);
    tear_down();
}
END_TEST

START_TEST(test_nothing_is_told)
{
    static const char *const answers[] = {"-NOPERM no\r\n", "*0\r\n", "$-1\r\n", ":1\r\n",
                                          "*2\r\n*0\r\n$-1\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        set_up();
        fake.hook = NULL;
        fake_rule(&fake, "", answers[i]);
        fake_handshake(&fake);
        run(i % 2);
        ck_assert(side.asked);
        ck_assert_uint_eq(side.used_memory, PREFLIGHT_UNKNOWN);
        ck_assert_uint_eq(side.bulk_len, PREFLIGHT_UNKNOWN);
        ck_assert(!side.pubsub.told && !side.has_flags && !side.has_save && !side.has_commandstats);
        ck_assert_uint_eq(side.nmodules, 0);
        ck_assert(!side.keys_denied && !side.keys_known);
        for (size_t id = 0; id < RIGHTS; id++)
            ck_assert_int_ne(side.rights[id], RIGHT_GIVEN);
        const char *log = fake_log(&fake);
        for (size_t d = 0; d < ARRAY_LEN(dangerous); d++)
            ck_assert_msg(!strstr(log, dangerous[d]), "%s", log);
        tear_down();
    }
}
END_TEST

START_TEST(test_rights_by_queueing)
{
    set_up();
    fake_rule(&fake, "QUEUE RESTORE",
              "-NOPERM this user has no permissions to run the 'restore' command\r\n");
    fake_rule(&fake, "QUEUE FUNCTION", "-ERR unknown command 'FUNCTION'\r\n");
    fake_rule(&fake, "QUEUE UNLINK",
              "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n");
    fake_rule(&fake, "QUEUE CLIENT LIST", "-BUSY for now\r\n");
    run(true);
    ck_assert_int_eq(side.rights[MAY_RESTORE], RIGHT_DENIED);
    ck_assert_int_eq(side.rights[MAY_FUNCTION_RESTORE], RIGHT_MISSING);
    ck_assert_int_eq(side.rights[MAY_UNLINK], RIGHT_GIVEN);
    ck_assert_int_eq(side.rights[MAY_CLIENT_LIST], RIGHT_UNKNOWN);
    ck_assert_int_eq(side.rights[MAY_SCAN], RIGHT_GIVEN);
    ck_assert_int_eq(side.rights[MAY_MULTI], RIGHT_GIVEN);
    ck_assert_int_eq(side.rights[MAY_EXEC], RIGHT_GIVEN);
    ck_assert_int_eq(side.rights[MAY_PAUSE], RIGHT_UNKNOWN); /* the source's */
    ck_assert(side.keys_denied);
    ck_assert_int_eq(side.tracking, RIGHT_UNKNOWN);
    const char *log = fake_log(&fake);
    ck_assert_ptr_null(strstr(strstr(log, "MULTI"), "EXEC"));
    ck_assert_ptr_null(strstr(log, "CONFIG SET"));
    tear_down();
}
END_TEST

START_TEST(test_a_refusal_of_the_server_s_own)
{
    set_up();
    fake_rule(&fake, "QUEUE RESTORE", "-MISCONF saving failed\r\n");
    run(true);
    ck_assert_int_eq(side.rights[MAY_RESTORE], RIGHT_UNKNOWN);
    ck_assert_str_eq(side.refused, "MISCONF saving failed");
    tear_down();
}
END_TEST

/* Whatever says OK to MULTI and goes on executing is asked nothing that could do harm. */
START_TEST(test_what_does_not_queue_is_not_asked)
{
    set_up();
    queues = false;
    run(true);
    ck_assert(side.asked);
    ck_assert_int_eq(side.rights[MAY_RESTORE], RIGHT_UNKNOWN);
    const char *log = fake_log(&fake);
    ck_assert_ptr_nonnull(strstr(log, "MULTI"));
    for (size_t d = 0; d < ARRAY_LEN(dangerous); d++)
        ck_assert_msg(!strstr(log, dangerous[d]), "%s", log);
    tear_down();

    set_up();
    fake_rule(&fake, "MULTI", "-NOPERM no\r\n");
    queues = false;
    run(false);
    ck_assert_int_eq(side.rights[MAY_MULTI], RIGHT_DENIED);
    log = fake_log(&fake);
    for (size_t d = 0; d < ARRAY_LEN(dangerous); d++)
        ck_assert_msg(!strstr(log, dangerous[d]), "%s", log);
    tear_down();
}
END_TEST

START_TEST(test_rights_by_dryrun)
{
    set_up();
    fake_rule(&fake, "ACL DRYRUN me", "+OK\r\n");
    fake_bulk(&fake, "ACL DRYRUN me RESTORE", "This user has no permissions to run the 'restore' command");
    fake_bulk(&fake, "ACL DRYRUN me UNLINK", "This user has no permissions to access the 'x' key");
    fake_bulk(&fake, "ACL DRYRUN me EXEC", "This user has no permissions to run the 'exec' command");
    fake_rule(&fake, "QUEUE DUMP", "-ERR unknown command 'DUMP'\r\n"); /* it knows better */
    run(true);
    ck_assert_int_eq(side.rights[MAY_RESTORE], RIGHT_DENIED);
    ck_assert_int_eq(side.rights[MAY_UNLINK], RIGHT_GIVEN);
    ck_assert_int_eq(side.rights[MAY_EXEC], RIGHT_DENIED);
    ck_assert_int_eq(side.rights[MAY_DUMP], RIGHT_MISSING);
    ck_assert(side.keys_denied);
    const char *log = fake_log(&fake);
    ck_assert_ptr_null(strstr(log, "\nRESTORE")); /* refused already: no trace of a second time in its log */
    tear_down();
}
END_TEST

START_TEST(test_exec_is_asked_for_before_a_transaction)
{
    set_up();
    fake_rule(&fake, "EXEC",
              "-EXECABORT Transaction discarded because of: NOPERM this user has no permissions to run "
              "the 'exec' command\r\n");
    run(true);
    ck_assert_int_eq(side.rights[MAY_EXEC], RIGHT_DENIED);
    ck_assert_int_eq(side.rights[MAY_RESTORE], RIGHT_GIVEN);
    const char *log = fake_log(&fake);
    ck_assert(strstr(log, "EXEC") < strstr(log, "MULTI"));
    tear_down();
}
END_TEST

START_TEST(test_tracking_is_tried)
{
    set_up();
    run(false);
    ck_assert_int_eq(side.tracking, RIGHT_GIVEN);
    const char *log = fake_log(&fake);
    const char *on = strstr(log, "CLIENT TRACKING ON REDIRECT 7 BCAST PREFIX ");
    ck_assert_ptr_nonnull(on);
    ck_assert_ptr_nonnull(strstr(on, "CLIENT TRACKING OFF"));
    ck_assert(on < strstr(log, "MULTI"));
    tear_down();

    set_up();
    fake_rule(&fake, "CLIENT TRACKING ON", "-ERR not here\r\n");
    run(false);
    ck_assert_int_eq(side.tracking, RIGHT_MISSING);
    ck_assert_str_eq(side.tracking_why, "ERR not here");
    tear_down();

    set_up();
    fake_rule(&fake, "CLIENT TRACKING ON", "-NOPERM User me has no permissions to run the command\r\n");
    run(false);
    ck_assert_int_eq(side.tracking, RIGHT_DENIED);
    tear_down();

    set_up();
    fake_rule(&fake, "ACL DRYRUN me", "+OK\r\n");
    fake_bulk(&fake, "ACL DRYRUN me CLIENT TRACKING", "User me has no permissions to run the command");
    run(false);
    ck_assert_int_eq(side.rights[MAY_TRACKING], RIGHT_DENIED);
    ck_assert_int_eq(side.tracking, RIGHT_UNKNOWN);
    tear_down();
}
END_TEST

START_TEST(test_versions_are_asked_what_they_know)
{
    set_up();
    side.probe.id.redis = 60016;
    run(false);
    const char *log = fake_log(&fake);
    ck_assert_ptr_null(strstr(log, "DRYRUN"));
    ck_assert_ptr_null(strstr(log, "PEXPIRETIME"));
    ck_assert_ptr_null(strstr(log, "FUNCTION"));
    ck_assert_ptr_null(strstr(log, "CLIENT PAUSE"));
    ck_assert_ptr_nonnull(strstr(log, "PTTL"));
    tear_down();
}
END_TEST

START_TEST(test_a_connection_that_is_lost)
{
    static const char *const at[] = {"INFO memory", "MULTI", "EXEC", "CLIENT TRACKING"};

    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        set_up();
        fake_rule(&fake, at[i], FAKE_CLOSE);
        run(false);
        ck_assert(!side.asked);
        ck_assert_str_eq(side.ask_why, "closed by the server");
        fake_pass(&fake, 200);
        ck_assert_uint_eq(fake.accepted, 1);
        ck_assert_uint_eq(done, 1);
        tear_down();
    }
}
END_TEST

UNIT_MAIN("daemon/preflight_ask", test_facts, test_nothing_is_told, test_rights_by_queueing,
          test_a_refusal_of_the_server_s_own, test_what_does_not_queue_is_not_asked, test_rights_by_dryrun,
          test_exec_is_asked_for_before_a_transaction, test_tracking_is_tried,
          test_versions_are_asked_what_they_know, test_a_connection_that_is_lost)
