/* What a check makes of what it knows: nothing is asked here. */
#include "tests/unit/preflight_kit.h"

START_TEST(all_is_well)
{
    make_plain();
    only("feed", PREFLIGHT_OK, "tracking (passed over: psync: the source has no replication backlog)");
    ck_assert_uint_gt(k.report.nitems, 20);
    done();
}
END_TEST

START_TEST(clocks)
{
    static const struct {
        int64_t ms;
        enum preflight_level level;
    } at[] = {{0, PREFLIGHT_OK},         {100, PREFLIGHT_OK},
              {-100, PREFLIGHT_OK},      {101, PREFLIGHT_WARNING},
              {-101, PREFLIGHT_WARNING}, {1000, PREFLIGHT_WARNING},
              {1001, PREFLIGHT_ERROR},   {INT64_MIN / 4, PREFLIGHT_ERROR}};

    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        make_plain();
        /* Both are the same, and far from ours; then one of them is. */
        SOURCE->probe.clock_skew_ms = at[i].ms;
        look();
        ck_assert_int_eq(find("clock")->level, at[i].level);
        ck_assert_int_eq(find("clock_source")->level, at[i].level);
        ck_assert_int_eq(find("clock_target")->level, PREFLIGHT_OK);
        TARGET->probe.clock_skew_ms = at[i].ms;
        look();
        ck_assert_int_eq(find("clock")->level, PREFLIGHT_OK);
        ck_assert_int_eq(find("clock_target")->level, at[i].level);
        done();
    }
    make_plain();
    SOURCE->probe.clock_skew_ms = 700;
    TARGET->probe.clock_skew_ms = -700;
    look();
    ck_assert_int_eq(find("clock")->level, PREFLIGHT_ERROR);
    ck_assert_ptr_nonnull(strstr(find("clock")->text, "behind the source's"));
    TARGET->probe.has_clock = false;
    look();
    ck_assert_ptr_null(find("clock"));
    ck_assert_ptr_null(find("clock_target"));
    done();
}
END_TEST

START_TEST(memory_of_the_target)
{
    make_plain();
    SOURCE->dataset = 100 * MIB;
    TARGET->maxmemory = 125 * MIB;
    only("target_memory", PREFLIGHT_OK, "100.0 MiB");
    TARGET->maxmemory = 124 * MIB;
    only("target_memory", PREFLIGHT_WARNING, "Raise maxmemory");
    TARGET->maxmemory = 99 * MIB;
    only("target_memory", PREFLIGHT_ERROR, "Raise maxmemory");
    TARGET->maxmemory = 0;
    TARGET->total_memory = 99 * MIB;
    only("target_memory", PREFLIGHT_ERROR, "larger machine");
    SOURCE->dataset = PREFLIGHT_UNKNOWN; /* all that it uses, then */
    only("target_memory", PREFLIGHT_OK, "10.0 MiB");
    SOURCE->used_memory = PREFLIGHT_UNKNOWN;
    only("target_memory", PREFLIGHT_OK, "not known");
    done();
}
END_TEST

START_TEST(memory_of_a_part_of_the_databases)
{
    struct watch_db dbs[] = {{.db = 0, .keys = 900}, {.db = 1, .keys = 100}};
    struct config_errors errors = {0};

    make_plain();
    SOURCE->dataset = 1000 * MIB;
    SOURCE->probe.dbs = dbs;
    SOURCE->probe.ndbs = 2;
    TARGET->maxmemory = 200 * MIB;
    only("target_memory", PREFLIGHT_ERROR, "1000.0 MiB");
    ck_assert_int_eq(config_set(k.config, "databases", "1", "-", &errors), 0);
    ck_assert_int_eq(config_check(k.config, &errors), 0);
    only("target_memory", PREFLIGHT_OK, "100.0 MiB");
    done();
}
END_TEST

START_TEST(eviction)
{
    make_plain();
    snprintf(TARGET->probe.maxmemory_policy, sizeof(TARGET->probe.maxmemory_policy), "allkeys-lru");
    only("eviction", PREFLIGHT_ERROR, "allkeys-lru");
    k.config->allow_eviction = true;
    only("eviction", PREFLIGHT_WARNING, "allow_eviction");
    TARGET->probe.maxmemory_policy[0] = '\0';
    only("eviction", PREFLIGHT_OK, "not known");
    done();
}
END_TEST

START_TEST(versions_and_databases)
{
    struct watch_db dbs[] = {{.db = 5, .keys = 1}};

    make_plain();
    SOURCE->probe.dump_version = 12;
    only("versions", PREFLIGHT_ERROR, "cannot restore");
    SOURCE->probe.dump_version = 0;
    only("versions", PREFLIGHT_OK, "trying");
    SOURCE->probe.dump_version = 9;
    only("versions", PREFLIGHT_OK, "format 9");
    TARGET->probe.databases = 4;
    only("databases", PREFLIGHT_WARNING, "16");
    SOURCE->probe.dbs = dbs;
    SOURCE->probe.ndbs = 1;
    only("databases", PREFLIGHT_ERROR, "database 5");
    TARGET->probe.databases = 0;
    only("databases", PREFLIGHT_OK, "not known");
    done();
}
END_TEST

START_TEST(a_cluster)
{
    make_plain();
    TARGET->probe.id.cluster = true;
    only("cluster", PREFLIGHT_ERROR, "target"); /* by a socket's path */
    done();
}
END_TEST

START_TEST(output_buffer)
{
    make_plain();
    SOURCE->ops_per_s = 1000;
    only("output_buffer", PREFLIGHT_OK, "commands a second");
    SOURCE->ops_per_s = 300000; /* 36 MB a second */
    only("output_buffer", PREFLIGHT_WARNING, "300,000 commands");
    k.facts.marks_per_s = 100; /* what a running link sees is the truth */
    only("output_buffer", PREFLIGHT_OK, "cuts a subscriber off");
    k.facts.marks_per_s = 0;
    SOURCE->pubsub.hard = SOURCE->pubsub.soft = 0;
    only("output_buffer", PREFLIGHT_OK, "no limit");
    SOURCE->pubsub.soft = 8 * MIB; /* its time is waited for */
    only("output_buffer", PREFLIGHT_OK, "8.0 MiB for 60 s");
    SOURCE->pubsub.hard = MIB;
    SOURCE->ops_per_s = PREFLIGHT_UNKNOWN;
    only("output_buffer", PREFLIGHT_WARNING, "1.0 MiB");
    SOURCE->pubsub.told = false;
    look();
    ck_assert_ptr_null(find("output_buffer"));
    done();
}
END_TEST

START_TEST(modules)
{
    make_plain();
    SOURCE->nmodules = 2;
    snprintf(SOURCE->modules[0], sizeof(SOURCE->modules[0]), "bf");
    snprintf(SOURCE->modules[1], sizeof(SOURCE->modules[1]), "ReJSON");
    TARGET->nmodules = 1;
    snprintf(TARGET->modules[0], sizeof(TARGET->modules[0]), "bf");
    only("modules", PREFLIGHT_WARNING, "bf, ReJSON; the target lacks ReJSON");
    SOURCE->has_modules = false;
    only("modules", PREFLIGHT_OK, "not known");
    done();
}
END_TEST

START_TEST(functions)
{
    make_plain();
    TARGET->probe.has_functions = false;
    only("functions", PREFLIGHT_OK, "none");
    SOURCE->libraries = 3;
    only("functions", PREFLIGHT_ERROR, "7.0+");
    SOURCE->libraries = PREFLIGHT_UNKNOWN;
    only("functions", PREFLIGHT_WARNING, "7.0+");
    SOURCE->libraries = 3;
    TARGET->probe.has_functions = true;
    only("functions", PREFLIGHT_OK, "3 libraries");
    TARGET->rights[MAY_FUNCTION_RESTORE] = RIGHT_DENIED;
    only("functions", PREFLIGHT_ERROR, "FUNCTION RESTORE");
    TARGET->rights[MAY_FUNCTION_RESTORE] = RIGHT_GIVEN;
    TARGET->rights[MAY_FUNCTION_DUMP] = RIGHT_DENIED;
    only("functions", PREFLIGHT_ERROR, "FUNCTION DUMP is refused on the target");
    SOURCE->probe.has_functions = false;
    only("functions", PREFLIGHT_OK, "none");
    done();
}
END_TEST

START_TEST(persistence)
{
    make_plain();
    TARGET->aof = 0;
    only("persistence", PREFLIGHT_WARNING, "memory only");
    TARGET->saves = true;
    only("persistence", PREFLIGHT_OK, "RDB");
    TARGET->saving_failed = 1;
    only("persistence", PREFLIGHT_WARNING, "RDB save failed");
    TARGET->saving_failed = 0;
    TARGET->has_save = false;
    only("persistence", PREFLIGHT_OK, "not known");
    TARGET->aof = 1;
    TARGET->appending_failed = 1;
    only("persistence", PREFLIGHT_WARNING, "AOF failed");
    done();
}
END_TEST

/* What any of these is for is told beside it; what nobody may say is told to be unknown. */
START_TEST(rights)
{
    static const struct {
        enum right_id id;
        int side;
        const char *item;
        enum preflight_level level;
        const char *rule;
    } at[] = {
        {MAY_DUMP, SIDE_SOURCE, "rights_source", PREFLIGHT_ERROR, "+dump"},
        {MAY_DUMP, SIDE_TARGET, "rights_target_verify", PREFLIGHT_WARNING, "+dump"},
        {MAY_RESTORE, SIDE_TARGET, "rights_target", PREFLIGHT_ERROR, "+restore"},
        {MAY_PEXPIRETIME, SIDE_SOURCE, "rights_source", PREFLIGHT_ERROR, "+pexpiretime"},
        {MAY_RANDOMKEY, SIDE_SOURCE, "rights_source_verify", PREFLIGHT_WARNING, "+randomkey"},
        {MAY_CLIENT_KILL, SIDE_TARGET, "rights_target_safety", PREFLIGHT_WARNING, "+client|kill"},
        {MAY_PAUSE, SIDE_SOURCE, "rights_source_pause", PREFLIGHT_WARNING, "+client|pause"},
        {MAY_TRACKINGINFO, SIDE_SOURCE, "feed", PREFLIGHT_WARNING, "+client|trackinginfo"},
        {MAY_WAIT, SIDE_TARGET, "rights_target", PREFLIGHT_OK, "has what is needed"},
        /* Not sent to such a server, or not to this side. */
        {MAY_PTTL, SIDE_SOURCE, "rights_source", PREFLIGHT_OK, "has what is needed"},
        {MAY_RESTORE, SIDE_SOURCE, "rights_source", PREFLIGHT_OK, "has what is needed"},
        {MAY_NO_TOUCH, SIDE_SOURCE, "rights_source", PREFLIGHT_OK, "has what is needed"},
    };

    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        make_plain();
        k.facts.side[at[i].side].rights[at[i].id] = RIGHT_DENIED;
        only(at[i].item, at[i].level, at[i].rule);
        done();
    }
    make_plain();
    TARGET->rights[MAY_RESTORE] = RIGHT_MISSING;
    only("rights_target", PREFLIGHT_ERROR, "renamed");
    TARGET->rights[MAY_RESTORE] = TARGET->rights[MAY_UNLINK] = RIGHT_UNKNOWN;
    only("rights_target", PREFLIGHT_OK, "RESTORE, UNLINK");
    done();
    make_plain();
    k.config->target_wait_replicas = 1;
    TARGET->rights[MAY_WAIT] = RIGHT_DENIED;
    only("rights_target_wait", PREFLIGHT_WARNING, "+wait");
    done();
    make_plain();
    k.config->target_wait_aof = true;
    TARGET->probe.id.redis = 70200;
    TARGET->rights[MAY_WAITAOF] = RIGHT_DENIED;
    only("rights_target_waitaof", PREFLIGHT_WARNING, "+waitaof");
    done();
}
END_TEST

START_TEST(keys)
{
    make_plain();
    TARGET->keys_denied = true;
    only("keys_target", PREFLIGHT_ERROR, "ACL SETUSER riot ~*");
    TARGET->keys_denied = TARGET->keys_known = false;
    only("keys_target", PREFLIGHT_OK, "trying");
    done();
}
END_TEST

START_TEST(psync)
{
    make_plain();
    SOURCE->backlog = 1;
    only("feed", PREFLIGHT_OK,
         "psync: the stream can be had without a full synchronisation, from a backlog of 1.0 MiB");
    only("replica", PREFLIGHT_OK, "the source shows riotd as a replica");
    only("output_buffer", PREFLIGHT_OK, "cuts a replica off");
    only("backlog", PREFLIGHT_OK, "the last 1.0 MiB of its stream, for when riotd is cut off or restarts");
    SOURCE->ops_per_s = 10000; /* 1.2 MB a second */
    SOURCE->backlog_size = 64 * MIB;
    only("backlog", PREFLIGHT_WARNING, "that is 55s at the present 10,000 commands a second");
    SOURCE->backlog_size = 128 * MIB;
    only("backlog", PREFLIGHT_OK, "that is 1m 51s");
    SOURCE->input_kb = 4096; /* its commands are long */
    only("backlog", PREFLIGHT_WARNING, "that is 32s at");
    SOURCE->ops_per_s = 0;
    only("backlog", PREFLIGHT_OK, "last 128.0 MiB");
    SOURCE->backlog_size = 16 * KIB;
    only("backlog", PREFLIGHT_WARNING, "16.0 KiB");
    SOURCE->backlog_size = PREFLIGHT_UNKNOWN;
    look();
    ck_assert_ptr_null(find("backlog"));
    SOURCE->backlog_size = MIB;
    SOURCE->min_replicas = 2;
    only("replica", PREFLIGHT_WARNING, "min-replicas-to-write of the source is 2");
    SOURCE->min_replicas = 0;
    SOURCE->rights[MAY_REPLCONF] = RIGHT_DENIED;
    only("feed", PREFLIGHT_OK, "tracking (passed over: psync: REPLCONF is refused)");
    SOURCE->rights[MAY_REPLCONF] = RIGHT_GIVEN;
    SOURCE->takes_own_writes = true;
    only("feed", PREFLIGHT_OK,
         "tracking (passed over: psync: the source is a replica that takes writes of its own");
    SOURCE->takes_own_writes = false;
    SOURCE->rights[MAY_PSYNC] = RIGHT_MISSING;
    only("feed", PREFLIGHT_OK, "tracking (passed over: psync: the source does not know PSYNC)");
    SOURCE->rights[MAY_PSYNC] = RIGHT_GIVEN;
    SOURCE->backlog = 0;
    k.config->psync_full_sync = true;
    only("feed", PREFLIGHT_WARNING, "it will fork");
    k.config->psync_full_sync = false;
    done();
}
END_TEST

START_TEST(feeds)
{
    make_plain();
    SOURCE->tracking = RIGHT_MISSING;
    snprintf(SOURCE->tracking_why, sizeof(SOURCE->tracking_why), "ERR no such thing");
    only("feed", PREFLIGHT_OK,
         "notify: start sets notify-keyspace-events, now \"\", to \"KA\" (passed over: psync: the source has "
         "no "
         "replication backlog; "
         "tracking: CLIENT TRACKING is refused: ERR no such thing)");
    SOURCE->rights[MAY_CONFIG_SET] = RIGHT_DENIED;
    only("feed", PREFLIGHT_ERROR, "CONFIG SET is refused");
    snprintf(SOURCE->flags, sizeof(SOURCE->flags), "AKE");
    only("feed", PREFLIGHT_OK, "suffices");
    SOURCE->has_flags = false;
    only("feed", PREFLIGHT_WARNING, "cannot be read");
    SOURCE->rights[MAY_PSUBSCRIBE] = RIGHT_DENIED;
    only("feed", PREFLIGHT_ERROR, "no feed can be used");
    done();

    make("merge", "auto");
    only("feed", PREFLIGHT_OK, "notify");
    done();
    make("refuse", "notify");
    SOURCE->rights[MAY_PSUBSCRIBE] = RIGHT_DENIED;
    only("feed", PREFLIGHT_ERROR, "+psubscribe &__keyspace@*__:*");
    done();
    make("refuse", "tracking");
    SOURCE->rights[MAY_SUBSCRIBE] = RIGHT_DENIED;
    only("feed", PREFLIGHT_ERROR, "&__redis__:invalidate");
    SOURCE->rights[MAY_SUBSCRIBE] = RIGHT_GIVEN;
    SOURCE->tracking = RIGHT_UNKNOWN;
    only("feed", PREFLIGHT_WARNING, "could not be tried");
    done();
    make("refuse", "none");
    only("feed", PREFLIGHT_WARNING, "one pass");
    done();
}
END_TEST

START_TEST(what_one_side_does_not_tell_the_other_still_does)
{
    make_plain();
    SOURCE->reached = SOURCE->asked = false;
    snprintf(SOURCE->why, sizeof(SOURCE->why), "connection refused");
    only("source_reachable", PREFLIGHT_ERROR, "connection refused");
    ck_assert_ptr_nonnull(find("rights_target"));
    ck_assert_ptr_nonnull(find("persistence"));
    ck_assert_ptr_nonnull(find("eviction"));
    ck_assert_ptr_nonnull(find("clock_target"));
    ck_assert_ptr_null(find("clock"));
    ck_assert_ptr_null(find("feed"));
    ck_assert_ptr_null(find("versions"));
    SOURCE->why[0] = '\0';
    only("source_reachable", PREFLIGHT_ERROR, "no answer for 10s");
    done();

    make_plain();
    TARGET->reached = TARGET->asked = false;
    snprintf(TARGET->why, sizeof(TARGET->why), "WRONGPASS x (look at the target's password and user)");
    only("target_reachable", PREFLIGHT_ERROR,
         "Correct the password of target.password_file or target.password_credential");
    ck_assert_ptr_nonnull(find("feed"));
    ck_assert_ptr_nonnull(find("fences"));
    done();
}
END_TEST

/* The target is ours, as this server. */
static void own(const char *url, const char *run_id)
{
    struct server_id id = {.role = ROLE_PRIMARY};

    snprintf(id.run_id, sizeof(id.run_id), "%s", run_id);
    state_servers_clear(&k.state->target_owned.servers);
    ck_assert_int_eq(state_own_target(k.state, url, url, &id), 0);
}

START_TEST(interlocks_and_ownership)
{
    struct watch_db dbs[] = {{.db = 0, .keys = 7}};

    make_plain();
    TARGET->probe.dbs = dbs;
    TARGET->probe.ndbs = 1;
    only("target_not_empty", PREFLIGHT_ERROR, "7 keys");
    ck_assert_ptr_null(find("target_owner"));
    ck_assert_ptr_null(find("interlocks"));
    k.config->existing_keys = EXISTING_REPLACE;
    only("target_owner", PREFLIGHT_OK, "will go");
    own("elsewhere", "bbbb");
    only("target_owner", PREFLIGHT_OK, "own");
    own(k.config->target.url.text, "cccc");
    only("target_owner", PREFLIGHT_WARNING, "accept target_foreign");
    TARGET->probe.id = SOURCE->probe.id;
    only("same_server", PREFLIGHT_ERROR, "aaaa");
    done();
}
END_TEST

START_TEST(a_source_that_shrank)
{
    struct watch_db dbs[] = {{.db = 0, .keys = 4}};

    make_plain();
    SOURCE->probe.dbs = dbs;
    SOURCE->probe.ndbs = 1;
    const struct watch_db was[] = {{.db = 0, .keys = 10}};
    struct state_server *r = state_server_set(&k.state->sources, "unix:///s", &SOURCE->probe.id);
    ck_assert_ptr_nonnull(r);
    state_server_recount(r, 1, was);
    look();
    ck_assert_ptr_null(find("source_shrank")); /* it copied nothing yet */
    own(k.config->target.url.text, "bbbb");
    only("source_shrank", PREFLIGHT_WARNING, "accept source_shrank");
    dbs[0].keys = 5;
    look();
    ck_assert_ptr_null(find("source_shrank"));
    done();
}
END_TEST

START_TEST(a_cutover_on_record)
{
    make_plain();
    k.state->cutover.stage = STAGE_COMMITTED;
    only("cutover_record", PREFLIGHT_WARNING, "start --anew");
    k.state->cutover.stage = STAGE_UNDOING;
    only("cutover_record", PREFLIGHT_WARNING, "undone");
    done();
}
END_TEST

/* A cutover is refused then, whatever the primary allows. */
START_TEST(a_node_that_cannot_be_fenced)
{
    make_plain();
    k.facts.unfenced =
        (struct fence_node_report){.address = "b:2", .why = "WRONGPASS invalid username-password pair"};
    only("fences", PREFLIGHT_WARNING, "the node b:2 of the source cannot be fenced: WRONGPASS");
    k.facts.unfenced.address[0] = '\0';
    only("fences", PREFLIGHT_OK, "uses acl");
    done();
}
END_TEST

START_TEST(fences)
{
    make_plain();
    only("fence_acl", PREFLIGHT_OK, "--fence auto");
    k.facts.fences.kinds[FENCE_ACL].allowed = false;
    snprintf(k.facts.fences.kinds[FENCE_ACL].why_not, sizeof(k.facts.fences.kinds[0].why_not),
             "others use it");
    k.facts.fences.chosen = FENCE_AUTO;
    only("fences", PREFLIGHT_WARNING, "--fence none");
    ck_assert_ptr_nonnull(strstr(find("fence_acl")->text, "cannot be had: others use it"));
    k.facts.has_fences = false;
    only("fences", PREFLIGHT_WARNING, "not known");
    ck_assert_ptr_null(find("fence_acl"));
    done();
}
END_TEST

static void warns(const char *name, const char *says)
{
    look();
    const struct preflight_item *item = find(name);
    ck_assert_msg(item && item->level == PREFLIGHT_WARNING && strstr(item->text, says), "%s: %s", name,
                  item ? item->text : "there is none");
}

START_TEST(what_info_does_not_tell)
{
    make_plain();
    SOURCE->has_commandstats = false;
    warns("commandstats", "SWAPDB");
    warns("thin_info", "does not tell commandstats of the source: a cutover");
    done();
    make_plain();
    SOURCE->evicted = TARGET->evicted = PREFLIGHT_UNKNOWN;
    only("thin_info", PREFLIGHT_WARNING, "does not tell evicted_keys of the target: a cutover");
    SOURCE->commands = PREFLIGHT_UNKNOWN;
    TARGET->probe.id.replid[0] = '\0';
    warns("thin_info", "tell total_commands_processed of the source, and master_replid, evicted_keys of the");
    ck_assert_int_eq(find("interlocks")->level, PREFLIGHT_OK);
    TARGET->probe.id.role = ROLE_UNKNOWN;
    warns("interlocks", "cannot be told");
    done();
    make_plain();
    SOURCE->probe.id.run_id[0] = '\0';
    warns("interlocks", "cannot be told");
    done();
}
END_TEST

START_TEST(the_rest)
{
    make_plain();
    SOURCE->scripts = 4;
    only("scripts", PREFLIGHT_WARNING, "4 scripts");
    SOURCE->scripts = 0;
    SOURCE->idle_timeout_s = 30;
    only("idle_timeout", PREFLIGHT_WARNING, "30 s");
    SOURCE->idle_timeout_s = 0;
    SOURCE->sentinels = 3;
    only("sentinel", PREFLIGHT_WARNING, "3 Sentinels");
    SOURCE->sentinels = 0;
    TARGET->bulk_len = MIB;
    only("bulk_length", PREFLIGHT_WARNING, "proto-max-bulk-len 536870912");
    TARGET->bulk_len = PREFLIGHT_UNKNOWN;
    only("bulk_length", PREFLIGHT_OK, "not known");
    SOURCE->probe.id.role = ROLE_REPLICA;
    only("source_role", PREFLIGHT_WARNING, "needs its primary");
    SOURCE->probe.id.role = ROLE_PRIMARY;
    snprintf(SOURCE->url_why, sizeof(SOURCE->url_why), "connection refused");
    only("source_url", PREFLIGHT_WARNING, "(connection refused)");
    SOURCE->url_why[0] = '\0';
    snprintf(TARGET->refused, sizeof(TARGET->refused), "MISCONF x");
    only("target_writable", PREFLIGHT_ERROR, "MISCONF x");
    TARGET->refused[0] = '\0';
    snprintf(k.facts.state_why, sizeof(k.facts.state_why), "no room");
    only("state_file", PREFLIGHT_ERROR, "no room");
    k.facts.state_why[0] = '\0';
    k.facts.machine_bytes = k.config->limit_memory;
    only("memory", PREFLIGHT_WARNING, "Lower limits.memory");
    k.facts.machine_bytes *= 2;
    SOURCE->maxmemory = 40 * MIB; /* with a full output buffer it would evict */
    only("source_memory", PREFLIGHT_OK, "40.0 MiB");
    snprintf(SOURCE->probe.maxmemory_policy, sizeof(SOURCE->probe.maxmemory_policy), "allkeys-lru");
    only("source_memory", PREFLIGHT_WARNING, "allkeys-lru");
    done();
}
END_TEST

/* Names of the ACL and errors may be long, and there are more words than an item has room for. */
START_TEST(everything_is_wrong)
{
    char user[600];

    make_plain();
    memset(user, 'u', sizeof(user) - 1);
    user[sizeof(user) - 1] = '\0';
    for (int side = SIDE_SOURCE; side <= SIDE_TARGET; side++) {
        k.facts.side[side].user = user;
        k.facts.side[side].keys_denied = true;
        for (size_t i = 0; i < RIGHTS; i++)
            k.facts.side[side].rights[i] = i % 2 ? RIGHT_DENIED : RIGHT_MISSING;
    }
    look();
    ck_assert_uint_gt(k.report.errors, 4);
    for (size_t i = 0; i < k.report.nitems; i++)
        ck_assert_uint_lt(strlen(k.report.items[i].text), sizeof(k.report.items[i].text));
    for (size_t i = 0; i < 2 * PREFLIGHT_ITEMS_MAX; i++)
        preflight_add(&k.report, "more", PREFLIGHT_ERROR, "%s", user);
    ck_assert_uint_eq(k.report.nitems, PREFLIGHT_ITEMS_MAX);
    done();
}
END_TEST

static char *printed(void)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    ck_assert_ptr_nonnull(out);
    preflight_print(&k.report, out);
    fclose(out);
    return text;
}

START_TEST(the_table)
{
    k.report = (struct preflight_report){0};
    preflight_add(&k.report, "a", PREFLIGHT_OK, "good");
    preflight_add(&k.report, "longer", PREFLIGHT_WARNING, "evil \033[2J %d", 5);
    preflight_hint(&k.report, "do %s", "this");
    preflight_add(&k.report, "bc", PREFLIGHT_ERROR, "bad");
    char *text = printed();
    ck_assert_str_eq(text, "ok       a       good\n"
                           "warning  longer  evil \\x1b[2J 5\n"
                           "                 do this\n"
                           "error    bc      bad\n"
                           "1 error, 1 warning\n");
    free(text);
}
END_TEST

UNIT_MAIN("daemon/preflight", all_is_well, clocks, memory_of_the_target, memory_of_a_part_of_the_databases,
          eviction, versions_and_databases, a_cluster, output_buffer, modules, functions, persistence, rights,
          keys, psync, feeds, what_one_side_does_not_tell_the_other_still_does, interlocks_and_ownership,
          a_source_that_shrank, a_cutover_on_record, fences, a_node_that_cannot_be_fenced,
          what_info_does_not_tell, the_rest, everything_is_wrong, the_table)
