#include <stdio.h>
#include <string.h>
#include "lib/feed/watchlist.h"

enum growth { GROWTH_NOTHING, GROWTH_GAP, GROWTH_GROUPS, GROWTH_FUNCTIONS };

static const struct counter {
    size_t at;
    const char *name;
    enum growth growth;
    const char *reason; /* of a gap */
} counters[] = {
    {offsetof(struct watchpoint, commands), "total_commands_processed", GROWTH_NOTHING, NULL},
    {offsetof(struct watchpoint, flushes), "calls of FLUSHALL and FLUSHDB", GROWTH_GAP,
     "the source was flushed"},
    {offsetof(struct watchpoint, swaps), "calls of SWAPDB", GROWTH_GAP, "SWAPDB ran on the source"},
    {offsetof(struct watchpoint, groups), "calls on consumer groups", GROWTH_GROUPS, NULL},
    {offsetof(struct watchpoint, functions), "calls of FUNCTION", GROWTH_FUNCTIONS, NULL},
};

void watchpoint_take(const struct watch_sample *s, struct watchpoint *ret)
{
    memset(ret, 0, sizeof(*ret));
    memcpy(ret->run_id, s->id.run_id, sizeof(ret->run_id));
    memcpy(ret->replid, s->id.replid, sizeof(ret->replid));
    ret->role = s->id.role;
    ret->link_up = s->id.primary_link_up;
    ret->loading = s->loading;
    ret->commands = s->has_stats ? s->total_commands : WATCH_UNKNOWN;
    ret->flushes = s->has_stats ? s->flushes : WATCH_UNKNOWN;
    ret->swaps = s->has_stats ? s->swaps : WATCH_UNKNOWN;
    ret->groups = s->has_stats ? s->group_changes : WATCH_UNKNOWN;
    ret->functions = s->has_stats ? s->function_changes : WATCH_UNKNOWN;
}

static void gap(struct watchlist_news *news, const char *text)
{
    if (news->gap[0] == '\0')
        snprintf(news->gap, sizeof(news->gap), "%s", text);
}

static void compare_server(const struct watchpoint *a, const struct watchpoint *b,
                           struct watchlist_news *news)
{
    if (strcmp(a->run_id, b->run_id) != 0)
        gap(news, "the source was restarted or replaced: its run id changed");
    else if (a->role != b->role)
        snprintf(news->gap, sizeof(news->gap), "the source is now a %s", server_role_name(b->role));
    else if (strcmp(a->replid, b->replid) != 0)
        gap(news, "the replication id of the source changed");
    news->functions |= news->gap[0] != '\0';
}

/* A replica that synchronises anew gets another data set without a word to whoever listens to its key space.
 */
static void compare_data(const struct watchpoint *a, const struct watchpoint *b, struct watchlist_news *news)
{
    if (!a->loading && b->loading)
        gap(news, "the source is loading its data set");
    else if (b->role == ROLE_REPLICA && !a->link_up && b->link_up)
        gap(news, "the source found its primary again and may have synchronised anew");
}

static void grown(const struct counter *c, struct watchlist_news *news)
{
    if (c->growth == GROWTH_GAP)
        gap(news, c->reason);
    news->groups |= c->growth == GROWTH_GROUPS;
    news->functions |= c->growth == GROWTH_FUNCTIONS;
}

/* An unknown counter is no gap by itself, or a thin INFO would be one each second; to become unknown, or
 * known again, is. */
static void compare_counter(const struct counter *c, uint64_t a, uint64_t b, struct watchlist_news *news)
{
    if (a == b)
        return;
    if (a != WATCH_UNKNOWN && b != WATCH_UNKNOWN && b > a) {
        grown(c, news);
        return;
    }
    const char *what = b == WATCH_UNKNOWN   ? "can no longer be read"
                       : a == WATCH_UNKNOWN ? "could not be read for a time"
                                            : "went back: INFO was reset";
    if (news->gap[0] == '\0')
        snprintf(news->gap, sizeof(news->gap), "INFO of the source: %s %s", c->name, what);
    news->functions = true;
}

void watchlist_compare(const struct watchpoint *before, const struct watchpoint *now, enum watchlist_for what,
                       struct watchlist_news *ret)
{
    struct watchlist_news server = {0}, rest = {0};

    compare_server(before, now, &server);
    compare_data(before, now, &rest);
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        const struct counter *c = &counters[i];
        uint64_t a, b;
        memcpy(&a, (const char *)before + c->at, sizeof(a));
        memcpy(&b, (const char *)now + c->at, sizeof(b));
        compare_counter(c, a, b, &rest);
    }
    *ret = server.gap[0] != '\0' || what != WATCHLIST_FOR_MARKS ? server : rest;
    if (what == WATCHLIST_FOR_GROUPS) /* its stream decides whether it goes on */
        ret->gap[0] = '\0';
    ret->groups =
        rest.groups || (what == WATCHLIST_FOR_GROUPS && (server.gap[0] != '\0' || rest.gap[0] != '\0'));
    ret->functions = what != WATCHLIST_FOR_GROUPS && (server.functions || rest.functions);
}
