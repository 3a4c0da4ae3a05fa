"""The feed psync: it goes on where it was, after a lost connection and after a restart, and begins anew where that would not be right."""

import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kit.compare import assert_equal
from kit.cutover import FAST, busy, committed_ms, fence_args, link_of, writers_of, writes_pass
from kit.managed import REDIS_CLOUD
from kit.server import source_binary
from kit.wait import SCALE, until
from kit.workload import Workload

KEYS = 3000


def live(lab, **options):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(KEYS)])
    lab.source.config("repl-backlog-size", 64 << 20)
    return lab.live(feed="psync", **options)


@pytest.fixture
def link(lab):
    return live(lab)


def commands(lab):
    return int(lab.source.info("stats")["total_commands_processed"])


def rounds(riotd):
    return riotd.status()["snapshot"]["round"]


def kept(riotd):
    """What the state file has of the place, once it has one."""
    return until(lambda: riotd.state_file().get("place"), 10, "a place in the state file")


def again(riotd):
    """It is started, and live."""
    riotd.start().wait("live")
    return rounds(riotd)


# --- a lost connection


def test_connections_that_are_cut_all_the_time_cost_no_resync(lab, link):
    """Wherever in the stream: large values make it likely that it is within a command."""
    stop, rng = threading.Event(), random.Random(7)

    def cut():
        while not stop.wait(rng.uniform(0.02, 0.4)):
            lab.source.kill_riotd_clients(":feed")

    cutter = threading.Thread(target=cut)
    cutter.start()
    with lab.source.raw() as client:
        for i in range(300):
            client.must([("SET", f"k{i + j}", f"{i}" * 2000) for j in range(40)] + [("DEL", f"k{i + 40}")])
            client.must([("SELECT", i % 3), ("SET", f"of{i}", "x" * i * 100), ("SELECT", 0)])
    stop.set()
    cutter.join()
    lab.equal(link, at_least=KEYS // 2)
    status = link.status()
    assert status["feed"]["gaps"] == 0 and status["snapshot"]["round"] == 1


def test_what_the_backlog_has_lost_is_a_gap_and_no_full_synchronisation(lab):
    lab.source.config("repl-backlog-size", 16 << 10)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed="psync")
    proxy.refuse()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "x" * 1000) for i in range(3000)] + [("DEL", f"k{i}") for i in range(0, 3000, 7)])
    proxy.refuse(False)
    riotd.wait_for(lambda s: s["feed"]["gaps"] == 1 and s["state"] == "live", what="the gap")
    assert "backlog" in riotd.status()["feed"]["last_gap_reason"]
    assert lab.source.info("persistence")["rdb_saves"] == "0" if lab.source.version >= (7, 0) else True, "no fork for it"
    lab.equal(riotd, at_least=2000)


def test_a_link_that_is_cut_off_says_so_and_how_old_what_it_lacks_may_be(lab):
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed="psync")
    proxy.refuse()
    riotd.wait_for(lambda s: s["feed"]["state"] == "reconnecting" and s["lag"]["ms"] > 500, what="a lag that grows")
    proxy.refuse(False)
    status = riotd.wait_for(lambda s: s["feed"]["state"] == "ready" and s["lag"]["ms"] == 0, what="no lag")
    assert status["feed"]["gaps"] == 0 and "feed_back" in riotd.log()


# --- a restart of riotd


@pytest.mark.parametrize("how", ["kill -9", "SIGTERM"])
def test_a_restart_under_load_costs_no_resync(lab, link, how):
    with Workload(lab.source, keys=KEYS, rate=2000):
        for _ in range(3):
            before = kept(link)
            until(lambda: kept(link) != before, 10, "it is kept anew")
            if how == "kill -9":
                link.kill()
            else:
                link.stop()
            ran = commands(lab)
            until(lambda: commands(lab) > ran + 500, 10, "writes go on without it")
            assert again(link) == 0, link.log()[-3000:]
            assert link.status()["snapshot"]["phase"] == "resumed"
            assert re.search("^snapshot +none: the source's stream was gone on with", link.ctl("status").stdout, re.M)
    lab.equal(link, at_least=100)
    assert link.status()["feed"]["gaps"] == 0


def test_what_changed_meanwhile_is_followed_and_a_later_gap_sweeps(lab, link):
    kept(link)
    link.kill()
    with lab.source.raw() as client:
        client.must([("DEL", f"k{i}") for i in range(0, KEYS, 2)] + [("SET", f"new{i}", i) for i in range(100)])
    assert again(link) == 0
    assert lab.equal(link) == KEYS // 2 + 100
    lab.source.call("FLUSHALL")
    lab.source.call("SET", "last", "v")
    lab.equal(link, at_least=1)
    assert lab.target.dbsize() == 1 and rounds(link) >= 1


def swap_databases(lab):
    lab.source.call("SWAPDB", "5", "6")


def replace_source(lab):
    lab.source.restart()


def flush_target(lab):
    lab.target.call("FLUSHALL")


def restart_target(lab):
    lab.target.restart(data=False)


def overrun_backlog(lab):
    lab.source.config("repl-backlog-size", 16 << 10)
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "x" * 1000) for i in range(2000)])


def fail_over(lab):
    """The source has another history from here on, under the same run id."""
    lab.source.call("REPLICAOF", "127.0.0.1", "1")
    lab.source.call("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("what", [swap_databases, replace_source, flush_target, restart_target, overrun_backlog, fail_over])
def test_where_it_would_not_be_right_it_begins_anew(lab, link, what):
    kept(link)
    link.kill()
    what(lab)
    lab.source.call("SET", "meanwhile", "v")
    assert again(link) >= 1
    lab.equal(link, at_least=1)


def test_a_target_that_does_not_tell_what_became_of_it_begins_anew(lab):
    """Its INFO has no word of evictions."""
    riotd = live(lab, target=REDIS_CLOUD.thin(lab.proxy(lab.target), "cmdstat_", "total_", "master_repl"))
    kept(riotd)
    riotd.kill()
    lab.target.call("DEL", "k1")
    assert again(riotd) >= 1 and "does not tell what became of it" in riotd.log()
    lab.equal(riotd, at_least=KEYS)


def test_another_scope_begins_anew(lab, link):
    lab.source.call("SET", "of5", "v", db=5)
    lab.equal(link)
    kept(link)
    link.stop()
    link.options["filter.exclude"] = "['k1*']"
    assert again(link) == 1
    assert "the configuration tells of other keys" in link.log()


def test_a_key_that_failed_is_not_left_behind(lab, link):
    """It was not applied, so it is behind the place, however much was applied since."""
    lab.target.config("proto-max-bulk-len", 1 << 20)
    link.stop()
    again(link)
    kept(link)
    lab.source.call("SET", "large", random.Random(1).randbytes(2 << 20))
    link.wait_for(lambda s: s["totals"]["failed_keys"] == 1, what="the failed key")
    for i in range(3):
        lab.source.call("SET", f"later{i}", i)
        time.sleep(1)
    link.kill()
    again(link)
    link.wait_for(lambda s: s["totals"]["failed_keys"] == 1, what="the failed key again")


def test_stop_ends_it_and_a_start_begins_anew(lab, link):
    """Whoever stopped it may have done anything with the target since."""
    kept(link)
    before = rounds(link)
    link.must("stop")
    link.wait_state("idle")
    lab.target.call("SET", "extra", "v")
    lab.target.call("SET", "k1", "another")
    assert "resync_needed" not in link.log()
    link.must("start")
    link.wait("live")
    lab.equal(link, at_least=KEYS)
    assert rounds(link) == before + 1 and "no place in the stream was kept" in link.log()


def test_a_gap_is_forgotten_before_it_is_dealt_with(lab, link):
    """Killed within the resync that follows a gap: nothing is gone on with."""
    kept(link)
    link.must("limit", "keys_per_s=500")
    swap_databases(lab)
    link.wait_state("resync")
    link.kill()
    assert "place" not in link.state_file(), "the place outlived the gap"
    link.options["limits.keys_per_s"] = 0
    assert again(link) == 1
    lab.equal(link, at_least=KEYS)


# --- a failover


class Pair:
    """A source with a replica, behind one address: that of the proxy. direct: nothing is between the two."""

    def __init__(self, lab, direct=False, **options):
        self.lab = lab
        self.first, self.second = (lab.server(name, source_binary(), tcp=True, args=["--repl-backlog-size", "64mb"]).start()
                                   for name in ("first", "second"))
        lab.source = self.first
        self.between, self.proxy = lab.proxy(self.first, "between", tcp=True), lab.proxy(self.first, "front")
        with self.first.raw() as client:
            client.must([("SET", f"k{i}", i) for i in range(KEYS)])
        self.second.call("REPLICAOF", "127.0.0.1", self.first.port if direct else self.between.port)
        until(lambda: self.second.info("replication")["master_link_status"] == "up", 20, "the replica is in sync")
        self.link = lab.live(self.proxy, feed="psync", **options)

    def take_over(self):
        """The replica has the address from now on."""
        self.second.call("REPLICAOF", "NO", "ONE")
        self.proxy.upstream = self.second.path
        self.lab.source = self.second

    def lose_first(self):
        self.proxy.refuse()
        self.first.stop()
        self.take_over()
        self.proxy.refuse(False)

    def is_behind(self):
        """How far, in bytes of the stream, the replica is."""
        offsets = [int(server.info("replication")["master_repl_offset"]) for server in (self.first, self.second)]
        return offsets[0] - offsets[1]

    def followed(self):
        """It went on: nothing was gone through again but what had been copied ahead of the stream."""
        self.lab.equal(self.link, at_least=100)
        status, log = self.link.status(), self.link.log()
        assert status["snapshot"]["round"] == 1 and status["feed"]["gaps"] == 0 and "is read again" in log, log[-3000:]


@pytest.mark.parametrize("how", ["lost", "FAILOVER", "FAILOVER, the address stays"])
def test_a_failover_under_load_costs_no_resync(lab, how):
    """The primary dies, or hands over; writers go on where they can."""
    pair = Pair(lab, direct=how != "lost")
    if how != "lost" and not pair.first.has("FAILOVER"):
        pytest.skip("no FAILOVER before 6.2")
    with Workload(pair.first, keys=KEYS, rate=1500) as writers:
        until(lambda: writers.count > 2000, 20, "writes")
        if how != "lost":
            pair.first.call("FAILOVER", "TO", "127.0.0.1", pair.second.port)
            until(lambda: pair.second.info("replication")["role"] == "master", 20, "it has taken over")
    if how == "lost":
        pair.lose_first()
    elif "stays" not in how:
        pair.take_over()
        pair.proxy.refuse()
        pair.proxy.refuse(False)
    with Workload(pair.second, keys=KEYS, rate=1500) as writers:
        until(lambda: writers.count > 2000, 20, "writes at the new one")
    pair.followed()


@pytest.mark.parametrize("stays", ["stream", "rest"])
def test_what_is_still_at_the_former_primary_comes_after(lab, stays):
    """The address leads to another server, and the one before lives on: of what is connected there, only a part is cut."""
    pair = Pair(lab)
    pair.take_over()
    for connection in pair.proxy.live():
        if (connection.role == "feed") != (stays == "stream"):
            connection.close()
    with Workload(pair.second, keys=KEYS, rate=1500) as writers:
        until(lambda: writers.count > 3000, 20, "writes at the new one")
    pair.second.call("SET", "last", "v")
    until(lambda: lab.target.call("GET", "last") == b"v", 10, "the stream of the new one")
    pair.followed()


def test_what_was_copied_ahead_of_the_stream_and_lost_in_a_failover_is_read_again(lab):
    """The stream is held back, to riotd and to the replica; a key that is marked is copied as it is by then; that value is lost."""
    pair = Pair(lab)
    riotd = pair.link
    riotd.must("pause")
    with pair.first.raw() as client:
        client.must([("SET", "k1", "before"), ("SET", "gone", "before")])
    riotd.wait_for(lambda s: s["lag"]["keys"] >= 2, what="the marks")
    until(lambda: pair.is_behind() == 0, 10, "the replica has them")
    for connection in pair.proxy.live("feed") + pair.between.live():
        connection.hold("down")
    with pair.first.raw() as client:
        client.must([("SET", "k1", "lost"), ("DEL", "gone")])
    riotd.must("resume")
    until(lambda: lab.target.call("GET", "k1") == b"lost" and riotd.status()["lag"]["keys"] == 0, 10, "they are copied")
    pair.lose_first()
    until(lambda: "is read again" in riotd.log(), 20, "it has followed")
    riotd.wait("drained")
    assert lab.target.call("GET", "k1") == b"before", "what the new primary never had stayed on the target"
    assert lab.target.call("GET", "gone") == b"before", "a deletion that the new primary never had stayed"
    pair.followed()


def test_what_riotd_has_of_a_stream_that_the_new_primary_lacks_is_a_gap_with_its_reason(lab):
    """What those commands changed is found by going through all keys; and the new primary is not made to fork for it."""
    pair = Pair(lab)
    for connection in pair.between.live():
        connection.hold("down")
    with pair.first.raw() as client:
        client.must([("SET", f"{name}{i}", "lost") for i in range(100) for name in ("k", "new")])
    pair.link.wait("drained")
    asked = pair.proxy.count("INFO")
    until(lambda: pair.proxy.count("INFO") > asked + 40, 20, "some readings: what was copied is no longer ahead of the stream")
    pair.lose_first()
    until(lambda: "is read again" in pair.link.log() or "resync is complete" in pair.link.log(), 20, "it has followed, or begun anew")
    pair.link.wait("drained")
    kept_on = lab.target.call("EXISTS", *(f"new{i}" for i in range(100)))
    assert kept_on == 0, "what the new primary never had stayed on the target"
    assert lab.equal(pair.link) == KEYS and rounds(pair.link) > 1
    assert "more was taken of the former primary's stream than" in pair.link.log()
    assert int(pair.second.info("stats")["sync_full"]) == 0, "it was made to fork"


def test_what_a_server_tells_that_is_not_read_from_yet_is_not_written(lab):
    """The stream goes on at the new primary, while keys are still read from the former one."""
    pair = Pair(lab)
    riotd = pair.link
    pair.first.call("INCR", "touched")
    lab.equal(riotd, at_least=KEYS)
    until(lambda: pair.is_behind() == 0, 10, "the replica has all")
    watch, feed = pair.proxy.live("watch")[0], pair.proxy.live("feed")[0]
    watch.hold("down")
    pair.take_over()
    feed.close()
    until(lambda: "is read again" in riotd.log(), 10, "it has followed")
    marks = riotd.status()["totals"]["marks"]
    pair.second.call("SET", "k1", "later")
    riotd.wait_for(lambda s: s["totals"]["marks"] > marks and s["lag"]["keys"] == 0, what="the mark")
    assert lab.target.call("GET", "k1") == b"1", "it is not known yet whose that is"
    watch.release("down")
    until(lambda: watch.closed, 10, "it has seen that these are two servers")
    lab.equal(riotd, at_least=KEYS)
    assert lab.target.call("GET", "k1") == b"later"


def test_a_failover_while_riotd_was_away_begins_anew(lab):
    pair = Pair(lab)
    kept(pair.link)
    pair.link.kill()
    pair.lose_first()
    assert again(pair.link) == 1
    assert "had a failover" in pair.link.log()
    lab.equal(pair.link, at_least=KEYS)


# --- a cutover


@pytest.mark.parametrize("fence", ["acl", "min-replicas", "hold"])
def test_every_acknowledged_write_is_on_the_target_after_a_cutover(lab, fence):
    if lab.source.version < (6, 2):
        pytest.skip("6.0 has no pause of writes")
    lab.source.stop()
    lab.source = None
    riotd = link_of(lab, fence, feed="psync")
    with writers_of(lab) as writers:
        busy(writers)
        done = riotd.ctl("cutover", *fence_args(fence), *FAST)
        assert done.returncode == 0, done.stdout + done.stderr
        assert riotd.state == "committed" and not writes_pass(lab.source)
    verdict = writers.judge(lab.target, committed_ms(riotd))
    assert verdict.acknowledged > 500 and not verdict.missing and not verdict.late, verdict


# --- what the source is told


def acknowledged(lab):
    lines = [line for name, line in lab.source.info("replication").items() if name.startswith("slave") and "port=0" in line]
    return int(lines[0].partition("offset=")[2].partition(",")[0]) if lines else -1


def test_only_what_the_target_has_is_acknowledged(lab, link):
    """While the target hangs, the source is not told of what was written since."""
    lab.source.call("SET", "k0", "there")
    until(lambda: acknowledged(lab) > 0, 10, "an acknowledgement")
    lab.target.freeze()
    before = int(lab.source.info("replication")["master_repl_offset"])
    lab.source.call("SET", "k1", "not there")
    time.sleep(3)
    told, behind = acknowledged(lab), link.status()["lag"]["bytes"]
    lab.target.thaw()
    assert told <= before, "acknowledged before it was applied"
    assert behind > 0
    lab.equal(link, at_least=KEYS)
    until(lambda: link.status()["lag"]["bytes"] == 0, 10, "nothing of the stream is left")
    offset = int(lab.source.info("replication")["master_repl_offset"])
    until(lambda: acknowledged(lab) >= offset - 1, 10, "all but one byte is acknowledged")
    assert_equal(lab.source, lab.target, at_least=KEYS)


def test_wait_is_answered_as_soon_as_the_target_has_all_before_it(lab, link):
    """Not with the next acknowledgement, which comes each second; and not only once nobody else waits."""
    def wait_often(name):
        with lab.source.raw() as client, lab.target.raw() as target:
            for i in range(30):
                client.call("SET", name, i)
                client.call("LPUSH", f"{name}s", i)
                assert client.call("WAIT", 1, 30_000) == 1
                assert target.call("GET", name) == str(i).encode() and target.call("LLEN", f"{name}s") == i + 1

    for names in (["one"], ["a", "b", "c", "d"]):
        begin = time.monotonic()
        with ThreadPoolExecutor(len(names)) as waiters:
            list(waiters.map(wait_often, names))
        took = time.monotonic() - begin
        assert took < 10 * SCALE, f"30 times it took {took:.1f} s, with {len(names)} at once"
    lab.target.freeze()
    with lab.source.raw() as client:
        client.call("SET", "one", "more")
        assert client.call("WAIT", 1, 1500) == 0, "the target does not have it"
        lab.target.thaw()
        assert client.call("WAIT", 1, 30_000) == 1
    assert lab.target.call("GET", "one") == b"more"
