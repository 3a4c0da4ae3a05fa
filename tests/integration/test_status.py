"""The status document: every field, its type, its meaning."""

import os
import re
import time

import pytest

from kit.wait import until

TEXT, COUNT, MS, LIST = str, int, (int, float), list
FIELDS = {
    "schema": COUNT, "name": TEXT, "version": TEXT, "state": TEXT, "since": TEXT, "reason": TEXT, "conditions": LIST,
    "source": {"address": TEXT, "server": TEXT, "version": TEXT, "run_id": TEXT, "state": TEXT, "round_trip_ms": MS},
    "target": {"address": TEXT, "server": TEXT, "version": TEXT, "run_id": TEXT, "state": TEXT, "round_trip_ms": MS},
    "feed": {"kind": TEXT, "state": TEXT, "gaps": COUNT, "passed_over": LIST},
    "snapshot": {"round": COUNT, "scanned_keys": COUNT, "estimated_keys": COUNT, "percent": MS},
    "queue": {"dirty_keys": COUNT, "in_flight_keys": COUNT, "in_flight_bytes": COUNT, "memory_bytes": COUNT, "memory_limit_bytes": COUNT},
    "lag": {"keys": COUNT, "ms": MS},
    "rate": {"copied_keys_per_s": MS, "bytes_per_s": MS, "marks_per_s": MS},
    "totals": {"marks": COUNT, "copied_keys": COUNT, "deleted_keys": COUNT, "bytes": COUNT, "retries": COUNT, "failed_keys": COUNT},
    "lanes": LIST, "failed_keys": LIST, "blockers": LIST, "next": LIST,
}
# `reason` may be absent: unknown is absent, never empty or 0.
MAY_BE_ABSENT = {"reason", "feed.last_gap_reason", "snapshot.eta_ms"}


def check(document, fields, path=""):
    for name, kind in fields.items():
        if name not in document:
            assert path + name in MAY_BE_ABSENT, f"{path}{name} is not in the status"
        elif isinstance(kind, dict):
            assert isinstance(document[name], dict), path + name
            check(document[name], kind, f"{path}{name}.")
        else:
            assert isinstance(document[name], kind) and not isinstance(document[name], bool), f"{path}{name}: {document[name]!r}"


@pytest.fixture
def link(lab):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "v" * 100) for i in range(1000)])
    return lab.live()


def test_every_field_is_there(lab, link):
    lab.source.kill_riotd_clients(":feed")
    link.wait_for(lambda s: s["feed"]["gaps"] == 1 and s["state"] == "live")
    status = link.wait_for(lambda s: "round_trip_ms" in s["target"] and "round_trip_ms" in s["source"], 5)
    check(status, FIELDS)
    assert status["name"] == "test" and status["schema"] >= 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", status["since"])
    for side, server in (("source", lab.source), ("target", lab.target)):
        told, info = status[side], server.info("server")
        assert told["run_id"] == info["run_id"]
        assert told["version"] == info.get("valkey_version", info["redis_version"])
        assert told["server"] == ("valkey" if "valkey_version" in info else "redis")
        assert server.path in told["address"]
    assert status["feed"]["last_gap_reason"]
    assert len(status["lanes"]) == 1 and isinstance(status["lanes"][0], dict)


def test_names_are_snake_case_with_units(link):
    def names(value):
        if isinstance(value, dict):
            for name, inner in value.items():
                yield name
                yield from names(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from names(inner)

    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names(link.status()))


def test_totals_count_what_was_applied(lab, link):
    before = link.status()["totals"]
    assert before["copied_keys"] >= 1000 and before["bytes"] >= 10_000
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "w") for i in range(50)] + [("DEL", f"k{i}") for i in range(50, 80)])
    lab.equal(link)
    after = link.status()["totals"]
    assert after["copied_keys"] - before["copied_keys"] >= 50
    assert after["deleted_keys"] - before["deleted_keys"] >= 30
    assert after["marks"] - before["marks"] >= 80
    assert after["failed_keys"] == after["retries"] == 0


def test_the_snapshot_shows_progress(lab):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(6000)])
    riotd = lab.link(limits__keys_per_s=400)
    status = riotd.wait_for(lambda s: s["state"] == "snapshot" and s["totals"]["copied_keys"] > 500)
    assert status["snapshot"]["estimated_keys"] >= 5000
    percents, etas = [], []
    while (status := riotd.status())["state"] == "snapshot":
        snapshot, copied = status["snapshot"], status["totals"]["copied_keys"]
        percents.append(snapshot["percent"])
        assert snapshot["percent"] <= 100 * copied / 6000 + 10, f"{copied} of 6,000 keys are copied"
        if "eta_ms" in snapshot:
            etas.append(snapshot["eta_ms"])
        if len(etas) == 10:
            riotd.must("limit", "keys_per_s=2000")
        time.sleep(0.1)
    assert percents == sorted(percents) and percents[-1] <= 100
    assert etas and max(etas) < 60_000
    riotd.wait("live")
    status = riotd.status()
    assert status["snapshot"]["round"] == 1 and status["snapshot"]["scanned_keys"] >= 6000


def test_the_lag_grows_while_the_target_hangs_and_ends_after_it(lab, link):
    lab.target.freeze()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "lag") for i in range(300)])
    first = link.wait_for(lambda s: s["lag"]["keys"] >= 300 and s["lag"]["ms"] > 0)
    time.sleep(1)
    second = link.status()
    assert second["lag"]["ms"] >= first["lag"]["ms"] + 800
    lab.target.thaw()
    link.wait("drained")
    assert link.status()["lag"] == {"keys": 0, "ms": 0} or link.status()["lag"]["keys"] == 0


def test_rates_show_what_happens_now(lab, link):
    def written_on(client):
        client.must([("SET", f"k{i}", "r") for i in range(200)])
        rate = link.status()["rate"]
        return rate if min(rate["copied_keys_per_s"], rate["marks_per_s"]) > 50 else None

    with lab.source.raw() as client:
        peak = until(lambda: written_on(client), 20, "rates of more than 50 a second")["marks_per_s"]
    until(lambda: link.status()["rate"]["marks_per_s"] < peak / 20, 15, "the rate falls again")


def test_a_failed_key_is_named_and_blocks(lab):
    """A value that the target can never take: larger than its proto-max-bulk-len."""
    lab.target.config("proto-max-bulk-len", str(1024 * 1024))
    name = b"too large \x00\r\n\xff"
    with lab.source.raw() as client:
        client.call("SET", name, os.urandom(2_000_000))
        client.call("SET", "fits", "v")
    riotd = lab.link()
    status = riotd.wait_for(lambda s: s["totals"]["failed_keys"] == 1, what="the failed key")
    assert len(status["failed_keys"]) == 1
    shown = str(status["failed_keys"][0])
    assert "too large" in shown and "\\x00" in shown.replace("\\\\", "\\") and "\n" not in shown
    assert "proto-max-bulk-len" in str(status)
    assert any("failed" in b["code"] for b in status["blockers"]), status["blockers"]
    until(lambda: lab.target.redis().exists("fits"), 10)
    assert riotd.ctl("wait", "--for", "drained", "--timeout", "1500ms").returncode == 7
    # Made smaller, it is marked, copied, and no longer failed.
    lab.source.call("SET", name, "small")
    lab.equal(riotd, at_least=2)
    status = riotd.status()
    assert status["failed_keys"] == [] and not status["blockers"]


def test_a_failed_key_that_is_deleted_is_no_longer_failed(lab, feed):
    lab.target.config("proto-max-bulk-len", str(1024 * 1024))
    riotd = lab.live(feed=feed)
    lab.source.call("SET", "large", os.urandom(2_000_000))
    riotd.wait_for(lambda s: s["totals"]["failed_keys"] == 1, what="the failed key")
    lab.source.call("DEL", "large")
    lab.equal(riotd)
    assert not riotd.status()["blockers"]


def test_what_to_type_next_is_told(lab, link):
    link.must("pause")
    link.wait_state("paused")
    assert any("resume" in command for command in link.status()["next"])
    link.must("stop")
    link.wait_state("idle")
    assert any("start" in command for command in link.status()["next"])
