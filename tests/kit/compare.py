"""Compares two servers completely: keys, types, values and expiries, in both directions."""

import time
from collections import Counter

from kit.resp import RespError

CHUNK = 200
FOOTER = 10  # of a DUMP payload: version and checksum
SHOWN = 10


class Side:
    """One server, and how its keys are read."""

    def __init__(self, server):
        self.client = server.raw(timeout=120)
        self.absolute = server.has("PEXPIRETIME")
        self.field_times = server.has("HPEXPIRETIME")

    def databases(self):
        text = self.client.call("INFO", "keyspace").decode()
        return {int(line[2:line.index(":")]) for line in text.split("\r\n") if line.startswith("db")}

    def read(self, keys):
        """{key: (expiry in ms or None, payload)} of those that are there."""
        found = {}
        keys = list(keys)
        for i in range(0, len(keys), CHUNK):
            part = keys[i:i + CHUNK]
            if self.absolute:
                replies = self.client.pipeline([c for k in part for c in (("PEXPIRETIME", k), ("DUMP", k))])
                rows = zip(part, replies[0::2], replies[1::2])
            else:
                replies = self.client.pipeline([c for k in part for c in (("TIME",), ("PTTL", k), ("DUMP", k))])
                rows = ((k, left if left < 0 else int(now[0]) * 1000 + int(now[1]) // 1000 + left, dump)
                        for k, now, left, dump in zip(part, replies[0::3], replies[1::3], replies[2::3]))
            found.update((k, (None if at < 0 else at, dump)) for k, at, dump in rows if dump is not None)
        return found

    def value(self, key):
        """(type, value), in a form that is equal when the values are. An empty hash is ("none", None)."""
        kind = self.client.call("TYPE", key).decode()
        try:
            return self._value(kind, key)
        except RespError as err:
            if "WRONGTYPE" in str(err):
                return self.value(key)
            raise

    def _value(self, kind, key):
        call = self.client.call
        if kind == "string":
            return kind, call("GET", key)
        if kind == "list":
            return kind, call("LRANGE", key, 0, -1)
        if kind == "set":
            return kind, set(call("SMEMBERS", key))
        if kind == "zset":
            flat = call("ZRANGE", key, 0, -1, "WITHSCORES")
            return kind, dict(zip(flat[0::2], map(float, flat[1::2])))
        if kind == "hash":
            return self._hash(key)
        if kind == "stream":
            return kind, self._stream(key)
        return kind, None

    def _hash(self, key):
        flat = self.client.call("HGETALL", key)
        fields = dict(zip(flat[0::2], flat[1::2]))
        if not fields:  # all its fields are expired, it is not reaped yet
            return "none", None
        if self.field_times:
            names = list(fields)
            times = self.client.call("HPEXPIRETIME", key, "FIELDS", len(names), *names)
            fields = {n: (v, at) for n, v, at in zip(names, fields.values(), times)}
        else:
            fields = {n: (v, -1) for n, v in fields.items()}
        return "hash", fields

    def _stream(self, key):
        """Entries, ids, groups with their pending entries. Not when a consumer was last seen."""
        full = pairs(self.client.call("XINFO", "STREAM", key, "FULL", "COUNT", 0))
        stream = {n: full.get(n) for n in ("last-generated-id", "max-deleted-entry-id", "entries-added")}
        stream["entries"] = full["entries"]
        stream["groups"] = groups = {}
        for group in map(pairs, full["groups"]):
            groups[group["name"]] = {
                "last": group["last-delivered-id"],
                "pending": sorted(map(tuple, group["pending"])),
                "consumers": {c["name"]: sorted(map(tuple, c["pending"])) for c in map(pairs, group["consumers"])},
            }
        return stream


def pairs(flat):
    return {n.decode(): v for n, v in zip(flat[0::2], flat[1::2])}


def same_value(kind, a, b):
    if kind != "stream":
        return a == b
    # entries-added and the like are not known to servers before 7.0.
    ids = ("max-deleted-entry-id", "entries-added")
    known = [n for n in a if n not in ids or (a[n] is not None and b[n] is not None)]
    return all(a[n] == b[n] for n in known)


class Difference:
    def __init__(self, kind, db, key, detail):
        self.kind, self.db, self.key, self.detail = kind, db, key, detail

    def __str__(self):
        return f"{self.kind}: db {self.db} {short(self.key)}: {self.detail}"


def short(value, most=160):
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}... ({len(text)})"


def difference(source, target, db, target_db, key, here, there, tolerance_ms):
    """The Difference of one key that was read on both sides, or None."""
    if here is None and there is None:
        return None
    if here is None or there is None:
        if here is None:
            return Difference("extra", db, key, "the source does not have it")
        return Difference("missing", db, key, "the target does not have it")
    if here[1][:-FOOTER] != there[1][:-FOOTER]:
        source.client.select(db)
        target.client.select(target_db)
        (kind, a), (other, b) = source.value(key), target.value(key)
        if kind != other:
            return Difference("type", db, key, f"{kind} on the source, {other} on the target")
        if not same_value(kind, a, b):
            return Difference("value", db, key, f"a {kind}\n    source: {short(a)}\n    target: {short(b)}")
    a, b = here[0], there[0]
    if (a is None) != (b is None) or (a is not None and abs(a - b) > tolerance_ms):
        return Difference("expiry", db, key, f"{a} on the source, {b} on the target")
    return None


def compare_db(source, target, db, target_db, only, tolerance_ms, rounds):
    source.client.select(db)
    target.client.select(target_db)
    keys = source.client.keys() | target.client.keys()
    if only:
        keys = {k for k in keys if only(k)}
    count, differences = len(keys), []
    # A key may expire between two reads of it: what differs is read again.
    for attempt in range(rounds):
        if attempt:
            time.sleep(0.2)
        source.client.select(db)
        target.client.select(target_db)
        here, there = source.read(keys), target.read(keys)
        found = ((k, difference(source, target, db, target_db, k, here.get(k), there.get(k), tolerance_ms)) for k in sorted(keys))
        found = [(k, d) for k, d in found if d]
        keys, differences = {k for k, _ in found}, [d for _, d in found]
        if not keys:
            break
    return count, differences


def compare(source, target, dbs=None, into=None, only=None, tolerance_ms=5, rounds=3):
    """Returns (keys compared, list of Difference). dbs: these only; into: {db of the source: db of the target};
    only: a predicate of key names."""
    here, there = Side(source), Side(target)
    try:
        if dbs is None:
            dbs = here.databases() | (there.databases() if into is None else set())
        count, differences = 0, []
        for db in sorted(dbs):
            n, found = compare_db(here, there, db, (into or {}).get(db, db), only, tolerance_ms, rounds)
            count += n
            differences += found
        return count, differences
    finally:
        here.client.close()
        there.client.close()


def report(differences):
    """What differs, for a person: how many of each kind, and the first ones."""
    if not differences:
        return "equal"
    counts = Counter(d.kind for d in differences)
    lines = [f"{len(differences)} differences: " + ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))]
    lines += [f"  {d}" for d in differences[:SHOWN]]
    return "\n".join(lines)


def assert_equal(source, target, at_least=0, **options):
    """Both sides are equal, and there are so many keys. Returns how many."""
    count, differences = compare(source, target, **options)
    assert not differences, report(differences)
    assert count >= at_least, f"only {count} keys were there to compare, not {at_least}"
    return count


def functions_of(server):
    """What FUNCTION LIST tells, by library name."""
    return {lib["library_name"]: lib["library_code"] for lib in map(pairs, server.call("FUNCTION", "LIST", "WITHCODE"))}
