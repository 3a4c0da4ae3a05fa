/* What riotctl shows of verify and cutover, against a daemon of the test's own: while they run, at their end,
 * on terminals and in pipes. Which of the daemon's stories is told is chosen by --sample and --max-lag-ms. */
#include "tests/unit/ctl_kit.h"

enum { CLEAN = 101, DRIFT, UNSTABLE, NO_REPORT, LONG, DIES };
enum { COMMITS = 1, COMMITS_UNHEARD, REFUSED, UNDONE, PERSON, CUT_LONG, CUT_DIES, DRY };

static uint64_t story; /* the daemon's */

#define ENDED(result, code, text)                                                                            \
    "{\"event\":\"operation_ended\",\"operation\":7,\"result\":\"" result "\",\"exit_code\":" #code          \
    ",\"text\":\"" text "\"}"

static void say(struct daemon *d, const char *json)
{
    server_publish(d->server, 1, bytes_str(json));
}

/* --- verify --- */

#define CLEAN_REPORT                                                                                         \
    "{\"verdict\":\"clean\",\"repair\":false,\"began\":\"2026-01-02T03:04:05.000Z\","                        \
    "\"ended\":\"2026-01-02T03:04:07.100Z\",\"compared\":5065,\"drift\":{\"missing\":0,\"extra\":0,"         \
    "\"type\":0,\"value\":0,\"ttl\":0},\"at_least\":false,\"unstable\":0,\"unknown\":0,\"repaired\":0,"      \
    "\"keys\":[],\"exit_code\":0}"

static const char drift_report[] =
    "{\"verdict\":\"drift\",\"repair\":false,\"sampled\":true,\"match\":\"k:*\",\"db\":3,"
    "\"began\":\"2026-01-02T03:04:05Z\",\"ended\":\"2026-01-02T03:04:07.100Z\",\"compared\":5065,"
    "\"drift\":{\"missing\":13,\"extra\":7,\"type\":5,\"value\":17,\"ttl\":23000},\"at_least\":true,"
    "\"unstable\":2,\"unknown\":1,\"repaired\":4,\"keys\":["
    "{\"db\":0,\"key\":\"k:1\\\\x00\",\"kind\":\"missing\",\"what\":\"a string of 12 bytes on the source\"},"
    "{\"db\":3,\"key\":\"evil\\u001b[2J\",\"kind\":\"ttl\",\"what\":\"expires 1250 ms later on the "
    "target\"}],"
    "\"exit_code\":10}";

static const char unstable_report[] =
    "{\"verdict\":\"inconclusive\",\"reason\":\"2 keys changed too fast to be read twice\",\"repair\":true,"
    "\"compared\":10,\"drift\":{},\"unstable\":2,\"keys\":[],\"exit_code\":11}";

static void verify_last(struct client *c)
{
    switch (story) {
    case CLEAN:
        server_reply_json(c, BYTES(CLEAN_REPORT));
        break;
    case DRIFT:
        server_reply_json(c, bytes_str(drift_report));
        break;
    case UNSTABLE:
        server_reply_json(c, bytes_str(unstable_report));
        break;
    default:
        server_reply_error(c, CODE_NOTFOUND, "no verify has ended");
    }
}

static void on_verify(struct daemon *d, struct client *c, const struct request *r)
{
    if (r->values[ARG_LAST].given) {
        verify_last(c);
        return;
    }
    if (r->values[ARG_STOP].given) {
        server_reply_ok(c);
        return;
    }
    story = 100 + r->values[ARG_SAMPLE].number;
    server_reply_json(c, BYTES("{\"operation\": 7}"));
    if (story == CLEAN)
        say(d, ENDED("clean", 0, "no drift: 5,065 keys compared"));
    else if (story == DRIFT)
        say(d, ENDED("drift", 10, "at least 23,042 keys differ"));
    else if (story == UNSTABLE || story == NO_REPORT)
        say(d, ENDED("inconclusive", 11, "it cannot be told"));
    else if (story == DIES)
        timer_set(d->later, 100000);
}

/* --- cutover --- */

#define STEP(step, state, took, text)                                                                        \
    "{\"step\":\"" step "\",\"state\":\"" state "\",\"took_ms\":" took ",\"text\":\"" text "\"}"
#define TOLD(step, state, took, text)                                                                        \
    "{\"event\":\"cutover_step\",\"step\":\"" step "\",\"step_state\":\"" state "\",\"took_ms\":" took       \
    ",\"step_text\":\"" text "\",\"text\":\"cutover step: " step ": " state "\"}"
#define WAITING(step) "{\"step\":\"" step "\",\"state\":\"waiting\"}"

static const char committed[] =
    "{\"name\":\"orders\",\"state\":\"committed\",\"cutover\":{\"state\":\"committed\",\"step\":\"release\","
    "\"steps\":[" STEP("validate", "done", "3.31", "fence acl, 1 node") "," STEP(
        "gate", "done", "2050",
        "lag 3 ms") "," STEP("verify", "skipped", "0",
                             "not asked for") "," STEP("release", "done", "1",
                                                       "") "],"
                                                           "\"write_pause_ms\":38,\"committed_at\":\"2026-01-"
                                                           "02T03:04:05.678Z\",\"fence\":\"acl\",\"fence_"
                                                           "held\":true,"
                                                           "\"fence_text\":\"user default on 10.0.0.5:6379 "
                                                           "may not "
                                                           "write\",\"target\":\"redis://10.0.0.6:6379\"},"
                                                           "\"operations\":[{\"id\":7,\"verb\":\"cutover\","
                                                           "\"state\":\"ended\",\"result\":\"ok\","
                                                           "\"exit_code\":0,\"text\":\"writes go to "
                                                           "redis://10.0.0.6:6379 from now on; writes waited "
                                                           "for 38 ms\"}]}";

static const char undone[] =
    "{\"name\":\"orders\",\"state\":\"live\",\"cutover\":{\"step\":\"drain\",\"steps\":[" STEP(
        "validate", "done", "3",
        "") "," STEP("gate", "failed", "5000",
                     "late") "," WAITING("drain") "],"
                                                  "\"write_pause_ms\":5001,\"fence_held\":false,\"fence_"
                                                  "text\":\"user \\u001b[1mapp on 10.0.0.5:6379\","
                                                  "\"failed\":\"the write pause was over its bound\"}}";

static const char runs[] =
    "{\"name\":\"orders\",\"state\":\"cutover\",\"cutover\":{\"state\":\"running\",\"step\":\"drain\","
    "\"steps\":"
    "[" STEP("gate", "done", "2050", "lag 3 ms") "," STEP(
        "drain", "running", "12",
        "1,234 keys on their way to the target, and more than "
        "fits") "],\"write_pause_ms\":21},"
                "\"verify\":{\"verdict\":\"running\",\"percent\":41.15,\"keys_per_s\":12345,\"eta_ms\":12000,"
                "\"drift\":{\"missing\":2,\"ttl\":1},\"pending\":12,\"waiting\":\"the target does not answer "
                "at all\"}}";

static void tell_steps(struct daemon *d)
{
    say(d, TOLD("validate", "begin", "0", ""));
    say(d, TOLD("validate", "done", "3", "fence acl, 1 node"));
    say(d, TOLD("gate", "done", "2050", "lag 3 ms"));
    say(d, TOLD("drain", "begin", "0", ""));
}

static void on_cutover(struct daemon *d, struct client *c, const struct request *r)
{
    story = r->values[ARG_MAX_LAG_MS].number;
    server_reply_json(c, BYTES("{\"operation\": 7}"));
    switch (story) {
    case COMMITS:
        tell_steps(d);
        say(d, TOLD("gate", "done", "2050", "told twice"));
        say(d, ENDED("ok", 0, "writes go to redis://10.0.0.6:6379 from now on; writes waited for 38 ms"));
        break;
    case COMMITS_UNHEARD:
        say(d, "{\"event\":\"gap\",\"missed\":30}");
        break;
    case REFUSED:
        say(d, ENDED("refused", 6, "refused: 2 keys failed; nothing was changed"));
        break;
    case UNDONE:
        say(d, ENDED("undone", 8, "undone: the write pause was over its bound"));
        break;
    case PERSON:
        say(d, ENDED("left_alone", 9, "undone: x. Left as it is: user app"));
        break;
    case CUT_DIES:
        tell_steps(d);
        timer_set(d->later, 100000);
        break;
    case DRY:
        say(d, TOLD("validate", "done", "3", "it could begin"));
        say(d, ENDED("ok", 0, "checked"));
        break;
    default:
        tell_steps(d);
    }
}

static void on_status(struct client *c)
{
    static const char dry[] = "{\"cutover\":{\"plan\":[\"fence acl, on 1 node\",\"writes then go to x\"]}}";

    switch (story) {
    case UNDONE:
    case REFUSED:
    case PERSON:
        server_reply_json(c, bytes_str(undone));
        break;
    case DRY:
        server_reply_json(c, bytes_str(dry));
        break;
    case CUT_LONG:
    case CUT_DIES:
        server_reply_json(c, bytes_str(runs));
        break;
    default:
        server_reply_json(c, bytes_str(committed));
    }
}

static void on_later(void *arg)
{
    loop_stop(((struct daemon *)arg)->loop);
}

static void on_verb(struct client *c, const struct request *r, void *arg)
{
    struct daemon *d = arg;

    switch (r->verb->id) {
    case VERB_STATUS:
        if (story == LONG || story == DIES)
            server_reply_json(c, bytes_str(runs));
        else
            on_status(c);
        break;
    case VERB_VERIFY:
        on_verify(d, c, r);
        break;
    case VERB_CUTOVER:
        on_cutover(d, c, r);
        break;
    case VERB_FINISH:
        server_reply_json(c, BYTES("{\"operation\": 7}"));
        say(d, ENDED("ok", 0, "finished; the old source stays fenced"));
        break;
    default:
        server_reply_ok(c);
    }
}

static void not_printed(const char *part)
{
    ck_assert_msg(!strstr(text, part), "'%s' in: %s", part, text);
}

/* --- tests --- */

START_TEST(verify_reports)
{
    start();
    run("verify --sample 1", 0);
    ck_assert_str_eq(text, "verdict   clean\n"
                           "compared  5,065 keys in 2.1s\n"
                           "missing   0\n"
                           "extra     0\n"
                           "type      0\n"
                           "value     0\n"
                           "ttl       0\n");
    run("verify --sample 1 --json", 0);
    ck_assert_str_eq(text, CLEAN_REPORT "\n");
    run("verify --sample 2", 10);
    ck_assert_str_eq(text, "verdict   drift\n"
                           "compared  5,065 keys in 2.1s, a sample, of database 3 alone, of names like k:*\n"
                           "missing   13+      only the source has them\n"
                           "extra     7+       only the target has them\n"
                           "type      5+       of another type\n"
                           "value     17+      of the same type, with another value\n"
                           "ttl       23,000+  equal, but they expire at another time\n"
                           "unstable  2        changed too fast to be read twice\n"
                           "unknown   1        cannot be compared\n"
                           "repaired  4        differed, and are equal now\n"
                           "\n"
                           "DB  KEY          DIFFERS  HOW\n"
                           "0   k:1\\x00      missing  a string of 12 bytes on the source\n"
                           "3   evil\\x1b[2J  ttl      expires 1250 ms later on the target\n"
                           "and at least 23,040 more\n"
                           "\n"
                           "To mend them: riotctl verify --repair\n"
                           "riotctl: DRIFT: at least 23,042 keys differ\n");
    run("verify --sample 2 --json", 10);
    ck_assert_int_eq(strncmp(text, drift_report, strlen(drift_report)), 0);
    printed("\nriotctl: DRIFT: ");
    run("verify --sample 3", 11);
    printed("verdict   inconclusive\n          2 keys changed too fast to be read twice\n");
    printed("repaired  0\n");
    printed("riotctl verify --rounds 20");
    run("verify --sample 4", 11);
    printed("riotctl: NOTFOUND: no verify has ended\nriotctl: INCONCLUSIVE: it cannot be told\n");
    run("verify --sample 5 --no-wait", 0);
    ck_assert_str_eq(text, "7\n");
    run("verify --stop", 0);
    ck_assert_str_eq(text, "OK\n");
    stop();
}
END_TEST

START_TEST(the_last_report)
{
    start();
    run("verify --last", 2);
    printed("riotctl: NOTFOUND: ");
    run("verify --sample 2 --no-wait", 0);
    run("verify --last", 10);
    printed("verdict   drift, ");
    printed(" ago\n");
    printed("To mend them");
    not_printed("riotctl: ");
    run("verify --last --json", 10);
    ck_assert_int_eq(strncmp(text, drift_report, strlen(drift_report)), 0);
    run("verify --sample 1 --no-wait", 0);
    run("verify --last", 0);
    stop();
}
END_TEST

/* What follows each "\r\033[K", up to the next control character, has no more than so many columns. */
static void lines_fit(size_t columns)
{
    unsigned seen = 0;

    for (const char *at = text; (at = strstr(at, "\r\033[K")); seen++) {
        size_t len = 0;
        for (at += 4; *at && *at != '\r' && *at != '\n' && *at != '^'; at++) {
            if (*at == '\033')
                at = strchr(at, 'm');
            else
                len++;
        }
        ck_assert_msg(len <= columns, "%zu columns in: %s", len, text);
    }
    ck_assert_uint_gt(seen, 0);
}

START_TEST(progress_of_verify)
{
    static const unsigned short widths[] = {40, 60, 120};
    int fd;

    start();
    for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
        pid_t pid = spawn_on_terminal_of("verify --sample 5", widths[i], &fd);
        text[0] = '\0';
        collect(fd, "\r\033[Kverify: 41.1 %, 12,345 keys/s, ");
        if (widths[i] == 120)
            collect(fd,
                    ", 12s left\033[1;31m, drift 3\033[0m, 12 pending\033[33m, waits: the target does not");
        ck_assert_int_eq(write(fd, "\003", 1), 1);
        collect(fd, NULL);
        printed(
            "\r\033[Kriotctl: \033[1;31mINTERRUPTED\033[0m: operation 7 (verify) goes on in riotd; 'riotctl "
            "verify --stop' ends it, 'riotctl verify --last' shows its report");
        *strstr(text, "riotctl: ") = '\0';
        lines_fit(widths[i] - 1u);
        ck_assert_int_eq(end_of(pid), 130);
        close(fd);
    }
    run("verify --sample 6", 3);
    printed("went away; the verify ended with it: begin it again once riotd runs\n");
    wait_daemon();
}
END_TEST

#define STEPS                                                                                                \
    "STEP          STATE    TOOK    WHAT\n"                                                                  \
    "validate      done     3ms     fence acl, 1 node\n"                                                     \
    "gate          done     2s      lag 3 ms\n"                                                              \
    "verify        skipped  0ms     not asked for\n"                                                         \
    "release       done     1ms\n"

#define COMMITTED                                                                                            \
    "\n"                                                                                                     \
    "result    writes go to redis://10.0.0.6:6379 from now on; writes waited for 38 ms\n"                    \
    "committed 2026-01-02T03:04:05.678Z\n"                                                                   \
    "fence     acl\n"                                                                                        \
    "          user default on 10.0.0.5:6379 may not write\n"                                                \
    "next      riotctl finish\n"

START_TEST(cutover_commits)
{
    start();
    run("cutover --max-lag-ms 1", 0);
    ck_assert_str_eq(text, STEPS COMMITTED);
    run("cutover --max-lag-ms 2", 0);
    ck_assert_str_eq(text, STEPS COMMITTED);
    run("cutover --max-lag-ms 1 --json", 0);
    printed("\"took_ms\":3.31,");
    printed("{\"event\":\"operation_ended\",\"operation\":7,\"result\":\"ok\",\"exit_code\":0,");
    printed(",\"cutover\":{\"state\":\"committed\",\"step\":\"release\",");
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
    run("cutover --max-lag-ms 8 --dry-run", 0);
    ck_assert_str_eq(text, "fence acl, on 1 node\nwrites then go to x\n");
    run("cutover --max-lag-ms 1 --no-wait", 0);
    ck_assert_str_eq(text, "7\n");
    run("finish", 0);
    ck_assert_str_eq(text, "finished; the old source stays fenced\n");
    run("abort", 0);
    ck_assert_str_eq(text, "OK\n");
    stop();
}
END_TEST

START_TEST(cutover_fails)
{
    start();
    run("cutover --max-lag-ms 3 --then echo~no", 6);
    printed("STEP          STATE    TOOK    WHAT\nvalidate      done     3ms\ngate          failed   5s      "
            "late\n"
            "riotctl: REFUSED: 2 keys failed; nothing was changed\n"
            "  next 'riotctl check' shows all that stands in the way\n");
    not_printed("\nno\n");
    not_printed("drain");
    run("cutover --max-lag-ms 4 --then echo~no", 8);
    printed("riotctl: UNDONE: the write pause was over its bound\n"
            "  paused writes waited for 5s\n");
    not_printed("\nno\n");
    run("cutover --max-lag-ms 5 --then echo~no", 9);
    printed(
        "riotctl: LEFT_ALONE: undone: x. Left as it is: user app\n"
        "  fenced user \\x1b[1mapp on 10.0.0.5:6379\n"
        "  next look at what is named above: somebody else changed it since, so riotd left it as it is\n");
    not_printed("\nno\n");
    run("cutover --max-lag-ms 4 --json", 8);
    printed("\"exit_code\":8");
    printed("\"failed\":\"the write pause was over its bound\"");
    stop();
}
END_TEST

START_TEST(a_command_afterwards)
{
    start();
    run("cutover --max-lag-ms 1 --then echo~$RIOT_LINK~$RIOT_TARGET~$RIOT_WRITE_PAUSE_MS;cat;echo~2>&1~done",
        0);
    ck_assert_str_eq(text, STEPS COMMITTED "orders redis://10.0.0.6:6379 38\ndone\n");
    run("cutover --max-lag-ms 1 --then exit~3", 1);
    ck_assert_str_eq(text,
                     STEPS COMMITTED "riotctl: FAILED: the cutover is committed and stays so, but --then "
                                     "ended with 3\n");
    run("cutover --max-lag-ms 1 --then kill~-9~$$", 1);
    printed("but --then was ended by signal 9 (Killed)\n");
    run("cutover --max-lag-ms 1 --then trap~'echo~pipe'~PIPE;kill~-PIPE~$$", 0);
    printed("pipe\n");
    run("cutover --max-lag-ms 8 --dry-run --then echo~no", 0);
    not_printed("no\n");
    run("cutover --max-lag-ms 1 --no-wait --then echo~no", 2);
    printed("riotctl: USAGE: --then is run by riotctl");
    stop();
}
END_TEST

START_TEST(progress_of_cutover)
{
    static const unsigned short widths[] = {40, 100};
    int fd;

    start();
    for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
        pid_t pid = spawn_on_terminal_of("cutover --max-lag-ms 6 --then true", widths[i], &fd);
        text[0] = '\0';
        collect(fd, "ms\033[33m, writes wait for 21ms\033[0m: ");
        printed("gate          done     2s      lag 3 ms");
        ck_assert_int_eq(write(fd, "\003", 1), 1);
        collect(fd, NULL);
        printed("operation 7 (cutover) goes on in riotd; 'riotctl status' shows it, 'riotctl abort' puts all "
                "back "
                "as long as it is not committed; --then is not run");
        *strstr(text, "riotctl: ") = '\0';
        lines_fit(widths[i] - 1u);
        ck_assert_int_eq(end_of(pid), 130);
        close(fd);
    }
    run("cutover --max-lag-ms 7 --then echo~no", 3);
    printed("went away; when it starts again it takes the cutover up: undoes it before the commit, goes on "
            "after it. See 'systemctl status riotd@NAME' and 'riotctl status'\n");
    not_printed("no\n");
    wait_daemon();
}
END_TEST

UNIT_MAIN("ctl/reports", verify_reports, the_last_report, progress_of_verify, cutover_commits, cutover_fails,
          a_command_afterwards, progress_of_cutover)
