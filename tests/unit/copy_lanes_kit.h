/* copy_lanes_kit.h - for the tests of all lanes: those of a real cluster into a real server. Static
 * functions, since each test program is one file.
 */
#ifndef RIOT_COPY_LANES_KIT_H
#define RIOT_COPY_LANES_KIT_H

#include "lib/copy/lanes_impl.h"
#include "tests/unit/copy_lanes_bed.h"

static struct cluster source;
static struct real target;
static struct endpoint from;
static size_t changes, records;
static char gaps[2048]; /* "address: reason\n" */
static enum feed_kind feed = FEED_NOTIFY;
static const struct place *former; /* to go on from */
static uint16_t refused;           /* the port of a node that is not approved */
static size_t refusals;
static uint64_t (*slot_moves)(
    void); /* the nodes move whole slots, and have counted so much of it; NULL: they cannot */

static void on_gap(struct lane *l, const char *reason, void *arg)
{
    size_t n = strlen(gaps);
    (void)arg;
    snprintf(gaps + n, sizeof(gaps) - n, "%s: %s\n", lane_name(l), reason);
}

static int on_record(struct lane *l, const struct notify_record *rec, void *arg)
{
    (void)l, (void)arg;
    records += rec->run_id[0] != '\0';
    return 0;
}

/* Whoever looks at the reading after this, looks at a server that can. */
static void pretend(const struct watch_sample *s)
{
    struct watch_sample *told = (struct watch_sample *)(uintptr_t)s;

    told->id.own = 90000;
    told->slot_moves = slot_moves();
}

static void on_sample(struct lane *l, enum lane_side side, const char *address, const struct watch_sample *s,
                      bool stranger, void *arg)
{
    (void)l, (void)arg;
    if (slot_moves && side == LANE_SOURCE)
        pretend(s);
    if (stranger && !(refused && side == LANE_SOURCE && s->id.tcp_port == refused))
        lanes_approve(lanes, side, address, s->id.run_id);
    else
        refusals += stranger;
}

static void on_condition(struct lane *l, enum lane_condition c, const char *text, void *arg)
{
    (void)l, (void)arg, (void)c, (void)text;
}

/* R0: a lane that moved has no feed yet, whatever it had before; but for one that asks for what follows. */
static void on_changed(void *arg)
{
    (void)arg;
    changes++;
    for (size_t i = 0; i < lanes->n; i++) {
        const struct lane *l = lanes->at[i]->lane;
        ck_assert_msg(l->is_approved || !l->feed_ready || feed_follows(l->feed),
                      "the feed of a node that is not known counts as live");
        if (!l->is_approved && feed_follows(l->feed))
            ck_assert_msg(!watch_last(feed_watch(l->feed)), "what the former primary told counts as read");
    }
}

static void begin_servers(size_t n)
{
    lives = changes = calls = known = records = refusals = refused = 0;
    gaps[0] = '\0';
    slot_moves = NULL;
    fake_init(&none);
    cluster_begin(&source, n);
    real_begin(&target, "target");
    make_endpoint(&source, "source", &from);
}

static void new_lanes(void)
{
    static const struct lanes_events events = {
        .phase = on_phase,
        .regrouped = on_regrouped,
        .changed = on_changed,
        .lane = {LANE_EVENTS_OF_NO_TEST, .gap = on_gap, .record = on_record, .sample = on_sample,
                 .condition = on_condition, .key_failed = no_key_fails}};

    begin_nodes(&from);
    const struct lanes_options opt = {.source = nodes,
                                      .place = former,
                                      .lane = {LANE_OPTIONS_OF_ALL, .source = &from,
                                               .target = &target.endpoint, .feed = feed, .full_sync = true}};
    ck_assert_int_eq(lanes_new(none.loop, &opt, &events, NULL, &lanes), 0);
}

/* Something that no event tells of. */
#define UNTIL(condition)                                                                                     \
    do {                                                                                                     \
        for (unsigned tries_ = 0; !(condition); tries_++) {                                                  \
            ck_assert_msg(tries_ < 12000, "waited for %s", #condition);                                      \
            fake_pass(&none, 5);                                                                             \
        }                                                                                                    \
    } while (0)

#define KEYS 300
static const char *key_of(unsigned i)
{
    static char key[32];
    snprintf(key, sizeof(key), "key:%u", i);
    return key;
}

/* Until the whole has been live so many times. */
static void until_live(size_t n)
{
    char text[1024] = "";
    size_t len = 0;

    if (fake_run(&none, &lives, n, 60000))
        return;
    for (size_t i = 0; i < lanes->n; i++) {
        static struct lane_status s;
        lane_status(lanes->at[i]->lane, &s);
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "%s: phase %d, round %u, feed %s, %zu dirty; ", lane_name(lanes->at[i]->lane),
                                (int)s.phase, s.round, s.feed.state, dirty_pending(&s.counts));
        for (size_t c = 0; c < LANE_CONDITIONS; c++)
            if (s.conditions[c].on)
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%s; ", s.conditions[c].text);
    }
    ck_abort_msg("not live: %s\n%s", text, gaps);
}

static void fill(size_t n)
{
    for (unsigned i = 0; i < KEYS; i++)
        ck_assert_str_eq(real_ask(cluster_of(&source, key_of(i), n), "SET %s %u", key_of(i), i), "OK");
}

KIT_UNUSED static void begin(size_t n)
{
    begin_servers(n);
    fill(n);
    new_lanes();
    until_live(1);
}

static void end(void)
{
    end_lanes();
    endpoint_clear(&from);
    real_end(&target);
    cluster_end(&source);
    fake_done(&none);
    kit_end();
}

static void drain(void)
{
    size_t before = calls;
    ck_assert_int_eq(lanes_drain(lanes, on_called, &calls), 0);
    fake_until(&none, &calls, before + 1);
}

static void expect(const char *key, const char *value)
{
    ck_assert_msg(strcmp(real_ask(&target, "GET %s", key), value) == 0, "%s is %s on the target, not %s", key,
                  real_ask(&target, "GET %s", key), value);
}

KIT_UNUSED static void expect_all(void)
{
    for (unsigned i = 0; i < KEYS; i++)
        expect(key_of(i), key_of(i) + strlen("key:"));
}

static struct served *lane_of_node(size_t node)
{
    for (size_t i = 0; i < lanes->n; i++)
        if (strcmp(lanes->at[i]->shard.primary.id, source.id[node]) == 0)
            return lanes->at[i];
    return NULL;
}

static struct served *owner(const char *key)
{
    return lanes_owner(lanes, bytes_str(key));
}

static size_t node_of(const char *key, size_t n)
{
    return (size_t)(cluster_of(&source, key, n) - source.node);
}

static bool owned_by_node(const char *key, size_t node)
{
    return owner(key) && owner(key) == lane_of_node(node);
}

/* The third node, of one of two. */
KIT_UNUSED static void add_replica(size_t primary)
{
    cluster_add(&source);
    cluster_until(&source, "CLUSTER NODES", " connected", 3);
    UNTIL(strcmp(real_ask(&source.node[2], "CLUSTER REPLICATE %s", source.id[primary]), "OK") == 0);
    UNTIL(strstr(real_ask(&source.node[primary], "INFO replication"), "state=online,offset") != NULL &&
          strstr(real_ask(&source.node[2], "INFO replication"), "master_link_status:up") != NULL);
}

/* Live, and of the slot of {a}1 and {a}2 the first is at the node that it moves to. */
KIT_UNUSED static void live_half_moved(size_t at, size_t to)
{
    real_ask(&source.node[at], "SET {a}1 1");
    real_ask(&source.node[at], "SET {a}2 2");
    new_lanes();
    until_live(1);
    slot_begin(&source, slot_of(BYTES("a")), at, to);
    slot_key(&source, "{a}1", at, to);
    drain();
}

KIT_UNUSED static uint64_t deleted(void)
{
    struct lane_status status;
    lanes_status(lanes, &status);
    return status.deleted_keys;
}

#endif
