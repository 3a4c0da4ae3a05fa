/* The order of a cutover, and what each thing that can go wrong in it leads to. */
#include "lib/core/clock.h"
#include "tests/unit/daemon_cutover_kit.h"

#define LIFTED "save:undoing lift save:none undone free"

/* From validate to the release, in this order and no other. */
static const char whole[] = "cutover probe retry spot gather save:pausing pause read settle drain spot_run "
                            "save:fencing set prove read "
                            "seal prove read save:committed committed release watch";

START_TEST(the_steps_come_in_their_order)
{
    kit_make();
    struct cutover_options opt = kit_options();
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "writes go to redis://t");
    ck_assert_str_eq(k.trace, whole);
    ck_assert_int_eq(k.state.cutover.stage, STAGE_COMMITTED);
    ck_assert_int_eq(k.state.cutover.fence, FENCE_ACL);
    ck_assert_str_eq(k.state.cutover.nodes[0].run_id, "run1");
    ck_assert_int_ne(k.state.cutover.committed_ms, 0);
    kit_free();
}
END_TEST

START_TEST(each_step_has_an_event_at_its_begin_and_its_end)
{
    kit_make();
    struct cutover_options opt = kit_options();
    kit_cutover(&opt);
    const char *at = k.events;
    for (int i = 0; i < CUTOVER_STEPS; i++) {
        char both[80];
        snprintf(both, sizeof(both), "%s:begin", cutover_step_name((enum cutover_step)i));
        at = strstr(at, both);
        ck_assert_msg(at != NULL, "%s in %s", both, k.events);
        snprintf(both, sizeof(both), "%s:done", cutover_step_name((enum cutover_step)i));
        at = strstr(at, both);
        ck_assert_msg(at != NULL, "%s in %s", both, k.events);
    }
    kit_free();
}
END_TEST

START_TEST(the_status_tells_of_it)
{
    struct cutover_status s;

    kit_make();
    cutover_status(k.cutover, &s);
    ck_assert(!s.any);
    struct cutover_options opt = kit_options();
    kit_cutover(&opt);
    cutover_status(k.cutover, &s);
    ck_assert(s.any && !s.running && s.has_fence && s.fence == FENCE_ACL && s.fence_held &&
              s.has_write_pause);
    ck_assert_uint_lt(s.write_pause_ms, 300);
    ck_assert_str_eq(s.target, "redis://t:6379");
    ck_assert_int_eq(s.steps[CUTOVER_VERIFY].state, STEP_DONE);
    ck_assert_str_eq(s.steps[CUTOVER_VERIFY].text, "3 of 3 keys compared, all equal");
    kit_free();
}
END_TEST

/* What fails before the pause undoes nothing; what fails after it, all. */

static const struct {
    const char *op;
    enum ctl_exit code;
    bool fenced;
} calls[] = {
    {"probe", CTL_REFUSED, false},  {"pause", CTL_ROLLED_BACK, true}, {"read", CTL_ROLLED_BACK, true},
    {"set", CTL_ROLLED_BACK, true}, {"prove", CTL_ROLLED_BACK, true}, {"seal", CTL_ROLLED_BACK, true},
};

START_TEST(what_fails_is_undone)
{
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        k.fails = calls[i].op;
        k.err = -EIO;
        kit_cutover(&opt);
        kit_is(calls[i].code == CTL_REFUSED ? "refused" : "undone", calls[i].code, "it was made to fail");
        ck_assert_msg((strstr(k.trace, "lift") != NULL) == calls[i].fenced, "%s", k.trace);
        ck_assert_int_eq(k.link_state, LINK_LIVE);
        ck_assert_int_eq(k.state.cutover.stage, STAGE_NONE);
        ck_assert_ptr_null(strstr(k.trace, "save:committed"));
        kit_free();
    }
}
END_TEST

static const char *const in_the_pause[] = {"pause",    "settle", "drain", "read",
                                           "spot_run", "set",    "prove", "seal"};

START_TEST(what_is_silent_is_undone_at_the_bound)
{
    for (size_t i = 0; i < ARRAY_LEN(in_the_pause); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        k.hangs = in_the_pause[i];
        kit_cutover(&opt);
        kit_is("undone", CTL_ROLLED_BACK, "which is the bound");
        kit_traced(LIFTED);
        kit_free();
    }
}
END_TEST

START_TEST(a_gate_that_does_not_open_fences_nothing)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.lag_ms = opt.max_lag_ms + 1;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "gate was not done in time: lag 51 ms, 0 keys: the lag is too long");
    kit_traced("gather undone free");
    kit_free();
}
END_TEST

static void a_gap(void)
{
    k.generation.gaps++;
}

static void a_mark(void)
{
    k.generation.marks++;
}

static void a_write(void)
{
    k.sample.rdb_changes++;
}

static void another_id(void)
{
    snprintf(k.sample.id.replid, sizeof(k.sample.id.replid), "repl2");
}

static void a_demotion(void)
{
    k.sample.id.role = ROLE_REPLICA;
}

static void a_restart(void)
{
    snprintf(k.sample.id.run_id, sizeof(k.sample.id.run_id), "run9");
}

static void a_lapse(void)
{
    k.fence_ev.lapsed("the lease ran out", k.fence_arg);
}

/* A user was made after the first proof: only the second can tell. */
static void a_hole_in_the_fence(void)
{
    k.fails = "prove";
    k.err = -EPERM;
}

static void another_is_copied_from(void)
{
    k.copied_from = "run9";
}

static void no_pause(void)
{
    k.paused = false;
}

static void no_lane(void)
{
    k.has_lane = false;
    cutover_lane_gone(k.cutover);
}

static void a_failed_link(void)
{
    k.link_state = LINK_FAILED;
    cutover_link_changed(k.cutover);
}

static void an_abort(void)
{
    char why[LINK_WHY_MAX];
    ck_assert_int_eq(cutover_abort(k.cutover, why), 0);
}

/* At the end of a turn that took long: what is counted from the turn's begin is then due before what is
 * counted from now. */
static void an_abort_late_in_the_turn(void)
{
    uint64_t until_us = clock_mono_us() + 20000;

    while (clock_mono_us() < until_us)
        ;
    an_abort();
}

static const struct {
    const char *when;
    void (*then)(void);
    const char *text;
} spoiled[] = {
    {"drain", a_gap, "changes may have been missed"},
    {"spot_run", a_gap, "changes may have been missed"},
    {"set", a_gap, "changes may have been missed"},
    {"seal", a_gap, "changes may have been missed"},
    {"spot_run", a_mark, "told of a change after the barrier"},
    {"seal", a_mark, "told of a change after the barrier"},
    {"settle", a_write, "its count of changes has moved"},
    {"drain", a_write, "its count of changes has moved"},
    {"seal", a_write, "its count of changes has moved"},
    {"seal", another_id, "its replication id has changed"},
    {"seal", a_demotion, "no longer a primary"},
    {"seal", a_restart, "it was restarted or replaced"},
    {"set", a_write, "its count of changes has moved"},
    {"set", another_id, "its replication id has changed"},
    {"set", a_demotion, "no longer a primary"},
    {"set", a_restart, "it was restarted or replaced"},
    {"set", another_is_copied_from, "is not the one that is copied from"},
    {"seal", a_hole_in_the_fence, "the fence is not proved"},
    {"settle", a_lapse, "the lease ran out"},
    {"seal", a_lapse, "the lease ran out"},
    {"seal", no_pause, "did not hold"},
    {"settle", no_lane, "the replication has ended"},
    {"seal", no_lane, "the replication has ended"},
    {"prove", a_failed_link, "the link has failed"},
    {"pause", an_abort, "it was aborted"},
    {"settle", an_abort, "it was aborted"},
    {"drain", an_abort, "it was aborted"},
    {"spot_run", an_abort, "it was aborted"},
    {"set", an_abort, "it was aborted"},
    {"prove", an_abort, "it was aborted"},
    {"seal", an_abort, "it was aborted"},
};

START_TEST(what_must_not_commit_does_not)
{
    for (size_t i = 0; i < ARRAY_LEN(spoiled); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        k.when = spoiled[i].when;
        k.then = spoiled[i].then;
        kit_cutover(&opt);
        kit_is("undone", CTL_ROLLED_BACK, spoiled[i].text);
        kit_traced(LIFTED);
        ck_assert_ptr_null(strstr(k.trace, "save:committed"));
        kit_free();
    }
}
END_TEST

static void a_call_without_a_change(void)
{
    k.sample.write_calls++;
}

static void a_write_read_later(void)
{
    k.late_sample = true;
}

START_TEST(what_slips_in_after_the_last_proof_does_not_commit)
{
    kit_make();
    struct cutover_options opt = kit_options();
    opt.fence = FENCE_HOLD;
    k.when = "seal";
    k.then = a_write_read_later;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "its count of changes has moved");
    kit_traced(LIFTED);
    kit_free();
}
END_TEST

/* Not those of the last reading: what slipped in before it would never be told. */
START_TEST(writes_are_counted_from_the_barrier)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.sample.write_calls = 7;
    k.when = "set";
    k.then = a_call_without_a_change;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "");
    ck_assert_uint_eq(k.state.cutover.nodes[0].write_calls, 7);
    kit_free();
}
END_TEST

static void another_shape(void)
{
    k.changed = "other nodes own slots";
}

/* The writers of a primary that is new do not wait. */
START_TEST(another_shape_of_the_source_undoes_it_at_once)
{
    static const char *const at[] = {"pause", "drain", "set", "prove"};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        opt.max_write_pause_ms = 5000;
        k.when = at[i];
        k.then = another_shape;
        k.hangs = i == 1 ? "spot_run" : NULL;
        kit_cutover(&opt);
        kit_is("undone", CTL_ROLLED_BACK, "other nodes own slots");
        kit_traced(LIFTED);
        kit_free();
    }
}
END_TEST

START_TEST(a_sealed_target_is_written_to_again)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.when = "seal";
    k.then = an_abort;
    kit_cutover(&opt);
    kit_traced("seal unseal save:undoing lift save:none undone free");
    kit_free();
}
END_TEST

static void on_seal(void *arg)
{
    (void)arg;
    trace("on_seal");
    ck_assert(cutover_is_sealed(k.cutover));
}

static void is_not_sealed(void)
{
    ck_assert(!cutover_is_sealed(k.cutover));
}

START_TEST(nothing_else_is_connected_to_a_sealed_target)
{
    kit_make();
    struct cutover_options opt = kit_options();
    cutover_on_seal(k.cutover, on_seal, NULL);
    k.when = "prove";
    k.then = is_not_sealed;
    kit_cutover(&opt);
    kit_traced("set prove read on_seal seal prove read save:committed committed release watch");
    ck_assert(!cutover_is_sealed(k.cutover));
    kit_free();
}
END_TEST

static void a_save(void)
{
    k.sample.last_save++;
    k.sample.rdb_changes = 0;
}

static void a_save_and_calls(void)
{
    a_save();
    k.sample.write_calls++;
}

static void a_save_and_no_counts(void)
{
    a_save();
    k.sample.has_stats = false;
}

START_TEST(a_save_of_the_source_leaves_it_to_the_calls)
{
    static const struct {
        void (*then)(void);
        enum ctl_exit code;
    } cases[] = {
        {a_save, CTL_OK}, {a_save_and_calls, CTL_ROLLED_BACK}, {a_save_and_no_counts, CTL_ROLLED_BACK}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        k.sample.rdb_changes = 7;
        k.when = "set";
        k.then = cases[i].then;
        kit_cutover(&opt);
        ck_assert_msg(k.op.exit_code == cases[i].code, "%zu: %s", i, k.op.text);
        kit_free();
    }
}
END_TEST

START_TEST(an_abort_in_the_gate_changes_nothing)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.when = "gather";
    k.then = an_abort;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "nothing was fenced");
    ck_assert_ptr_null(strstr(k.trace, "save"));
    kit_free();
}
END_TEST

START_TEST(after_the_commit_there_is_no_abort)
{
    char why[LINK_WHY_MAX];
    uint64_t id;

    kit_make();
    ck_assert_int_eq(cutover_abort(k.cutover, why), -EPERM);
    struct cutover_options opt = kit_options();
    kit_cutover(&opt);
    ck_assert_int_eq(cutover_abort(k.cutover, why), -EPERM);
    ck_assert_ptr_nonnull(strstr(why, "the point of no return has passed at 20"));
    ck_assert_int_eq(cutover_start(k.cutover, &opt, why, &id), -EPERM);
    kit_free();
}
END_TEST

/* The state file. */

START_TEST(what_cannot_be_written_down_is_not_done)
{
    static const enum cutover_stage stages[] = {STAGE_PAUSING, STAGE_FENCING, STAGE_COMMITTED};
    static const char *const not_done[] = {" pause ", " prove ", " release"};

    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        k.save_fails = stages[i];
        kit_cutover(&opt);
        kit_is("undone", CTL_ROLLED_BACK, "");
        if (stages[i] == STAGE_PAUSING) /* a pause that is there is somebody else's */
            ck_assert_ptr_null(strstr(k.trace, " lift"));
        else
            kit_traced(LIFTED);
        ck_assert_ptr_null(strstr(k.trace, not_done[i]));
        kit_free();
    }
}
END_TEST

START_TEST(an_undo_is_done_though_it_cannot_be_written_down)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.save_fails = STAGE_UNDOING;
    k.fails = "prove";
    k.err = -EIO;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "");
    kit_traced(LIFTED);
    kit_free();
}
END_TEST

START_TEST(an_unknown_outcome_is_left_to_a_person)
{
    char why[LINK_WHY_MAX];

    kit_make();
    struct cutover_options opt = kit_options();
    k.save_fails = STAGE_COMMITTED;
    k.save_unknown = true;
    kit_cutover(&opt);
    kit_is("unknown", CTL_NEEDS_PERSON, "whether the commit reached the disk is not known");
    kit_traced("save:committed link_failed");
    struct cutover_status s;
    cutover_status(k.cutover, &s);
    ck_assert(s.unknown && !s.running);
    ck_assert_int_eq(s.committed_ms, 0);
    ck_assert_str_eq(s.target, "");
    ck_assert_int_eq(cutover_abort(k.cutover, why), -EPERM);
    kit_free();
}
END_TEST

/* Undo. */

START_TEST(what_was_left_alone_is_named)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.when = "prove";
    k.then = an_abort;
    k.fails = "lift";
    k.err = -EEXIST;
    kit_cutover(&opt);
    kit_is("needs_person", CTL_NEEDS_PERSON, "not all is as it was: it was made to fail");
    kit_traced(LIFTED);
    ck_assert_ptr_nonnull(strstr(k.events, "cutover_needs_person"));
    kit_free();
}
END_TEST

START_TEST(a_replica_that_does_not_answer_keeps_nobody_waiting)
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
    kit_is("needs_person", CTL_NEEDS_PERSON, "not all is as it was: it was made to fail");
    kit_traced("save:undoing lift undone");
    ck_assert_int_eq(k.link_state, LINK_LIVE);
    ck_assert_int_eq(k.state.cutover.stage, STAGE_UNDOING);
    ck_assert_int_eq(cutover_start(k.cutover, &opt, why, &id), -EBUSY);
    k.fence_ev.lifted(0, "", k.fence_arg);
    ck_assert_int_eq(k.state.cutover.stage, STAGE_NONE);
    k.fails = NULL;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "");
    kit_free();
}
END_TEST

static void mended(void)
{
    static int tries;
    if (++tries < 3) {
        k.when = "lift";
        return;
    }
    k.fails = NULL;
}

static void broken(void)
{
    k.fails = "lift";
    k.err = -EIO;
    k.when = "lift";
    k.then = mended;
    an_abort();
}

START_TEST(an_undo_that_fails_is_tried_again)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.when = "prove";
    k.then = broken;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "aborted");
    kit_traced("lift lift lift save:none undone free");
    kit_free();
}
END_TEST

START_TEST(a_lease_ends_though_nobody_answers)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.hangs = "lift";
    k.when = "settle";
    k.then = an_abort_late_in_the_turn;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "aborted");
    kit_free();
}
END_TEST

START_TEST(another_one_may_follow)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.when = "prove";
    k.then = an_abort;
    kit_cutover(&opt);
    k.trace[0] = '\0';
    k.paused = false;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "");
    ck_assert_str_eq(k.trace, whole);
    kit_free();
}
END_TEST

/* The end of the process. */

static void process_ended(void *arg)
{
    (void)arg;
    trace("end");
    loop_stop(k.loop);
}

static void a_signal(void)
{
    ck_assert(cutover_end(k.cutover, process_ended, NULL));
}

START_TEST(a_signal_undoes_first)
{
    kit_make();
    struct cutover_options opt = kit_options();
    ck_assert(!cutover_end(k.cutover, process_ended, NULL));
    k.when = "prove";
    k.then = a_signal;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "asked to end");
    kit_traced("save:undoing lift save:none undone end free");
    kit_free();
}
END_TEST

START_TEST(a_signal_does_not_wait_for_ever)
{
    kit_make();
    struct cutover_options opt = kit_options();
    opt.max_write_pause_ms = 5000;
    k.hangs = "lift";
    k.when = "prove";
    k.then = a_signal;
    kit_start(&opt);
    kit_run();
    kit_traced("save:undoing lift end");
    ck_assert_int_eq(k.state.cutover.stage, STAGE_UNDOING);
    kit_free();
}
END_TEST

START_TEST(a_signal_after_the_commit_goes_forward)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.when = "release";
    k.then = a_signal;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "writes go to");
    kit_traced("release watch end");
    kit_free();
}
END_TEST

UNIT_MAIN("daemon/cutover", nothing_else_is_connected_to_a_sealed_target, writes_are_counted_from_the_barrier,
          what_slips_in_after_the_last_proof_does_not_commit, the_steps_come_in_their_order,
          each_step_has_an_event_at_its_begin_and_its_end, the_status_tells_of_it, what_fails_is_undone,
          what_is_silent_is_undone_at_the_bound, a_gate_that_does_not_open_fences_nothing,
          what_must_not_commit_does_not, another_shape_of_the_source_undoes_it_at_once,
          a_sealed_target_is_written_to_again, a_save_of_the_source_leaves_it_to_the_calls,
          an_abort_in_the_gate_changes_nothing, after_the_commit_there_is_no_abort,
          what_cannot_be_written_down_is_not_done, an_undo_is_done_though_it_cannot_be_written_down,
          an_unknown_outcome_is_left_to_a_person, what_was_left_alone_is_named,
          a_replica_that_does_not_answer_keeps_nobody_waiting, an_undo_that_fails_is_tried_again,
          a_lease_ends_though_nobody_answers, another_one_may_follow, a_signal_undoes_first,
          a_signal_does_not_wait_for_ever, a_signal_after_the_commit_goes_forward)
