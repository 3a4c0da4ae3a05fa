"""What an operator has on the machine: Redis servers that systemd runs, and links between them."""

import json

from kit.resp import Client
from kit.riot import yaml_of
from kit.wait import until

CONFIG = """\
port {port}
bind 127.0.0.1
unixsocket {socket}
unixsocketperm 777
dir /var/lib/redis
dbfilename {name}.rdb
save ""
user default on nopass ~* &* +@all
user riotd on >{password} ~* &* {rights}
"""


class Redis:
    """redis-server@NAME, Debian's own template. riotd has a user and a password there; tests come as the default user, by the socket.
    To kit's writers and compare() it is like kit.server.RedisServer."""

    def __init__(self, box, name, port, rights="+@all"):
        self.box, self.name, self.port = box, name, port
        self.unit = f"redis-server@{name}"
        self.password = f"secret-of-{name}"
        self.socket = f"/run/redis-{name}/redis.sock"
        box.put(f"/etc/redis/redis-{name}.conf", CONFIG.format(**vars(self), rights=rights), "640", "redis:redis")

    def start(self):
        self.box.must("systemctl", "start", self.unit)
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
        self.options = {"name": name, "source.url": source.url, "source.password_credential": "source", "target.url": target.url,
                        "target.password_credential": "target"}
        self.set(**options)
        for end, server in (("source", source), ("target", target)):
            box.put(f"/etc/riotd/{name}.{end}", server.password + "\n", "600")

    def set(self, **options):
        """Writes the file with these options changed; None: as if it were not there."""
        self.options.update((key.replace("__", "."), value) for key, value in options.items())
        self.write(yaml_of(self.options))

    def write(self, text):
        self.box.put(f"/etc/riotd/{self.name}.yaml", text, "640", "root:riotd")

    # --- systemd

    def systemctl(self, verb):
        """Returns the CompletedProcess."""
        return self.box.run(["systemctl", verb, self.unit])

    def start(self):
        self.box.must("systemctl", "start", self.unit)
        return self

    def show(self, name):
        return self.box.show(self.unit, name)

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
        """Waits until another process runs it, and has told that it is ready."""
        until(lambda: self.show("ActiveState") == "active" and self.pid not in (0, pid), timeout, f"{self.unit} runs again")
        return self
