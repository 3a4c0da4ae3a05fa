#include "lib/copy/target.h"
#include "tests/unit/copy_kit.h"

/* The nodes of a target, scripted: a cluster of two, whose map the test tells. */

#define ID_A  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ID_C  "cccccccccccccccccccccccccccccccccccccccc"
#define IN_A  "bar" /* slot 5061 */
#define IN_B  "foo" /* slot 12182 */
#define EVEN  A_HAS("0-8191", "1") B_HAS("8192-16383", "2")
#define ALL_A A_HAS("0-16383", "3")

static struct fake a, b, c;
static struct topology *nodes;
static struct target *target;
static struct topology_listener listener;
static size_t known, ups, answers, reads, changes;
static bool approves; /* strangers */

static void on_map(void *arg)
{
    (void)arg;
    known++;
}

static const char *name_of(const struct target_node *n)
{
    uint16_t port = n->endpoint->url.port;
    return port == a.endpoint.url.port ? "a" : port == b.endpoint.url.port ? "b" : "c";
}

static void on_answered(struct target_node *n, struct dirty_key *k, struct bytes error, uint64_t bytes,
                        bool deleted, void *arg)
{
    uint64_t delay_us = 0;
    bool redirected = error.len && target_redirected(n, k, error, &delay_us);
    (void)bytes, (void)deleted, (void)arg;

    answers++;
    kit_tell("%s: %s%s", name_of(n), kit_name(k), redirected ? " elsewhere" : error.len ? " refused" : "");
}

static void on_typed(struct target_node *n, struct dirty_key *k, struct bytes type, struct bytes error,
                     void *arg)
{
    (void)arg, (void)type;
    kit_tell("%s: type of %s%s", name_of(n), kit_name(k), error.len ? " refused" : "");
}

static void on_lost(struct target_node *n, struct dirty_key *k, void *arg)
{
    (void)arg;
    kit_tell("%s: lost %s", name_of(n), kit_name(k));
}

static void on_released(struct target_node *n, uint64_t delay_us, bool blame, void *arg)
{
    (void)arg, (void)blame;
    kit_tell("%s: released%s", name_of(n), delay_us ? " later" : "");
}

static int on_writer_id(const char *run_id, uint64_t client_id, void *arg)
{
    (void)run_id, (void)client_id, (void)arg;
    return 0;
}

static void on_writer_dead(const struct conn_former *former, void *arg)
{
    (void)former, (void)arg;
}

static void on_up(void *arg)
{
    (void)arg;
    ups++;
}

static void on_down(struct target_node *n, const char *why, void *arg)
{
    (void)n, (void)why, (void)arg;
}

static void on_room(void *arg)
{
    (void)arg;
}

static void on_sample(struct target_node *n, const struct watch_sample *s, bool stranger, void *arg)
{
    (void)arg;
    if (stranger && approves)
        ck_assert(!target_approve(target, n, s->id.run_id));
}

static void on_read(struct target_node *n, const struct watch_sample *s, void *arg)
{
    (void)n, (void)s, (void)arg;
    reads++;
}

static void on_unreadable(struct target_node *n, const char *why, void *arg)
{
    (void)n, (void)why, (void)arg;
}

static void on_watch_down(struct target_node *n, const char *why, bool was_up, void *arg)
{
    (void)n, (void)why, (void)arg, (void)was_up;
}

static void on_told(int what, size_t n, const int64_t *numbers, struct bytes error, void *arg)
{
    (void)error, (void)arg, (void)n;
    kit_tell("told %d: %lld", what, (long long)numbers[0]);
}

static void on_gap(const char *reason, void *arg)
{
    (void)arg;
    kit_tell("gap: %s", reason);
}

static void on_leaves(struct target_node *n, void *arg)
{
    (void)arg;
    kit_tell("%s: leaves", name_of(n));
}

static void on_changed(void *arg)
{
    (void)arg;
    changes++;
}

static void on_moved(void *arg)
{
    (void)arg;
    kit_tell("slots moved");
}

/* Of EVEN and the like: %A, %B and %C are ports. */
static void set_map(const char *format)
{
    char text[2048];
    size_t at = 0;

    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            text[at++] = *f;
            continue;
        }
        const struct fake *of = *++f == 'A' ? &a : *f == 'B' ? &b : &c;
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%u", of->endpoint.url.port);
    }
    text[at] = '\0';
    fake_bulk(&a, "CLUSTER NODES", text);
}

#define A_HAS(slots, epoch) ID_A " 127.0.0.1:%A@17000 myself,master - 0 0 " epoch " connected " slots "\n"
#define B_HAS(slots, epoch) ID_B " 127.0.0.1:%B@17001 master - 0 0 " epoch " connected " slots "\n"
#define C_HAS(slots, epoch) ID_C " 127.0.0.1:%C@17002 master - 0 0 " epoch " connected " slots "\n"

static void begin_node(struct fake *f, const char *name, const char *run_id)
{
    char info[256];

    if (f == &a)
        fake_init(f);
    else
        fake_init_in(f, a.loop, name);
    fake_listen_tcp(f);
    snprintf(info, sizeof(info), "# Server\r\nredis_version:7.0.15\r\nrun_id:%s\r\nredis_mode:cluster\r\n",
             run_id);
    fake_bulk(f, "INFO server", info);
    for (const char *const *s = (const char *const[]){"persistence", "memory", "keyspace", NULL}; *s; s++) {
        char words[32];
        snprintf(words, sizeof(words), "INFO %s", *s);
        fake_bulk(f, words, "# nothing\r\n");
    }
    fake_bulk(f, "INFO stats", "total_commands_processed:9\r\nevicted_keys:0\r\n");
    fake_bulk(f, "INFO commandstats", "cmdstat_info:calls=9\r\n");
    fake_rule(f, "SELECT", "+OK\r\n");
    fake_rule(f, "RESTORE", "+OK\r\n");
    fake_rule(f, "UNLINK", ":1\r\n");
    fake_rule(f, "TYPE", "+string\r\n");
    fake_rule(f, "ASKING", "+OK\r\n");
    fake_rule(f, "WAIT", ":1\r\n");
    fake_rule(f, "CLIENT KILL", ":1\r\n");
}

static void begin_target(void)
{
    static const struct target_events events = {.answered = on_answered,
                                                .typed = on_typed,
                                                .lost = on_lost,
                                                .released = on_released,
                                                .writer_id = on_writer_id,
                                                .writer_dead = on_writer_dead,
                                                .up = on_up,
                                                .down = on_down,
                                                .room = on_room,
                                                .sample = on_sample,
                                                .read = on_read,
                                                .unreadable = on_unreadable,
                                                .watch_down = on_watch_down,
                                                .told = on_told,
                                                .gap = on_gap,
                                                .leaves = on_leaves,
                                                .changed = on_changed,
                                                .moved = on_moved};
    const struct target_options opt = {
        .endpoint = &a.endpoint, .nodes = nodes, .into_db = URL_DB_NONE, .out_high = MIB};
    ck_assert_int_eq(target_new(a.loop, &opt, &events, NULL, &target), 0);
}

static void begin_with(const char *map)
{
    known = ups = answers = reads = changes = 0;
    approves = true;
    begin_node(&a, "", "aaaa");
    begin_node(&b, "-b", "bbbb");
    begin_node(&c, "-c", "cccc");
    set_map(map);
    const struct topology_options opt = {.endpoint = &a.endpoint, .mode = TOPOLOGY_CLUSTER};
    ck_assert_int_eq(topology_new(a.loop, &opt, &nodes), 0);
    listener = (struct topology_listener){.changed = on_map};
    topology_listen(nodes, &listener);
    topology_want(nodes, true);
    fake_until(&a, &known, 1);
    begin_target();
}

static void begin(void)
{
    begin_with(EVEN);
    ck_assert(!target_is_up(target));
    fake_until(&a, &ups, 2);
    ck_assert(target_is_up(target) && target_is_approved(target));
    kit_forget();
}

static void end(void)
{
    target = target_free(target);
    topology_unlisten(nodes, &listener);
    nodes = topology_free(nodes);
    fake_done(&c);
    fake_done(&b);
    fake_done(&a);
    kit_end();
}

/* The map is another one, and the target has followed. */
static void change_map(const char *map)
{
    size_t before = changes;
    set_map(map);
    topology_refresh(nodes);
    fake_until(&a, &changes, before + 1);
}

static struct target_node *node(struct fake *f)
{
    for (struct target_node *n = target_nodes(target); n; n = n->next)
        if (n->endpoint->url.port == f->endpoint.url.port)
            return n;
    return NULL;
}

static struct target_node *in_db(struct dirty_key *k)
{
    struct target_node *n = target_of(target, k);

    ck_assert_ptr_nonnull(n);
    for (unsigned tries = 0; writer_db(n->writer, k->db) != WRITER_DB_READY; tries++) {
        ck_assert_uint_lt(tries, 1000);
        fake_pass(&a, 2);
    }
    return n;
}

static void restore(struct dirty_key *k)
{
    ck_assert_int_eq(target_restore(in_db(k), k, 0, BYTES("payload")), 0);
}

static size_t writes(struct fake *f)
{
    return fake_count(f, "RESTORE ");
}

START_TEST(test_a_key_goes_to_the_owner_of_its_slot)
{
    begin();
    restore(kit_key(0, IN_A));
    fake_until(&a, &answers, 1);
    restore(kit_key(0, IN_B));
    fake_until(&a, &answers, 2);
    kit_expect(&a, "a: " IN_A "\nb: " IN_B "\n");
    ck_assert_ptr_eq(target_of_name(target, BYTES("{" IN_B "}x")), node(&b));
    ck_assert_uint_eq(writes(&a), 1);
    ck_assert_uint_eq(writes(&b), 1);
    end();
}
END_TEST

START_TEST(test_all_that_own_slots_must_be_there)
{
    begin_with(EVEN);
    approves = false;
    fake_until(&a, &reads, 2);
    fake_pass(&a, 100);
    ck_assert(!target_is_up(target) && !target_is_approved(target));
    ck_assert(!target_approve(target, node(&a), "aaaa"));
    fake_until(&a, &ups, 1);
    ck_assert(!target_is_up(target));
    ck_assert(!target_approve(target, node(&b), "bbbb"));
    fake_until(&a, &ups, 2);
    ck_assert(target_is_up(target));
    ck_assert(target_approve(target, node(&b), "other")); /* another one than before */
    fake_pass(&a, 50);
    ck_assert(!target_is_up(target));
    end();
}
END_TEST

START_TEST(test_a_slot_without_a_node)
{
    begin_with(A_HAS("0-8191", "1"));
    fake_until(&a, &ups, 1);
    ck_assert(!target_is_up(target));
    ck_assert_ptr_null(target_of_name(target, BYTES(IN_B)));
    ck_assert_ptr_eq(target_of_name(target, BYTES(IN_A)), node(&a));
    end();
}
END_TEST

/* One that owns nothing is not waited for. */
START_TEST(test_a_node_without_slots)
{
    begin_with(EVEN C_HAS("", "0"));
    fake_rule(&c, "INFO", FAKE_CLOSE);
    fake_until(&a, &ups, 2);
    ck_assert(target_is_up(target));
    ck_assert_ptr_nonnull(node(&c));
    end();
}
END_TEST

static const char *say(const char *what, const char *slot, const struct fake *f)
{
    static char text[64];
    snprintf(text, sizeof(text), "-%s %s 127.0.0.1:%u\r\n", what, slot, f->endpoint.url.port);
    return text;
}

/* As the writer hands it on. */
static struct bytes error_of(const char *said)
{
    return bytes_of(said + 1, strlen(said) - 3);
}

START_TEST(test_moved)
{
    struct dirty_key *k = kit_key(0, IN_A);
    uint64_t delay_us = 0;

    begin();
    fake_rule(&a, "RESTORE", say("MOVED", "5061", &b));
    (void)fake_log(&a);
    restore(k);
    kit_expect(&a, "a: " IN_A " elsewhere\n");
    fake_pass(&a, 200);
    ck_assert_uint_ge(fake_count(&a, "CLUSTER NODES"), 1); /* long before its time */
    ck_assert_ptr_eq(target_of(target, kit_key(0, IN_B)), node(&b));
    struct bytes error = error_of(say("MOVED", "5061", &b));
    ck_assert(target_redirected(node(&a), k, error, &delay_us));
    ck_assert_uint_gt(delay_us, 0);
    ck_assert_ptr_eq(target_of(target, k), node(&b));
    restore(k);
    kit_expect(&a, "b: " IN_A "\n");
    ck_assert_uint_eq(fake_count(&b, "ASKING"), 0);
    change_map(A_HAS("0-5060 5062-8191", "1") B_HAS("5061 8192-16383", "4"));
    kit_expect(&a, "slots moved\n"); /* though it was known already */
    end();
}
END_TEST

START_TEST(test_moved_to_who_is_not_known)
{
    uint64_t delay_us = 0;
    struct dirty_key *k = kit_key(0, IN_A);

    begin();
    struct bytes error = error_of(say("MOVED", "5061", &c));
    ck_assert(target_redirected(node(&a), k, error, &delay_us));
    ck_assert_uint_ge(delay_us, 10000);
    ck_assert_ptr_eq(target_of(target, k), node(&a));
    error = error_of(say("ASK", "5061", &c));
    ck_assert(target_redirected(node(&a), k, error, &delay_us));
    ck_assert(!k->ask && delay_us >= 10000);
    ck_assert(!target_redirected(node(&a), k, BYTES("OOM no"), &delay_us));
    end();
}
END_TEST

/* For one write, whatever is asked of the key before. */
START_TEST(test_ask)
{
    struct dirty_key *k = kit_key(0, IN_A), *other = kit_key(0, "{" IN_A "}2");

    begin();
    fake_rule(&a, "RESTORE " IN_A, say("ASK", "5061", &b));
    restore(k);
    kit_expect(&a, "a: " IN_A " elsewhere\n");
    ck_assert_ptr_eq(target_of(target, k), node(&b));
    ck_assert_ptr_eq(target_of(target, other), node(&a));
    (void)in_db(k);
    (void)fake_log(&b);
    ck_assert_int_eq(target_type(target_of(target, k), k), 0);
    kit_expect(&a, "b: type of " IN_A "\n");
    restore(k);
    kit_expect(&a, "b: " IN_A "\n");
    ck_assert_ptr_eq(target_of(target, k), node(&a));
    const char *log = fake_log(&b), *at = strstr(log, "ASKING\nTYPE " IN_A "\n");
    ck_assert_ptr_nonnull(at);
    ck_assert_ptr_nonnull(strstr(at, "ASKING\nRESTORE " IN_A " "));
    end();
}
END_TEST

START_TEST(test_ask_for_a_deletion_and_a_long_value)
{
    struct dirty_key *k = kit_key(0, IN_A);

    begin();
    k->ask = true;
    k->server = node(&b)->number;
    ck_assert_int_eq(target_delete(in_db(k), k), 0);
    kit_expect(&a, "b: " IN_A "\n");
    k->ask = true;
    ck_assert_int_eq(target_restore_begin(in_db(k), k, 0, 7), 0);
    fake_pass(&a, 20); /* ASKING is answered in the middle of it */
    ck_assert_int_eq(target_restore_part(target, BYTES("pay")), 0);
    ck_assert_int_eq(target_restore_part(target, BYTES("load")), 0);
    kit_expect(&a, "b: " IN_A "\n");
    ck_assert_uint_eq(fake_count(&b, "ASKING\n"), 2);
    ck_assert_ptr_eq(target_of(target, k), node(&a));
    end();
}
END_TEST

/* Whom ASK named is there no more: the owner says so again. */
START_TEST(test_ask_of_a_node_that_is_down)
{
    struct dirty_key *k = kit_key(0, IN_A);

    begin();
    k->ask = true;
    k->server = node(&b)->number;
    fake_rule(&b, "INFO server", FAKE_CLOSE);
    writer_break(node(&b)->writer, "a test");
    fake_pass(&a, 50);
    ck_assert_ptr_eq(target_of(target, k), node(&a));
    restore(k);
    fake_until(&a, &answers, 1);
    ck_assert_uint_eq(fake_count(&a, "ASKING"), 0);
    end();
}
END_TEST

/* R2: what one node may still write is free once that one is known to be dead, and no other. */
START_TEST(test_lost_writes_are_released_by_their_own_node)
{
    begin();
    fake_rule(&a, "RESTORE", FAKE_SILENCE);
    fake_rule(&b, "RESTORE", FAKE_SILENCE);
    fake_rule(&a, "CLIENT KILL", FAKE_SILENCE);
    restore(kit_key(0, IN_A));
    restore(kit_key(0, IN_B));
    fake_pass(&a, 50);
    writer_break(node(&a)->writer, "a test");
    kit_expect(&a, "a: lost " IN_A "\n");
    writer_break(node(&b)->writer, "a test");
    kit_expect(&a, "b: lost " IN_B "\nb: released\n");
    kit_nothing(&a, 300); /* nobody said that the former connection to it is dead */
    fake_rule(&a, "CLIENT KILL", ":1\r\n");
    writer_break(node(&a)->writer, "a test");
    kit_expect(&a, "a: released\n");
    end();
}
END_TEST

START_TEST(test_what_cannot_be_shown_dead_is_late)
{
    begin();
    ck_assert(!target_may_be_late(target));
    fake_rule(&a, "CLIENT KILL", "-NOPERM no\r\n");
    fake_rule(&a, "CLIENT LIST", "-NOPERM no\r\n");
    writer_break(node(&a)->writer, "a test");
    kit_expect(&a, "a: released later\n");
    ck_assert(target_may_be_late(target));
    end();
}
END_TEST

/* R2: a node that is no primary any more executes nothing. R7: what it had may have been lost with it. */
START_TEST(test_a_node_is_replaced)
{
    begin();
    fake_rule(&b, "RESTORE", FAKE_SILENCE);
    restore(kit_key(0, IN_B));
    fake_pass(&a, 50);
    change_map(A_HAS("0-8191", "1") C_HAS("8192-16383", "3") ID_B " 127.0.0.1:%B@17001 slave " ID_C
                                                                  " 0 0 3 connected\n");
    kit_expect(&a, "b: lost " IN_B "\nb: leaves\nb: released\nslots moved\n"
                   "gap: a node of the target was replaced, or has left\n");
    ck_assert_ptr_null(node(&b));
    ck_assert(!target_is_up(target));
    fake_until(&a, &ups, 3);
    ck_assert(target_is_up(target));
    restore(kit_key(0, IN_B));
    kit_expect(&a, "c: released\nc: " IN_B "\n");
    end();
}
END_TEST

/* No gap: they were moved with their keys. One that has none left may go. */
START_TEST(test_slots_move)
{
    begin();
    fake_rule(&b, "RESTORE", FAKE_SILENCE);
    fake_rule(&b, "CLIENT KILL", FAKE_SILENCE);
    restore(kit_key(0, IN_B));
    fake_pass(&a, 50);
    writer_break(node(&b)->writer, "a test");
    kit_expect(&a, "b: lost " IN_B "\n");
    change_map(ALL_A B_HAS("", "2"));
    kit_expect(&a, "b: released\nslots moved\n");
    ck_assert(target_is_up(target));
    ck_assert_ptr_eq(target_of_name(target, BYTES(IN_B)), node(&a));
    change_map(ALL_A);
    kit_expect(&a, "b: leaves\nb: released\n");
    end();
}
END_TEST

/* Its slots went with it, and its keys with them. */
START_TEST(test_an_owner_that_leaves_is_a_gap)
{
    begin();
    change_map(ALL_A);
    kit_expect(&a, "b: leaves\nb: released\nslots moved\n"
                   "gap: a node of the target was replaced, or has left\n");
    end();
}
END_TEST

/* R7, of each node. */
START_TEST(test_what_is_read_of_each_node)
{
    begin();
    fake_until(&a, &reads, 2);
    fake_bulk(&b, "INFO commandstats", "cmdstat_info:calls=9\r\ncmdstat_flushall:calls=1\r\n");
    kit_expect(&a, "gap: the target was flushed\n");
    fake_bulk(&a, "INFO replication", "role:slave\r\nmaster_replid:r\r\n");
    kit_expect(&a, "gap: the target's role changed\n");
    end();
}
END_TEST

/* One gap when it ends to be told, one when it is told again; none for what never is. */
START_TEST(test_what_is_not_told_is_unknown)
{
    begin();
    fake_until(&a, &reads, 2);
    fake_bulk(&b, "INFO commandstats", "");
    kit_expect(&a, "gap: INFO of the target does not tell at all times what could be lost there\n");
    size_t before = reads;
    target_read(target);
    fake_until(&a, &reads, before + 4);
    kit_expect(&a, "");
    fake_bulk(&b, "INFO stats", "total_commands_processed:9\r\n");
    kit_expect(&a, "gap: INFO of the target does not tell at all times what could be lost there\n");
    fake_bulk(&b, "INFO stats", "total_commands_processed:9\r\nevicted_keys:0\r\n");
    kit_expect(&a, "gap: INFO of the target does not tell at all times what could be lost there\n");
    end();
}
END_TEST

START_TEST(test_a_barrier_waits_for_a_reading_of_each)
{
    begin();
    fake_until(&a, &reads, 2);
    fake_pass(&a, 50);
    fake_rule(&b, "INFO keyspace", FAKE_SILENCE);
    target_read(target);
    size_t before = reads;
    fake_until(&a, &reads, before + 1);
    fake_pass(&a, 50);
    ck_assert(!target_was_read(target));
    fake_bulk(&b, "INFO keyspace", "# Keyspace\r\n");
    conn_reset(watch_conn(node(&b)->watch), "a test");
    before = reads;
    for (unsigned tries = 0; !target_was_read(target); tries++) {
        ck_assert_uint_lt(tries, 100);
        fake_pass(&a, 20);
    }
    end();
}
END_TEST

/* WAIT on another connection than one that wrote proves nothing. */
START_TEST(test_who_wrote_is_asked)
{
    const struct bytes wait[] = {BYTES("WAIT"), BYTES("1"), BYTES("100")};
    unsigned due = 0;

    begin();
    restore(kit_key(0, IN_B));
    fake_until(&a, &answers, 1);
    kit_forget();
    ck_assert_int_eq(target_confirm(target, TARGET_WAIT, ARRAY_LEN(wait), wait, &due), 0);
    ck_assert_uint_eq(due, 1);
    ck_assert(!target_is_idle(target));
    kit_expect(&a, "told 0: 1\n");
    ck_assert(target_is_idle(target) && !target_is_unproved(target));
    ck_assert_uint_eq(fake_count(&a, "WAIT 1 100"), 0);
    ck_assert_uint_eq(fake_count(&b, "WAIT 1 100"), 1);
    writer_break(node(&b)->writer, "a test");
    kit_expect(&a, "b: released\n");
    ck_assert(target_is_unproved(target));
    end();
}
END_TEST

/* R13: a node that comes then is not written to either. */
START_TEST(test_closed)
{
    begin();
    target_close(target);
    fake_pass(&a, 50);
    size_t before = a.accepted, before_b = b.accepted;
    change_map(A_HAS("0-100", "1") B_HAS("8192-16383", "2") C_HAS("101-8191", "3"));
    fake_pass(&a, 500);
    ck_assert_uint_eq(a.accepted, before);
    ck_assert_uint_eq(b.accepted, before_b);
    ck_assert_uint_eq(c.accepted, 0);
    target_open(target);
    fake_until(&a, &ups, 5);
    ck_assert(target_is_up(target));
    end();
}
END_TEST

UNIT_MAIN("copy/target", test_a_key_goes_to_the_owner_of_its_slot, test_all_that_own_slots_must_be_there,
          test_a_slot_without_a_node, test_a_node_without_slots, test_moved, test_moved_to_who_is_not_known,
          test_ask, test_ask_for_a_deletion_and_a_long_value, test_ask_of_a_node_that_is_down,
          test_lost_writes_are_released_by_their_own_node, test_what_cannot_be_shown_dead_is_late,
          test_a_node_is_replaced, test_slots_move, test_an_owner_that_leaves_is_a_gap,
          test_what_is_read_of_each_node, test_what_is_not_told_is_unknown,
          test_a_barrier_waits_for_a_reading_of_each, test_who_wrote_is_asked, test_closed)
