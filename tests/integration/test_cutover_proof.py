"""What must not commit, does not; and a riotd that is killed at any step leaves the writers free, or the commit done."""

import re
import signal
import time

import pytest

from kit.compare import assert_equal
from kit.cutover import (BARRIER, CHANGE, CHANGED, COMPARE, FAST, PAUSE, PROVE, READ, SEAL, UNPAUSE, Background, Stand, busy, committed_ms,
                         fenced_settings, free_after, link_of, own_user, record, writers_of, writes_pass)
from kit.wait import SCALE, until



@pytest.fixture(params=["acl", "min-replicas"])
def hard(request):
    return request.param


class Spoiled:
    """A cutover under writers that stands still at a request; after the block it must have been undone, with nothing lost."""

    def __init__(self, lab, hard, why, *patterns, link=None, **options):
        self.lab, self.patterns, self.args = lab, patterns, ("--fence", hard, *FAST)
        self.link = link or link_of(lab, hard, proxied=True, **options)
        self.before = fenced_settings(lab.source)
        self.writers = writers_of(lab, rate=2000)
        self.why = why  # a pattern, of what riotctl says then

    def __enter__(self):
        self.writers.__enter__()
        busy(self.writers)
        self.stand = Stand(self.lab, *self.patterns)
        self.cutover = Background(self.link, *self.args)
        self.stand.wait()
        return self

    def __exit__(self, kind, *exc):
        self.stand.__exit__()
        try:
            if kind is None:
                self.check()
        finally:
            self.writers.stop()
        if kind is None:
            self.link.wait("drained", 60)
            verdict = self.writers.judge(self.lab.target)
            assert not verdict.missing, verdict

    def check(self):
        done = self.cutover.done()
        assert done.returncode == 8, f"exit {done.returncode}: {done.stdout}{done.stderr}"
        assert re.search(self.why, done.stderr), done.stdout + done.stderr
        until(lambda: writes_pass(self.lab.source, timeout=2), 5, "the writers are free")
        assert fenced_settings(self.lab.source) == self.before
        busy(self.writers)


def test_a_replica_that_was_promoted_in_the_pause(lab, hard):
    lab.source = lab.server("source", tcp=True).start()
    replica = lab.server("replica", tcp=True).start("--replicaof", "127.0.0.1", str(lab.source.port))
    own_user(lab, replica)
    until(lambda: "state=online" in lab.source.info("replication").get("slave0", ""), 20, "the replica is online")
    with Spoiled(lab, hard, "replicas are others than before|has become", PAUSE, CHANGE) as spoiled:
        replica.call("REPLICAOF", "NO", "ONE")
    assert replica.call("SET", "probe", "1") == b"OK"
    assert spoiled.link.state in ("live", "resync")


def test_a_target_that_was_restarted_from_an_old_rdb(lab, hard):
    link = link_of(lab, hard, proxied=True)
    lab.target.save()
    with Spoiled(lab, hard, "the target: its connection was lost|the target was restarted", PAUSE, CHANGE, link=link):
        lab.target.stop()
        lab.target.start()


def test_a_target_that_was_flushed_after_it_was_compared(lab, hard):
    with Spoiled(lab, hard, "the target was flushed", PAUSE, CHANGE) as spoiled:
        lab.target.call("FLUSHALL")
    spoiled.link.wait("live")
    spoiled.link.wait("drained")
    assert_equal(lab.source, lab.target, at_least=1000)


def test_a_lease_that_ran_out(lab, hard):
    with Spoiled(lab, hard, "the write pause did not hold", PAUSE, CHANGE) as spoiled:
        spoiled.link.process.send_signal(signal.SIGSTOP)
        until(lambda: writes_pass(lab.source), 5, "the lease is over")
        busy(spoiled.writers)
        spoiled.stand.release()
        spoiled.link.process.send_signal(signal.SIGCONT)


def test_a_user_that_was_created_after_the_fence(lab):
    with Spoiled(lab, "acl", "was created since", PAUSE, CHANGE, CHANGED, PROVE) as spoiled:
        lab.source.call("ACL", "SETUSER", "late", "on", "nopass", "~*", "&*", "+@all")
        late = [line for line in lab.source.call("ACL", "LIST") if line.startswith(b"user late ")]
        spoiled.before = spoiled.before[0] + late, spoiled.before[1]
        spoiled.before[0].sort()


def test_functions_that_come_in_the_gate_are_copied(lab):
    link = link_of(lab)
    if not lab.source.has("FUNCTION"):
        pytest.skip("functions came with 7.0")
    cutover = Background(link, "--fence", "acl", "--stable-for", "1s", "--max-lag-ms", "500")
    link.wait_for(lambda s: s["state"] == "cutover" and s["cutover"]["step"] == "gate", what="the gate")
    lab.source.call("FUNCTION", "LOAD", "#!lua name=late\nredis.register_function('late', function() return 1 end)")
    assert cutover.done().returncode == 0
    assert lab.target.call("FCALL", "late", 0) == 1


@pytest.mark.parametrize("feed_kind", ["tracking", "notify"])
def test_a_feed_that_died_after_the_barrier(lab, feed_kind):
    with Spoiled(lab, "min-replicas", "changes may have been missed", PAUSE, CHANGE, feed=feed_kind):
        assert lab.source.kill_riotd_clients("feed") + lab.source.kill_riotd_clients("receive")


def test_a_write_that_got_past_the_pause(lab, hard):
    """Somebody ends the pause, which every client may."""
    with Spoiled(lab, hard, "told of a change after the barrier|count of changes has moved", PAUSE, CHANGE) as spoiled:
        lab.source.call("CLIENT", "UNPAUSE")
        busy(spoiled.writers)


def test_a_source_that_was_restarted_in_the_pause(lab, hard):
    link = link_of(lab, hard, proxied=True)
    with Spoiled(lab, hard, "connection.* lost|restarted or replaced|WRONGPASS", PAUSE, CHANGE, link=link):
        lab.source.restart()
        if hard == "acl":
            own_user(lab, lab.source)


# --- kill -9

POINTS = {
    # In the order of the steps: right before what it does, and right after it.
    "validate": ([r"source fence \S+"], False),
    "gate": ([r"source spot RANDOMKEY"], False),
    "pause": ([PAUSE], False),
    "paused": ([PAUSE], True),
    "barrier": ([PAUSE, BARRIER], False),
    "drain": ([PAUSE, READ], False),
    "drained": ([PAUSE, READ], True),
    "verify": ([PAUSE, READ, COMPARE], False),
    "verified": ([PAUSE, r"target spot EXEC"], True),
    "fence": ([PAUSE, CHANGE], False),
    "fenced": ([PAUSE, CHANGE, CHANGED], True),
    "prove": ([PAUSE, CHANGE, CHANGED, PROVE], False),
    "proved": ([PAUSE, CHANGE, CHANGED, READ, READ], True),
    "seal": ([PAUSE, CHANGE, CHANGED, SEAL], False),
    "sealed": ([PAUSE, CHANGE, CHANGED, SEAL], True),
    "committed": ([UNPAUSE], False),
    "released": ([UNPAUSE], True),
}
COMMITTED = ("committed", "released")
# With the other hard fence, those in which it is set; all of them take too long to be run each time.
SHORT = ("fence", "fenced", "prove", "sealed", "committed")


def each_point():
    for point in POINTS:
        yield pytest.param("acl", point, id=f"acl-{point}")
        yield pytest.param("min-replicas", point, id=f"min-replicas-{point}", marks=[] if point in SHORT else [pytest.mark.long])


@pytest.mark.parametrize("hard,point", each_point())
def test_killed_at(lab, hard, point):
    link = link_of(lab, hard, proxied=True)
    before = fenced_settings(lab.source)
    patterns, answer = POINTS[point]
    with writers_of(lab, rate=2000) as writers:
        busy(writers)
        with Stand(lab, *patterns, answer=answer) as stand:
            cutover = Background(link, "--fence", hard, *FAST)
            stand.wait()
            link.kill()
        stage = record(link).get("stage", "none")
        assert (stage == "committed") == (point in COMMITTED)
        if stage in ("none", "pausing"):
            until(lambda: writes_pass(lab.source), 2.5, "the lease is over")
        cutover.done()
        link.start()
        began = time.time()
        if point in COMMITTED:
            went_forward(lab, link, writers)
            return
        until(lambda: writes_pass(lab.source, timeout=2), 5, "the writers are free")
        link.wait("live", 60)
        assert fenced_settings(lab.source) == before
        assert record(link).get("stage", "none") == "none"
        busy(writers)
    assert free_after(writers, began) <= 2 * SCALE or stage in ("none", "pausing")
    link.wait("drained", 60)
    verdict = writers.judge(lab.target)
    assert not verdict.missing, verdict
    # And it can be done after all.
    link.must("cutover", "--fence", hard, *FAST)
    assert link.state == "committed"


def went_forward(lab, link, writers):
    link.wait_state("committed")
    link.wait_log("cutover_released: ")
    until(lambda: writers.refused, 10, "writers are refused")
    assert not writes_pass(lab.source)
    writers.stop()
    verdict = writers.judge(lab.target, committed_ms(link))
    assert not verdict.missing and not verdict.late, verdict
    link.must("finish", "--unfence")


def test_killed_while_it_undoes(lab, hard):
    link = link_of(lab, hard, proxied=True)
    before = fenced_settings(lab.source)
    with writers_of(lab, rate=2000) as writers:
        busy(writers)
        with Stand(lab, PAUSE, CHANGE, CHANGED, answer=True) as stand:
            cutover = Background(link, "--fence", hard, *FAST)
            stand.wait()
            link.must("abort")
            until(lambda: record(link)["stage"] == "undoing", 5, "the undo is written down")
            link.kill()
        cutover.done()
        link.start()
        until(lambda: writes_pass(lab.source, timeout=2), 2, "the writers are free")
        link.wait("live", 60)
        assert fenced_settings(lab.source) == before
        busy(writers)
    link.wait("drained", 60)
    assert not (verdict := writers.judge(lab.target)).missing, verdict


def test_a_source_that_dies_in_the_pause_is_followed_when_it_is_back(lab, hard):
    link = link_of(lab, hard, proxied=True)
    with Stand(lab, PAUSE, CHANGE) as stand:
        cutover = Background(link, "--fence", hard, *FAST)
        stand.wait()
        lab.source.save()
        lab.source.stop()
    lab.source.start()
    if hard == "acl":
        own_user(lab, lab.source)
    assert cutover.done(60).returncode in (8, 9)
    link.wait("live", 60)
    assert writes_pass(lab.source)


def test_a_source_that_restarts_after_the_commit_is_fenced_again(lab):
    lab.source = lab.server("source", tcp=True).start()
    link = link_of(lab, "min-replicas")
    link.must("cutover", "--fence", "min-replicas", *FAST)
    assert not writes_pass(lab.source)
    lab.source.restart()
    back = time.time()
    until(lambda: not writes_pass(lab.source), 5, "the source is fenced again")
    link.wait_log("fenced again")
    assert link.logged_at("fenced again") - back <= 2 * SCALE
