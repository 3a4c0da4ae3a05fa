/* Where sockets are looked for, in folders of the test's own. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/control/paths.h"

static char base[64], run[96], xdg[96];

static struct paths_env setup(void)
{
    snprintf(base, sizeof(base), "/tmp/riot-paths-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(run, sizeof(run), "%s/run", base);
    snprintf(xdg, sizeof(xdg), "%s/xdg", base);
    ck_assert_int_eq(mkdir(run, 0755), 0);
    ck_assert_int_eq(mkdir(xdg, 0755), 0);
    return (struct paths_env){.xdg_runtime_dir = xdg, .run = run};
}

static void teardown(void)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -rf %s", base);
    ck_assert_int_eq(system(command), 0);
}

/* Returns the listening socket. */
static int make(const char *folder, const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char path[128];

    snprintf(path, sizeof(path), "%s/riotd-%s", folder, name);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%.90s/riotd.sock", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

START_TEST(names)
{
    ck_assert(paths_name_ok(BYTES("orders")));
    ck_assert(paths_name_ok(BYTES("a-2")));
    ck_assert(paths_name_ok(BYTES("12345678901234567890123456789012")));
    ck_assert(!paths_name_ok(BYTES("123456789012345678901234567890123")));
    ck_assert(!paths_name_ok(BYTES("")));
    ck_assert(!paths_name_ok(BYTES("Orders")));
    ck_assert(!paths_name_ok(BYTES("a/b")));
    ck_assert(!paths_name_ok(BYTES("a.b")));
}
END_TEST

START_TEST(the_daemons_own)
{
    struct paths_env env = {.run = "/run"};
    char path[PATHS_MAX], deep[200];

    ck_assert_int_eq(paths_daemon(&env, "x", path), -ENOENT);
    env.xdg_runtime_dir = "/run/user/7";
    ck_assert_int_eq(paths_daemon(&env, "x", path), 0);
    ck_assert_str_eq(path, "/run/user/7/riotd-x/riotd.sock");
    env.root = true;
    ck_assert_int_eq(paths_daemon(&env, "x", path), 0);
    ck_assert_str_eq(path, "/run/riotd-x/riotd.sock");
    env.runtime_directory = "/run/a:/run/b";
    ck_assert_int_eq(paths_daemon(&env, "x", path), 0);
    ck_assert_str_eq(path, "/run/a/riotd.sock");
    memset(deep, 'd', sizeof(deep) - 1);
    deep[0] = '/';
    deep[sizeof(deep) - 1] = '\0';
    env.runtime_directory = deep;
    ck_assert_int_eq(paths_daemon(&env, "x", path), -ENAMETOOLONG);
    env.runtime_directory = NULL;
    env.run = deep;
    ck_assert_int_eq(paths_daemon(&env, "x", path), -ENAMETOOLONG);
}
END_TEST

START_TEST(a_list_of_instances)
{
    static struct paths_instance list[PATHS_INSTANCES_MAX];
    struct paths_env env = setup();
    char path[128];
    int a = make(run, "zeta"), b = make(run, "alpha"), c = make(xdg, "alpha");

    snprintf(path, sizeof(path), "%s/riotd-empty", run);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    snprintf(path, sizeof(path), "%s/riotd-Bad", run);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_uint_eq(paths_list(&env, list), 2);
    ck_assert_str_eq(list[0].name, "alpha");
    ck_assert(bytes_starts(bytes_str(list[0].path), xdg));
    ck_assert_str_eq(list[1].name, "zeta");
    env.xdg_runtime_dir = NULL;
    ck_assert_uint_eq(paths_list(&env, list), 2);
    ck_assert(bytes_starts(bytes_str(list[0].path), run));
    env.run = "/nowhere";
    ck_assert_uint_eq(paths_list(&env, list), 0);
    close(a);
    close(b);
    close(c);
    teardown();
}
END_TEST

START_TEST(one_by_name)
{
    struct paths_env env = setup();
    char path[PATHS_MAX];
    int a = make(run, "one");

    ck_assert_int_eq(paths_of_name(&env, "one", path), 0);
    ck_assert(bytes_starts(bytes_str(path), run));
    ck_assert_int_eq(paths_probe(path), 0);
    int b = make(xdg, "one");
    ck_assert_int_eq(paths_of_name(&env, "one", path), 0);
    ck_assert(bytes_starts(bytes_str(path), xdg));
    close(b);
    ck_assert_int_eq(paths_probe(path), -ECONNREFUSED);
    ck_assert_int_eq(paths_of_name(&env, "two", path), -ENOENT);
    ck_assert(bytes_starts(bytes_str(path), xdg));
    ck_assert_int_eq(paths_probe(path), -ENOENT);
    env.root = true;
    ck_assert_int_eq(paths_of_name(&env, "two", path), -ENOENT);
    ck_assert(bytes_starts(bytes_str(path), run));
    close(a);
    teardown();
}
END_TEST

UNIT_MAIN("control/paths", names, the_daemons_own, a_list_of_instances, one_by_name)
