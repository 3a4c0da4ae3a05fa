#!/usr/bin/python3
"""Makes tests/fuzz/corpus: payload, from tests/data/payloads.txt, small values of each type, once for each first byte; stream, commands as
a primary sends them, and what it answers to COMMAND."""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = re.compile("(string/(text|number127|long|like-hll)|hll/few|(list|set|hash|zset)/(few|odd|long)|set/ints|hash/expiring|"
                   "zset/scores|stream/(plain|deleted|groups)|functions|module)$")
LENGTH_MAX = 1200
FOOTER = 10


STREAMS = {
    "transaction": ["SELECT 3", "MULTI", "SET k v", "DEL a b c", "EXEC", "PING", "REPLCONF GETACK *"],
    "databases": ["COPY a b DB 2 REPLACE", "MOVE a 7", "SWAPDB 0 1", "FLUSHDB", "FLUSHALL ASYNC"],
    "movable": ["LMPOP 2 a b LEFT", "ZUNIONSTORE d 2 a b", "MSETEX 2 a 1 b 2", "XREADGROUP GROUP g c STREAMS a b > >"],
    "options": ["SORT a BY w LIMIT 0 5 STORE d", "GEORADIUS a 1 2 3 km STOREDIST d", "MIGRATE h 1 k 0 9 KEYS a b"],
    "others": ["PUBLISH c m", "FUNCTION LOAD text", "SCRIPT LOAD text", "CLUSTER SETSLOT 1", "EVAL text 1 a", "MODULE.WRITE a"],
    "long": ["SET key " + "v" * 200, "DEL " + "k" * 70],
}
SPEC = [b"flags", [b"RW", b"access"], b"begin_search", [b"type", b"keyword", b"spec", [b"keyword", b"KEYS", b"startfrom", 2]],
        b"find_keys", [b"type", b"keynum", b"spec", [b"keynumidx", 0, b"firstkey", 1, b"keystep", 1]]]
SUBCOMMAND = [b"m.box|set", -2, [b"write", b"movablekeys"], 0, 0, 0, [], [], [SPEC], []]
COMMAND = [[b"m.set", -2, [b"write"], 1, -1, 2], [b"m.box", -2, [], 0, 0, 0, [], [], [], [SUBCOMMAND]]]


def encode(value):
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(encode, value))
    return b":%d\r\n" % value if isinstance(value, int) else b"$%d\r\n%b\r\n" % (len(value), value)


def make_streams():
    folder = os.path.join(ROOT, "tests/fuzz/corpus/stream")
    os.makedirs(folder, exist_ok=True)
    seeds = {name: b"".join(encode(line.encode().split()) for line in lines) for name, lines in STREAMS.items()}
    seeds["command"] = encode(COMMAND)
    for name, content in seeds.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"\x05" + content)


def main():
    make_streams()
    folder = os.path.join(ROOT, "tests/fuzz/corpus/payload")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(ROOT, "tests/data/payloads.txt"), encoding="ascii") as lines:
        dumps = [line.split() for line in lines if not line.startswith("value")]
    for _, name, first, _, server, payload in dumps:
        body = bytes.fromhex(payload)[:-FOOTER]
        path = os.path.join(folder, f"{first}-{name.replace('/', '-')}")
        if NAMES.match(name) and len(body) < LENGTH_MAX and not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(bytes([server.startswith("valkey")]) + body)


if __name__ == "__main__":
    main()
