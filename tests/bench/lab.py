"""What the cases measure with: servers, their ceilings, riotd, native replication, a peer, writers; and what each of them uses.

All of them talk over loopback TCP, as replication does. Rates are thousand keys a second.
"""

import contextlib
import datetime
import glob
import os
import shutil
import signal
import subprocess
import time

from kit import process
from kit.resp import Client, encode
from kit.riot import Riotd, program
from kit.server import RedisServer, source_binary, target_binary
from kit.wait import until
from sets import SETS

DEPTH = 256
# Redis waits 5 s for further replicas before it sends; that would be measured, not the copy.
SERVER_ARGS = ("--repl-diskless-sync-delay", "0", "--repl-backlog-ttl", "1")
SHAKE = """[scan_reader]
address = "127.0.0.1:{source}"
cluster = false
count = 1000
scan = true
ksn = false
[redis_writer]
address = "127.0.0.1:{target}"
cluster = false
[advanced]
dir = "{folder}"
log_file = "shake.log"
log_level = "info"
"""

def cpu_us(*pids):
    """User and system time of whole processes, all of their threads."""
    total = 0.0
    for pid in pids:
        try:
            for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                with open(path, encoding="ascii") as file:
                    total += int(file.read().split()[0]) / 1e3
        except OSError:  # a kernel without it: by the tick
            total += process.cpu_seconds(pid) * 1e6
    return total

def switches(pid):
    """How often the process went to sleep by itself, and so was woken up."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        with open(path, encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
    return total

def pids(endpoint):
    """Of a server, or of all nodes of a cluster."""
    return [node.pid for node in getattr(endpoint, "nodes", [endpoint])]

def run(*line, timeout=600):
    """A program of ours to its end, which is also that of the bench; its numbers."""
    with process.popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            out, err = child.communicate(timeout=timeout)
        except BaseException:
            child.kill()
            raise
    assert child.returncode == 0, f"{' '.join(line)}: {err or child.returncode}"
    return [float(word) for word in out.split()]

def pipeline(server, requests, replies=None):
    """Seconds that the server takes for them, with nothing else to do."""
    _, errors, seconds = run(program("bench/pipeline"), f"127.0.0.1:{server.port}", str(DEPTH), requests, *([replies] if replies else []))
    assert not errors, f"{errors:g} requests of {requests} failed"
    return seconds

def connection(server, db=0):
    return Client(server.path, db, timeout=600)

class Ceiling:
    """The commands of the copy of a set, for each server alone: expiry and DUMP of each key, in the order of SCAN; RESTORE of what came."""

    def __init__(self, source, folder, databases):
        self.read, self.write, replies = (os.path.join(folder, name) for name in ("read", "restore", "replies"))
        names = {db: self._names(source, db) for db in range(databases)}
        # Before 7.0 only the time that is left can be had.
        expiry, since = ("PEXPIRETIME", 0) if source.has("PEXPIRETIME") else ("PTTL", int(time.time() * 1000))
        self.keys = sum(map(len, names.values()))
        with open(self.read, "wb", buffering=1 << 20) as file:
            for db, keys in names.items():
                file.write(encode("SELECT", db))
                file.writelines(encode(expiry, key) + encode("DUMP", key) for key in keys)
        pipeline(source, self.read, replies)
        with open(replies, "rb") as got, open(self.write, "wb", buffering=1 << 20) as file:
            for db, keys in names.items():
                got.readline()
                file.write(encode("SELECT", db))
                file.writelines(self._restore(key, got, since) for key in keys)
        os.unlink(replies)

    @staticmethod
    def _names(source, db):
        names, cursor = [], b"0"
        with connection(source, db) as client:
            while True:
                cursor, page = client.call("SCAN", cursor, "COUNT", 1000)
                names += page
                if cursor == b"0":
                    return names

    @staticmethod
    def _restore(key, got, since):
        at = int(got.readline()[1:])
        payload = got.read(int(got.readline()[1:]))
        got.read(2)
        return encode("RESTORE", key, since + at if at > 0 else 0, payload, "REPLACE", "ABSTTL")

    def measure(self, source, target):
        """Of both, one after the other."""
        rates = {"source alone": self.keys / pipeline(source, self.read) / 1e3, "target alone": self.keys / pipeline(target, self.write) / 1e3}
        empty(target)
        return rates

def empty(target):
    for node in getattr(target, "nodes", [target]):
        with connection(node) as client:
            client.call("FLUSHALL")

def sizes(server, databases=1):
    total = 0
    with connection(server) as client:
        for db in range(databases):
            client.select(db)
            total += client.call("DBSIZE")
    return total

class Copy:
    """riotd's first copy of all keys: from the start of the process to `live`. It runs until the end of the block."""

    def __init__(self, lab, source, target, keys, **options):
        self.source, self.target, self.keys = source, target, keys
        address = [side.tcp_url() if hasattr(side, "tcp_url") else side.url() for side in (source, target)]
        self.riotd = Riotd(lab.folder, *address, name="bench", **options)
        shutil.rmtree(self.riotd.state_dir, ignore_errors=True)

    def start(self):
        self.before = [cpu_us(*pids(side)) for side in (self.source, self.target)]
        self.began = time.time()
        self.riotd.start()
        return self

    def end(self, timeout=600):
        """Waits for `live`."""
        self.riotd.wait("live", timeout)
        since = datetime.datetime.fromisoformat(self.riotd.status()["since"].replace("Z", "+00:00"))
        self.seconds = since.timestamp() - self.began
        used = [(cpu_us(*pids(side)) - before) / self.keys for side, before in zip((self.source, self.target), self.before)]
        self.rates = {"riotd": self.keys / self.seconds / 1e3, "CPU source": used[0], "CPU riotd": cpu_us(self.riotd.pid) / self.keys,
                      "CPU target": used[1], "peak MiB": process.memory_kib(self.riotd.pid, "VmHWM") / 1024}
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.riotd.process and exc[0]:
            self.riotd.kill()
        elif self.riotd.process:
            self.riotd.stop(signal.SIGTERM)

    def verify(self):
        """Thousand keys a second that are compared."""
        began = time.monotonic()
        self.riotd.must("verify", timeout=600)
        took = time.monotonic() - began
        compared = self.riotd.status()["verify"]["compared"]
        assert compared == self.keys, f"verify compared {compared} of {self.keys} keys"
        return compared / took / 1e3

def native(source, target, keys):
    """Thousand keys a second of REPLICAOF, at the servers' own settings, but for SERVER_ARGS."""
    with connection(target) as client:
        began = time.monotonic()
        client.call("REPLICAOF", "127.0.0.1", source.port)
        until(lambda: b"master_link_status:up" in client.call("INFO", "replication"), 600, "native replication", every=0.003)
        took = time.monotonic() - began
        client.call("REPLICAOF", "NO", "ONE")
    empty(target)
    return keys / took / 1e3

def shake(lab, source, target, databases, keys):
    """Thousand keys a second of the user's redis-shake, until the target has all keys; None: it ended before."""
    folder = lab.make("shake")
    config = os.path.join(folder, "shake.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(SHAKE.format(source=source.port, target=target.port, folder=folder))
    began = time.monotonic()
    with process.popen([lab.peer, config], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            until(lambda: sizes(target, databases) == keys or child.poll() is not None, 600, "redis-shake", every=0.01)
            took = time.monotonic() - began
        finally:
            child.kill()
    there = sizes(target, databases)
    empty(target)
    return keys / took / 1e3 if there == keys else None

class Load:
    """What tests/bench/load.c found."""

    def __init__(self, words, used_us):
        self.writes, self.errors, self.seconds, self.heard, self.missing = words[:5]
        self.p50_ms, self.p99_ms, self.most_ms = (us / 1e3 for us in words[5:])
        self.rate = self.writes / self.seconds
        self.cpu_us = used_us / self.writes

def load(source, rate, seconds, keys, target=None):
    """Writers for so long. With a target: how long their writes take to it."""
    before = cpu_us(source.pid)
    words = run(program("bench/load"), f"127.0.0.1:{source.port}", str(rate), str(seconds), str(keys),
                *([f"127.0.0.1:{target.port}"] if target else []))
    found = Load(words, cpu_us(source.pid) - before)
    assert not found.errors, f"{found.errors:g} writes failed"
    return found

def flows(source, target):
    """What is written arrives, and the source has no child: the link's start, for which it may have forked, is over."""
    with connection(source) as client, connection(target) as there:
        client.call("SET", "flows", time.time())
        until(lambda: there.call("GET", "flows") == client.call("GET", "flows"), 60, "a write on the target", every=0.003)
        until(lambda: b"rdb_bgsave_in_progress:0" in client.call("INFO", "persistence"), 60, "the end of the source's child", every=0.01)

@contextlib.contextmanager
def loading(source, rate, keys):
    """Writers until the end of the block."""
    line = [program("bench/load"), f"127.0.0.1:{source.port}", str(rate), "0", str(keys)]
    with process.popen(line, stdout=subprocess.DEVNULL) as child:
        try:
            yield
        finally:
            child.kill()

def written(source):
    """SETs that the source has executed: riotd sends it none."""
    with connection(source) as client:
        for line in client.call("INFO", "commandstats").decode().splitlines():
            if line.startswith("cmdstat_set:"):
                return int(line.partition("calls=")[2].partition(",")[0])
    return 0

class Lab:
    """The folder, the size and the time of one run."""

    def __init__(self, folder, quick=False, peer=None):
        self.folder, self.quick, self.peer = folder, quick, peer
        self.deadline = 0.0  # of the case that runs
        self.rates = {}  # {set: {what: [of each round]}}

    def rounds(self, factor=1):
        """At least one, and another only while there is time."""
        for i in range((2 if self.quick else 3) * factor):
            if i and time.monotonic() > self.deadline:
                return
            yield i

    def seconds(self, whole):
        """How long to measure."""
        return whole / 3 if self.quick else whole

    def count(self, name):
        return SETS[name].quick if self.quick else SETS[name].count

    def make(self, name):
        path = os.path.join(self.folder, name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    @contextlib.contextmanager
    def pair(self, name=None, count=None):
        """A source, with the set in it, and an empty target. Their folder goes with them."""
        folder = self.make("servers")
        source = RedisServer(folder, "source", source_binary(), tcp=True, args=SERVER_ARGS)
        target = RedisServer(folder, "target", target_binary(), tcp=True, args=SERVER_ARGS)
        try:
            source.start()
            target.start()
            if name:
                self.fill(source, name, count or self.count(name))
            yield source, target
        finally:
            source.stop()
            target.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def fill(self, source, name, count):
        path = os.path.join(self.folder, "fill")
        SETS[name].write(path, count)
        pipeline(source, path)
        os.unlink(path)

    def note(self, data, rates):
        """For the table of rates."""
        for name, value in rates.items():
            self.rates.setdefault(data, {}).setdefault(name, []).append(value)
