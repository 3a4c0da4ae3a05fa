#!/usr/bin/python3
"""Makes payloads.txt: the same values as DUMP gives them, by each server and in each encoding that it can be brought to use.

    tests/data/payloads.py SERVER_BINARY... > tests/data/payloads.txt

A value is written anew for each of the SETTINGS, in another order where it has none. What it holds is told once, from what the
servers answer to ordinary commands: all of them must say the same. Values of different names differ. Lines:

    value NAME ELEMENT...                 what it is, as tests/unit/rdb_kit.h tells it too
    dump NAME FIRST VERSION SERVER HEX    the first byte is the type, the version that of the footer
    pass NAME FIRST VERSION SERVER HEX    what is recognised and passed over
"""

import os
import re
import struct
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from kit.resp import Client  # noqa: E402
from kit.server import RedisServer  # noqa: E402

TEXT_MAX = 64
LENGTH_MAX = 3000  # a longer payload is left out: there are shorter ones in all encodings
FAR = 4102444800000  # 2100: no field expires before
VARIANT = re.compile("changed|turned|swapped|longer|later|groups-")  # shown to differ: in the first of the settings only
SETTINGS = {
    "packed": {"rdbcompression": "yes"},
    "uncompressed": {"rdbcompression": "no"},
    "tables": {
        "rdbcompression": "yes",
        "hash-max-ziplist-entries": 0,
        "zset-max-ziplist-entries": 0,
        "set-max-intset-entries": 0,
        "set-max-listpack-entries": 0,
        "list-max-ziplist-size": 2,
        "list-compress-depth": 1,
        "stream-node-max-entries": 3,
        "hll-sparse-max-bytes": 0,
    },
    "nodes": {"list-max-ziplist-size": 3, "list-compress-depth": 0, "stream-node-max-entries": 1, "rdbcompression": "no"},
}
EDGES = [sign * 2 ** (bits - 1) + less for bits in (7, 8, 9, 13, 16, 24, 32, 64) for sign, less in ((-1, -1), (-1, 0), (1, -1), (1, 0))]
NUMBERS = [str(n).encode() for n in [0, 5, 12, 13, *EDGES]]
ODD = [b"", b"-", b"+1", b"007", b"-0", b" 1", b"1 ", b"1.5", b"0x10", b"99999999999999999999", b"\0", b"\r\n", b"\xff" * 3]
LONG = [bytes([97 + n % 7]) * n for n in (62, 63, 64, 127, 128, 253, 254, 255, 256, 4095, 4096, 16377, 16378, 70000)]
SCORES = [0, -0.0, 1, -1, 0.1, -0.1, 1 / 3, 1e300, -1e300, 5e-324, 2**53, 2**53 + 2, 12345678901234567890, float("inf"), float("-inf")]


def unique(values):
    return list(dict.fromkeys(values))


def words(count):
    return [b"word-%d-%s" % (n, b"xyz"[n % 3:] * (n % 5)) for n in range(count)]


class Filler:
    """Writes the values. turned: what has no order is written from the end."""

    def __init__(self, client, turned):
        self.call, self.turned = client.call, turned
        self.fields_expire = self.call("COMMAND", "INFO", "HPEXPIREAT")[0] is not None

    def order(self, values):
        return list(reversed(values)) if self.turned else list(values)

    def strings(self):
        values = {"empty": b"", "text": b"a text", "binary": bytes(range(256)), "long": b"abcdefgh" * 100, "like-hll": b"HYLL\1 is not one"}
        values.update({f"number{n}": str(n).encode() for n in (0, -1, 127, -128, 128, 32767, -32769, 2**31 - 1, -(2**31), 2**31)})
        values["no-number"] = b"0123"
        for name, value in values.items():
            self.call("SET", f"string/{name}", value)

    def lists(self):
        some = {"few": words(5), "changed": words(4) + [b"other"], "turned": words(5)[::-1], "one": [b""]}
        for name, values in {**some, "numbers": NUMBERS, "odd": ODD, "long": LONG, "equal": [b"same"] * 9}.items():
            if self.turned:
                self.call("LPUSH", f"list/{name}", *reversed(values))
            else:
                self.call("RPUSH", f"list/{name}", *values)

    def sets(self):
        ints = [b"5", b"-7", b"9", b"30000"]
        some = {"ints": ints, "ints-changed": ints[:3] + [b"30001"], "ints-wide": [*ints, b"3000000000"], "ints-widest": [*ints, b"-9000000000000000000"]}
        some.update({"few": words(5), "changed": words(4) + [b"other"]})
        for name, values in {**some, "numbers": unique(NUMBERS), "odd": ODD, "long": LONG}.items():
            self.call("SADD", f"set/{name}", *self.order(values))

    def zsets(self):
        few = {b"a": 1, b"b": 2, b"7": 7, b"c": 2}
        some = {"few": few, "changed-score": {**few, b"c": 2.5}, "changed-member": {b"a": 1, b"b": 2, b"7": 7, b"d": 2}}
        some["scores"] = {b"m%d" % n: score for n, score in enumerate(SCORES)}
        some["odd"] = {m: n for n, m in enumerate(unique(ODD + NUMBERS))}
        some["long"] = {m: n * 0.5 for n, m in enumerate(LONG)}
        for name, scores in some.items():
            for member in self.order(scores):
                self.call("ZADD", f"zset/{name}", repr(scores[member]), member)

    def hashes(self):
        few = {b"a": b"1", b"b": b"two", b"3": b"", b"": b"four"}
        some = {"few": few, "changed-value": {**few, b"b": b"tvo"}, "changed-field": {b"a": b"1", b"c": b"two", b"3": b"", b"": b"four"}}
        some["swapped"] = {b"1": b"a", b"two": b"b", b"": b"3", b"four": b""}
        some["odd"] = {m: m[::-1] for m in unique(ODD + NUMBERS)}
        some["long"] = dict(zip(LONG, LONG[1:] + LONG[:1]))
        if self.fields_expire:
            some.update({"expiring": few, "expiring-later": few, "expiring-one": few})
        for name, fields in some.items():
            for field in self.order(fields):
                self.call("HSET", f"hash/{name}", field, fields[field])
            if name.startswith("expiring"):
                self.call("HPEXPIREAT", f"hash/{name}", FAR, "FIELDS", 1, "a")
            if name in ("expiring", "expiring-later"):
                self.call("HPEXPIREAT", f"hash/{name}", FAR + 100000 + (name == "expiring-later"), "FIELDS", 2, "3", "")

    def hlls(self):
        for name, values in (("one", [b"x"]), ("few", words(20)), ("changed", words(19) + [b"other"])):
            for value in self.order(values):
                self.call("PFADD", f"hll/{name}", value)
            if self.turned:  # caches it
                self.call("PFCOUNT", f"hll/{name}")

    def streams(self):
        for name in ("plain", "changed-value", "changed-id", "longer"):
            self.stream(name, 10 + (name == "longer"))
        self.stream("deleted", 10)
        self.call("XDEL", "stream/deleted", "1000-1", "1001-2", "1003-1")
        self.stream("all-deleted", 4)
        self.call("XDEL", "stream/all-deleted", "1000-1", "1000-2", "1000-3", "1001-1")
        self.call("XGROUP", "CREATE", "stream/new", "g", "$", "MKSTREAM")
        for change in ("", "time", "count", "owner", "last-id", "consumer", "name", "less"):
            self.groups(change)

    def stream(self, name, count):
        for n in range(count):
            fields = [b"f", b"%d" % (n - 5), b"g", b"v%d" % n] if n % 4 else [b"n%d" % n, b"", b"other", b"x" * n, b"12", b"34"]
            if name == "changed-value" and n == 6:
                fields[-1] = b"v7"
            moved = name == "changed-id" and n == 9
            self.call("XADD", f"stream/{name}", f"{1000 + n // 3}-{n % 3 + 1 + moved}", *fields)

    def groups(self, change):
        name = "groups-" + change if change else "groups"
        key, second = "stream/" + name, "g2x" if change == "name" else "g2"
        self.stream(name, 10)
        for group, last in self.order([("g1", "1001-2" if change == "last-id" else "1001-1"), (second, "0-5"), ("empty", "$")]):
            self.call("XGROUP", "CREATE", key, group, last)
        claims = [["g1", "c1", "1000-1", 5, 1], ["g1", "c2", "1000-2", 6, 2], ["g1", "c2", "1001-1", 7, 3], [second, "c1", "1000-1", 8, 200]]
        at = {"owner": (1, "c1"), "time": (3, 9), "count": (4, 3)}.get(change)
        if at:
            claims[1][at[0]] = at[1]
        for claim in self.order(claims[: 3 if change == "less" else 4]):
            self.claim(key, *claim)
        if change == "less":
            self.claim(key, "g2", "c1", "1000-2", 8, 200)
            self.call("XACK", key, "g2", "1000-2")
        if change == "consumer":
            self.claim(key, "g1", "idle", "1002-1", 5, 1)
            self.call("XACK", key, "g1", "1002-1")
        self.call("XDEL", key, "1001-2")

    def claim(self, key, group, consumer, entry, time, count):
        time += 1700000000000
        self.call("XCLAIM", key, group, consumer, 0, entry, "TIME", time, "RETRYCOUNT", count, "FORCE", "JUSTID")

    def all(self):
        for write in (self.strings, self.lists, self.sets, self.zsets, self.hashes, self.hlls, self.streams):
            write()


def crc64_table():
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x95AC9329AC4BC9B5 if n & 1 else 0)
        yield n


TABLE = list(crc64_table())


def text(value):
    """In hex, or a long one as its length and sum."""
    if len(value) <= TEXT_MAX:
        return value.hex()
    crc = 0
    for byte in value:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return f"{len(value)}#{crc:016x}"


def bits(score):
    return struct.pack(">d", float(score) + 0.0).hex()


def pairs(flat):
    return list(zip(flat[::2], flat[1::2]))


class Teller:
    """What a key holds, from ordinary commands."""

    def __init__(self, client):
        self.call = client.call

    def string(self, key):
        return [text(self.call("GET", key))]

    def list(self, key):
        return [text(value) for value in self.call("LRANGE", key, 0, -1)]

    def set(self, key):
        return sorted(text(value) for value in self.call("SMEMBERS", key))

    def zset(self, key):
        return sorted(f"{text(member)}={bits(score)}" for member, score in pairs(self.call("ZRANGE", key, 0, -1, "WITHSCORES")))

    def hash(self, key):
        fields = pairs(self.call("HGETALL", key))
        expiries = [-1] * len(fields)
        if "/expiring" in key:
            expiries = self.call("HPEXPIRETIME", key, "FIELDS", len(fields), *(field for field, _ in fields))
        return sorted(f"{text(field)}={text(value)}@{max(at, 0)}" for (field, value), at in zip(fields, expiries))

    def hll(self, key):
        registers = self.call("PFDEBUG", "GETREG", key)
        return [",".join(f"{n}:{value}" for n, value in enumerate(registers) if value)]

    def stream(self, key):
        told = []
        for entry, fields in self.call("XRANGE", key, "-", "+"):
            told.append(f"{entry.decode()}:" + ",".join(f"{text(field)}={text(value)}" for field, value in pairs(fields)))
        info = dict(pairs(self.call("XINFO", "STREAM", key, "FULL", "COUNT", 0)))
        told.append(f"{info[b'length']}/{info[b'last-generated-id'].decode()}")
        return told + sorted(self.group(dict(pairs(group))) for group in info[b"groups"])

    def group(self, group):
        pending = sorted(f"{entry.decode()}/{time}/{count}" for entry, _, time, count in group[b"pending"])
        consumers = sorted(self.consumer(dict(pairs(consumer))) for consumer in group[b"consumers"])
        return f"{text(group[b'name'])}:{group[b'last-delivered-id'].decode()}[{','.join(pending)}]" + "".join(consumers)

    @staticmethod
    def consumer(consumer):
        return f"({text(consumer[b'name'])}:{','.join(sorted(entry[0].decode() for entry in consumer[b'pending']))})"

    def key(self, key):
        return " ".join(getattr(self, key.split("/")[0])(key))


def server_name(client):
    info = dict(line.split(":", 1) for line in client.call("INFO", "SERVER").decode().split("\r\n") if ":" in line)
    if "valkey_version" in info:
        return "valkey-" + info["valkey_version"]
    return "redis-" + info["redis_version"]


class Maker:
    def __init__(self):
        self.values, self.lines = {}, {}

    def add(self, kind, name, server, payload):
        """A payload that another one of that server equals in all but its sum and version is told once."""
        version = int.from_bytes(payload[-10:-8], "little")
        if len(payload) <= LENGTH_MAX:
            self.lines.setdefault((name, version, payload[:-10]), f"{kind} {name} {payload[0]} {version} {server} {payload.hex()}")

    def dump(self, client, variants):
        server, teller = server_name(client), Teller(client)
        keys = sorted(key.decode() for key in client.call("KEYS", "*"))
        for key in [key for key in keys if variants or not VARIANT.search(key)]:
            self.add("dump", key, server, client.call("DUMP", key))
            told = teller.key(key)
            if self.values.setdefault(key, told) != told:
                sys.exit(f"{server} tells otherwise of {key}:\n{told}\n{self.values[key]}")

    def passed_over(self, client):
        commands = [name for name in ("FUNCTION", "VADD") if client.call("COMMAND", "INFO", name)[0]]
        if "FUNCTION" in commands:
            client.call("FUNCTION", "LOAD", "REPLACE", "#!lua name=l\nredis.register_function('f', function() return 1 end)")
            self.add("pass", "functions", server_name(client), client.call("FUNCTION", "DUMP"))
        if "VADD" in commands:
            client.call("VADD", "module", "VALUES", 2, "0.5", "1", "element")
            self.add("pass", "module", server_name(client), client.call("DUMP", "module"))
            client.call("DEL", "module")

    def serve(self, binary, folder):
        server = RedisServer(folder, f"server-{len(self.lines)}", binary).start()
        try:
            with Client(server.path, timeout=20) as client:
                self.passed_over(client)
                for number, settings in enumerate(SETTINGS.values()):
                    for name, value in settings.items():
                        configure(client, name, value)
                    client.call("FLUSHALL")
                    Filler(client, turned=number % 2).all()
                    self.dump(client, variants=not number)
        finally:
            server.stop()


def configure(client, name, value):
    """Some settings came with a version."""
    if client.call("CONFIG", "GET", name):
        client.call("CONFIG", "SET", name, value)


def main():
    maker = Maker()
    with tempfile.TemporaryDirectory() as folder:
        for binary in sys.argv[1:]:
            maker.serve(binary, folder)
    for name, told in sorted(maker.values.items()):
        print("value", name, told)
    for line in maker.lines.values():
        print(line)


if __name__ == "__main__":
    main()
