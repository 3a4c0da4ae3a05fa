"""The rules that make it lossless, one by one: each test makes the moment happen in which breaking the rule loses data.

tests/rules has a patch for each that breaks it; `make check-rules` sees the test fail then.
"""

import json
import random
import threading
import time

import pytest

from kit import fill
from kit.compare import functions_of
from kit.wait import until
from kit.wire import READS, UNTOLD, WRITES, FLAGS, fill_keys, key_of, reads, values_read, writes, begins, Hold, settle, readings, count_reads


# --- R0

LIVE_BY = [("tracking", (b"CLIENT", b"TRACKING")), ("notify", (b"PSUBSCRIBE",)), ("psync", (b"PSYNC",))]


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


@pytest.mark.parametrize("feed, asks", LIVE_BY[:2])  # psync goes on where it was
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
    lab.source.call("SET", "k7", "first", *UNTOLD)
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
    source.on_request = lambda _, argv: read.extend(values_read(argv))
    lab.source.call("SET", "k7", "first", *UNTOLD)
    hold.wait()
    marks = riotd.status()["totals"]["marks"]
    for n in range(20):
        lab.source.call("SET", "k7", f"more {n}", *UNTOLD)
    riotd.wait_for(lambda s: s["totals"]["marks"] > marks, what="marks of the key in flight")
    lab.source.call("SET", "later", "v", *UNTOLD)
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
    hold.lost = time.monotonic()
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
    riotd = lab.live(target=proxy, feed=feed, target__timeout="3s")
    hold = lose_a_write(lab, proxy, "older")
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
    assert written[0] - hold.lost >= 6.0, "that was not twice the time-out"
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


def test_r2_what_one_node_lost_does_not_wait_for_another(lab):
    """The connection to node a is lost with a write, and to b; b's is known to be dead, a's is not: a's write waits on."""
    fill_keys(lab.source)
    lab.target = lab.cluster("target", primaries=2, mapped=True)
    key, beside = (next(k for n in range(50) if lab.target.owner_of(k := f"k{n + start}") is lab.target.nodes[0]) for start in (0, 25))
    node, other = lab.target.nodes
    node.call("ACL", "SETUSER", "default", "-client", "+client|id", "+client|setname")
    proxy, beyond = lab.proxy(node, "node", tcp=True), lab.proxy(other, "other", tcp=True)
    addresses = [f"127.0.0.1:{n.told}=127.0.0.1:{p.port}" for n, p in ((node, proxy), (other, beyond))]
    riotd = lab.live(target=proxy.tcp_url(), target__address_map=addresses, target__timeout="3s")
    hold = Hold(proxy, "up", writes(key.encode()))
    lab.source.call("SET", key, "older")
    hold.wait()
    role, again = hold.connection.role, Hold(proxy, "up", begins(b"CLIENT", b"ID"))
    hold.connection.cut_client()
    again.wait()
    killed = beyond.count("CLIENT")
    beyond.live(role)[0].close()
    until(lambda: beyond.count("CLIENT") >= killed + 3, 10, "the other's is killed")
    settle(other)
    written = []
    proxy.on_request = lambda c, argv: writes(key.encode())(c, argv) and written.append(argv)
    lab.source.call("SET", key, "newer")
    riotd.status()
    again.release()
    lab.source.call("SET", beside, "v")
    until(lambda: lab.target.call("GET", beside) == b"v", 10, "a key that was not outstanding")
    assert not written, "written again while the lost connection's write may still come"
    hold.release()
    until(lambda: lab.target.call("GET", key) == b"older", 5, "the late write")
    lab.equal(riotd, at_least=50)
    assert lab.target.call("GET", key) == b"newer"


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


def test_r2_a_killed_riotd_s_writes_that_cannot_be_killed_are_waited_for(lab):
    """CLIENT KILL and CLIENT LIST are refused: nothing is written before twice the time-out has passed."""
    fill_keys(lab.source)
    lab.target.call("ACL", "SETUSER", "default", "-client", "+client|id", "+client|setname")
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy, feed="notify", target__timeout="3s")
    hold = Hold(proxy, "up", writes(b"k7"))
    lab.source.call("SET", "k7", "older")
    hold.wait()
    riotd.kill()
    hold.connection.cut_client()
    lab.source.call("SET", "k7", "newer")
    written = []
    proxy.on_request = lambda c, argv: argv[0] in WRITES and written.append(argv)
    asked = proxy.count("CLIENT")
    riotd.start()
    until(lambda: any("earlier riotd" in c["message"] for c in riotd.status()["conditions"]) or written, 10, "it waits")
    assert proxy.count("CLIENT") > asked and not written, "written while an earlier riotd's write may still come"
    hold.release()
    until(lambda: lab.target.redis().get("k7") == b"older", 5, "the late write")
    riotd.wait("live")
    lab.equal(riotd, at_least=50)
    assert lab.target.redis().get("k7") == b"newer"


def test_r2_ids_of_connections_that_are_dead_are_forgotten(lab):
    riotd = lab.live(feed="notify")
    for n in range(4):
        lab.target.kill_riotd_clients("write")
        lab.source.call("SET", "k", n)
        until(lambda: lab.target.redis().get("k") == b"%d" % n, 10, "it writes again")
    with open(f"{riotd.state_dir}/test.json", encoding="utf-8") as file:
        ids = [c["client_id"] for c in json.load(file)["connections"] if c["side"] == "target"]
    assert 1 <= len(ids) <= 2, ids


def test_r2_a_lost_connection_s_functions_are_not_restored_after_newer_ones(lab):
    if not lab.source.has("FUNCTION") or not lab.target.has("FUNCTION"):
        pytest.skip("a server has no functions before 7.0")
    library = "#!lua name=one\nredis.register_function('f', function(keys, args) return {} end)"
    proxy = lab.proxy(lab.target)
    riotd = lab.live(target=proxy)
    hold = Hold(proxy, "up", begins(b"FUNCTION", b"RESTORE"))
    lab.source.call("FUNCTION", "LOAD", library.format(1))
    hold.wait()
    hold.connection.cut_client()
    lab.source.call("FUNCTION", "LOAD", "REPLACE", library.format(2))
    riotd.wait("drained")
    assert functions_of(lab.target) == functions_of(lab.source)
    hold.release()
    settle(lab.target)
    assert functions_of(lab.target) == functions_of(lab.source), "older functions were restored after newer ones"


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


@pytest.mark.parametrize("feed", ["tracking", "notify"])  # psync goes on where it was
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
    lab.source.call("SET", "k7", "newer", *UNTOLD)
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


@pytest.mark.parametrize("feed", ["tracking", "notify"])  # whose barriers have a half before the watch list
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
