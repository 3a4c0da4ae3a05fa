"""How changes are learned: what auto chooses and tells, what notify changes on the source, and what is a gap."""

import time

import pytest

from kit.wait import until

PASSWORD = "a secret of the test"


@pytest.fixture
def tcp_source(lab):
    lab.source = lab.server("source", tcp=True).start()
    return lab.source


def with_rights(lab, source, rights, **options):
    """A link that logs in as a user with these rights on the source."""
    path = f"{lab.folder}/password"
    with open(path, "w", encoding="ascii") as file:
        file.write(PASSWORD + "\n")
    source.call("ACL", "SETUSER", "riot", "on", f">{PASSWORD}", "~*", *(["&*"] if source.version >= (6, 2) else []), "+@all", *rights)
    return lab.link(source.tcp_url(user="riot"), source__password_file=path, **options)


def test_auto_takes_tracking_and_tells_why_not_psync(lab):
    riotd = lab.live()
    feed = riotd.status()["feed"]
    assert feed["kind"] == "tracking" and feed["state"] == "ready"
    passed = {p["kind"]: p["why"] for p in feed["passed_over"]}
    assert list(passed) == ["psync"] and "no replication backlog" in passed["psync"]


def test_auto_takes_notify_where_tracking_is_refused(lab, tcp_source):
    riotd = with_rights(lab, tcp_source, ["-client|tracking"] if tcp_source.version >= (7, 0) else ["-client"]).wait("live")
    feed = riotd.status()["feed"]
    assert feed["kind"] == "notify"
    passed = {p["kind"]: p["why"] for p in feed["passed_over"]}
    assert "psync" in passed and "CLIENT" in passed["tracking"]
    lab.source.call("SET", "k", "v")
    lab.equal(riotd, at_least=1)


def test_auto_that_finds_no_feed_says_what_the_operator_must_change(lab, tcp_source):
    if tcp_source.version < (7, 0):
        pytest.skip("no rights for single subcommands before 7.0")
    riotd = with_rights(lab, tcp_source, ["-client|tracking", "-config"])
    status = riotd.wait_for(lambda s: s["blockers"] or s["conditions"], what="a word about it")
    text = str(status)
    assert "notify-keyspace-events" in text and "KA" in text
    # The operator does it, and starts again or is noticed.
    tcp_source.config("notify-keyspace-events", "KA")
    if riotd.state == "failed":
        riotd.must("start")
    riotd.wait("live")
    assert riotd.status()["feed"]["kind"] == "notify"


def test_while_the_source_is_down_the_lag_grows(lab, feed):
    """What changes there meanwhile may be as old as that."""
    proxy = lab.proxy(lab.source)
    lab.source.call("SET", "k", "v")
    riotd = lab.live(proxy, feed=feed)
    assert riotd.status()["lag"]["ms"] < 500
    proxy.refuse()
    status = riotd.wait_for(lambda s: s["lag"]["ms"] > 500, 10, "a lag that grows")
    assert status["lag"]["ms"] < 10_000 and status["feed"]["state"] != "ready"
    proxy.refuse(False)
    riotd.wait("live").wait_for(lambda s: s["lag"]["ms"] == 0, what="no lag")


def condition(status, code):
    return next((c["message"] for c in status["conditions"] if c["code"] == code), None)


def test_a_source_that_becomes_a_replica_is_told(lab, feed):
    """Also of a riotd that is started then."""
    other = lab.server("other", tcp=True).start()
    riotd = lab.live(feed=feed)
    assert condition(riotd.status(), "source_replica") is None
    lab.source.call("REPLICAOF", "127.0.0.1", other.port)
    status = riotd.wait_for(lambda s: condition(s, "source_replica"), what="the condition")
    assert f"replicates from 127.0.0.1:{other.port}" in condition(status, "source_replica")
    riotd.wait("live")
    assert riotd.log().count("warning source_replica: the source is a replica") == 1
    riotd.restart()
    riotd.wait_for(lambda s: condition(s, "source_replica"), what="the condition after a restart")
    lab.source.call("REPLICAOF", "NO", "ONE")
    riotd.wait_for(lambda s: not condition(s, "source_replica"), what="its end")
    riotd.wait_log("source_primary: the source is a primary again")


def test_auto_takes_psync_where_there_is_a_backlog(lab):
    lab.source.give_backlog()
    lab.source.call("SET", "k", "v")
    full = lab.source.info("stats")["sync_full"]
    riotd = lab.live()
    feed = riotd.status()["feed"]
    assert feed["kind"] == "psync" and feed["state"] == "ready" and not feed["passed_over"]
    assert lab.source.info("stats")["sync_full"] == full, "it was not copied a second time"
    lab.source.call("SET", "k2", "v")
    lab.equal(riotd, at_least=2)


def test_psync_without_a_backlog_says_what_to_do(lab):
    riotd = lab.link(start=False)
    riotd.options["feed"] = "psync"
    riotd.start()
    riotd.wait_state("failed")
    assert "psync.full_sync: yes" in str(riotd.status())
    lab.source.give_backlog()
    riotd.must("start")
    riotd.wait("live")


@pytest.mark.parametrize("delay", ["no", "yes"])
def test_psync_without_a_backlog_may_ask_for_a_full_synchronisation(lab, delay):
    """From a disk and through a socket; nothing of it is copied by it."""
    lab.source.config("repl-diskless-sync", delay)
    lab.source.config("repl-diskless-sync-delay", "0")
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", "x" * 1000) for i in range(3000)])
        if lab.source.has("HPEXPIRE"):  # what Valkey 9 does not send to a replica that tells no version
            client.must([("HSET", "fields", "f", 1, "g", 2), ("HPEXPIRE", "fields", 3_600_000, "FIELDS", 1, "f")])
    riotd = lab.link(start=False, psync__full_sync=True)
    riotd.options["feed"] = "psync"
    riotd.start().wait("live")
    assert lab.source.info("stats")["sync_full"] == "1"
    lab.source.call("SET", "later", "v")
    lab.equal(riotd, at_least=3001)


def test_a_feed_of_none_is_one_pass_and_then_idle(lab):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(500)])
    riotd = lab.link(feed="none")
    riotd.wait("idle")
    assert lab.target.dbsize() == 500
    lab.source.call("SET", "later", "v")
    lab.source.call("DEL", "k0")
    time.sleep(0.3)
    assert not lab.target.redis().exists("later")
    assert not lab.source.riotd_clients()
    riotd.must("start")
    riotd.wait("idle")
    assert lab.target.redis().exists("later") and not lab.target.redis().exists("k0")


def test_a_wrong_password_is_told_and_never_shown(lab, tcp_source):
    riotd = with_rights(lab, tcp_source, [], start=False)
    tcp_source.call("ACL", "SETUSER", "riot", "resetpass", ">another")
    riotd.start()
    status = riotd.wait_for(lambda s: s["conditions"] or s["blockers"], what="a word about it")
    assert "WRONGPASS" in str(status) or "password" in str(status)
    assert PASSWORD not in str(status) + riotd.log()


def test_a_user_with_a_password_is_enough(lab, tcp_source):
    tcp_source.call("SET", "k", "v")
    riotd = with_rights(lab, tcp_source, []).wait("live")
    lab.equal(riotd, at_least=1)
    shown = riotd.must("config") + riotd.must("status") + riotd.must("status", "--json") + riotd.log()
    assert PASSWORD not in shown


# --- notify


@pytest.mark.parametrize("before", ["", "Kx", "Eg$", "KEA", "KA"])
def test_notify_puts_ka_in_and_takes_it_out_again_exactly(lab, before):
    lab.source.config("notify-keyspace-events", before)
    before = lab.source.config("notify-keyspace-events")  # as the server writes it
    riotd = lab.live(feed="notify")
    during = lab.source.config("notify-keyspace-events")
    assert "K" in during and "A" in during
    assert set(before) - set("g$lshzxetd") <= set(during), "what was set stays set"
    lab.source.call("SET", "k", "v")
    lab.equal(riotd, at_least=1)
    riotd.stop()
    assert lab.source.config("notify-keyspace-events") == before


def test_stop_and_start_put_the_flags_back_and_in_again(lab):
    riotd = lab.live(feed="notify")
    riotd.must("stop")
    riotd.wait_state("idle")
    assert lab.source.config("notify-keyspace-events") == ""
    riotd.must("start")
    riotd.wait("live")
    assert "A" in lab.source.config("notify-keyspace-events")


def test_flags_that_somebody_changed_meanwhile_are_left_alone_and_told(lab):
    riotd = lab.live(feed="notify")
    lab.source.config("notify-keyspace-events", "KEA")
    time.sleep(1.5)
    riotd.stop()
    assert set("KEA") <= set(lab.source.config("notify-keyspace-events"))
    assert "notify-keyspace-events" in riotd.log()


def test_flags_that_somebody_takes_away_are_a_gap_and_set_again(lab):
    riotd = lab.live(feed="notify")
    lab.source.config("notify-keyspace-events", "")
    with lab.source.raw() as client:
        client.must([("SET", f"unheard{i}", i) for i in range(100)])
    riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1, what="the gap")
    lab.equal(riotd, at_least=100)
    assert "A" in lab.source.config("notify-keyspace-events")
    riotd.stop()


def test_where_config_is_refused_the_exact_setting_is_told(lab, tcp_source):
    riotd = with_rights(lab, tcp_source, ["-config"], feed="notify")
    status = riotd.wait_for(lambda s: s["blockers"] or s["conditions"], what="a word about it")
    text = str(status["blockers"]) + str(status["conditions"]) + str(status["reason"]) + str(status["feed"])
    assert "notify-keyspace-events" in text and "KA" in text


def test_where_config_is_refused_but_the_flags_are_set_it_works(lab, tcp_source):
    tcp_source.config("notify-keyspace-events", "KA")
    riotd = with_rights(lab, tcp_source, ["-config"], feed="notify").wait("live")
    lab.source.call("SET", "k", "v")
    lab.equal(riotd, at_least=1)
    riotd.stop()
    assert "A" in tcp_source.config("notify-keyspace-events")


def test_a_source_of_a_renamed_config_command_can_be_tracked(lab):
    lab.source = lab.server("source", args=["--rename-command", "CONFIG", ""]).start()
    lab.source.call("SET", "k", "v")
    riotd = lab.live()
    lab.source.call("SET", "k2", "v")
    lab.equal(riotd, at_least=2)


# --- gaps


@pytest.mark.parametrize("feed", ["tracking", "notify"])
def test_a_gap_is_told_and_followed_by_a_resync_and_live(lab, feed):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(200)])
    riotd = lab.live(feed=feed)
    before = riotd.status()
    assert before["feed"]["gaps"] == 0 and before["snapshot"]["round"] == 1
    assert lab.source.kill_riotd_clients(":feed") == 1
    status = riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1 and s["state"] == "live", what="the gap and live again")
    assert status["feed"]["last_gap_reason"] and status["snapshot"]["round"] >= 2
    assert status["feed"]["last_gap_reason"] in riotd.log()
    assert "resync" in riotd.log()
    lab.equal(riotd, at_least=200)


def test_tracking_whose_owner_died_is_noticed(lab):
    """The receiving connection stays up and answers; only the one that asked for tracking is gone."""
    riotd = lab.live(feed="tracking")
    assert lab.source.kill_riotd_clients(":tracking") == 1
    lab.source.call("SET", "unheard", "v")
    riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1 and s["state"] == "live", what="the gap and live again")
    lab.equal(riotd, at_least=1)


@pytest.mark.parametrize("feed", ["tracking", "notify"])
def test_reset_statistics_are_a_gap_since_a_flush_could_hide_behind_them(lab, feed):
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(200)])
    riotd = lab.live(feed=feed)
    lab.source.call("CONFIG", "RESETSTAT")
    riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1 and s["state"] == "live", what="the gap and live again")
    lab.equal(riotd, at_least=200)


def test_a_source_that_becomes_a_replica_is_a_gap(lab, feed):
    primary = lab.server("primary", tcp=True).start()
    with primary.raw() as client:
        client.must([("SET", f"p{i}", i) for i in range(300)])
    with lab.source.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(300)])
    riotd = lab.live(feed=feed)
    lab.source.call("REPLICAOF", "127.0.0.1", primary.port)
    until(lambda: lab.source.info("replication")["master_link_status"] == "up", 30, "the replication")
    riotd.wait_for(lambda s: s["feed"]["gaps"] >= 1, what="the gap")
    primary.call("SET", "through the primary", "v")
    until(lambda: lab.source.redis().exists("through the primary"), 10, "the source has it too")
    lab.equal(riotd, at_least=301)
    assert lab.target.redis().exists("through the primary") and not lab.target.redis().exists("k0")


def test_a_replica_can_be_the_source(lab, feed):
    primary = lab.server("primary", tcp=True).start()
    primary.call("SET", "k", "v")
    lab.source.call("REPLICAOF", "127.0.0.1", primary.port)
    until(lambda: lab.source.info("replication")["master_link_status"] == "up", 30, "the replication")
    riotd = lab.live(feed=feed)
    with primary.raw() as client:
        client.must([("SET", f"k{i}", i) for i in range(100)] + [("DEL", "k"), ("SET", "e", 1, "PX", 50)])
    until(lambda: lab.source.dbsize() == 100, 10, "the replica has followed")
    lab.equal(riotd, at_least=100)


def test_a_long_time_without_writes_is_no_gap(lab, feed):
    riotd = lab.live(feed=feed)
    time.sleep(4)
    status = riotd.status()
    assert status["feed"]["gaps"] == 0 and status["state"] == "live" and not status["conditions"]
