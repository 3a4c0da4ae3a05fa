"""The rules that make it lossless, one by one: each test makes the moment happen in which breaking the rule loses data.

tests/rules has a patch for each that breaks it; `make check-rules` sees the test fail then.
"""

import os
import random
import time

import pytest

from kit import fill
from kit.proxy import bulk
from kit.wait import until
from kit.wire import READS, FLAGS, fill_keys, key_of, reads, writes, begins, Hold, settle, readings, count_reads


# --- R0

LIVE_BY = [("tracking", (b"CLIENT", b"TRACKING")), ("notify", (b"PSUBSCRIBE",))]


@pytest.mark.parametrize("feed, asks", LIVE_BY)
def test_r0_nothing_is_read_before_the_feed_is_live(lab, feed, asks):
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    hold = Hold(proxy, "up", begins(*asks))
    riotd = lab.link(proxy, feed=feed)
    hold.wait()
    readings(proxy, 2)
    early = count_reads(proxy)
    # Whatever was read by now is not what stands here:
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "new") for i in range(50)])
    hold.release()
    riotd.wait("live")
    lab.equal(riotd, at_least=50)
    assert early == 0, "keys were read while their changes were not heard yet"


@pytest.mark.parametrize("feed, asks", LIVE_BY)
def test_r0_nor_does_a_resync_begin_before_it_is_live_again(lab, feed, asks):
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    hold = Hold(proxy, "up", begins(*asks))
    before = count_reads(proxy)
    proxy.live("feed")[0].close()
    hold.wait()
    readings(proxy, 2)
    early = count_reads(proxy) - before
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "new") for i in range(50)])
    hold.release()
    riotd.wait("live")
    lab.equal(riotd, at_least=50)
    assert early == 0, "the resync began while changes were not heard yet"


# --- R1


def test_r1_a_change_while_the_key_is_being_read_is_not_lost(lab, feed):
    """The server has answered a read with the old value, the answer is on its way, and the key changes."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    hold = Hold(proxy, "down", reads(b"k7"))
    lab.source.call("SET", "k7", "first")
    hold.answered(b"first")
    marks = riotd.status()["totals"]["marks"]
    lab.source.call("SET", "k7", "second")
    riotd.wait_for(lambda s: s["totals"]["marks"] > marks, what="the mark of the second change")
    hold.release()
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"second"


# --- R2


def test_r2_one_copy_of_a_key_at_a_time(lab, feed):
    """While the target has not answered for a key, its next read is not sent; keys marked later are read."""
    fill_keys(lab.source)
    source, target = lab.proxy(lab.source), lab.proxy(lab.target)
    riotd = lab.live(source, target, feed=feed)
    hold = Hold(target, "down", writes(b"k7"))
    read = []
    source.on_request = lambda _, argv: argv[0] in (b"DUMP", b"GET") and read.append(argv[1])
    lab.source.call("SET", "k7", "first")
    hold.wait()
    marks = riotd.status()["totals"]["marks"]
    for n in range(20):
        lab.source.call("SET", "k7", f"more {n}")
    riotd.wait_for(lambda s: s["totals"]["marks"] > marks, what="marks of the key in flight")
    lab.source.call("SET", "later", "v")
    until(lambda: b"later" in read, 10, "a key that was marked later is read")
    again = read.count(b"k7") - 1
    hold.release()
    lab.equal(riotd, at_least=51)
    assert lab.target.redis().get("k7") == b"more 19"
    assert again == 0, "the key was read again before the target had answered for it"


def lose_a_write(lab, proxy, value):
    """The write of k7 lies before the server, and the connection that it came by is lost."""
    hold = Hold(proxy, "up", writes(b"k7"))
    lab.source.call("SET", "k7", value)
    hold.wait()
    hold.connection.cut_client()
    return hold


def test_r2_a_lost_connection_s_writes_are_never_executed_after_newer_ones(lab, feed):
    """Our write lies in the server's socket buffer, we lose the connection, write a newer one on the next: the newer one stands."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)
    hold = lose_a_write(lab, proxy, "older")
    lab.source.call("SET", "k7", "newer")
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"newer"
    hold.release()  # and now the server gets what it had not read yet, if it still listens
    settle(lab.target)
    assert lab.target.redis().get("k7") == b"newer", "an older write was executed after it"


def test_r2_a_deletion_is_not_undone_by_a_lost_connection_s_write(lab, feed):
    fill_keys(lab.source)
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)
    hold = lose_a_write(lab, proxy, "older")
    lab.source.call("DEL", "k7")
    lab.equal(riotd, at_least=49)
    hold.release()
    settle(lab.target)
    assert not lab.target.redis().exists("k7"), "an older write was executed after the deletion"


def test_r2_where_nothing_can_be_killed_the_keys_outstanding_wait(lab, feed):
    """CLIENT KILL and CLIENT LIST are refused: what was outstanding is copied after twice the time-out, nothing else waits."""
    fill_keys(lab.source)
    lab.target.call("ACL", "SETUSER", "default", "-client", "+client|id", "+client|setname")
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed, target__timeout="1500ms")
    hold = lose_a_write(lab, proxy, "older")
    begin = time.monotonic()
    written = []
    proxy.on_request = lambda c, argv: writes(b"k7")(c, argv) and written.append(time.monotonic())
    lab.source.call("SET", "k7", "newer")
    lab.source.call("SET", "beside it", "v")
    until(lambda: lab.target.redis().exists("beside it"), 10, "a key that was not outstanding")
    assert not written, "written again while the lost connection's write may still come"
    assert riotd.ctl("wait", "--for", "drained", "--timeout", "500ms").returncode == 7
    hold.release()
    until(lambda: lab.target.redis().get("k7") == b"older", 5, "the late write")
    lab.equal(riotd, at_least=51)
    assert written[0] - begin >= 3.0, "that was not twice the time-out"
    assert lab.target.redis().get("k7") == b"newer"


def test_r2_what_cannot_be_killed_is_waited_for_while_it_is_listed(lab, feed):
    """CLIENT KILL is refused, CLIENT LIST is not: nothing is written until the lost connection has gone by itself."""
    fill_keys(lab.source)
    lab.target.call("ACL", "SETUSER", "default", "-client", "+client|id", "+client|setname", "+client|list")
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)
    hold = lose_a_write(lab, proxy, "older")
    written = []
    proxy.on_request = lambda c, argv: argv[0] in WRITES and written.append(argv)
    lab.source.call("SET", "k7", "newer")
    looks = proxy.count("CLIENT")
    until(lambda: proxy.count("CLIENT") > looks + 5 or written, 10, "it looks whether the lost connection is there")
    assert not written, "written while the lost connection lives"
    hold.release()
    settle(lab.target)
    hold.connection.close()
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"newer"


def test_r2_a_killed_riotd_s_writes_are_not_executed_after_newer_ones(lab, feed):
    """CLIENT LIST is refused, so that the state file alone knows the id of the connection that is left over."""
    fill_keys(lab.source)
    lab.target.call("ACL", "SETUSER", "default", "-client", "+client|id", "+client|setname", "+client|kill")
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)
    hold = Hold(proxy, "up", writes(b"k7"))
    lab.source.call("SET", "k7", "older")
    hold.wait()
    riotd.kill()
    hold.connection.cut_client()
    lab.source.call("SET", "k7", "newer")
    riotd.start().wait("live")
    lab.equal(riotd, at_least=50)
    hold.release()
    settle(lab.target)
    assert lab.target.redis().get("k7") == b"newer", "an older write was executed after it"


def test_r2_a_lost_connection_s_setting_is_not_executed_after_newer_ones(lab):
    """The same for what is changed on the source: flags are not set when they have been put back."""
    proxy = lab.proxy(lab.source)
    hold = Hold(proxy, "up", begins(b"CONFIG", b"SET"))
    riotd = lab.link(proxy, feed="notify")
    hold.wait()
    hold.connection.cut_client()
    riotd.wait("live")
    riotd.stop()
    assert lab.source.config(FLAGS) == ""
    hold.release()
    settle(lab.source)
    assert lab.source.config(FLAGS) == "", "set again by what was left in the lost connection"


# --- R3, R4


def test_r3_what_the_scan_found_is_copied_as_the_key_is_now(lab, feed):
    """The scan's read of a key is answered with the old value; a newer one, marked by the feed, stands in the end."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    hold = Hold(proxy, "down", reads(b"k7"))
    riotd = lab.link(proxy, feed=feed)
    hold.answered(b"old")
    marks = riotd.status()["totals"]["marks"]
    lab.source.call("SET", "k7", "new")
    lab.source.call("DEL", "k8")
    riotd.wait_for(lambda s: s["totals"]["marks"] >= marks + 2, what="the marks")
    hold.release()
    riotd.wait("live")
    lab.equal(riotd, at_least=49)
    assert lab.target.redis().get("k7") == b"new" and not lab.target.redis().exists("k8")


def test_r3_the_scan_s_mark_of_a_key_in_flight_counts(lab, feed):
    """A key is on its way, changes in a gap, and the resync's scan names it: it is read again."""
    fill_keys(lab.source)
    source, target = lab.proxy(lab.source), lab.proxy(lab.target)
    riotd = lab.live(source, target, feed=feed)
    hold = Hold(target, "down", writes(b"k7"))
    lab.source.call("SET", "k7", "first")
    hold.wait()
    source.refuse()
    lab.source.call("SET", "k7", "in the gap")
    source.refuse(False)
    riotd.wait_for(lambda s: s["snapshot"]["round"] == 2 and s["snapshot"]["scanned_keys"] == 50, what="the scan")
    hold.release()
    riotd.wait("live")
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"in the gap"


def test_r3_the_sweep_deletes_nothing_that_came_back_meanwhile(lab, feed):
    """The sweep's page of the target names a key that the source lacks; before it is looked at, the source has it."""
    fill_keys(lab.source)
    lab.target.call("SET", "back", "stale")
    proxy = lab.proxy(lab.target)
    hold = Hold(proxy, "down", begins(b"SCAN"))
    riotd = lab.link(target=proxy, feed=feed, target__existing_keys="replace")
    hold.answered(b"back")
    lab.source.call("SET", "back", "fresh")
    until(lambda: lab.target.redis().get("back") == b"fresh", 10, "the key is copied")
    hold.release()
    riotd.wait("live")
    lab.equal(riotd, at_least=51)
    assert lab.target.redis().get("back") == b"fresh"


def test_r3_what_the_sweep_found_missing_is_only_marked(lab, feed):
    """The source has said that it lacks a key; before riotd hears that, the key is there and copied."""
    fill_keys(lab.source)
    lab.target.call("SET", "back", "stale")
    proxy = lab.proxy(lab.source)
    hold = Hold(proxy, "down", lambda _, argv: argv[0] == b"EXISTS" and key_of(argv) == b"back")
    riotd = lab.link(proxy, feed=feed, target__existing_keys="replace")
    hold.answered(b":0")
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
    hold = Hold(proxy, "up", lambda c, argv: c.role == "read" and argv[0].decode() in READS + ("MULTI",))
    lab.source.call("SET", "k7", "newer")
    hold.wait()
    lab.source.call("DEL", "k7")
    hold.release()
    lab.equal(riotd, at_least=49)
    assert not lab.target.redis().exists("k7")


def test_r4_the_last_of_many_versions_is_that_it_is_gone(lab, feed):
    lab.source.call("SET", "k", "v0")
    riotd = lab.live(feed=feed)
    assert lab.target.redis().get("k") == b"v0"
    lab.target.freeze()
    with lab.source.raw() as client:
        client.must([("SET", "k", f"v{i}") for i in range(1, 1001)])
        client.call("DEL", "k")
    riotd.wait_for(lambda s: s["totals"]["marks"] > 0, what="marks")
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


def test_r6_a_barrier_that_ran_already_when_the_question_came_does_not_count(lab, feed):
    """The feed has proved for a first question that all was heard; what is written then is of the second's concern."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    (receiver,), (owner,) = proxy.live("feed"), proxy.live({"tracking": "tracking", "notify": "config"}[feed])
    hold = Hold(proxy, "down", lambda c, argv: c.role == "watch").wait()
    settle(lab.source)
    asked = sum(owner.commands.values())
    codes = {}

    def wait(name, timeout):
        codes[name] = riotd.ctl("wait", "--for", "drained", "--timeout", timeout).returncode

    first, second = threading.Thread(target=wait, args=("first", "30s")), threading.Thread(target=wait, args=("second", "1500ms"))
    first.start()
    until(lambda: sum(owner.commands.values()) > asked, 10, "the last question of the first barrier's first half")
    settle(lab.source)
    receiver.hold("down")
    lab.source.call("SET", "k7", "new")
    second.start()
    riotd.wait_for(lambda s: sum(o["state"] == "running" for o in s["operations"]) == 2, what="the second question")
    hold.release()
    second.join()
    receiver.release("down")
    first.join()
    assert codes == {"first": 0, "second": 7}, "drained, and a change before the question was not heard of"
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"new"


def test_r6_drained_includes_what_only_the_watch_list_tells(lab, feed):
    """Acknowledgements and a swap right before the question, each just after the list was read."""
    ids = ("1-1", "2-1", "3-1")
    with lab.source.raw() as client:
        client.must([("XADD", "s", n, "f", "v") for n in ids] + [("XGROUP", "CREATE", "s", "g", "0")] +
                    [("XREADGROUP", "GROUP", "g", "me", "STREAMS", "s", ">"), ("SET", "k", "v")])
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    for n in ids:
        readings(proxy)
        settle(lab.source)
        lab.source.call("XACK", "s", "g", n)
        lab.equal(riotd, at_least=2)
    readings(proxy)
    settle(lab.source)
    lab.source.call("SWAPDB", 0, 4)
    lab.equal(riotd, at_least=2)
    assert lab.target.dbsize(0) == 0


def test_r6_with_a_failed_key_it_is_not_drained(lab, feed):
    lab.target.config("proto-max-bulk-len", str(1024 * 1024))
    riotd = lab.live(feed=feed)
    lab.source.call("SET", "impossible", random.Random(1).randbytes(2 * 1024 * 1024))
    riotd.wait_for(lambda s: s["totals"]["failed_keys"] == 1, 10, "the failed key")
    assert riotd.ctl("wait", "--for", "drained", "--timeout", "700ms").returncode == 7, "drained, and a key failed"
    lab.source.call("DEL", "impossible")
    lab.equal(riotd)


# --- R7


def test_r7_sent_is_not_applied(lab, feed):
    """The target's answers are held back: written it may be, drained it is not."""
    fill_keys(lab.source)
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)
    hold = Hold(proxy, "down", writes(b"k7"))
    copied = riotd.status()["totals"]["copied_keys"]
    lab.source.call("SET", "k7", "new")
    hold.wait()
    until(lambda: lab.target.redis().get("k7") == b"new", 10)
    assert riotd.ctl("wait", "--for", "drained", "--timeout", "700ms").returncode == 7, "drained, and the target has not answered"
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


def test_r7_a_target_that_was_flushed_is_a_gap(lab, feed):
    fill_keys(lab.source)
    riotd = lab.live(feed=feed)
    lab.target.call("FLUSHALL")
    lab.equal(riotd, at_least=50)


def test_r7_a_target_that_evicted_keys_is_a_gap(lab, feed):
    with lab.source.raw() as client:
        fill.strings(client, 2000, size=1000)
    riotd = lab.live(feed=feed)
    lab.target.config("maxmemory-policy", "allkeys-random")
    lab.target.config("maxmemory", str(int(lab.target.info("memory")["used_memory"]) - 500_000))
    until(lambda: int(lab.target.info("stats")["evicted_keys"]) > 100, 10, "evictions")
    lab.target.config("maxmemory", "0")
    lab.equal(riotd, at_least=2000)


def test_r7_a_target_that_was_a_replica_meanwhile_is_a_gap(lab, feed):
    fill_keys(lab.source)
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed=feed)
    empty = lab.server("empty", tcp=True).start()
    empty.config("repl-diskless-sync-delay", "0")
    lab.target.call("REPLICAOF", "127.0.0.1", empty.port)
    until(lambda: not lab.target.dbsize(), 10, "the target has what its primary has: nothing")
    readings(proxy, 2)
    lab.target.call("REPLICAOF", "NO", "ONE")
    lab.equal(riotd, at_least=50)


def test_r7_a_target_that_was_restarted_without_its_data_is_a_gap(lab, feed):
    fill_keys(lab.source)
    riotd = lab.live(feed=feed)
    lab.target.restart(data=False)
    lab.equal(riotd, at_least=50)
<<<<<<< Updated upstream
=======


# --- R8


def change_unheard(lab, proxy, text, count=400):
    """What riotd does not hear: a third changes, a third goes."""
    proxy.refuse()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", text) for i in range(0, count, 3)] + [("DEL", f"k{i}") for i in range(1, count, 3)] +
                    [("SET", f"n{i}", text) for i in range(100)])
    proxy.refuse(False)


def test_r8_what_happened_while_nobody_listened_is_found(lab, feed):
    fill_keys(lab.source, 400)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    change_unheard(lab, proxy, "new")
    lab.equal(riotd, at_least=300)
    status = riotd.status()
    assert status["feed"]["gaps"] >= 1 and status["snapshot"]["round"] >= 2


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
    riotd.wait_for(lambda s: bounded(s)["feed"]["gaps"] >= 1, 5, "the gap that the overrun is")
    readings(proxy, 2)
    assert bounded(riotd.status())["snapshot"]["round"] == 1, "a resync begins while there is no room for it"
    lab.target.thaw()
    riotd.wait("drained")
    assert lab.target.dbsize() == 1000


def test_r9_the_scan_stops_ahead_of_the_copying(lab):
    """The target does not answer: the scan may not go on and fill the set, which is for the feed."""
    with lab.source.raw() as client:
        fill.strings(client, 40_000, size=20)
    source, target = lab.proxy(lab.source), lab.proxy(lab.target)
    hold = Hold(target, "down", begins(b"RESTORE"))
    riotd = lab.link(source, target)
    hold.wait()
    riotd.wait_for(lambda s: s["snapshot"]["scanned_keys"] > 14_000, what="the scan comes as far as it may")
    readings(source, 2)
    scanned, queued = riotd.status()["snapshot"]["scanned_keys"], riotd.status()["queue"]["dirty_keys"]
    hold.release()
    riotd.wait("live").wait("drained")
    assert lab.target.dbsize() == 40_000
    assert queued <= 16_384 and scanned <= 16_384 + 1024, f"{scanned} keys were scanned, {queued} wait"


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
    status = riotd.status()
    assert status["totals"]["failed_keys"] == 1 and status["blockers"], "the key is not told of"
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
    until(lambda: len(closed) >= 12 or riotd.status()["totals"]["failed_keys"], 20, "the key is tried often")
    status = riotd.status()
    assert status["totals"]["failed_keys"] > 0, "a key that can never be written is tried for ever"
    assert status["totals"]["failed_keys"] == 1 and "poison" in str(status["failed_keys"]), "others are blamed for it"
    until(lambda: lab.target.dbsize() == 50, 10, "all others are copied")
    target.on_request = None
    lab.source.call("SET", "poison", "harmless")
    lab.equal(riotd, at_least=51)


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
    until(lambda: len(closed) >= 8 or riotd.status()["totals"]["failed_keys"], 20, "the key is tried often")
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
    lab.source.call("SET", "k7", "v", "PX", 60_000)
    answers.wait()
    time.sleep(0.5)
    answers.release()
    sent.wait()
    time.sleep(0.5)
    sent.release()
    lab.equal(riotd, at_least=50, tolerance_ms=5)


def reply(value):
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(reply, value))
    return b":%d\r\n" % value if isinstance(value, int) else bulk(value)


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
    assert worst < 1.0 * SCALE, f"a live key waited for {worst:.1f} s"
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
        until(lambda: lab.target.redis().exists(*names) == len(names), 8, "all keys of the snapshot are copied")
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
            lab.source.call("SET", "hot", len(hot))
            riotd.wait_for(lambda s: s["totals"]["marks"] > marks, what="the mark")
            hot.append(argv)

    proxy.on_request = change
    lab.source.call("SET", "hot", 0)
    until(lambda: len(hot) >= 3, 10, "the hot key is copied again and again")
    lab.source.call("EVAL", "for i = 1, 5 do redis.call('SET', 'cold' .. i, 1) end", 0)
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


# --- whose the target is, and whose wish a deletion (CORRECTNESS 2)


def blocked(riotd):
    return {b["code"] for b in riotd.status()["blockers"]}


def theirs(server, count=300):
    with server.raw() as client:
        client.must([("SET", f"theirs{i}", i) for i in range(count)])


def test_a_target_with_keys_of_its_own_is_left_alone(lab):
    fill_keys(lab.source)
    theirs(lab.target)
    riotd = lab.link()
    status = riotd.wait_for(lambda s: s["state"] in ("failed", "live"), what="what becomes of it")
    assert status["state"] == "failed", "it was taken"
    assert blocked(riotd) == {"target_not_empty"}
    assert lab.target.dbsize() == 300


def test_the_target_is_written_down_as_ours_before_its_first_key(lab, feed):
    fill_keys(lab.source)
    proxy = lab.proxy(lab.target)
    hold = Hold(proxy, "down", begins(b"RESTORE"))
    riotd = lab.link(target=proxy, feed=feed)
    hold.wait()
    riotd.kill()
    until(lab.target.dbsize, 5, "a key was written")
    riotd.start()
    status = riotd.wait_for(lambda s: s["state"] in ("failed", "live"), what="what becomes of it")
    assert status["state"] == "live", "its own target is refused"
    lab.equal(riotd, at_least=50)


def test_another_server_at_the_target_s_address_is_not_emptied(lab, feed):
    fill_keys(lab.source)
    riotd = lab.live(feed=feed)
    lab.target.stop()
    lab.target.forget()
    other = lab.server("other").start()
    theirs(other)
    other.save()
    other.stop()
    os.replace(os.path.join(other.folder, "dump.rdb"), os.path.join(lab.target.folder, "dump.rdb"))
    lab.target.start()
    until(lambda: blocked(riotd) or lab.target.dbsize() < 300, 20, "what becomes of it")
    assert lab.target.dbsize() >= 300, "another's keys were deleted"
    assert blocked(riotd) == {"target_foreign"}


def test_a_source_that_lost_its_keys_deletes_none_until_accepted(lab, feed):
    fill_keys(lab.source, 300)
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    lab.source.restart(data=False)
    lab.source.call("SET", "new", "v")
    until(lambda: lab.target.redis().exists("new"), 20, "new keys are copied")
    readings(proxy, 2)
    assert lab.target.dbsize() == 301, "keys were deleted"
    assert blocked(riotd) == {"source_shrank"}
    riotd.must("resume", "--accept", "source_shrank")
    lab.equal(riotd)
    assert lab.target.dbsize() == 1


def test_a_merge_sweeps_nothing_and_a_gap_blocks_it(lab):
    fill_keys(lab.source)
    theirs(lab.target)
    riotd = lab.live(target__existing_keys="merge", feed="notify")
    assert not blocked(riotd)
    lab.source.kill_riotd_clients(":feed")
    riotd.wait_for(lambda s: s["feed"]["gaps"] and s["state"] == "live" and s["snapshot"]["round"] == 2, what="the resync")
    assert lab.target.dbsize() == 350, "a merge deleted what it had not written"
    assert blocked(riotd) == {"deletions_unknown"}, "what the gap means is not told"


# --- the watch list (CORRECTNESS 3)


def test_flags_that_are_taken_away_are_missed_within_seconds(lab):
    riotd = lab.live(feed="notify")
    lab.source.config(FLAGS, "")
    lab.source.call("SET", "unheard", "v")
    until(lambda: lab.target.redis().exists("unheard"), 4, "the resync")
    assert riotd.status()["feed"]["gaps"] >= 1


def test_tracking_that_the_server_ended_is_noticed_within_seconds(lab):
    """Its connections live, but it no longer tells of changes."""
    proxy = lab.proxy(lab.source)
    ended = threading.Event()

    def answer(_, argv, value):
        if not ended.is_set() or not argv or argv[-1].upper() not in (b"TRACKINGINFO", b"GETREDIR"):
            return None
        return reply([b"flags", [b"off"], b"redirect", -1, b"prefixes", []] if isinstance(value, list) else 0)

    proxy.on_reply = answer
    riotd = lab.live(proxy, feed="tracking")
    ended.set()
    riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1, 4, "the gap")
    ended.clear()
    riotd.wait_for(lambda s: s["state"] == "live" and s["snapshot"]["round"] >= 2, what="live again")
>>>>>>> Stashed changes
