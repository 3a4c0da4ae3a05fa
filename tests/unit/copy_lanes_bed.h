/* copy_lanes_bed.h - for the tests of all lanes where one side is a real cluster: its nodes, and the lanes.
 * Static functions, since each test program is one file.
 */
#ifndef RIOT_COPY_LANES_BED_H
#define RIOT_COPY_LANES_BED_H

#include "lib/copy/lanes.h"
#include "tests/unit/copy_cluster.h"
#include "tests/unit/copy_lane_events.h"

static struct fake none; /* for its loop only */
static struct topology *nodes;
static struct lanes *lanes;
static size_t lives, calls, known;

static void on_phase(enum lane_phase phase, void *arg)
{
    (void)arg;
    lives += phase == LANE_LIVE;
}

/* Nothing is kept of their places. */
static void on_regrouped(void *arg)
{
    (void)arg;
}

static void on_map(void *arg)
{
    (void)arg;
    known++;
}

static void on_called(void *arg)
{
    (void)arg;
    calls++;
}

static void make_endpoint(const struct cluster *c, const char *side, struct endpoint *ret)
{
    char url[64], why[ENDPOINT_WHY_MAX];

    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", c->node[0].port);
    *ret = (struct endpoint){.side = side, .timeout_ms = 5000, .client = "riotd:x:1"};
    ck_assert_int_eq(endpoint_make(ret, url, NULL, NULL, why), 0);
}

static struct topology_listener listener = {.changed = on_map};
static const struct sink silent;

#define LANE_OPTIONS_OF_ALL                                                                                  \
    .into_db = URL_DB_NONE, .scan_count = 1000, .memory = 64 * MIB, .value_max = 512 * MIB, .sink = &silent

/* Until it is known which they are. */
static void begin_nodes(const struct endpoint *cluster)
{
    const struct topology_options opt = {.endpoint = cluster};

    ck_assert_int_eq(topology_new(none.loop, &opt, &nodes), 0);
    topology_listen(nodes, &listener);
    topology_want(nodes, true);
    fake_until(&none, &known, 1);
}

static void end_lanes(void)
{
    lanes = lanes_free(lanes);
    topology_unlisten(nodes, &listener);
    nodes = topology_free(nodes);
    known = lives = 0;
}

#endif
