"""Servers that restart, hang, refuse or cut us off: riotd waits, says for what, and goes on without losing a key."""

import random
import time

import pytest

from kit import fill
from kit.compare import assert_equal
from kit.server import target_binary
from kit.wait import until
from kit.workload import Workload


@pytest.fixture
def link(lab, feed):
    """A live link with 500 keys."""
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(500)])
        client.must([("SET", f"t{i}", i, "PX", 500_000 + i) for i in range(50)])
    return lab.live(feed=feed)


def change(lab, tag):
    """Writes, changes and deletes some keys."""
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", tag) for i in range(0, 100)] + [("DEL", f"k{i}") for i in range(100, 150)] +
                    [("SET", f"{tag}{i}", i) for i in range(50)])


def conditions(status):
    return " ".join(f"{c}" for c in status["conditions"])


# --- the source


def test_the_source_restarts_with_its_data(lab, link):
    change(lab, "before")
    lab.source.restart()
    change(lab, "after")
    lab.equal(link, at_least=400)
    assert link.status()["feed"]["gaps"] >= 1 or "is read again" in link.log()
    link.wait_state("live")


def test_what_changed_while_riotd_could_not_see_it_is_found(lab, link):
    """A restart without a trace in between: keys come, go and change before riotd is back."""
    lab.source.save()
    lab.source.stop()
    link.wait_for(lambda s: s["source"]["state"] != "up", what="the loss of the source")
    lab.source.start()
    change(lab, "at once")
    lab.equal(link, at_least=400)


def test_the_source_is_away_for_a_while_and_riotd_says_so(lab, link):
    lab.source.save()
    lab.source.stop()
    status = link.wait_for(lambda s: s["conditions"], what="a condition")
    assert status["state"] in ("live", "resync")
    assert "source" in conditions(status)
    time.sleep(1.5)
    lab.source.start()
    change(lab, "back")
    lab.equal(link, at_least=400)
    link.wait_for(lambda s: not s["conditions"], what="the end of the conditions")


def test_the_source_hangs_and_comes_back(lab, link):
    lab.source.freeze()
    status = link.wait_for(lambda s: s["conditions"], 60, "a condition")
    assert status["source"]["state"] in ("silent", "down"), status["source"]
    lab.source.thaw()
    change(lab, "thawed")
    lab.equal(link, at_least=400)
    link.wait_for(lambda s: not s["conditions"], what="the end of the conditions")


def test_a_short_hang_of_the_source_is_not_a_loss(lab, link):
    gaps = link.status()["feed"]["gaps"]
    lab.source.freeze()
    time.sleep(1.0)
    lab.source.thaw()
    change(lab, "thawed")
    lab.equal(link, at_least=400)
    assert link.status()["feed"]["gaps"] == gaps


def test_connections_to_the_source_are_killed(lab, link):
    for n in range(3):
        assert lab.source.kill_riotd_clients() >= 2
        change(lab, f"round{n}")
        lab.equal(link, at_least=400)


def test_each_connection_to_the_source_may_be_killed_alone(lab, link):
    roles = {c["name"].rpartition(":")[2] for c in lab.source.riotd_clients()}
    assert len(roles) >= 2
    for role in sorted(roles):
        until(lambda r=role: lab.source.kill_riotd_clients(":" + r), 10, f"the connection {role} is there again")
        change(lab, role)
        lab.equal(link, at_least=400)


def test_the_source_is_loading(lab, link):
    with lab.source.raw() as client:
        client.must([("SET", f"more{i}", i) for i in range(5000)])
    lab.equal(link, at_least=5000)
    lab.source.restart_slowly()
    link.wait_for(lambda s: "loading" in conditions(s).lower(), 20, "the condition that the source is loading")
    until(lab.source.answers, 30, "the source has loaded")
    change(lab, "loaded")
    lab.equal(link, at_least=5000)


def test_the_source_is_not_there_yet(lab, feed):
    source = lab.source
    source.call("SET", "k", "v")
    source.save()
    source.stop()
    riotd = lab.link(feed=feed)
    status = riotd.wait_for(lambda s: s["conditions"], what="a condition")
    assert status["state"] == "connecting"
    source.start()
    riotd.wait("live")
    lab.equal(riotd, at_least=1)


def test_the_source_drops_us_for_its_output_buffer(lab, feed):
    """A feed that is not read for a while is cut off by the server: a gap, told, and all is well again."""
    lab.source.config("client-output-buffer-limit", "pubsub 65536 0 0 replica 65536 0 0")
    riotd = lab.live(feed=feed)
    riotd.process.send_signal(19)  # it is not scheduled for a while
    with lab.source.raw() as client:
        fill.strings(client, 30_000, size=20, prefix="a-key-with-a-rather-long-name-so-that-the-buffer-of-the-feed-fills:")
    riotd.process.send_signal(18)
    status = riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1, what="a gap")
    assert status["feed"]["last_gap_reason"]
    lab.equal(riotd, at_least=30_000)
    riotd.wait_state("live")


def test_a_source_that_lost_its_data_is_not_followed_until_accepted(lab, link):
    """It came back with less than half of what it had: no deletion on the target until a person says so."""
    lab.source.restart(data=False)
    lab.source.call("SET", "new", "v")
    link.wait_for(lambda s: "source_shrank" in {b["code"] for b in s["blockers"]}, 20, "the blocker")
    until(lambda: lab.target.redis().get("new") == b"v", 10, "new keys are copied meanwhile")
    assert lab.target.dbsize() >= 551
    refused = link.ctl("resume", "--accept", "no_such_blocker")
    assert refused.returncode in (2, 6)
    link.must("resume", "--accept", "source_shrank")
    lab.equal(link, at_least=1)
    assert lab.target.dbsize() == 1


def test_a_flush_on_the_same_source_is_the_application_s_own_wish(lab, link):
    lab.source.call("FLUSHALL")
    lab.equal(link)
    assert lab.target.dbsize() == 0 and not link.blockers()


# --- the target


def test_the_target_restarts_with_its_data(lab, link):
    change(lab, "before")
    lab.equal(link)
    lab.target.restart()
    change(lab, "after")
    lab.equal(link, at_least=400)
    link.wait_state("live")


def test_the_target_restarts_without_its_data(lab, link):
    """All that was applied is gone: a gap, by R7, without a mark for it."""
    lab.equal(link, at_least=400)
    lab.target.restart(data=False)
    lab.equal(link, at_least=400)


def test_the_target_restarts_with_older_data(lab, link):
    lab.target.save()
    change(lab, "after the save")
    lab.equal(link)
    lab.target.stop()
    lab.target.start()
    lab.equal(link, at_least=400)


def test_the_target_is_flushed_by_somebody(lab, link):
    lab.equal(link, at_least=400)
    lab.target.call("FLUSHALL")
    lab.equal(link, at_least=400)
    link.wait_state("live")


def test_the_target_hangs_for_seconds(lab, link):
    lab.target.freeze()
    change(lab, "while it hangs")
    time.sleep(3)
    lab.target.thaw()
    lab.equal(link, at_least=400)


def test_the_target_hangs_beyond_the_time_out(lab, feed):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(200)])
    riotd = lab.live(feed=feed, target__timeout="1s")
    lab.target.freeze()
    change(lab, "while it hangs")
    riotd.wait_for(lambda s: s["conditions"], 15, "a condition")
    change(lab, "still")
    lab.target.thaw()
    lab.equal(riotd, at_least=150)
    riotd.wait_for(lambda s: not s["conditions"], what="the end of the conditions")


def test_connections_to_the_target_are_killed(lab, link):
    for n in range(3):
        assert lab.target.kill_riotd_clients() >= 1
        change(lab, f"round{n}")
        lab.equal(link, at_least=400)


def test_the_target_is_out_of_memory_until_it_has_more(lab, link):
    used = int(lab.target.info("memory")["used_memory"])
    lab.target.config("maxmemory", str(used + 300_000))
    with lab.source.raw() as client:
        fill.strings(client, 3000, size=1000, prefix="large:")
    status = link.wait_for(lambda s: s["conditions"] and s["totals"]["retries"] > 0, what="a condition and retries")
    assert "oom" in conditions(status).lower() or "memory" in conditions(status).lower()
    assert status["totals"]["failed_keys"] == 0
    lab.source.call("DEL", "k0", "k1")
    lab.target.config("maxmemory", "0")
    lab.equal(link, at_least=3000)
    link.wait_for(lambda s: not s["conditions"], what="the end of the conditions")


def test_the_target_is_read_only_until_it_is_not(lab, link):
    lab.target.call("REPLICAOF", "127.0.0.1", "1")
    change(lab, "while read-only")
    status = link.wait_for(lambda s: s["conditions"] or s["blockers"], what="a word about it")
    assert status["totals"]["failed_keys"] == 0
    lab.target.call("REPLICAOF", "NO", "ONE")
    lab.equal(link, at_least=400)
    link.wait_for(lambda s: not s["conditions"] and not s["blockers"], what="the end of it")


def test_the_target_is_loading(lab, link):
    with lab.source.raw() as client:
        client.must([("SET", f"more{i}", i) for i in range(5000)])
    lab.equal(link, at_least=5000)
    lab.target.restart_slowly()
    link.wait_for(lambda s: "loading" in conditions(s).lower(), 20, "the condition that the target is loading")
    change(lab, "while loading")
    until(lab.target.answers, 30, "the target has loaded")
    lab.equal(link, at_least=5000)


def test_the_target_is_not_there_yet(lab, feed):
    lab.source.call("SET", "k", "v")
    target = lab.server("target", target_binary())
    riotd = lab.link(target=target, feed=feed)
    status = riotd.wait_for(lambda s: s["conditions"], what="a condition")
    assert status["state"] == "connecting"
    lab.target = target.start()
    riotd.wait("live")
    lab.equal(riotd, at_least=1)


def test_a_target_of_somebody_else_at_the_same_address_is_not_emptied(lab, link):
    """The address now leads to another server with keys of its own."""
    lab.equal(link, at_least=400)
    lab.target.stop()
    lab.target.forget()
    other = lab.server("other").start()
    with other.raw() as client:
        client.must([("SET", f"theirs{i}", i) for i in range(3000)])
    other.save()
    other.stop()
    import os  # pylint: disable=import-outside-toplevel
    os.replace(os.path.join(other.folder, "dump.rdb"), os.path.join(lab.target.folder, "dump.rdb"))
    lab.target.start()
    link.wait_for(lambda s: "target_foreign" in {b["code"] for b in s["blockers"]}, 20, "the blocker target_foreign")
    time.sleep(1)
    with lab.target.raw() as client:
        assert sum(client.pipeline([("EXISTS", f"theirs{i}") for i in range(3000)])) == 3000


def test_the_target_evicts_keys(lab, link):
    """Its policy was changed under way: what it evicted is a gap, and comes back when there is room."""
    lab.equal(link, at_least=400)
    used = int(lab.target.info("memory")["used_memory"])
    lab.target.config("maxmemory-policy", "allkeys-random")
    lab.target.config("maxmemory", str(used + 200_000))
    with lab.source.raw() as client:
        fill.strings(client, 2000, size=1000, prefix="large:")
    until(lambda: int(lab.target.info("stats")["evicted_keys"]) > 0, 10, "evictions")
    lab.target.config("maxmemory-policy", "noeviction")
    lab.target.config("maxmemory", "0")
    lab.equal(link, at_least=2400)


# --- both, and under load


def test_everything_restarts_while_writers_run(lab, feed):
    riotd = lab.live(feed=feed)
    with Workload(lab.source, writers=2, keys=3000, rate=2000):
        time.sleep(1)
        lab.target.restart()
        time.sleep(1)
        lab.source.restart()
        time.sleep(1)
        lab.target.kill_riotd_clients()
        lab.source.kill_riotd_clients()
        time.sleep(1)
    lab.equal(riotd, at_least=1000)


def test_connections_are_cut_in_the_middle_of_what_they_carry(lab, feed):
    """Of a request, of a reply, of a mark, at any byte; from the first connection on, through the first pass, and live."""
    draw = random.Random(19)
    source, target = proxies = lab.proxy(lab.source), lab.proxy(lab.target)

    def count():
        return sum(len(proxy.connections) for proxy in proxies)

    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "x" * (i % 300)) for i in range(3000)])
    for proxy in proxies:
        proxy.cut_after = lambda: int(10 ** draw.uniform(2, 5))
    riotd = lab.link(source.url(), target.url(), feed=feed)
    until(lambda: count() > 15, 20, "connections that are cut")
    for proxy in proxies:
        proxy.cut_after = lambda: int(10 ** draw.uniform(3, 6))
    with Workload(lab.source, writers=2, keys=3000, rate=2000):
        before = count()
        until(lambda: count() > before + 12, 20, "more of them")
    for proxy in proxies:
        proxy.cut_after = None
        proxy.refuse()
        proxy.refuse(False)
    lab.equal(riotd, at_least=3000)


@pytest.mark.parametrize("feed", ["tracking"])  # the fault is the target's
def test_a_fault_is_told_once_and_its_end_once(lab, link):
    lab.target.save()
    lab.target.stop()
    link.wait_for(lambda s: s["conditions"], what="a condition")
    change(lab, "x")
    time.sleep(3)
    lab.target.start()
    lab.equal(link)
    lines = [line for line in link.log().splitlines() if "refused" in line or "No such file" in line]
    assert len(lines) <= 3, lines


@pytest.mark.parametrize("feed", ["tracking", "notify"])  # psync goes on where it was
def test_a_gap_inside_a_resync_begins_it_anew(lab, feed):
    """Keys that the resync had passed already change while nobody looks."""
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(3000)])
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy, feed=feed)
    riotd.must("limit", "keys_per_s=500")
    proxy.refuse()
    proxy.refuse(False)
    riotd.wait_state("resync")
    time.sleep(0.7)
    proxy.refuse()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "changed in the gap") for i in range(0, 3000, 7)] + [("DEL", f"k{i}") for i in range(1, 3000, 7)])
    proxy.refuse(False)
    riotd.must("limit", "keys_per_s=0")
    lab.equal(riotd, at_least=2500)


def test_snapshot_goes_on_after_the_target_was_lost_in_its_middle(lab, feed):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(5000)])
    riotd = lab.link(feed=feed, limits__keys_per_s=2000)
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] > 500, what="some keys copied")
    lab.target.kill_riotd_clients()
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] > 2000, what="more keys copied")
    lab.target.restart()
    riotd.must("limit", "keys_per_s=0")
    riotd.wait("live")
    assert assert_equal(lab.source, lab.target) == 5000
