#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/config_table.h"

#define URLS "source: {url: redis://a}\ntarget: {url: redis://b}\n"

static struct config *c;
static struct config_errors errors;

static int parse(const char *text)
{
    ck_assert_int_eq(config_new(&c), 0);
    return config_parse(c, "f.yaml", bytes_str(text), &errors);
}

static void done(void)
{
    c = config_free(c);
    config_errors_free(&errors);
}

/* The one error that this text gives, in parsing or in the checks. */
static void gives(const char *text, const char *error)
{
    int err = parse(text);
    if (err == 0)
        err = config_check(c, &errors);
    ck_assert_msg(err == -EINVAL || err == -EBADMSG, "accepted: %s", text);
    ck_assert_str_eq(errors.line[0], error);
    ck_assert_msg(errors.count == 1, "%s: also: %s", text, errors.count > 1 ? errors.line[1] : "?");
    done();
}

static void accepts(const char *text)
{
    int err = parse(text);
    if (err == 0)
        err = config_check(c, &errors);
    ck_assert_msg(err == 0, "%s: %s", text, errors.count ? errors.line[0] : "?");
    done();
}

START_TEST(defaults_are_those_of_the_design)
{
    ck_assert_int_eq(config_new(&c), 0);
    ck_assert_str_eq(c->name, "default");
    ck_assert_ptr_null(c->source.url_text);
    ck_assert_ptr_null(c->target.password_file);
    ck_assert_uint_eq(c->source.timeout_ms, 20000);
    ck_assert_uint_eq(c->target.timeout_ms, 20000);
    ck_assert_int_eq(c->existing_keys, EXISTING_REFUSE);
    ck_assert(!c->allow_eviction);
    ck_assert_int_eq(c->feed, FEED_AUTO);
    ck_assert(c->databases.all);
    ck_assert_uint_eq(c->scan_count, 1000);
    ck_assert_uint_eq(c->limit_memory, 64 * MIB);
    ck_assert_uint_eq(c->limit_keys_per_s, 0);
    ck_assert_uint_eq(c->limit_bytes_per_s, 0);
    ck_assert_ptr_null(c->control_socket);
    ck_assert_int_eq(c->log_level, SINK_INFO);
    ck_assert(c->autostart);
    done();
}
END_TEST

START_TEST(a_file_sets_everything)
{
    ck_assert_int_eq(parse("name: orders-2\n"
                           "source:\n"
                           "  url: redis://me@10.0.0.5:6380\n"
                           "  password_file: /etc/riotd/source\n"
                           "  timeout: 500ms\n"
                           "target:\n"
                           "  url: 'unix:///run/redis/redis.sock'\n"
                           "  password_credential: target_1\n"
                           "  timeout: 2m\n"
                           "  existing_keys: merge\n"
                           "  allow_eviction: yes\n"
                           "feed: tracking # a comment\n"
                           "databases: [3, 0]\n"
                           "scan: {count: 10}\n"
                           "limits:\n"
                           "  memory: 16MiB\n"
                           "  keys_per_s: 5000\n"
                           "  bytes_per_s: \"10MiB\"\n"
                           "control:\n"
                           "  socket: /run/x.sock\n"
                           "log:\n"
                           "  level: debug\n"
                           "autostart: no\n"),
                     0);
    ck_assert_int_eq(config_check(c, &errors), 0);
    ck_assert_str_eq(c->name, "orders-2");
    ck_assert_str_eq(c->source.url.user, "me");
    ck_assert_uint_eq(c->source.url.port, 6380);
    ck_assert_str_eq(c->source.password_file, "/etc/riotd/source");
    ck_assert_uint_eq(c->source.timeout_ms, 500);
    ck_assert_str_eq(c->target.url.path, "/run/redis/redis.sock");
    ck_assert_str_eq(c->target.password_credential, "target_1");
    ck_assert_uint_eq(c->target.timeout_ms, 120000);
    ck_assert_int_eq(c->existing_keys, EXISTING_MERGE);
    ck_assert(c->allow_eviction);
    ck_assert_int_eq(c->feed, FEED_TRACKING);
    ck_assert(!c->databases.all);
    ck_assert_uint_eq(c->scope.count, 2);
    ck_assert_int_eq(c->scope.at[0], 0);
    ck_assert_int_eq(c->scope.at[1], 3);
    ck_assert_uint_eq(c->scan_count, 10);
    ck_assert_uint_eq(c->limit_memory, 16 * MIB);
    ck_assert_uint_eq(c->limit_keys_per_s, 5000);
    ck_assert_uint_eq(c->limit_bytes_per_s, 10 * MIB);
    ck_assert_str_eq(c->control_socket, "/run/x.sock");
    ck_assert_int_eq(c->log_level, SINK_DEBUG);
    ck_assert(!c->autostart);
    done();
}
END_TEST

START_TEST(empty_files_and_sections_are_fine)
{
    accepts(URLS);
    accepts(URLS "limits:\nscan: {}\nlog: ~\n");
    accepts("---\n" URLS "...\n");
    accepts("\xef\xbb\xbf" URLS);
    ck_assert_int_eq(parse(""), 0);
    done();
    ck_assert_int_eq(parse("# nothing\n"), 0);
    done();
    ck_assert_int_eq(parse("---\n"), 0);
    done();
}
END_TEST

START_TEST(every_error_is_told_with_its_place)
{
    ck_assert_int_eq(parse("source:\n"
                           "  ulr: redis://a\n"
                           "  timeout: fast\n"
                           "target: redis://b\n"
                           "feed: [psync]\n"
                           "scan:\n"
                           "  count: 5\n"
                           "  count: 50\n"
                           "autostart: true\n"),
                     -EINVAL);
    ck_assert_int_eq(config_check(c, &errors), -EINVAL);
    const char *const expected[] = {
        "f.yaml:2:3: source.ulr: unknown option; did you mean source.url?",
        "f.yaml:3:12: source.timeout: expected a duration such as 500ms, 20s or 2m",
        "f.yaml:4:9: target: expected options below it, indented",
        "f.yaml:5:7: feed: expected one value, not a list",
        "f.yaml:7:10: scan.count: must be at least 10",
        "f.yaml:8:3: scan.count: given twice; first at line 7",
        "f.yaml:9:12: autostart: expected yes or no",
        "f.yaml: source.url: is needed: where to copy from",
        "f.yaml: target.url: is needed: where to copy to",
    };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        ck_assert_str_eq(errors.line[i], expected[i]);
    ck_assert_uint_eq(errors.count, ARRAY_LEN(expected));
    done();
}
END_TEST

START_TEST(unknown_names_suggest_the_nearest)
{
    gives("sources: {}\n" URLS, "f.yaml:1:1: sources: unknown option; did you mean source?");
    gives("count: 5\n" URLS, "f.yaml:1:1: count: unknown option; did you mean scan.count?");
    gives("limits: {memry: 1}\n" URLS,
          "f.yaml:1:10: limits.memry: unknown option; did you mean limits.memory?");
    gives("limits: {keys_per_sec: 1}\n" URLS,
          "f.yaml:1:10: limits.keys_per_sec: unknown option; did you mean limits.keys_per_s?");
    gives("source: {url: redis://a, password: hunter2}\ntarget: {url: redis://b}\n",
          "f.yaml:1:26: source.password: unknown option; did you mean source.password_file?");
    gives("feeds: auto\n" URLS, "f.yaml:1:1: feeds: unknown option; did you mean feed?");
    gives("zebra: 1\n" URLS, "f.yaml:1:1: zebra: unknown option");
    gives("zebra: {a: [1, {b: c}]}\n" URLS, "f.yaml:1:1: zebra: unknown option");
    gives("source.timeout: 1s\n" URLS,
          "f.yaml:1:1: source.timeout: unknown option; a dot stands for a section, with its "
          "options indented below it");
    gives("\"a\\nb\": 1\n" URLS, "f.yaml:1:1: a\\nb: unknown option");
}
END_TEST

START_TEST(yaml_that_surprises_is_refused)
{
    gives("name: &x a\n" URLS, "f.yaml:1:7: anchors (&name) and aliases (*name) are not allowed");
    gives("- a\n", "f.yaml:1:1: expected options, one a line: name: value");
    gives("hello\n", "f.yaml:1:1: expected options, one a line: name: value");
    gives(URLS "---\nname: b\n", "f.yaml:3:1: only one document is allowed in the file");
    gives("name: !!str x\n" URLS, "f.yaml:1:7: tags (!name) are not allowed");
    gives("? [a]\n: b\n" URLS, "f.yaml:1:3: expected the name of an option");
    ck_assert_int_eq(parse("name: [[[[[[[[[[]]]]]]]]]]\n"), -EBADMSG);
    ck_assert_str_eq(errors.line[errors.count - 1], "f.yaml:1:14: nested too deeply");
    done();
    gives("feed:\n" URLS, "f.yaml:1:6: feed: has no value");
    gives("feed: ''\n" URLS, "f.yaml:1:7: feed: has no value");
    gives("name: \"a\\0b\"\n" URLS, "f.yaml:1:7: name: has a NUL in it");
    gives("source: {url: redis://a}\nsource: {timeout: 1s}\ntarget: {url: redis://b}\n",
          "f.yaml:2:1: source: given twice; first at line 1");
    gives("name: a\n\tb: c\n", "f.yaml:2:1: a tab stands here: indent with spaces");
    gives("source:\n\turl: redis://a\n", "f.yaml:2:1: a tab stands here: indent with spaces");
    gives("name: 'a\n", "f.yaml:2:1: the file ends within a text in quotes: a closing quote is missing");
    gives("name: \xff\n", "f.yaml:1:1: invalid leading UTF-8 octet");
}
END_TEST

START_TEST(a_file_beyond_1_mib_is_refused)
{
    size_t len = CONFIG_FILE_MAX + 1;
    char *big = malloc(len);
    memset(big, '#', len);
    ck_assert_int_eq(config_new(&c), 0);
    ck_assert_int_eq(config_parse(c, "f.yaml", bytes_of(big, len), &errors), -EBADMSG);
    ck_assert_str_eq(errors.line[0], "f.yaml: is larger than 1 MiB");
    ck_assert_int_eq(config_parse(c, "f.yaml", bytes_of(big, len - 1), &errors), 0);
    free(big);
    done();
}
END_TEST

START_TEST(errors_have_a_ceiling)
{
    char text[CONFIG_ERRORS_MAX * 16] = "";
    for (int i = 0; i < CONFIG_ERRORS_MAX + 3; i++)
        sprintf(text + strlen(text), "zebra%d: 1\n", i);
    ck_assert_int_eq(parse(text), -EINVAL);
    ck_assert_uint_eq(errors.count, CONFIG_ERRORS_MAX);
    ck_assert_uint_eq(errors.more, 3);
    done();
}
END_TEST

START_TEST(values_are_checked)
{
    gives("name: Orders\n" URLS, "f.yaml:1:7: name: expected a name of a-z, 0-9 and -");
    gives("name: ../x\n" URLS, "f.yaml:1:7: name: expected a name of a-z, 0-9 and -");
    gives("name: a23456789012345678901234567890123\n" URLS, "f.yaml:1:7: name: longer than 32 bytes");
    gives("limits: {memory: 15MiB}\n" URLS, "f.yaml:1:18: limits.memory: must be at least 16MiB");
    gives("limits: {memory: 99999999TiB}\n" URLS, "f.yaml:1:18: limits.memory: must be at most 1TiB");
    gives("limits: {memory: 64MB}\n" URLS,
          "f.yaml:1:18: limits.memory: expected a size such as 512KiB, 64MiB or 1GiB");
    gives("limits: {keys_per_s: -1}\n" URLS, "f.yaml:1:22: limits.keys_per_s: expected a number");
    gives("limits: {keys_per_s: 99999999999999999999}\n" URLS,
          "f.yaml:1:22: limits.keys_per_s: must be at most 1099511627776");
    gives("scan: {count: 10001}\n" URLS, "f.yaml:1:15: scan.count: must be at most 10000");
    gives("feed: magic\n" URLS, "f.yaml:1:7: feed: expected one of auto, psync, tracking, notify, none");
    gives("log: {level: loud}\n" URLS,
          "f.yaml:1:14: log.level: expected one of debug, info, notice, warning, err");
    gives("source: {url: redis://a, timeout: 99ms}\ntarget: {url: redis://b}\n",
          "f.yaml:1:35: source.timeout: must be at least 100ms");
    gives("source: {url: redis://a, password_file: x/y}\ntarget: {url: redis://b}\n",
          "f.yaml:1:41: source.password_file: expected an absolute path");
    gives("source: {url: redis://a, password_credential: ../x}\ntarget: {url: redis://b}\n",
          "f.yaml:1:47: source.password_credential: expected the name of a credential, of letters, digits, - "
          "_ and .");
    accepts("control: {socket: riotd.sock}\n" URLS);
}
END_TEST

START_TEST(databases_are_all_one_or_a_list)
{
    accepts("databases: all\n" URLS);
    accepts("databases: 3\n" URLS);
    accepts("databases: [0]\n" URLS);
    gives("databases: []\n" URLS, "f.yaml:1:12: databases: has no value");
    gives("databases: some\n" URLS,
          "f.yaml:1:12: databases: expected all, a number, or a list such as [0, 3]");
    gives("databases: [0, x]\n" URLS, "f.yaml:1:16: databases: expected a number from 0 to 1000000");
    gives("databases: [0, [1]]\n" URLS, "f.yaml:1:16: databases: expected a value");
    gives("databases: [1, 0, 1]\n" URLS, "f.yaml:1:12: databases: database 1 is in it twice");
    gives("databases: [1000001]\n" URLS, "f.yaml:1:13: databases: expected a number from 0 to 1000000");
}
END_TEST

START_TEST(a_url_with_a_database_is_that_one_alone)
{
    ck_assert_int_eq(parse("source: {url: redis://a/5}\ntarget: {url: redis://b/1}\n"), 0);
    ck_assert_int_eq(config_check(c, &errors), 0);
    ck_assert(!c->scope.all);
    ck_assert_uint_eq(c->scope.count, 1);
    ck_assert_int_eq(c->scope.at[0], 5);
    done();
    accepts("source: {url: redis://a/5}\ntarget: {url: redis://b}\ndatabases: [5]\n");
    accepts("source: {url: redis://a/5}\ntarget: {url: redis://b}\ndatabases: all\n");
    accepts("source: {url: redis://a}\ntarget: {url: redis://b/0}\ndatabases: 5\n");
    gives("source: {url: redis://a/5}\ntarget: {url: redis://b}\ndatabases: [5, 6]\n",
          "f.yaml:3:12: databases: names other databases than the one of source.url");
    const char *several =
        "f.yaml:2:15: target.url: one database of the target cannot take several of the source: name "
        "one, by databases or source.url";
    gives("source: {url: redis://a}\ntarget: {url: redis://b/0}\n", several);
    gives("source: {url: redis://a}\ntarget: {url: 'unix:///b?db=0'}\ndatabases: [0, 1]\n", several);
}
END_TEST

START_TEST(a_cluster_is_told_of)
{
    struct endpoint e = {.url = {.host = (char *)"a", .port = 1, .db = URL_DB_NONE}};
    struct topology *t;
    struct loop *loop;

    ck_assert_int_eq(
        parse("source:\n  url: redis://a\n  cluster: yes\n  seeds: [b:1, \"[::1]:2\"]\n"
              "  address_map: [10.0.0.1=c, 10.0.0.1:1=d:2]\ntarget: {url: redis://b, seeds: c:3}\n"),
        0);
    ck_assert_int_eq(config_check(c, &errors), 0);
    ck_assert_int_eq(c->source.cluster, TOPOLOGY_CLUSTER);
    ck_assert_uint_eq(c->source.seeds.count, 2);
    ck_assert_str_eq(c->source.seeds.at[1], "[::1]:2");
    ck_assert_uint_eq(c->source.address_map.count, 2);
    ck_assert_str_eq(c->source.address_map.at[1], "10.0.0.1:1=d:2");
    ck_assert_int_eq(c->target.cluster, TOPOLOGY_AUTO);
    ck_assert_str_eq(c->target.seeds.at[0], "c:3");
    ck_assert_int_eq(loop_new(&loop), 0);
    ck_assert_int_eq(config_topology(c, false, loop, &e, &t), 0);
    ck_assert_str_eq(c->source.address_map.at[1], "10.0.0.1:1=d:2");
    topology_free(t);
    loop_free(loop);
    done();
}
END_TEST

START_TEST(what_is_told_of_a_cluster_is_checked)
{
    const char *expected = "expected a translation: HOST=HOST or HOST:PORT=HOST:PORT, as told and as reached";
    char text[256];

    accepts("source: {url: redis://a, cluster: no}\ntarget: {url: 'unix:///b', cluster: no}\n");
    accepts("source: {url: redis://a, address_map: 'x=y'}\ntarget: {url: 'unix:///b'}\n");
    gives("source:\n  url: redis://a\n  seeds: [b, 'c d']\ntarget: {url: redis://b}\n",
          "f.yaml:3:14: source.seeds: expected an address: host or host:port");
    gives("source:\n  url: redis://a\n  seeds: b:0\ntarget: {url: redis://b}\n",
          "f.yaml:3:10: source.seeds: expected an address: host or host:port");
    static const char *const bad[] = {"x", "x=", "=x", "x=y=z", "x=y:1", "x:1=y:z"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char file[256];
        snprintf(file, sizeof(file),
                 "source:\n  url: redis://a\n  address_map:\n  - a=b\n  - '%s'\n"
                 "target: {url: redis://b}\n",
                 bad[i]);
        snprintf(text, sizeof(text), "f.yaml:5:5: source.address_map: %s", expected);
        gives(file, text);
    }
    gives("source: {url: redis://a}\ntarget:\n  url: unix:///b\n  cluster: yes\n",
          "f.yaml:4:12: target.cluster: is for a cluster, and a unix:// URL leads to one server");
    gives("source: {url: redis://a}\ntarget:\n  url: unix:///b\n  seeds: [c]\n",
          "f.yaml:4:10: target.seeds: is for a cluster, and a unix:// URL leads to one server");
    gives("source:\n  url: redis://a\n  cluster: no\n  seeds: [c]\ntarget: {url: redis://b}\n",
          "f.yaml:4:10: source.seeds: is for a cluster, and `cluster: no` says that this is none");
}
END_TEST

START_TEST(the_whole_is_checked)
{
    gives("source: {url: redis://a}\n", "f.yaml: target.url: is needed: where to copy to");
    accepts("source: {url: rediss://a, tls: {verify: ca}}\ntarget: {url: redis://b}\n");
    gives("source: {url: redis://a, tls: {verify: ca}}\ntarget: {url: redis://b}\n",
          "f.yaml:1:40: source.tls.verify: is for a rediss:// URL, and this one is without TLS");
    gives("source: {url: redis://a}\ntarget: {url: rediss://b, tls: {key_file: /k}}\n",
          "f.yaml:2:43: target.tls.key_file: cert_file and key_file belong together: one is missing");
    gives("source: {url: redis://a, tlss: {verify: ca}}\ntarget: {url: redis://b}\n",
          "f.yaml:1:26: source.tlss: unknown option; did you mean source.tls?");
    gives("source: {url: redis://a, tls: {verfy: ca}}\ntarget: {url: redis://b}\n",
          "f.yaml:1:32: source.tls.verfy: unknown option; did you mean source.tls.verify?");
    gives("source: {url: redis://a, password_file: /a, password_credential: b}\ntarget: {url: redis://b}\n",
          "f.yaml:1:66: source.password_credential: is given beside password_file: only one of them can be "
          "meant");
}
END_TEST

START_TEST(a_password_in_a_url_is_refused_and_not_repeated)
{
    parse("source: {url: 'redis://me:hunter2@a'}\ntarget: {url: 'redis://:hunter2@b:99999'}\n");
    ck_assert_int_eq(config_check(c, &errors), -EINVAL);
    ck_assert_uint_eq(errors.count, 2);
    for (size_t i = 0; i < errors.count; i++)
        ck_assert_ptr_null(strstr(errors.line[i], "hunter2"));
    done();
}
END_TEST

START_TEST(flags_win_in_either_order)
{
    ck_assert_int_eq(config_new(&c), 0);
    ck_assert_int_eq(config_set(c, "source.url", "redis://flag", "--source", &errors), 0);
    ck_assert_int_eq(config_parse(c, "f.yaml", bytes_str(URLS "feed: notify\n"), &errors), 0);
    ck_assert_int_eq(config_set(c, "feed", "none", "--feed", &errors), 0);
    ck_assert_str_eq(c->source.url_text, "redis://flag");
    ck_assert_str_eq(c->target.url_text, "redis://b");
    ck_assert_int_eq(c->feed, FEED_NONE);
    ck_assert_int_eq(config_set(c, "databases", "0,3", "--databases", &errors), 0);
    ck_assert_uint_eq(c->databases.count, 2);
    ck_assert_int_eq(config_set(c, "feed", "x", "--feed", &errors), -EINVAL);
    ck_assert_int_eq(config_set(c, "nothing", "x", "--nothing", &errors), -EINVAL);
    ck_assert_str_eq(errors.line[0], "--feed: feed: expected one of auto, psync, tracking, notify, none");
    ck_assert_str_eq(errors.line[1], "--nothing: nothing: unknown option");
    ck_assert_int_eq(c->feed, FEED_NONE);
    done();
}
END_TEST

START_TEST(a_file_value_that_a_flag_replaces_is_checked_too)
{
    ck_assert_int_eq(config_new(&c), 0);
    ck_assert_int_eq(config_set(c, "feed", "none", "--feed", &errors), 0);
    ck_assert_int_eq(config_parse(c, "f.yaml", bytes_str("feed: x\n"), &errors), -EINVAL);
    ck_assert_int_eq(c->feed, FEED_NONE);
    done();
}
END_TEST

START_TEST(two_names_must_be_the_same)
{
    ck_assert_int_eq(config_new(&c), 0);
    ck_assert_int_eq(config_set(c, "name", "a", "-n", &errors), 0);
    ck_assert_int_eq(config_parse(c, "f.yaml", bytes_str("name: a\n"), &errors), 0);
    ck_assert_int_eq(config_parse(c, "f.yaml", bytes_str("name: b\n"), &errors), -EINVAL);
    ck_assert_str_eq(errors.line[0], "f.yaml:1:7: name: differs from the name given by -n, a");
    done();
    ck_assert_int_eq(parse("name: b\n"), 0);
    ck_assert_int_eq(config_set(c, "name", "a", "-n", &errors), -EINVAL);
    ck_assert_str_eq(errors.line[0], "-n: name: differs from the name given by f.yaml:1:7, b");
    done();
}
END_TEST

static void write_file(const char *path, const void *text, size_t len)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}

static void temp_folder(char *out)
{
    strcpy(out, "/tmp/riot-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(out));
}

static int load(const char *folder, const char *file, const struct config_flag *flags, size_t nflags)
{
    const struct config_inputs in = {file, flags, nflags};
    return config_load_from(folder, &in, &errors, &c);
}

START_TEST(load_finds_the_file_by_name)
{
    char folder[32], path[64];
    temp_folder(folder);
    snprintf(path, sizeof(path), "%s/orders.yaml", folder);
    write_file(path, URLS, strlen(URLS));
    const struct config_flag name[] = {{"name", "-n", "orders"}, {"feed", "--feed", "none"}};
    ck_assert_int_eq(load(folder, NULL, name, 2), 0);
    ck_assert_str_eq(c->name, "orders");
    ck_assert_str_eq(c->file, path);
    ck_assert_int_eq(c->feed, FEED_NONE);
    done();
    ck_assert_int_eq(load(folder, path, NULL, 0), 0);
    ck_assert_str_eq(c->name, "default");
    done();
    ck_assert_int_eq(load(folder, NULL, NULL, 0), -ENOENT);
    ck_assert_ptr_nonnull(strstr(errors.line[0], "/default.yaml: No such file or directory"));
    done();
    const struct config_flag both[] = {{"source.url", "--source", "redis://x"},
                                       {"target.url", "--target", "redis://y"}};
    ck_assert_int_eq(load(folder, NULL, both, 2), 0);
    ck_assert_ptr_null(c->file);
    done();
    const struct config_flag evil[] = {{"name", "-n", "../orders"}};
    ck_assert_int_eq(load(folder, NULL, evil, 1), -EINVAL);
    ck_assert_uint_eq(errors.count, 1);
    done();
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(load_tells_all_or_nothing)
{
    char folder[32], path[64];
    temp_folder(folder);
    snprintf(path, sizeof(path), "%s/x.yaml", folder);
    const char *text = "feed: psync\nscan: {count: 1}\n";
    write_file(path, text, strlen(text));
    ck_assert_int_eq(load(folder, path, NULL, 0), -EINVAL);
    ck_assert_uint_eq(errors.count, 3); /* count, both URLs */
    ck_assert_ptr_null(c);
    config_errors_free(&errors);
    /* After a syntax error, what is missing is not told. */
    write_file(path, "a: [\n", 5);
    ck_assert_int_eq(load(folder, path, NULL, 0), -EINVAL);
    ck_assert_ptr_null(strstr(errors.line[errors.count - 1], "is needed"));
    config_errors_free(&errors);
    ck_assert_int_eq(load(folder, folder, NULL, 0), -EISDIR);
    config_errors_free(&errors);
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(limits_change_at_run_time)
{
    char why[CONFIG_WHY_MAX];
    ck_assert_int_eq(parse(URLS), 0);
    ck_assert_int_eq(config_set_limit(c, "memory", "32MiB", why), 0);
    ck_assert_uint_eq(c->limit_memory, 32 * MIB);
    ck_assert_int_eq(config_set_limit(c, "keys_per_s", "100", why), 0);
    ck_assert_int_eq(config_set_limit(c, "memory", "1MiB", why), -EINVAL);
    ck_assert_str_eq(why, "must be at least 16MiB");
    ck_assert_uint_eq(c->limit_memory, 32 * MIB);
    ck_assert_int_eq(config_set_limit(c, "count", "1", why), -ENOENT);
    ck_assert_int_eq(config_set_limit(c, "", "1", why), -ENOENT);
    done();
}
END_TEST

/* The changes that `text` makes to a running configuration of `running`. */
static void reload(const char *running, const char *text, struct config_changes *ret)
{
    ck_assert_int_eq(parse(running), 0);
    struct config *before = c;
    ck_assert_int_eq(parse(text), 0);
    struct config *next = c;
    c = before;
    *ret = (struct config_changes){0};
    ck_assert_int_eq(config_reload(c, next, ret), 0);
    config_free(next);
}

static void changed(const struct config_change *change, const char *path, const char *before,
                    const char *after, bool now)
{
    ck_assert_str_eq(change->path, path);
    ck_assert_pstr_eq(change->before, before);
    ck_assert_pstr_eq(change->after, after);
    ck_assert_int_eq(change->now, now);
}

START_TEST(a_reload_takes_what_can_hold_now_and_tells_the_rest)
{
    struct config_changes changes;
    reload(URLS "feed: notify\n",
           URLS "databases: [1]\nlimits: {keys_per_s: 70}\nlog: {level: debug}\ncontrol: {socket: /run/s}\n",
           &changes);
    ck_assert_uint_eq(changes.count, 5);
    changed(&changes.at[0], "feed", "notify", "auto", false);
    changed(&changes.at[1], "databases", "all", "[1]", false);
    changed(&changes.at[2], "limits.keys_per_s", "0", "70", true);
    changed(&changes.at[3], "control.socket", NULL, "/run/s", false);
    changed(&changes.at[4], "log.level", "info", "debug", true);
    ck_assert_uint_eq(c->limit_keys_per_s, 70);
    ck_assert_int_eq(c->log_level, SINK_DEBUG);
    ck_assert_int_eq(c->feed, FEED_NOTIFY);
    ck_assert(c->databases.all);
    ck_assert_ptr_null(c->control_socket);
    /* What waits has its place where it is from; what holds, in the file as it is now. */
    ck_assert_uint_eq(c->origins->at[config_option_find("feed")].line, 3);
    ck_assert_uint_eq(c->origins->at[config_option_find("limits.keys_per_s")].line, 4);
    config_changes_free(&changes);
    done();
}
END_TEST

START_TEST(a_reload_ends_what_limit_had_set)
{
    struct config_changes changes = {0};
    struct config *next;
    char why[CONFIG_WHY_MAX];
    ck_assert_int_eq(parse(URLS), 0);
    next = c;
    ck_assert_int_eq(parse(URLS), 0);
    ck_assert_int_eq(config_set_limit(c, "memory", "32MiB", why), 0);
    ck_assert_int_eq(config_reload(c, next, &changes), 0);
    ck_assert_uint_eq(changes.count, 1);
    changed(&changes.at[0], "limits.memory", "32MiB", "64MiB", true);
    ck_assert_uint_eq(c->limit_memory, 64 * MIB);
    ck_assert_int_eq(c->origins->at[config_option_find("limits.memory")].from, FROM_DEFAULT);
    config_changes_free(&changes);
    config_free(next);
    done();
}
END_TEST

START_TEST(a_reload_reads_password_files_again)
{
    char folder[32], path[64], text[256], why[CONFIG_WHY_MAX];
    const struct config_passwords running = {.source = (char[]){"before"}};
    struct config_changes changes = {0};
    temp_folder(folder);
    snprintf(path, sizeof(path), "%s/secret", folder);
    snprintf(text, sizeof(text), "source: {url: redis://a, password_file: %s}\ntarget: {url: redis://b}\n",
             path);
    ck_assert_int_eq(parse(text), 0);
    write_file(path, "before\n", 7);
    ck_assert_int_eq(config_compare_passwords(c, c, &running, &changes, why), 0);
    ck_assert_uint_eq(changes.count, 0);
    write_file(path, "after\n", 6);
    ck_assert_int_eq(config_compare_passwords(c, c, &running, &changes, why), 0);
    ck_assert_uint_eq(changes.count, 1);
    changed(&changes.at[0], "source.password_file", NULL, NULL, false);
    unlink(path);
    ck_assert_int_eq(config_compare_passwords(c, c, &running, &changes, why), -ENOENT);
    rmdir(folder);
    done();
}
END_TEST

static int print_row(const struct config_row *row, void *arg)
{
    fprintf(arg, "%s=%s (%s)%s\n", row->path, row->value ? row->value : "-", row->origin,
            row->is_limit ? " limit" : "");
    return 0;
}

START_TEST(the_effective_configuration_has_origins)
{
    char *text, why[CONFIG_WHY_MAX];
    size_t len;
    ck_assert_int_eq(parse("source:\n  url: redis://a\ndatabases: [3, 0]\nscan: {count: 50}\n"), 0);
    ck_assert_int_eq(config_set(c, "target.url", "redis://b", "--target", &errors), 0);
    ck_assert_int_eq(config_set_limit(c, "bytes_per_s", "1536KiB", why), 0);
    FILE *out = open_memstream(&text, &len);
    ck_assert_int_eq(config_each(c, print_row, out), 0);
    fclose(out);
    ck_assert_str_eq(text, "name=default (default)\n"
                           "source.url=redis://a (f.yaml:2)\n"
                           "source.password_file=- (default)\n"
                           "source.password_credential=- (default)\n"
                           "source.timeout=20s (default)\n"
                           "source.cluster=auto (default)\n"
                           "source.seeds=- (default)\n"
                           "source.address_map=- (default)\n"
                           "source.tls.verify=full (default)\n"
                           "source.tls.ca_file=- (default)\n"
                           "source.tls.cert_file=- (default)\n"
                           "source.tls.key_file=- (default)\n"
                           "source.tls.server_name=- (default)\n"
                           "target.url=redis://b (--target)\n"
                           "target.password_file=- (default)\n"
                           "target.password_credential=- (default)\n"
                           "target.timeout=20s (default)\n"
                           "target.cluster=auto (default)\n"
                           "target.seeds=- (default)\n"
                           "target.address_map=- (default)\n"
                           "target.tls.verify=full (default)\n"
                           "target.tls.ca_file=- (default)\n"
                           "target.tls.cert_file=- (default)\n"
                           "target.tls.key_file=- (default)\n"
                           "target.tls.server_name=- (default)\n"
                           "target.existing_keys=refuse (default)\n"
                           "target.allow_eviction=no (default)\n"
                           "target.wait_replicas=0 (default)\n"
                           "target.wait_aof=no (default)\n"
                           "feed=auto (default)\n"
                           "psync.full_sync=no (default)\n"
                           "databases=[0, 3] (f.yaml:3)\n"
                           "filter.include=- (default)\n"
                           "filter.exclude=- (default)\n"
                           "filter.types=- (default)\n"
                           "scan.count=50 (f.yaml:4)\n"
                           "limits.memory=64MiB (default) limit\n"
                           "limits.keys_per_s=0 (default) limit\n"
                           "limits.bytes_per_s=1536KiB (limit) limit\n"
                           "limits.coalesce=2ms (default) limit\n"
                           "control.socket=- (default)\n"
                           "log.level=info (default)\n"
                           "autostart=yes (default)\n");
    free(text);
    done();
}
END_TEST

/* What cannot stand beside the rest: the second of two passwords, TLS where the URL has none, and a cluster
 * behind a Unix socket. */
static bool excludes(const char *option)
{
    static const char *const names[] = {"password_credential", "verify",   "ca_file",
                                        "cert_file",           "key_file", "server_name",
                                        "address_map",         "seeds"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strncmp(option, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* Every other option that the example shows. */
static void uncomment(char *text)
{
    for (char *p = text; (p = strchr(p, '\n'));) {
        p += 1 + strspn(p + 1, " ");
        if (*p == '#' && p[1] != ' ' && !excludes(p + 1))
            memmove(p, p + 1, strlen(p));
    }
}

START_TEST(the_example_is_valid)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    config_example(out);
    fclose(out);
    accepts(text);
    uncomment(text);
    accepts(text);
    free(text);
}
END_TEST

static int password(const char *option, const char *value, struct config_passwords *p, char *why)
{
    ck_assert_int_eq(config_new(&c), 0);
    ck_assert_int_eq(config_set(c, option, value, "test", &errors), 0);
    int err = config_read_passwords(c, p, why);
    done();
    return err;
}

START_TEST(passwords_come_from_files_and_credentials)
{
    char folder[32], path[64], why[CONFIG_WHY_MAX];
    struct config_passwords p = {0};
    temp_folder(folder);
    snprintf(path, sizeof(path), "%s/secret", folder);

    write_file(path, "hunter2\n", 8);
    ck_assert_int_eq(password("source.password_file", path, &p, why), 0);
    ck_assert_str_eq(p.source, "hunter2");
    ck_assert_ptr_null(p.target);
    config_passwords_free(&p);

    write_file(path, "two\n\n", 5);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    ck_assert_int_eq(password("target.password_credential", "secret", &p, why), 0);
    ck_assert_str_eq(p.target, "two\n");
    config_passwords_free(&p);

    ck_assert_int_eq(password("target.password_credential", "missing", &p, why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "target.password_credential: "));
    ck_assert_ptr_nonnull(strstr(why, "riotd@default takes it from /etc/riotd/default.missing"));
    unsetenv("CREDENTIALS_DIRECTORY");
    ck_assert_int_eq(password("target.password_credential", "secret", &p, why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "LoadCredential"));
    unlink(path);
    ck_assert_int_eq(password("source.password_file", path, &p, why), -ENOENT);
    ck_assert_ptr_null(p.source);
    rmdir(folder);
}
END_TEST

START_TEST(passwords_that_are_none_are_refused)
{
    char folder[32], path[64], why[CONFIG_WHY_MAX];
    struct config_passwords p = {0};
    char *big = malloc(CONFIG_PASSWORD_MAX + 2);
    memset(big, 'x', CONFIG_PASSWORD_MAX + 2);
    temp_folder(folder);
    snprintf(path, sizeof(path), "%s/secret", folder);

    write_file(path, "\n", 1);
    ck_assert_int_eq(password("source.password_file", path, &p, why), -EINVAL);
    write_file(path, "a\0b", 3);
    ck_assert_int_eq(password("source.password_file", path, &p, why), -EINVAL);
    write_file(path, big, CONFIG_PASSWORD_MAX + 2);
    ck_assert_int_eq(password("source.password_file", path, &p, why), -EINVAL);
    ck_assert_ptr_null(strstr(why, "xxxxxxxxxx")); /* longer than the random part of the path */
    big[CONFIG_PASSWORD_MAX] = '\n';
    write_file(path, big, CONFIG_PASSWORD_MAX + 1);
    ck_assert_int_eq(password("source.password_file", path, &p, why), 0);
    ck_assert_uint_eq(strlen(p.source), CONFIG_PASSWORD_MAX);
    config_passwords_free(&p);
    free(big);
    unlink(path);
    rmdir(folder);
}
END_TEST

UNIT_MAIN("daemon/config", defaults_are_those_of_the_design, a_file_sets_everything,
          empty_files_and_sections_are_fine, every_error_is_told_with_its_place,
          unknown_names_suggest_the_nearest, yaml_that_surprises_is_refused, a_file_beyond_1_mib_is_refused,
          errors_have_a_ceiling, values_are_checked, databases_are_all_one_or_a_list, a_cluster_is_told_of,
          what_is_told_of_a_cluster_is_checked, a_url_with_a_database_is_that_one_alone, the_whole_is_checked,
          a_password_in_a_url_is_refused_and_not_repeated, flags_win_in_either_order,
          a_file_value_that_a_flag_replaces_is_checked_too, two_names_must_be_the_same,
          load_finds_the_file_by_name, load_tells_all_or_nothing,
          a_reload_takes_what_can_hold_now_and_tells_the_rest, a_reload_ends_what_limit_had_set,
          a_reload_reads_password_files_again, limits_change_at_run_time,
          the_effective_configuration_has_origins, the_example_is_valid,
          passwords_come_from_files_and_credentials, passwords_that_are_none_are_refused)
