"""Fills a server: many plain keys quickly, or one of every kind that there is."""

import random

BINARY_KEYS = [b"\x00", b"\xff\xfe\x00\r\n", b"a\nb", b"\r\n$5\r\nhello\r\n", b"*[?]\\{x}", "schl\u00fcssel \u2713".encode(), b" ", b"k" * 60000,
               bytes(range(256))]


def strings(client, count, size=100, prefix="key:", start=0, expire_every=0):
    """count SETs of `size` bytes; each expire_every-th key expires in an hour or two. Quick: one write for 2,000 keys."""
    value = bytes(random.Random(count).choices(b"abcdefghijklmnopqrstuvwxyz0123456789", k=size))
    for base in range(start, start + count, 2000):
        n = min(2000, start + count - base)
        client.must([("SET", f"{prefix}{i}", value, *(("PX", 3600_000 + i) if expire_every and i % expire_every == 0 else ()))
                     for i in range(base, base + n)], depth=n)


def commands_of_every_type(prefix=b""):
    """Commands that make one key of each type and encoding that all supported servers know; names begin with the prefix."""
    rng = random.Random(7)

    def noise(n):
        return bytes(rng.getrandbits(8) for _ in range(n))

    p = prefix
    yield from [("SET", p + b"str:int", 12345), ("SET", p + b"str:negative", -1), ("SET", p + b"str:empty", b""),
                ("SET", p + b"str:embstr", b"short"), ("SET", p + b"str:raw", b"x" * 60), ("SET", p + b"str:binary", noise(300)),
                ("SET", p + b"str:100k", noise(100_000)), ("SET", p + b"str:compressible", b"ab" * 50_000),
                ("SETBIT", p + b"bitmap", 100_000, 1), ("BITFIELD", p + b"bitfield", "SET", "u8", 100, 200)]
    yield ("RPUSH", p + b"list:small", *range(10), b"\x00\r\n")
    yield ("RPUSH", p + b"list:large", *(noise(40) for _ in range(2000)))
    yield ("RPUSH", p + b"list:big-elements", noise(20_000), b"x", noise(9000))
    yield ("LPUSH", p + b"list:left", *range(300))
    yield ("SADD", p + b"set:int", *range(100))
    yield ("SADD", p + b"set:small", b"a", b"b", b"\x00")
    yield ("SADD", p + b"set:large", *(noise(20) for _ in range(1500)))
    yield ("ZADD", p + b"zset:small", 1, b"one", -2.5, b"two", 0.1, b"tenth", "+inf", b"inf", "-inf", b"-inf", 1e300, b"huge")
    yield ("ZADD", p + b"zset:large", *(x for i in range(1500) for x in (rng.random() * 1e6, b"m%d" % i)))
    yield ("GEOADD", p + b"geo", 13.361389, 38.115556, b"Palermo", 15.087269, 37.502669, b"Catania")
    yield ("HSET", p + b"hash:small", b"f", b"v", b"\x00", b"\xff", b"empty", b"")
    yield ("HSET", p + b"hash:long-value", b"f", noise(5000))
    yield ("HSET", p + b"hash:large", *(x for i in range(1500) for x in (b"field:%d" % i, noise(10))))
    yield ("PFADD", p + b"hll:sparse", *range(10))
    yield ("PFADD", p + b"hll:dense", *range(5000))
    yield from ((("XADD", p + b"stream:plain", f"{i}-1", "f", i, "g", noise(10)) for i in range(1, 300)))
    yield from (("XADD", p + b"stream:groups", f"{i}-1", "f", i) for i in range(1, 50))
    yield ("XGROUP", "CREATE", p + b"stream:groups", "g1", "0")
    yield ("XGROUP", "CREATE", p + b"stream:groups", "g2", "10-1")
    yield ("XREADGROUP", "GROUP", "g1", "alice", "COUNT", 10, "STREAMS", p + b"stream:groups", ">")
    yield ("XREADGROUP", "GROUP", "g1", "bob", "COUNT", 5, "STREAMS", p + b"stream:groups", ">")
    yield ("XACK", p + b"stream:groups", "g1", "2-1", "3-1")
    yield ("XDEL", p + b"stream:groups", "20-1")
    yield ("XADD", p + b"stream:emptied", "5-5", "f", "v")
    yield ("XDEL", p + b"stream:emptied", "5-5")
    yield ("XGROUP", "CREATE", p + b"stream:only-group", "g", "$", "MKSTREAM")
    yield from (("SET", p + key, b"binary key %d" % i) for i, key in enumerate(BINARY_KEYS))
    yield ("SET", p + b"ttl:long", b"v", "PX", 86_400_000_123)
    yield ("SET", p + b"ttl:hour", b"v", "PX", 3_600_777)
    yield from [("RPUSH", p + b"ttl:list", 1, 2, 3), ("PEXPIRE", p + b"ttl:list", 7_200_321)]


def commands_with_field_times(prefix=b""):
    """For servers that have HPEXPIRE."""
    yield ("HSET", prefix + b"hash:field-ttl", *(x for i in range(20) for x in (f"f{i}", i)))
    yield ("HPEXPIRE", prefix + b"hash:field-ttl", 3_600_000, "FIELDS", 3, "f1", "f2", "f3")
    yield ("HSET", prefix + b"hash:field-ttl-large", *(x for i in range(1000) for x in (f"f{i}", i)))
    yield ("HPEXPIRE", prefix + b"hash:field-ttl-large", 5_400_000, "FIELDS", 2, "f10", "f999")


def every_type(server, db=0, prefix=b""):
    """Makes them, the empty key name too; returns how many keys there are."""
    with server.raw(db) as client:
        client.must(list(commands_of_every_type(prefix)))
        client.must([("SET", b"", b"the empty name")])
        if server.has("HPEXPIRE"):
            client.must(list(commands_with_field_times(prefix)))
        return client.call("DBSIZE")
