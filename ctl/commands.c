#include "ctl/commands.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doc.h"
#include "ctl/follow.h"
#include "ctl/listing.h"
#include "ctl/logs.h"
#include "ctl/report_cutover.h"
#include "ctl/report_verify.h"
#include "ctl/report_check.h"
#include "ctl/screen.h"
#include "ctl/usage.h"
#include "lib/core/clock.h"

#define HELP_MAX (64 * KIB)

typedef int document_fn(const struct session *s, const json_t *doc, struct buf *out);

/* Asks for a document and shows it: as it is, or by fn. */
static int show_document(struct session *s, document_fn *fn)
{
    struct buf out;
    char *text;
    int status = session_request(s, &text);

    if (status)
        return status;
    json_t *doc = doc_parse(text);
    if (s->args->json) {
        session_print_json(strcmp(text, "OK") ? text : "{\"ok\":true}", false);
    } else if (!doc) {
        puts(text);
    } else {
        buf_init(&out, SESSION_TEXT_MAX);
        int e = fn(s, doc, &out);
        session_print(&out);
        buf_free(&out);
        if (e)
            status = session_fail(s, CTL_FAILED, code_name(CODE_FAILED), "riotd's answer cannot be shown: %s",
                                  strerror(-e));
    }
    json_decref(doc);
    free(text);
    return status;
}

static int render_status(const struct session *s, const json_t *doc, struct buf *out)
{
    if (s->args->request.values[ARG_LANES].given)
        return listing_lanes(s, doc, out);
    struct term t = term_lines(&s->out);
    screen_render(doc, &t, clock_wall_ms(), out);
    return 0;
}

static int run_status(struct session *s)
{
    return s->args->request.values[ARG_WATCH].given ? follow_status(s) : show_document(s, render_status);
}

static int run_limit(struct session *s)
{
    return show_document(s, listing_limits);
}

static int run_config(struct session *s)
{
    return show_document(s, listing_options);
}

static int run_reload(struct session *s)
{
    return show_document(s, listing_changes);
}

static int run_list(struct session *s)
{
    return listing_links(s);
}

static void print_own_version(void)
{
    puts("riotctl " RIOT_VERSION);
}

int commands_own_version(void)
{
    print_own_version();
    return CTL_OK;
}

/* riotctl's own is told even where riotd does not answer. */
static int run_version(struct session *s)
{
    struct buf out;
    char *text;

    if (!s->args->json)
        print_own_version();
    fflush(stdout);
    int status = session_request(s, &text);
    if (status)
        return status;
    json_t *doc = doc_parse(text);
    const char *version = doc_text(doc, "version");
    buf_init(&out, SESSION_TEXT_MAX);
    if (s->args->json) {
        session_print_json(text, false);
    } else if (!buf_append_str(&out, "riotd ")) {
        term_put(&out, &s->out, bytes_str(version ? version : "unknown"), SIZE_MAX);
        if (!buf_append_str(&out, "\n"))
            session_print(&out);
    }
    buf_free(&out);
    json_decref(doc);
    free(text);
    return CTL_OK;
}

int commands_help(struct session *s, const struct verb *about)
{
    struct buf out;

    buf_init(&out, HELP_MAX);
    int e = about ? usage_verb(about, &out) : usage_all(&out);
    session_print(&out);
    buf_free(&out);
    return e ? session_fail(s, CTL_FAILED, code_name(CODE_FAILED), "%s", strerror(-e)) : CTL_OK;
}

static int run_help(struct session *s)
{
    const struct request_value *about = &s->args->request.values[ARG_VERB];
    const struct verb *v = about->given ? verb_find(about->text) : NULL;

    const char *meant = about->given && !v ? verb_suggest(about->text, 0) : NULL;

    if (about->given && !v)
        return session_fail(s, CTL_USAGE, code_name(CODE_USAGE), "there is no verb '%.*s'; %s%s%s",
                            (int)about->text.len, about->text.ptr,
                            meant ? "did you mean '" : "'riotctl help' lists them", meant ? meant : "",
                            meant ? "'?" : "");
    return commands_help(s, v);
}

static int (*const commands[])(struct session *s) = {
    [VERB_STATUS] = run_status,     [VERB_START] = follow_request, [VERB_PAUSE] = follow_request,
    [VERB_RESUME] = follow_request, [VERB_STOP] = follow_request,  [VERB_WAIT] = follow_request,
    [VERB_CHECK] = report_check,    [VERB_VERIFY] = report_verify, [VERB_CUTOVER] = report_cutover,
    [VERB_ABORT] = follow_request,  [VERB_FINISH] = report_finish, [VERB_LIMIT] = run_limit,
    [VERB_EVENTS] = follow_events,  [VERB_LOGS] = logs_show,       [VERB_CONFIG] = run_config,
    [VERB_RELOAD] = run_reload,     [VERB_LIST] = run_list,        [VERB_VERSION] = run_version,
    [VERB_HELP] = run_help,
};
_Static_assert(ARRAY_LEN(commands) == VERB_COUNT, "each verb has its command");

int commands_run(struct session *s)
{
    return commands[s->args->request.verb->id](s);
}
