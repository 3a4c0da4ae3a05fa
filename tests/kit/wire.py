"""What the tests of the rules do on the wire: they hold a request back, or its answer, and count what is asked."""

import threading

from kit.wait import SCALE, until

READS = ("DUMP", "GET", "MGET", "PEXPIRETIME", "PTTL")
WRITES = (b"RESTORE", b"SET", b"MSET")
SECTIONS = 7  # of INFO, that riotd asks for one by one
FLAGS = "notify-keyspace-events"


def fill_keys(server, count=50, db=0):
    with server.raw(db) as client:
        client.must([("SET", f"k{i}", "old") for i in range(count)])


def key_of(argv):
    return argv[1] if len(argv) > 1 else b""


def values_read(argv):
    """The keys whose values a request asks for."""
    return argv[1:] if argv[0] == b"MGET" else argv[1:2] if argv[0] in (b"DUMP", b"GET") else []


def values_written(argv):
    return argv[1::2] if argv[0] == b"MSET" else argv[1:2] if argv[0] in WRITES else []


# Behind the value of a SET: then it does not tell all that the key is, so every feed's key is read.
UNTOLD = ("KEEPTTL",)


def reads(key):
    return lambda _, argv: key in values_read(argv)


def writes(key):
    return lambda _, argv: key in values_written(argv)


def begins(*words):
    return lambda _, argv: tuple(word.upper() for word in argv[:len(words)]) == words


class Hold:
    """Holds a way of a connection from the first request on that `wanted` accepts; `hit` tells that it happened."""

    def __init__(self, proxy, way, wanted):
        self.proxy, self.way, self.wanted = proxy, way, wanted
        self.hit = threading.Event()
        self.connection = None
        self.lost = 0.0  # when a test took the connection away
        proxy.on_request = self

    def __call__(self, connection, argv):
        if not self.hit.is_set() and self.wanted(connection, argv):
            connection.hold(self.way)
            self.connection = connection
            self.hit.set()

    def wait(self, timeout=15):
        assert self.hit.wait(timeout * SCALE), "what the test holds back was never sent"
        self.proxy.on_request = None
        return self

    def answered(self, text, timeout=10):
        """Waits until the server has answered, and the answer, with this text in it, is held back."""
        self.wait()
        until(lambda: text in self.connection.waiting["down"], timeout, f"an answer with {text!r}")
        return self

    def release(self):
        self.connection.release(self.way)


def settle(server):
    """What lay in the server's sockets when this was called is executed when it returns."""
    for _ in range(3):
        server.call("PING")


def readings(proxy, count=1):
    """Waits until riotd has begun to read INFO of that server so often again: it does so each second."""

    def asked():
        return sum(c.commands["INFO"] for c in list(proxy.connections) if c.role == "watch")

    goal = -(-asked() // SECTIONS) + count - 1
    until(lambda: asked() > goal * SECTIONS, 5 * count, "the next reading of INFO")


def count_reads(proxy):
    return proxy.count("SCAN") + sum(proxy.count(verb) for verb in READS)
