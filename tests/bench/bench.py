#!/usr/bin/python3
"""How fast riotd is, beside what its servers can do: `make bench`.

Every ratio is of figures of the same run, which alternate; the figure is the median, beside it the lowest and the highest. What the
rounds alternate between, and all goals, are in cases.py. The servers are REDIS_SERVER and TARGET_SERVER, as for the tests. It ends
within 15 minutes on two cores (--quick, or BENCH=quick, within 2), with fewer rounds where those are slow, and leaves nothing behind but
its JSON.

Exit: 0, also where a goal was not reached, which is shown as `below`; 1 under half of a goal (or twice, where less is better) and
where a case failed. What cannot be run here is `not run`, with the reason.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

# pylint: disable=wrong-import-position
import figures  # noqa: E402
from cases import CASES, RESULTS  # noqa: E402
from kit.riot import program, riotctl  # noqa: E402
from kit.server import RedisServer, source_binary, target_binary  # noqa: E402
from lab import Lab  # noqa: E402

MINUTES = {False: 14.5, True: 1.9}  # whole, quick


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", default=os.environ.get("BENCH") == "quick", help="a tenth of the keys, within 2 minutes")
    parser.add_argument("--only", metavar="CASE,...", default=os.environ.get("CASES", ""), help="of: " + " ".join(CASES))
    parser.add_argument("--minutes", type=float, help="begin no case later; for machines that have other things to do")
    parser.add_argument("--json", metavar="FILE", default=program("bench.json"))
    parser.add_argument("--shake", metavar="FILE", default=os.environ.get("PEER_SHAKE"), help="a redis-shake to measure beside")
    parser.add_argument("--record", action="store_true", help="put the tables into RESULTS.md")
    chosen = parser.parse_args()
    chosen.minutes = chosen.minutes or MINUTES[chosen.quick]
    chosen.names = chosen.only.split(",") if chosen.only else list(CASES)
    for name in chosen.names:
        if name not in CASES:
            parser.error(f"no case '{name}'")
    if chosen.record and chosen.only:
        parser.error("--record is for a run of all cases")
    if chosen.shake and not shutil.which(chosen.shake):
        parser.error(f"no program '{chosen.shake}'")
    return chosen


def server_version(folder, name, binary):
    server = RedisServer(folder, name, binary)
    try:
        server.start()
        return f"valkey {'.'.join(map(str, server.valkey))}" if server.valkey else f"redis {'.'.join(map(str, server.version))}"
    finally:
        server.stop()


def commit():
    """Of the tree, where it is a clone."""
    if not shutil.which("git"):
        return ""
    done = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return f" ({done.stdout.strip()})" if done.returncode == 0 else ""


def about(folder, chosen):
    facts = {"run": "quick" if chosen.quick else "whole", **figures.machine()}
    facts["riotd"] = riotctl("version").stdout.split()[1] + commit()
    facts["source"] = server_version(folder, "source", source_binary())
    facts["target"] = server_version(folder, "target", target_binary())
    return facts


def measure(lab, name):
    """The figures of a case, whatever becomes of it."""
    try:
        return list(CASES[name][0](lab))
    except figures.CannotRun as err:
        return [figures.not_run(name, "", str(err))]
    except (AssertionError, OSError) as err:
        sys.stderr.write(f"{name}: {err}\n")
        return [figures.failed(name, "", str(err).splitlines()[0] if str(err) else repr(err))]


def measure_all(lab, chosen):
    found, whole = [], chosen.minutes * 60
    scale = whole / sum(seconds for _, seconds in CASES.values())
    began = lab.deadline = time.monotonic()
    for name in chosen.names:
        lab.deadline += CASES[name][1] * scale
        late = time.monotonic() - began > whole
        found += [figures.not_run(name, "", f"the {chosen.minutes:g} minutes are over")] if late else measure(lab, name)
        sys.stderr.write(f"{time.monotonic() - began:5.0f} s  {name}\n")
    return found


def rate_rows(rates):
    """What the ratios are made of: a row for each figure, a column for each set."""
    names = dict.fromkeys(name for each in rates.values() for name in each)
    return [(name, *(figures.number(figures.median(each[name])) if name in each else "" for each in rates.values()), "") for name in names]


def tables(facts, found, rates, table):
    yield ", ".join(f"{name} {value}" for name, value in facts.items())
    yield table([f.cells() for f in found], figures.HEAD)
    if rates:
        yield "Medians: thousand keys a second; CPU of the whole process in microseconds a key."
        yield table(rate_rows(rates), ("", *rates, ""))


def record(facts, found, rates):
    """The part of RESULTS.md between its two marks."""
    with open(RESULTS, encoding="utf-8") as file:
        before, mark, rest = file.read().partition("<!-- made: make bench BENCH_ARGS=--record -->\n")
    assert mark, f"{RESULTS} has no place for the tables"
    with open(RESULTS, "w", encoding="utf-8") as file:
        file.write(before + mark + "\n" + "\n\n".join(tables(facts, found, rates, figures.markdown_table)) + "\n\n" + rest[rest.index("<!-- end"):])


def ends(signum, _frame):
    raise SystemExit(128 + signum)


def main():
    chosen = options()
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, ends)
    folder = tempfile.mkdtemp(prefix="riot-bench-")
    try:
        lab = Lab(folder, chosen.quick, chosen.shake and shutil.which(chosen.shake))
        facts = about(folder, chosen)
        found = measure_all(lab, chosen)
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n\n".join(tables(facts, found, lab.rates, figures.text_table)))
    os.makedirs(os.path.dirname(chosen.json), exist_ok=True)
    with open(chosen.json, "w", encoding="utf-8") as file:
        file.write(figures.document(facts, found, lab.rates) + "\n")
    if chosen.record:
        record(facts, found, lab.rates)
    return figures.exit_code(found)


if __name__ == "__main__":
    sys.exit(main())
