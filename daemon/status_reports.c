/* status_reports.c - verify, cutover and check: their parts of the status, and reports of their own. */
#include "daemon/status_impl.h"

#include <stdlib.h>

#include "lib/core/clock.h"

static json_t *drift_part(const struct verify_report *r)
{
    json_t *o = json_object();

    for (enum drift d = DRIFT_MISSING; d < DRIFT_KINDS; d++)
        status_number(o, drift_name(d), r->drift[d]);
    return o;
}

static void set_scope(json_t *o, const struct verification_options *asked)
{
    if (asked->sample)
        status_number(o, "sample", asked->sample);
    status_text(o, "match", asked->match);
    if (asked->db >= 0)
        status_number(o, "db", (uint64_t)asked->db);
}

static void set_progress(json_t *o, const struct verify_report *r)
{
    status_real(o, "percent", r->percent);
    if (r->keys)
        status_number(o, "estimated_keys", r->keys + r->target_keys);
    status_number(o, "scanned_keys", r->scanned + r->target_scanned);
    status_real(o, "keys_per_s", r->keys_per_s);
    if (r->verdict == VERIFY_RUNNING && r->eta_ms >= 0)
        status_number(o, "eta_ms", (uint64_t)r->eta_ms);
}

static void set_counts(json_t *o, const struct verify_report *r)
{
    status_number(o, "compared", r->compared);
    status_number(o, "rechecked", r->rechecked);
    status_number(o, "pending", r->pending);
    status_set(o, "drift", drift_part(r));
    status_set(o, "at_least", json_boolean(r->at_least));
    status_number(o, "unstable", r->unstable);
    status_number(o, "unknown", r->unknown);
    status_number(o, "repaired", r->repaired);
}

static json_t *verify_part(const struct verify_report *r, const struct verification_options *asked)
{
    json_t *o = json_object();
    int64_t age_ms = clock_wall_ms() - r->ended_ms;

    status_text(o, "state", r->verdict == VERIFY_RUNNING ? "running" : "ended");
    status_text(o, "verdict", verify_verdict_name(r->verdict));
    status_text(o, "reason", r->reason);
    status_text(o, "waiting", r->waiting);
    status_set(o, "repair", json_boolean(r->repair));
    status_set(o, "sampled", json_boolean(r->sampled));
    set_scope(o, asked);
    status_time(o, "began", r->began_ms);
    if (r->verdict != VERIFY_RUNNING) {
        status_time(o, "ended", r->ended_ms);
        status_number(o, "age_s", age_ms > 0 ? (uint64_t)age_ms / 1000 : 0);
    }
    set_progress(o, r);
    set_counts(o, r);
    return o;
}

json_t *status_verify_part(const struct verification *v)
{
    struct verify_report *r = malloc(sizeof(*r));
    json_t *o = NULL;

    if (r && verification_report(v, r))
        o = verify_part(r, verification_asked(v, false));
    free(r);
    return o;
}

static json_t *finding_part(const struct verify_finding *f)
{
    json_t *o = json_object();

    status_set(o, "db", json_integer(f->db));
    status_set(o, "key", json_string(f->key)); /* the empty name is one too */
    status_text(o, "kind", drift_name(f->kind));
    status_text(o, "what", f->what);
    return o;
}

char *status_verify_report(const struct verification *v)
{
    const struct verify_report *r = verification_last(v);
    json_t *o = verify_part(r, verification_asked(v, true)), *keys = json_array();
    char text[VERIFICATION_TEXT_MAX];

    status_number(o, "exact_up_to", VERIFY_EXACT_MAX);
    for (size_t i = 0; i < r->nfindings; i++)
        json_array_append_new(keys, finding_part(&r->findings[i]));
    status_set(o, "keys", keys);
    status_number(o, "exit_code", verification_exit(r));
    status_text(o, "text", verification_verdict_text(r, text));
    return status_finish(o);
}

/* Cutover. */

static json_t *step_part(const struct cutover_status *s, enum cutover_step step)
{
    static const char *const states[] = {
        [STEP_WAITING] = "waiting", [STEP_RUNNING] = "running", [STEP_DONE] = "done",
        [STEP_FAILED] = "failed",   [STEP_SKIPPED] = "skipped",
    };
    json_t *o = json_object();
    enum cutover_step_state state = s->steps[step].state;

    status_text(o, "step", cutover_step_name(step));
    status_text(o, "state", states[state]);
    if (state != STEP_WAITING)
        status_real(o, "took_ms", (double)s->steps[step].took_us / 1000);
    status_text(o, "text", s->steps[step].text);
    return o;
}

static json_t *steps_part(const struct cutover_status *s)
{
    json_t *list = json_array();

    for (enum cutover_step step = 0; step < CUTOVER_STEPS; step++)
        json_array_append_new(list, step_part(s, step));
    return list;
}

static json_t *plan_part(const struct cutover_status *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->nplan; i++)
        json_array_append_new(list, json_string(s->plan[i]));
    return list;
}

static const char *cutover_state_name(const struct cutover_status *s)
{
    if (s->undoing)
        return "undoing";
    if (s->unknown)
        return "unknown";
    if (s->finished_ms)
        return "finished";
    if (s->committed_ms)
        return "committed";
    return s->running ? "running" : "ended";
}

static void set_when(json_t *o, const char *name, int64_t wall_ms)
{
    if (wall_ms)
        status_time(o, name, wall_ms);
}

static void set_fence(json_t *o, const struct cutover_status *s)
{
    if (!s->has_fence)
        return;
    status_text(o, "fence", fence_names[s->fence]);
    status_set(o, "fence_held", json_boolean(s->fence_held));
    status_text(o, "fence_text", s->fence_text);
}

static json_t *cutover_part(const struct cutover_status *s)
{
    json_t *o = json_object();

    status_text(o, "state", cutover_state_name(s));
    status_text(o, "step", cutover_step_name(s->step)); /* the last that began */
    status_set(o, "dry_run", json_boolean(s->dry_run));
    status_set(o, "undoing", json_boolean(s->undoing));
    status_set(o, "steps", steps_part(s));
    if (s->has_write_pause)
        status_number(o, "write_pause_ms", s->write_pause_ms);
    set_when(o, "began", s->began_ms);
    set_when(o, "committed_at", s->committed_ms);
    set_when(o, "finished_at", s->finished_ms);
    set_fence(o, s);
    status_text(o, "target", s->target);
    status_text(o, "failed", s->failed);
    status_set(o, "plan", plan_part(s));
    return o;
}

json_t *status_cutover_part(struct cutover *c)
{
    struct cutover_status *s = calloc(1, sizeof(*s));
    json_t *o = NULL;

    if (!s)
        return NULL;
    cutover_status(c, s);
    if (s->any)
        o = cutover_part(s);
    free(s);
    return o;
}

/* Check. */

static json_t *item_part(const struct preflight_item *i)
{
    json_t *o = json_object();

    status_text(o, "name", i->name);
    status_text(o, "level", preflight_level_name(i->level));
    status_text(o, "text", i->text);
    status_text(o, "hint", i->hint);
    return o;
}

char *status_check_report(const struct preflight_report *r)
{
    json_t *o = json_object(), *items = json_array();

    status_time(o, "checked_at", r->at_ms);
    status_set(o, "link_runs", json_boolean(r->link_runs));
    status_number(o, "errors", r->errors);
    status_number(o, "warnings", r->warnings);
    status_number(o, "exit_code", r->errors ? CTL_PREFLIGHT : CTL_OK);
    for (size_t i = 0; i < r->nitems; i++)
        json_array_append_new(items, item_part(&r->items[i]));
    status_set(o, "items", items);
    return status_finish(o);
}
