#include "ctl/complete.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/args.h"
#include "tests/unit/unit.h"

static char folder[32];
static char text[CANDIDATES_MAX + 1]; /* of the last line */

static void make_link(const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/riotd-%s", folder, name);
    ck_assert_int_eq(mkdir(addr.sun_path, 0700), 0);
    strcat(addr.sun_path, "/riotd.sock");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
}

/* Words are parted by blanks; one at the end begins an empty word. */
static void complete(const char *line)
{
    struct paths_env env = {.xdg_runtime_dir = folder, .run = "/nowhere"};
    char copy[512], *words[32], *rest = copy;
    struct candidates found;
    int count = 0;

    snprintf(copy, sizeof(copy), "%s", line);
    while (rest) {
        ck_assert_int_lt(count, 32);
        words[count++] = strsep(&rest, " ");
    }
    complete_words(count, words, &env, &found);
    struct bytes all = buf_bytes(&found.out);
    snprintf(text, sizeof(text), "%.*s", (int)all.len, all.len ? all.ptr : "");
    buf_free(&found.out);
}

/* The candidates are exactly these, in this order, parted by blanks. */
static void gives(const char *line, const char *want)
{
    char got[CANDIDATES_MAX] = "";

    complete(line);
    struct bytes rest = bytes_str(text);
    while (rest.len) {
        struct bytes help = bytes_cut(&rest, '\n'), word = bytes_cut(&help, '\t');
        size_t at = strlen(got);
        snprintf(got + at, sizeof(got) - at, "%s%.*s", at ? " " : "", (int)word.len, word.ptr);
    }
    ck_assert_msg(!strcmp(got, want), "'%s' gives '%s', not '%s'", line, got, want);
}

static bool offers(const char *line, const char *candidate)
{
    char row[512];

    complete(line);
    int len = snprintf(row, sizeof(row), "%s\t", candidate);
    const char *at = strstr(text, row);
    while (at && at != text && at[-1] != '\n')
        at = strstr(at + len, row);
    return at != NULL;
}

START_TEST(verbs_and_options)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        ck_assert(offers("", verbs[i].name));
        ck_assert(offers("help ", verbs[i].name));
    }
    gives("cut", "cutover");
    gives("--json cut", "cutover");
    gives("CUT", "");
    ck_assert(offers("-", "-n") && offers("-", "--name") && offers("status --", "--json"));
    ck_assert(!offers("status --json --", "--json")); /* not twice */
    ck_assert(offers("pause --", "--no-wait") && !offers("status --", "--no-wait"));
    gives("nonsense ", "");
    gives("nonsense -", "");
    gives("help status ", "");
    complete("cut");
    ck_assert_ptr_eq(strstr(text, "cutover\tmake the target"), text);
}
END_TEST

START_TEST(arguments_of_a_verb)
{
    gives("wait ", "--for --timeout");
    gives("wait --for live ", "--timeout");
    gives("wait --for=live ", "--timeout");
    gives("wait --for ", "idle live drained verified committed finished");
    gives("wait --for d", "drained");
    gives("wait --for=d", "--for=drained");
    gives("cutover --max-l", "--max-lag-ms");
    gives("cutover --max-lag-ms ", ""); /* any number */
    gives("cutover --max-lag-ms=", "");
    gives("cutover --dry-run=", ""); /* takes none */
    gives("cutover --max-lag-ms --fence --fen", "--fence");
    gives("cutover --then --json --fence h", "hold");
    gives("limit ", "memory= keys_per_s= bytes_per_s= coalesce=");
    gives("limit keys_per_s=3 ", "memory= bytes_per_s= coalesce=");
    gives("limit keys_per_s=", "keys_per_s=");
    gives("limit keys_per_s=3", "");
    gives("limit --mem", "");
    gives("wait -- -", "");
    gives("-- li", "limit list");
}
END_TEST

START_TEST(values_of_options)
{
    gives("-s ", CANDIDATES_FILES);
    gives("--socket /t", CANDIDATES_FILES);
    gives("--socket=/t", CANDIDATES_FILES);
    gives("--color ", "auto always never");
    gives("--color=n", "--color=never");
    gives("--color never st", "status start stop");
    gives("--nonsense=", "");
    gives("--json=", "");
    gives("-s/x st", "status start stop");
    gives("-s -n st", "status start stop"); /* -n is the path */
}
END_TEST

START_TEST(links_that_have_their_socket)
{
    char command[64];

    snprintf(folder, sizeof(folder), "/tmp/riot-complete-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    gives("-n ", "");
    make_link("orders");
    gives("-n ", "orders");
    make_link("invoices");
    gives("-n ", "invoices orders");
    gives("pause -n o", "orders");
    gives("pause --name=i", "--name=invoices");
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    gives("-n ", "");
}
END_TEST

START_TEST(strange_lines)
{
    struct paths_env env = {.run = "/nowhere"};
    struct candidates found;
    char long_word[4096];

    complete_words(0, NULL, &env, &found); /* as a first word that is empty */
    ck_assert_uint_gt(buf_len(&found.out), 0);
    buf_free(&found.out);
    memset(long_word, 'a', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    char *words[] = {long_word, long_word};
    complete_words(2, words, &env, &found);
    ck_assert_uint_eq(buf_len(&found.out), 0);
    buf_free(&found.out);
    long_word[0] = long_word[1] = '-';
    long_word[2000] = '=';
    complete_words(2, words, &env, &found);
    ck_assert_uint_eq(buf_len(&found.out), 0);
    buf_free(&found.out);
}
END_TEST

START_TEST(a_candidate_is_one_line)
{
    for (size_t v = 0; v < VERB_COUNT; v++) {
        ck_assert_ptr_null(strpbrk(verbs[v].help, "\t\n"));
        for (size_t i = 0; i < verbs[v].nargs; i++)
            ck_assert_ptr_null(strpbrk(verbs[v].args[i].help, "\t\n"));
    }
    for (size_t i = 0; i < OPTION_COUNT; i++)
        ck_assert_ptr_null(strpbrk(args_options[i].help, "\t\n"));
}
END_TEST

UNIT_MAIN("ctl/complete", verbs_and_options, arguments_of_a_verb, values_of_options,
          links_that_have_their_socket, strange_lines, a_candidate_is_one_line)
