/* What can be done here: asks, and changes nothing. A right to change something is asked for with a value
 * that no server takes, or for what is not there: the answer tells that the right was. */
#include "daemon/fence_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/redis/info.h"

#define REACH_US    5000000 /* for a server to answer */
#define NO_RULE     "+@riotd-none"
#define NO_USER     "riotd none"                         /* a name with a blank is nobody's */
#define KILL_NOBODY "CLIENT KILL ID 9223372036854775807" /* on 6.0, ID 0 kills everybody [T] */
#define USERS_MAX   2000 /* of one node, so that the state file can hold them */
#define USERS_LEN_MAX                                                                                        \
    2097152 /* of all lines of all nodes: the file has each before and after, within 8 MiB */

static void say_no(char why[FENCE_WHY_MAX], const char *format, ...) PRINTF_LIKE(2, 3);

/* The first reason stays. */
static void say_no(char why[FENCE_WHY_MAX], const char *format, ...)
{
    va_list args;
    if (why[0])
        return;
    va_start(args, format);
    vsnprintf(why, FENCE_WHY_MAX, format, args);
    va_end(args);
}

static bool says(const struct reply *r, const char *words)
{
    return r->type == REPLY_ERROR && memmem(r->text.ptr, r->text.len, words, strlen(words)) != NULL;
}

/* Of a command that was to fail with these words. */
static void expect(char why[FENCE_WHY_MAX], const char *command, const struct reply *r, const char *words)
{
    char text[FENCE_WHY_MAX];
    if (!says(r, words))
        say_no(why, "%s is not allowed: %s", command, fence_error(r, text));
}

static char *no_acl(struct fence_node *n)
{
    return n->why_not[FENCE_ACL];
}

static char *no_settings(struct fence_node *n)
{
    return n->why_not[FENCE_MIN_REPLICAS];
}

/* The second pipeline: rights. */

/* What a lost one has under way must be known to be dead before anything is put back (R2). */
static void judge_connections(struct fence_node *n)
{
    const char *why = "neither CLIENT LIST nor CLIENT KILL is allowed: a lost connection could not be shown "
                      "to be dead";
    if (n->client_list || n->client_kill)
        return;
    say_no(no_acl(n), "%s", why);
    say_no(no_settings(n), "%s", why);
    say_no(n->why_no_pause, "%s", why);
}

static void node_is_probed(struct fence_node *n)
{
    fence_node_done(n, 0, "%s", "");
}

static void on_config_set(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;

    expect(no_settings(n), "CONFIG SET min-replicas-to-write", r, "must be between");
    judge_connections(n);
    if (no_acl(n)[0])
        node_is_probed(n);
    else
        fence_acl_prepare(n, node_is_probed);
}

static void on_config_get(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX];
    (void)c;

    if (r->type == REPLY_ERROR || r->count < 4)
        say_no(no_settings(n), "CONFIG GET min-replicas-* is not allowed: %s", fence_error(r, why));
}

static void on_setuser(struct conn *c, const struct reply *r, void *arg)
{
    (void)c;
    expect(no_acl(arg), "ACL SETUSER", r, NO_RULE);
}

static void on_deluser(struct conn *c, const struct reply *r, void *arg)
{
    char why[FENCE_WHY_MAX];
    (void)c;
    if (r->type != REPLY_INTEGER)
        say_no(no_acl(arg), "ACL DELUSER is not allowed: %s", fence_error(r, why));
}

static void on_cat(struct conn *c, const struct reply *r, void *arg)
{
    char why[FENCE_WHY_MAX];
    (void)c;
    if (r->type != REPLY_ARRAY)
        say_no(no_acl(arg), "ACL CAT is not allowed: %s", fence_error(r, why));
}

static void count_users(struct fence_node *n, const struct reply *list)
{
    struct bytes line;

    n->users = list->count;
    n->users_len = 0;
    if (n->users > USERS_MAX)
        say_no(no_acl(n), "there are %zu users, more than the %u that are kept track of", n->users,
               USERS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        if (!reply_text(list->at[i], &line) || line.len >= STATE_SETTING_MAX / 2)
            say_no(no_acl(n), "the rules of a user are too long to be kept track of");
        else
            n->users_len += line.len;
    }
}

static void on_users(struct conn *c, const struct reply *r, void *arg)
{
    char why[FENCE_WHY_MAX];
    (void)c;
    if (r->type != REPLY_ARRAY)
        say_no(no_acl(arg), "ACL LIST is not allowed: %s", fence_error(r, why));
    else
        count_users(arg, r);
}

static void on_pause(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;
    expect(n->why_no_pause, "CLIENT PAUSE ... WRITE", r, "not an integer");
}

static void on_kill(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;
    n->client_kill = r->type == REPLY_INTEGER || says(r, "client-id");
    if (!n->client_kill)
        say_no(n->why_not[FENCE_HOLD], "CLIENT KILL is not allowed");
}

bool fence_is_shared(const struct fence_node *n, struct bytes list, char ret_addr[64])
{
    struct client_line line;
    struct bytes role;

    while (client_next(&list, &line)) {
        if (!bytes_is(line.user, n->user) || client_is_of(line.name, n->endpoint.client, &role))
            continue;
        bytes_escape(line.addr, ret_addr, 64);
        return true;
    }
    return false;
}

static void on_clients(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct client_line line;
    char why[FENCE_WHY_MAX], addr[64];
    struct bytes list;
    (void)c;

    if (!reply_text(r, &list)) {
        say_no(no_acl(n), "CLIENT LIST is not allowed, so it cannot be seen who else uses the user %s: %s",
               n->user, fence_error(r, why));
        say_no(n->why_not[FENCE_HOLD], "CLIENT LIST is not allowed: %s", fence_error(r, why));
        return;
    }
    n->client_list = true;
    if (fence_is_shared(n, list, addr))
        say_no(no_acl(n), "the client at %s uses the user %s too: give riotd a user of its own", addr,
               n->user);
    while (client_next(&list, &line))
        n->sentinels += client_is_sentinel(line.name);
}

/* A module's commands are in no category, unless it says so; Redis 8 has one in itself. They are denied by
 * name, where their names are told. */
struct modules {
    struct fence_node *node;
    conn_reply_fn *fn; /* NULL: they are not asked for */
    size_t count;
};

/* Valkey's scripts are a module of its own, without a command. */
static void take_module(struct bytes name, struct bytes value, void *arg)
{
    struct modules *m = arg;
    struct bytes module = bytes_cut(&value, ',');

    if (!bytes_is(name, "module") ||
        (bytes_is(module, "name=lua") && conn_server(m->node->conn)->kind == SERVER_VALKEY))
        return;
    m->count++;
    bytes_cut(&module, '=');
    const struct bytes argv[] = {BYTES("COMMAND"), BYTES("LIST"), BYTES("FILTERBY"), BYTES("MODULE"), module};
    if (m->fn)
        (void)fence_call_argv(m->node, m->fn, ARRAY_LEN(argv), argv); /* lost: so is what waits for it */
}

bool fence_is_module_info(const struct reply *r, struct bytes *ret)
{
    return reply_text(r, ret) && memmem(ret->ptr, ret->len, "# Modules", 9) != NULL;
}

size_t fence_ask_modules(struct fence_node *n, struct bytes info, conn_reply_fn *fn)
{
    struct modules m = {.node = n, .fn = fn};
    info_each(info, take_module, &m);
    return m.count;
}

static void on_listed(struct conn *c, const struct reply *r, void *arg)
{
    char why[FENCE_WHY_MAX];
    (void)c;
    if (r->type != REPLY_ARRAY)
        say_no(no_acl(arg), "a module is loaded, and COMMAND LIST, to know its commands, is not allowed: %s",
               fence_error(r, why));
}

static void on_modules(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX];
    struct bytes info;
    (void)c;

    if (!reply_text(r, &info))
        say_no(no_acl(n), "INFO modules cannot be read: %s", fence_error(r, why));
    else if (!fence_is_module_info(r, &info))
        say_no(no_acl(n),
               "INFO does not tell whether modules are loaded, whose commands would write through");
    else if (conn_server(n->conn)->redis >= SINCE_LISTS)
        fence_ask_modules(n, info, on_listed);
    else if (fence_ask_modules(n, info, NULL))
        say_no(no_acl(n), "a module is loaded: a user without @write may still write with its commands, "
                          "which are not told before 7.0");
}

static void on_view(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;
    fence_view_read(r, &n->view);
}

static void ask_rights(struct fence_node *n)
{
    const struct bytes set[] = {BYTES("ACL"), BYTES("SETUSER"), bytes_str(n->user), BYTES(NO_RULE)};
    const struct bytes del[] = {BYTES("ACL"), BYTES("DELUSER"), BYTES(NO_USER)};

    if (fence_call(n, on_clients, "CLIENT LIST") && fence_call(n, on_kill, KILL_NOBODY) &&
        (!n->primary || fence_call(n, on_pause, "CLIENT PAUSE x WRITE")) &&
        (!n->primary || !n->fence->opt.shard || fence_call(n, on_view, "CLUSTER NODES")) &&
        (!n->user[0] || (fence_call(n, on_users, "ACL LIST") && fence_call(n, on_cat, "ACL CAT write") &&
                         fence_call_argv(n, on_setuser, ARRAY_LEN(set), set) &&
                         fence_call_argv(n, on_deluser, ARRAY_LEN(del), del))) &&
        fence_call(n, on_config_get, "CONFIG GET min-replicas-*"))
        fence_call(n, on_config_set, "CONFIG SET min-replicas-to-write -1");
}

/* The first: who it is, and who we are there. */

static void on_whoami(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX];
    struct bytes user;
    (void)c;

    n->user[0] = '\0';
    if (!reply_text(r, &user) || user.len >= sizeof(n->user) || user.len == 0)
        say_no(no_acl(n), "ACL WHOAMI is not allowed: %s", fence_error(r, why));
    else
        snprintf(n->user, sizeof(n->user), "%.*s", (int)user.len, user.ptr);
    if (strcmp(n->user, "default") == 0)
        say_no(no_acl(n), "riotd logs in as the user default, as others do: give it a user of its own");
    ask_rights(n);
}

static void on_time(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    int64_t server_ms = reply_time_us(r) / 1000, now = clock_wall_ms();
    (void)c;

    if (server_ms > 0)
        n->clock_skew_ms = server_ms - (n->asked_wall_ms + (now - n->asked_wall_ms) / 2);
}

static void judge_version(struct fence_node *n)
{
    const struct server_id *id = &n->id;

    if (id->redis >= SINCE_PAUSE_WRITE)
        return;
    say_no(no_acl(n), "%s is older than 6.2: no fence is sound there", id->version);
    say_no(no_settings(n), "%s is older than 6.2: scripts would write through it", id->version);
    say_no(n->why_no_pause, "%s is older than 6.2, which brought CLIENT PAUSE ... WRITE", id->version);
}

static void judge_role(struct fence_node *n)
{
    const struct fence_node *primary = fence_primary(n->fence);
    const char *why = "it is no replica of the source, or is not in step with it yet";
    const char *others = "it has replicas of its own, which would not be fenced";

    if (!n->primary && n->connected > 0) {
        say_no(no_acl(n), "%s", others);
        say_no(no_settings(n), "%s", others);
    }
    if (n->primary) {
        if (n->id.role != ROLE_PRIMARY)
            say_no(n->why_no_pause, "the source is a %s: a pause there proves nothing",
                   server_role_name(n->id.role));
        return;
    }
    if (n->id.role == ROLE_REPLICA && (!primary->id.replid[0] || !strcmp(n->id.replid, primary->id.replid)))
        return;
    say_no(no_acl(n), "%s", why);
    say_no(no_settings(n), "%s", why);
}

static void who_is_known(struct fence_node *n)
{
    n->reached = true;
    n->id = n->seen;
    judge_version(n);
    judge_role(n);
    n->asked_wall_ms = clock_wall_ms();
    if (fence_call(n, on_time, "TIME") && fence_call(n, on_modules, "INFO modules"))
        fence_call(n, on_whoami, "ACL WHOAMI");
}

static void probe_node(struct fence_node *n)
{
    for (size_t i = 0; i < FENCE_KINDS; i++)
        n->why_not[i][0] = '\0';
    n->why_no_pause[0] = '\0';
    n->reached = n->client_list = n->client_kill = false;
    n->sentinels = 0;
    n->users = n->users_len = 0;
    n->view = (struct fence_view){.known = false};
    fence_ask_who(n, who_is_known);
}

/* All together. */

static void judge_kind(struct fence *f, enum fence_kind k)
{
    struct fence_kind_report *kind = &f->report.kinds[k];

    for (size_t i = 0; i < f->nnodes && kind->allowed; i++) {
        const struct fence_node *n = f->nodes[i];
        const char *why = n->reached && n->err == 0 ? n->why_not[k] : n->why;
        if (!why[0])
            continue;
        kind->allowed = false;
        snprintf(kind->why_not, sizeof(kind->why_not), "%.60s: %.130s", n->address, why);
    }
    const struct fence_node *primary = fence_primary(f);
    if (!kind->allowed || primary->connected == f->nnodes - 1)
        return;
    kind->allowed = false;
    snprintf(kind->why_not, sizeof(kind->why_not),
             "the source has %" PRIu64 " replicas, of which only %zu can be reached by an address",
             primary->connected, f->nnodes - 1);
}

/* What is found only while writes wait would fail each time. */
static void judge_users(struct fence_report *r)
{
    struct fence_kind_report *kind = &r->kinds[FENCE_ACL];

    if (!kind->allowed || (r->users <= STATE_SETTINGS_MAX && r->users_len <= USERS_LEN_MAX))
        return;
    kind->allowed = false;
    snprintf(
        kind->why_not, sizeof(kind->why_not),
        "there are %zu users on all servers, with rules of %zu bytes: more than the %u, or %u bytes, that "
        "are kept track of",
        r->users, r->users_len, STATE_SETTINGS_MAX, USERS_LEN_MAX);
}

static void judge_hold(struct fence *f)
{
    struct fence_report *r = &f->report;
    struct fence_kind_report *hold = &r->kinds[FENCE_HOLD];
    const char *why = fence_primary(f)->why_not[FENCE_HOLD];

    if (!r->can_pause)
        snprintf(hold->why_not, sizeof(hold->why_not), "%s", r->why_no_pause);
    else if (r->sentinels)
        snprintf(hold->why_not, sizeof(hold->why_not),
                 "Sentinel watches the source, and would fail over while writes wait");
    else
        snprintf(hold->why_not, sizeof(hold->why_not), "%s", why);
    hold->allowed = !hold->why_not[0];
}

void fence_choose(struct fence_report *r)
{
    static const enum fence_kind in_order[] = {FENCE_ACL, FENCE_MIN_REPLICAS, FENCE_HOLD};

    judge_users(r);
    r->kinds[FENCE_NONE].allowed = true;
    r->chosen = FENCE_AUTO;
    for (size_t i = 0; i < ARRAY_LEN(in_order) && r->chosen == FENCE_AUTO; i++) {
        if (r->kinds[in_order[i]].allowed)
            r->chosen = in_order[i];
    }
    r->kinds[FENCE_AUTO].allowed = r->chosen != FENCE_AUTO;
    if (r->chosen == FENCE_AUTO)
        snprintf(r->kinds[FENCE_AUTO].why_not, sizeof(r->kinds[0].why_not),
                 "no fence can be had here but none, for which writers are stopped by hand");
}

/* A hard fence is put in place while writes wait. */
static void judge_kinds(struct fence *f)
{
    static const enum fence_kind hard[] = {FENCE_ACL, FENCE_MIN_REPLICAS};
    struct fence_report *r = &f->report;

    for (size_t i = 0; i < ARRAY_LEN(hard); i++) {
        r->kinds[hard[i]].allowed = r->can_pause;
        if (!r->can_pause)
            snprintf(r->kinds[hard[i]].why_not, sizeof(r->kinds[0].why_not), "%s", r->why_no_pause);
        judge_kind(f, hard[i]);
    }
    judge_hold(f);
    fence_choose(r);
}

static void report_node(struct fence *f, size_t i)
{
    const struct fence_node *n = f->nodes[i];
    struct fence_node_report *r = &f->node_reports[i];

    snprintf(r->address, sizeof(r->address), "%s", n->address);
    snprintf(r->why, sizeof(r->why), "%s", n->why);
    r->primary = n->primary;
    r->reached = n->reached && n->err == 0;
    f->report.users += n->users;
    f->report.users_len += n->users_len;
}

static void probed(struct fence *f)
{
    const struct fence_node *primary = fence_primary(f);
    const struct watch_sample *s = fence_sample(f);

    if (primary->err < 0) {
        fence_answer(f, primary->err, "%s", primary->why);
        return;
    }
    f->report = (struct fence_report){.id = primary->id,
                                      .can_pause = !primary->why_no_pause[0],
                                      .sentinels = primary->sentinels,
                                      .clock_skew_ms = primary->clock_skew_ms,
                                      .view = primary->view,
                                      .nnodes = f->nnodes,
                                      .nodes = f->node_reports};
    snprintf(f->report.why_no_pause, sizeof(f->report.why_no_pause), "%s", primary->why_no_pause);
    if (s)
        f->report.sample = *s;
    f->report.sample.ndbs = f->report.sample.nreplicas = 0;
    f->report.sample.dbs = NULL;
    f->report.sample.replicas = NULL;
    for (size_t i = 0; i < f->nnodes; i++)
        report_node(f, i);
    judge_kinds(f);
    fence_answer(f, 0, "%s", "");
}

/* The replicas are judged by the primary's replication id: it is asked first. */
static void primary_is_known(struct fence *f, const char *unreadable)
{
    const struct watch_sample *s = fence_sample(f);

    if (unreadable || !s) {
        fence_answer(f, -EACCES, "%s", unreadable ? unreadable : "INFO cannot be read");
        return;
    }
    const struct watch_replica *replicas;
    size_t n = fence_replicas(f, s, &replicas);
    int err = fence_nodes_follow(f, n, replicas, true);
    if (err < 0) {
        fence_answer(f, err, "the source has more replicas than the %d that are kept track of",
                     FENCE_NODES_MAX - 1);
        return;
    }
    fence_primary(f)->id = s->id;
    fence_round_begin(f, probe_node, NULL, probed, REACH_US);
}

static void unreachable(struct fence *f)
{
    const char *why = conn_why(fence_primary(f)->conn);

    f->sampled = NULL;
    fence_answer(f, -EHOSTUNREACH, "%s", why[0] ? why : "no answer");
}

void fence_probe_begin(struct fence *f)
{
    fence_wait(f, REACH_US, unreachable);
    fence_want_sample(f, primary_is_known);
}
