"""The feed psync of clusters: a restart of riotd goes on with the streams of all shards, and where that would not be right goes through
the keys again."""

import random
import time

import pytest

from kit.cluster_client import slot_of
from kit.wait import until
from kit.workload import Workload

KEYS = 1500
SLOT = slot_of(b"{moves}")


def live(lab, source, target=None):
    lab.source = lab.cluster("source", **source)
    lab.target = lab.cluster("target", **target) if target else lab.server("target").start()
    for node in lab.source.nodes:
        node.config("repl-backlog-size", 64 << 20)
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(KEYS)] + [("SET", f"{{moves}}{i}", i) for i in range(10)])
    return lab.live(feed="psync")


def place(riotd):
    return riotd.state_file().get("place")


def place_of(riotd):
    """Once it has one."""
    return until(lambda: place(riotd), 10, "a place in the state file")


def acks(node):
    return int(node.info("commandstats")["cmdstat_replconf"].partition(",")[0].removeprefix("calls="))


def next_place_of(riotd):
    before = place(riotd)
    return until(lambda: (now := place(riotd)) != before and now, 10, "another place in the state file")


def again(riotd):
    """It is started, and live."""
    riotd.start().wait("live")
    return riotd.status()["snapshot"]["round"]


def told(riotd, text):
    return any("resync_needed" in line and text in line for line in riotd.log().splitlines())


# --- it goes on


def restart_under_load(lab, target, times):
    riotd = live(lab, {"primaries": 3}, target)
    with Workload(lab.source, keys=KEYS, rate=1500) as load:
        for _ in range(times):
            assert len(next_place_of(riotd)["lanes"]) == 3
            riotd.kill()
            count = load.count
            until(lambda count=count: load.count > count + 300, 10, "writes go on without it")
            assert again(riotd) == 0, riotd.log()[-3000:]
    lab.equal(riotd, at_least=100)
    assert riotd.status()["feed"]["gaps"] == 0 and "no pass over all keys" in riotd.log()


@pytest.mark.parametrize("target", [{"primaries": 3}, None], ids=["cluster", "single"])
def test_a_restart_under_load_costs_no_resync(lab, target):
    restart_under_load(lab, target, 1)


@pytest.mark.long
def test_restarts_under_load_cost_no_resync(lab):
    restart_under_load(lab, {"primaries": 3}, 10)


def test_a_single_source_goes_on_into_a_cluster(lab):
    lab.target = lab.cluster("target", primaries=2)
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(KEYS)])
    riotd = lab.live(feed="psync")
    place_of(riotd)
    riotd.kill()
    with lab.source.raw() as client:
        client.must([("DEL", f"k{i}") for i in range(0, KEYS, 2)])
    assert again(riotd) == 0, riotd.log()[-3000:]
    assert lab.equal(riotd) == KEYS // 2


def test_what_a_slot_s_keys_did_on_their_way_is_followed(lab):
    """The slot begins to move while riotd is away, and some keys with it: others of it change, and go, at the other node."""
    riotd = live(lab, {"primaries": 3})
    place_of(riotd)
    riotd.kill()
    owner = lab.source.owner(SLOT)
    other = next(node for node in lab.source.primaries() if node is not owner)
    lab.source.begin_move(SLOT, other)
    lab.source.move_keys(SLOT, owner, other, 6)
    with lab.source.raw() as client:
        client.must([("DEL", f"{{moves}}{i}") for i in range(0, 10, 3)] + [("APPEND", f"{{moves}}{i}", "x") for i in (1, 4, 7, 8)])
    assert again(riotd) == 0, riotd.log()[-3000:]
    lab.equal(riotd, at_least=KEYS)
    lab.source.move_keys(SLOT, owner, other)
    lab.source.end_move(SLOT, owner, other)
    lab.source.call("DEL", "{moves}5")
    lab.equal(riotd, at_least=KEYS)


@pytest.mark.long
def test_restarts_while_slots_move(lab):
    """Some are half moved before it is killed or while it is away, some have moved by then; none is gone on with but where that is right."""
    riotd, rng = live(lab, {"primaries": 3}, {"primaries": 2}), random.Random(3)
    rounds = []
    with Workload(lab.source, keys=KEYS, rate=1000):
        for _ in range(15):
            time.sleep(rng.uniform(1, 3))
            lab.source.settle()
            slot, half, away = rng.randrange(16384), rng.random() < 0.5, rng.random() < 0.5
            owner = lab.source.owner(slot)
            other = rng.choice([node for node in lab.source.primaries() if node is not owner])
            if away:
                riotd.kill()
            lab.source.begin_move(slot, other)
            lab.source.move_keys(slot, owner, other, rng.randrange(1, 20) if half else 1_000_000)
            if not half:
                lab.source.end_move(slot, owner, other)
            if not away:
                time.sleep(rng.uniform(0, 1.5))
                riotd.kill()
            rounds.append(again(riotd))
            if half:
                lab.source.move_keys(slot, owner, other)
                lab.source.end_move(slot, owner, other)
    lab.equal(riotd, at_least=100)
    assert 0 in rounds and 1 in rounds, rounds


def test_a_move_that_was_given_up_is_forgotten(lab):
    """The keys that had moved are brought back, or go where they are: then no node has any that is not its own."""
    riotd = live(lab, {"primaries": 3})
    place_of(riotd)
    owner = lab.source.owner(SLOT)
    other = next(node for node in lab.source.primaries() if node is not owner)
    lab.source.begin_move(SLOT, other)
    lab.source.move_keys(SLOT, owner, other, 5)
    with lab.source.raw() as client:
        client.must([("APPEND", f"{{moves}}{i}", "x") for i in range(10)])
    lab.equal(riotd, at_least=KEYS)
    owner.call("CLUSTER", "SETSLOT", SLOT, "STABLE")
    other.call("CLUSTER", "SETSLOT", SLOT, "IMPORTING", owner.id)
    assert lab.source.move_keys(SLOT, other, owner) == 5
    other.call("CLUSTER", "SETSLOT", SLOT, "STABLE")
    lab.source.settle()
    before = place(riotd)
    lab.source.call("SET", "{moves}1", "again")
    until(lambda: place(riotd) != before, 15, "a place is kept again")
    riotd.kill()
    with lab.source.raw() as client:
        client.must([("DEL", "{moves}2"), ("APPEND", "{moves}3", "y"), ("SET", "meanwhile", "v")])
    assert again(riotd) == 0, riotd.log()[-3000:]
    lab.equal(riotd, at_least=KEYS)


def test_keys_that_are_left_are_looked_for_in_each_database(lab):
    """A cluster of Valkey 9 counts them in one at a time."""
    if lab.server("probe").start().config("cluster-databases") is None:
        pytest.skip("a cluster of this server has one database")
    riotd = live(lab, {"primaries": 2, "args": ["--cluster-databases", "4"]})
    place_of(riotd)
    owner = lab.source.owner(SLOT)
    other = next(node for node in lab.source.primaries() if node is not owner)
    lab.source.begin_move(SLOT, other)
    with other.raw() as client:
        client.must([("SELECT", 3), ("ASKING",), ("SET", "{moves}0", "left")])
    until(lambda: lab.target.call("GET", "{moves}0", db=3) == b"left", 10, "it is read there")
    for node in (owner, other):
        node.call("CLUSTER", "SETSLOT", SLOT, "STABLE")
    lab.source.settle()
    before = place(riotd)
    lab.source.call("SET", "k1", "again")
    acknowledged = acks(other)
    until(lambda: acks(other) >= acknowledged + 8, 30, "some seconds of riotd's, in which a place might be kept")
    assert place(riotd) == before, "it is kept while a key is left in another database"
    other.call("CLUSTER", "SETSLOT", SLOT, "IMPORTING", owner.id)
    with other.raw() as client:
        client.must([("SELECT", 3), ("ASKING",), ("DEL", "{moves}0")])
    other.call("CLUSTER", "SETSLOT", SLOT, "STABLE")
    until(lambda: place(riotd) != before, 15, "a place is kept again")
    lab.equal(riotd, at_least=KEYS)


# --- a failover while it runs


LESS = "more was taken of the former primary's stream than the server that took over has"


def followed(lab, riotd):
    """It went on: no lane has gone through its keys again. One that was killed may have told riotd a moment before its replica; not both,
    and not each time."""
    lab.equal(riotd, at_least=100)
    status, log = riotd.status(), riotd.log()
    went_on = status["feed"]["gaps"] == 0 and [lane["snapshot"]["round"] for lane in status["lanes"]] == [1, 1, 1]
    assert went_on or LESS in log, log[-3000:]
    assert "is read again" in log
    return went_on


@pytest.mark.parametrize("kill", [False, True], ids=["asked", "killed"])
def test_a_failover_of_a_shard_under_load_costs_no_resync(lab, kill):
    riotd = live(lab, {"primaries": 3, "replicas": 1}, {"primaries": 2})
    with Workload(lab.source, keys=KEYS, rate=1500) as load:
        for turn in range(2):
            count, old = load.count, lab.source.primaries()[turn]
            until(lambda count=count: load.count > count + 1000, 20, "writes")
            new = lab.source.failover(old, kill)
            until(lambda new=new: new.url() in [lane["source"] for lane in riotd.status()["lanes"]], 30, "its lane has moved")
            if kill:  # sooner, riotd might ask it, which has another history by then
                lab.source.revive(old)
            count = load.count
            until(lambda count=count: load.count > count + 1000, 20, "writes at the new one")
    went_on = followed(lab, riotd)
    assert went_on or kill, riotd.log()[-3000:]


def test_what_was_copied_ahead_of_a_shard_s_stream_and_lost_is_read_again(lab):
    """The stream is held back, to riotd and to the replica; a key that is marked is copied as it is by then; that value is lost."""
    lab.source = lab.cluster("source", primaries=3, replicas=1)
    proxies = {node: lab.proxy(node, tcp=True) for node in lab.source.nodes}
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(KEYS)])
    lab.source.give_backlog()
    riotd = lab.live(proxies[lab.source.nodes[0]].tcp_url(), feed="psync",
                     source__address_map=[f"127.0.0.1:{node.port}=127.0.0.1:{proxy.port}" for node, proxy in proxies.items()])
    old = lab.source.owner(SLOT)
    replica = lab.source.replicas(old)[0]
    riotd.must("pause")
    with lab.source.raw() as client:
        client.must([("SET", "{moves}1", "before"), ("SET", "{moves}gone", "before")])
    riotd.wait_for(lambda s: s["lag"]["keys"] >= 2, what="the marks")
    until(lambda: replica.info("replication")["master_repl_offset"] == old.info("replication")["master_repl_offset"], 10, "the replica has them")
    replica.freeze()
    for line in old.call("CLIENT", "LIST", "TYPE", "replica").decode().splitlines():
        if "riotd:" not in line:
            old.call("CLIENT", "KILL", "ID", line.split()[0].partition("=")[2])
    for connection in proxies[old].live("feed"):
        connection.hold("down")
    with lab.source.raw() as client:
        client.must([("SET", "{moves}1", "lost"), ("DEL", "{moves}gone")])
    riotd.must("resume")
    until(lambda: lab.target.call("GET", "{moves}1") == b"lost" and riotd.status()["lag"]["keys"] == 0, 10, "they are copied")
    old.stop()
    replica.thaw()
    until(lambda: replica.me().primary, 30, "the replica took over")
    until(lambda: "is read again" in riotd.log(), 20, "it has followed")
    riotd.wait("drained")
    assert lab.target.call("GET", "{moves}1") == b"before", "what the new primary never had stayed on the target"
    assert lab.target.call("GET", "{moves}gone") == b"before", "a deletion that the new primary never had stayed"
    assert followed(lab, riotd)


# --- it begins anew


def lose_backlog(node):
    """What the feed of this node lacks by the time that it is back cannot be had any more."""
    node.config("repl-backlog-size", 16 << 10)
    with node.raw() as client:
        client.must([("CLIENT", "KILL", "TYPE", "replica"), ("DEL", "{moves}0")] + [("SET", "{moves}1", "x" * 1000)] * 2000)


def away_and_back(lab):
    """All slots are where they were, and the keys are not."""
    owner = lab.source.owner(SLOT)
    other = next(node for node in lab.source.primaries() if node is not owner)
    lab.source.move(SLOT, other)
    lab.source.call("DEL", "{moves}1")
    lab.source.settle()
    lab.source.move(SLOT, owner)
    lab.source.settle()


def move_source(lab):
    other = next(node for node in lab.source.primaries() if node is not lab.source.owner(SLOT))
    lab.source.move(SLOT, other)
    lab.source.call("DEL", "{moves}1")
    lab.source.settle()


def move_target(lab):
    other = next(node for node in lab.target.primaries() if node is not lab.target.owner(SLOT))
    lab.target.move(SLOT, other)
    lab.target.settle()


def restart_target(lab):
    node = lab.target.owner(SLOT)
    node.stop()
    node.start()
    lab.target.settle()


def flush_target(lab):
    lab.target.owner(SLOT).call("FLUSHALL")


def begins_anew(lab, riotd, what, why):
    place_of(riotd)
    riotd.kill()
    what(lab)
    lab.source.call("SET", "meanwhile", "v")
    assert again(riotd) >= 1, f"it was gone on with: {riotd.log()[-3000:]}"
    assert told(riotd, why), riotd.log()[-3000:]
    lab.equal(riotd, at_least=KEYS)


@pytest.mark.parametrize("what, why", [(move_source, "the source's nodes, or their slots"), (restart_target, "restarted or replaced"),
                                       (flush_target, "flushed")], ids=["slot", "restart", "flush"])
def test_where_it_would_not_be_right_it_begins_anew(lab, what, why):
    begins_anew(lab, live(lab, {"primaries": 2}, {"primaries": 2}), what, why)


@pytest.mark.long
@pytest.mark.parametrize("what, why", [(away_and_back, "the source's nodes, or their slots"),
                                       (move_target, "the target's nodes, or their slots")], ids=["back", "target"])
def test_nor_is_it_where_slots_are_others(lab, what, why):
    begins_anew(lab, live(lab, {"primaries": 2}, {"primaries": 2}), what, why)


def test_a_failover_while_riotd_was_away_begins_anew(lab):
    def fail_over(lab):
        lab.source.failover(lab.source.owner(SLOT))
        lab.source.settle()
        lab.source.call("DEL", "{moves}1")

    begins_anew(lab, live(lab, {"primaries": 2, "replicas": 1}), fail_over, "the source's nodes, or their slots")


def test_one_lane_that_cannot_go_on_leaves_the_others(lab):
    """Its backlog has lost what follows; the keys of the other shard are not gone through."""
    riotd = live(lab, {"primaries": 2})
    place_of(riotd)
    riotd.kill()
    lose_backlog(lab.source.owner(SLOT))
    assert again(riotd) >= 1, riotd.log()[-3000:]
    lab.equal(riotd, at_least=KEYS)
    assert sorted(lane["snapshot"]["round"] for lane in riotd.status()["lanes"]) == [0, 1]


# --- when there is a place


def test_no_place_outlives_a_slot_that_moves(lab):
    """After a restart nobody would know that a node has keys of a slot that is another's."""
    riotd = live(lab, {"primaries": 3})
    place_of(riotd)
    asked, owner, other = lab.source.nodes  # that something moves between the others, the one that is asked does not tell
    assert asked.url() == lab.source.url() and SLOT in owner.me().slots
    lab.source.begin_move(SLOT, other)
    lab.source.move_keys(SLOT, owner, other, 5)
    lab.equal(riotd, at_least=KEYS)
    before = place(riotd)
    lab.source.call("SET", "k1", "again")
    acknowledged = acks(asked)
    until(lambda: acks(asked) >= acknowledged + 4, 15, "some seconds of riotd's, each of which has its ACK and might keep the place")
    assert place(riotd) == before, "it is kept while a slot is half moved"
    lab.source.move_keys(SLOT, owner, other)
    lab.source.end_move(SLOT, owner, other)
    until(lambda: (now := place(riotd)) and now["source_map"] != before["source_map"], 15, "it is kept of the new map")
    riotd.kill()
    lab.source.call("DEL", "{moves}1")
    assert again(riotd) == 0, riotd.log()[-3000:]
    lab.equal(riotd, at_least=KEYS)


def test_a_gap_of_one_lane_is_forgotten_before_it_is_dealt_with(lab):
    riotd = live(lab, {"primaries": 2})
    place_of(riotd)
    riotd.must("limit", "keys_per_s=100")
    lose_backlog(lab.source.owner(SLOT))
    riotd.wait_for(lambda s: s["state"] == "resync", what="the resync")
    riotd.kill()
    assert not place(riotd), "the place outlived the gap"
    riotd.options["limits.keys_per_s"] = 0
    assert again(riotd) >= 1
    lab.equal(riotd)


def test_slots_move_while_riotd_acknowledges_nothing(lab):
    """Valkey asks its replicas for an acknowledgement of CLUSTER SETSLOT, and refuses it after 2 s without. riotd is not among them."""
    riotd = live(lab, {"primaries": 2, "replicas": 1})
    owner = lab.source.owner(SLOT)
    other = next(node for node in lab.source.primaries() if node is not owner)
    lab.target.freeze()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "later") for i in range(100)])
    lab.source.begin_move(SLOT, other)
    lab.source.move_keys(SLOT, owner, other)
    lab.source.end_move(SLOT, owner, other)
    lab.target.thaw()
    lab.equal(riotd, at_least=KEYS)


def test_what_waits_in_another_lane_is_not_acknowledged(lab):
    """A key that is written at the node that its slot moves to is its owner's lane's to copy."""
    riotd = live(lab, {"primaries": 2})
    lab.source.call("SET", "{moves}1", "old")
    owner = lab.source.owner(SLOT)
    to = next(node for node in lab.source.nodes if node is not owner)
    lab.source.begin_move(SLOT, to)
    lab.source.move_keys(SLOT, owner, to)
    riotd.wait("drained")
    riotd.must("pause")
    with to.raw() as client:
        client.must([("ASKING",), ("SET", "{moves}1", "new")])
        assert client.call("WAIT", 1, 1500) == 0, "acknowledged, and another lane has yet to copy it"
    assert lab.target.call("GET", "{moves}1") == b"old"
    riotd.must("resume")
    lab.source.end_move(SLOT, owner, to)
    lab.equal(riotd, at_least=KEYS)
    with to.raw() as client:
        client.must([("SET", "{moves}1", "newer")])
        until(lambda: client.call("WAIT", 1, 100) == 1, 20, "an acknowledgement, as nothing is another lane's any more")
    assert lab.target.call("GET", "{moves}1") == b"newer"
