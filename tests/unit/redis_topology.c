#include "lib/redis/topology.h"

#include <errno.h>

#include "tests/unit/redis_fake.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ID_C "cccccccccccccccccccccccccccccccccccccccc"
#define ID_D "dddddddddddddddddddddddddddddddddddddddd"

/* Two scripted servers, a and b, and the topology that is asked for. */
struct bed {
    struct fake a, b;
    struct topology *topology;
    struct topology_options opt;
    struct topology_listener listener;
    size_t changes;
    bool leave, end; /* when told of a change */
};

static void on_changed(void *arg)
{
    struct bed *bed = arg;
    bed->changes++;
    if (bed->leave)
        topology_unlisten(bed->topology, &bed->listener);
    if (bed->end)
        bed->topology = topology_free(bed->topology);
}

static void set_up(struct bed *bed)
{
    *bed = (struct bed){.listener = {.changed = on_changed, .arg = bed}};
    fake_init(&bed->a);
    fake_init_in(&bed->b, bed->a.loop, "b");
    fake_listen_tcp(&bed->a);
    fake_listen_tcp(&bed->b);
    bed->opt = (struct topology_options){.endpoint = &bed->a.endpoint};
}

static void begin(struct bed *bed)
{
    ck_assert_int_eq(topology_new(bed->a.loop, &bed->opt, &bed->topology), 0);
    topology_listen(bed->topology, &bed->listener);
    topology_want(bed->topology, true);
}

static void tear_down(struct bed *bed)
{
    bed->topology = topology_free(bed->topology);
    fake_done(&bed->b);
    fake_done(&bed->a);
}

/* %A and %B are the ports; `me` is the server that says it. */
static void say(struct bed *bed, struct fake *me, const char *nodes)
{
    char text[4096] = "";
    size_t n = 0;

    for (const char *at = nodes; *at; at++) {
        if (at[0] == '%') {
            const struct fake *f = *++at == 'A' ? &bed->a : &bed->b;
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%u", f->endpoint.url.port);
        } else {
            text[n++] = *at;
        }
        ck_assert_uint_lt(n, sizeof(text) - 8);
    }
    fake_bulk(me, "INFO server", FAKE_INFO "redis_mode:cluster\r\n");
    fake_bulk(me, "CLUSTER NODES", text);
}

#define A_HAS(slots, epoch) ID_A " 127.0.0.1:%A@17000 master - 0 0 " epoch " connected " slots "\n"
#define B_HAS(slots, epoch) ID_B " 127.0.0.1:%B@17001 master - 0 0 " epoch " connected " slots "\n"

static const struct topology_map *map_of(struct bed *bed)
{
    const struct topology_map *m = topology_map(bed->topology);
    ck_assert_ptr_nonnull(m);
    return m;
}

static const struct shard *owner_of(struct bed *bed, unsigned slot)
{
    const struct topology_map *m = map_of(bed);
    ck_assert_uint_lt(m->owner[slot], m->nshards);
    return &m->shards[m->owner[slot]];
}

/* Single servers. */

static void check_single(struct bed *bed)
{
    const struct topology_map *m = map_of(bed);
    struct endpoint e;

    ck_assert(!m->cluster && m->covered && !m->moving);
    ck_assert_uint_eq(m->version, 1);
    ck_assert_uint_eq(m->nshards, 1);
    ck_assert_uint_eq(m->shards[0].nslots, SLOTS);
    ck_assert_uint_eq(m->owner[SLOTS - 1], 0);
    ck_assert_str_eq(m->shards[0].primary.host, "");
    ck_assert_str_eq(topology_why(bed->topology), "");
    ck_assert_int_eq(topology_endpoint(bed->topology, &m->shards[0].primary, &e), 0);
    ck_assert_uint_eq(e.url.port, bed->opt.endpoint->url.port);
    ck_assert_str_eq(e.url.host ? e.url.host : e.url.path,
                     bed->opt.endpoint->url.host ? bed->opt.endpoint->url.host : bed->opt.endpoint->url.path);
    endpoint_node_clear(&e);
}

START_TEST(test_single_is_known_at_once)
{
    struct bed bed;
    set_up(&bed);
    bed.opt.mode = TOPOLOGY_SINGLE;
    begin(&bed);
    check_single(&bed);
    topology_refresh(bed.topology);
    fake_pass(&bed.a, 100);
    ck_assert_uint_eq(bed.a.accepted, 0);
    ck_assert_uint_eq(bed.changes, 0);
    tear_down(&bed);
}
END_TEST

START_TEST(test_unix_socket_is_single)
{
    struct bed bed;
    set_up(&bed);
    bed.a.endpoint.url = (struct url){.path = bed.a.path, .db = URL_DB_NONE};
    begin(&bed);
    check_single(&bed);
    bed.topology = topology_free(bed.topology);
    bed.opt.mode = TOPOLOGY_CLUSTER;
    ck_assert_int_eq(topology_new(bed.a.loop, &bed.opt, &bed.topology), -EINVAL);
    tear_down(&bed);
}
END_TEST

START_TEST(test_auto_finds_a_single_server)
{
    static const struct {
        const char *info, *answer;
        size_t asked;
    } rows[] = {
        {FAKE_INFO "redis_mode:standalone\r\n", "$0\r\n\r\n", 0},
        {FAKE_INFO, "-ERR This instance has cluster support disabled\r\n", 1},
        {FAKE_INFO, "-NOPERM no\r\n", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bed bed;
        set_up(&bed);
        fake_bulk(&bed.a, "INFO server", rows[i].info);
        fake_rule(&bed.a, "CLUSTER NODES", rows[i].answer);
        begin(&bed);
        ck_assert_ptr_null(topology_map(bed.topology));
        fake_until(&bed.a, &bed.changes, 1);
        check_single(&bed);
        topology_refresh(bed.topology);
        fake_pass(&bed.a, 200);
        ck_assert_uint_eq(bed.a.accepted, 1);
        ck_assert_int_eq(bed.a.clients[0].fd, -1); /* nothing is kept open */
        ck_assert_uint_eq(fake_count(&bed.a, "CLUSTER NODES"), rows[i].asked);
        tear_down(&bed);
    }
}
END_TEST

/* What says that it is a cluster's, and will not tell of it, is no single server. */
START_TEST(test_auto_waits_for_what_it_cannot_know)
{
    struct bed bed;
    set_up(&bed);
    fake_bulk(&bed.a, "INFO server", FAKE_INFO "redis_mode:cluster\r\n");
    fake_rule(&bed.a, "CLUSTER NODES", "-NOPERM no\r\n");
    begin(&bed);
    fake_pass(&bed.a, 200);
    ck_assert_ptr_null(topology_map(bed.topology));
    ck_assert_ptr_nonnull(strstr(topology_why(bed.topology), "CLUSTER NODES: NOPERM no"));
    fake_bulk(&bed.a, "INFO server", FAKE_INFO);
    fake_rule(&bed.a, "CLUSTER NODES", "-LOADING Redis is loading the dataset in memory\r\n");
    fake_pass(&bed.a, 1000);
    ck_assert_ptr_null(topology_map(bed.topology));
    ck_assert_uint_ge(bed.a.accepted, 2);
    fake_rule(&bed.a, "CLUSTER NODES", "-ERR unknown command\r\n");
    fake_until(&bed.a, &bed.changes, 1);
    ck_assert_str_eq(topology_why(bed.topology), "");
    tear_down(&bed);
}
END_TEST

/* Clusters. */

START_TEST(test_cluster)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-8191", "1") B_HAS("8192-16383", "2"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    const struct topology_map *m = map_of(&bed);
    ck_assert(m->cluster && m->covered && !m->moving);
    ck_assert_uint_eq(m->nshards, 2);
    ck_assert_uint_eq(m->epoch, 2);
    ck_assert_str_eq(owner_of(&bed, 0)->primary.id, ID_A);
    ck_assert_str_eq(owner_of(&bed, 8192)->primary.id, ID_B);
    struct endpoint e;
    bed.a.endpoint.url.user = (char *)"me";
    ck_assert_int_eq(topology_endpoint(bed.topology, &owner_of(&bed, 8192)->primary, &e), 0);
    char text[64];
    snprintf(text, sizeof(text), "redis://me@127.0.0.1:%u", bed.b.endpoint.url.port);
    ck_assert_str_eq(e.url.text, text);
    endpoint_node_clear(&e);
    bed.a.endpoint.url.user = NULL;

    /* asked again each second; the same answer is no change */
    fake_log(&bed.a);
    uint64_t began_us = clock_mono_us();
    fake_pass(&bed.a, 1300);
    size_t asked = fake_count(&bed.a, "CLUSTER NODES");
    ck_assert_uint_ge(asked, 1);
    ck_assert_uint_le(asked, 1 + (clock_mono_us() - began_us) / 1000000);
    ck_assert_uint_eq(bed.changes, 1);
    say(&bed, &bed.a, A_HAS("0-8190", "1") B_HAS("8191-16383", "3"));
    topology_refresh(bed.topology);
    fake_until(&bed.a, &bed.changes, 2);
    ck_assert_str_eq(owner_of(&bed, 8191)->primary.id, ID_B);
    ck_assert_uint_eq(map_of(&bed)->version, 2);
    tear_down(&bed);
}
END_TEST

START_TEST(test_refresh_is_limited)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-16383", "1"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    fake_pass(&bed.a, 60);
    fake_log(&bed.a);
    uint64_t began_us = clock_mono_us();
    for (int i = 0; i < 40; i++) {
        topology_refresh(bed.topology);
        fake_pass(&bed.a, 5);
    }
    size_t count = fake_count(&bed.a, "CLUSTER NODES");
    ck_assert_uint_ge(count, 2);
    /* of 40; each 50 ms, of which there are more where the machine is busy */
    ck_assert_uint_le(count, 8 + (clock_mono_us() - began_us) / 50000);
    tear_down(&bed);
}
END_TEST

/* The answer to a question that was asked before is not the one to a refresh. */
START_TEST(test_refresh_while_an_answer_is_due)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-16383", "1"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    fake_rule(&bed.a, "CLUSTER NODES", FAKE_SILENCE);
    topology_refresh(bed.topology);
    fake_pass(&bed.a, 100);
    topology_refresh(bed.topology);
    char old[256];
    snprintf(old, sizeof(old), "%s 127.0.0.1:%u@1 master - 0 0 1 connected 0-16383\n", ID_A,
             bed.a.endpoint.url.port);
    say(&bed, &bed.a, A_HAS("0-1", "1") B_HAS("2-16383", "2"));
    char answer[512];
    snprintf(answer, sizeof(answer), "$%zu\r\n%s\r\n", strlen(old), old);
    fake_send(fake_last(&bed.a), answer);
    fake_pass(&bed.a, 100);
    ck_assert_uint_eq(owner_of(&bed, 0)->nslots, 2);
    tear_down(&bed);
}
END_TEST

START_TEST(test_next_node_when_one_is_lost)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-8191", "1") B_HAS("8192-16383", "2"));
    say(&bed, &bed.b, ID_A " 127.0.0.1:%A@17000 master,fail - 0 0 1 connected\n" B_HAS("0-16383", "3"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    ck_assert_uint_eq(bed.b.accepted, 0);
    fake_rule(&bed.a, "", FAKE_CLOSE);
    topology_refresh(bed.topology);
    fake_until(&bed.a, &bed.changes, 2);
    ck_assert_uint_eq(bed.b.accepted, 1);
    ck_assert_str_eq(owner_of(&bed, 0)->primary.id, ID_B);
    ck_assert_uint_eq(map_of(&bed)->nshards, 1); /* what failed and owns nothing is no shard */
    ck_assert_str_eq(topology_why(bed.topology), "");
    tear_down(&bed);
}
END_TEST

START_TEST(test_silent_node_is_left)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-8191", "1") B_HAS("8192-16383", "2"));
    say(&bed, &bed.b, A_HAS("0-8190", "1") B_HAS("8191-16383", "2"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    fake_rule(&bed.a, "CLUSTER NODES", FAKE_SILENCE);
    topology_refresh(bed.topology);
    ck_assert_str_eq(topology_base_why(bed.topology), "");
    fake_until(&bed.a, &bed.changes, 2);
    ck_assert_str_eq(owner_of(&bed, 8191)->primary.id, ID_B);
    ck_assert_ptr_nonnull(strstr(topology_base_why(bed.topology), "no answer"));
    tear_down(&bed);
}
END_TEST

START_TEST(test_seed_when_the_endpoint_is_down)
{
    struct bed bed;
    char seed[32];
    const char *const seeds[] = {seed};
    set_up(&bed);
    fake_rule(&bed.a, "", FAKE_CLOSE);
    fake_bulk(&bed.b, "INFO server", FAKE_INFO "redis_mode:standalone\r\n");
    snprintf(seed, sizeof(seed), "127.0.0.1:%u", bed.b.endpoint.url.port);
    bed.opt.nseeds = 1;
    bed.opt.seeds = seeds;
    begin(&bed);
    /* a single server behind a seed is not the endpoint */
    fake_pass(&bed.a, 300);
    ck_assert_ptr_null(topology_map(bed.topology));
    ck_assert_uint_ge(bed.b.accepted, 1);
    ck_assert_ptr_nonnull(strstr(topology_reason(bed.topology), "the last node asked, redis://"));
    say(&bed, &bed.b, A_HAS("0-8191", "1") B_HAS("8192-16383", "2"));
    fake_until(&bed.a, &bed.changes, 1);
    ck_assert_uint_eq(map_of(&bed)->nshards, 2);
    ck_assert_ptr_nonnull(strstr(topology_base_why(bed.topology), "closed"));
    tear_down(&bed);
}
END_TEST

/* Which view is believed. */

/* A node that imports a slot goes on to name its former owner, which a failover has made a replica. Where no
 * other view is to be had, the slot is nobody's. */
START_TEST(test_view_without_a_slot_is_doubted)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-8191", "1") B_HAS("8192-16383", "2"));
    say(&bed, &bed.b, A_HAS("0-8190", "1") B_HAS("8191-16383", "3"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    say(&bed, &bed.a, A_HAS("0-8190", "1") B_HAS("8192-16383", "3"));
    topology_refresh(bed.topology);
    fake_until(&bed.a, &bed.changes, 2);
    ck_assert_str_eq(owner_of(&bed, 8191)->primary.id, ID_B);
    ck_assert_str_eq(topology_why(bed.topology), "");
    say(&bed, &bed.b, A_HAS("0-8190", "1") B_HAS("8192-16383", "3"));
    topology_refresh(bed.topology);
    fake_pass(&bed.a, 1000);
    ck_assert_uint_eq(bed.changes, 2);
    ck_assert_ptr_nonnull(strstr(topology_why(bed.topology), "some slots are no primary's"));
    fake_until(&bed.a, &bed.changes, 3);
    ck_assert_uint_eq(map_of(&bed)->owner[8191], SHARD_NONE);
    ck_assert_str_eq(topology_why(bed.topology), "");
    tear_down(&bed);
}
END_TEST

START_TEST(test_older_view_is_not_believed)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-8190", "1") B_HAS("8191-16383", "5"));
    say(&bed, &bed.b, A_HAS("0-8191", "4") B_HAS("8192-16383", "2"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    fake_rule(&bed.a, "CLUSTER NODES", FAKE_CLOSE);
    topology_refresh(bed.topology);
    fake_until(&bed.a, &bed.b.accepted, 1);
    say(&bed, &bed.a, A_HAS("0-8190", "1") B_HAS("8191-16383", "5"));
    size_t before = bed.a.accepted;
    fake_until(&bed.a, &bed.a.accepted, before + 1);
    fake_pass(&bed.a, 100);
    ck_assert_uint_eq(bed.changes, 1);
    ck_assert_uint_eq(map_of(&bed)->epoch, 5);
    ck_assert_str_eq(topology_why(bed.topology), "");
    /* nor at once where no other is to be had; but where that stays so */
    fake_rule(&bed.a, "", FAKE_CLOSE);
    fake_pass(&bed.a, 1500);
    ck_assert_uint_eq(bed.changes, 1);
    fake_until(&bed.a, &bed.changes, 2);
    ck_assert_uint_eq(map_of(&bed)->epoch, 4);
    tear_down(&bed);
}
END_TEST

/* The epoch of a primary that left without slots goes with it, and is no sign of age. */
START_TEST(test_epoch_of_an_empty_primary_does_not_count)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-16383", "1") B_HAS("", "9"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    ck_assert_uint_eq(map_of(&bed)->nshards, 2);
    say(&bed, &bed.a, A_HAS("0-16383", "1"));
    topology_refresh(bed.topology);
    fake_until(&bed.a, &bed.changes, 2);
    ck_assert_uint_eq(map_of(&bed)->nshards, 1);
    ck_assert_uint_eq(bed.a.accepted, 1);
    tear_down(&bed);
}
END_TEST

#define SUSPECTS                                                                                             \
    ID_B " 127.0.0.1:%B@17001 master,fail? - 0 0 2 connected 1-1000\n" ID_C                                  \
         " 127.0.0.1:1@17001 master,fail? - 0 0 3 connected 1001-16383\n"

START_TEST(test_view_of_few_is_not_believed)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0", "1") B_HAS("1-16383", "2"));
    say(&bed, &bed.b, A_HAS("0-5", "1") B_HAS("6-16383", "3"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    say(&bed, &bed.a, A_HAS("0", "9") SUSPECTS);
    topology_refresh(bed.topology);
    fake_until(&bed.a, &bed.changes, 2);
    ck_assert_uint_eq(owner_of(&bed, 0)->nslots, 6);
    ck_assert_uint_eq(map_of(&bed)->epoch, 3);
    tear_down(&bed);
}
END_TEST

START_TEST(test_another_cluster_is_not_followed)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-16383", "1"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    say(&bed, &bed.a, ID_D " 127.0.0.1:%A@17000 master - 0 0 7 connected 0-16383\n");
    topology_refresh(bed.topology);
    fake_pass(&bed.a, 1500);
    ck_assert_uint_eq(bed.changes, 1);
    ck_assert_ptr_nonnull(strstr(topology_why(bed.topology), "another cluster"));
    fake_bulk(&bed.a, "INFO server", FAKE_INFO "redis_mode:standalone\r\n");
    fake_pass(&bed.a, 1500);
    ck_assert_uint_eq(bed.changes, 1);
    ck_assert_ptr_nonnull(strstr(topology_why(bed.topology), "not in cluster mode"));
    say(&bed, &bed.a, A_HAS("0-16382", "1"));
    fake_until(&bed.a, &bed.changes, 2);
    tear_down(&bed);
}
END_TEST

START_TEST(test_what_is_not_understood_changes_nothing)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-16383", "1"));
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    say(&bed, &bed.a, A_HAS("0-16384", "1"));
    topology_refresh(bed.topology);
    fake_pass(&bed.a, 200);
    ck_assert_uint_eq(bed.changes, 1);
    ck_assert_ptr_nonnull(strstr(topology_why(bed.topology), "not understood: a slot: 0-16384"));
    tear_down(&bed);
}
END_TEST

/* A failed node may have lost its address, not its place. */
START_TEST(test_address_is_kept)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a,
        A_HAS("0-8191", "1") B_HAS("8192-16383", "2") ID_C " 127.0.0.1:1@2 master - 0 0 3 connected\n");
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    say(&bed, &bed.a,
        A_HAS("0-8191", "1") ID_B " :0@0 master,noaddr - 0 0 2 disconnected 8192-16383\n" ID_C
                                  " 127.0.0.1:1@2 master - 0 0 3 connected 100\n");
    topology_refresh(bed.topology);
    fake_pass(&bed.a, 200);
    ck_assert_uint_eq(bed.changes, 1); /* slot 100 twice */
    say(&bed, &bed.a,
        A_HAS("0-8191", "1") ID_B " :0@0 master,noaddr - 0 0 2 disconnected 8192-16382\n" ID_C
                                  " 127.0.0.1:1@2 master - 0 0 3 connected 16383\n");
    fake_until(&bed.a, &bed.changes, 2);
    const struct shard *b = owner_of(&bed, 8192);
    ck_assert(b->primary.failing && !map_of(&bed)->covered);
    ck_assert_uint_eq(b->primary.port, bed.b.endpoint.url.port);
    ck_assert_str_eq(b->primary.host, "127.0.0.1");
    tear_down(&bed);
}
END_TEST

/* Addresses. */

START_TEST(test_addresses_are_translated)
{
    static const struct address_pair pairs[] = {
        {"10.0.0.1", "one.example"}, {"10.0.0.1:7002", "[2001:DB8::2]:7"}, {"b.local:7003", "b.example"}};
    struct bed bed;
    set_up(&bed);
    bed.opt.addresses = pairs;
    bed.opt.naddresses = ARRAY_LEN(pairs);
    say(&bed, &bed.a,
        ID_A " 10.0.0.1:7001@1 master - 0 0 1 connected 0\n" ID_B
             " 10.0.0.1:7002@1 myself,master - 0 0 1 connected 1\n" ID_C
             " 10.0.0.3:7003@1,b.local master - 0 0 1 connected 2\n" ID_D
             " 10.0.0.3:7004@1,b.local master - 0 0 1 connected 3-16383\n");
    begin(&bed);
    fake_until(&bed.a, &bed.changes, 1);
    const struct topology_node *a = &owner_of(&bed, 0)->primary, *b = &owner_of(&bed, 1)->primary,
                               *c = &owner_of(&bed, 2)->primary, *d = &owner_of(&bed, 3)->primary;
    ck_assert_str_eq(a->host, "one.example");
    ck_assert_uint_eq(a->port, 7001);
    ck_assert_str_eq(b->host, "2001:db8::2");
    ck_assert_uint_eq(b->port, 7);
    ck_assert_str_eq(c->host, "b.example");
    ck_assert_uint_eq(c->port, 7003);
    ck_assert_str_eq(d->host, "10.0.0.3");

    static const struct {
        const char *text, *id, *host;
        unsigned port;
    } rows[] = {
        {"MOVED 1 10.0.0.1:7002", ID_B, "2001:db8::2", 7},
        {"ASK 2 b.local:7003", ID_C, "b.example", 7003},
        {"MOVED 2 10.0.0.3:7003", ID_C, "b.example", 7003},
        {"MOVED 2 10.0.0.1:7005", "", "one.example", 7005},
        {"MOVED 2 10.0.0.9:7005", "", "10.0.0.9", 7005},
        {"MOVED 2 :7005", "", "localhost", 7005},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct redirect r;
        struct topology_node n;
        ck_assert(redirect_parse(bytes_str(rows[i].text), &r));
        topology_redirect(bed.topology, &bed.a.endpoint, &r, &n);
        ck_assert_str_eq(n.id, rows[i].id);
        ck_assert_str_eq(n.host, rows[i].host);
        ck_assert_uint_eq(n.port, rows[i].port);
    }
    tear_down(&bed);
}
END_TEST

START_TEST(test_options_are_checked)
{
    const char *const seeds[] = {"a:b:c"};
    const struct address_pair pairs[] = {{"10.0.0.1:1", "10.0.0.2:70000"}};
    struct bed bed;
    set_up(&bed);
    bed.opt.nseeds = 1;
    bed.opt.seeds = seeds;
    ck_assert_int_eq(topology_new(bed.a.loop, &bed.opt, &bed.topology), -EINVAL);
    bed.opt.nseeds = 0;
    bed.opt.naddresses = 1;
    bed.opt.addresses = pairs;
    ck_assert_int_eq(topology_new(bed.a.loop, &bed.opt, &bed.topology), -EINVAL);
    tear_down(&bed);
}
END_TEST

START_TEST(test_redirects)
{
    static const struct {
        const char *text;
        bool ok, ask;
        unsigned slot;
        const char *host;
        unsigned port;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", true, false, 3999, "127.0.0.1", 6381},
        {"ASK 0 ::1:6381", true, true, 0, "::1", 6381},
        {"ASK 16383 node-1.example:6381", true, true, 16383, "node-1.example", 6381},
        {"MOVED 1 :6381", true, false, 1, "", 6381},
        {"MOVED 16384 127.0.0.1:6381", false, 0, 0, 0, 0},
        {"MOVED -1 127.0.0.1:6381", false, 0, 0, 0, 0},
        {"MOVED 1 127.0.0.1:0", false, 0, 0, 0, 0},
        {"MOVED 1 127.0.0.1:65536", false, 0, 0, 0, 0},
        {"MOVED 1 ?:6381", false, 0, 0, 0, 0},
        {"MOVED 1 127.0.0.1", false, 0, 0, 0, 0},
        {"MOVED 1", false, 0, 0, 0, 0},
        {"MOVED", false, 0, 0, 0, 0},
        {"", false, 0, 0, 0, 0},
        {"MOVEDX 1 127.0.0.1:6381", false, 0, 0, 0, 0},
        {"CLUSTERDOWN Hash slot not served", false, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct redirect r;
        ck_assert_msg(redirect_parse(bytes_str(rows[i].text), &r) == rows[i].ok, "%s", rows[i].text);
        if (!rows[i].ok)
            continue;
        ck_assert(r.ask == rows[i].ask);
        ck_assert_uint_eq(r.slot, rows[i].slot);
        ck_assert_str_eq(r.host, rows[i].host);
        ck_assert_uint_eq(r.port, rows[i].port);
    }
}
END_TEST

/* Lives of the object. */

START_TEST(test_wanted_by_two)
{
    struct bed bed;
    set_up(&bed);
    say(&bed, &bed.a, A_HAS("0-16383", "1"));
    begin(&bed);
    topology_want(bed.topology, true);
    fake_until(&bed.a, &bed.changes, 1);
    topology_want(bed.topology, false);
    fake_pass(&bed.a, 50);
    ck_assert_int_ge(fake_last(&bed.a)->fd, 0);
    topology_want(bed.topology, false);
    topology_want(bed.topology, false);
    fake_pass(&bed.a, 50);
    ck_assert_int_eq(fake_last(&bed.a)->fd, -1);
    topology_refresh(bed.topology);
    fake_pass(&bed.a, 100);
    ck_assert_uint_eq(bed.a.accepted, 1);
    ck_assert_uint_eq(map_of(&bed)->nshards, 1);
    say(&bed, &bed.a, A_HAS("0-1", "1"));
    topology_want(bed.topology, true);
    fake_until(&bed.a, &bed.changes, 2);
    tear_down(&bed);
}
END_TEST

START_TEST(test_leaving_while_told)
{
    for (int i = 0; i < 4; i++) {
        struct topology_listener first = {.changed = on_changed}, last = first;
        struct bed bed;
        set_up(&bed);
        first.arg = last.arg = &bed;
        say(&bed, &bed.a, A_HAS("0-16383", "1"));
        ck_assert_int_eq(topology_new(bed.a.loop, &bed.opt, &bed.topology), 0);
        topology_listen(bed.topology, &last);
        topology_listen(bed.topology, &bed.listener);
        topology_listen(bed.topology, &first);
        topology_want(bed.topology, true);
        bed.leave = i & 1;
        bed.end = i & 2;
        fake_until(&bed.a, &bed.changes, 1);
        fake_pass(&bed.a, 20);
        ck_assert_uint_eq(bed.changes, bed.end ? 1 : bed.leave ? 2 : 3);
        tear_down(&bed);
    }
}
END_TEST

UNIT_MAIN("redis/topology", test_single_is_known_at_once, test_unix_socket_is_single,
          test_auto_finds_a_single_server, test_auto_waits_for_what_it_cannot_know, test_cluster,
          test_refresh_is_limited, test_refresh_while_an_answer_is_due, test_next_node_when_one_is_lost,
          test_silent_node_is_left, test_seed_when_the_endpoint_is_down, test_view_without_a_slot_is_doubted,
          test_older_view_is_not_believed, test_epoch_of_an_empty_primary_does_not_count,
          test_view_of_few_is_not_believed, test_another_cluster_is_not_followed,
          test_what_is_not_understood_changes_nothing, test_address_is_kept, test_addresses_are_translated,
          test_options_are_checked, test_redirects, test_wanted_by_two, test_leaving_while_told)
