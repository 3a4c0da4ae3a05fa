/* copy_lane_kit.h - for the tests of a whole lane: between two real servers, with what it told counted.
 * Static functions, since each test program is one file.
 */
#ifndef RIOT_COPY_LANE_KIT_H
#define RIOT_COPY_LANE_KIT_H

#include "tests/unit/copy_lane_events.h"
#include "tests/unit/copy_server.h"

static struct fake none; /* for its loop only */
static struct real source, target;
static struct lane *lane;
static size_t lives, gaps, strangers, target_down, calls;
static const struct sink silent;
static struct lane_options opt = {.source = &source.endpoint,
                                  .target = &target.endpoint,
                                  .feed = FEED_NOTIFY,
                                  .full_sync = true,
                                  .into_db = URL_DB_NONE,
                                  .scan_count = 1000,
                                  .memory = 64 * MIB,
                                  .value_max = 512 * MIB,
                                  .sink = &silent};

static void on_phase(struct lane *l, enum lane_phase phase, void *arg)
{
    (void)l, (void)arg;
    lives += phase == LANE_LIVE;
}

static void on_gap(struct lane *l, const char *reason, void *arg)
{
    (void)l, (void)reason, (void)arg;
    gaps++;
}

static void on_sample(struct lane *l, enum lane_side side, const char *address, const struct watch_sample *s,
                      bool stranger, void *arg)
{
    (void)arg, (void)address;
    strangers += stranger;
    if (stranger)
        lane_approve(l, side, address, s->id.run_id);
}

static void on_condition(struct lane *l, enum lane_condition c, const char *text, void *arg)
{
    (void)l, (void)arg;
    target_down += text && (c == LANE_TARGET_DOWN || c == LANE_TARGET_SILENT);
}

static bool may_fail;
static size_t failures;

static void on_key_failed(struct lane *l, int db, struct bytes key, const char *reason, void *arg)
{
    (void)l, (void)db, (void)key, (void)arg;
    ck_assert_msg(may_fail, "failed: %s", reason);
    failures++;
}

static void begin_servers(void)
{
    lives = gaps = strangers = target_down = calls = failures = 0;
    fake_init(&none);
    real_begin(&source, "source");
    real_begin(&target, "target");
}

static void new_lane(void)
{
    static const struct lane_events events = {
        LANE_EVENTS_OF_NO_TEST,     .phase = on_phase,   .gap = on_gap,
        .record = nothing_recorded, .sample = on_sample, .condition = on_condition,
        .key_failed = on_key_failed};
    ck_assert_int_eq(lane_new(none.loop, &opt, &events, NULL, &lane), 0);
}

static void fill_and_begin(void)
{
    for (unsigned i = 0; i < 100; i++)
        real_ask(&source, "SET key:%u %u", i, i);
    new_lane();
    fake_until(&none, &lives, 1);
}

KIT_UNUSED static void begin(void)
{
    begin_servers();
    fill_and_begin();
}

static void end(void)
{
    lane = lane_free(lane);
    real_end(&target);
    real_end(&source);
    fake_done(&none);
}

KIT_UNUSED static void on_called(void *arg)
{
    (void)arg;
    calls++;
}

KIT_UNUSED static void drain(void)
{
    size_t before = calls;
    ck_assert_int_eq(lane_drain(lane, on_called, &calls), 0);
    fake_until(&none, &calls, before + 1);
}

#endif
