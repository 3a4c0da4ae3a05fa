"""Writers that keep a log of what a server acknowledged, and the judge that looks for it on another server.

Each writer has keys of its own, written over one connection: what was acknowledged last is what must be there. A write that was sent
and never answered may be there or not; so that it cannot come after a later write of the same key, a lost connection means other names from then on.
An error reply is a write that the server refused: it must not be there.
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
from kit.resp import encode

SET, DEL, INCR, UNIQUE = range(4)
ACKED, REFUSED, UNANSWERED = range(3)
# When it was sent and answered (unix time), the outcome, the kind, the connection's number, the key's number, the value.
RECORD = struct.Struct("<ddBBIIQ")
DRAWS = (SET,) * 4 + (DEL, INCR, INCR)
GRACE_S = 5.0
SHOWN = 10


def name(prefix, writer, connection, kind, number):
    """SET and DEL share their keys; UNIQUE is written once, by a number of its own."""
    return f"{prefix}:{writer}:{connection}:{'sscu'[kind]}:{number}"


class Writer:
    """In its own process: one connection at a time, `batch` commands on their way."""

    def __init__(self, number, address, path, options, shared):
        self.number, self.address, self.options = number, address, options
        self.stopping, self.acked, self.refused = shared
        self.log = open(path, "wb", buffering=1 << 20)  # pylint: disable=consider-using-with # closed by run()
        self.errors = open(path + ".errors", "w", encoding="utf-8", buffering=1)  # pylint: disable=consider-using-with
        self.rng = random.Random(f"{options['seed']}/{number}")
        self.codes = set()
        self.connection = self.value = 0
        self.sock = None

    def connect(self):
        self.connection += 1
        self.sock = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(0.2)
        self.sock.connect(self.address)
        commands = [("AUTH", *self.options["auth"])] if self.options["auth"] else []
        commands += [("SELECT", self.options["db"])] if self.options["db"] else []
        for command in commands:
            self.sock.sendall(encode(*command))
            reply = self.read_lines(1)[0]
            if reply[:1] != b"+":
                raise ConnectionError(reply)

    def read_lines(self, count, lines=None):
        """That many one-line replies, into `lines`; fewer are a lost connection, or `stop` and a server that does not answer."""
        lines = [] if lines is None else lines
        buf, patience = b"", None
        while len(lines) < count:
            try:
                data = self.sock.recv(1 << 16)
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
        """Logs what became of the writes; returns how many were acknowledged."""
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
        return acked

    def batch(self):
        """Sends some writes and logs each; returns how many were acknowledged."""
        writes = [self.draw() for _ in range(self.options["batch"])]
        lines, sent = [], time.time()
        try:
            self.sock.settimeout(self.options["grace"])
            self.sock.sendall(b"".join(w[3] for w in writes))
            self.sock.settimeout(0.2)
            self.read_lines(len(writes), lines)
        finally:
            acked = self.note(sent, writes, lines)
        return acked

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
                due = begin + self.value / self.options["rate"]
                self.stopping.wait(max(0.0, due - time.monotonic()))
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
