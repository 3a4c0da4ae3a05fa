"""What an operator has on the machine: Redis servers that systemd runs, and links between them."""

import json
import os

from kit.compare import assert_equal
from kit.resp import Client
from kit.riot import TOP, yaml_of
from kit.wait import until

CONFIG = """\
port {port}
bind 127.0.0.1
unixsocket {socket}
unixsocketperm 777
dir /var/lib/redis
dbfilename {name}.rdb
save ""
"""


class Redis:
    """redis-server@NAME, Debian's own template. riotd has a user there, with a password and the rights of conf/; tests come as the default
    user, by the socket. To kit's writers and compare() it is like kit.server.RedisServer."""

    def __init__(self, box, name, port, side):
        self.box, self.name, self.port, self.side = box, name, port, side
        self.unit = f"redis-server@{name}"
        self.password = f"secret-of-{name}"
        self.socket = f"/run/redis-{name}/redis.sock"
        box.put(f"/etc/redis/redis-{name}.conf", CONFIG.format(**vars(self)), "640", "redis:redis")

    def begin(self):
        """Anew: empty, with its settings and users as in the beginning."""
        self.box.must("systemctl", "restart", self.unit)
        with open(os.path.join(TOP, "conf", f"{self.side}.acl"), encoding="ascii") as rights, self.raw() as client:
            client.must([("ACL", "SETUSER", "riotd", "on", f">{self.password}")])
            client.pipeline([line.split() for line in rights if line.startswith("ACL")])  # it refuses what it does not know
        return self

    def freeze(self):
        """It hangs: takes connections and bytes, as the kernel does, and answers nothing."""
        self.box.must("systemctl", "kill", "-s", "STOP", self.unit)

    def thaw(self):
        self.box.must("systemctl", "kill", "-s", "CONT", self.unit)

    @property
    def url(self):
        return f"redis://riotd@127.0.0.1:{self.port}"

    @property
    def path(self):
        return self.box.outside(self.socket)

    def raw(self, db=0, timeout=60.0):
        return Client(self.path, db, timeout)

    def call(self, *args, db=0):
        with self.raw(db) as client:
            return client.call(*args)

    def has(self, command):
        return self.call("COMMAND", "INFO", command)[0] is not None


class Link:
    """riotd@NAME. Options are those of the configuration, with __ for the dot."""

    def __init__(self, box, name, source, target, **options):
        self.box, self.name, self.source, self.target = box, name, source, target
        self.unit = f"riotd@{name}"
        self.options = {"source.url": source.url, "source.password_credential": "source", "target.url": target.url,
                        "target.password_credential": "target"}
        self.set(**options)
        for server in (source, target):
            box.put(f"/etc/riotd/{name}.{server.side}", server.password + "\n", "600")

    def set(self, **options):
        """Writes the file with these options changed; None: as if it were not there."""
        self.options.update((key.replace("__", "."), value) for key, value in options.items())
        self.write(yaml_of(self.options))

    def write(self, text):
        self.box.put(f"/etc/riotd/{self.name}.yaml", text, "640", "root:riotd")

    def drop_in(self, *lines):
        """As `systemctl edit` does it."""
        self.box.put(f"/etc/systemd/system/{self.unit}.service.d/test.conf", "\n".join(["[Service]", *lines, ""]))
        self.box.must("systemctl", "daemon-reload")

    def remove(self):
        """As if it had never been."""
        self.systemctl("disable", "--now")
        self.systemctl("reset-failed")
        self.box.must("sh", "-c", f"rm -rf /etc/riotd/{self.name}.* /var/lib/riotd/{self.name} /etc/systemd/system/{self.unit}.service.d")
        self.box.must("systemctl", "daemon-reload")

    # --- systemd

    def systemctl(self, *verb):
        """Returns the CompletedProcess."""
        return self.box.run(["systemctl", *verb, self.unit])

    def start(self):
        self.box.must("systemctl", "start", self.unit)
        return self

    def show(self, name):
        """A property of the unit, as text."""
        return self.box.must("systemctl", "show", "-P", name, self.unit).strip()

    @property
    def pid(self):
        return int(self.show("MainPID"))

    # --- riotctl

    def ctl(self, *args, user=None):
        """Returns the CompletedProcess."""
        return self.box.run(["riotctl", "-n", self.name, *args], user=user)

    def must(self, *args):
        """It must succeed; returns what it printed."""
        return self.box.must("riotctl", "-n", self.name, *args)

    def status(self):
        return json.loads(self.must("status", "--json"))

    def wait(self, condition, seconds=20):
        self.must("wait", "--for", condition, "--timeout", f"{seconds}s")
        return self

    def live(self):
        """Starts it, and waits until it is live."""
        return self.start().wait("live")

    def restarted(self, pid, timeout=20):
        """Waits until a process other than this runs it, and has told that it is ready."""
        until(lambda: self.show("ActiveState") == "active" and self.pid not in (0, pid), timeout, f"{self.unit} runs again", every=0.1)
        return self

    def equal(self, at_least=0):
        """Waits for the drain, then both sides must be equal."""
        self.wait("drained")
        return assert_equal(self.source, self.target, at_least=at_least)
