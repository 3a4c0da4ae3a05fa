"""Sections 2 and 3 of the rules: whose the target is, whose wish a deletion is, and what a feed cannot see."""

import os
import threading

from kit.proxy import reply
from kit.wait import until
from kit.wire import FLAGS, WRITES, fill_keys, Hold, readings


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
    hold = Hold(proxy, "down", lambda _, argv: argv[0] in WRITES)
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
    until(lambda: lab.target.redis().exists("unheard"), 10, "the resync")
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
    riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1, 10, "the gap")
    ended.clear()
    riotd.wait_for(lambda s: s["state"] == "live" and s["snapshot"]["round"] >= 2, what="live again")
