"""The further rules: gaps, bounded memory, keys that fail, expiry, fairness, nothing left behind (R8 to R14)."""

import random
import threading
import time

import pytest

from kit import fill
from kit.compare import assert_equal
from kit.proxy import bulk, reply
from kit.process import memory_kib
from kit.wait import until
from kit.wire import FLAGS, UNTOLD, WRITES, fill_keys, reads, writes, begins, Hold, settle, readings, values_read


# --- R8


def change_unheard(lab, proxy, text, count=400):
    """What riotd does not hear: a third changes, a third goes."""
    proxy.refuse()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", text) for i in range(0, count, 3)] + [("DEL", f"k{i}") for i in range(1, count, 3)] +
                    [("SET", f"n{i}", text) for i in range(100)])
    proxy.refuse(False)


@pytest.mark.parametrize("feed", ["tracking", "notify"])  # psync goes on where it was
def test_r8_what_happened_while_nobody_listened_is_found(lab, feed):
    fill_keys(lab.source, 400)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    change_unheard(lab, proxy, "new")
    lab.equal(riotd, at_least=300)
    status = riotd.status()
    assert status["feed"]["gaps"] >= 1 and status["snapshot"]["round"] >= 2


@pytest.mark.parametrize("feed", ["tracking", "notify"])  # psync goes on where it was
def test_r8_a_gap_in_a_resync_begins_it_anew(lab, feed):
    """The second gap comes when the resync has scanned and copied all keys, and is at its sweep."""
    fill_keys(lab.source, 400)
    source, target = lab.proxy(lab.source), lab.proxy(lab.target)
    riotd = lab.live(source, target, feed=feed)
    hold = Hold(target, "down", begins(b"SCAN"))
    change_unheard(lab, source, "in the first gap")
    hold.answered(b"k1")
    riotd.wait_for(lambda s: s["lag"]["keys"] == 0, what="all that the scan found is copied")
    assert riotd.state == "resync"
    change_unheard(lab, source, "in the second gap")
    hold.release()
    lab.equal(riotd, at_least=300)


def test_r8_what_was_read_before_a_gap_and_is_gone_since_is_deleted_all_the_same(lab, feed):
    """The target executes the writes that lie in its socket only behind the sweep's look at it."""
    lab.source.call("SET", "first", "v")
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)

    def sweeps():
        return sum(c.commands["SCAN"] for c in list(proxy.connections))

    before = sweeps()
    # The sweep's own connection asks INFO twice as it begins; riotd has the answers when it has gone on to read again.
    until(lambda: [c.commands["INFO"] for c in list(proxy.connections) if c.role == "sweep"] == [2], 10, "the sweep's connection")
    readings(proxy, 2)
    lab.target.freeze()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "x" * 1000) for i in range(3000)])
    riotd.wait_for(lambda s: s["queue"]["in_flight_keys"] > 100, what="keys that were read")
    lab.source.call("FLUSHALL")
    until(lambda: sweeps() > before, 10, "the sweep")
    lab.target.thaw()
    lab.equal(riotd)
    assert lab.target.dbsize() == 0


LONG = "n" * 20_000  # names of this length fill the smallest memory soon


def long_names(server, count, value, every=1, start=0):
    with server.raw() as client:
        client.must([("SET", f"{i:06d}:{LONG}", value) for i in range(start, count, every)], depth=50)


def test_r8_a_set_that_overran_is_a_gap_and_everything_arrives(lab, feed):
    riotd = lab.live(feed=feed, limits__memory="16MiB")
    riotd.must("pause")
    long_names(lab.source, 800, "first")
    long_names(lab.source, 800, "last", every=10)
    with lab.source.raw() as client:
        client.must([("DEL", f"{i:06d}:{LONG}") for i in range(1, 800, 10)], depth=50)
    riotd.must("resume")
    lab.equal(riotd, at_least=720)
    assert riotd.status()["snapshot"]["round"] >= 2


# --- R9


def test_r9_memory_is_bounded_by_the_limit(lab, feed):
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed, limits__memory="16MiB")
    lab.target.freeze()

    def bounded(status):
        queue = status["queue"]
        assert queue["memory_bytes"] <= queue["memory_limit_bytes"] == 16 * 1024 * 1024, "more memory than may be used"
        return status

    for start in range(0, 1000, 100):
        long_names(lab.source, start + 100, "v", start=start)
        bounded(riotd.status())
    riotd.wait_for(lambda s: bounded(s)["feed"]["gaps"] >= 1, 20, "the gap that the overrun is")
    readings(proxy, 2)
    assert bounded(riotd.status())["snapshot"]["round"] == 1, "a resync begins while there is no room for it"
    lab.target.thaw()
    riotd.wait("drained")
    assert lab.target.dbsize() == 1000


@pytest.mark.long
def test_r9_the_lanes_of_a_cluster_share_the_limit(lab):
    """All that can be full is full: the sets of three lanes, and what waits for a target that takes nothing."""
    limit = 16 * 1024 * 1024
    lab.source = lab.cluster("source", primaries=3)
    riotd = lab.live(feed="psync", limits__memory="16MiB")
    base = memory_kib(riotd.pid) * 1024
    lab.target.freeze()
    with lab.source.raw() as client:
        client.must([("SET", f"{i}:{'n' * 5000}", "x" * 10_000) for i in range(4500)], depth=100)
    status = riotd.wait_for(lambda s: all("overrun" in [c["code"] for c in lane["conditions"]] for lane in s["lanes"]),
                            what="the overrun of each lane")
    assert status["queue"]["memory_bytes"] <= status["queue"]["memory_limit_bytes"] == limit
    assert memory_kib(riotd.pid) * 1024 - base <= limit, "more memory than may be used"
    lab.target.thaw()
    lab.equal(riotd, at_least=4500)


def test_r9_the_scan_stops_ahead_of_the_copying(lab):
    """The target does not answer: the scan may not go on and fill the set, which is for the feed."""
    with lab.source.raw() as client:
        fill.strings(client, 40_000, size=20)
    source, target = lab.proxy(lab.source), lab.proxy(lab.target)
    hold = Hold(target, "down", lambda _, argv: argv[0] in WRITES)
    riotd = lab.link(source, target)
    hold.wait()
    riotd.wait_for(lambda s: s["snapshot"]["scanned_keys"] > 1500, what="the scan comes as far as it may")
    readings(source, 2)
    scanned, queued = riotd.status()["snapshot"]["scanned_keys"], riotd.status()["queue"]["dirty_keys"]
    hold.release()
    riotd.wait("live").wait("drained")
    assert lab.target.dbsize() == 40_000
    assert queued <= 2048 and scanned <= 2048 + 1024, f"{scanned} keys were scanned, {queued} wait"


# --- R10


def test_r10_a_key_that_the_target_refuses_is_tried_again_until_it_is_there(lab, feed):
    fill_keys(lab.source)
    riotd = lab.live(feed=feed)
    lab.target.config("maxmemory", "1")
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "new" * 100) for i in range(50)] + [("SET", f"n{i}", "new" * 100) for i in range(50)])
    riotd.wait_for(lambda s: s["totals"]["retries"] > 0 and s["conditions"], what="retries and a condition")
    lab.target.config("maxmemory", "0")
    lab.equal(riotd, at_least=100)
    assert riotd.status()["totals"]["failed_keys"] == 0


def test_r10_a_key_that_can_never_be_written_is_named_and_blocks_and_nothing_else_waits(lab, feed):
    lab.target.config("proto-max-bulk-len", str(1024 * 1024))
    riotd = lab.live(feed=feed)
    lab.source.call("SET", "impossible", random.Random(1).randbytes(2 * 1024 * 1024))
    lab.source.call("SET", "beside it", "v")
    until(lambda: lab.target.redis().exists("beside it"), 10)
    status = riotd.wait_for(lambda s: s["totals"]["failed_keys"] and s["blockers"], what="the key is told of")
    assert status["totals"]["failed_keys"] == 1
    assert "impossible" in str(status["failed_keys"])
    assert riotd.ctl("wait", "--for", "drained", "--timeout", "700ms").returncode == 7
    lab.source.call("SET", "impossible", "small now")
    lab.equal(riotd, at_least=2)


def test_r10_a_key_that_ends_the_connection_each_time_is_failed_and_no_other(lab, feed):
    target = lab.proxy(lab.target)
    riotd = lab.live(target=target, feed=feed)
    closed = []

    def close(connection, argv):
        if writes(b"poison")(connection, argv):
            closed.append(argv)
            connection.close()

    target.on_request = close
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "v") for i in range(25)] + [("SET", "poison", "v")] +
                    [("SET", f"l{i}", "v") for i in range(25)])
    until(lambda: len(closed) >= 8 or riotd.status()["totals"]["failed_keys"], 20, "the key is tried often")
    status = riotd.status()
    assert status["totals"]["failed_keys"] > 0, "a key that can never be written is tried for ever"
    assert status["totals"]["failed_keys"] == 1 and "poison" in str(status["failed_keys"]), "others are blamed for it"
    until(lambda: lab.target.dbsize() == 50, 10, "all others are copied")
    target.on_request = None
    lab.source.call("SET", "poison", "harmless")
    lab.equal(riotd, at_least=51)


@pytest.mark.parametrize("feed", ["tracking"])
def test_r10_that_all_connections_end_proves_nothing_against_a_key(lab, feed):
    target = lab.proxy(lab.target)
    riotd = lab.live(target=target, feed=feed)
    closed = []

    def close_all(connection, argv):
        if writes(b"k")(connection, argv):
            closed.append(argv)
            for one in target.live():
                one.close()

    target.on_request = close_all
    lab.source.call("SET", "k", "v")
    until(lambda: len(closed) >= 8 or riotd.status()["totals"]["failed_keys"], 60, "the key is tried often")
    assert riotd.status()["totals"]["failed_keys"] == 0, "failed, while the server closed every connection"
    target.on_request = None
    lab.equal(riotd, at_least=1)


# --- R11


def test_r11_an_expiry_is_a_moment_however_long_the_copy_takes(lab, feed):
    """The answer to the read and the write stay on the way for a while."""
    fill_keys(lab.source)
    source, target = lab.proxy(lab.source), lab.proxy(lab.target)
    riotd = lab.live(source, target, feed=feed)
    answers, sent = Hold(source, "down", reads(b"k7")), Hold(target, "up", writes(b"k7"))
    lab.source.call("PEXPIRE", "k7", 60_000)
    answers.wait()
    time.sleep(0.5)
    answers.release()
    sent.wait()
    time.sleep(0.5)
    sent.release()
    lab.equal(riotd, at_least=50, tolerance_ms=5)


def test_r11_a_key_s_last_millisecond_is_no_life_without_end(lab):
    """Before 7.0 there is PTTL, which is 0 then, and RESTORE takes 0 for never."""
    lab.source.call("SET", "k", "v", "PX", 3_600_000)
    proxy = lab.proxy(lab.source)

    def older(_, argv, value):
        if argv and argv[0].upper() == b"INFO" and isinstance(value, bytes) and b"redis_version:" in value:
            lines = [b"redis_version:6.2.14" if line.startswith(b"redis_version:") else line for line in value.split(b"\r\n")]
            return bulk(b"\r\n".join(lines))
        if argv and argv[0].upper() == b"EXEC":
            return reply([0 if isinstance(part, int) else part for part in value])
        return None

    proxy.on_reply = older
    riotd = lab.link(proxy, feed="none")
    riotd.wait_for(lambda s: s["state"] == "idle" and "one pass" in s["reason"], what="the pass is made")
    assert proxy.count("PTTL") > 0
    assert lab.target.call("PTTL", "k") != -1, "the key lives for ever"


def test_r11_without_a_feed_expiry_and_value_are_of_one_moment(lab):
    """The key is written, with an expiry this time, between the two questions; no mark will tell of it."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    hold = Hold(proxy, "up", reads(b"k7"))
    riotd = lab.link(proxy, feed="none")
    hold.wait()
    settle(lab.source)
    lab.source.call("SET", "k7", "new", "PX", 3_600_000)
    hold.release()
    riotd.wait_for(lambda s: s["state"] == "idle" and "one pass" in s["reason"], what="the pass is made")
    assert assert_equal(lab.source, lab.target) == 50


# --- R12


def test_r12_live_marks_are_not_starved_by_the_scan(lab, feed):
    """Counted is how many of the scan's keys are read before it."""
    with lab.source.raw() as client:
        fill.strings(client, 8000, size=20)
    proxy, read, most = lab.proxy(lab.source), [], 2000
    proxy.on_request = lambda _, argv: read.extend(values_read(argv))
    riotd = lab.link(proxy, feed=feed, limits__keys_per_s=400)
    until(lambda: len(read) > 200, 20, "the first copy is under way")
    for n in range(8):
        begin = len(read)
        lab.source.call("SET", "live", n, *UNTOLD)
        until(lambda b=begin: b"live" in read[b:] or len(read) > b + most, 30, "what is read next")
        assert b"live" in read[begin:begin + most], f"a live key waited for {most} of the scan"
        until(lambda n=n: lab.target.redis().get("live") == b"%d" % n, 10, "the live key")
    assert riotd.state == "snapshot", "the test was too slow to say anything"
    riotd.must("limit", "keys_per_s=0")
    lab.equal(riotd, at_least=8000)


def test_r12_the_scan_is_not_starved_by_live_marks(lab, feed):
    """All the while more keys change than may be copied."""
    names = [f"key:{i}" for i in range(1000)]
    with lab.source.raw() as client:
        fill.strings(client, len(names), size=20)
    riotd = lab.link(feed=feed, limits__keys_per_s=1000)
    stop = threading.Event()

    def write():
        with lab.source.raw() as client:
            while not stop.wait(0.01):
                client.must([("SET", f"live{i}", "v") for i in range(5000)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: lab.target.redis().exists(*names) == len(names), 30, "all keys of the snapshot are copied")
    finally:
        stop.set()
        writer.join()
    riotd.must("limit", "keys_per_s=0")
    lab.equal(riotd, at_least=6000)


def test_r12_a_hot_key_does_not_starve_cold_ones(lab, feed):
    """It is marked again each time it is in flight, and of all keys few may be copied."""
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed, limits__keys_per_s=10)  # so few that they go one by one
    hot = []

    def change(connection, argv):
        if reads(b"hot")(connection, argv):
            marks = riotd.status()["totals"]["marks"]
            lab.source.call("SET", "hot", len(hot), *UNTOLD)
            riotd.wait_for(lambda s: s["totals"]["marks"] > marks, what="the mark")
            hot.append(argv)

    proxy.on_request = change
    lab.source.call("SET", "hot", 0, *UNTOLD)
    until(lambda: len(hot) >= 3, 10, "the hot key is copied again and again")
    lab.source.call("EVAL", "for i = 1, 5 do redis.call('SET', 'cold' .. i, 1, 'KEEPTTL') end", 0)
    begin = len(hot)
    until(lambda: lab.target.dbsize() == 6 or len(hot) - begin >= 12, 20, "copying goes on")
    assert lab.target.dbsize() == 6, "the cold keys still wait"
    proxy.on_request = None
    riotd.must("limit", "keys_per_s=0")
    lab.equal(riotd, at_least=6)


# --- R14


def test_r14_what_was_changed_on_the_source_is_put_back_exactly(lab):
    lab.source.config(FLAGS, "Ex")
    before = lab.source.config(FLAGS)
    riotd = lab.live(feed="notify")
    assert lab.source.config(FLAGS) != before
    riotd.stop()
    assert lab.source.config(FLAGS) == before, "it is not as it was before riotd"


def test_r14_what_somebody_else_changed_meanwhile_is_left_alone_and_told(lab):
    riotd = lab.live(feed="notify")
    lab.source.config(FLAGS, "KEA")
    theirs = lab.source.config(FLAGS)
    riotd.stop()
    assert lab.source.config(FLAGS) == theirs, "what somebody else set is gone"
    assert "left" in riotd.log()


def test_r14_a_record_of_before_is_never_overwritten_by_a_later_start(lab):
    """kill -9, start, kill -9, start: what is put back in the end is what was there before the first."""
    lab.source.config(FLAGS, "Kx")
    before = lab.source.config(FLAGS)
    riotd = lab.live(feed="notify")
    for _ in range(2):
        riotd.kill()
        riotd.start().wait("live")
    riotd.stop()
    assert lab.source.config(FLAGS) == before, "it is not as it was before riotd"


def test_r14_what_is_about_to_change_is_recorded_first(lab):
    """The change is on its way when riotd dies, and is made then: the next start knows what was there before."""
    lab.source.config(FLAGS, "Kx")
    before = lab.source.config(FLAGS)
    proxy = lab.proxy(lab.source)
    hold = Hold(proxy, "up", begins(b"CONFIG", b"SET"))
    riotd = lab.link(proxy, feed="notify")
    hold.wait()
    riotd.kill()
    hold.release()
    settle(lab.source)
    assert lab.source.config(FLAGS) != before
    riotd.start().wait("live")
    riotd.stop()
    assert lab.source.config(FLAGS) == before, "it is not as it was before riotd"


def test_r14_no_key_of_its_own_is_left(lab, feed):
    fill_keys(lab.source)
    riotd = lab.live(feed=feed)
    lab.source.call("SET", "k0", "new")
    riotd.wait("drained")
    lab.source.kill_riotd_clients()
    riotd.wait("drained")
    riotd.stop()
    assert assert_equal(lab.source, lab.target) == 50, "a key of its own"
