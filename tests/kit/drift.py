"""Drift of each kind, planted, and what a verify says of it."""

import json

KINDS = ("missing", "extra", "type", "value", "ttl")
NONE = dict.fromkeys(KINDS, 0)
HOUR_MS = 3_600_000


def verify(link, *args, code=0, timeout=90):
    """riotctl verify, to its end; returns the report."""
    done = link.ctl("verify", *args, timeout=timeout)
    assert done.returncode == code, f"verify {' '.join(map(str, args))}: exit {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    return last(link)


def last(link):
    """The last report."""
    return json.loads(link.ctl("verify", "--last", "--json").stdout)


def various(client, count, prefix="d:"):
    """Strings, lists, hashes, sets and sorted sets in turn; every second one expires in more than an hour."""
    commands = []
    for i in range(count):
        key = f"{prefix}{i}"
        commands.append([("SET", key, f"value-{i:06d}"), ("RPUSH", key, "a", i), ("HSET", key, "f", f"value-{i:06d}", "g", i),
                         ("SADD", key, "member", i), ("ZADD", key, i, "one", 2, f"m{i}")][i % 5])
        if i % 2:
            commands.append(("PEXPIRE", key, 2 * HOUR_MS + i))
    client.must(commands)


def change_value(client, key, i):
    """Another value of the same type and length, the expiry stays."""
    client.must([[("SETRANGE", key, 0, "V"), ("LSET", key, 0, "A"), ("HSET", key, "f", f"VALUE-{i:06d}"),
                  ("EVAL", "redis.call('SREM', KEYS[1], 'member') redis.call('SADD', KEYS[1], 'MEMBER')", 1, key),
                  ("ZADD", key, i + 1, "one")][i % 5]])


def other_type(client, key, i):
    """A key of another type, with the same expiry."""
    script = ("local at = redis.call('PTTL', KEYS[1]) redis.call('DEL', KEYS[1]) "
              "if ARGV[1] == '0' then redis.call('SADD', KEYS[1], 'x') else redis.call('SET', KEYS[1], 'x') end "
              "if at > 0 then redis.call('PEXPIRE', KEYS[1], at) end")
    client.must([("EVAL", script, 1, key, i % 5)])


def inject(server, db=0):
    """Drift of each kind on the target; returns how much."""
    with server.raw(db) as client:
        client.must([("DEL", f"d:{i}") for i in range(100, 113)])
        # Those that expire get another time, the others one at all.
        client.must([("PEXPIRE", f"d:{i}", 3 * HOUR_MS) for i in range(200, 223)])
        for i in range(300, 317):
            change_value(client, f"d:{i}", i)
        client.must([("SET", f"extra:{i}", "x") for i in range(7)])
        for i in range(400, 405):
            other_type(client, f"d:{i}", i)
    return {"missing": 13, "extra": 7, "type": 5, "value": 17, "ttl": 23}
