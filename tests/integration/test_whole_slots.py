"""Servers that move slots as a whole (Valkey 9: CLUSTER MIGRATESLOTS) beside those that move key by key: of keys that come so, the node
that takes them over tells the feeds notify and tracking nothing."""

import pytest

from kit.cluster_client import slot_of
from kit.wait import until

SLOT = 100  # of the node that riotd asks for the map
TAG = next(n for n in range(1_000_000) if slot_of(str(n)) == SLOT)
NAMES = [f"{{{TAG}}}{n}" for n in range(20)]
CAME = "slots came from another node"
STREAM = "slots of the source came, went or were emptied"  # the one of the node that takes them over


def live(lab, feed):
    """Returns riotd, the node that has the slot, and the one that is to have it."""
    if not lab.server("probe").start().has("cluster|migrateslots"):
        pytest.skip("this server moves slots key by key only: no CLUSTER MIGRATESLOTS")
    lab.source = lab.cluster("source", primaries=2, node_timeout_ms=8000, args=["--enable-debug-command", "yes"])
    lab.source.give_backlog()
    with lab.source.raw() as client:
        client.must([("SET", name, "first") for name in NAMES] + [("SET", f"k{i}", i) for i in range(500)])
    riotd = lab.live(feed=feed)
    riotd.wait("drained")
    return riotd, *lab.source.nodes


def begin_a_move(lab, riotd, owner, other):
    """riotd has asked for a key at its owner, and was told where it is."""
    lab.source.begin_move(SLOT, other)
    assert lab.source.move_keys(SLOT, owner, other, 1) == 1
    with lab.source.raw() as client:
        client.must([("APPEND", name, ", asked for") for name in NAMES])
    riotd.wait("drained")


def give_it_up(lab, owner, other):
    owner.call("CLUSTER", "SETSLOT", SLOT, "STABLE")
    assert lab.source.move_keys(SLOT, other, owner) == 1
    other.call("CLUSTER", "SETSLOT", SLOT, "STABLE")
    lab.source.settle()


def move_it_as_a_whole(lab, owner, other, meanwhile):
    """The former owner does not hear of it, ends its pause and takes writes: they are lost when it does hear."""
    target = other.id
    owner.config("cluster-manual-failover-timeout", 1000)  # it pauses for twice that
    owner.call("DEBUG", "DROP-CLUSTER-PACKET-FILTER", -2)
    owner.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", SLOT, SLOT, "NODE", target)
    until(lambda: SLOT in other.me().slots, 30, "the slot has moved")
    meanwhile()
    owner.call("DEBUG", "DROP-CLUSTER-PACKET-FILTER", -1)
    lab.source.settle()


@pytest.mark.parametrize("feed", ["notify", "tracking", "psync"])
def test_a_slot_moves_as_a_whole_after_a_move_was_given_up(lab, feed):
    riotd, owner, other = live(lab, feed)
    begin_a_move(lab, riotd, owner, other)
    give_it_up(lab, owner, other)
    assert riotd.status()["feed"]["gaps"] == 0

    def write():
        owner.call("SET", NAMES[0], "lost")
        until(lambda: lab.target.call("GET", NAMES[0]) == b"lost", 10, "it was copied")

    move_it_as_a_whole(lab, owner, other, write)
    assert lab.source.call("GET", NAMES[0]) != b"lost"
    lab.equal(riotd, at_least=len(NAMES) + 500, timeout=30)
    assert (STREAM if feed == "psync" else CAME) in riotd.log()


@pytest.mark.parametrize("feed", ["notify", "tracking"])
def test_a_slot_moves_key_by_key(lab, feed):
    """Each key is told, so nothing has to be gone through."""
    riotd, owner, other = live(lab, feed)
    begin_a_move(lab, riotd, owner, other)
    lab.source.move_keys(SLOT, owner, other)
    lab.source.end_move(SLOT, owner, other)
    lab.source.call("SET", NAMES[0], "after it")
    lab.equal(riotd, at_least=len(NAMES) + 500)
    assert riotd.status()["snapshot"]["round"] == 1 and CAME not in riotd.log()
