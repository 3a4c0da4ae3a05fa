"""A client of a whole cluster, used as kit.resp.Client is: it finds the owner of each key, and follows MOVED and ASK."""

import binascii
import time

from kit.resp import Client, RespError, as_bytes, encode

SLOTS = 16384
# Where the first key stands, if not right behind the command.
KEY_AT = {"XINFO": 2, "XGROUP": 2, "OBJECT": 2, "MEMORY": 2, "EVAL": 3, "EVALSHA": 3, "FCALL": 3}
KEYLESS = {"PING", "TIME", "INFO", "SCRIPT", "CONFIG", "CLIENT", "COMMAND", "ACL", "CLUSTER", "WAIT", "FUNCTION"}
# Asked of every primary, and what becomes of the replies.
EVERYWHERE = {"DBSIZE": sum, "FLUSHALL": lambda replies: replies[0], "FLUSHDB": lambda replies: replies[0], "INFO": b"\r\n".join}
AGAIN = object()
PASSING = ("TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN")
TRIES_S = 30.0


def slot_of(key):
    """CRC16 (XMODEM) of the key, or of its hash tag."""
    key = as_bytes(key)
    begin = key.find(b"{")
    if begin >= 0:
        end = key.find(b"}", begin + 1)
        if end > begin + 1:
            key = key[begin + 1:end]
    return binascii.crc_hqx(key, 0) % SLOTS


def first_key(args):
    """None: the command has none."""
    verb = as_bytes(args[0]).decode().upper()
    if verb in KEYLESS or verb in EVERYWHERE:
        return None
    if verb in ("XREAD", "XREADGROUP"):
        words = [as_bytes(a).upper() for a in args]
        return args[words.index(b"STREAMS") + 1]
    return args[KEY_AT.get(verb, 1)]


class Node:
    """A line of CLUSTER NODES."""

    def __init__(self, line):
        words = line.split()
        self.id, address, flags, self.primary_id = words[:4]
        self.port = int(address.partition("@")[0].rpartition(":")[2])
        self.flags = set(flags.split(","))
        self.primary, self.myself = "master" in self.flags, "myself" in self.flags
        self.failing = bool(self.flags & {"fail", "fail?", "noaddr", "handshake"})
        self.connected = words[7] == "connected"
        self.epoch, self.slots, self.moving = int(words[6]), set(), False
        for word in words[8:]:
            if word.startswith("["):
                self.moving = True
                continue
            first, _, last = word.partition("-")
            self.slots.update(range(int(first), int(last or first) + 1))


def nodes_of(client):
    return [Node(line) for line in client.call("CLUSTER", "NODES").decode().splitlines()]


class ClusterClient:
    """`addresses`: {port that the cluster tells: address to connect to}; another port that it tells is where it says."""

    def __init__(self, addresses, db=0, timeout=30.0, auth=None):
        self.addresses, self.db, self.timeout, self.auth = addresses, db, timeout, auth
        self.connections, self.owners = {}, {}
        self.primaries = []
        self.refresh()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        for client in self.connections.values():
            client.close()
        self.connections = {}

    def forget(self, port):
        client = self.connections.pop(port, None)
        if client:
            client.close()

    def at(self, port):
        """The connection to the node that is known by this port."""
        if port not in self.connections:
            address = self.addresses.get(port, ("127.0.0.1", port))
            self.connections[port] = Client(address, self.db, self.timeout, self.auth)
        return self.connections[port]

    def refresh(self):
        """Asks who owns what, of any node that answers."""
        last = None
        for port in list(self.addresses):
            try:
                nodes = nodes_of(self.at(port))
            except (OSError, RespError) as err:
                self.forget(port)
                last = err
                continue
            primaries = [n for n in nodes if n.primary and n.slots and not n.flags & {"fail", "noaddr"}]
            if primaries:
                self.primaries = [n.port for n in primaries]
                self.owners = {slot: n.port for n in primaries for slot in n.slots}
                return
        raise ConnectionError(f"no node of the cluster tells of it: {last}")

    def port_of(self, key):
        return self.owners.get(slot_of(key), self.primaries[0]) if key is not None else self.primaries[0]

    def redirected(self, reply, args):
        """Follows one error reply: what came of ASK; AGAIN: it is to be asked once more, maybe elsewhere; else the error."""
        code, _, rest = str(reply).partition(" ")
        if code == "ASK":
            client = self.at(int(rest.rpartition(":")[2]))
            client.call("ASKING")
            client.send(encode(*args))
            return client.read()
        if code == "MOVED":
            slot, _, address = rest.partition(" ")
            self.owners[int(slot)] = int(address.rpartition(":")[2])
            return AGAIN
        if code in PASSING:
            time.sleep(0.02)
            self.refresh()
            return AGAIN
        return reply

    def ask(self, *args):
        """As call(), but an error reply is returned; a lost connection is tried again, so the command may run twice."""
        end = time.monotonic() + TRIES_S
        while True:
            port = self.port_of(first_key(args))
            try:
                client = self.at(port)
                client.send(encode(*args))
                reply = client.read()
                if isinstance(reply, RespError):
                    reply = self.redirected(reply, args)
                    if reply is AGAIN or (isinstance(reply, RespError) and str(reply).startswith(("MOVED", *PASSING))):
                        if time.monotonic() > end:
                            raise RespError(f"{args[0]!r} is redirected for ever")
                        continue
                return reply
            except OSError:
                self.forget(port)
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
                self.refresh()

    def call(self, *args):
        verb = as_bytes(args[0]).decode().upper()
        if verb in EVERYWHERE:
            return EVERYWHERE[verb]([self.at(port).call(*args) for port in self.primaries])
        reply = self.ask(*args)
        if isinstance(reply, RespError):
            raise reply
        return reply

    def pipeline(self, commands, depth=500):
        """Replies of many commands, in order; those of one node are on their way together. What is redirected is asked again."""
        replies = []
        for i in range(0, len(commands), depth):
            replies += self._pipeline(commands[i:i + depth])
        return replies

    def _pipeline(self, commands):
        replies, by_port = [None] * len(commands), {}
        for i, command in enumerate(commands):
            by_port.setdefault(self.port_of(first_key(command)), []).append(i)
        for port, indexes in by_port.items():
            self.at(port).send(b"".join(encode(*commands[i]) for i in indexes))
        for port, indexes in by_port.items():
            for i in indexes:
                replies[i] = self.at(port).read()
        for i, reply in enumerate(replies):
            if isinstance(reply, RespError) and str(reply).startswith(("MOVED", "ASK", *PASSING)):
                replies[i] = self.ask(*commands[i])
        return replies

    def must(self, commands, depth=500):
        for command, reply in zip(commands, self.pipeline(commands, depth)):
            if isinstance(reply, RespError):
                raise RespError(f"{command!r}: {reply}")

    def select(self, db):
        self.db = db
        for client in self.connections.values():
            client.select(db)

    def keys(self):
        """All key names of the database; of a slot that is moving, both nodes may tell some."""
        self.refresh()
        names = set()
        for port in self.primaries:
            names |= self.at(port).keys()
        return names
