"""With the feed psync, strings whose SET tells all that they are: they are written as the stream has them, and not read."""

import pytest

from kit.wait import until
from kit.wire import Hold, fill_keys, key_of, reads, writes

KEYS = 50  # of fill_keys()


def calls(server, command):
    said = str(server.info("commandstats").get(f"cmdstat_{command}", "calls=0"))
    return int(said.partition("calls=")[2].partition(",")[0])


def live(lab, *args, **options):
    """The database is known, since its SELECT has come, and the target's connection is in it."""
    fill_keys(lab.source)
    riotd = lab.live(*args, feed="psync", **options)
    for db in (5, 0):
        lab.source.call("INCR", "touched", db=db)
        lab.equal(riotd)
    return riotd


def takes_strings(lab):
    if lab.target.version < (6, 2):
        pytest.skip("a target of 6.0 takes no absolute expiry with SET")


def expiring(server):
    """From 7.0 on the stream has the moment."""
    return ("EX", 1000) if server.version >= (7, 0) else ()


def many(client, prefix, *options):
    return client.must([("SET", f"{prefix}{i}", f"v{i}" * (i % 50), *options) for i in range(500)])


def test_what_set_tells_is_not_read(lab):
    takes_strings(lab)
    riotd = live(lab)
    read = calls(lab.source, "get")
    with lab.source.raw() as client:
        many(client, "a:")
        many(client, "b:", *expiring(lab.source))
        many(client, "c:", "NX")
        many(client, "k", "XX")
        client.must([("MULTI",), ("SET", "d:1", "in MULTI"), ("SET", "d:2", "too"), ("EXEC",)])
        client.must([("EVAL", "redis.call('SET', 'e:1', 'v') redis.call('SET', 'e:1', 'w') return redis.status_reply('OK')", 0)])
    lab.equal(riotd, at_least=1500)
    # A command that came in two pieces is read; so is the second SET of e:1.
    assert calls(lab.source, "get") - read < 200, "what was told was read"
    assert riotd.status()["feed"]["gaps"] == 0


def test_what_set_does_not_tell_is_read(lab):
    riotd = live(lab)
    lab.source.call("PEXPIRE", "k1", 600_000)
    lab.equal(riotd)
    read = calls(lab.source, "get") + calls(lab.source, "dump")
    lab.source.call("SET", "k1", "v", "KEEPTTL")
    lab.source.call("SET", "k2", "x" * 100_000)
    lab.equal(riotd, at_least=KEYS)
    assert calls(lab.source, "get") + calls(lab.source, "dump") >= read + 2
    assert lab.target.call("PTTL", "k1") > 0


def test_what_is_of_another_type_becomes_a_string_and_the_reverse(lab):
    """Keys of all kinds under one name, in two databases, one right after the other."""
    riotd = live(lab)
    with lab.source.raw() as client:
        for i in range(200):
            client.must([("SELECT", i % 2 * 5), ("SET", f"m{i % 7}", i), ("DEL", f"m{i % 7}"), ("RPUSH", f"m{i % 7}", i), ("SET", f"m{i % 7}", f"and {i}"),
                         ("SET", f"n{i % 7}", i, *expiring(lab.source)), ("APPEND", f"n{i % 7}", "more"), ("SET", f"o{i % 7}", i)]
                        + ([("RENAME", f"o{i % 7}", "renamed"), ("PERSIST", f"n{i % 7}")] if i % 3 else []))
    lab.equal(riotd, at_least=KEYS)


def test_r2_a_value_that_comes_while_its_key_is_in_flight_waits_and_is_not_lost(lab):
    takes_strings(lab)
    target = lab.proxy(lab.target)
    riotd = live(lab, lab.source, target)
    hold, sent = Hold(target, "down", writes(b"k7")), []
    lab.source.call("SET", "k7", "first")
    hold.wait()
    target.on_request = lambda _, argv: key_of(argv) == b"k7" and sent.append(argv)
    marks = riotd.status()["totals"]["marks"]
    for i in range(20):
        lab.source.call("SET", "k7", f"more {i}")
    lab.source.call("SET", "k8", "later")
    riotd.wait_for(lambda s: s["totals"]["marks"] >= marks + 21, what="marks of the key in flight")
    until(lambda: riotd.status()["lag"]["keys"] == 2, 10, "the other key waits for its answer alone")
    assert not sent, "the key was written again before the target had answered for it"
    hold.release()
    lab.equal(riotd, at_least=KEYS)
    assert lab.target.call("GET", "k7") == b"more 19", "what came while it was in flight is lost"


def test_r7_a_write_that_was_lost_is_made_again_from_what_the_source_has(lab):
    takes_strings(lab)
    source, target = lab.proxy(lab.source), lab.proxy(lab.target)
    riotd = live(lab, source, target)
    hold, read = Hold(target, "up", writes(b"k7")), []
    source.on_request = lambda connection, argv: reads(b"k7")(connection, argv) and read.append(argv)
    lab.source.call("SET", "k7", "lost")
    hold.wait()
    assert not read, "it was read first"
    hold.connection.cut_client()
    until(lambda: read, 15, "the key is read")
    lab.equal(riotd, at_least=KEYS)
    assert lab.target.call("GET", "k7") == b"lost"


def test_a_value_that_the_target_refuses_is_tried_again(lab):
    takes_strings(lab)
    riotd = live(lab)
    memory = lab.target.config("maxmemory", 1)
    with lab.source.raw() as client:
        many(client, "a:")
    riotd.wait_for(lambda s: s["lag"]["keys"] > 0, what="keys that wait")
    with lab.source.raw() as client:
        many(client, "a:", *expiring(lab.source))
    lab.target.config("maxmemory", memory)
    lab.equal(riotd, at_least=500)


def test_a_hot_key_is_not_written_each_time(lab):
    riotd = live(lab)
    lab.target.freeze()
    with lab.source.raw() as client:
        client.must([("SET", "hot", i) for i in range(5000)])
    riotd.wait_for(lambda s: s["totals"]["marks"] >= 5000, what="the marks")
    lab.target.thaw()
    lab.equal(riotd, at_least=KEYS)
    assert calls(lab.target, "set") + calls(lab.target, "restore") < KEYS + 50, "each of its values was written"


def test_while_it_is_paused_nothing_is_written(lab):
    riotd = live(lab)
    riotd.must("pause")
    with lab.source.raw() as client:
        many(client, "a:")
    riotd.wait_for(lambda s: s["lag"]["keys"] >= 500, what="the marks")
    assert not lab.target.call("EXISTS", "a:1")
    riotd.must("resume")
    lab.equal(riotd, at_least=500)


def test_what_stands_in_the_way_is_left_alone(lab):
    """Where types are filtered, the target is asked first."""
    riotd = live(lab, filter__types="[string]")
    lab.target.call("RPUSH", "k", "theirs")
    lab.source.call("SET", "k", "v")
    riotd.wait_for(lambda s: s["failed_keys"], what="a failed key")
    assert lab.target.call("LRANGE", "k", 0, -1) == [b"theirs"], "a key out of scope was overwritten"
