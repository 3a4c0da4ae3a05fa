"""riotd as an operator runs it: a configuration file, a socket, riotctl."""

import datetime
import json
import os
import re
import signal
import subprocess
import time

from kit import process
from kit.resp import Client
from kit.wait import SANITIZED, SCALE, until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehavior|runtime error:|SUMMARY: ")
# What SIGTERM may take.
END_S = 2.0 * (SCALE if SANITIZED else 1)


def program(name):
    return os.path.join(TOP, os.environ.get("RIOT_BUILD", "build"), name)


def riotctl(*args, env=None, timeout=120, socket=None):
    """Runs riotctl; returns the CompletedProcess, whatever its exit code."""
    line = [program("riotctl"), *(["-s", socket] if socket else []), *map(str, args)]
    return subprocess.run(line, capture_output=True, text=True, timeout=timeout * SCALE, env=env, stdin=subprocess.DEVNULL,
                          check=False)


def yaml_of(options):
    """{"source.url": "x", "feed": "notify"} as the file has it."""
    lines, sections = [], []
    for path in sorted(options, key=lambda p: (p.split(".")[:-1], p)):
        value = options[path]
        if value is None:
            continue
        value = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        value = "[" + ", ".join(map(str, value)) + "]" if isinstance(value, (list, tuple)) else value
        *parts, name = path.split(".")
        for depth, part in enumerate(parts):
            if sections[depth:depth + 1] != [part]:
                lines.append(f"{'  ' * depth}{part}:")
                sections[depth:] = [part]
        lines.append(f"{'  ' * len(parts)}{name}: {value}")
    return "\n".join(lines) + "\n"


class Riotd:
    """One link. Options are those of the configuration, with _ _ for the dot: target__existing_keys="replace"."""

    def __init__(self, folder, source, target, name="test", **options):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder, exist_ok=True)
        self.name = name
        self.state_dir = os.path.join(self.folder, "state")
        self.config = os.path.join(self.folder, f"{name}.yaml")
        self.options = {"name": name, "source.url": source, "target.url": target, "control.socket": os.path.join(self.folder, "s")}
        self.options.update((key.replace("__", "."), value) for key, value in options.items())
        self.socket = self.options["control.socket"]
        self.process = None
        self.under = []  # what riotd runs under, such as a profiler with its arguments
        self.log_path = os.path.join(self.folder, "log")
        self.fds = self.exit_code = None

    # --- life

    def write_config(self):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(yaml_of(self.options))

    def spawn(self, *args, env=None):
        """Starts it without waiting."""
        assert self.process is None
        self.write_config()
        line = [*self.under, program("riotd"), "-c", self.config, "--state-dir", self.state_dir, *args]
        with open(self.log_path, "ab") as log:
            self.process = process.popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        return self

    def start(self, *args, env=None):
        """Starts it and waits for its socket."""
        self.spawn(*args, env=env)
        until(self.answers, 10, f"riotd {self.name} answers")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"riotd ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        try:
            with Client(self.socket, timeout=2) as client:
                return client.call("PING") == b"PONG"
        except OSError:
            return False

    def ended(self, timeout=5.0):
        """Waits for its end by itself; returns the exit code."""
        self.exit_code = self.process.wait(timeout * SCALE)
        self.process = None
        return self.exit_code

    def stop(self, how=signal.SIGTERM):
        """SIGTERM: it must end with 0 within 2 s. Returns the seconds that it took."""
        if self.process is None:
            return 0.0
        begin = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(how)
        try:
            code = self.process.wait(END_S + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise AssertionError(f"riotd {self.name} did not end within {END_S + 10:g} s of SIGTERM") from None
        took = time.monotonic() - begin
        self.process = None
        self.check_log()
        assert code == 0, f"riotd {self.name} ended with {code}:\n{self.log()[-4000:]}"
        assert took <= END_S, f"riotd {self.name} took {took:.1f} s to end"
        return took

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def state_file(self):
        with open(os.path.join(self.state_dir, f"{self.name}.json"), encoding="utf-8") as file:
            return json.load(file)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def check_log(self):
        found = SANITIZER.search(self.log())
        assert not found, f"riotd {self.name}: a sanitizer reported:\n{self.log()[max(0, found.start() - 200):][:8000]}"

    @property
    def pid(self):
        return self.process.pid

    # --- use

    def ctl(self, *args, timeout=120):
        """riotctl with our socket. Returns the CompletedProcess."""
        return riotctl(*args, socket=self.socket, timeout=timeout)

    def must(self, *args, timeout=120):
        """The same, and it must succeed; returns what it printed."""
        done = self.ctl(*args, timeout=timeout)
        assert done.returncode == 0, f"riotctl {' '.join(map(str, args))}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def request(self, *args):
        """A request straight to the socket; error replies are raised."""
        with Client(self.socket, timeout=30 * SCALE) as client:
            return client.call(*args)

    def status(self):
        return json.loads(self.request("STATUS"))

    @property
    def state(self):
        return self.status()["state"]

    def wait(self, condition, timeout=30):
        """riotctl wait; must succeed."""
        seconds = int(timeout * SCALE)
        done = self.ctl("wait", "--for", condition, "--timeout", f"{seconds}s", timeout=timeout + 30)
        assert done.returncode == 0, (f"riotctl wait --for {condition}: exit {done.returncode}: {done.stdout}{done.stderr}\n"
                                      f"{json.dumps(self.status(), indent=1)}\n{self.log()[-3000:]}")
        return self

    def wait_for(self, condition, timeout=20, what=None):
        """Polls the status until condition(status) is true; returns that status."""
        last = {}

        def asked():
            last.update(now=self.status())
            return condition(last["now"])

        try:
            until(asked, timeout, what or "the status")
        except AssertionError as err:
            raise AssertionError(f"{err}\n{json.dumps(last.get('now'), indent=1)}\n{self.log()[-3000:]}") from None
        return last["now"]

    def wait_state(self, state, timeout=20):
        return self.wait_for(lambda s: s["state"] == state, timeout, f"state {state}")

    def wait_log(self, text, timeout=20):
        """Until a line of the log holds the text."""
        try:
            until(lambda: text in self.log(), timeout, f"{text!r} in the log")
        except AssertionError as err:
            raise AssertionError(f"{err}:\n{self.log()[-4000:]}") from None

    def logged_at(self, text):
        """Unix time of the last line of the log that holds the text."""
        line = [line for line in self.log().splitlines() if text in line][-1]
        return datetime.datetime.fromisoformat(line.partition("Z ")[0] + "+00:00").timestamp()

    def blockers(self):
        return {b["code"] for b in self.status()["blockers"]}
