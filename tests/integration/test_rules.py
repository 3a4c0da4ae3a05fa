"""The rules that make it lossless, one by one: each test makes the moment happen in which breaking the rule loses data.

tests/rules has a patch for each that breaks it; `make check-rules` sees the test fail then.
"""

import os
import threading
import time

import pytest

from kit import fill
from kit.compare import assert_equal
from kit.wait import SCALE, until

READS = ("DUMP", "GET", "PEXPIRETIME", "PTTL")


def fill_keys(server, count=50, db=0):
    with server.raw(db) as client:
        client.must([("SET", f"k{i}", "old") for i in range(count)])


class Hold:
    """Holds a way of a connection from the first request on that `wanted` accepts; `hit` tells that it happened."""

    def __init__(self, proxy, way, wanted):
        self.proxy, self.way, self.wanted = proxy, way, wanted
        self.hit = threading.Event()
        self.connection = None
        proxy.on_request = self

    def __call__(self, connection, argv):
        if not self.hit.is_set() and self.wanted(connection, argv):
            connection.hold(self.way)
            self.connection = connection
            self.hit.set()

    def wait(self, timeout=15):
        assert self.hit.wait(timeout * SCALE), "what the test holds back was never sent"
        return self

    def release(self):
        self.proxy.on_request = None
        self.connection.release(self.way)


def key_of(argv):
    return argv[1] if len(argv) > 1 else b""


# --- R0


@pytest.mark.parametrize("feed, asks", [("tracking", (b"CLIENT", b"TRACKING")), ("notify", (b"PSUBSCRIBE",))])
def test_r0_nothing_is_read_before_the_feed_is_live(lab, feed, asks):
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    hold = Hold(proxy, "up", lambda _, argv: tuple(word.upper() for word in argv[:len(asks)]) == asks)
    riotd = lab.link(proxy, feed=feed)
    hold.wait()
    time.sleep(1.0)
    scans, reads = proxy.count("SCAN"), sum(proxy.count(verb) for verb in READS)
    # Whatever was read by now is not what stands here:
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "new") for i in range(50)])
    hold.release()
    riotd.wait("live")
    lab.equal(riotd, at_least=50)
    assert scans == reads == 0, "keys were read while their changes were not heard yet"


# --- R1


def test_r1_a_change_while_the_key_is_being_read_is_not_lost(lab, feed):
    """The server has answered a read with the old value, the answer is on its way, and the key changes."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    hold = Hold(proxy, "down", lambda _, argv: argv[0] in (b"DUMP", b"GET") and key_of(argv) == b"k7")
    lab.source.call("SET", "k7", "first")
    hold.wait()
    until(lambda: hold.connection.waiting["down"], 10, "the answer to the read")
    marks = riotd.status()["totals"]["marks"]
    lab.source.call("SET", "k7", "second")
    riotd.wait_for(lambda s: s["totals"]["marks"] > marks, what="the mark of the second change")
    hold.release()
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"second"


# --- R2


def test_r2_one_copy_of_a_key_at_a_time(lab, feed):
    """While the target has not answered for a key, its next read is not sent."""
    fill_keys(lab.source)
    source, target = lab.proxy(lab.source), lab.proxy(lab.target)
    riotd = lab.live(source, target, feed=feed)
    hold = Hold(target, "down", lambda _, argv: argv[0] == b"RESTORE" and key_of(argv) == b"k7")
    reads = []
    source.on_request = lambda _, argv: argv[0] in (b"DUMP", b"GET") and key_of(argv) == b"k7" and reads.append(argv)
    lab.source.call("SET", "k7", "first")
    hold.wait()
    assert len(reads) == 1
    for n in range(20):
        lab.source.call("SET", "k7", f"more {n}")
        time.sleep(0.02)
    time.sleep(0.3)
    assert len(reads) == 1, "the key was read again before the target had answered for it"
    hold.release()
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"more 19"


def test_r2_a_lost_connection_s_writes_are_never_executed_after_newer_ones(lab, feed):
    """Our write lies in the server's socket buffer, we lose the connection, write a newer one on the next: the newer one stands."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)
    hold = Hold(proxy, "up", lambda _, argv: argv[0] in (b"RESTORE", b"SET") and key_of(argv) == b"k7")
    lab.source.call("SET", "k7", "older")
    hold.wait()
    proxy.on_request = None
    hold.connection.cut_client()
    lab.source.call("SET", "k7", "newer")
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"newer"
    hold.connection.release("up")  # and now the server gets what it had not read yet, if it still listens
    time.sleep(0.5)
    assert lab.target.redis().get("k7") == b"newer"


def test_r2_a_deletion_is_not_undone_by_a_lost_connection_s_write(lab, feed):
    fill_keys(lab.source)
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)
    hold = Hold(proxy, "up", lambda _, argv: argv[0] in (b"RESTORE", b"SET") and key_of(argv) == b"k7")
    lab.source.call("SET", "k7", "older")
    hold.wait()
    proxy.on_request = None
    hold.connection.cut_client()
    lab.source.call("DEL", "k7")
    lab.equal(riotd, at_least=49)
    hold.connection.release("up")
    time.sleep(0.5)
    assert not lab.target.redis().exists("k7")


# --- R3, R4


def test_r3_what_the_scan_found_is_copied_as_the_key_is_now(lab, feed):
    """The scan's read of a key is answered with the old value; a newer one, marked by the feed, stands in the end."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    hold = Hold(proxy, "down", lambda _, argv: argv[0] in (b"DUMP", b"GET") and key_of(argv) == b"k7")
    riotd = lab.link(proxy, feed=feed)
    hold.wait()
    until(lambda: hold.connection.waiting["down"], 10, "the answer to the read")
    marks = riotd.status()["totals"]["marks"]
    lab.source.call("SET", "k7", "new")
    lab.source.call("DEL", "k8")
    riotd.wait_for(lambda s: s["totals"]["marks"] >= marks + 2, what="the marks")
    hold.release()
    riotd.wait("live")
    lab.equal(riotd, at_least=49)
    assert lab.target.redis().get("k7") == b"new" and not lab.target.redis().exists("k8")


def test_r3_the_sweep_deletes_nothing_that_came_back_meanwhile(lab, feed):
    """The sweep's page of the target names a key that the source lacks; before it is looked at, the source has it."""
    fill_keys(lab.source)
    lab.target.call("SET", "back", "stale")
    proxy = lab.proxy(lab.target)
    hold = Hold(proxy, "down", lambda _, argv: argv[0] == b"SCAN")
    riotd = lab.link(target=proxy, feed=feed, target__existing_keys="replace")
    hold.wait()
    until(lambda: hold.connection.waiting["down"], 10, "the page")
    lab.source.call("SET", "back", "fresh")
    until(lambda: lab.target.redis().get("back") == b"fresh", 10, "the key is copied")
    hold.release()
    riotd.wait("live")
    lab.equal(riotd, at_least=51)
    assert lab.target.redis().get("back") == b"fresh"


def test_r4_a_key_that_is_gone_when_it_is_read_is_deleted(lab, feed):
    """Marked as written, gone before it is read: what the target has of it goes too."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    hold = Hold(proxy, "up", lambda _, argv: argv[0] in READS_OR_MULTI and key_of(argv) in (b"k7", b""))
    lab.source.call("SET", "k7", "newer")
    hold.wait()
    lab.source.call("DEL", "k7")
    hold.release()
    lab.equal(riotd, at_least=49)
    assert not lab.target.redis().exists("k7")


READS_OR_MULTI = tuple(verb.encode() for verb in READS) + (b"MULTI",)


def test_r4_the_last_of_many_versions_is_that_it_is_gone(lab, feed):
    riotd = lab.live(feed=feed)
    lab.target.freeze()
    with lab.source.raw() as client:
        client.must([("SET", "k", f"v{i}") for i in range(1, 1001)])
        client.call("DEL", "k")
    time.sleep(0.3)
    lab.target.thaw()
    lab.equal(riotd)
    assert not lab.target.redis().exists("k")


# --- R6


def test_r6_drained_waits_for_marks_that_are_still_under_way(lab, feed):
    """The feed's messages are held back: nothing is dirty, nothing in flight, and yet it is not drained."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    (receiver,) = proxy.live("feed")
    receiver.hold("down")
    lab.source.call("SET", "k7", "new")
    done = riotd.ctl("wait", "--for", "drained", "--timeout", "1s")
    assert done.returncode == 7, "drained, and a change was not heard of"
    receiver.release("down")
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"new"


def test_r6_drained_means_that_every_write_before_the_question_is_there(lab, feed):
    riotd = lab.live(feed=feed)
    for n in range(40):
        lab.source.call("SET", f"k{n % 7}", n)
        lab.source.call("SET", "other db", n, db=3)
        riotd.wait("drained")
        assert lab.target.redis().get(f"k{n % 7}") == str(n).encode()
        assert lab.target.redis(db=3).get("other db") == str(n).encode()


def test_r6_drained_includes_what_only_the_watch_list_tells(lab, feed):
    """A swap and an acknowledgement right before the question."""
    with lab.source.raw() as client:
        client.must([("XADD", "s", "1-1", "f", "v"), ("XGROUP", "CREATE", "s", "g", "0"),
                     ("XREADGROUP", "GROUP", "g", "me", "STREAMS", "s", ">"), ("SET", "k", "v")])
    riotd = lab.live(feed=feed)
    lab.source.call("XACK", "s", "g", "1-1")
    lab.equal(riotd, at_least=2)
    lab.source.call("SWAPDB", 0, 4)
    lab.equal(riotd, at_least=2)
    assert lab.target.dbsize(0) == 0


# --- R7


def test_r7_sent_is_not_applied(lab, feed):
    """The target's answers are held back: written it may be, drained it is not."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)
    hold = Hold(proxy, "down", lambda _, argv: argv[0] == b"RESTORE" and key_of(argv) == b"k7")
    copied = riotd.status()["totals"]["copied_keys"]
    lab.source.call("SET", "k7", "new")
    hold.wait()
    until(lambda: lab.target.redis().get("k7") == b"new", 10)
    assert riotd.ctl("wait", "--for", "drained", "--timeout", "700ms").returncode == 7
    assert riotd.status()["totals"]["copied_keys"] == copied
    hold.release()
    lab.equal(riotd, at_least=50)


def test_r7_a_write_that_the_target_refused_is_not_applied(lab, feed):
    riotd = lab.live(feed=feed)
    lab.target.call("REPLICAOF", "127.0.0.1", "1")
    lab.source.call("SET", "k", "v")
    assert riotd.ctl("wait", "--for", "drained", "--timeout", "1s").returncode == 7
    lab.target.call("REPLICAOF", "NO", "ONE")
    lab.equal(riotd, at_least=1)


def test_r7_a_target_that_lost_what_was_applied_is_a_gap(lab, feed):
    fill_keys(lab.source)
    riotd = lab.live(feed=feed)
    lab.target.call("FLUSHALL")
    lab.equal(riotd, at_least=50)
    lab.target.restart(data=False)
    lab.equal(riotd, at_least=50)


# --- R8


def test_r8_what_happened_while_nobody_listened_is_found(lab, feed):
    fill_keys(lab.source, 400)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    proxy.refuse()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "new") for i in range(0, 400, 3)] + [("DEL", f"k{i}") for i in range(1, 400, 3)] +
                    [("SET", f"n{i}", "new") for i in range(100)])
    proxy.refuse(False)
    lab.equal(riotd, at_least=300)
    status = riotd.status()
    assert status["feed"]["gaps"] >= 1 and status["snapshot"]["round"] >= 2


def test_r8_a_gap_in_a_resync_begins_it_anew(lab, feed):
    """The second gap comes when the resync has passed the keys that change in it."""
    fill_keys(lab.source, 2000)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    riotd.must("limit", "keys_per_s=1000")
    rounds = riotd.status()["snapshot"]["round"]
    proxy.refuse()
    proxy.refuse(False)
    copied = riotd.wait_for(lambda s: s["state"] == "resync" and s["snapshot"]["round"] > rounds)["totals"]["copied_keys"]
    status = riotd.wait_for(lambda s: s["totals"]["copied_keys"] > copied + 1200 or s["state"] == "live", what="most of the resync")
    assert status["state"] == "resync"
    proxy.refuse()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "in the second gap") for i in range(0, 2000, 2)] + [("DEL", f"k{i}") for i in range(1, 2000, 2)])
    proxy.refuse(False)
    riotd.must("limit", "keys_per_s=0")
    lab.equal(riotd, at_least=1000)
    assert lab.target.dbsize() == 1000


def test_r8_a_set_that_overran_is_a_gap_and_everything_arrives(lab, feed):
    riotd = lab.live(feed=feed, limits__memory="16MiB")
    riotd.must("pause")
    with lab.source.raw() as client:
        for base in range(0, 40_000, 2000):
            client.must([("SET", f"{i:06d}:" + "n" * 900, i) for i in range(base, base + 2000)], depth=2000)
        client.must([("SET", f"{i:06d}:" + "n" * 900, "last") for i in range(0, 40_000, 100)])
        client.must([("DEL", f"{i:06d}:" + "n" * 900) for i in range(1, 40_000, 100)])
    riotd.must("resume")
    lab.equal(riotd, at_least=39_000, timeout=90)
    assert riotd.status()["snapshot"]["round"] >= 2


# --- R9


def test_r9_memory_is_bounded_by_the_limit(lab, feed):
    riotd = lab.live(feed=feed, limits__memory="16MiB")
    lab.target.freeze()
    with lab.source.raw() as client:
        for base in range(0, 50_000, 2000):
            client.must([("SET", f"{i:06d}:" + "n" * 900, i) for i in range(base, base + 2000)], depth=2000)
            queue = riotd.status()["queue"]
            assert queue["memory_bytes"] <= queue["memory_limit_bytes"] == 16 * 1024 * 1024
    riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1, 30, "the gap that the overrun is")
    lab.target.thaw()
    lab.equal(riotd, at_least=50_000, timeout=90)


def test_r9_the_scan_stops_ahead_of_the_copying(lab):
    """The target hangs: the scan may not go on and fill the set, which is for the feed."""
    with lab.source.raw() as client:
        fill.strings(client, 120_000, size=20)
    proxy = lab.proxy(lab.target)
    hold = Hold(proxy, "down", lambda _, argv: argv[0] == b"RESTORE")
    riotd = lab.link(target=proxy)
    hold.wait()
    time.sleep(1.5)
    assert riotd.status()["queue"]["dirty_keys"] <= 25_000
    hold.release()
    riotd.wait("live")


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
    lab.source.call("SET", "impossible", os.urandom(2_000_000))
    lab.source.call("SET", "beside it", "v")
    status = riotd.wait_for(lambda s: s["totals"]["failed_keys"] == 1 and s["blockers"], what="the failed key")
    assert "impossible" in str(status["failed_keys"])
    until(lambda: lab.target.redis().exists("beside it"), 10)
    assert riotd.ctl("wait", "--for", "drained", "--timeout", "1s").returncode == 7
    lab.source.call("SET", "impossible", "small now")
    lab.equal(riotd, at_least=2)


# --- R11


def test_r11_an_expiry_is_a_moment_however_long_the_copy_takes(lab, feed):
    fill_keys(lab.source)
    source, target = lab.proxy(lab.source), lab.proxy(lab.target)
    riotd = lab.live(source, target, feed=feed)
    answers = Hold(source, "down", lambda _, argv: argv[0] in (b"DUMP", b"GET") and key_of(argv) == b"k7")
    writes = Hold(target, "up", lambda _, argv: argv[0] in (b"RESTORE", b"SET") and key_of(argv) == b"k7")
    lab.source.call("SET", "k7", "v", "PX", 60_000)
    answers.wait()
    time.sleep(0.7)
    answers.release()
    writes.wait()
    time.sleep(0.7)
    writes.release()
    lab.equal(riotd, at_least=50, tolerance_ms=5)


# --- R12


def test_r12_live_marks_are_not_starved_by_the_scan(lab, feed):
    with lab.source.raw() as client:
        fill.strings(client, 8000, size=20)
    riotd = lab.link(feed=feed, limits__keys_per_s=2000)
    riotd.wait_for(lambda s: s["state"] == "snapshot" and s["totals"]["copied_keys"] > 200)
    worst = 0.0
    for n in range(8):
        lab.source.call("SET", "live", n)
        begin = time.monotonic()
        until(lambda n=n: lab.target.redis().get("live") == b"%d" % n, 10, "the live key")
        worst = max(worst, time.monotonic() - begin)
    assert riotd.state == "snapshot", "the test was too slow to say anything"
    assert worst < 1.0 * SCALE
    riotd.must("limit", "keys_per_s=0")
    lab.equal(riotd, at_least=8000)


def test_r12_the_scan_is_not_starved_by_live_marks(lab, feed):
    with lab.source.raw() as client:
        fill.strings(client, 3000, size=20)
    riotd = lab.link(feed=feed, limits__keys_per_s=2000)
    stop = threading.Event()

    def write():
        with lab.source.raw() as client:
            n = 0
            while not stop.is_set():  # more different keys a second than may be copied
                client.must([("SET", f"live{n % 20_000 + i}", n) for i in range(200)])
                n += 200
                time.sleep(0.04)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: sum(lab.target.redis().exists(*[f"key:{i}" for i in range(base, base + 500)]) for base in range(0, 3000, 500)) == 3000,
              12, "all keys of the snapshot are copied")
    finally:
        stop.set()
        writer.join()
    riotd.must("limit", "keys_per_s=0")
    lab.equal(riotd, at_least=3000)


def test_r12_a_hot_key_does_not_starve_cold_ones(lab, feed):
    riotd = lab.live(feed=feed, limits__keys_per_s=500)
    stop = threading.Event()

    def write():
        with lab.source.raw() as client:
            n = 0
            while not stop.is_set():
                client.must([("SET", "hot", n + i) for i in range(50)])
                n += 50
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(10):
            lab.source.call("SET", f"cold{n}", n)
            until(lambda n=n: lab.target.redis().get(f"cold{n}") == b"%d" % n, 2, "a cold key")
    finally:
        stop.set()
        writer.join()
    lab.equal(riotd, at_least=11)


# --- R14


def test_r14_what_was_changed_on_the_source_is_put_back_exactly(lab):
    lab.source.config("notify-keyspace-events", "Ex")
    before = lab.source.config("notify-keyspace-events")
    riotd = lab.live(feed="notify")
    assert lab.source.config("notify-keyspace-events") != before
    riotd.stop()
    assert lab.source.config("notify-keyspace-events") == before


def test_r14_what_somebody_else_changed_meanwhile_is_left_alone_and_told(lab):
    riotd = lab.live(feed="notify")
    lab.source.config("notify-keyspace-events", "KEA")
    theirs = lab.source.config("notify-keyspace-events")
    riotd.stop()
    assert lab.source.config("notify-keyspace-events") == theirs
    assert "left" in riotd.log()


def test_r14_a_record_of_before_is_never_overwritten_by_a_later_start(lab):
    """kill -9, start, kill -9, start: what is put back in the end is what was there before the first."""
    lab.source.config("notify-keyspace-events", "Kx")
    before = lab.source.config("notify-keyspace-events")
    riotd = lab.live(feed="notify")
    for _ in range(2):
        riotd.kill()
        riotd.start().wait("live")
    riotd.stop()
    assert lab.source.config("notify-keyspace-events") == before


def test_r14_no_key_of_its_own_is_left(lab, feed):
    fill_keys(lab.source)
    riotd = lab.live(feed=feed)
    lab.source.call("SET", "k0", "new")
    riotd.wait("drained")
    lab.source.kill_riotd_clients()
    riotd.wait("drained")
    riotd.stop()
    assert assert_equal(lab.source, lab.target) == 50
