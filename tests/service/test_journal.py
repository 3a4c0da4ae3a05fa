"""What the journal has of riotd: the story of a migration with its fields, what journalctl -x tells, errors of a start; and a journald that hangs."""

import json
import re
import time

from kit.acked import Acked
from kit.resp import Client
from kit.wait import SCALE, until

STORY = ["started", "connected", "owned", "feed_chosen", "snapshot_done", "verify_started", "verify_ended", "cutover_started", "fence_paused",
         "fence_set", "cutover_committed", "cutover_released", "finished", "stopping", "stopped"]
STATES = [("idle", "connecting"), ("connecting", "snapshot"), ("snapshot", "live"), ("live", "cutover"), ("cutover", "committed"),
          ("committed", "finished")]
STEPS = ["validate", "gate", "soft_fence", "barrier", "drain", "verify", "hard_fence", "prove_source", "prove_target", "commit", "release"]
HANG_S = 10
ASKED = 4000  # each is two lines; the journal's socket holds some hundred
LAG_MS = 1000 * SCALE


def events(entries):
    return [entry["RIOT_EVENT"] for entry in entries]


def of(entries, event):
    return [entry for entry in entries if entry["RIOT_EVENT"] == event]


def is_in_order(some, all_of_them):
    rest = iter(all_of_them)
    return all(one in rest for one in some)


def migrate(box, source, orders):
    """A whole one; returns riotd's entries, read as by journalctl -u."""
    cursor = box.cursor()
    with source.raw() as client:
        client.must([("SET", f"before:{n}", n) for n in range(2000)])
    orders.live()
    orders.must("verify")
    orders.must("cutover")
    orders.must("finish")
    orders.systemctl("stop")
    return [entry for entry in box.journal("-u", orders.unit, after=cursor) if entry.get("_COMM") == "riotd"]


def test_the_journal_tells_the_story_of_a_migration(box, source, target, link):
    entries = migrate(box, source, link())
    assert is_in_order(STORY, events(entries)), events(entries)
    for entry in entries:
        assert entry["_TRANSPORT"] == "journal", entry
        assert re.fullmatch("[0-9a-f]{32}", entry["MESSAGE_ID"]) and entry["PRIORITY"] in "34567", entry
        assert entry["SYSLOG_IDENTIFIER"] == "riotd-orders" and entry["RIOT_LINK"] == "orders" and entry["RIOT_STATE"], entry
    kinds = {(entry["RIOT_EVENT"], entry["MESSAGE_ID"]) for entry in entries}
    assert len(kinds) == len({event for event, _ in kinds}) == len({number for _, number in kinds}), "one id for each event"

    assert [(entry["RIOT_FROM"], entry["RIOT_STATE"]) for entry in of(entries, "state")] == STATES
    began = [entry["RIOT_STEP"] for entry in of(entries, "cutover_step") if entry["RIOT_STEP_STATE"] == "begin"]
    ended = {entry["RIOT_STEP"]: int(entry["RIOT_TOOK_MS"]) for entry in of(entries, "cutover_step") if entry["RIOT_STEP_STATE"] == "done"}
    assert began == STEPS and list(ended) == STEPS
    committed, released = of(entries, "cutover_committed")[0], of(entries, "cutover_released")[0]
    assert int(committed["RIOT_WRITE_PAUSE_MS"]) > 0 and f"{committed['RIOT_WRITE_PAUSE_MS']} ms" in committed["MESSAGE"]
    assert released["RIOT_ADDRESS"] == target.url and target.url in released["MESSAGE"]
    assert of(entries, "verify_ended")[0]["RIOT_VERDICT"] == "clean"
    assert int(of(entries, "snapshot_done")[0]["RIOT_COPIED_KEYS"]) >= 2000
    command = of(entries, "command")[0]
    assert (command["RIOT_VERB"], command["RIOT_PEER_UID"]) == ("verify", "0")


def test_journalctl_x_says_what_happened_and_what_to_do(box, source, link):
    orders = link()
    known = box.must("journalctl", "--list-catalog")
    for entry in migrate(box, source, orders):
        assert re.search(f"^{entry['MESSAGE_ID']} riotd: ", known, re.MULTILINE), entry
    shown = box.must("journalctl", "--no-pager", "-x", "-u", orders.unit)
    assert "░░ Subject: The point of no return has passed" in shown and "░░ Documentation: man:riotd(8)" in shown
    assert re.search(r"░░ riotd \S+ runs the link orders and connects", shown), shown
    assert "systemctl start riotd@orders" in shown and "riotctl -n orders finish" in shown
    assert "@RIOT_" not in shown


def test_journalctl_filters_by_event(box, source, link):
    link().live()
    cursor = box.cursor()
    for line in source.call("CLIENT", "LIST").decode().splitlines():
        client = dict(part.partition("=")[::2] for part in line.split())
        if client["name"].startswith("riotd:orders:") and client["name"].endswith(":feed"):
            source.call("CLIENT", "KILL", "ID", client["id"])
    gap = box.wait_for("changes may have been missed", "RIOT_EVENT=gap", after=cursor)
    assert gap["PRIORITY"] == "4" and gap["RIOT_REASON"] and gap["RIOT_REASON"] in gap["MESSAGE"]
    assert set(events(box.journal("RIOT_EVENT=gap", after=cursor))) == {"gap"}
    box.wait_for("", "RIOT_EVENT=resync_done", after=cursor)


# --- what ends riotd before there is a link


def refused(box, orders):
    """Starts it in vain; returns its entries, each of which must be one that a person has to look at."""
    cursor = box.cursor()
    assert orders.systemctl("start").returncode != 0
    entries = [entry for entry in box.journal("-u", orders.unit, after=cursor) if entry.get("_TRANSPORT") == "journal" and entry["_COMM"] == "riotd"]
    for entry in entries:
        assert (entry["RIOT_EVENT"], entry["PRIORITY"], entry["RIOT_LINK"]) == ("config_error", "3", "orders"), entry
        assert re.fullmatch("[0-9a-f]{32}", entry["MESSAGE_ID"]) and entry["RIOT_STATE"] == "idle", entry
    return [entry["MESSAGE"] for entry in entries]


def test_each_error_of_the_configuration_is_an_entry(box, link):
    orders = link(limits__memori="1GiB", scan__count=0)
    told = refused(box, orders)
    assert len(told) == 2 and all(line.startswith("/etc/riotd/orders.yaml:") for line in told), told
    assert any("limits.memori" in line for line in told) and any("scan.count" in line for line in told)


def test_a_password_that_is_missing_is_an_entry(box, link):
    orders = link(source__password_credential=None, source__password_file="/etc/riotd/nowhere")
    assert [line for line in refused(box, orders) if "/etc/riotd/nowhere" in line]


# --- a journal that hangs


class Watch:
    """Asks riotd how far behind the target is, by its socket."""

    def __init__(self, box, orders):
        self.path = box.outside(f"/run/riotd-{orders.name}/riotd.sock")

    def worst(self, seconds):
        """The greatest lag that was seen, in ms. Each answer must come at once."""
        worst, end = 0, time.monotonic() + seconds
        with Client(self.path, timeout=LAG_MS / 1000) as client:
            while time.monotonic() < end:
                worst = max(worst, json.loads(client.call("STATUS"))["lag"]["ms"])
                time.sleep(0.05)
        return worst

    def talk(self, times):
        """Makes riotd say two lines each time."""
        with Client(self.path) as client:
            client.must([("LIMIT", "keys_per_s", 0)] * times)


def test_a_journal_that_hangs_holds_nothing_up(box, source, target, link, tmp_path):
    orders = link()
    orders.drop_in("WatchdogSec=5s")  # it would kill a riotd that waits for the journal
    orders.live()
    pid, watch, journald = orders.pid, Watch(box, orders), box.must("systemctl", "show", "-P", "MainPID", "systemd-journald").strip()
    with Acked(source, str(tmp_path), writers=4, rate=3000) as writers:
        watch.worst(2)
        cursor, at = box.cursor(), writers.acknowledged
        box.must("sh", "-c", f"kill -STOP {journald}")
        try:
            began = time.monotonic()
            watch.talk(ASKED)
            lag = watch.worst(HANG_S - (time.monotonic() - began))
            written = writers.acknowledged - at
        finally:
            box.must("sh", "-c", f"kill -CONT {journald}")
    told = box.wait_for("log lines were dropped because the journal did not take them", "RIOT_EVENT=log_dropped", after=cursor)
    orders.equal(at_least=1)
    assert lag < LAG_MS, f"{lag} ms"
    assert written > 1000 * HANG_S, written
    assert not writers.judge(target).missing
    assert (orders.pid, orders.show("NRestarts")) == (pid, "0")
    lost = sum(int(entry["RIOT_DROPPED_LINES"]) for entry in box.journal("RIOT_EVENT=log_dropped", after=cursor))
    kept = len(box.journal("RIOT_EVENT=limit", "RIOT_EVENT=command", after=cursor))
    assert int(told["RIOT_DROPPED_LINES"]) > 1000 and told["PRIORITY"] == "4" and told["RIOT_DROPPED_LINES"] in told["MESSAGE"]
    assert 2 * ASKED <= lost + kept < 2 * ASKED + 100, (lost, kept)


def test_a_journal_that_is_restarted_loses_nothing_that_is_not_told(box, link):
    orders = link().live()
    cursor = box.cursor()
    box.must("systemctl", "restart", "systemd-journald")
    orders.must("pause")
    until(lambda: box.journal("RIOT_EVENT=state", "RIOT_STATE=paused", after=cursor), what="what is said afterwards")
