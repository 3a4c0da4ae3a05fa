"""Configuration: every error with its place, what wins over what, the command line of riotd."""

import os
import re
import subprocess

import pytest

from kit import process
from kit.resp import Client
from kit.riot import program
from kit.wait import SCALE, until

GOOD = "source:\n  url: redis://127.0.0.1:6379\ntarget:\n  url: unix:///run/t.sock\n"


def riotd(*args, cwd=None, env=None):
    return subprocess.run([program("riotd"), *args], capture_output=True, text=True, timeout=30 * SCALE, cwd=cwd, env=env,
                          stdin=subprocess.DEVNULL, check=False)


@pytest.fixture
def check(tmp_path):
    """Runs --check-config over a text; returns the exit code and the lines of stderr."""
    def run(text, *args):
        path = tmp_path / "orders.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = riotd("--check-config", "-c", str(path), *args)
        return done.returncode, done.stderr.splitlines()
    return run


def test_a_good_file_is_good(check):
    assert check(GOOD) == (0, [])
    assert check(GOOD + """
name: orders
feed: notify
databases: all
scan:
  count: 500
limits:
  memory: 128MiB
  keys_per_s: 5000
  bytes_per_s: 10MiB
control:
  socket: /run/riotd-orders/riotd.sock
log:
  level: debug
autostart: no
""")[0] == 0


def test_the_example_configuration_is_good():
    path = os.path.join(os.path.dirname(__file__), "..", "..", "conf", "riotd.yaml")
    done = riotd("--check-config", "-c", path)
    text = open(path, encoding="utf-8").read()
    assert done.returncode == 0 or "url" in done.stderr  # what must be filled in may be missing
    for option in ("name", "existing_keys", "password_file", "databases", "count", "memory", "keys_per_s", "level", "autostart"):
        assert option in text


@pytest.mark.parametrize("text, place, words", [
    (GOOD + "nonsense: 1\n", "5:1", "nonsense"),
    (GOOD + "feeed: auto\n", "5:1", "feed"),
    (GOOD + "limits:\n  memmory: 64MiB\n", "6:3", "memory"),
    (GOOD + "limits:\n  memory: lots\n", "6:11", "memory"),
    (GOOD + "limits:\n  memory: 1MiB\n", "6:11", "16MiB"),
    (GOOD + "scan:\n  count: 0\n", "6:10", "count"),
    (GOOD + "scan:\n  count: -5\n", "6:10", "count"),
    (GOOD + "feed: magic\n", "5:7", "tracking"),
    (GOOD + "autostart: maybe\n", "5:12", "yes"),
    (GOOD + "name: Orders!\n", "5:7", "name"),
    (GOOD + "databases: [0, x]\n", "5:16", "database"),
    (GOOD + "name: a\nname: b\n", "6:1", "name"),
    (GOOD + "limits: 5\n", "5:9", "limits"),
    (GOOD + "log:\n  level: loud\n", "6:10", "warning"),
    (GOOD.replace("redis://127.0.0.1:6379", "http://x"), "2:8", "url"),
    (GOOD.replace("redis://127.0.0.1:6379", "redis://127.0.0.1:99999"), "2:8", "port"),
    (GOOD.replace("unix:///run/t.sock", "unix://relative"), "4:8", "path"),
    (GOOD + "  existing_keys: burn\n", "5:18", "merge"),
    (GOOD + "a: [1, 2\n", None, ""),
    (GOOD + "\tfeed: auto\n", None, ""),
])
def test_each_error_is_told_with_its_place(check, text, place, words):
    code, lines = check(text)
    assert code == 78
    assert len(lines) >= 1
    assert re.search(rf"orders\.yaml:{place or '[0-9]+:[0-9]+'}: ", "\n".join(lines)), lines
    assert words in "\n".join(lines)


def test_all_errors_are_told_at_once(check):
    code, lines = check("source:\n  url: http://x\nfeed: magic\nlimits:\n  memory: 1\nnonsense: 2\n")
    assert code == 78
    text = "\n".join(lines)
    for place in (":2:8:", ":3:7:", ":5:11:", ":6:1:"):
        assert place in text, text
    assert "target" in text  # its url is missing


def test_a_missing_url_is_told(check):
    code, lines = check("source:\n  url: redis://127.0.0.1\n")
    assert code == 78 and "target.url" in "\n".join(lines)


def test_a_password_in_a_url_is_an_error_and_not_repeated(check):
    code, lines = check(GOOD.replace("redis://", "redis://user:hunter2@"))
    assert code == 78 and "password" in "\n".join(lines)
    assert "hunter2" not in "\n".join(lines)


def test_two_names_that_differ_are_an_error(check):
    code, lines = check(GOOD + "name: orders\n", "-n", "invoices")
    assert code == 78 and "orders" in "\n".join(lines) and "invoices" in "\n".join(lines)
    assert check(GOOD + "name: orders\n", "-n", "orders")[0] == 0


def test_a_target_database_needs_one_source_database(check):
    assert check(GOOD.replace("t.sock", "t.sock?db=3"))[0] == 78
    assert check(GOOD.replace("t.sock", "t.sock?db=3").replace(":6379", ":6379/1"))[0] == 0


def test_a_file_that_is_not_there_is_66(tmp_path):
    done = riotd("-c", str(tmp_path / "nothing.yaml"))
    assert done.returncode == 66 and "nothing.yaml" in done.stderr
    assert riotd("--check-config", "-c", str(tmp_path / "nothing.yaml")).returncode == 66


def test_a_password_file_that_is_not_there_is_66_and_an_empty_one_78(lab):
    link = lab.link(start=False, source__password_file=f"{lab.folder}/none")
    link.spawn()
    assert link.ended() == 66 and "none" in link.log()
    open(f"{lab.folder}/none", "w", encoding="ascii").close()
    link.spawn()
    assert link.ended() == 78


@pytest.mark.parametrize("args", [["--nonsense"], ["-c"], ["--source", "redis://a"], ["extra"], ["-n", "BAD NAME"]])
def test_wrong_usage_is_64(args, tmp_path):
    done = riotd(*args, cwd=str(tmp_path))
    assert done.returncode in (64, 66, 78) and done.stderr.strip()
    if args[0] in ("--nonsense", "-c", "extra"):
        assert done.returncode == 64


def test_version_and_help():
    done = riotd("--version")
    assert done.returncode == 0 and re.search(r"\d+\.\d+\.\d+", done.stdout)
    done = riotd("--help")
    assert done.returncode == 0
    for flag in ("--source", "--target", "--socket", "--state-dir", "--check-config", "--version", "-c", "-n"):
        assert flag in done.stdout


def test_broken_yaml_never_crashes(check):
    for text in (b"", b"\x00", b"\xff\xfe", b"a: &a [*a]\n", b"- 1\n- 2\n", b"? {a: b}\n: c\n", b"source: {url: [}", b"%YAML 9.9\n---\na: b",
                 b"a: " + b"[" * 5000, b"---\na: 1\n---\nb: 2\n", GOOD.encode() + b"x: !!binary zzz\n", b"source: *unknown\n"):
        code, lines = check(text)
        assert code == 78 and lines, text


def test_the_quick_form_needs_no_file(lab):
    lab.source.call("SET", "k", "v")
    path = f"{lab.folder}/q.sock"
    daemon = process.popen([program("riotd"), "--source", lab.source.url(), "--target", lab.target.url(), "--socket", path,
                            "--state-dir", f"{lab.folder}/q"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until(lambda: os.path.exists(path), 10)
        until(lambda: lab.target.redis().get("k") == b"v", 10, "the copy")
        with Client(path) as client:
            assert b'"default"' in client.call("STATUS")
    finally:
        daemon.terminate()
        assert daemon.wait(5 * SCALE) == 0
    assert os.path.exists(f"{lab.folder}/q/default.json")


def test_flags_win_over_the_file(lab):
    link = lab.link("unix:///nowhere.sock", start=False)
    lab.source.call("SET", "k", "v")
    link.start("--source", lab.source.url()).wait("live")
    assert lab.target.redis().get("k") == b"v"


def test_folders_of_systemd_are_used(lab):
    run, state = f"{lab.folder}/run", f"{lab.folder}/lib"
    os.makedirs(run)
    os.makedirs(state)
    daemon = process.popen([program("riotd"), "--source", lab.source.url(), "--target", lab.target.url()], stderr=subprocess.DEVNULL,
                           env={**os.environ, "RUNTIME_DIRECTORY": run, "STATE_DIRECTORY": state})
    try:
        until(lambda: os.path.exists(f"{run}/riotd.sock"), 10, "the socket")
        until(lambda: os.path.exists(f"{state}/default.json"), 10, "the state file")
    finally:
        daemon.terminate()
        assert daemon.wait(5 * SCALE) == 0


def test_a_credential_of_systemd_is_the_password(lab):
    lab.source = lab.server("source", tcp=True, args=["--requirepass", "s3cret"])
    lab.source.start(wait=False)
    os.makedirs(f"{lab.folder}/credentials")
    with open(f"{lab.folder}/credentials/redis", "w", encoding="ascii") as file:
        file.write("s3cret\n")
    link = lab.link(lab.source.tcp_url(), start=False, source__password_credential="redis")
    link.start(env={**os.environ, "CREDENTIALS_DIRECTORY": f"{lab.folder}/credentials"}).wait("live")
    assert "s3cret" not in link.log() + link.must("config")
