"""Real clusters on loopback: made within seconds, their slots moved, their primaries lost, nodes added and removed.

A Cluster can be used where a RedisServer can: url(), raw(), call() and so on.
"""

import random
import shutil
import socket
import subprocess
import time

from kit.cluster_client import SLOTS, ClusterClient, nodes_of, slot_of
from kit.resp import RespError
from kit.server import RedisServer
from kit.wait import SCALE, until

BUS = 10_000  # the bus port is the port and this
PORTS = range(12_000, 22_000)  # below those that the kernel gives out, and so are their bus ports
NODE_TIMEOUT_MS = 2000


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_ports():
    """A port whose bus port is free too."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        if is_free(port) and is_free(port + BUS):
            return port


class ClusterNode(RedisServer):
    """One server of a cluster. `told` is the port that the cluster tells of it."""

    def __init__(self, folder, name, binary, tls=None, args=(), mapped=False):
        super().__init__(folder, name, binary, tcp=True)
        self.tls, self.more, self.mapped = tls, list(args), mapped
        self.told = 0

    def pick_port(self):
        port = free_ports()
        self.told = free_ports() if self.mapped else port
        self.args = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--repl-diskless-sync-delay", "0",
                     *self.more]
        if self.mapped:
            self.args += ["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", str(self.told),
                          "--cluster-announce-bus-port", str(port + BUS)]
        if self.tls:
            self.tls_port = port
            # Over a connection without TLS, as that of the tests, Valkey 9 tells port 0 otherwise.
            self.args += ["--port", "0", "--tls-cluster", "yes", "--tls-replication", "yes", *self.tls_args(*self.tls),
                          "--cluster-announce-port", str(port)]
        return port

    @property
    def id(self):
        return self.call("CLUSTER", "MYID").decode()

    def view(self):
        """The nodes as this one sees them."""
        with self.raw(timeout=5) as client:
            return nodes_of(client)

    def me(self):
        return next(n for n in self.view() if n.myself)

    def url(self, db=None):
        return self.tls_url() if self.tls else self.tcp_url(db)


class Cluster:
    """Nodes stand in the order in which they were made; the first `primaries` of them began as primaries.

    tls: (authority, (certificate, key)). mapped: nodes tell another port than the one where they are; see address_map().
    """

    def __init__(self, folder, name="cluster", primaries=3, replicas=0, binary=None, args=(), tls=None, mapped=False,
                 node_timeout_ms=NODE_TIMEOUT_MS):
        self.folder, self.name, self.binary, self.tls, self.mapped = folder, name, binary, tls, mapped
        self.args = ["--cluster-node-timeout", str(int(node_timeout_ms * SCALE)), "--cluster-replica-validity-factor", "0", *args]
        self.shape = primaries, replicas
        self.nodes = []
        self.addresses = {}  # shared with every client: {port that is told: path of the socket}
        self.auth = None

    # --- life

    def _node(self):
        node = ClusterNode(self.folder, f"{self.name}-{len(self.nodes)}", self.binary, self.tls, self.args, self.mapped)
        self.nodes.append(node)
        node.start()
        self.addresses[node.told] = node.path
        return node

    def start(self):
        primaries, replicas = self.shape
        for _ in range(primaries * (1 + replicas)):
            self._node()
        for i, node in enumerate(self.nodes):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            if i < primaries:
                node.call("CLUSTER", "ADDSLOTS", *range(SLOTS * i // primaries, SLOTS * (i + 1) // primaries))
        self._meet()
        ids = [node.id for node in self.nodes]
        for i, node in enumerate(self.nodes[primaries:]):
            node.call("CLUSTER", "REPLICATE", ids[i % primaries])
        self.settle()
        return self

    def _meet(self):
        for i, node in enumerate(self.nodes):
            for other in self.nodes[:i]:
                node.call("CLUSTER", "MEET", "127.0.0.1", other.port, other.port + BUS)
        until(lambda: all(len([n for n in node.view() if not n.failing]) == len(self.nodes) for node in self.running()), 30,
              "the nodes know each other")

    def running(self):
        return [node for node in self.nodes if node.process]

    def is_settled(self):
        """All that run agree: who is who and owns what, nothing moves or fails, and replicas are in sync."""
        views = [node.view() for node in self.running()]
        alive = {node.id for node in self.running()}
        seen = {frozenset((n.id, n.primary_id, n.epoch, frozenset(n.slots)) for n in view if n.slots or n.id in alive) for view in views}
        if len(seen) != 1 or any(n.moving or (n.failing and n.id in alive) for view in views for n in view):
            return False
        for node in self.running():
            info = node.info("replication")
            if b"cluster_state:ok" not in node.call("CLUSTER", "INFO"):
                return False
            if info["role"] == "slave" and info["master_link_status"] != "up":
                return False
        return True

    def settle(self, timeout=30):
        until(self.is_settled, timeout, f"{self.name} is settled", every=0.05)
        return self

    def stop(self):
        for node in self.nodes:
            node.stop()

    def log(self):
        return "\n".join(f"--- {node.name}\n{node.log()}" for node in self.nodes)

    # --- who is who

    def by_id(self, wanted):
        return next(node for node in self.running() if node.id == wanted)

    def primaries(self):
        """Nodes that are primaries now, with slots."""
        return [node for node in self.running() if (me := node.me()).primary and me.slots]

    def replicas(self, primary):
        """Its replicas that run."""
        mine = primary.id
        return [node for node in self.running() if node.me().primary_id == mine]

    def owner(self, slot):
        return next(node for node in self.running() if slot in (me := node.me()).slots and me.primary)

    def owner_of(self, key):
        return self.owner(slot_of(key))

    # --- what a test does to it

    def cli(self, *args, timeout=600):
        """redis-cli --cluster ...; must succeed."""
        program = shutil.which("redis-cli") or shutil.which("valkey-cli")
        tls = ["--tls", "--cacert", self.tls[0].path] if self.tls else []
        line = [program, *tls, "--cluster", *map(str, args), "--cluster-yes"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=timeout * SCALE, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{' '.join(line)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def reshard(self, count, source, target):
        """Moves slots as operators do: with redis-cli. It must not be mapped."""
        return self.cli("reshard", f"127.0.0.1:{target.port}", "--cluster-from", source.id, "--cluster-to", target.id,
                        "--cluster-slots", count, "--cluster-pipeline", 100)

    def begin_move(self, slot, target):
        """The slot is on its way, no key is yet. Returns the node that has it."""
        source = self.owner(slot)
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        return source

    def move_keys(self, slot, source, target, count=1_000_000):
        """Returns how many were moved."""
        moved = 0
        while moved < count:
            names = source.call("CLUSTER", "GETKEYSINSLOT", slot, min(count - moved, 100))
            if not names:
                break
            source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "REPLACE", "KEYS", *names)
            moved += len(names)
        return moved

    def end_move(self, slot, source, target):
        for node in [target, source] + [n for n in self.primaries() if n not in (source, target)]:
            try:
                node.call("CLUSTER", "SETSLOT", slot, "NODE", target.id)
            except RespError as err:  # a node that has no such slot to give
                if node in (source, target):
                    raise AssertionError(f"{node.name}: {err}") from err

    def move(self, slot, target):
        """One slot, with all its keys."""
        source = self.begin_move(slot, target)
        self.move_keys(slot, source, target)
        self.end_move(slot, source, target)

    def failover(self, primary, kill=False):
        """A replica takes over: asked to, or because the primary is gone. Returns the new primary."""
        slots, mine = primary.me().slots, primary.id
        candidates = self.replicas(primary)
        assert candidates, f"{primary.name} has no replica"
        if kill:
            primary.stop()
            ask_at = float("inf")
        else:  # one that claims slots which have moved away gets no votes: it must have heard of that
            first = candidates[0]
            until(lambda: next(n for n in first.view() if n.id == mine).slots == slots, 30, f"{first.name} knows the slots")
            ask_at = 0

        def taken():
            nonlocal ask_at
            winner = next((n for n in candidates if n.process and (me := n.me()).primary and me.slots == slots), None)
            if not winner and time.monotonic() > ask_at:  # again too: it gives up after 5 s, where it did not catch up with writers
                candidates[0].call("CLUSTER", "FAILOVER")
                ask_at = time.monotonic() + 6 * SCALE
            return winner

        return until(taken, 30, f"a replica of {primary.name} took over")

    def revive(self, node):
        """One that was killed comes back, without data; it becomes a replica."""
        node.start()
        until(lambda: not node.me().primary, 30, f"{node.name} became a replica")

    def _join(self):
        others = self.running()
        node = self._node()
        for other in others:
            node.call("CLUSTER", "MEET", "127.0.0.1", other.port, other.port + BUS)
        count = len(self.running())
        until(lambda: all(len([n for n in each.view() if not n.failing and n.connected]) >= count for each in self.running()), 30,
              f"{node.name} is known")
        until(lambda: b"cluster_state:ok" in node.call("CLUSTER", "INFO"), 30, f"{node.name} takes part")
        return node

    def add(self, replica_of=None):
        """A node more: a primary without slots, or a replica."""
        node = self._join()
        if replica_of:
            node.call("CLUSTER", "REPLICATE", replica_of.id)
            until(lambda: node.info("replication").get("master_link_status") == "up", 30, f"{node.name} is in sync")
        return node

    def remove(self, node):
        """It leaves, which it must be free to: a replica, or a primary without slots. Its process ends."""
        assert not (node.me().primary and node.me().slots), f"{node.name} owns slots"
        gone = node.id
        for other in self.running():
            if other is not node:
                other.call("CLUSTER", "FORGET", gone)
        self.addresses.pop(node.told)
        node.stop()

    # --- use, as a RedisServer

    def url(self, db=None):
        return self.running()[0].url(db)

    def seeds(self):
        return [f"127.0.0.1:{node.port}" for node in self.nodes]

    def address_map(self):
        """For riotd, of a mapped cluster."""
        return [f"127.0.0.1:{node.told}=127.0.0.1:{node.port}" for node in self.nodes]

    def raw(self, db=0, timeout=60.0):
        return ClusterClient(self.addresses, db, timeout, self.auth)

    def call(self, *args, db=0):
        with self.raw(db) as client:
            return client.call(*args)

    def dbsize(self, db=0):
        return self.call("DBSIZE", db=db)

    @property
    def path(self):
        """What writers take as an address: see kit.workload and kit.acked."""
        return self.addresses

    @property
    def version(self):
        return self.running()[0].version

    @property
    def valkey(self):
        return self.running()[0].valkey

    def has(self, command):
        return self.running()[0].has(command)

    def info(self, section="everything"):
        return self.running()[0].info(section)

    def riotd_clients(self, role=""):
        return [c for node in self.running() for c in node.riotd_clients(role)]

    def kill_riotd_clients(self, role=""):
        return sum(node.kill_riotd_clients(role) for node in self.running())

    def give_backlog(self):
        for node in self.primaries():
            node.give_backlog()

    def config(self, name, value=None):
        """Of all nodes; returns what it was on the first."""
        return [node.config(name, value) for node in self.running()][0]
