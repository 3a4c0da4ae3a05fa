"""The cutover of clusters: all shards are fenced, proved and let go as one, whichever node fails meanwhile."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kit.certs import Authority
from kit.compare import assert_equal
from kit.cutover import FAST, Background, busy, committed_ms, fence_args, fenced_settings, fill, own_user, record, writers_of, writes_pass
from kit.long import in_long
from kit.wait import SCALE, until

# Slow enough for what a test does in the middle.
PAUSE = ("--max-write-pause", "20s")


def link_of(lab, kind="acl", source=3, target=0, replicas=1, cluster=None, **options):
    """Sides with so many primaries; 0 is a single server. Replicas are the source's. cluster: how the clusters are made."""
    made = cluster or {}
    lab.source = lab.cluster("source", primaries=source, replicas=replicas, **made) if source else lab.server("source", tcp=True).start()
    if target:
        lab.target = lab.cluster("target", primaries=target, **made)
    if made.get("mapped"):
        options.update(source__address_map=lab.source.address_map(), target__address_map=lab.target.address_map())
    fill(lab.source)
    url = lab.source.url() if source else lab.source.tcp_url()
    if kind == "acl":
        for node in nodes(lab):
            options["source__password_file"] = own_user(lab, node)
        url = url.replace("://", "://riotd@")
    return lab.link(url, lab.target, **options).wait("live")


def nodes(lab):
    return getattr(lab.source, "nodes", [lab.source])


def key_of(lab, node):
    """A key that this primary owns."""
    return next(key for n in range(10_000) if lab.source.owner_of(key := f"probe:{n}") is node)


def pass_at(lab, node, timeout=2):
    return writes_pass(node, key_of(lab, node), timeout)


def all_pass(lab, timeout=2):
    return all(pass_at(lab, node, timeout) for node in lab.source.primaries())


def settings_of(lab):
    return [fenced_settings(node) for node in nodes(lab)]


def cut_over(lab, kind, source, target, **options):
    link = link_of(lab, kind, source, target, **options)
    with writers_of(lab) as writers:
        busy(writers, 1000)
        if kind == "none":
            writers.stop()
        done = link.ctl("cutover", *fence_args(kind), *FAST)
        assert done.returncode == 0, done.stdout + done.stderr
        status = link.status()
        assert status["state"] == "committed" and status["cutover"]["fence"] == kind
        if kind != "none":
            link.wait_for(lambda s: s["cutover"]["fence_held"], what="the fence is looked at")
        if kind in ("acl", "min-replicas"):
            until(lambda: writers.refused > 200, 10, "writers are refused")
    verdict = writers.judge(lab.target, committed_ms(link))
    assert verdict.acknowledged > 1000
    assert not verdict.missing and not verdict.late, verdict
    if kind in ("acl", "min-replicas"):
        assert_equal(lab.source, lab.target, at_least=2000)
    return link


@pytest.mark.parametrize("source, target, kind",
                         [(3, 3, "acl"), (0, 3, "acl"), (3, 3, "min-replicas"), (3, 3, "hold"), in_long(3, 0, "acl"), in_long(3, 3, "none")])
def test_every_acknowledged_write_is_on_the_target(lab, source, target, kind):
    link = cut_over(lab, kind, source, target)
    if source and kind in ("acl", "min-replicas"):
        assert len(record(link)["nodes"]) == 6 and all(node["settings"] for node in record(link)["nodes"])
        assert sorted({node["shard"] for node in record(link)["nodes"]}) == [1, 2, 3]
    if source and kind != "none":
        assert not any(pass_at(lab, node, 0.5) for node in lab.source.primaries())
    link.must("finish", "--unfence", *(["--force"] if kind == "hold" else []))
    assert link.state == "finished"
    if source:
        assert all_pass(lab)


def test_over_tls(lab):
    """Nodes take connections by TLS only, and replicate by it too."""
    authority = Authority(lab.folder)
    files = {"source__tls__ca_file": authority.path, "target__tls__ca_file": authority.path}
    link = cut_over(lab, "acl", 2, 2, cluster={"tls": (authority, authority.sign("node"))}, **files)
    assert len(record(link)["nodes"]) == 4 and all(node["settings"] for node in record(link)["nodes"])
    link.must("finish", "--unfence")
    assert all_pass(lab)


def test_behind_nat(lab):
    """Nodes tell ports at which nobody listens."""
    link = cut_over(lab, "min-replicas", 2, 2, replicas=0, cluster={"mapped": True})
    assert len(record(link)["nodes"]) == 2 and all(node["settings"] for node in record(link)["nodes"])
    assert not any(str(node.told) in each["address"] for node in lab.source.nodes for each in record(link)["nodes"])
    link.must("finish", "--unfence")
    assert all_pass(lab)


@pytest.mark.long
@pytest.mark.parametrize("turn", range(5))
def test_five_cutovers_in_a_row(lab, turn):
    assert turn >= 0
    cut_over(lab, "acl", 3, 3)


@pytest.mark.parametrize("kind", ["acl", "min-replicas"])
def test_all_nodes_are_as_they_were_after_finish(lab, kind):
    link = link_of(lab, kind)
    before = settings_of(lab)
    link.must("cutover", *fence_args(kind), *FAST)
    assert all(now != was for now, was in zip(settings_of(lab), before))
    link.must("finish", "--unfence")
    assert settings_of(lab) == before and all_pass(lab)


def test_slots_that_move_refuse_it(lab):
    link = link_of(lab, replicas=0)
    a, b, _ = lab.source.primaries()
    slot = min(b.me().slots)
    lab.source.begin_move(slot, a)
    for args in (), ("--dry-run",):
        done = link.ctl("cutover", *FAST, *args)
        assert done.returncode == 6 and "slots are being moved" in done.stdout + done.stderr, done.stdout + done.stderr
    assert link.state == "live" and all_pass(lab)
    lab.source.move_keys(slot, b, a)
    lab.source.end_move(slot, b, a)
    until(lambda: link.ctl("cutover", "--dry-run").returncode == 0, 20, "it could begin")


def stand(lab, kind="acl", **options):
    """A cutover that is fenced, and waits for the target's replica. Returns the link, and what riotctl is at."""
    lab.target.tcp = True
    lab.target.stop()
    lab.target = lab.server("target-tcp", tcp=True).start()
    replica = lab.server("target-replica", tcp=True, args=["--replicaof", "127.0.0.1", str(lab.target.port)]).start()
    until(lambda: replica.info("replication").get("master_link_status") == "up", 20, "the target has a replica")
    link = link_of(lab, kind, target__wait_replicas=1, **options)
    replica.process.send_signal(signal.SIGSTOP)
    lab.stopped = replica
    for node in lab.source.primaries():  # each connection writes what the replica cannot have confirmed yet
        assert writes_pass(node, key_of(lab, node))
    link.wait("drained")
    cutover = Background(link, *fence_args(kind), *FAST, *PAUSE)
    link.wait_for(lambda s: s.get("cutover", {}).get("step") == "prove_target", what="it waits for the target")
    return link, cutover


def go_on(lab):
    lab.stopped.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("kill", [False, in_long(True)])
def test_a_failover_before_the_commit_undoes_it(lab, kill):
    link, cutover = stand(lab)
    before = record(link)
    assert before["stage"] == "fencing" and len(before["nodes"]) == 6
    primary = lab.source.primaries()[1]
    begin = time.monotonic()
    new = lab.source.failover(primary, kill)
    done = cutover.done(60)
    assert done.returncode in ((8, 9) if kill else (8,)), done.stdout + done.stderr
    assert time.monotonic() - begin < 40 * SCALE
    go_on(lab)
    assert pass_at(lab, new) and all_pass(lab)
    link.wait_state("live", 60)
    assert_none_fenced(lab)


def assert_none_fenced(lab):
    for node in lab.source.running():
        assert not [line for line in node.call("ACL", "LIST") if b"user default" in line and b"-@write" in line], node.name


def test_kill_9_in_the_middle_frees_the_writers(lab):
    link, _ = stand(lab)
    link.kill()
    link.start()
    begin = time.monotonic()
    until(lambda: all_pass(lab, 0.5), 5, "writers are free")
    assert time.monotonic() - begin < 2.5 * SCALE
    go_on(lab)
    link.wait_state("live", 30)
    assert record(link).get("stage", "none") == "none"
    assert_none_fenced(lab)


@pytest.mark.parametrize("kind", ["acl", in_long("hold")])
def test_after_the_commit_a_failover_is_fenced_again(lab, kind):
    link = link_of(lab, kind)
    link.must("cutover", *fence_args(kind), *FAST)
    link.wait_for(lambda s: s["cutover"]["fence_held"], what="the fence is looked at")
    primary = lab.source.primaries()[0]
    new = lab.source.failover(primary, kill=True)
    key = key_of(lab, new)
    if kind == "hold":
        until(lambda: "fenced again" in link.log(), 20, "the new primary is fenced")
    link.wait_for(lambda s: s["cutover"]["fence_held"], what="the new primary is looked at")
    assert not writes_pass(new, key)
    lab.source.revive(primary)
    if kind == "acl":  # its users are those of its configuration again
        own_user(lab, primary)
        until(lambda: any(b"-@write" in line for line in primary.call("ACL", "LIST") if b"user default" in line), 20, "it is fenced again")
    link.restart()
    link.wait_for(lambda s: s["cutover"]["fence_held"], what="the fence is looked at again")
    assert not writes_pass(new, key)
    done = link.ctl("finish", "--unfence", *(["--force"] if kind == "hold" else []))
    assert done.returncode == (9 if kind == "hold" else 0), done.stdout + done.stderr  # what it took before it was paused is not known
    assert all_pass(lab)


@pytest.mark.long
def test_no_shard_of_a_hold_is_let_go_while_clients_of_one_come_back(lab):
    link = link_of(lab, "hold", replicas=0)
    link.must("cutover", *fence_args("hold"), *FAST)
    node = lab.source.primaries()[2]
    key = key_of(lab, node)
    with ThreadPoolExecutor(1) as pool:
        stop = threading.Event()
        coming = pool.submit(lambda: [writes_pass(node, key, 0.3) for _ in iter(lambda: not stop.is_set(), False)])
        done = link.ctl("finish")
        stop.set()
        assert done.returncode == 6 and "come back" in done.stderr and f":{node.port}" in done.stderr, done.stdout + done.stderr
        assert not any(coming.result())
    assert not any(pass_at(lab, each, 0.5) for each in lab.source.primaries())
    link.must("finish")
    assert all_pass(lab)


def test_a_shard_that_cannot_be_fenced_refuses_it(lab):
    """riotd has the right on two of three."""
    link = link_of(lab, replicas=0)
    node = lab.source.primaries()[2]
    node.call("ACL", "SETUSER", "riotd", "-acl")
    done = link.ctl("cutover", *fence_args("acl"), *FAST)
    assert done.returncode == 6 and f":{node.port}" in done.stdout + done.stderr, done.stdout + done.stderr
    assert all_pass(lab)
