#include "ctl/follow.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "ctl/doc.h"
#include "ctl/screen.h"
#include "lib/core/clock.h"

#define STEP_MS     1000 /* a signal that came just before a wait is seen after so long */
#define PROGRESS_MS 1000
#define CODE_MAX    24

struct follow {
    struct session *s;
    struct control *events;
    const struct follow_view *view;
    void *arg;
    uint64_t id;
    const char *verb;
    bool shown;       /* a line of progress stands on the terminal */
    uint64_t next_us; /* when to show the next */
};

/* --- one operation --- */

static void clear_progress(struct follow *f)
{
    if (f->shown)
        fputs("\r\033[K", stderr);
    f->shown = false;
}

/* "undone: it was aborted" behind the code UNDONE. */
static const char *without_code(const char *text, const char *code)
{
    size_t len = strlen(code);

    if (strncasecmp(text, code, len) != 0 || strncmp(text + len, ": ", 2) != 0)
        return text;
    return text + len + 2;
}

int follow_tell_end(struct session *s, const struct follow_end *end)
{
    struct buf out;

    if (end->status)
        return session_fail(s, (enum ctl_exit)end->status, end->code, "%s",
                            end->text[0] ? without_code(end->text, end->code)
                                         : "the operation did not succeed");
    if (s->args->json || !end->text[0])
        return CTL_OK;
    buf_init(&out, SESSION_TEXT_MAX);
    term_put(&out, &s->out, bytes_str(end->text), SIZE_MAX);
    if (!buf_append_str(&out, "\n"))
        session_print(&out);
    buf_free(&out);
    return CTL_OK;
}

static const char *code_of(const char *result, char out[CODE_MAX])
{
    snprintf(out, CODE_MAX, "%s", result && result[0] ? result : "failed");
    for (char *c = out; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return out;
}

static int end_with(struct follow *f, const json_t *doc, const char *json)
{
    const char *text = doc_text(doc, "text");
    uint64_t status = CTL_FAILED;
    char code[CODE_MAX];

    clear_progress(f);
    doc_number(doc, "exit_code", &status);
    struct follow_end end = {
        .status = (int)MIN(status, 255u),
        .code = code_of(doc_text(doc, "result"), code),
        .text = text ? text : "",
        .json = json ? json : "{}",
    };
    if (f->view->ended)
        return f->view->ended(f->s, &end, f->arg);
    if (f->s->args->json)
        session_print_json(end.json, true);
    return follow_tell_end(f->s, &end);
}

/* Looks for the end in the status: events may have been lost, or have no reader. -1: it goes on. */
static int look_in_status(struct follow *f, const json_t *doc)
{
    const json_t *each;
    uint64_t id;
    size_t i;

    json_array_foreach(doc_get(doc, "operations"), i, each)
    {
        const char *state = doc_text(each, "state");
        if (!doc_number(each, "id", &id) || id != f->id || !state || strcmp(state, "ended") != 0)
            continue;
        char *text = json_dumps(each, DOC_JSON);
        int status = end_with(f, each, text);
        free(text);
        return status;
    }
    return -1;
}

typedef void show_fn(const json_t *doc, const struct term *t, struct buf *out, void *arg);

/* What the view has to say of it, above the line of progress. */
static void show_lines(struct follow *f, show_fn *fn, const json_t *doc)
{
    struct buf out;

    if (!fn || f->s->args->json)
        return;
    buf_init(&out, SESSION_TEXT_MAX);
    fn(doc, &f->s->out, &out, f->arg);
    if (buf_len(&out))
        clear_progress(f);
    session_print(&out);
    buf_free(&out);
}

static void show_progress(struct follow *f, const json_t *doc)
{
    struct term t = f->s->err;
    struct buf out;

    if (!t.tty)
        return;
    term_size(STDERR_FILENO, &f->s->err);
    t = f->s->err;
    t.width -= 1; /* a full last column may wrap */
    buf_init(&out, 4 * KIB);
    int e = buf_append_str(&out, "\r\033[K");
    if (!e && f->view->progress) {
        f->view->progress(doc, &t, &out, f->arg);
    } else if (!e && !buf_printf(&out, "%s: ", f->verb)) {
        t.width -= (unsigned)strlen(f->verb) + 2;
        screen_line(doc, &t, &out);
    }
    session_print_err(&out);
    f->shown = true;
    buf_free(&out);
}

static int leave_running(struct follow *f)
{
    clear_progress(f);
    return session_fail(f->s, CTL_INTERRUPTED, "INTERRUPTED", "operation %llu (%s) goes on in riotd; %s",
                        (unsigned long long)f->id, f->verb,
                        f->view->left ? f->view->left : "'riotctl status' shows it");
}

static int tell_gone(struct follow *f, struct control_error *err)
{
    size_t len = strlen(err->text);

    clear_progress(f);
    if (f->view->gone)
        snprintf(err->text + len, sizeof(err->text) - len, "; %s", f->view->gone);
    return session_error(f->s, err);
}

/* -1: goes on. */
static int ask_status(struct follow *f)
{
    const struct bytes argv = BYTES("STATUS");
    struct control_error err;
    char *text;
    int status = session_open(f->s);

    if (status)
        return status;
    if (control_request(f->s->conn, 1, &argv, &text, &err))
        return session_interrupted() ? leave_running(f) : tell_gone(f, &err);
    json_t *doc = doc_parse(text);
    free(text);
    show_lines(f, f->view->status, doc);
    status = look_in_status(f, doc);
    if (status < 0 && doc)
        show_progress(f, doc);
    json_decref(doc);
    return status;
}

/* -1: goes on. */
static int take_event(struct follow *f, const char *text)
{
    json_t *doc = doc_parse(text);
    const char *event = doc_text(doc, "event");
    int status = -1;
    uint64_t id;

    show_lines(f, f->view->event, doc);
    if (event && !strcmp(event, "gap"))
        status = ask_status(f);
    else if (event && !strcmp(event, "operation_ended") && doc_number(doc, "operation", &id) && id == f->id)
        status = end_with(f, doc, text);
    json_decref(doc);
    return status;
}

/* -1: goes on. */
static int step(struct follow *f)
{
    unsigned period_ms = f->view->progress_ms ? f->view->progress_ms : PROGRESS_MS;
    struct control_error err;
    char *text;
    int status = -1;

    if (session_interrupted())
        return leave_running(f);
    int e = control_event(f->events, f->s->err.tty ? MIN(period_ms, STEP_MS) : STEP_MS, &text, &err);
    if (!e) {
        status = take_event(f, text);
        free(text);
    } else if (e != -EAGAIN && e != -EINTR) {
        return tell_gone(f, &err);
    }
    if (status >= 0 || session_interrupted())
        return status;
    if (f->s->err.tty && clock_mono_us() >= f->next_us) {
        f->next_us = clock_mono_us() + period_ms * 1000;
        return ask_status(f);
    }
    return status;
}

/* The answer to a request: an operation's id, to be followed, or all there is to say. */
static int take_answer(struct follow *f, const char *text)
{
    json_t *doc = doc_parse(text);
    bool operation = doc_number(doc, "operation", &f->id);
    int status = -1;

    json_decref(doc);
    if (f->s->args->json && (!operation || f->s->args->no_wait)) {
        session_print_json(strcmp(text, "OK") ? text : "{\"ok\":true}", true);
        return CTL_OK;
    }
    if (!operation)
        puts(text);
    else if (f->s->args->no_wait)
        printf("%llu\n", (unsigned long long)f->id);
    else
        while (status < 0)
            status = step(f);
    return MAX(status, CTL_OK);
}

int follow_operation(struct session *s, const struct follow_view *view, void *arg)
{
    const struct verb *v = s->args->request.verb;
    struct follow f = {.s = s, .view = view, .arg = arg, .verb = v->name};
    char *text;
    int status = CTL_OK;

    f.next_us = clock_mono_us() + PROGRESS_MS * 1000 / 2;
    session_catch();
    if (!s->args->no_wait && v->flags & VERB_OPERATION)
        status = session_listen(s, &f.events);
    if (!status)
        status = session_request(s, &text);
    if (!status) {
        status = take_answer(&f, text);
        free(text);
    }
    control_free(f.events);
    return status;
}

int follow_request(struct session *s)
{
    static const struct follow_view plain = {.event = NULL};

    return follow_operation(s, &plain, NULL);
}

/* --- events --- */

static enum style event_style(const char *event, const char *priority)
{
    if (priority && (!strcmp(priority, "err") || !strcmp(priority, "error")))
        return STYLE_RED;
    if ((priority && !strcmp(priority, "warning")) || !strcmp(event, "gap"))
        return STYLE_YELLOW;
    return STYLE_BOLD;
}

/* "2026-01-02T03:04:05.678Z  state_changed: live". */
static void put_event(struct session *s, const char *text, struct buf *out)
{
    json_t *doc = doc_parse(text);
    const char *event = doc_text(doc, "event"), *said = doc_text(doc, "text"), *time = doc_text(doc, "time");
    const struct term *t = &s->out;
    int e = buf_append_str(out, term_style(t, STYLE_DIM));

    if (!event)
        event = "unknown";
    term_put(out, t, bytes_str(time ? time : "?"), SIZE_MAX);
    e = e ? e
          : buf_printf(out, "%s  %s", term_plain(t),
                       term_style(t, event_style(event, doc_text(doc, "priority"))));
    term_put(out, t, bytes_str(event), SIZE_MAX);
    e = e ? e : buf_printf(out, "%s%s", term_plain(t), said ? ": " : "");
    if (said)
        term_put(out, t, bytes_str(said), SIZE_MAX);
    e = e ? e : buf_append_str(out, "\n");
    if (e)
        buf_consume(out, buf_len(out));
    json_decref(doc);
}

static int print_events(struct session *s, struct control *c, struct buf *out)
{
    struct control_error err;
    char *text;

    while (!ferror(stdout)) {
        if (session_interrupted())
            return CTL_INTERRUPTED;
        int e = control_event(c, STEP_MS, &text, &err);
        if (e == -EAGAIN || e == -EINTR)
            continue;
        if (e)
            return session_error(s, &err);
        if (s->args->json) {
            session_print_json(text, true);
        } else {
            put_event(s, text, out);
            session_print(out);
        }
        free(text);
    }
    return CTL_FAILED;
}

int follow_events(struct session *s)
{
    struct control *c;
    struct buf out;

    session_catch();
    int status = session_listen(s, &c);
    if (status)
        return status;
    session_close(s);
    buf_init(&out, SESSION_TEXT_MAX);
    status = print_events(s, c, &out);
    buf_free(&out);
    control_free(c);
    return status;
}
