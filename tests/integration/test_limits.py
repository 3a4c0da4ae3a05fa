"""limits.*: memory is bounded whatever happens, and rates are kept."""

import contextlib
import subprocess
import time

import pytest

from kit import fill, process
from kit.compare import assert_equal
from kit.riot import program
from kit.wait import SANITIZED, SCALE, until
from kit.wire import UNTOLD, WRITES

MIB = 1024 * 1024
# The program, its libraries, buffers of sockets: what is not governed by the limit.
BASE_KIB = 24 * 1024


def test_the_queue_is_bounded_while_the_target_hangs(lab, feed):
    riotd = lab.live(feed=feed, limits__memory="16MiB")
    lab.target.freeze()
    with lab.source.raw() as client:
        client.must([("SET", f"{i:08d}:" + "long" * 1500, i) for i in range(5000)], depth=300)
    status = riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1 or s["queue"]["memory_bytes"] > 8 * MIB, what="the queue is full")
    for _ in range(20):
        status = riotd.status()
        assert status["queue"]["memory_bytes"] <= status["queue"]["memory_limit_bytes"] == 16 * MIB
        time.sleep(0.05)
    if not SANITIZED:
        assert process.memory_kib(riotd.pid, "VmHWM") < 16 * 1024 + BASE_KIB
    lab.target.thaw()
    lab.equal(riotd, at_least=5000)
    riotd.wait_state("live")


def test_the_scan_does_not_fill_the_queue_while_the_target_hangs(lab):
    with lab.source.raw() as client:
        fill.strings(client, 60_000, size=20)
    riotd = lab.link(feed="tracking")
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] > 0)
    lab.target.freeze()
    time.sleep(1)
    status = riotd.status()
    assert status["queue"]["dirty_keys"] <= 2048 + 2 * 1000 + 1024
    lab.target.thaw()
    riotd.wait("live")
    assert assert_equal(lab.source, lab.target) == 60_000


def test_values_in_flight_are_bounded(lab):
    with lab.source.raw() as client:
        client.must([("SET", f"large{i}", bytes([i]) * 4_000_000) for i in range(40)], depth=1)
    riotd = lab.link(limits__memory="16MiB")
    peak = 0
    while riotd.state != "live":
        queue = riotd.status()["queue"]
        peak = max(peak, queue["memory_bytes"])
        assert queue["memory_bytes"] <= queue["memory_limit_bytes"]
        time.sleep(0.01)
    if not SANITIZED:
        assert process.memory_kib(riotd.pid, "VmHWM") < 16 * 1024 + BASE_KIB
    lab.equal(riotd, at_least=40)


def test_a_target_that_stops_in_the_middle_of_large_values(lab):
    with lab.source.raw() as client:
        client.must([("SET", f"large{i}", bytes([i]) * 6_000_000) for i in range(20)], depth=1)
    riotd = lab.link(limits__memory="16MiB")
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] >= 2 or s["queue"]["in_flight_bytes"] > 0, what="values on their way")
    lab.target.freeze()
    time.sleep(0.5)
    if not SANITIZED:
        assert process.memory_kib(riotd.pid, "VmHWM") < 16 * 1024 + BASE_KIB
    lab.target.thaw()
    lab.equal(riotd, at_least=20)


def test_a_source_that_is_killed_in_the_middle_of_a_large_value(lab):
    with lab.source.raw() as client:
        client.must([("SET", f"large{i}", bytes([i]) * 30_000_000) for i in range(4)], depth=1)
    riotd = lab.link(limits__memory="16MiB")
    for _ in range(5):
        riotd.wait_for(lambda s: s["queue"]["in_flight_keys"] > 0 or s["state"] == "live", what="a value on its way")
        lab.source.kill_riotd_clients()
        time.sleep(0.05)
    lab.equal(riotd, at_least=4)


@pytest.mark.alone
def test_keys_per_s_is_kept(lab):
    with lab.source.raw() as client:
        fill.strings(client, 6000, size=20)
    begin = time.monotonic()
    riotd = lab.link(limits__keys_per_s=2000)
    riotd.wait("live")
    took = time.monotonic() - begin
    assert 2.3 <= took <= 4.5
    lab.equal(riotd, at_least=6000)


def test_limits_are_of_one_link_and_change_while_it_runs(lab):
    """One is slow until it is let go; another one of the same source is not held up by it."""
    with lab.source.raw() as client:
        fill.strings(client, 6000, size=20)
    slow = lab.link(name="slow", limits__keys_per_s=100)
    slow.wait_state("snapshot")
    other = lab.server("other").start()
    lab.link(lab.source, other, name="quick").wait("live")
    assert slow.state == "snapshot" and slow.status()["totals"]["copied_keys"] < 5000
    slow.must("limit", "keys_per_s=0")
    slow.wait("live")
    lab.equal(slow, at_least=6000)


@pytest.mark.alone
def test_bytes_per_s_is_kept(lab):
    with lab.source.raw() as client:
        fill.strings(client, 3000, size=2000)
    # Random text, so that the payload is not compressed to less.
    with lab.source.raw() as client:
        import os  # pylint: disable=import-outside-toplevel
        client.must([("SET", f"key:{i}", os.urandom(2000)) for i in range(3000)])
    begin = time.monotonic()
    riotd = lab.link(limits__bytes_per_s="2MiB")
    riotd.wait("live")
    took = time.monotonic() - begin
    assert 2.4 <= took <= 5.0  # no more is on its way than may come at once
    lab.equal(riotd, at_least=3000)


def test_a_value_larger_than_the_rate_still_passes(lab):
    lab.source.call("SET", "large", b"z" * 3_000_000)
    lab.source.call("SET", "small", "v")
    riotd = lab.link(limits__bytes_per_s="1MiB")
    riotd.wait("live", 30)
    lab.equal(riotd, at_least=2)


def test_a_key_with_a_very_long_name_is_copied(lab, feed):
    name = b"n" * 900_000
    lab.source.call("SET", name, "v1")
    riotd = lab.live(feed=feed)
    lab.source.call("SET", name, "v2")
    lab.source.call("SET", b"m" * 900_000, "v")
    lab.equal(riotd, at_least=2)


def test_a_key_with_a_name_beyond_all_bounds_is_told(lab):
    riotd = lab.live()
    lab.source.call("SET", b"n" * 2_000_000, "v")
    riotd.wait_log("nnnn", 10)
    lab.source.call("SET", "other", "v")
    until_there(lab, "other")
    assert riotd.process.poll() is None


def until_there(lab, key):
    from kit.wait import until  # pylint: disable=import-outside-toplevel
    until(lambda: lab.target.redis().exists(key), 10, f"{key} on the target")


def test_under_load_changes_of_a_key_fall_together(lab, feed):
    """As many writes to a few keys, without a wait and with one: the second time they are read less often. The target is slow, so that
    keys are in flight all the time, whatever else the machine does."""
    target, slept = lab.proxy(lab.target), [0.0]

    def slow(connection, argv):
        if argv[0] in WRITES and time.monotonic() > slept[0] + 0.03:
            time.sleep(0.03)
            slept[0] = time.monotonic()

    target.on_request = slow
    riotd = lab.live(target=target, feed=feed, limits__coalesce="0ms")

    def reads():
        said = str(lab.source.info("commandstats").get("cmdstat_pexpiretime", "calls=0"))
        return int(said.partition("calls=")[2].partition(",")[0])

    def read_again(value):
        before = reads()
        with lab.source.raw() as client:
            for part in range(600):
                client.must([("SET", f"hot{n}", f"{value}{part}", *UNTOLD) for n in range(20)] * 5, depth=100)
                time.sleep(0.005)
        riotd.wait("drained")
        return reads() - before

    if not lab.source.has("PEXPIRETIME"):
        pytest.skip("what is read is counted by PEXPIRETIME")
    apart = read_again("a")
    riotd.must("limit", "coalesce=500ms")
    assert b'"coalesce_ms":500' in riotd.request("LIMIT").replace(b" ", b"")
    together = read_again("b")
    print(f"{together} reads, {apart} without a wait")
    assert together < 0.8 * apart, f"{together} reads, {apart} without a wait"
    lab.equal(riotd, at_least=20)


def test_where_little_changes_nothing_waits(lab, feed):
    lab.live(feed=feed, limits__coalesce="1s")
    took = []
    for n in range(9):
        begin = time.monotonic()
        lab.source.call("SET", "k", n)
        until(lambda n=n: lab.target.call("GET", "k") == str(n).encode(), 10, "the change")
        took.append(time.monotonic() - begin)
    assert sorted(took)[4] < 0.5 * SCALE, took  # more than half of them: a busy machine may hold up some


@contextlib.contextmanager
def writers(server):
    """As many writes as go, to 4,000 keys, until the end of the block."""
    with process.popen([program("bench/load"), server.path, "0", "0", "4000"], stdout=subprocess.DEVNULL) as child:
        try:
            yield
        finally:
            child.kill()


def looks(lab, riotd):
    """In the middle of a first copy, again and again: how many keys the source has been asked for, and has yet to answer."""
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] > 5000, what="a copy under way")
    while True:
        lab.source.freeze()
        try:
            status = riotd.wait_for(lambda s: s["queue"]["in_flight_bytes"] == 0, what="the target has answered")
        finally:
            lab.source.thaw()
        if status["state"] != "snapshot":
            return
        yield status["queue"]["in_flight_keys"]
        time.sleep(0.05)


def asked_at_once(lab, name, wanted):
    """Whether so many are, in a first copy: it may take some looks, and where it is over too soon another copy."""
    seen = []
    for attempt in range(5):
        riotd = lab.link(name=f"{name}-{attempt}", feed="tracking")
        for keys in looks(lab, riotd):
            seen.append(keys)
            if wanted(keys):
                return riotd
        riotd.stop()
        lab.target.call("FLUSHALL")
    raise AssertionError(f"{name}: {seen} keys were asked for at once")


def test_a_first_copy_gives_way_to_writers(lab):
    """How many it asks for beside them follows from how much they write, which on a busy machine is little now and then."""
    with lab.source.raw() as client:
        fill.strings(client, 60_000, size=20)
    with writers(lab.source):
        riotd = asked_at_once(lab, "beside", lambda keys: 0 < keys <= 128)
    lab.equal(riotd, at_least=60_000)
    riotd.stop()
    lab.target.call("FLUSHALL")
    asked_at_once(lab, "alone", lambda keys: keys > 128)


def read_twice(lab, **options):
    """Keys that the source was asked for once more than the first copy needs, beside writers to a few keys."""
    riotd = lab.link(name="beside", feed="tracking", **options)
    lab.source.call("CONFIG", "RESETSTAT")
    with writers(lab.source):
        riotd.wait("live", 120)
        calls = str(lab.source.info("commandstats")["cmdstat_pexpiretime"])
    lab.equal(riotd, at_least=60_000)
    riotd.stop()
    lab.target.call("FLUSHALL")
    return int(calls.partition("calls=")[2].partition(",")[0]) - 60_000


def test_changes_rest_while_a_first_copy_gives_way(lab):
    """Nobody waits for them before it is through: as long as there is memory, they are copied with it, and with each other."""
    if not lab.source.has("PEXPIRETIME"):
        pytest.skip("what is read is counted by PEXPIRETIME")
    with lab.source.raw() as client:
        fill.strings(client, 60_000, size=20)
    rested, apart = read_twice(lab), read_twice(lab, limits__coalesce="0ms")
    assert rested < 0.6 * apart, f"{rested} keys were read once more, {apart} where nothing may wait"
