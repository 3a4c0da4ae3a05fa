"""Every data type that DUMP carries arrives as it is, from the snapshot and from the feed."""

import pytest

from kit import fill
from kit.compare import assert_equal, functions_of


def test_every_type_and_binary_keys_arrive_with_the_snapshot(lab):
    keys = fill.every_type(lab.source)
    keys += fill.every_type(lab.source, db=9, prefix=b"other:")
    lab.live()
    assert assert_equal(lab.source, lab.target) == keys


def test_every_type_and_binary_keys_arrive_when_written_live(lab, feed):
    lab.live(feed=feed)
    keys = fill.every_type(lab.source)
    keys += fill.every_type(lab.source, db=9, prefix=b"other:")
    assert lab.equal() == keys


def test_a_key_may_change_its_type(lab, feed):
    source = lab.source.redis()
    source.rpush("k", 1, 2, 3)
    lab.live(feed=feed)
    source.delete("k")
    source.hset("k", "f", "v")
    lab.equal(at_least=1)
    source.set("k", "now a string")
    lab.equal(at_least=1)


def test_each_element_command_is_followed(lab, feed):
    source = lab.source.redis()
    fill.every_type(lab.source)
    lab.live(feed=feed)
    source.append("str:raw", "more")
    source.setrange("str:100k", 50_000, b"\x00\xff")
    source.incrbyfloat("str:int", 0.5)
    source.getset("str:embstr", "other")
    source.setbit("bitmap", 7, 1)
    source.lset("list:small", 0, "changed")
    source.linsert("list:small", "before", 5, "inserted")
    source.ltrim("list:large", 10, 1000)
    source.rpoplpush("list:left", "list:small")
    source.spop("set:large", 100)
    source.smove("set:small", "set:int", "a")
    source.sinterstore("set:stored", "set:int", "set:int")
    source.zincrby("zset:small", 0.1, "tenth")
    source.zremrangebyrank("zset:large", 0, 99)
    source.zunionstore("zset:stored", ["zset:small", "zset:large"])
    source.hincrby("hash:large", "counter", 5)
    source.hdel("hash:small", "f")
    source.pfadd("hll:sparse", *range(20, 40))
    source.pfmerge("hll:merged", "hll:sparse", "hll:dense")
    source.xtrim("stream:plain", maxlen=7, approximate=False)
    source.sort("set:int", alpha=True, store="sorted")
    source.bitop("OR", "bits", "bitmap", "str:raw")
    source.geoadd("geo", (2.35, 48.85, "Paris"))
    source.restore("restored", 0, source.dump("hash:large"))
    lab.equal(at_least=40)


def test_an_emptied_collection_is_gone(lab, feed):
    source = lab.source.redis()
    source.rpush("list", 1)
    source.sadd("set", 1)
    source.hset("hash", "f", 1)
    source.zadd("zset", {"m": 1})
    lab.live(feed=feed)
    source.lpop("list")
    source.srem("set", 1)
    source.hdel("hash", "f")
    source.zrem("zset", "m")
    lab.equal()
    assert lab.target.dbsize() == 0


def test_a_large_value_passes_whole(lab):
    with lab.source.raw() as client:
        client.call("SET", "large", b"\x00abc\r\n" * 5_000_000)
        client.call("SET", "small", "beside it")
    lab.live(limits__memory="16MiB")
    lab.equal(at_least=2)
    lab.source.call("APPEND", "large", "!")
    lab.equal(at_least=2)


def test_a_client_blocked_on_a_list_changes_it_too(lab, feed):
    lab.live(feed=feed)
    waiting = lab.source.raw()
    waiting.send(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n0\r\n")
    lab.source.call("RPUSH", "q", "a", "b", "c")
    assert waiting.read() == [b"q", b"a"]
    waiting.close()
    lab.equal(at_least=1)
    assert lab.target.redis().lrange("q", 0, -1) == [b"b", b"c"]


# --- consumer groups: no feed of these two tells of them; they are seen by the watch list


@pytest.fixture
def stream(lab, feed):
    """A link with a stream of 20 entries and the group g on both sides."""
    with lab.source.raw() as client:
        client.must([("XADD", "s", f"{i}-1", "f", i) for i in range(1, 21)])
        client.call("XGROUP", "CREATE", "s", "g", "0")
        client.call("XREADGROUP", "GROUP", "g", "alice", "COUNT", 10, "STREAMS", "s", ">")
    lab.live(feed=feed)
    lab.equal(at_least=1)
    return lab.source.redis()


def test_acknowledged_entries_reach_the_target_by_the_drain(lab, stream):
    stream.xack("s", "g", "1-1", "2-1")
    lab.equal(at_least=1)


def test_delivered_entries_reach_the_target_by_the_drain(lab, stream):
    stream.xreadgroup("g", "alice", {"s": ">"}, count=3)
    lab.equal(at_least=1)
    stream.xreadgroup("g", "bob", {"s": ">"}, count=3)
    lab.equal(at_least=1)


def test_claimed_entries_reach_the_target_by_the_drain(lab, stream):
    stream.xclaim("s", "g", "carol", 0, ["3-1", "4-1"])
    lab.equal(at_least=1)
    stream.xclaim("s", "g", "alice", 0, ["3-1"], justid=True)
    lab.equal(at_least=1)


def test_groups_made_moved_and_destroyed_reach_the_target_by_the_drain(lab, stream):
    stream.xgroup_create("s", "second", "5-1")
    lab.equal(at_least=1)
    stream.xgroup_setid("s", "second", "7-1")
    lab.equal(at_least=1)
    stream.xgroup_delconsumer("s", "g", "alice")
    lab.equal(at_least=1)
    stream.xgroup_destroy("s", "second")
    stream.xgroup_destroy("s", "g")
    lab.equal(at_least=1)
    assert lab.target.redis().xinfo_groups("s") == []


def test_group_changes_inside_a_transaction_and_a_script_reach_the_target_by_the_drain(lab, stream):
    with stream.pipeline(transaction=True) as tx:
        tx.xack("s", "g", "5-1")
        tx.execute()
    lab.equal(at_least=1)
    stream.eval("return redis.call('XACK', KEYS[1], 'g', '6-1')", 1, "s")
    lab.equal(at_least=1)


def test_group_changes_of_many_streams_are_found(lab, feed):
    with lab.source.raw(2) as client:
        for n in range(300):
            client.must([("XADD", f"s{n}", "1-1", "f", n), ("XADD", f"s{n}", "2-1", "f", n), ("XGROUP", "CREATE", f"s{n}", "g", "0"),
                         ("XREADGROUP", "GROUP", "g", "me", "STREAMS", f"s{n}", ">")])
    riotd = lab.live(feed=feed)
    with lab.source.raw(2) as client:
        client.must([("XACK", f"s{n}", "g", "1-1") for n in range(0, 300, 3)])
    lab.equal(riotd, at_least=300)


def test_group_changes_are_followed_without_a_drain(lab, stream):
    """At most every 5 s the streams are compared; a drain is not needed for them to arrive."""
    stream.xack("s", "g", "7-1")
    target = lab.target.redis()
    lab.links[-1].wait_for(lambda _: b"7-1" not in {e["message_id"] for e in target.xpending_range("s", "g", "-", "+", 100)}, 12,
                           "the acknowledgement on the target")


# --- functions (7.0+)

LIBRARY = "#!lua name={name}\nredis.register_function('{name}_f', function(keys, args) return {value} end)"


@pytest.fixture
def functions(lab):
    if not lab.source.has("FUNCTION") or not lab.target.has("FUNCTION"):
        pytest.skip("a server has no functions before 7.0")
    return lab.source.redis()


def test_functions_are_copied_at_the_start(lab, functions):
    functions.function_load(LIBRARY.format(name="one", value=1))
    lab.live()
    assert functions_of(lab.target) == functions_of(lab.source) != {}


def test_functions_are_followed(lab, functions, feed):
    functions.function_load(LIBRARY.format(name="one", value=1))
    riotd = lab.live(feed=feed)
    functions.function_load(LIBRARY.format(name="two", value=2))
    functions.function_load(LIBRARY.format(name="one", value=3), replace=True)
    riotd.wait("drained")
    assert functions_of(lab.target) == functions_of(lab.source)
    functions.function_delete("two")
    riotd.wait("drained")
    assert functions_of(lab.target) == functions_of(lab.source)
    assert set(functions_of(lab.target)) == {b"one"}
