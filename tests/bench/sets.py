"""The data sets: each makes the requests that fill a server, as bytes. A: 1 M strings of 100 bytes, 10 % expiring. B: 200 k hashes
of 20 fields of 20 bytes. C: 20 k strings of 10 KB of random text. D: a hash of 2 M fields among 100 k small keys. E: 100 k keys of
six types in three databases. A quick run has fewer. `live` is written to; `tiny` has many keys.
"""

import random

from kit.cluster_client import SLOTS, slot_of
from kit.resp import encode

TEXT = bytes(random.Random(7).choices(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=1 << 20))
HOUR_MS = 3_600_000


def text(i, size):
    """`size` bytes of random text, others for each i."""
    at = i * 7919 % (len(TEXT) - size)
    return TEXT[at:at + size]


def string(i, size, key=b"key:%d", expire=False):
    name = key % i
    if expire:
        when = b"%d" % (HOUR_MS + i)
        return (b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nPX\r\n$%d\r\n%b\r\n"
                % (len(name), name, size, text(i, size), len(when), when))
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(name), name, size, text(i, size))


def strings(count, size, expire_every=0):
    for i in range(count):
        yield string(i, size, expire=expire_every and i % expire_every == 0)


# Fields and values of 20 bytes, encoded; a hash takes some that stand together.
FIELD_SIZE = len(b"$20\r\n\r\n") + 20
PAIRS = b"".join(b"$20\r\nfield:%014d\r\n$20\r\n%b\r\n" % (i, text(i, 20)) for i in range(5000))


def hashes(count, fields=20):
    size = fields * 2 * FIELD_SIZE
    for i in range(count):
        at = i % (5000 - fields) * 2 * FIELD_SIZE
        name = b"hash:%d" % i
        yield b"*%d\r\n$4\r\nHSET\r\n$%d\r\n%b\r\n%b" % (2 + 2 * fields, len(name), name, PAIRS[at:at + size])


def big_hash(fields, small):
    for i in range(0, fields, 1000):
        pairs = b"".join(b"$20\r\nfield:%014d\r\n$20\r\n%b\r\n" % (j, text(j, 20)) for j in range(i, i + 1000))
        yield b"*2002\r\n$4\r\nHSET\r\n$3\r\nbig\r\n" + pairs
    yield from strings(small, 20)


def mixed(count):
    """One type after the other, in databases 0 to 2."""
    made = (lambda i: encode("SET", f"s:{i}", text(i, 100)),
            lambda i: encode("HSET", f"h:{i}", *(x for j in range(5) for x in (f"f{j}", text(i + j, 20)))),
            lambda i: encode("RPUSH", f"l:{i}", *(text(i + j, 20) for j in range(10))),
            lambda i: encode("SADD", f"t:{i}", *(text(i + j, 16) for j in range(10))),
            lambda i: encode("ZADD", f"z:{i}", *(x for j in range(10) for x in (j * 1.5, text(i + j, 16)))),
            lambda i: encode("XADD", f"x:{i}", "1-1", "field", text(i, 60)))
    for db in range(3):
        yield encode("SELECT", db)
        for i in range(db, count, 3):
            yield made[i // 3 % len(made)](i)


class Set:
    """name, how many keys in a whole and in a quick run, the requests for `count` of them, and in how many databases they are."""

    def __init__(self, name, count, quick, requests, databases=1):
        self.name, self.count, self.quick, self.requests, self.databases = name, count, quick, requests, databases

    def write(self, path, count):
        """The requests into a file."""
        with open(path, "wb", buffering=1 << 20) as file:
            file.writelines(self.requests(count))


SETS = {s.name: s for s in (
    Set("A", 1_000_000, 200_000, lambda n: strings(n, 100, 10)),
    Set("B", 200_000, 40_000, hashes),
    Set("C", 20_000, 5_000, lambda n: strings(n, 10_000)),
    Set("D", 100_001, 20_001, lambda n: big_hash(n // 50 * 1000, n - 1)),
    Set("E", 100_000, 50_000, mixed, 3),
    Set("live", 200_000, 50_000, lambda n: strings(n, 100)),
    Set("tiny", 5_000_000, 500_000, lambda n: strings(n, 16)),
)}


def by_shard(count, shards):
    """A for a cluster: the requests of each of its shards, whose slots are shared out evenly and in order."""
    parts = [bytearray() for _ in range(shards)]
    for i in range(count):
        slot = slot_of(b"key:%d" % i)
        shard = next(s for s in range(shards) if slot < SLOTS * (s + 1) // shards)
        parts[shard] += string(i, 100, expire=i % 10 == 0)
    return parts
