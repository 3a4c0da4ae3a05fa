"""A proxy before a server, in threads: it sees each request, and can hold bytes back, cut one side only or in the middle, refuse, rewrite."""

import collections
import os
import socket
import threading

from kit.resp import INCOMPLETE, encode, parse

CHUNK = 1 << 18


class Connection:
    """One client's connection and its own to the server. "up" is towards the server, "down" towards the client."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.name = ""  # what CLIENT SETNAME said
        self.commands = collections.Counter()
        self.changed = threading.Condition()
        self.held = {"up": False, "down": False}
        self.waiting = {"up": bytearray(), "down": bytearray()}
        self.asked = collections.deque()  # requests without their reply yet; kept while replies are rewritten
        self.client_gone = self.closed = False
        self.left = {way: proxy.cut_after() for way in ("up", "down")} if proxy.cut_after else None

    @property
    def role(self):
        return self.name.rpartition(":")[2]

    def start(self):
        threading.Thread(target=self._up, daemon=True).start()
        threading.Thread(target=self._down, daemon=True).start()

    # --- what a test does

    def hold(self, way):
        """From now on bytes of this way stay here."""
        with self.changed:
            self.held[way] = True

    def release(self, way):
        """They go on, in order."""
        with self.changed:
            self.held[way] = False
            data, self.waiting[way] = bytes(self.waiting[way]), bytearray()
            self._pass(way, data)
            self.changed.notify_all()

    def cut_client(self):
        """The client loses its connection; the server keeps its own, and what is held can still be released to it."""
        with self.changed:
            self.client_gone = True
        shut(self.client)

    def close(self):
        self.closed = True
        shut(self.client)
        shut(self.server)  # before the lock: its holder may be sending to a server that takes nothing
        with self.changed:
            self.changed.notify_all()

    # --- the pumps

    def _pass(self, way, data):
        if data:
            try:
                (self.server if way == "up" else self.client).sendall(data)
            except OSError:
                pass

    def _forward(self, way, data):
        if self.left:
            data = data[: self.left[way]]
            self.left[way] -= len(data)
        with self.changed:
            if self.held[way]:
                self.waiting[way] += data
                self.changed.notify_all()
            else:
                self._pass(way, data)
        if self.left and not self.left[way]:
            self.close()

    def _up(self):
        buf, pos = bytearray(), 0
        while True:
            try:
                data = self.client.recv(CHUNK)
            except OSError:
                data = b""
            if not data:
                break
            buf += data
            while pos < len(buf):
                argv, end = parse(buf, pos)
                if argv is INCOMPLETE:
                    break
                self._request(argv, bytes(buf[pos:end]))
                pos = end
            del buf[:pos]
            pos = 0
        with self.changed:
            # What is held can still be released to the server after the client has gone.
            while self.held["up"] and not self.closed:
                self.changed.wait()
        if not self.client_gone:
            self.close()

    def _request(self, argv, raw):
        verb = argv[0].upper().decode(errors="replace")
        self.commands[verb] += 1
        if verb == "CLIENT" and len(argv) == 3 and argv[1].upper() == b"SETNAME":
            self.name = argv[2].decode(errors="replace")
        if self.proxy.on_reply:
            self.asked.append(argv)
        if self.proxy.on_request:
            self.proxy.on_request(self, [verb.encode(), *argv[1:]])
        self._forward("up", raw)

    def _down(self):
        buf, pos = bytearray(), 0
        while True:
            try:
                data = self.server.recv(CHUNK)
            except OSError:
                data = b""
            if not data:
                break
            if not self.proxy.on_reply:
                self._forward("down", data)
                continue
            buf += data
            while pos < len(buf):
                value, end = parse(buf, pos)
                if value is INCOMPLETE:
                    break
                self._forward("down", self._reply(value, bytes(buf[pos:end])))
                pos = end
            del buf[:pos]
            pos = 0
        self.close()

    def _reply(self, value, raw):
        pushed = isinstance(value, list) and value and value[0] in (b"message", b"pmessage")
        argv = None if pushed or not self.asked else self.asked.popleft()
        changed = self.proxy.on_reply(self, argv, value)
        return raw if changed is None else changed


def shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


def bulk(data):
    """A bulk reply, for on_reply."""
    return encode(data).partition(b"\r\n")[2]


def reply(value):
    """A reply, for on_reply: an array, an integer, or a bulk."""
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(reply, value))
    return b":%d\r\n" % value if isinstance(value, int) else bulk(value)


class Proxy:
    """Listens on a Unix socket and forwards to the server's. Hooks, called in the connections' threads:

    on_request(connection, argv): before a request is forwarded; may hold() the connection first, so that this one stays.
    on_reply(connection, argv, value): returns the bytes to send instead, or None. Slow: set it before anyone connects.
    cut_after(): how many bytes a new connection carries, asked for each way; then it is cut, in the middle of whatever that is.
    tcp: on a port, for URLs with a user.
    """

    def __init__(self, folder, server, name="proxy", tcp=False):
        self.path = os.path.join(folder, f"{name}.sock")
        self.upstream, self.behind = server.path, server
        self.on_request = self.on_reply = self.cut_after = None
        self.refusing = False
        self.connections = []
        self.listener = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self.listener.bind(("127.0.0.1", 0) if tcp else self.path)
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1] if tcp else 0
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, db=None):
        return f"unix://{self.path}" + ("" if db is None else f"?db={db}")

    def tcp_url(self, db=None, user=None):
        return f"redis://{user + '@' if user else ''}127.0.0.1:{self.port}" + ("" if db is None else f"/{db}")

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refusing:
                shut(client)
                continue
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.upstream)
            except OSError:
                shut(client)
                shut(server)
                continue
            connection = Connection(self, client, server)
            self.connections.append(connection)
            connection.start()

    def live(self, role=None):
        """Connections that are open, of one role or all."""
        return [c for c in self.connections if not c.closed and not c.client_gone and role in (None, c.role)]

    def count(self, verb):
        """How often a command came by, over all connections."""
        return sum(c.commands[verb] for c in list(self.connections))

    def refuse(self, refusing=True):
        """All connections are cut, and new ones closed at once; or that ends."""
        self.refusing = refusing
        if refusing:
            for connection in self.live():
                connection.close()

    def close(self):
        self.refusing = True
        shut(self.listener)
        for connection in list(self.connections):
            connection.close()
