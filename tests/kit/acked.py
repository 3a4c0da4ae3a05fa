"""Writers that keep a log of what a server acknowledged, and the judge that looks for it on another server.

Each writer has keys of its own, written over one connection: what was acknowledged last is what must be there. A write that was sent
and never answered may be there or not; so that it cannot come after a later write of the same key, a lost connection means other names from then on.
An error reply is a write that the server refused: it must not be there. In a cluster, a writer's keys of one connection have one hash tag, so
that their order is that of one node; it takes another tag now and then.
"""

import multiprocessing
import os
import random
import signal
import socket
import struct
import time
from collections import Counter

from kit import process
from kit.cluster_client import ClusterClient
from kit.resp import encode

SET, DEL, INCR, UNIQUE = range(4)
ACKED, REFUSED, UNANSWERED = range(3)
# When it was sent and answered (unix time), the outcome, the kind, the connection's number, the key's number, the value.
RECORD = struct.Struct("<ddBBIIQ")
DRAWS = (SET,) * 4 + (DEL, INCR, INCR)
GRACE_S = 5.0
TURN = 20  # batches of one tag
SHOWN = 10


def name(prefix, writer, connection, kind, number):
    """SET and DEL share their keys; UNIQUE is written once, by a number of its own."""
    return f"{prefix}:{{{writer}:{connection}}}:{'sscu'[kind]}:{number}"


class Writer:
    """In its own process: one connection at a time, `batch` commands on their way."""

    def __init__(self, number, address, path, options, shared):
        self.number, self.address, self.options = number, address, options
        self.stopping, self.acked, self.refused = shared
        self.log = open(path, "wb", buffering=1 << 20)  # pylint: disable=consider-using-with # closed by run()
        self.errors = open(path + ".errors", "w", encoding="utf-8", buffering=1)  # pylint: disable=consider-using-with
        self.rng = random.Random(f"{options['seed']}/{number}")
        self.codes = set()
        self.connection = self.value = self.turn = 0
        self.sock = None

    def connect(self):
        """Under names that were not used yet."""
        self.connection += 1
        self.turn = 0
        self.sock = self.open(self.owner())

    def owner(self):
        """Of our names."""
        if not isinstance(self.address, dict):
            return self.address
        with ClusterClient(self.address, timeout=5, auth=self.options["auth"]) as cluster:
            return self.at(cluster.port_of(name(self.options["prefix"], self.number, self.connection, SET, 0)))

    def at(self, port):
        return self.address.get(port, ("127.0.0.1", port))

    def open(self, address):
        sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(0.2)
        try:
            sock.connect(address)
            commands = [("AUTH", *self.options["auth"])] if self.options["auth"] else []
            commands += [("SELECT", self.options["db"])] if self.options["db"] else []
            for command in commands:
                sock.sendall(encode(*command))
                reply = self.read_lines(sock, 1)[0]
                if reply[:1] != b"+":
                    raise ConnectionError(reply)
            return sock
        except OSError:
            sock.close()
            raise

    def read_lines(self, sock, count, lines=None):
        """That many one-line replies, into `lines`; fewer are a lost connection, or `stop` and a server that does not answer."""
        lines = [] if lines is None else lines
        buf, patience = b"", None
        while len(lines) < count:
            try:
                data = sock.recv(1 << 16)
            except TimeoutError:
                if self.stopping.is_set():
                    patience = patience or time.monotonic() + self.options["grace"]
                    if time.monotonic() > patience:
                        raise ConnectionError("stopped, not answered") from None
                continue
            if not data:
                raise ConnectionError("closed by the server")
            *whole, buf = (buf + data).split(b"\r\n")
            lines += whole
        return lines

    def draw(self):
        """One write: its kind, its key's number, its value, and the request."""
        self.value += 1
        unique = self.options["unique"]
        kind = UNIQUE if unique and self.value % unique == 0 else self.rng.choice(DRAWS)
        number = self.value if kind == UNIQUE else self.rng.randrange(self.options["keys"])
        key = name(self.options["prefix"], self.number, self.connection, kind, number).encode()
        if kind == DEL:
            return kind, number, 0, b"*2\r\n$3\r\nDEL\r\n$%d\r\n%b\r\n" % (len(key), key)
        if kind == INCR:
            return kind, number, 0, b"*2\r\n$4\r\nINCR\r\n$%d\r\n%b\r\n" % (len(key), key)
        value = b"%d" % self.value
        return kind, number, self.value, b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(value), value)

    def refuse(self, line):
        code = line[1:].split(b" ", 1)[0].decode(errors="replace")
        if code not in self.codes:
            self.codes.add(code)
            self.errors.write(f"{line[1:].decode(errors='replace')}\n")

    def note(self, sent, writes, lines):
        """Logs what became of the writes."""
        now, acked, pack = time.time(), 0, RECORD.pack
        for i, (kind, number, value, _) in enumerate(writes):
            outcome = UNANSWERED
            if i < len(lines):
                outcome = REFUSED if lines[i][:1] == b"-" else ACKED
                acked += outcome == ACKED
                if outcome == REFUSED:
                    self.refuse(lines[i])
                elif kind == INCR:
                    value = int(lines[i][1:])
            self.log.write(pack(sent, now, outcome, kind, self.connection, number, value))
        with self.acked.get_lock():
            self.acked.value += acked
        with self.refused.get_lock():
            self.refused.value += len(lines) - acked

    def send(self, sock, writes, before=b""):
        """Sends some writes, each with a request before it, and logs what became of them; returns the replies, of which none is missing."""
        lines, sent = [], time.time()
        replies = 2 if before else 1
        try:
            sock.settimeout(self.options["grace"])
            sock.sendall(b"".join(before + w[3] for w in writes))
            sock.settimeout(0.2)
            self.read_lines(sock, len(writes) * replies, lines)
        finally:
            self.note(sent, writes, lines[replies - 1::replies])
        return lines[replies - 1::replies]

    def follow(self, writes, lines):
        """What another node is to be asked for goes there, as writes of their own. Then, who the owner is may be another."""
        ports = {}
        for write, line in zip(writes, lines):
            if line.startswith(b"-ASK "):
                ports.setdefault(int(line.rpartition(b":")[2]), []).append(write)
        for port, asked in ports.items():
            with self.open(self.at(port)) as sock:
                lines = lines + self.send(sock, asked, b"*1\r\n$6\r\nASKING\r\n")
        if any(line.startswith((b"-MOVED", b"-CLUSTERDOWN")) for line in lines):
            self.sock.close()
            self.sock = None
            self.sock = self.open(self.owner())  # all are answered: the names stay
        return lines

    def batch(self):
        """Sends some writes and logs each; was one acknowledged?"""
        writes = [self.draw() for _ in range(self.options["batch"])]
        lines = self.send(self.sock, writes)
        if isinstance(self.address, dict):
            lines = self.follow(writes, lines)
            self.turn += 1
            if self.turn == TURN and self.sock:
                self.sock.close()
                self.sock = None
        return any(line[:1] != b"-" for line in lines)

    def run(self):
        begin = time.monotonic()
        while not self.stopping.is_set():
            try:
                if not self.sock:
                    self.connect()
                acked = self.batch()
            except OSError:
                if self.sock:
                    self.sock.close()
                self.sock = None
                self.stopping.wait(0.02)
                continue
            if not acked:
                self.stopping.wait(0.002)  # refused: it goes on asking, but not as fast as it can
            elif self.options["rate"]:
                due, now = begin + self.value / self.options["rate"], time.monotonic()
                self.stopping.wait(max(0.0, due - now))
                begin += max(0.0, now - due)  # nothing is made up for: on a crowded machine that would be full speed for good
        self.log.close()


def run_writer(*args):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    process.die_with_parent()
    Writer(*args).run()


class Key:
    """What may be on the other side: what was acknowledged last, or a write that was never answered."""

    __slots__ = ("kind", "value", "maybe")

    def __init__(self):
        self.kind = self.value = None
        self.maybe = []

    def allows(self, found):
        """found: bytes, or None."""
        found = None if found is None else int(found)
        if self.kind == INCR or (self.kind is None and INCR in (kind for kind, _ in self.maybe)):
            return (self.value or 0) <= (found or 0) <= (self.value or 0) + len(self.maybe)
        return found == self.value or any(found == value for _, value in self.maybe)


class Verdict:
    """missing: (key, what must be there, what is). late: writes that were sent and acknowledged after the commit."""

    def __init__(self):
        self.acknowledged = self.refused = self.unanswered = self.keys = 0
        self.longest_wait_ms = 0.0  # between sending a batch and its last reply
        self.missing, self.late = [], []
        self.errors = Counter()  # code: how many writers saw it

    def __str__(self):
        lines = [f"{self.acknowledged} acknowledged, {self.refused} refused ({', '.join(self.errors) or '-'}), "
                 f"{self.unanswered} never answered; {len(self.missing)} of {self.keys} keys are not as acknowledged, "
                 f"{len(self.late)} writes acknowledged after the commit"]
        lines += [f"  {key}: acknowledged {wanted}, found {found}" for key, wanted, found in self.missing[:SHOWN]]
        lines += [f"  {key}: sent {(sent - commit) * 1000:.1f} ms after the commit, acknowledged" for key, sent, commit in self.late[:SHOWN]]
        return "\n".join(lines)


class Acked:
    """`with Acked(server, folder) as writers: ...`, then writers.judge(target, committed_ms). rate: writes a second of all writers together,
    0: full speed. unique: each so many writes is of a new key, 0: none. auth: (user, password)."""

    def __init__(self, server, folder, writers=8, keys=500, batch=16, rate=0, unique=16, db=0, auth=None, prefix="acked", grace=GRACE_S, seed=1):
        self.folder = os.path.join(folder, prefix)
        os.makedirs(self.folder, exist_ok=True)
        self.options = {"keys": keys, "batch": batch, "unique": unique, "db": db, "auth": auth, "prefix": prefix, "seed": seed,
                        "rate": rate / writers, "grace": grace}
        context = multiprocessing.get_context("fork")
        self.stopping, self._acked, self._refused = context.Event(), context.Value("Q", 0), context.Value("Q", 0)
        shared = (self.stopping, self._acked, self._refused)
        self.logs = [os.path.join(self.folder, f"{n}.log") for n in range(writers)]
        self.processes = [context.Process(target=run_writer, args=(n, server.path, self.logs[n], self.options, shared), daemon=True)
                          for n in range(writers)]

    def start(self):
        for each in self.processes:
            each.start()
        return self

    def stop(self):
        """Ends them. What is not answered within the grace is logged as never answered."""
        self.stopping.set()
        for each in self.processes:
            if each.pid:
                each.join(self.options["grace"] * 2 + 30)
                assert each.exitcode == 0, f"a writer ended with {each.exitcode}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    @property
    def acknowledged(self):
        return self._acked.value

    @property
    def refused(self):
        return self._refused.value

    def name(self, key):
        return name(self.options["prefix"], *key)

    def records(self):
        """(key, sent, answered, outcome, kind, value), each writer's in the order of sending; name(key) is what the server knows."""
        for writer, path in enumerate(self.logs):
            with open(path, "rb") as log:
                data = log.read()
            for sent, answered, outcome, kind, connection, number, value in RECORD.iter_unpack(data):
                yield (writer, connection, SET if kind == DEL else kind, number), sent, answered, outcome, kind, value

    def judge(self, target, committed_ms=None, db=None):
        """After stop(). committed_ms: unix time; from then on nothing may have been acknowledged. db: of the target."""
        verdict = Verdict()
        keys = self._replay(verdict, float("inf") if committed_ms is None else committed_ms / 1000)
        for path in self.logs:
            with open(path + ".errors", encoding="utf-8") as errors:
                verdict.errors.update(line.split(" ", 1)[0].strip() for line in errors)
        verdict.keys = len(keys)
        with target.raw(self.options["db"] if db is None else db, timeout=120) as client:
            found = client.pipeline([("GET", self.name(key)) for key in keys])
        verdict.missing = [(self.name(key), at.value, value) for (key, at), value in zip(keys.items(), found) if not at.allows(value)]
        return verdict

    def _replay(self, verdict, commit):
        """Counts into the verdict; returns {key: what may be there}."""
        keys, longest = {}, 0.0
        for key, sent, answered, outcome, kind, value in self.records():
            longest = max(longest, answered - sent)
            at = keys.get(key)
            if at is None:
                at = keys[key] = Key()
            if outcome == REFUSED:
                verdict.refused += 1
                continue
            value = None if kind == DEL else value
            if outcome == UNANSWERED:
                verdict.unanswered += 1
                at.maybe.append((kind, value))
                continue
            verdict.acknowledged += 1
            at.kind, at.value = kind, value
            if sent > commit:
                verdict.late.append((self.name(key), sent, commit))
        verdict.longest_wait_ms = longest * 1000
        return keys
