/* status_reports.c - what verify found, for the status and as a report of its own. */
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
    if (r->eta_ms >= 0)
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
