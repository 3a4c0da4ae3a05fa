#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/state_file_parts.h"

static char folder[64], path[96], temp[96];
static char why[STATE_WHY_MAX];
static struct state_file *f;

static const struct server_id server = {
    .run_id = "run1", .replid = "rep1", .replid2 = "rep0", .role = ROLE_PRIMARY};
static const struct server_id another = {.run_id = "run9", .replid = "rep9", .role = ROLE_PRIMARY};

static void setup(void)
{
    strcpy(folder, "/tmp/riot-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/orders.json", folder);
    snprintf(temp, sizeof(temp), "%s/orders.json.new", folder);
}

static void teardown(void)
{
    char command[128];
    f = state_file_free(f);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static int open_it(void)
{
    return state_file_open(folder, "orders", why, &f);
}

static void again(void)
{
    f = state_file_free(f);
    ck_assert_msg(open_it() == 0, "%s", why);
}

static void write_file(const char *text)
{
    FILE *out = fopen(path, "w");
    fputs(text, out);
    fclose(out);
}

static ino_t inode(void)
{
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_ino;
}

START_TEST(a_fresh_state_is_on_the_disk_before_it_is_used)
{
    setup();
    ck_assert_msg(open_it() == 0, "%s", why);
    struct state *s = state_of(f);
    char instance[STATE_INSTANCE_MAX];
    strcpy(instance, s->instance);
    ck_assert_uint_eq(strlen(instance), 8);
    ck_assert_int_eq(s->desired, DESIRED_NONE);
    ck_assert(!s->target_owned.owned);
    ck_assert_str_eq(state_file_path(f), path);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    again();
    ck_assert_str_eq(state_of(f)->instance, instance);
    teardown();
}
END_TEST

START_TEST(everything_comes_back)
{
    setup();
    ck_assert_int_eq(open_it(), 0);
    struct state *s = state_of(f);
    const struct watch_db dbs[] = {{0, 100, 3}, {7, 5, 0}};
    s->desired = DESIRED_PAUSED;
    ck_assert_int_eq(state_own_target(s, "redis://b:6379", "redis://b:1", &server), 0);
    ck_assert_int_eq(state_own_target(s, "redis://b:6379", "redis://b:2", &another), 0);
    ck_assert_ptr_nonnull(state_server_set(&s->sources, "redis://a:6380", &another));
    struct state_server *shard = state_server_set(&s->sources, "redis://a:6379", &server);
    state_server_count(shard, 2, dbs);
    shard->slots = 5461;
    shard->in_doubt = true;
    ck_assert_int_eq(state_notify_set(s, "redis://a:6379", &(struct notify_record){"run1", "Kx", "AKx"}), 0);
    ck_assert_int_eq(state_notify_set(s, "redis://a:6380", &(struct notify_record){"run9", "", "AK"}), 0);
    state_connection_add(s, STATE_SOURCE, "run1", 12);
    state_connection_add(s, STATE_TARGET, "run2", INT64_MAX);
    ck_assert_int_eq(state_save(f), 0);
    again();
    s = state_of(f);
    ck_assert_int_eq(s->desired, DESIRED_PAUSED);
    ck_assert(s->target_owned.owned);
    ck_assert_str_eq(s->target_owned.url, "redis://b:6379");
    ck_assert_uint_eq(s->target_owned.servers.count, 2);
    ck_assert_str_eq(s->target_owned.servers.at[0].address, "redis://b:1");
    ck_assert_str_eq(s->target_owned.servers.at[0].replid2, "rep0");
    ck_assert_uint_eq(s->sources.count, 2);
    shard = &s->sources.at[1];
    ck_assert_str_eq(shard->address, "redis://a:6379");
    ck_assert_str_eq(shard->run_id, "run1");
    ck_assert_int_eq(shard->role, ROLE_PRIMARY);
    ck_assert_uint_eq(shard->slots, 5461);
    ck_assert_uint_eq(shard->ndbs, 2);
    ck_assert_int_eq(shard->dbs[1].db, 7);
    ck_assert_uint_eq(state_server_keys(shard), 105);
    ck_assert(!shard->in_doubt);
    ck_assert_uint_eq(s->nnotify, 2);
    ck_assert_str_eq(state_notify_find(s, "run1")->before, "Kx");
    ck_assert_str_eq(state_notify_find(s, "run9")->after, "AK");
    ck_assert_ptr_null(state_notify_find(s, "run7"));
    ck_assert_uint_eq(s->nconnections, 2);
    ck_assert_int_eq(s->connections[1].side, STATE_TARGET);
    ck_assert_uint_eq(s->connections[1].client_id, INT64_MAX);
    struct server_id id;
    state_server_id(shard, &id);
    ck_assert_str_eq(id.run_id, "run1");
    ck_assert_int_eq(id.role, ROLE_PRIMARY);
    teardown();
}
END_TEST

/* The state as text, with the first `from` in it replaced. */
static char *changed(const char *from, const char *to)
{
    struct state *s = calloc(1, sizeof(*s));
    struct state_node *a, *b;
    struct state_setting *setting;
    char *text, *result;
    strcpy(s->instance, "0123abcd");
    s->cutover.fence = FENCE_ACL;
    state_connection_add(s, STATE_SOURCE, "r", 1);
    ck_assert_ptr_nonnull(state_server_add(&s->sources, "source", &server));
    ck_assert_int_eq(state_notify_set(s, "source", &(struct notify_record){"run1", "", "AK"}), 0);
    ck_assert_int_eq(state_node_add(&s->cutover, "a:1", "", true, &a), 0);
    ck_assert_int_eq(state_setting_add(a, BYTES("u"), BYTES("on"), &setting), 0);
    ck_assert_int_eq(state_setting_add(a, BYTES("v"), BYTES("off"), &setting), 0);
    ck_assert_int_eq(state_node_add(&s->cutover, "b:1", "", false, &b), 0);
    ck_assert_int_eq(state_render(s, &text), 0);
    char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s in %s", from, text);
    ck_assert_int_ge(asprintf(&result, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)), 0);
    free(text);
    state_clear(s);
    free(s);
    return result;
}

/* Any byte but NUL. */
static void every_byte(char out[256])
{
    for (unsigned i = 1; i < 256; i++)
        out[i - 1] = (char)i;
    out[255] = '\0';
}

START_TEST(the_cutover_comes_back)
{
    char bytes[256];
    struct state_node *n;
    struct state_setting *set;
    setup();
    every_byte(bytes);
    ck_assert_int_eq(open_it(), 0);
    state_of(f)->cutover = (struct state_cutover){.stage = STAGE_COMMITTED,
                                                  .fence = FENCE_MIN_REPLICAS,
                                                  .unfenced = true,
                                                  .began_ms = 1,
                                                  .committed_ms = INT64_MAX,
                                                  .finished_ms = 3,
                                                  .write_pause_ms = 4,
                                                  .lease_ms = 5};
    struct state_cutover *c = &state_of(f)->cutover;
    ck_assert_int_eq(state_node_add(c, "h:1", "r1", true, &n), 0);
    ck_assert_int_eq(state_setting_add(n, bytes_str(bytes), BYTES("caf\xc3\xa9"), &set), 0);
    ck_assert_int_eq(state_setting_add(n, BYTES("x"), bytes_str(bytes), &set), 0);
    ck_assert_int_eq(state_setting_after(set, BYTES("first")), 0);
    ck_assert_int_eq(state_setting_after(set, bytes_str(bytes)), 0);
    n->shard = STATE_NODES_MAX;
    n->write_calls = 7;
    strcpy(n->replid, "rep");
    ck_assert_int_eq(state_node_add(c, "[::1]:2", "r2", false, &n), 0);
    ck_assert_int_eq(state_save(f), 0);
    again();
    c = &state_of(f)->cutover;
    ck_assert_int_eq(c->stage, STAGE_COMMITTED);
    ck_assert_int_eq(c->fence, FENCE_MIN_REPLICAS);
    ck_assert(c->unfenced);
    ck_assert_int_eq(c->began_ms, 1);
    ck_assert_int_eq(c->committed_ms, INT64_MAX);
    ck_assert_int_eq(c->finished_ms, 3);
    ck_assert_uint_eq(c->write_pause_ms, 4);
    ck_assert_uint_eq(c->lease_ms, 5);
    ck_assert_uint_eq(c->nnodes, 2);
    n = state_node_find(c, "h:1");
    ck_assert_ptr_nonnull(n);
    ck_assert(n->primary);
    ck_assert_str_eq(n->run_id, "r1");
    ck_assert_uint_eq(n->shard, STATE_NODES_MAX);
    ck_assert_str_eq(n->replid, "rep");
    ck_assert_uint_eq(n->write_calls, 7);
    ck_assert_uint_eq(n->nsettings, 2);
    ck_assert_str_eq(state_setting_find(n, bytes_str(bytes))->before, "caf\xc3\xa9");
    ck_assert_str_eq(state_setting_find(n, bytes_str(bytes))->after, "");
    ck_assert_str_eq(state_setting_find(n, BYTES("x"))->before, bytes);
    ck_assert_str_eq(state_setting_find(n, BYTES("x"))->after, bytes);
    ck_assert_ptr_null(state_setting_find(n, BYTES("y")));
    state_node_remove(c, n);
    ck_assert_ptr_null(state_node_find(c, "h:1"));
    ck_assert(!state_node_find(c, "[::1]:2")->primary);
    ck_assert_uint_eq(state_node_find(c, "[::1]:2")->write_calls, WATCH_UNKNOWN);
    teardown();
}
END_TEST

/* As the versions that knew one server a side wrote it; FILE_OLD: of which schema, and what comes at the end.
 */
#define FILE_OLD                                                                                             \
    "{\"schema\": %d, \"instance\": \"0123abcd\", \"desired\": \"running\", "                                \
    "\"target_owned\": {\"owned\": true, \"url\": \"redis://b:1\", \"run_id\": \"b1\", \"replid\": \"B\", "  \
    "\"replid2\": \"0\"}, "                                                                                  \
    "\"source\": {\"url\": \"redis://a:1\", \"run_id\": \"a1\", \"replid\": \"A\", \"replid2\": \"0\", "     \
    "\"role\": \"primary\", \"keys\": {\"0\": 5, \"3\": 7}}, "                                               \
    "\"target\": {\"url\": \"\", \"run_id\": \"\", \"replid\": \"\", \"replid2\": \"\", \"role\": "          \
    "\"unknown\", "                                                                                          \
    "\"keys\": {}}, "                                                                                        \
    "\"notify\": {\"run_id\": \"a1\", \"before\": \"\", \"after\": \"AK\"}, "                                \
    "\"connections\": [{\"side\": \"target\", \"run_id\": \"b1\", \"client_id\": 9}]%s}"

#define CUTOVER_OLD                                                                                          \
    ", \"cutover\": {\"stage\": \"committed\", \"fence\": \"acl\", \"unfenced\": false, \"began_ms\": 1, "   \
    "\"committed_ms\": 2, \"finished_ms\": 0, \"write_pause_ms\": 3, \"lease_ms\": 0, "                      \
    "\"run_id\": \"r1\", \"replid\": \"p1\", \"write_calls\": 7, "                                           \
    "\"nodes\": [{\"address\": \"a:1\", \"run_id\": \"\", \"primary\": true, \"settings\": []}, "            \
    "{\"address\": \"b:1\", \"run_id\": \"\", \"primary\": false, \"settings\": []}]}"

static void write_old(int schema, const char *end)
{
    char *text;
    ck_assert_int_ge(asprintf(&text, FILE_OLD, schema, end), 0);
    write_file(text);
    free(text);
    ck_assert_msg(open_it() == 0, "%s", why);
}

static void expect_old(void)
{
    const struct state *s = state_of(f);

    ck_assert_int_eq(s->desired, DESIRED_RUNNING);
    ck_assert(s->target_owned.owned);
    ck_assert_str_eq(s->target_owned.url, "redis://b:1");
    ck_assert_uint_eq(s->target_owned.servers.count, 1);
    ck_assert_str_eq(s->target_owned.servers.at[0].address, "redis://b:1");
    ck_assert_str_eq(s->target_owned.servers.at[0].run_id, "b1");
    ck_assert_str_eq(s->target_owned.servers.at[0].replid, "B");
    ck_assert_uint_eq(s->sources.count, 1);
    ck_assert_str_eq(s->sources.at[0].address, "redis://a:1");
    ck_assert_str_eq(s->sources.at[0].run_id, "a1");
    ck_assert_int_eq(s->sources.at[0].role, ROLE_PRIMARY);
    ck_assert_uint_eq(s->sources.at[0].slots, SLOTS);
    ck_assert_uint_eq(state_server_keys(&s->sources.at[0]), 12);
    ck_assert_uint_eq(s->targets.count, 0); /* it was never seen */
    ck_assert_uint_eq(s->nnotify, 1);
    ck_assert_str_eq(s->notify[0].address, "redis://a:1");
    ck_assert_str_eq(s->notify[0].record.after, "AK");
    ck_assert_uint_eq(s->nconnections, 1);
    ck_assert_uint_eq(s->connections[0].client_id, 9);
}

START_TEST(a_file_without_shards_is_read)
{
    setup();
    write_old(2, CUTOVER_OLD);
    for (int i = 0; i < 2; i++) { /* and again, as this version writes it */
        const struct state_cutover *c = &state_of(f)->cutover;
        expect_old();
        ck_assert_int_eq(c->stage, STAGE_COMMITTED);
        ck_assert_uint_eq(c->nnodes, 2);
        ck_assert_str_eq(c->nodes[0].run_id, "r1");
        ck_assert_str_eq(c->nodes[0].replid, "p1");
        ck_assert_uint_eq(c->nodes[0].write_calls, 7);
        ck_assert_uint_eq(c->nodes[0].shard, 0);
        ck_assert_str_eq(c->nodes[1].run_id, "");
        ck_assert_uint_eq(c->nodes[1].write_calls, WATCH_UNKNOWN);
        ck_assert_int_eq(state_save(f), 0);
        again();
    }
    teardown();
}
END_TEST

START_TEST(a_file_without_a_cutover_is_read)
{
    setup();
    write_old(1, "");
    for (int i = 0; i < 2; i++) {
        expect_old();
        ck_assert_int_eq(state_of(f)->cutover.stage, STAGE_NONE);
        ck_assert_int_eq(state_save(f), 0);
        again();
    }
    teardown();
}
END_TEST

static struct state_servers three_shards(void)
{
    static const struct server_id ids[] = {{.run_id = "a1", .replid = "A", .replid2 = "0"},
                                           {.run_id = "b1", .replid = "B", .replid2 = "0"},
                                           {.run_id = "c1", .replid = "C", .replid2 = "0"}};
    struct state_servers list = {.count = 0};

    ck_assert_ptr_nonnull(state_server_set(&list, "a:1", &ids[0]));
    ck_assert_ptr_nonnull(state_server_set(&list, "b:1", &ids[1]));
    ck_assert_ptr_nonnull(state_server_set(&list, "c:1", &ids[2]));
    ck_assert_uint_eq(list.count, 3);
    return list;
}

START_TEST(a_shard_is_known_by_process_history_or_address)
{
    struct state_servers list = three_shards();
    struct server_id id = {.run_id = "b1", .replid = "B"};

    /* The process goes before all: it may have another address, or a new history. */
    ck_assert_ptr_eq(state_server_find(&list, "a:1", &id), &list.at[1]);
    id = (struct server_id){.run_id = "x", .replid = "X", .replid2 = "C"}; /* a replica of c that took over */
    ck_assert_ptr_eq(state_server_find(&list, "a:1", &id), &list.at[2]);
    id = (struct server_id){.run_id = "x", .replid = "X"}; /* a was restarted */
    ck_assert_ptr_eq(state_server_find(&list, "a:1", &id), &list.at[0]);
    ck_assert_ptr_null(state_server_find(&list, "d:1", &id));
    id = (struct server_id){.run_id = ""}; /* INFO does not tell */
    ck_assert_ptr_eq(state_server_find(&list, "b:1", &id), &list.at[1]);
    state_servers_clear(&list);
}
END_TEST

START_TEST(a_shard_that_fails_over_keeps_its_record)
{
    struct state_servers list = three_shards();
    const struct watch_db dbs[] = {{.db = 0, .keys = 5}};
    const struct server_id replica = {.run_id = "b2", .replid = "X", .replid2 = "B"};

    state_server_recount(&list.at[1], 1, dbs);
    struct state_server *s = state_server_set(&list, "b:2", &replica);
    ck_assert_ptr_eq(s, &list.at[1]);
    ck_assert_str_eq(s->address, "b:2");
    ck_assert_uint_eq(state_server_keys(s), 5);
    state_server_remove(&list, &list.at[0]);
    ck_assert_uint_eq(list.count, 2);
    ck_assert_str_eq(list.at[0].address, "b:2");
    state_servers_clear(&list);
    ck_assert_uint_eq(list.count, 0);
}
END_TEST

START_TEST(what_notify_changed_is_kept_by_node)
{
    struct state *s = calloc(1, sizeof(*s));
    const struct notify_record a = {"a1", "", "AK"}, b = {"b1", "Ex", "AKEx"}, none = {.run_id = ""};
    const struct notify_record again = {"a1", "", "AKx"};

    ck_assert_int_eq(state_notify_set(s, "a:1", &a), 0);
    ck_assert_int_eq(state_notify_set(s, "b:1", &b), 0);
    ck_assert_int_eq(state_notify_set(s, "a:1", &again), 0);
    ck_assert_uint_eq(s->nnotify, 2);
    ck_assert_str_eq(state_notify_find(s, "a1")->after, "AKx");
    ck_assert_int_eq(state_notify_set(s, "c:1", &none), 0);
    ck_assert_uint_eq(s->nnotify, 2);
    ck_assert_int_eq(state_notify_set(s, "a:1", &none), 0);
    ck_assert_ptr_null(state_notify_find(s, "a1"));
    state_notify_remove(s, "b1");
    state_notify_remove(s, "b1");
    ck_assert_uint_eq(s->nnotify, 0);
    state_clear(s);
    free(s);
}
END_TEST

START_TEST(what_cannot_be_read_again_is_not_written)
{
    struct state_setting *set;
    struct state_node *n;
    char *text = malloc(STATE_SETTING_MAX + 1), name[16];
    setup();
    ck_assert_int_eq(open_it(), 0);
    memset(text, 'x', STATE_SETTING_MAX);
    text[STATE_SETTING_MAX] = '\0';
    struct state_cutover *c = &state_of(f)->cutover;
    ck_assert_int_eq(state_node_add(c, "a", "", true, &n), 0);
    ck_assert_int_eq(state_setting_add(n, BYTES("a"), bytes_str(text), &set), -E2BIG);
    text[STATE_SETTING_MAX - 1] = '\0';
    ck_assert_int_eq(state_setting_add(n, BYTES("a"), bytes_str(text), &set), 0);
    ck_assert_int_eq(state_save(f), 0);
    again();
    n = state_node_find(&state_of(f)->cutover, "a");
    ck_assert_str_eq(n->settings[0].before, text);
    for (unsigned i = 0; i < 128; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        ck_assert_int_eq(state_setting_add(n, bytes_str(name), bytes_str(text), &set), 0);
    }
    ino_t before = inode();
    ck_assert_int_eq(state_save(f), -EFBIG);
    ck_assert(!state_save_unknown(f));
    ck_assert_uint_eq(inode(), before);
    state_nodes_clear(&state_of(f)->cutover);
    for (unsigned i = 0; i < STATE_NODES_MAX; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        ck_assert_int_eq(state_node_add(&state_of(f)->cutover, name, "", false, &n), 0);
    }
    ck_assert_int_eq(state_node_add(&state_of(f)->cutover, "more", "", false, &n), -ENOSPC);
    for (unsigned i = 0; i < STATE_SETTINGS_MAX; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        ck_assert_int_eq(state_setting_add(n, bytes_str(name), BYTES(""), &set), 0);
    }
    ck_assert_int_eq(state_setting_add(n, BYTES("more"), BYTES(""), &set), -ENOSPC);
    ck_assert_int_eq(state_save(f), 0);
    ck_assert_int_eq(state_setting_add(n - 1, BYTES("more"), BYTES(""), &set), 0);
    ck_assert_int_eq(state_save(f), -EFBIG);
    free(text);
    teardown();
}
END_TEST

START_TEST(the_largest_state_comes_back)
{
    setup();
    ck_assert_int_eq(open_it(), 0);
    struct state *s = state_of(f);
    struct watch_db *dbs = calloc(WATCH_DBS_MAX, sizeof(*dbs));
    for (int i = 0; i < WATCH_DBS_MAX; i++)
        dbs[i] = (struct watch_db){.db = URL_DB_MAX - WATCH_DBS_MAX + i, .keys = (uint64_t)1 << 40};
    state_server_recount(state_server_add(&s->sources, "a", &server), WATCH_DBS_MAX, dbs);
    state_server_recount(state_server_add(&s->targets, "b", &server), WATCH_DBS_MAX, dbs);
    for (unsigned i = 0; i < STATE_IDS_MAX; i++)
        state_connection_add(s, STATE_TARGET, "0123456789012345678901234567890123456789", INT64_MAX - i);
    ck_assert_int_eq(state_save(f), 0);
    again();
    ck_assert_uint_eq(state_of(f)->sources.at[0].ndbs, WATCH_DBS_MAX);
    ck_assert_uint_eq(state_of(f)->nconnections, STATE_IDS_MAX);
    free(dbs);
    teardown();
}
END_TEST

START_TEST(what_a_server_told_may_be_anything)
{
    setup();
    ck_assert_int_eq(open_it(), 0);
    struct state_server *any = state_server_add(&state_of(f)->sources, "unix:///caf\xc3\xa9", &server);
    ck_assert_ptr_nonnull(any);
    strcpy(any->run_id, "a\xff\"\n\x01");
    ck_assert_int_eq(state_save(f), 0);
    again();
    ck_assert_str_eq(state_of(f)->sources.at[0].run_id, "a?\"??");
    ck_assert_str_eq(state_of(f)->sources.at[0].address, "unix:///caf\xc3\xa9");
    teardown();
}
END_TEST

START_TEST(a_second_one_is_refused)
{
    struct state_file *second;
    setup();
    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(state_file_open(folder, "orders", why, &second), -EWOULDBLOCK);
    ck_assert_ptr_nonnull(strstr(why, "another riotd runs the link orders"));
    ck_assert_int_eq(state_file_open(folder, "other", why, &second), 0);
    state_file_free(second);
    again();
    teardown();
}
END_TEST

START_TEST(a_look_takes_no_lock_and_makes_nothing)
{
    struct state_file *look = NULL;
    char lock[112];

    setup();
    ck_assert_int_eq(state_file_peek(folder, "orders", why, &look), 0);
    ck_assert_str_eq(state_of(look)->instance, "");
    ck_assert_str_eq(state_file_path(look), path);
    look = state_file_free(look);
    ck_assert_int_ne(access(path, F_OK), 0);
    snprintf(lock, sizeof(lock), "%s/orders.lock", folder);
    ck_assert_int_ne(access(lock, F_OK), 0);
    ck_assert_int_eq(state_file_peek("/nonexistent/folder", "orders", why, &look), 0);
    ck_assert_str_eq(state_of(look)->instance, "");
    look = state_file_free(look);

    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(state_file_peek(folder, "orders", why, &look), 0);
    ck_assert_str_eq(state_of(look)->instance, state_of(f)->instance);
    state_of(look)->desired = DESIRED_PAUSED;
    ck_assert_int_eq(state_save(look), 0);
    look = state_file_free(look);
    f = state_file_free(f);
    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(state_of(f)->desired, DESIRED_NONE);
    f = state_file_free(f);
    ck_assert_int_eq(state_file_blank(&look), 0);
    ck_assert_int_eq(state_save(look), 0);
    look = state_file_free(look);

    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("no state", file);
    fclose(file);
    ck_assert_int_eq(state_file_peek(folder, "orders", why, &look), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(why, "orders.json"));
    teardown();
}
END_TEST

START_TEST(nothing_is_written_when_nothing_changed)
{
    setup();
    ck_assert_int_eq(open_it(), 0);
    ck_assert_uint_gt(state_save_us(f), 0);
    ino_t before = inode();
    ck_assert_int_eq(state_save(f), 0);
    ck_assert_uint_eq(inode(), before);
    again();
    ck_assert_int_eq(state_save(f), 0);
    ck_assert_uint_eq(inode(), before);
    state_of(f)->desired = DESIRED_RUNNING;
    ck_assert_int_eq(state_save(f), 0);
    ck_assert_uint_ne(inode(), before);
    teardown();
}
END_TEST

START_TEST(the_old_one_stays_on_failure)
{
    struct rlimit limit, small;
    setup();
    ck_assert_int_eq(open_it(), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 10;
    setrlimit(RLIMIT_FSIZE, &small);
    state_of(f)->desired = DESIRED_RUNNING;
    int err = state_save(f);
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_int_eq(err, -EFBIG);
    ck_assert_int_eq(access(temp, F_OK), -1);
    f = state_file_free(f);
    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(state_of(f)->desired, DESIRED_NONE);
    /* A failure is not taken for a save. */
    state_of(f)->desired = DESIRED_IDLE;
    ck_assert_int_eq(mkdir(temp, 0700), 0);
    ck_assert_int_lt(state_save(f), 0);
    ck_assert_int_eq(rmdir(temp), 0);
    ck_assert_int_eq(state_save(f), 0);
    again();
    ck_assert_int_eq(state_of(f)->desired, DESIRED_IDLE);
    teardown();
}
END_TEST

START_TEST(a_temp_file_left_by_a_crash_is_replaced)
{
    setup();
    ck_assert_int_eq(open_it(), 0);
    int fd = open(temp, O_CREAT | O_WRONLY, 0444);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "half", 4), 4);
    close(fd);
    state_of(f)->desired = DESIRED_IDLE;
    ck_assert_int_eq(state_save(f), 0);
    again();
    ck_assert_int_eq(state_of(f)->desired, DESIRED_IDLE);
    teardown();
}
END_TEST

static void refused(const char *from, const char *to, const char *reason)
{
    char *text = changed(from, to);
    write_file(text);
    int err = open_it();
    ck_assert_msg(err == -EBADMSG, "%d for %s", err, text);
    ck_assert_msg(strstr(why, reason) != NULL, "%s", why);
    ck_assert_ptr_nonnull(strstr(why, path));
    free(text);
}

START_TEST(what_is_not_understood_is_refused)
{
    setup();
    char *text = changed("0123abcd", "00000000");
    write_file(text);
    ck_assert_msg(open_it() == 0, "%s", why);
    f = state_file_free(f);
    free(text);
    refused("\"schema\": 4", "\"schema\": 5", "schema 5, this riotd knows 4 only");
    refused("\"schema\": 4", "\"schema\": 0", "schema 0, this riotd knows 4 only");
    refused("\"schema\": 4", "\"schema\": 2", "target_owned does not have the fields");
    refused("\"schema\": 4", "\"schema\": 1", "the file does not have the fields");
    refused("\"schema\": 4", "\"schema\": \"2\"", "no schema number");
    refused("0123abcd", "0123ABCD", "instance");
    refused("\"none\"", "\"never\"", "desired");
    refused("\"none\"", "7", "desired");
    refused("\"owned\": false", "\"owned\": 0", "owned");
    refused("\"owned\": false", "\"owner\": false", "owned");
    refused("\"client_id\": 1", "\"client_id\": -1", "client_id");
    refused("\"client_id\": 1", "\"client_id\": 1.5", "client_id");
    refused("\"client_id\": 1", "\"client_id\": 1, \"x\": 2", "a connection does not have the fields");
    refused("\"sources\": [", "\"sources\": [{\"more\": 1}, ", "a server does not have the fields");
    refused("\"sources\": [", "\"sources\": [7, ", "a server is not an object");
    refused("\"targets\": []", "\"targets\": {}", "targets is missing, not a list");
    refused("\"servers\": []", "\"servers\": null", "servers is missing, not a list");
    refused("\"slots\": 0", "\"slots\": -1", "slots");
    refused("\"notify\": [", "\"notify\": [{}, ", "a record of notify does not have the fields");
    refused("\"keys\": {}", "\"keys\": {\"3\": 1, \"2\": 1}", "keys names a database");
    refused("\"keys\": {}", "\"keys\": {\"x\": 1}", "keys names a database");
    refused("\"keys\": {}", "\"keys\": {\"3\": null}", "keys is missing or not a count");
    refused("\"keys\": {}", "\"keys\": []", "keys is missing");
    refused("\"before\": \"\"", "\"before\": \"0123456789012345678901234567890123\"", "before");
    refused("\"before\": \"\"", "\"before\": \"a\\u0000b\"", "not JSON");
    refused("\"schema\": 4,", "\"schema\": 4, \"schema\": 4,", "not JSON");
    refused("}", "", "not JSON");
    refused("\"stage\": \"none\"", "\"stage\": \"some\"", "stage");
    refused("\"fence\": \"acl\"", "\"fence\": \"wall\"", "fence");
    refused("\"unfenced\": false", "\"unfenced\": null", "unfenced");
    refused("\"committed_ms\": 0", "\"committed_ms\": -1", "committed_ms");
    refused("\"write_calls\": null", "\"write_calls\": \"0\"", "write_calls");
    refused("\"shard\": 0", "\"shard\": -1", "shard");
    refused("\"shard\": 0", "\"shard\": 1025", "shard");
    refused("\"lease_ms\": 0,", "", "cutover does not have the fields");
    refused("\"primary\": true", "\"primary\": 1", "primary");
    refused("\"address\": \"b:1\"", "\"address\": \"a:1\"", "a node is there twice");
    refused("\"address\": \"b:1\"", "\"address\": null", "address");
    refused("\"settings\": []", "\"settings\": {}", "settings");
    refused("\"name\": \"u\"", "\"nume\": \"u\"", "name");
    refused("\"name\": \"v\"", "\"name\": \"u\"", "a setting is there twice");
    refused("\"before\": \"on\"", "\"before\": {\"bytes\": 1}", "before");
    refused("\"before\": \"on\"", "\"before\": {\"byte\": \"x\"}", "before");
    refused("\"before\": \"on\"", "\"before\": {\"bytes\": \"\u20ac\"}", "before holds a character");
    teardown();
}
END_TEST

START_TEST(what_is_no_state_file_is_refused)
{
    const char *const texts[] = {"", "{", "[]", "1", "null", "{}", "\xff\xfe", "{\"schema\": 2}"};
    setup();
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_file(texts[i]);
        ck_assert_int_eq(open_it(), -EBADMSG);
    }
    /* And it is left as it was. */
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 13);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/dev/null", path), 0);
    ck_assert_int_eq(open_it(), -ELOOP);
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(open_it(), -EISDIR);
    teardown();
}
END_TEST

START_TEST(a_file_that_is_too_large_is_refused)
{
    setup();
    write_file("{}");
    ck_assert_int_eq(truncate(path, 9 * (off_t)MIB), 0);
    ck_assert_int_eq(open_it(), -EFBIG);
    teardown();
}
END_TEST

START_TEST(the_folder_is_made)
{
    char deep[96];
    struct stat st;
    setup();
    snprintf(deep, sizeof(deep), "%s/a/b/", folder);
    ck_assert_msg(state_file_open(deep, "x", why, &f) == 0, "%s", why);
    ck_assert_int_eq(stat(deep, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    state_file_free(f);
    snprintf(deep, sizeof(deep), "%s/a/b/x.json/c", folder);
    ck_assert_int_lt(state_file_open(deep, "x", why, &f), 0);
    ck_assert_ptr_nonnull(strstr(why, "cannot make the state folder"));
    f = NULL;
    teardown();
}
END_TEST

static void found(const char *flag, const char *expected)
{
    char *dir = NULL;
    ck_assert_int_eq(state_dir_find(flag, &dir), 0);
    ck_assert_str_eq(dir, expected);
    free(dir);
}

START_TEST(the_folder_is_found)
{
    char *dir;
    setenv("STATE_DIRECTORY", "/a/b:/c", 1);
    found("/flag", "/flag");
    found(NULL, "/a/b");
    unsetenv("STATE_DIRECTORY");
    bool root = geteuid() == 0;
    if (root) {
        found(NULL, "/var/lib/riotd");
        ck_assert_int_eq(seteuid(65534), 0);
    }
    setenv("XDG_STATE_HOME", "/x", 1);
    found(NULL, "/x/riotd");
    setenv("XDG_STATE_HOME", "relative", 1);
    setenv("HOME", "/home/me", 1);
    found(NULL, "/home/me/.local/state/riotd");
    unsetenv("HOME");
    ck_assert_int_eq(state_dir_find(NULL, &dir), -ENOENT);
    if (root) {
        ck_assert_int_eq(seteuid(0), 0);
        prctl(PR_SET_DUMPABLE, 1); /* the leak checker traces this process */
    }
}
END_TEST

UNIT_MAIN("daemon/state_file", a_fresh_state_is_on_the_disk_before_it_is_used, everything_comes_back,
          the_cutover_comes_back, a_file_without_shards_is_read, a_file_without_a_cutover_is_read,
          a_shard_is_known_by_process_history_or_address, a_shard_that_fails_over_keeps_its_record,
          what_notify_changed_is_kept_by_node, what_cannot_be_read_again_is_not_written,
          the_largest_state_comes_back, what_a_server_told_may_be_anything, a_second_one_is_refused,
          a_look_takes_no_lock_and_makes_nothing, nothing_is_written_when_nothing_changed,
          the_old_one_stays_on_failure, a_temp_file_left_by_a_crash_is_replaced,
          what_is_not_understood_is_refused, what_is_no_state_file_is_refused,
          a_file_that_is_too_large_is_refused, the_folder_is_made, the_folder_is_found)
