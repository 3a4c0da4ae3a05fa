/* riotd.c - see riotd.h. */
#include "daemon/riotd_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/status.h"
#include "lib/core/text.h"

#define SECOND_US        1000000
#define PROGRESS_SECONDS 60
#define PUT_BACK_US                                                                                          \
    1000000 /* SIGTERM: what was changed on the source is put back if it answers in this time */

#define FINISH_STEP_US                                                                                       \
    30000000 /* a stop waits so long for the step of a cutover that must finish, also on a slow disk */

/* Events. */

static void publish(struct riotd *r, char *json)
{
    if (json && r->server)
        server_publish(r->server, r->seq, bytes_str(json));
    free(json);
}

/* Operations are told with their own fields, whatever log.level is. */
static bool told_apart(const char *event)
{
    return strcmp(event, event_get(EVENT_OPERATION_ENDED)->name) == 0;
}

static void log_tapped(const struct log_entry *e, void *arg)
{
    struct riotd *r = arg;
    if (!told_apart(e->event) && r->server && server_subscribers(r->server))
        publish(r, status_log_event(++r->seq, e));
}

static void operation_ended(const struct operation *op, void *arg)
{
    struct riotd *r = arg;
    const char *name = event_get(EVENT_OPERATION_ENDED)->name;

    publish(r, status_operation_event(++r->seq, name, op));
    log_event_fields(r->log, EVENT_OPERATION_ENDED,
                     LOG_FIELDS(LOG_NUMBER(OPERATION, op->id), LOG_TEXT(VERB, op->verb),
                                LOG_TEXT(RESULT, op->result), LOG_NUMBER(EXIT_CODE, (uint64_t)op->exit_code),
                                LOG_TEXT(REASON, op->text)),
                     "%s (operation %" PRIu64 ") has ended: %s", op->verb, op->id, op->result);
    if (r->waiting) /* it may have been a verify */
        waiting_look(r->waiting);
}

/* Those that begin later in make() may not be there yet. */
static void link_changed(void *arg)
{
    struct riotd *r = arg;
    if (r->cutover)
        cutover_link_changed(r->cutover);
    if (r->waiting)
        waiting_look(r->waiting);
}

static void link_lane_gone(void *arg)
{
    struct riotd *r = arg;
    if (r->verification)
        verification_lane_gone(r->verification);
    if (r->cutover)
        cutover_lane_gone(r->cutover);
    if (r->waiting)
        waiting_lane_gone(r->waiting);
}

/* Time. */

static void tell_progress(struct riotd *r, const struct link_status *s)
{
    char copied[TEXT_MAX], size[TEXT_MAX], all[TEXT_MAX], eta[TEXT_MAX], lag[TEXT_MAX], keys[TEXT_MAX];
    char percent[64] = "", left[64] = "";
    const struct lane_status *l = &s->lane;

    if (!s->has_lane)
        return;
    bool passes = s->state == LINK_SNAPSHOT || s->state == LINK_RESYNC;
    if (passes)
        snprintf(percent, sizeof(percent), " %.0f %% of about %s keys", l->percent,
                 text_count(l->estimated_keys, all));
    if (passes && l->eta_ms >= 0)
        snprintf(left, sizeof(left), ", about %s left", text_ms((uint64_t)l->eta_ms, eta));
    log_event_fields(r->log, EVENT_PROGRESS,
                     LOG_FIELDS(LOG_NUMBER(COPIED_KEYS, l->copied_keys), LOG_NUMBER(BYTES, l->bytes),
                                LOG_NUMBER(KEYS_PER_S, (uint64_t)l->copied_keys_per_s),
                                LOG_NUMBER(PERCENT, passes ? (uint64_t)l->percent : UINT64_MAX),
                                LOG_NUMBER(ETA_MS, passes ? (uint64_t)l->eta_ms : UINT64_MAX),
                                LOG_NUMBER(LAG_KEYS, l->lag_keys), LOG_NUMBER(LAG_MS, l->lag_ms)),
                     "%s%s: %s keys (%s) copied so far, %.0f keys/s%s; the target is %s behind, %s key%s",
                     link_state_name(s->state), percent, text_count(l->copied_keys, copied),
                     text_size(l->bytes, size), l->copied_keys_per_s, left, text_ms(l->lag_ms, lag),
                     text_count(l->lag_keys, keys), l->lag_keys == 1 ? "" : "s");
}

/* For `systemctl status`: "snapshot 73 %, 41k keys/s, lag 0.2 s"; without figures, the reason. */
static void tell_service(struct riotd *r, const struct link_status *s)
{
    const char *state = link_state_name(s->state);
    char rate[TEXT_MAX], lag[TEXT_MAX], percent[16] = "";

    if (!s->has_lane) {
        service_status(r->service, "%s: %s", state, s->reason);
        return;
    }
    if (s->state == LINK_SNAPSHOT || s->state == LINK_RESYNC)
        snprintf(percent, sizeof(percent), " %.0f %%", s->lane.percent);
    service_status(r->service, "%s%s, %s keys/s, lag %s", state, percent,
                   text_count((uint64_t)s->lane.copied_keys_per_s, rate), text_ms(s->lane.lag_ms, lag));
}

static void second_passed(void *arg)
{
    struct riotd *r = arg;
    struct link_status *s = calloc(1, sizeof(*s));

    timer_beat(r->second, SECOND_US);
    log_flush(r->log);
    if (!s)
        return;
    link_status(r->link, s);
    tell_service(r, s);
    if (++r->seconds % PROGRESS_SECONDS == 0)
        tell_progress(r, s);
    free(s);
}

static void ended(void *arg)
{
    struct riotd *r = arg;
    loop_stop(r->loop);
}

static void end_link(void *arg)
{
    struct riotd *r = arg;
    link_stop(r->link, true, PUT_BACK_US, ended, r);
}

/* A cutover is undone first, or its step finished. A second signal finds it ending, and changes nothing. */
static void on_signal(int number, void *arg)
{
    struct riotd *r = arg;

    if (r->ending)
        return;
    r->ending = true;
    log_event(r->log, EVENT_STOPPING, "riotd ends, on %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    service_stopping(r->service);
    if (cutover_end(r->cutover, end_link, r))
        service_extend(r->service, FINISH_STEP_US);
    else
        end_link(r);
}

static void on_hangup(int number, void *arg)
{
    struct riotd *r = arg;
    (void)number;

    if (r->ending)
        return;
    log_event_fields(r->log, EVENT_COMMAND, LOG_FIELDS(LOG_TEXT(VERB, "reload")),
                     "reload was asked for by SIGHUP");
    riotd_reload(r, NULL);
}

/* The whole. */

/* When the loop gives its handlers back, what was there before holds again: it is made to be nothing, so that
 * a second signal in the process' last moments does not end it in the middle of its cleaning up. */
static int take_signals(struct riotd *r)
{
    const struct {
        int number;
        void (*fn)(int number, void *arg);
        struct sig **at;
    } taken[] = {
        {SIGTERM, on_signal, &r->term}, {SIGINT, on_signal, &r->interrupt}, {SIGHUP, on_hangup, &r->hangup}};
    sigset_t all, before;
    int err = 0;

    sigemptyset(&all);
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        sigaddset(&all, taken[i].number);
    sigprocmask(SIG_BLOCK, &all, &before);
    for (size_t i = 0; i < ARRAY_LEN(taken) && !err; i++) {
        signal(taken[i].number, SIG_IGN);
        err = sig_new(r->loop, taken[i].number, taken[i].fn, r, taken[i].at);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return err;
}

static int make(struct riotd *r, const struct riotd_options *opt)
{
    static const struct link_events link_events = {.changed = link_changed, .lane_gone = link_lane_gone};
    static const struct operations_events operations_events = {.ended = operation_ended};
    const struct link_options link_opt = {
        .config = opt->config, .passwords = opt->passwords, .state = opt->state, .log = opt->log};

    signal(SIGPIPE, SIG_IGN); /* a reader of the log that goes away is no reason to end */
    int err = loop_new(&r->loop);
    if (!err)
        err = service_new(r->loop, &r->service);
    if (!err)
        err = take_signals(r);
    if (!err)
        err = timer_new(r->loop, second_passed, r, &r->second);
    if (!err)
        err = link_new(r->loop, &link_opt, &link_events, r, &r->link);
    if (!err)
        err = operations_new(&operations_events, r, &r->operations);
    if (!err)
        err = verification_new(r->loop, opt->config, r->link, r->operations, r->log, &r->verification);
    if (!err)
        err = cutover_new(r->loop, opt->config, r->link, r->verification, r->operations, opt->state, r->log,
                          &r->cutover);
    if (!err)
        cutover_on_seal(r->cutover, riotd_end_check, r);
    if (!err)
        err = waiting_new(r->loop, r->link, r->verification, r->operations, &r->waiting);
    return err;
}

static void unmake(struct riotd *r)
{
    log_tap(r->log, NULL, NULL);
    r->server = server_free(r->server);
    if (r->loop)
        defer_cancel(r->loop, &r->preflight_free_later);
    preflight_free(r->preflight);
    waiting_free(r->waiting);
    cutover_free(r->cutover);
    verification_free(r->verification);
    operations_free(r->operations);
    link_free(r->link);
    timer_free(r->second);
    sig_free(r->term);
    sig_free(r->interrupt);
    sig_free(r->hangup);
    service_free(r->service);
    if (!r->loop)
        return;
    /* What was to be released after its callback is released now. */
    loop_stop(r->loop);
    if (loop_run(r->loop) < 0)
        log_event(r->log, EVENT_INTERNAL_ERROR, "the event loop failed at the end");
    loop_free(r->loop);
}

static int listen_failed(struct riotd *r, const char *path, int err)
{
    const struct log_field *fields = LOG_FIELDS(LOG_TEXT(FILE, path));
    if (err == -EADDRINUSE) {
        log_event_fields(r->log, EVENT_CONFIG_ERROR, fields,
                         "another process answers at the control socket %s", path);
        return EX_UNAVAILABLE;
    }
    log_event_fields(r->log, EVENT_CONFIG_ERROR, fields, "the control socket %s cannot be made: %s", path,
                     strerror(-err));
    return err == -EACCES || err == -EPERM ? EX_NOPERM : EX_CONFIG;
}

static int run(struct riotd *r, const struct riotd_options *opt)
{
    int err = make(r, opt);
    if (err) {
        log_event(r->log, EVENT_INTERNAL_ERROR, "riotd cannot begin: %s", strerror(-err));
        return EX_SOFTWARE;
    }
    log_tap(r->log, log_tapped, r);
    log_event_fields(r->log, EVENT_STARTED, LOG_FIELDS(LOG_TEXT(VERSION, RIOT_VERSION)),
                     "riotd %s runs the link %s, from %s to %s", RIOT_VERSION, opt->config->name,
                     opt->config->source.url.text, opt->config->target.url.text);
    /* Before the socket answers: with autostart, the first status says `connecting`; after a cutover, how it
     * stands. */
    if (!cutover_begin(r->cutover))
        link_begin(r->link);
    err = server_new(r->loop, opt->socket, log_sink(r->log), riotd_verb, r, &r->server);
    if (err)
        return listen_failed(r, opt->socket, err);
    server_on_error(r->server, riotd_verb_refused);
    service_ready(r->service);
    timer_beat(r->second, SECOND_US);
    err = loop_run(r->loop);
    if (err) {
        log_event(r->log, EVENT_INTERNAL_ERROR, "the event loop failed: %s", strerror(-err));
        return EX_SOFTWARE;
    }
    log_event(r->log, EVENT_STOPPED, "riotd has ended");
    return EX_OK;
}

int riotd_run(const struct riotd_options *opt)
{
    struct riotd r = {.opt = opt, .config = opt->config, .log = opt->log};
    int status = run(&r, opt);
    unmake(&r);
    return status;
}
