/* What a restart takes up, the release, and finish. */
#include "tests/unit/daemon_cutover_kit.h"

static void an_abort(void)
{
    char why[LINK_WHY_MAX];
    ck_assert_int_eq(cutover_abort(k.cutover, why), 0);
}

/* What a restart finds. */

static void stop_loop(void *arg)
{
    (void)arg;
    loop_stop(k.loop);
}

static void run_for(uint64_t us)
{
    struct timer *t;

    ck_assert_int_eq(timer_new(k.loop, stop_loop, NULL, &t), 0);
    timer_set(t, us);
    kit_run();
    timer_free(t);
}

START_TEST(a_restart_undoes)
{
    static const enum cutover_stage stages[] = {STAGE_PAUSING, STAGE_FENCING, STAGE_UNDOING};

    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        struct cutover_status s;
        kit_make();
        k.link_state = LINK_IDLE;
        k.state.cutover.stage = stages[i];
        k.state.cutover.fence = FENCE_ACL;
        ck_assert(cutover_begin(k.cutover));
        cutover_status(k.cutover, &s);
        ck_assert(s.any && s.undoing && s.running);
        kit_run(); /* link_begin() ends it */
        ck_assert_str_eq(k.trace, "after_undoing save:undoing lift save:none begin free");
        ck_assert_int_eq(k.state.cutover.stage, STAGE_NONE);
        kit_free();
    }
}
END_TEST

START_TEST(a_restart_goes_on_undoing_until_it_is_done)
{
    struct state_node *node;
    struct state_setting *setting;

    kit_make();
    k.link_state = LINK_IDLE;
    k.state.cutover.stage = STAGE_FENCING;
    k.state.cutover.fence = FENCE_ACL;
    ck_assert_int_eq(state_node_add(&k.state.cutover, "a:1", "run1", true, &node), 0);
    ck_assert_int_eq(state_setting_add(node, BYTES("app"), BYTES("user app on"), &setting), 0);
    k.fails = "lift";
    k.err = -EIO;
    ck_assert(cutover_begin(k.cutover));
    run_for(700000);
    ck_assert_int_eq(k.state.cutover.stage, STAGE_UNDOING);
    ck_assert_ptr_null(strstr(k.trace, "begin"));
    struct cutover_status s;
    cutover_status(k.cutover, &s);
    ck_assert_str_eq(s.fence_text, "users on a:1: app");
    k.fails = NULL;
    kit_run();
    kit_traced("lift save:none begin free");
    kit_free();
}
END_TEST

START_TEST(a_restart_after_the_commit_goes_forward)
{
    char why[LINK_WHY_MAX];
    struct cutover_status s;
    struct cutover_options opt = kit_options();
    uint64_t id;

    kit_make();
    k.link_state = LINK_IDLE;
    k.has_lane = false;
    k.state.cutover.stage = STAGE_COMMITTED;
    k.state.cutover.fence = FENCE_ACL;
    k.state.cutover.committed_ms = 1000;
    k.state.cutover.write_pause_ms = 42;
    ck_assert(cutover_begin(k.cutover));
    run_for(50000);
    ck_assert_str_eq(k.trace, "after_commit release watch");
    cutover_status(k.cutover, &s);
    ck_assert(s.any && s.fence_held && s.committed_ms == 1000 && s.write_pause_ms == 42 && !s.running);
    ck_assert_int_eq(cutover_start(k.cutover, &opt, why, &id), -EPERM);
    kit_free();
}
END_TEST

START_TEST(a_restart_when_finished_stays_so)
{
    kit_make();
    k.link_state = LINK_IDLE;
    ck_assert(!cutover_begin(k.cutover));
    k.state.cutover.stage = STAGE_FINISHED;
    ck_assert(cutover_begin(k.cutover));
    ck_assert_str_eq(k.trace, "after_commit");
    ck_assert_int_eq(k.link_state, LINK_FINISHED);
    kit_free();
}
END_TEST

/* finish. */

static void finish(bool unfence, bool force)
{
    char why[LINK_WHY_MAX];
    uint64_t id;

    k.ended = false;
    k.trace[0] = '\0';
    ck_assert_msg(cutover_finish(k.cutover, unfence, force, why, &id) == 0, "%s", why);
    kit_run();
    ck_assert(k.ended);
}

static void committed(enum fence_kind fence)
{
    kit_make();
    struct cutover_options opt = kit_options();
    opt.fence = fence;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "");
}

START_TEST(finish_leaves_the_fence)
{
    char why[LINK_WHY_MAX];
    uint64_t id;

    committed(FENCE_ACL);
    finish(false, false);
    kit_is("ok", CTL_OK, "stays fenced");
    ck_assert_str_eq(k.trace, "unwatch put_back save:finished finished free");
    ck_assert(!k.state.cutover.unfenced);
    ck_assert_int_eq(cutover_finish(k.cutover, false, false, why, &id), -EPERM);
    kit_free();
}
END_TEST

START_TEST(finish_without_a_fence_speaks_of_none)
{
    committed(FENCE_NONE);
    finish(false, false);
    kit_is("ok", CTL_OK, "was never fenced");
    kit_free();
}
END_TEST

START_TEST(finish_takes_the_fence_away)
{
    committed(FENCE_ACL);
    finish(true, false);
    kit_is("ok", CTL_OK, "takes writes again");
    ck_assert_str_eq(k.trace, "unwatch put_back lift save:finished finished free");
    ck_assert(k.state.cutover.unfenced);
    kit_free();
}
END_TEST

static int allowed;
static void ask_to_start(void)
{
    char why[LINK_WHY_MAX];
    allowed = cutover_allows_start(k.cutover, why);
}

START_TEST(no_link_begins_while_the_old_source_is_let_go_of)
{
    static const char *const when[] = {"put_back", "lift"};

    for (size_t i = 0; i < ARRAY_LEN(when); i++) {
        committed(FENCE_ACL);
        ask_to_start();
        ck_assert_int_eq(allowed, 0);
        k.when = when[i];
        k.then = ask_to_start;
        finish(true, false);
        ck_assert_int_eq(allowed, -EBUSY);
        ask_to_start();
        ck_assert_int_eq(allowed, 0);
        kit_free();
    }
    kit_make();
    struct cutover_options opt = kit_options();
    k.when = "release";
    k.then = ask_to_start;
    kit_cutover(&opt);
    ck_assert_int_eq(allowed, -EBUSY);
    kit_free();
}
END_TEST

START_TEST(finish_names_what_it_left_alone)
{
    committed(FENCE_ACL);
    k.fails = "lift";
    k.err = -EEXIST;
    finish(true, false);
    kit_is("needs_person", CTL_NEEDS_PERSON, "left as it is: it was made to fail");
    ck_assert_int_eq(k.link_state, LINK_FINISHED);
    kit_free();
}
END_TEST

START_TEST(a_finish_that_fails_can_be_asked_for_again)
{
    static const char *const fails[] = {"put_back", "lift"};

    for (size_t i = 0; i < ARRAY_LEN(fails); i++) {
        committed(FENCE_ACL);
        k.fails = fails[i];
        k.err = -EIO;
        finish(true, false);
        kit_is("failed", CTL_FAILED, "");
        kit_traced("watch");
        ck_assert_int_eq(k.link_state, LINK_COMMITTED);
        k.fails = NULL;
        finish(true, false);
        kit_is("ok", CTL_OK, "");
        kit_free();
    }
}
END_TEST

START_TEST(finish_that_cannot_be_written_down_is_not_done)
{
    committed(FENCE_ACL);
    k.save_fails = STAGE_FINISHED;
    finish(false, false);
    kit_is("failed", CTL_FAILED, "cannot be written");
    ck_assert_int_eq(k.state.cutover.stage, STAGE_COMMITTED);
    kit_free();
}
END_TEST

START_TEST(finish_of_hold_waits_for_its_clients)
{
    committed(FENCE_HOLD);
    ck_assert_uint_eq(k.state.cutover.lease_ms, 600000);
    k.fails = "end_hold";
    k.err = -EBUSY;
    finish(false, false);
    kit_is("refused", CTL_REFUSED, "--force");
    kit_traced("unwatch end_hold watch");
    k.fails = NULL;
    finish(false, true);
    kit_is("ok", CTL_OK, "takes writes again");
    kit_free();
}
END_TEST

START_TEST(hold_does_not_commit_at_the_end_of_its_lease)
{
    static const enum fence_kind kinds[] = {FENCE_HOLD, FENCE_ACL};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        opt.fence = kinds[i];
        k.lease_left_us = 499999;
        kit_cutover(&opt);
        if (kinds[i] == FENCE_HOLD)
            kit_is("undone", CTL_ROLLED_BACK, "the write pause is about to end");
        else
            kit_is("ok", CTL_OK, "");
        kit_free();
    }
}
END_TEST

START_TEST(hold_has_its_lease_before_the_commit)
{
    kit_make();
    struct cutover_options opt = kit_options();
    opt.fence = FENCE_HOLD;
    opt.hold_lease_ms = 7000;
    k.when = "set";
    k.then = an_abort;
    kit_cutover(&opt);
    ck_assert_uint_eq(k.hold_lease_ms, 7000);
    kit_free();
}
END_TEST

START_TEST(a_commit_that_took_longer_than_the_pause_needs_a_person)
{
    static const enum fence_kind kinds[] = {FENCE_HOLD, FENCE_ACL};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        opt.fence = kinds[i];
        k.commit_stalls = true;
        kit_cutover(&opt);
        if (kinds[i] == FENCE_HOLD)
            kit_is("slipped", CTL_NEEDS_PERSON, "writes may have slipped in");
        else
            kit_is("ok", CTL_OK, "");
        kit_traced("save:committed committed release watch");
        kit_free();
    }
}
END_TEST

static void the_pause_ends(void)
{
    k.paused = false;
    k.fence_ev.lapsed("it was not renewed", k.fence_arg);
}

static void the_pause_ends_untold(void)
{
    k.paused = false;
}

START_TEST(a_pause_that_ends_before_it_is_renewed_needs_a_person)
{
    static void (*const cases[])(void) = {the_pause_ends, the_pause_ends_untold};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        opt.fence = FENCE_HOLD;
        k.when = "release";
        k.then = cases[i];
        k.fails = i ? "release" : NULL;
        k.err = -ETIMEDOUT;
        kit_cutover(&opt);
        kit_is("slipped", CTL_NEEDS_PERSON, "writes may have slipped in");
        kit_traced(i ? "committed release release release release watch" : "committed release watch");
        kit_free();
    }
}
END_TEST

START_TEST(writes_that_slipped_past_hold_are_told)
{
    committed(FENCE_HOLD);
    k.fence_ev.lost("the pause ran out", 3, k.fence_arg);
    finish(false, false);
    kit_is("needs_person", CTL_NEEDS_PERSON, "3 writes slipped in");
    kit_free();
}
END_TEST

START_TEST(an_unknown_outcome_can_be_unfenced)
{
    char why[LINK_WHY_MAX];
    uint64_t id;

    kit_make();
    struct cutover_options opt = kit_options();
    k.save_fails = STAGE_COMMITTED;
    k.save_unknown = true;
    kit_cutover(&opt);
    k.save_fails = STAGE_NONE;
    ck_assert_int_eq(cutover_finish(k.cutover, false, false, why, &id), -EPERM);
    finish(true, false);
    kit_is("ok", CTL_OK, "takes writes again");
    ck_assert_str_eq(k.trace, "unwatch lift save:none free");
    kit_free();
}
END_TEST

START_TEST(an_unfence_that_fails_says_why_and_can_be_tried_again)
{
    committed(FENCE_ACL);
    k.fails = "lift";
    k.err = -EHOSTUNREACH;
    finish(true, false);
    kit_is("failed", CTL_FAILED, "still fenced; riotctl finish --unfence tries again: it was made to fail");
    k.fails = NULL;
    finish(true, false);
    kit_is("ok", CTL_OK, "takes writes again");
    kit_free();
}
END_TEST

/* A server that is gone for good. */

static void fenced_record(enum cutover_stage stage)
{
    struct state_node *node;
    struct state_setting *setting;

    k.state.cutover.stage = stage;
    k.state.cutover.fence = FENCE_ACL;
    ck_assert_int_eq(state_node_add(&k.state.cutover, "a:1", "run1", true, &node), 0);
    ck_assert_int_eq(state_setting_add(node, BYTES("app"), BYTES("user app on #secret"), &setting), 0);
}

START_TEST(an_undo_that_never_ends_can_be_given_up)
{
    char why[LINK_WHY_MAX];
    uint64_t id;

    kit_make();
    k.link_state = LINK_IDLE;
    fenced_record(STAGE_FENCING);
    k.hangs = "lift";
    ck_assert(cutover_begin(k.cutover));
    run_for(50000);
    ck_assert_int_eq(cutover_finish(k.cutover, true, false, why, &id), -EBUSY);
    ck_assert_ptr_nonnull(strstr(why, "finish --unfence --force"));
    ck_assert_int_eq(cutover_finish(k.cutover, false, true, why, &id), -EBUSY);
    k.events[0] = '\0';
    finish(true, true);
    kit_is("forgotten", CTL_NEEDS_PERSON, "perhaps still fenced, see the journal for all: users on a:1: app");
    ck_assert_str_eq(k.trace, "free save:none begin");
    ck_assert_int_eq(k.state.cutover.stage, STAGE_NONE);
    ck_assert_uint_eq(k.state.cutover.nnodes, 0);
    ck_assert_ptr_nonnull(strstr(k.events, "cutover_needs_person cutover_needs_person"));
    ck_assert_int_eq(cutover_finish(k.cutover, true, true, why, &id), -EPERM);
    kit_free();
}
END_TEST

START_TEST(a_replica_that_never_answers_can_be_given_up)
{
    char why[LINK_WHY_MAX];
    uint64_t id;

    kit_make();
    struct cutover_options opt = kit_options();
    k.when = "prove";
    k.then = an_abort;
    k.fails = "lift";
    k.err = -EHOSTUNREACH;
    kit_cutover(&opt);
    ck_assert_int_eq(cutover_start(k.cutover, &opt, why, &id), -EBUSY);
    ck_assert_ptr_nonnull(strstr(why, "finish --unfence --force"));
    fenced_record(k.state.cutover.stage);
    finish(true, true);
    kit_is("forgotten", CTL_NEEDS_PERSON, "users on a:1: app");
    ck_assert_int_eq(k.state.cutover.stage, STAGE_NONE);
    k.fails = NULL;
    k.paused = false;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "");
    kit_free();
}
END_TEST

static void unknown(void)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.save_fails = STAGE_COMMITTED;
    k.save_unknown = true;
    kit_cutover(&opt);
    kit_is("unknown", CTL_NEEDS_PERSON, "");
    k.save_fails = STAGE_NONE;
}

static void is_undoing(void)
{
    ck_assert_int_eq(k.state.cutover.stage, STAGE_UNDOING);
}

START_TEST(an_unknown_outcome_whose_server_is_gone_can_be_forgotten)
{
    unknown();
    fenced_record(k.state.cutover.stage);
    k.fails = "lift";
    k.err = -EIO;
    k.when = "lift";
    k.then = is_undoing;
    finish(true, false);
    kit_is("failed", CTL_FAILED, "still fenced");
    ck_assert_int_eq(k.state.cutover.stage, STAGE_COMMITTED);
    finish(true, true);
    kit_is("forgotten", CTL_NEEDS_PERSON, "users on a:1: app");
    ck_assert_int_eq(k.state.cutover.stage, STAGE_NONE);
    kit_free();
}
END_TEST

START_TEST(finish_needs_a_commit)
{
    char why[LINK_WHY_MAX];
    uint64_t id;

    kit_make();
    ck_assert_int_eq(cutover_finish(k.cutover, false, false, why, &id), -EPERM);
    kit_free();
}
END_TEST

UNIT_MAIN("daemon/cutover, after it", an_unknown_outcome_whose_server_is_gone_can_be_forgotten,
          a_replica_that_never_answers_can_be_given_up, an_undo_that_never_ends_can_be_given_up,
          hold_has_its_lease_before_the_commit, a_commit_that_took_longer_than_the_pause_needs_a_person,
          a_pause_that_ends_before_it_is_renewed_needs_a_person, a_restart_undoes,
          a_restart_goes_on_undoing_until_it_is_done, a_restart_after_the_commit_goes_forward,
          a_restart_when_finished_stays_so, finish_leaves_the_fence, finish_takes_the_fence_away,
          an_unfence_that_fails_says_why_and_can_be_tried_again, finish_without_a_fence_speaks_of_none,
          no_link_begins_while_the_old_source_is_let_go_of, finish_names_what_it_left_alone,
          a_finish_that_fails_can_be_asked_for_again, finish_that_cannot_be_written_down_is_not_done,
          finish_of_hold_waits_for_its_clients, hold_does_not_commit_at_the_end_of_its_lease,
          writes_that_slipped_past_hold_are_told, an_unknown_outcome_can_be_unfenced, finish_needs_a_commit)
