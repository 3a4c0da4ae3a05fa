/* lanes_status.c - what is told of all lanes as one: sums, the oldest, the worst. */
#include "lib/copy/lanes_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_counts(struct dirty_counts *sum, const struct dirty_counts *one)
{
    sum->queued += one->queued;
    sum->scan_queued += one->scan_queued;
    sum->in_flight += one->in_flight;
    sum->waiting += one->waiting;
    sum->failed += one->failed;
    sum->failed_unnamed += one->failed_unnamed;
}

static void add_totals(struct lane_status *sum, const struct lane_status *one)
{
    sum->scanned_keys += one->scanned_keys;
    sum->estimated_keys += one->estimated_keys;
    sum->swept_keys += one->swept_keys;
    sum->in_flight_bytes += one->in_flight_bytes;
    sum->memory_bytes += one->memory_bytes;
    sum->memory_limit_bytes += one->memory_limit_bytes;
    sum->lag_keys += one->lag_keys;
    sum->marks += one->marks;
    sum->copied_keys += one->copied_keys;
    sum->deleted_keys += one->deleted_keys;
    sum->bytes += one->bytes;
    sum->retries += one->retries;
    sum->gaps += one->gaps;
    sum->long_keys += one->long_keys;
    sum->copied_keys_per_s += one->copied_keys_per_s;
    sum->bytes_per_s += one->bytes_per_s;
    sum->marks_per_s += one->marks_per_s;
}

static void worst_server(struct lane_server *worst, const struct lane_server *one)
{
    worst->up &= one->up;
    worst->known &= one->known;
    worst->round_trip_us = MAX(worst->round_trip_us, one->round_trip_us);
}

static void worst_feed(struct feed_status *worst, const struct feed_status *one)
{
    struct feed_status other = *worst;

    if (strcmp(worst->state, "ready") == 0 || (!worst->doubt[0] && one->doubt[0]))
        *worst = *one;
    else
        other = *one;
    worst->gaps += other.gaps;
    worst->marks += other.marks;
    worst->names_db &= other.names_db;
}

/* Of which lane it is says something of its node of the source; those of the target tell theirs. */
static bool is_of_source(enum lane_condition c)
{
    return c == LANE_SOURCE_DOWN || c == LANE_SOURCE_SILENT || c == LANE_SOURCE_LOADING ||
           c == LANE_SOURCE_REFUSES || c == LANE_OVERRUN || c == LANE_FEED_UNPROVEN || c == LANE_SLOTS_LEFT;
}

static void name_problem(struct lane_problem *p, enum lane_condition c, const char *name)
{
    char text[sizeof(p->text)];
    int of_name = (int)strnlen(name, sizeof(text) / 2);

    if (!p->on || !is_of_source(c))
        return;
    memcpy(text, p->text, sizeof(text));
    snprintf(p->text, sizeof(p->text), "%.*s: %.*s", of_name, name, (int)sizeof(text) - of_name - 3, text);
}

static void worst_problem(struct lane_problem *worst, const struct lane_problem *one, enum lane_condition c,
                          const char *name)
{
    if (!one->on || (worst->on && worst->since_ms <= one->since_ms))
        return;
    *worst = *one;
    name_problem(worst, c, name);
}

/* Of the keys of all, those that are scanned and copied. */
static double percent_of_both(const struct lane_status *a, const struct lane_status *b)
{
    double keys = (double)(a->estimated_keys + b->estimated_keys);

    if (keys == 0)
        return MIN(a->percent, b->percent);
    return (a->percent * (double)a->estimated_keys + b->percent * (double)b->estimated_keys) / keys;
}

static void add_status(struct lane_status *sum, const struct lane_status *one, const char *name)
{
    sum->percent = percent_of_both(sum, one);
    sum->eta_ms = MAX(sum->eta_ms, one->eta_ms);
    sum->lag_ms = MAX(sum->lag_ms, one->lag_ms);
    bool known = sum->lag_bytes != UINT64_MAX && one->lag_bytes != UINT64_MAX;
    sum->lag_bytes = known ? sum->lag_bytes + one->lag_bytes : UINT64_MAX;
    sum->gap_pending |= one->gap_pending;
    if (!sum->functions_error[0])
        memcpy(sum->functions_error, one->functions_error, sizeof(sum->functions_error));
    add_counts(&sum->counts, &one->counts);
    add_totals(sum, one);
    for (size_t side = 0; side < ARRAY_LEN(sum->server); side++)
        worst_server(&sum->server[side], &one->server[side]);
    worst_feed(&sum->feed, &one->feed);
    for (enum lane_condition c = 0; c < LANE_CONDITIONS; c++)
        worst_problem(&sum->conditions[c], &one->conditions[c], c, name);
}

void lanes_status(struct lanes *s, struct lane_status *ret)
{
    struct lane_status one;

    lane_status(s->at[0]->lane, ret);
    for (enum lane_condition c = 0; s->n > 1 && c < LANE_CONDITIONS; c++)
        name_problem(&ret->conditions[c], c, lane_name(s->at[0]->lane));
    for (size_t i = 1; i < s->n; i++) {
        lane_status(s->at[i]->lane, &one);
        add_status(ret, &one, lane_name(s->at[i]->lane));
    }
    add_totals(ret, &s->past);
    ret->memory_limit_bytes = s->opt.lane.memory;
    ret->phase = s->phase;
    ret->round = s->round;
    memcpy(ret->last_gap, s->last_gap, sizeof(ret->last_gap));
}

void lanes_each_failed(const struct lanes *s,
                       void (*fn)(int db, struct bytes key, const char *reason, void *arg), void *arg)
{
    for (size_t i = 0; i < s->n; i++)
        lane_each_failed(s->at[i]->lane, fn, arg);
}

const struct watch_sample *lanes_last_sample(const struct lanes *s, enum lane_side side, const char *address)
{
    const struct watch_sample *last = NULL;
    for (size_t i = 0; i < s->n && !last; i++)
        last = lane_last_sample(s->at[i]->lane, side, address);
    return last;
}

void lanes_generation(const struct lanes *s, struct lane_generation *ret)
{
    *ret = (struct lane_generation){.gaps = s->past.gaps + s->changes, .marks = s->past_marks};
    for (size_t i = 0; i < s->n; i++) {
        struct lane_generation one;
        lane_generation(s->at[i]->lane, &one);
        ret->gaps += one.gaps;
        ret->marks += one.marks;
    }
}

struct recent_walk {
    bool (*fn)(int db, struct bytes key, void *arg);
    void *arg;
    bool ended;
};

static bool one_recent(int db, struct bytes key, void *arg)
{
    struct recent_walk *w = arg;
    w->ended = !w->fn(db, key, w->arg);
    return !w->ended;
}

void lanes_each_recent(const struct lanes *s, bool (*fn)(int db, struct bytes key, void *arg), void *arg)
{
    struct recent_walk w = {.fn = fn, .arg = arg};

    for (size_t i = 0; i < s->n && !w.ended; i++)
        lane_each_recent(s->at[i]->lane, one_recent, &w);
}

/* A union, from malloc. */
int *lanes_dbs(const struct lanes *s, size_t *ret_n)
{
    int *all = lane_dbs(s->at[0]->lane, ret_n);

    for (size_t i = 1; i < s->n && all; i++) {
        size_t n = 0;
        int *more = lane_dbs(s->at[i]->lane, &n);
        int *both = more ? realloc(all, MAX(*ret_n + n, (size_t)1) * sizeof(*both)) : NULL;
        if (!both) {
            free(more);
            free(all);
            return NULL;
        }
        all = both;
        for (size_t j = 0; j < n; j++) {
            size_t k = 0;
            while (k < *ret_n && all[k] != more[j])
                k++;
            if (k == *ret_n)
                all[(*ret_n)++] = more[j];
        }
        free(more);
    }
    return all;
}
