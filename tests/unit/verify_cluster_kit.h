/* verify_cluster_kit.h - for the tests of lib/verify: two sides in the test's own loop, each a real cluster
 * or one real server, and what they hold.
 */
#ifndef RIOT_VERIFY_CLUSTER_KIT_H
#define RIOT_VERIFY_CLUSTER_KIT_H

#include "lib/redis/topology.h"
#include "lib/verify/compare.h"
#include "tests/unit/copy_cluster.h"
#include "tests/unit/redis_fake.h"

#define KIT_UNUSED __attribute__((unused))

/* Something that no event tells of. */
#define UNTIL(condition)                                                                                     \
    do {                                                                                                     \
        for (unsigned tries_ = 0; !(condition); tries_++) {                                                  \
            ck_assert_msg(tries_ < 12000, "waited for " #condition);                                         \
            fake_pass(&none, 5);                                                                             \
        }                                                                                                    \
    } while (0)

static struct fake none; /* for its loop only */
static struct sided {
    struct cluster c;
    size_t shards; /* 0: one server, which is c.node[0] */
    struct endpoint base;
    struct topology *topology;
} sides[2];

static const char *address_of(const struct sided *s, size_t node)
{
    static char text[128];

    if (s->shards)
        snprintf(text, sizeof(text), "redis://127.0.0.1:%u", s->c.node[node].port);
    else
        snprintf(text, sizeof(text), "unix://%s", s->c.node[0].socket);
    return text;
}

static void side_start(struct sided *s, size_t shards, const char *name)
{
    *s = (struct sided){.shards = shards};
    if (shards)
        cluster_start(&s->c, shards);
    else
        real_begin(&s->c.node[s->c.n++], name);
}

static void side_begin(struct sided *s, const char *name)
{
    char why[ENDPOINT_WHY_MAX];

    if (s->shards)
        cluster_wait(&s->c);
    s->base = (struct endpoint){.side = name, .timeout_ms = 5000, .client = "riotd:x:1"};
    ck_assert_int_eq(endpoint_make(&s->base, address_of(s, 0), NULL, NULL, why), 0);
    const struct topology_options opt = {.endpoint = &s->base};
    ck_assert_int_eq(topology_new(none.loop, &opt, &s->topology), 0);
    topology_want(s->topology, true);
    UNTIL(topology_map(s->topology));
}

static void side_end(struct sided *s)
{
    s->topology = topology_free(s->topology);
    endpoint_clear(&s->base);
    cluster_end(&s->c);
}

/* How many shards; 0: one server. */
static void sides_begin(size_t source, size_t target)
{
    fake_init(&none);
    side_start(&sides[0], source, "source");
    side_start(&sides[1], target, "target");
    side_begin(&sides[0], "source");
    side_begin(&sides[1], "target");
}

static void sides_end(void)
{
    side_end(&sides[1]);
    side_end(&sides[0]);
    fake_done(&none);
}

static void read_run_id(struct real *r, char out[RUN_ID_MAX])
{
    const char *at = strstr(real_ask(r, "INFO server"), "run_id:");
    ck_assert_ptr_nonnull(at);
    snprintf(out, RUN_ID_MAX, "%.40s", at + strlen("run_id:"));
}

KIT_UNUSED static void approve_all(void (*fn)(int side, const char *address, const char *run_id))
{
    char run_id[RUN_ID_MAX];

    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < sides[side].c.n; i++) {
            read_run_id(&sides[side].c.node[i], run_id);
            fn(side, address_of(&sides[side], i), run_id);
        }
}

static void compare_options(struct compare_options *opt)
{
    *opt = (struct compare_options){.source = &sides[0].base,
                                    .target = &sides[1].base,
                                    .topology = {sides[0].topology, sides[1].topology},
                                    .into_db = URL_DB_NONE,
                                    .ttl_tolerance_ms = 5,
                                    .role = "verify"};
}

/* The server that had the key's slot when all began. */
static struct real *owner_of(int side, const char *key)
{
    return cluster_of(&sides[side].c, key, MAX(sides[side].shards, (size_t)1));
}

static size_t node_of(int side, const char *key)
{
    return (size_t)(owner_of(side, key) - sides[side].c.node);
}

/* "SET key value", where the key is. */
KIT_UNUSED static void put(int side, const char *command, const char *key, const char *value)
{
    const char *answer = real_ask(owner_of(side, key), "%s %s %s", command, key, value);
    ck_assert_msg(strncmp(answer, "ERR", 3) != 0 && strncmp(answer, "MOVED", 5) != 0, "%s %s: %s", command,
                  key, answer);
}

KIT_UNUSED static void put_both(const char *command, const char *key, const char *value)
{
    put(0, command, key, value);
    put(1, command, key, value);
}

/* The first "NAME:N" whose slot that node has. */
KIT_UNUSED static const char *key_on(int side, size_t node, const char *name)
{
    static char key[64];
    unsigned i = 0;

    do
        snprintf(key, sizeof(key), "%s:%u", name, i++);
    while (node_of(side, key) != node);
    return key;
}

#endif
