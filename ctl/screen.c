#include "ctl/screen.h"

#include <stdio.h>
#include <string.h>

#include "ctl/doc.h"
#include "ctl/report_cutover.h"
#include "ctl/report_verify.h"
#include "ctl/rows.h"
#include "lib/core/text.h"

#define BAR_MAX        10
#define WRAP_MAX       6 /* rows for one message */
#define BLOCKERS_MAX   2 /* entries shown of a list */
#define CONDITIONS_MAX 3
#define FAILED_MAX     4
#define NEXT_MAX       3
#define SLOW_MS        10000

enum style screen_state_style(const char *state)
{
    static const struct {
        const char *state;
        enum style style;
    } rows[] = {
        {"live", STYLE_GREEN},     {"committed", STYLE_GREEN}, {"finished", STYLE_GREEN},
        {"failed", STYLE_RED},     {"paused", STYLE_YELLOW},   {"idle", STYLE_YELLOW},
        {"cutover", STYLE_YELLOW},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!strcmp(state, rows[i].state))
            return rows[i].style;
    }
    return STYLE_BOLD;
}

static const char *known(const char *text, const char *otherwise)
{
    return text && text[0] ? text : otherwise;
}

static void put_headline(struct rows *r, const json_t *doc, int64_t now_ms)
{
    const char *state = known(doc_text(doc, "state"), "unknown"), *version = doc_text(doc, "version");
    const char *name = known(doc_text(doc, "name"), "?"), *reason = doc_text(doc, "reason");
    const char *blocked = doc_text(json_array_get(doc_get(doc, "blockers"), 0), "message");
    char age[TEXT_MAX];

    if (!rows_begin(r, "link", STYLE_DIM))
        return;
    rows_text(r, STYLE_BOLD, name);
    rows_text(r, STYLE_PLAIN, "  ");
    rows_text(r, screen_state_style(state), state);
    if (doc_age(doc, "since", now_ms, age, sizeof(age)))
        rows_format(r, STYLE_PLAIN, "  for %s", age);
    if (version)
        rows_format(r, STYLE_DIM, "  (riotd %s)", version);
    /* What a failed link is blocked by is told below, with what to do. */
    if (reason && reason[0] && !(blocked && !strcmp(reason, blocked)))
        rows_wrap(r, "", STYLE_PLAIN, STYLE_PLAIN, reason, 2);
}

static void put_endpoint(struct rows *r, const json_t *doc, const char *side)
{
    const json_t *e = doc_get(doc, side);
    const char *state = doc_text(e, "state"), *server = doc_text(e, "server");
    uint64_t shards;
    double ms;

    if (!e || !rows_begin(r, side, STYLE_DIM))
        return;
    rows_text(r, STYLE_PLAIN, known(doc_text(e, "address"), "?"));
    if (doc_number(e, "shards", &shards))
        rows_format(r, STYLE_PLAIN, "  cluster of %llu shard%s", (unsigned long long)shards,
                    shards == 1 ? "" : "s");
    if (server)
        rows_format(r, STYLE_PLAIN, "%s %s %s", doc_get(e, "shards") ? "," : " ", server,
                    known(doc_text(e, "version"), ""));
    if (state) {
        bool up = !strcmp(state, "up");
        rows_text(r, STYLE_PLAIN, "  ");
        rows_text(r, up ? STYLE_GREEN : !strcmp(state, "down") ? STYLE_RED : STYLE_YELLOW, state);
    }
    if (doc_real(e, "round_trip_ms", &ms))
        rows_format(r, STYLE_PLAIN, "  %.1fms", ms);
}

static void put_passed_over(struct rows *r, const json_t *feed)
{
    const json_t *each;
    size_t i;

    json_array_foreach(json_object_get(feed, "passed_over"), i, each)
    {
        const char *kind = doc_text(each, "kind"), *why = doc_text(each, "why");
        if (i == 2 || !rows_begin(r, "", STYLE_PLAIN))
            return;
        rows_format(r, STYLE_DIM, "not %s: %s", known(kind, "?"), known(why, "?"));
    }
}

static void put_feed(struct rows *r, const json_t *doc)
{
    const json_t *feed = doc_get(doc, "feed");
    const char *state = doc_text(feed, "state"), *last = doc_text(feed, "last_gap_reason");
    uint64_t gaps = 0;

    if (!feed || !rows_begin(r, "feed", STYLE_DIM))
        return;
    rows_text(r, STYLE_PLAIN, known(doc_text(feed, "kind"), "?"));
    if (state)
        rows_format(r, STYLE_PLAIN, ", %s", state);
    rows_count(r, doc, "totals.marks", ", ", " marks");
    if (doc_number(feed, "gaps", &gaps))
        rows_format(r, gaps ? STYLE_YELLOW : STYLE_PLAIN, ", %llu gap%s", (unsigned long long)gaps,
                    gaps == 1 ? "" : "s");
    if (gaps && last && last[0] && rows_begin(r, "", STYLE_PLAIN))
        rows_format(r, STYLE_PLAIN, "last gap: %s", last);
    put_passed_over(r, feed);
}

/* "filter    user:*, cart:*; not *:tmp; string, hash" */
static void put_filter(struct rows *r, const json_t *doc)
{
    static const struct {
        const char *part, *before;
    } parts[] = {{"filter.include", ""}, {"filter.exclude", "not "}, {"filter.types", "types "}};
    const json_t *each;
    bool any = false;
    size_t i;

    if (!doc_get(doc, "filter") || !rows_begin(r, "filter", STYLE_DIM))
        return;
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        json_array_foreach(doc_get(doc, parts[p].part), i, each)
        {
            rows_format(r, STYLE_PLAIN, "%s%s%s",
                        i     ? ", "
                        : any ? "; "
                              : "",
                        i ? "" : parts[p].before, known(json_string_value(each), "?"));
            any = true;
        }
    }
}

static void put_bar(struct rows *r, double percent)
{
    char bar[BAR_MAX + 1];
    double share = percent < 0 ? 0 : percent > 100 ? 1 : percent / 100;

    memset(bar, '.', BAR_MAX);
    memset(bar, '#', (size_t)(share * BAR_MAX));
    bar[BAR_MAX] = '\0';
    rows_format(r, STYLE_PLAIN, " [%s] %.1f %%", bar, percent);
}

static void put_snapshot(struct rows *r, const json_t *doc)
{
    const json_t *s = doc_get(doc, "snapshot");
    const char *phase = doc_text(s, "phase");
    bool done = phase && !strcmp(phase, "done");
    uint64_t round = 0;
    double percent;

    if (!s || !rows_begin(r, "snapshot", STYLE_DIM))
        return;
    if (phase && !strcmp(phase, "resumed")) {
        rows_text(r, STYLE_PLAIN, "none: the source's stream was gone on with where it had been left");
    } else if (done || !phase) {
        rows_text(r, STYLE_PLAIN, known(phase, "none"));
        rows_count(r, s, "scanned_keys", ", ", " keys");
    } else if (!strcmp(phase, "waiting")) {
        rows_text(r, STYLE_PLAIN, phase);
    } else {
        rows_text(r, STYLE_PLAIN, phase);
        if (doc_real(s, "percent", &percent))
            put_bar(r, percent);
        rows_ms(r, s, "eta_ms", "  ", " left");
        rows_count(r, s, "scanned_keys", "  ", "");
        rows_count(r, s, "estimated_keys", " of ", "");
    }
    if (doc_number(s, "round", &round) && round > 1)
        rows_count(r, s, "round", ", round ", "");
}

/* How far each phase of a lane is. */
static unsigned lane_rank(const json_t *lane)
{
    static const char *const phases[] = {"connecting", "gap", "scan", "sweep", "settling", "done", "live"};
    const char *phase = known(doc_text(lane, "phase"), "");
    unsigned rank = 0;

    while (rank < ARRAY_LEN(phases) && strcmp(phases[rank], phase) != 0)
        rank++;
    return rank;
}

/* The one that is least far; of several, the one that is furthest behind. */
static const json_t *worst_lane(const json_t *lanes, unsigned *ret_live)
{
    const json_t *each, *worst = NULL;
    uint64_t ms, most_ms = 0;
    size_t i;

    *ret_live = 0;
    json_array_foreach(lanes, i, each)
    {
        unsigned rank = lane_rank(each), least = worst ? lane_rank(worst) : rank;
        const char *phase = known(doc_text(each, "phase"), "");
        *ret_live += !strcmp(phase, "live");
        if (!doc_number(each, "lag.ms", &ms))
            ms = 0;
        if (worst && (rank > least || (rank == least && ms <= most_ms)))
            continue;
        worst = each;
        most_ms = ms;
    }
    return worst;
}

static void put_lanes(struct rows *r, const json_t *doc)
{
    const json_t *lanes = doc_get(doc, "lanes");
    unsigned live;
    const json_t *worst = worst_lane(lanes, &live);
    double percent;

    if (json_array_size(lanes) < 2 || !rows_begin(r, "lanes", STYLE_DIM))
        return;
    rows_format(r, STYLE_PLAIN, "%zu, %u live; last: %s %s", json_array_size(lanes), live,
                known(doc_text(worst, "name"), "?"), known(doc_text(worst, "phase"), "?"));
    if (strcmp(known(doc_text(worst, "phase"), ""), "live") != 0 &&
        doc_real(worst, "snapshot.percent", &percent))
        rows_format(r, STYLE_PLAIN, " %.1f %%", percent);
    rows_ms(r, worst, "lag.ms", ", lag ", "");
}

static void put_lag(struct rows *r, const json_t *doc)
{
    uint64_t ms = 0;

    if (!doc_get(doc, "lag") || !rows_begin(r, "lag", STYLE_DIM))
        return;
    rows_count(r, doc, "lag.keys", "", " keys");
    if (doc_number(doc, "lag.ms", &ms) && ms >= SLOW_MS) {
        char text[TEXT_MAX];
        rows_text(r, STYLE_PLAIN, r->empty ? "" : ", ");
        rows_text(r, STYLE_YELLOW, text_ms(ms, text));
    } else {
        rows_ms(r, doc, "lag.ms", ", ", "");
    }
}

static void put_queue(struct rows *r, const json_t *doc)
{
    const json_t *q = doc_get(doc, "queue");

    if (!q || !rows_begin(r, "queue", STYLE_DIM))
        return;
    rows_count(r, q, "dirty_keys", "", " dirty");
    if (rows_count(r, q, "in_flight_keys", ", ", " in flight"))
        rows_size(r, q, "in_flight_bytes", " (", ")");
    rows_size(r, q, "memory_bytes", "; memory ", "");
    rows_size(r, q, "memory_limit_bytes", " of ", "");
}

static void put_rate(struct rows *r, const json_t *doc)
{
    const json_t *rate = doc_get(doc, "rate");

    if (!rate || !rows_begin(r, "rate", STYLE_DIM))
        return;
    rows_count(r, rate, "copied_keys_per_s", "", " keys/s");
    rows_size(r, rate, "bytes_per_s", ", ", "/s");
    rows_count(r, rate, "marks_per_s", "; ", " marks/s");
}

static void put_totals(struct rows *r, const json_t *doc)
{
    const json_t *t = doc_get(doc, "totals");
    char text[TEXT_MAX];
    uint64_t failed = 0;

    if (!t || !rows_begin(r, "totals", STYLE_DIM))
        return;
    rows_count(r, t, "copied_keys", "", " copied");
    rows_count(r, t, "deleted_keys", ", ", " deleted");
    if (doc_number(t, "failed_keys", &failed)) {
        rows_text(r, STYLE_PLAIN, r->empty ? "" : ", ");
        rows_format(r, failed ? STYLE_RED : STYLE_PLAIN, "%s failed", text_count(failed, text));
    }
    rows_count(r, t, "retries", ", ", " retries");
    rows_size(r, t, "bytes", "; ", "");
}

static void put_verify(struct rows *r, const json_t *doc, int64_t now_ms)
{
    const json_t *v = doc_get(doc, "verify");
    const char *verdict = doc_text(v, "verdict");
    char drift[REPORT_DRIFT_MAX], age[TEXT_MAX];
    double percent;

    if (!verdict || !rows_begin(r, "verify", STYLE_DIM))
        return;
    rows_text(r, report_verdict_style(verdict), verdict);
    if (!strcmp(verdict, "running") && doc_real(v, "percent", &percent)) {
        rows_format(r, STYLE_PLAIN, " %.1f %%", percent);
        rows_ms(r, v, "eta_ms", ", ", " left");
    } else if (doc_age(v, "ended", now_ms, age, sizeof(age))) {
        rows_format(r, STYLE_PLAIN, " %s ago", age);
    }
    if (report_verify_drift(v, drift)[0])
        rows_format(r, STYLE_RED, ", %s", drift);
    rows_count(r, v, "compared", ", ", " compared");
    rows_some(r, v, "unstable", ", ", " unstable");
    rows_some(r, v, "unknown", ", ", " unknown");
}

/* Whose the data is now, and what keeps clients from the source. */
static void put_committed(struct rows *r, const json_t *c, int64_t now_ms)
{
    const char *target = doc_text(c, "target"), *failed = doc_text(c, "failed");
    char age[TEXT_MAX];

    if (!rows_begin(r, "cutover", STYLE_DIM))
        return;
    rows_format(r, STYLE_GREEN, "committed %s", doc_text(c, "committed_at"));
    if (doc_age(c, "committed_at", now_ms, age, sizeof(age)))
        rows_format(r, STYLE_PLAIN, ", %s ago", age);
    rows_ms(r, c, "write_pause_ms", ", paused ", "");
    report_fence(r, c, WRAP_MAX);
    if (target && !report_let_go(c) && rows_begin(r, "writes", STYLE_DIM)) {
        rows_text(r, STYLE_PLAIN, "go to ");
        rows_text(r, STYLE_BOLD, target);
    }
    if (failed && failed[0])
        rows_wrap(r, "", STYLE_PLAIN, STYLE_RED, failed, 2);
}

static void put_cutover(struct rows *r, const json_t *doc, int64_t now_ms)
{
    const json_t *c = doc_get(doc, "cutover");
    const char *failed = doc_text(c, "failed"), *fenced = doc_text(c, "fence_text");
    const char *state = known(doc_text(c, "state"), "");
    char text[400];

    if (doc_text(c, "committed_at")) {
        put_committed(r, c, now_ms);
    } else if (!strcmp(state, "running") || !strcmp(state, "undoing")) {
        if (rows_begin(r, "cutover", STYLE_DIM))
            report_cutover_running(r, doc, NULL);
    } else if (failed && failed[0]) {
        snprintf(text, sizeof(text), "%s%s", strcmp(state, "unknown") ? "not committed: " : "", failed);
        rows_wrap(r, "cutover", STYLE_DIM, STYLE_YELLOW, text, 2);
        if (fenced && fenced[0])
            rows_wrap(r, "fenced", STYLE_RED, STYLE_RED, fenced, WRAP_MAX);
    }
}

/* Behind what is shown of a list: that there is more. */
static bool is_cut(struct rows *r, const json_t *list, size_t i, size_t most)
{
    size_t n = json_array_size(list);

    if (i < most && (r->left > 1 || i + 1 == n))
        return false;
    if (rows_begin(r, "", STYLE_PLAIN))
        rows_format(r, STYLE_DIM, "and %zu more; see riotctl status --json", n - i);
    rows_end(r);
    return true;
}

static void put_blockers(struct rows *r, const json_t *doc)
{
    const json_t *list = doc_get(doc, "blockers"), *each;
    char text[1024];
    size_t i;

    json_array_foreach(list, i, each)
    {
        const char *hint = doc_text(each, "hint");
        if (is_cut(r, list, i, BLOCKERS_MAX))
            return;
        snprintf(text, sizeof(text), "%s: %s", known(doc_text(each, "code"), "?"),
                 known(doc_text(each, "message"), ""));
        rows_wrap(r, "blocked", STYLE_RED, STYLE_RED, text, WRAP_MAX);
        if (hint && hint[0])
            rows_wrap(r, "  hint", STYLE_DIM, STYLE_PLAIN, hint, WRAP_MAX);
    }
}

static void put_conditions(struct rows *r, const json_t *doc, int64_t now_ms)
{
    const json_t *list = doc_get(doc, "conditions"), *each;
    char text[1024], age[TEXT_MAX];
    size_t i;

    json_array_foreach(list, i, each)
    {
        if (is_cut(r, list, i, CONDITIONS_MAX))
            return;
        bool aged = doc_age(each, "since", now_ms, age, sizeof(age));
        snprintf(text, sizeof(text), "%s%s%s: %s", known(doc_text(each, "code"), "?"), aged ? " for " : "",
                 aged ? age : "", known(doc_text(each, "message"), ""));
        rows_wrap(r, "problem", STYLE_YELLOW, STYLE_YELLOW, text, 2);
    }
}

static void put_failed_keys(struct rows *r, const json_t *doc)
{
    const json_t *list = doc_get(doc, "failed_keys"), *each;
    uint64_t db;
    size_t i;

    json_array_foreach(list, i, each)
    {
        if (is_cut(r, list, i, FAILED_MAX) || !rows_begin(r, i ? "" : "failed", STYLE_RED))
            return;
        if (doc_number(each, "db", &db))
            rows_format(r, STYLE_PLAIN, "db %llu ", (unsigned long long)db);
        rows_format(r, STYLE_PLAIN, "%s: %s", known(doc_text(each, "key"), "?"),
                    known(doc_text(each, "reason"), "?"));
    }
}

static void put_operations(struct rows *r, const json_t *doc, int64_t now_ms)
{
    const json_t *each;
    char age[TEXT_MAX];
    uint64_t id;
    size_t i;

    json_array_foreach(doc_get(doc, "operations"), i, each)
    {
        const char *state = doc_text(each, "state");
        if (!state || strcmp(state, "running") != 0 || !doc_number(each, "id", &id))
            continue;
        if (r->left <= 1 || !rows_begin(r, "operation", STYLE_DIM))
            return;
        rows_format(r, STYLE_PLAIN, "%llu, %s", (unsigned long long)id, known(doc_text(each, "verb"), "?"));
        if (doc_age(each, "started", now_ms, age, sizeof(age)))
            rows_format(r, STYLE_PLAIN, ", runs for %s", age);
        if (doc_text(each, "text"))
            rows_format(r, STYLE_PLAIN, ": %s", doc_text(each, "text"));
    }
}

static void put_next(struct rows *r, const json_t *doc, unsigned most)
{
    const json_t *each;
    size_t i;

    json_array_foreach(doc_get(doc, "next"), i, each)
    {
        if (i == most || !json_is_string(each) || !rows_begin(r, i ? "" : "next", STYLE_DIM))
            return;
        rows_text(r, STYLE_BOLD, json_string_value(each));
    }
}

/* Nothing is copied any more, and nobody is connected: what a lane would be at is not told. */
static bool is_after_commit(const json_t *doc)
{
    const char *state = known(doc_text(doc, "state"), "");
    return !strcmp(state, "committed") || !strcmp(state, "finished");
}

static void put_replication(struct rows *r, const json_t *doc)
{
    put_endpoint(r, doc, "source");
    put_endpoint(r, doc, "target");
    put_filter(r, doc);
    put_feed(r, doc);
    put_snapshot(r, doc);
    put_lanes(r, doc);
    put_lag(r, doc);
    put_queue(r, doc);
    put_rate(r, doc);
}

void screen_render(const json_t *doc, const struct term *t, int64_t now_ms, struct buf *out)
{
    unsigned next = (unsigned)MIN(json_array_size(doc_get(doc, "next")), (size_t)NEXT_MAX);
    struct rows r;

    rows_init(&r, out, t, t->height - 1 - next);
    put_headline(&r, doc, now_ms);
    put_blockers(&r, doc);
    put_conditions(&r, doc, now_ms);
    put_cutover(&r, doc, now_ms);
    if (!is_after_commit(doc))
        put_replication(&r, doc);
    put_totals(&r, doc);
    put_verify(&r, doc, now_ms);
    put_failed_keys(&r, doc);
    put_operations(&r, doc, now_ms);
    rows_end(&r);
    r.left = next;
    put_next(&r, doc, next);
    rows_end(&r);
}

void screen_line(const json_t *doc, const struct term *t, struct buf *out)
{
    const char *state = known(doc_text(doc, "state"), "unknown"), *problem;
    struct rows r = {.out = out, .t = t, .open = true};
    const json_t *s = doc_get(doc, "snapshot");
    double percent;

    rows_text(&r, screen_state_style(state), state);
    if ((!strcmp(state, "snapshot") || !strcmp(state, "resync")) && doc_real(s, "percent", &percent)) {
        rows_format(&r, STYLE_PLAIN, " %.1f %%", percent);
        rows_ms(&r, s, "eta_ms", ", ", " left");
    }
    if (rows_count(&r, doc, "lag.keys", ", lag ", " keys"))
        rows_ms(&r, doc, "lag.ms", " ", "");
    rows_count(&r, doc, "rate.copied_keys_per_s", ", ", " keys/s");
    rows_size(&r, doc, "rate.bytes_per_s", ", ", "/s");
    problem = doc_text(json_array_get(doc_get(doc, "blockers"), 0), "code");
    if (!problem)
        problem = doc_text(json_array_get(doc_get(doc, "conditions"), 0), "code");
    if (problem)
        rows_format(&r, STYLE_YELLOW, ", %s", problem);
}
