#!/usr/bin/python3
"""Makes tests/fuzz/corpus/payload from tests/data/payloads.txt: small values of each type, once for each first byte."""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = re.compile("(string/(text|number127|long|like-hll)|hll/few|(list|set|hash|zset)/(few|odd|long)|set/ints|hash/expiring|"
                   "zset/scores|stream/(plain|deleted|groups)|functions|module)$")
LENGTH_MAX = 1200
FOOTER = 10


def main():
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
