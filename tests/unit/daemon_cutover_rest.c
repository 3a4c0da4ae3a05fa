/* What a cutover refuses, what it compares, and the fence none. */
#include "tests/unit/daemon_cutover_kit.h"

/* Refusals. */

static void refused(const struct cutover_options *opt, const char *text)
{
    kit_cutover(opt);
    kit_is("refused", CTL_REFUSED, text);
    kit_is("refused", CTL_REFUSED, "nothing was changed");
    ck_assert_ptr_null(strstr(k.trace, "save"));
    ck_assert_int_ne(k.link_state, LINK_CUTOVER);
}

START_TEST(a_link_that_is_not_live_is_refused)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.link_state = LINK_RESYNC;
    refused(&opt, "the link is not live");
    kit_free();
}
END_TEST

START_TEST(a_source_that_is_a_replica_is_refused)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.report.id.role = ROLE_REPLICA;
    refused(&opt, "source_is_replica");
    kit_free();
}
END_TEST

/* A name leads to another server since: its connections would be fenced, and not those that are copied from.
 */
START_TEST(a_server_that_is_not_copied_from_is_refused)
{
    static const enum fence_kind kinds[] = {FENCE_ACL, FENCE_HOLD, FENCE_NONE};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        opt.fence = kinds[i];
        k.copied_from = "run9";
        refused(&opt, "another server answers at redis://s:6379");
        kit_free();
    }
}
END_TEST

START_TEST(a_fence_that_is_not_possible_is_refused)
{
    kit_make();
    struct cutover_options opt = kit_options();
    opt.fence = FENCE_MIN_REPLICAS;
    k.report.kinds[FENCE_MIN_REPLICAS].allowed = false;
    snprintf(k.report.kinds[FENCE_MIN_REPLICAS].why_not, 200, "EVAL passes");
    refused(&opt, "`min-replicas` is not possible here: EVAL passes");
    kit_free();
}
END_TEST

START_TEST(where_no_fence_is_possible_none_is_proposed)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.report.kinds[FENCE_AUTO].allowed = false;
    refused(&opt, "--fence none");
    kit_free();
}
END_TEST

START_TEST(a_node_out_of_reach_is_refused)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.report.nnodes = 2;
    snprintf(k.nodes[1].address, 300, "r:1");
    snprintf(k.nodes[1].why, 160, "connection refused");
    refused(&opt, "the node r:1 of the source cannot be fenced: connection refused");
    kit_free();
}
END_TEST

START_TEST(a_pause_that_is_not_possible_is_refused)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.report.can_pause = false;
    snprintf(k.report.why_no_pause, 160, "NOPERM");
    refused(&opt, "NOPERM");
    kit_free();
}
END_TEST

START_TEST(drift_that_is_known_is_refused)
{
    static const struct verify_report drifted = {.verdict = VERIFY_DRIFT}, clean = {.verdict = VERIFY_CLEAN};

    kit_make();
    struct cutover_options opt = kit_options();
    k.last_verify = &drifted;
    refused(&opt, "the last verify found that the sides differ");
    k.last_verify = &clean;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "writes go to");
    kit_free();
}
END_TEST

START_TEST(a_verify_that_runs_is_refused)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.verify_runs = true;
    refused(&opt, "a verify is running");
    kit_free();
}
END_TEST

START_TEST(a_target_with_too_few_replicas_is_refused)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.target_sample.nreplicas = 1;
    refused(&opt, "target.wait_replicas is 2, and the target has 1 replicas");
    kit_free();
}
END_TEST

START_TEST(a_sentinel_bounds_the_pause)
{
    static const struct {
        uint64_t down_after_ms;
        enum fence_kind fence;
        const char *text; /* NULL: it is let through */
    } cases[] = {{0, FENCE_AUTO, "--sentinel-down-after"},
                 {600, FENCE_AUTO, "below half"},
                 {601, FENCE_AUTO, NULL},
                 {60000, FENCE_HOLD, "fail over during the fence hold"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        k.report.sentinels = 1;
        opt.sentinel_down_after_ms = cases[i].down_after_ms;
        opt.fence = cases[i].fence;
        if (cases[i].text)
            refused(&opt, cases[i].text);
        else
            kit_cutover(&opt);
        ck_assert(cases[i].text || k.op.exit_code == CTL_OK);
        kit_free();
    }
}
END_TEST

START_TEST(a_dry_run_ends_with_the_plan)
{
    struct cutover_status s;

    kit_make();
    struct cutover_options opt = kit_options();
    opt.dry_run = true;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "nothing was changed");
    ck_assert_str_eq(k.trace, "cutover probe undone free");
    ck_assert_int_eq(k.link_state, LINK_LIVE);
    cutover_status(k.cutover, &s);
    ck_assert(s.dry_run && !s.running && s.nplan > 3);
    ck_assert_int_eq(s.steps[CUTOVER_VALIDATE].state, STEP_DONE);
    ck_assert_int_eq(s.steps[CUTOVER_GATE].state, STEP_WAITING);
    ck_assert_ptr_nonnull(strstr(s.plan[s.nplan - 1], "writes go to redis://t"));
    kit_free();
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused)
{
    char why[LINK_WHY_MAX];
    uint64_t id;

    kit_make();
    struct cutover_options opt = kit_options();
    opt.max_write_pause_ms = 1;
    ck_assert_int_eq(cutover_start(k.cutover, &opt, why, &id), -EINVAL);
    opt = kit_options();
    opt.stable_for_ms = opt.gate_timeout_ms;
    ck_assert_int_eq(cutover_start(k.cutover, &opt, why, &id), -EINVAL);
    opt = kit_options();
    opt.verify_budget_ms = opt.max_write_pause_ms;
    ck_assert_int_eq(cutover_start(k.cutover, &opt, why, &id), -EINVAL);
    opt = kit_options();
    ck_assert_int_eq(cutover_start(k.cutover, &opt, why, &id), 0);
    ck_assert_int_eq(cutover_start(k.cutover, &opt, why, &id), -EBUSY);
    kit_free();
}
END_TEST

/* Comparing. */

START_TEST(drift_in_the_pause_is_undone)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.spot.drift[DRIFT_VALUE] = 1;
    k.spot.nfindings = 1;
    k.spot.findings[0].kind = DRIFT_VALUE;
    snprintf(k.spot.findings[0].key, 128, "a:key");
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "1 of 3 compared keys differ, such as a:key (value:");
    ck_assert_ptr_null(strstr(k.trace, "save:fencing"));
    kit_free();
}
END_TEST

START_TEST(what_differs_once_is_no_drift)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.spot.drift[DRIFT_MISSING] = 1;
    k.spot_mended_after = 2;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "");
    kit_free();
}
END_TEST

START_TEST(a_lost_comparison_is_undone)
{
    kit_make();
    struct cutover_options opt = kit_options();
    k.spot.lost = true;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "a connection for comparing was lost");
    kit_free();
}
END_TEST

START_TEST(without_verify_nothing_is_compared)
{
    struct cutover_status s;

    kit_make();
    struct cutover_options opt = kit_options();
    opt.verify = CUTOVER_VERIFY_NONE;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "");
    ck_assert_ptr_null(strstr(k.trace, "spot"));
    cutover_status(k.cutover, &s);
    ck_assert_int_eq(s.steps[CUTOVER_VERIFY].state, STEP_SKIPPED);
    kit_free();
}
END_TEST

START_TEST(a_full_verify_must_be_clean)
{
    static const struct {
        enum verify_verdict verdict;
        enum ctl_exit code;
        const char *text;
    } cases[] = {{VERIFY_CLEAN, CTL_OK, ""},
                 {VERIFY_DRIFT, CTL_ROLLED_BACK, "the sides differ in 7 of"},
                 {VERIFY_INCONCLUSIVE, CTL_ROLLED_BACK, "inconclusive"},
                 {VERIFY_STOPPED, CTL_ROLLED_BACK, "stopped"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        opt.verify = CUTOVER_VERIFY_FULL;
        k.verify.verdict = cases[i].verdict;
        k.verify.drift[DRIFT_EXTRA] = cases[i].verdict == VERIFY_DRIFT ? 7 : 0;
        kit_cutover(&opt);
        kit_is(cases[i].code == CTL_OK ? "ok" : "undone", cases[i].code, cases[i].text);
        ck_assert(cases[i].code == CTL_OK || !strstr(k.trace, "save"));
        kit_free();
    }
}
END_TEST

static void an_abort(void)
{
    char why[LINK_WHY_MAX];
    ck_assert_int_eq(cutover_abort(k.cutover, why), 0);
}

START_TEST(an_abort_ends_the_full_verify)
{
    kit_make();
    struct cutover_options opt = kit_options();
    opt.verify = CUTOVER_VERIFY_FULL;
    k.hangs = "verify";
    k.when = "spot";
    k.then = an_abort;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "nothing was fenced");
    kit_traced("verify_stop undone free");
    kit_free();
}
END_TEST

/* The fence none. */

START_TEST(none_waits_for_silence)
{
    struct cutover_status s;

    kit_make();
    struct cutover_options opt = kit_options();
    opt.fence = FENCE_NONE;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "writes go to");
    ck_assert_str_eq(k.trace,
                     "cutover probe retry spot gather drain read read read settle drain spot_run read "
                     "seal read save:committed committed watch");
    cutover_status(k.cutover, &s);
    ck_assert(!s.has_write_pause);
    ck_assert_int_eq(s.steps[CUTOVER_SOFT_FENCE].state, STEP_SKIPPED);
    ck_assert_int_eq(k.state.cutover.fence, FENCE_NONE);
    kit_free();
}
END_TEST

static void a_call(void)
{
    static int reads;
    k.when = "read";
    if (++reads == 2)
        k.sample.write_calls++;
}

START_TEST(none_with_a_writer_is_refused)
{
    kit_make();
    struct cutover_options opt = kit_options();
    opt.fence = FENCE_NONE;
    k.when = "read";
    k.then = a_call;
    refused(&opt, "somebody still writes to the source: write commands were called");
    kit_free();
}
END_TEST

START_TEST(none_without_counts_is_refused)
{
    kit_make();
    struct cutover_options opt = kit_options();
    opt.fence = FENCE_NONE;
    k.sample.has_stats = false;
    refused(&opt, "cannot be shown");
    kit_free();
}
END_TEST

/* A key that ran out: a mark, a change, and a deletion on the target; but no call. */
static void an_expiry(void)
{
    k.generation.marks++;
    k.sample.rdb_changes++;
}

static void a_change(void)
{
    an_expiry();
    k.copied_keys++;
}

static void a_late_call(void)
{
    k.sample.write_calls++;
}

static void a_restart(void)
{
    snprintf(k.sample.id.run_id, sizeof(k.sample.id.run_id), "run9");
}

START_TEST(none_lets_keys_run_out)
{
    static const struct {
        const char *when;
        void (*then)(void);
        enum ctl_exit code;
    } cases[] = {{"spot_run", an_expiry, CTL_OK},
                 {"spot_run", a_change, CTL_ROLLED_BACK},
                 {"spot_run", a_late_call, CTL_ROLLED_BACK},
                 {"seal", an_expiry, CTL_OK},
                 {"seal", a_late_call, CTL_ROLLED_BACK},
                 {"seal", a_restart, CTL_ROLLED_BACK},
                 {"seal", a_change, CTL_ROLLED_BACK}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit_make();
        struct cutover_options opt = kit_options();
        opt.fence = FENCE_NONE;
        k.when = cases[i].when;
        k.then = cases[i].then;
        kit_cutover(&opt);
        ck_assert_msg(k.op.exit_code == cases[i].code, "%zu: %s", i, k.op.text);
        kit_free();
    }
}
END_TEST

START_TEST(none_drains_again_before_it_seals)
{
    kit_make();
    struct cutover_options opt = kit_options();
    opt.fence = FENCE_NONE;
    k.seal_busy = 2;
    kit_cutover(&opt);
    kit_is("ok", CTL_OK, "");
    kit_traced("read drain drain seal read save:committed committed watch");
    kit_free();

    kit_make();
    k.seal_busy = 100;
    kit_cutover(&opt);
    kit_is("undone", CTL_ROLLED_BACK, "there is no moment in which all are copied");
    kit_free();
}
END_TEST

UNIT_MAIN("daemon/cutover, the rest", a_link_that_is_not_live_is_refused,
          a_source_that_is_a_replica_is_refused, a_server_that_is_not_copied_from_is_refused,
          a_fence_that_is_not_possible_is_refused, where_no_fence_is_possible_none_is_proposed,
          a_node_out_of_reach_is_refused, a_pause_that_is_not_possible_is_refused,
          a_verify_that_runs_is_refused, drift_that_is_known_is_refused, a_sentinel_bounds_the_pause,
          a_target_with_too_few_replicas_is_refused, a_dry_run_ends_with_the_plan,
          options_that_make_no_sense_are_refused, drift_in_the_pause_is_undone, what_differs_once_is_no_drift,
          a_lost_comparison_is_undone, without_verify_nothing_is_compared, a_full_verify_must_be_clean,
          an_abort_ends_the_full_verify, none_waits_for_silence, none_with_a_writer_is_refused,
          none_without_counts_is_refused, none_lets_keys_run_out, none_drains_again_before_it_seals)
