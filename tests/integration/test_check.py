"""riotd --check: each thing that could stand in the way of a link is told, and nothing is changed by looking."""

import contextlib
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from kit import proxy as kit_proxy
from kit.riot import program
from kit.server import free_port
from kit.wait import SCALE, until

PASSWORD = "a secret of the test"
LINE = re.compile(r"(ok|warning|error) +([a-z_]+)  +(.*)")
COUNTS = re.compile(r"(\d+) errors?, (\d+) warnings?")
WRITES = re.compile(r"restore|set$|unlink|del$|flush|eval|config.set|client.pause|acl.setuser|function.(restore|load|delete|flush)")


class Item:
    def __init__(self, level, text):
        self.level, self.text, self.hint = level, text, ""

    def __repr__(self):
        return f"{self.level}: {self.text} | {self.hint}"


class Report:
    """What one check printed: items by name, of several with one name the worst."""

    def __init__(self, done, seconds=0.0):
        self.code, self.seconds, self.output = done.returncode, seconds, done.stdout
        self.items, last = {}, None
        lines = done.stdout.splitlines()
        counts = COUNTS.fullmatch(lines.pop()) if lines else None
        assert counts, f"no table: {done.stdout}{done.stderr}"
        self.errors, self.warnings = map(int, counts.groups())
        for line in lines:
            match = LINE.fullmatch(line)
            if match:
                last = Item(match[1], match[3])
                assert match[2] not in self.items, f"two items named {match[2]}"
                self.items[match[2]] = last
            else:
                assert last and line.startswith(" " * 9), line
                last.hint = line.strip()
        for level, count in (("error", self.errors), ("warning", self.warnings)):
            assert count == sum(i.level == level for i in self.items.values()), self.output
        for item in self.items.values():
            assert bool(item.hint) == (item.level != "ok"), item
        assert self.code == (12 if self.errors else 0), self.output

    def must(self, name, level, *words):
        item = self.items.get(name)
        assert item and item.level == level and all(word in item.text + " " + item.hint for word in words), \
            f"{name} should be {level} with {words}, and is {item}\n{self.output}"
        return self

    def only(self, **levels):
        """No other warnings and errors than these. That the target of a test keeps nothing on a disk is no news, and
        that a source is too old for a fence."""
        bad = {name: item.level for name, item in self.items.items() if item.level != "ok" and name not in ("persistence", "fences")}
        assert bad == levels, self.output
        return self

    def without(self, *names):
        assert not set(names) & set(self.items), self.output
        return self


def run(riotd, *args):
    riotd.write_config()
    begin = time.monotonic()
    done = subprocess.run([program("riotd"), "-c", riotd.config, "--state-dir", riotd.state_dir, "--check", *args], capture_output=True,
                          text=True, timeout=60 * SCALE, stdin=subprocess.DEVNULL, check=False)
    return Report(done, time.monotonic() - begin)


def calls(server):
    """Of commands that could change something, and did not fail. What a right is asked for with always fails."""
    made = {}
    for name, value in server.info("commandstats").items():
        count = dict(part.split("=") for part in value.split(","))
        done = int(count["calls"]) - int(count.get("failed_calls", 0))
        if WRITES.search(name) and done and "failed_calls" in count:
            made[name] = done
    return made


def image(server):
    """All of a server that a check could change."""
    with server.raw() as client:
        settings = client.call("CONFIG", "GET", "*")  # in no certain order while the server has a child
        users = client.call("ACL", "LIST")
    info = server.info()
    keyspace = {name: value for name, value in info.items() if re.fullmatch(r"db\d+", name)}
    return {"settings": dict(zip(settings[::2], settings[1::2])), "users": users, "keyspace": keyspace, "calls": calls(server),
            "dirty": info["rdb_changes_since_last_save"]}


@pytest.fixture
def look(lab):
    """look(source, target, **options): checks a link without riotd, and proves that neither server was changed."""
    def look(source=None, target=None, args=(), **options):
        source, target = source or lab.source, target or lab.target
        servers = [s for s in lab.servers if s.process and not s.frozen]
        before = [image(server) for server in servers]
        with contextlib.ExitStack() as stack:
            others = [stack.enter_context(server.raw()) for server in servers]
            report = run(lab.link(source, target, start=False, **options), *args)
            assert [other.call("PING") for other in others] == [b"PONG"] * len(others), "somebody was cut off"
        assert [image(server) for server in servers] == before, "something was changed"
        return report
    return look


@pytest.fixture
def tcp(lab):
    lab.source = lab.server("source", tcp=True).start()
    lab.target = lab.server("target", tcp=True).start()
    return lab


def login(lab, server, rights, side, base=("~*", "&*", "+@all")):
    """Makes a user with these rights; returns the options of a link that logs in as it."""
    path = f"{lab.folder}/password-{side}"
    with open(path, "w", encoding="ascii") as file:
        file.write(PASSWORD)
    base = [rule for rule in base if not rule.startswith("&") or server.version >= (6, 2)]
    server.call("ACL", "SETUSER", "riot", "on", f">{PASSWORD}", *base, *rights)
    return {f"{side}__password_file": path}


def as_user(look, lab, side, *rights, **options):
    """A check whose user on one side has all rights but these."""
    server = getattr(lab, side)
    options.update(login(lab, server, rights, side))
    return look(**{side: server.tcp_url(user="riot")}, **options)


def test_all_is_well(lab, look):
    lab.source.call("SET", "k", "v")
    lab.target.call("CONFIG", "SET", "save", "3600 1")
    report = look().only()
    for name in ("source_reachable", "target_reachable", "rights_source", "rights_target", "keys_source", "keys_target", "feed",
                 "versions", "databases", "cluster", "target_memory", "eviction", "bulk_length", "output_buffer", "clock", "modules",
                 "functions", "scripts", "persistence", "interlocks", "target_owner", "state_file", "memory"):
        report.must(name, "ok")
    report.must("feed", "ok", "tracking", "psync: the source has no replication backlog")
    assert report.seconds < 5 * SCALE


def test_nothing_is_made_in_the_state_folder(lab, look):
    look()
    assert not os.path.exists(lab.links[0].state_dir)


# --- both sides there


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_is_not_there(lab, look, side):
    other = "target" if side == "source" else "source"
    report = look(**{side: f"unix://{lab.folder}/nobody"}).must(f"{side}_reachable", "error", "o such file", "runs")
    report.must(f"{other}_reachable", "ok").must(f"rights_{other}", "ok").must("state_file", "ok")
    report.without(f"rights_{side}", "versions", "interlocks", "clock")
    assert report.code == 12 and report.seconds < 5 * SCALE
    if side == "target":
        report.must("feed", "ok").must("scripts", "ok")
    else:
        report.must("persistence", "warning").must("eviction", "ok").must("target_owner", "ok")


def test_a_port_where_nobody_listens(lab, look):
    look("redis://127.0.0.1:1").must("source_reachable", "error", "refused", "listens")


def test_a_name_that_does_not_resolve(lab, look):
    look("redis://no-such-host.invalid:6379").must("source_reachable", "error", "does not resolve", "source.url")


def test_a_password_that_is_wrong(tcp, look):
    options = login(tcp, tcp.source, [], "source")
    tcp.source.call("ACL", "SETUSER", "riot", "resetpass", ">another")
    report = look(tcp.source.tcp_url(user="riot"), **options).must("source_reachable", "error", "WRONGPASS", "source.password_file")
    assert PASSWORD not in report.output


def test_a_password_that_is_missing(lab, look):
    lab.target = lab.server("target", args=["--requirepass", "x"])
    lab.target.start(wait=False)
    report = run(lab.link(start=False))
    report.must("target_reachable", "error", "NOAUTH", "target.password_file")


def test_a_password_that_is_too_much(lab, look):
    path = f"{lab.folder}/password"
    with open(path, "w", encoding="ascii") as file:
        file.write(PASSWORD)
    look(target__password_file=path).must("target_reachable", "error", "target.password_file")


@pytest.mark.parametrize("answer", [b"", b"\x15\x03\x01\x00\x02\x02\x46"])
def test_a_port_that_wants_tls(lab, look, answer):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.recv(1000)
            client.sendall(answer)
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        look(f"redis://127.0.0.1:{listener.getsockname()[1]}").must("source_reachable", "error", "TLS")
    finally:
        kit_proxy.shut(listener)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_hangs(lab, look, side):
    server, other = getattr(lab, side), "target" if side == "source" else "source"
    getattr(lab, other)
    server.freeze()
    report = look().must(f"{side}_reachable", "error", "no answer").must(f"rights_{other}", "ok")
    assert report.seconds < 11 * SCALE


def test_a_server_that_hangs_in_the_middle(lab, look):
    """It is known by then, and asked for its rights."""
    proxy = lab.proxy(lab.source)

    def hold(connection, argv):
        if argv[0] == b"MULTI":
            connection.hold("up")

    proxy.on_request = hold
    report = look(proxy).must("source_reachable", "ok").must("rights_source", "warning", "no answer").without("feed", "keys_source")
    assert report.seconds < 11 * SCALE


def test_a_server_that_is_loading(lab, look):
    lab.source.call("SET", "k", "x" * 100)
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "v" * 100) for i in range(2000)])
    lab.source.restart_slowly()
    run(lab.link(start=False)).must("source_reachable", "error", "oading")


# --- rights


@pytest.mark.parametrize("dryrun", [True, False], ids=["dryrun", "queued"])
@pytest.mark.parametrize("side,command,name,level", [
    ("source", "dump", "rights_source", "error"),
    ("source", "scan", "rights_source", "error"),
    ("source", "exists", "rights_source", "error"),
    ("source", "ping", "rights_source", "error"),
    ("target", "restore", "rights_target", "error"),
    ("target", "unlink", "rights_target", "error"),
    ("target", "dump", "rights_target_verify", "warning"),
    ("source", "randomkey", "rights_source_verify", "warning"),
    ("source", "multi", "rights_source", "error"),
    ("target", "multi", "rights_target_verify", "warning"),
])
def test_a_right_that_is_missing(tcp, look, dryrun, side, command, name, level):
    server = getattr(tcp, side)
    if dryrun and server.version < (7, 0):
        pytest.skip("ACL DRYRUN came with 7.0")
    report = as_user(look, tcp, side, f"-{command}", *([] if dryrun else ["-acl"]))
    report.must(name, level, command.upper(), "ACL SETUSER riot", f"+{command}")
    others = {n for n, i in report.items.items() if i.level == "error" and n != name}
    assert not others, report.output


@pytest.mark.parametrize("command,name", [("client|kill", "rights_source_safety"), ("client|list", "rights_source_safety"),
                                          ("config|get", "rights_source_safety"), ("client|pause", "rights_source_pause"),
                                          ("client|unpause", "rights_source_pause")])
def test_a_right_that_riotd_can_do_without(tcp, look, command, name):
    if tcp.source.version < (7, 0):
        pytest.skip("no rights for single subcommands before 7.0")
    report = as_user(look, tcp, "source", f"-{command}")
    report.must(name, "warning", command.upper().replace("|", " "), f"+{command}")
    assert report.code == 0


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("rights", [["resetkeys", "~app:*"], ["resetkeys"]])
def test_keys_that_may_not_be_touched(tcp, look, side, rights):
    report = as_user(look, tcp, side, *rights)
    report.must(f"keys_{side}", "error", "~*").must(f"rights_{side}", "ok")


def test_rights_that_only_trying_shows(tcp, look):
    """Neither DRYRUN nor MULTI: what cannot be known is no error, but what is known is."""
    report = as_user(look, tcp, "target", "-multi", "-acl")
    report.must("rights_target_verify", "warning", "MULTI").must("rights_target", "ok", "RESTORE").must("keys_target", "ok", "trying")


def test_a_command_that_was_renamed(lab, look):
    lab.target = lab.server("target", args=["--rename-command", "RESTORE", "hidden"]).start()
    look().must("rights_target", "error", "RESTORE", "renamed")


def test_a_target_that_refuses_writes(lab, look):
    lab.target.call("CONFIG", "SET", "min-replicas-to-write", "3")
    look().must("target_writable", "error", "NOREPLICAS")


# --- the feed


def test_tracking_is_refused(tcp, look):
    report = as_user(look, tcp, "source", "-client|tracking" if tcp.source.version >= (7, 0) else "-subscribe")
    report.must("feed", "ok", "notify", "tracking:", "refused", "KA")


def test_no_feed_is_possible(tcp, look):
    if tcp.source.version < (6, 2):
        pytest.skip("channels have no rights before 6.2")
    report = as_user(look, tcp, "source", "resetchannels")
    report.must("feed", "error", "tracking", "notify", "+client|tracking")


def test_flags_that_may_not_be_set(tcp, look):
    if tcp.source.version < (7, 0):
        pytest.skip("no rights for single subcommands before 7.0")
    report = as_user(look, tcp, "source", "-config|set", feed="notify")
    report.must("feed", "error", "CONFIG SET", "notify-keyspace-events")
    tcp.source.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
    as_user(look, tcp, "source", "-config|set", feed="notify").must("feed", "ok", "suffice")


def test_flags_that_cannot_be_read(tcp, look):
    as_user(look, tcp, "source", "-config", feed="notify").must("feed", "warning", "cannot be read", "KA")


def test_a_service_that_takes_tracking_away(lab, look):
    """The ACL allows it, the server does not: it is tried."""
    proxy = lab.proxy(lab.source)

    def refuse(_connection, argv, _value):
        if argv and argv[0].upper() == b"CLIENT" and len(argv) > 4 and argv[1].upper() == b"TRACKING":
            return b"-ERR not supported here\r\n"
        return None

    proxy.on_reply = refuse
    look(proxy, feed="tracking").must("feed", "error", "not supported here")
    look(proxy).must("feed", "ok", "notify", "not supported here")


def test_no_feed_is_a_warning(look):
    look(feed="none").must("feed", "warning", "one pass").without("output_buffer", "idle_timeout")


def test_a_small_output_buffer(lab, look):
    lab.source.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 5")
    look().must("output_buffer", "warning", "1.0 MiB", "client-output-buffer-limit")


def test_a_small_backlog(lab, look):
    lab.source.give_backlog()
    lab.source.config("repl-backlog-size", 64 << 20)
    look(feed="psync").must("backlog", "ok", "64.0 MiB")
    lab.source.config("repl-backlog-size", 128 << 10)
    look(feed="psync").must("backlog", "warning", "128.0 KiB", "repl-backlog-size")
    look(feed="tracking").without("backlog")


def test_idle_connections_are_closed(lab, look):
    lab.source.call("CONFIG", "SET", "timeout", "60")
    look().must("idle_timeout", "warning", "60 s", "timeout 0")


# --- the fence


def test_fences(tcp, look):
    if tcp.source.version < (6, 2):
        look().must("fences", "warning", "none").must("fence_hold", "ok", "6.2")
        return
    look().must("fences", "ok").must("fence_acl", "ok", "cannot be had", "default").must("fence_min_replicas", "ok", "auto takes")
    as_user(look, tcp, "source").must("fences", "ok").must("fence_hold", "ok", "can be had")
    report = as_user(look, tcp, "source", "-config", "-acl")
    report.must("fences", "ok", "hold").must("fence_min_replicas", "ok", "cannot be had", "CONFIG")


def test_no_fence_can_be_had(tcp, look):
    if tcp.source.version < (7, 0):
        pytest.skip("no rights for single subcommands before 7.0")
    as_user(look, tcp, "source", "-client|pause").must("fences", "warning", "--fence none").must("fence_hold", "ok", "CLIENT PAUSE")


def test_a_replica_that_no_fence_would_reach(lab, tcp, look):
    """Its address leads nowhere from here."""
    if tcp.source.version < (6, 2):
        pytest.skip("no fence")
    replica = lab.server("replica", tcp=True, args=["--replica-announce-port", "1"]).start()
    replica.call("REPLICAOF", "127.0.0.1", str(tcp.source.port))
    until(lambda: replica.info("replication")["master_link_status"] == "up")
    report = look().must("fence_min_replicas", "ok", "cannot be had", "127.0.0.1:1").must("replicas", "ok", "1")
    assert report.seconds < 11 * SCALE


# --- the data


def test_fewer_databases(lab, look):
    lab.target = lab.server("target", args=["--databases", "4"]).start()
    look().must("databases", "warning", "16", "4")
    lab.source.call("SET", "k", "v", db=5)
    look().must("databases", "error", "database 5")
    look(databases=[0, 1]).must("databases", "ok")


def test_eviction(lab, look):
    lab.target.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    look().must("eviction", "error", "allkeys-lru")
    look(target__allow_eviction=True).must("eviction", "warning", "allkeys-lru")


def test_a_target_that_is_too_small(lab, look):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "v" * 1000) for i in range(8000)])
    lab.target.call("CONFIG", "SET", "maxmemory", "2mb")
    look().must("target_memory", "error", "2.0 MiB", "maxmemory")


def test_a_source_that_is_full(lab, look):
    lab.source.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    lab.source.call("CONFIG", "SET", "maxmemory", "20mb")
    look().must("source_memory", "warning", "20.0 MiB", "allkeys-lru")


def test_shorter_values(lab, look):
    lab.target.call("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    look().must("bulk_length", "warning", "1.0 MiB", "512.0 MiB")


@pytest.mark.parametrize("ms,level", [(30, "ok"), (400, "warning"), (5000, "error"), (-5000, "error")])
def test_clocks_that_differ(lab, look, ms, level):
    proxy = lab.proxy(lab.source)

    def shift(_connection, argv, value):
        if not argv or argv[0].upper() != b"TIME" or not isinstance(value, list):
            return None
        us = int(value[0]) * 1000000 + int(value[1]) + ms * 1000
        return kit_proxy.reply([b"%d" % (us // 1000000), b"%d" % (us % 1000000)])

    proxy.on_reply = shift
    report = look(proxy).must("clock", level).must("clock_source", level).must("clock_target", "ok")
    if level != "ok":
        report.must("clock", level, "behind" if ms > 0 else "ahead")


def test_scripts_in_the_cache(lab, look):
    lab.source.call("SCRIPT", "LOAD", "return 1")
    look().must("scripts", "warning", "1 script", "EVALSHA")


def test_functions(tcp, look):
    if tcp.source.version < (7, 0):
        pytest.skip("functions came with 7.0")
    tcp.source.call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
    look().must("functions", "ok", "1 librar")
    as_user(look, tcp, "target", "-function").must("functions", "error", "FUNCTION RESTORE")
    as_user(look, tcp, "source", "-function|dump").must("functions", "error", "FUNCTION DUMP")


def test_a_target_in_memory_only(lab, look):
    look().must("persistence", "warning", "memory only")
    lab.target.call("CONFIG", "SET", "save", "3600 1")
    look().must("persistence", "ok", "RDB")
    look(target=lab.server("durable", args=["--appendonly", "yes"]).start()).must("persistence", "ok", "AOF")


def test_a_cluster(lab, look):
    lab.source = lab.server("source", tcp=True, args=["--cluster-enabled", "yes"])
    while not lab.source.port or lab.source.port >= 55536:  # it takes the one 10000 further too
        lab.source.port = free_port()
    lab.source.start(wait=False)
    until(lambda: lab.source.info("server"), 20)
    look().must("cluster", "error", "source")


# --- interlocks, and who else is there


def test_one_server_twice(lab, look):
    look(lab.source, lab.source).must("same_server", "error", "two servers").without("versions", "target_owner", "eviction")


def test_a_target_with_keys(lab, look):
    lab.target.call("SET", "k", "v")
    look().must("target_not_empty", "error", "1 key")
    look(target__existing_keys="replace").must("target_owner", "ok", "will go")
    look(target__existing_keys="merge").must("target_owner", "ok", "will stay").must("feed", "ok", "notify")


def test_a_feed_that_merging_cannot_use(look):
    look(target__existing_keys="merge", feed="tracking").must("merge_feed", "error", "feed: notify")


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_replica(lab, tcp, look, side):
    primary = lab.server("primary", tcp=True).start()
    server = getattr(lab, side)
    server.call("REPLICAOF", "127.0.0.1", str(primary.port))
    if side == "source":
        look().must("source_role", "warning", f"127.0.0.1:{primary.port}")
    else:
        look().must("target_is_replica", "error", f"127.0.0.1:{primary.port}")


def test_sentinels(lab, look):
    with lab.source.raw() as client:
        client.call("CLIENT", "SETNAME", "sentinel-0123abcd-cmd")
        look().must("sentinel", "warning", "1 Sentinel", "--max-write-pause")


def test_another_riotd(lab, look):
    with lab.target.raw() as client:
        client.call("CLIENT", "SETNAME", "riotd:another:12345678:write")
        look().must("other_riotd", "error", "riotd:another")


def test_beside_a_riotd_that_runs(lab, look):
    """It is not disturbed: no connection is lost, its lock is not needed, its file stays; and it is no other riotd."""
    lab.source.call("SET", "k", "v")
    riotd = lab.live()

    def ids():
        return {c["id"] for server in (lab.source, lab.target) for c in server.clients() if c["name"].startswith("riotd:")}

    with open(f"{riotd.state_dir}/test.json", encoding="utf-8") as file:
        before = file.read()
    clients = ids()
    report = run(riotd).only().must("target_owner", "ok", "own", "1 key").must("interlocks", "ok")
    assert report.code == 0
    assert clients <= ids()
    with open(f"{riotd.state_dir}/test.json", encoding="utf-8") as file:
        assert file.read() == before
    assert riotd.state == "live"


def test_connections_of_a_cutover_are_let_be(lab, look):
    """A riotd that runs has written down which connections of its fence are alive. A check beside it ends none of them."""
    riotd = lab.live()
    riotd.stop()
    path = f"{riotd.state_dir}/test.json"
    with open(path, encoding="utf-8") as file:
        state = json.load(file)
    with lab.source.raw() as client:
        client.call("CLIENT", "SETNAME", f"riotd:test:{state['instance']}:fence")
        state["connections"].append({"side": "source", "run_id": lab.source.info("server")["run_id"], "client_id": client.call("CLIENT", "ID")})
        with open(path, "w", encoding="utf-8") as file:
            json.dump(state, file)
        run(riotd).must("fences", "ok" if lab.source.version >= (6, 2) else "warning")
        assert client.call("PING") == b"PONG"


def test_a_state_file_that_is_refused(lab, look):
    riotd = lab.link(start=False)
    os.makedirs(riotd.state_dir)
    with open(f"{riotd.state_dir}/test.json", "w", encoding="utf-8") as file:
        file.write("no state")
    run(riotd).must("state_file", "error", "test.json").must("feed", "ok")


def test_a_source_that_lost_half_of_its_keys(lab, look):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "v") for i in range(10)])
    riotd = lab.live().wait("drained")
    riotd.must("stop")
    riotd.stop()
    with lab.source.raw() as client:
        client.must([("DEL", f"k{i}") for i in range(8)])
    run(riotd).must("source_shrank", "warning", "10 keys", "has 2")


# --- riotctl check


def test_riotctl_shows_what_riotd_says(lab):
    lab.source.call("SET", "k", "v")
    riotd = lab.live()
    before = [image(lab.source), image(lab.target)]
    Report(riotd.ctl("check")).only().must("target_owner", "ok", "own")
    assert [image(lab.source), image(lab.target)] == before
    assert riotd.state == "live"
    # Errors beside a link that runs.
    lab.target.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    report = Report(riotd.ctl("check")).must("eviction", "error", "allkeys-lru")
    assert report.code == 12
    lab.target.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    lab.equal(riotd, at_least=1)


def test_riotctl_gives_the_document(lab):
    riotd = lab.link(autostart=False)
    done = riotd.ctl("check", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0 == document["exit_code"] == document["errors"]
    assert document["checked_at"] and document["warnings"] == sum(item["level"] == "warning" for item in document["items"])
    levels = {item["name"]: item["level"] for item in document["items"]}
    assert levels["persistence"] == "warning" and levels["source_reachable"] == "ok"
    assert all(item["text"] for item in document["items"])
    assert riotd.state == "idle"
    lab.source.stop()
    done = riotd.ctl("check", "--json")
    assert done.returncode == 12 == json.loads(done.stdout)["exit_code"]


def test_a_check_that_takes_long_holds_nothing_up(lab):
    """One at a time; and whoever asked may go away."""
    lab.source.call("SET", "k", "v")
    proxy = lab.proxy(lab.source)
    riotd = lab.live(proxy)
    held = threading.Event()

    def hold(connection, argv):
        if connection.role == "check" and argv[0] == b"MULTI":
            connection.hold("up")
            held.set()

    proxy.on_request = hold
    with subprocess.Popen([program("riotctl"), "-s", riotd.socket, "check"], stdout=subprocess.PIPE, text=True) as first:
        assert held.wait(20 * SCALE)
        second = riotd.ctl("check")
        assert second.returncode == 6 and "a check runs already" in second.stderr
        lab.source.call("SET", "k2", "v")
        lab.equal(riotd, at_least=2)
        output = first.communicate()[0]
    assert first.returncode == 0 and "not known: no answer" in output
    held.clear()
    with subprocess.Popen([program("riotctl"), "-s", riotd.socket, "check"], stdout=subprocess.DEVNULL) as gone:
        assert held.wait(20 * SCALE)
        gone.kill()
    proxy.on_request = None
    until(lambda: riotd.ctl("check").returncode == 0, 20)
    assert riotd.state == "live"


def test_riotd_may_end_in_a_check(lab):
    proxy = lab.proxy(lab.target)
    lab.source.freeze()
    riotd = lab.link(lab.source, proxy, autostart=False)
    with subprocess.Popen([program("riotctl"), "-s", riotd.socket, "check"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asker:
        until(lambda: proxy.count("MULTI"), 10)
        riotd.stop()
        assert asker.wait(20 * SCALE) in (1, 3)


# --- argv


def test_help_and_errors_of_the_configuration(lab):
    done = subprocess.run([program("riotd"), "--help"], capture_output=True, text=True, check=False)
    assert "--check " in done.stdout and "12" in done.stdout
    done = subprocess.run([program("riotd"), "--check", "--source", "unix:///s", "--target", "t"], capture_output=True, text=True, check=False)
    assert done.returncode == 78 and "target.url" in done.stderr and not done.stdout
