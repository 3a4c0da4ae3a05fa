"""verify: what differs is found, exactly and without false alarm, while both sides are live; and mended if so asked."""

import json
import random
import signal
import subprocess
import threading
import time

import pytest

from kit import fill, process
from kit.drift import HOUR_MS, KINDS, NONE, change_value, inject, last, other_type, various, verify
from kit.resp import Client, RespError, encode
from kit.riot import program
from kit.server import target_binary
from kit.wait import SANITIZED, until
from kit.workload import Workload

MIB = 1024 * 1024


def begin(link, *args):
    """A verify that is followed by nobody; returns its operation."""
    words = [word for name, value in zip(args[0::2], args[1::2]) for word in (name.lstrip("-"), value)]
    return json.loads(link.request("VERIFY", *words))["operation"]


def ended(link, operation, timeout=60):
    """How the operation ended."""
    found = link.wait_for(lambda s: any(o["id"] == operation and o["state"] == "ended" for o in s["operations"]), timeout,
                          "the end of the verify")
    return next(o for o in found["operations"] if o["id"] == operation)


@pytest.fixture
def link(lab):
    """5,000 keys of five types, live."""
    with lab.source.raw() as client:
        various(client, 5000)
    return lab.live()


# --- what differs


def test_drift_of_each_kind_is_counted_exactly_and_mended_under_live_writes(lab, link):
    with Workload(lab.source, writers=2, keys=5000, dbs=(0, 1), rate=400):
        assert verify(link)["verdict"] == "clean"
        drift = inject(lab.target)
        report = verify(link, code=10)
        assert report["drift"] == drift and report["verdict"] == "drift" and not report["at_least"]
        named = {(k["key"], k["kind"]) for k in report["keys"]}
        assert {k for k, kind in named if kind == "missing"} == {f"d:{i}" for i in range(100, 113)}
        assert {k for k, kind in named if kind == "extra"} == {f"extra:{i}" for i in range(7)}
        assert all(k["what"] and k["db"] == 0 for k in report["keys"])
        report = verify(link, "--repair")
        assert report["drift"] == NONE and report["verdict"] == "clean" and report["repair"]
        assert report["repaired"] >= sum(drift.values())
        assert verify(link)["drift"] == NONE
    lab.equal(link, at_least=5000)


def no_false_drift(lab, times):
    link = lab.live()
    with Workload(lab.source, writers=4, keys=20_000, rate=4000):
        until(lambda: lab.source.dbsize() > 3000, 30, "some keys are there")
        for _ in range(times):
            done = link.ctl("verify", timeout=120)
            report = last(link)
            assert report["drift"] == NONE, report
            # A key may change too fast for it: that is told, and no drift.
            assert done.returncode in (0, 11) and report["compared"] > 1000, report


def test_no_false_drift_under_writes_with_expiring_keys(lab):
    no_false_drift(lab, 2)


@pytest.mark.long
def test_no_false_drift_in_ten_verifies(lab):
    no_false_drift(lab, 10)


def test_what_cannot_be_compared_makes_it_inconclusive(lab):
    """The names of a stream's fields are held while it is decoded, but not beyond a bound."""
    with lab.source.raw() as client:
        client.must([("XADD", "s", "1-1", "x" * 1_300_000, "v"), ("SET", "beside", 1)])
    link = lab.live()
    if lab.source.version == lab.target.version:
        assert verify(link)["unknown"] == 0, "equal bytes need no decoding"
    lab.target.call("XADD", "s", "2-1", "f", "v")
    report = verify(link, code=11)
    assert report["verdict"] == "inconclusive" and report["unknown"] == 1 and report["reason"], report
    assert report["drift"] == NONE and report["exit_code"] == 11


HISTORY = "for i = 1, 20 do redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', KEYS[1], '0') end return 1"


def reads_its_history(path, stop):
    """Each read adds one to delivery counts, which is in the value. The server always has more to do."""
    batch, ahead = 20, 3
    raw = encode("EVAL", HISTORY, 1, "s") * batch
    with Client(path) as client:
        client.send(raw * ahead)
        while not stop.is_set():
            for _ in range(batch):
                assert client.read() == 1
            client.send(raw)


@pytest.mark.long
def test_what_changes_all_the_time_makes_it_inconclusive(lab):
    with lab.source.raw() as client:
        client.must([("XADD", "s", "1-1", "f", 1), ("XGROUP", "CREATE", "s", "g", "0"),
                     ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"), ("SET", "still", 1)])
    link = lab.live()
    stop = threading.Event()
    reader = threading.Thread(target=reads_its_history, args=(lab.source.path, stop))
    reader.start()
    try:
        report = verify(link, code=11, timeout=300)
    finally:
        stop.set()
        reader.join()
    assert report["verdict"] == "inconclusive" and report["unstable"] == 1 and report["reason"], report
    assert report["drift"] == NONE and report["exit_code"] == 11
    assert verify(link)["unstable"] == 0


def test_expiries_within_the_tolerance_are_equal(lab):
    at = int(time.time() * 1000) + HOUR_MS
    with lab.source.raw() as client:
        client.must([("SET", "near", "v"), ("PEXPIREAT", "near", at)])
    link = lab.live()
    lab.target.call("PEXPIREAT", "near", at + 300)
    assert verify(link, code=10)["drift"]["ttl"] == 1
    assert verify(link, "--ttl-tolerance", "1s")["drift"] == NONE
    assert verify(link, "--ttl-tolerance", "0", code=10)["drift"]["ttl"] == 1


def test_state_of_stream_groups_that_no_mark_tells_of(lab):
    """Reading its own history changes a consumer's delivery counts: no feed tells of it, the watch list does."""
    with lab.source.raw() as client:
        client.must([("XADD", "s", f"{i}-1", "f", i) for i in range(1, 50)])
        client.must([("XGROUP", "CREATE", "s", "g", "0"), ("XREADGROUP", "GROUP", "g", "c", "COUNT", 10, "STREAMS", "s", ">")])
        link = lab.live(feed="notify")
        client.must([("XREADGROUP", "GROUP", "g", "c", "COUNT", 10, "STREAMS", "s", "0")])
        assert verify(link)["drift"] == NONE
        # And what nobody will mend is found.
        lab.target.call("XGROUP", "SETID", "s", "g", "40-1")
        assert verify(link, code=10)["drift"]["value"] == 1


def test_fields_of_hashes_that_expire(lab):
    if not (lab.source.has("HPEXPIRE") and lab.target.has("HPEXPIRE")):
        pytest.skip("hash fields do not expire on these servers")
    with lab.source.raw() as client:
        client.must(list(fill.commands_with_field_times()))
        client.must([("HSET", "soon", "f", 1, "g", 2), ("HPEXPIRE", "soon", 1500, "FIELDS", 1, "f")])
        client.must([("HSET", "gone", "f", 1), ("HPEXPIRE", "gone", 1500, "FIELDS", 1, "f")])
        link = lab.live()
        assert verify(link)["drift"] == NONE
        until(lambda: client.call("HLEN", "soon") == 1, 10, "a field has expired")
    assert verify(link)["drift"] == NONE
    lab.target.call("HPEXPIRE", "hash:field-ttl", 7_000_000, "FIELDS", 1, "f2")
    report = verify(link, code=10)
    assert sum(report["drift"].values()) == 1 and report["keys"][0]["key"] == "hash:field-ttl"


def test_keys_of_every_type(lab):
    count = fill.every_type(lab.source)
    link = lab.live()
    report = verify(link)
    assert report["drift"] == NONE and report["compared"] >= count and report["unknown"] == 0


def test_a_key_that_can_never_be_copied_is_drift(lab):
    lab.target = lab.server("target", target_binary(), args=["--proto-max-bulk-len", str(MIB)]).start()
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(20)] + [("SET", "huge", random.Random(1).randbytes(2 * MIB))])
    link = lab.live()
    assert link.blockers() == {"failed_keys"}
    report = verify(link, code=10)
    assert report["drift"] == {**NONE, "missing": 1} and report["keys"][0]["key"] == "huge"
    assert verify(link, "--repair", code=10)["drift"] == {**NONE, "missing": 1}


# --- which keys


def test_a_part_of_the_keys(lab):
    for db in (0, 3):
        with lab.source.raw(db) as client:
            client.must([("SET", f"{name}:{i}", i) for name in ("user", "order") for i in range(500)])
    link = lab.live()
    lab.target.call("DEL", "user:1", "order:1", db=3)
    lab.target.call("SET", "user:extra", 1, db=3)
    report = verify(link, "--match", "user:*", code=10)
    assert report["drift"] == {**NONE, "missing": 1, "extra": 1} and report["match"] == "user:*"
    assert verify(link, "--match", "user:1?")["drift"] == NONE
    nothing = verify(link, "--match", "nobody:*", code=11)
    assert "nothing was compared" in nothing["reason"]
    assert verify(link, "--db", 0)["drift"] == NONE
    report = verify(link, "--db", 3, code=10)
    assert report["drift"] == {**NONE, "missing": 2, "extra": 1} and report["db"] == 3
    assert {k["db"] for k in report["keys"]} == {3}
    assert verify(link, code=10)["compared"] >= 2000


def test_a_sample(lab):
    with lab.source.raw() as client:
        fill.strings(client, 20_000)
    link = lab.live()
    report = verify(link, "--sample", 1000)
    assert report["sampled"] and report["sample"] == 1000
    assert 700 <= report["compared"] <= 2700, report
    lab.target.call("FLUSHALL")
    link.wait_for(lambda s: s["feed"]["gaps"] > 0)
    link.wait("live")
    assert verify(link, "--sample", 1000)["drift"] == NONE


@pytest.mark.alone
def test_a_rate_is_kept(lab):
    with lab.source.raw() as client:
        fill.strings(client, 4000)
    link = lab.live()
    start = time.monotonic()
    report = verify(link, "--rate", 1000, timeout=60)
    took = time.monotonic() - start
    assert report["drift"] == NONE and 2.5 <= took <= 20, f"{took:.1f} s"


def test_extras_of_a_merged_target_are_no_drift(lab):
    with lab.source.raw() as client:
        various(client, 100)
    lab.target.call("SET", "mine", 1)
    link = lab.live(target__existing_keys="merge", feed="notify")
    assert verify(link)["drift"] == NONE
    lab.target.call("DEL", "d:5")
    assert verify(link, code=10)["drift"] == {**NONE, "missing": 1}


def test_into_another_database(lab):
    with lab.source.raw(2) as client:
        various(client, 500)
    link = lab.live(source=lab.source.url(2), target=lab.target.url(7))
    assert verify(link)["drift"] == NONE
    assert verify(link, "--db", 2)["compared"] >= 500
    drift = inject(lab.target, db=7)
    assert verify(link, code=10)["drift"] == drift
    assert verify(link, "--repair")["drift"] == NONE


# --- the operation


def test_the_report_stays_readable(link, lab):
    done = link.ctl("verify", "--last")
    assert done.returncode == 2 and "no verify" in done.stderr
    lab.target.call("DEL", "d:7")
    lab.target.call("SET", b"\xff\n", "x")
    verify(link, code=10)
    done = link.ctl("verify", "--last", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 10 and report["exit_code"] == 10
    assert report["drift"] == {**NONE, "missing": 1, "extra": 1} and set(report["drift"]) == set(KINDS)
    assert report["exact_up_to"] == 100_000 and report["state"] == "ended"
    assert {k["key"] for k in report["keys"]} == {"d:7", "\\xff\\n"}
    status = link.status()["verify"]
    assert status["verdict"] == "drift" and status["drift"] == report["drift"] and status["age_s"] < 60
    assert "missing" in link.ctl("verify", "--last").stdout
    link.wait_log("differ")
    # The next one that runs does not hide it.
    begin(link, "--rate", 100)
    now = last(link)
    assert now == {**report, "age_s": now["age_s"]}
    link.must("verify", "--stop")


def test_stop(link):
    assert link.ctl("verify", "--stop").returncode == 2
    operation = begin(link, "--rate", 100)
    link.wait_for(lambda s: s["verify"]["state"] == "running" and s["verify"]["compared"] > 0)
    done = link.ctl("verify")
    assert done.returncode == 6 and "runs already" in done.stderr
    link.must("verify", "--stop")
    how = ended(link, operation)
    assert how["result"] == "stopped" and how["exit_code"] == 1
    report = last(link)
    assert report["verdict"] == "stopped" and report["reason"] and report["exit_code"] == 1
    assert verify(link)["verdict"] == "clean"


def test_a_client_that_goes_away_ends_nothing(link):
    client = subprocess.Popen([program("riotctl"), "-s", link.socket, "verify", "--rate", "1000"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    link.wait_for(lambda s: s.get("verify", {}).get("state") == "running")
    client.send_signal(signal.SIGKILL)
    client.wait()
    status = link.wait_for(lambda s: s["verify"]["state"] == "ended", 60)
    assert status["verify"]["verdict"] == "clean" and status["operations"][-1]["exit_code"] == 0


def test_what_it_shows_while_it_runs(link):
    operation = begin(link, "--rate", 300)
    seen = link.wait_for(lambda s: s["verify"].get("eta_ms") and s["verify"]["percent"] > 5)["verify"]
    assert seen["verdict"] == "running" and seen["keys_per_s"] > 0 and "ended" not in seen and "age_s" not in seen
    text = link.wait_for(lambda s: "compared" in s["operations"][-1]["text"])["operations"][-1]["text"]
    assert "keys/s" in text
    link.must("verify", "--stop")
    ended(link, operation)


@pytest.mark.parametrize("wrong, word", [(("sample", 0), "--sample"), (("rounds", 0), "--rounds"), (("db", 9), "9"),
                                         (("db", 99999999), "--db"), (("last", "yes", "repair", "yes"), "--last"),
                                         (("stop", "yes", "rate", 1), "--stop"), (("ttl_tolerance", "2d"), "--ttl-tolerance")])
def test_wrong_arguments_are_told(link, wrong, word):
    with pytest.raises(RespError, match=f"^USAGE.*{word}"):
        link.request("VERIFY", *wrong)
    assert "verify" not in link.status()


def test_it_works_in_live_only(link, lab):
    link.must("pause")
    done = link.ctl("verify")
    assert done.returncode == 6 and "paused" in done.stderr and "resume" in done.stderr
    link.must("stop")
    done = link.ctl("verify")
    assert done.returncode == 6 and "idle" in done.stderr and "start" in done.stderr
    done = link.ctl("abort")
    assert done.returncode in (2, 6)


def test_it_ends_with_the_link(link):
    operation = begin(link, "--rate", 100)
    link.wait_for(lambda s: s["verify"]["compared"] > 0)
    link.must("stop")
    how = ended(link, operation)
    assert how["result"] == "stopped" and how["exit_code"] == 1
    link.must("start")
    link.wait("live")
    assert verify(link)["verdict"] == "clean"


def test_a_restart_ends_it_in_time(link):
    begin(link, "--rate", 100)
    link.restart()
    link.wait("live")
    assert "verify" not in link.status()
    assert verify(link)["verdict"] == "clean"


# --- what happens meanwhile


def test_the_target_is_restarted_meanwhile(link, lab):
    operation = begin(link, "--rate", 2000)
    link.wait_for(lambda s: s["verify"]["compared"] > 0)
    lab.target.restart()
    how = ended(link, operation, 90)
    assert how["result"] == "clean" and how["exit_code"] == 0, how
    lab.equal(link, at_least=5000)


def test_the_source_is_restarted_meanwhile(link, lab):
    operation = begin(link, "--rate", 2000)
    link.wait_for(lambda s: s["verify"]["compared"] > 0)
    lab.source.restart()
    how = ended(link, operation, 90)
    assert how["result"] == "clean" and how["exit_code"] == 0, how
    lab.equal(link, at_least=5000)


def test_a_gap_meanwhile(link, lab):
    """What was missed differs until the resync has come to it: that is no drift."""
    operation = begin(link, "--rate", 2000)
    link.wait_for(lambda s: s["verify"]["compared"] > 0)
    gaps = link.status()["feed"]["gaps"]
    assert lab.source.kill_riotd_clients("feed") or lab.source.kill_riotd_clients()
    with lab.source.raw() as client:
        client.must([("SET", f"d:{i}", "changed") for i in range(0, 5000, 7)])
        client.must([("DEL", f"d:{i}") for i in range(1, 5000, 7)])
    link.wait_for(lambda s: s["feed"]["gaps"] > gaps)
    how = ended(link, operation, 90)
    assert how["result"] == "clean", how
    lab.equal(link)


def test_a_pause_meanwhile(link, lab):
    operation = begin(link, "--rate", 1000)
    link.wait_for(lambda s: s["verify"]["compared"] > 0)
    link.must("pause")
    with lab.source.raw() as client:
        client.must([("SET", f"d:{i}", "changed") for i in range(0, 5000, 5)])
    link.wait_for(lambda s: "not live" in s["verify"].get("waiting", ""), 30)
    link.must("resume")
    how = ended(link, operation, 60)
    assert how["result"] == "clean", how


@pytest.mark.skipif(SANITIZED, reason="memory is measured")
def test_memory_is_bounded_whatever_differs(lab):
    with lab.source.raw() as client:
        fill.strings(client, 400_000, size=20)
    link = lab.live(limits__memory="16MiB")
    assert verify(link)["compared"] >= 400_000
    before = process.memory_kib(link.pid)
    with lab.target.raw() as client:
        for i in range(0, 150_000, 1000):
            client.must([("DEL", *(f"key:{n}" for n in range(i, i + 1000)))])
        fill.strings(client, 50_000, prefix="a-rather-long-name-of-a-key-that-is-extra-on-the-target:")
    process.reset_peak(link.pid)
    report = verify(link, code=10, timeout=300)
    assert report["at_least"] and sum(report["drift"].values()) >= 100_000
    assert len(report["keys"]) <= 100
    peak = process.memory_kib(link.pid, "VmHWM")
    print(f"{before} KiB before, {peak} KiB at most")
    assert peak - before < 10 * 1024, f"{before} KiB before, {peak} KiB at most"


# --- beside a cutover


def test_no_cutover_while_a_verify_runs_and_none_is_begun_in_one(link):
    operation = begin(link, "--rate", 100)
    done = link.ctl("cutover")
    assert done.returncode == 6 and "verify --stop" in done.stderr and link.state == "live"
    link.must("verify", "--stop")
    ended(link, operation)
    asked = json.loads(link.request("CUTOVER", "stable_for", "20s"))["operation"]
    link.wait_state("cutover")
    done = link.ctl("verify")
    assert done.returncode == 6 and "abort" in done.stderr
    for verb in ("pause", "stop", "start"):
        done = link.ctl(verb)
        assert done.returncode == 6 and "cutover" in done.stderr, verb
    link.must("abort")
    assert ended(link, asked)["exit_code"] == 8
    link.wait_state("live")
    assert verify(link)["verdict"] == "clean"


# --- wait --for verified


def verified(link):
    return link.ctl("wait", "--for", "verified", "--timeout", "1s").returncode == 0


def test_wait_for_verified(link, lab):
    assert not verified(link)
    waiting = json.loads(link.request("WAIT", "FOR", "verified"))["operation"]
    verify(link, "--sample", 100)
    verify(link, "--match", "d:*")
    verify(link, "--db", 0)
    verify(link, "--ttl-tolerance", "1h")
    assert not verified(link), "a part is not the whole"
    verify(link)
    assert ended(link, waiting)["result"] == "ok" and verified(link)
    # A part that is equal does not take it back, one that differs does.
    verify(link, "--sample", 100)
    assert verified(link)
    gaps = link.status()["feed"]["gaps"]
    lab.source.kill_riotd_clients()
    link.wait_for(lambda s: s["feed"]["gaps"] > gaps)
    link.wait("live")
    assert not verified(link), "a gap makes it void"
    verify(link, "--sample", 100)
    assert not verified(link), "a part is not the whole"
    verify(link)
    assert verified(link)
    lab.target.call("DEL", "d:1")
    verify(link, "--match", "d:1", code=10)
    assert not verified(link)
    link.must("stop")
    assert link.ctl("wait", "--for", "verified").returncode == 13


def test_events(link, lab):
    lab.target.call("DEL", "d:1")
    with Client(link.socket) as events:
        events.call("SUBSCRIBE", "events")
        verify(link, code=10)
        names = []
        while "operation_ended" not in names:
            names.append(json.loads(events.read()[2])["event"])
    assert [n for n in names if n.startswith("verify")] == ["verify_started", "verify_ended", "verify_drift"]
