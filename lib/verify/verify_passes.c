/* verify_passes.c - which names are told, and when it was all of them.
 *
 * Each side is gone through node by node, and of each node's keys those count whose slot it owns. A slot that
 * gets another owner meanwhile, or is being moved when all nodes have been gone through, is gone through
 * again: its keys may have come to a node after the pass had gone by. That is done once nothing moves any
 * more; what moves without an end makes the verdict inconclusive.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/redis/refusal.h"
#include "lib/verify/verify_impl.h"

#define REFUSALS_MAX 10      /* of SCAN, a second apart */
#define SURVEY_US    1000000 /* between two surveys */

int passes_side(const struct verify *v)
{
    return v->phase == PHASE_NAMES || v->phase == PHASE_TARGET;
}

/* What is gone through once more was counted before. */
uint64_t *passes_scanned(const struct verify *v, struct verify_report *r)
{
    if (v->phase == PHASE_TARGET && v->tally)
        return NULL;
    return passes_side(v) ? &r->target_scanned : &r->scanned;
}

static int db_on_source(const struct verify *v, int db)
{
    return passes_side(v) && v->opt.compare.into_db != URL_DB_NONE && v->opt.ndbs ? v->dbs[0] : db;
}

static bool on_approved(const struct server_id *id, void *arg)
{
    const struct verify *v = arg;
    return node_is_approved(v->node, id);
}

static void on_names(void *arg)
{
    struct verify *v = arg;
    v->refusals = 0;
    verify_pump_soon(v);
}

static void on_long_name(int db, struct bytes prefix, uint64_t length, void *arg)
{
    char why[80];
    struct verify *v = arg;

    if (!passes_scanned(v, &v->r))
        return;
    snprintf(why, sizeof(why), "a name of %llu bytes", (unsigned long long)length);
    report_unknown(v, db_on_source(v, db), prefix, why);
}

static void on_refused(const char *error, void *arg)
{
    struct verify *v = arg;
    char reason[160];
    const char *side = v->phase == PHASE_SOURCE ? "source" : "target";

    if (!error) {
        verify_finish(v, VERIFY_INCONCLUSIVE, "out of memory");
        return;
    }
    if (refusal_is_passing(bytes_str(error)) || ++v->refusals < REFUSALS_MAX)
        return;
    snprintf(reason, sizeof(reason), "the %s refuses SCAN: %.120s", side, error);
    verify_finish(v, v->drifted ? VERIFY_DRIFT : VERIFY_INCONCLUSIVE, reason);
}

static uint64_t chosen(uint64_t sample, uint64_t keys)
{
    double part = keys ? (double)sample / (double)keys : 1;
    return !sample || part >= 1 ? UINT64_MAX : (uint64_t)(part * 0x1p64);
}

static int begin_pass(struct verify *v)
{
    static const struct pass_events events = {
        .approved = on_approved, .names = on_names, .long_name = on_long_name, .refused = on_refused};
    bool source = v->phase == PHASE_SOURCE, into = !source && v->opt.compare.into_db != URL_DB_NONE;
    const struct pass_options opt = {
        .endpoint = &v->node->endpoint,
        .role = v->role,
        .match = v->match,
        .dbs = into ? &v->target_db : v->dbs,
        .ndbs = into ? MIN(v->opt.ndbs, (size_t)1) : v->opt.ndbs,
        .count = v->opt.scan_count,
        .filter = v->opt.compare.filter,
        .seed = v->seed,
        .chosen = chosen(v->opt.sample, source ? v->opt.keys : v->opt.target_keys),
    };
    return pass_new(v->loop, &opt, &events, v, &v->pass);
}

bool passes_are_sampled(const struct verify *v)
{
    return chosen(v->opt.sample, v->opt.keys) != UINT64_MAX ||
           chosen(v->opt.sample, v->opt.target_keys) != UINT64_MAX;
}

/* What it told is counted; what it had not told yet is left to another. */
static void drop_pass(struct verify *v)
{
    uint64_t *scanned = passes_scanned(v, &v->r);

    if (!v->pass)
        return;
    v->visited[v->phase] += pass_visited(v->pass);
    if (scanned)
        *scanned += pass_taken(v->pass);
    v->pass = pass_free(v->pass);
    v->node = NULL;
}

/* Sets of slots. */

static bool is_empty(const struct slot_set *s)
{
    for (size_t i = 0; i < ARRAY_LEN(s->bits); i++)
        if (s->bits[i])
            return false;
    return true;
}

static void add_all(struct slot_set *to, const struct slot_set *slots)
{
    for (size_t i = 0; i < ARRAY_LEN(to->bits); i++)
        to->bits[i] |= slots->bits[i];
}

static void remove_all(struct slot_set *from, const struct slot_set *slots)
{
    for (size_t i = 0; i < ARRAY_LEN(from->bits); i++)
        from->bits[i] &= ~slots->bits[i];
}

/* The order of things. */

/* Whatever is to be gone through and has no owner waits for one. */
static void take_node(struct verify *v)
{
    const struct nodes *nodes = v->nodes[passes_side(v)];
    struct slot_set nobodys = {0};

    v->taking = (struct slot_set){0};
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (!slot_set_has(&v->todo, slot))
            continue;
        struct node *n = nodes_owner(nodes, slot);
        if (!v->node)
            v->node = n;
        if (!n)
            slot_set_add(&nobodys, slot);
        else if (n == v->node)
            slot_set_add(&v->taking, slot);
    }
    remove_all(&v->todo, &nobodys);
    add_all(&v->again, &nobodys);
}

static void next_pass(struct verify *v)
{
    take_node(v);
    if (v->node && begin_pass(v) < 0)
        verify_finish(v, VERIFY_INCONCLUSIVE, "out of memory");
}

static void begin_side(struct verify *v, enum verify_phase phase)
{
    v->phase = phase;
    v->again = (struct slot_set){0};
    v->surveys = 0;
    v->survey_us = 0;
    memset(&v->todo, phase == PHASE_OVER ? 0 : 0xff, sizeof(v->todo));
}

static void end_side(struct verify *v)
{
    switch (v->phase) {
    case PHASE_SOURCE:
        begin_side(v, v->opt.merge ? PHASE_OVER : v->tally ? PHASE_NAMES : PHASE_TARGET);
        break;
    case PHASE_NAMES:
        begin_side(v, tally_all_even(v->tally) ? PHASE_OVER : PHASE_TARGET);
        break;
    default:
        begin_side(v, PHASE_OVER);
    }
}

/* Nothing moves. What nobody owns has no keys. */
static void at_rest(struct verify *v)
{
    const struct nodes *nodes = v->nodes[passes_side(v)];

    v->unsurveyed[0] = '\0';
    v->survey_us = 0;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (slot_set_has(&v->again, slot) && nodes_owner(nodes, slot))
            slot_set_add(&v->todo, slot);
    v->again = (struct slot_set){0};
    if (is_empty(&v->todo))
        end_side(v);
}

static void moves(struct verify *v)
{
    snprintf(v->unsurveyed, sizeof(v->unsurveyed), "slots are being moved");
    topology_refresh(v->opt.compare.topology[passes_side(v)]);
    if (++v->surveys < v->surveys_max)
        return;
    v->unseen = passes_side(v) ? "target" : "source";
    v->unsurveyed[0] = '\0';
    end_side(v);
}

static void on_surveyed(const struct survey_result *r, void *arg)
{
    struct verify *v = arg;

    add_all(&v->again, &r->moving);
    if (r->why[0])
        snprintf(v->unsurveyed, sizeof(v->unsurveyed), "%s", r->why);
    else if (r->agreed && is_empty(&r->moving))
        at_rest(v);
    else
        moves(v);
    v->survey = survey_free(v->survey);
    verify_pump_soon(v);
}

/* All of the side was gone through: once, if nothing has moved. */
static void look_for_rest(struct verify *v)
{
    uint64_t now = loop_now_us(v->loop);

    if (!nodes_by_slot(v->nodes[passes_side(v)])) {
        at_rest(v);
        return;
    }
    if (v->survey || now < v->survey_us)
        return;
    v->survey_us = now + SURVEY_US;
    if (survey_new(v->loop, v->opt.compare.topology[passes_side(v)], v->role, on_surveyed, v, &v->survey) < 0)
        verify_finish(v, VERIFY_INCONCLUSIVE, "out of memory");
}

void passes_go_on(struct verify *v)
{
    if (v->pass && !v->reading && pass_is_over(v->pass)) {
        drop_pass(v);
        remove_all(&v->todo, &v->taking);
    }
    if (v->pass || v->reading || v->phase == PHASE_OVER)
        return;
    if (is_empty(&v->todo))
        look_for_rest(v);
    if (!is_empty(&v->todo))
        next_pass(v);
}

static void slots_moved(struct verify *v, int side, const struct slot_set *slots)
{
    if (v->phase == PHASE_OVER || side != passes_side(v))
        return;
    remove_all(&v->todo, slots);
    remove_all(&v->taking, slots);
    add_all(&v->again, slots);
    verify_pump_soon(v);
}

static void source_moved(const struct slot_set *slots, void *arg)
{
    slots_moved(arg, 0, slots);
}

static void target_moved(const struct slot_set *slots, void *arg)
{
    slots_moved(arg, 1, slots);
}

static void on_left(struct node *n, void *arg)
{
    struct verify *v = arg;

    if (n == v->node)
        drop_pass(v);
}

/* Names alone say nothing of types, and of a sample the two sides may have chosen unlike ones. */
static int begin_tally(struct verify *v)
{
    if (v->opt.merge || passes_are_sampled(v) || filter_has_types(v->opt.compare.filter))
        return 0;
    return tally_new(v->seed, &v->tally);
}

int passes_begin(struct verify *v)
{
    static const struct nodes_events source = {.left = on_left, .moved = source_moved};
    static const struct nodes_events target = {.left = on_left, .moved = target_moved};
    const struct compare_options *c = &v->opt.compare;

    int err = nodes_new(c->source, c->topology[0], &source, v, &v->nodes[0]);
    if (!err)
        err = nodes_new(c->target, c->topology[1], &target, v, &v->nodes[1]);
    if (!err)
        err = begin_tally(v);
    begin_side(v, PHASE_SOURCE);
    return err;
}

void passes_end(struct verify *v)
{
    v->pass = pass_free(v->pass);
    v->node = NULL;
    v->survey = survey_free(v->survey);
    for (int side = 0; side < 2; side++)
        v->nodes[side] = nodes_free(v->nodes[side]);
}

void passes_approve(struct verify *v, int side, const char *address, const char *run_id)
{
    struct node *n = nodes_approve(v->nodes[side], address, run_id);

    if (n && n == v->node && v->pass)
        pass_check(v->pass);
}

/* Names. */

static bool has_room(const struct verify *v, size_t name_len)
{
    size_t used = suspects_bytes(v->suspects) + v->reserved;
    return !used || used + suspect_cost(name_len) <= v->room;
}

static int ask(struct verify *v, int db, struct bytes name)
{
    if (v->phase == PHASE_SOURCE || filter_has_types(v->opt.compare.filter)) /* EXISTS knows no types */
        return comparer_compare(v->comparer, db_on_source(v, db), name, false, 0);
    return comparer_exists(v->comparer, db_on_source(v, db), name, 0);
}

/* Names of slots that another node owns are seen there. */
static bool is_here(const struct verify *v, struct bytes name)
{
    return !nodes_by_slot(v->nodes[passes_side(v)]) || slot_set_has(&v->taking, slot_of(name));
}

/* False: no more now. */
static bool send_name(struct verify *v, int db, struct bytes name)
{
    int err = ask(v, db, name);

    if (err == -ENOTCONN) {
        recheck_add_lost(v, db_on_source(v, db), name, COMPARE_LOST);
        return true;
    }
    if (err)
        return false;
    rate_take(&v->rate, 1);
    v->reading++;
    v->reserved += suspect_cost(name.len);
    return true;
}

static bool take_name(struct verify *v, int db, struct bytes name)
{
    if (v->phase == PHASE_NAMES)
        tally_tell(v->tally, db_on_source(v, db), name);
    else if (v->phase == PHASE_SOURCE || !v->tally || !tally_is_even(v->tally, db_on_source(v, db), name))
        return send_name(v, db, name);
    rate_take(&v->rate, 1);
    return true;
}

void passes_send(struct verify *v)
{
    struct bytes name;
    int db;
    uint64_t now = loop_now_us(v->loop);

    while (v->pass && pass_first(v->pass, &db, &name) && has_room(v, name.len) && rate_ready(&v->rate, now)) {
        if (is_here(v, name) && !take_name(v, db, name))
            return;
        pass_shift(v->pass);
    }
}
