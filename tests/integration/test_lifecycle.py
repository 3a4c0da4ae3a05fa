"""The process: how it starts, ends, comes back after kill -9; the state file, the lock, the socket."""

import json
import os
import signal
import stat
import subprocess
import time

import pytest

from kit.compare import assert_equal
from kit.riot import program
from kit.wait import until


@pytest.fixture
def link(lab, feed):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(500)])
    return lab.live(feed=feed)


def test_sigterm_ends_it_with_0_within_2_s_and_leaves_no_connection(lab, link):
    link.stop()
    until(lambda: not lab.source.riotd_clients() and not lab.target.riotd_clients(), 5, "the connections are gone")
    assert lab.source.config("notify-keyspace-events") == ""


def test_sigint_does_the_same(link):
    link.stop(signal.SIGINT)


def test_a_second_sigterm_is_harmless(link):
    """At whatever moment of its end it comes."""
    while link.process.poll() is None:
        link.process.send_signal(signal.SIGTERM)
        time.sleep(0.0005)
    assert link.ended() == 0


@pytest.mark.parametrize("side", ["source", "target"])
def test_sigterm_ends_it_within_2_s_while_a_server_hangs(lab, link, side):
    server = getattr(lab, side)
    server.freeze()
    if side == "target":
        lab.source.call("SET", "k0", "in the hanging target's socket")
        time.sleep(0.2)
    link.stop()
    server.thaw()


def test_sigterm_ends_it_during_the_snapshot(lab):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(5000)])
    riotd = lab.link(limits__keys_per_s=500)
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] > 0)
    riotd.stop()


def test_sigterm_ends_it_while_no_server_is_there(lab):
    riotd = lab.link(f"unix://{lab.folder}/nobody", f"unix://{lab.folder}/no-one")
    riotd.wait_for(lambda s: s["conditions"])
    riotd.stop()


def test_after_kill_9_keys_deleted_meanwhile_disappear(lab, link):
    lab.equal(link)
    link.kill()
    with lab.source.raw() as client:
        client.must([("DEL", f"k{i}") for i in range(100)] + [("SET", f"k{i}", "changed") for i in range(100, 200)] +
                    [("SET", f"new{i}", i) for i in range(100)])
    link.start()
    link.wait("live")
    assert assert_equal(lab.source, lab.target) == 500
    lab.equal(link)


def test_after_kill_9_in_the_snapshot_it_begins_again(lab, feed):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(4000)])
    riotd = lab.link(feed=feed, limits__keys_per_s=2000)
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] > 1000)
    riotd.kill()
    lab.source.call("DEL", *[f"k{i}" for i in range(1000)])
    riotd.options["limits.keys_per_s"] = 0
    riotd.start().wait("live")
    assert assert_equal(lab.source, lab.target) == 3000


def test_after_kill_9_old_connections_are_dead_before_it_writes(lab, link):
    """What the killed riotd left in the target's socket buffer may not be executed after newer writes (R2)."""
    lab.target.freeze()
    lab.source.call("SET", "k0", "older")
    link.wait_for(lambda s: s["queue"]["in_flight_bytes"] > 0, what="the write on its way")
    link.kill()
    lab.source.call("SET", "k0", "newer")
    lab.target.thaw()
    link.start()
    lab.equal(link)
    assert lab.target.redis().get("k0") == b"newer"


def test_after_kill_9_notify_flags_are_put_back_by_the_next_end(lab):
    lab.source.config("notify-keyspace-events", "Kx")
    before = lab.source.config("notify-keyspace-events")
    riotd = lab.live(feed="notify")
    riotd.kill()
    assert lab.source.config("notify-keyspace-events") != before
    riotd.start().wait("live")
    riotd.stop()
    assert lab.source.config("notify-keyspace-events") == before


def test_the_restart_of_a_clean_end_resyncs(lab, link):
    lab.equal(link)
    link.stop()
    lab.source.call("DEL", "k0", "k1")
    lab.source.call("SET", "while away", "v")
    link.start()
    link.wait("live")
    assert assert_equal(lab.source, lab.target) == 499


def test_a_source_that_shrank_while_riotd_was_away_waits_for_a_person(lab, link):
    lab.equal(link)
    link.stop()
    lab.source.call("FLUSHALL")
    lab.source.call("SET", "k", "v")
    link.start()
    link.wait_for(lambda s: "source_shrank" in {b["code"] for b in s["blockers"]}, what="the blocker")
    assert lab.target.dbsize() >= 500
    status = link.status()
    blocker = next(b for b in status["blockers"] if b["code"] == "source_shrank")
    assert "--accept source_shrank" in blocker["hint"]
    link.must("resume", "--accept", "source_shrank")
    lab.equal(link)
    assert lab.target.dbsize() == 1


def test_stop_holds_over_a_restart(lab, link):
    link.must("stop")
    link.wait_state("idle")
    link.restart()
    time.sleep(0.5)
    assert link.state == "idle"
    lab.source.call("SET", "later", "v")
    link.must("start")
    link.wait("live")
    lab.equal(link)


def test_pause_holds_over_a_restart(lab, link):
    link.must("pause")
    link.wait_state("paused")
    link.restart()
    link.wait_state("paused")
    lab.source.call("SET", "later", "v")
    time.sleep(0.5)
    assert not lab.target.redis().exists("later")
    link.must("resume")
    link.wait("live")
    lab.equal(link)


def test_without_autostart_it_waits_to_be_started(lab):
    lab.source.call("SET", "k", "v")
    riotd = lab.link(autostart=False)
    assert riotd.state == "idle"
    assert not lab.source.riotd_clients()
    riotd.must("start")
    riotd.wait("live")
    lab.equal(riotd)
    riotd.restart()
    assert riotd.state != "idle"  # the last of start, pause and stop holds


def test_a_second_riotd_of_the_same_link_exits_69_and_says_why(lab, link):
    second = subprocess.run([program("riotd"), "-c", link.config, "--state-dir", link.state_dir], capture_output=True, text=True,
                            timeout=30, check=False)
    assert second.returncode == 69
    assert "test" in second.stderr and len(second.stderr.strip()) > 20
    assert link.state == "live"
    lab.source.call("SET", "still", "here")
    lab.equal(link)


def test_a_stale_socket_file_is_replaced(link):
    link.kill()
    assert os.path.exists(link.socket)
    link.start().wait("live")


def test_a_live_socket_is_not_replaced(lab, link):
    other = lab.link(name="other", start=False, control__socket=link.socket)
    other.write_config()
    done = subprocess.run([program("riotd"), "-c", other.config, "--state-dir", other.state_dir], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 69
    assert link.socket in done.stderr
    assert link.state == "live"


def test_the_socket_is_for_owner_and_group(link):
    assert stat.S_IMODE(os.stat(link.socket).st_mode) == 0o660
    assert stat.S_ISSOCK(os.stat(link.socket).st_mode)


def test_the_socket_is_gone_after_a_clean_end(link):
    link.stop()
    assert not os.path.exists(link.socket)


def test_the_state_file_is_private_json(link):
    path = os.path.join(link.state_dir, "test.json")
    with open(path, encoding="utf-8") as file:
        state = json.load(file)
    assert isinstance(state, dict)
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 999}'])
def test_a_state_file_that_cannot_be_understood_is_refused_and_kept(lab, content):
    riotd = lab.link(start=False)
    os.makedirs(riotd.state_dir)
    path = os.path.join(riotd.state_dir, "test.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    riotd.spawn()
    assert riotd.ended() == 78
    assert "test.json" in riotd.log()
    with open(path, encoding="utf-8") as file:
        assert file.read() == content


def test_a_state_folder_that_cannot_be_made_is_73(lab):
    riotd = lab.link(start=False)
    riotd.state_dir = os.path.join("/proc", "riotd-cannot-write-here")
    riotd.spawn()
    assert riotd.ended() == 73
    assert riotd.state_dir in riotd.log()


def test_nothing_of_its_own_is_left_on_either_side(lab, link):
    """R14: no keys, no settings, no clients."""
    def settings(server):
        with server.raw() as client:
            flat = client.call("CONFIG", "GET", "*")
        return dict(zip(flat[0::2], flat[1::2]))

    link.stop()
    before = settings(lab.source), settings(lab.target)
    link.start().wait("live")
    lab.source.call("SET", "k0", "x")
    lab.equal(link)
    link.stop()
    assert (settings(lab.source), settings(lab.target)) == before
    assert lab.source.dbsize() == 500 == lab.target.dbsize()
    assert sum(lab.source.dbsize(db) + lab.target.dbsize(db) for db in range(1, 16)) == 0
    assert not lab.source.riotd_clients() and not lab.target.riotd_clients()


def test_readiness_and_end_are_told_to_systemd(lab):
    import socket  # pylint: disable=import-outside-toplevel
    path = os.path.join(lab.folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(10)
        riotd = lab.link(start=False)
        riotd.start(env={**os.environ, "NOTIFY_SOCKET": path})
        riotd.wait("live")
        told = b"\n"
        while b"\nSTATUS=" not in told or b"\nREADY=1\n" not in told:
            told += sock.recv(4096) + b"\n"
        riotd.stop()
        while b"\nSTOPPING=1\n" not in told:
            told += sock.recv(4096) + b"\n"
