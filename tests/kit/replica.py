"""A replica that keeps the replication stream as it came."""

import socket
import time

from kit.resp import encode
from kit.wait import SCALE


class Replica:
    """Synchronises in full once, reads the RDB away, and from then on has every byte of the stream, from `base` on."""

    def __init__(self, server):
        self.server = server
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60 * SCALE)
        self.sock.connect(server.path)
        self.stream = bytearray()
        # Without `capa eof` the RDB comes with its length in front.
        self.sock.sendall(encode("PSYNC", "?", "-1"))
        words = self._line().split()
        assert words[0] == b"+FULLRESYNC", words
        self.base = int(words[2])
        line = self._line()
        assert line[:1] == b"$" and b"EOF" not in line, line
        self._take(int(line[1:]))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def _fill(self):
        data = self.sock.recv(1 << 16)
        assert data, f"{self.server.name} closed the replication stream"
        self.stream += data

    def _take(self, count):
        while len(self.stream) < count:
            self._fill()
        taken = bytes(self.stream[:count])
        del self.stream[:count]
        return taken

    def _line(self):
        """Without the empty lines that keep the connection alive."""
        while True:
            while b"\n" not in self.stream:
                self._fill()
            line = self._take(self.stream.index(b"\n") + 1).strip()
            if line:
                return line

    @property
    def offset(self):
        return self.base + len(self.stream)

    def catch_up(self):
        """Reads all that the server had to send when this was called. Returns the offset behind it."""
        goal = int(self.server.info("replication")["master_repl_offset"])
        end = time.monotonic() + 30 * SCALE
        while self.offset < goal:
            assert time.monotonic() < end, f"the stream stands at {self.offset}, not at {goal}"
            self._fill()
        self.sock.sendall(encode("REPLCONF", "ACK", self.offset))
        return goal
