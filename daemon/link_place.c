/* link_place.c - the place of the source's stream that is kept over a restart (CORRECTNESS 6): written down
 * while the link is live, and forgotten before a gap is dealt with. In a cluster keys may change hands: it is
 * of the maps of both sides as they were then. */
#include "daemon/link_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/hash.h"

#define KEEP_PLACE_US 900000 /* between two writes of the file */

static const char *const scope_rows[] = {"source.url",  "target.url",     "target.existing_keys",
                                         "databases",   "filter.include", "filter.exclude",
                                         "filter.types"};

/* With a seed that is the same in the next process. */
static void add_text(uint64_t *sum, const char *text)
{
    *sum = hash_bytes((struct hash_seed){.k0 = 1}, *sum, bytes_str(text));
}

static int add_row(const struct config_row *row, void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(scope_rows); i++) {
        if (strcmp(row->path, scope_rows[i]) != 0)
            continue;
        add_text(arg, row->path);
        add_text(arg, row->value ? row->value : "");
    }
    return 0;
}

static int scope_of(const struct link *k, char out[STATE_SCOPE_MAX])
{
    uint64_t sum = 0;
    int err = config_each(k->config, add_row, &sum);

    snprintf(out, STATE_SCOPE_MAX, "%016" PRIx64, sum);
    return err;
}

static bool may_go_on(const struct link *k)
{
    return (k->config->feed == FEED_AUTO || k->config->feed == FEED_PSYNC) &&
           k->config->existing_keys != EXISTING_MERGE;
}

static bool is_map(const struct link *k, enum lane_side side, uint64_t map)
{
    return place_map(topology_map(k->topologies[side])) == map;
}

/* Why it begins anew; NULL: there is a place. */
static const char *why_anew(const struct link *k)
{
    const struct state_place *p = &state_of(k->file)->place;
    char scope[STATE_SCOPE_MAX];

    if (!may_go_on(k))
        return "with this feed, and with target.existing_keys: merge, no place in the stream is kept";
    if (!p->ok)
        return "no place in the stream was kept, as after a stop, a gap that was not made good yet, or while "
               "slots were moving, or their keys were left at another node";
    if (scope_of(k, scope) < 0 || strcmp(scope, p->scope) != 0)
        return "the configuration tells of other keys, or of other servers, than when the place was kept";
    if (!is_map(k, LANE_SOURCE, p->at.source_map))
        return "the source's nodes, or their slots, are not those that they were when the place was kept";
    if (!is_map(k, LANE_TARGET, p->at.target_map))
        return "the target's nodes, or their slots, are not those that they were when the place was kept";
    return NULL;
}

const struct place *link_place(const struct link *k)
{
    const struct state *s = state_of(k->file);
    const char *why = why_anew(k);

    if (why && k->was_owned && (s->place.ok || k->config->feed == FEED_PSYNC))
        log_event(k->log, EVENT_RESYNC_NEEDED, "all keys are gone through: %s", why);
    return why ? NULL : &s->place.at;
}

void link_place_keep(struct link *k, bool at_once)
{
    struct state_place *p = &state_of(k->file)->place, now = {.ok = true};
    uint64_t now_us = loop_now_us(k->loop);

    if (!k->lanes || k->state != LINK_LIVE || k->held || !may_go_on(k) ||
        (!at_once && now_us - k->place_kept_us < KEEP_PLACE_US))
        return;
    k->place_kept_us = now_us;
    if (!lanes_place(k->lanes, &now.at))
        return;
    if ((p->ok && place_is_as_far(&p->at, &now.at)) || scope_of(k, now.scope) < 0) {
        state_place_clear(&now);
        return;
    }
    state_place_clear(p);
    *p = now;
    if (link_save(k) < 0)
        return; /* it has failed by now, and said so */
}

void link_place_forget(struct link *k)
{
    struct state_place *p = &state_of(k->file)->place;

    if (!p->ok)
        return;
    p->ok = false;
    if (link_save(k) < 0)
        return; /* it has failed by now, and said so */
}

void link_place_look(struct link *k)
{
    const struct place *p = &state_of(k->file)->place.at;

    if (!is_map(k, LANE_SOURCE, p->source_map) || !is_map(k, LANE_TARGET, p->target_map))
        link_place_forget(k);
}
