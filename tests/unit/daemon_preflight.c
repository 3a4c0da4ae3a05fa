/* What a check makes of what it knows: nothing is asked here. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "daemon/preflight_facts.h"

/* Two servers between which all is well; each test spoils one thing. */
struct kit {
    struct config *config;
    struct state *state;
    struct preflight_facts facts;
    struct preflight_report report;
    struct watch_db source_dbs[2];
};

static struct kit k;

static void name_server(struct server_id *id, const char *run_id)
{
    *id = (struct server_id){.kind = SERVER_REDIS, .role = ROLE_PRIMARY, .redis = 70015, .own = 70015};
    snprintf(id->version, sizeof(id->version), "7.0.15");
    snprintf(id->run_id, sizeof(id->run_id), "%s", run_id);
    snprintf(id->replid, sizeof(id->replid), "%s-history", run_id);
}

static void make_side(struct preflight_side *s, const char *run_id)
{
    preflight_side_init(s);
    s->url = "redis://somewhere";
    s->user = "riot";
    s->reached = s->asked = s->keys_known = s->has_commandstats = true;
    name_server(&s->probe.id, run_id);
    s->probe.dump_version = 10;
    s->probe.databases = 16;
    s->probe.has_keyspace = s->probe.has_clock = s->probe.has_functions = true;
    snprintf(s->probe.maxmemory_policy, sizeof(s->probe.maxmemory_policy), "noeviction");
    for (size_t i = 0; i < RIGHTS; i++)
        s->rights[i] = RIGHT_GIVEN;
    s->tracking = RIGHT_GIVEN;
    s->used_memory = s->dataset = 10 * MIB;
    s->maxmemory = s->scripts = s->libraries = s->ops_per_s = s->idle_timeout_s = 0;
    s->total_memory = 1000 * MIB;
    s->bulk_len = 512 * MIB;
    s->aof = 1;
    s->has_pubsub_limit = s->has_flags = s->has_modules = s->has_save = true;
    s->pubsub_hard = 32 * MIB;
    s->pubsub_soft = 8 * MIB;
    s->pubsub_soft_s = 60;
}

static void make(const char *existing, const char *feed)
{
    const struct config_flag flags[] = {{"source.url", "--source", "unix:///s"},
                                        {"target.url", "--target", "unix:///t"},
                                        {"target.existing_keys", "--existing-keys", existing},
                                        {"feed", "--feed", feed}};
    struct config_errors errors = {0};

    k = (struct kit){.state = calloc(1, sizeof(*k.state))};
    ck_assert_ptr_nonnull(k.state);
    ck_assert_int_eq(config_load(&(struct config_inputs){NULL, flags, ARRAY_LEN(flags)}, &errors, &k.config),
                     0);
    config_errors_free(&errors);
    k.facts = (struct preflight_facts){
        .config = k.config, .state = k.state, .state_path = "/s/x.json", .waited_ms = 10000};
    make_side(&k.facts.side[SIDE_SOURCE], "aaaa");
    make_side(&k.facts.side[SIDE_TARGET], "bbbb");
    k.facts.has_fences = true;
    k.facts.fences.chosen = FENCE_ACL;
    k.facts.fences.kinds[FENCE_ACL].allowed = true;
}

static void make_plain(void)
{
    make("refuse", "auto");
}

static void done(void)
{
    config_free(k.config);
    free(k.state);
}

static const struct preflight_item *find(const char *name)
{
    for (size_t i = 0; i < k.report.nitems; i++)
        if (strcmp(k.report.items[i].name, name) == 0)
            return &k.report.items[i];
    return NULL;
}

static void look(void)
{
    k.report = (struct preflight_report){0};
    preflight_decide(&k.facts, &k.report);
}

/* This item is so, says that, and is the only one that is not ok, if it is not. */
static void only(const char *name, enum preflight_level level, const char *says)
{
    look();
    const struct preflight_item *item = find(name);
    ck_assert_msg(item != NULL, "no item %s", name);
    ck_assert_msg(item->level == level, "%s: %s: %s", name, preflight_level_name(item->level), item->text);
    ck_assert_msg(strstr(item->text, says) || strstr(item->hint, says), "%s: %s: %s", name, item->text,
                  item->hint);
    for (size_t i = 0; i < k.report.nitems; i++) {
        const struct preflight_item *other = &k.report.items[i];
        ck_assert_msg((other->hint[0] != '\0') == (other->level != PREFLIGHT_OK), "%s: %s: %s", other->name,
                      other->text, other->hint);
        ck_assert_msg(other == item || other->level == PREFLIGHT_OK, "%s: %s", other->name, other->text);
    }
    ck_assert_uint_eq(k.report.errors, level == PREFLIGHT_ERROR);
    ck_assert_uint_eq(k.report.warnings, level == PREFLIGHT_WARNING);
    ck_assert_int_eq(preflight_exit_code(&k.report), level == PREFLIGHT_ERROR ? 12 : 0);
}

#define SOURCE (&k.facts.side[SIDE_SOURCE])
#define TARGET (&k.facts.side[SIDE_TARGET])

START_TEST(all_is_well)
{
    make_plain();
    only("feed", PREFLIGHT_OK, "tracking (passed over: psync: not built yet)");
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
    only("cluster", PREFLIGHT_ERROR, "target");
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
    SOURCE->pubsub_hard = SOURCE->pubsub_soft = 0;
    only("output_buffer", PREFLIGHT_OK, "no limit");
    SOURCE->pubsub_soft = 8 * MIB; /* its time is waited for */
    only("output_buffer", PREFLIGHT_OK, "8.0 MiB for 60 s");
    SOURCE->pubsub_hard = MIB;
    SOURCE->ops_per_s = PREFLIGHT_UNKNOWN;
    only("output_buffer", PREFLIGHT_WARNING, "1.0 MiB");
    SOURCE->has_pubsub_limit = false;
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

START_TEST(feeds)
{
    make_plain();
    SOURCE->tracking = RIGHT_MISSING;
    snprintf(SOURCE->tracking_why, sizeof(SOURCE->tracking_why), "ERR no such thing");
    only("feed", PREFLIGHT_OK,
         "notify: start sets notify-keyspace-events, now \"\", to \"KA\" (passed over: psync: not built yet; "
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
    k.state->target_owned.owned = true;
    snprintf(k.state->target_owned.run_id, sizeof(k.state->target_owned.run_id), "bbbb");
    only("target_owner", PREFLIGHT_OK, "own");
    snprintf(k.state->target_owned.run_id, sizeof(k.state->target_owned.run_id), "cccc");
    snprintf(k.state->target_owned.url, sizeof(k.state->target_owned.url), "%s", k.config->target.url.text);
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
    k.state->source.ndbs = 1;
    k.state->source.dbs[0] = (struct watch_db){.db = 0, .keys = 10};
    look();
    ck_assert_ptr_null(find("source_shrank")); /* it copied nothing yet */
    k.state->target_owned.owned = true;
    snprintf(k.state->target_owned.run_id, sizeof(k.state->target_owned.run_id), "bbbb");
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
    SOURCE->has_commandstats = false;
    only("commandstats", PREFLIGHT_WARNING, "SWAPDB");
    SOURCE->has_commandstats = true;
    TARGET->bulk_len = MIB;
    only("bulk_length", PREFLIGHT_WARNING, "proto-max-bulk-len 536870912");
    TARGET->bulk_len = PREFLIGHT_UNKNOWN;
    only("bulk_length", PREFLIGHT_OK, "not known");
    SOURCE->probe.id.role = ROLE_REPLICA;
    only("source_role", PREFLIGHT_WARNING, "needs its primary");
    SOURCE->probe.id.role = ROLE_PRIMARY;
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
          keys, feeds, what_one_side_does_not_tell_the_other_still_does, interlocks_and_ownership,
          a_source_that_shrank, a_cutover_on_record, fences, the_rest, everything_is_wrong, the_table)
