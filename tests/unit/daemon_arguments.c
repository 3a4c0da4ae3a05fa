#include "daemon/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_table.h"
#include "lib/core/wrap.h"
#include "tests/unit/unit.h"

/* Words are parted by blanks. */
static int parse(const char *line, struct arguments *ret)
{
    static char copy[512];
    char *argv[32];
    int argc = 0;

    snprintf(copy, sizeof(copy), "riotd %s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return arguments_parse(argc, argv, ret);
}

static void has(const struct arguments *a, const char *path, const char *flag, const char *value)
{
    for (size_t i = 0; i < a->nflags; i++) {
        if (strcmp(a->flags[i].path, path) == 0) {
            ck_assert_str_eq(a->flags[i].flag, flag);
            ck_assert_str_eq(a->flags[i].value, value);
            return;
        }
    }
    ck_abort_msg("%s was not set", path);
}

START_TEST(flags_stand_for_options)
{
    struct arguments a;

    ck_assert_int_eq(parse("-n orders -c /f --state-dir=/s --source redis://a --feed=none", &a), 0);
    ck_assert_int_eq(a.task, TASK_RUN);
    ck_assert_str_eq(a.file, "/f");
    ck_assert_str_eq(a.state_dir, "/s");
    ck_assert_uint_eq(a.nflags, 3);
    has(&a, "name", "--name", "orders");
    has(&a, "source.url", "--source", "redis://a");
    has(&a, "feed", "--feed", "none");
    ck_assert_int_eq(parse("--name=a -nb", &a), 0); /* the last one counts */
    ck_assert_uint_eq(a.nflags, 1);
    has(&a, "name", "--name", "b");
    ck_assert_int_eq(parse("", &a), 0);
    ck_assert_ptr_null(a.file);
    ck_assert_uint_eq(a.nflags, 0);
}
END_TEST

START_TEST(tasks)
{
    static const struct {
        const char *line;
        enum arguments_task task;
    } cases[] = {
        {"--check", TASK_CHECK},
        {"--check-config", TASK_CHECK_CONFIG},
        {"--check-config --check", TASK_CHECK_CONFIG},
        {"--print-example-config", TASK_EXAMPLE},
        {"--version -n a", TASK_VERSION},
        {"-V", TASK_VERSION},
        {"-h -V --check", TASK_HELP},
        {"--help", TASK_HELP},
    };
    struct arguments a;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_int_eq(parse(cases[i].line, &a), 0);
        ck_assert_int_eq(a.task, cases[i].task);
    }
}
END_TEST

START_TEST(wrong_lines)
{
    static const char *const lines[] = {"--nonsense",  "-x",    "-c",    "--source",
                                        "--check=yes", "extra", "-n a b"};
    struct arguments a;

    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        ck_assert_msg(parse(lines[i], &a) == -EINVAL, "%s", lines[i]);
}
END_TEST

START_TEST(the_table_is_whole)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        const struct arguments_flag *f = &arguments_flags[i];
        ck_assert_int_eq(strncmp(f->name, "--", 2), 0);
        ck_assert_uint_lt(strlen(f->name), CONFIG_FLAG_MAX);
        ck_assert(!f->path || (config_option_find(f->path) < CONFIG_OPTIONS && f->placeholder));
    }
    for (size_t i = 1; i < ARGUMENTS_EXITS; i++)
        ck_assert_int_lt(arguments_exits[i - 1].status, arguments_exits[i].status);
}
END_TEST

START_TEST(help_is_whole_and_narrow)
{
    struct buf out;

    buf_init(&out, ARGUMENTS_HELP_MAX);
    ck_assert_int_eq(arguments_help(&out), 0);
    ck_assert_int_eq(buf_append(&out, "", 1), 0);
    struct bytes rest = buf_bytes(&out);
    for (size_t i = 0; i < FLAG_COUNT; i++)
        ck_assert_ptr_nonnull(strstr(rest.ptr, arguments_flags[i].name));
    ck_assert_ptr_nonnull(strstr(rest.ptr, "\n  -c, --config FILE      read"));
    ck_assert_ptr_nonnull(strstr(rest.ptr, "\n      --feed KIND        how changes"));
    ck_assert_ptr_nonnull(strstr(rest.ptr, "\n  78   the configuration"));
    while (rest.len) {
        struct bytes line = bytes_cut(&rest, '\n');
        ck_assert_msg(line.len <= WRAP_WIDTH, "%.*s", (int)line.len, line.ptr);
    }
    buf_free(&out);
}
END_TEST

/* The candidates for the last word are these, parted by blanks. */
static void gives(const char *line, const char *folder, const char *want)
{
    char copy[256], got[4 * KIB] = "", *words[16], *rest = copy;
    struct candidates found;
    int count = 0;

    snprintf(copy, sizeof(copy), "%s", line);
    while (rest)
        words[count++] = strsep(&rest, " ");
    arguments_complete(count, words, folder, &found);
    struct bytes all = buf_bytes(&found.out);
    while (all.len) {
        struct bytes help = bytes_cut(&all, '\n'), word = bytes_cut(&help, '\t');
        size_t at = strlen(got);
        snprintf(got + at, sizeof(got) - at, "%s%.*s", at ? " " : "", (int)word.len, word.ptr);
    }
    buf_free(&found.out);
    ck_assert_msg(!strcmp(got, want), "'%s' gives '%s', not '%s'", line, got, want);
}

START_TEST(completion)
{
    char folder[] = "/tmp/riot-arguments-XXXXXX", command[256];

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(command, sizeof(command), "cd %s && touch orders.yaml BAD.yaml .yaml orders.source", folder);
    ck_assert_int_eq(system(command), 0);
    gives("-n ", folder, "orders");
    gives("--name=", folder, "--name=orders");
    gives("-n i", folder, "");
    gives("-n ", "/nowhere", "");
    gives("--ch", folder, "--check-config --check");
    gives("-n --check --existing-keys ", folder, "refuse replace merge");
    gives("--existing-keys=m", folder, "--existing-keys=merge");
    gives("-c ", folder, CANDIDATES_FILES);
    gives("--state-dir=/v", folder, CANDIDATES_FILES);
    gives("--source ", folder, "");
    gives("--check=", folder, "");
    gives("--nonsense=", folder, "");
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

UNIT_MAIN("daemon/arguments", flags_stand_for_options, tasks, wrong_lines, the_table_is_whole,
          help_is_whole_and_narrow, completion)
