/* preflight_data.c - from facts to items: what the servers are like, and whether the one's data goes into the
 * other. */
#include "daemon/preflight_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/text.h"

#define SKEW_WARNING_MS 100
#define SKEW_ERROR_MS   1000

#define REACHED(f, which) ((f)->side[which].reached)
#define ASKED(f, which)   ((f)->side[which].reached && (f)->side[which].asked)

/* --- interlocks --- */

/* Those that stand in an item of their own. */
static const char *item_of(enum blocker b)
{
    switch (b) {
    case BLOCKER_VERSION:
        return "versions";
    case BLOCKER_DATABASE_MISSING:
        return "databases";
    case BLOCKER_TARGET_EVICTS:
        return "eviction";
    default:
        return blockers[b].code;
    }
}

static bool has_item(const struct preflight_report *r, const char *name)
{
    for (size_t i = 0; i < r->nitems; i++)
        if (strcmp(r->items[i].name, name) == 0)
            return true;
    return false;
}

static struct seen_side seen_of(const struct preflight_side *s, struct seen_server *one)
{
    *one = (struct seen_server){s->url, &s->probe};
    return s->nseen ? (struct seen_side){s->nseen, s->seen} : (struct seen_side){1, one};
}

/* The worst of all nodes. */
static enum ownership owner_of(const struct preflight_facts *f)
{
    struct seen_server one;
    const struct seen_side targets = seen_of(&f->side[SIDE_TARGET], &one);
    enum ownership worst = OWNER_NOBODY;

    for (size_t i = 0; i < targets.count; i++)
        worst = MAX(worst, interlocks_owner(f->config, f->state, targets.at[i].probe));
    return worst;
}

/* Two primaries do not replicate from each other, whatever their histories. */
static bool tell_who_they_are(const struct preflight_facts *f)
{
    const struct server_id *s = &f->side[SIDE_SOURCE].probe.id, *t = &f->side[SIDE_TARGET].probe.id;
    bool primaries = s->role == ROLE_PRIMARY && t->role == ROLE_PRIMARY;

    return s->run_id[0] && t->run_id[0] && (primaries || (s->replid[0] && t->replid[0]));
}

/* false: no more can be said of these two. */
static bool decide_interlocks(const struct preflight_facts *f, struct preflight_report *r)
{
    struct finding found[INTERLOCKS_MAX];
    size_t own = 0;

    struct seen_server source, target;
    const struct seen_side sources = seen_of(&f->side[SIDE_SOURCE], &source);
    const struct seen_side targets = seen_of(&f->side[SIDE_TARGET], &target);
    size_t n = interlocks(f->config, f->state, &sources, &targets, found);
    for (size_t i = 0; i < n; i++) {
        preflight_add(r, item_of(found[i].blocker), PREFLIGHT_ERROR, "%s", found[i].message);
        preflight_hint(r, "%s", blockers[found[i].blocker].hint);
        own += strcmp(item_of(found[i].blocker), blockers[found[i].blocker].code) == 0;
    }
    if (own == 0 && tell_who_they_are(f))
        preflight_add(r, "interlocks", PREFLIGHT_OK, "two servers, neither of them a replica of the other");
    else if (own == 0) {
        preflight_add(
            r, "interlocks", PREFLIGHT_WARNING,
            "whether these are two servers, neither of them a replica of the other, cannot be told: "
            "INFO lacks run_id, role or master_replid");
        preflight_hint(r, "Look yourself before you start the link.");
    }
    return !has_item(r, blockers[BLOCKER_SAME_SERVER].code);
}

static void decide_owner(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct preflight_side *t = &f->side[SIDE_TARGET];
    enum ownership owner = owner_of(f);
    uint64_t keys = interlocks_target_keys(f->config, &t->probe);
    char count[TEXT_MAX];

    text_count(keys, count);
    if (has_item(r, blockers[BLOCKER_TARGET_NOT_EMPTY].code))
        return;
    if (owner == OWNER_SUSPECT) {
        preflight_add(
            r, "target_owner", PREFLIGHT_WARNING,
            "another server than before answers at the target's address, and it has %s keys: none is "
            "deleted while over half of them would go",
            count);
        preflight_hint(r, "%s", blockers[BLOCKER_TARGET_FOREIGN].hint);
    } else if (owner == OWNER_OTHERS) {
        preflight_add(r, "target_owner",
                      f->config->existing_keys == EXISTING_REFUSE ? PREFLIGHT_ERROR : PREFLIGHT_OK,
                      "the target has %s keys that this link did not write; existing_keys is %s: %s", count,
                      config_existing_name(f->config->existing_keys),
                      f->config->existing_keys == EXISTING_REPLACE ? "those that the source lacks will go"
                      : f->config->existing_keys == EXISTING_MERGE ? "those that the source lacks will stay"
                                                                   : "it is refused");
        if (f->config->existing_keys == EXISTING_REFUSE)
            preflight_hint(r, "%s", blockers[BLOCKER_TARGET_NOT_EMPTY].hint);
    } else if (owner == OWNER_US) {
        preflight_add(r, "target_owner", PREFLIGHT_OK, "the target is this link's own, with %s key%s", count,
                      keys == 1 ? "" : "s");
    } else {
        preflight_add(r, "target_owner", PREFLIGHT_OK, "the target has no keys, and is nobody's");
    }
}

static void decide_record(const struct preflight_facts *f, struct preflight_report *r)
{
    enum cutover_stage stage = f->state->cutover.stage;

    if (stage == STAGE_NONE)
        return;
    preflight_add(r, "cutover_record", PREFLIGHT_WARNING, "a cutover of this link is on record: %s",
                  cutover_stage_name(stage));
    preflight_hint(r,
                   stage == STAGE_COMMITTED || stage == STAGE_FINISHED
                       ? "The target owns the data: only riotctl start --anew begins again, from the source."
                       : "It goes on, or is undone, when riotd runs.");
}

static void decide_counts(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct probe *source = &f->side[SIDE_SOURCE].probe;
    char was[TEXT_MAX], is[TEXT_MAX];

    uint64_t remembered = 0, keys = interlocks_source_keys(f->config, source->ndbs, source->dbs);

    for (size_t i = 0; i < f->state->sources.count; i++)
        remembered += interlocks_expected(f->config, &f->state->sources.at[i], SLOTS);
    if (!f->state->target_owned.owned || !source->has_keyspace || !interlocks_shrank(remembered, keys))
        return;
    text_count(remembered, was);
    text_count(keys, is);
    preflight_add(r, "source_shrank", PREFLIGHT_WARNING,
                  "the source had %s keys when this link last saw it, and has %s", was, is);
    preflight_hint(r, "%s", blockers[BLOCKER_SOURCE_SHRANK].hint);
}

/* --- the two together --- */

static void decide_versions(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct probe *s = &f->side[SIDE_SOURCE].probe, *t = &f->side[SIDE_TARGET].probe;

    if (has_item(r, "versions"))
        return;
    if (s->dump_version && t->dump_version)
        preflight_add(r, "versions", PREFLIGHT_OK, "%s %s (DUMP format %u) to %s %s (format %u)",
                      server_kind_name(s->id.kind), s->id.version, s->dump_version,
                      server_kind_name(t->id.kind), t->id.version, t->dump_version);
    else
        preflight_add(r, "versions", PREFLIGHT_OK,
                      "only trying shows whether the target takes what the source dumps");
}

static void decide_databases(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct probe *s = &f->side[SIDE_SOURCE].probe, *t = &f->side[SIDE_TARGET].probe;

    if (has_item(r, "databases"))
        return;
    if (!t->databases) {
        preflight_add(r, "databases", PREFLIGHT_OK,
                      "%zu with keys on the source; how many the target has is not known", s->ndbs);
    } else if (s->databases > t->databases && f->config->scope.all &&
               f->config->target.url.db == URL_DB_NONE) {
        preflight_add(r, "databases", PREFLIGHT_WARNING,
                      "the source has %u, the target %u: a key beyond could not be copied", s->databases,
                      t->databases);
        preflight_hint(r, "%s", blockers[BLOCKER_DATABASE_MISSING].hint);
    } else {
        preflight_add(r, "databases", PREFLIGHT_OK, "%zu with keys on the source, %u on the target", s->ndbs,
                      t->databases);
    }
}

static void put_texts(char *out, size_t cap, const char *before, const struct config_texts *t)
{
    for (size_t i = 0; i < t->count; i++) {
        size_t at = strlen(out);
        snprintf(out + at, cap - at, "%s%s", i ? ", " : at ? "; " : "", i ? "" : before);
        at = strlen(out);
        snprintf(out + at, cap - at, "%s", t->at[i]);
    }
}

static void decide_filter(const struct config *c, struct preflight_report *r)
{
    char text[240] = "";

    if (!c->filter)
        return;
    put_texts(text, sizeof(text), "names that match ", &c->filter_include);
    put_texts(text, sizeof(text), "none that match ", &c->filter_exclude);
    put_texts(text, sizeof(text), "values of type ", &c->filter_types);
    preflight_add(r, "filter", PREFLIGHT_OK, "%s. What is said of numbers and sizes is of all keys", text);
}

/* What the source's keys of the scope may take, reckoned by their number. */
static uint64_t expected_bytes(const struct preflight_facts *f)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE];
    uint64_t bytes = s->dataset != PREFLIGHT_UNKNOWN ? s->dataset : s->used_memory, all = 0;
    uint64_t scope = interlocks_source_keys(f->config, s->probe.ndbs, s->probe.dbs);

    for (size_t i = 0; i < s->probe.ndbs; i++)
        all += s->probe.dbs[i].keys;
    if (bytes == PREFLIGHT_UNKNOWN || all == 0 || scope == all)
        return bytes;
    return (uint64_t)((double)bytes * (double)scope / (double)all);
}

static void decide_target_memory(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct preflight_side *t = &f->side[SIDE_TARGET];
    uint64_t needed = expected_bytes(f);
    bool limited = t->maxmemory != PREFLIGHT_UNKNOWN && t->maxmemory > 0;
    uint64_t room = limited ? t->maxmemory : t->total_memory;
    char want[TEXT_MAX], have[TEXT_MAX];

    if (needed == PREFLIGHT_UNKNOWN || room == PREFLIGHT_UNKNOWN || room == 0) {
        preflight_add(r, "target_memory", PREFLIGHT_OK, "not known");
        return;
    }
    text_size(needed, want);
    text_size(room, have);
    enum preflight_level level = needed > room              ? PREFLIGHT_ERROR
                                 : needed > room - room / 5 ? PREFLIGHT_WARNING
                                                            : PREFLIGHT_OK;
    if (f->config->filter && level == PREFLIGHT_ERROR)
        level = PREFLIGHT_WARNING; /* the filter leaves out who knows how much of it */
    preflight_add(r, "target_memory", level, "the source's data takes about %s; the target %s %s", want,
                  limited ? "has maxmemory" : "has no maxmemory, its machine", have);
    if (level != PREFLIGHT_OK)
        preflight_hint(r,
                       limited ? "Raise maxmemory on the target." : "Use a larger machine for the target.");
}

static void decide_eviction(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct preflight_side *t = &f->side[SIDE_TARGET];
    const char *policy = t->probe.maxmemory_policy;

    if (has_item(r, "eviction"))
        return;
    if (!policy[0]) {
        preflight_add(r, "eviction", PREFLIGHT_OK, "the target's maxmemory-policy is not known");
    } else if (strcmp(policy, "noeviction") == 0) {
        preflight_add(r, "eviction", PREFLIGHT_OK, "the target evicts nothing");
    } else {
        preflight_add(r, "eviction", f->config->allow_eviction ? PREFLIGHT_WARNING : PREFLIGHT_ERROR,
                      "the target's maxmemory-policy is %s: it may drop keys that were copied", policy);
        preflight_hint(r, "%s",
                       f->config->allow_eviction ? "target.allow_eviction is yes: so it was wanted."
                                                 : blockers[BLOCKER_TARGET_EVICTS].hint);
    }
}

static void decide_bulk_length(const struct preflight_facts *f, struct preflight_report *r)
{
    uint64_t s = f->side[SIDE_SOURCE].bulk_len, t = f->side[SIDE_TARGET].bulk_len;
    char from[TEXT_MAX], to[TEXT_MAX];

    if (t == PREFLIGHT_UNKNOWN) {
        preflight_add(r, "bulk_length", PREFLIGHT_OK,
                      "the target's proto-max-bulk-len is not known: the usual 512 MiB is taken for it");
        return;
    }
    text_size(t, to);
    text_size(s, from);
    bool lower = s != PREFLIGHT_UNKNOWN && t < s;
    preflight_add(r, "bulk_length", lower ? PREFLIGHT_WARNING : PREFLIGHT_OK,
                  lower ? "the target's proto-max-bulk-len is %s, the source's %s: a larger key would fail"
                        : "the target's proto-max-bulk-len is %s",
                  to, from);
    if (lower)
        preflight_hint(r, "On the target: CONFIG SET proto-max-bulk-len %" PRIu64, s);
}

/* --- clocks --- */

/* `of` is ms ahead of `than`. */
static void add_skew(struct preflight_report *r, const char *name, const char *of, const char *than,
                     int64_t ms, const char *hint)
{
    uint64_t far = (uint64_t)llabs(ms);
    char text[TEXT_MAX];

    preflight_add(r, name,
                  far > SKEW_ERROR_MS     ? PREFLIGHT_ERROR
                  : far > SKEW_WARNING_MS ? PREFLIGHT_WARNING
                                          : PREFLIGHT_OK,
                  "%s is %s %s %s", of, text_ms(far, text),
                  ms < 0 ? "behind"
                  : ms   ? "ahead of"
                         : "from",
                  than);
    if (far > SKEW_WARNING_MS)
        preflight_hint(r, "%s", hint);
}

static void decide_clocks(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct probe *s = &f->side[SIDE_SOURCE].probe, *t = &f->side[SIDE_TARGET].probe;
    bool source = REACHED(f, SIDE_SOURCE) && s->has_clock, target = REACHED(f, SIDE_TARGET) && t->has_clock;

    if (source && target)
        add_skew(r, "clock", "the target's clock", "the source's", t->clock_skew_ms - s->clock_skew_ms,
                 "A key expires by the clock of the server that has it: let NTP set both.");
    if (source)
        add_skew(r, "clock_source", "the source's clock", "this machine's", s->clock_skew_ms,
                 "Let NTP set the source's machine, and this one.");
    if (target)
        add_skew(r, "clock_target", "the target's clock", "this machine's", t->clock_skew_ms,
                 "Let NTP set the target's machine, and this one.");
}

/* --- of one side, or of what it has --- */

static void decide_shape(const struct preflight_side *s, const char *side, struct preflight_report *r)
{
    preflight_add(r, "cluster", PREFLIGHT_OK, "the %s is a cluster: %zu primaries, each of them was asked",
                  side, s->nseen);
    if (!s->covered) {
        preflight_add(r, "slots", PREFLIGHT_ERROR, "not every slot of the %s has a node that serves it",
                      side);
        preflight_hint(r, "Mend the cluster first: redis-cli --cluster check, and fix.");
    } else if (s->moving) {
        preflight_add(r, "slots", PREFLIGHT_WARNING, "slots of the %s are moving", side);
        preflight_hint(r, "Copying goes on meanwhile. Cut over when they have moved.");
    } else {
        preflight_add(r, "slots", PREFLIGHT_OK, "every slot of the %s is served, and none is moving", side);
    }
}

static void decide_mixture(const struct preflight_side *s, const char *side, struct preflight_report *r)
{
    const struct probe *first = s->seen[0].probe;

    for (size_t i = 1; i < s->nseen; i++) {
        const struct probe *other = s->seen[i].probe;
        if (strcmp(first->id.version, other->id.version) == 0 && first->dump_version == other->dump_version)
            continue;
        preflight_add(r, "cluster_versions", PREFLIGHT_WARNING,
                      "the %s's nodes differ: %.100s is %s %s, %.100s is %s %s", side, s->seen[0].address,
                      server_kind_name(first->id.kind), first->id.version, s->seen[i].address,
                      server_kind_name(other->id.kind), other->id.version);
        preflight_hint(r, "Have all nodes of a cluster at one version before a cutover.");
        return;
    }
}

static void decide_cluster(const struct preflight_facts *f, struct preflight_report *r)
{
    static const char *const names[] = {"source", "target"};
    bool found = false;

    for (int side = SIDE_SOURCE; side <= SIDE_TARGET; side++) {
        const struct preflight_side *s = &f->side[side];
        if (!s->reached || !(s->cluster || s->probe.id.cluster))
            continue;
        found = true;
        if (!s->cluster) /* an interlock, which is told already */
            continue;
        decide_shape(s, names[side], r);
        decide_mixture(s, names[side], r);
    }
    if (!found && REACHED(f, SIDE_SOURCE) && REACHED(f, SIDE_TARGET))
        preflight_add(r, "cluster", PREFLIGHT_OK, "neither side is a cluster");
}

static void look_at_info(const struct preflight_facts *f, int side, char untold[WATCH_UNTOLD_MAX])
{
    const struct preflight_side *p = &f->side[side];
    uint64_t calls = p->has_commandstats ? 0 : WATCH_UNKNOWN;
    const struct watch_sample s = {
        .id = p->probe.id, .total_commands = p->commands, .flushes = calls, .evicted_keys = p->evicted};

    untold[0] = '\0';
    if (ASKED(f, side))
        watch_untold(&s, side == SIDE_TARGET && !f->config->allow_eviction, untold);
}

static void decide_info(const struct preflight_facts *f, struct preflight_report *r)
{
    char source[WATCH_UNTOLD_MAX], target[WATCH_UNTOLD_MAX];

    if (f->config->feed == FEED_NONE)
        return;
    look_at_info(f, SIDE_SOURCE, source);
    look_at_info(f, SIDE_TARGET, target);
    if (!source[0] && !target[0])
        return;
    preflight_add(r, blockers[BLOCKER_THIN_INFO].code, PREFLIGHT_WARNING,
                  "INFO does not tell %s%s%s%s%s: a cutover cannot prove what it shows", source,
                  source[0] ? " of the source" : "", source[0] && target[0] ? ", and " : "", target,
                  target[0] ? " of the target" : "");
    preflight_hint(r, "%s", blockers[BLOCKER_THIN_INFO].hint);
}

static bool has_module(const struct preflight_side *s, const char *name)
{
    for (size_t i = 0; i < s->nmodules; i++)
        if (strcmp(s->modules[i], name) == 0)
            return true;
    return false;
}

static void decide_modules(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE], *t = &f->side[SIDE_TARGET];
    char all[160] = "", lacking[80] = "";

    if (!s->has_modules) {
        preflight_add(r, "modules", PREFLIGHT_OK, "whether the source has modules is not known");
        return;
    }
    if (s->nmodules == 0) {
        preflight_add(r, "modules", PREFLIGHT_OK, "the source has none");
        return;
    }
    for (size_t i = 0; i < s->nmodules; i++) {
        size_t at = strlen(all), end = strlen(lacking);
        snprintf(all + at, sizeof(all) - at, "%s%s", at ? ", " : "", s->modules[i]);
        if (ASKED(f, SIDE_TARGET) && t->has_modules && !has_module(t, s->modules[i]))
            snprintf(lacking + end, sizeof(lacking) - end, "%s%s", end ? ", " : "", s->modules[i]);
    }
    preflight_add(r, "modules", PREFLIGHT_WARNING,
                  "the source has %s%s%s: keys of their types cannot be verified", all,
                  lacking[0] ? "; the target lacks " : "", lacking);
    preflight_hint(
        r, "Load the same modules on the target. One that writes by itself while the source is paused can "
           "crash it: see whether yours does before a cutover.");
}

static void decide_functions(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE], *t = &f->side[SIDE_TARGET];
    const char *why = !t->probe.has_functions ? "the target has no functions (7.0+)"
                      : right_is_lacking(t, MAY_FUNCTION_RESTORE)
                          ? "FUNCTION RESTORE is refused on the target"
                      : right_is_lacking(t, MAY_FUNCTION_DUMP) ? "FUNCTION DUMP is refused on the target"
                      : right_is_lacking(s, MAY_FUNCTION_DUMP) ? "FUNCTION DUMP is refused on the source"
                                                               : NULL;

    if (!s->probe.has_functions || s->libraries == 0) {
        preflight_add(r, "functions", PREFLIGHT_OK, "the source has none");
    } else if (s->libraries == PREFLIGHT_UNKNOWN) {
        preflight_add(r, "functions", why ? PREFLIGHT_WARNING : PREFLIGHT_OK,
                      "whether the source has some is not known%s%s", why ? "; " : "", why ? why : "");
    } else {
        preflight_add(r, "functions", why ? PREFLIGHT_ERROR : PREFLIGHT_OK,
                      "%" PRIu64 " %s on the source%s%s", s->libraries,
                      s->libraries == 1 ? "library" : "libraries", why ? ": " : "", why ? why : "");
    }
    if (r->items[r->nitems - 1].level != PREFLIGHT_OK)
        preflight_hint(r, "%s", blockers[BLOCKER_FUNCTIONS_REFUSED].hint);
}

static void decide_scripts(const struct preflight_side *s, struct preflight_report *r)
{
    if (s->scripts == PREFLIGHT_UNKNOWN)
        return;
    if (s->scripts == 0) {
        preflight_add(r, "scripts", PREFLIGHT_OK, "the source has no script in its cache");
        return;
    }
    preflight_add(r, "scripts", PREFLIGHT_WARNING,
                  "the source has %" PRIu64 " script%s in its cache, which cannot be copied", s->scripts,
                  s->scripts == 1 ? "" : "s");
    preflight_hint(r,
                   "Applications must fall back from EVALSHA to EVAL, or load their scripts on the target.");
}

static void decide_streams(const struct preflight_side *s, struct preflight_report *r)
{
    if (s->group_calls > 0)
        preflight_add(
            r, "streams", PREFLIGHT_OK,
            "consumer groups are in use: their streams are compared, and copied once more in a cutover");
}

static void decide_source_memory(const struct preflight_side *s, struct preflight_report *r)
{
    char used[TEXT_MAX], max[TEXT_MAX];
    const char *policy = s->probe.maxmemory_policy;

    if (s->maxmemory == PREFLIGHT_UNKNOWN || s->maxmemory == 0 || s->used_memory == PREFLIGHT_UNKNOWN)
        return;
    uint64_t buffer = s->pubsub.told ? s->pubsub.hard : 0;
    bool tight = policy[0] && strcmp(policy, "noeviction") != 0 && s->used_memory + buffer > s->maxmemory;
    preflight_add(r, "source_memory", tight ? PREFLIGHT_WARNING : PREFLIGHT_OK,
                  "the source uses %s of its maxmemory %s%s%s", text_size(s->used_memory, used),
                  text_size(s->maxmemory, max),
                  tight ? ", and evicts keys: a feed that lags takes of that memory, policy " : "",
                  tight ? policy : "");
    if (tight)
        preflight_hint(r, "Raise maxmemory on the source by the size of a subscriber's output buffer.");
}

static void decide_persistence(const struct preflight_side *t, struct preflight_report *r)
{
    bool aof = t->aof != PREFLIGHT_UNKNOWN && t->aof != 0;

    if (t->saving_failed == 1 || (aof && t->appending_failed == 1)) {
        preflight_add(r, "persistence", PREFLIGHT_WARNING, "the target's last %s failed",
                      t->saving_failed == 1 ? "RDB save" : "write to its AOF");
        preflight_hint(r,
                       "Look at the target's log: it may refuse writes (MISCONF), and lose data in a crash.");
    } else if (aof) {
        preflight_add(r, "persistence", PREFLIGHT_OK, "the target writes an AOF");
    } else if (!t->has_save) {
        preflight_add(r, "persistence", PREFLIGHT_OK,
                      "the target writes no AOF; whether it saves RDBs is not known");
    } else if (t->saves) {
        preflight_add(r, "persistence", PREFLIGHT_OK,
                      "the target saves RDBs: what was written since the last is lost in a crash");
    } else {
        preflight_add(
            r, "persistence", PREFLIGHT_WARNING,
            "the target keeps its data in memory only: a write that it acknowledged is lost in a crash");
        preflight_hint(
            r, "On the target: CONFIG SET appendonly yes (or save). Before the cutover at the latest.");
    }
}

static void decide_source_role(const struct preflight_side *s, struct preflight_report *r)
{
    if (s->probe.id.role != ROLE_REPLICA)
        return;
    preflight_add(r, "source_role", PREFLIGHT_WARNING,
                  "the source is a replica of %s:%u: a cutover needs its primary", s->probe.id.primary_host,
                  (unsigned)s->probe.id.primary_port);
    preflight_hint(r, "Give the primary's address as source.url. A copy without a cutover works from here.");
}

static void decide_sentinel(const struct preflight_side *s, struct preflight_report *r)
{
    if (s->sentinels == PREFLIGHT_UNKNOWN || s->sentinels == 0)
        return;
    preflight_add(r, "sentinel", PREFLIGHT_WARNING,
                  "%" PRIu64
                  " Sentinels watch the source: while its writers are paused they take it for down",
                  s->sentinels);
    preflight_hint(r, "Cut over with --max-write-pause below half of their down-after-milliseconds, told by "
                      "--sentinel-down-after; --fence hold is refused.");
}

static void decide_fence(const struct preflight_facts *f, enum fence_kind k, const char *name,
                         struct preflight_report *r)
{
    const struct fence_kind_report *kind = &f->fences.kinds[k];

    preflight_add(r, name, PREFLIGHT_OK, "%s%s%s",
                  kind->allowed ? "can be had" : "cannot be had: ", kind->allowed ? "" : kind->why_not,
                  f->fences.chosen == k ? ", and is what --fence auto takes" : "");
}

static void decide_fences(const struct preflight_facts *f, struct preflight_report *r)
{
    static const char *const names[] = {"fence_acl", "fence_min_replicas", "fence_hold"};
    static const enum fence_kind kinds[] = {FENCE_ACL, FENCE_MIN_REPLICAS, FENCE_HOLD};

    if (!f->has_fences) {
        preflight_add(r, "fences", PREFLIGHT_WARNING, "what a cutover could fence with is not known: %s",
                      f->fences_why[0] ? f->fences_why : "the source stopped to answer");
        preflight_hint(r, "Check again.");
        return;
    }
    if (f->fences.chosen == FENCE_AUTO) {
        preflight_add(r, "fences", PREFLIGHT_WARNING,
                      "a cutover can only use --fence none here, for which the writers are stopped by hand");
        preflight_hint(r, "See fence_acl, fence_min_replicas and fence_hold for what each of them lacks.");
    } else if (f->unfenced.address[0]) {
        preflight_add(
            r, "fences", PREFLIGHT_WARNING,
            "a cutover would be refused, with every fence but none: the node %.150s of the source cannot "
            "be fenced: %.160s",
            f->unfenced.address, f->unfenced.why);
        preflight_hint(
            r, "Each node is to be reached, with riotd's user (source.acl). A node that was restarted "
               "has its users only if ACL SAVE or CONFIG REWRITE kept them.");
    } else {
        preflight_add(r, "fences", PREFLIGHT_OK, "a cutover uses %s, unless another is asked for",
                      fence_names[f->fences.chosen]);
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        decide_fence(f, kinds[i], names[i], r);
}

static void decide_replicas(const struct preflight_side *s, struct preflight_report *r)
{
    if (s->replicas == PREFLIGHT_UNKNOWN || s->replicas == 0)
        return;
    preflight_add(r, "replicas", PREFLIGHT_OK,
                  "the source has %" PRIu64 ": a hard fence is put on each of them too", s->replicas);
}

void preflight_decide_data(const struct preflight_facts *f, struct preflight_report *r)
{
    const struct preflight_side *s = &f->side[SIDE_SOURCE], *t = &f->side[SIDE_TARGET];
    bool both = REACHED(f, SIDE_SOURCE) && REACHED(f, SIDE_TARGET);
    bool two = !both || decide_interlocks(f, r);

    decide_filter(f->config, r);
    decide_cluster(f, r);
    if (both && two) {
        decide_versions(f, r);
        decide_databases(f, r);
    }
    if (both && two && s->asked && t->asked) {
        decide_target_memory(f, r);
        decide_bulk_length(f, r);
        decide_functions(f, r);
        decide_info(f, r);
    }
    if (t->reached && two) {
        decide_eviction(f, r);
        decide_owner(f, r);
    }
    decide_clocks(f, r);
    if (s->reached) {
        decide_fences(f, r);
        decide_source_role(s, r);
        decide_counts(f, r);
    }
    if (ASKED(f, SIDE_SOURCE)) {
        decide_source_memory(s, r);
        decide_modules(f, r);
        decide_scripts(s, r);
        decide_streams(s, r);
        decide_replicas(s, r);
        decide_sentinel(s, r);
    }
    if (ASKED(f, SIDE_TARGET))
        decide_persistence(t, r);
    decide_record(f, r);
}
