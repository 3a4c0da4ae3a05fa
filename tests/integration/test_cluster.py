"""Clusters, as source and as target: converging while slots move, primaries fail over, and nodes come and go."""

import re
import time

import pytest

from kit import fill
from kit.certs import Authority
from kit.cluster_client import slot_of
from kit.compare import assert_equal
from kit.cutover import FAST
from kit.long import in_long
from kit.wait import until
from kit.workload import Workload

SIDES = ("source", "target")


def sides(lab, source=0, target=0, **options):
    """Each a cluster of so many primaries, or with 0 a single server."""
    for side, primaries in zip(SIDES, (source, target)):
        if primaries:
            setattr(lab, side, lab.cluster(side, primaries=primaries, **options))
    return lab


def writers(lab, **options):
    return Workload(lab.source, **{"writers": 3, "dbs": (0,), "keys": 6000, "rate": 6000, **options})


def write_on(load, commands=1500):
    begin = load.count
    until(lambda: load.count > begin + commands, 30, "writers write")


def tagged(slot, count, prefix=""):
    """Names of keys that are in that slot."""
    tag = next(n for n in range(1_000_000) if slot_of(str(n)) == slot)
    return [f"{prefix}{{{tag}}}{n}" for n in range(count)]


def move_some(cluster, source, target, count):
    """Slot by slot, each with its keys."""
    for slot in sorted(source.me().slots)[:count]:
        cluster.move(slot, target)


def settled(lab):
    """Both sides, so that they can be compared."""
    for side in (lab.source, lab.target):
        if hasattr(side, "settle"):
            side.settle()


# MIGRATE tells how long a key has left, not until when: each move of a key ends it later by as long as the servers take. At the source that
# is a change like another; between nodes of the target it stays.
MOVED_MS = 10_000


def converged(lab, riotd, at_least=1, **options):
    settled(lab)
    return lab.equal(riotd, at_least=at_least, timeout=60, **options)


@pytest.mark.parametrize("source, target, feed", [(0, 3, "tracking"), (3, 0, "notify"), (3, 3, "tracking")])
def test_converges(lab, source, target, feed):
    sides(lab, source, target)
    count = fill.every_type(lab.source)
    with lab.source.raw() as client:
        fill.strings(client, 5000)
    riotd = lab.live(feed=feed)
    with writers(lab) as load:
        write_on(load, 5000)
    converged(lab, riotd, count + 5000)
    assert "clean" in riotd.must("verify")


def test_a_lane_for_each_primary(lab):
    sides(lab, 3, 0)
    riotd = lab.live()
    lanes = riotd.status()["lanes"]
    assert sorted(lane["source"] for lane in lanes) == sorted(node.url() for node in lab.source.nodes)


# --- slots move


@pytest.mark.parametrize("target, feed", [(0, "notify"), (3, "tracking")])
def test_slots_move_during_the_snapshot(lab, target, feed):
    sides(lab, 3, target)
    with lab.source.raw() as client:
        fill.strings(client, 30_000)
    riotd = lab.link(limits__keys_per_s=1000, feed=feed)
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] > 1500, what="the snapshot has begun")
    a, b, c = lab.source.primaries()
    with writers(lab, rate=2000):
        move_some(lab.source, a, b, 60)
        lab.source.reshard(60, b, c)
        assert riotd.state in ("snapshot", "resync")
        riotd.must("limit", "keys_per_s=0")
        riotd.wait("live", 60)
    converged(lab, riotd, 30_000)


@pytest.mark.parametrize("source, target, feed", [(3, 3, "tracking"), (3, 0, "notify"), (0, 3, "notify")])
def test_slots_move_while_live(lab, source, target, feed):
    sides(lab, source, target)
    with lab.source.raw() as client:
        fill.strings(client, 10_000)
    riotd = lab.live(feed=feed)
    with writers(lab) as load:
        for side in SIDES:
            cluster = getattr(lab, side)
            if hasattr(cluster, "primaries"):
                a, b, c = cluster.primaries()
                move_some(cluster, a, b, 40)
                cluster.reshard(40, b, c)
        write_on(load)
    converged(lab, riotd, 10_000, tolerance_ms=MOVED_MS)


@pytest.mark.parametrize("side, feed", [("source", "tracking"), ("source", "notify"), ("target", "tracking")])
def test_a_slot_that_is_half_moved(lab, side, feed):
    """Some of its keys are at one node, some at the other; writers change both, and make new ones, for as long as it stays so."""
    sides(lab, 3 if side == "source" else 0, 3 if side == "target" else 0)
    cluster, slot = getattr(lab, side), 7000
    names = tagged(slot, 200)
    with lab.source.raw() as client:
        client.must([("SET", name, 1) for name in names])
    riotd = lab.live(feed=feed)
    riotd.wait("drained")
    target = next(node for node in cluster.primaries() if slot not in node.me().slots)
    source = cluster.begin_move(slot, target)
    assert cluster.move_keys(slot, source, target, 100) == 100
    with lab.source.raw() as client:
        client.must([("SET", name, 2) for name in names])
        client.must([("DEL", name) for name in names[::3]])
        client.must([("SET", name, 3) for name in tagged(slot, 50, "new")])
    if side == "source":  # all keys can be read, from either node
        with lab.source.raw() as here, lab.target.raw() as there:
            every = names + tagged(slot, 50, "new")
            wanted = here.pipeline([("GET", name) for name in every])
            until(lambda: there.pipeline([("GET", name) for name in every]) == wanted, 30, "the target has them")
    cluster.move_keys(slot, source, target)
    cluster.end_move(slot, source, target)
    converged(lab, riotd, 150)


def test_a_slot_that_leaves_deletes_nothing(lab, feed):
    sides(lab, 3, 0)
    slot = 100
    with lab.source.raw() as client:
        client.must([("SET", name, "x") for name in tagged(slot, 500)])
        fill.strings(client, 1000)
    riotd = lab.live(feed=feed)
    riotd.wait("drained")
    lab.target.call("CONFIG", "RESETSTAT")
    a, b, c = lab.source.primaries()
    for to in (b, c, a):
        lab.source.move(slot, to)
        riotd.wait("drained")
    assert lab.target.dbsize() == 1500
    calls = lab.target.info("commandstats")
    assert "cmdstat_del" not in calls and "cmdstat_unlink" not in calls
    converged(lab, riotd, 1500)


# --- primaries fail over, nodes come and go


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kill", [False, True], ids=["asked", "killed"])
def test_a_primary_fails_over(lab, side, kill):
    """What the source itself loses when it is killed is lost; what it has, the target has."""
    sides(lab, 3 if side == "source" else 0, 3 if side == "target" else 0, replicas=1)
    with lab.source.raw() as client:
        fill.strings(client, 10_000)
    riotd = lab.live()
    cluster = getattr(lab, side)
    old = cluster.primaries()[0]
    with writers(lab) as load:
        write_on(load)
        cluster.failover(old, kill)
        if kill:
            cluster.revive(old)
        write_on(load)
        riotd.wait("live", 60)
    converged(lab, riotd, 10_000)
    if side == "source":
        assert len(riotd.status()["lanes"]) == 3


@pytest.mark.parametrize("side", ["source", in_long("target")])
def test_nodes_come_and_go(lab, side):
    """All slots of a primary go to a new one, and the old one leaves."""
    sides(lab, 3 if side == "source" else 0, 3 if side == "target" else 0)
    cluster = getattr(lab, side)
    leaving = cluster.primaries()[0]
    cluster.reshard(len(leaving.me().slots) - 150, leaving, cluster.primaries()[1])
    with lab.source.raw() as client:
        fill.strings(client, 10_000)
    riotd = lab.live()
    with writers(lab) as load:
        coming = cluster.add()
        cluster.reshard(150, leaving, coming)
        write_on(load)
        cluster.settle()
        cluster.remove(leaving)
        write_on(load)
        riotd.wait("live", 60)
    converged(lab, riotd, 10_000, tolerance_ms=MOVED_MS)
    if side == "source":
        riotd.wait_for(lambda s: sorted(lane["source"] for lane in s["lanes"]) == sorted(n.url() for n in cluster.running()),
                       what="a lane for each primary")


def test_a_primary_that_comes_back_empty_and_is_replaced(lab):
    """What it does not have is held, until its replica, which has all, takes over."""
    sides(lab, 3, 0, replicas=1)
    with lab.source.raw() as client:
        fill.strings(client, 6000)
    riotd = lab.live()
    riotd.wait("drained")
    old = lab.source.primaries()[1]
    replica, = lab.source.replicas(old)
    replica.freeze()
    old.restart(data=False)
    riotd.wait_for(lambda s: any(b["code"] == "source_shrank" for b in s["blockers"]), what="it is empty")
    old.stop()
    replica.thaw()
    until(lambda: replica.me().primary, 30, "the replica took over")
    riotd.wait_for(lambda s: s["state"] == "live" and not s["blockers"], what="nothing is missing")
    assert converged(lab, riotd) == 6000


# --- what a cluster refuses


def test_a_target_that_is_down_as_a_whole(lab):
    """Without one of its primaries the cluster takes no write at all: CLUSTERDOWN, or no connection."""
    sides(lab, 0, 3)
    with lab.source.raw() as client:
        fill.strings(client, 3000)
    riotd = lab.live()
    riotd.wait("drained")
    lost = lab.target.primaries()[1]
    lost.save()
    lost.stop()
    until(lambda: b"cluster_state:fail" in lab.target.running()[0].call("CLUSTER", "INFO"), 30, "the cluster is down")
    with writers(lab) as load:
        write_on(load)
        assert not riotd.status()["failed_keys"]
        lost.start()
        lab.target.settle()
        write_on(load)
        riotd.wait("live", 60)
    converged(lab, riotd, 3000)


def test_several_databases_do_not_fit_into_one(lab):
    sides(lab, 0, 3)
    if lab.target.config("cluster-databases") is not None:
        pytest.skip("this cluster has databases")
    for db in (0, 1):
        lab.source.call("SET", "x", db, db=db)
    riotd = lab.link(start=False).spawn()
    until(riotd.answers, 10, "it answers")
    assert "database" in riotd.ctl("check").stdout
    assert not lab.target.dbsize()
    riotd.stop()
    riotd.options["databases"] = 1
    riotd.start()
    riotd.wait("live")
    riotd.wait("drained")


def with_databases(lab, target=4):
    """The source has four databases: Valkey 9 can."""
    if lab.server("probe").start().config("cluster-databases") is None:
        pytest.skip("a cluster of this server has one database")
    lab.source = lab.cluster("source", primaries=2, args=["--cluster-databases", "4"])
    lab.target = lab.cluster("target", primaries=2, args=["--cluster-databases", str(target)])


def migrate(cluster, count=2000):
    """Valkey's own way: all databases of these slots change hands at once."""
    a, b = cluster.primaries()
    first = min(a.me().slots)
    a.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, first + count - 1, "NODE", b.id)
    until(lambda: first in b.me().slots, 30, "the slots have moved")
    cluster.settle()


@pytest.mark.parametrize("feed", ["tracking", "notify"])
def test_a_cluster_with_databases(lab, feed):
    with_databases(lab)
    dbs = (0, 1, 3)
    for db in dbs:
        fill.every_type(lab.source, db=db)
    riotd = lab.live(feed=feed)
    with writers(lab, dbs=dbs, keys=2000, rate=2000) as load:
        write_on(load)
        migrate(lab.source)
        write_on(load)
        riotd.must("pause")  # what is written to other databases while slots migrate, Valkey 9.1 may have in the wrong one
        migrate(lab.target)
        riotd.must("resume")
        write_on(load)
    converged(lab, riotd, 3 * 20)
    riotd.must("verify")
    for node in lab.source.primaries():
        node.call("FLUSHDB", db=1)
    until(lambda: not lab.target.dbsize(1), 20, "the flush has arrived")
    riotd.wait("live")
    converged(lab, riotd, 2 * 20)
    riotd.must("cutover", "--fence", "min-replicas", *FAST)
    assert_equal(lab.source, lab.target, at_least=2 * 20)


def test_databases_of_a_cluster_that_do_not_fit(lab):
    with_databases(lab, target=1)
    for db in (0, 2):
        lab.source.call("SET", "x", db, db=db)
    riotd = lab.link()
    riotd.wait_state("failed")
    assert riotd.blockers() == {"database_missing"} and not lab.target.dbsize()
    riotd.stop()
    riotd.options["databases"] = 2
    riotd.start()
    riotd.wait("live").wait("drained")
    assert lab.target.call("GET", "x") == b"2"


# --- addresses


def test_seeds(lab):
    """The URL's node is down when riotd starts."""
    sides(lab, 3, 3, replicas=1)
    with lab.source.raw() as client:
        fill.strings(client, 1000)
    urls = []
    for side in SIDES:
        cluster = getattr(lab, side)
        urls.append(cluster.url())
        cluster.failover(cluster.running()[0], kill=True)
        cluster.settle()
    riotd = lab.live(*urls, source__seeds=lab.source.seeds(), target__seeds=lab.target.seeds())
    converged(lab, riotd, 1000)
    checked, log = riotd.ctl("check").stdout, riotd.log()
    for side, url in zip(SIDES, urls):
        assert re.search(rf"^warning +{side}_url +nothing is learned at {url} .*another of its seeds", checked, re.M), checked
        assert len(re.findall(rf"config_warning: nothing is learned at {url} .*{side}.seeds", log)) == 1, log


def test_address_map(lab):
    """Nodes tell ports at which nobody listens."""
    sides(lab, 3, 3, mapped=True)
    with lab.source.raw() as client:
        fill.strings(client, 1000)
    riotd = lab.live(source__address_map=lab.source.address_map(), target__address_map=lab.target.address_map())
    with writers(lab) as load:
        write_on(load)
        for cluster in (lab.source, lab.target):
            a, b, _ = cluster.primaries()
            move_some(cluster, a, b, 20)
        write_on(load)
    converged(lab, riotd, 1000)


def test_tls(lab):
    authority = Authority(lab.folder)
    sides(lab, 3, 3, replicas=1, tls=(authority, authority.sign("node")))
    with lab.source.raw() as client:
        fill.strings(client, 3000)
    riotd = lab.live(source__tls__ca_file=authority.path, target__tls__ca_file=authority.path)
    assert riotd.status()["source"]["address"].startswith("rediss://")
    with writers(lab) as load:
        write_on(load)
        for cluster in (lab.source, lab.target):
            a, b, _ = cluster.primaries()
            cluster.reshard(20, a, b)
            cluster.failover(b)
        write_on(load)
    converged(lab, riotd, 3000)


# --- all of it at once


def must_hold(lab, seconds, slots, rate):
    """Writers, one reshard and one failover of each side, and a complete comparison."""
    sides(lab, 3, 3, replicas=1)
    fill.every_type(lab.source)
    with lab.source.raw() as client:
        fill.strings(client, 20_000)
    riotd = lab.live()
    begin = time.monotonic()
    with writers(lab, writers=8, keys=20_000, rate=rate) as load:
        for cluster in (lab.source, lab.target):
            a, b, _ = cluster.primaries()
            cluster.reshard(slots, a, b)
        for cluster, kill in ((lab.source, False), (lab.target, True)):
            old = cluster.primaries()[0]
            cluster.failover(old, kill)
            if kill:
                cluster.revive(old)
        write_on(load)
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        riotd.wait("live", 60)
        assert load.count > seconds * min(rate or 1000, 1000)
    converged(lab, riotd, 20_000, tolerance_ms=MOVED_MS)
    assert "clean" in riotd.must("verify", "--ttl-tolerance", f"{MOVED_MS}ms")


def test_must_hold_short(lab):
    must_hold(lab, 10, 100, 4000)


@pytest.mark.long
def test_must_hold(lab):
    must_hold(lab, 60, 1000, 0)


# --- speed


@pytest.mark.long
@pytest.mark.alone
def test_three_shards_are_no_slower_than_one(lab):
    """The same data, from one source primary and from three, into the same target."""
    took = {}
    for shards in (1, 3, 1, 3):
        source = lab.cluster(f"source{shards}-{len(lab.servers)}", primaries=shards)
        with source.raw() as client:
            fill.strings(client, 200_000, size=200)
        begin = time.monotonic()
        riotd = lab.live(source, lab.target, name=f"link-{len(lab.links)}", timeout=120)
        took[shards] = min(took.get(shards, 1e9), time.monotonic() - begin)
        assert lab.target.dbsize() == 200_000
        riotd.stop()
        source.stop()
        lab.target.call("FLUSHALL")
    print(f"one shard {took[1]:.2f} s, three {took[3]:.2f} s: {took[1] / took[3]:.2f} times as fast")
    assert took[3] <= took[1] * 1.05
