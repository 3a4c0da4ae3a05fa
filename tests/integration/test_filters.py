"""filter.include, filter.exclude, filter.types: what is in scope is copied, compared and swept; what is out of scope on the target is never touched."""

import os

import pytest

from kit import rights
from kit.compare import assert_equal, compare
from kit.wait import until
from kit.workload import Workload

# Written in the file as they stand: single quotes, so that a backslash is one.
NAMES = {"filter__include": ["'user:*'", r"'\xff*'", "'cart:[0-9]*'"], "filter__exclude": ["'*:tmp'", r"'*\x00'"]}
BINARY = [b"\xff", b"\xff\r\n\xfe", b"user:\x00\xff*?[", b"user:" + b"x" * 3000]
OUTSIDE = [b"other", b"User:1", b"user:1:tmp", b"\xff\x00", b"cart:x", b"\xfe\xff", b"", b"*"]
TYPES = {"filter__types": ["string", "zset"]}
LONG = os.urandom(40_000)  # longer than what is read in one piece


def in_scope(name):
    return (name[:5] == b"user:" or name[:1] == b"\xff" or (name[:5] == b"cart:" and name[5:6].isdigit())) and not name.endswith((b":tmp", b"\0"))


def names_everywhere(server, value, db=0):
    with server.raw(db) as client:
        client.must([("SET", f"user:{n}", f"{value}-{n}") for n in range(200)] + [("SET", f"cart:{n}", value) for n in range(50)])
        client.must([("SET", name, value) for name in BINARY + OUTSIDE])


def types_everywhere(server, mark, count=60):
    """Of each type, under names that tell it."""
    with server.raw() as client:
        client.must([c for n in range(count) for c in (
            ("SET", f"string:{n}", mark), ("ZADD", f"zset:{n}", n, mark), ("RPUSH", f"list:{n}", mark), ("HSET", f"hash:{n}", mark, n),
            ("SADD", f"set:{n}", mark), ("XADD", f"stream:{n}", "*", "f", mark))])
        client.must([("SET", "string:long", LONG), ("RPUSH", "list:long", LONG), ("ZADD", "zset:long", 1, LONG)])


def of_types(name):
    return name.startswith((b"string:", b"zset:"))


class Untouched:
    """Keys of the target that are nobody's business: their bytes before are their bytes after."""

    def __init__(self, server, names):
        self.server, self.names = server, names
        self.before = self.read()
        assert all(self.before), "there is something to keep"

    def read(self):
        with self.server.raw() as client:
            return client.pipeline([("DUMP", name) for name in self.names])

    def check(self):
        assert self.read() == self.before


def same(lab, riotd, only, at_least):
    riotd.wait("drained")
    assert_equal(lab.source, lab.target, only=only, at_least=at_least)


def live_again(riotd, since):
    riotd.wait_for(lambda s: s["state"] == "live" and s["feed"]["gaps"] > since, what="a gap, and live again")


def gone_through_again(lab, riotd, feed):
    """All keys, and the sweep. A lost connection of psync is no gap."""
    if feed == "psync":
        riotd.must("stop")
        riotd.must("start")
        riotd.wait("live")
        return
    before = gaps(riotd)
    assert lab.source.kill_riotd_clients(":feed")
    live_again(riotd, before)


def gaps(riotd):
    return riotd.status()["feed"]["gaps"]


def emptied(lab, riotd, theirs):
    """The source is: so is the scope, and no more."""
    before = gaps(riotd)
    lab.source.call("FLUSHALL")
    live_again(riotd, before)
    riotd.wait("drained")
    with lab.target.raw() as client:
        assert client.keys() == set(theirs.names)
    theirs.check()


# --- names


def test_names_are_chosen_in_scan_feed_sweep_and_verify(lab, feed):
    names_everywhere(lab.source, "first")
    lab.target.call("SET", "user:left over", "swept")
    names = [b"theirs", *OUTSIDE]
    with lab.target.raw() as client:
        client.must([("SET", name, "of the target") for name in names])
    theirs = Untouched(lab.target, names)
    riotd = lab.live(feed=feed, target__existing_keys="replace", **NAMES)
    same(lab, riotd, in_scope, 200)
    assert lab.target.redis().exists("user:left over") == 0
    names_everywhere(lab.source, "second")
    with lab.source.raw() as client:
        client.must([("DEL", *(f"user:{n}" for n in range(20))), ("DEL", *OUTSIDE), ("RENAME", "user:30", "other"), ("RENAME", "user:31", "user:new")])
        client.must([("DEL", BINARY[0])])
    same(lab, riotd, in_scope, 180)
    theirs.check()
    lab.target.call("SET", "user:by hand", "swept")
    gone_through_again(lab, riotd, feed)
    assert lab.target.redis().exists("user:by hand") == 0
    same(lab, riotd, in_scope, 180)
    theirs.check()
    riotd.must("verify")
    emptied(lab, riotd, theirs)


def test_verify_sees_what_is_in_scope_only(lab):
    names_everywhere(lab.source, "v")
    riotd = lab.live(feed="notify", **NAMES)
    with lab.target.raw() as client:
        client.must([("SET", "other", "differs"), ("SET", "extra", "v"), ("SET", "user:1", "differs"), ("SET", "user:extra", "v"), ("DEL", "user:2")])
    assert lab.source.dbsize() > 255
    done = riotd.ctl("verify", "--json")
    assert done.returncode == 10, done
    report = riotd.status()["verify"]
    assert report["drift"] == {**report["drift"], "value": 1, "extra": 1, "missing": 1, "type": 0}, report
    riotd.must("verify", "--repair")
    assert_equal(lab.source, lab.target, only=in_scope, at_least=200)
    with lab.target.raw() as client:
        assert client.call("GET", "other") == b"differs" and client.call("GET", "extra") == b"v"


def test_names_under_writers(lab, feed):
    def chosen(name):
        return name.endswith((b"1", b"4")) and name != b"k:14"

    with Workload(lab.source, writers=3, keys=2000, rate=4000) as writers:
        riotd = lab.live(feed=feed, filter__include=["'k:*[14]'"], filter__exclude=["'k:14'"])
        until(lambda: writers.count > 8000, 30, "writers write")
    riotd.wait("drained")
    assert_equal(lab.source, lab.target, only=chosen, at_least=100)
    with lab.target.raw() as client:
        assert all(map(chosen, client.keys()))
    riotd.must("verify")


def test_a_target_with_keys_out_of_scope_only_is_not_empty(lab):
    """Only going through it would tell, so every key counts: replace is what says that it may be looked through, and it keeps them."""
    names_everywhere(lab.source, "v")
    lab.target.call("SET", "other", "theirs")
    riotd = lab.link(**NAMES)
    status = riotd.wait_state("failed")
    assert {b["code"] for b in status["blockers"]} == {"target_not_empty"}
    assert lab.target.dbsize() == 1


def test_another_filter_holds_from_the_next_start(lab):
    """What was in scope and no longer is, stays on the target as it is; what is new comes."""
    names_everywhere(lab.source, "v")
    riotd = lab.live(filter__include=["'user:*'"])
    riotd.options["filter.include"] = ["'cart:*'"]
    riotd.write_config()
    assert "filter.include" in riotd.must("reload") and riotd.status()["filter"]["include"] == ["user:*"]
    riotd.restart().wait("live").wait("drained")
    assert riotd.status()["filter"]["include"] == ["cart:*"]
    with lab.source.raw() as client:
        client.must([("DEL", "user:1"), ("SET", "cart:1", "new")])
    riotd.wait("drained")
    assert_equal(lab.source, lab.target, only=lambda name: name.startswith(b"cart:"), at_least=50)
    assert lab.target.redis().exists("user:1") == 1


def test_check_and_status_show_it(lab):
    riotd = lab.live(**NAMES, **TYPES)
    item = [line for line in riotd.must("check").splitlines() if " filter " in line]
    assert item and "user:*" in item[0] and "not" not in item[0][:12] and "string, zset" in item[0], item
    assert riotd.status()["filter"]["types"] == ["string", "zset"] and len(riotd.status()["filter"]["include"]) == 3
    assert "filter" in riotd.must("status") and "types string, zset" in riotd.must("status")


def test_a_missing_right_to_ask_for_types_is_told(lab):
    """By a check as an error, and by the link as a condition."""
    lab.target = lab.server("target", tcp=True).start()
    lab.source.call("SET", "k", "v")
    options = rights.give(lab.target, "target", ["every link"])
    riotd = lab.link(lab.source, lab.target.tcp_url(user=rights.USER), **TYPES, **options)
    told = riotd.wait_for(lambda s: s["conditions"], what="a condition")["conditions"][0]
    assert told["code"] == "target_refuses" and "NOPERM for TYPE on the target as user riotd" in told["message"], told
    done = riotd.ctl("check")
    assert done.returncode == 12 and "NOPERM for TYPE on the target as user riotd" in " ".join(done.stdout.split()), done
    rights.add(lab.target, "target", ["filter.types"])
    riotd.wait("live")
    assert lab.target.call("GET", "k") == b"v"


# --- types


def test_types_are_chosen_in_scan_feed_sweep_and_verify(lab, feed):
    types_everywhere(lab.source, "first")
    with lab.target.raw() as client:
        client.must([("SET", "string:left over", "v"), ("RPUSH", "list:theirs", "v"), ("HSET", "hash:1", "theirs", "v"), ("SADD", "gone", "theirs")])
    names = [b"list:theirs", b"hash:1", b"gone"]
    theirs = Untouched(lab.target, names)
    riotd = lab.live(feed=feed, target__existing_keys="replace", **TYPES)
    same(lab, riotd, of_types, 120)
    with lab.target.raw() as client:
        assert {name for name in client.keys() if not of_types(name)} == set(names)
        assert not client.call("EXISTS", "string:left over")
    types_everywhere(lab.source, "second")
    with lab.source.raw() as client:
        client.must([("DEL", "string:1", "list:1", "hash:1"), ("SET", "gone", "v"), ("DEL", "gone")])
    same(lab, riotd, of_types, 119)
    theirs.check()
    gone_through_again(lab, riotd, feed)
    same(lab, riotd, of_types, 119)
    riotd.must("verify")
    emptied(lab, riotd, theirs)


@pytest.mark.parametrize("size", [10, 40_000])
def test_a_key_that_changes_its_type(lab, feed, size):
    """Out of the scope it is gone, into it it comes; and the sweep sees both too."""
    value = "x" * size
    with lab.source.raw() as client:
        client.must([("SET", f"k{n}", value) for n in range(4)] + [("RPUSH", f"k{n}", value) for n in range(4, 8)])
    riotd = lab.live(feed=feed, **TYPES)
    riotd.wait("drained")
    assert lab.target.redis().keys("*").__len__() == 4

    def swap(n):
        with lab.source.raw() as client:
            client.must([("DEL", f"k{n}", f"k{n + 4}"), ("RPUSH", f"k{n}", value), ("SET", f"k{n + 4}", value)])

    swap(0)
    riotd.wait("drained")
    with lab.target.raw() as client:
        assert client.keys() == {b"k4", b"k1", b"k2", b"k3"}
    riotd.stop()
    swap(1)
    riotd.start().wait("live").wait("drained")
    with lab.target.raw() as client:
        assert client.keys() == {b"k4", b"k5", b"k2", b"k3"}
    riotd.must("verify")


@pytest.mark.parametrize("size", [10, 40_000])
def test_a_key_of_the_target_that_stands_in_the_way(lab, size):
    """Of another type, out of the scope: it is left alone, the source's is failed and named, and it comes once the way is free."""
    lab.source.call("SET", "k", "x" * size)
    lab.target.call("RPUSH", "k", "theirs")
    theirs = Untouched(lab.target, [b"k"])
    riotd = lab.link(target__existing_keys="replace", **TYPES)
    status = riotd.wait_for(lambda s: s["failed_keys"], what="a failed key")
    assert status["failed_keys"][0]["key"] == "k" and "filter.types" in status["failed_keys"][0]["reason"]
    riotd.wait("live")
    assert riotd.ctl("verify").returncode == 10
    assert riotd.status()["verify"]["drift"]["type"] == 1
    assert riotd.ctl("cutover").returncode == 6
    lab.source.call("DEL", "k")
    riotd.wait("drained")
    theirs.check()
    lab.target.call("DEL", "k")
    lab.source.call("SET", "k", "y" * size)
    riotd.wait("drained")
    assert lab.target.call("GET", "k") == b"y" * size


def test_verify_takes_a_type_out_of_scope_for_nothing(lab):
    """On the source it is as good as not there: what the target has of that name is extra, and a repair deletes it."""
    with lab.source.raw() as client:
        client.must([("SET", "k", "v"), ("RPUSH", "x", "v"), ("RPUSH", "y", "v")])
    riotd = lab.live(**TYPES)
    with lab.target.raw() as client:
        client.must([("SET", "x", "v"), ("RPUSH", "y", "theirs"), ("RPUSH", "z", "theirs")])
    assert riotd.ctl("verify").returncode == 10
    drift = riotd.status()["verify"]["drift"]
    assert drift["extra"] == 1 and not drift["type"] and not drift["missing"], drift
    riotd.must("verify", "--repair")
    with lab.target.raw() as client:
        assert client.keys() == {b"k", b"y", b"z"} and client.call("LRANGE", "y", 0, -1) == [b"theirs"]


def test_types_under_writers(lab, feed):
    with Workload(lab.source, writers=3, keys=2000, rate=4000) as writers:
        riotd = lab.live(feed=feed, filter__types=["hash", "stream", "string"])
        until(lambda: writers.count > 8000, 30, "writers write")
    riotd.wait("drained")
    chosen = set()
    for db in (0, 1, 2):
        with lab.source.raw(db) as client:
            names = sorted(client.keys())
            chosen |= {(db, n) for n, kind in zip(names, client.pipeline([("TYPE", n) for n in names])) if kind in (b"hash", b"stream", b"string")}
        with lab.target.raw(db) as client:
            assert client.keys() <= {n for d, n in chosen if d == db}
        kept = {n for d, n in chosen if d == db}
        count, found = compare(lab.source, lab.target, dbs=[db], only=kept.__contains__)
        assert not found and count > 100, found[:5]
    riotd.must("verify")


def test_all_types_there_are(lab):
    """Each by itself, into an empty target."""
    types_everywhere(lab.source, "v", 5)
    for kind in ("string", "list", "set", "zset", "hash", "stream"):
        lab.target.call("FLUSHALL")
        riotd = lab.live(name=kind, filter__types=kind)
        riotd.wait("drained")
        with lab.target.raw() as client:
            assert {name.partition(b":")[0].decode() for name in client.keys()} == {kind}
        riotd.must("verify")
        riotd.stop()


@pytest.mark.parametrize("shapes", [("cluster", "single"), ("single", "cluster"), ("cluster", "cluster")], ids="-".join)
def test_filters_over_clusters(lab, shapes):
    """Names and types, with keys of the target that are to stay."""
    for side, shape in zip(("source", "target"), shapes):
        if shape == "cluster":
            setattr(lab, side, lab.cluster(side, primaries=3))
    with lab.source.raw() as client:
        client.must([c for n in range(300) for c in (("SET", f"a:{n}", n), ("RPUSH", f"a:list:{n}", n), ("SET", f"b:{n}", n))])
    with lab.target.raw() as client:
        client.must([c for n in range(100) for c in (("SET", f"b:{n}", "theirs"), ("RPUSH", f"a:theirs:{n}", n), ("SET", f"a:extra:{n}", n))])
    riotd = lab.live(target__existing_keys="replace", filter__include=["'a:*'"], filter__types=["string"])
    with lab.source.raw() as client:
        client.must([c for n in range(50) for c in (("DEL", f"a:{n}"), ("SET", f"a:{n + 100}", "new"), ("SET", f"b:{n}", "new"))])
    riotd.wait("drained")
    with lab.source.raw() as source, lab.target.raw() as target:
        kept = {b"b:%d" % n for n in range(100)} | {b"a:theirs:%d" % n for n in range(100)}
        assert target.keys() == kept | {b"a:%d" % n for n in range(50, 300)}
        assert target.call("GET", "b:1") == b"theirs" and target.call("GET", "a:100") == source.call("GET", "a:100") == b"new"
    riotd.must("verify")
