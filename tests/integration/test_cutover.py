"""The cutover: it ends with all that was acknowledged on the target, or with everything as it was."""

import os
import re
import signal
import time

import pytest

from kit.compare import assert_equal
from kit.cutover import (BARRIER, CHANGE, CHANGED, FAST, PAUSE, UNPAUSE, Background, Stand, busy, committed_ms, fence_args, fenced_settings,
                         fill, link_of, record, writers_of, writes_pass)
from kit.resp import RespError
from kit.server import target_binary
from kit.wait import SCALE, until

KINDS = ["acl", "min-replicas", "hold", "none"]


@pytest.fixture(params=KINDS)
def kind(request, lab):
    if request.param != "none" and lab.source.version < (6, 2):
        pytest.skip("6.0 has no pause of writes: none only")
    lab.source.stop()
    lab.source = lab.server("source-tcp", tcp=True).start()
    return request.param


def undone(lab, link, done, before=None, why=""):
    """Exit 8; the writers are free, the link is live, the settings are as they were."""
    assert done.returncode == 8, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    assert why in done.stdout + done.stderr, done.stdout + done.stderr
    assert writes_pass(lab.source, timeout=2)
    link.wait_state("live")
    if before:
        assert fenced_settings(lab.source) == before
    assert record(link).get("stage", "none") == "none"


# --- that it is done


@pytest.mark.parametrize("args", [(), ("--dry-run",)])
def test_a_target_that_is_full_is_refused(lab, args):
    link = link_of(lab)
    lab.target.config("maxmemory", "1mb")
    lab.source.call("SET", "one", "more")
    link.wait_for(lambda s: any(c["code"] == "target_refuses" for c in s["conditions"]), what="the target is full")
    done = link.ctl("cutover", *args)
    assert done.returncode == 6 and "target_refuses" in done.stderr and "OOM" in done.stderr, done.stdout + done.stderr
    assert link.state == "live" and writes_pass(lab.source)
    lab.target.config("maxmemory", "0")
    link.wait_for(lambda s: not s["conditions"], what="the target takes writes again")
    link.must("cutover", "--dry-run")


def test_every_acknowledged_write_is_on_the_target(lab, kind):
    link = link_of(lab, kind)
    before = fenced_settings(lab.source)
    with writers_of(lab) as writers:
        busy(writers)
        if kind == "none":
            writers.stop()
        done = link.ctl("cutover", *fence_args(kind), *FAST)
        assert done.returncode == 0, done.stdout + done.stderr
        status = link.status()
        assert status["state"] == "committed"
        assert status["cutover"]["fence"] == kind
        if kind != "none":
            link.wait_for(lambda s: s["cutover"]["fence_held"], what="the fence is looked at")
        if kind in ("acl", "min-replicas"):
            until(lambda: writers.refused, 10, "writers are refused")
        assert kind == "none" or not writes_pass(lab.source)
    verdict = writers.judge(lab.target, committed_ms(link))
    assert verdict.acknowledged > 500
    assert not verdict.missing and not verdict.late, verdict
    link.must("finish", *(["--force"] if kind == "hold" else []))
    assert link.state == "finished"
    assert kind in ("none", "hold") or not writes_pass(lab.source)
    assert kind in ("acl", "min-replicas") or fenced_settings(lab.source) == before


def test_finish_can_take_the_fence_away(lab, kind):
    link = link_of(lab, kind, feed="notify")
    before = fenced_settings(lab.source)[0], lab.source.config("min-replicas-to-write"), lab.source.config("min-replicas-max-lag")
    link.must("cutover", *fence_args(kind), *FAST)
    link.must("finish", "--unfence")
    assert writes_pass(lab.source)
    assert (fenced_settings(lab.source)[0], lab.source.config("min-replicas-to-write"), lab.source.config("min-replicas-max-lag")) == before
    assert lab.source.config("notify-keyspace-events") == ""


@pytest.mark.parametrize("kind", ["acl", "min-replicas"])
def test_the_fence_can_be_taken_away_after_finish_too(lab, kind):
    link = link_of(lab, kind)
    before = fenced_settings(lab.source)[0], lab.source.config("min-replicas-to-write"), lab.source.config("min-replicas-max-lag")
    link.must("cutover", *fence_args(kind), *FAST)
    link.must("finish")
    assert not writes_pass(lab.source)
    assert link.ctl("finish").returncode == 6
    link.restart()
    link.must("finish", "--unfence")
    assert link.state == "finished" and writes_pass(lab.source)
    assert "takes writes again" in link.status()["reason"]
    assert (fenced_settings(lab.source)[0], lab.source.config("min-replicas-to-write"), lab.source.config("min-replicas-max-lag")) == before
    done = link.ctl("finish", "--unfence")
    assert done.returncode == 6 and "nothing is fenced by it" in done.stderr


def test_finish_does_not_say_fenced_of_a_source_that_is_gone(lab):
    link = link_of(lab)
    link.must("cutover", *FAST)
    link.wait_for(lambda s: s["cutover"]["fence_held"], what="the fence is looked at")
    lab.source.stop()
    link.wait_for(lambda s: not s["cutover"]["fence_held"], what="the silence is told")
    done = link.ctl("finish", "--force")
    assert done.returncode == 9 and "not known to be fenced" in done.stderr


def test_nothing_is_written_to_the_target_after_the_commit(lab):
    link = link_of(lab, "acl", proxied=True)
    seen = []
    with writers_of(lab) as writers:
        busy(writers)
        with Stand(lab, UNPAUSE) as stand:
            cutover = Background(link, *fence_args("acl"), *FAST)
            stand.wait()
            assert record(link)["stage"] == "committed"
            lab.behind.on_request = lambda connection, argv: seen.append((connection.role, argv))
            stand.release()
            assert cutover.done().returncode == 0
        until(lambda: writers.refused > 100, 10, "writers are refused")
        link.must("finish")
    assert not seen
    assert not lab.target.riotd_clients()


def test_nothing_else_begins_while_the_pause_ends(lab):
    link = link_of(lab, "acl", proxied=True)
    with Stand(lab, UNPAUSE) as stand:
        cutover = Background(link, *fence_args("acl"), *FAST)
        stand.wait()
        for args in (["check"], ["start", "--anew"]):
            done = link.ctl(*args)
            assert done.returncode == 6, (args, done)
            assert "a cutover is about to" in done.stderr, (args, done)
        stand.release()
        assert cutover.done().returncode == 0
    assert link.state == "committed"
    link.must("finish")


def test_committed_is_not_left_by_a_restart_or_by_start(lab):
    link = link_of(lab)
    link.must("cutover", *FAST)
    link.restart()
    assert link.state == "committed"
    assert link.ctl("start").returncode == 6
    link.wait_for(lambda s: s["cutover"]["fence_held"], what="the fence is looked at")
    assert not writes_pass(lab.source)
    link.must("finish")
    link.restart()
    assert link.state == "finished"


def test_a_second_cutover_is_refused(lab):
    link = link_of(lab)
    link.must("cutover", *FAST)
    for verb in ("cutover", "abort"):
        done = link.ctl(verb)
        assert done.returncode == 6
        assert "the point of no return has passed at 20" in done.stdout + done.stderr


def test_a_new_link_can_follow(lab):
    """What was fenced stays so until it is unfenced; the new link has its own cutover."""
    link = link_of(lab)
    link.must("cutover", *FAST)
    link.must("finish", "--unfence")
    assert link.ctl("start").returncode == 6
    lab.target.call("FLUSHALL")
    link.must("start", "--anew")
    link.wait("live")
    assert not link.status().get("cutover")
    assert lab.source.call("SET", "new", "1") == b"OK"
    link.must("cutover", *FAST)
    assert_equal(lab.source, lab.target)
    assert not writes_pass(lab.source)


def test_a_new_link_may_begin_once_finished_not_before(lab):
    link = link_of(lab)
    link.must("cutover", *FAST)
    lab.target.call("SET", "of the target", "1")
    done = link.ctl("start", "--anew")
    assert done.returncode == 6 and "riotctl finish" in done.stderr
    assert link.state == "committed" and lab.target.call("GET", "of the target") == b"1"
    link.must("finish")
    lab.target.call("FLUSHALL")
    link.must("start", "--anew")
    link.wait("live")
    assert not lab.source.riotd_clients("fence")
    assert not writes_pass(lab.source)


def test_groups_of_streams_are_as_on_the_source(lab):
    """What no feed tells: the groups' state is compared in the drain."""
    link = link_of(lab)
    lab.source.call("XGROUP", "CREATE", "stream:0", "g", "0")
    link.wait("drained")
    read = acked = 0
    cutover = None
    with lab.source.raw() as client:
        while link.state in ("live", "cutover") and not (cutover and cutover.result):
            if read == 12:
                cutover = Background(link, *FAST)
            try:
                client.call("XADD", "stream:0", "*", "f", "x")
                reply = client.call("XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "stream:0", ">")
                read += 1
                if read % 2:
                    acked += client.call("XACK", "stream:0", "g", reply[0][1][0][0])
            except RespError:
                break  # fenced
    assert cutover.done().returncode == 0
    assert acked > 5
    assert_equal(lab.source, lab.target)


# --- that it can be seen first, and left


def test_a_dry_run_changes_nothing(lab):
    link = link_of(lab, proxied=True)
    before = fenced_settings(lab.source)
    asked = []
    lab.before.on_request = lambda connection, argv: asked.append(b" ".join(argv))
    done = link.ctl("cutover", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fence `acl`" in done.stdout
    assert lab.behind.path in done.stdout
    # Whether it may, it finds out by requests that must fail.
    assert not [a for a in asked if re.search(f"{PAUSE}|{CHANGE}", f"source fence {a.decode(errors='replace')}")]
    assert fenced_settings(lab.source) == before
    assert link.state == "live"
    assert record(link).get("stage", "none") == "none"


def test_an_abort_in_the_gate_fences_nothing(lab):
    link = link_of(lab)
    cutover = Background(link, "--stable-for", "30s")
    link.wait_for(lambda s: s["state"] == "cutover" and s["cutover"]["step"] == "gate", what="the gate")
    for verb in (("pause",), ("stop",), ("start",), ("cutover",)):
        assert link.ctl(*verb).returncode == 6
    link.must("abort")
    undone(lab, link, cutover.done(), why="aborted")
    assert link.ctl("abort").returncode == 6


PAUSED = {"barrier": [PAUSE, BARRIER], "hard_fence": [PAUSE, CHANGE]}


@pytest.mark.parametrize("step", PAUSED)
def test_an_abort_in_the_pause_undoes_it(lab, step):
    link = link_of(lab, proxied=True)
    before = fenced_settings(lab.source)
    with writers_of(lab) as writers:
        busy(writers)
        with Stand(lab, *PAUSED[step]) as stand:
            cutover = Background(link, *fence_args("acl"), *FAST)
            stand.wait()
            link.must("abort")
        undone(lab, link, cutover.done(), before, "aborted")
        busy(writers)
    link.wait("drained")
    verdict = writers.judge(lab.target)
    assert not verdict.missing, verdict


def test_beyond_the_bound_everything_is_undone(lab):
    link = link_of(lab, proxied=True)
    before = fenced_settings(lab.source)
    with writers_of(lab) as writers:
        busy(writers)
        with Stand(lab, PAUSE, BARRIER) as stand:
            cutover = Background(link, *FAST, "--max-write-pause", "1s")
            stand.wait()
            begin = time.monotonic()
            done = cutover.done()
            assert time.monotonic() - begin < 10 * SCALE
        undone(lab, link, done, before, "which is the bound")
        busy(writers)
    link.wait("drained")
    assert not (verdict := writers.judge(lab.target)).missing, verdict
    assert 900 <= verdict.longest_wait_ms <= 1900 * SCALE


def test_it_can_be_done_after_it_was_undone(lab):
    link = link_of(lab, proxied=True)
    with writers_of(lab) as writers:
        busy(writers)
        for _ in range(2):
            with Stand(lab, PAUSE) as stand:
                cutover = Background(link, *fence_args("acl"), *FAST)
                stand.wait()
                link.must("abort")
            undone(lab, link, cutover.done())
        link.must("cutover", *fence_args("acl"), *FAST)
    verdict = writers.judge(lab.target, committed_ms(link))
    assert not verdict.missing and not verdict.late, verdict


def test_a_lag_that_does_not_end_fences_nothing(lab):
    link = link_of(lab, limits__keys_per_s=1000)
    lab.target.freeze()
    try:
        lab.source.call("SET", "late", "1")
        link.wait_for(lambda s: s["lag"]["ms"] > 100, what="a lag")
        done = link.ctl("cutover", *FAST, "--gate-timeout", "1s")
    finally:
        lab.target.thaw()
    undone(lab, link, done, why="gate")


# --- SIGTERM


def test_a_signal_before_the_commit_undoes_it(lab):
    link = link_of(lab, proxied=True)
    before = fenced_settings(lab.source)
    with writers_of(lab) as writers:
        busy(writers)
        with Stand(lab, PAUSE, CHANGE, CHANGED, answer=True) as stand:
            cutover = Background(link, *fence_args("acl"), *FAST)
            stand.wait()
            link.process.send_signal(signal.SIGTERM)
            link.wait_log("riotd ends, on SIGTERM")
        link.stop()
        until(lambda: writes_pass(lab.source), 2, "the writers are free")
        cutover.done()
        assert fenced_settings(lab.source) == before or record(link)["stage"] != "none"
        link.start().wait("live")
        assert fenced_settings(lab.source) == before
        busy(writers)
    link.wait("drained")
    assert not (verdict := writers.judge(lab.target)).missing, verdict


# --- refusals


def refused(link, *args, why):
    done = link.ctl("cutover", *FAST, *args)
    assert done.returncode == 6, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    assert why in done.stdout + done.stderr, done.stdout + done.stderr
    assert record(link).get("stage", "none") == "none"


def test_a_link_that_is_not_live_is_refused(lab):
    link = link_of(lab)
    link.must("pause")
    refused(link, why="paused")
    link.must("resume")
    link.must("stop")
    refused(link, why="idle")


def test_a_source_that_is_a_replica_is_refused(lab):
    lab.source = lab.server("source", tcp=True).start()
    fill(lab.source)
    replica = lab.server("replica", tcp=True).start("--replicaof", "127.0.0.1", str(lab.source.port))
    until(lambda: replica.dbsize() == lab.source.dbsize(), 20, "the replica has the data")
    link = lab.live(replica.tcp_url())
    refused(link, why="source_is_replica")
    assert link.state == "live"


def test_acl_is_refused_where_the_user_is_shared(lab):
    link = link_of(lab, "min-replicas")
    refused(link, "--fence", "acl", why="default")


def test_a_blocker_refuses(lab):
    lab.target.config("proto-max-bulk-len", "1048576")
    lab.source = lab.server("source", tcp=True).start()
    lab.source.call("SET", "long", os.urandom(2_000_000))
    link = link_of(lab)
    link.wait_for(lambda s: s["blockers"], what="a failed key")
    refused(link, why="failed_keys")


def test_a_sentinel_needs_to_be_told(lab):
    link = link_of(lab)
    with lab.source.raw() as sentinel:
        sentinel.call("CLIENT", "SETNAME", "sentinel-0123abcd-cmd")
        refused(link, why="--sentinel-down-after")
        refused(link, "--sentinel-down-after", "9s", why="below half")
        refused(link, "--sentinel-down-after", "60s", "--fence", "hold", why="Sentinel")
        link.must("cutover", *FAST, "--sentinel-down-after", "11s")


def test_none_is_refused_while_somebody_writes(lab):
    link = link_of(lab, "none")
    with writers_of(lab, rate=400) as writers:
        busy(writers, 20)
        refused(link, *fence_args("none"), why="still writes")
        assert link.state == "live"


def test_none_with_keys_that_run_out_goes_through(lab):
    link = link_of(lab, "none")
    with lab.source.raw() as client:
        client.must([("SET", f"short:{n}", n, "PX", 500 + 5 * n) for n in range(1000)])
    link.must("cutover", *fence_args("none"), *FAST)
    assert link.status()["cutover"]["fence"] == "none"
    until(lambda: not lab.source.call("EXISTS", "short:999"), 10, "all have run out")
    assert_equal(lab.source, lab.target)


# --- verify


def test_full_verify_in_the_gate_finds_drift(lab):
    link = link_of(lab)
    lab.target.call("DEL", "fill:7")
    before = fenced_settings(lab.source)
    undone(lab, link, link.ctl("cutover", *FAST, "--verify", "full"), before, "differ")
    link.must("verify", "--repair")
    link.must("cutover", *FAST, "--verify", "full")
    assert link.state == "committed"


def test_drift_in_the_pause_undoes_it(lab):
    """With time for all that was copied last, of which the deletions of the flush are most."""
    link = link_of(lab)
    lab.source.call("FLUSHALL")
    with lab.source.raw() as client:
        client.must([("SET", f"few:{n}", n) for n in range(20)])
    link.wait("live")
    link.wait("drained")
    lab.target.call("SET", "few:3", "wrong")
    undone(lab, link, link.ctl("cutover", *FAST, "--verify-budget", "3s"), why="few:3")
    lab.source.call("SET", "few:3", "3")
    link.wait("drained")
    link.must("cutover", *FAST)


# --- what the target confirms


def test_replicas_of_the_target_confirm_it(lab):
    lab.target = lab.server("target", target_binary(), tcp=True).start()
    link = link_of(lab, target__wait_replicas=1)
    before = fenced_settings(lab.source)
    refused(link, why="the target has 0 replicas")
    replica = lab.server("replica", tcp=True).start("--replicaof", "127.0.0.1", str(lab.target.port))
    until(lambda: "state=online" in lab.target.info("replication").get("slave0", ""), 20, "the replica is online")
    replica.freeze()
    lab.source.call("SET", "one", "more")
    done = until(lambda: (d := link.ctl("cutover", *FAST, "--max-write-pause", "1s")).returncode != 6 and d, 10, "the replica is told of")
    replica.thaw()
    undone(lab, link, done, before, "replica")
    link.must("cutover", *FAST)
    assert_equal(lab.source, replica)


# --- the status, and those who follow


def test_the_status_tells_each_step(lab):
    link = link_of(lab)
    done = link.ctl("cutover", *FAST, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    cutover = link.status()["cutover"]
    assert cutover["step"] == "release"
    assert 0 < cutover["write_pause_ms"] < 2000
    assert cutover["fence"] == "acl"
    journal = link.log()
    for step in ("validate", "gate", "soft_fence", "barrier", "drain", "verify", "hard_fence", "prove_source", "prove_target", "commit",
                 "release"):
        assert f"{step}: begin" in journal
        assert f"{step}: done" in journal


def test_a_client_that_goes_away_changes_nothing(lab):
    link = link_of(lab)
    link.request("CUTOVER", "STABLE_FOR", "300ms", "MAX_LAG_MS", "500")
    link.wait_for(lambda s: all(o["state"] == "ended" for o in s["operations"]), what="the end of the operation")
    assert link.state == "committed"
    operation = [o for o in link.status()["operations"] if o["verb"] == "cutover"][-1]
    assert operation["result"] == "ok" and operation["exit_code"] == 0
