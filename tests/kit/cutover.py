"""A link that is about to be cut over: its fence, its writers, and requests at which the cutover is made to stand still."""

import datetime
import json
import os
import re
import threading

from kit.acked import ACKED, Acked
from kit.wait import SCALE, until

PASSWORD = "of-riotd"
# What a hard fence changes.
SETTINGS = ("min-replicas-to-write", "min-replicas-max-lag", "notify-keyspace-events")
# Requests at which a cutover can be made to stand: see Stand.
PAUSE = r"source fence CLIENT PAUSE \d+ WRITE"
BARRIER = r"source watch INFO" if os.environ.get("RIOT_FEED") == "psync" else r"source feed PING"
READ = r"source fence_info INFO"
COMPARE = r"source spot \S+"
CHANGE = r"source fence (ACL SETUSER .*-@write|CONFIG SET min\S+ \d+)"
CHANGED = r"source fence EXEC"
PROVE = r"source fence \S+"
SEAL = r"target watch INFO"
UNPAUSE = r"source fence CLIENT UNPAUSE"
# Fast, and still a gate.
FAST = ("--stable-for", "200ms", "--max-lag-ms", "500")


def fence_args(kind):
    return ("--fence", kind) + (("--quiet-for", "300ms") if kind == "none" else ())


def own_user(lab, server):
    """riotd's own user on the server, and where its password is."""
    channels = ["&*"] if server.version >= (6, 2) else []
    server.call("ACL", "SETUSER", "riotd", "on", f">{PASSWORD}", "~*", *channels, "+@all")
    path = os.path.join(lab.folder, "password")
    with open(path, "w", encoding="utf-8") as file:
        file.write(PASSWORD)
    return path


def fill(server, keys=2000):
    with server.raw() as client:
        client.must([("SET", f"fill:{n}", n) for n in range(keys)])
        client.must([("HSET", f"hash:{n}", "a", n, "b", "x") for n in range(50)])
        client.must([("XADD", f"stream:{n}", "*", "f", n) for n in range(5)])


def link_of(lab, kind="acl", proxied=False, start=True, **options):
    """A riotd that may fence in this way: for acl it has a user of its own. proxied: `lab.before` and `lab.behind` are before both sides."""
    lab.source = lab.source if lab._source else lab.server("source", tcp=True).start()  # pylint: disable=protected-access
    fill(lab.source)
    source, target = lab.source, lab.target
    if proxied:
        source, target = lab.before, lab.behind = lab.proxy(lab.source, "before", tcp=True), lab.proxy(lab.target, "behind")
    if kind == "acl":
        options["source__password_file"] = own_user(lab, lab.source)
        source = source.tcp_url(user="riotd")
    elif proxied:
        source = source.tcp_url()
    riotd = lab.link(source, target, start=start, **options)
    return riotd.wait("live") if start else riotd


def writers_of(lab, **options):
    """Writers at the source, that have begun; a context manager. Not at full speed: on a crowded machine the gate would not open."""
    return Acked(lab.source, lab.folder, **{"writers": 4, "keys": 100, "grace": 1.0, "rate": 2000, **options})


def busy(writers, writes=500):
    """Until they have written so much more."""
    begin = writers.acknowledged
    until(lambda: writers.acknowledged >= begin + writes, 20, "writers write")


def acks(writers, since):
    """After stop(): when each writer was acknowledged, from then on (unix time)."""
    times = {number: [] for number in range(len(writers.logs))}
    for key, _, answered, outcome, _, _ in writers.records():
        if outcome == ACKED and answered > since:
            times[key[0]].append(answered)
    return times


def free_after(writers, since):
    """How long the slowest writer waited from then on for its next acknowledgement."""
    return max(min(times, default=float("inf")) for times in acks(writers, since).values()) - since


def fenced_settings(server):
    """All that a fence may change on it, as it is now."""
    with server.raw() as client:
        users = client.call("ACL", "LIST") if server.has("ACL") else []
        return sorted(users), {name: server.config(name) for name in SETTINGS}


def writes_pass(server, key="probe", timeout=0.5):
    """Can an ordinary client write to it, now?"""
    try:
        with server.raw(timeout=timeout) as client:
            client.call("SET", key, "1")
            return True
    except Exception:  # pylint: disable=broad-except # refused, or waiting
        return False


def committed_ms(riotd):
    """Unix time, from the status."""
    at = riotd.status()["cutover"]["committed_at"]
    return datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() * 1000


def record(riotd):
    """The cutover's journal, from the state file."""
    with open(os.path.join(riotd.state_dir, f"{riotd.name}.json"), encoding="utf-8") as file:
        return json.load(file).get("cutover") or {}


class Background:
    """riotctl cutover, in a thread. done(): its CompletedProcess."""

    def __init__(self, riotd, *args):
        self.result = None
        self.thread = threading.Thread(target=self._run, args=(riotd, args), daemon=True)
        self.thread.start()

    def _run(self, riotd, args):
        self.result = riotd.ctl("cutover", *args)

    def done(self, timeout=60):
        self.thread.join(timeout * SCALE)
        assert self.result, "riotctl cutover does not end"
        return self.result


class Stand:
    """The cutover stands still at a request: the first that matches the last pattern, after requests that matched those before it,
    in their order. A pattern is looked for in "SIDE ROLE VERB arguments", such as "source fence CLIENT PAUSE 2000 WRITE".
    answer: the request goes through, and its answer stays here."""

    def __init__(self, lab, *patterns, answer=False):
        self.patterns = [re.compile(p) for p in patterns]
        self.way = "down" if answer else "up"
        self.at, self.lock, self.reached = 0, threading.Lock(), threading.Event()
        self.connection = None
        self.seen = []
        self.proxies = {"source": lab.before, "target": lab.behind}
        for side, proxy in self.proxies.items():
            proxy.on_request = self._hook(side)

    def _hook(self, side):
        def on_request(connection, argv):
            text = f"{side} {connection.role} " + " ".join(a.decode(errors="replace") for a in argv)
            with self.lock:
                if self.at == len(self.patterns) or not self.patterns[self.at].search(text):
                    return
                self.seen.append(text)
                self.at += 1
                if self.at == len(self.patterns):
                    self.connection = connection
                    connection.hold(self.way)
                    self.reached.set()
        return on_request

    def wait(self, timeout=60):
        """As long as the gate waits until the lag is small: beside others that may take a while."""
        assert self.reached.wait(timeout * SCALE), f"it did not come to {self.patterns[self.at].pattern!r}; it came to {self.seen}"
        return self

    def release(self):
        self.connection.release(self.way)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for proxy in self.proxies.values():
            proxy.on_request = None
        if self.connection:
            self.release()
