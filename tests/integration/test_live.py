"""What happens to keys other than being written: deleted, renamed, moved, flushed, swapped, evicted."""

from kit import fill
from kit.compare import assert_equal
from kit.wait import until


def full(lab, feed, **options):
    """A link with a few hundred keys in db 0 and 1 that is live."""
    for db in (0, 1):
        with lab.source.raw(db) as client:
            client.must([("SET", f"k{i}", f"{db}-{i}") for i in range(300)])
    return lab.live(feed=feed, **options)


def test_deleted_keys_are_deleted(lab, feed):
    full(lab, feed)
    source = lab.source.redis()
    source.delete(*[f"k{i}" for i in range(0, 100)])
    source.unlink(*[f"k{i}" for i in range(100, 200)])
    source.execute_command("GETDEL", "k200") if lab.source.has("GETDEL") else source.delete("k200")
    lab.equal(at_least=399)
    assert lab.target.dbsize() == 99


def test_renamed_keys_are_renamed(lab, feed):
    full(lab, feed)
    source = lab.source.redis()
    source.rename("k0", "new")
    source.rename("k1", "k2")
    source.renamenx("k3", "k4")
    source.renamenx("k5", "other")
    lab.equal(at_least=599)
    target = lab.target.redis()
    assert target.get("new") == b"0-0" and target.get("k2") == b"0-1" and not target.exists("k0", "k1", "k5")


def test_a_renamed_key_keeps_its_expiry(lab, feed):
    full(lab, feed)
    source = lab.source.redis()
    source.pexpire("k0", 77_777)
    source.rename("k0", "new")
    source.pexpire("k2", 99_999)
    source.rename("k1", "k2")  # k1 has none
    lab.equal(at_least=598)
    assert lab.target.redis().pttl("new") > 0 > lab.target.redis().pttl("k2")


def test_keys_moved_between_databases_are_moved(lab, feed):
    full(lab, feed)
    source = lab.source.redis()
    source.set("only here", "v")
    source.move("only here", 1)
    source.set("to a new one", "v")
    source.move("to a new one", 7)
    lab.equal(at_least=602)
    assert lab.target.redis(db=1).get("only here") == b"v" and lab.target.redis(db=7).get("to a new one") == b"v"


def test_copied_keys_are_copied(lab, feed):
    if not lab.source.has("COPY"):
        return
    full(lab, feed)
    with lab.source.raw() as client:
        client.must([("COPY", "k0", "copy"), ("COPY", "k1", "k1", "DB", 5), ("COPY", "k2", "k3", "REPLACE")])
    lab.equal(at_least=602)


def test_flushdb_is_followed(lab, feed):
    riotd = full(lab, feed)
    lab.source.call("FLUSHDB", db=1)
    lab.equal(riotd, at_least=300)
    assert lab.target.dbsize(1) == 0 and lab.target.dbsize(0) == 300


def test_flushall_is_followed(lab, feed):
    riotd = full(lab, feed)
    lab.source.call("FLUSHALL")
    lab.source.call("SET", "after", "the flush")
    lab.equal(riotd, at_least=1)
    assert lab.target.dbsize(0) == 1 and lab.target.dbsize(1) == 0
    riotd.wait_state("live")
    assert not riotd.blockers()


def test_flushes_inside_a_transaction_and_a_script_are_followed(lab, feed):
    riotd = full(lab, feed)
    with lab.source.raw(1) as client:
        client.must([("MULTI",), ("SET", "before", 1), ("FLUSHDB",), ("SET", "after", 2), ("EXEC",)])
    lab.equal(riotd, at_least=301)
    lab.source.call("EVAL", "redis.call('FLUSHALL') redis.call('SET', KEYS[1], 'x')", 1, "left")
    lab.equal(riotd, at_least=1)


def test_a_flush_that_nobody_waits_for_is_followed(lab, feed):
    """Without a drain: the watch list, or the feed, tells within seconds."""
    riotd = full(lab, feed)
    lab.source.call("FLUSHALL")
    until(lambda: lab.target.dbsize(0) + lab.target.dbsize(1) == 0, 15, "the target is empty")
    riotd.wait_state("live")


def test_swapped_databases_are_swapped(lab, feed):
    riotd = full(lab, feed)
    lab.source.call("SET", "only in 0", "v")
    lab.source.call("SWAPDB", 0, 1)
    lab.equal(riotd, at_least=601)
    assert lab.target.redis(db=1).get("only in 0") == b"v"
    lab.source.call("SWAPDB", 1, 6)  # db 1 is empty now
    lab.equal(riotd, at_least=601)
    assert lab.target.dbsize(1) == 0


def test_a_database_that_was_empty_a_moment_ago_is_followed(lab, feed):
    riotd = full(lab, feed)
    for db in (3, 15):
        with lab.source.raw(db) as client:
            client.must([("SET", f"k{i}", f"{db}-{i}") for i in range(100)])
    lab.equal(riotd, at_least=800)
    lab.source.call("SET", "k0", "changed", db=15)
    lab.source.call("DEL", "k1", db=15)
    lab.equal(riotd, at_least=799)


def test_a_transaction_and_a_script_are_followed(lab, feed):
    full(lab, feed)
    with lab.source.raw() as client:
        client.must([("MULTI",), ("SET", "k0", "tx"), ("DEL", "k1"), ("RENAME", "k2", "k3"), ("SELECT", 1), ("SET", "k0", "tx1"),
                     ("EXEC",)])
        client.call("EVAL", "for i = 1, 100 do redis.call('SET', KEYS[1] .. i, i) end redis.call('SELECT', 4) redis.call('SET', 'x', 1)",
                    1, "lua")
    lab.equal(at_least=698)
    assert lab.target.redis(db=1).get("k0") == b"tx1" and lab.target.redis(db=4).get("x") == b"1"


def test_evicted_keys_are_gone_on_the_target(lab, feed):
    riotd = lab.live(feed=feed)
    used = int(lab.source.info("memory")["used_memory"])
    lab.source.config("maxmemory-policy", "allkeys-random")
    lab.source.config("maxmemory", str(used + 8_000_000))
    with lab.source.raw() as client:
        fill.strings(client, 20_000, size=1000)
        assert client.call("DBSIZE") < 15_000
    lab.source.config("maxmemory", "0")  # nothing is evicted while we compare
    lab.equal(riotd, at_least=1000)


def test_a_key_written_and_deleted_at_once_does_not_stay(lab, feed):
    riotd = full(lab, feed)
    with lab.source.raw() as client:
        for i in range(500):
            client.pipeline([("SET", f"gone{i}", i), ("DEL", f"gone{i}")])
    lab.equal(riotd, at_least=600)
    assert lab.target.dbsize() == 300


def test_the_last_of_many_writes_to_one_key_stands(lab, feed):
    riotd = full(lab, feed)
    with lab.source.raw() as client:
        client.must([("SET", "hot", i) for i in range(20_000)])
    lab.equal(riotd, at_least=601)
    assert lab.target.redis().get("hot") == b"19999"


def test_keys_of_the_target_that_the_source_lacks_are_swept(lab, feed):
    with lab.target.raw() as client:
        client.must([("SET", f"stale{i}", i) for i in range(500)])
        client.must([("SET", "k0", "old value"), ("RPUSH", "k1", "of another type")])
    lab.target.call("SET", "stale", "in a database that the source does not have", db=8)
    full(lab, feed, target__existing_keys="replace")
    assert assert_equal(lab.source, lab.target, at_least=600) == 600


def test_a_key_written_on_the_target_by_hand_is_put_right_when_its_source_changes(lab, feed):
    riotd = full(lab, feed)
    lab.target.call("SET", "k0", "by hand")
    lab.source.call("SET", "k0", "from the source")
    lab.equal(riotd, at_least=600)
