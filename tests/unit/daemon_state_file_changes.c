/* Changes of the state that have rules: no file is touched. */
#include "tests/unit/unit.h"

#include <string.h>

#include "daemon/state_file.h"

static const struct server_id server = {
    .run_id = "run1", .replid = "rep1", .replid2 = "rep0", .role = ROLE_PRIMARY};

START_TEST(counts_are_the_highest)
{
    struct state_server *s = calloc(1, sizeof(*s));
    const struct watch_db first[] = {{1, 10, 0}, {3, 30, 0}}, second[] = {{0, 5, 0}, {1, 7, 0}, {3, 31, 0}};
    state_server_count(s, 2, first);
    state_server_count(s, 3, second);
    ck_assert_uint_eq(s->ndbs, 3);
    ck_assert_int_eq(s->dbs[0].db, 0);
    ck_assert_uint_eq(state_server_keys(s), 5 + 10 + 31);
    state_server_count(s, 0, NULL);
    ck_assert_uint_eq(state_server_keys(s), 46);
    state_server_recount(s, 2, first);
    ck_assert_uint_eq(state_server_keys(s), 40);
    free(s->dbs);
    free(s);
}
END_TEST

START_TEST(connections_are_bounded)
{
    struct state *s = calloc(1, sizeof(*s));
    for (unsigned i = 0; i < STATE_IDS_MAX + 2; i++) {
        enum state_side side = i % 2 ? STATE_TARGET : STATE_SOURCE;
        ck_assert(i == STATE_IDS_MAX + 1 || !state_connections_lack_some(s, "r"));
        ck_assert_int_eq(state_connection_add(s, side, "r", i + 1), 0);
        ck_assert_int_eq(state_connection_add(s, side, "r", i + 1), 0);
    }
    ck_assert_uint_eq(s->nconnections, STATE_IDS_MAX);
    ck_assert_uint_eq(s->connections[0].client_id, 1); /* of what was changed on the source all are known */
    ck_assert_uint_eq(s->connections[1].client_id, 0); /* of those that wrote, that some are not */
    ck_assert_uint_eq(s->connections[5].client_id, 8);
    ck_assert(state_connections_lack_some(s, "r") && !state_connections_lack_some(s, "another"));
    state_connection_remove(s, STATE_TARGET, 3);
    ck_assert_uint_eq(s->nconnections, STATE_IDS_MAX);
    state_connection_remove(s, STATE_SOURCE, 3);
    ck_assert_uint_eq(s->nconnections, STATE_IDS_MAX - 1);
    state_connections_clear(s, STATE_TARGET, "another");
    ck_assert_uint_eq(s->nconnections, STATE_IDS_MAX - 1);
    state_connections_clear(s, STATE_TARGET, "r");
    ck_assert_uint_eq(s->nconnections, STATE_IDS_MAX / 2);
    ck_assert(!state_connections_lack_some(s, "r"));
    state_connections_clear(s, STATE_SOURCE, NULL);
    ck_assert_uint_eq(s->nconnections, 0);
    state_clear(s);
    free(s);
}
END_TEST

START_TEST(reset_keeps_instance_and_notify)
{
    struct state_node *n;
    struct state *s = calloc(1, sizeof(*s));
    strcpy(s->instance, "0123abcd");
    ck_assert_int_eq(state_notify_set(s, "redis://a", &(struct notify_record){.run_id = "run1"}), 0);
    s->desired = DESIRED_RUNNING;
    ck_assert_int_eq(state_own_target(s, "redis://b", "redis://b", &server), 0);
    ck_assert_ptr_nonnull(state_server_set(&s->sources, "redis://a", &server));
    state_connection_add(s, STATE_TARGET, "r", 1);
    s->cutover.stage = STAGE_UNDOING;
    ck_assert_int_eq(state_node_add(&s->cutover, "a", "", true, &n), 0);
    state_reset(s);
    ck_assert_int_eq(s->cutover.stage, STAGE_UNDOING);
    ck_assert_ptr_nonnull(state_node_find(&s->cutover, "a"));
    s->cutover.stage = STAGE_COMMITTED;
    state_reset(s);
    ck_assert_int_eq(s->cutover.stage, STAGE_NONE);
    ck_assert_uint_eq(s->cutover.nnodes, 0);
    ck_assert_str_eq(s->instance, "0123abcd");
    ck_assert_ptr_nonnull(state_notify_find(s, "run1"));
    ck_assert(!s->target_owned.owned);
    ck_assert_uint_eq(s->target_owned.servers.count, 0);
    ck_assert_uint_eq(s->sources.count, 0);
    ck_assert_int_eq(s->desired, DESIRED_NONE);
    ck_assert_uint_eq(s->nconnections, 1);
    state_clear(s);
    free(s);
}
END_TEST

UNIT_MAIN("daemon/state_file, changes", counts_are_the_highest, connections_are_bounded,
          reset_keeps_instance_and_notify)
