"""Which databases, whose the target is, what becomes of its keys, and what is refused at the start."""

import subprocess
import time

import pytest

from kit.compare import assert_equal
from kit.riot import program
from kit.wait import until


def fill_databases(server, dbs, count=100):
    for db in dbs:
        with server.raw(db) as client:
            client.must([("SET", f"k{i}", f"{db}-{i}") for i in range(count)])


def refused(riotd, code):
    """The link is up, in `failed`, with this blocker and a hint; returns the blocker."""
    status = riotd.wait_for(lambda s: s["state"] == "failed", what="state failed")
    found = [b for b in status["blockers"] if b["code"] == code]
    assert found, status["blockers"]
    assert found[0]["message"] and found[0]["hint"]
    return found[0]


# --- databases


def test_all_databases_are_copied_by_default(lab):
    fill_databases(lab.source, range(16), 20)
    lab.live()
    assert assert_equal(lab.source, lab.target) == 320


def test_a_list_of_databases_is_all_that_is_touched(lab, feed):
    fill_databases(lab.source, (0, 1, 2, 3))
    lab.target.call("SET", "mine", "in a database out of the scope", db=3)
    riotd = lab.live(feed=feed, databases=[0, 2])
    fill_databases(lab.source, (0, 1, 2, 3), 150)
    lab.source.call("SET", "only in 1", "v", db=1)
    riotd.wait("drained")
    assert_equal(lab.source, lab.target, dbs=(0, 2), at_least=300)
    assert lab.target.dbsize(1) == 0 and lab.target.redis(db=3).keys() == [b"mine"]


def test_a_database_in_the_source_s_url_is_that_one_alone(lab, feed):
    fill_databases(lab.source, (0, 1, 2))
    riotd = lab.live(lab.source.url(1), feed=feed)
    lab.source.call("SET", "new", "v", db=1)
    lab.source.call("SET", "new", "v", db=2)
    riotd.wait("drained")
    assert_equal(lab.source, lab.target, dbs=(1,), at_least=101)
    assert lab.target.dbsize(0) == lab.target.dbsize(2) == 0


def test_one_database_can_go_into_another(lab, feed):
    fill_databases(lab.source, (0, 1))
    lab.target.call("SET", "mine", "v", db=1)
    riotd = lab.live(lab.source.url(1), lab.target.url(5), feed=feed)
    lab.source.call("SET", "new", "v", db=1)
    lab.source.call("DEL", "k0", db=1)
    riotd.wait("drained")
    assert_equal(lab.source, lab.target, dbs=(1,), into={1: 5}, at_least=100)
    assert lab.target.dbsize(0) == 0 and lab.target.redis(db=1).keys() == [b"mine"]


def test_a_target_with_fewer_databases_is_told(lab):
    lab.target = lab.server("target", args=["--databases", "4"]).start()
    fill_databases(lab.source, (0, 9))
    riotd = lab.link()
    status = riotd.wait_for(lambda s: s["blockers"] or s["conditions"] or s["totals"]["failed_keys"], what="a word about it")
    assert "9" in str(status["blockers"]) + str(status["conditions"]) + str(status["failed_keys"]) + str(status["reason"])


# --- existing keys


def test_a_target_that_is_not_empty_is_refused_by_default(lab):
    fill_databases(lab.source, (0,))
    lab.target.call("SET", "precious", "v", db=4)
    riotd = lab.link()
    refused(riotd, "target_not_empty")
    assert lab.target.dbsize(0) == 0 and lab.target.redis(db=4).get("precious") == b"v"
    # What stood against it is done away with, and start tries again.
    lab.target.call("FLUSHALL")
    riotd.must("start")
    riotd.wait("live")
    lab.equal(riotd, at_least=100)


def test_replace_sweeps_what_the_source_lacks(lab, feed):
    fill_databases(lab.source, (0,))
    fill_databases(lab.target, (0, 7), 300)
    lab.live(feed=feed, target__existing_keys="replace")
    assert assert_equal(lab.source, lab.target) == 100
    assert lab.target.dbsize(7) == 0


def test_merge_keeps_what_the_source_lacks_and_overwrites_the_rest(lab):
    fill_databases(lab.source, (0,))
    with lab.target.raw() as client:
        client.must([("SET", f"theirs{i}", i) for i in range(50)] + [("SET", "k0", "old")])
    riotd = lab.live(target__existing_keys="merge", feed="notify")
    lab.source.call("DEL", "k1")
    lab.source.call("SET", "k2", "new")
    riotd.wait("drained")
    assert_equal(lab.source, lab.target, only=lambda k: not k.startswith(b"theirs"), at_least=99)
    assert lab.target.dbsize() == 99 + 50


def test_a_gap_under_merge_waits_for_a_person(lab):
    fill_databases(lab.source, (0,))
    lab.target.call("SET", "theirs", "v")
    riotd = lab.live(target__existing_keys="merge", feed="notify")
    assert lab.source.kill_riotd_clients(":feed") == 1
    riotd.wait_for(lambda s: "deletions_unknown" in {b["code"] for b in s["blockers"]}, what="the blocker")
    riotd.must("resume", "--accept", "deletions_unknown")
    riotd.wait_for(lambda s: not s["blockers"] and s["state"] == "live", what="live without it")
    lab.source.call("SET", "k0", "after")
    riotd.wait("drained")
    assert lab.target.redis().get("k0") == b"after" and lab.target.redis().get("theirs") == b"v"


def test_its_own_target_is_not_refused_after_a_restart(lab):
    fill_databases(lab.source, (0,))
    riotd = lab.live()
    riotd.restart()
    riotd.wait("live")
    assert lab.target.dbsize() == 100


def test_start_anew_forgets_whose_the_target_was(lab):
    fill_databases(lab.source, (0,))
    riotd = lab.live()
    riotd.must("stop")
    riotd.wait_state("idle")
    riotd.must("start", "--anew")
    refused(riotd, "target_not_empty")


def test_a_target_that_became_another_server_while_riotd_was_away(lab):
    fill_databases(lab.source, (0,))
    riotd = lab.live()
    riotd.stop()
    lab.target.restart(data=False)
    fill_databases(lab.target, (0,), 500)
    with lab.target.raw() as client:
        client.must([("RENAME", f"k{i}", f"theirs{i}") for i in range(500)])
    riotd.start()
    status = riotd.wait_for(lambda s: s["blockers"], what="a blocker")
    assert {b["code"] for b in status["blockers"]} & {"target_foreign", "target_not_empty"}
    time.sleep(0.7)
    assert lab.target.redis().exists(*[f"theirs{i}" for i in range(500)]) == 500


# --- interlocks


def test_the_same_server_on_both_sides_is_refused_by_its_run_id(lab):
    lab.source = lab.server("source", tcp=True).start()
    fill_databases(lab.source, (0,))
    refused(lab.link(lab.source.url(), lab.source.tcp_url()), "same_server")
    assert lab.source.dbsize() == 100


def test_a_source_that_replicates_from_the_target_is_refused(lab):
    lab.target = lab.server("target", tcp=True).start()
    lab.source.call("REPLICAOF", "127.0.0.1", lab.target.port)
    until(lambda: lab.source.info("replication")["master_link_status"] == "up", 30)
    riotd = lab.link()
    status = riotd.wait_state("failed")
    assert status["blockers"] and "replica" in str(status["blockers"])


def test_a_target_that_replicates_from_the_source_is_refused(lab):
    lab.source = lab.server("source", tcp=True).start()
    lab.target.call("REPLICAOF", "127.0.0.1", lab.source.port)
    until(lambda: lab.target.info("replication")["master_link_status"] == "up", 30)
    riotd = lab.link()
    status = riotd.wait_for(lambda s: s["blockers"] or s["conditions"], what="a word about it")
    assert "replica" in str(status["blockers"]) + str(status["conditions"])
    assert status["state"] != "live"


def test_another_riotd_on_the_same_target_is_refused(lab):
    fill_databases(lab.source, (0,))
    first = lab.live(name="first")
    other = lab.server("other").start()
    other.call("SET", "other", "v")
    second = lab.link(other, name="second", target__existing_keys="replace")
    status = second.wait_for(lambda s: s["blockers"], 30, "a blocker")
    assert "first" in str(status["blockers"]) or "riotd" in str(status["blockers"])
    assert lab.target.dbsize() == 100
    assert first.state == "live"


def test_a_target_that_evicts_is_refused_unless_allowed(lab):
    lab.target.config("maxmemory-policy", "allkeys-lru")
    lab.target.config("maxmemory", "1gb")
    fill_databases(lab.source, (0,))
    riotd = lab.link()
    status = riotd.wait_state("failed")
    assert "maxmemory-policy" in str(status["blockers"]) and "allow_eviction" in str(status["blockers"])
    assert lab.target.dbsize() == 0
    riotd.stop()
    riotd.options["target.allow_eviction"] = True
    riotd.start().wait("live")
    lab.equal(riotd, at_least=100)


def test_a_target_that_evicts_keys_of_an_expiry_only_is_refused_too(lab):
    lab.target.config("maxmemory-policy", "volatile-ttl")
    riotd = lab.link()
    assert riotd.wait_state("failed")["blockers"]


def test_two_links_beside_each_other_do_not_disturb_one_another(lab):
    fill_databases(lab.source, (0, 1))
    one = lab.live(lab.source.url(0), lab.target.url(0), name="one", target__existing_keys="replace", feed="notify")
    other = lab.server("other").start()
    two = lab.live(lab.source, other, name="two", feed="tracking")
    lab.source.call("SET", "new", "v")
    one.wait("drained")
    two.wait("drained")
    assert_equal(lab.source, other, at_least=201)
    assert_equal(lab.source, lab.target, dbs=(0,), at_least=101)
    one.stop()
    lab.source.call("SET", "newer", "v")
    two.wait("drained")
    assert_equal(lab.source, other, at_least=202)


def test_a_failed_start_leaves_the_daemon_up(lab):
    riotd = lab.link(lab.source, lab.source)
    refused(riotd, "same_server")
    assert riotd.ctl("start").returncode in (0, 6)
    assert riotd.process.poll() is None
    done = subprocess.run([program("riotctl"), "-s", riotd.socket, "wait", "--for", "live"], timeout=60, check=False)
    assert done.returncode == 13
