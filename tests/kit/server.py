"""A private Redis or Valkey server: in a folder of its own, on a Unix socket, on a TCP port if wanted."""

import os
import shutil
import signal
import socket
import subprocess
import time

import redis

from kit import process
from kit.resp import Client, RespError, encode
from kit.wait import SCALE, until


def find_binary():
    """The path of a server. Debian's redis-tools has it too: redis-check-rdb, run under the name redis-server, is the server."""
    for name in ("redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb"):
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin")
        if path:
            return path
    raise FileNotFoundError("no redis-server, nor redis-check-rdb of redis-tools")


def source_binary():
    return os.environ.get("REDIS_SERVER") or find_binary()


def target_binary():
    return os.environ.get("TARGET_SERVER") or source_binary()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisServer:
    """start() and stop() may be called again and again; data stays in the folder, where the server loads it from."""

    def __init__(self, folder, name, binary=None, tcp=False, args=()):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder, exist_ok=True)
        self.name, self.binary, self.args = name, binary or source_binary(), list(args)
        self.path = os.path.join(self.folder, "redis.sock")
        self.tcp, self.port, self.tls_port = tcp, 0, 0
        self.auth = None  # (user, password) of whoever asks here, once lock() was called
        self.process = None
        self.frozen = False

    # --- life

    def start(self, *args, wait=True):
        """Arguments are for this start only. wait: until it answers, and has loaded its data."""
        assert self.process is None, f"{self.name} runs already"
        program = os.path.basename(self.binary)
        argv0 = program.replace("check-rdb", "server")
        for _ in range(5):
            if self.tcp and not self.port:
                self.port = self.pick_port()
            line = [argv0, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path, "--dir", self.folder,
                    "--save", "", "--daemonize", "no", "--repl-diskless-sync-delay", "0", *self.args, *args]
            with open(os.path.join(self.folder, "log"), "ab") as log:
                self.process = process.popen(line, executable=self.binary, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            if self._listens():
                break
            # Somebody else took the port in between.
            self.process, self.port = None, 0
        assert self.process, f"{self.name} does not start: {self.log()[-2000:]}"
        if wait:
            until(self.answers, 60, f"{self.name} answers")
        return self

    def pick_port(self):
        return free_port()

    def _listens(self):
        end = time.monotonic() + 20 * SCALE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(self.path)
                return True
            except OSError:
                time.sleep(0.01)
        return False

    def answers(self):
        try:
            with self.raw(timeout=2) as client:
                return client.call("PING") == b"PONG"
        except Exception:  # pylint: disable=broad-except # loading, or not there yet
            return False

    def stop(self):
        """Ends it at once, data that was not saved is lost."""
        if self.process is None:
            return
        self.thaw()
        self.process.kill()
        self.process.wait()
        self.process = None

    def save(self):
        """Not beside a save of its own, as one for a replica that has just left."""
        until(lambda: int(self.info("persistence")["rdb_bgsave_in_progress"]) == 0, 20, "no save is under way")
        with self.raw(timeout=120) as client:
            client.call("SAVE")

    def restart_slowly(self):
        """With its data, which takes it some seconds to load; it answers LOADING meanwhile."""
        interval = self.config("loading-process-events-interval-bytes")
        if interval is None:  # before 6.2 it looks up from loading every 2 MiB only
            with self.raw(15) as client:
                client.must([("SET", f"ballast{i}", os.urandom(4000)) for i in range(4000)])
        self.restart("--key-load-delay", "1000", *(["--loading-process-events-interval-bytes", "1024"] if interval else []), wait=False)

    def forget(self):
        """The next start has no data."""
        for name in os.listdir(self.folder):
            if name.endswith(".rdb") or name.startswith("appendonly"):
                path = os.path.join(self.folder, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def restart(self, *args, data=True, wait=True):
        """With its data as it is now, or without any."""
        if data:
            self.save()
        self.stop()
        if not data:
            self.forget()
        return self.start(*args, wait=wait)

    def freeze(self):
        """It hangs: takes connections and bytes, as the kernel does, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self):
        if self.frozen and self.process:
            self.process.send_signal(signal.SIGCONT)
        self.frozen = False

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def lock(self, user="admin", password="of-the-admin"):
        """From now on nobody comes in without a password; tests come in as this user, until it is stopped."""
        self.call("ACL", "SETUSER", user, "on", f">{password}", "~*", *(["&*"] if self.version >= (6, 2) else []), "+@all")
        self.auth = user, password
        self.call("ACL", "SETUSER", "default", "off")
        return self

    # --- use

    def url(self, db=None):
        return f"unix://{self.path}" + ("" if db is None else f"?db={db}")

    def tcp_url(self, db=None, user=None):
        assert self.port, f"{self.name} was not started with tcp=True"
        return f"redis://{user + '@' if user else ''}127.0.0.1:{self.port}" + ("" if db is None else f"/{db}")

    def tls_args(self, authority, signed, mutual=False):
        """For start(): a port that speaks TLS beside what there is; see tls_url()."""
        self.tls_port = self.tls_port or free_port()
        return ("--tls-port", str(self.tls_port), "--tls-ca-cert-file", authority.path, "--tls-cert-file", signed[0],
                "--tls-key-file", signed[1], "--tls-auth-clients", "yes" if mutual else "no")

    def tls_url(self, host="127.0.0.1", user=None):
        return f"rediss://{user + '@' if user else ''}{host}:{self.tls_port}"

    def redis(self, db=0, **options):
        """A redis-py client; replies are bytes."""
        user, password = self.auth or (None, None)
        return redis.Redis(unix_socket_path=self.path, db=db, socket_timeout=60, username=user, password=password, **options)

    def raw(self, db=0, timeout=60.0):
        """The small client, for many keys."""
        return Client(self.path, db, timeout, self.auth)

    def call(self, *args, db=0):
        with self.raw(db) as client:
            return client.call(*args)

    def info(self, section="everything"):
        with self.raw() as client:
            text = client.call("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)

    @property
    def version(self):
        """(7, 0, 15) of Redis, or what Valkey claims to be compatible with."""
        return tuple(int(part) for part in self.info("server")["redis_version"].split("."))

    @property
    def valkey(self):
        """The version of Valkey, or None: it is Redis."""
        version = self.info("server").get("valkey_version")
        return version and tuple(int(part) for part in version.split("."))

    def has(self, command):
        """Does it know the command?"""
        with self.raw() as client:
            try:
                return client.call("COMMAND", "INFO", command)[0] is not None
            except RespError:  # COMMAND itself was taken away
                return "unknown command" not in str(client.pipeline([(command,)])[0])

    def clients(self):
        """CLIENT LIST as dictionaries."""
        with self.raw() as client:
            lines = client.call("CLIENT", "LIST").decode().splitlines()
        return [dict(word.partition("=")[::2] for word in line.split()) for line in lines]

    def riotd_clients(self, role=""):
        """Connections of riotd, all or those of one role."""
        return [c for c in self.clients() if c.get("name", "").startswith("riotd:") and c["name"].endswith(role)]

    def kill_riotd_clients(self, role=""):
        """CLIENT KILL of riotd's connections; how many there were."""
        victims = self.riotd_clients(role)
        with self.raw() as client:
            client.pipeline([("CLIENT", "KILL", "ID", c["id"]) for c in victims])
        return len(victims)

    def dbsize(self, db=0):
        return self.call("DBSIZE", db=db)

    def give_backlog(self):
        """As a replica leaves one behind: then the feed psync needs no full synchronisation."""
        if self.has_backlog():
            return
        with self.raw() as client:
            client.call("REPLCONF", "capa", "eof")
            client.sock.sendall(encode("PSYNC", "?", "-1"))
            until(self.has_backlog, 10, "the backlog")

    def has_backlog(self):
        return self.info("replication")["repl_backlog_active"] == "1"

    def config(self, name, value=None):
        """Reads a setting, or changes it and returns what it was."""
        with self.raw() as client:
            reply = client.call("CONFIG", "GET", name)
            if value is not None:
                client.call("CONFIG", "SET", name, value)
        return reply[1].decode() if reply else None
