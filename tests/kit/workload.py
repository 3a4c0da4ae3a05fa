"""Writers: processes that keep a server busy with all that changes keys, until they are told to stop."""

import multiprocessing
import random
import signal
import time

from kit import process
from kit.cluster_client import ClusterClient
from kit.resp import Client, RespError, encode

KINDS = ("string", "counter", "hash", "list", "set", "zset", "stream")
SCRIPT = "redis.call('SET', KEYS[1], ARGV[1]) redis.call('HSET', KEYS[2], ARGV[2], ARGV[1]) return redis.call('DEL', KEYS[3])"


TAGS = 300  # hash tags of the keys in a cluster


class Mix:
    """Draws commands over `keys` names; a name's number tells the type that it usually has. In a cluster, the names of one batch have
    one hash tag."""

    def __init__(self, rng, keys, dbs, tags=0):
        self.rng, self.dbs, self.tags, self.tag = rng, dbs, tags, ""
        self.keys = max(keys // max(tags, 1), len(KINDS) * 3)
        self.draws = [self.set, self.set, self.set_expiring, self.incr, self.incr, self.hset, self.hset, self.hdel, self.push,
                      self.push, self.pop, self.sadd, self.sadd, self.srem, self.zadd, self.zadd, self.xadd, self.xtrim,
                      self.rename, self.copy, self.move, self.expire, self.expire_soon, self.persist, self.delete, self.delete,
                      self.unlink, self.multi, self.eval]
        if tags:
            self.draws.remove(self.move)

    def name(self, kind):
        """A key whose number modulo the number of kinds says the kind."""
        n = self.rng.randrange(self.keys // len(KINDS)) * len(KINDS) + KINDS.index(kind)
        return f"{self.tag}k:{n}"

    def any_name(self):
        return f"{self.tag}k:{self.rng.randrange(self.keys)}"

    def word(self):
        return "%x" % self.rng.getrandbits(64)

    def small(self):
        return self.rng.randrange(50)

    def set(self):
        return [("SET", self.name("string"), self.word())]

    def set_expiring(self):
        return [("SET", self.name("string"), self.word(), "PX", self.rng.randrange(100, 600_000))]

    def incr(self):
        return [("INCR", self.name("counter"))]

    def hset(self):
        return [("HSET", self.name("hash"), self.small(), self.word(), self.small(), self.word())]

    def hdel(self):
        return [("HDEL", self.name("hash"), self.small())]

    def push(self):
        return [(self.rng.choice(("LPUSH", "RPUSH")), self.name("list"), self.word())]

    def pop(self):
        return [(self.rng.choice(("LPOP", "RPOP")), self.name("list"))]

    def sadd(self):
        return [("SADD", self.name("set"), self.small(), self.small())]

    def srem(self):
        return [("SREM", self.name("set"), self.small())]

    def zadd(self):
        return [("ZADD", self.name("zset"), self.rng.random() * 1000, self.small())]

    def xadd(self):
        return [("XADD", self.name("stream"), "MAXLEN", "~", 100, "*", "f", self.word())]

    def xtrim(self):
        return [("XTRIM", self.name("stream"), "MAXLEN", 10)]

    def two(self):
        kind = self.rng.choice(KINDS)
        return self.name(kind), self.name(kind)

    def rename(self):
        return [("RENAME", *self.two())]

    def copy(self):
        to = ("DB", self.rng.choice(self.dbs)) if self.rng.random() < 0.3 else ()
        return [("COPY", *self.two(), *to, "REPLACE")]

    def move(self):
        return [("MOVE", self.any_name(), self.rng.choice(self.dbs))]

    def expire(self):
        return [("PEXPIRE", self.any_name(), self.rng.randrange(60_000, 600_000))]

    def expire_soon(self):
        return [("PEXPIRE", self.any_name(), self.rng.randrange(1, 3000))]

    def persist(self):
        return [("PERSIST", self.any_name())]

    def delete(self):
        return [("DEL", self.any_name())]

    def unlink(self):
        return [("UNLINK", self.any_name(), self.any_name())]

    def multi(self):
        return [("MULTI",), *self.set(), *self.incr(), *self.delete(), *self.hset(), ("EXEC",)]

    def eval(self):
        return [("EVAL", SCRIPT, 3, self.name("string"), self.name("hash"), self.any_name(), self.word(), self.small())]

    def batch(self, size):
        """Some commands in one database, or of one hash tag."""
        if self.tags:
            self.tag = f"{{{self.rng.randrange(self.tags)}}}"
        commands = [] if self.tags else [("SELECT", self.rng.choice(self.dbs))]
        while len(commands) < size:
            commands += self.rng.choice(self.draws)()
        return commands


class OneServer:
    """Where a writer writes to."""

    def __init__(self, address):
        self.address, self.client = address, None

    def write(self, commands, _tag):
        self.client = self.client or Client(self.address, timeout=20)
        self.client.send(b"".join(encode(*c) for c in commands))
        for _ in commands:
            self.client.read()

    def lost(self):
        if self.client:
            self.client.close()
        self.client = None


class WholeCluster:
    """The same; the commands are of one slot, whose owner gets them. What is asked for elsewhere goes there."""

    def __init__(self, addresses):
        self.addresses, self.client, self.port = addresses, None, None

    def write(self, commands, tag):
        self.client = self.client or ClusterClient(self.addresses, timeout=20)
        self.port = self.client.port_of(tag)
        node = self.client.at(self.port)
        node.send(b"".join(encode(*c) for c in commands))
        replies = [node.read() for _ in commands]
        for command, reply in zip(commands, replies):
            if isinstance(reply, RespError):
                self.client.redirected(reply, command)

    def lost(self):
        if self.client:
            self.client.close()
        self.client = None


def writer(address, seed, options, stop, done):
    """One process: writes batches until `stop`, comes back after a lost connection. Counts commands in `done`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    process.die_with_parent()
    rng = random.Random(seed)
    cluster = isinstance(address, dict)
    mix = Mix(rng, options["keys"], options["dbs"], TAGS if cluster else 0)
    place = WholeCluster(address) if cluster else OneServer(address)
    begin, count = time.monotonic(), 0
    while not stop.is_set():
        try:
            commands = mix.batch(options["batch"])
            place.write(commands, mix.tag)
            count += len(commands)
            with done.get_lock():
                done.value += len(commands)
        except (OSError, ValueError, RespError):
            place.lost()
            time.sleep(0.05)
            continue
        if options["rate"]:
            time.sleep(max(0.0, begin + count / options["rate"] - time.monotonic()))


class Workload:
    """`with Workload(server_or_cluster): ...`. rate: commands a second of all writers together, 0: full speed."""

    def __init__(self, server, writers=8, keys=20_000, dbs=(0, 1, 2), batch=40, rate=0, seed=1):
        self.address, self.seed = server.path, seed
        self.options = {"keys": keys, "dbs": dbs, "batch": batch if not rate else 8, "rate": rate / writers}
        context = multiprocessing.get_context("fork")
        self.stopping, self.done = context.Event(), context.Value("Q", 0)
        self.processes = [context.Process(target=writer, daemon=True,
                                          args=(self.address, f"{seed}/{n}", self.options, self.stopping, self.done))
                          for n in range(writers)]
        self.begin = self.took = 0.0

    def start(self):
        self.begin = time.monotonic()
        for each in self.processes:
            each.start()
        return self

    def stop(self):
        """Returns how many commands were executed."""
        if not self.took:
            self.stopping.set()
            for each in self.processes:
                if not each.pid:
                    continue  # it was never started
                each.join(30)
                if each.is_alive():
                    each.kill()
                    each.join()
            self.took = time.monotonic() - self.begin
        return self.count

    @property
    def count(self):
        return self.done.value

    @property
    def rate(self):
        return self.count / (self.took or time.monotonic() - self.begin)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
