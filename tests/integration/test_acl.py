"""The users of conf/source.acl and conf/target.acl: riotd does all that it can do with these rights, and each of them is needed."""

import re
import subprocess

import pytest

from kit import fill, rights
from kit.acked import Acked
from kit.compare import assert_equal, functions_of
from kit.cutover import FAST, busy, committed_ms, fence_args, writes_pass
from kit.long import in_long
from kit.riot import program
from kit.server import target_binary
from kit.wait import SCALE, until
from kit.workload import Workload

LIBRARY = "#!lua name=demo\nredis.register_function('answer', function(keys, args) return {} end)"
# What a check says of servers and not of rights: a target of a test keeps nothing on a disk, and 6.0 has no fence.
NO_NEWS = {"persistence", "fences"}
LIVES = [("tracking", "acl"), ("notify", "min-replicas"), ("tracking", "hold"), ("notify", "none")]
FENCES = {"acl": ["cutover", "fence acl", "fence acl with modules"], "min-replicas": ["cutover", "fence min-replicas"], "hold": ["cutover"], "none": []}
PROOFS = {"target__wait_replicas": 1, "target__wait_aof": True, "filter__types": ["string", "list", "set", "zset", "hash", "stream"]}
# ACL DRYRUN is asked for, and done without.
ASKED_IN_VAIN = {"acl|dryrun"}
# Whether the other fences, and the other feed, would be possible.
TRIED = {"acl|whoami", "config|set", "subscribe"}


@pytest.fixture
def tcp(lab):
    lab.source = lab.server("source", tcp=True).start()
    lab.target = lab.server("target", target_binary(), tcp=True).start()
    return lab


def link(lab, source=None, target=None, start=True, without=None, **options):
    """A link whose users have the rights of these parts of the files, all if not named; without: {side: a rule that is left out}."""
    without, urls = without or {}, []
    for side, sections in ("source", source), ("target", target):
        nodes = nodes_of(getattr(lab, side))
        for node in nodes:
            options.update(rights.give(node, side, sections, without.get(side)))
        urls.append(nodes[0].tcp_url(user=rights.USER))
    return lab.link(*urls, start=start, **options)


def nodes_of(server):
    """All of a cluster, replicas too, or the server itself."""
    return getattr(server, "nodes", [server])


def check(riotd):
    """{item: (level, text and hint)} of riotd --check."""
    riotd.write_config()
    done = subprocess.run([program("riotd"), "-c", riotd.config, "--state-dir", riotd.state_dir, "--check"], capture_output=True, text=True,
                          timeout=60 * SCALE, stdin=subprocess.DEVNULL, check=False)
    return items_of(done.stdout)


def items_of(output):
    items, last = {}, None
    for line in output.splitlines()[:-1]:
        match = re.fullmatch(r"(ok|warning|error) +(\w+) +(.*)", line)
        if match:
            last = match[2]
            items[last] = match[1], match[3]
        else:
            items[last] = items[last][0], items[last][1] + " | " + line.strip()
    return items


def complaints(items):
    return {name: text for name, (level, text) in items.items() if level != "ok" and name not in NO_NEWS}


def load(server, answer):
    if server.has("FUNCTION"):
        server.call("FUNCTION", "LOAD", "REPLACE", LIBRARY.format(answer))


def equal(lab, riotd):
    riotd.wait("drained", 60)
    assert_equal(lab.source, lab.target, at_least=30)
    if lab.source.has("FUNCTION"):
        assert functions_of(lab.source) == functions_of(lab.target)


def change_all(lab):
    """Of every kind that a feed or its watch list tells: values, expiries, deletions, a flush, groups of streams, functions."""
    with lab.source.raw() as client:
        client.must([("SET", "new", "1"), ("SET", "gone", "1", "PX", "50"), ("DEL", "ttl:long"), ("RENAME", "ttl:list", "list:renamed")])
        client.must([("XADD", "events", "1-1", "f", "v"), ("XGROUP", "CREATE", "events", "g", "0")])
    lab.source.call("FLUSHDB", db=5)
    load(lab.source, 2)


def change_groups(lab):
    with lab.source.raw() as client:
        client.call("XREADGROUP", "GROUP", "g", "consumer", "STREAMS", "events", ">")
        client.call("XACK", "events", "g", "1-1")


@pytest.mark.parametrize("feed,fence", LIVES, ids=["-".join(life) for life in LIVES])
def test_a_whole_life(tcp, feed, fence):
    """From the snapshot to the end of a cutover, with lost connections and a restart, and no right more than this feed and this fence need."""
    if fence != "none" and tcp.source.version < (6, 2):
        pytest.skip("6.0 has no pause of writes: none only")
    fill.every_type(tcp.source)
    fill.every_type(tcp.source, db=5)
    load(tcp.source, 1)
    tcp.source.lock()
    tcp.target.lock()
    riotd = link(tcp, ["every link", f"feed {feed}", *FENCES[fence]], ["every link"], feed=feed).wait("live", 60)
    items = items_of(riotd.ctl("check").stdout)
    missed = complaints(items)
    assert not {name: text for name, text in missed.items() if "error" in items[name]} and set(missed) <= {"rights_source_pause"}, missed
    equal(tcp, riotd)
    change_all(tcp)
    equal(tcp, riotd)
    change_groups(tcp)
    riotd.wait_for(lambda s: s["state"] == "live", what="live again after the flush")
    for server in (tcp.source, tcp.target):
        server.kill_riotd_clients()
    tcp.source.call("SET", "new", "2")
    equal(tcp, riotd)
    assert "cannot be proved" not in riotd.log()
    riotd.must("verify")
    riotd.restart().wait("live", 60)
    equal(tcp, riotd)
    cut_over(tcp, riotd, fence)
    assert tcp.source.config("notify-keyspace-events") == ""
    assert not complained(riotd), complained(riotd)


CLUSTER_LIVES = [("tracking", "acl"), in_long("notify", "min-replicas")]


@pytest.mark.parametrize("feed,fence", CLUSTER_LIVES)
def test_a_whole_life_between_clusters(lab, feed, fence):
    """The same, and slots move and primaries fail over on both sides."""
    lab.source = lab.cluster("source", primaries=2, replicas=1)
    lab.target = lab.cluster("target", primaries=2, replicas=1)
    if lab.source.version < (6, 2):
        pytest.skip("6.0 has no pause of writes: none only")
    fill.every_type(lab.source)
    riotd = link(lab, ["every link", "a cluster", f"feed {feed}", *FENCES[fence]], ["every link", "a cluster"], feed=feed).wait("live", 60)
    with Workload(lab.source, writers=2, keys=3000, dbs=(0,), rate=2000) as load:
        for cluster in lab.source, lab.target:
            a, b = cluster.primaries()
            for slot in sorted(a.me().slots)[:20]:
                cluster.move(slot, b)
            cluster.failover(a)
        begin = load.count
        until(lambda: load.count > begin + 2000, 30, "writers write")
    lab.source.settle()
    lab.target.settle()
    equal(lab, riotd)
    riotd.must("verify")
    clients = lab.source.riotd_clients() + lab.target.riotd_clients()
    assert clients and {client["user"] for client in clients} == {rights.USER}, clients
    riotd.must("cutover", *fence_args(fence), *FAST)
    riotd.wait_for(lambda s: s["cutover"]["fence_held"], what="the fence is looked at")
    assert not writes_pass(lab.source)
    riotd.must("finish", "--unfence")
    until(lambda: writes_pass(lab.source), 5, "writes pass again")
    assert not complained(riotd), complained(riotd)
    for node in lab.source.nodes + lab.target.nodes:
        assert set(refusals(node)) <= TRIED, refusals(node)


@pytest.mark.parametrize("side", ["source", "target"])
def test_each_right_for_a_cluster_is_missed(lab, side):
    """On all of its nodes, and on one alone: then that one is named."""
    setattr(lab, side, lab.cluster(side, primaries=2))
    other = "target" if side == "source" else "source"
    setattr(lab, other, lab.server(other, tcp=True).start())
    full = check(link(lab, start=False, databases="0"))
    assert not complaints(full), complaints(full)
    cluster = getattr(lab, side)
    for rule in [rule for line in rights.lines(side) if line.section == "a cluster" for rule in line.rules]:
        items = check(link(lab, start=False, databases="0", without={side: rule}))
        news = {name: text for name, (_, text) in items.items() if (_, text) != full.get(name)}
        assert says(news, rule), (rule, items)
        rights.give(cluster.nodes[0], side)
        items = check(lab.links[-1])
        news = {name: text for name, (_, text) in items.items() if (_, text) != full.get(name)}
        assert says(news, rule) and str(cluster.nodes[1].port) in " ".join(news.values()), (rule, items)


def refusals(server):
    """What its ACL has refused to riotd, but for what is asked for in vain."""
    entries = [dict(zip(entry[::2], entry[1::2])) for entry in server.call("ACL", "LOG")]
    objects = [entry[b"object"].decode() for entry in entries if entry[b"username"].decode() == rights.USER]
    return [name for name in objects if name not in ASKED_IN_VAIN]


def complained(riotd):
    return [line for line in riotd.log().splitlines() if "NOPERM" in line or "not allowed" in line]


def cut_over(lab, riotd, fence):
    with Acked(lab.source, lab.folder, writers=2, keys=100, grace=1.0, rate=1000, auth=lab.source.auth) as writers:
        busy(writers)
        if fence == "none":
            writers.stop()
        riotd.must("cutover", *fence_args(fence), *FAST)
        if fence != "none":
            assert not writes_pass(lab.source)
    verdict = writers.judge(lab.target, committed_ms(riotd))
    assert verdict.acknowledged > 400 and not verdict.missing and not verdict.late, verdict
    if fence != "none":
        riotd.wait_for(lambda s: s["cutover"]["fence_held"], what="the fence is looked at")
    riotd.must("finish", "--unfence")
    until(lambda: writes_pass(lab.source), 5, "writes pass again")


def test_nothing_is_asked_for_that_the_files_do_not_give(tcp):
    """A server notes each refusal in its ACL LOG, and people look at that."""
    if tcp.source.version < (6, 2):
        pytest.skip("6.0 has no fences to give rights for")
    fill.every_type(tcp.source)
    load(tcp.source, 1)
    riotd = link(tcp)
    riotd.wait("live")
    riotd.must("check")
    change_all(tcp)
    equal(tcp, riotd)
    change_groups(tcp)
    riotd.restart().wait("live")
    riotd.must("verify")
    riotd.must("cutover", *fence_args("acl"), *FAST)
    riotd.must("finish", "--unfence")
    for server in (tcp.source, tcp.target):
        assert not refusals(server), refusals(server)


def test_the_way_back_can_be_kept_open(tcp):
    """After a cutover with the fence acl, a link the other way keeps the old source up to date, though nobody else may write to it."""
    if tcp.source.version < (6, 2):
        pytest.skip("6.0 has no pause of writes: none only")
    old, new = tcp.source, tcp.target
    fill.every_type(old)
    riotd = link(tcp).wait("live")
    rights.add(old, "target")
    rights.add(new, "source")
    riotd.must("cutover", *fence_args("acl"), *FAST)
    new.call("SET", "written later", "1")
    riotd.must("finish")
    files = {"source__password_file": riotd.options["target.password_file"], "target__password_file": riotd.options["source.password_file"]}
    back = tcp.link(new.tcp_url(user=rights.USER), old.tcp_url(user=rights.USER), name="back", target__existing_keys="replace", **files)
    back.wait("live").wait("drained")
    new.call("SET", "later still", "1")
    back.must("cutover", *fence_args("acl"), *FAST)
    assert_equal(new, old, at_least=30)
    assert not writes_pass(new) and not writes_pass(old)
    riotd.must("finish", "--unfence")
    assert writes_pass(old) and not writes_pass(new)


# --- each is needed: without it a check says so, and what to do


def command_of(rule):
    """As a check names it: "+client|list" is CLIENT LIST."""
    return rule[1:].replace("|", " ").upper() if rule[0] == "+" else rule[1:]


def feeds_of(line):
    return {"feed notify": ("notify",), "feed psync": ("psync",)}.get(line.section, ("tracking",))


def says(items, rule):
    """Is the command named by an item that is not as it was with all rights?"""
    return any(command_of(rule).lower() in text.lower() for text in items.values())


@pytest.mark.parametrize("side", ["source", "target"])
def test_each_right_is_missed(tcp, side):
    """One by one is taken away. Of those for a fence, the item of that fence tells."""
    server = getattr(tcp, side)
    tcp.source.call("CONFIG", "SET", "repl-backlog-size", "1gb")  # for as long as it takes at the rate of the filling
    load(tcp.source, 1)
    fill.every_type(tcp.source)
    has_modules = server.info("modules").get("module", "name=lua,").split(",")[0] != "name=lua"  # Valkey's scripts, without a command
    full = {feed: check(link(tcp, start=False, feed=feed, **PROOFS)) for feed in ("psync", "tracking", "notify")}
    assert not any(complaints(items) for items in full.values()), full
    silent, strange = [], []
    for line in rights.lines(side):
        if not line.is_for(server.version) or (line.section == "fence acl with modules" and not has_modules):
            continue
        if line.section == "a cluster":  # these servers stand alone
            continue
        if server.version < (6, 2) and line.section == "feed notify":
            continue
        for rule in line.rules:
            if rule == "+psync":  # is not looked at inside a transaction, and asking for it would begin a synchronisation: the start tells
                continue
            for feed in feeds_of(line):
                items = check(link(tcp, start=False, without={side: rule}, feed=feed, **PROOFS))
                news = {name: text for name, (_, text) in items.items() if (_, text) != full[feed].get(name)}
                if not says(news, rule):
                    silent.append((line.section, feed, rule, news))
                given = set(re.findall(r"[+~&]\S+", " ".join(re.findall(r"ACL SETUSER riotd (.*)", " ".join(news.values())))))
                if given - set(rights.rules(side, server.version)):
                    strange.append((rule, given))
    assert not silent, silent
    assert not strange, strange


@pytest.mark.parametrize("fence,rule", [("acl", "+acl|setuser"), ("acl", "+acl|list"), ("min-replicas", "+config|set"), ("hold", "+client|kill"),
                                        ("hold", "+client|pause"), ("acl", "+client|pause")])
def test_a_fence_without_its_right_is_refused_by_name(tcp, fence, rule):
    if tcp.source.version < (6, 2):
        pytest.skip("6.0 has no pause of writes: none only")
    riotd = link(tcp, without={"source": rule}).wait("live")
    done = riotd.ctl("cutover", "--fence", fence, *FAST)
    assert done.returncode == 6 and f"{command_of(rule)} " in done.stderr and "not allowed" in done.stderr, done
    assert writes_pass(tcp.source) and riotd.state == "live"


def all_rules():
    return [(side, line, rule) for side in ("source", "target") for line in rights.lines(side) for rule in line.rules]


def is_told(riotd, rule):
    """Does the status say which command, or whose keys, are refused?"""
    status = riotd.status()
    told = " ".join(map(str, (status["conditions"], status["blockers"], status.get("reason", "")))).lower()
    return all(word in told for word in (["keys"] if rule == "~*" else command_of(rule).lower().split()))


@pytest.mark.long
@pytest.mark.parametrize("side,line,rule", all_rules(), ids=[f"{side}{rule}" for side, _, rule in all_rules()])
def test_a_link_without_a_right_works_or_says_so(tcp, side, line, rule):
    """Nobody checked before: in the end both sides are equal all the same, or the status says which command is refused."""
    if not line.is_for(getattr(tcp, side).version):
        pytest.skip("not for this server")
    fill.every_type(tcp.source)
    fill.every_type(tcp.source, db=5)
    load(tcp.source, 1)
    riotd = link(tcp, without={side: rule}, feed=feeds_of(line)[0])
    until(lambda: riotd.state == "live" or is_told(riotd, rule), 30, "live, or a word about the right")
    change_all(tcp)
    change_groups(tcp)
    if riotd.ctl("wait", "--for", "drained", "--timeout", f"{int(10 * SCALE)}s").returncode == 0:
        equal(tcp, riotd)
    else:
        assert is_told(riotd, rule)
