"""Strings go by GET and SET where most keys are strings; what is none, or cannot go so, goes by DUMP and RESTORE."""

import pytest

from kit import fill
from kit.compare import assert_equal
from kit.wire import UNTOLD
from test_access import login, told

PLAIN = [b"", b"0", b"12345678901", b"-7", b"\x00\r\n$5\r\n", b"x" * 44, b"x" * 45, bytes(range(256)) * 64, b"\xff" * (16 * 1024 + 1), b"a" * 3_000_000]


@pytest.fixture(name="tcp")
def tcp_servers(lab):
    lab.source = lab.server("source", tcp=True).start()
    lab.target = lab.server("target", tcp=True).start()
    return lab


def calls(server, command):
    said = str(server.info("commandstats").get(f"cmdstat_{command}", "calls=0"))
    return int(said.partition("calls=")[2].partition(",")[0])


def strings(server, prefix="s:"):
    """As they come, with an expiry, as bitmaps, and as what PFADD makes of them."""
    with server.raw() as client:
        client.must([("SET", f"{prefix}{n}", value) for n, value in enumerate(PLAIN)])
        client.must([("SET", f"{prefix}ttl:{n}", value, "PX", 3_600_000 + n) for n, value in enumerate(PLAIN)])
        client.must([("SETBIT", f"{prefix}bits", 100_001, 1), ("APPEND", f"{prefix}0", "1"), ("SETRANGE", f"{prefix}1", 5, "x")])
        client.must([("PFADD", f"{prefix}hll:{n}", *range(n * n)) for n in range(1, 60, 9)])
    fill.strings(server.raw(), 300, prefix=f"{prefix}more:")


def as_strings(server):
    """How often the server was asked for some, or for one."""
    return calls(server, "get") + calls(server, "mget")


def by_dump(lab):
    return calls(lab.source, "dump"), calls(lab.target, "restore")


def test_strings_go_by_get_and_set(lab, feed):
    lab.target.call("SET", "s:1", "an expiry that is to go", "EX", 1000)
    lab.target.call("RPUSH", "s:2", "another type")
    strings(lab.source)
    riotd = lab.live(feed=feed, target__existing_keys="replace")
    strings(lab.source, "live:")
    lab.source.call("PERSIST", "s:ttl:3")
    lab.source.call("EXPIRE", "s:3", 1000)
    riotd.wait("drained")
    if lab.target.version >= (6, 2):
        assert by_dump(lab) == (0, 0)
    lab.equal(riotd, at_least=600)


def test_what_is_no_string_goes_by_dump(lab, feed):
    """Once most are none, they are not asked for as strings any more; and again once most are."""
    strings(lab.source)
    keys = fill.every_type(lab.source)
    riotd = lab.live(feed=feed)
    lab.equal(riotd, at_least=keys)
    with lab.source.raw() as client:
        client.must([("RPUSH", f"list:{n}", n) for n in range(3000)])
    riotd.wait("drained")
    asked = as_strings(lab.source)
    with lab.source.raw() as client:
        client.must([("RPUSH", f"list:{n}", n) for n in range(500)])
        client.must([("SET", f"list:{n}", n) for n in range(500, 600)])
    riotd.wait("drained")
    assert as_strings(lab.source) == asked, "lists are still asked for as strings"
    lab.equal(riotd, at_least=3000)
    asked = as_strings(lab.source)
    with lab.source.raw() as client:
        client.must([("SET", f"list:{n}", n, *UNTOLD) for n in range(3000)])
    riotd.wait("drained")
    fill.strings(lab.source.raw(), 500, prefix="again:")
    riotd.wait("drained")
    if lab.target.version >= (6, 2):
        assert as_strings(lab.source) > asked, "strings are not asked for as such again"
    lab.equal(riotd, at_least=3500)


@pytest.mark.parametrize("side,command", [("source", "get"), ("target", "set")])
def test_where_get_or_set_is_refused_strings_go_by_dump(tcp, side, command):
    """Keys that go together are asked for by MGET, which is allowed here: one whose name is too long for that goes by GET, whatever
    else there is to read in the same turn."""
    strings(tcp.source)
    tcp.source.call("SET", "alone:" + "n" * 2000, "v")
    server = getattr(tcp, side)
    urls = [s.tcp_url(user="riot") if s is server else s for s in (tcp.source, tcp.target)]
    riotd = tcp.live(*urls, **login(tcp, server, [f"-{command}"], side))
    strings(tcp.source, "live:")
    tcp.equal(riotd, at_least=600)
    status = riotd.status()
    assert not status["conditions"] and not status["totals"]["failed_keys"]
    if tcp.target.version >= (6, 2):
        assert riotd.log().count(f"{command.upper()} is refused") == 1, riotd.log()


@pytest.mark.parametrize("side,command", [("source", "mget"), ("target", "mset")])
def test_where_mget_or_mset_is_refused_strings_go_one_by_one(tcp, side, command):
    strings(tcp.source)
    server = getattr(tcp, side)
    urls = [s.tcp_url(user="riot") if s is server else s for s in (tcp.source, tcp.target)]
    riotd = tcp.live(*urls, **login(tcp, server, [f"-{command}"], side))
    strings(tcp.source, "live:")
    riotd.wait("drained")
    if min(tcp.source.version, tcp.target.version) >= (7, 0):
        assert by_dump(tcp) == (0, 0)
    tcp.equal(riotd, at_least=600)
    status = riotd.status()
    assert not status["conditions"] and not status["totals"]["failed_keys"]


def test_strings_go_together(lab, feed):
    """Whatever their names and values are; what the target has of other types is written over."""
    lab.target.call("RPUSH", "s:2", "another type")
    with lab.source.raw() as client:
        client.must([("SET", f"s:{n}", "v" * (n % 3000)) for n in range(3000)])
        client.must([("SET", b"\r\n$1\r\n", b"*2\r\n"), ("SET", "", "no name"), ("SET", "no value", ""), ("SET", "n" * 5000, "v")])
    riotd = lab.live(feed=feed, target__existing_keys="replace")
    riotd.wait("drained")
    if lab.source.version >= (7, 0):
        assert 0 < calls(lab.source, "mget") and calls(lab.source, "get") < 1500
    assert 0 < calls(lab.target, "mset") < 1500
    lab.equal(riotd, at_least=3000)


def test_where_get_is_refused_and_dump_too_it_is_told(tcp):
    tcp.source.call("SET", "k", "v")
    riotd = tcp.link(tcp.source.tcp_url(user="riot"), tcp.target, **login(tcp, tcp.source, ["-get", "-dump"], "source"))
    told(riotd, "NOPERM for DUMP on the source")
    tcp.source.call("ACL", "SETUSER", "riot", "+dump")
    riotd.wait("live")
    tcp.equal(riotd, at_least=1)


def test_a_string_that_is_longer_than_the_target_takes_goes_by_dump_where_that_is_short(lab):
    lab.target.config("proto-max-bulk-len", str(1024 * 1024))
    lab.source.call("SET", "compressible", b"ab" * 1_000_000)
    fill.strings(lab.source.raw(), 100)
    riotd = lab.live()
    lab.target.config("proto-max-bulk-len", str(512 * 1024 * 1024))  # for the comparison alone
    lab.equal(riotd, at_least=101)


def test_strings_beside_filtered_types(lab, feed):
    """A list of the target that is out of scope stays; strings are written beside it."""
    with lab.target.raw() as client:
        client.must([("RPUSH", f"s:{n}", "stays") for n in range(5)])
    strings(lab.source)
    riotd = lab.link(feed=feed, filter__types=["string"], target__existing_keys="replace")
    riotd.wait_for(lambda s: s["totals"]["failed_keys"] == 5 and s["state"] == "live", what="five keys that are in the way")
    if lab.target.version >= (6, 2):
        assert by_dump(lab) == (0, 0)
    with lab.target.raw() as client:
        assert client.call("TYPE", "s:0") in ("list", b"list")
        client.must([("DEL", f"s:{n}") for n in range(5)])
    with lab.source.raw() as client:
        client.must([("APPEND", f"s:{n}", "!") for n in range(5)])
    riotd.wait_for(lambda s: s["totals"]["failed_keys"] == 0, what="the way is free")
    riotd.wait("drained")
    assert_equal(lab.source, lab.target)
