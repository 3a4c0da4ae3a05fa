"""The cases, each a function that measures and returns figures; CASES is their table. Rounds alternate between what is compared."""

import os
import re
import shutil
import signal
import time

import lab as bench
from figures import CannotRun, Figure, median, not_run, number
from kit import process
from kit.cluster import Cluster
from kit.resp import Client, encode
from kit.riot import TOP
from kit.server import source_binary, target_binary
from kit.wait import until
from sets import SETS, by_shard

FEEDS = ("tracking", "notify", "psync")
FEED_OPTIONS = {"psync": {"psync__full_sync": True}}  # a source of the bench has no backlog
RESULTS = os.path.join(TOP, "tests", "bench", "RESULTS.md")
INSTRUCTIONS = "instructions a key"

# --- the first copy: {set: (of the slower server alone, of native replication, of the copy's speed by verify)}
GOALS = {"A": (0.95, 1.05, 0.8), "B": (0.80, 1.15, 0.8), "C": (3.0, 4.0, None), "D": (None, None, None), "E": (0.80, None, None)}


def copy_round(lab, name, source, target, ceiling):
    """One of each, in turns; the rates."""
    rates = ceiling.measure(source, target)
    with bench.Copy(lab, source, target, ceiling.keys) as copy:
        rates.update(copy.start().end().rates)
        if GOALS[name][2]:
            rates["verify"] = copy.verify()
    there = bench.sizes(target, SETS[name].databases)
    assert there == ceiling.keys, f"{there} of {ceiling.keys} keys are on the target"
    bench.empty(target)
    rates["native"] = bench.native(source, target, ceiling.keys)
    if lab.peer:
        rates["redis-shake"] = bench.shake(lab, source, target, SETS[name].databases, ceiling.keys)
    lab.note(name, {what: rate for what, rate in rates.items() if rate is not None})


def copies(lab, name):
    """A peer that fails costs no other figure."""
    with lab.pair(name) as (source, target):
        ceiling = bench.Ceiling(source, lab.make("ceiling"), SETS[name].databases)
        for _ in lab.rounds(2 if name in "CE" else 1):
            copy_round(lab, name, source, target, ceiling)
    shutil.rmtree(os.path.join(lab.folder, "ceiling"))
    rates, (slower, native, verified) = lab.rates[name], GOALS[name]
    riotd = rates["riotd"]

    def beside(*others):
        return [mine / min(them) for mine, *them in zip(riotd, *(rates[other] for other in others))]

    yield Figure("snapshot / slower server alone", name, beside("source alone", "target alone"), goal=slower)
    yield Figure("snapshot / native REPLICAOF", name, beside("native"), goal=native)
    if verified:
        yield Figure("verify / snapshot", name, [v / r for v, r in zip(rates["verify"], riotd)], goal=verified)
    if len(rates.get("redis-shake", [])) == len(riotd):
        yield Figure("snapshot / redis-shake", name, beside("redis-shake"))
    elif lab.peer or name == "A":
        yield not_run("snapshot / redis-shake", name if lab.peer else "A-E", "it did not copy all keys" if lab.peer else "PEER_SHAKE=path names none")
    if name == "A":
        yield Figure("riotd's CPU a key, snapshot", name, rates["CPU riotd"], "us", goal=1.0, most=True)


# --- instructions


def last_instructions():
    """Of the results that are kept."""
    if not os.path.exists(RESULTS):
        return None
    with open(RESULTS, encoding="utf-8") as file:
        found = re.search(rf"^\| {INSTRUCTIONS} \|[^|]*\| *([0-9,]+)", file.read(), re.MULTILINE)
    return int(found[1].replace(",", "")) if found else None


def counted(lab, keys):
    """Instructions of a whole riotd that copies so many keys."""
    with lab.pair("A", keys) as (source, target):
        copy = bench.Copy(lab, source, target, keys)
        out = os.path.join(lab.folder, "callgrind.out")
        copy.riotd.under = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with copy:
            copy.riotd.spawn()
            until(copy.riotd.answers, 60, "riotd under callgrind")
            copy.riotd.wait("live", 120)
            copy.riotd.process.send_signal(signal.SIGTERM)
            copy.riotd.ended(30)
    with open(out, encoding="utf-8") as file:
        return int(re.search(r"^(?:totals|summary): (\d+)", file.read(), re.MULTILINE)[1])


def instructions(lab):
    """The difference of two runs, so that start and end do not count."""
    if not shutil.which("valgrind"):
        raise CannotRun("valgrind is not installed")
    few, many = 20_000, 60_000
    each = (counted(lab, many) - counted(lab, few)) / (many - few)
    last = last_instructions()
    yield Figure(INSTRUCTIONS, "A", [each], most=True, unit="",
                 note=f"{100 * (each / last - 1):+.1f} % to the last, {last:,}" if last else "none recorded before")


# --- writers


def paced(lab, source, keys, rate):
    """Writes a second of the writers at this rate; 0: as many as go."""
    return bench.load(source, rate, lab.seconds(3), keys).rate


def beside_snapshot(lab, source, copy, keys):
    """The same while the snapshot runs: until its scan is through, or for 15 s."""
    with bench.loading(source, 0, keys):
        copy.start()
        before, began = bench.written(source), time.monotonic()
        while time.monotonic() - began < 15 and copy.riotd.status()["snapshot"]["phase"] in ("waiting", "scan"):
            time.sleep(0.05)
        return (bench.written(source) - before) / (time.monotonic() - began)


STEADY = 50_000
BESIDE_WRITERS = ("tracking", "psync")  # what riotd takes here by itself, and where the source has a backlog already


def writers_round(lab, feed, source, target, note):
    keys = lab.count("A")
    alone, alone_steady = paced(lab, source, keys, 0), paced(lab, source, keys, STEADY)
    note("alone", alone / 1e3)
    with bench.Copy(lab, source, target, keys, feed=feed, **FEED_OPTIONS.get(feed, {})) as copy:
        note(("snapshot", feed), beside_snapshot(lab, source, copy, keys) / alone)
        copy.riotd.wait("live", 180)
        note(("live", feed), paced(lab, source, keys, 0) / alone)
        copy.riotd.wait("drained", 180)
        note(("steady", feed), paced(lab, source, keys, STEADY) / alone_steady)
    bench.empty(target)


def writers(lab):
    found = {}
    with lab.pair("A") as (source, target):
        for _ in lab.rounds():
            for feed in BESIDE_WRITERS:
                writers_round(lab, feed, source, target, lambda what, figure: found.setdefault(what, []).append(figure))
    yield Figure("writers at full speed, without riotd", "A", found["alone"], "k/s")
    for feed in BESIDE_WRITERS:
        yield Figure(f"writers at full speed / without riotd, snapshot, {feed}", "A", found[("snapshot", feed)], goal=0.5)
        yield Figure(f"writers at full speed / without riotd, live, {feed}", "A", found[("live", feed)])
        yield Figure(f"writers at {STEADY:,}/s / without riotd, live, {feed}", "A", found[("steady", feed)], goal=0.95)


# --- lag

LAG_MS = {10_000: 5.0, 30_000: None, 60_000: 20.0}  # the goals of p99
CPU_AT = {"psync": {50_000: 1.5}}  # those of the source's CPU, which are at rates of their own


def rates_of(feed):
    return [*LAG_MS, *CPU_AT.get(feed, {})]


class Lags:
    """Of one feed: {rate: [of each round]}; `why` it was not measured."""

    def __init__(self, feed):
        self.loads, self.alone = ({rate: [] for rate in rates_of(feed)} for _ in range(2))
        self.why = ""


def lag_round(lab, feed, source, target, keys, lags, alone):
    try:
        with bench.Copy(lab, source, target, keys, feed=feed, **FEED_OPTIONS.get(feed, {})) as copy:
            copy.start().end()
            bench.flows(source, target)
            for rate in rates_of(feed):
                copy.riotd.wait("drained", 60)
                lags.loads[rate].append(bench.load(source, rate, lab.seconds(3), keys, target))
                lags.alone[rate].append(alone[rate])
    except AssertionError as err:
        if lags.loads[next(iter(LAG_MS))] or "ended with 78" not in str(err):
            raise
        lags.why = str(err).strip().rpartition(": feed: ")[2]


def lag_figures(feed, lags):
    if lags.why:
        yield not_run(f"lag, {feed}", "live", lags.why)
        return
    for rate in rates_of(feed):
        goal, cpu_goal = LAG_MS.get(rate), CPU_AT.get(feed, {}).get(rate)
        case, loads, alone = f"{feed}, {rate:,} writes/s", lags.loads[rate], lags.alone[rate]
        reached, missing = median([l.rate for l in loads]), sum(l.missing for l in loads)
        note = (f"{reached:,.0f}/s reached" if reached < 0.97 * rate else "") + (f" {missing:.0f} not seen" if missing else "")
        yield Figure(f"lag p50, {case}", "live", [l.p50_ms for l in loads], "ms", most=True)
        yield Figure(f"lag p99, {case}", "live", [l.p99_ms for l in loads], "ms", goal=goal, most=True, note=note.strip())
        yield Figure(f"source CPU / without riotd, {case}", "live", [l.cpu_us / a for l, a in zip(loads, alone)], goal=cpu_goal, most=True,
                     note=f"{median([l.cpu_us for l in loads]):.1f} / {median(alone):.1f} us a write")


def lag(lab):
    """Each feed at each rate, beside the source alone. The first rows are of writers who are themselves what is listened to."""
    found = {feed: Lags(feed) for feed in FEEDS}
    floor = []
    with lab.pair("live") as (source, target):
        keys = lab.count("live")
        for _ in lab.rounds():
            alone = {rate: bench.load(source, rate, lab.seconds(2), keys).cpu_us for rate in {r for feed in FEEDS for r in rates_of(feed)}}
            floor.append(bench.load(source, 10_000, lab.seconds(2), keys, source))
            for feed, lags in found.items():
                if not lags.why:
                    # The samples of the last run are keys more; copying them is not what is measured here.
                    lag_round(lab, feed, source, target, keys, lags, alone)
                    bench.empty(target)
    yield Figure("lag p50 with nothing between: what measuring adds", "live", [l.p50_ms for l in floor], "ms", most=True)
    yield Figure("lag p99 with nothing between", "live", [l.p99_ms for l in floor], "ms", most=True)
    for feed, lags in found.items():
        yield from lag_figures(feed, lags)
    psync, tracking = ([l.p99_ms for l in found[feed].loads[10_000]] for feed in ("psync", "tracking"))
    if psync and len(psync) == len(tracking):
        yield Figure("lag p99, psync / tracking, 10,000 writes/s", "live", [p / t for p, t in zip(psync, tracking)], goal=1.0, most=True)


# --- what it costs to have it


def peak(lab, count):
    with lab.pair("tiny", count) as (source, target):
        with bench.Copy(lab, source, target, count) as copy:
            return copy.start().end().rates["peak MiB"]


def memory(lab):
    many = lab.count("tiny")
    few, much = peak(lab, 100_000), peak(lab, many)
    yield Figure(f"peak memory, {many:,} keys / 100,000", "tiny", [much / few], goal=1.10, most=True)
    yield Figure(f"peak memory, {many:,} keys", "tiny", [much], "MiB", goal=32.0, most=True)


def idle(lab):
    """Live, and nobody writes."""
    with lab.pair("A", min(200_000, lab.count("A"))) as (source, target):
        with bench.Copy(lab, source, target, min(200_000, lab.count("A"))) as copy:
            copy.start().end().riotd.wait("drained")
            pid, used, woken = copy.riotd.pid, [], []
            time.sleep(1)  # what the last request of ours caused is over
            for _ in range(3):
                cpu, slept, seconds = bench.cpu_us(pid), bench.switches(pid), lab.seconds(9)
                time.sleep(seconds)
                used.append((bench.cpu_us(pid) - cpu) / seconds / 1e4)
                woken.append((bench.switches(pid) - slept) / seconds)
    yield Figure("CPU, idle and live", "A", used, "% of a core", goal=0.2, most=True)
    yield Figure("wake-ups, idle and live", "A", woken, "1/s", goal=10, most=True)


class FirstKey:
    """Hears of the target's first key, as a client-side cache does: nothing polls."""

    def __init__(self, target):
        self.client = Client(target.path)
        self.client.send(encode("HELLO", 3) + encode("CLIENT", "TRACKING", "ON", "BCAST") + encode("ECHO", "ready"))
        said = b""
        while b"ready" not in said:
            said += self.client.sock.recv(1 << 16)

    def wait(self):
        self.client.sock.recv(16)
        self.client.close()


def first_key(lab):
    found = []
    with lab.pair("A") as (source, target):
        for _ in range(7):
            key = FirstKey(target)
            with bench.Copy(lab, source, target, lab.count("A")) as copy:
                began = time.monotonic()
                copy.riotd.spawn()
                key.wait()
                found.append((time.monotonic() - began) * 1e3)
                until(copy.riotd.answers, 10, "riotd answers")
            bench.empty(target)
    yield Figure("start to first key copied", "A", found, "ms", goal=50, most=True)


def stated_bytes():
    """Of a key in the dirty set, as its header has it; None: it says nothing."""
    with open(os.path.join(TOP, "lib", "copy", "dirty.h"), encoding="utf-8") as file:
        found = re.search(r"(\d+)\s+(?:\*\s+)?bytes\s+(?:\*\s+)?a\s+(?:\*\s+)?key", file.read())
    return int(found[1]) if found else None


def dirty(lab):
    """Copying rests, and changes are noted: what each key of the dirty set takes of the memory of the process."""
    keys = lab.count("A")
    with lab.pair() as (source, target):
        with bench.Copy(lab, source, target, keys, limits__memory="2GiB") as copy:
            copy.riotd.start()
            copy.riotd.wait("live")
            copy.riotd.must("pause")
            before = process.memory_kib(copy.riotd.pid)
            lab.fill(source, "A", keys)
            queue = copy.riotd.wait_for(lambda s: s["queue"]["dirty_keys"] >= keys, 60)["queue"]
            grown = process.memory_kib(copy.riotd.pid) - before
    yield Figure("memory of a key in the dirty set", "A", [grown * 1024 / keys], "bytes", goal=stated_bytes(), most=True,
                 note=f"{queue['memory_bytes'] / keys:.0f} by its own count")


# --- clusters


def three_to_three(lab):
    count, made, rates = lab.count("A"), [], {1: [], 3: []}
    folder = lab.make("clusters")

    def cluster(name, shards, binary):
        made.append(Cluster(folder, f"{name}{shards}", shards, binary=binary, node_timeout_ms=30_000))
        return made[-1].start()

    try:
        pairs = {shards: (cluster("source", shards, source_binary()), cluster("target", shards, target_binary())) for shards in rates}
        for shards, (source, _) in pairs.items():
            for node, requests in zip(source.nodes, by_shard(count, shards)):
                path = os.path.join(folder, "fill")
                with open(path, "wb") as file:
                    file.write(requests)
                bench.pipeline(node, path)
        for _ in lab.rounds():
            for shards, (source, target) in pairs.items():
                with bench.Copy(lab, source, target, count) as copy:
                    rates[shards].append(copy.start().end().rates["riotd"])
                assert target.dbsize() == count, f"{target.dbsize()} of {count} keys are on the target"
                bench.empty(target)
    finally:
        for one in made:
            one.stop()
        shutil.rmtree(folder, ignore_errors=True)
    yield Figure("cluster, 3 shards to 3 / 1 to 1", "A", [three / one for one, three in zip(rates[1], rates[3])], goal=1.0,
                 note=f"{number(median(rates[3]))} / {number(median(rates[1]))} k keys/s")


# --- all of them, with the seconds that a whole run gives each. What one leaves, the next ones have. Those without a goal are last: where
# the time is over, they are left out.

CASES = {
    "snapshot-A": (lambda lab: copies(lab, "A"), 95),
    "snapshot-B": (lambda lab: copies(lab, "B"), 65),
    "snapshot-C": (lambda lab: copies(lab, "C"), 65),
    "snapshot-E": (lambda lab: copies(lab, "E"), 40),
    "first-key": (first_key, 25),
    "idle": (idle, 35),
    "dirty": (dirty, 20),
    "memory": (memory, 70),
    "writers": (writers, 145),
    "lag": (lag, 165),
    "cluster": (three_to_three, 70),
    "instructions": (instructions, 40),
    "snapshot-D": (lambda lab: copies(lab, "D"), 35),
}
