"""Expiries are the same moment on both sides, kept, changed and lost as on the source."""

import time

from kit.compare import assert_equal
from kit.wait import until


def moment(server, key):
    """When a key expires, in ms since 1970; None: never."""
    if server.has("PEXPIRETIME"):
        at = server.call("PEXPIRETIME", key)
    else:
        with server.raw() as client:
            now, left = client.pipeline([("TIME",), ("PTTL", key)])
        at = left if left < 0 else int(now[0]) * 1000 + int(now[1]) // 1000 + left
    return None if at < 0 else at


def test_expiries_are_kept_to_5_ms_by_the_snapshot_and_by_the_feed(lab, feed):
    with lab.source.raw() as client:
        client.must([("SET", f"old{i}", i, "PX", 30_000 + 977 * i) for i in range(500)])
        client.must([("SET", f"soon{i}", i, "PX", 4000 + 7 * i) for i in range(500)])
    lab.live(feed=feed)
    with lab.source.raw() as client:
        client.must([("SET", f"new{i}", i, "PX", 30_000 + 977 * i) for i in range(500)])
    lab.equal(at_least=1000, tolerance_ms=5)


def test_an_expiry_is_not_moved_by_waiting_in_the_queue(lab, feed):
    lab.live(feed=feed)
    lab.target.freeze()
    lab.source.call("SET", "k", "v", "PX", 60_000)
    time.sleep(2)
    lab.target.thaw()
    lab.equal(at_least=1)
    assert abs(moment(lab.source, "k") - moment(lab.target, "k")) <= 5


def test_a_key_that_loses_its_expiry_loses_it_on_the_target(lab, feed):
    source = lab.source.redis()
    for name in ("persisted", "set", "getset"):
        source.set(name, "v", px=600_000)
    lab.live(feed=feed)
    source.persist("persisted")
    source.set("set", "w")
    source.getset("getset", "w")
    lab.equal(at_least=3)
    assert [moment(lab.target, name) for name in ("persisted", "set", "getset")] == [None] * 3


def test_a_changed_expiry_is_followed(lab, feed):
    source = lab.source.redis()
    source.mset({"gets": "1", "longer": "1", "shorter": "1", "list": "1"})
    source.pexpire("longer", 200_000)
    source.pexpire("shorter", 600_000)
    lab.live(feed=feed)
    source.pexpire("gets", 50_123)
    source.pexpire("longer", 900_321)
    source.pexpire("shorter", 100_777)
    source.pexpireat("list", int(time.time() * 1000) + 77_777)
    lab.equal(at_least=4)
    assert all(moment(lab.target, name) for name in ("gets", "longer", "shorter", "list"))


def test_a_key_that_expires_is_gone_on_both_sides(lab, feed):
    source = lab.source.redis()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i, "PX", 300 + i) for i in range(1000)])
        client.must([("SET", f"stays{i}", i) for i in range(100)])
    riotd = lab.live(feed=feed)
    with lab.source.raw() as client:
        client.must([("SET", f"n{i}", i, "PX", 1 + i % 50) for i in range(1000)])
    until(lambda: source.dbsize() == 100, 15, "the source has let the keys expire")
    lab.equal(riotd, at_least=100)
    until(lambda: lab.target.dbsize() == 100, 15, "the target too")


def test_no_key_becomes_immortal_in_its_last_milliseconds(lab, feed):
    """PTTL 0 is a key that still lives: read as an expiry of none, it would stay for ever."""
    riotd = lab.live(feed=feed)
    with lab.source.raw() as client:
        for i in range(60):
            client.must([("SET", f"k{i}:{j}", j, "PX", 1 + j % 4) for j in range(40)])
    until(lambda: lab.source.dbsize() == 0, 10)
    riotd.wait("drained")
    until(lambda: lab.target.dbsize() == 0, 5, "the target lets them go")


def test_an_expiry_in_the_past_deletes_the_key(lab, feed):
    source = lab.source.redis()
    source.mset({"a": 1, "b": 2, "c": 3})
    lab.live(feed=feed)
    source.pexpireat("a", 1000)
    source.expire("b", -1)
    lab.equal(at_least=1)
    assert lab.target.dbsize() == 1


def test_an_expiry_far_away_is_kept(lab):
    lab.source.call("SET", "k", "v")
    lab.source.call("PEXPIREAT", "k", 4_102_444_800_123)
    lab.live()
    assert_equal(lab.source, lab.target, tolerance_ms=5 if not lab.source.has("PEXPIRETIME") else 0)


def test_an_expired_key_that_is_written_again_lives(lab, feed):
    riotd = lab.live(feed=feed)
    source = lab.source.redis()
    for _ in range(20):
        source.set("k", "short", px=10)
        time.sleep(0.012)
        source.set("k", "long", px=60_000)
    lab.equal(riotd, at_least=1)
    assert lab.target.redis().get("k") == b"long"
