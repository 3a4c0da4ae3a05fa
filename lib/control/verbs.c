#include "lib/control/verbs.h"

#include <assert.h>
#include <limits.h>
#include <strings.h>
#include "lib/core/text.h"

#define NEAR_EDITS 2
#define WORD_MAX   32

static const char *const conditions[] = {
    [WAIT_FOR_IDLE] = "idle",         [WAIT_FOR_LIVE] = "live",           [WAIT_FOR_DRAINED] = "drained",
    [WAIT_FOR_VERIFIED] = "verified", [WAIT_FOR_COMMITTED] = "committed", [WAIT_FOR_FINISHED] = "finished",
    [WAIT_FOR_COUNT] = NULL,
};

const char *const fence_names[] = {
    [FENCE_AUTO] = "auto", [FENCE_ACL] = "acl",   [FENCE_MIN_REPLICAS] = "min-replicas",
    [FENCE_HOLD] = "hold", [FENCE_NONE] = "none", [FENCE_KINDS] = NULL,
};

static const char *const cutover_verifies[] = {
    [CUTOVER_VERIFY_RECENT] = "recent",
    [CUTOVER_VERIFY_FULL] = "full",
    [CUTOVER_VERIFY_NONE] = "none",
    [CUTOVER_VERIFY_COUNT] = NULL,
};

static const struct verb_arg status_args[] = {
    {ARG_WATCH, KIND_FLAG, "watch", NULL, "show it again each second, until Ctrl-C", NULL, NULL,
     VERB_CTL_ONLY},
    {ARG_LANES, KIND_FLAG, "lanes", NULL, "a line for each lane: each shard of the source has one", NULL,
     NULL, VERB_CTL_ONLY},
};

static const struct verb_arg start_args[] = {
    {ARG_ANEW, KIND_FLAG, "anew", NULL, "forget the state file; a target with keys may be refused", NULL,
     NULL, 0},
};

static const struct verb_arg resume_args[] = {
    {ARG_ACCEPT, KIND_TEXT, "accept", "BLOCKER", "accept what this blocker warns of (see status)", NULL, NULL,
     0},
};

static const struct verb_arg wait_args[] = {
    {ARG_FOR, KIND_CHOICE, "for", "COND", "the condition", conditions, NULL, VERB_REQUIRED},
    {ARG_TIMEOUT, KIND_DURATION, "timeout", "T", "give up after so long, such as 30s; without it, never",
     NULL, NULL, 0},
};

static const struct verb_arg verify_args[] = {
    {ARG_SAMPLE, KIND_NUMBER, "sample", "N", "compare about N keys of each side; without it, all", NULL, NULL,
     0},
    {ARG_MATCH, KIND_TEXT, "match", "GLOB", "compare keys whose names match, as SCAN MATCH", NULL, NULL, 0},
    {ARG_DB, KIND_NUMBER, "db", "N", "compare this database of the source alone", NULL, NULL, 0},
    {ARG_RATE, KIND_NUMBER, "rate", "KEYS/S",
     "compare at most so many keys each second; without it, no limit", NULL, NULL, 0},
    {ARG_ROUNDS, KIND_NUMBER, "rounds", "N", "look at a differing key again up to N times", NULL, "5", 0},
    {ARG_TTL_TOLERANCE, KIND_DURATION, "ttl_tolerance", "T",
     "expiries this near are equal; without it, 5ms more than the clocks differ", NULL, NULL, 0},
    {ARG_REPAIR, KIND_FLAG, "repair", NULL, "copy what differs again, delete extras, and look at them again",
     NULL, NULL, 0},
    {ARG_LAST, KIND_FLAG, "last", NULL, "show the last report; begins nothing", NULL, NULL, 0},
    {ARG_STOP, KIND_FLAG, "stop", NULL, "end the verify that runs", NULL, NULL, 0},
};

static const struct verb_arg cutover_args[] = {
    {ARG_DRY_RUN, KIND_FLAG, "dry_run", NULL, "check and show the plan; changes nothing", NULL, NULL, 0},
    {ARG_MAX_LAG_MS, KIND_NUMBER, "max_lag_ms", "MS",
     "begin only while the target is no further behind than this", NULL, "50", 0},
    {ARG_STABLE_FOR, KIND_DURATION, "stable_for", "T", "and has been so for this long", NULL, "2s", 0},
    {ARG_MAX_WRITE_PAUSE, KIND_DURATION, "max_write_pause", "T", "undo all if writers waited for longer",
     NULL, "5s", 0},
    {ARG_GATE_TIMEOUT, KIND_DURATION, "gate_timeout", "T", "give up if it could not begin for so long", NULL,
     "60s", 0},
    {ARG_FENCE, KIND_CHOICE, "fence", "KIND", "how writers are kept from the source afterwards", fence_names,
     "auto", 0},
    {ARG_VERIFY, KIND_CHOICE, "verify", "WHAT",
     "what is compared in the pause: what was copied last and a sample (recent), that and all keys before "
     "the pause (full), or nothing",
     cutover_verifies, "recent", 0},
    {ARG_VERIFY_BUDGET, KIND_DURATION, "verify_budget", "T", "the part of the pause for comparing", NULL,
     "50ms", 0},
    {ARG_HOLD_LEASE, KIND_DURATION, "hold_lease", "T", "fence hold: how long writers wait if riotd dies",
     NULL, "10m", 0},
    {ARG_QUIET_FOR, KIND_DURATION, "quiet_for", "T", "fence none: how long nothing may have been written",
     NULL, "5s", 0},
    {ARG_SENTINEL_DOWN_AFTER, KIND_DURATION, "sentinel_down_after", "T",
     "with Sentinel: its down-after-milliseconds for the source", NULL, NULL, 0},
    {ARG_THEN, KIND_TEXT, "then", "CMD", "a shell command that riotctl runs once writes may go to the target",
     NULL, NULL, VERB_CTL_ONLY},
};

static const struct verb_arg finish_args[] = {
    {ARG_UNFENCE, KIND_FLAG, "unfence", NULL, "let clients write to the old source again", NULL, NULL, 0},
    {ARG_FORCE, KIND_FLAG, "force", NULL,
     "even if clients came back to the old source (hold); --unfence: without a server that is gone", NULL,
     NULL, 0},
};

static const struct verb_arg limit_args[] = {
    {ARG_MEMORY, KIND_SIZE, "memory", "SIZE", "for all that is queued and in flight; at least 16MiB", NULL,
     NULL, VERB_ASSIGN},
    {ARG_KEYS_PER_S, KIND_NUMBER, "keys_per_s", "N", "keys copied each second; 0: no limit", NULL, NULL,
     VERB_ASSIGN},
    {ARG_BYTES_PER_S, KIND_SIZE, "bytes_per_s", "SIZE", "bytes copied each second; 0: no limit", NULL, NULL,
     VERB_ASSIGN},
    {ARG_COALESCE, KIND_DURATION, "coalesce", "T",
     "that changes of one key may wait for each other; 0ms: none", NULL, NULL, VERB_ASSIGN},
};

static const struct verb_arg logs_args[] = {
    {ARG_FOLLOW, KIND_FLAG, "follow", NULL, "go on with what is logged from now, until Ctrl-C", NULL, NULL,
     VERB_CTL_ONLY},
    {ARG_LINES, KIND_NUMBER, "lines", "N", "the last N lines; without it, all", NULL, NULL, VERB_CTL_ONLY},
    {ARG_SINCE, KIND_TEXT, "since", "TIME", "from a moment on, as journalctl takes it: '2 hours ago', today",
     NULL, NULL, VERB_CTL_ONLY},
};

static const struct verb_arg help_args[] = {
    {ARG_VERB, KIND_TEXT, "verb", "VERB", "the verb to tell about", NULL, NULL,
     VERB_CTL_ONLY | VERB_POSITIONAL},
};

#define ARGS(list) list, ARRAY_LEN(list)
#define NO_ARGS    NULL, 0

const struct verb verbs[] = {
    [VERB_STATUS] = {VERB_STATUS, "status",
                     "show the link: its state, lag, rates, and what stands in its way", 0,
                     ARGS(status_args)},
    [VERB_START] = {VERB_START, "start", "begin to replicate, with a snapshot or a resync", VERB_CHANGES,
                    ARGS(start_args)},
    [VERB_PAUSE] = {VERB_PAUSE, "pause", "let the copying rest; changes of the source are still noted",
                    VERB_CHANGES, NO_ARGS},
    [VERB_RESUME] = {VERB_RESUME, "resume", "go on after a pause or a blocker", VERB_CHANGES,
                     ARGS(resume_args)},
    [VERB_STOP] = {VERB_STOP, "stop", "end replication, put settings of the source back; a start begins anew",
                   VERB_CHANGES, NO_ARGS},
    [VERB_WAIT] = {VERB_WAIT, "wait",
                   "wait until a condition holds: live, drained (all written so far is copied), ...",
                   VERB_OPERATION, ARGS(wait_args)},
    [VERB_CHECK] = {VERB_CHECK, "check", "show what could stand in the way of the link; changes nothing", 0,
                    NO_ARGS},
    [VERB_VERIFY] = {VERB_VERIFY, "verify", "compare both sides while they are live",
                     VERB_CHANGES | VERB_OPERATION, ARGS(verify_args)},
    [VERB_CUTOVER] = {VERB_CUTOVER, "cutover", "make the target the one that is written to, or put all back",
                      VERB_CHANGES | VERB_OPERATION, ARGS(cutover_args)},
    [VERB_ABORT] = {VERB_ABORT, "abort", "end a cutover before its commit, and put all back", VERB_CHANGES,
                    NO_ARGS},
    [VERB_FINISH] = {VERB_FINISH, "finish", "after a cutover: let go of the old source",
                     VERB_CHANGES | VERB_OPERATION, ARGS(finish_args)},
    [VERB_LIMIT] = {VERB_LIMIT, "limit", "show the limits, or change some until the next restart",
                    VERB_CHANGES, ARGS(limit_args)},
    [VERB_EVENTS] = {VERB_EVENTS, "events", "follow what happens, until Ctrl-C", VERB_LOCAL, NO_ARGS},
    [VERB_LOGS] = {VERB_LOGS, "logs", "show what the journal has of a link that is a service", VERB_LOCAL,
                   ARGS(logs_args)},
    [VERB_CONFIG] = {VERB_CONFIG, "config", "show each option in force, and where it is from", 0, NO_ARGS},
    [VERB_RELOAD] = {VERB_RELOAD, "reload",
                     "read the configuration again: all of it is taken, or nothing; tells each change",
                     VERB_CHANGES, NO_ARGS},
    [VERB_LIST] = {VERB_LIST, "list", "show all links of this machine", VERB_LOCAL, NO_ARGS},
    [VERB_VERSION] = {VERB_VERSION, "version", "show the versions of riotctl and riotd", 0, NO_ARGS},
    [VERB_HELP] = {VERB_HELP, "help", "show the verbs, or all about one", 0, ARGS(help_args)},
};
_Static_assert(ARRAY_LEN(verbs) == VERB_COUNT, "each verb has a row");

/* Case aside, and with - for _. */
static bool same_name(struct bytes b, const char *name)
{
    size_t i = 0;

    for (; i < b.len && name[i]; i++) {
        char c = b.ptr[i] == '-' ? '_' : b.ptr[i];
        if (strncasecmp(&c, &name[i], 1))
            return false;
    }
    return i == b.len && !name[i];
}

const struct verb *verb_find(struct bytes name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (bytes_is_nocase(name, verbs[i].name))
            return &verbs[i];
    }
    return NULL;
}

const struct verb_arg *verb_arg_find(const struct verb *v, struct bytes name)
{
    for (size_t i = 0; i < v->nargs; i++) {
        if (same_name(name, v->args[i].name))
            return &v->args[i];
    }
    return NULL;
}

struct near {
    char word[WORD_MAX];
    unsigned distance;
    const char *name;
};

static void near_init(struct near *n, struct bytes word)
{
    size_t len = MIN(word.len, sizeof(n->word) - 1);

    *n = (struct near){.distance = NEAR_EDITS + 1};
    for (size_t i = 0; i < len; i++) {
        char c = word.ptr[i];
        n->word[i] = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c ? c : '?';
    }
}

static void near_try(struct near *n, const char *name)
{
    unsigned distance = text_distance(n->word, name);

    if (distance < n->distance) {
        n->distance = distance;
        n->name = name;
    }
}

const char *verb_suggest(struct bytes name, unsigned flags)
{
    struct near n;

    near_init(&n, name);
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (!(verbs[i].flags & flags))
            near_try(&n, verbs[i].name);
    }
    return n.name;
}

const char *verb_arg_suggest(const struct verb *v, struct bytes name, unsigned flags)
{
    struct near n;

    near_init(&n, name);
    for (size_t i = 0; i < v->nargs; i++) {
        if (!(v->args[i].flags & flags))
            near_try(&n, v->args[i].name);
    }
    return n.name;
}
