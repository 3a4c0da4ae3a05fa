/* verification_text.c - what a verify found, in people's words. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "daemon/verification.h"
#include "lib/core/text.h"

struct line {
    char *out;
    size_t at;
};

static void PRINTF_LIKE(2, 3) add(struct line *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(l->out + l->at, VERIFICATION_TEXT_MAX - l->at, format, args);
    va_end(args);
    l->at = MIN(l->at + (size_t)MAX(n, 0), (size_t)VERIFICATION_TEXT_MAX - 1);
}

/* "1 key", "5,000 keys" */
static void add_keys(struct line *l, uint64_t n)
{
    char count[TEXT_MAX];
    add(l, "%s key%s", text_count(n, count), n == 1 ? "" : "s");
}

uint64_t verification_drift(const struct verify_report *r)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < DRIFT_KINDS; i++)
        sum += r->drift[i];
    return sum;
}

enum ctl_exit verification_exit(const struct verify_report *r)
{
    static const enum ctl_exit codes[] = {
        [VERIFY_RUNNING] = CTL_OK,     [VERIFY_CLEAN] = CTL_OK,
        [VERIFY_DRIFT] = CTL_DRIFT,    [VERIFY_INCONCLUSIVE] = CTL_INCONCLUSIVE,
        [VERIFY_STOPPED] = CTL_FAILED,
    };
    return codes[r->verdict];
}

/* "65 keys differ: 13 missing, 7 extra" */
static void add_drift(struct line *l, const struct verify_report *r)
{
    uint64_t sum = verification_drift(r);
    const char *between = ": ";
    char count[TEXT_MAX];

    if (r->at_least)
        add(l, "at least ");
    add_keys(l, sum);
    add(l, sum == 1 ? " differs" : " differ");
    for (enum drift d = DRIFT_MISSING; d < DRIFT_KINDS; d++) {
        if (!r->drift[d])
            continue;
        add(l, "%s%s %s", between, text_count(r->drift[d], count), drift_name(d));
        between = ", ";
    }
}

static void add_repaired(struct line *l, const struct verify_report *r)
{
    char count[TEXT_MAX];

    if (r->repaired)
        add(l, ", %s repaired", text_count(r->repaired, count));
}

static void add_undecided(struct line *l, const struct verify_report *r)
{
    char count[TEXT_MAX];

    if (r->unstable)
        add(l, ", %s changed too fast to be compared", text_count(r->unstable, count));
    if (r->unknown)
        add(l, ", %s cannot be compared", text_count(r->unknown, count));
}

const char *verification_progress_text(const struct verify_report *r, char out[VERIFICATION_TEXT_MAX])
{
    struct line l = {out, 0};
    char count[TEXT_MAX];

    if (!r->compared && !r->scanned)
        add(&l, "begins to compare");
    else
        add(&l, "%.0f%% gone through, %s keys compared, %.0f keys/s", r->percent,
            text_count(r->compared, count), r->keys_per_s);
    if (r->pending)
        add(&l, ", %s to be looked at again", text_count(r->pending, count));
    if (verification_drift(r)) {
        add(&l, ", ");
        add_drift(&l, r);
    }
    add_repaired(&l, r);
    add_undecided(&l, r);
    if (r->eta_ms >= 0)
        add(&l, ", %s left", text_ms((uint64_t)r->eta_ms, count));
    if (r->waiting[0])
        add(&l, "; waits: %s", r->waiting);
    return out;
}

const char *verification_verdict_text(const struct verify_report *r, char out[VERIFICATION_TEXT_MAX])
{
    struct line l = {out, 0};

    switch (r->verdict) {
    case VERIFY_CLEAN:
        add(&l, "no drift: ");
        break;
    case VERIFY_INCONCLUSIVE:
        add(&l, "inconclusive: %s; ", r->reason);
        break;
    case VERIFY_STOPPED:
        add(&l, "stopped: %s; ", r->reason);
        break;
    case VERIFY_RUNNING:
    case VERIFY_DRIFT:
        break;
    }
    if (verification_drift(r)) {
        add_drift(&l, r);
        add(&l, "; ");
    }
    add_keys(&l, r->compared);
    add(&l, " compared");
    add_repaired(&l, r);
    if (r->verdict != VERIFY_INCONCLUSIVE) /* its reason tells of them */
        add_undecided(&l, r);
    if (r->sampled)
        add(&l, "; a sample only");
    return out;
}
