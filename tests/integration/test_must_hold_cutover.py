"""What must hold of a cutover and its fences, in short forms and, marked long, in full."""

import os
import re
import statistics
import time

import pytest

from kit import fill
from kit.acked import Acked
from kit.compare import assert_equal
from kit.cutover import (BARRIER, CHANGE, CHANGED, FAST, PAUSE, PROVE, Background, Stand, acks, busy, committed_ms, fence_args, free_after,
                         link_of, own_user, record, writers_of, writes_pass)
from kit.meter import Meter
from kit.resp import Client
from kit.wait import SCALE, until

KINDS = ["acl", "min-replicas", "hold", "none"]
HARD = {"acl": "NOPERM", "min-replicas": "NOREPLICAS"}  # and how it refuses
BOUND_MS, MEDIAN_MS = 5000, 150
SHORT_KEYS, LONG_KEYS, LONG_TIMES = 20_000, 100_000, 20
FREE_S = 2.0
SLACK_S = 0.3  # a server looks each 100 ms whether its pause has ended; the rest is a busy machine


@pytest.fixture(params=list(HARD))
def hard(request):
    return request.param


@pytest.fixture(autouse=True)
def not_on_6_0(lab):
    if lab.source.version < (6, 2):
        pytest.skip("6.0 has no pause of writes")
    lab.source.stop()
    lab.source = None


def source_of(lab, *args):
    lab.source = lab.server("source", tcp=True, args=args).start()
    return lab.source


def everything(server):
    """All users, as they are told, and all settings."""
    with server.raw() as client:
        settings = client.call("CONFIG", "GET", "*")
        return client.call("ACL", "LIST"), dict(zip(settings[::2], settings[1::2]))


# --- 1


def metered(lab, kind, keys):
    """A live link whose every byte to the target is counted, by the way."""
    source, options = source_of(lab), {}
    with source.raw(timeout=120) as client:
        fill.strings(client, keys)
    url = source.tcp_url()
    if kind == "acl":
        options["source__password_file"], url = own_user(lab, source), source.tcp_url(user="riotd")
    meter = Meter(lab.folder, lab.target)
    return lab.link(url, meter.url(), **options).wait("live", 120), meter


def still_fenced(writers, kind, since_ms):
    """Writers have tried for a while, and are refused, or wait."""
    if kind in HARD:
        before = writers.refused
        until(lambda: writers.refused > before + 200, 20, "writers are refused")
    until(lambda: time.time() * 1000 > since_ms + 700, 5, "some time has passed")


def cutover_under_writers(lab, kind, keys, gate):
    """One cutover and all that must hold of it. Returns the write pause, or None, and a line of figures."""
    link, meter = metered(lab, kind, keys)
    with meter:
        with Acked(lab.source, lab.folder, writers=8, grace=1.0) as writers:
            busy(writers, 5000)
            if kind == "none":
                writers.stop()
            done = link.ctl("cutover", *fence_args(kind), *gate)
            assert done.returncode == 0, done.stdout + done.stderr
            committed = committed_ms(link)
            still_fenced(writers, kind, committed)
        verdict = writers.judge(lab.target, committed)
        assert not verdict.missing and not verdict.late, verdict
        assert set(verdict.errors) == ({HARD[kind]} if kind in HARD else set()), verdict
        # No write after the barrier, acknowledged or not: the old source has what the target has, and nothing else.
        assert_equal(lab.source, lab.target, at_least=keys)
        assert 0 < meter.last * 1000 < committed + 1, f"the last bytes came {meter.last * 1000 - committed:.1f} ms after the commit"
        assert not lab.target.riotd_clients()
        pause = link.status()["cutover"].get("write_pause_ms")
        if kind == "none":
            assert pause is None
        else:
            assert 0 < pause < BOUND_MS * SCALE
        line = (f"{kind}: write pause {pause} ms, {verdict.acknowledged} acknowledged, {verdict.refused} refused, "
                f"{verdict.unanswered} never answered, {meter.bytes} bytes to the target, the last {committed - meter.last * 1000:.1f} ms "
                f"before the commit")
        print(line, flush=True)
    return pause, line


@pytest.mark.parametrize("kind", KINDS)
def test_1_a_cutover_under_writers_at_full_speed(lab, kind):
    cutover_under_writers(lab, kind, SHORT_KEYS, FAST)


@pytest.mark.long
def test_1_twenty_cutovers_in_full(lab):
    pauses, lines = [], []
    for i in range(LONG_TIMES):
        part = type(lab)(os.path.join(lab.folder, str(i)))
        try:
            pause, line = cutover_under_writers(part, KINDS[i % len(KINDS)], LONG_KEYS, ())
            pauses += [pause] if pause else []
            lines.append(line)
        except BaseException:
            part.tell()
            raise
        finally:
            part.end()
    median = statistics.median(pauses)
    print(f"write pauses of {sorted(pauses)} ms, median {median}")
    assert len(lines) == LONG_TIMES
    assert median < MEDIAN_MS * SCALE


@pytest.mark.long
def test_1_a_hold_that_is_finished_lets_no_write_through_that_had_waited(lab):
    """While writers come back it refuses, and goes on holding."""
    source_of(lab)
    link = link_of(lab, "hold")
    with Acked(lab.source, lab.folder, writers=8, grace=1.0) as writers:
        busy(writers)
        link.must("cutover", *fence_args("hold"), *FAST)
        committed = committed_ms(link)
        done = link.ctl("finish")
        assert done.returncode == 6 and "user default" in done.stderr, f"exit {done.returncode}: {done.stdout}{done.stderr}"
        assert link.state == "committed"
        assert not writes_pass(lab.source)
    link.must("finish")
    verdict = writers.judge(lab.target, committed)
    assert not verdict.missing and not verdict.late, verdict
    assert_equal(lab.source, lab.target, at_least=2000)
    assert "fence_lost" not in link.log()
    assert writes_pass(lab.source)


# --- 6


def users_of_all_kinds(server):
    with server.raw() as client:
        for user in (("app", "on", ">secret", ">second", "~app:*", "&news:*", "-@all", "+@read", "+@write", "-flushall"),
                     ("off", "off", "nopass", "~*", "&*", "+@all"),
                     ("reader", "on", ">r", "%R~*" if server.version >= (7, 0) else "~*", "resetchannels", "+@read", "+info"),
                     ("narrow", "on", ">n", "~n:*", "+set", "+get", "+config|get"),
                     ("nobody",)):
            client.call("ACL", "SETUSER", *user)
        if server.version >= (7, 0):
            client.call("ACL", "SETUSER", "chosen", "on", ">c", "+get", "~*", "(+set ~one:*)", "(+@all -@dangerous ~two:* %W~three)")


def test_6_a_pause_of_a_killed_riotd_ends_with_its_lease(lab):
    users_of_all_kinds(source_of(lab))
    link = link_of(lab, "acl", proxied=True)
    before = everything(lab.source)
    with writers_of(lab, batch=1, rate=0) as writers:
        busy(writers)
        with Stand(lab, PAUSE, BARRIER) as stand:
            cutover = Background(link, *FAST)
            stand.wait()
            link.kill()
            killed = time.time()
        lease_s = record(link)["lease_ms"] / 1000
        assert record(link)["stage"] == "pausing"
        until(lambda: writes_pass(lab.source), lease_s + 2, "the writers are free")
        busy(writers)
    cutover.done()
    took = free_after(writers, killed)
    print(f"free {took:.2f} s after the kill, a lease of {lease_s:.2f} s")
    assert took <= lease_s + SLACK_S * SCALE
    assert max(max(times) for times in acks(writers, 0).values()) > killed
    assert writers.judge(lab.source).longest_wait_ms > 300  # they did wait
    assert everything(lab.source) == before
    link.start().wait("live", 60)
    assert everything(lab.source) == before
    link.wait("drained")
    assert not (verdict := writers.judge(lab.target)).missing, verdict


class Killed:
    """Under writers a riotd set its hard fence, and was killed: `unread` before it knew so, `read` after it had read it back. In the block
    writers are refused; at its end it is started again."""

    AT = {"unread": ((PAUSE, CHANGE, CHANGED), True), "read": ((PAUSE, CHANGE, CHANGED, PROVE), False)}

    def __init__(self, lab, hard, link, at="unread"):
        self.lab, self.hard, self.at = lab, hard, self.AT[at]
        self.link = link
        self.writers = writers_of(lab, batch=1, rate=0)
        self.began = None

    def __enter__(self):
        self.writers.__enter__()
        busy(self.writers)
        before, (patterns, answer) = everything(self.lab.source), self.at
        with Stand(self.lab, *patterns, answer=answer) as stand:
            cutover = Background(self.link, "--fence", self.hard, *FAST)
            stand.wait()
            until(lambda: everything(self.lab.source) != before, 5, "it is fenced")
            self.link.kill()
        cutover.done()
        assert record(self.link)["stage"] == "fencing"
        until(lambda: self.writers.refused > 20, 10, "writers are refused")
        return self

    def __exit__(self, kind, *exc):
        try:
            if kind is None:
                self.began = time.time()
                self.link.start()
                until(lambda: writes_pass(self.lab.source), 10, "the writers are free")
                busy(self.writers)
        finally:
            self.writers.stop()
        if kind is None:
            took = free_after(self.writers, self.began)
            print(f"{self.hard}: free {took:.2f} s after the start of riotd")
            assert took <= FREE_S * SCALE

    def nothing_is_lost(self):
        self.link.wait("live", 60)
        self.link.wait("drained")
        verdict = self.writers.judge(self.lab.target)
        assert not verdict.missing, verdict
        assert set(verdict.errors) == {HARD[self.hard]}, verdict


def test_6_a_hard_fence_of_a_killed_riotd_is_off_soon_after_its_restart(lab, hard):
    users_of_all_kinds(source_of(lab))
    link = link_of(lab, hard, proxied=True)
    before = everything(lab.source)
    with Killed(lab, hard, link) as killed:
        assert everything(lab.source) != before
    assert everything(lab.source) == before
    killed.nothing_is_lost()
    assert everything(lab.source) == before


def line_of(server, user):
    return next(line for line in server.call("ACL", "LIST") if line.split()[1] == user.encode())


@pytest.mark.parametrize("at", Killed.AT)
def test_6_users_that_others_changed_meanwhile_are_left_alone_and_named(lab, at):
    users_of_all_kinds(source_of(lab))
    link = link_of(lab, "acl", proxied=True)
    expected = {line.split()[1]: line for line in everything(lab.source)[0]}
    with Killed(lab, "acl", link, at) as killed:
        lab.source.call("ACL", "SETUSER", "app", "+set")  # somebody lets it write again
        lab.source.call("ACL", "SETUSER", "narrow", "<n", ">rotated")
        lab.source.call("ACL", "DELUSER", "nobody")
        expected[b"app"], narrow = line_of(lab.source, "app"), line_of(lab.source, "narrow")
    del expected[b"nobody"]
    if at == "read":  # what it may is put back, and the new password stays
        passwords = [re.search(rb"#\w+", line)[0] for line in (expected[b"narrow"], narrow)]
        expected[b"narrow"] = expected[b"narrow"].replace(*passwords)
    else:  # nobody can tell what riotd had made of it
        expected[b"narrow"] = narrow
    assert {line.split()[1]: line for line in everything(lab.source)[0]} == expected
    told = "".join(line for line in link.log().splitlines() if " err fence_left_alone: " in line or "needs_person" in line)
    named = {name for name in ("app", "narrow", "nobody", "chosen", "reader", "off", "default") if re.search(rf"\b{name}\b", told)}
    assert named == {"app", "nobody"} | ({"narrow"} if at == "unread" else set()), told
    killed.nothing_is_lost()


def test_6_a_setting_that_others_changed_meanwhile_is_left_alone_and_named(lab):
    source_of(lab).config("min-replicas-max-lag", "17")
    link = link_of(lab, "min-replicas", proxied=True)
    before = everything(lab.source)[1]
    with Killed(lab, "min-replicas", link) as killed:
        lab.source.config("min-replicas-max-lag", "3")
    after = everything(lab.source)[1]
    assert {name: after[name] for name in after if after[name] != before[name]}.items() <= {
        b"min-replicas-max-lag": b"3", b"min-slaves-max-lag": b"3"}.items()
    assert re.search(r" err fence_left_alone: min-replicas-max-lag .*\b17\b", link.log())
    killed.nothing_is_lost()


def test_6_what_others_changed_is_named_by_the_cutover_that_is_undone(lab):
    users_of_all_kinds(source_of(lab))
    link = link_of(lab, "acl", proxied=True)
    with Stand(lab, PAUSE, CHANGE, CHANGED, PROVE) as stand:
        cutover = Background(link, "--fence", "acl", *FAST)
        stand.wait()
        lab.source.call("ACL", "SETUSER", "app", "+set")
        app = line_of(lab.source, "app")
    done = cutover.done()
    assert done.returncode == 9, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    assert "app" in done.stdout + done.stderr
    assert line_of(lab.source, "app") == app
    assert writes_pass(lab.source)
    assert re.search(r"fence_left_alone: .*app", link.log())
    link.wait_state("live")


# --- 7


SLIPPED = re.compile(r" err fence_lost: .*; (\d+) writes slipped in")


def restarted_after_the_commit(lab, kind, rate):
    """Under writers; nothing of what was fenced was kept by the server. Returns how many writes slipped in."""
    own = ["--user", "riotd", "on", ">of-riotd", "~*", "&*", "+@all"] if kind == "acl" else []
    source_of(lab, *own)
    link = link_of(lab, kind)
    link.must("cutover", *fence_args(kind), *FAST)
    with Acked(lab.source, lab.folder, writers=8, batch=4, grace=1.0, rate=rate) as writers:
        link.wait_for(lambda s: s["cutover"]["fence_held"], what="the fence is looked at")
        assert writers.acknowledged == 0
        lab.source.save()
        lab.source.stop()
        lab.source.start()
        back = time.time()
        link.wait_log("fence_again", 10)
        still_fenced(writers, kind, time.time() * 1000)
        refenced = writers.acknowledged
        until(lambda: time.time() > back + 4 * SCALE, 10 * SCALE, "some seconds have passed")
    times = sorted(t for each in acks(writers, 0).values() for t in each)
    assert times and len(times) == writers.acknowledged == refenced
    took = times[-1] - min(times[0], back)
    said = [int(n) for n in SLIPPED.findall(link.log())]
    print(f"{kind}: {len(times)} writes in {took:.2f} s until it was fenced again; the log says {said}")
    assert took <= FREE_S * SCALE
    assert sum(said) == len(times)
    assert link.status()["cutover"]["fence_held"]
    return link


@pytest.mark.parametrize("kind", KINDS[:3])
def test_7_a_source_that_restarts_after_the_commit_is_fenced_again(lab, kind):
    restarted_after_the_commit(lab, kind, rate=2000)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS[:3])
def test_7_in_full(lab, kind):
    """At full speed, and again and again."""
    link = restarted_after_the_commit(lab, kind, rate=0)
    for i in range(3):
        lab.source.restart()
        until(lambda n=i: link.log().count("fence_again") == n + 2, 10, "it is fenced again")
        assert not writes_pass(lab.source)


# --- 8: what test_cutover_proof.py does not have, and replicas


def with_replica(lab, hard):
    """A source with a replica that may be fenced too."""
    source_of(lab)
    replica = lab.server("replica", tcp=True).start("--replicaof", "127.0.0.1", str(lab.source.port))
    for server in (lab.source, replica):
        users_of_all_kinds(server)
        if hard == "acl":
            own_user(lab, server)
    until(lambda: "state=online" in lab.source.info("replication").get("slave0", ""), 20, "the replica is online")
    until(lambda: replica.info("replication")["master_link_status"] == "up", 20, "it knows so")  # Valkey 9 loads what it got after that
    return replica, link_of(lab, hard, proxied=True)


def follows(replica, source):
    """Has it all that the source has?"""
    return replica.info("replication")["slave_repl_offset"] == source.info("replication")["master_repl_offset"]


def test_8_a_source_that_was_demoted_in_the_pause(lab, hard):
    """A failover: its replica is the primary now, and it replicates from it."""
    replica, link = with_replica(lab, hard)
    before, of_replica = everything(lab.source), everything(replica)
    with writers_of(lab, rate=2000) as writers:
        busy(writers)
        with Stand(lab, PAUSE, CHANGE) as stand:
            cutover = Background(link, "--fence", hard, *FAST)
            stand.wait()
            until(lambda: follows(replica, lab.source), 5, "the replica has all")
            replica.call("REPLICAOF", "NO", "ONE")
            lab.source.call("REPLICAOF", "127.0.0.1", replica.port)
        done = cutover.done()
        assert done.returncode in (8, 9), f"exit {done.returncode}: {done.stdout}{done.stderr}"
        assert record(link).get("stage", "none") == "none"
        assert link.status()["cutover"].get("committed_at") is None
        until(lambda: writes_pass(replica), 5, "the new primary takes writes")
        # REPLICAOF is a setting too.
        for server, then in ((lab.source, before), (replica, of_replica)):
            users, settings = everything(server)
            assert users == then[0]
            assert {n for n in settings if settings[n] != then[1][n]} <= {b"replicaof", b"slaveof"}
    assert set(writers.judge(lab.source).errors) <= {"READONLY"}
    until(lambda: lab.source.info("replication").get("master_link_status") == "up", 20, "the old primary follows")
    until(lambda: follows(lab.source, replica), 10, "the old primary has all")
    link.wait("live", 60)
    link.wait("drained")
    verdict = writers.judge(lab.target)
    assert not verdict.missing, verdict


def may_write(server, names):
    """Those of these users who may write the key one:1, or any."""
    if not server.has("ACL|DRYRUN"):
        return [name for name in names if b"-@write" not in line_of(server, name.decode())]
    return [name for name in names for key in ("one:1", "two:1", "n:1", "app:1")
            if server.call("ACL", "DRYRUN", name, "SET", key, "1") == b"OK"]


def test_8_a_hard_fence_is_on_the_replica_too(lab, hard):
    replica, link = with_replica(lab, hard)
    before, of_replica = everything(lab.source), everything(replica)
    link.must("cutover", "--fence", hard, *FAST)
    for server, then in ((lab.source, before), (replica, of_replica)):
        users, settings = everything(server)
        if hard == "acl":
            names = {user.split()[1] for user in users}
            assert names - set(may_write(server, names)) == names - {b"riotd"}
        else:
            assert {n for n in settings if settings[n] != then[1][n]} >= {b"min-replicas-to-write"}
    link.must("finish", "--unfence")
    assert everything(lab.source) == before
    assert everything(replica) == of_replica


def test_8_a_replica_that_is_promoted_after_the_commit_takes_no_writes(lab, hard):
    replica, link = with_replica(lab, hard)
    link.must("cutover", "--fence", hard, *FAST)
    replica.call("REPLICAOF", "NO", "ONE")
    with Client(replica.path) as client:
        with pytest.raises(Exception, match=HARD[hard]):
            client.call("SET", "probe", "1")
    assert not writes_pass(lab.source)


@pytest.mark.parametrize("how", ["abort", "kill"])
def test_8_an_undo_puts_the_replica_back_too(lab, hard, how):
    replica, link = with_replica(lab, hard)
    before, of_replica = everything(lab.source), everything(replica)
    with Stand(lab, PAUSE, CHANGE, CHANGED, PROVE) as stand:
        cutover = Background(link, "--fence", hard, *FAST)
        stand.wait()
        until(lambda: everything(replica) != of_replica, 5, "the replica is fenced")
        if how == "kill":
            link.kill()
        else:
            link.must("abort")
    done = cutover.done()
    if how == "kill":
        began = time.time()
        link.start()
        until(lambda: everything(replica) == of_replica, 10, "the replica is put back")
        assert time.time() - began <= FREE_S * SCALE
    else:
        assert done.returncode == 8, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    link.wait("live", 60)
    assert everything(lab.source) == before
    assert everything(replica) == of_replica
