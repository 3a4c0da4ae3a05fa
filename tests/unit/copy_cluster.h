/* copy_cluster.h - for the tests of lib/copy: a real cluster on loopback, and how its slots move.
 */
#ifndef RIOT_COPY_CLUSTER_H
#define RIOT_COPY_CLUSTER_H

#include <arpa/inet.h>

#include "lib/redis/slot.h"
#include "tests/unit/copy_server.h"

#define CLUSTER_NODES 4

struct cluster {
    struct real node[CLUSTER_NODES];
    char id[CLUSTER_NODES][48];
    size_t n;
};

/* A port that is free now, as is the one of the cluster's bus. Both are below those that the kernel gives to
 * connections, and test programs that run side by side begin far from each other. */
static uint16_t cluster_port(void)
{
    static uint16_t next;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    for (next = next ? next : (uint16_t)(11000 + getpid() * 131 % 10000);; next++) {
        int fd[2], bad = 0;
        for (int i = 0; i < 2; i++) {
            fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            addr.sin_port = htons((uint16_t)(next + i * 10000));
            bad |= bind(fd[i], (struct sockaddr *)&addr, sizeof(addr));
        }
        close(fd[0]);
        close(fd[1]);
        if (!bad)
            return next++;
    }
}

static void cluster_add(struct cluster *c)
{
    struct real r = {.dir = "/tmp/riot-copy-XXXXXX",
                     .port = cluster_port(),
                     .more = {"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--bind",
                              "127.0.0.1", "--cluster-require-full-coverage", "no"}};
    ck_assert_uint_lt(c->n, CLUSTER_NODES);
    ck_assert_ptr_nonnull(mkdtemp(r.dir));
    snprintf(r.socket, sizeof(r.socket), "%.60s/s", r.dir);
    real_start(&r);
    memcpy(c->id[c->n], real_ask(&r, "CLUSTER MYID"), 40);
    real_ask(&r, "CLUSTER SET-CONFIG-EPOCH %zu", c->n + 1);
    if (c->n)
        real_ask(&r, "CLUSTER MEET 127.0.0.1 %u", c->node[0].port);
    c->node[c->n++] = r;
}

static size_t cluster_count(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        count++;
    return count;
}

/* Until each node says `what` so many times when it is asked `question`. */
static void cluster_until(struct cluster *c, const char *question, const char *what, size_t n)
{
    for (size_t i = 0, tries = 0; i < c->n; i++)
        while (cluster_count(real_ask(&c->node[i], "%s", question), what) != n) {
            ck_assert_msg(tries++ < 3000, "no agreement on %s", what);
            usleep(10000);
        }
}

/* From `first` to before `end`; ADDSLOTSRANGE is 7.0. */
static void cluster_slots(struct real *r, size_t first, size_t end)
{
    static char numbers[SLOTS][8];
    static struct bytes argv[SLOTS + 2];
    size_t argc = 0;

    argv[argc++] = BYTES("CLUSTER");
    argv[argc++] = BYTES("ADDSLOTS");
    for (size_t slot = first; slot < end; slot++) {
        snprintf(numbers[slot], sizeof(numbers[0]), "%zu", slot % SLOTS);
        argv[argc++] = bytes_str(numbers[slot]);
    }
    ck_assert(reply_is_ok(real_request(r, argc, argv)));
}

/* n primaries that share the slots evenly. They serve 2 s after they were started only, so clusters are
 * started before one is waited for. */
static void cluster_start(struct cluster *c, size_t n)
{
    *c = (struct cluster){0};
    for (size_t i = 0; i < n; i++)
        cluster_add(c);
    for (size_t i = 0; i < n; i++)
        cluster_slots(&c->node[i], SLOTS * i / n, SLOTS * (i + 1) / n);
}

static void cluster_wait(struct cluster *c)
{
    cluster_until(c, "CLUSTER INFO", "cluster_slots_ok:16384", 1);
    cluster_until(c, "CLUSTER INFO", "cluster_state:ok", 1);
}

__attribute__((unused)) static void cluster_begin(struct cluster *c, size_t n)
{
    cluster_start(c, n);
    cluster_wait(c);
}

static void cluster_end(struct cluster *c)
{
    for (size_t i = 0; i < c->n; i++)
        real_end(&c->node[i]);
}

/* A slot begins to move; its keys do; it has moved. Or a node gives the move up. */

static void slot_import(struct cluster *c, unsigned slot, size_t from, size_t to)
{
    ck_assert_str_eq(real_ask(&c->node[to], "CLUSTER SETSLOT %u IMPORTING %s", slot, c->id[from]), "OK");
}

static void slot_begin(struct cluster *c, unsigned slot, size_t from, size_t to)
{
    slot_import(c, slot, from, to);
    ck_assert_str_eq(real_ask(&c->node[from], "CLUSTER SETSLOT %u MIGRATING %s", slot, c->id[to]), "OK");
}

static void slot_key(struct cluster *c, const char *key, size_t from, size_t to)
{
    ck_assert_str_eq(real_ask(&c->node[from], "MIGRATE 127.0.0.1 %u %s 0 5000", c->node[to].port, key), "OK");
}

static void slot_keys(struct cluster *c, unsigned slot, size_t from, size_t to)
{
    char key[256];

    for (;;) {
        const struct bytes argv[] = {BYTES("CLUSTER"), BYTES("GETKEYSINSLOT"), BYTES("0"), BYTES("1")};
        struct bytes get[ARRAY_LEN(argv)];
        char number[16];
        snprintf(number, sizeof(number), "%u", slot);
        memcpy(get, argv, sizeof(argv));
        get[2] = bytes_str(number);
        const struct reply *r = real_request(&c->node[from], ARRAY_LEN(get), get);
        if (r->type != REPLY_ARRAY || !r->count)
            return;
        snprintf(key, sizeof(key), "%.*s", (int)r->at[0]->text.len, r->at[0]->text.ptr);
        slot_key(c, key, from, to);
    }
}

static void slot_end(struct cluster *c, unsigned slot, size_t to)
{
    ck_assert_str_eq(real_ask(&c->node[to], "CLUSTER SETSLOT %u NODE %s", slot, c->id[to]), "OK");
    for (size_t i = 0; i < c->n; i++)
        real_ask(&c->node[i], "CLUSTER SETSLOT %u NODE %s", slot, c->id[to]);
}

__attribute__((unused)) static void slot_stable(struct cluster *c, unsigned slot, size_t node)
{
    ck_assert_str_eq(real_ask(&c->node[node], "CLUSTER SETSLOT %u STABLE", slot), "OK");
}

__attribute__((unused)) static void slot_move(struct cluster *c, unsigned slot, size_t from, size_t to)
{
    slot_begin(c, slot, from, to);
    slot_keys(c, slot, from, to);
    slot_end(c, slot, to);
}

/* At the node that has the key's slot by an even share among n. */
static struct real *cluster_of(struct cluster *c, const char *key, size_t n)
{
    return &c->node[slot_of(bytes_str(key)) * n / SLOTS];
}

#endif
