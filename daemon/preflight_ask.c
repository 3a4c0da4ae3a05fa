/* preflight_ask.c - the questions of a check to one server. Nothing of it changes anything there.
 *
 * Rights are found out in two ways. ACL DRYRUN (7.0+), where it is allowed, leaves no trace. What it does not
 * refuse, and everything where it is not allowed, is queued in a MULTI that ends with the connection: the
 * server looks at the command, its keys and channels as it is queued, and executes nothing. That also shows
 * commands which a managed service has taken away behind the ACL's back.
 */
#include "daemon/preflight_facts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/redis/clients.h"
#include "lib/feed/flags.h"
#include "lib/feed/receiver.h"
#include "lib/redis/conn.h"
#include "lib/redis/info.h"

#define ROLE      "check"
#define BUF_SIZE  (64 * KIB)
#define WORDS_MAX 10
#define KEY_BYTES 16
#define KEY_TRIES 200000 /* for a node of few slots */

#define BOTH            (OF_SOURCE | OF_TARGET)
#define SLOW_STRINGS    "strings are copied by DUMP and RESTORE, which is slower"
#define KEYSPACE_EVENTS "__keyspace@*__:*" /* what the feed `notify` subscribes to */

const struct right_row right_rows[RIGHTS] = {
    [MAY_PING] = {"PING", "", "+ping", OF_SOURCE, NEED_COPY, 0, 0, NULL, false},
    [MAY_INFO] = {"INFO", "server", "+info", BOTH, NEED_COPY, 0, 0, NULL, false},
    [MAY_SELECT] = {"SELECT", "0", "+select", BOTH, NEED_COPY, 0, 0, NULL, false},
    [MAY_SCAN] = {"SCAN", "0", "+scan", BOTH, NEED_COPY, 0, 0, NULL, false},
    [MAY_DUMP] = {"DUMP", "@", "+dump", BOTH, NEED_READ, 0, 0, NULL, false},
    [MAY_PEXPIRETIME] = {"PEXPIRETIME", "@", "+pexpiretime", BOTH, NEED_READ, 70000, 0, NULL, false},
    [MAY_PTTL] = {"PTTL", "@", "+pttl", BOTH, NEED_READ, 0, 70000, NULL, false},
    [MAY_TIME] = {"TIME", "", "+time", BOTH, NEED_SAFETY, 70000, 0, "clocks cannot be compared", false},
    [MAY_OLD_TIME] = {"TIME", "", "+time", BOTH, NEED_READ, 0, 70000, NULL, false},
    [MAY_EXISTS] = {"EXISTS", "@", "+exists", OF_SOURCE, NEED_READ, 0, 0, NULL, false},
    [MAY_GET] = {"GET", "@", "+get", OF_SOURCE, NEED_SAFETY, 0, 0, SLOW_STRINGS, false},
    [MAY_MGET] = {"MGET", "@", "+mget", BOTH, NEED_SAFETY, 0, 0,
                  "strings are read one by one, and compared by DUMP, which is slower", false},
    [MAY_RESTORE] = {"RESTORE", "@ 0 x", "+restore", OF_TARGET, NEED_COPY, 0, 0, NULL, false},
    [MAY_SET] = {"SET", "@ x XX", "+set", OF_TARGET, NEED_SAFETY, 60200, 0, SLOW_STRINGS, false},
    [MAY_MSET] = {"MSET", "@ x @", "+mset", OF_TARGET, NEED_SAFETY, 60200, 0,
                  "strings are written one by one, which is slower", false},
    [MAY_UNLINK] = {"UNLINK", "@", "+unlink", OF_TARGET, NEED_COPY, 0, 0, NULL, false},
    [MAY_MULTI] = {"MULTI", "", "+multi", BOTH, NEED_READ, 0, 0, NULL, false},
    [MAY_EXEC] = {"EXEC", "", "+exec", BOTH, NEED_READ, 0, 0, NULL, false},
    [MAY_RANDOMKEY] = {"RANDOMKEY", "", "+randomkey", OF_SOURCE, NEED_VERIFY, 0, 0, NULL, false},
    [MAY_XINFO_GROUPS] = {"XINFO GROUPS", "@", "+xinfo|groups", OF_SOURCE, NEED_SAFETY, 0, 0,
                          "streams are copied again rather than compared", false},
    [MAY_XINFO_CONSUMERS] = {"XINFO CONSUMERS", "@ x", "+xinfo|consumers", OF_SOURCE, NEED_SAFETY, 0, 0,
                             "streams with groups are copied again rather than compared", false},
    [MAY_CLIENT_ID] = {"CLIENT ID", "", "+client|id", BOTH, NEED_SAFETY, 0, 0,
                       "a lost connection cannot be proved dead", false},
    [MAY_CLIENT_SETNAME] = {"CLIENT SETNAME", "x", "+client|setname", BOTH, NEED_SAFETY, 0, 0,
                            "connections have no name", false},
    [MAY_CLIENT_LIST] = {"CLIENT LIST", "", "+client|list", BOTH, NEED_SAFETY, 0, 0,
                         "another riotd cannot be seen", false},
    [MAY_CLIENT_KILL] = {"CLIENT KILL", "ID x", "+client|kill", BOTH, NEED_SAFETY, 0, 0,
                         "a lost connection cannot be killed", false},
    [MAY_NO_TOUCH] = {"CLIENT NO-TOUCH", "ON", "+client|no-touch", BOTH, NEED_SAFETY, 70200, 0,
                      "reading counts as use for LRU and LFU", false},
    [MAY_CONFIG_GET] = {"CONFIG GET", "databases", "+config|get", BOTH, NEED_SAFETY, 0, 0,
                        "limits are not known", false},
    [MAY_COMMAND] = {"COMMAND INFO", "ping", "+command|info", BOTH, NEED_SAFETY, 0, 0,
                     "what it can do is reckoned by its version", false},
    [MAY_MODULE_LIST] = {"MODULE LIST", "", "+module|list", BOTH, NEED_SAFETY, 0, 0,
                         "whether it has modules is not known", false},
    [MAY_PAUSE] = {"CLIENT PAUSE", "x WRITE", "+client|pause", OF_SOURCE, NEED_CUTOVER, 60200, 0, NULL,
                   false},
    [MAY_UNPAUSE] = {"CLIENT UNPAUSE", "", "+client|unpause", OF_SOURCE, NEED_CUTOVER, 60200, 0, NULL, false},
    [MAY_TRACKING] = {"CLIENT TRACKING", "OFF", "+client|tracking", OF_SOURCE, NEED_FEED, 60000, 0, NULL,
                      false},
    [MAY_TRACKINGINFO] = {"CLIENT TRACKINGINFO", "", "+client|trackinginfo", OF_SOURCE, NEED_FEED, 60200, 0,
                          NULL, false},
    [MAY_GETREDIR] = {"CLIENT GETREDIR", "", "+client|getredir", OF_SOURCE, NEED_FEED, 60000, 60200, NULL,
                      false},
    [MAY_SUBSCRIBE] = {"SUBSCRIBE", RECEIVER_INVALIDATIONS, "+subscribe &" RECEIVER_INVALIDATIONS, OF_SOURCE,
                       NEED_FEED, 0, 0, NULL, false},
    [MAY_PSUBSCRIBE] = {"PSUBSCRIBE", KEYSPACE_EVENTS, "+psubscribe &" KEYSPACE_EVENTS, OF_SOURCE, NEED_FEED,
                        0, 0, NULL, false},
    [MAY_CONFIG_SET] = {"CONFIG SET", FLAGS_NAME " ?", "+config|set", OF_SOURCE, NEED_FEED, 0, 0, NULL,
                        false},
    [MAY_REPLCONF] = {"REPLCONF", "capa psync2", "+replconf", OF_SOURCE, NEED_FEED, 0, 0, NULL, false},
    [MAY_PSYNC] = {"PSYNC", "x 1", "+psync", OF_SOURCE, NEED_FEED, 0, 0, NULL, false},
    [MAY_FUNCTION_DUMP] = {"FUNCTION DUMP", "", "+function|dump", BOTH, NEED_FUNCTIONS, 70000, 0, NULL,
                           false},
    [MAY_FUNCTION_RESTORE] = {"FUNCTION RESTORE", "x", "+function|restore", OF_TARGET, NEED_FUNCTIONS, 70000,
                              0, NULL, false},
    [MAY_WAIT] = {"WAIT", "0 1", "+wait", OF_TARGET, NEED_WAIT, 0, 0, NULL, false},
    [MAY_WAITAOF] = {"WAITAOF", "0 0 1", "+waitaof", OF_TARGET, NEED_WAITAOF, 70200, 0, NULL, false},
    [MAY_TYPE] = {"TYPE", "@", "+type", BOTH, NEED_TYPES, 0, 0, NULL, false},
    [MAY_CLUSTER_NODES] = {"CLUSTER NODES", "", "+cluster|nodes", BOTH, NEED_COPY, 0, 0, NULL, true},
    [MAY_CLUSTER_COUNT] = {"CLUSTER COUNTKEYSINSLOT", "0", "+cluster|countkeysinslot", OF_SOURCE, NEED_SAFETY,
                           0, 0, "with psync, once the move of a slot was given up, a restart means a resync",
                           true},
    [MAY_ASKING] = {"ASKING", "", "+asking", BOTH, NEED_READ, 0, 0, NULL, true},
};

bool right_applies(enum right_id id, bool of_target, const struct server_id *server)
{
    const struct right_row *row = &right_rows[id];

    if (!(row->sides & (of_target ? OF_TARGET : OF_SOURCE)) || (row->of_cluster && !server->cluster))
        return false;
    if (id == MAY_NO_TOUCH && server->cluster) /* some servers crash on it while slots move */
        return false;
    if (server->redis == 0) /* not told: taken for a new one */
        return row->until == 0;
    return server->redis >= row->since && (row->until == 0 || server->redis < row->until);
}

bool right_is_lacking(const struct preflight_side *s, enum right_id id)
{
    return s->rights[id] == RIGHT_DENIED || s->rights[id] == RIGHT_MISSING;
}

void preflight_side_init(struct preflight_side *s)
{
    *s = (struct preflight_side){
        .used_memory = PREFLIGHT_UNKNOWN,
        .dataset = PREFLIGHT_UNKNOWN,
        .maxmemory = PREFLIGHT_UNKNOWN,
        .total_memory = PREFLIGHT_UNKNOWN,
        .scripts = PREFLIGHT_UNKNOWN,
        .libraries = PREFLIGHT_UNKNOWN,
        .ops_per_s = PREFLIGHT_UNKNOWN,
        .replicas = PREFLIGHT_UNKNOWN,
        .aof = PREFLIGHT_UNKNOWN,
        .commands = PREFLIGHT_UNKNOWN,
        .evicted = PREFLIGHT_UNKNOWN,
        .saving_failed = PREFLIGHT_UNKNOWN,
        .appending_failed = PREFLIGHT_UNKNOWN,
        .idle_timeout_s = PREFLIGHT_UNKNOWN,
        .bulk_len = PREFLIGHT_UNKNOWN,
        .sentinels = PREFLIGHT_UNKNOWN,
        .backlog = PREFLIGHT_UNKNOWN,
        .backlog_size = PREFLIGHT_UNKNOWN,
        .input_kb = PREFLIGHT_UNKNOWN,
        .min_replicas = PREFLIGHT_UNKNOWN,
    };
}

/* What is asked in one go; the next go follows the last answer. */
enum phase { PHASE_FACTS, PHASE_DRYRUN, PHASE_TRACK, PHASE_MULTI, PHASE_QUEUE, PHASE_DONE };

struct asker {
    struct preflight_side *side;
    bool of_target;
    asker_fn *fn;
    void *arg;
    struct conn *conn;
    unsigned busy; /* frames of ours on the stack */
    bool freed, over;

    enum phase phase;
    size_t due; /* answers of this phase */
    size_t at;  /* of the next answer, in `asked` */
    unsigned asked[RIGHTS + 16];
    size_t nasked;
    bool dryrun; /* ACL DRYRUN is allowed */
    bool queues; /* a transaction is open, and does queue */
    char key[KEY_BYTES];
};

static void release(struct asker *a)
{
    free(a);
}

static void enter(struct asker *a)
{
    a->busy++;
}

static void leave(struct asker *a)
{
    if (--a->busy == 0 && a->freed)
        release(a);
}

static void finish(struct asker *a, bool asked, const char *why)
{
    if (a->over || a->freed)
        return;
    a->over = true;
    a->side->asked = asked;
    snprintf(a->side->ask_why, sizeof(a->side->ask_why), "%s", why);
    a->conn = conn_free(a->conn);
    a->fn(a, a->arg);
}

/* --- facts --- */

static uint64_t *number_of(struct preflight_side *s, struct bytes name)
{
    const struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {
        {"used_memory", &s->used_memory},
        {"used_memory_dataset", &s->dataset},
        {"maxmemory", &s->maxmemory},
        {"total_system_memory", &s->total_memory},
        {"number_of_cached_scripts", &s->scripts},
        {"number_of_libraries", &s->libraries},
        {"instantaneous_ops_per_sec", &s->ops_per_s},
        {"connected_slaves", &s->replicas},
        {"aof_enabled", &s->aof},
        {"total_commands_processed", &s->commands},
        {"evicted_keys", &s->evicted},
        {"repl_backlog_active", &s->backlog},
        {"repl_backlog_size", &s->backlog_size},
    };

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (bytes_is(name, numbers[i].name))
            return numbers[i].to;
    return NULL;
}

/* Those that change the state of consumer groups, which no feed tells. */
static void take_calls(struct preflight_side *s, struct bytes command, struct bytes value)
{
    static const char *const group_commands[] = {"xack", "xreadgroup", "xclaim", "xautoclaim"};
    uint64_t calls;

    if (!info_field_u64(value, "calls", &calls))
        return;
    s->has_commandstats = true;
    for (size_t i = 0; i < ARRAY_LEN(group_commands); i++)
        if (bytes_is(command, group_commands[i]))
            s->group_calls += calls;
}

static void take_line(struct bytes name, struct bytes value, void *arg)
{
    struct preflight_side *s = arg;
    uint64_t *number = number_of(s, name), n;

    if (number && bytes_to_u64(value, &n) == 0)
        *number = n;
    else if (bytes_is(name, "instantaneous_input_kbps") && bytes_to_u64(bytes_cut(&value, '.'), &n) == 0)
        s->input_kb = n;
    else if (bytes_is(name, "slave_read_only"))
        s->takes_own_writes = bytes_is(value, "0");
    else if (bytes_is(name, "rdb_last_bgsave_status"))
        s->saving_failed = !bytes_is(value, "ok");
    else if (bytes_is(name, "aof_last_write_status"))
        s->appending_failed = !bytes_is(value, "ok");
    else if (bytes_starts(name, "slave") && bytes_starts(value, "ip=riotd:") &&
             s->replicas != PREFLIGHT_UNKNOWN)
        s->replicas -= MIN(s->replicas, (uint64_t)1); /* the feed psync: no server that a fence is put on */
    else if (bytes_starts(name, "cmdstat_"))
        take_calls(s, bytes_of(name.ptr + 8, name.len - 8), value);
}

static void take_info(struct asker *a, const struct reply *r)
{
    struct bytes text;

    if (reply_text(r, &text))
        info_each(text, take_line, a->side);
}

static void take_idle(struct asker *a, const struct reply *r)
{
    int64_t n;

    if (reply_integer(reply_at(r, 1), &n) && n >= 0)
        a->side->idle_timeout_s = (uint64_t)n;
}

static void take_bulk_len(struct asker *a, const struct reply *r)
{
    int64_t n;

    if (reply_integer(reply_at(r, 1), &n) && n > 0)
        a->side->bulk_len = (uint64_t)n;
}

static void take_save(struct asker *a, const struct reply *r)
{
    struct bytes text;

    a->side->has_save = reply_text(reply_at(r, 1), &text);
    a->side->saves = a->side->has_save && text.len > 0;
}

/* "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60" */
static void take_limits(struct asker *a, const struct reply *r)
{
    struct preflight_side *s = a->side;
    struct bytes rest;

    if (!reply_text(reply_at(r, 1), &rest))
        return;
    while (rest.len > 0) {
        struct bytes name = bytes_cut(&rest, ' ');
        struct buffer_limit limit = {.told = true};
        limit.told &= bytes_to_u64(bytes_cut(&rest, ' '), &limit.hard) == 0;
        limit.told &= bytes_to_u64(bytes_cut(&rest, ' '), &limit.soft) == 0;
        limit.told &= bytes_to_u64(bytes_cut(&rest, ' '), &limit.soft_s) == 0;
        if (bytes_is(name, "pubsub"))
            s->pubsub = limit;
        else if (bytes_is(name, "slave") || bytes_is(name, "replica"))
            s->replica = limit;
    }
}

static void take_min_replicas(struct asker *a, const struct reply *r)
{
    int64_t n;

    if (reply_integer(reply_at(r, 1), &n) && n >= 0)
        a->side->min_replicas = (uint64_t)n;
}

static void take_flags(struct asker *a, const struct reply *r)
{
    struct preflight_side *s = a->side;
    struct bytes text;

    s->has_flags = reply_text(reply_at(r, 1), &text) && text.len < sizeof(s->flags);
    if (!s->has_flags)
        return;
    if (text.len > 0)
        memcpy(s->flags, text.ptr, text.len);
    s->flags[text.len] = '\0';
}

/* Each is [name, NAME, ver, N, path, PATH, ...]; one without a path is a part of the server, and so is Valkey
 * 9's engine of scripts, which has one. */
static void take_module(struct preflight_side *s, const struct reply *r)
{
    struct bytes field, value, name = {0};
    bool built_in = false;

    for (size_t i = 0; r && i + 1 < r->count; i += 2) {
        if (!reply_text(reply_at(r, i), &field) || !reply_text(reply_at(r, i + 1), &value))
            continue;
        if (bytes_is(field, "name"))
            name = value;
        if (bytes_is(field, "path"))
            built_in = value.len == 0;
    }
    built_in |= bytes_is(name, "lua");
    if (!built_in && name.len > 0 && s->nmodules < PREFLIGHT_MODULES_MAX)
        bytes_escape(name, s->modules[s->nmodules++], sizeof(s->modules[0]));
}

static void take_modules(struct asker *a, const struct reply *r)
{
    a->side->has_modules = r->type == REPLY_ARRAY;
    for (size_t i = 0; r->type == REPLY_ARRAY && i < r->count; i++)
        take_module(a->side, r->at[i]);
}

static void take_clients(struct asker *a, const struct reply *r)
{
    struct client_line line;
    struct bytes list;

    if (!reply_text(r, &list))
        return;
    a->side->sentinels = 0;
    while (client_next(&list, &line))
        a->side->sentinels += client_is_sentinel(line.name);
}

static void take_dryrun(struct asker *a, const struct reply *r)
{
    a->dryrun = reply_is_ok(r);
}

static const struct {
    const char *words; /* % stands for the user */
    void (*take)(struct asker *a, const struct reply *r);
    unsigned since;
} facts[] = {
    {"INFO memory", take_info, 0},
    {"INFO persistence", take_info, 0},
    {"INFO stats", take_info, 0},
    {"INFO replication", take_info, 0},
    {"INFO commandstats", take_info, 0},
    {"CONFIG GET timeout", take_idle, 0},
    {"CONFIG GET proto-max-bulk-len", take_bulk_len, 0},
    {"CONFIG GET save", take_save, 0},
    {"CONFIG GET client-output-buffer-limit", take_limits, 0},
    {"CONFIG GET " FLAGS_NAME, take_flags, 0},
    {"CONFIG GET min-replicas-to-write", take_min_replicas, 0},
    {"MODULE LIST", take_modules, 0},
    {"CLIENT LIST", take_clients, 0},
    {"ACL DRYRUN % INFO", take_dryrun, 70000},
};

/* --- rights --- */

/* Of a command, of its keys, or of its channels: the words differ from version to version, and from DRYRUN.
 */
static bool is_about_keys(struct bytes error)
{
    return memmem(error.ptr, error.len, " key", 4) && memmem(error.ptr, error.len, "access", 6);
}

static bool is_unknown(struct bytes error)
{
    return bytes_starts(error, "ERR unknown command") || bytes_starts(error, "ERR Unknown command") ||
           bytes_starts(error, "ERR unknown subcommand") || bytes_starts(error, "ERR Unknown subcommand") ||
           (bytes_starts(error, "ERR Command '") && memmem(error.ptr, error.len, "not found", 9));
}

static bool names_key(enum right_id id)
{
    return right_rows[id].args[0] == '@';
}

static void refuse(struct preflight_side *s, enum right_id id, struct bytes error)
{
    if (names_key(id) && is_about_keys(error)) {
        s->keys_denied = s->keys_known = true;
        s->rights[id] = RIGHT_GIVEN;
    } else {
        s->rights[id] = RIGHT_DENIED;
    }
}

static void take_tried(struct asker *a, enum right_id id, const struct reply *r)
{
    struct preflight_side *s = a->side;

    if (reply_is_ok(r)) {
        s->rights[id] = RIGHT_GIVEN;
        s->keys_known |= names_key(id);
    } else if (r->type == REPLY_STRING || reply_is_error(r, "NOPERM")) {
        refuse(s, id, r->text);
    }
}

static bool is_queued(const struct reply *r)
{
    return r->type == REPLY_STATUS && bytes_is(r->text, "QUEUED");
}

static void take_queued(struct asker *a, enum right_id id, const struct reply *r)
{
    struct preflight_side *s = a->side;

    if (is_queued(r)) {
        s->rights[id] = RIGHT_GIVEN;
        s->keys_known |= names_key(id);
    } else if (reply_is_error(r, "NOPERM")) {
        refuse(s, id, r->text);
    } else if (r->type == REPLY_ERROR && is_unknown(r->text)) {
        s->rights[id] = RIGHT_MISSING;
    } else if (r->type == REPLY_ERROR && id == MAY_RESTORE && !reply_is_error(r, "MOVED")) {
        bytes_escape(r->text, s->refused, sizeof(s->refused));
    }
}

/* Asked for where no transaction is open. A server that denies it says so behind an EXECABORT. */
static void take_exec(struct asker *a, const struct reply *r)
{
    enum right *right = &a->side->rights[MAY_EXEC];

    if (r->type != REPLY_ERROR)
        return;
    if (memmem(r->text.ptr, r->text.len, "NOPERM", 6))
        *right = RIGHT_DENIED;
    else if (is_unknown(r->text))
        *right = RIGHT_MISSING;
    else if (memmem(r->text.ptr, r->text.len, "without MULTI", 13))
        *right = RIGHT_GIVEN;
}

static void take_multi(struct asker *a, const struct reply *r)
{
    a->queues = reply_is_ok(r);
    if (reply_is_ok(r))
        a->side->rights[MAY_MULTI] = RIGHT_GIVEN;
    else if (reply_is_error(r, "NOPERM"))
        a->side->rights[MAY_MULTI] = RIGHT_DENIED;
    else if (r->type == REPLY_ERROR && is_unknown(r->text))
        a->side->rights[MAY_MULTI] = RIGHT_MISSING;
}

static void take_tracking(struct asker *a, const struct reply *r)
{
    struct preflight_side *s = a->side;

    if (reply_is_ok(r))
        s->tracking = RIGHT_GIVEN;
    else if (r->type == REPLY_ERROR && !reply_is_passing(r))
        s->tracking = reply_is_error(r, "NOPERM") ? RIGHT_DENIED : RIGHT_MISSING;
    if (r->type == REPLY_ERROR)
        bytes_escape(r->text, s->tracking_why, sizeof(s->tracking_why));
}

/* --- asking --- */

static void next_phase(struct asker *a);

enum { ASKED_FACT = 1000, ASKED_MULTI, ASKED_TRACK, ASKED_UNTRACK };

static void take_answer(struct asker *a, unsigned what, const struct reply *r)
{
    if (a->phase == PHASE_FACTS)
        facts[what - ASKED_FACT].take(a, r);
    else if (what == ASKED_MULTI)
        take_multi(a, r);
    else if (what == ASKED_TRACK)
        take_tracking(a, r);
    else if (what == MAY_EXEC && a->phase == PHASE_MULTI)
        take_exec(a, r);
    else if (what < RIGHTS && a->phase == PHASE_DRYRUN)
        take_tried(a, what, r);
    else if (what < RIGHTS)
        take_queued(a, what, r);
    if (a->phase == PHASE_MULTI && what == MAY_INFO)
        a->queues = a->queues && is_queued(r);
}

static void on_reply(struct conn *c, const struct reply *r, void *arg)
{
    struct asker *a = arg;
    (void)c;

    enter(a);
    if (!a->over) {
        take_answer(a, a->asked[a->at++], r);
        if (--a->due == 0)
            next_phase(a);
    }
    leave(a);
}

/* Words parted by blanks; @ is the key, % the user. */
static void ask(struct asker *a, unsigned what, const char *name, const char *args)
{
    struct bytes argv[WORDS_MAX], part[] = {bytes_str(name), bytes_str(args)};
    size_t argc = 0;

    if (a->over)
        return;
    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        while (part[i].len > 0 && argc < WORDS_MAX) {
            struct bytes word = bytes_cut(&part[i], ' ');
            argv[argc++] = bytes_is(word, "@")   ? bytes_of(a->key, sizeof(a->key))
                           : bytes_is(word, "%") ? bytes_str(a->side->user)
                                                 : word;
        }
    }
    if (conn_call(a->conn, argc, argv, on_reply, a) < 0) {
        finish(a, false, "a question could not be asked: no memory");
        return;
    }
    a->asked[a->nasked++] = what;
    a->due++;
}

static void ask_facts(struct asker *a)
{
    unsigned redis = a->side->probe.id.redis;

    for (unsigned i = 0; i < ARRAY_LEN(facts); i++)
        if (redis == 0 || redis >= facts[i].since)
            ask(a, ASKED_FACT + i, facts[i].words, "");
}

static void ask_tried(struct asker *a)
{
    char words[128];

    for (unsigned id = 0; a->dryrun && id < RIGHTS; id++) {
        if (!right_applies(id, a->of_target, &a->side->probe.id))
            continue;
        snprintf(words, sizeof(words), "ACL DRYRUN %% %s", right_rows[id].name);
        ask(a, id, words, right_rows[id].args);
    }
}

/* Nothing else is sent before the server was seen to queue, and not execute, what follows MULTI. */
static void ask_multi(struct asker *a)
{
    if (a->side->rights[MAY_EXEC] != RIGHT_DENIED)
        ask(a, MAY_EXEC, "EXEC", "");
    if (a->side->rights[MAY_MULTI] == RIGHT_DENIED)
        return;
    ask(a, ASKED_MULTI, "MULTI", "");
    ask(a, MAY_INFO, right_rows[MAY_INFO].name, right_rows[MAY_INFO].args);
}

static void ask_queued(struct asker *a)
{
    if (!a->queues)
        return;
    for (unsigned id = 0; id < RIGHTS; id++)
        if (id != MAY_INFO && id != MAY_MULTI && id != MAY_EXEC && a->side->rights[id] != RIGHT_DENIED &&
            right_applies(id, a->of_target, &a->side->probe.id))
            ask(a, id, right_rows[id].name, right_rows[id].args);
}

/* For this connection, and a prefix that no key has. */
static void ask_tracking(struct asker *a)
{
    char words[96], prefix[2 * KEY_BYTES + 1];
    uint64_t id = conn_client_id(a->conn);

    if (a->of_target || id == 0 || a->side->rights[MAY_TRACKING] == RIGHT_DENIED ||
        a->side->rights[MAY_TRACKING] == RIGHT_MISSING)
        return;
    for (size_t i = 0; i < KEY_BYTES; i++)
        snprintf(prefix + 2 * i, 3, "%02x", (unsigned char)a->key[i]);
    snprintf(words, sizeof(words), "CLIENT TRACKING ON REDIRECT %" PRIu64 " BCAST PREFIX %s", id, prefix);
    ask(a, ASKED_TRACK, words, "");
    ask(a, ASKED_UNTRACK, "CLIENT TRACKING OFF", "");
}

static void (*const phases[])(struct asker *a) = {
    [PHASE_FACTS] = ask_facts, [PHASE_DRYRUN] = ask_tried, [PHASE_TRACK] = ask_tracking,
    [PHASE_MULTI] = ask_multi, [PHASE_QUEUE] = ask_queued,
};
_Static_assert(ARRAY_LEN(phases) == PHASE_DONE, "each phase asks");

/* A phase with nothing to ask is over at once. */
static void next_phase(struct asker *a)
{
    a->at = a->nasked = 0;
    while (!a->over && a->due == 0 && ++a->phase < PHASE_DONE)
        phases[a->phase](a);
    if (!a->over && a->due == 0)
        finish(a, true, "");
}

static void on_up(struct conn *c, void *arg)
{
    struct asker *a = arg;
    (void)c;

    enter(a);
    a->phase = PHASE_FACTS;
    a->at = a->nasked = a->due = 0;
    ask_facts(a);
    leave(a);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct asker *a = arg;
    (void)c, (void)was_up;

    enter(a);
    finish(a, false, why);
    leave(a);
}

/* A key that nobody has, of a slot that this node serves: another one's would be refused (MOVED). */
static int make_key(struct asker *a, const struct slot_set *slots)
{
    for (unsigned i = 0; i < KEY_TRIES; i++) {
        if (getrandom(a->key, sizeof(a->key), 0) != sizeof(a->key))
            return -EIO;
        if (!slots || slot_set_has(slots, slot_of(bytes_of(a->key, sizeof(a->key)))))
            return 0;
    }
    return 0;
}

int asker_new(struct loop *l, const struct endpoint *e, bool of_target, const struct slot_set *slots,
              struct preflight_side *side, asker_fn *fn, void *arg, struct asker **ret)
{
    const struct conn_options opt = {
        .endpoint = e, .role = ROLE, .in_max = BUF_SIZE, .out_max = BUF_SIZE, .out_high = BUF_SIZE};
    const struct conn_events events = {.up = on_up, .down = on_down};
    struct asker *a = calloc(1, sizeof(*a));

    if (!a)
        return -ENOMEM;
    *a = (struct asker){.side = side, .of_target = of_target, .fn = fn, .arg = arg};
    int err = make_key(a, slots);
    if (err == 0)
        err = conn_new(l, &opt, &events, a, &a->conn);
    if (err < 0) {
        free(a);
        return err;
    }
    *ret = a;
    return 0;
}

struct asker *asker_free(struct asker *a)
{
    if (!a || a->freed)
        return NULL;
    a->freed = true;
    a->conn = conn_free(a->conn);
    if (a->busy == 0)
        release(a);
    return NULL;
}
