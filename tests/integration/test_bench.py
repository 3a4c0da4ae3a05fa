"""The bench itself: its statistics, what it says of a goal, its JSON; and that it leaves nothing behind."""

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile

import pytest

from kit.riot import TOP
from kit.wait import SCALE, until

BENCH = os.path.join(TOP, "tests", "bench")
sys.path.insert(0, BENCH)

import figures  # noqa: E402  pylint: disable=wrong-import-position,import-error


def test_the_median_is_not_moved_by_one_bad_round():
    assert figures.median([1.0, 100.0, 2.0]) == 2.0
    assert figures.median([4.0, 1.0, 2.0, 3.0]) == 2.5
    assert figures.median([5.0]) == 5.0
    assert figures.spread([0.9, 0.7, 0.8]) == pytest.approx(0.2)


@pytest.mark.parametrize("values, goal, most, verdict, code", [
    ([0.95], 0.95, False, "reached", 0), ([0.94], 0.95, False, "below", 0), ([0.47], 0.95, False, "far below", 1),
    ([0.1, 1.0, 0.96], 0.95, False, "reached", 0),
    ([5.0], 5.0, True, "reached", 0), ([5.1], 5.0, True, "below", 0), ([10.1], 5.0, True, "far below", 1), ([0.0], 5.0, True, "reached", 0),
    ([0.1], None, False, "", 0), ([], 0.95, False, "not run", 0),
])
def test_a_goal_that_is_missed_is_shown_and_half_of_it_is_an_error(values, goal, most, verdict, code):
    figure = figures.Figure("case", "A", values, goal=goal, most=most)
    assert (figure.verdict, figures.exit_code([figure])) == (verdict, code)


def test_what_failed_is_an_error_and_what_cannot_be_run_is_told():
    broken, missing = figures.failed("one", "", "it crashed"), figures.not_run("two", "A", "no valgrind")
    assert figures.exit_code([broken, missing]) == 1 and figures.exit_code([missing]) == 0
    table = figures.text_table([broken.cells(), missing.cells()], figures.HEAD)
    assert "failed: it crashed" in table and "not run: no valgrind" in table


def bench(folder, *args):
    line = [sys.executable, os.path.join(BENCH, "bench.py"), "--json", os.path.join(folder, "bench.json"), *args]
    # Who runs these tests may ignore SIGINT, as what a shell runs in the background does.
    return subprocess.Popen(line, env=dict(os.environ, TMPDIR=folder, BENCH=""), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="rb") as path:
        yield path


@pytest.mark.alone
def test_a_run_shows_every_figure_and_leaves_nothing_but_its_json(folder):
    with bench(folder, "--quick", "--only", "snapshot-E,first-key") as run:
        out, err = run.communicate(timeout=120 * SCALE)
    assert run.returncode in (0, 1) and "failed" not in out, out + err
    assert os.listdir(folder) == ["bench.json"]
    with open(os.path.join(folder, "bench.json"), encoding="utf-8") as file:
        document = json.load(file)
    assert all(document["machine"][fact] for fact in ("date", "cpu", "cores", "source", "target", "riotd"))
    cases = {(row["case"], row["set"]): row for row in document["cases"]}
    assert set(cases) == {("snapshot / slower server alone", "E"), ("snapshot / native REPLICAOF", "E"), ("start to first key copied", "A")}
    for row in cases.values():
        assert set(figures.FIELDS) <= set(row)
        assert row["ratio"] > 0 and row["spread"] >= 0 and row["case"] in out
    assert cases["start to first key copied", "A"]["unit"] == "ms"


def running(folder):
    """Processes that were started in the folder or with a file of it."""
    found = []
    for process in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{process}/cmdline", "rb") as file:
                if folder in os.readlink(f"{process}/cwd") or folder.encode() in file.read():
                    found.append(process)
        except OSError:
            pass
    return found


@pytest.mark.alone
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_leaves_nothing(folder, how):
    with bench(folder, "--quick", "--only", "memory") as run:
        until(lambda: glob.glob(os.path.join(folder, "riot-bench-*", "bench", "s")), 60, "riotd copies")
        run.send_signal(how)
        run.communicate(timeout=30 * SCALE)
    assert run.returncode == 128 + how
    assert os.listdir(folder) == []
    assert running(folder) == []


def test_a_case_that_there_is_not_is_refused(folder):
    with bench(folder, "--only", "snapshot-Z") as run:
        _, err = run.communicate(timeout=30 * SCALE)
    assert run.returncode == 2 and "no case 'snapshot-Z'" in err
