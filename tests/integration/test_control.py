"""The control socket and riotctl: verbs, exit codes, ordinary Redis clients, limits."""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest
import redis

from kit import process
from kit.resp import Client, RespError, encode
from kit.riot import program, riotctl
from kit.wait import SCALE, until


@pytest.fixture
def link(lab):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(200)])
    return lab.live()


# --- any Redis client


def test_redis_cli_can_ask(link):
    cli = shutil.which("redis-cli", path="/usr/bin:" + os.environ["PATH"])
    done = subprocess.run([cli, "-s", link.socket, "STATUS"], capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout)["state"] == "live"
    done = subprocess.run([cli, "-s", link.socket, "pause"], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "OK" or json.loads(done.stdout)
    link.wait_state("paused")


def test_redis_py_can_ask_and_subscribe(link):
    client = redis.Redis(unix_socket_path=link.socket, socket_timeout=10)
    assert client.ping() and client.echo("hello") == b"hello"
    assert json.loads(client.execute_command("STATUS"))["name"] == "test"
    events = client.pubsub()
    events.subscribe("events")
    assert events.get_message(timeout=5)["type"] == "subscribe"
    client.execute_command("PAUSE")
    seen = []
    until(lambda: seen.append(events.get_message(ignore_subscribe_messages=True, timeout=1)) or
          any(m and b"paused" in m["data"] for m in seen), 10, "an event that tells of the pause")
    event = json.loads(next(m for m in seen if m)["data"])
    assert {"seq", "time", "event"} <= set(event)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)", event["time"])
    client.execute_command("RESUME")


def test_inline_commands_and_case_do_not_matter(link):
    with Client(link.socket) as client:
        client.send(b"ping\r\n  Status \r\nECHO 'a b'\n")
        assert client.read() == b"PONG"
        assert json.loads(client.read())["state"] == "live"
        assert client.read() == b"a b"


def test_what_clients_send_first_is_answered(link):
    with Client(link.socket) as client:
        assert client.call("HELLO", "2")
        assert isinstance(client.call("COMMAND"), list)
        assert client.call("CLIENT", "SETNAME", "me") == b"OK"
        assert client.call("CLIENT", "SETINFO", "lib-name", "x") == b"OK"
        assert isinstance(client.call("CLIENT", "ID"), int)
        with pytest.raises(RespError, match="^NOPROTO"):
            client.call("HELLO", "3")
        assert client.call("QUIT") == b"OK"


def test_an_unknown_verb_is_an_error_that_suggests_the_nearest(link):
    with Client(link.socket) as client:
        with pytest.raises(RespError, match="^USAGE.*status"):
            client.call("STATSU")
        with pytest.raises(RespError, match="^USAGE.*timeout"):
            client.call("WAIT", "FOR", "live", "TIMEUOT", "5s")
        assert client.call("PING") == b"PONG"


def test_requests_may_come_byte_by_byte_and_many_at_once(link):
    with Client(link.socket) as client:
        for byte in encode("ECHO", "slow"):
            client.send(bytes([byte]))
        assert client.read() == b"slow"
        client.send(encode("PING") * 500)
        assert [client.read() for _ in range(500)] == [b"PONG"] * 500


@pytest.mark.parametrize("bad", [b"*1\r\n$70000\r\n" + b"x" * 70000, b"*1000000\r\n", b"*-5\r\n$4\r\nPING\r\n", b"*1\r\n$-3\r\n",
                                 b"*1\r\n:5\r\n", b"x" * 70000])
def test_what_is_no_request_gets_one_error_and_the_end(link, bad):
    with Client(link.socket, timeout=10) as client:
        try:
            client.send(bad)
            reply = client.read()
            assert isinstance(reply, RespError)
            with pytest.raises((ConnectionError, OSError)):
                while True:
                    client.read()
        except (ConnectionError, BrokenPipeError):
            pass  # closed before all of it was sent
    assert link.request("PING") == b"PONG"


def test_no_more_than_64_clients(link):
    clients = []
    try:
        for _ in range(64):
            clients.append(Client(link.socket, timeout=10))
            assert clients[-1].call("PING") == b"PONG"
        extra = Client(link.socket, timeout=10)
        clients.append(extra)
        with pytest.raises((RespError, ConnectionError)):
            extra.call("PING")
        assert clients[0].call("PING") == b"PONG"
    finally:
        for client in clients:
            client.close()
    until(lambda: link.answers(), 5, "room again")


def test_a_slow_reader_of_events_gets_a_gap_and_slows_nothing(lab, link):
    with Client(link.socket, timeout=60) as slow:
        slow.call("SUBSCRIBE", "events")
        with Client(link.socket) as other:  # each change of a limit is an event
            for round_ in range(150):
                replies = other.pipeline([("LIMIT", "keys_per_s", n + 1000 * round_ + 1) for n in range(200)], depth=200)
                assert not any(isinstance(r, RespError) for r in replies)
                if round_ % 50 == 0:
                    lab.source.call("SET", "k", f"v{round_}")
            other.call("LIMIT", "keys_per_s", "0")
        lab.equal(link, at_least=200)
        seen = []
        try:
            while not any(e["event"] == "gap" for e in seen):
                seen.append(json.loads(slow.read()[2]))
        except ConnectionError:
            pass
        seqs = [e["seq"] for e in seen]
        assert seqs == sorted(seqs)
        assert any(e["event"] == "gap" for e in seen) or len(seen) >= 30_000


def test_a_client_that_goes_away_cancels_nothing(link):
    link.must("pause")
    client = Client(link.socket)
    client.call("WAIT", "FOR", "live")
    client.close()
    operations = link.status().get("operations")
    assert operations is None or any(o.get("verb") == "wait" for o in operations)
    link.must("resume")
    link.wait("live")


# --- verbs


def test_pause_and_resume_go_on_without_a_resync(lab, link):
    link.must("pause")
    link.wait_state("paused")
    round_ = link.status()["snapshot"]["round"]
    with lab.source.raw() as client:
        client.must([("SET", f"p{i}", i) for i in range(500)] + [("DEL", "k0")])
    status = link.wait_for(lambda s: s["lag"]["keys"] >= 501, what="marks go on")
    assert status["state"] == "paused" and lab.target.dbsize() == 200
    link.must("resume")
    lab.equal(link, at_least=699)
    status = link.status()
    assert status["snapshot"]["round"] == round_ and status["feed"]["gaps"] == 0


def test_resume_after_the_set_overran_resyncs_and_says_so(lab):
    riotd = lab.live(limits__memory="16MiB")
    riotd.must("pause")
    with lab.source.raw() as client:
        client.must([("SET", f"{i:06d}:" + "n" * 5000, i) for i in range(5000)], depth=500)
    riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1 or "overr" in str(s).lower(), what="the overrun")
    done = riotd.ctl("resume")
    assert done.returncode == 0
    lab.equal(riotd, at_least=5000)
    assert riotd.status()["snapshot"]["round"] >= 2
    assert "resync" in riotd.log()


def test_pause_during_the_snapshot(lab):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(3000)])
    riotd = lab.link(limits__keys_per_s=300)  # so slow that it is still under way
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] > 300)
    riotd.must("pause")
    riotd.wait_state("paused")
    until(lambda: riotd.status()["queue"]["in_flight_keys"] == 0, 10)
    size = lab.target.dbsize()
    time.sleep(0.5)
    assert lab.target.dbsize() == size < 3000
    riotd.must("limit", "keys_per_s=0")
    riotd.must("resume")
    riotd.wait("live")
    lab.equal(riotd, at_least=3000)
    assert riotd.status()["snapshot"]["round"] == 1


def test_stop_ends_the_feed_and_start_begins_anew(lab, link):
    link.must("stop")
    link.wait("idle")
    assert not lab.source.riotd_clients()
    lab.source.call("DEL", "k0")
    lab.source.call("SET", "while stopped", "v")
    link.must("start")
    link.wait("live")
    lab.equal(link, at_least=200)


def test_verbs_out_of_place_are_refused_with_6(lab, link):
    for verb in ("start", "resume"):
        done = link.ctl(verb)
        assert done.returncode == 6, (verb, done)
        assert "the link is live" in done.stderr, (verb, done)
    link.must("pause")
    link.wait_state("paused")
    assert link.ctl("pause").returncode in (0, 6)
    link.must("stop")
    link.wait_state("idle")
    assert link.ctl("pause").returncode == 6
    assert link.ctl("resume").returncode == 6


def test_wait_returns_when_it_holds(lab, link):
    begin = time.monotonic()
    assert link.ctl("wait", "--for", "live").returncode == 0
    assert link.ctl("wait", "--for", "drained").returncode == 0
    assert time.monotonic() - begin < 20 * SCALE
    lab.target.freeze()
    lab.source.call("SET", "k", "v")
    waiting = process.popen([program("riotctl"), "-s", link.socket, "wait", "--for", "drained"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    time.sleep(0.7)
    assert waiting.poll() is None
    lab.target.thaw()
    assert waiting.wait(20 * SCALE) == 0
    assert lab.target.redis().get("k") == b"v"


def test_wait_that_runs_out_of_time_exits_7(lab, link):
    lab.target.freeze()
    lab.source.call("SET", "k", "v")
    begin = time.monotonic()
    done = link.ctl("wait", "--for", "drained", "--timeout", "700ms")
    assert done.returncode == 7 and 0.6 <= time.monotonic() - begin < 20 * SCALE
    lab.target.thaw()


def test_wait_that_can_no_longer_come_true_exits_13(link):
    link.must("stop")
    link.wait_state("idle")
    for condition in ("live", "drained"):
        assert link.ctl("wait", "--for", condition).returncode == 13


def test_wait_ends_with_13_when_it_can_no_longer_come_true(lab, link):
    link.must("pause")
    waiting = process.popen([program("riotctl"), "-s", link.socket, "wait", "--for", "drained"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    assert waiting.poll() is None, "in a pause it can still come true"
    link.must("stop")
    assert waiting.wait(10 * SCALE) == 13


def test_wait_for_idle(link):
    done = link.ctl("wait", "--for", "idle", "--timeout", "300ms")
    assert done.returncode == 7
    link.must("stop")
    assert link.ctl("wait", "--for", "idle", "--timeout", "5s").returncode == 0


@pytest.mark.parametrize("args", [["wait"], ["wait", "--for", "nonsense"], ["wait", "--for", "live", "--timeout", "5 apples"],
                                  ["limit", "memory=1KiB"], ["limit", "nonsense=5"], ["nonsense"], ["status", "--nonsense"],
                                  ["help", "nonsense"]])
def test_wrong_usage_is_2(link, args):
    done = link.ctl(*args)
    assert done.returncode == 2
    assert done.stderr.strip() and not done.stdout.strip()


def test_no_wait_returns_at_once(lab, link):
    lab.target.freeze()
    lab.source.call("SET", "k", "v")
    assert link.ctl("wait", "--for", "drained", "--no-wait").returncode == 0
    assert [o["state"] for o in link.status()["operations"] if o["verb"] == "wait"][-1] == "running"
    lab.target.thaw()


def test_limits_are_read_and_changed_at_run_time(lab, link):
    shown = link.must("limit")
    assert "memory" in shown and "keys_per_s" in shown and "bytes_per_s" in shown
    link.must("limit", "keys_per_s=40", "memory=32MiB")
    assert link.status()["queue"]["memory_limit_bytes"] == 32 * 1024 * 1024
    assert "40" in link.must("limit")
    with lab.source.raw() as client:
        client.must([("SET", f"slow{i}", i) for i in range(500)])
    time.sleep(1)
    assert lab.target.dbsize() < 200 + 400
    link.must("limit", "keys_per_s=0")
    lab.equal(link, at_least=700)


def test_events_are_followed(lab, link):
    follower = process.popen([program("riotctl"), "-s", link.socket, "events"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        os.set_blocking(follower.stdout.fileno(), False)
        seen = b""

        def read(what):
            nonlocal seen
            seen += follower.stdout.read() or b""
            return what in seen

        rates = iter(range(1000, 10_000))
        until(lambda: link.must("limit", f"keys_per_s={next(rates)}") and read(b"keys_per_s"), 10, "an event: it follows now")
        link.must("limit", "keys_per_s=0")
        link.must("pause")
        until(lambda: read(b"paused"), 10, "the pause among the events")
        link.must("resume")
        lab.source.kill_riotd_clients(":feed")
        until(lambda: read(b"gap"), 10, "the gap among the events")
    finally:
        follower.send_signal(signal.SIGINT)
        assert follower.wait(5 * SCALE) in (0, 130)


def test_the_effective_configuration_is_shown(link):
    shown = link.must("config")
    assert link.options["source.url"] in shown and "limits.memory" in shown.replace(":\n", ".") or "memory" in shown
    assert "64MiB" in shown
    assert isinstance(json.loads(link.must("config", "--json")), (dict, list))


def test_version_and_help(link):
    assert re.search(r"\d+\.\d+\.\d+", link.must("version"))
    text = link.must("help")
    for verb in ("status", "start", "pause", "resume", "stop", "wait", "limit", "events", "config", "list", "version", "help"):
        assert verb in text
    assert "--timeout" in link.must("help", "wait")


def test_help_needs_no_daemon():
    assert "status" in riotctl("--help").stdout
    assert riotctl("--help").returncode == 0
    assert riotctl("help").returncode == 0
    assert riotctl("--version").returncode == 0


def test_every_answer_is_json_when_asked(link):
    for verb in ("status", "limit", "config", "version", "list"):
        json.loads(link.must(verb, "--json"))


# --- where the daemon is


def environment(folder, **more):
    env = {k: v for k, v in os.environ.items() if k not in ("RIOT_SOCKET", "XDG_RUNTIME_DIR")}
    return {**env, "XDG_RUNTIME_DIR": folder, **more}


def test_a_daemon_that_does_not_run_is_3(lab):
    assert riotctl("status", socket=f"{lab.folder}/nobody").returncode == 3
    assert riotctl("-n", "nobody", "status", env=environment(lab.folder)).returncode == 3


def test_a_stale_socket_is_3(link):
    link.kill()
    done = link.ctl("status")
    assert done.returncode == 3 and done.stderr.strip()


def test_a_daemon_that_goes_away_while_it_is_asked_is_an_error(link):
    link.must("pause")
    waiting = process.popen([program("riotctl"), "-s", link.socket, "wait", "--for", "drained"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)
    link.wait_for(lambda s: any(o["verb"] == "wait" and o["state"] == "running" for o in s["operations"]), what="the operation")
    link.kill()
    assert waiting.wait(10 * SCALE) == 3
    assert waiting.stderr.read().strip()


def test_links_are_found_by_name_and_alone(lab):
    def runtime_socket(name):
        os.makedirs(f"{lab.folder}/riotd-{name}")
        return f"{lab.folder}/riotd-{name}/riotd.sock"

    env = environment(lab.folder)
    lab.link(name="one", control__socket=runtime_socket("one"), autostart=False)
    assert json.loads(riotctl("status", "--json", env=env).stdout)["name"] == "one"
    two = lab.link(name="two", control__socket=runtime_socket("two"), autostart=False)
    several = riotctl("status", env=env)
    assert several.returncode == 2 and "one" in several.stderr and "two" in several.stderr
    assert json.loads(riotctl("-n", "two", "status", "--json", env=env).stdout)["name"] == "two"
    assert json.loads(riotctl("status", "--json", env={**env, "RIOT_SOCKET": two.socket}).stdout)["name"] == "two"
    listed = riotctl("list", env=env)
    assert listed.returncode == 0 and "one" in listed.stdout and "two" in listed.stdout


def test_the_caller_is_told_in_the_log_for_what_changes_something(link):
    link.must("pause")
    link.must("status")
    lines = [line for line in link.log().splitlines() if f"{os.getuid()}" in line and "pause" in line.lower()]
    assert lines, link.log()
    assert not any("status" in line.lower() and "uid" in line.lower() for line in link.log().splitlines())


# --- the human screen


def run_on_terminal(args, seconds, env=None, rows=24, columns=80):
    """What a command shows on a terminal of that size within some seconds; ended by Ctrl-C if it still runs."""
    pid, fd = pty.fork()
    if pid == 0:
        process.die_with_parent()
        os.execvpe(args[0], args, {**os.environ, "TERM": "xterm", **(env or {})})
    import fcntl  # pylint: disable=import-outside-toplevel
    import struct
    import termios
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    out, end = b"", time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    data = os.read(fd, 65536)
                except OSError:
                    data = b""
                if not data:
                    break
                out += data
        else:
            os.write(fd, b"\x03")
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(fd)
    return out.decode(errors="replace"), os.waitstatus_to_exitcode(status)


def fits_80x24(link):
    """What it shows on such a terminal, which no line is too long for."""
    text, code = run_on_terminal([program("riotctl"), "-s", link.socket, "status"], 20 * SCALE, env={"NO_COLOR": "1"})
    lines = text.splitlines()
    assert code == 0 and len(lines) <= 24 and all(len(line) <= 80 for line in lines), text
    return text


def test_the_screen_fits_80x24_and_is_whole_and_without_colour_in_a_pipe(link):
    shown = fits_80x24(link)
    text = link.must("status")
    assert "\033" not in text and "live" in text and "test" in text
    reason = link.status()["feed"]["passed_over"][0]["why"]
    assert len(reason) > 80 and reason in text and reason not in shown, text


def test_colours_are_for_terminals_only_and_no_color_is_honoured(link):
    args = [program("riotctl"), "-s", link.socket, "status"]
    text, code = run_on_terminal(args, 20 * SCALE)
    assert code == 0 and "\033[" in text
    text, code = run_on_terminal(args, 20 * SCALE, env={"NO_COLOR": "1"})
    assert code == 0 and "\033[" not in text and "live" in text


def test_watch_shows_it_again_until_ctrl_c(link):
    text, code = run_on_terminal([program("riotctl"), "-s", link.socket, "status", "--watch"], 3.5 * SCALE, env={"NO_COLOR": "1"})
    assert text.count("live") >= 2 and code in (0, 130, -2)


def test_a_link_that_cannot_go_on_shows_why_and_what_to_type(lab):
    riotd = lab.link(lab.source, lab.source)
    riotd.wait_state("failed")
    assert "failed" in fits_80x24(riotd) and "failed" in riotd.must("status")


def test_the_socket_survives_a_client_that_never_reads(link):
    """4 MiB of unread output is the end of that client, not of the daemon."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(link.socket)
    sock.setblocking(False)
    sent, request = 0, encode("STATUS") * 100
    end = time.monotonic() + 20
    try:
        while time.monotonic() < end and sent < 50_000_000:
            try:
                sent += sock.send(request)
            except BlockingIOError:
                time.sleep(0.05)
                if link.request("PING") == b"PONG" and sent > 10_000_000:
                    break
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was thrown out
    finally:
        sock.close()
    assert link.request("PING") == b"PONG"
    assert process.memory_kib(link.pid) < 80_000 * SCALE
