#include "ctl/follow.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doc.h"
#include "ctl/screen.h"
#include "lib/core/clock.h"

#define STEP_MS     1000 /* a signal that came just before a wait is seen after so long */
#define PROGRESS_US 1000000

struct follow {
    struct session *s;
    struct control *events;
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

static int end_with(struct follow *f, const json_t *end, const char *text)
{
    const char *result = doc_text(end, "result"), *said = doc_text(end, "text");
    uint64_t status = CTL_FAILED;
    char code[24] = "FAILED";
    struct buf out;

    clear_progress(f);
    doc_number(end, "exit_code", &status);
    if (f->s->args->json && text)
        session_print_json(text, true);
    if (status) {
        if (result && result[0])
            snprintf(code, sizeof(code), "%s", result);
        for (char *c = code; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        return session_fail(f->s, (enum ctl_exit)MIN(status, 255u), code, "%s",
                            said && said[0] ? said : "the operation did not succeed");
    }
    if (f->s->args->json || !said || !said[0])
        return CTL_OK;
    buf_init(&out, SESSION_TEXT_MAX);
    term_put(&out, &f->s->out, bytes_str(said), SIZE_MAX);
    if (!buf_append_str(&out, "\n"))
        session_print(&out);
    buf_free(&out);
    return CTL_OK;
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
        char *text = json_dumps(each, JSON_COMPACT);
        int status = end_with(f, each, text);
        free(text);
        return status;
    }
    return -1;
}

static void show_progress(struct follow *f, const json_t *doc)
{
    struct buf out;

    if (!f->s->err.tty)
        return;
    buf_init(&out, 4 * KIB);
    if (!buf_printf(&out, "\r\033[K%s: ", f->verb)) {
        struct term t = f->s->err;
        t.width -= (unsigned)strlen(f->verb) + 3;
        screen_line(doc, &t, &out);
        session_print_err(&out);
        f->shown = true;
    }
    buf_free(&out);
}

/* -1: goes on. */
static int ask_status(struct follow *f)
{
    char *text;
    int status = session_ask(f->s, "STATUS", &text);

    if (status)
        return status;
    json_t *doc = doc_parse(text);
    free(text);
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

    if (event && !strcmp(event, "gap"))
        status = ask_status(f);
    else if (event && !strcmp(event, "operation_ended") && doc_number(doc, "operation", &id) && id == f->id)
        status = end_with(f, doc, text);
    json_decref(doc);
    return status;
}

static int leave_running(struct follow *f)
{
    clear_progress(f);
    return session_fail(f->s, CTL_INTERRUPTED, "INTERRUPTED",
                        "operation %llu (%s) goes on in riotd; 'riotctl status' shows it",
                        (unsigned long long)f->id, f->verb);
}

/* -1: goes on. */
static int step(struct follow *f)
{
    struct control_error err;
    char *text;
    int status = -1;

    if (session_interrupted())
        return leave_running(f);
    int e = control_event(f->events, STEP_MS, &text, &err);
    if (!e) {
        status = take_event(f, text);
        free(text);
    } else if (e != -EAGAIN && e != -EINTR) {
        clear_progress(f);
        return session_error(f->s, &err);
    }
    if (status >= 0 || session_interrupted())
        return status;
    if (f->s->err.tty && clock_mono_us() >= f->next_us) {
        f->next_us = clock_mono_us() + PROGRESS_US;
        status = ask_status(f);
        if (session_interrupted())
            return leave_running(f);
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

int follow_request(struct session *s)
{
    const struct verb *v = s->args->request.verb;
    struct follow f = {.s = s, .verb = v->name, .next_us = clock_mono_us() + PROGRESS_US / 2};
    char *text;
    int status = CTL_OK;

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
