#include "lib/redis/watch.h"
#include "lib/redis/info.h"
#include "lib/redis/keyspace.h"
#include "lib/redis/watch_commands.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_US 1000000
#define TEXT_SIZE (4 * MIB) /* of all sections; some hundred commands make 30 KiB */
#define WHY_MAX   256
#define BUF_SIZE  (64 * KIB)
#define OUT_MAX   (40 * MIB) /* its owner may send FUNCTION RESTORE */

/* One call for each, since servers before 7.0 take only one section a call. */
static const char *const sections[] = {
    "INFO server", "INFO replication",  "INFO persistence", "INFO stats",
    "INFO memory", "INFO commandstats", "INFO keyspace",
};

struct watch {
    struct loop *loop;
    struct watch_events ev;
    void *arg;
    struct conn *conn;
    struct timer *timer;
    unsigned busy; /* frames of ours on the stack */
    bool freed;    /* to be released once they have returned */

    uint64_t seq;
    size_t due; /* answers of the reading in flight */
    bool again; /* one more was asked for meanwhile */
    uint64_t begun_us;
    unsigned round_trip_us;
    struct buf text;
    char why[WHY_MAX];

    bool has_last;
    struct watch_sample last;
};

static void sample_free(struct watch_sample *s)
{
    free(s->dbs);
    free(s->replicas);
}

static void release(struct watch *w)
{
    timer_free(w->timer);
    buf_free(&w->text);
    sample_free(&w->last);
    free(w);
}

static void enter(struct watch *w)
{
    w->busy++;
}

static void leave(struct watch *w)
{
    if (--w->busy == 0 && w->freed)
        release(w);
}

/* From text to sample. */

#define FIELD(name) offsetof(struct watch_sample, name)

static const struct {
    const char *name;
    size_t field;
} counters[] = {
    {"total_commands_processed", FIELD(total_commands)},
    {"evicted_keys", FIELD(evicted_keys)},
    {"expired_keys", FIELD(expired_keys)},
    {"rdb_changes_since_last_save", FIELD(rdb_changes)},
    {"rdb_last_save_time", FIELD(last_save)},
    {"used_memory", FIELD(used_memory)},
    {"maxmemory", FIELD(maxmemory)},
};

/* Containers are counted by subcommand from 7.0 on, and as a whole before. */
static const struct {
    const char *name;
    size_t field;
} commands[] = {
    {"flushall", FIELD(flushes)},
    {"flushdb", FIELD(flushes)},
    {"swapdb", FIELD(swaps)},
    {"xack", FIELD(group_changes)},
    {"xackdel", FIELD(group_changes)},
    {"xreadgroup", FIELD(group_changes)},
    {"xclaim", FIELD(group_changes)},
    {"xautoclaim", FIELD(group_changes)},
    {"xsetid", FIELD(group_changes)},
    {"xgroup", FIELD(group_changes)},
    {"xgroup|create", FIELD(group_changes)},
    {"xgroup|createconsumer", FIELD(group_changes)},
    {"xgroup|setid", FIELD(group_changes)},
    {"xgroup|destroy", FIELD(group_changes)},
    {"xgroup|delconsumer", FIELD(group_changes)},
    {"function|load", FIELD(function_changes)},
    {"function|delete", FIELD(function_changes)},
    {"function|flush", FIELD(function_changes)},
    {"function|restore", FIELD(function_changes)},
    {"cluster|syncslots", FIELD(slot_moves)}, /* the node that takes them over is told at last that it may */
    {"cluster|migration", FIELD(slot_moves)}, /* Redis: it was told to begin */
};

static uint64_t *field(struct watch_sample *s, size_t offset)
{
    return (uint64_t *)(void *)((char *)s + offset);
}

/* has_stats is used for "a command was counted" while the text is read: INFO itself was, so there is one
 * unless it is hidden. */
static void take_command(struct watch_sample *s, struct bytes name, struct bytes value)
{
    uint64_t calls;
    if (!info_field_u64(value, "calls", &calls))
        return;
    s->has_stats = true;
    if (watch_command_writes(name))
        s->write_calls += calls;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (bytes_is(name, commands[i].name))
            *field(s, commands[i].field) += calls;
    }
}

/* "slave0". */
static bool is_replica_line(struct bytes name)
{
    uint64_t number;
    return bytes_starts(name, "slave") && bytes_to_u64(bytes_of(name.ptr + 5, name.len - 5), &number) == 0;
}

/* "ip=10.0.0.6,port=6379,state=online,offset=28,lag=0" */
static struct watch_replica replica_of(struct bytes line)
{
    struct watch_replica r = {.port = 0};
    uint64_t port;

    while (line.len > 0) {
        struct bytes value = bytes_cut(&line, ',');
        struct bytes name = bytes_cut(&value, '=');
        if (bytes_is(name, "ip") && value.len < sizeof(r.host))
            snprintf(r.host, sizeof(r.host), "%.*s", (int)value.len, value.ptr);
        else if (bytes_is(name, "port") && bytes_to_u64(value, &port) == 0 && port <= UINT16_MAX)
            r.port = (uint16_t)port;
        else if (bytes_is(name, "state"))
            r.online = bytes_is(value, "online");
    }
    return r;
}

static void take_replica(struct watch_sample *s, struct bytes line)
{
    struct watch_replica r = replica_of(line);

    if (!r.host[0] || !r.port)
        return;
    if (!s->replicas)
        s->replicas = calloc(WATCH_REPLICAS_MAX, sizeof(*s->replicas));
    if (!s->replicas || s->nreplicas == WATCH_REPLICAS_MAX)
        s->more_replicas = true;
    else
        s->replicas[s->nreplicas++] = r;
}

static void take(struct bytes name, struct bytes value, void *arg)
{
    struct watch_sample *s = arg;
    uint64_t number;

    if (bytes_starts(name, "cmdstat_")) {
        take_command(s, bytes_of(name.ptr + 8, name.len - 8), value);
        return;
    }
    if (is_replica_line(name))
        take_replica(s, value);
    if (bytes_is(name, "loading"))
        s->loading = bytes_is(value, "1");
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        if (bytes_is(name, counters[i].name) && bytes_to_u64(value, &number) == 0)
            *field(s, counters[i].field) = number;
    }
}

static int parse(struct bytes text, struct watch_sample *ret)
{
    struct watch_sample s = {0};
    struct keyspace keys;
    int err = keyspace_parse(text, &keys);
    if (err < 0)
        return err;
    server_id_parse(text, &s.id);
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        *field(&s, counters[i].field) = WATCH_UNKNOWN;
    info_each(text, take, &s);
    if (!s.has_stats)
        s.flushes = s.swaps = s.group_changes = s.function_changes = s.slot_moves = s.write_calls =
            WATCH_UNKNOWN;
    if (s.total_commands == WATCH_UNKNOWN)
        s.has_stats = false;
    s.has_keyspace = keys.told;
    s.ndbs = keys.count;
    s.dbs = keys.dbs;
    *ret = s;
    return 0;
}

void watch_untold(const struct watch_sample *s, bool evictions, char ret[WATCH_UNTOLD_MAX])
{
    const struct {
        const char *name;
        bool told;
    } proofs[] = {
        {"run_id", s->id.run_id[0]},
        {"role", s->id.role != ROLE_UNKNOWN},
        {"master_replid", s->id.replid[0]},
        {"total_commands_processed", s->total_commands != WATCH_UNKNOWN},
        {"commandstats", s->flushes != WATCH_UNKNOWN},
        {"evicted_keys", !evictions || s->evicted_keys != WATCH_UNKNOWN},
    };
    size_t at = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(proofs); i++)
        if (!proofs[i].told)
            at += (size_t)snprintf(ret + at, WATCH_UNTOLD_MAX - at, "%s%s", at ? ", " : "", proofs[i].name);
}

/* A reading. */

static void begin(struct watch *w);

static void tell(struct watch *w)
{
    struct watch_sample s;

    if (!w->why[0] && parse(buf_bytes(&w->text), &s) < 0)
        snprintf(w->why, sizeof(w->why), "INFO cannot be understood");
    if (w->why[0]) {
        if (w->ev.unreadable)
            w->ev.unreadable(w, w->why, w->arg);
        return;
    }
    sample_free(&w->last);
    w->last = s;
    w->last.seq = w->seq;
    w->last.round_trip_us = w->round_trip_us;
    w->has_last = true;
    if (w->ev.sample)
        w->ev.sample(w, &w->last, w->arg);
}

static void take_section(struct watch *w, const struct reply *r)
{
    const char *section = sections[ARRAY_LEN(sections) - w->due];
    struct bytes text;
    char error[WHY_MAX - 32];

    if (w->why[0])
        return;
    if (r->type == REPLY_ERROR)
        snprintf(w->why, sizeof(w->why), "%s: %s", section, bytes_escape(r->text, error, sizeof(error)));
    else if (!reply_text(r, &text) || buf_append(&w->text, text.ptr, text.len) < 0 ||
             buf_append(&w->text, "\n", 1) < 0)
        snprintf(w->why, sizeof(w->why), "%s: the answer cannot be read", section);
}

static void on_section(struct conn *c, const struct reply *r, void *arg)
{
    struct watch *w = arg;
    (void)c;

    enter(w);
    if (w->due == ARRAY_LEN(sections))
        w->round_trip_us = (unsigned)MIN(loop_now_us(w->loop) - w->begun_us, (uint64_t)UINT32_MAX);
    take_section(w, r);
    if (--w->due == 0)
        tell(w);
    if (!w->freed && w->due == 0 && w->again)
        begin(w);
    leave(w);
}

static void begin(struct watch *w)
{
    buf_consume(&w->text, buf_len(&w->text));
    w->why[0] = '\0';
    w->again = false;
    w->seq++;
    w->begun_us = loop_now_us(w->loop);
    w->due = ARRAY_LEN(sections);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (conn_call_words(w->conn, on_section, w, sections[i]) < 0) {
            conn_reset(w->conn, "INFO could not be asked for: no memory");
            return;
        }
    }
}

static void on_timer(void *arg)
{
    struct watch *w = arg;

    timer_beat(w->timer, PERIOD_US);
    if (w->due == 0)
        begin(w);
}

static void on_up(struct conn *c, void *arg)
{
    struct watch *w = arg;
    (void)c;

    enter(w);
    timer_beat(w->timer, PERIOD_US);
    begin(w);
    if (w->ev.up)
        w->ev.up(w, w->arg);
    leave(w);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct watch *w = arg;
    (void)c;

    enter(w);
    timer_clear(w->timer);
    w->due = 0;
    w->again = false;
    if (w->ev.down)
        w->ev.down(w, why, was_up, w->arg);
    leave(w);
}

int watch_new(struct loop *l, const struct endpoint *e, const char *role, bool fenced,
              const struct watch_events *ev, void *arg, struct watch **ret)
{
    const struct conn_options opt = {.endpoint = e,
                                     .role = role,
                                     .in_max = BUF_SIZE,
                                     .out_max = OUT_MAX,
                                     .out_high = BUF_SIZE,
                                     .fenced = fenced};
    const struct conn_events events = {.up = on_up, .down = on_down};
    struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->loop = l;
    w->ev = *ev;
    w->arg = arg;
    buf_init(&w->text, TEXT_SIZE);
    int err = timer_new(l, on_timer, w, &w->timer);
    if (err == 0)
        err = conn_new(l, &opt, &events, w, &w->conn);
    if (err < 0) {
        release(w);
        return err;
    }
    *ret = w;
    return 0;
}

struct watch *watch_free(struct watch *w)
{
    if (!w || w->freed)
        return NULL;
    w->freed = true;
    timer_clear(w->timer);
    w->conn = conn_free(w->conn);
    if (w->busy == 0)
        release(w);
    return NULL;
}

uint64_t watch_read(struct watch *w)
{
    if (!conn_is_up(w->conn))
        return w->seq + 1;
    if (w->due > 0) {
        w->again = true;
        return w->seq + 1;
    }
    begin(w);
    return w->seq;
}

const struct watch_sample *watch_last(const struct watch *w)
{
    return w->has_last ? &w->last : NULL;
}

void watch_move(struct watch *w, const char *why)
{
    sample_free(&w->last);
    w->last = (struct watch_sample){0};
    w->has_last = false;
    conn_move(w->conn, why);
}

struct conn *watch_conn(struct watch *w)
{
    return w->conn;
}
