"""Writers: processes that keep a server busy with all that changes keys, until they are told to stop."""

import multiprocessing
import random
import signal
import time

from kit import process
from kit.resp import Client, encode

KINDS = ("string", "counter", "hash", "list", "set", "zset", "stream")
SCRIPT = "redis.call('SET', KEYS[1], ARGV[1]) redis.call('HSET', KEYS[2], ARGV[2], ARGV[1]) return redis.call('DEL', KEYS[3])"


class Mix:
    """Draws commands over `keys` names; a name's number tells the type that it usually has."""

    def __init__(self, rng, keys, dbs):
        self.rng, self.keys, self.dbs = rng, keys, dbs
        self.draws = [self.set, self.set, self.set_expiring, self.incr, self.incr, self.hset, self.hset, self.hdel, self.push,
                      self.push, self.pop, self.sadd, self.sadd, self.srem, self.zadd, self.zadd, self.xadd, self.xtrim,
                      self.rename, self.copy, self.move, self.expire, self.expire_soon, self.persist, self.delete, self.delete,
                      self.unlink, self.multi, self.eval]

    def name(self, kind):
        """A key whose number modulo the number of kinds says the kind."""
        n = self.rng.randrange(self.keys // len(KINDS)) * len(KINDS) + KINDS.index(kind)
        return f"k:{n}"

    def any_name(self):
        return f"k:{self.rng.randrange(self.keys)}"

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
        """Some commands in one database, encoded, and how many replies they get."""
        commands = [("SELECT", self.rng.choice(self.dbs))]
        while len(commands) < size:
            commands += self.rng.choice(self.draws)()
        return b"".join(encode(*c) for c in commands), len(commands)


def writer(address, seed, options, stop, done):
    """One process: writes batches until `stop`, comes back after a lost connection. Counts commands in `done`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    process.die_with_parent()
    rng = random.Random(seed)
    mix = Mix(rng, options["keys"], options["dbs"])
    client, begin, count = None, time.monotonic(), 0
    while not stop.is_set():
        try:
            client = client or Client(address, timeout=20)
            raw, n = mix.batch(options["batch"])
            client.send(raw)
            for _ in range(n):
                client.read()
            count += n
            with done.get_lock():
                done.value += n
        except (OSError, ValueError):
            if client:
                client.close()
            client = None
            time.sleep(0.05)
            continue
        if options["rate"]:
            time.sleep(max(0.0, begin + count / options["rate"] - time.monotonic()))


class Workload:
    """`with Workload(server): ...`. rate: commands a second of all writers together, 0: full speed."""

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
