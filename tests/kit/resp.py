"""A small RESP2 client: for loops over many keys, where redis-py is too slow, and for bytes that no client would send."""

import socket


class RespError(Exception):
    """An error reply."""


INCOMPLETE = object()


def as_bytes(value):
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else str(value)).encode()


def encode(*args):
    """One request: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        arg = as_bytes(arg)
        parts.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(parts)


def parse(buf, pos):
    """The value at pos and where the next one begins; (INCOMPLETE, pos) when there is not all of it yet."""
    end = buf.find(b"\r\n", pos)
    if end < 0:
        return INCOMPLETE, pos
    kind, rest = buf[pos], buf[pos + 1:end]
    end += 2
    if kind == 0x24:  # $
        length = int(rest)
        if length < 0:
            return None, end
        if len(buf) < end + length + 2:
            return INCOMPLETE, pos
        return bytes(buf[end:end + length]), end + length + 2
    if kind == 0x3A:  # :
        return int(rest), end
    if kind == 0x2B:  # +
        return bytes(rest), end
    if kind == 0x2D:  # -
        return RespError(rest.decode(errors="replace")), end
    if kind == 0x2A:  # *
        count = int(rest)
        if count < 0:
            return None, end
        values = []
        for _ in range(count):
            value, end = parse(buf, end)
            if value is INCOMPLETE:
                return INCOMPLETE, pos
            values.append(value)
        return values, end
    raise ValueError(f"not RESP2: {bytes(buf[pos:pos + 40])!r}")


class Client:
    """One connection. `address` is a path, or (host, port); auth: (user, password). Time-outs raise TimeoutError, a lost connection
    ConnectionError."""

    def __init__(self, address, db=0, timeout=30.0, auth=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(address)
            self.buf, self.pos = bytearray(), 0
            self.db = 0
            if auth:
                self.call("AUTH", *auth)
            self.select(db)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, raw):
        self.sock.sendall(raw)

    def read(self):
        """The next reply; an error reply is returned, not raised."""
        while True:
            if self.pos < len(self.buf):
                value, self.pos = parse(self.buf, self.pos)
                if value is not INCOMPLETE:
                    return value
            if self.pos:
                del self.buf[:self.pos]
                self.pos = 0
            data = self.sock.recv(1 << 20)
            if not data:
                raise ConnectionError("closed by the server")
            self.buf += data

    def call(self, *args):
        self.send(encode(*args))
        reply = self.read()
        if isinstance(reply, RespError):
            raise reply
        return reply

    def pipeline(self, commands, depth=500):
        """Replies of many commands, in order; error replies are among them."""
        replies = []
        for i in range(0, len(commands), depth):
            part = commands[i:i + depth]
            self.send(b"".join(encode(*c) for c in part))
            replies.extend(self.read() for _ in part)
        return replies

    def must(self, commands, depth=500):
        """A pipeline in which nothing may fail."""
        for command, reply in zip(commands, self.pipeline(commands, depth)):
            if isinstance(reply, RespError):
                raise RespError(f"{command!r}: {reply}")

    def select(self, db):
        if db != self.db:
            self.call("SELECT", db)
            self.db = db

    def keys(self):
        """All key names of the database, each once."""
        names, cursor = set(), b"0"
        while True:
            cursor, page = self.call("SCAN", cursor, "COUNT", 500)
            names.update(page)
            if cursor == b"0":
                return names
