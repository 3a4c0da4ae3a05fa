/* verify_report.c - what was found, counted and told. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/core/text.h"
#include "lib/verify/judge.h"
#include "lib/verify/verify_impl.h"

static const char *const drift_names[] = {
    [DRIFT_MISSING] = "missing", [DRIFT_EXTRA] = "extra", [DRIFT_TYPE] = "type",
    [DRIFT_VALUE] = "value",     [DRIFT_TTL] = "ttl",
};
_Static_assert(ARRAY_LEN(drift_names) == DRIFT_KINDS, "each kind has its name");

static const char *const verdict_names[] = {
    [VERIFY_RUNNING] = "running",           [VERIFY_CLEAN] = "clean",     [VERIFY_DRIFT] = "drift",
    [VERIFY_INCONCLUSIVE] = "inconclusive", [VERIFY_STOPPED] = "stopped",
};

const char *drift_name(enum drift d)
{
    return drift_names[d];
}

const char *verify_verdict_name(enum verify_verdict v)
{
    return verdict_names[v];
}

static const struct {
    enum compare_verdict verdict;
    enum drift drift;
} kinds[] = {
    {COMPARE_MISSING, DRIFT_MISSING}, {COMPARE_EXTRA, DRIFT_EXTRA}, {COMPARE_TYPE, DRIFT_TYPE},
    {COMPARE_VALUE, DRIFT_VALUE},     {COMPARE_TTL, DRIFT_TTL},
};

static enum drift kind_of(enum compare_verdict v)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].verdict == v)
            return kinds[i].drift;
    return DRIFT_VALUE;
}

static void keep_finding(struct verify *v, int db, struct bytes key, enum drift kind, const char *what)
{
    if (v->r.nfindings == VERIFY_SAMPLE_MAX)
        return;
    struct verify_finding *f = &v->r.findings[v->r.nfindings++];
    f->db = db;
    f->kind = kind;
    bytes_escape(key, f->key, sizeof(f->key));
    snprintf(f->what, sizeof(f->what), "%s", what);
}

void report_drift(struct verify *v, int db, struct bytes key, enum compare_verdict verdict, const char *what)
{
    enum drift kind = kind_of(verdict);

    v->r.compared++;
    v->drifted = true;
    /* Without its place among the keys that were counted, it could be counted twice. */
    if (seen_add(v->seen, db, key) < 0)
        v->r.at_least = true;
    else
        v->r.drift[kind]++;
    keep_finding(v, db, key, kind, what);
}

/* What is no drift leaves at least half of the places to what is. */
static void remember(struct verify *v, int db, struct bytes key)
{
    if (seen_count(v->seen) < VERIFY_EXACT_MAX / 2)
        (void)!seen_add(v->seen, db, key);
}

void report_unstable(struct verify *v, int db, struct bytes key, bool moving)
{
    char *example = moving ? v->moving_example : v->unstable_example;

    v->r.unstable++;
    v->r.moving += moving;
    remember(v, db, key);
    if (!example[0])
        bytes_escape(key, example, sizeof(v->unstable_example));
}

void report_unknown(struct verify *v, int db, struct bytes key, const char *why)
{
    char name[64];

    v->r.compared++;
    v->r.unknown++;
    remember(v, db, key);
    if (!v->unknown_example[0])
        snprintf(v->unknown_example, sizeof(v->unknown_example), "%s (%s)",
                 bytes_escape(key, name, sizeof(name)), why);
}

/* Why there is no verdict. */

static size_t PRINTF_LIKE(3, 4) add_reason(struct verify *v, size_t at, const char *format, ...)
{
    va_list args;

    if (at >= sizeof(v->r.reason))
        return at;
    at += (size_t)snprintf(v->r.reason + at, sizeof(v->r.reason) - at, "%s", at ? "; " : "");
    if (at >= sizeof(v->r.reason))
        return at;
    va_start(args, format);
    at += (size_t)vsnprintf(v->r.reason + at, sizeof(v->r.reason) - at, format, args);
    va_end(args);
    return at;
}

static const char *keys_of(uint64_t n)
{
    return n == 1 ? "key" : "keys";
}

static void tell_inconclusive(struct verify *v)
{
    char count[TEXT_MAX];
    uint64_t fast = v->r.unstable - v->r.moving;
    size_t at = 0;

    if (fast)
        at = add_reason(v, at, "%s %s changed too fast to be read twice, such as %.60s",
                        text_count(fast, count), keys_of(fast), v->unstable_example);
    if (v->r.moving)
        at = add_reason(v, at, "%s %s in slots that are being moved, such as %.60s",
                        text_count(v->r.moving, count), keys_of(v->r.moving), v->moving_example);
    if (v->r.unknown)
        at = add_reason(v, at, "%s %s cannot be compared: %.100s", text_count(v->r.unknown, count),
                        keys_of(v->r.unknown), v->unknown_example);
    if (v->unseen)
        add_reason(v, at, "slots of the %s were being moved all the time: some keys may not have been seen",
                   v->unseen);
}

void report_end(struct verify *v, enum verify_verdict verdict, const char *reason)
{
    v->r.verdict = verdict;
    v->r.ended_ms = clock_wall_ms();
    v->r.waiting[0] = '\0';
    v->r.keys_per_s = (double)report_visited(v) / ((double)MAX(v->r.ended_ms - v->r.began_ms, 1) / 1000);
    snprintf(v->r.reason, sizeof(v->r.reason), "%s", reason);
    if (verdict == VERIFY_INCONCLUSIVE && !reason[0])
        tell_inconclusive(v);
}

/* Progress. */

uint64_t report_visited(const struct verify *v)
{
    uint64_t visited = v->pass ? pass_visited(v->pass) : 0;

    for (size_t i = 0; i < ARRAY_LEN(v->visited); i++)
        visited += v->visited[i];
    return visited;
}

/* That the target is to be gone through once more is known only when it is. */
static uint64_t to_visit(const struct verify *v)
{
    uint64_t target = v->opt.merge ? 0 : v->opt.target_keys;
    const uint64_t ahead[] = {v->opt.keys, v->tally ? target : 0,
                              v->tally && v->phase < PHASE_TARGET ? 0 : target};
    uint64_t total = 0;

    for (size_t i = 0; i < ARRAY_LEN(v->visited); i++)
        total += i < v->phase ? v->visited[i] : ahead[i];
    return total;
}

static void tell_progress(const struct verify *v, struct verify_report *ret)
{
    uint64_t visited = report_visited(v), total = MAX(to_visit(v), visited);

    ret->percent = total ? MIN(99.9, 100.0 * (double)visited / (double)total) : 0;
    ret->eta_ms = -1;
    if (v->phase != PHASE_OVER && v->meter.per_s >= 1 && total > visited)
        ret->eta_ms = (int64_t)((double)(total - visited) / v->meter.per_s * 1000);
}

static const char *const sides[] = {"source", "target"};

/* As comparer_waits() does, of the node that is gone through. */
static void tell_pass(const struct verify *v, char *out, size_t cap)
{
    const char *why = conn_why(pass_conn(v->pass));
    bool several = nodes_count(v->nodes[passes_side(v)]) > 1;

    if (why[0])
        snprintf(out, cap, "%s%s%s", several ? v->node->endpoint.url.text : "", several ? ": " : "", why);
}

static bool tell_lost_side(const struct verify *v, int side, struct verify_report *ret)
{
    bool passing = v->pass && side == passes_side(v);
    char why[sizeof(ret->waiting)] = "";

    if (!comparer_waits(v->comparer, side, why, sizeof(why)) && passing && !conn_is_up(pass_conn(v->pass)))
        tell_pass(v, why, sizeof(why));
    if (why[0])
        snprintf(ret->waiting, sizeof(ret->waiting), "%s: %.140s", sides[side], why);
    return why[0] != '\0';
}

static void tell_waiting(const struct verify *v, struct verify_report *ret)
{
    ret->waiting[0] = '\0';
    ret->lost = tell_lost_side(v, 0, ret) || tell_lost_side(v, 1, ret);
    if (ret->lost)
        return;
    if (v->unsurveyed[0])
        snprintf(ret->waiting, sizeof(ret->waiting), "%s: %.140s", sides[passes_side(v)], v->unsurveyed);
    else if (v->unsettled[0])
        snprintf(ret->waiting, sizeof(ret->waiting), "%s", v->unsettled);
}

void verify_read(const struct verify *v, struct verify_report *ret)
{
    *ret = v->r;
    if (v->r.verdict != VERIFY_RUNNING)
        return;
    uint64_t *scanned = passes_scanned(v, ret);
    if (v->pass && scanned)
        *scanned += pass_taken(v->pass);
    ret->pending = suspects_count(v->suspects);
    ret->keys_per_s = v->meter.per_s;
    tell_progress(v, ret);
    tell_waiting(v, ret);
}
