#include "lib/redis/clients.h"
#include "lib/redis/probe.h"
#include "lib/redis/info.h"
#include "lib/redis/keyspace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/clock.h"

#define ROLE              "probe"
#define BULK_LEN_USUAL    (512 * MIB)
#define BUF_SIZE          (64 * KIB)
#define WHY_MAX           256
#define OWN_MAX           64 /* killed in one go; the next look sees the others */
#define LOOK_US           100000
#define LOADING_US        1000000
#define LOOKS_A_COMPLAINT 10
#define FOOTER_SIZE       10 /* of a DUMP payload: the version in two bytes, the checksum in eight */

struct prober {
    const struct endpoint *endpoint;
    bool kill_own;
    struct prober_events ev;
    void *arg;
    struct conn *conn;
    struct timer *timer;
    unsigned busy; /* frames of ours on the stack */
    bool freed;    /* to be released once they have returned */

    size_t step;
    uint64_t asked_us;
    struct probe probe;

    uint64_t own[OWN_MAX];
    size_t nown, kills_due;
    unsigned looks;
    char refusal[WHY_MAX]; /* of CLIENT KILL */
};

static void forget(struct prober *p)
{
    free(p->probe.dbs);
    p->probe = (struct probe){.proto_max_bulk_len = BULK_LEN_USUAL};
    p->step = p->nown = p->kills_due = p->looks = 0;
}

static void release(struct prober *p)
{
    forget(p);
    timer_free(p->timer);
    free(p);
}

static void enter(struct prober *p)
{
    p->busy++;
}

static void leave(struct prober *p)
{
    if (--p->busy == 0 && p->freed)
        release(p);
}

static void tell_waiting(struct prober *p, const char *why)
{
    if (p->ev.waiting)
        p->ev.waiting(p, why, p->arg);
}

static void run(struct prober *p);

/* Each step takes its answer, an error too, and says whether the next may follow. */

static bool take_persistence(struct prober *p, const struct reply *r)
{
    struct bytes text, value;
    if (reply_text(r, &text) && info_find(text, "loading", &value))
        p->probe.loading = bytes_is(value, "1");
    if (p->probe.loading)
        timer_set(p->timer, LOADING_US);
    return !p->probe.loading;
}

static bool take_memory(struct prober *p, const struct reply *r)
{
    struct bytes text, value;
    if (!reply_text(r, &text))
        return true;
    (void)info_find_u64(text, "maxmemory", &p->probe.maxmemory);
    if (info_find(text, "maxmemory_policy", &value))
        bytes_escape(value, p->probe.maxmemory_policy, sizeof(p->probe.maxmemory_policy));
    return true;
}

static bool take_keyspace(struct prober *p, const struct reply *r)
{
    struct bytes text;
    struct keyspace keys;
    if (!reply_text(r, &text) || keyspace_parse(text, &keys) < 0)
        return true;
    p->probe.has_keyspace = keys.told;
    p->probe.ndbs = keys.count;
    p->probe.dbs = keys.dbs;
    return true;
}

/* CONFIG GET gives name and value. */
static bool config_number(struct prober *p, const struct reply *r, int64_t *ret)
{
    if (r->type == REPLY_ARRAY)
        p->probe.config_allowed = true;
    return reply_integer(reply_at(r, 1), ret);
}

static bool take_databases(struct prober *p, const struct reply *r)
{
    int64_t n;
    if (config_number(p, r, &n) && n > 0 && n <= URL_DB_MAX)
        p->probe.databases = (unsigned)n;
    return true;
}

/* One, unless it tells of more (Valkey 9); `databases` is of a server that stands alone. */
static bool take_cluster_databases(struct prober *p, const struct reply *r)
{
    bool may_have_more = p->probe.id.kind == SERVER_VALKEY && p->probe.id.own >= 90000;
    int64_t n;

    if (config_number(p, r, &n) && n > 0 && n <= URL_DB_MAX)
        p->probe.databases = (unsigned)n;
    else
        p->probe.databases = may_have_more && r->type == REPLY_ERROR ? 0 : 1;
    return true;
}

static bool take_bulk_len(struct prober *p, const struct reply *r)
{
    int64_t n;
    if (config_number(p, r, &n) && n > 0)
        p->probe.proto_max_bulk_len = (uint64_t)n;
    return true;
}

static bool has_command(const struct prober *p, const struct reply *r, size_t i)
{
    const struct reply *entry = reply_at(r, i);
    return entry ? entry->type == REPLY_ARRAY : p->probe.id.redis >= 70000;
}

static bool take_commands(struct prober *p, const struct reply *r)
{
    p->probe.has_pexpiretime = has_command(p, r, 0);
    p->probe.has_functions = has_command(p, r, 1);
    return true;
}

static bool take_functions(struct prober *p, const struct reply *r)
{
    struct bytes dump;
    if (!reply_text(r, &dump) || dump.len < FOOTER_SIZE)
        return true;
    const unsigned char *footer = (const unsigned char *)dump.ptr + dump.len - FOOTER_SIZE;
    p->probe.dump_version = footer[0] | (unsigned)footer[1] << 8;
    return true;
}

static bool take_time(struct prober *p, const struct reply *r)
{
    uint64_t round_trip = clock_mono_us() - p->asked_us;
    int64_t server_us = reply_time_us(r);

    p->probe.round_trip_us = (unsigned)MIN(round_trip, (uint64_t)UINT32_MAX);
    if (!server_us)
        return true;
    int64_t then_ms = clock_wall_ms() - (int64_t)(round_trip / 2000);
    p->probe.clock_skew_ms = server_us / 1000 - then_ms;
    p->probe.has_clock = true;
    return true;
}

/* CLIENT LIST, and what of it is ours. */

/* Where CLIENT ID is refused, we are known by our name: an earlier probe, which writes nothing, is let be
 * then. */
static bool is_self(const struct prober *p, const struct client_line *line, struct bytes role)
{
    uint64_t id = conn_client_id(p->conn);
    return id ? id == line->id : bytes_is(role, ":" ROLE);
}

/* Who asks for the topology may be of this run, and writes nothing: it is let be. */
static void take_client(struct prober *p, const struct client_line *line)
{
    struct bytes role;

    if (client_is_of(line->name, p->endpoint->client, &role)) {
        if (!is_self(p, line, role) && !bytes_is(role, ":topology") && p->nown < OWN_MAX)
            p->own[p->nown++] = line->id;
    } else if (bytes_starts(line->name, "riotd:") && p->probe.nothers < PROBE_NAMES_MAX) {
        bytes_escape(line->name, p->probe.others[p->probe.nothers++], sizeof(p->probe.others[0]));
    }
}

static void look_again(struct prober *p)
{
    char why[WHY_MAX + 128];
    bool refused = p->refusal[0] != '\0';
    unsigned look = p->looks++;

    timer_set(p->timer, LOOK_US);
    if (look % LOOKS_A_COMPLAINT != (refused ? 0 : 1)) /* those killed just now may still be listed */
        return;
    snprintf(why, sizeof(why),
             "%zu connection(s) of an earlier run, such as id=%" PRIu64 ", are still there%s%s", p->nown,
             p->own[0], refused ? ", and cannot be killed: " : "", p->refusal);
    tell_waiting(p, why);
}

static void on_kill(struct conn *c, const struct reply *r, void *arg)
{
    struct prober *p = arg;
    (void)c;

    enter(p);
    if (r->type == REPLY_ERROR && !bytes_is(r->text, "ERR No such client"))
        bytes_escape(r->text, p->refusal, sizeof(p->refusal));
    if (--p->kills_due == 0)
        look_again(p);
    leave(p);
}

static void kill_own(struct prober *p)
{
    char words[64];

    p->refusal[0] = '\0';
    p->kills_due = p->nown;
    for (size_t i = 0; i < p->nown; i++) {
        snprintf(words, sizeof(words), "CLIENT KILL ID %" PRIu64, p->own[i]);
        if (conn_call_words(p->conn, on_kill, p, words) < 0) {
            conn_reset(p->conn, "CLIENT KILL could not be asked for: no memory");
            return;
        }
    }
}

static bool take_clients(struct prober *p, const struct reply *r)
{
    struct bytes list;
    struct client_line line;

    p->probe.nothers = p->nown = 0;
    p->probe.client_list_allowed = reply_text(r, &list);
    if (!p->probe.client_list_allowed)
        return true;
    while (client_next(&list, &line))
        take_client(p, &line);
    if (!p->kill_own || p->nown == 0)
        return true;
    kill_own(p);
    return false;
}

static const struct {
    const char *words;
    bool (*take)(struct prober *p, const struct reply *r);
} steps[] = {
    {"INFO persistence", take_persistence},
    {"CLIENT LIST", take_clients},
    {"INFO memory", take_memory},
    {"INFO keyspace", take_keyspace},
    {"CONFIG GET databases", take_databases},
    {"CONFIG GET cluster-databases", take_cluster_databases},
    {"CONFIG GET proto-max-bulk-len", take_bulk_len},
    {"COMMAND INFO pexpiretime function", take_commands},
    {"FUNCTION DUMP", take_functions},
    {"TIME", take_time},
};

static bool applies(const struct prober *p, size_t step)
{
    if (steps[step].take == take_functions)
        return p->probe.has_functions;
    return steps[step].take != take_cluster_databases || p->probe.id.cluster;
}

static void on_reply(struct conn *c, const struct reply *r, void *arg)
{
    struct prober *p = arg;
    (void)c;

    enter(p);
    if (reply_is_passing(r)) {
        p->probe.loading |= reply_is_error(r, "LOADING");
        char why[160];
        tell_waiting(p, bytes_escape(r->text, why, sizeof(why)));
        timer_set(p->timer, LOADING_US);
    } else if (steps[p->step].take(p, r)) {
        p->step++;
        run(p);
    }
    leave(p);
}

static void finish(struct prober *p)
{
    p->conn = conn_free(p->conn);
    if (p->probe.dump_version == 0)
        p->probe.dump_version = server_dump_version(&p->probe.id);
    if (p->ev.done)
        p->ev.done(p, &p->probe, p->arg);
}

static void run(struct prober *p)
{
    while (p->step < ARRAY_LEN(steps) && !applies(p, p->step))
        p->step++;
    if (p->step == ARRAY_LEN(steps)) {
        finish(p);
        return;
    }
    p->asked_us = clock_mono_us();
    if (conn_call_words(p->conn, on_reply, p, steps[p->step].words) < 0)
        conn_reset(p->conn, "a question could not be asked: no memory");
}

static void on_timer(void *arg)
{
    struct prober *p = arg;

    /* From the beginning: what a server says of itself may be another thing once its data is in. */
    if (p->probe.loading)
        conn_reset(p->conn, "the server is loading its data");
    else
        run(p);
}

static void on_up(struct conn *c, void *arg)
{
    struct prober *p = arg;

    enter(p);
    forget(p);
    p->probe.id = *conn_server(c);
    run(p);
    leave(p);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct prober *p = arg;
    (void)c, (void)was_up;

    enter(p);
    timer_clear(p->timer);
    tell_waiting(p, why);
    leave(p);
}

int prober_new(struct loop *l, const struct endpoint *e, bool kill_own_too, const struct prober_events *ev,
               void *arg, struct prober **ret)
{
    const struct conn_options opt = {
        .endpoint = e, .role = ROLE, .in_max = BUF_SIZE, .out_max = BUF_SIZE, .out_high = BUF_SIZE};
    const struct conn_events events = {.up = on_up, .down = on_down};
    struct prober *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->endpoint = e;
    p->kill_own = kill_own_too;
    p->ev = *ev;
    p->arg = arg;
    int err = timer_new(l, on_timer, p, &p->timer);
    if (err == 0)
        err = conn_new(l, &opt, &events, p, &p->conn);
    if (err < 0) {
        release(p);
        return err;
    }
    *ret = p;
    return 0;
}

struct prober *prober_free(struct prober *p)
{
    if (!p || p->freed)
        return NULL;
    p->freed = true;
    timer_clear(p->timer);
    p->conn = conn_free(p->conn);
    if (p->busy == 0)
        release(p);
    return NULL;
}
