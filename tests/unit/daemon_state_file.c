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
    state_own_target(s, "redis://b:6379", &server);
    state_server_set(&s->source, "redis://a:6379", &server);
    state_server_count(&s->source, 2, dbs);
    s->notify = (struct notify_record){"run1", "Kx", "AKx"};
    state_connection_add(s, STATE_SOURCE, "run1", 12);
    state_connection_add(s, STATE_TARGET, "run2", INT64_MAX);
    ck_assert_int_eq(state_save(f), 0);
    again();
    s = state_of(f);
    ck_assert_int_eq(s->desired, DESIRED_PAUSED);
    ck_assert(s->target_owned.owned);
    ck_assert_str_eq(s->target_owned.url, "redis://b:6379");
    ck_assert_str_eq(s->target_owned.replid2, "rep0");
    ck_assert_str_eq(s->source.run_id, "run1");
    ck_assert_int_eq(s->source.role, ROLE_PRIMARY);
    ck_assert_uint_eq(s->source.ndbs, 2);
    ck_assert_int_eq(s->source.dbs[1].db, 7);
    ck_assert_uint_eq(state_server_keys(&s->source), 105);
    ck_assert_str_eq(s->notify.before, "Kx");
    ck_assert_str_eq(s->notify.after, "AKx");
    ck_assert_uint_eq(s->nconnections, 2);
    ck_assert_int_eq(s->connections[1].side, STATE_TARGET);
    ck_assert_uint_eq(s->connections[1].client_id, INT64_MAX);
    struct server_id id;
    state_owned_id(&s->target_owned, &id);
    ck_assert_str_eq(id.run_id, "run1");
    state_server_id(&s->source, &id);
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
    ck_assert_int_eq(state_node_add(&s->cutover, "a:1", "", true, &a), 0);
    ck_assert_int_eq(state_setting_add(a, BYTES("u"), BYTES("on"), &setting), 0);
    ck_assert_int_eq(state_setting_add(a, BYTES("v"), BYTES("off"), &setting), 0);
    ck_assert_int_eq(state_node_add(&s->cutover, "b:1", "", false, &b), 0);
    ck_assert_int_eq(state_render(s, &text), 0);
    char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s in %s", from, text);
    ck_assert_int_ge(asprintf(&result, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)), 0);
    free(text);
    state_nodes_clear(&s->cutover);
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
                                                  .lease_ms = 5,
                                                  .run_id = "run",
                                                  .replid = "rep",
                                                  .write_calls = WATCH_UNKNOWN};
    struct state_cutover *c = &state_of(f)->cutover;
    ck_assert_int_eq(state_node_add(c, "h:1", "r1", true, &n), 0);
    ck_assert_int_eq(state_setting_add(n, bytes_str(bytes), BYTES("caf\xc3\xa9"), &set), 0);
    ck_assert_int_eq(state_setting_add(n, BYTES("x"), bytes_str(bytes), &set), 0);
    ck_assert_int_eq(state_setting_after(set, BYTES("first")), 0);
    ck_assert_int_eq(state_setting_after(set, bytes_str(bytes)), 0);
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
    ck_assert_str_eq(c->run_id, "run");
    ck_assert_str_eq(c->replid, "rep");
    ck_assert_uint_eq(c->write_calls, WATCH_UNKNOWN);
    ck_assert_uint_eq(c->nnodes, 2);
    n = state_node_find(c, "h:1");
    ck_assert_ptr_nonnull(n);
    ck_assert(n->primary);
    ck_assert_str_eq(n->run_id, "r1");
    ck_assert_uint_eq(n->nsettings, 2);
    ck_assert_str_eq(state_setting_find(n, bytes_str(bytes))->before, "caf\xc3\xa9");
    ck_assert_str_eq(state_setting_find(n, bytes_str(bytes))->after, "");
    ck_assert_str_eq(state_setting_find(n, BYTES("x"))->before, bytes);
    ck_assert_str_eq(state_setting_find(n, BYTES("x"))->after, bytes);
    ck_assert_ptr_null(state_setting_find(n, BYTES("y")));
    state_node_remove(c, n);
    ck_assert_ptr_null(state_node_find(c, "h:1"));
    ck_assert(!state_node_find(c, "[::1]:2")->primary);
    teardown();
}
END_TEST

START_TEST(a_file_without_a_cutover_is_read)
{
    setup();
    char *text = changed("\"schema\": 2", "\"schema\": 1");
    char *at = strstr(text, ",\n  \"cutover\"");
    ck_assert_ptr_nonnull(at);
    strcpy(at, "}");
    write_file(text);
    ck_assert_msg(open_it() == 0, "%s", why);
    ck_assert_int_eq(state_of(f)->cutover.stage, STAGE_NONE);
    /* It is written as this version writes it. */
    ck_assert_int_eq(state_save(f), 0);
    again();
    free(text);
    teardown();
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
    state_server_recount(&s->source, WATCH_DBS_MAX, dbs);
    state_server_recount(&s->target, WATCH_DBS_MAX, dbs);
    for (unsigned i = 0; i < STATE_IDS_MAX; i++)
        state_connection_add(s, STATE_TARGET, "0123456789012345678901234567890123456789", UINT64_MAX - i);
    ck_assert_int_eq(state_save(f), 0);
    again();
    ck_assert_uint_eq(state_of(f)->source.ndbs, WATCH_DBS_MAX);
    ck_assert_uint_eq(state_of(f)->nconnections, STATE_IDS_MAX);
    free(dbs);
    teardown();
}
END_TEST

START_TEST(what_a_server_told_may_be_anything)
{
    setup();
    ck_assert_int_eq(open_it(), 0);
    strcpy(state_of(f)->source.run_id, "a\xff\"\n\x01");
    strcpy(state_of(f)->source.url, "unix:///caf\xc3\xa9");
    ck_assert_int_eq(state_save(f), 0);
    again();
    ck_assert_str_eq(state_of(f)->source.run_id, "a?\"??");
    ck_assert_str_eq(state_of(f)->source.url, "unix:///caf\xc3\xa9");
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
    refused("\"schema\": 2", "\"schema\": 3", "schema 3, this riotd knows 2 only");
    refused("\"schema\": 2", "\"schema\": 1", "the file does not have the fields");
    refused("\"schema\": 2", "\"schema\": \"2\"", "no schema number");
    refused("0123abcd", "0123ABCD", "instance");
    refused("\"none\"", "\"never\"", "desired");
    refused("\"none\"", "7", "desired");
    refused("\"owned\": false", "\"owned\": 0", "owned");
    refused("\"owned\": false", "\"owner\": false", "owned");
    refused("\"client_id\": 1", "\"client_id\": -1", "client_id");
    refused("\"client_id\": 1", "\"client_id\": 1.5", "client_id");
    refused("\"client_id\": 1", "\"client_id\": 1, \"x\": 2", "a connection does not have the fields");
    refused("\"source\": {", "\"source\": {\"more\": 1, ", "source does not have the fields");
    refused("\"keys\": {}", "\"keys\": {\"3\": 1, \"2\": 1}", "keys names a database");
    refused("\"keys\": {}", "\"keys\": {\"x\": 1}", "keys names a database");
    refused("\"keys\": {}", "\"keys\": {\"3\": null}", "keys is missing or not a count");
    refused("\"keys\": {}", "\"keys\": []", "keys is missing");
    refused("\"before\": \"\"", "\"before\": \"0123456789012345678901234567890123\"", "before");
    refused("\"before\": \"\"", "\"before\": \"a\\u0000b\"", "not JSON");
    refused("\"schema\": 2,", "\"schema\": 2, \"schema\": 2,", "not JSON");
    refused("}", "", "not JSON");
    refused("\"stage\": \"none\"", "\"stage\": \"some\"", "stage");
    refused("\"fence\": \"acl\"", "\"fence\": \"wall\"", "fence");
    refused("\"unfenced\": false", "\"unfenced\": null", "unfenced");
    refused("\"committed_ms\": 0", "\"committed_ms\": -1", "committed_ms");
    refused("\"write_calls\": 0", "\"write_calls\": \"0\"", "write_calls");
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

START_TEST(counts_are_the_highest)
{
    struct state_server *s = calloc(1, sizeof(*s));
    const struct watch_db first[] = {{1, 10, 0}, {3, 30, 0}}, second[] = {{0, 5, 0}, {1, 7, 0}, {3, 31, 0}};
    state_server_count(s, 2, first);
    state_server_count(s, 3, second);
    ck_assert_uint_eq(s->ndbs, 3);
    ck_assert_int_eq(s->dbs[0].db, 0);
    ck_assert_uint_eq(state_server_keys(s), 5 + 10 + 31);
    state_server_count(s, 0, NULL);
    ck_assert_uint_eq(state_server_keys(s), 46);
    state_server_recount(s, 2, first);
    ck_assert_uint_eq(state_server_keys(s), 40);
    free(s);
}
END_TEST

START_TEST(connections_are_bounded)
{
    struct state *s = calloc(1, sizeof(*s));
    for (unsigned i = 0; i < STATE_IDS_MAX + 2; i++) {
        state_connection_add(s, i % 2 ? STATE_TARGET : STATE_SOURCE, "r", i);
        state_connection_add(s, i % 2 ? STATE_TARGET : STATE_SOURCE, "r", i);
    }
    ck_assert_uint_eq(s->nconnections, STATE_IDS_MAX);
    ck_assert_uint_eq(s->connections[0].client_id, 2);
    state_connection_remove(s, STATE_TARGET, 2);
    ck_assert_uint_eq(s->nconnections, STATE_IDS_MAX);
    state_connection_remove(s, STATE_SOURCE, 2);
    ck_assert_uint_eq(s->nconnections, STATE_IDS_MAX - 1);
    state_connections_clear(s, STATE_TARGET);
    ck_assert_uint_eq(s->nconnections, STATE_IDS_MAX / 2 - 1);
    free(s);
}
END_TEST

START_TEST(reset_keeps_instance_and_notify)
{
    struct state_node *n;
    struct state *s = calloc(1, sizeof(*s));
    strcpy(s->instance, "0123abcd");
    strcpy(s->notify.run_id, "run1");
    s->desired = DESIRED_RUNNING;
    state_own_target(s, "redis://b", &server);
    state_server_set(&s->source, "redis://a", &server);
    state_connection_add(s, STATE_TARGET, "r", 1);
    s->cutover.stage = STAGE_UNDOING;
    ck_assert_int_eq(state_node_add(&s->cutover, "a", "", true, &n), 0);
    state_reset(s);
    ck_assert_int_eq(s->cutover.stage, STAGE_UNDOING);
    ck_assert_ptr_nonnull(state_node_find(&s->cutover, "a"));
    s->cutover.stage = STAGE_COMMITTED;
    state_reset(s);
    ck_assert_int_eq(s->cutover.stage, STAGE_NONE);
    ck_assert_uint_eq(s->cutover.nnodes, 0);
    ck_assert_str_eq(s->instance, "0123abcd");
    ck_assert_str_eq(s->notify.run_id, "run1");
    ck_assert(!s->target_owned.owned);
    ck_assert_str_eq(s->source.url, "");
    ck_assert_int_eq(s->desired, DESIRED_NONE);
    ck_assert_uint_eq(s->nconnections, 1);
    free(s);
}
END_TEST

UNIT_MAIN("daemon/state_file", a_fresh_state_is_on_the_disk_before_it_is_used, everything_comes_back,
          the_cutover_comes_back, a_file_without_a_cutover_is_read, what_cannot_be_read_again_is_not_written,
          the_largest_state_comes_back, what_a_server_told_may_be_anything, a_second_one_is_refused,
          a_look_takes_no_lock_and_makes_nothing, nothing_is_written_when_nothing_changed,
          the_old_one_stays_on_failure, a_temp_file_left_by_a_crash_is_replaced,
          what_is_not_understood_is_refused, what_is_no_state_file_is_refused,
          a_file_that_is_too_large_is_refused, the_folder_is_made, the_folder_is_found,
          counts_are_the_highest, connections_are_bounded, reset_keeps_instance_and_notify)
