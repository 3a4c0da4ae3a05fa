"""What must hold, in short forms and, marked long, in full."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from kit import fill, process
from kit.compare import assert_equal
from kit.long import in_long
from kit.resp import encode
from kit.riot import TOP
from kit.wait import SANITIZED, SCALE, until
from kit.workload import Workload

SHORT_S, LONG_S = 5, 30


def writers_at_full_speed(lab, feed, seconds, disturb=None):
    """8 connections mix all commands during the snapshot and after; then both sides are equal."""
    with Workload(lab.source, writers=2, seed=9):  # something to take a snapshot of
        time.sleep(1.5)
    riotd = lab.link(feed=feed)
    with Workload(lab.source, writers=8, keys=20_000, dbs=(0, 1, 2)) as writers:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1.0)
            if disturb:
                disturb()
    print(f"{writers.count} commands, {writers.rate:.0f}/s")
    count = lab.equal(riotd, at_least=10_000, timeout=120)
    print(f"{count} keys are equal")
    return riotd


# --- 1


def test_1_writers_at_full_speed(lab, feed):
    writers_at_full_speed(lab, feed, SHORT_S)


def test_1_writers_while_every_connection_is_killed_each_second(lab, feed):
    def kill():
        lab.source.kill_riotd_clients()
        lab.target.kill_riotd_clients()

    writers_at_full_speed(lab, feed, SHORT_S, kill)


def hang(lab, seconds):
    lab.target.freeze()
    time.sleep(seconds)
    lab.target.thaw()


@pytest.mark.parametrize("feed", ["tracking", "psync", in_long("notify")])
def test_1_writers_while_the_target_hangs_now_and_then(lab, feed):
    writers_at_full_speed(lab, feed, SHORT_S, lambda: hang(lab, 1.0))


@pytest.mark.long
@pytest.mark.parametrize("fault", ["none", "kill", "hang"])
def test_1_in_full(lab, feed, fault):
    def kill():
        lab.source.kill_riotd_clients()
        lab.target.kill_riotd_clients()

    writers_at_full_speed(lab, feed, LONG_S, {"none": None, "kill": kill, "hang": lambda: hang(lab, 3.0)}[fault])


# --- 2


def burst(lab, feed, count):
    """SETs through redis-cli --pipe, with the least memory; then later updates of any key."""
    riotd = lab.live(feed=feed, limits__memory="16MiB")
    cli = shutil.which("redis-cli", path="/usr/bin:" + os.environ["PATH"])
    pipe = process.popen([cli, "-s", lab.source.path, "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    value = "v" * 20
    for base in range(0, count, 5000):
        pipe.stdin.write(b"".join(encode("SET", f"key:{i:012d}", value) for i in range(base, base + 5000)))
    out, _ = pipe.communicate()
    assert b"errors: 0" in out and lab.source.dbsize() == count
    lab.equal(riotd, at_least=count, timeout=120)
    with lab.source.raw() as client:
        client.must([("SET", f"key:{i:012d}", "later") for i in range(0, count, count // 500)])
    lab.equal(riotd, at_least=count, timeout=120)
    riotd.wait_state("live")


def test_2_a_burst_with_the_least_memory(lab, feed):
    burst(lab, feed, 60_000)


@pytest.mark.long
def test_2_a_burst_in_full(lab, feed):
    burst(lab, feed, 500_000)


def test_2_a_target_that_hangs_with_our_writes_in_its_buffer(lab, feed):
    """It hangs beyond the time-out; riotd reconnects, as the kernel lets it, and has newer values by the time it thaws."""
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "old") for i in range(300)])
    riotd = lab.live(feed=feed, target__timeout="1s")
    lab.target.freeze()
    with lab.source.raw() as client:
        for round_ in range(4):
            client.must([("SET", f"k{i}", f"round {round_}") for i in range(300)])
            time.sleep(1.2)
        client.must([("SET", f"k{i}", "newest") for i in range(200)] + [("DEL", f"k{i}") for i in range(200, 300)])
    lab.target.thaw()
    lab.equal(riotd, at_least=200)
    time.sleep(1.0)  # whatever still lay in a buffer has been executed by now
    assert assert_equal(lab.source, lab.target) == 200


# --- 3


def test_3_a_key_set_a_thousand_times_then_deleted_while_the_target_is_stopped(lab, feed):
    riotd = lab.live(feed=feed)
    lab.target.freeze()
    with lab.source.raw() as client:
        for i in range(1, 1001):
            client.call("SET", "k", f"v{i}")
        client.call("DEL", "k")
    lab.target.thaw()
    lab.equal(riotd)
    assert not lab.target.redis().exists("k")


# --- 4


def hot_and_cold(lab, feed, seconds):
    """A hot key at 5,000 writes a second beside cold keys: how long each cold one took, and the hot one's last value."""
    with lab.source.raw() as client:
        client.must([("SET", f"cold:{i}", "0") for i in range(10_000)])
    riotd = lab.live(feed=feed)
    stop, last = threading.Event(), [0]

    def heat():
        with lab.source.raw() as client:
            begin = time.monotonic()
            while not stop.is_set():
                client.must([("SET", "hot", last[0] + i) for i in range(1, 51)])
                last[0] += 50
                time.sleep(max(0.0, begin + last[0] / 5000 - time.monotonic()))

    writer = threading.Thread(target=heat)
    writer.start()
    worst, source, target = 0.0, lab.source.redis(), lab.target.redis()
    try:
        end, n = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            n += 1
            names = [f"cold:{(n * 97 + i) % 10_000}" for i in range(200)]
            source.mset({name: n for name in names})
            begin = time.monotonic()
            until(lambda names=names, n=n: target.mget(names) == [b"%d" % n] * 200, 10, "the cold keys", every=0.005)
            worst = max(worst, time.monotonic() - begin)
    finally:
        stop.set()
        writer.join()
    print(f"hot: {last[0] / seconds:.0f}/s; cold keys behind by {worst:.3f} s at most")
    assert last[0] >= 4000 * seconds / SCALE
    assert worst < 2.0 * SCALE
    lab.equal(riotd, at_least=10_001)
    assert target.get("hot") == b"%d" % last[0]


@pytest.mark.alone
def test_4_a_hot_key_beside_cold_ones(lab, feed):
    hot_and_cold(lab, feed, 4)


@pytest.mark.long
def test_4_in_full(lab, feed):
    hot_and_cold(lab, feed, LONG_S)


# --- 5


def peak_kib(lab, keys, name):
    source, target = lab.server(f"{name}-source").start(), lab.server(f"{name}-target").start()
    with source.raw() as client:
        fill.strings(client, keys, size=50)
    riotd = lab.live(source, target, name=name, timeout=300)
    riotd.wait("drained")
    assert target.dbsize() == keys
    peak = process.memory_kib(riotd.pid, "VmHWM")
    riotd.stop()
    source.stop()
    target.stop()
    return peak


def memory_does_not_grow_with_the_keys(lab, few, many):
    small, large = peak_kib(lab, few, "few"), peak_kib(lab, many, "many")
    print(f"peak memory: {few} keys {small} KiB, {many} keys {large} KiB")
    assert abs(large - small) < 0.2 * small


@pytest.mark.alone
def test_5_memory_does_not_grow_with_the_keys(lab):
    memory_does_not_grow_with_the_keys(lab, 50_000, 300_000)


@pytest.mark.long
def test_5_memory_in_full(lab):
    memory_does_not_grow_with_the_keys(lab, 100_000, 2_000_000)


def one_large_value(lab, mib):
    """It passes at the default limits, without growing riotd by more than 32 MB."""
    with lab.source.raw() as client:
        fill.strings(client, 20_000, size=50)
    riotd = lab.live()
    before = process.memory_kib(riotd.pid, "VmHWM")
    with lab.source.raw(timeout=300) as client:
        chunk = os.urandom(1024 * 1024)
        for _ in range(mib):
            client.call("APPEND", "building", chunk)
        riotd.wait("drained", 120)
        process.reset_peak(riotd.pid)
        client.call("RENAME", "building", "large")
    riotd.wait("drained", 120)
    with lab.source.raw() as one, lab.target.raw() as other:
        assert one.call("STRLEN", "large") == other.call("STRLEN", "large") == mib * 1024 * 1024
        for at in range(0, mib * 1024 * 1024, 8 * 1024 * 1024):
            assert one.call("GETRANGE", "large", at, at + 8 * 1024 * 1024 - 1) == other.call("GETRANGE", "large", at,
                                                                                            at + 8 * 1024 * 1024 - 1)
    after = process.memory_kib(riotd.pid, "VmHWM")
    print(f"peak memory: {before} KiB before, {after} KiB with a value of {mib} MiB")
    assert after - before < 32_000


@pytest.mark.alone
def test_5_one_large_value(lab):
    one_large_value(lab, 60)


@pytest.mark.long
def test_5_one_value_of_300_mb(lab):
    one_large_value(lab, 300)


# --- 6


def bench(lab, case):
    """{case: figure} of the bench."""
    path = os.path.join(lab.folder, "bench.json")
    done = subprocess.run([sys.executable, os.path.join(TOP, "tests", "bench", "bench.py"), "--only", case, "--json", path],
                          capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    with open(path, encoding="utf-8") as file:
        return {row["case"]: row["ratio"] for row in json.load(file)["cases"]}


@pytest.mark.long
def test_6_copying_runs_at_half_of_what_the_servers_do_alone_and_verify_at_half_of_that(lab):
    found = bench(lab, "snapshot-A")
    assert found["snapshot / slower server alone"] >= 0.5
    assert found["verify / snapshot"] >= 0.5


# --- 7


def idle_cpu(riotd, seconds):
    begin = process.cpu_seconds(riotd.pid)
    time.sleep(seconds)
    used = (process.cpu_seconds(riotd.pid) - begin) / seconds
    print(f"{100 * used:.2f} % of a core while idle and live")
    return used


@pytest.mark.skipif(SANITIZED, reason="CPU is measured; its own, whatever runs beside it")
def test_7_idle_and_live_it_uses_under_1_percent_of_a_core(lab, feed):
    with lab.source.raw() as client:
        fill.strings(client, 20_000, size=50)
    riotd = lab.live(feed=feed)
    riotd.wait("drained")
    time.sleep(1)
    assert idle_cpu(riotd, 4) < 0.01


@pytest.mark.long
def test_7_in_full(lab, feed):
    with lab.source.raw() as client:
        fill.strings(client, 1_000_000, size=50)
    riotd = lab.live(feed=feed, timeout=120)
    riotd.wait("drained")
    time.sleep(2)
    assert idle_cpu(riotd, 60) < 0.01


# --- 9


FAULTS = ("none", "kill -9", "killed connections", "source restart", "target restart", "target hang")


def fault_under_load(lab, feed, fault, keys, before, after):
    """2,000 mixed writes a second, one fault, and at the end no key is missing, extra, different or of another expiry."""
    with lab.source.raw() as client:
        fill.strings(client, keys, size=50, expire_every=20)
    riotd = lab.live(feed=feed, timeout=60)
    with Workload(lab.source, writers=4, keys=keys // 10, rate=2000) as writers:
        time.sleep(before)
        if fault == "kill -9":
            riotd.kill()
            time.sleep(1.5)
            riotd.start()
        elif fault == "killed connections":
            for _ in range(3):
                lab.source.kill_riotd_clients()
                lab.target.kill_riotd_clients()
                time.sleep(0.3)
        elif fault == "source restart":
            lab.source.restart()
        elif fault == "target restart":
            lab.target.restart()
        elif fault == "target hang":
            hang(lab, 2.0)
        time.sleep(after)
    print(f"{writers.count} writes, {writers.rate:.0f}/s")
    lab.equal(riotd, at_least=keys, timeout=60)
    riotd.wait_state("live")


@pytest.mark.parametrize("fault", FAULTS)
def test_9_a_fault_under_load(lab, fault):
    fault_under_load(lab, "auto", fault, 10_000, 1.0, 1.5)


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_9_in_full(lab, feed, fault):
    fault_under_load(lab, feed, fault, 200_000, 10.0, 12.0)
