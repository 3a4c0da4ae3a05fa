/* copy_lane_events.h - for the tests of lanes: what one tells, where a test is not about that. Static
 * functions, since each test program is one file.
 */
#ifndef RIOT_COPY_LANE_EVENTS_H
#define RIOT_COPY_LANE_EVENTS_H

#include "lib/copy/lane.h"
#include "tests/unit/copy_kit.h"

static void on_chosen(struct lane *l, enum feed_kind kind, void *arg)
{
    (void)l, (void)kind, (void)arg;
}

static void on_unusable(struct lane *l, const char *why, void *arg)
{
    (void)l, (void)arg;
    ck_abort_msg("unusable: %s", why);
}

static int on_writer_id(struct lane *l, const char *run_id, uint64_t client_id, void *arg)
{
    (void)l, (void)run_id, (void)client_id, (void)arg;
    return 0;
}

static void on_writer_dead(struct lane *l, const char *run_id, uint64_t client_id, void *arg)
{
    (void)l, (void)run_id, (void)client_id, (void)arg;
}

static void on_census(struct lane *l, uint64_t seen, uint64_t missing, void *arg)
{
    (void)l, (void)seen, (void)missing, (void)arg;
}

/* Into the events of each test. */
#define LANE_EVENTS_OF_NO_TEST                                                                               \
    .feed_chosen = on_chosen, .feed_unusable = on_unusable, .writer_id = on_writer_id,                       \
    .writer_dead = on_writer_dead, .census = on_census

/* These where no test is about them. */

KIT_UNUSED static int nothing_recorded(struct lane *l, const struct notify_record *rec, void *arg)
{
    (void)l, (void)rec, (void)arg;
    return 0;
}

KIT_UNUSED static void no_key_fails(struct lane *l, int db, struct bytes key, const char *reason, void *arg)
{
    (void)l, (void)db, (void)key, (void)arg;
    ck_abort_msg("failed: %s", reason);
}

#endif
