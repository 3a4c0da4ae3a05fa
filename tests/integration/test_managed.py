"""Managed services, mimicked: what a check says there, that the link gets to live under writers, and the best cutover that is possible."""

import re

import pytest

from kit.acked import Acked
from kit.compare import assert_equal
from kit.cutover import FAST, busy, committed_ms, fill, writes_pass
from kit.long import in_long
from kit.managed import ELASTICACHE, MEMORYSTORE, NAMELESS, PASSWORD, REDIS_CLOUD
from kit.wait import until
from kit.workload import Workload


def items_of(riotd):
    """{item: (level, text and hint)} of riotctl check."""
    items, last = {}, None
    for line in riotd.ctl("check").stdout.splitlines()[:-1]:
        match = re.fullmatch(r"(ok|warning|error) +(\w+) +(.*)", line)
        if match:
            last = match[2]
            items[last] = match[1], match[3]
        elif last:
            items[last] = items[last][0], items[last][1] + " " + line.strip()
    return items


def errors_of(items):
    return {name: text for name, (level, text) in items.items() if level == "error"}


def renamed(lab, profile, *args):
    """A source that does not know what the service has taken away."""
    lab.source = lab.server("source", args=[*profile.args(), *args], tcp=True).start()
    return lab.source


def denied(lab, profile):
    """A source whose ACL refuses it to riotd's user; the URL and options of a link that is this user."""
    lab.source = lab.server("source", tcp=True).start()
    path = profile.user(lab.source, lab.folder)
    return lab.source.tcp_url(user="riotd"), {"source__password_file": path}


def live_under_writers(lab, riotd):
    with Workload(lab.source, writers=2, keys=2000, dbs=(0,), rate=2000) as writers:
        riotd.wait("live", 60)
        until(lambda: writers.count > 4000, 30, "writers write")
    riotd.wait("drained", 60)
    assert_equal(lab.source, lab.target, at_least=200)
    riotd.must("verify")


def rejected(server):
    """{command: how often it was refused by the ACL}"""
    lines = server.call("INFO", "commandstats").decode().split("\r\n")
    found = {}
    for line in lines:
        name, _, rest = line.partition(":")
        calls = re.search(r"rejected_calls=(\d+)", rest)
        if calls and int(calls[1]):
            found[name.removeprefix("cmdstat_")] = int(calls[1])
    return found


def cut_over(lab, riotd, *args):
    """Under load: nothing that was acknowledged is lost."""
    with Acked(lab.source, lab.folder, writers=2, keys=100, grace=1.0, rate=1000) as writers:
        busy(writers)
        riotd.must("cutover", *args, *FAST)
        if "none" not in args:
            assert not writes_pass(lab.source)
    verdict = writers.judge(lab.target, committed_ms(riotd))
    assert not verdict.missing and not verdict.late, verdict


def cut_over_stopped(lab, riotd):
    """Where nothing keeps writers away, they are stopped first; as long as they write, it is refused."""
    with Acked(lab.source, lab.folder, writers=2, keys=100, grace=1.0, rate=1000) as writers:
        busy(writers)
        done = riotd.ctl("cutover", "--fence", "none", "--quiet-for", "300ms", "--max-write-pause", "3s", *FAST)
        assert done.returncode in (6, 8), done
        riotd.wait("live")
        writers.stop()
        riotd.must("cutover", "--fence", "none", "--quiet-for", "300ms", *FAST)
    verdict = writers.judge(lab.target, committed_ms(riotd))
    assert verdict.acknowledged > 400 and not verdict.missing and not verdict.late, verdict


# --- A refused command costs a line, and no more


def errors(server):
    """{code: how many replies were such errors}: of the ACL, and of commands that are not known."""
    lines = server.call("INFO", "errorstats").decode().split("\r\n")
    return {name.removeprefix("errorstat_"): int(count.removeprefix("count=")) for name, _, count in (line.partition(":") for line in lines) if count}


def several_seconds(server):
    """riotd reads INFO, in seven sections, each second; our own readings count too."""
    own = 0

    def others():
        nonlocal own
        own += 1
        return int(re.search(r"cmdstat_info:calls=(\d+)", server.call("INFO", "commandstats").decode())[1]) - own

    begin = others()
    until(lambda: others() >= begin + 7 * 2, 30, "two readings")


def elasticache(lab, way):
    return (renamed(lab, ELASTICACHE), {}) if way == "renamed" else denied(lab, ELASTICACHE)


MANAGED = {
    "elasticache-renamed": lambda lab: (elasticache(lab, "renamed"), "source"),
    "elasticache-denied": lambda lab: (elasticache(lab, "denied"), "source"),
    "memorystore": lambda lab: ((renamed(lab, MEMORYSTORE, "--notify-keyspace-events", "KA"), {}), "source"),
    "redis-cloud-source": lambda lab: (cloud(lab, "source"), "source"),
    "redis-cloud-target": lambda lab: (cloud(lab, "target"), "target"),
}


@pytest.mark.parametrize("name", MANAGED)
def test_a_refused_command_costs_one_line(lab, name):
    """While the link is live, nothing that was refused is asked for again, nor told again."""
    (server, options), side = MANAGED[name](lab)
    managed = getattr(lab, side)
    if managed.version < (6, 2):
        pytest.skip("6.0 does not count its errors")
    if name == "redis-cloud-source":
        managed.config("notify-keyspace-events", "KA")
    riotd = lab.link(*((server, lab.target) if side == "source" else (lab.source, server)), **options)
    riotd.wait("live")
    lab.source.call("SET", "k", "v")
    riotd.wait("drained")
    several_seconds(managed)
    refused, lines = errors(managed), riotd.log().splitlines()
    assert len([line for line in lines if "`tracking`: CLIENT" in line]) == (name in ("memorystore", "redis-cloud-source")), lines
    assert len([line for line in lines if "NOPERM" in line or "unknown command" in line]) <= 1, lines
    several_seconds(managed)
    assert errors(managed) == refused, (refused, errors(managed))
    assert riotd.log().splitlines() == lines, riotd.log().splitlines()[len(lines):]


# --- ElastiCache


@pytest.mark.parametrize("way, feed", [("renamed", "tracking"), ("denied", "notify"), in_long("renamed", "notify"), in_long("denied", "tracking")])
def test_elasticache(lab, way, feed):
    if way == "renamed":
        source, options = renamed(lab, ELASTICACHE, "--notify-keyspace-events", "KA"), {}
    else:
        source, options = denied(lab, ELASTICACHE)
        lab.source.config("notify-keyspace-events", "KA")
    if lab.source.version < (6, 2):
        pytest.skip("6.0 has no pause of writes")
    riotd = lab.link(source, feed="auto" if feed == "tracking" else feed, **options)
    live_under_writers(lab, riotd)
    items = items_of(riotd)
    assert not errors_of(items), errors_of(items)
    assert feed in items["feed"][1] and "psync" in items["feed"][1] + items["feed"][1] if feed == "tracking" else feed in items["feed"][1]
    assert "hold" in items["fences"][1], items["fences"]
    assert "CONFIG GET" in items["rights_source_safety"][1], items
    assert all("cannot be had" in items[name][1] for name in ("fence_acl", "fence_min_replicas")), items
    before = rejected(lab.source) if way == "denied" else {}
    cut_over(lab, riotd)
    assert riotd.status()["cutover"]["fence"] == "hold"
    riotd.must("finish", "--force")
    until(lambda: writes_pass(lab.source), 10, "writes pass again")
    if way == "denied":
        after = rejected(lab.source)
        assert all(after[name] - before.get(name, 0) < 12 for name in after), (before, after)


# --- Memorystore


def test_memorystore(lab):
    source = renamed(lab, MEMORYSTORE, "--notify-keyspace-events", "KA")
    riotd = lab.link(source)
    live_under_writers(lab, riotd)
    items = items_of(riotd)
    assert not errors_of(items), errors_of(items)
    assert items["feed"][1].startswith("notify") and "tracking" in items["feed"][1], items["feed"]
    assert "none" in items["fences"][1] and items["fences"][0] == "warning", items["fences"]
    assert riotd.ctl("cutover", *FAST).returncode == 6
    cut_over_stopped(lab, riotd)


# --- Redis Cloud, on either side


def cloud(lab, side, *told):
    """A server of Redis Cloud's make behind its thin INFO; the URL and options of a link that is its user."""
    server = lab.server(side, tcp=True).start()
    setattr(lab, side, server)
    path = REDIS_CLOUD.user(server, lab.folder)
    proxy = REDIS_CLOUD.thin(lab.proxy(server, tcp=True), *told)
    return proxy.tcp_url(user="riotd"), {f"{side}__password_file": path}


def accept_thin_info(riotd, message):
    """A check warns of it; no cutover begins before somebody takes it on trust, and the journal keeps who did."""
    level, text = items_of(riotd)["thin_info"]
    assert level == "warning" and message.split(" tell ")[1].split(":")[0] in text, text
    assert [b for b in riotd.status()["blockers"] if b["code"] == "thin_info" and message in b["message"]], riotd.status()["blockers"]
    done = riotd.ctl("cutover", "--fence", "none", "--quiet-for", "300ms", *FAST)
    assert done.returncode == 6 and message in done.stderr and "resume --accept thin_info" in done.stderr, done
    riotd.must("resume", "--accept", "thin_info")
    assert not riotd.status()["blockers"]
    assert f"the blocker thin_info was accepted: {message}" in riotd.log()


@pytest.mark.parametrize("counts", [True, False], ids=["commandstats", "no-commandstats"])
def test_redis_cloud_as_the_source(lab, counts):
    """Where the source does not count its commands, nobody can show that it is quiet: then there is no cutover."""
    source, options = cloud(lab, "source", *(["cmdstat_"] if counts else []))
    lab.source.config("notify-keyspace-events", "KA")
    riotd = lab.link(source, **options)
    live_under_writers(lab, riotd)
    items = items_of(riotd)
    assert not errors_of(items), errors_of(items)
    assert items["feed"][1].startswith("notify") and "tracking" in items["feed"][1], items["feed"]
    assert items["fences"][0] == "warning" and "none" in items["fences"][1], items["fences"]
    assert ("commandstats" in items) != counts, items
    assert max(rejected(lab.source).values(), default=0) < 30, rejected(lab.source)
    lacking = "master_replid" if counts else "master_replid, commandstats"
    accept_thin_info(riotd, f"INFO of the source does not tell {lacking}: a cutover")
    assert riotd.ctl("cutover", *FAST).returncode == 6
    if counts:
        cut_over_stopped(lab, riotd)
    else:
        done = riotd.ctl("cutover", "--fence", "none", "--quiet-for", "300ms", *FAST)
        assert done.returncode == 6 and "does not tell how many writes" in done.stderr, done
        assert riotd.state == "live" and writes_pass(lab.source)


def test_redis_cloud_as_the_target(lab):
    """One database, without SELECT; the fence is the source's affair. That the target kept all is taken on trust, or not at all."""
    lab.source = lab.server("source", tcp=True).start()
    target, options = cloud(lab, "target")
    riotd = lab.link(lab.source, target, **options)
    live_under_writers(lab, riotd)
    items = items_of(riotd)
    assert not errors_of(items), errors_of(items)
    accept_thin_info(riotd, "INFO of the target does not tell master_replid, commandstats, evicted_keys: a cutover")
    cut_over(lab, riotd, "--fence", "hold" if lab.source.version >= (6, 2) else "none")
    assert max(rejected(lab.target).values(), default=0) < 30, rejected(lab.target)


# --- What INFO does not tell


def nameless(lab, side, **options):
    """A link whose one side does not tell its run id, nor counts anything."""
    lab.source = lab.server("source", tcp=True).start()
    fill(lab.source, keys=400)
    proxy = NAMELESS.thin(lab.proxy(getattr(lab, side), tcp=True))
    riotd = lab.link(proxy.tcp_url() if side == "source" else lab.source, proxy.tcp_url() if side == "target" else lab.target, **options)
    riotd.wait("live")
    riotd.wait("drained")
    return riotd


def test_a_target_without_a_run_id_that_comes_back_empty(lab):
    """Nothing tells that it is another one than before: that its connection was lost is a gap."""
    riotd = nameless(lab, "target")
    lab.target.restart(data=False)
    assert not lab.target.dbsize()
    riotd.wait_for(lambda s: s["state"] == "live" and lab.target.dbsize(), what="the target is filled again")
    riotd.wait("drained")
    assert_equal(lab.source, lab.target, at_least=400)


def test_a_source_without_a_run_id_that_comes_back_empty(lab):
    """It may be another one, so nothing is deleted on the target for its sake, as where the run id is another one."""
    riotd = nameless(lab, "source")
    lab.source.restart(data=False)
    riotd.wait_for(lambda s: "source_shrank" in {b["code"] for b in s["blockers"]}, what="the blocker")
    assert lab.target.dbsize() >= 400
    riotd.must("resume", "--accept", "source_shrank")
    until(lambda: not lab.target.dbsize(), 20, "what the source lacks is deleted")
