#include "ctl/report_verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doc.h"
#include "ctl/follow.h"
#include "ctl/grid.h"
#include "ctl/rows.h"
#include "lib/core/clock.h"
#include "lib/core/text.h"

#define KEYS_SHOWN 20

static const struct {
    const char *name, *path, *means;
} kinds[] = {
    {"missing", "drift.missing", "only the source has them"},
    {"extra", "drift.extra", "only the target has them"},
    {"type", "drift.type", "of another type"},
    {"value", "drift.value", "of the same type, with another value"},
    {"ttl", "drift.ttl", "equal, but they expire at another time"},
};

static uint64_t number(const json_t *doc, const char *path)
{
    uint64_t n = 0;

    doc_number(doc, path, &n);
    return n;
}

static uint64_t drift_sum(const json_t *doc)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        sum += number(doc, kinds[i].path);
    return sum;
}

const char *report_verify_drift(const json_t *doc, char out[REPORT_DRIFT_MAX])
{
    char text[TEXT_MAX];
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        uint64_t n = number(doc, kinds[i].path);
        if (n)
            at += (size_t)snprintf(out + at, REPORT_DRIFT_MAX - at, "%s%s %s", at ? ", " : "",
                                   text_count(n, text), kinds[i].name);
    }
    return out;
}

/* --- while it runs --- */

void report_verify_progress(const json_t *doc, const struct term *t, struct buf *out)
{
    struct rows r = {.out = out, .t = t, .open = true, .empty = true};
    const json_t *v = doc_get(doc, "verify");
    const char *waiting = doc_text(v, "waiting");
    uint64_t drift = drift_sum(v);
    char text[TEXT_MAX];
    double percent = 0;

    doc_real(v, "percent", &percent);
    rows_format(&r, STYLE_PLAIN, "verify: %.1f %%", percent);
    rows_count(&r, v, "keys_per_s", ", ", " keys/s");
    rows_ms(&r, v, "eta_ms", ", ", " left");
    rows_format(&r, drift ? STYLE_RED : STYLE_PLAIN, ", drift %s", text_count(drift, text));
    rows_count(&r, v, "pending", ", ", " pending");
    if (waiting && waiting[0])
        rows_format(&r, STYLE_YELLOW, ", waits: %s", waiting);
}

static void show_progress(const json_t *doc, const struct term *t, struct buf *out, void *arg)
{
    (void)arg;
    report_verify_progress(doc, t, out);
}

/* --- the report --- */

enum style report_verdict_style(const char *verdict)
{
    return !strcmp(verdict, "running") ? STYLE_BOLD
           : !strcmp(verdict, "clean") ? STYLE_GREEN
           : !strcmp(verdict, "drift") ? STYLE_RED
                                       : STYLE_YELLOW;
}

static void put_verdict(const json_t *doc, const struct term *t, int64_t now_ms, struct buf *out)
{
    const char *verdict = doc_text(doc, "verdict"), *reason = doc_text(doc, "reason");
    struct rows r;
    char age[TEXT_MAX];

    rows_init(&r, out, t, UINT32_MAX);
    if (!verdict)
        verdict = "unknown";
    rows_begin(&r, "verdict", STYLE_DIM);
    rows_text(&r, report_verdict_style(verdict), verdict);
    if (now_ms && doc_age(doc, "ended", now_ms, age, sizeof(age)))
        rows_format(&r, STYLE_PLAIN, ", %s ago", age);
    if (reason && reason[0])
        rows_wrap(&r, "", STYLE_PLAIN, STYLE_PLAIN, reason, 4);
    rows_end(&r);
}

/* What was left out, so that nobody takes a part for the whole. */
static void put_scope(struct rows *r, const json_t *doc)
{
    const char *match = doc_text(doc, "match");
    uint64_t db;

    if (json_is_true(doc_get(doc, "sampled")))
        rows_text(r, STYLE_YELLOW, ", a sample");
    if (doc_number(doc, "db", &db))
        rows_format(r, STYLE_YELLOW, ", of database %llu alone", (unsigned long long)db);
    if (match && match[0])
        rows_format(r, STYLE_YELLOW, ", of names like %s", match);
}

static void put_compared(const json_t *doc, const struct term *t, struct buf *out)
{
    int64_t began, ended;
    struct rows r;
    char text[TEXT_MAX];

    rows_init(&r, out, t, 1);
    rows_begin(&r, "compared", STYLE_DIM);
    rows_count(&r, doc, "compared", "", " keys");
    if (doc_time(doc_text(doc, "began"), &began) && doc_time(doc_text(doc, "ended"), &ended) &&
        ended >= began)
        rows_format(&r, STYLE_PLAIN, " in %s", text_ms((uint64_t)(ended - began), text));
    put_scope(&r, doc);
    rows_end(&r);
}

static int put_count(struct grid *g, const char *name, uint64_t n, bool at_least, const char *means,
                     enum style s)
{
    struct grid_row row = {.style = n ? s : STYLE_PLAIN};
    char text[TEXT_MAX];

    grid_set(&row, 0, name);
    grid_format(&row, 1, "%s%s", text_count(n, text), n && at_least ? "+" : "");
    grid_set(&row, 2, n ? means : "");
    return grid_put_row(g, &row);
}

static int put_counts(const json_t *doc, const struct term *t, struct buf *out)
{
    struct grid g = {.t = t, .out = out, .columns = 3, .width = {ROWS_LABEL - 2, 7}};
    bool at_least = json_is_true(doc_get(doc, "at_least"));
    int e = 0;

    for (size_t i = 0; !e && i < ARRAY_LEN(kinds); i++)
        e = put_count(&g, kinds[i].name, number(doc, kinds[i].path), at_least, kinds[i].means, STYLE_RED);
    if (!e && number(doc, "unstable"))
        e = put_count(&g, "unstable", number(doc, "unstable"), false, "changed too fast to be read twice",
                      STYLE_YELLOW);
    if (!e && number(doc, "unknown"))
        e = put_count(&g, "unknown", number(doc, "unknown"), false, "cannot be compared", STYLE_YELLOW);
    if (!e && (number(doc, "repaired") || json_is_true(doc_get(doc, "repair"))))
        e = put_count(&g, "repaired", number(doc, "repaired"), false, "differed, and are equal now",
                      STYLE_PLAIN);
    return e;
}

static void fill_key(struct grid_row *row, const json_t *each)
{
    uint64_t db;

    *row = (struct grid_row){.style = STYLE_PLAIN};
    if (doc_number(each, "db", &db))
        grid_format(row, 0, "%llu", (unsigned long long)db);
    grid_set(row, 1, doc_text(each, "key"));
    grid_set(row, 2, doc_text(each, "kind"));
    grid_set(row, 3, doc_text(each, "what"));
}

/* The differing keys that are known by name, and how many there are beside them. */
static int put_keys(const json_t *doc, const struct term *t, struct buf *out)
{
    static const struct grid_row head = {{"DB", "KEY", "DIFFERS", "HOW"}, STYLE_BOLD};
    const json_t *list = doc_get(doc, "keys"), *each;
    size_t shown = MIN(json_array_size(list), (size_t)KEYS_SHOWN), i;
    struct grid g = {.t = t, .out = out, .columns = 4};
    uint64_t sum = drift_sum(doc);
    char text[TEXT_MAX];

    struct grid_row *rows = calloc(KEYS_SHOWN, sizeof(*rows));
    if (!rows || !shown) {
        free(rows);
        return 0;
    }
    json_array_foreach(list, i, each)
    {
        if (i < shown)
            fill_key(&rows[i], each);
    }
    int e = buf_append_str(out, "\n");
    if (!e)
        e = grid_put(&g, &head, rows, shown);
    free(rows);
    if (e || sum <= shown)
        return e;
    return buf_printf(out, "and %s%s more%s\n", json_is_true(doc_get(doc, "at_least")) ? "at least " : "",
                      text_count(sum - shown, text),
                      json_array_size(list) > shown ? "; riotctl verify --last --json shows more" : "");
}

static const char *what_to_do(const json_t *doc)
{
    const char *verdict = doc_text(doc, "verdict");

    if (!verdict || !strcmp(verdict, "clean"))
        return NULL;
    if (!strcmp(verdict, "drift"))
        return json_is_true(doc_get(doc, "repair"))
                   ? "They were copied again, and differ still: does something else write to the target? "
                     "Keys "
                     "that the target does not take are shown by 'riotctl status'."
                   : "To mend them: riotctl verify --repair";
    if (!strcmp(verdict, "inconclusive") && number(doc, "unstable"))
        return "Keys that change all the time may pass with more looks: riotctl verify --rounds 20, or when "
               "less is written.";
    return NULL;
}

void report_verify_text(const json_t *doc, const struct term *t, int64_t now_ms, struct buf *out)
{
    const char *advice = what_to_do(doc);

    put_verdict(doc, t, now_ms, out);
    put_compared(doc, t, out);
    int e = put_counts(doc, t, out);
    if (!e)
        e = put_keys(doc, t, out);
    if (!e && advice)
        e = buf_printf(out, "\n%s\n", advice);
    (void)e; /* a report has its ceiling; what is beyond it is not shown */
}

/* --- the verb --- */

static void print_report(struct session *s, const json_t *doc, const char *json, int64_t now_ms)
{
    struct term t = term_lines(&s->out);
    struct buf out;

    if (s->args->json) {
        session_print_json(json, true);
        return;
    }
    buf_init(&out, SESSION_TEXT_MAX);
    report_verify_text(doc, &t, now_ms, &out);
    session_print(&out);
    buf_free(&out);
}

/* The report of the last one, as text and parsed; NULL: it was told why not, by `status`. */
static json_t *ask_report(struct session *s, char **ret_json, int *ret_status)
{
    const struct bytes argv[] = {BYTES("VERIFY"), BYTES("LAST"), BYTES("yes")};

    *ret_status = session_ask_argv(s, ARRAY_LEN(argv), argv, ret_json);
    if (*ret_status)
        return NULL;
    json_t *doc = doc_parse(*ret_json);
    if (!doc) {
        free(*ret_json);
        *ret_status = session_fail(s, CTL_FAILED, code_name(CODE_FAILED), "riotd's report cannot be read");
    }
    return doc;
}

static int show_end(struct session *s, const struct follow_end *end, void *arg)
{
    char *json;
    int status;

    (void)arg;
    json_t *doc = ask_report(s, &json, &status);
    if (doc) {
        print_report(s, doc, json, 0);
        json_decref(doc);
        free(json);
    }
    return end->status ? follow_tell_end(s, end) : CTL_OK;
}

static int show_last(struct session *s)
{
    uint64_t status = CTL_OK;
    char *json;
    int asked;

    json_t *doc = ask_report(s, &json, &asked);
    if (!doc)
        return asked;
    print_report(s, doc, json, clock_wall_ms());
    doc_number(doc, "exit_code", &status);
    json_decref(doc);
    free(json);
    return (int)MIN(status, 255u);
}

int report_verify(struct session *s)
{
    static const struct follow_view view = {
        .progress = show_progress,
        .ended = show_end,
        .left = "'riotctl verify --stop' ends it, 'riotctl verify --last' shows its report",
        .gone = "the verify ended with it: begin it again once riotd runs",
    };

    if (s->args->request.values[ARG_LAST].given)
        return show_last(s);
    return follow_operation(s, &view, NULL);
}
