"""What riotd's finder of keys makes of a replication stream: build/tools/stream_keys, and the database followed as a feed does."""

import os
import subprocess

from kit.resp import encode
from kit.riot import program
from kit.server import RedisServer

HERE = -1


class Effect:
    """One command: offset behind it, kind, the keys that it names as (database, name), and the databases it flushes or swaps."""

    def __init__(self, offset, kind, db, other, name, keys, current):
        self.offset, self.kind, self.name = offset, kind, name
        self.keys = {(current if at == HERE else at, key) for at, key in keys}
        self.whole = {"flush_db": {current}, "swap_dbs": {db, other}}.get(kind, set())

    def __repr__(self):
        return f"{self.name}: {self.kind} {sorted(self.keys)}"


class Finder:
    """For streams of this server, which is asked COMMAND. stranger: put before the names of its commands, so that none of them is built in."""

    def __init__(self, server: RedisServer, stranger=""):
        self.path = os.path.join(server.folder, f"command{stranger}")
        self.tool = program("tools/stream_keys")
        assert os.path.exists(self.tool), f"{self.tool} is not there; make it first"
        with server.raw() as client, open(self.path, "wb") as file:
            rows = client.call("COMMAND")
            for row in rows + [sub for row in rows if len(row) > 9 for sub in row[9]]:
                row[0] = stranger.encode() + row[0]
            file.write(encode_reply(rows))

    def effects(self, stream, base=0, current=0):
        """Of each command, in order."""
        done = subprocess.run([self.tool, str(base), self.path], input=bytes(stream), capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()
        effects, keys = [], []
        for line in done.stdout.decode().splitlines():
            what, *words = line.split(" ")
            if what == "key":
                keys.append((int(words[0]), bytes.fromhex(words[1])))
                continue
            assert what == "effect", line
            offset, kind, db, other, name = int(words[0]), words[1], int(words[2]), int(words[3]), words[4]
            effects.append(Effect(offset, kind, db, other, name, keys, current))
            keys = []
            if kind == "select":
                current = db
        return effects

    def keys_of(self, words):
        """Names that one command may change, whatever the database; and what kind of command it is."""
        effect = self.effects(encode(*words))[0]
        return {key for _, key in effect.keys}, effect.kind


def encode_reply(value):
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(encode_reply, value))
    if value is None:
        return b"*-1\r\n"
    return b":%d\r\n" % value if isinstance(value, int) else b"$%d\r\n%b\r\n" % (len(value), value)
