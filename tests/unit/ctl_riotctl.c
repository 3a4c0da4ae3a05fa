/* riotctl as a whole, against a daemon of the test's own: what it prints, how it exits, what Ctrl-C leaves
 * behind. */
#include "tests/unit/ctl_kit.h"

static const char status_running[] =
    "{\"schema\":1,\"name\":\"orders\",\"state\":\"live\",\"lag\":{\"keys\":12,\"ms\":35},"
    "\"source\":{\"address\":\"10.0.0.5:6379\"},\"target\":{\"address\":\"evil\\u001b[2Jname\"},"
    "\"lanes\":[{\"name\":\"redis://s:1\",\"phase\":\"live\",\"snapshot\":{\"percent\":100},"
    "\"lag\":{\"keys\":0,\"ms\":0},\"rate\":{\"copied_keys_per_s\":1234.5},\"feed\":{\"kind\":\"notify\","
    "\"state\":\"ready\"},\"queue\":{\"dirty_keys\":0},\"conditions\":[]},"
    "{\"name\":\"redis://s:2\",\"phase\":\"gap\",\"lag\":{\"keys\":1000,\"ms\":1500},"
    "\"feed\":{\"kind\":\"notify\",\"state\":\"gap\"},\"queue\":{\"dirty_keys\":7},"
    "\"conditions\":[{\"code\":\"source_down\"}]}],"
    "\"operations\":[{\"id\":7,\"verb\":\"wait\",\"state\":\"running\"}]}";
static const char status_ended[] =
    "{\"schema\":1,\"name\":\"orders\",\"state\":\"live\",\"operations\":[{\"id\":7,\"verb\":\"wait\","
    "\"state\":\"ended\",\"result\":\"ok\",\"exit_code\":0,\"text\":\"idle at last\"}]}";

static void on_later(void *arg)
{
    struct daemon *d = arg;

    d->ended = true;
    server_publish(d->server, 1,
                   BYTES("{\"seq\":1,\"event\":\"operation_ended\",\"operation\":6,\"exit_code\":9}"));
    server_publish(d->server, 1,
                   BYTES("{\"seq\":2,\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"operation_ended\","
                         "\"operation\":7,\"result\":\"failed\",\"exit_code\":13,\"text\":\"no longer\"}"));
}

/* idle: its end is known from the status alone, after a gap. live: ends well. drained: fails after 100 ms, or
 * the daemon goes away. */
static void on_wait(struct daemon *d, struct client *c, const struct request *r)
{
    server_reply_json(c, BYTES("{\"operation\": 7}"));
    switch (r->values[ARG_FOR].number) {
    case WAIT_FOR_IDLE:
        d->ended = true;
        server_publish(d->server, 1, BYTES("{\"event\":\"gap\",\"missed\":3}"));
        break;
    case WAIT_FOR_LIVE:
        server_publish(
            d->server, 1,
            BYTES("{\"event\":\"operation_ended\",\"operation\":7,\"result\":\"ok\",\"exit_code\":0,"
                  "\"text\":\"is live\"}"));
        break;
    default:
        if (!r->values[ARG_TIMEOUT].given)
            timer_set(d->later, 100000);
        else if (r->values[ARG_TIMEOUT].number == 1)
            loop_stop(d->loop);
    }
}

static void on_verb(struct client *c, const struct request *r, void *arg)
{
    struct daemon *d = arg;

    switch (r->verb->id) {
    case VERB_STATUS:
        server_reply_json(c, bytes_str(d->ended ? status_ended : status_running));
        break;
    case VERB_WAIT:
        on_wait(d, c, r);
        break;
    case VERB_RESUME:
        server_reply_error(c, CODE_NOTFOUND, "no blocker '%.*s'", (int)r->values[ARG_ACCEPT].text.len,
                           r->values[ARG_ACCEPT].text.ptr);
        break;
    case VERB_STOP:
        server_reply_error(c, CODE_STATE, "bad \x1b[31m state");
        break;
    case VERB_LIMIT:
        server_reply_json(c, BYTES("{\"memory\":67108864,\"keys_per_s\":0,\"bytes_per_s\":1048576}"));
        break;
    case VERB_CONFIG:
        server_reply_json(
            c, BYTES("{\"options\":[{\"name\":\"source.url\",\"value\":\"redis://x\",\"origin\":\"file\"},"
                     "{\"name\":\"autostart\",\"value\":true,\"origin\":\"default\"}]}"));
        break;
    case VERB_PAUSE:
        server_publish(d->server, 1,
                       BYTES("{\"seq\":9,\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"state\","
                             "\"priority\":\"notice\",\"text\":\"now\\n paused\"}"));
        server_reply_ok(c);
        break;
    default:
        server_reply_ok(c);
    }
}

START_TEST(answers)
{
    start();
    run("status", 0);
    printed("link      orders  live\n");
    printed("evil\\x1b[2Jname");
    run("status --json", 0);
    ck_assert_int_eq(strncmp(text, status_running, strlen(status_running)), 0);
    run("-n orders pause", 0);
    ck_assert_str_eq(text, "OK\n");
    run("pause --json", 0);
    ck_assert_str_eq(text, "{\"ok\":true}\n");
    run("limit", 0);
    ck_assert_str_eq(text, "memory       64MiB\nkeys_per_s   0\nbytes_per_s  1MiB\n");
    run("config", 0);
    ck_assert_str_eq(
        text, "OPTION      VALUE      ORIGIN\nsource.url  redis://x  file\nautostart   yes        default\n");
    run("version", 0);
    ck_assert_str_eq(text, "riotctl " RIOT_VERSION "\nriotd " RIOT_VERSION "\n");
    run("help wait", 0);
    printed("Usage: riotctl [OPTIONS] wait --for COND");
    run("help nothing", 2);
    printed("riotctl: USAGE: there is no verb 'nothing'; 'riotctl help' lists them\n");
    stop();
}
END_TEST

START_TEST(lanes)
{
    start();
    run("status --lanes", 0);
    ck_assert_str_eq(
        text, "LANE         PHASE  PERCENT  LAG              KEYS/S  FEED          DIRTY  PROBLEM\n"
              "redis://s:1  live   100.0    0                1,234   notify ready  0\n"
              "redis://s:2  gap             1,000 keys 1.5s          notify gap    7      source_down\n");
    run("wait --for idle", 0);
    run("status --lanes", 0);
    ck_assert_str_eq(text, "There are no lanes: the link is live.\n");
    stop();
}
END_TEST

START_TEST(errors)
{
    start();
    run("resume --accept x", 2);
    ck_assert_str_eq(text, "riotctl: NOTFOUND: no blocker 'x'\n");
    run("stop", 6);
    ck_assert_str_eq(text, "riotctl: STATE: bad  [31m state\n");
    run("--color=always stop", 6);
    printed("riotctl: \033[1;31mSTATE\033[0m: ");
    run("-n other status", 3);
    printed("riotctl: DOWN: no riotd answers at ");
    printed("riotd-other/riotd.sock (there is no such socket); start it with 'systemctl start riotd@other'");
    run("-s /nowhere/at/all status", 3);
    printed("/nowhere/at/all");
    run("-s /etc/passwd status", 3);
    ck_assert_int_eq(setenv("RIOT_SOCKET", "/nowhere/else", 1), 0);
    run("status", 3);
    printed("/nowhere/else");
    run("-n orders status", 0);
    unsetenv("RIOT_SOCKET");
    kill(child, SIGSTOP);
    kill(child, SIGCONT);
    stop();
    run("status", 3);
    printed("riotctl: DOWN: ");
}
END_TEST

START_TEST(operations)
{
    start();
    run("wait --for live", 0);
    ck_assert_str_eq(text, "is live\n");
    run("wait --for live --json", 0);
    ck_assert_str_eq(text, "{\"event\":\"operation_ended\",\"operation\":7,\"result\":\"ok\",\"exit_code\":0,"
                           "\"text\":\"is live\"}\n");
    run("wait --for drained --no-wait --timeout 1h", 0);
    ck_assert_str_eq(text, "7\n");
    run("wait --for drained --no-wait --timeout 1h --json", 0);
    ck_assert_str_eq(text, "{\"operation\": 7}\n");
    run("wait --for drained", 13);
    ck_assert_str_eq(text, "riotctl: FAILED: no longer\n");
    run("wait --for idle", 0);
    ck_assert_str_eq(text, "idle at last\n");
    run("wait --for drained --timeout 1ms", 3);
    printed("went away");
    wait_daemon();
}
END_TEST

START_TEST(interrupted)
{
    int fd;

    start();
    pid_t pid = spawn("wait --for drained --timeout 1h", &fd);
    text[0] = '\0';
    usleep(300000);
    kill(pid, SIGINT);
    collect(fd, NULL);
    close(fd);
    ck_assert_int_eq(end_of(pid), 130);
    ck_assert_str_eq(
        text, "riotctl: INTERRUPTED: operation 7 (wait) goes on in riotd; 'riotctl status' shows it\n");
    stop();
}
END_TEST

START_TEST(events)
{
    int fd, json;

    start();
    pid_t pid = spawn("events", &fd), other = spawn("events --json", &json);
    usleep(300000);
    run("pause", 0);
    text[0] = '\0';
    collect(fd, "\n");
    ck_assert_str_eq(text, "2026-01-02T03:04:05.678Z  state: now\\n paused\n");
    text[0] = '\0';
    collect(json, "\n");
    ck_assert_int_eq(strncmp(text, "{\"seq\":9,", 9), 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(end_of(pid), 130);
    close(fd);
    text[0] = '\0';
    stop();
    collect(json, NULL);
    printed("riotctl: GONE: ");
    ck_assert_int_eq(end_of(other), 3);
    close(json);
}
END_TEST

START_TEST(lists)
{
    char other[128], command[256];

    start();
    run("list", 0);
    ck_assert_str_eq(text, "LINK    STATE  LAG            SOURCE         TARGET\n"
                           "orders  live   12 keys, 35ms  10.0.0.5:6379  evil\\x1b[2Jname\n");
    /* A second one, by a second name for the same socket; and one that was left over. */
    snprintf(other, sizeof(other), "%s/riotd-second", base);
    ck_assert_int_eq(mkdir(other, 0755), 0);
    snprintf(command, sizeof(command), "ln %s %s/riotd.sock", path, other);
    ck_assert_int_eq(system(command), 0);
    run("status", 2);
    ck_assert_str_eq(text,
                     "riotctl: USAGE: several links run here: orders, second; say which with -n NAME\n");
    run("-n second status", 0);
    snprintf(command, sizeof(command), "-s %s list", path);
    run(command, 0);
    ck_assert_ptr_null(strchr(text, '?'));
    run("-s /nowhere list", 0);
    printed("?       not running");
    run("list --json", 0);
    printed("{\"links\":[{\"name\":\"orders\",\"socket\":\"");
    printed("\"reachable\":true,\"status\":{\"schema\":1");
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    run("list", 0);
    printed("orders  not running");
    run("list --json", 0);
    printed("\"reachable\":false,\"error\":\"no riotd answers at");
    snprintf(command, sizeof(command), "rm -rf %s", base);
    ck_assert_int_eq(system(command), 0);
    run("list", 0);
    ck_assert_str_eq(text, "no riotd has its socket in $XDG_RUNTIME_DIR/riotd-NAME or /run/riotd-NAME\n");
}
END_TEST

START_TEST(watch_in_a_pipe)
{
    int fd;

    start();
    pid_t pid = spawn("status --watch", &fd);
    text[0] = '\0';
    collect(fd, "\n");
    printed("Z live, lag 12 keys 35ms\n");
    collect(fd, "ms\n2");
    kill(pid, SIGTERM);
    ck_assert_int_eq(end_of(pid), 130);
    close(fd);
    pid = spawn("status --watch --json", &fd);
    text[0] = '\0';
    collect(fd, "}\n{");
    stop();
    collect(fd, NULL);
    printed("riotctl: GONE: ");
    ck_assert_int_eq(end_of(pid), 3);
    close(fd);
}
END_TEST

START_TEST(watch_on_a_terminal)
{
    int fd;

    start();
    pid_t pid = spawn_on_terminal("status --watch", &fd);
    text[0] = '\0';
    collect(fd, "\033[32mlive\033[0m");
    ck_assert_int_eq(strncmp(text, "\033[?1049h\033[?25l", 14), 0);
    ck_assert_int_eq(write(fd, "\003", 1), 1); /* Ctrl-C */
    collect(fd, NULL);
    ck_assert_str_eq(text + strlen(text) - 14, "\033[?25h\033[?1049l");
    ck_assert_int_eq(end_of(pid), 130);
    close(fd);

    pid = spawn_on_terminal("wait --for drained --timeout 1h", &fd);
    text[0] = '\0';
    collect(fd, "wait: \033[32mlive\033[0m, lag 12 keys 35ms");
    ck_assert_int_eq(write(fd, "\003", 1), 1);
    collect(fd, NULL);
    printed("\r\033[Kriotctl: \033[1;31mINTERRUPTED\033[0m: operation 7");
    ck_assert_int_eq(end_of(pid), 130);
    close(fd);

    /* The terminal is as it was before the error is told. */
    pid = spawn_on_terminal("status --watch", &fd);
    text[0] = '\0';
    collect(fd, "live");
    stop();
    collect(fd, NULL);
    printed("\033[?1049lriotctl: \033[1;31mGONE\033[0m: ");
    ck_assert_int_eq(end_of(pid), 3);
    close(fd);
}
END_TEST

UNIT_MAIN("ctl/riotctl", lanes, answers, errors, operations, interrupted, events, lists, watch_in_a_pipe,
          watch_on_a_terminal)
