"""Sources and targets of other versions. OLDER_SERVER= and NEWER_SERVER= name binaries; without them a source is disguised."""

import os
import re

import pytest

from kit import fill
from kit.compare import assert_equal
from kit.proxy import bulk
from kit.workload import Workload


def binary(variable):
    path = os.environ.get(variable)
    if not path or not os.path.exists(path):
        pytest.skip(f"{variable}= names no server")
    return path


def test_a_source_newer_than_its_target_is_refused_with_both_versions_named(lab):
    """The source's INFO claims to be 99.0.0, whose DUMP format no target can know."""
    lab.source.call("SET", "k", "v")
    proxy = lab.proxy(lab.source)

    def disguise(_connection, argv, value):
        if argv and argv[0].upper() == b"INFO" and isinstance(value, bytes):
            return bulk(re.sub(rb"(redis|valkey)_version:[0-9.]+", rb"\1_version:99.0.0", value))
        # What a payload ends with: the version of its format, then a checksum.
        if argv and (argv[0].upper() == b"DUMP" or [w.upper() for w in argv[:2]] == [b"FUNCTION", b"DUMP"]) and isinstance(value, bytes):
            return bulk(value[:-10] + b"\xff\xff" + value[-8:])
        return None

    proxy.on_reply = disguise
    riotd = lab.link(proxy)
    status = riotd.wait_state("failed")
    text = str(status["blockers"])
    assert "99.0.0" in text and ".".join(map(str, lab.target.valkey or lab.target.version)) in text
    assert lab.target.dbsize() == 0
    assert status["totals"]["failed_keys"] == 0, "refused at the start, not key by key"


def test_a_newer_source_is_refused(lab):
    newer = binary("NEWER_SERVER")
    lab.source = lab.server("source", newer).start()
    lab.source.call("SET", "k", "v")
    riotd = lab.link()
    status = riotd.wait_state("failed")
    text = str(status["blockers"])
    assert ".".join(map(str, lab.source.valkey or lab.source.version)) in text
    assert ".".join(map(str, lab.target.valkey or lab.target.version)) in text
    assert lab.target.dbsize() == 0


def test_a_newer_target_takes_everything(lab, feed):
    lab.target = lab.server("target", binary("NEWER_SERVER")).start()
    keys = fill.every_type(lab.source)
    lab.live(feed=feed)
    fill.every_type(lab.source, db=2, prefix=b"later:")
    assert lab.equal(at_least=2 * keys - 1)


def test_an_older_source_is_followed(lab, feed):
    lab.source = lab.server("source", binary("OLDER_SERVER")).start()
    fill.every_type(lab.source)
    riotd = lab.live(feed=feed)
    with Workload(lab.source, writers=3, keys=2000, rate=4000):
        riotd.wait_for(lambda s: s["totals"]["marks"] > 6000, 30)
    lab.equal(riotd, at_least=1000)


def test_both_older(lab, feed):
    older = binary("OLDER_SERVER")
    lab.source = lab.server("source", older).start()
    lab.target = lab.server("target", older).start()
    keys = fill.every_type(lab.source)
    riotd = lab.live(feed=feed)
    assert assert_equal(lab.source, lab.target) == keys
    lab.source.call("FLUSHALL")
    fill.every_type(lab.source, prefix=b"x:")
    lab.equal(riotd, at_least=40)


def test_both_newer(lab, feed):
    newer = binary("NEWER_SERVER")
    lab.source = lab.server("source", newer).start()
    lab.target = lab.server("target", newer).start()
    fill.every_type(lab.source)
    riotd = lab.live(feed=feed)
    with Workload(lab.source, writers=3, keys=2000, rate=4000):
        riotd.wait_for(lambda s: s["totals"]["marks"] > 6000, 30)
    lab.equal(riotd, at_least=1000)
