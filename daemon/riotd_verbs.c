/* riotd_verbs.c - the verbs: in which states each is legal, and who does it. */
#include "daemon/riotd_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/status.h"
#include "lib/core/text.h"

#define STOP_BOUND_US     5000000 /* `stop`: for what was changed on the source to be put back */
#define CHECK_TIMEOUT_MS  10000   /* below riotctl's own */
#define TTL_TOLERANCE_MAX 86400000
#define CHECK_IN_COMMIT   "a cutover is about to commit: nothing else may be connected to the target"

static void answer_json(struct client *c, char *json)
{
    if (json)
        server_reply_json(c, bytes_str(json));
    else
        server_reply_error(c, CODE_FAILED, "out of memory");
    free(json);
}

static void answer_error(struct client *c, int err, const char *why)
{
    static const struct {
        int err;
        enum code code;
    } codes[] = {
        {-ENOENT, CODE_NOTFOUND}, {-EIO, CODE_FAILED},   {-ENOMEM, CODE_FAILED},
        {-EBUSY, CODE_BUSY},      {-EINVAL, CODE_USAGE},
    };
    enum code code = CODE_STATE;

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].err == err)
            code = codes[i].code;
    server_reply_error(c, code, "%s", why);
}

static void answer_result(struct client *c, int err, const char *why)
{
    if (err)
        answer_error(c, err, why);
    else
        server_reply_ok(c);
}

static void answer_operation(struct client *c, int err, const char *why, uint64_t id)
{
    if (err)
        answer_error(c, err, why);
    else
        answer_json(c, status_operation_id(id));
}

/* Of a flag, and of nothing else. */
static bool is_yes(const struct request *req, enum verb_arg_id arg)
{
    return req->values[arg].given && req->values[arg].number;
}

/* Each verb. */

static void verb_status(struct riotd *r, struct client *c, const struct request *req)
{
    const struct status_parts parts = {.config = r->config,
                                       .link = r->link,
                                       .verification = r->verification,
                                       .cutover = r->cutover,
                                       .operations = r->operations};
    (void)req;
    answer_json(c, status_document(&parts));
}

static void verb_start(struct riotd *r, struct client *c, const struct request *req)
{
    char why[LINK_WHY_MAX];
    int err = cutover_allows_start(r->cutover, why);
    answer_result(c, err ? err : link_start(r->link, is_yes(req, ARG_ANEW), why), why);
}

static void verb_pause(struct riotd *r, struct client *c, const struct request *req)
{
    char why[LINK_WHY_MAX];
    (void)req;
    answer_result(c, link_pause(r->link, why), why);
}

static void verb_resume(struct riotd *r, struct client *c, const struct request *req)
{
    char why[LINK_WHY_MAX];
    if (req->values[ARG_ACCEPT].given)
        answer_result(c, link_accept(r->link, req->values[ARG_ACCEPT].text, why), why);
    else
        answer_result(c, link_resume(r->link, why), why);
}

static void stop_is_done(void *arg)
{
    struct riotd *r = arg;
    struct client *c = r->stop_client ? server_find(r->server, r->stop_client) : NULL;

    r->stop_client = 0;
    if (c)
        server_reply_ok(c);
}

static void verb_stop(struct riotd *r, struct client *c, const struct request *req)
{
    char why[LINK_WHY_MAX];
    int err = cutover_allows_start(r->cutover, why);
    (void)req;

    if (!err)
        err = link_may_stop(r->link, why);
    if (err) {
        answer_error(c, err, why);
        return;
    }
    if (r->stop_client) {
        server_reply_error(c, CODE_BUSY, "the link is being stopped already");
        return;
    }
    r->stop_client = server_client_id(c);
    link_stop(r->link, false, STOP_BOUND_US, stop_is_done, r);
}

static void verb_wait(struct riotd *r, struct client *c, const struct request *req)
{
    uint64_t id;
    const struct request_value *timeout = &req->values[ARG_TIMEOUT];

    if (timeout->given && timeout->number == 0)
        server_reply_error(c, CODE_USAGE, "--timeout 0 would end at once: leave it out to wait without end");
    else if (waiting_start(r->waiting, (enum wait_for)req->values[ARG_FOR].number,
                           timeout->given ? timeout->number : 0, &id) < 0)
        server_reply_error(c, CODE_BUSY, OPERATIONS_BUSY);
    else
        answer_json(c, status_operation_id(id));
}

/* check: takes seconds, and answers then. */

static void preflight_is_over(void *arg)
{
    struct riotd *r = arg;
    r->preflight = preflight_free(r->preflight);
}

static void checked(const struct preflight_report *report, void *arg)
{
    struct riotd *r = arg;
    struct client *c = server_find(r->server, r->check_client);

    log_event_fields(r->log, EVENT_CHECKED,
                     LOG_FIELDS(LOG_NUMBER(ERRORS, report->errors), LOG_NUMBER(WARNINGS, report->warnings)),
                     "a check of both servers ended: %u error%s, %u warning%s", report->errors,
                     report->errors == 1 ? "" : "s", report->warnings, report->warnings == 1 ? "" : "s");
    if (c)
        answer_json(c, status_check_report(report));
    loop_defer(r->loop, &r->preflight_free_later, preflight_is_over, r);
}

void riotd_end_check(void *arg)
{
    struct riotd *r = arg;
    bool answered = r->preflight_free_later.queued;
    struct client *c = r->preflight && !answered ? server_find(r->server, r->check_client) : NULL;

    defer_cancel(r->loop, &r->preflight_free_later);
    r->preflight = preflight_free(r->preflight);
    if (c)
        server_reply_error(c, CODE_BUSY, CHECK_IN_COMMIT);
}

static int begin_check(struct riotd *r)
{
    struct link_status *s = calloc(1, sizeof(*s));
    struct preflight_options opt = {
        .config = r->config, .passwords = r->opt->passwords, .state = r->opt->state, .log = r->log};

    if (!s)
        return -ENOMEM;
    link_status(r->link, s);
    opt.link_runs = s->has_lane;
    if (s->has_lane) {
        opt.marks_per_s = (uint64_t)s->lane.marks_per_s;
    }
    free(s);
    return preflight_new(r->loop, &opt, CHECK_TIMEOUT_MS, checked, r, &r->preflight);
}

static void verb_check(struct riotd *r, struct client *c, const struct request *req)
{
    (void)req;
    if (r->preflight) {
        server_reply_error(c, CODE_BUSY, "a check runs already: ask again in a moment");
        return;
    }
    if (cutover_is_sealed(r->cutover)) {
        server_reply_error(c, CODE_BUSY, CHECK_IN_COMMIT);
        return;
    }
    r->check_client = server_client_id(c);
    if (begin_check(r) < 0)
        server_reply_error(c, CODE_FAILED, "out of memory");
}

/* verify */

static void verify_last(struct riotd *r, struct client *c)
{
    if (verification_last(r->verification))
        answer_json(c, status_verify_report(r->verification));
    else
        server_reply_error(c, CODE_NOTFOUND, "no verify has ended since riotd was started%s",
                           verification_runs(r->verification) ? "; one runs, see riotctl status" : "");
}

/* NULL: in order. */
static const char *verify_wrong(const struct request *req)
{
    const struct request_value *v = req->values;
    unsigned given = 0;

    for (size_t i = 0; i < req->verb->nargs; i++)
        given += v[req->verb->args[i].id].given;
    if (is_yes(req, ARG_LAST) && given > 1)
        return "--last shows the last report, and takes nothing else";
    if (is_yes(req, ARG_STOP) && given > 1)
        return "--stop ends the verify that runs, and takes nothing else";
    if (v[ARG_SAMPLE].given && !v[ARG_SAMPLE].number)
        return "--sample 0 would compare nothing: leave it out to compare all keys";
    if (v[ARG_DB].given && v[ARG_DB].number > URL_DB_MAX)
        return "--db is the number of a database: there is none so high";
    if (v[ARG_ROUNDS].given && (!v[ARG_ROUNDS].number || v[ARG_ROUNDS].number > VERIFICATION_ROUNDS_MAX))
        return "--rounds is 1 to 1000";
    if (v[ARG_TTL_TOLERANCE].given && v[ARG_TTL_TOLERANCE].number > TTL_TOLERANCE_MAX)
        return "--ttl-tolerance is at most 1d";
    return NULL;
}

static void verify_start(struct riotd *r, struct client *c, const struct request *req)
{
    const struct request_value *v = req->values;
    char why[LINK_WHY_MAX], match[VERIFICATION_MATCH_MAX];
    uint64_t id = 0;
    const struct verification_options opt = {
        .sample = v[ARG_SAMPLE].number,
        .match = v[ARG_MATCH].given ? match : NULL,
        .db = v[ARG_DB].given ? (int)v[ARG_DB].number : -1,
        .keys_per_s = v[ARG_RATE].number,
        .rounds = (unsigned)v[ARG_ROUNDS].number,
        .ttl_tolerance_ms = v[ARG_TTL_TOLERANCE].given ? (int64_t)v[ARG_TTL_TOLERANCE].number : -1,
        .repair = is_yes(req, ARG_REPAIR),
    };

    snprintf(match, sizeof(match), "%.*s", (int)v[ARG_MATCH].text.len, v[ARG_MATCH].text.ptr);
    int err = verification_start(r->verification, &opt, why, &id);
    answer_operation(c, err, why, id);
}

static void verb_verify(struct riotd *r, struct client *c, const struct request *req)
{
    const char *wrong = verify_wrong(req);
    char why[LINK_WHY_MAX];

    if (wrong)
        server_reply_error(c, CODE_USAGE, "%s", wrong);
    else if (is_yes(req, ARG_LAST))
        verify_last(r, c);
    else if (is_yes(req, ARG_STOP))
        answer_result(c, verification_stop(r->verification, why), why);
    else
        verify_start(r, c, req);
}

/* cutover */

static void take(const struct request *req, enum verb_arg_id arg, uint64_t *ret)
{
    if (req->values[arg].given)
        *ret = req->values[arg].number;
}

static void cutover_asked(const struct request *req, struct cutover_options *ret)
{
    uint64_t fence, verify;

    cutover_defaults(ret);
    fence = ret->fence;
    verify = ret->verify;
    ret->dry_run = is_yes(req, ARG_DRY_RUN);
    take(req, ARG_MAX_LAG_MS, &ret->max_lag_ms);
    take(req, ARG_STABLE_FOR, &ret->stable_for_ms);
    take(req, ARG_MAX_WRITE_PAUSE, &ret->max_write_pause_ms);
    take(req, ARG_GATE_TIMEOUT, &ret->gate_timeout_ms);
    take(req, ARG_FENCE, &fence);
    take(req, ARG_VERIFY, &verify);
    take(req, ARG_VERIFY_BUDGET, &ret->verify_budget_ms);
    take(req, ARG_HOLD_LEASE, &ret->hold_lease_ms);
    take(req, ARG_QUIET_FOR, &ret->quiet_for_ms);
    take(req, ARG_SENTINEL_DOWN_AFTER, &ret->sentinel_down_after_ms);
    ret->fence = (enum fence_kind)fence;
    ret->verify = (enum cutover_verify)verify;
}

static void verb_cutover(struct riotd *r, struct client *c, const struct request *req)
{
    struct cutover_options opt;
    char why[LINK_WHY_MAX];
    uint64_t id = 0;

    cutover_asked(req, &opt);
    int err = cutover_start(r->cutover, &opt, why, &id);
    answer_operation(c, err, why, id);
}

static void verb_abort(struct riotd *r, struct client *c, const struct request *req)
{
    char why[LINK_WHY_MAX];
    (void)req;
    answer_result(c, cutover_abort(r->cutover, why), why);
}

static void verb_finish(struct riotd *r, struct client *c, const struct request *req)
{
    char why[LINK_WHY_MAX];
    uint64_t id = 0;
    int err = cutover_finish(r->cutover, is_yes(req, ARG_UNFENCE), is_yes(req, ARG_FORCE), why, &id);
    answer_operation(c, err, why, id);
}

/* All or nothing: each value is checked before the first is set. */
static void verb_limit(struct riotd *r, struct client *c, const struct request *req)
{
    static const enum verb_arg_id args[] = {ARG_MEMORY, ARG_KEYS_PER_S, ARG_BYTES_PER_S, ARG_COALESCE};
    static const char *const names[] = {"memory", "keys_per_s", "bytes_per_s", "coalesce"};
    uint64_t *const limits[] = {&r->config->limit_memory, &r->config->limit_keys_per_s,
                                &r->config->limit_bytes_per_s, &r->config->limit_coalesce_ms};
    uint64_t before[ARRAY_LEN(limits)];
    char why[CONFIG_WHY_MAX], value[64], memory[TEXT_MAX], bytes[TEXT_MAX];
    bool any = false;

    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        before[i] = *limits[i];
    for (size_t i = 0; i < ARRAY_LEN(args); i++) {
        const struct request_value *v = &req->values[args[i]];
        if (!v->given)
            continue;
        any = true;
        snprintf(value, sizeof(value), "%.*s", (int)v->text.len, v->text.ptr);
        if (config_set_limit(r->config, names[i], value, why) == 0)
            continue;
        for (size_t at = 0; at < ARRAY_LEN(limits); at++)
            *limits[at] = before[at];
        server_reply_error(c, CODE_USAGE, "%s: %s", names[i], why);
        return;
    }
    if (any) {
        link_limits_changed(r->link);
        const struct config *now = r->config;
        log_event_fields(r->log, EVENT_LIMIT,
                         LOG_FIELDS(LOG_NUMBER(LIMIT_MEMORY, now->limit_memory),
                                    LOG_NUMBER(LIMIT_KEYS_PER_S, now->limit_keys_per_s),
                                    LOG_NUMBER(LIMIT_BYTES_PER_S, now->limit_bytes_per_s),
                                    LOG_NUMBER(LIMIT_COALESCE_MS, now->limit_coalesce_ms)),
                         "the limits are now: memory %s, keys_per_s %" PRIu64
                         ", bytes_per_s %s, coalesce %" PRIu64 "ms",
                         text_size_exact(now->limit_memory, memory), now->limit_keys_per_s,
                         text_size_exact(now->limit_bytes_per_s, bytes), now->limit_coalesce_ms);
    }
    answer_json(c, status_limits(r->config));
}

static void verb_config(struct riotd *r, struct client *c, const struct request *req)
{
    (void)req;
    answer_json(c, status_config(r->config));
}

static void verb_reload(struct riotd *r, struct client *c, const struct request *req)
{
    (void)req;
    riotd_reload(r, c);
}

/* THE table of what is legal when. With one of the arguments in `with`, the states in `too` are legal as
 * well. What a state cannot tell (blockers, a stop that is under way) the handler finds. */

#define IN(s)   (1u << LINK_##s)
#define ALWAYS  ((1u << LINK_STATES) - 1)
#define NO_ARG  ARG_COUNT
#define COPYING (IN(SNAPSHOT) | IN(RESYNC) | IN(LIVE))
#define AFTER   (IN(COMMITTED) | IN(FINISHED))
static const struct row {
    void (*fn)(struct riotd *r, struct client *c, const struct request *req);
    unsigned states;
    enum verb_arg_id with[2];
    unsigned too;
} rows[VERB_COUNT] = {
    [VERB_STATUS] = {verb_status, ALWAYS, {NO_ARG, NO_ARG}, 0},
    [VERB_START] = {verb_start, IN(IDLE) | IN(FAILED), {ARG_ANEW, NO_ARG}, AFTER},
    [VERB_PAUSE] = {verb_pause, COPYING | IN(PAUSED), {NO_ARG, NO_ARG}, 0},
    [VERB_RESUME] = {verb_resume, IN(PAUSED), {ARG_ACCEPT, NO_ARG}, ALWAYS & ~(AFTER | IN(CUTOVER))},
    [VERB_STOP] = {verb_stop, ALWAYS & ~(AFTER | IN(CUTOVER)), {NO_ARG, NO_ARG}, 0},
    [VERB_WAIT] = {verb_wait, ALWAYS, {NO_ARG, NO_ARG}, 0},
    [VERB_CHECK] = {verb_check, ALWAYS, {NO_ARG, NO_ARG}, 0},
    [VERB_VERIFY] = {verb_verify, IN(LIVE), {ARG_LAST, ARG_STOP}, ALWAYS},
    /* What is under way, and what has passed, is for the cutover to tell. */
    [VERB_CUTOVER] = {verb_cutover, IN(LIVE) | IN(CUTOVER) | AFTER, {NO_ARG, NO_ARG}, 0},
    [VERB_ABORT] = {verb_abort, ALWAYS, {NO_ARG, NO_ARG}, 0},
    [VERB_FINISH] = {verb_finish, ALWAYS, {NO_ARG, NO_ARG}, 0},
    [VERB_LIMIT] = {verb_limit, ALWAYS, {NO_ARG, NO_ARG}, 0},
    [VERB_CONFIG] = {verb_config, ALWAYS, {NO_ARG, NO_ARG}, 0},
    [VERB_RELOAD] = {verb_reload, ALWAYS, {NO_ARG, NO_ARG}, 0},
};

/* What leads on from a state in which a verb is not legal: to `live`, or from where only this does. */
static const struct {
    const char *text;
    bool to_live;
} advice[LINK_STATES] = {
    [LINK_IDLE] = {"riotctl start begins it", true},
    [LINK_CONNECTING] = {"riotctl wait --for live", true},
    [LINK_SNAPSHOT] = {"riotctl wait --for live", true},
    [LINK_RESYNC] = {"riotctl wait --for live", true},
    [LINK_LIVE] = {NULL, false},
    [LINK_PAUSED] = {"riotctl resume goes on", false},
    [LINK_CUTOVER] = {"riotctl abort puts all back", false},
    [LINK_COMMITTED] = {"the target owns the data; see riotctl finish", false},
    [LINK_FINISHED] = {"the target owns the data; a new link needs riotctl start --anew", false},
    [LINK_FAILED] = {"riotctl status shows why", true},
};

static unsigned legal_states(const struct request *req)
{
    const struct row *row = &rows[req->verb->id];
    unsigned states = row->states;

    for (size_t i = 0; i < ARRAY_LEN(row->with); i++)
        if (row->with[i] != NO_ARG && req->values[row->with[i]].given)
            states |= row->too;
    return states;
}

/* "snapshot, resync and live" */
static const char *list_states(unsigned states, char *out, size_t cap)
{
    size_t at = 0;

    for (enum link_state s = 0; s < LINK_STATES; s++) {
        if (!(states & 1u << s))
            continue;
        states &= ~(1u << s);
        at += (size_t)snprintf(out + at, cap - at, "%s%s",
                               !at      ? ""
                               : states ? ", "
                                        : " and ",
                               link_state_name(s));
    }
    return out;
}

static bool is_legal(struct riotd *r, struct client *c, const struct request *req)
{
    enum link_state s = link_state(r->link);
    unsigned legal = legal_states(req);
    char list[128];

    if (legal & 1u << s)
        return true;
    bool hint = advice[s].text && (!advice[s].to_live || legal & IN(LIVE));
    server_reply_error(c, s == LINK_CUTOVER ? CODE_BUSY : CODE_STATE, "the link is %s: %s works in %s%s%s",
                       link_state_name(s), req->verb->name, list_states(legal, list, sizeof(list)),
                       hint ? "; " : "", hint ? advice[s].text : "");
    return false;
}
#undef IN

/* `limit` without a value is a question, and so is the last report. */
static bool changes(const struct request *req)
{
    const struct verb *v = req->verb;
    bool given = v->id != VERB_LIMIT;

    for (size_t i = 0; i < v->nargs; i++)
        given |= req->values[v->args[i].id].given;
    return given && v->flags & VERB_CHANGES && !is_yes(req, ARG_LAST);
}

static void tell_command(struct riotd *r, struct client *c, const struct request *req)
{
    unsigned uid = (unsigned)server_client_uid(c), pid = (unsigned)server_client_pid(c);

    log_event_fields(
        r->log, EVENT_COMMAND,
        LOG_FIELDS(LOG_TEXT(VERB, req->verb->name), LOG_NUMBER(PEER_UID, uid), LOG_NUMBER(PEER_PID, pid)),
        "%s was asked for by uid %u, pid %u", req->verb->name, uid, pid);
}

void riotd_verb(struct client *c, const struct request *req, void *arg)
{
    struct riotd *r = arg;

    if (!rows[req->verb->id].fn) {
        server_reply_error(c, CODE_USAGE, "%s is answered by the server itself", req->verb->name);
        return;
    }
    r->changing = changes(req) ? req->verb : NULL;
    if (r->changing)
        tell_command(r, c, req);
    if (is_legal(r, c, req))
        rows[req->verb->id].fn(r, c, req);
    r->changing = NULL;
}

/* What does not change anything is no matter of the journal. */
void riotd_verb_refused(struct client *c, const char *text, void *arg)
{
    const struct riotd *r = arg;

    if (!r->changing)
        return;
    log_event_fields(r->log, EVENT_COMMAND_REFUSED,
                     LOG_FIELDS(LOG_TEXT(VERB, r->changing->name), LOG_TEXT(REASON, text),
                                LOG_NUMBER(PEER_UID, server_client_uid(c)),
                                LOG_NUMBER(PEER_PID, (uint64_t)server_client_pid(c))),
                     "%s was refused: %s", r->changing->name, text);
}
