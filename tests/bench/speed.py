#!/usr/bin/python3
"""How fast riotd copies, beside what each of the two servers does alone with the same commands: `make bench`.

1,000,000 strings of 100 bytes. The ceilings: PEXPIRETIME and DUMP of each key on the source, RESTORE of what came on the
target, 256 requests unanswered at any time. riotd: from the start of the process to `live`. Exits 1 below half of the slower one.
Then verify compares the same keys: exits 1 below half of the copy's speed too.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from kit import fill, process  # noqa: E402
from kit.resp import encode  # noqa: E402
from kit.riot import Riotd, program  # noqa: E402
from kit.server import RedisServer, source_binary, target_binary  # noqa: E402

DEPTH = 256


def pipeline(server, requests, replies=None):
    """Requests a second of the server alone."""
    line = [program("bench/pipeline"), server.path, str(DEPTH), requests, *([replies] if replies else [])]
    count, errors, seconds = subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()
    assert errors == "0", f"{errors} of {count} requests failed"
    return int(count) / float(seconds)


def reading(source, folder, count):
    """Keys a second that the source alone hands out. Leaves the requests that write them in folder/restore."""
    requests, replies, writes = (os.path.join(folder, name) for name in ("read", "replies", "restore"))
    expiry = "PEXPIRETIME" if source.has("PEXPIRETIME") else "PTTL"
    with open(requests, "wb") as file:
        for i in range(count):
            file.write(encode(expiry, f"key:{i}") + encode("DUMP", f"key:{i}"))
    rate = pipeline(source, requests, replies)
    with open(replies, "rb") as got, open(writes, "wb") as file:
        for i in range(count):
            at = int(got.readline()[1:])
            payload = got.read(int(got.readline()[1:]))
            got.read(2)
            file.write(encode("RESTORE", f"key:{i}", max(at, 0), payload, "REPLACE", "ABSTTL"))
    return rate / 2


def writing(target, folder):
    """Keys a second that the target alone takes."""
    rate = pipeline(target, os.path.join(folder, "restore"))
    target.call("FLUSHALL")
    return rate


def verifying(riotd, count):
    """Keys a second that verify compares: all of both sides."""
    begin = time.monotonic()
    riotd.must("verify", timeout=600)
    took = time.monotonic() - begin
    compared = riotd.status()["verify"]["compared"]
    assert compared == count, f"{compared} keys were compared"
    return count / took


def copying(source, target, folder, count):
    """Keys a second from the start of riotd to live, its peak memory and its CPU seconds; and keys a second of verify."""
    riotd = Riotd(folder, source.url(), target.url())
    begin = time.monotonic()
    try:
        riotd.start()
        riotd.wait("live", 600)
        took = time.monotonic() - begin
        used = process.memory_kib(riotd.pid, "VmHWM"), process.cpu_seconds(riotd.pid)
        verified = verifying(riotd, count)
    finally:
        riotd.stop()
    assert target.dbsize() == count, f"{target.dbsize()} keys on the target"
    target.call("FLUSHALL")
    return count / took, *used, verified


def median(ratios):
    return sorted(ratios)[len(ratios) // 2]


def measure(count, size, rounds, say=print):
    """Each ceiling and riotd's rates, in turns; returns the median ratios of the copy to the ceiling, and of verify to the copy."""
    folder = tempfile.mkdtemp(prefix="riot-bench-")
    source = RedisServer(folder, "source", source_binary())
    target = RedisServer(folder, "target", target_binary())
    try:
        source.start()
        target.start()
        with source.raw() as client:
            fill.strings(client, count, size)
        say(f"{count:,} strings of {size} bytes, {DEPTH} requests deep; thousand keys a second")
        say("source alone  target alone  riotd  of the slower  peak MiB  CPU s  verify  of the copy")
        copies, verifies = [], []
        for _ in range(rounds):
            read, write = reading(source, folder, count), writing(target, folder)
            rate, peak, cpu, verified = copying(source, target, folder, count)
            copies.append(rate / min(read, write))
            verifies.append(verified / rate)
            say(f"{read / 1e3:12.0f}  {write / 1e3:12.0f}  {rate / 1e3:5.0f}  {copies[-1]:13.2f}  {peak / 1024:8.1f}  {cpu:5.2f}  "
                f"{verified / 1e3:6.0f}  {verifies[-1]:11.2f}")
        return median(copies), median(verifies)
    finally:
        source.stop()
        target.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--keys", type=int, default=1_000_000)
    options.add_argument("--size", type=int, default=100)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    copy, verify = measure(chosen.keys, chosen.size, chosen.rounds)
    print(f"median ratios: {copy:.2f} of the slower server, verify {verify:.2f} of the copy")
    return 0 if min(copy, verify) >= 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())
