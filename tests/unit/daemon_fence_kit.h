/* daemon_fence_kit.h - for the tests of daemon/fence: real servers on TCP, a state file in a folder of its
 * own, and a fence whose answers and events are kept. Static functions, since each test program is one file.
 */
#ifndef RIOT_FENCE_KIT_H
#define RIOT_FENCE_KIT_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>

#include "daemon/fence.h"
#include "lib/core/clock.h"
#include "lib/core/loop.h"
#include "tests/unit/copy_server.h"

#define KIT_UNUSED __attribute__((unused))
#define NEVER      1 /* an err that is none */

static struct {
    char folder[64];
    struct state_file *state;
    struct log *log;
    struct loop *loop;
    struct endpoint source;
    struct fence *fence;
    int err;
    char why[1200];
    unsigned lapsed, lost, again, unwatched, watched, lifted;
    char lapsed_why[256], lost_what[1200];
    uint64_t lost_writes;
    int lifted_err;
    bool dies;        /* the fence is freed in the next answer */
    char told[16384]; /* the log */
} kit;

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);

    do { /* the bus of a cluster's node is 10000 above */
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        a.sin_port = 0;
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        getsockname(fd, (struct sockaddr *)&a, &len);
        close(fd);
    } while (ntohs(a.sin_port) > UINT16_MAX - 10000);
    return ntohs(a.sin_port);
}

/* With a user for riotd. */
static void serve(struct real *r, const char *const *more)
{
    *r = (struct real){.dir = "/tmp/riot-fence-XXXXXX", .port = free_port()};
    ck_assert_ptr_nonnull(mkdtemp(r->dir));
    snprintf(r->socket, sizeof(r->socket), "%.60s/s", r->dir);
    static const char *const common[] = {
        "--user", "riotd", "on", ">secret", "~*", "&*", "+@all", "--repl-diskless-sync-delay", "0"};
    memcpy(r->more, common, sizeof(common));
    for (size_t i = 0; more && more[i]; i++)
        r->more[ARRAY_LEN(common) + i] = more[i];
    real_start(r);
}

/* A server that replicates from another, in step with it. */
KIT_UNUSED static void serve_replica(struct real *r, const struct real *of)
{
    char port[8];
    unsigned tries = 0;
    snprintf(port, sizeof(port), "%u", of->port);
    serve(r, (const char *const[]){"--replicaof", "127.0.0.1", port, NULL});
    struct real p = *of;
    ck_assert(real_connect(&p));
    snprintf(port, sizeof(port), "%u", r->port);
    for (;;) {
        const char *info = real_ask(&p, "INFO replication");
        const char *line = strstr(info, port);
        if (line && !strncmp(line + strlen(port), ",state=online", 13) &&
            strstr(real_ask(r, "INFO replication"), "master_link_status:up"))
            break;
        ck_assert_msg(tries++ < 2000, "the replica does not come up");
        usleep(10000);
    }
    r->more[9] = NULL; /* the port does not outlive this call */
    close(p.fd);
}

static void kit_lapsed(const char *why, void *arg)
{
    (void)arg;
    kit.lapsed++;
    snprintf(kit.lapsed_why, sizeof(kit.lapsed_why), "%s", why);
}

static void kit_lost(const char *what, uint64_t writes, void *arg)
{
    (void)arg;
    kit.lost++;
    kit.lost_writes = writes;
    snprintf(kit.lost_what, sizeof(kit.lost_what), "%s", what);
}

static void kit_again(void *arg)
{
    (void)arg;
    kit.again++;
}

static void kit_unwatched(const char *why, void *arg)
{
    (void)arg;
    kit.unwatched += why != NULL;
    kit.watched += why == NULL;
}

static void kit_lifted(int err, const char *why, void *arg)
{
    (void)arg, (void)why;
    kit.lifted++;
    kit.lifted_err = err;
}

static void kit_entry(const struct log_entry *e, void *arg)
{
    size_t len = strlen(kit.told);
    (void)arg;
    snprintf(kit.told + len, sizeof(kit.told) - len, "%s: %s\n", e->event, e->text);
}

static void fence_open(void)
{
    static const struct fence_events events = {.lapsed = kit_lapsed,
                                               .lost = kit_lost,
                                               .again = kit_again,
                                               .unwatched = kit_unwatched,
                                               .lifted = kit_lifted};
    const struct fence_options opt = {.source = &kit.source, .state = kit.state, .log = kit.log};
    ck_assert_int_eq(fence_new(kit.loop, &opt, &events, NULL, &kit.fence), 0);
}

static void state_open(void)
{
    char why[STATE_WHY_MAX];
    ck_assert_msg(state_file_open(kit.folder, "x", why, &kit.state) == 0, "%s", why);
}

static void kit_begin(struct real *source)
{
    const struct log_options log = {.link = "x", .level = SINK_DEBUG, .fd = open("/dev/null", O_WRONLY)};

    memset(&kit, 0, sizeof(kit));
    strcpy(kit.folder, "/tmp/riot-fence-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(kit.folder));
    state_open();
    ck_assert_int_eq(log_new(&log, &kit.log), 0);
    log_tap(kit.log, kit_entry, NULL);
    ck_assert_int_eq(loop_new(&kit.loop), 0);
    kit.source = (struct endpoint){.side = "source",
                                   .url = {.host = (char *)(uintptr_t)"127.0.0.1",
                                           .port = source->port,
                                           .user = (char *)(uintptr_t)"riotd",
                                           .text = (char *)(uintptr_t)"redis://127.0.0.1",
                                           .db = URL_DB_NONE},
                                   .password = (char *)(uintptr_t)"secret",
                                   .timeout_ms = 5000,
                                   .client = "riotd:x:0123abcd"};
    fence_open();
}

/* As kill -9 and a new start: what is known is what the state file has. */
KIT_UNUSED static void kit_restart(void)
{
    kit.fence = fence_free(kit.fence);
    kit.state = state_file_free(kit.state);
    state_open();
    fence_open();
}

static void kit_end(void)
{
    char command[128];
    fence_free(kit.fence);
    loop_free(kit.loop);
    log_free(kit.log);
    state_file_free(kit.state);
    snprintf(command, sizeof(command), "rm -rf %s", kit.folder);
    ck_assert_int_eq(system(command), 0);
}

static void stop_serving(struct real *r)
{
    char command[128];
    real_kill(r);
    snprintf(command, sizeof(command), "rm -rf %s", r->dir);
    ck_assert_int_eq(system(command), 0);
}

static void on_late(void *arg)
{
    *(bool *)arg = true;
    loop_stop(kit.loop);
}

struct looking {
    bool (*fn)(void *arg);
    void *arg;
    struct timer *timer;
    bool found;
};

static void on_look(void *arg)
{
    struct looking *l = arg;
    l->found = l->fn(l->arg);
    if (l->found)
        loop_stop(kit.loop);
    else
        timer_set(l->timer, 1000);
}

/* Runs the loop until fn says so, for at most so long. */
static bool until(bool (*fn)(void *arg), void *arg, unsigned ms)
{
    struct looking l = {.fn = fn, .arg = arg};
    struct timer *late;
    bool is_late = false;

    ck_assert_int_eq(timer_new(kit.loop, on_look, &l, &l.timer), 0);
    ck_assert_int_eq(timer_new(kit.loop, on_late, &is_late, &late), 0);
    timer_set(l.timer, 0);
    timer_set(late, (uint64_t)ms * 1000);
    ck_assert_int_eq(loop_run(kit.loop), 0);
    timer_free(l.timer);
    timer_free(late);
    return l.found;
}

static bool is_never(void *arg)
{
    (void)arg;
    return false;
}

KIT_UNUSED static void pass(unsigned ms)
{
    until(is_never, NULL, ms);
}

static void kit_answer(int err, const char *why, void *arg)
{
    (void)arg;
    ck_assert_int_eq(kit.err, NEVER); /* once */
    kit.err = err;
    snprintf(kit.why, sizeof(kit.why), "%s", why);
    if (kit.dies)
        kit.fence = fence_free(kit.fence);
}

static bool is_answered(void *arg)
{
    (void)arg;
    return kit.err != NEVER;
}

KIT_UNUSED static bool is_counted(void *arg)
{
    return *(unsigned *)arg > 0;
}

/* Waits for the answer of the step just asked for. */
static int answer(void)
{
    ck_assert_msg(until(is_answered, NULL, 20000), "no answer; the log: %s", kit.told);
    return kit.err;
}

/* STEP(fence_set, FENCE_ACL): its err. */
#define STEP(step, ...) (kit.err = NEVER, step(kit.fence, ##__VA_ARGS__, kit_answer, NULL), answer())
#define FINE(step, ...) ck_assert_msg(STEP(step, ##__VA_ARGS__) == 0, #step ": %s", kit.why)

KIT_UNUSED static struct state_cutover *record(void)
{
    return &state_of(kit.state)->cutover;
}

/* As the cutover does, before each act. */
KIT_UNUSED static void stage(enum cutover_stage s)
{
    record()->stage = s;
    ck_assert_int_eq(state_save(kit.state), 0);
}

KIT_UNUSED static const struct fence_report *probe(void)
{
    static struct fence_report r;
    FINE(fence_probe);
    fence_report(kit.fence, &r);
    return &r;
}

/* A second client, blocking; its requests can be sent without waiting for the answer. */
KIT_UNUSED static struct real another(const struct real *r)
{
    struct real c = *r;
    ck_assert(real_connect(&c));
    return c;
}

KIT_UNUSED static void send_only(struct real *r, const char *line)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "%s\r\n", line);
    ck_assert_int_eq(write(r->fd, text, (size_t)n), n);
}

/* Has it been answered? Waits for as long. */
KIT_UNUSED static bool hears(struct real *r, unsigned ms, char *out, size_t cap)
{
    const struct timeval t = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    ssize_t n = read(r->fd, out, cap - 1);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

#endif
