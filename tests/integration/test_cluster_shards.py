"""A link whose sides have shards: who they are, what is remembered of each, what a check and the status tell of them."""

import json
import os

import pytest

from kit.riot import riotctl
from kit.wait import until

KEYS = 900


def fill(server, count=KEYS):
    with server.raw() as client:
        client.must([("SET", f"k{i}", f"v{i}") for i in range(count)])


def remembered(link):
    with open(os.path.join(link.folder, "state", f"{link.name}.json"), encoding="utf-8") as file:
        return json.load(file)


def checked(link):
    return {(i["name"], i["level"]): i["text"] for i in json.loads(link.ctl("check", "--json").stdout)["items"]}


@pytest.fixture
def shards(lab):
    """Three of the source; the target is one server."""
    lab.source = lab.cluster("source", primaries=3)
    fill(lab.source)
    return lab.source


def test_the_first_pass_tells_the_keys_of_shards_that_began_before_others(lab, shards):
    """The feed of the last waits for a full synchronisation, while the others copy."""
    first, second, last = shards.primaries()
    first.give_backlog()
    second.give_backlog()
    last.config("repl-diskless-sync-delay", "1")
    link = lab.link(start=False, psync__full_sync=True)
    link.options["feed"] = "psync"
    link.start().wait("live")
    assert f"the first pass over all keys is complete: {KEYS} keys" in link.log(), link.log()[-3000:]


def test_status_and_check_tell_of_each_shard(lab, shards):
    lab.target = lab.cluster("target", primaries=2)
    link = lab.live()
    status = link.status()
    assert status["source"]["cluster"] and status["source"]["shards"] == 3 and status["target"]["shards"] == 2
    nodes = {n["address"]: n for n in status["source"]["nodes"]}
    assert set(nodes) == {f"redis://127.0.0.1:{n.port}" for n in shards.nodes}
    assert sum(n["slots"] for n in nodes.values()) == 16384
    for node in shards.nodes:
        told = nodes[f"redis://127.0.0.1:{node.port}"]
        assert told["role"] == "primary" and told["state"] == "up"
        assert node.info("server")["run_id"].startswith(told["run_id"])
    lanes = {lane["name"]: lane for lane in status["lanes"]}
    assert set(lanes) == set(nodes)
    assert all(lane["phase"] == "live" and lane["feed"]["state"] == "ready" for lane in lanes.values())
    assert sum(lane["totals"]["copied_keys"] for lane in lanes.values()) == status["totals"]["copied_keys"] >= KEYS
    table = riotctl("status", "--lanes", socket=link.socket).stdout.splitlines()
    assert table[0].split()[:2] == ["LANE", "PHASE"] and {line.split()[0] for line in table[1:]} == set(lanes)
    assert "cluster of 3 shards" in riotctl("status", socket=link.socket).stdout

    items = checked(link)
    assert ("slots", "ok") in items and not [name for name, level in items if level == "error"]
    shards.nodes[1].call("ACL", "SETUSER", "default", "-dump")
    assert f"DUMP on redis://127.0.0.1:{shards.nodes[1].port}" in checked(link)["rights_source", "error"]
    shards.nodes[1].call("ACL", "SETUSER", "default", "+dump")


def test_source_and_target_share_no_node(lab, shards):
    link = lab.link(shards.nodes[0].url(), shards.nodes[2].url())
    link.wait_state("failed")
    assert link.blockers() == {"same_server"}


def test_several_databases_go_into_a_cluster_only_if_one_is_named(lab):
    lab.target = lab.cluster("target", primaries=2)
    for db in (0, 3):
        with lab.source.raw(db=db) as client:
            client.call("SET", "k", f"of {db}")
    link = lab.link()
    link.wait_state("failed")
    assert link.blockers() == {"database_missing"}
    link.stop()
    lab.live(name="one", databases="3")
    assert lab.target.call("GET", "k") == b"of 3"


def test_a_failover_while_riotd_is_away_is_no_loss(lab):
    lab.source = lab.cluster("source", primaries=2, replicas=1)
    fill(lab.source)
    link = lab.live()
    link.wait_for(lambda s: s["state"] == "live")
    link.stop()
    was = {r["address"] for r in remembered(link)["sources"]}
    old = lab.source.primaries()[0]
    new = lab.source.failover(old)
    with lab.source.raw() as client:
        client.must([("DEL", f"k{i}") for i in range(50)])
    link.start()
    link.wait("live")
    assert not link.blockers()
    lab.equal(link, at_least=KEYS - 50)
    link.stop()
    now = {r["address"] for r in remembered(link)["sources"]}
    assert f"redis://127.0.0.1:{old.port}" in was - now and f"redis://127.0.0.1:{new.port}" in now - was


@pytest.mark.parametrize("away", [True, False])
def test_a_shard_that_lost_its_keys_deletes_none(lab, shards, away):
    """A third of all is gone, over half of its own."""
    link = lab.live()
    lost = shards.nodes[1]
    count = lost.call("DBSIZE")
    if away:
        link.stop()
    lost.stop()
    lost.start()
    until(lambda: lost.call("CLUSTER", "INFO").find(b"cluster_state:ok") >= 0, 30)
    assert lost.call("DBSIZE") == 0
    if away:
        link.start()
    link.wait_for(lambda s: [b for b in s["blockers"] if b["code"] == "source_shrank"], 30)
    blocked = next(b for b in link.status()["blockers"] if b["code"] == "source_shrank")
    assert f"redis://127.0.0.1:{lost.port} had {count} keys" in blocked["message"]
    assert lab.target.dbsize() == KEYS
    link.must("resume", "--accept", "source_shrank")
    until(lambda: lab.target.dbsize() == KEYS - count, 30, "what the shard lost is deleted")
    link.wait("live")
    assert not link.blockers()


def test_flags_of_a_former_primary_are_put_back(lab):
    lab.source = lab.cluster("source", primaries=2, replicas=1)
    fill(lab.source, 100)
    link = lab.live(feed="notify")
    old = lab.source.primaries()[0]
    new = lab.source.failover(old)
    link.wait_for(lambda s: f"redis://127.0.0.1:{new.port}" in [lane["name"] for lane in s["lanes"]] and s["state"] == "live", 30)
    until(lambda: "K" in new.config("notify-keyspace-events"), 20)
    assert "K" in old.config("notify-keyspace-events")
    assert len(remembered(link)["notify"]) == 3
    link.must("stop")
    link.wait_state("idle")
    assert [n.config("notify-keyspace-events") for n in lab.source.nodes] == [""] * 4
    assert remembered(link)["notify"] == []
    until(lambda: not lab.source.riotd_clients(), 5, "nothing is asked of a cluster while the link is idle")
    link.must("start")
    link.wait("live")


def test_the_journal_tells_of_nodes_and_slots(lab, shards):
    link = lab.live()
    first, second, _ = shards.primaries()
    shards.reshard(20, first, second)
    link.wait_log("slots of the source have moved")
    node = shards.add()
    link.wait_log(f"redis://127.0.0.1:{node.port} joined, a primary with 0 slots")
    shards.remove(node)
    link.wait_log(f"redis://127.0.0.1:{node.port} left")
    lines = [line for line in link.log().splitlines() if "slots_moved" in line]
    assert 1 <= len(lines) <= 3, lines


def test_a_shard_that_leaves_takes_nothing_along(lab, shards):
    """Its slots and keys are others' by then: nothing is blocked, and deletions go on."""
    link = lab.live()
    first, _, third = shards.primaries()
    shards.reshard(len(third.me().slots), third, first)
    shards.remove(third)
    link.wait_log(f"redis://127.0.0.1:{third.port} left", 40)
    link.wait_for(lambda s: len(s["lanes"]) == 2 and s["state"] == "live")
    with shards.raw() as client:
        client.must([("DEL", f"k{i}") for i in range(100)])
    lab.equal(link, at_least=KEYS - 100)
    assert not link.blockers()
    link.stop()
    assert {r["address"] for r in remembered(link)["sources"]} == {f"redis://127.0.0.1:{n.port}" for n in shards.primaries()}


def test_a_target_that_came_back_is_known_by_what_all_lanes_find(lab, shards):
    link = lab.live()
    lab.target.restart()
    with shards.raw() as client:
        client.must([("DEL", f"k{i}") for i in range(100)])
    lab.equal(link, at_least=KEYS - 100)
    assert not link.blockers()


def test_a_foreign_target_is_counted_over_all_lanes(lab, shards):
    link = lab.live()
    link.stop()
    lab.target.restart(data=False)
    with lab.target.raw() as client:
        client.must([("SET", f"other{i}", "x") for i in range(KEYS * 2)])
    link.start()
    link.wait_for(lambda s: [b for b in s["blockers"] if b["code"] == "target_foreign"], 30)
    blocked = next(b for b in link.status()["blockers"] if b["code"] == "target_foreign")
    assert "1,800 of its " in blocked["message"]
    with lab.target.raw() as client:
        assert client.call("EXISTS", *[f"other{i}" for i in range(KEYS * 2)]) == KEYS * 2
    link.must("resume", "--accept", "target_foreign")
    lab.equal(link, at_least=KEYS)
