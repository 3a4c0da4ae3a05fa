#include "lib/redis/topology_nodes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/buf.h"
#include "tests/unit/unit.h"

static struct nodes_view view;
static char why[NODES_WHY_MAX];

static int parse_names(const char *text, bool names)
{
    nodes_clear(&view);
    return nodes_parse(bytes_str(text), "asked", names, &view, why);
}

static int parse(const char *text)
{
    return parse_names(text, false);
}

static const struct shard *owner(unsigned slot)
{
    ck_assert_uint_lt(view.map.owner[slot], view.map.nshards);
    return &view.map.shards[view.map.owner[slot]];
}

#define REST " - 0 0 "

/* As Redis 7 tells it, in the middle of a move, with a node that has just come. */
START_TEST(test_everything)
{
    ck_assert_int_eq(parse("r2 10.0.0.4:6379@16379,host-4 slave b 0 1426238317239 4 connected\n"
                           "b 10.0.0.1:6379@16379,,shard-id=69bc myself,master - 0 0 4 connected 0-5460 5462 "
                           "[93->-c] [77-<-c]\n"
                           "c 2001:DB8::1:6379@16379 master,fail? - 0 1 5 connected 5463-16383 5461\n"
                           "h 10.0.0.9:6379@16379 handshake - 0 1 0 connected\n"
                           "m 10.0.0.9:6379@16379 master,handshake - 0 1 0 connected\n"
                           "r1 10.0.0.5:6379@16379 slave,fail,nofailover b 0 1 3 disconnected\r\n"
                           "r0 10.0.0.5:6380@16379 slave x 0 1 3 disconnected\n"
                           "\n"
                           "e 10.0.0.6:6379@16379 primary - 0 1 99 connected\n"
                           "f 10.0.0.7:6379@16379 master,fail - 0 1 100 disconnected"),
                     0);
    const struct topology_map *m = &view.map;
    ck_assert(m->cluster && m->covered && m->moving);
    ck_assert(view.minority); /* one of two is suspect */
    ck_assert_uint_eq(m->epoch, 5);
    ck_assert_uint_eq(m->nshards, 3);
    ck_assert_str_eq(m->shards[2].primary.id, "e");
    ck_assert_uint_eq(m->shards[2].nslots, 0);
    const struct shard *b = owner(0), *c = owner(5461);
    ck_assert_str_eq(b->primary.id, "b");
    ck_assert_uint_eq(b->nslots, 5462);
    ck_assert_str_eq(b->primary.host, "10.0.0.1");
    ck_assert_uint_eq(b->nreplicas, 2);
    ck_assert_str_eq(b->replicas[0].id, "r1");
    ck_assert(b->replicas[0].failing && !b->replicas[1].failing);
    ck_assert_str_eq(b->replicas[1].name, "host-4");
    ck_assert_str_eq(b->replicas[1].host, "10.0.0.4");
    ck_assert_str_eq(c->primary.host, "2001:db8::1");
    ck_assert_uint_eq(c->primary.port, 6379);
    ck_assert(!c->primary.failing);
}
END_TEST

START_TEST(test_hosts)
{
    ck_assert_int_eq(parse_names("a :7000@1 myself,master - 0 0 1 connected 0\n"
                                 "b 10.0.0.1:7001@1,b.example master - 0 0 1 connected 1\n"
                                 "c 10.0.0.1:7002@1,? master - 0 0 1 connected 2\n"
                                 "d 10.0.0.1:7003 master - 0 0 1 connected 3\n",
                                 true),
                     0);
    ck_assert_str_eq(owner(0)->primary.host, "asked");
    ck_assert_str_eq(owner(1)->primary.host, "b.example");
    ck_assert_str_eq(owner(1)->primary.ip, "10.0.0.1");
    ck_assert_str_eq(owner(2)->primary.host, "10.0.0.1");
    ck_assert_uint_eq(owner(3)->primary.port, 7003);
    ck_assert(!view.map.covered && view.map.owner[4] == SHARD_NONE);
}
END_TEST

START_TEST(test_failing)
{
    ck_assert_int_eq(parse("a 10.0.0.1:1@1 master" REST "1 connected 0-1\n"
                           "b 10.0.0.1:2@1 master,fail" REST "2 connected 2-3\n"
                           "c :0@0 master,noaddr" REST "3 connected 4-16383\n"),
                     0);
    ck_assert(!view.map.covered && view.minority);
    ck_assert(!owner(0)->primary.failing && owner(2)->primary.failing && owner(4)->primary.failing);
    ck_assert_int_eq(parse("a 10.0.0.1:1@1 master" REST "1 connected 0-1\n"
                           "b 10.0.0.1:2@1 master" REST "2 connected 2-3\n"
                           "c 10.0.0.1:3@1 master,fail?" REST "3 connected 4-16383\n"),
                     0);
    ck_assert(view.map.covered && !view.minority);
    /* a node that is in no cluster yet */
    ck_assert_int_eq(parse("a :1@1 myself,master" REST "0 connected"), 0);
    ck_assert(!view.map.covered && !view.minority);
    ck_assert_uint_eq(view.map.epoch, 0);
}
END_TEST

START_TEST(test_refused)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "no primary is told"},
        {"\n\n", "no primary is told"},
        {"a 10.0.0.1:1@1 slave b 0 0 1 connected", "no primary is told"},
        {"nonsense", "a line"},
        {"a 10.0.0.1:1@1 master - 0 0 x connected", "a line"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 10.0.0.1:1@1 master - 0 0 1 connected", "a line"},
        {" 10.0.0.1:1@1 master - 0 0 1 connected", "a line"},
        {"a 10.0.0.1 master - 0 0 1 connected", "an address"},
        {"a 10.0.0.1:65536@1 master - 0 0 1 connected", "an address"},
        {"a 10.0.0/1:1@1 master - 0 0 1 connected", "an address"},
        {"a ::x:1@1 master - 0 0 1 connected", "an address"},
        {"a a-name-that-is-longer-than-an-address-can-ever-be:1@1 master - 0 0 1 connected", "an address"},
        {"a 10.0.0.1:1@1 master - 0 0 1 connected 0-16384", "a slot: 0-16384"},
        {"a 10.0.0.1:1@1 master - 0 0 1 connected 5-4", "a slot"},
        {"a 10.0.0.1:1@1 master - 0 0 1 connected 1-2-3", "a slot"},
        {"a 10.0.0.1:1@1 master - 0 0 1 connected x", "a slot"},
        {"a 10.0.0.1:1@1 master - 0 0 1 connected 0- ", "a slot"},
        {"a 10.0.0.1:1@1 master - 0 0 1 connected 0-9 9", "a slot has two owners: 9"},
        {"a 10.0.0.1:1@1 master - 0 0 1 connected\na 10.0.0.1:2@1 master - 0 0 1 connected",
         "an id comes twice: a"},
        {"a 10.0.0.1:1@1 master - 0 0 1 connected\nr 10.0.0.1:2@1 slave a 0 0 1 connected\n"
         "r 10.0.0.1:2@1 slave a 0 0 1 connected\n",
         "an id comes twice: r"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_msg(parse(rows[i].text) == -EBADMSG, "%s", rows[i].text);
        ck_assert_msg(strstr(why, rows[i].why), "%s: %s", rows[i].text, why);
        ck_assert_ptr_null(view.map.shards);
    }
}
END_TEST

static int parse_many(unsigned lines, const char *format)
{
    struct buf text;
    buf_init(&text, 16 * MIB);
    ck_assert_int_eq(buf_append_str(&text, "p 10.0.0.1:1@1 master - 0 0 1 connected 0-16383\n"), 0);
    for (unsigned i = 0; i < lines; i++)
        ck_assert_int_eq(buf_printf(&text, "n%05u 10.0.0.1:2@1 %s\n", i, format), 0);
    nodes_clear(&view);
    int err = nodes_parse(buf_bytes(&text), "asked", false, &view, why);
    buf_free(&text);
    return err;
}

START_TEST(test_ceilings)
{
    ck_assert_int_eq(parse_many(SHARDS_MAX - 1, "master - 0 0 1 connected"), 0);
    ck_assert_uint_eq(view.map.nshards, SHARDS_MAX);
    ck_assert_int_eq(parse_many(SHARDS_MAX, "master - 0 0 1 connected"), -E2BIG);
    ck_assert_str_eq(why, "the cluster has more than 512 primaries");
    ck_assert_int_eq(parse_many(REPLICAS_MAX, "slave p 0 0 1 connected"), 0);
    ck_assert_uint_eq(view.map.shards[0].nreplicas, REPLICAS_MAX);
    ck_assert_int_eq(parse_many(REPLICAS_MAX + 1, "slave p 0 0 1 connected"), -E2BIG);
    ck_assert_str_eq(why, "the cluster has more than 16 replicas of one primary");
    ck_assert_int_eq(parse_many(NODES_MAX - 1, "slave - 0 0 1 connected"), 0);
    ck_assert_int_eq(parse_many(NODES_MAX, "slave - 0 0 1 connected"), -E2BIG);
    ck_assert_str_eq(why, "the cluster has more than 4096 nodes");
    nodes_clear(&view);
}
END_TEST

/* The same cluster as two nodes tell it is the same map, byte by byte. */
START_TEST(test_order_does_not_matter)
{
    static struct nodes_view first;
    ck_assert_int_eq(
        parse("a 10.0.0.1:1@1 myself,master - 0 0 1 connected 0-9\n"
              "b 10.0.0.1:2@1 master - 0 5 1 connected 10-99\n"
              "s 10.0.0.1:3@1 slave b 0 5 1 connected\nr 10.0.0.1:4@1 slave b 0 5 1 connected\n"),
        0);
    first = view;
    view.map.shards = NULL;
    ck_assert_int_eq(parse("r 10.0.0.1:4@1 slave b 0 7 1 connected\n"
                           "b 10.0.0.1:2@1 myself,master - 0 0 1 connected 10-98 99\n"
                           "s 10.0.0.1:3@1 slave b 0 7 1 connected\n"
                           "a 10.0.0.1:1@1 master - 0 0 1 connected 0-9\n"),
                     0);
    ck_assert_uint_eq(first.map.nshards, view.map.nshards);
    ck_assert_mem_eq(first.map.shards, view.map.shards, view.map.nshards * sizeof(struct shard));
    ck_assert_mem_eq(first.map.owner, view.map.owner, sizeof(view.map.owner));
    nodes_clear(&first);
    nodes_clear(&view);
}
END_TEST

UNIT_MAIN("redis/topology_nodes", test_everything, test_hosts, test_failing, test_refused, test_ceilings,
          test_order_does_not_matter)
