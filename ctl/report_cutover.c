#include "ctl/report_cutover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doc.h"
#include "ctl/follow.h"
#include "ctl/grid.h"
#include "ctl/rows.h"
#include "ctl/then.h"
#include "lib/core/clock.h"
#include "lib/core/text.h"

#define PROGRESS_MS 200
#define HOW_MAX     160
#define FENCED_ROWS 8

/* --- the table of steps --- */

static const struct grid table = {.columns = 4, .width = {12, 7, 6}};

static bool has_ended(const char *state)
{
    return state && (!strcmp(state, "done") || !strcmp(state, "failed") || !strcmp(state, "skipped"));
}

static enum style state_style(const char *state)
{
    return !strcmp(state, "failed") ? STYLE_RED : !strcmp(state, "skipped") ? STYLE_DIM : STYLE_PLAIN;
}

static bool is_told(const struct report_steps *r, const char *step)
{
    for (size_t i = 0; i < r->ntold; i++) {
        if (!strcmp(r->told[i], step))
            return true;
    }
    return r->ntold == REPORT_STEPS_MAX;
}

static void put_step(struct report_steps *r, const char *step, const char *state, const char *took,
                     const char *text, const struct term *t, struct buf *out)
{
    static const struct grid_row head = {{"STEP", "STATE", "TOOK", "WHAT"}, STYLE_BOLD};
    struct grid_row row = {.style = state_style(state)};
    struct grid g = table;
    int e = 0;

    if (is_told(r, step))
        return;
    g.t = t;
    g.out = out;
    if (!r->ntold)
        e = grid_put_row(&g, &head);
    snprintf(r->told[r->ntold++], sizeof(r->told[0]), "%s", step);
    grid_set(&row, 0, step);
    grid_set(&row, 1, state);
    grid_set(&row, 2, took);
    grid_set(&row, 3, text);
    if (!e)
        e = grid_put_row(&g, &row);
    (void)e; /* a report has its ceiling; what is beyond it is not shown */
}

static const char *took_text(bool known, uint64_t ms, char out[TEXT_MAX])
{
    if (!known)
        return "";
    return text_ms(ms, out);
}

void report_cutover_steps(struct report_steps *r, const json_t *doc, const struct term *t, struct buf *out)
{
    const json_t *each;
    char took[TEXT_MAX];
    size_t i;

    json_array_foreach(doc_get(doc, "cutover.steps"), i, each)
    {
        const char *step = doc_text(each, "step"), *state = doc_text(each, "state");
        uint64_t ms = 0;
        bool known = doc_number(each, "took_ms", &ms);
        if (step && has_ended(state))
            put_step(r, step, state, took_text(known, ms, took), doc_text(each, "text"), t, out);
    }
}

static void begin_step(struct report_steps *r, const char *step)
{
    snprintf(r->running, sizeof(r->running), "%s", step);
    r->began_us = clock_mono_us();
}

/* The row of a step, as its end is told. */
static void take_event(const json_t *event, const struct term *t, struct buf *out, void *arg)
{
    struct report_steps *r = arg;
    const char *kind = doc_text(event, "event"), *step = doc_text(event, "step");
    const char *state = doc_text(event, "step_state");
    char took[TEXT_MAX];
    uint64_t ms = 0;

    if (!kind || strcmp(kind, "cutover_step") != 0 || !step || !state)
        return;
    if (!has_ended(state)) {
        begin_step(r, step);
        return;
    }
    bool known = doc_number(event, "took_ms", &ms);
    put_step(r, step, state, took_text(known, ms, took), doc_text(event, "step_text"), t, out);
}

static void take_status(const json_t *doc, const struct term *t, struct buf *out, void *arg)
{
    report_cutover_steps(arg, doc, t, out);
}

/* --- while it runs --- */

static const json_t *step_of(const json_t *doc, const char *name)
{
    const json_t *each;
    size_t i;

    json_array_foreach(doc_get(doc, "cutover.steps"), i, each)
    {
        const char *step = doc_text(each, "step");
        if (step && !strcmp(step, name))
            return each;
    }
    return NULL;
}

/* With --verify full, before the pause. */
static bool compares(const json_t *doc)
{
    const char *step = doc_text(doc, "cutover.step"), *verify = doc_text(doc, "verify.state");

    return step && verify && !strcmp(step, "gate") && !strcmp(verify, "running");
}

void report_cutover_running(struct rows *r, const json_t *doc, const uint64_t *ran_ms)
{
    const json_t *c = doc_get(doc, "cutover");
    const char *name = doc_text(c, "step");
    bool undoing = json_is_true(doc_get(c, "undoing"));
    const json_t *step = name ? step_of(doc, name) : NULL;
    const char *text = doc_text(step, "text");
    char shown[TEXT_MAX];
    uint64_t pause;

    rows_format(r, undoing ? STYLE_YELLOW : STYLE_BOLD, "%s", undoing ? "undoing" : name ? name : "cutover");
    if (ran_ms)
        rows_format(r, STYLE_PLAIN, " %s", text_ms(*ran_ms, shown));
    if (doc_number(c, "write_pause_ms", &pause))
        rows_format(r, STYLE_YELLOW, ", writes wait for %s", text_ms(pause, shown));
    if (compares(doc)) {
        rows_text(r, STYLE_PLAIN, ": everything is compared");
        rows_count(r, doc, "verify.percent", ", ", " %");
        rows_ms(r, doc, "verify.eta_ms", ", ", " left");
    } else if (text && text[0]) {
        rows_format(r, STYLE_PLAIN, ": %s", text);
    }
}

static void show_progress(const json_t *doc, const struct term *t, struct buf *out, void *arg)
{
    const struct report_steps *s = arg;
    struct rows r = {.out = out, .t = t, .open = true, .empty = true};
    const char *step = doc_text(doc, "cutover.step");
    uint64_t ran_ms = (clock_mono_us() - s->began_us) / 1000;

    report_cutover_running(&r, doc, step && !strcmp(step, s->running) ? &ran_ms : NULL);
}

/* --- how it ended --- */

bool report_let_go(const json_t *c)
{
    const char *fence = doc_text(c, "fence"), *text = doc_text(c, "fence_text");

    return doc_text(c, "finished_at") && fence && strcmp(fence, "none") && strcmp(fence, "hold") &&
           !(text && text[0]);
}

/* How it stands with it. */
static void put_held(struct rows *r, const json_t *c, const char *fence, bool fenced)
{
    const json_t *held = doc_get(c, "fence_held");

    if (!strcmp(fence, "none"))
        rows_text(r, STYLE_YELLOW, ": nothing keeps clients from writing to the old source");
    else if (doc_text(c, "finished_at"))
        rows_text(r, STYLE_PLAIN, fenced ? ", stays, and is no longer watched" : ", let go");
    else if (json_is_boolean(held))
        rows_text(r, json_is_true(held) ? STYLE_GREEN : STYLE_RED,
                  json_is_true(held) ? ", held" : ", NOT held");
}

static void put_fence(struct rows *r, const json_t *c, unsigned most, bool watched)
{
    const char *fence = doc_text(c, "fence"), *text = doc_text(c, "fence_text");
    bool fenced = text && text[0];

    if (!fence || !rows_begin(r, "fence", STYLE_DIM))
        return;
    rows_text(r, STYLE_PLAIN, fence);
    if (watched || !strcmp(fence, "none"))
        put_held(r, c, fence, fenced);
    if (fenced)
        rows_wrap(r, "", STYLE_PLAIN, STYLE_PLAIN, text, most);
}

void report_fence(struct rows *r, const json_t *c, unsigned most)
{
    put_fence(r, c, most, true);
}

void report_cutover_committed(const json_t *doc, const char *said, const struct term *t, struct buf *out)
{
    const json_t *c = doc_get(doc, "cutover");
    const char *at = doc_text(c, "committed_at");
    struct rows r;

    rows_init(&r, out, t, UINT32_MAX);
    rows_gap(&r);
    rows_wrap(&r, "result", STYLE_DIM, STYLE_GREEN, said[0] ? said : "committed", 8);
    if (at && rows_begin(&r, "committed", STYLE_DIM))
        rows_text(&r, STYLE_PLAIN, at);
    put_fence(&r, c, FENCED_ROWS, false); /* it was proved just now; it is not looked at again yet */
    if (rows_begin(&r, "next", STYLE_DIM))
        rows_text(&r, STYLE_PLAIN, "riotctl finish");
    rows_end(&r);
}

static void put_plan(const json_t *doc, const struct term *t, struct buf *out)
{
    const json_t *each;
    size_t i;

    json_array_foreach(doc_get(doc, "cutover.plan"), i, each)
    {
        if (!json_is_string(each))
            continue;
        term_put(out, t, bytes_str(json_string_value(each)), SIZE_MAX);
        if (buf_append_str(out, "\n"))
            return;
    }
}

static bool is_dry(const struct session *s)
{
    return s->args->request.values[ARG_DRY_RUN].given;
}

static void print_json(const json_t *doc, const struct follow_end *end)
{
    json_t *whole = doc_parse(end->json);
    json_t *part = doc_get(doc, "cutover");

    if (whole && part)
        json_object_set(whole, "cutover", part);
    char *text = whole ? json_dumps(whole, DOC_JSON) : NULL;
    session_print_json(text ? text : end->json, true);
    free(text);
    json_decref(whole);
}

/* The steps that are not told yet, then what it came to. */
static void print_end(struct session *s, struct report_steps *r, const json_t *doc,
                      const struct follow_end *end)
{
    struct term t = term_lines(&s->out);
    struct buf out;

    if (s->args->json) {
        print_json(doc, end);
        return;
    }
    buf_init(&out, SESSION_TEXT_MAX);
    if (is_dry(s)) {
        put_plan(doc, &t, &out);
    } else {
        report_cutover_steps(r, doc, &t, &out);
        if (!end->status)
            report_cutover_committed(doc, end->text, &t, &out);
    }
    session_print(&out);
    buf_free(&out);
}

/* What a person has to do, by how it ended. */
static const struct {
    const char *code, *next;
} advice[] = {
    {"REFUSED", "'riotctl check' shows all that stands in the way"},
    {"LEFT_ALONE", "look at what is named above: somebody else changed it since, so riotd left it as it is"},
    {"NEEDS_PERSON", "riotd tries on, and lets go once the source answers: see 'riotctl status'"},
    {"SLIPPED", "look at what was written to the old source since: it is not on the target"},
    {"FORGOTTEN",
     "if one of the servers named above comes back, give its clients the right to write by hand"},
    {"UNKNOWN", "start riotd again: it goes by what the disk has; or give the writers back to the source by "
                "'riotctl finish --unfence'"},
};

static void tell_failed(struct session *s, const json_t *doc, const struct follow_end *end)
{
    const char *fenced = doc_text(doc, "cutover.fence_text");
    char pause[TEXT_MAX], text[64];
    uint64_t ms;

    if (end->status == CTL_ROLLED_BACK && doc_number(doc, "cutover.write_pause_ms", &ms)) {
        snprintf(text, sizeof(text), "writes waited for %s", text_ms(ms, pause));
        session_note(s, "paused", text);
    }
    if (end->status == CTL_NEEDS_PERSON && fenced && fenced[0])
        session_note(s, "fenced", fenced);
    for (size_t i = 0; i < ARRAY_LEN(advice); i++) {
        if (!strcmp(end->code, advice[i].code))
            session_note(s, "next", advice[i].next);
    }
}

/* The cutover is committed, whatever comes of the command. */
static int run_then(struct session *s, const json_t *doc)
{
    const struct request_value *command = &s->args->request.values[ARG_THEN];
    struct then_env env = {.link = doc_text(doc, "name"), .target = doc_text(doc, "cutover.target")};
    char how[HOW_MAX];

    if (!command->given)
        return CTL_OK;
    env.has_pause = doc_number(doc, "cutover.write_pause_ms", &env.pause_ms);
    fflush(stdout);
    if (!then_run(command->text, &env, how, sizeof(how)))
        return CTL_OK;
    return session_fail(s, CTL_FAILED, code_name(CODE_FAILED),
                        "the cutover is committed and stays so, but --then %s", how);
}

static int show_end(struct session *s, const struct follow_end *end, void *arg)
{
    struct report_steps *r = arg;
    char *text;
    json_t *doc = NULL;
    int status = end->status;

    if (!session_ask(s, "STATUS", &text)) {
        doc = doc_parse(text);
        free(text);
    }
    print_end(s, r, doc, end);
    if (status) {
        follow_tell_end(s, end);
        tell_failed(s, doc, end);
    } else if (!is_dry(s)) {
        status = run_then(s, doc);
    }
    json_decref(doc);
    return status;
}

#define GONE                                                                                                 \
    "when it starts again it takes the cutover up: undoes it before the commit, goes on after it. See "      \
    "'systemctl status riotd@NAME' and 'riotctl status'"

#define LEFT "'riotctl status' shows it, 'riotctl abort' puts all back as long as it is not committed"

int report_cutover(struct session *s)
{
    bool then = s->args->request.values[ARG_THEN].given;
    const struct follow_view view = {
        .event = is_dry(s) ? NULL : take_event,
        .status = is_dry(s) ? NULL : take_status,
        .progress = show_progress,
        .progress_ms = PROGRESS_MS,
        .ended = show_end,
        .left = then ? LEFT "; --then is not run" : LEFT,
        .gone = GONE,
    };
    struct report_steps r = {.ntold = 0};

    if (s->args->no_wait && then)
        return session_fail(s, CTL_USAGE, code_name(CODE_USAGE),
                            "--then is run by riotctl, which has to wait for that: leave --no-wait out");
    return follow_operation(s, &view, &r);
}

int report_finish(struct session *s)
{
    static const struct follow_view view = {.gone = GONE};

    return follow_operation(s, &view, NULL);
}
