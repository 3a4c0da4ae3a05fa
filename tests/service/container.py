"""A Debian of its own, with systemd as PID 1: booted from the base by systemd-nspawn, entered by nsenter, gone with us.

What is written in it is in memory and ends with it. It has a network of its own, its loopback alone; sockets in its file system are
reached from outside through `outside(path)`.
"""

import atexit
import glob
import itertools
import json
import os
import shutil
import signal
import subprocess

from kit import process
from kit.wait import SCALE, until

CLEAN = ["env", "-i", "HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
BOOT_S, COMMAND_S = 30, 60
# A host that systemd runs gives a container its control group; elsewhere we make one ourselves.
SYSTEMD_HERE = os.path.isdir("/run/systemd/system")
numbers = itertools.count()


class CannotBoot(Exception):
    """Not this container's fault, most likely: the machine's."""


def control_groups(name):
    """Folders of a control group of our own, below the one that we are in: in systemd's hierarchy, and in the unified one."""
    mounts = {}
    with open("/proc/self/mountinfo", encoding="ascii") as info:
        for line in info:
            kind, _, options = line.partition(" - ")[2].split()[:3]
            if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
                mounts["" if kind == "cgroup2" else "name=systemd"] = line.split()[4]
    with open("/proc/self/cgroup", encoding="ascii") as groups:
        for line in groups:
            _, hierarchy, path = line.rstrip("\n").split(":", 2)
            if hierarchy in mounts:
                yield os.path.join(mounts[hierarchy], path.lstrip("/"), name)


def remove_group(folder):
    for each, _, _ in os.walk(folder, topdown=False):
        os.rmdir(each)


def sweep(group):
    """Takes away the groups beside this one that are left of somebody who was killed, and whose containers have ended."""
    for old in glob.glob(os.path.join(os.path.dirname(group), "riot-*-*")):
        try:
            if not os.path.exists("/proc/" + old.rsplit("-", 2)[1]):
                remove_group(old)
        except OSError:
            pass  # it still ends


class Container:
    """up(), then run() and the rest, then down()."""

    def __init__(self, base, folder):
        self.base = base
        self.name = f"riot-{os.getpid()}-{next(numbers)}"
        self.console = os.path.join(folder, f"{self.name}.console")
        self.groups = [] if SYSTEMD_HERE else list(control_groups(self.name))
        self.nspawn = self.init = None
        self.since = None  # the cursor from which a failed test shows the journal

    # --- life

    def up(self):
        """Boots it; returns when systemd has started all."""
        line = ["systemd-nspawn", "--quiet", "--boot", f"--machine={self.name}", f"--directory={self.base}", "--volatile=overlay",
                "--private-network", "--register=no", "--console=read-only", "--kill-signal=SIGRTMIN+4", "--link-journal=no",
                "--resolv-conf=off", "--timezone=off", *([] if SYSTEMD_HERE else ["--keep-unit"])]
        try:
            for group in self.groups:
                sweep(group)
                os.mkdir(group)
        except OSError as err:
            raise CannotBoot(f"no control group: {err}") from None
        atexit.register(self.down)
        with open(self.console, "wb") as console:
            self.nspawn = subprocess.Popen(line, preexec_fn=self._begin, start_new_session=True, stdin=subprocess.DEVNULL, stdout=console,
                                           stderr=console, env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        try:
            until(self._booted, BOOT_S, f"the boot of {self.name}", every=0.05)
        except AssertionError as err:
            self.down()
            with open(self.console, encoding="utf-8", errors="replace") as console:
                raise CannotBoot(f"{err}; its console: {console.read()[-2000:].strip()}") from None
        return self

    def _begin(self):
        """In the child. When we die, nspawn gets a SIGTERM, with which it shuts the container down."""
        process.die_with_parent(signal.SIGTERM)
        for group in self.groups:
            with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as procs:
                procs.write("0")

    def _booted(self):
        assert self.nspawn.poll() is None, f"systemd-nspawn ended with {self.nspawn.returncode}"
        with open(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children", encoding="ascii") as children:
            self.init = int((children.read().split() or [0])[0])
        # Degraded is well enough: a unit of the base that does not like the machine.
        return self.init and self.run(["systemctl", "is-system-running", "--wait"]).stdout.strip() in ("running", "degraded")

    def down(self):
        """Never SIGKILL for nspawn, the container would outlive it. With its init all of it ends, nspawn too."""
        atexit.unregister(self.down)
        if self.nspawn and self.nspawn.poll() is None:
            if self.init:
                os.kill(self.init, signal.SIGKILL)
            else:
                self.nspawn.terminate()
            self.nspawn.wait(60)
        for group in self.groups:
            remove_group(group)

    # --- use

    def run(self, argv, user=None, input=None, timeout=COMMAND_S):  # pylint: disable=redefined-builtin
        """Runs a command, as root or as somebody else, without a look at how it ends: a CompletedProcess with text."""
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        line = ["nsenter", "-t", str(self.init), "-a", *CLEAN, *who, *map(str, argv)]
        return subprocess.run(line, input=input, stdin=None if input is not None else subprocess.DEVNULL, capture_output=True,
                              encoding="utf-8", errors="replace", timeout=timeout * SCALE, check=False)

    def must(self, *argv, **options):
        """The same, and it must succeed; returns what it printed."""
        done = self.run(argv, **options)
        assert done.returncode == 0, f"{' '.join(map(str, argv))}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def put(self, path, content, mode="644", owner="root:root"):
        """Writes a file, with the folders above it."""
        user, _, group = owner.partition(":")
        self.must("install", "-D", "-m", mode, "-o", user, "-g", group, "/dev/stdin", path, input=content)

    def install(self, deb):
        """Installs or upgrades a package; what it needs must be there."""
        path = "/root/" + os.path.basename(deb)
        shutil.copy(deb, self.outside(path))
        return self.must("dpkg", "-i", path)

    def outside(self, path):
        """Where a path of its own is found from outside."""
        return f"/proc/{self.init}/root{path}"

    # --- its journal

    def cursor(self):
        """The end of the journal as it is now, for `after`."""
        return self.must("journalctl", "-q", "-n", 1, "-o", "json", "--output-fields=__CURSOR").partition('"__CURSOR":"')[2].partition('"')[0]

    def journal(self, *matches, after=None):
        """Entries as dictionaries, with all fields. matches as journalctl takes them: "RIOT_EVENT=gap", "-u", UNIT."""
        # --after-cursor of 252 passes over the first entry that matches.
        lines = self.must("journalctl", "-q", "-a", "-o", "json", *([f"--cursor={after}"] if after else []), *matches)
        return [entry for entry in map(json.loads, lines.splitlines()) if entry["__CURSOR"] != after]

    def wait_for(self, what, *matches, after=None, timeout=20):
        """Waits for an entry whose message holds the text, or for which what(entry) is true; returns the first."""
        fits = what if callable(what) else lambda entry: what in entry.get("MESSAGE", "")
        try:
            return until(lambda: next(filter(fits, self.journal(*matches, after=after)), None), timeout, f"{what!r} in the journal", every=0.1)
        except AssertionError as err:
            raise AssertionError(f"{err}\n{self.tell(after)}") from None

    def tell(self, after=None, lines=200):
        """What the journal says, for a test that failed."""
        return self.run(["journalctl", "-q", "--no-pager", "-o", "short-precise", "-n", lines, *([f"--after-cursor={after}"] if after else [])]).stdout
