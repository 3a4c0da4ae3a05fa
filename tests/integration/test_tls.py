"""rediss://: both sides over TLS, what is refused and how that is told, certificates that change."""

import os
import shutil

import pytest

from kit import fill
from kit.certs import Authority
from kit.cutover import FAST, busy, committed_ms, fence_args, own_user, writers_of
from kit.cutover import fill as fill_some
from kit.long import in_long
from kit.wait import until
from kit.workload import Workload


@pytest.fixture
def authority(lab):
    return Authority(lab.folder)


@pytest.fixture
def tls(lab, authority):
    """Both servers speak TLS, with certificates of that authority; the options that trust it."""
    signed = authority.sign("server")
    for side in ("source", "target"):
        server = lab.server(side)
        setattr(lab, side, server.start(*server.tls_args(authority, signed)))
    return {"source__tls__ca_file": authority.path, "target__tls__ca_file": authority.path}


def urls(lab, host="127.0.0.1"):
    return lab.source.tls_url(host), lab.target.tls_url(host)


def certificate(riotd, reason):
    """Waits until the link says so, and stays in connecting."""
    status = riotd.wait_for(lambda s: any(c["code"] == "certificate" and reason in c["message"] for c in s["conditions"]),
                            what=f"a condition `certificate` with {reason!r}")
    assert status["state"] == "connecting"
    assert f"certificate: {reason}" in riotd.log()


@pytest.mark.parametrize("host", ["localhost", in_long("127.0.0.1")])
@pytest.mark.parametrize("feed", ["tracking", "psync", in_long("notify")])  # a replica's connection is one of its own kind
def test_both_sides_over_tls(lab, tls, feed, host):
    with lab.source.raw() as client:
        fill.strings(client, 20_000, size=100)
        client.must([("SET", "large", os.urandom(1 << 20) * 30)])
    riotd = lab.live(*urls(lab, host), feed=feed, **tls)
    with lab.source.raw() as client:
        fill.strings(client, 30_000, size=50)
    lab.equal(riotd, at_least=30_001)
    assert "clean" in riotd.must("verify")


def test_lost_connections_under_writes(lab, tls):
    riotd = lab.live(*urls(lab), **tls)
    with Workload(lab.source) as load:
        for _ in range(5):
            writes = load.count
            until(lambda seen=writes: load.count > seen + 500, 20, "some writes")
            lab.source.kill_riotd_clients()
            lab.target.kill_riotd_clients()
    lab.equal(riotd, at_least=1)
    riotd.wait_state("live")


def test_a_target_that_hangs_in_the_middle_of_large_values(lab, tls):
    with lab.source.raw() as client:
        client.must([("SET", f"large{i}", os.urandom(1 << 20) * 5) for i in range(20)], depth=1)
    riotd = lab.link(*urls(lab), limits__memory="16MiB", **tls)
    riotd.wait_for(lambda s: s["totals"]["copied_keys"] >= 2 or s["queue"]["in_flight_bytes"] > 0, what="values on their way")
    lab.target.freeze()
    riotd.wait_for(lambda s: any(c["code"] == "target_silent" for c in s["conditions"]) or s["lag"]["ms"] > 1000, what="it hangs")
    lab.target.thaw()
    lab.equal(riotd, at_least=20)


def test_an_authority_that_is_not_trusted(lab, tls):
    stranger = Authority(lab.folder, "stranger")
    riotd = lab.link(*urls(lab), **{**tls, "source__tls__ca_file": stranger.path})
    certificate(riotd, "self-signed certificate in certificate chain")


def test_the_wrong_host(lab, authority):
    lab.source.stop()
    lab.source.start(*lab.source.tls_args(authority, authority.sign("other", hosts="DNS:other.example")))
    with lab.source.raw() as client:
        fill.strings(client, 100)
    riotd = lab.link(lab.source.tls_url("localhost"), source__tls__ca_file=authority.path)
    certificate(riotd, "hostname mismatch")
    check = riotd.ctl("check")
    assert check.returncode == 12 and "source.tls.server_name" in check.stdout
    for how in ({"server_name": "other.example"}, {"verify": "ca"}, {"verify": "none", "ca_file": None}):
        riotd.stop()
        riotd.options.update({"source.tls.ca_file": authority.path, "source.tls.server_name": None, "source.tls.verify": None})
        riotd.options.update({f"source.tls.{name}": value for name, value in how.items()})
        riotd.start().wait("live")
    lab.equal(riotd, at_least=100)


def test_the_wrong_address(lab, authority):
    lab.source.stop()
    lab.source.start(*lab.source.tls_args(authority, authority.sign("other", hosts="IP:127.0.0.2")))
    certificate(lab.link(lab.source.tls_url(), source__tls__ca_file=authority.path), "IP address mismatch")


def test_a_certificate_that_has_expired_and_is_renewed(lab, authority):
    lab.source.stop()
    lab.source.start(*lab.source.tls_args(authority, authority.sign("old", end="20210101000000Z")))
    riotd = lab.link(lab.source.tls_url(), source__tls__ca_file=authority.path)
    certificate(riotd, "certificate has expired")
    lab.source.stop()
    lab.source.start(*lab.source.tls_args(authority, authority.sign("new")))
    riotd.wait("live")


def test_a_server_that_asks_who_we_are(lab, authority):
    lab.source.stop()
    lab.source.start(*lab.source.tls_args(authority, authority.sign("server"), mutual=True))
    riotd = lab.link(lab.source.tls_url(), source__tls__ca_file=authority.path)
    riotd.wait_for(lambda s: any("certificate required" in c["message"] or "handshake failure" in c["message"]
                                 for c in s["conditions"]), what="the server's refusal")
    riotd.stop()
    crt, key = authority.sign("riotd")
    riotd.options.update({"source.tls.cert_file": crt, "source.tls.key_file": key})
    riotd.start().wait("live")


def test_certificates_are_read_again_on_reload(lab, authority):
    trusted = os.path.join(lab.folder, "trusted.pem")
    shutil.copy(authority.path, trusted)
    lab.source.stop()
    lab.source.start(*lab.source.tls_args(authority, authority.sign("server")))
    riotd = lab.live(lab.source.tls_url(), source__tls__ca_file=trusted)
    successor = Authority(lab.folder, "successor")
    lab.source.stop()
    lab.source.start(*lab.source.tls_args(successor, successor.sign("server")))
    riotd.wait_for(lambda s: any("certificate: " in c["message"] for c in s["conditions"]), what="the new authority is refused")
    with open(trusted, "w", encoding="utf-8") as file:
        file.write("no certificate\n")
    done = riotd.ctl("reload")
    assert done.returncode == 6 and "source.tls.ca_file" in done.stderr
    shutil.copy(successor.path, trusted)
    riotd.must("reload")
    riotd.wait("live")


def test_tls_on_one_end_alone_is_told(lab, authority):
    lab.source.stop()
    lab.source.tcp = True
    lab.source.start(*lab.source.tls_args(authority, authority.sign("server")))
    plain = lab.link(lab.source.tcp_url().replace("redis:", "rediss:"), name="plain")
    plain.wait_for(lambda s: any("TLS: " in c["message"] for c in s["conditions"]), what="a server without TLS is told")
    other = lab.link(lab.source.tls_url().replace("rediss:", "redis:"), name="other")
    other.wait_for(lambda s: s["conditions"], what="a server with TLS is told")
    assert other.state == "connecting"


@pytest.mark.parametrize("option", ["ca_file", "cert_file", "key_file"])
def test_files_that_are_none_end_the_start(lab, authority, option):
    crt, key = authority.sign("riotd")
    options = {"source.tls.ca_file": authority.path, "source.tls.cert_file": crt, "source.tls.key_file": key}
    riotd = lab.link("rediss://127.0.0.1:1", lab.target, start=False)
    riotd.options.update(options)
    riotd.options[f"source.tls.{option}"] = "/nonexistent"
    riotd.spawn()
    assert riotd.ended() == 78
    assert f"source.tls.{option} /nonexistent: " in riotd.log()


@pytest.mark.parametrize("fence", ["acl", "min-replicas", "hold"])
def test_a_cutover_over_tls_loses_nothing(lab, tls, fence):
    source, target = urls(lab)
    if fence == "acl":
        tls["source__password_file"] = own_user(lab, lab.source)
        source = lab.source.tls_url(user="riotd")
    fill_some(lab.source)
    riotd = lab.live(source, target, **tls)
    with writers_of(lab) as writers:
        busy(writers)
        riotd.must("cutover", *fence_args(fence), *FAST)
    verdict = writers.judge(lab.target, committed_ms(riotd))
    assert not verdict.missing and not verdict.late, verdict
